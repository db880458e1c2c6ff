//! Deletes what has been counted and is of no use any more, a little at a time: SQLite lets nobody else
//! write meanwhile.

use domain::WorkspaceId;

use super::Step;
use super::count::{CountError, FORGOTTEN};
use super::store::{self, Progress};
use crate::App;

/// Deletes what is too old.
pub(super) async fn prune(app: &App) -> Result<(), CountError> {
    let seconds = app.clock.now().timestamp();
    let longest = Step::ALL.map(Step::kept).into_iter().max().unwrap_or_default();
    let mut tx = app.db.begin().await?;
    store::prune_logs(&mut tx, (seconds - longest) * 1_000).await?;
    tx.commit().await?;
    for step in Step::ALL {
        let mut is_more = true;
        while is_more {
            let mut tx = app.db.begin().await?;
            is_more = store::prune(&mut tx, step, seconds - step.kept()).await? != 0;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Deletes what has been counted of a log, a bucket at a time. Whoever is interrupted goes on with it.
pub(super) async fn forget(
    app: &App,
    (workspace, log): (WorkspaceId, &str),
    progress: Progress,
) -> Result<(), CountError> {
    tracing::warn!(log, "The log ends before the place up to which charts were counted: anew");
    let mut tx = app.db.begin().await?;
    let none = Progress { next: FORGOTTEN, open: 0, under_way: 0, time_ms: 0 };
    if !store::advance(&mut tx, (workspace, log), Some(progress.next), none).await? {
        return Err(CountError::Beside);
    }
    tx.commit().await?;
    for step in Step::ALL {
        let mut is_more = true;
        while is_more {
            let mut tx = app.db.begin().await?;
            is_more = store::forget(&mut tx, (workspace, log), step).await? != 0;
            tx.commit().await?;
        }
    }
    let mut tx = app.db.begin().await?;
    store::forget_progress(&mut tx, (workspace, log)).await?;
    Ok(tx.commit().await?)
}
