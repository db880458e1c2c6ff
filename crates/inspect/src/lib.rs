//! Content rules: what may pass between a client and a server, and in what shape.
//!
//! [`Rules`] is compiled once and asked on the hot path with the bytes of one JSON value. The
//! rules run in their order. Each sees what the ones before it left, and the first that blocks
//! ends it: what stands after it neither runs nor counts.
//!
//! What is looked at:
//!
//! * every string value, decoded. A string that is itself JSON text is text like any other, so
//!   that a number masked inside it is no number there;
//! * every number, by its literal. A number that is edited becomes a string;
//! * the keys of objects, by rules that block. They are never edited, since a key that changed
//!   would be another argument, or collide with its neighbour.
//!
//! The few words of a result that say what it is made of, such as the type of a content block,
//! are not looked at.
//!
//! Structure is kept by construction: an edit replaces one literal by one string literal, and
//! nothing else is written.
//!
//! Everything is pure. Clean content costs time linear in its length. Edits have a budget, and a
//! message that would exceed it is blocked, since half an edit lets the other half through.

mod action;
mod bits;
mod json;
mod keywords;
mod pass;
mod prefilter;
mod rule;
mod rules;
mod runs;
#[cfg(test)]
mod tests;
pub mod tokens;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

pub use rule::RuleError;
pub use rules::Rules;

/// Which way the content travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// From the client to the server: `params.arguments`.
    Request,
    /// From the server to the client: `result`.
    Response,
}

/// The legs a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    pub request: bool,
    pub response: bool,
}

/// What happens to a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole message is refused; `message` is for the client.
    Block { message: String },
    /// The match becomes `[redacted]`.
    Redact,
    /// The match becomes `with`. `$1`, `${1}` and `${name}` stand for what a group matched, `$0`
    /// for the whole match and `$$` for a dollar sign.
    Replace { with: String },
    /// Each character becomes `*`, except the last `keep_last`. A match of no more than
    /// `keep_last` characters is masked whole, since nothing of it would be hidden otherwise.
    Mask { keep_last: usize },
    /// The match becomes `[sha256:` and 12 hexadecimal digits of its HMAC-SHA-256 under the
    /// rules' salt: equal values stay equal, and a value cannot be guessed without the salt.
    Hash,
}

impl Action {
    /// The action's name as configuration and records write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::Redact => "redact",
            Self::Replace { .. } => "replace",
            Self::Mask { .. } => "mask",
            Self::Hash => "hash",
        }
    }
}

/// The tools a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolScope {
    All,
    /// Each entry is a tool's name on its server, which holds for every server that has such a
    /// tool, or the server's name and the tool's, joined by `__` as gateways join them, or by a
    /// slash. Names that a gateway shortens are for the caller to translate.
    Named(BTreeSet<String>),
}

/// A rule as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate: no look-around and no
    /// back-references, in exchange for linear time.
    pub pattern: String,
    pub legs: Legs,
    pub tools: ToolScope,
    pub action: Action,
    /// The rule counts what it would have done, and does nothing.
    pub observe_only: bool,
}

/// What one rule found in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub rule: Arc<str>,
    /// See [`Action::name`].
    pub action: &'static str,
    pub count: u32,
    pub observed_only: bool,
}

/// A range of the inspected JSON, which is exactly one literal, and the JSON string literal that
/// takes its place.
pub type Edit = (Range<usize>, Vec<u8>);

/// What the rules say about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule hit.
    Clean,
    /// Rules hit. `edits` are in the order of the text and do not overlap; they are empty where
    /// only observing rules hit, or where the replacement is what stood there already. `hits`
    /// are in the order of the rules.
    Edited { edits: Vec<Edit>, hits: Vec<Hit> },
    /// The message must not pass. `message` is for the client; `hits` ends with `rule`'s own.
    Blocked { rule: Arc<str>, message: String, hits: Vec<Hit> },
}

/// The JSON after its edits.
///
/// # Panics
/// If the edits are not those of a verdict on this very JSON.
pub fn splice(json: &[u8], edits: &[Edit]) -> Vec<u8> {
    let grown: usize = edits.iter().map(|(_, with)| with.len()).sum();
    let mut spliced = Vec::with_capacity(json.len() + grown);
    let mut copied_to = 0;
    for (range, with) in edits {
        spliced.extend_from_slice(&json[copied_to..range.start]);
        spliced.extend_from_slice(with);
        copied_to = range.end;
    }
    spliced.extend_from_slice(&json[copied_to..]);
    spliced
}
