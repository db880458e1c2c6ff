//! The stream of a legacy client for what belongs to no call: ours, and those of the upstreams.
//!
//! Servers with which the client's session has a session of its own are heard on that. Modern ones,
//! and managed ones that many share, are listened to as for a modern client (see [`crate::subscribe`]).

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Kind;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, Response, StatusCode};
use inspect::{Hit, Leg, Rules};
use mcp::convert;
use mcp::envelope::{Message, MessageKind};
use mcp::json::{Limits, Raw, quote};
use mcp::names::exposed_uri;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Outlet};
use crate::content;
use crate::link::{Exchange, Link, UpstreamSession};
use crate::questions::{self, Fate};
use crate::record::{Aside, Outcome, Said};
use crate::refusal::Refusal;
use crate::serve::{Known, Worker};
use crate::session::Session;
use crate::streams::Seat;
use crate::subscribe::{
    Change, Heard, LISTS, Listener, Prints, Sight, Subscriptions, Wanted, can_watch, has,
};

/// Opens the stream.
pub(crate) async fn open(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    let seat = worker.proxy.streams.take(known.caller.app)?;
    open_seated(worker, known, session, Some(seat)).await
}

/// Opens it as a part of another stream, which has a seat already.
pub(crate) async fn open_seated(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    seat: Option<Seat>,
) -> Result<Response<Body>, Refusal> {
    let (caller, place) = (known.caller.clone(), known.place.clone());
    let pass = authorize::authorize(&worker.proxy, caller, place, None)?;
    pass.clear().await?;
    let worker = Arc::clone(worker);
    let tasks = worker.proxy.options.tasks.clone();
    let listener = Listener {
        worker: Arc::clone(&worker),
        caller: known.caller.clone(),
        place: known.place.clone(),
        peer: known.peer,
        revision: session.revision,
        method: "GET",
    };
    // They would keep the buffer that they came in.
    let known = Known { headers: HeaderMap::new(), ..known };
    let servers = Subscriptions::new(listener.clone());
    let taken = Vec::new();
    let sight = None;
    let listening =
        Listening { worker, known, session, pass, _seat: seat, taken, listener, servers, sight };
    Ok(answer::events(Body::stream(&tasks, |outlet| listening.run(outlet))))
}

struct Listening {
    worker: Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    pass: Pass,
    _seat: Option<Seat>,
    /// Upstream sessions whose streams are open already, or are not to be had.
    taken: Vec<Arc<UpstreamSession>>,
    listener: Listener,
    /// Servers with which the session has none of its own.
    servers: Subscriptions,
    /// Absent until it is known what the place offers.
    sight: Option<Sight>,
}

type Feed = Pin<Box<dyn Future<Output = Fed> + Send>>;

enum Fed {
    Said(Bytes, Box<Source>),
    /// The stream has ended, or is not open to us now.
    Ended(Arc<UpstreamSession>),
    /// It is time to open it again.
    Due(Arc<UpstreamSession>),
    /// There is no such stream.
    Nothing,
}

/// How long a stream that has ended stays closed: servers and what stands before them end idle ones.
const PAUSE: Duration = Duration::from_secs(5);

