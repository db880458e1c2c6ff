//! Roles, and who has been granted them.

use domain::{Capability, Object, WorkspaceId};

use super::apply::{Differed, seen};
use super::document::{RoleFile, RoleGrantFile};
use super::export;
use crate::api::Error;
use crate::change::Change;
use crate::role_grants::{self, NewRoleGrant};
use crate::roles::{self, NewRole, RolePatch};

pub(super) async fn apply_role(
    change: &mut Change,
    workspace: WorkspaceId,
    file: RoleFile,
) -> Result<Differed, Error> {
    let RoleFile { name, capabilities } = file;
    let found = roles::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::RolesRead, |_| Object::Workspace)?;
    let Some(found) = found else {
        roles::create(change, workspace, NewRole { name, capabilities }).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    if found.capabilities != capabilities {
        members.push("capabilities");
        let patch = RolePatch { name: None, capabilities: Some(capabilities) };
        roles::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}

/// A grant that differs is taken back and given anew: it is what it says, and has no other state.
pub(super) async fn apply_role_grant(
    change: &mut Change,
    workspace: WorkspaceId,
    file: RoleGrantFile,
) -> Result<Differed, Error> {
    let found = role_grants::find(change, workspace, &(&file.name).into()).await;
    let found = seen(change, found, Capability::RolesRead, |it| it.on.scope().into())?;
    let mut members = None;
    if let Some(found) = found {
        let known = export::role_grant(found.clone());
        let differs = [
            ("role", known.role != file.role),
            ("user", known.user != file.user),
            ("team", known.team != file.team),
            ("on", known.on != file.on),
        ];
        let differing: Vec<_> = differs.into_iter().filter(|it| it.1).map(|it| it.0).collect();
        if differing.is_empty() {
            return Ok(Some(differing));
        }
        role_grants::delete(change, workspace, &found).await?;
        members = Some(differing);
    }
    let new = NewRoleGrant {
        name: file.name,
        role: (&file.role).into(),
        user: file.user.as_ref().map(Into::into),
        team: file.team.as_ref().map(Into::into),
        on: file.on,
    };
    role_grants::create(change, workspace, new).await?;
    Ok(members)
}
