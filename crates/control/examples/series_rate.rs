//! How long charts and the home page take over thirty days of ten million records, told apart by users,
//! gateways, servers and tools. The rows are written here as counting would have left them: by one process
//! on SQLite, by eight on PostgreSQL.
//!
//! `OSTIARY_TEST_POSTGRES=… cargo run --release -p control --example series_rate`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures the real time")]
#![expect(clippy::unwrap_used, reason = "without a database there is nothing to measure")]

mod clock;

use std::sync::Arc;
use std::time::Instant;

use audit::{Log, Options, Signer};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use chrono::Utc;
use clock::RealClock;
use control::{Control, ControlOptions};
use db::{Db, sql};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use uuid::Uuid;
use vault::{MasterKey, Vault};

/// A call is two records.
const CALLS: i64 = 5_000_000;
const DAYS: i64 = 30;
/// For how long minutes are kept.
const MINUTES: i64 = 48 * 60;
/// Combinations that are called within a minute, an hour and a day, of each process.
const IN_A_MINUTE: i64 = 60;
const IN_AN_HOUR: i64 = 120;
const IN_A_DAY: i64 = 480;
const ROUNDS: usize = 40;

/// What is asked for, and of how many days.
const ASKED: [(&str, i64); 11] = [
    ("measure=calls&step=86400", DAYS),
    ("measure=calls&by=tool&step=86400", DAYS),
    ("measure=errors&by=server&step=86400", DAYS),
    ("measure=latency&step=86400", DAYS),
    ("measure=latency&by=tool&step=86400", DAYS),
    ("measure=calls&by=user&step=3600", DAYS),
    ("measure=latency&by=gateway&step=3600", DAYS),
    ("measure=latency&by=tool&step=3600&server=s1", DAYS),
    ("measure=calls&by=tool&step=3600", 1),
    ("measure=calls&by=server&step=1800", 1),
    ("measure=latency&step=1800", 1),
];

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("{} records in {DAYS} days; ms", 2 * CALLS);
    for fresh in db::testing::databases().await {
        let (name, logs) = if fresh.db.is_exclusive() { ("SQLite", 1) } else { ("PostgreSQL", 8) };
        let clock = Arc::new(RealClock::new());
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::from_seed("series", &[1; 32]);
        let log = Log::open(Options::new(folder.path()), signer, Arc::<RealClock>::clone(&clock));
        let options = ControlOptions {
            db: fresh.db.clone(),
            vault: Arc::new(Vault::new(MasterKey::generate().unwrap(), 1)),
            log: log.unwrap(),
            clock,
            counters: None,
            allow_loopback: false,
            is_secure: false,
            serving: None,
        };
        let control = Control::open(options).await.unwrap();
        let workspace = control.gate().current().await.unwrap().config.workspaces["default"].id.0;
        let token = control.first_admin_token().unwrap().expose_text().unwrap().to_owned();
        let rows = fill(&fresh.db, workspace, logs).await;
        println!("\n{name}, {logs} logs, {rows} rows");
        println!("{:<46} {:>8} {:>8} {:>8}", "", "first", "p50", "at most");
        measure(control.router(), &token, "overview", "overview").await;
        for (asked, days) in ASKED {
            let from = (Utc::now() - chrono::Duration::days(days)).format("%Y-%m-%dT%H:%M:%SZ");
            let path = format!("series?{asked}&from={from}");
            measure(control.router(), &token, &path, asked).await;
        }
    }
}

async fn measure(router: Router, token: &str, path: &str, called: &str) {
    let path = format!("/api/v1/workspaces/default/{path}");
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let request = Request::get(&path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let began = Instant::now();
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {status} {}", text.escape_ascii());
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let first = taken[0];
    taken.sort_unstable_by(f64::total_cmp);
    let (half, last) = (taken[ROUNDS / 2], taken[ROUNDS - 1]);
    println!("{called:<46} {first:>8.1} {half:>8.1} {last:>8.1}");
}

/// One bucket: of each log so many combinations.
const FILL: &str = "INSERT INTO series
       (workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome,
        calls, bytes, added, upstream)
     WITH RECURSIVE n (i) AS
       (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $4 * $5)
     SELECT $1, $2, $3, 'log' || (i / $4), 'user' || (i % $4 / 12), 'app' || (i % $4 / 12),
            'g' || (i % 4), 's' || (i % 12), 'tool' || (i % $4 % 60),
            CASE i % 10 WHEN 0 THEN 'error' WHEN 1 THEN 'denied' ELSE 'answered' END,
            $6, 1000, $7, $7
     FROM n";

/// Writes the rows as they would have been counted. How many.
async fn fill(db: &Db, workspace: Uuid, logs: i64) -> u64 {
    let now = Utc::now().timestamp();
    let mut rows = 0;
    let day = 86_400;
    for (step, buckets, keys) in
        [(60, MINUTES, IN_A_MINUTE), (3_600, DAYS * 24, IN_AN_HOUR), (day, DAYS, IN_A_DAY)]
    {
        let calls = (CALLS * step / (DAYS * day) / keys / logs).max(1);
        for bucket in 0..buckets {
            let at = (now / step - bucket) * step;
            let mut tx = db.begin().await.unwrap();
            let insert = sql(FILL).bind(workspace).bind(step).bind(at).bind(keys).bind(logs);
            rows += tx.execute(insert.bind(calls).bind(histogram(calls))).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
    if !db.is_exclusive() {
        // As it does by itself within a minute of so many new rows.
        let mut tx = db.begin().await.unwrap();
        tx.execute(sql("ANALYZE series")).await.unwrap();
        tx.commit().await.unwrap();
    }
    rows
}

/// Of so many calls, spread over forty buckets at most, as it is kept: pairs of numbers.
fn histogram(calls: i64) -> Vec<u8> {
    let buckets = u8::try_from(calls).unwrap_or(40).min(40);
    let each = u8::try_from(calls / i64::from(buckets)).unwrap_or(100).clamp(1, 100);
    (0..buckets).flat_map(|n| [if n == 0 { 80 } else { 1 }, each]).collect()
}
