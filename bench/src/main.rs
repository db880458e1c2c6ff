//! What Ostiary costs: the same calls to the same upstream, directly, through a proxy that only
//! forwards bytes, and through the gateway with everything on, in one run on one machine.
//!
//! Everything measured runs on cores of its own ([`cores`]); the upstream ([`upstream`]), the proxy
//! ([`floor`]) and the gateway
//! ([`gateway`]) are processes of their own, and the load ([`load`]) runs
//! here. All are measured in turn, several times, and the middle of each is reported ([`report`]).
//! Nothing is asserted about times; a wrong answer is an error.

mod accept;
mod awake;
mod certificate;
mod clock;
mod contender;
mod cores;
mod eras;
mod floor;
mod gateway;
mod load;
mod machine;
mod measure;
mod payload;
mod process;
mod report;
mod run;
mod upstream;

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Compares direct access to an MCP server with a bare proxy and with Ostiary.
#[derive(Parser)]
struct Cli {
    /// A first impression in about 20 seconds instead of figures to rely on.
    #[arg(long)]
    quick: bool,
    /// The gateway's binary; by default the one beside this program.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// Another gateway's binary: calls between clients and servers of one era go through it as well, and
    /// the first one's are compared with them.
    #[arg(long, conflicts_with = "no_gateway")]
    against: Option<PathBuf>,
    /// So many calls that wait for their clients.
    #[arg(long)]
    parked: Option<usize>,
    /// How many rounds.
    #[arg(long, conflicts_with = "seconds")]
    rounds: Option<usize>,
    /// Leaves the gateway out.
    #[arg(long, conflicts_with = "gateway")]
    no_gateway: bool,
    /// Where the figures are written as JSON; by default target/bench/latest.json.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keeps the cores from sleeping, which waking up from takes a virtual machine long.
    #[arg(long)]
    awake: bool,
    /// Measures only this; may be given several times.
    #[arg(long)]
    trial: Vec<String>,
    /// Measures only these columns of the tables; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// One round, each trial this long: for a profiler.
    #[arg(long, conflicts_with = "quick")]
    seconds: Option<u64>,
    /// So many idle streams.
    #[arg(long)]
    streams: Option<usize>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Be the upstream.
    #[command(hide = true)]
    Upstream,
    /// Be busy with nothing.
    #[command(hide = true)]
    Awake,
    /// Be the proxy that only forwards.
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        to: SocketAddr,
        /// The folder with the certificate of the run.
        #[arg(long)]
        tls: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    certificate::use_one_provider();
    let cli = Cli::parse();
    let done = match &cli.role {
        None => run::run(&cli),
        Some(role) => be(role).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until standard input ends, which it does with the process that started this one.
fn be(role: &Role) -> Result<()> {
    // As whoever started this one has bound it.
    let cores = cores::ours()?;
    let address = match role {
        Role::Awake => {
            awake::spin(&cores);
            None
        }
        Role::Upstream => Some(upstream::start(&cores)?),
        Role::Floor { to, tls } => {
            let acceptor = tls.as_deref().map(certificate::acceptor).transpose()?;
            Some(floor::start(&cores, *to, acceptor)?)
        }
    };
    if let Some(address) = address {
        report::say(&format!("listening on http://{address}"));
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
