//! Tasks of revision 2025-11-25: told of to whoever can follow one, and waited for where a server is
//! set to it.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Arrived, Client, Documents, Era, Gateway, Served, Site, Upstream};

use super::{older_plan as plan, sites};

const ALONE: &str = "/mcp/default/main/mail";
const JOINED: &str = "/mcp/default/main";
const NEWEST: &str = "2025-11-25";
const FORMS: &str = r#"{"elicitation":{}}"#;
const BEGUN: &str = r#"{"task":{"taskId":"t1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000}}"#;
const DONE: &str = r#"{"content":[],"structuredContent":{"n":1.0},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"},"v":1.0}}"#;
const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;

struct World {
    server: Upstream,
    served: Served,
    site: Site,
    token: String,
}

impl World {
    async fn at(site: Site, tasks: &str) -> Self {
        let server = plan().start().await;
        let documents = Documents::of("mail", &server.url);
        let set = format!("tasks: {tasks}\ntransport:");
        let served = site.start_with(&documents.replacen("transport:", &set, 1)).await;
        let token = served.token("bot", "t").await;
        Self { server, served, site, token }
    }

    async fn clients(&self, path: &str) -> [Client; 2] {
        let mut modern = Client::modern_with_token(&self.served, path, &self.token);
        FORMS.clone_into(&mut modern.capabilities);
        let place = (path, self.token.as_str());
        [modern, Client::legacy_with_token(&self.served, place, NEWEST, FORMS).await]
    }

    /// The next message, which must be of this method.
    async fn next(&self, method: &str) -> Arrived {
        let arrived = self.server.next().await;
        assert_eq!(arrived.method, method, "{}", arrived.body);
        arrived
    }

