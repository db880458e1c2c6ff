//! How we speak to one upstream server: its era, its sessions, its child processes.
//!
//! Which eras a server speaks is found out by asking it, in the era of the client who wants
//! something of it, and kept until its configuration changes or the verdict has grown old.
//! A refusal of credentials, an overload or a broken connection says nothing about the era.

mod again;
mod exchange;
mod hello;
mod lease;
mod line;
mod post;
mod probe;
mod slot;
mod stdio;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    AppId, Config, EraSetting, IdentityId, Server, ServerId, Snapshot, Target, Transport,
};
use http::HeaderValue;
use mcp::bridge::askable::Askable;
use mcp::meta::LogLevel;
use mcp::revision::{Era, Revision};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) use again::{Again, Heard, Place};
pub(crate) use exchange::Exchange;
pub(crate) use hello::{Introduction, final_answer, our_info};
pub(crate) use lease::Lease;
pub(crate) use post::Letter;
pub(crate) use slot::Slot;

use crate::authorize::Pass;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::Endpoint;

/// The links to all servers.
#[derive(Default)]
pub(crate) struct Links {
    by_server: Mutex<HashMap<ServerId, Arc<Link>>>,
}

/// One upstream server, as we know it.
pub(crate) struct Link {
    pub(crate) server: Arc<Server>,
    endpoint: Option<Endpoint>,
    /// What the modern side has said, by credential: it may not say the same to everybody.
    modern: Mutex<HashMap<Option<IdentityId>, Arc<Slot<Verdict>>>>,
    /// Sessions that serve clients without one of their own, by credential and app.
    plain: Mutex<HashMap<PlainKey, Arc<Slot<Arc<UpstreamSession>>>>>,
    /// Sessions in which modern clients can be asked, as far as nobody uses them.
    idle: lease::Idle,
    /// When the legacy side was last found wanting.
    legacy_refused: Mutex<Option<Duration>>,
    children: stdio::Children,
    /// How many listeners watch each resource in a session that all share.
    watched: Mutex<HashMap<String, usize>>,
    lines: Arc<line::Lines>,
    next_id: AtomicU64,
    health: Mutex<ServerHealth>,
}

type PlainKey = (Option<IdentityId>, Option<AppId>, Askable);

/// What asking the modern side has shown. Nothing is found where there is none.
#[derive(Clone)]
struct Verdict {
    found: Option<Arc<Hello>>,
    /// A server that learns the modern era goes on answering the legacy one, so nothing else would
    /// tell that it has.
    until: Duration,
}

/// What a server says about itself: the result of `server/discover` or of `initialize`.
pub(crate) struct Hello {
    pub(crate) revision: Revision,
    /// Its `capabilities` object, as it wrote it.
    pub(crate) capabilities: Bytes,
    pub(crate) instructions: Option<String>,
    /// Its `serverInfo`, as it wrote it.
    pub(crate) info: Option<Bytes>,
}

/// A legacy session of ours with an upstream.
pub(crate) struct UpstreamSession {
    /// Absent where the server gives none; then none is ever sent.
    pub(crate) id: Option<HeaderValue>,
    pub(crate) hello: Hello,
    /// With whom it was opened.
    server: Arc<Server>,
    /// By whose credential, if by any.
    identity: Option<IdentityId>,
    /// Set when the server says that it has forgotten the session.
    pub(crate) lost: AtomicBool,
    /// Cancelled once its own stream is open, or is known not to be had.
    pub(crate) heard: CancellationToken,
    /// From which severity on it has been told to log.
    pub(crate) log_level: tokio::sync::Mutex<Option<LogLevel>>,
    /// Where its stream for what belongs to no call was left.
    pub(crate) left: Mutex<Place>,
    /// Whether it serves one client alone.
    pub(crate) own: bool,
    /// Whose child process it is, where the server is one.
    pub(crate) child: Option<crate::wire::Child>,
    /// The stream that it is, where the server speaks the transport of 2024-11-05.
    pub(crate) line: Option<Arc<line::Line>>,
    /// Where that one's words go that belong to no call, if it serves one client alone.
    ears: Option<lease::Ears>,
    /// Set when the server has no stream of its own for the session.
    has_no_stream: AtomicBool,
}

/// How a server has been doing, for people to look at.
#[derive(Clone, Debug, Default)]
pub struct ServerHealth {
    /// Absent before it was first spoken to.
    pub last_answer: Option<Duration>,
    /// What went wrong since.
    pub error: Option<String>,
    /// How many failures in a row.
    pub failures: u32,
}

/// How a message reaches an upstream, once the era is settled.
#[derive(Clone)]
pub(crate) enum Channel {
    Modern(Arc<Hello>),
    Legacy(Arc<UpstreamSession>),
}

/// How long a server that has refused a legacy session is asked in the modern era instead, if it
/// speaks that. It may have been a bad moment.
const REFUSED: Duration = Duration::from_secs(60);

