//! What passes, what does not, and that the library never reads what passes in another way.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::App;
use super::super::front::Front;
use super::super::ledger::Ledger;
use super::super::refusal::Violation;
use super::super::settings::Limits;
use super::Strict;
use super::framing::{Framing, Rest};
use super::head::Bounds;

const BOUNDS: Bounds = Bounds { lines: 100, head_bytes: 64 << 10, line_bytes: 32 << 10 };

#[test]
fn whatever_is_ambiguous_is_refused_for_its_reason() {
    use Violation as V;
    let cases: &[(&str, Violation)] = &[
        ("GET / HTTP/1.1\nhost: a\r\n\r\n", V::BareLineEnd),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n", V::BareLineEnd),
        ("GET / HTTP/1.1\r\nhost: a\r\n\n", V::BareLineEnd),
        ("GET /\r\n", V::RequestLine),
        ("GET  / HTTP/1.1\r\n", V::RequestLine),
        ("GET / HTTP/1.1 \r\n", V::RequestLine),
        ("GET\t/ HTTP/1.1\r\n", V::RequestLine),
        (" GET / HTTP/1.1\r\n", V::RequestLine),
        ("\r\nGET / HTTP/1.1\r\n", V::RequestLine),
        ("get / HTTP/1.1\r\n", V::Method),
        ("\x16\x03\x01\x02", V::RequestLine),
        ("GET / HTTP/1.2\r\n", V::Version),
        ("GET / HTTP/2.0\r\n", V::Version),
        ("GET / HTTP/1.10\r\n", V::Version),
        ("GET / http/1.1\r\n", V::RequestLine),
        ("CONNECT a:1 HTTP/1.1\r\n", V::Method),
        ("TRACE / HTTP/1.1\r\n", V::Method),
        ("PRI * HTTP/2.0\r\n", V::Method),
        ("GET * HTTP/1.1\r\n", V::Target),
        ("GET a HTTP/1.1\r\n", V::Target),
        ("GET /a#b HTTP/1.1\r\n", V::Target),
        ("GET /\x7f HTTP/1.1\r\n", V::Target),
        ("GET /é HTTP/1.1\r\n", V::Target),
        ("GET ftp://a/ HTTP/1.1\r\n", V::Target),
        ("GET http://u@a/ HTTP/1.1\r\n", V::Target),
        ("GET http:///x HTTP/1.1\r\n", V::Target),
        ("GET / HTTP/1.1\r\nhost : a\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\n: a\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\nhost\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\na\0b: c\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\nmcp_name: c\r\n", V::TwinName),
        ("GET / HTTP/1.1\r\na: b\r\n c\r\n", V::FoldedLine),
        ("GET / HTTP/1.1\r\na: b\r\n\tc: d\r\n", V::FoldedLine),
        ("GET / HTTP/1.1\r\na: b\rc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\0c\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\x0bc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\x7fc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\r\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\n\r\n", V::HostMissing),
        ("GET / HTTP/1.1\r\nhost:\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a,b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a:b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a:1:2\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: [::1\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: [::1]a\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n", V::HostTwice),
        ("GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", V::HostDisagrees),
        ("GET http://a:1/ HTTP/1.1\r\nhost: a\r\n\r\n", V::HostDisagrees),
        ("GET http://a?x HTTP/1.1\r\nhost: ax\r\n\r\n", V::HostDisagrees),
        ("GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n", V::LengthTwice),
        ("GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n", V::LengthTwice),
        ("GET / HTTP/1.1\r\ncontent-length: 5,5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: +5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: -0\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 0x5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length:  5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 5 \r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length:\t5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: \r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n", V::Length),
        ("GET / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: identity\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding:  chunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: \x0bchunked\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\ntransfer-encoding: \"chunked\"\r\n", V::Coding),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            V::Coding,
        ),
        ("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n", V::CodingOn10),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            V::LengthAndCoding,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
            V::LengthAndCoding,
        ),
    ];
    for (head, violation) in cases {
        assert_eq!(refusal(head.as_bytes()), Some((1, *violation)), "{head:?}");
    }
}

