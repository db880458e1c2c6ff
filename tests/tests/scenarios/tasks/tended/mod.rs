//! Modern clients that know tasks, and servers of revision 2025-11-25 that have them.

mod ends;

use futures::future::join;
use serde_json::{Value, json};
use tests::upstream::Talk;
use tests::{Arrived, Client, Documents, Served, Site, Upstream};

use super::{about, older_plan as plan, sites};

const ALONE: &str = "/mcp/default/main/mail";
const JOINED: &str = "/mcp/default/main";
const KNOWS: &str =
    r#"{"elicitation":{"form":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const TIMES: &str = r#""createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-02T00:00:00Z""#;
const DONE: &str = r#"{"content":[{"type":"text","text":"+49-123"}],"structuredContent":{"n":1.0},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"},"v":1.0}}"#;

fn question(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","method":"elicitation/create","params":{{"message":"is it +49-123?","requestedSchema":{{"type":"object","properties":{{}}}}}}}}"#
    )
}

struct World {
    server: Upstream,
    served: Served,
    site: Site,
}

impl World {
    async fn at(site: Site) -> Self {
        let server = plan().start().await;
        let documents = Documents::of_two_people("mail", &server.url);
        let documents =
            documents.rules(&[r"name: phones, pattern: '\+49-\d{3}', action: { type: redact }"]);
        let served = site.start_with(&documents).await;
        Self { server, served, site }
    }

    async fn new() -> Self {
        Self::at(Site::new(None)).await
    }

    async fn client(&self, path: &str, app: &str) -> Client {
        let token = self.served.token(app, &format!("{app}-{}", path.len())).await;
        let mut client = Client::modern_with_token(&self.served, path, &token);
        KNOWS.clone_into(&mut client.capabilities);
        client.warm_up().await;
        client
    }

    /// How many answers the server has got.
    fn replies(&self) -> usize {
        self.server.calls().iter().filter(|it| it.method.is_empty()).count()
    }

    /// The next message, which must be of this method.
    async fn next(&self, method: &str) -> Arrived {
        let arrived = self.server.next().await;
        assert_eq!(arrived.method, method, "{}", arrived.body);
        arrived
    }

