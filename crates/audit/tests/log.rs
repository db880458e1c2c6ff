//! What the log promises to those who append, through its front door.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{
    Condition, Durability, Entry, Kind, Leaf, Live, Log, LogError, OpenError, ProveError, Receipt,
    Record, Signer, VerifierKey, verify_consistency, verify_proof,
};
use uuid::Uuid;

mod world;
use world::{ANN, BOB, RealClock, World, note};

#[test]
fn a_record_gets_its_receipt_its_place_and_its_proof() {
    let world = World::new();
    let log = world.open();
    assert_eq!(log.append_blocking(note(ANN, 1), Durability::Written), Ok(Receipt { sequence: 1 }));
    assert_eq!(log.append_blocking(note(BOB, 2), Durability::Synced), Ok(Receipt { sequence: 2 }));
    assert_eq!(log.append_blocking(note(ANN, 3), Durability::Synced), Ok(Receipt { sequence: 3 }));
    world.wait_for(&log, ANN, 2);
    world.wait_for(&log, BOB, 1);

    let proof = log.prove(ANN, 1).unwrap();
    let proven = verify_proof(&proof.text, &world.keys()).unwrap();
    assert_eq!((proven.index, proven.checkpoint.size), (1, 2));
    assert_eq!(proven.checkpoint.workspace(), Some(ANN));
    let record = Record::parse(&proven.entry).unwrap();
    assert_eq!((record.sequence, record.workspace, record.kind), (3, ANN, Kind::Intent));
    assert_eq!(record.leaf, note(ANN, 3).leaf);
    assert!(matches!(log.prove(ANN, 2), Err(ProveError::NotYet { size: 2 })));
    assert!(matches!(log.prove(Uuid::nil(), 0), Err(ProveError::NotYet { size: 0 })));
    log.close().unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_once_and_in_order() {
    let world = World::new();
    for run in 0..3u64 {
        let log = world.open();
        for n in 0..300 {
            let durability = if n % 100 == 0 { Durability::Synced } else { Durability::Written };
            let receipt = log.append_blocking(note(ANN, run * 300 + n), durability).unwrap();
            assert_eq!(receipt.sequence, run * 300 + n + 1);
        }
        log.close().unwrap();
    }
    let log = world.open();
    assert_eq!(world.numbers(&log, ANN), (0..900).collect::<Vec<_>>());
    let head = log.checkpoint(ANN).unwrap();
    assert_eq!(head.size, 900);
    assert_eq!(log.recovery().missing, 0);
}

#[test]
fn checkpoints_of_all_sizes_are_consistent() {
    let world = World::new();
    let log = world.open();
    let mut heads = vec![];
    for n in 0..40 {
        log.append_blocking(note(ANN, n), Durability::Synced).unwrap();
        world.wait_for(&log, ANN, n + 1);
        heads.push(log.checkpoint(ANN).unwrap());
    }
    for old in &heads {
        let (proof, new) = log.prove_consistency(ANN, old.size).unwrap();
        assert_eq!(
            verify_consistency((old.size, &old.root), (new.size, &new.root), &proof),
            Ok(())
        );
    }
    assert!(matches!(log.prove_consistency(ANN, 41), Err(ProveError::NotYet { size: 40 })));
    for (at, new) in heads.iter().enumerate() {
        for old in &heads[..=at] {
            let (before, after) = ((old.size, &old.root), (new.size, &new.root));
            let proof = log.prove_growth(ANN, (old.size, new.size)).unwrap();
            assert_eq!(verify_consistency(before, after, &proof), Ok(()));
        }
    }
    let beyond = log.prove_growth(ANN, (3, 41));
    assert!(matches!(beyond, Err(ProveError::NotYet { size: 40 })));
}

#[test]
fn many_writers_get_receipts_of_their_own() {
    let world = World::new();
    let log = world.open();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let log = log.clone();
            std::thread::spawn(move || -> Vec<u64> {
                let appends: Vec<_> = (0..500)
                    .map(|n| log.append(note(ANN, writer * 500 + n), Durability::Written))
                    .collect();
                appends.into_iter().map(|append| append.wait().unwrap().sequence).collect()
            })
        })
        .collect();
    let mut sequences = vec![];
    for writer in writers {
        let own = writer.join().unwrap();
        assert!(own.is_sorted(), "one writer's records keep their order");
        sequences.extend(own);
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=4_000).collect::<Vec<_>>());
    log.close().unwrap();
    let log = world.open();
    let mut numbers = world.numbers(&log, ANN);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4_000).collect::<Vec<_>>());
}

