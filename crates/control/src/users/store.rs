//! Table `users`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::User;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;
use crate::switches::OffColumns;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<User>, Error> {
    let statement = sql("SELECT u.id, u.name, u.attributes, u.created_at,
            (SELECT string_agg(t.name, ',' ORDER BY t.name)
             FROM members m JOIN teams t ON t.workspace_id = m.workspace_id AND t.id = m.team_id
             WHERE m.workspace_id = u.workspace_id AND m.user_id = u.id) AS teams,
            o.created_at AS off_since, o.until AS off_until, o.reason AS off_reason
         FROM users u LEFT JOIN switches o
           ON o.workspace_id = u.workspace_id AND o.kind = 'user' AND o.target_id = u.id
         WHERE u.workspace_id = $1 AND ($2 IS NULL OR u.id = $2) AND ($3 IS NULL OR u.name = $3)
           AND ($4 IS NULL OR u.name > $4) AND ($6 OR u.id = $7)
         ORDER BY u.name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> =
        tx.all(which.bind(statement).bind(which.is_anywhere()).bind(which.owner())).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    user: &User,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO users (workspace_id, id, name, attributes, created_at)
                 VALUES ($1, $2, $3, $4, $5)")
            .bind(workspace.0)
            .bind(user.id.0)
            .bind(user.name.as_str())
            .bind(row::to_json(&user.attributes))
            .bind(user.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    user: &User,
) -> Result<(), DbError> {
    change
        .execute(
            sql("UPDATE users SET name = $3, attributes = $4 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(user.id.0)
                .bind(user.name.as_str())
                .bind(row::to_json(&user.attributes)),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM users WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(user.0),
        )
        .await?;
    Ok(())
}

/// What would be left without its owner.
pub(super) async fn uses(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT 'app `' || name || '`' AS used_by FROM apps
                 WHERE workspace_id = $1 AND owner_id = $2
                 UNION ALL
                 SELECT 'identity `' || name || '`' FROM identities
                 WHERE workspace_id = $1 AND owner_id = $2
                 ORDER BY used_by LIMIT 10")
            .bind(workspace.0)
            .bind(user.0),
        )
        .await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    teams: Option<String>,
    attributes: Value,
    created_at: DateTime<Utc>,
    #[sqlx(flatten)]
    off: OffColumns,
}

impl TryFrom<Row> for User {
    type Error = Error;

    fn try_from(Row { id, name, teams, attributes, created_at, off }: Row) -> Result<Self, Error> {
        let (id, name, teams) = (UserId(id), row::name(name)?, row::names(teams)?);
        let attributes = row::json(attributes)?;
        Ok(Self { id, name, teams, attributes, off: off.into(), created_at })
    }
}
