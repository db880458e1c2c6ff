//! The answer to a call: its head judged, its body handed out piece by piece.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::error::{Wait, WireError};
use super::http::{Shared, WireLimits};
use super::live::{self, Live, after};

/// An answer whose head has been accepted. Dropping it before its end closes the connection.
pub struct Reply {
    /// Never informational and never a redirect.
    pub status: StatusCode,
    /// As the upstream sent them.
    pub headers: HeaderMap,
    body: Incoming,
    exchange: Option<Exchange>,
    content_length: Option<usize>,
    received: usize,
    patience: Patience,
    /// When the wait for the next piece ends, while there is one.
    deadline: Option<(Instant, WireError)>,
}

/// What an answer needs besides itself, until it has been read to its end.
pub(super) struct Exchange {
    pub(super) live: Box<Live>,
    pub(super) shared: Arc<Shared>,
    pub(super) origin: Arc<str>,
    pub(super) begun: Instant,
}

#[derive(Clone, Copy)]
struct Patience {
    quiet: Duration,
    total: Duration,
}

impl Reply {
    pub(super) fn new(
        exchange: Exchange,
        response: Response<Incoming>,
        is_head: bool,
    ) -> Result<Self, WireError> {
        let (head, body) = response.into_parts();
        let limits = &exchange.shared.limits;
        let content_length = judge(&head, is_head, limits)?;
        let patience = Patience { quiet: limits.quiet, total: limits.total };
        let mut reply = Self {
            status: head.status,
            headers: head.headers,
            body,
            exchange: Some(exchange),
            content_length,
            received: 0,
            patience,
            deadline: None,
        };
        if reply.body.is_end_stream() {
            reply.settle();
        }
        Ok(reply)
    }

    /// What the upstream says the body's length is, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<usize> {
        self.content_length
    }

    /// Whether nothing more of the request can be written: an upstream may answer before it has
    /// been.
    #[must_use]
    pub fn is_request_written(&self) -> bool {
        self.exchange.as_ref().is_none_or(|it| it.live.is_request_written())
    }

    /// Waits `quiet` for each piece and, since the call began, `total` for the end, instead of as
    /// long as the limits say: for a stream that may be silent for long.
    pub fn be_patient(&mut self, quiet: Duration, total: Duration) {
        self.patience = Patience { quiet, total };
        self.deadline = None;
    }

    /// Counts the body's bytes anew: for a stream without an end, whose messages are bounded one by
    /// one.
    pub fn forget_received(&mut self) {
        self.received = 0;
    }

    /// The next piece of the body; nothing after its end or after an error. Loses nothing when
    /// dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Reply::next`], for use inside another future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireError>>> {
        match self.poll_piece(cx) {
            Poll::Ready(piece) => {
                self.deadline = None;
                if !matches!(piece, Some(Ok(_))) {
                    self.exchange = None;
                }
                Poll::Ready(piece)
            }
            Poll::Pending => match self.poll_patience(cx) {
                Poll::Ready(error) => {
                    self.exchange = None;
                    Poll::Ready(Some(Err(error)))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// The whole body. One that comes in one piece is not copied, any other one once.
    ///
    /// # Errors
    ///
    /// As [`Reply::next`], and if the body is longer than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, WireError> {
        let too_large = || WireError::TooLarge { what: "response", limit };
        if self.content_length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(too_large());
        }
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let expected = self.content_length.unwrap_or_else(|| 4 * first.len());
        let mut whole = Vec::with_capacity(expected.min(limit));
        whole.extend_from_slice(&first);
        let mut piece = Some(second);
        while let Some(bytes) = piece {
            if whole.len() + bytes.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&bytes);
            piece = self.next().await.transpose()?;
        }
        Ok(whole.into())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireError>>> {
        let mut has_ended = None;
        loop {
            let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
            // What comes, comes out of the connection, which is driven here: no waker needed.
            let mut idle = Context::from_waker(Waker::noop());
            match Pin::new(&mut self.body).poll_frame(&mut idle) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that we forward.
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(self.accept(piece)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = live::explain(&error, exchange.shared.limits.header_bytes);
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.settle();
                    return Poll::Ready(None);
                }
                Poll::Pending => match has_ended {
                    None => has_ended = Some(exchange.live.poll_end(cx).is_ready()),
                    Some(false) => return Poll::Pending,
                    Some(true) => {
                        let reason = "the connection closed early".to_owned();
                        return Poll::Ready(Some(Err(WireError::Closed { reason })));
                    }
                },
            }
        }
    }

    fn accept(&mut self, piece: Bytes) -> Result<Bytes, WireError> {
        self.received = self.received.saturating_add(piece.len());
        if let Some(exchange) = &self.exchange {
            let limit = exchange.shared.limits.response_bytes;
            if self.received > limit {
                return Err(WireError::TooLarge { what: "response", limit });
            }
            // The timer is not looked at while pieces keep coming.
            let limit = self.patience.total;
            if Instant::now() > after(exchange.begun, limit) {
                return Err(WireError::Timeout { what: Wait::Answer, limit });
            }
        }
        if self.body.is_end_stream() {
            self.settle();
        }
        Ok(piece)
    }

    /// Gives the connection back if it is fit for another call, else closes it.
    fn settle(&mut self) {
        if let Some(Exchange { mut live, shared, origin, .. }) = self.exchange.take()
            && live.is_usable()
        {
            shared.pool.put(&origin, live, Instant::now());
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        let Some(Exchange { live, begun, .. }) = &mut self.exchange else { return Poll::Pending };
        if self.deadline.is_none() {
            let Patience { quiet, total } = self.patience;
            let silent = after(Instant::now(), quiet);
            let end = after(*begun, total);
            let deadline = if end < silent {
                (end, WireError::Timeout { what: Wait::Answer, limit: total })
            } else {
                (silent, WireError::Timeout { what: Wait::Body, limit: quiet })
            };
            live.timer.as_mut().reset(deadline.0);
            self.deadline = Some(deadline);
        }
        match (live.timer.as_mut().poll(cx), &self.deadline) {
            (Poll::Ready(()), Some((_, error))) => Poll::Ready(error.clone()),
            _ => Poll::Pending,
        }
    }
}

