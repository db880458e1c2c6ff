//! Falsified proofs are not believed, and the vectors that other verifiers share are kept.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use audit::{
    Durability, Hash, NoteError, ProofError, Signer, Unproven, VerifierKey, leaf_hash, node_hash,
    root_of, verify_proof,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

mod world;
use world::{ANN, BOB, World, note, signer};

#[test]
fn h154_falsified_proofs_are_not_believed() {
    let good = Forgery::of(13, 5);
    assert!(good.verify().is_ok());
    let path = |edit: &dyn Fn(&mut Vec<Hash>)| {
        let mut bad = Forgery::of(13, 5);
        edit(&mut bad.path);
        bad.verify()
    };
    let cases: [(&str, Result<(), ProofError>, ProofError); 12] = [
        ("too short", path(&|p| p.truncate(p.len() - 1)), Unproven::WrongLength.into()),
        ("too long", path(&|p| p.push([0; 32])), Unproven::WrongLength.into()),
        ("empty", path(&|p| p.clear()), Unproven::WrongLength.into()),
        ("swapped hashes", path(&|p| p.swap(0, 1)), Unproven::WrongRoot.into()),
        (
            "swapped sides",
            Forgery { index: 4, ..Forgery::of(13, 5) }.verify(),
            Unproven::WrongRoot.into(),
        ),
        (
            "index at size",
            Forgery { index: 13, ..Forgery::of(13, 5) }.verify(),
            Unproven::OutsideTree.into(),
        ),
        (
            "index far out",
            Forgery { index: u64::MAX, ..Forgery::of(13, 5) }.verify(),
            Unproven::OutsideTree.into(),
        ),
        (
            "size 0",
            Forgery { size: 0, path: vec![], ..Forgery::of(13, 5) }.verify(),
            Unproven::EmptyTree.into(),
        ),
        (
            "size too small",
            Forgery { size: 6, ..Forgery::of(13, 5) }.verify(),
            Unproven::WrongLength.into(),
        ),
        (
            "size too large",
            Forgery { size: 1 << 40, ..Forgery::of(13, 5) }.verify(),
            Unproven::WrongLength.into(),
        ),
        (
            "another entry",
            Forgery { entry: b"no".to_vec(), ..Forgery::of(13, 5) }.verify(),
            Unproven::WrongRoot.into(),
        ),
        (
            "a node as an entry",
            Forgery { entry: [[0; 32], [1; 32]].concat(), ..Forgery::of(13, 5) }.verify(),
            Unproven::WrongRoot.into(),
        ),
    ];
    for (case, found, expected) in cases {
        assert_eq!(found, Err(expected), "{case}");
    }
}

#[test]
fn h154_foreign_keys_and_forged_signatures_are_not_believed() {
    let text = Forgery::of(13, 5).text();
    let other = Signer::from_seed("audit.example", &[8; 32]);
    assert_eq!(
        verify_proof(&text, &other.verifier_keys()).map(drop),
        Err(NoteError::UnknownKey.into())
    );
    assert_eq!(verify_proof(&text, &[]).map(drop), Err(NoteError::UnknownKey.into()));
    // The signature of one checkpoint under the text of another.
    let (head, _) = text.rsplit_once("\n\n").unwrap();
    let foreign = signer().sign(ANN, 14, [3; 32]).text;
    let (_, signature) = foreign.rsplit_once("\n\n").unwrap();
    let forged = format!("{head}\n\n{signature}");
    assert_eq!(verify_proof(&forged, &keys()).map(drop), Err(NoteError::BadSignature.into()));
    // The checkpoint of another workspace says another origin, which is signed too.
    let moved = text.replace(&ANN.to_string(), &BOB.to_string());
    assert!(verify_proof(&moved, &keys()).is_err());
}

