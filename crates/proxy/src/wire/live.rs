//! An open connection, driven by the task that waits for its answer.
//!
//! HTTP's state machine is hyper's; no task is spawned for it. It makes progress when the caller
//! waits for an answer or for a piece of a body, and ends when the caller lets go of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::dial::Stream;
use super::error::{Wait, WireError};
use super::{Hold, tls};

/// An open connection and the state of HTTP on it.
pub(super) struct Live {
    sender: http1::SendRequest<Pieces>,
    connection: http1::Connection<TokioIo<Metered>, Pieces>,
    meter: Arc<Meter>,
    /// Kept with the connection, since moving a timer is cheaper than making one.
    pub(super) timer: Pin<Box<Sleep>>,
}

/// How a request ended.
pub(super) enum Asked {
    Answered(Response<Incoming>),
    /// Closed before a byte had been written.
    Unsent(Request<Pieces>),
    Failed {
        error: AskError,
        written: bool,
    },
}

pub(super) enum AskError {
    Http(hyper::Error),
    Wire(WireError),
}

impl Live {
    pub(super) async fn open(
        stream: Stream,
        builder: &http1::Builder,
    ) -> Result<Box<Self>, WireError> {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered { stream, meter: Arc::clone(&meter) });
        let (sender, connection) = builder
            .handshake(io)
            .await
            .map_err(|e| WireError::Connect { reason: e.to_string() })?;
        let timer = Box::pin(sleep_until(Instant::now()));
        Ok(Box::new(Self { sender, connection, meter, timer }))
    }

    /// Whether it is open and has nothing left of an earlier call.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_end(&mut cx).is_pending() && self.sender.is_ready()
    }

    /// As [`Live::is_usable`], at the cost of a system call: for the last moment before a request
    /// is written, since one that has been written cannot be repeated safely.
    pub(super) fn is_usable_now(&mut self) -> bool {
        self.meter.doubt.store(true, Ordering::Relaxed);
        self.is_usable()
    }

    /// Whether the current request has been written to its last byte.
    pub(super) fn is_request_written(&self) -> bool {
        self.meter.flushed.load(Ordering::Relaxed)
    }

    /// Lets the next request be written as long as this is open, or in any case.
    pub(super) fn hold(&mut self, hold: Option<Weak<dyn Hold>>) {
        *self.meter.hold.lock() = hold;
    }

    /// Drives the connection; ready when it has ended.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.connection.poll_without_shutdown(cx)
    }

    /// Writes the request and waits, no longer than `limit`, for the head of its answer.
    pub(super) async fn ask(&mut self, mut request: Request<Pieces>, limit: Duration) -> Asked {
        self.meter.reset(request.body().left == 0);
        request.body_mut().meter = Some(Arc::clone(&self.meter));
        let meter = Arc::clone(&self.meter);
        hyper::ext::on_informational(&mut request, move |_| {
            meter.interim.fetch_add(1, Ordering::Relaxed);
        });
        self.timer.as_mut().reset(after(Instant::now(), limit));
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut waiting = Waiting {
            connection: &mut self.connection,
            timer: self.timer.as_mut(),
            meter: &self.meter,
            limit,
        };
        let outcome = poll_fn(|cx| waiting.poll(cx, answer.as_mut())).await;
        let written = self.meter.written.load(Ordering::Relaxed);
        match outcome {
            Ok(Ok(response)) => Asked::Answered(response),
            Ok(Err(mut refusal)) => match refusal.take_message() {
                Some(request) if !written => Asked::Unsent(request),
                _ => Asked::Failed { error: AskError::Http(refusal.into_error()), written },
            },
            Err(error) => Asked::Failed { error: AskError::Wire(error), written },
        }
    }
}

/// A request that is on its way, and all that is needed to wait for its answer.
struct Waiting<'a> {
    connection: &'a mut http1::Connection<TokioIo<Metered>, Pieces>,
    timer: Pin<&'a mut Sleep>,
    meter: &'a Meter,
    limit: Duration,
}

type Answer = Result<Response<Incoming>, TrySendError<Request<Pieces>>>;

