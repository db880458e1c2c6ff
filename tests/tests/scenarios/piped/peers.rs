//! Clients that others wrote, each on a pipe in every era that it speaks, in front of servers of every
//! era: they list, call, hear of progress and are asked something.

use rmcp::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorData, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RequestContext, RoleClient};
use rmcp::transport::TokioChildProcess;
use serde_json::json;
use tests::Gateway;
use tests::peers::{Peer, run_client};
use tests::serve::binary;
use tokio::process::Command;

use super::NEWEST;

const MODERN: &str = "2026-07-28";
const BOTH: &str = "a server of both eras";

/// The fixture, and it as a server of a single era, each with a gateway in front.
async fn gateways() -> (Vec<Peer>, Vec<(&'static str, Gateway)>) {
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let legacy = Peer::listening("era-lock", &[&fixture.url, "legacy"]).await;
    let modern = Peer::listening("era-lock", &[&fixture.url, "modern"]).await;
    let gateways = vec![
        (BOTH, Gateway::dev(&fixture.url).await),
        ("a server of 2025", Gateway::dev(&legacy.url).await),
        ("a server of 2026", Gateway::dev(&modern.url).await),
    ];
    (vec![fixture, legacy, modern], gateways)
}

#[tokio::test]
async fn the_typescript_sdk_works_on_a_pipe_in_each_of_its_modes() {
    works("node-client").await;
}

#[tokio::test]
async fn the_python_sdk_works_on_a_pipe_in_each_of_its_modes() {
    works("python-client").await;
}

async fn works(client: &str) {
    let (_peers, gateways) = gateways().await;
    for (server, gateway) in &gateways {
        let command = format!("stdio:{} bridge {}", binary().display(), gateway.url);
        for (mode, revision) in [("legacy", NEWEST), ("auto", MODERN), (MODERN, MODERN)] {
            let row = format!("{client} {mode}, {server}");
            let deeds =
                [("echo", r#"{"message":"hello"}"#), ("test_elicitation", r#"{"message":"?"}"#)];
            let mut words = vec![&*command, mode, "try"];
            words.extend(deeds.iter().flat_map(|(tool, arguments)| [*tool, *arguments]));
            let said = run_client(client, &words).await;
            assert_eq!(said["revision"], revision, "{row}: {said}");
            let texts: Vec<_> = said["result"]["results"]
                .as_array()
                .unwrap_or_else(|| panic!("{row}: {said}"))
                .iter()
                .map(|it| it["content"][0]["text"].as_str().unwrap_or_default())
                .collect();
            let begins = ["Echo: hello", "User response: action=accept"];
            assert_eq!(texts.len(), begins.len(), "{row}: {said}");
            for (text, begin) in texts.iter().zip(begins) {
                assert!(text.starts_with(begin), "{row}: {said}");
            }
            assert_eq!(said["asked"], json!(["elicitation/create"]), "{row}: {said}");
            if *server != BOTH {
                continue;
            }
            // One that has not listed can call all the same.
            let call = async |tool, arguments| {
                run_client(client, &[&command, mode, "call", tool, arguments]).await
            };
            let said = call("test_tool_with_progress", "{}").await;
            let heard = said["notifications"].as_array().unwrap();
            // The TypeScript SDK forgets whom to tell when the answer comes close behind.
            assert!(heard.contains(&json!("notifications/progress")), "{row}: {said}");
            let said = call("test_x_mcp_header", r#"{"region":" here"}"#).await;
            let text = said["result"]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(r#"" here""#), "{row}: {said}");
        }
    }
}

#[tokio::test]
async fn the_rust_sdk_works_on_a_pipe_in_each_of_its_modes() {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let modes = [
        (ClientLifecycleMode::Initialize, NEWEST),
        (ClientLifecycleMode::Discover { preferred_versions: preferred_versions.clone() }, MODERN),
        (ClientLifecycleMode::Auto { preferred_versions, legacy_version: None }, MODERN),
    ];
    let (_peers, gateways) = gateways().await;
    for (server, gateway) in &gateways {
        for (mode, revision) in &modes {
            let row = format!("{mode:?}, {server}");
            let mut command = Command::new(binary());
            command.arg("bridge").arg(&gateway.url);
            let transport = TokioChildProcess::new(command).unwrap();
            let client = Person.serve_with_lifecycle(transport, mode.clone()).await;
            let client = client.unwrap_or_else(|error| panic!("{row}: {error}"));
            let tools = client.list_all_tools().await.unwrap();
            assert!(tools.iter().any(|it| it.name == "echo"), "{row}: {tools:?}");
            for (tool, says) in
                [("echo", "Echo: hello"), ("test_elicitation", "User response: action=accept")]
            {
                let arguments = json!({"message": "hello"}).as_object().unwrap().clone();
                let call = CallToolRequestParams::new(tool).with_arguments(arguments);
                let result =
                    client.call_tool(call).await.unwrap_or_else(|error| panic!("{row}: {error}"));
                let result = serde_json::to_value(result).unwrap();
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                assert!(text.starts_with(says), "{row}: {result}");
                let intent = gateway.records().into_iter().rfind(|it| it.kind == "intent").unwrap();
                assert_eq!(intent.text("revision"), Some(*revision), "{row}");
            }
            client.cancel().await.unwrap();
        }
    }
}

/// Somebody who accepts everything.
struct Person;

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities: ClientCapabilities =
            serde_json::from_value(json!({"elicitation": {"form": {}}})).unwrap();
        ClientConfig::new(capabilities, Implementation::new("a test", "1"))
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({"username": "Ann", "email": "ann@example.com"});
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }
}
