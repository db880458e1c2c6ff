//! Governed URLs: each with its own servers, rules and teams.

mod api;
mod preview;
mod store;
mod test_calls;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Addresses, Capability, GatewayId, Name, Object, Scope, Target, TeamId, WorkspaceId};

pub(crate) use api::{GatewayPatch, NewGateway, routes};
pub(crate) use test_calls::Seats as TestSeats;

use crate::addresses::AddressesText;
use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::switches::{self, Off};
use crate::{limits, teams};

#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(crate) name: Name,
    /// The teams that may use it.
    pub(crate) teams: Vec<Name>,
    /// From where it may be used.
    pub(crate) addresses: Addresses,
    /// For how long calls may be decided without the database; 0 for not at all.
    pub(crate) max_autonomy_seconds: u8,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Gateway>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: &Ref,
) -> Result<Gateway, Error> {
    let found = store::select(tx, workspace, Which::One(gateway)).await?.pop();
    found.ok_or_else(|| gateway.not_found("gateway"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewGateway,
) -> Result<Gateway, Error> {
    change.require_on_workspace(Capability::GatewaysWrite)?;
    check_autonomy(new.max_autonomy_seconds)?;
    let stamp = change.stamp();
    let id = GatewayId(stamp.id);
    let gateway = Gateway {
        id,
        name: new.name,
        teams: Vec::new(),
        addresses: new.addresses.0,
        max_autonomy_seconds: new.max_autonomy_seconds,
        off: None,
        created_at: stamp.at,
    };
    store::insert(change, workspace, &gateway)
        .await
        .map_err(|error| Error::saving(error, "gateway", &gateway.name))?;
    set_teams(change, workspace, id, &new.teams).await?;
    find(change, workspace, &id.0.into()).await
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: Gateway,
    patch: GatewayPatch,
) -> Result<Gateway, Error> {
    if patch.touches_more_than_switches() {
        check(change, gateway.id, &gateway.name)?;
    }
    if let Some(name) = patch.name.filter(|it| *it != gateway.name) {
        store::rename(change, workspace, gateway.id, &name)
            .await
            .map_err(|error| Error::saving(error, "gateway", &name))?;
    }
    if let Some(teams) = patch.teams {
        set_teams(change, workspace, gateway.id, &teams).await?;
    }
    if let Some(AddressesText(addresses)) = patch.addresses {
        store::set_addresses(change, workspace, gateway.id, &addresses).await?;
    }
    if let Some(seconds) = patch.max_autonomy_seconds {
        check_autonomy(seconds)?;
        store::set_autonomy(change, workspace, gateway.id, seconds).await?;
    }
    let target = Target::Gateway(gateway.id);
    switches::set_enabled(change, workspace, target, patch.enabled).await?;
    find(change, workspace, &gateway.id.0.into()).await
}

/// The longest time for which calls may be decided without the database: every change waits as long
/// for a replica that has lost it.
pub(crate) const MOST_AUTONOMY: Duration = Duration::from_secs(60);

fn check_autonomy(seconds: u8) -> Result<(), Error> {
    let most = MOST_AUTONOMY.as_secs();
    if u64::from(seconds) <= most {
        return Ok(());
    }
    Err(Error::Invalid(format!("`max_autonomy_seconds` is {most} at most")))
}

/// Grants it to these teams and no others.
async fn set_teams(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    teams: &[Ref],
) -> Result<(), Error> {
    let mut wanted = BTreeSet::new();
    for team in teams {
        wanted.insert(teams::find(change, workspace, team).await.map_err(Error::in_body)?.id);
    }
    store::remove_grants(change, workspace, gateway).await?;
    for team in wanted {
        store::add_grant(change, workspace, gateway, team).await?;
    }
    Ok(())
}

async fn add_grant(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
    team: TeamId,
) -> Result<(), Error> {
    check(change, gateway.id, &gateway.name)?;
    Ok(store::add_grant(change, workspace, gateway.id, team).await?)
}

async fn remove_grant(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
    team: TeamId,
) -> Result<(), Error> {
    check(change, gateway.id, &gateway.name)?;
    Ok(store::remove_grant(change, workspace, gateway.id, team).await?)
}

/// Its grants, assignments and rules go with it; connections stand in the way.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
) -> Result<(), Error> {
    check(change, gateway.id, &gateway.name)?;
    let mut by = store::uses(change, workspace, gateway.id).await?;
    by.extend(limits::naming(change, workspace, gateway.id.0).await?);
    if !by.is_empty() {
        return Err(Error::InUse { kind: "gateway", name: gateway.name.to_string(), by });
    }
    for assignment in store::assignments(change, workspace, gateway.id).await? {
        switches::forget(change, workspace, Target::Assignment(assignment)).await?;
    }
    switches::forget(change, workspace, Target::Gateway(gateway.id)).await?;
    Ok(store::delete(change, workspace, gateway.id).await?)
}

/// Whether a gateway, and the servers on it, may be changed.
pub(crate) fn check(change: &Change, gateway: GatewayId, name: &Name) -> Result<(), Error> {
    let object = Object::from(Scope::Gateway(gateway));
    change.require(Capability::GatewaysWrite, &object, ("gateway", name))
}
