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
//!
//! Where others may turn things off as well, all of this is good for a time only, which is extended
//! as long as we hear of changes. What is under way is not ended when the time is over, but nothing
//! of it is written or released until it has been extended again.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::Clock;
use domain::ports::Answer;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::authorize::Grounds;
use crate::wire::Hold;

/// All flights of this process.
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
    written: Notify,
    waiting: AtomicUsize,
    clock: Arc<dyn Clock>,
    /// Until when they may go on, in milliseconds of the clock's.
    good_until: AtomicU64,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Option<Arc<State>>>,
    free: Vec<usize>,
}

struct State {
    grounds: Grounds,
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
    /// None, good for ever until something else is said.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: Default::default(),
            next: AtomicUsize::new(0),
            written: Notify::new(),
            waiting: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            clock,
            good_until: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, grounds: Grounds) -> Flight {
        let state = Arc::new(State {
            grounds,
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

    /// From now on they may go on until then.
    pub(crate) fn renew(&self, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.good_until.store(until, Ordering::SeqCst);
    }

    /// Whether anything may be written or released now.
    pub(crate) fn are_good(&self) -> bool {
        let until = self.good_until.load(Ordering::SeqCst);
        until == u64::MAX || self.clock.elapsed() < Duration::from_millis(until)
    }

    /// Ends what is not to go on; gives that, and what else has been ended and may still be written.
    fn end(&self, may_go_on: impl Fn(&Grounds) -> bool) -> (usize, Vec<Arc<State>>) {
        let (mut count, mut left) = (0, Vec::new());
        for shard in &self.shards {
            // Deciding takes longer than others should wait.
            let all: Vec<_> = shard.lock().slots.iter().flatten().map(Arc::clone).collect();
            for state in all {
                if !may_go_on(&state.grounds) {
                    state.ended.store(true, Ordering::SeqCst);
                    state.waker.wake();
                    count += 1;
                }
                if state.ended.load(Ordering::SeqCst) {
                    left.push(state);
                }
            }
        }
        (count, left)
    }

    /// Ends what is not to go on, before it returns. Resolves, with how many were ended, when nothing
    /// that has ever been ended can reach an upstream any more.
    pub(crate) fn stop(
        self: &Arc<Self>,
        may_go_on: impl Fn(&Grounds) -> bool,
    ) -> Answer<'static, usize> {
        let awaited = Awaited::by(self);
        let (count, left) = self.end(may_go_on);
        Box::pin(awaited.until_written(count, left))
    }
}

/// Somebody waits until something has been written.
struct Awaited(Arc<Flights>);

impl Awaited {
    fn by(flights: &Arc<Flights>) -> Self {
        flights.waiting.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(flights))
    }

    async fn until_written(self, count: usize, mut left: Vec<Arc<State>>) -> usize {
        loop {
            let written = self.0.written.notified();
            left.retain(|it| 0 < it.writing.load(Ordering::SeqCst));
            if left.is_empty() {
                return count;
            }
            written.await;
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Flight {
    /// What it rests on.
    pub(crate) fn grounds(&self) -> &Grounds {
        &self.state.grounds
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state.ended.load(Ordering::SeqCst)
    }

    /// Whether anything of what is under way may be written or released now.
    pub(crate) fn is_good(&self) -> bool {
        self.flights.are_good()
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

impl Hold for Flight {
    fn is_open(&self) -> bool {
        !self.is_ended() && self.flights.are_good()
    }
}

impl Hold for Writing {
    fn is_open(&self) -> bool {
        self.0.is_open()
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
    use domain::AppId;
    use futures::FutureExt;
    use uuid::Uuid;

    use super::testing::{HandClock, flights, grounds};
    use super::*;

    #[tokio::test]
    async fn a_stop_ends_what_depends_on_the_target_and_waits_until_it_has_been_written() {
        let flights = flights();
        let hit = Arc::new(flights.enter(grounds(1)));
        let other = Arc::new(flights.enter(grounds(2)));
        let (one, two, others) = (hit.write(), hit.write(), other.write());
        let mut stop = Box::pin(flights.stop(|it| !is_of(1, it)));
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
        let flights = flights();
        let flight = Arc::new(flights.enter(grounds(1)));
        let queued = flight.write();
        drop(flight);
        let mut stop = Box::pin(flights.stop(|it| !is_of(1, it)));
        assert_eq!(stop.as_mut().now_or_never(), None);
        assert!(!queued.is_open());
        drop(queued);
        assert_eq!(stop.await, 1);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn an_answer_on_its_way_back_delays_no_stop() {
        let flights = flights();
        let flight = Arc::new(flights.enter(grounds(1)));
        drop(flight.write());
        assert_eq!(flights.stop(|it| !is_of(1, it)).now_or_never(), Some(1));
        assert!(flight.is_ended());
    }

    #[tokio::test]
    async fn nothing_goes_on_for_longer_than_it_is_good() {
        let clock = Arc::<HandClock>::default();
        let flights = Arc::new(Flights::new(Arc::<HandClock>::clone(&clock)));
        let flight = Arc::new(flights.enter(grounds(1)));
        assert!(flight.write().is_open());
        flights.renew(Duration::from_secs(1));
        clock.0.store(999, Ordering::SeqCst);
        assert!(flight.write().is_open());
        clock.0.store(1_000, Ordering::SeqCst);
        assert!(!flight.write().is_open());
        assert!(!flight.is_ended(), "it may go on later");
        flights.renew(Duration::from_secs(2));
        assert!(flight.write().is_open());
    }

    #[tokio::test]
    async fn what_is_to_end_has_ended_before_anybody_waits_and_is_waited_for_by_the_next_as_well() {
        let flights = flights();
        let hit = Arc::new(flights.enter(grounds(1)));
        let written = hit.write();
        drop(flights.stop(|it| !is_of(1, it)));
        assert!(hit.is_ended());
        let mut next = Box::pin(flights.stop(|_| true));
        assert_eq!(next.as_mut().now_or_never(), None, "the first one's message is on its way");
        drop(written);
        assert_eq!(next.await, 0);
    }

    fn is_of(app: u128, grounds: &Grounds) -> bool {
        grounds.subject.app == AppId(Uuid::from_u128(app))
    }
}

/// Flights without anybody who flies.
#[cfg(test)]
pub(crate) mod testing {
    use domain::{AppId, ConnectionId, GatewayId, ServerId, Subject, UserId};
    use uuid::Uuid;

    use super::*;

    pub(crate) fn flights() -> Arc<Flights> {
        Arc::new(Flights::new(Arc::<HandClock>::default()))
    }

    pub(crate) fn grounds(app: u128) -> Grounds {
        Grounds::of(Subject {
            app: AppId(Uuid::from_u128(app)),
            token: None,
            user: UserId(Uuid::from_u128(10)),
            gateway: GatewayId(Uuid::from_u128(11)),
            connection: ConnectionId(Uuid::from_u128(12)),
            server: Some(ServerId(Uuid::from_u128(13))),
            assignment: None,
            identity: None,
            tool: None,
        })
    }

    /// Milliseconds, moved by hand.
    #[derive(Default)]
    pub(crate) struct HandClock(pub(crate) AtomicU64);

    impl Clock for HandClock {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }

        fn id(&self) -> Uuid {
            Uuid::nil()
        }
    }
}
