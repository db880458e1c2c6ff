//! Whose objects are: of a set of files, or made by hand.
//!
//! An object that a file makes belongs to that file's set, which goes by a name. Pruning deletes
//! what belongs to the set and is no longer named, and never anything else: what was made by
//! hand stays, and what another set owns cannot even be named.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Capability, Name, Object, Scope, WorkspaceId};
use uuid::Uuid;

use super::apply::{Applied, Outcome};
use super::{export, store};
use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::{
    apps, gateways, identities, limits, policies, role_grants, roles, servers, teams, users,
};

/// The kinds that a set can own. What refers to others comes first, as things are deleted.
const KINDS: [&str; 10] = [
    "RoleGrant",
    "Policy",
    "Limit",
    "App",
    "Gateway",
    "Identity",
    "Server",
    "Role",
    "Team",
    "User",
];

/// What sets own in one workspace.
pub(super) struct Owned {
    workspace: WorkspaceId,
    /// By kind and object.
    by: BTreeMap<(String, Uuid), String>,
}

impl Owned {
    pub(super) fn none(workspace: WorkspaceId) -> Self {
        Self { workspace, by: BTreeMap::new() }
    }

    pub(super) async fn load(change: &mut Change, workspace: WorkspaceId) -> Result<Self, Error> {
        let rows = store::select(change, workspace).await?;
        let by = rows.into_iter().map(|it| ((it.kind, it.object_id), it.owner)).collect();
        Ok(Self { workspace, by })
    }

