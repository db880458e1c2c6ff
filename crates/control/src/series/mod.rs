//! What charts show: calls, errors, denials, tokens, bytes and how long calls took, by the minute, hour and day.
//!
//! It is counted from the log itself, by each process from its own, a moment behind: nothing is done for
//! it when a call is made, and there is no queue that could overflow, since the log is the queue. What has
//! been counted is written together with the index up to which it is, in one transaction, and only if that
//! is where it was left. So each record is counted once, whatever crashes and whoever else counts, and
//! charts say what the record says, up to a time that they tell.
//!
//! Each log has rows of its own, which nobody else writes; whoever reads adds them up.

mod api;
mod calls;
mod count;
mod glance;
mod histogram;
mod leaf;
mod lines;
mod open;
mod own;
mod prune;
mod search;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod turns;

pub(crate) use api::routes;
pub(crate) use count::{Series, finish, keep};
pub(crate) use glance::{Glance, glance};
pub use leaf::is_denial;

use histogram::Histogram;
use leaf::Size;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    #[default]
    Minute,
    Hour,
    /// In UTC.
    Day,
}

/// What has been counted under one key in one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    calls: u64,
    size: Size,
    /// What we have added to the time that servers took.
    added: Histogram,
    upstream: Histogram,
}

impl Step {
    const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 24 * 3_600,
        }
    }

    /// For how long its buckets are kept, in seconds.
    fn kept(self) -> i64 {
        match self {
            Self::Minute => 48 * 3_600,
            Self::Hour | Self::Day => 400 * 24 * 3_600,
        }
    }

    /// Under how many keys calls are counted in one bucket. Half as many more are told apart by all but who
    /// has called; what is under others is counted as one.
    fn most_keys(self) -> usize {
        match self {
            Self::Minute => 500,
            Self::Hour => 1_000,
            Self::Day => 4_000,
        }
    }

    /// How many buckets are read at a time: 12 000 rows of each log at most.
    fn at_a_time(self) -> i64 {
        match self {
            Self::Minute => 16,
            Self::Hour => 8,
            Self::Day => 2,
        }
    }

    /// The beginning of the bucket that a time is in.
    fn floor(self, seconds: i64) -> i64 {
        seconds.div_euclid(self.seconds()) * self.seconds()
    }
}
