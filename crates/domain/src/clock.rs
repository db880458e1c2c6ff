//! The only door to time and to new ids.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Tells the time and mints ids. The binary has the real one; tests have theirs.
pub trait Clock: Send + Sync {
    /// Wall-clock time in whole microseconds (PostgreSQL keeps no more).
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed point that also counts while the machine is suspended.
    fn elapsed(&self) -> Duration;

    /// A new UUIDv7.
    fn id(&self) -> Uuid;

    /// What anything new needs.
    fn stamp(&self) -> Stamp {
        Stamp { id: self.id(), at: self.now() }
    }
}

/// An id and the time at which it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// UUIDv7.
    pub id: Uuid,
    /// Whole microseconds.
    pub at: DateTime<Utc>,
}
