//! How a client waits for a call that is held: like for any other, in silence at first, and then in a
//! stream with signs of life.

use bytes::Bytes;
use http::Response;
use mcp::revision::Era;
use mcp::sse;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{GONE, Said};
use crate::answer::{self, Manner};
use crate::body::{Body, Gone, Outlet, pieces};
use crate::call::Asked;
use crate::late::HEARTBEAT;
use crate::refusal::Refusal;

/// Whom the answer goes to.
pub(crate) struct Addressee {
    id: Bytes,
    is_tool: bool,
    tasks: TaskTracker,
}

/// How much may wait for a client that reads slowly.
pub(crate) const NEWS: usize = 16;

impl Addressee {
    pub(crate) fn of(asked: &Asked) -> Self {
        Self {
            id: Bytes::copy_from_slice(asked.id()),
            is_tool: asked.message.method() == "tools/call",
            tasks: asked.worker.held.clone(),
        }
    }

    fn manner(&self) -> Manner<'_> {
        Manner { id: Some(&self.id), era: Era::Modern, tool: self.is_tool }
    }
}

/// Waits, and answers. Dropped before that, the client has gone.
pub(crate) async fn attend(mut said: mpsc::Receiver<Said>, to: Addressee) -> Response<Body> {
    let first = tokio::select! {
        biased;
        said = said.recv() => said,
        () = tokio::time::sleep(HEARTBEAT) => Some(Said::News(Bytes::new())),
    };
    match first {
        Some(Said::Answer(status, parts, flight)) => {
            answer::json(status, Body::revocable(parts, vec![flight]))
        }
        Some(Said::Refused(refusal)) => answer::refusal(&refusal, to.manner()),
        Some(Said::InVain(it, why)) => Box::pin(it.asked.refuse(&why)).await,
        None => answer::refusal(&Refusal::RequestState(GONE), to.manner()),
        Some(Said::News(news)) => {
            let tasks = to.tasks.clone();
            answer::events(Body::stream(&tasks, |outlet| async move {
                if tell(&news, &outlet).await.is_ok() {
                    attend_into(said, to, &outlet).await;
                }
            }))
        }
    }
}

/// The same in a response that is a stream already, and ends with it.
pub(crate) async fn attend_into(mut said: mpsc::Receiver<Said>, to: Addressee, outlet: &Outlet) {
    loop {
        let next = tokio::select! {
            biased;
            said = said.recv() => said,
            () = tokio::time::sleep(HEARTBEAT) => Some(Said::News(Bytes::new())),
        };
        let refusal = match next {
            Some(Said::News(news)) => match tell(&news, outlet).await {
                Ok(()) => continue,
                Err(Gone) => return,
            },
            Some(Said::Answer(_, parts, flight)) => {
                for piece in pieces(answer::event(parts)) {
                    // Not by waiting for the flight's end, which is for the task that holds the call.
                    if flight.is_ended() || !flight.is_good() || outlet.send(piece).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Some(Said::InVain(permitted, refusal)) => {
                // The response is a stream, but the record of it is the same.
                drop(Box::pin(permitted.asked.refuse(&refusal)).await);
                refusal
            }
            Some(Said::Refused(refusal)) => refusal,
            None => Refusal::RequestState(GONE),
        };
        let (_, body) = answer::refusal_parts(&refusal, to.manner());
        // A client that is gone needs no last word.
        outlet.send(sse::event(&body)).await.ok();
        return;
    }
}

/// No news is a sign of life.
async fn tell(news: &Bytes, outlet: &Outlet) -> Result<(), Gone> {
    let event = if news.is_empty() { sse::KEEP_ALIVE } else { sse::event(news) };
    outlet.send(event).await
}
