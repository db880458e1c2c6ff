//! What a server of one era or revision says, as a client of another one is told it.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Arrived, Client, Era, Gateway, Plan, Upstream};

use crate::scene::{Pair, Scene};

const TOOLS: &str = r#"[
{"name":"plain","inputSchema":{"type":"object"},"x-vendor":1.0},
{"name":"listing","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}},
{"name":"shaped","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]"#;

/// For each tool what is left of it, by name of the members that come and go.
async fn listed(client: &Client) -> Vec<String> {
    let answer = client.send(client.request("tools/list", "")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    let tools = answer.json()["result"]["tools"].clone();
    let has = |tool: &Value, key: &str| tool.get(key).is_some();
    let letters = |tool: &Value| {
        let all = [("outputSchema", "o"), ("execution", "e"), ("x-vendor", "v")];
        all.iter().filter(|(key, _)| has(tool, key)).map(|(_, it)| *it).collect::<String>()
    };
    tools.as_array().unwrap().iter().map(letters).collect()
}

#[tokio::test]
async fn tools_are_listed_as_the_revision_of_the_client_knows_them() {
    for (plan, modern, is_legacy) in
        [(Upstream::modern(), ["v", "o", "oe"], false), (Upstream::legacy(), ["v", "o", "o"], true)]
    {
        let scene = Scene::of(plan.with_tools(TOOLS)).await;
        for path in ["/mcp/dev/dev/server", "/mcp/dev/dev"] {
            let client = Client::modern(&scene.gateway).at(path).await;
            assert_eq!(listed(&client).await, modern, "{client} {path}");
            for (revision, expected) in [
                ("2025-11-25", ["v", "", "oe"]),
                ("2025-06-18", ["v", "", "oe"]),
                ("2025-03-26", ["v", "", "e"]),
                ("2024-11-05", ["v", "", "e"]),
            ] {
                let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
                let client = client.at(path).await;
                // The tasks that a legacy server has are told of to whoever can follow one; a modern
                // one without the extension has none.
                let follows = path.ends_with("server") && revision == "2025-11-25";
                let shown =
                    |it: &str| if is_legacy && follows { it.into() } else { it.replace('e', "") };
                assert_eq!(listed(&client).await, expected.map(shown), "{client} {path}");
            }
        }
    }
}

#[tokio::test]
async fn results_are_told_as_the_revision_of_the_client_knows_them() {
    const RESULT: &str = r#"{"resultType":"complete","content":[
{"type":"resource_link","uri":"file:///x","name":"x"},
{"type":"audio","mimeType":"audio/wav","data":"AAAA"}],"structuredContent":[1.0]}"#;
    let tell = |call: Arrived| async move { call.result(RESULT) };
    // One that speaks no revision but its own, whatever it is asked for.
    let stubborn = Upstream::legacy().on("initialize", |it| async move {
        let result = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#;
        it.result(result);
    });
    for (plan, is_modern) in [(Upstream::modern(), true), (stubborn, false)] {
        let scene = Scene::of(plan.on("tools/call", tell)).await;
        for (revision, expected) in [
            ("2025-11-25", ["resource_link", "audio", "text"]),
            ("2025-03-26", ["text", "audio", ""]),
            ("2024-11-05", ["text", "text", ""]),
        ] {
            // What a server says in the client's own revision is its own affair.
            if revision == "2025-11-25" && !is_modern {
                continue;
            }
            let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
            let answer = client.send(client.tool("echo", "{}")).await;
            let result = &answer.json()["result"];
            let kind = |at: usize| result["content"][at]["type"].as_str().unwrap_or_default();
            assert_eq!([kind(0), kind(1), kind(2)], expected, "{client}: {}", answer.text());
            assert_eq!(result["structuredContent"], Value::Null, "{client}");
        }
    }
}

#[tokio::test]
async fn what_an_older_server_does_not_know_is_not_sent_to_it() {
    let stubborn = Upstream::legacy().on("initialize", |it| async move {
        let result = r#"{"protocolVersion":"2025-03-26","capabilities":{"prompts":{},"completions":{}},"serverInfo":{"name":"s","version":"1"}}"#;
        it.result(result);
    });
    let complete = |it: Arrived| async move {
        it.result(r#"{"completion":{"values":[]}}"#);
    };
    let scene = Scene::of(stubborn.on("completion/complete", complete)).await;
    for client in Client::of_each_era(&scene.gateway).await {
        let listed = client.send(client.request("prompts/list", "")).await;
        assert_eq!(listed.verdict(), "200", "{}", listed.text());
        let members = r#""ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":"c"}}"#;
        let answer = client.send(client.request("completion/complete", members)).await;
        assert_eq!(answer.verdict(), "200", "{client}: {}", answer.text());
    }
    let asked = scene.upstream.seen_of("completion/complete");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|it| !it.body.contains("context")), "{asked:?}");
}

