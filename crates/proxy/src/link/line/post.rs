//! Sending a message whose answer comes on the stream.
//!
//! Some servers take a message at once, and others only when they have answered it, on the stream.
//! So whatever comes first is heeded: the word that it was taken, or the first of its answer.

use std::sync::Arc;

use http::{Method, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::exchange::{Call, Posting};
use super::{Answering, Line, Shared};
use crate::authorize::Pass;
use crate::flight::Writing;
use crate::link::post::{ATTEMPTS, plain_headers};
use crate::link::{Exchange, Letter, Link};
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::{Outgoing, Reply, SendError, WireError};

/// What a server may say about a message that it takes, in bytes. Nobody reads it.
const LONGEST_REMARK: usize = 64 << 10;

/// Sends a message of a pass.
pub(in crate::link) async fn deliver(
    link: &Link,
    worker: &Worker,
    (pass, line): (&Pass, &Line),
    letter: Letter,
) -> Result<Exchange, Refusal> {
    let shared = &line.shared;
    let Letter { parts, id, headers, .. } = letter;
    let outgoing = Outgoing { method: Method::POST, headers, body: parts };
    let Some(id) = id else {
        let (reply, writing) = tell(link, worker, (pass, shared), outgoing).await?;
        return Ok(Exchange::http(reply, writing));
    };
    let turn = match shared.is_exclusive {
        true => Some(turn(link, worker, shared).await?),
        false => None,
    };
    let Some(place) = shared.table.enter(id) else {
        if line.is_open() {
            return Err(link.refuse(WireError::Busy.into()));
        }
        // Nothing has been sent, as if the server had said that it knows no such session.
        return Ok(Exchange::Line(Box::new(Answering::refused(StatusCode::NOT_FOUND))));
    };
    let mut call = Call::new(Arc::clone(shared), id, place);
    if shared.is_exclusive {
        call.ask_first(shared.table.kept());
    }
    send(link, worker, pass, (call, turn, outgoing)).await
}

/// Waits until no other call is under way, for as long as a server may be silent in one.
async fn turn(
    link: &Link,
    worker: &Worker,
    shared: &Shared,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let patience = worker.proxy.options.silence;
    let waiting = Arc::clone(&shared.turn).acquire_owned();
    match tokio::time::timeout(patience, waiting).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(link.refuse(UpstreamError::Timeout(patience))),
    }
}

async fn send(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    (mut call, turn, mut outgoing): (Call, Option<OwnedSemaphorePermit>, Outgoing),
) -> Result<Exchange, Refusal> {
    let shared = call.shared();
    let plain = plain_headers(&mut outgoing);
    for _ in 0..ATTEMPTS {
        let begun = link.begin(worker, (pass, &shared.messages), &plain, &mut outgoing).await;
        let (ready, writing) = begun?;
        let mut sending = Box::pin(ready.send(outgoing));
        let sent = tokio::select! {
            biased;
            sent = &mut sending => sent,
            stirred = call.stirs() => {
                stirred.map_err(|it| link.refuse(it))?;
                let posting: Posting = Box::pin(async move {
                    match sending.await {
                        Ok(reply) => taken(reply).await,
                        Err(SendError::Unsent(_)) => Err(UpstreamError::NoAnswer),
                        Err(SendError::Failed { error, .. }) => Err(error.into()),
                    }
                });
                let answering = Answering::new((posting, Some(writing)), call, turn);
                return Ok(Exchange::Line(Box::new(answering)));
            }
        };
        match sent {
            Ok(reply) => {
                return Ok(Exchange::Line(Box::new(answering(reply, writing, call, turn))));
            }
            Err(SendError::Unsent(back)) => outgoing = back,
            Err(SendError::Failed { error, .. }) => return Err(link.refuse(error.into())),
        }
    }
    Err(link.refuse(UpstreamError::NoAnswer))
}

fn answering(
    reply: Reply,
    writing: Writing,
    call: Call,
    turn: Option<OwnedSemaphorePermit>,
) -> Answering {
    let status = reply.status;
    if status.is_success() {
        let writing = Some(writing).filter(|_| !reply.is_request_written());
        return Answering::new((Box::pin(taken(reply)), writing), call, turn);
    }
    // There is no agreed way of saying that a stream is not known.
    let is_unknown = matches!(status.as_u16(), 400 | 404 | 410);
    Answering::refused(if is_unknown { StatusCode::NOT_FOUND } else { status })
}

/// Reads the remark to its end, so that the connection can serve again.
async fn taken(reply: Reply) -> Result<StatusCode, UpstreamError> {
    let status = reply.status;
    if status.is_success() {
        // It was taken, whatever is wrong with the rest.
        reply.collect(LONGEST_REMARK).await.ok();
    }
    Ok(status)
}

/// Sends a message that has no answer.
pub(super) async fn tell(
    link: &Link,
    worker: &Worker,
    (pass, shared): (&Pass, &Shared),
    mut outgoing: Outgoing,
) -> Result<(Reply, Writing), Refusal> {
    let plain = plain_headers(&mut outgoing);
    for _ in 0..ATTEMPTS {
        let begun = link.begin(worker, (pass, &shared.messages), &plain, &mut outgoing).await;
        let (ready, writing) = begun?;
        match ready.send(outgoing).await {
            Ok(reply) => return Ok((reply, writing)),
            Err(SendError::Unsent(back)) => outgoing = back,
            Err(SendError::Failed { error, .. }) => return Err(link.refuse(error.into())),
        }
    }
    Err(link.refuse(UpstreamError::NoAnswer))
}
