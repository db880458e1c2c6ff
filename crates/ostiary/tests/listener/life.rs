//! How long things may take, and how they end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ostiary::listener::{ListenError, Settings, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::door::{self, answer, eventually, hear};

const SOON: Duration = Duration::from_millis(500);

#[tokio::test]
async fn plain_http_beyond_loopback_is_refused_unless_a_proxy_ends_tls() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:10.0.0.1]:80"] {
        let refusal = bind(Settings::new(listen.parse().unwrap())).await.err().unwrap();
        assert!(matches!(refusal, ListenError::PlainBeyondLoopback { .. }), "{refusal}");
    }
    let mut settings = Settings::new("0.0.0.0:0".parse().unwrap());
    settings.behind_tls_proxy = true;
    bind(settings).await.unwrap();
    bind(Settings::new("127.0.0.2:0".parse().unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = bind(Settings::new(([127, 0, 0, 1], 0).into())).await.unwrap();
    let second = bind(Settings::new(first.local_addr())).await.err().unwrap();
    let expected = format!("{} is in use by another program", first.local_addr());
    assert_eq!(second.to_string(), expected);
}

#[tokio::test]
async fn h023_heads_that_trickle_are_closed_and_others_served() {
    let door = door::open(|settings| settings.limits.header_timeout = SOON).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = door.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
        slow.push(stream);
    }
    let mut silent = door.connect().await;
    let heard = door.talk("GET /1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(heard.ends_with("GET /1 0"), "{heard}");
    for stream in &mut slow {
        assert!(hear(stream).await.starts_with("HTTP/1.1 408 "));
    }
    assert_eq!(hear(&mut silent).await, "");
    assert_eq!(door.targets(), ["/1"]);
    door.end().await;
}

#[tokio::test]
async fn h023_a_head_that_trickles_after_a_request_is_closed_too() {
    let door = door::open(|settings| settings.limits.header_timeout = SOON).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("GET /1 0"));
    assert!(hear(&mut stream).await.starts_with("HTTP/1.1 408 "));
    door.end().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_long_call_is_not() {
    let door = door::open(|settings| settings.limits.idle_timeout = SOON).await;
    let mut idle = door.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut idle).await.ends_with("GET /1 0"));
    let mut long = door.connect().await;
    long.write_all(b"POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n").await.unwrap();
    assert_eq!(hear(&mut idle).await, "");
    // Longer than it took the first, which proves that it is not the length that counts.
    for _ in 0..2 {
        hear(&mut door.connect().await).await;
    }
    long.write_all(b".").await.unwrap();
    assert!(answer(&mut long).await.ends_with("POST /2 1"));
    door.end().await;
}

#[tokio::test]
async fn who_reads_nothing_is_given_up() {
    let door = door::open(|settings| settings.limits.write_timeout = SOON).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("the application has answered", || door.targets() == ["/big"]).await;
    eventually("the connection is gone", || door.gauge.connections() == 0).await;
    door.end().await;
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    let door = door::open(|settings| settings.workers = 1).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 500 "));
    stream.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("GET /1 0"));
    door.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_call() {
    let door = door::open(|_| {}).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("the call has begun", || door.log.begun.load(Ordering::Relaxed) == 1).await;
    drop(stream);
    eventually("the call is dropped", || door.log.dropped.load(Ordering::Relaxed) == 1).await;
    door.end().await;
}

#[tokio::test]
async fn above_the_cap_connections_wait_their_turn() {
    let door = door::open(|settings| settings.limits.max_connections = 2).await;
    let (first, second) = (door.connect().await, door.connect().await);
    eventually("both are inside", || door.gauge.connections() == 2).await;
    let mut third = door.connect().await;
    third.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(SOON, third.read_u8()).await;
    assert!(early.is_err(), "the third waits");
    drop(first);
    assert!(answer(&mut third).await.ends_with("GET /1 0"));
    drop(second);
    door.end().await;
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_takes_no_more() {
    let door = door::open(|_| {}).await;
    let mut busy = door.connect().await;
    busy.write_all(b"POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n").await.unwrap();
    eventually("the call has begun", || door.log.begun.load(Ordering::Relaxed) == 1).await;
    let mut idle = door.connect().await;
    idle.write_all(b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut idle).await.ends_with("GET /2 0"));

    door.stop();
    assert_eq!(hear(&mut idle).await, "");
    busy.write_all(b".").await.unwrap();
    let heard = hear(&mut busy).await;
    assert!(heard.ends_with("POST /1 1"), "{heard}");
    let address = door.address;
    door.end().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let door = door::open(|settings| settings.limits.grace = SOON).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("the call has begun", || door.log.begun.load(Ordering::Relaxed) == 1).await;
    let log = std::sync::Arc::clone(&door.log);
    door.end().await;
    assert_eq!(log.dropped.load(Ordering::Relaxed), 1);
    assert_eq!(hear(&mut stream).await, "");
}

