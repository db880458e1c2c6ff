//! A plain balancer of connections, with no idea of what they carry: in turn to those who say that
//! they are ready.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tests::line::Line;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How often it asks whether those behind it are ready.
const LOOK: Duration = Duration::from_millis(100);

/// Ends with this value.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    behind: Mutex<Vec<Behind>>,
    /// Connections that nobody took.
    refused: Mutex<Vec<String>>,
}

struct Behind {
    address: SocketAddr,
    is_ready: bool,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, mut tasks) = (Arc::<Shared>::default(), JoinSet::new());
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        tasks.spawn(look(Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn add(&self, address: SocketAddr) {
        self.shared.behind.lock().unwrap().push(Behind { address, is_ready: true });
    }

    pub(crate) fn remove(&self, address: SocketAddr) {
        self.shared.behind.lock().unwrap().retain(|it| it.address != address);
    }

    /// Connections that somebody who was ready did not take.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for turn in 0.. {
        let (mut near, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        let address = {
            let behind = shared.behind.lock().unwrap();
            let ready: Vec<_> =
                behind.iter().filter(|it| it.is_ready).map(|it| it.address).collect();
            ready[turn % ready.len()]
        };
        connections.spawn(async move {
            match TcpStream::connect(address).await {
                Ok(mut far) => drop(copy_bidirectional(&mut near, &mut far).await),
                Err(error) => shared.refused.lock().unwrap().push(format!("{address}: {error}")),
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn look(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let all: Vec<_> = shared.behind.lock().unwrap().iter().map(|it| it.address).collect();
        for address in all {
            let request = Request::get("/readyz").header("host", address.to_string());
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let answer = Line::to(address).whole(request).await;
            let is_ready = answer.is_ok_and(|(status, _)| status == 200);
            let mut behind = shared.behind.lock().unwrap();
            if let Some(one) = behind.iter_mut().find(|it| it.address == address) {
                one.is_ready = is_ready;
            }
        }
    }
}
