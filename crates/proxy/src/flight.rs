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
//! of it is written or released until it has been extended again, other than at gateways that may do
//! without the database for a while longer.
//!
//! What a change leaves of a flight is mostly seen at a glance. Policies take longer: what they have
//! to decide about is judged after that, one after the other. Until it has been, its time is not
//! extended, while that of all others is.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::ports::{At, Gate};
use domain::{Clock, Config};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::authorize::Grounds;
use crate::wire::Hold;

/// All flights of this process.
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
    written: Notify,
    waiting: AtomicUsize,
    clock: Arc<dyn Clock>,
    gate: Arc<dyn Gate>,
    /// Until when they may go on, in milliseconds of the clock's.
    good_until: AtomicU64,
    is_over: AtomicBool,
    /// How often they have been looked at.
    looks: AtomicU64,
    /// Held by whoever judges.
    judging: Arc<tokio::sync::Mutex<()>>,
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
    /// The last look after which it is to be judged, and the last before which it has been.
    due: AtomicU64,
    judged: AtomicU64,
    /// By what it has been judged.
    by: Mutex<Option<Arc<Config>>>,
    /// Until when it may go on, in milliseconds of the clock's.
    good_until: AtomicU64,
    apart: Apart,
}

/// How a flight stands by what has changed, as far as is seen at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Holds,
    Ends,
    /// It has to be judged.
    Unclear,
}

/// Whether anything of a call has been decided without the database, and how old what was known then
/// was at most.
#[derive(Clone, Default)]
pub(crate) struct Apart(Arc<AtomicU64>);

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

/// For how long something goes on that is to be judged and has not been, at most.
const UNJUDGED: Duration = Duration::from_secs(1);

/// Lets calls on different threads enter without waiting for each other.
const SHARDS: usize = 16;

