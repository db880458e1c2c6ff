//! A system that gives the gateway no more processes and threads.

use std::path::Path;
use std::time::Duration;

use tests::wait::within;
use tests::{Answer, Client, Gateway, Upstream};

/// The server that the tests have for this.
const DOUBLE: &str = env!("CARGO_BIN_EXE_stdio_double");

#[tokio::test]
async fn h033_without_processes_a_child_cannot_be_started_and_nothing_else_suffers() {
    for era in ["legacy", "modern"] {
        let words = ["--", "PROGRAM", era];
        let gateway = Gateway::dev_unprivileged(Path::new(DOUBLE), &words).await;
        let client = awake(&gateway).await;
        gateway.limit_processes(Some(1)).await;
        for _ in 0..3 {
            let known = gateway.records().len();
            let answer = client.send(client.tool("echo", "{}")).await;
            assert_blamed(&answer, era);
            let records = gateway.records_since(known);
            assert_eq!(records.last().map(|it| it.end()), Some("upstream"), "{era}");
        }
        gateway.limit_processes(None).await;
        recovers(&client).await;
        let clients = Client::of_each_era(&gateway).await;
        for other in &clients {
            recovers(other).await;
        }
        // One that runs goes on; one that dies cannot come back before there is room.
        gateway.limit_processes(Some(1)).await;
        for other in clients {
            let answer = other.send(other.tool("echo", r#"{"n":2}"#)).await;
            assert_eq!(answer.verdict(), "200", "{era}, {other}: {}", answer.text());
        }
        assert_blamed(&client.send(client.tool("crash", "{}")).await, era);
        assert_blamed(&client.send(client.tool("echo", "{}")).await, era);
        gateway.limit_processes(None).await;
        recovers(&client).await;
        assert!(!gateway.words().contains("panicked"), "{}", gateway.words());
    }
}

#[tokio::test]
async fn h033_without_threads_a_name_is_not_resolved_and_the_gateway_lives() {
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let url = upstream.url.replace("127.0.0.1", "localhost");
    let gateway = Gateway::dev_unprivileged(Path::new(DOUBLE), &["--upstream", &url]).await;
    let client = awake(&gateway).await;
    gateway.limit_processes(Some(1)).await;
    for _ in 0..3 {
        assert_blamed(&client.send(client.tool("echo", "{}")).await, "no thread");
    }
    gateway.limit_processes(None).await;
    recovers(&client).await;
    assert!(!gateway.words().contains("panicked"), "{}", gateway.words());
}

/// A client of a gateway that has started all its threads.
async fn awake(gateway: &Gateway) -> Client {
    let client = Client::modern(gateway);
    assert_eq!(client.send(client.get()).await.status, 405);
    client
}

/// What could not be had is asked for anew, though not with every call.
async fn recovers(client: &Client) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let served = async {
        while client.send(client.tool("echo", r#"{"n":1}"#)).await.status != 200 {
            ticks.tick().await;
        }
    };
    within("a call that is served again", served).await;
}

fn assert_blamed(answer: &Answer, row: &str) {
    assert_eq!(answer.verdict(), "502/1502", "{row}: {}", answer.text());
}
