//! Everything the data plane needs, of all workspaces, as rows.
//!
//! The only statements that do not filter by workspace: the snapshot is of the installation. Each has
//! a second form that reads what belongs to some things of one workspace.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::{DbError, Record, Tx, sql};
use serde_json::Value;
use uuid::Uuid;

use super::changes::{Keys, Part, Scope};

/// The configuration's tables, whole or what has been touched of them, in an order that does not
/// depend on the database.
pub(super) struct Rows {
    pub(super) workspaces: Vec<WorkspaceRow>,
    pub(super) users: Vec<UserRow>,
    pub(super) teams: Vec<TeamRow>,
    pub(super) members: Vec<MemberRow>,
    pub(super) role_grants: Vec<RoleGrantRow>,
    pub(super) servers: Vec<ServerRow>,
    pub(super) pins: Vec<PinRow>,
    pub(super) identities: Vec<IdentityRow>,
    pub(super) gateways: Vec<GatewayRow>,
    pub(super) grants: Vec<GrantRow>,
    pub(super) assignments: Vec<AssignmentRow>,
    pub(super) rules: Vec<RuleRow>,
    pub(super) limits: Vec<LimitRow>,
    pub(super) policies: Vec<PolicyRow>,
    pub(super) apps: Vec<AppRow>,
    pub(super) tokens: Vec<TokenRow>,
    pub(super) connections: Vec<ConnectionRow>,
    pub(super) choices: Vec<ChoiceRow>,
}

/// One statement in two forms: for everything, and for [`AT_ONCE`] things of one workspace.
struct Reading {
    all: &'static str,
    some: &'static str,
}

/// How many things are asked for together. What is left over of them is the last one again.
const AT_ONCE: usize = 16;

/// What is read, on which condition, by whose id, and in which order.
macro_rules! reading {
    ($select:literal, if $condition:literal, of ($workspace:literal, $id:literal), $order:literal) => {
        Reading {
            all: concat!($select, " WHERE ", $condition, " ", $order),
            some: concat!(
                $select,
                " WHERE ",
                $condition,
                " AND ",
                $workspace,
                " = $1 AND ",
                $id,
                " IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ",
                $order
            ),
        }
    };
    ($select:literal, of ($workspace:literal, $id:literal)) => {
        reading!($select, if "TRUE", of ($workspace, $id), "")
    };
    ($select:literal, of ($workspace:literal, $id:literal), $order:literal) => {
        reading!($select, if "TRUE", of ($workspace, $id), $order)
    };
}

const WORKSPACES: Reading =
    reading!("SELECT id, name, durability, addresses FROM workspaces", of("id", "id"));
const USERS: Reading =
    reading!("SELECT workspace_id, id, name, attributes FROM users", of("workspace_id", "id"));
const TEAMS: Reading =
    reading!("SELECT workspace_id, id, name FROM teams", of("workspace_id", "id"));
const MEMBERS: Reading =
    reading!("SELECT workspace_id, team_id, user_id FROM members", of("workspace_id", "user_id"));
const ROLE_GRANTS: Reading = reading!(
    "SELECT g.workspace_id, g.id, g.name, g.role_id, g.built_in, g.user_id, g.team_id,
            g.on_gateway_id, g.on_server_id, g.on_team_id, r.name AS role_name, r.capabilities
     FROM role_grants g
     LEFT JOIN roles r ON r.workspace_id = g.workspace_id AND r.id = g.role_id",
    of("g.workspace_id", "g.id")
);
const GRANTS_OF_ROLES: Reading = reading!(
    "SELECT g.workspace_id, g.id, g.name, g.role_id, g.built_in, g.user_id, g.team_id,
            g.on_gateway_id, g.on_server_id, g.on_team_id, r.name AS role_name, r.capabilities
     FROM role_grants g
     JOIN roles r ON r.workspace_id = g.workspace_id AND r.id = g.role_id",
    of("g.workspace_id", "g.role_id")
);
const SERVERS: Reading = reading!(
    "SELECT workspace_id, id, name, transport, era, tasks, roots, review, labels, tool_labels
     FROM servers",
    of("workspace_id", "id")
);
const PINS: Reading = reading!(
    "SELECT p.server_id, p.kind, p.hash
     FROM pins p
     JOIN servers s ON s.workspace_id = p.workspace_id AND s.id = p.server_id",
    if "p.state = 'approved' AND s.review = 'on'",
    of ("p.workspace_id", "p.server_id"),
    ""
);
const IDENTITIES: Reading = reading!(
    "SELECT workspace_id, id, name, server_id, owner_id, sealed FROM identities",
    of("workspace_id", "id")
);
const GATEWAYS: Reading = reading!(
    "SELECT workspace_id, id, name, addresses, max_autonomy_seconds FROM gateways",
    of("workspace_id", "id")
);
const GRANTS: Reading =
    reading!("SELECT gateway_id, team_id FROM grants", of("workspace_id", "gateway_id"));
