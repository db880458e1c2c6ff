//! Falsified proofs are not believed.

use std::sync::LazyLock;

use audit::{Durability, Hash, NoteError, ProofError, Signer, Unproven, verify_proof};
use proptest::prelude::*;

mod forgery;
mod world;
use forgery::{Forgery, keys};
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
