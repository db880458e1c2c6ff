//! Changes are heard by clients of either era, whatever the era and the transport of the server.

use std::collections::BTreeSet;

use futures::future::join;
use http::Method;
use serde_json::json;
use tests::{Client, Documents, Era, Gateway, Paired, Post, Site, Streamed, Upstream};

use crate::scene::Scene;

const DOUBLE: &str = env!("CARGO_BIN_EXE_stdio_double");
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const KEY: &str = "io.modelcontextprotocol/subscriptionId";

fn listen(client: &Client) -> Post {
    let filter = r#""toolsListChanged":true,"resourceSubscriptions":["test://one","test://two"]"#;
    client.request("subscriptions/listen", &format!(r#""notifications":{{{filter}}}"#))
}

#[tokio::test]
async fn a_modern_client_hears_a_legacy_server() {
    let plan = Upstream::legacy().by_hand("GET").by_hand("DELETE").echoing();
    let scene = Scene::of(plan).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let sessions = scene.upstream.seen_of("initialize").len();
    let mut stream = client.open(listen(&client)).await;
    let first = stream.message().await;
    let granted =
        json!({"toolsListChanged": true, "resourceSubscriptions": ["test://one", "test://two"]});
    assert_eq!(
        (&first["method"], &first["params"]["notifications"]),
        (&ACKNOWLEDGED.into(), &granted)
    );
    let theirs = scene.upstream.next().await;
    assert_eq!(theirs.method, "GET");
    // A session that nobody else uses, so that ending it ends all that was asked for in it.
    assert_eq!(scene.upstream.seen_of("initialize").len(), sessions + 1);
    let session = theirs.header("mcp-session-id").unwrap().to_owned();
    let theirs = theirs.stream();
    for uri in ["\"test://one\"", "\"test://two\""] {
        let asked = scene.upstream.next().await;
        assert_eq!(
            (asked.method.as_str(), asked.raw(&["params", "uri"]).as_str()),
            ("resources/subscribe", uri)
        );
        assert_eq!(asked.header("mcp-session-id"), Some(session.as_str()));
        asked.result("{}");
    }
    theirs.notification(CHANGED, "{}").await;
    let heard = stream.message().await;
    assert_eq!(
        (&heard["method"], &heard["params"]["_meta"][KEY]),
        (&CHANGED.into(), &first["params"]["_meta"][KEY])
    );
    // Logs of a session belong to nobody's subscription, nor does what was not asked for.
    theirs.notification("notifications/message", r#"{"level":"error","data":"secret"}"#).await;
    theirs.notification(UPDATED, r#"{"uri":"test://three"}"#).await;
    theirs.notification("notifications/prompts/list_changed", "{}").await;
    theirs.notification(UPDATED, r#"{"uri":"test://two"}"#).await;
    let heard = stream.message().await;
    assert_eq!(
        (&heard["method"], &heard["params"]["uri"]),
        (&UPDATED.into(), &"test://two".into())
    );
    drop(stream);
    theirs.given_up().await;
    let last = scene.upstream.next().await;
    assert_eq!(
        (last.method.as_str(), last.header("mcp-session-id")),
        ("DELETE", Some(session.as_str()))
    );
    last.accept();
}

#[tokio::test]
async fn a_legacy_client_hears_a_modern_server() {
    let scene = Scene::of(Upstream::modern().echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    client.warm_up().await;
    let mut stream = client.open(client.get()).await;
    let first = scene.upstream.next().await;
    assert_eq!(
        first.json()["params"]["notifications"],
        json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
    );
    let first = first.stream();
    first.notification(ACKNOWLEDGED, "{}").await;
    let meta = |id: &str| format!(r#"{{"_meta":{{"{KEY}":{id}}},"uri":"test://one"}}"#);
    first.notification(CHANGED, "{}").await;
    assert_eq!(stream.message().await["method"], CHANGED);
    // What is subscribed to is heard on a new stream, and the old one is closed when that is open.
    let subscribed =
        client.send(client.request("resources/subscribe", r#""uri":"test://one""#)).await;
    assert_eq!(subscribed.verdict(), "200");
    let second = scene.upstream.next().await;
    assert_eq!(
        second.json()["params"]["notifications"]["resourceSubscriptions"],
        json!(["test://one"])
    );
    let id = second.id();
    let second = second.stream();
    first.notification("notifications/prompts/list_changed", "{}").await;
    assert_eq!(stream.message().await["method"], "notifications/prompts/list_changed");
    second.notification(ACKNOWLEDGED, "{}").await;
    first.given_up().await;
    // Not what is of another subscription.
    second.notification(UPDATED, &meta("4711")).await;
    second.notification(UPDATED, &meta(&id)).await;
    let heard = stream.message().await;
    assert_eq!(heard["method"], UPDATED);
    assert_eq!(heard["params"], json!({"_meta": {}, "uri": "test://one"}));
    let unsubscribed =
        client.send(client.request("resources/unsubscribe", r#""uri":"test://one""#)).await;
    assert_eq!(unsubscribed.verdict(), "200");
    let third = scene.upstream.next().await;
    assert_eq!(third.json()["params"]["notifications"].get("resourceSubscriptions"), None);
    let third = third.stream();
    third.notification(ACKNOWLEDGED, "{}").await;
    second.given_up().await;
    assert_eq!(client.send(client.delete()).await.status, 200);
    assert_eq!(stream.next().await, None);
    third.given_up().await;
    assert!(scene.upstream.seen_of("resources/subscribe").is_empty(), "which it does not know");
}

#[tokio::test]
async fn both_hear_a_process_that_they_share() {
    for era in ["legacy", "modern"] {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        let modern = Client::modern(&gateway);
        let legacy = Client::legacy(&gateway).await;
        for client in [&modern, &legacy] {
            client.warm_up().await;
        }
        let uri = r#""uri":"test://one""#;
        let subscribed = legacy.send(legacy.request("resources/subscribe", uri)).await;
        assert_eq!(subscribed.verdict(), "200", "{era}");
        let mut streams = [legacy.open(legacy.get()).await, modern.open(listen(&modern)).await];
        assert_eq!(streams[1].message().await["method"], ACKNOWLEDGED, "{era}");
        // What comes before they listen is not heard, so it is said until it is.
        for (tool, method) in [("change", CHANGED), ("touch", UPDATED)] {
            for stream in &mut streams {
                heard_after(&modern, tool, stream, method).await;
            }
        }
        let [of_legacy, of_modern] = streams;
        drop(of_legacy);
        drop(of_modern);
        // A legacy client that is away for a while may come back, but not to a session that is over.
        assert_eq!(legacy.send(legacy.delete()).await.status, 200, "{era}");
        // When nobody watches any more, the process is told.
        loop {
            let said = modern.send(modern.tool("watched", "{}")).await.json();
            if said["result"]["content"][0]["text"] == "0" {
                break;
            }
        }
    }
}

/// Calls a tool until a stream has told of what it does.
async fn heard_after(client: &Client, tool: &str, stream: &mut Streamed, method: &str) {
    loop {
        let (answer, heard) = join(client.send(client.tool(tool, "{}")), async {
            let patience = std::time::Duration::from_millis(200);
            tokio::time::timeout(patience, stream.message()).await
        })
        .await;
        assert_eq!(answer.verdict(), "200");
        if heard.is_ok_and(|it| it["method"] == method) {
            return;
        }
    }
}

#[tokio::test]
async fn a_change_of_policy_is_a_change_of_lists() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let tools = r#"[{"name":"echo","inputSchema":{}},{"name":"drop_all","inputSchema":{}}]"#;
        let upstream = Upstream::of_both_eras().with_tools(tools).echoing().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "first").await;
        let clients = Client::with_token(&served, "/mcp/default/main", &token).await;
        let [modern, legacy] = &clients;
        for client in &clients {
            client.warm_up().await;
        }
        let get = legacy.open(legacy.get()).await;
        let listening =
            modern
                .open(modern.request(
                    "subscriptions/listen",
                    r#""notifications":{"toolsListChanged":true}"#,
                ))
                .await;
        let mut streams = [get, listening];
        assert_eq!(streams[1].message().await["method"], ACKNOWLEDGED);
        let path = "gateways/main/assignments/target";
        let one = json!({"expose": "named", "names": ["echo"]});
        for tools in [one, json!({"expose": "all"}), json!({"expose": "nothing"})] {
            served.must(Method::PATCH, path, Some(json!({"tools": tools}))).await;
            for stream in &mut streams {
                let heard = stream.message().await;
                assert_eq!(heard["method"], CHANGED, "{tools}, {}", site.database());
            }
        }
        served.must(Method::PATCH, path, Some(json!({"tools": {"expose": "all"}}))).await;
        let body = json!({"kind": "tool", "name": "target/drop_all"});
        for (verb, step) in [("", "all again"), ("cutoffs", "cut off"), ("restores", "restored")] {
            if !verb.is_empty() {
                served.must(Method::POST, verb, Some(body.clone())).await;
            }
            for stream in &mut streams {
                let heard = stream.message().await;
                assert_eq!(heard["method"], CHANGED, "{step}, {}", site.database());
            }
        }
    }
}

#[tokio::test]
async fn h072_a_resource_that_may_not_be_read_any_more_is_not_heard_of() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().echoing().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "first").await;
        for client in Client::with_token(&served, "/mcp/default/main", &token).await {
            let row = format!("{client}, {}", site.database());
            client.warm_up().await;
            let mut stream = match client.era {
                Era::Modern => {
                    let filter =
                        r#""toolsListChanged":true,"resourceSubscriptions":["target+test://one"]"#;
                    let members = format!(r#""notifications":{{{filter}}}"#);
                    let listen = client.request("subscriptions/listen", &members);
                    let mut stream = client.open(listen).await;
                    assert_eq!(stream.message().await["method"], ACKNOWLEDGED, "{row}");
                    stream
                }
                Era::Legacy => {
                    let uri = r#""uri":"target+test://one""#;
                    let subscribed = client.send(client.request("resources/subscribe", uri)).await;
                    assert_eq!(subscribed.verdict(), "200", "{row}");
                    client.open(client.get()).await
                }
            };
            let talk = upstream.next().await.stream();
            talk.notification(ACKNOWLEDGED, "{}").await;
            talk.notification(UPDATED, r#"{"uri":"test://one"}"#).await;
            assert_eq!(stream.message().await["method"], UPDATED, "{row}");
            let expose = async |what: &str| {
                let patch = json!({"resources": {"expose": what}});
                let path = "gateways/main/assignments/target";
                served.must(Method::PATCH, path, Some(patch)).await;
            };
            expose("nothing").await;
            let over = r#"{"x":"over"}"#;
            drop(talk);
            // At the gateway the client's stream goes on, and the server's is opened again. What may
            // have been missed is told, but not of what may not be read.
            let heard = async {
                loop {
                    let event = stream.next().await.unwrap();
                    let text = String::from_utf8_lossy(&event.data).into_owned();
                    assert!(!text.contains(UPDATED), "{row}: {text}");
                    if text.contains("over") {
                        return;
                    }
                }
            };
            let again = async {
                let mut talks = Vec::new();
                // One may be given up for another, which asks for what may be heard now.
                loop {
                    let asked = upstream.next().await;
                    assert!(!asked.body.contains("test://one"), "{row}: {}", asked.body);
                    let talk = asked.stream();
                    talk.notification(ACKNOWLEDGED, "{}").await;
                    // What it was not asked for, it may say all the same.
                    talk.notification(UPDATED, r#"{"uri":"test://one"}"#).await;
                    talk.notification(CHANGED, over).await;
                    talks.push(talk);
                }
            };
            tokio::select! {
                () = heard => {}
                () = again => {}
            }
            drop(stream);
            expose("all").await;
        }
    }
}
#[tokio::test]
async fn a_server_that_tells_nobody_of_its_resources_is_not_watched() {
    let plan = Upstream::modern().with_capabilities(r#"{"tools":{},"resources":{}}"#);
    let scene = Scene::of(plan).await;
    let client = Client::legacy(&scene.gateway).await;
    let uri = r#""uri":"test://one""#;
    let answer = client.send(client.request("resources/subscribe", uri)).await;
    assert_eq!(answer.code(), Some(-32601), "{}", answer.text());
    let answer = client.send(client.request("resources/unsubscribe", uri)).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn the_end_waits_for_calls_and_not_for_clients_that_only_listen() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = Upstream::of_both_eras().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let [modern, legacy] = Client::with_token(&served, "/mcp/default/main", &token).await;
        modern.warm_up().await;
        let mut listening = modern.open(listen(&modern)).await;
        assert_eq!(listening.message().await["method"], ACKNOWLEDGED, "{row}");
        let mut feed = legacy.open(legacy.get()).await;
        let mut paired = Paired::greet(&legacy).await;
        let call = paired.client.tool("target__echo", "{}");
        let id = call.id.clone();
        paired.take(call).await;
        let theirs = loop {
            let arrived = upstream.next().await;
            if arrived.method == "tools/call" {
                break arrived;
            }
        };
        let going = async {
            while listening.next().await.is_some() {}
            while feed.next().await.is_some() {}
            theirs.result(r#"{"content":[],"structuredContent":{"late":1}}"#);
            let answer = paired.answer().await;
            assert_eq!(answer["id"].to_string(), id, "{row}: {answer}");
            assert_eq!(answer["result"]["structuredContent"]["late"], 1, "{row}: {answer}");
            while paired.stream.next().await.is_some() {}
        };
        let (ended, ()) = join(served.stop(), going).await;
        assert!(ended.success(), "{row}: {ended}");
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {words}");
    }
}

#[tokio::test]
async fn what_is_said_at_the_end_of_a_stream_is_said_before_the_gateway_ends() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = Upstream::legacy().by_hand("GET").by_hand("DELETE").start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let modern = Client::modern_with_token(&served, "/mcp/default/main", &token);
        modern.warm_up().await;
        let mut listening = modern.open(listen(&modern)).await;
        assert_eq!(listening.message().await["method"], ACKNOWLEDGED, "{row}");
        let theirs = upstream.next().await.stream();
        theirs.notification(CHANGED, "{}").await;
        assert_eq!(listening.message().await["method"], CHANGED, "{row}");
        let going = async {
            while listening.next().await.is_some() {}
            theirs.given_up().await;
            let last = upstream.next().await;
            assert_eq!(last.method, "DELETE", "{row}");
            last.accept();
        };
        let (ended, ()) = join(served.stop(), going).await;
        assert!(ended.success(), "{row}: {ended}");
        let records = site.records();
        let of = |kind: &str| -> BTreeSet<String> {
            let own = records.iter().filter(|it| it.kind == kind);
            own.filter_map(|it| it.text("call").map(str::to_owned)).collect()
        };
        assert!(of("intent").is_subset(&of("outcome")), "{row}: what was begun has an end");
    }
}
