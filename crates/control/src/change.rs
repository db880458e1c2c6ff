//! The one way to change what the data plane reads.
//!
//! A change moves the epoch first, which makes it the only change under way, on either database.
//! What it does then is compiled before it is committed, committed, published, and enforced on the
//! traffic under way, here and on every other replica: in this order, and to the end, even when
//! whoever asked for it has gone.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::{DbError, Tx};
use domain::{Capability, Object, Snapshot, Stamp, WorkspaceId};
use tokio::sync::OwnedSemaphorePermit;

use crate::App;
use crate::api::{Error, Rights, chain};
use crate::policies;
use crate::replicas::{self, Confirmed};
use crate::session::Caller;
use crate::snapshot::{self, LoadError};
use crate::trail::{self, End, What};

/// A transaction that will move the epoch. Dropped, it undoes itself.
pub(crate) struct Change {
    tx: Tx,
    app: Arc<App>,
    rights: Rights,
    decisions: Vec<(WorkspaceId, String)>,
    began: Duration,
    only_switches: bool,
    was: Arc<Snapshot>,
    /// Its turn, and what else is held until it is committed or undone.
    held: Vec<OwnedSemaphorePermit>,
}

/// Compiling takes less. Whoever is frozen for longer has its change undone, since no other one, and
/// so no cut-off, can be made before it ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How long a change may take from its beginning to its commit, since others wait for it: the largest
/// files change thousands of things, in milliseconds each.
const LONGEST: Duration = Duration::from_secs(30);

/// How long whoever has asked for a change may have to wait for the answer, at most: for the others, for
/// a connection, for the change itself, and then for replicas that may do without their database, by
/// clocks that may count more slowly, and for the last look at them.
pub const LONGEST_ANSWER: Duration = LONGEST_WAIT
    .saturating_mul(2)
    .saturating_add(LONGEST)
    .saturating_add(crate::gateways::MOST_AUTONOMY)
    .saturating_add(Duration::from_secs(2));

/// How long a change waits for others of this process: as long as for a lock of the database.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a change has led to.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    /// Calls and streams that were ended here.
    pub(crate) ended: usize,
    /// Where it holds.
    pub(crate) replicas: Confirmed,
    /// From the beginning of the change until it holds.
    pub(crate) elapsed: Duration,
}

impl Change {
    /// Begins a change of anything that these rights allow.
    pub(crate) async fn begin(app: &Arc<App>, rights: &Rights) -> Result<Self, Error> {
        Self::begin_with(app, rights, false).await
    }

    /// Begins a change that touches nothing but switches, which then waits for no compiling.
    pub(crate) async fn begin_switch(app: &Arc<App>, rights: &Rights) -> Result<Self, Error> {
        Self::begin_with(app, rights, true).await
    }

    /// Begins the one or the other.
    pub(crate) async fn begin_patch(
        app: &Arc<App>,
        rights: &Rights,
        touches_more_than_switches: bool,
    ) -> Result<Self, Error> {
        Self::begin_with(app, rights, !touches_more_than_switches).await
    }

    async fn begin_with(
        app: &Arc<App>,
        rights: &Rights,
        only_switches: bool,
    ) -> Result<Self, Error> {
        let began = app.clock.elapsed();
        let held = if only_switches { Vec::new() } else { vec![turn(app).await?] };
        let mut tx = app.db.begin().await?;
        tx.limit(LONGEST);
        tx.limit_pauses(LONGEST_PAUSE).await?;
        let stamp = app.clock.id().as_u64_pair().1.cast_signed();
        snapshot::move_epoch(&mut tx, stamp, only_switches).await?;
        let rights = rights.again(app, &mut tx).await?;
        let was = before(app, &mut tx, only_switches).await?;
        let app = Arc::clone(app);
        Ok(Self { tx, app, rights, decisions: Vec::new(), began, only_switches, was, held })
    }

    /// Keeps this until it is committed or undone, and not until all others have confirmed it.
    pub(crate) fn keep(&mut self, permit: OwnedSemaphorePermit) {
        self.held.push(permit);
    }

