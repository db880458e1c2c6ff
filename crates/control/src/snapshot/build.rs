//! Rows become what the data plane reads.
//!
//! Compiling a policy is the costly part, so a gateway whose rows have not moved is taken over
//! from the build before. What a policy has decided holds for the teams that a person was in, so
//! the teams of everyone who acts on a gateway count among its rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Addresses, App, AppId, Assignment, AssignmentId, Authority, Config, Connection, ConnectionId,
    DefinitionHash, Durability, Gateway, GatewayId, Identity, IdentityId, Limit, LimitId, Lobby,
    Name, PinKey, Policies, Policy, PolicyBook, PolicyText, Provisioned, Review, RoleGrant,
    RuleDef, RuleId, Scheme, Server, ServerId, Switch, Switches, TeamId, Token, TokenHash, TokenId,
    User, UserId, Workspace, WorkspaceId,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::authority;
use super::store::{
    AssignmentRow, ChoiceRow, ConnectionRow, GatewayRow, LimitRow, PinRow, Rows, RuleRow,
    ServerRow, SwitchRow, WorkspaceRow,
};
use crate::addresses::AddressesText;
use crate::api::Error;
use crate::assignments::ProvisionText;
use crate::gateways::MOST_AUTONOMY;
use crate::labels::{self, AttributesText, Labels, ToolLabels};
use crate::limits::{self, AllowanceText, DirectionText, UnitText};
use crate::rules::ActionText;
use crate::servers::{EraText, TasksText, TransportText};
use crate::switches;

/// What a build leaves for the next one.
#[derive(Default)]
pub(super) struct Memo {
    gateways: HashMap<Uuid, (Source, Arc<Gateway>)>,
    authorities: HashMap<Uuid, (Vec<RoleGrant>, Arc<Authority>)>,
    policies: HashMap<Uuid, Arc<PolicyText>>,
}

/// Why stored rows do not make a snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("the {table} row {id} does not hold what it should: {why}")]
    Row { table: &'static str, id: Uuid, why: String },
    #[error("the grants of gateway `{gateway}` do not compile")]
    Policy { gateway: Name, source: domain::PolicyError },
    #[error("the role grants of workspace `{workspace}` do not compile")]
    Authority { workspace: Name, source: domain::PolicyError },
}

/// Builds the configuration of all workspaces.
pub(super) fn config(rows: Rows, earlier: &Memo) -> Result<(Config, Memo), BuildError> {
    let mut workspaces = workspaces(&rows)?;
    let mut memo = Memo::default();
    for (id, grants) in authority::grants(&rows)? {
        let Some(workspace) = workspaces.get_mut(&id) else { continue };
        let authority = match earlier.authorities.get(&id) {
            Some((known, authority)) if *known == grants => Arc::clone(authority),
            _ => Arc::new(authority::compile(workspace, &grants)?),
        };
        workspace.authority = Arc::clone(&authority);
        memo.authorities.insert(id, (grants, authority));
    }
    for (id, book) in books(&rows, earlier, &mut memo)? {
        let Some(workspace) = workspaces.get_mut(&id) else { continue };
        workspace.policies = Arc::new(Policies::new(PolicyBook::new(book)));
    }
    let parts = Parts::of(&rows);
    for row in &rows.gateways {
        let Some(workspace) = workspaces.get_mut(&row.workspace_id) else { continue };
        let source = parts.source(row, workspace);
        let gateway = match earlier.gateways.get(&row.id) {
            Some((known, gateway)) if *known == source => Arc::clone(gateway),
            _ => Arc::new(gateway(&source, workspace)?),
        };
        workspace.gateways.insert(gateway.name.clone(), Arc::clone(&gateway));
        memo.gateways.insert(row.id, (source, gateway));
    }
    let mut tokens = HashMap::new();
    for row in &rows.tokens {
        let Some(workspace) = workspaces.get(&row.workspace_id) else { continue };
        let hash = TokenHash::try_from(row.hash.as_slice())
            .map_err(|_| broken("tokens", row.id, "the hash is not 32 bytes"))?;
        let token = Token {
            id: TokenId(row.id),
            workspace: workspace.name.clone(),
            app: AppId(row.app_id),
            expires_at: row.expires_at,
        };
        tokens.insert(hash, token);
    }
    let workspaces = workspaces.into_values().map(|it| (it.name.clone(), Arc::new(it))).collect();
    Ok((Config { workspaces, tokens }, memo))
}

