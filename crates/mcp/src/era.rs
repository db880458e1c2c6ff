//! Which protocol a downstream HTTP request speaks.
//!
//! Both eras share one URL. Neither headers nor body decide alone: a request with any modern sign is
//! modern, and then validated in full, so that a missing header is named and not mistaken for age.

use http::{HeaderMap, Method};

use crate::envelope::Message;
use crate::headers;
use crate::meta;
use crate::revision::FIRST_MODERN;

/// What kind of request has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Stands for itself; a session header on it is to be ignored.
    Modern,
    /// Opens a legacy session.
    Initialize,
    /// Carries a session id; whether the session exists is not known here.
    LegacySession,
    /// Legacy, and without a session id: to be refused, unless the route allows it.
    LegacySessionless,
}

/// Decides. `message` is absent for GET and DELETE, and for a POST whose body is an array.
pub fn detect(http_method: &Method, headers: &HeaderMap, message: Option<&Message>) -> Detected {
    if has_modern_version(headers) || message.is_some_and(is_modern) {
        return Detected::Modern;
    }
    if http_method == Method::POST && message.is_some_and(|m| m.method() == "initialize") {
        return Detected::Initialize;
    }
    if headers.contains_key(headers::MCP_SESSION_ID) {
        Detected::LegacySession
    } else {
        Detected::LegacySessionless
    }
}

fn is_modern(message: &Message) -> bool {
    message.method() == "server/discover"
        || message.params().is_some_and(|p| meta::entry(p, meta::PROTOCOL_VERSION).is_some())
}

/// Whether a version header names the first modern revision or a later date, known or not.
fn has_modern_version(headers: &HeaderMap) -> bool {
    headers.get_all(headers::MCP_PROTOCOL_VERSION).iter().any(|value| {
        let date = value.as_bytes();
        let is_date = date.len() == 10
            && date.iter().enumerate().all(|(index, byte)| match index {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        is_date && date >= FIRST_MODERN.as_str().as_bytes()
    })
}
