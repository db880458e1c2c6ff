//! The task that reads a stream: to the call that waits for it, to whoever listens, or back to the
//! server, which must not wait for what nobody will answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::AssignmentId;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{HeaderMap, Method};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::json::{Limits, Raw};
use mcp::sse;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::lines::Lines;
use super::{Shared, post};
use crate::authorize;
use crate::identify::Caller;
use crate::link::exchange::LARGEST_ANSWER;
use crate::refusal::UpstreamError;
use crate::route::Place;
use crate::serve::Worker;
use crate::wire::{Outgoing, Reply};

/// The events of a stream, each no larger than an answer may be.
pub(super) struct Stream {
    reply: Reply,
    decoder: sse::Decoder,
}

/// For whom a stream was opened: on whose behalf the server is told that it asks in vain.
pub(super) struct Opener {
    pub(super) worker: Arc<Worker>,
    pub(super) caller: Caller,
    pub(super) place: Place,
    pub(super) assignment: AssignmentId,
    pub(super) lines: Arc<Lines>,
}

pub(super) struct Reader {
    pub(super) stream: Stream,
    pub(super) shared: Arc<Shared>,
    pub(super) opener: Opener,
}

type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a stream stays open that nobody uses, as long as a session of a client may.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Answers of ours that are on their way. A server that asks faster than that is not answered.
const MOST_REPLIES: usize = 16;

/// How long a stream may be silent: it says something when there is something to say.
const FOR_EVER: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl Stream {
    pub(super) fn of(mut reply: Reply) -> Self {
        reply.be_patient(FOR_EVER, FOR_EVER);
        Self { reply, decoder: sse::Decoder::new(LARGEST_ANSWER) }
    }

    /// What the server says first: where it takes messages.
    pub(super) async fn endpoint(&mut self) -> Result<Bytes, UpstreamError> {
        while let Some(event) = self.next(|| {}).await? {
            if event.event.as_deref() == Some(b"endpoint") {
                return Ok(event.data);
            }
        }
        Err(UpstreamError::Malformed("its stream names no `endpoint`".to_owned()))
    }

    /// The next event; nothing at the end. Cancel-safe.
    async fn next(&mut self, heard: impl Fn()) -> Result<Option<sse::Event>, UpstreamError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    // The stream as a whole has no limit; its events have.
                    self.reply.forget_received();
                    return Ok(Some(event));
                }
                Ok(None) => {}
                Err(error) => return Err(UpstreamError::Malformed(error.to_string())),
            }
            match self.reply.next().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(bytes)) => {
                    heard();
                    self.decoder.push(bytes);
                }
            }
        }
    }
}

impl Reader {
    pub(super) async fn run(mut self) {
        let clock = Arc::clone(&self.opener.worker.proxy.clock);
        let opened = clock.elapsed();
        let shared = Arc::clone(&self.shared);
        let mut replies: FuturesUnordered<Answer> = FuturesUnordered::new();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let why = loop {
            let next = tokio::select! {
                biased;
                () = shared.stop.cancelled() => break None,
                _ = looks.tick() => {
                    if shared.table.is_idle(IDLE) {
                        break None;
                    }
                    continue;
                }
                Some(()) = replies.next(), if !replies.is_empty() => continue,
                next = self.stream.next(|| shared.table.hear()) => next,
            };
            match next {
                Ok(Some(event)) if event.is_message() => {
                    let back = self.route(event.data).await;
                    if let Some(back) = back.filter(|_| replies.len() < MOST_REPLIES) {
                        replies.push(self.reply(back));
                    }
                }
                // Where messages go has been said once; nothing else has a meaning.
                Ok(Some(_)) => {}
                Ok(None) => break Some(UpstreamError::StreamLost),
                Err(error) => break Some(error),
            }
        };
        let error = why.clone().unwrap_or(UpstreamError::SessionLost);
        shared.table.end(&error);
        if why.is_some() {
            self.opener.lines.broke(opened, clock.elapsed());
            tracing::debug!(%error, "The stream of a server has ended");
        }
    }

