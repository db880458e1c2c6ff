//! rmcp as a client that lists and then calls one tool; prints one line of JSON.
//!
//!     rmcp_client SERVER legacy|auto|modern TOOL JSON
//!
//! SERVER is an MCP URL, or `stdio:COMMAND ARG...`.
//! The line has `result` with `tools`, their names, and `results`, what the call gave; or `error`.
#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use std::error::Error;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let line = match list_and_call(&words).await {
        Ok(result) => json!({"result": result}),
        Err(error) => json!({"error": error.to_string()}),
    };
    println!("{line}");
}

async fn list_and_call(words: &[String]) -> Result<Value, Box<dyn Error>> {
    let [server, mode, tool, arguments] = words else {
        return Err("use: rmcp_client SERVER legacy|auto|modern TOOL JSON".into());
    };
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let mode = match mode.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        "auto" => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        _ => ClientLifecycleMode::Discover { preferred_versions },
    };
    let client = match server.strip_prefix("stdio:") {
        Some(line) => {
            let mut words = line.split(' ');
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words);
            ().serve_with_lifecycle(TokioChildProcess::new(command)?, mode).await?
        }
        None => {
            let transport = StreamableHttpClientTransport::from_uri(server.clone());
            ().serve_with_lifecycle(transport, mode).await?
        }
    };
    let tools = client.list_all_tools().await?;
    let names: Vec<&str> = tools.iter().map(|it| it.name.as_ref()).collect();
    let arguments = serde_json::from_str(arguments)?;
    let call = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
    let called = client.call_tool(call).await?;
    let result = json!({"tools": names, "results": [serde_json::to_value(called)?]});
    client.cancel().await?;
    Ok(result)
}
