//! A managed server: a child process that speaks newline-delimited JSON on its standard streams.
//!
//! One task owns the process. It ends when the process does, when it is stopped, when the last
//! handle is dropped or when the server breaks the rules, and it never leaves without having killed
//! the process group. Calls meet the task in [`calls`], a table under one lock:
//!
//! - A frame is written whole, and only if its [`Hold`] is open at that moment.
//! - The hold is dropped when the frame has been written, or never will be.
//! - An answer finds its call by the id that we gave it, or it is discarded.

mod calls;
mod process;
mod run;
mod tail;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::calls::Calls;
pub use self::calls::ChildExchange;
use self::run::{Item, Owner};
use self::tail::Tail;
use super::error::WireError;
use super::launch::ProcessLimits;

/// What to start. No shell sees any of it.
#[derive(Clone, Debug, Default)]
pub struct StdioSpec {
    /// A path, or a name that is looked up in `path`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside `PATH`, `HOME` and `LANG`, which it may replace. Nothing else is
    /// inherited.
    pub env: BTreeMap<String, String>,
    /// Where it starts; its private home if absent.
    pub cwd: Option<PathBuf>,
    /// What stands before the limits and the command, such as `/proc/self/exe launch-child`.
    /// Without a launcher there are no limits, and a descendant that has left the process group
    /// is not always found.
    pub launcher: Option<Vec<String>>,
    /// What it may use.
    pub limits: ProcessLimits,
    /// Its `PATH`, if not the system's usual one.
    pub path: Option<String>,
}

/// Bounds on what passes between us and a child.
#[derive(Clone, Copy, Debug)]
pub struct ChildLimits {
    /// Of one line from the server.
    pub frame_bytes: usize,
    /// How much is skipped, between two messages, of what is no message.
    pub noise_bytes: usize,
    /// How much of its standard error is kept.
    pub stderr_bytes_kept: usize,
    /// Frames that wait to be written.
    pub queue: usize,
    /// Calls that wait for their answers.
    pub calls: usize,
    /// How long one frame may take to be read by the server.
    pub write: Duration,
    /// How long the server may take to end when asked.
    pub stop: Duration,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 << 20,
            noise_bytes: 1 << 20,
            stderr_bytes_kept: 64 << 10,
            queue: 256,
            calls: 4096,
            write: Duration::from_secs(30),
            stop: Duration::from_secs(2),
        }
    }
}

/// Keeps the permission for a frame open. Dropped when the frame has been written to its last byte,
/// or never will be.
pub trait Hold: Send + Sync {
    /// Asked right before the frame is written. If not, it never is.
    fn is_open(&self) -> bool;
}

/// A handle to a managed server. The server stops when the last one is dropped.
#[derive(Clone)]
pub struct Child {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Item>,
}

/// A handle that does not keep the server running.
#[derive(Clone)]
pub struct WeakChild {
    shared: Arc<Shared>,
    queue: mpsc::WeakSender<Item>,
}

struct Shared {
    calls: Arc<Calls>,
    tail: Tail,
    next_id: AtomicU64,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Where notifications go beside the events; absent when the server has ended.
    said: Mutex<Option<broadcast::Sender<Bytes>>>,
    /// Where its requests go instead, if anybody listens.
    asked: Mutex<Option<broadcast::Sender<Bytes>>>,
}

/// How many notifications a slow listener may be behind.
const BEHIND: usize = 64;

impl Child {
    /// Starts the server; the task that owns it runs on `handle`. `events` takes notifications and
    /// requests of the server that belong to no call; while it is full, the server is not read.
    ///
    /// With a launcher the server dies with the calling thread, so that thread must be one that
    /// stays.
    ///
    /// # Errors
    ///
    /// If the command cannot be started.
    pub async fn spawn(
        handle: &Handle,
        spec: &StdioSpec,
        limits: ChildLimits,
        events: mpsc::Sender<Bytes>,
    ) -> Result<Self, WireError> {
        let process = process::start(handle, spec)?;
        let (queue, frames) = mpsc::channel(limits.queue.max(1));
        let shared = Arc::new(Shared {
            calls: Arc::new(Calls::new(limits.calls)),
            tail: Tail::new(limits.stderr_bytes_kept),
            next_id: AtomicU64::new(1),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            said: Mutex::new(Some(broadcast::channel(BEHIND).0)),
            asked: Mutex::new(Some(broadcast::channel(BEHIND).0)),
        });
        let owner = Owner { shared: Arc::clone(&shared), frames, events, limits };
        shared.tasks.spawn_on(owner.run(process), handle);
        shared.tasks.close();
        Ok(Self { shared, queue })
    }

    /// Sends a request. `frame` is a complete JSON-RPC request whose id, and progress token if
    /// `progress` is wanted, is `id`.
    pub fn request(
        &self,
        id: u64,
        frame: Vec<Bytes>,
        progress: bool,
        hold: Box<dyn Hold>,
    ) -> ChildExchange {
        let exchange = self.shared.calls.open(id, frame, progress, hold);
        if exchange.is_waiting() && self.queue.try_send(Item::Call(id)).is_err() {
            self.shared.calls.fail(id, WireError::Busy);
        }
        exchange
    }

    /// Sends what expects no answer: a notification, or our response to a request of the server's.
    /// Waits while the queue is full. What is our own doing needs no hold.
    ///
    /// # Errors
    ///
    /// If the server has ended.
    pub async fn notify(&self, frame: Bytes, hold: Option<Box<dyn Hold>>) -> Result<(), WireError> {
        let sent = self.queue.send(Item::Line(frame, hold)).await;
        sent.map_err(|_| self.shared.calls.why_ended())
    }

    /// Its notifications from now on, progress excepted. They end when the server does, or when the
    /// listener falls behind.
    #[must_use]
    pub fn hear(&self) -> Option<broadcast::Receiver<Bytes>> {
        self.shared.said.lock().as_ref().map(broadcast::Sender::subscribe)
    }

    /// Its requests from now on, which are no events then: whoever hears them answers them.
    #[must_use]
    pub fn hear_requests(&self) -> Option<broadcast::Receiver<Bytes>> {
        self.shared.asked.lock().as_ref().map(broadcast::Sender::subscribe)
    }

    /// An id that no other request to this server has had.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// For whoever must find the server as long as it runs, and no longer.
    #[must_use]
    pub fn downgrade(&self) -> WeakChild {
        WeakChild { shared: Arc::clone(&self.shared), queue: self.queue.downgrade() }
    }

    /// Whether requests can still be answered.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.shared.calls.has_ended()
    }

    /// The last of what it wrote to its standard error, with control characters escaped.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.shared.tail.escaped()
    }

    /// Closes its input, asks its process group to end, and kills what is left after a moment.
    /// Returns when all of that is done. Calls under way fail at once.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.wait().await;
    }
}

impl WeakChild {
    /// The server, if anybody keeps it running and it does run.
    #[must_use]
    pub fn upgrade(&self) -> Option<Child> {
        let queue = self.queue.upgrade()?;
        Some(Child { shared: Arc::clone(&self.shared), queue }).filter(Child::is_alive)
    }
}
