//! `ostiary cutoff` and `ostiary restore`: off at once, and on again.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{Content, Remote};
use super::replicas::confirmed;
use super::{converse, duration};
use crate::failure::Failure;
use crate::print;

/// What can be turned off.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    App,
    Assignment,
    Connection,
    Gateway,
    Identity,
    Server,
    Tool,
    User,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct CutoffArgs {
    #[command(subcommand)]
    command: Option<CutoffCommand>,
    #[command(flatten)]
    cut: Option<Cut>,
}

#[derive(Subcommand)]
enum CutoffCommand {
    /// Everything that is off.
    #[command(after_help = "Example:\n  ostiary cutoff list")]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

// What is flattened into it keeps its own arguments from telling that it is there.
#[derive(Args)]
#[group(args = ["kind", "name"])]
struct Cut {
    kind: Kind,
    /// Its name; for an assignment `gateway/alias`, a connection `app/gateway`, a tool
    /// `server/tool`.
    name: String,
    /// Turn it on again by itself after, say, 15m, 12h or 30d.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Shown to whoever is stopped by it.
    #[arg(long)]
    reason: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct RestoreArgs {
    kind: Kind,
    /// As for `cutoff`.
    name: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct DrillArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Returns when nothing more passes anywhere; exit code 7 where not every replica has confirmed.
pub(crate) fn cutoff(args: &CutoffArgs) -> Result<ExitCode, Failure> {
    match (&args.command, &args.cut) {
        (Some(CutoffCommand::List { json, remote }), _) => list(remote, *json),
        (None, Some(cut)) => turn_off(cut),
        (None, None) => Err(Failure::Usage("say what to turn off: see --help".to_owned())),
    }
}

fn list(remote: &Remote, as_json: bool) -> Result<ExitCode, Failure> {
    let items = Value::Array(converse(remote.list("/cutoffs"))?);
    if as_json {
        print::line(items);
    } else {
        print::table(&["kind", "name", "since", "until", "reason"], &items);
    }
    Ok(ExitCode::SUCCESS)
}

fn turn_off(args: &Cut) -> Result<ExitCode, Failure> {
    let body = json!({
        "kind": args.kind.word(),
        "name": args.name,
        "seconds": args.limit.map(|it| it.as_secs()),
        "reason": args.reason,
    });
    let held = converse(args.remote.ask(Method::POST, "/cutoffs", Content::Json(body)))?;
    let (replicas, is_complete) = confirmed(&held);
    if args.json {
        print::line(&held);
    } else {
        let number = |key: &str| held.get(key).and_then(Value::as_f64).unwrap_or_default();
        print::line(format_args!(
            "{} `{}` is off on {replicas} after {:.1} ms; {} calls and streams were ended",
            args.kind.word(),
            args.name,
            number("elapsed_ms"),
            number("ended"),
        ));
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { 7.into() })
}

/// Undoes a cut-off.
pub(crate) fn restore(args: &RestoreArgs) -> Result<ExitCode, Failure> {
    let body = json!({"kind": args.kind.word(), "name": args.name});
    let done = converse(args.remote.ask(Method::POST, "/restores", Content::Json(body)))?;
    if args.json {
        print::line(&done);
    } else {
        print::line(format_args!("{} `{}` is on", args.kind.word(), args.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit code 7, too, where not every replica has confirmed it.
pub(crate) fn drill(args: &DrillArgs) -> Result<ExitCode, Failure> {
    let drill = converse(args.remote.ask(Method::POST, "/drills", Content::Nothing))?;
    let (replicas, is_complete) = confirmed(&drill);
    if args.json {
        print::line(&drill);
    } else {
        let millis = |key: &str| drill.get(key).and_then(Value::as_f64).unwrap_or_default();
        print::line(format_args!(
            "A cut-off holds on {replicas} after {:.1} ms, and was undone after {:.1} ms; nobody was stopped",
            millis("elapsed_ms"),
            millis("restored_ms"),
        ));
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { 7.into() })
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Assignment => "assignment",
            Self::Connection => "connection",
            Self::Gateway => "gateway",
            Self::Identity => "identity",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::User => "user",
        }
    }
}
