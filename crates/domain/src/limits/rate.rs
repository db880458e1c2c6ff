//! Rates: GCRA, the generic cell rate algorithm (ITU-T I.371), in whole numbers.
//!
//! A bucket holds nothing but the moment at which it will be whole again. Time is counted in ticks,
//! as many to a microsecond as the rate has units to a period, so that one unit is always exactly as
//! many ticks as the period has microseconds, and nothing is ever rounded.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Short, needed};

/// So many units in a period, and as many at once as the burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 1 to [`super::MOST_UNITS`].
    pub amount: u64,
    pub per: Period,
    /// 1 to [`super::MOST_UNITS`].
    pub burst: u64,
}

/// In what time the units of a rate come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

/// How far a rate has been used. The default is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is whole again, in microseconds on the clock that it is used with.
    pub whole_at_us: u64,
    /// And so many ticks later.
    pub ticks: u64,
}

/// Units that have been charged before they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub units: u64,
    /// How long they may be used from the moment on at which they were asked for. Zero means at once,
    /// by whoever has asked.
    pub life: Duration,
    /// The window to which what nobody has used may be given back, where it may.
    pub window: Option<DateTime<Utc>>,
}

/// How long units of a rate may be held before they are used.
pub const SLICE: Duration = Duration::from_millis(100);

/// In microseconds: 142 years. Sums of some of these are exact as floating-point numbers, too.
pub const LONGEST_SPAN: u64 = 1 << 52;

impl Rate {
    /// Takes units at a moment, all or none. What costs nothing needs room for one unit.
    ///
    /// # Errors
    /// Where there are not so many; nothing has been taken then.
    pub fn take(&self, bucket: &mut Bucket, cost: u64, now: Duration) -> Result<(), Short> {
        self.check(bucket, needed(cost), self.capacity(), now)?;
        self.overdraw(bucket, cost, now);
        Ok(())
    }

    /// Takes units that have been used already, whether they are there or not.
    pub fn overdraw(&self, bucket: &mut Bucket, cost: u64, now: Duration) {
        let from = self.whole_at(bucket).max(self.ticks(now));
        let whole_at = from.saturating_add(u128::from(cost) * self.per.micros());
        let amount = u128::from(self.amount.max(1));
        bucket.whole_at_us = u64::try_from(whole_at / amount).unwrap_or(u64::MAX);
        bucket.ticks = u64::try_from(whole_at % amount).unwrap_or_default();
    }

    /// Whether they can be had now.
    ///
    /// # Errors
    /// As [`Rate::take`].
    pub fn peek(&self, bucket: &Bucket, cost: u64, now: Duration) -> Result<(), Short> {
        self.check(bucket, needed(cost), self.capacity(), now)
    }

    /// How many units are used up at a moment, in part counted as whole. Can be more than the burst.
    pub fn used(&self, bucket: &Bucket, now: Duration) -> u64 {
        let level = self.whole_at(bucket).saturating_sub(self.ticks(now));
        u64::try_from(level.div_ceil(self.per.micros())).unwrap_or(u64::MAX)
    }

    /// Takes units for somebody who will use them within [`SLICE`]: up to `wanted`, and `cost` at
    /// least. Whoever looks at when units are used, and not at when they are taken, must not see
    /// more than the rate allows either; so what comes back within a slice is kept out of the
    /// burst. Where that would be too much of it, and for what needs more than is left of it, `cost`
    /// alone is taken, to be used at once.
    ///
    /// # Errors
    /// Where not even that is there; nothing has been taken then.
    pub fn lease(
        &self,
        bucket: &mut Bucket,
        (cost, wanted): (u64, u64),
        now: Duration,
    ) -> Result<Lease, Short> {
        let one = self.per.micros();
        let kept = u128::from(self.amount) * SLICE.as_micros();
        let shared = self.capacity().saturating_sub(kept);
        let at_once = Lease { units: cost, life: Duration::ZERO, window: None };
        if shared < kept.max(one) {
            self.take(bucket, cost, now)?;
            return Ok(at_once);
        }
        if shared < u128::from(needed(cost)) * one {
            if self.burst < cost {
                return Err(Short::Ever);
            }
            // Nobody may hold any: the bucket has been whole for as long as they are held.
            let quiet_at = self.whole_at(bucket).saturating_add(kept);
            self.wait(quiet_at.saturating_sub(self.ticks(now)))?;
            self.take(bucket, cost, now)?;
            return Ok(at_once);
        }
        self.check(bucket, needed(cost), shared, now)?;
        let level = self.whole_at(bucket).saturating_sub(self.ticks(now));
        let room = u64::try_from(shared.saturating_sub(level) / one).unwrap_or(u64::MAX);
        let units = wanted.max(needed(cost)).min(room);
        self.overdraw(bucket, units, now);
        Ok(Lease { units, life: SLICE, window: None })
    }

    /// In what time so many units come back: in microseconds, and ticks beyond. What takes longer than
    /// [`LONGEST_SPAN`] takes so long.
    pub fn span(&self, units: u64) -> (u64, u64) {
        let amount = u128::from(self.amount.max(1));
        let ticks = u128::from(units) * self.per.micros();
        match u64::try_from(ticks / amount) {
            Ok(us) if us < LONGEST_SPAN => (us, u64::try_from(ticks % amount).unwrap_or_default()),
            _ => (LONGEST_SPAN, 0),
        }
    }

    /// How many units come back within [`SLICE`]; one at least.
    pub fn slice(&self) -> u64 {
        let units = u128::from(self.amount) * SLICE.as_micros() / self.per.micros();
        u64::try_from(units).unwrap_or(u64::MAX).max(1)
    }

    fn check(
        &self,
        bucket: &Bucket,
        cost: u64,
        capacity: u128,
        now: Duration,
    ) -> Result<(), Short> {
        let cost = u128::from(cost) * self.per.micros();
        let level = self.whole_at(bucket).saturating_sub(self.ticks(now));
        if capacity < cost {
            return Err(Short::Ever);
        }
        self.wait(level.saturating_add(cost).saturating_sub(capacity))
    }

    /// Nothing to wait for, or how long.
    fn wait(&self, ticks: u128) -> Result<(), Short> {
        if ticks == 0 {
            return Ok(());
        }
        let micros = ticks.div_ceil(u128::from(self.amount.max(1)));
        Err(Short::For(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))))
    }

    fn capacity(&self) -> u128 {
        u128::from(self.burst) * self.per.micros()
    }

    fn ticks(&self, at: Duration) -> u128 {
        at.as_micros() * u128::from(self.amount)
    }

    fn whole_at(&self, bucket: &Bucket) -> u128 {
        u128::from(bucket.whole_at_us) * u128::from(self.amount) + u128::from(bucket.ticks)
    }
}

impl Period {
    fn micros(self) -> u128 {
        match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }
}
