//! The pen that writes to the segment, and the thread that holds it when callers do not.
//!
//! A caller writes its own record while the disk is quick; see [`crate::pace`]. The thread swaps the
//! appenders' buffer for an empty one, gives the records their sequence, writes them with one system
//! call and wakes who waited. Neither syncs; see [`crate::syncer`].
//!
//! When a write fails for want of space, what was written of the batch is cut off again and calls
//! are refused until a probe succeeds; administrative records go to the reserve meanwhile. When it
//! fails otherwise, or a sync has failed, the segment is left as it is and a new one supersedes
//! its uncertain end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::batch::{Append, Durability, LogError, Receipt};
use crate::clock::Monotone;
use crate::entry::{self, Record};
use crate::queue::{Shared, State, Taken, Written};
use crate::segment::{self, Segment, Space};
use crate::tail::Tails;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    tails: Arc<Tails>,
    dir: PathBuf,
    /// `None` after a failure: the next write begins a new one.
    segment: Option<Segment>,
    next_segment: u64,
    next_sequence: u64,
    time: Monotone,
    reserve_is_whole: bool,
    /// The frame of a record that its caller writes.
    frame: Vec<u8>,
}

/// Where the writer goes on after a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) sequence: u64,
    pub(crate) last_ms: i64,
}

enum Work {
    Write(Taken),
    Repair,
    Probe,
    End,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, tails: Arc<Tails>, dir: PathBuf, at: Position) -> Self {
        Self {
            shared,
            tails,
            dir,
            segment: None,
            next_segment: at.segment,
            next_sequence: at.sequence,
            time: Monotone::after(at.last_ms),
            reserve_is_whole: false,
            frame: Vec::new(),
        }
    }

    /// The body of the thread.
    pub(crate) fn run(pen: &Mutex<Self>, shared: &Shared) {
        pen.lock().begin();
        loop {
            match shared.next_work() {
                Work::Write(taken) => pen.lock().write(taken),
                Work::Repair => pen.lock().mend(),
                Work::Probe => pen.lock().probe(),
                Work::End => break,
            }
        }
        let mut writer = pen.lock();
        let mut state = shared.state.lock();
        while let Some(taken) = state.take() {
            taken.batch.fail(LogError::Closed);
        }
        writer.finish_segment(&mut state);
        state.writer_ended = true;
        drop(state);
        shared.sync_due.notify_one();
        shared.ended.notify_all();
    }

    fn begin(&mut self) {
        self.reserve_is_whole = segment::ensure_reserve(&self.dir).is_ok();
    }

    /// Writes a record for the caller that holds the pen. `None` when it is for the thread to do:
    /// something is in the way, or it went wrong, which the thread knows how to treat.
    pub(crate) fn write_one(
        &mut self,
        record: &Record<'_>,
        durability: Durability,
        now: Duration,
    ) -> Option<Append> {
        let shared = Arc::clone(&self.shared);
        let bound = shared.options.segment_bytes;
        self.frame.clear();
        segment::frame(&mut self.frame, record);
        let bytes = self.frame.len();
        let sequence = self.next_sequence;
        segment::seal(&mut self.frame, |entry| {
            entry::stamp(entry, sequence, |now| self.time.tick(now));
        });
        let fits = |it: &&mut Segment| it.len + bytes as u64 <= bound;
        let segment = self.segment.as_mut().filter(fits)?;
        if !shared.state.lock().lets_write(bytes, shared.options.queue_bytes) {
            return None;
        }
        let write = || segment.append(&self.frame);
        shared.watched.pace.watch(shared.clock.as_ref(), now, write).ok()?;
        self.next_sequence += 1;
        self.tails.publish(&self.frame);
        let batch = (durability == Durability::Synced).then(|| shared.watched.open(now));
        let receipt = Receipt { sequence };
        let Some(batch) = batch else {
            let wake = shared.state.lock().wrote_one(&segment.file, &self.frame, sequence);
            if wake {
                shared.sync_due.notify_one();
            }
            return Some(Append::done(receipt));
        };
        batch.number(sequence);
        batch.finish_written();
        let append = Append::waiting(Arc::clone(&batch), 0, durability);
        let written = Written {
            frames: Arc::new(self.frame.clone()),
            first_sequence: sequence,
            last_sequence: sequence,
            batch: Some(batch),
            file: Arc::clone(&segment.file),
            is_open: false,
        };
        let mut state = shared.state.lock();
        state.queued_bytes += bytes;
        let wake = state.wrote(written, 1);
        drop(state);
        if wake {
            shared.sync_due.notify_one();
        }
        Some(append)
    }
}

