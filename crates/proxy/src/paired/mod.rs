//! Clients on the transport of 2024-11-05: a stream on which they hear everything, paired with a URL
//! to which they send everything.
//!
//! It differs from Streamable HTTP in where answers go, and in nothing else: what a message asks for
//! is done by the same code, and its response moved onto the stream ([`relay`]). The stream is the
//! session. When it ends, whoever ended it, its calls end and our sessions with upstreams as well.
//!
//! The id in the URL cannot be guessed and proves nothing: each message is authenticated anew, and a pair
//! answers only the app, gateway and URL that opened it.

mod calls;
mod hold;
mod relay;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::{AppId, AssignmentId, GatewayId};
use futures::future::BoxFuture;
use http::{Method, Response};
use hyper::body::Incoming;
use mcp::envelope::{Message, MessageKind};
use mcp::json::Limits;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::relay::{Chunks, Relay};
use crate::answer;
use crate::authorize;
use crate::body::Body;
use crate::hop::{self, Errand};
use crate::identify::Caller;
use crate::known::Known;
use crate::legacy;
use crate::receive::{self, Path};
use crate::refusal::Refusal;
use crate::route;
use crate::serve::Worker;
use crate::session::Session;

/// The open pairs of all apps, by their ids. Each has a seat among the streams, so they are bounded.
#[derive(Default)]
pub(crate) struct Pairs(Mutex<HashMap<String, Arc<Pair>>>);

/// One client's stream, and what is under way for it.
pub(crate) struct Pair {
    id: String,
    app: AppId,
    gateway: GatewayId,
    only: Option<AssignmentId>,
    /// Where answers go.
    relay: Relay,
    greeting: Mutex<Greeting>,
    /// What waits for its answer.
    load: Mutex<Load>,
    calls: TaskTracker,
    ended: CancellationToken,
}

/// How far a client has come with its `initialize`.
enum Greeting {
    Awaited,
    /// Being answered.
    Heard,
    Done(Arc<Session>),
}

#[derive(Clone, Copy, Default)]
struct Load {
    calls: usize,
    bytes: usize,
}

/// One request that waits for its answer.
struct Room {
    pair: Arc<Pair>,
    bytes: usize,
}

/// Calls of one stream that wait for their answers: here they hold no connection that would bound
/// them. Their bodies together may be as large as one may be.
const MOST_CALLS: usize = 64;

/// Answers one HTTP request for a path that begins with `/sse/`.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    known: Known,
    path: &Path,
    (method, query, body): (Method, Option<&str>, Incoming),
) -> Result<Response<Body>, Refusal> {
    match method {
        Method::GET => open(worker, known, path).await,
        Method::POST => {
            let id = named(query)?;
            match worker.proxy.pairs.find(id, &known.caller, &known.place) {
                Ok(pair) => post(worker, known, pair, body).await,
                Err(refusal) => elsewhere(worker, known, (path, id), body).await?.ok_or(refusal),
            }
        }
        _ => Err(Refusal::Verb { allowed: "GET, POST" }),
    }
}

/// Opens a stream.
async fn open(worker: &Arc<Worker>, known: Known, path: &Path) -> Result<Response<Body>, Refusal> {
    receive::check_get(&known.headers)?;
    known.check_revision()?;
    let (caller, place) = (known.caller.clone(), known.place.clone());
    let pass = authorize::authorize(&worker.proxy, caller, place, None)?;
    let seat = worker.proxy.streams.take(known.caller.app)?;
    pass.clear().await?;
    let id = hop::new_id(&worker.proxy, &known.caller, &known.place);
    let (pair, chunks) = worker.proxy.pairs.open(&known.caller, &known.place, id);
    let address = message_address(path, &pair.id);
    let hold = hold::Hold::new(worker, known, pair, (pass, seat));
    Ok(answer::events(Body::stream(&worker.held, |outlet| hold.run(address, chunks, outlet))))
}

/// Where the client is to send its messages, relative to where it has found the stream.
fn message_address(path: &Path, id: &str) -> String {
    let server = path.server.as_ref().map(|it| format!("/{it}")).unwrap_or_default();
    let gateway = path.gateway.as_deref().unwrap_or_default();
    format!("/sse/{}/{gateway}{server}?session={id}", path.workspace)
}