/// An upstream's own stream, and what is recorded of it.
struct Source {
    exchange: Exchange,
    pass: Pass,
    upstream: Arc<UpstreamSession>,
    aside: Aside,
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
        let looking = look(self.listener.clone(), session.prints());
        let mut looking = pin!(looking.fuse());
        loop {
            let flight = Arc::clone(&self.pass.flight);
            // Before the look at what is there, so that nothing comes unnoticed in between.
            let opened = session.opened.notified();
            feeds.extend(self.open());
            self.want();
            let event = tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                event = inbox.recv() => match event {
                    Some(event) => event,
                    // Another stream has taken this one's place.
                    None => return,
                },
                sight = &mut looking => {
                    self.sight = sight;
                    continue;
                }
                heard = self.servers.next() => {
                    heard.iter().filter_map(|it| self.told(it)).collect::<Vec<_>>().concat().into()
                }
                lists = changed(&mut self.sight, &mut self.listener) => {
                    let changes = lists.into_iter().map(|it| Change::List(it).notification());
                    changes.map(|it| sse::event(&it)).collect::<Vec<_>>().concat().into()
                }
                Some(fed) = feeds.next(), if !feeds.is_empty() => match fed {
                    Fed::Said(text, mut source) => {
                        let event = self.relay(&text, &mut source, &mut feeds);
                        feeds.push(Box::pin(next(source)));
                        match event {
                            Some(event) => event,
                            None => continue,
                        }
                    }
                    Fed::Ended(upstream) => {
                        feeds.push(Box::pin(pause(upstream)));
                        continue;
                    }
                    Fed::Due(upstream) => {
                        self.taken.retain(|it| !Arc::ptr_eq(it, &upstream));
                        continue;
                    }
                    Fed::Nothing => continue,
                },
                () = opened => continue,
                is_current = self.pass.tick() => {
                    if !is_current {
                        return;
                    }
                    self.sight.iter_mut().for_each(Sight::look_for_failed);
                    sse::KEEP_ALIVE
                }
            };
            if event.is_empty() {
                continue;
            }
            // A client that takes nothing keeps no cut-off waiting for what is still opening.
            if !matches!(flight.unless_ended(outlet.send(event)).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Says what is to be heard of servers with which the session has none of its own.
    fn want(&mut self) {
        let Some(sight) = &self.sight else { return };
        self.servers.set_listener(&self.listener);
        let view = sight.view();
        for part in view.parts.iter().filter(|it| it.listing.error.is_none()) {
            let id = part.assignment.id;
            if !self.session.is_listened_to(part) {
                continue;
            }
            let lists = LISTS.into_iter().filter(|it| has(part, *it)).collect();
            let resources =
                if can_watch(part) { self.session.watched(id) } else { BTreeSet::new() };
            let wanted = Wanted { lists, resources };
            self.servers.want(id, part.listing.spoken, wanted);
        }
        self.servers.retain(|it| view.parts.iter().any(|part| part.assignment.id == it));
    }

    /// What a server has said to us, as the client is told it.
    fn told(&self, heard: &Heard) -> Option<Bytes> {
        let Heard { assignment, change, message } = heard;
        let mut splice = Splice::new(message.body().clone());
        if let Some(params) = message.params() {
            let revision = self.session.revision;
            convert::to_legacy_notification(&mut splice, message.method(), params, revision);
        }
        if let Change::Resource(uri) = change {
            self.listener.may_read(assignment, uri).then_some(())?;
            let exposed = self.listener.exposed(assignment, uri);
            splice.set_member(message.params()?, "uri", quote(&exposed));
        }
        Some(sse::event(&splice.finish().into_bytes()))
    }

    /// The streams of upstream sessions that have come since; each opens in its own time.
    fn open(&mut self) -> Vec<Feed> {
        let open = self.session.upstreams();
        self.taken.retain(|it| open.iter().any(|(_, known)| Arc::ptr_eq(it, known)));
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
            let who = (&self.known.caller, &self.known.place);
            let Ok((pass, link)) = authorize::lead(&self.worker, who, assignment.id) else {
                feeds.push(Box::pin(pause(upstream)));
                continue;
            };
            let (worker, place) = (Arc::clone(&self.worker), self.known.place.clone());
            let (peer, revision) = (self.known.peer, self.session.revision);
            feeds.push(Box::pin(async move {
                let said = Said { place: &place, peer, revision, method: "GET" };
                let heard = upstream.heard.clone();
                let opened = Source::open(&worker, (pass, link), upstream, &said).await;
                heard.cancel();
                match opened {
                    Some(source) => next(Box::new(source)).await,
                    None => Fed::Nothing,
                }
            }));
        }
        feeds
    }

    /// What an upstream says to no call, as the client is told it.
    fn relay(
        &self,
        text: &Bytes,
        source: &mut Source,
        feeds: &mut FuturesUnordered<Feed>,
    ) -> Option<Bytes> {
        let message = Message::parse(text.clone(), Limits::default()).ok()?;
        if source.pass.flight.is_ended() {
            return None;
        }
        let mut hits = Vec::new();
        let told = match message.kind() {
            MessageKind::Notification => self.in_its_terms(&message, source, &mut hits),
            MessageKind::Request => {
                let whose = (&source.pass, &source.upstream);
                let rules = self.rules(source);
                match questions::decide(&self.session, whose, rules, &message, &mut hits) {
                    Fate::Asked(question) => Some(question),
                    Fate::Answered(answer) => {
                        feeds.extend(self.reply(source, answer));
                        None
                    }
                    Fate::Dropped => None,
                }
            }
            // An answer to something that was not asked here (H069).
            MessageKind::Response | MessageKind::Error => None,
        };
        source.aside.tell(told.as_ref(), hits);
        Some(sse::event(&told?))
    }

    /// Answers an upstream ourselves, in its own time.
    fn reply(&self, source: &Source, answer: Bytes) -> Option<Feed> {
        let who = (&self.known.caller, &self.known.place);
        let assignment = source.pass.assignment()?.id;
        let lead = authorize::lead(&self.worker, who, assignment).ok()?;
        let (worker, upstream) = (Arc::clone(&self.worker), Arc::clone(&source.upstream));
        Some(Box::pin(async move {
            questions::answer(worker, lead, upstream, answer).await;
            Fed::Nothing
        }))
    }

