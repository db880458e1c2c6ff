//! Values from one era to the other, where nothing but the value has to change.
//!
//! Every function collects edits in a [`Splice`] over the body that holds the value; what the target
//! revision understands, and what nobody knows, stays as it is. Loops of questions and answers,
//! subscriptions and tasks are state, and not converted here.

mod content;
mod elicitation;
mod uris;

use bytes::Bytes;

use crate::errors::{
    HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY, RESOURCE_NOT_FOUND,
    UNSUPPORTED_VERSION, URL_ELICITATION_REQUIRED,
};
use crate::json::{Limits, Raw};
use crate::meta;
use crate::methods;
use crate::revision::{Era, Revision};
use crate::splice::Splice;

pub use elicitation::{downgrade_elicitation, lift_elicitation_answer};
pub use uris::expose_uris;

/// How long a modern result may be reused, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheHints {
    /// In milliseconds; 0 means not at all.
    pub ttl_ms: u64,
    /// Whether it may be shared between authorization contexts.
    pub is_public: bool,
}

impl CacheHints {
    /// Not reusable at all.
    pub const NONE: Self = Self { ttl_ms: 0, is_public: false };

    /// The hints of a result; what is absent or makes no sense counts as the stricter value, and a
    /// time above `most_ms` as `most_ms`.
    pub fn of(result: Raw<'_>, most_ms: u64) -> Self {
        let ttl = result.get("ttlMs");
        let whole = ttl.and_then(Raw::u64);
        let far = || ttl.and_then(Raw::f64).filter(|ms| *ms >= 1.0).map(|_| most_ms);
        // Fractions and exponents are legal spellings of a time, and too rare for more precision.
        let fraction = || ttl.filter(|ttl| !ttl.is_integer()).and_then(Raw::f64).and_then(whole_ms);
        let ttl_ms = whole.or_else(fraction).or_else(far).unwrap_or(0).min(most_ms);
        let scope = result.get("cacheScope").and_then(Raw::str);
        Self { ttl_ms, is_public: scope.as_deref() == Some("public") }
    }

    /// The stricter of both, for a result that is made of two.
    pub fn and(self, other: Self) -> Self {
        Self { ttl_ms: self.ttl_ms.min(other.ttl_ms), is_public: self.is_public && other.is_public }
    }

    fn scope(self) -> &'static str {
        if self.is_public { "\"public\"" } else { "\"private\"" }
    }
}

/// Makes a legacy result of `method` a modern one: `resultType` is set if it is absent, cache hints
/// are set where given, and what only legacy clients can use is taken away.
pub fn to_modern_result(
    splice: &mut Splice,
    method: &str,
    result: Raw<'_>,
    hints: Option<CacheHints>,
) {
    if result.get("resultType").is_none() {
        splice.set_member(result, "resultType", Bytes::from_static(b"\"complete\""));
    }
    if let Some(hints) = hints {
        splice.set_member(result, "ttlMs", hints.ttl_ms.to_string());
        splice.set_member(result, "cacheScope", hints.scope());
    }
    if method == "tools/list" {
        // `execution.taskSupport` speaks of the tasks of 2025-11-25, which are gone.
        for tool in result.get("tools").into_iter().flat_map(Raw::items) {
            splice.remove_member(tool, "execution");
        }
    }
}

/// Adds to a modern result of `method` what it must have and its server has left out: strict clients
/// take nothing else. Hints that are not given are the strictest.
pub fn complete_modern_result(splice: &mut Splice, method: &str, result: Raw<'_>) {
    let mut set = |key: &str, value: &'static [u8]| {
        if result.get(key).is_none() {
            splice.set_member(result, key, Bytes::from_static(value));
        }
    };
    let kind = result.get("resultType");
    set("resultType", b"\"complete\"");
    let is_complete = kind.is_none_or(|it| it.str().as_deref() == Some("complete"));
    if is_complete && methods::describe(method).is_some_and(|it| it.has_cache_hints) {
        set("ttlMs", b"0");
        set("cacheScope", b"\"private\"");
    }
}

/// One tool of a list as a client of `revision` is shown it; `spoken` is the era of its server.
pub fn listed_tool(tool: &Bytes, spoken: Era, revision: Revision) -> Bytes {
    let Ok(root) = Raw::parse(tool, Limits::default()) else { return tool.clone() };
    let mut splice = Splice::new(tool.clone());
    match (spoken, revision.era()) {
        (Era::Legacy, Era::Modern) => splice.remove_member(root, "execution"),
        (_, Era::Legacy) => content::downgrade_tool(&mut splice, root, revision),
        (Era::Modern, Era::Modern) => return tool.clone(),
    }
    splice.finish().into_bytes()
}

/// A tool without what it says of tasks of revision 2025-11-25, for whoever cannot follow one.
pub fn without_tasks(tool: &Bytes) -> Bytes {
    match Raw::parse(tool, Limits::default()) {
        Ok(root) if root.get("execution").is_some() => {
            let mut splice = Splice::new(tool.clone());
            splice.remove_member(root, "execution");
            splice.finish().into_bytes()
        }
        _ => tool.clone(),
    }
}

