//! Counts what a log holds, in order and each record once.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit::{TailEntry, TreeError};
use db::{DbError, Tx};
use domain::WorkspaceId;
use tokio::sync::Mutex;

use super::leaf::{Counted, Key, Tells};
use super::open::{Begun, Open};
use super::prune::{forget, prune};
use super::store::{self, Place, Progress};
use super::turns::Turns;
use super::{Step, Sums};
use crate::App;
use crate::api::chain;

/// What has been counted of the logs of this process.
#[derive(Default)]
pub(crate) struct Series {
    /// One task counts at a time: whoever asks, or the one that goes on by itself.
    by_workspace: Mutex<HashMap<WorkspaceId, Counting>>,
    /// For those who read what has been counted.
    pub(super) turns: Turns,
    /// Whether it is counted until the end.
    is_kept: AtomicBool,
}

/// What has been counted of the log of one workspace.
#[derive(Default)]
struct Counting {
    /// The index of the first record that has not been counted, as it stands in the database, if it does.
    written: Option<i64>,
    /// The index of the first record that has not been counted.
    next: u64,
    /// When the last one that has been counted was recorded.
    time_ms: i64,
    open: Open,
    buckets: BTreeMap<(Step, i64), HashMap<Key, Sums>>,
    /// What has not been written.
    dirty: HashSet<(Step, i64, Key)>,
    /// What has been read and not been counted.
    ahead: VecDeque<TailEntry>,
}

