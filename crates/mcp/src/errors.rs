//! JSON-RPC error codes, and the bodies of our own answers.

use bytes::Bytes;

use crate::json;

/// The body is not strict JSON.
pub const PARSE_ERROR: i32 = -32700;
/// The body is JSON and not a JSON-RPC message that may be sent here.
pub const INVALID_REQUEST: i32 = -32600;
/// Nobody here knows the method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// The params lack something, name something unknown, or have the wrong form.
pub const INVALID_PARAMS: i32 = -32602;
/// A failure of ours or of an upstream.
pub const INTERNAL_ERROR: i32 = -32603;
/// Legacy only: a resource that does not exist. Modern peers say [`INVALID_PARAMS`].
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// Revision 2025-11-25 only: the user must open a URL first.
pub const URL_ELICITATION_REQUIRED: i32 = -32042;
/// A mirrored header is missing, doubled, malformed or disagrees with the body.
pub const HEADER_MISMATCH: i32 = -32020;
/// The client did not declare a capability that the request needs; data: `requiredCapabilities`.
pub const MISSING_CAPABILITY: i32 = -32021;
/// The protocol version is not one of ours; data: `supported` and `requested`.
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// An error response. `id` is the raw id of the request, absent where it could not be read; `data`
/// is raw JSON.
pub fn error_body(id: Option<&[u8]>, code: i32, message: &str, data: Option<&str>) -> Bytes {
    let data_len = data.map_or(0, str::len);
    let mut out = Vec::with_capacity(80 + id.map_or(4, <[u8]>::len) + message.len() + data_len);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.unwrap_or(b"null"));
    out.extend_from_slice(b",\"error\":{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    json::quote_into(&mut out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.extend_from_slice(b"}}");
    out.into()
}

/// A successful response from a raw id and a raw result.
pub fn result_body(id: &[u8], result: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(40 + id.len() + result.len());
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
    out.into()
}

/// A request of our own from a raw id, a method and raw params.
pub fn request_body(id: &[u8], method: &str, params: Option<&[u8]>) -> Bytes {
    call_body(Some(id), method, params)
}

/// A notification of our own from a method and raw params.
pub fn notification_body(method: &str, params: Option<&[u8]>) -> Bytes {
    call_body(None, method, params)
}

fn call_body(id: Option<&[u8]>, method: &str, params: Option<&[u8]>) -> Bytes {
    let lengths = id.map_or(0, <[u8]>::len) + params.map_or(0, <[u8]>::len);
    let mut out = Vec::with_capacity(48 + method.len() + lengths);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(id);
    }
    out.extend_from_slice(b",\"method\":");
    json::quote_into(&mut out, method);
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Message, MessageKind};
    use crate::json::{Limits, Raw};

    #[test]
    fn bodies_are_messages_that_echo_the_id() {
        let error =
            error_body(Some(b"\"a\\n\""), INVALID_PARAMS, "no \"x\"\n", Some("{\"a\":[1]}"));
        assert_eq!(
            error,
            &br#"{"jsonrpc":"2.0","id":"a\n","error":{"code":-32602,"message":"no \"x\"\n","data":{"a":[1]}}}"#[..]
        );
        let cases = [
            (error, MessageKind::Error, Some("\"a\\n\"")),
            (error_body(None, PARSE_ERROR, "", None), MessageKind::Error, None),
            (result_body(b"1", b"{}"), MessageKind::Response, Some("1")),
            (request_body(b"1", "ping", None), MessageKind::Request, Some("1")),
            (notification_body("a\"b", Some(b"{\"c\":1}")), MessageKind::Notification, None),
        ];
        for (body, kind, id) in cases {
            let message = Message::parse(body.clone(), Limits::default()).unwrap();
            assert_eq!(message.kind(), kind, "{body:?}");
            assert_eq!(message.id().map(Raw::text), id, "{body:?}");
        }
    }
}
