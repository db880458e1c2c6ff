//! The processes that serve this installation together.
//!
//! On PostgreSQL there may be several, identical ones. Each has a row from its start to its end,
//! which it writes anew every second; who has not done so for five is not live. A change commits,
//! ends here what it no longer allows, and then waits for the others, live or not:
//!
//! * a replica that hears of a change ([`follow`]) loads it, ends what it no longer allows, and
//!   acknowledges by writing its epoch into its row;
//! * one that does not acknowledge is waited out: [`FRESH`] after the commit its own gate lets
//!   nothing through any more by what held before, since every answer of the gate rests on a read
//!   that began no longer ago. What had been let through before is bounded by [`LEASE`];
//! * one that is not live lets nothing through at all: its gate is closed from a moment before
//!   others take its row for dead ([`Membership`]);
//! * one whose gateways may do without the database for a while ([`autonomy`]) is waited out until
//!   that is over, by what the one who waits has seen of its row himself ([`watch`]).
//!
//! On SQLite this process is the only one, and none of this costs anything.

mod api;
mod autonomy;
pub(crate) mod canary;
mod figures;
mod follow;
mod looks;
mod store;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::{DbError, Epochs, Tx};
use domain::{Config, Snapshot};
use parking_lot::Mutex;
use uuid::Uuid;

use api::Word;
pub(crate) use api::{Confirmed, Health, routes};
pub(crate) use autonomy::Autonomy;
pub(crate) use canary::run as run_canary;
pub use figures::Figures;
pub(crate) use follow::{join, leave, run};

use self::looks::{Looks, Seen};
use self::watch::{Watch, with_drift};
use crate::App;
use crate::api::chain;
use crate::snapshot::FRESH;

/// This process among the others.
pub(crate) struct Replica {
    id: Uuid,
    name: String,
    started_at: DateTime<Utc>,
    /// The newest epoch by which what is under way here has been looked at, with its stamp.
    settled: Mutex<(i64, i64)>,
    /// What everything that is under way has been held against.
    held: Mutex<Option<Arc<Snapshot>>>,
    pub(crate) figures: Figures,
    /// What it may do without the database.
    pub(crate) autonomy: Autonomy,
    /// What it has seen of the rows of others.
    watch: Watch,
    looks: Looks,
}

/// Until when this process may let anything through because others take it for live, in
/// milliseconds of the clock's.
pub(crate) struct Membership(AtomicU64);

/// A row, and whether others wait for it.
pub(crate) struct Known {
    id: Uuid,
    name: String,
    version: String,
    epoch: i64,
    stamp: i64,
    started_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
    /// Another one after each renewal.
    mark: i64,
    /// For how long it may let calls through without the database.
    window: Duration,
    /// Whether it is of a version that waits for the windows of others.
    knows_windows: bool,
    is_live: bool,
    /// Whether it is to be cleared away.
    is_over: bool,
}

/// Whoever has not been seen for this long, by the database's clock, is not named as one that has not
/// confirmed. Five renewals may be late or lost before that.
const LIVE: TimeDelta = TimeDelta::seconds(5);

/// For how long the row of one that has died is there. As long it is waited out: by a clock that
/// jumps, who is alive may look dead.
const SHOWN: TimeDelta = TimeDelta::hours(1);

/// For how long a row that has been written lets its process through. It is measured from before the
/// row was sent and so ends before [`LIVE`] does; the rest is for clocks that do not go alike.
const MEMBER: Duration = Duration::from_millis(4_500);

/// For how long what is under way goes on without another look at the epoch.
const LEASE: Duration = Duration::from_secs(1);

/// How often somebody who waits looks for acknowledgements. They come within milliseconds, and
/// notices would wake every replica for each of them.
const LOOK: Duration = Duration::from_millis(3);

/// The same once those that are well have answered.
const LATER_LOOK: Duration = Duration::from_millis(25);

/// The data plane answers in microseconds; if it has not by then, the answer says so.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// No statement about replicas takes longer while the database is well.
const STORE_LIMIT: Duration = Duration::from_secs(1);

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Replica {
    pub(crate) fn new(stamp: domain::Stamp, name: String) -> Self {
        Self {
            id: stamp.id,
            name,
            started_at: stamp.at,
            settled: Mutex::default(),
            held: Mutex::default(),
            figures: Figures::default(),
            autonomy: Autonomy::default(),
            watch: Watch::default(),
            looks: Looks::default(),
        }
    }

    fn settled(&self) -> (i64, i64) {
        *self.settled.lock()
    }

    /// Whether nothing under way could end by this snapshot that has not ended already.
    fn has_held(&self, snapshot: &Snapshot) -> bool {
        self.held.lock().as_ref().is_some_and(|it| it.says_as_much_as(snapshot))
    }

    fn set_settled(&self, snapshot: Arc<Snapshot>) {
        let epoch = i64::try_from(snapshot.epoch).unwrap_or(i64::MAX);
        let stamp = snapshot.stamp;
        *self.held.lock() = Some(snapshot);
        let mut settled = self.settled.lock();
        if settled.0 <= epoch {
            *settled = (epoch, stamp);
        }
    }

    /// What it has acknowledged was of changes that are lost.
    pub(crate) fn forget_settled(&self) {
        *self.settled.lock() = (0, 0);
    }
}

