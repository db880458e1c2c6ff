//! Tables `admin_tokens`, `sessions`, `user_sessions` and `account_sessions`. The first two belong to the installation, not to a workspace, and
//! the data plane reads neither.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Stamp, UserId, WorkspaceId};
use uuid::Uuid;

use super::Device;
use crate::api::Which;

#[derive(sqlx::FromRow)]
pub(super) struct AdminRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) hash: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) admin_token_id: Uuid,
    pub(super) name: String,
    pub(super) hash: Vec<u8>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) proven_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct UserSessionRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) token_id: Uuid,
    pub(super) hash: Vec<u8>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) proven_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct AccountSessionRow {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) user_id: Option<Uuid>,
    pub(super) name: String,
    pub(super) hash: Vec<u8>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) proven_at: DateTime<Utc>,
    pub(super) used_at: DateTime<Utc>,
}

/// As its owner is shown it.
#[derive(sqlx::FromRow)]
pub(super) struct OwnSessionRow {
    pub(super) id: Uuid,
    pub(super) device: String,
    pub(super) address: Option<String>,
    pub(super) used_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
}

pub(super) async fn has_admins(tx: &mut Tx) -> Result<bool, DbError> {
    let found: Vec<(Uuid,)> = tx.all(sql("SELECT id FROM admin_tokens LIMIT 1")).await?;
    Ok(!found.is_empty())
}

pub(super) async fn insert_admin(
    tx: &mut Tx,
    stamp: Stamp,
    (name, sets_up): (&str, bool),
    hash: &[u8],
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO admin_tokens (id, name, hash, created_at, sets_up)
             VALUES ($1, $2, $3, $4, $5)")
        .bind(stamp.id)
        .bind(name)
        .bind(hash)
        .bind(stamp.at)
        .bind(sets_up),
    )
    .await?;
    Ok(())
}

/// Whether this token, or any, makes the first account.
pub(super) async fn sets_up(tx: &mut Tx, token: Option<Uuid>) -> Result<bool, DbError> {
    let statement = sql("SELECT id FROM admin_tokens
         WHERE sets_up AND ($1 IS NULL OR id = $1) LIMIT 1");
    let found: Option<(Uuid,)> = tx.optional(statement.bind(token)).await?;
    Ok(found.is_some())
}

pub(super) async fn spend_set_up(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(sql("UPDATE admin_tokens SET sets_up = FALSE WHERE sets_up")).await?;
    Ok(())
}

pub(super) async fn find_admin(tx: &mut Tx, hash: &[u8]) -> Result<Option<AdminRow>, DbError> {
    tx.optional(sql("SELECT id, name, hash FROM admin_tokens WHERE hash = $1").bind(hash)).await
}

/// An admin token, without its hash.
#[derive(sqlx::FromRow)]
pub(super) struct AdminToken {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) created_at: DateTime<Utc>,
}

