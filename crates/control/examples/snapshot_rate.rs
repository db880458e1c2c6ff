//! What a change costs where much is configured: 10 000 people with an app, a token and a connection
//! each, 1 000 gateways, and 100 servers with 100 approved tools each.
//!
//! `OSTIARY_TEST_POSTGRES=… cargo run --release -p control --example snapshot_rate`
//!
//! Each kind of change is made as a request to the admin API, and so with its rights, its records and
//! its commit. On PostgreSQL a second control plane stands beside, which has made none of the changes:
//! how long it takes to answer for its snapshot after one is the reading of the epoch and of what has
//! changed, up to the publication. On SQLite there is never a second one.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures the real time")]
#![expect(clippy::unwrap_used, reason = "without a database there is nothing to measure")]

use std::collections::HashMap;
use std::hint::black_box;
mod clock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Log, Options, Signer};
use axum::body::Body;
use axum::http::{Request, header};
use chrono::{DateTime, Utc};
use clock::RealClock;
use control::{Control, ControlOptions};
use db::{Db, Tx, sql};
use domain::Snapshot;
use domain::ports::Gate;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;
use vault::{MasterKey, Vault};

const USERS: u128 = 10_000;
const TEAMS: u128 = 100;
const SERVERS: u128 = 100;
const TOOLS: u128 = 100;
const GATEWAYS: u128 = 1_000;
const ROLE_GRANTS: u128 = 200;
const LIMITS: u128 = 100;
const POLICIES: u128 = 10;

/// How often each kind of change is made.
const ROUNDS: u128 = 25;

/// Where the changes are made, and where they are heard of.
struct House {
    router: axum::Router,
    token: String,
    control: Control,
    beside: Option<Arc<dyn Gate>>,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!(
        "{USERS} users, apps, tokens and connections, {GATEWAYS} gateways, {SERVERS} servers with \
         {TOOLS} approved tools each"
    );
    for fresh in db::testing::databases().await {
        let name = if fresh.db.is_exclusive() { "SQLite" } else { "PostgreSQL" };
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(RealClock::new());
        let signer = Signer::from_seed("rate", &[1; 32]);
        let log = Log::open(Options::new(folder.path()), signer, Arc::<RealClock>::clone(&clock));
        let log = log.unwrap();
        let vault = Arc::new(Vault::new(MasterKey::generate().unwrap(), 1));
        let open = async |db: &Db| {
            let options = ControlOptions {
                db: db.clone(),
                vault: Arc::clone(&vault),
                log: log.clone(),
                clock: Arc::<RealClock>::clone(&clock),
                counters: None,
                allow_loopback: false,
                is_secure: false,
                serving: None,
            };
            Control::open(options).await.unwrap()
        };
        let first = open(&fresh.db).await;
        let token = first.first_admin_token().unwrap().expose_text().unwrap().to_owned();
        let workspace = first.gate().current().await.unwrap().config.workspaces["default"].id.0;
        first.close().await;
        drop(first);
        let begun = Instant::now();
        let mut tx = fresh.db.begin().await.unwrap();
        fill(&mut tx, workspace).await;
        if !fresh.db.is_exclusive() {
            // PostgreSQL does so by itself, within a minute.
            let all = "ANALYZE users, members, apps, tokens, connections, gateways, grants, assignments, pins";
            tx.execute(sql(all)).await.unwrap();
        }
        tx.commit().await.unwrap();
        println!("\n{name}: filled in {:.1?}", begun.elapsed());
        let before = resident();
        let begun = Instant::now();
        let control = open(&fresh.db).await;
        let took = begun.elapsed();
        let users =
            control.gate().current().await.unwrap().config.workspaces["default"].users.len();
        assert_eq!(u128::try_from(users), Ok(USERS));
        println!("from nothing in {took:.1?}, {} MB more", (resident() - before) / 1_000_000);
        let other = if fresh.db.is_exclusive() { None } else { Some(open(&fresh.db).await) };
        let beside = other.as_ref().map(|it| it.gate());
        look_up(&control.gate().current().await.unwrap());
        let house = House { router: control.router(), token, control, beside };
        measure(&house).await;
        println!("resident at the end {} MB", resident() / 1_000_000);
    }
}

