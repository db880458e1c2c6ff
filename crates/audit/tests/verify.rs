//! What the verifier notices, and what it does not hold against a sound log.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::{
    Check, ContentOptions, ContentStore, Durability, Entry, Kind, Leaf, Log, Problem, Record,
    Report, Signer, verify, verify_dir,
};
use bytes::Bytes;
use uuid::Uuid;

mod world;
use world::{ANN, BOB, Keys, RealClock, World, note};

#[test]
fn a_sound_log_has_no_problems_and_tells_what_it_holds() {
    let scene = Scene::new();
    let report = scene.verify();
    assert_eq!(report.problems, []);
    let ann = &report.workspaces[0];
    assert_eq!((ann.workspace, ann.size), (ANN, 700));
    assert_eq!((ann.intents, ann.outcomes, ann.outcomes_unknown), (350, 350, 0));
    assert_eq!((ann.content.sound, ann.content.erased), (70, 0));
    let bob = &report.workspaces[1];
    assert_eq!((bob.workspace, bob.size, bob.intents, bob.outcomes_unknown), (BOB, 3, 3, 3));
}

#[test]
fn h153_one_flipped_byte_in_any_file_is_found_and_named() {
    let scene = Scene::new();
    let mut flips = 0;
    for path in files(scene.world.root()) {
        let bytes = fs::read(&path).unwrap();
        // The first, the last, and some between.
        let step = (bytes.len() / 5).max(1);
        for at in (0..bytes.len()).step_by(step).chain(bytes.len().checked_sub(1)) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x04;
            fs::write(&path, &bad).unwrap();
            let report = scene.verify();
            let place = format!("{} byte {at}", path.display());
            assert!(!report.problems.is_empty(), "{place}");
            let text = path.to_string_lossy();
            if text.contains("/tile/") || text.contains("/content/") {
                assert!(report.problems.iter().any(|p| p.index.is_some()), "{place}: {report:?}");
            }
            flips += 1;
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(flips > 100);
    assert_eq!(scene.verify().problems, []);
}

#[test]
fn h153_the_first_bad_index_is_named() {
    let scene = Scene::new();
    let bundle = scene.log_file(ANN, "tile/entries/001");
    let bytes = fs::read(&bundle).unwrap();
    let ends = ends(&bytes);
    for item in [0usize, 1, 100, 255] {
        let mut bad = bytes.clone();
        bad[ends[item] - 3] ^= 1;
        fs::write(&bundle, bad).unwrap();
        assert_eq!(first_index(&scene.verify()), Some(256 + item as u64), "entry {item}");
    }
    fs::write(&bundle, &bytes).unwrap();

    let tile = scene.log_file(ANN, "tile/0/001");
    let hashes = fs::read(&tile).unwrap();
    for item in [0usize, 17, 255] {
        let mut bad = hashes.clone();
        bad[item * 32 + 5] ^= 1;
        fs::write(&tile, bad).unwrap();
        assert_eq!(first_index(&scene.verify()), Some(256 + item as u64), "hash {item}");
    }
    fs::write(&tile, &hashes).unwrap();

    let upper = scene.log_file(ANN, "tile/1/000.p/2");
    let mut bad = fs::read(&upper).unwrap();
    bad[40] ^= 1;
    fs::write(&upper, bad).unwrap();
    assert_eq!(first_index(&scene.verify()), Some(256), "the second hash of level 1");
}

#[test]
fn h153_removed_reordered_and_truncated_records_are_found() {
    let scene = Scene::new();
    let path = scene.log_file(ANN, "tile/entries/000");
    let bytes = fs::read(&path).unwrap();
    let ends = ends(&bytes);
    let entry = |item: usize| &bytes[if item == 0 { 0 } else { ends[item - 1] }..ends[item]];
    let all = || (0..256).map(entry);
    let swap = |item| match item {
        10 => entry(11),
        11 => entry(10),
        other => entry(other),
    };
    let cases: [(&str, Vec<u8>, u64); 4] = [
        (
            "removed",
            all().enumerate().filter(|(n, _)| *n != 7).flat_map(|(_, e)| e).copied().collect(),
            7,
        ),
        ("reordered", (0..256).flat_map(swap).copied().collect(), 10),
        ("repeated", (0..256).flat_map(|n| entry(n.min(30))).copied().collect(), 31),
        ("truncated", bytes[..ends[99]].to_vec(), 100),
    ];
    for (case, bad, index) in cases {
        fs::write(&path, bad).unwrap();
        assert_eq!(first_index(&scene.verify()), Some(index), "{case}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(first_index(&scene.verify()), Some(0), "the whole bundle");
}

#[test]
fn h153_a_history_written_anew_does_not_lead_to_the_signed_root() {
    let scene = Scene::new();
    // Somebody with the files, but without the key, makes everything fit but the signature.
    let forged = World::new();
    let log = Log::open(forged.options(), forged.signer(), Arc::new(RealClock::new())).unwrap();
    for n in 0..3 {
        log.append_blocking(note(BOB, n + 100), Durability::Written).unwrap();
    }
    log.close().unwrap();
    let bob = scene.world.dir().join(BOB.to_string());
    for name in ["checkpoint", "durable"] {
        fs::copy(bob.join(name), forged.dir().join(BOB.to_string()).join(name)).unwrap();
    }
    let report = verify_dir(&forged.dir(), &scene.world.keys()).unwrap();
    assert_eq!(first_index(&report), Some(0));
    assert!(report.problems[0].what.contains("are not those of"), "{report:?}");
}

#[test]
fn h153_a_checkpoint_that_was_rolled_back_is_found() {
    let world = World::new();
    let log = world.open();
    let checkpoint = world.dir().join(ANN.to_string()).join("checkpoint");
    for n in 0..10 {
        log.append_blocking(note(ANN, n), Durability::Synced).unwrap();
    }
    world.wait_for(&log, ANN, 10);
    let old = log.checkpoint(ANN).unwrap();
    for n in 10..20 {
        log.append_blocking(note(ANN, n), Durability::Synced).unwrap();
    }
    log.close().unwrap();
    let new = fs::read_to_string(&checkpoint).unwrap();

    fs::write(&checkpoint, &old.text).unwrap();
    let report = verify_dir(&world.dir(), &world.keys()).unwrap();
    assert_eq!(first_index(&report), Some(10));
    assert!(report.problems.iter().any(|p| p.what.contains("rolled back")), "{report:?}");

    // Both files: then the tiles give it away.
    fs::write(checkpoint.with_file_name("durable"), &old.text).unwrap();
    let report = verify_dir(&world.dir(), &world.keys()).unwrap();
    assert_eq!(first_index(&report), Some(10));
    assert!(report.problems[0].what.contains("reaches beyond"), "{report:?}");

    // The tiles too: then only somebody else's memory helps.
    for path in files(&world.dir()) {
        let width = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
        if width.is_some_and(|width| width > 10) && path.to_string_lossy().contains(".p/") {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(verify_dir(&world.dir(), &world.keys()).unwrap().problems, []);
    let report = verify(&Check {
        dir: Some(&world.dir()),
        keys: &world.keys(),
        known: &[new],
        ..Check::default()
    })
    .unwrap();
    assert_eq!(first_index(&report), Some(10));
    assert!(report.problems[0].what.contains("known from elsewhere"), "{report:?}");
}

#[test]
fn h153_two_checkpoints_of_one_size_are_a_fork() {
    let scene = Scene::new();
    let signer = scene.world.signer();
    let other = signer.sign(BOB, 3, [9; 32]).text;
    let own = fs::read_to_string(scene.log_file(BOB, "checkpoint")).unwrap();
    let keys = scene.world.keys();
    let fork = |dir, known: &[String]| {
        verify(&Check { dir, keys: &keys, known, ..Check::default() }).unwrap().problems
    };
    let dir = scene.world.dir();
    assert_eq!(fork(Some(&dir), std::slice::from_ref(&own)), []);
    assert_eq!(fork(Some(&dir), std::slice::from_ref(&other)).len(), 1);
    let offline = fork(None, &[own, other]);
    assert_eq!(offline.len(), 1);
    assert!(offline[0].what.contains("fork"), "{offline:?}");
    let foreign = Signer::from_seed("audit.example", &[8; 32]).sign(BOB, 3, [9; 32]).text;
    assert!(fork(None, &[foreign])[0].what.contains("not signed by a known key"));
    let gone = signer.sign(Uuid::from_u128(99), 3, [9; 32]).text;
    assert_eq!(fork(Some(&dir), &[gone]).len(), 1);
}

/// The signature is right and all hashes fit, so only the records themselves tell.
#[test]
fn a_signed_tree_of_wrong_records_is_no_sound_log() {
    let record = |workspace, sequence, time_ms| Record {
        workspace,
        kind: Kind::System,
        clock_suspect: false,
        time_ms,
        sequence,
        leaf: b"{}",
    };
    let first = record(ANN, 5, 1_000);
    let cases = [
        (record(ANN, 6, 1_000), None),
        (record(ANN, 5, 1_000), Some(1)),
        (record(ANN, 4, 1_000), Some(1)),
        (record(ANN, 6, 999), Some(1)),
        (record(BOB, 6, 1_000), Some(1)),
    ];
    for (second, expected) in cases {
        let world = World::new();
        let folder = world.dir().join(ANN.to_string());
        let (mut bundle, mut hashes) = (vec![], vec![]);
        for record in [first, second] {
            let mut entry = vec![];
            record.write(&mut entry);
            bundle.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
            bundle.extend(&entry);
            hashes.push(audit::leaf_hash(&entry));
        }
        let head = world.signer().sign(ANN, 2, audit::root_of(&hashes));
        for (name, bytes) in [
            ("tile/entries/000.p/2", bundle.as_slice()),
            ("tile/0/000.p/2", hashes.as_flattened()),
            ("checkpoint", head.text.as_bytes()),
        ] {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), bytes).unwrap();
        }
        let report = verify_dir(&world.dir(), &world.keys()).unwrap();
        assert_eq!(first_index(&report), expected, "{second:?} {report:?}");

        // The same log under another name.
        fs::rename(&folder, world.dir().join(BOB.to_string())).unwrap();
        let report = verify_dir(&world.dir(), &world.keys()).unwrap();
        assert!(report.problems[0].what.contains("belongs to another log"), "{report:?}");
    }
}

#[test]
fn missing_and_stray_files_are_found() {
    let scene = Scene::new();
    for path in files(&scene.world.dir()) {
        let text = path.to_string_lossy().into_owned();
        let is_older = text.contains(".p/") && is_older_partial(&path);
        let is_needed = !(text.contains("/segment/") || text.ends_with("durable") || is_older);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(!scene.verify().problems.is_empty(), is_needed, "{text}");
        fs::write(&path, bytes).unwrap();
    }
    for stray in ["segment/x", "y", "tile/0/000", &format!("{ANN}/z"), &format!("{ANN}/tile/0/00")]
    {
        let path = scene.world.dir().join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        assert_eq!(scene.verify().problems.len(), 1, "{stray}");
        fs::remove_file(&path).unwrap();
        if stray.starts_with("tile") {
            fs::remove_dir_all(scene.world.dir().join("tile")).unwrap();
        }
    }
}

#[test]
fn a_log_in_use_is_verified_too_and_its_unsigned_tail_is_counted() {
    let world = World::new();
    let mut options = world.options();
    options.checkpoint_every = std::time::Duration::from_secs(60);
    let log = world.open_with(options);
    for n in 0..5 {
        log.append_blocking(note(ANN, n), Durability::Written).unwrap();
    }
    let report = verify_dir(&world.dir(), &world.keys()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.workspaces[0].size, report.workspaces[0].unsequenced), (0, 5));
    let segment =
        files(&world.dir().join("segment")).into_iter().find(|p| p.ends_with_seg()).unwrap();
    let bytes = fs::read(&segment).unwrap();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(&segment, bad).unwrap();
        let report = verify_dir(&world.dir(), &world.keys()).unwrap();
        assert!(!report.problems.is_empty(), "byte {at}");
    }
}

#[test]
fn a_log_under_load_never_looks_bad() {
    let world = World::new();
    let mut options = world.options();
    options.segment_bytes = 20_000;
    let log = world.open_with(options);
    let writer = {
        let log = log.clone();
        std::thread::spawn(move || {
            for n in 0..6_000 {
                let durability = if n % 50 == 0 { Durability::Synced } else { Durability::Written };
                log.append_blocking(note(ANN, n), durability).unwrap();
            }
        })
    };
    let mut verified = 0;
    while !writer.is_finished() {
        let report = verify_dir(&world.dir(), &world.keys()).unwrap();
        assert_eq!(report.problems, [], "after {verified}");
        verified += 1;
    }
    writer.join().unwrap();
    assert!(verified > 0);
    log.close().unwrap();
    let report = verify_dir(&world.dir(), &world.keys()).unwrap();
    assert_eq!((report.problems.len(), report.workspaces[0].size), (0, 6_000));
}

#[test]
fn h156_erased_content_leaves_every_proof_as_it_was() {
    let scene = Scene::new();
    let store = scene.open_store();
    store.erase_day(ANN, scene.day).unwrap();
    store.close().unwrap();
    let report = scene.verify();
    assert_eq!(report.problems, []);
    assert_eq!((report.workspaces[0].content.sound, report.workspaces[0].content.erased), (0, 70));
    let log = scene.world.open();
    let proof = log.prove(ANN, 10).unwrap();
    assert!(audit::verify_proof(&proof.text, &scene.world.keys()).is_ok());
}

#[test]
fn h156_a_destroyed_key_is_erasure_and_missing_files_are_not() {
    let scene = Scene::new();
    let (root, keys) = (scene.world.root(), scene.world.keys());
    let (dir, content) = (root.join("log"), root.join("content"));
    let none = Keys::none();
    let check = Check {
        dir: Some(&dir),
        keys: &keys,
        content: Some(&content),
        data_keys: Some(&none),
        ..Check::default()
    };
    let report = verify(&check).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.workspaces[0].content.erased, 70);

    for path in files(&content) {
        fs::remove_file(path).unwrap();
    }
    let report = verify(&check).unwrap();
    assert_eq!(report.problems.len(), 70);
    assert_eq!(first_index(&report), Some(0));
}

