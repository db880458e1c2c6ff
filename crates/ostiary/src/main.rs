//! The one binary: configuration, wiring, subcommands.

mod activation;
mod bridge;
mod cli;
mod clock;
mod commands;
mod config;
mod console;
mod counters;
mod dev;
mod door;
mod entrance;
mod failure;
mod handover;
mod keys;
mod metrics;
mod notice;
mod nouns;
mod pages;
mod plane;
mod print;
mod serve;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return print::usage(&error),
    };
    print::start_logging();
    match cli::run(command) {
        Ok(code) => code,
        Err(failure) => print::failure(&failure),
    }
}
