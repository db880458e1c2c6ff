//! The verifier: trusts nothing in a data folder but the keys it is given.
//!
//! [`tree`] and [`leaves`] are the core and do no I/O: they are handed a [`crate::Source`] and a
//! list of files. [`verify_dir`] hands them a folder, and looks at segments and content besides.
//! The folder may be in use, or left by a crash: what is still on its way into the tree is held
//! against the segments it comes from.
//!
//! What it finds is a list of problems; none means that every file is as it was written, but for
//! what had not yet been signed.

mod content;
mod leaves;
mod segments;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::content::DataKeys;
use crate::merkle::{EMPTY_ROOT, Hash};
use crate::note::{Checkpoint, VerifierKey, log_origin};
use crate::segment;
use crate::sequencer::segments_folder;
use crate::tree::{CHECKPOINT, DURABLE, Folder, TEMPORARY};

use self::leaves::Leaves;
use self::segments::Segments;
use self::tree::TreeCheck;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each log, by workspace.
    pub workspaces: Vec<WorkspaceReport>,
    /// What is wrong. Within a workspace the first bad index comes first.
    pub problems: Vec<Problem>,
}

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceReport {
    /// Whose log.
    pub workspace: Uuid,
    /// Entries under the signed checkpoint.
    pub size: u64,
    /// The signed root.
    pub root: Hash,
    /// Records in segments that no checkpoint covers yet.
    pub unsequenced: u64,
    /// Calls that were about to leave for their upstream.
    pub intents: u64,
    /// Calls whose end is recorded.
    pub outcomes: u64,
    /// Intents without an outcome: attempted, outcome unknown.
    pub outcomes_unknown: u64,
    /// Outcomes without an intent: answered or refused before anything left.
    pub without_intent: u64,
    /// Administrative and system records.
    pub others: u64,
    /// The content the records speak of, when it was looked at.
    pub content: ContentReport,
}

/// What became of the content that records speak of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentReport {
    /// There, and what was recorded; without keys: there, and whole.
    pub sound: u64,
    /// Erased, or its key destroyed.
    pub erased: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Whose log, if it concerns one.
    pub workspace: Option<Uuid>,
    /// The first entry concerned, if one can be told.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(workspace) = self.workspace {
            write!(f, "workspace {workspace}, ")?;
        }
        if let Some(index) = self.index {
            write!(f, "index {index}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// What to verify, and against what.
#[derive(Clone, Copy, Default)]
pub struct Check<'a> {
    /// The folder of the log.
    pub dir: Option<&'a Path>,
    /// The keys that sign it.
    pub keys: &'a [VerifierKey],
    /// Checkpoints seen elsewhere: signed notes from a witness, a ticket, a SIEM. A log that does
    /// not continue each of them has two histories.
    pub known: &'a [String],
    /// The folder of the content.
    pub content: Option<&'a Path>,
    /// Opens content, to compare it with its digests. Without it only checksums are compared.
    pub data_keys: Option<&'a dyn DataKeys>,
}

/// A pass over the files of one tree: how much is wrong, and the entries it came across.
#[cfg(feature = "fuzzing")]
pub(crate) fn tree(
    source: &dyn crate::Source,
    files: Vec<String>,
    (workspace, size, root): (Uuid, u64, Hash),
) -> (usize, Vec<Vec<u8>>) {
    let mut check = TreeCheck::new(source, workspace, size, files);
    check.expect(size, root, "the checkpoint");
    let mut entries = Vec::new();
    let finished = check.run(&[], |_, record| {
        let mut entry = Vec::new();
        record.write(&mut entry);
        entries.push(entry);
    });
    (finished.findings.len(), entries)
}

/// Verifies a folder against the keys that sign it.
///
/// # Errors
///
/// When a file or folder cannot be read. What is missing or damaged is a problem in the report.
pub fn verify_dir(dir: &Path, keys: &[VerifierKey]) -> io::Result<Report> {
    verify(&Check { dir: Some(dir), keys, ..Check::default() })
}

/// Verifies what [`Check`] names.
///
/// # Errors
///
/// When a file or folder cannot be read.
pub fn verify(check: &Check<'_>) -> io::Result<Report> {
    let mut report = Report::default();
    let mut known = known_heads(check, &mut report);
    let mut references = content::References::default();
    if let Some(dir) = check.dir {
        // Tiles before segments before checkpoints: the order in which they are replaced, backwards,
        // so that a log that is in use has an explanation for each file that was seen.
        let listed = list_workspaces(dir, &mut report)?;
        let mut segments = segments::read(&segments_folder(dir), &mut report)?;
        let mut workspaces: Vec<Uuid> = listed.keys().copied().collect();
        workspaces.extend(segments.workspaces());
        workspaces.sort_unstable();
        workspaces.dedup();
        for workspace in workspaces {
            let files = listed.get(&workspace).cloned().unwrap_or_default();
            let known = known.remove(&workspace).unwrap_or_default();
            let log = LogCheck { check, dir, workspace, files, known };
            let (one, problems) = log.run(&mut segments, &mut references)?;
            report.workspaces.extend(one);
            report.problems.extend(problems);
        }
        for (workspace, heads) in known {
            report.problems.extend(heads.iter().filter(|head| head.size > 0).map(|head| Problem {
                workspace: Some(workspace),
                index: Some(0),
                what: format!(
                    "a checkpoint of {} entries is known, and there is no log",
                    head.size
                ),
            }));
        }
    }
    if let Some(dir) = check.content {
        content::verify(dir, check.data_keys, references, &mut report)?;
    }
    report.problems.sort();
    report.problems.dedup();
    Ok(report)
}

/// One log.
struct LogCheck<'a> {
    check: &'a Check<'a>,
    dir: &'a Path,
    workspace: Uuid,
    files: Vec<String>,
    known: Vec<Checkpoint>,
}

