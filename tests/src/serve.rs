//! `ostiary serve`, and the folder that outlives it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;

use bytes::Bytes;
use futures::future::join;
use http::{Method, Request};
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::archive::{self, Kept};
use crate::gateway::NOBODY;
use crate::line::Line;
use crate::peers::{from_environment, inside};
use crate::records::{self, Record};
use crate::wait::within;

/// A gateway's data folder, database and key. Vanishes with this value.
pub struct Site {
    home: TempDir,
    /// A URL, where it is not SQLite in the data folder.
    database: Option<String>,
    /// What is started in it.
    pub program: PathBuf,
    admin: Mutex<String>,
}

/// A running gateway. Ends with this value.
pub struct Served {
    pub address: SocketAddr,
    /// What runs; with a tracer around it, the tracer.
    process: Child,
    /// What it says last; it must be able to say it.
    _lines: Lines<BufReader<ChildStdout>>,
    line: tokio::sync::Mutex<Line>,
    admin: String,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// An answer of the admin API.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// `null` where there is none.
    pub body: Value,
}

impl Site {
    /// With SQLite, or a PostgreSQL at that URL. In memory: what a process leaves in the kernel is
    /// there, whatever the disk.
    pub fn new(database: Option<String>) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::inside(&parent, database)
    }

    /// One with SQLite, and one with the PostgreSQL at that URL.
    pub fn on_each(postgres: Option<String>) -> Vec<Self> {
        let databases = [None].into_iter().chain(postgres.map(Some));
        databases.map(Self::new).collect()
    }

    /// In a folder of that folder.
    pub fn inside(parent: &Path, database: Option<String>) -> Self {
        let home = TempDir::with_prefix_in("ostiary-site-", parent).unwrap();
        let program = binary();
        Self { home, database, program, admin: Mutex::default() }
    }

    /// Another one of the same installation, with a folder of its own.
    pub fn beside(&self) -> Self {
        let beside = Self::new(self.database.clone());
        *beside.admin.lock().unwrap() = self.admin.lock().unwrap().clone();
        beside
    }

    /// The same, which reaches its database by this URL.
    pub fn beside_by(&self, url: String) -> Self {
        let mut beside = self.beside();
        beside.database = Some(url);
        beside
    }

    /// The URL of its database, where that is elsewhere.
    pub fn url(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// A copy of what is there while nothing runs. With SQLite only.
    pub fn copy(&self, parent: &Path) -> Self {
        assert!(self.database.is_none(), "a database elsewhere cannot be copied");
        let copy = Self::inside(parent, None);
        crate::folder::copy(&self.data(), &copy.data());
        *copy.admin.lock().unwrap() = self.admin.lock().unwrap().clone();
        copy
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The folder of everything, which is more than its data.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The admin token.
    pub fn admin(&self) -> String {
        self.admin.lock().unwrap().clone()
    }

    /// The name of its database.
    pub fn database(&self) -> &'static str {
        if self.database.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// Starts the gateway.
    pub async fn start(&self) -> Served {
        let started = self.start_under(&[], &[]).await;
        started.unwrap_or_else(|status| {
            panic!("the gateway ended at once: {status}: {}", self.words())
        })
    }

    /// Starts it once more, or for the first time, with these declarative documents.
    pub async fn start_with(&self, documents: &str) -> Served {
        self.start_with_words(documents, &[]).await
    }

    /// The same with more words on its command line.
    pub async fn start_with_words(&self, documents: &str, words: &[&str]) -> Served {
        let file = self.home.path().join("documents.yaml");
        std::fs::write(&file, documents).unwrap();
        let mut more = vec![OsString::from("--apply"), file.into()];
        more.extend(words.iter().map(OsString::from));
        let started = self.start_under(&[], &more).await;
        started.unwrap_or_else(|status| {
            panic!("the gateway ended at once: {status}: {}", self.words())
        })
    }

    /// The same with a configuration, which is TOML.
    pub async fn start_configured(&self, documents: &str, configuration: &str) -> Served {
        let file = self.home.path().join("configuration.toml");
        std::fs::write(&file, configuration).unwrap();
        let more = ["--config".into(), file.into()];
        let documents_file = self.home.path().join("documents.yaml");
        std::fs::write(&documents_file, documents).unwrap();
        let apply = ["--apply".into(), documents_file.into()];
        let started = self.start_under(&[], &[&more[..], &apply[..]].concat()).await;
        started.unwrap_or_else(|status| {
            panic!("the gateway ended at once: {status}: {}", self.words())
        })
    }

    /// Starts it as the command of a tracer, if there is one. How it ended where it never listened.
    pub async fn start_under(
        &self,
        tracer: &[OsString],
        more: &[OsString],
    ) -> Result<Served, ExitStatus> {
        self.begin(self.serve(tracer, more).stdin(Stdio::null())).await
    }

    /// Starts one more process that follows the one which runs, with these words on its command line.
    /// How it ended where it never listened.
    pub async fn follow(&self, more: &[&str]) -> Result<Served, ExitStatus> {
        let words = ["--take-over"].iter().chain(more).map(OsString::from);
        self.start_under(&[], &words.collect::<Vec<_>>()).await
    }

    /// Starts it as a service manager does that has opened its socket, and has set these variables
    /// as well; the process that it is for is called `$$` in them.
    pub async fn start_activated(
        &self,
        socket: impl Into<OwnedFd>,
        variables: &str,
        more: &[&str],
    ) -> Result<Served, ExitStatus> {
        let script = format!("exec 3<&0 0</dev/null; {variables} exec \"$@\"");
        let shell = ["sh", "-c", &script, "sh"].map(OsString::from);
        let more: Vec<_> = more.iter().map(OsString::from).collect();
        self.begin(self.serve(&shell, &more).stdin(socket.into())).await
    }

    /// Starts it as a user of its own, whom the folder belongs to from then on. Only root can do so.
    pub async fn start_as_nobody(&self) -> Served {
        let program = self.home.path().join("ostiary");
        std::fs::copy(&self.program, &program).unwrap();
        std::os::unix::fs::chown(self.home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = self.serve_by(Command::new(program), &[]);
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        self.begin(&mut command).await.unwrap()
    }

    fn serve(&self, tracer: &[OsString], more: &[OsString]) -> Command {
        let mut words = tracer.iter().cloned().chain([self.program.clone().into()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        self.serve_by(command, more)
    }

    fn serve_by(&self, mut command: Command, more: &[OsString]) -> Command {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(self.data()).args(more);
        self.surround(&mut command);
        command
    }

    async fn begin(&self, command: &mut Command) -> Result<Served, ExitStatus> {
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let said = std::fs::OpenOptions::new().create(true).append(true).open(self.said());
        command.stderr(said.unwrap());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        loop {
            let line = within("the gateway's first lines", lines.next_line()).await.unwrap();
            let Some(line) = line else {
                return Err(within("its end", process.wait()).await.unwrap());
            };
            if let Some(token) = line.strip_prefix("admin token (shown once): ") {
                token.clone_into(&mut self.admin.lock().unwrap());
            }
            if let Some(url) = line.strip_prefix("listening on http://") {
                let address: SocketAddr = url.parse().unwrap();
                let admin = self.admin.lock().unwrap().clone();
                let line = tokio::sync::Mutex::new(Line::to(address));
                return Ok(Served { address, process, _lines: lines, line, admin });
            }
        }
    }

    /// Runs another command of the binary to its end: its exit code, and what it printed.
    pub async fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(binary());
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        self.surround(&mut command);
        let output = within(args[0], command.output()).await.unwrap();
        let text = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        (output.status.code(), text.join("\n"))
    }

    /// Runs a command of the binary that asks this gateway, as its administrator.
    pub async fn command(&self, served: &Served, args: &[&str]) -> Ran {
        self.command_with(served, args, "").await
    }

    /// The same with something on its standard input.
    pub async fn command_with(&self, served: &Served, args: &[&str], input: &str) -> Ran {
        let mut command = Command::new(binary());
        command.args(args).kill_on_drop(true);
        self.surround(&mut command);
        command.env("OSTIARY_URL", format!("http://{}", served.address));
        command.env("OSTIARY_TOKEN", &served.admin).env_remove("OSTIARY_TOKEN_FILE");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdin = process.stdin.take().unwrap();
        let feed = async {
            // A command that does not read it may have ended.
            stdin.write_all(input.as_bytes()).await.ok();
            drop(stdin);
        };
        let (output, ()) = within(args[0], join(process.wait_with_output(), feed)).await;
        let output = output.unwrap();
        let [out, err] = [output.stdout, output.stderr]
            .map(|it| String::from_utf8(it).expect("commands print text"));
        Ran { code: output.status.code(), out, err }
    }

    /// What `ostiary audit verify` says of the data folder.
    pub async fn verify(&self) -> (Option<i32>, String) {
        self.run(&["audit", "verify", "--data", self.data().to_str().unwrap()]).await
    }

    /// Every record in its log, by workspace and then oldest first.
    pub fn records(&self) -> Vec<Kept> {
        archive::read(&self.data().join("log"))
    }

    /// What the segments of its log hold while the gateway runs: the latest records, oldest first.
    pub fn latest_records(&self) -> Vec<Record> {
        records::read(&self.data().join("log"))
    }

    /// Every record in its log without keeping them all, in no order, some of them twice.
    pub fn each_record(&self, mut take: impl FnMut(Kept)) {
        archive::each(&self.data().join("log"), &mut take);
    }

    /// What it has written to its standard error, in all of its lives.
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.said()).unwrap_or_default()
    }

    fn said(&self) -> PathBuf {
        self.home.path().join("stderr")
    }

    fn surround(&self, command: &mut Command) {
        command.env("OSTIARY_MASTER_KEY", KEY).env("OSTIARY_ALLOW_LOOPBACK_UPSTREAMS", "1");
        command.env("TMPDIR", self.home.path()).env("RUST_BACKTRACE", "1");
        command.env(CREDENTIAL.0, CREDENTIAL.1);
        match &self.database {
            Some(url) => command.env("OSTIARY_DATABASE_URL", url),
            None => command.env_remove("OSTIARY_DATABASE_URL"),
        };
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the gateway said: {}", self.words().trim());
        }
    }
}

