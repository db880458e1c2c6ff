//! Requests of clients of the legacy era, which hold a session.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::headers::MCP_SESSION_ID;
use mcp::json::{Raw, quote};
use mcp::revision::{self, Era};
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Outlet};
use crate::call::{self, Asked};
use crate::catalog::{List, View};
use crate::forward;
use crate::link::{Channel, Exchange, Letter, Link, UpstreamSession};
use crate::modern;
use crate::record;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::serve::{Known, Worker};
use crate::session::{Hello, Session};
use crate::streams::Seat;

/// Opens a session.
pub(crate) async fn initialize(
    worker: &Arc<Worker>,
    known: Known,
    message: Message,
) -> Response<Body> {
    let asked = known.ask(worker, message, revision::LATEST_LEGACY, None);
    match opened(&asked).await {
        Ok((session, result)) => {
            let parts = answer::result(asked.id(), [result]);
            let mut response = answer::json(StatusCode::OK, parts);
            if let Ok(id) = HeaderValue::from_str(&session.id) {
                response.headers_mut().insert(MCP_SESSION_ID, id);
            }
            response
        }
        Err(refusal) => asked.refuse(&refusal).await,
    }
}

async fn opened(asked: &Asked) -> Result<(Arc<Session>, Bytes), Refusal> {
    if asked.message.kind() != MessageKind::Request {
        return Err(Refusal::Params("`initialize` is a request"));
    }
    let params = asked.message.params().ok_or(Refusal::Params("`params` is missing"))?;
    let requested = params.get("protocolVersion").and_then(Raw::str);
    let requested = requested.ok_or(Refusal::Params("`params.protocolVersion` is missing"))?;
    let object = |key: &str| {
        let found = params.get(key).filter(|it| it.is_object());
        found.map_or(Bytes::from_static(b"{}"), |it| Bytes::copy_from_slice(it.bytes()))
    };
    let hello = Hello {
        revision: revision::negotiate(&requested),
        capabilities: object("capabilities"),
        client_info: object("clientInfo"),
    };
    let proxy = &asked.worker.proxy;
    let (caller, place) = (asked.caller.clone(), asked.place.clone());
    let pass = authorize::authorize(proxy, caller, place, None)?;
    let view = proxy.catalog.view(&asked.worker, &asked.caller, &asked.place, Era::Legacy).await;
    pass.clear().await?;
    modern::check_listed(asked, &view)?;
    let revision = hello.revision;
    let session = proxy.sessions.open(&asked.caller, &asked.place, hello, proxy.clock.elapsed())?;
    record::answered(asked).await?;
    Ok((session, introduction(&view, revision)))
}

fn introduction(view: &View, revision: revision::Revision) -> Bytes {
    let only = view.parts.first().filter(|_| !view.is_prefixed());
    let info = only.and_then(|it| it.listing.info.clone()).unwrap_or_else(crate::link::our_info);
    let instructions = modern::instructions(view)
        .map(|it| format!(r#","instructions":{}"#, quote(&it)))
        .unwrap_or_default();
    let result = format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{}{instructions}}}"#,
        revision.as_str(),
        modern::capabilities(view, Era::Legacy),
        String::from_utf8_lossy(&info),
    );
    result.into()
}

/// Answers one message of a session.
pub(crate) async fn serve(asked: Asked) -> Response<Body> {
    match asked.message.kind() {
        MessageKind::Request => request(asked).await,
        MessageKind::Notification => notification(asked).await,
        MessageKind::Response | MessageKind::Error => match answered(&asked).await {
            Ok(()) => answer::accepted(),
            Err(refusal) => asked.refuse(&refusal).await,
        },
    }
}