/// Makes every kind of change, each for other things in each round.
async fn measure(house: &House) {
    println!("{:<28} {:>8} {:>8} {:>9} {:>8}", "", "request", "at most", "beside", "at most");
    let mut worst = Duration::ZERO;
    for (kind, request) in kinds() {
        let (mut asked, mut heard) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (method, path, body) = request(round);
            asked.push(house.ask(method, &path, body).await);
            if let Some(gate) = &house.beside {
                let begun = Instant::now();
                let snapshot = gate.current().await.unwrap();
                heard.push(begun.elapsed());
                assert_eq!(i64::try_from(snapshot.epoch), Ok(house.control.epoch()));
            }
        }
        asked.sort_unstable();
        heard.sort_unstable();
        worst = worst.max(asked[asked.len() / 2]);
        let ms = |all: &[Duration], n: usize| {
            all.get(n).map_or(String::from("-"), |it| format!("{:.2}", it.as_secs_f64() * 1e3))
        };
        let (half, last) = (asked.len() / 2, asked.len() - 1);
        println!(
            "{kind:<28} {:>8} {:>8} {:>9} {:>8}",
            ms(&asked, half),
            ms(&asked, last),
            ms(&heard, half),
            ms(&heard, last)
        );
    }
    println!("ms; the slowest kind has a median of {worst:.2?}");
}

