//! How far the record is covered: what of it is in the tree, under a signed checkpoint.

use audit::{Log, TailEntry};
use chrono::{DateTime, TimeDelta, Utc};
use domain::WorkspaceId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::api::Error;

/// How far what this process records of the workspace is covered by its newest checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cover {
    /// Records under the checkpoint.
    size: u64,
    /// When the last of them was recorded.
    last: Option<DateTime<Utc>>,
    /// When the first was recorded that is under none yet.
    waiting_since: Option<DateTime<Utc>>,
    /// Whether nothing waits longer than it should.
    is_current: bool,
}

/// Checkpoints are made within a second; what waits longer than this has been stopped by something.
const LATE: TimeDelta = TimeDelta::seconds(10);

/// Looks at the newest checkpoint, and at what has been recorded since.
pub(crate) async fn cover(app: &App, workspace: WorkspaceId) -> Result<Cover, Error> {
    let (log, now) = (app.log.clone(), app.clock.now());
    // The disk is read where nothing has been recorded since the start.
    let looking = move || look(&log, workspace, now);
    tokio::task::spawn_blocking(looking).await.map_err(Error::internal)?
}

fn look(log: &Log, workspace: WorkspaceId, now: DateTime<Utc>) -> Result<Cover, Error> {
    let recent = log.tail(workspace.0, usize::MAX);
    let size = log.checkpoint(workspace.0).map_or(0, |it| it.size);
    let time = |it: &TailEntry| DateTime::from_timestamp_millis(it.time_ms);
    let waiting_since = recent.iter().find(|it| it.index.is_none()).and_then(time);
    let last = match (recent.iter().rev().find(|it| it.index.is_some()), size.checked_sub(1)) {
        (Some(it), _) => time(it),
        (None, Some(last)) => {
            log.entries(workspace.0, last, 1).map_err(Error::internal)?.first().and_then(time)
        }
        (None, None) => None,
    };
    let is_current = waiting_since.is_none_or(|it| now - it <= LATE);
    Ok(Cover { size, last, waiting_since, is_current })
}
