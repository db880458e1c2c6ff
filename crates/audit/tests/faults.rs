//! Crashes and failing disks, with real system calls: this program runs itself under `strace`, which
//! kills it, or lets a call fail or hang, at a chosen one.
//!
//! Whatever happens: what was acknowledged is recorded, the log opens again, and it verifies, before
//! that and after.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use audit::{
    Check, Clock, Condition, ContentError, ContentOptions, ContentStore, Durability, Entry, Kind,
    Leaf, Log, LogError, Options, verify, verify_dir,
};
use bytes::Bytes;
use uuid::Uuid;

mod world;
use world::{ANN, BOB, Keys, RealClock, World, note, numbers, quick_options, signer};

/// Runs as a test of its own, and as the child of the others.
#[test]
fn a_workload_is_recorded_as_acknowledged() {
    match std::env::var_os(DIR) {
        Some(dir) => {
            let acks = std::env::var_os(ACKS).map(|path| UnixStream::connect(path).unwrap());
            workload(Path::new(&dir), acks.unwrap());
        }
        None => {
            let run = Run::new().child(&[]);
            assert!(run.status_ok, "{}", run.output);
            assert_eq!(run.acks, (0..APPENDS).collect());
            run.check();
        }
    }
}

#[test]
fn h148_a_kill_at_any_call_loses_nothing_that_was_acknowledged() {
    // Each thread counts for itself, so the same number is another moment in each of them.
    let points: Vec<(&str, u32)> = [
        ("pwrite64", vec![1, 2, 3, 5, 9, 14, 20, 27]),
        ("write", vec![1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 26, 33, 41]),
        ("rename", vec![1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 26, 33, 41]),
        ("fdatasync", vec![1, 2, 4, 7, 11]),
        ("fsync", vec![1, 2, 3]),
        ("syncfs", vec![1, 2, 3, 4, 5, 6, 7, 8]),
        ("unlink", vec![1, 2, 3, 4, 6]),
        ("fallocate", vec![1, 2]),
        ("mkdir", vec![1, 2, 3, 4, 5, 6, 7]),
    ]
    .into_iter()
    .flat_map(|(call, counts)| counts.into_iter().map(move |count| (call, count)))
    .collect();
    let killed = in_parallel(points, |(call, count)| {
        // As callers write, and every other time as the writer does.
        let run = if count % 2 == 0 { Run::handed() } else { Run::new() };
        let run = run.strace(&format!("{call}:signal=KILL:when={count}"));
        run.check();
        u32::from(!run.status_ok)
    });
    // A point that no thread reaches is no test; most must be.
    assert!(killed.iter().sum::<u32>() >= 40, "{killed:?}");
}

#[test]
fn h148_a_kill_during_recovery_loses_nothing_either() {
    let points: Vec<(&str, u32)> =
        [("rename", 5), ("write", 5), ("syncfs", 4), ("unlink", 3), ("mkdir", 1)]
            .into_iter()
            .flat_map(|(call, most)| (1..=most).map(move |count| (call, count)))
            .collect();
    in_parallel(points, |(call, count)| {
        let mut run = Run::new().strace("pwrite64:signal=KILL:when=14");
        run = run.strace(&format!("{call}:signal=KILL:when={count}"));
        run.is_repeated = true;
        run.check();
    });
}

#[test]
fn h149_a_failed_sync_or_write_is_made_good_elsewhere() {
    let faults = [
        "fdatasync:error=EIO:when=1",
        "fdatasync:error=EIO:when=3",
        "fdatasync:error=EIO:when=2+2",
        "pwrite64:error=EIO:when=4",
        "pwrite64:error=EIO:when=4..5",
        "syncfs:error=EIO:when=3",
        "syncfs:error=EIO:when=2..4",
        "rename:error=EIO:when=5..7",
    ];
    in_parallel(faults.to_vec(), |fault| {
        let run = Run::new().strace(fault);
        // A start may be refused by the failing call; then what was acknowledged still holds.
        assert!(run.status_ok || run.output.contains("could not open"), "{fault}: {}", run.output);
        run.check();
    });
}

