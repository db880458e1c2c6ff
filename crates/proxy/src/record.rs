//! The record of what is done: nothing leaves without an intent, nothing is released without an
//! outcome.
//!
//! A leaf holds who, what, where and by which decision, with salted digests of the content. The
//! content itself is sealed beside the log. A record that cannot be made durable within its
//! deadline is a refusal; a call whose outcome is missing was attempted, and its end is unknown.

use std::sync::Arc;
use std::time::Duration;

use audit::{Entry, Kind, Leaf};
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
    let subject = &permitted.pass.subject;
    let mut leaf = describe(Leaf::new(Kind::Intent).call(call), &permitted.asked)
        .uuid("user", subject.user.0)
        .uuid("connection", subject.connection.0)
        .u64("epoch", permitted.pass.epoch)
        .str("decision", "allow");
    if let Some(offered) = &permitted.pass.offered {
        leaf = leaf
            .str("server", offered.assignment.server.name.as_str())
            .str("assignment", offered.assignment.alias.as_str())
            .str("offer", offered.kind.as_str())
            .str("name", &offered.name);
    }
    if let Some(identity) = subject.identity {
        leaf = leaf.uuid("identity", identity.0);
    }
    leaf = add_hits(leaf, &permitted.hits);
    let content = vec![permitted.asked.message.body().clone()];
    append(proxy, workspace, Kind::Intent, Written { call, leaf, content }).await
}

/// Makes the outcome durable.
pub(crate) async fn outcome(recorded: &Recorded, outcome: &Outcome) -> Result<(), Refusal> {
    let permitted = &recorded.permitted;
    let proxy = &permitted.asked.worker.proxy;
    let now = proxy.clock.elapsed();
    let upstream = now.saturating_sub(recorded.at);
    let total = now.saturating_sub(permitted.asked.arrived);
    let bytes = outcome.parts.iter().map(|it| it.len() as u64).sum();
    let mut leaf = Leaf::new(Kind::Outcome)
        .call(recorded.call)
        .str("end", outcome.end)
        .bool("error", outcome.is_error)
        .u64("total_us", micros(total))
        .u64("upstream_us", micros(upstream))
        .u64("bytes", bytes);
    if let Some(code) = outcome.code {
        leaf = leaf.i64("code", code);
    }
    if let Some(detail) = &outcome.detail {
        leaf = leaf.str("detail", detail);
    }
    leaf = add_hits(leaf, &outcome.hits);
    let workspace = &permitted.pass.caller.workspace;
    let written = Written { call: recorded.call, leaf, content: outcome.parts.clone() };
    append(proxy, workspace, Kind::Outcome, written).await?;
    proxy.metrics.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    proxy.metrics.total.add(total);
    proxy.metrics.upstream.add(upstream);
    Ok(())
}

/// Records something that was answered here, or not at all, and went nowhere else.
pub(crate) async fn answered(asked: &Asked) -> Result<(), Refusal> {
    let call = asked.worker.proxy.clock.id();
    let leaf = describe(Leaf::new(Kind::Outcome).call(call), asked).str("end", "answered_here");
    single(asked, call, leaf).await
}

/// Records a message that was refused before anything left.
pub(crate) async fn refusal(asked: &Asked, refusal: &Refusal) -> Result<(), Refusal> {
    let call = asked.worker.proxy.clock.id();
    let mut leaf = describe(Leaf::new(Kind::Outcome).call(call), asked)
        .str("end", refusal.reason())
        .bool("error", true)
        .str("detail", &refusal.to_string());
    if let Refusal::Blocked { rule, .. } = refusal {
        leaf = leaf.str("rule", rule);
    }
    single(asked, call, leaf).await
}

async fn single(asked: &Asked, call: Uuid, leaf: Leaf) -> Result<(), Refusal> {
    let written = Written { call, leaf, content: Vec::new() };
    append(&asked.worker.proxy, &asked.caller.workspace, Kind::Outcome, written).await
}

/// Records a request of which no message was understood, or whose sender is unknown. Only where the
/// URL names a workspace is there a log that it belongs to.
pub(crate) async fn unidentified(
    proxy: &Proxy,
    workspace: &Arc<Workspace>,
    peer: std::net::IpAddr,
    refusal: &Refusal,
) -> Result<(), Refusal> {
    let call = proxy.clock.id();
    let leaf = Leaf::new(Kind::Outcome)
        .call(call)
        .str("peer", &peer.to_string())
        .str("end", refusal.reason())
        .bool("error", true)
        .str("detail", &refusal.to_string());
    append(proxy, workspace, Kind::Outcome, Written { call, leaf, content: Vec::new() }).await
}

/// Who asks for what, over which URL.
fn describe(mut leaf: Leaf, asked: &Asked) -> Leaf {
    let caller = &asked.caller;
    leaf = leaf.uuid("app", caller.app.0);
    if let Some(app) = caller.app() {
        leaf = leaf.str("app_name", app.name.as_str()).uuid("owner", app.owner.0);
    }
    if let Proof::Token { id, .. } = caller.proof {
        leaf = leaf.uuid("token", id.0);
    }
    leaf = leaf.str("gateway", asked.place.gateway.name.as_str());
    if let Some(only) = &asked.place.only {
        leaf = leaf.str("single", only.alias.as_str());
    }
    leaf.str("peer", &asked.peer.to_string())
        .str("revision", asked.revision.as_str())
        .str("method", asked.message.method())
        .opt_str("id", asked.message.id().map(|it| it.text()))
        .u64("request_bytes", asked.message.body().len() as u64)
}

fn add_hits(leaf: Leaf, hits: &[inspect::Hit]) -> Leaf {
    if hits.is_empty() {
        return leaf;
    }
    let texts: Vec<String> = hits
        .iter()
        .map(|it| {
            let observed = if it.observed_only { " observed" } else { "" };
            format!("{} {} {}{observed}", it.rule, it.action, it.count)
        })
        .collect();
    leaf.list("rules", texts.iter().map(String::as_str))
}

/// A record and what it is about.
struct Written {
    call: Uuid,
    leaf: Leaf,
    content: Vec<Bytes>,
}

async fn append(
    proxy: &Proxy,
    workspace: &Workspace,
    kind: Kind,
    written: Written,
) -> Result<(), Refusal> {
    let durability = match workspace.durability {
        Durability::Written => audit::Durability::Written,
        Durability::Synced => audit::Durability::Synced,
    };
    let Written { call, mut leaf, content } = written;
    let workspace = workspace.id.0;
    if let Some(store) = proxy.content.as_ref().filter(|_| !content.is_empty()) {
        let (place, durable) = store.append(workspace, call, &content, durability)?;
        // Content first: a leaf must never speak of content that a crash has kept from the disk.
        durable.await?;
        leaf = leaf.content("content", &place);
    }
    proxy.log.write(Entry { workspace, kind, leaf: leaf.finish() }, durability).await?;
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
