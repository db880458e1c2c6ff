//! What has been acknowledged is recorded, whatever happens: through the real binary, killed before
//! every write and sync of its log, without power, on a full, failing or hanging disk.
//!
//! `OSTIARY_CRASH_POINTS=all` takes every point of a workload instead of some, `OSTIARY_FLIPS=all`
//! every byte of a log.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod failing;
mod flips;
mod full;
mod kill;
mod leaving;
mod workload;
