//! One JSON-RPC message: its body, and where its members lie in it.
//!
//! A [`Message`] owns its bytes and keeps ranges into them, so whatever we do not understand is
//! still there, byte for byte, when it is sent on. Holding one means that the body was valid JSON
//! and a valid JSON-RPC 2.0 request, notification or response; nothing behind checks that again.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::errors;
use crate::json::{self, JsonError, Kind, Limits, Notes, Raw};

/// One JSON-RPC message that owns its body. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Message {
    body: Bytes,
    kind: MessageKind,
    method: Method,
    root: Range<usize>,
    id: Option<Range<usize>>,
    /// The `params`, the `result` or the `error`, as `kind` says.
    said: Option<Part>,
    /// Where the outer members lie in `root`.
    notes: Option<Arc<Notes>>,
}

/// Where a member's value lies in the body, and the notes on it among those of the message.
#[derive(Clone, Debug)]
struct Part {
    at: Range<usize>,
    notes: Option<Range<usize>>,
}

/// What a message is, by the members that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    Request,
    Notification,
    /// A response with a `result`.
    Response,
    /// A response with an `error`.
    Error,
}

/// Why a body is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("parse error")]
    Json(#[from] JsonError),
    #[error("batches are not supported")]
    Batch,
    #[error("invalid request: {reason}")]
    Invalid { reason: &'static str },
}

impl EnvelopeError {
    /// The JSON-RPC code to answer with.
    pub fn code(&self) -> i32 {
        match self {
            Self::Json(_) => errors::PARSE_ERROR,
            Self::Batch | Self::Invalid { .. } => errors::INVALID_REQUEST,
        }
    }
}

impl Message {
    /// Reads one message. Members that JSON-RPC does not know are kept and ignored.
    ///
    /// # Errors
    /// Refuses what is not strict JSON, arrays, a `jsonrpc` other than `"2.0"`, an id that is
    /// neither a string nor an integer (`null` may stand in an error response only), array
    /// `params`, and a response without exactly one of `result` and `error`.
    pub fn parse(body: Bytes, limits: Limits) -> Result<Self, EnvelopeError> {
        let (root, notes) = json::check_noted(&body, limits)?;
        let notes: Option<Arc<Notes>> = notes.map(Arc::from);
        match body.get(root.start) {
            Some(b'{') => {}
            Some(b'[') => return Err(EnvelopeError::Batch),
            _ => return Err(invalid("not an object")),
        }
        let mut found = Found::default();
        let whole = body.get(root.clone()).unwrap_or_default();
        for (member, notes) in Raw::noted(whole, notes.as_deref()).places() {
            let slot = KNOWN.iter().position(|name| member.is_named(whole, name));
            if let Some(place) = slot.and_then(|slot| found.0.get_mut(slot)) {
                let at = root.start + member.value.start..root.start + member.value.end;
                *place = Some(Part { at, notes });
            }
        }
        Self::assemble(body, (root, notes), found)
    }

    /// Reads the array that a session of revision 2025-03-26 may send instead of one message.
    ///
    /// # Errors
    /// What [`Message::parse`] refuses, an empty array, one with more than `most` items, and an
    /// `initialize` among them.
    pub fn parse_batch(
        body: &Bytes,
        limits: Limits,
        most: usize,
    ) -> Result<Vec<Self>, EnvelopeError> {
        let array = Raw::parse(body, limits)?;
        if array.kind() != Kind::Array {
            return Err(invalid("not an array"));
        }
        let mut messages = Vec::new();
        for item in array.items() {
            if messages.len() == most {
                return Err(invalid("batch is too long"));
            }
            let message = Self::parse(body.slice_ref(item.bytes()), limits)?;
            if message.method() == "initialize" {
                return Err(invalid("initialize in a batch"));
            }
            messages.push(message);
        }
        if messages.is_empty() { Err(invalid("batch is empty")) } else { Ok(messages) }
    }

    /// Whether it asks, tells or answers.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The id as it was written, to be echoed with its JSON type. `None` for a notification, and
    /// for an error response without one.
    pub fn id(&self) -> Option<Raw<'_>> {
        self.body.get(self.id.clone()?).map(Raw::trusted)
    }

    /// The method; empty for a response.
    pub fn method(&self) -> &str {
        match &self.method {
            Method::None => "",
            Method::Plain(range) => {
                let written = self.body.get(range.clone()).unwrap_or_default();
                std::str::from_utf8(written).unwrap_or_default()
            }
            Method::Decoded(text) => text,
        }
    }

    /// The `params` of a request or notification; always an object.
    pub fn params(&self) -> Option<Raw<'_>> {
        match self.kind {
            MessageKind::Request | MessageKind::Notification => self.said(),
            MessageKind::Response | MessageKind::Error => None,
        }
    }

    /// The `result` of a successful response.
    pub fn result(&self) -> Option<Raw<'_>> {
        if self.kind == MessageKind::Response { self.said() } else { None }
    }

    /// The `error` of a failed response: an object with integer `code` and string `message`.
    pub fn error(&self) -> Option<Raw<'_>> {
        if self.kind == MessageKind::Error { self.said() } else { None }
    }

    /// The whole message as a value, for edits to its own members.
    pub fn root(&self) -> Raw<'_> {
        let whole = self.body.get(self.root.clone()).unwrap_or_default();
        Raw::noted(whole, self.notes.as_deref())
    }

    /// The message as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn said(&self) -> Option<Raw<'_>> {
        let Part { at, notes } = self.said.as_ref()?;
        let notes = notes.clone().and_then(|it| self.notes.as_ref()?.get(it));
        self.body.get(at.clone()).map(|it| Raw::noted(it, notes))
    }

    fn assemble(
        body: Bytes,
        (root, notes): (Range<usize>, Option<Arc<Notes>>),
        found: Found,
    ) -> Result<Self, EnvelopeError> {
        let Found([version, id, method, params, result, error]) = found;
        let raw = |part: &Option<Part>| {
            part.as_ref().and_then(|it| body.get(it.at.clone())).map(Raw::trusted)
        };
        if raw(&version).and_then(Raw::str).as_deref() != Some("2.0") {
            return Err(invalid("jsonrpc is not \"2.0\""));
        }
        let has_null_id = raw(&id).is_some_and(Raw::is_null);
        if let Some(id) = raw(&id).filter(|id| !id.is_null()) {
            check_id(id)?;
        }
        let kind = match (&method, &result, &error) {
            (Some(_), None, None) if id.is_some() => MessageKind::Request,
            (Some(_), None, None) => MessageKind::Notification,
            (None, Some(_), None) if id.is_some() => MessageKind::Response,
            (None, None, Some(_)) => MessageKind::Error,
            (None, Some(_), None) => return Err(invalid("response without id")),
            (None, None, None) => return Err(invalid("neither method nor result nor error")),
            _ => return Err(invalid("more than one of method, result and error")),
        };
        if has_null_id && kind != MessageKind::Error {
            return Err(invalid("id is null"));
        }
        if raw(&params).is_some_and(|params| !params.is_object()) {
            return Err(invalid("params is not an object"));
        }
        if raw(&error).is_some_and(|error| !is_error_object(error)) {
            return Err(invalid("error is not an object with integer code and string message"));
        }
        let method = match (raw(&method), method) {
            (Some(text), Some(part)) => Method::parse(text, part.at)?,
            _ => Method::None,
        };
        let id = id.filter(|_| !has_null_id).map(|it| it.at);
        let said = match kind {
            MessageKind::Request | MessageKind::Notification => params,
            MessageKind::Response => result,
            MessageKind::Error => error,
        };
        Ok(Self { body, kind, method, root, id, said, notes })
    }
}

