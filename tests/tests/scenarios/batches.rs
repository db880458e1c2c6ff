//! Arrays of messages, which revision 2025-03-26 has and no other.

use futures::future::join;
use serde_json::Value;
use tests::{Client, Upstream};

use crate::scene::{Scene, each_era};

const BATCHES: &str = "2025-03-26";

fn array(items: &[&str]) -> String {
    format!("[{}]", items.join(","))
}

fn body(post: &tests::Post) -> String {
    String::from_utf8(post.body.to_vec()).unwrap()
}

#[tokio::test]
async fn each_message_of_a_batch_is_answered_and_recorded_by_itself() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    let client = Client::legacy_as(&scene.gateway, BATCHES, "{}").await;
    client.warm_up().await;
    let known = scene.gateway.records().len();
    let calls = [client.tool("echo", r#"{"n":1.0}"#), client.tool("echo", r#"{"n":1e400}"#)];
    let unknown = client.tool("missing", "{}");
    let items = [
        body(&calls[0]),
        body(&client.notification("notifications/roots/list_changed", "")),
        body(&calls[1]),
        body(&unknown),
        body(&client.request("ping", "")),
        body(&client.request("tools/list", "")),
    ];
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let answer = client.send(client.post(array(&items))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = answer.text();
    assert!(text.contains(r#"{"n":1e400}"#) && text.contains(r#"{"n":1.0}"#), "{text}");
    let at = text.find(r#""n":1e400"#).unwrap();
    let before = text.get(..at).unwrap();
    assert!(before.rsplit_once(r#""id":"#).unwrap().1.starts_with(&calls[1].id), "{text}");
    let ids = text.matches(r#"{"jsonrpc":"2.0","id":"#).count();
    assert_eq!(ids, 5, "one for each request: {text}");
    assert!(text.contains("-32602") && text.contains(r#""tools":["#), "{text}");
    let records = scene.gateway.records_since(known);
    let ended = |end: &str| records.iter().filter(|it| it.end() == end).count();
    let is_call =
        |it: &&tests::Record| it.kind == "intent" && it.text("method") == Some("tools/call");
    assert_eq!(records.iter().filter(is_call).count(), 2, "{records:?}");
    assert_eq!((ended("answered"), ended("not_permitted"), ended("answered_here")), (2, 1, 1));
    for call in scene.upstream.seen() {
        assert!(!call.body.starts_with('['), "nothing is sent on as an array");
    }
}

#[tokio::test]
async fn a_batch_that_asks_nothing_is_taken_and_not_answered() {
    let capabilities = r#"{"elicitation":{}}"#;
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy_as(&scene.gateway, BATCHES, capabilities).await;
    let word = body(&client.notification("notifications/initialized", ""));
    let answer = client.send(client.post(array(&[&word, &word]))).await;
    assert_eq!((answer.status, answer.messages.len()), (202, 0));
    // Answers to what was asked come so as well, each to its question.
    let (mut stream, call) = join(client.open(client.tool("echo", "{}")), async {
        let call = scene.upstream.next().await.stream();
        for id in ["\"a\"", "\"b\""] {
            let question = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{}}}}"#
            );
            call.message(&question).await;
        }
        call
    })
    .await;
    let ids = [stream.message().await["id"].clone(), stream.message().await["id"].clone()];
    let replies = ids.map(|id| body(&client.reply(&id, r#"{"action":"accept"}"#)));
    let replying = client.send(client.post(array(&[&replies[0], &replies[1]])));
    let (taken, mut told) = join(replying, async {
        let mut told = Vec::new();
        for _ in 0..2 {
            let answer = scene.upstream.next().await;
            told.push(answer.id());
            answer.accept();
        }
        told
    })
    .await;
    assert_eq!(taken.status, 202);
    told.sort_unstable();
    assert_eq!(told, ["\"a\"", "\"b\""]);
    call.result(r#"{"content":[]}"#).await;
    assert!(stream.message().await["result"].is_object());
}

#[tokio::test]
async fn a_batch_with_news_before_its_answers_is_a_stream() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy_as(&scene.gateway, BATCHES, "{}").await;
    client.warm_up().await;
    let posts = [client.tool_with_progress("echo", "1"), client.tool_with_progress("echo", "2")];
    let items = posts.iter().map(body).chain([body(&client.request("ping", ""))]);
    let items: Vec<String> = items.collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let (mut stream, calls) = join(client.open(client.post(array(&items))), async {
        let mut calls = Vec::new();
        for _ in 0..2 {
            let call = scene.upstream.next().await;
            let token = call.raw(&["params", "_meta", "progressToken"]);
            let call = call.stream();
            let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
            call.notification("notifications/progress", &params).await;
            calls.push(call);
        }
        calls
    })
    .await;
    assert!(stream.is_stream());
    for call in &calls {
        call.result(&format!(r#"{{"content":[{{"text":"{}"}}]}}"#, "x".repeat(200_000))).await;
    }
    let mut answered = Vec::new();
    let mut progress = 0;
    while let Some(event) = stream.next().await {
        let message: Value = serde_json::from_slice(&event.data).unwrap();
        match message["id"].as_u64() {
            Some(id) => answered.push(id.to_string()),
            None => progress += 1,
        }
    }
    answered.sort_unstable();
    let mut ids = vec![posts[0].id.clone(), posts[1].id.clone()];
    ids.push((posts[1].id.parse::<u64>().unwrap() + 1).to_string());
    ids.sort_unstable();
    assert_eq!((answered, progress), (ids, 2));
}

#[tokio::test]
async fn h034_h040_what_is_wrong_with_one_message_is_wrong_with_its_batch() {
    for (_, plan) in each_era() {
        let scene = Scene::of(plan.echoing()).await;
        let client = Client::legacy_as(&scene.gateway, BATCHES, "{}").await;
        client.warm_up().await;
        let good = body(&client.tool("echo", "{}"));
        let doubled = good.replacen(r#""method":"#, r#""meth\u006fd":"tools/list","method":"#, 1);
        let reply = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let (not_rpc, not_json) = (("400/-32600", "malformed"), ("400/-32700", "malformed"));
        let hello = body(&client.initialize());
        let many = vec![good.as_str(); 101];
        let modern = good.replacen(
            r#""params":{"#,
            r#""params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"#,
            1,
        );
        for (items, refused) in [
            (&[][..], not_rpc),
            (&["1"], not_rpc),
            (&[&good, "[]"], not_rpc),
            (&[&good, "{}"], not_rpc),
            (&[&good, &hello], not_rpc),
            (&[&good, reply], not_rpc),
            (&[&good, &modern], not_rpc),
            (&many, not_rpc),
            (&[&good, &doubled], not_json),
            (&[&good, "01"], not_json),
            (&[&good, ""], not_json),
        ] {
            scene.refuses(&client, client.post(array(items)), refused).await;
        }
        let most = vec![good.as_str(); 100];
        let answer = client.send(client.post(array(&most))).await;
        assert_eq!(answer.text().matches(r#""result":"#).count(), 100);
        let stranger = client.post(array(&[&good])).without("mcp-session-id");
        scene.refuses(&client, stranger, not_rpc).await;
        let unknown = client.post(array(&[&good])).with("mcp-session-id", "x");
        scene.refuses(&client, unknown, ("404/-32600", "session_unknown")).await;
    }
}

#[tokio::test]
async fn a_server_may_answer_in_arrays_where_its_revision_has_them() {
    let scene = Scene::of(Upstream::legacy()).await;
    for (revision, is_read) in [(BATCHES, true), ("2025-06-18", false)] {
        for streams in [false, true] {
            let row = format!("{revision}, a stream: {streams}");
            let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
            client.warm_up().await;
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await;
                let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1e400}}"#;
                let result =
                    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, call.id());
                let array = array(&[note, &result]);
                match streams {
                    true => call.stream().message(&array).await,
                    false => call.respond(200, "application/json", array),
                }
            })
            .await;
            match is_read {
                true => {
                    assert_eq!(answer.messages.len(), 2, "{row}: {}", answer.text());
                    assert!(answer.json()["result"].is_object(), "{row}");
                }
                false => assert_eq!(answer.code(), Some(1502), "{row}: {}", answer.text()),
            }
        }
    }
    // However long, and whatever is in them.
    let client = Client::legacy_as(&scene.gateway, BATCHES, "{}").await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    for wrong in ["[]".to_owned(), array(&vec![note; 101]), array(&[note, "[]"])] {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            scene.upstream.next().await.respond(200, "application/json", wrong.clone());
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{wrong}: {}", answer.text());
    }
}