#[tokio::test]
async fn r1_connections_between_two_requests_are_handed_on_as_they_are() {
    let door = door::open(|_| {}).await;
    let mut fresh = door.connect().await;
    let mut idle = door.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut idle).await.ends_with("GET /1 0"));
    // The one has sent a part of a head, the other a part of its body: both are answered first. What
    // comes before that part says when it has been read, which nothing says of a first one.
    let mut head = door.connect().await;
    head.write_all(b"GET /0 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\n").await.unwrap();
    assert!(answer(&mut head).await.ends_with("GET /0 0"));
    let mut body = door.connect().await;
    body.write_all(b"POST /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n.").await.unwrap();
    eventually("the call has begun", || door.log.begun.load(Ordering::Relaxed) == 3).await;
    eventually("all are inside", || door.gauge.connections() == 4).await;
    let mut heir = door.ending.hand_on();
    let mut given = vec![next(&mut heir).await, next(&mut heir).await];
    head.write_all(b"host: a\r\n\r\n").await.unwrap();
    let heard = answer(&mut head).await;
    assert!(heard.ends_with("GET /2 0") && !heard.contains("connection: close"), "{heard}");
    given.push(next(&mut heir).await);
    body.write_all(b".").await.unwrap();
    assert!(answer(&mut body).await.ends_with("POST /3 2"));
    given.push(next(&mut heir).await);
    door.end().await;
    // None of them has been closed, and what they say from now on is the heir's to hear.
    for client in [&mut fresh, &mut idle, &mut head, &mut body] {
        let peer = client.local_addr().unwrap();
        let place = given.iter().position(|it| it.peer_addr().unwrap() == peer).unwrap();
        let mut taken = given.swap_remove(place);
        client.write_all(b"more").await.unwrap();
        let mut heard = [0; 4];
        taken.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"more");
    }
}

async fn next(heir: &mut tokio::sync::mpsc::Receiver<std::net::TcpStream>) -> TcpStream {
    let given = tokio::time::timeout(door::PATIENCE, heir.recv()).await.expect("one is given");
    TcpStream::from_std(given.unwrap()).unwrap()
}

#[tokio::test]
async fn connections_that_are_inherited_are_served_and_whoever_leaves_says_so_with_an_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let (stream, _) = listener.accept().unwrap();
    let (room, connections) = tokio::sync::mpsc::channel(1);
    stream.set_nonblocking(true).unwrap();
    room.send(stream).await.unwrap();
    let door = door::open_with(|_| {}, |bound| bound.with_connections(connections)).await;
    assert!(answer(&mut client).await.ends_with("GET /1 0"));
    door.ending.leave();
    client.write_all(b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let heard = hear(&mut client).await;
    assert!(heard.contains("connection: close") && heard.ends_with("GET /2 0"), "{heard}");
    // It still takes others.
    let heard = door.talk("GET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(heard.contains("connection: close") && heard.ends_with("GET /3 0"), "{heard}");
    door.end().await;
}

#[tokio::test]
async fn who_has_connected_before_a_stop_is_answered() {
    let door = door::open(|_| {}).await;
    // Nothing accepts while this thread is here: all of them are in the queue.
    let address = door.address;
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut client, b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            client
        })
        .collect();
    door.stop();
    for client in clients {
        client.set_nonblocking(true).unwrap();
        let heard = hear(&mut TcpStream::from_std(client).unwrap()).await;
        assert!(heard.ends_with("GET /1 0"), "{heard}");
    }
    door.end().await;
}

#[tokio::test]
async fn what_outlasts_the_grace_is_ended_by_the_application() {
    let door = door::open(|settings| settings.limits.grace = SOON).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("the call has begun", || door.log.begun.load(Ordering::Relaxed) == 1).await;
    door.stop();
    let heard = hear(&mut stream).await;
    assert!(heard.ends_with("ended"), "{heard}");
    door.end().await;
}
