//! Alone in its process, because it takes all of the process's open files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "listener/door.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod door;

use std::fs::File;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

#[tokio::test]
async fn h032_without_descriptors_the_door_waits_and_recovers() {
    let door = door::open(|settings| settings.workers = 1).await;
    let before = door.talk("GET /1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(before.ends_with("GET /1 0"), "{before}");

    let socket = TcpSocket::new_v4().unwrap();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(256);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let mut stream = socket.connect(door.address).await.unwrap();
    stream.write_all(b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    door::eventually("the want is seen", || door.gauge.is_starved()).await;

    taken.clear();
    assert!(door::answer(&mut stream).await.ends_with("GET /2 0"));
    assert!(!door.gauge.is_starved());
    drop(stream);
    door.end().await;
}
