//! The one question of the data plane: has anything changed?
//!
//! On PostgreSQL a connection is kept for nothing else, so that the question never queues behind
//! other work. Whoever asks bounds the wait; an abandoned read costs a new connection, nothing
//! more.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, FromRow};
use tokio::sync::Mutex;

use crate::DbError;

/// How far the configuration has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Epochs {
    /// Moved by every change.
    pub epoch: i64,
    /// The epoch of the last change that touched more than switches.
    pub config: i64,
    /// Random, and new with every epoch: a database that has lost changes counts the same numbers
    /// again.
    pub stamp: i64,
    /// The stamp of `config`.
    pub config_stamp: i64,
    /// The epoch of the last change that destroyed keys of recorded content.
    pub destroyed: i64,
}

pub(crate) enum EpochReader {
    Sqlite(SqlitePool),
    Postgres { options: Box<PgConnectOptions>, idle: Mutex<Option<PgConnection>> },
}

const QUESTION: &str = "SELECT epoch, config, stamp, config_stamp, destroyed FROM epoch";

impl EpochReader {
    pub(crate) fn postgres(options: PgConnectOptions) -> Self {
        Self::Postgres { options: Box::new(options), idle: Mutex::new(None) }
    }

    pub(crate) async fn read(&self) -> Result<Epochs, DbError> {
        match self {
            Self::Sqlite(pool) => Ok(sqlx::query_as(QUESTION).fetch_one(pool).await?),
            Self::Postgres { options, idle } => {
                let mut idle = idle.lock().await;
                // Taken out while in use: a read that is abandoned half-way, or fails, must not
                // leave its connection to the next one.
                let mut connection = match idle.take() {
                    Some(connection) => connection,
                    None => connect(options).await?,
                };
                let epochs = sqlx::query_as(QUESTION).fetch_one(&mut connection).await?;
                *idle = Some(connection);
                Ok(epochs)
            }
        }
    }

    pub(crate) async fn close(&self) {
        if let Self::Postgres { idle, .. } = self
            && let Some(connection) = idle.lock().await.take()
        {
            // The server notices a lost connection as well as a farewell.
            drop(connection.close().await);
        }
    }
}

/// A connection that keeps processes of versions away which think that they are alone: they take the
/// same lock for themselves.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, DbError> {
    let mut connection = PgConnection::connect_with(options).await?;
    let lock = "SELECT pg_try_advisory_lock_shared($1, hashtext(coalesce(current_schema(), '')))";
    let is_shared: bool = sqlx::query_scalar(lock).bind(LOCK).fetch_one(&mut connection).await?;
    if is_shared { Ok(connection) } else { Err(DbError::Owned) }
}

/// Ours among the advisory locks of a database: `osti`.
const LOCK: i32 = 0x6f73_7469;
