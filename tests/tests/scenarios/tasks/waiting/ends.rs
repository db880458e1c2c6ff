//! How a wait ends otherwise: by the client, by a limit, a cut-off, or what a server does wrong.

use futures::future::join;
use http::Method;
use serde_json::json;
use tests::{Era, Site};

use super::{DONE, FORM, World, again, asking};

#[tokio::test]
async fn a_task_that_fails_fails_its_call() {
    let world = World::at(Site::new(None), "wait", "probe_seconds = 0\n").await;
    let error = r#""status":"failed","error":{"code":-32050,"message":"it broke"}"#;
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        for (said, expected) in
            [(error, "it broke"), (r#""status":"cancelled""#, "it has cancelled its task")]
        {
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                world.begin().await;
                world.look(said).await;
            })
            .await;
            assert!(answer.text().contains(expected), "{era:?}: {}", answer.text());
        }
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.begin().await;
            world.about("tasks/get").await.error(-32602, "no such task");
        })
        .await;
        let text = answer.text();
        assert!(text.contains("it does not know its task any more"), "{era:?}: {text}");
    }
    assert!(world.server.seen_of("tasks/cancel").is_empty(), "there is nothing to cancel");
    let server = world.served.must(Method::GET, "servers/mail", None).await;
    assert_eq!(server["status"]["state"], "up", "a task that is over is no fault: {server}");
}

#[tokio::test]
async fn h060_a_state_leads_to_a_task_for_the_same_call_only() {
    let world = World::new().await;
    let client = world.client(Era::Modern).await;
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        world.begin().await;
        world.look(&asking(&[("a", FORM)])).await;
    })
    .await;
    let state = answer.json()["result"]["requestState"].clone();
    let other =
        again(&client, &state, "{}").replacing(r#""arguments":{}"#, r#""arguments":{"n":1}"#);
    let mut text = state.as_str().unwrap().to_owned();
    let at = text.len() / 2;
    text.replace_range(at..=at, if text.as_bytes()[at] == b'A' { "B" } else { "A" });
    // What is no state of ours is its server's, which has it to judge.
    for post in [other, again(&client, &json!(text), "{}")] {
        let (answer, ()) = join(client.send(post), async {
            let call = world.server.next().await;
            assert_eq!(call.method, "tools/call", "{}", call.body);
            call.error(-32602, "what state is this");
        })
        .await;
        assert_eq!(answer.verdict(), "200/-32602", "{}", answer.text());
    }
    assert!(world.server.seen_of("tasks/update").is_empty());
}

#[tokio::test]
async fn a_client_that_gives_its_call_up_takes_the_task_along() {
    for world in World::on_each_database().await {
        let row = world.site.database();
        let legacy = world.client(Era::Legacy).await;
        let post = legacy.tool("echo", "{}");
        let id = post.id.clone();
        let cancelled =
            legacy.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
        let (_, ()) = join(legacy.send(post), async {
            world.begin().await;
            // Heard by whoever follows the task, and not by the call that has begun it.
            let looked = world.about("tasks/get").await;
            assert_eq!(legacy.send(cancelled).await.status, 202, "{row}");
            looked.given_up().await;
            world.about("tasks/cancel").await.result("{}");
        })
        .await;
        // While it is asked something.
        let post = legacy.tool("echo", "{}");
        let id = post.id.clone();
        let cancelled =
            legacy.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
        let (mut stream, ()) = join(legacy.open(post), async {
            world.begin().await;
            world.look(&asking(&[("a", FORM)])).await;
        })
        .await;
        stream.message().await;
        assert_eq!(legacy.send(cancelled).await.status, 202, "{row}");
        world.about("tasks/cancel").await.result("{}");
        drop(stream);
        let modern = world.client(Era::Modern).await;
        let post = modern.tool_with_progress("echo", "1");
        let (mut stream, ()) = join(modern.open(post), async {
            world.begin().await;
            world.look(r#""status":"working","pollIntervalMs":30000"#).await;
        })
        .await;
        stream.message().await;
        drop(stream);
        world.about("tasks/cancel").await.result("{}");
        assert_eq!(world.ends().await, ["client_cancelled"; 3], "{row}");
    }
}

#[tokio::test]
async fn a_task_that_never_ends_is_waited_for_no_longer_than_the_limit() {
    let world = World::at(Site::new(None), "wait", "task_seconds = 1").await;
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.begin().await;
            loop {
                let arrived = world.server.next().await;
                if arrived.method == "tasks/cancel" {
                    assert_eq!(arrived.raw(&["params", "taskId"]), r#""t/1""#);
                    return arrived.result("{}");
                }
                arrived.result(r#"{"status":"working","pollIntervalMs":1}"#);
            }
        })
        .await;
        let text = answer.text();
        assert!(text.contains("it did not answer within 1s"), "{era:?}: {text}");
        let looks = world.server.seen_of("tasks/get").len();
        assert!(looks <= 8, "{era:?}: it is not asked as often as it says, but {looks} times");
    }
    assert_eq!(world.ends().await, ["upstream", "upstream"]);
}

