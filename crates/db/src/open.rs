//! Finding the database, making sure that it is sound, and bringing its schema up to date.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::epoch::EpochReader;
use crate::transaction::Open;
use crate::{DbError, Epochs, Notices, Tx, newer};

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
    epochs: Arc<EpochReader>,
    /// Held as long as the database is open.
    lock: Option<Arc<File>>,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    /// The one for all, and one for what must not queue behind it.
    Postgres {
        all: PgPool,
        aside: PgPool,
    },
}

/// Why a database cannot be used. Each text is a plain sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL must begin with `sqlite:` or `postgres:`")]
    Scheme,
    #[error("the database URL cannot be read")]
    Url(#[source] sqlx::Error),
    #[error("cannot open the database file {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("another process is using the database {}", path.display())]
    InUse { path: PathBuf },
    #[error("the database file {} is damaged ({what}); restore it from a backup", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "a newer version of Ostiary has changed the database so that this one cannot use it; run that \
         version, or restore a backup made before the upgrade"
    )]
    Newer,
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    #[error("the database schema cannot be looked at")]
    Schema(#[source] DbError),
    #[error("the database schema cannot be brought up to date")]
    Migration(#[source] MigrateError),
}

/// How long a statement waits for a lock before it is refused.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What newer versions have added is no error; [`newer::refuse`] looks at it.
static FOR_SQLITE: LazyLock<Migrator> =
    LazyLock::new(|| tolerant(sqlx::migrate!("migrations/sqlite")));
static FOR_POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = tolerant(sqlx::migrate!("migrations/postgres"));
    // It is locked by schema, and not the database as a whole.
    migrator.set_locking(false);
    migrator
});

