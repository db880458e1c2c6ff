//! Streams for what belongs to no call.

use futures::future::join;
use tests::{Client, Upstream};

use crate::scene::Scene;

const CHANGED: &str = "notifications/tools/list_changed";

#[tokio::test]
async fn a_subscription_is_acknowledged_at_once_and_hears_what_its_server_says() {
    let scene = Scene::of(Upstream::modern()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let filter = r#""notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["test://one"],"x-unknown":true}"#;
    let post = client.request("subscriptions/listen", filter);
    let id: serde_json::Value = post.id.parse().unwrap();
    let mut stream = client.open(post).await;
    // Before the server has said a word.
    let first = stream.message().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let key = "io.modelcontextprotocol/subscriptionId";
    assert_eq!(first["params"]["_meta"][key], id);
    let granted = &first["params"]["notifications"];
    assert_eq!(
        *granted,
        serde_json::json!({"toolsListChanged": true, "resourceSubscriptions": ["test://one"]})
    );
    let call = scene.upstream.next().await;
    assert_eq!(call.method, "subscriptions/listen");
    let asked = call.json()["params"]["notifications"].clone();
    assert_eq!(
        asked,
        serde_json::json!({"toolsListChanged": true, "resourceSubscriptions": ["test://one"]})
    );
    let theirs = call.id();
    let call = call.stream();
    let meta = format!(r#""_meta":{{"{key}":{theirs}}}"#);
    call.notification(
        "notifications/subscriptions/acknowledged",
        &format!(r#"{{{meta},"notifications":{{}}}}"#),
    )
    .await;
    call.notification(CHANGED, &format!("{{{meta}}}")).await;
    let heard = stream.message().await;
    assert_eq!((&heard["method"], &heard["params"]["_meta"][key]), (&CHANGED.into(), &id));
    call.notification(
        "notifications/resources/updated",
        &format!(r#"{{{meta},"uri":"test://one","n":1}}"#),
    )
    .await;
    let heard = stream.message().await;
    assert_eq!(
        (&heard["params"]["uri"], &heard["params"]["_meta"][key]),
        (&"test://one".into(), &id)
    );
    // What has changed is not served from memory.
    let listed = scene.upstream.seen_of("tools/list").len();
    client.warm_up().await;
    assert_eq!(scene.upstream.seen_of("tools/list").len(), listed + 1);
    // A server that ends its stream is asked for another one. What has changed meanwhile nobody
    // knows, so the client is told of all that it listens to.
    drop(call);
    let call = scene.upstream.next().await.stream();
    call.notification("notifications/subscriptions/acknowledged", "{}").await;
    for method in [CHANGED, "notifications/resources/updated"] {
        let heard = stream.message().await;
        assert_eq!((&heard["method"], &heard["params"]["_meta"][key]), (&method.into(), &id));
    }
    drop(stream);
    call.given_up().await;
}

#[tokio::test]
async fn a_change_that_is_told_while_a_list_is_on_its_way_is_not_missed() {
    const OLD: &str = r#"{"name":"old","inputSchema":{"type":"object"}}"#;
    const NEW: &str = r#"{"name":"new","inputSchema":{"type":"object"}}"#;
    // By far less than what is listed is fresh otherwise.
    const SOON: std::time::Duration = std::time::Duration::from_secs(15);

    let result = |tools: &str| {
        format!(
            r#"{{"resultType":"complete","ttlMs":60000,"cacheScope":"private","tools":[{tools}]}}"#
        )
    };
    let scene = Scene::of(Upstream::modern().by_hand("tools/list")).await;
    let client = Client::modern(&scene.gateway);
    let list = async || client.send(client.request("tools/list", "")).await.text();
    let answering = async { scene.upstream.next().await.result(&result(OLD)) };
    assert!(join(list(), answering).await.0.contains("old"));
    let filter = r#""notifications":{"toolsListChanged":true}"#;
    let mut stream = client.open(client.request("subscriptions/listen", filter)).await;
    stream.message().await;
    let theirs = scene.upstream.next().await;
    assert_eq!(theirs.method, "subscriptions/listen");
    let theirs = theirs.stream();
    theirs.notification("notifications/subscriptions/acknowledged", "{}").await;
    theirs.notification(CHANGED, "{}").await;
    assert_eq!(stream.message().await["method"], CHANGED);
    let changing = async {
        let call = scene.upstream.next().await;
        assert_eq!(call.method, "tools/list");
        theirs.notification(CHANGED, "{}").await;
        assert_eq!(stream.message().await["method"], CHANGED);
        call.result(&result(OLD));
    };
    assert!(join(list(), changing).await.0.contains("old"));
    let looking = async { while !list().await.contains("new") {} };
    let answering = async { scene.upstream.next().await.result(&result(NEW)) };
    let seen = tokio::time::timeout(SOON, join(looking, answering)).await;
    assert!(seen.is_ok(), "what was overtaken is served from memory");
}

#[tokio::test]
async fn a_subscription_ends_upstream_when_its_client_leaves() {
    let scene = Scene::of(Upstream::modern()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let filter = r#""notifications":{"toolsListChanged":true}"#;
    let mut stream = client.open(client.request("subscriptions/listen", filter)).await;
    stream.message().await;
    let call = scene.upstream.next().await.stream();
    call.notification("notifications/subscriptions/acknowledged", "{}").await;
    drop(stream);
    call.given_up().await;
}

#[tokio::test]
async fn a_legacy_client_hears_on_its_own_stream_what_its_server_says_on_that() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET")).await;
    let client = Client::legacy(&scene.gateway).await;
    client.warm_up().await;
    let mut stream = client.open(client.get()).await;
    assert_eq!((stream.status, stream.is_stream()), (200, true));
    // The server is asked for its stream when there is a session with it.
    let (answer, theirs) = join(client.send(client.tool("echo", "{}")), async {
        let (one, other) = (scene.upstream.next().await, scene.upstream.next().await);
        let (call, theirs) = if one.method == "GET" { (other, one) } else { (one, other) };
        assert_eq!((call.method.as_str(), theirs.method.as_str()), ("tools/call", "GET"));
        assert_eq!(call.header("mcp-session-id"), theirs.header("mcp-session-id"));
        call.result(r#"{"content":[]}"#);
        theirs.stream()
    })
    .await;
    assert_eq!(answer.verdict(), "200");
    let listed = scene.upstream.seen_of("tools/list").len();
    theirs.notification(CHANGED, "{}").await;
    assert_eq!(stream.message().await["method"], CHANGED);
    client.warm_up().await;
    assert_eq!(scene.upstream.seen_of("tools/list").len(), listed + 1);
    // An answer there answers nothing.
    theirs.message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    theirs.notification("notifications/message", r#"{"level":"info","data":1e400}"#).await;
    let heard = stream.next().await.unwrap().data;
    assert!(heard.windows(5).any(|it| it == b"1e400"), "{heard:?}");
    // A new stream takes the place of the old one.
    let mut second = client.open(client.get()).await;
    assert_eq!(stream.next().await, None);
    assert_eq!(client.send(client.delete()).await.status, 200);
    assert_eq!(second.next().await, None);
    theirs.given_up().await;
}

#[tokio::test]
async fn a_stream_that_its_server_ends_is_opened_again() {
    let scene = Scene::of(Upstream::legacy().by_hand("GET").echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    let mut stream = client.open(client.get()).await;
    for data in ["one", "two"] {
        let theirs = scene.upstream.next().await;
        assert_eq!(theirs.method, "GET");
        let theirs = theirs.stream();
        let params = format!(r#"{{"level":"info","data":"{data}"}}"#);
        theirs.notification("notifications/message", &params).await;
        assert_eq!(stream.message().await["params"]["data"], data);
    }
    // But not where there is none.
    scene.upstream.next().await.refuse(405);
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    drop(stream);
    assert_eq!(client.send(client.delete()).await.status, 200);
    let seen = scene.upstream.seen();
    assert_eq!(seen.iter().filter(|it| it.verb == "GET").count(), 3);
}

#[tokio::test]
async fn a_legacy_subscription_to_a_resource_goes_to_the_server_and_back() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy(&scene.gateway).await;
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let post = client.request(method, r#""uri":"test://one""#);
        let (answer, ()) = join(client.send(post), async {
            let call = scene.upstream.next().await;
            assert_eq!(
                (call.method.as_str(), call.raw(&["params", "uri"]).as_str()),
                (method, "\"test://one\"")
            );
            call.result("{}");
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{method}");
    }
}
