//! The two ends of a stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use mcp::sse;
use tokio::time::{Instant, timeout_at};

use super::strand::{Event, Kept, Strand};
use super::{LINGER, Replay};
use crate::authorize::Pass;
use crate::body::{Gone, PIECE};

/// The writing end. Its strand is over when it goes.
pub(crate) struct Writer {
    strand: Arc<Strand>,
    replay: Arc<Replay>,
    number: u64,
}

/// The reading end. The client is away when it goes.
pub(crate) struct Reader {
    pub(super) strand: Arc<Strand>,
    number: u64,
    next: u64,
    /// What is left of the event under way.
    pieces: VecDeque<Bytes>,
    origin: Option<Arc<Pass>>,
    replay: Option<Arc<Replay>>,
    is_leaving: bool,
}

/// What a reader is told.
pub(crate) enum Told {
    /// The parts of an event, and the pass that it belongs to.
    Event(Vec<Bytes>, Option<Arc<Pass>>),
    /// A sign of life.
    Beat,
    /// The last event on this connection: the reader is to come back.
    Farewell(Bytes),
}

/// How many bytes may wait for a client that is there and does not read.
pub(super) const WINDOW: usize = 64 << 10;

/// How long a last word may be that is said whatever waits.
const LONGEST_LAST: usize = 16 << 10;

impl Writer {
    pub(super) fn begin(strand: &Arc<Strand>, replay: &Arc<Replay>) -> Self {
        let mut state = strand.state.lock();
        state.writer += 1;
        (state.is_written, state.over_since) = (true, None);
        let number = state.writer;
        drop(state);
        strand.changed.notify_waiters();
        Self { strand: Arc::clone(strand), replay: Arc::clone(replay), number }
    }

