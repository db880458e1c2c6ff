//! Replicas that are frozen, or cut off from the database, in the midst of something.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use db::{Db, Tx, sql};
use futures::future::join;
use http::{Method, Request};
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::faults::tracer;
use tests::line::Line;
use tests::load::End;
use tests::wait::{eventually, within};
use tests::{Caller, Client, Relay, Site, Upstream};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::streams::SOON;
use crate::{cut, documents};

/// For as long as a replica that does not look at the database lets go on what is under way, and
/// somewhat longer.
const OVER: Duration = Duration::from_millis(1_200);

/// How long a disk takes that is slow, in microseconds: long enough to freeze whoever waits for it, and
/// shorter than the time within which a record has to be on it.
const SLOW: u32 = 1_300_000;

/// What this is about is short enough to be released in one piece, after which nothing looks.
#[tokio::test]
async fn r3b_an_answer_that_waits_for_its_record_is_not_released_when_its_time_is_over() {
    let Some(mut cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    assert_eq!(cluster.call(1).await, End::Answered);
    cluster.slow_down(1).await;
    assert_eq!(cluster.call(1).await, End::Answered, "whoever waits gets it");
    let end = cluster.frozen_while_recorded(cluster.call(1)).await;
    assert!(matches!(end, End::Refused(_)), "{end:?}");
}

/// The same of an answer that the gateway gives itself.
#[tokio::test]
async fn r3b_what_is_said_of_a_task_is_not_released_when_its_time_is_over() {
    let tool = r#"[{"name":"echo","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}]"#;
    let plan = Upstream::legacy()
        .with_tools(tool)
        .with_capabilities(r#"{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}"#);
    let Some(mut cluster) = Cluster::of(2, plan).await else { return };
    cluster.slow_down(1).await;
    let token = cluster.caller.token.lock().unwrap().clone();
    let mut client = Client::modern_with_token(&cluster.served[1], &cluster.caller.path, &token);
    r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#.clone_into(&mut client.capabilities);
    client.warm_up().await;
    let beginning = async {
        let call = cluster.upstream.next_of("tools/call").await.0;
        call.result(BEGUN);
        cluster.upstream.next_of("tasks/result").await.0.stream()
    };
    let calling = client.send(client.tool("target__echo", "{}"));
    let (begun, _talk) = join(calling, beginning).await;
    let id = begun.json()["result"]["taskId"].as_str().map(str::to_owned);
    let id = id.unwrap_or_else(|| panic!("no task: {}", begun.text()));
    let about =
        || client.request("tasks/get", &format!(r#""taskId":"{id}""#)).with("mcp-name", &id);
    let told = client.send(about()).await;
    assert_eq!(told.json()["result"]["status"], "working", "{}", told.text());
    let told = cluster.frozen_while_recorded(client.send(about())).await;
    assert!(!told.text().contains("working"), "{}", told.text());
}

const BEGUN: &str = r#"{"task":{"taskId":"t1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000,"pollInterval":5}}"#;

#[tokio::test]
async fn r3b_a_request_that_is_still_being_written_stops_when_its_time_is_over() {
    let upstream = Upstream::modern().echoing().start().await;
    let mut server = SlowServer::before(&upstream).await;
    let place = server.relay.url.clone();
    let Some(mut cluster) = Cluster::before(2, upstream, &place).await else { return };
    assert!(cluster.served.pop().unwrap().stop().await.success());
    cluster.served.push(cluster.sites[1].start_configured("", LARGE).await);
    assert_eq!(cluster.call(1).await, End::Answered);

    let address = cluster.served[1].address;
    let mut line = Line::to(address);
    let calling = line.whole(large(&cluster.caller, address));
    let stopping = async {
        server.begins().await;
        cluster.relay.hold(true);
        let held = Instant::now();
        let replicas = cluster.cut().await;
        assert_eq!(replicas["waited_out"], json!([cluster.name(1)]), "{replicas}");
        tokio::time::interval_at(held + OVER, OVER).tick().await;
        server.rest().await
    };
    let (answer, read) = join(calling, stopping).await;
    assert!(read < SIZE, "{read} bytes have reached the server");
    assert!(!answer.is_ok_and(|it| it.0 == 200 && End::of(it.0, &it.1, 7) == End::Answered));
}

#[tokio::test]
async fn r3_a_request_that_is_still_being_written_stops_when_something_is_turned_off() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().echoing().start().await;
        let mut server = SlowServer::before(&upstream).await;
        let documents = documents(&server.relay.url, &upstream.url);
        let served = site.start_configured(&documents, LARGE).await;
        let caller = Caller::of("main", "target", &served.token("bot", "t").await);
        let token = caller.token.lock().unwrap().clone();
        Client::modern_with_token(&served, &caller.path, &token).warm_up().await;
        let mut line = Line::to(served.address);
        let calling = line.whole(large(&caller, served.address));
        let stopping = async {
            server.begins().await;
            let asked = Instant::now();
            cut(&served, "server", "target", None).await;
            assert!(asked.elapsed() < SOON, "{}: {:?}", site.database(), asked.elapsed());
            server.rest().await
        };
        let (answer, read) = join(calling, stopping).await;
        assert!(read < SIZE, "{}: {read} bytes have reached the server", site.database());
        let (status, body) = answer.unwrap();
        assert!(matches!(End::of(status, &body, 7), End::Refused(_)), "{status}");
    }
}

/// Whoever changes something keeps all others from changing anything until it is done.
#[tokio::test]
async fn h171_a_replica_that_is_frozen_in_the_midst_of_a_change_does_not_hold_up_cut_offs() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    let db = cluster.database().await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(sql("LOCK TABLE users IN EXCLUSIVE MODE")).await.unwrap();
    let making = cluster.served[1].ask(Method::POST, "users", Some(json!({"name": "frozen"})));
    let cutting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let waiting = async {
            while count(&mut tx, WAITS).await == 0 {
                ticks.tick().await;
            }
        };
        within("a change under way", waiting).await;
        cluster.signal(1, Signal::STOP);
        // What it has asked for is done, and it never says what is next.
        tx.rollback().await.unwrap();
        let off = cut(&cluster.served[0], "server", "target", None).await;
        cluster.signal(1, Signal::CONT);
        off
    };
    let (made, off) = join(making, cutting).await;
    assert!((500..600).contains(&made.status), "{made:?}; {off}");
    let found = cluster.served[0].ask(Method::GET, "users/frozen", None).await;
    assert_eq!(found.status, 404, "it is undone");
    cluster.restore().await;
    cluster.call_until(1, |it| *it == End::Answered).await;
    db.close().await;
}

