//! `ostiary audit verify`: is the log what it was? Offline, and by whoever has the files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check a log, or one proof; exit code 8 and the first bad index where it does not hold.
    Verify(VerifyArgs),
}

#[derive(Args)]
#[group(required = true, multiple = false, id = "what")]
pub(crate) struct VerifyArgs {
    /// A data folder.
    #[arg(long, group = "what")]
    data: Option<PathBuf>,
    /// A proof file.
    #[arg(long, group = "what")]
    proof: Option<PathBuf>,
    /// The log's public key, as `name+hash+key`; for a data folder the one that lies in it where
    /// absent.
    #[arg(long)]
    key: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end.
pub(crate) fn run(command: &AuditCommand) -> Result<ExitCode, Failure> {
    let AuditCommand::Verify(_) = command;
    Err(Failure::Other(String::new()))
}