/// Builds the switches, and beside them the canaries, which no call can meet.
pub(super) fn switches(rows: Vec<SwitchRow>) -> Result<(Switches, Vec<Uuid>), BuildError> {
    let (mut off, mut canaries) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        if row.kind == "server" && row.reason.as_deref() == Some(switches::CANARY) {
            canaries.push(row.target_id);
            continue;
        }
        let target = switches::target(&row.kind, row.target_id, &row.tool)
            .ok_or_else(|| broken("switches", row.target_id, "no such kind"))?;
        let reason = row.reason.map(String::into_boxed_str);
        off.push((target, Switch { until: row.until, reason }));
    }
    Ok((Switches::new(off), canaries))
}

type Book = Vec<(Name, Arc<PolicyText>)>;

/// The policies of every workspace that has some. A text that has not changed stays compiled.
fn books(rows: &Rows, earlier: &Memo, memo: &mut Memo) -> Result<HashMap<Uuid, Book>, BuildError> {
    let mut books: HashMap<Uuid, Book> = HashMap::new();
    for row in &rows.policies {
        let known = earlier.policies.get(&row.id).filter(|it| it.as_str() == row.policy);
        let text = match known {
            Some(known) => Arc::clone(known),
            None => Arc::new(PolicyText::parse(&row.policy).map_err(|faults| {
                let why: Vec<String> = faults.iter().map(ToString::to_string).collect();
                broken("policies", row.id, why.join("; "))
            })?),
        };
        memo.policies.insert(row.id, Arc::clone(&text));
        let name = name("policies", row.id, &row.name)?;
        books.entry(row.workspace_id).or_default().push((name, text));
    }
    Ok(books)
}

/// All rows that a gateway is made of. Equal sources make equal gateways.
#[derive(PartialEq)]
struct Source {
    gateway: GatewayRow,
    teams: BTreeSet<TeamId>,
    assignments: Vec<AssignmentRow>,
    servers: Vec<ServerRow>,
    approved: Vec<Arc<HashSet<PinKey>>>,
    rules: Vec<RuleRow>,
    connections: Vec<ConnectionRow>,
    choices: Vec<ChoiceRow>,
    people: BTreeMap<UserId, BTreeSet<TeamId>>,
}

/// Rows by what they belong to.
struct Parts<'a> {
    grants: HashMap<Uuid, BTreeSet<TeamId>>,
    assignments: HashMap<Uuid, Vec<&'a AssignmentRow>>,
    servers: HashMap<Uuid, &'a ServerRow>,
    rules: HashMap<Uuid, Vec<&'a RuleRow>>,
    connections: HashMap<Uuid, Vec<&'a ConnectionRow>>,
    choices: HashMap<Uuid, Vec<&'a ChoiceRow>>,
}

impl<'a> Parts<'a> {
    fn of(rows: &'a Rows) -> Self {
        let mut grants: HashMap<Uuid, BTreeSet<TeamId>> = HashMap::new();
        for row in &rows.grants {
            grants.entry(row.gateway_id).or_default().insert(TeamId(row.team_id));
        }
        Self {
            grants,
            assignments: grouped(&rows.assignments, |it| it.gateway_id),
            servers: rows.servers.iter().map(|it| (it.id, it)).collect(),
            rules: grouped(&rows.rules, |it| it.gateway_id),
            connections: grouped(&rows.connections, |it| it.gateway_id),
            choices: grouped(&rows.choices, |it| it.connection_id),
        }
    }

