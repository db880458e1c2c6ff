//! How a call ended, as its record says it.

use bytes::Bytes;
use http::StatusCode;
use inspect::Hit;
use mcp::envelope::Message;
use mcp::json::Raw;

use crate::refusal::Refusal;

/// How a call ended.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(super) end: &'static str,
    pub(super) detail: Option<String>,
    /// The JSON-RPC error code of an upstream's error.
    pub(super) code: Option<i64>,
    pub(super) is_error: bool,
    pub(super) parts: Vec<Bytes>,
    pub(super) hits: Vec<Hit>,
}

impl Outcome {
    /// The upstream has answered, and this is what is released.
    pub(crate) fn answered(message: &Message, parts: &[Bytes], hits: Vec<Hit>) -> Self {
        let code = message.error().and_then(|it| it.get("code")).and_then(Raw::i64);
        let failed = message.result().and_then(|it| it.get("isError")).and_then(Raw::bool);
        Self {
            end: "answered",
            detail: None,
            code,
            is_error: code.is_some() || failed == Some(true),
            parts: parts.to_vec(),
            hits,
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self {
            end: refusal.reason(),
            detail: Some(refusal.to_string()),
            code: None,
            is_error: true,
            parts: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// It has left, and asks for no answer.
    pub(crate) fn told(status: StatusCode) -> Self {
        let is_error = !status.is_success();
        let detail = is_error.then(|| format!("it answered with HTTP status {}", status.as_u16()));
        Self { end: "told", detail, is_error, ..Self::given_up() }
    }

    /// The client has cancelled, or gone.
    pub(crate) fn given_up() -> Self {
        Self {
            end: "client_cancelled",
            detail: None,
            code: None,
            is_error: true,
            parts: Vec::new(),
            hits: Vec::new(),
        }
    }
}
