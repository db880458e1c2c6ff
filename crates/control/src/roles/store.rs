//! Table `roles`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{RoleId, Stamp, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::Role;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Role>, Error> {
    let statement = sql("SELECT id, name, capabilities, created_at FROM roles
         WHERE workspace_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR name = $3)
           AND ($4 IS NULL OR name > $4)
         ORDER BY name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    (stamp, role): (Stamp, &Role),
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO roles (workspace_id, id, name, capabilities, created_at)
                 VALUES ($1, $2, $3, $4, $5)")
            .bind(workspace.0)
            .bind(stamp.id)
            .bind(role.name.as_str())
            .bind(row::to_json(&role.capabilities))
            .bind(stamp.at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    (id, role): (RoleId, &Role),
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE roles SET name = $3, capabilities = $4
                 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(id.0)
            .bind(role.name.as_str())
            .bind(row::to_json(&role.capabilities)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    role: RoleId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM roles WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(role.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    capabilities: Value,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Role {
    type Error = Error;

    /// A capability of a newer version is not known here, and so not held.
    fn try_from(Row { id, name, capabilities, created_at }: Row) -> Result<Self, Error> {
        let texts: Vec<String> = row::json(capabilities)?;
        Ok(Self {
            id: Some(RoleId(id)),
            name: row::name(name)?,
            capabilities: texts.iter().filter_map(|it| it.parse().ok()).collect(),
            created_at: Some(created_at),
        })
    }
}
