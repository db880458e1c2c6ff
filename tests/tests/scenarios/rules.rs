//! Content rules: what passes between a client and a tool is under them, in whatever form it comes.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Client, Documents, Era, Plan, Served, Site, Upstream};

use crate::scene::each_era;

/// One server on a gateway whose rules take out phone numbers and numbers of five digits, and let
/// no attack pass.
struct World {
    server: Upstream,
    served: Served,
    site: Site,
    token: String,
}

const PATH: &str = "/mcp/default/main/files";

impl World {
    async fn of(plan: Plan) -> Self {
        let server = plan.start().await;
        let site = Site::new(None);
        let served = site.start_with(&documents(&server.url)).await;
        let token = served.token("bot", "t").await;
        Self { server, served, site, token }
    }

    async fn clients(&self) -> [Client; 2] {
        let clients = Client::with_token(&self.served, PATH, &self.token).await;
        for client in &clients {
            client.warm_up().await;
        }
        clients
    }

    /// One that can be asked.
    async fn asked(&self, revision: &'static str) -> Client {
        let place = (PATH, self.token.as_str());
        let capabilities = r#"{"elicitation":{}}"#;
        Client::legacy_with_token(&self.served, place, revision, capabilities).await
    }

    /// The last record of this kind once the gateway has ended.
    async fn last(self, kind: &str) -> Value {
        self.served.stop().await;
        let records = self.site.records();
        records.into_iter().rev().find(|it| it.kind == kind).unwrap().leaf
    }
}

#[tokio::test]
async fn a_tool_that_fails_or_talks_is_under_the_rules() {
    for plan in [Upstream::modern(), Upstream::legacy()] {
        let world = World::of(plan).await;
        for client in world.clients().await {
            let level = r#""io.modelcontextprotocol/logLevel":"debug","progressToken":54321"#;
            let meta = if client.era == Era::Modern { level } else { r#""progressToken":54321"# };
            let members = r#""name":"echo","arguments":{}"#;
            let post = client.request_with_meta("tools/call", members, meta);
            let (answer, ()) = join(client.send(post), async {
                let call = world.server.next().await.stream();
                let log = r#"{"level":"info","data":{"to":"+49-123-4567"}}"#;
                call.notification("notifications/message", log).await;
                let attack = r#"{"level":"info","data":"attack at dawn"}"#;
                call.notification("notifications/message", attack).await;
                let progress =
                    r#"{"progressToken":54321,"progress":12345,"message":"+49-123-4567"}"#;
                call.notification("notifications/progress", progress).await;
                let error =
                    r#"{"code":-32603,"message":"no +49-123-4567","data":["+49-123-4567"]}"#;
                call.message(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.id))
                    .await;
            })
            .await;
            let said: Vec<Value> =
                answer.messages.iter().map(|it| serde_json::from_slice(it).unwrap()).collect();
            let params: Vec<_> = said.iter().map(|it| it["params"].clone()).collect();
            let expected = [
                json!({"level": "info", "data": {"to": "[redacted]"}}),
                json!({"progressToken": 54321, "progress": 12345, "message": "[redacted]"}),
                Value::Null,
            ];
            assert_eq!(params, expected, "{client}");
            let error = json!({"code": -32603, "message": "no [redacted]", "data": ["[redacted]"]});
            assert_eq!(said[2]["error"], error, "{client}");
        }
        let outcome = world.last("outcome").await;
        // Numbers of the protocol have been found as well, and left.
        let rules = outcome["rules"].as_array().unwrap();
        assert!(rules.contains(&json!("phones redact 4")), "{outcome}");
        assert!(rules.contains(&json!("attacks block 1")), "{outcome}");
        assert_eq!(outcome["news"], 2, "{outcome}");
        assert!(outcome["news_content"]["digest"].is_string(), "{outcome}");
    }
}

#[tokio::test]
async fn what_is_converted_for_old_clients_is_made_of_what_the_rules_have_left() {
    let world = World::of(Upstream::modern()).await;
    let client = world.asked("2024-11-05").await;
    for (result, expected) in [
        (
            r#"{"resultType":"complete","content":[],"structuredContent":{"a":"+49-123-4567"}}"#,
            json!([{"type": "text", "text": r#"{"a":"[redacted]"}"#}]),
        ),
        (
            r#"{"resultType":"complete","content":[{"type":"resource_link","name":"+49-123-4567","uri":"a:b"}]}"#,
            json!([{"type": "text", "text": "[redacted] <a:b>"}]),
        ),
    ] {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.server.next().await.result(result);
        })
        .await;
        assert_eq!(answer.json()["result"]["content"], expected, "{}", answer.text());
    }
}

#[tokio::test]
async fn what_a_tool_asks_and_is_answered_is_under_the_rules() {
    let world = World::of(Upstream::legacy()).await;
    let client = world.asked("2025-11-25").await;
    let (mut answer, call) = join(client.open(client.tool("echo", "{}")), async {
        let call = world.server.next().await.stream();
        call.message(r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"is it +49-123-4567?"}}"#).await;
        call
    })
    .await;
    let question = answer.message().await;
    assert_eq!(question["params"]["message"], "is it [redacted]?");
    let reply =
        client.reply(&question["id"], r#"{"action":"accept","content":{"n":"+49-123-4567"}}"#);
    let (taken, ()) = join(client.send(reply), async {
        let answered = world.server.next().await;
        assert_eq!(answered.raw(&["result", "content"]), r#"{"n":"[redacted]"}"#);
        answered.accept();
    })
    .await;
    assert_eq!(taken.status, 202);
    // What may not be asked is not, and what may not be answered is an error to the server.
    let ask = |id: &str, text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"elicitation/create","params":{{"message":"{text}"}}}}"#
        )
    };
    call.message(&ask("q2", "attack at dawn?")).await;
    let refused = world.server.next().await;
    assert_eq!((refused.id(), refused.raw(&["error", "code"])), ("\"q2\"".into(), "-32600".into()));
    refused.accept();
    call.message(&ask("q3", "when?")).await;
    let question = answer.message().await;
    assert_eq!(question["params"]["message"], "when?");
    let reply =
        client.reply(&question["id"], r#"{"action":"accept","content":{"t":"attack at dawn"}}"#);
    let (taken, ()) = join(client.send(reply), async {
        let answered = world.server.next().await;
        assert_eq!(
            (answered.id(), answered.raw(&["error", "code"])),
            ("\"q3\"".into(), "-32600".into())
        );
        answered.accept();
    })
    .await;
    assert_eq!(taken.status, 400, "{}", taken.text());
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
}

