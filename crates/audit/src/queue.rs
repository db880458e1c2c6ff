//! The one lock between those who append and the threads that work.
//!
//! A record passes these places in this order: a *lane* (the buffer that appenders fill), the
//! *writer* (which takes a lane and writes it to the segment), *unsynced* (kept in memory until the
//! disk has it, so that it can be written again elsewhere), *synced* (until the sequencer has put
//! it into the tree). While the disk is quick, callers pass over the first two and write for
//! themselves ([`crate::pace`]). All of them together are bounded by [`Options::queue_bytes`], but for the
//! last: what the sequencer cannot take in time it reads from the segments later.
//!
//! There are two lanes, so that administrative records pass on a full disk, where calls do not.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::batch::{Append, Batch, Durability, LogError};
use crate::clock::Clock;
use crate::entry::{Entry, HEAD, MAX_LEAF, Record};
use crate::log::Options;
use crate::pace::PATIENCE;
use crate::segment::{self, FRAME_HEAD, SegmentFile};
use crate::watchdog::Watched;
use crate::writer::Writer;

/// What all threads of a log share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Mutex<State>,
    /// Wakes the writer.
    pub(crate) work: Condvar,
    /// Wakes the syncer.
    pub(crate) sync_due: Condvar,
    /// Wakes the sequencer.
    pub(crate) sequence_due: Condvar,
    /// Wakes whoever waits for the threads to end.
    pub(crate) ended: Condvar,
    pub(crate) watched: Watched,
}

#[derive(Default)]
pub(crate) struct State {
    lanes: [Lane; 2],
    /// Bytes in lanes, with the writer and not yet synced.
    pub(crate) queued_bytes: usize,
    /// In the segments, not yet known to be on disk. In order of sequence.
    pub(crate) unsynced: VecDeque<Written>,
    /// On disk, not yet in the tree. In order of sequence.
    pub(crate) synced: VecDeque<Written>,
    pub(crate) synced_bytes: usize,
    /// The sequencer must read the segments: what it should have got was dropped.
    pub(crate) sequencer_lost: bool,
    /// The sequence up to which all records are on disk.
    pub(crate) synced_through: u64,
    /// Segments that are no longer written: path, and the last sequence in them.
    pub(crate) finished: Vec<(PathBuf, u64)>,
    /// Why the writer takes no calls.
    pub(crate) refusal: Option<LogError>,
    /// A sync has failed: what is unsynced must be written again.
    pub(crate) needs_repair: bool,
    /// How many syncs have failed since one last succeeded.
    pub(crate) failed_syncs: u32,
    /// When the writer last looked whether a disk that failed takes records again.
    pub(crate) probed: Duration,
    /// Somebody waits for a sync.
    pub(crate) sync_wanted: bool,
    pub(crate) writer_idles: bool,
    pub(crate) is_closing: bool,
    pub(crate) writer_ended: bool,
    pub(crate) syncer_ended: bool,
    pub(crate) sequencer_ended: bool,
    pub(crate) records_written: u64,
    pub(crate) last_sync: Duration,
}

/// A buffer that appenders fill.
#[derive(Default)]
struct Lane {
    frames: Vec<u8>,
    records: u32,
    batch: Option<Arc<Batch>>,
}

/// What the writer takes at once.
pub(crate) struct Taken {
    pub(crate) frames: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) batch: Arc<Batch>,
    pub(crate) is_privileged: bool,
}

/// A batch that stands in a segment.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) frames: Arc<Vec<u8>>,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    /// None when nobody waits for the disk.
    pub(crate) batch: Option<Arc<Batch>>,
    pub(crate) file: Arc<SegmentFile>,
    /// More may be added: no sync has begun since.
    pub(crate) is_open: bool,
}

