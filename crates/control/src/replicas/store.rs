//! Table `replicas`. All times are the database's own.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};
use uuid::Uuid;

use super::{Known, LIVE, Replica, SHOWN, VERSION};

/// Writes the row, or that it is still alive and how far it has come.
pub(super) async fn put(tx: &mut Tx, replica: &Replica) -> Result<(), DbError> {
    // One that comes too late says too little, until the next.
    let (epoch, stamp) = replica.settled();
    tx.execute(
        sql("INSERT INTO replicas (id, name, version, epoch, stamp, started_at, seen_at)
             VALUES ($1, $2, $3, $4, $5, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)
             ON CONFLICT (id) DO UPDATE SET
               -- A clock that is set back must not make a live row look dead later.
               seen_at = CASE WHEN replicas.seen_at < excluded.seen_at
                              THEN excluded.seen_at ELSE replicas.seen_at END,
               epoch = excluded.epoch, stamp = excluded.stamp")
        .bind(replica.id)
        .bind(replica.name.as_str())
        .bind(VERSION)
        .bind(epoch)
        .bind(stamp),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, id: Uuid) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM replicas WHERE id = $1").bind(id)).await?;
    Ok(())
}

/// A row that was last written then.
pub(super) async fn sweep(tx: &mut Tx, known: &Known) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM replicas WHERE id = $1 AND seen_at = $2")
            .bind(known.id)
            .bind(known.seen_at),
    )
    .await?;
    Ok(())
}

/// By name.
pub(super) async fn list(tx: &mut Tx) -> Result<Vec<Known>, DbError> {
    let rows: Vec<Row> = tx
        .all(sql(
            "SELECT id, name, version, epoch, stamp, started_at, seen_at, CURRENT_TIMESTAMP AS now
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
    started_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl From<Row> for Known {
    fn from(row: Row) -> Self {
        let Row { id, name, version, epoch, stamp, started_at, seen_at, now } = row;
        let unseen = now - seen_at;
        let (is_live, is_over) = (unseen < LIVE, SHOWN < unseen);
        Self { id, name, version, epoch, stamp, started_at, seen_at, is_live, is_over }
    }
}
