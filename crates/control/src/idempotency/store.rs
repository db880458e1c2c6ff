//! Table `answers`. The data plane does not read it.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};

use super::{Found, Kept, Place};

#[derive(sqlx::FromRow)]
struct Row {
    request_hash: Vec<u8>,
    status: Option<i64>,
    media: Option<String>,
    etag: Option<String>,
    body: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
}

/// Tells whether the place was free.
pub(super) async fn insert(
    tx: &mut Tx,
    place: &Place,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let count = tx
        .execute(
            sql("INSERT INTO answers (caller_id, workspace_id, key_hash, request_hash, created_at)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (caller_id, workspace_id, key_hash) DO NOTHING")
            .bind(place.caller)
            .bind(place.workspace)
            .bind(&place.key[..])
            .bind(&place.request[..])
            .bind(now),
        )
        .await?;
    Ok(count == 1)
}

/// What stands at a place.
pub(super) async fn find(tx: &mut Tx, place: &Place) -> Result<Found, DbError> {
    let row: Option<Row> = tx
        .optional(
            sql("SELECT request_hash, status, media, etag, body, created_at FROM answers
                 WHERE caller_id = $1 AND workspace_id = $2 AND key_hash = $3")
            .bind(place.caller)
            .bind(place.workspace)
            .bind(&place.key[..]),
        )
        .await?;
    // Gone meanwhile: whoever repeats it will find it free.
    let Some(row) = row else { return Err(DbError::Duplicate) };
    if row.request_hash != place.request {
        return Ok(Found::OtherRequest);
    }
    Ok(match row.status.and_then(|it| u16::try_from(it).ok()) {
        None => Found::UnderWay { since: row.created_at },
        Some(status) => {
            Found::Done(Kept { status, media: row.media, etag: row.etag, body: row.body })
        }
    })
}

pub(super) async fn update(tx: &mut Tx, place: &Place, kept: Kept) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE answers SET status = $4, media = $5, etag = $6, body = $7
             WHERE caller_id = $1 AND workspace_id = $2 AND key_hash = $3")
        .bind(place.caller)
        .bind(place.workspace)
        .bind(&place.key[..])
        .bind(i64::from(kept.status))
        .bind(kept.media)
        .bind(kept.etag)
        .bind(kept.body),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, place: &Place) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM answers
             WHERE caller_id = $1 AND workspace_id = $2 AND key_hash = $3")
        .bind(place.caller)
        .bind(place.workspace)
        .bind(&place.key[..]),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete_older(tx: &mut Tx, than: DateTime<Utc>) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM answers WHERE created_at <= $1").bind(than)).await?;
    Ok(())
}

/// The oldest of a caller and a workspace beyond so many; what is under way stays.
pub(super) async fn delete_beyond(tx: &mut Tx, place: &Place, most: i64) -> Result<(), DbError> {
    tx.execute(
        sql("DELETE FROM answers
             WHERE caller_id = $1 AND workspace_id = $2 AND status IS NOT NULL
               AND created_at <= (
                   SELECT created_at FROM answers
                   WHERE caller_id = $1 AND workspace_id = $2
                   ORDER BY created_at DESC, key_hash LIMIT 1 OFFSET $3)")
        .bind(place.caller)
        .bind(place.workspace)
        .bind(most),
    )
    .await?;
    Ok(())
}
