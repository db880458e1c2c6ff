//! Where the listening socket comes from, and what is made of it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ostiary::listener::{self, Bound, ListenError, Settings, TlsFiles};
use ostiary::peers::Peers;

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::door;
use crate::failure::Failure;
use crate::handover::{Manner, Predecessor};

/// The listening socket: of the process before this one, of the service manager, or a new one.
///
/// # Errors
/// It cannot be had, or is of another address than the configuration says.
pub(crate) async fn take(
    config: &Config,
    args: &ServeArgs,
    handed: Option<TcpListener>,
) -> Result<(Bound, Option<Predecessor>), Failure> {
    door::open_many_files();
    let (socket, predecessor) = match &args.take_over {
        None => (handed, None),
        Some(_) if handed.is_some() => {
            return Err(Failure::Configuration(
                "--take-over and a socket of the service manager exclude each other".to_owned(),
            ));
        }
        Some(from) => {
            let from = from.as_deref().filter(|it| !is_same(it, &config.data));
            let manner = if from.is_some() { Manner::Beside } else { Manner::After };
            let met = Predecessor::meet(from.unwrap_or(&config.data), manner).await?;
            (Some(met.1), Some(met.0))
        }
    };
    let Some(socket) = socket else {
        let bound = listener::bind(settings(config)).await.map_err(Failure::configuration)?;
        return Ok((bound, predecessor));
    };
    let bound = listener::adopt(settings(config), socket).map_err(Failure::configuration)?;
    let is = bound.local_addr();
    match config.asked_listen {
        Some(asked) if asked.ip() != is.ip() || ![0, is.port()].contains(&asked.port()) => {
            Err(Failure::Configuration(format!(
                "the socket that was handed over listens on {is}, and the configuration says {asked}"
            )))
        }
        _ => Ok((bound, predecessor)),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The same socket once more, with the connections that nobody else has come to serve.
pub(crate) fn again(
    config: &Config,
    socket: TcpListener,
    connections: Vec<TcpStream>,
) -> Result<Bound, Failure> {
    let bound = listener::adopt(settings(config), socket).map_err(Failure::configuration)?;
    let (room, inherited) = Predecessor::room();
    for connection in connections {
        room.try_send(connection).unwrap_or_default();
    }
    Ok(bound.with_connections(inherited))
}

/// Where other replicas come in, if they do.
///
/// # Errors
/// The address cannot be had. A process that has just ended, or is about to, is waited for.
pub(crate) async fn for_peers(config: &Config, peers: &Peers) -> Result<Option<Bound>, Failure> {
    const TRIES: u32 = 50;

    let Some(address) = config.replica_listen else { return Ok(None) };
    let peers = Some(Arc::clone(&peers.server));
    let mut own = Settings { listen: address, tls: None, peers, ..settings(config) };
    // Room for the one that says whose a request is, and what is said anew.
    own.limits.max_headers += 4;
    own.limits.max_head_bytes += 1 << 10;
    for _ in 1..TRIES {
        match listener::bind(own.clone()).await {
            Err(ListenError::Taken { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            bound => return bound.map(Some).map_err(Failure::configuration),
        }
    }
    listener::bind(own).await.map(Some).map_err(Failure::configuration)
}

fn settings(config: &Config) -> Settings {
    let tls = config.tls.clone().map(|it| TlsFiles { certificate: it.certificate, key: it.key });
    let mut settings = Settings::new(config.listen);
    settings.workers = config.workers;
    settings.tls = tls;
    settings.behind_tls_proxy = config.behind_tls_proxy;
    settings.limits.grace = config.grace;
    if config.replica_listen.is_some() {
        // Two listeners share what there is.
        settings.limits.files_per_connection *= 2;
    }
    settings
}