const WAITS: &str = "SELECT count(*) FROM pg_locks
                     WHERE relation = 'users'::regclass AND NOT granted";

/// Nothing tells whoever listens that there will be no more notices.
#[tokio::test]
async fn h173_a_connection_on_which_notices_are_missed_is_made_anew() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    let db = cluster.database().await;
    let listening = async || {
        let mut tx = db.begin().await.unwrap();
        let found: Vec<(i64,)> = tx.all(sql(LISTENING)).await.unwrap();
        tx.rollback().await.unwrap();
        let ports = cluster.relay.ports();
        let found = found.into_iter().filter_map(|it| u16::try_from(it.0).ok());
        found.filter(|it| ports.contains(it)).collect::<Vec<_>>()
    };
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let there = async {
        loop {
            if let [deaf] = listening().await[..] {
                return deaf;
            }
            ticks.tick().await;
        }
    };
    let deaf = within("somebody who listens", there).await;
    cluster.relay.hold_one(deaf);
    let again = async {
        while listening().await.iter().all(|it| *it == deaf) {
            cluster.cut().await;
            ticks.tick().await;
        }
    };
    within("somebody who listens anew", again).await;
    cluster.cut_without(&[]).await;
    db.close().await;
}

const LISTENING: &str = "SELECT client_port::bigint FROM pg_stat_activity
    WHERE query LIKE 'LISTEN%' || 'ostiary_' || md5(current_schema()) || '%'";

/// A server that takes no more than one asks it to.
struct SlowServer {
    /// To which the gateway is led.
    relay: Relay,
    listener: TcpListener,
    line: Option<TcpStream>,
}

