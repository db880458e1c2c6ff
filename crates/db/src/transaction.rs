//! An open transaction: whoever opens it decides its extent.

use chrono::{DateTime, Utc};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use tokio::time::Instant;

use crate::notices::ANNOUNCE;
use crate::statement::{for_postgres, for_sqlite};
use crate::{DbError, Sql, sql};

/// An open transaction; dropped without [`Tx::commit`], it rolls back.
pub struct Tx {
    pub(crate) open: Open,
    /// When it must have ended.
    until: Option<Instant>,
}

pub(crate) enum Open {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A type that a row of either database can be read into; derive [`sqlx::FromRow`] to have it.
pub trait Record:
    for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin
{
}

/// As `SET LOCAL`, which takes no parameters.
const LIMIT_PAUSES: &str = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)";

impl Tx {
    pub(crate) fn new(open: Open) -> Self {
        Self { open, until: None }
    }

    /// Lets it go on for so long from now on. What is asked later is refused, and what is asked until
    /// then is given up then: whoever does not hear from the database any more must not keep others
    /// waiting for as long as the network takes to notice.
    pub fn limit(&mut self, limit: Duration) {
        self.until = Some(Instant::now() + limit);
    }

    /// Makes it so.
    ///
    /// # Errors
    /// After an error it is unknown whether the transaction holds, except that a refused foreign
    /// key means it does not.
    pub async fn commit(self) -> Result<(), DbError> {
        let open = self.open;
        let committing = async {
            match open {
                Open::Sqlite(tx) => tx.commit().await?,
                Open::Postgres(tx) => tx.commit().await?,
            }
            Ok(())
        };
        in_time(self.until, committing).await
    }

    /// Undoes it and waits until it is undone.
    ///
    /// # Errors
    /// Where the connection is gone; the transaction then never holds.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.open {
            Open::Sqlite(tx) => tx.rollback().await?,
            Open::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Runs a statement; tells how many rows it touched.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64, DbError> {
        let sql = sql.checked()?;
        let executing = async {
            Ok(match &mut self.open {
                Open::Sqlite(tx) => for_sqlite(sql).execute(&mut **tx).await?.rows_affected(),
                Open::Postgres(tx) => for_postgres(sql).execute(&mut **tx).await?.rows_affected(),
            })
        };
        in_time(self.until, executing).await
    }

    /// The one row, or none. More than one is a mistake in the statement.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn optional<T: Record>(&mut self, sql: Sql) -> Result<Option<T>, DbError> {
        let mut rows = self.all(sql).await?;
        debug_assert!(rows.len() <= 1, "statement found {} rows, not one", rows.len());
        Ok(rows.pop())
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn all<T: Record>(&mut self, sql: Sql) -> Result<Vec<T>, DbError> {
        let sql = sql.checked()?;
        let asking = async {
            Ok(match &mut self.open {
                Open::Sqlite(tx) => {
                    let rows = for_sqlite(sql).fetch_all(&mut **tx).await?;
                    rows.iter().map(T::from_row).collect::<Result<_, _>>()?
                }
                Open::Postgres(tx) => {
                    let rows = for_postgres(sql).fetch_all(&mut **tx).await?;
                    rows.iter().map(T::from_row).collect::<Result<_, _>>()?
                }
            })
        };
        in_time(self.until, asking).await
    }

    /// The time by the database, which all who use it share, in whole microseconds on PostgreSQL and
    /// milliseconds on SQLite.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn now(&mut self) -> Result<DateTime<Utc>, DbError> {
        let statement = match &self.open {
            Open::Sqlite(_) => "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            Open::Postgres(_) => "SELECT clock_timestamp()",
        };
        let row: Option<(DateTime<Utc>,)> = self.optional(sql(statement)).await?;
        row.map(|it| it.0).ok_or(DbError::Other(sqlx::Error::RowNotFound))
    }

    /// Gives all [`crate::Notices`] of the database a word once this has been committed. Where there
    /// are no other processes nobody is told.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn announce(&mut self, word: i64) -> Result<(), DbError> {
        let Open::Postgres(tx) = &mut self.open else { return Ok(()) };
        let announcing = async {
            sqlx::query(ANNOUNCE).bind(word.to_string()).execute(&mut **tx).await?;
            Ok(())
        };
        in_time(self.until, announcing).await
    }

    /// From now on the database gives this transaction up where nothing is asked in it for so long:
    /// a process that is frozen must not keep others from what it has locked.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub async fn limit_pauses(&mut self, limit: Duration) -> Result<(), DbError> {
        if let Open::Postgres(tx) = &mut self.open {
            let limit = format!("{}ms", limit.as_millis());
            sqlx::query(LIMIT_PAUSES).bind(limit).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// Whether the connection still answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&mut self) -> Result<(), DbError> {
        match &mut self.open {
            Open::Sqlite(tx) => tx.ping().await?,
            Open::Postgres(tx) => tx.ping().await?,
        }
        Ok(())
    }
}

async fn in_time<T>(
    until: Option<Instant>,
    doing: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    match until {
        None => doing.await,
        Some(until) => tokio::time::timeout_at(until, doing).await.map_err(|_| DbError::Late)?,
    }
}