impl Flights {
    /// None, good for ever until something else is said.
    pub(crate) fn new(clock: Arc<dyn Clock>, gate: Arc<dyn Gate>) -> Self {
        Self {
            shards: Default::default(),
            next: AtomicUsize::new(0),
            written: Notify::new(),
            waiting: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            clock,
            gate,
            good_until: AtomicU64::new(u64::MAX),
            looks: AtomicU64::new(0),
            judging: Arc::default(),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, grounds: Grounds) -> Flight {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut open = self.shards[shard].lock();
        let state = Arc::new(State {
            grounds,
            ended: AtomicBool::new(false),
            writing: AtomicUsize::new(0),
            waker: AtomicWaker::new(),
            due: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            by: Mutex::default(),
            // Read under the lock: whoever extends it either finds this one or has said so before.
            good_until: AtomicU64::new(self.good_until.load(Ordering::SeqCst)),
            apart: Apart::default(),
        });
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
            shard.lock().slots.iter().flatten().for_each(|it| it.end());
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

    /// From now on they may go on until then, but for those that are yet to be judged.
    pub(crate) fn renew(&self, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.good_until.store(until, Ordering::SeqCst);
        for shard in &self.shards {
            let shard = shard.lock();
            let judged = shard.slots.iter().flatten().filter(|it| it.is_judged());
            judged.for_each(|it| it.good_until.store(until, Ordering::SeqCst));
        }
    }

    /// Whether anything may be written or released now, of what is at that gateway.
    pub(crate) fn are_good(&self, at: Option<At<'_>>) -> bool {
        self.is_before(&self.good_until) || at.is_some_and(|it| self.gate.may_go_on(it))
    }

    /// Until when something goes on that is to be judged, in milliseconds of the clock's.
    fn soon(&self) -> u64 {
        u64::try_from((self.clock.elapsed() + UNJUDGED).as_millis()).unwrap_or(u64::MAX)
    }

    fn is_before(&self, until: &AtomicU64) -> bool {
        let until = until.load(Ordering::SeqCst);
        until == u64::MAX || self.clock.elapsed() < Duration::from_millis(until)
    }

    /// Ends what is not to go on, before it returns, as far as that is seen at a glance, for which it
    /// is told by what else it has been judged.
    pub(crate) fn stop(
        self: &Arc<Self>,
        glance: impl Fn(&Grounds, Option<&Arc<Config>>) -> Standing,
    ) -> Stopping {
        let look = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        let awaited = Awaited::by(self);
        let mut stopping =
            Stopping { awaited, look, count: 0, ended: Vec::new(), unclear: Vec::new() };
        for shard in &self.shards {
            // Deciding takes longer than others should wait.
            let all: Vec<_> = shard.lock().slots.iter().flatten().map(Arc::clone).collect();
            for state in all {
                let by = state.by.lock().clone();
                match glance(&state.grounds, by.as_ref()) {
                    Standing::Holds => {}
                    Standing::Ends => {
                        state.end();
                        stopping.count += 1;
                    }
                    Standing::Unclear => {
                        state.due.fetch_max(look, Ordering::SeqCst);
                        state.good_until.fetch_min(self.soon(), Ordering::SeqCst);
                        stopping.unclear.push(state);
                        continue;
                    }
                }
                if state.ended.load(Ordering::SeqCst) {
                    stopping.ended.push(state);
                }
            }
        }
        stopping
    }
}

/// What comes of a look at all that is under way.
pub(crate) struct Stopping {
    awaited: Awaited,
    look: u64,
    /// How many have been ended by it.
    count: usize,
    /// What has ever been ended and may still be written.
    ended: Vec<Arc<State>>,
    unclear: Vec<Arc<State>>,
}

impl Stopping {
    /// Whether nothing has to be judged.
    pub(crate) fn is_clear(&self) -> bool {
        self.unclear.is_empty()
    }

    /// Waits for whoever judges now: what they decide need not be decided again.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.awaited.0.judging).lock_owned().await
    }

    /// Judges what was unclear, by what holds at the beginning; `holding` says by which configuration
    /// something holds, if it does. Takes as long as that takes.
    pub(crate) fn judge<F: Fn(&Grounds) -> Option<Arc<Config>>>(
        &mut self,
        holding: impl FnOnce() -> F,
    ) {
        let flights = &self.awaited.0;
        // Before what holds is looked up: every change of which one of these looks has come is in it.
        let look = flights.looks.load(Ordering::SeqCst);
        let holding = holding();
        for state in self.unclear.drain(..) {
            let is_new = state.judged.load(Ordering::SeqCst) < self.look;
            if is_new && !state.ended.load(Ordering::SeqCst) {
                match holding(&state.grounds) {
                    Some(by) => {
                        *state.by.lock() = Some(by);
                        state.judged.fetch_max(look, Ordering::SeqCst);
                        if state.is_judged() {
                            let until = flights.good_until.load(Ordering::SeqCst);
                            state.good_until.store(until, Ordering::SeqCst);
                            // A look may just have come in between.
                            if !state.is_judged() {
                                state.good_until.fetch_min(flights.soon(), Ordering::SeqCst);
                            }
                        }
                    }
                    None => {
                        state.end();
                        self.count += 1;
                    }
                }
            }
            if state.ended.load(Ordering::SeqCst) {
                self.ended.push(state);
            }
        }
    }

    /// Resolves, with how many were ended, when nothing that has ever been ended can reach an upstream
    /// any more.
    pub(crate) async fn until_written(self) -> usize {
        self.awaited.until_written(self.count, self.ended).await
    }
}

impl State {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Whether there has been no look since after which it is to be.
    fn is_judged(&self) -> bool {
        self.due.load(Ordering::SeqCst) <= self.judged.load(Ordering::SeqCst)
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

    /// Whether anything of it may be written or released now.
    pub(crate) fn is_good(&self) -> bool {
        let State { grounds, good_until, .. } = &*self.state;
        self.flights.is_before(good_until)
            || self.state.is_judged() && self.flights.gate.may_go_on(grounds.at())
    }

    /// Whether it has been decided without the database.
    pub(crate) fn apart(&self) -> &Apart {
        &self.state.apart
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

impl Apart {
    /// It has, by what was that old.
    pub(crate) fn note(&self, age: Duration) {
        self.0.fetch_max(millis(age).max(1), Ordering::Relaxed);
    }

    /// In milliseconds.
    pub(crate) fn age(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|it| *it != 0)
    }
}

/// As records say it.
pub(crate) fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

impl Hold for Flight {
    fn is_open(&self) -> bool {
        !self.is_ended() && self.is_good()
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

    use super::testing::{HandClock, Shut, flights, grounds};
    use super::*;

    #[tokio::test]
    async fn a_stop_ends_what_depends_on_the_target_and_waits_until_it_has_been_written() {
        let flights = flights();
        let hit = Arc::new(flights.enter(grounds(1)));
        let other = Arc::new(flights.enter(grounds(2)));
        let (one, two, others) = (hit.write(), hit.write(), other.write());
        let mut stop = Box::pin(flights.stop(all_of(1)).until_written());
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
        let mut stop = Box::pin(flights.stop(all_of(1)).until_written());
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
        assert_eq!(flights.stop(all_of(1)).until_written().now_or_never(), Some(1));
        assert!(flight.is_ended());
    }

    #[tokio::test]
    async fn nothing_goes_on_for_longer_than_it_is_good() {
        let clock = Arc::<HandClock>::default();
        let flights = Arc::new(Flights::new(Arc::<HandClock>::clone(&clock), Arc::new(Shut)));
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
        drop(flights.stop(all_of(1)));
        assert!(hit.is_ended());
        let mut next = Box::pin(flights.stop(|_, _| Standing::Holds).until_written());
        assert_eq!(next.as_mut().now_or_never(), None, "the first one's message is on its way");
        drop(written);
        assert_eq!(next.await, 0);
    }

    #[tokio::test]
    async fn who_has_to_be_judged_holds_up_nobody_else_and_may_not_go_on_meanwhile() {
        let clock = Arc::<HandClock>::default();
        let flights = Arc::new(Flights::new(Arc::<HandClock>::clone(&clock), Arc::new(Shut)));
        flights.renew(Duration::from_secs(1));
        let [ends, stays, other] = [1, 2, 3].map(|it| Arc::new(flights.enter(grounds(it))));
        let unclear = |it: &Grounds, _: Option<&Arc<Config>>| match is_of(3, it) || is_of(4, it) {
            true => Standing::Holds,
            false => Standing::Unclear,
        };
        let mut stopping = flights.stop(unclear);
        assert!(!stopping.is_clear());
        clock.0.store(1_500, Ordering::SeqCst);
        flights.renew(Duration::from_secs(2));
        let newcomer = Arc::new(flights.enter(grounds(4)));
        assert!(other.is_good() && newcomer.is_good());
        assert!(!ends.is_good() && !stays.is_good(), "nobody has decided about them");
        // Another change comes before the first has been decided about.
        let mut next = flights.stop(unclear);
        let holding = |it: &Grounds| (!is_of(1, it)).then(|| Arc::clone(&it.place.config));
        stopping.judge(|| holding);
        assert!(ends.is_ended());
        assert!(stays.is_good() && !stays.is_ended(), "by what holds now it has been judged");
        assert_eq!(stopping.until_written().await, 1);
        next.judge(|| |_: &Grounds| unreachable!("all have been judged since"));
        assert_eq!(next.until_written().await, 0);
        let third =
            flights.stop(|_, by| if by.is_some() { Standing::Holds } else { Standing::Ends });
        assert_eq!(third.until_written().await, 3, "the others were never judged");
        assert!(!stays.is_ended());
    }

    #[tokio::test]
    async fn what_was_judged_before_a_change_is_judged_again_after_it() {
        let clock = Arc::<HandClock>::default();
        let flights = Arc::new(Flights::new(Arc::<HandClock>::clone(&clock), Arc::new(Shut)));
        flights.renew(Duration::from_secs(1));
        let flight = Arc::new(flights.enter(grounds(1)));
        let unclear = |_: &Grounds, _: Option<&Arc<Config>>| Standing::Unclear;
        let mut first = flights.stop(unclear);
        let mut second = None;
        first.judge(|| {
            // What holds has been looked up; now something else does.
            second = Some(flights.stop(unclear));
            |it: &Grounds| Some(Arc::clone(&it.place.config))
        });
        clock.0.store(1_500, Ordering::SeqCst);
        flights.renew(Duration::from_secs(2));
        assert!(!flight.is_good());
        second.unwrap().judge(|| |_: &Grounds| None);
        assert!(flight.is_ended());
    }

    fn all_of(app: u128) -> impl Fn(&Grounds, Option<&Arc<Config>>) -> Standing {
        move |it, _| if is_of(app, it) { Standing::Ends } else { Standing::Holds }
    }

    fn is_of(app: u128, grounds: &Grounds) -> bool {
        grounds.subject.app == AppId(Uuid::from_u128(app))
    }
}

/// Flights without anybody who flies.
#[cfg(test)]
pub(crate) mod testing {
    use domain::ports::{Answer, GateClosed};
    use domain::{AppId, ConnectionId, GatewayId, ServerId, Snapshot, Subject, UserId};
    use uuid::Uuid;

    use super::*;

    pub(crate) fn flights() -> Arc<Flights> {
        Arc::new(Flights::new(Arc::<HandClock>::default(), Arc::new(Shut)))
    }

    /// Lets nothing through.
    pub(crate) struct Shut;

    impl Gate for Shut {
        fn latest(&self) -> Arc<Snapshot> {
            Arc::new(Snapshot::empty())
        }

        fn current(&self) -> Answer<'_, Result<Arc<Snapshot>, GateClosed>> {
            Box::pin(std::future::ready(Err(GateClosed)))
        }

        fn replaced<'a>(&'a self, _: &'a Arc<Snapshot>) -> Answer<'a, ()> {
            Box::pin(std::future::pending())
        }
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
