//! What this replica has seen of the rows of others, by a clock that counts up and that nobody sets.
//!
//! A renewal that a read shows was sent before that read was over. So what this replica has seen
//! unchanged for a while was sent longer ago than that, whatever any wall clock says.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::Known;
use super::autonomy::PROMPT;
use crate::snapshot::FRESH;

/// Since when the rows are as they are.
#[derive(Default)]
pub(super) struct Watch(Mutex<HashMap<Uuid, (i64, Duration)>>);

impl Watch {
    /// Takes note of all rows that there are. `read_by` is when reading them was over.
    pub(super) fn observe(&self, known: &[Known], read_by: Duration) {
        let mut seen = self.0.lock();
        seen.retain(|id, _| known.iter().any(|it| it.id == *id));
        for it in known {
            let entry = seen.entry(it.id).or_insert((it.mark, read_by));
            if entry.0 != it.mark {
                *entry = (it.mark, read_by);
            }
        }
    }

    /// When a replica that has not confirmed a change can let nothing through any more by what held
    /// before, if its row is seen to be the same in a read that begins then.
    pub(super) fn over(&self, it: &Known, committed: Duration) -> Duration {
        let strict = committed + FRESH;
        if it.window.is_zero() {
            return strict;
        }
        // No renewal that was sent after the commit counts.
        let since = self.since(it).map_or(committed, |since| since.min(committed));
        (since + with_drift(it.window) + FRESH).max(strict + PROMPT)
    }

    /// Whether this replica has seen for itself that a row has told nothing for as long as it may count.
    pub(super) fn is_over(&self, it: &Known, read_at: Duration) -> bool {
        let over = |since| since + with_drift(it.window) + PROMPT + FRESH;
        it.window.is_zero() || self.since(it).is_some_and(|since| over(since) <= read_at)
    }

    fn since(&self, it: &Known) -> Option<Duration> {
        let seen = self.0.lock();
        seen.get(&it.id).filter(|(mark, _)| *mark == it.mark).map(|(_, since)| *since)
    }
}

/// A window as long as it may be on a clock that counts slower than ours.
pub(super) fn with_drift(window: Duration) -> Duration {
    window + window / 1_000
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn without_a_window_it_is_over_after_50_ms() {
        let (watch, row) = (Watch::default(), row(0, 1));
        assert_eq!(watch.over(&row, 100 * SECOND), 100 * SECOND + FRESH);
        assert!(watch.is_over(&row, SECOND));
    }

    #[test]
    fn without_an_observation_the_whole_window_counts_from_the_commit() {
        let (watch, row) = (Watch::default(), row(6, 1));
        assert_eq!(watch.over(&row, 100 * SECOND), 106 * SECOND + 6 * MILLI + FRESH);
        assert!(!watch.is_over(&row, 1_000 * SECOND));
        // Of what it was before, nothing is known.
        watch.observe(&[self::row(6, 0)], 50 * SECOND);
        assert_eq!(watch.over(&row, 100 * SECOND), 106 * SECOND + 6 * MILLI + FRESH);
    }

    #[test]
    fn the_window_counts_from_when_the_row_was_first_seen_as_it_is() {
        let (watch, row) = (Watch::default(), row(6, 1));
        watch.observe(&[self::row(6, 1)], 97 * SECOND);
        watch.observe(&[self::row(6, 1)], 98 * SECOND);
        assert_eq!(watch.over(&row, 100 * SECOND), 103 * SECOND + 6 * MILLI + FRESH);
        assert!(!watch.is_over(&row, 103 * SECOND));
        assert!(watch.is_over(&row, 104 * SECOND));
        // One that was on its way when the change was committed must have been seen, if it counts.
        assert_eq!(watch.over(&row, 200 * SECOND), 200 * SECOND + FRESH + PROMPT);
        // And what is seen after the commit only, was sent before it.
        watch.observe(&[self::row(6, 2)], 201 * SECOND);
        let row = self::row(6, 2);
        assert_eq!(watch.over(&row, 200 * SECOND), 206 * SECOND + 6 * MILLI + FRESH);
    }

    fn row(seconds: u64, seen: i64) -> Known {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        Known {
            id: Uuid::from_u128(1),
            name: "a".into(),
            version: String::new(),
            epoch: 1,
            stamp: 1,
            started_at: at(0),
            seen_at: at(0),
            mark: seen,
            window: Duration::from_secs(seconds),
            knows_windows: true,
            is_live: false,
            is_over: true,
        }
    }
}
