//! Tasks: the ids that clients hold are sealed, and open for nobody but whom they were given to.

mod converted;
mod heard;
mod older;
mod peers;
mod tended;
mod waiting;

use http::Method;
use serde_json::json;
use tests::{Client, Documents, Plan, Post, Served, Site, Upstream};

const KNOWS_TASKS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A server that answers every call with a task, and knows one.
fn plan() -> Plan {
    let capabilities = r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let about = |call: tests::Arrived| async move {
        let id = call.raw(&["params", "taskId"]);
        assert_eq!(call.header("mcp-name"), Some("upstream-7"), "header and body agree");
        assert_eq!(id, r#""upstream-7""#);
        call.result(&format!(
            r#"{{"resultType":"complete","taskId":{id},"status":"completed","result":{{"content":[],"_meta":{{"ui":{{"resourceUri":"ui://x"}},"v":1}}}},"_meta":{{}}}}"#
        ));
    };
    Upstream::modern()
        .with_capabilities(capabilities)
        .on("tools/call", |call| async move {
            call.result(r#"{"resultType":"task","taskId":"upstream-7","status":"working"}"#);
        })
        .on("tasks/get", about)
        .on("tasks/update", about)
        .on("tasks/cancel", about)
}

/// A server of revision 2025-11-25: one tool that needs no task, one that can have one, and one that must.
fn older_plan() -> Plan {
    let tool = |name: &str, support: &str| {
        let execution = format!(r#""execution":{{"taskSupport":"{support}"}}"#);
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}},{execution}}}"#)
    };
    let tools = [tool("plain", "forbidden"), tool("either", "optional"), tool("long", "required")];
    Upstream::legacy()
        .with_tools(&format!("[{}]", tools.join(",")))
        .with_capabilities(r#"{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}"#)
}

/// One on each database.
async fn sites() -> Vec<Site> {
    Site::on_each(db::testing::postgres_url().await)
}

fn client(served: &Served, gateway: &str, token: &str) -> Client {
    let path = format!("/mcp/default/{gateway}");
    let mut client = Client::modern_with_token(served, &path, token);
    KNOWS_TASKS.clone_into(&mut client.capabilities);
    client
}

fn about(client: &Client, method: &str, id: &str) -> Post {
    client.request(method, &format!(r#""taskId":"{id}""#)).with("mcp-name", id)
}

async fn begin(client: &Client, tool: &str) -> String {
    client.warm_up().await;
    let answer = client.send(client.tool(tool, "{}")).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    let id = answer.json()["result"]["taskId"].as_str().unwrap().to_owned();
    assert!(!answer.text().contains("upstream-7"), "{}", answer.text());
    id
}

#[tokio::test]
async fn a_task_is_asked_about_updated_and_cancelled_by_its_sealed_id() {
    let server = plan().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let (alone, whole) = (client(&served, "main/mail", &token), client(&served, "main", &token));
    let id = begin(&alone, "echo").await;
    let same = begin(&whole, "mail__echo").await;
    assert_ne!(id, same, "no two of them look alike");
    for client in [&alone, &whole] {
        for (method, id) in [("tasks/get", &id), ("tasks/update", &same), ("tasks/cancel", &id)] {
            let answer = client.send(about(client, method, id)).await;
            assert_eq!(answer.verdict(), "200", "{method}: {}", answer.text());
            assert_eq!(answer.json()["result"]["taskId"], json!(id), "{method}");
            let meta = &answer.json()["result"]["result"]["_meta"];
            assert_eq!(meta["v"], 1, "{method}: {}", answer.text());
            // A page is shown where its server is alone.
            assert_eq!(meta.get("ui").is_some(), client.path() == alone.path(), "{method}");
        }
    }
    // It outlives the process that has sealed it.
    assert!(served.stop().await.success());
    let served = site.start().await;
    let again = client(&served, "main", &token);
    let answer = again.send(about(&again, "tasks/get", &id)).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
}

#[tokio::test]
async fn h060_nobody_reaches_the_task_of_another() {
    let server = plan().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let (bot, other) = (served.token("bot", "t").await, served.token("other", "t").await);
    let own = client(&served, "main/mail", &bot);
    let id = begin(&own, "echo").await;
    let mut changed = id.clone();
    changed.replace_range(30..31, if changed.as_bytes()[30] == b'A' { "B" } else { "A" });
    let attempts = [
        (client(&served, "main/mail", &other), id.as_str()),
        (client(&served, "main", &other), id.as_str()),
        (client(&served, "side/mail", &bot), id.as_str()),
        (client(&served, "main/mail", &bot), changed.as_str()),
        (client(&served, "main/mail", &bot), "upstream-7"),
    ];
    for (thief, id) in &attempts {
        thief.warm_up().await;
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let answer = thief.send(about(thief, method, id)).await;
            assert_eq!(answer.verdict(), "200/-32602", "{method} {id}: {}", answer.text());
        }
    }
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        assert!(server.seen_of(method).is_empty(), "{method}");
    }
}

#[tokio::test]
async fn whoever_may_not_call_a_tool_gets_nothing_of_its_tasks() {
    let server = plan().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let client = client(&served, "main/mail", &token);
    let id = begin(&client, "echo").await;
    let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
    served.must(Method::POST, "cutoffs", Some(off)).await;
    let answer = client.send(about(&client, "tasks/get", &id)).await;
    assert_eq!(answer.code(), Some(1403), "{}", answer.text());
    assert!(server.seen_of("tasks/get").is_empty());
}

#[tokio::test]
async fn a_client_that_has_not_said_that_it_knows_tasks_is_told_to() {
    let server = plan().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let mut client = client(&served, "main/mail", &token);
    let id = begin(&client, "echo").await;
    "{}".clone_into(&mut client.capabilities);
    let answer = client.send(about(&client, "tasks/get", &id)).await;
    assert_eq!(answer.verdict(), "400/-32021", "{}", answer.text());
    let required = &answer.json()["error"]["data"]["requiredCapabilities"];
    assert_eq!(*required, json!({"extensions": {"io.modelcontextprotocol/tasks": {}}}));
    assert!(server.seen_of("tasks/get").is_empty());
}

#[tokio::test]
async fn where_no_server_has_tasks_the_methods_are_not_known() {
    let server = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let client = client(&served, "main/mail", &token);
    client.warm_up().await;
    let answer = client.send(about(&client, "tasks/get", "upstream-7")).await;
    assert_eq!(answer.verdict(), "404/-32601", "{}", answer.text());
    assert!(server.seen_of("tasks/get").is_empty());
}
