//! Servers that end their streams early, to be asked again for what they have to say.

use std::process::Stdio;

use futures::future::join;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use tempfile::TempDir;
use tests::peers::{Peer, bin, run_client};
use tests::upstream::{Seen, Talk};
use tests::wait::within;
use tests::{Client, Gateway, Record, Relay, Streamed, Upstream};
use tokio::process::Command;
use tokio::time::Instant;

use crate::scene::Scene;

const MESSAGE: &str = "notifications/message";

#[tokio::test]
async fn a_server_that_closes_the_stream_of_a_call_is_asked_for_the_rest() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET")).await;
    for breaks in [false, true] {
        for client in scene.clients().await {
            let row = format!("{client}, breaks: {breaks}");
            let known = scene.gateway.records().len();
            let seen = scene.upstream.calls().len();
            let (mut answer, (talk, session)) =
                join(client.open(client.tool_with_progress("echo", "1")), async {
                    let call = scene.upstream.next().await;
                    let session = call.header("mcp-session-id").unwrap().to_owned();
                    let talk = call.stream();
                    talk.bytes("id: a/1\nretry: 300\n").await;
                    progress(&talk, 1).await;
                    (talk, session)
                })
                .await;
            assert_eq!(answer.message().await["params"]["progress"], 1, "{row}");
            let (id, begun) = (talk.id.clone(), Instant::now());
            if breaks {
                talk.fail().await
            } else {
                drop(talk)
            }
            let again = scene.upstream.next().await;
            assert!(300 <= begun.elapsed().as_millis(), "{row}: {:?}", begun.elapsed());
            assert_eq!((&*again.method, again.body.as_str()), ("GET", ""), "{row}");
            assert_eq!(again.header("last-event-id"), Some("a/1"), "{row}");
            assert_eq!(again.header("mcp-session-id"), Some(&*session), "{row}");
            // It may do so more than once, and fail in between.
            let talk = again.stream();
            talk.bytes("id: a/2\n").await;
            progress(&talk, 2).await;
            drop(talk);
            let again = scene.upstream.next().await;
            assert_eq!(again.header("last-event-id"), Some("a/2"), "{row}");
            again.refuse(503);
            let again = scene.upstream.next().await;
            assert_eq!(again.header("last-event-id"), Some("a/2"), "{row}");
            let talk = again.stream();
            let result = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#);
            talk.message(&result).await;
            // A client that can be sent away is, and comes back.
            let heard = until_answered(&client, answer).await;
            let [progress, result] = heard.as_slice() else { panic!("{row}: {heard:?}") };
            assert!(progress.contains(r#""progress":2"#), "{row}: {progress}");
            assert!(result.contains(r#""result":{"#), "{row}: {result}");
            let calls = scene.upstream.calls().split_off(seen);
            assert_eq!(calls.len(), 1, "{row}: it is not sent again: {calls:?}");
            assert_eq!(scene.gateway.records_since(known).len(), 2, "{row}: one call");
        }
    }
}

async fn progress(talk: &Talk, number: u32) {
    let params = format!(r#"{{"progressToken":1,"progress":{number}}}"#);
    talk.notification("notifications/progress", &params).await;
}

/// What comes on a stream to which its client comes back until it has its answer.
async fn until_answered(client: &Client, mut stream: Streamed) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        while let Some(event) = stream.next().await {
            heard.push(String::from_utf8(event.data.to_vec()).unwrap());
            if heard.last().is_some_and(|it| it.contains(r#""result""#)) {
                return heard;
            }
        }
        let id = stream.last_id.clone().expect("a place to come back to");
        assert!(stream.retry.is_some(), "and a time");
        stream = client.open(client.get().with("last-event-id", &id)).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_go_on_is_given_up() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET")).await;
    let client = Client::legacy_as(&scene.gateway, "2025-06-18", "{}").await;
    client.warm_up().await;
    for (status, reason) in [(400, "status 400"), (404, "forgot the session"), (405, "status 405")]
    {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let talk = scene.upstream.next().await.stream();
            talk.bytes("id: 1\nretry: 1\ndata:\n\n").await;
            drop(talk);
            scene.upstream.next().await.refuse(status);
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{status}: {}", answer.text());
        assert!(answer.text().contains(reason), "{status}: {}", answer.text());
    }
    // What fails again and again does not go on for ever, and what has given no id cannot go on.
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        let talk = scene.upstream.next().await.stream();
        talk.bytes("id: 1\nretry: 1\ndata:\n\n").await;
        drop(talk);
        for _ in 0..5 {
            scene.upstream.next().await.refuse(500);
        }
    })
    .await;
    assert_eq!(answer.code(), Some(1502), "{}", answer.text());
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        let talk = scene.upstream.next().await.stream();
        talk.bytes("retry: 1\ndata:\n\n").await;
    })
    .await;
    assert!(answer.text().contains("without an answer"), "{}", answer.text());
}