impl Shared {
    fn next_work(&self) -> Work {
        let mut state = self.state.lock();
        loop {
            if let Some(reason) = state.refusal {
                if state.is_closing {
                    return Work::End;
                }
                // However many administrative records come, the probe is not starved.
                if self.clock.monotonic().saturating_sub(state.probed) >= PROBE_EVERY {
                    return Work::Probe;
                }
                if reason == LogError::Full
                    && let Some(taken) = state.take()
                {
                    return Work::Write(taken);
                }
                state.writer_idles = true;
                if self.work.wait_for(&mut state, PROBE_EVERY).timed_out() {
                    return Work::Probe;
                }
                continue;
            }
            if state.needs_repair {
                return Work::Repair;
            }
            if let Some(taken) = state.take() {
                return Work::Write(taken);
            }
            // A sync under way may still fail and leave work for this thread.
            if state.is_closing && (state.unsynced.is_empty() || state.syncer_ended) {
                return Work::End;
            }
            state.writer_idles = true;
            self.work.wait(&mut state);
        }
    }
}

impl Writer {
    fn write(&mut self, mut taken: Taken) {
        let mut next = self.next_sequence;
        segment::seal(&mut taken.frames, |bytes| {
            entry::stamp(bytes, next, |now| self.time.tick(now));
            next += 1;
        });
        taken.batch.number(self.next_sequence);
        let frames = Arc::new(std::mem::take(&mut taken.frames));
        match self.place(&frames) {
            Ok(()) => self.accept(&taken, frames),
            Err(error) => self.reject(&taken, frames, &error),
        }
    }

    /// Brings frames into a segment, whichever takes them.
    fn place(&mut self, frames: &Arc<Vec<u8>>) -> io::Result<()> {
        let bytes = frames.len() as u64;
        let bound = self.shared.options.segment_bytes;
        if let Some(segment) = &mut self.segment
            && (segment.is_empty() || segment.len + bytes <= bound)
        {
            let Err(error) = segment.append(frames) else { return Ok(()) };
            if is_full(&error) && segment.cut_back().is_ok() {
                return Err(error);
            }
            tracing::error!(%error, "the audit log could not write, and tries a new segment");
        }
        self.begin_segment(std::slice::from_ref(frames), self.next_sequence, Space::Free)
    }

    /// Supersedes whatever stands in earlier segments from `first_sequence` on.
    fn begin_segment(
        &mut self,
        frames: &[Arc<Vec<u8>>],
        first_sequence: u64,
        space: Space,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.finish_segment(&mut shared.state.lock());
        let new = Segment::create(&self.dir, self.next_segment, first_sequence, frames, space)?;
        self.next_segment += 1;
        self.segment = Some(new);
        Ok(())
    }

    fn finish_segment(&mut self, state: &mut State) {
        if let Some(old) = self.segment.take() {
            state.finished.push((old.file.path.clone(), self.next_sequence.saturating_sub(1)));
        }
    }

