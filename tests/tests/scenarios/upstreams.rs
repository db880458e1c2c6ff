//! Servers that fail: every call gets an answer that says whose fault it is, and others none of it.

use futures::future::join;
use serde_json::json;
use tests::{Answer, Arrived, Client, Era, Gateway, Plan, Upstream};

use crate::scene::{Pair, Scene, each_era};

/// A way to fail that ends a call at once.
type Failure = (&'static str, fn(Arrived));

const FAILURES: &[Failure] = &[
    ("401", |it| it.respond(401, "application/json", r#"{"error":"invalid_token"}"#)),
    ("403", |it| it.refuse(403)),
    ("407", |it| it.refuse(407)),
    ("429", |it| it.respond(429, "text/plain", "slow down")),
    ("500", |it| it.respond(500, "text/html", "<html>stack trace</html>")),
    ("502", |it| it.refuse(502)),
    ("503 with a message", |it| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32603,"message":"down"}}}}"#,
            it.id()
        );
        it.respond(503, "application/json", body);
    }),
    ("418", |it| it.refuse(418)),
    ("a page", |it| it.respond(200, "text/html", "<html>sign in</html>")),
    ("nothing", |it| it.respond(200, "application/json", "")),
    ("202", |it| it.accept()),
    ("204", |it| it.refuse(204)),
    ("half a message", |it| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]"#, it.id());
        it.respond(200, "application/json", body);
    }),
    ("a batch", |it| {
        let body = format!(r#"[{{"jsonrpc":"2.0","id":{},"result":{{}}}}]"#, it.id());
        it.respond(200, "application/json", body);
    }),
    ("no result", |it| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{}}}"#, it.id());
        it.respond(200, "application/json", body);
    }),
    ("a member twice", |it| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{}},"result":{{"content":[]}}}}"#,
            it.id()
        );
        it.respond(200, "application/json", body);
    }),
    ("a result and an error", |it| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{}},"error":{{"code":1,"message":""}}}}"#,
            it.id()
        );
        it.respond(200, "application/json", body);
    }),
    ("an id without a type", |it| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{}}}}"#, it.id());
        it.respond(200, "application/json", body);
    }),
    ("two answers", |it| {
        let one = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, it.id());
        it.respond(200, "application/json", format!("{one}\n{one}"));
    }),
    ("an answer to nobody", |it| {
        it.respond(200, "application/json", r#"{"jsonrpc":"2.0","id":null,"result":{}}"#);
    }),
    ("a notification", |it| {
        let body = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        it.respond(200, "application/json", body);
    }),
    ("a redirect", |it| it.refuse_with(307, "location", "http://127.0.0.1:1/mcp")),
    ("compressed", |it| it.refuse_with(200, "content-encoding", "gzip")),
    ("a broken connection", drop),
    ("an empty stream", |it| drop(it.stream())),
];

#[tokio::test]
async fn a_server_that_fails_is_named_and_each_call_is_told_for_itself() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            // This one goes on all the while.
            let bystander = client.send(client.tool("echo", r#"{"bystander":true}"#));
            let failing = async {
                let waiting = scene.upstream.next().await;
                for (failure, fail) in FAILURES {
                    let row = format!("{client}, a {spoken:?} server: {failure}");
                    let known = scene.gateway.records().len();
                    let calling = client.send(client.tool("echo", "{}"));
                    let (answer, ()) =
                        join(calling, async { fail(scene.upstream.next().await) }).await;
                    assert_blamed(&scene.gateway, &client, &answer, &row);
                    let records = scene.gateway.records_since(known);
                    let ends: Vec<_> = records.iter().map(|it| (it.kind, it.end())).collect();
                    assert_eq!(ends, [("intent", ""), ("outcome", "upstream")], "{row}");
                }
                waiting.result(r#"{"content":[],"structuredContent":{"bystander":true}}"#);
            };
            let (answer, ()) = join(bystander, failing).await;
            assert!(answer.text().contains(r#"{"bystander":true}"#), "{client}: {}", answer.text());
        }
        assert_eq!(scene.upstream.seen_of("server/discover").len(), 1, "its era is not in doubt");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_word_about_it() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            for piece in [
                "",
                "data: {\"jsonrpc\":\"2.0\",",
                "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
            ] {
                let row = format!("{client}, a {spoken:?} server: {piece}");
                let post = client.tool_with_progress("echo", "1");
                let (mut answer, call) = join(client.open(post), async {
                    let call = scene.upstream.next().await.stream();
                    let params = r#"{"progressToken":1,"progress":1}"#;
                    call.notification("notifications/progress", params).await;
                    call
                })
                .await;
                assert_eq!(answer.message().await["params"]["progress"], 1, "{row}");
                call.bytes(piece).await;
                call.fail().await;
                let last = answer.message().await;
                assert_eq!(last["error"]["code"], 1502, "{row}: {last}");
                assert_eq!(answer.next().await, None, "{row}");
            }
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.begin("application/json");
                call.bytes(format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, call.id)).await;
                call.fail().await;
            })
            .await;
            let row = format!("{client}, a {spoken:?} server");
            assert_blamed(&scene.gateway, &client, &answer, &row);
        }
    }
}

