//! Reads back what the segments hold: at every start, and where memory has lost it.

use std::io;
use std::path::Path;

use crate::entry::Record;
use crate::segment::{self, Contents, Found};

/// What a replay came across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The last sequence, if there was any record.
    pub(crate) last_sequence: Option<u64>,
    /// The latest time.
    pub(crate) last_ms: i64,
    /// The highest number of a segment.
    pub(crate) last_segment: u64,
    /// How many records there were.
    pub(crate) records: u64,
    /// Bytes of writes that did not finish, or that were damaged.
    pub(crate) lost_bytes: u64,
    /// Sequences that should be there and are not.
    pub(crate) missing: u64,
}

/// Calls `visit` with every record up to `through` that counts, once and in order. `known` is the
/// last sequence that the trees hold.
pub(crate) fn replay(
    dir: &Path,
    known: u64,
    through: u64,
    mut visit: impl FnMut(&Record<'_>, &[u8]),
) -> io::Result<Replayed> {
    let (segments, _) = segment::list(dir)?;
    let mut replayed = Replayed::default();
    let mut pending: Option<(Vec<u8>, u64)> = None;
    // One segment behind, because the next header tells what still counts.
    for path in segments.iter().map(|(number, path)| Some((*number, path))).chain([None]) {
        let read = match path {
            Some((number, path)) => {
                replayed.last_segment = number;
                let bytes = std::fs::read(path)?;
                let Some(first) = Contents::open(&bytes).map(|contents| contents.first_sequence)
                else {
                    replayed.lost_bytes += bytes.len() as u64;
                    continue;
                };
                Some((bytes, first))
            }
            None => None,
        };
        let superseded = read.as_ref().map_or(u64::MAX, |(_, first)| *first);
        if let Some((bytes, _)) = pending.take() {
            let end = superseded.min(through.saturating_add(1));
            visit_segment(&bytes, known, end, &mut replayed, &mut visit);
        }
        pending = read;
    }
    Ok(replayed)
}

fn visit_segment(
    bytes: &[u8],
    known: u64,
    end: u64,
    replayed: &mut Replayed,
    visit: &mut impl FnMut(&Record<'_>, &[u8]),
) {
    let contents = Contents::open(bytes).into_iter().flatten();
    for found in contents {
        match found {
            Found::Record(record, entry) if record.sequence < end => {
                let before = replayed.last_sequence.unwrap_or(0).max(known);
                if replayed.last_sequence.is_some_and(|last| record.sequence <= last) {
                    continue;
                }
                replayed.missing += record.sequence.saturating_sub(before + 1);
                replayed.last_sequence = Some(record.sequence);
                replayed.last_ms = replayed.last_ms.max(record.time_ms);
                replayed.records += 1;
                visit(&record, entry);
            }
            Found::Record(..) => return,
            Found::Damaged { at } => {
                tracing::error!(at, "a record in a segment of the audit log is damaged");
            }
            Found::Broken { at } | Found::Torn { at } => {
                replayed.lost_bytes += (bytes.len() - at) as u64;
            }
        }
    }
}
