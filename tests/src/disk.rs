//! What a disk holds when the power goes: of everything that was not yet synced, anything.
//!
//! A [`Disk`] replays a trace of system calls on files in memory, twice: as the kernel shows them,
//! and as they are known to be on the disk. What stands between the two may or may not have arrived:
//! bytes of files whole, in part or as rubbish, and each change of a folder or none of it. A rename
//! happens or does not; it loses nothing that had a name on the disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::faults::{Call, Event, Trace};

/// The files below some folders.
pub struct Disk {
    folders: Vec<PathBuf>,
    files: Vec<File>,
    /// What the kernel shows.
    names: Names,
    /// What is on the disk.
    kept: Names,
    /// What has happened to names since they were kept.
    pending: Vec<Change>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    kept: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Create(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// What a sync will have kept once it returns.
enum Promise {
    Bytes(usize, Vec<u8>),
    Folder(Vec<Change>),
    All(Vec<Vec<u8>>, Vec<Change>),
}

/// How the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing arrives that need not.
    Everything,
    /// Chance decides about each change, by this seed.
    Some(u64),
}

impl Disk {
    /// Everything in these folders is on the disk.
    pub fn of(folders: &[PathBuf]) -> Self {
        let mut disk = Self {
            folders: folders.to_vec(),
            files: Vec::new(),
            names: Names::new(),
            kept: Names::new(),
            pending: Vec::new(),
        };
        for path in folders.iter().flat_map(|it| files(it)) {
            let bytes = std::fs::read(&path).unwrap();
            disk.names.insert(path, disk.files.len());
            disk.files.push(File { kept: bytes.clone(), bytes });
        }
        disk.kept = disk.names.clone();
        disk
    }

    /// Lets happen what happened. What did not return has not happened, which may well be.
    pub fn replay(&mut self, trace: &Trace) {
        let mut promises: HashMap<usize, Promise> = HashMap::new();
        for event in &trace.events {
            match event {
                Event::Begins(number) => {
                    let promise = self.promise(&trace.calls[*number]);
                    promises.extend(promise.map(|it| (*number, it)));
                }
                Event::Ends(number) => {
                    let call = &trace.calls[*number];
                    let promise = promises.remove(number);
                    if call.result.is_some() {
                        match promise {
                            Some(promise) => self.keep(promise),
                            None => self.happen(call),
                        }
                    }
                }
            }
        }
    }

    /// The files as the kernel shows them.
    pub fn shown(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.names.iter().map(|(path, it)| (path.clone(), self.files[*it].bytes.clone())).collect()
    }

    /// The files as they may be found after a loss of power.
    pub fn after(&self, loss: Loss) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut chance = Chance::of(loss);
        let mut names = self.kept.clone();
        for change in &self.pending {
            if chance.is_lucky() {
                change.apply(&mut names);
            }
        }
        let mut files: HashMap<usize, Vec<u8>> = HashMap::new();
        let torn = |it: &usize| (*it, self.files[*it].torn(&mut chance));
        files.extend(names.values().map(torn).collect::<Vec<_>>());
        names.into_iter().map(|(path, it)| (path, files[&it].clone())).collect()
    }

    fn promise(&self, call: &Call) -> Option<Promise> {
        let path = call.paths().into_iter().next()?;
        match call.name.as_str() {
            "syncfs" => {
                let bytes = self.files.iter().map(|it| it.bytes.clone()).collect();
                Some(Promise::All(bytes, self.pending.clone()))
            }
            "fsync" | "fdatasync" => Some(match self.names.get(&path) {
                Some(file) => Promise::Bytes(*file, self.files[*file].bytes.clone()),
                None => {
                    let is_inside = |it: &&Change| it.is_inside(&path);
                    Promise::Folder(self.pending.iter().filter(is_inside).cloned().collect())
                }
            }),
            _ => None,
        }
    }

