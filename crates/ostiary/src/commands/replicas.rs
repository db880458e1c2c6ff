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
    let names = replicas.get("waited_out").and_then(Value::as_array);
    let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let (live, acknowledged) = (number("live"), number("acknowledged"));
    let mut text = format!("{acknowledged}/{live} replicas");
    if !names.is_empty() {
        text.push_str(&format!(" (waited out: {})", names.join(", ")));
    }
    (text, 0 < live && acknowledged == live)
}