#[test]
fn a_dropped_future_leaves_its_record() {
    let world = World::new();
    let log = world.open();
    drop(log.append(note(ANN, 1), Durability::Written));
    log.close().unwrap();
    assert_eq!(world.numbers(&world.open(), ANN), [1]);
}

#[test]
fn segments_roll_and_go_when_their_records_are_in_the_tree() {
    let world = World::new();
    let mut options = world.options();
    options.segment_bytes = 4_096;
    let log = world.open_with(options);
    for n in 0..500 {
        log.append_blocking(note(ANN, n), Durability::Written).unwrap();
    }
    log.close().unwrap();
    let left: Vec<_> = std::fs::read_dir(world.dir().join("segment"))
        .unwrap()
        .map(|item| item.unwrap().file_name())
        .collect();
    assert_eq!(left, ["reserve"]);
    assert_eq!(world.numbers(&world.open(), ANN), (0..500).collect::<Vec<_>>());
}

#[test]
fn the_tail_shows_a_record_at_once_and_its_index_soon() {
    let world = World::new();
    let log = world.open();
    let mut live = log.subscribe(ANN);
    log.append_blocking(note(BOB, 6), Durability::Written).unwrap();
    log.append_blocking(note(ANN, 7), Durability::Written).unwrap();
    let tail = log.tail(ANN, 10);
    assert_eq!(tail.len(), 1);
    assert_eq!((tail[0].sequence, tail[0].kind), (2, Kind::Intent));
    assert_eq!(tail[0].text.as_bytes(), note(ANN, 7).leaf);
    let Some(Live::Entry(entry)) = live.try_next() else { panic!("no entry") };
    assert_eq!((entry.sequence, entry.index), (2, None));
    assert_eq!(live.try_next(), None, "what others write is not theirs to see");
    world.wait_for(&log, ANN, 1);
    assert_eq!(log.tail(ANN, 10)[0].index, Some(0));

    for n in 0..1_500 {
        drop(log.append(note(ANN, n), Durability::Written));
    }
    log.append_blocking(note(ANN, 1_500), Durability::Written).unwrap();
    assert_eq!(log.tail(ANN, 5_000).len(), 1_000);
    assert_eq!(log.tail(ANN, 2).len(), 2);
    assert_eq!(log.tail(BOB, 2).len(), 1);
    log.close().unwrap();
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_of_its_own_it_missed() {
    let world = World::new();
    let log = world.open();
    let mut live = log.subscribe(ANN);
    let mut other = log.subscribe(BOB);
    for n in 0..5_000 {
        drop(log.append(note(ANN, n), Durability::Written));
        if n % 5 == 0 {
            drop(log.append(note(BOB, n), Durability::Written));
        }
    }
    log.append(note(ANN, 5_000), Durability::Written).await.unwrap();
    let Some(Live::Missed(missed)) = live.next().await else { panic!("nothing was missed") };
    let mut seen = 0;
    log.close().unwrap();
    while let Some(next) = live.next().await {
        assert!(matches!(next, Live::Entry(_)));
        seen += 1;
    }
    assert_eq!(missed + seen, 5_001);
    let mut others = 0;
    while let Some(next) = other.next().await {
        assert!(matches!(next, Live::Entry(_)), "nobody is slower for what others write: {next:?}");
        others += 1;
    }
    assert_eq!(others, 1_000);
}

#[test]
fn too_long_leaves_and_a_closed_log_are_refused() {
    let world = World::new();
    let log = world.open();
    let long = |len| Entry { workspace: ANN, kind: Kind::Admin, leaf: vec![b'x'; len] };
    let append = |entry| log.append_blocking(entry, Durability::Written);
    assert_eq!(append(long(audit::MAX_LEAF + 1)), Err(LogError::TooLarge));
    assert_eq!(append(long(audit::MAX_LEAF)), Ok(Receipt { sequence: 1 }));
    log.clone().close().unwrap();
    assert_eq!(append(long(1)), Err(LogError::Closed));
    assert_eq!(log.health().condition, Condition::Refusing { reason: LogError::Closed });
}

#[test]
fn one_process_at_a_time_and_only_with_the_right_key() {
    let world = World::new();
    let log = world.open();
    log.append_blocking(note(ANN, 1), Durability::Written).unwrap();
    assert!(matches!(world.try_open(world.signer()), Err(OpenError::InUse { .. })));
    log.close().unwrap();
    let other = Signer::from_seed("audit.example", &[8; 32]);
    assert!(matches!(world.try_open(other), Err(OpenError::ForeignKey { workspace: ANN })));
}

#[test]
fn h155_the_log_goes_on_with_a_new_key_while_the_old_one_signs_too() {
    let world = World::new();
    let log = world.open();
    log.append_blocking(note(ANN, 1), Durability::Written).unwrap();
    log.close().unwrap();
    let new = || Signer::from_seed("audit.example", &[8; 32]);
    let log = world.try_open(new().and_seed(&[7; 32])).unwrap();
    log.append_blocking(note(ANN, 2), Durability::Written).unwrap();
    world.wait_for(&log, ANN, 2);
    let proof = log.prove(ANN, 0).unwrap();
    assert!(verify_proof(&proof.text, &world.keys()).is_ok());
    assert!(verify_proof(&proof.text, &new().verifier_keys()).is_ok());
    log.close().unwrap();
    // Both have signed the last checkpoint, so the old one can go now.
    world.try_open(new()).unwrap().close().unwrap();
}

#[test]
fn h155_a_log_whose_key_was_lost_goes_on_under_a_new_one() {
    let world = World::new();
    let log = world.open();
    log.append_blocking(note(ANN, 1), Durability::Written).unwrap();
    log.append_blocking(note(BOB, 2), Durability::Written).unwrap();
    log.close().unwrap();
    let new = || Signer::from_seed("audit.example", &[8; 32]);
    assert!(matches!(world.try_open(new()), Err(OpenError::ForeignKey { .. })));
    let log = world.try_open(new().and_trust(world.keys().remove(0))).unwrap();
    log.append_blocking(note(ANN, 3), Durability::Written).unwrap();
    log.close().unwrap();
    let report = audit::verify_dir(&world.dir(), &new().verifier_keys()).unwrap();
    assert_eq!(report.problems, []);
    world.try_open(new()).unwrap().close().unwrap();
}

#[test]
fn h155_times_never_go_back_even_across_a_restart() {
    let world = World::new();
    let hour = 3_600_000;
    for now in [10 * hour, 9 * hour] {
        let options = world.options();
        let clock = Arc::new(RealClock::standing_at(now));
        let log = Log::open(options, world.signer(), clock).unwrap();
        log.append_blocking(note(ANN, 0), Durability::Written).unwrap();
        log.close().unwrap();
    }
    let log = world.open();
    let entries = log.entries(ANN, 0, 10).unwrap();
    let times: Vec<_> = entries.iter().map(|entry| (entry.time_ms, entry.clock_suspect)).collect();
    assert_eq!(times, [(10 * hour, false), (10 * hour, true)]);
}

#[test]
fn a_log_that_would_contradict_its_checkpoint_is_not_opened() {
    let world = World::new();
    let log = world.open();
    log.append_blocking(note(ANN, 1), Durability::Written).unwrap();
    log.close().unwrap();
    let checkpoint = world.dir().join(ANN.to_string()).join("checkpoint");
    let own = std::fs::read(&checkpoint).unwrap();
    // Over another record, and over records that are no longer there.
    for (size, root) in [(1, [9; 32]), (5, [9; 32])] {
        std::fs::write(&checkpoint, world.signer().sign(ANN, size, root).text).unwrap();
        let refused = world.try_open(world.signer());
        assert!(matches!(refused, Err(OpenError::Contradiction { workspace: ANN })), "{size}");
    }
    std::fs::write(&checkpoint, own).unwrap();
    world.open().close().unwrap();
}

#[test]
fn no_checkpoint_speaks_of_what_is_not_on_disk() {
    let world = World::new();
    let mut options = world.options();
    options.sync_every = Duration::from_secs(60);
    options.checkpoint_every = Duration::from_millis(1);
    let log = world.open_with(options);
    for n in 0..500 {
        log.append_blocking(note(ANN, n), Durability::Written).unwrap();
    }
    assert_eq!(log.checkpoint(ANN), None);
    log.append_blocking(note(ANN, 500), Durability::Synced).unwrap();
    world.wait_for(&log, ANN, 501);
}

#[test]
fn what_the_sequencer_cannot_keep_in_memory_it_reads_back() {
    let world = World::new();
    let mut options = world.options();
    options.queue_bytes = 8_000;
    options.segment_bytes = 30_000;
    options.checkpoint_every = Duration::from_millis(150);
    let log = world.open_with(options);
    for n in 0..400 {
        let durability = if n % 5 == 0 { Durability::Synced } else { Durability::Written };
        log.append_blocking(note(ANN, n), durability).unwrap();
    }
    world.wait_for(&log, ANN, 400);
    assert_eq!(world.numbers(&log, ANN), (0..400).collect::<Vec<_>>());
    log.close().unwrap();
    let report = audit::verify_dir(&world.dir(), &world.keys()).unwrap();
    assert_eq!((report.problems.len(), report.workspaces[0].size), (0, 400));
}

/// What the kernel had not yet written is gone or garbage: every file since the last note of what
/// is on disk, but for the segments, which were synced.
#[test]
fn after_a_loss_of_power_the_tree_is_made_again_as_it_was_published() {
    let world = World::new();
    let append = |log: &Log, numbers: std::ops::Range<u64>| {
        for n in numbers.clone() {
            let durability =
                if n + 1 == numbers.end { Durability::Synced } else { Durability::Written };
            log.append_blocking(note(ANN, n), durability).unwrap();
        }
        world.wait_for(log, ANN, numbers.end);
    };
    let log = world.open();
    append(&log, 0..300);
    log.close().unwrap();
    let on_disk = files(&world.dir());

    let log = world.open();
    append(&log, 300..700);
    append(&log, 700..710);
    let published = log.checkpoint(ANN).unwrap();
    let lost = World::new();
    for (n, (path, bytes)) in files(&world.dir()).into_iter().enumerate() {
        let is_safe = on_disk.get(&path) == Some(&bytes) || path.starts_with("segment");
        let target = lost.dir().join(&path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        match n % 3 {
            _ if is_safe => std::fs::write(target, &bytes).unwrap(),
            0 => std::fs::write(target, vec![0; bytes.len()]).unwrap(),
            1 => std::fs::write(target, &bytes[..bytes.len() / 2]).unwrap(),
            _ => {}
        }
    }
    let again = lost.open();
    assert_eq!(again.checkpoint(ANN).unwrap(), published);
    assert_eq!(lost.numbers(&again, ANN), (0..710).collect::<Vec<_>>());
    append_one(&again, 710);
    again.close().unwrap();
    let report = audit::verify_dir(&lost.dir(), &lost.keys()).unwrap();
    assert_eq!((report.problems.len(), report.workspaces[0].size), (0, 711));
}

#[test]
fn the_queue_is_bounded() {
    let world = World::new();
    let mut options = world.options();
    options.queue_bytes = 10_000;
    let log = world.open_with(options);
    let entry = Entry { workspace: ANN, kind: Kind::Intent, leaf: vec![b'x'; 9_000] };
    let first = log.append(entry.clone(), Durability::Synced);
    let second = log.append(entry.clone(), Durability::Synced);
    assert_eq!(second.wait(), Err(LogError::Overloaded));
    first.wait().unwrap();
    log.append_blocking(entry, Durability::Synced).unwrap();
}

#[test]
fn the_verifier_key_is_the_one_that_checks() {
    let world = World::new();
    let log = world.open();
    let key: VerifierKey = log.verifier_key().parse().unwrap();
    assert_eq!(vec![key], world.keys());
    let leaf = Leaf::new(Kind::System).str("event", "start").finish();
    log.append_blocking(Entry { workspace: ANN, kind: Kind::System, leaf }, Durability::Synced)
        .unwrap();
    assert!(log.health().records_written == 1 && log.health().last_sync < Duration::from_secs(2));
}

fn append_one(log: &Log, number: u64) {
    log.append_blocking(note(ANN, number), Durability::Synced).unwrap();
}

/// The files below a folder, by their path below it.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(root).unwrap().to_owned();
                found.insert(below, std::fs::read(path).unwrap());
            }
        }
    }
    found
}
