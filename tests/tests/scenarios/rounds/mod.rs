//! Legacy clients whose modern servers ask back: the server ends a call with what it wants to know,
//! the client is asked on the stream of the call, and the server is called again.

mod asking;
mod ending;
mod hostile;
mod peers;

use futures::future::{join, join_all};
use serde_json::Value;
use tests::Streamed;
use tests::archive::Kept;
use tests::{Client, Documents, Plan, Post, Served, Site, Upstream};

/// One modern server on a gateway whose rules take out phone numbers, and let neither attacks nor
/// passwords pass.
struct World {
    server: Upstream,
    served: Served,
    site: Site,
    token: String,
}

const PATH: &str = "/mcp/default/main/files";
const NEWEST: &str = "2025-11-25";

/// Everything that can be asked of a client.
const ALL: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{}}"#;

/// A question to the user.
const FORM: &str = r#"{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
const ROOTS: &str = r#"{"method":"roots/list"}"#;
const DONE: &str = r#"{"resultType":"complete","content":[]}"#;

impl World {
    async fn on_each_database() -> Vec<Self> {
        let sites = Site::on_each(db::testing::postgres_url().await);
        join_all(sites.into_iter().map(|it| Self::at(it, Upstream::modern(), &[]))).await
    }

    async fn of(plan: Plan) -> Self {
        Self::at(Site::new(None), plan, &[]).await
    }

    /// With these words on the gateway's command line.
    async fn at(site: Site, plan: Plan, words: &[&str]) -> Self {
        let server = plan.start().await;
        let served = site.start_with_words(&documents(&server.url), words).await;
        let token = served.token("bot", "t").await;
        Self { server, served, site, token }
    }

    /// A client that has listed.
    async fn client(&self, revision: &'static str, capabilities: &str) -> Client {
        let place = (PATH, self.token.as_str());
        let client = Client::legacy_with_token(&self.served, place, revision, capabilities).await;
        client.warm_up().await;
        client
    }

    /// Sends a call that the server first answers with this: the stream of the call, and what has
    /// arrived at the server.
    async fn call(&self, client: &Client, post: Post, first: &str) -> (Streamed, String) {
        join(client.open(post), async {
            let call = self.server.next().await;
            let body = call.body.clone();
            call.result(first);
            body
        })
        .await
    }

    /// Answers a question that has been put to the client.
    async fn reply(&self, client: &Client, question: &Value, result: &str) {
        let taken = client.send(client.reply(&question["id"], result)).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }

    /// Stops the gateway; its log holds, and this is what it has recorded.
    async fn records(self) -> Vec<Kept> {
        let Self { served, site, server: _server, token: _ } = self;
        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{}: {words}", site.database());
        site.records()
    }
}

/// How those records have ended that belong to calls of this method, or to answers where it is
/// empty: each is one intent and one outcome.
fn ends(records: &[Kept], method: &str) -> Vec<String> {
    let intents = records.iter().filter(|it| it.kind == "intent");
    let calls = intents.filter(|it| it.text("method").unwrap_or_default() == method);
    calls
        .map(|intent| {
            let same = |it: &&Kept| it.kind == "outcome" && it.leaf["call"] == intent.leaf["call"];
            let outcomes: Vec<_> = records.iter().filter(same).collect();
            assert_eq!(outcomes.len(), 1, "{}", intent.leaf);
            outcomes[0].text("end").unwrap().to_owned()
        })
        .collect()
}

/// A result that asks these questions.
fn asking(entries: &[(&str, &str)], state: Option<&str>) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, entry)| format!(r#""{key}":{entry}"#)).collect();
    let state = state.map(|it| format!(r#","requestState":{it}"#)).unwrap_or_default();
    let asked = entries.join(",");
    format!(r#"{{"resultType":"input_required","inputRequests":{{{asked}}}{state}}}"#)
}

fn documents(server: &str) -> Documents {
    Documents::of("files", server).rules(&[
        r"name: phones, pattern: '\+49-\d{3}-\d{4}', action: { type: redact }",
        r"name: attacks, pattern: 'attack at \w+', action: { type: block, message: not over this line }",
        r"name: passwords, pattern: '(?i)password', action: { type: block, message: nobody asks for passwords here }",
    ])
}