#[tokio::test]
async fn a_result_without_what_a_modern_one_must_have_is_given_it() {
    let plan = Upstream::modern()
        .on("tools/call", |it| async move { it.result(r#"{"content":[]}"#) })
        .on("resources/read", |it| async move { it.result(r#"{"contents":[]}"#) });
    let scene = Scene::of(plan).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let called = client.send(client.tool("echo", "{}")).await;
    assert_eq!(called.json()["result"], json!({"resultType": "complete", "content": []}));
    let read = client.send(client.request("resources/read", r#""uri":"test://one""#)).await;
    let expected =
        json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "contents": []});
    assert_eq!(read.json()["result"], expected);
}

#[tokio::test]
async fn a_client_is_told_to_keep_a_list_no_longer_than_its_server_says() {
    let of = |hints: &'static str| {
        Upstream::modern().on("tools/list", move |it| async move {
            it.result(&format!(r#"{{"resultType":"complete",{hints}"tools":[]}}"#));
        })
    };
    let cases = [
        (Upstream::modern(), 29_000..=30_000),
        (of(r#""ttlMs":1200.5,"cacheScope":"public","#), 1..=1_200),
        (of(""), 0..=0),
        (of(r#""ttlMs":-1,"#), 0..=0),
        (of(r#""ttlMs":0,"#), 0..=0),
        (Upstream::legacy(), 0..=0),
    ];
    for (at, (plan, expected)) in cases.into_iter().enumerate() {
        let scene = Scene::of(plan).await;
        let client = Client::modern(&scene.gateway);
        for method in ["tools/list", "server/discover"] {
            let answer = client.send(client.request(method, "")).await;
            let result = &answer.json()["result"];
            let ttl = result["ttlMs"].as_u64().unwrap();
            // Time may pass, but there is never more of it.
            let is_due = expected.contains(&ttl) || (ttl < *expected.start() && 0 < ttl);
            assert!(is_due, "{at} {method}: {ttl}");
            assert_eq!(result["cacheScope"], "private", "{at} {method}");
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_a_revision_and_offers_it_is_asked_once_more() {
    let plan = Upstream::modern().on_first("server/discover", |it| async move {
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"],"requested":"?"}}}"#;
        it.respond(400, "application/json", body);
    });
    let scene = Scene::of(plan.echoing()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    assert_eq!(scene.upstream.seen_of("server/discover").len(), 2);
    // One that never stops refusing is not asked for ever.
    let plan = Upstream::legacy().on("server/discover", |it| async move {
        let id = it.id();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32022,"message":"no","data":{{"supported":["2026-07-28"]}}}}}}"#
        );
        it.respond(400, "application/json", body);
    });
    let scene = Scene::of(plan.echoing()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    assert_eq!(scene.upstream.seen_of("server/discover").len(), 2);
}

/// Many servers ask on the stream that belongs to no call, even in the middle of one.
#[tokio::test]
async fn a_question_on_a_sessions_own_stream_reaches_the_client_and_its_answer_the_server() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET")).await;
    let capabilities = r#"{"elicitation":{}}"#;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", capabilities).await;
    client.warm_up().await;
    let mut stream = client.open(client.get()).await;
    let playing = async {
        // The call waits for the stream, but not for ever, so either may come first.
        let mut early = Vec::new();
        let mut take = async |is_it: fn(&Arrived) -> bool| loop {
            if let Some(at) = early.iter().position(is_it) {
                return early.remove(at);
            }
            early.push(scene.upstream.next().await);
        };
        let get = take(|it| it.method == "GET").await;
        let talk = get.begin("text/event-stream");
        talk.message(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#).await;
        let pong = take(|it| it.body.contains("result")).await;
        assert_eq!((pong.raw(&["id"]), pong.raw(&["result"])), (r#""p""#.into(), "{}".into()));
        pong.accept();
        let call = take(|it| it.method == "tools/call").await;
        let params = r#"{"message":"?","requestedSchema":{"type":"object","properties":{}}}"#;
        talk.message(&format!(
            r#"{{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{params}}}"#
        ))
        .await;
        let answer = scene.upstream.next().await;
        assert_eq!(answer.raw(&["id"]), r#""q""#);
        assert_eq!(answer.raw(&["result", "action"]), r#""accept""#);
        answer.accept();
        call.result(r#"{"content":[]}"#);
        talk
    };
    let answering = async {
        let question = stream.message().await;
        assert_eq!(question["method"], "elicitation/create");
        let reply = client.reply(&question["id"], r#"{"action":"accept","content":{}}"#);
        assert_eq!(client.send(reply).await.status, 202);
    };
    let calling = client.send(client.tool("echo", "{}"));
    let (answer, _) = join(calling, join(playing, answering)).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn what_a_place_can_do_is_what_its_servers_can_in_either_era() {
    let capabilities = r#"{"tools":{},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let of = async |plan: Plan, era: Era, path: &str| -> Value {
        let scene = Scene::of(plan.with_capabilities(capabilities)).await;
        let gateway: &Gateway = &scene.gateway;
        let client = Client::stranger(
            gateway,
            era,
            match era {
                Era::Modern => tests::client::MODERN,
                Era::Legacy => tests::client::LEGACY,
            },
        );
        let client = client.at_unopened(path);
        let post = match era {
            Era::Modern => client.request("server/discover", ""),
            Era::Legacy => client.initialize(),
        };
        client.send(post).await.json()["result"]["capabilities"].clone()
    };
    for path in ["/mcp/dev/dev/server", "/mcp/dev/dev"] {
        for (era, plan) in [(Era::Modern, Upstream::legacy()), (Era::Legacy, Upstream::modern())] {
            let found = of(plan, era, path).await;
            let mut found: Vec<_> = found.as_object().unwrap().keys().cloned().collect();
            found.sort();
            let tasks = (era == Era::Legacy).then_some("tasks");
            let expected = ["completions", "logging"].into_iter().chain(tasks).chain(["tools"]);
            assert!(found.iter().eq(expected), "{path} {era:?}: {found:?}");
        }
    }
    let found = of(Upstream::modern(), Era::Modern, "/mcp/dev/dev").await;
    assert_eq!(found["extensions"], json!({"io.modelcontextprotocol/tasks": {}}));
}

#[tokio::test]
async fn h060_a_state_that_was_never_given_moves_nothing() {
    let long = format!("\"{}\"", "s".repeat(100_000));
    for Pair { scene, client, row, server } in &Scene::pairs(Plan::echoing).await {
        for state in ["\"\"", "\"forged\"", &long, "null", "7", "{}"] {
            let answers = r#""inputResponses":{"q1":{"action":"accept"}}"#;
            let members =
                format!(r#""name":"echo","arguments":{{}},{answers},"requestState":{state}"#);
            let post = client.request("tools/call", &members);
            if (client.era, *server) == (Era::Modern, Era::Legacy) {
                scene.refuses(client, post, ("200/-32602", "request_state")).await;
                continue;
            }
            // Within an era it is the server's affair, and nothing goes from the one to the other.
            scene.passes(client, post, "{}").await;
            let seen = scene.upstream.calls().pop().unwrap();
            let is_there = seen.body.contains(&format!(r#""requestState":{state}"#));
            assert_eq!(is_there, client.era == *server, "{row}: {:.300}", seen.body);
        }
    }
}
