//! The record of what is done: nothing leaves without an intent, nothing is released without an
//! outcome.
//!
//! A leaf holds who, what, where and by which decision, with salted digests of the content. The
//! content itself is sealed beside the log. A record that cannot be made durable within its
//! deadline is a refusal; a call whose outcome is missing was attempted, and its end is unknown.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Entry, Kind, Leaf};
use bytes::Bytes;
use domain::{Durability, Workspace};
use inspect::Hit;
use mcp::revision::Revision;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::authorize::Pass;
use crate::call::{Asked, Permitted};
use crate::cancel;
use crate::content;
use crate::flight::{Apart, Flight};
use crate::identify::Caller;
use crate::known::Known;
use crate::lasting::Lasting;
use crate::limit::{self, Released};
use crate::picker;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::serve::{Proxy, Worker};
use crate::strangers::Crowd;

mod described;
mod outcome;

pub(crate) use outcome::Outcome;

use described::{
    WITHOUT_DATABASE, add_hits, annotated, decided, describe, describe_asked, own_tool, whoever,
};

/// A call whose intent is durable. Only [`intent`] can make one, and nothing else may be sent.
pub(crate) struct Recorded {
    permitted: Box<Permitted>,
    begun: Begun,
}

/// Something that is said to an upstream, or heard from it, beside calls. Its intent is durable.
/// Dropped before its end, it was given up.
pub(crate) struct Aside {
    proxy: Arc<Proxy>,
    workspace: Arc<Workspace>,
    /// Whoever waits for its end before the thread ends.
    held: TaskTracker,
    begun: Option<Begun>,
}

/// What something that is said beside calls belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Within<'a> {
    Nothing,
    Call(Uuid),
    /// A call of a tool of ours, which picks this gateway.
    Tool(picker::Tool, &'a str),
}

/// What an intent leaves to its outcome.
struct Begun {
    call: Uuid,
    arrived: Duration,
    /// When the intent was durable.
    at: Duration,
    /// Whether anything of it has been decided without the database.
    apart: Apart,
    /// What has been released before the end.
    news: News,
}

#[derive(Default)]
struct News {
    count: u64,
    bytes: u64,
    /// About how many tokens.
    tokens: u64,
    /// As much of it as is kept.
    kept: Vec<Bytes>,
    hits: Vec<Hit>,
}

/// How much of what is released before the end is kept until then, in bytes.
const MOST_NEWS: u64 = 256 << 10;

/// Who says something, and where.
pub(crate) struct Said<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) place: &'a Place,
    pub(crate) peer: IpAddr,
    pub(crate) revision: Revision,
    pub(crate) method: &'a str,
}

impl<'a> Said<'a> {
    pub(crate) fn of(
        worker: &'a Worker,
        known: &'a Known,
        revision: Revision,
        method: &'a str,
    ) -> Self {
        Self { worker, place: &known.place, peer: known.peer, revision, method }
    }
}

impl Recorded {
    pub(crate) fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// Notes what is released before the answer, if anything is, and what rules have found.
    pub(crate) fn tell(&mut self, told: Option<&Bytes>, hits: Vec<Hit>) {
        self.begun.news.add(told, hits);
    }

    /// The number of the call.
    pub(crate) fn call(&self) -> Uuid {
        self.begun.call
    }

    /// Lets it be under way as something else from now on.
    pub(crate) fn fly_as(&mut self, flight: Arc<Flight>) {
        self.begun.apart = flight.apart().clone();
        self.permitted.pass.flight = flight;
    }

    /// Lets a retry of its client stand for it; gives what has stood for it so far.
    pub(crate) fn go_on_as(&mut self, retry: Box<Permitted>) -> Box<Permitted> {
        self.begun.apart = retry.pass.flight.apart().clone();
        std::mem::replace(&mut self.permitted, retry)
    }
}

