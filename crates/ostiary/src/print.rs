//! The one place that writes to standard output and standard error.

#![expect(clippy::print_stdout, reason = "this is where the CLI prints")]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use crate::failure::Failure;

/// One line of a command's result, at once, since another program may wait for it.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
    std::io::stdout().flush().ok();
}

/// A word beside the result.
pub(crate) fn aside(text: impl Display) {
    eprintln!("{text}");
}

/// Why a command did not work.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    eprintln!("ostiary: {failure}");
    failure.code()
}

/// Help, version, or what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    error.print().ok();
    if error.use_stderr() { 2.into() } else { ExitCode::SUCCESS }
}
