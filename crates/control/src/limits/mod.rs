//! Limits: how much may be used, and by whom together.
//!
//! What a limit counts, and for whom, is settled when it is made, so that what has been counted keeps
//! its meaning; its name, its gateway and how much it allows can be changed. Whatever a limit names
//! stays as long as the limit does. [`counters`] keeps the accounts.

mod api;
pub(crate) mod counters;
mod store;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::limits::{Allowance, Scope, Unit};
use domain::{AppId, Capability, GatewayId, LimitId, Name, ServerId, TeamId, UserId, WorkspaceId};
use uuid::Uuid;
use vault::Secret;

pub(crate) use api::{LimitPatch, NewLimit, routes};
pub(crate) use text::{AllowanceText, DirectionText, ScopeText, UnitText, unit, unit_text};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::row::Named;
use crate::{apps, gateways, servers, teams, users};

/// Where all replicas count together: Valkey or Redis.
#[derive(Clone, Debug)]
pub struct CounterStore {
    pub host: String,
    pub port: u16,
    /// Absent where what is said is in clear.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// `default` where absent.
    pub user: Option<String>,
    pub password: Option<Arc<Secret>>,
    pub database: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) id: LimitId,
    pub(crate) name: Name,
    pub(crate) scope: Scope,
    /// The same with names.
    pub(crate) scope_text: ScopeText,
    pub(crate) unit: Unit,
    pub(crate) allowance: Allowance,
    /// The only gateway on which it counts.
    pub(crate) gateway: Option<Named<GatewayId>>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Limit {
    /// As the data plane knows it.
    pub(crate) fn of_domain(&self) -> domain::Limit {
        domain::Limit {
            id: self.id,
            name: self.name.clone(),
            scope: self.scope.clone(),
            unit: self.unit,
            allowance: self.allowance,
            gateway: self.gateway.as_ref().map(|it| it.id),
        }
    }
}

