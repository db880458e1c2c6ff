//! Accepting: a cap, and patience when the system runs short.
//!
//! Above the cap new connections wait in the system's backlog, so that those inside keep their
//! descriptors. Without descriptors at all, accepting pauses; it neither spins nor ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// Accepts for as long as it is polled. Returns only when a worker has died.
pub(super) async fn run(
    socket: TcpListener,
    workers: &Workers,
    limits: &Limits,
    gauge: &Arc<Gauge>,
) -> Result<(), ListenError> {
    let most = cap(limits.max_connections);
    let seats = Arc::new(Semaphore::new(most));
    let (mut pause, mut is_full) = (FIRST_PAUSE, false);
    loop {
        let room = seats.available_permits();
        if room == 0 && !is_full {
            tracing::warn!(most, "no more connections: new ones wait until one closes");
        }
        // Once is enough while they come and go at the limit.
        is_full = room == 0 || is_full && room < most / 10;
        let permit = Arc::clone(&seats).acquire_owned().await.expect("the semaphore is not closed");
        match socket.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
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
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
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
fn cap(wanted: usize) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(allowed / 4).unwrap_or(usize::MAX);
    wanted.min(share).clamp(1, Semaphore::MAX_PERMITS)
}
