//! The log: opening, appending, looking, closing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use uuid::Uuid;

use crate::batch::{Append, Durability, LogError, Receipt};
use crate::clock::Clock;
use crate::entry::Entry;
use crate::merkle::Hash;
use crate::note::{Checkpoint, Signer};
use crate::proof::{self, Proof, ProveError};
use crate::queue::Shared;
use crate::replay::Replayed;
use crate::segment;
use crate::sequencer::{self, Heads, Sequencer};
use crate::syncer::Syncer;
use crate::tail::{Subscription, TailEntry, Tails};
use crate::tile::TreeError;
use crate::tree::Folder;
use crate::writer::{Position, Writer};

/// How a log works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the log; made if missing. One process at a time.
    pub dir: PathBuf,
    /// How long a written record may wait for its sync when nobody asks for one.
    pub sync_every: Duration,
    /// How long an append may take before it fails, whatever the disk does.
    pub deadline: Duration,
    /// How long synced records may wait for their checkpoint.
    pub checkpoint_every: Duration,
    /// The size at which a new segment begins.
    pub segment_bytes: u64,
    /// Bound on the bytes of records that are not yet on disk; beyond it appending is refused.
    pub queue_bytes: usize,
    /// Whether [`Log::write`] writes on its caller's thread while the disk is quick. It is several
    /// times as fast as asking the writer, but a disk that stops between one write and the next then
    /// holds that one thread, which no deadline can free.
    pub callers_write: bool,
}

/// The tamper-evident log. Cheap to clone. Closed by [`Log::close`] or with its last clone; either
/// waits for the disk, so neither belongs on a thread that serves others.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    pen: Arc<Mutex<Writer>>,
    tails: Arc<Tails>,
    heads: Arc<Heads>,
    signer: Arc<Signer>,
    recovery: Recovery,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Holds the lock on the folder.
    lock: File,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("`{path}` is used by another process")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("could not use `{path}` for the audit log")]
    Io {
        /// What was accessed.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A checkpoint was signed with a key that was not given.
    #[error(
        "the audit log of workspace {workspace} was signed with another key; configure the key it was made with"
    )]
    ForeignKey {
        /// Whose log.
        workspace: Uuid,
    },
    /// A file that is always written whole is not.
    #[error(
        "`{file}` in the audit log of workspace {workspace} is damaged; restore it from a backup"
    )]
    Damaged {
        /// Whose log.
        workspace: Uuid,
        /// Which file.
        file: &'static str,
    },
    /// The tiles cannot be read.
    #[error("the tree of workspace {workspace} cannot be read; restore it from a backup")]
    Tree {
        /// Whose log.
        workspace: Uuid,
        /// What is wrong.
        #[source]
        source: TreeError,
    },
    /// Going on would sign a second history.
    #[error(
        "the audit records of workspace {workspace} contradict their signed checkpoint; restore them from a backup"
    )]
    Contradiction {
        /// Whose log.
        workspace: Uuid,
    },
}

/// What opening found. Worth a system record where it is not all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that were in segments only and are in their trees now, or were already.
    pub replayed: u64,
    /// Bytes of unfinished or damaged writes that were cut.
    pub cut_bytes: u64,
    /// Records that were written, not yet synced, and are gone.
    pub missing: u64,
}

/// Whether the log takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Ok,
    /// It does not, but for administrative records while a full disk's reserve lasts.
    Refusing {
        /// Why.
        reason: LogError,
    },
}

/// The state of the log, for readiness and metrics.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether it takes records.
    pub condition: Condition,
    /// Bytes that are not yet on disk.
    pub queued_bytes: usize,
    /// How long the last sync took.
    pub last_sync: Duration,
    /// Records written since opening.
    pub records_written: u64,
    /// The size of the last checkpoint of each workspace that was used since opening.
    pub sizes: Vec<(Uuid, u64)>,
}

impl Options {
    /// The defaults for a folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync_every: Duration::from_millis(100),
            deadline: Duration::from_secs(2),
            checkpoint_every: Duration::from_millis(200),
            segment_bytes: 64 * 1024 * 1024,
            queue_bytes: 64 * 1024 * 1024,
            callers_write: true,
        }
    }
}