impl Aside {
    /// Makes the intent durable. `parts` are what leaves.
    pub(crate) async fn begin(
        pass: &Pass,
        said: &Said<'_>,
        parts: Vec<Bytes>,
        hits: &[Hit],
    ) -> Result<Self, Refusal> {
        Self::begin_within(Within::Nothing, pass, said, (parts, hits)).await
    }

    /// The same for what is said within a call.
    pub(crate) async fn begin_within(
        within: Within<'_>,
        pass: &Pass,
        said: &Said<'_>,
        (parts, hits): (Vec<Bytes>, &[Hit]),
    ) -> Result<Self, Refusal> {
        let proxy = Arc::clone(&pass.proxy);
        let (call, arrived) = (proxy.clock.id(), proxy.clock.elapsed());
        let leaf = Leaf::new(Kind::Intent).call(call);
        let leaf = match within {
            Within::Nothing => leaf,
            Within::Call(call) => leaf.uuid("within", call),
            Within::Tool(tool, picks) => own_tool(leaf, tool).str("picks", picks),
        };
        let leaf = describe(leaf, &pass.caller, said);
        let leaf = add_hits(decided(leaf, pass), hits);
        let workspace = Arc::clone(&pass.caller.workspace);
        let apart = pass.flight.apart().clone();
        let written = Written { call, leaf, content: parts, news: Vec::new() };
        let held = said.worker.held.clone();
        let tasks = held.clone();
        // Should nobody wait for it any more, it is dropped when it has been recorded.
        let recording = Lasting::new(&tasks, async move {
            append(&proxy, &workspace, Kind::Intent, written).await?;
            let (at, news) = (proxy.clock.elapsed(), News::default());
            let begun = Begun { call, arrived, at, apart, news };
            Ok(Self { proxy, workspace, held, begun: Some(begun) })
        });
        recording.await
    }

    /// Notes what is released, if anything is, and what rules have found.
    pub(crate) fn tell(&mut self, told: Option<&Bytes>, hits: Vec<Hit>) {
        if let Some(begun) = &mut self.begun {
            begun.news.add(told, hits);
        }
    }

    /// Makes the outcome durable, even if nobody waits for that any more.
    pub(crate) async fn end(mut self, outcome: &Outcome) -> Result<(), Refusal> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let (proxy, workspace) = (Arc::clone(&self.proxy), Arc::clone(&self.workspace));
        let outcome = outcome.clone();
        let ending = async move { end(&proxy, &workspace, &begun, &outcome).await };
        Lasting::new(&self.held, ending).await
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else { return };
        let (proxy, workspace) = (Arc::clone(&self.proxy), Arc::clone(&self.workspace));
        self.held.spawn(async move {
            if let Err(error) = end(&proxy, &workspace, &begun, &Outcome::given_up()).await {
                tracing::warn!(%error, "The end of a stream could not be recorded");
            }
        });
    }
}

impl News {
    fn add(&mut self, told: Option<&Bytes>, hits: Vec<Hit>) {
        content::tally(&mut self.hits, hits);
        let Some(told) = told else { return };
        self.count += 1;
        self.bytes += told.len() as u64;
        self.tokens += inspect::tokens::estimate([told.as_ref()]);
        if self.bytes <= MOST_NEWS {
            self.kept.extend([told.clone(), Bytes::from_static(b"\n")]);
        }
    }
}

/// Makes the intent durable. Of a client that leaves meanwhile, nobody knows whether it has become
/// so, and a task gives the call up when that is known.
pub(crate) fn intent(permitted: Box<Permitted>) -> Lasting<Result<Recorded, (Asked, Refusal)>> {
    let tasks = permitted.asked.worker.held.clone();
    Lasting::or_else(&tasks, begun(permitted), |done| {
        Box::pin(async move {
            if let Ok(recorded) = done {
                cancel::give_up(recorded, None, None).await;
            }
        })
    })
}

