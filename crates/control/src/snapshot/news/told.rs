//! What is another in a snapshot than in the one before it, as those see it who may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{
    AppId, AssignmentId, Capability, ConnectionId, Gateway, GatewayId, IdentityId, LimitId, Object,
    RoleGrantId, ServerId, Snapshot, Target, TeamId, TokenId, UserId, Workspace, WorkspaceId,
};
use uuid::Uuid;

use super::{Item, Published, Sight};
use crate::snapshot::build::Index;
use crate::snapshot::changes::Part;

type ByWorkspace = BTreeMap<WorkspaceId, Vec<Item>>;

/// Nothing where it is not known.
pub(in crate::snapshot) fn between(before: &Published, after: &Published) -> Option<ByWorkspace> {
    let touched = after.touched.as_ref()?;
    let mut all = ByWorkspace::new();
    for (part, workspace, id) in touched.each() {
        let Some(kind) = kind(part) else { continue };
        let name = touched.name(workspace, id);
        let look = |it: &Published, name| {
            let whole = it.snapshot.config.workspace(WorkspaceId(workspace))?;
            Seen { snapshot: &it.snapshot, index: &it.memo.index, workspace: whole }
                .part(part, id, name)
        };
        // What only the database has a name for may have been there before.
        let (was, is) = (look(before, Some(None)), look(after, name.map(Some)));
        if was.is_some() || is.is_some() {
            let item = Item { kind, id, target: None, before: was, after: is };
            all.entry(WorkspaceId(workspace)).or_default().push(item);
        }
        if part == Part::User {
            teams((before, after), (WorkspaceId(workspace), UserId(id)), &mut all);
        }
    }
    switches(&before.snapshot, &after.snapshot, &mut all);
    Some(all)
}

/// Teams that somebody has come into or left: who is in them is a part of them, too.
fn teams(
    (before, after): (&Published, &Published),
    (workspace, user): (WorkspaceId, UserId),
    all: &mut ByWorkspace,
) {
    let find = |it: &Published| it.snapshot.config.workspace(workspace).cloned();
    let (was, is) = (find(before), find(after));
    let of = |it: &Option<Arc<Workspace>>| {
        let user = it.as_ref().and_then(|it| it.users.get(&user));
        user.map(|it| it.teams.clone()).unwrap_or_default()
    };
    for id in of(&was).symmetric_difference(&of(&is)) {
        let told = all.entry(workspace).or_default();
        if !told.iter().any(|it| (it.kind, it.id) == ("team", id.0)) {
            let look = |it: &Option<Arc<Workspace>>| team(it.as_ref()?, *id);
            let (before, after) = (look(&was), look(&is));
            told.push(Item { kind: "team", id: id.0, target: None, before, after });
        }
    }
}

/// What is off now and was on, the other way round, or off in another way; and the things themselves,
/// which say so, too.
fn switches(before: &Snapshot, after: &Snapshot, all: &mut ByWorkspace) {
    let (were, are) = (&before.switches, &after.switches);
    if Arc::ptr_eq(were, are) {
        return;
    }
    let were: BTreeMap<_, _> = were.iter().map(|(it, switch)| (key(it), (it, switch))).collect();
    let are: BTreeMap<_, _> = are.iter().map(|(it, switch)| (key(it), (it, switch))).collect();
    let keys: BTreeSet<_> = were.keys().chain(are.keys()).collect();
    for key in keys {
        let (was, is) = (were.get(key), are.get(key));
        let Some((target, _)) = is.or(was).filter(|_| was != is) else { continue };
        let find = |it: &Snapshot| {
            let mut all = it.config.workspaces.values();
            all.find_map(|it| Some((it.id, whose(it, target)?)))
        };
        let (seen_before, seen_after) = (find(before), find(after));
        let Some(workspace) = seen_after.as_ref().or(seen_before.as_ref()).map(|it| it.0) else {
            continue;
        };
        let cutoff = |it: &(WorkspaceId, Whose)| Sight {
            name: Some(it.1.name.clone()),
            needs: Some((Capability::CutoffsRead, it.1.object.clone())),
        };
        let item = Item {
            kind: "cutoff",
            id: key.1,
            target: Some(target.noun()),
            before: was.and(seen_before.as_ref().or(seen_after.as_ref())).map(cutoff),
            after: is.and(seen_after.as_ref().or(seen_before.as_ref())).map(cutoff),
        };
        let told = all.entry(workspace).or_default();
        told.push(item);
        if let Some((_, Whose { itself: Some((kind, id, sight)), .. })) = seen_after
            && !told.iter().any(|it| (it.kind, it.id) == (kind, id))
        {
            let before = Some(sight.clone());
            told.push(Item { kind, id, target: None, before, after: Some(sight) });
        }
    }
}

