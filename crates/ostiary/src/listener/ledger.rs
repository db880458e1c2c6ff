//! What the stream below the HTTP library and the service above it tell each other.
//!
//! Requests of one connection are numbered from 1 in the order they arrive, on both sides of the
//! library alike. The stream refuses by number: the library is given a harmless request in place
//! of the refused one, or an error in the middle of a refused body, and the service answers that
//! number with the refusal. So answers to earlier requests go out first and whole.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::refusal::Violation;

#[derive(Default)]
pub(super) struct Ledger {
    begun: AtomicU64,
    /// Answers whose bodies have been taken to their end, or given up.
    answered: AtomicU64,
    /// Requests whose heads have been passed on.
    heads: AtomicU64,
    /// Whether bytes of a request have been read whose end has not been passed on.
    is_inside: AtomicBool,
    /// Whether something has been written that has not left for the peer.
    is_writing: AtomicBool,
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

    /// Whether the connection is between two requests, or before its first: nothing of the next one
    /// has been read, and the answers to all others have left. Holds for as long as the connection is
    /// not polled.
    pub(super) fn is_idle(&self) -> bool {
        let begun = self.begun();
        begun == self.heads.load(Ordering::Relaxed)
            && begun == self.answered.load(Ordering::Relaxed)
            && !self.is_inside.load(Ordering::Relaxed)
            && !self.is_writing.load(Ordering::Relaxed)
    }

    /// Notes what has been read: whole heads, and whether there is more.
    pub(super) fn has_read(&self, heads: u64, is_inside: bool) {
        self.heads.store(heads, Ordering::Relaxed);
        self.is_inside.store(is_inside, Ordering::Relaxed);
    }

    pub(super) fn has_written(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// Notes that an answer has come to its end.
    pub(super) fn end(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
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
