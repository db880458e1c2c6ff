//! One message under way on a line, and what comes back for it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::table::Place;
use crate::flight::Writing;
use crate::refusal::UpstreamError;

/// A call until its answer has come. Dropping it takes it off the table, and closes the connection
/// that it is still being sent on.
pub(crate) struct Answering {
    /// Of the message that carried it; success while that is not known.
    pub(crate) status: StatusCode,
    // Declared before what a cut-off waits for: the connection must be gone before that is.
    posting: Option<Mutex<Posting>>,
    writing: Option<Writing>,
    /// Absent where the server has not taken it.
    call: Option<Call>,
    /// Where the server may ask something, it is one call's turn.
    _turn: Option<OwnedSemaphorePermit>,
}

/// A message on its way: the status that it is taken with.
pub(super) type Posting = Pin<Box<dyn Future<Output = Result<StatusCode, UpstreamError>> + Send>>;

/// A call at the table.
pub(super) struct Call {
    shared: Arc<Shared>,
    id: u64,
    place: Place,
    is_over: bool,
    /// What has come and not been given yet.
    early: VecDeque<Result<Bytes, UpstreamError>>,
    sent: Instant,
}

/// What belongs to no call.
pub(crate) struct Feed(pub(super) mpsc::Receiver<Bytes>);

impl Answering {
    /// One that has been taken, or is being sent still.
    pub(super) fn new(
        (posting, writing): (Posting, Option<Writing>),
        call: Call,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        // Nobody shares it; the lock says so to whoever shares what it is in.
        let (posting, status) = (Some(Mutex::new(posting)), StatusCode::OK);
        Self { status, posting, writing, call: Some(call), _turn: turn }
    }

    /// One that the server has not taken.
    pub(super) fn refused(status: StatusCode) -> Self {
        Self { status, posting: None, writing: None, call: None, _turn: None }
    }

    /// The next message's text. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        let call = self.call.as_mut()?;
        loop {
            let Some(posting) = &mut self.posting else { return call.next().await };
            let taken = tokio::select! {
                biased;
                taken = posting.get_mut() => taken,
                next = call.next() => return next,
            };
            self.posting = None;
            self.writing = None;
            match taken {
                Ok(status) if status.is_success() => {}
                Ok(status) => return Some(Err(UpstreamError::Status(status.as_u16()))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Call {
    pub(super) fn new(shared: Arc<Shared>, id: u64, place: Place) -> Self {
        let (early, sent) = (VecDeque::new(), Instant::now());
        Self { shared, id, place, is_over: false, early, sent }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Gives this first.
    pub(super) fn ask_first(&mut self, asks: VecDeque<Bytes>) {
        self.early.extend(asks.into_iter().map(Ok));
    }

    /// Waits until something has come for it; an error is that of its stream.
    pub(super) async fn stirs(&mut self) -> Result<(), UpstreamError> {
        let came = self.receive().await.unwrap_or(Err(UpstreamError::NoAnswer))?;
        self.early.push_back(Ok(came));
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        match self.early.pop_front() {
            Some(early) => Some(early),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        if self.is_over {
            return None;
        }
        // They end when the answer is there, and have come before it.
        if let Some(news) = self.place.news.recv().await {
            return Some(Ok(news));
        }
        let answer = (&mut self.place.answer).await;
        self.is_over = true;
        Some(answer.unwrap_or(Err(UpstreamError::StreamLost)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.table.leave(self.id);
            self.shared.doubt(self.sent);
        }
    }
}

impl Feed {
    /// The next message's text, until the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.0.recv().await
    }
}