const ASSIGNMENTS: Reading = reading!(
    "SELECT id, gateway_id, alias, server_id, scheme, identity_id, tools, prompts, resources
     FROM assignments",
    of("workspace_id", "gateway_id"),
    "ORDER BY gateway_id, position, id"
);
const RULES: Reading = reading!(
    "SELECT id, gateway_id, name, pattern, on_request, on_response, tools, action, observe_only
     FROM rules",
    of("workspace_id", "gateway_id"),
    "ORDER BY gateway_id, position, id"
);
const LIMITS: Reading = reading!(
    "SELECT workspace_id, id, name, scope, subject_id, tool, unit, direction, allowance, gateway_id
     FROM limits",
    of("workspace_id", "id")
);
const POLICIES: Reading = reading!(
    "SELECT workspace_id, id, name, policy FROM policies",
    if "enabled",
    of ("workspace_id", "workspace_id"),
    "ORDER BY workspace_id, name"
);
const APPS: Reading = reading!(
    "SELECT a.workspace_id, a.id, a.name, a.owner_id, a.addresses, a.labels,
            p.gateway_id AS picked
     FROM apps a
     LEFT JOIN picks p ON p.workspace_id = a.workspace_id AND p.app_id = a.id",
    of("a.workspace_id", "a.id")
);
const TOKENS: Reading = reading!(
    "SELECT workspace_id, id, app_id, hash, expires_at FROM tokens",
    of("workspace_id", "id")
);
const CONNECTIONS: Reading = reading!(
    "SELECT workspace_id, id, app_id, gateway_id, user_id FROM connections",
    of("workspace_id", "id")
);
const CHOICES: Reading = reading!(
    "SELECT connection_id, server_id, identity_id FROM choices",
    of("workspace_id", "connection_id")
);

/// The names of what no snapshot has one of.
const NAMES_OF_POLICIES: Reading =
    reading!("SELECT workspace_id, id, name FROM policies", of("workspace_id", "id"));
const NAMES_OF_ROLES: Reading =
    reading!("SELECT workspace_id, id, name FROM roles", of("workspace_id", "id"));
const NAMES_OF_TOKENS: Reading =
    reading!("SELECT workspace_id, id, name FROM tokens", of("workspace_id", "id"));

/// All statements, as they read everything.
#[cfg(test)]
pub(super) fn texts() -> [&'static str; 19] {
    [
        WORKSPACES,
        USERS,
        TEAMS,
        MEMBERS,
        ROLE_GRANTS,
        GRANTS_OF_ROLES,
        SERVERS,
        PINS,
        IDENTITIES,
        GATEWAYS,
        GRANTS,
        ASSIGNMENTS,
        RULES,
        LIMITS,
        POLICIES,
        APPS,
        TOKENS,
        CONNECTIONS,
        CHOICES,
    ]
    .map(|it| it.all)
}

