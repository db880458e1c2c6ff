//! Segments: the files in which records become durable, before the tree takes them.
//!
//! A segment is a header and then frames. All numbers are big-endian, checksums are CRC-32C:
//!
//! | bytes of the header | what |
//! |---|---|
//! | 0..8 | `OSTSEG1` and a newline |
//! | 8..16 | number of the segment |
//! | 16..24 | first sequence |
//! | 24..28 | checksum of the bytes before |
//!
//! | bytes of a frame | what |
//! |---|---|
//! | 0..4 | length of the entry |
//! | 4..8 | checksum of the length |
//! | 8..12 | checksum of the entry |
//! | 12.. | entry |
//!
//! **A segment supersedes**: of earlier segments nothing counts from its first sequence on. So when
//! a disk fails in the middle of a write or a sync, the records whose fate is unknown are written
//! again to a new segment, which is renamed into place only when it holds them all.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;

use crate::entry::{MAX_ENTRY, Record};

/// A segment that is being written.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<SegmentFile>,
    /// Bytes that hold whole batches. What lies beyond is the rest of a failed write.
    pub(crate) len: u64,
}

/// The part of a segment that the threads share.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    file: File,
    /// Whether its name is on disk too.
    linked: AtomicBool,
}

/// Where the bytes of a new segment are to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// The file system.
    Free,
    /// The reserve, which has its space already.
    Reserve,
}

/// What a segment's bytes hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) first_sequence: u64,
    rest: &'a [u8],
    at: usize,
}

/// The next thing in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record, and the bytes of its entry.
    Record(Record<'a>, &'a [u8]),
    /// A frame whose entry is damaged; the next frame may be whole.
    Damaged { at: usize },
    /// Nothing more can be read, because of damage.
    Broken { at: usize },
    /// The rest of a write that did not finish.
    Torn { at: usize },
}

impl Segment {
    /// Makes a segment that holds `frames` from the moment its name exists.
    pub(crate) fn create(
        dir: &Path,
        number: u64,
        first_sequence: u64,
        frames: &[Arc<Vec<u8>>],
        space: Space,
    ) -> io::Result<Self> {
        let unnamed = match space {
            Space::Free => dir.join(NEXT),
            Space::Reserve => dir.join(RESERVE),
        };
        let file = match space {
            Space::Free => {
                OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unnamed)
            }
            Space::Reserve => OpenOptions::new().read(true).write(true).open(&unnamed),
        }?;
        let header = header(number, first_sequence);
        file.write_all_at(&header, 0)?;
        let mut len = HEADER as u64;
        for frame in frames {
            file.write_all_at(frame, len)?;
            len += frame.len() as u64;
        }
        let path = dir.join(name(number));
        std::fs::rename(&unnamed, &path)?;
        let file = SegmentFile { path, file, linked: AtomicBool::new(false) };
        Ok(Self { file: Arc::new(file), len })
    }

    /// Writes at the end. After an error the end is where it was; see [`Segment::cut_back`].
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.file.write_all_at(frames, self.len)?;
        self.len += frames.len() as u64;
        Ok(())
    }

    /// Removes the rest of a failed write.
    pub(crate) fn cut_back(&self) -> io::Result<()> {
        self.file.file.set_len(self.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == HEADER as u64
    }
}

