//! Streams that stay open: those for changes, and those that the gateway ends to be polled.

use serde_json::json;
use tests::piped::{error, reason};
use tests::{Piped, Upstream};
use tokio::time::Instant;

use super::NEWEST;

const CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

#[tokio::test]
async fn a_legacy_client_hears_what_belongs_to_no_call_and_goes_on_where_a_stream_has_ended() {
    let gateway = Upstream::legacy().by_hand("GET").start().await;
    let mut bridge = Piped::with_token(&gateway.url, "secret-token");
    bridge.hello(NEWEST, "{}").await;
    let open = gateway.next().await;
    assert_eq!((open.method.as_str(), open.header("accept")), ("GET", Some("text/event-stream")));
    assert_eq!(open.header("mcp-session-id"), Some("session-1"));
    assert_eq!(open.header("mcp-protocol-version"), Some(NEWEST));
    assert_eq!(open.header("authorization"), Some("Bearer secret-token"));
    assert_eq!(open.header("last-event-id"), None);
    let talk = open.stream();
    talk.bytes("id: a/1\nretry: 300\ndata:\n\n").await;
    let change = format!(r#"{{ "method":"{CHANGED}","jsonrpc":"2.0"}}"#);
    talk.bytes(format!("id: a/2\nevent: message\ndata: {change}\n\n")).await;
    assert_eq!(bridge.raw().await.unwrap(), change);
    // What it is asked there is answered in its session.
    talk.message(r#"{"jsonrpc":"2.0","id":9,"method":"roots/list"}"#).await;
    assert_eq!(bridge.next().await["method"], "roots/list");
    bridge.line(r#"{"jsonrpc":"2.0","id":9,"result":{"roots":[]}}"#).await;
    let reply = gateway.next().await;
    assert_eq!(reply.raw(&["result"]), r#"{"roots":[]}"#);
    reply.accept();
    let begun = Instant::now();
    drop(talk);
    let again = gateway.next().await;
    assert!(250 <= begun.elapsed().as_millis(), "{:?}", begun.elapsed());
    assert_eq!(again.header("last-event-id"), Some("a/2"));
    // A gateway that is not well is asked again.
    again.refuse(503);
    let again = gateway.next().await;
    assert_eq!(again.header("last-event-id"), Some("a/2"));
    // What it does not keep cannot be had, and what comes then can.
    again.refuse(400);
    let again = gateway.next().await;
    assert_eq!(again.header("last-event-id"), None);
    let talk = again.stream();
    talk.notification(CHANGED, "{}").await;
    assert_eq!(bridge.next().await["method"], CHANGED);
    // It ends with the client.
    bridge.close_input();
    talk.given_up().await;
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_gateway_without_such_a_stream_is_not_asked_again() {
    for status in [405, 404] {
        let gateway = Upstream::legacy().without_sessions().by_hand("GET").start().await;
        let mut bridge = Piped::to(&gateway.url);
        bridge.hello("2025-06-18", "{}").await;
        gateway.next().await.refuse(status);
        bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
        let call = gateway.next().await;
        assert_eq!((call.method.as_str(), call.header("mcp-session-id")), ("tools/call", None));
        call.result("{}");
        assert_eq!(bridge.next().await["id"], 1);
        bridge.close_input();
        assert_eq!(bridge.ended().await.code(), Some(0));
        assert_eq!(gateway.seen_of("").iter().filter(|it| it.verb != "POST").count(), 1);
    }
}

#[tokio::test]
async fn a_call_whose_stream_ends_early_is_asked_for_the_rest_and_not_sent_again() {
    let gateway = Upstream::legacy().by_hand("GET").start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    let _changes = gateway.next().await;
    for breaks in [false, true] {
        let known = gateway.calls().len();
        bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
        let talk = gateway.next().await.stream();
        talk.bytes("id: c/0\nretry: 200\ndata:\n\n").await;
        talk.bytes(format!("id: c/1\ndata: {PROGRESS}\n\n")).await;
        assert_eq!(bridge.next().await["method"], "notifications/progress");
        if breaks {
            talk.fail().await;
        } else {
            drop(talk);
        }
        let again = gateway.next().await;
        assert_eq!((again.method.as_str(), again.header("last-event-id")), ("GET", Some("c/1")));
        assert_eq!(again.header("mcp-session-id"), Some("session-1"));
        let talk = again.stream();
        talk.bytes(format!("id: c/2\ndata: {PROGRESS}\n\n")).await;
        assert_eq!(bridge.next().await["method"], "notifications/progress");
        drop(talk);
        let again = gateway.next().await;
        assert_eq!(again.header("last-event-id"), Some("c/2"));
        again.refuse(502);
        let again = gateway.next().await;
        assert_eq!(again.header("last-event-id"), Some("c/2"));
        let talk = again.stream();
        talk.message(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#).await;
        assert_eq!(
            bridge.next().await,
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})
        );
        assert_eq!(gateway.calls().len(), known + 1);
    }
    // What cannot go on is told to the client, under the id of its call.
    let cases = [
        (404, json!([1503, "session_lost"]), "may have been carried out"),
        (401, json!([1401, "unauthenticated"]), "OSTIARY_TOKEN"),
        (403, json!([1403, "forbidden"]), "does not allow"),
    ];
    for (status, expected, words) in cases {
        bridge.ask("\"x\"", "tools/call", r#"{"name":"echo"}"#).await;
        let talk = gateway.next().await.stream();
        talk.bytes("id: d/1\nretry: 1\ndata:\n\n").await;
        drop(talk);
        gateway.next().await.refuse(status);
        let answer = bridge.next().await;
        assert_eq!((&answer["id"], reason(&answer)), (&json!("x"), expected));
        assert!(error(&answer).1.contains(words), "{answer}");
    }
}

#[tokio::test]
async fn a_subscription_stays_open_and_ends_as_its_client_or_the_gateway_wishes() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let filter = r#""notifications":{"toolsListChanged":true}"#;
    bridge.ask_modern("\"l1\"", "subscriptions/listen", filter).await;
    let first = gateway.next().await;
    assert_eq!(first.header("mcp-method"), Some("subscriptions/listen"));
    let first = first.stream();
    bridge.ask_modern("\"l2\"", "subscriptions/listen", filter).await;
    let second = gateway.next().await.stream();
    for talk in [&first, &second] {
        talk.notification(ACKNOWLEDGED, r#"{"notifications":{"toolsListChanged":true}}"#).await;
        assert_eq!(bridge.next().await["method"], ACKNOWLEDGED);
        talk.notification(CHANGED, "{}").await;
        assert_eq!(bridge.next().await["method"], CHANGED);
    }
    bridge.tell("notifications/cancelled", r#"{"requestId":"l1"}"#).await;
    first.given_up().await;
    second.result(r#"{"resultType":"complete"}"#).await;
    assert_eq!(bridge.next().await["id"], "l2");
    // One that is never begun ends with an error, and one that is open with the client.
    bridge.ask_modern("\"l3\"", "subscriptions/listen", filter).await;
    gateway.next().await.refuse(503);
    assert_eq!(bridge.next().await["id"], "l3");
    bridge.ask_modern("\"l4\"", "subscriptions/listen", filter).await;
    let last = gateway.next().await.stream();
    bridge.close_input();
    last.given_up().await;
    assert_eq!(bridge.ended().await.code(), Some(0));
    assert_eq!(gateway.calls().len(), 4);
}

#[tokio::test]
async fn a_subscription_that_breaks_is_opened_again_and_all_of_it_may_have_changed() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let agreed = r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["test://one"]}}"#;
    bridge.ask_modern("\"l\"", "subscriptions/listen", r#""notifications":{}"#).await;
    let first = gateway.next().await;
    let asked = first.body.clone();
    let talk = first.stream();
    talk.notification(ACKNOWLEDGED, agreed).await;
    assert_eq!(bridge.next().await["method"], ACKNOWLEDGED);
    talk.fail().await;
    gateway.next().await.refuse(502);
    let again = gateway.next().await;
    assert_eq!(again.body, asked);
    let talk = again.stream();
    talk.notification(ACKNOWLEDGED, agreed).await;
    let meta = json!({"io.modelcontextprotocol/subscriptionId": "l"});
    let tools = json!({"jsonrpc": "2.0", "method": CHANGED, "params": {"_meta": meta}});
    let one = json!({"jsonrpc": "2.0", "method": UPDATED, "params": {"_meta": meta, "uri": "test://one"}});
    assert_eq!([bridge.next().await, bridge.next().await], [tools, one]);
    talk.notification(CHANGED, "{}").await;
    assert_eq!(bridge.next().await["method"], CHANGED);
    // A right that is lost is the end of it.
    drop(talk);
    gateway.next().await.refuse(401);
    let answer = bridge.next().await;
    assert_eq!((&answer["id"], reason(&answer)), (&json!("l"), json!([1401, "unauthenticated"])));
}
