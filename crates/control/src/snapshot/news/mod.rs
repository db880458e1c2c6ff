//! What each publication has changed, for those who follow along.
//!
//! A snapshot that is followed change by change ([`changes`](super::changes)) knows what has been
//! touched. That is looked up in the snapshot before and in the one after, so that each thing is told of
//! with what decides who may see it, then and now; and kept for a while, by workspace, so that a reader
//! can be behind, or away for a moment. Nobody has room of their own: a reader is a number.
//!
//! Whoever is too far behind, and whoever comes back after everything has been read anew, is told that
//! something has been missed. As long as nobody has ever followed, nothing is kept.

mod told;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::{Capability, Object, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::Published;

pub(super) use told::between;

/// A thing that has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) id: Uuid,
    /// Of a cut-off: what is off.
    pub(crate) target: Option<&'static str>,
    /// Absent where it was not there before.
    pub(crate) before: Option<Sight>,
    /// Absent where it is there no more.
    pub(crate) after: Option<Sight>,
}

/// A thing as it could be seen at a moment, by those who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Absent where nobody knows it any more.
    pub(crate) name: Option<Box<str>>,
    /// What it takes to see it; nothing where whoever is in the workspace may.
    pub(crate) needs: Option<(Capability, Object)>,
}

/// What has been changed at a time, in one workspace.
#[derive(Debug)]
pub(crate) struct Batch {
    number: u64,
    pub(crate) epoch: u64,
    /// It goes with no move of the epoch.
    is_beside: bool,
    /// Nothing where it was too much to be told of one by one.
    pub(crate) items: Option<Vec<Item>>,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(u64);

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Found {
    Batch(Cursor, Arc<Batch>),
    /// There was more than is kept.
    Missed(Cursor),
    Nothing,
}

/// Everything that has been changed lately.
pub(crate) struct Feed {
    kept: Mutex<Kept>,
    /// The last number.
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    is_followed: bool,
    /// Of the last publication of all, whether or not anything of it is kept.
    epoch: u64,
    /// Of the last batch of all.
    number: u64,
    /// In all rings.
    items: usize,
    /// What came up to this number, and what was up to this epoch, nobody knows of any workspace.
    lost: (u64, u64),
    rings: HashMap<Uuid, Ring>,
}

#[derive(Default)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    items: usize,
    /// As for all, of this workspace.
    lost: (u64, u64),
}

/// What is told of one by one, of one workspace at a time. Each reader asks for each of them whether
/// they may see it.
const MOST_AT_ONCE: usize = 200;

/// What is kept of one workspace: some 250 bytes each.
const MOST_KEPT: usize = 400;

/// What is kept of all workspaces together, so that it is bounded however many there are.
const MOST_IN_ALL: usize = 40_000;

impl Feed {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// Keeps what a publication has changed. `before` is what it replaces.
    pub(super) fn publish(&self, before: &Published, after: &Published) {
        let mut kept = self.kept.lock();
        let epoch = after.snapshot.epoch;
        kept.epoch = epoch;
        if !kept.is_followed {
            return;
        }
        match between(before, after) {
            None => kept.lose(epoch),
            Some(changed) => {
                for (workspace, items) in changed {
                    kept.push((workspace, epoch), false, items);
                }
            }
        }
        self.last.send_replace(kept.number);
    }

    /// Keeps what has been changed beside the configuration.
    pub(crate) fn tell(&self, workspace: WorkspaceId, epoch: u64, item: Item) {
        let mut kept = self.kept.lock();
        if kept.is_followed {
            kept.push((workspace, epoch), true, vec![item]);
            self.last.send_replace(kept.number);
        }
    }

    /// Where somebody is who knows all that there was up to an epoch, or begins now; nothing where it is
    /// not known what has been changed since. `newest` is the epoch of what is published.
    pub(crate) fn begin(
        &self,
        workspace: WorkspaceId,
        knows: Option<u64>,
        newest: u64,
    ) -> (Cursor, bool) {
        let mut kept = self.kept.lock();
        // What has been published since it was asked for may be here already.
        let newest = newest.max(kept.epoch);
        if !kept.is_followed {
            (kept.is_followed, kept.lost) = (true, (kept.number, newest));
        }
        let now = Cursor(kept.number);
        let Some(knows) = knows else { return (now, true) };
        let ring = kept.rings.get(&workspace.0);
        let lost = ring.map_or(kept.lost.1, |it| it.lost.1.max(kept.lost.1));
        if knows <= lost || newest < knows {
            return (now, false);
        }
        let mut batches = ring.into_iter().flat_map(|it| &it.batches);
        let first = batches.find(|it| knows < it.epoch || (it.is_beside && knows == it.epoch));
        (first.map_or(now, |it| Cursor(it.number - 1)), true)
    }

    /// What comes next for a reader.
    pub(crate) fn next(&self, workspace: WorkspaceId, Cursor(at): Cursor) -> Found {
        let kept = self.kept.lock();
        let ring = kept.rings.get(&workspace.0);
        if at < ring.map_or(kept.lost.0, |it| it.lost.0.max(kept.lost.0)) {
            return Found::Missed(Cursor(kept.number));
        }
        let mut batches = ring.into_iter().flat_map(|it| &it.batches);
        match batches.find(|it| at < it.number) {
            Some(batch) => Found::Batch(Cursor(batch.number), Arc::clone(batch)),
            None => Found::Nothing,
        }
    }

    /// Told whenever there is more.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}

impl Kept {
    fn lose(&mut self, epoch: u64) {
        self.number += 1;
        self.lost = (self.number, epoch);
        self.rings.clear();
        self.items = 0;
    }

