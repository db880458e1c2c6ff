//! What comes back for one message: any number of messages, the answer last.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use mcp::headers::MCP_SESSION_ID;
use mcp::sse;
use tokio::sync::broadcast;

use super::line::{Answering, Feed};
use crate::flight::Writing;
use crate::refusal::UpstreamError;
use crate::wire::{ChildExchange, Reply};

/// One message under way at an upstream. Dropping it drops its connection, hence the call.
pub(crate) enum Exchange {
    Http(Box<HttpExchange>),
    Stdio(ChildExchange),
    /// What a managed server says to no call in particular, and the answer to the request for that.
    Pipe(Pipe),
    /// Answered on a stream that is not its own.
    Line(Box<Answering>),
    /// What such a stream brings beside answers.
    Feed(Feed),
    /// A message that has no answer.
    Done,
}

/// See [`Exchange::Pipe`].
pub(crate) struct Pipe {
    said: broadcast::Receiver<Bytes>,
    /// What it asks, where it is for us to answer.
    asked: Option<broadcast::Receiver<Bytes>>,
    answer: Option<ChildExchange>,
}

/// The HTTP half.
pub(crate) struct HttpExchange {
    pub(crate) status: StatusCode,
    pub(crate) session: Option<http::HeaderValue>,
    // Declared before what a cut-off waits for: the connection must be gone before that is.
    body: HttpBody,
    /// Until the request has been written to its end: a server may answer before that.
    writing: Option<Writing>,
}

enum HttpBody {
    /// One message, as far as it has been read.
    Single {
        reply: Reply,
        first: Bytes,
        rest: BytesMut,
    },
    Events {
        reply: Reply,
        decoder: Box<sse::Decoder>,
    },
    Over,
}

/// The largest answer that we take from an upstream.
pub(super) const LARGEST_ANSWER: usize = 128 << 20;

impl Exchange {
    pub(super) fn http(reply: Reply, writing: Writing) -> Self {
        let writing = Some(writing).filter(|_| !reply.is_request_written());
        let media = reply.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let status = reply.status;
        let session = reply.headers.get(MCP_SESSION_ID).cloned();
        let body = if media.eq_ignore_ascii_case("text/event-stream") {
            let decoder = Box::new(sse::Decoder::new(LARGEST_ANSWER));
            HttpBody::Events { reply, decoder }
        } else {
            HttpBody::Single { reply, first: Bytes::new(), rest: BytesMut::new() }
        };
        Self::Http(Box::new(HttpExchange { status, session, body, writing }))
    }

    /// The HTTP status; what has none, a child process, has succeeded so far.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Http(it) => it.status,
            Self::Line(it) => it.status,
            Self::Stdio(_) | Self::Pipe(_) | Self::Feed(_) | Self::Done => StatusCode::OK,
        }
    }

    /// The session that the answer's head has opened.
    pub(crate) fn session(&self) -> Option<&http::HeaderValue> {
        match self {
            Self::Http(it) => it.session.as_ref(),
            _ => None,
        }
    }

    /// For streams on which nothing may come for as long as they are open. Forgets the head, which
    /// would keep the buffer that it came in.
    pub(crate) fn be_patient(&mut self) {
        const FOR_EVER: Duration = Duration::from_secs(400 * 24 * 60 * 60);

        if let Self::Http(it) = self
            && let HttpBody::Events { reply, .. } = &mut it.body
        {
            reply.be_patient(FOR_EVER, FOR_EVER);
            reply.headers = http::HeaderMap::new();
            it.session = None;
        }
    }

    /// The next message's text. Cancel-safe: what has been read is kept.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match self {
            Self::Http(it) => it.next().await,
            Self::Done => None,
            Self::Line(it) => it.next().await,
            Self::Feed(it) => it.next().await.map(Ok),
            Self::Stdio(it) => it.next().await.map(|it| it.map_err(Into::into)),
            Self::Pipe(it) => it.next().await,
        }
    }

    /// The same, together with what is said beside the answer.
    pub(crate) fn with(self, pipe: Option<Pipe>) -> Self {
        match (self, pipe) {
            (Self::Stdio(answer), Some(pipe)) => Self::Pipe(Pipe { answer: Some(answer), ..pipe }),
            (own, _) => own,
        }
    }
}

impl Pipe {
    pub(super) fn new(said: broadcast::Receiver<Bytes>) -> Self {
        Self { said, asked: None, answer: None }
    }

    /// The same, with what it asks.
    pub(super) fn with_requests(self, asked: Option<broadcast::Receiver<Bytes>>) -> Self {
        Self { asked, ..self }
    }

    /// Whoever falls behind has missed something, so that is an end, too.
    async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        let answered = async {
            match &mut self.answer {
                Some(answer) => answer.next().await,
                None => std::future::pending().await,
            }
        };
        let asked = async {
            match &mut self.asked {
                Some(asked) => asked.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            said = self.said.recv() => said.ok().map(Ok),
            asked = asked => asked.ok().map(Ok),
            answer = answered => answer.map(|it| it.map_err(Into::into)),
        }
    }
}

impl HttpExchange {
    async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        let next = self.read().await;
        let written = match &self.body {
            HttpBody::Single { reply, .. } | HttpBody::Events { reply, .. } => {
                reply.is_request_written()
            }
            HttpBody::Over => true,
        };
        if written {
            self.writing = None;
        }
        next
    }

    async fn read(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match &mut self.body {
            HttpBody::Over => None,
            HttpBody::Single { reply, first, rest } => loop {
                match reply.next().await {
                    Some(Ok(bytes)) if first.is_empty() && rest.is_empty() => *first = bytes,
                    Some(Ok(bytes)) => {
                        if rest.is_empty() {
                            let announced = reply.content_length().unwrap_or_default();
                            rest.reserve(announced.min(LARGEST_ANSWER));
                            rest.extend_from_slice(first);
                        }
                        rest.extend_from_slice(&bytes);
                    }
                    Some(Err(error)) => return Some(Err(error.into())),
                    None => {
                        let whole = if rest.is_empty() {
                            std::mem::take(first)
                        } else {
                            std::mem::take(rest).freeze()
                        };
                        self.body = HttpBody::Over;
                        return (!whole.is_empty()).then_some(Ok(whole));
                    }
                }
            },
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