/// The kernel forgets what it could not write: the failed segment may hold nothing of it later.
#[test]
fn h149_what_a_failed_sync_may_have_lost_stands_elsewhere() {
    let mut run = Run::handed();
    run.is_roomy = true;
    let log = run.world.root().join("trace");
    let run = run.child(&[
        "strace".into(),
        "-fqqyo".into(),
        log.clone().into(),
        "-etrace=fdatasync,pwrite64".into(),
        "-einject=fdatasync:error=EIO:when=1".into(),
        "-einject=pwrite64:signal=KILL:when=18".into(),
    ]);
    assert!(!run.status_ok && run.acks.len() > 5, "{}", run.output);
    let trace = std::fs::read_to_string(log).unwrap();
    assert!(trace.contains("EIO"), "{trace}");
    // A call that others interrupt has its result on a line of its own, without the path; but it is
    // the first call of its thread that fails.
    let is_sync = |line: &&str| line.contains("fdatasync(") && line.contains(".seg>");
    let failed = trace.lines().find(is_sync).unwrap();
    let path = failed.split(['<', '>']).nth(1).unwrap();
    let syncs = trace.lines().filter(is_sync).filter(|line| line.contains(path));
    assert_eq!(syncs.count(), 1, "never asked again: {trace}");
    let header = 28;
    std::fs::File::options().write(true).open(path).unwrap().set_len(header).unwrap();
    run.check();
}

#[test]
fn h148_a_disk_that_is_full_for_a_moment_refuses_and_recovers() {
    in_parallel(vec!["pwrite64:error=ENOSPC:when=6", "pwrite64:error=ENOSPC:when=6..8"], |fault| {
        let run = Run::handed().strace(fault);
        assert!(run.status_ok, "{fault}: {}", run.output);
        assert_eq!(run.acks, (0..APPENDS).collect(), "{fault}");
        assert!(run.errors.contains("Full"), "{fault}: {}", run.errors);
        run.check();
    });
}

/// What goes wrong for a caller that writes for itself is left to the writer, which tries again.
#[test]
fn h148_a_caller_that_finds_the_disk_full_hands_its_record_over() {
    let faults = ["pwrite64:error=ENOSPC:when=6", "pwrite64:error=EIO:when=3..5"];
    in_parallel(faults.to_vec(), |fault| {
        let run = Run::new().strace(fault);
        assert!(run.status_ok, "{fault}: {}", run.output);
        assert_eq!(run.acks, (0..APPENDS).collect(), "{fault}");
        run.check();
    });
}

#[test]
fn h150_a_disk_that_hangs_ends_waits_at_the_deadline_and_recovers() {
    in_parallel(
        vec!["fdatasync:delay_enter=3000000:when=3", "pwrite64:delay_enter=3000000:when=8"],
        |fault| {
            let run = Run::handed().strace(fault);
            assert!(run.status_ok, "{fault}: {}", run.output);
            assert_eq!(run.acks, (0..APPENDS).collect(), "{fault}");
            assert!(run.errors.contains("Deadline"), "{fault}: {}", run.errors);
            assert!(run.longest < Duration::from_secs(2), "{fault}: {:?}", run.longest);
            run.check();
        },
    );
}

