//! The `_meta` member: its keys, and what they say about a request.

use std::borrow::Cow;

use bytes::Bytes;

use crate::envelope::Message;
use crate::json::{Kind, Raw};
use crate::splice::Splice;

/// The member itself.
pub const META: &str = "_meta";
/// Keys under this prefix belong to the modern protocol; all other keys are not ours to touch.
pub const PREFIX: &str = "io.modelcontextprotocol/";
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
pub const PROGRESS_TOKEN: &str = "progressToken";
pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";
pub const BAGGAGE: &str = "baggage";

/// One entry of `params._meta`.
pub fn entry<'a>(params: Raw<'a>, key: &str) -> Option<Raw<'a>> {
    params.get(META)?.get(key)
}

/// The text of the protocol version that a modern request declares.
pub fn protocol_version(params: Raw<'_>) -> Option<Cow<'_, str>> {
    entry(params, PROTOCOL_VERSION)?.str()
}

/// The token under which the sender wants progress; a string or an integer.
pub fn progress_token(params: Raw<'_>) -> Option<Raw<'_>> {
    entry(params, PROGRESS_TOKEN).filter(|token| token.kind() == Kind::String || token.is_integer())
}

/// The capabilities that a modern request declares; an object.
pub fn client_capabilities(params: Raw<'_>) -> Option<Raw<'_>> {
    entry(params, CLIENT_CAPABILITIES).filter(|capabilities| capabilities.is_object())
}

/// Who the client says it is; for display only.
pub fn client_info(params: Raw<'_>) -> Option<Raw<'_>> {
    entry(params, CLIENT_INFO).filter(|info| info.is_object())
}

/// From which level on the client wants log messages on this request's stream.
pub fn log_level(params: Raw<'_>) -> Option<LogLevel> {
    entry(params, LOG_LEVEL)?.str().and_then(|level| LogLevel::parse(&level))
}

/// The severities of RFC 5424, least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of that name on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// Sets entries in the `params._meta` of a message whose body `splice` edits, and makes what is
/// missing on the way. Values are raw JSON. Call it once per splice.
///
/// # Panics
/// If `splice` edits another body than that of `message`.
pub fn set_request_entries(splice: &mut Splice, message: &Message, entries: &[(&str, Bytes)]) {
    match message.params() {
        Some(params) => set_entries(splice, params, entries),
        None => {
            let params = object(&[(META, object(entries))]);
            splice.set_member(message.root(), "params", params);
        }
    }
}

/// Sets entries of the `_meta` of `holder` (the params or result object), and makes a `_meta` if
/// there is none. Values are raw JSON. Call it once per holder: a `_meta` that does not exist yet
/// is written as a whole.
///
/// # Panics
/// If `holder` was not cut from the body of `splice`.
pub fn set_entries(splice: &mut Splice, holder: Raw<'_>, entries: &[(&str, Bytes)]) {
    if let Some(meta) = holder.get(META).filter(|meta| meta.is_object()) {
        for (key, value) in entries {
            splice.set_member(meta, key, value.clone());
        }
        return;
    }
    splice.set_member(holder, META, object(entries));
}

/// An object from names and raw JSON values.
pub fn object(entries: &[(&str, Bytes)]) -> Bytes {
    let mut out = vec![b'{'];
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        crate::json::quote_into(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out.into()
}
