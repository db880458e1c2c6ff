//! What becomes of migrations that this version does not know: those that have only added to the
//! schema are no concern of it, and any other keeps it away.

use sqlx::migrate::Migrator;

use crate::transaction::Open;
use crate::{DbError, OpenError, Tx, sql};

/// Refuses a schema that a newer version has changed so that this one does not fit it any more. A
/// schema that has not been made yet fits.
pub(crate) async fn refuse(mut tx: Tx, migrator: &Migrator) -> Result<(), OpenError> {
    let is_ours = |it: &i64| migrator.version_exists(*it);
    let mut unknown = versions(&mut tx, "_sqlx_migrations").await.map_err(OpenError::Schema)?;
    unknown.retain(|it| !is_ours(it));
    if !unknown.is_empty() {
        let additive = versions(&mut tx, "additive_migrations").await.map_err(OpenError::Schema)?;
        unknown.retain(|it| !additive.contains(it));
    }
    tx.rollback().await.map_err(OpenError::Schema)?;
    if !unknown.is_empty() {
        return Err(OpenError::Newer);
    }
    Ok(())
}

/// What stands in one of the two tables, if there is that table.
async fn versions(tx: &mut Tx, table: &'static str) -> Result<Vec<i64>, DbError> {
    let is_there = match &tx.open {
        Open::Sqlite(_) => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
        Open::Postgres(_) => "SELECT count(to_regclass($1))",
    };
    let found: Option<(i64,)> = tx.optional(sql(is_there).bind(table)).await?;
    if found.is_none_or(|(count,)| count == 0) {
        return Ok(Vec::new());
    }
    let all = match table {
        "additive_migrations" => "SELECT version FROM additive_migrations",
        _ => "SELECT version FROM _sqlx_migrations",
    };
    let rows: Vec<(i64,)> = tx.all(sql(all)).await?;
    Ok(rows.into_iter().map(|it| it.0).collect())
}
