//! Whole-system scenarios: the real binary, clients of both eras, and a server that the test plays.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod alone;
mod bridged;
mod browser;
mod cancel;
mod children;
mod clients;
mod crosstalk;
mod egress;
mod eras;
mod floods;
mod framing;
mod headers;
mod json;
mod levels;
mod listening;
mod listings;
mod logs;
mod permits;
mod proofs;
mod recorded;
mod refusals;
mod rules;
mod samples;
mod scene;
mod secrets;
mod served;
mod sessions;
mod sizes;
mod starved;
mod stdio;
mod streams;
mod subscriptions;
mod tasks;
mod text;
mod upstreams;
