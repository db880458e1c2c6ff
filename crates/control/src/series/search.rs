//! Finds the calls behind a point of a chart, in the log, the newest first.
//!
//! There is no index: the log is read backwards from a time, so many records at a time, and whoever asks
//! goes on where that ended. What a call is like stands in its intent, which is a little further back than
//! its outcome.

use std::collections::{BTreeSet, HashMap};

use audit::{Log, TailEntry, TreeError};
use uuid::Uuid;

use super::leaf::{Counted, Key, Tells};
use super::lines::Members;

/// What is looked for.
pub(super) struct Wanted {
    pub(super) user: Option<String>,
    pub(super) members: Option<Members>,
    pub(super) app: Option<String>,
    pub(super) gateway: Option<String>,
    pub(super) server: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) outcomes: BTreeSet<&'static str>,
    /// Only those that have left.
    pub(super) has_left: bool,
    /// When they ended, in milliseconds since 1970: from the first up to, but not at, the second.
    pub(super) times: (i64, i64),
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) outcome: TailEntry,
    /// Absent where it was refused before anything left.
    pub(super) intent: Option<TailEntry>,
}

/// What has been found at a time.
#[derive(Debug, Default)]
pub(super) struct Haul {
    pub(super) found: Vec<Found>,
    /// Where to go on: before this index. Absent where everything has been looked at.
    pub(super) next: Option<u64>,
    /// The time down to which everything has been looked at.
    pub(super) reached_ms: Option<i64>,
    /// Calls that began further back than was looked.
    pub(super) unresolved: usize,
}

/// How many records are looked at for outcomes at a time, and how many more for what they are of.
const MOST: u64 = if cfg!(test) { 40 } else { 8_192 };
const MOST_BACK: u64 = 16_384;

/// How many are read at a time: a tile of the log.
const CHUNK: u64 = 256;

/// Looks through the log, from before an index, or from the end of the time that is asked for. Reads the
/// disk.
pub(super) fn search(
    log: &Log,
    workspace: Uuid,
    wanted: &Wanted,
    (before, limit): (Option<u64>, usize),
) -> Result<Haul, TreeError> {
    let size = log.checkpoint(workspace).map_or(0, |it| it.size);
    // A page may have come from another process, whose log is another one.
    let last = first_at(log, workspace, (wanted.times.1, size))?;
    let end = before.map_or(last, |it| it.min(last));
    let mut looking = Looking { wanted, slots: Vec::new(), waiting: HashMap::new(), matched: 0 };
    let mut haul = Haul { next: Some(end), ..Haul::default() };
    let mut back = Backwards { log, workspace, at: end, read: Vec::new() };
    let lowest = end.saturating_sub(MOST);
    while let Some(entry) = back.next(lowest)? {
        if entry.time_ms < wanted.times.0 {
            haul.next = None;
            haul.reached_ms = Some(wanted.times.0);
            looking.begun(&entry);
            break;
        }
        (haul.next, haul.reached_ms) = (Some(back.at), Some(entry.time_ms));
        looking.see(&entry);
        if limit < looking.matched {
            break;
        }
    }
    if haul.next == Some(0) {
        haul.next = None;
    }
    let lowest = back.at.saturating_sub(MOST_BACK);
    while !looking.waiting.is_empty()
        && let Some(entry) = back.next(lowest)?
    {
        looking.begun(&entry);
    }
    haul.unresolved = looking.waiting.len();
    let mut found = looking.slots.into_iter().filter(|it| it.is_wanted);
    haul.found = found.by_ref().take(limit).map(|it| it.found).collect();
    if found.next().is_some()
        && let Some(last) = haul.found.last()
    {
        (haul.next, haul.reached_ms) = (last.outcome.index, Some(last.outcome.time_ms));
    }
    Ok(haul)
}

/// The index of the first record that is as late as that. The time of a log never goes back.
fn first_at(log: &Log, workspace: Uuid, (time_ms, size): (i64, u64)) -> Result<u64, TreeError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        match log.entries(workspace, middle, 1)?.first() {
            Some(entry) if entry.time_ms < time_ms => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Reads a log from an index down.
struct Backwards<'a> {
    log: &'a Log,
    workspace: Uuid,
    /// That of the last record that was given.
    at: u64,
    read: Vec<TailEntry>,
}

impl Backwards<'_> {
    /// The one before, if it is not before `lowest`.
    fn next(&mut self, lowest: u64) -> Result<Option<TailEntry>, TreeError> {
        if self.at <= lowest {
            return Ok(None);
        }
        if self.read.is_empty() {
            let from = (self.at - 1) / CHUNK * CHUNK;
            let count = usize::try_from(self.at - from).unwrap_or_default();
            self.read = self.log.entries(self.workspace, from, count)?;
        }
        let Some(mut entry) = self.read.pop() else { return Ok(None) };
        self.at -= 1;
        entry.index = Some(self.at);
        Ok(Some(entry))
    }
}

/// What has been seen so far.
struct Looking<'a> {
    wanted: &'a Wanted,
    slots: Vec<Slot>,
    /// The places of those of which it is not known yet what they are.
    waiting: HashMap<Uuid, usize>,
    matched: usize,
}

struct Slot {
    found: Found,
    is_wanted: bool,
}

impl Looking<'_> {
    fn see(&mut self, entry: &TailEntry) {
        match Tells::of(entry) {
            Tells::Ended(call, counted) if self.wanted.has_end(&counted) => {
                self.waiting.insert(call, self.slots.len());
                self.push(entry, false);
            }
            Tells::Refused(key, counted)
                if self.wanted.has_end(&counted) && self.wanted.has(&key) =>
            {
                self.matched += 1;
                self.push(entry, true);
            }
            _ => self.begun(entry),
        }
    }

    /// Sees only what others are waiting for.
    fn begun(&mut self, entry: &TailEntry) {
        let (call, key) = match Tells::of(entry) {
            Tells::Begun(call, key, _) => (call, Some(key)),
            Tells::Spoken(call) => (call, None),
            _ => return,
        };
        let Some(place) = self.waiting.remove(&call) else { return };
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.is_wanted = key.is_some_and(|it| self.wanted.has(&it));
        slot.found.intent = Some(entry.clone());
        self.matched += usize::from(slot.is_wanted);
    }

    fn push(&mut self, entry: &TailEntry, is_wanted: bool) {
        let found = Found { outcome: entry.clone(), intent: None };
        self.slots.push(Slot { found, is_wanted });
    }
}

impl Wanted {
    fn has_end(&self, counted: &Counted) -> bool {
        self.outcomes.contains(counted.end.as_str()) && (!self.has_left || counted.took.is_some())
    }

    fn has(&self, key: &Key) -> bool {
        let is = |wanted: &Option<String>, it: &str| wanted.as_ref().is_none_or(|text| text == it);
        is(&self.user, &key.user)
            && is(&self.app, &key.app)
            && is(&self.gateway, &key.gateway)
            && is(&self.server, &key.server)
            && is(&self.tool, &key.tool)
            && self.members.as_ref().is_none_or(|it| it.has(&key.user))
    }
}