#[tokio::test]
async fn a_modern_server_is_not_asked_for_what_it_cannot_have() {
    let scene = Scene::of(Upstream::modern()).await;
    for client in scene.clients().await {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let talk = scene.upstream.next().await.stream();
            talk.bytes("id: 1\nretry: 1\ndata:\n\n").await;
        })
        .await;
        assert!(answer.text().contains("without an answer"), "{client}: {}", answer.text());
        let asked_again = |it: &Seen| it.header("last-event-id").is_some();
        assert!(!scene.upstream.seen().iter().any(asked_again), "{client}");
    }
}

#[tokio::test]
async fn a_servers_own_stream_goes_on_where_it_was_left_as_far_as_the_server_knows() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET").echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    let mut stream = client.open(client.get()).await;
    let say = |data: &str| format!(r#"{{"level":"info","data":"{data}"}}"#);
    let first = scene.upstream.next().await;
    assert_eq!(first.header("last-event-id"), None);
    let first = first.stream();
    first.bytes("retry: 100\nid: x-1\n").await;
    first.notification(MESSAGE, &say("one")).await;
    assert_eq!(stream.message().await["params"]["data"], "one");
    drop(first);
    let second = scene.upstream.next().await;
    assert_eq!(second.header("last-event-id"), Some("x-1"));
    // It has forgotten.
    second.refuse(400);
    let third = scene.upstream.next().await;
    assert_eq!(third.header("last-event-id"), None);
    third.stream().notification(MESSAGE, &say("two")).await;
    assert_eq!(stream.message().await["params"]["data"], "two");
}

#[tokio::test]
async fn what_comes_while_no_stream_is_open_waits_for_the_next_one() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET").echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    let mut stream = client.open(client.get()).await;
    let theirs = scene.upstream.next().await.stream();
    let say = |data: &str| format!(r#"{{"level":"info","data":"{data}"}}"#);
    theirs.notification(MESSAGE, &say("heard")).await;
    assert_eq!(stream.message().await["params"]["data"], "heard");
    let id = stream.last_id.clone().unwrap();
    drop(stream);
    for _ in 0..3 {
        theirs.notification("notifications/tools/list_changed", "{}").await;
    }
    theirs.notification(MESSAGE, &say("missed")).await;
    let listed = scene.upstream.seen_of("tools/list").len();
    within("news", async {
        while scene.upstream.seen_of("tools/list").len() == listed {
            client.warm_up().await;
        }
    })
    .await;
    let mut stream = client.open(client.get().with("last-event-id", &id)).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|it| it != "missed") {
        let message = stream.message().await;
        let what = message["params"]["data"].as_str().or(message["method"].as_str());
        heard.push(what.unwrap().to_owned());
    }
    // How often depends on when the gateway has seen the client go.
    heard.dedup();
    assert_eq!(heard, ["notifications/tools/list_changed", "missed"]);
    // It goes on with what comes, from a stream that its server has opened anew or not.
    drop(theirs);
    let theirs = scene.upstream.next().await.stream();
    theirs.notification(MESSAGE, &say("new")).await;
    assert_eq!(stream.message().await["params"]["data"], "new");
}

