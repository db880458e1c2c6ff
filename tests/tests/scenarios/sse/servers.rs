//! Servers on the transport of 2024-11-05, behind clients of every kind.

use futures::future::join;
use serde_json::json;
use tests::serve::CREDENTIAL;
use tests::{Arrived, Client, Documents, Era, Gateway, Plan, Site, Upstream};

use super::REVISIONS;
use crate::scene::Scene;

fn over_sse() -> Plan {
    Upstream::legacy().over_sse()
}

#[tokio::test]
async fn a_server_over_sse_serves_clients_of_both_eras_and_of_every_revision() {
    let scene = Scene::of(over_sse().echoing()).await;
    let modern = Client::modern(&scene.gateway);
    modern.warm_up().await;
    scene.passes(&modern, modern.tool("echo", r#"{"n":1.0}"#), r#"{"n":1.0}"#).await;
    for revision in REVISIONS {
        let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
        let answer = client.send(client.tool("echo", "{}")).await;
        assert_eq!(answer.verdict(), "200", "{revision}: {}", answer.text());
        let seen = scene.upstream.calls().pop().unwrap();
        assert_eq!(seen.target, format!("/messages?stream={}", scene.upstream.streams()));
        // The revision is agreed upon over this transport as over any other.
        let expected = Some(revision).filter(|it| "2025-06-18" <= *it);
        assert_eq!(seen.header("mcp-protocol-version"), expected, "{revision}");
        assert_eq!(seen.header("mcp-session-id"), None, "{revision}");
        let hello = scene.upstream.seen_of("initialize").pop().unwrap();
        assert_eq!(hello.raw(&["params", "protocolVersion"]), format!("\"{revision}\""));
    }
    let tried = scene.upstream.seen();
    let missed = tried.iter().filter(|it| it.verb == "POST" && it.target == "/mcp").count();
    assert_eq!(missed, 2, "each era is asked for once where the newer transport would be");
}

#[tokio::test]
async fn a_registered_server_over_sse_is_told_the_credential_on_its_stream_and_off_it() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = over_sse().echoing().start().await;
        let documents = documents(&upstream.url, "sse");
        let served = site.start_with(&documents).await;
        let token = served.token("bot", "t").await;
        for client in Client::with_token(&served, "/mcp/default/main", &token).await {
            let row = format!("{client}, {}", site.database());
            let answer = client.send(client.tool("files__echo", r#"{"n":1}"#)).await;
            assert!(answer.text().contains(r#"{"n":1}"#), "{row}: {}", answer.text());
        }
        let seen = upstream.seen();
        assert!(seen.iter().any(|it| it.verb == "GET"), "{}", site.database());
        let credential = format!("Bearer {}", CREDENTIAL.1);
        for it in &seen {
            let row = format!("{} {}", it.verb, it.target);
            assert_eq!(it.header("authorization"), Some(&*credential), "{row}");
            assert!(
                it.verb == "GET" || it.target != "/mcp",
                "nothing is tried that is known: {row}"
            );
        }
        let shown = served.must(http::Method::GET, "servers/files", None).await;
        assert_eq!(shown["transport"], json!({"type": "sse", "url": upstream.url}));
        let patch = json!({"era": "modern"});
        let refused = served.ask(http::Method::PATCH, "servers/files", Some(patch)).await;
        assert_eq!(refused.status, 422, "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_registered_as_one_transport_is_not_tried_as_the_other_without_cause() {
    // Refusals that say nothing about what a server speaks.
    for status in [401, 403, 429, 500, 503] {
        let plan = Upstream::legacy().on("initialize", move |it| async move { it.refuse(status) });
        let scene = Scene::of(plan).await;
        let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
        let answer = client.send(client.initialize()).await;
        assert_eq!(answer.code(), Some(1502), "{status}: {}", answer.text());
        let seen = scene.upstream.seen();
        assert!(seen.iter().all(|it| it.verb != "GET"), "{status}: {seen:?}");
    }
    // A server that is set to be modern is.
    let upstream = over_sse().start().await;
    let gateway = Gateway::dev_in_era(&upstream.url, "modern").await;
    let modern = Client::modern(&gateway);
    let answer = modern.send(modern.request("tools/list", "")).await;
    assert_eq!(answer.code(), Some(1502), "{}", answer.text());
    assert_eq!(upstream.streams(), 0);
    // One that is set to be over SSE is sent nothing but a GET.
    let site = Site::new(None);
    let upstream = Upstream::legacy().start().await;
    let served = site.start_with(&documents(&upstream.url, "sse")).await;
    let token = served.token("bot", "t").await;
    let client = Client::modern_with_token(&served, "/mcp/default/main/files", &token);
    let answer = client.send(client.request("tools/list", "")).await;
    assert_eq!(answer.code(), Some(1502), "{}", answer.text());
    assert!(upstream.seen().iter().all(|it| it.verb == "GET"), "{:?}", upstream.seen());
}

#[tokio::test]
async fn calls_of_clients_that_cannot_be_asked_share_a_stream() {
    let scene = Scene::of(over_sse()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let calling = |_| client.send(client.tool("echo", "{}"));
    let answering = async {
        let mut calls = Vec::new();
        for _ in 0..8 {
            calls.push(scene.upstream.next().await);
        }
        // Backwards: an answer finds its call by its id.
        while let Some(call) = calls.pop() {
            let id = call.id();
            call.result(&format!(r#"{{"content":[],"structuredContent":{{"id":{id}}}}}"#));
        }
    };
    let all = futures::future::join_all((0..8).map(calling));
    let (answers, ()) = join(all, answering).await;
    let mut ids: Vec<String> = answers
        .iter()
        .map(|it| it.json()["result"]["structuredContent"]["id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "each has its own: {ids:?}");
    assert_eq!(scene.upstream.streams(), 2, "one to list on, and one for the app");
}

#[tokio::test]
async fn a_client_that_can_be_asked_has_a_stream_of_its_own_and_one_call_on_it_at_a_time() {
    let scene = Scene::of(over_sse()).await;
    let can = r#"{"elicitation":{}}"#;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", can).await;
    let (first, second) = (client.tool("echo", r#"{"n":1}"#), client.tool("echo", r#"{"n":2}"#));
    let answering = async {
        let one = scene.upstream.next().await;
        let stream = one.stream_of_answer();
        let id = one.id();
        one.accept();
        stream.message(&question("\"q\"", "elicitation/create")).await;
        let told = scene.upstream.next().await;
        assert_eq!(told.raw(&["result", "action"]), "\"decline\"", "before the other call");
        told.accept();
        assert_eq!(scene.upstream.seen_of("tools/call").len(), 1, "one at a time");
        stream.message(&result(&id, r#"{"content":[],"structuredContent":{"n":1}}"#)).await;
        scene.upstream.next().await.result(r#"{"content":[],"structuredContent":{"n":2}}"#);
    };
    let asked = async {
        let mut stream = client.open(first).await;
        let question = stream.message().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let waiting = client.send(second);
        let replying = async {
            let reply = client.reply(&question["id"], r#"{"action":"decline"}"#);
            assert_eq!(client.send(reply).await.status, 202);
            stream.message().await
        };
        let (second, first) = join(waiting, replying).await;
        assert_eq!(first["result"]["structuredContent"], json!({"n": 1}), "{first}");
        assert!(second.text().contains(r#"{"n":2}"#), "{}", second.text());
    };
    join(answering, asked).await;
}

#[tokio::test]
async fn what_a_server_asks_between_calls_is_answered_by_us() {
    let scene = Scene::of(over_sse().echoing()).await;
    let can = r#"{"elicitation":{},"roots":{}}"#;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", can).await;
    let answer = client.send(client.tool("echo", "{}")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    let own = scene.upstream.stream(scene.upstream.streams()).await;
    own.message(&question("1", "ping")).await;
    let told = scene.upstream.next().await;
    assert_eq!((told.id(), told.raw(&["result"])), ("1".to_owned(), "{}".to_owned()));
    told.accept();
    own.message(&question("\"2\"", "elicitation/create")).await;
    let told = scene.upstream.next().await;
    assert_eq!((told.id(), told.raw(&["error", "code"])), ("\"2\"".to_owned(), "-32601".into()));
    told.accept();
    // What servers ask right after the greeting waits for somebody to be there.
    own.message(&question("\"3\"", "roots/list")).await;
    own.message(&question("4", "ping")).await;
    let told = scene.upstream.next().await;
    assert_eq!(told.id(), "4");
    told.accept();
    let mut stream = client.open(client.tool("echo", "{}")).await;
    let asked = stream.message().await;
    assert_eq!(asked["method"], "roots/list", "{asked}");
    // One that nobody can be asked on is told so at once, whatever it asks.
    let modern = Client::modern(&scene.gateway);
    scene.passes(&modern, modern.tool("echo", "{}"), "{}").await;
    let shared = scene.upstream.stream(scene.upstream.streams()).await;
    shared.message(&question("5", "roots/list")).await;
    let told = scene.upstream.next().await;
    assert_eq!((told.id(), told.raw(&["error", "code"])), ("5".to_owned(), "-32601".into()));
    told.accept();
}

#[tokio::test]
async fn h071_progress_goes_to_its_own_call_and_to_no_other() {
    let scene = Scene::of(over_sse()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let posts = [1, 2].map(|it| client.tool_with_progress("echo", &format!("\"mine {it}\"")));
    let [one, two] = posts;
    let server = async {
        let (first, second) = (scene.upstream.next().await, scene.upstream.next().await);
        let stream = first.stream_of_answer();
        let token = |call: &Arrived| call.raw(&["params", "_meta", "progressToken"]);
        let tokens = [token(&first), token(&second)];
        assert_ne!(tokens[0], tokens[1], "both are on one stream");
        for (token, number) in [("\"mine 1\"", 0), (&*tokens[1], 2), ("999", 0), (&*tokens[0], 1)] {
            let params = format!(r#"{{"progressToken":{token},"progress":{number}}}"#);
            stream.notification("notifications/progress", &params).await;
        }
        let order = [first.raw(&["params", "_meta", "progressToken"]), first.id()];
        assert_eq!(order[0], order[1], "it is our id");
        first.result(r#"{"content":[]}"#);
        second.result(r#"{"content":[]}"#);
    };
    let listen = async |post| {
        let mut stream = client.open(post).await;
        let told = stream.message().await;
        let rest = stream.message().await;
        assert!(rest["result"].is_object(), "{rest}");
        (told["params"]["progressToken"].clone(), told["params"]["progress"].clone())
    };
    let calls = async {
        // The second is sent when the first is there.
        join(listen(one), listen(two)).await
    };
    let ((), (one, two)) = join(server, calls).await;
    let mut heard = [one, two];
    heard.sort_by_key(|it| it.0.to_string());
    assert_eq!((&heard[0].0, &heard[1].0), (&json!("mine 1"), &json!("mine 2")));
    let mut numbers = [heard[0].1.as_u64(), heard[1].1.as_u64()];
    numbers.sort();
    assert_eq!(numbers, [Some(1), Some(2)], "one for each: {heard:?}");
}

#[tokio::test]
async fn what_a_server_says_to_nobody_reaches_those_who_listen() {
    let scene = Scene::of(over_sse().echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    let known = scene.gateway.records().len();
    let mut listening = client.open(client.get()).await;
    scene.gateway.has_recorded(known, "").await;
    let own = scene.upstream.stream(scene.upstream.streams()).await;
    let changed = "notifications/tools/list_changed";
    own.notification(changed, "{}").await;
    assert_eq!(listening.message().await["method"], changed);
    own.notification("notifications/message", r#"{"level":"info","data":1}"#).await;
    assert_eq!(listening.message().await["params"]["data"], 1);
    // The lists are asked for anew.
    let lists = scene.upstream.seen_of("tools/list").len();
    client.warm_up().await;
    assert_eq!(scene.upstream.seen_of("tools/list").len(), lists + 1);
}

#[tokio::test]
async fn h068_a_modern_client_that_leaves_cancels_its_call_at_a_server_over_sse() {
    let scene = Scene::of(over_sse()).await;
    let [modern, _] = scene.clients().await;
    for client in [modern] {
        let known = scene.gateway.records().len();
        let post = client.tool("echo", "{}");
        let cancel = format!(r#""requestId":{}"#, post.id);
        let opening = client.open(post);
        let call = tokio::select! {
            call = scene.upstream.next() => call,
            _ = opening => panic!("an answer before the server has given one"),
        };
        // A legacy client may come back for its answer, and so must say that it does not want it.
        let told = match client.era {
            Era::Modern => scene.upstream.next().await,
            Era::Legacy => {
                let cancel = client.notification("notifications/cancelled", &cancel);
                join(client.send(cancel), scene.upstream.next()).await.1
            }
        };
        assert_eq!(told.method, "notifications/cancelled", "{client}");
        assert_eq!(told.raw(&["params", "requestId"]), call.id(), "{client}");
        told.accept();
        // An answer that comes nevertheless is for nobody, and harms nobody (H069).
        call.result(r#"{"content":[]}"#);
        scene.gateway.has_recorded(known, "client_cancelled").await;
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            scene.upstream.next().await.result(r#"{"content":[{"type":"text","text":"x"}]}"#);
        })
        .await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], "x", "{client}");
    }
}

#[tokio::test]
async fn h069_of_two_answers_on_a_stream_the_first_is_the_answer() {
    let scene = Scene::of(over_sse()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    for number in 0..2 {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await;
            let (stream, id) = (call.stream_of_answer(), call.id());
            for it in ["first", "second"] {
                let content =
                    json!({"content": [{"type": "text", "text": format!("{it} {number}")}]});
                stream.message(&result(&id, &content.to_string())).await;
            }
            call.accept();
        })
        .await;
        let text = &answer.json()["result"]["content"][0]["text"];
        assert_eq!(*text, format!("first {number}"), "{}", answer.text());
    }
}

pub(super) fn question(id: &str, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#)
}

pub(super) fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// Ann's app `bot` at the gateway `main` with the server `files`, with her own credential.
pub(super) fn documents(url: &str, transport: &str) -> Documents {
    Documents::default()
        .team("all", &["ann"])
        .server("files", &format!("type: {transport}, url: \"{url}\""))
        .identity("credential", "files", None)
        .app("bot", "ann", &["gateway: main"])
        .gateway("main", "all", &["server: files, scheme: shared, identity: credential"])
}
