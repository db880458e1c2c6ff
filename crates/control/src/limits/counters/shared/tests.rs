use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use domain::Clock as _;
use domain::limits::{Period, Quota, Scope, Unit, Window};
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::limits::AllowanceText;
use crate::limits::counters::ledger::{Ledger, Time};
use crate::testing::{Api, TestClock};

/// A Valkey or Redis on loopback that keeps nothing. Ends with this value.
struct Valkey {
    port: u16,
    process: Child,
}

impl Valkey {
    fn start() -> Self {
        for _ in 0..5 {
            // Another process may take the port in between: then it does not start.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(started) = Self::start_at(port) {
                return started;
            }
        }
        panic!("no Valkey starts");
    }

    fn start_at(port: u16) -> Option<Self> {
        let spawned = ["valkey-server", "redis-server"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(["--port", &port.to_string(), "--dir", "/tmp"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let process = spawned.expect("install redis-server: scripts/tools.sh test");
        let mut started = Self { port, process };
        loop {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(started);
            }
            if started.process.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// What it answers to a command of plain words.
    fn say(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Two replicas that share a store, each with the same database.
struct Scene {
    api: Api,
    workspace: WorkspaceId,
    replicas: Vec<Arc<Shared>>,
}

fn at(port: u16) -> CounterStore {
    let host = "127.0.0.1".to_owned();
    CounterStore { host, port, tls: None, user: None, password: None, database: 0 }
}

impl Scene {
    async fn at(port: u16) -> Self {
        let api = Api::on_sqlite().await;
        let workspace = api.snapshot().await.config.workspaces["default"].id;
        let mut replicas = Vec::new();
        for _ in 0..2 {
            let (db, clock) = (api.fresh.db.clone(), Arc::<TestClock>::clone(&api.clock));
            let ledger = Ledger::new(db, Time::Own(Arc::<TestClock>::clone(&clock)), false);
            let accounts = Accounts::with(ledger, clock, false, TaskTracker::new());
            let shared = Shared::new(at(port), accounts);
            shared.connect().await;
            replicas.push(shared);
        }
        Self { api, workspace, replicas }
    }

    async fn limit(&self, name: &str, allowance: Allowance) -> Arc<Limit> {
        let text = json!({"name": name, "scope": {"type": "workspace"}, "unit": "calls",
                          "allowance": AllowanceText::from(allowance)});
        let made: Value = self.api.given("limits", text).await;
        let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
        Arc::new(Limit {
            id: LimitId(id),
            name: name.parse().unwrap(),
            scope: Scope::Workspace,
            unit: Unit::Calls,
            allowance,
            gateway: None,
        })
    }

    async fn charge(
        &self,
        replica: usize,
        limits: &[&Arc<Limit>],
        cost: u64,
    ) -> Result<(), Uncharged> {
        let charge = |limit: &&Arc<Limit>| charge(limit, cost);
        self.replicas[replica].charge(self.workspace, limits.iter().map(charge).collect()).await
    }

    /// How many of so many are admitted that are asked for at once.
    async fn admitted(&self, limits: &[&Arc<Limit>], asked: usize) -> usize {
        let all = join_all((0..asked).map(|i| self.charge(i % 2, limits, 1))).await;
        all.iter().filter(|it| it.is_ok()).count()
    }

    fn is_used(&self) -> bool {
        self.replicas.iter().all(|it| it.gauges().0)
    }

    /// What is owed to the database stands there.
    async fn settled(&self) {
        for it in &self.replicas {
            it.accounts.pay().await;
        }
    }
}

fn charge(limit: &Arc<Limit>, cost: u64) -> Charge {
    let holder = Holder { id: Uuid::from_u128(7), tool: "".into() };
    Charge { limit: Arc::clone(limit), holder, cost }
}

fn daily(amount: u64) -> Allowance {
    Allowance::Quota(Quota { amount, per: Window::Day })
}

fn slow(burst: u64) -> Allowance {
    Allowance::Rate(Rate { amount: 1, per: Period::Day, burst })
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_the_limits_allow_are_admitted_and_a_refusal_charges_nothing() {
    let valkey = Valkey::start();
    let scene = Scene::at(valkey.port).await;
    let (quota, rate) =
        (scene.limit("quota", daily(30)).await, scene.limit("rate", slow(40)).await);
    assert_eq!(scene.admitted(&[&quota, &rate], 64).await, 30);
    assert_eq!(scene.admitted(&[&quota, &rate], 8).await, 0);
    assert_eq!(scene.admitted(&[&rate], 64).await, 10, "what was refused has cost nothing");
    let refused = scene.charge(0, &[&rate], 1).await;
    let Err(Uncharged::Exceeded { limit, wait: Some(wait) }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(limit, rate.name);
    let day = Duration::from_secs(86_400);
    assert!(day - Duration::from_secs(60) < wait && wait <= day, "{wait:?}");
    let ever = scene.charge(0, &[&quota], 31).await;
    assert_eq!(ever, Err(Uncharged::Exceeded { limit: quota.name.clone(), wait: None }));
    assert!(scene.is_used() && scene.replicas.iter().all(|it| it.gauges().1 == 0));
}

/// Whatever is charged and owed, at whatever rate: as in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_counted_there_as_it_is_in_memory() {
    let valkey = Valkey::start();
    let scene = Scene::at(valkey.port).await;
    let units = || prop_oneof![0_u64..20, 0_u64..2_000_000_000_000];
    let step = (units(), units(), any::<bool>());
    // A unit takes longer to come back than the test takes.
    let rates = (1_u64..2_000, prop_oneof![1_u64..40, 1_u64..1_000_000_000_000]);
    let cases = (rates, prop::collection::vec(step, 1..12));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let link = scene.replicas[0].link.lock().clone().unwrap();
    for i in 0..60_u128 {
        let ((amount, burst), steps) =
            proptest::strategy::ValueTree::current(&cases.new_tree(&mut runner).unwrap());
        let rate = Rate { amount, per: Period::Day, burst };
        let limit = Arc::new(Limit {
            id: LimitId(Uuid::from_u128(i)),
            name: "some".parse().unwrap(),
            scope: Scope::Workspace,
            unit: Unit::Calls,
            allowance: Allowance::Rate(rate),
            gateway: None,
        });
        let (mut bucket, now) = (Bucket::default(), Duration::from_secs(1_800_000_000));
        for (cost, owed, has_debt) in steps {
            let owed = if has_debt { owed } else { 0 };
            let holder = Holder { id: Uuid::nil(), tool: "".into() };
            let key = (scene.workspace, limit.id, holder);
            let limit = Arc::clone(&limit);
            let need = cost.max(1);
            let asked = Asked { key, limit, cost, owed, need, floor: 0, seed: None };
            let wall = scene.api.clock.now();
            let now_there = Now { wall, elapsed: Duration::ZERO };
            if burst < cost.max(1) {
                continue;
            }
            rate.overdraw(&mut bucket, owed, now);
            // Beyond that the two differ: there it is always 142 years.
            if LONGEST
                < rate.used(&bucket, now).saturating_add(need).saturating_mul(86_400) / amount
            {
                break;
            }
            let expected = rate.take(&mut bucket, cost, now);
            let answer = link.run(&[asked.name(now_there)], &asked.args(now_there)).await.unwrap();
            match (answer.as_slice(), expected) {
                ([0], Ok(())) => {}
                ([1, 1, wait], Err(Short::For(expected))) => {
                    let wait = Duration::from_micros(u64::try_from(*wait).unwrap());
                    assert!(
                        wait <= expected && expected < wait + Duration::from_secs(40),
                        "{rate:?}"
                    );
                }
                told => panic!("{rate:?} {cost} {owed}: {told:?}"),
            }
        }
    }

    /// In seconds.
    const LONGEST: u64 = domain::limits::LONGEST_SPAN / 1_000_000 / 4;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_use_is_owed_and_paid_before_anything_else() {
    let valkey = Valkey::start();
    let scene = Scene::at(valkey.port).await;
    let quota = scene.limit("quota", daily(10)).await;
    assert_eq!(scene.charge(0, &[&quota], 1).await, Ok(()));
    scene.replicas[0].settle(scene.workspace, &[charge(&quota, 20)]);
    assert!(scene.charge(0, &[&quota], 1).await.is_err());
    assert!(scene.charge(1, &[&quota], 1).await.is_err(), "the refusal has charged what was owed");
    scene.settled().await;
    let mut tx = scene.api.fresh.db.read().await.unwrap();
    let holder = charge(&quota, 1).holder;
    let accounts = &scene.replicas[0].accounts;
    let used = accounts.used_by(&mut tx, scene.workspace, &quota, &holder).await.unwrap();
    assert_eq!(used, 21, "the database knows of it, too");
}

/// H179: it has forgotten everything, or some of it.
#[tokio::test(flavor = "multi_thread")]
async fn h179_a_quota_does_not_begin_anew_where_the_store_is_empty() {
    let valkey = Valkey::start();
    let scene = Scene::at(valkey.port).await;
    let quota = scene.limit("quota", daily(30)).await;
    assert_eq!(scene.admitted(&[&quota], 20).await, 20);
    scene.settled().await;
    assert!(valkey.say("FLUSHALL").starts_with("+OK"));
    // Some other replica, which has used nothing.
    let third = {
        let accounts = Arc::clone(&scene.replicas[0].accounts);
        let shared = Shared::new(at(valkey.port), accounts);
        shared.connect().await;
        shared
    };
    let one = || vec![charge(&quota, 1)];
    for left in (0..10).rev() {
        assert_eq!(third.charge(scene.workspace, one()).await, Ok(()), "{left}");
    }
    assert!(third.charge(scene.workspace, one()).await.is_err());
    // And where it counts from some time ago, each takes it for no less than its own.
    let keys = valkey.say("KEYS *");
    let key = keys.lines().find(|it| it.starts_with("ostiary:")).unwrap().to_owned();
    assert!(valkey.say(&format!("SET {key} 0")).starts_with("+OK"));
    assert_eq!(scene.charge(0, &[&quota], 1).await, Ok(()));
    assert_eq!(valkey.say(&format!("GET {key}")).lines().nth(1), Some("11"));
    assert!(valkey.say(&format!("SET {key} none")).starts_with("+OK"));
    scene.settled().await;
    assert!(scene.charge(0, &[&quota], 1).await.is_err(), "the database knows");
}

/// H179: it goes away and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn h179_while_the_store_is_away_the_database_goes_on_from_where_it_was() {
    let valkey = Valkey::start();
    let port = valkey.port;
    let scene = Scene::at(port).await;
    let (quota, rate) =
        (scene.limit("quota", daily(30)).await, scene.limit("rate", slow(30)).await);
    assert_eq!(scene.admitted(&[&quota, &rate], 12).await, 12);
    scene.settled().await;
    drop(valkey);
    let mut admitted = 0;
    for i in 0..10 {
        admitted += usize::from(scene.charge(i % 2, &[&quota, &rate], 1).await.is_ok());
    }
    assert_eq!(admitted, 10, "what is left in the database");
    assert!(!scene.is_used());
    scene.settled().await;
    let valkey = Valkey::start_at(port).expect("the port is free again");
    for it in &scene.replicas {
        it.connect().await;
    }
    assert!(scene.is_used());
    // What was used without it may count twice, and never not at all.
    let more = scene.admitted(&[&quota], 64).await;
    assert!(more <= 8, "{more}");
    drop(valkey);
}

/// H179: whatever it says, nobody uses more than the limit, and calls go on.
#[tokio::test(flavor = "multi_thread")]
async fn h179_whatever_the_store_answers_a_limit_holds() {
    let none = "$40\r\n0000000000000000000000000000000000000000\r\n";
    let long = format!("*100000000\r\n{}", ":0\r\n".repeat(9));
    let cases: [(&str, &str, usize); 9] = [
        ("always yes", "*1\r\n:0\r\n", 20),
        ("another number", "*1\r\n:7\r\n", 10),
        ("a place that is none", "*3\r\n:1\r\n:99\r\n:5\r\n", 10),
        ("missing for ever", "*2\r\n:2\r\n:1\r\n", 10),
        ("missing beyond", "*2\r\n:2\r\n:-9\r\n", 10),
        ("an error", "-READONLY no\r\n", 10),
        ("text", "+OK\r\n", 10),
        ("no protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", 10),
        ("too much", &long, 10),
    ];
    for (case, answer, most) in cases {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = answer.to_owned();
        // The first run, which asks for nothing, is answered well.
        let tasks = TaskTracker::new();
        let players = tasks.clone();
        let playing = tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                players.spawn(play(stream, none.to_owned(), answer.clone()));
            }
        });
        let scene = Scene::at(port).await;
        assert!(scene.is_used(), "{case}");
        let quota = scene.limit("quota", daily(10)).await;
        let mut admitted = 0;
        for i in 0..64 {
            admitted += usize::from(scene.charge(i % 2, &[&quota], 1).await.is_ok());
        }
        assert_eq!(admitted, most, "{case}");
        playing.abort();
    }
}

async fn play(mut stream: tokio::net::TcpStream, load: String, answer: String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut heard = Vec::new();
    let mut said = 0;
    while stream.read_buf(&mut heard).await.is_ok_and(|it| 0 < it) {
        // Whole commands: each is sent when the one before has been answered.
        if !heard.ends_with(b"\r\n") {
            continue;
        }
        let reply = match said {
            0 => load.as_str(),
            1 => "*1\r\n:0\r\n",
            _ => answer.as_str(),
        };
        said += 1;
        heard.clear();
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
