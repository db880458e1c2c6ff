//! Records that share one write and one sync, and the futures that wait for them.
//!
//! Appending costs no allocation beyond the batch: a future holds the batch and its own place in
//! it. A batch ends once per stage, by whoever comes first: the thread that did the work, or the
//! watchdog when the deadline has passed. Ending it wakes all its waiters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;

/// How safe a record must be before its future resolves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The kernel has it: it survives the death of the process. Synced soon after.
    Written,
    /// The disk has it: it survives the loss of power.
    Synced,
}

/// Proof that a record is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The place of the record among those of all workspaces.
    pub sequence: u64,
}

/// Why a record is not durable. The record may still turn up in the log later; what was refused
/// is the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No space. Only administrative records are still taken, while the reserve lasts.
    #[error("the audit disk is full; free space and it goes on by itself")]
    Full,
    /// The disk failed twice in a row.
    #[error("the audit disk reports errors; check the disk, it is tried again by itself")]
    Io,
    /// The disk did not answer in time.
    #[error("the audit disk does not answer in time; check the disk, it is tried again by itself")]
    Deadline,
    /// More records wait in memory than the configured bound.
    #[error("the audit disk is slower than the calls; try again shortly")]
    Overloaded,
    /// The leaf is longer than [`crate::MAX_LEAF`].
    #[error("the record is too large; shorten its values")]
    TooLarge,
    /// The log has been closed.
    #[error("the log is closed; the gateway is stopping")]
    Closed,
}

/// Resolves when a record is durable. Dropping it does not take the record back.
#[must_use = "the record is not durable before this resolves"]
#[derive(Debug)]
pub struct Append(State);

#[derive(Debug)]
enum State {
    Refused(LogError),
    Done(Receipt),
    Waiting { batch: Arc<Batch>, ordinal: u32, durability: Durability, slot: Option<usize> },
}

/// Records that are written together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// When its first record came, on the monotonic clock.
    pub(crate) opened: Duration,
    first_sequence: AtomicU64,
    written: Stage,
    synced: Stage,
    wants_sync: AtomicBool,
    settled: AtomicBool,
}

/// One step of durability. Ends once.
#[derive(Debug, Default)]
struct Stage {
    state: AtomicU8,
    wakers: Mutex<Vec<Option<Waker>>>,
}

impl Append {
    pub(crate) fn refused(error: LogError) -> Self {
        Self(State::Refused(error))
    }

    pub(crate) fn done(receipt: Receipt) -> Self {
        Self(State::Done(receipt))
    }

    pub(crate) fn waiting(batch: Arc<Batch>, ordinal: u32, durability: Durability) -> Self {
        if durability == Durability::Synced {
            batch.wants_sync.store(true, Ordering::Relaxed);
        }
        Self(State::Waiting { batch, ordinal, durability, slot: None })
    }

    /// Waits on the current thread. Not for async code.
    ///
    /// # Errors
    ///
    /// As the future.
    pub fn wait(mut self) -> Result<Receipt, LogError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl Future for Append {
    type Output = Result<Receipt, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (batch, ordinal, durability, slot) = match &mut self.0 {
            State::Refused(error) => return Poll::Ready(Err(*error)),
            State::Done(receipt) => return Poll::Ready(Ok(*receipt)),
            State::Waiting { batch, ordinal, durability, slot } => {
                (batch, *ordinal, *durability, slot)
            }
        };
        let stage = match durability {
            Durability::Written => &batch.written,
            Durability::Synced => &batch.synced,
        };
        stage.poll(slot, context.waker()).map(|end| {
            end.map(|()| Receipt {
                sequence: batch.first_sequence.load(Ordering::Relaxed) + u64::from(ordinal),
            })
        })
    }
}

