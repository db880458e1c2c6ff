//! One HTTP/1.1 call to an upstream.
//!
//! 1. [`HttpWire::checkout`] gives a live connection, pooled or new: [`Ready`]. Nothing of the call
//!    has been written yet, so the caller passes its last gate here.
//! 2. [`Ready::send`] writes the request and reads the head of the answer: [`Reply`].
//! 3. [`Reply::next`] gives the body, piece by piece, as it comes.
//!
//! The connection is driven by whoever waits for it, in the caller's own task. Dropping any of the
//! three closes it; a reply that has been read to its end gives it back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::client::conn::http1;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::dial::{Dialer, Resolve, SystemResolver};
use super::error::{SendError, WireError};
use super::guard::{Endpoint, Guard};
use super::live::{Asked, Live, Pieces};
use super::pool::Pool;
use super::reply::{self, Reply};
use super::stdio::Hold;

/// The HTTP connections of one worker: they are bound to the runtime that opened them.
#[derive(Clone)]
pub struct HttpWire {
    shared: Arc<Shared>,
}

/// Bounds on every wait and every buffer.
#[derive(Clone, Copy, Debug)]
pub struct WireLimits {
    /// For name, connection and TLS together.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub head: Duration,
    /// Between two pieces of a body.
    pub quiet: Duration,
    /// From the request to the end of the answer, whatever keeps coming.
    pub total: Duration,
    /// How long a connection is kept unused.
    pub idle: Duration,
    /// How many connections are kept unused for one origin.
    pub idle_per_origin: usize,
    /// Of one answer's body.
    pub response_bytes: usize,
    /// Of one answer's head.
    pub header_bytes: usize,
    /// How many header lines an answer may have.
    pub headers: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            quiet: Duration::from_secs(60),
            total: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            idle_per_origin: 256,
            response_bytes: 128 << 20,
            header_bytes: 64 << 10,
            headers: PARSER_HEADERS,
        }
    }
}

/// What the parser keeps room for without allocating.
const PARSER_HEADERS: usize = 100;

/// A live connection, before anything of the call has been written.
pub struct Ready {
    live: Box<Live>,
    shared: Arc<Shared>,
    endpoint: Endpoint,
    head: Duration,
}

/// A request without what belongs to the connection: `Host`, framing and encoding are set here.
#[derive(Debug)]
pub struct Outgoing {
    /// How.
    pub method: Method,
    /// Without hop-by-hop headers, which would be removed.
    pub headers: HeaderMap,
    /// Written one after the other, without being joined.
    pub body: Vec<Bytes>,
}

pub(super) struct Shared {
    dialer: Dialer,
    http: http1::Builder,
    pub(super) limits: WireLimits,
    pub(super) pool: Pool,
}

impl HttpWire {
    /// Resolves names as the system does.
    #[must_use]
    pub fn new(guard: Guard, tls: Arc<rustls::ClientConfig>, limits: WireLimits) -> Self {
        Self::with_resolver(guard, tls, limits, Arc::<SystemResolver>::default())
    }

    /// With a resolver of the caller's.
    #[must_use]
    pub fn with_resolver(
        guard: Guard,
        tls: Arc<rustls::ClientConfig>,
        limits: WireLimits,
        resolver: Arc<dyn Resolve>,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.max_header_size(limits.header_bytes);
        // Setting it makes the parser allocate, so it is left alone where it changes nothing.
        if limits.headers != PARSER_HEADERS {
            http.max_headers(limits.headers);
        }
        let tls = TlsConnector::from(tls);
        let dialer = Dialer { guard, resolver, tls, limit: limits.connect };
        let pool = Pool::new(limits.idle, limits.idle_per_origin);
        Self { shared: Arc::new(Shared { dialer, http, limits, pool }) }
    }

    /// A live connection to the endpoint's origin: a pooled one if there is one, else a new one.
    ///
    /// # Errors
    ///
    /// If the endpoint may not or cannot be connected to.
    pub async fn checkout(&self, endpoint: &Endpoint) -> Result<Ready, WireError> {
        let Some(mut live) = self.shared.pool.take(endpoint.origin(), Instant::now()) else {
            return self.connect(endpoint).await;
        };
        // That of an earlier request is of no account.
        live.hold(None);
        Ok(self.ready(live, endpoint))
    }

    /// A new connection to the endpoint's origin.
    ///
    /// # Errors
    ///
    /// As [`HttpWire::checkout`].
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Ready, WireError> {
        // Its type ends here: what holds a call has many levels, and the compiler follows only so
        // many of them.
        let stream = self.shared.dialer.dial(endpoint).boxed().await?;
        Ok(self.ready(Live::open(stream, &self.shared.http).await?, endpoint))
    }

    fn ready(&self, live: Box<Live>, endpoint: &Endpoint) -> Ready {
        let shared = Arc::clone(&self.shared);
        let head = shared.limits.head;
        Ready { live, shared, endpoint: endpoint.clone(), head }
    }

    /// Closes every connection that nobody uses.
    pub fn close_idle(&self) {
        self.shared.pool.clear();
    }

    /// The guard that checks every connect.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.shared.dialer.guard
    }
}

impl Ready {
    /// Waits this long for the head of the answer, instead of as long as the limits say.
    #[must_use]
    pub fn with_head_limit(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// Writes the request only as long as this is open, to its last byte. It need not outlive the
    /// request; once it is gone nothing more is written either.
    #[must_use]
    pub fn held(mut self, hold: Weak<dyn Hold>) -> Self {
        self.live.hold(Some(hold));
        self
    }

    /// Writes the request and waits for the head of the answer.
    ///
    /// # Errors
    ///
    /// [`SendError`] says whether the upstream may have seen the request.
    pub async fn send(self, request: Outgoing) -> Result<Reply, SendError> {
        let Self { mut live, shared, endpoint, head } = self;
        // The gate between checkout and here may have taken its time.
        if !live.is_usable_now() {
            return Err(SendError::Unsent(request));
        }
        let begun = Instant::now();
        let is_head = request.method == Method::HEAD;
        let response = match live.ask(assemble(&endpoint, request), head).await {
            Asked::Answered(response) => response,
            Asked::Unsent(request) => return Err(SendError::Unsent(dismantle(request))),
            Asked::Failed { error, written } => {
                let error = error.into_wire(shared.limits.header_bytes);
                return Err(SendError::Failed { error, written });
            }
        };
        let origin = Arc::clone(endpoint.shared_origin());
        let exchange = reply::Exchange { live, shared, origin, begun };
        Reply::new(exchange, response, is_head)
            .map_err(|error| SendError::Failed { error, written: true })
    }
}

fn assemble(endpoint: &Endpoint, outgoing: Outgoing) -> Request<Pieces> {
    let Outgoing { method, mut headers, body } = outgoing;
    for name in OURS {
        headers.remove(name);
    }
    let body = Pieces::new(body);
    headers.insert(HOST, endpoint.authority());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if body.left() > 0 || method == Method::POST {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.left()));
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = endpoint.target();
    *request.headers_mut() = headers;
    request
}

fn dismantle(request: Request<Pieces>) -> Outgoing {
    let (head, body) = request.into_parts();
    Outgoing { method: head.method, headers: head.headers, body: body.into_vec() }
}

/// Headers that belong to the connection or to the framing: a caller's would desynchronise it.
const OURS: [HeaderName; 7] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
