//! The vectors that other verifiers share are kept.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::fs;
use std::path::Path;

use audit::{
    Hash, Kind, Leaf, NoteError, ProofError, Proven, Record, Signer, VerifierKey, leaf_hash,
    node_hash, root_of, verify_consistency, verify_proof,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

mod forgery;
mod world;
use forgery::{Forgery, leaves, path};
use world::{ANN, BOB, signer};

/// The vectors in `vectors/` are read by every verifier of this log, in whatever language, and the
/// sample by the console. They are made by this test when `AUDIT_WRITE_VECTORS` is set at build time, and
/// compared otherwise.
#[test]
fn the_shared_vectors_are_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, made) in [
        ("vectors/proofs.json", proof_vectors()),
        ("vectors/tree.json", tree_vectors()),
        ("../../console/src/verify/tampered.json", tampered_sample()),
    ] {
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
    let usual = vectors["verifier_key"].as_str().unwrap();
    for vector in vectors["proofs"].as_array().unwrap() {
        let key = vector["key"].as_str().unwrap_or(usual);
        let result = checked(vector["proof"].as_str().unwrap(), key);
        let step = result.as_ref().map_or_else(|step| Some(*step), |_| None);
        assert_eq!(step, vector["fails"].as_str(), "{}", vector["name"]);
        if let Ok(proven) = result {
            assert_eq!(hex::encode(proven.entry), vector["entry_hex"].as_str().unwrap());
        }
    }
    for vector in vectors["consistency"].as_array().unwrap() {
        let hash = |it: &Value| -> Hash {
            STANDARD.decode(it.as_str().unwrap()).unwrap().try_into().unwrap()
        };
        let [old, new] = ["old", "new"]
            .map(|it| (vector[it]["size"].as_u64().unwrap(), hash(&vector[it]["root"])));
        let path: Vec<Hash> = vector["path"].as_array().unwrap().iter().map(hash).collect();
        let result = verify_consistency((old.0, &old.1), (new.0, &new.1), &path);
        assert_eq!(result.is_ok(), vector["valid"] == true, "{}", vector["name"]);
    }
}

/// What it proves, or the step at which a verifier finds that it does not: in the words of the
/// vectors, which every verifier shares.
fn checked(text: &str, key: &str) -> Result<Proven, &'static str> {
    let key: VerifierKey = key.parse().map_err(|_| "key")?;
    verify_proof(text, &[key]).map_err(|error| match error {
        ProofError::Malformed | ProofError::Checkpoint(NoteError::Malformed) => "form",
        ProofError::Checkpoint(_) => "signature",
        ProofError::Unproven(_) => "inclusion",
    })
}

fn proof_vectors() -> Value {
    let key = signer().verifier_key();
    let mut proofs: Vec<Value> = PLACES
        .into_iter()
        .map(|(size, index)| {
            let forgery = Forgery::of(size, index);
            let entry = hex::encode(&forgery.entry);
            let name = format!("entry {index} of {size}");
            json!({"name": name, "valid": true, "entry_hex": entry, "proof": forgery.text()})
        })
        .collect();
    let record = Forgery::of_record();
    let entry = hex::encode(&record.entry);
    proofs.push(json!({
        "name": "a record", "valid": true, "entry_hex": entry, "proof": record.text(),
    }));
    let bad = [forged(), misspelt(), flipped()].concat();
    proofs.extend(bad.into_iter().map(|(name, proof)| {
        let fails = checked(&proof, &key).expect_err(&name);
        json!({"name": name, "valid": false, "fails": fails, "proof": proof})
    }));
    let good = Forgery::of(13, 5).text();
    proofs.extend(foreign_keys(&key).into_iter().map(|(name, key)| {
        let fails = checked(&good, &key).expect_err(name);
        json!({"name": name, "valid": false, "fails": fails, "key": key, "proof": good})
    }));
    json!({"verifier_key": key, "proofs": proofs, "consistency": consistency_vectors()})
}

