//! A gateway that forgets its sessions: the client goes on in another one.

use std::time::Duration;

use serde_json::{Value, json};
use tests::piped::reason;
use tests::wait::eventually;
use tests::{Arrived, Piped, Upstream};
use tokio::time::Instant;

use super::NEWEST;

#[tokio::test]
async fn a_client_whose_session_is_forgotten_goes_on_in_another_one() {
    let gateway = Upstream::legacy().by_hand("GET").by_hand("logging/setLevel").start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, r#"{"roots":{}}"#).await;
    let changes = gateway.next().await.stream();
    bridge.ask("1", "logging/setLevel", r#"{"level":"error"}"#).await;
    gateway.next().await.result("{}");
    bridge.next().await;
    for uri in ["test://one", "test://two"] {
        bridge.ask("2", "resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#)).await;
        gateway.next().await.result("{}");
        bridge.next().await;
    }
    bridge.ask("3", "resources/unsubscribe", r#"{"uri":"test://one"}"#).await;
    gateway.next().await.result("{}");
    bridge.next().await;
    // Several calls find it out at the same time, and one other session is opened.
    for id in ["\"a\"", "\"b\"", "\"c\""] {
        bridge.ask(id, "tools/call", r#"{"name":"echo"}"#).await;
    }
    let lost = [gateway.next().await, gateway.next().await, gateway.next().await];
    for call in lost {
        assert_eq!(call.header("mcp-session-id"), Some("session-1"));
        let unknown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no such session; initialize again"}}"#;
        call.respond(404, "application/json", unknown);
    }
    let mut sent = Vec::new();
    for _ in 0..6 {
        let arrived = gateway.next().await;
        assert_eq!(arrived.header("mcp-session-id"), Some("session-2"), "{}", arrived.body);
        sent.push((arrived.method.clone(), arrived.body.clone()));
        match arrived.method.as_str() {
            "GET" => drop(arrived),
            _ => arrived.result(r#"{"content":[]}"#),
        }
    }
    sent.sort();
    let methods: Vec<_> = sent.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(
        methods,
        [
            "GET",
            "logging/setLevel",
            "resources/subscribe",
            "tools/call",
            "tools/call",
            "tools/call"
        ]
    );
    assert!(sent[2].1.contains("test://two"), "{sent:?}");
    let hellos = gateway.seen_of("initialize");
    assert_eq!(hellos.len(), 2);
    assert_eq!(hellos[0].body, hellos[1].body);
    assert_eq!(gateway.seen_of("notifications/initialized").len(), 2);
    // The client hears its answers, once each, and what may have changed.
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(bridge.next().await);
    }
    let named = |it: &Value| it["id"].as_str().or(it["method"].as_str()).unwrap().to_owned();
    let mut names: Vec<_> = heard.iter().map(named).collect();
    names.sort();
    assert_eq!(
        names,
        ["a", "b", "c", "notifications/resources/updated", "notifications/tools/list_changed"]
    );
    changes.given_up().await;
}

#[tokio::test]
async fn what_a_client_watches_is_watched_in_another_session_at_once() {
    let gateway = Upstream::legacy().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    for number in 0..20 {
        let uri = format!(r#"{{"uri":"test://{number}"}}"#);
        bridge.ask("2", "resources/subscribe", &uri).await;
        gateway.next().await.result("{}");
        bridge.next().await;
    }
    bridge.ask("3", "tools/call", r#"{"name":"echo"}"#).await;
    gateway.next().await.refuse(404);
    // Sixteen of them wait for their answers together, and no more.
    let mut waiting = Vec::new();
    for _ in 0..16 {
        waiting.push(gateway.next().await);
    }
    assert_eq!(gateway.seen_of("resources/subscribe").len(), 20 + 16);
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let arrived = match waiting.pop() {
            Some(arrived) => arrived,
            None => gateway.next().await,
        };
        assert_eq!(arrived.header("mcp-session-id"), Some("session-2"), "{}", arrived.body);
        told.insert(arrived.raw(&["params", "uri"]));
        arrived.result("{}");
    }
    assert_eq!(told.len(), 20, "each of them once");
    gateway.next().await.result(r#"{"content":[]}"#);
}

#[tokio::test]
async fn an_answer_to_a_question_of_a_forgotten_session_is_not_taken_for_one_of_the_next() {
    let gateway = Upstream::legacy().by_hand("GET").start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, r#"{"elicitation":{}}"#).await;
    let talk = gateway.next().await.stream();
    let question = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"?"}}}}"#
        )
    };
    talk.message(&question("1")).await;
    let first = bridge.next().await;
    assert_eq!(first["id"], 1);
    // The stream finds out as well.
    drop(talk);
    gateway.next().await.refuse(404);
    let talk = gateway.next().await;
    assert_eq!(talk.header("mcp-session-id"), Some("session-2"));
    let talk = talk.stream();
    assert_eq!(bridge.next().await["method"], "notifications/tools/list_changed");
    talk.message(&question("1")).await;
    talk.message(&question("\"q\\\"1\"")).await;
    let (second, third) = (bridge.next().await["id"].clone(), bridge.next().await["id"].clone());
    assert_ne!(second, 1);
    talk.notification("notifications/cancelled", r#"{"requestId":1}"#).await;
    assert_eq!(bridge.next().await["params"]["requestId"], second);
    for (id, content) in [(&first["id"], "old"), (&second, "new"), (&third, "newer")] {
        bridge
            .line(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": content}}).to_string())
            .await;
    }
    for (id, content) in [("1", "\"new\""), ("\"q\\\"1\"", "\"newer\"")] {
        let reply = gateway.next().await;
        assert_eq!(
            (reply.id(), reply.raw(&["result", "content"])),
            (id.to_owned(), content.to_owned())
        );
        assert_eq!(reply.header("mcp-session-id"), Some("session-2"));
        reply.accept();
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_had_again_is_an_error_and_tried_with_the_next_call() {
    let gateway = Upstream::legacy().by_hand("initialize").start().await;
    let mut bridge = Piped::to(&gateway.url);
    let begin = async |bridge: &mut Piped| {
        let params =
            format!(r#"{{"protocolVersion":"{NEWEST}","capabilities":{{}},"clientInfo":{{}}}}"#);
        bridge.ask("\"hello\"", "initialize", &params).await;
    };
    begin(&mut bridge).await;
    opened(gateway.next().await, "one", NEWEST);
    assert_eq!(bridge.next().await["id"], "hello");
    let refused = |arrived: Arrived, status| arrived.refuse(status);
    for (status, expected) in [
        (503, json!([1503, "gateway_unavailable"])),
        (401, json!([1401, "unauthenticated"])),
        (404, json!([1403, "no_gateway"])),
    ] {
        bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
        refused(gateway.next().await, 404);
        refused(gateway.next().await, status);
        assert_eq!(reason(&bridge.next().await), expected);
    }
    // A revision that the client has not agreed to is of no use to it.
    bridge.ask("2", "tools/call", r#"{"name":"echo"}"#).await;
    refused(gateway.next().await, 404);
    opened(gateway.next().await, "two", "2025-06-18");
    assert_eq!(reason(&bridge.next().await), json!([1503, "session_lost"]));
    bridge.ask("3", "tools/call", r#"{"name":"echo"}"#).await;
    refused(gateway.next().await, 404);
    opened(gateway.next().await, "three", NEWEST);
    let call = gateway.next().await;
    assert_eq!(call.header("mcp-session-id"), Some("three"));
    call.result("{}");
    assert_eq!(bridge.next().await["id"], 3);
    // A client that says hello once more has another session, and the one before is ended.
    begin(&mut bridge).await;
    opened(gateway.next().await, "four", "2025-06-18");
    assert_eq!(bridge.next().await["result"]["protocolVersion"], "2025-06-18");
    let ended: Vec<_> = gateway.seen().into_iter().filter(|it| it.verb == "DELETE").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].header("mcp-session-id"), Some("three"));
}

/// Answers `initialize` with a session of that id.
fn opened(hello: Arrived, session: &str, revision: &str) {
    let result =
        format!(r#"{{"protocolVersion":"{revision}","capabilities":{{}},"serverInfo":{{}}}}"#);
    hello.result_with_session(&result, Some(session.to_owned()));
}

#[tokio::test]
async fn sessions_that_are_lost_as_soon_as_they_are_open_are_opened_ever_more_slowly() {
    let gateway = Upstream::legacy().on("GET", |it| async move { it.refuse(404) }).start().await;
    let mut bridge = Piped::to(&gateway.url);
    let began = Instant::now();
    bridge.hello(NEWEST, "{}").await;
    let opened = || (3 <= gateway.seen_of("initialize").len()).then_some(());
    eventually("a third session", opened).await;
    assert!(Duration::from_secs(1) <= began.elapsed(), "the second one was given some time");
}
