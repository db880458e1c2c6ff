//! The upstream MCP servers that gateways can reach. Registering one exposes it to nobody.

mod api;
mod store;
#[cfg(test)]
mod tests;
mod transport;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{
    Capability, EraSetting, Name, Object, ServerId, Target, TasksSetting, Transport, WorkspaceId,
};

pub(crate) use api::{NewServer, ServerPatch, routes};
pub(crate) use transport::{EraText, ReviewText, TasksText, TransportText};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::labels::{self, Labels, ToolLabels};
use crate::switches::{self, Off};
use crate::{limits, pins};

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) id: ServerId,
    pub(crate) name: Name,
    pub(crate) transport: Transport,
    pub(crate) era: EraSetting,
    pub(crate) tasks: TasksSetting,
    pub(crate) roots: bool,
    pub(crate) review: ReviewText,
    /// For policies.
    pub(crate) labels: Labels,
    pub(crate) tool_labels: ToolLabels,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Server>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: &Ref,
) -> Result<Server, Error> {
    let found = store::select(tx, workspace, Which::One(server)).await?.pop();
    found.ok_or_else(|| server.not_found("server"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewServer,
) -> Result<Server, Error> {
    change.require_on_workspace(Capability::ServersWrite)?;
    let stamp = change.stamp();
    let server = Server {
        id: ServerId(stamp.id),
        name: new.name,
        transport: new.transport.into(),
        era: new.era.into(),
        tasks: new.tasks.into(),
        roots: new.roots,
        review: new.review,
        labels: new.labels,
        tool_labels: new.tool_labels,
        off: None,
        created_at: stamp.at,
    };
    if server.review == ReviewText::Off {
        check_unreviewed(change, &server)?;
    }
    labels::check_change(change, &server.labels, &Labels::new())?;
    labels::check_change(change, &server.tool_labels, &ToolLabels::new())?;
    check(change, &server)?;
    check_command(change, &server)?;
    store::insert(change, workspace, &server)
        .await
        .map_err(|error| Error::saving(error, "server", &server.name))?;
    Ok(server)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut server: Server,
    patch: ServerPatch,
) -> Result<Server, Error> {
    if patch.touches_more_than_switches() {
        let object = Object::Server(server.id);
        change.require(Capability::ServersWrite, &object, ("server", &server.name))?;
        let was = server.transport.clone();
        server.name = patch.name.unwrap_or(server.name);
        server.transport = patch.transport.map_or(server.transport, Into::into);
        server.era = patch.era.map_or(server.era, Into::into);
        server.tasks = patch.tasks.map_or(server.tasks, Into::into);
        server.roots = patch.roots.unwrap_or(server.roots);
        if let Some(labels) = patch.labels {
            labels::check_change(change, &labels, &server.labels)?;
            server.labels = labels;
        }
        if let Some(labels) = patch.tool_labels {
            labels::check_change(change, &labels, &server.tool_labels)?;
            server.tool_labels = labels;
        }
        let was_reviewed = server.review == ReviewText::On;
        server.review = patch.review.unwrap_or(server.review);
        if server.review == ReviewText::Off && was_reviewed {
            check_unreviewed(change, &server)?;
        }
        check(change, &server)?;
        if server.transport != was {
            check_command(change, &server)?;
        }
        store::update(change, workspace, &server)
            .await
            .map_err(|error| Error::saving(error, "server", &server.name))?;
        if server.transport != was {
            keep_credentials_at_home(change, workspace, &server, &was).await?;
        }
    }
    let target = Target::Server(server.id);
    switches::set_enabled(change, workspace, target, patch.enabled).await?;
    find(change, workspace, &server.id.0.into()).await
}

/// A server without a review has all approved that it lists, and ever will.
fn check_unreviewed(change: &Change, server: &Server) -> Result<(), Error> {
    change.require(Capability::PinsWrite, &Object::Server(server.id), ("server", &server.name))
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    server: &Server,
) -> Result<(), Error> {
    change.require(
        Capability::ServersWrite,
        &Object::Server(server.id),
        ("server", &server.name),
    )?;
    let mut by = store::uses(change, workspace, server.id).await?;
    by.extend(limits::naming(change, workspace, server.id.0).await?);
    if !by.is_empty() {
        return Err(Error::InUse { kind: "server", name: server.name.to_string(), by });
    }
    switches::forget(change, workspace, Target::Server(server.id)).await?;
    pins::forget(change, workspace, server.id).await?;
    Ok(store::delete(change, workspace, server.id).await?)
}

/// A credential is for one origin. Moving the server elsewhere would send it there.
async fn keep_credentials_at_home(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: &Server,
    was: &Transport,
) -> Result<(), Error> {
    if transport::is_same_origin(&server.transport, was) {
        return Ok(());
    }
    let by = store::identities(tx, workspace, server.id).await?;
    if by.is_empty() {
        return Ok(());
    }
    Err(Error::InUse { kind: "the address of server", name: server.name.to_string(), by })
}

/// A command runs on our own machine, with our own rights: that is more than a workspace.
fn check_command(change: &Change, server: &Server) -> Result<(), Error> {
    match server.transport {
        Transport::Stdio { .. } => change.require_on_workspace(Capability::CommandsWrite),
        Transport::Http { .. } | Transport::Sse { .. } => Ok(()),
    }
}

fn check(change: &Change, server: &Server) -> Result<(), Error> {
    labels::check(&server.labels)?;
    labels::check_tools(&server.tool_labels)?;
    transport::check(&server.transport, change.app().allow_loopback).map_err(Error::Invalid)?;
    if matches!(server.transport, Transport::Sse { .. }) && server.era == EraSetting::Modern {
        let why = "the transport `sse` knows no modern era; leave `era` out, or use `http`";
        return Err(Error::Invalid(why.into()));
    }
    Ok(())
}
