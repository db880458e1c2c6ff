//! To the upstream: the one place where a call's bytes leave.
//!
//! It takes nothing but a [`Recorded`], and the link writes nothing without passing the last gate.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::bridge;
use mcp::bridge::askable::Askable;
use mcp::convert;
use mcp::envelope::Message;
use mcp::extensions;
use mcp::headers::{MCP_METHOD, encode_value, name_header, param_header_values};
use mcp::json::Raw;
use mcp::meta;
use mcp::methods;
use mcp::revision::{self, Era};
use mcp::splice::{Splice, Spliced};
use parking_lot::Mutex;

use crate::authorize::Pass;
use crate::call::Asked;
use crate::cancel::{self, Ear, Way};
use crate::catalog::askable_by;
use crate::follow::{self, Following};
use crate::levels;
use crate::link::{Channel, Exchange, Introduction, Lease, Letter, Link, UpstreamSession};
use crate::questions;
use crate::record::{Outcome, Recorded};
use crate::refusal::{Refusal, UpstreamError};
use crate::rounds::Asking;
use crate::serve::Worker;
use crate::session::{Session, is_interactive};
use crate::tasks;

/// A call whose answer has begun to come.
pub(crate) struct Sent {
    // Declared before what keeps the call in flight: a connection must be gone before its flight.
    pub(crate) exchange: Exchange,
    pub(crate) way: Way,
    pub(crate) ear: Ear,
    pub(crate) recorded: Recorded,
    /// Where its server has asked back.
    pub(crate) asking: Option<Box<Asking>>,
}

impl Sent {
    /// Answers what its server asks ourselves.
    pub(crate) async fn reply(&self, body: Bytes) {
        let permitted = self.recorded.permitted();
        let headers = HeaderMap::new();
        let letter = Letter { parts: vec![body], id: None, progress: false, headers };
        let (worker, Way { link, channel, .. }) = (&permitted.asked.worker, &self.way);
        let posting = link.post_briefly(worker, &permitted.pass, channel, letter);
        if let Err(error) = posting.await {
            tracing::debug!(%error, "A question of a server could not be answered");
        }
    }

    /// Its parts; no way where nothing of it is under way at its server.
    pub(crate) fn apart(self) -> (Exchange, Option<Way>, Recorded) {
        let Self { exchange, way, recorded, .. } = self;
        let way = Some(way).filter(|_| !matches!(exchange, Exchange::Done));
        (exchange, way, recorded)
    }
}

/// A recorded call until an answer begins to come. Dropped before that, it was given up by its
/// client.
struct Leaving {
    way: Option<Way>,
    /// The task that it has become.
    following: Option<Box<Following>>,
    ear: Ear,
    recorded: Option<Recorded>,
    asking: Option<Box<Asking>>,
}

/// How a call has left.
enum Left {
    Answered(Exchange),
    Refused(Refusal),
    /// The client has cancelled it, in these words.
    Cancelled(Message),
}

/// A call that will get no answer.
pub(crate) enum Unsent {
    /// Its outcome is still to be recorded.
    Refused(Box<(Recorded, Refusal)>),
    /// By its client. It has been recorded, and the server told.
    Cancelled,
}

/// Sends a recorded call, and waits until an answer begins to come.
pub(crate) async fn forward(recorded: Recorded) -> Result<Sent, Unsent> {
    let asked = &recorded.permitted().asked;
    let ear = Ear::of(asked.session.as_ref(), asked.id());
    let recorded = Some(recorded);
    leave(Leaving { way: None, following: None, ear, recorded, asking: None }).await
}

/// Sends a call once more, with what its client has answered since.
pub(crate) async fn again(sent: Sent) -> Result<Sent, Unsent> {
    let Sent { exchange, way, ear, recorded, asking } = sent;
    let (way, following) = match exchange {
        Exchange::Task(following) => (Some(way), Some(following)),
        _ => (None, None),
    };
    leave(Leaving { way, following, ear, recorded: Some(recorded), asking }).await
}

