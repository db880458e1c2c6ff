//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bridge::{self, BridgeArgs};
use crate::commands::audit::{self, AuditCommand};
use crate::commands::call::{self, CallArgs};
use crate::commands::files::{self, ApplyArgs, ExportArgs, FileArgs};
use crate::commands::pin::{self, PinCommand};
use crate::commands::record::{self, RecordCommand};
use crate::commands::replicas::{self, ReplicasArgs};
use crate::commands::series::{self, SeriesArgs};
use crate::commands::shell::ShellArg;
use crate::commands::switch::{self, CutoffArgs, DrillArgs, RestoreArgs};
use crate::commands::why::{self, WhyArgs};
use crate::commands::{shell, token};
use crate::dev;
use crate::failure::Failure;
use crate::keys::{self, KeysCommand};
use crate::nouns;
use crate::print;
use crate::serve;

/// A self-hosted MCP gateway: who is calling, what is allowed, what flows, and the proof of it.
#[derive(Parser)]
#[command(name = "ostiary", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Serve(ServeArgs),
    /// Put one MCP server behind the full pipeline, for development, on loopback.
    Dev(DevArgs),
    /// Let an MCP client that speaks on its standard streams use a gateway.
    Bridge(BridgeArgs),
    /// Turn something off at once, everywhere.
    Cutoff(CutoffArgs),
    /// Turn something on again.
    Restore(RestoreArgs),
    /// Try a cut-off on something that nobody uses: how long it takes, and who confirms it.
    #[command(after_help = "Example:\n  ostiary drill")]
    Drill(DrillArgs),
    /// The processes that serve the installation together.
    Replicas(ReplicasArgs),
    /// What servers under review list, and what is approved of it.
    #[command(subcommand)]
    Pin(PinCommand),
    #[command(flatten)]
    Noun(nouns::Asked),
    /// What has happened.
    #[command(subcommand)]
    Record(RecordCommand),
    /// What has been called, and how it went, over time.
    Series(SeriesArgs),
    /// Why somebody can or cannot call something or administer something.
    Why(WhyArgs),
    /// Call a tool in the place of an app, and show what was decided on the way.
    Call(CallArgs),
    /// Make the workspace as a declarative file says: all of it, or nothing.
    Apply(ApplyArgs),
    /// Show what applying a file would change.
    Diff(FileArgs),
    /// Print the workspace as a declarative file.
    Export(ExportArgs),
    /// Print the JSON schema of declarative files.
    Schema,
    /// Make another admin token for a gateway that does not run.
    AdminToken(AdminTokenArgs),
    /// The tamper-evident log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The master key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell that will read it.
        shell: ShellArg,
    },
    /// Write pages for `man`, one for each command.
    Man {
        /// The folder that they go into.
        #[arg(long)]
        out: PathBuf,
    },
    /// Becomes a managed server's command under limits.
    #[command(hide = true)]
    LaunchChild(LaunchArgs),
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The folder for database, log and content; made if missing.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Where to listen; port 0 picks a free one.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// A configuration file; see the handbook for its keys.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Declarative files to apply before listening.
    #[arg(long)]
    pub(crate) apply: Vec<PathBuf>,
    /// Follow the gateway that runs with this data folder, or with another one, at its address.
    #[arg(long, value_name = "DATA", require_equals = true)]
    pub(crate) take_over: Option<Option<PathBuf>>,
}

#[derive(Args)]
pub(crate) struct AdminTokenArgs {
    /// The gateway's data folder.
    #[arg(long)]
    data: PathBuf,
    /// The token's name, which its acts are recorded under.
    name: String,
    /// As long as there is no account above all workspaces, the token makes one, once.
    #[arg(long)]
    set_up: bool,
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
    /// Wait for tasks that the server begins, where the client knows none.
    #[arg(long)]
    pub(crate) wait_for_tasks: bool,
    /// Let a legacy server ask modern clients for their folders.
    #[arg(long)]
    pub(crate) roots: bool,
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

impl ServeArgs {
    /// Defaults for a data folder.
    pub(crate) fn only(data: &Path) -> Self {
        let data = data.to_owned();
        Self { data, listen: None, config: None, apply: Vec::new(), take_over: None }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Dev(args) => dev::run(args),
        Command::Bridge(args) => bridge::run(args),
        Command::Cutoff(args) => switch::cutoff(&args),
        Command::Restore(args) => switch::restore(&args),
        Command::Drill(args) => switch::drill(&args),
        Command::Replicas(args) => replicas::list(&args),
        Command::Pin(command) => pin::run(&command),
        Command::Noun(asked) => nouns::run(&asked),
        Command::Record(command) => record::run(&command),
        Command::Series(args) => series::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Apply(args) => files::apply(&args),
        Command::Diff(args) => files::diff(&args),
        Command::Export(args) => files::export(&args),
        Command::Schema => {
            print::line(control::schema());
            Ok(ExitCode::SUCCESS)
        }
        Command::AdminToken(args) => token::mint_admin(&args.data, (&args.name, args.set_up)),
        Command::Audit(command) => audit::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Completions { shell } => Ok(shell::completions(shell)),
        Command::Man { out } => shell::man(&out),
        Command::Serve(args) => serve::run(&args),
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
