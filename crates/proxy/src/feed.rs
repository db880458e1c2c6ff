//! The stream of a legacy client for what belongs to no call: ours, and those of the upstreams.
//!
//! Servers with which the client's session has a session of its own are heard on that. Modern ones,
//! and managed ones that many share, are listened to as for a modern client (see [`crate::subscribe`]).

use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use domain::{AssignmentId, Kind};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, Response};
use inspect::{Hit, Leg, Rules};
use mcp::convert;
use mcp::envelope::{Message, MessageKind};
use mcp::headers::LAST_EVENT_ID;
use mcp::json::{Limits, Raw, quote};
use mcp::names::exposed_uri;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Gone, Outlet};
use crate::catalog::{self, Look};
use crate::content;
use crate::identify::Caller;
use crate::known::Known;
use crate::link::UpstreamSession;
use crate::questions::{self, Fate};
use crate::record::Said;
use crate::refusal::Refusal;
use crate::resume;
use crate::route::Place;
use crate::serve::Worker;
use crate::session::Session;
use crate::source::{Fed, Source, next, pause};
use crate::streams::Seat;
use crate::subscribe::{
    Change, Heard, LISTS, Listener, Prints, Sight, Subscriptions, Wanted, can_watch, has,
};

/// Opens the stream, where its client has left it if it says so; or that of a call.
pub(crate) async fn open(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    let after = match known.headers.get(LAST_EVENT_ID) {
        None => None,
        Some(id) => {
            let found = id.to_str().ok().and_then(|it| session.replay.find(it));
            let (strand, after) = found.ok_or(Refusal::EventUnknown)?;
            if !session.replay.is_listening(&strand) {
                return resume::resume(worker, known, &session, (strand, after)).await;
            }
            Some(after)
        }
    };
    let seat = worker.proxy.streams.take(known.caller.app)?;
    begin(worker, known, session, (Some(seat), after)).await
}

/// Opens it as a part of another stream, which has a seat already.
pub(crate) async fn open_seated(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    seat: Option<Seat>,
) -> Result<Response<Body>, Refusal> {
    begin(worker, known, session, (seat, None)).await
}

async fn begin(
    worker: &Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    (seat, after): (Option<Seat>, Option<u64>),
) -> Result<Response<Body>, Refusal> {
    let (caller, place) = (known.caller.clone(), known.place.clone());
    let pass = authorize::authorize(&worker.proxy, caller, place, None)?;
    pass.clear().await?;
    for (strand, told) in session.replay.heard() {
        // What may not be told any more is not; what others have said is.
        if let Err(refusal @ Refusal::Gate(_)) = resume::decide(&strand, &told).await {
            return Err(refusal);
        }
    }
    let worker = Arc::clone(worker);
    let held = worker.held.clone();
    let listener = Listener {
        worker: Arc::clone(&worker),
        caller: known.caller.clone(),
        place: known.place.clone(),
        peer: known.peer,
        revision: session.revision,
        askable: session.askable,
        knows_tasks: false,
        method: "GET",
    };
    // They would keep the buffer that they came in.
    let known = Known { headers: HeaderMap::new(), ..known };
    let servers = Subscriptions::new(listener.clone());
    let taken = Vec::new();
    let sight = None;
    let kept = (!session.replay.is_paired()).then(|| session.replay.listen(after));
    let pass = Arc::new(pass);
    let passes = HashMap::new();
    let listening = Listening {
        worker,
        known,
        session,
        pass,
        _seat: seat,
        taken,
        listener,
        servers,
        passes,
        sight,
    };
    let Some((writer, reader)) = kept else {
        return Ok(answer::events(Body::stream(&held, |outlet| listening.run(outlet))));
    };
    // It goes on for a while without its client, and tells it afterwards.
    held.spawn(listening.run(Outlet::kept(writer)));
    Ok(answer::events(Body::kept(reader)))
}

