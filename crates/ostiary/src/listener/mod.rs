//! The front door's sockets: from a connection to a request that is what it seems.
//!
//! [`bind`] checks the settings and takes the port; [`Bound::serve`] accepts on the caller's
//! runtime and hands each connection to one of a few threads, in turn. Each of them runs a
//! runtime of its own and has an [`App`] of its own, so a request never changes threads.
//!
//! What a connection passes, in this order:
//!
//! 1. `accept`: a cap on connections, and patience when descriptors run out
//! 2. `tls`: the handshake, with an end
//! 3. `transport`: writes that stall end; closing waits briefly for what is still under way
//! 4. `strict` (HTTP/1) or `frames` (HTTP/2): whatever is ambiguous or a flood ends here, before
//!    the HTTP library sees it
//! 5. `front`: what is left to refuse in either version, and a panic becomes one failed request
//!
//! The peer that an [`App`] is told of is always the socket's. Headers that claim another are
//! not read here.

mod accept;
mod connection;
mod ending;
mod frames;
mod front;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gauge;
mod ledger;
mod pulse;
mod refusal;
mod settings;
mod strict;
mod tls;
mod transport;
mod worker;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use rustix::net::SocketType;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

pub use self::ending::Ending;
pub use self::gauge::Gauge;
pub use self::settings::{Limits, ListenError, Settings, TlsFiles};

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What answers requests. Each worker thread makes its own.
pub trait App: Send + Sync + 'static {
    /// The body of an answer. Several small pieces are written together without being copied.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;

    /// Answers one request from `peer`, which is the other end of the socket.
    ///
    /// The future is dropped when the client goes away.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Waits for what is under way on this thread beside its connections: asked once nothing new is
    /// accepted, and no longer than for those.
    fn finish(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Ends what is still under way when the grace is over, so that clients are told why. What has not
    /// ended two seconds after that is dropped.
    fn end(&self) {}
}

/// A port that has been taken, and nothing accepted yet.
pub struct Bound {
    socket: TcpListener,
    inherited: Option<mpsc::Receiver<TcpStream>>,
    address: SocketAddr,
    certificate: Option<tls::Certificate>,
    acceptor: Option<TlsAcceptor>,
    limits: Arc<Limits>,
    workers: usize,
    gauge: Arc<Gauge>,
    is_stalled: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Takes the port. Nothing is accepted before [`Bound::serve`].
///
/// # Errors
/// The settings are unsafe, the port cannot be had, or the certificate cannot be used.
pub async fn bind(settings: Settings) -> Result<Bound, ListenError> {
    settings.check()?;
    let at = settings.listen;
    let socket = tokio::net::TcpListener::bind(at).await;
    let socket = socket.and_then(tokio::net::TcpListener::into_std);
    adopt(settings, socket.map_err(|source| ListenError::bind(at, source))?)
}

/// Takes a socket that listens already, whoever has bound it. Its address is the one in the settings
/// that counts.
///
/// # Errors
/// It is no listening TCP socket, or as [`bind`].
pub fn adopt(mut settings: Settings, socket: TcpListener) -> Result<Bound, ListenError> {
    let at = settings.listen;
    let failed = |source| ListenError::bind(at, source);
    settings.listen = socket.local_addr().map_err(failed)?;
    settings.check()?;
    let is_stream = rustix::net::sockopt::socket_type(&socket) == Ok(SocketType::STREAM);
    if !is_stream || rustix::net::sockopt::socket_acceptconn(&socket) != Ok(true) {
        return Err(ListenError::NotListening);
    }
    socket.set_nonblocking(true).map_err(failed)?;
    // Once more, which only makes room: while one process follows another, nobody accepts.
    rustix::net::listen(&socket, BACKLOG).map_err(|error| failed(error.into()))?;
    let certificate = settings.tls.map(tls::Certificate::load).transpose()?;
    let acceptor = match (&certificate, settings.peers) {
        (_, Some(peers)) => Some(TlsAcceptor::from(peers)),
        (Some(certificate), None) => Some(certificate.acceptor()?),
        (None, None) => None,
    };
    let address = settings.listen;
    Ok(Bound {
        socket,
        inherited: None,
        address,
        certificate,
        acceptor,
        limits: Arc::new(settings.limits),
        workers: settings.workers.max(1),
        gauge: Arc::default(),
        is_stalled: Box::new(|| false),
    })
}

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;

impl Bound {
    /// Serves these connections as well, which a predecessor has accepted.
    #[must_use]
    pub fn with_connections(mut self, inherited: mpsc::Receiver<TcpStream>) -> Self {
        self.inherited = Some(inherited);
        self
    }

    /// Another handle of the socket, which stays open with it.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn socket(&self) -> Result<TcpListener, ListenError> {
        self.socket.try_clone().map_err(|source| ListenError::bind(self.address, source))
    }

    /// The address as taken: with port 0 in the settings, the port that was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Counts that outlive `serve`'s taking of this value, for readiness and metrics.
    pub fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// Says what tells that something has stopped that a worker may have to wait for. The clients of
    /// a worker that does not answer meanwhile are let go after two seconds.
    #[must_use]
    pub fn let_go_when(mut self, is_stalled: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_stalled = Box::new(is_stalled);
        self
    }

    /// Accepts until it is to end, then lets what is under way finish, for as long as the limits say,
    /// and returns.
    ///
    /// `make_app` is called once on each worker thread, inside its runtime, with its number.
    ///
    /// # Errors
    /// A worker thread could not be started, or has died.
    pub async fn serve<A: App>(
        self,
        make_app: impl Fn(usize) -> Arc<A> + Send + Sync + 'static,
        ending: Arc<Ending>,
    ) -> Result<(), ListenError> {
        let at = self.address;
        let socket = tokio::net::TcpListener::from_std(self.socket);
        let socket = socket.map_err(|source| ListenError::bind(at, source))?;
        let sources = accept::Sources { socket, inherited: self.inherited };
        let shop = worker::Shop {
            acceptor: self.acceptor,
            limits: Arc::clone(&self.limits),
            ending: Arc::clone(&ending),
        };
        let workers = worker::start(self.workers, shop, Arc::new(make_app)).await?;
        let watched = tls::watch(self.certificate, self.limits.certificate_check);
        let outcome = tokio::select! {
            biased;
            outcome = accept::run(sources, &workers, &self.limits, (&self.gauge, &ending)) => outcome,
            () = watched => Ok(()),
            () = workers.watch(&self.is_stalled) => Ok(()),
        };
        workers.finish().await.and(outcome)
    }
}
