//! What this process knows by itself of a counter in the store.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use domain::limits::{Allowance, Bucket, Limit, Rate, Short, Spent};

use super::Now;

pub(super) struct Own {
    pub(super) limit: Arc<Limit>,
    /// What this process has charged.
    used: Used,
    /// Used, and not yet charged to the store.
    pub(super) owed: u64,
    /// Units of a quota that this process has brought there, of which some may be left.
    pub(super) brought: u64,
    pub(super) touched_at: Duration,
}

enum Used {
    Rate(Bucket),
    Quota(Spent),
}

impl Own {
    pub(super) fn new(limit: &Arc<Limit>) -> Self {
        let used = match limit.allowance {
            Allowance::Rate(_) => Used::Rate(Bucket::default()),
            Allowance::Quota(quota) => Used::Quota(quota.unspent(DateTime::UNIX_EPOCH)),
        };
        let limit = Arc::clone(limit);
        Self { limit, used, owed: 0, brought: 0, touched_at: Duration::ZERO }
    }

    /// Whether this process alone has not used up what the limit allows. Of a rate it may have twice
    /// the burst, since what comes at even times leaves at uneven ones.
    pub(super) fn check(&mut self, limit: &Arc<Limit>, cost: u64, now: Now) -> Result<(), Short> {
        if self.limit.allowance != limit.allowance {
            let owed = self.owed;
            let used = match (&self.used, limit.allowance) {
                (Used::Rate(bucket), Allowance::Rate(_)) => Used::Rate(*bucket),
                (Used::Quota(spent), Allowance::Quota(_)) => Used::Quota(*spent),
                _ => Self::new(limit).used,
            };
            *self = Self { used, owed, ..Self::new(limit) };
        }
        self.touched_at = now.elapsed;
        if limit.allowance.most() < cost {
            return Err(Short::Ever);
        }
        match (&self.used, limit.allowance) {
            (Used::Rate(bucket), Allowance::Rate(rate)) => {
                let twice = Rate { burst: rate.burst.saturating_mul(2), ..rate };
                twice.peek(bucket, cost, now.elapsed)
            }
            (Used::Quota(spent), Allowance::Quota(quota)) => {
                quota.take(&mut spent.clone(), cost, now.wall)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn charge(&mut self, units: u64, now: Now) {
        match (&mut self.used, self.limit.allowance) {
            (Used::Rate(bucket), Allowance::Rate(rate)) => {
                rate.overdraw(bucket, units, now.elapsed);
            }
            (Used::Quota(spent), Allowance::Quota(quota)) => {
                quota.overdraw(spent, units, now.wall);
            }
            _ => {}
        }
    }
}
