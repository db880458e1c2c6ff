//! Calls over HTTP: connections, what is sent, what comes back, and what ends them.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on says so")]

mod wire_peer;

use std::collections::BTreeSet;
use std::sync::mpsc as threads;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use proxy::wire::{Outgoing, SendError, Wait, WireError, WireLimits};
use tokio::sync::oneshot;

use wire_peer::{Peer, answer, call, fetch, post, wire};

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_has_been_read() {
    let peer = Peer::keeping_on(answer("200 OK", "hello"));
    let wire = wire(WireLimits::default());
    for _ in 0..3 {
        assert_eq!(fetch(&wire, &peer.endpoint()).await.unwrap(), "hello");
    }
    assert_eq!(peer.connections(), 1);
    assert_eq!(peer.requests().len(), 3);
}

#[tokio::test]
async fn a_request_is_framed_by_us_and_by_nobody_else() {
    let peer = Peer::saying(answer("202 Accepted", ""));
    let wire = wire(WireLimits::default());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (HOST, "evil.example"),
        (CONTENT_LENGTH, "1"),
        (TRANSFER_ENCODING, "chunked"),
        (CONNECTION, "x-a, keep-alive"),
        (EXPECT, "100-continue"),
        (UPGRADE, "h2c"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-mine", HeaderValue::from_static("kept"));
    let body = [&b"{\"a\":"[..], b"", b"1}"].map(Bytes::from_static).to_vec();
    let request = Outgoing { method: Method::POST, headers, body };
    let ready = wire.checkout(&peer.endpoint()).await.unwrap();
    assert_eq!(ready.send(request).await.unwrap().status, 202);
    let sent = peer.requests().remove(0);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /mcp HTTP/1.1"));
    let host = format!("host: {}", peer.address);
    let lines: BTreeSet<&str> = lines.collect();
    let expected = ["accept-encoding: identity", "content-length: 7", "x-mine: kept", &host];
    assert_eq!(lines, BTreeSet::from(expected));
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_not_used_again() {
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(8);
    let peer = Peer::start(move |connection| {
        connection.request();
        connection.say(answer("200 OK", "x").as_bytes());
        connection.stream.shutdown(std::net::Shutdown::Both).unwrap();
        closed.blocking_send(()).unwrap();
    });
    let wire = wire(WireLimits::default());
    for round in 1..=3 {
        assert_eq!(fetch(&wire, &peer.endpoint()).await.unwrap(), "x");
        is_closed.recv().await.unwrap();
        assert_eq!(peer.connections(), round);
    }
}

#[tokio::test]
async fn a_request_comes_back_whole_if_its_connection_closed_before_it_was_written() {
    let (close, told) = threads::channel::<()>();
    let (closed, is_closed) = oneshot::channel::<()>();
    let script = std::sync::Mutex::new(Some((told, closed)));
    let peer = Peer::start(move |connection| {
        let Some((told, closed)) = script.lock().unwrap().take() else {
            connection.request();
            connection.say(answer("200 OK", "second").as_bytes());
            return;
        };
        told.recv().unwrap();
        connection.stream.shutdown(std::net::Shutdown::Both).unwrap();
        closed.send(()).unwrap();
    });
    let wire = wire(WireLimits::default());
    let ready = wire.checkout(&peer.endpoint()).await.unwrap();
    close.send(()).unwrap();
    is_closed.await.unwrap();
    let SendError::Unsent(request) = ready.send(post("precious")).await.err().unwrap() else {
        panic!("nothing can have been written");
    };
    let reply = wire.checkout(&peer.endpoint()).await.unwrap().send(request).await.unwrap();
    assert_eq!(reply.collect(100).await.unwrap(), "second");
    assert!(peer.requests()[0].ends_with("precious"));
}

#[tokio::test]
async fn a_connection_lost_after_the_request_was_written_says_so() {
    let peer = Peer::start(|connection| {
        connection.request();
    });
    let wire = wire(WireLimits::default());
    let ready = wire.checkout(&peer.endpoint()).await.unwrap();
    let failed = ready.send(post("{}")).await.err().unwrap();
    let SendError::Failed { error, written } = failed else { panic!("{failed:?}") };
    assert!(matches!(error, WireError::Closed { .. }), "{error:?}");
    assert!(written && error.may_retry());
}

#[tokio::test]
async fn a_refused_connection_is_the_upstreams_fault() {
    // A port that nobody is given unless they ask for it.
    let endpoint = wire_peer::development().parse_url("http://127.0.0.1:9/").unwrap();
    let error = wire(WireLimits::default()).checkout(&endpoint).await.err().unwrap();
    assert!(matches!(error, WireError::Connect { .. }), "{error:?}");
    assert_eq!(error.code(), "upstream_unreachable");
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection_at_once() {
    for stage in ["ready", "asked", "reading"] {
        let (closed, is_closed) = oneshot::channel();
        let (asked, is_asked) = oneshot::channel();
        let script = std::sync::Mutex::new(Some((closed, asked)));
        let peer = Peer::start(move |connection| {
            let Some((closed, asked)) = script.lock().unwrap().take() else { return };
            if stage != "ready" {
                connection.request();
            }
            if stage == "reading" {
                connection.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
            }
            asked.send(()).unwrap();
            closed.send(connection.is_closed()).unwrap();
        });
        let wire = wire(WireLimits::default());
        let endpoint = peer.endpoint();
        let ready = wire.checkout(&endpoint).await.unwrap();
        match stage {
            "ready" => drop(ready),
            "asked" => {
                let mut sending = Box::pin(ready.send(post("{}")));
                tokio::select! {
                    _ = &mut sending => panic!("there is no answer"),
                    told = is_asked => told.unwrap(),
                }
                drop(sending);
            }
            _ => {
                let mut reply = ready.send(post("{}")).await.unwrap();
                assert_eq!(reply.next().await.unwrap().unwrap(), "half", "{stage}");
                drop(reply);
            }
        }
        assert!(is_closed.await.unwrap(), "{stage}");
        // Nor has it gone back to be used by another call.
        drop(wire.checkout(&endpoint).await.unwrap());
        assert!(peer.has_accepted(2), "{stage}");
    }
}

#[tokio::test]
async fn an_early_answer_arrives_while_the_request_is_still_being_written() {
    let (done, is_done) = threads::channel::<()>();
    let script = std::sync::Mutex::new(is_done);
    let peer = Peer::start(move |connection| {
        connection.head();
        connection.say(answer("413 Content Too Large", "no").as_bytes());
        // Keeps the connection, and reads nothing more.
        script.lock().unwrap().recv().ok();
    });
    let wire = wire(WireLimits::default());
    let body = vec![Bytes::from(vec![b' '; 32 << 20])];
    let request = Outgoing { method: Method::POST, headers: HeaderMap::new(), body };
    let reply = wire.checkout(&peer.endpoint()).await.unwrap().send(request).await.unwrap();
    assert_eq!(reply.status, 413);
    assert_eq!(reply.collect(10).await.unwrap(), "no");
    done.send(()).unwrap();
    drop(wire.checkout(&peer.endpoint()).await.unwrap());
    assert!(peer.has_accepted(2), "a half-written request ends its connection");
}

#[tokio::test]
async fn a_large_answer_streams_without_piling_up() {
    const TOTAL: usize = 50 << 20;
    let (told, written) = threads::channel::<usize>();
    let peer = Peer::start(move |connection| {
        while connection.request().is_some() {
            connection
                .say(format!("HTTP/1.1 200 OK\r\ncontent-length: {TOTAL}\r\n\r\n").as_bytes());
            let block = vec![b'x'; 1 << 20];
            for n in 1..=TOTAL >> 20 {
                assert!(connection.say(&block));
                told.send(n << 20).unwrap();
            }
        }
    });
    let wire = wire(WireLimits::default());
    let mut reply = call(&wire, &peer.endpoint()).await.unwrap();
    assert_eq!(reply.content_length(), Some(TOTAL));
    let (mut received, mut sent) = (0, 0);
    while let Some(piece) = reply.next().await {
        let piece = piece.unwrap();
        assert!(piece.iter().all(|byte| *byte == b'x'));
        received += piece.len();
        sent = written.try_iter().last().unwrap_or(sent);
        // What lies between is in the kernel's socket buffers, and in one piece of ours.
        assert!(sent < received + (24 << 20), "{sent} sent, {received} received");
    }
    assert_eq!(received, TOTAL);
    let again = fetch(&wire, &peer.endpoint()).await.unwrap();
    assert_eq!(again.len(), TOTAL);
}

#[tokio::test]
async fn answers_of_every_framing_are_read_to_their_end() {
    let long = "y".repeat(100_000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n186a0;ext=1\r\n{long}\r\n\
         0\r\nx-trailer: 1\r\n\r\n"
    );
    for (bytes, body, connections) in [
        (answer("200 OK", "sized"), "sized".to_owned(), 1),
        (answer("200 OK", ""), String::new(), 1),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), String::new(), 1),
        (chunked, format!("a{long}"), 1),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end".to_owned(),
            "to the end".to_owned(),
            2,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nold".to_owned(), "old".to_owned(), 2),
        ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold".to_owned(), "old".to_owned(), 2),
    ] {
        let is_last = connections == 2;
        let script = bytes.clone();
        let peer = Peer::start(move |connection| {
            while connection.request().is_some() && connection.say(script.as_bytes()) {
                if is_last {
                    return;
                }
            }
        });
        let wire = wire(WireLimits::default());
        for _ in 0..2 {
            assert_eq!(fetch(&wire, &peer.endpoint()).await.unwrap(), body, "{bytes:.40}");
        }
        assert_eq!(peer.connections(), connections, "{bytes:.40}");
    }
}

#[tokio::test]
async fn calls_at_the_same_time_get_their_own_answers() {
    let peer = Peer::start(|connection| {
        while let Some(request) = connection.request() {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            connection.say(answer("200 OK", body).as_bytes());
        }
    });
    let wire = wire(WireLimits { idle_per_origin: 8, ..WireLimits::default() });
    let endpoint = peer.endpoint();
    for round in 0..3 {
        let calls = (0..50).map(|n| {
            let (wire, endpoint) = (&wire, &endpoint);
            async move {
                let text = format!("{round}/{n}");
                let mut request = post("");
                request.body = vec![Bytes::from(text.clone())];
                let reply = wire.checkout(endpoint).await.unwrap().send(request).await.unwrap();
                assert_eq!(reply.collect(100).await.unwrap(), text);
            }
        });
        futures::future::join_all(calls).await;
    }
    assert!(peer.connections() <= 50 + 42 + 42, "eight are kept from each round to the next");
}

#[tokio::test]
async fn an_unused_connection_is_not_kept_for_ever() {
    let peer = Peer::keeping_on(answer("200 OK", "x"));
    let wire = wire(WireLimits { idle: Duration::ZERO, ..WireLimits::default() });
    for round in 1..=2 {
        fetch(&wire, &peer.endpoint()).await.unwrap();
        assert_eq!(peer.connections(), round);
    }
    let wire = wire_peer::wire(WireLimits::default());
    fetch(&wire, &peer.endpoint()).await.unwrap();
    wire.close_idle();
    fetch(&wire, &peer.endpoint()).await.unwrap();
    assert_eq!(peer.connections(), 4);
}

/// A server in the test's own runtime: says `head`, then nothing more.
async fn say_and_fall_silent(listener: tokio::net::TcpListener, head: &'static [u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    stream.write_all(head).await.unwrap();
    let _held = stream;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_in_a_timeout_that_says_what_was_awaited() {
    let secs = Duration::from_secs;
    for (said, patience, what, limit) in [
        (&b""[..], None, Wait::Head, secs(60)),
        (b"HTTP/1.1 200 OK\r\ncontent-", None, Wait::Head, secs(60)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", None, Wait::Body, secs(60)),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
            Some((secs(7200), secs(3600))),
            Wait::Answer,
            secs(3600),
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nab", Some((secs(900), secs(3600))), Wait::Body, secs(900)),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let endpoint = wire_peer::development().parse_url(&url).unwrap();
        let wire = wire(WireLimits::default());
        let begun = tokio::time::Instant::now();
        let exchange = async {
            let mut reply = call(&wire, &endpoint).await?;
            if let Some((quiet, total)) = patience {
                reply.be_patient(quiet, total);
            }
            reply.collect(100).await
        };
        let outcome = tokio::select! {
            outcome = exchange => outcome,
            () = say_and_fall_silent(listener, said) => panic!("it never ends"),
        };
        assert_eq!(outcome, Err(WireError::Timeout { what, limit }));
        assert!(begun.elapsed() < limit + secs(1), "{what}: {:?}", begun.elapsed());
    }
}