/// Larger than all that is between the gateway and a server.
const SIZE: usize = 32 << 20;

const LARGE: &str = "largest_request_bytes = 67108864";

impl SlowServer {
    /// In the place of this one, from when something has reached that.
    async fn before(upstream: &Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { relay: Relay::to(&upstream.url).await, listener, line: None }
    }

    /// Takes the place, and waits until a request has begun to come.
    async fn begins(&mut self) {
        let place = self.listener.local_addr().unwrap();
        self.relay.lead_to(&format!("http://{place}/"));
        self.relay.cut();
        let (mut line, _) = within("a connection", self.listener.accept()).await.unwrap();
        let mut first = [0; 1];
        within("a request", line.read_exact(&mut first)).await.unwrap();
        self.line = Some(line);
    }

    /// Takes all that comes; how much that is in bytes.
    async fn rest(&mut self) -> usize {
        let mut line = self.line.take().unwrap();
        let (mut piece, mut read) = (vec![0; 1 << 20], 0);
        loop {
            // A reset is an end as well.
            match within("the end of a request", line.read(&mut piece)).await.unwrap_or(0) {
                0 => return read,
                more => read += more,
            }
            // All of it is here: nobody has stopped it.
            if SIZE <= read {
                return read;
            }
        }
    }
}

/// A call that is larger than that.
fn large(caller: &Caller, address: std::net::SocketAddr) -> Request<Full<Bytes>> {
    let arguments = format!(r#"{{"nonce":7,"text":"{}"}}"#, "x".repeat(SIZE));
    let members = format!(r#""name":"{}","arguments":{arguments}"#, caller.tool);
    caller.ask(address, 7, "tools/call", &members)
}

async fn count(tx: &mut Tx, statement: &'static str) -> i64 {
    let found: Option<(i64,)> = tx.optional(sql(statement)).await.unwrap();
    found.unwrap().0
}

impl Cluster {
    async fn database(&self) -> Db {
        Db::open(self.sites[0].url().unwrap()).await.unwrap()
    }

    /// Starts a replica anew on a disk that is slow, while answers are not released before they are
    /// recorded on it.
    async fn slow_down(&mut self, number: usize) {
        let synced = json!({"durability": "synced"});
        self.served[0].must(Method::PATCH, "/workspaces/default", Some(synced)).await;
        assert!(self.served.remove(number).stop().await.success());
        let site = &self.sites[number];
        let fault = format!("fdatasync:delay_enter={SLOW}");
        let trace = site.home().join("trace");
        let words = tracer(&trace, Some(&fault), &segments(&site.data()));
        let served = site.start_under(&words, &[]).await.unwrap();
        self.served.insert(number, served);
    }

    /// What comes of something that the last replica does, where it is frozen and cut off from the
    /// database while the outcome is being recorded, and wakes when its time is over.
    async fn frozen_while_recorded<T>(&self, doing: impl Future<Output = T>) -> T {
        let number = self.served.len() - 1;
        let ends = || -> Vec<Value> {
            let records = self.sites[number].latest_records();
            records.into_iter().filter(|it| it.kind == "outcome").map(|it| it.leaf).collect()
        };
        let known = ends().len();
        let freezing = async {
            let recorded = || (known < ends().len()).then_some(());
            eventually("an outcome that is being recorded", recorded).await;
            self.signal(number, Signal::STOP);
            let frozen = Instant::now();
            self.relay.hold(true);
            let replicas = self.cut().await;
            assert_eq!(replicas["waited_out"], json!([self.name(number)]), "{replicas}");
            tokio::time::interval_at(frozen + OVER, OVER).tick().await;
            self.signal(number, Signal::CONT);
        };
        let (done, ()) = join(doing, freezing).await;
        let last = ends().pop().unwrap();
        assert_eq!(last["end"], "answered", "{last}");
        self.relay.hold(false);
        done
    }
}

/// All names that the files may have in which a gateway records what happens.
fn segments(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("log").join("segment");
    let names = ["next", "reserve", "probe"].map(str::to_owned).into_iter();
    let names = names.chain((1..=9).map(|it| format!("{it:020}.seg")));
    names.map(|it| folder.join(it)).collect()
}
