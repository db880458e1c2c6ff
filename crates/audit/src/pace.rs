//! Whether the disk is quick enough for callers to write for themselves.
//!
//! A caller that writes its own record costs one system call. Handing it to the writer costs waking
//! that thread and being woken by it, which is several times as much. But a thread that serves
//! others must not wait for a disk: so callers write only while writes return at once and no sync
//! takes long. Else all goes through the writer, and the deadline is kept by whoever waits for it.
//!
//! At most one caller can be caught by a disk that stops from one write to the next: the others find
//! the pen taken and go to the writer. The watchdog sees the one that was caught.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// What is known of the disk. Times are nanoseconds on the monotonic clock, 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    slow_until: AtomicU64,
    syncing_since: AtomicU64,
    writing_since: AtomicU64,
}

impl Pace {
    /// Whether a caller may write at `now`.
    pub(crate) fn is_quick(&self, now: Duration) -> bool {
        let now = nanos(now);
        let syncing = self.syncing_since.load(Ordering::Relaxed);
        now >= self.slow_until.load(Ordering::Relaxed)
            && (syncing == 0 || now.saturating_sub(syncing) < nanos(QUICK_SYNC))
    }

    /// Does what a caller writes, which began at `now`, and looks how long it takes.
    pub(crate) fn watch<T>(
        &self,
        clock: &dyn Clock,
        now: Duration,
        write: impl FnOnce() -> T,
    ) -> T {
        self.writing_since.store(nanos(now).max(1), Ordering::Relaxed);
        let done = write();
        self.writing_since.store(0, Ordering::Relaxed);
        let ended = clock.monotonic();
        if ended.saturating_sub(now) > QUICK_WRITE {
            self.slow_until.store(nanos(ended + REST), Ordering::Relaxed);
        }
        done
    }

    /// How long a caller has been writing.
    pub(crate) fn writing_for(&self, now: Duration) -> Option<Duration> {
        let since = self.writing_since.load(Ordering::Relaxed);
        (since != 0).then(|| now.saturating_sub(Duration::from_nanos(since)))
    }

    pub(crate) fn sync_begins(&self, now: Duration) {
        self.syncing_since.store(nanos(now).max(1), Ordering::Relaxed);
    }

    pub(crate) fn sync_ends(&self) {
        self.syncing_since.store(0, Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long a caller waits for another one's write before it goes to the writer.
pub(crate) const PATIENCE: Duration = Duration::from_micros(100);
/// A write into the kernel's memory takes microseconds; this is a disk that holds it up.
const QUICK_WRITE: Duration = Duration::from_millis(20);
/// While a sync takes longer, the next write may have to wait for it.
const QUICK_SYNC: Duration = Duration::from_millis(50);
/// How long callers leave a slow disk to the writer.
const REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn now_ms(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock()
        }
    }

    #[test]
    fn callers_leave_a_slow_disk_to_the_writer_for_a_while() {
        let (pace, second) = (Pace::default(), Duration::from_secs(1));
        let clock = Hand(Mutex::new(second));
        pace.watch(&clock, second, || *clock.0.lock() += QUICK_WRITE);
        assert!(pace.is_quick(clock.monotonic()));

        let began = clock.monotonic();
        pace.watch(&clock, began, || {
            *clock.0.lock() += 2 * QUICK_WRITE;
            assert_eq!(pace.writing_for(clock.monotonic()), Some(2 * QUICK_WRITE));
        });
        assert_eq!(pace.writing_for(clock.monotonic()), None);
        assert!(!pace.is_quick(clock.monotonic()));
        assert!(pace.is_quick(clock.monotonic() + REST));
    }

    #[test]
    fn callers_leave_a_disk_that_syncs_for_long_to_the_writer() {
        let (pace, second) = (Pace::default(), Duration::from_secs(1));
        pace.sync_begins(second);
        assert!(pace.is_quick(second + QUICK_SYNC / 2));
        assert!(!pace.is_quick(second + QUICK_SYNC));
        pace.sync_ends();
        assert!(pace.is_quick(second + QUICK_SYNC));
    }
}
