//! What is read of the log's own files, which a crash, a disk or a stranger may have changed.

use std::collections::HashMap;
use std::io;

use audit::fuzzing::{Read, bundle, prove, read_segment, tile_path, verify_tree, write_segment};
use audit::{Checkpoint, Kind, Record, Signer, Source, leaf_hash, node_hash, verify_proof};
use uuid::Uuid;

const WORKSPACE: Uuid = Uuid::from_u128(7);

/// What is read of a segment is in it, and of one that breaks off no more than what is whole.
pub(crate) fn segment(bytes: &[u8]) {
    if let Some((first, read)) = read_segment(bytes)
        && read.damaged.is_empty()
    {
        let number = u64::from_be_bytes(bytes[8..16].try_into().unwrap());
        let entries: Vec<&[u8]> = read.entries.iter().map(Vec::as_slice).collect();
        let again = write_segment(number, first, &entries);
        assert_eq!(again.len(), read.rest.unwrap_or(bytes.len()));
        assert_eq!(again, bytes[..again.len()]);
    }
    // The same with checksums that are right, since nobody guesses those.
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let entries: Vec<&[u8]> = bytes.split(|it| *it == b'|').collect();
    let whole = write_segment(1, 2, &entries);
    let is_record = |it: &&&[u8]| Record::parse(it).is_some();
    let records: Vec<&[u8]> = entries.iter().filter(is_record).copied().collect();
    let (first, read) = read_segment(&whole).expect("a header that we have written");
    assert_eq!((first, &read.entries[..], read.rest), (2, &owned(&records)[..], None));
    assert_eq!(read.entries.len() + read.damaged.len(), entries.len());
    let kept = whole.len() - usize::from(*cut).min(whole.len());
    if let Some((_, torn)) = read_segment(&whole[..kept]) {
        assert!(read.entries.starts_with(&torn.entries), "{torn:?} of {read:?}");
        assert!(read.damaged.starts_with(&torn.damaged));
        // Between two frames there is nothing to see of what is missing.
        let again = read_segment(&whole[..torn.rest.unwrap_or(kept)]);
        assert_eq!(again, Some((2, Read { rest: None, ..torn })));
    }
}

/// Names of tiles have one spelling, bundles one meaning, and files that pass for those of a tree
/// hold what was signed.
pub(crate) fn tiles(bytes: &[u8]) {
    for name in bytes.split(|it| *it == b'\n').filter_map(|it| std::str::from_utf8(it).ok()) {
        if let Some(again) = tile_path(name) {
            assert_eq!(again, name);
        }
    }
    if let Some(entries) = bundle(bytes) {
        assert_eq!(bundled(&entries), bytes);
    }
    let files = Files::read(bytes);
    let names: Vec<String> = files.0.keys().cloned().collect();
    let (signed, head) = signed();
    let (wrong, entries) = verify_tree(&files, names, (WORKSPACE, head.size, head.root));
    if wrong == 0 {
        assert_eq!(entries, signed);
    }
    for index in 0..=head.size {
        // A proof may be made from wrong files, but then it proves nothing.
        let proof = prove(&files, &head, index);
        let proven = proof.ok().and_then(|it| verify_proof(&it, &signer().verifier_keys()).ok());
        if let Some(proven) = proven {
            assert_eq!(proven.index, index);
            assert_eq!(Some(&proven.entry), signed.get(usize::try_from(index).unwrap()));
        }
    }
}

/// Files as the input gives them: a line with a name and a length, and so many bytes.
struct Files(HashMap<String, Vec<u8>>);

impl Files {
    fn read(bytes: &[u8]) -> Self {
        let (mut files, mut rest) = (HashMap::new(), bytes);
        while let Some(end) = rest.iter().position(|it| *it == b'\n') {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            let Some((name, len)) =
                std::str::from_utf8(line).ok().and_then(|it| it.split_once(' '))
            else {
                break;
            };
            let Some((file, tail)) = len.parse().ok().and_then(|it| tail.split_at_checked(it))
            else {
                break;
            };
            files.insert(name.to_owned(), file.to_vec());
            rest = tail;
        }
        Self(files)
    }
}

impl Source for Files {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).cloned())
    }
}

/// The entries of a log, and its head.
fn signed() -> (Vec<Vec<u8>>, Checkpoint) {
    let entries: Vec<Vec<u8>> = [1, 2].map(entry).into();
    let root = node_hash(&leaf_hash(&entries[0]), &leaf_hash(&entries[1]));
    (entries, signer().sign(WORKSPACE, 2, root))
}

fn entry(sequence: u64) -> Vec<u8> {
    let record = Record {
        workspace: WORKSPACE,
        kind: Kind::Admin,
        clock_suspect: false,
        time_ms: 0,
        sequence,
        leaf: b"{}",
    };
    let mut entry = Vec::new();
    record.write(&mut entry);
    entry
}

fn signer() -> Signer {
    Signer::from_seed("fuzz.example.com", &[7; 32])
}

fn owned(entries: &[&[u8]]) -> Vec<Vec<u8>> {
    entries.iter().map(|it| it.to_vec()).collect()
}

/// Entries behind their lengths, as in C2SP tlog-tiles.
fn bundled(entries: &[&[u8]]) -> Vec<u8> {
    let framed = |it: &&[u8]| [&u16::try_from(it.len()).unwrap().to_be_bytes()[..], *it].concat();
    entries.iter().flat_map(framed).collect()
}
