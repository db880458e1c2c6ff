//! What becomes of tasks is told to those who listen for them, by the ids that they have.

use http::Method;
use serde_json::json;
use tests::wait::within;
use tests::{Client, Documents, Post};

use crate::gate;

use super::{begin, client, plan, sites};

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TASKS: &str = "notifications/tasks";
const CHANGED: &str = "notifications/tools/list_changed";
const KEY: &str = "io.modelcontextprotocol/subscriptionId";

fn listen(client: &Client, ids: &[&str]) -> Post {
    let filter = json!({"toolsListChanged": true, "taskIds": ids}).to_string();
    client.request("subscriptions/listen", &format!(r#""notifications":{filter}"#))
}

fn status(id: &str, words: &str) -> String {
    let page = r#""_meta":{"ui":{"resourceUri":"ui://x"},"v":1}"#;
    let result = format!(r#"{{"content":[{{"type":"text","text":"{words}"}}],"n":1.0,{page}}}"#);
    format!(r#"{{"taskId":"{id}","status":"completed","result":{result}}}"#)
}

#[tokio::test]
async fn a_client_hears_of_its_tasks_by_the_ids_that_it_has() {
    for site in sites().await {
        let server = plan().start().await;
        let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
        let token = served.token("bot", "t").await;
        for path in ["main/mail", "main"] {
            let row = format!("{path}, {}", site.database());
            let client = client(&served, path, &token);
            let tool = if path == "main" { "mail__echo" } else { "echo" };
            let (one, same) = (begin(&client, tool).await, begin(&client, tool).await);
            let mut stream = client.open(listen(&client, &[&one, "upstream-7", &same])).await;
            let first = stream.message().await;
            assert_eq!(first["method"], ACKNOWLEDGED, "{row}");
            let mut granted = [one.as_str(), &same];
            granted.sort_unstable();
            assert_eq!(first["params"]["notifications"]["taskIds"], json!(granted), "{row}");
            let theirs = server.next().await;
            let asked = theirs.json();
            assert_eq!(asked["params"]["notifications"]["taskIds"], json!(["upstream-7"]), "{row}");
            let declared = &asked["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
            assert_eq!(declared["extensions"]["io.modelcontextprotocol/tasks"], json!({}), "{row}");
            let id = theirs.id();
            let theirs = theirs.stream();
            theirs.notification(ACKNOWLEDGED, "{}").await;
            // What was not asked for, or is of another subscription, is told to nobody.
            theirs.notification(TASKS, &status("upstream-8", "foreign")).await;
            theirs.notification(TASKS, r#"{"status":"completed"}"#).await;
            let stamped = |of: &str| {
                status("upstream-7", "done").replacen(
                    '{',
                    &format!(r#"{{"_meta":{{"{KEY}":{of}}},"#),
                    1,
                )
            };
            theirs.notification(TASKS, &stamped("4711")).await;
            theirs.notification(TASKS, &stamped(&id)).await;
            for sealed in granted {
                let event = stream.next().await.unwrap();
                let text = String::from_utf8_lossy(&event.data).into_owned();
                assert!(
                    !text.contains("upstream-7") && text.contains(r#""n":1.0"#),
                    "{row}: {text}"
                );
                let heard: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(heard["method"], TASKS, "{row}: {heard}");
                assert_eq!(heard["params"]["taskId"], sealed, "{row}: {heard}");
                assert_eq!(heard["params"]["_meta"][KEY], first["params"]["_meta"][KEY], "{row}");
                let page = heard["params"]["result"]["_meta"].get("ui");
                assert_eq!(page.is_some(), path == "main/mail", "{row}: {heard}");
            }
            drop(stream);
            theirs.given_up().await;
        }
    }
}

#[tokio::test]
async fn h060_nobody_hears_of_the_task_of_another() {
    let server = plan().start().await;
    let site = super::Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let (bot, other) = (served.token("bot", "t").await, served.token("other", "t").await);
    let id = begin(&client(&served, "main/mail", &bot), "echo").await;
    for (path, token) in [("main/mail", &other), ("main", &other), ("side", &bot)] {
        let thief = client(&served, path, token);
        let mut stream = thief.open(listen(&thief, &[&id])).await;
        let first = stream.message().await;
        let granted = json!({"toolsListChanged": true});
        // The plan's server says nothing of changes of lists, which we do ourselves.
        assert_eq!(first["params"]["notifications"], granted, "{path}: {first}");
        let theirs = server.next().await;
        assert_eq!(theirs.json()["params"]["notifications"].get("taskIds"), None, "{path}");
        drop(stream);
    }
}

#[tokio::test]
async fn whoever_may_not_call_a_tool_any_more_hears_nothing_of_its_tasks() {
    for site in sites().await {
        let row = site.database();
        let server = plan().start().await;
        let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
        let token = served.token("bot", "t").await;
        let client = client(&served, "main/mail", &token);
        let id = begin(&client, "echo").await;
        let mut stream = client.open(listen(&client, &[&id])).await;
        assert_eq!(stream.message().await["method"], ACKNOWLEDGED, "{row}");
        let theirs = server.next().await.stream();
        theirs.notification(ACKNOWLEDGED, "{}").await;
        let tool = json!({"kind": "tool", "name": "mail/echo"});
        served.must(Method::POST, "cutoffs", Some(tool.clone())).await;
        theirs.notification(TASKS, &status("upstream-7", "secret")).await;
        assert_eq!(stream.message().await["method"], CHANGED, "{row}");
        // The server is not even asked about it any more.
        let again = server.next().await;
        assert_eq!(again.json()["params"]["notifications"].get("taskIds"), None, "{row}");
        let again = again.stream();
        again.notification(ACKNOWLEDGED, "{}").await;
        theirs.given_up().await;
        again.notification(TASKS, &status("upstream-7", "secret")).await;
        served.must(Method::POST, "restores", Some(tool)).await;
        assert_eq!(stream.message().await["method"], CHANGED, "{row}");
        let theirs = server.next().await.stream();
        theirs.notification(ACKNOWLEDGED, "{}").await;
        again.given_up().await;
        theirs.notification(TASKS, &status("upstream-7", "open")).await;
        let heard = stream.message().await;
        assert_eq!(heard["params"]["result"]["content"][0]["text"], "open", "{row}: {heard}");
    }
}

#[tokio::test]
async fn a_stream_ends_where_nobody_can_tell_whether_its_news_may_be_told() {
    // In a single process without others nobody has to be asked.
    let Some(url) = db::testing::postgres_url().await else { return };
    let server = plan().start().await;
    let site = super::Site::new(Some(url.clone()));
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let client = client(&served, "main/mail", &token);
    let id = begin(&client, "echo").await;
    let mut stream = client.open(listen(&client, &[&id])).await;
    assert_eq!(stream.message().await["method"], ACKNOWLEDGED);
    let theirs = server.next().await.stream();
    theirs.notification(ACKNOWLEDGED, "{}").await;
    let locked = gate::close(&url).await;
    theirs.notification(TASKS, &status("upstream-7", "done")).await;
    assert_eq!(within("the stream's end", stream.next()).await, None);
    locked.rollback().await.unwrap();
    let refusals = r#"ostiary_refusals_total{reason="gate_closed"}"#;
    assert_eq!(served.metrics().await[refusals], 1);
}

#[tokio::test]
async fn rules_of_a_tool_hold_for_what_is_told_of_its_tasks() {
    let server = plan().start().await;
    let site = super::Site::new(None);
    let documents = Documents::of_two_people("mail", &server.url).rules(&[
        r"name: phones, pattern: '\+49-\d{3}', tools: [mail__echo], action: { type: redact }",
        "name: attacks, pattern: 'attack', tools: [mail__echo], action: { type: block, message: no }",
    ]);
    let served = site.start_with(&documents).await;
    let token = served.token("bot", "t").await;
    let client = client(&served, "main/mail", &token);
    let id = begin(&client, "echo").await;
    let mut stream = client.open(listen(&client, &[&id])).await;
    assert_eq!(stream.message().await["method"], ACKNOWLEDGED);
    let theirs = server.next().await.stream();
    theirs.notification(ACKNOWLEDGED, "{}").await;
    theirs.notification(TASKS, &status("upstream-7", "attack now")).await;
    theirs.notification(TASKS, &status("upstream-7", "call +49-123")).await;
    let heard = stream.message().await;
    let text = &heard["params"]["result"]["content"][0]["text"];
    assert_eq!(*text, "call [redacted]", "{heard}");
}

#[tokio::test]
async fn whoever_wants_to_hear_of_tasks_must_know_them() {
    let server = plan().start().await;
    let site = super::Site::new(None);
    let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
    let token = served.token("bot", "t").await;
    let mut client = client(&served, "main/mail", &token);
    let id = begin(&client, "echo").await;
    "{}".clone_into(&mut client.capabilities);
    let answer = client.send(listen(&client, &[&id])).await;
    assert_eq!(answer.verdict(), "400/-32021", "{}", answer.text());
    assert!(server.seen_of("subscriptions/listen").is_empty());
}
