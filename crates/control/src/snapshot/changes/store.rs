//! The list of what has been touched. Nobody writes to it but triggers.

use db::{DbError, Tx, sql};
use uuid::Uuid;

use super::{Move, Position};

/// A thing that has been touched, or a move of the epoch.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) part: String,
    pub(super) workspace_id: Option<Uuid>,
    pub(super) object_id: Option<Uuid>,
    pub(super) epoch: Option<i64>,
    pub(super) stamp: Option<i64>,
}

impl Entry {
    /// Where the epoch has been moved to, if that is what it says.
    pub(super) fn moved_to(&self) -> Option<Move> {
        self.epoch.zip(self.stamp)
    }
}

/// The move at a position, and what is behind the position: so many of them at most.
pub(super) async fn entries(
    tx: &mut Tx,
    position: Position,
    most: usize,
) -> Result<Vec<Entry>, DbError> {
    // The first condition says no more than the second, and lets SQLite begin where that does.
    let statement = sql("SELECT number, part, workspace_id, object_id, epoch, stamp
                         FROM row_changes
                         WHERE number >= $1 AND (number = $1 OR number > $2)
                         ORDER BY number
                         LIMIT $3");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    tx.all(statement.bind(position.moved).bind(position.last).bind(most)).await
}

pub(super) async fn newest_move(tx: &mut Tx) -> Result<Option<Entry>, DbError> {
    tx.optional(sql("SELECT number, part, workspace_id, object_id, epoch, stamp
                     FROM row_changes
                     WHERE part = 'epoch'
                     ORDER BY number DESC
                     LIMIT 1"))
        .await
}

pub(super) async fn last(tx: &mut Tx) -> Result<Option<i64>, DbError> {
    let row: Option<(Option<i64>,)> =
        tx.optional(sql("SELECT max(number) FROM row_changes")).await?;
    Ok(row.and_then(|it| it.0))
}

/// Deletes the oldest, `cut` of them at most, until `kept` numbers are left.
pub(super) async fn prune(tx: &mut Tx, kept: i64, cut: i64) -> Result<(), DbError> {
    let statement = sql("DELETE FROM row_changes
                         WHERE number IN (
                             SELECT number FROM row_changes
                             WHERE number <= (SELECT max(number) FROM row_changes) - $1
                             ORDER BY number
                             LIMIT $2)");
    tx.execute(statement.bind(kept).bind(cut)).await?;
    Ok(())
}