    fn accept(&mut self, taken: &Taken, frames: Arc<Vec<u8>>) {
        let Some(segment) = &self.segment else { return };
        let first_sequence = self.next_sequence;
        self.next_sequence += u64::from(taken.records);
        self.tails.publish(&frames);
        let written = Written {
            frames,
            first_sequence,
            last_sequence: self.next_sequence - 1,
            batch: Some(Arc::clone(&taken.batch)),
            file: Arc::clone(&segment.file),
            is_open: false,
        };
        let wake = self.shared.state.lock().wrote(written, u64::from(taken.records));
        if wake {
            self.shared.sync_due.notify_one();
        }
        taken.batch.finish_written();
    }

    fn reject(&mut self, taken: &Taken, frames: Arc<Vec<u8>>, error: &io::Error) {
        let bytes = frames.len();
        if is_full(error) && taken.is_privileged && self.reserve_is_whole {
            self.reserve_is_whole = false;
            let frames = [frames];
            if self.begin_segment(&frames, self.next_sequence, Space::Reserve).is_ok() {
                let [frames] = frames;
                self.refuse(LogError::Full);
                return self.accept(taken, frames);
            }
        }
        let reason = if is_full(error) { LogError::Full } else { LogError::Io };
        self.refuse(reason);
        self.shared.state.lock().queued_bytes -= bytes;
        taken.batch.fail(reason);
    }

    /// Takes no more calls, nor those that wait, until a probe succeeds.
    fn refuse(&mut self, reason: LogError) {
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.state.lock();
        state.probed = now;
        if state.refusal != Some(reason) {
            tracing::error!(%reason, "the audit log refuses calls");
        }
        state.refusal = Some(reason);
        let mut dropped = vec![];
        while let Some(taken) =
            if reason == LogError::Full { state.take_calls() } else { state.take() }
        {
            state.queued_bytes -= taken.frames.len();
            dropped.push(taken.batch);
        }
        drop(state);
        dropped.iter().for_each(|batch| batch.fail(reason));
    }

    /// Makes a failed sync good, at once where it is the first. A disk that takes everything and syncs
    /// nothing is asked as seldom as one that takes nothing.
    fn mend(&mut self) {
        if self.shared.state.lock().failed_syncs <= MOST_FAILED_SYNCS {
            self.repair();
        } else {
            self.refuse(LogError::Io);
        }
    }

    /// Writes what is unsynced to a new segment: after a failed sync its old place is not trusted.
    fn repair(&mut self) {
        let (frames, first) = {
            let state = self.shared.state.lock();
            let frames: Vec<_> = state.unsynced.iter().map(|w| Arc::clone(&w.frames)).collect();
            (frames, state.unsynced.front().map_or(self.next_sequence, |w| w.first_sequence))
        };
        if let Err(error) = self.begin_segment(&frames, first, Space::Free) {
            tracing::error!(%error, "the audit log could not write a failed segment again");
            return self.refuse(if is_full(&error) { LogError::Full } else { LogError::Io });
        }
        let Some(segment) = &self.segment else { return };
        let mut state = self.shared.state.lock();
        for written in &mut state.unsynced {
            written.file = Arc::clone(&segment.file);
        }
        state.needs_repair = false;
        state.sync_wanted = true;
        drop(state);
        self.shared.sync_due.notify_one();
    }

    /// Finds out whether the disk takes records again.
    fn probe(&mut self) {
        self.shared.state.lock().probed = self.shared.clock.monotonic();
        if !self.reserve_is_whole {
            self.reserve_is_whole = segment::ensure_reserve(&self.dir).is_ok();
        }
        if !self.reserve_is_whole || segment::probe(&self.dir).is_err() {
            return;
        }
        if self.shared.state.lock().needs_repair {
            self.repair();
            if self.shared.state.lock().needs_repair {
                return;
            }
        }
        tracing::warn!("the audit log takes calls again");
        self.shared.state.lock().refusal = None;
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// How often in a row a sync may fail before the log refuses calls.
const MOST_FAILED_SYNCS: u32 = 3;

/// How often a log that refuses looks for space. Recovery takes at most this and one write.
const PROBE_EVERY: Duration = Duration::from_millis(500);
