//! Clients and a modern server that others wrote: the questions of one reach the other.
#![expect(deprecated, reason = "what is deprecated is still asked for")]

use rmcp::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ElicitationAction, ErrorData, ListRootsResult, Root,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RequestContext, RoleClient};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use tests::Gateway;
use tests::peers::{Peer, bin, run_client};

const ELICIT: &str = "elicitation/create";
const SAMPLE: &str = "sampling/createMessage";
const LIST_ROOTS: &str = "roots/list";

/// Tools of the server, what they are called with, what they ask for, and what they say then.
const TOOLS: [(&str, &str, &[&str], &str); 8] = [
    ("test_elicitation", r#"{"message":"?"}"#, &[ELICIT], "User response: action=accept"),
    ("test_sampling", r#"{"prompt":"?"}"#, &[SAMPLE], "LLM response: sampled"),
    ("test_input_required_result_list_roots", "{}", &[LIST_ROOTS], "Roots: file:///test/root"),
    ("test_streaming_elicitation", "{}", &[ELICIT], "Confirmed: true"),
    ("test_input_required_result_tampered_state", "{}", &[ELICIT], "state-ok, confirmed: true"),
    (
        "test_input_required_result_multiple_inputs",
        "{}",
        &[ELICIT, LIST_ROOTS, SAMPLE],
        "sampled filled in has 1 roots.",
    ),
    (
        "test_input_required_result_multi_round",
        "{}",
        &[ELICIT, ELICIT],
        "filled in likes filled in.",
    ),
    ("test_input_required_result_capabilities", "{}", &[ELICIT, SAMPLE], "Received what was"),
];

/// A server of the modern era alone, and a gateway in front of it.
async fn modern() -> ([Peer; 2], Gateway) {
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let modern = Peer::listening("era-lock", &[&fixture.url, "modern"]).await;
    let gateway = Gateway::dev(&modern.url).await;
    ([fixture, modern], gateway)
}

/// One call is one intent and one outcome, however often its server has been asked.
fn is_one_call(gateway: &Gateway, known: usize, row: &str) {
    let records = gateway.records_since(known);
    let calls = records.iter().filter(|it| {
        it.kind == "intent" && matches!(it.text("method"), Some("tools/call" | "prompts/get"))
    });
    assert_eq!(calls.count(), 1, "{row}: {records:?}");
    let answered = records.iter().filter(|it| it.end() == "answered");
    assert_eq!(answered.count(), 1, "{row}: {records:?}");
}

#[tokio::test]
async fn the_typescript_sdk_answers_a_modern_server_in_its_legacy_mode() {
    answers("node-client").await;
}

#[tokio::test]
async fn the_python_sdk_answers_a_modern_server_in_its_legacy_mode() {
    answers("python-client").await;
}

async fn answers(client: &str) {
    let (_peers, gateway) = modern().await;
    for (tool, arguments, expected, said) in TOOLS {
        let row = format!("{client} {tool}");
        let known = gateway.records().len();
        let called = run_client(client, &[&gateway.url, "legacy", "call", tool, arguments]).await;
        assert_eq!(called["revision"], "2025-11-25", "{row}: {called}");
        assert_eq!(sorted(&called["asked"]), expected, "{row}: {called}");
        let text = called["result"]["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{row}: {called}"));
        assert!(text.starts_with(said), "{row}: {called}");
        is_one_call(&gateway, known, &row);
    }
    let known = gateway.records().len();
    let prompt = "test_input_required_result_prompt";
    let asked = run_client(client, &[&gateway.url, "legacy", "prompt", prompt]).await;
    assert_eq!(asked["asked"], json!([ELICIT]), "{client}: {asked}");
    let text = asked["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert_eq!(text, "Use this context: filled in", "{client}: {asked}");
    is_one_call(&gateway, known, prompt);
}

#[tokio::test]
async fn a_child_process_asks_in_the_modern_way_as_well() {
    let program = bin("conformance-fixture");
    let words = ["--era", "modern", "--", program.to_str().unwrap(), "--stdio"];
    let gateway = Gateway::dev_with_environment(&words, &[]).await;
    for (tool, arguments, expected, said) in [TOOLS[0], TOOLS[3], TOOLS[5], TOOLS[6]] {
        let known = gateway.records().len();
        let call = [&*gateway.url, "legacy", "call", tool, arguments];
        let called = run_client("node-client", &call).await;
        assert_eq!(sorted(&called["asked"]), expected, "{tool}: {called}");
        let text = called["result"]["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{tool}: {called}"));
        assert!(text.starts_with(said), "{tool}: {called}");
        is_one_call(&gateway, known, tool);
    }
}

#[tokio::test]
async fn a_client_on_the_oldest_transport_is_asked_on_its_one_stream() {
    let (_peers, gateway) = modern().await;
    let url = gateway.url.replace("/mcp/", "/sse/");
    for client in ["node-client", "python-client"] {
        for (tool, arguments, expected, said) in [TOOLS[0], TOOLS[5], TOOLS[6]] {
            let row = format!("{client} {tool}");
            let known = gateway.records().len();
            let call = [&*url, "sse", "call", tool, arguments];
            let called = run_client(client, &call).await;
            assert_eq!(sorted(&called["asked"]), expected, "{row}: {called}");
            let text = called["result"]["content"][0]["text"].as_str();
            let text = text.unwrap_or_else(|| panic!("{row}: {called}"));
            assert!(text.starts_with(said), "{row}: {called}");
            is_one_call(&gateway, known, &row);
        }
    }
}

fn sorted(asked: &Value) -> Vec<&str> {
    let mut asked: Vec<_> =
        asked.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    asked.sort_unstable();
    asked
}

#[tokio::test]
async fn the_rust_sdk_answers_a_modern_server_in_its_legacy_mode() {
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let (_peers, gateway) = modern().await;
    let transport = StreamableHttpClientTransport::from_uri(gateway.url.clone());
    let client =
        Answering.serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await.unwrap();
    for (tool, arguments, _, said) in TOOLS {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let call = CallToolRequestParams::new(tool);
        let call = call.with_arguments(arguments.as_object().unwrap().clone());
        let result = client.call_tool(call).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
        let result = serde_json::to_value(result).unwrap();
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(said), "{tool}: {result}");
    }
    client.cancel().await.unwrap();
}

/// A client that answers everything.
#[derive(Clone)]
struct Answering;

impl ClientHandler for Answering {
    fn get_info(&self) -> ClientConfig {
        let config = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
            "clientInfo": {"name": "ostiary-test-rust", "version": "1.0.0"},
        });
        serde_json::from_value(config).unwrap()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let request = serde_json::to_value(request).unwrap();
        let fields = request["requestedSchema"]["properties"].as_object().unwrap();
        let filled = fields.iter().map(|(name, field)| {
            let value = if field["type"] == "boolean" { json!(true) } else { json!("filled in") };
            (name.clone(), value)
        });
        let content = Value::Object(filled.collect());
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let content = json!({"type": "text", "text": "sampled"});
        let result = json!({"role": "assistant", "content": content, "model": "test"});
        Ok(serde_json::from_value(result).unwrap())
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///test/root")]))
    }
}
