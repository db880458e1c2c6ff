//! A socket, with or without TLS, whose every wait has an end.
//!
//! Two things are added to the bytes. A peer that takes nothing of what is written to it is given
//! up after a while. And closing is done in two steps, first our half, then for a short while
//! waiting for the peer's: a socket closed over unread bytes answers with a reset, and a reset
//! may overtake the refusal that explains it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::settings::Limits;

/// Who still sends this much after our last word will not read it.
const MAX_LINGER_BYTES: usize = 1 << 20;

pub(super) struct Transport {
    io: Io,
    write_timeout: Duration,
    linger: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs once our half is closed.
    closing: Option<(Pin<Box<Sleep>>, usize)>,
    peer_has_ended: bool,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn plain(stream: TcpStream, limits: &Limits) -> Self {
        Self::new(Io::Plain(stream), limits)
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, limits: &Limits) -> Self {
        Self::new(Io::Tls(Box::new(stream)), limits)
    }

    fn new(io: Io, limits: &Limits) -> Self {
        Self {
            io,
            write_timeout: limits.write_timeout,
            linger: limits.linger,
            stalled: None,
            closing: None,
            peer_has_ended: false,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self.io, Io::Plain(_))
    }

    /// What a write came to, or the end of patience if it came to nothing.
    fn patiently<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        };
        if matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before {
            this.peer_has_ended = true;
        }
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        };
        this.patiently(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Io::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, pieces),
        };
        this.patiently(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        };
        this.patiently(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            let closed = match &mut this.io {
                Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
                Io::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            };
            ready!(this.patiently(closed, cx))?;
        }
        let mut scratch = [0; 4096];
        while !this.peer_has_ended {
            let mut buf = ReadBuf::new(&mut scratch);
            let linger = this.linger;
            let (deadline, left) = this
                .closing
                .get_or_insert_with(|| (Box::pin(tokio::time::sleep(linger)), MAX_LINGER_BYTES));
            if *left == 0 || deadline.as_mut().poll(cx).is_ready() {
                break;
            }
            // An error here is the peer's way to hang up.
            if ready!(Pin::new(&mut *this).poll_read(cx, &mut buf)).is_err() {
                break;
            }
            if let Some((_, left)) = &mut this.closing {
                *left = left.saturating_sub(buf.filled().len());
            }
        }
        Poll::Ready(Ok(()))
    }
}
