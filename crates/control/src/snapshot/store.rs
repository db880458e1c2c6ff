//! Everything the data plane needs, of all workspaces, as rows.
//!
//! The only statements that do not filter by workspace: the snapshot is of the installation.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use serde_json::Value;
use uuid::Uuid;

/// The configuration's tables, whole, in an order that does not depend on the database.
pub(super) struct Rows {
    pub(super) workspaces: Vec<WorkspaceRow>,
    pub(super) users: Vec<UserRow>,
    pub(super) teams: Vec<TeamRow>,
    pub(super) members: Vec<MemberRow>,
    pub(super) roles: Vec<RoleRow>,
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

impl Rows {
    /// Reads them in the transaction, which makes them one instant.
    pub(super) async fn read(tx: &mut Tx) -> Result<Self, DbError> {
        Ok(Self {
            workspaces: tx
                .all(sql("SELECT id, name, durability, addresses FROM workspaces"))
                .await?,
            users: tx.all(sql("SELECT workspace_id, id, name, attributes FROM users")).await?,
            teams: tx.all(sql("SELECT workspace_id, id, name FROM teams")).await?,
            roles: tx.all(sql("SELECT id, name, capabilities FROM roles")).await?,
            role_grants: tx
                .all(sql("SELECT workspace_id, id, name, role_id, built_in, user_id, team_id,
                                 on_gateway_id, on_server_id, on_team_id
                          FROM role_grants ORDER BY workspace_id, name"))
                .await?,
            members: tx.all(sql("SELECT workspace_id, team_id, user_id FROM members")).await?,
            servers: tx
                .all(sql("SELECT workspace_id, id, name, transport, era, tasks, roots, review,
                                 labels, tool_labels
                          FROM servers"))
                .await?,
            pins: tx
                .all(sql("SELECT p.server_id, p.kind, p.hash
                          FROM pins p
                          JOIN servers s ON s.workspace_id = p.workspace_id AND s.id = p.server_id
                          WHERE p.state = 'approved' AND s.review = 'on'"))
                .await?,
            identities: tx
                .all(sql("SELECT workspace_id, id, name, server_id, owner_id, sealed
                          FROM identities"))
                .await?,
            gateways: tx
                .all(sql("SELECT workspace_id, id, name, addresses, max_autonomy_seconds
                          FROM gateways"))
                .await?,
            grants: tx
                .all(sql("SELECT gateway_id, team_id FROM grants ORDER BY gateway_id, team_id"))
                .await?,
            assignments: tx
                .all(sql("SELECT id, gateway_id, alias, server_id, scheme, identity_id, tools,
                                 prompts, resources
                          FROM assignments ORDER BY gateway_id, position, id"))
                .await?,
            rules: tx
                .all(sql("SELECT id, gateway_id, name, pattern, on_request, on_response, tools,
                                 action, observe_only
                          FROM rules ORDER BY gateway_id, position, id"))
                .await?,
            limits: tx
                .all(sql("SELECT workspace_id, id, name, scope, subject_id, tool, unit, direction,
                                 allowance, gateway_id
                          FROM limits ORDER BY id"))
                .await?,
            policies: tx
                .all(sql("SELECT workspace_id, id, name, policy FROM policies
                          WHERE enabled ORDER BY workspace_id, name"))
                .await?,
            apps: tx
                .all(sql("SELECT a.workspace_id, a.id, a.name, a.owner_id, a.addresses, a.labels,
                                 p.gateway_id AS picked
                          FROM apps a
                          LEFT JOIN picks p
                            ON p.workspace_id = a.workspace_id AND p.app_id = a.id"))
                .await?,
            tokens: tx
                .all(sql("SELECT workspace_id, id, app_id, hash, expires_at FROM tokens"))
                .await?,
            connections: tx
                .all(sql("SELECT id, app_id, gateway_id, user_id
                          FROM connections ORDER BY gateway_id, id"))
                .await?,
            choices: tx
                .all(sql("SELECT connection_id, server_id, identity_id
                          FROM choices ORDER BY connection_id, server_id"))
                .await?,
        })
    }
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
pub(super) struct RoleRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) capabilities: Value,
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
}

#[derive(sqlx::FromRow)]
pub(super) struct MemberRow {
    pub(super) workspace_id: Uuid,
    pub(super) team_id: Uuid,
    pub(super) user_id: Uuid,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
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

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
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

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
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

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
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

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(super) struct ConnectionRow {
    pub(super) id: Uuid,
    pub(super) app_id: Uuid,
    pub(super) gateway_id: Uuid,
    pub(super) user_id: Uuid,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
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