impl Served {
    /// The secret of its first administrator.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The value of `Host` that names it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Asks the admin API. Paths that do not begin with `/` are in the workspace `default`.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_as(&self.admin, method, path, body).await
    }

    /// The same as whoever has this token.
    pub async fn ask_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let path = match path.strip_prefix('/') {
            Some(path) => format!("/api/v1/{path}"),
            None => format!("/api/v1/workspaces/default/{path}"),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.host())
            .header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Bytes::new, |it| it.to_string().into());
        let request = request.body(Full::new(body)).unwrap();
        let whole = self.line.lock().await.whole(request).await;
        let (status, body) = whole.expect("the admin API answers");
        Reply { status, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// Asks for something that a test takes for granted; the answer's body.
    pub async fn must(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let reply = self.ask(method, path, body).await;
        assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
        reply.body
    }

    /// A new token of an app.
    pub async fn token(&self, app: &str, name: &str) -> String {
        let made = serde_json::json!({"name": name});
        let made = self.must(Method::POST, &format!("apps/{app}/tokens"), Some(made)).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    /// What it says of itself at `/metrics`: the value of each line without labels.
    pub async fn metrics(&self) -> BTreeMap<String, u64> {
        let request = Request::builder().uri("/metrics").header("host", self.host());
        let request = request.header("authorization", format!("Bearer {}", self.admin));
        let request = request.body(Full::default()).unwrap();
        let (status, body) = self.line.lock().await.whole(request).await.expect("metrics");
        assert_eq!(status, 200);
        let text = String::from_utf8(body.to_vec()).unwrap();
        let rows = text.lines().filter_map(|it| it.split_once(' '));
        rows.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
    }

    /// The status that a page answers with.
    pub async fn page(&self, path: &str) -> u16 {
        let request = Request::builder().uri(path).header("host", self.host());
        let request = request.body(Full::default()).unwrap();
        self.line.lock().await.whole(request).await.expect("the page answers").0
    }

    /// Whether it says that it is ready. A probe on a thread that a stopped disk holds is let go like
    /// every client of that thread, and takes it for a no.
    pub async fn is_ready(&self) -> bool {
        let request = Request::builder().uri("/readyz").header("host", self.host());
        let request = request.body(Full::default()).unwrap();
        self.line.lock().await.whole(request).await.is_ok_and(|(status, _)| status == 200)
    }

    /// Tells it to stop; how it ended.
    pub async fn stop(mut self) -> ExitStatus {
        if let Some(pid) = self.pid() {
            // It may have ended of its own accord.
            kill_process(pid, Signal::TERM).ok();
        }
        within("the gateway's end", self.process.wait()).await.unwrap()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        within("the gateway's end", self.process.wait()).await.unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid().unwrap(), signal).unwrap();
    }

    /// Ends it as a crash does.
    pub async fn kill(mut self) {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::KILL).unwrap();
        }
        within("the gateway's end", self.process.wait()).await.unwrap();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// The process of the gateway itself.
    pub fn pid(&self) -> Option<Pid> {
        let own = self.process.id()?;
        let listed = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let child = listed.ok().and_then(|it| it.split_whitespace().next()?.parse().ok());
        let name = std::fs::read_to_string(format!("/proc/{own}/comm")).unwrap_or_default();
        let is_tracer = name.trim() == "strace";
        let pid = if is_tracer { child } else { i32::try_from(own).ok() };
        pid.and_then(Pid::from_raw)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A tracer that is killed lets go of what it has traced.
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// The binary under test.
pub fn binary() -> PathBuf {
    inside(from_environment("OSTIARY_BIN"))
}

/// An older one that it is tried with, as `make upgrade` does; otherwise the same one.
pub fn older_binary() -> PathBuf {
    std::env::var_os("OSTIARY_OLDER_BIN").map_or_else(binary, inside)
}

/// The master key of every installation here.
pub const KEY: &str = "yLk0fX0eQe3v2jA6mF1nC9uTqWzR4sVbPdGhJ7xK5oY=";
/// What documents may refer to as `env:`.
pub const CREDENTIAL: (&str, &str) = ("TEST_CREDENTIAL", "hunter2");
