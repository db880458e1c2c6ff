//! Header values that mirror what a body says.

use http::{HeaderMap, HeaderName};
use mcp::envelope::{Message, MessageKind};
use mcp::headers::{check_params, decode_value, encode_value, param_header_values, param_headers};
use mcp::json::{Limits, Raw};

use super::halves;

/// A header value; or a schema and arguments, apart by an empty line.
pub(crate) fn check(bytes: &[u8]) {
    if let Some(text) = decode_value(bytes) {
        let encoded = encode_value(&text);
        assert_eq!(decode_value(encoded.as_bytes()).as_deref(), Some(&*text));
    }
    let (schema, arguments) = halves(bytes);
    let raw = |bytes| Raw::parse(bytes, Limits::default()).ok();
    let (schema, arguments) = (raw(schema), raw(arguments));
    if let Some(Ok(params)) = schema.map(param_headers) {
        let headers: HeaderMap = param_header_values(&params, arguments).into_iter().collect();
        let is_plain = |it: Raw<'_>| !it.is_object() || it.text().len() < 1_000;
        if arguments.is_none_or(is_plain) {
            let checked = check_params(&headers, &params, arguments);
            // What cannot be mirrored has no header, and must not be called.
            assert!(checked.is_ok() || headers.len() < params.len(), "{headers:?}: {checked:?}");
        }
    }
    let mut headers = HeaderMap::new();
    let (head, body) = halves(bytes);
    for line in head.split(|it| *it == b'\n') {
        let Some(colon) = line.iter().position(|it| *it == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, line[colon + 1..].try_into()) {
            headers.append(name, value);
        }
    }
    if let Ok(message) = Message::parse(body.to_vec().into(), Limits::default())
        && message.kind() == MessageKind::Request
        && mcp::headers::validate(&headers, &message).is_ok()
    {
        let method = headers.get("mcp-method").expect("what is mirrored is there");
        assert_eq!(method.as_bytes(), message.method().as_bytes());
    }
}
