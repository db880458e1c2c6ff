//! Why a request is turned away at the door, and the words for it.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

/// The methods that anything behind the door knows.
const METHODS: &str = "GET, POST, PATCH, PUT, DELETE, HEAD, OPTIONS";

/// What is wrong with a request. Each is a reason of its own, so that a test and a log can tell
/// them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    BareLineEnd,
    RequestLine,
    Version,
    Method,
    Target,
    TargetTooLong,
    FoldedLine,
    HeaderName,
    HeaderValue,
    TwinName,
    LineTooLong,
    TooManyHeaders,
    HeadTooLarge,
    LengthTwice,
    Length,
    Coding,
    CodingOn10,
    LengthAndCoding,
    Host,
    HostMissing,
    HostTwice,
    HostDisagrees,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    Incomplete,
    Slow,
}

impl Violation {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::LineTooLong | Self::TooManyHeaders | Self::HeadTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::BareLineEnd => "a line does not end in CR LF",
            Self::RequestLine => "the request line is not `METHOD target HTTP/1.1`",
            Self::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::Method => "this method is not allowed",
            Self::Target => "the request target is malformed",
            Self::TargetTooLong => "the request target is too long",
            Self::FoldedLine => "a header line is folded",
            Self::HeaderName => "a header name is malformed",
            Self::HeaderValue => "a header value holds control characters",
            Self::TwinName => "a header name holds `_`, which some take for `-`",
            Self::LineTooLong => "a header line is too long",
            Self::TooManyHeaders => "there are too many headers",
            Self::HeadTooLarge => "the headers are too large",
            Self::LengthTwice => "there are two Content-Length headers",
            Self::Length => "Content-Length is not a plain decimal number",
            Self::Coding => "Transfer-Encoding is not exactly `chunked`",
            Self::CodingOn10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::LengthAndCoding => "there are both Content-Length and Transfer-Encoding",
            Self::Host => "the Host header is malformed",
            Self::HostMissing => "there is no Host header",
            Self::HostTwice => "there are two Host headers",
            Self::HostDisagrees => "the request target and the Host header disagree",
            Self::ChunkSize => "a chunk size is malformed",
            Self::ChunkExtension => "a chunk extension is malformed",
            Self::ChunkEnd => "a chunk does not end where its size says",
            Self::Trailer => "a trailer is malformed",
            Self::Incomplete => "the headers end before they are complete",
            Self::Slow => "the headers took too long",
        }
    }

    /// The whole answer. On HTTP/1 it is the connection's last.
    pub(super) fn answer(self, is_last: bool) -> Response<Full<Bytes>> {
        let mut response = problem(self.status(), self.detail());
        let headers = response.headers_mut();
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        if is_last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whether anything behind the door knows the method.
pub(super) fn knows(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"POST" | b"PATCH" | b"PUT" | b"DELETE" | b"HEAD" | b"OPTIONS")
}

/// The same for a method that has been parsed.
pub(super) fn knows_method(method: &Method) -> bool {
    knows(method.as_str().as_bytes())
}

/// A problem document (RFC 9457) whose title is the status's own.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
        "code": "refused",
    });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
