//! What happens next in a call that has been sent.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mcp::envelope::{Message, MessageKind};
use mcp::json::{Limits, Raw};

use crate::cancel::Way;
use crate::forward::Sent;
use crate::parked;
use crate::refusal::UpstreamError;
use crate::rounds;

/// What happens next.
pub(crate) enum Step {
    Answer(Message),
    /// It is none yet: the upstream wants to know more.
    Questions(Message),
    News(Message),
    /// A question of the upstream to a client of an era that has to come back with answers.
    Question(Message),
    Broken(UpstreamError),
    /// A cut-off has ended the call.
    CutOff,
    /// The client has cancelled it, in these words.
    Cancelled(Message),
    /// Nothing for a while.
    Quiet,
    /// The upstream has closed its stream, and is asked again after this time.
    Paused(Duration),
}

/// What the server says in a session that the call has for itself, beside its answer. Waits for ever
/// where it has none.
pub(crate) async fn heard(way: &Way) -> Bytes {
    match &way.lease {
        Some(lease) => lease.heard().await,
        None => std::future::pending().await,
    }
}

/// What a message of the upstream is to the call.
pub(crate) fn classify(sent: &Sent, text: Bytes, status: StatusCode) -> Step {
    let message = match Message::parse(text, Limits::default()) {
        Ok(message) => message,
        // What a refusing proxy in front of the upstream sends is rarely JSON.
        Err(_) if !status.is_success() => {
            return Step::Broken(UpstreamError::Status(status.as_u16()));
        }
        Err(error) => return Step::Broken(UpstreamError::Malformed(error.to_string())),
    };
    let ours = message.id().and_then(Raw::u64) == Some(sent.way.id);
    match message.kind() {
        MessageKind::Response if ours && rounds::is_asking(sent, &message) => {
            Step::Questions(message)
        }
        MessageKind::Response if ours => Step::Answer(message),
        // An error that could not read our id has none.
        MessageKind::Error if ours || message.id().is_none_or(Raw::is_null) => {
            if matches!(status.as_u16(), 401 | 403 | 407 | 429 | 500..) {
                return Step::Broken(UpstreamError::Status(status.as_u16()));
            }
            Step::Answer(message)
        }
        MessageKind::Request if parked::is_question(sent, &message) => Step::Question(message),
        _ => Step::News(message),
    }
}
