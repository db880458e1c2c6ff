//! Appending content: places are given out under one lock, so a leaf can name them at once; content
//! is written in the same order, by its caller or by a thread.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::file::{self, Name};
use super::seal::{self, MAX_CONTENT, SealKey};
use super::sync::{SyncQueue, Writer};
use super::{ContentDigest, ContentError, ContentRef, DataKeys, digest};
use crate::batch::{Append, Batch, Durability, LogError};
use crate::clock::Clock;
use crate::pace::PATIENCE;
use crate::watchdog::Watched;

/// How a content store works.
#[derive(Clone, Debug)]
pub struct ContentOptions {
    /// The folder; made if missing. One process at a time.
    pub dir: PathBuf,
    /// How long written content may wait for its sync when nobody asks for one.
    pub sync_every: Duration,
    /// How long an append may take before it fails, whatever the disk does.
    pub deadline: Duration,
    /// The size at which a new file begins, with a new key asked for.
    pub segment_bytes: u64,
    /// Bound on the bytes of content that are not yet written.
    pub queue_bytes: usize,
    /// Whether a caller writes small content on its own thread while the disk is quick; as
    /// [`crate::Options::callers_write`].
    pub callers_write: bool,
}

/// Sealed content beside the log. Closed with [`ContentStore::close`] or when dropped.
pub struct ContentStore {
    shared: Arc<Shared>,
    pen: Arc<Mutex<Writer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Resolves when content is durable. Dropping it does not take the content back.
#[must_use = "the content is not durable before this resolves"]
#[derive(Debug)]
pub struct ContentDurable(Append);

/// What the threads of a store share.
pub(crate) struct Shared {
    pub(crate) options: ContentOptions,
    pub(crate) clock: Arc<dyn Clock>,
    keys: Arc<dyn DataKeys>,
    pub(crate) state: Mutex<State>,
    pub(crate) work: Condvar,
    pub(crate) sync: SyncQueue,
    pub(crate) watched: Watched,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) jobs: Vec<Job>,
    pub(crate) batch: Option<Arc<Batch>>,
    pub(crate) queued_bytes: usize,
    cursors: HashMap<(Uuid, i32), Cursor>,
    /// The last failure, and when it was.
    pub(crate) failed: Option<(LogError, Duration)>,
    pub(crate) is_closing: bool,
    pub(crate) writer_idles: bool,
}

/// Where the next content of a workspace and day goes.
struct Cursor {
    number: u32,
    offset: u64,
    key: Arc<SealKey>,
    /// As of which [`DataKeys::destroyed`] the key was given.
    as_of: i64,
}

pub(crate) enum Job {
    Append(Box<Queued>),
    /// Nothing more will be appended to a file.
    Complete(Name),
    Erase(Uuid, i32),
}

pub(crate) struct Queued {
    pub(crate) reference: ContentRef,
    pub(crate) key: Arc<SealKey>,
    pub(crate) digest: ContentDigest,
    pub(crate) parts: Vec<Bytes>,
}

impl ContentOptions {
    /// The defaults for a folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync_every: Duration::from_millis(100),
            deadline: Duration::from_secs(2),
            segment_bytes: 64 * 1024 * 1024,
            queue_bytes: 64 * 1024 * 1024,
            callers_write: true,
        }
    }
}

impl ContentStore {
    /// Opens or makes the store. What an earlier run left unfinished is cut.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used.
    pub fn open(
        options: ContentOptions,
        keys: Arc<dyn DataKeys>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(&options.dir)?;
        file::repair(&options.dir)?;
        let shared = Arc::new(Shared {
            watched: Watched::new(Arc::clone(&clock), options.deadline),
            options,
            clock,
            keys,
            state: Mutex::default(),
            work: Condvar::new(),
            sync: SyncQueue::default(),
        });
        let pen = Arc::new(Mutex::new(Writer::new(Arc::clone(&shared))));
        let held = Arc::clone(&pen);
        let store = Self { shared: Arc::clone(&shared), pen, threads: Mutex::default() };
        let (writing, syncing, watching) = (Arc::clone(&shared), Arc::clone(&shared), shared);
        // Should one thread fail to start, dropping `store` ends those before it.
        store.start("content-writer", move || Writer::run(&held, &writing))?;
        store.start("content-syncer", move || super::sync::run(&syncing))?;
        store.start("content-watchdog", move || watching.watched.run())?;
        Ok(store)
    }