    fn in_its_terms(
        &self,
        message: &Message,
        source: &Source,
        hits: &mut Vec<Hit>,
    ) -> Option<Bytes> {
        let only = source.pass.place.only.as_ref()?;
        let mut value = None;
        if message.method().ends_with("/list_changed") {
            self.worker.proxy.catalog.changed(only.server.id);
        } else if message.method() == "notifications/cancelled" {
            let id = message.params()?.get("requestId")?;
            let ours = self.session.take_back(&source.upstream, id.bytes())?;
            value = Some(("requestId", ours.to_string()));
        } else if message.method() == "notifications/resources/updated"
            && self.known.place.only.is_none()
        {
            let uri = message.params()?.get("uri").and_then(Raw::str)?;
            value = Some(("uri", quote(&exposed_uri(only.alias.as_str(), &uri))));
        }
        let rules = self.rules(source).ok()?;
        // What belongs to no call belongs to no tool, so rules for certain tools do not look at it.
        let nobody = (only.alias.as_str(), "");
        let message = content::edit(&rules, Leg::Response, nobody, message, hits).ok()?;
        let mut splice = Splice::new(message.body().clone());
        if let (Some(params), Some((key, value))) = (message.params(), value) {
            splice.set_member(params, key, value);
        }
        Some(splice.finish().into_bytes())
    }

    /// The rules that hold now, which may be others than when the stream began.
    fn rules(&self, source: &Source) -> Result<Rules, Refusal> {
        let proxy = &self.worker.proxy;
        let latest = proxy.gate.latest();
        let caller = source.pass.caller.again(&latest.config, proxy.clock.now())?;
        let place = source.pass.place.again(&latest.config, &caller)?;
        proxy.rulebook.of(caller.workspace.id, &place.gateway)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(sight) = &self.sight {
            self.session.keep_prints(sight.prints());
        }
    }
}

async fn look(listener: Listener, before: Prints) -> Option<Sight> {
    let Listener { worker, caller, place, .. } = &listener;
    let view = worker.proxy.catalog.view(worker, caller, place, Era::Legacy).await;
    Sight::of(&listener, view, before).ok()
}

async fn changed(sight: &mut Option<Sight>, listener: &mut Listener) -> Vec<Kind> {
    match sight {
        Some(sight) => sight.changed(listener, Era::Legacy).await,
        None => pending().await,
    }
}

impl Source {
    /// Opens the upstream's stream, which is recorded before anything leaves.
    async fn open(
        worker: &Worker,
        (pass, link): (Pass, Arc<Link>),
        upstream: Arc<UpstreamSession>,
        said: &Said<'_>,
    ) -> Option<Self> {
        // Else it has no such stream.
        let is_own_child = upstream.own && upstream.child.is_some();
        (is_own_child || upstream.has_stream()).then_some(())?;
        let aside = recorded(Aside::begin(&pass, said, Vec::new(), &[]).await)?;
        if let Some(exchange) = link.hear_whole(&upstream) {
            return Some(Self { exchange, pass, upstream, aside });
        }
        let opening = link.listen(worker, &pass, &upstream);
        let outcome = match pass.flight.unless_ended(opening).await {
            Some(Ok(Some(exchange))) => return Some(Self { exchange, pass, upstream, aside }),
            Some(Ok(None)) => Outcome::told(StatusCode::METHOD_NOT_ALLOWED),
            Some(Err(refusal)) => Outcome::refused(&refusal),
            None => Outcome::refused(&pass.why_ended().await),
        };
        recorded(aside.end(&outcome).await)?;
        None
    }
}

/// What a server says next, until its stream has ended, or has been ended.
async fn next(mut source: Box<Source>) -> Fed {
    let flight = Arc::clone(&source.pass.flight);
    let outcome = match flight.unless_ended(source.exchange.next()).await {
        Some(Some(Ok(text))) => return Fed::Said(text, source),
        Some(Some(Err(error))) => {
            let server = source.pass.assignment().map(|it| it.server.name.to_string());
            Outcome::refused(&Refusal::upstream(&server.unwrap_or_default(), error))
        }
        Some(None) => Outcome::told(StatusCode::OK),
        None => Outcome::refused(&source.pass.why_ended().await),
    };
    let Source { aside, upstream, .. } = *source;
    match recorded(aside.end(&outcome).await) {
        Some(_) => Fed::Ended(upstream),
        None => Fed::Nothing,
    }
}

async fn pause(upstream: Arc<UpstreamSession>) -> Fed {
    tokio::time::sleep(PAUSE).await;
    Fed::Due(upstream)
}

/// What cannot be recorded is not done.
fn recorded<T>(done: Result<T, Refusal>) -> Option<T> {
    done.inspect_err(|error| tracing::warn!(%error, "A stream could not be recorded")).ok()
}
