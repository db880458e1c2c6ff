//! What the data plane reads: built from the database, published as one value, proved current.
//!
//! A change builds the next snapshot inside its own transaction, from what it is about to commit.
//! So nothing is committed that does not compile, and publishing is the exchange of a pointer.
//! Cut-offs touch switches only and reuse the configuration as it stands. Any other change reuses all
//! of it that has not been touched ([`changes`]).
//!
//! The [`gate`] then answers for the published value: at once where this process is the only
//! writer, after reading the epoch where it is not.

#[cfg(test)]
mod at_random;
mod authority;
mod build;
mod changes;
mod gate;
mod gateway;
pub(crate) mod news;
mod store;
#[cfg(test)]
mod tests;
mod value;
#[cfg(test)]
mod whole;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use db::{DbError, Epochs, Tx};
use domain::{Config, Snapshot, Switches};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) use changes::prune;
pub(crate) use gate::{FRESH, StoreGate};
pub(crate) use store::{epoch, move_epoch, note_destroyed};
pub(crate) use value::BuildError;
#[cfg(test)]
pub(crate) use whole::{check, told};

use build::Index;
use changes::{Position, Told};
use news::Feed;

/// A snapshot, and what the next one can take over from it.
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) epochs: Epochs,
    /// The replicas whose canaries are off.
    pub(crate) canaries: Vec<Uuid>,
    memo: Arc<Memo>,
    /// What has been touched since one that it may replace; nothing where that is not known.
    touched: Option<Arc<Told>>,
    /// Whether its switches are those of one that was the newest when it was made.
    keeps_switches: bool,
}

/// What the next configuration is made from, beside this one.
#[derive(Default)]
struct Memo {
    index: Index,
    /// Up to where changes are in it; absent where that is not known.
    position: Option<Position>,
}

/// Holds the newest snapshot.
pub(crate) struct Publisher {
    newest: ArcSwap<Published>,
    /// What each publication has changed.
    pub(crate) feed: Feed,
    /// So that it is told of publications in their order.
    turn: Mutex<()>,
    /// Told when there is a newer one.
    moved: Notify,
    /// How often a commit may or may not have held, so that memory was not known to be the truth.
    doubts: AtomicU64,
    /// How many of them have been settled by reading the database again.
    settled: AtomicU64,
}

/// What is off, and the canaries that are.
struct Off {
    switches: Arc<Switches>,
    /// Whether they are those of the newest snapshot.
    is_known: bool,
    canaries: Vec<Uuid>,
}

