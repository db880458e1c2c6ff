//! How we speak to one upstream server: its era, its sessions, its child processes.
//!
//! Which eras a server speaks is found out by asking it, in the era of the client who wants
//! something of it, and kept until its configuration changes or the verdict has grown old.
//! A refusal of credentials, an overload or a broken connection says nothing about the era.

mod exchange;
mod hello;
mod post;
mod stdio;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::{AppId, Config, EraSetting, IdentityId, Server, ServerId, Transport};
use http::HeaderValue;
use mcp::revision::{Era, Revision};
use parking_lot::Mutex;

pub(crate) use exchange::Exchange;
pub(crate) use hello::{Introduction, final_answer, our_info};
pub(crate) use post::Letter;

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
    modern: tokio::sync::Mutex<Option<Verdict<Arc<Hello>>>>,
    /// What the modern side said, for whoever needs no more than a look.
    modern_seen: Mutex<Option<(Duration, Option<Arc<Hello>>)>>,
    /// Sessions that serve clients without one of their own, by credential and app.
    plain: tokio::sync::Mutex<HashMap<PlainKey, Arc<UpstreamSession>>>,
    legacy_refused: AtomicBool,
    children: stdio::Children,
    next_id: AtomicU64,
    health: Mutex<ServerHealth>,
}

type PlainKey = (Option<IdentityId>, Option<AppId>);

struct Verdict<T> {
    found: Option<T>,
    at: Duration,
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
    /// Whether it serves one client alone.
    pub(crate) own: bool,
    /// Whose child process it is, where the server is one.
    pub(crate) child: Option<crate::wire::Child>,
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

/// How long a verdict that a server is *not* modern holds: a server that learns the modern era
/// goes on answering the legacy one, so nothing else would tell.
const VERDICT_AGE: Duration = Duration::from_secs(60 * 60);

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
            Transport::Http { url } => {
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
            modern: tokio::sync::Mutex::default(),
            modern_seen: Mutex::default(),
            plain: tokio::sync::Mutex::default(),
            legacy_refused: AtomicBool::new(false),
            children: stdio::Children::default(),
            next_id: AtomicU64::new(1),
            health: Mutex::default(),
        });
        links.insert(server.id, Arc::clone(&link));
        Ok(link)
    }

    pub(crate) fn health(&self, server: ServerId) -> Option<ServerHealth> {
        self.by_server.lock().get(&server).map(|it| it.health.lock().clone())
    }

    /// The links to these servers; those that are gone are forgotten.
    pub(crate) fn known(&self, servers: &[ServerId], config: &Config) -> Vec<Arc<Link>> {
        let mut links = self.by_server.lock();
        let is_gone = |id| !config.workspaces.values().any(|it| it.servers.contains_key(id));
        let known = |id| if is_gone(id) { links.remove(id) } else { links.get(id).map(Arc::clone) };
        servers.iter().filter_map(known).collect()
    }

    /// Stops every child process.
    pub(crate) async fn close(&self) {
        let links: Vec<_> = self.by_server.lock().drain().map(|(_, link)| link).collect();
        for link in links {
            link.stop().await;
        }
    }
}

impl Link {
    pub(crate) fn name(&self) -> &str {
        self.server.name.as_str()
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
        match (self.server.era, client) {
            (EraSetting::Modern, _) => Ok(Era::Modern),
            (EraSetting::Legacy, _) => Ok(Era::Legacy),
            (EraSetting::Auto, Era::Legacy) if self.legacy_refused.load(Ordering::Relaxed) => {
                Ok(Era::Modern)
            }
            (EraSetting::Auto, Era::Legacy) => Ok(Era::Legacy),
            (EraSetting::Auto, Era::Modern) => {
                let found = self.discover(worker, pass).await?;
                Ok(if found.is_some() { Era::Modern } else { Era::Legacy })
            }
        }
    }

    /// What the modern side says about itself; `None` where there is no modern side.
    pub(crate) async fn discover(
        &self,
        worker: &Worker,
        pass: &Pass,
    ) -> Result<Option<Arc<Hello>>, Refusal> {
        let now = worker.proxy.clock.elapsed();
        if let Some((at, found)) = &*self.modern_seen.lock()
            && (found.is_some() || now < *at + VERDICT_AGE)
        {
            return Ok(found.clone());
        }
        let mut verdict = self.modern.lock().await;
        if let Some(Verdict { found, at }) = &*verdict
            && (found.is_some() || now < *at + VERDICT_AGE)
        {
            return Ok(found.clone());
        }
        let found = hello::discover(self, worker, pass).await?.map(Arc::new);
        *self.modern_seen.lock() = Some((now, found.clone()));
        *verdict = Some(Verdict { found: found.clone(), at: now });
        Ok(found)
    }

    /// A session that is shared by what one app does without a session of its own.
    pub(crate) async fn plain_session(
        &self,
        worker: &Worker,
        pass: &Pass,
        app: Option<AppId>,
    ) -> Result<Arc<UpstreamSession>, Refusal> {
        /// Past this many, the sessions of apps that come and go are given up together.
        const MOST: usize = 1_000;

        let key = (pass.subject.identity, app);
        let mut plain = self.plain.lock().await;
        if let Some(session) = plain.get(&key).filter(|it| it.is_usable()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.initialize(worker, pass, &Introduction::plain()).await?);
        if MOST <= plain.len() {
            plain.clear();
        }
        plain.insert(key, Arc::clone(&session));
        Ok(session)
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
            self.legacy_refused.store(true, Ordering::Relaxed);
        }
        opened
    }

    /// Ends its child processes, if it has any.
    pub(crate) async fn stop(&self) {
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
        let mut health = self.health.lock();
        health.failures = health.failures.saturating_add(1);
        health.error = Some(error.to_string());
    }
}

impl UpstreamSession {
    /// Whether it is one with this server, as it is configured now, under the credential of the
    /// pass. What one credential has opened is not to be used with another's.
    pub(crate) fn is_for(&self, link: &Link, pass: &Pass) -> bool {
        Arc::ptr_eq(&self.server, &link.server) && self.identity == pass.subject.identity
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
            && self.child.as_ref().is_none_or(crate::wire::Child::is_alive)
    }
}
