//! rmcp as a server of tasks, with the tools that the conformance suite's scenarios for them call;
//! prints `listening on http://localhost:PORT/mcp`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a server for tests")]

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities,
    ContentBlock, CreateTaskResult, ErrorData, GetTaskParams, GetTaskResult, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Clone, Default)]
struct Server {
    tasks: TaskManager,
}

const TOOLS: [&str; 7] = [
    "greet",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];

/// Tools that cannot be answered but with a task.
const ONLY_AS_TASKS: [&str; 3] = ["failing_job", "protocol_error_job", "test_tool_with_task"];

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tasks().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::new(json!({"type": "object"}).as_object().unwrap().clone());
        let tool = |name| Tool::new(name, "A tool of the suite.", Arc::clone(&schema));
        Ok(ListToolsResult::with_all_items(TOOLS.map(tool).to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let knows_tasks = context.client_capabilities().is_some_and(|it| it.supports_tasks());
        let name = request.name.clone();
        if ONLY_AS_TASKS.contains(&name.as_ref()) && !knows_tasks {
            let required = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(required));
        }
        let mut given = Value::Object(request.arguments.unwrap_or_default());
        let answered = json!(request.input_responses);
        given["user_name"] = answered["user_name"]["content"]["name"].clone();
        match name.as_ref() {
            "greet" => Ok(said(format!("Hello, {}!", word(&given["name"]))).into()),
            "slow_compute" if !knows_tasks || given["seconds"] == 0 => Ok(said("Computed.").into()),
            "test_tool_with_task" if answered["user_name"].is_null() => {
                let asked = json!({
                    "resultType": "input_required",
                    "inputRequests": {"user_name": question("What is your name?", "name")},
                });
                Ok(CallToolResponse::InputRequired(serde_json::from_value(asked).unwrap()))
            }
            _ if TOOLS.contains(&name.as_ref()) => {
                let options = TaskOptions::new().with_ttl_ms(60_000).with_poll_interval_ms(100);
                let task = self.tasks.spawn(options, |task| work(name, given, task));
                Ok(CallToolResponse::Task(CreateTaskResult::new(task)))
            }
            _ => Err(ErrorData::invalid_params("no such tool", None)),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }
}

/// What a task does, and what becomes of it.
fn work(tool: Cow<'static, str>, given: Value, task: TaskContext) -> TaskFuture {
    Box::pin(async move {
        let asked = |key: &'static str, text: &str, field: &str| {
            task.request_input(key, serde_json::from_value(question(text, field)).unwrap())
        };
        match tool.as_ref() {
            "slow_compute" => {
                let pause = Duration::from_secs_f64(given["seconds"].as_f64().unwrap_or_default());
                tokio::select! {
                    () = task.cancelled() => Err(TaskExit::Cancelled),
                    () = tokio::time::sleep(pause) => Ok(said("Computed.")),
                }
            }
            "confirm_delete" => {
                let answer = asked("confirm", "Delete it?", "confirm").await?;
                let is_agreed =
                    answer["action"] == "accept" && answer["content"]["confirm"] == true;
                Ok(said(if is_agreed { "Deleted it." } else { "Kept it." }))
            }
            "multi_input" => {
                let first = asked("first", "The first name?", "name");
                let second = asked("second", "The second name?", "name");
                let (first, second) = join(first, second).await;
                let names = [first?, second?].map(|it| word(&it["content"]["name"]).to_owned());
                Ok(said(format!("Received {}.", names.join(" and "))))
            }
            "failing_job" => Ok(CallToolResult::error(vec![ContentBlock::text("It failed.")])),
            "protocol_error_job" => Err(ErrorData::internal_error("It broke.", None).into()),
            _ => Ok(said(format!("Done for {}.", word(&given["user_name"])))),
        }
    })
}

fn question(message: &str, field: &str) -> Value {
    let kind = if field == "confirm" { "boolean" } else { "string" };
    let schema =
        json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    json!({"method": "elicitation/create", "params": params})
}

fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text.into())])
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("nobody")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let server = Server::default();
    let sessions = Arc::new(LocalSessionManager::default());
    let config = StreamableHttpServerConfig::default();
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    println!("listening on http://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.handle(request).await) }
        });
        // How a connection ends is its client's affair.
        connections.spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
        });
        while connections.try_join_next().is_some() {}
    }
}