    /// Takes content and tells at once where it is, or will be. Hashes on the calling thread, and
    /// seals and writes small content there too while the disk is quick. What is large is sealed
    /// and written elsewhere, straight from the parts.
    ///
    /// The leaf that names the place is to be appended to the log *after* the future has resolved.
    /// Else a crash in between leaves a record whose content is missing, which the verifier cannot
    /// tell from content that was taken away.
    ///
    /// # Errors
    ///
    /// When it cannot be queued. Whether it is durable is told by the future.
    pub fn append(
        &self,
        workspace: Uuid,
        record: Uuid,
        parts: &[Bytes],
        durability: Durability,
    ) -> Result<(ContentRef, ContentDurable), ContentError> {
        if self.shared.watched.is_blocked() {
            return Err(LogError::Deadline.into());
        }
        let digest = digest(parts);
        if digest.len >= MAX_CONTENT {
            return Err(LogError::TooLarge.into());
        }
        let day = day(self.shared.clock.now_ms());
        let size = seal::sealed_len(digest.len);
        let queued = usize::try_from(digest.len).unwrap_or(usize::MAX);
        let opened = self.shared.clock.monotonic();
        let mut reference = ContentRef {
            workspace,
            record,
            day,
            segment: 0,
            offset: 0,
            key: Uuid::nil(),
            digest: digest.sha256,
            len: digest.len,
        };
        let as_of = self.shared.keys.destroyed();
        let may_write = queued <= SMALL && self.shared.options.callers_write;
        if may_write && self.shared.watched.pace.is_quick(opened) {
            let sealing = (&digest, parts);
            let when = (as_of, opened);
            if let Some(append) = self.write_one(&mut reference, sealing, durability, when)? {
                return Ok((reference, ContentDurable(append)));
            }
        }
        let mut state = self.shared.state.lock();
        loop {
            state.admit(queued, self.shared.options.queue_bytes)?;
            let fits =
                |it: &&mut Cursor| as_of <= it.as_of && it.has_room(size, &self.shared.options);
            let Some(cursor) = state.cursors.get_mut(&(workspace, day)).filter(fits) else {
                drop(state);
                state = self.begin_file(workspace, day)?;
                continue;
            };
            reference.segment = cursor.number;
            reference.offset = cursor.offset;
            reference.key = cursor.key.id;
            cursor.offset += size;
            let key = Arc::clone(&cursor.key);
            state.queued_bytes += queued;
            let job = Queued { reference: reference.clone(), key, digest, parts: parts.to_vec() };
            let batch = self.push(&mut state, Job::Append(Box::new(job)), opened);
            let durable = Append::waiting(batch, 0, durability);
            drop(state);
            return Ok((reference, ContentDurable(durable)));
        }
    }

