//! The gate: zero-stale without a cache.
//!
//! Where this process is the only writer, the published snapshot is the truth and the answer is
//! immediate. Elsewhere each question joins the next read of the epoch: one read is in flight at
//! most, and it answers all who asked before it began. A moved epoch means the snapshot is loaded
//! before anyone is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use db::{Db, DbError, Epochs};
use domain::ports::{Answer, At, Gate, GateClosed, Standing};
use domain::{Clock, Snapshot};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

use super::{LoadError, Publisher};
use crate::replicas::{Membership, Replica};

/// The gate of this replica.
pub(crate) struct StoreGate {
    publisher: Arc<Publisher>,
    db: Db,
    clock: Arc<dyn Clock>,
    membership: Arc<Membership>,
    replica: Arc<Replica>,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

/// A reply that took longer says how things were, not how they are.
pub(crate) const FRESH: Duration = Duration::from_millis(50);

/// A question waits for the read under way and then for its own: two of these at most.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// A load that takes longer than this is given up and begun again.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// A read that takes longer may be one that is never answered: gateways that may do without the
/// database then do.
const OVERDUE: Duration = Duration::from_millis(250);

/// For how long an answer that went stale on its way is asked for again: on a machine that has no time
/// for us, several may.
const PATIENCE: Duration = Duration::from_secs(3);

type Question = oneshot::Sender<Result<Proved, GateClosed>>;

#[derive(Default)]
struct Waiting {
    asked: Vec<Question>,
    is_closed: bool,
}

/// What the database said, and when the question was put.
struct Read {
    epochs: Epochs,
    started: Duration,
}

/// A snapshot that was current at some moment after `as_of`.
#[derive(Clone)]
pub(crate) struct Proved {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) as_of: Duration,
}

impl StoreGate {
    pub(crate) fn new(
        (publisher, db): (Arc<Publisher>, Db),
        clock: Arc<dyn Clock>,
        (replica, membership): (Arc<Replica>, Arc<Membership>),
    ) -> Self {
        let (waiting, wake) = (Mutex::default(), Notify::new());
        Self { publisher, db, clock, membership, replica, waiting, wake }
    }

    /// The snapshot, proved current by a read that began after this was called.
    pub(crate) async fn prove(&self) -> Result<Proved, GateClosed> {
        let begun = self.clock.elapsed();
        while self.clock.elapsed().saturating_sub(begun) <= PATIENCE {
            let told = self.ask().ok_or(GateClosed)?;
            let proved = told.await.unwrap_or(Err(GateClosed))?;
            // The answer may have lain for a while until this task was run again.
            if self.is_fresh(proved.as_of) {
                return Ok(proved);
            }
        }
        Err(GateClosed)
    }

