//! What goes back to a client over HTTP: one place where statuses and JSON-RPC codes are chosen.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use mcp::errors;
use mcp::json::quote;
use mcp::revision::Era;

use crate::body::Body;
use crate::refusal::{Blame, Refusal, whole_seconds};

/// How the client is to be spoken to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// The request's id as the client wrote it; absent when it could not be read.
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) era: Era,
    /// Whether it is a tool call, whose failures a model can read as a result.
    pub(crate) tool: bool,
}

/// Ours, outside the range that JSON-RPC and MCP keep for themselves.
mod code {
    pub(super) const FORBIDDEN: i32 = 1403;
    pub(super) const LIMITED: i32 = 1429;
    pub(super) const UNAUTHENTICATED: i32 = 1401;
    pub(super) const UNAVAILABLE: i32 = 1503;
    pub(super) const UPSTREAM: i32 = 1502;
}

impl Manner<'_> {
    /// For requests of which nothing has been understood.
    pub(crate) const UNKNOWN: Manner<'static> = Manner { id: None, era: Era::Legacy, tool: false };
}

/// A whole JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that says only that a message was taken.
pub(crate) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// A stream of events.
pub(crate) fn events(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Proxies in front of us would otherwise hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A successful result, from parts that are sent as they are.
pub(crate) fn result(id: &[u8], result: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let mut parts = vec![
        Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":"),
        Bytes::copy_from_slice(id),
        Bytes::from_static(b",\"result\":"),
    ];
    parts.extend(result);
    parts.push(Bytes::from_static(b"}"));
    parts
}

/// What a client is told when it is not given what it asked for.
pub(crate) fn refusal(refusal: &Refusal, manner: Manner<'_>) -> Response<Body> {
    let (status, body) = refusal_parts(refusal, manner);
    let mut response = json(status, body);
    let headers = response.headers_mut();
    match refusal {
        Refusal::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ostiary\""));
        }
        Refusal::Verb { allowed } => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        Refusal::Limited { wait: Some(wait), .. } => {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
        }
        Refusal::Audit(_)
        | Refusal::Gate(_)
        | Refusal::Uncounted
        | Refusal::PicksUnavailable
        | Refusal::Stopping
        | Refusal::Interrupted
        | Refusal::TooManySessions
        | Refusal::TooManyStreams
        | Refusal::TooManyCalls
        | Refusal::TooManyTasks => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// Status and JSON-RPC message of a refusal.
pub(crate) fn refusal_parts(refusal: &Refusal, manner: Manner<'_>) -> (StatusCode, Bytes) {
    if let (true, Some(id)) = (manner.tool, manner.id)
        && matches!(
            refusal,
            Refusal::Blocked { .. }
                | Refusal::NoIdentity { .. }
                | Refusal::Unanswered { .. }
                | Refusal::NothingPicked
                | Refusal::NotPickable { .. }
                | Refusal::Policy(_)
                | Refusal::Unapproved { .. }
                | Refusal::Off { noun: "tool" | "server" | "identity" | "assignment", .. }
        )
    {
        // A model that reads why a call did not work can tell its user.
        return (StatusCode::OK, tool_error(id, &refusal.to_string(), manner.era));
    }
    let (status, code) = status_and_code(refusal, manner.era);
    let data = match refusal {
        Refusal::Header(error) => error.data(),
        Refusal::Capability { required } => Some((*required).to_owned()),
        _ => Some(format!(
            r#"{{"reason":{},"blame":"{}","retry":{}{}}}"#,
            quote(refusal.reason()),
            match refusal.blame() {
                Blame::Client => "client",
                Blame::Gateway => "gateway",
                Blame::Upstream => "upstream",
            },
            may_retry(refusal),
            more(refusal),
        )),
    };
    let body = errors::error_body(manner.id, code, &refusal.to_string(), data.as_deref());
    (status, body)
}

