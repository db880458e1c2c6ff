//! Table `rules`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{GatewayId, RuleId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{ActionText, Rule};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
    which: Which<'_>,
) -> Result<Vec<Rule>, Error> {
    let statement = sql("SELECT id, gateway_id, name, pattern, on_request, on_response, tools,
            action, observe_only, position, created_at
         FROM rules
         WHERE workspace_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR name = $3)
           AND ($4 IS NULL OR name > $4) AND gateway_id = $6
         ORDER BY name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement).bind(gateway.0)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Behind all others.
pub(super) async fn next_position(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<i64, DbError> {
    let row: Option<(Option<i64>,)> = tx
        .optional(
            sql("SELECT MAX(position) FROM rules WHERE workspace_id = $1 AND gateway_id = $2")
                .bind(workspace.0)
                .bind(gateway.0),
        )
        .await?;
    Ok(row.and_then(|it| it.0).map_or(1, |it| it.saturating_add(1)))
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    rule: &Rule,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO rules
                   (workspace_id, id, gateway_id, name, pattern, on_request, on_response, tools,
                    action, observe_only, position, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
            .bind(workspace.0)
            .bind(rule.id.0)
            .bind(rule.gateway.0)
            .bind(rule.name.as_str())
            .bind(rule.pattern.as_str())
            .bind(rule.on_request)
            .bind(rule.on_response)
            .bind(rule.tools.as_ref().map(row::to_json))
            .bind(row::to_json(&ActionText::from(rule.action.clone())))
            .bind(rule.observe_only)
            .bind(rule.position)
            .bind(rule.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    rule: &Rule,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE rules
                 SET name = $3, pattern = $4, on_request = $5, on_response = $6, tools = $7,
                     action = $8, observe_only = $9, position = $10
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(rule.id.0)
            .bind(rule.name.as_str())
            .bind(rule.pattern.as_str())
            .bind(rule.on_request)
            .bind(rule.on_response)
            .bind(rule.tools.as_ref().map(row::to_json))
            .bind(row::to_json(&ActionText::from(rule.action.clone())))
            .bind(rule.observe_only)
            .bind(rule.position),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    rule: RuleId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM rules WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(rule.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    gateway_id: Uuid,
    name: String,
    pattern: String,
    on_request: bool,
    on_response: bool,
    tools: Option<Value>,
    action: Value,
    observe_only: bool,
    position: i64,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Rule {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: RuleId(row.id),
            gateway: GatewayId(row.gateway_id),
            name: row::name(row.name)?,
            pattern: row.pattern,
            on_request: row.on_request,
            on_response: row.on_response,
            tools: row.tools.map(row::json).transpose()?,
            action: row::json::<ActionText>(row.action)?.into(),
            observe_only: row.observe_only,
            position: row.position,
            created_at: row.created_at,
        })
    }
}
