//! Clients of every kind that go on calling over restarts, and the three ledgers in which each of
//! their calls must stand: their own, the server's, and the gateway's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tests::line::Line;
use tests::load::{Call, End, once, streamed};
use tests::wait::within;
use tests::{Answer, Caller, Client, Documents, Ledger, Load, Served, Site};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Clients that keep their connections.
const KEPT: u32 = 8;
/// Clients with a connection for each call.
const FRESH: u32 = 4;
/// Clients that are answered with streams.
const STREAMED: u32 = 4;
/// Events of a stream before its result.
const EVENTS: usize = 5;
/// Clients of the older era, each with a session.
const LEGACY: u32 = 4;

/// What goes on while gateways come and go.
pub(crate) struct Clients {
    load: Load,
    others: JoinSet<Done>,
    is_over: Arc<AtomicBool>,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) calls: Vec<Call>,
    /// How many of them were for streams.
    pub(crate) streamed: usize,
    /// Calls of the older era that were answered, and how often a session had to be begun anew.
    pub(crate) legacy: u64,
    pub(crate) sessions: u64,
    /// What should not have happened to them.
    pub(crate) wrong: Vec<String>,
}

pub(crate) fn documents(upstream: &Ledger) -> Documents {
    Documents::of("target", &upstream.url)
}

impl Clients {
    /// Begins to call a gateway with [`documents`].
    pub(crate) async fn of(served: &Served, address: SocketAddr) -> Self {
        Self::with(served, address, &served.token("bot", "t").await)
    }

    /// The same with a token that there is.
    pub(crate) fn with(served: &Served, address: SocketAddr, token: &str) -> Self {
        let caller = Caller::of("main", "target", token);
        let mut load = Load::on(address);
        load.add(KEPT, &caller);
        let (is_over, fresh) = (Arc::<AtomicBool>::default(), Arc::new(AtomicU64::new(1 << 32)));
        let mut others = JoinSet::new();
        for _ in 0..FRESH {
            let (caller, is_over) = (caller.clone(), Arc::clone(&is_over));
            others.spawn(call_afresh(address, caller, Arc::clone(&fresh), is_over));
        }
        let streams = Arc::new(AtomicU64::new(1 << 36));
        for _ in 0..STREAMED {
            let (caller, is_over) = (caller.clone(), Arc::clone(&is_over));
            others.spawn(call_for_streams(address, caller, Arc::clone(&streams), is_over));
        }
        let nonces = Arc::new(AtomicU64::new(1 << 40));
        for _ in 0..LEGACY {
            let nonces = Arc::clone(&nonces);
            let mut client = Client::modern_with_token(served, "/mcp/default/main", token);
            client.move_to(address);
            others.spawn(call_in_sessions(client, nonces, Arc::clone(&is_over)));
        }
        Self { load, others, is_over }
    }

    /// Waits until that many calls more have been answered on connections that are kept.
    pub(crate) async fn progress(&self, calls: u32) {
        self.load.answers(calls).await;
    }

    pub(crate) async fn finish(self) -> Done {
        let Self { load, mut others, is_over } = self;
        is_over.store(true, Ordering::Relaxed);
        let mut done = Done { calls: load.finish().await, ..Done::default() };
        while let Some(one) = within("the last calls", others.join_next()).await {
            let one = one.unwrap();
            done.calls.extend(one.calls);
            done.streamed += one.streamed;
            done.legacy += one.legacy;
            done.sessions += one.sessions;
            done.wrong.extend(one.wrong);
        }
        done
    }
}

