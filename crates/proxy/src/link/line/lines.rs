//! The lines to one server, and how long one waits before opening another when they break.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::Snapshot;
use parking_lot::Mutex;

use super::Shared;
use crate::refusal::{UpstreamError, WireBlame};

#[derive(Default)]
pub(in crate::link) struct Lines(Mutex<Known>);

#[derive(Default)]
struct Known {
    open: Vec<Weak<Shared>>,
    /// How many have broken in a row, when the last did, and until when none is opened.
    broken: u32,
    last: Option<Duration>,
    until: Duration,
    /// Whether a server that was registered for Streamable HTTP turned out to be of this kind.
    is_found: bool,
}

/// A line that has lived this long was a good one.
const STEADY: Duration = Duration::from_secs(30);

/// After the second that breaks in a row; twice as long after each one more.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Lines {
    /// Closes those on which nothing may come any more.
    pub(in crate::link) fn stop(&self, snapshot: &Snapshot, now: DateTime<Utc>) {
        let open: Vec<_> = self.0.lock().open.iter().filter_map(Weak::upgrade).collect();
        for line in open.iter().filter(|it| !it.may_stay(snapshot, now)) {
            line.stop.cancel();
            line.table.end(&UpstreamError::SessionLost);
        }
    }

    /// Closes them all.
    pub(in crate::link) fn close(&self) {
        for line in self.0.lock().open.iter().filter_map(Weak::upgrade) {
            line.stop.cancel();
        }
    }

    pub(super) fn add(&self, line: &Arc<Shared>) {
        let mut known = self.0.lock();
        known.open.retain(|it| 0 < it.strong_count());
        known.open.push(Arc::downgrade(line));
    }

    /// Whether one may be opened now.
    pub(super) fn may_open(&self, now: Duration) -> Result<(), UpstreamError> {
        if now < self.0.lock().until {
            let why = "its stream keeps breaking off; another one is opened soon";
            return Err(UpstreamError::Wire(why.to_owned(), WireBlame::Retry));
        }
        Ok(())
    }

    /// One has ended that we did not end. Those that were open side by side break for one reason.
    pub(super) fn broke(&self, opened: Duration, now: Duration) {
        let mut known = self.0.lock();
        if STEADY <= now.saturating_sub(opened) {
            known.broken = 1;
        } else if known.last.is_none_or(|last| last <= opened) {
            known.broken = known.broken.saturating_add(1);
        }
        known.last = Some(now);
        known.until = now + pause(known.broken);
    }

    pub(in crate::link) fn is_found(&self) -> bool {
        self.0.lock().is_found
    }

    pub(in crate::link) fn set_found(&self, is_found: bool) {
        self.0.lock().is_found = is_found;
    }
}

/// The first may be opened again at once.
fn pause(broken: u32) -> Duration {
    match broken.checked_sub(2) {
        None => Duration::ZERO,
        Some(times) => FIRST_PAUSE.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_break_at_once_are_opened_ever_more_rarely() {
        let lines = Lines::default();
        let (mut now, mut waited) = (Duration::ZERO, Vec::new());
        for _ in 0..12 {
            lines.broke(now, now);
            let mut wait = Duration::ZERO;
            while lines.may_open(now + wait).is_err() {
                wait += Duration::from_millis(50);
            }
            now += wait;
            waited.push(wait.as_millis());
        }
        let grown = [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(waited.get(..11).unwrap(), grown);
        lines.broke(now, now + STEADY);
        assert!(lines.may_open(now + STEADY).is_ok(), "what has lived is opened again at once");
        for _ in 0..100 {
            lines.broke(now, now + STEADY / 2);
        }
        assert!(lines.may_open(now + STEADY / 2).is_ok(), "a hundred at once are one misfortune");
    }
}
