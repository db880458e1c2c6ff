//! What is counted of changes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What is counted of changes and how they spread, since the start.
#[derive(Debug, Default)]
pub struct Figures {
    waited_out: AtomicU64,
    is_behind: AtomicBool,
    is_astray: AtomicBool,
    canary_runs: AtomicU64,
    canary_failures: AtomicU64,
    canary_micros: AtomicU64,
}

impl Figures {
    /// Changes that not all replicas have acknowledged in time.
    pub fn changes_waited_out(&self) -> u64 {
        self.waited_out.load(Ordering::Relaxed)
    }

    /// Whether the database is behind what has been seen of it, as a copy may be that has taken over.
    pub fn is_database_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Whether the clock of this machine is not the database's.
    pub fn is_clock_astray(&self) -> bool {
        self.is_astray.load(Ordering::Relaxed)
    }

    /// How often the canary has been cut off, and how often that did not hold everywhere in time.
    pub fn canaries(&self) -> (u64, u64) {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        (load(&self.canary_runs), load(&self.canary_failures))
    }

    /// How long its last cut-off took.
    pub fn canary_took(&self) -> Duration {
        Duration::from_micros(self.canary_micros.load(Ordering::Relaxed))
    }

    pub(super) fn waited_out(&self) {
        self.waited_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells whether that is news.
    pub(crate) fn set_behind(&self, is_behind: bool) -> bool {
        self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind
    }

    /// Tells whether that is news.
    pub(super) fn set_astray(&self, is_astray: bool) -> bool {
        self.is_astray.swap(is_astray, Ordering::Relaxed) != is_astray
    }

    pub(super) fn canary(&self, took: Option<Duration>) {
        self.canary_runs.fetch_add(1, Ordering::Relaxed);
        match took {
            Some(took) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.canary_micros.store(micros, Ordering::Relaxed);
            }
            None => drop(self.canary_failures.fetch_add(1, Ordering::Relaxed)),
        }
    }
}