impl Batch {
    pub(crate) fn new(opened: Duration) -> Self {
        Self {
            opened,
            first_sequence: AtomicU64::new(0),
            written: Stage::default(),
            synced: Stage::default(),
            wants_sync: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }

    /// Before [`Batch::finish_written`]: the sequence of its first record.
    pub(crate) fn number(&self, first_sequence: u64) {
        self.first_sequence.store(first_sequence, Ordering::Relaxed);
    }

    pub(crate) fn finish_written(&self) {
        self.written.end(DONE);
    }

    /// Synced is written too: nothing is left to happen.
    pub(crate) fn finish_synced(&self) {
        self.settled.store(true, Ordering::Release);
        self.written.end(DONE);
        self.synced.end(DONE);
    }

    /// Its work is over and did not succeed.
    pub(crate) fn fail(&self, error: LogError) {
        self.settled.store(true, Ordering::Release);
        self.give_up(error);
    }

    /// Tells the waiters, while the work on it still goes on.
    pub(crate) fn give_up(&self, error: LogError) {
        self.written.end(code(error));
        self.synced.end(code(error));
    }

    /// No thread works on it any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Somebody waits for the disk and not only for the kernel.
    pub(crate) fn wants_sync(&self) -> bool {
        self.wants_sync.load(Ordering::Relaxed)
    }
}

impl Stage {
    fn poll(&self, slot: &mut Option<usize>, waker: &Waker) -> Poll<Result<(), LogError>> {
        if let Some(end) = result(self.state.load(Ordering::Acquire)) {
            return Poll::Ready(end);
        }
        let mut wakers = self.wakers.lock();
        // Ended between the look and the lock: `end` may have passed here already.
        if let Some(end) = result(self.state.load(Ordering::Acquire)) {
            return Poll::Ready(end);
        }
        match slot.and_then(|at| wakers.get_mut(at)) {
            Some(mine) => match mine {
                Some(old) => old.clone_from(waker),
                None => *mine = Some(waker.clone()),
            },
            None => {
                *slot = Some(wakers.len());
                wakers.push(Some(waker.clone()));
            }
        }
        Poll::Pending
    }

    fn end(&self, state: u8) {
        if self.state.compare_exchange(PENDING, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            let wakers = std::mem::take(&mut *self.wakers.lock());
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn code(error: LogError) -> u8 {
    match error {
        LogError::Full => 2,
        LogError::Io => 3,
        LogError::Deadline => 4,
        LogError::Overloaded => 5,
        LogError::TooLarge => 6,
        LogError::Closed => 7,
    }
}

fn result(code: u8) -> Option<Result<(), LogError>> {
    match code {
        PENDING => None,
        DONE => Some(Ok(())),
        2 => Some(Err(LogError::Full)),
        3 => Some(Err(LogError::Io)),
        4 => Some(Err(LogError::Deadline)),
        5 => Some(Err(LogError::Overloaded)),
        6 => Some(Err(LogError::TooLarge)),
        _ => Some(Err(LogError::Closed)),
    }
}

const PENDING: u8 = 0;
const DONE: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_once_and_wakes_all_who_wait() {
        let batch = Arc::new(Batch::new(Duration::ZERO));
        batch.number(40);
        let waits: Vec<_> = [Durability::Written, Durability::Synced, Durability::Written]
            .into_iter()
            .zip(0..)
            .map(|(durability, ordinal)| {
                let append = Append::waiting(Arc::clone(&batch), ordinal, durability);
                std::thread::spawn(move || append.wait())
            })
            .collect();
        batch.finish_written();
        batch.give_up(LogError::Deadline);
        batch.finish_synced();
        let ends: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert_eq!(
            ends,
            [Ok(Receipt { sequence: 40 }), Err(LogError::Deadline), Ok(Receipt { sequence: 42 })]
        );
    }

    #[test]
    fn polling_again_keeps_one_waker() {
        let batch = Arc::new(Batch::new(Duration::ZERO));
        let mut append = Append::waiting(Arc::clone(&batch), 0, Durability::Written);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(Pin::new(&mut append).poll(&mut context).is_pending());
        }
        assert_eq!(batch.written.wakers.lock().len(), 1);
    }
}