#[test]
fn h154_malformed_proofs_are_not_read() {
    let good = Forgery::of(13, 5).text();
    let cases = [
        ("another version", good.replace("@v1", "@v2")),
        (
            "no entry",
            good.lines().filter(|l| !l.starts_with("extra")).collect::<Vec<_>>().join("\n"),
        ),
        ("a leading zero", good.replace("index 5", "index 05")),
        ("a sign", good.replace("index 5", "index +5")),
        ("a negative index", good.replace("index 5", "index -5")),
        ("an index beyond 64 bits", good.replace("index 5", "index 18446744073709551616")),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("nothing", String::new()),
        ("a blank line first", format!("\n{good}")),
        ("no checkpoint", good.split("\n\n").next().unwrap().to_owned()),
        ("too much", format!("{good}{}", " ".repeat(600_000))),
    ];
    for (case, text) in cases {
        assert!(verify_proof(&text, &keys()).is_err(), "{case}");
    }
}

#[test]
fn one_entry_needs_no_path() {
    let forgery = Forgery::of(1, 0);
    assert_eq!(forgery.path, Vec::<Hash>::new());
    assert_eq!(forgery.verify(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn h154_no_mutated_proof_is_accepted(
        place in 0usize..100_000,
        kind in 0u8..5,
        byte in any::<u8>(),
        other in 0usize..100_000,
    ) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| Forgery::of(300, 77).text().into_bytes());
        let at = place % GOOD.len();
        let mut bad = GOOD.clone();
        match kind {
            0 => bad[at] ^= byte.max(1),
            1 => drop(bad.remove(at)),
            2 => bad.insert(at, byte),
            3 => bad.swap(at, other % GOOD.len()),
            _ => bad.truncate(at),
        }
        prop_assume!(bad != *GOOD);
        if let Ok(text) = String::from_utf8(bad) {
            prop_assert!(verify_proof(&text, &keys()).is_err(), "{text}");
        }
    }
}

#[test]
fn proofs_of_a_real_log_hold_at_every_index() {
    let world = World::new();
    let log = world.open();
    for n in 0..600 {
        drop(log.append(note(ANN, n), Durability::Written));
    }
    world.wait_for(&log, ANN, 600);
    for index in (0..600).step_by(7).chain([255, 256, 511, 512, 599]) {
        let proof = log.prove(ANN, index).unwrap();
        let proven = verify_proof(&proof.text, &keys()).unwrap();
        assert_eq!((proven.index, proven.checkpoint.size), (index, 600));
    }
}

/// The vectors in `vectors/` are read by every verifier of this log, in whatever language. They
/// are made by this test when `AUDIT_WRITE_VECTORS` is set at build time, and compared otherwise.
#[test]
fn the_shared_vectors_are_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for (name, made) in [("proofs.json", proof_vectors()), ("tree.json", tree_vectors())] {
        let path = folder.join(name);
        let text = format!("{}\n", serde_json::to_string_pretty(&made).unwrap());
        if option_env!("AUDIT_WRITE_VECTORS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
    }
}

#[test]
fn the_shared_vectors_mean_what_they_say() {
    let vectors = proof_vectors();
    let keys: Vec<VerifierKey> = vec![vectors["verifier_key"].as_str().unwrap().parse().unwrap()];
    for vector in vectors["proofs"].as_array().unwrap() {
        let result = verify_proof(vector["proof"].as_str().unwrap(), &keys);
        assert_eq!(result.is_ok(), vector["valid"] == true, "{}", vector["name"]);
        if let Ok(proven) = result {
            assert_eq!(hex::encode(proven.entry), vector["entry_hex"].as_str().unwrap());
        }
    }
}

