//! How long the admin API takes for a page of each list, where the list is 100 000 rows long: of the
//! first page, of those after it, and of those that somebody sees who has a part of it; and for one
//! thing of each.
//!
//! `OSTIARY_TEST_POSTGRES=… cargo run --release -p control --example list_rate`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures the real time")]
#![expect(clippy::unwrap_used, reason = "without a database there is nothing to measure")]

mod clock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Durability, Entry, Kind, Leaf, Log, Options, Signer};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use chrono::Utc;
use clock::RealClock;
use control::{Control, ControlOptions};
use db::{Tx, sql};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;
use vault::{MasterKey, Vault};

const ROWS: u64 = 100_000;
/// Of each list; each goes on where the one before has ended.
const PAGES: usize = 200;

const LISTS: [&str; 15] = [
    "users",
    "teams",
    "apps",
    "apps/n000000/tokens",
    "connections",
    "servers",
    "gateways",
    "identities",
    "roles",
    "role-grants",
    "pins",
    "pins?state=pending",
    "cutoffs",
    "limits/few/usage",
    "records",
];

/// Of each list; each time another one.
const FOUND: [&str; 9] = [
    "users",
    "teams",
    "apps",
    "apps/n000000/tokens",
    "servers",
    "gateways",
    "identities",
    "roles",
    "role-grants",
];

const ANALYZE: &str =
    "ANALYZE users, teams, apps, tokens, connections, servers, gateways, identities,
    roles, role_grants, pins, switches, limit_counters";

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("{ROWS} rows in each list, pages of 50; ms");
    for fresh in db::testing::databases().await {
        let name = if fresh.db.is_exclusive() { "SQLite" } else { "PostgreSQL" };
        let clock = Arc::new(RealClock::new());
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::from_seed("lists", &[1; 32]);
        let log = Log::open(Options::new(folder.path()), signer, Arc::<RealClock>::clone(&clock));
        let log = log.unwrap();
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
        let workspace = control.gate().current().await.unwrap().config.workspaces["default"].id.0;
        let token = control.first_admin_token().unwrap().expose_text().unwrap().to_owned();
        let mut lists = Lists { router: control.router(), token };
        let part = lists.given_somebody_with_a_part().await;
        fill(fresh.db.begin().await.unwrap(), workspace).await;
        if !fresh.db.is_exclusive() {
            // As it does by itself within a minute of so many new rows.
            let mut tx = fresh.db.begin().await.unwrap();
            tx.execute(sql(ANALYZE)).await.unwrap();
            tx.commit().await.unwrap();
        }
        for n in 0..ROWS {
            log.append(record(n, workspace), Durability::Written).await.unwrap();
        }
        println!("\n{name:<24} {:>8} {:>8} {:>8} {:>8}", "first", "p50", "p99", "at most");
        for list in LISTS {
            lists.measure(list, list).await;
        }
        for list in FOUND {
            lists.find(list, |n| format!("n{n:06}")).await;
        }
        lists.find("pins", |n| id(n).to_string()).await;
        lists.token = part;
        for list in ["servers", "gateways", "identities", "connections", "cutoffs"] {
            lists.measure(list, &format!("{list}, a part")).await;
        }
    }
}

struct Lists {
    router: Router,
    token: String,
}

impl Lists {
    /// The token of an administrator of two servers and two gateways.
    async fn given_somebody_with_a_part(&self) -> String {
        self.post("users", json!({"name": "part"})).await;
        for (i, kind) in ["server", "server", "gateway", "gateway"].into_iter().enumerate() {
            let transport = json!({"type": "http", "url": "https://part.example/mcp"});
            let body = match kind {
                "server" => json!({"name": format!("part{i}"), "transport": transport}),
                _ => json!({"name": format!("part{i}")}),
            };
            self.post(&format!("{kind}s"), body).await;
            let on = format!("{kind}/part{i}");
            let name = format!("part{i}");
            let grant = json!({"name": name, "role": "workspace-admin", "user": "part", "on": on});
            self.post("role-grants", grant).await;
        }
        let body = json!({"name": "part", "lifetime_seconds": 3_600});
        let token = self.post("users/part/admin-tokens", body).await;
        token["secret"].as_str().unwrap().to_owned()
    }

    async fn measure(&self, list: &str, called: &str) {
        let sign = if list.contains('?') { '&' } else { '?' };
        let mut path = list.to_owned();
        let mut taken = Vec::new();
        while taken.len() < PAGES {
            let asked = Instant::now();
            let page = self.ask("GET", &path, Value::Null).await;
            taken.push(asked.elapsed());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{list}{sign}cursor={cursor}");
        }
        tell(called, taken);
    }

