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
                let bytes = match std::fs::read(path) {
                    // A log in use removes segments when the trees hold what is in them.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other?,
                };
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

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::entry::{self, Kind};
    use crate::segment::{Segment, Space};

    #[test]
    fn a_segment_supersedes_what_earlier_ones_hold_from_its_first_sequence_on() {
        let dir = tempfile::tempdir().unwrap();
        // Of the first segment, 6 to 10 were written by a write that failed.
        write(dir.path(), 1, 1, &frames(1..11, "old"));
        write(dir.path(), 2, 6, &frames(6..9, "new"));
        let (seen, replayed) = replay_all(dir.path(), 0, u64::MAX);
        let expected: Vec<_> = (1..6).map(|n| (n, "old".to_owned())).collect();
        assert_eq!(seen[..5], expected);
        assert_eq!(seen[5..], (6..9).map(|n| (n, "new".to_owned())).collect::<Vec<_>>());
        assert_eq!((replayed.records, replayed.missing, replayed.lost_bytes), (8, 0, 0));
        assert_eq!((replayed.last_sequence, replayed.last_segment), (Some(8), 2));
    }

    #[test]
    fn a_damaged_end_that_was_written_again_is_no_loss() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = frames(1..11, "old");
        let len = first.len();
        first.truncate(len - 100);
        write(dir.path(), 1, 1, &first);
        write(dir.path(), 2, 4, &frames(4..12, "new"));
        let (seen, replayed) = replay_all(dir.path(), 0, u64::MAX);
        assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..12).collect::<Vec<_>>());
        assert_eq!(replayed.missing, 0);
    }

    #[test]
    fn a_damaged_record_is_missing_and_those_after_it_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), 1, 1, &frames(1..4, "x"));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
        let (seen, replayed) = replay_all(dir.path(), 0, u64::MAX);
        assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(replayed.missing, 1);
    }

    #[test]
    fn what_the_trees_know_is_no_gap_and_what_is_not_synced_waits() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 7, 50, &frames(50..60, "x"));
        let (seen, replayed) = replay_all(dir.path(), 49, 54);
        assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (50..55).collect::<Vec<_>>());
        assert_eq!((replayed.missing, replayed.last_segment), (0, 7));
        assert_eq!(replay_all(dir.path(), 40, u64::MAX).1.missing, 9);
    }

    #[test]
    fn a_segment_that_never_got_its_header_supersedes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1, 1, &frames(1..4, "x"));
        let path = write(dir.path(), 2, 2, &frames(2..9, "y"));
        std::fs::write(path, [0; 200]).unwrap();
        let (seen, replayed) = replay_all(dir.path(), 0, u64::MAX);
        assert_eq!(seen.len(), 3);
        assert_eq!((replayed.lost_bytes, replayed.last_segment), (200, 2));
    }

    fn replay_all(dir: &Path, known: u64, through: u64) -> (Vec<(u64, String)>, Replayed) {
        let mut seen = vec![];
        let replayed = replay(dir, known, through, |record, _| {
            seen.push((record.sequence, String::from_utf8_lossy(record.leaf).into_owned()));
        });
        (seen, replayed.unwrap())
    }

    fn write(dir: &Path, number: u64, first: u64, frames: &[u8]) -> std::path::PathBuf {
        let frames = [Arc::new(frames.to_vec())];
        let segment = Segment::create(dir, number, first, &frames, Space::Free).unwrap();
        segment.file.path.clone()
    }

    fn frames(sequences: Range<u64>, leaf: &str) -> Vec<u8> {
        let mut frames = vec![];
        for _ in sequences.clone() {
            let record = Record {
                workspace: Uuid::from_u128(5),
                kind: Kind::Intent,
                clock_suspect: false,
                time_ms: 17,
                sequence: 0,
                leaf: leaf.as_bytes(),
            };
            segment::frame(&mut frames, &record);
        }
        let mut next = sequences;
        segment::seal(&mut frames, |bytes| {
            entry::stamp(bytes, next.next().unwrap(), |now| (now, false));
        });
        frames
    }
}
