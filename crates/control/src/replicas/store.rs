//! Table `replicas`. All times are the database's own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use uuid::Uuid;

use super::autonomy::{Found, Telling};
use super::{Known, LIVE, Replica, SHOWN, VERSION};

/// Writes the row, or that it is still alive, how far it has come, and what it tells of its windows,
/// unless that is what it told earlier.
pub(super) async fn put(
    tx: &mut Tx,
    replica: &Replica,
    (telling, mark): (Telling, i64),
) -> Result<(), DbError> {
    // One that comes too late says too little, until the next.
    let (epoch, stamp) = replica.settled();
    tx.execute(
        sql("INSERT INTO replicas (id, name, version, epoch, stamp, autonomy_seconds, telling, mark,
                                   started_at, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)
             ON CONFLICT (id) DO UPDATE SET
               -- A clock that is set back must not make a live row look dead later.
               seen_at = CASE WHEN replicas.seen_at < excluded.seen_at
                              THEN excluded.seen_at ELSE replicas.seen_at END,
               epoch = excluded.epoch, stamp = excluded.stamp, mark = excluded.mark,
               autonomy_seconds = CASE WHEN replicas.telling < excluded.telling
                                       THEN excluded.autonomy_seconds
                                       ELSE replicas.autonomy_seconds END,
               telling = CASE WHEN replicas.telling < excluded.telling
                              THEN excluded.telling ELSE replicas.telling END")
        .bind(replica.id)
        .bind(replica.name.as_str())
        .bind(VERSION)
        .bind(epoch)
        .bind(stamp)
        .bind(i64::try_from(telling.window.as_secs()).unwrap_or(i64::MAX))
        .bind(telling.number)
        .bind(mark),
    )
    .await?;
    Ok(())
}

/// What the row tells, how far the installation has come, and whether there is a row of a version that
/// knows of no windows, at one moment before this transaction writes; locks the row, which then stays
/// until it has ended.
pub(super) async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<Found>, DbError> {
    tx.optional(
        sql("SELECT e.epoch, e.stamp, r.autonomy_seconds, r.telling,
                    EXISTS (SELECT 1 FROM replicas WHERE telling = 0) AS is_beside_older
             FROM epoch e, replicas r WHERE r.id = $1 FOR UPDATE OF r")
        .bind(id),
    )
    .await
}

/// The widest window that any row tells, in seconds.
pub(super) async fn widest(tx: &mut Tx) -> Result<i64, DbError> {
    let found: Option<(Option<i64>,)> =
        tx.optional(sql("SELECT max(autonomy_seconds) FROM replicas")).await?;
    Ok(found.and_then(|it| it.0).unwrap_or_default())
}

pub(super) async fn delete(tx: &mut Tx, id: Uuid) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM replicas WHERE id = $1").bind(id)).await?;
    Ok(())
}

/// A row that was last written then.
pub(super) async fn sweep(tx: &mut Tx, known: &Known) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM replicas WHERE id = $1 AND seen_at = $2 AND mark = $3")
            .bind(known.id)
            .bind(known.seen_at)
            .bind(known.mark),
    )
    .await?;
    Ok(())
}

/// By name.
pub(super) async fn list(tx: &mut Tx) -> Result<Vec<Known>, DbError> {
    let rows: Vec<Row> = tx
        .all(sql(
            "SELECT id, name, version, epoch, stamp, autonomy_seconds, telling, mark, started_at,
                    seen_at, CURRENT_TIMESTAMP AS now
             FROM replicas ORDER BY name, id",
        ))
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    version: String,
    epoch: i64,
    stamp: i64,
    autonomy_seconds: i64,
    telling: i64,
    mark: i64,
    started_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl From<Row> for Known {
    fn from(row: Row) -> Self {
        let unseen = row.now - row.seen_at;
        let seconds = u64::try_from(row.autonomy_seconds).unwrap_or_default();
        Self {
            id: row.id,
            name: row.name,
            version: row.version,
            epoch: row.epoch,
            stamp: row.stamp,
            started_at: row.started_at,
            seen_at: row.seen_at,
            mark: row.mark,
            window: Duration::from_secs(seconds),
            knows_windows: row.telling != 0,
            is_live: unseen < LIVE,
            is_over: SHOWN < unseen,
        }
    }
}
