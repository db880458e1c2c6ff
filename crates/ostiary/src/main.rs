//! The one binary: configuration, wiring, subcommands.

mod accept;
mod cli;
mod clock;
mod dev;
mod failure;
mod plane;
mod print;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return print::usage(&error),
    };
    match cli::run(command) {
        Ok(code) => code,
        Err(failure) => print::failure(&failure),
    }
}
