//! How the front door is set up, and what it refuses to be.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that answer requests; at least one is started.
    pub workers: usize,
    /// With files, TLS; without, plain HTTP.
    pub tls: Option<TlsFiles>,
    /// For others of ours and nobody else: TLS in which both sides prove who they are.
    pub peers: Option<Arc<ServerConfig>>,
    /// Whether something in front ends TLS, so that plain HTTP beyond loopback is right.
    pub behind_tls_proxy: bool,
    /// Limits and patience.
    pub limits: Limits,
}

/// PEM files. Both are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and what leads from it to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Limits of one listener. Each has a default that suits a gateway of a few thousand clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the first byte of a request head (from the connection, for its first) to its end.
    pub header_timeout: Duration,
    /// A TLS handshake.
    pub handshake_timeout: Duration,
    /// A connection on which no request has begun for so long is closed, at the latest after
    /// twice as long.
    pub idle_timeout: Duration,
    /// A peer that takes no byte of what is written to it for so long is given up.
    pub write_timeout: Duration,
    /// How long closing waits for a peer that is still sending, so that it can read our last
    /// words.
    pub linger: Duration,
    /// How long a stop waits for requests under way.
    pub grace: Duration,
    /// How often the certificate's files are looked at.
    pub certificate_check: Duration,
    /// Header lines of one request.
    pub max_headers: usize,
    /// Bytes of one request head, and of what is buffered in either direction. At least 8 KiB.
    pub max_head_bytes: usize,
    /// Bytes of one line of a head.
    pub max_line_bytes: usize,
    /// Connections at once, as far as there are open files for them.
    pub max_connections: usize,
    /// One connection for so many of the open files that the system allows: each takes two, mostly one
    /// more to a server, and others need some.
    pub files_per_connection: u64,
    /// Streams at once on one HTTP/2 connection.
    pub max_streams: u32,
}

impl Settings {
    /// Plain HTTP with default limits, one worker per two cores.
    pub fn new(listen: SocketAddr) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen,
            workers: cores.div_ceil(2),
            tls: None,
            peers: None,
            behind_tls_proxy: false,
            limits: Limits::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ListenError> {
        let open = !self.listen.ip().to_canonical().is_loopback();
        if open && self.tls.is_none() && self.peers.is_none() && !self.behind_tls_proxy {
            return Err(ListenError::PlainBeyondLoopback { listen: self.listen });
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            certificate_check: Duration::from_secs(10),
            max_headers: 100,
            max_head_bytes: 64 << 10,
            max_line_bytes: 32 << 10,
            max_connections: 16_384,
            files_per_connection: 4,
            max_streams: 128,
        }
    }
}

/// Why the front door stays shut. Each is one sentence for whoever starts the gateway.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Credentials would cross a network in the clear.
    #[error(
        "refusing plain HTTP on {listen}: name a certificate and its key, or say that a proxy in \
         front ends TLS"
    )]
    PlainBeyondLoopback {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("{listen} is in use by another program")]
    Taken {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// What has been handed to us is something else.
    #[error("the socket that was handed over is no listening TCP socket")]
    NotListening,
    /// A certificate or key that cannot be used.
    #[error("cannot use the TLS file {path}: {reason}", path = path.display())]
    Tls {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A worker thread could not be started.
    #[error("cannot start a worker thread: {0}")]
    Thread(io::Error),
    /// A worker thread has ended before its time.
    #[error("a worker thread has died")]
    Died,
}

impl ListenError {
    pub(super) fn bind(listen: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { listen },
            _ => Self::Bind { listen, source },
        }
    }
}
