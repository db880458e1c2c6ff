//! HTTP/2 peers that make work without asking for anything.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::door::PATIENCE;
use super::tls::Lock;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[tokio::test]
async fn h018_rapid_resets_end_the_connection() {
    let lock = Lock::open(|_| {}).await;
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/hang")));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    ends(&lock, &flood).await;
    assert!(lock.door.log.begun.load(Ordering::Relaxed) <= 200);
    lock.door.end().await;
}

#[tokio::test]
async fn h018_resets_one_by_one_end_the_connection_too() {
    let lock = Lock::open(|_| {}).await;
    let mut raw = Raw::greet(&lock).await;
    let mut resets = 0;
    // Each call is under way before it is reset, so the library sees nothing odd.
    for stream in (1..20_000).step_by(2) {
        let mut pair = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/hang"));
        pair.extend(frame(PING, 0, 0, &[0; 8]));
        if raw.write.write_all(&pair).await.is_err() || !raw.hears(PING).await {
            break;
        }
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        if raw.write.write_all(&reset).await.is_err() {
            break;
        }
        resets += 1;
    }
    assert!(raw.has_gone_away, "after {resets}");
    assert!(resets <= 200, "{resets}");
    lock.door.end().await;
}

#[tokio::test]
async fn h019_resets_that_we_are_made_to_send_end_the_connection() {
    let lock = Lock::open(|_| {}).await;
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/hang")));
        // A window that grows by nothing is an error of its stream (RFC 9113, section 6.9).
        flood.extend(frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, 0]));
    }
    ends(&lock, &flood).await;
    assert!(lock.door.log.begun.load(Ordering::Relaxed) <= 200);
    lock.door.end().await;
}

#[tokio::test]
async fn h020_headers_that_never_end_do() {
    let lock = Lock::open(|_| {}).await;
    let mut flood = frame(HEADERS, END_STREAM, 1, &get("/1"));
    for _ in 0..1000 {
        let mut more = vec![0, 1, b'x', 0x7f, 0x81, 0x7d];
        more.extend_from_slice(&[b'y'; 16_000]);
        flood.extend(frame(CONTINUATION, 0, 1, &more));
    }
    ends(&lock, &flood).await;

    let mut empty = frame(HEADERS, END_STREAM, 1, &get("/1"));
    for _ in 0..10_000 {
        empty.extend(frame(CONTINUATION, 0, 1, &[]));
    }
    ends(&lock, &empty).await;
    assert_eq!(lock.door.log.begun.load(Ordering::Relaxed), 0);
    lock.door.end().await;
}

#[tokio::test]
async fn h021_headers_that_unpack_to_much_reach_nobody() {
    let lock = Lock::open(|_| {}).await;
    // One header of 4000 bytes goes to the table, and 16 000 single bytes name it.
    let mut block = get("/1");
    block.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend_from_slice(&[b'y'; 4000]);
    block.extend_from_slice(&[0xbe; 12_000]);
    let mut raw = Raw::greet(&lock).await;
    let bomb = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    raw.write.write_all(&bomb).await.unwrap();
    // Refused with a status of its own, or the whole connection is.
    let is_answered = raw.hears(HEADERS).await;
    assert!(is_answered || raw.has_gone_away);
    assert_eq!(lock.door.log.begun.load(Ordering::Relaxed), 0);
    drop(raw);
    lock.door.end().await;
}

#[tokio::test]
async fn h022_frames_that_ask_for_nothing_end_the_connection() {
    let lock = Lock::open(|_| {}).await;
    let open = frame(HEADERS, END_HEADERS, 1, &get("/hang"));
    let floods = [
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("empty data", frame(DATA, 0, 1, &[])),
        ("priorities", frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 16])),
        ("window updates", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown frames", frame(0xbe, 0, 0, &[])),
    ];
    for (name, one) in floods {
        let mut flood = open.clone();
        flood.extend(one.repeat(10_000));
        eprintln!("{name}");
        ends(&lock, &flood).await;
    }
    lock.door.end().await;
}

#[tokio::test]
async fn frames_are_understood_however_they_are_cut() {
    let lock = Lock::open(|_| {}).await;
    let mut raw = Raw::greet(&lock).await;
    let mut words = frame(HEADERS, END_HEADERS, 1, &get("/1"));
    words.extend(frame(DATA, 0, 1, b"hello"));
    words.extend(frame(PING, 0, 0, &[0; 8]));
    words.extend(frame(DATA, END_STREAM, 1, b""));
    for byte in words {
        raw.write.write_all(&[byte]).await.unwrap();
        raw.write.flush().await.unwrap();
    }
    assert!(raw.hears(DATA).await);
    assert_eq!(lock.door.log.seen.lock().clone(), [("GET".into(), "/1".into(), 5)]);
    drop(raw);
    lock.door.end().await;
}

/// Sends the flood on a connection of its own. It must end, and we must be told.
async fn ends(lock: &Lock, flood: &[u8]) {
    let Raw { mut read, mut write, .. } = Raw::greet(lock).await;
    let sending = async {
        // Nobody need listen to all of it.
        write.write_all(flood).await.ok();
    };
    let listening = async {
        let mut heard = Vec::new();
        read.read_to_end(&mut heard).await.ok();
        heard
    };
    let both = async { tokio::join!(sending, listening) };
    let ((), heard) = tokio::time::timeout(PATIENCE, both).await.expect("the connection ends");
    assert!(kinds(&heard).contains(&GOAWAY), "{:?}", kinds(&heard));
}

/// A client without a library.
struct Raw {
    read: ReadHalf<TlsStream<TcpStream>>,
    write: WriteHalf<TlsStream<TcpStream>>,
    has_gone_away: bool,
}

impl Raw {
    async fn greet(lock: &Lock) -> Self {
        let mut stream = lock.connect("h2").await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let (read, write) = split(stream);
        Self { read, write, has_gone_away: false }
    }

    /// Reads until a frame of this kind. `false`: the other end went away first.
    async fn hears(&mut self, wanted: u8) -> bool {
        let reading = async {
            let mut head = [0; 9];
            while self.read.read_exact(&mut head).await.is_ok() {
                let length = usize::from(head[1]) << 8 | usize::from(head[2]);
                let mut payload = vec![0; length];
                if self.read.read_exact(&mut payload).await.is_err() {
                    return false;
                }
                self.has_gone_away |= head[3] == GOAWAY;
                if head[3] == wanted {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a frame or an end")
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A request's header block, without Huffman and without the table that grows.
fn get(target: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x01, 1, b'a', 0x04];
    block.push(u8::try_from(target.len()).unwrap());
    block.extend_from_slice(target.as_bytes());
    block
}

fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        kinds.push(head[3]);
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}
