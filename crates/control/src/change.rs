//! The one way to change what the data plane reads.
//!
//! A change moves the epoch first, which makes it the only change under way, on either database.
//! What it does then is compiled before it is committed, committed, published, and, where it has
//! turned something off or taken it away, enforced on the traffic under way: in this order, and
//! to the end, even when whoever asked for it has gone.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::{DbError, Tx};
use domain::{Capability, Object, Snapshot, Stamp, Target, WorkspaceId};

use crate::App;
use crate::api::{Error, Rights, chain};
use crate::session::Caller;
use crate::{policies, snapshot, trail};

/// A transaction that will move the epoch. Dropped, it undoes itself.
pub(crate) struct Change {
    tx: Tx,
    app: Arc<App>,
    rights: Rights,
    ends: Vec<Target>,
    decisions: Vec<(WorkspaceId, String)>,
    began: Duration,
    only_switches: bool,
}

/// What a change has led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// Calls and streams that were ended.
    pub(crate) ended: usize,
    /// Whether the data plane has confirmed that nothing more passes.
    pub(crate) is_acknowledged: bool,
    /// From the beginning of the change until it holds.
    pub(crate) elapsed: Duration,
}

/// The data plane answers in microseconds; if it has not by then, the answer says so.
const STOP_LIMIT: Duration = Duration::from_secs(10);

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
        let mut tx = app.db.begin().await?;
        snapshot::move_epoch(&mut tx, only_switches).await?;
        let rights = rights.again(app, &mut tx).await?;
        let app = Arc::clone(app);
        let (ends, decisions) = (Vec::new(), Vec::new());
        Ok(Self { tx, app, rights, ends, decisions, began, only_switches })
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

    /// Once committed, whatever depends on the target ends.
    pub(crate) fn ends(&mut self, target: Target) {
        self.ends.push(target);
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
            let act = (app.clock.id(), what.as_str());
            acts.push(trail::open(&app, actor, act, Some(workspace.0)).await?);
        }
        let committed = self.commit().await;
        let status = committed.as_ref().map_or_else(Error::status, |_| StatusCode::OK);
        acts.into_iter().for_each(|it| it.close(&app, status, None));
        committed
    }

    /// Makes it so, everywhere, before it returns.
    pub(crate) async fn commit(self) -> Result<Committed, Error> {
        let tasks = self.app.tasks.clone();
        // A task of its own: a client that hangs up must not come between commit and publication.
        tasks.spawn(self.finish()).await.map_err(Error::internal)?
    }

    /// What the configuration will be once this is committed.
    pub(crate) async fn preview(&mut self) -> Result<Arc<Snapshot>, Error> {
        Ok(self.app.publisher.prepare(&mut self.tx).await?.snapshot)
    }

    /// Undoes it.
    pub(crate) async fn rollback(self) -> Result<(), DbError> {
        self.tx.rollback().await
    }

    async fn finish(mut self) -> Result<Committed, Error> {
        let publisher = &self.app.publisher;
        let published = match publisher.prepare(&mut self.tx).await {
            Ok(published) => Some(published),
            // A configuration that does not compile must not keep a cut-off from being stored.
            Err(error) if self.only_switches => {
                tracing::error!(error = %chain(&error), "The configuration does not compile");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(published) = published.as_ref().filter(|_| !self.only_switches) {
            policies::check_names(&publisher.newest().snapshot, &published.snapshot)?;
        }
        if let Err(error) = self.tx.commit().await {
            // It may have held nevertheless.
            publisher.cast_doubt();
            return Err(error.into());
        }
        match published {
            Some(published) => publisher.publish(published),
            // Nothing passes until it compiles again.
            None => publisher.cast_doubt(),
        }
        let mut ended = 0;
        let mut is_acknowledged = true;
        if let Some(traffic) = self.app.traffic.get().filter(|_| !self.ends.is_empty()) {
            match tokio::time::timeout(STOP_LIMIT, traffic.stop(self.ends)).await {
                Ok(count) => ended = count,
                Err(late) => {
                    tracing::error!(error = %chain(&late), "The data plane has not acknowledged");
                    is_acknowledged = false;
                }
            }
        }
        let elapsed = self.app.clock.elapsed().saturating_sub(self.began);
        Ok(Committed { ended, is_acknowledged, elapsed })
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