/// The members of a message, in the order of [`Found`].
const KNOWN: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Longer ids are refused: they are echoed, logged and kept while a call runs.
const MAX_ID_BYTES: usize = 256;

/// The longest method name of the protocol has 41 bytes.
const MAX_METHOD_BYTES: usize = 128;

/// Where each of [`KNOWN`] lies.
#[derive(Default)]
struct Found([Option<Part>; 6]);

#[derive(Clone, Debug)]
enum Method {
    None,
    /// The text between the quotes.
    Plain(Range<usize>),
    /// The text of a method that was written with escapes.
    Decoded(Box<str>),
}

impl Method {
    fn parse(value: Raw<'_>, range: Range<usize>) -> Result<Self, EnvelopeError> {
        let text = value.str().ok_or_else(|| invalid("method is not a string"))?;
        if text.is_empty() || text.len() > MAX_METHOD_BYTES {
            return Err(invalid("method is empty or too long"));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("method holds control characters"));
        }
        Ok(match text {
            std::borrow::Cow::Borrowed(_) => Self::Plain(range.start + 1..range.end - 1),
            std::borrow::Cow::Owned(text) => Self::Decoded(text.into()),
        })
    }
}

fn check_id(id: Raw<'_>) -> Result<(), EnvelopeError> {
    if id.bytes().len() > MAX_ID_BYTES {
        return Err(invalid("id is too long"));
    }
    if id.kind() == Kind::String || id.is_integer() {
        Ok(())
    } else {
        Err(invalid("id is neither a string nor an integer"))
    }
}

