//! `ostiary record`: what has happened.

use std::process::ExitCode;

use clap::{Subcommand, value_parser};
use reqwest::Method;
use serde_json::Value;

use super::converse;
use super::remote::{Content, Remote};
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

/// More than this of one event is not from a gateway.
const LINE_BYTES: usize = 1024 * 1024;

/// Runs a command to its end.
pub(crate) fn run(command: &RecordCommand) -> Result<ExitCode, Failure> {
    match command {
        RecordCommand::List { last, json, remote } => {
            let items = Value::Array(converse(newest(remote, *last))?);
            if *json {
                print::line(items);
            } else {
                print::table(COLUMNS, &items);
            }
        }
        RecordCommand::Follow { remote } => converse(follow(remote))?,
        RecordCommand::Proof { index, remote } => {
            let path = format!("/records/{index}/proof");
            let proof = converse(remote.send(Method::GET, &path, Content::Nothing))?;
            print::line(proof.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn newest(remote: &Remote, last: u32) -> Result<Vec<Value>, Failure> {
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    remote.list_until("/records", last).await
}

/// A gateway ends a stream after a while, so that whoever follows it proves again who they are.
async fn follow(remote: &Remote) -> Result<(), Failure> {
    loop {
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
    }
}
