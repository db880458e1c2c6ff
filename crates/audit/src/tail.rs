//! The latest records in memory: for a page that shows them and for those who follow along.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::entry::{Kind, Record};
use crate::segment;

/// A record, for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailEntry {
    /// Counts the records of all workspaces.
    pub sequence: u64,
    /// Its place in the workspace's tree, once it has one.
    pub index: Option<u64>,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// The clock stood before an earlier record.
    pub clock_suspect: bool,
    /// What it tells of.
    pub kind: Kind,
    /// The leaf: one line of JSON.
    pub text: Arc<str>,
}

/// What a [`Subscription`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// A record, written a moment ago. Its index is not known yet.
    Entry(TailEntry),
    /// The reader was too slow for this many records of its workspace. They are in the log.
    Missed(u64),
}

/// Follows the records of one workspace as they are written. What others write neither wakes it nor
/// makes it too slow: nobody is to learn how busy they are.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<TailEntry>);

impl Subscription {
    /// The next record. `None` when the log has been closed.
    pub async fn next(&mut self) -> Option<Live> {
        match self.0.recv().await {
            Ok(entry) => Some(Live::Entry(entry)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Live::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next record if there is one already.
    pub fn try_next(&mut self) -> Option<Live> {
        match self.0.try_recv() {
            Ok(entry) => Some(Live::Entry(entry)),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Live::Missed(missed)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                None
            }
        }
    }
}

/// The rings of all workspaces.
pub(crate) struct Tails {
    rings: Mutex<Rings>,
    /// By workspace, where somebody follows it; nothing once the log has been closed.
    live: Mutex<Option<HashMap<Uuid, broadcast::Sender<TailEntry>>>>,
}

#[derive(Default)]
struct Rings {
    by_workspace: HashMap<Uuid, Ring>,
    bytes: usize,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<TailEntry>,
    bytes: usize,
}

impl Tails {
    pub(crate) fn new() -> Self {
        Self { rings: Mutex::default(), live: Mutex::new(Some(HashMap::new())) }
    }

    /// Shows what has just been written.
    pub(crate) fn publish(&self, frames: &[u8]) {
        let mut live = self.live.lock();
        let mut rings = self.rings.lock();
        for (record, _) in segment::records(frames) {
            let entry = TailEntry::from(record);
            if let Some(live) = &mut *live
                && let Some(followed) = live.get(&record.workspace)
                && followed.send(entry.clone()).is_err()
            {
                // The last one who followed it has gone.
                live.remove(&record.workspace);
            }
            rings.push(record.workspace, entry);
        }
    }

    /// The tree of `workspace` has `size` entries, the last of which is `last_sequence`.
    pub(crate) fn indexed(&self, workspace: Uuid, size: u64, last_sequence: u64) {
        let mut rings = self.rings.lock();
        let Some(ring) = rings.by_workspace.get_mut(&workspace) else { return };
        let known = ring.entries.iter_mut().rev().filter(|e| e.sequence <= last_sequence);
        for (entry, index) in known.zip((0..size).rev()) {
            if entry.index.replace(index).is_some() {
                return;
            }
        }
    }

    pub(crate) fn last(&self, workspace: Uuid, count: usize) -> Vec<TailEntry> {
        let rings = self.rings.lock();
        let Some(ring) = rings.by_workspace.get(&workspace) else { return vec![] };
        let skipped = ring.entries.len().saturating_sub(count);
        ring.entries.iter().skip(skipped).cloned().collect()
    }

    pub(crate) fn subscribe(&self, workspace: Uuid) -> Subscription {
        let mut live = self.live.lock();
        let Some(live) = &mut *live else { return Subscription(broadcast::channel(1).1) };
        // Of a workspace in which nothing happens nobody else takes away what is left.
        live.retain(|_, it| it.receiver_count() > 0);
        let followed = live.entry(workspace);
        Subscription(followed.or_insert_with(|| broadcast::channel(LIVE_ENTRIES).0).subscribe())
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self) {
        *self.live.lock() = None;
    }
}

impl Rings {
    fn push(&mut self, workspace: Uuid, entry: TailEntry) {
        let ring = self.by_workspace.entry(workspace).or_default();
        let gained = entry.text.len();
        let oldest =
            if ring.entries.len() == RING_ENTRIES { ring.entries.pop_front() } else { None };
        let lost = oldest.map_or(0, |oldest| oldest.text.len());
        ring.entries.push_back(entry);
        ring.bytes = ring.bytes + gained - lost;
        self.bytes = self.bytes + gained - lost;
        if self.bytes > RINGS_BYTES {
            self.forget_the_quietest(workspace);
        }
    }

    fn forget_the_quietest(&mut self, but: Uuid) {
        let quietest = self
            .by_workspace
            .iter()
            .filter(|(id, _)| **id != but)
            .min_by_key(|(_, ring)| ring.entries.back().map(|entry| entry.sequence))
            .map(|(id, _)| *id);
        if let Some(ring) = quietest.and_then(|id| self.by_workspace.remove(&id)) {
            self.bytes -= ring.bytes;
        }
    }
}

impl From<Record<'_>> for TailEntry {
    fn from(record: Record<'_>) -> Self {
        Self {
            sequence: record.sequence,
            index: None,
            time_ms: record.time_ms,
            clock_suspect: record.clock_suspect,
            kind: record.kind,
            text: match std::str::from_utf8(record.leaf) {
                Ok(text) => text.into(),
                Err(_) => String::from_utf8_lossy(record.leaf).into(),
            },
        }
    }
}

/// Records kept for each workspace.
const RING_ENTRIES: usize = 1_000;
/// Bytes of leaves kept for all workspaces; beyond it the quietest workspace is forgotten. One
/// full ring of the longest leaves stays below it.
const RINGS_BYTES: usize = 96 * 1024 * 1024;
/// Records of its workspace that a subscriber may be behind.
const LIVE_ENTRIES: usize = 4_096;
