//! One JSON-RPC message: its body, and where its members lie in it.
//!
//! A [`Message`] owns its bytes and keeps ranges into them, so whatever we do not understand is
//! still there, byte for byte, when it is sent on. Holding one means that the body was valid JSON
//! and a valid JSON-RPC 2.0 request, notification or response; nothing behind checks that again.

use std::ops::Range;

use bytes::Bytes;

use crate::errors;
use crate::json::{self, JsonError, Kind, Limits, Raw};

/// One JSON-RPC message that owns its body. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Message {
    body: Bytes,
    kind: MessageKind,
    method: Method,
    root: Range<usize>,
    id: Option<Range<usize>>,
    params: Option<Range<usize>>,
    /// The `result` or the `error`, as `kind` says.
    outcome: Option<Range<usize>>,
}

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
        let (root, members) = json::check_members(&body, limits)?;
        match body.get(root.start) {
            Some(b'{') => {}
            Some(b'[') => return Err(EnvelopeError::Batch),
            _ => return Err(invalid("not an object")),
        }
        let mut found = Found::default();
        for member in members {
            let slot = KNOWN.iter().position(|name| member.is_named(&body, name));
            if let Some(place) = slot.and_then(|slot| found.0.get_mut(slot)) {
                *place = Some(member.value);
            }
        }
        Self::assemble(body, root, found)
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

    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The id as it was written, to be echoed with its JSON type. `None` for a notification, and
    /// for an error response without one.
    pub fn id(&self) -> Option<Raw<'_>> {
        self.raw(self.id.as_ref())
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

    pub fn params(&self) -> Option<Raw<'_>> {
        self.raw(self.params.as_ref())
    }

    pub fn result(&self) -> Option<Raw<'_>> {
        if self.kind == MessageKind::Response { self.raw(self.outcome.as_ref()) } else { None }
    }

    pub fn error(&self) -> Option<Raw<'_>> {
        if self.kind == MessageKind::Error { self.raw(self.outcome.as_ref()) } else { None }
    }

    /// The whole message as a value, for edits to its own members.
    pub fn root(&self) -> Raw<'_> {
        Raw::trusted(self.body.get(self.root.clone()).unwrap_or_default())
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn raw(&self, range: Option<&Range<usize>>) -> Option<Raw<'_>> {
        self.body.get(range?.clone()).map(Raw::trusted)
    }

    fn assemble(body: Bytes, root: Range<usize>, found: Found) -> Result<Self, EnvelopeError> {
        let Found([version, id, method, params, result, error]) = found;
        let raw = |range: &Option<Range<usize>>| {
            range.clone().and_then(|range| body.get(range)).map(Raw::trusted)
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
            (Some(text), Some(range)) => Method::parse(text, range)?,
            _ => Method::None,
        };
        let id = id.filter(|_| !has_null_id);
        Ok(Self { body, kind, method, root, id, params, outcome: result.or(error) })
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
struct Found([Option<Range<usize>>; 6]);

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
