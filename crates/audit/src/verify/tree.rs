//! Holds every file of a tree against the entries, and the entries against signed roots. No I/O:
//! the files come from a [`Source`].
//!
//! One pass over the entries, in order: those of the bundles, up to the signed size, and then those
//! that the segments still hold. From them all tiles are computed again, each of which must be
//! what stands in its file; partial tiles must be the begin of what became of them. Where an
//! entry and its hash disagree, what is built on it is not held against anything, so that the
//! lowest index named is the first bad one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use uuid::Uuid;

use crate::entry::Record;
use crate::merkle::{self, Hash, Peaks};
use crate::tile::{FULL, HEIGHT, Layer, Source, Tile};

/// A pass over a tree.
pub(super) struct TreeCheck<'a> {
    source: &'a dyn Source,
    workspace: Uuid,
    size: u64,
    /// The widths that there are of each tile.
    files: BTreeMap<(Layer, u64), Vec<usize>>,
    /// Signed roots by size.
    expected: BTreeMap<u64, Vec<(Hash, &'static str)>>,
    /// The sizes of signed roots that were right, at most.
    sound_until: u64,
    peaks: Peaks,
    bundle: Bundle,
    /// The leaf hashes in the widest file of the tile that is being built.
    filed: Vec<Hash>,
    /// For each level the hashes of the tile that is being built, and whether to rely on them.
    levels: Vec<Vec<(Hash, bool)>>,
    /// Something below a peak did not fit: roots tell nothing new.
    is_tainted: bool,
    findings: Vec<(Option<u64>, String)>,
    last: Option<(u64, i64)>,
}

/// What a pass found.
pub(super) struct Finished {
    pub(super) findings: Vec<(Option<u64>, String)>,
    /// Records that no signed root covers yet.
    pub(super) unsequenced: u64,
}

/// The bundle that is being built again.
#[derive(Default)]
struct Bundle {
    bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<usize>,
}

impl<'a> TreeCheck<'a> {
    /// A pass over the tree of `size` that consists of `files`.
    pub(super) fn new(
        source: &'a dyn Source,
        workspace: Uuid,
        size: u64,
        files: Vec<String>,
    ) -> Self {
        let mut findings = vec![];
        let mut known: BTreeMap<(Layer, u64), Vec<usize>> = BTreeMap::new();
        for path in files {
            match Tile::parse(&path) {
                Some(tile) => known.entry((tile.layer, tile.number)).or_default().push(tile.width),
                None => findings.push((None, format!("`{path}` does not belong to the log"))),
            }
        }
        Self {
            source,
            workspace,
            size,
            files: known,
            expected: BTreeMap::new(),
            sound_until: 0,
            peaks: Peaks::default(),
            bundle: Bundle::default(),
            filed: vec![],
            levels: vec![],
            is_tainted: false,
            findings,
            last: None,
        }
    }

    /// A root that was signed. Larger ones than that of the tree show that it was rolled back.
    pub(super) fn expect(&mut self, size: u64, root: Hash, name: &'static str) {
        if size > self.size {
            let what =
                format!("rolled back: {name} has {size} entries, the log's has {}", self.size);
            self.findings.push((Some(self.size), what));
        }
        self.expected.entry(size).or_default().push((root, name));
    }

    /// Runs the pass. `tail` are the entries of the workspace in the segments, with their sequence.
    pub(super) fn run(
        mut self,
        tail: &[(u64, Vec<u8>)],
        mut visit: impl FnMut(Option<u64>, &Record<'_>),
    ) -> Finished {
        self.compare_root();
        let is_complete = self.run_bundles(&mut visit);
        let mut unsequenced = 0;
        if is_complete {
            for (sequence, entry) in tail {
                if self.last.is_none_or(|(last, _)| last < *sequence) {
                    unsequenced += 1;
                    self.entry(entry, None, &mut visit);
                }
            }
            self.compare_files_of_last_tiles();
            let size = self.size;
            for ((layer, number), widths) in std::mem::take(&mut self.files) {
                for width in widths {
                    let tile = Tile { layer, number, width };
                    let what =
                        format!("`{}` reaches beyond the signed {size} entries", tile.path());
                    self.findings.push((Some(tile.first_entry(0).max(size)), what));
                }
            }
        }
        Finished { findings: self.findings, unsequenced }
    }

    /// Whether all entries under the checkpoint are there.
    fn run_bundles(&mut self, visit: &mut impl FnMut(Option<u64>, &Record<'_>)) -> bool {
        for number in 0..self.size.div_ceil(FULL as u64) {
            let Some(tile) = Tile::of(Layer::Entries, number, self.size) else { return false };
            let bytes = match self.read(tile) {
                Ok(bytes) => bytes,
                Err(what) => {
                    self.findings.push((Some(tile.first_entry(0)), what));
                    return false;
                }
            };
            let mut rest = bytes.as_slice();
            for item in 0..tile.width {
                let index = tile.first_entry(item);
                let entry = rest.split_first_chunk::<2>().and_then(|(len, tail)| {
                    tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))
                });
                let Some((entry, tail)) = entry else {
                    let what = format!("`{}` ends within this entry", tile.path());
                    self.findings.push((Some(index), what));
                    return false;
                };
                rest = tail;
                self.entry(entry, Some(index), visit);
            }
        }
        true
    }