#[test]
fn whatever_is_plain_passes_whole() {
    let cases = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a?b=c%20d HTTP/1.1\r\nHOST:a.b-c_d~:65535\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost:  [::1]:80\t\r\n\r\n",
        "GET http://A.b:80/x HTTP/1.1\r\nhost: a.B:80\r\n\r\n",
        "GET https://a HTTP/1.1\r\nhost: a\r\nx: \x61\t\u{e9}\r\ny:\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 003\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
         00A;x=\"y\"\r\n0123456789\r\n1\r\na\r\n000\r\nx-sum: 1\r\n\r\n\
         DELETE /b HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    for case in cases {
        for cut in 0..case.len() {
            let (passed, rest) = take(&[&case.as_bytes()[..cut], &case.as_bytes()[cut..]]);
            assert_eq!((passed, rest), (case.len(), Rest::Nothing), "{case:?} cut at {cut}");
        }
    }
}

#[test]
fn h005_a_chunk_with_any_doubt_about_its_size_is_refused() {
    use Violation as V;
    let cases = [
        ("+5\r\nhello\r\n", V::ChunkSize),
        ("-5\r\n", V::ChunkSize),
        ("0x5\r\nhello\r\n", V::ChunkSize),
        ("00000000000000005\r\nhello\r\n", V::ChunkSize),
        ("\r\n", V::ChunkSize),
        (" 5\r\n", V::ChunkSize),
        ("5 \r\n", V::ChunkSize),
        ("5\nhello\r\n", V::ChunkSize),
        ("5\r\r\n", V::ChunkSize),
        ("5;a\nhello\r\n", V::ChunkExtension),
        ("5;a\0b\r\n", V::ChunkExtension),
        ("5;a\tb\r\n", V::ChunkExtension),
        ("5;a\u{200b}b\r\n", V::ChunkExtension),
        ("5\r\nhello\n", V::ChunkEnd),
        ("5\r\nhelloX\r\n", V::ChunkEnd),
        ("5\r\nhello\rX", V::ChunkEnd),
        ("0\r\na: b\n", V::Trailer),
        ("0\r\na b: c\r\n", V::Trailer),
        ("0\r\n a: b\r\n", V::Trailer),
        ("0\r\ncontent-length: 3\r\n", V::Trailer),
        ("0\r\nTransfer-Encoding: chunked\r\n", V::Trailer),
        ("0\r\na: b\0\r\n", V::Trailer),
        ("0\r\n\n", V::Trailer),
        ("0\r\n\rGET", V::Trailer),
    ];
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for (body, violation) in cases {
        // What follows a lone CR is only judged with its line.
        let bytes = format!("{head}{body}\n");
        assert_eq!(refusal(bytes.as_bytes()), Some((1, violation)), "{body:?}");
    }
}

#[test]
fn long_extensions_and_trailers_are_refused() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let extension = format!("{head}5;{}\r\n", "x".repeat(300));
    assert_eq!(refusal(extension.as_bytes()), Some((1, Violation::ChunkExtension)));
    let trailer = format!("{head}0\r\nx: {}\r\n", "y".repeat(9000));
    assert_eq!(refusal(trailer.as_bytes()), Some((1, Violation::Trailer)));
    let trailers = format!("{head}0\r\n{}", "x: y\r\n".repeat(33));
    assert_eq!(refusal(trailers.as_bytes()), Some((1, Violation::Trailer)));
}

