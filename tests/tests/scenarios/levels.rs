//! From which severity on a server logs: the client says it in its own era's way, and the server
//! hears it in its own.

use tests::{Client, Era, Upstream};

use crate::scene::Scene;

const META: &str = "io.modelcontextprotocol/logLevel";

/// The levels that the server has been told by requests of their own.
fn told(scene: &Scene) -> Vec<String> {
    let told = scene.upstream.seen_of("logging/setLevel");
    told.iter().map(|it| it.raw(&["params", "level"])).collect()
}

#[tokio::test]
async fn a_legacy_server_is_told_before_the_first_call_that_wants_more() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let call = r#""name":"echo","arguments":{}"#;
    let steps = [
        ("", &[][..]),
        ("warning", &[r#""warning""#]),
        ("error", &[r#""warning""#]),
        ("debug", &[r#""warning""#, r#""debug""#]),
        ("warning", &[r#""warning""#, r#""debug""#]),
    ];
    for (level, expected) in steps {
        let meta = match level {
            "" => String::new(),
            level => format!(r#""{META}":"{level}""#),
        };
        scene.passes(&client, client.request_with_meta("tools/call", call, &meta), "{}").await;
        assert_eq!(told(&scene), expected, "{level}");
    }
    let calls = scene.upstream.calls();
    let before_it = calls.iter().take_while(|it| it.method != "logging/setLevel").count();
    assert_eq!(before_it, 1, "the one that wanted no logs");
}

#[tokio::test]
async fn a_legacy_server_that_takes_no_level_is_called_all_the_same() {
    for refusing in [true, false] {
        let plan = Upstream::legacy().echoing().on("logging/setLevel", move |it| async move {
            match refusing {
                true => it.error(-32601, "no such method"),
                false => it.refuse(500),
            }
        });
        let scene = Scene::of(plan).await;
        let client = Client::modern(&scene.gateway);
        client.warm_up().await;
        let meta = format!(r#""{META}":"info""#);
        for _ in 0..2 {
            let members = r#""name":"echo","arguments":{}"#;
            let post = client.request_with_meta("tools/call", members, &meta);
            scene.passes(&client, post, "{}").await;
        }
        assert_eq!(told(&scene).len(), 1, "it is not asked again and again");
    }
    let scene = Scene::of(Upstream::legacy().with_capabilities(r#"{"tools":{}}"#).echoing()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    let meta = format!(r#""{META}":"info""#);
    let post = client.request_with_meta("tools/call", r#""name":"echo","arguments":{}"#, &meta);
    scene.passes(&client, post, "{}").await;
    assert!(told(&scene).is_empty(), "it has never said that it logs");
}

#[tokio::test]
async fn a_modern_server_is_told_with_each_call_of_a_session_that_has_a_level() {
    let scene = Scene::of(Upstream::modern().echoing()).await;
    let client = Client::legacy(&scene.gateway).await;
    let level_of = |call: &tests::upstream::Seen| {
        serde_json::from_str::<serde_json::Value>(&call.raw(&["params", "_meta"])).unwrap()[META]
            .clone()
    };
    scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    for level in ["warning", "debug"] {
        let post = client.request("logging/setLevel", &format!(r#""level":"{level}""#));
        assert_eq!(client.send(post).await.verdict(), "200");
        scene.passes(&client, client.tool("echo", "{}"), "{}").await;
    }
    let levels: Vec<_> = scene.upstream.calls().iter().map(level_of).collect();
    assert_eq!(levels, [serde_json::Value::Null, "warning".into(), "debug".into()]);
}

#[tokio::test]
async fn a_session_with_a_server_that_begins_later_hears_the_level_too() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    let aggregated = "/mcp/dev/dev";
    let client = Client::legacy(&scene.gateway).await.at(aggregated).await;
    assert_eq!(client.era, Era::Legacy);
    client.warm_up().await;
    let post = client.request("logging/setLevel", r#""level":"notice""#);
    assert_eq!(client.send(post).await.verdict(), "200");
    assert!(told(&scene).is_empty(), "there is no session with the server yet");
    for _ in 0..2 {
        scene.passes(&client, client.tool("server__echo", "{}"), "{}").await;
    }
    assert_eq!(told(&scene), [r#""notice""#]);
    let post = client.request("logging/setLevel", r#""level":"alert""#);
    assert_eq!(client.send(post).await.verdict(), "200");
    scene.passes(&client, client.tool("server__echo", "{}"), "{}").await;
    assert_eq!(told(&scene), [r#""notice""#, r#""alert""#]);
}
