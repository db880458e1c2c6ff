//! What is counted, in atomics that the binary renders.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Counters of the data plane.
#[derive(Default)]
pub struct Metrics {
    /// Calls answered by an upstream.
    pub calls: AtomicU64,
    /// Calls that were decided without the database.
    pub apart: AtomicU64,
    /// Requests that other replicas have answered.
    pub passed_on: AtomicU64,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    limited: Mutex<BTreeMap<String, u64>>,
    /// Time from a call's arrival to its release.
    pub total: Histogram,
    /// Time that the upstream took.
    pub upstream: Histogram,
}

/// Counts of durations, in buckets that double from 64 µs.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// From 64 µs to about 35 minutes, and one for the rest.
pub const BUCKETS: usize = 26;

impl Metrics {
    /// Counts one refusal by its machine-readable reason.
    pub(crate) fn refused(&self, reason: &'static str) {
        *self.refusals.lock().entry(reason).or_default() += 1;
    }

    /// Counts one refusal by the name of the limit, after that of its workspace.
    pub(crate) fn limited(&self, limit: String) {
        *self.limited.lock().entry(limit).or_default() += 1;
    }

    /// Refusals so far, by limit.
    pub fn refusals_by_limit(&self) -> Vec<(String, u64)> {
        self.limited.lock().iter().map(|(limit, count)| (limit.clone(), *count)).collect()
    }

    /// Refusals so far, by reason.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refusals.lock().iter().map(|(reason, count)| (*reason, *count)).collect()
    }
}

impl Histogram {
    pub(crate) fn add(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let slot = (u64::BITS - (us >> 6).leading_zeros()) as usize;
        self.buckets[slot.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Upper bound of each bucket in seconds with the count at or below it, and the sum in seconds.
    pub fn cumulative(&self) -> (Vec<(f64, u64)>, f64) {
        let mut below = 0;
        let mut bound = 64e-6;
        let counts = self.buckets.iter().map(|it| {
            below += it.load(Ordering::Relaxed);
            let row = (bound, below);
            bound *= 2.0;
            row
        });
        #[expect(clippy::cast_precision_loss, reason = "a sum for charts")]
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        (counts.collect(), sum)
    }
}
