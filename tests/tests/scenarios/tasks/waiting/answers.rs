//! What comes of tasks, and what they want to know.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Era, Site};

use super::super::KNOWS_TASKS;
use super::{BEGUN, DONE, FORM, ROOTS, TASKS, World, again, asking, declared, telling};

#[tokio::test]
async fn a_client_that_knows_no_tasks_gets_what_comes_of_one() {
    for world in World::on_each_database().await {
        for era in [Era::Modern, Era::Legacy] {
            let row = format!("{era:?}, {}", world.site.database());
            let client = world.client(era).await;
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                world.begin().await;
                world.look(r#""status":"working","pollIntervalMs":0"#).await;
                world.look(r#""status":"working""#).await;
                world.look(DONE).await;
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            assert!(answer.text().contains(r#""structuredContent":{"n":1.0}"#), "{row}");
            let kind = &answer.json()["result"]["resultType"];
            let expected = if era == Era::Modern { json!("complete") } else { Value::Null };
            assert_eq!(*kind, expected, "{row}: {}", answer.text());
            assert!(!answer.text().contains("t/1"), "{row}: {}", answer.text());
        }
        assert_eq!(world.ends().await, ["answered", "answered"], "one call each in the record");
    }
}

#[tokio::test]
async fn a_client_that_wants_progress_hears_how_far_a_task_has_come() {
    let world = World::new().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        let post = client.tool_with_progress("echo", r#""p""#);
        let (mut stream, ()) = join(client.open(post), async {
            world.begin().await;
            world
                .look(r#""status":"working","statusMessage":"half, +49-123","pollIntervalMs":1"#)
                .await;
        })
        .await;
        let heard = stream.message().await;
        assert_eq!(heard["method"], "notifications/progress", "{heard}");
        let params = json!({"progressToken": "p", "progress": 1, "message": "half, [redacted]"});
        assert_eq!(heard["params"], params, "{era:?}");
        world
            .look(r#""status":"working","statusMessage":"half, +49-123","pollIntervalMs":1"#)
            .await;
        world.look(r#""status":"working","pollIntervalMs":1"#).await;
        let heard = stream.message().await;
        assert_eq!(heard["params"], json!({"progressToken": "p", "progress": 2}), "{era:?}");
        world.look(DONE).await;
        assert!(stream.message().await["result"].is_object(), "{era:?}");
    }
}

#[tokio::test]
async fn progress_of_a_task_goes_on_from_that_of_its_call() {
    let world = World::new().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        let (mut stream, ()) = join(client.open(client.tool_with_progress("echo", "7")), async {
            let talk = world.server.next().await.stream();
            let half = r#"{"progressToken":7,"progress":50.5,"total":100}"#;
            talk.notification("notifications/progress", half).await;
            talk.result(BEGUN).await;
            world.look(r#""status":"working","pollIntervalMs":1"#).await;
        })
        .await;
        assert_eq!(stream.message().await["params"]["progress"], 50.5, "{era:?}");
        assert_eq!(stream.message().await["params"]["progress"], 51, "{era:?}");
        world.look(DONE).await;
        assert!(stream.message().await["result"].is_object(), "{era:?}");
    }
}

#[tokio::test]
async fn a_legacy_client_is_asked_what_a_task_wants_to_know() {
    for world in World::on_each_database().await {
        let row = world.site.database();
        let client = world.client(Era::Legacy).await;
        let asked = asking(&[("a", &FORM.replace('?', "is it +49-123?")), ("r", ROOTS)]);
        let (mut stream, ()) = join(client.open(client.tool("echo", "{}")), async {
            world.begin().await;
            world.look(&asked).await;
        })
        .await;
        for result in [r#"{"action":"accept","content":{"n":1.0}}"#, r#"{"roots":[]}"#] {
            let question = stream.message().await;
            assert!(!question.to_string().contains("+49"), "{row}: {question}");
            let taken = client.send(client.reply(&question["id"], result)).await;
            assert_eq!(taken.status, 202, "{row}: {}", taken.text());
        }
        let update = world.about("tasks/update").await;
        let expected = r#"{"a":{"action":"accept","content":{"n":1.0}},"r":{"roots":[]}}"#;
        assert_eq!(update.raw(&["params", "inputResponses"]), expected, "{row}");
        update.result(r#"{"resultType":"complete"}"#);
        // It has not taken them yet, and wants something else as well.
        world.look(&asked).await;
        let (one, two) = (("a", FORM), ("b", FORM));
        world.look(&asking(&[one, two])).await;
        let question = stream.message().await;
        let reply = client.reply(&question["id"], r#"{"action":"decline"}"#);
        assert_eq!(client.send(reply).await.status, 202, "{row}");
        let update = world.about("tasks/update").await;
        let expected = r#"{"b":{"action":"decline"}}"#;
        assert_eq!(update.raw(&["params", "inputResponses"]), expected, "{row}");
        update.result("{}");
        world.look(DONE).await;
        assert!(stream.message().await["result"].is_object(), "{row}");
        assert_eq!(world.ends().await, ["answered"], "{row}");
    }
}

#[tokio::test]
async fn a_modern_client_comes_back_with_what_a_task_wants_to_know() {
    for world in World::on_each_database().await {
        let row = world.site.database();
        let client = world.client(Era::Modern).await;
        let asked = asking(&[("a", FORM), ("r", ROOTS)]);
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            world.begin().await;
            world.look(&asked).await;
        })
        .await;
        let result = &answer.json()["result"];
        assert_eq!(result["resultType"], "input_required", "{row}: {}", answer.text());
        let keys: Vec<_> = result["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["a", "r"], "{row}");
        assert!(!answer.text().contains("t/1"), "{row}: {}", answer.text());
        let state = result["requestState"].clone();
        // Nothing is held for it meanwhile: another process goes on.
        let World { server, served, site, token } = world;
        assert!(served.stop().await.success());
        let served = site.start().await;
        let world = World { server, served, site, token };
        let client = world.client(Era::Modern).await;
        let answers = r#"{"a":{"action":"accept","content":{"n":"+49-123"}}}"#;
        let (answer, ()) = join(client.send(again(&client, &state, answers)), async {
            let update = world.about("tasks/update").await;
            let given = r#"{"a":{"action":"accept","content":{"n":"[redacted]"}}}"#;
            assert_eq!(update.raw(&["params", "inputResponses"]), given, "{row}");
            update.result("{}");
            // What has not been answered is asked again.
            world.look(&asked).await;
        })
        .await;
        let result = &answer.json()["result"];
        let keys: Vec<_> = result["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["r"], "{row}: {}", answer.text());
        let state = &result["requestState"];
        let (answer, ()) =
            join(client.send(again(&client, state, r#"{"r":{"roots":[]}}"#)), async {
                world.about("tasks/update").await.result("{}");
                world.look(DONE).await;
            })
            .await;
        assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
        assert_eq!(answer.json()["result"]["structuredContent"], json!({"n": 1.0}), "{row}");
        assert_eq!(world.server.seen_of("tools/call").len(), 1, "{row}: it is called once");
    }
}

#[tokio::test]
async fn a_server_is_not_waited_for_unless_it_is_set_to_it() {
    let world = World::at(Site::new(None), "relay", "").await;
    for era in [Era::Modern, Era::Legacy] {
        let client = world.client(era).await;
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = world.server.next().await;
            assert_eq!(declared(&call.json()).get("extensions"), None, "{era:?}: {}", call.body);
            call.result(r#"{"resultType":"complete","content":[]}"#);
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{era:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_client_that_knows_tasks_gets_them_itself() {
    let world = World::new().await;
    let mut client = world.client(Era::Modern).await;
    KNOWS_TASKS.clone_into(&mut client.capabilities);
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), world.begin()).await;
    assert_eq!(answer.json()["result"]["resultType"], "task", "{}", answer.text());
    assert!(!answer.text().contains("t/1"), "{}", answer.text());
    assert!(world.server.seen_of("tasks/get").is_empty());
}

#[tokio::test]
async fn a_server_that_says_when_a_task_has_changed_is_asked_then() {
    let plan = telling().on("tools/call", |call| async move {
        call.result(&BEGUN.replace(r#""pollIntervalMs":1"#, r#""pollIntervalMs":30000"#));
    });
    let world = World::with(plan, Site::new(None), "wait", "").await;
    let client = world.client(Era::Modern).await;
    let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
        let listening = world.server.next().await;
        assert_eq!(listening.method, "subscriptions/listen", "{}", listening.body);
        let wanted = listening.raw(&["params", "notifications"]);
        assert_eq!(wanted, r#"{"taskIds":["t/1"]}"#);
        assert_eq!(declared(&listening.json())["extensions"][TASKS], json!({}));
        let talk = listening.stream();
        talk.notification("notifications/subscriptions/acknowledged", "{}").await;
        let changed = async |id: &str| {
            let params = format!(r#"{{"taskId":"{id}","status":"completed","result":{{}}}}"#);
            talk.notification("notifications/tasks", &params).await;
        };
        // What it says of others, or of anything else, is nothing to ask about.
        changed("t/2").await;
        talk.notification("notifications/tools/list_changed", "{}").await;
        for _ in 0..50 {
            changed("t/1").await;
        }
        world.look(r#""status":"working","pollIntervalMs":30000"#).await;
        // It is asked, and not believed.
        world.look(DONE).await;
        talk.given_up().await;
    })
    .await;
    assert_eq!(answer.json()["result"]["structuredContent"], json!({"n": 1.0}));
    let looks = world.server.seen_of("tasks/get").len();
    assert!(looks <= 4, "it is not asked as often as it says, but {looks} times");
}
