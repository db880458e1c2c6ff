//! The session of a legacy client.
//!
//! The client has one for as long as it runs. The gateway may forget its own (it has been started
//! anew, or the client was idle for too long), and then another one takes its place: see
//! [`super::renewal`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use http::{HeaderMap, HeaderValue, Method};
use mcp::envelope::{Message, MessageKind};
use mcp::era::{self, Detected};
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::json::{Limits, Raw, canonical, quote};
use mcp::splice::Splice;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::call::answering;
use super::trouble::Trouble;
use super::{Bridge, feed};

/// A session that the gateway has opened.
pub(super) struct Session {
    /// The first one of this process has number 1.
    pub(super) number: u64,
    id: Option<HeaderValue>,
    /// The revision that was agreed upon.
    pub(super) revision: String,
    /// What its stream lives as long as.
    pub(super) life: CancellationToken,
}

/// What a client has said that a session depends on.
#[derive(Default)]
pub(super) struct Sessions(pub(super) Mutex<Held>);

#[derive(Default)]
pub(super) struct Held {
    pub(super) current: Option<Arc<Session>>,
    /// How many there have been.
    pub(super) opened: u64,
    /// The client's `initialize`, and its `notifications/initialized`.
    pub(super) hello: Option<Message>,
    pub(super) ready: Option<Message>,
    /// Requests whose effect lasts as long as a session: the log level, and each resource that is
    /// subscribed to.
    pub(super) wishes: HashMap<Vec<u8>, Message>,
    /// How often in a row a stream has found its session lost.
    lost: u32,
    /// Under way for all who wait for it.
    pub(super) renewing: Option<Shared<Renewing>>,
}

pub(super) type Renewing = BoxFuture<'static, Result<Arc<Session>, Trouble>>;

/// How many resources a new session is told of.
const WISHES: usize = 1_000;

/// How long `initialize` may take: nothing else is read meanwhile.
const HELLO: Duration = Duration::from_secs(60);

/// The first revision whose clients repeat it in a header.
const IN_HEADERS: &str = "2025-06-18";

impl Session {
    /// What goes with each message in it.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(MCP_SESSION_ID, id.clone());
        }
        if IN_HEADERS <= self.revision.as_str()
            && let Ok(revision) = HeaderValue::from_str(&self.revision)
        {
            headers.insert(MCP_PROTOCOL_VERSION, revision);
        }
        headers
    }

    /// Whether that answer says that the gateway does not know it any more.
    pub(super) fn is_lost(&self, trouble: &Trouble) -> bool {
        self.id.is_some() && trouble.status() == Some(404)
    }

    /// What the gateway says in it, as the client is told it. Each session counts its questions anew,
    /// so those of a later one get a mark, lest an answer to an earlier one be taken for theirs.
    pub(super) fn marked(&self, message: &Message) -> Bytes {
        let id = match (message.kind(), message.method()) {
            _ if self.number == 1 => None,
            (MessageKind::Request, _) => message.id(),
            (MessageKind::Notification, "notifications/cancelled") => {
                message.params().and_then(|it| it.get("requestId"))
            }
            _ => None,
        };
        let Some(id) = id else { return message.body().clone() };
        let mut splice = Splice::new(message.body().clone());
        splice.replace_value(id, quote(&format!("{}{}", self.mark(), id.text())));
        splice.finish().into_bytes()
    }

    /// What the client answers, as the gateway is to hear it; nothing if the question was put in an
    /// earlier session.
    pub(super) fn unmarked(&self, answer: &Message) -> Option<Bytes> {
        if self.number == 1 {
            return Some(answer.body().clone());
        }
        let id = answer.id()?;
        let text = id.str()?;
        let theirs = text.strip_prefix(&self.mark())?;
        Raw::parse(theirs.as_bytes(), Limits::default()).ok()?;
        let mut splice = Splice::new(answer.body().clone());
        splice.replace_value(id, theirs.to_owned());
        Some(splice.finish().into_bytes())
    }

    fn mark(&self) -> String {
        format!("session-{}:", self.number)
    }
}

impl Sessions {
    pub(super) fn current(&self) -> Option<Arc<Session>> {
        self.0.lock().current.clone()
    }

    /// Forgets all but how many sessions there have been; the last of them.
    pub(super) fn forget(&self) -> Option<Arc<Session>> {
        let mut held = self.0.lock();
        let opened = held.opened;
        std::mem::replace(&mut *held, Held { opened, ..Held::default() }).current
    }

