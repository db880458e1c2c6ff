//! Table `workspaces`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::WorkspaceId;
use serde_json::Value;
use uuid::Uuid;

use super::{DurabilityText, Workspace};
use crate::addresses::AddressesText;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(tx: &mut Tx, which: Which<'_>) -> Result<Vec<Workspace>, Error> {
    let statement = sql("SELECT id, name, durability, addresses, created_at FROM workspaces
         WHERE ($1 IS NULL OR id = $1) AND ($2 IS NULL OR name = $2) AND ($3 IS NULL OR name > $3)
         ORDER BY name LIMIT $4");
    let rows: Vec<Row> = tx.all(which.bind(statement)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(change: &mut Change, workspace: &Workspace) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO workspaces (id, name, durability, created_at, addresses)
                 VALUES ($1, $2, $3, $4, $5)")
            .bind(workspace.id.0)
            .bind(workspace.name.as_str())
            .bind(DurabilityText::from(workspace.durability).as_str())
            .bind(workspace.created_at)
            .bind(row::to_json(&AddressesText(workspace.addresses.clone()))),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(change: &mut Change, workspace: &Workspace) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE workspaces SET name = $2, durability = $3, addresses = $4 WHERE id = $1")
                .bind(workspace.id.0)
                .bind(workspace.name.as_str())
                .bind(DurabilityText::from(workspace.durability).as_str())
                .bind(row::to_json(&AddressesText(workspace.addresses.clone()))),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(change: &mut Change, workspace: WorkspaceId) -> Result<(), DbError> {
    change.execute(sql("DELETE FROM workspaces WHERE id = $1").bind(workspace.0)).await?;
    Ok(())
}

/// What is in it.
pub(super) async fn uses(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql(
                "SELECT 'gateway `' || name || '`' AS used_by FROM gateways WHERE workspace_id = $1
                 UNION ALL SELECT 'limit `' || name || '`' FROM limits WHERE workspace_id = $1
                 UNION ALL SELECT 'policy `' || name || '`' FROM policies WHERE workspace_id = $1
                 UNION ALL SELECT 'role `' || name || '`' FROM roles WHERE workspace_id = $1
                 UNION ALL SELECT 'server `' || name || '`' FROM servers WHERE workspace_id = $1
                 UNION ALL SELECT 'team `' || name || '`' FROM teams WHERE workspace_id = $1
                 UNION ALL SELECT 'user `' || name || '`' FROM users WHERE workspace_id = $1
                 ORDER BY used_by LIMIT 10",
            )
            .bind(workspace.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    durability: String,
    addresses: Value,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Workspace {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let durability: DurabilityText = row::json(Value::String(row.durability))?;
        let AddressesText(addresses) = row::json(row.addresses)?;
        let (id, name) = (WorkspaceId(row.id), row::name(row.name)?);
        let created_at = row.created_at;
        Ok(Self { id, name, durability: durability.into(), addresses, created_at })
    }
}
