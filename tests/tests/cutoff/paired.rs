//! What is under way over the transport of 2024-11-05, on both sides, when something is turned off.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::client::LEGACY;
use tests::wait::within;
use tests::{Client, Era, Paired, Upstream};
use tokio::time::Instant;

use crate::scene::Scene;
use crate::streams::SOON;
use crate::{SWITCHES, Switch, cut};

#[tokio::test]
async fn r3b_calls_over_sse_end_and_so_do_streams_that_may_not_go_on() {
    for scene in Scene::on_each_database(|| Upstream::legacy().over_sse()).await {
        for can in ["{}", r#"{"elicitation":{}}"#] {
            for switch in SWITCHES {
                let row = format!("{switch:?} {can}");
                let mut client = paired(&scene, can).await;
                client.take(client.client.tool_with_progress("target__echo", "7")).await;
                let call = scene.upstream.next().await;
                let own = call.stream_of_answer();
                let token = call.raw(&["params", "_meta", "progressToken"]);
                let late = format!(r#"{{"progressToken":{token},"progress":1,"message":"late"}}"#);
                let known = scene.upstream.seen().len();
                switch.off(&scene.served).await;
                let off = Instant::now();
                call.given_up().await;
                own.notification("notifications/progress", &late).await;
                if goes_on(switch) {
                    let told = client.answer().await;
                    let told = told.to_string();
                    assert!(told.contains("error") || told.contains("isError"), "{row}: {told}");
                    assert!(!told.contains("late"), "{row}: {told}");
                } else {
                    // At most it is told why.
                    let mut words = Vec::new();
                    while let Some(word) = client.stream.next().await {
                        words.push(String::from_utf8(word.data.to_vec()).unwrap());
                    }
                    words.retain(|it| !it.contains("/list_changed"));
                    let is_why = |it: &String| it.contains("error") && !it.contains("late");
                    assert!(words.len() <= 1 && words.iter().all(is_why), "{row}: {words:?}");
                    // Its session is over, and with it the one that it had with the server.
                    own.given_up().await;
                }
                assert!(off.elapsed() < SOON, "{row}: {:?}", off.elapsed());
                if matches!(switch, Switch::Cutoff("server" | "identity", _)) {
                    own.given_up().await;
                }
                assert_eq!(scene.upstream.seen().len(), known, "{row}: nothing more is sent");
                switch.on(&scene.served, &scene.caller).await;
            }
        }
    }
}

#[tokio::test]
async fn r3b_half_an_answer_over_sse_is_never_a_whole_one() {
    for scene in Scene::on_each_database(|| Upstream::legacy().over_sse()).await {
        let mut client = paired(&scene, "{}").await;
        let post = client.client.tool("target__echo", "{}");
        let id = post.id.clone();
        client.take(post).await;
        // More than fits between us and a client that does not read.
        let text = "x".repeat(32 << 20);
        let result = json!({"content": [{"type": "text", "text": text}]}).to_string();
        scene.upstream.next().await.result(&result);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let answered = async {
            loop {
                ticks.tick().await;
                let page = scene.served.must(Method::GET, "records?limit=1", None).await;
                if page["items"][0]["record"]["end"] == "answered" {
                    return;
                }
            }
        };
        within("the answer's record", answered).await;
        cut(&scene.served, "server", "target", None).await;
        let mut events = Vec::new();
        while events
            .last()
            .is_none_or(|it: &tests::client::Event| it.name.as_deref() != Some("message"))
        {
            let event = client.stream.next().await.expect("a word about it");
            // That tools are not there any more is news of its own.
            if !event.data.ends_with(b"/list_changed\"}") {
                events.push(event);
            }
        }
        let word: serde_json::Value = serde_json::from_slice(&events.pop().unwrap().data).unwrap();
        assert_eq!(word["id"].to_string(), id, "{word}");
        assert!(word["error"]["code"] == 1403 || word["result"]["isError"] == true, "{word}");
        for event in events {
            assert_eq!(event.name.as_deref(), Some("withdrawn"));
            assert!(event.data.len() < result.len());
        }
        // The stream itself goes on.
        let pinged = client.ask(client.client.request("ping", "")).await;
        assert_eq!(pinged["result"], json!({}));
    }
}

async fn paired(scene: &Scene, can: &str) -> Paired {
    let token = scene.caller.token.lock().unwrap().clone();
    let client = Client::modern_with_token(&scene.served, &scene.caller.path, &token);
    let mut client = client.in_era(Era::Legacy, LEGACY);
    can.clone_into(&mut client.capabilities);
    Paired::greet(&client).await
}

/// At the gateway there are other servers and tools, as long as it may be used.
fn goes_on(switch: Switch) -> bool {
    let of_one = ["server", "identity", "assignment", "tool"];
    match switch {
        Switch::Cutoff(kind, _) => of_one.contains(&kind),
        other => matches!(other, Switch::Narrowing | Switch::Choice),
    }
}
