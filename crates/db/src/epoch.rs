//! The one question of the data plane: has anything changed?
//!
//! On PostgreSQL a connection is kept for nothing else, so that the question never queues behind
//! other work. Whoever asks bounds the wait; an abandoned read costs a new connection, nothing
//! more. Once the database has been claimed, that connection holds the lock which makes this
//! process its only one: an answer that came over it was asked for by whoever owns the database.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, FromRow};
use tokio::sync::Mutex;

use crate::DbError;

/// How far the configuration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Epochs {
    /// Moved by every change.
    pub epoch: i64,
    /// The epoch of the last change that touched more than switches.
    pub config: i64,
}

pub(crate) enum EpochReader {
    Sqlite(SqlitePool),
    Postgres {
        options: Box<PgConnectOptions>,
        idle: Mutex<Option<PgConnection>>,
        claims: AtomicBool,
    },
}

const QUESTION: &str = "SELECT epoch, config FROM epoch";

impl EpochReader {
    pub(crate) fn postgres(options: PgConnectOptions) -> Self {
        // A lost connection keeps its lock until the server notices.
        let options = options.options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
        let claims = AtomicBool::new(false);
        Self::Postgres { options: Box::new(options), idle: Mutex::new(None), claims }
    }

    /// From now on, answers come to the only owner of the database or not at all.
    pub(crate) async fn claim(&self) -> Result<(), DbError> {
        if let Self::Postgres { idle, claims, .. } = self {
            claims.store(true, Ordering::SeqCst);
            // It was opened without the lock.
            *idle.lock().await = None;
        }
        self.read().await.map(drop)
    }

    pub(crate) async fn read(&self) -> Result<Epochs, DbError> {
        match self {
            Self::Sqlite(pool) => Ok(sqlx::query_as(QUESTION).fetch_one(pool).await?),
            Self::Postgres { options, idle, claims } => {
                let mut idle = idle.lock().await;
                // Taken out while in use: a read that is abandoned half-way, or fails, must not
                // leave its connection to the next one.
                let mut connection = match idle.take() {
                    Some(connection) => connection,
                    None if claims.load(Ordering::SeqCst) => owner(options).await?,
                    None => PgConnection::connect_with(options).await?,
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

/// A connection with the lock.
async fn owner(options: &PgConnectOptions) -> Result<PgConnection, DbError> {
    let mut connection = PgConnection::connect_with(options).await?;
    let lock = "SELECT pg_try_advisory_lock($1, hashtext(coalesce(current_schema(), '')))";
    let is_ours: bool = sqlx::query_scalar(lock).bind(LOCK).fetch_one(&mut connection).await?;
    if is_ours { Ok(connection) } else { Err(DbError::Owned) }
}

/// Ours among the advisory locks of a database: `osti`.
const LOCK: i32 = 0x6f73_7469;