#[test]
fn limits_hold_to_the_byte() {
    let start = "GET / HTTP/1.1\r\nhost: a\r\n";
    let lines = |count: usize| format!("{start}{}\r\n", "x: y\r\n".repeat(count - 1));
    assert_eq!(refusal(lines(100).as_bytes()), None);
    assert_eq!(refusal(lines(101).as_bytes()), Some((1, Violation::TooManyHeaders)));

    let line = |bytes: usize| format!("{start}x: {}\r\n\r\n", "y".repeat(bytes - 3));
    assert_eq!(refusal(line(32 << 10).as_bytes()), None);
    assert_eq!(refusal(line((32 << 10) + 1).as_bytes()), Some((1, Violation::LineTooLong)));
    let unfinished = line(33 << 10).replace("\r\n\r\n", "");
    assert_eq!(refusal(unfinished.as_bytes()), Some((1, Violation::LineTooLong)));

    let head = |bytes: usize| {
        let line = format!("x: {}\r\n", "y".repeat(30 << 10));
        let end = bytes - start.len() - 2 * line.len() - "z: \r\n\r\n".len();
        format!("{start}{line}{line}z: {}\r\n\r\n", "z".repeat(end))
    };
    assert_eq!(head(64 << 10).len(), 64 << 10);
    assert_eq!(refusal(head(64 << 10).as_bytes()), None);
    assert_eq!(refusal(head((64 << 10) + 1).as_bytes()), Some((1, Violation::HeadTooLarge)));

    let target = format!("GET /{} HTTP/1.1\r\n", "x".repeat(32 << 10));
    assert_eq!(refusal(target.as_bytes()), Some((1, Violation::TargetTooLong)));
}

#[test]
fn requests_are_refused_by_their_number_and_never_seen() {
    let good = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n";
    let with_body = "POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    let bad = "GET /3 HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n";
    let all = format!("{good}{with_body}{bad}{good}");
    let (seen, sent) = converse(&[all.as_bytes()]);
    assert_eq!(seen, [("GET", "/1", ""), ("POST", "/2", "hi")].map(Seen::from));
    let answers = sent.matches("HTTP/1.1 200 OK").count();
    assert_eq!((answers, sent.matches("HTTP/1.1 400 Bad Request").count()), (2, 1), "{sent}");
    assert!(sent.contains("there are two Host headers"), "{sent}");
}

#[test]
fn a_body_that_turns_bad_is_refused_though_its_head_was_good() {
    let head = "POST /1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe";
    let (seen, sent) = converse(&[head.as_bytes(), b"llo\r\n0x"]);
    assert_eq!(seen, []);
    assert!(sent.starts_with("HTTP/1.1 400 "), "{sent}");
    assert!(sent.contains("a chunk size is malformed"), "{sent}");
    assert!(sent.contains("connection: close"), "{sent}");
}

