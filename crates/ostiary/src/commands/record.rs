//! `ostiary record`: what has happened.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, value_parser};
use reqwest::Method;
use serde_json::Value;

use super::converse;
use super::remote::{ABOVE, Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Subcommand)]
pub(crate) enum RecordCommand {
    /// The newest records, newest first.
    #[command(after_help = "Example:\n  ostiary record list --last 20")]
    List {
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=100_000))]
        last: u32,
        /// Those of the installation: acts on workspaces and admin tokens.
        #[arg(long)]
        installation: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// One record; of an administrative act with what it has changed.
    #[command(after_help = "Example:\n  ostiary record show 17")]
    Show {
        /// The record's place in the log.
        index: u64,
        /// In the log of the installation.
        #[arg(long)]
        installation: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Records as they are written, as JSON, a line each, until interrupted.
    #[command(after_help = "Example:\n  ostiary record follow | jq .record")]
    Follow {
        #[command(flatten)]
        remote: Remote,
    },
    /// The proof that a record is in the log, for `ostiary audit verify --proof`.
    #[command(after_help = "Example:\n  ostiary record proof 17 > 17.tlog-proof")]
    Proof {
        /// The record's place in the log.
        index: u64,
        /// In the log of the installation.
        #[arg(long)]
        installation: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

/// What calls and acts of administrators have in common comes first.
const COLUMNS: &[&str] = &[
    "index",
    "time",
    "kind",
    "record/actor",
    "record/action",
    "record/app",
    "record/tool",
    "record/end",
];

/// How much time is between two streams at least.
const PAUSE: Duration = Duration::from_secs(1);

/// More than this of one event is not from a gateway.
const LINE_BYTES: usize = 1024 * 1024;

/// Runs a command to its end.
pub(crate) fn run(command: &RecordCommand) -> Result<ExitCode, Failure> {
    match command {
        RecordCommand::List { last, installation, json, remote } => {
            let path = path(*installation, "");
            let items = Value::Array(converse(newest(remote, &path, *last))?);
            if *json {
                print::line(items);
            } else {
                print::table(COLUMNS, &items);
            }
        }
        RecordCommand::Follow { remote } => converse(follow(remote))?,
        RecordCommand::Show { index, installation, json, remote } => {
            let path = path(*installation, &format!("/{index}"));
            let record = converse(remote.ask(Method::GET, &path, Content::Nothing))?;
            if *json { print::line(record) } else { show(&record) }
        }
        RecordCommand::Proof { index, installation, remote } => {
            let path = path(*installation, &format!("/{index}/proof"));
            let proof = converse(remote.send(Method::GET, &path, Content::Nothing))?;
            print::line(proof.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(installation: bool, rest: &str) -> String {
    let above = if installation { ABOVE } else { "" };
    format!("{above}/records{rest}")
}

async fn newest(remote: &Remote, path: &str, last: u32) -> Result<Vec<Value>, Failure> {
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    remote.list_until(path, last).await
}

/// The members of a record, a line each, and what an act has changed below them.
fn show(record: &Value) {
    let members = |it: Option<&Value>| it.and_then(Value::as_object).cloned().unwrap_or_default();
    for key in ["index", "time", "kind"] {
        print::line(format_args!("{key}: {}", print::cell(record.get(key))));
    }
    for (key, value) in members(record.get("record")) {
        print::line(format_args!("{}: {}", print::plain(&key), print::cell(Some(&value))));
    }
    match record.get("content").and_then(Value::as_str) {
        None | Some("none") => return,
        Some("kept") => {}
        Some(other) => print::line(format_args!("what it has changed is {other}")),
    }
    let deed = members(record.get("deed"));
    for change in deed.get("changes").and_then(Value::as_array).into_iter().flatten() {
        print::change(change);
    }
    if deed.get("is_cut") == Some(&Value::Bool(true)) {
        print::line("(something was too large to be kept)");
    }
}

/// A gateway ends a stream after a while, so that whoever follows it proves again who they are.
async fn follow(remote: &Remote) -> Result<(), Failure> {
    loop {
        // One that ends at once is not opened at once.
        let soonest = tokio::time::Instant::now() + PAUSE;
        let mut response = remote.open("/records/stream").await?;
        let mut rest = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(Failure::other)? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if let Some(data) = line.strip_prefix("data:") {
                    print::line(data.trim());
                }
            }
            if LINE_BYTES < rest.len() {
                return Err(Failure::Other("the gateway sends no records".to_owned()));
            }
        }
        tokio::time::sleep_until(soonest).await;
    }
}
