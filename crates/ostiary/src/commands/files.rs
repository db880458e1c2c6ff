//! `ostiary apply`, `diff` and `export`: configuration as files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::converse;
use super::remote::{Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
pub(crate) struct FileArgs {
    /// A declarative file; `-` reads standard input.
    #[arg(short = 'f', long = "file")]
    file: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Applies a file: all of it, or nothing.
pub(crate) fn apply(args: &FileArgs) -> Result<ExitCode, Failure> {
    let text = read(args)?;
    let done = converse(args.remote.ask(Method::POST, "/apply", Content::Text(text)))?;
    show(args, &done);
    Ok(ExitCode::SUCCESS)
}

/// Shows what applying a file would change; exit code 6 where it would.
pub(crate) fn diff(args: &FileArgs) -> Result<ExitCode, Failure> {
    let text = read(args)?;
    let found = converse(args.remote.ask(Method::POST, "/diff", Content::Text(text)))?;
    show(args, &found);
    let same = items(&found).as_array().is_none_or(Vec::is_empty);
    Ok(if same { ExitCode::SUCCESS } else { 6.into() })
}

/// Prints the workspace as a declarative file.
pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let text = converse(args.remote.send(Method::GET, "/export", Content::Nothing))?;
    print::line(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn read(args: &FileArgs) -> Result<String, Failure> {
    let text = if args.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(&args.file)
    };
    text.map_err(|error| Failure::Other(format!("cannot read `{}`: {error}", args.file.display())))
}

fn show(args: &FileArgs, found: &Value) {
    if args.json {
        print::line(found);
    } else {
        print::table(&["kind", "name", "action"], &items(found));
    }
}

fn items(found: &Value) -> Value {
    found.get("items").cloned().unwrap_or_default()
}
