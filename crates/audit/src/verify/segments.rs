//! Reads the segments as a start would, and notes what is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::{Report, is_scratch};
use crate::replay;
use crate::segment::{self, Contents, Found};

/// The entries that the segments hold, by workspace, with their sequence.
#[derive(Default)]
pub(super) struct Segments(BTreeMap<Uuid, Vec<(u64, Vec<u8>)>>);

impl Segments {
    pub(super) fn take(&mut self, workspace: Uuid) -> Vec<(u64, Vec<u8>)> {
        self.0.remove(&workspace).unwrap_or_default()
    }

    pub(super) fn workspaces(&self) -> BTreeSet<Uuid> {
        self.0.keys().copied().collect()
    }
}

pub(super) fn read(dir: &Path, report: &mut Report) -> io::Result<Segments> {
    let (segments, others) = match segment::list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Segments::default()),
        other => other?,
    };
    for path in others {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_scratch(name) {
            report.add(None, None, format!("`{}` does not belong to the log", path.display()));
        }
    }
    for (_, path) in segments {
        match fs::read(&path) {
            Ok(bytes) => look_at(&path, &bytes, report),
            // Its records are in the tree meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = Segments::default();
    replay::replay(dir, 0, u64::MAX, |record, entry| {
        let entries = found.0.entry(record.workspace).or_default();
        entries.push((record.sequence, entry.to_vec()));
    })?;
    Ok(found)
}

fn look_at(path: &Path, bytes: &[u8], report: &mut Report) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(contents) = Contents::open(bytes) else {
        return report.add(None, None, format!("segment `{name}` has no sound header"));
    };
    let mut after = None;
    for found in contents {
        match found {
            Found::Record(record, _) => after = Some(record.sequence),
            Found::Damaged { at } | Found::Broken { at } => {
                let after = after.map_or(String::new(), |last| format!(", after sequence {last}"));
                report.add(None, None, format!("segment `{name}` is damaged at byte {at}{after}"));
            }
            // The rest of a write that a crash has ended.
            Found::Torn { .. } => {}
        }
    }
}
