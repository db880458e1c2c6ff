//! What a verifier reads: signed heads of logs, proofs, entries. Nobody else's is believed.

use audit::{Checkpoint, Record, Signer, VerifierKey, leaf_hash, node_hash, verify_proof};
use uuid::Uuid;

/// Who has signed what is in the corpus: the heads of a log with these two entries.
const ENTRIES: [&[u8]; 2] = [b"one", b"two"];
const WORKSPACE: Uuid = Uuid::from_u128(7);

fn signer() -> Signer {
    Signer::from_seed("fuzz.example.com", &[7; 32])
}

fn keys() -> Vec<VerifierKey> {
    signer().verifier_keys()
}

/// All that was ever signed.
fn heads() -> [Checkpoint; 2] {
    let [one, two] = ENTRIES.map(leaf_hash);
    let signer = signer();
    [signer.sign(WORKSPACE, 1, one), signer.sign(WORKSPACE, 2, node_hash(&one, &two))]
}

/// A checkpoint is one that was signed, or is not believed.
pub(crate) fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(believed) = Checkpoint::verify(text, &keys()) {
        was_signed(&believed);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        let again: VerifierKey = key.to_string().parse().expect("a key that we have written");
        assert_eq!(again.to_string(), key.to_string());
    }
}

fn was_signed(believed: &Checkpoint) {
    let is_it = |it: &Checkpoint| {
        (&it.origin, it.size, it.root) == (&believed.origin, believed.size, believed.root)
    };
    assert!(heads().iter().any(is_it), "nobody has signed {believed:?}");
}

/// What is proved is in the log, at its place.
pub(crate) fn proof(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(proven) = verify_proof(text, &keys()) {
        was_signed(&proven.checkpoint);
        let index = usize::try_from(proven.index).unwrap();
        assert_eq!(ENTRIES.get(index), Some(&&proven.entry[..]), "it is not in the log");
        assert!(proven.index < proven.checkpoint.size);
    }
}

/// What is read of an entry is all of it.
pub(crate) fn record(bytes: &[u8]) {
    if let Some(record) = Record::parse(bytes) {
        let mut again = Vec::new();
        record.write(&mut again);
        assert_eq!(again, bytes);
    }
}