async fn begun(permitted: Box<Permitted>) -> Result<Recorded, (Asked, Refusal)> {
    let proxy = Arc::clone(&permitted.asked.worker.proxy);
    let call = number(&permitted.asked);
    match write_intent(&proxy, &permitted, call).await {
        Ok(()) => {
            let arrived = permitted.asked.arrived;
            let apart = permitted.pass.flight.apart().clone();
            let (at, news) = (proxy.clock.elapsed(), News::default());
            let begun = Begun { call, arrived, at, apart, news };
            Ok(Recorded { permitted, begun })
        }
        Err(refusal) => {
            proxy.metrics.refused(refusal.reason());
            Err((permitted.asked, refusal))
        }
    }
}

/// Which call it is. That of a test has been given.
fn number(asked: &Asked) -> Uuid {
    asked.caller.as_test().map_or_else(|| asked.worker.proxy.clock.id(), |it| it.call)
}

async fn write_intent(proxy: &Proxy, permitted: &Permitted, call: Uuid) -> Result<(), Refusal> {
    let leaf = describe_asked(Leaf::new(Kind::Intent).call(call), &permitted.asked);
    let leaf = add_hits(decided(leaf, &permitted.pass), &permitted.hits);
    // What may leave, and not what came: what rules have taken out is not kept either.
    let content = permitted.splice.clone().finish().into_parts();
    let written = Written { call, leaf, content, news: Vec::new() };
    append(proxy, &permitted.pass.caller.workspace, Kind::Intent, written).await
}