    fn push(&mut self, (workspace, epoch): (WorkspaceId, u64), is_beside: bool, items: Vec<Item>) {
        self.number += 1;
        let items = (items.len() <= MOST_AT_ONCE).then_some(items);
        let batch = Batch { number: self.number, epoch, is_beside, items };
        let ring = self.rings.entry(workspace.0).or_default();
        let before = ring.items;
        ring.items += batch.room();
        ring.batches.push_back(Arc::new(batch));
        while MOST_KEPT < ring.items
            && let Some(gone) = ring.batches.pop_front()
        {
            ring.items -= gone.room();
            ring.lost = (gone.number, gone.epoch);
        }
        self.items = self.items + ring.items - before;
        if MOST_IN_ALL < self.items {
            self.lose(epoch);
        }
    }
}

impl Batch {
    fn room(&self) -> usize {
        self.items.as_ref().map_or(1, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const THERE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    #[test]
    fn a_reader_finds_what_is_of_its_workspace_and_no_more() {
        let feed = followed(10);
        let (cursor, is_whole) = feed.begin(HERE, None, 10);
        assert!(is_whole);
        push(&feed, THERE, 11, 1);
        assert!(matches!(feed.next(HERE, cursor), Found::Nothing));
        push(&feed, HERE, 12, 2);
        let Found::Batch(cursor, batch) = feed.next(HERE, cursor) else { panic!("nothing") };
        assert_eq!((batch.epoch, batch.items.as_ref().unwrap().len()), (12, 2));
        assert!(matches!(feed.next(HERE, cursor), Found::Nothing));
    }

    #[test]
    fn whoever_comes_back_finds_what_came_meanwhile_or_is_told_that_nobody_knows() {
        let feed = followed(10);
        for epoch in [11, 13, 14] {
            push(&feed, HERE, epoch, 1);
        }
        feed.tell(HERE, 14, item());
        let cases: [(u64, Option<&[u64]>); 7] = [
            (9, None),
            (10, None),
            (11, Some(&[13, 14, 14])),
            (12, Some(&[13, 14, 14])),
            (14, Some(&[14])),
            (15, Some(&[])),
            (16, None),
        ];
        for (knows, expected) in cases {
            let (mut cursor, is_whole) = feed.begin(HERE, Some(knows), 15);
            assert_eq!(is_whole, expected.is_some(), "{knows}");
            let mut found = Vec::new();
            while let Found::Batch(next, batch) = feed.next(HERE, cursor) {
                (cursor, _) = (next, found.push(batch.epoch));
            }
            assert_eq!(found, expected.unwrap_or_default(), "{knows}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_whoever_is_too_slow_is_told() {
        let feed = followed(0);
        let (cursor, _) = feed.begin(HERE, None, 0);
        push(&feed, HERE, 1, MOST_AT_ONCE);
        push(&feed, HERE, 2, MOST_KEPT - MOST_AT_ONCE);
        assert!(matches!(feed.next(HERE, cursor), Found::Batch(..)));
        push(&feed, HERE, 3, 1);
        let Found::Missed(now) = feed.next(HERE, cursor) else { panic!("not missed") };
        assert!(matches!(feed.next(HERE, now), Found::Nothing));
        assert!(!feed.begin(HERE, Some(1), 3).1 && feed.begin(HERE, Some(2), 3).1);
        push(&feed, HERE, 4, MOST_AT_ONCE + 1);
        let Found::Batch(now, batch) = feed.next(HERE, now) else { panic!("nothing") };
        assert_eq!(batch.items, None, "more than is told of one by one");
        feed.kept.lock().lose(5);
        assert!(matches!(feed.next(HERE, now), Found::Missed(_)));
        assert!(!feed.begin(HERE, Some(5), 5).1);
    }

    #[test]
    fn what_is_kept_of_all_workspaces_together_is_bounded() {
        let feed = followed(0);
        let (cursor, _) = feed.begin(HERE, None, 0);
        push(&feed, HERE, 1, 1);
        for n in 0..u128::try_from(MOST_IN_ALL / MOST_AT_ONCE).unwrap() {
            assert!(feed.kept.lock().items <= MOST_IN_ALL);
            push(&feed, WorkspaceId(Uuid::from_u128(100 + n)), 2, MOST_AT_ONCE);
        }
        assert!(matches!(feed.next(HERE, cursor), Found::Missed(_)));
        assert_eq!(feed.kept.lock().items, 0);
    }

    #[test]
    fn what_was_published_before_anybody_followed_is_known_to_nobody() {
        let feed = Feed::new();
        feed.kept.lock().epoch = 12;
        assert!(feed.begin(HERE, None, 10).1);
        assert!(!feed.begin(HERE, Some(11), 12).1 && !feed.begin(HERE, Some(12), 12).1);
    }

    #[test]
    fn nothing_is_kept_where_nobody_has_ever_followed() {
        let feed = Feed::new();
        feed.tell(HERE, 1, item());
        assert!(feed.kept.lock().rings.is_empty());
    }

    fn followed(epoch: u64) -> Feed {
        let feed = Feed::new();
        feed.begin(HERE, None, epoch);
        feed
    }

    fn push(feed: &Feed, workspace: WorkspaceId, epoch: u64, count: usize) {
        let items = (0..count).map(|_| item()).collect();
        feed.kept.lock().push((workspace, epoch), false, items);
    }

    fn item() -> Item {
        let after = Some(Sight { name: Some("jira".into()), needs: None });
        Item { kind: "server", id: Uuid::from_u128(9), target: None, before: None, after }
    }
}
