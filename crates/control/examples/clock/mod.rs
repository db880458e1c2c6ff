//! The time by which the examples measure.

#![expect(clippy::disallowed_methods, reason = "they measure the real time")]

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The machine's time.
pub(crate) struct RealClock(Instant);

impl RealClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl domain::Clock for RealClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl audit::Clock for RealClock {
    fn now_ms(&self) -> i64 {
        Utc::now().timestamp_millis()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
