//! Restarts and upgrades while clients call: no call is lost and no connection refused.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod activated;
mod balancer;
mod drained;
mod followed;
mod ledgers;
mod rolling;
mod unprepared;
mod versions;