struct Listening {
    worker: Arc<Worker>,
    known: Known,
    session: Arc<Session>,
    pass: Arc<Pass>,
    _seat: Option<Seat>,
    /// Upstream sessions whose streams are open already, or are not to be had.
    taken: Vec<Arc<UpstreamSession>>,
    listener: Listener,
    /// Servers with which the session has none of its own.
    servers: Subscriptions,
    /// Under which is told what those have said.
    passes: HashMap<AssignmentId, Arc<Pass>>,
    /// Absent until it is known what the place offers.
    sight: Option<Sight>,
}

type Feed = Pin<Box<dyn Future<Output = Fed> + Send>>;

/// What a client is to be told, and under which pass.
struct Fresh {
    event: Bytes,
    pass: Arc<Pass>,
    /// Whether it says only that something has changed, which is said once.
    is_change: bool,
}

impl Listening {
    async fn run(mut self, outlet: Outlet) {
        let session = Arc::clone(&self.session);
        let mut feeds: FuturesUnordered<Feed> = FuturesUnordered::new();
        // The head goes out at once, with the first byte of the body.
        if outlet.send(sse::KEEP_ALIVE).await.is_err() {
            return;
        }
        let looking = look(self.listener.clone(), session.prints());
        let mut looking = pin!(looking.fuse());
        let proxy = Arc::clone(&self.worker.proxy);
        loop {
            // Before the look at what is there, so that nothing comes unnoticed in between.
            let opened = session.opened.notified();
            feeds.extend(self.open());
            self.want();
            let fresh: Vec<Fresh> = tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                () = proxy.streams.closing() => return,
                // Another stream has taken this one's place, or its client stays away.
                () = outlet.abandoned() => return,
                sight = &mut looking => {
                    self.sight = sight;
                    continue;
                }
                heard = self.servers.next() => {
                    heard.iter().filter_map(|it| self.told(it)).collect()
                }
                lists = changed(&mut self.sight, &mut self.listener) => {
                    let changes = lists.into_iter().map(|it| Change::List(it).notification());
                    changes.map(|it| self.change(&it)).collect()
                }
                Some(fed) = feeds.next(), if !feeds.is_empty() => match fed {
                    Fed::Said(text, mut source) => {
                        let fresh = self.relay(&text, &mut source, &mut feeds);
                        feeds.push(Box::pin(next(source)));
                        fresh.into_iter().collect()
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
                    let beating = self.pass.flight.unless_ended(outlet.send(sse::KEEP_ALIVE));
                    if !matches!(beating.await, Some(Ok(()))) {
                        return;
                    }
                    continue;
                }
            };
            // A client that takes nothing keeps no cut-off waiting for what is still opening.
            let telling = self.pass.flight.unless_ended(tell(&outlet, fresh));
            if !matches!(telling.await, Some(Ok(()))) {
                return;
            }
            // Another gateway has been picked: its client, who has been told, comes back to that.
            if self.listener.place.gateway.id != self.known.place.gateway.id {
                return;
            }
        }
    }

