//! Clients that take more than their share: slow ones, deaf ones, and those who send what unpacks.

use std::time::Duration;

use futures::future::join;
use tests::raw::Raw;
use tests::upstream::Talk;
use tests::{Era, Post, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scene::Scene;

const PROGRESS: &str = "notifications/progress";

#[tokio::test]
async fn h024_a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let (scene, clients) = Scene::echoing().await;
    for client in clients {
        let known = scene.gateway.records().len();
        let whole = client.tool("echo", "{}").bytes(&scene.gateway.host(), &scene.gateway.path);
        let text = String::from_utf8(whole).unwrap();
        let head = text.split_once("content-length: ").unwrap().0;
        let mut raw = Raw::connect(scene.gateway.address).await;
        raw.send(format!("{head}content-length: {}\r\n\r\n{{", 50 << 20)).await;
        let answer = raw.answer().await.expect("it is told before it has sent it all");
        assert_eq!(answer.status, 413, "{client}");
        assert!(raw.has_ended().await, "{client}: the rest is never read as a request");
        scene.gateway.has_recorded(known, "too_large").await;
        scene.passes(&client, client.tool("echo", r#"{"n":1}"#), r#"{"n":1}"#).await;
    }
}

#[tokio::test]
async fn h024_bodies_that_trickle_are_refused_in_time_and_others_are_served() {
    let (scene, [modern, legacy]) = Scene::echoing().await;
    let calls = scene.upstream.calls().len();
    let slow = (0..50).map(|index| {
        let client = if index % 2 == 0 { &modern } else { &legacy };
        let arguments = format!(r#"{{"n":"{}"}}"#, "x".repeat(1_000));
        let post = client.tool("echo", &arguments);
        trickle(&scene, post)
    });
    let served = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..20 {
            ticks.tick().await;
            for client in [&modern, &legacy] {
                scene.passes(client, client.tool("echo", r#"{"n":1}"#), r#"{"n":1}"#).await;
            }
        }
    };
    let (said, ()) = join(futures::future::join_all(slow), served).await;
    for said in said {
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(said.contains(r#""reason":"slow_body""#), "{said}");
    }
    let ends = scene.gateway.records();
    assert_eq!(ends.iter().filter(|it| it.end() == "slow_body").count(), 50);
    assert_eq!(scene.upstream.calls().len(), calls + 40, "nothing of it reached the server");
}

/// Sends the head at once and then ten bytes a second, until the gateway closes; what it has said.
async fn trickle(scene: &Scene, post: Post) -> String {
    let bytes = post.bytes(&scene.gateway.host(), &scene.gateway.path);
    let body = bytes.len() - post.body.len();
    let mut stream = TcpStream::connect(scene.gateway.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let write = async {
        writer.write_all(&bytes[..body]).await.unwrap();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        for piece in bytes[body..].chunks(10) {
            ticks.tick().await;
            if writer.write_all(piece).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        let mut said = Vec::new();
        // A reset is an end as well, once everything has been heard.
        reader.read_to_end(&mut said).await.ok();
        String::from_utf8(said).unwrap()
    };
    let limit = Duration::from_secs(60);
    let whole = async {
        tokio::pin!(write, read);
        tokio::select! {
            said = &mut read => said,
            () = &mut write => read.await,
        }
    };
    tokio::time::timeout(limit, whole).await.expect("a body that trickles has an end")
}

#[tokio::test]
async fn h025_a_client_that_does_not_read_costs_little_and_others_are_served() {
    let cancelled = "notifications/cancelled";
    let plan = Upstream::of_both_eras().on(cancelled, |it| async move { it.accept() });
    let scene = Scene::of(plan).await;
    let [modern, legacy] = scene.clients().await;
    let listen = r#""notifications":{"toolsListChanged":true}"#;
    let rows = [
        (&modern, modern.tool_with_progress("echo", "7"), PROGRESS),
        (&legacy, legacy.tool_with_progress("echo", "7"), PROGRESS),
        (
            &modern,
            modern.request("subscriptions/listen", listen),
            "notifications/tools/list_changed",
        ),
    ];
    for (client, post, method) in rows {
        let row = format!("{client}, {method}");
        let word = format!(r#""requestId":{}"#, post.id);
        let before = scene.gateway.peak_memory();
        let mut deaf = Raw::connect(scene.gateway.address).await;
        deaf.send(post.bytes(&scene.gateway.host(), &scene.gateway.path)).await;
        let talk = scene.upstream.next().await.stream();
        let sent = fill(&talk, method).await;
        let grown = scene.gateway.grown_since(before);
        eprintln!("{row}: {} MiB on the way, {} KiB more at the peak", sent >> 20, grown >> 10);
        assert!(sent < MUCH, "{row}: the server is held back");
        assert!(grown < 8 << 20, "{row}: {grown} bytes");
        for other in [&modern, &legacy] {
            let (answer, ()) = join(other.send(other.tool("echo", "{}")), async {
                let call = scene.upstream.next().await;
                let kind = match other.era {
                    Era::Modern => r#""resultType":"complete","#,
                    Era::Legacy => "",
                };
                call.result(&format!(r#"{{{kind}"content":[]}}"#));
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
        }
        drop(deaf);
        if client.era == Era::Legacy {
            let word = client.notification(cancelled, &word);
            assert_eq!(client.send(word).await.status, 202, "{row}");
        }
        talk.given_up().await;
    }
}

/// More than all buffers between a server and a client can take.
const MUCH: usize = 256 << 20;

/// Sends notifications until nobody takes them any more; how many bytes of them.
async fn fill(talk: &Talk, method: &str) -> usize {
    let padding = "x".repeat(256 << 10);
    let params = format!(r#"{{"progressToken":7,"progress":1,"message":"{padding}"}}"#);
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    let event = format!("event: message\ndata: {text}\n\n");
    let full = Duration::from_millis(500);
    let mut sent = 0;
    while sent < MUCH && tokio::time::timeout(full, talk.bytes(event.clone())).await.is_ok() {
        sent += event.len();
    }
    sent
}

#[tokio::test]
async fn h027_a_body_that_would_have_to_be_unpacked_is_refused_as_it_is() {
    let (scene, clients) = Scene::echoing().await;
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    bomb.resize(10 << 10, 0);
    let before = scene.gateway.peak_memory();
    for client in clients {
        for coding in ["gzip", "GZIP", "x-gzip", "br", "zstd", "deflate", "gzip, gzip", "", "?"] {
            for body in [bomb.clone(), client.tool("echo", "{}").body.to_vec()] {
                let post = client.tool("echo", "{}").with("content-encoding", coding);
                scene.refuses(&client, post.with_body(body), ("415/-32600", "media_type")).await;
            }
        }
        let twice = client.tool("echo", "{}").with("content-encoding", "gzip");
        let twice = twice.and("content-encoding", "gzip").with_body(bomb.clone());
        scene.refuses(&client, twice, ("400/-32600", "bad_header")).await;
        // Without the header it is what it is: no JSON.
        let bare = client.tool("echo", "{}").with_body(bomb.clone());
        scene.refuses(&client, bare, ("400/-32700", "malformed")).await;
    }
    // The kernel rounds, and may round down later what it has said before.
    let grown = scene.gateway.peak_memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
}