    fn keep(&mut self, promise: Promise) {
        let changes = match promise {
            Promise::Bytes(file, bytes) => {
                self.files[file].kept = bytes;
                Vec::new()
            }
            Promise::Folder(changes) => changes,
            Promise::All(bytes, changes) => {
                for (file, bytes) in self.files.iter_mut().zip(bytes) {
                    file.kept = bytes;
                }
                changes
            }
        };
        for change in changes {
            if let Some(at) = self.pending.iter().position(|it| *it == change) {
                self.pending.remove(at);
                change.apply(&mut self.kept);
            }
        }
    }

    fn happen(&mut self, call: &Call) {
        let mut paths = call.paths().into_iter();
        let Some(path) = paths.next() else { return };
        match call.name.as_str() {
            "openat" => {
                let Some(path) = paths.next().filter(|it| self.is_ours(it)) else { return };
                self.open(path, &call.arguments);
            }
            "rename" => {
                let Some(to) = paths.next().filter(|_| self.is_ours(&path)) else { return };
                self.change(Change::Rename(path, to));
            }
            "unlink" if self.is_ours(&path) => self.change(Change::Unlink(path)),
            "write" | "pwrite64" => {
                let Some(file) = self.names.get(&path).copied() else { return };
                let bytes = &mut self.files[file].bytes;
                let (mut data, end) = (call.data(), bytes.len() as u64);
                data.truncate(usize::try_from(call.result.unwrap_or_default()).unwrap());
                let is_placed = call.name == "pwrite64";
                let at = call.last_number().filter(|_| is_placed).unwrap_or(end);
                let at = usize::try_from(at).unwrap();
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[at..at + data.len()].copy_from_slice(&data);
            }
            "ftruncate" => {
                let Some(file) = self.names.get(&path).copied() else { return };
                let length = call.last_number().unwrap_or_default();
                self.files[file].bytes.resize(usize::try_from(length).unwrap(), 0);
            }
            _ => {}
        }
    }

    fn open(&mut self, path: PathBuf, flags: &str) {
        match self.names.get(&path) {
            Some(file) if flags.contains("O_TRUNC") => self.files[*file].bytes.clear(),
            Some(_) => {}
            None if flags.contains("O_CREAT") => {
                let file = self.files.len();
                self.files.push(File::default());
                self.change(Change::Create(path, file));
            }
            None => {}
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.folders.iter().any(|it| path.starts_with(it))
    }
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Unlink(path) => drop(names.remove(path)),
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }

    fn is_inside(&self, folder: &Path) -> bool {
        match self {
            Self::Create(path, _) | Self::Unlink(path) | Self::Rename(_, path) => {
                path.parent() == Some(folder)
            }
        }
    }
}

impl File {
    /// What of its bytes has arrived.
    fn torn(&self, chance: &mut Chance) -> Vec<u8> {
        if self.bytes == self.kept || !chance.is_lucky() {
            return self.kept.clone();
        }
        let mut bytes = self.bytes.clone();
        if !bytes.starts_with(&self.kept) {
            return bytes;
        }
        let tail = self.kept.len()..bytes.len();
        let cut = tail.start + chance.below(tail.len() + 1);
        match chance.below(4) {
            0 => {}
            1 => bytes.truncate(cut),
            2 => bytes[cut..].fill(0),
            _ => bytes[cut..].iter_mut().for_each(|it| *it ^= chance.byte()),
        }
        bytes
    }
}

/// Chance that is the same each time.
struct Chance(Option<u64>);

impl Chance {
    fn of(loss: Loss) -> Self {
        match loss {
            Loss::Everything => Self(None),
            Loss::Some(seed) => Self(Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)),
        }
    }

    fn next(&mut self) -> u64 {
        let Some(state) = &mut self.0 else { return 0 };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    fn is_lucky(&mut self) -> bool {
        self.0.is_some() && self.next() & 0x1000 != 0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 24).to_le_bytes()[0]
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(items) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for item in items {
        let path = item.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
