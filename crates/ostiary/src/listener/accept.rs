//! Accepting: a cap, and patience when the system runs short.
//!
//! Above the cap new connections wait in the system's backlog, so that those inside keep their
//! descriptors. Without descriptors at all, accepting pauses; it neither spins nor ends.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::ending::Ending;
use super::gauge::Gauge;
use super::settings::{Limits, ListenError};
use super::worker::{Arrival, Workers};

/// Long enough for another thread to close something, short enough for nobody to notice.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A place below the cap, counted while it is held.
pub(super) struct Seat {
    gauge: Arc<Gauge>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gauge.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where connections come from.
pub(super) struct Sources {
    pub(super) socket: TcpListener,
    /// What a predecessor has left.
    pub(super) inherited: Option<mpsc::Receiver<TcpStream>>,
}

/// Accepts until it is to end. Nothing that has been accepted is lost then, and nobody who has come
/// before is turned away unless a successor accepts them.
pub(super) async fn run(
    mut sources: Sources,
    workers: &Workers,
    limits: &Limits,
    (gauge, ending): (&Arc<Gauge>, &Ending),
) -> Result<(), ListenError> {
    let most = cap(limits);
    let seats = Arc::new(Semaphore::new(most));
    let (mut pause, mut is_full) = (FIRST_PAUSE, false);
    loop {
        let room = seats.available_permits();
        if room == 0 && !is_full {
            tracing::warn!(most, "no more connections: new ones wait until one closes");
        }
        // Once is enough while they come and go at the limit.
        is_full = room == 0 || is_full && room < most / 10;
        let permit = tokio::select! {
            // Whoever has come before the end is let in if there is room.
            biased;
            permit = Arc::clone(&seats).acquire_owned() => permit,
            () = ending.stopped() => return Ok(()),
        };
        let permit = permit.expect("the semaphore is not closed");
        let Some(accepted) = next(&mut sources, ending).await else { return Ok(()) };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                if gauge.is_starved.swap(false, Ordering::Relaxed) {
                    tracing::info!("accepting connections again");
                }
                gauge.connections.fetch_add(1, Ordering::Relaxed);
                let seat = Seat { gauge: Arc::clone(gauge), _permit: permit };
                workers.hand(Arrival { stream, peer, seat, hold: None }).await?;
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                if !gauge.is_starved.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "cannot accept connections for now");
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = ending.stopped() => return Ok(()),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The next connection. None when the end has come and nobody waits to be accepted.
async fn next(
    sources: &mut Sources,
    ending: &Ending,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    if ending.is_stopped() && ending.heir().is_some() {
        return None;
    }
    let Sources { socket, inherited } = sources;
    let left = async {
        match inherited {
            Some(inherited) => inherited.recv().await,
            None => std::future::pending().await,
        }
    };
    let accepted = tokio::select! {
        biased;
        Some(stream) = left => {
            return Some(with_peer(stream));
        }
        accepted = socket.accept() => accepted,
        () = ending.stopped() => {
            if ending.heir().is_some() {
                return None;
            }
            // Whoever is in the queue when the socket is closed would be reset. It is asked itself,
            // since the runtime may not have heard of them.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            return match rustix::net::accept_with(&*socket, flags) {
                Ok(stream) => Some(with_peer(stream.into())),
                Err(Errno::AGAIN) => None,
                Err(error) => Some(Err(error.into())),
            };
        }
    };
    Some(accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))))
}

/// One whose peer has gone has none any more.
fn with_peer(stream: TcpStream) -> io::Result<(TcpStream, SocketAddr)> {
    let peer = stream.peer_addr().map_err(|_| io::ErrorKind::ConnectionAborted)?;
    Ok((stream, peer))
}

/// Whether only the connection that was being accepted is at fault.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Leaves a quarter of the open files to the database and the log. Each connection takes three: its
/// own, the one it is closed by when its worker is stuck, and one to a server.
fn cap(limits: &Limits) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = allowed / limits.files_per_connection.max(1);
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    limits.max_connections.min(share).clamp(1, Semaphore::MAX_PERMITS)
}
