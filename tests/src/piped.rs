//! `ostiary bridge`, and a client on its standard streams.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::gateway::peak_memory;
use crate::serve::binary;
use crate::wait::within;

/// A running bridge. Ends with this value.
pub struct Piped {
    process: Child,
    input: Option<ChildStdin>,
    output: Option<Lines<BufReader<ChildStdout>>>,
    home: TempDir,
}

impl Piped {
    /// A bridge to a gateway that asks for no token.
    pub fn to(url: &str) -> Self {
        Self::with(url, &[], &[])
    }

    /// One with this token.
    pub fn with_token(url: &str, token: &str) -> Self {
        Self::with(url, &[], &[("OSTIARY_TOKEN", token)])
    }

    /// With more words on its command line, and these variables in its environment.
    pub fn with(url: &str, words: &[&str], set: &[(&str, &str)]) -> Self {
        let home = TempDir::with_prefix("ostiary-test-").unwrap();
        let mut command = Command::new(binary());
        command.arg("bridge").arg(url).args(words);
        command.env_remove("OSTIARY_TOKEN").env_remove("OSTIARY_TOKEN_FILE");
        command.env("RUST_BACKTRACE", "1").envs(set.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(std::fs::File::create(home.path().join("stderr")).unwrap());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        let output = Some(BufReader::new(process.stdout.take().unwrap()).lines());
        Self { process, input, output, home }
    }

    /// Writes a line.
    pub async fn line(&mut self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes()).await;
    }

    /// Writes any bytes.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        within("the bridge reads", input.write_all(bytes)).await.unwrap();
        within("the bridge reads", input.flush()).await.unwrap();
    }

    /// Writes a legacy request, whose id and params are raw JSON.
    pub async fn ask(&mut self, id: &str, method: &str, params: &str) {
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.line(&line).await;
    }

    /// Writes a modern request; these are the members of its params, but for `_meta`.
    pub async fn ask_modern(&mut self, id: &str, method: &str, members: &str) {
        let comma = if members.is_empty() { "" } else { "," };
        self.ask(id, method, &format!("{{{MODERN}{comma}{members}}}")).await;
    }

    /// Writes a notification.
    pub async fn tell(&mut self, method: &str, params: &str) {
        let line = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        self.line(&line).await;
    }

    /// Opens the client's session; the result.
    pub async fn hello(&mut self, revision: &str, capabilities: &str) -> Value {
        let info = r#"{"name":"a test","version":"1"}"#;
        let params = format!(
            r#"{{"protocolVersion":"{revision}","capabilities":{capabilities},"clientInfo":{info}}}"#
        );
        self.ask("\"hello\"", "initialize", &params).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], "hello", "{answer}");
        self.tell("notifications/initialized", "{}").await;
        answer["result"].clone()
    }

    /// The next line, as it is written; nothing at the end.
    pub async fn raw(&mut self) -> Option<String> {
        let output = self.output.as_mut().expect("it is open");
        within("a line of the bridge", output.next_line()).await.unwrap()
    }

    /// The next message.
    ///
    /// # Panics
    /// If there is none, or what is there is no message.
    pub async fn next(&mut self) -> Value {
        let line = self.raw().await.unwrap_or_else(|| panic!("it has ended: {}", self.words()));
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    /// Says no more.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Reads no more.
    pub fn close_output(&mut self) {
        self.output = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|it| Pid::from_raw(it.try_into().unwrap()));
        kill_process(pid.expect("it runs"), signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        within("the bridge's end", self.process.wait()).await.unwrap()
    }

    /// What it has written to its standard error.
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.home.path().join("stderr")).unwrap_or_default()
    }

    /// The most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.process.id().expect("it runs"))
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the bridge said: {}", self.words().trim());
        }
    }
}

/// The code and text of an error.
///
/// # Panics
/// If it is none.
pub fn error(message: &Value) -> (i64, &str) {
    let error = &message["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("{message}"));
    (code, error["message"].as_str().unwrap())
}

/// An error's reason.
pub fn reason(message: &Value) -> Value {
    json!([message["error"]["code"], message["error"]["data"]["reason"]])
}

/// What stands first in the params of a modern request.
pub const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