/// Of how many credentials or apps a link remembers something; past that it begins anew.
const MOST: usize = 1_000;

impl Links {
    /// The link to a server; a new one when its configuration has changed.
    pub(crate) fn to(&self, worker: &Worker, server: &Arc<Server>) -> Result<Arc<Link>, Refusal> {
        let mut links = self.by_server.lock();
        if let Some(link) = links.get(&server.id)
            && (Arc::ptr_eq(&link.server, server)
                || link.server.transport == server.transport && link.server.era == server.era)
        {
            return Ok(Arc::clone(link));
        }
        let endpoint = match &server.transport {
            Transport::Http { url } | Transport::Sse { url } => {
                Some(worker.wire.guard().parse_url(url).map_err(|error| {
                    let text =
                        UpstreamError::Wire(error.to_string(), crate::refusal::WireBlame::Retry);
                    Refusal::upstream(server.name.as_str(), text)
                })?)
            }
            Transport::Stdio { .. } => None,
        };
        let link = Arc::new(Link {
            server: Arc::clone(server),
            endpoint,
            modern: Mutex::default(),
            plain: Mutex::default(),
            idle: lease::Idle::default(),
            legacy_refused: Mutex::default(),
            children: stdio::Children::default(),
            watched: Mutex::default(),
            lines: Arc::default(),
            next_id: AtomicU64::new(1),
            health: Mutex::default(),
        });
        links.insert(server.id, Arc::clone(&link));
        Ok(link)
    }

    pub(crate) fn health(&self, server: ServerId) -> Option<ServerHealth> {
        self.by_server.lock().get(&server).map(|it| it.health.lock().clone())
    }

    /// The links that may not be used: to servers that are off, or elsewhere, or gone. Those of
    /// servers that are gone are forgotten.
    pub(crate) fn barred(&self, snapshot: &Snapshot, now: DateTime<Utc>) -> Vec<Arc<Link>> {
        let mut links = self.by_server.lock();
        let is_barred = |it: &&Arc<Link>| !is_open(snapshot, &it.server, now);
        let barred: Vec<_> = links.values().filter(is_barred).map(Arc::clone).collect();
        links.retain(|id, _| find_server(&snapshot.config, *id).is_some());
        barred
    }

    /// What closes the streams of servers on which nothing may come any more.
    pub(crate) fn closing_lines(
        &self,
        snapshot: &Arc<Snapshot>,
        now: DateTime<Utc>,
    ) -> impl FnOnce() + Send + use<> {
        let lines: Vec<_> =
            self.by_server.lock().values().map(|it| Arc::clone(&it.lines)).collect();
        let snapshot = Arc::clone(snapshot);
        move || lines.iter().for_each(|it| it.stop(&snapshot, now))
    }

    /// Stops every child process, and closes every stream.
    pub(crate) async fn close(&self) {
        let links: Vec<_> = self.by_server.lock().drain().map(|(_, link)| link).collect();
        for link in links {
            link.lines.close();
            link.stop().await;
        }
    }
}

impl Link {
    pub(crate) fn name(&self) -> &str {
        self.server.name.as_str()
    }

    /// Whether the server is a process of ours.
    pub(crate) fn is_managed(&self) -> bool {
        matches!(self.server.transport, Transport::Stdio { .. })
    }

    /// An id for a request to this server, used once.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Which era to speak for a client of `client` era: the client's own where the server can.
    pub(crate) async fn era(
        &self,
        worker: &Worker,
        pass: &Pass,
        client: Era,
    ) -> Result<Era, Refusal> {
        if self.is_sse() {
            return Ok(Era::Legacy);
        }
        match (self.server.era, client) {
            (EraSetting::Modern, _) => Ok(Era::Modern),
            (EraSetting::Legacy, _) => Ok(Era::Legacy),
            (EraSetting::Auto, Era::Legacy) if !self.has_refused_legacy(worker) => Ok(Era::Legacy),
            (EraSetting::Auto, _) => {
                let found = self.discover(worker, pass).await?;
                Ok(if found.is_some() { Era::Modern } else { Era::Legacy })
            }
        }
    }

    /// Whether it speaks a transport that the modern era does not have.
    fn is_sse(&self) -> bool {
        matches!(self.server.transport, Transport::Sse { .. })
    }

    fn has_refused_legacy(&self, worker: &Worker) -> bool {
        let now = worker.proxy.clock.elapsed();
        self.legacy_refused.lock().is_some_and(|at| now < at + REFUSED)
    }

    /// What the modern side says about itself; `None` where there is no modern side.
    pub(crate) async fn discover(
        &self,
        worker: &Worker,
        pass: &Pass,
    ) -> Result<Option<Arc<Hello>>, Refusal> {
        if self.is_sse() {
            return Ok(None);
        }
        let clock = &*worker.proxy.clock;
        let slot = slot(&self.modern, self.asks_as(pass));
        let is_good = |it: &Verdict| it.found.is_some() || clock.elapsed() < it.until;
        let asking = async {
            // On the heap, since it is large, and mostly there is nothing to be asked.
            let (found, holds) = Box::pin(hello::discover(self, worker, pass)).await?;
            Ok(Verdict { found: found.map(Arc::new), until: clock.elapsed() + holds })
        };
        slot.get((self.name(), clock), is_good, asking).await.map(|it| it.found)
    }

