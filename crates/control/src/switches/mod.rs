//! What is off: cut-offs.
//!
//! Everything is on unless a row here says otherwise; `enabled` anywhere in the API is a view of
//! these rows, so setting it and cutting off are one operation. Turning something off returns
//! when the data plane has confirmed that nothing more passes. A cut-off with a limit ends by
//! itself: whoever reads the row compares its time with the clock.

mod api;
mod resolve;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{
    AppId, AssignmentId, Capability, ConnectionId, GatewayId, IdentityId, Object, Reach, Scope,
    ServerId, Target, UserId, WorkspaceId,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use api::routes;

use crate::api::{Error, Paging};
use crate::change::Change;
use crate::{apps, assignments, connections, identities, role_grants, session};

/// Since when, until when and why something is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Off {
    since: DateTime<Utc>,
    /// When it turns on again by itself.
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
}

/// The columns `off_since`, `off_until` and `off_reason` of a joined row.
#[derive(sqlx::FromRow)]
pub(crate) struct OffColumns {
    off_since: Option<DateTime<Utc>>,
    off_until: Option<DateTime<Utc>>,
    off_reason: Option<String>,
}

impl From<OffColumns> for Option<Off> {
    fn from(row: OffColumns) -> Self {
        let OffColumns { off_since, off_until, off_reason } = row;
        off_since.map(|since| Off { since, until: off_until, reason: off_reason })
    }
}

