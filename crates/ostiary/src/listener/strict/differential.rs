//! The library never reads what passes in another way than another parser does.

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
use super::super::settings::Limits;
use super::Strict;
use super::pieces::take;

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
    let both = format!("{wish}{follower}");
    for pieces in [&[both.as_str()][..], &[wish, follower]] {
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
        ending: Arc::default(),
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
