//! One server's word of what changes there.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use domain::Transport;
use futures::StreamExt;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode};
use inspect::Leg;
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::headers::MCP_METHOD;
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision::{self, Era};

use super::{Change, Heard, Listener, Wanted, filter_member};
use crate::authorize::{self, Pass};
use crate::content;
use crate::link::{Channel, Exchange, Introduction, Letter, Link, final_answer, our_info};
use crate::record::{Aside, Outcome};
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::tasks;

/// An open stream of one server. Dropped, it is closed there, too.
pub(super) struct Subscription {
    wanted: Wanted,
    /// Came before the stream was confirmed.
    first: Option<Message>,
    id: u64,
    // Declared before what keeps it in flight: a connection must be gone before its flight.
    exchange: Option<Exchange>,
    tie: Option<Tie>,
}

/// What a stream hangs on.
struct Tie {
    worker: Arc<Worker>,
    link: Arc<Link>,
    channel: Channel,
    aside: Aside,
    pass: Pass,
    /// Resources that were subscribed to on a session that others use, too.
    shared: Vec<String>,
}

impl Subscription {
    /// Opens a stream; `None` where there is no such stream.
    pub(super) async fn open(
        of: &Listener,
        assignment: domain::AssignmentId,
        spoken: Era,
        wanted: Wanted,
    ) -> Result<Option<Self>, Refusal> {
        let (pass, link) = authorize::lead(&of.worker, (&of.caller, &of.place), assignment)?;
        let opening = async {
            match spoken {
                Era::Modern => listen(of, &pass, &link, &wanted).await,
                Era::Legacy => open_session(of, &pass, &link, &wanted).await,
            }
        };
        let Some(opened) = pass.unless_ended(opening).await? else { return Ok(None) };
        let Opened { exchange, channel, aside, id, first, shared } = opened;
        let worker = Arc::clone(&of.worker);
        let tie = Some(Tie { worker, link, channel, aside, pass, shared });
        Ok(Some(Self { wanted, first, id, exchange: Some(exchange), tie }))
    }

    /// What the server says next of what is wanted; nothing when its stream has ended, or has been
    /// ended.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        loop {
            let message = match self.first.take() {
                Some(first) => first,
                None => self.read().await?,
            };
            if let Some(heard) = self.heard(message) {
                return Some(heard);
            }
        }
    }

    /// What may have changed while nobody listened.
    pub(super) fn missed(&self) -> Vec<Heard> {
        let assignment = self.tie.as_ref().and_then(|it| it.pass.assignment());
        let Some(assignment) = assignment else { return Vec::new() };
        let changes = self.wanted.all();
        let heard = changes.filter_map(|change| {
            let (assignment, message) = (Arc::clone(assignment), change.message()?);
            Some(Heard { assignment, change, message })
        });
        heard.collect()
    }

    async fn read(&mut self) -> Option<Message> {
        let flight = Arc::clone(&self.tie.as_ref()?.pass.flight);
        loop {
            let text = flight.unless_ended(self.exchange.as_mut()?.next()).await??.ok()?;
            let Ok(message) = Message::parse(text, Limits::default()) else { continue };
            match message.kind() {
                MessageKind::Notification => return Some(message),
                // Its last word.
                MessageKind::Response | MessageKind::Error => return None,
                MessageKind::Request => {}
            }
        }
    }

    fn heard(&mut self, message: Message) -> Option<Heard> {
        let tie = self.tie.as_mut()?;
        let of_another = subscription_of(&message).is_some_and(|it| it != self.id);
        let change = Change::of(&message).filter(|it| !of_another && self.wanted.includes(it))?;
        let assignment = Arc::clone(tie.pass.assignment()?);
        if let Change::List(_) = change {
            tie.pass.proxy.catalog.changed(assignment.server.id);
        }
        let mut hits = Vec::new();
        let rules = rules(&tie.pass).ok()?;
        let alias = assignment.alias.as_str();
        let look = |message: Message, tool: &str| {
            content::edit(&rules, Leg::Response, (alias, tool), &message, &mut hits)
        };
        let message = match &change {
            Change::Task(id) => self.wanted.tools_of(id).try_fold(message, look).ok(),
            // What belongs to no call belongs to no tool, so rules for certain tools do not look at
            // it.
            _ => std::iter::once("").try_fold(message, look).ok(),
        };
        tie.aside.tell(message.as_ref().map(Message::body), hits);
        Some(Heard { assignment, change, message: message? })
    }
}

/// The rules that hold now, which may be others than when the stream began.
pub(crate) fn rules(pass: &Pass) -> Result<inspect::Rules, Refusal> {
    let proxy = &pass.proxy;
    let latest = proxy.gate.latest();
    let caller = pass.caller.again(&latest.config, proxy.clock.now())?;
    let place = pass.place.again(&latest.config, &caller)?;
    proxy.rulebook.of(caller.workspace.id, &place.gateway)
}

