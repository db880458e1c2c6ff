//! `ostiary record`: what has happened.

use std::process::ExitCode;
use std::time::Duration;

use chrono::NaiveDate;
use clap::{Args, Subcommand, value_parser};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

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
        #[command(flatten)]
        log: LogArgs,
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
        #[command(flatten)]
        log: LogArgs,
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
    /// Makes what was recorded on a day unreadable, for good and on all replicas. Records and their
    /// proofs stay.
    #[command(after_help = "Example:\n  ostiary record erase 2026-11-20 --yes")]
    Erase {
        /// The day, in UTC, as 2026-11-20.
        day: NaiveDate,
        /// Does it: nobody can undo it.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// The newest checkpoint of the workspace's log. Kept elsewhere, it shows later whether the log has
    /// been continued: `ostiary audit verify --known`.
    #[command(after_help = "Example:\n  ostiary record checkpoint > monday.checkpoint")]
    Checkpoint {
        #[command(flatten)]
        remote: Remote,
    },
    /// The proof that a record is in the log, for `ostiary audit verify --proof`.
    #[command(after_help = "Example:\n  ostiary record proof 17 > 17.tlog-proof")]
    Proof {
        /// The record's place in the log.
        index: u64,
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Which log is meant, where it is not that of the workspace.
#[derive(Args)]
pub(crate) struct LogArgs {
    /// That of the installation: acts on workspaces and admin tokens.
    #[arg(long, conflicts_with = "of")]
    installation: bool,
    /// That of a workspace that may have been deleted, by its id; for administrators of the
    /// installation.
    #[arg(long, value_name = "ID")]
    of: Option<Uuid>,
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
        RecordCommand::List { last, log, json, remote } => {
            let path = log.path("");
            let items = Value::Array(converse(newest(remote, &path, *last))?);
            if *json {
                print::line(items);
            } else {
                print::table(COLUMNS, &items);
            }
        }
        RecordCommand::Follow { remote } => converse(follow(remote))?,
        RecordCommand::Show { index, log, json, remote } => {
            let path = log.path(&format!("/{index}"));
            let record = converse(remote.ask(Method::GET, &path, Content::Nothing))?;
            if *json { print::line(record) } else { show(&record) }
        }
        RecordCommand::Erase { day, log, remote, .. } => {
            let path = log.path(&format!("/content/{day}"));
            converse(remote.send(Method::DELETE, &path, Content::Nothing))?;
            print::line(format_args!("what was recorded on {day} is unreadable from now on"));
        }
        RecordCommand::Checkpoint { remote } => {
            let path = "/records/checkpoint";
            let head = converse(remote.ask(Method::GET, path, Content::Nothing))?;
            let text = head.get("checkpoint").and_then(Value::as_str).unwrap_or_default();
            print::line(text.trim_end());
        }
        RecordCommand::Proof { index, log, remote } => {
            let path = log.path(&format!("/{index}/proof"));
            let proof = converse(remote.send(Method::GET, &path, Content::Nothing))?;
            print::line(proof.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl LogArgs {
    fn path(&self, rest: &str) -> String {
        match self.of {
            Some(id) => format!("{ABOVE}/records{rest}?workspace={id}"),
            None if self.installation => format!("{ABOVE}/records{rest}"),
            None => format!("/records{rest}"),
        }
    }
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
