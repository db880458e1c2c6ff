//! The thread that keeps the promise of an end: a disk that never answers cannot make a caller
//! wait beyond the deadline, because this thread does not touch the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::batch::{Batch, LogError};
use crate::clock::Clock;
use crate::pace::Pace;

/// The batches under way, and whether one of them is older than the deadline.
pub(crate) struct Watched {
    clock: Arc<dyn Clock>,
    deadline: Duration,
    list: Mutex<List>,
    ended: Condvar,
    is_blocked: AtomicBool,
    /// Of the disk that the batches are for.
    pub(crate) pace: Pace,
}

#[derive(Default)]
struct List {
    batches: Vec<Arc<Batch>>,
    has_ended: bool,
}

impl Watched {
    pub(crate) fn new(clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        Self {
            clock,
            deadline,
            list: Mutex::default(),
            ended: Condvar::new(),
            is_blocked: AtomicBool::new(false),
            pace: Pace::default(),
        }
    }

    /// A new batch, watched from `now` on.
    pub(crate) fn open(&self, now: Duration) -> Arc<Batch> {
        let batch = Arc::new(Batch::new(now));
        self.list.lock().batches.push(Arc::clone(&batch));
        batch
    }

    /// The disk does not answer: nothing new should be begun.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// Ends [`Watched::run`].
    pub(crate) fn end(&self) {
        self.list.lock().has_ended = true;
        self.ended.notify_all();
    }

    /// The body of the thread.
    pub(crate) fn run(&self) {
        let tick = (self.deadline / 16).clamp(Duration::from_millis(2), Duration::from_millis(100));
        let mut list = self.list.lock();
        while !list.has_ended {
            self.ended.wait_for(&mut list, tick);
            list.batches.retain(|batch| !batch.is_settled());
            let now = self.clock.monotonic();
            let is_late = |batch: &&Arc<Batch>| now.saturating_sub(batch.opened) >= self.deadline;
            let late: Vec<_> = list.batches.iter().filter(is_late).map(Arc::clone).collect();
            let caught = self.pace.writing_for(now).is_some_and(|time| time >= self.deadline);
            self.note(caught || !late.is_empty());
            if !late.is_empty() {
                // Waking waiters runs foreign code: not under the lock.
                drop(list);
                late.iter().for_each(|batch| batch.give_up(LogError::Deadline));
                list = self.list.lock();
            }
        }
    }

    fn note(&self, is_blocked: bool) {
        if self.is_blocked.swap(is_blocked, Ordering::Relaxed) == is_blocked {
            return;
        }
        let deadline = self.deadline;
        if is_blocked {
            tracing::error!(?deadline, "the audit disk does not answer; calls are refused");
        } else {
            tracing::warn!("the audit disk answers again");
        }
    }
}
