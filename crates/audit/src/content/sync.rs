//! The pen of a content store, the thread that holds it when callers do not, and the thread that
//! brings files to the disk.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::fs::Advice;

use super::ContentRef;
use super::file::{self, Name, day_folder};
use super::seal;
use super::store::{Job, Queued, Shared, State};
use crate::batch::{Append, Batch, Durability, LogError, Receipt};

/// Seals and writes, in the order in which places were given out. A caller that has sealed small
/// content writes it without the thread; see [`crate::pace`].
pub(crate) struct Writer {
    shared: Arc<Shared>,
    files: HashMap<Name, Arc<File>>,
    /// Sealed bytes that are not yet written, and where they go.
    buffer: Vec<u8>,
    place: Option<(Name, u64)>,
    round: Round,
}

/// What one batch leaves for the syncer.
#[derive(Default)]
struct Round {
    written: HashMap<Name, Arc<File>>,
    created: Vec<Name>,
    complete: Vec<Name>,
    batches: Vec<Arc<Batch>>,
    /// How much was written.
    bytes: usize,
}

/// Between writer and syncer.
#[derive(Default)]
pub(crate) struct SyncQueue {
    state: Mutex<SyncState>,
    due: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct SyncState {
    round: Round,
    is_wanted: bool,
    writer_ended: bool,
    has_ended: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, files: HashMap::new(), buffer: vec![], place: None, round: Round::default() }
    }

    /// The body of the thread.
    pub(crate) fn run(pen: &Mutex<Self>, shared: &Shared) {
        while has_work(shared) {
            let mut writer = pen.lock();
            // Only who has the pen takes jobs: nothing is written before what has its place before.
            let mut state = shared.state.lock();
            let Some(batch) = state.batch.take() else { continue };
            let jobs = std::mem::take(&mut state.jobs);
            drop(state);
            writer.work(&jobs, &batch);
        }
        let mut writer = pen.lock();
        writer.round.complete = shared.state.lock().leave_all();
        shared.sync.push(std::mem::take(&mut writer.round), false);
        shared.sync.writer_ends();
    }

    /// Writes a sealed item for the caller that holds the pen, at the place that `reference` gets
    /// here. `None` when it is for the thread to do, because something is in the way.
    ///
    /// # Errors
    ///
    /// When writing failed; then nothing of it stays.
    pub(crate) fn write_one(
        &mut self,
        item: &[u8],
        reference: &mut ContentRef,
        durability: Durability,
        now: Duration,
    ) -> Result<Option<Append>, LogError> {
        let shared = Arc::clone(&self.shared);
        let name = name_of(reference);
        let Some(file) = self.files.get(&name) else { return Ok(None) };
        let Some(offset) = shared.state.lock().give_place(&shared.options, reference) else {
            return Ok(None);
        };
        reference.offset = offset;
        let write = || file.write_all_at(item, offset);
        if let Err(error) = shared.watched.pace.watch(shared.clock.as_ref(), now, write) {
            tracing::error!(%error, "content could not be written");
            let reason = reason(&error);
            let mut state = shared.state.lock();
            state.abandon(name);
            self.fail_behind(state, HashMap::from([(name, offset)]), reason);
            return Err(reason);
        }
        if durability == Durability::Written {
            shared.sync.note(name, file, item.len());
            return Ok(Some(Append::done(Receipt { sequence: 0 })));
        }
        let batch = shared.watched.open(now);
        batch.finish_written();
        let append = Append::waiting(Arc::clone(&batch), 0, durability);
        let written = HashMap::from([(name, Arc::clone(file))]);
        let bytes = item.len();
        shared.sync.push(Round { written, batches: vec![batch], bytes, ..Round::default() }, true);
        Ok(Some(append))
    }

    fn work(&mut self, jobs: &[Job], batch: &Arc<Batch>) {
        let result = jobs.iter().try_for_each(|job| self.job(job)).and_then(|()| self.flush());
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let bytes = bytes_of(jobs);
        state.queued_bytes -= bytes;
        self.round.bytes += bytes;
        let Err(error) = result else {
            drop(state);
            self.round.batches.push(Arc::clone(batch));
            self.shared.sync.push(std::mem::take(&mut self.round), batch.wants_sync());
            return batch.finish_written();
        };
        tracing::error!(%error, "content could not be written");
        let mut begins = HashMap::new();
        abandon(jobs, &mut state, &mut self.round, &mut begins);
        let reason = reason(&error);
        self.fail_behind(state, begins, reason);
        batch.fail(reason);
    }

    /// After a failed write: what has been given a place behind it fails as well, since it would
    /// leave a gap before it, and the files end where the failed write began.
    fn fail_behind(
        &mut self,
        mut state: MutexGuard<'_, State>,
        mut begins: HashMap<Name, u64>,
        reason: LogError,
    ) {
        let (behind, batch) = (std::mem::take(&mut state.jobs), state.batch.take());
        state.queued_bytes -= bytes_of(&behind);
        abandon(&behind, &mut state, &mut self.round, &mut begins);
        state.failed = Some((reason, self.shared.clock.monotonic()));
        drop(state);
        self.buffer.clear();
        self.place = None;
        self.cut_back(&begins);
        self.shared.sync.push(std::mem::take(&mut self.round), false);
        if let Some(batch) = batch {
            batch.fail(reason);
        }
    }

    /// Removes what a failed batch has written. Where even that fails, the next start does it.
    fn cut_back(&mut self, begins: &HashMap<Name, u64>) {
        for (name, begin) in begins {
            if let Some(file) = self.files.remove(name)
                && let Err(error) = file.set_len(*begin)
            {
                tracing::error!(%error, "the rest of a failed write of content stays");
            }
        }
    }

    fn job(&mut self, job: &Job) -> io::Result<()> {
        match job {
            Job::Append(queued) => self.append(queued),
            Job::Complete(name) => {
                self.flush()?;
                self.files.remove(name);
                self.round.complete.push(*name);
                Ok(())
            }
            Job::Erase(workspace, day) => {
                self.flush()?;
                self.files.retain(|name, _| name.workspace != *workspace || name.day != *day);
                file::erase(&self.shared.options.dir, *workspace, *day)
            }
        }
    }

    fn append(&mut self, queued: &Queued) -> io::Result<()> {
        let name = name_of(&queued.reference);
        let offset = queued.reference.offset;
        let follows = self.place.is_some_and(|(current, start)| {
            current == name && start + self.buffer.len() as u64 == offset
        });
        if !follows {
            self.flush()?;
            self.place = Some((name, offset));
        }
        let file = self.file(name)?;
        let place = &mut self.place;
        let Queued { reference, key, digest, parts } = queued;
        let whose = (reference.workspace, reference.record);
        seal::seal(&mut self.buffer, key, whose, (digest, parts), |buffer| {
            if buffer.len() < WRITE_BYTES {
                return Ok(());
            }
            write(&file, place, buffer)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some((name, _)) = self.place else { return Ok(()) };
        let file = self.file(name)?;
        write(&file, &mut self.place, &mut self.buffer)?;
        self.place = None;
        Ok(())
    }

    fn file(&mut self, name: Name) -> io::Result<Arc<File>> {
        if let Some(file) = self.files.get(&name) {
            self.round.written.insert(name, Arc::clone(file));
            return Ok(Arc::clone(file));
        }
        let dir = &self.shared.options.dir;
        let file = match File::options().write(true).open(name.open_path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.round.created.push(name);
                name.create(dir)?
            }
            other => other?,
        };
        let file = Arc::new(file);
        if self.files.len() >= OPEN_FILES {
            self.files.clear();
        }
        self.files.insert(name, Arc::clone(&file));
        self.round.written.insert(name, Arc::clone(&file));
        Ok(file)
    }
}

