//! What modern clients come back for: calls that are held, and tasks that are tended.

use serde_json::{Value, json};
use tests::upstream::Talk;
use tests::{Client, Upstream};

use crate::scene::Scene;

const CALL: &str = r#""name":"echo","arguments":{}"#;
const QUESTION: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}"#;
const KNOWS_TASKS: &str =
    r#"{"elicitation":{"form":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A call that its server holds, and the state to come back with.
pub(crate) async fn hold(scene: &Scene, client: &Client) -> (Talk, String) {
    let (answer, talk) = tokio::join!(client.send(client.request("tools/call", CALL)), async {
        let talk = scene.upstream.next().await.stream();
        talk.message(QUESTION).await;
        talk
    });
    let state = answer.json()["result"]["requestState"].as_str().map(str::to_owned);
    (talk, state.unwrap_or_else(|| panic!("no state: {}", answer.text())))
}

pub(crate) fn returning(state: &str) -> String {
    let given = r#""inputResponses":{"q1":{"action":"accept","content":{}}}"#;
    format!(r#"{CALL},{given},"requestState":{}"#, json!(state))
}

#[tokio::test]
async fn r2_answers_reach_the_replica_that_holds_their_call() {
    let Some(scene) = Scene::of(Upstream::legacy()).await else { return };
    let mut client = scene.modern(r#"{"elicitation":{}}"#);
    let (talk, state) = hold(&scene, &client).await;
    scene.at(&mut client, 1);
    let back = client.request("tools/call", &returning(&state));
    let (answer, ()) = tokio::join!(client.send(back), async {
        let given = scene.upstream.next().await;
        assert!(given.body.contains("accept"), "{}", given.body);
        given.accept();
        talk.result(r#"{"content":[],"n":1}"#).await;
    });
    assert_eq!(answer.json()["result"]["n"], 1, "{}", answer.text());
    assert_eq!(scene.passed_on(1).await, 1);
    assert!(scene.calls(1).is_empty());
}

#[tokio::test]
async fn r2_a_task_that_is_tended_is_asked_about_and_heard_of_anywhere() {
    let tool =
        r#"{"name":"long","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}"#;
    let plan = Upstream::legacy()
        .with_tools(&format!("[{tool}]"))
        .with_capabilities(r#"{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}"#);
    let Some(scene) = Scene::of(plan).await else { return };
    let mut client = scene.modern(KNOWS_TASKS);
    client.warm_up().await;
    let (answer, ()) = tokio::join!(client.send(client.tool("long", "{}")), async {
        let members = r#""taskId":"t1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000"#;
        scene.upstream.next().await.result(&format!(r#"{{"task":{{{members}}}}}"#));
    });
    let id = answer.json()["result"]["taskId"].as_str().unwrap().to_owned();
    let talk = scene.upstream.next().await.stream();
    scene.at(&mut client, 1);
    let filter = json!({"taskIds": [id]}).to_string();
    let listen = client.request("subscriptions/listen", &format!(r#""notifications":{filter}"#));
    let mut stream = client.open(listen).await;
    assert_eq!(stream.message().await["params"]["notifications"]["taskIds"], json!([id]));
    let about = |client: &Client, method: &str, more: &str| {
        client.request(method, &format!(r#""taskId":"{id}"{more}"#)).with("mcp-name", &id)
    };
    scene.at(&mut client, 2);
    let working = client.send(about(&client, "tasks/get", "")).await;
    assert_eq!(working.json()["result"]["status"], "working", "{}", working.text());
    talk.message(QUESTION).await;
    let heard = until(&mut stream, "input_required").await;
    let key = heard["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let given = json!({key: {"action": "accept", "content": {}}});
    let update = about(&client, "tasks/update", &format!(r#","inputResponses":{given}"#));
    let (updated, ()) = tokio::join!(client.send(update), async {
        let given = scene.upstream.next().await;
        assert!(given.body.contains("accept"), "{}", given.body);
        given.accept();
    });
    assert_eq!(updated.verdict(), "200", "{}", updated.text());
    talk.result(r#"{"content":[],"n":1}"#).await;
    assert_eq!(until(&mut stream, "completed").await["result"]["n"], 1);
    let done = client.send(about(&client, "tasks/get", "")).await;
    assert_eq!(done.json()["result"]["result"]["n"], 1, "{}", done.text());
    assert!(scene.passed_on(2).await >= 3);
}

/// What is told of a task once it is in this status.
async fn until(stream: &mut tests::Streamed, status: &str) -> Value {
    loop {
        let told = stream.message().await;
        if told["params"]["status"] == status {
            return told["params"].clone();
        }
    }
}
