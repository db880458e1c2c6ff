//! How many records a second the log takes: `cargo run -p audit --release --example append_rate`.
//!
//! 64 tasks on two threads append records of a usual size and wait for each. A folder may be given
//! as an argument; then the log stays there.
#![expect(clippy::print_stdout, reason = "this is a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audit::{Clock, Durability, Entry, Kind, Leaf, Log, Options, Signer, verify_dir};
use uuid::Uuid;

const TASKS: u64 = 64;
const RUN: Duration = Duration::from_secs(4);

struct RealClock(Instant);

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1);
    let dir = given.as_deref().map_or(temporary.path(), Path::new);
    let signer = || Signer::from_seed("audit.example", &[7; 32]);
    for (name, durability, workspaces) in [
        ("written", Durability::Written, 1),
        ("written, 16 workspaces", Durability::Written, 16),
        ("synced", Durability::Synced, 1),
    ] {
        let dir = dir.join(name.replace([',', ' '], "_"));
        let log = Log::open(Options::new(&dir), signer(), clock())?;
        run(&log, name, durability, workspaces)?;
        let cost = hot_path(&log);
        let closing = clock();
        log.close()?;
        println!("  appending costs the caller {cost:?}, closing took {:?}", closing.monotonic());
        let checking = clock();
        let report = verify_dir(&dir, &signer().verifier_keys())?;
        let sizes: u64 = report.workspaces.iter().map(|one| one.size).sum();
        println!(
            "  verified {sizes} entries in {:?}, {} problems",
            checking.monotonic(),
            report.problems.len()
        );
    }
    Ok(())
}

fn run(
    log: &Log,
    name: &str,
    durability: Durability,
    workspaces: u64,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let done = Arc::new(AtomicU64::new(0));
    let waited_us = Arc::new(AtomicU64::new(0));
    let began = clock();
    let cpu = cpu_time();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (log, done) = (log.clone(), Arc::clone(&done));
            let (began, waited_us) = (Arc::clone(&began), Arc::clone(&waited_us));
            tasks.spawn(async move {
                let mut n = task;
                while began.monotonic() < RUN {
                    let asked = began.monotonic();
                    log.append(record(n, n % workspaces), durability).await?;
                    let waited = (began.monotonic() - asked).as_micros();
                    waited_us.fetch_add(u64::try_from(waited).unwrap_or(0), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                    n += TASKS;
                }
                Ok::<(), audit::LogError>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok::<(), Box<dyn Error>>(())
    })?;
    let seconds = began.monotonic().as_secs_f64();
    let done = done.load(Ordering::Relaxed);
    let waited = waited_us.load(Ordering::Relaxed) / done.max(1);
    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
    let rate = done as f64 / seconds;
    let cores = (cpu_time() - cpu).as_secs_f64() / seconds;
    println!("{name}: {rate:.0} records/s, {waited} us each, {cores:.2} cores in all");
    println!("  last sync took {:?}", log.health().last_sync);
    Ok(())
}

/// What one append costs its caller, without waiting.
fn hot_path(log: &Log) -> Duration {
    const APPENDS: u32 = 20_000;
    let records: Vec<Entry> = (0..APPENDS).map(|n| record(u64::from(n), 0)).collect();
    let began = clock();
    for entry in records {
        drop(log.append(entry, Durability::Written));
    }
    began.monotonic() / APPENDS
}

/// As many members as a call's intent has.
fn record(n: u64, workspace: u64) -> Entry {
    let leaf = Leaf::new(Kind::Intent)
        .call(Uuid::from_u128(u128::from(n)))
        .str("user", "ann@example.com")
        .str("app", "claude-desktop")
        .uuid("connection", Uuid::from_u128(0xabc))
        .str("gateway", "engineering")
        .str("server", "jira")
        .str("method", "tools/call")
        .str("name", "jira.search_issues")
        .str("decision", "allow")
        .str("rule", "everyone-may-read")
        .u64("epoch", 1_234)
        .u64("request_bytes", 612)
        .hex("digest", &[7; 32])
        .str("trace", "4bf92f3577b34da6a3ce929d0e0e4736")
        .finish();
    Entry { workspace: Uuid::from_u128(u128::from(workspace) + 1), kind: Kind::Intent, leaf }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn clock() -> Arc<RealClock> {
    Arc::new(RealClock(Instant::now()))
}

/// Processor time of the whole process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
