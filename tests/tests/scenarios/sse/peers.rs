//! Servers and clients on the transport of 2024-11-05 that others wrote.

use serde_json::{Value, json};
use tests::Gateway;
use tests::peers::{Peer, bin, run_client};

/// The clients, in the modes that they have over Streamable HTTP, and the revision of each.
const MODES: [(&str, &str); 3] =
    [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")];

#[tokio::test]
async fn the_reference_server_over_sse_serves_the_sdks_in_each_of_their_modes() {
    let everything = Peer::everything_over_sse().await;
    let gateway = Gateway::dev(&everything.url).await;
    for client in ["python-client", "node-client"] {
        for (mode, revision) in MODES {
            let row = format!("{client} {mode}");
            is_used(client, (&gateway.url, mode), revision, &row).await;
        }
    }
}

#[tokio::test]
async fn the_python_sdk_over_sse_is_served_by_every_kind_of_server() {
    over_sse("python-client").await;
}

#[tokio::test]
async fn the_typescript_sdk_over_sse_is_served_by_every_kind_of_server() {
    over_sse("node-client").await;
}

async fn over_sse(client: &str) {
    let http = Peer::everything().await;
    let sse = Peer::everything_over_sse().await;
    let command = bin("server-everything");
    let servers = [
        ("http", Gateway::dev(&http.url).await),
        ("sse", Gateway::dev(&sse.url).await),
        ("stdio", Gateway::dev_command(&[command.as_os_str(), "stdio".as_ref()]).await),
    ];
    for (server, gateway) in servers {
        let url = gateway.url.replacen("/mcp/", "/sse/", 1);
        let row = format!("{client} over SSE, a server over {server}");
        let asked = is_used(client, (&url, "sse"), "2025-11-25", &row).await;
        if server == "sse" {
            // What this server asks each client that has any.
            assert!(asked.contains(&json!("roots/list")), "{row}: {asked:?}");
        }
    }
    // A question in the middle of a call reaches the client, and its answer the server.
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let gateway = Gateway::dev(&fixture.url).await;
    let url = gateway.url.replacen("/mcp/", "/sse/", 1);
    let call = [&*url, "sse", "call", "test_elicitation", r#"{"message":"?"}"#];
    let asked = run_client(client, &call).await;
    assert_eq!(asked["asked"], json!(["elicitation/create"]), "{client}: {asked}");
    assert!(asked["result"].is_object(), "{client}: {asked}");
}

/// Lists, calls, and has a long call report its progress; what the server asked meanwhile.
async fn is_used(client: &str, (url, mode): (&str, &str), revision: &str, row: &str) -> Vec<Value> {
    let listed = run_client(client, &[url, mode, "list"]).await;
    assert_eq!(listed["revision"], revision, "{row}: {listed}");
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{row}: {listed}"));
    let tools: Vec<String> =
        tools.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    assert!(tools.contains(&"echo".to_owned()), "{row}: {tools:?}");
    let called = run_client(client, &[url, mode, "call", "echo", r#"{"message":"hello"}"#]).await;
    assert_eq!(text(&called), "Echo: hello", "{row}: {called}");
    // Long enough for what a server asks a moment after it has been greeted.
    let long = r#"{"duration":1,"steps":2}"#;
    let call = [url, mode, "call", "trigger-long-running-operation", long];
    let called = run_client(client, &call).await;
    let heard = called["notifications"].as_array().unwrap();
    assert!(heard.contains(&json!("notifications/progress")), "{row}: {called}");
    assert!(text(&called).contains("completed"), "{row}: {called}");
    called["asked"].as_array().unwrap().clone()
}

fn text(called: &Value) -> &str {
    called["result"]["content"][0]["text"].as_str().unwrap_or_default()
}
