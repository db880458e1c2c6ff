//! What the gateway has recorded, read from its log while it runs.
//!
//! A record is in the log before its call is answered, so a test that has an answer finds it there.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// `intent`, `outcome`, `admin` or `system`.
    pub kind: &'static str,
    /// What it says.
    pub leaf: Value,
}

impl Record {
    /// A member that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.leaf[key].as_str()
    }

    /// How what it tells of has ended; empty for what has not.
    pub fn end(&self) -> &str {
        self.text("end").unwrap_or_default()
    }
}

/// All records of the log in a folder, oldest first.
pub(crate) fn read(log: &Path) -> Vec<Record> {
    let mut segments: Vec<PathBuf> = match std::fs::read_dir(log.join("segment")) {
        Ok(listed) => listed.map(|it| it.unwrap().path()).collect(),
        Err(_) => return Vec::new(),
    };
    segments.retain(|it| it.extension().is_some_and(|it| it == "seg"));
    segments.sort();
    segments.iter().flat_map(|it| segment(&std::fs::read(it).unwrap())).collect()
}

/// The whole frames of one segment: length, two checksums, entry.
fn segment(bytes: &[u8]) -> Vec<Record> {
    let mut rest = bytes.get(SEGMENT_HEAD..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<FRAME_HEAD>() {
        let [a, b, c, d, ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((entry, next)) = tail.split_at_checked(length) else { break };
        let Some(record) = audit::Record::parse(entry) else { break };
        let leaf = serde_json::from_slice(record.leaf).unwrap();
        found.push(Record { kind: record.kind.as_str(), leaf });
        rest = next;
    }
    found
}

const SEGMENT_HEAD: usize = 28;
const FRAME_HEAD: usize = 12;
