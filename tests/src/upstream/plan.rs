//! How an upstream introduces itself, and what it does without being told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Arrived, Shared, Upstream};

/// A server before it is started.
#[derive(Clone)]
pub struct Plan {
    modern: bool,
    legacy: bool,
    sessions: bool,
    pub(super) over_sse: bool,
    pub(super) is_forgetful: bool,
    tools: String,
    prompts: String,
    resources: String,
    capabilities: String,
    by_hand: HashSet<String>,
    scripts: HashMap<String, Script>,
    /// What is done once, and whether it has been.
    first: HashMap<String, (Script, Arc<AtomicBool>)>,
}

type Script = Arc<dyn Fn(Arrived) -> BoxFuture<'static, ()> + Send + Sync>;

impl Upstream {
    /// A server of 2026-07-28 alone.
    pub fn modern() -> Plan {
        Plan::speaking(true, false)
    }

    /// A server of the revisions before, with sessions.
    pub fn legacy() -> Plan {
        Plan::speaking(false, true)
    }

    /// A server of both.
    pub fn of_both_eras() -> Plan {
        Plan::speaking(true, true)
    }
}

impl Plan {
    fn speaking(modern: bool, legacy: bool) -> Self {
        Self {
            modern,
            legacy,
            sessions: true,
            over_sse: false,
            is_forgetful: false,
            tools: r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#.to_owned(),
            prompts: r#"[{"name":"hello"}]"#.to_owned(),
            resources: r#"[{"uri":"test://one","name":"one"}]"#.to_owned(),
            capabilities: r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"logging":{},"completions":{}}"#.to_owned(),
            by_hand: HashSet::new(),
            scripts: HashMap::new(),
            first: HashMap::new(),
        }
    }

    /// Gives no session ids.
    #[must_use]
    pub fn without_sessions(mut self) -> Self {
        self.sessions = false;
        self
    }

    /// Speaks the transport of 2024-11-05: a stream at any `GET`, and messages for it elsewhere.
    #[must_use]
    pub fn over_sse(mut self) -> Self {
        self.over_sse = true;
        self.without_sessions()
    }

    /// Keeps no account of what arrives, for those who are called very often.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.is_forgetful = true;
        self
    }

    /// Its tools: a JSON array.
    #[must_use]
    pub fn with_tools(mut self, tools: &str) -> Self {
        tools.clone_into(&mut self.tools);
        self
    }

    /// What it says that it can do: a JSON object.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: &str) -> Self {
        capabilities.clone_into(&mut self.capabilities);
        self
    }

    /// What is done with each message of a method, and with each `GET` and `DELETE`.
    #[must_use]
    pub fn on<F>(
        mut self,
        method: &str,
        script: impl Fn(Arrived) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |arrived| Box::pin(script(arrived)));
        self.scripts.insert(method.to_owned(), script);
        self
    }

    /// What is done with the first message of a method.
    #[must_use]
    pub fn on_first<F>(
        mut self,
        method: &str,
        script: impl Fn(Arrived) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |arrived| Box::pin(script(arrived)));
        self.first.insert(method.to_owned(), (script, Arc::default()));
        self
    }

    /// Leaves a method to the test that the plan would answer, or `GET` or `DELETE`.
    #[must_use]
    pub fn by_hand(mut self, method: &str) -> Self {
        self.by_hand.insert(method.to_owned());
        self
    }

    /// Answers every tool call with its own arguments, as they are written.
    #[must_use]
    pub fn echoing(self) -> Self {
        self.on("tools/call", |call| async move {
            let arguments = call.raw(&["params", "arguments"]);
            let is_modern = call.body.contains("io.modelcontextprotocol/protocolVersion");
            let kind = if is_modern { r#""resultType":"complete","# } else { "" };
            call.result(&format!(r#"{{{kind}"content":[],"structuredContent":{arguments}}}"#));
        })
    }

    pub async fn start(self) -> Upstream {
        Upstream::start(self).await
    }
}

/// Does what the plan says, or hands the message to the test.
pub(super) async fn dispatch(shared: Arc<Shared>, mut arrived: Arrived) {
    let plan = &shared.plan;
    if shared.is_down.load(Ordering::Relaxed) {
        return arrived.refuse(503);
    }
    if plan.over_sse && arrived.method != "GET" {
        match shared.streams.of(&arrived.target) {
            Some(stream) => arrived.goes_onto(stream),
            None => return arrived.refuse(404),
        }
    }
    if let Some((script, done)) = plan.first.get(&arrived.method)
        && !done.swap(true, Ordering::Relaxed)
    {
        return script(arrived).await;
    }
    if let Some(script) = plan.scripts.get(&arrived.method) {
        return script(arrived).await;
    }
    if plan.by_hand.contains(&arrived.method) {
        return shared.arrivals.send(arrived).await.unwrap_or_default();
    }
    match arrived.method.as_str() {
        "server/discover" if plan.modern => arrived.result(&plan.discovered()),
        "initialize" if plan.legacy => initialize(&shared, arrived),
        "server/discover" | "initialize" => arrived.refuse(400),
        "notifications/initialized" => arrived.accept(),
        "logging/setLevel" => arrived.result("{}"),
        "tools/list" => arrived.result(&plan.listed("tools", &plan.tools)),
        "prompts/list" => arrived.result(&plan.listed("prompts", &plan.prompts)),
        "resources/list" => arrived.result(&plan.listed("resources", &plan.resources)),
        "resources/templates/list" => arrived.result(&plan.listed("resourceTemplates", "[]")),
        "GET" if plan.over_sse => shared.streams.open(arrived),
        "GET" => arrived.refuse(405),
        "DELETE" => arrived.accept(),
        _ => shared.arrivals.send(arrived).await.unwrap_or_default(),
    }
}

pub(super) fn is_acquaintance(method: &str) -> bool {
    matches!(method, "server/discover" | "initialize" | "notifications/initialized")
        || method.ends_with("/list")
}

fn initialize(shared: &Shared, arrived: Arrived) {
    let asked: Value = serde_json::from_str(&arrived.body).unwrap();
    let capabilities = &shared.plan.capabilities;
    let result = format!(
        r#"{{"protocolVersion":{},"capabilities":{capabilities},"serverInfo":{INFO}}}"#,
        asked["params"]["protocolVersion"]
    );
    let number = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let session = shared.plan.sessions.then(|| format!("session-{number}"));
    arrived.result_with_session(&result, session);
}

impl Plan {
    fn discovered(&self) -> String {
        let capabilities = &self.capabilities;
        format!(
            r#"{{{HINTS},"supportedVersions":["2026-07-28"],"capabilities":{capabilities},"_meta":{{"io.modelcontextprotocol/serverInfo":{INFO}}}}}"#
        )
    }

    fn listed(&self, member: &str, items: &str) -> String {
        let hints = if self.modern { format!("{HINTS},") } else { String::new() };
        format!(r#"{{{hints}{}:{items}}}"#, json!(member))
    }
}

const HINTS: &str = r#""resultType":"complete","ttlMs":60000,"cacheScope":"private""#;
const INFO: &str = r#"{"name":"a test's server","version":"1"}"#;
