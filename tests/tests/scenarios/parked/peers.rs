//! The reference server, which is a legacy one, and the official SDKs as modern clients: tools that
//! ask their clients something, over each transport.

#![expect(deprecated, reason = "sampling is, and yet servers ask for it")]

use futures::future::join;
use rmcp::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
    CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationAction, ErrorData,
    Implementation, ProtocolVersion, SamplingMessage,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RequestContext, RoleClient};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use tests::Gateway;
use tests::peers::{Peer, bin, run_client};

/// A tool of the server's, its arguments, what it asks, and what it says then.
const TOOLS: [(&str, &str, &str, &str); 2] = [
    (
        "trigger-elicitation-request",
        "{}",
        "elicitation/create",
        "User provided the requested information",
    ),
    (
        "trigger-sampling-request",
        r#"{"prompt":"say something"}"#,
        "sampling/createMessage",
        "sampled",
    ),
];

async fn servers() -> ([Peer; 2], [(&'static str, Gateway); 3]) {
    let (everything, sse) = join(Peer::everything(), Peer::everything_over_sse()).await;
    let over_http = Gateway::dev(&everything.url).await;
    let command = bin("server-everything");
    let on_a_pipe = Gateway::dev_command(&[command.as_os_str(), "stdio".as_ref()]).await;
    let over_sse = Gateway::dev(&sse.url).await;
    let gateways = [("over HTTP", over_http), ("on a pipe", on_a_pipe), ("over SSE", over_sse)];
    ([everything, sse], gateways)
}

#[tokio::test]
async fn the_python_sdk_is_asked_by_the_reference_server() {
    is_asked("python-client").await;
}

#[tokio::test]
async fn the_typescript_sdk_is_asked_by_the_reference_server() {
    is_asked("node-client").await;
}

async fn is_asked(client: &str) {
    let (_everything, gateways) = servers().await;
    for (way, gateway) in gateways {
        for (tool, arguments, asked, says) in TOOLS {
            let row = format!("{client}, {tool} {way}");
            let called = run_client(client, &[&gateway.url, "auto", "call", tool, arguments]).await;
            assert_eq!(called["revision"], "2026-07-28", "{row}: {called}");
            assert_eq!(called["asked"], json!([asked]), "{row}: {called}");
            let said = called["result"]["content"].to_string();
            assert!(said.contains(says), "{row}: {called}");
        }
        recorded(&gateway, way);
    }
}

#[tokio::test]
async fn the_rust_sdk_is_asked_by_the_reference_server() {
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let (_everything, gateways) = servers().await;
    for (way, gateway) in gateways {
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        };
        let transport = StreamableHttpClientTransport::from_uri(gateway.url.clone());
        let client = Person.serve_with_lifecycle(transport, mode).await.unwrap();
        for (tool, arguments, _, says) in TOOLS {
            let row = format!("{tool} {way}");
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            let call = CallToolRequestParams::new(tool)
                .with_arguments(arguments.as_object().unwrap().clone());
            let result = client.call_tool(call).await.unwrap_or_else(|it| panic!("{row}: {it}"));
            let said = serde_json::to_string(&result).unwrap();
            assert!(said.contains(says), "{row}: {said}");
        }
        client.cancel().await.unwrap();
        recorded(&gateway, way);
    }
}

/// Each call of a tool once, and in it what was asked and answered.
fn recorded(gateway: &Gateway, row: &str) {
    let records = gateway.records();
    let of = |method: &str| {
        let intents = records.iter().filter(|it| it.kind == "intent");
        intents.filter(|it| it.text("method") == Some(method)).collect::<Vec<_>>()
    };
    let calls = of("tools/call");
    assert_eq!(calls.len(), TOOLS.len(), "{row}");
    for (call, (_, _, asked, _)) in calls.into_iter().zip(TOOLS) {
        let ends = records.iter().filter(|it| it.kind == "outcome");
        let ends: Vec<_> = ends.filter(|it| it.text("call") == call.text("call")).collect();
        assert_eq!(ends.len(), 1, "{row}: {call:?}");
        assert_eq!(ends[0].end(), "answered", "{row}: {call:?}");
        let answers = of(asked);
        assert_eq!(answers.len(), 1, "{row}: {asked}");
        assert_eq!(answers[0].text("within"), call.text("call"), "{row}: {asked}");
    }
}

/// Somebody who answers everything.
struct Person;

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities: ClientCapabilities =
            serde_json::from_value(json!({"elicitation": {"form": {}}, "sampling": {}})).unwrap();
        ClientConfig::new(capabilities, Implementation::new("a test", "1"))
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({"name": "Ann"});
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let message = SamplingMessage::assistant_text("sampled");
        Ok(CreateMessageResult::new(message, "test".to_owned()))
    }
}
