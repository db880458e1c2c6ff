//! What is tried, by what is read.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod bridge;
pub(crate) mod config;
pub(crate) mod convert;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod names;
pub(crate) mod policies;
pub(crate) mod rules;
pub(crate) mod streams;
pub(crate) mod yaml;

/// A text and the rest of an input, apart at the first empty line.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let middle = bytes.windows(2).position(|it| it == b"\n\n");
    middle.map_or((bytes, b""), |at| (&bytes[..at], &bytes[at + 2..]))
}