fn proof_vectors() -> Value {
    let valid =
        [(1, 0), (2, 0), (2, 1), (7, 6), (8, 3), (13, 5), (256, 255), (257, 256), (300, 77)];
    let mut proofs: Vec<Value> = valid
        .into_iter()
        .map(|(size, index)| {
            let forgery = Forgery::of(size, index);
            let entry = hex::encode(&forgery.entry);
            let name = format!("entry {index} of {size}");
            json!({"name": name, "valid": true, "entry_hex": entry, "proof": forgery.text()})
        })
        .collect();
    let with_path = |edit: &dyn Fn(&mut Vec<Hash>)| {
        let mut bad = Forgery::of(13, 5);
        edit(&mut bad.path);
        bad.text()
    };
    let base = || Forgery::of(13, 5);
    let good = base().text();
    let foreign = Signer::from_seed("audit.example", &[8; 32]);
    let invalid = [
        ("path too short", with_path(&|p| p.truncate(p.len() - 1))),
        ("path too long", with_path(&|p| p.push([0; 32]))),
        ("no path", with_path(&|p| p.clear())),
        ("swapped hashes", with_path(&|p| p.swap(0, 1))),
        ("swapped sides", Forgery { index: 4, ..base() }.text()),
        ("index at size", Forgery { index: 13, ..base() }.text()),
        ("index far out", Forgery { index: u64::MAX, ..base() }.text()),
        ("size 0", Forgery { size: 0, path: vec![], ..base() }.text()),
        ("size too small", Forgery { size: 6, ..base() }.text()),
        ("size too large", Forgery { size: 1 << 40, ..base() }.text()),
        ("another entry", Forgery { entry: b"no".to_vec(), ..base() }.text()),
        ("foreign key", base().text_by(&foreign)),
        ("another root", Forgery { root: [1; 32], ..base() }.text()),
        ("another version", good.replace("@v1", "@v2")),
        ("leading zero", good.replace("index 5", "index 05")),
        ("another workspace", good.replace(&ANN.to_string(), &BOB.to_string())),
        ("without the last newline", good.trim_end().to_owned()),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("empty", String::new()),
    ];
    proofs.extend(
        invalid
            .into_iter()
            .map(|(name, proof)| json!({"name": name, "valid": false, "proof": proof})),
    );
    json!({"verifier_key": signer().verifier_key(), "proofs": proofs})
}

fn tree_vectors() -> Value {
    let sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 255, 256, 257, 1_000];
    let roots: Vec<Value> = sizes
        .into_iter()
        .map(|size| json!({"size": size, "root_hex": hex::encode(root_of(&leaves(size)))}))
        .collect();
    json!({
        "entry": "the decimal digits of the index",
        "leaf_hash_of_0_hex": hex::encode(leaf_hash(b"0")),
        "node_hash_of_0_and_1_hex": hex::encode(node_hash(&leaf_hash(b"0"), &leaf_hash(b"1"))),
        "roots": roots,
    })
}

/// A proof whose parts can be changed, signed with the right key all the same.
struct Forgery {
    index: u64,
    size: u64,
    entry: Vec<u8>,
    path: Vec<Hash>,
    root: Hash,
}

impl Forgery {
    /// The right proof of the entry at `index` of a tree of `size`.
    fn of(size: u64, index: u64) -> Self {
        let leaves = leaves(size);
        Self {
            index,
            size,
            entry: index.to_string().into_bytes(),
            path: path(&leaves, usize::try_from(index).unwrap()),
            root: root_of(&leaves),
        }
    }

    fn text(&self) -> String {
        self.text_by(&signer())
    }

    fn text_by(&self, signer: &Signer) -> String {
        let lines: String =
            self.path.iter().map(|hash| format!("{}\n", STANDARD.encode(hash))).collect();
        let head = signer.sign(ANN, self.size, self.root).text;
        let entry = STANDARD.encode(&self.entry);
        format!("c2sp.org/tlog-proof@v1\nextra {entry}\nindex {}\n{lines}\n{head}", self.index)
    }

    fn verify(&self) -> Result<(), ProofError> {
        verify_proof(&self.text(), &keys()).map(drop)
    }
}

/// RFC 6962, section 2.1.1, word for word.
fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
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

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|n| leaf_hash(n.to_string().as_bytes())).collect()
}

fn keys() -> Vec<VerifierKey> {
    static KEYS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| signer().verifier_keys());
    assert_ne!(ANN, Uuid::nil());
    KEYS.clone()
}
