//! Deletes what has been counted and is of no use any more, a little at a time: SQLite lets nobody else
//! write meanwhile.

use db::{DbError, Sql, Tx, sql};
use domain::WorkspaceId;
use uuid::Uuid;

use super::Step;
use super::count::{CountError, FORGOTTEN};
use super::store::{self, Progress};
use crate::App;

/// How many rows are deleted at a time.
const MOST_DELETED: i64 = if cfg!(test) { 7 } else { 500 };

/// Deletes what is too old, and what is left of workspaces that are gone.
pub(super) async fn prune(app: &App) -> Result<(), CountError> {
    let seconds = app.clock.now().timestamp();
    let longest = Step::ALL.map(Step::kept).into_iter().max().unwrap_or_default();
    prune_logs(app, (seconds - longest) * 1_000).await?;
    for step in Step::ALL {
        let before = seconds - step.kept();
        repeat(app, || too_old().bind(step.seconds()).bind(before)).await?;
    }
    for gone in gone(app).await? {
        repeat(app, || of_workspace().bind(gone)).await?;
        repeat(app, || open_of_workspace().bind(gone)).await?;
    }
    Ok(())
}

/// Deletes how far the logs had come of which nobody has heard since, as nothing is kept any more that
/// was counted from them. Their own rows go last, since the others are found by them.
async fn prune_logs(app: &App, before_ms: i64) -> Result<(), CountError> {
    repeat(app, || open_of_logs().bind(before_ms)).await?;
    repeat(app, || logs().bind(before_ms)).await?;
    repeat(app, || counters().bind(before_ms)).await
}

/// Deletes by a statement until there is nothing left, and lets others write in between.
async fn repeat(app: &App, statement: impl Fn() -> Sql) -> Result<(), CountError> {
    loop {
        let mut tx = app.db.begin().await?;
        let count = tx.execute(statement().bind(MOST_DELETED)).await?;
        tx.commit().await?;
        if i64::try_from(count).unwrap_or_default() < MOST_DELETED {
            return Ok(());
        }
    }
}

/// The statement that deletes rows of a table by its key, no more than are given as the last value.
macro_rules! delete_some {
    ($table:literal, $key:literal, $which:literal) => {
        sql(concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $which,
            ")"
        ))
    };
}

fn too_old() -> Sql {
    delete_some!(
        "series",
        "workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome",
        "step = $1 AND at < $2 ORDER BY at LIMIT $3"
    )
}

fn of_workspace() -> Sql {
    delete_some!(
        "series",
        "workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome",
        "workspace_id = $1 LIMIT $2"
    )
}

fn open_of_workspace() -> Sql {
    delete_some!("series_open", "workspace_id, log, call", "workspace_id = $1 LIMIT $2")
}

fn open_of_logs() -> Sql {
    delete_some!(
        "series_open",
        "workspace_id, log, call",
        "log IN (SELECT log FROM series_counters WHERE counted_at < $1) LIMIT $2"
    )
}

fn logs() -> Sql {
    delete_some!(
        "series_logs",
        "workspace_id, log",
        "log IN (SELECT log FROM series_counters WHERE counted_at < $1) LIMIT $2"
    )
}

fn counters() -> Sql {
    delete_some!("series_counters", "log", "counted_at < $1 LIMIT $2")
}

/// Workspaces there are rows of and that are gone. How far one is counted goes with it, in the same change:
/// without that nobody writes rows of it any more.
async fn gone(app: &App) -> Result<Vec<Uuid>, DbError> {
    let mut tx = app.db.read().await?;
    let known: Vec<(Uuid,)> = tx.all(sql("SELECT id FROM workspaces")).await?;
    let mut gone = workspaces(&mut tx).await?;
    gone.retain(|it| !known.contains(&(*it,)));
    Ok(gone)
}

/// The workspaces there are rows of. From one to the next, since there are many rows of each.
pub(super) async fn workspaces(tx: &mut Tx) -> Result<Vec<Uuid>, DbError> {
    let mut all = Vec::new();
    let next_of = [
        "SELECT workspace_id FROM series WHERE workspace_id > $1 ORDER BY workspace_id LIMIT 1",
        "SELECT workspace_id FROM series_open WHERE workspace_id > $1 ORDER BY workspace_id LIMIT 1",
    ];
    for statement in next_of {
        let mut last = Uuid::nil();
        while let Some((next,)) = tx.optional::<(Uuid,)>(sql(statement).bind(last)).await? {
            all.push(next);
            last = next;
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
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