    /// Hands a message on; what goes back to the server, where something must.
    async fn route(&self, text: Bytes) -> Option<Bytes> {
        let Ok(message) = Message::parse(text, Limits::default()) else {
            tracing::debug!("A server's stream brought what is no message");
            return None;
        };
        match message.kind() {
            MessageKind::Response | MessageKind::Error => {
                self.answer(&message);
                None
            }
            MessageKind::Notification => {
                self.notify(&message).await;
                None
            }
            MessageKind::Request => self.ask(&message).await,
        }
    }

    fn answer(&self, message: &Message) {
        let table = &self.shared.table;
        let id = message.id().filter(|it| !it.is_null());
        // An error that could not read our id has none: it is for the only call, if there is one.
        let id = id.map_or_else(|| table.only(), Raw::u64);
        if !id.is_some_and(|id| table.answer(id, message.body().clone())) {
            tracing::debug!("A server answered a call that nobody waits for");
        }
    }

    async fn notify(&self, message: &Message) {
        let (table, text) = (&self.shared.table, message.body().clone());
        if message.method().ends_with("/list_changed") {
            self.opener.worker.proxy.catalog.changed(self.shared.server.id);
        }
        match message.method() {
            "notifications/progress" => {
                let token = message.params().and_then(|it| it.get("progressToken"));
                if let Some(call) = token.and_then(Raw::u64).and_then(|it| table.news_of(it)) {
                    self.hand(call, text).await;
                }
            }
            // What is logged, or asked no more, belongs to what is under way.
            "notifications/message" | "notifications/cancelled" => {
                if let Some(call) = self.current() {
                    self.hand(call, text).await;
                } else {
                    table.tell(text);
                }
            }
            _ => {
                if !table.tell(text.clone())
                    && let Some(call) = self.current()
                {
                    self.hand(call, text).await;
                }
            }
        }
    }

    /// What the server asks is for the call whose turn it is, or between calls for whoever listens.
    /// Where nobody does it is refused, but for what servers ask as soon as they have been greeted.
    async fn ask(&self, message: &Message) -> Option<Bytes> {
        let id = message.id().map(Raw::bytes);
        if message.method() == "ping" {
            return Some(errors::result_body(id.unwrap_or(b"null"), b"{}"));
        }
        let text = message.body().clone();
        if let Some(call) = self.current() {
            if self.hand(call, text.clone()).await {
                return None;
            }
        } else if self.shared.is_exclusive {
            let table = &self.shared.table;
            let is_kept = |it: Bytes| message.method() == "roots/list" && table.keep(it).is_none();
            if table.offer(text.clone()) || is_kept(text) {
                return None;
            }
        }
        let why = "this client cannot be asked";
        Some(errors::error_body(id, errors::METHOD_NOT_FOUND, why, None))
    }

    /// The call that has the whole line, if one has.
    fn current(&self) -> Option<mpsc::Sender<Bytes>> {
        let table = &self.shared.table;
        table.only().filter(|_| self.shared.is_exclusive).and_then(|it| table.news_of(it))
    }

    /// Whether the call takes it. On a line of its own the stream waits for it; the others must not
    /// wait for one that is slow, and the next progress says more.
    async fn hand(&self, call: mpsc::Sender<Bytes>, text: Bytes) -> bool {
        if !self.shared.is_exclusive {
            return call.try_send(text).is_ok();
        }
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => false,
            sent = call.send(text) => sent.is_ok(),
        }
    }

    /// Tells the server, if the one for whom the stream was opened may still speak to it.
    fn reply(&self, body: Bytes) -> Answer {
        let Opener { worker, caller, place, assignment, lines } = &self.opener;
        let led = authorize::lead(worker, (caller, place), *assignment);
        let led = led.ok().filter(|(_, link)| Arc::ptr_eq(&link.lines, lines));
        let (worker, shared) = (Arc::clone(worker), Arc::clone(&self.shared));
        Box::pin(async move {
            let Some((pass, link)) = led else { return };
            let headers = HeaderMap::new();
            let outgoing = Outgoing { method: Method::POST, headers, body: vec![body] };
            let patience = worker.proxy.options.probe;
            let telling = post::tell(&link, &worker, (&pass, &shared), outgoing);
            let told = tokio::time::timeout(patience, pass.unless_ended(telling)).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::debug!("A question of a server could not be answered");
            }
        })
    }
}
