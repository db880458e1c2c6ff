//! States that are not what they should be, or not where.

use futures::future::join;
use tests::{Client, Plan, Site, Upstream};

use super::{ARGUMENTS, FORM, FORMS, PATH, Scene, question, retry, retry_of, state};

const GIVEN: &str = r#"{"q1":{"action":"accept","content":{"n":1}}}"#;

/// Two tools, so that there is another one.
fn plan() -> Plan {
    Upstream::legacy().with_tools(
        r#"[{"name":"echo","inputSchema":{"type":"object"}},{"name":"other","inputSchema":{"type":"object"}}]"#,
    )
}

#[tokio::test]
async fn h060_a_state_is_taken_from_its_own_caller_for_its_own_call_alone() {
    for scene in Scene::on_each_database(plan).await {
        let client = scene.client(FORMS);
        let (talk, good) = scene.parked_with_form(&client).await;
        let call = |method: &str, members: &str| retry_of(&client, method, members, (&good, GIVEN));
        let same = format!(r#""name":"echo","arguments":{ARGUMENTS}"#);
        let rows = [
            ("other arguments", call("tools/call", r#""name":"echo","arguments":{"a":1}"#)),
            ("no arguments", call("tools/call", r#""name":"echo""#)),
            ("more params", call("tools/call", &format!(r#"{same},"x":1"#))),
            ("another tool", call("tools/call", &same.replace("echo", "other"))),
            ("another method", call("prompts/get", r#""name":"hello""#)),
            ("a resource", call("resources/read", r#""uri":"test://one""#)),
        ];
        for (row, post) in rows {
            scene.refuses(row, &client, post).await;
        }
        let token = scene.served.token("other", "t").await;
        let stranger = scene.client_at(PATH, &token, FORMS);
        stranger.warm_up().await;
        scene.refuses("another app", &stranger, retry(&stranger, &good, GIVEN)).await;
        let places = [
            ("another gateway", "/mcp/default/side/target", "echo"),
            ("all of its gateway", "/mcp/default/main", "target__echo"),
        ];
        for (row, path, tool) in places {
            let elsewhere = scene.client_at(path, &scene.token, FORMS);
            elsewhere.warm_up().await;
            let members = same.replace("echo", tool);
            let post = retry_of(&elsewhere, "tools/call", &members, (&good, GIVEN));
            scene.refuses(row, &elsewhere, post).await;
        }
        // None of this has moved the call: another token of the same app may go on with it.
        let token = scene.served.token("bot", "second").await;
        let again = scene.client_at(PATH, &token, FORMS);
        let post = retry_of(&again, "tools/call", &same, (&good, GIVEN));
        let (last, ()) = join(again.send(post), async {
            scene.answer().await.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
        scene.refuses("after its end", &client, retry(&client, &good, GIVEN)).await;
        scene.records().await;
    }
}

#[tokio::test]
async fn h060_a_state_that_was_changed_is_none() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (_talk, good) = scene.parked_with_form(&client).await;
    for at in (0..good.len()).step_by(97) {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        scene.refuses("changed", &client, retry(&client, &changed, GIVEN)).await;
        let cut: String = good.chars().take(at).collect();
        scene.refuses("truncated", &client, retry(&client, &cut, GIVEN)).await;
    }
    let forged = ["AQ".to_owned(), "x".repeat(100_000), "{\"v\":1}".to_owned(), format!("{good}=")];
    for forged in forged {
        scene.refuses("forged", &client, retry(&client, &forged, GIVEN)).await;
    }
    for odd in ["null", "1", "{}", "[]"] {
        let post = retry(&client, "STATE", GIVEN).replacing("\"STATE\"", odd);
        scene.refuses(odd, &client, post).await;
    }
}

#[tokio::test]
async fn h060_a_state_is_good_once() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (talk, first) = scene.parked_with_form(&client).await;
    // A duplicate while the server works with the answers of the first one.
    let (second, ()) = join(client.send(retry(&client, &first, GIVEN)), async {
        let answer = scene.answer().await;
        scene.refuses("while it is acted upon", &client, retry(&client, &first, GIVEN)).await;
        answer.accept();
        scene.refuses("after that", &client, retry(&client, &first, GIVEN)).await;
        talk.message(&question("8", FORM)).await;
    })
    .await;
    let second = state(&second);
    scene.refuses("of the round before", &client, retry(&client, &first, GIVEN)).await;
    let given = GIVEN.replace("q1", "q2");
    // Many at once: one of them goes on with the call.
    let posts: Vec<_> = (0..8).map(|_| retry(&client, &second, &given)).collect();
    let sending = futures::future::join_all(posts.into_iter().map(|it| client.send(it)));
    let (answers, ()) = join(sending, async {
        scene.answer().await.accept();
        talk.result(r#"{"content":[]}"#).await;
    })
    .await;
    let good = answers.iter().filter(|it| it.code().is_none()).count();
    let bad = answers.iter().filter(|it| it.code() == Some(-32602)).count();
    assert_eq!((good, bad), (1, 7), "{answers:?}");
    let answered = scene.upstream.seen().into_iter().filter(|it| it.body.contains("accept"));
    assert_eq!(answered.count(), 2, "each question once");
}

#[tokio::test]
async fn h060_a_state_of_before_a_restart_or_of_another_installation_is_none() {
    let Scene { upstream, served, site, token } = Scene::legacy().await;
    let mut client = Client::modern_with_token(&served, PATH, &token);
    client.capabilities = FORMS.to_owned();
    let scene = Scene { upstream, served, site, token };
    let (_talk, good) = scene.parked_with_form(&client).await;
    let Scene { upstream, served, site, token } = scene;
    served.kill().await;
    let served = site.start().await;
    let scene = Scene { upstream, served, site, token };
    let client = scene.client(FORMS);
    client.warm_up().await;
    scene.refuses("before a restart", &client, retry(&client, &good, GIVEN)).await;
    let other = Scene::at(Site::new(None), Upstream::legacy(), "").await;
    let client = other.client(FORMS);
    client.warm_up().await;
    other.refuses("another installation", &client, retry(&client, &good, GIVEN)).await;
}

#[tokio::test]
async fn what_rules_find_in_answers_and_questions_is_not_passed_on() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let asked = FORM.replace("How many?", "Is it +49-123?");
    let post = client.tool("echo", ARGUMENTS);
    let (talk, first) = scene.parked(&client, post, &[question("7", &asked)]).await;
    assert!(first.text().contains("Is it [redacted]?"), "{}", first.text());
    // An answer that a rule blocks is none, and may be given otherwise.
    let blocked = r#"{"q1":{"action":"accept","content":{"n":"attack at dawn"}}}"#;
    let known = scene.upstream.seen().len();
    let answer = client.send(retry(&client, &state(&first), blocked)).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{}", answer.text());
    assert_eq!(scene.upstream.seen().len(), known);
    let given = r#"{"q1":{"action":"accept","content":{"n":"+49-456"}}}"#;
    let (last, ()) = join(client.send(retry(&client, &state(&first), given)), async {
        let answer = scene.answer().await;
        assert_eq!(answer.raw(&["result", "content", "n"]), "\"[redacted]\"");
        answer.accept();
        talk.result(r#"{"content":[]}"#).await;
    })
    .await;
    assert_eq!(last.verdict(), "200", "{}", last.text());
}