/// By name.
pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Limit>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, limit: &Ref) -> Result<Limit, Error> {
    let found = store::select(tx, workspace, Which::One(limit)).await?.pop();
    found.ok_or_else(|| limit.not_found("limit"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewLimit,
) -> Result<Limit, Error> {
    change.require_on_workspace(Capability::LimitsWrite)?;
    if MOST_LIMITS <= store::count(change, workspace).await? {
        return Err(Error::Invalid(format!("a workspace has at most {MOST_LIMITS} limits")));
    }
    let stamp = change.stamp();
    let limit = Limit {
        id: LimitId(stamp.id),
        name: new.name,
        scope: resolved(change, workspace, &new.scope).await?,
        scope_text: new.scope,
        unit: unit(new.unit, new.direction)?,
        allowance: new.allowance.try_into()?,
        gateway: gateway(change, workspace, new.gateway.as_ref()).await?,
        created_at: stamp.at,
    };
    store::insert(change, workspace, &limit)
        .await
        .map_err(|error| Error::saving(error, "limit", &limit.name))?;
    Ok(limit)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut limit: Limit,
    patch: LimitPatch,
) -> Result<Limit, Error> {
    change.require_on_workspace(Capability::LimitsWrite)?;
    limit.name = patch.name.unwrap_or(limit.name);
    if let Some(wanted) = patch.gateway {
        limit.gateway = gateway(change, workspace, wanted.as_ref()).await?;
    }
    if let Some(wanted) = patch.allowance {
        let wanted = wanted.try_into()?;
        // What a rate has counted says nothing to a quota, nor the other way round.
        let is_alike = matches!(
            (limit.allowance, wanted),
            (Allowance::Rate(_), Allowance::Rate(_)) | (Allowance::Quota(_), Allowance::Quota(_))
        );
        if !is_alike {
            counters::forget(change, workspace, limit.id).await?;
        }
        limit.allowance = wanted;
    }
    store::update(change, workspace, &limit)
        .await
        .map_err(|error| Error::saving(error, "limit", &limit.name))?;
    Ok(limit)
}

/// What it has counted goes with it.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    limit: &Limit,
) -> Result<(), Error> {
    change.require_on_workspace(Capability::LimitsWrite)?;
    Ok(store::delete(change, workspace, limit.id).await?)
}

/// The limits that name something, as they are to be told to whoever wants to delete that.
pub(crate) async fn naming(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Vec<String>, Error> {
    Ok(store::naming(tx, workspace, id).await?)
}

/// More would cost every call of the workspace.
const MOST_LIMITS: i64 = 1_000;

/// The longest name of a tool that a limit may name, in bytes.
const LONGEST_TOOL: usize = 1_024;

async fn gateway(
    tx: &mut Tx,
    workspace: WorkspaceId,
    wanted: Option<&Ref>,
) -> Result<Option<Named<GatewayId>>, Error> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = gateways::find(tx, workspace, wanted).await.map_err(Error::in_body)?;
    Ok(Some(Named { id: found.id, name: found.name }))
}

async fn resolved(tx: &mut Tx, workspace: WorkspaceId, scope: &ScopeText) -> Result<Scope, Error> {
    Ok(match scope {
        ScopeText::Workspace {} => Scope::Workspace,
        ScopeText::User { user } => Scope::User(match user {
            Some(name) => {
                let found = users::find(tx, workspace, &name.into()).await;
                Some(found.map_err(Error::in_body)?.id)
            }
            None => None,
        }),
        ScopeText::App { app } => Scope::App(match app {
            Some(name) => {
                let found = apps::find(tx, workspace, &name.into()).await;
                Some(found.map_err(Error::in_body)?.id)
            }
            None => None,
        }),
        ScopeText::Team { team } => Scope::Team(match team {
            Some(name) => {
                let found = teams::find(tx, workspace, &name.into()).await;
                Some(found.map_err(Error::in_body)?.id)
            }
            None => None,
        }),
        ScopeText::Gateway { gateway } => Scope::Gateway(match gateway {
            Some(name) => {
                let found = gateways::find(tx, workspace, &name.into()).await;
                Some(found.map_err(Error::in_body)?.id)
            }
            None => None,
        }),
        ScopeText::Server { server: None } => Scope::Server(None),
        ScopeText::Server { server: Some(name) } => {
            Scope::Server(Some(server(tx, workspace, name).await?))
        }
        ScopeText::Tool { server: None, tool: None } => Scope::Tool(None),
        ScopeText::Tool { server: Some(name), tool: Some(tool) } => {
            if tool.is_empty() || LONGEST_TOOL < tool.len() || tool.contains('\0') {
                return Err(Error::Invalid("`tool` is no name of a tool".into()));
            }
            Scope::Tool(Some((server(tx, workspace, name).await?, tool.as_str().into())))
        }
        ScopeText::Tool { .. } => {
            return Err(Error::Invalid("say both `server` and `tool`, or neither".into()));
        }
    })
}

async fn server(tx: &mut Tx, workspace: WorkspaceId, name: &Name) -> Result<ServerId, Error> {
    Ok(servers::find(tx, workspace, &name.into()).await.map_err(Error::in_body)?.id)
}

/// A scope as it is stored: what it is of, whom it names, and which tool.
pub(crate) fn stored(scope: &Scope) -> (&'static str, Option<Uuid>, Option<&str>) {
    match scope {
        Scope::Workspace => ("workspace", None, None),
        Scope::User(only) => ("user", only.map(|it| it.0), None),
        Scope::App(only) => ("app", only.map(|it| it.0), None),
        Scope::Team(only) => ("team", only.map(|it| it.0), None),
        Scope::Gateway(only) => ("gateway", only.map(|it| it.0), None),
        Scope::Server(only) => ("server", only.map(|it| it.0), None),
        Scope::Tool(only) => {
            let (server, tool) = only.as_ref().map(|it| (it.0.0, &*it.1)).unzip();
            ("tool", server, tool)
        }
    }
}

/// The name of what a limit of this scope counts for, unless it is there no more.
fn name_of(workspace: &domain::Workspace, scope: &Scope, id: Uuid) -> Option<Name> {
    match scope {
        Scope::Workspace => Some(workspace.name.clone()).filter(|_| workspace.id.0 == id),
        Scope::User(_) => workspace.users.get(&UserId(id)).map(|it| it.name.clone()),
        Scope::App(_) => workspace.apps.get(&AppId(id)).map(|it| it.name.clone()),
        Scope::Team(_) => workspace.teams.get(&TeamId(id)).cloned(),
        Scope::Gateway(_) => {
            let mut gateways = workspace.gateways.values();
            gateways.find(|it| it.id.0 == id).map(|it| it.name.clone())
        }
        Scope::Server(_) | Scope::Tool(_) => {
            workspace.servers.get(&ServerId(id)).map(|it| it.name.clone())
        }
    }
}

/// The other way round; `None` where it was not written by us.
pub(crate) fn scope(kind: &str, subject: Option<Uuid>, tool: Option<&str>) -> Option<Scope> {
    Some(match (kind, tool) {
        ("workspace", None) if subject.is_none() => Scope::Workspace,
        ("user", None) => Scope::User(subject.map(UserId)),
        ("app", None) => Scope::App(subject.map(AppId)),
        ("team", None) => Scope::Team(subject.map(TeamId)),
        ("gateway", None) => Scope::Gateway(subject.map(GatewayId)),
        ("server", None) => Scope::Server(subject.map(ServerId)),
        ("tool", None) if subject.is_none() => Scope::Tool(None),
        ("tool", Some(tool)) => Scope::Tool(Some((ServerId(subject?), tool.into()))),
        _ => return None,
    })
}
