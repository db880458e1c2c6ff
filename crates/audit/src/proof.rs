//! Proofs that a stranger can check offline (c2sp.org/tlog-proof).
//!
//! The `extra` line of our proofs holds the entry itself, so that one file is all it takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::entry::Record;
use crate::merkle::{self, Hash, Unproven};
use crate::note::{self, Checkpoint, NoteError, VerifierKey};
use crate::tail::TailEntry;
use crate::tile::{self, FULL, HashReader, Layer, Source, Tile, TreeError};

/// A proof that an entry is in a log, as a text file `*.tlog-proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The place of the entry.
    pub index: u64,
    /// The size of the tree it is proved in.
    pub size: u64,
    /// The file.
    pub text: String,
}

/// What a proof has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The place of the entry.
    pub index: u64,
    /// The signed head of the log it is in.
    pub checkpoint: Checkpoint,
    /// The entry: 36 bytes of head and the leaf; read it with [`Record::parse`].
    pub entry: Vec<u8>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The tree does not reach that far. A record is in it within half a second of being written.
    #[error("the log has {size} entries; a new record gets its place within a second")]
    NotYet {
        /// The size of the latest tree.
        size: u64,
    },
    /// The tree cannot be read.
    #[error("the tree cannot be read")]
    Tree(#[from] TreeError),
}

/// Why a proof is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not in the form of the specification, or without the entry.
    #[error("not a proof of the form c2sp.org/tlog-proof@v1 with its entry")]
    Malformed,
    /// The checkpoint is not believed.
    #[error("the checkpoint is not believed")]
    Checkpoint(#[from] NoteError),
    /// The hashes do not prove it.
    #[error("the entry is not in the tree")]
    Unproven(#[from] Unproven),
}

/// Checks a proof with nothing but the keys of the log: texts of the form `name+hash+key`.
///
/// # Errors
///
/// When anything is wrong with it.
pub fn verify_proof(text: &str, keys: &[VerifierKey]) -> Result<Proven, ProofError> {
    if text.len() > MAX_PROOF {
        return Err(ProofError::Malformed);
    }
    let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
    let mut lines = head.split('\n');
    let mut line = || lines.next().ok_or(ProofError::Malformed);
    if line()? != FORM {
        return Err(ProofError::Malformed);
    }
    let extra = line()?.strip_prefix("extra ").ok_or(ProofError::Malformed)?;
    let entry = STANDARD.decode(extra).map_err(|_| ProofError::Malformed)?;
    let index =
        line()?.strip_prefix("index ").and_then(note::decimal).ok_or(ProofError::Malformed)?;
    let path: Option<Vec<Hash>> = lines.map(note::hash).collect();
    let path = path.ok_or(ProofError::Malformed)?;
    let checkpoint = Checkpoint::verify(checkpoint, keys)?;
    let leaf = merkle::leaf_hash(&entry);
    merkle::verify_inclusion(&leaf, index, checkpoint.size, &path, &checkpoint.root)?;
    Ok(Proven { index, checkpoint, entry })
}

pub(crate) fn prove(
    source: &dyn Source,
    head: &Checkpoint,
    index: u64,
) -> Result<Proof, ProveError> {
    if index >= head.size {
        return Err(ProveError::NotYet { size: head.size });
    }
    let path =
        HashReader::new(source, head.size).spans(&merkle::inclusion_spans(index, head.size))?;
    let bundle = read_bundle(source, head.size, index)?;
    let entry = tile::entries(&bundle.1)
        .and_then(|entries| entries.get(bundle.2).map(|entry| entry.to_vec()))
        .ok_or_else(|| TreeError::Damaged { path: bundle.0.path() })?;
    Ok(Proof { index, size: head.size, text: text(&entry, index, &path, head) })
}

pub(crate) fn consistency(
    source: &dyn Source,
    head: &Checkpoint,
    (old, new): (u64, u64),
) -> Result<Vec<Hash>, ProveError> {
    if old > head.size || new > head.size {
        return Err(ProveError::NotYet { size: head.size });
    }
    let spans = merkle::consistency_spans(old, new);
    Ok(HashReader::new(source, head.size).spans(&spans)?)
}

pub(crate) fn entries(
    source: &dyn Source,
    size: u64,
    from: u64,
    limit: usize,
) -> Result<Vec<TailEntry>, TreeError> {
    let mut found = vec![];
    let mut index = from;
    while index < size && found.len() < limit {
        let (tile, bytes, skipped) = read_bundle(source, size, index)?;
        let damaged = || TreeError::Damaged { path: tile.path() };
        let bundle = tile::entries(&bytes).ok_or_else(damaged)?;
        for entry in bundle.iter().skip(skipped).take(limit - found.len()) {
            let record = Record::parse(entry).ok_or_else(damaged)?;
            found.push(TailEntry { index: Some(index), ..TailEntry::from(record) });
            index += 1;
        }
    }
    Ok(found)
}

/// The bundle that holds an entry, and its place there.
fn read_bundle(
    source: &dyn Source,
    size: u64,
    index: u64,
) -> Result<(Tile, Vec<u8>, usize), TreeError> {
    let tile = Tile::of(Layer::Entries, index / FULL as u64, size)
        .ok_or_else(|| TreeError::Damaged { path: format!("entry {index}") })?;
    let within = usize::try_from(index % FULL as u64).expect("below 256");
    Ok((tile, tile::read(source, tile)?, within))
}

fn text(entry: &[u8], index: u64, path: &[Hash], head: &Checkpoint) -> String {
    let mut text = format!("{FORM}\nextra {}\nindex {index}\n", STANDARD.encode(entry));
    for hash in path {
        text.push_str(&STANDARD.encode(hash));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&head.text);
    text
}

const FORM: &str = "c2sp.org/tlog-proof@v1";
/// The longest entry in base64, 64 hashes and a checkpoint fit well.
const MAX_PROOF: usize = 512 * 1024;
