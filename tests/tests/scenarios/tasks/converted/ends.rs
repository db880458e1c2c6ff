//! How such tasks end, and who may ask about them.

use futures::future::join;
use http::Method;
use serde_json::json;

use super::{ALONE, DONE, FORM, JOINED, World, about, asking_for_task, listed};

#[tokio::test]
async fn a_task_is_cancelled_and_stays_so() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let id = world.begin(&client, "echo").await;
    let (answer, ()) = join(client.send(about(&client, "tasks/cancel", &id)), async {
        world.look(r#""status":"working","statusMessage":"half""#).await;
        world.next("tasks/cancel").await.result(r#"{"resultType":"complete"}"#);
    })
    .await;
    let expected = json!({"taskId": id, "status": "cancelled", "ttl": 60000, "pollInterval": 1,
        "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-02T00:00:00Z"});
    assert_eq!(answer.json()["result"], expected, "{}", answer.text());
    assert_eq!(listed(&client).await, std::slice::from_ref(&expected));
    // Its server may take its time, or change its mind.
    let (answer, ()) = join(client.send(about(&client, "tasks/get", &id)), world.look(DONE)).await;
    assert_eq!(answer.json()["result"], expected, "{}", answer.text());
    for (method, looks) in [("tasks/result", DONE), ("tasks/cancel", r#""status":"working""#)] {
        let (answer, ()) = join(client.send(about(&client, method, &id)), world.look(looks)).await;
        assert_eq!(answer.verdict(), "200/-32602", "{method}: {}", answer.text());
    }
    assert_eq!(world.server.seen_of("tasks/cancel").len(), 1);
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled_and_what_fails_says_why() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let id = world.begin(&client, "echo").await;
    let failed = r#""status":"failed","error":{"code":-32000,"message":"no"}"#;
    let (answer, ()) =
        join(client.send(about(&client, "tasks/cancel", &id)), world.look(failed)).await;
    assert_eq!(answer.verdict(), "200/-32602", "{}", answer.text());
    let (answer, ()) =
        join(client.send(about(&client, "tasks/result", &id)), world.look(failed)).await;
    assert_eq!(answer.verdict(), "200/-32000", "{}", answer.text());
    // Its server forgets it, which a client takes for the same as an id that never was.
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let (answer, ()) = join(client.send(about(&client, method, &id)), async {
            world.next("tasks/get").await.error(-32602, "unknown");
        })
        .await;
        assert_eq!(answer.verdict(), "200/-32602", "{method}: {}", answer.text());
    }
}

#[tokio::test]
async fn h060_nobody_reaches_a_task_of_another_in_either_form() {
    let world = World::new().await;
    let own = world.client(ALONE, "bot").await;
    let (answer, ()) = join(own.send(asking_for_task(&own, "echo")), async {
        world.next("tools/call").await.result(r#"{"content":[]}"#);
    })
    .await;
    let held = answer.json()["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    let id = world.begin(&own, "echo").await;
    let mut changed = id.clone();
    changed.replace_range(30..31, if changed.as_bytes()[30] == b'A' { "B" } else { "A" });
    let other = world.client(ALONE, "other").await;
    let whole = world.client(JOINED, "other").await;
    let attempts = [(&other, &id), (&whole, &id), (&other, &held), (&own, &changed)];
    let made_up = "t/1".to_owned();
    for (thief, id) in attempts.into_iter().chain([(&own, &made_up)]) {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let answer = thief.send(about(thief, method, id)).await;
            assert_eq!(answer.verdict(), "200/-32602", "{method} {id}: {}", answer.text());
        }
    }
    assert!(listed(&other).await.is_empty());
    assert_eq!(listed(&own).await.len(), 2);
    for cursor in ["", "AAAA", id.as_str()] {
        let list = own.request("tasks/list", &format!(r#""cursor":"{cursor}""#));
        assert_eq!(own.send(list).await.verdict(), "200/-32602", "{cursor}");
    }
    for method in ["tasks/get", "tasks/cancel"] {
        assert!(world.server.seen_of(method).is_empty(), "{method}");
    }
    // Whoever may not call the tool any more gets nothing of its tasks, be they kept here or there.
    let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
    world.served.must(Method::POST, "cutoffs", Some(off)).await;
    for id in [&id, &held] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let answer = own.send(about(&own, method, id)).await;
            assert_eq!(answer.code(), Some(1403), "{method}: {}", answer.text());
        }
    }
    assert!(listed(&own).await.is_empty());
}

#[tokio::test]
async fn a_result_is_waited_for_twice_and_what_is_asked_is_answered_once() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let id = world.begin(&client, "echo").await;
    let asking = format!(r#""status":"input_required","inputRequests":{{"a":{FORM}}}"#);
    let (mut first, ()) =
        join(client.open(about(&client, "tasks/result", &id)), world.look(&asking)).await;
    let early = first.message().await;
    let (mut second, ()) =
        join(client.open(about(&client, "tasks/result", &id)), world.look(&asking)).await;
    let late = second.message().await;
    assert_ne!(early["id"], late["id"]);
    for question in [&late, &early] {
        let reply = client.reply(&question["id"], r#"{"action":"decline"}"#);
        assert_eq!(client.send(reply).await.status, 202);
        if *question == late {
            world.next("tasks/update").await.result("{}");
        }
    }
    let results = async {
        let mut ended = 0;
        for stream in [&mut first, &mut second] {
            while stream.message().await.get("result").is_none() {}
            ended += 1;
        }
        ended
    };
    let (ended, ()) = join(results, async {
        for _ in 0..2 {
            world.look(DONE).await;
        }
    })
    .await;
    assert_eq!(ended, 2);
    assert_eq!(world.server.seen_of("tasks/update").len(), 1);
}

#[tokio::test]
async fn a_task_stays_whose_result_nobody_waits_for_any_more_and_one_that_a_restart_has_left() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let id = world.begin(&client, "echo").await;
    let post = about(&client, "tasks/result", &id);
    let call = post.id.clone();
    let asking = format!(r#""status":"input_required","inputRequests":{{"a":{FORM}}}"#);
    let (mut stream, ()) = join(client.open(post), world.look(&asking)).await;
    assert_eq!(stream.message().await["method"], "elicitation/create");
    let cancelled =
        client.notification("notifications/cancelled", &format!(r#""requestId":{call}"#));
    assert_eq!(client.send(cancelled).await.status, 202);
    drop(stream);
    let World { server, served, site } = world;
    assert!(served.stop().await.success());
    assert!(server.seen_of("tasks/cancel").is_empty());
    let world = World { served: site.start().await, server, site };
    let client = world.client(ALONE, "bot").await;
    let (answer, ()) =
        join(client.send(about(&client, "tasks/result", &id)), world.look(DONE)).await;
    assert_eq!(
        answer.json()["result"]["structuredContent"],
        json!({"n": 1.0}),
        "{}",
        answer.text()
    );
    assert_eq!(listed(&client).await[0]["status"], "completed");
}

#[tokio::test]
async fn a_server_that_says_what_no_task_is_fails_what_was_asked() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let long = format!(r#""taskId":"{}""#, "x".repeat(1_001));
    for begun in [long.as_str(), r#""taskId":"""#, r#""x":1"#, r#""taskId":"t","status":"odd""#] {
        let (answer, ()) = join(client.send(asking_for_task(&client, "echo")), async {
            let task = format!(r#"{{"resultType":"task",{begun}}}"#);
            world.next("tools/call").await.result(&task);
            if begun.contains("odd") {
                let cancelled = world.server.next().await;
                assert_eq!(cancelled.method, "tasks/cancel", "{}", cancelled.body);
                cancelled.result("{}");
            }
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{begun:.40}: {}", answer.text());
    }
    assert!(listed(&client).await.is_empty());
    let id = world.begin(&client, "echo").await;
    for odd in [r#""status":"odd""#, r#""status":"working","taskId":"t/2""#] {
        let odd = format!(r#"{{{odd}}}"#);
        let (answer, ()) = join(client.send(about(&client, "tasks/get", &id)), async {
            world.next("tasks/get").await.result(&odd);
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{odd}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_result_is_kept_for_as_long_as_its_client_wants() {
    let world = World::new().await;
    let client = world.client(ALONE, "bot").await;
    let at_once = client.request("tools/call", r#""name":"echo","task":{"ttl":0}"#);
    let (answer, ()) = join(client.send(at_once), async {
        world.next("tools/call").await.result(r#"{"content":[]}"#);
    })
    .await;
    let task = &answer.json()["result"]["task"];
    assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(0)), "{task}");
    let id = task["taskId"].as_str().unwrap();
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let answer = client.send(about(&client, method, id)).await;
        assert_eq!(answer.verdict(), "200/-32602", "{method}: {}", answer.text());
    }
}