    fn read(&self, tile: Tile) -> Result<Vec<u8>, String> {
        for path in [tile.path(), tile.full().path(), tile.path()] {
            match self.source.read(&path) {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => {}
                Err(error) => return Err(format!("`{path}` cannot be read: {error}")),
            }
        }
        Err(format!("`{}` is missing", tile.path()))
    }

    fn entry(
        &mut self,
        entry: &[u8],
        index: Option<u64>,
        visit: &mut impl FnMut(Option<u64>, &Record<'_>),
    ) {
        let place = self.peaks.size();
        let number = place / FULL as u64;
        let slot = self.bundle.ends.len();
        self.bundle.push(entry);
        let leaf = merkle::leaf_hash(entry);
        let is_sound = self.fits_tile(number, slot, &leaf);
        self.is_tainted |= !is_sound;
        if is_sound {
            self.look_at(entry, place, index, visit);
        } else {
            let what = "the entry and its hash in the tree differ".to_owned();
            self.findings.push((Some(place), what));
        }
        let levels = &mut self.levels;
        self.peaks.push(leaf, |height, hash| {
            if height.is_multiple_of(HEIGHT) {
                let level = (height / HEIGHT) as usize;
                if levels.len() == level {
                    levels.push(vec![]);
                }
                let below = level.checked_sub(1).and_then(|below| levels.get(below));
                let is_sound =
                    is_sound && below.is_none_or(|tile| tile.iter().all(|(_, sound)| *sound));
                if let Some(tile) = levels.get_mut(level) {
                    tile.push((hash, is_sound));
                }
            }
        });
        self.compare_full_tiles();
        self.compare_root();
    }

    fn look_at(
        &mut self,
        entry: &[u8],
        place: u64,
        index: Option<u64>,
        visit: &mut impl FnMut(Option<u64>, &Record<'_>),
    ) {
        let Some(record) = Record::parse(entry) else {
            return self.findings.push((Some(place), "not a record of a known form".to_owned()));
        };
        if record.workspace != self.workspace {
            let what = format!("a record of workspace {}", record.workspace);
            self.findings.push((Some(place), what));
        }
        let is_later = |(sequence, time_ms): (u64, i64)| {
            sequence < record.sequence && time_ms <= record.time_ms
        };
        if !self.last.is_none_or(is_later) {
            self.findings.push((Some(place), "out of order in sequence or time".to_owned()));
        }
        self.last = Some((record.sequence, record.time_ms));
        visit(index, &record);
    }

    /// Compares a leaf with the widest file of its tile. The others are compared when the tile is
    /// complete.
    fn fits_tile(&mut self, number: u64, slot: usize, leaf: &Hash) -> bool {
        if slot == 0 {
            let layer = Layer::Level(0);
            let widths = self.files.get(&(layer, number));
            let widest = widths.and_then(|widths| widths.iter().copied().max());
            let tile = widest.map(|width| Tile { layer, number, width });
            let bytes = tile.and_then(|tile| self.source.read(&tile.path()).ok().flatten());
            self.filed = bytes.unwrap_or_default().as_chunks::<32>().0.to_vec();
        }
        self.filed.get(slot).is_none_or(|hash| hash == leaf)
    }

    fn compare_full_tiles(&mut self) {
        for level in 0..self.levels.len() {
            if self.levels.get(level).is_none_or(|tile| tile.len() < FULL) {
                return;
            }
            let shift = HEIGHT * (u32::try_from(level).unwrap_or(0) + 1);
            self.compare_tile(level, (self.peaks.size() >> shift) - 1);
        }
    }

    fn compare_files_of_last_tiles(&mut self) {
        for level in 0..self.levels.len() {
            let shift = HEIGHT * (u32::try_from(level).unwrap_or(0) + 1);
            self.compare_tile(level, self.peaks.size() >> shift);
        }
    }

    /// Compares a tile with all its files, and begins the next.
    fn compare_tile(&mut self, level: usize, number: u64) {
        let Some(hashes) = self.levels.get_mut(level).map(std::mem::take) else { return };
        let layer = Layer::Level(u32::try_from(level).unwrap_or(0));
        self.require(layer, number);
        for width in self.take_widths(layer, number, hashes.len()) {
            let tile = Tile { layer, number, width };
            let Some(bytes) = self.read_exactly(tile) else { continue };
            let (found, rest) = bytes.as_chunks::<32>();
            let differs = |(hash, (expected, is_sound)): (&Hash, &(Hash, bool))| {
                *is_sound && hash != expected
            };
            let bad = found.iter().zip(&hashes).position(differs);
            let bad = bad.or((found.len() != width || !rest.is_empty()).then_some(found.len()));
            if let Some(item) = bad {
                let what = format!("`{}` has another hash here", tile.path());
                self.findings.push((Some(tile.first_entry(item.min(width - 1))), what));
            }
        }
        if level == 0 {
            let bundle = std::mem::take(&mut self.bundle);
            for width in self.take_widths(Layer::Entries, number, bundle.ends.len()) {
                let tile = Tile { layer: Layer::Entries, number, width };
                let Some(bytes) = self.read_exactly(tile) else { continue };
                if let Some(item) = bundle.first_difference(width, &bytes) {
                    let what = format!("`{}` has another entry here", tile.path());
                    self.findings.push((Some(tile.first_entry(item)), what));
                }
            }
        }
    }

    /// A tile under the checkpoint must have its file, or the full one that has replaced it. It may
    /// be newer than the list.
    fn require(&mut self, layer: Layer, number: u64) {
        let Some(tile) = Tile::of(layer, number, self.size) else { return };
        let listed = self.files.get(&(layer, number));
        let is_listed = |width| listed.is_some_and(|widths| widths.contains(&width));
        if is_listed(tile.width) || is_listed(FULL) {
            return;
        }
        if let Err(what) = self.read(tile) {
            self.findings.push((Some(tile.first_entry(0)), what));
        }
    }

    /// The widths of a tile's files, as far as the tile goes. Wider ones are left over.
    fn take_widths(&mut self, layer: Layer, number: u64, items: usize) -> Vec<usize> {
        let Slot::Occupied(mut widths) = self.files.entry((layer, number)) else { return vec![] };
        let (fit, wider) = widths.get().iter().partition(|width| **width <= items);
        let wider: Vec<usize> = wider;
        if wider.is_empty() {
            widths.remove();
        } else {
            widths.insert(wider);
        }
        fit
    }

    /// `None` when it is gone, as partial tiles go, or after noting that it cannot be read.
    fn read_exactly(&mut self, tile: Tile) -> Option<Vec<u8>> {
        self.source.read(&tile.path()).unwrap_or_else(|error| {
            let what = format!("`{}` cannot be read: {error}", tile.path());
            self.findings.push((Some(tile.first_entry(0)), what));
            None
        })
    }

    fn compare_root(&mut self) {
        let size = self.peaks.size();
        let Some(roots) = self.expected.remove(&size) else { return };
        if self.is_tainted {
            return;
        }
        let root = self.peaks.root();
        let mut is_sound = true;
        for (expected, name) in roots {
            if expected != root {
                is_sound = false;
                let what = format!(
                    "the first {size} entries are not those of {name}; they agree up to {}",
                    self.sound_until
                );
                self.findings.push((Some(self.sound_until), what));
            }
        }
        if is_sound {
            self.sound_until = size;
        }
    }
}

impl Bundle {
    fn push(&mut self, entry: &[u8]) {
        let len = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(entry);
        self.ends.push(self.bytes.len());
    }

    /// The first of `width` entries that is not the same in `bytes`.
    fn first_difference(&self, width: usize, bytes: &[u8]) -> Option<usize> {
        let end = self.ends.get(width.checked_sub(1)?).copied()?;
        let own = self.bytes.get(..end)?;
        if own == bytes {
            return None;
        }
        let same = own.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        let entry = self.ends.iter().position(|end| *end > same).unwrap_or(width);
        Some(entry.min(width - 1))
    }
}