#[test]
fn h007_what_follows_a_wish_for_another_protocol_is_not_read() {
    let wish = "POST /1 HTTP/1.1\r\nhost: a\r\nUpgrade: foo\r\nconnection: upgrade\r\n\
                content-length: 2\r\n\r\nhi";
    let follower = "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    for pieces in [&[&format!("{wish}{follower}")[..]][..], &[wish, follower][..]] {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let (seen, sent) = converse(&pieces);
        assert_eq!(seen, [("POST", "/1", "hi")].map(Seen::from));
        assert_eq!(sent.matches("HTTP/1.1 ").count(), 1, "{sent}");
        assert!(sent.contains("connection: close"), "{sent}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Good requests arrive as they were sent, however the network cuts them.
    #[test]
    fn good_requests_are_seen_exactly_as_sent(
        requests in prop::collection::vec(request(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<Seen> = requests.into_iter().map(|(_, seen)| seen).collect();
        let (seen, sent) = converse(&cut(&bytes, &cuts));
        prop_assert_eq!(&seen, &expected, "{}", sent);
        prop_assert_eq!(reference(&bytes), expected);
    }

    /// After any change to good bytes, what is seen is what another parser sees, or less.
    #[test]
    fn changed_requests_are_seen_as_others_see_them_or_not_at_all(
        requests in prop::collection::vec(request(), 1..5),
        changes in prop::collection::vec(change(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes: Vec<u8> = requests.into_iter().flat_map(|(bytes, _)| bytes).collect();
        for change in changes {
            change.apply(&mut bytes);
        }
        let (seen, _) = converse(&cut(&bytes, &cuts));
        let others = reference(&bytes);
        prop_assert!(
            others.starts_with(&seen),
            "{:?} seen in {:?}, others see {:?}",
            seen, String::from_utf8_lossy(&bytes), others
        );
    }

    /// The verdict does not depend on where the network cuts.
    #[test]
    fn the_verdict_is_the_same_for_any_cut(
        request in request(),
        changes in prop::collection::vec(change(), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes = request.0;
        for change in changes {
            change.apply(&mut bytes);
        }
        prop_assert_eq!(take(&[&bytes]), take(&cut(&bytes, &cuts)));
    }
}

/// A request as the application sees it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    body: Vec<u8>,
}

impl From<(&str, &str, &str)> for Seen {
    fn from((method, target, body): (&str, &str, &str)) -> Self {
        Self { method: method.into(), target: target.into(), body: body.into() }
    }
}

/// Gives pieces to a framing as the stream does: the beginning of a head comes again.
fn take(pieces: &[&[u8]]) -> (usize, Rest) {
    let mut framing = Framing::new(BOUNDS);
    let (mut total, mut held, mut rest) = (0, Vec::new(), Rest::Nothing);
    for piece in pieces {
        held.extend_from_slice(piece);
        let taken = framing.take(&mut held);
        held.drain(..taken.passed);
        total += taken.passed;
        rest = if held.is_empty() { Rest::Nothing } else { taken.rest };
        if matches!(rest, Rest::Refused(..) | Rest::Unread) {
            break;
        }
    }
    (total, rest)
}

fn refusal(bytes: &[u8]) -> Option<(u64, Violation)> {
    let bytewise: Vec<_> = bytes.chunks(1).collect();
    let (passed, rest) = take(&[bytes]);
    assert_eq!(take(&bytewise), (passed, take(&[bytes]).1), "{:?}", String::from_utf8_lossy(bytes));
    match rest {
        Rest::Refused(number, violation) => Some((number, violation)),
        _ => None,
    }
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

/// Lets the whole of it, library and all, read the pieces; until nothing moves any more.
fn converse(pieces: &[&[u8]]) -> (Vec<Seen>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let limits = Arc::new(Limits::default());
    let ledger = Arc::<Ledger>::default();
    let script = Script {
        pieces: pieces.iter().map(|piece| piece.to_vec()).collect(),
        sent: Arc::clone(&sent),
    };
    let front = Arc::new(Front {
        app: Arc::new(Echo(Arc::clone(&seen))),
        peer: ([127, 0, 0, 1], 1).into(),
        ledger: Arc::clone(&ledger),
        limits: Arc::clone(&limits),
    });
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.answer_http1(request).await) }
    });
    let strict = Strict::new(script, limits, ledger);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(strict), service)
    );
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    while woken.0.swap(false, Ordering::Relaxed) {
        if connection.as_mut().poll(&mut cx).is_ready() {
            break;
        }
    }
    let sent = String::from_utf8_lossy(&sent.lock()).into_owned();
    let seen = seen.lock().clone();
    (seen, sent)
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Echo(Arc<Mutex<Vec<Seen>>>);

impl App for Echo {
    type Body = Full<Bytes>;

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if let Ok(body) = body.collect().await {
            let body = body.to_bytes().to_vec();
            let (method, target) = (parts.method.to_string(), parts.uri.to_string());
            self.0.lock().push(Seen { method, target, body });
        }
        Response::new(Full::new(Bytes::from_static(b"seen")))
    }
}

