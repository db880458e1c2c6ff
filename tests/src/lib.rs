//! What whole-system scenarios are told with.
//!
//! - [`Gateway`] is the real binary, started for one test.
//! - [`Client`] speaks to it as a client of either era, [`raw`] as whoever writes any bytes.
//! - [`Upstream`] is the server behind it. What arrives there is answered by the test itself, or by
//!   a script that the test has given it, and kept in a ledger.
//! - [`Record`]s are what the gateway has written into its log.
//! - [`Site`] is the folder of `ostiary serve`, [`Served`] one life of it, with its admin API,
//!   [`Documents`] what it is started with.
//! - [`Piped`] is `ostiary bridge`, for a client on a pipe.
//! - [`Load`] is many clients that call as fast as they can, [`Ledger`] a server that knows what has
//!   reached it when.
//!
//! Nothing sleeps: whoever waits, waits for something, and no longer than [`wait::PATIENCE`].
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

pub mod archive;
pub mod client;
pub mod disk;
pub mod documents;
pub mod faults;
mod folder;
pub mod gateway;
pub mod ledger;
pub mod line;
pub mod load;
pub mod peers;
pub mod piped;
pub mod port;
pub mod raw;
pub mod records;
pub mod relay;
pub mod serve;
pub mod text;
pub mod upstream;
pub mod valkey;
pub mod wait;

pub use client::{Answer, Client, Era, Paired, Post, Streamed};
pub use documents::Documents;
pub use gateway::Gateway;
pub use ledger::Ledger;
pub use load::{Caller, Load};
pub use piped::Piped;
pub use records::Record;
pub use relay::Relay;
pub use serve::{Served, Site};
pub use upstream::{Arrived, Plan, Upstream};
