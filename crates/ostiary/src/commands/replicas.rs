//! `ostiary replicas`: the processes that serve an installation together.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::converse;
use super::remote::Remote;
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
pub(crate) struct ReplicasArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Shows them.
pub(crate) fn list(args: &ReplicasArgs) -> Result<ExitCode, Failure> {
    let items = Value::Array(converse(args.remote.list("/replicas"))?);
    if args.json {
        print::line(&items);
    } else {
        let columns = ["name", "version", "live", "started_at", "seen_at", "behind"];
        print::table(&columns, &items);
    }
    Ok(ExitCode::SUCCESS)
}

/// On how many of them a change holds, and on which it has not been confirmed.
pub(crate) fn confirmed(change: &Value) -> (String, bool) {
    let replicas = change.get("replicas").unwrap_or(&Value::Null);
    let number = |key: &str| replicas.get(key).and_then(Value::as_u64).unwrap_or_default();
    let names = |key: &str| {
        let names = replicas.get(key).and_then(Value::as_array);
        let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
        Some(names.join(", ")).filter(|it| !it.is_empty())
    };
    let (live, acknowledged) = (number("live"), number("acknowledged"));
    let mut text = format!("{acknowledged}/{live} replicas");
    if let Some(names) = names("waited_out") {
        text.push_str(&format!(" (waited out: {names})"));
    }
    if let Some(names) = names("unconfirmed") {
        text.push_str(&format!(" (NOT CONFIRMED, since the gateway was stopped: {names})"));
    }
    (text, 0 < live && acknowledged == live)
}
