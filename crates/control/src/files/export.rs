//! From what is stored to documents, complete and in a fixed order.

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Addresses, Capability, Name, WorkspaceId};

use super::apply::if_found;
use super::document::{
    AppFile, AssignmentFile, ConnectionFile, Document, GatewayFile, IdentityFile, LimitFile,
    PinFile, PolicyFile, RoleFile, RoleGrantFile, ServerFile, TeamFile, UserFile, WorkspaceFile,
};
use super::{member, reference};
use crate::addresses::AddressesText;
use crate::api::{Error, Ref, Which};
use crate::apps::App;
use crate::gateways::Gateway;
use crate::identities::Identity;
use crate::labels::AttributesText;
use crate::limits::Limit;
use crate::policies::Policy;
use crate::role_grants::{Holder, RoleGrant};
use crate::roles::Role;
use crate::servers::{ReviewText, Server};
use crate::switches::Off;
use crate::teams::Team;
use crate::users::User;
use crate::workspaces::Workspace;
use crate::{
    apps, assignments, connections, gateways, identities, limits, pins, policies, role_grants,
    roles, rules, servers, teams, users, workspaces,
};

/// What an export shows, all of it.
pub(super) const NEEDS: &[Capability] = &[
    Capability::AppsRead,
    Capability::GatewaysRead,
    Capability::IdentitiesRead,
    Capability::LimitsRead,
    Capability::PeopleRead,
    Capability::PinsRead,
    Capability::PoliciesRead,
    Capability::RolesRead,
    Capability::RulesRead,
    Capability::ServersRead,
];

/// Everything in a workspace, kind by kind, each by name.
pub(super) async fn all(
    tx: &mut Tx,
    workspace: &Ref,
    now: DateTime<Utc>,
) -> Result<Vec<Document>, Error> {
    let workspace = workspaces::find(tx, workspace).await?;
    let id = workspace.id;
    let mut all = vec![self::workspace(workspace)];
    all.extend(users::list(tx, id, Which::All).await?.into_iter().map(|it| user(it, now)));
    all.extend(teams::list(tx, id, Which::All).await?.into_iter().map(team));
    all.extend(roles::list(tx, id).await?.into_iter().map(role));
    for it in servers::list(tx, id, Which::All).await? {
        all.push(server(tx, id, it, now).await?);
    }
    let identities = identities::list(tx, id, Which::All).await?;
    all.extend(identities.into_iter().map(|it| identity(it, now)));
    for it in gateways::list(tx, id, Which::All).await? {
        all.push(Document::Gateway(gateway(tx, id, it, now).await?));
    }
    for it in apps::list(tx, id, Which::All).await? {
        all.push(Document::App(app(tx, id, it, now).await?));
    }
    all.extend(limits::list(tx, id, Which::All).await?.into_iter().map(limit));
    all.extend(
        policies::list(tx, id, Which::All).await?.into_iter().map(policy).map(Document::Policy),
    );
    let granted = role_grants::list(tx, id, Which::All).await?;
    all.extend(granted.into_iter().map(role_grant).map(Document::RoleGrant));
    Ok(all)
}

/// A grant as a file would say it.
pub(super) fn role_grant(it: RoleGrant) -> RoleGrantFile {
    let on = it.on.text();
    let (user, team) = match it.holder {
        Holder::User(it) => (Some(it.name), None),
        Holder::Team(it) => (None, Some(it.name)),
    };
    RoleGrantFile { name: it.name, role: it.role, user, team, on }
}

/// The object of a workspace that a document is about, as it is now, if there is one.
pub(super) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (kind, name): (&str, &Name),
    now: DateTime<Utc>,
) -> Result<Option<Document>, Error> {
    let name = &Ref::from(name);
    let found = match kind {
        "User" => users::find(tx, workspace, name).await.map(|it| user(it, now)),
        "Team" => teams::find(tx, workspace, name).await.map(team),
        "Role" => roles::find(tx, workspace, name).await.map(role),
        "Server" => match servers::find(tx, workspace, name).await {
            Ok(it) => server(tx, workspace, it, now).await,
            Err(error) => Err(error),
        },
        "Identity" => identities::find(tx, workspace, name).await.map(|it| identity(it, now)),
        "Gateway" => match gateways::find(tx, workspace, name).await {
            Ok(it) => gateway(tx, workspace, it, now).await.map(Document::Gateway),
            Err(error) => Err(error),
        },
        "Limit" => limits::find(tx, workspace, name).await.map(limit),
        "Policy" => {
            let found = policies::find(tx, workspace, name).await;
            found.map(policy).map(Document::Policy)
        }
        "RoleGrant" => {
            let found = role_grants::find(tx, workspace, name).await;
            found.map(role_grant).map(Document::RoleGrant)
        }
        _ => match apps::find(tx, workspace, name).await {
            Ok(it) => app(tx, workspace, it, now).await.map(Document::App),
            Err(error) => Err(error),
        },
    };
    if_found(found)
}

pub(super) fn workspace(it: Workspace) -> Document {
    let (durability, addresses) = (Some(it.durability.into()), addresses(it.addresses));
    Document::Workspace(WorkspaceFile { name: it.name, durability, addresses })
}

