//! Modern clients in front of legacy servers that ask them something in the middle of a call.

mod ends;
mod folders;
mod over_sse;
mod peers;
mod rounds;
mod states;

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tests::upstream::Talk;
use tests::{Answer, Arrived, Client, Documents, Plan, Post, Served, Site, Upstream};

/// A gateway with a server that the test plays, and two apps of two people on two gateways.
struct Scene {
    upstream: Upstream,
    served: Served,
    site: Site,
    token: String,
}

const PATH: &str = "/mcp/default/main/target";

/// What a client can be asked.
const FORMS: &str = r#"{"elicitation":{}}"#;
const ALL: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;

/// Params of a form.
const FORM: &str = r#"{"message":"How many?","requestedSchema":{"type":"object","properties":{"n":{"type":"number"}}}}"#;

impl Scene {
    async fn on_each_database(plan: impl Fn() -> Plan) -> Vec<Self> {
        let sites = Site::on_each(db::testing::postgres_url().await);
        join_all(sites.into_iter().map(|it| Self::at(it, plan(), ""))).await
    }

    async fn legacy() -> Self {
        Self::at(Site::new(None), Upstream::legacy(), "").await
    }

    async fn at(site: Site, plan: Plan, configuration: &str) -> Self {
        let upstream = plan.start().await;
        let served = site.start_configured(&documents(&upstream.url), configuration).await;
        let token = served.token("bot", "t").await;
        Self { upstream, served, site, token }
    }

    /// A client that can be asked so much.
    fn client(&self, capabilities: &str) -> Client {
        self.client_at(PATH, &self.token, capabilities)
    }

    fn client_at(&self, path: &str, token: &str, capabilities: &str) -> Client {
        let mut client = Client::modern_with_token(&self.served, path, token);
        client.capabilities = capabilities.to_owned();
        client
    }

    /// What a call leads to, until its server has asked this: the server's stream, and what the
    /// client got.
    async fn parked(&self, client: &Client, post: Post, asked: &[String]) -> (Talk, Answer) {
        let (answer, talk) = join(client.send(post), async {
            let talk = self.call().await.stream();
            for question in asked {
                talk.message(question).await;
            }
            talk
        })
        .await;
        (talk, answer)
    }

    /// One form, asked in a call of `echo`: the server's stream, and the state.
    async fn parked_with_form(&self, client: &Client) -> (Talk, String) {
        let post = client.tool("echo", ARGUMENTS);
        let (talk, answer) = self.parked(client, post, &[question("7", FORM)]).await;
        (talk, state(&answer))
    }

    /// The next message at the server, which must be a call.
    async fn call(&self) -> Arrived {
        let call = self.upstream.next().await;
        assert_eq!(call.method, "tools/call", "{}", call.body);
        call
    }

    /// The next message at the server, which must be an answer to a question.
    async fn answer(&self) -> Arrived {
        let answer = self.upstream.next().await;
        assert_eq!(answer.method, "", "{}", answer.body);
        answer
    }

    /// A retry that is refused, with nothing at the server.
    async fn refuses(&self, row: &str, client: &Client, post: Post) {
        let known = self.upstream.seen().len();
        let answer = client.send(post).await;
        assert_eq!(answer.verdict(), "200/-32602", "{row}: {}", answer.text());
        assert_eq!(answer.reason().as_deref(), Some("request_state"), "{row}: {}", answer.text());
        let mut seen = self.upstream.seen().split_off(known);
        // Its session may be ended.
        seen.retain(|it| it.verb == "POST");
        assert!(seen.is_empty(), "{row}: reached the server: {seen:?}");
    }

    /// Ends the gateway; what it has recorded, which a verifier believes.
    async fn records(self) -> Vec<tests::archive::Kept> {
        assert!(self.served.stop().await.success());
        let (code, words) = self.site.verify().await;
        assert_eq!(code, Some(0), "{words}");
        assert!(!self.site.words().contains("panicked"), "{}", self.site.words());
        self.site.records()
    }
}

const ARGUMENTS: &str = r#"{"a":1.0}"#;

/// A retry of a call of `echo`.
fn retry(client: &Client, state: &str, responses: &str) -> Post {
    retry_of(
        client,
        "tools/call",
        &format!(r#""name":"echo","arguments":{ARGUMENTS}"#),
        (state, responses),
    )
}

fn retry_of(
    client: &Client,
    method: &str,
    members: &str,
    (state, responses): (&str, &str),
) -> Post {
    let state = json!(state);
    let members = format!(r#"{members},"inputResponses":{responses},"requestState":{state}"#);
    client.request(method, &members)
}

/// An elicitation of the server's, under its own id.
fn question(id: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#)
}

fn sampling(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"sampling/createMessage","params":{{"messages":[],"maxTokens":5}}}}"#
    )
}

/// The state of an answer that asks something.
fn state(answer: &Answer) -> String {
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", answer.text());
    result["requestState"].as_str().unwrap().to_owned()
}

/// What an answer asks.
fn asks(answer: &Answer) -> Value {
    answer.json()["result"]["inputRequests"].clone()
}

fn documents(url: &str) -> Documents {
    Documents::of_two_people("target", url).rules(&[
        r"name: phones, pattern: '\+49-\d{3}', action: { type: redact }",
        r"name: attacks, pattern: 'attack at \w+', action: { type: block, message: not over this line }",
    ])
}
