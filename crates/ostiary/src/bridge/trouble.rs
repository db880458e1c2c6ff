//! Why a message has no answer, in words for whoever runs the client, and as an answer.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::{Limits, Raw, quote};
use mcp::splice::Splice;
use serde_json::Value;

/// One variant for each thing that its reader can do.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the gateway cannot be reached: {cause}. Check its address and whether it runs")]
    Unreachable { cause: String },
    #[error(
        "the connection to the gateway broke off before the answer had come: {cause}. The call may \
         have been carried out"
    )]
    BrokenOff { cause: String },
    #[error("the gateway has not said a word for {} seconds. The call may have been carried out", .0.as_secs())]
    Silent(Duration),
    #[error("the gateway's answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(
        "the gateway's answer is not valid MCP: {reason}. Check that the URL is that of a gateway"
    )]
    NotMcp { reason: String },
    #[error("{}", said(.0))]
    Refused(Refused),
    #[error(
        "the gateway has forgotten the session that the call was made in. The call may have been \
         carried out"
    )]
    SessionLost,
    #[error(
        "the gateway has forgotten the session and now speaks another protocol revision. Start the \
         client anew"
    )]
    OtherRevision,
    #[error("the bridge is stopping")]
    Stopping,
}

/// An answer with a status that says no.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// What came with it, if it was not too long.
    pub(super) body: Bytes,
}

/// Ours, outside the range that JSON-RPC and MCP keep for themselves; the gateway's own are the same.
mod code {
    pub(super) const UNAUTHENTICATED: i32 = 1401;
    pub(super) const FORBIDDEN: i32 = 1403;
    pub(super) const UPSTREAM: i32 = 1502;
    pub(super) const UNAVAILABLE: i32 = 1503;
}

impl Trouble {
    pub(super) fn refused(status: StatusCode, body: Bytes) -> Self {
        Self::Refused(Refused { status, body })
    }

    /// The status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refused) => Some(refused.status.as_u16()),
            _ => None,
        }
    }

    /// Whether it may be gone in a while.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::BrokenOff { .. } | Self::Silent(_) => true,
            Self::Refused(refused) => matches!(refused.status.as_u16(), 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the request can be sent again, since nothing has been done about it.
    fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refused) => matches!(refused.status.as_u16(), 429 | 503),
            _ => false,
        }
    }

    /// The answer to a request. What the gateway itself says about it passes as it is.
    pub(super) fn answer(&self, request: &Message) -> Bytes {
        let id = request.id().map(Raw::bytes);
        if let Self::Refused(refused) = self
            && let Some(theirs) = refused.error()
            && refused.status != StatusCode::UNAUTHORIZED
        {
            match (theirs.id(), id) {
                (Some(own), Some(id)) if own.bytes() == id => return theirs.body().clone(),
                (None, Some(id)) => {
                    // It was turned away before anybody looked whose answer it would be.
                    let mut splice = Splice::new(theirs.body().clone());
                    splice.set_member(theirs.root(), "id", Bytes::copy_from_slice(id));
                    return splice.finish().into_bytes();
                }
                _ => {}
            }
        }
        let (code, reason) = self.code();
        let data = format!(r#"{{"reason":{},"retry":{}}}"#, quote(reason), self.may_retry());
        errors::error_body(id, code, &self.to_string(), Some(&data))
    }

    fn code(&self) -> (i32, &'static str) {
        match self {
            Self::Unreachable { .. } => (code::UNAVAILABLE, "gateway_unreachable"),
            Self::BrokenOff { .. } => (code::UNAVAILABLE, "connection_lost"),
            Self::Silent(_) => (code::UNAVAILABLE, "gateway_silent"),
            Self::TooLarge { .. } => (code::UPSTREAM, "answer_too_large"),
            Self::NotMcp { .. } => (code::UPSTREAM, "not_mcp"),
            Self::SessionLost | Self::OtherRevision => (code::UNAVAILABLE, "session_lost"),
            Self::Stopping => (code::UNAVAILABLE, "stopping"),
            Self::Refused(refused) => match refused.status.as_u16() {
                401 => (code::UNAUTHENTICATED, "unauthenticated"),
                403 => (code::FORBIDDEN, "forbidden"),
                404 => (code::FORBIDDEN, "no_gateway"),
                300..=399 => (code::UPSTREAM, "redirected"),
                400..=499 if refused.status != StatusCode::TOO_MANY_REQUESTS => {
                    (errors::INVALID_REQUEST, "refused")
                }
                _ => (code::UNAVAILABLE, "gateway_unavailable"),
            },
        }
    }
}

