//! People.

mod api;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Name, Object, Target, UserId, WorkspaceId};

pub(crate) use api::{NewUser, UserPatch, routes};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::labels::{self, AttributesText};
use crate::switches::{self, Off};
use crate::{limits, role_grants};

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: Name,
    pub(crate) teams: Vec<Name>,
    /// For policies.
    pub(crate) attributes: AttributesText,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<User>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, user: &Ref) -> Result<User, Error> {
    let found = store::select(tx, workspace, Which::One(user)).await?.pop();
    found.ok_or_else(|| user.not_found("user"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewUser,
) -> Result<User, Error> {
    change.require_on_workspace(Capability::PeopleWrite)?;
    let stamp = change.stamp();
    let user = User {
        id: UserId(stamp.id),
        name: new.name,
        teams: Vec::new(),
        attributes: new.attributes,
        off: None,
        created_at: stamp.at,
    };
    user.attributes.checked()?;
    labels::check_change(change, &user.attributes, &AttributesText::default())?;
    store::insert(change, workspace, &user)
        .await
        .map_err(|error| Error::saving(error, "user", &user.name))?;
    Ok(user)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut user: User,
    patch: UserPatch,
) -> Result<User, Error> {
    if patch.touches_more_than_switches() {
        change.require(Capability::PeopleWrite, &Object::User(user.id), ("user", &user.name))?;
        let was = user.attributes.clone();
        user.attributes = patch.attributes(user.attributes);
        user.attributes.checked()?;
        labels::check_change(change, &user.attributes, &was)?;
        user.name = patch.name.unwrap_or(user.name);
        store::update(change, workspace, &user)
            .await
            .map_err(|error| Error::saving(error, "user", &user.name))?;
    }
    set_enabled(change, workspace, user.id, patch.enabled).await?;
    find(change, workspace, &user.id.0.into()).await
}

pub(crate) async fn set_enabled(
    change: &mut Change,
    workspace: WorkspaceId,
    user: UserId,
    enabled: Option<bool>,
) -> Result<(), Error> {
    switches::set_enabled(change, workspace, Target::User(user), enabled).await
}

/// Memberships go with the user; what the user owns stands in the way.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    user: &User,
) -> Result<(), Error> {
    change.require(Capability::PeopleWrite, &Object::User(user.id), ("user", &user.name))?;
    let mut by = store::uses(change, workspace, user.id).await?;
    by.extend(limits::naming(change, workspace, user.id.0).await?);
    if !by.is_empty() {
        return Err(Error::InUse { kind: "user", name: user.name.to_string(), by });
    }
    switches::forget(change, workspace, Target::User(user.id)).await?;
    let keeper = role_grants::keeper(change, workspace).await?;
    store::delete(change, workspace, user.id).await?;
    keeper.check(change).await
}
