//! What this replica may do while its database is away.
//!
//! Gateways may allow that their calls are decided by what is in memory, for a window of seconds.
//! Everybody who changes something must then be able to wait until that is over. So the row of this
//! replica tells the widest window of its configuration, durably, before any use is made of it, and
//! each renewal of the row counts from the instant *before* it was sent, and only where the
//! database said in the same transaction that
//!
//! * nothing has changed beyond what everything under way here has been held against, so that no
//!   change that was committed before is outlived by more than the window; and
//! * the row told the window already, so that whoever commits later sees it.
//!
//! Tellings are numbered. One that arrives late, when its sender had given it up, must not take the
//! place of a later one.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The windows of this process, and whether they are in use.
pub(crate) struct Autonomy {
    granted: Mutex<Granted>,
    is_away: AtomicBool,
    /// That more has been committed than is known here.
    is_stale: AtomicBool,
    /// When the last read began that has proved what is in memory, in milliseconds of the clock's.
    proved_at: AtomicU64,
    /// By how much the clock that people set was ahead of the one that counts up when the database was
    /// last asked, in milliseconds.
    ahead: AtomicI64,
    went: Notify,
}

struct Granted {
    telling: Telling,
    /// What is counted from: when the last renewal was sent that counts.
    anchor: Option<Duration>,
    /// No window counts for more.
    cap: Duration,
    /// What was sent before counts no more.
    since: Duration,
}

/// What the row is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) number: i64,
    pub(super) window: Duration,
    /// Whether the row tells it, for certain.
    pub(super) is_told: bool,
    /// Whether it is written so that it outlives the database.
    pub(super) is_durable: bool,
}

/// What a renewal has found in the database before it wrote anything.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Found {
    pub(super) epoch: i64,
    pub(super) stamp: i64,
    pub(super) autonomy_seconds: i64,
    pub(super) telling: i64,
    /// Whether there is a replica that waits for no windows, and may make changes beside those who have
    /// some.
    pub(super) is_beside_older: bool,
}

/// A renewal that has been confirmed.
pub(super) struct Renewal {
    pub(super) telling: Telling,
    /// Absent where there was no row any more.
    pub(super) found: Option<Found>,
    /// What everything under way had been held against before it was sent: epoch and stamp.
    pub(super) settled: (i64, i64),
    pub(super) sent: Duration,
    pub(super) confirmed: Duration,
}

/// A renewal that takes longer does not count. So whoever has waited for that long after a commit
/// sees each one that was sent before it and counts.
pub(super) const PROMPT: Duration = Duration::from_millis(250);

/// Clocks that differ by more are not those of machines that somebody looks after.
pub(super) const ASTRAY: TimeDelta = TimeDelta::seconds(1);

impl Default for Autonomy {
    fn default() -> Self {
        let telling =
            Telling { number: 1, window: Duration::ZERO, is_told: false, is_durable: true };
        let granted = Granted { telling, anchor: None, cap: Duration::ZERO, since: Duration::ZERO };
        Self {
            granted: Mutex::new(granted),
            is_away: AtomicBool::default(),
            is_stale: AtomicBool::default(),
            proved_at: AtomicU64::default(),
            ahead: AtomicI64::default(),
            went: Notify::new(),
        }
    }
}

impl Autonomy {
    /// Whether what is under way at a gateway of this window may go on.
    pub(crate) fn holds(&self, window: Duration, now: Duration) -> bool {
        !self.remains(window, now).is_zero()
    }

    /// For how long from now on that will hold, where the database does not answer any more.
    pub(crate) fn remains(&self, window: Duration, now: Duration) -> Duration {
        let granted = self.granted.lock();
        let until = granted.anchor.map(|it| it + window.min(granted.cap));
        until.unwrap_or_default().saturating_sub(now)
    }

    /// How old what is known is, where calls are decided by it because there is nothing else.
    pub(crate) fn age(&self, now: Duration) -> Option<Duration> {
        let is_used = self.is_away() && !self.is_stale.load(Ordering::SeqCst);
        let proved_at = Duration::from_millis(self.proved_at.load(Ordering::SeqCst));
        is_used.then(|| now.saturating_sub(proved_at))
    }