    /// Begins a task that lasts so many milliseconds: what the client is told of it, and the stream on
    /// which the server waits to say what comes of it.
    async fn begin(&self, client: &Client, tool: &str, ttl: u64) -> (Value, Talk) {
        let (answer, ()) = join(client.send(client.tool(tool, "{}")), async {
            let call = self.next("tools/call").await;
            assert_eq!(call.raw(&["params", "task"]), r#"{"ttl":3600000}"#, "{}", call.body);
            let members = format!(r#""taskId":"t1","status":"working",{TIMES},"ttl":{ttl}"#);
            call.result(&format!(r#"{{"task":{{{members},"pollInterval":5}}}}"#));
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{}", answer.text());
        assert!(!answer.text().contains("\"t1\""), "{}", answer.text());
        let asked = self.next("tasks/result").await;
        assert_eq!(asked.raw(&["params", "taskId"]), r#""t1""#, "{}", asked.body);
        (answer.json()["result"].clone(), asked.stream())
    }
}

/// What is said of a task once it is in this status.
async fn until(client: &Client, id: &str, status: &str) -> Value {
    loop {
        let answer = client.send(about(client, "tasks/get", id)).await;
        assert_eq!(answer.verdict(), "200", "{status}: {}", answer.text());
        let task = answer.json()["result"].clone();
        assert_eq!((&task["resultType"], &task["taskId"]), (&json!("complete"), &json!(id)));
        if task["status"] == status {
            return task;
        }
        assert!(task["status"] != "completed" && task["status"] != "failed", "{task}");
        tokio::task::yield_now().await;
    }
}

fn update(client: &Client, id: &str, answers: &str) -> tests::Post {
    let members = format!(r#""taskId":"{id}","inputResponses":{answers}"#);
    client.request("tasks/update", &members).with("mcp-name", id)
}

fn id_of(task: &Value) -> String {
    task["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_of_a_legacy_server_is_one_of_the_extension() {
    for site in sites().await {
        let world = World::at(site).await;
        for (path, prefix) in [(ALONE, ""), (JOINED, "mail__")] {
            let client = world.client(path, "bot").await;
            for name in ["either", "long"] {
                let row = format!("{name}, {path}, {}", world.site.database());
                let tool = format!("{prefix}{name}");
                let (task, talk) = world.begin(&client, &tool, 60_000).await;
                let id = id_of(&task);
                let expected = json!({"resultType": "task", "taskId": id, "status": "working",
                    "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-02T00:00:00Z",
                    "ttlMs": 60000, "pollIntervalMs": 5});
                assert_eq!(task, expected, "{row}");
                until(&client, &id, "working").await;
                let words = r#"{"taskId":"t1","status":"working","statusMessage":"half, +49-123"}"#;
                talk.notification("notifications/tasks/status", words).await;
                while until(&client, &id, "working").await["statusMessage"] != "half, [redacted]" {}
                talk.result(DONE).await;
                let task = until(&client, &id, "completed").await;
                let result = &task["result"];
                assert_eq!(result["content"][0]["text"], "[redacted]", "{row}: {task}");
                assert_eq!(result["structuredContent"], json!({"n": 1.0}), "{row}");
                assert_eq!(result["resultType"], "complete", "{row}: {task}");
                assert_eq!(result["_meta"], json!({"v": 1.0}), "{row}: {task}");
            }
            // A tool that knows none is called as ever.
            let post = client.tool(&format!("{prefix}plain"), "{}");
            let (answer, ()) = join(client.send(post), async {
                let call = world.next("tools/call").await;
                assert!(!call.body.contains(r#""task""#), "{}", call.body);
                call.result(r#"{"content":[]}"#);
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{path}: {}", answer.text());
        }
        let World { served, site, .. } = world;
        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{}: {words}", site.database());
        let records = site.records();
        let of = |method: &str, kind: &str| {
            let own = records.iter().filter(|it| it.kind == kind);
            own.filter(|it| it.text("method") == Some(method)).count()
        };
        assert_eq!((of("tools/call", "intent"), of("tasks/result", "intent")), (6, 4));
        assert!(
            records.iter().all(|it| it.kind != "outcome" || it.text("end") != Some("upstream"))
        );
    }
}

#[tokio::test]
async fn whoever_knows_tasks_is_told_of_them_and_of_the_tools_that_need_one() {
    let world = World::new().await;
    for path in [ALONE, JOINED] {
        let mut client = world.client(path, "bot").await;
        let found = client.send(client.request("server/discover", "")).await.json();
        let extensions = &found["result"]["capabilities"]["extensions"];
        assert_eq!(*extensions, json!({"io.modelcontextprotocol/tasks": {}}), "{path}: {found}");
        for (capabilities, expected) in [(KNOWS, 3), ("{}", 2)] {
            capabilities.clone_into(&mut client.capabilities);
            let tools = client.send(client.request("tools/list", "")).await.json();
            let tools = &tools["result"]["tools"];
            assert_eq!(tools.as_array().unwrap().len(), expected, "{path}: {tools}");
            assert!(!tools.to_string().contains("taskSupport"), "{path}: {tools}");
        }
    }
}

#[tokio::test]
async fn what_a_legacy_server_asks_of_its_task_is_asked_by_the_extension() {
    for site in sites().await {
        let world = World::at(site).await;
        let client = world.client(ALONE, "bot").await;
        let (task, talk) = world.begin(&client, "long", 60_000).await;
        let id = id_of(&task);
        talk.message(&question("a")).await;
        let task = until(&client, &id, "input_required").await;
        let asked = &task["inputRequests"]["q1"];
        assert_eq!(asked["method"], "elicitation/create", "{task}");
        assert_eq!(asked["params"]["message"], "is it [redacted]?", "{task}");
        // It is answered once, however often its client says so, and whatever else that says.
        let given = r#"{"q1":{"action":"accept","content":{"n":"+49-123"}},"q9":{"x":1}}"#;
        for attempt in 0..2 {
            let answer = client.send(update(&client, &id, given)).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
            assert_eq!(answer.json()["result"], json!({"resultType": "complete"}));
            if attempt == 0 {
                let reply = world.next("").await;
                assert_eq!(reply.raw(&["id"]), r#""a""#);
                let result = reply.raw(&["result", "content", "n"]);
                assert_eq!(result, r#""[redacted]""#, "{}", reply.body);
                reply.accept();
            }
        }
        until(&client, &id, "working").await;
        // The server asks under the same id again: for the client that is another question.
        talk.message(&question("a")).await;
        let task = until(&client, &id, "input_required").await;
        let keys: Vec<_> = task["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["q2"], "{task}");
        let taken_back = r#"{"requestId":"a"}"#;
        talk.notification("notifications/cancelled", taken_back).await;
        until(&client, &id, "working").await;
        talk.result(DONE).await;
        until(&client, &id, "completed").await;
        assert_eq!(world.replies(), 1, "one answer");
    }
}

#[tokio::test]
async fn an_answer_that_the_server_has_not_taken_is_asked_for_again() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&client, "long", 60_000).await;
    let id = id_of(&task);
    talk.message(&question("a")).await;
    for key in ["q1", "q2"] {
        let task = until(&client, &id, "input_required").await;
        let keys: Vec<_> = task["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, [key], "{task}");
        let given = format!(r#"{{"{key}":{{"action":"decline"}}}}"#);
        assert_eq!(client.send(update(&client, &id, &given)).await.verdict(), "200");
        let reply = world.next("").await;
        assert_eq!(reply.raw(&["id"]), r#""a""#);
        match key {
            "q1" => reply.refuse(503),
            _ => reply.accept(),
        }
        if key == "q1" {
            while until(&client, &id, "input_required").await["inputRequests"].get("q2").is_none() {
            }
        }
    }
    until(&client, &id, "working").await;
    talk.result(DONE).await;
    until(&client, &id, "completed").await;
    let World { served, site, .. } = world;
    assert!(served.stop().await.success());
    let records = site.records();
    let own = records.iter().filter(|it| it.text("method") == Some("elicitation/create"));
    assert_eq!(own.filter(|it| it.kind == "intent").count(), 2, "each answer is recorded");
    // So is the question, with what rules have found in it.
    let question = records.iter().find(|it| it.kind == "outcome" && it.leaf["news"] == 1);
    assert_eq!(question.unwrap().leaf["rules"], json!(["phones redact 1"]));
}

#[tokio::test]
async fn what_a_server_says_of_another_task_is_not_said_of_this_one() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&client, "long", 60_000).await;
    let id = id_of(&task);
    for (other, words) in [("t1", "own"), ("t2", "other")] {
        let words =
            format!(r#"{{"taskId":"{other}","status":"working","statusMessage":"{words}"}}"#);
        talk.notification("notifications/tasks/status", &words).await;
    }
    talk.message(&question("a")).await;
    let task = until(&client, &id, "input_required").await;
    assert_eq!(task["statusMessage"], "own", "{task}");
}

#[tokio::test]
async fn a_client_that_listens_hears_what_becomes_of_a_task_of_a_legacy_server() {
    let world = World::new().await;
    for (path, tool) in [(ALONE, "long"), (JOINED, "mail__long")] {
        let client = world.client(path, "bot").await;
        let (task, talk) = world.begin(&client, tool, 60_000).await;
        let id = id_of(&task);
        let members = format!(r#""notifications":{{"taskIds":["{id}","t1"]}}"#);
        let mut stream = client.open(client.request("subscriptions/listen", &members)).await;
        let granted = stream.message().await;
        assert_eq!(granted["params"]["notifications"], json!({"taskIds": [id]}), "{granted}");
        talk.message(&question("a")).await;
        let heard = stream.message().await;
        assert_eq!(heard["method"], "notifications/tasks", "{heard}");
        let params = &heard["params"];
        assert_eq!(params["taskId"], json!(id), "{heard}");
        let question = &params["inputRequests"]["q1"]["params"]["message"];
        assert_eq!(*question, "is it [redacted]?", "{heard}");
        talk.result(DONE).await;
        let heard = stream.message().await;
        assert_eq!(heard["params"]["status"], "completed", "{heard}");
        let text = &heard["params"]["result"]["content"][0]["text"];
        assert_eq!(*text, "[redacted]", "{heard}");
    }
}