impl Known {
    /// Whether it has acknowledged that change, or a later one.
    fn has(&self, epochs: &Epochs) -> bool {
        epochs.epoch < self.epoch || (epochs.epoch, epochs.stamp) == (self.epoch, self.stamp)
    }
}

impl Default for Membership {
    /// For ever: of those for whom nobody waits.
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Membership {
    /// Whether it still holds.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        now < Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn extend(&self, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.0.store(until, Ordering::SeqCst);
    }
}

/// Ends what this snapshot no longer allows, before it returns. Resolves with how many calls and
/// streams that were, when nothing of them goes on, or with nothing where the data plane has not
/// confirmed that in time.
pub(crate) fn settle<'a>(
    app: &'a App,
    snapshot: &Arc<Snapshot>,
) -> impl Future<Output = Option<usize>> + Send + use<'a> {
    let snapshot = Arc::clone(snapshot);
    let traffic = app.traffic.get().filter(|_| !app.replica.has_held(&snapshot));
    let settling = traffic.map(|it| it.settle(Arc::clone(&snapshot)));
    async move {
        let ended = match settling {
            None => 0,
            Some(settling) => match tokio::time::timeout(STOP_LIMIT, settling).await {
                Ok(ended) => ended,
                Err(late) => {
                    tracing::error!(error = %chain(&late), "The data plane has not acknowledged");
                    return None;
                }
            },
        };
        // Of this snapshot or a newer one.
        app.keys.heed(app.publisher.newest().epochs.destroyed);
        app.replica.set_settled(snapshot);
        Some(ended)
    }
}

/// For how long replicas may let calls through without the database, at most, by what this change
/// and the one before it say and by what their rows tell.
pub(crate) async fn widest(
    app: &App,
    tx: &mut Tx,
    (before, after): (&Config, &Config),
) -> Result<Duration, DbError> {
    if app.db.is_exclusive() {
        return Ok(Duration::ZERO);
    }
    let told = u64::try_from(store::widest(tx).await?).unwrap_or_default();
    Ok(Duration::from_secs(told).max(before.widest_autonomy()).max(after.widest_autonomy()))
}

/// Waits until a change that was committed by then holds everywhere, or this process stops. No replica
/// goes on without the database for longer than `widest`.
pub(crate) async fn confirm(
    app: &App,
    epochs: Epochs,
    (committed, widest): (Duration, Duration),
    is_settled: bool,
) -> Confirmed {
    let mut confirmed = Confirmed::of(app.replica.name.clone(), is_settled);
    if app.db.is_exclusive() {
        return confirmed;
    }
    let blind = committed + with_drift(widest) + FRESH;
    let mut waiting = Waiting { committed, blind, counted: HashSet::new(), known: None };
    let all = tokio::select! {
        biased;
        all = waiting.others(app, &epochs) => all,
        () = stopping(app) => waiting.given_up(app, &epochs),
    };
    match all {
        Some(all) => all.into_iter().for_each(|(name, word)| confirmed.add(name, word)),
        None => confirmed.add("all others".into(), Word::WaitedOut),
    }
    if !confirmed.unconfirmed.is_empty() {
        let names = confirmed.unconfirmed.join(", ");
        tracing::error!(
            replicas = %names, epochs.epoch,
            "A change is made and was not waited for to its end, since this process stops: \
             these replicas may go by what held before for as long as they may do without the database"
        );
    }
    if !confirmed.is_complete() {
        app.replica.figures.waited_out();
    }
    if !confirmed.waited_out.is_empty() {
        let names = confirmed.waited_out.join(", ");
        tracing::warn!(replicas = %names, epochs.epoch, "Replicas have not confirmed a change in time");
    }
    confirmed
}

/// For how long changes are waited for once this process has been told to stop: its listener waits
/// longer for the answer.
const STOPPING: Duration = Duration::from_secs(10);

/// Resolves when nobody may wait any longer, since this process stops.
async fn stopping(app: &App) {
    let leaving = async {
        app.leaving.cancelled().await;
        tokio::time::sleep(STOPPING).await;
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = leaving => {}
    }
}

