//! The front door of the data plane.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Counters, Definitions, Gate, Listed, Offers, Picks, Secrets, Traffic};
use domain::{Clock, IdentityId, Server, ServerId, Snapshot};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use mcp::envelope::{EnvelopeError, Message};
use mcp::era::{self, Detected};
use mcp::headers::{self, MCP_SESSION_ID};
use mcp::json::Limits;
use mcp::sealed::Sealer;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::answer::{self, Manner};
use crate::batch;
use crate::body::{Body, Released, Spot};
use crate::catalog::Catalog;
use crate::content::Rulebook;
use crate::feed;
use crate::flight::Flights;
use crate::hop::{self, Errand, Hop};
use crate::identify::{self, Anonymous};
use crate::known::Known;
use crate::legacy;
use crate::limit::Returns;
use crate::link::{Links, ServerHealth};
use crate::metrics::Metrics;
use crate::modern;
use crate::paired::{self, Pairs};
use crate::parked::Parking;
use crate::picker::{self, Pace};
use crate::proxies::{BadForwarded, Proxies};
use crate::receive::{self, Hosts, Path};
use crate::record;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::seats::Seats;
use crate::session::Sessions;
use crate::strangers::Strangers;
use crate::streams::Streams;
use crate::tasks::{Book, Wards};
use crate::turned_away::TurnedAway;
use crate::wire::{ChildLimits, HttpWire, ProcessLimits};

/// What the data plane is made with.
pub struct Options {
    pub hosts: Hosts,
    /// Whose word is taken for where a request comes from.
    pub proxies: Proxies,
    /// Who may call without a token: development mode only.
    pub anonymous: Anonymous,
    /// The largest request body in bytes.
    pub largest_request: usize,
    /// How long a request body may take to arrive.
    pub body_patience: Duration,
    /// How long an upstream may take to say who it is.
    pub probe: Duration,
    /// How long one page of a list may take.
    pub listing: Duration,
    /// How long an upstream may be silent in a call.
    pub silence: Duration,
    /// How long a client may take to answer what a server asks it in a call.
    pub answers: Duration,
    /// How long a call waits for a task of its server.
    pub longest_task: Duration,
    /// How long a session in which clients can be asked is kept while nobody uses it.
    pub keep_sessions: Duration,
    /// How many sessions legacy clients may have open.
    pub most_sessions: usize,
    /// How many calls may wait for answers of modern clients to what legacy servers have asked.
    pub most_held_calls: usize,
    /// Keys the hashes that rules leave in place of what they find.
    pub rule_salt: [u8; 32],
    /// Seals what clients carry for us.
    pub sealing_key: [u8; 32],
    /// Where child processes are looked after.
    pub runtime: tokio::runtime::Handle,
    /// Owns what outlives a request for a moment.
    pub tasks: TaskTracker,
    /// Put before the command of a child process.
    pub launcher: Option<Vec<String>>,
    pub child: ChildLimits,
    pub process: ProcessLimits,
}

/// How many sessions in which clients can be asked one app may hold open, and all together for each
/// call that may be held in one. They serve one call at a time, and not all of these are held.
const LEASES_PER_APP: usize = 512;
const LEASES_PER_HELD_CALL: usize = 2;

/// The data plane, shared by all workers.
pub struct Proxy {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) counters: Arc<dyn Counters>,
    pub(crate) definitions: Arc<dyn Definitions>,
    pub(crate) picks: Arc<dyn Picks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: audit::Log,
    /// Absent where content is not kept.
    pub(crate) content: Option<Arc<audit::ContentStore>>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) sessions: Sessions,
    pub(crate) hop: Hop,
    pub(crate) streams: Arc<Streams>,
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) parking: Parking,
    pub(crate) returns: Returns,
    /// Sessions with servers in which clients can be asked.
    pub(crate) leases: Arc<Seats>,
    pub(crate) strangers: Strangers,
    pub(crate) pace: Pace,
    pub(crate) links: Links,
    pub(crate) catalog: Catalog,
    pub(crate) rulebook: Rulebook,
    pub(crate) sealer: Sealer,
    pub(crate) tasks: Book,
    pub(crate) wards: Wards,
    /// What is counted.
    pub metrics: Metrics,
    pub(crate) options: Options,
}

/// What the rest of the program lends to the data plane.
pub struct Ports {
    pub gate: Arc<dyn Gate>,
    pub secrets: Arc<dyn Secrets>,
    pub counters: Arc<dyn Counters>,
    pub definitions: Arc<dyn Definitions>,
    pub picks: Arc<dyn Picks>,
    pub clock: Arc<dyn Clock>,
    pub log: audit::Log,
    pub content: Option<Arc<audit::ContentStore>>,
}