#[tokio::test]
async fn h126_nobody_is_asked_for_a_password() {
    let form = r#"{"message":"your Password, please","requestedSchema":{"type":"object","properties":{}}}"#;
    for (server, plan) in each_era() {
        let world = World::of(plan).await;
        let legacy = world.asked("2025-11-25").await;
        let mut modern = Client::modern_with_token(&world.served, PATH, &world.token);
        modern.capabilities.clone_from(&legacy.capabilities);
        for client in [modern, legacy] {
            let row = format!("{client}, a {server:?} server");
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = world.server.next().await;
                let ask = format!(r#""method":"elicitation/create","params":{form}"#);
                match server {
                    Era::Modern => call.result(&format!(
                        r#"{{"resultType":"input_required","inputRequests":{{"k":{{{ask}}}}}}}"#
                    )),
                    Era::Legacy => {
                        let call = call.stream();
                        call.message(&format!(r#"{{"jsonrpc":"2.0","id":"q",{ask}}}"#)).await;
                        let refused = world.server.next().await;
                        assert_eq!(refused.raw(&["error", "code"]), "-32600", "{row}");
                        refused.accept();
                        call.result(r#"{"content":[],"isError":true}"#).await;
                    }
                }
            })
            .await;
            assert_eq!(answer.messages.len(), 1, "{row}: {:?}", answer.messages);
            assert_eq!(answer.json()["result"]["isError"], true, "{row}: {}", answer.text());
            assert!(!answer.text().contains("Password"), "{row}: {}", answer.text());
            // Where the answer is the gateway's own, the user sees why.
            let why = answer.text().contains("nobody asks for passwords here");
            assert_eq!(why, server == Era::Modern, "{row}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn h035_answers_that_come_with_a_call_are_under_the_rules() {
    let world = World::of(Upstream::modern()).await;
    let [client, _] = world.clients().await;
    let answers = r#"{"k":{"action":"accept","content":{"n":"+49-123-4567"}}}"#;
    let members = format!(
        r#""name":"echo","arguments":{{}},"inputResponses":{answers},"InputResponses":{answers}"#
    );
    let (answer, ()) = join(client.send(client.request("tools/call", &members)), async {
        let call = world.server.next().await;
        let expected = r#"{"k":{"action":"accept","content":{"n":"[redacted]"}}}"#;
        assert_eq!(call.raw(&["params", "inputResponses"]), expected);
        assert!(!call.body.contains("InputResponses"), "{}", call.body);
        call.result(r#"{"resultType":"complete","content":[]}"#);
    })
    .await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn what_a_server_says_to_no_call_is_under_the_rules_for_every_tool() {
    let world = World::of(Upstream::legacy().by_hand("GET").echoing()).await;
    let client = world.asked("2025-11-25").await;
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    let (mut stream, heard) = join(client.open(client.get()), world.server.next()).await;
    let heard = heard.stream();
    let log = |text: &str| format!(r#"{{"level":"info","data":"{text}"}}"#);
    heard.notification("notifications/message", &log("attack at dawn")).await;
    heard.notification("notifications/message", &log("call +49-123-4567")).await;
    assert_eq!(stream.message().await["params"]["data"], "call [redacted]");
}

#[tokio::test]
async fn what_rules_take_out_is_not_kept() {
    let world = World::of(Upstream::of_both_eras().echoing()).await;
    let [client, _] = world.clients().await;
    let post = client.tool("echo", r#"{"n":"+49-123-4567"}"#);
    let sent = post.body.len();
    assert_eq!(client.send(post).await.verdict(), "200");
    let intent = world.last("intent").await;
    let shorter = "+49-123-4567".len() - "[redacted]".len();
    assert_eq!(intent["content"]["bytes"], sent - shorter, "{intent}");
}

fn documents(server: &str) -> Documents {
    Documents::of("files", server).rules(&[
        r"name: phones, pattern: '\+49-\d{3}-\d{4}', action: { type: redact }",
        r"name: numbers, pattern: '\b\d{5}\b', action: { type: redact }",
        r"name: passwords, pattern: '(?i)password', action: { type: block, message: nobody asks for passwords here }",
        r"name: attacks, pattern: 'attack at \w+', action: { type: block, message: not over this line }",
    ])
}
