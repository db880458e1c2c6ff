//! The threads of a content store: one seals and writes, one brings files to the disk.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::file::{self, Name, day_folder};
use super::seal;
use super::store::{Job, Queued, Shared};
use crate::batch::{Batch, LogError};

/// Seals and writes, in the order in which places were given out.
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

    pub(crate) fn run(mut self) {
        while let Some((jobs, batch)) = self.next() {
            self.work(&jobs, &batch);
        }
        self.round.complete = self.shared.state.lock().leave_all();
        self.shared.sync.push(std::mem::take(&mut self.round), false);
        self.shared.sync.writer_ends();
    }

    fn next(&self) -> Option<(Vec<Job>, Arc<Batch>)> {
        let mut state = self.shared.state.lock();
        loop {
            if let Some(batch) = state.batch.take() {
                return Some((std::mem::take(&mut state.jobs), batch));
            }
            if state.is_closing {
                return None;
            }
            state.writer_idles = true;
            self.shared.work.wait(&mut state);
        }
    }

    fn work(&mut self, jobs: &[Job], batch: &Arc<Batch>) {
        let result = jobs.iter().try_for_each(|job| self.job(job)).and_then(|()| self.flush());
        let mut state = self.shared.state.lock();
        state.queued_bytes -= bytes_of(jobs);
        let Err(error) = result else {
            drop(state);
            self.round.batches.push(Arc::clone(batch));
            self.shared.sync.push(std::mem::take(&mut self.round), batch.wants_sync());
            return batch.finish_written();
        };
        // Nobody relies on what this batch has written: new content begins elsewhere. What has been
        // given a place behind it meanwhile fails as well: it would leave a gap before it.
        tracing::error!(%error, "content could not be written");
        let (behind, batch_behind) = (std::mem::take(&mut state.jobs), state.batch.take());
        state.queued_bytes -= bytes_of(&behind);
        let mut begins: HashMap<Name, u64> = HashMap::new();
        for job in jobs.iter().chain(&behind) {
            match job {
                Job::Append(queued) => {
                    let name = name_of(queued);
                    state.abandon(name);
                    begins.entry(name).or_insert(queued.reference.offset);
                }
                Job::Complete(name) => self.round.complete.push(*name),
                Job::Erase(..) => {}
            }
        }
        drop(state);
        self.buffer.clear();
        self.place = None;
        self.cut_back(&begins);
        self.shared.sync.push(std::mem::take(&mut self.round), false);
        let is_full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let reason = if is_full { LogError::Full } else { LogError::Io };
        batch.fail(reason);
        if let Some(behind) = batch_behind {
            behind.fail(reason);
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
        let name = name_of(queued);
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
        let content = (&queued.digest, queued.parts.as_slice());
        seal::seal(&mut self.buffer, &queued.key, &queued.reference, content, |buffer| {
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
    fn push(&self, round: Round, is_wanted: bool) {
        let mut state = self.state.lock();
        state.round.written.extend(round.written);
        state.round.created.extend(round.created);
        state.round.complete.extend(round.complete);
        state.round.batches.extend(round.batches);
        state.is_wanted |= is_wanted;
        drop(state);
        self.due.notify_one();
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

impl Round {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.complete.is_empty() && self.batches.is_empty()
    }
}

/// The body of the syncer.
pub(crate) fn run(shared: &Shared) {
    loop {
        let (round, is_last) = shared.sync.next(shared.options.sync_every);
        match sync(shared, &round) {
            Ok(()) => round.batches.iter().for_each(|batch| batch.finish_synced()),
            Err(error) => {
                tracing::error!(%error, "content could not be synced");
                // What these files hold on disk is not known: they get nothing more.
                let mut state = shared.state.lock();
                round.written.keys().for_each(|name| state.abandon(*name));
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
    round.written.values().try_for_each(|file| file.sync_data())?;
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

fn write(file: &File, place: &mut Option<(Name, u64)>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let Some((_, at)) = place else { return Ok(()) };
    file.write_all_at(buffer, *at)?;
    *at += buffer.len() as u64;
    buffer.clear();
    Ok(())
}

/// The bytes of content that wait in them.
fn bytes_of(jobs: &[Job]) -> usize {
    let bytes = jobs.iter().map(|job| match job {
        Job::Append(queued) => usize::try_from(queued.digest.len).unwrap_or(usize::MAX),
        Job::Complete(_) | Job::Erase(..) => 0,
    });
    bytes.sum()
}

fn name_of(queued: &Queued) -> Name {
    let reference = &queued.reference;
    Name { workspace: reference.workspace, day: reference.day, number: reference.segment }
}

/// Small contents share a write of about this size.
const WRITE_BYTES: usize = 1024 * 1024;
/// Files that are kept open for writing.
const OPEN_FILES: usize = 128;
