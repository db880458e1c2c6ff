//! The readers of the log's files, for whoever gives them any bytes.

use uuid::Uuid;

use crate::merkle::Hash;
use crate::note::Checkpoint;
use crate::proof::{self, ProveError};
use crate::segment::{self, Contents, Found};
use crate::tile::{self, Source, Tile};
use crate::verify;

/// What a reader has found in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The entries of whole records, in order.
    pub entries: Vec<Vec<u8>>,
    /// Where frames begin that are damaged.
    pub damaged: Vec<usize>,
    /// Where the rest begins that tells nothing.
    pub rest: Option<usize>,
}

/// The first sequence that a segment counts from, and what is found in it; `None` where its header
/// is damaged.
#[must_use]
pub fn read_segment(bytes: &[u8]) -> Option<(u64, Read)> {
    let contents = Contents::open(bytes)?;
    let (first, mut read) = (contents.first_sequence, Read::default());
    for found in contents {
        match found {
            Found::Record(_, entry) => read.entries.push(entry.to_vec()),
            Found::Damaged { at } => read.damaged.push(at),
            Found::Broken { at } | Found::Torn { at } => read.rest = Some(at),
        }
    }
    Some((first, read))
}

/// A segment with these entries, whatever they are, under checksums that are right.
#[must_use]
pub fn write_segment(number: u64, first_sequence: u64, entries: &[&[u8]]) -> Vec<u8> {
    let mut bytes = segment::header(number, first_sequence).to_vec();
    for entry in entries {
        let start = bytes.len();
        bytes.extend_from_slice(&segment::frame_head(entry.len()));
        bytes.extend_from_slice(entry);
        segment::seal(&mut bytes[start..], |_| ());
    }
    bytes
}

/// The path of a tile, as it is written where it was read.
#[must_use]
pub fn tile_path(path: &str) -> Option<String> {
    Tile::parse(path).map(Tile::path)
}

/// The entries of a bundle.
#[must_use]
pub fn bundle(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    tile::entries(bytes)
}

/// The text of a proof, from whatever files.
///
/// # Errors
/// When the files are none of a tree of that size.
pub fn prove(source: &dyn Source, head: &Checkpoint, index: u64) -> Result<String, ProveError> {
    proof::prove(source, head, index).map(|it| it.text)
}

/// What the verifier finds wrong with the files of a tree whose root was signed, and the entries
/// that it has come across.
#[must_use]
pub fn verify_tree(
    source: &dyn Source,
    files: Vec<String>,
    (workspace, size, root): (Uuid, u64, Hash),
) -> (usize, Vec<Vec<u8>>) {
    verify::tree(source, files, (workspace, size, root))
}
