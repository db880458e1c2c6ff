//! What each route needs, as it says itself.
//!
//! A route says so where it is declared, in the member `x-capability` of its description, which
//! clients can read, too. It is a capability, for what the address names and for all of the
//! workspace where the address names nothing; or a capability and `somewhere`, where the handler
//! looks further, at each row or at what the body names; or `each`, where all depends on the body;
//! or `any`, for whoever is signed in; or `own`, for users, who are shown what is theirs. A route that
//! says nothing lets nobody in.
//!
//! What is dangerous says so in `x-step-up`: whoever has only shown a cookie for a while proves first who
//! they are.

use std::collections::HashMap;

use axum::http::Method;
use domain::{Capability, Object, Workspace};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::rights::Rights;
use super::{Error, Ref};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Somebody who is signed in.
    Anybody,
    /// What its body says.
    Each,
    /// A capability on what the address names.
    Named(Capability),
    /// Somebody who is a user.
    Own,
    /// A capability, wherever it is held.
    Somewhere(Capability),
}

/// The needs of all routes, and whether they are dangerous.
pub(super) struct Table(HashMap<(Method, String), (Needs, bool)>);

impl Table {
    /// From the description of the routes, whose addresses are as the router has them.
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut all = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                let extensions = operation.as_ref().and_then(|it| it.extensions.as_ref());
                let said = extensions.and_then(|it| it.get("x-capability"));
                let is_dangerous = extensions.is_some_and(|it| it.contains_key("x-step-up"));
                if let Some(needs) = said.and_then(Value::as_str).and_then(Needs::parse) {
                    all.insert((method, path.clone()), (needs, is_dangerous));
                }
            }
        }
        Self(all)
    }

    /// `None` where a route has said nothing that makes sense.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<(Needs, bool)> {
        // Asking for the head of an answer is asking for the answer.
        let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned())).copied()
    }
}

impl Needs {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Anybody),
            "each" => Some(Self::Each),
            "own" => Some(Self::Own),
            _ => match text.strip_suffix(" somewhere") {
                Some(text) => text.parse().ok().map(Self::Somewhere),
                None => text.parse().ok().map(Self::Named),
            },
        }
    }

    /// Whether there is anything for which [`Needs::check`] could let this caller pass, as far as can be
    /// told without an address that is filled in.
    pub(crate) fn can_be_met(self, rights: &Rights, template: &str) -> bool {
        match self {
            Self::Anybody | Self::Each => true,
            Self::Own => rights.user().is_some(),
            Self::Somewhere(capability) => !rights.reach(capability).is_empty(),
            Self::Named(capability) => {
                let is_within = |kind: &&str| template.contains(&format!("/{{{kind}}}"));
                if KINDS.iter().any(&is_within) {
                    return !rights.reach(capability).is_empty();
                }
                let is_in_workspace = is_within(&"workspace");
                let above = if is_in_workspace { Object::Workspace } else { Object::Installation };
                rights.may(capability, &above)
            }
        }
    }

    /// Whether a request may go on to its handler.
    pub(super) fn check(self, rights: &Rights, params: &[(String, String)]) -> Result<(), Error> {
        match self {
            Self::Anybody | Self::Each => Ok(()),
            Self::Own if rights.user().is_some() => Ok(()),
            Self::Own => Err(Error::Forbidden(
                "this is what a user of the workspace has, and whoever administers the installation \
                 is none of them"
                    .into(),
            )),
            Self::Somewhere(capability) if rights.reach(capability).is_empty() => {
                Err(Error::forbidden(capability, "something in the workspace"))
            }
            Self::Somewhere(_) => Ok(()),
            Self::Named(capability) => {
                let named = match rights.workspace() {
                    Some(workspace) => named(workspace, params)?,
                    // They may do anything, and whether the thing exists is said by the handler.
                    None => Found { kind: "installation", name: "this", object: above(params) },
                };
                rights.require(capability, &named.object, (named.kind, named.name))
            }
        }
    }
}

/// What an address can be about, the nearest first.
const KINDS: [&str; 7] = ["gateway", "server", "team", "user", "identity", "app", "grant"];

/// What an address is about.
struct Found<'a> {
    kind: &'static str,
    name: &'a str,
    object: Object,
}

fn above(params: &[(String, String)]) -> Object {
    if params.iter().any(|(it, _)| it == "workspace") {
        Object::Workspace
    } else {
        Object::Installation
    }
}

/// The nearest thing to the workspace that the address names and that roles can be granted on, or
/// that belongs to somebody.
fn named<'a>(workspace: &'a Workspace, params: &'a [(String, String)]) -> Result<Found<'a>, Error> {
    let param = |name: &str| params.iter().find(|(it, _)| it == name).map(|it| it.1.as_str());
    let Some((kind, name)) = KINDS.iter().find_map(|it| Some((*it, param(it)?))) else {
        let object = above(params);
        return Ok(match object {
            Object::Workspace => Found { kind: "workspace", name: workspace.name.as_str(), object },
            object => Found { kind: "installation", name: "this", object },
        });
    };
    let missing = || Error::NotFound { kind, name: name.to_owned() };
    let reference = Ref::try_from(name.to_owned()).map_err(|_| missing())?;
    let object = match kind {
        "app" => match param("connection") {
            Some(connection) => return self::connection(workspace, &reference, connection),
            None => app(workspace, &reference).map(|it| Object::App { owner: it.owner }),
        },
        "gateway" => gateway(workspace, &reference)
            .map(|it| Object::Gateway { id: it.id, teams: it.teams.clone() }),
        "grant" => workspace
            .authority
            .grants()
            .find(|it| reference.means(it.id.0, &it.name))
            .map(|it| it.on.into()),
        "identity" => workspace
            .identities
            .values()
            .find(|it| reference.means(it.id.0, &it.name))
            .map(|it| Object::Identity { server: it.server, owner: it.owner }),
        "server" => workspace
            .servers
            .values()
            .find(|it| reference.means(it.id.0, &it.name))
            .map(|it| Object::Server(it.id)),
        "team" => workspace
            .teams
            .iter()
            .find(|(id, name)| reference.means(id.0, name))
            .map(|(id, _)| Object::Team(*id)),
        _ => workspace
            .users
            .values()
            .find(|it| reference.means(it.id.0, &it.name))
            .map(|it| Object::User(it.id)),
    };
    Ok(Found { kind, name, object: object.ok_or_else(missing)? })
}

/// A connection goes by its id or by its gateway.
fn connection<'a>(workspace: &Workspace, named: &Ref, name: &'a str) -> Result<Found<'a>, Error> {
    let missing = || Error::NotFound { kind: "connection", name: name.to_owned() };
    let reference = Ref::try_from(name.to_owned()).map_err(|_| missing())?;
    let app = app(workspace, named).ok_or_else(missing)?;
    let found = workspace.gateways.values().find_map(|gateway| {
        let found = gateway.connections.get(&app.id)?;
        let object = Object::Connection { gateway: gateway.id, owner: found.user };
        reference.means(found.id.0, &gateway.name).then_some(object)
    });
    Ok(Found { kind: "connection", name, object: found.ok_or_else(missing)? })
}

fn app<'a>(workspace: &'a Workspace, named: &Ref) -> Option<&'a domain::App> {
    workspace.apps.values().find(|it| named.means(it.id.0, &it.name))
}

fn gateway<'a>(workspace: &'a Workspace, named: &Ref) -> Option<&'a domain::Gateway> {
    workspace.gateways.values().find(|it| named.means(it.id.0, &it.name)).map(AsRef::as_ref)
}
