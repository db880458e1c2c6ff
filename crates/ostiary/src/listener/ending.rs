//! How a listener comes to its end: its clients are told first, and a successor may have what is
//! left.

use std::net::TcpStream;
use std::sync::OnceLock;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The wish that a listener ends. It has three steps, each of which includes those before it.
#[derive(Debug, Default)]
pub struct Ending {
    leaving: CancellationToken,
    stopped: CancellationToken,
    heir: OnceLock<mpsc::Sender<TcpStream>>,
}

/// Connections on their way to a successor; those who have one wait while there is no room.
const ON_THE_WAY: usize = 64;

impl Ending {
    /// From now on an answer is the last of its connection, which its client is told with it
    /// (RFC 9112, section 9.6; RFC 9113, section 6.8). New connections are still accepted.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// Accepts nothing more, closes connections between two requests, and others after the answer
    /// that is under way.
    pub fn stop(&self) {
        self.leaving.cancel();
        self.stopped.cancel();
    }

    /// Accepts nothing more, and gives connections away as soon as they are between two requests,
    /// so that no client notices. Those with TLS are closed, since their keys stay here. To be
    /// called once; connections come until the listener has ended.
    pub fn hand_on(&self) -> mpsc::Receiver<TcpStream> {
        let (heir, connections) = mpsc::channel(ON_THE_WAY);
        // Who has had one before keeps it.
        self.heir.set(heir).unwrap_or_default();
        self.stopped.cancel();
        connections
    }

    /// Whether clients are told to come back on another connection.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// Waits until clients are told to go, or nothing is accepted.
    pub(super) async fn told(&self) {
        tokio::select! {
            () = self.leaving.cancelled() => {}
            () = self.stopped.cancelled() => {}
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    pub(super) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Who takes connections.
    pub(super) fn heir(&self) -> Option<&mpsc::Sender<TcpStream>> {
        self.heir.get()
    }
}
