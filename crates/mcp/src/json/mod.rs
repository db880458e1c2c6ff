//! Strict RFC 8259 JSON, borrowed.
//!
//! Two parsers that read the same bytes differently are how a policy is walked around. So a
//! document is accepted only if all parsers must agree on it: one value, valid UTF-8, no duplicate
//! member names (compared after decoding escapes), no lone surrogates, bounded depth and size of
//! names. After [`check`] the bytes are walked in place through [`Raw`]; no tree is ever built, and
//! numbers and unknown members keep the exact text that they came with.

mod notes;
mod quote;
mod raw;
mod scan;

pub(crate) use notes::Notes;
pub use quote::{canonical, quote, quote_into, sorted};
pub use raw::{Items, Kind, Members, Raw};
pub(crate) use raw::{Member, Spans};
pub use scan::check;
pub(crate) use scan::check_noted;

/// Bounds on one document. Its size in bytes is bounded by whoever read it from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers open at once.
    pub depth: usize,
    /// Member names in the whole document.
    pub members: usize,
    /// Bytes of one member name as it is written, escapes not decoded.
    pub key_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, members: 100_000, key_bytes: 4096 }
    }
}

/// Why a document is refused. `at` is a byte offset into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not JSON at byte {at}")]
    Syntax { at: usize },
    #[error("JSON is nested too deeply at byte {at}")]
    TooDeep { at: usize },
    #[error("JSON has too many members")]
    TooManyMembers,
    #[error("member name is too long at byte {at}")]
    KeyTooLong { at: usize },
    #[error("duplicate member name at byte {at}")]
    DuplicateKey { at: usize },
    #[error("member name holds U+0000 at byte {at}")]
    NulInKey { at: usize },
    #[error("not UTF-8 at byte {at}")]
    InvalidUtf8 { at: usize },
    #[error("lone surrogate at byte {at}")]
    LoneSurrogate { at: usize },
    #[error("more bytes after the JSON value at byte {at}")]
    TrailingBytes { at: usize },
}

#[cfg(test)]
pub(crate) mod tests;
