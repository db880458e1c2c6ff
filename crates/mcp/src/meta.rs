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
/// On every modern request: its revision.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// On every modern request: what the client can do, for this request.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client says it is; never a security input.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// On results: who the server says it is.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// On modern requests: wanted [`LogLevel`]; absent means no log messages.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// On notifications of a listen stream: the id of the listen request.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Of the tasks of revision 2025-11-25.
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
/// Where the sender wants progress; without prefix since it is older than prefixes.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// W3C trace context, as in the HTTP header of that name.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context, as in the HTTP header of that name.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage, as in the HTTP header of that name.
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

    /// The name on the wire.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    #[test]
    fn entries_are_read_only_if_they_have_the_right_type() {
        let good = r#"{"_meta":{"progressToken":7,"io.modelcontextprotocol/logLevel":"warning",
            "io.modelcontextprotocol/clientCapabilities":{"roots":{}},
            "io.modelcontextprotocol/clientInfo":{"name":"c"},
            "io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let good = Raw::parse(good.as_bytes(), Limits::default()).unwrap();
        assert_eq!(progress_token(good).map(Raw::text), Some("7"));
        assert_eq!(log_level(good), Some(LogLevel::Warning));
        assert_eq!(client_capabilities(good).map(Raw::text), Some(r#"{"roots":{}}"#));
        assert_eq!(client_info(good).map(Raw::text), Some(r#"{"name":"c"}"#));
        assert_eq!(protocol_version(good).as_deref(), Some("2026-07-28"));
        let bad = r#"{"_meta":{"progressToken":1.5,"io.modelcontextprotocol/logLevel":"Loud",
            "io.modelcontextprotocol/clientCapabilities":[],"io.modelcontextprotocol/clientInfo":1,
            "io.modelcontextprotocol/protocolVersion":2026}}"#;
        for text in [bad, "{}", r#"{"_meta":null}"#] {
            let raw = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
            assert_eq!(progress_token(raw).map(Raw::text), None, "{text}");
            assert_eq!(log_level(raw), None, "{text}");
            assert_eq!(client_capabilities(raw).map(Raw::text), None, "{text}");
            assert_eq!(client_info(raw).map(Raw::text), None, "{text}");
            assert_eq!(protocol_version(raw), None, "{text}");
        }
    }

    #[test]
    fn entries_are_set_wherever_the_request_lacks_them() {
        let cases = [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
                r#"{"params":{"_meta":{"a":1,"b":2}},"jsonrpc":"2.0","id":1,"method":"m"}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":[]}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":1,"b":2},"x":[]}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":0,"v":1}}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"b":2,"a":1,"v":1}}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":1,"b":2}}}"#,
            ),
        ];
        for (before, after) in cases {
            let message = Message::parse(Bytes::from_static(before.as_bytes()), Limits::default());
            let message = message.unwrap();
            let mut splice = Splice::new(message.body().clone());
            let entries = [("a", Bytes::from_static(b"1")), ("b", Bytes::from_static(b"2"))];
            set_request_entries(&mut splice, &message, &entries);
            assert_eq!(splice.finish().into_bytes(), after.as_bytes());
        }
    }

    #[test]
    fn severities_stand_in_order() {
        assert!(LogLevel::ALL.is_sorted());
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::parse(level.as_str()), Some(level));
        }
    }
}