impl LogCheck<'_> {
    fn run(
        self,
        segments: &mut Segments,
        references: &mut content::References,
    ) -> io::Result<(Option<WorkspaceReport>, Vec<Problem>)> {
        let folder = Folder(self.dir.join(self.workspace.to_string()));
        let mut problems = vec![];
        // The second is written after the first: read the other way round they always agree.
        let durable = self.head(&folder, DURABLE, &mut problems)?;
        let head = self.head(&folder, CHECKPOINT, &mut problems)?;
        let size = head.as_ref().map_or(0, |head| head.size);
        let is_unsigned = head.is_none() && folder.0.join(CHECKPOINT).exists();
        if head.is_none() && durable.is_some() {
            problems.push(self.problem(Some(0), "the checkpoint is missing or damaged".to_owned()));
        }
        if is_unsigned {
            // Nothing can be held against a head that nobody has signed.
            return Ok((None, problems));
        }
        let tail = segments.take(self.workspace);
        let mut leaves = Leaves::default();
        let mut tree = TreeCheck::new(&folder, self.workspace, size, self.files.clone());
        if let Some(head) = &head {
            tree.expect(head.size, head.root, "the signed checkpoint");
        }
        if let Some(durable) = &durable {
            tree.expect(durable.size, durable.root, "the checkpoint in `durable`");
        }
        for known in &self.known {
            tree.expect(known.size, known.root, "a checkpoint known from elsewhere");
        }
        let finished = tree.run(&tail, |index, record| {
            leaves.visit(record);
            if self.check.content.is_some() {
                references.collect(index, record);
            }
        });
        let found = finished.findings.into_iter();
        problems.extend(found.map(|(index, what)| self.problem(index, what)));
        let root = head.map_or(EMPTY_ROOT, |head| head.root);
        Ok((Some(leaves.report(self.workspace, (size, root), finished.unsequenced)), problems))
    }

    fn head(
        &self,
        folder: &Folder,
        name: &str,
        problems: &mut Vec<Problem>,
    ) -> io::Result<Option<Checkpoint>> {
        let bytes = match fs::read(folder.0.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let head = String::from_utf8(bytes)
            .map_err(|_| "is not text".to_owned())
            .and_then(|text| {
                Checkpoint::verify(&text, self.check.keys).map_err(|error| error.to_string())
            })
            .and_then(|head| match self.is_origin(&head.origin) {
                true => Ok(head),
                false => Err("belongs to another log".to_owned()),
            });
        match head {
            Ok(head) => Ok(Some(head)),
            Err(why) => {
                problems.push(self.problem(None, format!("`{name}`: {why}")));
                Ok(None)
            }
        }
    }

    fn is_origin(&self, origin: &str) -> bool {
        self.check.keys.iter().any(|key| log_origin(key.name(), self.workspace) == origin)
    }

    fn problem(&self, index: Option<u64>, what: String) -> Problem {
        Problem { workspace: Some(self.workspace), index, what }
    }
}

