//! Clients on the transport of 2024-11-05: they are served like any others.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Client, Era, Paired, Plan, Record, Upstream};

use super::{REVISIONS, modern, paired, paired_with};
use crate::scene::Scene;

fn each_server() -> [(&'static str, Plan); 3] {
    [
        ("a modern server", modern()),
        ("a legacy server", Upstream::legacy()),
        ("a server over SSE", Upstream::legacy().over_sse()),
    ]
}

#[tokio::test]
async fn a_client_over_sse_is_served_in_every_legacy_revision_by_every_server() {
    for (server, plan) in each_server() {
        let scene = Scene::of(plan.echoing()).await;
        for revision in REVISIONS {
            let row = format!("{revision}, {server}");
            let mut client = paired(&scene.gateway, revision).await;
            let listed = client.ask(client.client.request("tools/list", "")).await;
            assert_eq!(listed["result"]["tools"][0]["name"], "echo", "{row}: {listed}");
            let known = scene.gateway.records().len();
            let called = client.ask(client.client.tool("echo", r#"{"n":1.0}"#)).await;
            assert!(called["result"].to_string().contains("1.0"), "{row}: {called}");
            let records = scene.gateway.records_since(known);
            // That the gateway listens to the server is recorded as well.
            let method = |it: &Record| it.text("method").map(str::to_owned);
            let is_call = |it: &&Record| method(it).as_deref() == Some("tools/call");
            let intents: Vec<_> = records.iter().filter(is_call).collect();
            assert_eq!(intents.len(), 1, "{row}");
            assert_eq!(intents[0].text("revision"), Some(revision), "{row}");
            let own =
                |it: &&Record| it.kind == "outcome" && it.text("call") == intents[0].text("call");
            let ends: Vec<_> = records.iter().filter(own).map(Record::end).collect();
            assert_eq!(ends, ["answered"], "{row}");
            let pinged = client.ask(client.client.request("ping", "")).await;
            assert_eq!(pinged["result"], json!({}), "{row}");
        }
    }
}

#[tokio::test]
async fn a_client_over_sse_may_stand_at_the_gateway_or_at_one_of_its_servers() {
    let scene = Scene::of(Upstream::of_both_eras().echoing()).await;
    let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
    for (path, tool) in [("/sse/dev/dev", "server__echo"), ("/sse/dev/dev/server", "echo")] {
        let mut client = Paired::greet(&client.at_unopened(path)).await;
        let called = client.ask(client.client.tool(tool, "{}")).await;
        assert_eq!(called["result"]["structuredContent"], json!({}), "{path}: {called}");
    }
}

#[tokio::test]
async fn what_is_newer_than_the_client_is_told_in_its_words() {
    let tools =
        r#"[{"name":"echo","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}]"#;
    let newest = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#;
    let plans = [
        ("a modern server", modern()),
        // One that knows no revision but its own.
        ("a server of 2025-11-25", {
            Upstream::legacy().on("initialize", move |it| async move { it.result(newest) })
        }),
    ];
    for (server, plan) in plans {
        let scene = Scene::of(plan.with_tools(tools)).await;
        for revision in REVISIONS {
            let row = format!("{revision}, {server}");
            let mut client = paired(&scene.gateway, revision).await;
            let listed = client.ask(client.client.request("tools/list", "")).await;
            let has_schema = listed["result"]["tools"][0].get("outputSchema").is_some();
            assert_eq!(has_schema, "2025-06-18" <= revision, "{row}: {listed}");
            client.take(client.client.tool_with_progress("echo", "\"p\"")).await;
            let call = scene.upstream.next().await.stream();
            let progress = r#"{"progressToken":"p","progress":1,"message":"half"}"#;
            call.notification("notifications/progress", progress).await;
            let told = client.message().await;
            let has_message = told["params"].get("message").is_some();
            assert_eq!(has_message, "2025-03-26" <= revision, "{row}: {told}");
            call.result(r#"{"content":[{"type":"audio","mimeType":"audio/wav","data":"AAAA"}],"structuredContent":{"a":1}}"#)
                .await;
            let answer = client.message().await;
            let is_audio = answer["result"]["content"][0]["type"] == "audio";
            assert_eq!(is_audio, "2025-03-26" <= revision, "{row}: {answer}");
            let has_structure = answer["result"].get("structuredContent").is_some();
            assert_eq!(has_structure, "2025-06-18" <= revision, "{row}: {answer}");
        }
    }
}

#[tokio::test]
async fn answers_come_as_they_are_ready_and_never_into_each_other() {
    let scene = Scene::of(modern()).await;
    let mut client = paired(&scene.gateway, "2025-11-25").await;
    let posts: Vec<_> = (0..8).map(|_| client.client.tool("echo", "{}")).collect();
    let mut calls = Vec::new();
    for post in &posts {
        client.take(post.clone()).await;
        calls.push(scene.upstream.next().await);
    }
    // Each is larger than what is passed on in one piece.
    let much = |it: usize| format!("{it}").repeat(200_000);
    for (number, call) in calls.into_iter().enumerate() {
        let text = json!([{"type": "text", "text": much(number)}]);
        call.result(&format!(r#"{{"resultType":"complete","content":{text}}}"#));
    }
    let mut answers: Vec<Value> = Vec::new();
    for _ in &posts {
        answers.push(client.message().await);
    }
    let id = |it: &Value| it["id"].to_string();
    for (number, post) in posts.iter().enumerate() {
        let own: Vec<_> = answers.iter().filter(|it| id(it) == post.id).collect();
        assert_eq!(own.len(), 1, "one answer for each");
        assert_eq!(own[0]["result"]["content"][0]["text"], much(number));
    }
}

#[tokio::test]
async fn a_servers_question_comes_on_the_stream_and_its_answer_goes_back() {
    for (server, plan) in each_server().into_iter().skip(1) {
        let scene = Scene::of(plan).await;
        let mut client = paired_with(&scene.gateway, r#"{"elicitation":{}}"#).await;
        client.take(client.client.tool("echo", "{}")).await;
        let call = scene.upstream.next().await;
        let (id, talk) = ask(server, call).await;
        let asked = client.message().await;
        assert_eq!(asked["method"], "elicitation/create", "{server}: {asked}");
        let reply = client.client.reply(&asked["id"], r#"{"action":"decline"}"#);
        let (taken, ()) = join(client.send(reply), async {
            let told = scene.upstream.next().await;
            assert_eq!(told.raw(&["id"]), "\"q1\"", "{server}");
            assert_eq!(told.raw(&["result", "action"]), "\"decline\"", "{server}");
            told.accept();
        })
        .await;
        assert_eq!(taken.status, 202, "{server}: {taken:?}");
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#);
        talk.message(&answer).await;
        assert_eq!(client.message().await["result"], json!({"content": []}), "{server}");
    }
}

/// Asks the client something in the middle of a call; the call's id, and where its answer goes.
async fn ask(
    server: &str,
    call: tests::Arrived,
) -> (String, std::sync::Arc<tests::upstream::Talk>) {
    let question = r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
    let id = call.id();
    let talk = if server == "a server over SSE" {
        let talk = call.stream_of_answer();
        call.accept();
        talk
    } else {
        std::sync::Arc::new(call.stream())
    };
    talk.message(question).await;
    (id, talk)
}

#[tokio::test]
async fn h070_what_a_tool_says_over_sse_cannot_end_its_event_or_begin_another() {
    let hostile = "a\n\nevent: endpoint\ndata: https://evil.example/\r\n\r\ndata: {}\rid: 1";
    let hello = json!({"content": [{"type": "text", "text": hostile}]});
    for (server, plan) in each_server() {
        let scene = Scene::of(plan).await;
        let mut client = paired(&scene.gateway, "2025-06-18").await;
        for pretty in [false, true] {
            client.take(client.client.tool("echo", "{}")).await;
            let call = scene.upstream.next().await;
            let content = json!({"content": hello["content"]}).to_string();
            // Line ends between tokens are JSON as well; over SSE they need frames of their own.
            let result = match pretty && server != "a server over SSE" {
                true => content.replacen('{', "{\r\n\r\n\"resultType\":\"complete\",\n\n", 1),
                false => content,
            };
            call.result(&result);
            let answer = client.message().await;
            assert_eq!(answer["result"]["content"], hello["content"], "{server}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_a_client_over_sse_cancels_is_cancelled() {
    for (server, plan) in each_server() {
        let scene = Scene::of(plan).await;
        let client = paired(&scene.gateway, "2025-11-25").await;
        let known = scene.gateway.records().len();
        let post = client.client.tool("echo", "{}");
        let cancel = format!(r#""requestId":{}"#, post.id);
        client.take(post).await;
        let call = scene.upstream.next().await;
        let cancel = client.client.notification("notifications/cancelled", &cancel);
        let told = async {
            if server != "a modern server" {
                let told = scene.upstream.next().await;
                assert_eq!(told.method, "notifications/cancelled", "{server}");
                assert_eq!(told.raw(&["params", "requestId"]), call.id(), "{server}");
                told.accept();
            }
        };
        join(client.take(cancel), told).await;
        call.given_up().await;
        scene.gateway.has_recorded(known, "client_cancelled").await;
    }
}

#[tokio::test]
async fn h068_a_client_whose_stream_ends_ends_its_calls_and_its_session() {
    for (server, plan) in each_server() {
        let scene = Scene::of(plan.by_hand("DELETE")).await;
        let client = paired(&scene.gateway, "2025-11-25").await;
        let known = scene.gateway.records().len();
        client.take(client.client.tool("echo", "{}")).await;
        let call = scene.upstream.next().await;
        let Paired { client, stream } = client;
        drop(stream);
        call.given_up().await;
        scene.gateway.has_recorded(known, "client_cancelled").await;
        match server {
            "a legacy server" => {
                let mut told = Vec::new();
                for _ in 0..2 {
                    let it = scene.upstream.next().await;
                    told.push(it.method.clone());
                    it.accept();
                }
                told.sort();
                assert_eq!(told, ["DELETE", "notifications/cancelled"], "{server}");
            }
            "a server over SSE" => {
                // One was opened for listing, and the last one for this client.
                scene.upstream.stream(scene.upstream.streams()).await.given_up().await;
            }
            _ => {}
        }
        let answer = client.send(client.tool("echo", "{}").without("accept")).await;
        assert_eq!(answer.verdict(), "404/-32600", "{server}: {}", answer.text());
        assert_eq!(answer.reason().as_deref(), Some("session_unknown"), "{server}");
    }
}

#[tokio::test]
async fn what_belongs_to_no_call_comes_on_the_stream() {
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let scene = Scene::of(Upstream::legacy().echoing().by_hand("GET")).await;
    let mut client = paired(&scene.gateway, "2025-11-25").await;
    client.ask(client.client.tool("echo", "{}")).await;
    let listening = scene.upstream.next().await.stream();
    listening.message(changed).await;
    assert_eq!(client.message().await["method"], "notifications/tools/list_changed");

    let scene = Scene::of(Upstream::legacy().over_sse().echoing()).await;
    let mut client = paired(&scene.gateway, "2025-11-25").await;
    client.ask(client.client.tool("echo", "{}")).await;
    let known = scene.gateway.records().len();
    // The gateway listens as soon as it has a session; that is recorded.
    let look = || scene.gateway.records_since(known).len().checked_sub(0);
    tests::wait::eventually("the gateway listens", look).await;
    let stream = scene.upstream.stream(scene.upstream.streams()).await;
    stream.message(changed).await;
    assert_eq!(client.message().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn clients_over_sse_and_others_share_a_gateway() {
    let scene = Scene::of(Upstream::of_both_eras().echoing()).await;
    let mut over_sse = paired(&scene.gateway, "2024-11-05").await;
    for client in scene.clients().await {
        scene.passes(&client, client.tool("echo", r#"{"n":1}"#), r#"{"n":1}"#).await;
        let called = over_sse.ask(over_sse.client.tool("echo", r#"{"n":2}"#)).await;
        assert_eq!(called["result"]["structuredContent"], json!({"n": 2}), "{called}");
    }
    assert_eq!(scene.upstream.calls().len(), 4);
}