/// On a real file system without space. The mount is seen by the child only.
#[test]
fn h148_a_full_disk_refuses_calls_records_cutoffs_and_recovers() {
    if let Some(dir) = std::env::var_os(FULL_DIR) {
        return fill_and_recover(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let script = "mount -t tmpfs -o size=8m tmpfs \"$1\" && shift && exec \"$@\"";
    let output = Command::new("unshare")
        .args([if is_root { "-m" } else { "-rm" }, "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "h148_a_full_disk_refuses_calls_records_cutoffs_and_recovers"])
        .env(FULL_DIR, dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// Two lives of a log; each record is tried until it is acknowledged.
fn workload(dir: &Path, mut acks: UnixStream) {
    let clock = RealClock::new();
    for life in 0..2 {
        let log = Log::open(tight_options(dir), signer(), Arc::new(RealClock::new()))
            .unwrap_or_else(|error| panic!("could not open: {error:?}"));
        let store = open_store(dir).unwrap_or_else(|error| panic!("could not open: {error:?}"));
        for n in life * APPENDS / 2..(life + 1) * APPENDS / 2 {
            let durability = if n % 4 == 3 { Durability::Synced } else { Durability::Written };
            let began = clock.monotonic();
            loop {
                let asked = clock.monotonic();
                assert!(asked - began < Duration::from_secs(20), "record {n} is never taken");
                let workspace = if n % 3 == 0 { BOB } else { ANN };
                let result = entry(&store, workspace, n, durability)
                    .and_then(|entry| log.write(entry, durability).wait());
                let took = (clock.monotonic() - asked).as_millis();
                let line = match result {
                    Ok(_) => format!("ack {n} {took}\n"),
                    Err(error) => format!("err {error:?} {took}\n"),
                };
                // In one call, so that a kill leaves no half of it.
                acks.write_all(line.as_bytes()).unwrap();
                if result.is_ok() {
                    break;
                }
                std::thread::yield_now();
            }
        }
        log.close().unwrap();
    }
}

/// Every fifth has content, which is stored before the record that speaks of it.
fn entry(
    store: &ContentStore,
    workspace: Uuid,
    n: u64,
    durability: Durability,
) -> Result<Entry, LogError> {
    let id = Uuid::from_u128(u128::from(n));
    let mut leaf = Leaf::new(Kind::Intent).call(id).u64("number", n);
    if n.is_multiple_of(5) {
        let parts = [Bytes::from(vec![b'x'; 700])];
        let (place, durable) =
            store.append(workspace, id, &parts, durability).map_err(|error| match error {
                ContentError::Log(error) => error,
                other => panic!("{other:?}"),
            })?;
        durable.wait()?;
        leaf = leaf.content("content", &place);
    }
    Ok(Entry { workspace, kind: Kind::Intent, leaf: leaf.finish() })
}

/// Beside the log.
fn open_store(log: &Path) -> std::io::Result<ContentStore> {
    let options = ContentOptions {
        segment_bytes: 2_000,
        deadline: Duration::from_millis(250),
        sync_every: Duration::from_millis(3),
        callers_write: std::env::var_os(HANDED).is_none(),
        ..ContentOptions::new(log.with_file_name("content"))
    };
    ContentStore::open(options, Arc::new(Keys::new()), Arc::new(RealClock::new()))
}

fn fill_and_recover(dir: &Path) {
    let log_dir = dir.join("log");
    let log = Log::open(quick_options(&log_dir), signer(), Arc::new(RealClock::new())).unwrap();
    let call = |n| log.append_blocking(note(ANN, n), Durability::Written);
    let cutoff = |n: u64| {
        let leaf = Leaf::new(Kind::Admin).str("event", "cutoff").u64("number", n).finish();
        let entry = Entry { workspace: ANN, kind: Kind::Admin, leaf };
        log.append_blocking(entry, Durability::Synced)
    };
    let mut acknowledged: BTreeSet<u64> = (0..10).collect();
    (0..10).for_each(|n| assert!(call(n).is_ok()));

    let filler = dir.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
    // Many at once, of which the last page takes some: those are there, and not one more.
    let appends: Vec<_> =
        (10..500).map(|n| (n, log.append(note(ANN, n), Durability::Written))).collect();
    for (n, append) in appends {
        match append.wait() {
            Ok(_) => drop(acknowledged.insert(n)),
            Err(error) => assert_eq!(error, LogError::Full),
        }
    }
    assert!(acknowledged.len() < 400);
    assert_eq!(log.health().condition, Condition::Refusing { reason: LogError::Full });
    assert_eq!(call(500), Err(LogError::Full));
    let report = verify_dir(&log_dir, &signer().verifier_keys()).unwrap();
    assert_eq!(report.problems, []);
    let held = report.workspaces[0].size + report.workspaces[0].unsequenced;
    assert_eq!(held, acknowledged.len() as u64);
    for n in 1_000..1_100 {
        cutoff(n).unwrap();
        acknowledged.insert(n);
    }

    drop(file);
    std::fs::remove_file(filler).unwrap();
    let clock = RealClock::new();
    while call(2_000).is_err() {
        assert!(clock.monotonic() < Duration::from_secs(20), "no recovery");
        std::thread::yield_now();
    }
    acknowledged.insert(2_000);
    assert_eq!(log.health().condition, Condition::Ok);
    log.close().unwrap();
    assert_eq!(verify_dir(&log_dir, &signer().verifier_keys()).unwrap().problems, []);
    let log = Log::open(quick_options(&log_dir), signer(), Arc::new(RealClock::new())).unwrap();
    let recorded: BTreeSet<u64> = numbers(&log, ANN).into_iter().collect();
    assert_eq!(recorded, acknowledged, "nothing that was refused is there either");
}

/// Small segments and a short deadline, so that little work meets every path.
fn tight_options(dir: &Path) -> Options {
    let segment_bytes = std::env::var_os(SEGMENT).and_then(|it| it.to_str()?.parse().ok());
    Options {
        segment_bytes: segment_bytes.unwrap_or(2_000),
        deadline: Duration::from_millis(250),
        sync_every: Duration::from_millis(3),
        callers_write: std::env::var_os(HANDED).is_none(),
        ..quick_options(dir)
    }
}

/// A child and what it has left.
struct Run {
    world: World,
    status_ok: bool,
    output: String,
    acks: BTreeSet<u64>,
    errors: String,
    longest: Duration,
    /// The workload was begun again, so that numbers may be recorded twice.
    is_repeated: bool,
    /// Segments large enough for the whole workload.
    is_roomy: bool,
    /// Everything goes through the writer.
    is_handed: bool,
}

impl Run {
    fn handed() -> Self {
        Self { is_handed: true, ..Self::new() }
    }

    fn new() -> Self {
        Self {
            world: World::new(),
            status_ok: false,
            output: String::new(),
            acks: BTreeSet::new(),
            errors: String::new(),
            longest: Duration::ZERO,
            is_repeated: false,
            is_roomy: false,
            is_handed: false,
        }
    }

    fn strace(self, inject: &str) -> Self {
        let call = inject.split(':').next().unwrap();
        let trace = format!("trace={call}");
        let inject = format!("inject={inject}");
        let args = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        self.child(&args.map(OsString::from))
    }

    /// Runs the workload, under `tracer` if any, until it ends one way or the other.
    fn child(mut self, tracer: &[OsString]) -> Self {
        let socket = self.world.root().join("acks");
        drop(std::fs::remove_file(&socket));
        let listener = UnixListener::bind(&socket).unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text
        });
        let exe = std::env::current_exe().unwrap().into_os_string();
        let mut words = tracer.iter().cloned().chain([exe]);
        let mut command = Command::new(words.next().unwrap());
        if self.is_handed {
            command.env(HANDED, "");
        }
        let output = command
            .args(words)
            .args(["--exact", "a_workload_is_recorded_as_acknowledged", "--test-threads=1"])
            .env(DIR, self.world.dir())
            .env(ACKS, &socket)
            .env(SEGMENT, if self.is_roomy { "1000000" } else { "2000" })
            .output()
            .expect("strace is needed for this test: apt-get install strace");
        // Ends the reader if the child never came that far.
        drop(UnixStream::connect(&socket));
        for line in reader.join().unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ack", n, _] => drop(self.acks.insert(n.parse().unwrap())),
                ["err", error, _] => self.errors.push_str(error),
                _ => panic!("{line}"),
            }
            let took = Duration::from_millis(words[2].parse().unwrap());
            self.longest = self.longest.max(took);
        }
        self.status_ok = output.status.success();
        self.output = text(&output);
        self
    }

    /// Before the next start, after it, and after its end the log verifies, and holds what was
    /// acknowledged.
    fn check(&self) {
        let dir = self.world.dir();
        if !dir.exists() {
            return assert_eq!(self.acks, BTreeSet::new());
        }
        let content = dir.with_file_name("content");
        let keys = Keys::new();
        let verify = |when: &str| {
            let report = verify(&Check {
                dir: Some(&dir),
                keys: &self.world.keys(),
                content: content.exists().then_some(content.as_path()),
                data_keys: Some(&keys),
                ..Check::default()
            })
            .unwrap();
            assert_eq!(report.problems, [], "{when}\n{}\n{:?}", self.output, tree(&dir));
        };
        verify("after the crash");
        let log = self.world.open();
        open_store(&dir).unwrap().close().unwrap();
        verify("after the start");
        let mut recorded = numbers(&log, ANN);
        recorded.extend(numbers(&log, BOB));
        let unique: BTreeSet<u64> = recorded.iter().copied().collect();
        if self.errors.is_empty() && !self.is_repeated {
            assert_eq!(unique.len(), recorded.len(), "recorded twice: {recorded:?}");
        }
        let lost: Vec<_> = self.acks.difference(&unique).collect();
        assert!(lost.is_empty(), "lost {lost:?}\n{}", self.output);
        assert_eq!(log.recovery().missing, 0);
        log.append_blocking(note(ANN, 1_000_000), Durability::Synced).unwrap();
        log.close().unwrap();
        verify("after the end");
    }
}

/// On two threads: the machine is shared.
fn in_parallel<T: Send + Clone, R: Send>(items: Vec<T>, run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (front, back) = items.split_at(items.len() / 2);
    std::thread::scope(|scope| {
        let half = |items: &[T]| {
            let items = items.to_vec();
            let run = &run;
            scope.spawn(move || items.into_iter().map(run).collect::<Vec<R>>())
        };
        let halves = [half(front), half(back)];
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    })
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n")
}

/// All files, to understand a failure.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(dir).unwrap().map(|item| item.unwrap().path());
    items.flat_map(|path| if path.is_dir() { tree(&path) } else { vec![path] }).collect()
}

const APPENDS: u64 = 40;
const DIR: &str = "AUDIT_FAULT_DIR";
const ACKS: &str = "AUDIT_FAULT_ACKS";
const SEGMENT: &str = "AUDIT_FAULT_SEGMENT";
const HANDED: &str = "AUDIT_FAULT_HANDED";
const FULL_DIR: &str = "AUDIT_FAULT_FULL_DIR";
