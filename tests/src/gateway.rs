//! The binary under test.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Resource, geteuid, getrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::peers::{from_environment, inside};
use crate::records::{self, Record};
use crate::wait::{eventually, within};

/// A running gateway. Ends with this value, and leaves nothing behind.
pub struct Gateway {
    /// Where clients find it: host, port and path.
    pub url: String,
    pub address: SocketAddr,
    /// The path of the URL.
    pub path: String,
    process: Child,
    home: TempDir,
}

impl Gateway {
    /// `ostiary dev` in front of a server with that URL.
    pub async fn dev(upstream: &str) -> Self {
        Self::dev_with(&["--upstream", upstream]).await
    }

    /// The same, speaking one era to the server: `auto`, `modern` or `legacy`.
    pub async fn dev_in_era(upstream: &str, era: &str) -> Self {
        Self::dev_with(&["--upstream", upstream, "--era", era]).await
    }

    /// The same, waiting for tasks on behalf of clients that know none.
    pub async fn dev_that_waits(upstream: &str) -> Self {
        Self::dev_with(&["--upstream", upstream, "--wait-for-tasks"]).await
    }

    /// `ostiary dev` in front of a command that speaks on its standard streams.
    pub async fn dev_command<T: AsRef<OsStr>>(command: &[T]) -> Self {
        let mut args = vec![OsStr::new("--")];
        args.extend(command.iter().map(AsRef::as_ref));
        Self::dev_with(&args).await
    }

    /// The same, for a URL that may be refused at once.
    pub async fn dev_or_refused(upstream: &str) -> Option<Self> {
        Self::start(&["--upstream", upstream]).await.ok()
    }

    /// With any words behind `dev` and these variables in its environment.
    pub async fn dev_with_environment(words: &[&str], set: &[(&str, &str)]) -> Self {
        let home = TempDir::with_prefix("ostiary-test-").unwrap();
        let mut command = Command::new(binary());
        command.envs(set.iter().copied());
        let started = Self::start_as(command, home, words).await;
        started.unwrap_or_else(|words| panic!("the gateway ended at once: {words}"))
    }

    /// With any words behind `dev`, as a user whom the system's limits hold for, which
    /// they do not for root. `program` is a binary that this user is to reach; its new path takes
    /// the place of `PROGRAM` among the words.
    pub async fn dev_unprivileged(program: &Path, words: &[&str]) -> Self {
        let home = TempDir::with_prefix("ostiary-test-").unwrap();
        let [gateway, other] = [binary().as_path(), program].map(|it| {
            let copy = home.path().join(it.file_name().unwrap());
            std::fs::copy(it, &copy).unwrap();
            copy
        });
        let mut command = Command::new(gateway);
        if become_nobody(&mut command) {
            std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let other = other.to_str().unwrap();
        let words = words.iter().map(|it| if *it == "PROGRAM" { other } else { it });
        let words: Vec<&str> = words.collect();
        let started = Self::start_as(command, home, &words).await;
        started.unwrap_or_else(|words| panic!("the gateway ended at once: {words}"))
    }

    async fn dev_with<T: AsRef<OsStr>>(args: &[T]) -> Self {
        Self::start(args).await.unwrap_or_else(|words| panic!("the gateway ended at once: {words}"))
    }

    /// A gateway, or what it has said where it ended at once.
    async fn start<T: AsRef<OsStr>>(args: &[T]) -> Result<Self, String> {
        let home = TempDir::with_prefix("ostiary-test-").unwrap();
        Self::start_as(Command::new(binary()), home, args).await
    }

    async fn start_as<T: AsRef<OsStr>>(
        mut command: Command,
        home: TempDir,
        args: &[T],
    ) -> Result<Self, String> {
        command.args(["dev", "--listen", "127.0.0.1:0"]).args(args);
        // What it makes is inside and goes with the test.
        command.env("TMPDIR", home.path()).env("RUST_BACKTRACE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(std::fs::File::create(home.path().join(WORDS)).unwrap());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within("the gateway's first line", lines.next_line()).await.unwrap();
        let Some(url) = line else {
            return Err(std::fs::read_to_string(home.path().join(WORDS)).unwrap_or_default());
        };
        let (place, path) = url.strip_prefix("http://").and_then(|it| it.split_once('/')).unwrap();
        let port = place.rsplit_once(':').unwrap().1.parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { path: format!("/{path}"), url, address, process, home })
    }

    /// The value of `Host` that names it.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Everything that it has recorded so far, oldest first.
    pub fn records(&self) -> Vec<Record> {
        let listed = std::fs::read_dir(self.home.path()).unwrap();
        let data = listed.map(|it| it.unwrap().path());
        let is_data = |it: &PathBuf| {
            it.file_name().and_then(OsStr::to_str).is_some_and(|it| it.starts_with("ostiary-dev-"))
        };
        data.filter(is_data).flat_map(|it| records::read(&it.join("log"))).collect()
    }

    /// What it has recorded after the first `known` records.
    pub fn records_since(&self, known: usize) -> Vec<Record> {
        self.records().split_off(known)
    }

    /// Waits until a record after the first `known` ones has this end.
    pub async fn has_recorded(&self, known: usize, end: &str) -> Record {
        let look = || self.records_since(known).into_iter().find(|it| it.end() == end);
        eventually(&format!("a record that ends `{end}`"), look).await
    }

    /// The most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.process.id().unwrap())
    }

    /// How much the peak has grown. The kernel rounds, and may later say less than before.
    pub fn grown_since(&self, before: u64) -> u64 {
        self.peak_memory().saturating_sub(before)
    }

    /// Lets its user have so many processes and threads; `None` lifts the limit.
    pub async fn limit_processes(&self, limit: Option<u64>) {
        // It has inherited our limit, and may have as many again.
        let limit = limit.or(getrlimit(Resource::Nproc).maximum);
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
        let pid = self.process.id().expect("it runs");
        // By a program, since the limits of a process are its own user's to change.
        let mut command = Command::new("prlimit");
        command.args([format!("--pid={pid}"), format!("--nproc={limit}:")]);
        become_nobody(&mut command);
        let output = within("prlimit", command.output()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The ids of the processes that it has started.
    pub fn children(&self) -> Vec<u32> {
        let id = self.process.id().unwrap();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let children = threads
            .filter_map(|it| std::fs::read_to_string(it.unwrap().path().join("children")).ok());
        let children: Vec<String> = children.collect();
        children.iter().flat_map(|it| it.split_whitespace()).map(|it| it.parse().unwrap()).collect()
    }

    /// What it has written to its standard error.
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.home.path().join(WORDS)).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words = self.words();
            eprintln!("the gateway said: {}", words.trim());
            for record in self.records() {
                eprintln!("recorded: {} {}", record.kind, record.leaf);
            }
        }
    }
}

/// The most memory that a process has had so far, in bytes.
pub(crate) fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes << 10
}

/// Where we are root, the command is not to be; whether that is so.
fn become_nobody(command: &mut Command) -> bool {
    let is_root = geteuid().is_root();
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    is_root
}

/// Whom nothing belongs to.
pub(crate) const NOBODY: u32 = 65_534;

/// The file that its standard error goes to.
const WORDS: &str = "stderr";

fn binary() -> PathBuf {
    inside(from_environment("OSTIARY_BIN"))
}