/// Has a message taken by the replica that has the stream.
async fn elsewhere(
    worker: &Arc<Worker>,
    known: Known,
    (path, id): (&Path, &str),
    body: Incoming,
) -> Result<Option<Response<Body>>, Refusal> {
    let to = hop::session_at(&worker.proxy, &known, id);
    if to.is_none() {
        return Ok(None);
    }
    receive::check_media(&known.headers)?;
    let options = &worker.proxy.options;
    let body = receive::read_body(body, options.largest_request, options.body_patience).await?;
    let known = known.again(&worker.proxy)?;
    let errand = || {
        let target = message_address(path, id);
        Errand::to(&known, Method::POST).at(target).carrying(body)
    };
    hop::pass_on(worker, &known, to, errand).await
}

/// Takes one message. What it asks for is answered on the stream.
async fn post(
    worker: &Arc<Worker>,
    known: Known,
    pair: Arc<Pair>,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    receive::check_media(&known.headers)?;
    known.check_revision()?;
    let options = &worker.proxy.options;
    let body = receive::read_body(body, options.largest_request, options.body_patience).await?;
    let known = known.again(&worker.proxy)?;
    let message = Message::parse(body, Limits::default())?;
    if message.kind() == MessageKind::Request {
        let room = pair.room(message.body(), options.largest_request)?;
        calls::begin(worker, known, message, room);
        return Ok(answer::accepted());
    }
    let session = pair.session().ok_or(Refusal::SessionMissing)?;
    let revision = session.revision;
    let asked = known.ask(worker, message, revision, Some(session));
    let serving: BoxFuture<'_, _> = Box::pin(legacy::serve(asked));
    Ok(serving.await)
}

/// The pair that a query names.
fn named(query: Option<&str>) -> Result<&str, Refusal> {
    let mut named = query.unwrap_or_default().split('&');
    let mut named = named.by_ref().filter_map(|it| it.strip_prefix("session="));
    let id = named.next().ok_or(Refusal::SessionMissing)?;
    if named.next().is_some() { Err(Refusal::SessionUnknown) } else { Ok(id) }
}

impl Pairs {
    fn open(&self, caller: &Caller, place: &route::Place, id: String) -> (Arc<Pair>, Chunks) {
        let (relay, chunks) = relay::relay();
        let pair = Arc::new(Pair {
            id,
            app: caller.app,
            gateway: place.gateway.id,
            only: place.only.as_ref().map(|it| it.id),
            relay,
            greeting: Mutex::new(Greeting::Awaited),
            load: Mutex::default(),
            calls: TaskTracker::new(),
            ended: CancellationToken::new(),
        });
        self.0.lock().insert(pair.id.clone(), Arc::clone(&pair));
        (pair, chunks)
    }

    /// One that is not this caller's at this place is not there.
    fn find(&self, id: &str, caller: &Caller, place: &route::Place) -> Result<Arc<Pair>, Refusal> {
        let open = self.0.lock();
        let pair = open.get(id).ok_or(Refusal::SessionUnknown)?;
        let own = pair.app == caller.app
            && pair.gateway == place.gateway.id
            && pair.only == place.only.as_ref().map(|it| it.id);
        if own { Ok(Arc::clone(pair)) } else { Err(Refusal::SessionUnknown) }
    }

    fn close(&self, pair: &Pair) {
        self.0.lock().remove(&pair.id);
    }
}

impl Pair {
    fn session(&self) -> Option<Arc<Session>> {
        match &*self.greeting.lock() {
            Greeting::Done(session) => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// Room for one more request to wait in.
    fn room(self: &Arc<Self>, body: &Bytes, most_bytes: usize) -> Result<Room, Refusal> {
        let mut load = self.load.lock();
        let (calls, bytes) = (load.calls + 1, load.bytes + body.len());
        if MOST_CALLS < calls || most_bytes < bytes {
            return Err(Refusal::TooManyCalls);
        }
        *load = Load { calls, bytes };
        Ok(Room { pair: Arc::clone(self), bytes: body.len() })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut load = self.pair.load.lock();
        load.calls -= 1;
        load.bytes -= self.bytes;
    }
}
