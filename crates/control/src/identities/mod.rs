//! Credentials for servers: headers that are sealed as they arrive and opened on their way
//! upstream. No answer of the admin API holds a value.

mod api;
mod headers;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, IdentityId, Name, Object, ServerId, Target, UserId, WorkspaceId};

pub(crate) use api::{IdentityBody, IdentityPatch, NewIdentity, routes};
pub(crate) use headers::{Headers, SecretText, VaultSecrets};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::row::Named;
use crate::switches::{self, Off};
use crate::{servers, users};

#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: IdentityId,
    pub(crate) name: Name,
    pub(crate) server: Named<ServerId>,
    /// Whose it is; absent for one that is shared.
    pub(crate) owner: Option<Named<UserId>>,
    /// The names of the headers that it sets.
    pub(crate) headers: Vec<String>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Identity {
    /// As those see it who decide about it.
    pub(crate) fn object(&self) -> Object {
        Object::Identity { server: self.server.id, owner: self.owner.as_ref().map(|it| it.id) }
    }
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Identity>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    identity: &Ref,
) -> Result<Identity, Error> {
    let found = store::select(tx, workspace, Which::One(identity)).await?.pop();
    found.ok_or_else(|| identity.not_found("identity"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewIdentity,
) -> Result<Identity, Error> {
    let stamp = change.stamp();
    let server = servers::find(change, workspace, &new.server).await.map_err(Error::in_body)?;
    let named = ("server", &new.server);
    change
        .require(Capability::IdentitiesWrite, &Object::Server(server.id), named)
        .map_err(Error::in_body)?;
    let owner = match &new.owner {
        Some(owner) => Some(users::find(change, workspace, owner).await.map_err(Error::in_body)?),
        None => None,
    };
    let headers = Headers::parse(new.headers)?;
    let id = IdentityId(stamp.id);
    let identity = Identity {
        id,
        name: new.name,
        server: Named { id: server.id, name: server.name },
        owner: owner.map(|it| Named { id: it.id, name: it.name }),
        headers: headers.names(),
        sealed: headers.seal(&change.app().vault, workspace, id)?,
        off: None,
        created_at: stamp.at,
    };
    store::insert(change, workspace, &identity)
        .await
        .map_err(|error| Error::saving(error, "identity", &identity.name))?;
    Ok(identity)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut identity: Identity,
    patch: IdentityPatch,
) -> Result<Identity, Error> {
    if patch.touches_more_than_switches() {
        check(change, &identity)?;
        identity.name = patch.name.unwrap_or(identity.name);
        if let Some(headers) = patch.headers {
            let headers = Headers::parse(headers)?;
            identity.headers = headers.names();
            identity.sealed = headers.seal(&change.app().vault, workspace, identity.id)?;
        }
        store::update(change, workspace, &identity)
            .await
            .map_err(|error| Error::saving(error, "identity", &identity.name))?;
    }
    let target = Target::Identity(identity.id);
    switches::set_enabled(change, workspace, target, patch.enabled).await?;
    find(change, workspace, &identity.id.0.into()).await
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    identity: &Identity,
) -> Result<(), Error> {
    check(change, identity)?;
    let by = store::uses(change, workspace, identity.id).await?;
    if !by.is_empty() {
        return Err(Error::InUse { kind: "identity", name: identity.name.to_string(), by });
    }
    switches::forget(change, workspace, Target::Identity(identity.id)).await?;
    Ok(store::delete(change, workspace, identity.id).await?)
}

fn check(change: &Change, identity: &Identity) -> Result<(), Error> {
    change.require(Capability::IdentitiesWrite, &identity.object(), ("identity", &identity.name))
}