/// Accepts a head, and says how long its body is if it says so itself.
///
/// What two readers could frame differently is refused, even where RFC 9112 (6.3) would let us
/// choose: on a connection that is used again, the difference would become another call's answer.
fn judge(head: &Parts, is_head: bool, limits: &WireLimits) -> Result<Option<usize>, WireError> {
    let faulty = |reason| Err(WireError::Faulty { reason });
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return faulty("it switches protocols unasked");
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return faulty("it states its length twice");
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if length.is_some() {
            return faulty("it is framed in two ways");
        }
        let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !is_chunked || codings.next().is_some() {
            return faulty("its transfer encoding is not `chunked`");
        }
        if head.status == StatusCode::NO_CONTENT {
            return faulty("it frames a body where there is none");
        }
    }
    let length = match length {
        None => None,
        Some(value) => match parse_length(value.as_bytes()) {
            Some(length) => Some(length),
            None => return faulty("its length is not a number"),
        },
    };
    if head.status.is_redirection() {
        return Err(WireError::Redirect { to: destination(&head.headers) });
    }
    let mut encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return faulty("it is compressed unasked");
    }
    if is_head || head.status == StatusCode::NO_CONTENT {
        return Ok(None);
    }
    match length {
        Some(length) if length > limits.response_bytes => {
            Err(WireError::TooLarge { what: "response", limit: limits.response_bytes })
        }
        length => Ok(length),
    }
}

/// Digits only: no sign, no list, no blank.
fn parse_length(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?;
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Without path and query, which may hold secrets.
fn destination(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else { return "nowhere".to_owned() };
    // `//host/path` keeps the scheme and changes the host.
    let absolute = location.starts_with("//").then(|| format!("https:{location}"));
    let uri: Option<Uri> = absolute.as_deref().unwrap_or(location).parse().ok();
    match uri.as_ref().map(|uri| (uri.scheme_str(), uri.host(), uri.port_u16())) {
        Some((Some(scheme), Some(host), Some(port))) => format!("{scheme}://{host}:{port}"),
        Some((Some(scheme), Some(host), None)) => format!("{scheme}://{host}"),
        Some((None, None, _)) => "another path of its own".to_owned(),
        _ => "an address that is no URL".to_owned(),
    }
}