impl Log {
    /// Opens or makes the log. Records of an earlier run that were not yet in a tree are put there
    /// first; then the threads start.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, and when going on would hide that it was tampered with.
    pub fn open(
        options: Options,
        signer: Signer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let dir = options.dir.clone();
        let segments = sequencer::segments_folder(&dir);
        std::fs::create_dir_all(&segments).map_err(|source| OpenError::io(&segments, source))?;
        let lock = lock(&dir)?;
        let shared = Arc::new(Shared::new(options, clock));
        let (tails, heads) = (Arc::new(Tails::new()), Arc::new(Heads::default()));
        let signer = Arc::new(signer);

        let (sequencer, replayed) = Sequencer::recover(
            Arc::clone(&shared),
            Arc::clone(&tails),
            Arc::clone(&heads),
            Arc::clone(&signer),
        )?;
        clear(&segments).map_err(|source| OpenError::io(&segments, source))?;
        let position = Position::after(&replayed);
        shared.state.lock().synced_through = position.sequence - 1;

        let folder = File::open(&segments).map_err(|source| OpenError::io(&segments, source))?;
        let syncer = Syncer::new(Arc::clone(&shared), folder);
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(&tails), segments, position);
        let pen = Arc::new(Mutex::new(writer));
        let (writing, watched, held) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&pen));
        let inner = Inner {
            shared,
            pen,
            tails,
            heads,
            signer,
            recovery: Recovery::from(&replayed),
            threads: Mutex::default(),
            lock,
        };
        // Should one thread fail to start, dropping `inner` ends those before it.
        inner.start("audit-writer", move || Writer::run(&held, &writing))?;
        inner.start("audit-syncer", move || syncer.run())?;
        inner.start("audit-sequencer", move || sequencer.run())?;
        inner.start("audit-watchdog", move || watched.watched.run())?;
        Ok(Self(Arc::new(inner)))
    }

    /// Queues a record. The future resolves when it is durable, or fails within the deadline.
    /// The record is queued at once and stays so when the future is dropped.
    #[expect(clippy::needless_pass_by_value, reason = "a record is given away")]
    pub fn append(&self, entry: Entry, durability: Durability) -> Append {
        self.0.shared.append(None, &entry, durability)
    }

    /// As [`Log::append`], but writes the record on the calling thread while the disk is quick. For
    /// threads of which there are others; see [`Options::callers_write`].
    #[expect(clippy::needless_pass_by_value, reason = "a record is given away")]
    pub fn write(&self, entry: Entry, durability: Durability) -> Append {
        let pen = self.0.shared.options.callers_write.then_some(self.0.pen.as_ref());
        self.0.shared.append(pen, &entry, durability)
    }

    /// As [`Log::append`], waiting on the current thread. Not for async code.
    ///
    /// # Errors
    ///
    /// When the record is not durable.
    pub fn append_blocking(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> Result<Receipt, LogError> {
        self.append(entry, durability).wait()
    }

    /// Whether the log works, and how well.
    #[must_use]
    pub fn health(&self) -> Health {
        let sizes = self.0.heads.read().iter().map(|(id, head)| (*id, head.size)).collect();
        let is_blocked = self.0.shared.watched.is_blocked();
        let state = self.0.shared.state.lock();
        let reason = if state.is_closing {
            Some(LogError::Closed)
        } else {
            state.refusal.or(is_blocked.then_some(LogError::Deadline))
        };
        Health {
            condition: match reason {
                None => Condition::Ok,
                Some(reason) => Condition::Refusing { reason },
            },
            queued_bytes: state.queued_bytes,
            last_sync: state.last_sync,
            records_written: state.records_written,
            sizes,
        }
    }

    /// Whether the disk has not answered within the deadline, and still does not.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.0.shared.watched.is_blocked()
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.0.recovery
    }

    /// The latest checkpoint of a workspace's log.
    #[must_use]
    pub fn checkpoint(&self, workspace: Uuid) -> Option<Checkpoint> {
        self.0.heads.read().get(&workspace).cloned()
    }

    /// The key by which others check the log: `name+hash+key`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.0.signer.verifier_key()
    }

    /// The last records of a workspace since opening, oldest first; at most 1 000 are kept.
    #[must_use]
    pub fn tail(&self, workspace: Uuid, last: usize) -> Vec<TailEntry> {
        self.0.tails.last(workspace, last)
    }

    /// Follows the records of a workspace from now on.
    #[must_use]
    pub fn subscribe(&self, workspace: Uuid) -> Subscription {
        self.0.tails.subscribe(workspace)
    }

    /// Entries of a workspace's tree from index `from` on, at most `limit`. Reads the disk.
    ///
    /// # Errors
    ///
    /// When the tree cannot be read.
    pub fn entries(
        &self,
        workspace: Uuid,
        from: u64,
        limit: usize,
    ) -> Result<Vec<TailEntry>, TreeError> {
        let size = self.checkpoint(workspace).map_or(0, |head| head.size);
        proof::entries(&self.0.folder(workspace), size, from, limit)
    }

    /// Proves that the entry at `index` is in the workspace's log. Reads the disk.
    ///
    /// # Errors
    ///
    /// When the index is not in the tree yet, or when the tree cannot be read.
    pub fn prove(&self, workspace: Uuid, index: u64) -> Result<Proof, ProveError> {
        let head = self.checkpoint(workspace).ok_or(ProveError::NotYet { size: 0 })?;
        proof::prove(&self.0.folder(workspace), &head, index)
    }

    /// The hashes that prove that the tree of the first `old` entries is a prefix of the latest
    /// one (RFC 6962, section 2.1.2), and that checkpoint. Reads the disk.
    ///
    /// # Errors
    ///
    /// When the log was never that large, or when the tree cannot be read.
    pub fn prove_consistency(
        &self,
        workspace: Uuid,
        old: u64,
    ) -> Result<(Vec<Hash>, Checkpoint), ProveError> {
        let head = self.checkpoint(workspace).ok_or(ProveError::NotYet { size: 0 })?;
        let sizes = (old, head.size);
        let hashes = proof::consistency(&self.0.folder(workspace), &head, sizes)?;
        Ok((hashes, head))
    }

    /// The hashes that prove that the tree of the first `old` entries is a prefix of that of the first
    /// `new`, for whoever has checkpoints of both. Reads the disk.
    ///
    /// # Errors
    ///
    /// When the log was never that large, or when the tree cannot be read.
    pub fn prove_growth(
        &self,
        workspace: Uuid,
        (old, new): (u64, u64),
    ) -> Result<Vec<Hash>, ProveError> {
        let head = self.checkpoint(workspace).ok_or(ProveError::NotYet { size: 0 })?;
        proof::consistency(&self.0.folder(workspace), &head, (old, new))
    }

    /// Writes what is queued, signs the last checkpoints and ends the threads. Every clone is
    /// closed. Does nothing the second time.
    ///
    /// # Errors
    ///
    /// When the disk does not answer: then the threads are left to themselves.
    pub fn close(self) -> Result<(), LogError> {
        self.0.close()
    }
}