impl Shared {
    pub(crate) fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        Self {
            watched: Watched::new(Arc::clone(&clock), options.deadline),
            options,
            clock,
            state: Mutex::default(),
            work: Condvar::new(),
            sync_due: Condvar::new(),
            sequence_due: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Writes a record if there is a pen and the disk is quick, or else hands it to the writer.
    pub(crate) fn append(
        &self,
        pen: Option<&Mutex<Writer>>,
        entry: &Entry,
        durability: Durability,
    ) -> Append {
        if entry.leaf.len() > MAX_LEAF {
            return Append::refused(LogError::TooLarge);
        }
        let record = Record {
            workspace: entry.workspace,
            kind: entry.kind,
            clock_suspect: false,
            time_ms: self.clock.now_ms(),
            sequence: 0,
            leaf: &entry.leaf,
        };
        let bytes = FRAME_HEAD + HEAD + entry.leaf.len();
        let opened = self.clock.monotonic();
        let is_privileged = entry.kind.is_privileged();

        if self.watched.is_blocked() {
            return Append::refused(LogError::Deadline);
        }
        if let Some(pen) = pen
            && self.watched.pace.is_quick(opened)
            && let Some(mut writer) = pen.try_lock_for(PATIENCE)
            && let Some(append) = writer.write_one(&record, durability, opened)
        {
            return append;
        }
        let mut state = self.state.lock();
        if let Some(error) = state.refuses(is_privileged, bytes, self.options.queue_bytes) {
            return Append::refused(error);
        }
        state.queued_bytes += bytes;
        let open = || self.watched.open(opened);
        let (batch, ordinal) = state.push(is_privileged, &record, open);
        // Before the lock is gone: the writer looks at it once the batch is written.
        let append = Append::waiting(batch, ordinal, durability);
        let wake = std::mem::take(&mut state.writer_idles);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        append
    }
}

impl State {
    /// Whether a caller may write a record for itself.
    pub(crate) fn lets_write(&self, bytes: usize, bound: usize) -> bool {
        !self.needs_repair && self.refusal.is_none() && self.refuses(false, bytes, bound).is_none()
    }

    /// Notes what stands in a segment now. Whether the syncer is to be woken.
    pub(crate) fn wrote(&mut self, written: Written, records: u64) -> bool {
        let wants_sync = written.batch.as_ref().is_some_and(|batch| batch.wants_sync());
        let wake = self.unsynced.is_empty() || wants_sync;
        self.sync_wanted |= wants_sync;
        self.records_written += records;
        self.unsynced.push_back(written);
        wake
    }

    /// Notes one record that nobody waits for, beside others of its kind. Whether the syncer is to
    /// be woken.
    pub(crate) fn wrote_one(&mut self, file: &Arc<SegmentFile>, frame: &[u8], seq: u64) -> bool {
        self.queued_bytes += frame.len();
        if let Some(last) = self.unsynced.back_mut()
            && last.is_open
            && last.batch.is_none()
            && Arc::ptr_eq(&last.file, file)
            && let Some(frames) = Arc::get_mut(&mut last.frames)
            && frames.len() < MAX_RESERVED_BYTES
        {
            frames.extend_from_slice(frame);
            last.last_sequence = seq;
            self.records_written += 1;
            return false;
        }
        let written = Written {
            frames: Arc::new(frame.to_vec()),
            first_sequence: seq,
            last_sequence: seq,
            batch: None,
            file: Arc::clone(file),
            is_open: true,
        };
        self.wrote(written, 1)
    }

    fn refuses(&self, is_privileged: bool, bytes: usize, bound: usize) -> Option<LogError> {
        if self.is_closing {
            return Some(LogError::Closed);
        }
        match self.refusal {
            Some(LogError::Full) if is_privileged => {}
            Some(error) => return Some(error),
            None => {}
        }
        (self.queued_bytes + bytes > bound).then_some(LogError::Overloaded)
    }

    fn push(
        &mut self,
        is_privileged: bool,
        record: &Record<'_>,
        open: impl FnOnce() -> Arc<Batch>,
    ) -> (Arc<Batch>, u32) {
        let lane = &mut self.lanes[usize::from(is_privileged)];
        let batch = Arc::clone(lane.batch.get_or_insert_with(open));
        let ordinal = lane.records;
        lane.records += 1;
        segment::frame(&mut lane.frames, record);
        (batch, ordinal)
    }

    /// What is to be written next: administrative records first.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        [true, false].into_iter().find_map(|is_privileged| self.take_lane(is_privileged))
    }

    /// Empties the lane of the calls, as on a full disk.
    pub(crate) fn take_calls(&mut self) -> Option<Taken> {
        self.take_lane(false)
    }

    fn take_lane(&mut self, is_privileged: bool) -> Option<Taken> {
        let lane = &mut self.lanes[usize::from(is_privileged)];
        let batch = lane.batch.take()?;
        let Lane { frames, records, .. } = std::mem::take(lane);
        // The next batch will be about as large: saves growing it step by step under the lock.
        lane.frames.reserve(frames.len().min(MAX_RESERVED_BYTES));
        Some(Taken { frames, records, batch, is_privileged })
    }
}

/// Larger batches are rare enough to grow.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;
