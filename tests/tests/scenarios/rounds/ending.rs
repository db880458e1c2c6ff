//! Calls that end while their client is being asked.

use futures::future::join;
use http::Method;
use serde_json::{Value, json};
use tests::wait::eventually;
use tests::{Client, Site, Streamed, Upstream};

use super::{ALL, DONE, FORM, NEWEST, ROOTS, World, asking, ends};

/// Methods that may ask, what they are called with, and whether a failure is a result.
const CALLS: [(&str, &str, bool); 3] = [
    ("tools/call", r#""name":"echo","arguments":{}"#, true),
    ("prompts/get", r#""name":"hello""#, false),
    ("resources/read", r#""uri":"test://one""#, false),
];

/// The text of a call that has got no answer, in the form that its method has for it.
fn failure(answer: &Value, is_result: bool) -> String {
    if is_result {
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        return answer["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    }
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(answer["error"]["data"]["reason"], "unanswered", "{answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_answers_with_an_error_ends_the_call_and_all_other_questions() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    for (method, members, is_result) in CALLS {
        let first = asking(&[("a", FORM), ("b", ROOTS), ("c", FORM)], None);
        let (mut stream, _) = world.call(&client, client.request(method, members), &first).await;
        let questions = [stream.message().await, stream.message().await, stream.message().await];
        world.reply(&client, &questions[0], r#"{"action":"cancel"}"#).await;
        let no = client.reply(&questions[1]["id"], "{}");
        let no = no.replacing(r#""result":{}"#, r#""error":{"code":-1,"message":"I will not"}"#);
        assert_eq!(client.send(no).await.status, 202);
        // What nobody waits for any more is taken back.
        let taken_back = stream.message().await;
        assert_eq!(taken_back["method"], "notifications/cancelled", "{taken_back}");
        assert_eq!(taken_back["params"]["requestId"], questions[2]["id"]);
        let text = failure(&stream.message().await, is_result);
        let expected =
            "`files` asks for something and gets no answer: the client has answered with error -1";
        assert_eq!(text, expected);
        assert_eq!(stream.next().await, None);
        world.reply(&client, &questions[2], r#"{"action":"cancel"}"#).await;
    }
    assert_eq!(world.server.calls().len(), CALLS.len(), "nothing more has reached the server");
    let records = world.records().await;
    for (method, ..) in CALLS {
        assert_eq!(ends(&records, method), ["unanswered"], "{method}");
    }
    assert_eq!(ends(&records, ""), ["unanswered"; 3], "answers that did not leave");
    assert!(!format!("{records:?}").contains("I will not"));
}

#[tokio::test]
async fn an_answer_that_is_no_object_ends_the_call() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    for result in ["null", "[]", "\"accept\""] {
        let first = asking(&[("a", FORM)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        world.reply(&client, &question, result).await;
        let text = failure(&stream.message().await, true);
        assert!(text.ends_with("something that is no result"), "{result}: {text}");
    }
}

#[tokio::test]
async fn a_client_that_never_answers_is_not_waited_for_for_ever() {
    let site = Site::new(None);
    let file = site.home().join("ostiary.toml");
    std::fs::write(&file, "answer_seconds = 1").unwrap();
    let world = World::at(site, Upstream::modern(), &["--config", file.to_str().unwrap()]).await;
    let client = world.client(NEWEST, ALL).await;
    for (method, members, is_result) in CALLS {
        let first = asking(&[("a", FORM)], None);
        let (mut stream, _) = world.call(&client, client.request(method, members), &first).await;
        let question = stream.message().await;
        let taken_back = stream.message().await;
        assert_eq!(taken_back["params"]["requestId"], question["id"], "{method}: {taken_back}");
        let text = failure(&stream.message().await, is_result);
        assert!(text.ends_with("the client has not answered within 1s"), "{method}: {text}");
        // Now it is too late.
        world.reply(&client, &question, r#"{"action":"accept"}"#).await;
    }
    assert_eq!(world.server.calls().len(), CALLS.len());
    let records = world.records().await;
    assert_eq!(ends(&records, ""), [""; 0], "an answer that is too late is none");
}

#[tokio::test]
async fn what_a_client_has_not_declared_is_not_asked_and_is_named() {
    let world = World::of(Upstream::modern()).await;
    let page = r#"{"method":"elicitation/create","params":{"mode":"url","message":"m","url":"https://example.com/"}}"#;
    let tools =
        r#"{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"tools":[]}}"#;
    let some = r#"{"elicitation":{},"sampling":{}}"#;
    for (revision, declared, question, missing) in [
        (NEWEST, "{}", FORM, "elicitation.form"),
        (NEWEST, some, page, "elicitation.url"),
        (NEWEST, some, tools, "sampling.tools"),
        (NEWEST, some, ROOTS, "roots"),
        ("2025-06-18", ALL, page, "elicitation.url"),
        ("2025-03-26", ALL, FORM, "elicitation.form"),
        ("2024-11-05", ALL, FORM, "elicitation.form"),
    ] {
        let client = world.client(revision, declared).await;
        let row = format!("{revision} {declared} {missing}");
        for (method, members, is_result) in CALLS {
            // The server asks nevertheless, or says what it needs.
            let first = asking(&[("k", question)], None);
            let post = client.request(method, members);
            let (mut stream, _) = world.call(&client, post.clone(), &first).await;
            let text = failure(&stream.message().await, is_result);
            assert!(text.ends_with(&format!("capability `{missing}`")), "{row}: {text}");
            let (answer, ()) = join(client.send(post), async {
                let call = world.server.next().await;
                let (outer, inner) = missing.split_once('.').unwrap_or((missing, ""));
                let inner = if inner.is_empty() { json!({}) } else { json!({inner: {}}) };
                let error = json!({"code": -32021, "message": "m", "data": {"requiredCapabilities": {outer: inner}}});
                let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.id());
                call.respond(400, "application/json", body);
            })
            .await;
            assert_eq!(answer.status, 200, "{row}");
            assert_eq!(failure(&answer.json(), is_result), text, "{row}");
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_not_followed_for_ever() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let again = asking(&[("k", ROOTS)], Some(r#""s""#));
    let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &again).await;
    for _ in 0..8 {
        let question = stream.message().await;
        assert_eq!(question["method"], "roots/list", "{question}");
        world.reply(&client, &question, r#"{"roots":[]}"#).await;
        world.server.next().await.result(&again);
    }
    let text = failure(&stream.message().await, true);
    assert!(text.ends_with("it still asks after 8 rounds"), "{text}");
    assert_eq!(world.server.calls().len(), 9);
    let records = world.records().await;
    assert_eq!(ends(&records, "tools/call"), ["unanswered"]);
    assert_eq!(ends(&records, ""), ["told"; 8]);
}

/// A call whose client has answered one question of two.
async fn half_answered(world: &World, client: &Client) -> (Streamed, Value, String) {
    let post = client.tool("echo", "{}");
    let id = post.id.clone();
    let first = asking(&[("a", FORM), ("b", ROOTS)], Some(r#""s""#));
    let (mut stream, _) = world.call(client, post, &first).await;
    let questions = [stream.message().await, stream.message().await];
    world.reply(client, &questions[0], r#"{"action":"accept"}"#).await;
    let [_, open] = questions;
    (stream, open, id)
}

#[tokio::test]
async fn h068_a_call_that_is_cancelled_while_its_client_is_asked_is_over() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let (mut stream, open, id) = half_answered(&world, &client).await;
        let cancel =
            client.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
        assert_eq!(client.send(cancel).await.status, 202);
        assert_eq!(stream.next().await, None, "a call that was cancelled has no answer");
        world.reply(&client, &open, r#"{"roots":[]}"#).await;
        eventually("the end of the call is recorded", || {
            let ends = world.site.records();
            let ends = ends.iter().filter(|it| it.text("end") == Some("client_cancelled"));
            // The call, and the answer that did not leave.
            (ends.count() == 2).then_some(())
        })
        .await;
        assert_eq!(world.server.calls().len(), 1, "no answer has reached the server");
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["client_cancelled"]);
        assert_eq!(ends(&records, ""), ["client_cancelled"]);
    }
}

#[tokio::test]
async fn h068_a_client_that_cancels_the_second_attempt_is_heard_by_the_server() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let post = client.tool("echo", "{}");
    let id = post.id.clone();
    let (mut stream, _) = world.call(&client, post, &asking(&[("k", FORM)], None)).await;
    let question = stream.message().await;
    world.reply(&client, &question, r#"{"action":"accept"}"#).await;
    let second = world.server.next().await;
    let cancel = client.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
    assert_eq!(client.send(cancel).await.status, 202);
    second.given_up().await;
    assert_eq!(stream.next().await, None);
    let records = world.records().await;
    assert_eq!(ends(&records, "tools/call"), ["client_cancelled"]);
}

#[tokio::test]
async fn a_call_that_is_cut_off_while_its_client_is_asked_is_over() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        for (kind, name) in [("server", "files"), ("app", "bot"), ("gateway", "main")] {
            let row = format!("{kind}, {}", world.site.database());
            let seen = world.server.calls().len();
            let (mut stream, open, _) = half_answered(&world, &client).await;
            let cut = json!({"kind": kind, "name": name, "reason": "a drill"});
            world.served.must(Method::POST, "cutoffs", Some(cut)).await;
            let mut said = stream.message().await;
            if said["method"] == "notifications/cancelled" {
                assert_eq!(said["params"]["requestId"], open["id"], "{row}: {said}");
                said = stream.message().await;
            }
            assert!(said.to_string().contains("turned off"), "{row}: {said}");
            assert_eq!(stream.next().await, None, "{row}");
            // An answer now finds nobody, and does not pass either.
            client.send(client.reply(&open["id"], r#"{"roots":[]}"#)).await;
            assert_eq!(world.server.calls().len(), seen + 1, "{row}: nothing has left");
            let restore = json!({"kind": kind, "name": name});
            world.served.must(Method::POST, "restores", Some(restore)).await;
        }
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["switched_off"; 3]);
        assert_eq!(ends(&records, ""), ["switched_off"; 3], "answers that did not leave");
    }
}

#[tokio::test]
async fn what_is_cut_off_after_the_last_answer_is_stopped_by_the_last_gate() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let (mut stream, open, _) = half_answered(&world, &client).await;
        let cut = json!({"kind": "server", "name": "files", "reason": "a drill"});
        let (_, taken) = join(
            world.served.must(Method::POST, "cutoffs", Some(cut)),
            client.send(client.reply(&open["id"], r#"{"roots":[]}"#)),
        )
        .await;
        assert!(taken.status == 202 || taken.status == 403, "{}", taken.text());
        // Whichever came first: once the cut-off has been answered, nothing leaves.
        let seen = world.server.calls().len();
        if seen == 1 {
            let mut said = stream.message().await;
            if said["method"] == "notifications/cancelled" {
                said = stream.message().await;
            }
            assert!(said.to_string().contains("turned off"), "{said}");
        }
        assert_eq!(world.server.calls().len(), seen);
    }
}

#[tokio::test]
async fn a_call_whose_session_has_ended_gets_no_answer() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let (mut stream, _, _) = half_answered(&world, &client).await;
    assert_eq!(client.send(client.delete()).await.status, 200);
    let text = failure(&stream.message().await, true);
    assert!(text.ends_with("the client has ended its session"), "{text}");
    assert_eq!(world.server.calls().len(), 1);
}

#[tokio::test]
async fn a_server_that_fails_in_the_second_attempt_has_failed() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    for (status, code) in [(500, 1502), (404, 1502)] {
        let (mut stream, _) =
            world.call(&client, client.tool("echo", "{}"), &asking(&[("k", ROOTS)], None)).await;
        let question = stream.message().await;
        world.reply(&client, &question, r#"{"roots":[]}"#).await;
        world.server.next().await.refuse(status);
        let answer = stream.message().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    // The next call is none the worse.
    let (answer, _) = world.call(&client, client.tool("echo", "{}"), DONE).await;
    assert_eq!(answer.whole().await.verdict(), "200");
    let records = world.records().await;
    assert_eq!(ends(&records, ""), ["told"; 2], "the answers have left");
}

#[tokio::test]
async fn rules_that_come_meanwhile_hold_for_questions_and_answers() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let action = json!({"type": "block", "message": "no"});
        let rule = |name: &str| json!({"name": name, "pattern": "[?]", "action": action});
        // What was judged by the rules of before is not put to the client.
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = world.server.next().await;
            let path = "gateways/main/rules";
            world.served.must(Method::POST, path, Some(rule("questions"))).await;
            call.result(&asking(&[("k", FORM)], None));
        })
        .await;
        assert_eq!(answer.reason().as_deref(), Some("gate_closed"), "{}", answer.text());
        assert_eq!(answer.messages.len(), 1, "nothing has been asked");
        // And what was asked by them is not answered.
        world.served.must(Method::DELETE, "gateways/main/rules/questions", None).await;
        let first = asking(&[("k", ROOTS)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        world.served.must(Method::POST, "gateways/main/rules", Some(rule("answers"))).await;
        let word = stream.message().await;
        assert_eq!(word["method"], "notifications/cancelled", "it is taken back at once: {word}");
        let answer = stream.message().await;
        assert_eq!(answer["error"]["data"]["reason"], "gate_closed", "{answer}");
        world.reply(&client, &question, r#"{"roots":[]}"#).await;
        assert_eq!(world.server.calls().len(), 2, "the answer has not left");
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["gate_closed"; 2]);
    }
}