/// Why no snapshot could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the configuration cannot be read")]
    Db(#[from] DbError),
    #[error("the configuration does not compile")]
    Build(#[from] BuildError),
    #[error("building the configuration was interrupted")]
    Interrupted,
    #[error("the epoch row is missing")]
    NoEpoch,
    #[error("the database is behind what has been seen of it")]
    Behind,
}

impl Publisher {
    /// Nothing configured; replaced by the first load.
    pub(crate) fn new() -> Self {
        let published = Published {
            snapshot: Arc::new(Snapshot::empty()),
            epochs: Epochs::default(),
            canaries: Vec::new(),
            memo: Arc::default(),
            touched: None,
            keeps_switches: false,
        };
        Self {
            newest: ArcSwap::from_pointee(published),
            feed: Feed::new(),
            turn: Mutex::new(()),
            moved: Notify::new(),
            doubts: AtomicU64::new(1),
            settled: AtomicU64::new(0),
        }
    }

    pub(crate) fn newest(&self) -> Arc<Published> {
        self.newest.load_full()
    }

    /// Replaces the snapshot, unless a newer one is there already.
    pub(crate) fn publish(&self, next: Published) {
        let next = Arc::new(next);
        let turn = self.turn.lock();
        let before = self.newest();
        self.newest.rcu(|now| match next.replaces(now) {
            true if next.follows(now) => Arc::clone(&next),
            true => Arc::new(next.apart()),
            false => Arc::clone(now),
        });
        if next.replaces(&before) {
            self.feed.publish(&before, &next);
        }
        drop(turn);
        self.moved.notify_waiters();
    }

    /// Waits until the newest snapshot is another one than `known`.
    pub(crate) async fn replaced(&self, known: &Arc<Snapshot>) {
        self.until(|it| !Arc::ptr_eq(it, known)).await;
    }

    /// Waits until the newest snapshot says something else than `known`.
    pub(crate) async fn changed(&self, known: &Arc<Snapshot>) {
        self.until(|it| !it.says_as_much_as(known)).await;
    }

    async fn until(&self, is_it: impl Fn(&Arc<Snapshot>) -> bool) {
        loop {
            // Before the look, so that no change comes unnoticed in between.
            let moved = self.moved.notified();
            if is_it(&self.newest.load().snapshot) {
                return;
            }
            moved.await;
        }
    }

    /// What the snapshot will be once `tx` has been committed, or is now where it only reads.
    pub(crate) async fn prepare(&self, tx: &mut Tx) -> Result<Published, LoadError> {
        let epochs = store::epochs(tx).await?.ok_or(LoadError::NoEpoch)?;
        let newest = self.newest();
        let off = self.off(tx).await?;
        let version = |it: &Epochs| (it.config, it.config_stamp);
        let (was, is) = (version(&newest.epochs), version(&epochs));
        if was == is {
            let config = Arc::clone(&newest.snapshot.config);
            let memo = Arc::clone(&newest.memo);
            return Ok(Published::new((epochs, config), off, (memo, Some(Arc::default()))));
        }
        let (scope, position) = changes::since(tx, (newest.memo.position, was), is).await?;
        let rows = store::Rows::read(tx, &scope).await?;
        let told = scope.told(store::names(tx, &scope).await?);
        // Compiling takes milliseconds for each gateway, too long for a thread that serves calls.
        let building =
            move || build::config(rows, &scope, (&newest.snapshot.config, &newest.memo.index));
        let (config, index) =
            tokio::task::spawn_blocking(building).await.map_err(|_| LoadError::Interrupted)??;
        let memo = Arc::new(Memo { index, position });
        Ok(Published::new((epochs, Arc::new(config)), off, (memo, told.map(Arc::new))))
    }

    /// The same with the configuration as it was, where what is stored does not compile.
    pub(crate) async fn prepare_switches(&self, tx: &mut Tx) -> Result<Published, LoadError> {
        let epochs = store::epochs(tx).await?.ok_or(LoadError::NoEpoch)?;
        let newest = self.newest();
        let off = self.off(tx).await?;
        let config = Arc::clone(&newest.snapshot.config);
        // Nobody publishes it, so nobody sees what has been published meanwhile.
        Ok(Published::new((epochs, config), off, (Arc::clone(&newest.memo), None)).apart())
    }

    /// What is off. As long as it is as it was it is the very same, so that nobody looks again at what
    /// has not changed.
    async fn off(&self, tx: &mut Tx) -> Result<Off, LoadError> {
        let (switches, canaries) = value::switches(store::switches(tx).await?)?;
        let known = &self.newest.load().snapshot.switches;
        let is_known = **known == switches;
        let switches = if is_known { Arc::clone(known) } else { Arc::new(switches) };
        Ok(Off { switches, is_known, canaries })
    }

    /// The newest epoch.
    pub(crate) fn epoch(&self) -> i64 {
        self.newest.load().epoch()
    }

    /// From now on memory is not the truth until the database has been read again.
    pub(crate) fn cast_doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }

    fn is_in_doubt(&self) -> bool {
        self.doubts.load(Ordering::SeqCst) != self.settled.load(Ordering::SeqCst)
    }

    fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::SeqCst)
    }

    fn settle(&self, doubts: u64) {
        self.settled.fetch_max(doubts, Ordering::SeqCst);
    }
}

impl Published {
    pub(crate) fn epoch(&self) -> i64 {
        self.epochs.epoch
    }

    /// Whether it is newer; of two with the same number, whose stamps tell that the database has lost
    /// changes, the one that has been read is what there is.
    fn replaces(&self, known: &Self) -> bool {
        let (is, was) = (&self.epochs, &known.epochs);
        was.epoch < is.epoch || was.epoch == is.epoch && was.stamp != is.stamp
    }

    /// Whether it may have the switches of another one: something else may have been off between the
    /// two, and what was let through then is to be looked at.
    fn follows(&self, known: &Self) -> bool {
        !self.keeps_switches || Arc::ptr_eq(&self.snapshot.switches, &known.snapshot.switches)
    }

    /// The same, with switches that no other one has.
    fn apart(&self) -> Self {
        let Snapshot { epoch, stamp, config, switches } = &*self.snapshot;
        let (config, switches) = (Arc::clone(config), Arc::new(Switches::clone(switches)));
        let snapshot = Arc::new(Snapshot { epoch: *epoch, stamp: *stamp, config, switches });
        let (canaries, memo) = (self.canaries.clone(), Arc::clone(&self.memo));
        let (epochs, touched) = (self.epochs, self.touched.clone());
        Self { snapshot, epochs, canaries, memo, touched, keeps_switches: false }
    }

    fn new(
        (epochs, config): (Epochs, Arc<Config>),
        off: Off,
        (memo, touched): (Arc<Memo>, Option<Arc<Told>>),
    ) -> Self {
        let Off { switches, is_known, canaries } = off;
        let epoch = u64::try_from(epochs.epoch).unwrap_or_default();
        Self {
            snapshot: Arc::new(Snapshot { epoch, stamp: epochs.stamp, config, switches }),
            epochs,
            canaries,
            memo,
            touched,
            keeps_switches: is_known,
        }
    }
}
