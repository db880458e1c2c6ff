//! Groups of people, and who is in them.

mod api;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Name, Object, TeamId, UserId, WorkspaceId};

pub(crate) use api::{NewTeam, TeamPatch, routes};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::{limits, role_grants, users};

#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub(crate) id: TeamId,
    pub(crate) name: Name,
    pub(crate) members: Vec<Name>,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Team>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, team: &Ref) -> Result<Team, Error> {
    let found = store::select(tx, workspace, Which::One(team)).await?.pop();
    found.ok_or_else(|| team.not_found("team"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewTeam,
) -> Result<Team, Error> {
    change.require_on_workspace(Capability::PeopleWrite)?;
    let stamp = change.stamp();
    let id = TeamId(stamp.id);
    let team = Team { id, name: new.name, members: Vec::new(), created_at: stamp.at };
    store::insert(change, workspace, &team)
        .await
        .map_err(|error| Error::saving(error, "team", &team.name))?;
    set_members(change, workspace, id, &new.members).await?;
    find(change, workspace, &id.0.into()).await
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    team: Team,
    patch: TeamPatch,
) -> Result<Team, Error> {
    change.require(Capability::PeopleWrite, &Object::Team(team.id), ("team", &team.name))?;
    if let Some(name) = patch.name.filter(|it| *it != team.name) {
        store::rename(change, workspace, team.id, &name)
            .await
            .map_err(|error| Error::saving(error, "team", &name))?;
    }
    if let Some(members) = patch.members {
        set_members(change, workspace, team.id, &members).await?;
    }
    find(change, workspace, &team.id.0.into()).await
}

/// Makes these, and no others, the members.
async fn set_members(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
    members: &[Ref],
) -> Result<(), Error> {
    let mut wanted = BTreeSet::new();
    for member in members {
        wanted.insert(users::find(change, workspace, member).await.map_err(Error::in_body)?.id);
    }
    let known = store::members(change, workspace, team).await?;
    if !wanted.is_subset(&known) {
        role_grants::check_joining(change, workspace, team).await?;
    }
    let keeper = role_grants::keeper(change, workspace).await?;
    store::remove_members(change, workspace, team).await?;
    for user in wanted {
        store::add_member(change, workspace, team, user).await?;
    }
    keeper.check(change).await
}

async fn add_member(
    change: &mut Change,
    workspace: WorkspaceId,
    team: &Team,
    user: UserId,
) -> Result<(), Error> {
    change.require(Capability::PeopleWrite, &Object::Team(team.id), ("team", &team.name))?;
    if !store::members(change, workspace, team.id).await?.contains(&user) {
        role_grants::check_joining(change, workspace, team.id).await?;
    }
    Ok(store::add_member(change, workspace, team.id, user).await?)
}

async fn remove_member(
    change: &mut Change,
    workspace: WorkspaceId,
    team: &Team,
    user: UserId,
) -> Result<(), Error> {
    change.require(Capability::PeopleWrite, &Object::Team(team.id), ("team", &team.name))?;
    let keeper = role_grants::keeper(change, workspace).await?;
    store::remove_member(change, workspace, team.id, user).await?;
    keeper.check(change).await
}

/// Memberships and what is granted to it go with the team; gateways that grant it stand in the way.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    team: &Team,
) -> Result<(), Error> {
    change.require(Capability::PeopleWrite, &Object::Team(team.id), ("team", &team.name))?;
    let mut by = store::uses(change, workspace, team.id).await?;
    by.extend(limits::naming(change, workspace, team.id.0).await?);
    if !by.is_empty() {
        return Err(Error::InUse { kind: "team", name: team.name.to_string(), by });
    }
    let keeper = role_grants::keeper(change, workspace).await?;
    store::delete(change, workspace, team.id).await?;
    keeper.check(change).await
}
