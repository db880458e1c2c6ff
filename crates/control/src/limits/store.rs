//! Table `limits`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::limits::Scope;
use domain::{GatewayId, LimitId, Name, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{AllowanceText, DirectionText, Limit, ScopeText, UnitText, unit, unit_text};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row::{self, Named};

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Limit>, Error> {
    let statement = sql("SELECT l.id, l.name, l.scope, l.subject_id, l.tool, l.unit, l.direction,
            l.allowance, l.gateway_id, g.name AS gateway, l.created_at,
            COALESCE(u.name, a.name, t.name, s.name, o.name) AS subject
         FROM limits l
         LEFT JOIN gateways g ON g.workspace_id = l.workspace_id AND g.id = l.gateway_id
         LEFT JOIN users u ON u.workspace_id = l.workspace_id AND u.id = l.subject_id
         LEFT JOIN apps a ON a.workspace_id = l.workspace_id AND a.id = l.subject_id
         LEFT JOIN teams t ON t.workspace_id = l.workspace_id AND t.id = l.subject_id
         LEFT JOIN servers s ON s.workspace_id = l.workspace_id AND s.id = l.subject_id
         LEFT JOIN gateways o ON o.workspace_id = l.workspace_id AND o.id = l.subject_id
         WHERE l.workspace_id = $1 AND ($2 IS NULL OR l.id = $2) AND ($3 IS NULL OR l.name = $3)
           AND ($4 IS NULL OR l.name > $4)
         ORDER BY l.name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn count(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, DbError> {
    let statement = sql("SELECT COUNT(*) FROM limits WHERE workspace_id = $1").bind(workspace.0);
    let row: Option<(i64,)> = tx.optional(statement).await?;
    Ok(row.map_or(0, |it| it.0))
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    limit: &Limit,
) -> Result<(), DbError> {
    let (scope, subject, tool) = super::stored(&limit.scope);
    let (unit, direction) = unit_text(limit.unit);
    change
        .execute(
            sql("INSERT INTO limits
                   (workspace_id, id, name, scope, subject_id, tool, unit, direction, allowance,
                    gateway_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(workspace.0)
            .bind(limit.id.0)
            .bind(limit.name.as_str())
            .bind(scope)
            .bind(subject)
            .bind(tool)
            .bind(unit.as_str())
            .bind(direction.unwrap_or_default().as_str())
            .bind(row::to_json(&AllowanceText::from(limit.allowance)))
            .bind(limit.gateway.as_ref().map(|it| it.id.0))
            .bind(limit.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    limit: &Limit,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE limits SET name = $3, allowance = $4, gateway_id = $5
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(limit.id.0)
            .bind(limit.name.as_str())
            .bind(row::to_json(&AllowanceText::from(limit.allowance)))
            .bind(limit.gateway.as_ref().map(|it| it.id.0)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    limit: LimitId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM limits WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(limit.0),
        )
        .await?;
    Ok(())
}

/// The limits that are for something, or on it.
pub(super) async fn naming(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'limit `' || name || '`' AS used_by FROM limits
                 WHERE workspace_id = $1 AND (subject_id = $2 OR gateway_id = $2)
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(id),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    scope: String,
    subject_id: Option<Uuid>,
    subject: Option<String>,
    tool: Option<String>,
    unit: String,
    direction: String,
    allowance: Value,
    gateway_id: Option<Uuid>,
    gateway: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Limit {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let scope = super::scope(&row.scope, row.subject_id, row.tool.as_deref())
            .ok_or_else(|| Error::internal("a limit is stored with no scope"))?;
        let subject = row.subject.map(row::name).transpose()?;
        let kind: UnitText = row::json(Value::String(row.unit))?;
        let direction: DirectionText = row::json(Value::String(row.direction))?;
        let direction = Some(direction).filter(|_| kind != UnitText::Calls);
        let gateway = row.gateway_id.zip(row.gateway.map(row::name).transpose()?);
        Ok(Self {
            id: LimitId(row.id),
            name: row::name(row.name)?,
            scope_text: scope_text(&scope, subject),
            scope,
            unit: unit(kind, direction)?,
            allowance: row::json::<AllowanceText>(row.allowance)?.try_into()?,
            gateway: gateway.map(|(id, name)| Named { id: GatewayId(id), name }),
            created_at: row.created_at,
        })
    }
}

fn scope_text(scope: &Scope, name: Option<Name>) -> ScopeText {
    match scope {
        Scope::Workspace => ScopeText::Workspace {},
        Scope::User(_) => ScopeText::User { user: name },
        Scope::App(_) => ScopeText::App { app: name },
        Scope::Team(_) => ScopeText::Team { team: name },
        Scope::Gateway(_) => ScopeText::Gateway { gateway: name },
        Scope::Server(_) => ScopeText::Server { server: name },
        Scope::Tool(only) => {
            let tool = only.as_ref().map(|it| it.1.to_string());
            ScopeText::Tool { server: name, tool }
        }
    }
}