#[tokio::test]
async fn the_conformance_suite_finds_that_a_server_is_left_alone_as_long_as_it_asks_for() {
    let folder = TempDir::with_prefix("ostiary-sse-retry-").unwrap();
    let [url, done] = ["url", "done"].map(|it| folder.path().join(it));
    for pipe in [&url, &done] {
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, rustix::fs::Mode::RWXU).unwrap();
    }
    // What the suite takes for the client says where the server is, and waits for us to be that.
    let script = folder.path().join("client.sh");
    let words = format!("echo \"$1\" >{}\ncat {}\n", url.display(), done.display());
    std::fs::write(&script, words).unwrap();
    let mut suite = Command::new(bin("conformance"));
    suite.args(["client", "--scenario", "sse-retry", "--spec-version", "2025-11-25", "--command"]);
    suite.arg(format!("sh {}", script.display())).kill_on_drop(true).stdin(Stdio::null());
    let judging = within("the suite's verdict", suite.output());
    let calling = async {
        let server = within("the suite's server", tokio::fs::read_to_string(&url)).await.unwrap();
        let gateway = Gateway::dev(server.trim()).await;
        let client = Client::legacy(&gateway).await;
        let answer = client.open(client.tool("test_reconnection", "{}")).await;
        let heard = until_answered(&client, answer).await.join(" ");
        assert!(heard.contains("Reconnection test completed"), "{heard}");
        tokio::fs::write(&done, "").await.unwrap();
    };
    let (verdict, ()) = join(judging, calling).await;
    let verdict = verdict.unwrap();
    let said = [verdict.stdout, verdict.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(verdict.status.success() && said.contains("Passed: 3/3"), "{said}");
}

#[tokio::test]
async fn the_reference_server_goes_on_where_its_connection_broke() {
    let everything = Peer::everything().await;
    let relay = Relay::to(&everything.url).await;
    let gateway = Gateway::dev(&relay.url).await;
    let client = Client::legacy(&gateway).await;
    client.warm_up().await;
    let known = gateway.records().len();
    // Over before the stream is asked for again, a second after the break: this server repeats what it
    // has said, and says nothing more on a stream that goes on.
    let members =
        r#""name":"trigger-long-running-operation","arguments":{"duration":0.5,"steps":3}"#;
    let post = client.request_with_meta("tools/call", members, r#""progressToken":1"#);
    let mut answer = client.open(post).await;
    assert_eq!(answer.message().await["params"]["progress"], 1);
    relay.cut();
    for step in 2..=3 {
        assert_eq!(answer.message().await["params"]["progress"], step);
    }
    let last = answer.message().await;
    let text = last["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("Long running operation completed"), "{last}");
    assert_eq!(answer.next().await, None);
    assert_eq!(gateway.records_since(known).len(), 2, "one call");
}

#[tokio::test]
async fn the_typescript_sdk_comes_back_by_itself_when_it_is_sent_away() {
    comes_back("node-client").await;
}

#[tokio::test]
async fn the_python_sdk_comes_back_by_itself_when_it_is_sent_away() {
    comes_back("python-client").await;
}

async fn comes_back(client: &str) {
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let gateway = Gateway::dev(&fixture.url).await;
    let call = [&*gateway.url, "legacy", "call", "test_reconnection", "{}"];
    let called = run_client(client, &call).await;
    assert_eq!(called["result"]["content"][0]["text"], CLOSED, "{called}");
    assert_eq!(calls(&gateway), 1);
}

#[tokio::test]
async fn the_rust_sdk_comes_back_by_itself_when_it_is_sent_away() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let gateway = Gateway::dev(&fixture.url).await;
    let transport = StreamableHttpClientTransport::from_uri(gateway.url.clone());
    let client = ().serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await.unwrap();
    let calling = client.call_tool(CallToolRequestParams::new("test_reconnection"));
    let result = within("the answer", calling).await.unwrap();
    let result = serde_json::to_value(result).unwrap();
    assert_eq!(result["content"][0]["text"], CLOSED, "{result}");
    assert_eq!(calls(&gateway), 1);
    client.cancel().await.unwrap();
}

/// How many calls have left the gateway.
fn calls(gateway: &Gateway) -> usize {
    let is_call = |it: &Record| it.kind == "intent" && it.text("method") == Some("tools/call");
    gateway.records().iter().filter(|it| is_call(it)).count()
}

const CLOSED: &str = "Answered after the stream was closed.";
