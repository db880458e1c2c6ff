//! A listening socket that a service manager keeps over restarts.

use std::net::{TcpListener, UdpSocket};

use tests::line::Line;
use tests::load::{End, once};
use tests::wait::within;
use tests::{Caller, Ledger, Site};
use tokio::net::UnixDatagram;

use crate::ledgers::documents;

const OURS: &str = "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=ostiary.socket";

#[tokio::test(flavor = "multi_thread")]
async fn r1_whoever_connects_while_nothing_runs_is_served_by_what_is_started_next() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Ledger::start().await;
        let first = site.start_with(&documents(&upstream)).await;
        let caller = Caller::of("main", "target", &first.token("bot", "t").await);
        assert!(first.stop().await.success());
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        for restart in 0..6 {
            // It is connected, and its request is sent, before there is anybody to answer.
            let (mut line, nonce) = (Line::to(address), 2 * restart + 1);
            let early = once(&mut line, address, &caller, nonce);
            let starting = site.start_activated(socket.try_clone().unwrap(), OURS, &[]);
            let (call, served) = tokio::join!(early, starting);
            let served = served.unwrap();
            assert_eq!(served.address, address);
            assert_eq!(call.end, End::Answered);
            let late = once(&mut line, address, &caller, nonce + 1).await;
            assert_eq!(late.end, End::Answered);
            assert!(served.stop().await.success());
        }
        assert_eq!(upstream.arrivals().len(), 12);
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test]
async fn what_is_handed_over_must_be_one_socket_that_listens_where_we_are_to() {
    let site = Site::new(None);
    let listening = || TcpListener::bind("127.0.0.1:0").unwrap();
    let started = site.start_activated(UdpSocket::bind("127.0.0.1:0").unwrap(), OURS, &[]).await;
    assert_eq!(started.err().unwrap().code(), Some(78), "{}", site.words());
    for odd in [
        "LISTEN_FDS=2 LISTEN_PID=$$",
        "LISTEN_FDS=x LISTEN_PID=$$",
        "LISTEN_PID=$$",
        "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=a:b",
    ] {
        let started = site.start_activated(listening(), odd, &[]).await;
        assert_eq!(started.err().unwrap().code(), Some(78), "{odd}: {}", site.words());
    }
    let elsewhere = TcpListener::bind("127.0.0.2:0").unwrap();
    let started = site.start_activated(elsewhere, OURS, &[]).await;
    assert_eq!(started.err().unwrap().code(), Some(78), "{}", site.words());
    assert!(site.words().contains("and the configuration says"), "{}", site.words());
    // One that is connected, or that has not been told to listen, is none.
    let socket = listening();
    let connected = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    let started = site.start_activated(connected, OURS, &[]).await;
    assert_eq!(started.err().unwrap().code(), Some(78), "{}", site.words());
    // What is for another process is not touched.
    let address = socket.local_addr().unwrap();
    let served = site.start_activated(socket, "LISTEN_FDS=1 LISTEN_PID=1", &[]).await.unwrap();
    assert_ne!(served.address, address);
    assert!(served.stop().await.success());
}

#[tokio::test]
async fn a_service_manager_is_told_who_serves_and_that_it_stops() {
    let site = Site::new(None);
    let place = site.home().join("notify");
    let manager = UnixDatagram::bind(&place).unwrap();
    let told = async || {
        let mut bytes = [0; 256];
        let length = within("a notice", manager.recv(&mut bytes)).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let variables = format!("{OURS} NOTIFY_SOCKET={}", place.display());
    let served = site.start_activated(socket, &variables, &[]).await.unwrap();
    let pid = served.pid().unwrap().as_raw_pid();
    assert_eq!(told().await, format!("READY=1\nMAINPID={pid}"));
    assert!(served.stop().await.success());
    assert_eq!(told().await, "STOPPING=1");
}