/// In name order.
pub(super) async fn select_admins(
    tx: &mut Tx,
    which: Which<'_>,
) -> Result<Vec<AdminToken>, DbError> {
    let statement = sql("SELECT id, name, created_at FROM admin_tokens
         WHERE ($1 IS NULL OR id = $1) AND ($2 IS NULL OR name = $2)
           AND ($3 IS NULL OR name > $3)
         ORDER BY name LIMIT $4");
    tx.all(which.bind(statement)).await
}

/// Whether it was not the last one. Of two that are deleted at a time the later sees the earlier,
/// since the rows are locked in one order first.
pub(super) async fn delete_admin(tx: &mut Tx, token: Uuid) -> Result<bool, DbError> {
    // A write to every row, which two transactions cannot do at a time on either database.
    tx.execute(sql("UPDATE admin_tokens SET name = name")).await?;
    let deleted = tx
        .execute(
            sql("DELETE FROM admin_tokens
                 WHERE id = $1 AND EXISTS (SELECT 1 FROM admin_tokens WHERE id <> $1)")
            .bind(token),
        )
        .await?;
    Ok(deleted != 0)
}

pub(super) async fn insert_session(
    tx: &mut Tx,
    stamp: Stamp,
    admin: Uuid,
    (hash, expires_at): (&[u8], DateTime<Utc>),
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO sessions (id, admin_token_id, hash, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5)")
        .bind(stamp.id)
        .bind(admin)
        .bind(hash)
        .bind(expires_at)
        .bind(stamp.at),
    )
    .await?;
    Ok(())
}

pub(super) async fn find_session(tx: &mut Tx, hash: &[u8]) -> Result<Option<SessionRow>, DbError> {
    tx.optional(
        sql(
            "SELECT s.id, s.admin_token_id, t.name, s.hash, s.expires_at, s.created_at, s.proven_at
             FROM sessions s JOIN admin_tokens t ON t.id = s.admin_token_id
             WHERE s.hash = $1",
        )
        .bind(hash),
    )
    .await
}

pub(super) async fn has_admin(tx: &mut Tx, id: Uuid) -> Result<bool, DbError> {
    let found: Option<(Uuid,)> =
        tx.optional(sql("SELECT id FROM admin_tokens WHERE id = $1").bind(id)).await?;
    Ok(found.is_some())
}

pub(super) async fn has_session(tx: &mut Tx, id: Uuid) -> Result<bool, DbError> {
    let found: Option<(Uuid,)> =
        tx.optional(sql("SELECT id FROM sessions WHERE id = $1").bind(id)).await?;
    Ok(found.is_some())
}

pub(super) async fn has_user_session(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<bool, DbError> {
    let statement = sql("SELECT id FROM user_sessions WHERE workspace_id = $1 AND id = $2");
    let found: Option<(Uuid,)> = tx.optional(statement.bind(workspace.0).bind(id)).await?;
    Ok(found.is_some())
}

/// Writes what stands there, which two transactions cannot do at a time. Whether the token is still there.
pub(super) async fn hold_user_token(
    tx: &mut Tx,
    workspace: WorkspaceId,
    token: Uuid,
) -> Result<bool, DbError> {
    let statement = sql("UPDATE user_admin_tokens SET name = name
         WHERE workspace_id = $1 AND id = $2");
    Ok(tx.execute(statement.bind(workspace.0).bind(token)).await? == 1)
}

pub(super) async fn insert_user_session(
    tx: &mut Tx,
    workspace: WorkspaceId,
    stamp: Stamp,
    token: Uuid,
    (hash, expires_at): (&[u8], DateTime<Utc>),
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO user_sessions (workspace_id, id, token_id, hash, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(workspace.0)
        .bind(stamp.id)
        .bind(token)
        .bind(hash)
        .bind(expires_at)
        .bind(stamp.at),
    )
    .await?;
    Ok(())
}

pub(super) async fn find_user_session(
    tx: &mut Tx,
    hash: &[u8],
) -> Result<Option<UserSessionRow>, DbError> {
    tx.optional(
        sql("SELECT workspace_id, id, token_id, hash, expires_at, created_at, proven_at
             FROM user_sessions WHERE hash = $1")
        .bind(hash),
    )
    .await
}

pub(super) async fn delete_user_session(
    tx: &mut Tx,
    workspace: WorkspaceId,
    session: Uuid,
) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM user_sessions WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.0)
            .bind(session),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete_session(tx: &mut Tx, session: Uuid) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM sessions WHERE id = $1").bind(session)).await?;
    Ok(())
}

pub(super) async fn delete_expired(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM sessions WHERE expires_at <= $1").bind(now)).await?;
    tx.execute(sql("DELETE FROM user_sessions WHERE expires_at <= $1").bind(now)).await?;
    tx.execute(sql("DELETE FROM account_sessions WHERE expires_at <= $1").bind(now)).await?;
    Ok(())
}

pub(super) async fn insert_account_session(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    (stamp, device): (Stamp, &Device),
    (hash, expires_at): (&[u8], DateTime<Utc>),
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO account_sessions
               (workspace_id, id, account_id, hash, device, address, expires_at, created_at,
                proven_at, used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)")
        .bind(workspace.0)
        .bind(stamp.id)
        .bind(account)
        .bind(hash)
        .bind(device.name.as_str())
        .bind(device.address.map(|it| it.to_string()))
        .bind(expires_at)
        .bind(stamp.at),
    )
    .await?;
    Ok(())
}

pub(super) async fn find_account_session(
    tx: &mut Tx,
    hash: &[u8],
) -> Result<Option<AccountSessionRow>, DbError> {
    tx.optional(
        sql("SELECT s.workspace_id, s.id, s.account_id, a.user_id,
                COALESCE(a.name, u.name) AS name, s.hash, s.expires_at, s.proven_at, s.used_at
             FROM account_sessions s
             JOIN accounts a ON a.workspace_id = s.workspace_id AND a.id = s.account_id
             LEFT JOIN users u ON u.workspace_id = a.workspace_id AND u.id = a.user_id
             WHERE s.hash = $1")
        .bind(hash),
    )
    .await
}

pub(super) async fn has_account_session(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    session: Uuid,
) -> Result<bool, DbError> {
    let statement = sql("SELECT id FROM account_sessions
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    let statement = statement.bind(workspace.0).bind(account).bind(session);
    let found: Option<(Uuid,)> = tx.optional(statement).await?;
    Ok(found.is_some())
}

pub(super) async fn delete_account_session(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    session: Uuid,
) -> Result<(), DbError> {
    let statement = sql("DELETE FROM account_sessions
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    tx.execute(statement.bind(workspace.0).bind(account).bind(session)).await?;
    Ok(())
}

/// But for one of them.
pub(super) async fn delete_sessions_of_account(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    keep: Option<Uuid>,
) -> Result<(), DbError> {
    let statement = sql("DELETE FROM account_sessions
         WHERE workspace_id = $1 AND account_id = $2 AND ($3 IS NULL OR id <> $3)");
    tx.execute(statement.bind(workspace.0).bind(account).bind(keep)).await?;
    Ok(())
}

pub(super) async fn delete_sessions_of_user(
    tx: &mut Tx,
    (workspace, user): (WorkspaceId, UserId),
) -> Result<(), DbError> {
    // Whoever trades a token meanwhile waits for this to end, or has done so before.
    let statement = sql("UPDATE user_admin_tokens SET name = name
         WHERE workspace_id = $1 AND user_id = $2");
    tx.execute(statement.bind(workspace.0).bind(user.0)).await?;
    let statement = sql("DELETE FROM account_sessions WHERE workspace_id = $1 AND account_id IN
         (SELECT id FROM accounts WHERE workspace_id = $1 AND user_id = $2)");
    tx.execute(statement.bind(workspace.0).bind(user.0)).await?;
    let statement = sql("DELETE FROM user_sessions WHERE workspace_id = $1 AND token_id IN
         (SELECT id FROM user_admin_tokens WHERE workspace_id = $1 AND user_id = $2)");
    tx.execute(statement.bind(workspace.0).bind(user.0)).await?;
    Ok(())
}

pub(super) async fn prove_account_session(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    (session, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    let statement = sql("UPDATE account_sessions SET proven_at = $4
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    tx.execute(statement.bind(workspace.0).bind(account).bind(session).bind(now)).await?;
    Ok(())
}

pub(super) async fn prove_session(
    tx: &mut Tx,
    (token, session): (Uuid, Uuid),
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let statement = sql("UPDATE sessions SET proven_at = $3 WHERE admin_token_id = $1 AND id = $2");
    tx.execute(statement.bind(token).bind(session).bind(now)).await?;
    Ok(())
}

pub(super) async fn prove_user_session(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (token, session): (Uuid, Uuid),
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let statement = sql("UPDATE user_sessions SET proven_at = $4
         WHERE workspace_id = $1 AND token_id = $2 AND id = $3");
    tx.execute(statement.bind(workspace.0).bind(token).bind(session).bind(now)).await?;
    Ok(())
}

pub(super) async fn note_use(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    (session, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    let statement = sql("UPDATE account_sessions SET used_at = $4
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    tx.execute(statement.bind(workspace.0).bind(account).bind(session).bind(now)).await?;
    Ok(())
}

/// Of one account, the newest first.
pub(super) async fn sessions_of_account(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    now: DateTime<Utc>,
) -> Result<Vec<OwnSessionRow>, DbError> {
    let statement = sql("SELECT id, device, address, used_at, expires_at, created_at
         FROM account_sessions
         WHERE workspace_id = $1 AND account_id = $2 AND expires_at > $3
         ORDER BY created_at DESC, id LIMIT 200");
    tx.all(statement.bind(workspace.0).bind(account).bind(now)).await
}
