//! Table `user_admin_tokens`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Capability, TokenHash, TokenId, UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{Origin, Presented, UserAdminToken};
use crate::api::{Error, Which};
use crate::change::Change;
use crate::row;

pub(super) async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    which: Which<'_>,
) -> Result<Vec<UserAdminToken>, Error> {
    let statement = sql("SELECT id, user_id, name, capabilities, expires_at, created_at
         FROM user_admin_tokens
         WHERE workspace_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR name = $3)
           AND ($4 IS NULL OR name > $4) AND user_id = $6
         ORDER BY name LIMIT $5")
    .bind(workspace.0);
    let rows: Vec<Row> = tx.all(which.bind(statement).bind(user.0)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The only statement that does not know the workspace: the hash is what tells it.
pub(super) async fn find_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<Presented>, Error> {
    let statement = sql("SELECT t.workspace_id, t.id, t.user_id, u.name AS user_name, t.name,
            t.hash, t.capabilities, t.made_by, t.expires_at
         FROM user_admin_tokens t
         JOIN users u ON u.workspace_id = t.workspace_id AND u.id = t.user_id
         WHERE t.hash = $1
           AND (t.made_with IS NULL OR EXISTS (
             SELECT 1 FROM user_admin_tokens m
             WHERE m.workspace_id = t.workspace_id AND m.id = t.made_with))");
    let row: Option<PresentedRow> = tx.optional(statement.bind(&hash[..])).await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn find_by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    token: Uuid,
) -> Result<Option<Presented>, Error> {
    let statement = sql("SELECT t.workspace_id, t.id, t.user_id, u.name AS user_name, t.name,
            t.hash, t.capabilities, t.made_by, t.expires_at
         FROM user_admin_tokens t
         JOIN users u ON u.workspace_id = t.workspace_id AND u.id = t.user_id
         WHERE t.workspace_id = $1 AND t.id = $2
           AND (t.made_with IS NULL OR EXISTS (
             SELECT 1 FROM user_admin_tokens m
             WHERE m.workspace_id = t.workspace_id AND m.id = t.made_with))");
    let row: Option<PresentedRow> = tx.optional(statement.bind(workspace.0).bind(token)).await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn insert(
    change: &mut Change,
    workspace: WorkspaceId,
    (token, origin): (&UserAdminToken, &Origin),
    hash: &TokenHash,
) -> Result<(), DbError> {
    change
        .execute(
            sql("INSERT INTO user_admin_tokens
                   (workspace_id, id, user_id, name, hash, capabilities, expires_at, created_at,
                    made_by, made_with)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(workspace.0)
            .bind(token.id.0)
            .bind(token.user.0)
            .bind(token.name.as_str())
            .bind(&hash[..])
            .bind(token.capabilities.as_ref().map(row::to_json))
            .bind(token.expires_at)
            .bind(token.created_at)
            .bind(origin.maker.map(|it| it.0))
            .bind(origin.token.map(|it| it.0)),
        )
        .await?;
    Ok(())
}

/// And those that were made with it.
pub(super) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    token: TokenId,
) -> Result<(), DbError> {
    delete_with_made(change, workspace, (Some(token), None)).await
}

/// All of a user that nobody else has made, what the user has made for others, and those that were made
/// with any of them.
pub(super) async fn delete_of(
    change: &mut Change,
    (workspace, user): (WorkspaceId, UserId),
) -> Result<(), DbError> {
    delete_with_made(change, workspace, (None, Some(user))).await
}

async fn delete_with_made(
    change: &mut Change,
    workspace: WorkspaceId,
    (token, user): (Option<TokenId>, Option<UserId>),
) -> Result<(), DbError> {
    let statement = sql("WITH RECURSIVE made (id) AS (
           SELECT id FROM user_admin_tokens
           WHERE workspace_id = $1
             AND (id = $2 OR made_by = $3 OR (user_id = $3 AND made_by IS NULL))
           UNION
           SELECT t.id FROM user_admin_tokens t JOIN made m ON t.made_with = m.id
           WHERE t.workspace_id = $1)
         DELETE FROM user_admin_tokens
         WHERE workspace_id = $1 AND id IN (SELECT id FROM made)");
    let statement = statement.bind(workspace.0);
    let statement = statement.bind(token.map(|it| it.0)).bind(user.map(|it| it.0));
    change.execute(statement).await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    name: String,
    capabilities: Option<Value>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct PresentedRow {
    workspace_id: Uuid,
    id: Uuid,
    user_id: Uuid,
    user_name: String,
    name: String,
    hash: Vec<u8>,
    capabilities: Option<Value>,
    made_by: Option<Uuid>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Row> for UserAdminToken {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: TokenId(row.id),
            user: UserId(row.user_id),
            name: row::name(row.name)?,
            capabilities: row.capabilities.map(capabilities).transpose()?,
            expires_at: row.expires_at,
            created_at: row.created_at,
        })
    }
}

impl TryFrom<PresentedRow> for Presented {
    type Error = Error;

    fn try_from(row: PresentedRow) -> Result<Self, Error> {
        Ok(Self {
            id: TokenId(row.id),
            name: format!("{}/{}", row.user_name, row.name),
            hash: row.hash,
            workspace: WorkspaceId(row.workspace_id),
            user: UserId(row.user_id),
            limits: row.capabilities.map(capabilities).transpose()?,
            maker: row.made_by.map(UserId),
            expires_at: row.expires_at,
        })
    }
}

/// A capability of a newer version is not known here, and so not held.
fn capabilities(stored: Value) -> Result<BTreeSet<Capability>, Error> {
    let texts: Vec<String> = row::json(stored)?;
    Ok(texts.iter().filter_map(|it| it.parse().ok()).collect())
}
