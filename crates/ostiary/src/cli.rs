//! The command line.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dev;
use crate::failure::Failure;

/// A self-hosted MCP gateway: who is calling, what is allowed, what flows, and the proof of it.
#[derive(Parser)]
#[command(name = "ostiary", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Put one MCP server behind the full pipeline, for development, on loopback.
    Dev(DevArgs),
    /// Becomes a managed server's command under limits.
    #[command(hide = true)]
    LaunchChild(LaunchArgs),
}

#[derive(Args)]
pub(crate) struct DevArgs {
    /// The server's Streamable HTTP URL.
    #[arg(long, conflicts_with = "command", required_unless_present = "command")]
    pub(crate) upstream: Option<String>,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Which protocol era to speak to the server.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) era: EraArg,
    /// A server that speaks on its standard streams.
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum EraArg {
    #[default]
    Auto,
    Modern,
    Legacy,
}

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct LaunchArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Dev(args) => dev::run(args),
        Command::LaunchChild(args) => Err(Failure::other(proxy::wire::launch(&args.rest))),
    }
}

impl From<EraArg> for domain::EraSetting {
    fn from(arg: EraArg) -> Self {
        match arg {
            EraArg::Auto => Self::Auto,
            EraArg::Modern => Self::Modern,
            EraArg::Legacy => Self::Legacy,
        }
    }
}
