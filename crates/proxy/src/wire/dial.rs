//! From an endpoint to an open connection: resolve, check, connect, prove.
//!
//! Only addresses that have just been checked are connected to, so a name that changes its
//! answer between check and connect gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{Wait, WireError};
use super::guard::{Endpoint, Guard, Host};
use super::tls;

/// What a lookup answers.
pub type Lookup<'a> = BoxFuture<'a, io::Result<Vec<IpAddr>>>;

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, best first.
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a>;
}

/// Asks the system, as every other program on the machine does.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    free: Arc<Semaphore>,
}

/// Names that are asked for at once. More wait their turn, as long as they would for an answer.
const LOOKUPS: usize = 64;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let turn = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
            let (sender, answer) = oneshot::channel();
            let host = host.to_owned();
            // A thread of its own: the runtime panics where the system has none left for it.
            let asking = move || {
                let found = (host.as_str(), 0).to_socket_addrs();
                // Whoever asked may have given up.
                sender.send(found.map(|it| it.map(|address| address.ip()).collect())).ok();
                drop(turn);
            };
            thread::Builder::new().name("resolver".to_owned()).spawn(asking)?;
            answer.await.map_err(io::Error::other)?
        })
    }
}

/// Opens connections.
pub(super) struct Dialer {
    pub(super) guard: Guard,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) tls: TlsConnector,
    /// For name, connection and TLS together.
    pub(super) limit: Duration,
}

/// An open connection, encrypted or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dialer {
    pub(super) async fn dial(&self, endpoint: &Endpoint) -> Result<Stream, WireError> {
        let out_of_time = WireError::Timeout { what: Wait::Connect, limit: self.limit };
        let connect = async {
            let addresses = self.addresses(endpoint).await?;
            let tcp = self.connect(&addresses, endpoint.port()).await?;
            // A message is written whole; waiting to fill a segment would only delay it.
            tcp.set_nodelay(true).map_err(|e| refused(&e))?;
            self.secure(endpoint, tcp).await
        };
        timeout(self.limit, connect).await.map_err(|_| out_of_time)?
    }

    /// The addresses that may be connected to: at least one, at most [`MAX_ADDRESSES`].
    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<IpAddr>, WireError> {
        let found = match endpoint.place() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let failed = |reason: String| WireError::Dns { host: name.to_string(), reason };
                let found = self.resolver.lookup(name).await.map_err(|e| failed(e.to_string()))?;
                if found.is_empty() {
                    return Err(failed("it has no address".to_owned()));
                }
                found
            }
        };
        let mut open = Vec::with_capacity(found.len().min(MAX_ADDRESSES));
        let mut blocked = None;
        for address in found {
            match self.permit(endpoint, address) {
                Ok(()) if open.len() < MAX_ADDRESSES => open.push(address),
                Ok(()) => {}
                Err(rule) => blocked = Some(WireError::Blocked { address, rule }),
            }
        }
        match blocked {
            Some(error) if open.is_empty() => Err(error),
            _ => Ok(open),
        }
    }

    fn permit(&self, endpoint: &Endpoint, address: IpAddr) -> Result<(), &'static str> {
        self.guard.check(address)?;
        if endpoint.is_tls() || address.to_canonical().is_loopback() {
            Ok(())
        } else {
            Err("plain HTTP may go to loopback only")
        }
    }

    /// One after the other, each with a fair share of the time that is left.
    async fn connect(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, WireError> {
        let end = Instant::now() + self.limit;
        let mut last = WireError::Timeout { what: Wait::Connect, limit: self.limit };
        for (index, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = now + end.saturating_duration_since(now) / left;
            match timeout_at(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = refused(&error),
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn secure(&self, endpoint: &Endpoint, tcp: TcpStream) -> Result<Stream, WireError> {
        if !endpoint.is_tls() {
            return Ok(Stream::Plain(tcp));
        }
        let name = endpoint.place().server_name();
        let stream = self.tls.connect(name, tcp).await.map_err(|e| tls::explain(&e))?;
        match stream.get_ref().1.alpn_protocol() {
            None | Some(b"http/1.1") => Ok(Stream::Tls(Box::new(stream))),
            Some(_) => Err(WireError::Tls { reason: "it insists on another protocol".to_owned() }),
        }
    }
}

fn refused(error: &io::Error) -> WireError {
    WireError::Connect { reason: error.to_string() }
}

/// Enough for a name with both families; more would let a name use up the time limit.
const MAX_ADDRESSES: usize = 4;

impl Stream {
    /// Whether the other side has closed it, or has sent something while it was not asked. Looks at
    /// the socket itself: the runtime learns of a close only when it next waits for events.
    pub(super) fn is_spent(&self) -> bool {
        let (tcp, is_plain) = match self {
            Self::Plain(stream) => (stream, true),
            // Here bytes may be session tickets.
            Self::Tls(stream) => (stream.get_ref().0, false),
        };
        let mut byte = [0];
        match recv(tcp, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => true,
            Ok(_) => is_plain,
            Err(error) => !matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
