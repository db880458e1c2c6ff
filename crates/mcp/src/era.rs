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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::json::Limits;

    const META: &str = r#""params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}"#;

    #[test]
    fn any_modern_sign_makes_a_request_modern() {
        let plain = r#""method":"tools/list""#;
        let with_meta = format!("{plain},{META}");
        let initialize_with_meta = format!(r#""method":"initialize",{META}"#);
        let cases = [
            (None, false, with_meta.as_str(), Detected::Modern),
            (Some("2026-07-28"), false, plain, Detected::Modern),
            (Some("2027-01-01"), false, plain, Detected::Modern),
            (Some("2026-07-28"), true, plain, Detected::Modern),
            (Some("2025-06-18"), true, &with_meta, Detected::Modern),
            (None, false, r#""method":"server/discover""#, Detected::Modern),
            (Some("2025-11-25"), false, r#""method":"server/discover""#, Detected::Modern),
            (None, false, &initialize_with_meta, Detected::Modern),
            (None, false, r#""method":"initialize""#, Detected::Initialize),
            (Some("2025-11-25"), true, r#""method":"initialize""#, Detected::Initialize),
            (Some("v999.0.0"), false, plain, Detected::LegacySessionless),
            (Some("2026-07-2x"), false, plain, Detected::LegacySessionless),
            (Some("2025-11-25"), true, plain, Detected::LegacySession),
            (None, true, plain, Detected::LegacySession),
            (None, false, plain, Detected::LegacySessionless),
            (None, true, r#""result":{}"#, Detected::LegacySession),
            (None, false, r#""result":{}"#, Detected::LegacySessionless),
        ];
        for (version, has_session, members, expected) in cases {
            let message = message(members);
            let headers = headers(version, has_session);
            let found = detect(&Method::POST, &headers, Some(&message));
            assert_eq!(found, expected, "{version:?} {has_session} {members}");
        }
    }

    #[test]
    fn without_a_message_the_headers_decide() {
        let cases = [
            (Method::GET, None, true, Detected::LegacySession),
            (Method::DELETE, Some("2025-11-25"), true, Detected::LegacySession),
            (Method::GET, None, false, Detected::LegacySessionless),
            (Method::POST, Some("2025-03-26"), true, Detected::LegacySession),
            (Method::GET, Some("2026-07-28"), false, Detected::Modern),
        ];
        for (method, version, has_session, expected) in cases {
            let found = detect(&method, &headers(version, has_session), None);
            assert_eq!(found, expected, "{method} {version:?} {has_session}");
        }
    }

    fn message(members: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#);
        Message::parse(Bytes::from(text), Limits::default()).unwrap()
    }

    fn headers(version: Option<&'static str>, has_session: bool) -> HeaderMap {
        let mut map = HeaderMap::new();
        if let Some(version) = version {
            map.insert(headers::MCP_PROTOCOL_VERSION, HeaderValue::from_static(version));
        }
        if has_session {
            map.insert(headers::MCP_SESSION_ID, HeaderValue::from_static("s"));
        }
        map
    }
}