impl Refused {
    /// The JSON-RPC error in it.
    fn error(&self) -> Option<Message> {
        let message = Message::parse(self.body.clone(), Limits::default()).ok()?;
        message.error().is_some().then_some(message)
    }

    /// The code of that error.
    pub(super) fn code(&self) -> Option<i64> {
        self.error()?.error()?.get("code")?.i64()
    }

    /// What the gateway says: in a JSON-RPC error, or in a problem document (RFC 9457).
    fn words(&self) -> Option<String> {
        if let Some(error) = self.error() {
            return Some(error.error()?.get("message")?.str()?.into_owned());
        }
        let problem: Value = serde_json::from_slice(&self.body).ok()?;
        let member = |key| problem.get(key).and_then(Value::as_str).map(str::to_owned);
        member("detail").or_else(|| member("title"))
    }
}

fn said(refused: &Refused) -> String {
    let words = refused.words();
    let because = words.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    match refused.status.as_u16() {
        401 => "the gateway does not accept the token, or there is none. Put a valid one into \
                OSTIARY_TOKEN, or into the file that --token-file names, and start the client anew"
            .to_owned(),
        403 => format!("the gateway does not allow this{because}"),
        404 => format!("there is no gateway at this URL for this token{because}"),
        405 => {
            "this URL takes no MCP messages. Use one of the form …/mcp/WORKSPACE/GATEWAY".to_owned()
        }
        413 => format!("the message is larger than the gateway takes{because}"),
        status @ 300..=399 => format!(
            "the gateway's URL redirects elsewhere (HTTP status {status}), which is not followed. Use \
             the address that it leads to"
        ),
        status => match words {
            Some(words) => format!("the gateway refuses this with HTTP status {status}: {words}"),
            None => format!("the gateway answered with HTTP status {status}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_says_passes_under_the_id_of_the_request() {
        let request = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
        let request = Message::parse(request.into(), Limits::default()).unwrap();
        let error = r#""error":{"code":1403,"message":"off","data":{"x":1.0}}"#;
        let own = format!(r#"{{"jsonrpc":"2.0","id":"a",{error}}}"#);
        let cases = [
            (403, own.clone(), own.clone()),
            (404, format!(r#"{{"jsonrpc":"2.0","id":null,{error}}}"#), own.clone()),
            (
                404,
                format!(r#"{{"jsonrpc":"2.0",{error}}}"#),
                format!(r#"{{"id":"a","jsonrpc":"2.0",{error}}}"#),
            ),
        ];
        for (status, body, expected) in cases {
            let trouble =
                Trouble::refused(StatusCode::from_u16(status).unwrap(), body.clone().into());
            assert_eq!(trouble.answer(&request), expected.as_bytes(), "{body}");
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let request = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
        let request = Message::parse(request.into(), Limits::default()).unwrap();
        let cases = [
            (
                401,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":1401,"message":"x"}}"#,
                1401,
                "OSTIARY_TOKEN",
            ),
            (403, "", 1403, "does not allow this"),
            (403, r#"{"title":"Forbidden","detail":"not yours"}"#, 1403, "not yours"),
            (404, "<html>", 1403, "no gateway at this URL"),
            (405, "", -32600, "/mcp/WORKSPACE/GATEWAY"),
            (302, "", 1502, "not followed"),
            (413, "", -32600, "larger"),
            (429, "", 1503, "429"),
            (503, r#"{"title":"Stopping"}"#, 1503, "Stopping"),
        ];
        for (status, body, code, words) in cases {
            let trouble = Trouble::refused(StatusCode::from_u16(status).unwrap(), body.into());
            let answer: Value = serde_json::from_slice(&trouble.answer(&request)).unwrap();
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&7.into(), &code.into()),
                "{status}"
            );
            let text = answer["error"]["message"].as_str().unwrap();
            assert!(text.contains(words), "{status}: {text}");
            let may_retry = matches!(status, 429 | 503);
            assert_eq!(answer["error"]["data"]["retry"], may_retry, "{status}");
        }
    }

    #[test]
    fn what_may_have_been_carried_out_is_not_called_safe_to_retry() {
        let cause = "x".to_owned();
        let cases = [
            (Trouble::Unreachable { cause: cause.clone() }, true),
            (Trouble::BrokenOff { cause }, false),
            (Trouble::Silent(Duration::from_secs(1)), false),
            (Trouble::SessionLost, false),
            (Trouble::refused(StatusCode::BAD_GATEWAY, Bytes::new()), false),
        ];
        for (trouble, may_retry) in cases {
            assert_eq!(trouble.may_retry(), may_retry, "{trouble}");
        }
    }
}