impl SyncQueue {
    /// A file has grown, and nobody waits for that to be on disk.
    fn note(&self, name: Name, file: &Arc<File>, bytes: usize) {
        let mut state = self.state.lock();
        let is_first = state.round.is_empty();
        state.round.written.entry(name).or_insert_with(|| Arc::clone(file));
        let is_much = state.add(bytes);
        drop(state);
        if is_first || is_much {
            self.due.notify_one();
        }
    }

    fn push(&self, round: Round, is_wanted: bool) {
        let mut state = self.state.lock();
        let is_much = state.add(round.bytes);
        let wake = is_wanted || is_much || state.round.is_empty();
        state.round.written.extend(round.written);
        state.round.created.extend(round.created);
        state.round.complete.extend(round.complete);
        state.round.batches.extend(round.batches);
        state.is_wanted |= is_wanted;
        drop(state);
        if wake {
            self.due.notify_one();
        }
    }

    fn writer_ends(&self) {
        self.state.lock().writer_ended = true;
        self.due.notify_one();
    }

    /// Waits until the last sync is done. Whether it was within `limit`.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let is_running = |state: &mut SyncState| !state.has_ended;
        !self.ended.wait_while_for(&mut state, is_running, limit).timed_out()
    }

    /// The next round and whether it is the last. Waits until it is due.
    fn next(&self, every: Duration) -> (Round, bool) {
        let mut state = self.state.lock();
        while state.round.is_empty() && !state.writer_ended {
            self.due.wait(&mut state);
        }
        let may_wait = |state: &mut SyncState| !state.is_wanted && !state.writer_ended;
        self.due.wait_while_for(&mut state, may_wait, every);
        state.is_wanted = false;
        (std::mem::take(&mut state.round), state.writer_ended)
    }
}

impl SyncState {
    /// Counts what was written. Whether it has just become too much to wait for its time.
    fn add(&mut self, bytes: usize) -> bool {
        self.round.bytes += bytes;
        let is_much = SYNC_BYTES <= self.round.bytes && !self.is_wanted;
        self.is_wanted |= is_much;
        is_much
    }
}

impl Round {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.complete.is_empty() && self.batches.is_empty()
    }
}

