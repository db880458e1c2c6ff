//! What apps pick for themselves, by a tool of the picker.

use std::future::ready;
use std::sync::Arc;

use domain::ports::{Answer, NotPicked, Picks};
use domain::{AppId, GatewayId, WorkspaceId};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::store;
use crate::App;
use crate::api::{Error, Rights, chain};
use crate::change::Change;

/// Keeps what is picked. That the app may use it has been decided, and is decided again by each call.
pub(crate) struct Picking {
    app: Arc<App>,
    /// Where the database is waited for.
    runtime: Handle,
    /// For those who pick or wait for their turn.
    seats: Arc<Semaphore>,
}

/// How many picks may be on their way into the database: they are made one at a time, in milliseconds
/// each, and no client is to wait for longer than it waits for anything else. Until all replicas have
/// confirmed what is made, which may take as long as a gateway may do without the database, a pick keeps
/// nobody else from picking.
const SEATS: usize = 16;

impl Picking {
    /// On the runtime on which it is made.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, runtime: Handle::current(), seats: Arc::new(Semaphore::new(SEATS)) }
    }
}

impl Picks for Picking {
    fn pick(
        &self,
        workspace: WorkspaceId,
        app: AppId,
        gateway: GatewayId,
    ) -> Answer<'_, Result<(), NotPicked>> {
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            return Box::pin(ready(Err(NotPicked::Crowded)));
        };
        let house = Arc::clone(&self.app);
        // To its end, even when whoever asked has gone.
        let picking = async move { pick(&house, seat, (workspace, app), gateway).await };
        let picking = self.app.tasks.spawn_on(picking, &self.runtime);
        Box::pin(async move {
            match picking.await {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err(NotPicked::Gone),
                Ok(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "What an app has picked is not kept");
                    Err(NotPicked::Unavailable)
                }
                Err(_) => Err(NotPicked::Unavailable),
            }
        })
    }
}

/// Whether it could be picked.
async fn pick(
    house: &Arc<App>,
    seat: OwnedSemaphorePermit,
    (workspace, app): (WorkspaceId, AppId),
    gateway: GatewayId,
) -> Result<bool, Error> {
    let rights = Rights::Installation(Arc::clone(&house.authority), None);
    let mut change = Change::begin(house, &rights).await?;
    change.keep(seat);
    store::unpick(&mut change, workspace, app).await?;
    let is_connected = store::pick(&mut change, workspace, app, gateway).await?;
    if is_connected {
        change.commit().await?;
    } else {
        change.rollback().await?;
    }
    Ok(is_connected)
}