    /// A change of what the client may see, which is nobody's but ours to tell.
    fn change(&self, notification: &[u8]) -> Fresh {
        let pass = Arc::clone(&self.pass);
        Fresh { event: sse::event(notification), pass, is_change: true }
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
            let mut resources =
                if can_watch(part) { self.session.watched(id) } else { BTreeSet::new() };
            resources.retain(|uri| self.listener.may_read(view, id, uri));
            let wanted = Wanted { lists, resources, ..Wanted::default() };
            self.servers.want(id, part.listing.spoken, wanted);
        }
        self.servers.retain(|it| view.parts.iter().any(|part| part.assignment.id == it));
    }

    /// What a server has said to us, as the client is told it.
    fn told(&mut self, heard: &Heard) -> Option<Fresh> {
        let Heard { assignment, change, message } = heard;
        let pass = self.lead(assignment.id)?;
        let mut splice = Splice::new(message.body().clone());
        if let Some(params) = message.params() {
            let revision = self.session.revision;
            convert::to_legacy_notification(&mut splice, message.method(), params, revision);
        }
        if let Change::Resource(uri) = change {
            let view = self.sight.as_ref()?.view();
            self.listener.may_read(view, assignment.id, uri).then_some(())?;
            let exposed = self.listener.exposed(assignment, uri);
            splice.set_member(message.params()?, "uri", quote(&exposed));
        }
        let event = sse::event(&splice.finish().into_bytes());
        let is_change = matches!(change, Change::List(_));
        Some(Fresh { event, pass, is_change })
    }

    /// The pass under which is told what a server has said: one, for as long as nothing changes.
    fn lead(&mut self, of: AssignmentId) -> Option<Arc<Pass>> {
        let latest = self.worker.proxy.gate.latest();
        let is_good =
            |it: &Pass| Arc::ptr_eq(&it.place.config, &latest.config) && !it.flight.is_ended();
        if let Some(pass) = self.passes.get(&of).filter(|it| is_good(it)) {
            return Some(Arc::clone(pass));
        }
        let who = (&self.listener.caller, &self.listener.place);
        let pass = Arc::new(authorize::lead(&self.worker, who, of).ok()?.0);
        self.passes.insert(of, Arc::clone(&pass));
        Some(pass)
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
                let said = Said { worker: &worker, place: &place, peer, revision, method: "GET" };
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
    ) -> Option<Fresh> {
        let message = Message::parse(text.clone(), Limits::default()).ok()?;
        if source.pass.flight.is_ended() {
            return None;
        }
        let mut hits = Vec::new();
        let is_refused = self.is_refused(source);
        let told = match message.kind() {
            MessageKind::Notification => {
                let told = self.in_its_terms(&message, source, &mut hits);
                told.filter(|_| !is_refused)
            }
            MessageKind::Request if is_refused && message.method() != "ping" => {
                feeds.extend(questions::refuse(&message).and_then(|it| self.reply(source, it)));
                None
            }
            MessageKind::Request => {
                let whose = (&*source.pass, &source.upstream);
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
        let is_change = message.method().ends_with("/list_changed");
        Some(Fresh { event: sse::event(&told?), pass: Arc::clone(&source.pass), is_change })
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
            let ours = self.session.pending.take_back(&source.upstream, id.bytes())?;
            value = Some(("requestId", ours.to_string()));
        } else if message.method() == "notifications/resources/updated" {
            let uri = message.params()?.get("uri").and_then(Raw::str)?;
            let view = self.sight.as_ref().map(Sight::view);
            self.listener.may_read_of(view, only, &uri).then_some(())?;
            if self.known.place.only.is_none() {
                value = Some(("uri", quote(&exposed_uri(only.alias.as_str(), &uri))));
            }
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
        let (caller, place) = self.again(source)?;
        self.worker.proxy.rulebook.of(caller.workspace.id, &place.gateway)
    }

    /// Whether policies refuse everything of the server by now: then it is silent.
    fn is_refused(&self, source: &Source) -> bool {
        let now = self.worker.proxy.clock.now();
        let (Some(assignment), Ok((caller, place))) =
            (source.pass.assignment(), self.again(source))
        else {
            return true;
        };
        catalog::is_refused((&caller, &place.gateway), assignment, self.known.peer, now)
    }

    /// Who hears it and where, by what is configured now.
    fn again(&self, source: &Source) -> Result<(Caller, Place), Refusal> {
        let proxy = &self.worker.proxy;
        let latest = proxy.gate.latest();
        let caller = source.pass.caller.again(&latest.config, proxy.clock.now())?;
        let place = source.pass.place.again(&latest.config, &caller)?;
        Ok((caller, place))
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
    let Listener { worker, caller, place, askable, peer, .. } = &listener;
    let (era, askable, peer) = (Era::Legacy, *askable, *peer);
    let look = Look { worker, caller, place, era, askable, peer };
    let view = worker.proxy.catalog.view(&look).await;
    Sight::of(&listener, view, before).await.ok()
}

async fn changed(sight: &mut Option<Sight>, listener: &mut Listener) -> Vec<Kind> {
    match sight {
        Some(sight) => sight.changed(listener, Era::Legacy).await,
        None => pending().await,
    }
}

async fn tell(outlet: &Outlet, all: Vec<Fresh>) -> Result<(), Gone> {
    for Fresh { event, pass, is_change } in all {
        outlet.tell(event, &pass, is_change).await?;
    }
    Ok(())
}