#[tokio::test]
async fn h107_a_redirect_is_not_followed() {
    let elsewhere = Upstream::modern().start().await;
    for status in [301, 302, 303, 307, 308] {
        let plan = |it: Plan| {
            let to = elsewhere.url.clone();
            it.on("tools/call", move |call| {
                let to = to.clone();
                async move { call.refuse_with(status, "location", &to) }
            })
        };
        for Pair { client, row, .. } in &Scene::pairs(plan).await {
            let answer = client.send(client.tool("echo", "{}")).await;
            assert_eq!(answer.code(), Some(1502), "{row} {status}: {}", answer.text());
        }
    }
    assert!(elsewhere.seen().is_empty(), "nobody has been sent there");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_so() {
    let url = {
        let gone = Upstream::modern().start().await;
        gone.url.clone()
    };
    let gateway = Gateway::dev(&url).await;
    let modern = Client::modern(&gateway);
    for post in [
        modern.request("server/discover", ""),
        modern.request("tools/list", ""),
        modern.tool("echo", "{}"),
        modern.request("resources/read", r#""uri":"test://one""#),
    ] {
        let answer = modern.send(post).await;
        assert_blamed(&gateway, &modern, &answer, "a server that is not there");
    }
    let legacy = Client::stranger(&gateway, Era::Legacy, "2025-11-25");
    let answer = legacy.send(legacy.initialize()).await;
    assert_blamed(&gateway, &legacy, &answer, "a server that is not there");
}

#[tokio::test]
async fn a_server_that_refuses_to_be_asked_keeps_its_era() {
    for status in [401, 403, 429, 500, 503] {
        let plan = Upstream::of_both_eras().by_hand("server/discover");
        let scene = Scene::of(plan).await;
        let modern = Client::modern(&scene.gateway);
        let post = modern.request("tools/list", "");
        let (answer, ()) =
            join(modern.send(post), async { scene.upstream.next().await.refuse(status) }).await;
        assert_eq!(answer.verdict(), "502/1502", "{status}: {}", answer.text());
        let seen = scene.upstream.seen();
        assert!(seen.iter().all(|it| it.method == "server/discover"), "{status}: {seen:?}");
    }
}

#[tokio::test]
async fn a_modern_server_serves_legacy_clients_and_a_legacy_one_modern_clients() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan.echoing()).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let answer = client.send(client.tool("echo", r#"{"n":1.0}"#)).await;
            assert_eq!(answer.verdict(), "200", "{row}");
            let result = answer.json()["result"].clone();
            let kind = if client.era == Era::Modern { json!("complete") } else { json!(null) };
            assert_eq!(result["resultType"], kind, "{row}: {result}");
            let seen = scene.upstream.calls().pop().unwrap();
            let is_modern = seen.body.contains("io.modelcontextprotocol/protocolVersion");
            assert_eq!(is_modern, spoken == Era::Modern, "{row}: {}", seen.body);
            assert_eq!(seen.header("mcp-name").is_some(), spoken == Era::Modern, "{row}");
        }
    }
}

#[tokio::test]
async fn what_only_the_other_era_knows_is_translated() {
    let scene = Scene::of(Upstream::legacy()).await;
    let modern = Client::modern(&scene.gateway);
    modern.warm_up().await;
    let reading = || modern.send(modern.request("resources/read", r#""uri":"test://none""#));
    let (answer, ()) = join(reading(), async {
        scene.upstream.next().await.error(-32002, "no such resource");
    })
    .await;
    assert_eq!(answer.verdict(), "200/-32602", "{}", answer.text());
    let (answer, ()) = join(reading(), async {
        scene.upstream.next().await.result(r#"{"contents":[]}"#);
    })
    .await;
    let result = answer.json()["result"].clone();
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));

    let scene = Scene::of(Upstream::modern()).await;
    let legacy = Client::legacy(&scene.gateway).await;
    let reading = || legacy.send(legacy.request("resources/read", r#""uri":"test://none""#));
    let (answer, ()) = join(reading(), async {
        scene.upstream.next().await.error(-32602, "no such resource");
    })
    .await;
    assert_eq!(answer.verdict(), "200/-32002", "{}", answer.text());
    let (answer, ()) = join(reading(), async {
        let result = r#"{"resultType":"complete","ttlMs":5,"cacheScope":"public","contents":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"com.example/x":1}}"#;
        scene.upstream.next().await.result(result);
    })
    .await;
    assert_eq!(answer.json()["result"], json!({"contents": [], "_meta": {"com.example/x": 1}}));
}

/// An error of the upstream in the client's terms: it names the server as the client knows it, says
/// whose fault it is, and tells nothing of where the server is or of what it has said.
fn assert_blamed(gateway: &Gateway, client: &Client, answer: &Answer, row: &str) {
    let expected = if client.era == Era::Modern { "502/1502" } else { "200/1502" };
    let text = answer.text();
    assert_eq!(answer.verdict(), expected, "{row}: {text}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["data"]["reason"], "upstream", "{row}: {text}");
    assert_eq!(error["data"]["blame"], "upstream", "{row}: {text}");
    let message = error["message"].as_str().unwrap();
    assert_eq!(message.matches("`server` failed: ").count(), 1, "{row}: {message}");
    for inside in ["stack trace", "sign in", "slow down", "invalid_token", "/mcp", "panicked"] {
        assert!(!message.contains(inside), "{row}: {message}");
    }
    assert!(gateway.words().is_empty() || !gateway.words().contains("panicked"), "{row}");
}
