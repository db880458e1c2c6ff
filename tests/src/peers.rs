//! Servers and clients that others wrote; `tests/peers/README.md` describes them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::wait::within;

/// A server of ours or of others that listens on a URL. Ends with this value.
pub struct Peer {
    pub url: String,
    _process: Child,
    /// Reads what it says after its first line, so that it can go on speaking.
    _listener: JoinSet<()>,
}

impl Peer {
    /// Starts one of our servers, which say on their first line where they listen.
    pub async fn listening(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new(bin(name));
        command.args(args).env("PORT", "0").stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(Stdio::null()).stdin(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within("a peer's first line", lines.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("{name} ended at once"));
        let url = line.split_once("listening on ").unwrap_or_else(|| panic!("{name}: {line}")).1;
        Self { url: url.trim().to_owned(), _process: process, _listener: JoinSet::new() }
    }

    /// Starts the reference server.
    pub async fn everything() -> Self {
        Self::everything_over("streamableHttp", "mcp").await
    }

    /// The same on the transport of 2024-11-05.
    pub async fn everything_over_sse() -> Self {
        Self::everything_over("sse", "sse").await
    }

    /// It must be told its port.
    async fn everything_over(transport: &str, path: &str) -> Self {
        loop {
            let port = crate::port::free();
            let mut command = Command::new(bin("server-everything"));
            command.arg(transport).env("PORT", port.to_string()).kill_on_drop(true);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
            let is_ready = |line: &str| line.ends_with(&format!("on port {port}"));
            let ready = async {
                // One of its transports has something to say before.
                while let Ok(Some(line)) = lines.next_line().await {
                    if is_ready(&line) {
                        return true;
                    }
                }
                false
            };
            if !within("a peer's first line", ready).await {
                // Somebody else has taken the port in the meantime.
                continue;
            }
            let mut listener = JoinSet::new();
            listener.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            let url = format!("http://127.0.0.1:{port}/{path}");
            return Self { url, _process: process, _listener: listener };
        }
    }
}

/// Runs a client to its end; the one line of JSON that it prints.
pub async fn run_client(name: &str, args: &[&str]) -> Value {
    run_client_with(name, args, &[]).await
}

/// The same with these variables in its environment.
pub async fn run_client_with(name: &str, args: &[&str], set: &[(&str, &str)]) -> Value {
    let mut command = Command::new(bin(name));
    command.envs(set.iter().copied());
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = within(name, command.output()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{name} {args:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// The program of that name in `$OSTIARY_PEERS/bin`.
///
/// # Panics
/// If it is not there: a test never passes over a missing peer.
pub fn bin(name: &str) -> PathBuf {
    let folder = from_environment("OSTIARY_PEERS");
    let path = std::path::absolute(inside(folder)).unwrap().join("bin").join(name);
    assert!(path.exists(), "{} is missing: `make test` installs it", path.display());
    path
}

/// A variable that `scripts/test.sh` sets.
pub(crate) fn from_environment(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `make test`"))
}

/// A path as it was meant where the tests were started: tests run in their own crate's folder.
pub(crate) fn inside(path: impl Into<PathBuf>) -> PathBuf {
    let path = path.into();
    if path.is_absolute() {
        return path;
    }
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