    /// A set has made an object.
    pub(super) async fn claim(
        &mut self,
        change: &mut Change,
        (kind, name): (&'static str, &Name),
        owner: &Name,
    ) -> Result<(), Error> {
        if !KINDS.contains(&kind) {
            return Ok(());
        }
        let id = find(change, self.workspace, kind, &Ref::from(name)).await?.id;
        store::insert(change, self.workspace, (kind, id), owner).await?;
        self.by.insert((kind.to_owned(), id), owner.to_string());
        Ok(())
    }

    /// Refuses what another set owns. Whoever may not see it does not hear of that.
    pub(super) async fn check(
        &self,
        change: &mut Change,
        (kind, name): (&'static str, &Name),
        owner: &Name,
    ) -> Result<(), Error> {
        // Usually there is one set, and nothing to look up.
        if !KINDS.contains(&kind) || self.by.values().all(|it| it == owner.as_str()) {
            return Ok(());
        }
        let found = find(change, self.workspace, kind, &Ref::from(name)).await?;
        match self.by.get(&(kind.to_owned(), found.id)) {
            Some(other) if other != owner.as_str() && found.is_seen(change) => {
                Err(Error::Conflict(format!("it belongs to the files of `{other}`")))
            }
            _ => Ok(()),
        }
    }

    /// An object that is replaced where it differs stays with its set.
    pub(super) async fn follow(
        &mut self,
        change: &mut Change,
        (kind, name): (&'static str, &Name),
        before: Uuid,
        owner: &Name,
    ) -> Result<(), Error> {
        if self.by.remove(&(kind.to_owned(), before)).is_none() {
            return Ok(());
        }
        store::delete(change, self.workspace, (kind, before)).await?;
        self.claim(change, (kind, name), owner).await
    }

    /// Deletes what a set owns and does not name.
    pub(super) async fn prune(
        self,
        change: &mut Change,
        workspace: &Name,
        named: &BTreeSet<(&'static str, Name)>,
        owner: &Name,
    ) -> Result<Vec<Applied>, Error> {
        let mut pruned = Vec::new();
        let mut left = self.by;
        left.retain(|_, it| it == owner.as_str());
        for kind in KINDS {
            for (id, name) in all(change, self.workspace, kind).await? {
                let is_owned = left.remove(&(kind.to_owned(), id)).is_some();
                if !is_owned || named.contains(&(kind, name.clone())) {
                    continue;
                }
                let found = find(change, self.workspace, kind, &id.into()).await?;
                if !found.is_seen(change) {
                    let why = "pruning would delete what you may not see";
                    return Err(Error::Forbidden(why.into()));
                }
                let now = change.now();
                let before = export::find(change, self.workspace, (kind, &name), now).await?;
                let deleted = delete(change, self.workspace, kind, id).await;
                deleted.map_err(|error| error.of_document(kind, &name))?;
                store::delete(change, self.workspace, (kind, id)).await?;
                pruned.push(Applied {
                    kind,
                    name: name.to_string(),
                    workspace: workspace.to_string(),
                    outcome: Outcome::Deleted,
                    members: Vec::new(),
                    changes: Vec::new(),
                    sides: [before.map(|it| it.members().into()), None],
                });
            }
        }
        // What is left was deleted by hand.
        for (kind, id) in left.into_keys() {
            store::delete(change, self.workspace, (&kind, id)).await?;
        }
        Ok(pruned)
    }
}

/// What a file names.
struct Found {
    id: Uuid,
    /// What shows it, and where.
    needed: Capability,
    object: Object,
}

impl Found {
    fn is_seen(&self, change: &Change) -> bool {
        change.rights().may(self.needed, &self.object)
    }
}

async fn find(
    change: &mut Change,
    workspace: WorkspaceId,
    kind: &str,
    named: &Ref,
) -> Result<Found, Error> {
    let (id, needed, object) = match kind {
        "App" => {
            let found = apps::find(change, workspace, named).await?;
            (found.id.0, Capability::AppsRead, found.object())
        }
        "Gateway" => {
            let id = gateways::find(change, workspace, named).await?.id;
            (id.0, Capability::GatewaysRead, Scope::Gateway(id).into())
        }
        "Identity" => {
            let found = identities::find(change, workspace, named).await?;
            (found.id.0, Capability::IdentitiesRead, found.object())
        }
        "Limit" => {
            let id = limits::find(change, workspace, named).await?.id;
            (id.0, Capability::LimitsRead, Object::Workspace)
        }
        "Policy" => {
            let id = policies::find(change, workspace, named).await?.id;
            (id, Capability::PoliciesRead, Object::Workspace)
        }
        "Role" => {
            let id = roles::find(change, workspace, named).await?.id;
            // One that is built in belongs to nobody.
            let id = id.map_or(Uuid::nil(), |it| it.0);
            (id, Capability::RolesRead, Object::Workspace)
        }
        "RoleGrant" => {
            let found = role_grants::find(change, workspace, named).await?;
            (found.id.0, Capability::RolesRead, found.on.scope().into())
        }
        "Server" => {
            let id = servers::find(change, workspace, named).await?.id;
            (id.0, Capability::ServersRead, Object::Server(id))
        }
        "Team" => {
            let id = teams::find(change, workspace, named).await?.id;
            (id.0, Capability::PeopleRead, Object::Team(id))
        }
        _ => {
            let id = users::find(change, workspace, named).await?.id;
            (id.0, Capability::PeopleRead, Object::User(id))
        }
    };
    Ok(Found { id, needed, object })
}

async fn all(
    change: &mut Change,
    workspace: WorkspaceId,
    kind: &str,
) -> Result<Vec<(Uuid, Name)>, Error> {
    macro_rules! listed {
        ($slice:ident) => {{
            let found = $slice::list(change, workspace, Which::All).await?;
            found.into_iter().map(|it| (it.id.0, it.name)).collect()
        }};
    }
    Ok(match kind {
        "App" => listed!(apps),
        "Gateway" => listed!(gateways),
        "Identity" => listed!(identities),
        "Limit" => listed!(limits),
        "Policy" => {
            let found = policies::list(change, workspace, Which::All).await?;
            found.into_iter().map(|it| (it.id, it.name)).collect()
        }
        "Role" => {
            let found = roles::list(change, workspace).await?;
            found.into_iter().filter_map(|it| Some((it.id?.0, it.name))).collect()
        }
        "RoleGrant" => listed!(role_grants),
        "Server" => listed!(servers),
        "Team" => listed!(teams),
        _ => listed!(users),
    })
}

async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    kind: &str,
    id: Uuid,
) -> Result<(), Error> {
    macro_rules! deleted {
        ($slice:ident) => {{
            let found = $slice::find(change, workspace, &id.into()).await?;
            $slice::delete(change, workspace, &found).await
        }};
    }
    match kind {
        "App" => deleted!(apps),
        "Gateway" => deleted!(gateways),
        "Identity" => deleted!(identities),
        "Limit" => deleted!(limits),
        "Policy" => deleted!(policies),
        "Role" => deleted!(roles),
        "RoleGrant" => deleted!(role_grants),
        "Server" => deleted!(servers),
        "Team" => deleted!(teams),
        _ => deleted!(users),
    }
}
