//! `ostiary completions` and `ostiary man`: the grammar of the command line, for shells and for
//! `man`.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::print;

/// The shells that are known.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ShellArg {
    Bash,
    Fish,
    Zsh,
}

/// Prints a script that completes commands, options and their values.
pub(crate) fn completions(shell: ShellArg) -> ExitCode {
    let shell = match shell {
        ShellArg::Bash => Shell::Bash,
        ShellArg::Fish => Shell::Fish,
        ShellArg::Zsh => Shell::Zsh,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "ostiary", &mut script);
    print::line(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Writes a page for `man` for each command into a folder.
pub(crate) fn man(folder: &Path) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::other)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(Failure::other)?;
    Ok(ExitCode::SUCCESS)
}
