//! Calls that their clients give up: by leaving, or in words.
//!
//! Whoever gives a call up early or late, before the upstream has said a word or in the middle of
//! its answer, is recorded once, and the upstream is told in the way of its transport and era: over
//! HTTP the modern one takes a closed connection for it, the others want a notification.

use std::sync::Arc;

use bytes::Bytes;
use domain::Transport;
use http::HeaderMap;
use mcp::envelope::Message;
use mcp::errors;
use mcp::splice::Splice;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::follow::Theirs;
use crate::lasting::Lasting;
use crate::link::{Channel, Lease, Letter, Link};
use crate::record::{self, Outcome, Recorded};
use crate::refusal::Refusal;
use crate::session::Session;

/// The way that a call has taken, or may have.
pub(crate) struct Way {
    pub(crate) link: Arc<Link>,
    pub(crate) channel: Channel,
    /// Our id for it.
    pub(crate) id: u64,
    /// The session that nobody else uses meanwhile, where something may be asked in it.
    pub(crate) lease: Option<Box<Lease>>,
    /// The task that the server has made of it, where that is followed here.
    pub(crate) task: Option<Arc<Theirs>>,
    /// Whether its server has been sent the call, and not something else in its stead.
    pub(crate) is_sent: bool,
    /// The most progress that its client has heard of.
    pub(crate) progress: Mutex<f64>,
}

/// Hears a legacy client cancel one of its calls. Dropping it takes the call off the list of those
/// that can be cancelled.
pub(crate) struct Ear(Option<Listening>);

struct Listening {
    session: Arc<Session>,
    /// The client's id for the call, as it wrote it.
    id: Bytes,
    word: Option<oneshot::Receiver<Message>>,
}

impl Ear {
    /// A modern client says it by leaving, hence in no words.
    pub(crate) fn of(session: Option<&Arc<Session>>, id: &[u8]) -> Self {
        Self(session.map(|session| {
            let id = Bytes::copy_from_slice(id);
            let word = Some(session.begin(id.clone()));
            Listening { session: Arc::clone(session), id, word }
        }))
    }

    /// The notification that cancels the call; waits for ever where none comes. Loses nothing when
    /// dropped before it is ready.
    pub(crate) async fn cancelled(&mut self) -> Message {
        if let Some(listening) = &mut self.0
            && let Some(receiver) = &mut listening.word
        {
            let word = receiver.await;
            listening.word = None;
            if let Ok(word) = word {
                return word;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.word = None;
        self.session.finish(&self.id);
    }
}

/// Records that a call was given up, and tells the upstream if it has been sent: to the end, whether
/// anybody waits for it or not. `word` is what the client has said, if it has.
pub(crate) fn give_up(recorded: Recorded, way: Option<Way>, word: Option<Message>) -> Lasting<()> {
    let tasks = recorded.permitted().asked.worker.held.clone();
    Lasting::new(&tasks, async move {
        if let Err(error) = record::outcome(&recorded, &Outcome::given_up()).await {
            tracing::warn!(%error, "A call that was given up could not be recorded");
        }
        if let Some(way) = way {
            let said = said(&way, word.as_ref());
            tell(&recorded, &way, said).await;
        }
    })
}

/// The same for a call that we give up ourselves. What its client is then told, if it waits.
pub(crate) fn call_off(recorded: Recorded, way: Way, refusal: Refusal) -> Lasting<Refusal> {
    let tasks = recorded.permitted().asked.worker.held.clone();
    Lasting::new(&tasks, async move {
        recorded.permitted().asked.worker.proxy.metrics.refused(refusal.reason());
        let unrecorded = record::outcome(&recorded, &Outcome::refused(&refusal)).await.err();
        tell(&recorded, &way, because(way.id, &refusal.to_string())).await;
        unrecorded.unwrap_or(refusal)
    })
}

/// Ends the task that a call has become and which nobody waits for any more, if it has become one.
pub(crate) fn leave_task(recorded: &Recorded, way: Way) {
    let Some(task) = way.task.as_ref().map(Arc::clone) else { return };
    let permitted = recorded.permitted();
    let (worker, pass) = (Arc::clone(&permitted.asked.worker), permitted.pass.twin());
    let held = worker.held.clone();
    held.spawn(async move {
        let letter = task.letter("tasks/cancel", way.link.next_id(), b"");
        let posting = way.link.post_briefly(&worker, &pass, &way.channel, letter);
        if let Err(error) = posting.await {
            tracing::debug!(%error, "A task could not be cancelled");
        }
    });
}

async fn tell(recorded: &Recorded, way: &Way, said: Bytes) {
    let permitted = recorded.permitted();
    let over_http = matches!(way.link.server.transport, Transport::Http { .. });
    let letter = match &way.task {
        Some(task) => task.letter("tasks/cancel", way.link.next_id(), b""),
        None if !way.is_sent => return,
        None if over_http && matches!(way.channel, Channel::Modern(_)) => return,
        None => Letter { parts: vec![said], id: None, progress: false, headers: HeaderMap::new() },
    };
    let (worker, pass) = (&permitted.asked.worker, &permitted.pass);
    // Not for as long as an answer may take: nobody waits for this one.
    let posting = way.link.post_briefly(worker, pass, &way.channel, letter);
    if let Err(error) = posting.await {
        tracing::debug!(%error, "An upstream could not be told of a cancellation");
    }
}

/// The client's own words, under our id.
fn said(way: &Way, word: Option<&Message>) -> Bytes {
    if let Some(word) = word
        && let Some(id) = word.params().and_then(|it| it.get("requestId"))
    {
        let mut splice = Splice::new(word.body().clone());
        splice.replace_value(id, way.id.to_string());
        return splice.finish().into_bytes();
    }
    because(way.id, "the client has gone")
}

fn because(id: u64, why: &str) -> Bytes {
    let params = format!(r#"{{"requestId":{id},"reason":{}}}"#, mcp::json::quote(why));
    errors::notification_body("notifications/cancelled", Some(params.as_bytes()))
}