fn tolerant(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

impl Db {
    /// Opens `sqlite:PATH`, making the file where there is none, or `postgres:…`, and migrates
    /// the schema forward.
    ///
    /// # Errors
    /// As [`OpenError`] says; nothing has been changed then, except perhaps by some migrations.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        if let Some(path) = sqlite_path(url) {
            Self::open_sqlite(path).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await
        } else {
            Err(OpenError::Scheme)
        }
    }

    /// Whether [`Db::open`] would take the schema as it is, asked while others may be using it. What
    /// there is not yet would be made, so it is as good.
    ///
    /// # Errors
    /// As [`OpenError`] says. Nothing is changed.
    pub async fn check(url: &str) -> Result<(), OpenError> {
        if let Some(path) = sqlite_path(url) {
            if !path.exists() {
                return Ok(());
            }
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(LOCK_WAIT);
            let pool = pool.connect_with(options.busy_timeout(LOCK_WAIT)).await;
            let pool = pool.map_err(|error| sqlite_error(path, error))?;
            let fits =
                newer::refuse(Tx::new(Open::Sqlite(begun(pool.begin().await)?)), &FOR_SQLITE).await;
            pool.close().await;
            return fits;
        }
        let options = PgConnectOptions::from_str(url).map_err(OpenError::Url)?;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(LOCK_WAIT);
        let pool = pool.connect_with(options).await.map_err(OpenError::Unreachable)?;
        let fits =
            newer::refuse(Tx::new(Open::Postgres(begun(pool.begin().await)?)), &FOR_POSTGRES).await;
        pool.close().await;
        fits
    }

    /// Whether this process is the only one that can write, so that its memory is the truth.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// [`DbError::Busy`] where no connection or no lock was to be had in time.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        Ok(Tx::new(match &self.pools {
            // Takes the write lock now: a read that turns into a write later cannot wait for it.
            Pools::Sqlite { writer, .. } => {
                Open::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Pools::Postgres { all, .. } => Open::Postgres(all.begin_with(READ_COMMITTED).await?),
        }))
    }

    /// Begins a transaction that may write what is of no worth after a crash of the database: its
    /// commit does not wait for a disk, and it does not wait for a connection behind changes.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_passing(&self) -> Result<Tx, DbError> {
        let Pools::Postgres { aside, .. } = &self.pools else { return self.begin().await };
        let mut tx = aside.begin_with(READ_COMMITTED).await?;
        sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
        Ok(Tx::new(Open::Postgres(tx)))
    }

    /// A connection that hears what [`Tx::announce`] says, in any process. Absent where there is no
    /// other process.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn listen(&self) -> Result<Option<Notices>, DbError> {
        match &self.pools {
            Pools::Sqlite { .. } => Ok(None),
            Pools::Postgres { aside, .. } => Notices::open(aside).await.map(Some),
        }
    }

    /// Begins a transaction that only reads, all of it as of one instant. Never waits for writers.
    ///
    /// # Errors
    /// [`DbError::Busy`] where no connection was to be had in time.
    pub async fn read(&self) -> Result<Tx, DbError> {
        Ok(Tx::new(match &self.pools {
            Pools::Sqlite { readers, .. } => Open::Sqlite(readers.begin().await?),
            Pools::Postgres { all, .. } => Open::Postgres(
                all.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        }))
    }

    /// The epochs as of some moment after this was called. The caller bounds the wait.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn epoch(&self) -> Result<Epochs, DbError> {
        self.epochs.read().await
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.epochs.close().await;
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
                // Whoever comes next need not wait until the last copy of this value has gone.
                if let Some(lock) = &self.lock {
                    lock.unlock().unwrap_or_default();
                }
            }
            Pools::Postgres { all, aside } => {
                aside.close().await;
                all.close().await;
            }
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        create_private(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        quick_check(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL may lose the last commits when the power fails.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .statement_cache_capacity(STATEMENTS)
            .busy_timeout(LOCK_WAIT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(LOCK_WAIT)
            .connect_with(options.clone())
            .await
            .map_err(|error| sqlite_error(path, error))?;
        let tx = Tx::new(Open::Sqlite(begun(writer.begin().await)?));
        let migrated = match newer::refuse(tx, &FOR_SQLITE).await {
            Ok(()) => FOR_SQLITE.run(&writer).await.map_err(OpenError::Migration),
            Err(newer) => Err(newer),
        };
        if let Err(error) = migrated {
            writer.close().await;
            return Err(error);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(LOCK_WAIT)
            .connect_with(options.pragma("query_only", "1"))
            .await
            .map_err(|error| sqlite_error(path, error))?;
        let epochs = Arc::new(EpochReader::Sqlite(readers.clone()));
        let lock = Some(Arc::new(lock));
        Ok(Self { pools: Pools::Sqlite { writer, readers }, epochs, lock })
    }

    async fn open_postgres(url: &str) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(OpenError::Url)?
            .application_name("ostiary")
            .statement_cache_capacity(STATEMENTS)
            .options([
                ("lock_timeout", "5s"),
                ("statement_timeout", "15s"),
                ("idle_in_transaction_session_timeout", "30s"),
                // Who has lost the network loses its locks.
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
            ]);
        let pool = checked(PgPoolOptions::new())
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(LOCK_WAIT)
            .connect_with(options.clone())
            .await
            .map_err(OpenError::Unreachable)?;
        let tx = Tx::new(Open::Postgres(begun(pool.begin().await)?));
        newer::refuse(tx, &FOR_POSTGRES).await?;
        migrate_postgres(&options).await?;
        let aside = checked(PgPoolOptions::new())
            .max_connections(CONNECTIONS_ASIDE)
            // What is in a hurry finds one that is open.
            .min_connections(2)
            .acquire_timeout(LOCK_WAIT)
            .connect_with(options.clone())
            .await
            .map_err(OpenError::Unreachable)?;
        let epochs = Arc::new(EpochReader::postgres(options));
        Ok(Self { pools: Pools::Postgres { all: pool, aside }, epochs, lock: None })
    }
}

/// Brings the schema up to date, or waits for whoever does: several processes may start at once, and
/// the work of the first may take longer than a statement waits for its lock. On a connection of its
/// own, since the lock that keeps them apart goes with it, and none is cut short because there is much
/// to change.
async fn migrate_postgres(options: &PgConnectOptions) -> Result<(), OpenError> {
    let patient = options.clone().options([("lock_timeout", "60s"), ("statement_timeout", "0")]);
    let mut connection = patient.connect().await.map_err(OpenError::Unreachable)?;
    let locked = sqlx::raw_sql(ONE_AT_A_TIME).execute(&mut connection).await;
    locked.map_err(|error| OpenError::Schema(error.into()))?;
    let migrated = FOR_POSTGRES.run(&mut connection).await.map_err(OpenError::Migration);
    let closed = connection.close().await.map_err(OpenError::Unreachable);
    migrated.and(closed)
}

/// By schema, where the migrator's own lock is one for a database. The number is `ostj`.
const ONE_AT_A_TIME: &str =
    "SELECT pg_advisory_lock(1869837418, hashtext(coalesce(current_schema(), '')))";

/// Whatever the database takes where nothing is said: who has waited for the epoch row must then see
/// what the one before has committed, and is not to be refused for it.
const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// SQLite readers do not wait for the writer; a few suffice for an administrator's pages.
const READERS: u32 = 4;

/// Changes are made one at a time anyway; the rest is reading for the admin API.
const POSTGRES_CONNECTIONS: u32 = 10;

/// One that listens, one that says that this replica is there, one that says how far it has come, and
/// one that looks for what others have said.
const CONNECTIONS_ASIDE: u32 = 4;

/// How many statements a connection keeps prepared: all that there are.
const STATEMENTS: usize = 500;

/// How long a connection that has been idle has to show that it is still one.
const PULSE: Duration = Duration::from_millis(250);

/// Takes no connection out of a pool that does not answer at once: one whose database has vanished
/// with its network would keep whoever takes it waiting for as long as the system tries.
fn checked(pool: PgPoolOptions) -> PgPoolOptions {
    pool.test_before_acquire(false).before_acquire(|connection, _| {
        Box::pin(async move {
            Ok(matches!(tokio::time::timeout(PULSE, connection.ping()).await, Ok(Ok(()))))
        })
    })
}

/// One process owns the file: it answers from memory what others could change behind its back.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&beside);
    let file = file.map_err(|source| OpenError::File { path: beside.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: beside, source }),
    }
}