async fn request(asked: Asked) -> Response<Body> {
    let method = asked.message.method();
    if let Some(list) = List::of(method) {
        return modern::list(asked, list).await;
    }
    match method {
        "ping" => empty_result(&asked),
        "logging/setLevel" => match set_level(&asked).await {
            Ok(()) => empty_result(&asked),
            Err(refusal) => asked.refuse(&refusal).await,
        },
        "tools/call"
        | "prompts/get"
        | "resources/read"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "completion/complete" => call::run(asked).await,
        "initialize" | "server/discover" | "subscriptions/listen" => unknown(asked).await,
        // What we do not know may be known to the one server behind a single-server URL.
        _ if asked.place.only.is_some() => call::run(asked).await,
        _ => unknown(asked).await,
    }
}

fn empty_result(asked: &Asked) -> Response<Body> {
    let empty = Bytes::from_static(b"{}");
    answer::json(StatusCode::OK, answer::result(asked.id(), [empty]))
}

async fn unknown(asked: Asked) -> Response<Body> {
    let method = asked.message.method().to_owned();
    asked.refuse(&Refusal::UnknownMethod { method }).await
}

async fn notification(asked: Asked) -> Response<Body> {
    let told = match asked.message.method() {
        "notifications/cancelled" => {
            cancel(&asked);
            Ok(())
        }
        "notifications/roots/list_changed" => {
            let body = asked.message.body().clone();
            broadcast(&asked, |_| body.clone()).await
        }
        // `initialized` concerns us alone; what else there is belongs to calls that we do not know.
        _ => Ok(()),
    };
    if let Err(refusal) = told {
        tracing::debug!(error = %refusal, "A notification could not be passed on");
    }
    answer::accepted()
}

/// The client gives up a call, which then tells the upstream.
fn cancel(asked: &Asked) {
    let id = asked.message.params().and_then(|it| it.get("requestId"));
    if let (Some(session), Some(id)) = (&asked.session, id) {
        session.cancel(id.bytes(), asked.message.clone());
    }
}

