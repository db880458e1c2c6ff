//! What comes back for one message: any number of messages, the answer last.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use mcp::headers::MCP_SESSION_ID;
use mcp::sse;

use crate::refusal::UpstreamError;
use crate::wire::{ChildExchange, Reply};

/// One message under way at an upstream. Dropping it drops its connection, hence the call.
pub(crate) enum Exchange {
    Http(Box<HttpExchange>),
    Stdio(ChildExchange),
    /// A message that has no answer.
    Done,
}

/// The HTTP half.
pub(crate) struct HttpExchange {
    pub(crate) status: StatusCode,
    pub(crate) session: Option<http::HeaderValue>,
    body: HttpBody,
}

enum HttpBody {
    /// One message, not yet read.
    Single(Reply),
    Events {
        reply: Reply,
        decoder: Box<sse::Decoder>,
    },
    Over,
}

/// The largest answer that we take from an upstream.
pub(crate) const LARGEST_ANSWER: usize = 128 << 20;

impl Exchange {
    pub(super) fn http(reply: Reply) -> Self {
        let media = reply.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let status = reply.status;
        let session = reply.headers.get(MCP_SESSION_ID).cloned();
        let body = if media.eq_ignore_ascii_case("text/event-stream") {
            let decoder = Box::new(sse::Decoder::new(LARGEST_ANSWER));
            HttpBody::Events { reply, decoder }
        } else {
            HttpBody::Single(reply)
        };
        Self::Http(Box::new(HttpExchange { status, session, body }))
    }

    /// The HTTP status; what has none, a child process, has succeeded so far.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Http(it) => it.status,
            Self::Stdio(_) | Self::Done => StatusCode::OK,
        }
    }

    /// The session that the answer's head has opened.
    pub(crate) fn session(&self) -> Option<&http::HeaderValue> {
        match self {
            Self::Http(it) => it.session.as_ref(),
            Self::Stdio(_) | Self::Done => None,
        }
    }

    /// The next message's text. Cancel-safe: what has been read is kept.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match self {
            Self::Http(it) => it.next().await,
            Self::Done => None,
            Self::Stdio(it) => it.next().await.map(|it| it.map_err(Into::into)),
        }
    }
}

impl HttpExchange {
    async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match &mut self.body {
            HttpBody::Over => None,
            HttpBody::Single(_) => {
                let HttpBody::Single(reply) = std::mem::replace(&mut self.body, HttpBody::Over)
                else {
                    return None;
                };
                match reply.collect(LARGEST_ANSWER).await {
                    Ok(body) if body.is_empty() => None,
                    Ok(body) => Some(Ok(body)),
                    Err(error) => Some(Err(error.into())),
                }
            }
            HttpBody::Events { reply, decoder } => loop {
                match decoder.next_event() {
                    Ok(Some(event)) if event.is_message() => return Some(Ok(event.data)),
                    Ok(Some(_)) => continue,
                    Ok(None) => {}
                    Err(error) => return Some(Err(UpstreamError::Malformed(error.to_string()))),
                }
                match reply.next().await {
                    None => {
                        self.body = HttpBody::Over;
                        return None;
                    }
                    Some(Err(error)) => return Some(Err(error.into())),
                    Some(Ok(bytes)) => decoder.push(bytes),
                }
            },
        }
    }
}