/// Makes the outcome durable.
pub(crate) async fn outcome(recorded: &Recorded, outcome: &Outcome) -> Result<(), Refusal> {
    let Recorded { permitted, begun } = recorded;
    let (answer, news) = (&outcome.parts, &begun.news);
    let released = Released { answer, news_bytes: news.bytes, news: &news.kept };
    limit::settle(permitted, released).await;
    let proxy = &permitted.asked.worker.proxy;
    end(proxy, &permitted.pass.caller.workspace, begun, outcome).await?;
    let now = proxy.clock.elapsed();
    proxy.metrics.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if begun.apart.age().is_some() {
        proxy.metrics.apart.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    proxy.metrics.total.add(now.saturating_sub(begun.arrived));
    proxy.metrics.upstream.add(now.saturating_sub(begun.at));
    Ok(())
}

async fn end(
    proxy: &Proxy,
    workspace: &Workspace,
    begun: &Begun,
    outcome: &Outcome,
) -> Result<(), Refusal> {
    let now = proxy.clock.elapsed();
    let bytes = outcome.parts.iter().map(|it| it.len() as u64).sum();
    let mut leaf = Leaf::new(Kind::Outcome)
        .call(begun.call)
        .str("end", outcome.end)
        .bool("error", outcome.is_error)
        .u64("total_us", micros(now.saturating_sub(begun.arrived)))
        .u64("upstream_us", micros(now.saturating_sub(begun.at)))
        .u64("bytes", bytes)
        .u64("tokens", inspect::tokens::estimate(outcome.parts.iter().map(AsRef::as_ref)));
    if 0 < begun.news.count {
        let News { count, bytes, tokens, .. } = begun.news;
        leaf = leaf.u64("news", count).u64("news_bytes", bytes).u64("news_tokens", tokens);
    }
    if let Some(age) = begun.apart.age() {
        leaf = leaf.u64(WITHOUT_DATABASE, age);
    }
    if let Some(code) = outcome.code {
        leaf = leaf.i64("code", code);
    }
    if let Some(detail) = &outcome.detail {
        leaf = leaf.str("detail", detail);
    }
    let mut hits = begun.news.hits.clone();
    content::tally(&mut hits, outcome.hits.clone());
    let leaf = add_hits(leaf, &hits);
    let (content, news) = (outcome.parts.clone(), begun.news.kept.clone());
    append(proxy, workspace, Kind::Outcome, Written { call: begun.call, leaf, content, news }).await
}

/// Records something that was answered here, or not at all, and went nowhere else.
pub(crate) async fn answered(asked: &Asked) -> Result<(), Refusal> {
    let call = asked.worker.proxy.clock.id();
    let leaf = describe_asked(Leaf::new(Kind::Outcome).call(call), asked);
    let leaf = leaf.str("end", "answered_here");
    single(asked, call, leaf).await
}

/// Records a message that was refused before anything left.
pub(crate) async fn refusal(asked: &Asked, refusal: &Refusal) -> Result<(), Refusal> {
    let call = number(asked);
    let mut leaf = describe_asked(Leaf::new(Kind::Outcome).call(call), asked)
        .str("end", refusal.reason())
        .bool("error", true)
        .str("detail", &refusal.to_string());
    if let Refusal::Blocked { rule, .. } = refusal {
        leaf = leaf.str("rule", rule);
    }
    if let Refusal::Limited { limit, .. } = refusal {
        leaf = leaf.str("limit", limit);
    }
    if let Refusal::Policy(refused) = refusal {
        leaf = leaf
            .str("server", &refused.server)
            .str("assignment", &refused.alias)
            .str("offer", refused.kind)
            .str("name", &refused.name)
            .opt_str("policy", refused.policy.as_deref());
        leaf = annotated(leaf, refused.of, refused.hints);
    }
    single(asked, call, leaf).await
}

async fn single(asked: &Asked, call: Uuid, leaf: Leaf) -> Result<(), Refusal> {
    let written = Written { call, leaf, content: Vec::new(), news: Vec::new() };
    append(&asked.worker.proxy, &asked.caller.workspace, Kind::Outcome, written).await
}

/// Records a request of which no message was understood, whose sender is unknown, or whose answer is
/// another replica's. Only where the URL names a workspace is there a log that it belongs to.
pub(crate) async fn unidentified(
    proxy: &Proxy,
    workspace: &Arc<Workspace>,
    (peer, caller, method): (IpAddr, Option<&Caller>, Option<&str>),
    refusal: &Refusal,
) -> Result<(), Refusal> {
    let call = proxy.clock.id();
    let mut leaf = Leaf::new(Kind::Outcome).call(call);
    // Only in its own log.
    if let Some(caller) = caller.filter(|it| it.workspace.id == workspace.id) {
        leaf = whoever(leaf, caller);
    }
    leaf = leaf.str("peer", &peer.to_string());
    leaf = method.into_iter().fold(leaf, |leaf, it| leaf.str("method", it));
    leaf = leaf.str("end", refusal.reason()).bool("error", true);
    leaf = leaf.str("detail", &refusal.to_string());
    let written = Written { call, leaf, content: Vec::new(), news: Vec::new() };
    append(proxy, workspace, Kind::Outcome, written).await
}

/// Records those of them who were too many to be recorded one by one.
pub(crate) async fn crowd(proxy: &Proxy, crowd: &Crowd) -> Result<(), Refusal> {
    for ((peer, reason), count) in &crowd.counted {
        let call = proxy.clock.id();
        let leaf = Leaf::new(Kind::Outcome)
            .call(call)
            .str("peer", &peer.to_string())
            .str("end", reason)
            .bool("error", true)
            .u64("count", *count);
        let written = Written { call, leaf, content: Vec::new(), news: Vec::new() };
        append(proxy, &crowd.workspace, Kind::Outcome, written).await?;
    }
    Ok(())
}

/// A record and what it is about.
struct Written {
    call: Uuid,
    leaf: Leaf,
    content: Vec<Bytes>,
    news: Vec<Bytes>,
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
    let Written { call, mut leaf, content, news } = written;
    let workspace = workspace.id.0;
    for (key, parts) in [("content", content), ("news_content", news)] {
        if let Some(store) = proxy.content.as_ref().filter(|_| !parts.is_empty()) {
            let (place, durable) = store.append(workspace, call, &parts, durability)?;
            // Content first: a leaf must never speak of content that a crash has kept from the disk.
            durable.await?;
            leaf = leaf.content(key, &place);
        }
    }
    proxy.log.write(Entry { workspace, kind, leaf: leaf.finish() }, durability).await?;
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