    fn source(&self, gateway: &GatewayRow, workspace: &Workspace) -> Source {
        let assignments: Vec<AssignmentRow> = self.of_gateway(&self.assignments, gateway);
        let connections: Vec<ConnectionRow> = self.of_gateway(&self.connections, gateway);
        let servers = assignments.iter().filter_map(|it| self.servers.get(&it.server_id));
        let approved = assignments.iter().filter_map(|it| {
            let server = workspace.servers.get(&ServerId(it.server_id))?;
            if let Review::On(approved) = &server.review {
                Some(Arc::clone(approved))
            } else {
                None
            }
        });
        let choices = connections.iter().filter_map(|it| self.choices.get(&it.id)).flatten();
        let owners = connections.iter().filter_map(|it| workspace.apps.get(&AppId(it.app_id)));
        let people = connections.iter().map(|it| UserId(it.user_id));
        let people = people.chain(owners.map(|it| it.owner));
        let teams = |id: UserId| workspace.users.get(&id).map(|it| it.teams.clone());
        Source {
            gateway: gateway.clone(),
            teams: self.grants.get(&gateway.id).cloned().unwrap_or_default(),
            servers: servers.map(|it| (*it).clone()).collect(),
            approved: approved.collect(),
            rules: self.of_gateway(&self.rules, gateway),
            choices: choices.map(|it| (*it).clone()).collect(),
            people: people.map(|id| (id, teams(id).unwrap_or_default())).collect(),
            assignments,
            connections,
        }
    }

    fn of_gateway<T: Clone>(&self, all: &HashMap<Uuid, Vec<&T>>, gateway: &GatewayRow) -> Vec<T> {
        all.get(&gateway.id).into_iter().flatten().map(|it| (*it).clone()).collect()
    }
}