async fn leave(mut leaving: Leaving) -> Result<Sent, Unsent> {
    let left = leaving.go().await;
    let left = leaving.close(left).await;
    let (way, recorded) = (leaving.way.take(), leaving.recorded.take());
    let recorded = recorded.expect("only its end takes the call from a leaving one");
    match left {
        Left::Answered(exchange) => {
            let way = way.expect("what is answered has left");
            let ear = std::mem::replace(&mut leaving.ear, Ear::of(None, b""));
            Ok(Sent { exchange, way, ear, recorded, asking: leaving.asking.take() })
        }
        Left::Refused(refusal) => {
            if let Some(way) = way {
                cancel::leave_task(&recorded, way);
            }
            Err(Unsent::Refused(Box::new((recorded, refusal))))
        }
        Left::Cancelled(word) => {
            cancel::give_up(recorded, way, Some(word)).await;
            Err(Unsent::Cancelled)
        }
    }
}

impl Leaving {
    async fn go(&mut self) -> Left {
        let recorded = self.recorded.as_ref().expect("only its end takes the call");
        let pass = &recorded.permitted().pass;
        tokio::select! {
            biased;
            () = pass.flight.ended() => Left::Refused(Box::pin(pass.why_ended()).await),
            word = self.ear.cancelled() => Left::Cancelled(word),
            sent = attempt(recorded, self.asking.as_deref(), (&mut self.way, &mut self.following)) => match sent {
                Ok(exchange) => Left::Answered(exchange),
                // What must not be written any more fails before that is heard of.
                Err(_) if pass.flight.is_ended() => Left::Refused(Box::pin(pass.why_ended()).await),
                Err(refusal) => Left::Refused(refusal),
            },
        }
    }

