//! PostgreSQL servers of a test's own: started, copied, killed and promoted.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use db::{Db, sql};
use rustix::process::{Signal, geteuid, kill_process_group};
use tempfile::TempDir;
use tests::wait::within;
use tokio::process::{Child, Command};

/// Where PostgreSQL's programs are, and who may run them.
#[derive(Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// A user and a group, where this process is root, which PostgreSQL does not run as.
    owner: Option<(u32, u32)>,
}

/// A server. Ends with this value.
pub(crate) struct Postgres {
    programs: Programs,
    folder: TempDir,
    settings: Vec<String>,
    port: u16,
    process: Child,
}

impl Programs {
    /// Those of the cluster that all tests have, if there is one.
    pub(crate) async fn find() -> Option<Self> {
        let db = Db::open(&db::testing::postgres_url().await?).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let places = "SELECT setting, current_setting('data_directory')
                      FROM pg_config WHERE name = 'BINDIR'";
        let places: Option<(String, String)> = tx.optional(sql(places)).await.unwrap();
        tx.rollback().await.unwrap();
        db.close().await;
        let (folder, data) = places.unwrap();
        let owner = geteuid().is_root().then(|| {
            let data = std::fs::metadata(data).unwrap();
            (data.uid(), data.gid())
        });
        Some(Self { folder: folder.into(), owner })
    }

    fn folder(&self) -> TempDir {
        let folder = TempDir::with_prefix_in("ostiary-postgres-", "/dev/shm").unwrap();
        if let Some((user, group)) = self.owner {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        folder
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.folder.join(program));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        let said = std::fs::OpenOptions::new().create(true).append(true).open(log(folder));
        let said = said.unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said).stdin(Stdio::null());
        command.current_dir(folder).kill_on_drop(true);
        command
    }

    async fn run(&self, program: &str, words: &[&str], folder: &Path) {
        let done = self.command(program, folder).args(words).status();
        let done = within(program, done).await.unwrap();
        let said = || std::fs::read_to_string(log(folder)).unwrap();
        assert!(done.success(), "{program}: {}", said());
    }
}

impl Postgres {
    /// A new one, with these settings beside the usual ones.
    pub(crate) async fn start(programs: &Programs, settings: &[&str]) -> Self {
        let folder = programs.folder();
        let words = ["--pgdata", "data", "--username", "postgres", "--auth", "trust", "--no-sync"];
        let texts = ["--encoding", "UTF8", "--locale", "C.UTF-8"];
        programs.run("initdb", &[&words[..], &texts[..]].concat(), folder.path()).await;
        Self::serve(programs.clone(), folder, settings.iter().map(|it| (*it).to_owned()).collect())
            .await
    }

    /// A copy that follows what happens at this host and port, where this one is reached.
    pub(crate) async fn copy(&self, place: &str) -> Self {
        let folder = self.programs.folder();
        let (host, port) = place.split_once(':').unwrap();
        let from = format!("host={host} port={port} user=postgres application_name=copy");
        let words = ["--pgdata", "data", "--dbname", &from, "--write-recovery-conf", "--no-sync"];
        let words = [&words[..], &["--checkpoint", "fast", "--wal-method", "stream"]].concat();
        self.programs.run("pg_basebackup", &words, folder.path()).await;
        Self::serve(self.programs.clone(), folder, Vec::new()).await
    }

    async fn serve(programs: Programs, folder: TempDir, settings: Vec<String>) -> Self {
        const TRIES: usize = 5;

        for _ in 0..TRIES {
            // Another process may take it before this one does; then the next.
            let port = tests::port::free();
            let mut process = launch(&programs, folder.path(), (&settings, port));
            if is_ready(&programs, folder.path(), (&mut process, port)).await {
                return Self { programs, folder, settings, port, process };
            }
        }
        panic!("{}", std::fs::read_to_string(log(folder.path())).unwrap());
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of its database where it is reached at that host and port.
    pub(crate) fn url_at(place: &str) -> String {
        format!("postgres://postgres@{place}/postgres")
    }

    /// Ends it and all that belongs to it, at once.
    pub(crate) async fn kill(&mut self) {
        self.end();
        within("its end", self.process.wait()).await.unwrap();
    }

    /// Starts it again where it was, which takes as long as it takes to make whole what it left.
    pub(crate) async fn start_again(&mut self) {
        let again = async {
            let mut ticks = tokio::time::interval(LOOK);
            loop {
                let (folder, port) = (self.folder.path(), self.port);
                self.process = launch(&self.programs, folder, (&self.settings, port));
                if is_ready(&self.programs, folder, (&mut self.process, port)).await {
                    return;
                }
                // What it left may not have ended yet.
                ticks.tick().await;
            }
        };
        within("a server that starts again", again).await;
    }

    /// From now on it confirms nothing that a copy does not have.
    pub(crate) async fn wait_for_copies(&self) {
        let words =
            ["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", "postgres"];
        for statement in
            ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]
        {
            let words = [&words[..], &["--quiet", "--command", statement]].concat();
            self.programs.run("psql", &words, self.folder.path()).await;
        }
    }

    /// Makes it take writes. Returns when it does.
    pub(crate) async fn promote(&self) {
        let words = ["promote", "--pgdata", "data", "--wait", "--silent"];
        self.programs.run("pg_ctl", &words, self.folder.path()).await;
    }

    /// Waits until its copy has everything that has been confirmed by now. The replicas' schema is there.
    pub(crate) async fn until_copied(&self) {
        let db = Db::open(&Self::url_at(&self.place())).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let end: Option<(String,)> =
            tx.optional(sql("SELECT pg_current_wal_lsn()::text")).await.unwrap();
        tx.rollback().await.unwrap();
        let (end,) = end.unwrap();
        let mut ticks = tokio::time::interval(LOOK);
        let copying = async {
            loop {
                ticks.tick().await;
                let mut tx = db.begin().await.unwrap();
                let copied = "SELECT count(*) FROM pg_stat_replication
                              WHERE $1::text::pg_lsn <= flush_lsn";
                let copied: Option<(i64,)> =
                    tx.optional(sql(copied).bind(end.as_str())).await.unwrap();
                tx.rollback().await.unwrap();
                if copied == Some((1,)) {
                    return;
                }
            }
        };
        within("a copy that has everything", copying).await;
        db.close().await;
    }

    fn end(&self) {
        if let Some(group) = self.process.id().and_then(|it| i32::try_from(it).ok()) {
            let group = rustix::process::Pid::from_raw(group).unwrap();
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Nothing here outlives its test, and nobody takes the power away.
const USUAL: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=16MB",
    "wal_retrieve_retry_interval=100ms",
];

fn log(folder: &Path) -> PathBuf {
    folder.join("said.log")
}

fn launch(programs: &Programs, folder: &Path, (settings, port): (&[String], u16)) -> Child {
    let mut command = programs.command("postgres", folder);
    command.args(["-D", "data", "-p", &port.to_string()]).process_group(0);
    for it in USUAL.into_iter().chain(settings.iter().map(String::as_str)) {
        command.args(["-c", it]);
    }
    command.spawn().unwrap()
}

/// Waits until it answers; whether it does, or has ended.
async fn is_ready(programs: &Programs, folder: &Path, (process, port): (&mut Child, u16)) -> bool {
    let mut ticks = tokio::time::interval(LOOK);
    let asking = async {
        loop {
            ticks.tick().await;
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            let words = ["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()];
            let mut ask = programs.command("pg_isready", folder);
            let answer: io::Result<_> = ask.args(words).status().await;
            if answer.unwrap().success() {
                return true;
            }
        }
    };
    within("a server that answers", asking).await
}