/// A peer that sends pieces and then says nothing, but stays.
struct Script {
    pieces: VecDeque<Vec<u8>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().pieces;
        let Some(mut piece) = pieces.pop_front() else { return Poll::Pending };
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        if !rest.is_empty() {
            pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sent.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A good request, and how it should be seen.
fn request() -> impl Strategy<Value = (Vec<u8>, Seen)> {
    let method = prop::sample::select(vec!["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]);
    let target = "/[a-zA-Z0-9/._~%?&=-]{0,20}";
    let headers = prop::collection::vec(("x-[a-z0-9-]{1,8}", "[ -~]{0,20}"), 0..5);
    let body = prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
    let chunks = prop::option::of(prop::collection::vec(1usize..40, 1..6));
    (method, target, headers, body, chunks).prop_map(|(method, target, headers, body, chunks)| {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: a.b:80\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let seen = body.clone().unwrap_or_default();
        match (body, chunks) {
            (None, _) => bytes.extend_from_slice(b"\r\n"),
            (Some(body), None) => {
                bytes.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                bytes.extend_from_slice(&body);
            }
            (Some(body), Some(sizes)) => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut body = &body[..];
                for size in sizes.into_iter().cycle() {
                    let (chunk, rest) = body.split_at(size.min(body.len()));
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                    body = rest;
                    if chunk.is_empty() {
                        break;
                    }
                }
            }
        }
        (bytes, Seen { method: method.into(), target, body: seen })
    })
}

#[derive(Clone, Debug)]
enum Change {
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Replace(prop::sample::Index, u8),
    /// After a line end, where lines matter.
    InsertLine(prop::sample::Index, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n\0\t :;,_0159afxX+-".to_vec()),];
    let lines = vec![
        "content-length: 3\r\n",
        "Content-Length: 0\r\n",
        "content-length: +3\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        "host: b\r\n",
        " folded: chunked\r\n",
        "\r\n",
        "\n",
        "0\r\n\r\n",
        "3\r\nabc\r\n",
        "x: y\n",
        "x: y\r",
        "Upgrade: h2c\r\n",
        "connection: close\r\n",
        "expect: 100-continue\r\n",
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), prop::collection::vec(byte.clone(), 1..4))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1usize..6).prop_map(|(at, n)| Change::Remove(at, n)),
        (any::<prop::sample::Index>(), byte).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<prop::sample::Index>(), prop::sample::select(lines))
            .prop_map(|(at, line)| Change::InsertLine(at, line)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Self::Replace(at, byte) => {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            Self::InsertLine(at, line) => {
                let ends: Vec<_> =
                    bytes.windows(2).enumerate().filter(|(_, end)| end == b"\r\n").collect();
                if !ends.is_empty() {
                    let at = ends[at.index(ends.len())].0 + 2;
                    bytes.splice(at..at, line.bytes());
                }
            }
        }
    }
}

/// Another reading of the same bytes: by splitting text, as RFC 9112 has it, and ending at the
/// first thing that is odd in the framing.
fn reference(bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut rest = bytes;
    while let Some((request, after)) = reference_one(rest) {
        seen.push(request);
        rest = after;
    }
    seen
}

fn reference_one(bytes: &[u8]) -> Option<(Seen, &[u8])> {
    let (head, mut rest) = split(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = None;
    let mut is_chunked = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" if length.is_none() => length = Some(value.trim().parse().ok()?),
            "content-length" => return None,
            "transfer-encoding" if value.trim() == "chunked" => is_chunked = true,
            "transfer-encoding" => return None,
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_chunked && length.is_some() {
        return None;
    }
    if is_chunked {
        loop {
            let (line, after) = split(rest, b"\r\n")?;
            let line = std::str::from_utf8(line).ok()?;
            let size = line.split(';').next()?;
            let size = usize::from_str_radix(size, 16).ok()?;
            rest = after;
            if size == 0 {
                break;
            }
            body.extend_from_slice(rest.get(..size)?);
            rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
        }
        loop {
            let (trailer, after) = split(rest, b"\r\n")?;
            rest = after;
            if trailer.is_empty() {
                break;
            }
        }
    } else {
        let length: usize = length.unwrap_or(0);
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?;
    }
    Some((Seen { method, target, body }, rest))
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..found], &bytes[found + at.len()..]))
}