impl Off {
    /// Whether it is in force at `now`.
    pub(crate) fn holds(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it ends by itself.
    pub(crate) fn is_limited(&self) -> bool {
        self.until.is_some()
    }
}

/// Why canaries are off. They are not listed.
pub(crate) const CANARY: &str = "the canary of a replica";

/// Turns a target off once the change is committed. Replaces what has turned it off before.
pub(crate) async fn turn_off(
    change: &mut Change,
    workspace: WorkspaceId,
    target: Target,
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
) -> Result<Off, Error> {
    let off = Off { since: change.now(), until, reason };
    // Others are always turned off; nobody locks the workspace behind themselves.
    let keeper = match &target {
        Target::User(user) if change.rights().user() == Some(*user) => {
            Some(role_grants::keeper(change, workspace).await?)
        }
        _ => None,
    };
    // Here, since this is where they come from. What one clock alone takes for over stays: others, by
    // theirs, may not.
    let now = off.since.min(Tx::now(change).await?);
    store::delete_over(change, workspace, now).await?;
    store::insert(change, workspace, &target, &off).await?;
    if let Target::User(user) = &target {
        // Whoever has come by one of their sessions does not have it back with them.
        session::end_of_user(change, (workspace, *user)).await?;
    }
    if let Some(keeper) = keeper {
        keeper.check(change).await?;
    }
    Ok(off)
}

/// Nobody begins a session who is off.
pub(crate) async fn check_user_on(
    tx: &mut Tx,
    (workspace, user): (WorkspaceId, UserId),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let off = store::find(tx, workspace, &Target::User(user)).await?;
    if off.is_some_and(|it| it.holds(now)) { Err(Error::Unauthenticated) } else { Ok(()) }
}

/// Turns a target on again.
pub(crate) async fn turn_on(
    change: &mut Change,
    workspace: WorkspaceId,
    target: &Target,
) -> Result<(), Error> {
    store::delete(change, workspace, target).await?;
    Ok(())
}

/// Refuses to turn off or on what these rights do not reach. `name` is what it was called.
pub(crate) async fn check(
    change: &mut Change,
    workspace: WorkspaceId,
    target: &Target,
    name: impl std::fmt::Display,
) -> Result<(), Error> {
    let object = object(change, workspace, target).await?;
    change.require(Capability::CutoffsWrite, &object, (target.noun(), name))
}

/// What a target is below of, as those see it who decide about it.
async fn object(tx: &mut Tx, workspace: WorkspaceId, target: &Target) -> Result<Object, Error> {
    Ok(match target {
        Target::App(id) => apps::find(tx, workspace, &id.0.into()).await?.object(),
        Target::User(id) => Object::User(*id),
        Target::Token(_) => Object::Workspace,
        Target::Assignment(id) => {
            let found = assignments::find_by_id(tx, workspace, *id).await?;
            Scope::Gateway(found.gateway.id).into()
        }
        Target::Connection(id) => connections::find_by_id(tx, workspace, *id).await?.object(),
        Target::Gateway(id) => Scope::Gateway(*id).into(),
        Target::Identity(id) => identities::find(tx, workspace, &id.0.into()).await?.object(),
        Target::Server(id) | Target::Tool(id, _) => Object::Server(*id),
    })
}

/// What `enabled` in a patch or a file means. What is off already stays off as it is.
pub(crate) async fn set_enabled(
    change: &mut Change,
    workspace: WorkspaceId,
    target: Target,
    enabled: Option<bool>,
) -> Result<(), Error> {
    if enabled.is_some() {
        let id = columns(&target).0;
        check(change, workspace, &target, id).await?;
    }
    match enabled {
        None => Ok(()),
        Some(true) => turn_on(change, workspace, &target).await,
        Some(false) => {
            let now = change.now();
            let known = store::find(change, workspace, &target).await?;
            if known.is_some_and(|it| it.holds(now) && !it.is_limited()) {
                return Ok(());
            }
            turn_off(change, workspace, target, None, None).await?;
            Ok(())
        }
    }
}

/// For a target that is about to be deleted: its switches go.
pub(crate) async fn forget(
    change: &mut Change,
    workspace: WorkspaceId,
    target: Target,
) -> Result<(), Error> {
    store::forget(change, workspace, &target).await?;
    Ok(())
}

/// The target that a row means; `None` where there is no such kind.
pub(crate) fn target(kind: &str, id: Uuid, tool: &str) -> Option<Target> {
    Some(match kind {
        "app" => Target::App(AppId(id)),
        "assignment" => Target::Assignment(AssignmentId(id)),
        "connection" => Target::Connection(ConnectionId(id)),
        "gateway" => Target::Gateway(GatewayId(id)),
        "identity" => Target::Identity(IdentityId(id)),
        "server" => Target::Server(ServerId(id)),
        "tool" => Target::Tool(ServerId(id), tool.into()),
        "user" => Target::User(UserId(id)),
        _ => return None,
    })
}

/// A page of what is off in a workspace now, of what is within reach.
pub(crate) async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (paging, reach): (&Paging, &Reach),
    now: DateTime<Utc>,
) -> Result<Vec<store::Listed>, Error> {
    let after = paging.after().unwrap_or("/00000000-0000-0000-0000-000000000000/");
    let (kind, rest) = after.split_once('/').ok_or_else(Error::not_a_cursor)?;
    let (id, tool) = rest.split_once('/').ok_or_else(Error::not_a_cursor)?;
    let after = (kind, id.parse().map_err(|_| Error::not_a_cursor())?, tool);
    // One more than asked for shows whether there is another page.
    let most = i64::try_from(paging.limit()).unwrap_or(i64::MAX).saturating_add(1);
    let mut found = Vec::new();
    for which in paging.within(reach) {
        if which.owner().is_none() {
            found.extend(store::page(tx, workspace, after, &which, (now, most)).await?);
        }
    }
    Ok(found)
}

/// The columns of a target.
fn columns(target: &Target) -> (Uuid, &str) {
    match target {
        Target::App(id) => (id.0, ""),
        Target::Assignment(id) => (id.0, ""),
        Target::Connection(id) => (id.0, ""),
        Target::Gateway(id) => (id.0, ""),
        Target::Identity(id) => (id.0, ""),
        Target::Server(id) => (id.0, ""),
        Target::Token(id) => (id.0, ""),
        Target::Tool(id, tool) => (id.0, tool),
        Target::User(id) => (id.0, ""),
    }
}
