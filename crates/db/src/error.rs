//! Why a statement failed.

/// What a caller can do something about has a variant of its own.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("a row with this key already exists")]
    Duplicate,
    #[error("a row that this one refers to, or that refers to it, stands in the way")]
    Referenced,
    /// By a version that must be alone.
    #[error("an older Ostiary that can share no database is using this one; stop it first")]
    Owned,
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// It is undone, unless it was being committed: then nobody knows.
    #[error("the transaction has taken too long")]
    Late,
    /// PostgreSQL keeps no such text, so neither does SQLite.
    #[error("a text holds the character U+0000")]
    Nul,
    #[error("database request failed")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) if db.is_unique_violation() => Self::Duplicate,
            sqlx::Error::Database(db) if db.is_foreign_key_violation() => Self::Referenced,
            sqlx::Error::Database(db) if is_busy(db.code().as_deref()) => Self::Busy(error),
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            _ => Self::Other(error),
        }
    }
}

/// `SQLITE_BUSY`, or PostgreSQL's lock, statement and deadlock time-outs.
fn is_busy(code: Option<&str>) -> bool {
    matches!(code, Some("5" | "261" | "517" | "55P03" | "57014" | "40P01" | "40001"))
}
