use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use db::sql;
use db::testing::Fresh;
use domain::ports::{Gate as _, GateClosed};
use domain::{Ask, Kind, Scheme, Snapshot};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Publisher, StoreGate};
use crate::replicas::Replica;
use crate::testing::{Api, TestClock};

#[tokio::test]
async fn the_snapshot_says_what_was_configured() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let token = api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "mask"}});
        api.given("gateways/main/rules", rule).await;

        let snapshot = api.snapshot().await;
        let workspace = &snapshot.config.workspaces["default"];
        let gateway = &workspace.gateways["main"];
        let assignment = &gateway.assignments[0];
        assert_eq!(assignment.alias.as_str(), "jira");
        assert_eq!(assignment.scheme, Scheme::Own);
        assert_eq!(gateway.rules.len(), 1);

        let hash = crate::secret::sha256(token["secret"].as_str().unwrap().as_bytes());
        let token = &snapshot.config.tokens[&hash];
        assert_eq!(token.workspace, workspace.name);
        let connection = &gateway.connections[&token.app];
        let user = &workspace.users[&connection.user];
        let identity = assignment.identity_for(connection).unwrap().unwrap();
        let identity = &workspace.identities[&identity];
        assert_eq!((user.name.as_str(), identity.name.as_str()), ("ann", "ann-jira"));
        let ask = Ask {
            app: token.app,
            user,
            assignment: assignment.id,
            kind: Kind::Tool,
            name: "search",
        };
        assert!(gateway.policy.allows(ask));

        let headers = api.control.secrets().open(workspace.id, identity).unwrap();
        assert_eq!(headers.0, [("authorization".to_owned(), b"Bearer hunter2".to_vec())]);
    }
}

/// What the data plane does not read, and why.
const APART: [(&str, &str); 23] = [
    ("_sqlx_migrations", "of the schema"),
    ("account_sessions", "of the console, which calls nothing"),
    ("accounts", "of people at the console, who call nothing"),
    ("additive_migrations", "of the schema"),
    ("admin_tokens", "administrators call nothing"),
    ("answers", "of requests to the admin API"),
    ("challenges", "of people at the console, who call nothing"),
    ("content_keys", "read by the log, when it needs them"),
    ("epoch", "it is the epoch"),
    ("installation", "read at the start"),
    ("kept_keys", "read by the log, when it needs them"),
    ("limit_counters", "counts, which nothing is decided by but in their own transaction"),
    ("owners", "of objects, for files alone"),
    ("passkeys", "of people at the console, who call nothing"),
    ("pin_changes", "of those who follow what servers list"),
    ("replicas", "of processes"),
    ("row_changes", "what is to be read of all others"),
    ("series", "counts, which nothing is decided by"),
    ("series_counters", "how far they have come"),
    ("series_logs", "how far they have come"),
    ("series_open", "what is not counted yet"),
    ("sessions", "administrators call nothing"),
    ("user_sessions", "administrators call nothing"),
];

