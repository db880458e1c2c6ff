//! A listener with an application that tells what it was asked, and a client that says anything.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use ostiary::listener::{App, Bound, Ending, Gauge, ListenError, Settings, bind};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What `/big` answers with.
pub(crate) const BIG: usize = 32 << 20;

/// What reached the application.
#[derive(Default)]
pub(crate) struct Log {
    /// Method, target, body length: of each request whose body was whole.
    pub(crate) seen: Mutex<Vec<(String, String, usize)>>,
    /// Requests that were begun.
    pub(crate) begun: AtomicUsize,
    /// Of those, the ones that were dropped before they were answered.
    pub(crate) dropped: AtomicUsize,
    /// Whoever waits is to end.
    ended: Notify,
}

/// A running listener.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) ending: Arc<Ending>,
    serving: JoinSet<Result<(), ListenError>>,
}

pub(crate) async fn open(edit: impl FnOnce(&mut Settings)) -> Door {
    open_with(edit, |bound| bound).await
}

pub(crate) async fn open_with(
    edit: impl FnOnce(&mut Settings),
    change: impl FnOnce(Bound) -> Bound,
) -> Door {
    let mut settings = Settings::new(([127, 0, 0, 1], 0).into());
    settings.workers = 2;
    settings.limits.linger = Duration::from_millis(200);
    edit(&mut settings);
    let bound = change(bind(settings).await.unwrap());
    let (address, gauge) = (bound.local_addr(), bound.gauge());
    let (log, ending) = (Arc::<Log>::default(), Arc::<Ending>::default());
    let mut serving = JoinSet::new();
    let echo = Arc::new(Echo(Arc::clone(&log)));
    serving.spawn(bound.serve(move |_| Arc::clone(&echo), Arc::clone(&ending)));
    Door { address, log, gauge, ending, serving }
}

impl Door {
    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Says something on a connection of its own, and listens until it is closed.
    pub(crate) async fn talk(&self, words: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The door may close while we speak.
        let said = stream.write_all(words.as_ref()).await;
        let heard = hear(&mut stream).await;
        assert!(said.is_ok() || !heard.is_empty(), "{said:?}");
        heard
    }

    /// The targets that the application has seen.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.log.seen.lock().iter().map(|(_, target, _)| target.clone()).collect()
    }

    pub(crate) fn stop(&self) {
        self.ending.stop();
    }

    /// Stops, and returns when all has ended.
    pub(crate) async fn end(mut self) {
        self.ending.stop();
        let ended = tokio::time::timeout(PATIENCE, self.serving.join_next()).await;
        ended.expect("the listener ends").unwrap().unwrap().unwrap();
    }
}

/// Listens until the other end closes.
pub(crate) async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut heard = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    // A reset is an end as well, once everything has been heard.
    end.expect("the connection is closed").ok();
    String::from_utf8_lossy(&heard).into_owned()
}

/// One answer with a Content-Length, on a connection that stays.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut heard = Vec::new();
    let whole = async {
        loop {
            heard.push(stream.read_u8().await.unwrap());
            if heard.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&heard).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                stream.read_exact(&mut body).await.unwrap();
                heard.append(&mut body);
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("an answer");
    String::from_utf8(heard).unwrap()
}

/// Waits for something that no event tells of.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

struct Echo(Arc<Log>);

impl App for Echo {
    type Body = Full<Bytes>;

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        let mut unfinished = Unfinished(Some(Arc::clone(&self.0)));
        let (parts, body) = request.into_parts();
        let (method, target) = (parts.method.to_string(), parts.uri.path().to_owned());
        match target.as_str() {
            "/panic" => panic!("as asked"),
            "/hang" => pending().await,
            "/wait" => {
                self.0.ended.notified().await;
                return status(StatusCode::SERVICE_UNAVAILABLE, "ended");
            }
            _ => {}
        }
        let words = match target.as_str() {
            "/early" => Some(0),
            _ => body.collect().await.ok().map(|body| body.to_bytes().len()),
        };
        unfinished.0 = None;
        let Some(length) = words else {
            return status(StatusCode::IM_A_TEAPOT, "the body was not whole");
        };
        self.0.seen.lock().push((method.clone(), target.clone(), length));
        match target.as_str() {
            "/early" => status(StatusCode::PAYLOAD_TOO_LARGE, "too much"),
            "/peer" => status(StatusCode::OK, &peer.ip().to_string()),
            "/big" => Response::new(Full::new(Bytes::from(vec![b'.'; BIG]))),
            _ => status(StatusCode::OK, &format!("{method} {target} {length}")),
        }
    }

    fn end(&self) {
        self.0.ended.notify_waiters();
    }
}

fn status(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(words.to_owned())));
    *response.status_mut() = status;
    response
}

struct Unfinished(Option<Arc<Log>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(log) = &self.0 {
            log.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