/// The body of the syncer.
pub(crate) fn run(shared: &Shared) {
    loop {
        let (round, is_last) = shared.sync.next(shared.options.sync_every);
        shared.watched.pace.sync_begins(shared.clock.monotonic());
        let result = sync(shared, &round);
        shared.watched.pace.sync_ends();
        match result {
            Ok(()) => round.batches.iter().for_each(|batch| batch.finish_synced()),
            Err(error) => {
                tracing::error!(%error, "content could not be synced");
                // What these files hold on disk is not known: they get nothing more.
                let mut state = shared.state.lock();
                round.written.keys().for_each(|name| state.abandon(*name));
                state.failed = Some((LogError::Io, shared.clock.monotonic()));
                drop(state);
                round.batches.iter().for_each(|batch| batch.fail(LogError::Io));
            }
        }
        if is_last {
            break;
        }
    }
    shared.sync.state.lock().has_ended = true;
    shared.sync.ended.notify_all();
}

fn sync(shared: &Shared, round: &Round) -> io::Result<()> {
    let dir = &shared.options.dir;
    round.written.values().try_for_each(|file| sync_file(file))?;
    for name in &round.created {
        let day = day_folder(dir, name.workspace, name.day);
        for folder in day.ancestors().take_while(|folder| folder.starts_with(dir)) {
            match File::open(folder) {
                Ok(folder) => folder.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    for name in &round.complete {
        match name.complete(dir) {
            // Nothing was written to it, or its day was erased.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Brings a file to the disk, and gives the memory back that the system keeps of it. Content is
/// rarely read again, and writing into memory that has just been in use costs a fraction of what
/// fresh memory does.
fn sync_file(file: &File) -> io::Result<()> {
    let end = file.metadata()?.len();
    file.sync_data()?;
    // What comes next shares a page with the end, and must not wait for that to be read again.
    if let Some(old) = NonZeroU64::new(end.saturating_sub(RECENT)) {
        // Without it the system does as it would have done.
        rustix::fs::fadvise(file, 0, Some(old), Advice::DontNeed).ok();
    }
    Ok(())
}

fn write(file: &File, place: &mut Option<(Name, u64)>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let Some((_, at)) = place else { return Ok(()) };
    file.write_all_at(buffer, *at)?;
    *at += buffer.len() as u64;
    buffer.clear();
    Ok(())
}

/// Waits until there are jobs. `false` at the end.
fn has_work(shared: &Shared) -> bool {
    let mut state = shared.state.lock();
    while state.batch.is_none() && !state.is_closing {
        state.writer_idles = true;
        shared.work.wait(&mut state);
    }
    state.batch.is_some()
}

/// Nobody relies on what a failed write has left: new content begins in other files. Notes where
/// the failed write began in each.
fn abandon(jobs: &[Job], state: &mut State, round: &mut Round, begins: &mut HashMap<Name, u64>) {
    for job in jobs {
        match job {
            Job::Append(queued) => {
                let name = name_of(&queued.reference);
                state.abandon(name);
                begins.entry(name).or_insert(queued.reference.offset);
            }
            Job::Complete(name) => round.complete.push(*name),
            Job::Erase(..) => {}
        }
    }
}

/// The bytes of content that wait in them.
fn bytes_of(jobs: &[Job]) -> usize {
    let bytes = jobs.iter().map(|job| match job {
        Job::Append(queued) => usize::try_from(queued.digest.len).unwrap_or(usize::MAX),
        Job::Complete(_) | Job::Erase(..) => 0,
    });
    bytes.sum()
}

fn reason(error: &io::Error) -> LogError {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if is_full { LogError::Full } else { LogError::Io }
}

fn name_of(reference: &ContentRef) -> Name {
    Name { workspace: reference.workspace, day: reference.day, number: reference.segment }
}

/// Small contents share a write of about this size.
const WRITE_BYTES: usize = 1024 * 1024;
/// With this much written, the syncer begins before its time.
const SYNC_BYTES: usize = 16 * 1024 * 1024;
/// So much of a file's end stays in memory.
const RECENT: u64 = 256 * 1024;
/// Files that are kept open for writing.
const OPEN_FILES: usize = 128;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn much_content_is_synced_before_its_time() {
        let (queue, file) = (SyncQueue::default(), Arc::new(tempfile::tempfile().unwrap()));
        let name = Name { workspace: Uuid::nil(), day: 1, number: 1 };
        let an_hour = Duration::from_secs(3600);
        for bytes in [vec![SYNC_BYTES], vec![SYNC_BYTES / 2; 2]] {
            bytes.iter().for_each(|bytes| queue.note(name, &file, *bytes));
            let (round, is_last) = queue.next(an_hour);
            assert!(round.written.contains_key(&name) && !is_last);
        }
        queue.note(name, &file, SYNC_BYTES - 1);
        let (round, _) = queue.next(Duration::ZERO);
        assert_eq!(round.bytes, SYNC_BYTES - 1, "what was counted before is forgotten");
        let round = Round { bytes: SYNC_BYTES, ..Round::default() };
        queue.push(round, false);
        assert!(queue.state.lock().is_wanted);
    }
}