/// How far counting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// There is more.
    Some,
    /// All that is in the tree, while there is more that is not in it yet. When the last of it was recorded,
    /// in milliseconds since 1970.
    Waiting(Option<i64>),
    /// Everything that had been recorded when it was looked, in milliseconds since 1970.
    All(i64),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CountError {
    #[error("the log cannot be read")]
    Tree(#[from] TreeError),
    #[error("what has been counted cannot be written")]
    Db(#[from] DbError),
    #[error("reading the log was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error("another process has counted the same log")]
    Beside,
    #[error("the log ends before the place up to which it has been counted")]
    Short,
}

/// How long after it has been recorded something is counted, at most, where nobody asks before.
const EVERY: Duration = Duration::from_secs(2);

/// How often what is too old is deleted.
const PRUNED_EVERY: Duration = Duration::from_secs(600);

/// How long the end may take: what is left is counted at the next start.
const LONGEST_END: Duration = Duration::from_secs(2);

/// How often it is written that all has been counted, where there is nothing new.
const TOLD_EVERY_MS: i64 = 10_000;

/// How many records are read at a time: a tile of the log, and less in tests.
const CHUNK: usize = if cfg!(test) { 8 } else { 256 };

/// How many rows are written at a time: SQLite lets nobody else write meanwhile.
const MOST_ROWS: usize = if cfg!(test) { 12 } else { 120 };

/// In place of the next index: what has been counted is being deleted.
pub(super) const FORGOTTEN: i64 = -1;

/// In a place of a key: one of too many.
pub(super) const OTHER: &str = "*";

/// Counts until whoever records is about to end. What they record until then is left to [`finish`].
pub(crate) async fn keep(app: Arc<App>) {
    let (mut is_failing, mut pruned, mut told) = (false, None, 0);
    let mut is_open = false;
    app.series.is_kept.store(true, Ordering::Relaxed);
    loop {
        if !is_open {
            is_open = reopen(&app).await;
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match round(&app, &mut pruned, (&mut told, false)).await {
            Ok(()) => is_failing = false,
            Err(error) if !std::mem::replace(&mut is_failing, true) => {
                tracing::warn!(error = %chain(&error), "What charts show cannot be counted");
            }
            Err(_) => {}
        }
    }
}

/// Counts what is left once nothing is recorded any more, and says that nothing is, if that is so.
pub(crate) async fn finish(app: &App) {
    if !app.series.is_kept.load(Ordering::Relaxed) {
        return;
    }
    // Nothing is due to be deleted.
    let mut pruned = Some(app.clock.elapsed());
    match tokio::time::timeout(LONGEST_END, round(app, &mut pruned, (&mut 0, true))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %chain(&error), "What charts show was not counted at the end");
        }
        Err(_) => tracing::info!("What charts show is not all counted: the next start goes on"),
    }
}

/// Says that there is something to come of this log, whatever was said at its last end.
pub(super) async fn reopen(app: &App) -> bool {
    let reopening = async {
        let mut tx = app.db.begin().await?;
        store::reopen(&mut tx, &app.log.verifier_key()).await?;
        tx.commit().await
    };
    reopening.await.is_ok()
}

/// Counts all that there is, of all workspaces.
pub(super) async fn round(
    app: &App,
    pruned: &mut Option<Duration>,
    (told, is_last): (&mut i64, bool),
) -> Result<(), CountError> {
    let now = app.clock.elapsed();
    if pruned.is_none_or(|it| it + PRUNED_EVERY <= now) {
        *pruned = Some(now);
        // What is too old is in nobody's way.
        if let Err(error) = prune(app).await {
            tracing::warn!(error = %chain(&error), "What charts show no more was not deleted");
        }
    }
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let is_there: HashSet<WorkspaceId> =
        snapshot.config.workspaces.values().map(|it| it.id).collect();
    app.series.by_workspace.lock().await.retain(|id, _| is_there.contains(id));
    let mut counted = app.clock.now().timestamp_millis();
    let (mut is_all, mut failed) = (true, None);
    let mut left: VecDeque<WorkspaceId> = is_there.into_iter().collect();
    // A part of each in turn: nobody waits until what others have left is counted.
    while let Some(workspace) = left.pop_front() {
        match app.series.count(app, workspace).await {
            Ok(Reached::All(at)) => counted = counted.min(at),
            // The next round finds it in the tree.
            Ok(Reached::Waiting(at)) => {
                (is_all, counted) = (false, counted.min(at.unwrap_or_default()));
            }
            // Whoever wants to stop is not kept waiting; what has been counted is in the database.
            Ok(Reached::Some) if !is_last && app.stop.is_cancelled() => return Ok(()),
            Ok(Reached::Some) => left.push_back(workspace),
            // The others are counted all the same, and nobody is told that all is.
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let is_closed = is_last && is_all;
    if is_closed || *told + TOLD_EVERY_MS <= counted {
        let mut tx = app.db.begin().await?;
        store::tell(&mut tx, &app.log.verifier_key(), (counted, is_closed)).await?;
        tx.commit().await?;
        *told = counted;
    }
    Ok(())
}

impl Series {
    /// Counts what has been recorded here, as far as that can be done at a time. Up to when that is, in
    /// milliseconds since 1970, if it is all.
    pub(super) async fn catch_up(&self, app: &App, workspace: WorkspaceId) -> Option<i64> {
        match self.count(app, workspace).await {
            Ok(Reached::All(at)) => Some(at),
            Ok(Reached::Waiting(at)) => at,
            Ok(Reached::Some) => None,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "What charts show cannot be counted");
                None
            }
        }
    }

    async fn count(&self, app: &App, workspace: WorkspaceId) -> Result<Reached, CountError> {
        let mut all = self.by_workspace.lock().await;
        // What was recorded before this moment is in the tail, if not in the tree.
        let now = app.clock.now().timestamp_millis();
        let latest = app.log.tail(workspace.0, 1).pop();
        let size = app.log.checkpoint(workspace.0).map_or(0, |it| it.size);
        let is_known = |next: u64| latest.is_none_or(|it| it.index.is_some_and(|it| it < next));
        if size == 0 {
            return Ok(if is_known(0) { Reached::All(now) } else { Reached::Waiting(None) });
        }
        let log = app.log.verifier_key();
        // Taken out as long as it is worked on: what has failed, or was given up, is read anew.
        let mut counting = match all.remove(&workspace) {
            Some(counting) => counting,
            None => Counting::load(app, (workspace, &log), size).await?,
        };
        if counting.next < size {
            counting.take_more(app, workspace).await?;
            counting.write(app, (workspace, &log)).await?;
        }
        let (next, last) = (counting.next, counting.time_ms);
        all.insert(workspace, counting);
        Ok(match next < size {
            true => Reached::Some,
            false if is_known(next) => Reached::All(now),
            false => Reached::Waiting(Some(last)),
        })
    }
}

pub(super) async fn read(
    app: &App,
    workspace: WorkspaceId,
    from: u64,
    limit: usize,
) -> Result<Vec<TailEntry>, CountError> {
    let log = app.log.clone();
    let reading = move || log.entries(workspace.0, from, limit);
    Ok(tokio::task::spawn_blocking(reading).await??)
}

impl Counting {
    /// As it was when it was written last.
    async fn load(
        app: &App,
        (workspace, log): (WorkspaceId, &str),
        size: u64,
    ) -> Result<Self, CountError> {
        let mut tx = app.db.read().await?;
        let Some(progress) = store::progress(&mut tx, workspace, log).await? else {
            return Ok(Self::default());
        };
        let count = |it: i64| u64::try_from(it).unwrap_or_default();
        let next = count(progress.next);
        if progress.next == FORGOTTEN || size < next {
            drop(tx);
            // What has been put back to an earlier state is counted anew, from its beginning.
            forget(app, (workspace, log), progress).await?;
            return Ok(Self::default());
        }
        // The time of a log never goes back: no other bucket gets any more.
        let seconds = progress.time_ms.div_euclid(1_000);
        let mut buckets = BTreeMap::<_, HashMap<Key, Sums>>::new();
        for step in Step::ALL {
            let place = Place { workspace, log, step, at: step.floor(seconds) };
            for (at, key, sums) in store::counted(&mut tx, place).await? {
                buckets.entry((step, at)).or_default().insert(key, sums);
            }
        }
        let apart = store::count_open(&mut tx, workspace, log).await?;
        drop(tx);
        let open = Open::read(app, workspace, (count(progress.open), next), count(apart)).await?;
        let (written, time_ms) = (Some(progress.next), progress.time_ms);
        Ok(Self { written, next, time_ms, open, buckets, ..Self::default() })
    }

    /// Counts as many records as are read and written at a time.
    async fn take_more(&mut self, app: &App, workspace: WorkspaceId) -> Result<(), CountError> {
        if self.ahead.is_empty() {
            self.ahead = read(app, workspace, self.next, CHUNK).await?.into();
            if self.ahead.is_empty() {
                return Err(CountError::Short);
            }
        }
        let now = app.clock.now().timestamp();
        while self.dirty.len().max(self.open.unwritten()) < MOST_ROWS
            && let Some(entry) = self.ahead.pop_front()
        {
            self.take(app, workspace, (&entry, now)).await?;
        }
        Ok(())
    }

    /// Counts one record.
    async fn take(
        &mut self,
        app: &App,
        workspace: WorkspaceId,
        (entry, now): (&TailEntry, i64),
    ) -> Result<(), CountError> {
        let index = self.next;
        self.next += 1;
        self.time_ms = self.time_ms.max(entry.time_ms);
        self.open.put_apart(index);
        match Tells::of(entry) {
            Tells::Begun(call, key, size) => self.open.begin(call, Begun { index, key, size }),
            Tells::Ended(call, counted) => {
                let log = app.log.verifier_key();
                // What is said beside calls has begun as none.
                let ended = self.open.end(app, (workspace, &log), call).await?;
                if let Some(Begun { key, size, .. }) = ended {
                    let counted = Counted { size: size.plus(counted.size), ..counted };
                    self.add(&key, &counted, now);
                }
            }
            Tells::Refused(key, counted) => self.add(&key, &counted, now),
            Tells::Spoken(_) | Tells::Nothing => {}
        }
        Ok(())
    }

    fn add(&mut self, key: &Key, counted: &Counted, now: i64) {
        let key = Key { outcome: counted.end.as_str().to_owned(), ..key.clone() };
        let seconds = self.time_ms.div_euclid(1_000);
        for step in Step::ALL.into_iter().filter(|it| now - it.kept() <= seconds) {
            let at = step.floor(seconds);
            let bucket = self.buckets.entry((step, at)).or_default();
            let key = key.fitting(bucket, step.most_keys());
            let sums = bucket.entry(key.clone()).or_default();
            sums.calls = sums.calls.saturating_add(counted.calls);
            sums.size = sums.size.plus(counted.size);
            if let Some((total, upstream)) = counted.took {
                sums.added.add(total.saturating_sub(upstream));
                sums.upstream.add(upstream);
            }
            self.dirty.insert((step, at, key));
        }
    }

    /// Writes what has been counted, and up to where that is.
    async fn write(
        &mut self,
        app: &App,
        (workspace, log): (WorkspaceId, &str),
    ) -> Result<(), CountError> {
        let index = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let next = index(self.next);
        let progress = Progress {
            next,
            open: index(self.open.first().unwrap_or(self.next)),
            under_way: index(self.open.count()),
            time_ms: self.time_ms,
        };
        let mut tx = app.db.begin().await?;
        // Whoever else has this log, such as a process that follows, has counted on from here, or waits.
        if !store::advance(&mut tx, (workspace, log), self.written, progress).await? {
            return Err(CountError::Beside);
        }
        self.write_rows(&mut tx, (workspace, log)).await?;
        self.open.write(&mut tx, (workspace, log)).await?;
        tx.commit().await?;
        self.written = Some(next);
        self.dirty.clear();
        self.open.written();
        for step in Step::ALL {
            let newest = self.buckets.keys().filter(|it| it.0 == step).map(|it| it.1).max();
            self.buckets.retain(|it, _| it.0 != step || Some(it.1) == newest);
        }
        Ok(())
    }

    async fn write_rows(
        &self,
        tx: &mut Tx,
        (workspace, log): (WorkspaceId, &str),
    ) -> Result<(), DbError> {
        let mut dirty: Vec<_> = self.dirty.iter().collect();
        dirty.sort();
        for (step, at, key) in dirty {
            let sums = self.buckets.get(&(*step, *at)).and_then(|it| it.get(key));
            if let Some(sums) = sums {
                let place = Place { workspace, log, step: *step, at: *at };
                store::put(tx, place, (key, sums)).await?;
            }
        }
        Ok(())
    }
}

impl Key {
    /// Itself where there is room for it, else without what there are most of, else none.
    fn fitting(&self, bucket: &HashMap<Self, Sums>, room: usize) -> Self {
        if bucket.contains_key(self) || bucket.len() < room {
            return self.clone();
        }
        let other = || OTHER.to_owned();
        let without_people = Self { user: other(), app: other(), ..self.clone() };
        if bucket.contains_key(&without_people) || bucket.len() < room + room / 2 {
            return without_people;
        }
        let outcome = self.outcome.clone();
        let (gateway, server, tool) = (other(), other(), other());
        Self { gateway, server, tool, outcome, ..without_people }
    }
}
