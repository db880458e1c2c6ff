//! Users and teams, as files say them.

use std::collections::BTreeSet;

use domain::{Capability, Name, Object, WorkspaceId};

use super::apply::{Differed, refs, seen, switches};
use super::document::{TeamFile, UserFile};
use crate::api::Error;
use crate::change::Change;
use crate::labels::AttributesText;
use crate::teams::{NewTeam, TeamPatch};
use crate::users::{NewUser, UserPatch};
use crate::{teams, users};

pub(super) async fn apply_user(
    change: &mut Change,
    workspace: WorkspaceId,
    file: UserFile,
) -> Result<Differed, Error> {
    let (name, enabled) = (file.name.clone(), file.enabled);
    let stated = stated(file);
    let found = users::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::PeopleRead, |it| Object::User(it.id))?;
    let Some(found) = found else {
        let attributes = stated.unwrap_or_default();
        let user = users::create(change, workspace, NewUser { name, attributes }).await?;
        let wanted = enabled.filter(|it| !it);
        users::set_enabled(change, workspace, user.id, wanted).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    if let Some(attributes) = stated.filter(|it| *it != found.attributes) {
        members.extend(differing(&attributes, &found.attributes));
        let AttributesText { department, clearance, groups, network, assurance } = attributes;
        let patch = UserPatch {
            department: Some(department),
            clearance: Some(clearance),
            groups: Some(groups),
            network: Some(network),
            assurance: Some(assurance),
            ..UserPatch::default()
        };
        users::update(change, workspace, found.clone(), patch).await?;
    }
    if switches(change, found.off.as_ref(), enabled) {
        members.push("enabled");
        users::set_enabled(change, workspace, found.id, enabled).await?;
    }
    Ok(Some(members))
}

pub(super) async fn apply_team(
    change: &mut Change,
    workspace: WorkspaceId,
    file: TeamFile,
) -> Result<Differed, Error> {
    let TeamFile { name, members: wanted } = file;
    let found = teams::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::PeopleRead, |it| Object::Team(it.id))?;
    let Some(found) = found else {
        let new = NewTeam { name, members: refs(wanted.iter().flatten()) };
        teams::create(change, workspace, new).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    let known: BTreeSet<Name> = found.members.iter().cloned().collect();
    if let Some(wanted) = wanted.filter(|it| *it != known) {
        members.push("members");
        let patch = TeamPatch { members: Some(refs(&wanted)), ..TeamPatch::default() };
        teams::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}

/// All that a file says to be known of a person; nothing where it leaves that to others.
fn stated(file: UserFile) -> Option<AttributesText> {
    let UserFile { name: _, department, clearance, groups, network, assurance, enabled: _ } = file;
    let is_silent = clearance.is_none() && assurance.is_none() && groups.is_none();
    if is_silent && department.is_none() && network.is_none() {
        return None;
    }
    let groups = groups.unwrap_or_default();
    Some(AttributesText { department, clearance, groups, network, assurance })
}

/// The members in which what is known of a person differs.
fn differing(one: &AttributesText, other: &AttributesText) -> Vec<&'static str> {
    let all = [
        ("department", one.department != other.department),
        ("clearance", one.clearance != other.clearance),
        ("groups", one.groups != other.groups),
        ("network", one.network != other.network),
        ("assurance", one.assurance != other.assurance),
    ];
    all.into_iter().filter(|it| it.1).map(|it| it.0).collect()
}
