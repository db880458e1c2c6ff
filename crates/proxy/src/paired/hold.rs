//! A client's open stream, which ends everything of its pair when it ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mcp::sse;

use super::relay::{Chunk, Chunks};
use super::{Pair, Pairs};
use crate::authorize::Pass;
use crate::body::Outlet;
use crate::known::Known;
use crate::legacy;
use crate::serve::Worker;
use crate::streams::Seat;

pub(super) struct Hold {
    worker: Arc<Worker>,
    known: Known,
    pair: Arc<Pair>,
    pass: Pass,
    _seat: Seat,
}

/// A client that takes nothing for so long is given up.
const DEAF: Duration = Duration::from_secs(60);

/// How long calls that a cut-off has ended may take to say so in the record.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Hold {
    pub(super) fn new(
        worker: &Arc<Worker>,
        known: Known,
        pair: Arc<Pair>,
        (pass, seat): (Pass, Seat),
    ) -> Self {
        Self { worker: Arc::clone(worker), known, pair, pass, _seat: seat }
    }

    /// Passes on what is to be told, until the client has gone or may not be here any more.
    pub(super) async fn run(self, address: String, mut chunks: Chunks, outlet: Outlet) {
        let named = sse::event_with(None, Some("endpoint"), address.as_bytes());
        let mut next = Some(Chunk { bytes: named, ends: true });
        // Nothing may come between the pieces of an event.
        let mut is_between = true;
        let mut tick = Box::pin(self.pass.tick());
        let mut closing = pin!(self.closing());
        loop {
            if let Some(Chunk { bytes, ends }) = next.take() {
                is_between = ends;
                let telling = tokio::time::timeout(DEAF, outlet.send(bytes));
                if !matches!(self.pass.flight.unless_ended(telling).await, Some(Ok(Ok(())))) {
                    return;
                }
            }
            tokio::select! {
                biased;
                () = self.pass.flight.ended() => return,
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => next = Some(chunk),
                    None => return,
                },
                // What has been said already is told.
                () = &mut closing, if !chunks.is_closed() => chunks.close(),
                is_current = &mut tick => {
                    if !is_current {
                        return;
                    }
                    tick = Box::pin(self.pass.tick());
                    if let Some(session) = self.pair.session() {
                        session.touch(self.worker.proxy.clock.elapsed());
                    }
                    next = is_between.then_some(Chunk { bytes: sse::KEEP_ALIVE, ends: true });
                }
            }
        }
    }
}

impl Hold {
    /// Waits until all streams are to end, and for the answers that are to come on this one.
    async fn closing(&self) {
        self.worker.proxy.streams.closing().await;
        self.pair.calls.close();
        self.pair.calls.wait().await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        Pairs::close(&self.worker.proxy.pairs, &self.pair);
        let (worker, known) = (Arc::clone(&self.worker), self.known.clone());
        let (pair, was_cut_off) = (Arc::clone(&self.pair), self.pass.flight.is_ended());
        let held = worker.held.clone();
        held.spawn(async move { end(&worker, known, &pair, was_cut_off).await });
    }
}

/// Ends what is under way, and then the session.
async fn end(worker: &Arc<Worker>, known: Known, pair: &Pair, was_cut_off: bool) {
    pair.calls.close();
    if was_cut_off {
        // They have been ended themselves, and know why.
        drop(tokio::time::timeout(LAST_WORDS, pair.calls.wait()).await);
    }
    pair.ended.cancel();
    pair.calls.wait().await;
    let Some(session) = pair.session() else { return };
    let ending: BoxFuture<'_, _> = Box::pin(legacy::end(worker, known, &session));
    if let Err(error) = ending.await {
        tracing::debug!(%error, "A session was ended without a word to its servers");
    }
}
