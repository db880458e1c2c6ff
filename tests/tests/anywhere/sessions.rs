//! Legacy sessions, whichever replica their clients come to.

use serde_json::json;
use tests::Upstream;

use crate::scene::{Scene, progress};

const ASKED: &str = r#"{"elicitation":{}}"#;
const QUESTION: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;

#[tokio::test]
async fn r2_any_replica_takes_any_request_of_a_session_and_its_owner_answers() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut client = scene.legacy("{}").await;
    for number in [1, 2, 0, 1] {
        scene.at(&mut client, number);
        client.warm_up().await;
        let answer = client.send(client.tool("echo", r#"{"n":1e400}"#)).await;
        assert_eq!(answer.verdict(), "200", "{number}: {}", answer.text());
        assert!(answer.text().contains("1e400"), "{number}: {}", answer.text());
    }
    assert_eq!(scene.calls(0).len(), 4);
    assert_eq!(scene.calls(1).len() + scene.calls(2).len(), 0);
    // What is at its owner goes nowhere.
    let mut passed_on = Vec::new();
    for number in 0..3 {
        passed_on.push(scene.passed_on(number).await);
    }
    assert_eq!(passed_on, [0, 4, 2]);
    // Nor does a server notice.
    assert_eq!(scene.upstream.seen_of("initialize").len(), 2, "the list's and the client's");
    scene.at(&mut client, 2);
    assert_eq!(client.send(client.delete()).await.status, 200);
    for number in 0..3 {
        scene.at(&mut client, number);
        let answer = client.send(client.request("ping", "")).await;
        assert_eq!((answer.status, answer.reason()), (404, Some("session_unknown".into())));
    }
    assert_eq!(scene.passed_on(0).await, 0);
}

#[tokio::test]
async fn r2_a_large_answer_comes_whole_from_another_replica() {
    let Some(scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.legacy("{}").await;
    scene.at(&mut client, 1);
    let text = "x".repeat(4 << 20);
    let result = json!({"content": [{"type": "text", "text": text}]}).to_string();
    let (answer, ()) = tokio::join!(client.send(client.tool("echo", "{}")), async {
        scene.upstream.next().await.result(&result);
    });
    assert_eq!(answer.json()["result"]["content"][0]["text"], json!(text));
}

#[tokio::test]
async fn r2_a_question_and_its_answer_find_each_other_over_three_replicas() {
    let Some(scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.legacy(ASKED).await;
    scene.at(&mut client, 1);
    let (mut answer, talk) = tokio::join!(client.open(client.tool("echo", "{}")), async {
        let talk = scene.upstream.next().await.stream();
        talk.message(QUESTION).await;
        talk
    });
    let asked = answer.message().await;
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    scene.at(&mut client, 2);
    let given = client.reply(&asked["id"], r#"{"action":"accept","content":{}}"#);
    let (taken, ()) = tokio::join!(client.send(given), async {
        let given = scene.upstream.next().await;
        assert!(given.body.contains("accept") && given.id() == "7", "{}", given.body);
        given.accept();
    });
    assert_eq!(taken.status, 202);
    talk.result(r#"{"content":[],"n":1}"#).await;
    assert_eq!(answer.message().await["result"]["n"], 1);
    assert_eq!(answer.next().await, None);
}

#[tokio::test]
async fn r2_a_call_is_cancelled_and_followed_from_elsewhere() {
    let Some(scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.legacy("{}").await;
    scene.at(&mut client, 1);
    let (answer, talk) = scene.streaming(&client).await;
    let seen = answer.last_id.clone().expect("an id to come back to");
    drop(answer);
    progress(&talk, 2).await;
    scene.at(&mut client, 2);
    let mut rest = client.open(client.get().with("last-event-id", &seen)).await;
    assert_eq!(rest.message().await["params"]["progress"], 2);
    talk.result(r#"{"content":[],"n":1}"#).await;
    assert_eq!(rest.message().await["result"]["n"], 1);
    assert_eq!(rest.next().await, None);
    let post = client.tool_with_progress("echo", "1");
    let id = post.id.clone();
    let (mut answer, talk) = tokio::join!(client.open(post), async {
        let talk = scene.upstream.next().await.stream();
        progress(&talk, 1).await;
        talk
    });
    assert_eq!(answer.message().await["params"]["progress"], 1);
    scene.at(&mut client, 1);
    let word = client.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
    let (taken, ()) = tokio::join!(client.send(word), async {
        let told = scene.upstream.next().await;
        assert_eq!(told.method, "notifications/cancelled", "{}", told.body);
        told.accept();
    });
    assert_eq!(taken.status, 202);
    talk.given_up().await;
    assert_eq!(answer.next().await, None);
}

#[tokio::test]
async fn r2_what_belongs_to_no_call_is_heard_from_any_replica() {
    let plan = Upstream::legacy().with_capabilities(r#"{"tools":{"listChanged":true}}"#);
    let Some(scene) = Scene::of(plan.by_hand("GET")).await else { return };
    let mut client = scene.legacy("{}").await;
    client.warm_up().await;
    scene.at(&mut client, 1);
    let mut stream = client.open(client.get()).await;
    assert!(stream.is_stream());
    let listed = client.open(client.tool("echo", "{}"));
    let (answer, ()) = tokio::join!(listed, async {
        loop {
            let arrived = scene.upstream.next().await;
            if arrived.method == "tools/call" {
                return arrived.result("{}");
            }
            let talk = arrived.stream();
            talk.notification("notifications/tools/list_changed", "{}").await;
            std::mem::forget(talk);
        }
    });
    answer.whole().await;
    assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn r2_messages_of_the_oldest_transport_reach_its_stream_from_anywhere() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut paired = scene.paired("{}").await;
    for number in [1, 2, 0] {
        scene.at(&mut paired.client, number);
        let answer = paired.ask(paired.client.tool("echo", r#"{"n":1}"#)).await;
        assert!(answer["result"].is_object(), "{number}: {answer}");
    }
    assert_eq!(scene.calls(0).len(), 3);
    assert_eq!(scene.passed_on(1).await, 1);
}

#[tokio::test]
async fn r2_a_batch_is_answered_from_anywhere() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut client = scene.legacy_of("2025-03-26", "{}").await;
    scene.at(&mut client, 1);
    let items = [client.request("ping", ""), client.tool("echo", "{}")];
    let bodies: Vec<_> = items.iter().map(|it| String::from_utf8_lossy(&it.body)).collect();
    let answer = client.send(client.post(format!("[{}]", bodies.join(",")))).await;
    assert_eq!(answer.json().as_array().map(Vec::len), Some(2), "{}", answer.text());
}