fn subscription_of(message: &Message) -> Option<u64> {
    meta::entry(message.params()?, meta::SUBSCRIPTION_ID)?.u64()
}

struct Opened {
    exchange: Exchange,
    channel: Channel,
    aside: Aside,
    id: u64,
    first: Option<Message>,
    shared: Vec<String>,
}

/// The modern way.
async fn listen(
    of: &Listener,
    pass: &Pass,
    link: &Link,
    wanted: &Wanted,
) -> Result<Option<Opened>, Refusal> {
    let Some(hello) = link.discover(&of.worker, pass).await? else { return Ok(None) };
    let channel = Channel::Modern(hello);
    let id = link.next_id();
    let method = "subscriptions/listen";
    let body = errors::request_body(id.to_string().as_bytes(), method, Some(&filter(wanted)));
    let mut headers = HeaderMap::new();
    headers.insert(MCP_METHOD, HeaderValue::from_static(method));
    let letter = Letter { parts: vec![body], id: Some(id), progress: false, headers };
    let aside = Aside::begin(pass, &of.said(), letter.parts.clone(), &[]).await?;
    // Heard before it is asked for, so that nothing is missed.
    let pipe = link.hear(&of.worker, &channel).await;
    let opened = async {
        let mut exchange = link.post(&of.worker, pass, &channel, letter).await?.with(pipe);
        exchange.be_patient();
        let status = exchange.status().as_u16();
        if matches!(status, 401 | 403 | 408 | 429 | 500..) {
            return Err(link.refuse(UpstreamError::Status(status)));
        }
        let confirming = confirmed(&mut exchange);
        match tokio::time::timeout(of.worker.proxy.options.probe, confirming).await {
            // Slow is not dead.
            Err(_) => Ok(Some((exchange, None))),
            Ok(None) => Err(link.refuse(UpstreamError::NoAnswer)),
            Ok(Some(it)) if it.kind() != MessageKind::Notification => Ok(None),
            Ok(Some(it)) => Ok(Some((exchange, Some(it)))),
        }
    };
    match opened.await {
        Ok(Some((exchange, first))) => {
            Ok(Some(Opened { exchange, channel, aside, id, first, shared: Vec::new() }))
        }
        Ok(None) => {
            aside.end(&Outcome::told(StatusCode::NOT_FOUND)).await?;
            Ok(None)
        }
        Err(refusal) => {
            aside.end(&Outcome::refused(&refusal)).await?;
            Err(refusal)
        }
    }
}

/// The first message of a stream.
async fn confirmed(exchange: &mut Exchange) -> Option<Message> {
    Message::parse(exchange.next().await?.ok()?, Limits::default()).ok()
}

