//! Replicas that go away with what lives in them.

use std::time::Duration;

use tests::{Client, Documents, Site, Upstream, port};
use tokio::time::Instant;

use crate::held::{hold, returning};
use crate::scene::{CONFIGURATION, PATH, Scene};

#[tokio::test]
async fn r2_a_session_ends_with_its_owner_and_its_client_is_told_to_begin_anew() {
    let Some(mut scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut client = scene.legacy("{}").await;
    scene.at(&mut client, 1);
    let mut stream = client.open(client.get()).await;
    assert!(stream.is_stream());
    scene.served.remove(0).kill().await;
    assert_eq!(stream.next().await, None);
    for post in [client.request("ping", ""), client.get(), client.delete()] {
        let answer = client.send(post).await;
        assert_eq!((answer.status, answer.reason()), (404, Some("session_unknown".into())));
    }
    assert_eq!(client.begin_session().await.status, 200);
    let answer = client.send(client.tool("echo", "{}")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn r2_a_call_under_way_that_ends_with_its_replica_says_so() {
    let Some(mut scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.legacy("{}").await;
    client.warm_up().await;
    scene.at(&mut client, 1);
    let (mut streaming, _talk) = scene.streaming(&client).await;
    // And one of which nothing has come yet.
    let silent = client.send(client.tool("echo", "{}"));
    let (silent, ()) = tokio::join!(silent, async {
        let _held = scene.upstream.next().await;
        scene.served.remove(0).kill().await;
    });
    assert_eq!((silent.status, silent.reason()), (503, Some("interrupted".into())));
    let told = streaming.message().await;
    assert_eq!(told["error"]["data"]["reason"], "interrupted", "{told}");
    assert_eq!(told["error"]["data"]["mayHaveActed"], true, "{told}");
    assert_eq!(streaming.next().await, None);
}

#[tokio::test]
async fn r2_a_state_of_a_replica_that_has_gone_is_refused_as_after_a_restart() {
    let Some(mut scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.modern(r#"{"elicitation":{}}"#);
    let (_talk, state) = hold(&scene, &client).await;
    scene.served.remove(0).kill().await;
    client.move_to(scene.served[0].address);
    let answer = client.send(client.request("tools/call", &returning(&state))).await;
    assert_eq!(answer.code(), Some(-32602), "{}", answer.text());
    assert_eq!(answer.reason().as_deref(), Some("request_state"));
    assert_eq!(scene.upstream.calls().iter().filter(|it| it.method == "tools/call").count(), 1);
}

#[tokio::test]
async fn r2_a_replica_that_passes_on_ends_without_waiting_for_whoever_only_listens() {
    let Some(mut scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut client = scene.legacy("{}").await;
    scene.at(&mut client, 1);
    let mut stream = client.open(client.get()).await;
    assert!(stream.is_stream());
    let asked = Instant::now();
    assert!(scene.served.remove(1).stop().await.success());
    // It would wait half a minute for a call.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(stream.next().await, None);
    // The session has noticed nothing.
    scene.at(&mut client, 1);
    let answer = client.send(client.tool("echo", "{}")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn r2_who_follows_a_process_is_reached_where_that_was() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let upstream = Upstream::legacy().echoing().start().await;
    let (site, port) = (Site::new(Some(url)), port::free());
    let configuration = format!("replica_listen = '127.0.0.1:{port}'");
    let documents = Documents::of("target", &upstream.url);
    let mut first = site.start_configured(&documents, &configuration).await;
    let token = first.token("bot", "t").await;
    let file = site.home().join("configuration.toml");
    let second = site.follow(&["--config", file.to_str().unwrap()]).await.unwrap();
    assert!(first.ended().await.success());
    let beside = site.beside();
    let other = beside.start_configured("", CONFIGURATION).await;
    let mut client =
        Client::legacy_with_token(&second, (PATH, &token), tests::client::LEGACY, "{}").await;
    client.move_to(other.address);
    let answer = client.send(client.tool("echo", "{}")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    assert_eq!(other.metrics().await["ostiary_passed_on_total"], 1);
}
