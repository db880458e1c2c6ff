//! Every record of a log that nobody uses: the entries of its trees, and what only segments hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One record.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place among those of all workspaces.
    pub sequence: u64,
    /// `intent`, `outcome`, `admin` or `system`.
    pub kind: &'static str,
    /// What it says.
    pub leaf: Value,
}

impl Kept {
    /// A member that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.leaf[key].as_str()
    }
}

/// All records of the log in a folder, oldest first, each of them once.
pub(crate) fn read(log: &Path) -> Vec<Kept> {
    let mut found = BTreeMap::new();
    each(log, &mut |kept| drop(found.insert(kept.sequence, kept)));
    found.into_values().collect()
}

/// Hands over every record of the log in a folder, in no order, some of them twice.
pub(crate) fn each(log: &Path, take: &mut dyn FnMut(Kept)) {
    for item in listed(log) {
        if item.ends_with("segment") {
            // Whoever is asked when nothing runs has put them into the trees; else they are all
            // there is of the latest records.
            for path in listed(&item).iter().filter(|it| has_extension(it, "seg")) {
                framed(&std::fs::read(path).unwrap(), take);
            }
        } else if item.join("tile/entries").is_dir() {
            bundles(&item.join("tile/entries"), take);
        }
    }
}

/// Whole bundles, folders of thousands, and `.p` folders of unfinished ones.
fn bundles(folder: &Path, take: &mut dyn FnMut(Kept)) {
    for path in listed(folder) {
        if path.is_dir() {
            bundles(&path, take);
        } else if !has_extension(&path, "new") {
            bundle(&std::fs::read(&path).unwrap(), take);
        }
    }
}

/// Entries behind their lengths, as in C2SP tlog-tiles.
fn bundle(bytes: &[u8], take: &mut dyn FnMut(Kept)) {
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let Some((entry, next)) = tail.split_at_checked(u16::from_be_bytes(*length).into()) else {
            return;
        };
        keep(entry, take);
        rest = next;
    }
}

/// The whole frames of one segment: length, two checksums, entry.
fn framed(bytes: &[u8], take: &mut dyn FnMut(Kept)) {
    let mut rest = bytes.get(SEGMENT_HEAD..).unwrap_or_default();
    while let Some((head, tail)) = rest.split_first_chunk::<FRAME_HEAD>() {
        let [a, b, c, d, ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((entry, next)) = tail.split_at_checked(length) else { return };
        keep(entry, take);
        rest = next;
    }
}

fn keep(entry: &[u8], take: &mut dyn FnMut(Kept)) {
    let Some(record) = audit::Record::parse(entry) else { return };
    let leaf = serde_json::from_slice(record.leaf).unwrap();
    take(Kept { sequence: record.sequence, kind: record.kind.as_str(), leaf });
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let Ok(items) = std::fs::read_dir(folder) else { return Vec::new() };
    items.map(|it| it.unwrap().path()).collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}

const SEGMENT_HEAD: usize = 28;
const FRAME_HEAD: usize = 12;