/// The data plane on one thread, with connections of its own.
pub struct Worker {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) wire: HttpWire,
    /// To other replicas, where there may be some.
    pub(crate) hop: Option<HttpWire>,
    /// What goes on on its thread after requests have ended, and must come to its end before the thread
    /// does: calls that are held, or whose clients are away, streams, and whatever is yet to be recorded
    /// or told to a server.
    pub(crate) held: TaskTracker,
    /// Of listeners only one at a time has policies decide about what it sees: each change is one for all
    /// of them, and calls must get through in between.
    pub(crate) looking: Semaphore,
}

impl Proxy {
    /// A data plane that nobody has called yet.
    pub fn new(ports: Ports, options: Options) -> Arc<Self> {
        let Ports { gate, secrets, counters, definitions, picks, clock, log, content } = ports;
        let parking = Parking::new(clock.id(), &options);
        Arc::new(Self {
            flights: Arc::new(Flights::new(Arc::clone(&clock), Arc::clone(&gate))),
            gate,
            secrets,
            counters,
            definitions,
            picks,
            clock,
            log,
            content,
            sessions: Sessions::new(options.most_sessions),
            hop: Hop::default(),
            streams: Arc::default(),
            pairs: Arc::default(),
            parking,
            returns: Returns::default(),
            leases: Seats::new(LEASES_PER_APP, LEASES_PER_HELD_CALL * options.most_held_calls),
            strangers: Strangers::default(),
            pace: Pace::default(),
            links: Links::default(),
            catalog: Catalog::default(),
            rulebook: Rulebook::new(options.rule_salt),
            sealer: Sealer::new(options.sealing_key),
            tasks: Book::default(),
            wards: Wards::new(&options),
            metrics: Metrics::default(),
            options,
        })
    }

    /// Names the address at which other replicas reach this one, in what clients bring back from now
    /// on: to be called before anybody is served.
    pub fn be_reached_at(&self, address: SocketAddr) {
        self.hop.set(address);
    }

    /// What is under way, for whoever cuts it off.
    pub fn traffic(self: &Arc<Self>) -> Arc<dyn Traffic> {
        Arc::<Self>::clone(self)
    }

    /// How a server has been doing.
    pub fn health(&self, server: ServerId) -> Option<ServerHealth> {
        self.links.health(server)
    }

    /// How many tools a server is known to offer.
    pub fn tools_of(&self, server: ServerId) -> Option<usize> {
        self.catalog.tools_of(server)
    }

    /// Calls and streams under way, and open legacy sessions.
    pub fn gauges(&self) -> BTreeMap<&'static str, usize> {
        BTreeMap::from([
            ("flights", self.flights.len()),
            ("kept_bytes", self.sessions.replays.bytes()),
            ("parked", self.parking.len()),
            ("sessions", self.sessions.len()),
        ])
    }

    /// Ends the calls that wait for their clients to come back, those that go on for clients that are
    /// away, and the streams on which clients only listen; from now on there will be none of them. To be
    /// called while the workers still work.
    pub async fn drain(&self) {
        self.parking.drain().await;
        self.sessions.close();
        self.streams.close();
    }

    /// Ends child processes, and records what is still to be recorded.
    pub async fn close(&self) {
        self.sessions.close();
        self.links.close().await;
        self.record_strangers(Duration::MAX).await;
    }

    /// Records those who were too many to be recorded one by one.
    async fn record_strangers(&self, now: Duration) {
        for crowd in self.strangers.take(now) {
            if let Err(error) = record::crowd(self, &crowd).await {
                let workspace = &crowd.workspace.name;
                tracing::error!(workspace.name = %workspace, %error, "Refusals were not recorded");
            }
        }
    }
}

impl Offers for Proxy {
    fn tool(&self, server: &Server, identity: Option<IdentityId>, name: &str) -> Listed {
        self.catalog.tool_of(server, identity, name)
    }
}

impl Worker {
    /// A worker for the current thread.
    pub fn new(proxy: Arc<Proxy>, wire: HttpWire, hop: Option<HttpWire>) -> Arc<Self> {
        Arc::new(Self { proxy, wire, hop, held: TaskTracker::new(), looking: Semaphore::new(1) })
    }

