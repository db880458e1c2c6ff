//! The record of what is done: nothing leaves without an intent, nothing is released without an
//! outcome.
//!
//! A leaf holds who, what, where and by which decision, with salted digests of the content. The
//! content itself is sealed beside the log. A record that cannot be made durable within its
//! deadline is a refusal; a call whose outcome is missing was attempted, and its end is unknown.

use std::sync::Arc;
use std::time::Duration;

use audit::{Entry, Kind};
use bytes::Bytes;
use domain::{Durability, Workspace};
use mcp::envelope::Message;
use mcp::json::Raw;
use uuid::Uuid;

use crate::call::{Asked, Permitted};
use crate::identify::Proof;
use crate::refusal::Refusal;
use crate::serve::Proxy;

/// A call whose intent is durable. Only [`intent`] can make one, and nothing else may be sent.
pub(crate) struct Recorded {
    permitted: Permitted,
    call: Uuid,
    /// When the intent was durable.
    at: Duration,
}

/// How a call ended.
pub(crate) struct Outcome {
    end: &'static str,
    detail: Option<String>,
    /// The JSON-RPC error code of an upstream's error.
    code: Option<i64>,
    is_error: bool,
    parts: Vec<Bytes>,
    hits: Vec<inspect::Hit>,
}

impl Recorded {
    pub(crate) fn permitted(&self) -> &Permitted {
        &self.permitted
    }
}

