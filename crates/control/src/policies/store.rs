//! Table `policies`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::WorkspaceId;
use serde_json::Value;
use uuid::Uuid;

use super::Policy;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Policy>, Error> {
    let statement = sql("SELECT id, name, policy, enabled, tests, created_at FROM policies
         WHERE workspace_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR name = $3)
           AND ($4 IS NULL OR name > $4)
         ORDER BY name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many other policies there are, and the length of their texts in characters.
pub(super) async fn others(
    tx: &mut Tx,
    workspace: WorkspaceId,
    than: Uuid,
) -> Result<(i64, i64), DbError> {
    let statement = sql("SELECT COUNT(*), COALESCE(SUM(LENGTH(policy)), 0) FROM policies
         WHERE workspace_id = $1 AND id <> $2")
    .bind(workspace.0)
    .bind(than);
    let row: Option<(i64, i64)> = tx.optional(statement).await?;
    Ok(row.unwrap_or_default())
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    policy: &Policy,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO policies
                   (workspace_id, id, name, policy, enabled, tests, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(workspace.0)
            .bind(policy.id)
            .bind(policy.name.as_str())
            .bind(policy.text.as_str())
            .bind(policy.enabled)
            .bind(row::to_json(&policy.tests))
            .bind(policy.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    policy: &Policy,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE policies SET name = $3, policy = $4, enabled = $5, tests = $6
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(policy.id)
            .bind(policy.name.as_str())
            .bind(policy.text.as_str())
            .bind(policy.enabled)
            .bind(row::to_json(&policy.tests)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    policy: Uuid,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM policies WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(policy),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    policy: String,
    enabled: bool,
    tests: Value,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Policy {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            name: row::name(row.name)?,
            text: row.policy,
            enabled: row.enabled,
            tests: row::json(row.tests)?,
            created_at: row.created_at,
        })
    }
}
