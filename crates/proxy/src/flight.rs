//! Everything under way, so that a cut-off can end it and know when it has ended.
//!
//! A call enters here *before* it passes the last gate, and a cut-off publishes its switches
//! *before* it looks here. So a call either sees the switch at the gate, or is seen here and ended.
//! A flight lands when its request has been answered, or is dropped together with its connection,
//! hence a cut-off that has waited for the flights it ended knows that nothing more of them can
//! leave. What remains of an ended flight is an answer on its way back, and that is held back by
//! whoever releases it: a client that reads slowly cannot delay a cut-off.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use domain::ports::{Answer, Traffic};
use domain::{Subject, Target};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// All flights of this process.
#[derive(Default)]
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
    landed: Notify,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Option<Arc<State>>>,
    free: Vec<usize>,
}

struct State {
    subject: Subject,
    ended: AtomicBool,
    /// Nothing more of it can reach an upstream.
    landed: AtomicBool,
    waker: AtomicWaker,
}

/// One call or stream under way. Whoever holds it may act for its subject until it is ended.
pub(crate) struct Flight {
    flights: Arc<Flights>,
    state: Arc<State>,
    shard: usize,
    slot: usize,
}

/// Lets calls on different threads enter without waiting for each other.
const SHARDS: usize = 16;

impl Flights {
    pub(crate) fn enter(self: &Arc<Self>, subject: Subject) -> Flight {
        let state = Arc::new(State {
            subject,
            ended: AtomicBool::new(false),
            landed: AtomicBool::new(false),
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock()).map(|it| it.slots.len() - it.free.len()).sum()
    }

    /// Ends what depends on any target; gives what was ended and has not yet landed.
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

    async fn stop(&self, targets: Vec<Target>) -> usize {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let ended = self.end(&targets);
        let count = ended.len();
        let mut left = ended;
        loop {
            let landed = self.landed.notified();
            left.retain(|it| !it.landed.load(Ordering::SeqCst));
            if left.is_empty() {
                break;
            }
            landed.await;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        count
    }
}

impl Traffic for Flights {
    fn stop(&self, targets: Vec<Target>) -> Answer<'_, usize> {
        Box::pin(self.stop(targets))
    }
}

impl Flight {
    pub(crate) fn is_ended(&self) -> bool {
        self.state.ended.load(Ordering::SeqCst)
    }

    /// Says that the whole request has left and an answer has begun to come.
    pub(crate) fn land(&self) {
        self.state.landed.store(true, Ordering::SeqCst);
        if 0 < self.flights.waiting.load(Ordering::SeqCst) {
            self.flights.landed.notify_waiters();
        }
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
        drop(shard);
        self.land();
    }
}

#[cfg(test)]
mod tests {
    use domain::{AppId, ConnectionId, GatewayId, ServerId, UserId};
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_stop_ends_what_depends_on_the_target_and_waits_until_it_has_landed() {
        let flights = Arc::<Flights>::default();
        let (hit, other) = (flights.enter(subject(1)), flights.enter(subject(2)));
        let mut stop = Box::pin(flights.stop(vec![Target::App(AppId(Uuid::from_u128(1)))]));
        assert_eq!(stop.as_mut().now_or_never(), None, "one flight is still in the air");
        assert!(hit.is_ended() && !other.is_ended());
        assert_eq!(hit.ended().now_or_never(), Some(()));
        assert_eq!(other.ended().now_or_never(), None);
        drop(hit);
        assert_eq!(stop.await, 1);
        assert_eq!(flights.len(), 1);
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