impl Waiting<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        answer: Pin<&mut impl Future<Output = Answer>>,
    ) -> Poll<Result<Answer, WireError>> {
        let ended = self.connection.poll_without_shutdown(cx);
        if self.meter.interim.load(Ordering::Relaxed) > MAX_INTERIM {
            return Poll::Ready(Err(WireError::Faulty { reason: "too many interim answers" }));
        }
        // The answer comes out of the connection that has just been polled, by this very task:
        // it needs no waker of its own, which would only wake us once more for nothing.
        if let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) {
            return Poll::Ready(Ok(answer));
        }
        if let Poll::Ready(ended) = ended {
            let reason = ended.err().map_or_else(|| "it closed".to_owned(), |e| e.to_string());
            return Poll::Ready(Err(WireError::Closed { reason }));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(WireError::Timeout { what: Wait::Head, limit: self.limit }));
        }
        Poll::Pending
    }
}

/// More than any server has a reason to send.
const MAX_INTERIM: u32 = 16;

impl AskError {
    pub(super) fn into_wire(self, header_bytes: usize) -> WireError {
        match self {
            Self::Http(error) => explain(&error, header_bytes),
            Self::Wire(error) => error,
        }
    }
}

/// What HTTP could not make of the upstream's answer.
pub(super) fn explain(error: &hyper::Error, header_bytes: usize) -> WireError {
    if error.is_parse_too_large() {
        return WireError::TooLarge { what: "response head", limit: header_bytes };
    }
    if error.is_parse() {
        return WireError::Faulty { reason: "its head is not valid HTTP/1.1" };
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => match (tls::find(io), io.kind()) {
            (Some(tls), _) => tls,
            (None, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                WireError::Faulty { reason: "its body is not framed as HTTP/1.1 demands" }
            }
            (None, _) => WireError::Closed { reason: io.to_string() },
        },
        None if error.is_incomplete_message() => {
            WireError::Closed { reason: "the connection closed early".to_owned() }
        }
        None => WireError::Closed { reason: error.to_string() },
    }
}

/// A point in time that exists however long the wait.
pub(super) fn after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start + wait.min(FAR)
}

/// The body of a request: pieces, written as they are.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
    /// Told when nothing is left.
    meter: Option<Arc<Meter>>,
}

impl Pieces {
    pub(super) fn new(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into(), left, meter: None }
    }

    /// What has not been written yet, in bytes.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn into_vec(self) -> Vec<Bytes> {
        self.pieces.into()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.left -= piece.len() as u64;
        }
        if self.left == 0
            && let Some(meter) = &self.meter
        {
            meter.taken.store(true, Ordering::Relaxed);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What has happened on a connection since its current call began.
#[derive(Default)]
struct Meter {
    written: AtomicBool,
    /// Nothing is left of the request's body outside of the connection's buffer.
    taken: AtomicBool,
    /// Nothing is left of the request in the connection's buffer either.
    flushed: AtomicBool,
    interim: AtomicU32,
    /// Asks for a look at the socket itself when it is read next.
    doubt: AtomicBool,
    /// By whose leave the request is written; anybody's where it is absent.
    hold: Mutex<Option<Weak<dyn Hold>>>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Meter {
    fn reset(&self, has_no_body: bool) {
        self.written.store(false, Ordering::Relaxed);
        self.taken.store(has_no_body, Ordering::Relaxed);
        self.flushed.store(false, Ordering::Relaxed);
        self.interim.store(0, Ordering::Relaxed);
    }
}

/// A stream that lets nothing out that may not be written any more, and remembers whether anything has been written to it.
struct Metered {
    stream: Stream,
    meter: Arc<Meter>,
}

impl Metered {
    /// Bytes of a request may wait for the socket for as long as their reader likes.
    fn check(&self) -> io::Result<()> {
        let hold = self.meter.hold.lock();
        let is_open = |it: &Weak<dyn Hold>| it.upgrade().is_some_and(|it| it.is_open());
        if hold.as_ref().is_none_or(is_open) || self.meter.flushed.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it may not be written any more"))
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.meter.written.store(true, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.meter.doubt.swap(false, Ordering::Relaxed) && this.stream.is_spent() {
            // Reads as the end of the stream.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        // HTTP's state machine flushes the stream when its own buffer is empty, and not before.
        let taken = this.meter.taken.load(Ordering::Relaxed);
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if taken && matches!(flushed, Poll::Ready(Ok(()))) {
            this.meter.flushed.store(true, Ordering::Relaxed);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
