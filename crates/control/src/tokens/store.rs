//! Table `tokens`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{AppId, Name, TokenHash, TokenId, UserId, WorkspaceId};
use uuid::Uuid;

use super::Token;
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: AppId,
    which: Which<'_>,
) -> Result<Vec<Token>, Error> {
    let statement = sql("SELECT id, app_id, name, expires_at, created_at FROM tokens
         WHERE workspace_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR name = $3)
           AND ($4 IS NULL OR name > $4) AND app_id = $6
         ORDER BY name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement).bind(app.0)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Of the apps of a user from one name up to another, so many of each by name, as far as they have not
/// expired.
pub(super) async fn of_owner(
    tx: &mut Tx,
    (workspace, owner): (WorkspaceId, UserId),
    (first, last): (&Name, &Name),
    (now, most): (DateTime<Utc>, i64),
) -> Result<Vec<Token>, Error> {
    let statement = sql("SELECT id, app_id, name, expires_at, created_at
         FROM (SELECT id, app_id, name, expires_at, created_at,
                      row_number() OVER (PARTITION BY app_id ORDER BY name) AS place
               FROM tokens
               WHERE workspace_id = $1 AND expires_at > $3
                 AND app_id IN (SELECT id FROM apps WHERE workspace_id = $1 AND owner_id = $2
                                  AND name >= $5 AND name <= $6)) AS numbered
         WHERE place <= $4
         ORDER BY app_id, name");
    let statement = statement.bind(workspace.0).bind(owner.0).bind(now).bind(most);
    let statement = statement.bind(first.as_str()).bind(last.as_str());
    let rows: Vec<Row> = tx.all(statement).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    token: &Token,
    hash: &TokenHash,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO tokens
                   (workspace_id, id, app_id, name, hash, expires_at, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(workspace.0)
            .bind(token.id.0)
            .bind(token.app.0)
            .bind(token.name.as_str())
            .bind(&hash[..])
            .bind(token.expires_at)
            .bind(token.created_at),
        )
        .await?;
    Ok(())
}

pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    token: TokenId,
) -> Result<(), DbError> {
    change
        .execute(
            sql("DELETE FROM tokens WHERE workspace_id = $1 AND id = $2")
                .bind(workspace.0)
                .bind(token.0),
        )
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    app_id: Uuid,
    name: String,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(Row { id, app_id, name, expires_at, created_at }: Row) -> Result<Self, Error> {
        let name = row::name(name)?;
        Ok(Self { id: TokenId(id), app: AppId(app_id), name, expires_at, created_at })
    }
}