    /// The modern side has answered as if it were not there any more.
    pub(crate) fn forget_modern(&self, pass: &Pass) {
        slot(&self.modern, self.asks_as(pass)).forget();
    }

    /// A child is the same for everybody.
    fn asks_as(&self, pass: &Pass) -> Option<IdentityId> {
        pass.subject.identity.filter(|_| self.endpoint.is_some())
    }

    /// A session that is shared by what one app does without a session of its own, or by whoever
    /// lists: `askable` is then what is told of the clients, though nothing is asked in it.
    pub(crate) async fn plain_session(
        &self,
        worker: &Worker,
        pass: &Pass,
        (app, askable): (Option<AppId>, Askable),
    ) -> Result<Arc<UpstreamSession>, Refusal> {
        let capabilities = askable.capabilities();
        let introduction = Introduction { capabilities, ..Introduction::plain() };
        // On the heap, since it is large, and mostly there is nothing to be opened.
        let opening =
            async { Box::pin(self.initialize(worker, pass, &introduction)).await.map(Arc::new) };
        let is_good = |it: &Arc<UpstreamSession>| it.is_usable();
        let slot = slot(&self.plain, (pass.subject.identity, app, askable));
        slot.get((self.name(), &*worker.proxy.clock), is_good, opening).await
    }

    /// Opens a session. A server that speaks no legacy revision is remembered as such.
    pub(crate) async fn initialize(
        &self,
        worker: &Worker,
        pass: &Pass,
        introduction: &Introduction,
    ) -> Result<UpstreamSession, Refusal> {
        let opened = hello::initialize(self, worker, pass, introduction).await;
        if let Err(Refusal::Upstream { source: UpstreamError::Era, .. }) = &opened {
            *self.legacy_refused.lock() = Some(worker.proxy.clock.elapsed());
        }
        opened
    }

    /// Ends its child processes, if it has any, and lets go of sessions that nobody uses.
    pub(crate) async fn stop(&self) {
        self.idle.clear();
        self.children.stop().await;
    }

    pub(crate) fn succeeded(&self, now: Duration) {
        let mut health = self.health.lock();
        if health.last_answer.is_none_or(|it| it + Duration::from_secs(1) < now)
            || 0 < health.failures
        {
            *health = ServerHealth { last_answer: Some(now), error: None, failures: 0 };
        }
    }

    pub(crate) fn failed(&self, error: &UpstreamError) {
        // That a task is over is an answer like others.
        if matches!(error, UpstreamError::TaskOver(_)) {
            return;
        }
        let mut health = self.health.lock();
        health.failures = health.failures.saturating_add(1);
        health.error = Some(error.to_string());
    }
}

/// Whether a server is still there, where it was, and on.
fn is_open(snapshot: &Snapshot, server: &Server, now: DateTime<Utc>) -> bool {
    find_server(&snapshot.config, server.id).is_some_and(|it| it.transport == server.transport)
        && snapshot.switches.find(&Target::Server(server.id), now).is_none()
}

fn find_server(config: &Config, id: ServerId) -> Option<&Arc<Server>> {
    config.workspaces.values().find_map(|it| it.servers.get(&id))
}

fn slot<K: Eq + Hash, T>(slots: &Mutex<HashMap<K, Arc<Slot<T>>>>, key: K) -> Arc<Slot<T>> {
    let mut slots = slots.lock();
    if MOST <= slots.len() && !slots.contains_key(&key) {
        slots.clear();
    }
    Arc::clone(slots.entry(key).or_default())
}

impl UpstreamSession {
    /// Whether it is one with this server, as it is configured now, under the credential of the
    /// pass. What one credential has opened is not to be used with another's.
    pub(crate) fn is_for(&self, link: &Link, pass: &Pass) -> bool {
        Arc::ptr_eq(&self.server, &link.server) && self.identity == pass.subject.identity
    }

    /// Whether the server can say that it has forgotten it.
    pub(crate) fn can_be_forgotten(&self) -> bool {
        self.id.is_some() || self.line.is_some()
    }

    /// Whether its server may say something that belongs to no call.
    pub(crate) fn has_stream(&self) -> bool {
        self.id.is_some() || self.line.is_some()
    }

    /// Whether several calls are answered on one stream, on which only our ids tell them apart.
    pub(crate) fn shares_stream(&self) -> bool {
        self.child.is_some() || self.line.is_some()
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
            && self.line.as_ref().is_none_or(|it| it.is_open())
            && self.child.as_ref().is_none_or(crate::wire::Child::is_alive)
    }
}
