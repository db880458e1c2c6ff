//! How such tasks end, and who may ask about them.

use futures::future::join;
use http::Method;
use serde_json::json;

use super::{ALONE, DONE, JOINED, World, about, id_of, question, until, update};

#[tokio::test]
async fn a_task_is_cancelled_at_its_server_and_stays_so() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&client, "long", 60_000).await;
    let id = id_of(&task);
    talk.message(&question("a")).await;
    until(&client, &id, "input_required").await;
    let answer = client.send(about(&client, "tasks/cancel", &id)).await;
    assert_eq!(answer.json()["result"], json!({"resultType": "complete"}), "{}", answer.text());
    talk.given_up().await;
    let cancelled = world.next("tasks/cancel").await;
    assert_eq!(cancelled.raw(&["params", "taskId"]), r#""t1""#);
    cancelled.result("{}");
    let task = until(&client, &id, "cancelled").await;
    assert_eq!(task.get("inputRequests"), None, "{task}");
    for post in [about(&client, "tasks/cancel", &id), update(&client, &id, r#"{"q1":{}}"#)] {
        assert_eq!(client.send(post).await.verdict(), "200");
    }
    until(&client, &id, "cancelled").await;
    assert_eq!(world.server.seen_of("tasks/cancel").len(), 1);
    assert_eq!(world.replies(), 0);
}

#[tokio::test]
async fn an_error_of_a_task_is_its_end_and_a_stream_that_breaks_is_none() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&client, "long", 60_000).await;
    let id = id_of(&task);
    drop(talk);
    until(&client, &id, "working").await;
    world.next("tasks/result").await.error(-32000, "no");
    let task = until(&client, &id, "failed").await;
    assert_eq!(task["error"], json!({"code": -32000, "message": "no"}), "{task}");
    // What has no resource has another code in its client's era.
    let (task, talk) = world.begin(&client, "long", 60_000).await;
    drop(talk);
    world.next("tasks/result").await.error(-32002, "none");
    let task = until(&client, &id_of(&task), "failed").await;
    assert_eq!(task["error"], json!({"code": -32602, "message": "none"}), "{task}");
}

#[tokio::test]
async fn a_task_whose_time_is_over_is_forgotten_and_ends_at_its_server() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&client, "long", 300).await;
    let id = id_of(&task);
    assert_eq!(task["ttlMs"], 300, "{task}");
    talk.given_up().await;
    world.next("tasks/cancel").await.result("{}");
    loop {
        let answer = client.send(about(&client, "tasks/get", &id)).await;
        if answer.verdict() == "200/-32602" {
            break;
        }
        assert_eq!(answer.verdict(), "200", "{}", answer.text());
    }
}

#[tokio::test]
async fn h060_nobody_reaches_a_task_of_a_legacy_server_but_whom_it_was_given_to() {
    let world = World::new().await;
    let own = world.client(ALONE, "bot").await;
    let (task, talk) = world.begin(&own, "long", 60_000).await;
    let id = id_of(&task);
    let mut changed = id.clone();
    changed.replace_range(30..31, if changed.as_bytes()[30] == b'A' { "B" } else { "A" });
    let other = world.client(ALONE, "other").await;
    let whole = world.client(JOINED, "other").await;
    for (thief, id) in
        [(&other, id.as_str()), (&whole, &id), (&own, &changed), (&own, "t1"), (&own, "")]
    {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let answer = thief.send(about(thief, method, id)).await;
            assert_eq!(answer.verdict(), "200/-32602", "{method} {id}: {}", answer.text());
        }
    }
    // A legacy client of the same app gets nothing by it either.
    let token = world.served.token("bot", "legacy").await;
    let legacy =
        tests::Client::legacy_with_token(&world.served, (JOINED, &token), "2025-11-25", "{}").await;
    let answer = legacy.send(legacy.request("tasks/get", &format!(r#""taskId":"{id}""#))).await;
    assert!(["200/-32601", "200/-32602"].contains(&answer.verdict().as_str()), "{}", answer.text());
    until(&own, &id, "working").await;
    let off = json!({"kind": "tool", "name": "mail/long", "reason": "a drill"});
    world.served.must(Method::POST, "cutoffs", Some(off)).await;
    // It is under way by itself, after its call, and ends as all that is.
    talk.given_up().await;
    let answer = own.send(about(&own, "tasks/get", &id)).await;
    assert_eq!(answer.code(), Some(1403), "{}", answer.text());
    for method in ["tasks/get", "tasks/cancel"] {
        assert!(world.server.seen_of(method).is_empty(), "{method}");
    }
}

#[tokio::test]
async fn a_task_does_not_outlive_the_process_that_tends_it() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let (task, _talk) = world.begin(&client, "long", 60_000).await;
    let id = id_of(&task);
    let World { server, served, site } = world;
    assert!(served.stop().await.success());
    assert!(server.seen_of("tasks/cancel").is_empty(), "its server is left without a word");
    let served = site.start().await;
    let token = served.token("bot", "again").await;
    let mut client = tests::Client::modern_with_token(&served, ALONE, &token);
    super::KNOWS.clone_into(&mut client.capabilities);
    client.warm_up().await;
    let answer = client.send(about(&client, "tasks/get", &id)).await;
    assert_eq!(answer.verdict(), "200/-32602", "{}", answer.text());
}

#[tokio::test]
async fn an_app_has_so_many_tasks_at_a_time_and_none_too_many_is_begun() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let mut talks = Vec::new();
    for _ in 0..64 {
        talks.push(world.begin(&client, "either", 60_000).await);
    }
    // What must be a task is not sent, and what may be one is called as ever.
    let answer = client.send(client.tool("long", "{}")).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.reason().as_deref(), Some("too_many_tasks"));
    assert_eq!(world.server.seen_of("tools/call").len(), 64);
    let (answer, ()) = join(client.send(client.tool("either", "{}")), async {
        let call = world.next("tools/call").await;
        assert!(!call.body.contains(r#""task""#), "{}", call.body);
        call.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
    // One that has ended leaves its place to the next, and can be asked about.
    let (ended, talk) = talks.pop().unwrap();
    talk.result(DONE).await;
    until(&client, &id_of(&ended), "completed").await;
    let (task, _talk) = world.begin(&client, "long", 60_000).await;
    until(&client, &id_of(&task), "working").await;
    until(&client, &id_of(&ended), "completed").await;
    assert!(world.server.seen_of("tasks/cancel").is_empty());
}

#[tokio::test]
async fn a_server_that_begins_no_proper_task_fails_its_call_or_answers_it() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let long = format!(r#"{{"task":{{"taskId":"{}","status":"working"}}}}"#, "x".repeat(1_001));
    for begun in [long.as_str(), r#"{"task":{}}"#, r#"{"task":{"taskId":"t1","status":"odd"}}"#] {
        let (answer, ()) = join(client.send(client.tool("long", "{}")), async {
            world.next("tools/call").await.result(begun);
            if begun.contains("odd") {
                world.next("tasks/cancel").await.result("{}");
            }
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{begun:.40}: {}", answer.text());
    }
    // It may answer at once as well.
    let (answer, ()) = join(client.send(client.tool("either", "{}")), async {
        world.next("tools/call").await.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
    assert!(world.server.seen_of("tasks/result").is_empty());
}