    /// The time, for what is new in it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.app.clock.now()
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.app.clock.stamp()
    }

    /// By which rights it is made.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Refuses what these rights do not allow; what they do not even show is not there.
    pub(crate) fn require(
        &self,
        capability: Capability,
        object: &Object,
        named: (&'static str, impl std::fmt::Display),
    ) -> Result<(), Error> {
        self.rights.require(capability, object, named)
    }

    /// Refuses what needs a right on all of the workspace.
    pub(crate) fn require_on_workspace(&self, capability: Capability) -> Result<(), Error> {
        self.rights.require_on_workspace(capability)
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Has been decided with it, and is to be recorded by itself.
    pub(crate) fn decides(&mut self, workspace: WorkspaceId, what: String) {
        self.decisions.push((workspace, what));
    }

    /// [`Change::commit`], with a record of each of its decisions.
    pub(crate) async fn commit_decided(mut self, actor: &Caller) -> Result<Committed, Error> {
        let app = Arc::clone(&self.app);
        let mut acts = Vec::with_capacity(self.decisions.len());
        for (workspace, what) in std::mem::take(&mut self.decisions) {
            let act = (app.clock.id(), What::words(what));
            acts.push(trail::open(&app, actor, act, vec![workspace.0]).await?);
        }
        let committed = self.commit().await;
        let end = || committed.as_ref().map_or_else(End::failed, |_| End::with(StatusCode::OK));
        // All at once, as they wait for the same disk.
        futures::future::join_all(acts.into_iter().map(|it| it.close(&app, end()))).await;
        committed
    }

    /// It destroys keys of recorded content, which are then in no memory either.
    pub(crate) async fn destroys_keys(&mut self) -> Result<(), DbError> {
        snapshot::note_destroyed(&mut self.tx).await
    }

    /// Makes it so, everywhere, before it returns.
    pub(crate) async fn commit(self) -> Result<Committed, Error> {
        let tasks = self.app.tasks.clone();
        // A task of its own: a client that hangs up must not come between commit and publication.
        tasks.spawn(self.finish()).await.map_err(Error::internal)?
    }

    /// What the configuration was when it began.
    pub(crate) fn was(&self) -> &Arc<Snapshot> {
        &self.was
    }

    /// What the configuration will be once this is committed.
    pub(crate) async fn preview(&mut self) -> Result<Arc<Snapshot>, Error> {
        Ok(self.app.publisher.prepare(&mut self.tx).await?.snapshot)
    }

    /// Undoes it.
    pub(crate) async fn rollback(self) -> Result<(), DbError> {
        self.tx.rollback().await
    }

    async fn finish(self) -> Result<Committed, Error> {
        let Self { mut tx, app, began, rights, only_switches, was, held, .. } = self;
        let publisher = &app.publisher;
        let (next, compiles) = match publisher.prepare(&mut tx).await {
            Ok(next) => (next, true),
            // A configuration that does not compile must not keep a cut-off from being stored.
            Err(error) if only_switches => {
                tracing::error!(error = %chain(&error), "The configuration does not compile");
                (publisher.prepare_switches(&mut tx).await?, false)
            }
            Err(error) => return Err(error.into()),
        };
        if compiles && !only_switches {
            policies::check_names(&rights, &was, &next.snapshot)?;
        }
        if next.epoch() <= publisher.epoch() {
            // What has been seen of it is lost, and must not be counted past in silence.
            return Err(LoadError::Behind.into());
        }
        if !only_switches {
            snapshot::prune(&mut tx, next.snapshot.epoch).await?;
        }
        let configs = (&*publisher.newest().snapshot.config, &*next.snapshot.config);
        let widest = replicas::widest(&app, &mut tx, configs).await?;
        tx.announce(next.epoch()).await?;
        if let Err(error) = tx.commit().await {
            // It may have held nevertheless.
            publisher.cast_doubt();
            // To be done once more is what nobody should be told of what may be done.
            let is_late = matches!(error, DbError::Late);
            return Err(if is_late { Error::internal(error) } else { error.into() });
        }
        drop(held);
        let committed = app.clock.elapsed();
        let (epochs, snapshot) = (next.epochs, Arc::clone(&next.snapshot));
        if compiles {
            publisher.publish(next);
        } else {
            // Nothing passes until it compiles again.
            publisher.cast_doubt();
        }
        // Another may have been published since, and the later one decides.
        let newest = publisher.newest();
        let snapshot =
            if epochs.epoch <= newest.epoch() { Arc::clone(&newest.snapshot) } else { snapshot };
        let ended = replicas::settle(&app, &snapshot).await;
        if !compiles {
            // What has been held against is less than what is stored.
            app.replica.forget_settled();
            app.replica.autonomy.forfeit(app.clock.elapsed());
        }
        let replicas = replicas::confirm(&app, epochs, (committed, widest), ended.is_some()).await;
        let elapsed = app.clock.elapsed().saturating_sub(began);
        Ok(Committed { ended: ended.unwrap_or_default(), replicas, elapsed })
    }
}

/// Makes a change wait for its turn before it takes a connection: they are made one at a time anyway,
/// and where many wait, a cut-off must find a connection, and none of them before it but the first.
async fn turn(app: &App) -> Result<OwnedSemaphorePermit, Error> {
    let turn = Arc::clone(&app.turn).acquire_owned();
    let turn = tokio::time::timeout(LONGEST_WAIT, turn).await.map_err(|_| Error::Busy)?;
    turn.map_err(Error::internal)
}

/// What a change finds that has moved the epoch and done nothing else. That is what is published here,
/// unless another replica has made changes that have not been loaded yet.
async fn before(app: &App, tx: &mut Tx, only_switches: bool) -> Result<Arc<Snapshot>, Error> {
    let newest = app.publisher.newest();
    // A process that has just been started has loaded nothing that could be taken away.
    let is_known = only_switches
        || newest.snapshot.epoch == 0
        || app.db.is_exclusive()
        || snapshot::epoch(tx).await? == newest.snapshot.epoch + 1;
    if is_known {
        return Ok(Arc::clone(&newest.snapshot));
    }
    match app.publisher.prepare(tx).await {
        Ok(found) => Ok(found.snapshot),
        // This change may be the one that mends it.
        Err(error) => {
            tracing::warn!(error = %chain(&error), "What a change finds does not compile");
            Ok(Arc::clone(&newest.snapshot))
        }
    }
}

impl Deref for Change {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

#[cfg(test)]
mod tests {
    use super::LONGEST_ANSWER;

    /// Whoever gave up earlier would not know of a change whether it holds.
    #[test]
    fn the_console_waits_for_longer_than_a_change_takes() {
        let client = include_str!("../../../console/src/api/client.ts");
        let limit = client.split_once("const LIMIT_MS = ").unwrap().1.split(';').next().unwrap();
        let limit: u128 = limit.replace('_', "").parse().unwrap();
        assert!(LONGEST_ANSWER.as_millis() < limit, "{LONGEST_ANSWER:?}");
    }
}