/// Sizes of trees, and indexes: at both ends, and where a tree gets another level or tile.
const PLACES: [(u64, u64); 23] = [
    (1, 0),
    (2, 0),
    (2, 1),
    (3, 0),
    (3, 1),
    (3, 2),
    (7, 6),
    (8, 3),
    (13, 5),
    (255, 0),
    (255, 254),
    (256, 0),
    (256, 255),
    (257, 0),
    (257, 255),
    (257, 256),
    (300, 77),
    (65_535, 0),
    (65_535, 65_534),
    (65_536, 65_535),
    (65_537, 0),
    (65_537, 65_535),
    (65_537, 65_536),
];

/// In the right form and rightly signed, as whoever holds the key could make them.
fn forged() -> Vec<(String, String)> {
    let with_path = |edit: &dyn Fn(&mut Vec<Hash>)| {
        let mut bad = Forgery::of(13, 5);
        edit(&mut bad.path);
        bad.text()
    };
    let base = || Forgery::of(13, 5);
    [
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
        ("a node as an entry", Forgery { entry: [[0; 32], [1; 32]].concat(), ..base() }.text()),
        ("foreign key", base().text_by(&Signer::from_seed("audit.example", &[8; 32]))),
        ("another root", Forgery { root: [1; 32], ..base() }.text()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .to_vec()
}

/// Not in the one form that there is.
fn misspelt() -> Vec<(String, String)> {
    let good = Forgery::of(13, 5).text();
    let (head, note) = good.split_once("\n\n").unwrap();
    let signature = note.lines().last().unwrap();
    [
        ("another version", good.replace("@v1", "@v2")),
        ("leading zero", good.replace("index 5", "index 05")),
        ("a sign", good.replace("index 5", "index +5")),
        ("an index beyond 64 bits", good.replace("index 5", "index 18446744073709551616")),
        ("another workspace", good.replace(&ANN.to_string(), &BOB.to_string())),
        ("without the last newline", good.trim_end().to_owned()),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("empty", String::new()),
        ("no checkpoint", head.to_owned()),
        ("a hash without its padding", good.replacen("=\n", "\n", 1)),
        ("a hash with a space", good.replacen("=\n", " =\n", 1)),
        ("no signature", good.replace(signature, "")),
        ("two blank lines", good.replacen("\n\n", "\n\n\n", 1)),
        ("a line after the root", good.replace("\n\n\u{2014}", "\nmore\n\n\u{2014}")),
        ("a mark before it", format!("\u{feff}{good}")),
        ("something after it", format!("{good}x")),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .to_vec()
}

/// A bit of each part turned over, beneath the right signature.
fn flipped() -> Vec<(String, String)> {
    let mut found = vec![];
    let good = Forgery::of_record();
    let mut flip = |name: String, edit: &dyn Fn(&mut Forgery)| {
        let mut bad = Forgery::of_record();
        edit(&mut bad);
        // What is signed is what was there before.
        let text = bad.text_under(&good.head(&signer()));
        found.push((format!("a bit of {name}"), text));
    };
    for (what, at) in [("version", 0), ("kind", 1), ("flags", 2), ("workspace", 4), ("time", 27)] {
        flip(format!("the {what} in the head of the entry"), &|it| it.entry[at] ^= 1);
    }
    for at in [28, 35, 36, 60, good.entry.len() - 1] {
        flip(format!("byte {at} of the entry"), &|it| it.entry[at] ^= 0x10);
    }
    for (step, at) in [(0, 0), (0, 31), (3, 16), (good.path.len() - 1, 31)] {
        flip(format!("byte {at} of hash {step} of the path"), &|it| it.path[step][at] ^= 0x80);
    }
    for bit in 0..4 {
        flip(format!("the index, the one worth {}", 1 << bit), &|it| it.index ^= 1 << bit);
    }
    // And of what is signed, and of the signature.
    let (head, note) =
        good.text().split_once("\n\n").map(|it| (it.0.to_owned(), it.1.to_owned())).unwrap();
    let signed =
        |name: &str, note: String| (format!("a bit of {name}"), format!("{head}\n\n{note}"));
    let root = |root: Hash| note.replace(&STANDARD.encode(good.root), &STANDARD.encode(root));
    let mut first = good.root;
    first[0] ^= 1;
    let mut last = good.root;
    last[31] ^= 0x80;
    found.push(signed("the first byte of the root", root(first)));
    found.push(signed("the last byte of the root", root(last)));
    found.push(signed("the size", note.replacen("\n13\n", "\n12\n", 1)));
    found.push(signed("the origin", note.replacen("audit.example", "audit.exbmple", 1)));
    let line = note.lines().last().unwrap();
    let (name, encoded) = line.rsplit_once(' ').unwrap();
    for at in [0, 3, 4, 35, 36, 67] {
        let mut bytes = STANDARD.decode(encoded).unwrap();
        bytes[at] ^= 2;
        let forged = note.replace(line, &format!("{name} {}", STANDARD.encode(&bytes)));
        found.push(signed(&format!("byte {at} of the signature"), forged));
    }
    found
}

/// Keys that are not that of the log.
fn foreign_keys(key: &str) -> Vec<(&'static str, String)> {
    let (start, encoded) = key.rsplit_once('+').unwrap();
    let (name, hash) = start.split_once('+').unwrap();
    let mut bytes = STANDARD.decode(encoded).unwrap();
    bytes[7] ^= 1;
    let flipped = STANDARD.encode(&bytes);
    bytes[7] ^= 1;
    bytes[0] = 2;
    let kind = STANDARD.encode(&bytes);
    vec![
        ("a bit of the key", format!("{start}+{flipped}")),
        ("another kind of key", format!("{start}+{kind}")),
        ("a bit of the hash of the key", key.replacen(hash, "fd9883a4", 1)),
        ("another name of the key", key.replacen(name, "audit.exbmple", 1)),
        ("the key of another log", Signer::from_seed("audit.example", &[8; 32]).verifier_key()),
        (
            "the key under another name",
            Signer::from_seed("audit.example.com", &[7; 32]).verifier_key(),
        ),
        ("no key", String::new()),
    ]
}

fn consistency_vectors() -> Vec<Value> {
    let pairs = [
        (0, 0),
        (0, 13),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 3),
        (3, 4),
        (4, 7),
        (6, 7),
        (6, 13),
        (7, 8),
        (8, 13),
        (13, 13),
        (1, 255),
        (255, 256),
        (255, 257),
        (256, 257),
        (256, 65_536),
        (257, 65_535),
        (65_535, 65_536),
        (65_535, 65_537),
        (65_536, 65_537),
    ];
    let leaves = leaves(65_537);
    let growth = |(old, new)| Growth::of(&leaves, old, new);
    let good = pairs.map(|it| growth(it).value("continued", true));
    let mut bad = vec![];
    for pair in [(6, 13), (8, 13), (256, 257), (255, 65_537)] {
        let mut add = |name: &str, edit: &dyn Fn(&mut Growth)| {
            let mut growth = growth(pair);
            edit(&mut growth);
            bad.push(growth.value(name, false));
        };
        add("a bit of the old root", &|it| it.old.1[0] ^= 1);
        add("a bit of the new root", &|it| it.new.1[31] ^= 0x80);
        add("a bit of the first hash", &|it| it.path[0][9] ^= 4);
        add("a bit of the last hash", &|it| it.path.last_mut().unwrap()[9] ^= 4);
        add("too short", &|it| it.path.truncate(it.path.len() - 1));
        add("too long", &|it| it.path.push([0; 32]));
        add("no path", &|it| it.path.clear());
        add("the other way round", &|it| std::mem::swap(&mut it.old, &mut it.new));
        add("one entry fewer before", &|it| it.old.0 -= 1);
        add("an empty log before", &|it| it.old.0 = 0);
        add("the size from before", &|it| it.new.0 = it.old.0);
    }
    [&good[..], &bad].concat()
}

/// Two trees, and what proves that the one continues the other.
struct Growth {
    old: (u64, Hash),
    new: (u64, Hash),
    path: Vec<Hash>,
}

impl Growth {
    fn of(leaves: &[Hash], old: u64, new: u64) -> Self {
        let first = |size: u64| &leaves[..usize::try_from(size).unwrap()];
        let path = if old == 0 { vec![] } else { consistency(first(new), first(old).len(), true) };
        Self { old: (old, root_of(first(old))), new: (new, root_of(first(new))), path }
    }

    fn value(&self, name: &str, valid: bool) -> Value {
        let head = |(size, root): (u64, Hash)| json!({"size": size, "root": STANDARD.encode(root)});
        let path: Vec<String> = self.path.iter().map(|it| STANDARD.encode(it)).collect();
        let name = format!("{name}, {} to {}", self.old.0, self.new.0);
        let (old, new) = (head(self.old), head(self.new));
        json!({"name": name, "valid": valid, "old": old, "new": new, "path": path})
    }
}

/// RFC 6962, section 2.1.2, word for word.
fn consistency(leaves: &[Hash], old: usize, is_known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if is_known { vec![] } else { vec![root_of(leaves)] };
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut steps, other) = if old <= split {
        (consistency(left, old, is_known), right)
    } else {
        (consistency(right, old - split, false), left)
    };
    steps.push(root_of(other));
    steps
}

/// Six records of which somebody has rewritten the one at 3: that a call was answered, and what it has
/// got, has become a refusal.
fn tampered_sample() -> Value {
    let truth: [(Kind, &[(&'static str, &str)]); 6] = [
        (Kind::Admin, &[("action", "create server"), ("actor", "ann"), ("object_name", "payroll")]),
        (Kind::Intent, &[("call", "c1"), ("app_name", "ci-agent"), ("name", "list_staff")]),
        (Kind::Outcome, &[("call", "c1"), ("end", "answered"), ("bytes", "1840")]),
        (Kind::Outcome, &[("call", "c2"), ("name", "export_salaries"), ("end", "answered")]),
        (Kind::Intent, &[("call", "c3"), ("app_name", "claude-ann"), ("name", "get_issue")]),
        (Kind::Outcome, &[("call", "c3"), ("end", "answered"), ("bytes", "312")]),
    ];
    let forged: &[(&'static str, &str)] =
        &[("call", "c2"), ("name", "export_salaries"), ("end", "rule_block")];
    let entry = |place: usize, (kind, members): (Kind, &[(&'static str, &str)])| {
        let leaf = members.iter().fold(Leaf::new(kind), |leaf, (key, text)| leaf.str(key, text));
        let leaf = leaf.finish();
        let (time_ms, sequence) = (1_795_000_000_000 + 700 * place as i64, 40 + place as u64);
        let record =
            Record { workspace: ANN, kind, clock_suspect: false, time_ms, sequence, leaf: &leaf };
        let mut entry = vec![];
        record.write(&mut entry);
        entry
    };
    let entries: Vec<Vec<u8>> = truth.iter().enumerate().map(|(at, it)| entry(at, *it)).collect();
    let leaves: Vec<Hash> = entries.iter().map(|it| leaf_hash(it)).collect();
    let records: Vec<Value> = (0..entries.len())
        .map(|at| {
            let entry =
                if at == 3 { entry(at, (Kind::Outcome, forged)) } else { entries[at].clone() };
            let record = Record::parse(&entry).unwrap();
            let (time_ms, kind, sequence) = (record.time_ms, record.kind, record.sequence);
            let leaf: Value = serde_json::from_slice(record.leaf).unwrap();
            let (index, size) = (at as u64, leaves.len() as u64);
            let (path, root) = (path(&leaves, at), root_of(&leaves));
            let proof = Forgery { index, size, entry, path, root }.text();
            json!({
                "index": index, "sequence": sequence, "time_ms": time_ms, "kind": kind.as_str(),
                "record": leaf, "proof": proof,
            })
        })
        .collect();
    json!({"key": signer().verifier_key(), "records": records})
}

fn tree_vectors() -> Value {
    let sizes =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 255, 256, 257, 1_000, 65_535, 65_536, 65_537];
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