fn key(target: &Target) -> (&'static str, Uuid, Option<&str>) {
    let (id, tool) = match target {
        Target::App(id) => (id.0, None),
        Target::Assignment(id) => (id.0, None),
        Target::Connection(id) => (id.0, None),
        Target::Gateway(id) => (id.0, None),
        Target::Identity(id) => (id.0, None),
        Target::Server(id) => (id.0, None),
        Target::Token(id) => (id.0, None),
        Target::Tool(id, tool) => (id.0, Some(tool.as_ref())),
        Target::User(id) => (id.0, None),
    };
    (target.noun(), id, tool)
}

/// What a target is, and what else says that it is off.
struct Whose {
    /// As one would name it in a request.
    name: Box<str>,
    object: Object,
    itself: Option<(&'static str, Uuid, Sight)>,
}

fn whose(workspace: &Workspace, target: &Target) -> Option<Whose> {
    let itself = |kind, id, sight: Sight| {
        let object = sight.needs.as_ref().map_or(Object::Workspace, |it| it.1.clone());
        let name = sight.name.clone().unwrap_or_default();
        Whose { name, object, itself: Some((kind, id, sight)) }
    };
    Some(match target {
        Target::App(id) => itself("app", id.0, app(workspace, *id)?),
        Target::Connection(id) => {
            let mut all = workspace.gateways.values();
            let found = all.find_map(|gateway| {
                let mut all = gateway.connections.values();
                all.find(|it| it.id == *id).map(|it| (gateway, it.app))
            });
            let (gateway, app) = found?;
            itself("connection", id.0, connection(workspace, gateway, app)?)
        }
        Target::Gateway(id) => itself("gateway", id.0, gateway(find_gateway(workspace, *id)?)),
        Target::Identity(id) => itself("identity", id.0, identity(workspace, *id)?),
        Target::Server(id) => itself("server", id.0, server(workspace, *id)?),
        Target::User(id) => itself("user", id.0, user(workspace, *id)?),
        Target::Assignment(id) => assignment(workspace, *id)?,
        Target::Tool(id, tool) => {
            let name = format!("{}/{tool}", workspace.servers.get(id)?.name).into();
            Whose { name, object: Object::Server(*id), itself: None }
        }
        Target::Token(_) => return None,
    })
}

/// It is a part of its gateway.
fn assignment(workspace: &Workspace, id: AssignmentId) -> Option<Whose> {
    let mut all = workspace.gateways.values();
    let found = all.find_map(|gateway| {
        let mut all = gateway.assignments.iter();
        all.find(|it| it.id == id).map(|it| (gateway, it))
    });
    let (whole, assignment) = found?;
    let sight = gateway(whole);
    let name = format!("{}/{}", whole.name, assignment.alias).into();
    let object = Object::Gateway { id: whole.id, teams: whole.teams.clone() };
    Some(Whose { name, object, itself: Some(("gateway", whole.id.0, sight)) })
}

/// A workspace as it was in a snapshot.
struct Seen<'a> {
    snapshot: &'a Snapshot,
    index: &'a Index,
    workspace: &'a Workspace,
}

