//! A cut-off that is tried before it is needed.
//!
//! Every replica now and then turns off something that only it has, by the very path of every
//! cut-off, and on again. The target is a server with the id of the replica, which no call can
//! reach. It is nobody's act and stops nobody, so it leaves no record, or the log would be full of
//! it; what comes of it is in the metrics, and what goes wrong in the program's own log.
//!
//! A drill is the same by hand, of a target with an id of its own, and an act like any other.

use std::sync::Arc;
use std::time::Duration;

use domain::{ServerId, Target, WorkspaceId};
use uuid::Uuid;

use crate::App;
use crate::api::{Error, Rights, chain};
use crate::change::{Change, Committed};
use crate::switches;

/// It ends by itself where nobody turns it on again.
const LIFE: Duration = Duration::from_secs(60);

/// Tries it again and again.
pub(crate) async fn run(app: Arc<App>, every: Duration) {
    if every.is_zero() {
        return;
    }
    let trying = async {
        loop {
            tokio::time::sleep(every).await;
            attempt(&app).await;
        }
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = trying => {}
    }
}

async fn attempt(app: &Arc<App>) {
    let config = Arc::clone(&app.publisher.newest().snapshot.config);
    let Some(workspace) = config.workspaces.values().map(|it| it.id).min_by_key(|it| it.0) else {
        return;
    };
    let took = match flip(app, workspace, app.replica.id).await {
        Ok((off, _)) => Some(off).filter(|it| it.replicas.is_complete()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "The canary could not be cut off");
            None
        }
    };
    app.replica.figures.canary(took.map(|it| it.elapsed));
}

/// Turns off what no call can reach, and on again. How it went off, and on.
pub(crate) async fn flip(
    app: &Arc<App>,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<(Committed, Committed), Error> {
    let target = Target::Server(ServerId(id));
    let rights = Rights::of_installation(app);
    let mut change = Change::begin_switch(app, &rights).await?;
    let until = change.now() + LIFE;
    let reason = Some(switches::CANARY.to_owned());
    switches::turn_off(&mut change, workspace, target.clone(), Some(until), reason).await?;
    let off = change.commit().await?;
    if !app.publisher.newest().canaries.contains(&id) {
        return Err(Error::internal(Unheard));
    }
    let mut change = Change::begin_switch(app, &rights).await?;
    switches::turn_on(&mut change, workspace, &target).await?;
    Ok((off, change.commit().await?))
}

#[derive(Debug, thiserror::Error)]
#[error("a cut-off was answered that is not in force")]
struct Unheard;
