//! A server that writes down every call that reaches it, and knows what had reached it when. A call
//! with an argument `events` is answered with a stream of so many and the result.
//!
//! What reaches a process is first in its kernel, so the moment at which it is read proves little
//! on a busy machine. A [`Mark`] therefore counts, on each connection, the bytes that have been read
//! and those that wait to be read: a call that ends within them had arrived when the mark was made.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::ioctl_fionread;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::wait::within;

/// The server. Ends with this value. It has a thread of its own, so that nobody's work delays it.
pub struct Ledger {
    pub url: String,
    shared: Arc<Shared>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

/// One call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The argument `nonce`.
    pub nonce: u64,
    connection: u64,
    /// How many bytes of the connection there were with its last one.
    end: u64,
}

/// How much had arrived at some moment.
#[derive(Clone, Debug, Default)]
pub struct Mark(HashMap<u64, u64>);

struct Shared {
    address: SocketAddr,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// What connections that are closed have brought.
    closed: Mutex<HashMap<u64, u64>>,
    next: AtomicU64,
    accepted: Notify,
    arrivals: Mutex<Vec<Arrival>>,
}

struct Connection {
    number: u64,
    peer: SocketAddr,
    stream: TcpStream,
    /// Bytes read so far. Whoever reads holds it, so that none are on their way between two counts.
    read: Mutex<u64>,
}

impl Ledger {
    /// Starts it on a port of its own.
    pub async fn start() -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
                let listener = listener.unwrap();
                let shared = Arc::new(Shared::at(listener.local_addr().unwrap()));
                assert!(tell.send(Arc::clone(&shared)).is_ok(), "the test waits for it");
                tokio::select! {
                    () = accept(&listener, &shared) => {}
                    // Either way the test is over.
                    _ = stopped => {}
                }
            });
        });
        let shared = told.await.unwrap();
        let url = format!("http://{}/mcp", shared.address);
        Self { url, shared, _stop: stop }
    }

    /// What has arrived by now.
    pub async fn mark(&self) -> Mark {
        let mut mark = self.shared.count();
        // There may be connections that the kernel has accepted and nobody else has: they wait in
        // line, so when this one has been met they have been as well.
        let probe = within("the ledger", TcpStream::connect(self.shared.address)).await.unwrap();
        let own = probe.local_addr().unwrap();
        loop {
            let accepted = self.shared.accepted.notified();
            if self.shared.open.lock().unwrap().values().any(|it| it.peer == own) {
                break;
            }
            within("the ledger accepts", accepted).await;
        }
        for (number, bytes) in self.shared.count() {
            mark.entry(number).or_insert(bytes);
        }
        Mark(mark)
    }

    /// All calls so far, those of one connection in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.shared.next.load(Ordering::Relaxed)
    }
}

impl Mark {
    /// Whether the call had arrived.
    pub fn covers(&self, arrival: &Arrival) -> bool {
        self.0.get(&arrival.connection).is_some_and(|bytes| arrival.end <= *bytes)
    }
}

impl Shared {
    fn at(address: SocketAddr) -> Self {
        Self {
            address,
            open: Mutex::default(),
            closed: Mutex::default(),
            next: AtomicU64::new(0),
            accepted: Notify::new(),
            arrivals: Mutex::default(),
        }
    }

    /// The bytes that have arrived, by connection.
    fn count(&self) -> HashMap<u64, u64> {
        let open = self.open.lock().unwrap();
        let mut count = self.closed.lock().unwrap().clone();
        for connection in open.values() {
            let read = connection.read.lock().unwrap();
            // A connection that has been reset has nothing more to read.
            let waiting = ioctl_fionread(&connection.stream).unwrap_or(0);
            count.insert(connection.number, *read + waiting);
        }
        count
    }

    fn meet(&self, stream: TcpStream, peer: SocketAddr) -> Arc<Connection> {
        stream.set_nodelay(true).unwrap();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection { number, peer, stream, read: Mutex::default() });
        self.open.lock().unwrap().insert(number, Arc::clone(&connection));
        self.accepted.notify_waiters();
        connection
    }

    fn forget(&self, connection: &Connection) {
        let mut open = self.open.lock().unwrap();
        let read = *connection.read.lock().unwrap();
        self.closed.lock().unwrap().insert(connection.number, read);
        open.remove(&connection.number);
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let (shared, connection) = (Arc::clone(shared), shared.meet(stream, peer));
        connections.spawn(async move {
            serve(&shared, &connection).await;
            shared.forget(&connection);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Until the other side closes.
async fn serve(shared: &Shared, connection: &Connection) {
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Ok(Some(read)) = connection.read(&mut bytes).await {
        total += read;
        while let Some((body, length)) = request(&bytes) {
            let message: Value = serde_json::from_slice(body).unwrap_or_default();
            let end = total - (bytes.len() - length) as u64;
            if let Some(nonce) = message["params"]["arguments"]["nonce"].as_u64() {
                let arrival = Arrival { nonce, connection: connection.number, end };
                shared.arrivals.lock().unwrap().push(arrival);
            }
            bytes.drain(..length);
            let answered = match message["params"]["arguments"]["events"].as_u64() {
                None => connection.write(answer(&message).as_bytes()).await,
                Some(events) => stream(connection, &message, events).await,
            };
            if answered.is_err() {
                return;
            }
        }
    }
}

impl Connection {
    /// Reads what is there; nothing at the end.
    async fn read(&self, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let mut chunk = [0; 16 << 10];
        loop {
            self.stream.readable().await?;
            let mut count = self.read.lock().unwrap();
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => {
                    *count += read as u64;
                    bytes.extend_from_slice(&chunk[..read]);
                    return Ok(Some(read as u64));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The body of the first whole request, and how long the request is.
fn request(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let head = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|it| it.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |it| it.trim().parse().unwrap());
    let body = bytes.get(head..head + length)?;
    Some((body, head + length))
}

/// The answer to a call as a stream, with that many events before the result.
async fn stream(connection: &Connection, message: &Value, events: u64) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
    connection.write(format!("{head}\r\n\r\n").as_bytes()).await?;
    let mut ticks = tokio::time::interval(BETWEEN_EVENTS);
    for event in 1..=events {
        ticks.tick().await;
        let token = &message["params"]["_meta"]["progressToken"];
        let data = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{event}}}}}"#
        );
        connection.write(chunk(&data).as_bytes()).await?;
    }
    let last = chunk(&body(message).unwrap_or_default());
    connection.write(format!("{last}0\r\n\r\n").as_bytes()).await
}

fn chunk(data: &str) -> String {
    let event = format!("event: message\ndata: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn answer(message: &Value) -> String {
    let Some(body) = body(message) else {
        return "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_owned();
    };
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn body(message: &Value) -> Option<String> {
    let id = &message["id"];
    let arguments = &message["params"]["arguments"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => format!(
            r#"{{{HINTS},"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}}}"#
        ),
        "tools/list" => {
            format!(r#"{{{HINTS},"tools":[{{"name":"echo","inputSchema":{{"type":"object"}}}}]}}"#)
        }
        "tools/call" => {
            format!(r#"{{"resultType":"complete","content":[],"structuredContent":{arguments}}}"#)
        }
        _ => return None,
    };
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

/// So that a stream lasts, as those do that are worth one.
const BETWEEN_EVENTS: Duration = Duration::from_millis(20);

const HINTS: &str = r#""resultType":"complete","ttlMs":60000,"cacheScope":"private""#;