    /// One thing at a time.
    async fn find(&self, list: &str, name: impl Fn(u64) -> String) {
        let mut taken = Vec::new();
        for n in (0..ROWS).step_by(499) {
            let path = format!("{list}/{}", name(n));
            let asked = Instant::now();
            self.ask("GET", &path, Value::Null).await;
            taken.push(asked.elapsed());
        }
        tell(&format!("{list}, one"), taken);
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/workspaces/default/{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", text.escape_ascii());
        serde_json::from_slice(&text).unwrap()
    }
}

/// The first time, and those that half, 99 in a hundred and all of them have kept.
fn tell(called: &str, mut taken: Vec<Duration>) {
    let first = taken[0];
    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
    let ms = |it: Duration| format!("{:.2}", it.as_secs_f64() * 1e3);
    let (half, most, last) = (ms(at(50)), ms(at(99)), ms(at(100)));
    println!("{called:<24} {:>8} {half:>8} {most:>8} {last:>8}", ms(first));
}

/// Writes the rows without asking the handlers for each. The rows of all tables go by the ids of the
/// users.
async fn fill(mut tx: Tx, workspace: Uuid) {
    let now = Utc::now();
    for n in 0..ROWS {
        let id = id(n);
        let insert = sql("INSERT INTO users (workspace_id, id, name, created_at)
                          VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(workspace).bind(id).bind(format!("n{n:06}")).bind(now);
        tx.execute(insert).await.unwrap();
    }
    let url = json!({"type": "http", "url": "https://n.example/mcp"});
    for statement in [
        "INSERT INTO teams (workspace_id, id, name, created_at)
         SELECT workspace_id, id, name, created_at FROM users WHERE name LIKE 'n%'",
        "INSERT INTO apps (workspace_id, id, name, owner_id, purpose, created_at)
         SELECT workspace_id, id, name, id, '', created_at FROM users WHERE name LIKE 'n%'",
        "INSERT INTO gateways (workspace_id, id, name, created_at)
         SELECT workspace_id, id, name, created_at FROM users WHERE name LIKE 'n%'",
        "INSERT INTO connections (workspace_id, id, app_id, gateway_id, user_id, created_at)
         SELECT workspace_id, id, id, id, id, created_at FROM users WHERE name LIKE 'n%'",
        "INSERT INTO roles (workspace_id, id, name, capabilities, created_at)
         SELECT workspace_id, id, name, '[]', created_at FROM users WHERE name LIKE 'n%'",
        "INSERT INTO role_grants
           (workspace_id, id, name, built_in, user_id, on_gateway_id, created_at)
         SELECT workspace_id, id, name, 'workspace-admin', id, id, created_at FROM users
         WHERE name LIKE 'n%'",
        "INSERT INTO switches (workspace_id, kind, target_id, tool, created_at)
         SELECT workspace_id, 'user', id, '', created_at FROM users WHERE name LIKE 'n%'",
    ] {
        tx.execute(sql(statement)).await.unwrap();
    }
    let servers = sql("INSERT INTO servers (workspace_id, id, name, transport, era, created_at)
         SELECT workspace_id, id, name, $1, 'auto', created_at FROM users WHERE name LIKE 'n%'");
    tx.execute(servers.bind(url)).await.unwrap();
    let identities = sql(
        "INSERT INTO identities (workspace_id, id, name, server_id, headers, sealed, created_at)
         SELECT workspace_id, id, name, id, '[]', $1, created_at FROM users WHERE name LIKE 'n%'",
    );
    tx.execute(identities.bind(vec![7_u8; 64])).await.unwrap();
    let limit = sql("INSERT INTO limits
          (workspace_id, id, name, scope, unit, direction, allowance, created_at)
        VALUES ($1, $2, 'few', 'user', 'calls', 'both', $3, $4)");
    let allowance = json!({"type": "quota", "amount": 1000, "per": "day"});
    let limit = limit.bind(workspace).bind(id(0)).bind(allowance).bind(now);
    tx.execute(limit).await.unwrap();
    let used = sql("INSERT INTO limit_counters
          (workspace_id, limit_id, holder_id, tool, moment, units, ends_at)
        SELECT workspace_id, $1, id, '', created_at, 5, $2 FROM users WHERE name LIKE 'n%'");
    let used = used.bind(id(0)).bind(now + Duration::from_secs(86_400));
    tx.execute(used).await.unwrap();
    for n in 0..ROWS {
        let hash = [id(n).into_bytes(), id(n + 1).into_bytes()].concat();
        let name = format!("n{n:06}");
        let token = sql("INSERT INTO tokens
              (workspace_id, id, app_id, name, hash, expires_at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6)");
        let token = token.bind(workspace).bind(id(n)).bind(id(0)).bind(name.clone());
        tx.execute(token.bind(hash.clone()).bind(now)).await.unwrap();
        // A hundred of each server, every tenth of them undecided.
        let pin = sql("INSERT INTO pins
              (workspace_id, id, server_id, kind, name, hash, definition, bytes, marks, state,
               first_seen, last_seen)
            VALUES ($1, $2, $3, 'tool', $4, $5, '{}', 2, '', $6, $7, $7)");
        let state = if n % 10 == 0 { "pending" } else { "approved" };
        let pin = pin.bind(workspace).bind(id(n)).bind(id(n / 100)).bind(name);
        tx.execute(pin.bind(hash).bind(state).bind(now)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn id(n: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

/// As many members as a call's intent has.
fn record(n: u64, workspace: Uuid) -> Entry {
    let leaf = Leaf::new(Kind::Intent)
        .call(Uuid::from_u128(u128::from(n)))
        .str("user", "ann")
        .str("app", "claude")
        .str("gateway", "engineering")
        .str("server", "jira")
        .str("method", "tools/call")
        .str("name", "jira.search")
        .str("decision", "allow")
        .u64("epoch", 1_234)
        .finish();
    Entry { workspace, kind: Kind::Intent, leaf }
}