    /// Waits until nothing goes on on its thread for any call, and then ends the sessions with servers
    /// that its calls have used: to be called after [`Proxy::drain`], when no requests are left.
    pub async fn finish(self: &Arc<Self>) {
        self.held.close();
        self.held.wait().await;
        for goodbye in self.proxy.links.goodbyes(self) {
            self.held.spawn(goodbye);
        }
        self.held.wait().await;
    }

    /// Ends all that is under way, of all workers: its clients are told that the gateway is stopping
    /// and that they may try again.
    pub fn end(&self) {
        self.proxy.flights.end_all();
    }

    /// Answers one HTTP request for a path that begins with `/mcp/` or `/sse/`.
    ///
    /// Everything below stands on the heap, level by level: as one future it would be some 20 KB,
    /// and each level would move all of it.
    pub fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<Released>> {
        self.answer(request, (peer.ip(), false))
    }

    /// The same for one that another replica has received, which says from whom, and which goes no
    /// further.
    pub fn handle_passed_on(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<Released>> {
        match hop::take_peer(request.headers_mut()) {
            Some(peer) => self.answer(request, (peer, true)),
            None => {
                let refusal = Refusal::BadHeader { name: hop::PEER.to_string() };
                let response = answer::refusal(&refusal, Manner::UNKNOWN);
                let released = response.map(|it| Released::of(it, &self.proxy.flights, None));
                Box::pin(std::future::ready(released))
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        (peer, is_passed_on): (IpAddr, bool),
    ) -> BoxFuture<'static, Response<Released>> {
        let worker = Arc::clone(self);
        Box::pin(async move {
            let proxy = &worker.proxy;
            let arrived = proxy.clock.elapsed();
            if proxy.strangers.is_due(arrived) {
                let recording = Arc::clone(proxy);
                worker.held.spawn(async move { recording.record_strangers(arrived).await });
            }
            let client = if is_passed_on {
                // Whoever has passed it on has looked.
                Ok(peer)
            } else {
                proxy.options.proxies.client(peer, request.headers())
            };
            let said = client.unwrap_or_else(|_| domain::canonical(peer));
            let mut place = None;
            let from = (client, is_passed_on);
            let receiving = Box::pin(worker.receive(request, from, (arrived, &mut place)));
            let response = match receiving.await {
                Ok(response) => response,
                Err(turned) => Box::pin(worker.turn_away(*turned, said)).await,
            };
            response.map(|body| Released::of(body, &proxy.flights, place))
        })
    }

    async fn receive(
        self: &Arc<Self>,
        request: Request<Incoming>,
        (client, is_passed_on): (Result<IpAddr, BadForwarded>, bool),
        (arrived, spot): (Duration, &mut Option<Spot>),
    ) -> Result<Response<Body>, Box<TurnedAway>> {
        let (parts, body) = request.into_parts();
        // Read first, since whatever is turned away is recorded where it wanted to go.
        let path = Path::parse(parts.uri.path()).ok_or(Refusal::NoGateway)?;
        let away = |refusal| TurnedAway::stranger(&path, refusal);
        // Whoever has passed it on has looked at where it came to.
        if !is_passed_on {
            self.proxy.options.hosts.check(&parts).map_err(away)?;
        }
        receive::check_names(&parts.headers).map_err(away)?;
        let peer = client.map_err(Refusal::from).map_err(away)?;
        let (now, anonymous) = (self.proxy.clock.now(), &self.proxy.options.anonymous);
        let presented = (&parts.headers, peer);
        let identify = |it: &Snapshot| identify::identify(&it.config, presented, anonymous, now);
        let latest = self.proxy.gate.latest();
        let snapshot = match path.gateway {
            Some(_) => latest,
            // What has just been picked, perhaps by way of another replica, is what is meant.
            None => {
                let (caller, now) = (identify(&latest).ok(), (&path, now));
                let current = picker::current(&self.proxy, &latest, caller.as_ref(), now).await;
                current.map_err(|it| away(it.into()))?
            }
        };
        let caller = identify(&snapshot).map_err(away)?;
        let elsewhere = |refusal| TurnedAway {
            caller: Some(caller.clone()),
            ..TurnedAway::stranger(&path, refusal)
        };
        caller.check_address().map_err(elsewhere)?;
        let place = match path.gateway {
            Some(_) => Place::find(&snapshot.config, &caller, &path),
            None => Place::pick(&snapshot, &caller, &path, now),
        };
        let place = place.map_err(elsewhere)?;
        let (workspace, gateway) = (Arc::clone(&caller.workspace), Arc::clone(&place.gateway));
        *spot = Some(Spot { workspace, gateway });
        let headers = parts.headers;
        let whose = caller.clone();
        let known = Known { caller, place, headers, peer, is_passed_on, arrived };
        let method = match parts.method {
            Method::GET => Some("GET"),
            Method::DELETE => Some("DELETE"),
            _ => None,
        };
        let away = |refusal| TurnedAway {
            caller: Some(whose),
            method,
            is_stranger: false,
            ..TurnedAway::stranger(&path, refusal)
        };
        if path.is_paired {
            let request = (parts.method, parts.uri.query(), body);
            let answering = paired::answer(self, known, &path, request);
            return Box::pin(answering).await.map_err(|it| away(it).into());
        }
        match parts.method {
            Method::POST => Box::pin(self.post(known, body)).await.map_err(|it| away(it).into()),
            Method::GET | Method::DELETE => {
                Box::pin(self.by_session(known, parts.method)).await.map_err(|it| away(it).into())
            }
            _ => Err(away(Refusal::Verb { allowed: "POST, GET, DELETE" }).into()),
        }
    }

    async fn post(
        self: &Arc<Self>,
        known: Known,
        body: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        receive::check_post(&known.headers)?;
        let options = &self.proxy.options;
        let limit = options.largest_request;
        let body = receive::read_body(body, limit, options.body_patience).await?;
        let known = known.again(&self.proxy)?;
        let message = match Message::parse(body.clone(), Limits::default()) {
            Err(EnvelopeError::Batch) => {
                return Box::pin(batch::serve(self, known, &body)).await;
            }
            parsed => parsed?,
        };
        match era::detect(&Method::POST, &known.headers, Some(&message)) {
            Detected::Modern => match headers::validate(&known.headers, &message) {
                Ok(revision) => {
                    let to = hop::held_at(&self.proxy, &known, &message);
                    let errand = || Errand::with(&known, &message);
                    let passed_on = hop::pass_on(self, &known, to, errand).await;
                    if let Ok(Some(answer)) = passed_on {
                        return Ok(answer);
                    }
                    let asked = known.ask(self, message, revision, None);
                    match passed_on {
                        Err(refusal) => Ok(Box::pin(asked.refuse(&refusal)).await),
                        Ok(_) => Ok(Box::pin(modern::serve(asked)).await),
                    }
                }
                Err(error) => {
                    let asked = known.ask(self, message, mcp::revision::LATEST, None);
                    Ok(Box::pin(asked.refuse(&error.into())).await)
                }
            },
            Detected::Initialize => Ok(Box::pin(legacy::initialize(self, known, message)).await),
            Detected::LegacySession => {
                let session = match known.session(self) {
                    Ok(session) => session,
                    Err(refusal) => {
                        let to = hop::named_session_at(&self.proxy, &known);
                        let errand = || Errand::with(&known, &message);
                        let passed_on = hop::pass_on(self, &known, to, errand).await;
                        let refusal = match passed_on {
                            Ok(Some(answer)) => return Ok(answer),
                            Ok(None) => refusal,
                            Err(refusal) => refusal,
                        };
                        let asked = known.ask(self, message, mcp::revision::LATEST_LEGACY, None);
                        return Ok(Box::pin(asked.refuse(&refusal)).await);
                    }
                };
                let revision = session.revision;
                let asked = known.ask(self, message, revision, Some(session));
                Ok(Box::pin(legacy::serve(asked)).await)
            }
            Detected::LegacySessionless => {
                let asked = known.ask(self, message, mcp::revision::LATEST_LEGACY, None);
                Ok(Box::pin(asked.refuse(&Refusal::SessionMissing)).await)
            }
        }
    }

    /// GET opens a legacy session's stream, DELETE ends the session. The modern era has neither.
    async fn by_session(
        self: &Arc<Self>,
        known: Known,
        method: Method,
    ) -> Result<Response<Body>, Refusal> {
        if era::detect(&method, &known.headers, None) == Detected::Modern
            || !known.headers.contains_key(MCP_SESSION_ID)
        {
            return Err(Refusal::Verb { allowed: "POST" });
        }
        let session = match known.session(self) {
            Ok(session) => session,
            Err(refusal) => {
                let to = hop::named_session_at(&self.proxy, &known);
                let errand = || Errand::to(&known, method);
                return hop::pass_on(self, &known, to, errand).await?.ok_or(refusal);
            }
        };
        if method == Method::DELETE {
            return legacy::end(self, known, &session).await;
        }
        receive::check_get(&known.headers)?;
        feed::open(self, known, session).await
    }
}
