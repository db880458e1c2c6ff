//! Servers that are child processes of ours.
//!
//! A pipe does not say which call a request of the server belongs to, so children that may ask
//! something serve one client each, and the shared ones have been told that nothing can be asked.
//! The modern side gets a child of its own: some servers end when they are asked what they do not
//! know.

use std::sync::Arc;

use bytes::Bytes;
use domain::Transport;
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::json::{Limits, Raw};
use tokio::sync::{Mutex, OnceCell, mpsc};

use super::lease::Ears;
use super::{Exchange, Hello, Letter, Link};
use crate::flight::Writing;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::{Child, Hold, StdioSpec, WeakChild};

/// The processes of one server.
#[derive(Default)]
pub(crate) struct Children {
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    modern: Option<Child>,
    legacy: Option<Shared>,
    /// They end with the sessions that they serve.
    own: Vec<WeakChild>,
}

/// The shared legacy child, and what it has said about itself when it was asked, once.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) child: Child,
    pub(super) said: Arc<OnceCell<Hello>>,
}

/// How many clients may have a child of their own at one server.
const OWN: usize = 64;

impl Children {
    /// The child that serves the modern era.
    pub(super) async fn modern(&self, link: &Link, worker: &Worker) -> Result<Child, Refusal> {
        let mut running = self.running.lock().await;
        if let Some(child) = running.modern.as_ref().filter(|it| it.is_alive()) {
            return Ok(child.clone());
        }
        let child = spawn(link, worker).await?;
        running.modern = Some(child.clone());
        Ok(child)
    }

    /// The verdict that there is no modern side; its child is not needed any more.
    pub(super) async fn not_modern<T>(&self) -> Option<T> {
        let child = self.running.lock().await.modern.take();
        if let Some(child) = child {
            child.stop().await;
        }
        None
    }

    /// The shared legacy child.
    pub(super) async fn shared(&self, link: &Link, worker: &Worker) -> Result<Shared, Refusal> {
        let mut running = self.running.lock().await;
        if let Some(shared) = running.legacy.as_ref().filter(|it| it.child.is_alive()) {
            return Ok(shared.clone());
        }
        let shared = Shared { child: spawn(link, worker).await?, said: Arc::default() };
        running.legacy = Some(shared.clone());
        Ok(shared)
    }

    /// A new child for one client alone, which ends when nobody holds it any more; and where what it
    /// says can be heard.
    pub(super) async fn own(&self, link: &Link, worker: &Worker) -> Result<(Child, Ears), Refusal> {
        let mut running = self.running.lock().await;
        running.own.retain(|it| it.upgrade().is_some());
        if OWN <= running.own.len() {
            return Err(Refusal::TooManySessions);
        }
        let ears = Ears::default();
        let child = spawn_heard(link, worker, Arc::clone(&ears)).await?;
        running.own.push(child.downgrade());
        Ok((child, ears))
    }

    /// Ends them all. Whoever needs one after that starts it anew.
    pub(super) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock().await);
        let shared = running.legacy.map(|it| it.child);
        let own = running.own.iter().filter_map(WeakChild::upgrade);
        for child in running.modern.into_iter().chain(shared).chain(own) {
            child.stop().await;
        }
    }
}

impl Hello {
    pub(super) fn copied(&self) -> Self {
        Self {
            revision: self.revision,
            capabilities: self.capabilities.clone(),
            instructions: self.instructions.clone(),
            info: self.info.clone(),
        }
    }
}

async fn spawn(link: &Link, worker: &Worker) -> Result<Child, Refusal> {
    spawn_heard(link, worker, Ears::default()).await
}

async fn spawn_heard(link: &Link, worker: &Worker, ears: Ears) -> Result<Child, Refusal> {
    let Transport::Stdio { command, args, env } = &link.server.transport else {
        return Err(link.refuse(UpstreamError::NoAnswer));
    };
    let options = &worker.proxy.options;
    let spec = StdioSpec {
        command: command.clone(),
        args: args.clone(),
        env: env.clone(),
        cwd: None,
        launcher: options.launcher.clone(),
        limits: options.process,
        path: None,
    };
    let (events, inbox) = mpsc::channel(64);
    let child = Child::spawn(&options.runtime, &spec, options.child, events)
        .await
        .map_err(|error| link.refuse(error.into()))?;
    let (reader, name) = (child.downgrade(), link.name().to_owned());
    options.tasks.spawn_on(answer_asks(reader, inbox, (name, ears)), &options.runtime);
    Ok(child)
}

/// Passes on what a child says to no call in particular, if somebody listens. One that asks what
/// nobody hears is told so, at once; else it would wait for ever.
async fn answer_asks(
    child: WeakChild,
    mut inbox: mpsc::Receiver<Bytes>,
    (server, ears): (String, Ears),
) {
    while let Some(text) = inbox.recv().await {
        let Ok(message) = Message::parse(text.clone(), Limits::default()) else { continue };
        let is_ping = message.kind() == MessageKind::Request && message.method() == "ping";
        let hears = |it: &mpsc::Sender<Bytes>| it.try_send(text).is_ok();
        let is_heard = !is_ping && ears.lock().as_ref().is_some_and(hears);
        if is_heard || message.kind() != MessageKind::Request {
            continue;
        }
        let id = message.id().map(Raw::bytes);
        let answer = if message.method() == "ping" {
            errors::result_body(id.unwrap_or(b"null"), b"{}")
        } else {
            let text = "this client cannot be asked";
            errors::error_body(id, errors::METHOD_NOT_FOUND, text, None)
        };
        let Some(child) = child.upgrade() else { return };
        if child.notify(answer, None).await.is_err() {
            tracing::debug!(server.name = server, "A child process went away");
            return;
        }
    }
}

/// Hands a frame to the child's writer, which looks at the flight once more before it writes, and
/// lets go of it right after.
pub(super) async fn send(
    link: &Link,
    child: &Child,
    hold: Writing,
    letter: Letter,
) -> Result<Exchange, Refusal> {
    let Letter { parts, id, progress, headers: _ } = letter;
    let hold: Box<dyn Hold> = Box::new(hold);
    match id {
        Some(id) => Ok(Exchange::Stdio(child.request(id, parts, progress, hold))),
        None => {
            let sent = child.notify(parts.concat().into(), Some(hold)).await;
            sent.map_err(|it| link.refuse(it.into()))?;
            Ok(Exchange::Done)
        }
    }
}
