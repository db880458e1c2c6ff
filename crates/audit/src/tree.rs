//! The tree of one workspace on disk, and its growth.
//!
//! The folder of a workspace holds the log as C2SP describes it, `checkpoint` and `tile/…`, and one
//! file more: `durable`, a checkpoint up to which the files are known to be on disk. The rest can be
//! made again from the segments, and is, at every start: the same records in the same order give
//! the same tree, so a checkpoint that others have seen is never contradicted.
//!
//! A checkpoint is written after all the files it speaks of, each of them whole or not at all.

use std::fs;
use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::entry::Record;
use crate::merkle::{self, Hash, Peaks};
use crate::note::{Checkpoint, Signer};
use crate::tile::{self, FULL, HEIGHT, Layer, Source, Tile, TreeError};

/// A log that grows.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) workspace: Uuid,
    folder: Folder,
    peaks: Peaks,
    /// The hashes of the last, not yet full, tile of each level.
    levels: Vec<Vec<Hash>>,
    /// The entries of the last, not yet full, bundle.
    bundle: Vec<u8>,
    /// Full tiles that are to be written.
    ready: Vec<(Tile, Vec<u8>)>,
    /// Folders of partial tiles that full ones have replaced. They go when the full ones are on
    /// disk, not before: until then a start may need them.
    replaced: Vec<String>,
    /// Sequence of the last entry.
    pub(crate) last_sequence: Option<u64>,
    /// Time of the last entry.
    pub(crate) last_ms: i64,
    /// The size of the last checkpoint that was written.
    flushed: u64,
    /// The size up to which the files are on disk.
    durable: u64,
    /// The note of that was signed with keys of another time.
    is_signed_otherwise: bool,
    /// A head that others may have seen: growing past it in another way would be a second history.
    seen: Option<(u64, Hash)>,
    is_forked: bool,
}