    /// Whether the disk has not answered within the deadline, and still does not.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.shared.watched.is_blocked()
    }

    /// Why content is not taken, as far as the last seconds have shown.
    #[must_use]
    pub fn refusal(&self) -> Option<LogError> {
        let now = self.shared.clock.monotonic();
        let is_fresh = |at: Duration| now.saturating_sub(at) < FRESH;
        let failed = self.shared.state.lock().failed.filter(|(_, at)| is_fresh(*at));
        let blocked = self.is_blocked().then_some(LogError::Deadline);
        blocked.or(failed.map(|(reason, _)| reason))
    }

    /// Gives content back. Reads the disk.
    ///
    /// # Errors
    ///
    /// When it was erased, is missing, or is not what was recorded.
    pub fn read(&self, reference: &ContentRef) -> Result<Vec<u8>, ContentError> {
        read(&self.shared.options.dir, self.shared.keys.as_ref(), reference)
    }

    /// Removes the content of a day for good. Proofs stay. Waits for the disk.
    ///
    /// # Errors
    ///
    /// When files could not be removed: then it must be asked for again.
    pub fn erase_day(&self, workspace: Uuid, day: i32) -> Result<(), ContentError> {
        let opened = self.shared.clock.monotonic();
        let mut state = self.shared.state.lock();
        if state.is_closing {
            return Err(LogError::Closed.into());
        }
        if let Some(cursor) = state.cursors.get_mut(&(workspace, day)) {
            cursor.offset = u64::MAX;
        }
        let batch = self.push(&mut state, Job::Erase(workspace, day), opened);
        drop(state);
        Ok(Append::waiting(batch, 0, Durability::Synced).wait().map(drop)?)
    }

    /// Writes what is queued and ends the threads. Does nothing the second time.
    ///
    /// # Errors
    ///
    /// When the disk does not answer: then the threads are left to themselves.
    pub fn close(&self) -> Result<(), LogError> {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return Ok(());
        }
        self.shared.state.lock().is_closing = true;
        self.shared.work.notify_one();
        let limit = self.shared.options.deadline + CLOSE_EXTRA;
        if !self.shared.sync.wait_for_end(limit) {
            tracing::error!("the content disk does not answer; the store is left without an end");
            return Err(LogError::Deadline);
        }
        self.shared.watched.end();
        let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        if panicked == 0 { Ok(()) } else { Err(LogError::Io) }
    }

    /// Seals content and writes it on this thread, unless something is in the way.
    fn write_one(
        &self,
        reference: &mut ContentRef,
        (digest, parts): (&ContentDigest, &[Bytes]),
        durability: Durability,
        (as_of, now): (i64, Duration),
    ) -> Result<Option<Append>, LogError> {
        let of_day = (reference.workspace, reference.day);
        let key = {
            let state = self.shared.state.lock();
            let of_day = state.cursors.get(&of_day).filter(|it| as_of <= it.as_of);
            let Some(cursor) = of_day else { return Ok(None) };
            reference.segment = cursor.number;
            Arc::clone(&cursor.key)
        };
        reference.key = key.id;
        let size = usize::try_from(seal::sealed_len(digest.len)).unwrap_or(0);
        let mut item = Vec::with_capacity(size);
        let whose = (reference.workspace, reference.record);
        let kept = |_: &mut Vec<u8>| Ok::<_, LogError>(());
        seal::seal(&mut item, &key, whose, (digest, parts), kept)?;
        let Some(mut writer) = self.pen.try_lock_for(PATIENCE) else { return Ok(None) };
        writer.write_one(&item, reference, durability, now)
    }

    fn start(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn push(&self, state: &mut State, job: Job, now: Duration) -> Arc<Batch> {
        state.jobs.push(job);
        let batch = state.batch.get_or_insert_with(|| self.shared.watched.open(now));
        let batch = Arc::clone(batch);
        if std::mem::take(&mut state.writer_idles) {
            self.shared.work.notify_one();
        }
        batch
    }

    /// Makes room for new content of a day: a new file, and a key for it.
    fn begin_file(
        &self,
        workspace: Uuid,
        day: i32,
    ) -> Result<parking_lot::MutexGuard<'_, State>, ContentError> {
        let before = self.shared.state.lock().cursors.get(&(workspace, day)).map(|c| c.number);
        // Asking for a key and looking at the disk may take long: not under the lock. Keys may be
        // destroyed meanwhile.
        let as_of = self.shared.keys.destroyed();
        let key = self.shared.keys.current(workspace, day)?;
        let number = match before {
            Some(number) => number,
            None => file::list(&self.shared.options.dir, workspace, day)?
                .iter()
                .map(|(number, _)| *number)
                .max()
                .unwrap_or(0),
        };
        let key = Arc::new(SealKey::new(&key));
        let cursor = Cursor { number: number + 1, offset: 0, key, as_of };
        let mut state = self.shared.state.lock();
        // Somebody else may have been faster.
        if state.cursors.get(&(workspace, day)).map(|c| c.number) == before {
            let now = self.shared.clock.monotonic();
            for name in state.leave(workspace, day) {
                self.push(&mut state, Job::Complete(name), now);
            }
            state.cursors.insert((workspace, day), cursor);
        }
        Ok(state)
    }
}

impl Drop for ContentStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the content store was not closed cleanly");
        }
    }
}

impl Future for ContentDurable {
    type Output = Result<(), LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| result.map(drop))
    }
}

