//! What the data plane reads: built from the database, published as one value, proved current.
//!
//! A change builds the next snapshot inside its own transaction, from what it is about to commit.
//! So nothing is committed that does not compile, and publishing is the exchange of a pointer.
//! Cut-offs touch switches only and reuse the configuration as it stands.
//!
//! The [`gate`] then answers for the published value: at once where this process is the only
//! writer, after reading the epoch where it is not.

mod authority;
mod build;
mod gate;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use db::{DbError, Epochs, Tx};
use domain::{Config, Snapshot, Switches};
use tokio::sync::Notify;

pub(crate) use build::BuildError;
pub(crate) use gate::StoreGate;
pub(crate) use store::{epoch, move_epoch};

use build::Memo;

/// A snapshot, and what the next one can take over from it.
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    epochs: Epochs,
    memo: Arc<Memo>,
}

/// Holds the newest snapshot.
pub(crate) struct Publisher {
    newest: ArcSwap<Published>,
    /// Told when there is a newer one.
    moved: Notify,
    /// How often a commit may or may not have held, so that memory was not known to be the truth.
    doubts: AtomicU64,
    /// How many of them have been settled by reading the database again.
    settled: AtomicU64,
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
}

impl Publisher {
    /// Nothing configured; replaced by the first load.
    pub(crate) fn new() -> Self {
        let published = Published {
            snapshot: Arc::new(Snapshot::empty()),
            epochs: Epochs { epoch: 0, config: 0 },
            memo: Arc::default(),
        };
        Self {
            newest: ArcSwap::from_pointee(published),
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
        self.newest.rcu(|now| {
            if now.epochs.epoch < next.epochs.epoch { Arc::clone(&next) } else { Arc::clone(now) }
        });
        self.moved.notify_waiters();
    }

    /// Waits until the newest snapshot is another one than `known`.
    pub(crate) async fn replaced(&self, known: &Arc<Snapshot>) {
        loop {
            // Before the look, so that no change comes unnoticed in between.
            let moved = self.moved.notified();
            if !Arc::ptr_eq(&self.newest.load().snapshot, known) {
                return;
            }
            moved.await;
        }
    }

    /// What the snapshot will be once `tx` has been committed, or is now where it only reads.
    pub(crate) async fn prepare(&self, tx: &mut Tx) -> Result<Published, LoadError> {
        let epochs = store::epochs(tx).await?.ok_or(LoadError::NoEpoch)?;
        let newest = self.newest();
        let switches = Arc::new(build::switches(store::switches(tx).await?)?);
        if newest.epochs.config == epochs.config {
            let config = Arc::clone(&newest.snapshot.config);
            return Ok(Published::new(epochs, config, switches, Arc::clone(&newest.memo)));
        }
        let rows = store::Rows::read(tx).await?;
        // Compiling takes milliseconds for each gateway, too long for a thread that serves calls.
        let (config, memo) = tokio::task::spawn_blocking(move || build::config(rows, &newest.memo))
            .await
            .map_err(|_| LoadError::Interrupted)??;
        Ok(Published::new(epochs, Arc::new(config), switches, Arc::new(memo)))
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
    fn new(epochs: Epochs, config: Arc<Config>, switches: Arc<Switches>, memo: Arc<Memo>) -> Self {
        let epoch = u64::try_from(epochs.epoch).unwrap_or_default();
        Self { snapshot: Arc::new(Snapshot { epoch, config, switches }), epochs, memo }
    }
}