/// Somebody who waits until those who were to confirm a change have, or can let nothing through any
/// more by what held before.
struct Waiting {
    committed: Duration,
    /// When even those can do nothing more whose rows could not be read.
    blind: Duration,
    counted: HashSet<Uuid>,
    /// What was read last, and when that began.
    known: Option<(Duration, Arc<Vec<Known>>)>,
}

impl Waiting {
    /// All of them, with what has come of it; nothing where their rows could not be read in time.
    async fn others(&mut self, app: &App, epochs: &Epochs) -> Option<Vec<(String, Word)>> {
        let mut since = self.committed;
        loop {
            let Seen { begun, rows } = app.replica.looks.after(app, since).await;
            match rows {
                Ok(known) => {
                    self.known = Some((begun, Arc::clone(&known)));
                    // Those too that look dead: it costs 50 ms for as long as their rows are there.
                    let waits = |it: &&Known| self.waits(app, epochs, (it, begun));
                    let holds = |it: &&Known| it.is_live || !it.window.is_zero() && waits(it);
                    let counted: Vec<_> = known.iter().filter(holds).map(|it| it.id).collect();
                    let is_over = !known.iter().any(|it| waits(&it));
                    self.counted.extend(counted);
                    if is_over {
                        return Some(self.told(app, epochs, (begun, &known)));
                    }
                }
                Err(error) if self.blind <= begun => {
                    tracing::warn!(%error, "It is not known which replicas have confirmed a change");
                    return None;
                }
                Err(_) => {}
            }
            let is_soon = begun < self.committed + FRESH;
            let pause = if is_soon { LOOK } else { LATER_LOOK };
            since = begun + pause;
            tokio::time::sleep(pause).await;
        }
    }

    /// The same where it is not over.
    fn given_up(&self, app: &App, epochs: &Epochs) -> Option<Vec<(String, Word)>> {
        let all = || vec![("all others".to_owned(), Word::Unconfirmed)];
        Some(match &self.known {
            Some((begun, known)) => self.told(app, epochs, (*begun, known)),
            None => all(),
        })
    }

    fn told(
        &self,
        app: &App,
        epochs: &Epochs,
        (begun, known): (Duration, &[Known]),
    ) -> Vec<(String, Word)> {
        let is_counted = |it: &&Known| it.id != app.replica.id && self.counted.contains(&it.id);
        let word = |it: &Known| match it.has(epochs) {
            true => Word::Acknowledged,
            false if self.waits(app, epochs, (it, begun)) => Word::Unconfirmed,
            false => Word::WaitedOut,
        };
        known.iter().filter(is_counted).map(|it| (it.name.clone(), word(it))).collect()
    }

    /// Whether a replica may still let something through by what held before, by what a look says
    /// that began then.
    fn waits(&self, app: &App, epochs: &Epochs, (it, begun): (&Known, Duration)) -> bool {
        let is_other = it.id != app.replica.id;
        is_other && !it.has(epochs) && begun < app.replica.watch.over(it, self.committed)
    }
}

/// How those are who serve together.
pub(crate) async fn health(app: &App) -> Result<Health, DbError> {
    Ok(Health::of(list(app).await?, app.publisher.epoch()))
}

/// Every replica that has a row, by name; where this process is the only one, that one.
async fn list(app: &App) -> Result<Vec<Known>, DbError> {
    if app.db.is_exclusive() {
        let Replica { id, name, started_at, .. } = &*app.replica;
        return Ok(vec![Known {
            id: *id,
            name: name.clone(),
            version: VERSION.into(),
            epoch: app.publisher.epoch(),
            stamp: 0,
            started_at: *started_at,
            seen_at: app.clock.now(),
            mark: 0,
            window: Duration::ZERO,
            knows_windows: true,
            is_live: true,
            is_over: false,
        }]);
    }
    let mut tx = app.db.begin_passing().await?;
    let found = store::list(&mut tx).await?;
    tx.rollback().await?;
    Ok(found)
}

/// What the database says, if it says it in time.
async fn within<T>(doing: impl Future<Output = Result<T, DbError>>) -> Result<T, Late> {
    Ok(tokio::time::timeout(STORE_LIMIT, doing).await??)
}

/// Why nothing was read or written of replicas.
#[derive(Debug, thiserror::Error)]
enum Late {
    #[error("the database does not answer in time")]
    Elapsed(#[from] tokio::time::error::Elapsed),
    #[error("its clock is not the database's")]
    Astray,
    #[error(transparent)]
    Db(#[from] DbError),
}
