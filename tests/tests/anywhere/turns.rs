//! A balancer of requests, with no idea of what they carry: each goes to the next one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Ends with this value.
pub(crate) struct Turns {
    pub(crate) address: SocketAddr,
    _listener: JoinSet<()>,
}

struct Behind {
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
    connections: Mutex<JoinSet<()>>,
}

impl Turns {
    pub(crate) async fn among(addresses: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = AtomicUsize::new(0);
        let behind = Arc::new(Behind { addresses, next, connections: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                near.set_nodelay(true).unwrap();
                let own = Arc::clone(&behind);
                let service = service_fn(move |request| pass(Arc::clone(&own), request));
                let serving = server::Builder::new().serve_connection(TokioIo::new(near), service);
                // How a connection ends is up to its client.
                behind.connections.lock().unwrap().spawn(async move { drop(serving.await) });
            }
        });
        Self { address, _listener: tasks }
    }
}

async fn pass(
    behind: Arc<Behind>,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper::Error> {
    let turn = behind.next.fetch_add(1, Ordering::Relaxed);
    let far = TcpStream::connect(behind.addresses[turn % behind.addresses.len()]).await.unwrap();
    far.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(far)).await?;
    behind.connections.lock().unwrap().spawn(async move { drop(connection.await) });
    sender.send_request(request).await
}
