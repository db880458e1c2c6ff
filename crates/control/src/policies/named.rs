//! The things that policies name, which must be there.
//!
//! A policy that forbids something to a team must not come to mean nobody because the team goes by
//! another name now.

use std::collections::BTreeSet;
use std::sync::Arc;

use db::Tx;
use domain::{Capability, Name, Object, PolicyText, Snapshot, Workspace, WorkspaceId};

use crate::api::{Error, Ref, Rights};
use crate::{apps, gateways, servers, teams, users};

/// What a policy names that is not there, as it stands in the policy.
pub(super) async fn missing(
    tx: &mut Tx,
    workspace: WorkspaceId,
    text: &PolicyText,
) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for (kind, id) in text.names() {
        if !is_there(tx, workspace, (&kind, &id)).await? {
            missing.push(format!("{kind}::{id:?}"));
        }
    }
    Ok(missing)
}

async fn is_there(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (kind, id): (&str, &str),
) -> Result<bool, Error> {
    let Some(name) = name_of(kind, id) else { return Ok(false) };
    let name = Ref::from(&name);
    let found = match kind {
        "App" => apps::find(tx, workspace, &name).await.map(drop),
        "Gateway" => gateways::find(tx, workspace, &name).await.map(drop),
        "Team" => teams::find(tx, workspace, &name).await.map(drop),
        "User" => users::find(tx, workspace, &name).await.map(drop),
        _ => servers::find(tx, workspace, &name).await.map(drop),
    };
    match found {
        Ok(()) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name of the thing, or of the server whose tool, prompt or resource it is.
fn name_of(kind: &str, id: &str) -> Option<Name> {
    let name = match kind {
        "Tool" | "Prompt" | "Resource" => id.split_once('/')?.0,
        "App" | "Gateway" | "Server" | "Team" | "User" => id,
        _ => return None,
    };
    name.parse().ok()
}

/// Refuses a change that takes away, or gives another name to, what a policy names. Which policy that
/// is, and of what else it speaks, is told to those who may see policies.
pub(crate) fn check_names(
    rights: &Rights,
    was: &Snapshot,
    will_be: &Snapshot,
) -> Result<(), Error> {
    let may_see = rights.may(Capability::PoliciesRead, &Object::Workspace);
    for workspace in will_be.config.workspaces.values() {
        let book = workspace.policies.book();
        let Some(before) = was.config.workspace(workspace.id) else { continue };
        if book.is_empty() || Arc::ptr_eq(before, workspace) {
            continue;
        }
        let lost = lost(before, workspace);
        if lost.is_empty() {
            continue;
        }
        let is_lost = |(kind, id): &(String, String)| {
            name_of(kind, id).is_some_and(|it| lost.contains(&(whose(kind), it)))
        };
        let said = book.iter().flat_map(|(policy, text)| {
            let names = text.names().into_iter().filter(is_lost);
            names.map(move |(kind, id)| format!("policy `{policy}` names {kind}::{id:?}"))
        });
        let said: BTreeSet<String> = said.take(10).collect();
        if !said.is_empty() && !may_see {
            let why = "a policy names what would not be there any more; ask somebody who may see \
                       policies";
            return Err(Error::Conflict(why.into()));
        }
        if !said.is_empty() {
            let said: Vec<String> = said.into_iter().collect();
            let why = format!("{}, which would not be there any more", said.join(", "));
            return Err(Error::Conflict(why));
        }
    }
    Ok(())
}

/// Of what kind the thing is by whose name something goes.
fn whose(kind: &str) -> &'static str {
    match kind {
        "App" => "App",
        "Gateway" => "Gateway",
        "Team" => "Team",
        "User" => "User",
        _ => "Server",
    }
}

/// The names of things, by their kind, that were there and are not any more.
fn lost(before: &Workspace, after: &Workspace) -> BTreeSet<(&'static str, Name)> {
    let mut lost = BTreeSet::new();
    let mut lose = |kind, was: &Name, is: Option<&Name>| {
        if is != Some(was) {
            lost.insert((kind, was.clone()));
        }
    };
    // What is the very same in both has lost nothing.
    for (id, it) in before.apps.apart_from(&after.apps) {
        lose("App", &it.name, after.apps.get(id).map(|it| &it.name));
    }
    for (name, _) in before.gateways.apart_from(&after.gateways) {
        lose("Gateway", name, after.gateways.get_key_value(name).map(|it| it.0));
    }
    for (id, name) in before.teams.apart_from(&after.teams) {
        lose("Team", name, after.teams.get(id));
    }
    for (id, it) in before.users.apart_from(&after.users) {
        lose("User", &it.name, after.users.get(id).map(|it| &it.name));
    }
    for (id, it) in before.servers.apart_from(&after.servers) {
        lose("Server", &it.name, after.servers.get(id).map(|it| &it.name));
    }
    // Something else may have the name now.
    lost.retain(|(kind, name)| !knows(after, kind, name));
    lost
}

fn knows(workspace: &Workspace, kind: &str, name: &Name) -> bool {
    match kind {
        "App" => workspace.apps.values().any(|it| it.name == *name),
        "Gateway" => workspace.gateways.contains_key(name),
        "Team" => workspace.teams.values().any(|it| it == name),
        "User" => workspace.users.values().any(|it| it.name == *name),
        _ => workspace.servers.values().any(|it| it.name == *name),
    }
}
