//! Quotas: so many units in each day or month of the calendar, in UTC.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveTime, Utc};

use super::{Lease, Short, needed};

/// So many units in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// 1 to [`super::MOST_UNITS`].
    pub amount: u64,
    pub per: Window,
}

/// Of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    Day,
    Month,
}

/// What has been used in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// When the window began.
    pub since: DateTime<Utc>,
    /// More than the quota where an answer has overdrawn it.
    pub units: u64,
}

impl Window {
    /// Beginning and end of the window around a moment.
    pub fn around(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let day = now.date_naive();
        let first = match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        };
        let next = match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Month => first.checked_add_months(Months::new(1)),
        };
        // The calendar ends in the year 262142.
        let next = next.unwrap_or(first);
        (first.and_time(NaiveTime::MIN).and_utc(), next.and_time(NaiveTime::MIN).and_utc())
    }
}

impl Quota {
    /// Nothing used yet.
    pub fn unspent(&self, now: DateTime<Utc>) -> Spent {
        Spent { since: self.per.around(now).0, units: 0 }
    }

    /// Takes units at a moment, all or none. What costs nothing needs room for one unit.
    ///
    /// # Errors
    /// Where there are not so many; nothing has been taken then.
    pub fn take(&self, spent: &mut Spent, cost: u64, now: DateTime<Utc>) -> Result<(), Short> {
        self.turn(spent, now);
        if self.amount < needed(cost) {
            return Err(Short::Ever);
        }
        if self.left(spent) < needed(cost) {
            return Err(Short::For(self.remains(spent, now)));
        }
        self.overdraw(spent, cost, now);
        Ok(())
    }

    /// Takes units that have been used already, whether they are there or not.
    pub fn overdraw(&self, spent: &mut Spent, cost: u64, now: DateTime<Utc>) {
        self.turn(spent, now);
        spent.units = spent.units.saturating_add(cost);
    }

    /// Takes units for somebody who will use them in the same window, or give them back: up to
    /// `wanted`, and `cost` at least.
    ///
    /// # Errors
    /// Where not even that is there; nothing has been taken then.
    pub fn lease(
        &self,
        spent: &mut Spent,
        (cost, wanted): (u64, u64),
        now: DateTime<Utc>,
    ) -> Result<Lease, Short> {
        self.turn(spent, now);
        let units = needed(cost).max(wanted.min(self.left(spent)));
        self.take(spent, units, now)?;
        Ok(Lease { units, life: self.remains(spent, now), window: Some(spent.since) })
    }

    /// Takes back units that nobody has used of a lease in that window.
    pub fn give_back(&self, spent: &mut Spent, units: u64, window: DateTime<Utc>) {
        if spent.since == window {
            spent.units = spent.units.saturating_sub(units);
        }
    }

    /// How many units are left in the window.
    pub fn left(&self, spent: &Spent) -> u64 {
        self.amount.saturating_sub(spent.units)
    }

    /// When the window ends.
    pub fn ends(&self, spent: &Spent) -> DateTime<Utc> {
        self.per.around(spent.since).1
    }

    fn remains(&self, spent: &Spent, now: DateTime<Utc>) -> Duration {
        (self.ends(spent) - now).to_std().unwrap_or_default()
    }

    /// Begins a new window where its time has come. A clock that is set back begins none.
    fn turn(&self, spent: &mut Spent, now: DateTime<Utc>) {
        let (since, _) = self.per.around(now);
        if spent.since < since {
            *spent = Spent { since, units: 0 };
        }
    }
}
