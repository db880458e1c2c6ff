//! Table `installation`, which has one row.

use chrono::{DateTime, Utc};
use db::{DbError, Tx, sql};

pub(super) async fn vault_check(tx: &mut Tx) -> Result<Option<Vec<u8>>, DbError> {
    let row: Option<(Vec<u8>,)> =
        tx.optional(sql("SELECT vault_check FROM installation WHERE one = 1")).await?;
    Ok(row.map(|it| it.0))
}

pub(super) async fn insert(
    tx: &mut Tx,
    vault_check: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO installation (one, vault_check, created_at) VALUES (1, $1, $2)")
            .bind(vault_check)
            .bind(now),
    )
    .await?;
    Ok(())
}
