//! Where a server is set to it, the gateway waits for tasks on behalf of clients that know none.

mod answers;
mod ends;

use serde_json::{Value, json};
use tests::archive::Kept;
use tests::{Arrived, Client, Documents, Era, Plan, Post, Served, Site, Upstream};

use super::sites;

const PATH: &str = "/mcp/default/main/mail";
const NEWEST: &str = "2025-11-25";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Everything that can be asked of a client.
const ALL: &str = r#"{"elicitation":{"form":{}},"roots":{}}"#;
const FORM: &str = r#"{"method":"elicitation/create","params":{"mode":"form","message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
const ROOTS: &str = r#"{"method":"roots/list"}"#;
const BEGUN: &str =
    r#"{"resultType":"task","taskId":"t\u002f1","status":"working","pollIntervalMs":1}"#;
const DONE: &str = r#""status":"completed","result":{"content":[{"type":"text","text":"done"}],"structuredContent":{"n":1.0}}"#;

/// One server that is waited for.
struct World {
    server: Upstream,
    served: Served,
    site: Site,
    token: String,
}

/// One that can be listened to.
fn telling() -> Plan {
    let capabilities = r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    Upstream::modern().with_capabilities(capabilities)
}

fn plan() -> Plan {
    telling().on("subscriptions/listen", |asked| async move { asked.refuse(404) })
}

fn documents(server: &str, tasks: &str) -> String {
    let documents = Documents::of("mail", server);
    let documents =
        documents.rules(&[r"name: phones, pattern: '\+49-\d{3}', action: { type: redact }"]);
    documents.replacen("transport:", &format!("tasks: {tasks}\ntransport:"), 1)
}

impl World {
    async fn on_each_database() -> Vec<Self> {
        let mut worlds = Vec::new();
        for site in sites().await {
            worlds.push(Self::at(site, "wait", "").await);
        }
        worlds
    }

    async fn new() -> Self {
        Self::at(Site::new(None), "wait", "").await
    }

    async fn at(site: Site, tasks: &str, configuration: &str) -> Self {
        Self::with(plan(), site, tasks, configuration).await
    }

    async fn with(plan: Plan, site: Site, tasks: &str, configuration: &str) -> Self {
        let server = plan.start().await;
        let documents = documents(&server.url, tasks);
        let served = site.start_configured(&documents, configuration).await;
        let token = served.token("bot", "t").await;
        Self { server, served, site, token }
    }

    async fn client(&self, era: Era) -> Client {
        let client = match era {
            Era::Modern => {
                let mut client = Client::modern_with_token(&self.served, PATH, &self.token);
                ALL.clone_into(&mut client.capabilities);
                client
            }
            Era::Legacy => {
                let place = (PATH, self.token.as_str());
                Client::legacy_with_token(&self.served, place, NEWEST, ALL).await
            }
        };
        client.warm_up().await;
        client
    }

    /// The next message, which must be of this method and about the task.
    async fn about(&self, method: &str) -> Arrived {
        let arrived = self.server.next().await;
        assert_eq!(arrived.method, method, "{}", arrived.body);
        assert_eq!(arrived.raw(&["params", "taskId"]), r#""t/1""#, "{}", arrived.body);
        assert_eq!(arrived.header("mcp-name"), Some("t/1"), "header and body agree");
        assert_eq!(arrived.header("mcp-method"), Some(method));
        assert_eq!(declared(&arrived.json())["extensions"][TASKS], json!({}));
        arrived
    }

    /// Lets the server begin a task.
    async fn begin(&self) {
        let call = self.server.next().await;
        assert_eq!(call.method, "tools/call", "{}", call.body);
        assert_eq!(declared(&call.json())["extensions"][TASKS], json!({}), "{}", call.body);
        call.result(BEGUN);
    }

    /// Says of the task what these members say.
    async fn look(&self, members: &str) {
        let looked = self.about("tasks/get").await;
        looked.result(&format!(r#"{{"resultType":"complete","taskId":"t/1",{members}}}"#));
    }

    /// Stops the gateway; its log holds, and this is how its tool calls have ended.
    async fn ends(self) -> Vec<String> {
        let Self { served, site, server: _server, token: _ } = self;
        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{}: {words}", site.database());
        ends(&site.records())
    }
}

fn declared(message: &Value) -> Value {
    message["params"]["_meta"][CAPABILITIES].clone()
}

fn ends(records: &[Kept]) -> Vec<String> {
    let is_call = |it: &&Kept| it.kind == "intent" && it.text("method") == Some("tools/call");
    let end = |intent: &Kept| {
        let same = |it: &&Kept| it.kind == "outcome" && it.leaf["call"] == intent.leaf["call"];
        let outcomes: Vec<_> = records.iter().filter(same).collect();
        assert_eq!(outcomes.len(), 1, "{}", intent.leaf);
        outcomes[0].text("end").unwrap().to_owned()
    };
    records.iter().filter(is_call).map(end).collect()
}

fn asking(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, entry)| format!(r#""{key}":{entry}"#)).collect();
    format!(r#""status":"input_required","inputRequests":{{{}}}"#, entries.join(","))
}

/// A call of the same tool, with what its client comes back with.
fn again(client: &Client, state: &Value, answers: &str) -> Post {
    let members = format!(
        r#""name":"echo","arguments":{{}},"inputResponses":{answers},"requestState":{state}"#
    );
    client.request("tools/call", &members)
}
