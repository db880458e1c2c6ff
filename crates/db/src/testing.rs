//! A fresh database of each kind, for tests.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;

use crate::Db;

/// A database that vanishes with this value (a PostgreSQL schema vanishes with its cluster).
pub struct Fresh {
    pub db: Db,
    /// Opens the same database once more; SQLite allows that after [`Db::close`] and a drop only.
    pub url: String,
    /// Kept while the database is in use.
    pub folder: Option<TempDir>,
}

/// One of each kind, migrated.
///
/// # Panics
/// Where no PostgreSQL cluster is named and `OSTIARY_TEST_SQLITE_ONLY=1` is not set either.
pub async fn databases() -> Vec<Fresh> {
    let mut all = vec![sqlite().await];
    all.extend(postgres().await);
    all
}

/// A fresh SQLite database.
///
/// # Panics
/// Where it cannot be made.
pub async fn sqlite() -> Fresh {
    let folder = folder();
    let url = format!("sqlite:{}", folder.path().join("ostiary.db").display());
    let db = Db::open(&url).await.expect("a fresh SQLite database opens");
    Fresh { db, url, folder: Some(folder) }
}

/// A fresh schema on the cluster that `OSTIARY_TEST_POSTGRES` names, or none where
/// `OSTIARY_TEST_SQLITE_ONLY=1`.
///
/// # Panics
/// Where neither is set, or the schema cannot be made.
pub async fn postgres() -> Option<Fresh> {
    let url = postgres_url().await?;
    let db = Db::open(&url).await.expect("a fresh PostgreSQL schema opens");
    Some(Fresh { db, url, folder: None })
}

/// The URL of a fresh, empty schema.
///
/// # Panics
/// As [`postgres`].
pub async fn postgres_url() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let Some(cluster) = variable("OSTIARY_TEST_POSTGRES") else {
        assert!(
            variable("OSTIARY_TEST_SQLITE_ONLY").as_deref() == Some("1"),
            "OSTIARY_TEST_POSTGRES names no cluster: run `make test`, which starts one, \
             or set OSTIARY_TEST_SQLITE_ONLY=1 for a quick local run"
        );
        return None;
    };
    let nanos = std::fs::metadata("/proc/self")
        .and_then(|it| it.modified())
        .ok()
        .and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |it| it.as_nanos());
    let schema =
        format!("t{}_{nanos}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection =
        PgConnection::connect(&cluster).await.expect("the PostgreSQL cluster answers");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .execute(&mut connection)
        .await
        .expect("a schema can be made");
    connection.close().await.expect("the connection closes");
    let and = if cluster.contains('?') { '&' } else { '?' };
    Some(format!("{cluster}{and}options=-csearch_path%3D{schema}"))
}

/// In memory where there is such a place: tests need no durability.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder can be made")
}

#[expect(clippy::disallowed_methods, reason = "tests learn of their cluster in no other way")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}