impl SegmentFile {
    /// Brings what was written to the disk. After an error nothing is known of the bytes since the
    /// last success, and asking again would not tell: the kernel forgets.
    pub(crate) fn sync(&self, dir: &File) -> io::Result<()> {
        self.file.sync_data()?;
        if !self.linked.load(Ordering::Acquire) {
            dir.sync_all()?;
            self.linked.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Makes the reserve unless it is there: space that is taken now, so that it is there on a full
/// disk.
pub(crate) fn ensure_reserve(dir: &Path) -> io::Result<()> {
    let path = dir.join(RESERVE);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    allocate(&file, RESERVE_BYTES).inspect_err(|_| remove_quietly(&path))
}

/// Proves that there is space again.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let path = dir.join(PROBE);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let result = allocate(&file, RESERVE_BYTES)
        .and_then(|()| file.write_all_at(&[0; 4096], 0))
        .and_then(|()| file.sync_data());
    remove_quietly(&path);
    result
}

/// Segments with their numbers.
pub(crate) type Numbered = Vec<(u64, PathBuf)>;

/// The segments of a folder in order, and the files that no start needs.
pub(crate) fn list(dir: &Path) -> io::Result<(Numbered, Vec<PathBuf>)> {
    let (mut segments, mut others) = (Vec::new(), Vec::new());
    for item in std::fs::read_dir(dir)? {
        let path = item?.path();
        match path.file_name().and_then(|name| name.to_str()).map(number_of) {
            Some(Some(number)) => segments.push((number, path)),
            _ => others.push(path),
        }
    }
    segments.sort_unstable();
    Ok((segments, others))
}

/// Reserves a frame at the end of `out`; `entry` writes the entry.
pub(crate) fn frame(out: &mut Vec<u8>, record: &Record<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    record.write(out);
    let head = frame_head(out.len() - start - FRAME_HEAD);
    if let Some(place) = out.get_mut(start..start + FRAME_HEAD) {
        place.copy_from_slice(&head);
    }
}

/// What stands before an entry, but for its checksum, which is sealed later.
pub(crate) fn frame_head(entry_len: usize) -> [u8; FRAME_HEAD] {
    let len = u32::try_from(entry_len).expect("an entry is below 64 KiB").to_be_bytes();
    let check = crc32c::crc32c(&len).to_be_bytes();
    let mut head = [0; FRAME_HEAD];
    let (fields, _) = head.split_at_mut(8);
    fields.copy_from_slice(&[len, check].concat());
    head
}

/// Calls `stamp` with each entry of `frames` and then seals its checksum.
pub(crate) fn seal(frames: &mut [u8], mut stamp: impl FnMut(&mut [u8])) {
    let mut rest = frames;
    while let Some((head, tail)) = rest.split_first_chunk_mut::<FRAME_HEAD>() {
        let [l0, l1, l2, l3, _, _, _, _, check @ ..] = head;
        let len = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        let Some((entry, next)) = tail.split_at_mut_checked(len) else { return };
        stamp(entry);
        *check = crc32c::crc32c(entry).to_be_bytes();
        rest = next;
    }
}

/// The records of frames that were sealed by this process.
pub(crate) fn records(frames: &[u8]) -> impl Iterator<Item = (Record<'_>, &[u8])> {
    let mut contents = Contents { first_sequence: 0, rest: frames, at: 0 };
    std::iter::from_fn(move || match contents.next()? {
        Found::Record(record, entry) => Some((record, entry)),
        Found::Damaged { .. } | Found::Broken { .. } | Found::Torn { .. } => None,
    })
}

impl<'a> Contents<'a> {
    /// Reads the header. `None` when it is damaged: then nothing in the file was ever synced.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
        let (magic, numbers) = head.split_first_chunk::<8>()?;
        let (number, numbers) = numbers.split_first_chunk::<8>()?;
        let (first, _) = numbers.split_first_chunk::<8>()?;
        let (number, first_sequence) = (u64::from_be_bytes(*number), u64::from_be_bytes(*first));
        (magic == MAGIC && *head == header(number, first_sequence)).then_some(Self {
            first_sequence,
            rest,
            at: HEADER,
        })
    }
}

impl<'a> Iterator for Contents<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let (rest, at) = (self.rest, self.at);
        if rest.is_empty() {
            return None;
        }
        // Only a whole frame leaves something to read after it.
        self.rest = &[];
        // Zeros are what a file system leaves where a size reached the disk before its bytes.
        if rest.len() < FRAME_HEAD || rest.iter().all(|byte| *byte == 0) {
            return Some(Found::Torn { at });
        }
        let Some((len, tail)) = rest.split_first_chunk::<4>() else {
            return Some(Found::Torn { at });
        };
        let Some((head_check, tail)) = tail.split_first_chunk::<4>() else {
            return Some(Found::Torn { at });
        };
        let Some((entry_check, tail)) = tail.split_first_chunk::<4>() else {
            return Some(Found::Torn { at });
        };
        let entry_len = u32::from_be_bytes(*len) as usize;
        if crc32c::crc32c(len).to_be_bytes() != *head_check || entry_len > MAX_ENTRY {
            return Some(Found::Broken { at });
        }
        let Some(entry) = tail.get(..entry_len) else {
            return Some(Found::Torn { at });
        };
        self.rest = tail.get(entry_len..).unwrap_or_default();
        self.at += FRAME_HEAD + entry_len;
        if crc32c::crc32c(entry).to_be_bytes() != *entry_check {
            return Some(Found::Damaged { at });
        }
        match Record::parse(entry) {
            Some(record) => Some(Found::Record(record, entry)),
            None => Some(Found::Damaged { at }),
        }
    }
}

/// The first bytes of a segment.
pub(crate) fn header(number: u64, first_sequence: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (fields, check) = header.split_at_mut(HEADER - 4);
    let (magic, numbers) = fields.split_at_mut(8);
    let (a, b) = numbers.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    a.copy_from_slice(&number.to_be_bytes());
    b.copy_from_slice(&first_sequence.to_be_bytes());
    check.copy_from_slice(&crc32c::crc32c(fields).to_be_bytes());
    header
}