impl Seen<'_> {
    /// What is found by its id; by `name` what only the database has one for.
    fn part(&self, part: Part, id: Uuid, name: Option<Option<&str>>) -> Option<Sight> {
        let workspace = self.workspace;
        let named = |needs| {
            let name = name?.map(Into::into);
            Some(Sight { name, needs: Some((needs, Object::Workspace)) })
        };
        match part {
            Part::App => app(workspace, AppId(id)),
            Part::Connection => {
                let (gateway, app) = self.index.connection(ConnectionId(id))?;
                connection(workspace, find_gateway(workspace, gateway)?, app)
            }
            Part::Gateway => find_gateway(workspace, GatewayId(id)).map(gateway),
            Part::Identity => identity(workspace, IdentityId(id)),
            Part::Limit => {
                let limit = workspace.limits.iter().find(|it| it.id == LimitId(id))?;
                Some(sight(limit.name.as_str(), Capability::LimitsRead, Object::Workspace))
            }
            Part::Policy => named(Capability::PoliciesRead),
            Part::Role => named(Capability::RolesRead),
            Part::RoleGrant => {
                let mut all = workspace.authority.grants();
                let grant = all.find(|it| it.id == RoleGrantId(id))?;
                Some(sight(grant.name.as_str(), Capability::RolesRead, grant.on.into()))
            }
            Part::Server => server(workspace, ServerId(id)),
            Part::Team => team(workspace, TeamId(id)),
            Part::Token => {
                let hash = self.index.token(TokenId(id))?;
                let app = app(workspace, self.snapshot.config.tokens.get(&hash)?.app)?;
                Some(Sight { name: name.flatten().map(Into::into), ..app })
            }
            Part::User => user(workspace, UserId(id)),
            Part::Workspace => {
                Some(Sight { name: Some(workspace.name.as_str().into()), needs: None })
            }
            Part::Policies => None,
        }
    }
}

/// As the API calls it; nothing for what is told of by another.
fn kind(part: Part) -> Option<&'static str> {
    Some(match part {
        Part::App => "app",
        Part::Connection => "connection",
        Part::Gateway => "gateway",
        Part::Identity => "identity",
        Part::Limit => "limit",
        Part::Policies => return None,
        Part::Policy => "policy",
        Part::Role => "role",
        Part::RoleGrant => "role_grant",
        Part::Server => "server",
        Part::Team => "team",
        Part::Token => "token",
        Part::User => "user",
        Part::Workspace => "workspace",
    })
}

fn sight(name: &str, capability: Capability, object: Object) -> Sight {
    Sight { name: Some(name.into()), needs: Some((capability, object)) }
}

fn find_gateway(workspace: &Workspace, id: GatewayId) -> Option<&Gateway> {
    workspace.gateways.values().find(|it| it.id == id).map(AsRef::as_ref)
}

fn gateway(it: &Gateway) -> Sight {
    let object = Object::Gateway { id: it.id, teams: it.teams.clone() };
    sight(it.name.as_str(), Capability::GatewaysRead, object)
}

fn app(workspace: &Workspace, id: AppId) -> Option<Sight> {
    let it = workspace.apps.get(&id)?;
    Some(sight(it.name.as_str(), Capability::AppsRead, Object::App { owner: it.owner }))
}

fn connection(workspace: &Workspace, gateway: &Gateway, app: AppId) -> Option<Sight> {
    let owner = gateway.connections.get(&app)?.user;
    let name = format!("{}/{}", workspace.apps.get(&app)?.name, gateway.name);
    let object = Object::Connection { gateway: gateway.id, owner };
    Some(sight(&name, Capability::AppsRead, object))
}

fn identity(workspace: &Workspace, id: IdentityId) -> Option<Sight> {
    let it = workspace.identities.get(&id)?;
    let object = Object::Identity { server: it.server, owner: it.owner };
    Some(sight(it.name.as_str(), Capability::IdentitiesRead, object))
}

fn server(workspace: &Workspace, id: ServerId) -> Option<Sight> {
    let it = workspace.servers.get(&id)?;
    Some(sight(it.name.as_str(), Capability::ServersRead, Object::Server(id)))
}

fn team(workspace: &Workspace, id: TeamId) -> Option<Sight> {
    let name = workspace.teams.get(&id)?;
    Some(sight(name.as_str(), Capability::PeopleRead, Object::Team(id)))
}

fn user(workspace: &Workspace, id: UserId) -> Option<Sight> {
    let it = workspace.users.get(&id)?;
    Some(sight(it.name.as_str(), Capability::PeopleRead, Object::User(id)))
}
