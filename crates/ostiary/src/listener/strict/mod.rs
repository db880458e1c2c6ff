//! HTTP/1 bytes on their way to the HTTP library, which sees no request that is ambiguous.
//!
//! The library is lenient where requests are smuggled: it lets `Transfer-Encoding` override
//! `Content-Length`, takes a length that is given twice, and lines that end in LF alone. So each
//! head and each chunk is read here first, and more strictly in everything. What passes is read
//! by both in the same way; whatever might not be is refused.
//!
//! Bytes are read straight into the library's buffer and checked there. Only the beginning of a
//! head, whose end has not arrived, is taken out again and held, so the library sees heads whole
//! or not at all.
//!
//! A refused request is replaced by [`STAND_IN`], and the service answers its number with the
//! refusal (see `ledger`). Nothing after it is read.

mod chunks;
#[cfg(test)]
mod differential;
mod framing;
mod head;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod pieces;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use self::framing::{Framing, Rest};
use self::head::Bounds;
use super::ledger::Ledger;
use super::refusal::Violation;
use super::settings::Limits;

/// What the library is given in place of a request that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

pub(super) struct Strict<S> {
    io: S,
    framing: Framing,
    ledger: Arc<Ledger>,
    limits: Arc<Limits>,
    /// The beginning of a head.
    held: BytesMut,
    /// What the library is to read next.
    passed: BytesMut,
    /// By when the head that is awaited must be complete. Between requests there is none.
    deadline: Option<Pin<Box<Sleep>>>,
    input: Input,
}

#[derive(Clone, Copy, PartialEq)]
enum Input {
    Open,
    /// The last request has been read, and bytes have followed it.
    Over,
    /// A body is malformed.
    Spoilt,
}

impl<S> Strict<S> {
    /// The first head's time begins now.
    pub(super) fn new(io: S, limits: Arc<Limits>, ledger: Arc<Ledger>) -> Self {
        let bounds = Bounds {
            lines: limits.max_headers,
            head_bytes: limits.max_head_bytes.max(8 << 10),
            line_bytes: limits.max_line_bytes,
        };
        Self {
            io,
            framing: Framing::new(bounds),
            ledger,
            deadline: Some(Box::pin(tokio::time::sleep(limits.header_timeout))),
            limits,
            held: BytesMut::new(),
            passed: BytesMut::new(),
            input: Input::Open,
        }
    }

    /// Judges what has just been read, from `start` on, and leaves in `buf` what may go on.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let before = self.framing.heads();
        let fresh = buf.filled_mut().get_mut(start..).unwrap_or_default();
        let rest = if self.held.is_empty() {
            let taken = self.framing.take(fresh);
            if taken.rest == Rest::Part {
                self.held.extend_from_slice(fresh.get(taken.passed..).unwrap_or_default());
            }
            buf.set_filled(start + taken.passed);
            taken.rest
        } else {
            self.held.extend_from_slice(fresh);
            buf.set_filled(start);
            let taken = self.framing.take(&mut self.held);
            self.passed = self.held.split_to(taken.passed);
            taken.rest
        };
        if self.framing.heads() != before {
            self.deadline = None;
            if self.framing.is_last() {
                self.ledger.end_after(self.framing.heads());
            }
        }
        match rest {
            Rest::Nothing => {}
            Rest::Part => {
                let limit = self.limits.header_timeout;
                self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            }
            Rest::Unread => self.input = Input::Over,
            Rest::Refused(number, violation) => self.refuse(number, violation),
        }
    }

    /// Tells the ledger what has been read so far.
    fn note(&self) {
        let is_between = self.framing.is_between() && self.input == Input::Open;
        let is_all_passed = self.held.is_empty() && self.passed.is_empty();
        self.ledger.has_read(self.framing.heads(), !(is_between && is_all_passed));
    }

    fn refuse(&mut self, number: u64, violation: Violation) {
        tracing::debug!(reason = violation.detail(), "refused a request");
        self.ledger.refuse(number, violation);
        self.held.clear();
        self.deadline = None;
        self.input = if number > self.framing.heads() {
            self.passed.extend_from_slice(STAND_IN);
            Input::Over
        } else {
            Input::Spoilt
        };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.read(cx, buf);
        this.note();
        read
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.passed.is_empty() {
                let some = self.passed.len().min(buf.remaining());
                buf.put_slice(&self.passed.split_to(some));
                return Poll::Ready(Ok(()));
            }
            match self.input {
                Input::Open if buf.remaining() == 0 => return Poll::Ready(Ok(())),
                Input::Open => {}
                // The library ends the connection after the answer that is under way.
                Input::Over => return Poll::Pending,
                Input::Spoilt => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            let start = buf.filled().len();
            let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf) else {
                let Some(deadline) = &mut self.deadline else { return Poll::Pending };
                ready!(deadline.as_mut().poll(cx));
                if self.held.is_empty() {
                    // Nobody has said anything, so there is nothing to answer.
                    self.deadline = None;
                    return Poll::Ready(Ok(()));
                }
                self.refuse(self.framing.heads() + 1, Violation::Slow);
                continue;
            };
            read?;
            if buf.filled().len() > start {
                self.judge(buf, start);
                if buf.filled().len() > start {
                    return Poll::Ready(Ok(()));
                }
            } else if self.held.is_empty() {
                return Poll::Ready(Ok(()));
            } else {
                self.refuse(self.framing.heads() + 1, Violation::Incomplete);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.ledger.has_written(true);
        Pin::new(&mut this.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.ledger.has_written(true);
        Pin::new(&mut this.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        if flushed.is_ready() {
            this.ledger.has_written(false);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // There is no next request.
        this.ledger.has_read(this.framing.heads(), true);
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
