//! Answers that take their time.
//!
//! The response's HTTP status depends on the answer, so the answer is waited for first. But nobody
//! on the way to the client waits for ever: after a while the response becomes a stream of events,
//! which shows signs of life until the answer comes in it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use mcp::sse;

use crate::answer;
use crate::body::{Body, Gone, Outlet};
use crate::forward::{self, Sent, Unsent};
use crate::linger::Lingering;
use crate::record::Recorded;
use crate::release;

/// After this long without a word the response becomes a stream, and then a comment is sent as
/// often, so that no proxy between us and the client takes the silence for death.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) type Leaving = Pin<Box<dyn Future<Output = Result<Sent, Unsent>> + Send>>;

/// Sends a recorded call and answers its client. In a session it goes on when that has gone.
pub(crate) async fn send(recorded: Recorded) -> Response<Body> {
    let asked = &recorded.permitted().asked;
    let lasting = asked.session.as_ref().filter(|it| !it.replay.is_paired());
    let Some(session) = lasting else { return answered(recorded).await };
    let (replay, tasks) = (Arc::clone(&session.replay), asked.worker.held.clone());
    Lingering::new(replay, tasks, answered(recorded)).await
}

async fn answered(recorded: Recorded) -> Response<Body> {
    let asked = &recorded.permitted().asked;
    let (session, tasks) = (asked.session.clone(), asked.worker.held.clone());
    let mut leaving: Leaving = Box::pin(forward::forward(recorded));
    tokio::select! {
        biased;
        sent = &mut leaving => match sent {
            Ok(sent) => Box::pin(release::release(sent)).await,
            Err(Unsent::Refused(it)) => Box::pin(release::refuse(it.0, it.1)).await,
            Err(Unsent::Cancelled) => answer::events(Body::empty()),
        },
        () = tokio::time::sleep(HEARTBEAT) => {
            let write = |outlet| wait(leaving, outlet);
            answer::events(Body::stream_in(session.as_ref(), &tasks, write))
        }
    }
}

async fn wait(leaving: Leaving, outlet: Outlet) {
    if let Some(sent) = until_sent(leaving, &outlet).await {
        Box::pin(release::release_into(sent, outlet)).await;
    }
}

/// Waits until the answer to a call begins to come whose response is a stream already. Nothing where
/// it has been refused or cancelled, which its client has been told.
pub(crate) async fn until_sent(mut leaving: Leaving, outlet: &Outlet) -> Option<Sent> {
    let sent = loop {
        // The call goes on while its client takes nothing.
        tokio::select! {
            biased;
            sent = &mut leaving => break sent,
            beaten = beat(outlet) => if beaten.is_err() { return None },
            () = outlet.abandoned() => return None,
        }
    };
    match sent {
        Ok(sent) => return Some(sent),
        Err(Unsent::Refused(it)) => Box::pin(release::refuse_into(it.0, it.1, outlet)).await,
        Err(Unsent::Cancelled) => {}
    }
    None
}

async fn beat(outlet: &Outlet) -> Result<(), Gone> {
    outlet.send(sse::KEEP_ALIVE).await?;
    tokio::time::sleep(HEARTBEAT).await;
    Ok(())
}