/// Further members of the data of an error.
fn more(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Limited { limit, wait } => {
            let wait = wait.map(|it| format!(r#","retryAfterSeconds":{}"#, whole_seconds(it)));
            format!(r#","limit":{}{}"#, quote(limit), wait.unwrap_or_default())
        }
        Refusal::Interrupted => r#","mayHaveActed":true"#.to_owned(),
        _ => String::new(),
    }
}

/// A tool's failure as a result with `isError`.
fn tool_error(id: &[u8], text: &str, era: Era) -> Bytes {
    let kind = if era == Era::Modern { r#""resultType":"complete","# } else { "" };
    let text = quote(text);
    let result = format!(r#"{{{kind}"content":[{{"type":"text","text":{text}}}],"isError":true}}"#);
    errors::result_body(id, result.as_bytes())
}

fn status_and_code(refusal: &Refusal, era: Era) -> (StatusCode, i32) {
    let modern = era == Era::Modern;
    // To a legacy client a 404 says that its session is gone, so it is used for nothing else.
    let answered = |code| (StatusCode::OK, code);
    match refusal {
        Refusal::Host | Refusal::Origin | Refusal::Elsewhere { .. } | Refusal::Withdrawn => {
            (StatusCode::FORBIDDEN, code::FORBIDDEN)
        }
        Refusal::Verb { .. } => (StatusCode::METHOD_NOT_ALLOWED, errors::INVALID_REQUEST),
        Refusal::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, errors::INVALID_REQUEST),
        Refusal::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, errors::INVALID_REQUEST),
        Refusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, errors::INVALID_REQUEST),
        Refusal::BadHeader { .. } => (StatusCode::BAD_REQUEST, errors::INVALID_REQUEST),
        Refusal::SlowBody { .. } => (StatusCode::REQUEST_TIMEOUT, errors::INVALID_REQUEST),
        Refusal::Envelope(error) => (StatusCode::BAD_REQUEST, error.code()),
        Refusal::Header(error) => (StatusCode::BAD_REQUEST, error.code()),
        Refusal::Capability { .. } => (StatusCode::BAD_REQUEST, errors::MISSING_CAPABILITY),
        Refusal::Unauthenticated => (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED),
        Refusal::NoGateway => (StatusCode::NOT_FOUND, code::FORBIDDEN),
        Refusal::Revision | Refusal::SessionMissing | Refusal::EventUnknown => {
            (StatusCode::BAD_REQUEST, errors::INVALID_REQUEST)
        }
        Refusal::NotKept | Refusal::NoRoom => answered(code::UNAVAILABLE),
        Refusal::SessionUnknown => (StatusCode::NOT_FOUND, errors::INVALID_REQUEST),
        Refusal::TooManySessions
        | Refusal::TooManyStreams
        | Refusal::TooManyCalls
        | Refusal::TooManyTasks => (StatusCode::TOO_MANY_REQUESTS, code::UNAVAILABLE),
        Refusal::Limited { .. } => (StatusCode::TOO_MANY_REQUESTS, code::LIMITED),
        Refusal::UnknownMethod { .. } if modern => {
            (StatusCode::NOT_FOUND, errors::METHOD_NOT_FOUND)
        }
        Refusal::UnknownMethod { .. } => answered(errors::METHOD_NOT_FOUND),
        Refusal::UnknownOffer { kind: "resource", .. } if !modern => {
            answered(errors::RESOURCE_NOT_FOUND)
        }
        Refusal::UnknownOffer { .. } | Refusal::Params(_) | Refusal::RequestState(_) => {
            answered(errors::INVALID_PARAMS)
        }
        Refusal::Blocked { .. }
        | Refusal::NoIdentity { .. }
        | Refusal::NothingPicked
        | Refusal::NotPickable { .. }
        | Refusal::Policy(_)
        | Refusal::Unapproved { .. } => answered(code::FORBIDDEN),
        Refusal::Off { .. } => (StatusCode::FORBIDDEN, code::FORBIDDEN),
        // The official SDKs say the same where they ask a legacy client in a modern server's stead.
        Refusal::Unanswered { .. } => answered(errors::INTERNAL_ERROR),
        Refusal::Upstream { .. } if modern => (StatusCode::BAD_GATEWAY, code::UPSTREAM),
        Refusal::Upstream { .. } => answered(code::UPSTREAM),
        Refusal::Gate(_)
        | Refusal::Audit(_)
        | Refusal::Rules
        | Refusal::Secret(_)
        | Refusal::Stopping
        | Refusal::Interrupted
        | Refusal::PicksUnavailable
        | Refusal::Uncounted => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE),
    }
}

fn may_retry(refusal: &Refusal) -> bool {
    use crate::refusal::{UpstreamError, WireBlame};

    match refusal {
        Refusal::Limited { wait, .. } => wait.is_some(),
        Refusal::Gate(_)
        | Refusal::Audit(_)
        | Refusal::Stopping
        | Refusal::Interrupted
        | Refusal::Uncounted
        | Refusal::PicksUnavailable
        | Refusal::TooManySessions
        | Refusal::TooManyStreams
        | Refusal::TooManyCalls
        | Refusal::TooManyTasks => true,
        Refusal::Upstream { source: UpstreamError::Wire(_, blame), .. } => {
            *blame == WireBlame::Retry
        }
        _ => false,
    }
}

/// The HTTP status that goes with an upstream's own JSON-RPC error.
pub(crate) fn status_of(code: i64, era: Era) -> StatusCode {
    if era == Era::Legacy {
        return StatusCode::OK;
    }
    match i32::try_from(code) {
        Ok(errors::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Ok(errors::HEADER_MISMATCH | errors::MISSING_CAPABILITY | errors::UNSUPPORTED_VERSION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}

/// Parts of one JSON text as one event, without joining them. Upstream JSON may hold line ends
/// between its tokens, which would end the event, so each part is framed for itself.
pub(crate) fn event(parts: Vec<Bytes>) -> Vec<Bytes> {
    if parts.iter().any(|it| memchr::memchr2(b'\n', b'\r', it).is_some()) {
        return vec![mcp::sse::event(&parts.concat())];
    }
    let mut framed = vec![Bytes::from_static(b"event: message\ndata: ")];
    framed.extend(parts);
    framed.push(Bytes::from_static(b"\n\n"));
    framed
}