/// The files of one log in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Tree {
    /// Reads a tree as it was at `size`, whatever has been written after that.
    pub(crate) fn load(folder: PathBuf, workspace: Uuid, size: u64) -> Result<Self, TreeError> {
        let folder = Folder(folder);
        let mut levels = vec![];
        let mut peaks = vec![];
        for level in 0..8 {
            let layer = Layer::Level(level);
            let items = layer.items(size);
            if items == 0 {
                break;
            }
            let hashes = match last_partial(layer, size) {
                Some(tile) => tile::read_hashes(&folder, tile)?,
                None => vec![],
            };
            // Peaks of higher levels come first; within a level each bit of the width has one.
            let mut at = 0;
            let mut found = vec![];
            for bit in (0..HEIGHT).rev().filter(|bit| hashes.len() & (1 << bit) != 0) {
                found.extend(hashes.get(at..at + (1 << bit)).map(merkle::root_of));
                at += 1 << bit;
            }
            peaks.splice(0..0, found);
            levels.push(hashes);
        }
        let bundle = match last_partial(Layer::Entries, size) {
            Some(tile) => tile::read(&folder, tile)?,
            None => vec![],
        };
        let mut tree = Self {
            workspace,
            folder,
            peaks: Peaks::new(size, peaks)
                .ok_or_else(|| TreeError::Damaged { path: "tile".to_owned() })?,
            levels,
            bundle,
            ready: vec![],
            replaced: vec![],
            last_sequence: None,
            last_ms: 0,
            flushed: size,
            durable: size,
            is_signed_otherwise: false,
            seen: None,
            is_forked: false,
        };
        tree.find_last()?;
        Ok(tree)
    }

    pub(crate) fn size(&self) -> u64 {
        self.peaks.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.peaks.root()
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.flushed != self.size()
    }

    /// Appends an entry, unless it is there already.
    pub(crate) fn push(&mut self, record: &Record<'_>, entry: &[u8]) {
        if self.last_sequence.is_some_and(|last| record.sequence <= last) {
            return;
        }
        let len = u16::try_from(entry.len()).expect("an entry is below 64 KiB");
        self.last_sequence = Some(record.sequence);
        self.last_ms = record.time_ms;
        self.bundle.extend_from_slice(&len.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        let levels = &mut self.levels;
        self.peaks.push(merkle::leaf_hash(entry), |height, hash| {
            if !height.is_multiple_of(HEIGHT) {
                return;
            }
            let level = (height / HEIGHT) as usize;
            if levels.len() == level {
                levels.push(Vec::with_capacity(FULL));
            }
            if let Some(hashes) = levels.get_mut(level) {
                hashes.push(hash);
            }
        });
        self.set_full_tiles_aside();
        self.compare_with_seen();
    }

    /// Holds the tree to a head that has been published.
    pub(crate) fn expect(&mut self, size: u64, root: Hash) {
        self.seen = Some((size, root));
        self.compare_with_seen();
    }

    /// The tree has passed the published head and had another root there, or has not reached it.
    pub(crate) fn contradicts_seen(&self) -> bool {
        self.is_forked || self.seen.is_some_and(|(size, _)| size > self.size())
    }

    /// Writes what is new, and then the checkpoint that speaks of it. After an error it can be
    /// tried again.
    pub(crate) fn flush(&mut self, signer: &Signer) -> io::Result<Checkpoint> {
        while let Some((tile, bytes)) = self.ready.last() {
            self.folder.write(&tile.path(), bytes)?;
            self.replaced.push(tile.partial_folder());
            self.ready.pop();
        }
        let size = self.size();
        for (level, hashes) in (0..).zip(&self.levels) {
            if let Some(tile) = last_partial(Layer::Level(level), size)
                && tile.layer.items(self.flushed) != tile.layer.items(size)
            {
                self.folder.write(&tile.path(), hashes.as_flattened())?;
            }
        }
        if let Some(tile) = last_partial(Layer::Entries, size)
            && self.flushed != size
        {
            self.folder.write(&tile.path(), &self.bundle)?;
        }
        let checkpoint = signer.sign(self.workspace, size, self.root());
        self.folder.write(CHECKPOINT, checkpoint.text.as_bytes())?;
        self.flushed = size;
        Ok(checkpoint)
    }

    /// The files of the last flush are on disk: prepares to say so. The text must be on disk too
    /// before [`Tree::note_durable`] gives it its name.
    pub(crate) fn prepare_durable(&mut self, signer: &Signer) -> io::Result<()> {
        while let Some(folder) = self.replaced.last() {
            self.folder.remove_folder(folder)?;
            self.replaced.pop();
        }
        let checkpoint = signer.sign(self.workspace, self.flushed, self.root());
        self.folder.write_temporary(checkpoint.text.as_bytes())
    }

    /// The next start begins here.
    pub(crate) fn note_durable(&mut self) -> io::Result<()> {
        self.folder.name_temporary(DURABLE)?;
        self.durable = self.flushed;
        self.is_signed_otherwise = false;
        Ok(())
    }

    /// All there is has been written and is known to be on disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable == self.size() && !self.is_signed_otherwise
    }

    /// The note of what is on disk is to be written anew.
    pub(crate) fn sign_again(&mut self) {
        self.is_signed_otherwise = true;
    }

    /// After a start and a flush: removes what an earlier run wrote after [`Tree::load`]'s size and
    /// this one did not write again. A loss of power may have damaged it.
    pub(crate) fn remove_leftovers(&self) -> io::Result<()> {
        let size = self.size();
        for layer in std::iter::once(Layer::Entries).chain((0..8).map(Layer::Level)) {
            let split = |size| (layer.items(size) / FULL as u64, layer.items(size) % FULL as u64);
            let (last, width) = split(size);
            let (durable_last, durable_width) = split(self.durable);
            let sound = if durable_last == last { durable_width } else { 0 };
            let mut tile = Tile { layer, number: last, width: FULL };
            self.folder.remove_widths(tile, |this| this > sound && this != width)?;
            while self.folder.remove(&tile.path())? || tile.number == last {
                tile.number += 1;
                self.folder.remove_folder(&tile.partial_folder())?;
            }
        }
        self.folder.remove(TEMPORARY)?;
        Ok(())
    }

    fn set_full_tiles_aside(&mut self) {
        let size = self.size();
        for (level, hashes) in (0..).zip(&mut self.levels) {
            if hashes.len() < FULL {
                return;
            }
            let number = (size >> (HEIGHT * (level + 1))) - 1;
            let tile = Tile { layer: Layer::Level(level), number, width: FULL };
            self.ready.push((tile, hashes.as_flattened().to_vec()));
            hashes.clear();
            if level == 0 {
                let tile = Tile { layer: Layer::Entries, ..tile };
                let capacity = self.bundle.len();
                let bundle = std::mem::replace(&mut self.bundle, Vec::with_capacity(capacity));
                self.ready.push((tile, bundle));
            }
        }
    }

    fn compare_with_seen(&mut self) {
        if let Some((size, root)) = self.seen
            && size == self.size()
        {
            self.is_forked |= root != self.root();
        }
    }

    fn find_last(&mut self) -> Result<(), TreeError> {
        let Some(number) = self.size().checked_sub(1).map(|last| last / FULL as u64) else {
            return Ok(());
        };
        let read;
        let bundle = if self.bundle.is_empty() {
            read = tile::read(&self.folder, Tile { layer: Layer::Entries, number, width: FULL })?;
            &read
        } else {
            &self.bundle
        };
        let last = tile::entries(bundle)
            .and_then(|entries| entries.last().and_then(|entry| Record::parse(entry)))
            .map(|last| (last.sequence, last.time_ms));
        let Some((sequence, time_ms)) = last else {
            return Err(TreeError::Damaged { path: "tile/entries".to_owned() });
        };
        (self.last_sequence, self.last_ms) = (Some(sequence), time_ms);
        Ok(())
    }
}