    /// Answers questions until `stop`, then refuses them.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
            }
            let asked = self.asked();
            if !asked.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = self.answer(asked) => {}
                }
            }
        }
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        waiting.asked.clear();
    }

    /// Loads what is in the database now, whatever has been published.
    pub(crate) async fn load(&self) -> Result<(), LoadError> {
        let doubts = self.publisher.doubts();
        let mut tx = self.db.read().await?;
        let published = self.publisher.prepare(&mut tx).await?;
        // Ending a transaction that only read cannot change what it has read.
        drop(tx.rollback().await);
        self.publisher.publish(published);
        self.publisher.settle(doubts);
        Ok(())
    }

    /// Nobody is answered but on the word of a fresh read, however long a load has taken.
    async fn answer(&self, mut asked: Vec<Question>) {
        loop {
            let newest = self.publisher.newest();
            let autonomy = &self.replica.autonomy;
            let read = match self.read().await {
                Ok(read) => read,
                Err(why) => {
                    autonomy.lose();
                    return refuse(asked, &why);
                }
            };
            let is_behind = read.epochs.epoch < newest.epochs.epoch;
            self.note(is_behind, (&read.epochs, &newest.epochs));
            if is_behind {
                // A fail-over to a copy that was behind (H174).
                return refuse(asked, "the database is behind what has been seen of it");
            }
            let newest = self.publisher.newest();
            // A later one is a change of this replica's that was committed meanwhile. The number alone
            // says nothing: a copy that has lost changes counts it again.
            let is_current =
                read.epochs == newest.epochs || read.epochs.epoch < newest.epochs.epoch;
            if is_current {
                autonomy.prove(read.started);
            } else {
                autonomy.doubt();
            }
            if is_current && !self.publisher.is_in_doubt() {
                let answer = Proved { snapshot: Arc::clone(&newest.snapshot), as_of: read.started };
                return tell(asked, &Ok(answer));
            }
            match self.load_while_asked(&mut asked).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return refuse(asked, &error),
                Err(_) => return refuse(asked, "the configuration could not be loaded in time"),
            }
        }
    }

    /// Says it where the database has lost changes, and forgets what others have been told of them.
    fn note(&self, is_behind: bool, (read, newest): (&Epochs, &Epochs)) {
        let is_other = read.epoch == newest.epoch && read.stamp != newest.stamp;
        let is_news = self.replica.figures.set_behind(is_behind) && is_behind;
        // Before the first load nothing has been seen.
        if is_news || is_other && newest.epoch != 0 {
            let (epoch, seen) = (read.epoch, newest.epoch);
            tracing::error!(epoch, seen, "The database has lost changes; has a copy taken over?");
        }
        if is_behind || is_other {
            self.replica.forget_settled();
            // This is another trouble than not being there.
            self.replica.autonomy.forfeit(self.clock.elapsed());
        }
    }

    /// Loads, and meanwhile refuses those who have waited long enough.
    async fn load_while_asked(
        &self,
        asked: &mut Vec<Question>,
    ) -> Result<Result<(), LoadError>, Elapsed> {
        let mut loading = std::pin::pin!(tokio::time::timeout(LOAD_LIMIT, self.load()));
        loop {
            tokio::select! {
                loaded = &mut loading => return loaded,
                () = tokio::time::sleep(READ_LIMIT) => {
                    let late = std::mem::replace(asked, self.asked());
                    refuse(late, "the configuration is still loading");
                }
            }
        }
    }

    /// What the database says, and when it was asked. Where that takes long, those who need not wait
    /// hear of it.
    async fn read(&self) -> Result<Read, Unread> {
        let mut reading = std::pin::pin!(tokio::time::timeout(READ_LIMIT, self.fresh_read()));
        let read = tokio::select! {
            biased;
            read = &mut reading => read,
            () = tokio::time::sleep(OVERDUE) => {
                self.replica.autonomy.lose();
                reading.await
            }
        };
        Ok(read.map_err(|_| Unread::Late)??)
    }

    async fn fresh_read(&self) -> Result<Read, DbError> {
        loop {
            let started = self.clock.elapsed();
            let epochs = self.db.epoch().await?;
            if self.is_fresh(started) {
                return Ok(Read { epochs, started });
            }
        }
    }

    /// Whether calls are decided at all: by the database or, at some gateways, without it.
    pub(crate) async fn is_open(&self) -> Result<(), GateClosed> {
        let (autonomy, now) = (&self.replica.autonomy, self.clock.elapsed());
        let widest = self.latest().config.widest_autonomy();
        if autonomy.age(now).is_some() && autonomy.holds(widest, now) {
            return Ok(());
        }
        self.current().await.map(drop)
    }

    /// By what is in memory, where that has to do and may.
    fn by_memory(&self, at: At<'_>) -> Option<Standing> {
        // Before the snapshot: it is at least as new.
        let unproved = self.apart(at)?;
        Some(Standing { snapshot: self.latest(), unproved: Some(unproved) })
    }

    async fn strict(&self) -> Result<Arc<Snapshot>, GateClosed> {
        let proved = self.prove().await?;
        // Nobody waits for a replica that has not been seen for a while.
        if self.is_counted() { Ok(proved.snapshot) } else { Err(GateClosed) }
    }

    async fn stand(&self, at: At<'_>) -> Result<Standing, GateClosed> {
        if at.gateway.autonomy.is_zero() || self.db.is_exclusive() {
            return Ok(Standing { snapshot: self.strict().await?, unproved: None });
        }
        if let Some(standing) = self.by_memory(at) {
            return Ok(standing);
        }
        let proved = tokio::select! {
            biased;
            proved = self.prove() => proved,
            () = self.away(at) => Err(GateClosed),
        };
        match proved {
            // Nobody waits for a replica that has not been seen for a while, but for its windows.
            Ok(proved) if self.is_counted() || self.may_go_on(at) => {
                Ok(Standing { snapshot: proved.snapshot, unproved: None })
            }
            _ => self.by_memory(at).ok_or(GateClosed),
        }
    }

    fn is_counted(&self) -> bool {
        self.membership.holds(self.clock.elapsed())
    }

    fn is_fresh(&self, as_of: Duration) -> bool {
        self.clock.elapsed().saturating_sub(as_of) <= FRESH
    }

    fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut self.waiting.lock().asked)
    }

    fn ask(&self) -> Option<oneshot::Receiver<Result<Proved, GateClosed>>> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return None;
        }
        waiting.asked.push(tell);
        drop(waiting);
        self.wake.notify_one();
        Some(told)
    }
}