fn user(it: User, now: DateTime<Utc>) -> Document {
    let AttributesText { department, clearance, groups, network, assurance } = it.attributes;
    Document::User(UserFile {
        name: it.name,
        department,
        clearance,
        // Always there, so that all of it is stated.
        groups: Some(groups),
        network,
        assurance,
        enabled: enabled(it.off, now),
    })
}

fn team(it: Team) -> Document {
    let members = Some(it.members.into_iter().collect());
    Document::Team(TeamFile { name: it.name, members })
}

fn role(it: Role) -> Document {
    Document::Role(RoleFile { name: it.name, capabilities: it.capabilities })
}

/// A policy as a file would say it.
pub(super) fn policy(it: Policy) -> PolicyFile {
    PolicyFile { name: it.name, enabled: it.enabled, text: it.text, tests: it.tests }
}

fn limit(it: Limit) -> Document {
    let (unit, direction) = limits::unit_text(it.unit);
    Document::Limit(LimitFile {
        name: it.name,
        scope: it.scope_text,
        unit,
        direction,
        allowance: it.allowance.into(),
        gateway: it.gateway.map(|it| it.name),
    })
}

async fn server(
    tx: &mut Tx,
    workspace: WorkspaceId,
    it: Server,
    now: DateTime<Utc>,
) -> Result<Document, Error> {
    let pins = pins(tx, workspace, &it).await?;
    Ok(Document::Server(ServerFile {
        name: it.name,
        transport: it.transport.into(),
        era: it.era.into(),
        tasks: it.tasks.into(),
        roots: it.roots,
        review: Some(it.review),
        labels: Some(it.labels),
        tool_labels: Some(it.tool_labels),
        pins,
        enabled: enabled(it.off, now),
    }))
}

fn identity(it: Identity, now: DateTime<Utc>) -> Document {
    let headers = it.headers.into_iter().map(|name| (name, reference::stored()));
    Document::Identity(IdentityFile {
        name: it.name,
        server: it.server.name,
        owner: it.owner.map(|it| it.name),
        headers: headers.collect(),
        enabled: enabled(it.off, now),
    })
}

/// What is approved of a server under review, or was when it was one.
async fn pins(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: &Server,
) -> Result<Option<Vec<PinFile>>, Error> {
    let approved = pins::approved(tx, workspace, server.id).await?;
    let files = approved.into_iter().map(|it| PinFile {
        kind: it.key.kind.as_str().to_owned(),
        name: it.name,
        hash: it.key.hash,
    });
    let is_told = server.review == ReviewText::On || 0 < files.len();
    Ok(is_told.then(|| files.collect()))
}

async fn gateway(
    tx: &mut Tx,
    workspace: WorkspaceId,
    it: Gateway,
    now: DateTime<Utc>,
) -> Result<GatewayFile, Error> {
    let mut assigned = assignments::list(tx, workspace, it.id, Which::All).await?;
    assigned.sort_by_key(|it| (it.position, it.id));
    let assigned = assigned.into_iter().map(|it| AssignmentFile {
        alias: Some(it.alias).filter(|alias| *alias != it.server.name),
        server: it.server.name,
        scheme: it.scheme,
        identity: it.identity.map(|it| it.name),
        tools: it.tools.into(),
        prompts: it.prompts.into(),
        resources: it.resources.into(),
        enabled: enabled(it.off, now),
    });
    let mut ruled = rules::list(tx, workspace, it.id, Which::All).await?;
    ruled.sort_by_key(|it| (it.position, it.id));
    Ok(GatewayFile {
        name: it.name,
        teams: Some(it.teams.into_iter().collect()),
        addresses: addresses(it.addresses),
        max_autonomy_seconds: Some(it.max_autonomy_seconds).filter(|it| *it != 0),
        assignments: Some(assigned.collect()),
        rules: Some(ruled.iter().map(member::rule_file).collect()),
        enabled: enabled(it.off, now),
    })
}

async fn app(
    tx: &mut Tx,
    workspace: WorkspaceId,
    it: App,
    now: DateTime<Utc>,
) -> Result<AppFile, Error> {
    let connected = connections::list(tx, workspace, Some(it.id), Which::All).await?;
    let connected = connected.into_iter().map(|it| ConnectionFile {
        identities: member::chosen(&it),
        gateway: it.gateway.name,
        enabled: enabled(it.off, now),
    });
    Ok(AppFile {
        name: it.name,
        owner: it.owner.name,
        purpose: it.purpose,
        addresses: addresses(it.addresses),
        labels: Some(it.labels),
        gateways: Some(connected.collect()),
        enabled: enabled(it.off, now),
    })
}

/// A file says nothing of addresses where everybody is let in.
fn addresses(list: Addresses) -> Option<AddressesText> {
    (!list.is_empty()).then_some(AddressesText(list))
}

/// A file says `enabled: false` of what is off for good, and nothing of all else: what is off for
/// a while will be on again by itself.
fn enabled(off: Option<Off>, now: DateTime<Utc>) -> Option<bool> {
    off.filter(|it| it.holds(now) && !it.is_limited()).map(|_| false)
}
