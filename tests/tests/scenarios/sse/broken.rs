//! Streams that break, and servers that lie about where messages go.

use futures::future::join;
use serde_json::json;
use tests::{Client, Era, Plan, Upstream};

use super::servers::result;
use crate::scene::Scene;

#[tokio::test]
async fn h103_h109_an_address_for_messages_that_leads_elsewhere_is_refused() {
    let elsewhere = Upstream::legacy().echoing().start().await;
    let foreign = elsewhere.url.clone();
    for address in [
        foreign.as_str(),
        "//evil.example/messages?stream=1",
        "https://evil.example/",
        "http://169.254.169.254/latest/meta-data",
        "http://user:secret@127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "",
        "/messages#stream=1",
    ] {
        let event = format!("event: endpoint\ndata: {address}\n\n");
        let scene = Scene::of(beginning_with(event)).await;
        let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
        let answer = client.send(client.initialize()).await;
        assert_eq!(answer.code(), Some(1502), "{address}: {}", answer.text());
        let seen = scene.upstream.seen();
        let posted = seen.iter().filter(|it| it.verb == "POST" && it.target != "/mcp");
        assert_eq!(posted.count(), 0, "{address}: {seen:?}");
    }
    assert!(elsewhere.seen().is_empty(), "nobody has been sent there");
}

#[tokio::test]
async fn a_stream_that_does_not_begin_as_it_should_is_none() {
    for begin in [
        // It ends, says something else, or breaks off in its first word.
        "",
        ": hello\n\n",
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n",
        "event: endpoint\ndata: /messages?stream=1\n",
        "event: Endpoint\ndata: /messages?stream=1\n\n",
    ] {
        let plan = Upstream::legacy().over_sse().on("GET", move |get| async move {
            get.stream().bytes(begin).await;
        });
        let scene = Scene::of(plan).await;
        let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
        let answer = client.send(client.initialize()).await;
        assert_eq!(answer.code(), Some(1502), "{begin}: {}", answer.text());
    }
    for (status, media) in [(200, "application/json"), (200, "text/html"), (405, "text/plain")] {
        let plan = Upstream::legacy().over_sse().on("GET", move |get| async move {
            get.respond(status, media, "event: endpoint\ndata: /messages?stream=1\n\n");
        });
        let scene = Scene::of(plan).await;
        let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
        let answer = client.send(client.initialize()).await;
        assert_eq!(answer.code(), Some(1502), "{status} {media}: {}", answer.text());
    }
}

