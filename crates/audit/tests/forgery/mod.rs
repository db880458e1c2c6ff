//! Proofs that are made by hand, right and wrong.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses a part of it"
)]

use std::sync::LazyLock;

use audit::{
    Hash, Kind, ProofError, Record, Signer, VerifierKey, leaf_hash, root_of, verify_proof,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::world::{ANN, signer};

/// A proof whose parts can be changed, signed with the right key all the same.
pub(crate) struct Forgery {
    pub(crate) index: u64,
    pub(crate) size: u64,
    pub(crate) entry: Vec<u8>,
    pub(crate) path: Vec<Hash>,
    pub(crate) root: Hash,
}

impl Forgery {
    /// The right proof of the entry at `index` of a tree of `size`.
    pub(crate) fn of(size: u64, index: u64) -> Self {
        let leaves = leaves(size);
        Self {
            index,
            size,
            entry: index.to_string().into_bytes(),
            path: path(&leaves, usize::try_from(index).unwrap()),
            root: root_of(&leaves),
        }
    }

    /// The same place, with an entry as logs have them.
    pub(crate) fn of_record() -> Self {
        let leaf =
            br#"{"kind":"outcome","call":"00000000-0000-0000-0000-0000000000c1","end":"answered"}"#;
        let mut entry = vec![];
        let record = Record {
            workspace: ANN,
            kind: Kind::Outcome,
            clock_suspect: false,
            time_ms: 1_700_000_000_123,
            sequence: 41,
            leaf,
        };
        record.write(&mut entry);
        let mut leaves = leaves(13);
        leaves[5] = leaf_hash(&entry);
        let (path, root) = (path(&leaves, 5), root_of(&leaves));
        Self { index: 5, size: 13, entry, path, root }
    }

    pub(crate) fn text(&self) -> String {
        self.text_by(&signer())
    }

    pub(crate) fn text_by(&self, signer: &Signer) -> String {
        self.text_under(&self.head(signer))
    }

    pub(crate) fn head(&self, signer: &Signer) -> String {
        signer.sign(ANN, self.size, self.root).text
    }

    pub(crate) fn text_under(&self, head: &str) -> String {
        let lines: String =
            self.path.iter().map(|hash| format!("{}\n", STANDARD.encode(hash))).collect();
        let entry = STANDARD.encode(&self.entry);
        format!("c2sp.org/tlog-proof@v1\nextra {entry}\nindex {}\n{lines}\n{head}", self.index)
    }

    pub(crate) fn verify(&self) -> Result<(), ProofError> {
        verify_proof(&self.text(), &keys()).map(drop)
    }
}

/// RFC 6962, section 2.1.1, word for word.
pub(crate) fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return vec![];
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut steps, sibling) =
        if index < split { (path(left, index), right) } else { (path(right, index - split), left) };
    steps.push(root_of(sibling));
    steps
}

pub(crate) fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|n| leaf_hash(n.to_string().as_bytes())).collect()
}

pub(crate) fn keys() -> Vec<VerifierKey> {
    static KEYS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| signer().verifier_keys());
    assert_ne!(ANN, Uuid::nil());
    KEYS.clone()
}
