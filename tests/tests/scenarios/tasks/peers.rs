//! Clients and servers that others wrote, on either side of a task.

use serde_json::{Value, json};
use tests::peers::{Peer, run_client};
use tests::{Client, Gateway};

use super::about;

const FOLLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node/follow.mjs");

#[tokio::test]
async fn the_sdk_of_2025_follows_tasks_of_a_modern_server() {
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let modern = Peer::listening("era-lock", &[&fixture.url, "modern"]).await;
    let gateway = Gateway::dev(&modern.url).await;
    for (tool, arguments, last, text) in [
        ("slow_compute", r#"{"seconds":1}"#, "completed", "Computed something in 1 s."),
        ("greet", r#"{"name":"Ann"}"#, "completed", "Hello, Ann!"),
        ("confirm_delete", r#"{"filename":"a"}"#, "completed", "Deleted a."),
        ("protocol_error_job", "{}", "failed", ""),
    ] {
        let told = run_client("node", &[FOLLOW, &gateway.url, tool, arguments]).await;
        assert_eq!(told["all"], json!([last]), "{tool}: {told}");
        assert_eq!(told["result"].is_object(), last == "completed", "{tool}: {told}");
        if last == "completed" {
            assert_eq!(told["result"]["content"][0]["text"], text, "{tool}: {told}");
        }
        let asked = if tool == "confirm_delete" { json!(["Delete a?"]) } else { json!([]) };
        assert_eq!(told["asked"], asked, "{tool}: {told}");
    }
}

#[tokio::test]
async fn a_modern_client_has_the_task_of_the_reference_server() {
    let everything = Peer::everything().await;
    let gateway = Gateway::dev(&everything.url).await;
    let mut client = Client::modern(&gateway);
    r#"{"elicitation":{"form":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
        .clone_into(&mut client.capabilities);
    client.warm_up().await;
    let arguments = r#"{"topic":"python","ambiguous":true}"#;
    let begun = client.send(client.tool("simulate-research-query", arguments)).await;
    assert_eq!(begun.json()["result"]["resultType"], "task", "{}", begun.text());
    let id = begun.json()["result"]["taskId"].as_str().unwrap().to_owned();
    let task = once(&client, &id, "input_required").await;
    let asked = &task["inputRequests"]["q1"];
    assert_eq!(asked["method"], "elicitation/create", "{task}");
    let answers = r#"{"q1":{"action":"accept","content":{"interpretation":"technical"}}}"#;
    let members = format!(r#""taskId":"{id}","inputResponses":{answers}"#);
    let update = client.request("tasks/update", &members).with("mcp-name", &id);
    assert_eq!(client.send(update).await.verdict(), "200");
    let task = once(&client, &id, "completed").await;
    let text = task["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("python (technical)"), "{task}");
}

/// What is said of a task once it is in this status, however long its server takes for that.
async fn once(client: &Client, id: &str, status: &str) -> Value {
    let members = format!(r#""notifications":{{"taskIds":["{id}"]}}"#);
    let mut stream = client.open(client.request("subscriptions/listen", &members)).await;
    loop {
        let answer = client.send(about(client, "tasks/get", id)).await;
        let task = answer.json()["result"].clone();
        if task["status"] == status {
            return task;
        }
        assert!(task["status"] != "failed", "{task}");
        stream.message().await;
    }
}
