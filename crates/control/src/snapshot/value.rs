//! What one row says, checked.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::{
    Addresses, App, AppId, Assignment, AssignmentId, Connection, ConnectionId, DefinitionHash,
    Durability, GatewayId, Identity, IdentityId, Limit, LimitId, Name, PinKey, Review, RuleDef,
    RuleId, Scheme, Server, ServerId, Switch, Switches, TeamId, Token, TokenHash, TokenId, User,
    UserId, Workspace,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::store::{
    AppRow, AssignmentRow, ConnectionRow, IdentityRow, LimitRow, PinRow, RuleRow, ServerRow,
    SwitchRow, TokenRow, UserRow, WorkspaceRow,
};
use crate::addresses::AddressesText;
use crate::api::Error;
use crate::assignments::ProvisionText;
use crate::labels::{self, AttributesText, Labels, ToolLabels};
use crate::limits::{self, AllowanceText, DirectionText, UnitText};
use crate::rules::ActionText;
use crate::servers::{EraText, TasksText, TransportText};
use crate::switches;

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

/// From where a workspace may be used, and what is durable in it.
pub(super) fn workspace(row: &WorkspaceRow) -> Result<(Name, Durability, Addresses), BuildError> {
    let durability = match row.durability.as_str() {
        "written" => Durability::Written,
        "synced" => Durability::Synced,
        _ => return Err(broken("workspaces", row.id, "no such durability")),
    };
    let addresses = addresses("workspaces", row.id, &row.addresses)?;
    Ok((name("workspaces", row.id, &row.name)?, durability, addresses))
}

pub(super) fn user(row: &UserRow, teams: BTreeSet<TeamId>) -> Result<User, BuildError> {
    let attributes: AttributesText = parsed("users", row.id, &row.attributes)?;
    let name = name("users", row.id, &row.name)?;
    Ok(User { id: UserId(row.id), name, teams, attributes: attributes.into() })
}

pub(super) fn app(row: &AppRow) -> Result<App, BuildError> {
    let labels: Labels = parsed("apps", row.id, &row.labels)?;
    Ok(App {
        id: AppId(row.id),
        name: name("apps", row.id, &row.name)?,
        owner: UserId(row.owner_id),
        addresses: addresses("apps", row.id, &row.addresses)?,
        picked: row.picked.map(GatewayId),
        labels: labels::plain(labels),
    })
}

pub(super) fn identity(row: IdentityRow) -> Result<Identity, BuildError> {
    Ok(Identity {
        id: IdentityId(row.id),
        name: name("identities", row.id, &row.name)?,
        server: ServerId(row.server_id),
        owner: row.owner_id.map(UserId),
        sealed: row.sealed,
    })
}

pub(super) fn token(row: &TokenRow, workspace: &Name) -> Result<(TokenHash, Token), BuildError> {
    let hash = TokenHash::try_from(row.hash.as_slice())
        .map_err(|_| broken("tokens", row.id, "the hash is not 32 bytes"))?;
    let token = Token {
        id: TokenId(row.id),
        workspace: workspace.clone(),
        app: AppId(row.app_id),
        expires_at: row.expires_at,
    };
    Ok((hash, token))
}

pub(super) fn connection(
    row: &ConnectionRow,
    identities: HashMap<ServerId, IdentityId>,
) -> Connection {
    let (app, user) = (AppId(row.app_id), UserId(row.user_id));
    Connection { id: ConnectionId(row.id), app, user, identities }
}

pub(super) fn addresses(
    table: &'static str,
    id: Uuid,
    json: &Value,
) -> Result<Addresses, BuildError> {
    parsed::<AddressesText>(table, id, json).map(|it| it.0)
}

/// What is approved, by server.
pub(super) fn approved(rows: &[PinRow]) -> Result<HashMap<Uuid, HashSet<PinKey>>, BuildError> {
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

pub(super) fn server(row: &ServerRow, approved: HashSet<PinKey>) -> Result<Server, BuildError> {
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

pub(super) fn assignment(
    row: &AssignmentRow,
    workspace: &Workspace,
) -> Result<Assignment, BuildError> {
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

pub(super) fn rule(row: &RuleRow) -> Result<RuleDef, BuildError> {
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

pub(super) fn limit(row: &LimitRow) -> Result<Limit, BuildError> {
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
