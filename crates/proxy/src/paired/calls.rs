//! What is done for one request of a client, beside the POST that brought it.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Response;
use mcp::envelope::Message;
use mcp::headers::MCP_SESSION_ID;
use mcp::json::Raw;
use mcp::revision::LATEST_LEGACY;

use super::relay::Whose;
use super::{Greeting, Pair, Room};
use crate::body::Body;
use crate::call::Asked;
use crate::feed;
use crate::known::Known;
use crate::legacy;
use crate::refusal::Refusal;
use crate::serve::Worker;
use crate::session::Session;

/// Begins what ends with an answer on the stream, or with the stream.
pub(super) fn begin(worker: &Arc<Worker>, known: Known, message: Message, room: Room) {
    let (worker, held) = (Arc::clone(worker), worker.held.clone());
    let (calls, ended) = (room.pair.calls.clone(), room.pair.ended.clone());
    let doing = async move {
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = Box::pin(answer(&worker, known, message, &room.pair)) => {}
        }
        drop(room);
    };
    // The client's stream may be another thread's, so nothing else keeps this one until the end.
    held.spawn(calls.track_future(doing));
}

async fn answer(worker: &Arc<Worker>, known: Known, message: Message, pair: &Arc<Pair>) {
    let id = message.id().map(Raw::bytes).unwrap_or(b"null");
    let whose = Whose { id: bytes::Bytes::copy_from_slice(id) };
    let response = Box::pin(respond(worker, known, message, pair)).await;
    // A client that is gone hears nothing.
    pair.relay.carry(response, Some(&whose)).await.ok();
}

/// By a type that hides what it does: else the compiler would have to look through all of it at
/// once, and gives up.
fn serve(asked: Asked) -> BoxFuture<'static, Response<Body>> {
    Box::pin(legacy::serve(asked))
}

async fn respond(
    worker: &Arc<Worker>,
    known: Known,
    message: Message,
    pair: &Arc<Pair>,
) -> Response<Body> {
    if let Some(session) = pair.session() {
        let revision = session.revision;
        let asked = known.ask(worker, message, revision, Some(session));
        return serve(asked).await;
    }
    if message.method() == "initialize" && pair.hears() {
        return greet(worker, known, message, pair).await;
    }
    let method = message.method().to_owned();
    let asked = known.ask(worker, message, LATEST_LEGACY, None);
    match method.as_str() {
        "ping" => serve(asked).await,
        // By this clients of both eras learn that the newer one is not spoken here.
        "server/discover" => asked.refuse(&Refusal::UnknownMethod { method }).await,
        _ => asked.refuse(&Refusal::SessionMissing).await,
    }
}

/// Opens the session, and has what belongs to no call told on the stream as well.
async fn greet(
    worker: &Arc<Worker>,
    known: Known,
    message: Message,
    pair: &Arc<Pair>,
) -> Response<Body> {
    let greeting: BoxFuture<'_, _> = Box::pin(legacy::initialize(worker, known.clone(), message));
    let mut response = greeting.await;
    let id = response.headers_mut().remove(MCP_SESSION_ID);
    let now = worker.proxy.clock.elapsed();
    let session = id.as_ref().and_then(|it| it.to_str().ok());
    let session = session
        .and_then(|it| worker.proxy.sessions.find(it, &known.caller, &known.place, now).ok());
    let Some(session) = session else {
        *pair.greeting.lock() = Greeting::Awaited;
        return response;
    };
    session.replay.pair();
    *pair.greeting.lock() = Greeting::Done(Arc::clone(&session));
    let held = worker.held.clone();
    let (calls, ended) = (pair.calls.clone(), pair.ended.clone());
    let (worker, pair) = (Arc::clone(worker), Arc::clone(pair));
    held.spawn(calls.track_future(async move {
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = Box::pin(tell(&worker, known, session, &pair)) => {}
        }
    }));
    response
}

async fn tell(worker: &Arc<Worker>, known: Known, session: Arc<Session>, pair: &Pair) {
    let opening: BoxFuture<'_, _> = Box::pin(feed::open_seated(worker, known, session, None));
    match opening.await {
        Ok(response) => drop(pair.relay.carry(response, None).await),
        Err(error) => tracing::debug!(%error, "A client is not told what belongs to no call"),
    }
}

impl Pair {
    /// Whether an `initialize` is the first.
    fn hears(&self) -> bool {
        let mut greeting = self.greeting.lock();
        let is_first = matches!(*greeting, Greeting::Awaited);
        if is_first {
            *greeting = Greeting::Heard;
        }
        is_first
    }
}