impl ContentDurable {
    /// Waits on the current thread. Not for async code.
    ///
    /// # Errors
    ///
    /// As the future.
    pub fn wait(self) -> Result<(), LogError> {
        self.0.wait().map(drop)
    }
}

impl Cursor {
    fn has_room(&self, size: u64, options: &ContentOptions) -> bool {
        let end = self.offset.checked_add(size);
        self.offset == 0 || end.is_some_and(|end| end <= options.segment_bytes)
    }
}

impl State {
    /// The place for an item that was sealed for the file and key of `reference`. None if those are
    /// no longer the current ones, or something is to be written first.
    pub(crate) fn give_place(
        &mut self,
        options: &ContentOptions,
        reference: &ContentRef,
    ) -> Option<u64> {
        if self.is_closing || self.batch.is_some() {
            return None;
        }
        let size = seal::sealed_len(reference.len);
        let cursor = self.cursors.get_mut(&(reference.workspace, reference.day))?;
        if cursor.number != reference.segment || !cursor.has_room(size, options) {
            return None;
        }
        let offset = cursor.offset;
        cursor.offset += size;
        Some(offset)
    }

    fn admit(&self, bytes: usize, bound: usize) -> Result<(), LogError> {
        if self.is_closing {
            return Err(LogError::Closed);
        }
        // One content larger than the bound passes alone rather than never.
        let is_alone = self.queued_bytes == 0;
        let fits = self.queued_bytes.checked_add(bytes).is_some_and(|sum| sum <= bound);
        if fits || is_alone { Ok(()) } else { Err(LogError::Overloaded) }
    }

    /// The files that a new one replaces: that of the same day, and those of days gone by.
    fn leave(&mut self, workspace: Uuid, day: i32) -> Vec<Name> {
        let is_left = |id: &(Uuid, i32)| *id == (workspace, day) || id.1 < day - 1;
        let left: Vec<_> = self.cursors.keys().copied().filter(is_left).collect();
        left.into_iter()
            .filter_map(|id| {
                let cursor = self.cursors.remove(&id)?;
                Some(Name { workspace: id.0, day: id.1, number: cursor.number })
            })
            .collect()
    }

    /// A write failed: what comes next goes to another file.
    pub(crate) fn abandon(&mut self, name: Name) {
        if let Some(cursor) = self.cursors.get_mut(&(name.workspace, name.day))
            && cursor.number == name.number
        {
            cursor.offset = u64::MAX;
        }
    }

    /// All files, at the end.
    pub(crate) fn leave_all(&mut self) -> Vec<Name> {
        let name = |((workspace, day), cursor): ((Uuid, i32), Cursor)| Name {
            workspace,
            day,
            number: cursor.number,
        };
        self.cursors.drain().map(name).collect()
    }
}

/// Reads content from the files of a store, which may be in use.
fn read(dir: &Path, keys: &dyn DataKeys, reference: &ContentRef) -> Result<Vec<u8>, ContentError> {
    let name =
        Name { workspace: reference.workspace, day: reference.day, number: reference.segment };
    let Some(mut file) = name.open(dir)? else {
        let is_erased = file::is_erased(dir, name)?;
        return Err(if is_erased { ContentError::Erased } else { ContentError::Missing });
    };
    let key = keys.open(reference.key)?.ok_or(ContentError::Erased)?;
    let size = seal::sealed_len(reference.len.min(MAX_CONTENT));
    let end = reference.offset.checked_add(size).ok_or(ContentError::Damaged)?;
    if file.metadata()?.len() < end {
        return Err(ContentError::Missing);
    }
    file.seek(SeekFrom::Start(reference.offset))?;
    let mut bytes = vec![];
    file.take(size).read_to_end(&mut bytes)?;
    seal::open(&bytes, reference, &SealKey::new(&key))
}

/// The day of a time.
fn day(now_ms: i64) -> i32 {
    let days = now_ms.div_euclid(MS_PER_DAY);
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// What takes longer to seal and write than a thread may keep others waiting.
const SMALL: usize = 64 * 1024;
const MS_PER_DAY: i64 = 86_400_000;
/// How long after a failure the disk is not believed to be well.
const FRESH: Duration = Duration::from_secs(3);
/// What closing may take beyond a deadline.
const CLOSE_EXTRA: Duration = Duration::from_secs(8);
