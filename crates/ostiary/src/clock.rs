//! The real clock.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// The system's wall clock, and CLOCK_BOOTTIME, which also counts while the machine sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl domain::Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    fn elapsed(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Duration::new(seconds, nanos)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to new ids")]
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl audit::Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        domain::Clock::now(self).timestamp_millis()
    }

    fn monotonic(&self) -> Duration {
        domain::Clock::elapsed(self)
    }
}
