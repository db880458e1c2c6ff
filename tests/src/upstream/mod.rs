//! The server behind the gateway, played by the test.
//!
//! What a client of either era must hear to get acquainted (`server/discover`, `initialize`, lists)
//! is answered by the plan. All else waits for the test, which takes it with [`Upstream::next`] and
//! answers by hand; so no test needs to guess how long anything takes. A method can also be given a
//! script.

mod arrived;
mod plan;
mod sse;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::arrived::{Arrived, Talk};
pub use self::plan::Plan;

use crate::text;
use crate::wait::within;

/// A server that a test plays. Ends with this value.
pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
    arrivals: tokio::sync::Mutex<mpsc::Receiver<Arrived>>,
    _listener: JoinSet<()>,
}

/// One request that has arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST`, `GET` or `DELETE`.
    pub verb: String,
    pub headers: HeaderMap,
    pub body: String,
    /// The JSON-RPC method; empty where there is none.
    pub method: String,
    /// Path and query.
    pub target: String,
}

pub(crate) struct Shared {
    plan: Plan,
    ledger: Mutex<Vec<Seen>>,
    arrivals: mpsc::Sender<Arrived>,
    sessions: AtomicU64,
    streams: sse::Streams,
    /// Whether every message is refused with 503.
    is_down: AtomicBool,
    /// What is being done with what has arrived.
    scripts: Mutex<JoinSet<()>>,
}

impl Upstream {
    /// From now on refuses every message with 503, or no longer does.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::Relaxed);
    }

    /// Plays a server on a port of its own.
    pub(crate) async fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (sender, arrivals) = mpsc::channel(1_000);
        let shared = Arc::new(Shared {
            plan,
            ledger: Mutex::default(),
            arrivals: sender,
            sessions: AtomicU64::new(1),
            streams: sse::Streams::default(),
            is_down: AtomicBool::new(false),
            scripts: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&shared)));
        Self { url, shared, arrivals: tokio::sync::Mutex::new(arrivals), _listener: tasks }
    }

    /// The next message that is the test's to answer.
    pub async fn next(&self) -> Arrived {
        let next = async { self.arrivals.lock().await.recv().await.unwrap() };
        within("a message at the upstream", next).await
    }

    /// The next one of a method, with those of others that wait since.
    pub async fn next_of(&self, method: &str) -> (Arrived, Vec<Arrived>) {
        let mut others = Vec::new();
        loop {
            let arrived = self.next().await;
            if arrived.method == method {
                return (arrived, others);
            }
            others.push(arrived);
        }
    }

    /// Everything that has arrived so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.ledger.lock().unwrap().clone()
    }

    /// Everything of one method.
    pub fn seen_of(&self, method: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|it| it.method == method).collect()
    }

    /// What has arrived beyond getting acquainted: what clients have caused.
    pub fn calls(&self) -> Vec<Seen> {
        let is_call = |it: &Seen| it.verb == "POST" && !plan::is_acquaintance(&it.method);
        self.seen().into_iter().filter(is_call).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.scripts.lock().unwrap().abort_all();
    }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    /// A value inside its body, as it is written there.
    pub fn raw(&self, path: &[&str]) -> String {
        text::raw(&self.body, path)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let service = service_fn(move |request| arrived::take(Arc::clone(&shared), request));
    // How a connection ends is up to the test.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}
