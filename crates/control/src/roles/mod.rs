//! Sets of capabilities.
//!
//! Three are built in and cannot be changed: `super-admin`, which the tokens of the installation
//! hold and which is not granted; `workspace-admin`, all that can be done in a workspace; and
//! `member`, which every user holds for what is theirs. Others are made beside them. A role does
//! nothing until it is granted.

mod api;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Name, RoleId, WorkspaceId};

pub(crate) use api::{NewRole, RolePatch, routes};

use crate::api::{Error, Paging, Ref, Which};
use crate::change::Change;
use crate::role_grants;

#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// Absent for a built-in one.
    pub(crate) id: Option<RoleId>,
    pub(crate) name: Name,
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) created_at: Option<DateTime<Utc>>,
}

/// A role that is there from the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    Member,
    SuperAdmin,
    WorkspaceAdmin,
}

impl BuiltIn {
    /// By their names.
    const ALL: [Self; 3] = [Self::Member, Self::SuperAdmin, Self::WorkspaceAdmin];

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::SuperAdmin => "super-admin",
            Self::WorkspaceAdmin => "workspace-admin",
        }
    }

    pub(crate) fn capabilities(self) -> BTreeSet<Capability> {
        let all = Capability::ALL.iter().copied();
        match self {
            // On what is theirs; the policy of the workspace says so, not a grant.
            Self::Member => BTreeSet::from([
                Capability::AdminTokensRead,
                Capability::AdminTokensWrite,
                Capability::AppsRead,
                Capability::GatewaysRead,
                Capability::IdentitiesRead,
                Capability::PeopleRead,
            ]),
            Self::SuperAdmin => all.collect(),
            Self::WorkspaceAdmin => all.filter(|it| !is_above(*it)).collect(),
        }
    }

    fn role(self) -> Result<Role, Error> {
        let name = self.name().parse().map_err(Error::internal)?;
        Ok(Role { id: None, name, capabilities: self.capabilities(), created_at: None })
    }
}

/// What concerns the installation, and not one workspace; and what takes away what administrators of
/// a workspace have done from those above them.
fn is_above(capability: Capability) -> bool {
    use Capability::{CommandsWrite, RecordsErase, WorkspacesWrite};

    matches!(capability, CommandsWrite | RecordsErase | WorkspacesWrite)
}

/// A page of all roles, by name.
pub(crate) async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    paging: &Paging,
) -> Result<Vec<Role>, Error> {
    let mut found = store::select(tx, workspace, Which::Page(paging)).await?;
    for built_in in BuiltIn::ALL {
        if paging.after().is_none_or(|after| after < built_in.name()) {
            found.push(built_in.role()?);
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    // As many as a page of one statement has.
    found.truncate(paging.limit() + 1);
    Ok(found)
}

/// Those that are not built in.
pub(crate) async fn list(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Role>, Error> {
    store::select(tx, workspace, Which::All).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, role: &Ref) -> Result<Role, Error> {
    if let Some(built_in) = role.name().and_then(BuiltIn::find) {
        return built_in.role();
    }
    let found = store::select(tx, workspace, Which::One(role)).await?.pop();
    found.ok_or_else(|| role.not_found("role"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewRole,
) -> Result<Role, Error> {
    change.require_on_workspace(Capability::RolesWrite)?;
    let stamp = change.stamp();
    check_name(&new.name)?;
    let role = Role {
        id: Some(RoleId(stamp.id)),
        name: new.name,
        capabilities: new.capabilities,
        created_at: Some(stamp.at),
    };
    store::insert(change, workspace, (stamp, &role))
        .await
        .map_err(|error| Error::saving(error, "role", &role.name))?;
    Ok(role)
}

/// Nobody makes of a role more than they hold, wherever it has been granted.
pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut role: Role,
    patch: RolePatch,
) -> Result<Role, Error> {
    change.require_on_workspace(Capability::RolesWrite)?;
    let id = own(&role)?;
    if let Some(name) = patch.name.filter(|it| *it != role.name) {
        check_name(&name)?;
        role.name = name;
    }
    if let Some(capabilities) = patch.capabilities {
        let added: BTreeSet<_> = capabilities.difference(&role.capabilities).copied().collect();
        for grant in role_grants::of_role(change, workspace, id).await? {
            change.rights().require_all(&added, grant.on.scope())?;
        }
        role.capabilities = capabilities;
    }
    store::update(change, workspace, (id, &role))
        .await
        .map_err(|error| Error::saving(error, "role", &role.name))?;
    Ok(role)
}

/// Only one that nobody has been granted goes.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    role: &Role,
) -> Result<(), Error> {
    change.require_on_workspace(Capability::RolesWrite)?;
    let id = own(role)?;
    let by = role_grants::of_role(change, workspace, id).await?;
    if !by.is_empty() {
        let by = by.iter().take(10).map(|it| format!("role grant `{}`", it.name)).collect();
        return Err(Error::InUse { kind: "role", name: role.name.to_string(), by });
    }
    Ok(store::delete(change, workspace, id).await?)
}

fn own(role: &Role) -> Result<RoleId, Error> {
    let built_in = || Error::Invalid(format!("the role `{}` is built in", role.name));
    role.id.ok_or_else(built_in)
}

fn check_name(name: &Name) -> Result<(), Error> {
    match BuiltIn::find(name.as_str()) {
        None => Ok(()),
        Some(_) => Err(Error::Duplicate { kind: "role", name: name.to_string() }),
    }
}