impl Rows {
    /// Reads them in the transaction, which makes them one instant.
    pub(super) async fn read(tx: &mut Tx, scope: &Scope) -> Result<Self, DbError> {
        let keys = |part| scope.keys(part);
        let mut role_grants = ROLE_GRANTS.rows(tx, keys(Part::RoleGrant)).await?;
        if let Some(roles) = keys(Part::Role) {
            role_grants.extend(GRANTS_OF_ROLES.rows(tx, Some(roles)).await?);
        }
        Ok(Self {
            workspaces: WORKSPACES.rows(tx, keys(Part::Workspace)).await?,
            users: USERS.rows(tx, keys(Part::User)).await?,
            teams: TEAMS.rows(tx, keys(Part::Team)).await?,
            members: MEMBERS.rows(tx, keys(Part::User)).await?,
            role_grants,
            servers: SERVERS.rows(tx, keys(Part::Server)).await?,
            pins: PINS.rows(tx, keys(Part::Server)).await?,
            identities: IDENTITIES.rows(tx, keys(Part::Identity)).await?,
            gateways: GATEWAYS.rows(tx, keys(Part::Gateway)).await?,
            grants: GRANTS.rows(tx, keys(Part::Gateway)).await?,
            assignments: ASSIGNMENTS.rows(tx, keys(Part::Gateway)).await?,
            rules: RULES.rows(tx, keys(Part::Gateway)).await?,
            limits: LIMITS.rows(tx, keys(Part::Limit)).await?,
            policies: POLICIES.rows(tx, keys(Part::Policies)).await?,
            apps: APPS.rows(tx, keys(Part::App)).await?,
            tokens: TOKENS.rows(tx, keys(Part::Token)).await?,
            connections: CONNECTIONS.rows(tx, keys(Part::Connection)).await?,
            choices: CHOICES.rows(tx, keys(Part::Connection)).await?,
        })
    }
}

impl Reading {
    async fn rows<T: Record>(&self, tx: &mut Tx, keys: Option<&Keys>) -> Result<Vec<T>, DbError> {
        let Some(keys) = keys else { return tx.all(sql(self.all)).await };
        let mut rows = Vec::new();
        for (workspace, ids) in keys {
            let ids: Vec<Uuid> = ids.iter().copied().collect();
            for some in ids.chunks(AT_ONCE) {
                let ids = some.iter().chain(some.last().into_iter().cycle());
                let statement = sql(self.some).bind(*workspace);
                let statement = ids.take(AT_ONCE).fold(statement, |it, id| it.bind(*id));
                rows.extend(tx.all(statement).await?);
            }
        }
        Ok(rows)
    }
}

/// The names of what has been touched and is in no snapshot, by workspace and id.
pub(super) async fn names(
    tx: &mut Tx,
    scope: &Scope,
) -> Result<HashMap<(Uuid, Uuid), String>, DbError> {
    let mut names = HashMap::new();
    let all = [
        (NAMES_OF_POLICIES, Part::Policy),
        (NAMES_OF_ROLES, Part::Role),
        (NAMES_OF_TOKENS, Part::Token),
    ];
    for (reading, part) in all {
        if let Some(keys) = scope.keys(part) {
            let rows: Vec<(Uuid, Uuid, String)> = reading.rows(tx, Some(keys)).await?;
            names.extend(rows.into_iter().map(|(workspace, id, name)| ((workspace, id), name)));
        }
    }
    Ok(names)
}

/// Every switch, whether or not its time has passed.
pub(super) async fn switches(tx: &mut Tx) -> Result<Vec<SwitchRow>, DbError> {
    tx.all(sql("SELECT kind, target_id, tool, until, reason FROM switches")).await
}

/// Moves the epoch, which no other change can do until this transaction has ended.
/// `stamp` is random.
pub(crate) async fn move_epoch(
    tx: &mut Tx,
    stamp: i64,
    only_switches: bool,
) -> Result<(), DbError> {
    let statement = if only_switches {
        "UPDATE epoch SET epoch = epoch + 1, stamp = $1"
    } else {
        "UPDATE epoch SET epoch = epoch + 1, stamp = $1, config = epoch + 1, config_stamp = $1"
    };
    tx.execute(sql(statement).bind(stamp)).await?;
    Ok(())
}

/// Keys of recorded content are destroyed by the change that this epoch is of.
pub(crate) async fn note_destroyed(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(sql("UPDATE epoch SET destroyed = epoch")).await?;
    Ok(())
}

/// The epoch as this transaction sees it.
pub(crate) async fn epoch(tx: &mut Tx) -> Result<u64, DbError> {
    let found = epochs(tx).await?.map(|it| it.epoch);
    Ok(found.and_then(|it| u64::try_from(it).ok()).unwrap_or_default())
}

