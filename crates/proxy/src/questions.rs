//! Questions of a legacy server on its session's own stream, which belong to no call.
//!
//! Many servers ask there, even in the middle of a call. They go to the client on its own stream,
//! under an id of ours, and its answer finds its way back by that; so a call must not leave before
//! there is such a stream, where the client has one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inspect::{Hit, Leg, Rules};
use mcp::envelope::Message;
use mcp::errors;
use mcp::splice::Splice;

use crate::authorize::Pass;
use crate::content;
use crate::link::{Channel, Letter, Link, UpstreamSession};
use crate::pending::{Pending, Whom};
use crate::refusal::Refusal;
use crate::serve::Worker;
use crate::session::Session;

/// How long the first call waits for that stream. It goes on without: a server may keep the head of
/// its answer until it has something to say, and hears us all the same.
const OPENING: Duration = Duration::from_millis(250);

/// What becomes of a question.
pub(crate) enum Fate {
    /// The client is asked, in these words.
    Asked(Bytes),
    /// The server is answered by us.
    Answered(Bytes),
    /// It cannot be answered.
    Dropped,
}

/// Decides, by the rules that hold now.
pub(crate) fn decide(
    session: &Session,
    (pass, upstream): (&Pass, &Arc<UpstreamSession>),
    rules: Result<Rules, Refusal>,
    message: &Message,
    hits: &mut Vec<Hit>,
) -> Fate {
    let (Some(id), Some(assignment)) = (message.id(), pass.assignment()) else {
        return Fate::Dropped;
    };
    let refused =
        |code, text| Fate::Answered(errors::error_body(Some(id.bytes()), code, text, None));
    if message.method() == "ping" {
        return Fate::Answered(errors::result_body(id.bytes(), b"{}"));
    }
    // What belongs to no call belongs to no tool, so rules for certain tools do not look at it.
    let nobody = (assignment.alias.as_str(), "");
    let edited = rules.and_then(|it| content::edit(&it, Leg::Response, nobody, message, hits));
    let Ok(allowed) = edited else {
        return refused(errors::INVALID_REQUEST, "what it asks may not be asked here");
    };
    let whom =
        Whom::Upstream { upstream: Arc::clone(upstream), id: Bytes::copy_from_slice(id.bytes()) };
    let tool = Some(Box::from(""));
    let pending = Pending { assignment: Arc::clone(assignment), tool, whom };
    let Some(ours) = session.pending.ask(pending) else {
        return refused(errors::METHOD_NOT_FOUND, "this client cannot be asked");
    };
    let mut splice = Splice::new(allowed.body().clone());
    if let Some(id) = allowed.id() {
        splice.replace_value(id, ours.to_string());
    }
    Fate::Asked(splice.finish().into_bytes())
}

/// What a server is answered that may not ask anything.
pub(crate) fn refuse(message: &Message) -> Option<Bytes> {
    let why = "what it asks may not be asked here";
    Some(errors::error_body(Some(message.id()?.bytes()), errors::INVALID_REQUEST, why, None))
}

/// Answers a server ourselves.
pub(crate) async fn answer(
    worker: Arc<Worker>,
    (pass, link): (Pass, Arc<Link>),
    upstream: Arc<UpstreamSession>,
    body: Bytes,
) {
    let headers = http::HeaderMap::new();
    let letter = Letter { parts: vec![body], id: None, progress: false, headers };
    let posted = link.post_briefly(&worker, &pass, &Channel::Legacy(upstream), letter).await;
    if let Err(error) = posted {
        tracing::debug!(%error, "A question of an upstream could not be answered");
    }
}

/// Waits until the server is heard on its session's own stream, where the client has such a stream
/// itself, or until it is known that there is none.
pub(crate) async fn until_heard(session: &Session, upstream: &UpstreamSession) {
    if session.is_listening() {
        tokio::time::timeout(OPENING, upstream.heard.cancelled()).await.ok();
        // A server that keeps silent there at first would hold up every call.
        upstream.heard.cancel();
    }
}
