//! An HTTP server made of plain bytes, so that it can be as wrong as it likes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use proxy::wire::{Endpoint, Guard, HttpWire, Outgoing, Reply, SendError, WireError, WireLimits};

/// Listens on loopback and plays one script per connection.
pub struct Peer {
    pub address: SocketAddr,
    connections: Arc<(Mutex<usize>, Condvar)>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// One connection of a [`Peer`].
pub struct Connection {
    pub stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new((Mutex::new(0), Condvar::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, count, log) =
            (Arc::new(script), Arc::clone(&connections), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // A test that has gone wrong must not hang.
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                stream.set_nodelay(true).unwrap();
                *count.0.lock().unwrap() += 1;
                count.1.notify_all();
                let mut connection = Connection { stream, requests: Arc::clone(&log) };
                let script = Arc::clone(&script);
                thread::spawn(move || script(&mut connection));
            }
        });
        Self { address, connections, requests }
    }

    /// Answers every request with these bytes, then closes.
    pub fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |connection| {
            if connection.request().is_some() {
                connection.say(&answer);
            }
        })
    }

    /// Answers every request with these bytes for as long as it is asked.
    pub fn keeping_on(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |connection| {
            while connection.request().is_some() {
                connection.say(&answer);
            }
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn endpoint(&self) -> Endpoint {
        development().parse_url(&self.url("/mcp")).unwrap()
    }

    /// How many have been accepted: exact once each of them has answered something.
    pub fn connections(&self) -> usize {
        *self.connections.0.lock().unwrap()
    }

    /// Waits until that many have been accepted, and no longer than a while.
    pub fn has_accepted(&self, connections: usize) -> bool {
        let (count, changed) = &*self.connections;
        let count = count.lock().unwrap();
        let limit = Duration::from_secs(20);
        let waited = changed.wait_timeout_while(count, limit, |count| *count < connections);
        *waited.unwrap().0 == connections
    }

    /// Heads and bodies of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Connection {
    /// The next request, head and body; nothing at the end of the connection.
    pub fn request(&mut self) -> Option<String> {
        let head = self.head()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        let request = head + &String::from_utf8(body).unwrap();
        self.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// The next request's head, up to its blank line.
    pub fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        Some(String::from_utf8(head).unwrap())
    }

    /// Whether all of it could be written.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits for the other side to close.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = [0; 1024];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

pub fn development() -> Guard {
    Guard { allow_loopback: true, allowed: Vec::new() }
}

pub fn wire(limits: WireLimits) -> HttpWire {
    HttpWire::new(development(), tls(), limits)
}

/// For tests that never come so far as to trust anybody.
pub fn tls() -> Arc<rustls::ClientConfig> {
    let key = rcgen::generate_simple_self_signed(["nobody.test".to_owned()]).unwrap();
    Arc::new(proxy::wire::client_config(&[key.cert.der().clone()]).unwrap())
}

pub fn post(body: &'static str) -> Outgoing {
    let body = vec![Bytes::from_static(body.as_bytes())];
    Outgoing { method: Method::POST, headers: HeaderMap::new(), body }
}

/// Checks out and sends, as often as a pooled connection turns out to be closed.
pub async fn call(wire: &HttpWire, endpoint: &Endpoint) -> Result<Reply, WireError> {
    loop {
        match wire.checkout(endpoint).await?.send(post("{}")).await {
            Ok(reply) => return Ok(reply),
            Err(SendError::Failed { error, .. }) => return Err(error),
            Err(SendError::Unsent(_)) => {}
        }
    }
}

/// One call from its beginning to the end of its answer.
pub async fn fetch(wire: &HttpWire, endpoint: &Endpoint) -> Result<Bytes, WireError> {
    call(wire, endpoint).await?.collect(usize::MAX).await
}

/// An answer with a body of known length.
pub fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
