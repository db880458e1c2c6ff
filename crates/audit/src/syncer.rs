//! The thread that brings segments to the disk, apart from the writer, so that nobody who asked
//! for less waits for it.
//!
//! It syncs at once when somebody waits, else [`crate::Options::sync_every`] after the first
//! unsynced record. All that was written when a sync begins shares it. When a sync fails, the
//! writer is told to write everything unsynced again elsewhere; the same file is never asked twice.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::batch::LogError;
use crate::queue::{Shared, State, Written};
use crate::segment::SegmentFile;

pub(crate) struct Syncer {
    shared: Arc<Shared>,
    dir: File,
}

impl Syncer {
    /// `dir` is the folder of the segments.
    pub(crate) fn new(shared: Arc<Shared>, dir: File) -> Self {
        Self { shared, dir }
    }

    pub(crate) fn run(self) {
        while let Some((files, records)) = self.next_sync() {
            let began = self.shared.clock.monotonic();
            self.shared.watched.pace.sync_begins(began);
            let result = files.iter().try_for_each(|file| file.sync(&self.dir));
            self.shared.watched.pace.sync_ends();
            let took = self.shared.clock.monotonic().saturating_sub(began);
            match result {
                Ok(()) => {
                    let done = self.settle(records, |state| state.last_sync = took);
                    done.iter()
                        .filter_map(|it| it.batch.as_ref())
                        .for_each(|it| it.finish_synced());
                }
                Err(error) => self.ask_for_repair(&error),
            }
        }
        let mut state = self.shared.state.lock();
        // The writer has ended without repairing: these may be on disk or not.
        for written in std::mem::take(&mut state.unsynced) {
            if let Some(batch) = written.batch {
                batch.fail(LogError::Io);
            }
        }
        state.syncer_ended = true;
        drop(state);
        self.shared.work.notify_one();
        self.shared.sequence_due.notify_one();
        self.shared.ended.notify_all();
    }

    /// Waits until a sync is due. Gives the files, oldest first, and how many batches they cover.
    fn next_sync(&self) -> Option<(Vec<Arc<SegmentFile>>, usize)> {
        let mut state = self.shared.state.lock();
        loop {
            while state.unsynced.is_empty() || state.needs_repair {
                if state.writer_ended {
                    return None;
                }
                self.shared.sync_due.wait(&mut state);
            }
            if state.sync_wanted || state.is_closing {
                break;
            }
            let every = self.shared.options.sync_every;
            if self.shared.sync_due.wait_for(&mut state, every).timed_out() {
                break;
            }
        }
        state.sync_wanted = false;
        let mut files: Vec<Arc<SegmentFile>> = vec![];
        for written in &mut state.unsynced {
            written.is_open = false;
            if files.last().is_none_or(|last| !Arc::ptr_eq(last, &written.file)) {
                files.push(Arc::clone(&written.file));
            }
        }
        Some((files, state.unsynced.len()))
    }

    /// Hands the first `records` batches to the sequencer.
    fn settle(&self, records: usize, note: impl FnOnce(&mut State)) -> Vec<Written> {
        let mut state = self.shared.state.lock();
        note(&mut state);
        state.failed_syncs = 0;
        let done: Vec<Written> = state.unsynced.drain(..records).collect();
        for written in &done {
            state.queued_bytes -= written.frames.len();
            state.synced_through = written.last_sequence;
        }
        let bytes: usize = done.iter().map(|written| written.frames.len()).sum();
        if state.sequencer_lost || state.synced_bytes + bytes > self.shared.options.queue_bytes {
            state.sequencer_lost = true;
            state.synced.clear();
            state.synced_bytes = 0;
        } else {
            state.synced.extend(done.iter().cloned());
            state.synced_bytes += bytes;
        }
        let is_closing = state.is_closing;
        drop(state);
        self.shared.sequence_due.notify_one();
        if is_closing {
            self.shared.work.notify_one();
        }
        done
    }

    fn ask_for_repair(&self, error: &io::Error) {
        tracing::error!(%error, "the audit log could not sync, and writes again to a new segment");
        let mut state = self.shared.state.lock();
        state.needs_repair = true;
        state.failed_syncs = state.failed_syncs.saturating_add(1);
        state.writer_idles = false;
        drop(state);
        self.shared.work.notify_one();
    }
}