#[tokio::test]
async fn streams_are_read_however_they_are_cut_and_wherever_their_lines_end() {
    for end in ["\n", "\r\n", "\r"] {
        for by in [1, 3, 1_000] {
            let scene = Scene::of(Upstream::legacy().over_sse()).await;
            let client = Client::modern(&scene.gateway);
            client.warm_up().await;
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await;
                let (stream, id) = (call.stream_of_answer(), call.id());
                call.accept();
                let answer = result(&id, r#"{"content":[{"type":"text","text":"ä\r\n"}]}"#);
                let (half, rest) = answer.split_at(r#"{"jsonrpc":"2.0","#.len());
                // A comment, fields that nobody knows, and a message on two lines.
                let event = format!(
                    ": x{end}id: 7{end}retry: 1{end}x: y{end}event: message{end}data: {half}{end}data:{rest}{end}{end}"
                );
                for piece in event.into_bytes().chunks(by) {
                    stream.bytes(piece.to_vec()).await;
                }
            })
            .await;
            let text = &answer.json()["result"]["content"][0]["text"];
            assert_eq!(*text, "ä\r\n", "{end:?} by {by}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_second_address_for_messages_changes_nothing() {
    let elsewhere = Upstream::legacy().start().await;
    let scene = Scene::of(Upstream::legacy().over_sse().echoing()).await;
    let client = Client::modern(&scene.gateway);
    scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    let own = scene.upstream.stream(scene.upstream.streams()).await;
    for address in ["/other?stream=1", elsewhere.url.as_str()] {
        own.bytes(format!("event: endpoint\ndata: {address}\n\n")).await;
        scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    }
    let targets: Vec<_> = scene.upstream.calls().into_iter().map(|it| it.target).collect();
    assert!(targets.iter().all(|it| *it == targets[0]), "{targets:?}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_stream_that_breaks_off_fails_its_calls_and_the_next_one_opens_another() {
    for era in [Era::Modern, Era::Legacy] {
        let scene = Scene::of(Upstream::legacy().over_sse()).await;
        let client = match era {
            Era::Modern => Client::modern(&scene.gateway),
            Era::Legacy => {
                let can = r#"{"elicitation":{}}"#;
                Client::legacy_as(&scene.gateway, "2025-11-25", can).await
            }
        };
        client.warm_up().await;
        let known = scene.gateway.records().len();
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await;
            call.accept();
            scene.upstream.end_stream();
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{client}: {}", answer.text());
        assert!(answer.text().contains("broke off"), "{client}: {}", answer.text());
        let records = scene.gateway.records_since(known);
        let ends: Vec<_> = records.iter().map(|it| (it.kind, it.end())).collect();
        assert_eq!(ends, [("intent", ""), ("outcome", "upstream")], "{client}");
        let calls = scene.upstream.seen_of("tools/call").len();
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            scene.upstream.next().await.result(r#"{"content":[]}"#);
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{client}: {}", answer.text());
        let again = scene.upstream.seen_of("tools/call").len();
        assert_eq!(again, calls + 1, "{client}: what was taken is not sent twice");
    }
}

#[tokio::test]
async fn a_server_that_forgets_a_stream_is_sent_the_call_on_another() {
    for status in [400, 404, 410] {
        let scene = Scene::of(Upstream::legacy().over_sse()).await;
        let client = Client::modern(&scene.gateway);
        client.warm_up().await;
        let (answer, ()) = join(client.send(client.tool("echo", r#"{"n":1.0}"#)), async {
            let first = scene.upstream.next().await;
            let target = first.target.clone();
            first.refuse(status);
            let second = scene.upstream.next().await;
            assert_ne!(second.target, target, "{status}");
            assert_eq!(second.raw(&["params", "arguments"]), r#"{"n":1.0}"#);
            second.result(r#"{"content":[]}"#);
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{status}: {}", answer.text());
        // Twice in a row is no forgetfulness.
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            scene.upstream.next().await.refuse(status);
            scene.upstream.next().await.refuse(status);
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{status}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_server_whose_streams_keep_breaking_is_not_asked_for_more_and_more() {
    let plan = Upstream::legacy().over_sse().on("notifications/initialized", |it| async move {
        it.accept();
    });
    let scene = Scene::of(plan).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let breaking = async {
        loop {
            let call = scene.upstream.next().await;
            call.accept();
            scene.upstream.end_stream();
        }
    };
    let calling = async {
        for _ in 0..40 {
            let answer = client.send(client.tool("echo", "{}")).await;
            assert_eq!(answer.code(), Some(1502), "{}", answer.text());
            if answer.text().contains("keeps breaking off") {
                return;
            }
        }
        panic!("it is asked for a new stream each time");
    };
    tokio::select! {
        () = calling => {}
        () = breaking => {}
    }
    assert!(scene.upstream.streams() < 10, "{}", scene.upstream.streams());
}

#[tokio::test]
async fn h029_an_event_without_an_end_is_not_read_for_ever() {
    let scene = Scene::of(Upstream::legacy().over_sse()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        let call = scene.upstream.next().await;
        let stream = call.stream_of_answer();
        call.accept();
        stream.bytes("event: message\ndata: ").await;
        let much = bytes::Bytes::from("x".repeat(1 << 20));
        let filling = async {
            while !stream.is_over() {
                stream.bytes(much.clone()).await;
            }
        };
        filling.await;
    })
    .await;
    assert_eq!(answer.code(), Some(1502), "{}", answer.text());
    // The next one is served.
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        scene.upstream.next().await.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.json()["result"]["content"], json!([]), "{}", answer.text());
}

#[tokio::test]
async fn what_is_no_message_on_a_stream_harms_nobody() {
    let scene = Scene::of(Upstream::legacy().over_sse()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        let call = scene.upstream.next().await;
        let (stream, id) = (call.stream_of_answer(), call.id());
        call.accept();
        let result = result(&id, r#"{"content":[]}"#);
        for noise in [
            "event: message\ndata: not json\n\n",
            "event: message\ndata: []\n\n",
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}\n\n",
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":99999,\"result\":{}}\n\n",
            "event: other\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
            "event: message\n\n",
            "data\n\n",
        ] {
            stream.bytes(noise).await;
        }
        stream.message(&result).await;
    })
    .await;
    assert_eq!(answer.json()["result"]["content"], json!([]), "{}", answer.text());
}

/// A server whose streams begin with this.
fn beginning_with(event: String) -> Plan {
    Upstream::legacy().over_sse().by_hand("unused").on("GET", move |get| {
        let event = event.clone();
        async move {
            let stream = get.stream();
            stream.bytes(event).await;
            stream.given_up().await;
        }
    })
}