/// Two logs: Ann's with 350 calls and some content, Bob's with three calls that never ended.
struct Scene {
    world: World,
    keys: Arc<Keys>,
    day: i32,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self { world: World::new(), keys: Arc::new(Keys::new()), day: 0 };
        let log = scene.world.open();
        let store = scene.open_store();
        for n in 0..350u64 {
            let call = Uuid::from_u128(u128::from(n));
            for kind in [Kind::Intent, Kind::Outcome] {
                let mut leaf = Leaf::new(kind).call(call).str("tool", "jira.search");
                if n % 10 == 0 {
                    let parts = [Bytes::from(format!("{n} of {kind:?}")), Bytes::from_static(b"!")];
                    let (place, durable) =
                        store.append(ANN, call, &parts, Durability::Written).unwrap();
                    durable.wait().unwrap();
                    leaf = leaf.content("content", &place);
                    scene.day = place.day;
                }
                let entry = Entry { workspace: ANN, kind, leaf: leaf.finish() };
                // One by one around the first tile, so that it has partial versions.
                let append = log.append(entry, Durability::Written);
                if n > 340 {
                    append.wait().unwrap();
                    scene.world.wait_for(&log, ANN, 2 * n + u64::from(kind == Kind::Outcome) + 1);
                }
            }
        }
        for n in 0..3 {
            log.append_blocking(note(BOB, n), Durability::Written).unwrap();
        }
        store.close().unwrap();
        log.close().unwrap();
        scene
    }

    fn open_store(&self) -> ContentStore {
        let options = ContentOptions::new(self.world.root().join("content"));
        let keys = Arc::clone(&self.keys);
        ContentStore::open(options, keys, Arc::new(RealClock::new())).unwrap()
    }

    fn verify(&self) -> Report {
        verify(&Check {
            dir: Some(&self.world.dir()),
            keys: &self.world.keys(),
            content: Some(&self.world.root().join("content")),
            data_keys: Some(&*self.keys),
            ..Check::default()
        })
        .unwrap()
    }

    fn log_file(&self, workspace: Uuid, name: &str) -> PathBuf {
        self.world.dir().join(workspace.to_string()).join(name)
    }
}

