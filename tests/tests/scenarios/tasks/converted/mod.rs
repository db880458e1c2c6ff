//! Clients of revision 2025-11-25 with tasks, and servers that have the extension.

mod ends;
mod kept;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join;
use serde_json::{Value, json};
use tests::{Arrived, Client, Documents, Plan, Post, Served, Site, Upstream};

use super::sites;

const ALONE: &str = "/mcp/default/main/mail";
const JOINED: &str = "/mcp/default/main";
const NEWEST: &str = "2025-11-25";
const FORMS: &str = r#"{"elicitation":{}}"#;
const RELATED: &str = "io.modelcontextprotocol/related-task";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const TASKS: &str = "io.modelcontextprotocol/tasks";
const FORM: &str = r#"{"method":"elicitation/create","params":{"mode":"form","message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
const TIMES: &str = r#""createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-02T00:00:00Z","ttlMs":60000,"pollIntervalMs":1"#;
const DONE: &str = r#""status":"completed","result":{"content":[{"type":"text","text":"+49-123"}],"structuredContent":{"n":1.0},"_meta":{"v":1.0}}"#;

fn plan() -> Plan {
    let capabilities = r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let plan = Upstream::modern().with_capabilities(capabilities);
    plan.on("subscriptions/listen", |asked| async move { asked.refuse(404) })
}

struct World {
    server: Upstream,
    served: Served,
    site: Site,
}

impl World {
    async fn at(site: Site) -> Self {
        let rule = r"name: phones, pattern: '\+49-\d{3}', action: { type: redact }";
        Self::with_rule(site, rule).await
    }

    async fn with_rule(site: Site, rule: &str) -> Self {
        let server = plan().start().await;
        let documents = Documents::of_two_people("mail", &server.url).rules(&[rule]);
        let served = site.start_with(&documents).await;
        Self { server, served, site }
    }

    async fn new() -> Self {
        Self::at(Site::new(None)).await
    }

    async fn client(&self, path: &str, app: &str) -> Client {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("t{}", MADE.fetch_add(1, Ordering::Relaxed));
        let token = self.served.token(app, &name).await;
        let place = (path, token.as_str());
        let client = Client::legacy_with_token(&self.served, place, NEWEST, FORMS).await;
        client.warm_up().await;
        client
    }