impl Inner {
    fn start(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let dir = &self.shared.options.dir;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|source| OpenError::io(dir, source))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn folder(&self, workspace: Uuid) -> Folder {
        Folder(self.shared.options.dir.join(workspace.to_string()))
    }

    fn close(&self) -> Result<(), LogError> {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.state.lock();
        state.is_closing = true;
        self.shared.work.notify_one();
        self.shared.sync_due.notify_one();
        let limit = self.shared.options.deadline + CLOSE_EXTRA;
        let began = self.shared.clock.monotonic();
        let mut waited = Duration::ZERO;
        while !state.sequencer_ended && waited < limit {
            self.shared.ended.wait_for(&mut state, limit - waited);
            waited = self.shared.clock.monotonic().saturating_sub(began);
        }
        let has_ended = state.sequencer_ended;
        drop(state);
        self.tails.close();
        if !has_ended {
            // The watchdog goes on too: there may still be waiters to be told.
            tracing::error!("the audit disk does not answer; the log is left without a clean end");
            return Err(LogError::Deadline);
        }
        self.shared.watched.end();
        let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        // Nothing is written any more, even where others keep this value: the next one may open it.
        rustix::fs::flock(&self.lock, FlockOperation::Unlock).map_err(|_| LogError::Io)?;
        if panicked == 0 { Ok(()) } else { Err(LogError::Io) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the audit log was not closed cleanly");
        }
    }
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl Position {
    fn after(replayed: &Replayed) -> Self {
        Self {
            segment: replayed.last_segment + 1,
            sequence: replayed.last_sequence.unwrap_or(0) + 1,
            last_ms: replayed.last_ms,
        }
    }
}

impl From<&Replayed> for Recovery {
    fn from(replayed: &Replayed) -> Self {
        Self {
            replayed: replayed.records,
            cut_bytes: replayed.lost_bytes,
            missing: replayed.missing,
        }
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let file = File::open(dir).map_err(|source| OpenError::io(dir, source))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { path: dir.to_owned() }),
        Err(error) => Err(OpenError::io(dir, error.into())),
    }
}

/// Removes the segments, which the trees no longer need, and what else an earlier run left.
fn clear(segments: &Path) -> io::Result<()> {
    let (old, others) = segment::list(segments)?;
    for path in old.into_iter().map(|(_, path)| path).chain(others) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// What closing may take beyond a deadline: the last tiles, their sync and the notes.
const CLOSE_EXTRA: Duration = Duration::from_secs(8);
