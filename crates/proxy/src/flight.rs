//! Everything under way, so that a cut-off can end it and know when it has ended.
//!
//! A call enters here *before* it passes the last gate, and a cut-off publishes its switches
//! *before* it looks here. So a call either sees the switch at the gate, or is seen here and ended.
//!
//! Each message of a flight that may reach an upstream is a [`Writing`], from before its gate until
//! it has been written to its last byte or never will be. A cut-off waits for those of the flights
//! that it has ended, and for nothing else, hence what remains of them is an answer on its way
//! back. That is held back by whoever releases it: a client that reads slowly cannot delay a
//! cut-off.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use domain::{Subject, Target};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::wire::Hold;

/// All flights of this process.
#[derive(Default)]
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
    written: Notify,
    waiting: AtomicUsize,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Option<Arc<State>>>,
    free: Vec<usize>,
}

struct State {
    subject: Subject,
    ended: AtomicBool,
    /// How many messages of it may yet reach an upstream.
    writing: AtomicUsize,
    waker: AtomicWaker,
}

/// One call or stream under way. Whoever holds it may act for its subject until it is ended.
pub(crate) struct Flight {
    flights: Arc<Flights>,
    state: Arc<State>,
    shard: usize,
    slot: usize,
}

/// A message on its way to an upstream. Whoever begins one must then pass the gate, so that a
/// cut-off which did not see it has been seen by it.
pub(crate) struct Writing(Arc<Flight>);

/// Lets calls on different threads enter without waiting for each other.
const SHARDS: usize = 16;

impl Flights {
    pub(crate) fn enter(self: &Arc<Self>, subject: Subject) -> Flight {
        let state = Arc::new(State {
            subject,
            ended: AtomicBool::new(false),
            writing: AtomicUsize::new(0),
            waker: AtomicWaker::new(),
        });
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut open = self.shards[shard].lock();
        let slot = match open.free.pop() {
            Some(slot) => {
                open.slots[slot] = Some(Arc::clone(&state));
                slot
            }
            None => {
                open.slots.push(Some(Arc::clone(&state)));
                open.slots.len() - 1
            }
        };
        drop(open);
        Flight { flights: Arc::clone(self), state, shard, slot }
    }

    /// Ends all of them, since this process is about to end.
    pub(crate) fn end_all(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            for state in shard.lock().slots.iter().flatten() {
                state.ended.store(true, Ordering::SeqCst);
                state.waker.wake();
            }
        }
    }

    /// Whether what has ended has ended with this process.
    pub(crate) fn are_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock()).map(|it| it.slots.len() - it.free.len()).sum()
    }

    /// Ends what depends on any target; gives what was ended.
    fn end(&self, targets: &[Target]) -> Vec<Arc<State>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let hit = |it: &&Arc<State>| targets.iter().any(|t| it.subject.depends_on(t));
            found.extend(shard.slots.iter().flatten().filter(hit).map(Arc::clone));
        }
        for state in &found {
            state.ended.store(true, Ordering::SeqCst);
            state.waker.wake();
        }
        found
    }

    /// Ends what depends on any target. Resolves, with how many were ended, when nothing of them
    /// can reach an upstream any more.
    pub(crate) async fn stop(&self, targets: Vec<Target>) -> usize {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let ended = self.end(&targets);
        let count = ended.len();
        let mut left = ended;
        loop {
            let written = self.written.notified();
            left.retain(|it| 0 < it.writing.load(Ordering::SeqCst));
            if left.is_empty() {
                break;
            }
            written.await;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        count
    }
}

impl Flight {
    pub(crate) fn is_ended(&self) -> bool {
        self.state.ended.load(Ordering::SeqCst)
    }

    /// Begins a message to an upstream.
    pub(crate) fn write(self: &Arc<Self>) -> Writing {
        self.state.writing.fetch_add(1, Ordering::SeqCst);
        Writing(Arc::clone(self))
    }

    /// Resolves when a cut-off ends this flight. One task at a time may wait.
    pub(crate) async fn ended(&self) {
        poll_fn(|context| self.poll_ended(context)).await;
    }

    /// What `doing` gives; nothing where a cut-off ends this flight first. Then `doing` has been
    /// dropped, and its connections with it.
    pub(crate) async fn unless_ended<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended() => None,
            done = doing => Some(done),
        }
    }

    fn poll_ended(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_ended() {
            return Poll::Ready(());
        }
        self.state.waker.register(context.waker());
        // Once more: it may have been ended between the look and the registration.
        if self.is_ended() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut shard = self.flights.shards[self.shard].lock();
        shard.slots[self.slot] = None;
        shard.free.push(self.slot);
    }
}

impl Hold for Writing {
    fn is_open(&self) -> bool {
        !self.0.is_ended()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let flights = &self.0.flights;
        let was = self.0.state.writing.fetch_sub(1, Ordering::SeqCst);
        if was == 1 && 0 < flights.waiting.load(Ordering::SeqCst) {
            flights.written.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{AppId, ConnectionId, GatewayId, ServerId, UserId};
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_stop_ends_what_depends_on_the_target_and_waits_until_it_has_been_written() {
        let flights = Arc::<Flights>::default();
        let hit = Arc::new(flights.enter(subject(1)));
        let other = Arc::new(flights.enter(subject(2)));
        let (one, two, others) = (hit.write(), hit.write(), other.write());
        let mut stop = Box::pin(flights.stop(vec![target(1)]));
        assert_eq!(stop.as_mut().now_or_never(), None, "two messages are on their way");
        assert!(hit.is_ended() && !other.is_ended());
        assert!(!one.is_open() && others.is_open());
        assert_eq!(hit.ended().now_or_never(), Some(()));
        assert_eq!(other.ended().now_or_never(), None);
        drop(one);
        assert_eq!(stop.as_mut().now_or_never(), None, "one is");
        drop(two);
        assert_eq!(stop.await, 1);
    }

    #[tokio::test]
    async fn a_message_that_outlives_its_call_is_waited_for() {
        let flights = Arc::<Flights>::default();
        let flight = Arc::new(flights.enter(subject(1)));
        let queued = flight.write();
        drop(flight);
        let mut stop = Box::pin(flights.stop(vec![target(1)]));
        assert_eq!(stop.as_mut().now_or_never(), None);
        assert!(!queued.is_open());
        drop(queued);
        assert_eq!(stop.await, 1);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn an_answer_on_its_way_back_delays_no_stop() {
        let flights = Arc::<Flights>::default();
        let flight = Arc::new(flights.enter(subject(1)));
        drop(flight.write());
        assert_eq!(flights.stop(vec![target(1)]).now_or_never(), Some(1));
        assert!(flight.is_ended());
    }

    fn target(app: u128) -> Target {
        Target::App(AppId(Uuid::from_u128(app)))
    }

    fn subject(app: u128) -> Subject {
        Subject {
            app: AppId(Uuid::from_u128(app)),
            token: None,
            user: UserId(Uuid::from_u128(10)),
            gateway: GatewayId(Uuid::from_u128(11)),
            connection: ConnectionId(Uuid::from_u128(12)),
            server: Some(ServerId(Uuid::from_u128(13))),
            assignment: None,
            identity: None,
            tool: None,
        }
    }
}
