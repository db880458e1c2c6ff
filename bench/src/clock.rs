//! The one door to the clock: a benchmark is about time, so its parts ask here.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this is the benchmark's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
