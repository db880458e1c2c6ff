//! Table `content_keys`. The data plane's snapshot does not hold it, so the epoch stays until
//! one is destroyed.

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

pub(super) async fn insert_if_none(
    tx: &mut Tx,
    workspace: WorkspaceId,
    stamp: Stamp,
    (day, sealed): (i32, &[u8]),
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO content_keys (workspace_id, id, day, sealed, created_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (workspace_id, day) DO NOTHING")
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
             WHERE workspace_id = $1 AND day = $2")
        .bind(workspace.0)
        .bind(i64::from(day)),
    )
    .await
}

/// By its id alone: leaves name keys so, and an id is of one workspace only.
pub(super) async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<Row>, DbError> {
    tx.optional(
        sql("SELECT workspace_id, id, day, sealed FROM content_keys WHERE id = $1").bind(id),
    )
    .await
}

pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId, day: i32) -> Result<bool, DbError> {
    let rows = tx
        .execute(
            sql("DELETE FROM content_keys WHERE workspace_id = $1 AND day = $2")
                .bind(workspace.0)
                .bind(i64::from(day)),
        )
        .await?;
    Ok(rows != 0)
}
