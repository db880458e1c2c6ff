//! The calls of a managed server that wait to be written or answered.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::Hold;
use crate::wire::error::WireError;

pub(super) struct Calls {
    table: Mutex<Table>,
    limit: usize,
}

#[derive(Default)]
struct Table {
    calls: HashMap<u64, Call>,
    ended: Option<WireError>,
}

struct Call {
    /// Until it is written, with what keeps it open.
    frame: Option<(Vec<Bytes>, Box<dyn Hold>)>,
    progress: Option<mpsc::Sender<Bytes>>,
    answer: oneshot::Sender<Result<Bytes, WireError>>,
}

/// One request to a managed server and what comes back. Dropping it forgets the call: a frame that
/// still waits is never written, an answer that comes later is discarded.
pub struct ChildExchange {
    id: u64,
    calls: Arc<Calls>,
    progress: Option<mpsc::Receiver<Bytes>>,
    answer: Option<oneshot::Receiver<Result<Bytes, WireError>>>,
    /// Came while there was progress left to give.
    answered: Option<Result<Bytes, WireError>>,
}

impl Calls {
    pub(super) fn new(limit: usize) -> Self {
        Self { table: Mutex::default(), limit }
    }

    pub(super) fn open(
        self: &Arc<Self>,
        id: u64,
        frame: Vec<Bytes>,
        progress: bool,
        hold: Box<dyn Hold>,
    ) -> ChildExchange {
        let (to_caller, answer) = oneshot::channel();
        let (sender, progress) = if progress {
            let (sender, receiver) = mpsc::channel(PROGRESS_QUEUE);
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        let mut exchange = ChildExchange {
            id,
            calls: Arc::clone(self),
            progress,
            answer: Some(answer),
            answered: None,
        };
        let frame = Some((frame, hold));
        let call = Call { frame, progress: sender, answer: to_caller };
        if let Err((call, error)) = self.insert(id, call) {
            drop(call);
            exchange.answer = None;
            exchange.answered = Some(Err(error));
        }
        exchange
    }

    fn insert(&self, id: u64, call: Call) -> Result<(), (Call, WireError)> {
        let mut table = self.table.lock();
        if let Some(error) = &table.ended {
            let error = error.clone();
            return Err((call, error));
        }
        if table.calls.len() >= self.limit || table.calls.contains_key(&id) {
            return Err((call, WireError::Busy));
        }
        table.calls.insert(id, call);
        Ok(())
    }

    /// The frame, for writing it now, with the hold that must be asked before and kept until it has
    /// been written. Nothing if the call has been forgotten.
    pub(super) fn begin_write(&self, id: u64) -> Option<(Vec<Bytes>, Box<dyn Hold>)> {
        self.table.lock().calls.get_mut(&id)?.frame.take()
    }

    /// Whether there was a call to answer.
    pub(super) fn answer(&self, id: u64, message: Bytes) -> bool {
        self.finish(id, Ok(message))
    }

    pub(super) fn fail(&self, id: u64, error: WireError) {
        self.finish(id, Err(error));
    }

    fn finish(&self, id: u64, outcome: Result<Bytes, WireError>) -> bool {
        let call = self.table.lock().calls.remove(&id);
        match call {
            Some(call) => {
                // The caller may have left in this moment.
                drop(call.answer.send(outcome));
                true
            }
            None => false,
        }
    }

    /// Progress is dropped when its caller does not keep up: the next one says more.
    pub(super) fn progress(&self, id: u64, message: Bytes) {
        let table = self.table.lock();
        if let Some(progress) = table.calls.get(&id).and_then(|call| call.progress.as_ref()) {
            drop(progress.try_send(message));
        }
    }

    /// Fails every call, now and from now on.
    pub(super) fn end(&self, error: &WireError) {
        let calls = {
            let mut table = self.table.lock();
            table.ended.get_or_insert_with(|| error.clone());
            std::mem::take(&mut table.calls)
        };
        for call in calls.into_values() {
            drop(call.answer.send(Err(error.clone())));
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.table.lock().ended.is_some()
    }

    pub(super) fn why_ended(&self) -> WireError {
        let ended = self.table.lock().ended.clone();
        ended.unwrap_or_else(|| WireError::Closed { reason: "the server has ended".to_owned() })
    }
}

/// Progress that waits for its caller.
const PROGRESS_QUEUE: usize = 32;

impl ChildExchange {
    /// The next message of this call: its progress, then its response, then nothing. The wait is
    /// as long as the server lives; the caller bounds it.
    pub async fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`ChildExchange::next`], for use inside another future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireError>>> {
        if let Some(answer) = &mut self.answer
            && let Poll::Ready(answered) = Pin::new(answer).poll(cx)
        {
            self.answer = None;
            self.answered = Some(answered.unwrap_or_else(|_| Err(self.calls.why_ended())));
        }
        // Progress was sent before the answer, so it is given before it.
        if let Some(progress) = &mut self.progress {
            match progress.poll_recv(cx) {
                Poll::Ready(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Poll::Ready(None) => self.progress = None,
                Poll::Pending => {}
            }
        }
        match (self.answered.take(), &self.answer) {
            (Some(answered), _) => Poll::Ready(Some(answered)),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(None),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.answer.is_some()
    }
}

impl Drop for ChildExchange {
    fn drop(&mut self) {
        if self.is_waiting() {
            let forgotten = self.calls.table.lock().calls.remove(&self.id);
            // A hold may do anything when dropped, so the lock has been left before.
            drop(forgotten);
        }
    }
}
