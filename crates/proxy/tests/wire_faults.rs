//! Answers that are wrong, too much, or that lead elsewhere.
#![expect(clippy::unwrap_used, unreachable_pub, dead_code, reason = "shared with other tests")]

mod wire_peer;

use std::time::Duration;

use bytes::Bytes;
use proxy::wire::{Fault, Wait, WireError, WireLimits};

use wire_peer::{Peer, answer, call, fetch, wire};

/// How a call ends that is answered with these bytes and then with the end of the connection.
async fn outcome(bytes: impl Into<Vec<u8>>) -> Result<Bytes, WireError> {
    let peer = Peer::saying(bytes);
    fetch(&wire(WireLimits::default()), &peer.endpoint()).await
}

#[tokio::test]
async fn h017_an_answer_that_two_readers_could_frame_differently_is_faulty() {
    for lines in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ncontent-length: 3",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: 3, 3",
        "content-length: +3",
        "content-length: -3",
        "content-length: 0x3",
        "content-length: 3 3",
        "content-length:",
        "content-length: 99999999999999999999999999",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: ",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let outcome = outcome(bytes).await;
        assert!(matches!(outcome, Err(WireError::Faulty { .. })), "{lines}: {outcome:?}");
    }
}

#[tokio::test]
async fn h017_a_head_that_is_no_http_is_faulty() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: value\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    ] {
        let outcome = outcome(bytes).await;
        assert!(matches!(outcome, Err(WireError::Faulty { .. })), "{bytes:?}: {outcome:?}");
        let error = outcome.unwrap_err();
        assert_eq!((error.fault(), error.may_retry()), (Fault::Upstream, false), "{bytes:?}");
    }
}

#[tokio::test]
async fn h017_a_body_that_breaks_its_framing_never_looks_complete() {
    for body in [
        "content-length: 5\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nab",
        "transfer-encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nxyz\r\n",
        "transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
        "transfer-encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    ] {
        let outcome = outcome(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        let is_refused =
            matches!(outcome, Err(WireError::Faulty { .. } | WireError::Closed { .. }));
        assert!(is_refused, "{body:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn h017_a_flood_of_interim_answers_is_faulty_and_a_few_are_skipped() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let end = answer("200 OK", "done");
    assert_eq!(outcome(hint.repeat(3) + &end).await.unwrap(), "done");
    let flooded = outcome(hint.repeat(1000) + &end).await;
    assert!(matches!(flooded, Err(WireError::Faulty { .. })), "{flooded:?}");
    // One that never ends.
    let peer = Peer::start(move |connection| {
        connection.request();
        while connection.say(hint.as_bytes()) {}
    });
    let flooded = fetch(&wire(WireLimits::default()), &peer.endpoint()).await;
    assert!(matches!(flooded, Err(WireError::Faulty { .. })), "{flooded:?}");
}

#[tokio::test]
async fn h028_an_answer_is_read_no_further_than_its_limit() {
    const LIMIT: usize = 1 << 20;
    let limits = WireLimits { response_bytes: LIMIT, ..WireLimits::default() };
    let too_large = WireError::TooLarge { what: "response", limit: LIMIT };
    let announced =
        Peer::saying(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40));
    assert_eq!(fetch(&wire(limits), &announced.endpoint()).await, Err(too_large.clone()));
    for head in ["transfer-encoding: chunked\r\n", "connection: close\r\n"] {
        let (told, sent) = std::sync::mpsc::channel();
        let peer = Peer::start(move |connection| {
            connection.request();
            connection.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes());
            let block = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            let mut total = 0;
            while connection.say(block.as_bytes()) {
                total += block.len();
            }
            told.send(total).unwrap();
        });
        assert_eq!(fetch(&wire(limits), &peer.endpoint()).await, Err(too_large.clone()), "{head}");
        let sent = sent.recv().unwrap();
        assert!(sent < LIMIT + (24 << 20), "{sent} bytes were taken: {head}");
    }
    assert_eq!(too_large.code(), "response_too_large");
}

#[tokio::test]
async fn an_answer_that_keeps_coming_ends_all_the_same() {
    let peer = Peer::start(|connection| {
        connection.request();
        connection.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while connection.say(b"1\r\n.\r\n") {}
    });
    let limit = Duration::from_millis(20);
    let limits = WireLimits { total: limit, ..WireLimits::default() };
    let outcome = fetch(&wire(limits), &peer.endpoint()).await;
    assert_eq!(outcome, Err(WireError::Timeout { what: Wait::Answer, limit }));
}

#[tokio::test]
async fn a_body_is_collected_up_to_the_callers_limit() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    for bytes in [answer("200 OK", "abcdef"), chunked.to_owned()] {
        let peer = Peer::saying(bytes.as_str());
        for (limit, fits) in [(6, true), (5, false), (0, false)] {
            let reply = call(&wire(WireLimits::default()), &peer.endpoint()).await.unwrap();
            let outcome = reply.collect(limit).await;
            let too_large = WireError::TooLarge { what: "response", limit };
            let expected = if fits { Ok(Bytes::from("abcdef")) } else { Err(too_large) };
            assert_eq!(outcome, expected, "{limit} {bytes}");
        }
    }
}

#[tokio::test]
async fn a_head_has_a_limit() {
    let limit = WireLimits::default().header_bytes;
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(limit));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let endless = Peer::start(|connection| {
        connection.request();
        connection.say(b"HTTP/1.1 200 OK\r\n");
        while connection.say(b"a: b\r\n") {}
    });
    for peer in [Peer::saying(long), Peer::saying(many), endless] {
        let outcome = fetch(&wire(WireLimits::default()), &peer.endpoint()).await;
        assert_eq!(outcome, Err(WireError::TooLarge { what: "response head", limit }));
    }
    let trailers = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
    let outcome = outcome(format!("{trailers}{}\r\n", "a: b\r\n".repeat(100_000))).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn h107_a_redirect_is_an_error_that_names_an_origin_and_no_more() {
    let peer = Peer::saying(answer("200 OK", "never"));
    let elsewhere = peer.url("/mcp?token=secret");
    let origin = format!("http://{}", peer.address);
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for (location, to) in [
            (elsewhere.as_str(), origin.as_str()),
            ("https://user:secret@169.254.169.254/latest", "https://169.254.169.254"),
            ("/login?next=secret", "another path of its own"),
            ("//evil.example/secret", "https://evil.example"),
            ("javascript:secret", "an address that is no URL"),
            ("https://ev\u{ef}l.example/secret", "nowhere"),
        ] {
            let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\n");
            let outcome = outcome(format!("{head}content-length: 0\r\n\r\n")).await;
            let error = outcome.unwrap_err();
            assert_eq!(error, WireError::Redirect { to: to.to_owned() }, "{status} {location}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn an_answer_compressed_unasked_is_faulty() {
    for (encoding, passes) in
        [("identity", true), ("Identity", true), ("gzip", false), ("br", false), ("", false)]
    {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\n");
        let outcome = outcome(format!("{head}content-length: 1\r\n\r\nx")).await;
        assert_eq!(outcome.is_ok(), passes, "{encoding}: {outcome:?}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_never_become_the_next_answer() {
    let spurious = answer("200 OK", "first") + &answer("200 OK", "planted");
    let peer = Peer::start(move |connection| {
        while connection.request().is_some() {
            connection.say(spurious.as_bytes());
        }
    });
    let wire = wire(WireLimits::default());
    for _ in 0..3 {
        assert_eq!(fetch(&wire, &peer.endpoint()).await.unwrap(), "first");
    }
    assert_eq!(peer.connections(), 3);
}
