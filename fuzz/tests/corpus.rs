//! Every target, with its corpus and some changes of it: the same ones every time.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fuzz::{Mutator, TARGETS, Target};

/// How many changes of its corpus each target is given.
const CHANGES: usize = 3_000;

#[test]
fn no_target_finds_anything_wrong_with_its_corpus_or_with_changes_of_it() {
    let mut threads = Vec::new();
    for target in TARGETS {
        threads.push((target.name, std::thread::spawn(move || try_out(target))));
    }
    let failed: Vec<_> =
        threads.into_iter().filter_map(|(name, it)| it.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "{failed:?}: the inputs are above");
}

#[test]
fn every_folder_of_the_corpus_is_of_a_target() {
    let mut folders: Vec<_> = std::fs::read_dir(corpus())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, TARGETS.map(|it| it.name));
}

fn try_out(target: Target) {
    let mut inputs: Vec<Vec<u8>> = std::fs::read_dir(corpus().join(target.name))
        .unwrap()
        .map(|it| std::fs::read(it.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "{} has no corpus", target.name);
    inputs.sort();
    inputs.push(Vec::new());
    let mut mutator = Mutator::new(1);
    for number in 0..inputs.len() + CHANGES {
        let input = match inputs.get(number) {
            Some(input) => input.clone(),
            None => mutator.change(&inputs[number % inputs.len()], &inputs),
        };
        give(target, &input);
    }
}

#[expect(clippy::disallowed_methods, reason = "what takes too long has been given too much power")]
fn give(target: Target, input: &[u8]) {
    let began = Instant::now();
    let checked = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let text = String::from_utf8_lossy(input);
    assert!(checked.is_ok(), "{}: {text:?} = {input:?}", target.name);
    assert!(began.elapsed() < LONGEST, "{}: {:?} for {text:?}", target.name, began.elapsed());
}

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// What one input may take on a busy machine. Inputs are a few thousand bytes.
const LONGEST: Duration = Duration::from_secs(5);