/// Why the database has not said how things are.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the epoch could not be read in time")]
    Late,
}

fn refuse(asked: Vec<Question>, why: &(impl fmt::Display + ?Sized)) {
    tracing::warn!(error = %why, calls = asked.len(), "Refused calls at the gate");
    tell(asked, &Err(GateClosed));
}

/// Those who no longer listen have gone of their own accord.
fn tell(asked: Vec<Question>, answer: &Result<Proved, GateClosed>) {
    for it in asked {
        drop(it.send(answer.clone()));
    }
}

impl Gate for StoreGate {
    fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.publisher.newest.load().snapshot)
    }

    fn current(&self) -> Answer<'_, Result<Arc<Snapshot>, GateClosed>> {
        if self.db.is_exclusive() && !self.publisher.is_in_doubt() {
            return Box::pin(std::future::ready(Ok(self.latest())));
        }
        Box::pin(self.strict())
    }

    fn current_at<'a>(&'a self, at: At<'a>) -> Answer<'a, Result<Standing, GateClosed>> {
        if self.db.is_exclusive() && !self.publisher.is_in_doubt() {
            let standing = Standing { snapshot: self.latest(), unproved: None };
            return Box::pin(std::future::ready(Ok(standing)));
        }
        Box::pin(self.stand(at))
    }

    fn may_go_on(&self, at: At<'_>) -> bool {
        if self.db.is_exclusive() {
            return false;
        }
        // By what holds now, which may be less than when it began.
        let window = at.autonomy_in(&self.publisher.newest.load().snapshot.config);
        let (autonomy, elapsed) = (&self.replica.autonomy, self.clock.elapsed());
        autonomy.holds(window, elapsed) && autonomy.has_clocks(self.clock.now(), elapsed)
    }

    fn apart(&self, at: At<'_>) -> Option<Duration> {
        let age = self.replica.autonomy.age(self.clock.elapsed())?;
        self.may_go_on(at).then_some(age)
    }

    fn away<'a>(&'a self, at: At<'a>) -> Answer<'a, ()> {
        Box::pin(async move {
            loop {
                // Before the look, so that it does not come unnoticed in between.
                let away = self.replica.autonomy.goes_away();
                if self.apart(at).is_some() {
                    return;
                }
                away.await;
            }
        })
    }

    fn replaced<'a>(&'a self, known: &'a Arc<Snapshot>) -> Answer<'a, ()> {
        Box::pin(self.publisher.changed(known))
    }
}
