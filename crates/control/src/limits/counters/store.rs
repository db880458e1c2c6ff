//! Table `limit_counters`.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use domain::limits::Holder;
use domain::{LimitId, WorkspaceId};
use uuid::Uuid;

/// What stands in the row of a counter.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Entry {
    pub(super) moment: DateTime<Utc>,
    pub(super) units: i64,
}

/// A row of whoever has used something.
#[derive(sqlx::FromRow)]
pub(super) struct Used {
    pub(super) holder_id: Uuid,
    pub(super) tool: String,
    pub(super) moment: DateTime<Utc>,
    pub(super) units: i64,
    pub(super) ends_at: DateTime<Utc>,
}

/// The row of a counter, which nobody else can read to change it until the transaction has ended; made
/// as `fresh` says where there is none. Nothing where there is no such limit any more.
pub(super) async fn lock(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (limit, holder): (LimitId, &Holder),
    fresh: (Entry, DateTime<Utc>),
) -> Result<Option<Entry>, DbError> {
    let (entry, ends_at) = fresh;
    tx.optional(
        sql("INSERT INTO limit_counters
               (workspace_id, limit_id, holder_id, tool, moment, units, ends_at)
             SELECT workspace_id, id, $3, $4, $5, $6, $7 FROM limits
             WHERE workspace_id = $1 AND id = $2
             ON CONFLICT (workspace_id, limit_id, holder_id, tool)
               DO UPDATE SET units = limit_counters.units
             RETURNING moment, units")
        .bind(workspace.0)
        .bind(limit.0)
        .bind(holder.id)
        .bind(&*holder.tool)
        .bind(entry.moment)
        .bind(entry.units)
        .bind(ends_at),
    )
    .await
}

pub(super) async fn save(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (limit, holder): (LimitId, &Holder),
    (entry, ends_at): (Entry, DateTime<Utc>),
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE limit_counters SET moment = $5, units = $6, ends_at = $7
             WHERE workspace_id = $1 AND limit_id = $2 AND holder_id = $3 AND tool = $4")
        .bind(workspace.0)
        .bind(limit.0)
        .bind(holder.id)
        .bind(&*holder.tool)
        .bind(entry.moment)
        .bind(entry.units)
        .bind(ends_at),
    )
    .await?;
    Ok(())
}

/// Those who have used something of a limit that still counts at `now`, after that one.
pub(super) async fn used(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (limit, after): (LimitId, &Holder),
    (now, most): (DateTime<Utc>, i64),
) -> Result<Vec<Used>, DbError> {
    tx.all(
        sql("SELECT holder_id, tool, moment, units, ends_at FROM limit_counters
             WHERE workspace_id = $1 AND limit_id = $2
               AND (holder_id > $3 OR (holder_id = $3 AND tool > $4)) AND ends_at > $5
             ORDER BY holder_id, tool LIMIT $6")
        .bind(workspace.0)
        .bind(limit.0)
        .bind(after.id)
        .bind(&*after.tool)
        .bind(now)
        .bind(most),
    )
    .await
}

/// What somebody has used of a limit that still counts at `now`.
pub(super) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (limit, holder): (LimitId, &Holder),
    now: DateTime<Utc>,
) -> Result<Option<Used>, DbError> {
    tx.optional(
        sql("SELECT holder_id, tool, moment, units, ends_at FROM limit_counters
             WHERE workspace_id = $1 AND limit_id = $2 AND holder_id = $3 AND tool = $4
               AND ends_at > $5")
        .bind(workspace.0)
        .bind(limit.0)
        .bind(holder.id)
        .bind(&*holder.tool)
        .bind(now),
    )
    .await
}

/// Deletes the rows that have said nothing since `before`.
pub(super) async fn sweep(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM limit_counters WHERE ends_at < $1").bind(before)).await?;
    Ok(())
}

/// Deletes what a limit has counted.
pub(super) async fn forget(
    tx: &mut Tx,
    workspace: WorkspaceId,
    limit: LimitId,
) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM limit_counters WHERE workspace_id = $1 AND limit_id = $2")
            .bind(workspace.0)
            .bind(limit.0),
    )
    .await?;
    Ok(())
}
