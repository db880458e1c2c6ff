//! How long the gate takes on PostgreSQL, with so many calls at once.
//!
//! `OSTIARY_TEST_POSTGRES=… cargo run --release -p control --example gate_rate`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures the real time")]
#![expect(clippy::unwrap_used, reason = "without a database there is nothing to measure")]

mod clock;

use std::sync::Arc;
use std::time::Instant;

use audit::{Log, Options, Signer};
use clock::RealClock;
use control::{Control, ControlOptions};
use tokio_util::task::TaskTracker;
use vault::{MasterKey, Vault};

#[tokio::main(worker_threads = 2)]
async fn main() {
    let clock = Arc::new(RealClock::new());
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::from_seed("gate", &[1; 32]);
    let log =
        Log::open(Options::new(folder.path()), signer, Arc::<RealClock>::clone(&clock)).unwrap();
    for fresh in db::testing::databases().await {
        let options = ControlOptions {
            db: fresh.db.clone(),
            vault: Arc::new(Vault::new(MasterKey::generate().unwrap(), 1)),
            log: log.clone(),
            clock: Arc::<RealClock>::clone(&clock),
            counters: None,
            allow_loopback: false,
            is_secure: false,
            serving: None,
        };
        let control = Control::open(options).await.unwrap();
        let name = if fresh.db.is_exclusive() { "sqlite" } else { "postgres" };
        for concurrent in [1, 64, 512] {
            measure(name, &control, concurrent).await;
        }
    }
}

async fn measure(name: &str, control: &Control, concurrent: usize) {
    let tasks = TaskTracker::new();
    let each = 100_000 / concurrent;
    let started = Instant::now();
    let workers: Vec<_> = (0..concurrent)
        .map(|_| {
            let gate = control.gate();
            tasks.spawn(async move {
                let mut taken = Vec::with_capacity(each);
                for _ in 0..each {
                    let asked = Instant::now();
                    gate.current().await.unwrap();
                    taken.push(asked.elapsed());
                    tokio::task::yield_now().await;
                }
                taken
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    let rate = all.len() as f64 / started.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |percent: usize| all[all.len() * percent / 100];
    println!("{name} {concurrent:>4} at once: {rate:>9.0}/s, p50 {:?}, p99 {:?}", at(50), at(99));
}
