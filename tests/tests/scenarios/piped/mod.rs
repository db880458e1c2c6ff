//! `ostiary bridge`: clients on a pipe. The gateway is a real one, or is played by the test, where it
//! matters what exactly is sent to it and what it does then.

mod given_up;
mod peers;
mod plain;
mod served;
mod sessions;
mod snippets;
mod streams;
mod troubles;

/// The newest revision with sessions.
const NEWEST: &str = "2025-11-25";