fn name(number: u64) -> String {
    format!("{number:020}.seg")
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok()?;
    (self::name(number) == name).then_some(number)
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        // A file system that cannot keep space in reserve: the refusal still works.
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}

/// Leftovers are removed again at the next start.
pub(crate) fn remove_quietly(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "could not remove a file of the audit log");
    }
}

/// Bytes before the entry in a frame.
pub(crate) const FRAME_HEAD: usize = 12;
/// Space kept for administrative records.
const RESERVE_BYTES: u64 = 1024 * 1024;
/// Files that are used for a moment, or that hold space; what is in them does not count.
pub(crate) const SCRATCH: [&str; 3] = [RESERVE, PROBE, NEXT];
const RESERVE: &str = "reserve";
const PROBE: &str = "probe";
const NEXT: &str = "next";
const MAGIC: &[u8; 8] = b"OSTSEG1\n";
pub(crate) const HEADER: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, stamp};
    use uuid::Uuid;

    #[test]
    fn what_was_appended_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let first = frames(7..10);
        let mut segment =
            Segment::create(dir.path(), 3, 7, &[Arc::new(first)], Space::Free).unwrap();
        segment.append(&frames(10..12)).unwrap();
        let (listed, others) = list(dir.path()).unwrap();
        assert_eq!(listed, [(3, segment.file.path.clone())]);
        assert!(others.is_empty());
        let bytes = std::fs::read(&segment.file.path).unwrap();
        let contents = Contents::open(&bytes).unwrap();
        assert_eq!(contents.first_sequence, 7);
        assert_eq!(sequences(contents), [Ok(7), Ok(8), Ok(9), Ok(10), Ok(11)]);
    }

    #[test]
    fn the_rest_of_a_failed_write_is_cut_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 1, 1, &[], Space::Free).unwrap();
        segment.append(&frames(1..2)).unwrap();
        segment.file.file.write_all_at(b"half a fra", segment.len).unwrap();
        segment.cut_back().unwrap();
        let bytes = std::fs::read(&segment.file.path).unwrap();
        assert_eq!(sequences(Contents::open(&bytes).unwrap()), [Ok(1)]);
    }

    #[test]
    fn the_reserve_becomes_a_segment() {
        let dir = tempfile::tempdir().unwrap();
        ensure_reserve(dir.path()).unwrap();
        let segment =
            Segment::create(dir.path(), 9, 1, &[Arc::new(frames(1..3))], Space::Reserve).unwrap();
        let bytes = std::fs::read(&segment.file.path).unwrap();
        assert_eq!(sequences(Contents::open(&bytes).unwrap()), [Ok(1), Ok(2)]);
        assert!(!dir.path().join(RESERVE).exists());
    }

    #[test]
    fn every_flipped_byte_is_noticed_and_every_torn_tail_is_cut() {
        let mut bytes = header(1, 1).to_vec();
        bytes.extend(frames(1..4));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x20;
            let Some(contents) = Contents::open(&bad) else {
                assert!(at < HEADER);
                continue;
            };
            assert!(sequences(contents).contains(&Err("damage")), "byte {at}");
        }
        let whole: Vec<usize> = std::iter::once(HEADER)
            .chain(records(&bytes[HEADER..]).scan(HEADER, |at, (_, entry)| {
                *at += FRAME_HEAD + entry.len();
                Some(*at)
            }))
            .collect();
        for len in HEADER..bytes.len() {
            let found = sequences(Contents::open(&bytes[..len]).unwrap());
            let records = whole.iter().filter(|end| **end <= len).count() - 1;
            assert_eq!(found.iter().flatten().count(), records, "length {len}");
            assert_eq!(found.contains(&Err("torn")), !whole.contains(&len), "length {len}");
        }
    }

    fn frames(sequences: std::ops::Range<u64>) -> Vec<u8> {
        let mut frames = Vec::new();
        for _ in sequences.clone() {
            let record = Record {
                workspace: Uuid::from_u128(5),
                kind: Kind::Intent,
                clock_suspect: false,
                time_ms: 17,
                sequence: 0,
                leaf: br#"{"kind":"intent"}"#,
            };
            frame(&mut frames, &record);
        }
        let mut next = sequences;
        seal(&mut frames, |entry| stamp(entry, next.next().unwrap(), |now| (now, false)));
        frames
    }

    fn sequences(contents: Contents<'_>) -> Vec<Result<u64, &'static str>> {
        contents
            .map(|found| match found {
                Found::Record(record, _) => Ok(record.sequence),
                Found::Damaged { .. } | Found::Broken { .. } => Err("damage"),
                Found::Torn { .. } => Err("torn"),
            })
            .collect()
    }
}