impl Outcome {
    /// The upstream has answered, and this is what is released.
    pub(crate) fn answered(message: &Message, parts: &[Bytes], hits: Vec<inspect::Hit>) -> Self {
        let code = message.error().and_then(|it| it.get("code")).and_then(Raw::i64);
        let failed = message.result().and_then(|it| it.get("isError")).and_then(Raw::bool);
        Self {
            end: "answered",
            detail: None,
            code,
            is_error: code.is_some() || failed == Some(true),
            parts: parts.to_vec(),
            hits,
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self {
            end: refusal.reason(),
            detail: Some(refusal.to_string()),
            code: None,
            is_error: true,
            parts: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// The client has cancelled, or gone.
    pub(crate) fn given_up() -> Self {
        Self {
            end: "client_cancelled",
            detail: None,
            code: None,
            is_error: true,
            parts: Vec::new(),
            hits: Vec::new(),
        }
    }
}

/// Makes the intent durable.
pub(crate) async fn intent(permitted: Permitted) -> Result<Recorded, (Asked, Refusal)> {
    let proxy = Arc::clone(&permitted.asked.worker.proxy);
    let call = proxy.clock.id();
    match write_intent(&proxy, &permitted, call).await {
        Ok(()) => Ok(Recorded { permitted, call, at: proxy.clock.elapsed() }),
        Err(refusal) => {
            proxy.metrics.refused(refusal.reason());
            Err((permitted.asked, refusal))
        }
    }
}

async fn write_intent(proxy: &Proxy, permitted: &Permitted, call: Uuid) -> Result<(), Refusal> {
    let workspace = &permitted.pass.caller.workspace;
    let mut leaf = Leaf::new();
    leaf.str("call", &call.to_string());
    describe(&mut leaf, &permitted.asked);
    let subject = &permitted.pass.subject;
    leaf.str("user", &subject.user.to_string());
    leaf.str("connection", &subject.connection.to_string());
    leaf.u64("epoch", permitted.pass.epoch);
    leaf.str("decision", "allow");
    if let Some(offered) = &permitted.pass.offered {
        leaf.str("server", offered.assignment.server.name.as_str());
        leaf.str("assignment", offered.assignment.alias.as_str());
        leaf.str("kind", offered.kind.as_str());
        leaf.str("name", &offered.name);
    }
    if let Some(identity) = subject.identity {
        leaf.str("identity", &identity.to_string());
    }
    add_hits(&mut leaf, &permitted.hits);
    let content = vec![permitted.asked.message.body().clone()];
    append(proxy, workspace, Kind::Intent, (call, leaf), content).await
}

/// Makes the outcome durable.
pub(crate) async fn outcome(recorded: &Recorded, outcome: &Outcome) -> Result<(), Refusal> {
    let permitted = &recorded.permitted;
    let proxy = &permitted.asked.worker.proxy;
    let now = proxy.clock.elapsed();
    let upstream = now.saturating_sub(recorded.at);
    let total = now.saturating_sub(permitted.asked.arrived);
    let mut leaf = Leaf::new();
    leaf.str("call", &recorded.call.to_string());
    leaf.str("end", outcome.end);
    leaf.bool("error", outcome.is_error);
    leaf.u64("total_us", micros(total));
    leaf.u64("upstream_us", micros(upstream));
    leaf.u64("bytes", outcome.parts.iter().map(|it| it.len() as u64).sum());
    if let Some(code) = outcome.code {
        leaf.i64("code", code);
    }
    if let Some(detail) = &outcome.detail {
        leaf.str("detail", detail);
    }
    add_hits(&mut leaf, &outcome.hits);
    let workspace = &permitted.pass.caller.workspace;
    let content = outcome.parts.clone();
    append(proxy, workspace, Kind::Outcome, (recorded.call, leaf), content).await?;
    proxy.metrics.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    proxy.metrics.total.add(total);
    proxy.metrics.upstream.add(upstream);
    Ok(())
}

/// Records something that was answered here, or not at all, and went nowhere else.
pub(crate) async fn answered(asked: &Asked) -> Result<(), Refusal> {
    let mut leaf = Leaf::new();
    leaf.str("call", &asked.worker.proxy.clock.id().to_string());
    describe(&mut leaf, asked);
    leaf.str("end", "answered_here");
    single(asked, leaf).await
}

/// Records a message that was refused before anything left.
pub(crate) async fn refusal(asked: &Asked, refusal: &Refusal) -> Result<(), Refusal> {
    let mut leaf = Leaf::new();
    leaf.str("call", &asked.worker.proxy.clock.id().to_string());
    describe(&mut leaf, asked);
    leaf.str("end", refusal.reason());
    leaf.bool("error", true);
    leaf.str("detail", &refusal.to_string());
    if let Refusal::Blocked { rule, .. } = refusal {
        leaf.str("rule", rule);
    }
    single(asked, leaf).await
}

async fn single(asked: &Asked, leaf: Leaf) -> Result<(), Refusal> {
    let proxy = &asked.worker.proxy;
    let call = Uuid::nil();
    append(proxy, &asked.caller.workspace, Kind::Outcome, (call, leaf), Vec::new()).await
}

/// Records a request of which no message was understood, or whose sender is unknown. Only where the
/// URL names a workspace is there a log that it belongs to.
pub(crate) async fn unidentified(
    proxy: &Proxy,
    workspace: &Arc<Workspace>,
    peer: std::net::IpAddr,
    refusal: &Refusal,
) -> Result<(), Refusal> {
    let mut leaf = Leaf::new();
    leaf.str("call", &proxy.clock.id().to_string());
    leaf.str("peer", &peer.to_string());
    leaf.str("end", refusal.reason());
    leaf.bool("error", true);
    leaf.str("detail", &refusal.to_string());
    append(proxy, workspace, Kind::Outcome, (Uuid::nil(), leaf), Vec::new()).await
}

/// Who asks for what, over which URL.
fn describe(leaf: &mut Leaf, asked: &Asked) {
    let caller = &asked.caller;
    leaf.str("app", &caller.app.to_string());
    if let Some(app) = caller.app() {
        leaf.str("app_name", app.name.as_str());
        leaf.str("owner", &app.owner.to_string());
    }
    if let Proof::Token { id, .. } = caller.proof {
        leaf.str("token", &id.to_string());
    }
    leaf.str("gateway", asked.place.gateway.name.as_str());
    if let Some(only) = &asked.place.only {
        leaf.str("single", only.alias.as_str());
    }
    leaf.str("peer", &asked.peer.to_string());
    leaf.str("revision", asked.revision.as_str());
    leaf.str("method", asked.message.method());
    if let Some(id) = asked.message.id() {
        leaf.str("id", id.text());
    }
    leaf.u64("request_bytes", asked.message.body().len() as u64);
}

fn add_hits(leaf: &mut Leaf, hits: &[inspect::Hit]) {
    for hit in hits {
        let text = format!("{} {} {}", hit.rule, hit.action, hit.count);
        leaf.str(if hit.observed_only { "observed" } else { "rule" }, &text);
    }
}

async fn append(
    proxy: &Proxy,
    workspace: &Workspace,
    kind: Kind,
    (_call, leaf): (Uuid, Leaf),
    _content: Vec<Bytes>,
) -> Result<(), Refusal> {
    let durability = match workspace.durability {
        Durability::Written => audit::Durability::Written,
        Durability::Synced => audit::Durability::Synced,
    };
    let entry = Entry { workspace: workspace.id.0, kind, leaf: leaf.finish() };
    let appended = proxy.log.append(entry, durability);
    appended.await?;
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}


struct Leaf(Vec<u8>);
impl Leaf {
    fn new() -> Self { Self(vec![b'{']) }
    fn key(&mut self, key: &str) { if 1 < self.0.len() { self.0.push(b','); } mcp::json::quote_into(&mut self.0, key); self.0.push(b':'); }
    fn str(&mut self, key: &str, value: &str) { self.key(key); mcp::json::quote_into(&mut self.0, value); }
    fn u64(&mut self, key: &str, value: u64) { self.key(key); self.0.extend_from_slice(value.to_string().as_bytes()); }
    fn i64(&mut self, key: &str, value: i64) { self.key(key); self.0.extend_from_slice(value.to_string().as_bytes()); }
    fn bool(&mut self, key: &str, value: bool) { self.key(key); self.0.extend_from_slice(value.to_string().as_bytes()); }
    fn finish(mut self) -> Vec<u8> { self.0.push(b'}'); self.0 }
}