    /// The next message, which must be of this method, and be told that tasks are known.
    async fn next(&self, method: &str) -> Arrived {
        let arrived = self.server.next().await;
        assert_eq!(arrived.method, method, "{}", arrived.body);
        let declared = &arrived.json()["params"]["_meta"][CAPABILITIES];
        assert_eq!(declared["extensions"][TASKS], json!({}), "{}", arrived.body);
        if method.starts_with("tasks/") {
            assert_eq!(arrived.raw(&["params", "taskId"]), r#""t/1""#, "{}", arrived.body);
            assert_eq!(arrived.header("mcp-name"), Some("t/1"), "header and body agree");
        }
        arrived
    }

    /// Begins a task: its id as the client has it.
    async fn begin(&self, client: &Client, tool: &str) -> String {
        let (answer, ()) = join(client.send(asking_for_task(client, tool)), async {
            let call = self.next("tools/call").await;
            assert!(!call.body.contains(r#""task":"#), "{}", call.body);
            call.result(&task(r#""status":"working""#).replace("complete", "task"));
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{}", answer.text());
        let task = &answer.json()["result"]["task"];
        let id = task["taskId"].as_str().unwrap().to_owned();
        let expected = json!({"taskId": id, "status": "working", "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-02T00:00:00Z", "ttl": 60000, "pollInterval": 1});
        assert_eq!(*task, expected, "{}", answer.text());
        assert!(!answer.text().contains("t/1"), "{}", answer.text());
        id
    }

    /// Lets the server say these members of its task.
    async fn look(&self, members: &str) {
        self.next("tasks/get").await.result(&task(members));
    }
}

fn task(members: &str) -> String {
    format!(r#"{{"resultType":"complete","taskId":"t/1",{members},{TIMES}}}"#)
}

fn asking_for_task(client: &Client, tool: &str) -> Post {
    let members = format!(r#""name":"{tool}","arguments":{{}},"task":{{"ttl":1000}}"#);
    client.request("tools/call", &members)
}

fn about(client: &Client, method: &str, id: &str) -> Post {
    client.request(method, &format!(r#""taskId":"{id}""#))
}

async fn tools(client: &Client) -> Value {
    let answer = client.send(client.request("tools/list", "")).await;
    answer.json()["result"]["tools"].clone()
}

async fn listed(client: &Client) -> Vec<Value> {
    let answer = client.send(client.request("tasks/list", "")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    answer.json()["result"]["tasks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_client_is_told_what_it_can_ask_for() {
    let world = World::new().await;
    for (path, tool) in [(ALONE, "echo"), (JOINED, "mail__echo")] {
        let client = world.client(path, "bot").await;
        let opened = client.send(client.initialize().without("mcp-session-id")).await.json();
        let expected = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
        assert_eq!(opened["result"]["capabilities"]["tasks"], expected, "{path}: {opened}");
        let tools = tools(&client).await;
        assert_eq!(tools[0]["name"], tool);
        assert_eq!(tools[0]["execution"], json!({"taskSupport": "optional"}), "{path}: {tools}");
        let place = (path, "2025-06-18");
        let token = world.served.token("bot", &format!("older-{}", path.len())).await;
        let older = Client::legacy_with_token(&world.served, (path, &token), place.1, FORMS).await;
        let opened = older.send(older.initialize().without("mcp-session-id")).await.json();
        assert_eq!(opened["result"]["capabilities"].get("tasks"), None, "{path}: {opened}");
        assert!(!self::tools(&older).await.to_string().contains("execution"), "{path}");
        let answer = older.send(older.request("tasks/list", "")).await;
        assert_eq!(answer.verdict(), "200/-32601", "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_task_of_the_extension_is_followed_in_the_other_form() {
    for site in sites().await {
        let world = World::at(site).await;
        for (path, tool) in [(ALONE, "echo"), (JOINED, "mail__echo")] {
            let row = format!("{path}, {}", world.site.database());
            let client = world.client(path, "bot").await;
            let id = world.begin(&client, tool).await;
            let words = r#""status":"working","statusMessage":"half, +49-123""#;
            let (answer, ()) =
                join(client.send(about(&client, "tasks/get", &id)), world.look(words)).await;
            let result = &answer.json()["result"];
            let mut told = json!({"taskId": id, "status": "working", "ttl": 60000,
                "pollInterval": 1, "createdAt": "2026-01-01T00:00:00Z",
                "lastUpdatedAt": "2026-01-02T00:00:00Z"});
            let known = told.clone();
            told["statusMessage"] = json!("half, [redacted]");
            assert_eq!(*result, told, "{row}: {}", answer.text());
            assert!(listed(&client).await.contains(&known), "{row}");
            let (answer, ()) = join(client.send(about(&client, "tasks/result", &id)), async {
                world.look(r#""status":"working""#).await;
                world.look(DONE).await;
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            let result = &answer.json()["result"];
            assert_eq!(result["content"][0]["text"], "[redacted]", "{row}: {}", answer.text());
            assert_eq!(result["_meta"], json!({"v": 1.0, RELATED: {"taskId": id}}), "{row}");
            assert_eq!(result.get("resultType"), None, "{row}");
            assert!(!answer.text().contains("t/1"), "{row}: {}", answer.text());
            // Its first end is its only one.
            for later in [r#""status":"working""#, r#""status":"cancelled""#] {
                let (answer, ()) =
                    join(client.send(about(&client, "tasks/get", &id)), world.look(later)).await;
                let status = &answer.json()["result"]["status"];
                assert_eq!(*status, "completed", "{row}: {}", answer.text());
            }
        }
        let World { served, site, .. } = world;
        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{}: {words}", site.database());
        let records = site.records();
        for (method, count) in [("tools/call", 2), ("tasks/result", 2), ("tasks/get", 6)] {
            let intents = records.iter().filter(|it| it.kind == "intent");
            let own = intents.filter(|it| it.text("method") == Some(method));
            assert_eq!(own.count(), count, "{method}, {}", site.database());
        }
    }
}

#[tokio::test]
async fn a_call_that_is_answered_at_once_is_a_task_that_has_ended() {
    let world = World::new().await;
    let result = |more: &str| {
        format!(
            r#"{{"resultType":"complete","content":[{{"type":"text","text":"+49-123"}}]{more}}}"#
        )
    };
    for (more, status) in [("", "completed"), (r#","isError":true"#, "failed")] {
        let client = world.client(JOINED, "bot").await;
        let (answer, ()) = join(client.send(asking_for_task(&client, "mail__echo")), async {
            world.next("tools/call").await.result(&result(more));
        })
        .await;
        let mut task = answer.json()["result"]["task"].clone();
        // Each begins by working.
        assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(1000)), "{task}");
        task["status"] = json!(status);
        let id = task["taskId"].as_str().unwrap();
        let got = client.send(about(&client, "tasks/get", id)).await;
        assert_eq!(got.json()["result"], task, "{}", got.text());
        assert_eq!(listed(&client).await.last(), Some(&task));
        for _ in 0..2 {
            let answer = client.send(about(&client, "tasks/result", id)).await;
            let result = &answer.json()["result"];
            assert_eq!(result["content"][0]["text"], "[redacted]", "{}", answer.text());
            assert_eq!(result["_meta"], json!({RELATED: {"taskId": id}}), "{}", answer.text());
        }
        let answer = client.send(about(&client, "tasks/cancel", id)).await;
        assert_eq!(answer.verdict(), "200/-32602", "{}", answer.text());
    }
    assert_eq!(world.server.seen_of("tasks/get").len(), 0, "nothing of it is asked of the server");
}

#[tokio::test]
async fn what_a_task_wants_to_know_is_asked_where_its_result_is_waited_for() {
    for site in sites().await {
        let world = World::at(site).await;
        let client = world.client(ALONE, "bot").await;
        let id = world.begin(&client, "echo").await;
        let asking =
            |key: &str| format!(r#""status":"input_required","inputRequests":{{"{key}":{FORM}}}"#);
        let (mut stream, ()) =
            join(client.open(about(&client, "tasks/result", &id)), world.look(&asking("a"))).await;
        let question = stream.message().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert_eq!(question["params"]["_meta"][RELATED], json!({"taskId": id}), "{question}");
        let reply = || client.reply(&question["id"], r#"{"action":"accept","content":{}}"#);
        // It answers twice; the first answer counts.
        assert_eq!(client.send(reply()).await.status, 202);
        assert_eq!(client.send(reply()).await.status, 202);
        let update = world.next("tasks/update").await;
        let given = r#"{"a":{"action":"accept","content":{}}}"#;
        assert_eq!(update.raw(&["params", "inputResponses"]), given);
        update.result(r#"{"resultType":"complete"}"#);
        // It repeats the key, which is not asked again; the client hears of a status that is new.
        world.look(&asking("a")).await;
        world.look(r#""status":"working""#).await;
        let heard = stream.message().await;
        assert_eq!(heard["method"], "notifications/tasks/status", "{heard}");
        assert_eq!(heard["params"]["taskId"], json!(id), "{heard}");
        world.look(DONE).await;
        loop {
            let heard = stream.message().await;
            if heard.get("result").is_some() {
                assert_eq!(heard["result"]["structuredContent"], json!({"n": 1.0}));
                break;
            }
            assert_eq!(heard["method"], "notifications/tasks/status", "{heard}");
        }
        assert_eq!(world.server.seen_of("tasks/update").len(), 1);
    }
}
