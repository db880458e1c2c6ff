//! What comes back for one message: any number of messages, the answer last.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use mcp::envelope::Message;
use mcp::headers::MCP_SESSION_ID;
use mcp::json::Limits;
use mcp::revision::Revision;
use mcp::sse;
use tokio::sync::broadcast;

use super::UpstreamSession;
use super::again::Place;
use super::line::{Answering, Feed};
use crate::batch::MOST_MESSAGES;
use crate::flight::Writing;
use crate::follow::Following;
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
    /// What comes of a task that the server has made of the call.
    Task(Box<Following>),
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
    /// Whether several messages may come as one array, and what is left of one.
    batches: bool,
    more: VecDeque<Bytes>,
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
        place: Place,
    },
    /// Where it was left, if it was a stream of events.
    Over(Option<Place>),
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
            HttpBody::Events { reply, decoder, place: Place::default() }
        } else {
            HttpBody::Single { reply, first: Bytes::new(), rest: BytesMut::new() }
        };
        let (batches, more) = (false, VecDeque::new());
        Self::Http(Box::new(HttpExchange { status, session, body, writing, batches, more }))
    }

    /// The same, in a session whose revision may allow arrays of messages.
    pub(super) fn in_session(mut self, session: &UpstreamSession) -> Self {
        if let Self::Http(it) = &mut self {
            it.batches = session.hello.revision == Revision::V2025_03_26;
        }
        self
    }

    /// Where a stream of events stands, or has ended.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Http(it) => match &it.body {
                HttpBody::Events { place, .. } => Some(place),
                HttpBody::Over(place) => place.as_ref(),
                HttpBody::Single { .. } => None,
            },
            _ => None,
        }
    }

    /// The HTTP status; what has none, a child process, has succeeded so far.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Http(it) => it.status,
            Self::Line(it) => it.status,
            Self::Stdio(_) | Self::Pipe(_) | Self::Feed(_) | Self::Task(_) | Self::Done => {
                StatusCode::OK
            }
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
            Self::Task(it) => it.next().await,
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
        if let Some(more) = self.more.pop_front() {
            return Some(Ok(more));
        }
        let next = self.read().await;
        let written = match &self.body {
            HttpBody::Single { reply, .. } | HttpBody::Events { reply, .. } => {
                reply.is_request_written()
            }
            HttpBody::Over(_) => true,
        };
        if written {
            self.writing = None;
        }
        match next {
            Some(Ok(text)) if self.batches && is_array(&text) => self.take_apart(&text),
            next => next,
        }
    }

    /// The first message of an array; the others wait for their turn.
    fn take_apart(&mut self, array: &Bytes) -> Option<Result<Bytes, UpstreamError>> {
        match Message::parse_batch(array, Limits::default(), MOST_MESSAGES) {
            Ok(messages) => {
                self.more.extend(messages.into_iter().map(|it| it.body().clone()));
                self.more.pop_front().map(Ok)
            }
            Err(error) => Some(Err(UpstreamError::Malformed(error.to_string()))),
        }
    }

    async fn read(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match &mut self.body {
            HttpBody::Over(_) => None,
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
                        self.body = HttpBody::Over(None);
                        return (!whole.is_empty()).then_some(Ok(whole));
                    }
                }
            },
            HttpBody::Events { reply, decoder, place } => loop {
                match decoder.next_event() {
                    Ok(Some(event)) => {
                        place.note(event.id.as_ref(), event.retry_ms);
                        if event.is_message() {
                            return Some(Ok(event.data));
                        }
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => return Some(Err(UpstreamError::Malformed(error.to_string()))),
                }
                match reply.next().await {
                    None => {
                        self.body = HttpBody::Over(Some(std::mem::take(place)));
                        return None;
                    }
                    Some(Err(error)) => return Some(Err(error.into())),
                    Some(Ok(bytes)) => decoder.push(bytes),
                }
            },
        }
    }
}

fn is_array(text: &[u8]) -> bool {
    text.iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'[')
}