    /// Whether the database is away.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::SeqCst)
    }

    /// Resolves when it goes away the next time.
    pub(crate) fn goes_away(&self) -> impl Future<Output = ()> + '_ {
        self.went.notified()
    }

    /// It does not answer.
    pub(crate) fn lose(&self) {
        if !self.is_away.swap(true, Ordering::SeqCst) {
            tracing::warn!("The database is away");
        }
        self.went.notify_waiters();
    }

    /// It has answered, to a question that was put then, that there is nothing new.
    pub(crate) fn prove(&self, as_of: Duration) {
        let millis = u64::try_from(as_of.as_millis()).unwrap_or(u64::MAX);
        self.proved_at.store(millis, Ordering::SeqCst);
        self.is_stale.store(false, Ordering::SeqCst);
        if self.is_away.swap(false, Ordering::SeqCst) {
            tracing::info!("The database is there again");
        }
    }

    /// It has answered that there is something new.
    pub(crate) fn doubt(&self) {
        self.is_stale.store(true, Ordering::SeqCst);
    }

    /// Nothing counts any more that was sent until now.
    pub(crate) fn forfeit(&self, now: Duration) {
        let mut granted = self.granted.lock();
        granted.anchor = None;
        granted.since = now;
    }

    /// The clocks agree with the database's, now.
    pub(super) fn set_clocks(&self, now: DateTime<Utc>, elapsed: Duration) {
        self.ahead.store(ahead(now, elapsed), Ordering::SeqCst);
    }

    /// Whether nobody has set the clock since, by which cut-offs and tokens end. If somebody has, no
    /// window counts any more.
    pub(crate) fn has_clocks(&self, now: DateTime<Utc>, elapsed: Duration) -> bool {
        let moved = ahead(now, elapsed).abs_diff(self.ahead.load(Ordering::SeqCst));
        let is_right = moved <= ASTRAY.num_milliseconds().unsigned_abs();
        if !is_right {
            self.forfeit(elapsed);
        }
        is_right
    }

    /// What the row is to tell where this is the widest window. A smaller one holds from now on,
    /// before anybody reads of it.
    pub(super) fn plan(&self, widest: Duration) -> Telling {
        let mut granted = self.granted.lock();
        if granted.telling.window != widest {
            granted.tell(widest);
            granted.cap = granted.cap.min(widest);
        }
        granted.telling
    }

    /// Counts from a renewal, if it counts; whether the next one might that was sent at once.
    pub(super) fn renewed(&self, renewal: &Renewal) -> bool {
        let Renewal { telling, found, settled, sent, confirmed } = renewal;
        let mut granted = self.granted.lock();
        if granted.telling.number != telling.number {
            return true;
        }
        let Some(found) = found else {
            // Nobody has waited for it meanwhile, and the next telling must be another one.
            granted.anchor = None;
            granted.since = *confirmed;
            let window = telling.window;
            granted.tell(window);
            return true;
        };
        if !granted.telling.is_told {
            granted.telling.is_told = true;
            return !telling.window.is_zero();
        }
        let tells = found.telling == telling.number
            && u64::try_from(found.autonomy_seconds) == Ok(telling.window.as_secs());
        if !tells {
            // Lost with a database that this one has taken the place of.
            granted.anchor = None;
            granted.since = *confirmed;
            let window = telling.window;
            granted.tell(window);
            return true;
        }
        if found.is_beside_older {
            granted.anchor = None;
            granted.since = *confirmed;
            return false;
        }
        let is_prompt = confirmed.saturating_sub(*sent) <= PROMPT;
        let is_known = (found.epoch, found.stamp) == *settled;
        if is_prompt && is_known && granted.since <= *sent {
            granted.cap = telling.window;
            granted.anchor = granted.anchor.max(Some(*sent));
        }
        false
    }
}

