//! A client that comes back to the stream of a call, for what it has missed and for what comes.
//!
//! It is recognised anew, and what is handed out is decided anew: by its own right to the gateway,
//! which must last as long as the stream, and by the passes under which things were told.

use std::sync::Arc;

use http::Response;
use mcp::sse;

use crate::answer;
use crate::authorize::{self, Pass};
use crate::body::{Body, Outlet};
use crate::known::Known;
use crate::refusal::Refusal;
use crate::replay::{Reader, Strand};
use crate::serve::Worker;
use crate::session::Session;
use crate::streams::Seat;

/// Goes on with a stream after an event of it.
pub(crate) async fn resume(
    worker: &Arc<Worker>,
    known: Known,
    session: &Session,
    (strand, after): (Arc<Strand>, u64),
) -> Result<Response<Body>, Refusal> {
    let app = known.caller.app;
    let pass = authorize::authorize(&worker.proxy, known.caller, known.place, None)?;
    let seat = worker.proxy.streams.take(app)?;
    pass.clear().await?;
    for told in strand.origins_after(after) {
        decide(&strand, &told).await?;
    }
    let reader = session.replay.resume(&strand, after);
    let resumed = Resumed { pass, reader, _seat: seat };
    Ok(answer::events(Body::stream(&worker.held, |outlet| resumed.run(outlet))))
}

/// Whether what was told under a pass may be told once more. What may not, never will be.
pub(crate) async fn decide(strand: &Strand, told: &Arc<Pass>) -> Result<(), Refusal> {
    let Err(refusal) = told.clear().await else { return Ok(()) };
    // Else it could not be decided now.
    if !matches!(refusal, Refusal::Gate(_)) {
        strand.disown(told);
    }
    Err(refusal)
}

struct Resumed {
    pass: Pass,
    reader: Reader,
    _seat: Seat,
}

impl Resumed {
    async fn run(mut self, outlet: Outlet) {
        // The head goes out at once, with the first byte of the body.
        let mut event = sse::KEEP_ALIVE;
        loop {
            let sending = self.pass.flight.unless_ended(outlet.send(event));
            if !matches!(sending.await, Some(Ok(()))) {
                return;
            }
            event = tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                event = self.reader.next() => match event {
                    Some(event) => event,
                    None => return,
                },
                is_current = self.pass.tick() => if is_current { sse::KEEP_ALIVE } else { return },
            };
        }
    }
}