fn grouped<T>(rows: &[T], key: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<&T>> {
    let mut groups: HashMap<Uuid, Vec<&T>> = HashMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}

/// Workspaces by id, with everything but their gateways.
fn workspaces(rows: &Rows) -> Result<HashMap<Uuid, Workspace>, BuildError> {
    let mut all = HashMap::new();
    for row in &rows.workspaces {
        all.insert(row.id, workspace(row)?);
    }
    for row in &rows.users {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        let id = UserId(row.id);
        let attributes: AttributesText = parsed("users", row.id, &row.attributes)?;
        let user = User {
            id,
            name: name("users", row.id, &row.name)?,
            teams: BTreeSet::new(),
            attributes: attributes.into(),
        };
        workspace.users.insert(id, user);
    }
    for row in &rows.teams {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        workspace.teams.insert(TeamId(row.id), name("teams", row.id, &row.name)?);
    }
    for row in &rows.members {
        let users = all.get_mut(&row.workspace_id).map(|it| &mut it.users);
        if let Some(user) = users.and_then(|it| it.get_mut(&UserId(row.user_id))) {
            user.teams.insert(TeamId(row.team_id));
        }
    }
    for row in &rows.apps {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        let id = AppId(row.id);
        let labels: Labels = parsed("apps", row.id, &row.labels)?;
        let app = App {
            id,
            name: name("apps", row.id, &row.name)?,
            owner: UserId(row.owner_id),
            addresses: addresses("apps", row.id, &row.addresses)?,
            picked: row.picked.map(GatewayId),
            labels: labels::plain(labels),
        };
        workspace.apps.insert(id, app);
    }
    let mut approved = approved(&rows.pins)?;
    for row in &rows.servers {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        let server = server(row, approved.remove(&row.id).unwrap_or_default())?;
        workspace.servers.insert(ServerId(row.id), Arc::new(server));
    }
    for row in &rows.identities {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        let id = IdentityId(row.id);
        let identity = Identity {
            id,
            name: name("identities", row.id, &row.name)?,
            server: ServerId(row.server_id),
            owner: row.owner_id.map(UserId),
            sealed: row.sealed.clone(),
        };
        workspace.identities.insert(id, identity);
    }
    for row in &rows.limits {
        let Some(workspace) = all.get_mut(&row.workspace_id) else { continue };
        workspace.limits.push(Arc::new(limit(row)?));
    }
    Ok(all)
}

fn workspace(row: &WorkspaceRow) -> Result<Workspace, BuildError> {
    Ok(Workspace {
        id: WorkspaceId(row.id),
        name: name("workspaces", row.id, &row.name)?,
        durability: match row.durability.as_str() {
            "written" => Durability::Written,
            "synced" => Durability::Synced,
            _ => return Err(broken("workspaces", row.id, "no such durability")),
        },
        addresses: addresses("workspaces", row.id, &row.addresses)?,
        users: HashMap::new(),
        apps: HashMap::new(),
        servers: HashMap::new(),
        identities: HashMap::new(),
        gateways: HashMap::new(),
        lobby: Lobby::default(),
        limits: Vec::new(),
        teams: HashMap::new(),
        authority: Arc::default(),
        policies: Arc::default(),
    })
}

fn addresses(table: &'static str, id: Uuid, json: &Value) -> Result<Addresses, BuildError> {
    parsed::<AddressesText>(table, id, json).map(|it| it.0)
}

/// What is approved, by server.
fn approved(rows: &[PinRow]) -> Result<HashMap<Uuid, HashSet<PinKey>>, BuildError> {
    let mut approved: HashMap<Uuid, HashSet<PinKey>> = HashMap::new();
    for row in rows {
        let kind = row.kind.parse().map_err(|why| broken("pins", row.server_id, why))?;
        let hash = <[u8; 32]>::try_from(row.hash.as_slice());
        let hash = hash.map_err(|_| broken("pins", row.server_id, "the hash is not 32 bytes"))?;
        let pin = PinKey { kind, hash: DefinitionHash(hash) };
        approved.entry(row.server_id).or_default().insert(pin);
    }
    Ok(approved)
}

fn server(row: &ServerRow, approved: HashSet<PinKey>) -> Result<Server, BuildError> {
    let transport: TransportText = parsed("servers", row.id, &row.transport)?;
    let era: EraText = parsed("servers", row.id, &Value::from(row.era.as_str()))?;
    let labels: Labels = parsed("servers", row.id, &row.labels)?;
    let tools: ToolLabels = parsed("servers", row.id, &row.tool_labels)?;
    let tasks: TasksText = parsed("servers", row.id, &Value::from(row.tasks.as_str()))?;
    Ok(Server {
        id: ServerId(row.id),
        name: name("servers", row.id, &row.name)?,
        transport: transport.into(),
        era: era.into(),
        tasks: tasks.into(),
        roots: row.roots,
        review: match row.review.as_str() {
            "off" => Review::Off,
            "on" => Review::On(Arc::new(approved)),
            _ => return Err(broken("servers", row.id, "no such review")),
        },
        labels: labels::plain(labels),
        tool_labels: tools.into_iter().map(|(name, it)| (name, it.into())).collect(),
    })
}

fn gateway(source: &Source, workspace: &Workspace) -> Result<Gateway, BuildError> {
    let id = GatewayId(source.gateway.id);
    let own_name = name("gateways", id.0, &source.gateway.name)?;
    let mut assignments = Vec::new();
    for row in &source.assignments {
        assignments.push(Arc::new(assignment(row, workspace)?));
    }
    let provisioned: Vec<Provisioned> = assignments.iter().map(|it| Provisioned::of(it)).collect();
    let policy = Policy::compile(id, &source.teams, &provisioned)
        .map_err(|source| BuildError::Policy { gateway: own_name.clone(), source })?;
    let mut connections = HashMap::new();
    for row in &source.connections {
        let chosen = source.choices.iter().filter(|it| it.connection_id == row.id);
        let connection = Connection {
            id: ConnectionId(row.id),
            app: AppId(row.app_id),
            user: UserId(row.user_id),
            identities: chosen
                .map(|it| (ServerId(it.server_id), IdentityId(it.identity_id)))
                .collect(),
        };
        connections.insert(connection.app, connection);
    }
    let rules = source.rules.iter().map(rule).collect::<Result<_, _>>()?;
    let teams = source.teams.clone();
    let addresses = addresses("gateways", id.0, &source.gateway.addresses)?;
    let seconds = u64::try_from(source.gateway.max_autonomy_seconds);
    let seconds = seconds.map_err(|_| broken("gateways", id.0, "no such autonomy"))?;
    let autonomy = Duration::from_secs(seconds).min(MOST_AUTONOMY);
    let name = own_name;
    Ok(Gateway { id, name, assignments, teams, addresses, autonomy, connections, rules, policy })
}

fn assignment(row: &AssignmentRow, workspace: &Workspace) -> Result<Assignment, BuildError> {
    let server = workspace
        .servers
        .get(&ServerId(row.server_id))
        .ok_or_else(|| broken("assignments", row.id, "no such server"))?;
    let exposed = |json: &Value| -> Result<_, BuildError> {
        Ok(parsed::<ProvisionText>("assignments", row.id, json)?.into())
    };
    Ok(Assignment {
        id: AssignmentId(row.id),
        alias: name("assignments", row.id, &row.alias)?,
        server: Arc::clone(server),
        scheme: match (row.scheme.as_str(), row.identity_id) {
            ("open", None) => Scheme::Open,
            ("own", None) => Scheme::Own,
            ("shared", Some(id)) => Scheme::Shared(IdentityId(id)),
            _ => return Err(broken("assignments", row.id, "scheme and identity do not agree")),
        },
        tools: exposed(&row.tools)?,
        prompts: exposed(&row.prompts)?,
        resources: exposed(&row.resources)?,
    })
}

fn rule(row: &RuleRow) -> Result<RuleDef, BuildError> {
    let action: ActionText = parsed("rules", row.id, &row.action)?;
    Ok(RuleDef {
        id: RuleId(row.id),
        name: name("rules", row.id, &row.name)?,
        pattern: row.pattern.clone(),
        on_request: row.on_request,
        on_response: row.on_response,
        tools: row.tools.as_ref().map(|it| parsed("rules", row.id, it)).transpose()?,
        action: action.into(),
        observe_only: row.observe_only,
    })
}

fn limit(row: &LimitRow) -> Result<Limit, BuildError> {
    let broken = |why| broken("limits", row.id, why);
    let kind: UnitText = parsed("limits", row.id, &Value::from(row.unit.as_str()))?;
    let direction = Value::from(row.direction.as_str());
    let direction: DirectionText = parsed("limits", row.id, &direction)?;
    let direction = Some(direction).filter(|_| kind != UnitText::Calls);
    let allowance: AllowanceText = parsed("limits", row.id, &row.allowance)?;
    Ok(Limit {
        id: LimitId(row.id),
        name: name("limits", row.id, &row.name)?,
        scope: limits::scope(&row.scope, row.subject_id, row.tool.as_deref())
            .ok_or_else(|| broken("no such scope".to_owned()))?,
        unit: limits::unit(kind, direction).map_err(|error| broken(error.to_string()))?,
        allowance: allowance.try_into().map_err(|error: Error| broken(error.to_string()))?,
        gateway: row.gateway_id.map(GatewayId),
    })
}

pub(super) fn name(table: &'static str, id: Uuid, text: &str) -> Result<Name, BuildError> {
    text.parse().map_err(|error: domain::InvalidName| broken(table, id, error))
}

fn parsed<T: DeserializeOwned>(
    table: &'static str,
    id: Uuid,
    json: &Value,
) -> Result<T, BuildError> {
    T::deserialize(json).map_err(|error| broken(table, id, error))
}

pub(super) fn broken(table: &'static str, id: Uuid, why: impl ToString) -> BuildError {
    BuildError::Row { table, id, why: why.to_string() }
}
