//! Conversations across the eras, driven from both sides at once: clients and servers, honest and
//! hostile, time and cancellation, in any order.
//!
//! What the gateway does around the state machines is told here in a few lines without sockets; what
//! must hold is looked at after every step. `PROPTEST_CASES` sets how many such stories are told.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod held;
mod rounds;

use mcp::json::{Limits, Raw};

fn raw(text: &[u8]) -> Raw<'_> {
    Raw::parse(text, Limits::default()).unwrap()
}
