//! What is kept for a legacy client that has lost its stream, when something is turned off.

use serde_json::Value;
use tests::upstream::Talk;
use tests::wait::within;
use tests::{Client, Streamed, Upstream};
use tokio::sync::mpsc;

use crate::scene::Scene;
use crate::{SWITCHES, Switch};

const PROGRESS: &str = "notifications/progress";

/// A client that has heard the beginning of an answer.
struct Call {
    client: Client,
    answer: Streamed,
    talk: Talk,
}

impl Call {
    async fn of(scene: &Scene) -> Self {
        let client = client(scene).await;
        let post = client.tool_with_progress("target__echo", "7");
        let (mut answer, talk) = futures::future::join(client.open(post), async {
            let talk = scene.upstream.next().await.stream();
            talk.notification(PROGRESS, r#"{"progressToken":7,"progress":1}"#).await;
            talk
        })
        .await;
        assert_eq!(answer.message().await["method"], PROGRESS);
        Self { client, answer, talk }
    }

    /// The client goes away; where it would come back to.
    fn leave(self) -> (Client, Talk, String) {
        let id = self.answer.last_id.clone().expect("an id to come back to");
        (self.client, self.talk, id)
    }
}

async fn client(scene: &Scene) -> Client {
    let token = scene.caller.token.lock().unwrap().clone();
    let place = (&*scene.caller.path, &*token);
    Client::legacy_with_token(&scene.served, place, tests::client::LEGACY, "{}").await
}

/// Its records, newest first.
async fn ends(scene: &Scene) -> Vec<String> {
    let page = scene.served.must(http::Method::GET, "records?limit=20", None).await;
    let items = page["items"].as_array().unwrap().iter();
    items.filter_map(|it| it["record"]["end"].as_str().map(str::to_owned)).collect()
}

async fn until_recorded(scene: &Scene, end: &str) {
    let looking = async { while !ends(scene).await.iter().any(|it| it == end) {} };
    within(end, looking).await;
}

/// What a client gets that comes back, all of it.
async fn rest(client: &Client, id: &str) -> (u16, String) {
    let answer = client.send(client.get().with("last-event-id", id)).await;
    let all: Vec<_> =
        answer.messages.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    (answer.status, all.join("\n"))
}

#[tokio::test]
async fn h064_h065_what_was_kept_before_something_was_turned_off_is_not_handed_out() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        for switch in SWITCHES {
            let (client, talk, id) = Call::of(&scene).await.leave();
            talk.result(r#"{"content":[],"n":"kept"}"#).await;
            until_recorded(&scene, "answered").await;
            let (status, text) = rest(&client, &id).await;
            assert!(status == 200 && text.contains("kept"), "{switch:?}: {status} {text}");
            switch.off(&scene.served).await;
            let (status, text) = rest(&client, &id).await;
            assert!(400 <= status && !text.contains("kept"), "{switch:?}: {status} {text}");
            switch.on(&scene.served, &scene.caller).await;
            // What has been ended stays so, under a new token, too.
            let token = scene.caller.token.lock().unwrap().clone();
            let again = client.get().with("last-event-id", &id);
            let again = again.with("authorization", format!("Bearer {token}"));
            let answer = client.send(again).await;
            let all = answer.messages.concat();
            let is_told = all.windows(4).any(|it| it == b"kept");
            assert!(!is_told, "{switch:?}: {}", String::from_utf8_lossy(&all));
        }
    }
}

#[tokio::test]
async fn r3b_a_call_whose_client_is_away_ends_and_nothing_of_it_is_handed_out() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        for switch in SWITCHES {
            let (client, talk, id) = Call::of(&scene).await.leave();
            talk.notification(PROGRESS, r#"{"progressToken":7,"message":"kept"}"#).await;
            let known = scene.upstream.seen().len();
            switch.off(&scene.served).await;
            talk.result(r#"{"content":[],"n":"kept"}"#).await;
            talk.given_up().await;
            let seen = scene.upstream.seen().split_off(known);
            assert!(seen.is_empty(), "{switch:?}: {seen:?}");
            switch.on(&scene.served, &scene.caller).await;
            let (_, text) = rest(&client, &id).await;
            assert!(!text.contains("kept"), "{switch:?}: {text}");
        }
    }
}

#[tokio::test]
async fn r3b_a_client_that_has_come_back_is_cut_off_by_the_token_that_it_came_with() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let first = scene.caller.token.lock().unwrap().clone();
        let (client, talk, id) = Call::of(&scene).await.leave();
        let second = scene.served.token("bot", "second").await;
        let again = client.get().with("last-event-id", &id);
        let again = again.with("authorization", format!("Bearer {second}"));
        let mut stream = client.open(again).await;
        talk.notification(PROGRESS, r#"{"progressToken":7,"progress":2}"#).await;
        assert_eq!(stream.message().await["params"]["progress"], 2);
        scene.served.must(http::Method::DELETE, "apps/bot/tokens/second", None).await;
        assert_eq!(stream.next().await, None);
        // The call is another token's, whose bearer can come back.
        talk.result(r#"{"content":[],"n":"for the first"}"#).await;
        until_recorded(&scene, "answered").await;
        assert_eq!(*scene.caller.token.lock().unwrap(), first);
        assert!(rest(&client, &id).await.1.contains("for the first"));
    }
}

#[tokio::test]
async fn r3b_what_waits_for_the_next_stream_is_not_handed_out_after_its_server_was_cut_off() {
    let (sender, mut opened) = mpsc::channel(16);
    let plan = move || {
        let sender = sender.clone();
        Upstream::legacy().echoing().on("GET", move |get| {
            let sender = sender.clone();
            async move { drop(sender.send(get.stream()).await) }
        })
    };
    for scene in Scene::on_each_database(plan).await {
        for switch in [Switch::Cutoff("server", "target"), Switch::Cutoff("identity", "credential")]
        {
            let client = client(&scene).await;
            let called = client.send(client.tool("target__echo", "{}")).await;
            assert_eq!(called.verdict(), "200", "{}", called.text());
            let stream = client.open(client.get()).await;
            let talk: Talk = within("the server's own stream", opened.recv()).await.unwrap();
            drop(stream);
            let say = r#"{"level":"info","data":"kept"}"#;
            talk.notification("notifications/message", say).await;
            talk.notification("notifications/tools/list_changed", "{}").await;
            let listed = scene.upstream.seen_of("tools/list").len();
            let heard = async {
                while scene.upstream.seen_of("tools/list").len() == listed {
                    client.warm_up().await;
                }
            };
            within("what the server says", heard).await;
            switch.off(&scene.served).await;
            let mut stream = client.open(client.get()).await;
            switch.on(&scene.served, &scene.caller).await;
            // The session ends, and its stream: nothing has been on it.
            assert_eq!(client.send(client.delete()).await.status, 200, "{switch:?}");
            while let Some(event) = stream.next().await {
                let message: Value = serde_json::from_slice(&event.data).unwrap();
                assert_ne!(message["params"]["data"], "kept", "{switch:?}");
            }
        }
    }
}