/// Every table that the data plane reads: a change of any of them moves the epoch, and what is
/// published moves with it.
#[tokio::test]
async fn a_change_of_any_table_moves_the_epoch() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "mask"}});
        api.given("gateways/main/rules", rule.clone()).await;
        api.given("users", json!({"name": "bob"})).await;
        api.given("roles", json!({"name": "keeper", "capabilities": []})).await;
        let token = json!({"name": "ci"});
        let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
        let allowance = json!({"type": "quota", "amount": 5, "per": "day"});
        let scope = json!({"type": "workspace"});
        let limit = json!({"name": "few", "scope": scope, "unit": "calls", "allowance": allowance});
        let policy = "forbid(principal, action, resource) when { context.hour > 23 };";
        let policy = json!({"name": "hours", "text": policy});
        let flips: BTreeMap<&str, (&str, &str, Value)> = BTreeMap::from([
            ("apps", ("PATCH", "apps/bot", json!({"purpose": "other"}))),
            ("assignments", ("PATCH", "gateways/main/assignments/jira", json!({"position": 9}))),
            ("choices", ("PATCH", "apps/bot/connections/main", json!({"identities": []}))),
            ("connections", ("DELETE", "apps/bot/connections/main", Value::Null)),
            ("gateways", ("PATCH", "gateways/main", json!({"name": "front"}))),
            ("grants", ("DELETE", "gateways/main/teams/dev", Value::Null)),
            ("identities", ("PATCH", "identities/ann-jira", json!({"headers": {"x-a": "b"}}))),
            ("limits", ("POST", "limits", limit)),
            ("members", ("PUT", "teams/dev/members/bob", Value::Null)),
            (
                "role_grants",
                ("POST", "role-grants", json!({"name": "g", "role": "keeper", "user": "ann"})),
            ),
            ("roles", ("PATCH", "roles/keeper", json!({"capabilities": ["servers:read"]}))),
            ("pins", ("POST", "apply", json!({ "text": PINS }))),
            ("picks", ("PATCH", "apps/bot/connections/main", json!({"picked": true}))),
            ("policies", ("POST", "policies", policy)),
            ("rules", ("PATCH", "gateways/main/rules/mail", json!({"pattern": "#"}))),
            ("servers", ("POST", "servers", json!({"name": "wiki", "transport": transport}))),
            ("switches", ("POST", "cutoffs", json!({"kind": "app", "name": "bot"}))),
            ("teams", ("POST", "teams", json!({"name": "ops"}))),
            ("tokens", ("POST", "apps/bot/tokens", token)),
            ("user_admin_tokens", ("POST", "users/ann/admin-tokens", json!({"name": "ci"}))),
            ("users", ("POST", "users", json!({"name": "eve"}))),
            ("workspaces", ("PATCH", "/workspaces/default", json!({"durability": "synced"}))),
        ]);
        let known: BTreeSet<String> =
            flips.keys().copied().chain(APART.iter().map(|it| it.0)).map(str::to_owned).collect();
        assert_eq!(tables(&api).await, known, "say how to change the table, or why not");

        // The order matters to the last of them only.
        let last = ["choices", "connections", "grants", "gateways"];
        let first = flips.keys().filter(|it| !last.contains(it));
        for table in first.chain(&last) {
            let (method, path, body) = flips[table].clone();
            let before = api.fresh.db.epoch().await.unwrap().epoch;
            let body = Some(body).filter(|it| !it.is_null());
            let reply = api.ask(method.parse().unwrap(), path, body).await;
            assert!(reply.status.is_success(), "{table}: {}", reply.text);
            let after = api.fresh.db.epoch().await.unwrap().epoch;
            assert_eq!(after, before + 1, "{table}");
            let latest = api.control.gate().latest().epoch;
            assert_eq!(i64::try_from(latest), Ok(after), "{table} is published");
        }
    }
}

#[tokio::test]
async fn a_change_that_is_refused_moves_nothing() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        let before = api.snapshot().await;
        assert_eq!(api.post("users", json!({"name": "ann"})).await.status, 409);
        assert_eq!(api.post("teams", json!({"name": "t", "members": ["bob"]})).await.status, 422);
        assert!(Arc::ptr_eq(&before, &api.snapshot().await));
        assert_eq!(api.get("teams").await.json(), json!({"items": []}));
    }
}

#[tokio::test]
async fn a_gateway_is_compiled_again_only_when_something_of_it_has_changed() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let gateway = |snapshot: &Snapshot| {
            Arc::clone(&snapshot.config.workspaces["default"].gateways["main"])
        };
        let before = gateway(&*api.snapshot().await);
        api.given("users", json!({"name": "bob"})).await;
        let after = gateway(&*api.snapshot().await);
        assert!(Arc::ptr_eq(&before, &after), "bob has nothing to do with it");

        // What the policy has decided holds for the teams that ann was in.
        assert_eq!(api.delete("teams/dev/members/ann").await.status, 200);
        let after = gateway(&*api.snapshot().await);
        assert!(!Arc::ptr_eq(&before, &after));
    }
}

#[tokio::test]
async fn switches_are_published_without_touching_the_configuration() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let before = api.snapshot().await;
        assert_eq!(api.patch("servers/jira", json!({"enabled": false})).await.status, 200);
        let after = api.snapshot().await;
        assert!(Arc::ptr_eq(&before.config, &after.config));
        assert_eq!(after.switches.newly_off(&before.switches).count(), 1);
    }
}

