//! What the stream below the HTTP library and the service above it tell each other.
//!
//! Requests of one connection are numbered from 1 in the order they arrive, on both sides of the
//! library alike. The stream refuses by number: the library is given a harmless request in place
//! of the refused one, or an error in the middle of a refused body, and the service answers that
//! number with the refusal. So answers to earlier requests go out first and whole.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::refusal::Violation;

#[derive(Default)]
pub(super) struct Ledger {
    begun: AtomicU64,
    streams: AtomicUsize,
    refused: OnceLock<(u64, Violation)>,
    last: OnceLock<u64>,
}

impl Ledger {
    /// Numbers the request that the service has just been given.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many requests have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Refuses request `number`, if nothing has been refused before.
    pub(super) fn refuse(&self, number: u64, violation: Violation) {
        self.refused.get_or_init(|| (number, violation));
    }

    pub(super) fn find_refusal(&self, number: u64) -> Option<Violation> {
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, why)| *why)
    }

    /// Makes the answer to request `number` the connection's last.
    pub(super) fn end_after(&self, number: u64) {
        self.last.get_or_init(|| number);
    }

    pub(super) fn is_last(&self, number: u64) -> bool {
        self.last.get() == Some(&number)
    }

    /// HTTP/2 streams under way, counted by who runs them.
    pub(super) fn streams(&self) -> &AtomicUsize {
        &self.streams
    }
}
