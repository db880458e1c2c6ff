//! Answers, put together from parts that are shared and never copied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::TOOL;
use crate::payload::Payload;

/// A body of some parts, after which a stream stays open and silent.
pub(super) struct Reply {
    parts: VecDeque<Bytes>,
    is_stream: bool,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.parts.pop_front() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            // Nobody wakes it: hyper drops it when the client is gone.
            None if self.is_stream => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && !self.is_stream
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_stream {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

/// The content of a result: what comes after the nonce.
pub(super) fn content(payload: &Payload) -> Bytes {
    let text = String::from_utf8_lossy(payload.bytes());
    let block = if payload.is_image() {
        format!(r#"{{"type":"image","mimeType":"image/png","data":"{text}"}}"#)
    } else {
        format!(r#"{{"type":"text","text":"{text}"}}"#)
    };
    Bytes::from(format!(r#""}},{block}],"isError":false}}}}"#))
}

/// The result of `tools/list` and what closes its message.
pub(super) fn list(tools: usize) -> Bytes {
    let mut text =
        String::from(r#""resultType":"complete","ttlMs":60000,"cacheScope":"public","tools":["#);
    for number in 0..tools {
        let (comma, name) =
            if number == 0 { ("", TOOL.to_owned()) } else { (",", format!("tool_{number:03}")) };
        let description = "Answers with as much content as it is asked for, and with the nonce \
                           that it was given, so that its caller can tell the answer from others.";
        let schema = r#"{"type":"object","properties":{"nonce":{"type":"string","description":"Comes back as it is."},"bytes":{"type":"integer","description":"Size of the content."}},"required":["nonce","bytes"]}"#;
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            r#"{comma}{{"name":"{name}","description":"{description}","inputSchema":{schema},"annotations":{{"readOnlyHint":true}}}}"#
        );
    }
    text.push_str("]}}");
    Bytes::from(text)
}

pub(super) fn called(id: &str, nonce: &str, content: Bytes) -> Response<Reply> {
    let start = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":"{nonce}"#
    );
    json(200, [start.into(), content])
}

pub(super) fn listed(id: &str, list: Bytes) -> Response<Reply> {
    json(200, [format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#).into(), list])
}

pub(super) fn discovered(id: &str) -> Response<Reply> {
    result(
        id,
        r#"{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":60000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench-upstream","version":"1.0.0"}}}"#,
    )
}

pub(super) fn initialized(id: &str, revision: &str, session: &str) -> Response<Reply> {
    let body = format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{{"name":"bench-upstream","version":"1.0.0"}}}}"#
    );
    let mut response = result(id, &body);
    if let Ok(value) = HeaderValue::from_str(session) {
        response.headers_mut().insert("mcp-session-id", value);
    }
    response
}

/// The first event of a subscription, as it stands on the wire.
pub(super) fn acknowledged(id: &str) -> Bytes {
    let message = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"toolsListChanged":true}},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
    );
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

/// A question to the user, as an event of the stream that answers a call.
pub(super) fn question() -> Bytes {
    let params = r#"{"message":"How many?","requestedSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}"#;
    let message =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{params}}}"#);
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

/// A stream of events that stays open.
pub(super) fn stream(first: Option<Bytes>) -> Response<Reply> {
    let body = Reply { parts: first.into_iter().collect(), is_stream: true };
    with(200, Some("text/event-stream"), body)
}

pub(super) fn result(id: &str, result: &str) -> Response<Reply> {
    json(200, [format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()])
}

pub(super) fn error(id: &str, code: i32, message: &str) -> Response<Reply> {
    let status = if code == -32601 { 404 } else { 200 };
    let error = format!(r#"{{"code":{code},"message":"{message}"}}"#);
    json(status, [format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into()])
}

pub(super) fn refused(status: u16, why: &str) -> Response<Reply> {
    let error = format!(r#"{{"code":-32020,"message":"{why}"}}"#);
    json(status, [format!(r#"{{"jsonrpc":"2.0","id":null,"error":{error}}}"#).into()])
}

pub(super) fn empty(status: u16) -> Response<Reply> {
    with(status, None, Reply { parts: VecDeque::new(), is_stream: false })
}

fn json<const N: usize>(status: u16, parts: [Bytes; N]) -> Response<Reply> {
    with(status, Some("application/json"), Reply { parts: parts.into(), is_stream: false })
}

fn with(status: u16, kind: Option<&'static str>, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().unwrap_or_default();
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