#[tokio::test]
async fn another_replica_sees_a_change_with_its_next_question() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    let api = Api::on(fresh).await;
    let (other, _stop) = replica(&url).await;
    let before = other.current().await.unwrap();
    assert!(before.config.workspaces["default"].users.is_empty());

    api.given_a_chain().await;
    assert_eq!(other.latest().epoch, before.epoch, "nobody has asked yet");
    let after = other.current().await.unwrap();
    assert_eq!(after.config.workspaces["default"].users.len(), 1);

    assert_eq!(api.patch("servers/jira", json!({"enabled": false})).await.status, 200);
    let cut = other.current().await.unwrap();
    assert_eq!(cut.switches.iter().count(), 1);
    assert!(Arc::ptr_eq(&cut.config, &after.config), "only switches were loaded");
}

#[tokio::test]
async fn questions_that_come_together_are_answered_together() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    let api = Api::on(fresh).await;
    let (other, _stop) = replica(&url).await;
    api.given_a_chain().await;
    let answers = join_all((0..100).map(|_| other.current())).await;
    let first = answers[0].as_ref().unwrap();
    for answer in &answers {
        assert!(Arc::ptr_eq(first, answer.as_ref().unwrap()), "loaded once");
    }
}

#[tokio::test]
async fn h174_a_database_that_has_lost_changes_closes_the_gate() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    let api = Api::on(fresh).await;
    let (other, _stop) = replica(&url).await;
    other.current().await.unwrap();
    let mut tx = api.fresh.db.begin().await.unwrap();
    tx.execute(sql("UPDATE epoch SET epoch = epoch - 1")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(other.current().await.unwrap_err(), GateClosed);
}

#[tokio::test]
async fn a_reply_that_was_too_long_under_way_is_asked_for_again() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    let _api = Api::on(fresh).await;
    let clock = Arc::<SlowClock>::default();
    let (other, _stop) = replica_with(&url, Arc::<SlowClock>::clone(&clock)).await;
    // The clock jumps by 60 ms each of the first times it is looked at, as if replies were late.
    clock.late.store(3, std::sync::atomic::Ordering::SeqCst);
    other.current().await.unwrap();
    assert_eq!(clock.late.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_gate_whose_database_is_gone_or_that_is_stopped_is_closed() {
    let Some(fresh) = db::testing::postgres().await else { return };
    let url = fresh.url.clone();
    let api = Api::on(fresh).await;
    let (other, stop) = replica(&url).await;
    stop.cancel();
    assert_eq!(other.current().await.unwrap_err(), GateClosed);

    let mut tx = api.fresh.db.begin().await.unwrap();
    tx.execute(sql("ALTER TABLE epoch RENAME TO gone")).await.unwrap();
    tx.commit().await.unwrap();
    let gate = api.control.gate();
    assert_eq!(gate.current().await.unwrap_err(), GateClosed);
}

#[tokio::test]
async fn h177_a_configuration_that_cannot_be_read_closes_the_gate_but_does_not_keep_a_cut_off_out()
{
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        // Not written by us: a name that is none, and an epoch that says so.
        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(sql("UPDATE gateways SET name = 'Not A Name'")).await.unwrap();
        tx.execute(sql("UPDATE epoch SET epoch = epoch + 1, config = epoch + 1")).await.unwrap();
        tx.commit().await.unwrap();
        let reply = api.post("users", json!({"name": "bob"})).await;
        assert_eq!(reply.problem(), (500, "internal".into()), "what does not compile is undone");
        let reply = api.post("cutoffs", json!({"kind": "app", "name": "bot"})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(api.control.gate().current().await.unwrap_err(), GateClosed);

        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(sql("UPDATE gateways SET name = 'main'")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(api.snapshot().await.switches.iter().count(), 1);
        assert_eq!(api.get("users/bob").await.status, 404);
    }
}

/// Another process on the same database.
async fn replica(url: &str) -> (Arc<StoreGate>, CancellationToken) {
    replica_with(url, Arc::<TestClock>::default()).await
}

async fn replica_with(
    url: &str,
    clock: Arc<dyn domain::Clock>,
) -> (Arc<StoreGate>, CancellationToken) {
    let db = db::Db::open(url).await.unwrap();
    let gate = Arc::new(gate(db, clock));
    gate.load().await.unwrap();
    let stop = CancellationToken::new();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(Arc::clone(&gate).run(stop.clone()));
    (gate, stop)
}

fn gate(db: db::Db, clock: Arc<dyn domain::Clock>) -> StoreGate {
    let replica = Arc::new(Replica::new(clock.stamp(), "a test".into()));
    StoreGate::new((Arc::new(Publisher::new()), db), clock, (replica, Arc::default()))
}

/// Moves on by itself, for a while.
#[derive(Default)]
struct SlowClock {
    inner: TestClock,
    late: std::sync::atomic::AtomicU64,
}

impl domain::Clock for SlowClock {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.now()
    }

    fn elapsed(&self) -> Duration {
        use std::sync::atomic::Ordering::SeqCst;
        if self.late.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1)).is_ok() {
            self.inner.advance(Duration::from_millis(60));
        }
        self.inner.elapsed()
    }

    fn id(&self) -> uuid::Uuid {
        self.inner.id()
    }
}

