//! The thread that puts records into their trees.
//!
//! It takes only what is on disk in the segments, in order of sequence, so that the tree can be made
//! again after any crash, exactly as it was published. Every [`crate::Options::checkpoint_every`] it
//! writes tiles and checkpoints, without waiting for the disk. When a segment is finished it brings
//! the trees to the disk, notes how far, and only then removes the segment.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use uuid::Uuid;

use crate::log::OpenError;
use crate::note::{Checkpoint, NoteError, Signer};
use crate::queue::{Shared, Written};
use crate::replay::{self, Replayed};
use crate::segment;
use crate::tail::Tails;
use crate::tree::{CHECKPOINT, DURABLE, Folder, Tree};

/// The latest checkpoint of each workspace.
pub(crate) type Heads = RwLock<BTreeMap<Uuid, Checkpoint>>;

pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    tails: Arc<Tails>,
    heads: Arc<Heads>,
    signer: Arc<Signer>,
    dir: PathBuf,
    root: File,
    trees: HashMap<Uuid, Tree>,
    /// The last sequence that has been put into a tree.
    through: u64,
    /// How many rounds in a row have failed.
    failures: u32,
}

/// What is lost is made again from all that is on disk, which takes its time with a large log. So who
/// keeps failing waits for longer each time; a disk that is well again is waited for no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Sequencer {
    /// Loads all trees, replays the segments into them and brings them to the disk. After this no
    /// segment is needed any more.
    pub(crate) fn recover(
        shared: Arc<Shared>,
        tails: Arc<Tails>,
        heads: Arc<Heads>,
        signer: Arc<Signer>,
    ) -> Result<(Self, Replayed), OpenError> {
        let dir = shared.options.dir.clone();
        let root = File::open(&dir).map_err(|source| OpenError::io(&dir, source))?;
        let mut sequencer = Self {
            shared,
            tails,
            heads,
            signer,
            dir,
            root,
            trees: HashMap::new(),
            through: 0,
            failures: 0,
        };
        // What was in the kernel only must be on disk before others see it in a checkpoint.
        sequencer.sync_all().map_err(|source| OpenError::io(&sequencer.dir, source))?;
        let replayed = sequencer.rebuild(u64::MAX)?;
        let dir = sequencer.dir.clone();
        sequencer
            .flush()
            .and_then(|()| sequencer.trees.values().try_for_each(Tree::remove_leftovers))
            .and_then(|()| sequencer.make_durable())
            .map_err(|source| OpenError::io(&dir, source))?;
        let latest = sequencer.trees.values().map(|tree| tree.last_ms).max().unwrap_or(0);
        let replayed = Replayed {
            last_sequence: Some(sequencer.through),
            last_ms: replayed.last_ms.max(latest),
            ..replayed
        };
        Ok((sequencer, replayed))
    }

    pub(crate) fn run(mut self) {
        loop {
            let is_last = self.wait();
            self.round(is_last);
            if is_last {
                break;
            }
        }
        self.shared.state.lock().sequencer_ended = true;
        self.shared.ended.notify_all();
    }

    /// Waits until there is something and the time has come. Whether this is the last round.
    fn wait(&self) -> bool {
        let mut state = self.shared.state.lock();
        let is_dirty = self.trees.values().any(Tree::is_dirty);
        while state.synced.is_empty() && !state.sequencer_lost && !state.syncer_ended && !is_dirty {
            self.shared.sequence_due.wait(&mut state);
        }
        // Every sync notifies: what counts is the time that has passed, or the end.
        let began = self.shared.clock.monotonic();
        let every = pause(self.shared.options.checkpoint_every, self.failures);
        while !state.syncer_ended {
            let waited = self.shared.clock.monotonic().saturating_sub(began);
            let Some(left) = every.checked_sub(waited).filter(|left| !left.is_zero()) else {
                break;
            };
            if self.shared.sequence_due.wait_for(&mut state, left).timed_out() {
                break;
            }
        }
        state.syncer_ended
    }

    fn round(&mut self, is_last: bool) {
        let result = self.take_in().and_then(|()| {
            self.flush().map_err(|source| OpenError::io(&self.dir, source))?;
            self.retire(is_last)
        });
        match result {
            Ok(()) => {
                if 0 < std::mem::take(&mut self.failures) {
                    tracing::warn!("audit checkpoints are written again");
                }
            }
            Err(error) => {
                if self.failures == 0 {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        "audit checkpoints cannot be written; records still are"
                    );
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    fn take_in(&mut self) -> Result<(), OpenError> {
        let (batches, is_lost, through) = {
            let mut state = self.shared.state.lock();
            state.synced_bytes = 0;
            let is_lost = std::mem::take(&mut state.sequencer_lost);
            (std::mem::take(&mut state.synced), is_lost, state.synced_through)
        };
        if is_lost {
            return self.rebuild(through).map(drop).inspect_err(|_| {
                self.shared.state.lock().sequencer_lost = true;
            });
        }
        batches.iter().try_for_each(|batch| self.feed(batch)).inspect_err(|_| {
            self.shared.state.lock().sequencer_lost = true;
        })
    }

    fn feed(&mut self, batch: &Written) -> Result<(), OpenError> {
        for (record, entry) in segment::records(&batch.frames) {
            match self.trees.get_mut(&record.workspace) {
                Some(tree) => tree.push(&record, entry),
                None => {
                    let mut tree = self.load(record.workspace)?;
                    tree.push(&record, entry);
                    self.trees.insert(record.workspace, tree);
                }
            }
        }
        self.through = batch.last_sequence;
        Ok(())
    }

    /// Makes the trees again: from what is known to be on disk, and the segments.
    fn rebuild(&mut self, through: u64) -> Result<Replayed, OpenError> {
        self.trees.clear();
        for workspace in self.workspaces().map_err(|source| OpenError::io(&self.dir, source))? {
            let tree = self.load(workspace)?;
            self.trees.insert(workspace, tree);
        }
        let known = self.trees.values().filter_map(|tree| tree.last_sequence).max().unwrap_or(0);
        let mut failed = None;
        let segments = segments_folder(&self.dir);
        let replayed = replay::replay(&segments, known, through, |record, entry| {
            if failed.is_some() {
                return;
            }
            match self.trees.get_mut(&record.workspace) {
                Some(tree) => tree.push(record, entry),
                None => match self.load(record.workspace) {
                    Ok(mut tree) => {
                        tree.push(record, entry);
                        self.trees.insert(record.workspace, tree);
                    }
                    Err(error) => failed = Some(error),
                },
            }
        })
        .map_err(|source| OpenError::io(&segments, source))?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(tree) = self.trees.values().find(|tree| tree.contradicts_seen()) {
            return Err(OpenError::Contradiction { workspace: tree.workspace });
        }
        self.through = replayed.last_sequence.unwrap_or(0).max(known);
        Ok(replayed)
    }

    /// Reads a workspace's tree as far as it is known to be on disk.
    fn load(&self, workspace: Uuid) -> Result<Tree, OpenError> {
        let folder = self.dir.join(workspace.to_string());
        let Ok(durable) = self.head(&folder, workspace, DURABLE)? else {
            return Err(OpenError::Damaged { workspace, file: DURABLE });
        };
        let size = durable.as_ref().map_or(0, |head| head.size);
        let mut tree = Tree::load(folder.clone(), workspace, size)
            .map_err(|source| OpenError::Tree { workspace, source })?;
        if let Some(durable) = durable {
            if durable.root != tree.root() {
                return Err(OpenError::Contradiction { workspace });
            }
            // Signatures are deterministic: another text is that of other keys.
            if durable != self.signer.sign(workspace, size, durable.root) {
                tree.sign_again();
            }
        }
        match self.head(&folder, workspace, CHECKPOINT)? {
            // Renamed but not yet written when the power went: the segments make it again.
            Err(error) => tracing::error!(%workspace, %error, "an audit checkpoint is damaged"),
            Ok(Some(head)) if head.size < size => {
                tracing::error!(%workspace, head.size, size, "an audit checkpoint was rolled back");
            }
            Ok(Some(head)) => tree.expect(head.size, head.root),
            Ok(None) => {}
        }
        Ok(tree)
    }

    /// A checkpoint file. A foreign key is an error of its own: the wrong key was configured.
    fn head(
        &self,
        folder: &std::path::Path,
        workspace: Uuid,
        name: &str,
    ) -> Result<Result<Option<Checkpoint>, NoteError>, OpenError> {
        let text = Folder(folder.to_owned())
            .text(name)
            .map_err(|source| OpenError::io(&folder.join(name), source))?;
        let Some(text) = text else { return Ok(Ok(None)) };
        match Checkpoint::verify(&text, &self.signer.believed_keys()) {
            Ok(head) if head.origin != self.signer.origin(workspace) => {
                Err(OpenError::ForeignKey { workspace })
            }
            Ok(head) => Ok(Ok(Some(head))),
            Err(NoteError::UnknownKey) => Err(OpenError::ForeignKey { workspace }),
            Err(error) => Ok(Err(error)),
        }
    }

    fn workspaces(&self) -> io::Result<Vec<Uuid>> {
        let mut found = vec![];
        for item in std::fs::read_dir(&self.dir)? {
            let name = item?.file_name();
            let id = name.to_str().and_then(|name| Uuid::parse_str(name).ok());
            found.extend(id.filter(|id| Some(id.to_string().as_str()) == name.to_str()));
        }
        Ok(found)
    }

    fn flush(&mut self) -> io::Result<()> {
        for tree in self.trees.values_mut() {
            let is_new = !self.heads.read().contains_key(&tree.workspace) && tree.size() > 0;
            if !tree.is_dirty() && !is_new {
                continue;
            }
            let checkpoint = tree.flush(&self.signer)?;
            if let Some(last) = tree.last_sequence {
                self.tails.indexed(tree.workspace, tree.size(), last);
            }
            self.heads.write().insert(tree.workspace, checkpoint);
        }
        Ok(())
    }

    /// Removes finished segments that the trees no longer need.
    fn retire(&mut self, is_last: bool) -> Result<(), OpenError> {
        let finished: Vec<_> = {
            let state = self.shared.state.lock();
            let done = state.finished.iter().filter(|(_, last)| *last <= self.through);
            done.cloned().collect()
        };
        if finished.is_empty() && !is_last {
            return Ok(());
        }
        if let Err(source) = self.make_durable() {
            // Some tiles may be lost, nobody knows which: all since the last success are made again.
            self.shared.state.lock().sequencer_lost = true;
            return Err(OpenError::io(&self.dir, source));
        }
        for (path, _) in &finished {
            segment::remove_quietly(path);
        }
        self.shared.state.lock().finished.retain(|item| !finished.contains(item));
        self.forget_the_quiet();
        Ok(())
    }

    fn make_durable(&mut self) -> io::Result<()> {
        if self.trees.values().all(Tree::is_durable) {
            return Ok(());
        }
        let signer = Arc::clone(&self.signer);
        self.sync_all()?;
        let dirty = |tree: &&mut Tree| !tree.is_durable();
        self.trees.values_mut().filter(dirty).try_for_each(|tree| tree.prepare_durable(&signer))?;
        self.sync_all()?;
        self.trees.values_mut().filter(dirty).try_for_each(Tree::note_durable)?;
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    /// A tree that is on disk is read again when it is needed.
    fn forget_the_quiet(&mut self) {
        if self.trees.len() > TREES_IN_MEMORY {
            self.trees.retain(|_, tree| !tree.is_durable());
        }
    }
}

/// How long to wait before the next round: twice as long after each one in a row that has failed.
fn pause(every: Duration, failures: u32) -> Duration {
    let longer = every.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    longer.min(LONGEST_PAUSE).max(every)
}

/// Where the segments are.
pub(crate) fn segments_folder(dir: &std::path::Path) -> PathBuf {
    dir.join("segment")
}

/// Each holds at most one bundle, some 150 KiB with usual records.
const TREES_IN_MEMORY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_keep_failing_become_rare_and_a_disk_that_is_well_again_is_soon_noticed() {
        let every = Duration::from_millis(200);
        let pauses: Vec<u128> = (0..6).map(|it| pause(every, it).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_000, 3_000]);
        assert_eq!(pause(every, u32::MAX), LONGEST_PAUSE);
        let rare = Duration::from_secs(60);
        assert_eq!([0, 1, 40].map(|it| pause(rare, it)), [rare; 3]);
    }
}