fn ahead(now: DateTime<Utc>, elapsed: Duration) -> i64 {
    now.timestamp_millis() - i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

impl Granted {
    fn tell(&mut self, window: Duration) {
        let number = self.telling.number + 1;
        self.telling = Telling { number, window, is_told: false, is_durable: true };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_window_counts_from_before_the_renewal_after_the_one_that_told_it() {
        let autonomy = Autonomy::default();
        assert!(renew(&autonomy, 6, 10 * SECOND, |_| {}), "another one may count");
        assert!(!autonomy.holds(6 * SECOND, 10 * SECOND));
        assert!(!renew(&autonomy, 6, 11 * SECOND, |_| {}));
        assert!(autonomy.holds(6 * SECOND, 16 * SECOND));
        assert!(!autonomy.holds(6 * SECOND, 17 * SECOND));
        assert!(autonomy.holds(2 * SECOND, 12 * SECOND));
        assert!(!autonomy.holds(2 * SECOND, 13 * SECOND));
        assert!(!autonomy.holds(Duration::ZERO, 11 * SECOND));
        // Nor is a wider one that the row does not tell.
        assert!(!autonomy.holds(60 * SECOND, 17 * SECOND));
    }

    #[test]
    fn renewals_that_do_not_count_change_nothing() {
        type Spoil = fn(&mut Renewal);
        let spoils: [Spoil; 3] = [
            |it| it.found.as_mut().unwrap().epoch += 1,
            |it| it.found.as_mut().unwrap().stamp += 1,
            |it| it.confirmed = it.sent + PROMPT + Duration::from_millis(1),
        ];
        for spoil in spoils {
            let autonomy = granted(6);
            renew(&autonomy, 6, 13 * SECOND, spoil);
            assert!(autonomy.holds(6 * SECOND, 16 * SECOND));
            assert!(!autonomy.holds(6 * SECOND, 17 * SECOND));
        }
    }

    #[test]
    fn a_row_that_was_lost_or_tells_something_else_ends_it() {
        type Spoil = fn(&mut Renewal);
        let spoils: [Spoil; 3] = [
            |it| it.found = None,
            |it| it.found.as_mut().unwrap().telling -= 1,
            |it| it.found.as_mut().unwrap().autonomy_seconds -= 1,
        ];
        for spoil in spoils {
            let autonomy = granted(6);
            assert!(renew(&autonomy, 6, 13 * SECOND, spoil));
            assert!(!autonomy.holds(6 * SECOND, 13 * SECOND));
            let number = autonomy.plan(6 * SECOND).number;
            assert!(renew(&autonomy, 6, 14 * SECOND, |_| {}));
            assert!(!autonomy.holds(6 * SECOND, 14 * SECOND));
            renew(&autonomy, 6, 15 * SECOND, |_| {});
            assert!(autonomy.holds(6 * SECOND, 15 * SECOND));
            assert!(2 < number, "it is told anew");
        }
    }

    #[test]
    fn beside_a_version_that_waits_for_no_window_there_is_none() {
        let autonomy = granted(6);
        renew(&autonomy, 6, 12 * SECOND, |it| it.found.as_mut().unwrap().is_beside_older = true);
        assert!(!autonomy.holds(6 * SECOND, 12 * SECOND));
        renew(&autonomy, 6, 13 * SECOND, |_| {});
        assert!(autonomy.holds(6 * SECOND, 13 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_ends_it() {
        let at = |seconds: i64| DateTime::from_timestamp(1_000 + seconds, 0).unwrap();
        for (set, expected) in [(0, true), (1, true), (3_600, false), (-3_600, false)] {
            let autonomy = granted(6);
            autonomy.set_clocks(at(11), 11 * SECOND);
            assert_eq!(autonomy.has_clocks(at(12 + set), 12 * SECOND), expected, "{set}");
            assert_eq!(autonomy.holds(6 * SECOND, 12 * SECOND), expected, "{set}");
        }
    }

    #[test]
    fn a_smaller_window_holds_at_once_and_a_wider_one_when_it_is_told() {
        let autonomy = granted(6);
        autonomy.plan(2 * SECOND);
        assert!(autonomy.holds(6 * SECOND, 12 * SECOND));
        assert!(!autonomy.holds(6 * SECOND, 13 * SECOND));
        let autonomy = granted(6);
        renew(&autonomy, 60, 12 * SECOND, |_| {});
        assert!(!autonomy.holds(60 * SECOND, 17 * SECOND));
        renew(&autonomy, 60, 13 * SECOND, |_| {});
        assert!(autonomy.holds(60 * SECOND, 72 * SECOND));
    }

    #[test]
    fn what_is_forfeit_does_not_come_back_by_what_was_sent_before() {
        let autonomy = granted(6);
        autonomy.forfeit(14 * SECOND);
        assert!(!autonomy.holds(6 * SECOND, 14 * SECOND));
        renew(&autonomy, 6, 13 * SECOND, |_| {});
        assert!(!autonomy.holds(6 * SECOND, 14 * SECOND));
        renew(&autonomy, 6, 14 * SECOND, |_| {});
        assert!(autonomy.holds(6 * SECOND, 14 * SECOND));
    }

    #[test]
    fn memory_serves_only_while_the_database_is_away_and_nothing_newer_is_known() {
        let autonomy = granted(6);
        autonomy.prove(11 * SECOND);
        assert_eq!(autonomy.age(12 * SECOND), None);
        autonomy.lose();
        assert_eq!(autonomy.age(12 * SECOND), Some(SECOND));
        autonomy.doubt();
        assert_eq!(autonomy.age(12 * SECOND), None);
        autonomy.prove(13 * SECOND);
        assert_eq!(autonomy.age(13 * SECOND), None);
    }

    /// Granted by a renewal that was sent at 11 s.
    fn granted(seconds: u32) -> Autonomy {
        let autonomy = Autonomy::default();
        renew(&autonomy, seconds, 10 * SECOND, |_| {});
        renew(&autonomy, seconds, 11 * SECOND, |_| {});
        autonomy
    }

    fn renew(
        autonomy: &Autonomy,
        seconds: u32,
        sent: Duration,
        spoil: impl FnOnce(&mut Renewal),
    ) -> bool {
        let telling = autonomy.plan(seconds * SECOND);
        let found = Found {
            epoch: 5,
            stamp: 7,
            autonomy_seconds: seconds.into(),
            telling: telling.number,
            is_beside_older: false,
        };
        let confirmed = sent + Duration::from_millis(1);
        let settled = (5, 7);
        let mut renewal = Renewal { telling, found: Some(found), settled, sent, confirmed };
        spoil(&mut renewal);
        autonomy.renewed(&renewal)
    }
}