    /// Counts one more stream whose session was lost, or begins anew with one that was not; how many
    /// there were before.
    pub(super) fn count_lost(&self, is_lost: bool) -> u32 {
        let mut held = self.0.lock();
        let before = held.lost;
        held.lost = if is_lost { before.saturating_add(1) } else { 0 };
        before
    }

    /// Remembers what a new session must be told, once it has been done.
    pub(super) fn note(&self, request: &Message) {
        let uri = request.params().and_then(|it| it.get("uri")).map(canonical);
        let mut held = self.0.lock();
        match (request.method(), uri) {
            ("logging/setLevel", _) => drop(held.wishes.insert(Vec::new(), request.clone())),
            ("resources/subscribe", Some(uri)) if held.wishes.len() < WISHES => {
                held.wishes.insert(uri, request.clone());
            }
            ("resources/unsubscribe", Some(uri)) => drop(held.wishes.remove(&uri)),
            _ => {}
        }
    }
}

/// Opens the client's session: with its `initialize`, which is answered.
pub(super) async fn open(bridge: &Arc<Bridge>, hello: Message) {
    if let Some(old) = bridge.sessions.forget() {
        end(bridge, &old).await;
    }
    match greet(bridge, &hello).await {
        Ok((opened, body)) => {
            if let Some(Opened { id, revision, .. }) = opened {
                let mut held = bridge.sessions.0.lock();
                held.hello = Some(hello);
                held.install(id, revision, &bridge.streams);
            }
            bridge.out.say(&body).await;
        }
        Err(trouble) => bridge.tell(&hello, &trouble).await,
    }
}

/// A session that has just been opened.
pub(super) struct Opened {
    pub(super) id: Option<HeaderValue>,
    pub(super) revision: String,
    /// The result of `initialize`.
    pub(super) answer: Message,
}

/// Says hello: the session, if the gateway has opened one, and its answer.
pub(super) async fn greet(
    bridge: &Bridge,
    hello: &Message,
) -> Result<(Option<Opened>, Bytes), Trouble> {
    let greeting = tokio::time::timeout(HELLO, answered(bridge, hello)).await;
    greeting.unwrap_or(Err(Trouble::Silent(HELLO)))
}

async fn answered(bridge: &Bridge, hello: &Message) -> Result<(Option<Opened>, Bytes), Trouble> {
    let mut said = bridge.gateway.post(HeaderMap::new(), hello.body().clone()).await?;
    let id = said.headers().get(MCP_SESSION_ID).cloned();
    while let Some(message) = said.next().await? {
        let Some(body) = answering(&message, hello) else { continue };
        let revision = message.result().and_then(|it| it.get("protocolVersion"));
        let revision = revision.and_then(Raw::str).map(std::borrow::Cow::into_owned);
        let opened = revision.map(|revision| Opened { id, revision, answer: message });
        return Ok((opened, body));
    }
    Err(Trouble::NotMcp { reason: "`initialize` was not answered".to_owned() })
}

impl Held {
    /// Puts a session in the place of the one before.
    pub(super) fn install(
        &mut self,
        id: Option<HeaderValue>,
        revision: String,
        streams: &CancellationToken,
    ) -> Arc<Session> {
        self.opened += 1;
        let session = Session { number: self.opened, id, revision, life: streams.child_token() };
        let session = Arc::new(session);
        if let Some(old) = self.current.replace(Arc::clone(&session)) {
            old.life.cancel();
        }
        session
    }
}

/// The client is ready to hear.
pub(super) async fn ready(bridge: &Arc<Bridge>, ready: Message) {
    let body = ready.body().clone();
    let Some(session) = bridge.sessions.current() else {
        return bridge.pass(HeaderMap::new(), body).await;
    };
    let is_news = bridge.sessions.0.lock().ready.replace(ready).is_none();
    bridge.pass(session.headers(), body).await;
    if is_news {
        feed::open(bridge, session);
    }
}

/// Ends a session at the gateway, which may know nothing of it any more.
pub(super) async fn end(bridge: &Bridge, session: &Session) {
    session.life.cancel();
    if session.id.is_some()
        && let Err(trouble) = bridge.gateway.delete(session.headers()).await
    {
        tracing::debug!(%trouble, "The session could not be ended");
    }
}

/// Whether a message is of the modern era.
pub(super) fn is_modern(message: &Message) -> bool {
    era::detect(&Method::POST, &HeaderMap::new(), Some(message)) == Detected::Modern
}
