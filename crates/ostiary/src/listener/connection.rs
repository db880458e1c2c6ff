//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::App;
use super::ending::Ending;
use super::frames::Frames;
use super::front::Front;
use super::ledger::Ledger;
use super::pulse::Hold;
use super::settings::Limits;
use super::strict::Strict;
use super::transport::Transport;
use super::worker::{Arrival, Shop};

/// Streams that one HTTP/2 connection may make us reset, over its life.
const MAX_ERROR_RESETS: usize = 100;

/// Streams that a peer may open and reset before we have looked at them.
const MAX_EARLY_RESETS: usize = 20;

/// HTTP/2 peers are asked whether they are still there this often, and given up when they do not
/// answer for as long.
const PING_EVERY: Duration = Duration::from_secs(20);

/// What one HTTP/2 stream may have waiting for a slow reader.
const MAX_SEND_BYTES: usize = 64 << 10;

/// What the connections of one worker share.
pub(super) struct Place<A> {
    app: Arc<A>,
    limits: Arc<Limits>,
    acceptor: Option<TlsAcceptor>,
    ending: Arc<Ending>,
    tracker: TaskTracker,
    http1: http1::Builder,
}

impl<A: App> Place<A> {
    pub(super) fn new(app: Arc<A>, shop: Shop, tracker: TaskTracker) -> Self {
        let mut http1 = http1::Builder::new();
        // `strict` and `drive` keep the time, so the library sets no timer for each request.
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(shop.limits.max_head_bytes.max(8 << 10));
        // Up to here the library makes room on the stack, and `strict` counts in any case.
        if shop.limits.max_headers > 100 {
            http1.max_headers(shop.limits.max_headers);
        }
        let Shop { acceptor, limits, ending } = shop;
        Self { app, limits, acceptor, ending, tracker, http1 }
    }
}

/// Serves one connection to its end.
pub(super) async fn run<A: App>(place: Arc<Place<A>>, arrival: Arrival) {
    let Arrival { stream, peer, seat: _seat, hold } = arrival;
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    // Answers are written whole, so waiting for more to send only costs time.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(acceptor) = &place.acceptor else {
        let transport = Transport::plain(stream, &place.limits);
        let left = serve_http1(&place, transport, peer).await;
        if left == Left::Open
            && let Some(heir) = place.ending.heir()
            && let Some(twin) = hold.and_then(Hold::take)
        {
            // A successor that has gone takes nobody, and its predecessor goes on with new ones.
            heir.send(twin).await.unwrap_or_default();
        }
        return;
    };
    let too_late = async {
        place.ending.stopped().await;
        tokio::time::sleep(place.limits.linger).await;
    };
    let handshake = tokio::time::timeout(place.limits.handshake_timeout, acceptor.accept(stream));
    let stream = tokio::select! {
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
        },
        () = too_late => return,
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let transport = Transport::tls(stream, &place.limits);
    if is_http2 {
        serve_http2(&place, transport, peer).await;
    } else {
        serve_http1(&place, transport, peer).await;
    }
}

fn front<A: App>(place: &Place<A>, peer: SocketAddr, ledger: &Arc<Ledger>) -> Arc<Front<A>> {
    Arc::new(Front {
        app: Arc::clone(&place.app),
        peer,
        ledger: Arc::clone(ledger),
        limits: Arc::clone(&place.limits),
        ending: Arc::clone(&place.ending),
    })
}

/// How a connection is left.
#[derive(PartialEq)]
enum Left {
    Closed,
    /// It is between two requests, and whoever has it may go on.
    Open,
}

async fn serve_http1<A: App>(place: &Place<A>, transport: Transport, peer: SocketAddr) -> Left {
    let is_plain = transport.is_plain();
    let ledger = Arc::<Ledger>::default();
    let front = front(place, peer, &ledger);
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.answer_http1(request).await) }
    });
    let strict = Strict::new(transport, Arc::clone(&place.limits), Arc::clone(&ledger));
    let connection = place.http1.serve_connection(TokioIo::new(strict), service);
    let mut connection = pin!(connection);
    let mut quiet = pin!(quiet(&ledger, place.limits.idle_timeout, place.limits.idle_timeout));
    let is_stopped = tokio::select! {
        biased;
        outcome = connection.as_mut() => return closed(peer, outcome),
        () = place.ending.stopped() => true,
        () = quiet.as_mut() => false,
    };
    if is_stopped && is_plain && place.ending.heir().is_some() {
        // Whatever has been read is answered here. What has not been is the successor's.
        let until_idle = poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if ledger.is_idle() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        return until_idle.await.map_or(Left::Open, |outcome| closed(peer, outcome));
    }
    if is_stopped && ledger.begun() == 0 {
        // It may have been accepted a moment ago, and its request be on its way.
        let first = tokio::time::timeout(
            place.limits.linger,
            poll_fn(|context| match connection.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending if 0 < ledger.begun() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }),
        );
        if let Ok(Some(outcome)) = first.await {
            return closed(peer, outcome);
        }
    }
    // Between requests this closes at once; else the answer under way is the last.
    connection.as_mut().graceful_shutdown();
    closed(peer, connection.await)
}

async fn serve_http2<A: App>(place: &Place<A>, transport: Transport, peer: SocketAddr) {
    let limits = &place.limits;
    let ledger = Arc::<Ledger>::default();
    let front = front(place, peer, &ledger);
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.answer_http2(request).await) }
    });
    let streams = Streams { tracker: place.tracker.clone(), ledger: Arc::clone(&ledger) };
    let max_head = u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(max_head)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
        .max_send_buf_size(MAX_SEND_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(TokioIo::new(Frames::new(transport)), service);
    let mut connection = pin!(connection);
    // The library waits for the first frames without an end of its own.
    let mut quiet =
        pin!(quiet(&ledger, limits.header_timeout.min(limits.idle_timeout), limits.idle_timeout));
    tokio::select! {
        biased;
        outcome = connection.as_mut() => return ended(peer, outcome),
        () = place.ending.told() => {
            connection.as_mut().graceful_shutdown();
            return ended(peer, connection.await);
        }
        () = quiet.as_mut() => {}
    }
    connection.as_mut().graceful_shutdown();
    // A peer that has not even finished its greeting does not answer a goodbye.
    if let Ok(outcome) = tokio::time::timeout(limits.header_timeout, connection).await {
        ended(peer, outcome);
    }
}

/// Returns when no request has begun for the length of a look, and no stream is under way.
///
/// It looks every so often rather than being reset by each request, which costs requests nothing.
async fn quiet(ledger: &Ledger, first: Duration, then: Duration) {
    let mut seen = 0;
    let mut look = first;
    loop {
        tokio::time::sleep(look).await;
        look = then;
        let begun = ledger.begun();
        if begun == seen && ledger.streams().load(Ordering::Relaxed) == 0 {
            return;
        }
        seen = begun;
    }
}

fn closed(peer: SocketAddr, outcome: hyper::Result<()>) -> Left {
    ended(peer, outcome);
    Left::Closed
}

fn ended(peer: SocketAddr, outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Runs the streams of one HTTP/2 connection: on the worker, tracked, and counted.
#[derive(Clone)]
struct Streams {
    tracker: TaskTracker,
    ledger: Arc<Ledger>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let counted = Counted::new(&self.ledger);
        self.tracker.spawn(async move {
            let _counted = counted;
            stream.await;
        });
    }
}

struct Counted(Arc<Ledger>);

impl Counted {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.streams().fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(ledger))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.streams().fetch_sub(1, Ordering::Relaxed);
    }
}
