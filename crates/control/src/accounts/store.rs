//! Tables `accounts`, `passkeys` and `challenges`. The data plane reads none of them.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::{Name, UserId, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::challenges::Challenge;
use super::passkeys::OwnPasskey;
use super::{ABOVE, Account, PasswordHash};
use crate::api::{Error, Which};
use crate::row;

pub(super) async fn has_administrators(tx: &mut Tx) -> Result<bool, DbError> {
    let statement = sql("SELECT id FROM accounts WHERE workspace_id = $1 LIMIT 1");
    let found: Option<(Uuid,)> = tx.optional(statement.bind(ABOVE.0)).await?;
    Ok(found.is_some())
}

/// Those above all workspaces, by name.
pub(super) async fn administrators(tx: &mut Tx, which: Which<'_>) -> Result<Vec<Account>, Error> {
    let statement = sql("SELECT a.workspace_id, a.id, a.user_id, a.name,
            NULL AS password, a.password_set_at, a.created_at
         FROM accounts a
         WHERE ($1 IS NULL OR a.id = $1) AND ($2 IS NULL OR a.name = $2)
           AND ($3 IS NULL OR a.name > $3) AND a.workspace_id = $5
         ORDER BY a.name LIMIT $4");
    let rows: Vec<Row> = tx.all(which.bind(statement).bind(ABOVE.0)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Its passkeys and its sessions go with it.
pub(super) async fn delete(tx: &mut Tx, account: &Account) -> Result<(), DbError> {
    let statement = sql("DELETE FROM accounts WHERE workspace_id = $1 AND id = $2");
    tx.execute(statement.bind(account.workspace.0).bind(account.id)).await?;
    Ok(())
}

/// Writes what stands there, which two transactions cannot do at a time. Whether it is still the account
/// with that password, or without one.
pub(super) async fn hold_password(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    set_at: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    let statement = sql("UPDATE accounts SET created_at = created_at
         WHERE workspace_id = $1 AND id = $2 AND password_set_at IS NOT DISTINCT FROM $3");
    let held = tx.execute(statement.bind(workspace.0).bind(account).bind(set_at)).await?;
    Ok(held == 1)
}

/// The same of an account that has this passkey.
pub(super) async fn hold_passkey(
    tx: &mut Tx,
    (workspace, account): (WorkspaceId, Uuid),
    passkey: Uuid,
) -> Result<bool, DbError> {
    let statement = sql("UPDATE accounts SET created_at = created_at
         WHERE workspace_id = $1 AND id = $2");
    let held = tx.execute(statement.bind(workspace.0).bind(account)).await?;
    let statement = sql("UPDATE passkeys SET created_at = created_at
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    let statement = statement.bind(workspace.0).bind(account).bind(passkey);
    Ok(held == 1 && tx.execute(statement).await? == 1)
}

/// Writes what stands there of the account of a user.
pub(super) async fn touch(
    tx: &mut Tx,
    (workspace, user): (WorkspaceId, UserId),
) -> Result<(), DbError> {
    let statement = sql("UPDATE accounts SET created_at = created_at
         WHERE workspace_id = $1 AND user_id = $2");
    tx.execute(statement.bind(workspace.0).bind(user.0)).await?;
    Ok(())
}

/// One statement, whether there is such an account or not.
pub(super) async fn find_by_name(
    tx: &mut Tx,
    workspace: Option<&Name>,
    name: &Name,
) -> Result<Option<(Account, Option<PasswordHash>)>, Error> {
    let statement = sql("SELECT a.workspace_id, a.id, a.user_id, COALESCE(a.name, u.name) AS name,
            a.password, a.password_set_at, a.created_at
         FROM accounts a
         LEFT JOIN users u ON u.workspace_id = a.workspace_id AND u.id = a.user_id
         LEFT JOIN workspaces w ON w.id = a.workspace_id
         WHERE ($1 IS NULL AND a.workspace_id = $3 AND a.name = $2)
            OR (w.name = $1 AND u.name = $2)");
    let statement = statement.bind(workspace.map(Name::as_str)).bind(name.as_str()).bind(ABOVE.0);
    let row: Option<Row> = tx.optional(statement).await?;
    row.map(|mut row| {
        let hash = row.password.take().map(PasswordHash::from);
        Ok((row.try_into()?, hash))
    })
    .transpose()
}

pub(super) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    account: Uuid,
) -> Result<Option<Account>, Error> {
    select(tx, workspace, (Some(account), None)).await
}

pub(super) async fn find_of_user(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Account>, Error> {
    select(tx, workspace, (None, Some(user.0))).await
}

async fn select(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (account, user): (Option<Uuid>, Option<Uuid>),
) -> Result<Option<Account>, Error> {
    let statement = sql("SELECT a.workspace_id, a.id, a.user_id, COALESCE(a.name, u.name) AS name,
            NULL AS password, a.password_set_at, a.created_at
         FROM accounts a
         LEFT JOIN users u ON u.workspace_id = a.workspace_id AND u.id = a.user_id
         WHERE a.workspace_id = $1 AND (a.id = $2 OR a.user_id = $3)");
    let row: Option<Row> =
        tx.optional(statement.bind(workspace.0).bind(account).bind(user)).await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn insert(
    tx: &mut Tx,
    account: &Account,
    password: Option<&PasswordHash>,
) -> Result<(), DbError> {
    // A user's name is the user's.
    let name = account.user.is_none().then(|| account.name.as_str());
    tx.execute(
        sql("INSERT INTO accounts
               (workspace_id, id, user_id, name, password, password_set_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(account.workspace.0)
        .bind(account.id)
        .bind(account.user.map(|it| it.0))
        .bind(name)
        .bind(password.map(PasswordHash::as_str))
        .bind(account.password_set_at)
        .bind(account.created_at),
    )
    .await?;
    Ok(())
}

pub(super) async fn set_password(
    tx: &mut Tx,
    account: &Account,
    (hash, now): (&PasswordHash, DateTime<Utc>),
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE accounts SET password = $3, password_set_at = $4
             WHERE workspace_id = $1 AND id = $2")
        .bind(account.workspace.0)
        .bind(account.id)
        .bind(hash.as_str())
        .bind(now),
    )
    .await?;
    Ok(())
}

pub(super) async fn take_password(tx: &mut Tx, account: &Account) -> Result<(), DbError> {
    let statement = sql("UPDATE accounts SET password = NULL, password_set_at = NULL
         WHERE workspace_id = $1 AND id = $2");
    tx.execute(statement.bind(account.workspace.0).bind(account.id)).await?;
    Ok(())
}

/// Of one account, by name.
pub(super) async fn passkeys(tx: &mut Tx, account: &Account) -> Result<Vec<OwnPasskey>, Error> {
    let statement = sql("SELECT id, name, passkey, created_at, used_at FROM passkeys
         WHERE workspace_id = $1 AND account_id = $2 ORDER BY name");
    let rows: Vec<PasskeyRow> =
        tx.all(statement.bind(account.workspace.0).bind(account.id)).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The only statement that does not know the workspace: the hash is what tells it.
pub(super) async fn find_passkey(
    tx: &mut Tx,
    hash: &[u8; 32],
) -> Result<Option<(Account, OwnPasskey)>, Error> {
    let statement = sql("SELECT p.id, p.name, p.passkey, p.created_at, p.used_at,
            p.workspace_id, p.account_id FROM passkeys p WHERE p.hash = $1");
    let row: Option<FoundPasskey> = tx.optional(statement.bind(&hash[..])).await?;
    let Some(FoundPasskey { workspace_id, account_id, own }) = row else { return Ok(None) };
    let account = find(tx, WorkspaceId(workspace_id), account_id).await?;
    account.map(|it| Ok((it, own.try_into()?))).transpose()
}

pub(super) async fn insert_passkey(
    tx: &mut Tx,
    account: &Account,
    (own, hash, json): (&OwnPasskey, &[u8; 32], Value),
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO passkeys
               (workspace_id, id, account_id, name, hash, passkey, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(account.workspace.0)
        .bind(own.id)
        .bind(account.id)
        .bind(own.name.as_str())
        .bind(&hash[..])
        .bind(json)
        .bind(own.created_at),
    )
    .await?;
    Ok(())
}

/// It counts how often it has signed.
pub(super) async fn note_use(
    tx: &mut Tx,
    account: &Account,
    (passkey, json, now): (Uuid, Value, DateTime<Utc>),
) -> Result<(), DbError> {
    let statement = sql("UPDATE passkeys SET passkey = $4, used_at = $5
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    let statement = statement.bind(account.workspace.0).bind(account.id).bind(passkey);
    tx.execute(statement.bind(json).bind(now)).await?;
    Ok(())
}

pub(super) async fn delete_passkey(
    tx: &mut Tx,
    account: &Account,
    passkey: Uuid,
) -> Result<(), DbError> {
    let statement = sql("DELETE FROM passkeys
         WHERE workspace_id = $1 AND account_id = $2 AND id = $3");
    tx.execute(statement.bind(account.workspace.0).bind(account.id).bind(passkey)).await?;
    Ok(())
}

pub(super) async fn insert_challenge(
    tx: &mut Tx,
    (hash, expires_at): (&[u8; 32], DateTime<Utc>),
    challenge: &Challenge,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO challenges (hash, account_id, state, expires_at)
             VALUES ($1, $2, $3, $4)")
        .bind(&hash[..])
        .bind(challenge.account)
        .bind(challenge.state.as_str())
        .bind(expires_at),
    )
    .await?;
    Ok(())
}

pub(super) async fn take_challenge(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<Challenge>, DbError> {
    let statement = sql("DELETE FROM challenges WHERE hash = $1
         RETURNING account_id, state, expires_at");
    let row: Option<(Option<Uuid>, String, DateTime<Utc>)> =
        tx.optional(statement.bind(&hash[..])).await?;
    let row = row.filter(|it| now < it.2);
    Ok(row.map(|(account, state, _)| Challenge { account, state }))
}

/// A few each time, which is more than come in: whoever asks does not wait for all that others have left.
pub(super) async fn delete_expired_challenges(
    tx: &mut Tx,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let statement = sql("DELETE FROM challenges WHERE hash IN
         (SELECT hash FROM challenges WHERE expires_at <= $1 ORDER BY expires_at LIMIT 16)");
    tx.execute(statement.bind(now)).await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct PasskeyRow {
    id: Uuid,
    name: String,
    passkey: Value,
    created_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct FoundPasskey {
    workspace_id: Uuid,
    account_id: Uuid,
    #[sqlx(flatten)]
    own: PasskeyRow,
}

impl TryFrom<PasskeyRow> for OwnPasskey {
    type Error = Error;

    fn try_from(row: PasskeyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            name: row::name(row.name)?,
            passkey: ::passkeys::Passkey::from_json(row.passkey).map_err(Error::internal)?,
            created_at: row.created_at,
            used_at: row.used_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    workspace_id: Uuid,
    id: Uuid,
    user_id: Option<Uuid>,
    name: String,
    password: Option<String>,
    password_set_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            workspace: WorkspaceId(row.workspace_id),
            user: row.user_id.map(UserId),
            name: row::name(row.name)?,
            password_set_at: row.password_set_at,
            created_at: row.created_at,
        })
    }
}