trait IsSegment {
    fn ends_with_seg(&self) -> bool;
}

impl IsSegment for PathBuf {
    fn ends_with_seg(&self) -> bool {
        self.extension().is_some_and(|extension| extension == "seg")
    }
}

fn first_index(report: &Report) -> Option<u64> {
    let mut firsts: BTreeMap<Option<Uuid>, u64> = BTreeMap::new();
    for Problem { workspace, index, .. } in &report.problems {
        if let Some(index) = index {
            let first = firsts.entry(*workspace).or_insert(*index);
            *first = (*first).min(*index);
        }
    }
    firsts.into_values().next()
}

/// Where each entry of a bundle ends.
fn ends(bundle: &[u8]) -> Vec<usize> {
    let mut ends = vec![];
    let mut at = 0;
    while at < bundle.len() {
        at += 2 + usize::from(u16::from_be_bytes([bundle[at], bundle[at + 1]]));
        ends.push(at);
    }
    ends
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A partial tile that a wider one has followed.
fn is_older_partial(path: &Path) -> bool {
    let width = |path: &Path| path.file_name().and_then(|n| n.to_str()?.parse::<u64>().ok());
    let folder = path.parent().unwrap();
    let widest = files(folder).iter().filter_map(|path| width(path)).max();
    width(path) < widest
}