/// Makes the file readable by nobody else; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// On a connection that nothing is asked of before and that is closed before anything else happens:
/// a file that is refused is left as it was, without companions.
async fn quick_check(path: &Path) -> Result<(), OpenError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(LOCK_WAIT);
    let connected = options.connect().await;
    let mut connection = connected.map_err(|error| sqlite_error(path, error))?;
    let found = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
    let closed = connection.close().await;
    let found: String = found.map_err(|error| sqlite_error(path, error))?;
    closed.map_err(|error| sqlite_error(path, error))?;
    if found == "ok" {
        Ok(())
    } else {
        // The first line says which database, and there is one.
        let what = found.lines().last().unwrap_or_default().to_owned();
        Err(OpenError::Damaged { path: path.to_owned(), what })
    }
}

/// The path in a URL that begins with `sqlite:`.
fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split('?').next().map(Path::new)
}

fn begun<T>(outcome: Result<T, sqlx::Error>) -> Result<T, OpenError> {
    outcome.map_err(|error| OpenError::Schema(error.into()))
}

fn sqlite_error(path: &Path, error: sqlx::Error) -> OpenError {
    match &error {
        // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes.
        sqlx::Error::Database(db)
            if db
                .code()
                .and_then(|it| it.parse::<u32>().ok())
                .is_some_and(|it| matches!(it & 0xff, 11 | 26)) =>
        {
            OpenError::Damaged { path: path.to_owned(), what: db.message().to_owned() }
        }
        _ => OpenError::Unreachable(error),
    }
}
