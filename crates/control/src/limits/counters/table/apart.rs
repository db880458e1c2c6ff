//! What of the counters is used while the database is away.

use std::time::Duration;

use domain::limits::{Allowance, Charge, Short};
use domain::ports::Uncharged;

use super::{REMEMBER, Slice, State, Table, exceeded};

/// Of how much of a quota each replica may owe a part, without the database.
const OWED_APART: u64 = 10;

/// No window of a quota is longer.
const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);

impl Table {
    /// Charges all of them, or none, without the database.
    pub(in super::super) fn take_apart(
        &mut self,
        charges: &[Charge],
        now: Duration,
    ) -> Result<(), Uncharged> {
        for charge in charges {
            if charge.limit.allowance.most() < charge.cost {
                return Err(exceeded(&charge.limit, Short::Ever));
            }
            self.check_room(charge, now)?;
            match &self.counter(charge, now).state {
                State::Slice(slice) => slice.check_apart(charge, now)?,
                State::Bucket(_) => {}
            }
        }
        match charges.iter().find_map(|it| self.peek(it, now)) {
            Some(refused) => return Err(refused),
            None => self.draw_buckets(charges, now),
        }
        for charge in charges {
            if let Some(slice) = self.slice(charge) {
                slice.draw_apart(charge, now);
            }
        }
        Ok(())
    }
}

impl Slice {
    /// Whether it may be used without the database.
    fn check_apart(&self, charge: &Charge, now: Duration) -> Result<(), Uncharged> {
        let limit = &charge.limit;
        let (is_held, is_owing) = (charge.cost.max(1) <= self.held_at(now), 0 < self.owed());
        if is_held && !is_owing && self.apart.is_none() {
            return Ok(());
        }
        // What the database has said last counts for as long as it meant.
        if let Some(it) = self.short.filter(|it| now < it.at && it.cost <= charge.cost) {
            return Err(exceeded(limit, Short::For(it.at.saturating_sub(now))));
        }
        match limit.allowance {
            Allowance::Rate(rate) => {
                let bucket = self.apart.unwrap_or_default();
                rate.peek(&bucket, charge.cost, now).map_err(|it| exceeded(limit, it))
            }
            Allowance::Quota(_) => {
                // Once in a window, and not once in each outage: what has been paid back is used
                // all the same.
                let most = limit.allowance.most() / OWED_APART;
                let lacking = charge.cost.saturating_sub(self.held_at(now));
                let lent = self.owed().max(if self.remembers(now) { self.lent } else { 0 });
                if lent.saturating_add(lacking) <= most {
                    return Ok(());
                }
                Err(exceeded(limit, Short::For(REMEMBER)))
            }
        }
    }

    /// Uses it, which has been checked.
    fn draw_apart(&mut self, charge: &Charge, now: Duration) {
        let held = self.held_at(now).min(charge.cost);
        match charge.limit.allowance {
            Allowance::Rate(rate) if held < charge.cost || self.apart.is_some() => {
                rate.overdraw(self.apart.get_or_insert_default(), charge.cost, now);
            }
            Allowance::Rate(_) | Allowance::Quota(_) => {
                self.draw(held);
                if !self.remembers(now) {
                    self.lent = 0;
                }
                if held < charge.cost {
                    self.lent = self.lent.saturating_add(charge.cost - held);
                    self.lent_at = now;
                }
                self.debt = self.debt.saturating_add(charge.cost - held);
            }
        }
    }

    /// Whether what has been lent counts still. Where the end of the window has not been told, it does
    /// for as long as the longest.
    pub(super) fn remembers(&self, now: Duration) -> bool {
        let is_of_before = self.lent_at < self.until && self.until <= now;
        0 < self.lent && !is_of_before && now < self.lent_at + MONTH
    }

    fn owed(&self) -> u64 {
        self.debt.saturating_add(self.paying)
    }
}
