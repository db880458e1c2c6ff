//! `ostiary keys`: the master key.

use std::process::ExitCode;

use clap::Subcommand;
use vault::MasterKey;

use crate::failure::Failure;
use crate::print;

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Print a new master key, alone on standard output. Keep it: nothing opens without it.
    Generate,
}

/// Runs a command to its end.
pub(crate) fn run(command: &KeysCommand) -> Result<ExitCode, Failure> {
    match command {
        KeysCommand::Generate => {
            let key = MasterKey::generate().map_err(Failure::other)?.to_base64();
            let text = key.expose_text().unwrap_or_default();
            print::line(text);
            Ok(ExitCode::SUCCESS)
        }
    }
}