#[tokio::test]
async fn a_cut_off_ends_the_wait_and_says_nothing_more_to_the_server() {
    for world in World::on_each_database().await {
        let row = world.site.database();
        let client = world.client(Era::Legacy).await;
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.begin().await;
            let looked = world.about("tasks/get").await;
            let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
            world.served.must(Method::POST, "cutoffs", Some(off)).await;
            looked.given_up().await;
        })
        .await;
        assert!(answer.text().contains("a drill"), "{row}: {}", answer.text());
        let calls = world.server.calls();
        let methods = calls.iter().map(|it| it.method.as_str());
        let methods: Vec<_> = methods.filter(|it| *it != "subscriptions/listen").collect();
        assert_eq!(methods, ["tools/call", "tasks/get"], "{row}");
        assert_eq!(world.ends().await, ["switched_off"], "{row}");
    }
}

#[tokio::test]
async fn what_a_server_cannot_mean_of_a_task_ends_its_call() {
    let world = World::new().await;
    let many: Vec<String> = (0..1_000).map(|it| format!(r#""k{it}":{FORM}"#)).collect();
    let many = format!(r#""status":"input_required","inputRequests":{{{}}}"#, many.join(","));
    let rows = [
        (r#""taskId":"t/2","status":"completed","result":{"content":[]}"#, "another id"),
        (r#""status":"done""#, "a status"),
        (r#""status":"completed""#, "no result"),
        (r#""status":"completed","result":[]"#, "no result"),
        (
            r#""status":"completed","result":{"resultType":"task","taskId":"t/2","status":"working"}"#,
            "of a kind that there is not",
        ),
        (
            r#""status":"completed","result":{"resultType":"input_required","requestState":"x"}"#,
            "of a kind that there is not",
        ),
        (r#""status":"failed""#, "no error"),
        (r#""status":"failed","error":"x""#, "not valid MCP"),
        (&many, "too many questions"),
        (
            r#""status":"input_required","inputRequests":{"a":{"method":"tools/call"}}"#,
            "not valid MCP",
        ),
        (
            r#""status":"input_required","inputRequests":{"a":{"method":"sampling/createMessage","params":{}}}"#,
            "sampling",
        ),
    ];
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        for (said, expected) in &rows {
            let row = format!("{era:?} {:.80}", said);
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                world.begin().await;
                let looked = world.about("tasks/get").await;
                looked.result(&format!("{{{said}}}"));
                world.about("tasks/cancel").await.result("{}");
            })
            .await;
            assert!(answer.text().contains(expected), "{row}: {}", answer.text());
        }
    }
    let long =
        format!(r#"{{"resultType":"task","taskId":"{}","status":"working"}}"#, "x".repeat(1_001));
    for begun in [long.as_str(), r#"{"resultType":"task","status":"working"}"#] {
        let client = world.client(Era::Legacy).await;
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.server.next().await.result(begun);
        })
        .await;
        assert!(answer.text().contains("the id of a task"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again_and_one_that_has_ended_is_not() {
    let world = World::new().await;
    let client = world.client(Era::Modern).await;
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        world.begin().await;
        world.about("tasks/get").await.refuse(503);
        world.about("tasks/get").await.error(-32603, "not now");
        world.look(DONE).await;
    })
    .await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    let looks = world.server.seen_of("tasks/get").len();
    // Whatever it would say now is of no concern.
    let answer = client.send(client.request("tools/list", "")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.server.seen_of("tasks/get").len(), looks);
}