/// The epochs as this transaction sees them.
pub(super) async fn epochs(tx: &mut Tx) -> Result<Option<db::Epochs>, DbError> {
    tx.optional(sql("SELECT epoch, config, stamp, config_stamp, destroyed FROM epoch")).await
}

#[derive(sqlx::FromRow)]
pub(super) struct WorkspaceRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) durability: String,
    pub(super) addresses: Value,
}

#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) attributes: Value,
}

#[derive(sqlx::FromRow)]
pub(super) struct TeamRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct RoleGrantRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) role_id: Option<Uuid>,
    pub(super) built_in: Option<String>,
    pub(super) user_id: Option<Uuid>,
    pub(super) team_id: Option<Uuid>,
    pub(super) on_gateway_id: Option<Uuid>,
    pub(super) on_server_id: Option<Uuid>,
    pub(super) on_team_id: Option<Uuid>,
    /// Of the role, where it is one of the workspace's own.
    pub(super) role_name: Option<String>,
    pub(super) capabilities: Option<Value>,
}

#[derive(sqlx::FromRow)]
pub(super) struct MemberRow {
    pub(super) workspace_id: Uuid,
    pub(super) team_id: Uuid,
    pub(super) user_id: Uuid,
}

#[derive(sqlx::FromRow)]
pub(super) struct ServerRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) transport: Value,
    pub(super) era: String,
    pub(super) tasks: String,
    pub(super) roots: bool,
    pub(super) review: String,
    pub(super) labels: Value,
    pub(super) tool_labels: Value,
}

/// What is approved of servers under review.
#[derive(sqlx::FromRow)]
pub(super) struct PinRow {
    pub(super) server_id: Uuid,
    pub(super) kind: String,
    pub(super) hash: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(super) struct IdentityRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) server_id: Uuid,
    pub(super) owner_id: Option<Uuid>,
    pub(super) sealed: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(super) struct GatewayRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) addresses: Value,
    pub(super) max_autonomy_seconds: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct GrantRow {
    pub(super) gateway_id: Uuid,
    pub(super) team_id: Uuid,
}

#[derive(sqlx::FromRow)]
pub(super) struct AssignmentRow {
    pub(super) id: Uuid,
    pub(super) gateway_id: Uuid,
    pub(super) alias: String,
    pub(super) server_id: Uuid,
    pub(super) scheme: String,
    pub(super) identity_id: Option<Uuid>,
    pub(super) tools: Value,
    pub(super) prompts: Value,
    pub(super) resources: Value,
}

#[derive(sqlx::FromRow)]
pub(super) struct RuleRow {
    pub(super) id: Uuid,
    pub(super) gateway_id: Uuid,
    pub(super) name: String,
    pub(super) pattern: String,
    pub(super) on_request: bool,
    pub(super) on_response: bool,
    pub(super) tools: Option<Value>,
    pub(super) action: Value,
    pub(super) observe_only: bool,
}

#[derive(sqlx::FromRow)]
pub(super) struct LimitRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) subject_id: Option<Uuid>,
    pub(super) tool: Option<String>,
    pub(super) unit: String,
    pub(super) direction: String,
    pub(super) allowance: Value,
    pub(super) gateway_id: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
pub(super) struct AppRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) owner_id: Uuid,
    pub(super) addresses: Value,
    pub(super) picked: Option<Uuid>,
    pub(super) labels: Value,
}

/// What is enabled.
#[derive(sqlx::FromRow)]
pub(super) struct PolicyRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) policy: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) app_id: Uuid,
    pub(super) hash: Vec<u8>,
    pub(super) expires_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ConnectionRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) app_id: Uuid,
    pub(super) gateway_id: Uuid,
    pub(super) user_id: Uuid,
}

#[derive(sqlx::FromRow)]
pub(super) struct ChoiceRow {
    pub(super) connection_id: Uuid,
    pub(super) server_id: Uuid,
    pub(super) identity_id: Uuid,
}

#[derive(sqlx::FromRow)]
pub(super) struct SwitchRow {
    pub(super) kind: String,
    pub(super) target_id: Uuid,
    pub(super) tool: String,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) reason: Option<String>,
}
