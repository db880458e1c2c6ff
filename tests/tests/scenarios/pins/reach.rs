//! How far an approval reaches: transports, templates, unknown methods, and calls under way.

use futures::future::join;
use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::{Answer, Client, Served, Site, Upstream};

use super::{ECHO, Scene, documents, listed, result, sees};
use crate::scene::each_era;

const DOUBLE: &str = env!("CARGO_BIN_EXE_stdio_double");

async fn pending(served: &Served, query: &str, count: usize) -> Vec<Value> {
    let looking = async {
        loop {
            let path = format!("pins?state=pending&{query}");
            let found = served.must(Method::GET, &path, None).await;
            let found = found["items"].as_array().unwrap();
            if found.len() == count {
                return found.clone();
            }
        }
    };
    tests::wait::within("definitions that wait", looking).await
}

async fn decide(served: &Served, deed: &str, pin: &Value) {
    let path = format!("pins/{}/{deed}", pin["id"].as_str().unwrap());
    served.must(Method::POST, &path, Some(json!({"hash": pin["hash"]}))).await;
}

#[tokio::test]
async fn h116_a_process_is_under_review_as_any_server_is() {
    for era in ["legacy", "modern"] {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let transport = format!("type: stdio, command: \"{DOUBLE}\", args: [{era}]");
            let served = site.start_with(&documents(&transport)).await;
            let token = served.token("bot", "t").await;
            let clients = Client::with_token(&served, "/mcp/default/main/mail", &token).await;
            for client in &clients {
                assert!(listed(client, "tools/list", "tools").await.is_empty(), "{client}");
                let answer = client.send(client.tool("watched", "{}")).await;
                assert!(answer.text().contains("waits for approval"), "{}", answer.text());
            }
            let path = "pins?state=pending&name=watched";
            let watched = loop {
                let found = served.must(Method::GET, path, None).await;
                if let Some(found) = found["items"].get(0) {
                    break found.clone();
                }
            };
            decide(&served, "approve", &watched).await;
            for client in &clients {
                sees(client, &["watched"]).await;
                let answer = client.send(client.tool("watched", "{}")).await;
                assert!(!answer.text().contains("isError"), "{}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_template_that_waits_keeps_back_what_it_may_make() {
    let listing = r#""resourceTemplates":[{"uriTemplate":"a://{x}","name":"a"},
        {"uriTemplate":"b://{x}/end","name":"b"}]"#;
    for (_, plan) in each_era() {
        let plan = plan.on("resources/templates/list", move |call| async move {
            call.result(&format!(r#"{{"resultType":"complete",{listing}}}"#));
        });
        let plan = plan.on("resources/read", |call| async move {
            call.result(r#"{"resultType":"complete","contents":[]}"#);
        });
        let upstream = plan.start().await;
        for site in Site::on_each(db::testing::postgres_url().await) {
            let served = site.start_with(&documents(&http(&upstream.url))).await;
            let token = served.token("bot", "t").await;
            for client in Client::with_token(&served, "/mcp/default/main/mail", &token).await {
                let templates =
                    async || listed(&client, "resources/templates/list", "resourceTemplates").await;
                let may_read = async |uri: &str| {
                    let uri = format!(r#""uri":"{uri}""#);
                    let answer: Answer = client.send(client.request("resources/read", &uri)).await;
                    let reason = answer.reason();
                    assert!(
                        reason.is_none() || reason.as_deref() == Some("unapproved"),
                        "{reason:?}"
                    );
                    reason.is_none()
                };
                assert!(templates().await.is_empty());
                let uris = ["test://one", "a://1", "b://1/end", "c://1"];
                let reads = async || {
                    let mut read = Vec::new();
                    for uri in uris {
                        read.push(may_read(uri).await);
                    }
                    read
                };
                assert_eq!(reads().await, [true, false, false, false], "{client}");
                let pins = pending(&served, "kind=resource_template", 2).await;
                let of = |name: &str| pins.iter().find(|it| it["name"] == name).unwrap();
                decide(&served, "approve", of("a://{x}")).await;
                assert_eq!(templates().await, ["a"]);
                assert_eq!(reads().await, [true, true, false, false], "{client}");
                decide(&served, "approve", of("b://{x}/end")).await;
                assert_eq!(templates().await, ["a", "b"]);
                assert_eq!(reads().await, [true, true, true, true], "{client}");
                for pin in &pins {
                    decide(&served, "reject", pin).await;
                }
                assert_eq!(reads().await, [true, false, false, false], "{client}");
                // Back to the beginning, for the other client.
                let file = "kind: Server\nname: mail\npins: []\n";
                let transport = format!("transport: {{ {} }}\n", http(&upstream.url));
                let text = format!("{file}{transport}");
                for pin in &pins {
                    decide(&served, "approve", pin).await;
                }
                served.must(Method::POST, "apply", Some(json!({ "text": text }))).await;
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_here_knows_does_not_go_to_a_server_under_review() {
    let plan = Upstream::of_both_eras().on("vendor/do", |call| async move { call.result("{}") });
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, plan.clone(), ECHO).await;
        let path = "/mcp/default/main/mail";
        for client in Client::with_token(&scene.served, path, &scene.token).await {
            client.warm_up().await;
            let answer = client.send(client.request("vendor/do", "")).await;
            assert_eq!(answer.code(), Some(-32601), "{client}: {}", answer.text());
        }
        assert!(scene.upstream.seen_of("vendor/do").is_empty());
    }
}

#[tokio::test]
async fn a_call_under_way_ends_when_its_definition_is_rejected_or_its_server_comes_under_review() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let tools = format!("[{ECHO}]");
            let plan = plan.clone().by_hand("tools/call").on("tools/list", move |call| {
                let tools = tools.clone();
                async move { call.result(&result(&tools)) }
            });
            let upstream = plan.start().await;
            let served = site.start_with(&documents(&http(&upstream.url))).await;
            let token = served.token("bot", "t").await;
            for client in Client::with_token(&served, "/mcp/default/main/mail", &token).await {
                let under_way = async |path: &str, body: Value| {
                    let call = client.send(client.tool("echo", "{}"));
                    let (answer, ()) = join(call, async {
                        let call = upstream.next().await;
                        served.must(method_of(path), path, Some(body)).await;
                        call.given_up().await;
                    })
                    .await;
                    let text = answer.text();
                    assert!(text.contains("waits for approval"), "{client}: {text}");
                };
                listed(&client, "tools/list", "tools").await;
                let path = "pins?name=echo";
                let pin = loop {
                    let found = served.must(Method::GET, path, None).await;
                    if let Some(found) = found["items"].get(0) {
                        break found.clone();
                    }
                };
                decide(&served, "approve", &pin).await;
                sees(&client, &["echo"]).await;
                let reject = format!("pins/{}/reject", pin["id"].as_str().unwrap());
                under_way(&reject, json!({"hash": pin["hash"]})).await;
                let off = Some(json!({"review": "off"}));
                served.must(Method::PATCH, "servers/mail", off).await;
                sees(&client, &["echo"]).await;
                under_way("servers/mail", json!({"review": "on"})).await;
            }
        }
    }
}

fn method_of(path: &str) -> Method {
    if path.starts_with("pins") { Method::POST } else { Method::PATCH }
}

#[tokio::test]
async fn replicas_share_what_waits_and_what_is_decided() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let here = Site::new(Some(url));
    let there = here.beside();
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let first = here.start_with(&documents(&http(&upstream.url))).await;
    let token = first.token("bot", "t").await;
    let second = there.start().await;
    let [one, other] =
        [&first, &second].map(|it| Client::modern_with_token(it, "/mcp/default/main/mail", &token));
    for client in [&one, &other] {
        assert!(listed(client, "tools/list", "tools").await.is_empty(), "{client}");
    }
    let lists = upstream.seen_of("tools/list").len();
    assert_eq!(lists, 2, "both have told of it");
    let [pin] = &pending(&first, "kind=tool", 1).await[..] else { panic!() };
    decide(&first, "approve", pin).await;
    for client in [&one, &other] {
        assert_eq!(listed(client, "tools/list", "tools").await, ["echo"], "{client}");
        let answer = client.send(client.tool("echo", r#"{"n":1}"#)).await;
        assert!(answer.text().contains(r#""structuredContent":{"n":1}"#), "{}", answer.text());
    }
    decide(&first, "reject", pin).await;
    let calls = upstream.calls().len();
    for client in [&one, &other] {
        let answer = client.send(client.tool("echo", r#"{"n":1}"#)).await;
        assert!(answer.text().contains("waits for approval"), "{}", answer.text());
        assert!(listed(client, "tools/list", "tools").await.is_empty(), "{client}");
    }
    assert_eq!(upstream.calls().len(), calls, "nothing has left");
    let rows = first.must(Method::GET, "pins?kind=tool", None).await;
    assert_eq!(rows["items"].as_array().unwrap().len(), 1, "one row, whoever has told of it");
}
