//! Tables `content_keys` and `kept_keys`. The data plane's snapshot does not hold them, so the epoch
//! stays until one is destroyed.

use db::{DbError, Tx, sql};
use domain::{Stamp, WorkspaceId};
use uuid::Uuid;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) workspace_id: Uuid,
    pub(super) id: Uuid,
    pub(super) day: i64,
    pub(super) sealed: Vec<u8>,
}

/// In the one table the keys of workspaces, in the other those of the installation.
pub(super) async fn insert_if_none(
    tx: &mut Tx,
    workspace: WorkspaceId,
    stamp: Stamp,
    (day, sealed): (i32, &[u8]),
) -> Result<(), DbError> {
    let statement = if workspace.0.is_nil() {
        "INSERT INTO kept_keys (workspace_id, id, day, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (workspace_id, day) DO NOTHING"
    } else {
        "INSERT INTO content_keys (workspace_id, id, day, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (workspace_id, day) DO NOTHING"
    };
    tx.execute(
        sql(statement)
            .bind(workspace.0)
            .bind(stamp.id)
            .bind(i64::from(day))
            .bind(sealed)
            .bind(stamp.at),
    )
    .await?;
    Ok(())
}

pub(super) async fn find_day(
    tx: &mut Tx,
    workspace: WorkspaceId,
    day: i32,
) -> Result<Option<Row>, DbError> {
    tx.optional(
        sql("SELECT workspace_id, id, day, sealed FROM content_keys
             WHERE workspace_id = $1 AND day = $2
             UNION ALL SELECT workspace_id, id, day, sealed FROM kept_keys
             WHERE workspace_id = $1 AND day = $2")
        .bind(workspace.0)
        .bind(i64::from(day)),
    )
    .await
}

pub(super) async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<Row>, DbError> {
    tx.optional(
        sql("SELECT workspace_id, id, day, sealed FROM content_keys WHERE id = $1
             UNION ALL SELECT workspace_id, id, day, sealed FROM kept_keys WHERE id = $1")
        .bind(id),
    )
    .await
}

pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId, day: i32) -> Result<bool, DbError> {
    let mut rows = 0;
    for statement in [
        "DELETE FROM content_keys WHERE workspace_id = $1 AND day = $2",
        "DELETE FROM kept_keys WHERE workspace_id = $1 AND day = $2",
    ] {
        rows += tx.execute(sql(statement).bind(workspace.0).bind(i64::from(day))).await?;
    }
    Ok(rows != 0)
}

/// The workspace goes, what has been recorded of it stays readable.
pub(super) async fn keep(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO kept_keys (workspace_id, id, day, sealed, created_at)
             SELECT workspace_id, id, day, sealed, created_at FROM content_keys
             WHERE workspace_id = $1")
        .bind(workspace.0),
    )
    .await?;
    tx.execute(sql("DELETE FROM content_keys WHERE workspace_id = $1").bind(workspace.0)).await?;
    Ok(())
}
