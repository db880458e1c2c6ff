//! Clients that others wrote, in every era that they speak, in front of servers of every era. The
//! official SDKs for Python and TypeScript are in `scripts/matrix.sh`, which `make test` runs too.

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use tests::Gateway;
use tests::peers::{Peer, run_client};

#[tokio::test]
async fn the_rust_sdk_lists_and_calls_in_each_of_its_modes() {
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let modes = [
        (ClientLifecycleMode::Initialize, "2025-11-25"),
        (ClientLifecycleMode::Discover { preferred_versions: modern.clone() }, "2026-07-28"),
        (
            ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
            "2026-07-28",
        ),
    ];
    let servers = Servers::start().await;
    for (server, gateway) in servers.gateways().await {
        for (mode, revision) in &modes {
            let row = format!("{mode:?}, {server}");
            let transport = StreamableHttpClientTransport::from_uri(gateway.url.clone());
            let client = ().serve_with_lifecycle(transport, mode.clone()).await;
            let client = client.unwrap_or_else(|error| panic!("{row}: {error}"));
            let tools = client.list_all_tools().await.unwrap();
            assert!(tools.iter().any(|it| it.name == "echo"), "{row}: {tools:?}");
            let arguments = json!({"message": "hello"}).as_object().unwrap().clone();
            let call = CallToolRequestParams::new("echo").with_arguments(arguments);
            let result = client.call_tool(call).await.unwrap();
            let result = serde_json::to_value(result).unwrap();
            assert_eq!(result["content"][0]["text"], "Echo: hello", "{row}");
            let intent = gateway.records().into_iter().rfind(|it| it.kind == "intent").unwrap();
            assert_eq!(intent.text("revision"), Some(*revision), "{row}");
            client.cancel().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_inspector_lists_and_calls() {
    let servers = Servers::start().await;
    for (server, gateway) in servers.gateways().await {
        let args = ["--cli", &gateway.url, "--transport", "http", "--method"];
        let listed = run_client("inspector", &[&args[..], &["tools/list"]].concat()).await;
        assert!(names(&listed).contains(&"echo"), "{server}: {listed}");
        let call = ["tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"];
        let called = run_client("inspector", &[&args[..], &call].concat()).await;
        assert_eq!(called["content"][0]["text"], "Echo: hello", "{server}: {called}");
    }
}

fn names(listed: &Value) -> Vec<&str> {
    let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|it| it["name"].as_str().unwrap()).collect()
}

/// The fixture, and it as a server of a single era.
struct Servers([(&'static str, Peer); 3]);

impl Servers {
    async fn start() -> Self {
        let fixture = Peer::listening("conformance-fixture", &[]).await;
        let legacy = Peer::listening("era-lock", &[&fixture.url, "legacy"]).await;
        let modern = Peer::listening("era-lock", &[&fixture.url, "modern"]).await;
        Self([
            ("a server of both eras", fixture),
            ("a server of 2025", legacy),
            ("a server of 2026", modern),
        ])
    }

    async fn gateways(&self) -> Vec<(&'static str, Gateway)> {
        let mut gateways = Vec::new();
        for (name, server) in &self.0 {
            gateways.push((*name, Gateway::dev(&server.url).await));
        }
        gateways
    }
}
