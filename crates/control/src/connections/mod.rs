//! Apps on gateways, with the credentials that they use where a server asks for the caller's own.
//!
//! A connection is named for its app and its gateway: `app/gateway`.

mod api;
mod picks;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{
    AppId, Capability, ConnectionId, GatewayId, IdentityId, Name, Object, ServerId, Target, UserId,
    WorkspaceId,
};

pub(crate) use api::{ConnectionPatch, NewConnection, routes};
pub(crate) use picks::Picking;

use crate::api::{Error, Ref, Which};
use crate::apps::App;
use crate::change::Change;
use crate::row::Named;
use crate::switches::{self, Off};
use crate::{assignments, gateways, identities};

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) app: Named<AppId>,
    pub(crate) gateway: Named<GatewayId>,
    /// The person for whom the app acts here.
    pub(crate) user: Named<UserId>,
    /// By server.
    pub(crate) choices: BTreeMap<Name, Name>,
    /// Whether the app is at this gateway where one URL is for several.
    pub(crate) picked: bool,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Connection {
    /// As those see it who decide about it.
    pub(crate) fn object(&self) -> Object {
        Object::Connection { gateway: self.gateway.id, owner: self.user.id }
    }

    fn check(&self, change: &Change) -> Result<(), Error> {
        self.check_as(change, self.name())
    }

    /// The same of one that goes by what it was called, since who may not see it is not told its name.
    fn check_as(&self, change: &Change, called: String) -> Result<(), Error> {
        change.require(Capability::AppsWrite, &self.object(), ("connection", called))
    }

    /// `app/gateway`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.app.name, self.gateway.name)
    }

    /// What pages go by. No name holds anything before a blank, so these sort as pairs do.
    fn key(&self) -> String {
        format!("{} {}", self.app.name, self.gateway.name)
    }
}

/// Of one app, or of all, by name.
pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: Option<AppId>,
    which: Which<'_>,
) -> Result<Vec<Connection>, Error> {
    store::select(tx, workspace, app, which).await
}

/// By its id or by its gateway.
pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: AppId,
    connection: &Ref,
) -> Result<Connection, Error> {
    let which = Which::One(connection);
    let found = store::select(tx, workspace, Some(app), which).await?.pop();
    found.ok_or_else(|| connection.not_found("connection"))
}

/// By its id alone.
pub(crate) async fn find_by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> Result<Connection, Error> {
    let id = Ref::Id(connection.0);
    let found = store::select(tx, workspace, None, Which::One(&id)).await?.pop();
    found.ok_or_else(|| id.not_found("connection"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
    new: NewConnection,
) -> Result<Connection, Error> {
    let stamp = change.stamp();
    // An app is connected by those who know of it and decide about it or about the gateway.
    change.require(Capability::AppsRead, &app.object(), ("app", &app.name))?;
    let gateway = gateways::find(change, workspace, &new.gateway).await.map_err(Error::in_body)?;
    let connection = Connection {
        id: ConnectionId(stamp.id),
        app: Named { id: app.id, name: app.name.clone() },
        gateway: Named { id: gateway.id, name: gateway.name },
        user: app.owner.clone(),
        choices: BTreeMap::new(),
        picked: false,
        off: None,
        created_at: stamp.at,
    };
    if !change.rights().may(Capability::AppsWrite, &app.object()) {
        let called = format!("{}/{}", app.name, new.gateway);
        connection.check_as(change, called).map_err(Error::in_body)?;
    }
    store::insert(change, workspace, &connection)
        .await
        .map_err(|error| Error::saving(error, "connection to gateway", &connection.gateway.name))?;
    choose(change, workspace, &connection, &new.identities).await?;
    find_by_id(change, workspace, connection.id).await
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: Connection,
    patch: ConnectionPatch,
) -> Result<Connection, Error> {
    if let Some(identities) = patch.identities {
        connection.check(change)?;
        choose(change, workspace, &connection, &identities).await?;
    }
    if let Some(picked) = patch.picked.filter(|it| *it != connection.picked) {
        connection.check(change)?;
        let (app, gateway) = (connection.app.id, connection.gateway.id);
        store::unpick(change, workspace, app).await?;
        if picked {
            store::pick(change, workspace, app, gateway).await?;
        }
    }
    let target = Target::Connection(connection.id);
    switches::set_enabled(change, workspace, target, patch.enabled).await?;
    find_by_id(change, workspace, connection.id).await
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: &Connection,
) -> Result<(), Error> {
    connection.check(change)?;
    switches::forget(change, workspace, Target::Connection(connection.id)).await?;
    Ok(store::delete(change, workspace, connection.id).await?)
}

/// Before their app goes.
pub(crate) async fn delete_all(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
) -> Result<(), Error> {
    for it in store::select(change, workspace, Some(app), Which::All).await? {
        delete(change, workspace, &it).await?;
    }
    Ok(())
}

/// Before an app gets another owner: the connections act for the new one from then on, who must
/// not come by the credentials of the old one.
pub(crate) async fn hand_over(
    change: &mut Change,
    workspace: WorkspaceId,
    app: AppId,
    owner: UserId,
) -> Result<(), Error> {
    let kept = store::private_choices(change, workspace, app, owner).await?;
    if !kept.is_empty() {
        return Err(Error::Invalid(format!(
            "its connections use credentials of its present owner: {}",
            kept.join(", ")
        )));
    }
    Ok(store::hand_over(change, workspace, app, owner).await?)
}

/// Makes these, and no others, the chosen credentials: at most one for each server that is on the
/// gateway, and nobody else's.
async fn choose(
    change: &mut Change,
    workspace: WorkspaceId,
    connection: &Connection,
    chosen: &[Ref],
) -> Result<(), Error> {
    let gateway = connection.gateway.id;
    let assigned = assignments::list(change, workspace, gateway, Which::All).await?;
    let mut choices: BTreeMap<ServerId, IdentityId> = BTreeMap::new();
    for called in chosen {
        let identity = identities::find(change, workspace, called).await.map_err(Error::in_body)?;
        let (name, server) = (&identity.name, &identity.server);
        if !connection.choices.values().any(|it| it == name) {
            // Whoever has a credential used decides about it; a person's own is used for them.
            let needed = match identity.owner {
                None => Capability::IdentitiesWrite,
                Some(_) => Capability::IdentitiesRead,
            };
            change
                .require(needed, &identity.object(), ("identity", called))
                .map_err(Error::in_body)?;
        }
        if identity.owner.as_ref().is_some_and(|it| it.id != connection.user.id) {
            let user = &connection.user.name;
            return Err(Error::Invalid(format!("identity `{name}` does not belong to `{user}`")));
        }
        if !assigned.iter().any(|it| it.server.id == server.id) {
            let (server, gateway) = (&server.name, &connection.gateway.name);
            return Err(Error::Invalid(format!(
                "identity `{name}` is for server `{server}`, which is not on gateway `{gateway}`"
            )));
        }
        if choices.insert(server.id, identity.id).is_some() {
            let server = &server.name;
            return Err(Error::Invalid(format!("choose one identity for server `{server}`")));
        }
    }
    store::remove_choices(change, workspace, connection.id).await?;
    for (server, identity) in choices {
        store::add_choice(change, workspace, connection.id, (server, identity)).await?;
    }
    Ok(())
}