    /// Lets the server begin a task for a call of its tool.
    async fn begin(&self) {
        let call = self.next("tools/call").await;
        assert_eq!(call.raw(&["params", "task"]), r#"{"ttl":3600000}"#, "{}", call.body);
        call.result(BEGUN);
    }

    async fn result(&self) -> Arrived {
        let asked = self.next("tasks/result").await;
        assert_eq!(asked.raw(&["params", "taskId"]), r#""t1""#, "{}", asked.body);
        asked
    }
}

async fn tools(client: &Client) -> Value {
    let answer = client.send(client.request("tools/list", "")).await;
    assert_eq!(answer.status, 200, "{client}: {}", answer.text());
    answer.json()["result"]["tools"].clone()
}

fn names(tools: &Value) -> Vec<&str> {
    tools.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_tool_that_needs_a_task_is_listed_for_whoever_can_follow_one() {
    for site in sites().await {
        let world = World::at(site, "relay").await;
        for (path, prefix) in [(ALONE, ""), (JOINED, "mail__")] {
            for client in world.clients(path).await {
                let row = format!("{client} {path}, {}", world.site.database());
                let tools = tools(&client).await;
                let expected = ["plain", "either"].map(|it| format!("{prefix}{it}"));
                assert_eq!(names(&tools), expected, "{row}");
                assert!(!tools.to_string().contains("taskSupport"), "{row}: {tools}");
                let members = format!(r#""name":"{prefix}either","arguments":{{}},"task":{{}}"#);
                let (answer, ()) =
                    join(client.send(client.request("tools/call", &members)), async {
                        let call = world.next("tools/call").await;
                        assert!(!call.body.contains(r#""task""#), "{row}: {}", call.body);
                        call.result(r#"{"content":[]}"#);
                    })
                    .await;
                assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            }
        }
        let [_, legacy] = world.clients(ALONE).await;
        let opened = legacy.send(legacy.initialize().without("mcp-session-id")).await.json();
        assert_eq!(opened["result"]["capabilities"], json!({"tools": {}}));
    }
    // Whom the server knows from all others asks for its tasks itself.
    let server = plan().start().await;
    let gateway = Gateway::dev(&server.url).await;
    let client = Client::legacy(&gateway).await;
    let tools = tools(&client).await;
    assert_eq!(names(&tools), ["plain", "either", "long"]);
    assert_eq!(tools[2]["execution"], json!({"taskSupport": "required"}));
    let members = r#""name":"long","arguments":{},"task":{"ttl":1}"#;
    let (answer, ()) = join(client.send(client.request("tools/call", members)), async {
        let call = server.next().await;
        assert_eq!(call.raw(&["params", "task"]), r#"{"ttl":1}"#);
        call.result(BEGUN);
    })
    .await;
    assert_eq!(answer.json()["result"]["task"]["taskId"], "t1", "{}", answer.text());
}

#[tokio::test]
async fn a_tool_that_needs_a_task_is_waited_for() {
    for site in sites().await {
        let world = World::at(site, "wait").await;
        for (path, name) in [(ALONE, "long"), (JOINED, "mail__long")] {
            for client in world.clients(path).await {
                let row = format!("{client} {path}, {}", world.site.database());
                let tools = tools(&client).await;
                assert_eq!(names(&tools)[2], name, "{row}");
                assert!(!tools.to_string().contains("taskSupport"), "{row}: {tools}");
                let (answer, ()) = join(client.send(client.tool(name, "{}")), async {
                    world.begin().await;
                    let talk = world.result().await.stream();
                    talk.notification("notifications/tasks/status", r#"{"taskId":"t1"}"#).await;
                    talk.result(DONE).await;
                })
                .await;
                assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
                assert_eq!(answer.messages.len(), 1, "{row}: {:?}", answer.messages);
                assert!(answer.text().contains(r#"{"n":1.0}"#), "{row}: {}", answer.text());
                let meta = &answer.json()["result"]["_meta"];
                assert_eq!(meta["v"], json!(1.0), "{row}: {}", answer.text());
                assert!(!answer.text().contains("related-task"), "{row}: {}", answer.text());
            }
        }
        let World { served, site, .. } = world;
        assert!(served.stop().await.success());
        let records = site.records();
        let calls = records.iter().filter(|it| it.text("method") == Some("tools/call"));
        assert_eq!(calls.count(), 4, "each call is one");
        let answered = records.iter().filter(|it| it.text("end") == Some("answered"));
        assert_eq!(answered.count(), 4);
    }
}

#[tokio::test]
async fn whoever_can_follow_a_task_gets_the_one_that_it_asks_for_and_is_waited_for_without() {
    let server = plan().start().await;
    let gateway = Gateway::dev_that_waits(&server.url).await;
    let client = Client::legacy(&gateway).await;
    assert_eq!(names(&tools(&client).await), ["plain", "either", "long"]);
    for name in ["long", "either"] {
        let members = format!(r#""name":"{name}","arguments":{{}},"task":{{"ttl":1}}"#);
        let (answer, ()) = join(client.send(client.request("tools/call", &members)), async {
            let call = server.next().await;
            assert_eq!(call.raw(&["params", "task"]), r#"{"ttl":1}"#, "{name}");
            call.result(BEGUN);
        })
        .await;
        assert_eq!(answer.json()["result"]["task"]["taskId"], "t1", "{name}: {}", answer.text());
    }
    let (answer, ()) = join(client.send(client.tool("long", "{}")), async {
        let call = server.next().await;
        assert_eq!(call.raw(&["params", "task"]), r#"{"ttl":3600000}"#);
        call.result(BEGUN);
        let asked = server.next().await;
        assert_eq!(asked.method, "tasks/result");
        asked.result(DONE);
    })
    .await;
    assert!(answer.text().contains(r#"{"n":1.0}"#), "{}", answer.text());
    let (answer, ()) = join(client.send(client.tool("either", "{}")), async {
        let call = server.next().await;
        assert!(!call.body.contains(r#""task""#), "{}", call.body);
        call.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn what_a_server_asks_while_it_is_waited_for_reaches_the_client() {
    let world = World::at(Site::new(None), "wait").await;
    let [modern, legacy] = world.clients(ALONE).await;
    for client in [&modern, &legacy] {
        client.warm_up().await;
    }
    let (mut stream, talk) = join(legacy.open(legacy.tool("long", "{}")), async {
        world.begin().await;
        let talk = world.result().await.stream();
        talk.message(QUESTION).await;
        talk
    })
    .await;
    let question = stream.message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let (taken, ()) =
        join(legacy.send(legacy.reply(&question["id"], r#"{"action":"decline"}"#)), async {
            let answer = world.next("").await;
            assert_eq!(answer.raw(&["id"]), r#""q""#);
            answer.accept();
        })
        .await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    talk.result(DONE).await;
    assert_eq!(stream.message().await["result"]["structuredContent"], json!({"n": 1.0}));

    // A modern client comes back, whether it is asked before the task has begun or after that. A call
    // that fails then takes its task along.
    for (is_early, fails) in [(false, false), (true, false), (false, true)] {
        let (first, talk) = join(modern.send(modern.tool("long", "{}")), async {
            let talk = if is_early {
                world.next("tools/call").await.stream()
            } else {
                world.begin().await;
                world.result().await.stream()
            };
            talk.message(QUESTION).await;
            talk
        })
        .await;
        let result = &first.json()["result"];
        assert_eq!(result["resultType"], "input_required", "{}", first.text());
        let members = format!(
            r#""name":"long","arguments":{{}},"inputResponses":{{"q1":{{"action":"decline"}}}},"requestState":{}"#,
            result["requestState"]
        );
        let (last, ()) = join(modern.send(modern.request("tools/call", &members)), async {
            world.next("").await.accept();
            if is_early {
                talk.result(BEGUN).await;
                world.result().await.result(DONE);
            } else if fails {
                talk.message("{").await;
                let cancelled = world.next("tasks/cancel").await;
                assert_eq!(cancelled.raw(&["params", "taskId"]), r#""t1""#);
                cancelled.result("{}");
            } else {
                talk.result(DONE).await;
            }
        })
        .await;
        let text = last.text();
        if fails {
            assert!(text.contains("not valid MCP"), "{text}");
            continue;
        }
        assert_eq!(last.json()["result"]["structuredContent"], json!({"n": 1.0}), "{text}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_task_along_and_a_broken_stream_is_asked_for_again() {
    let world = World::at(Site::new(None), "wait").await;
    for client in world.clients(ALONE).await {
        client.warm_up().await;
        let post = client.tool("long", "{}");
        let id = post.id.clone();
        let (mut streamed, talk) = join(client.open(post), async {
            world.begin().await;
            // It breaks off, and nothing is begun twice.
            drop(world.result().await.stream());
            let talk = world.result().await.stream();
            let log = r#"{"level":"error","data":"x"}"#;
            talk.notification("notifications/x", log).await;
            talk
        })
        .await;
        streamed.message().await;
        if client.era == Era::Legacy {
            let members = format!(r#""requestId":{id}"#);
            let cancelled = client.notification("notifications/cancelled", &members);
            assert_eq!(client.send(cancelled).await.status, 202, "{client}");
        }
        drop(streamed);
        talk.given_up().await;
        let cancelled = world.next("tasks/cancel").await;
        assert_eq!(cancelled.raw(&["params", "taskId"]), r#""t1""#, "{client}");
        cancelled.result("{}");
    }
    assert_eq!(world.server.seen_of("tools/call").len(), 2);
}

#[tokio::test]
async fn a_stream_may_break_off_as_often_as_it_has_said_something() {
    let world = World::at(Site::new(None), "wait").await;
    let [_, client] = world.clients(ALONE).await;
    let (mut heard, ()) = join(client.open(client.tool("long", "{}")), async {
        world.begin().await;
        let talk = world.result().await.stream();
        talk.notification("notifications/x", "{}").await;
    })
    .await;
    for _ in 0..5 {
        heard.message().await;
        world.result().await.stream().notification("notifications/x", "{}").await;
    }
    heard.message().await;
    world.result().await.result(DONE);
    assert_eq!(heard.message().await["result"]["structuredContent"], json!({"n": 1.0}));
    assert!(world.server.seen_of("tasks/cancel").is_empty());
}

#[tokio::test]
async fn a_task_without_a_usable_id_fails_its_call() {
    let world = World::at(Site::new(None), "wait").await;
    let [_, client] = world.clients(ALONE).await;
    client.warm_up().await;
    let long = format!(r#"{{"task":{{"taskId":"{}"}}}}"#, "x".repeat(1_001));
    for begun in [long.as_str(), r#"{"task":{}}"#, r#"{"task":7}"#] {
        let (answer, ()) = join(client.send(client.tool("long", "{}")), async {
            world.next("tools/call").await.result(begun);
        })
        .await;
        assert!(answer.text().contains("the id of a task"), "{begun:.40}: {}", answer.text());
    }
    assert!(world.server.seen_of("tasks/result").is_empty());
}