fn filter(wanted: &Wanted) -> Vec<u8> {
    let lists = wanted.lists.iter().map(|it| format!("{}:true", quote(filter_member(*it))));
    let mut members: Vec<String> = lists.collect();
    if !wanted.resources.is_empty() {
        let uris: Vec<String> = wanted.resources.iter().map(|it| quote(it)).collect();
        members.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
    }
    let mut capabilities = "{}".to_owned();
    if !wanted.tasks.is_empty() {
        let ids: BTreeSet<&str> = wanted.tasks.iter().map(|(id, _)| id.as_ref()).collect();
        let ids: Vec<String> = ids.into_iter().map(quote).collect();
        members.push(format!(r#""taskIds":[{}]"#, ids.join(",")));
        capabilities = format!(r#"{{"extensions":{{"{}":{{}}}}}}"#, tasks::EXTENSION);
    }
    let params = format!(
        r#"{{"_meta":{{"{}":{},"{}":{capabilities},"{}":{}}},"notifications":{{{}}}}}"#,
        meta::PROTOCOL_VERSION,
        quote(revision::LATEST.as_str()),
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        String::from_utf8_lossy(&our_info()),
        members.join(","),
    );
    params.into_bytes()
}

/// The legacy way: a session of its own, or the one that all share at a managed server.
async fn open_session(
    of: &Listener,
    pass: &Pass,
    link: &Arc<Link>,
    wanted: &Wanted,
) -> Result<Option<Opened>, Refusal> {
    let worker = &of.worker;
    let session = link.initialize(worker, pass, &Introduction::plain()).await?;
    let channel = Channel::Legacy(Arc::new(session));
    let asks: Vec<Letter> = wanted.resources.iter().map(|it| ask(link, SUBSCRIBE, it)).collect();
    let parts = asks.iter().flat_map(|it| it.parts.clone()).collect();
    let aside = Aside::begin(pass, &of.said(), parts, &[]).await?;
    let opened = stream_of(worker, pass, link, &channel).await;
    let exchange = match opened {
        Ok(Some(exchange)) => exchange,
        Ok(None) => {
            goodbye(worker, pass, link, &channel).await;
            aside.end(&Outcome::told(StatusCode::METHOD_NOT_ALLOWED)).await?;
            return Ok(None);
        }
        Err(refusal) => {
            aside.end(&Outcome::refused(&refusal)).await?;
            return Err(refusal);
        }
    };
    let is_shared = matches!(link.server.transport, Transport::Stdio { .. });
    let mut shared = Vec::new();
    let mut due = Vec::new();
    for (letter, uri) in asks.into_iter().zip(&wanted.resources) {
        if is_shared {
            shared.push(uri.clone());
            if !link.watch(uri) {
                continue;
            }
        }
        due.push(letter);
    }
    // None of them depends on another one.
    let asking = due.into_iter().map(|it| asked(worker, pass, link, &channel, it));
    let mut asking = stream::iter(asking).buffer_unordered(AT_ONCE);
    while let Some(answered) = asking.next().await {
        if let Err(error) = answered {
            tracing::debug!(server.name = link.name(), %error, "A resource cannot be watched");
        }
    }
    drop(asking);
    Ok(Some(Opened { exchange, channel, aside, id: 0, first: None, shared }))
}

async fn stream_of(
    worker: &Worker,
    pass: &Pass,
    link: &Link,
    channel: &Channel,
) -> Result<Option<Exchange>, Refusal> {
    match (channel, link.hear(worker, channel).await) {
        (_, Some(pipe)) => Ok(Some(Exchange::Pipe(pipe))),
        (Channel::Legacy(session), None) => link.listen(worker, pass, session).await,
        (Channel::Modern(_), None) => Ok(None),
    }
}

/// How many resources a server is asked to watch at a time.
const AT_ONCE: usize = 8;

const SUBSCRIBE: &str = "resources/subscribe";
const UNSUBSCRIBE: &str = "resources/unsubscribe";

fn ask(link: &Link, method: &str, uri: &str) -> Letter {
    let id = link.next_id();
    let params = format!(r#"{{"uri":{}}}"#, quote(uri));
    let body = errors::request_body(id.to_string().as_bytes(), method, Some(params.as_bytes()));
    Letter { parts: vec![body], id: Some(id), progress: false, headers: HeaderMap::new() }
}

async fn asked(
    worker: &Worker,
    pass: &Pass,
    link: &Link,
    channel: &Channel,
    letter: Letter,
) -> Result<(), Refusal> {
    let id = letter.id.unwrap_or_default();
    let asking = async {
        let mut exchange = link.post(worker, pass, channel, letter).await?;
        final_answer(link, &mut exchange, id).await.map_err(|it| link.refuse(it))
    };
    let patience = worker.proxy.options.probe;
    let answer = tokio::time::timeout(patience, asking).await;
    let answer = answer.unwrap_or_else(|_| Err(link.refuse(UpstreamError::Timeout(patience))))?;
    match answer.error().and_then(|it| it.get("message")).and_then(Raw::str) {
        None => Ok(()),
        Some(why) => Err(link.refuse(UpstreamError::Malformed(why.into_owned()))),
    }
}

async fn goodbye(worker: &Worker, pass: &Pass, link: &Link, channel: &Channel) {
    if let Channel::Legacy(session) = channel {
        link.goodbye(worker, pass, session).await;
    }
}

impl Tie {
    /// Tells the server that nobody listens any more, unless it has been cut off.
    async fn untie(self, id: u64) {
        let Self { worker, link, channel, aside, pass, shared } = self;
        // Counted whether it can be told or not.
        let unwatched: Vec<_> = shared.iter().filter(|it| link.unwatch(it)).collect();
        let leaving = async {
            match (&channel, &link.server.transport) {
                (Channel::Legacy(_), Transport::Stdio { .. }) => {
                    for uri in unwatched {
                        let letter = ask(&link, UNSUBSCRIBE, uri);
                        drop(asked(&worker, &pass, &link, &channel, letter).await);
                    }
                }
                (Channel::Legacy(_), _) => goodbye(&worker, &pass, &link, &channel).await,
                (Channel::Modern(_), Transport::Stdio { .. }) => {
                    let params = format!(r#"{{"requestId":{id}}}"#);
                    let method = "notifications/cancelled";
                    let body = errors::notification_body(method, Some(params.as_bytes()));
                    let (parts, headers): (Vec<Bytes>, _) = (vec![body], HeaderMap::new());
                    let letter = Letter { parts, id: None, progress: false, headers };
                    drop(link.post_briefly(&worker, &pass, &channel, letter).await);
                }
                // It has been closed with its connection.
                (Channel::Modern(_), _) => {}
            }
        };
        let outcome = match pass.flight.unless_ended(Box::pin(leaving)).await {
            Some(()) => Outcome::told(StatusCode::OK),
            None => Outcome::refused(&pass.why_ended().await),
        };
        if let Err(error) = aside.end(&outcome).await {
            tracing::warn!(%error, "The end of a stream could not be recorded");
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.exchange = None;
        let Some(tie) = self.tie.take() else { return };
        let (held, id) = (tie.worker.held.clone(), self.id);
        held.spawn(async move { tie.untie(id).await });
    }
}
