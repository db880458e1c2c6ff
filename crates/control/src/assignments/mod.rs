//! Servers on gateways: under which alias, with whose credential, exposing what.

mod api;
mod condition;
mod provision;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{
    AssignmentId, Capability, GatewayId, IdentityId, Name, Object, Provision, ServerId, Target,
    WorkspaceId,
};

pub(crate) use api::{AssignmentPatch, NewAssignment, routes};
#[cfg(feature = "fuzzing")]
pub(crate) use condition::Checked;
pub(crate) use provision::{ProvisionText, SchemeText};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::row::Named;
use crate::switches::{self, Off};
use crate::{gateways, identities, servers};

#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) id: AssignmentId,
    pub(crate) gateway: Named<GatewayId>,
    pub(crate) alias: Name,
    pub(crate) server: Named<ServerId>,
    pub(crate) scheme: SchemeText,
    /// Present exactly where the scheme is shared.
    pub(crate) identity: Option<Named<IdentityId>>,
    pub(crate) tools: Provision,
    pub(crate) prompts: Provision,
    pub(crate) resources: Provision,
    /// Where its tools stand in lists: lower ones first.
    pub(crate) position: i64,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Of one gateway, by alias.
pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
    which: Which<'_>,
) -> Result<Vec<Assignment>, Error> {
    store::select(tx, workspace, Some(gateway), which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
    assignment: &Ref,
) -> Result<Assignment, Error> {
    let which = Which::One(assignment);
    let found = store::select(tx, workspace, Some(gateway), which).await?.pop();
    found.ok_or_else(|| assignment.not_found("assignment"))
}

/// By its id alone.
pub(crate) async fn find_by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    assignment: AssignmentId,
) -> Result<Assignment, Error> {
    let id = Ref::Id(assignment.0);
    let found = store::select(tx, workspace, None, Which::One(&id)).await?.pop();
    found.ok_or_else(|| id.not_found("assignment"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: Named<GatewayId>,
    new: NewAssignment,
) -> Result<Assignment, Error> {
    let stamp = change.stamp();
    let server = servers::find(change, workspace, &new.server).await.map_err(Error::in_body)?;
    let server = Named { id: server.id, name: server.name };
    gateways::check(change, gateway.id, &gateway.name)?;
    // Whoever exposes a server decides about the server as well as about the gateway.
    let object = Object::Server(server.id);
    change
        .require(Capability::ServersWrite, &object, ("server", &new.server))
        .map_err(Error::in_body)?;
    let identity = shared(change, workspace, &server, new.scheme, new.identity).await?;
    let position = match new.position {
        Some(position) => position,
        None => store::next_position(change, workspace, gateway.id).await?,
    };
    let assignment = Assignment {
        id: AssignmentId(stamp.id),
        gateway,
        alias: new.alias.unwrap_or_else(|| server.name.clone()),
        server,
        scheme: new.scheme,
        identity,
        tools: new.tools.into(),
        prompts: new.prompts.into(),
        resources: new.resources.into(),
        position,
        off: None,
        created_at: stamp.at,
    };
    store::insert(change, workspace, &assignment)
        .await
        .map_err(|error| Error::saving(error, "assignment", &assignment.alias))?;
    Ok(assignment)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut assignment: Assignment,
    patch: AssignmentPatch,
) -> Result<Assignment, Error> {
    if patch.touches_more_than_switches() {
        let gateway = &assignment.gateway;
        gateways::check(change, gateway.id, &gateway.name)?;
        let before = assignment.clone();
        assignment.alias = patch.alias.unwrap_or(assignment.alias);
        if patch.scheme.is_some() || patch.identity.is_some() {
            assignment.scheme = patch.scheme.unwrap_or(assignment.scheme);
            let known = assignment.identity.as_ref().map(|it| Ref::Id(it.id.0));
            let known = known.filter(|_| assignment.scheme == SchemeText::Shared);
            let wanted = patch.identity.unwrap_or(known);
            let (server, scheme) = (&assignment.server, assignment.scheme);
            let same = |it: &Ref| {
                before.identity.as_ref().is_some_and(|was| it.means(was.id.0, &was.name))
            };
            if scheme != before.scheme || !wanted.as_ref().is_some_and(same) {
                assignment.identity = shared(change, workspace, server, scheme, wanted).await?;
            }
        }
        assignment.tools = patch.tools.map_or(assignment.tools, Into::into);
        assignment.prompts = patch.prompts.map_or(assignment.prompts, Into::into);
        assignment.resources = patch.resources.map_or(assignment.resources, Into::into);
        assignment.position = patch.position.unwrap_or(assignment.position);
        store::update(change, workspace, &assignment)
            .await
            .map_err(|error| Error::saving(error, "assignment", &assignment.alias))?;
    }
    let target = Target::Assignment(assignment.id);
    switches::set_enabled(change, workspace, target, patch.enabled).await?;
    find_by_id(change, workspace, assignment.id).await
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    assignment: &Assignment,
) -> Result<(), Error> {
    let gateway = &assignment.gateway;
    gateways::check(change, gateway.id, &gateway.name)?;
    switches::forget(change, workspace, Target::Assignment(assignment.id)).await?;
    Ok(store::delete(change, workspace, assignment.id).await?)
}

/// The identity to share, which must be for this server and be nobody's own.
async fn shared(
    change: &mut Change,
    workspace: WorkspaceId,
    server: &Named<ServerId>,
    scheme: SchemeText,
    identity: Option<Ref>,
) -> Result<Option<Named<IdentityId>>, Error> {
    match (scheme, identity) {
        (SchemeText::Shared, Some(named)) => {
            let identity =
                identities::find(change, workspace, &named).await.map_err(Error::in_body)?;
            let name = &identity.name;
            change
                .require(Capability::IdentitiesWrite, &identity.object(), ("identity", &named))
                .map_err(Error::in_body)?;
            if identity.server.id != server.id {
                let of = &identity.server.name;
                return Err(Error::Invalid(format!("identity `{name}` is for server `{of}`")));
            }
            if identity.owner.is_some() {
                return Err(Error::Invalid(format!(
                    "identity `{name}` belongs to a person and cannot be shared"
                )));
            }
            Ok(Some(Named { id: identity.id, name: identity.name }))
        }
        (SchemeText::Shared, None) => {
            Err(Error::Invalid("the scheme `shared` needs an `identity`".into()))
        }
        (_, Some(_)) => Err(Error::Invalid("only the scheme `shared` takes an `identity`".into())),
        (_, None) => Ok(None),
    }
}