async fn set_level(asked: &Asked) -> Result<(), Refusal> {
    let params = asked.message.params().ok_or(Refusal::Params("`params` is missing"))?;
    let level = params.get("level").ok_or(Refusal::Params("`params.level` is missing"))?;
    let known = level.str().is_some_and(|it| mcp::meta::LogLevel::parse(&it).is_some());
    if !known {
        return Err(Refusal::Params("`params.level` is not a log level"));
    }
    let level = Bytes::copy_from_slice(level.bytes());
    if let Some(session) = &asked.session {
        *session.log_level.lock() = Some(level.clone());
    }
    open_only(asked).await?;
    let params = format!(r#"{{"level":{}}}"#, String::from_utf8_lossy(&level));
    broadcast(asked, |link| {
        let id = link.next_id().to_string();
        errors::request_body(id.as_bytes(), "logging/setLevel", Some(params.as_bytes()))
    })
    .await
}

/// On a single-server URL, makes sure that there is a session with the server to speak in.
async fn open_only(asked: &Asked) -> Result<(), Refusal> {
    let (Some(only), Some(session)) = (&asked.place.only, &asked.session) else { return Ok(()) };
    let worker = &asked.worker;
    let link = worker.proxy.links.to(worker, &only.server)?;
    let pass = pass_to(asked, only)?;
    pass.unless_ended(async {
        if link.era(worker, &pass, Era::Legacy).await? == Era::Legacy {
            forward::own_session(worker, &pass, &link, session, only.id).await?;
        }
        Ok(())
    })
    .await
}

/// Sends a message to all upstreams that the client's session has sessions with.
async fn broadcast(asked: &Asked, body: impl Fn(&Link) -> Bytes) -> Result<(), Refusal> {
    let Some(session) = &asked.session else { return Ok(()) };
    let open: Vec<_> =
        session.upstreams.lock().await.iter().map(|(k, v)| (*k, Arc::clone(v))).collect();
    for (assignment, upstream) in open {
        let own = |it: &&Arc<domain::Assignment>| it.id == assignment;
        let Some(assignment) = asked.place.assignments().iter().find(own) else { continue };
        let link = asked.worker.proxy.links.to(&asked.worker, &assignment.server)?;
        let pass = pass_to(asked, assignment)?;
        let headers = HeaderMap::new();
        let letter = Letter { parts: vec![body(&link)], id: None, progress: false, headers };
        let channel = Channel::Legacy(upstream);
        tell(asked, &pass, &link, (&channel, letter)).await?;
    }
    Ok(())
}

/// Sends what needs no answer, and reads what comes back to its end, so that the connection can
/// serve again.
async fn tell(
    asked: &Asked,
    pass: &Pass,
    link: &Link,
    (channel, letter): (&Channel, Letter),
) -> Result<(), Refusal> {
    pass.unless_ended(async {
        let mut exchange = link.post(&asked.worker, pass, channel, letter).await?;
        while let Some(Ok(_)) = exchange.next().await {}
        Ok(())
    })
    .await
}

fn pass_to(asked: &Asked, assignment: &Arc<domain::Assignment>) -> Result<Pass, Refusal> {
    let place = Place { only: Some(Arc::clone(assignment)), ..asked.place.clone() };
    authorize::authorize(&asked.worker.proxy, asked.caller.clone(), place, None)
}

/// The client answers what an upstream has asked.
async fn answered(asked: &Asked) -> Result<(), Refusal> {
    let id = asked.message.id().ok_or(Refusal::Params("an answer has an id"))?;
    let session = asked.session.as_ref().ok_or(Refusal::SessionMissing)?;
    // What was not asked, or was answered already, is taken and goes nowhere.
    let Some(pending) = id.u64().and_then(|it| session.answered(it)) else { return Ok(()) };
    let mut splice = Splice::new(asked.message.body().clone());
    splice.replace_value(id, pending.id.clone());
    let link = asked.worker.proxy.links.to(&asked.worker, &pending.assignment.server)?;
    let pass = pass_to(asked, &pending.assignment)?;
    let parts = splice.finish().into_parts();
    let letter = Letter { parts, id: None, progress: false, headers: HeaderMap::new() };
    let channel = Channel::Legacy(Arc::clone(&pending.upstream));
    tell(asked, &pass, &link, (&channel, letter)).await
}

/// Ends a session, and ours with the upstreams that served it.
pub(crate) async fn end(
    worker: &Arc<Worker>,
    known: Known,
    session: &Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    worker.proxy.sessions.end(session);
    let upstreams: Vec<_> = session.upstreams.lock().await.drain().collect();
    for (assignment, upstream) in upstreams {
        let own = |it: &&Arc<domain::Assignment>| it.id == assignment;
        let Some(assignment) = known.place.assignments().iter().find(own) else { continue };
        let place = Place { only: Some(Arc::clone(assignment)), ..known.place.clone() };
        let pass = authorize::authorize(&worker.proxy, known.caller.clone(), place, None)?;
        let link = worker.proxy.links.to(worker, &assignment.server)?;
        // A server that is cut off meanwhile is left without a word.
        pass.flight.unless_ended(link.goodbye(worker, &pass, &upstream)).await;
    }
    Ok(Response::new(Body::empty()))
}

/// The stream for what belongs to no call: ours, and those of the upstreams.
pub(crate) async fn stream(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    let (caller, place) = (known.caller.clone(), known.place.clone());
    let pass = authorize::authorize(&worker.proxy, caller, place, None)?;
    let seat = worker.proxy.streams.take(known.caller.app)?;
    pass.clear().await?;
    pass.flight.land();
    let worker = Arc::clone(worker);
    let body = Body::stream(|outlet| {
        let listening = Listening { worker, known, session, pass, _seat: seat, taken: Vec::new() };
        listening.run(outlet)
    });
    Ok(answer::events(body))
}

struct Listening {
    worker: Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    pass: Pass,
    _seat: Seat,
    /// Upstream sessions whose streams are open already, or are not to be had.
    taken: Vec<Arc<UpstreamSession>>,
}

type Feed = Pin<Box<dyn Future<Output = Option<(Bytes, Source)>> + Send>>;

/// An upstream's own stream.
struct Source {
    exchange: Exchange,
    pass: Pass,
}

impl Listening {
    async fn run(mut self, outlet: Outlet) {
        let session = Arc::clone(&self.session);
        let mut inbox = session.listen();
        let mut feeds: FuturesUnordered<Feed> = FuturesUnordered::new();
        // The head goes out at once, with the first byte of the body.
        if outlet.send(sse::KEEP_ALIVE).await.is_err() {
            return;
        }
        loop {
            let flight = Arc::clone(&self.pass.flight);
            // Before the look at what is there, so that nothing comes unnoticed in between.
            let opened = session.opened.notified();
            let Some(new) = flight.unless_ended(self.open()).await else { return };
            feeds.extend(new);
            let event = tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                event = inbox.recv() => match event {
                    Some(event) => event,
                    // Another stream has taken this one's place.
                    None => return,
                },
                Some(fed) = feeds.next(), if !feeds.is_empty() => match fed {
                    Some((text, source)) => {
                        let event = self.relay(&text, &source);
                        feeds.push(Box::pin(next(source)));
                        match event {
                            Some(event) => event,
                            None => continue,
                        }
                    }
                    None => continue,
                },
                () = opened => continue,
                () = tokio::time::sleep(std::time::Duration::from_secs(15)) => sse::KEEP_ALIVE,
            };
            if outlet.send(event).await.is_err() {
                return;
            }
        }
    }

    /// The streams of upstream sessions that have come since; each opens in its own time.
    async fn open(&mut self) -> Vec<Feed> {
        let open: Vec<_> =
            self.session.upstreams.lock().await.iter().map(|(k, v)| (*k, Arc::clone(v))).collect();
        let mut feeds: Vec<Feed> = Vec::new();
        for (assignment, upstream) in open {
            if self.taken.iter().any(|it| Arc::ptr_eq(it, &upstream)) {
                continue;
            }
            self.taken.push(Arc::clone(&upstream));
            let own = |it: &&Arc<domain::Assignment>| it.id == assignment;
            let Some(assignment) = self.known.place.assignments().iter().find(own) else {
                continue;
            };
            let place = Place { only: Some(Arc::clone(assignment)), ..self.known.place.clone() };
            let caller = self.known.caller.clone();
            let Ok(pass) = authorize::authorize(&self.worker.proxy, caller, place, None) else {
                continue;
            };
            let Ok(link) = self.worker.proxy.links.to(&self.worker, &assignment.server) else {
                continue;
            };
            let worker = Arc::clone(&self.worker);
            feeds.push(Box::pin(async move {
                let opening = link.listen(&worker, &pass, &upstream);
                let exchange = pass.flight.unless_ended(opening).await??;
                pass.flight.land();
                next(Source { exchange, pass }).await
            }));
        }
        feeds
    }

    fn relay(&self, text: &Bytes, source: &Source) -> Option<Bytes> {
        let message = Message::parse(text.clone(), mcp::json::Limits::default()).ok()?;
        if message.kind() != MessageKind::Notification || source.pass.flight.is_ended() {
            return None;
        }
        let only = source.pass.place.only.as_ref()?;
        if message.method().ends_with("/list_changed") {
            self.worker.proxy.catalog.changed(only.server.id);
        }
        let mut splice = Splice::new(text.clone());
        let uri = message.params().and_then(|it| it.get("uri"));
        if self.known.place.only.is_none()
            && message.method() == "notifications/resources/updated"
            && let Some((place, uri)) = uri.and_then(|it| it.str().map(|text| (it, text)))
        {
            let exposed = mcp::names::exposed_uri(only.alias.as_str(), &uri);
            splice.replace_value(place, Bytes::from(quote(&exposed)));
        }
        Some(sse::event(&splice.finish().into_bytes()))
    }
}

/// What a server says next; nothing when its stream has ended, or has been ended.
async fn next(mut source: Source) -> Option<(Bytes, Source)> {
    let flight = Arc::clone(&source.pass.flight);
    let text = flight.unless_ended(source.exchange.next()).await??.ok()?;
    Some((text, source))
}