impl Done {
    /// Holds the ledgers against each other. `sites` have what was recorded.
    pub(crate) async fn check(&self, upstream: &Ledger, sites: &[&Site], what: &str) {
        let slowest = self.calls.iter().map(|it| it.ended - it.began).max().unwrap_or_default();
        eprintln!(
            "{what}: {} calls on {KEPT} kept and {FRESH} fresh connections at a time, {} of them for \
             {STREAMED} clients with streams, {} in {} sessions of {LEGACY} legacy clients, slowest \
             {slowest:?}",
            self.calls.len(),
            self.streamed,
            self.legacy,
            self.sessions,
        );
        assert!(self.wrong.is_empty(), "{what}: {:?}", self.wrong);
        let mut ends: BTreeMap<&End, usize> = BTreeMap::new();
        self.calls.iter().for_each(|it| *ends.entry(&it.end).or_default() += 1);
        assert_eq!(ends.keys().collect::<Vec<_>>(), [&&End::Answered], "{what}: {ends:?}");
        let all = self.calls.len() as u64 + self.legacy;
        // Each reached the server once, and none did that its client knows nothing of.
        let mut arrived: BTreeMap<u64, usize> = BTreeMap::new();
        upstream.arrivals().iter().for_each(|it| *arrived.entry(it.nonce).or_default() += 1);
        for call in &self.calls {
            assert_eq!(arrived.get(&call.nonce), Some(&1), "{what}: {call:?}");
        }
        assert!(arrived.values().all(|it| *it == 1), "{what}");
        assert_eq!(arrived.len() as u64, all, "{what}");
        // Each stands in a log that holds, with its end.
        let (mut intents, mut ended) = (0, 0);
        for site in sites {
            let (code, said) = site.verify().await;
            assert_eq!(code, Some(0), "{what}: {said}");
            for it in site.records() {
                let is_call = it.text("method") == Some("tools/call");
                intents += u64::from(is_call && it.kind == "intent");
                ended += u64::from(it.kind == "outcome" && it.text("end") == Some("answered"));
            }
        }
        assert_eq!((intents, ended), (all, all), "{what}");
    }
}

async fn call_afresh(
    address: SocketAddr,
    caller: Caller,
    nonces: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
) -> Done {
    let mut done = Done::default();
    while !is_over.load(Ordering::Relaxed) {
        let nonce = nonces.fetch_add(1, Ordering::Relaxed);
        done.calls.push(once(&mut Line::to(address), address, &caller, nonce).await);
    }
    done
}

async fn call_for_streams(
    address: SocketAddr,
    caller: Caller,
    nonces: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
) -> Done {
    let (mut done, mut line) = (Done::default(), Line::to(address));
    while !is_over.load(Ordering::Relaxed) {
        let nonce = nonces.fetch_add(1, Ordering::Relaxed);
        done.calls.push(streamed(&mut line, address, &caller, (nonce, EVENTS)).await);
    }
    done.streamed = done.calls.len();
    done
}

/// Begins a session, and another one when that is not known any more.
async fn call_in_sessions(
    mut client: Client,
    nonces: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
) -> Done {
    let mut done = Done::default();
    while !is_over.load(Ordering::Relaxed) {
        if client.session.is_none() {
            let answer = client.begin_session().await;
            done.sessions += u64::from(answer.status == 200);
            if answer.status != 200 && !is_stopping(&answer) {
                done.wrong.push(answer.text());
            }
            continue;
        }
        let nonce = nonces.fetch_add(1, Ordering::Relaxed);
        let arguments = format!(r#"{{"nonce":{nonce}}}"#);
        let answer = client.send(client.tool("target__echo", &arguments)).await;
        match answer.status {
            200 if answer.text().contains(&arguments) => done.legacy += 1,
            404 => client.session = None,
            _ if is_stopping(&answer) => client.session = None,
            _ => done.wrong.push(answer.text()),
        }
    }
    done
}

/// Whether something has come while its session was being ended, and has not been sent.
fn is_stopping(answer: &Answer) -> bool {
    answer.status == 503 && answer.reason().as_deref() == Some("stopping")
}

/// Nobody who connects is refused, for as long as this is polled.
pub(crate) async fn connect_again_and_again(address: SocketAddr) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    loop {
        ticks.tick().await;
        within("a connection", TcpStream::connect(address)).await.unwrap();
    }
}
