//! The only door to time.

use std::time::Duration;

/// Tells the time. The binary has the real one; tests have theirs.
pub trait Clock: Send + Sync {
    /// Wall-clock time in milliseconds since 1970, UTC. It may step backwards; the log notices.
    fn now_ms(&self) -> i64;

    /// Time since some fixed point. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// Remembers the latest record time, so that times in the log never go back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Monotone {
    last_ms: i64,
}

impl Monotone {
    /// Starts after the latest record found on disk.
    pub(crate) fn after(last_ms: i64) -> Self {
        Self { last_ms }
    }

    /// The time to record for `now_ms`, and whether the clock is suspect: it stands further back
    /// than threads racing for the log explain.
    pub(crate) fn tick(&mut self, now_ms: i64) -> (i64, bool) {
        if now_ms >= self.last_ms {
            self.last_ms = now_ms;
            return (now_ms, false);
        }
        (self.last_ms, self.last_ms - now_ms > RACE_MS)
    }
}

/// A record waits this long in memory before it counts as late; a step back beyond it is real.
const RACE_MS: i64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h155_a_clock_that_steps_back_an_hour_is_held_and_flagged() {
        let mut time = Monotone::default();
        let hour = 3_600_000;
        let seen: Vec<_> =
            [10 * hour, 10 * hour + 5, 10 * hour + 3, 9 * hour, 9 * hour + 5, 10 * hour + 6]
                .map(|now| time.tick(now))
                .into();
        assert_eq!(
            seen,
            [
                (10 * hour, false),
                (10 * hour + 5, false),
                (10 * hour + 5, false),
                (10 * hour + 5, true),
                (10 * hour + 5, true),
                (10 * hour + 6, false),
            ]
        );
    }
}
