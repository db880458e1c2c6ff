//! Several messages in one request, as revision 2025-03-26 has it, and no other.
//!
//! Each message goes its ordinary way: it is decided, recorded and answered by itself. What comes
//! back as one answer comes in one array; as soon as one of them is a stream, all come in one.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream};
use futures::{FutureExt, StreamExt};
use http::{Method, Response, StatusCode};
use mcp::envelope::{EnvelopeError, Message, MessageKind};
use mcp::era::{self, Detected};
use mcp::json::Limits;
use mcp::revision::Revision;
use mcp::sse;
use tokio_util::task::TaskTracker;

use crate::answer;
use crate::body::{Body, Gone, Outlet, Whole};
use crate::hop::{self, Errand};
use crate::known::Known;
use crate::legacy;
use crate::refusal::Refusal;
use crate::replay::{Reader, Told};
use crate::serve::Worker;

/// How many messages one array may hold, whoever sends it.
pub(crate) const MOST_MESSAGES: usize = 100;

/// How many of them are under way at a time.
const AT_ONCE: usize = 16;

type Answers = Pin<Box<dyn Stream<Item = Response<Body>> + Send>>;

/// Answers an array.
pub(crate) async fn serve(
    worker: &Arc<Worker>,
    known: Known,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    if era::detect(&Method::POST, &known.headers, None) != Detected::LegacySession {
        return Err(EnvelopeError::Batch.into());
    }
    let session = match known.session(worker) {
        Ok(session) => session,
        Err(refusal) => {
            let to = hop::named_session_at(&worker.proxy, &known);
            let errand = || Errand::to(&known, Method::POST).carrying(body.clone());
            return hop::pass_on(worker, &known, to, errand).await?.ok_or(refusal);
        }
    };
    if session.revision != Revision::V2025_03_26 {
        return Err(EnvelopeError::Batch.into());
    }
    let messages = Message::parse_batch(body, Limits::default(), MOST_MESSAGES)?;
    let is_modern =
        |it: &Message| era::detect(&Method::POST, &known.headers, Some(it)) == Detected::Modern;
    if messages.iter().any(is_modern) {
        return Err(EnvelopeError::Batch.into());
    }
    let is_answer = |it: &&Message| matches!(it.kind(), MessageKind::Response | MessageKind::Error);
    let answers = messages.iter().filter(is_answer).count();
    if answers != 0 && answers != messages.len() {
        let reason = "a batch holds answers or other messages, not both";
        return Err(EnvelopeError::Invalid { reason }.into());
    }
    let asks = messages.iter().any(|it| it.kind() == MessageKind::Request);
    let answering = messages.into_iter().map(|message| {
        let revision = session.revision;
        let asked = known.clone().ask(worker, message, revision, Some(Arc::clone(&session)));
        legacy::serve(asked).boxed()
    });
    let answering: Vec<_> = answering.collect();
    let answers: Answers = Box::pin(stream::iter(answering).buffer_unordered(AT_ONCE));
    match asks {
        true => Ok(gather(answers, &worker.held).await),
        false => Ok(accept(answers).await),
    }
}

/// What needs no answers has none, unless something of it was not taken.
async fn accept(answers: Answers) -> Response<Body> {
    let refused = answers.filter(|it| std::future::ready(!it.status().is_success()));
    let refused: Vec<_> = refused.collect().await;
    refused.into_iter().next().unwrap_or_else(answer::accepted)
}

async fn gather(mut answers: Answers, tasks: &TaskTracker) -> Response<Body> {
    let mut whole = Vec::new();
    while let Some(response) = answers.next().await {
        match response.into_body().whole() {
            Ok(answer) => whole.push(answer),
            Err(reader) => {
                let reading = FuturesUnordered::from_iter([next(reader)]);
                let batch = Batch { whole, reading, answers };
                return answer::events(Body::stream(tasks, |outlet| batch.run(outlet)));
            }
        }
    }
    whole.retain(|it| !it.parts.is_empty());
    if whole.is_empty() {
        // Every one of them was cancelled.
        return answer::events(Body::empty());
    }
    let (mut parts, mut flights) = (Vec::new(), Vec::new());
    for answer in whole {
        parts.push(Bytes::from_static(if parts.is_empty() { b"[" } else { b"," }));
        parts.extend(answer.parts);
        flights.extend(answer.flight);
    }
    parts.push(Bytes::from_static(b"]"));
    answer::json(StatusCode::OK, Body::revocable(parts, flights))
}

/// Answers of which at least one comes in pieces.
struct Batch {
    whole: Vec<Whole>,
    reading: FuturesUnordered<Reading>,
    answers: Answers,
}

type Reading = BoxFuture<'static, Option<(Told, Box<Reader>)>>;

impl Batch {
    async fn run(mut self, outlet: Outlet) {
        for answer in std::mem::take(&mut self.whole) {
            if send(answer, &outlet).await.is_err() {
                return;
            }
        }
        loop {
            let sent = tokio::select! {
                Some(response) = self.answers.next() => match response.into_body().whole() {
                    Ok(answer) => send(answer, &outlet).await,
                    Err(reader) => {
                        self.reading.push(next(reader));
                        Ok(())
                    }
                },
                Some(heard) = self.reading.next() => match heard {
                    Some((told, reader)) => {
                        self.reading.push(next(reader));
                        pass_on(told, &outlet).await
                    }
                    None => Ok(()),
                },
                else => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

fn next(mut reader: Box<Reader>) -> Reading {
    async move { reader.told().await.map(|told| (told, reader)) }.boxed()
}

async fn send(answer: Whole, outlet: &Outlet) -> Result<(), Gone> {
    if answer.parts.is_empty() {
        return Ok(());
    }
    let parts = answer::event(answer.parts);
    match answer.flight {
        // What is cut off is not sent; the others are.
        Some(flight) if flight.is_ended() => Ok(()),
        Some(flight) => outlet.send_parts(parts, &flight).await,
        None => outlet.send(parts.concat().into()).await,
    }
}

/// Under the id that it has: its stream is one that its client can come back to.
async fn pass_on(told: Told, outlet: &Outlet) -> Result<(), Gone> {
    match told {
        Told::Event(parts, Some(pass)) => outlet.send_parts(parts, &pass.flight).await,
        Told::Event(parts, None) => outlet.send(parts.concat().into()).await,
        Told::Beat => outlet.send(sse::KEEP_ALIVE).await,
        Told::Farewell(_) => Ok(()),
    }
}
