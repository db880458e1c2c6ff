//! Holds content files against the records that speak of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use uuid::Uuid;

use super::{ContentReport, Report};
use crate::content::{
    ContentError, ContentRef, DataKeys, FileKind, Name, SealKey, Walk, open, sealed_len, walk,
};
use crate::entry::Record;

/// What the records say of content, by file.
#[derive(Default)]
pub(super) struct References(BTreeMap<Name, Vec<Reference>>);

struct Reference {
    /// The entry that speaks of it, if it has its place.
    index: Option<u64>,
    content: ContentRef,
}

impl References {
    pub(super) fn collect(&mut self, index: Option<u64>, record: &Record<'_>) {
        // Most leaves of a quiet log have none: not worth a parse.
        if !record.leaf.windows(8).any(|window| window == b"\"digest\"") {
            return;
        }
        let leaf: Result<serde_json::Map<String, serde_json::Value>, _> =
            serde_json::from_slice(record.leaf);
        for value in leaf.into_iter().flatten().map(|(_, value)| value) {
            if !value.is_object() {
                continue;
            }
            if let Some(content) = ContentRef::from_json(record.workspace, &value.to_string()) {
                let name = Name {
                    workspace: content.workspace,
                    day: content.day,
                    number: content.segment,
                };
                self.0.entry(name).or_default().push(Reference { index, content });
            }
        }
    }
}

pub(super) fn verify(
    dir: &Path,
    keys: Option<&dyn DataKeys>,
    references: References,
    report: &mut Report,
) -> io::Result<()> {
    let (mut files, marks) = list(dir, report)?;
    let mut counts: BTreeMap<Uuid, ContentReport> = BTreeMap::new();
    for (name, references) in references.0 {
        let count = counts.entry(name.workspace).or_default();
        let Some(file) = files.remove(&name) else {
            let is_erased = marks.iter().any(|mark| {
                (mark.workspace, mark.day) == (name.workspace, name.day)
                    && mark.number >= name.number
            });
            for reference in references {
                if is_erased {
                    count.erased += 1;
                } else {
                    report.add(Some(name.workspace), reference.index, "its content is missing");
                }
            }
            continue;
        };
        verify_file(dir, (name, file), &references, (keys, count), report)?;
    }
    for (name, kind) in files {
        let count = counts.entry(name.workspace).or_default();
        verify_file(dir, (name, kind), &[], (keys, count), report)?;
    }
    for workspace in &mut report.workspaces {
        workspace.content = counts.remove(&workspace.workspace).unwrap_or_default();
    }
    Ok(())
}

fn verify_file(
    dir: &Path,
    (name, kind): (Name, FileKind),
    references: &[Reference],
    (keys, count): (Option<&dyn DataKeys>, &mut ContentReport),
    report: &mut Report,
) -> io::Result<()> {
    let path = name.path(dir);
    // Under whichever name: a store in use may complete it meanwhile.
    let Some(mut file) = name.open(dir)? else { return Ok(()) };
    let mut bytes = vec![];
    file.read_to_end(&mut bytes)?;
    for reference in references {
        match verify_one(&bytes, &reference.content, keys) {
            Ok(()) => count.sound += 1,
            Err(ContentError::Erased) => count.erased += 1,
            Err(error) => {
                report.add(Some(name.workspace), reference.index, format!("{error}"));
            }
        }
    }
    // Damage where no record points is damage too. The last write may be unfinished in a file that
    // is still open.
    let mut at = 0;
    while at < bytes.len() as u64 {
        let what = match walk(&bytes, at) {
            Walk::Whole { is_sound: true, next, .. } => {
                at = next;
                continue;
            }
            Walk::Torn if kind == FileKind::Open => break,
            Walk::Whole { item, .. } => {
                let is_named = |it: &&Reference| it.content.offset == at;
                let index = references.iter().find(is_named).and_then(|it| it.index);
                let what = format!("`{}`: damaged content of {}", path.display(), item.record);
                report.add(Some(name.workspace), index, what);
                at += sealed_len(item.len);
                continue;
            }
            Walk::Torn | Walk::Damaged => format!("`{}` is damaged at byte {at}", path.display()),
        };
        let is_after = |it: &&Reference| it.content.offset >= at;
        let index = references.iter().filter(is_after).filter_map(|it| it.index).min();
        report.add(Some(name.workspace), index, what);
        break;
    }
    Ok(())
}

/// With the key: compares the digest. Without: the checksums and the names.
fn verify_one(
    file: &[u8],
    reference: &ContentRef,
    keys: Option<&dyn DataKeys>,
) -> Result<(), ContentError> {
    let item = match walk(file, reference.offset) {
        Walk::Whole { item, is_sound: true, .. } => item,
        Walk::Whole { .. } | Walk::Damaged => return Err(ContentError::Damaged),
        Walk::Torn => return Err(ContentError::Missing),
    };
    if (item.record, item.key, item.len) != (reference.record, reference.key, reference.len) {
        return Err(ContentError::Damaged);
    }
    let Some(keys) = keys else { return Ok(()) };
    let key = keys.open(reference.key)?.ok_or(ContentError::Erased)?;
    let start = usize::try_from(reference.offset).map_err(|_| ContentError::Missing)?;
    let sealed = file.get(start..).ok_or(ContentError::Missing)?;
    open(sealed, reference, &SealKey::new(&key)).map(drop)
}

/// The files, and the marks of those that were erased.
fn list(dir: &Path, report: &mut Report) -> io::Result<(BTreeMap<Name, FileKind>, Vec<Name>)> {
    let (mut files, mut marks) = (BTreeMap::new(), vec![]);
    let mut stray = |path: &Path| {
        report.add(None, None, format!("`{}` is not a content file", path.display()));
    };
    for item in fs::read_dir(dir)? {
        let folder = item?.path();
        let Some(workspace) = plain(&folder).and_then(|name| Uuid::parse_str(name).ok()) else {
            stray(&folder);
            continue;
        };
        for item in fs::read_dir(&folder)? {
            let folder = item?.path();
            let Some(day) = plain(&folder).and_then(|name| name.parse().ok()) else {
                stray(&folder);
                continue;
            };
            for item in fs::read_dir(&folder)? {
                let path = item?.path();
                match plain(&path).and_then(Name::read) {
                    Some((number, FileKind::Erased)) => {
                        marks.push(Name { workspace, day, number });
                    }
                    Some((number, kind)) => {
                        files.insert(Name { workspace, day, number }, kind);
                    }
                    None => stray(&path),
                }
            }
        }
    }
    Ok((files, marks))
}

fn plain(path: &Path) -> Option<&str> {
    path.file_name().and_then(|name| name.to_str())
}