impl Folder {
    /// The text of a file. `None` when there is none, or when it is no text.
    pub(crate) fn text(&self, name: &str) -> io::Result<Option<String>> {
        Ok(self.read(name)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Whole or not at all, for whoever reads it.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_temporary(bytes)?;
        self.name_temporary(path)
    }

    fn write_temporary(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.0.join(TEMPORARY);
        match fs::write(&temporary, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.0)?;
                fs::write(&temporary, bytes)
            }
            other => other,
        }
    }

    fn name_temporary(&self, path: &str) -> io::Result<()> {
        let (temporary, path) = (self.0.join(TEMPORARY), self.0.join(path));
        match (fs::rename(&temporary, &path), path.parent()) {
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(parent)?;
                fs::rename(temporary, path)
            }
            (other, _) => other,
        }
    }

    /// Removes the partial versions of a tile that are `unwanted`.
    fn remove_widths(&self, tile: Tile, unwanted: impl Fn(u64) -> bool) -> io::Result<()> {
        for item in fs::read_dir(self.0.join(tile.partial_folder())).into_iter().flatten() {
            let path = item?.path();
            let width = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            if width.is_none_or(&unwanted) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Whether there was such a file.
    fn remove(&self, path: &str) -> io::Result<bool> {
        was_there(fs::remove_file(self.0.join(path)))
    }

    fn remove_folder(&self, path: &str) -> io::Result<bool> {
        was_there(fs::remove_dir_all(self.0.join(path)))
    }
}

impl Source for Folder {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(error),
            },
        }
    }
}

/// The last tile of a layer unless it is full.
fn last_partial(layer: Layer, size: u64) -> Option<Tile> {
    let items = layer.items(size);
    Tile::of(layer, items / FULL as u64, size)
}

fn was_there(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The head of the log.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The head up to which the files are on disk.
pub(crate) const DURABLE: &str = "durable";
/// A file on its way to its name.
pub(crate) const TEMPORARY: &str = "tmp";