/// A tool that can be called for a task of revision 2025-11-25, and need not be.
pub fn with_tasks(tool: &Bytes) -> Bytes {
    let Ok(root) = Raw::parse(tool, Limits::default()) else { return tool.clone() };
    let mut splice = Splice::new(tool.clone());
    splice.set_member(root, "execution", Bytes::from_static(br#"{"taskSupport":"optional"}"#));
    splice.finish().into_bytes()
}

/// Makes a modern result of `method` one that a client of the legacy `revision` understands.
pub fn to_legacy_result(splice: &mut Splice, method: &str, result: Raw<'_>, revision: Revision) {
    for key in ["resultType", "ttlMs", "cacheScope"] {
        splice.remove_member(result, key);
    }
    strip_modern_meta(splice, result);
    downgrade_result(splice, method, result, revision);
}

/// Replaces what came after `revision` in a result of `method` by what it has instead. Results
/// between two legacy revisions need nothing else.
pub fn downgrade_result(splice: &mut Splice, method: &str, result: Raw<'_>, revision: Revision) {
    match method {
        "tools/call" => content::downgrade_call_result(splice, result, revision),
        "tools/list" => {
            for tool in result.get("tools").into_iter().flat_map(Raw::items) {
                content::downgrade_tool(splice, tool, revision);
            }
        }
        "prompts/get" => {
            for message in result.get("messages").into_iter().flat_map(Raw::items) {
                if let Some(block) = message.get("content") {
                    content::downgrade_block(splice, block, revision);
                }
            }
        }
        _ => {}
    }
}

/// Makes the params of a modern notification those that `revision` knows.
pub fn to_legacy_notification(
    splice: &mut Splice,
    method: &str,
    params: Raw<'_>,
    revision: Revision,
) {
    strip_modern_meta(splice, params);
    if method == "notifications/progress" && revision < Revision::V2025_03_26 {
        splice.remove_member(params, "message");
    }
}

/// Makes the params of a modern request those of a legacy one for an upstream of `revision`. The
/// log level and the capabilities are lost here; they belong to the upstream session.
pub fn to_legacy_params(splice: &mut Splice, method: &str, params: Raw<'_>, revision: Revision) {
    strip_modern_meta(splice, params);
    if methods::describe(method).is_some_and(|method| method.may_ask) {
        splice.remove_member(params, "inputResponses");
        splice.remove_member(params, "requestState");
    }
    downgrade_params(splice, method, params, revision);
}

/// Takes away what an upstream of `revision` does not know in the params of `method`.
pub fn downgrade_params(splice: &mut Splice, method: &str, params: Raw<'_>, revision: Revision) {
    if method == "completion/complete" && revision < Revision::V2025_06_18 {
        splice.remove_member(params, "context");
    }
}

/// Makes the params of a `sampling/createMessage` what a client of `revision` can read.
pub fn downgrade_sampling(splice: &mut Splice, params: Raw<'_>, revision: Revision) {
    for message in params.get("messages").into_iter().flat_map(Raw::items) {
        content::split_message(splice, message, revision);
    }
}

/// The code that a modern client is told for an upstream's legacy one.
pub fn to_modern_code(code: i32) -> i32 {
    match code {
        RESOURCE_NOT_FOUND => INVALID_PARAMS,
        // Where it can be turned into a question it has been; here it is only a failure.
        URL_ELICITATION_REQUIRED => INTERNAL_ERROR,
        other => other,
    }
}

/// The code that a legacy client is told for an upstream's modern one.
pub fn to_legacy_code(method: &str, code: i32) -> i32 {
    match code {
        INVALID_PARAMS if method == "resources/read" => RESOURCE_NOT_FOUND,
        // These speak of headers and `_meta` that the client knows nothing of.
        HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => INTERNAL_ERROR,
        other => other,
    }
}

/// Replaces the code of an error object for a client of the given era, if it has to change.
pub fn convert_error(splice: &mut Splice, method: &str, error: Raw<'_>, client: Era) {
    let Some(code) = error.get("code") else { return };
    let Some(number) = code.i64().and_then(|number| i32::try_from(number).ok()) else { return };
    let converted = match client {
        Era::Modern => to_modern_code(number),
        Era::Legacy => to_legacy_code(method, number),
    };
    if converted != number {
        splice.replace_value(code, converted.to_string());
    }
}

/// Takes the entries of the modern protocol out of `holder._meta` and leaves all others. The
/// `_meta` itself stays, so that entries may still be set in it.
pub fn strip_modern_meta(splice: &mut Splice, holder: Raw<'_>) {
    let Some(entries) = holder.get(meta::META).filter(|entries| entries.is_object()) else {
        return;
    };
    for (key, _) in entries.members() {
        // The one key under the prefix that legacy revisions have as well.
        if key.starts_with(meta::PREFIX) && key != meta::RELATED_TASK {
            splice.remove_member(entries, &key);
        }
    }
}

/// A finite time in ms without its fraction, if it is one.
fn whole_ms(ms: f64) -> Option<u64> {
    if ms < 0.0 { None } else { format!("{:.0}", ms.floor()).parse().ok() }
}

#[cfg(test)]
mod tests;
