//! `ostiary audit verify`: is the log what it was? Offline, and by whoever has the files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use audit::{Check, Report, VerifierKey, WorkspaceReport};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::print;

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check a log, or one proof; exit code 8 and the first bad index where it does not hold.
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// A data folder.
    #[arg(long, conflicts_with = "proof", required_unless_present = "proof")]
    data: Option<PathBuf>,
    /// A proof file.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// The log's public key, as `name+hash+key`, from somewhere else than the data folder. Where
    /// absent the key in the data folder is taken, which proves nothing against whoever could
    /// have replaced both.
    #[arg(long, required_unless_present = "data")]
    key: Option<String>,
    /// A checkpoint seen elsewhere, which the log must continue.
    #[arg(long)]
    known: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// The name of the public key's file in a data folder.
pub(crate) const KEY_FILE: &str = "log.key";

/// A log that does not hold.
const DOES_NOT_HOLD: u8 = 8;

/// Runs a command to its end.
pub(crate) fn run(command: &AuditCommand) -> Result<ExitCode, Failure> {
    let AuditCommand::Verify(args) = command;
    let keys = [key(args)?];
    match (&args.proof, &args.data) {
        (Some(path), _) => proof(path, &keys, args.json),
        (None, Some(data)) => log(data, &keys, args),
        (None, None) => Err(Failure::Other("give --data or --proof".to_owned())),
    }
}

fn key(args: &VerifyArgs) -> Result<VerifierKey, Failure> {
    let text = match (&args.key, &args.data) {
        (Some(key), _) => key.clone(),
        (None, Some(data)) => read(&data.join(KEY_FILE))?,
        (None, None) => String::new(),
    };
    text.trim().parse().map_err(Failure::other)
}

fn proof(path: &Path, keys: &[VerifierKey], as_json: bool) -> Result<ExitCode, Failure> {
    match audit::verify_proof(&read(path)?, keys) {
        Ok(proven) if as_json => print::line(json!({"holds": true, "index": proven.index})),
        Ok(proven) => print::line(format_args!("the proof holds: entry {}", proven.index)),
        Err(error) => {
            if as_json {
                print::line(json!({"holds": false, "why": error.to_string()}));
            } else {
                print::line(format_args!("the proof does not hold: {error}"));
            }
            return Ok(DOES_NOT_HOLD.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn log(data: &Path, keys: &[VerifierKey], args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let known: Result<Vec<String>, Failure> = args.known.iter().map(|it| read(it)).collect();
    let (dir, content) = (data.join("log"), data.join("content"));
    let report = audit::verify(&Check {
        dir: Some(&dir),
        keys,
        known: &known?,
        content: Some(&content),
        data_keys: None,
    });
    let report = report.map_err(Failure::other)?;
    if args.json {
        print::line(as_json(&report));
    } else {
        show(&report);
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { DOES_NOT_HOLD.into() })
}

fn show(report: &Report) {
    for it in &report.workspaces {
        print::line(format_args!(
            "workspace {}: {} entries, root {}; {} calls with their outcome, {} whose outcome is \
             unknown, {} records not yet under a checkpoint",
            it.workspace,
            it.size,
            root(it),
            it.outcomes,
            it.outcomes_unknown,
            it.unsequenced,
        ));
    }
    for it in &report.problems {
        let at = it.index.map(|it| format!(" at index {it}")).unwrap_or_default();
        print::line(format_args!("does not hold{at}: {}", it.what));
    }
    if report.problems.is_empty() {
        print::line("everything holds");
    }
}

fn as_json(report: &Report) -> Value {
    let workspaces: Vec<Value> = report
        .workspaces
        .iter()
        .map(|it| {
            json!({
                "workspace": it.workspace, "size": it.size, "root": root(it),
                "intents": it.intents, "outcomes": it.outcomes,
                "outcomes_unknown": it.outcomes_unknown, "unsequenced": it.unsequenced,
                "others": it.others, "content_sound": it.content.sound,
                "content_erased": it.content.erased,
            })
        })
        .collect();
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|it| json!({"workspace": it.workspace, "index": it.index, "what": it.what}))
        .collect();
    json!({"holds": problems.is_empty(), "workspaces": workspaces, "problems": problems})
}

fn root(report: &WorkspaceReport) -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::STANDARD.encode(report.root)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Other(format!("cannot read `{}`: {error}", path.display())))
}