impl Report {
    fn add(&mut self, workspace: Option<Uuid>, index: Option<u64>, what: impl Into<String>) {
        self.problems.push(Problem { workspace, index, what: what.into() });
    }
}

/// The checkpoints seen elsewhere, by workspace. Two of one size with different roots are a fork
/// whatever the folder holds.
fn known_heads(check: &Check<'_>, report: &mut Report) -> BTreeMap<Uuid, Vec<Checkpoint>> {
    let mut heads: BTreeMap<Uuid, Vec<Checkpoint>> = BTreeMap::new();
    for text in check.known {
        match Checkpoint::verify(text, check.keys) {
            Ok(head) => {
                let Some(workspace) = head.workspace() else {
                    report.add(
                        None,
                        None,
                        format!("`{}` is not the log of a workspace", head.origin),
                    );
                    continue;
                };
                let others = heads.entry(workspace).or_default();
                let is_fork =
                    |other: &Checkpoint| other.size == head.size && other.root != head.root;
                if others.iter().any(is_fork) {
                    let what =
                        format!("fork: two signed checkpoints of {} entries differ", head.size);
                    report.add(Some(workspace), None, what);
                }
                others.push(head);
            }
            Err(error) => report.add(None, None, format!("a known checkpoint is {error}")),
        }
    }
    heads
}

/// The files below `tile` of each workspace.
fn list_workspaces(dir: &Path, report: &mut Report) -> io::Result<BTreeMap<Uuid, Vec<String>>> {
    let mut listed = BTreeMap::new();
    for item in fs::read_dir(dir)? {
        let path = item?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if segments_folder(dir) == path {
            continue;
        }
        let id = Uuid::parse_str(name).ok().filter(|id| id.to_string() == name);
        let Some(workspace) = id.filter(|_| path.is_dir()) else {
            report.add(None, None, format!("`{name}` does not belong to the log"));
            continue;
        };
        let mut files = vec![];
        for item in fs::read_dir(&path)? {
            let item = item?;
            match item.file_name().to_str() {
                Some("tile") => collect(&path, item.path(), &mut files)?,
                Some(CHECKPOINT | DURABLE | TEMPORARY) => {}
                _ => {
                    let what = format!("`{}` does not belong to the log", item.path().display());
                    report.add(Some(workspace), None, what);
                }
            }
        }
        listed.insert(workspace, files);
    }
    Ok(listed)
}

/// All files below a folder, as paths below `root`. Files that vanish meanwhile are left out.
fn collect(root: &Path, folder: PathBuf, files: &mut Vec<String>) -> io::Result<()> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let items = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for item in items {
            let item = item?;
            let path = item.path();
            if item.file_type()?.is_dir() {
                folders.push(path);
            } else if let Ok(below) = path.strip_prefix(root) {
                files.push(below.to_string_lossy().into_owned());
            }
        }
    }
    Ok(())
}

/// Files in the folder of the segments that hold nothing that counts.
pub(crate) fn is_scratch(name: &str) -> bool {
    segment::SCRATCH.contains(&name)
}
