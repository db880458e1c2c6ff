//! Which era a server speaks is learned from what it says, and from nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::{Answer, Client, Era, Gateway, Upstream};

use crate::scene::Scene;

/// Sends until the answer is as wanted.
async fn until(client: &Client, what: &str, is_so: impl Fn(&Answer) -> bool) {
    let asking = async {
        loop {
            let post = match client.era {
                Era::Legacy if client.session.is_none() => client.initialize(),
                _ => client.request("tools/list", ""),
            };
            if is_so(&client.send(post).await) {
                return;
            }
        }
    };
    tests::wait::within(what, asking).await;
}

#[tokio::test]
async fn a_server_that_refuses_one_session_is_asked_for_another() {
    for status in [400, 404, 405, 429] {
        let plan = Upstream::legacy().on_first("initialize", move |it| async move {
            it.refuse(status);
        });
        let scene = Scene::of(plan.echoing()).await;
        let gateway = &scene.gateway;
        let stranger = Client::stranger(gateway, Era::Legacy, tests::client::LEGACY);
        assert_ne!(stranger.send(stranger.initialize()).await.verdict(), "200", "{status}");
        until(&stranger, "a session", |it| it.verdict() == "200").await;
        for client in scene.clients().await {
            scene.passes(&client, client.tool("echo", r#"{"n":1}"#), r#"{"n":1}"#).await;
        }
    }
}

#[tokio::test]
async fn an_error_that_is_not_about_the_era_is_told_as_it_is() {
    let plan = Upstream::of_both_eras()
        .on_first("initialize", |it| async move { it.error(-32000, "not today") });
    let scene = Scene::of(plan.echoing()).await;
    let stranger = Client::stranger(&scene.gateway, Era::Legacy, tests::client::LEGACY);
    let answer = stranger.send(stranger.initialize()).await;
    assert!(answer.text().contains("`initialize` failed: not today"), "{}", answer.text());
    assert!(scene.upstream.seen_of("server/discover").is_empty(), "nobody has doubted its era");
}

#[tokio::test]
async fn a_connection_that_breaks_says_nothing_of_the_era() {
    let plan = Upstream::modern().on_first("server/discover", |it| async move { drop(it) });
    let scene = Scene::of(plan.echoing()).await;
    let modern = Client::modern(&scene.gateway);
    let answer = modern.send(modern.request("tools/list", "")).await;
    assert_eq!(answer.code(), Some(1502), "{}", answer.text());
    assert!(scene.upstream.seen_of("initialize").is_empty(), "it is not taken for a legacy one");
    until(&modern, "a list", |it| it.verdict() == "200").await;
}

#[tokio::test]
async fn a_server_that_goes_back_to_the_legacy_era_is_followed() {
    let is_old = Arc::new(AtomicBool::new(false));
    let (old, older) = (Arc::clone(&is_old), Arc::clone(&is_old));
    let plan = Upstream::of_both_eras()
        .on("server/discover", move |it| {
            let is_old = old.load(Ordering::Relaxed);
            async move {
                match is_old {
                    true => it.refuse(400),
                    false => it.result(
                        r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
                    ),
                }
            }
        })
        .on("tools/list", move |it| {
            let is_old = older.load(Ordering::Relaxed);
            async move {
                match is_old && it.header("mcp-protocol-version") == Some("2026-07-28") {
                    true => it.respond(400, "application/json", r#"{"error":"no session"}"#),
                    false => it.result(
                        r#"{"resultType":"complete","ttlMs":1,"tools":[{"name":"echo","inputSchema":{}}]}"#,
                    ),
                }
            }
        });
    let scene = Scene::of(plan.echoing()).await;
    let modern = Client::modern(&scene.gateway);
    modern.warm_up().await;
    assert!(scene.upstream.seen_of("initialize").is_empty());
    is_old.store(true, Ordering::Relaxed);
    until(&modern, "a legacy session", |it| {
        assert_eq!(it.verdict(), "200", "{}", it.text());
        !scene.upstream.seen_of("initialize").is_empty()
    })
    .await;
    scene.passes(&modern, modern.tool("echo", r#"{"n":1}"#), r#"{"n":1}"#).await;
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_kept_up_to_a_limit() {
    let upstream = Upstream::of_both_eras().start().await;
    let gateway = Gateway::dev(&upstream.url).await;
    for (length, verdict) in [(15_000, "200"), (17_000, "200/-32602")] {
        let mut stranger = Client::stranger(&gateway, Era::Legacy, tests::client::LEGACY);
        stranger.capabilities =
            format!(r#"{{"experimental":{{"x":{{"y":"{}"}}}}}}"#, "z".repeat(length));
        let answer = stranger.send(stranger.initialize()).await;
        assert_eq!(answer.verdict(), verdict, "{length}: {}", answer.text());
    }
}