const PINS: &str = "
kind: Server
name: jira
transport: { type: http, url: 'https://jira.example/mcp' }
pins:
  - kind: tool
    name: search
    hash: 'sha256:0000000000000000000000000000000000000000000000000000000000000000'
";

async fn tables(api: &Api) -> BTreeSet<String> {
    let statement = if api.fresh.db.is_exclusive() {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    } else {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    };
    let mut tx = api.fresh.db.read().await.unwrap();
    let rows: Vec<(String,)> = tx.all(sql(statement)).await.unwrap();
    rows.into_iter().map(|it| it.0).collect()
}

#[tokio::test]
async fn a_restart_finds_what_was_there() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let before = api.snapshot().await;
        let Fresh { db, .. } = &api.fresh;
        let gate = gate(db.clone(), Arc::<TestClock>::default());
        gate.load().await.unwrap();
        let after = gate.latest();
        assert_eq!(after.epoch, before.epoch);
        assert_eq!(format!("{:?}", after.switches), format!("{:?}", before.switches));
        assert_eq!(after.config.workspaces.len(), before.config.workspaces.len());
    }
}

/// The promise of a cut-off, under way: whoever asks after it has been answered sees it, on any
/// replica, however the threads interleave.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_question_asked_after_a_cut_off_was_answered_is_told_otherwise() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

    const OFF: u64 = 1;

    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let mut gates = vec![api.control.gate()];
        let mut stops = Vec::new();
        if !api.fresh.db.is_exclusive() {
            let (other, stop) = replica(&api.fresh.url).await;
            gates.push(other);
            stops.push(stop);
        }
        // Odd while off: set after the answer, moved on before the next request.
        let phase = Arc::new(AtomicU64::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let tasks = tokio_util::task::TaskTracker::new();
        let mut askers = Vec::new();
        for gate in gates.iter().cycle().take(8) {
            let (gate, phase, done) = (Arc::clone(gate), Arc::clone(&phase), Arc::clone(&done));
            askers.push(tasks.spawn(async move {
                while !done.load(SeqCst) {
                    let before = phase.load(SeqCst);
                    let snapshot = gate.current().await.unwrap();
                    let is_off = snapshot.switches.iter().count() == 1;
                    if before % 2 == OFF && phase.load(SeqCst) == before {
                        assert!(is_off, "phase {before}");
                    }
                    tokio::task::yield_now().await;
                }
            }));
        }
        let target = json!({"kind": "server", "name": "jira"});
        for _ in 0..40 {
            assert_eq!(api.post("cutoffs", target.clone()).await.status, 200);
            phase.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
            phase.fetch_add(1, SeqCst);
            assert_eq!(api.post("restores", target.clone()).await.status, 200);
        }
        done.store(true, SeqCst);
        for asker in askers {
            asker.await.unwrap();
        }
    }
}