    /// Records what has become of the answers that were to leave with it.
    async fn close(&mut self, left: Left) -> Left {
        let Some(asking) = &mut self.asking else { return left };
        let outcome = match &left {
            Left::Answered(exchange) => Outcome::told(exchange.status()),
            Left::Refused(refusal) => Outcome::refused(refusal),
            Left::Cancelled(_) => Outcome::given_up(),
        };
        match (asking.close(&outcome).await, left) {
            (Err(unrecorded), Left::Answered(_)) => Left::Refused(unrecorded),
            (_, left) => left,
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(recorded) = self.recorded.take() else { return };
        let way = self.way.take();
        drop(cancel::give_up(recorded, way, None));
    }
}

async fn attempt(
    recorded: &Recorded,
    asking: Option<&Asking>,
    (way, following): (&mut Option<Way>, &mut Option<Box<Following>>),
) -> Result<Exchange, Refusal> {
    if let Some(mut following) = following.take() {
        if let Some(asking) = asking {
            following.update(&asking.round().answers()).await?;
        }
        return Ok(Exchange::Task(following));
    }
    let permitted = recorded.permitted();
    let worker = &permitted.asked.worker;
    let assignment = permitted.pass.assignment().ok_or_else(|| Refusal::UnknownMethod {
        method: permitted.asked.message.method().to_owned(),
    })?;
    let link = worker.proxy.links.to(worker, &assignment.server)?;
    let mut fresh = false;
    loop {
        let (channel, lease) = Box::pin(channel(recorded, &link, assignment.id)).await?;
        if let (Some(session), Channel::Legacy(upstream)) = (&permitted.asked.session, &channel) {
            questions::until_heard(session, upstream).await;
        }
        levels::settle(recorded, &link, &channel).await;
        let id = link.next_id();
        let letter = letter(recorded, asking, (&channel, id, lease.is_some()))?;
        let (task, is_sent, progress) = (None, true, Mutex::default());
        let own = Way { link: Arc::clone(&link), channel, id, lease, task, is_sent, progress };
        let taken = way.insert(own);
        if let Some(exchange) = follow::asked_for(recorded, taken) {
            return Ok(exchange);
        }
        if let Some(task) = &permitted.resumed {
            return Box::pin(follow::resume(recorded, task, taken)).await;
        }
        let exchange = link.post(worker, &permitted.pass, &taken.channel, letter).await?;
        let Channel::Legacy(session) = &taken.channel else { return Ok(exchange) };
        // A server that has forgotten a session has not taken the call: once more, in a new one.
        if exchange.status() != StatusCode::NOT_FOUND || !session.can_be_forgotten() {
            return Ok(exchange);
        }
        session.lost.store(true, Ordering::Relaxed);
        *way = None;
        if std::mem::replace(&mut fresh, true) {
            return Err(link.refuse(UpstreamError::SessionLost));
        }
    }
}

/// How the server is reached for this call, and in what it may ask the client meanwhile.
async fn channel(
    recorded: &Recorded,
    link: &Arc<Link>,
    assignment: domain::AssignmentId,
) -> Result<(Channel, Option<Box<Lease>>), Refusal> {
    let permitted = recorded.permitted();
    let (asked, pass) = (&permitted.asked, &permitted.pass);
    if permitted.spoken == Era::Modern {
        let hello = Box::pin(link.discover(&asked.worker, pass)).await?;
        let hello = hello.ok_or_else(|| link.refuse(UpstreamError::Era))?;
        return Ok((Channel::Modern(hello), None));
    }
    let askable = asked.askable();
    let server = pass.assignment().map(|it| &it.server);
    let askable = server.map_or(askable, |it| askable_by(askable, it));
    if !askable.is_nothing() && asked.may_be_asked() {
        let mut lease = Box::pin(link.lease(&asked.worker, pass, askable, asked.peer)).await?;
        lease.wait_for_stream().await;
        return Ok((Channel::Legacy(Arc::clone(lease.session())), Some(Box::new(lease))));
    }
    match &asked.session {
        None => {
            Box::pin(link.plain_session(
                &asked.worker,
                pass,
                (Some(asked.caller.app), Askable { apps: askable.apps, ..Askable::NOTHING }),
            ))
            .await
        }
        Some(session) => {
            Box::pin(own_session(&asked.worker, pass, link, session, assignment)).await
        }
    }
    .map(|session| (Channel::Legacy(session), None))
}

/// The session with an upstream that belongs to one session of a client.
pub(crate) async fn own_session(
    worker: &Worker,
    pass: &Pass,
    link: &Arc<Link>,
    session: &Session,
    assignment: domain::AssignmentId,
) -> Result<Arc<UpstreamSession>, Refusal> {
    let opening = async {
        let introduction = Introduction {
            revision: session.revision,
            capabilities: session.capabilities.clone(),
            client_info: session.client_info.clone(),
            own: is_interactive(&session.capabilities),
        };
        // On the heap, since it is large, and mostly there is nothing to be opened.
        Box::pin(link.initialize(worker, pass, &introduction)).await.map(Arc::new)
    };
    let is_good = |it: &Arc<UpstreamSession>| it.is_usable() && it.is_for(link, pass);
    let slot = session.upstream(assignment);
    let before = slot.got();
    let opened = slot.get((link.name(), &*worker.proxy.clock), is_good, opening).await?;
    if before.is_none_or(|it| !Arc::ptr_eq(&it, &opened)) {
        session.opened.notify_waiters();
    }
    Ok(opened)
}

fn letter(
    recorded: &Recorded,
    asking: Option<&Asking>,
    (channel, id, is_leased): (&Channel, u64, bool),
) -> Result<Letter, Refusal> {
    let permitted = recorded.permitted();
    let message = &permitted.asked.message;
    let mut splice = permitted.splice.clone();
    let own_id = message.id().ok_or(Refusal::Params("the request has no id"))?;
    splice.replace_value(own_id, id.to_string());
    let token = message.params().and_then(meta::progress_token);
    let child = matches!(channel, Channel::Legacy(session) if session.shares_stream())
        || matches!(permitted.transport(), Some(domain::Transport::Stdio { .. }));
    // A client that comes back with answers may want progress under another token.
    let progress = token.is_some() && (child || is_leased);
    if let (Some(token), true) = (token, progress) {
        splice.replace_value(token, id.to_string());
    }
    match (permitted.asked.era(), channel) {
        (Era::Modern, Channel::Legacy(session)) => {
            if let Some(params) = message.params() {
                let revision = session.hello.revision;
                convert::to_legacy_params(&mut splice, message.method(), params, revision);
            }
        }
        (Era::Legacy, Channel::Legacy(session)) => {
            if let Some(params) = message.params() {
                let revision = session.hello.revision;
                convert::downgrade_params(&mut splice, message.method(), params, revision);
            }
        }
        (Era::Legacy, Channel::Modern(hello)) => {
            let waits = follow::is_wanted(permitted, hello)
                || permitted.converts_task
                || tasks::recast::is_about_converted(permitted);
            if let Some(params) = message.params().filter(|_| message.method() == "tools/call") {
                // The server decides, in its era.
                splice.remove_member(params, "task");
            }
            introduce(&mut splice, &permitted.asked, (asking, waits));
        }
        (Era::Modern, Channel::Modern(hello)) => {
            if follow::is_wanted(permitted, hello) {
                let capabilities = follow::capabilities(&permitted.asked);
                let entry = (meta::CLIENT_CAPABILITIES, capabilities);
                meta::set_request_entries(&mut splice, message, &[entry]);
            } else if let Some(declared) = message.params().and_then(meta::client_capabilities)
                && permitted.asked.place.only.is_none()
            {
                extensions::remove_extensions(&mut splice, declared);
            }
        }
    }
    if let (Channel::Legacy(session), Some(params)) = (channel, message.params())
        && message.method() == "tools/call"
        && !permitted.has_own_task
    {
        // Nobody but we could ask for a task that is begun here.
        let wanted = tasks::tended::wanted(permitted, &session.hello);
        match wanted.or_else(|| follow::task_for(permitted, &session.hello)) {
            Some(task) => splice.set_member(params, "task", task),
            None => splice.remove_member(params, "task"),
        }
    }
    let headers = match channel {
        Channel::Modern(_) => headers(recorded, &splice)?,
        Channel::Legacy(_) => HeaderMap::new(),
    };
    Ok(Letter { parts: splice.finish().into_parts(), id: Some(id), progress, headers })
}

/// What a modern server must be told with each request: who the client is, and what can be asked of
/// it. What the client says of that in the modern way itself, it cannot mean.
fn introduce(splice: &mut Splice, asked: &Asked, (asking, waits): (Option<&Asking>, bool)) {
    let message = &asked.message;
    if let Some(params) = message.params() {
        convert::strip_modern_meta(splice, params);
        match asking {
            Some(asking) => asking.round().write(splice, params),
            None if methods::describe(message.method()).is_some_and(|it| it.may_ask) => {
                bridge::without_round(splice, params);
            }
            None => {}
        }
    }
    let session = asked.session.as_deref();
    let capabilities = match waits {
        true => Some(follow::capabilities(asked)),
        false => session.map(|it| it.modern_capabilities.clone()),
    };
    let info = session.map(|it| &it.client_info).filter(|it| is_named(it)).cloned();
    let mut entries = vec![
        (meta::PROTOCOL_VERSION, Bytes::from(mcp::json::quote(revision::LATEST.as_str()))),
        (meta::CLIENT_CAPABILITIES, capabilities.unwrap_or(Bytes::from_static(b"{}"))),
        (meta::CLIENT_INFO, info.unwrap_or_else(crate::link::our_info)),
    ];
    entries.extend(levels::entry(asked));
    meta::set_request_entries(splice, message, &entries);
}

/// Whether a client says who it is as a modern one must. Legacy servers have put up with less.
fn is_named(info: &[u8]) -> bool {
    let info = Raw::parse(info, mcp::json::Limits::default());
    let has = |key| info.is_ok_and(|it| it.get(key).and_then(Raw::str).is_some());
    has("name") && has("version")
}

/// The headers that mirror the body as it leaves.
fn headers(recorded: &Recorded, splice: &Splice) -> Result<HeaderMap, Refusal> {
    let permitted = recorded.permitted();
    let message = &permitted.asked.message;
    let mut headers = HeaderMap::new();
    let method = HeaderValue::from_str(message.method());
    headers.insert(
        MCP_METHOD,
        method.map_err(|_| Refusal::UnknownMethod { method: message.method().to_owned() })?,
    );
    let offered = permitted.pass.offered.as_ref().map(|it| &it.name);
    let own_name = permitted.task.as_ref().or(offered).map(|it| encode_value(it));
    let mirrored = name_header(message.method(), message.params());
    if let Some(name) = mirrored.map(|theirs| own_name.unwrap_or(theirs)) {
        headers.insert(mcp::headers::MCP_NAME, name);
    }
    let untouched = permitted.asked.era() == Era::Modern && permitted.hits.is_empty();
    if untouched {
        let mirrors = permitted.asked.headers.iter();
        for (name, value) in mirrors.filter(|(it, _)| it.as_str().starts_with("mcp-param-")) {
            headers.append(name.clone(), value.clone());
        }
    } else if !permitted.params.is_empty() {
        // Rules have changed the arguments, or the client knows no such headers.
        let body = Spliced::into_bytes(splice.clone().finish());
        let edited = Message::parse(body, mcp::json::Limits::default())?;
        let arguments = edited.params().and_then(|it| it.get("arguments"));
        headers.extend(
            param_header_values(&permitted.params, arguments)
                .into_iter()
                .map(|(name, value)| (Some(name), value)),
        );
    }
    Ok(headers)
}
