//! What the gateway keeps of such tasks, and what it lets out of that.

use futures::future::join;
use serde_json::json;
use tests::Site;

use super::{ALONE, DONE, FORM, World, about, asking_for_task, listed, task};

#[tokio::test]
async fn what_a_server_says_of_a_task_is_not_told_by_another_way_than_through_the_rules() {
    for action in ["{ type: redact }", "{ type: block, message: no }"] {
        let world = World::with_rule(
            Site::new(None),
            &format!(r"name: phones, pattern: '\+49-\d{{3}}', action: {action}"),
        )
        .await;
        let client = world.client(ALONE, "bot").await;
        let id = world.begin(&client, "echo").await;
        let result = client.send(about(&client, "tasks/result", &id));
        let (answer, ()) = join(result, async {
            for status in ["working", "input_required"] {
                let words = format!(r#""status":"{status}","statusMessage":"+49-123""#);
                let task = task(&words).replace("2026-01-01T00:00:00Z", "+49-123");
                world.next("tasks/get").await.result(&task);
            }
            world.look(r#""status":"working""#).await;
            assert!(!json!(listed(&client).await).to_string().contains("+49"), "{action}");
            world.look(&format!(r#"{DONE},"statusMessage":"+49-123""#)).await;
        })
        .await;
        assert!(!answer.text().contains("+49"), "{action}: {}", answer.text());
        // It has ended, and its server goes on to say this and that.
        let (answer, ()) = join(client.send(about(&client, "tasks/get", &id)), async {
            world.look(r#""status":"working""#).await;
        })
        .await;
        assert_eq!(answer.json()["result"]["status"], "completed", "{}", answer.text());
        assert!(!answer.text().contains("+49"), "{action}: {}", answer.text());
        let list = listed(&client).await;
        assert_eq!(list[0]["status"], "completed", "{list:?}");
        assert!(!json!(list).to_string().contains("+49"), "{action}: {list:?}");
    }
}

#[tokio::test]
async fn a_task_that_its_client_is_not_told_of_ends_at_its_server() {
    let rule = "name: attacks, pattern: 'attack', action: { type: block, message: no }";
    let world = World::with_rule(Site::new(None), rule).await;
    let client = world.client(ALONE, "bot").await;
    let (answer, ()) = join(client.send(asking_for_task(&client, "echo")), async {
        let begun = task(r#""status":"working","statusMessage":"attack""#);
        world.next("tools/call").await.result(&begun.replace("complete", "task"));
        world.next("tasks/cancel").await.result("{}");
    })
    .await;
    assert_eq!(
        answer.json().get("result").and_then(|it| it.get("task")),
        None,
        "{}",
        answer.text()
    );
    assert!(listed(&client).await.is_empty());
}

#[tokio::test]
async fn an_answer_that_the_server_has_not_taken_is_asked_for_again() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let id = world.begin(&client, "echo").await;
    let asking = format!(r#""status":"input_required","inputRequests":{{"a":{FORM}}}"#);
    for attempt in 0..3 {
        let (mut stream, ()) =
            join(client.open(about(&client, "tasks/result", &id)), world.look(&asking)).await;
        let question = stream.message().await;
        assert_eq!(question["method"], "elicitation/create", "{attempt}: {question}");
        let reply = client.reply(&question["id"], r#"{"action":"accept","content":{}}"#);
        assert_eq!(client.send(reply).await.status, 202);
        let update = world.next("tasks/update").await;
        assert_eq!(update.raw(&["params", "inputResponses", "a", "action"]), r#""accept""#);
        match attempt {
            0 => update.refuse(503),
            1 => update.error(-32603, "not now"),
            _ => {
                update.result(r#"{"resultType":"complete"}"#);
                world.look(DONE).await;
            }
        }
        let end = loop {
            let heard = stream.message().await;
            if heard.get("method").is_none() {
                break heard;
            }
        };
        assert_eq!(end.get("result").is_some(), attempt == 2, "{attempt}: {end}");
    }
}

#[tokio::test]
async fn a_result_that_is_too_large_is_refused_and_nothing_else_goes_for_it() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let call = async |result: &str| {
        let (answer, ()) = join(client.send(asking_for_task(&client, "echo")), async {
            world.next("tools/call").await.result(result);
        })
        .await;
        answer
    };
    assert_eq!(call(r#"{"content":[]}"#).await.verdict(), "200");
    let before = listed(&client).await;
    let large = format!(r#"{{"content":[],"structuredContent":"{}"}}"#, "x".repeat(5 << 20));
    let answer = call(&large).await;
    assert_eq!(answer.reason().as_deref(), Some("no_room"), "{:.300}", answer.text());
    assert_eq!(listed(&client).await, before);
    assert_eq!(before.len(), 1);
}