fn is_error_object(error: Raw<'_>) -> bool {
    error.get("code").is_some_and(Raw::is_integer)
        && error.get("message").is_some_and(|message| message.kind() == Kind::String)
}

fn invalid(reason: &'static str) -> EnvelopeError {
    EnvelopeError::Invalid { reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_taken_apart_and_kept_whole() {
        let text =
            r#" {"x":0,"params":{"name":"a b"},"method":"tools/call","id":"7","jsonrpc":"2.0"} "#;
        let message = parse(text).unwrap();
        assert_eq!(message.kind(), MessageKind::Request);
        assert_eq!(message.method(), "tools/call");
        assert_eq!(message.id().map(Raw::text), Some("\"7\""));
        assert_eq!(message.params().map(Raw::text), Some(r#"{"name":"a b"}"#));
        assert_eq!(message.result().map(Raw::text), None);
        assert_eq!(message.root().text(), text.trim());
        assert_eq!(message.body(), text.as_bytes());
    }

    #[test]
    fn kinds_are_told_apart() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#, MessageKind::Request),
            (r#"{"jsonrpc":"2.0","method":"ping"}"#, MessageKind::Notification),
            (r#"{"jsonrpc":"2.0","id":-1,"result":null}"#, MessageKind::Response),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#, MessageKind::Error),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#, MessageKind::Error),
            (r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#, MessageKind::Error),
        ];
        for (text, kind) in cases {
            let message = parse(text).unwrap();
            assert_eq!(message.kind(), kind, "{text}");
            assert_eq!(message.result().is_some(), kind == MessageKind::Response, "{text}");
            assert_eq!(message.error().is_some(), kind == MessageKind::Error, "{text}");
            assert!(!message.id().is_some_and(Raw::is_null), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_rpc_message_is_an_invalid_request() {
        let cases = [
            r#"1"#,
            r#""a""#,
            r#"{}"#,
            r#"{"id":1,"method":"m"}"#,
            r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a\u0000b"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":2}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
        ];
        for text in cases {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, EnvelopeError::Invalid { .. }), "{text} {error:?}");
            assert_eq!(error.code(), errors::INVALID_REQUEST, "{text}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(129));
        assert_eq!(parse(&long).unwrap_err().code(), errors::INVALID_REQUEST);
    }

    #[test]
    fn h034_a_doubled_method_is_a_parse_error() {
        for second in ["method", "meth\\u006fd"] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","{second}":"x"}}"#);
            let error = parse(&text).unwrap_err();
            assert_eq!(error.code(), errors::PARSE_ERROR, "{second}");
        }
    }

    #[test]
    fn h034_an_escaped_spelling_is_the_same_member_and_the_same_method() {
        let message =
            parse(r#"{"jsonrpc":"2.\u0030","\u0069d":1,"meth\u006fd":"tools\/c\u0061ll"}"#)
                .unwrap();
        assert_eq!(message.method(), "tools/call");
        assert_eq!(message.id().and_then(Raw::u64), Some(1));
    }

    #[test]
    fn h035_lookalike_members_are_unknown_members() {
        for name in ["Method", "METHOD", "method ", "ＭETHOD"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"{name}":"tools/call"}}"#);
            assert_eq!(parse(&text).unwrap_err().code(), errors::INVALID_REQUEST, "{name}");
        }
        let text = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"METHOD\":\"x\",\"param\u{17f}\":[]}";
        let message = parse(text).unwrap();
        assert_eq!(message.method(), "tools/list");
        assert_eq!(message.params().map(Raw::text), None);
    }

    #[test]
    fn h036_h037_h039_broken_json_is_a_parse_error() {
        let deep =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}"#, "[".repeat(10_000));
        for text in ["", "{", "\u{feff}{}", "{}{}", r#"{"a":"\ud800"}"#, &deep] {
            assert_eq!(parse(text).unwrap_err().code(), errors::PARSE_ERROR, "{text}");
        }
    }

    #[test]
    fn h040_a_batch_is_no_message() {
        for text in ["[]", r#" [{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, EnvelopeError::Batch, "{text}");
            assert_eq!(error.code(), errors::INVALID_REQUEST, "{text}");
        }
    }

    #[test]
    fn h040_a_batch_is_read_where_one_is_allowed() {
        let batch = |text: &str| {
            Message::parse_batch(&Bytes::copy_from_slice(text.as_bytes()), Limits::default(), 2)
        };
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let messages = batch(&format!("[ {ping} , {ping}]")).unwrap();
        assert_eq!(messages.iter().map(Message::method).collect::<Vec<_>>(), ["ping", "ping"]);
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
        let refused = [
            "[]",
            ping,
            "[1]",
            &format!("[[{ping}]]"),
            &format!("[{ping},{ping},{ping}]"),
            &format!("[{initialize}]"),
        ];
        for text in refused {
            assert_eq!(batch(text).unwrap_err().code(), errors::INVALID_REQUEST, "{text}");
        }
    }

    #[test]
    fn h041_ids_are_strings_or_integers_of_bounded_length() {
        let with_id = |id: &str| parse(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#));
        let long = format!("\"{}\"", "i".repeat(254));
        for id in ["0", "-5", "9007199254740993", "\"\"", "\"1\"", "\"\\u00e9\"", &long] {
            let message = with_id(id).unwrap();
            assert_eq!(message.id().map(Raw::text), Some(id));
        }
        let longer = format!("\"{}\"", "i".repeat(255));
        let huge = format!("\"{}\"", "i".repeat(10 << 10));
        for id in ["null", "1.0", "1e3", "true", "{}", "[1]", &longer, &huge, &"9".repeat(257)] {
            assert_eq!(with_id(id).unwrap_err().code(), errors::INVALID_REQUEST, "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Err(error) = Message::parse(bytes.into(), Limits::default()) {
                prop_assert!(error.code() <= errors::INVALID_REQUEST);
            }
        }

        #[test]
        fn members_mean_the_same_in_any_order_and_with_any_blanks(
            order in Just(vec![
                r#""jsonrpc":"2.0""#, r#""id":"a""#, r#""method":"m""#, r#""params":{"a":[1]}"#, r#""_x":{"id":2}"#,
            ]).prop_shuffle(),
            blank in "[ \t\r\n]{0,3}",
        ) {
            let text = format!("{blank}{{{blank}{}{blank}}}{blank}", order.join(&format!("{blank},{blank}")));
            let message = parse(&text).unwrap();
            prop_assert_eq!(message.id().map(Raw::text), Some("\"a\""));
            prop_assert_eq!(message.method(), "m");
            prop_assert_eq!(message.params().map(Raw::text), Some(r#"{"a":[1]}"#));
        }
    }

    fn parse(text: &str) -> Result<Message, EnvelopeError> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default())
    }
}
