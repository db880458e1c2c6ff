//! Whether a worker thread still answers, and what becomes of its connections when it does not.
//!
//! A worker may be held by a write to a disk that has stopped. Nothing that it serves could be told
//! so, by it or by anyone else: whoever is connected to it would wait for as long as the disk does.
//! Their connections are closed instead, and new ones go to other workers until it answers again.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// How often a worker says that it answers.
pub(super) const BEAT: Duration = Duration::from_millis(250);
/// Looks without a beat in between, each after [`BEAT`], that a worker is given: two seconds.
const PATIENCE: u32 = 8;

/// One worker's, shared with the thread that watches.
#[derive(Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    is_stuck: AtomicBool,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    next: u64,
    open: HashMap<u64, TcpStream>,
}

/// A connection that is closed when its worker is stuck, for as long as this is held.
pub(super) struct Hold {
    pulse: Arc<Pulse>,
    number: u64,
}

/// What the watching thread remembers of one worker.
#[derive(Default)]
pub(super) struct Look {
    seen: u64,
    missed: u32,
}

impl Pulse {
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// Keeps a second handle of a connection, to close it by.
    pub(super) fn hold(self: &Arc<Self>, stream: &TcpStream) -> std::io::Result<Hold> {
        let twin = stream.try_clone()?;
        let mut sockets = self.sockets.lock();
        let number = sockets.next;
        sockets.next += 1;
        sockets.open.insert(number, twin);
        Ok(Hold { pulse: Arc::clone(self), number })
    }

    /// Closes what the worker holds once it has missed too many beats, if what may hold it up does.
    pub(super) fn look(&self, worker: usize, look: &mut Look, is_stalled: &dyn Fn() -> bool) {
        let beats = self.beats.load(Ordering::Relaxed);
        if beats != look.seen {
            *look = Look { seen: beats, missed: 0 };
            if self.is_stuck.swap(false, Ordering::Relaxed) {
                tracing::warn!(worker, "a worker answers again");
            }
            return;
        }
        look.missed = look.missed.saturating_add(1);
        if look.missed < PATIENCE || !is_stalled() {
            return;
        }
        let open: Vec<TcpStream> = self.sockets.lock().open.drain().map(|(_, it)| it).collect();
        if !self.is_stuck.swap(true, Ordering::Relaxed) || !open.is_empty() {
            let connections = open.len();
            tracing::error!(worker, connections, "the disk holds a worker: its clients are let go");
        }
        for socket in open {
            // One that has closed by itself meanwhile is as good.
            socket.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

impl Hold {
    /// The second handle, so that the connection can go on elsewhere. None where it has been closed.
    pub(super) fn take(self) -> Option<TcpStream> {
        self.pulse.sockets.lock().open.remove(&self.number)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.pulse.sockets.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn clients_of_a_stuck_worker_are_let_go_and_it_may_come_back() {
        let (pulse, mut look) = (Arc::new(Pulse::default()), Look::default());
        let (mut client, server) = pair();
        let hold = pulse.hold(&server).unwrap();
        pulse.beat();
        for _ in 0..PATIENCE {
            pulse.look(0, &mut look, &|| true);
            assert!(!pulse.is_stuck());
        }
        pulse.look(0, &mut look, &|| true);
        assert!(pulse.is_stuck());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        pulse.beat();
        pulse.look(0, &mut look, &|| true);
        assert!(!pulse.is_stuck());
        drop(hold);
    }

    #[test]
    fn a_worker_that_is_merely_busy_keeps_its_clients() {
        let (pulse, mut look) = (Arc::new(Pulse::default()), Look::default());
        let (_client, server) = pair();
        let hold = pulse.hold(&server).unwrap();
        (0..=2 * PATIENCE).for_each(|_| pulse.look(0, &mut look, &|| false));
        assert!(!pulse.is_stuck());
        assert_eq!(pulse.sockets.lock().open.len(), 1);
        drop(hold);
        assert!(pulse.sockets.lock().open.is_empty());
    }
}