    /// Tells an event. Waits for a client that is there and reads slowly, not for one that is away.
    pub(crate) async fn tell(&self, event: Event<'_>) -> Result<(), Gone> {
        loop {
            let changed = self.strand.changed.notified();
            {
                let mut state = self.strand.state.lock();
                if state.is_abandoned(self.number) {
                    return Err(Gone);
                }
                // What belongs to no pass is a last word.
                let size: usize = event.body.iter().map(Bytes::len).sum();
                let is_last = event.pass.is_none() && size <= LONGEST_LAST;
                if !state.is_read || state.waiting < WINDOW || is_last {
                    let body = self.strand.framed(state.end(), event.body);
                    self.strand.push(&mut state, Event { body, ..event });
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// The same for what says no more when it is said twice before anybody has read it.
    pub(crate) async fn tell_once(&self, event: Event<'_>) -> Result<(), Gone> {
        {
            let state = self.strand.state.lock();
            let taken = usize::try_from(state.untaken - state.first).unwrap_or(usize::MAX);
            let is_it = |it: &Kept| event.body.first().is_some_and(|event| it.says(event));
            if state.kept.iter().skip(taken).any(is_it) {
                return Ok(());
            }
        }
        self.tell(event).await
    }

    /// Shows whoever is there that the stream lives.
    pub(crate) fn beat(&self) -> Result<(), Gone> {
        let mut state = self.strand.state.lock();
        if state.is_abandoned(self.number) {
            return Err(Gone);
        }
        state.beat = true;
        state.waker.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Sends whoever is there away for a while, if it knows that it may come back.
    pub(crate) fn pause(&self, retry_ms: u64) {
        let mut state = self.strand.state.lock();
        if self.replay.polls && state.is_read {
            state.farewell = Some(retry_ms);
            state.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Resolves when nobody is to hear any more of it.
    pub(crate) async fn abandoned(&self) {
        loop {
            let changed = self.strand.changed.notified();
            let since = {
                let state = self.strand.state.lock();
                if state.is_abandoned(self.number) {
                    return;
                }
                state.unread_since
            };
            match since {
                // Late or not, it is looked at once more.
                Some(since) => drop(timeout_at(since + LINGER, changed).await),
                None => changed.await,
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.strand.state.lock();
        if state.writer != self.number {
            return;
        }
        (state.is_written, state.over_since) = (false, Some(Instant::now()));
        let lingers = state.lingers.take();
        let waker = state.waker.take();
        drop((state, lingers));
        waker.into_iter().for_each(Waker::wake);
        self.replay.revisit();
    }
}

impl Reader {
    pub(super) fn new(strand: Arc<Strand>, number: u64, next: u64) -> Self {
        let pieces = VecDeque::new();
        Self { strand, number, next, pieces, origin: None, replay: None, is_leaving: false }
    }

    /// For the first of a call: when it goes, the call needs the right to go on.
    pub(super) fn of(mut self, replay: &Arc<Replay>) -> Self {
        self.replay = Some(Arc::clone(replay));
        self
    }

    /// What is to be sent next. Loses nothing when dropped before it is ready.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same in whole events.
    pub(crate) async fn told(&mut self) -> Option<Told> {
        poll_fn(|context| self.poll_told(context)).await
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.piece() {
                return Poll::Ready(piece);
            }
            if self.is_leaving {
                return Poll::Ready(None);
            }
            match ready!(self.poll_told(context)) {
                Some(Told::Event(pieces, origin)) => {
                    (self.pieces, self.origin) = (pieces.into(), origin);
                }
                Some(Told::Farewell(words)) => {
                    self.is_leaving = true;
                    return Poll::Ready(Some(words));
                }
                Some(Told::Beat) => return Poll::Ready(Some(sse::KEEP_ALIVE)),
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            let mut state = self.strand.state.lock();
            if state.reader != self.number || state.is_closed && self.replay.is_none() {
                return Poll::Ready(None);
            }
            self.next = self.next.max(state.first);
            if let Some(kept) = state.at(self.next) {
                // It is kept for when its time has been extended again.
                let flight = kept.origin.as_ref().map(|it| &it.flight);
                if flight.is_some_and(|it| !it.is_ended() && !it.is_good()) {
                    return Poll::Ready(None);
                }
                let (body, size, origin) = (kept.body.clone(), kept.size, kept.origin.clone());
                kept.fall_back();
                self.next += 1;
                state.untaken = self.next;
                state.waiting -= size;
                drop(state);
                self.strand.changed.notify_waiters();
                // What was ended is not handed out, and what was dropped cannot be.
                if body.is_empty() || origin.as_ref().is_some_and(|it| it.flight.is_ended()) {
                    continue;
                }
                return Poll::Ready(Some(Told::Event(body, origin)));
            }
            if let Some(retry_ms) = state.farewell.take() {
                let id = self.strand.id(self.next - 1);
                return Poll::Ready(Some(Told::Farewell(sse::prime(&id, Some(retry_ms)))));
            }
            if std::mem::take(&mut state.beat) {
                return Poll::Ready(Some(Told::Beat));
            }
            if !state.is_written {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
    }

    /// A piece of the event under way; the end where a cut-off has come in between.
    fn piece(&mut self) -> Option<Option<Bytes>> {
        let mut piece = self.pieces.pop_front()?;
        if self.origin.as_ref().is_some_and(|it| it.flight.is_ended() || !it.flight.is_good()) {
            self.pieces.clear();
            self.is_leaving = true;
            return Some(None);
        }
        if PIECE < piece.len() {
            let rest = piece.split_off(PIECE);
            self.pieces.push_front(rest);
        }
        Some(Some(piece))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Before the lock of one strand, since it takes that of all.
        let lingers = self.replay.as_ref().and_then(|it| it.linger());
        let mut state = self.strand.state.lock();
        if state.reader != self.number {
            return;
        }
        state.is_read = false;
        state.unread_since = Some(Instant::now());
        state.kept.iter_mut().for_each(Kept::fall_back);
        state.waiting = state.waiting_from(state.untaken);
        if self.replay.is_some() && state.is_written {
            state.is_closed |= lingers.is_none();
            state.lingers = lingers;
        }
        drop(state);
        self.strand.changed.notify_waiters();
    }
}
