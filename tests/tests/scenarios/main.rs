//! Whole-system scenarios: the real binary, clients of both eras, and a server that the test plays.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod alone;
mod browser;
mod cancel;
mod children;
mod clients;
mod crosstalk;
mod egress;
mod eras;
mod headers;
mod json;
mod listening;
mod listings;
mod permits;
mod recorded;
mod rules;
mod samples;
mod scene;
mod served;
mod sessions;
mod sizes;
mod stdio;
mod streams;
mod text;
mod upstreams;