/// A method, a path and a body.
type Ask = (&'static str, String, Value);

/// What it is called, and what is asked for in a round.
type Kind = (&'static str, fn(u128) -> Ask);

/// The kinds of change, with the request of a round.
fn kinds() -> Vec<Kind> {
    let mut all = people();
    all.extend(things());
    all.extend(rights());
    all
}

fn people() -> Vec<Kind> {
    vec![
        ("user new", |n| ("POST", "users".into(), json!({"name": format!("new{n}")}))),
        ("user renamed", |n| {
            ("PATCH", format!("users/u{n}"), json!({"name": format!("renamed{n}")}))
        }),
        ("user gone", |n| ("DELETE", format!("users/new{n}"), Value::Null)),
        ("member new", |n| ("PUT", format!("teams/t7/members/u{}", 100 * n + 50), Value::Null)),
        ("member gone", |n| ("DELETE", format!("teams/t7/members/u{}", 100 * n + 50), Value::Null)),
        ("team new", |n| ("POST", "teams".into(), json!({"name": format!("newteam{n}")}))),
        ("app new", |n| {
            let name = format!("newapp{n}");
            ("POST", "apps".into(), json!({"name": name, "owner": "u77", "purpose": "p"}))
        }),
        ("app gone", |n| ("DELETE", format!("apps/newapp{n}"), Value::Null)),
        ("connection new", |n| {
            let gateway = format!("g{}", 200 + n);
            ("POST", format!("apps/a{n}/connections"), json!({ "gateway": gateway }))
        }),
        ("pick", |n| {
            let path = format!("apps/a{n}/connections/g{}", 200 + n);
            ("PATCH", path, json!({"picked": true}))
        }),
        ("connection gone", |n| {
            ("DELETE", format!("apps/a{n}/connections/g{}", 200 + n), Value::Null)
        }),
        ("token new", |n| ("POST", format!("apps/a{n}/tokens"), json!({"name": "second"}))),
        ("token revoked", |n| ("DELETE", format!("apps/a{n}/tokens/second"), Value::Null)),
    ]
}

fn things() -> Vec<Kind> {
    vec![
        ("gateway new", |n| {
            let name = format!("newgateway{n}");
            ("POST", "gateways".into(), json!({"name": name, "teams": ["t1"]}))
        }),
        ("gateway renamed", |n| {
            let name = format!("othergateway{n}");
            ("PATCH", format!("gateways/newgateway{n}"), json!({ "name": name }))
        }),
        ("gateway gone", |n| ("DELETE", format!("gateways/othergateway{n}"), Value::Null)),
        ("team granted", |n| ("PUT", format!("gateways/g{n}/teams/t99"), Value::Null)),
        ("team's grant gone", |n| ("DELETE", format!("gateways/g{n}/teams/t99"), Value::Null)),
        ("assignment new", |n| {
            let body = json!({"server": "s50", "alias": "more", "tools":
                {"expose": "named", "names": ["tool-1", "tool-2"]}});
            ("POST", format!("gateways/g{n}/assignments"), body)
        }),
        ("assignment gone", |n| ("DELETE", format!("gateways/g{n}/assignments/more"), Value::Null)),
        ("rule new", |n| {
            let body = json!({"name": "mail", "pattern": "@", "action": {"type": "mask"}});
            ("POST", format!("gateways/g{n}/rules"), body)
        }),
        ("server changed", |n| {
            let transport = json!({"type": "http", "url": format!("https://n{n}.example/mcp")});
            ("PATCH", format!("servers/s{n}"), json!({ "transport": transport }))
        }),
        ("server off", |n| ("PATCH", format!("servers/s{n}"), json!({"enabled": false}))),
        ("server on", |n| ("PATCH", format!("servers/s{n}"), json!({"enabled": true}))),
        ("credential new", |n| {
            let body = json!({"name": format!("newidentity{n}"), "server": "s1",
                              "headers": {"x-key": "k"}});
            ("POST", "identities".into(), body)
        }),
        ("definition approved", |n| {
            let pin = id(PENDING, n);
            let hash = format!("sha256:{:032x}{TOOLS:032x}", pin.as_u128());
            let body = json!({"hash": hash, "even_if_replaced": true});
            ("POST", format!("pins/{pin}/approve"), body)
        }),
    ]
}

fn rights() -> Vec<Kind> {
    vec![
        ("role new", |n| {
            let body = json!({"name": format!("newrole{n}"), "capabilities": ["servers:read"]});
            ("POST", "roles".into(), body)
        }),
        ("role given", |n| {
            let body = json!({"name": format!("given{n}"), "role": format!("newrole{n}"),
                              "user": format!("u{}", 100 + n)});
            ("POST", "role-grants".into(), body)
        }),
        ("role changed", |n| {
            let body = json!({"capabilities": ["servers:read", "rules:read"]});
            ("PATCH", format!("roles/newrole{n}"), body)
        }),
        ("role taken away", |n| ("DELETE", format!("role-grants/given{n}"), Value::Null)),
        ("limit new", |n| {
            let allowance = json!({"type": "quota", "amount": 5, "per": "day"});
            let scope = json!({"type": "workspace"});
            let body = json!({"name": format!("few{n}"), "scope": scope, "unit": "calls",
                              "allowance": allowance});
            ("POST", "limits".into(), body)
        }),
        ("policy off", |n| {
            ("PATCH", format!("policies/p{}", n % POLICIES), json!({"enabled": n % 2 == 1}))
        }),
        ("policy new", |n| {
            let text = "forbid(principal, action, resource) when { context.hour > 23 };";
            ("POST", "policies".into(), json!({"name": format!("newpolicy{n}"), "text": text}))
        }),
    ]
}

impl House {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Duration {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/workspaces/default/{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.body(body).unwrap();
        let router = self.router.clone();
        let begun = Instant::now();
        let response = router.oneshot(request).await.unwrap();
        let took = begun.elapsed();
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", text.escape_ascii());
        took
    }
}

/// Of what kind a thing is, as a part of its id.
const TEAM: u128 = 2;
const SERVER: u128 = 3;
const GATEWAY: u128 = 4;
const APP: u128 = 5;
const ASSIGNMENT: u128 = 6;
const PIN: u128 = 7;
const PENDING: u128 = 8;
const OTHER: u128 = 9;
const USER: u128 = 1;

fn id(kind: u128, n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (kind << 40) + n)
}

/// Writes the rows as handlers would, without asking them 50 000 times.
async fn fill(tx: &mut Tx, workspace: Uuid) {
    let now = Utc::now();
    let names = |from: u128, count: u128| -> Value {
        json!({"expose": "named", "names":
            (from..from + count).map(|n| format!("tool-{n}")).collect::<Vec<_>>()})
    };
    let all = json!({"expose": "all"});
    tx.execute(sql("UPDATE epoch SET epoch = epoch + 1, config = epoch + 1")).await.unwrap();
    for n in 0..TEAMS {
        let insert = sql("INSERT INTO teams (workspace_id, id, name, created_at)
                          VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(workspace).bind(id(TEAM, n)).bind(format!("t{n}")).bind(now);
        tx.execute(insert).await.unwrap();
    }
    for n in 0..SERVERS {
        let transport = json!({"type": "http", "url": format!("https://s{n}.example/mcp")});
        let insert = sql("INSERT INTO servers
              (workspace_id, id, name, transport, era, review, created_at)
            VALUES ($1, $2, $3, $4, 'auto', 'on', $5)");
        let insert = insert.bind(workspace).bind(id(SERVER, n)).bind(format!("s{n}"));
        tx.execute(insert.bind(transport).bind(now)).await.unwrap();
        for tool in 0..TOOLS {
            let own = id(PIN, n * TOOLS + tool);
            pin(tx, (workspace, own, id(SERVER, n)), (tool, "approved"), now).await;
        }
        pin(tx, (workspace, id(PENDING, n), id(SERVER, n)), (TOOLS, "pending"), now).await;
    }
    for n in 0..GATEWAYS {
        let insert = sql("INSERT INTO gateways (workspace_id, id, name, created_at)
                          VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(workspace).bind(id(GATEWAY, n)).bind(format!("g{n}")).bind(now);
        tx.execute(insert).await.unwrap();
        for team in [n % TEAMS, (n + 1) % TEAMS] {
            let insert = sql("INSERT INTO grants (workspace_id, gateway_id, team_id)
                              VALUES ($1, $2, $3)");
            let insert = insert.bind(workspace).bind(id(GATEWAY, n)).bind(id(TEAM, team));
            tx.execute(insert).await.unwrap();
        }
        // All tools of one server by name, some of another, and what a third one has.
        let servers =
            [(n, names(0, TOOLS)), (n + 7, names(10 * (n % 10), 10)), (n + 31, all.clone())];
        for (i, (server, tools)) in (0..).zip(servers) {
            let insert = sql("INSERT INTO assignments
                  (workspace_id, id, gateway_id, alias, server_id, scheme, tools, prompts,
                   resources, position, created_at)
                VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $7, $8, $9)");
            let own = id(ASSIGNMENT, 10 * n + i);
            let insert = insert.bind(workspace).bind(own).bind(id(GATEWAY, n));
            let insert = insert.bind(format!("s{i}")).bind(id(SERVER, server % SERVERS));
            let insert = insert.bind(tools).bind(all.clone());
            tx.execute(insert.bind(i64::try_from(i).unwrap()).bind(now)).await.unwrap();
        }
    }
    fill_people(tx, workspace, now).await;
    fill_rights(tx, workspace, now).await;
}

async fn pin(
    tx: &mut Tx,
    (workspace, own, server): (Uuid, Uuid, Uuid),
    (tool, state): (u128, &str),
    now: DateTime<Utc>,
) {
    let insert = sql("INSERT INTO pins
          (workspace_id, id, server_id, kind, name, hash, definition, bytes, marks, state,
           first_seen, last_seen)
        VALUES ($1, $2, $3, 'tool', $4, $5, '{}', 2, '', $6, $7, $7)");
    let hash: Vec<u8> = [own.as_u128().to_be_bytes(), tool.to_be_bytes()].concat();
    let insert = insert.bind(workspace).bind(own).bind(server).bind(format!("tool-{tool}"));
    tx.execute(insert.bind(hash).bind(state).bind(now)).await.unwrap();
}

/// Each user is in two teams, and has an app with a token, which is on a gateway for one of them.
async fn fill_people(tx: &mut Tx, workspace: Uuid, now: DateTime<Utc>) {
    for n in 0..USERS {
        let insert = sql("INSERT INTO users (workspace_id, id, name, created_at)
                          VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(workspace).bind(id(USER, n)).bind(format!("u{n}")).bind(now);
        tx.execute(insert).await.unwrap();
        for team in [n % TEAMS, (n + 3) % TEAMS] {
            let insert = sql("INSERT INTO members (workspace_id, team_id, user_id)
                              VALUES ($1, $2, $3)");
            let insert = insert.bind(workspace).bind(id(TEAM, team)).bind(id(USER, n));
            tx.execute(insert).await.unwrap();
        }
        let insert = sql("INSERT INTO apps (workspace_id, id, name, owner_id, purpose, created_at)
                          VALUES ($1, $2, $3, $4, '', $5)");
        let insert = insert.bind(workspace).bind(id(APP, n)).bind(format!("a{n}"));
        tx.execute(insert.bind(id(USER, n)).bind(now)).await.unwrap();
        let hash: Vec<u8> = [n.to_be_bytes(), (n * 7).to_be_bytes()].concat();
        let insert = sql("INSERT INTO tokens
              (workspace_id, id, app_id, name, hash, expires_at, created_at)
            VALUES ($1, $2, $3, 'first', $4, $5, $6)");
        let insert = insert.bind(workspace).bind(id(OTHER, n)).bind(id(APP, n)).bind(hash);
        let expires = now + Duration::from_secs(90 * 86_400);
        tx.execute(insert.bind(expires).bind(now)).await.unwrap();
        let insert = sql("INSERT INTO connections
              (workspace_id, id, app_id, gateway_id, user_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)");
        let insert = insert.bind(workspace).bind(id(OTHER, USERS + n)).bind(id(APP, n));
        let insert = insert.bind(id(GATEWAY, n % GATEWAYS)).bind(id(USER, n)).bind(now);
        tx.execute(insert).await.unwrap();
    }
}

async fn fill_rights(tx: &mut Tx, workspace: Uuid, now: DateTime<Utc>) {
    for n in 0..ROLE_GRANTS {
        let insert = sql("INSERT INTO role_grants
              (workspace_id, id, name, built_in, user_id, on_gateway_id, created_at)
            VALUES ($1, $2, $3, 'workspace-admin', $4, $5, $6)");
        let insert = insert.bind(workspace).bind(id(OTHER, 3 * USERS + n)).bind(format!("r{n}"));
        let insert = insert.bind(id(USER, n)).bind(id(GATEWAY, n)).bind(now);
        tx.execute(insert).await.unwrap();
    }
    for n in 0..LIMITS {
        let insert = sql("INSERT INTO limits
              (workspace_id, id, name, scope, subject_id, unit, direction, allowance, created_at)
            VALUES ($1, $2, $3, 'user', $4, 'calls', 'both', $5, $6)");
        let allowance = json!({"type": "quota", "amount": 1000, "per": "day"});
        let insert = insert.bind(workspace).bind(id(OTHER, 4 * USERS + n)).bind(format!("l{n}"));
        tx.execute(insert.bind(id(USER, n)).bind(allowance).bind(now)).await.unwrap();
    }
    for n in 0..POLICIES {
        let insert = sql("INSERT INTO policies
              (workspace_id, id, name, policy, enabled, tests, created_at)
            VALUES ($1, $2, $3, $4, $5, '[]', $6)");
        let text = format!(
            "forbid(principal in Team::\"t{n}\", action, resource) when {{ context.hour > 22 }};"
        );
        let insert = insert.bind(workspace).bind(id(OTHER, 5 * USERS + n)).bind(format!("p{n}"));
        tx.execute(insert.bind(text).bind(true).bind(now)).await.unwrap();
    }
}

/// How long it takes to find a token by its hash, and a user by id, beside maps of the standard
/// library that hold the same.
fn look_up(snapshot: &Snapshot) {
    let workspace = &snapshot.config.workspaces["default"];
    let (tokens, users) = (&snapshot.config.tokens, &workspace.users);
    let all: HashMap<_, _> = tokens.iter().map(|(key, it)| (*key, it.clone())).collect();
    let mut keys: Vec<_> = all.keys().copied().collect();
    keys.sort_unstable_by_key(|it| {
        it.iter().rev().fold(0_u64, |sum, it| sum * 31 + u64::from(*it))
    });
    compare("tokens by hash", &keys, (|it| all.contains_key(it), |it| tokens.contains_key(it)));
    let all: HashMap<_, _> = users.iter().map(|(key, it)| (*key, it.clone())).collect();
    let keys: Vec<_> = all.keys().copied().collect();
    compare("users by id", &keys, (|it| all.contains_key(it), |it| users.contains_key(it)));
}

/// In turn, ten times each; the best of each counts.
fn compare<K>(what: &str, keys: &[K], (std, own): (impl Fn(&K) -> bool, impl Fn(&K) -> bool)) {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..10 {
        let begun = Instant::now();
        assert!(keys.iter().all(|it| black_box(std(it))));
        best[0] = best[0].min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        assert!(keys.iter().all(|it| black_box(own(it))));
        best[1] = best[1].min(begun.elapsed().as_secs_f64());
    }
    let [std, own] = best.map(|it| it * 1e9 / f64::from(u32::try_from(keys.len()).unwrap()));
    println!("{what}: {own:.0} ns, and {std:.0} ns in a map of the standard library");
}

/// Of this process, in bytes.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
