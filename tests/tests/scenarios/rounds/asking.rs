//! What is asked, in whose words, and what becomes of the answers.

use serde_json::{Value, json};
use tests::{Client, Upstream};

use super::{ALL, DONE, FORM, NEWEST, ROOTS, World, asking, ends};

#[tokio::test]
async fn what_a_modern_server_asks_is_answered_by_its_legacy_client() {
    for world in World::on_each_database().await {
        let row = world.site.database();
        let client = world.client(NEWEST, ALL).await;
        let sampling = r#"{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"\u00e9"}}],"maxTokens":10,"temperature":1.0}}"#;
        let first = asking(
            &[("a\\u002fb", FORM), ("s", sampling), ("r", ROOTS)],
            Some(r#""one\u002b\/=""#),
        );
        let (mut stream, sent) =
            world.call(&client, client.tool("echo", r#"{"n":1.0}"#), &first).await;
        assert!(stream.is_stream());
        let mut questions = Vec::new();
        for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
            let question = stream.next().await.unwrap().data;
            let text = String::from_utf8(question.to_vec()).unwrap();
            if method == "sampling/createMessage" {
                assert!(text.contains(r#""text":"\u00e9""#) && text.contains("1.0"), "{text}");
            }
            let question: Value = serde_json::from_slice(&question).unwrap();
            assert_eq!(question["method"], method, "{row}");
            questions.push(question);
        }
        assert_eq!(world.server.calls().len(), 1, "{row}: the server waits for all of them");
        // In any order.
        let answers = [
            r#"{"action":"accept","content":{"n":1.0,"u":"\u00e9"}}"#,
            r#"{"role":"assistant","content":{"type":"text","text":"s"},"model":"m"}"#,
            r#"{"roots":[{"uri":"file:///x"}]}"#,
        ];
        for index in [2, 0, 1] {
            world.reply(&client, &questions[index], answers[index]).await;
        }
        let second = world.server.next().await;
        let expected = format!(r#"{{"a/b":{},"s":{},"r":{}}}"#, answers[0], answers[1], answers[2]);
        assert_eq!(second.raw(&["params", "inputResponses"]), expected, "{row}");
        assert_eq!(second.raw(&["params", "requestState"]), r#""one\u002b\/=""#, "{row}");
        assert_eq!(second.raw(&["params", "arguments"]), r#"{"n":1.0}"#, "{row}");
        assert_ne!(second.id(), tests::text::raw(&sent, &["id"]), "{row}: a new id");
        assert_eq!(second.header("mcp-name"), Some("echo"));
        assert!(!sent.contains("inputResponses") && !sent.contains("requestState"), "{sent}");
        // The next round begins anew.
        second.result(&asking(&[("s", FORM)], None));
        let question = stream.message().await;
        world.reply(&client, &question, r#"{"action":"decline"}"#).await;
        let third = world.server.next().await;
        assert_eq!(third.raw(&["params", "inputResponses"]), r#"{"s":{"action":"decline"}}"#);
        assert!(!third.body.contains("requestState"), "{row}: {}", third.body);
        third.result(r#"{"resultType":"complete","content":[],"structuredContent":{"n":1.0}}"#);
        let answer = stream.next().await.unwrap().data;
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(
            answer.contains(r#""result":{"content":[],"structuredContent":{"n":1.0}}"#),
            "{answer}"
        );
        assert_eq!(stream.next().await, None);
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["answered"], "{row}");
        assert_eq!(ends(&records, ""), ["told", "told", "told", "told"], "{row}: the answers");
        let outcome = records.iter().rfind(|it| it.text("end") == Some("answered")).unwrap();
        assert_eq!(outcome.leaf["news"], 4, "{row}: the questions: {}", outcome.leaf);
        // No answer left before it was recorded.
        let order: Vec<_> = records.iter().filter_map(|it| it.text("end")).collect();
        assert_eq!(order.last(), Some(&"answered"), "{row}: {order:?}");
    }
}

#[tokio::test]
async fn an_answer_leaves_when_it_has_been_recorded() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let first = asking(&[("k", FORM)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        world.reply(&client, &question, r#"{"action":"cancel"}"#).await;
        // The server holds the second attempt.
        let attempt = world.server.next().await;
        let intents = |records: &[tests::archive::Kept]| {
            records.iter().filter(|it| it.kind == "intent" && it.text("method") == Some("")).count()
        };
        assert_eq!(intents(&world.site.records()), 1);
        attempt.result(DONE);
        assert!(stream.message().await["result"].is_object());
        let records = world.records().await;
        assert_eq!(ends(&records, ""), ["told"]);
        let answer = records.iter().find(|it| it.text("method") == Some("")).unwrap();
        assert_eq!(
            answer.leaf["content"]["bytes"],
            r#"{"action":"cancel"}"#.len(),
            "{}",
            answer.leaf
        );
    }
}

#[tokio::test]
async fn a_modern_server_is_told_what_its_legacy_client_has_said() {
    let world = World::of(Upstream::modern()).await;
    let key = |key: &str| format!("io.modelcontextprotocol/{key}");
    let all = r#"{"elicitation":{"url":{},"form":{}},"sampling":{"tools":{}},"roots":{"listChanged":true},"tasks":{}}"#;
    for (revision, expected) in [
        ("2024-11-05", json!({"sampling": {}, "roots": {}})),
        ("2025-03-26", json!({"sampling": {}, "roots": {}})),
        ("2025-06-18", json!({"sampling": {}, "roots": {}, "elicitation": {"form": {}}})),
        (
            "2025-11-25",
            json!({"sampling": {"tools": {}}, "roots": {}, "elicitation": {"form": {}, "url": {}}}),
        ),
    ] {
        let client = world.client(revision, all).await;
        let (answer, sent) = world.call(&client, client.tool("echo", "{}"), DONE).await;
        assert_eq!(answer.status, 200);
        let meta = meta(&sent);
        assert_eq!(meta[&key("clientCapabilities")], expected, "{revision}");
        assert_eq!(meta[&key("clientInfo")], json!({"name": "a test", "version": "1"}));
        assert_eq!(meta[&key("protocolVersion")], "2026-07-28");
        assert_eq!(meta.get(key("logLevel")), None, "{revision}");
        // From now on it wants logs, and what it says in the modern way it cannot mean.
        let level = client.request("logging/setLevel", r#""level":"warning""#);
        assert_eq!(client.send(level).await.verdict(), "200");
        let said = r#""io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/clientCapabilities":{"experimental":{"x":{}}},"mine":1"#;
        let members = r#""name":"echo","arguments":{}"#;
        let post = client.request_with_meta("tools/call", members, said);
        let (_, sent) = world.call(&client, post, DONE).await;
        let meta = self::meta(&sent);
        assert_eq!(meta[&key("logLevel")], "warning", "{revision}");
        assert_eq!(meta[&key("clientCapabilities")], expected, "{revision}");
        assert_eq!(meta["mine"], 1, "{revision}");
    }
}

#[tokio::test]
async fn a_form_is_one_that_the_clients_revision_can_show() {
    let world = World::of(Upstream::modern()).await;
    let form = r#"{"method":"elicitation/create","params":{"mode":"form","message":"?","requestedSchema":{"type":"object","properties":{"many":{"type":"array","items":{"type":"string","enum":["x","y"]}},"titled":{"type":"string","oneOf":[{"const":"a","title":"A"}]}}}}}"#;
    let flat = json!({"message": "?", "requestedSchema": {"type": "object", "properties": {
        "many": {"type": "string", "enum": ["x", "y"]},
        "titled": {"type": "string", "enum": ["a"], "enumNames": ["A"]},
    }}});
    let whole: Value = serde_json::from_str::<Value>(form).unwrap()["params"].clone();
    let lifted = r#"{"k":{"action":"accept","content":{"many":["x"],"titled":"a"}}}"#;
    for (revision, params, answer) in [
        ("2025-06-18", flat, r#"{"action":"accept","content":{"many":"x","titled":"a"}}"#),
        ("2025-11-25", whole, r#"{"action":"accept","content":{"many":["x"],"titled":"a"}}"#),
    ] {
        let client = world.client(revision, r#"{"elicitation":{}}"#).await;
        let first = asking(&[("k", form)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        assert_eq!(question["params"], params, "{revision}");
        world.reply(&client, &question, answer).await;
        let second = world.server.next().await;
        assert_eq!(second.raw(&["params", "inputResponses"]), lifted, "{revision}");
        second.result(DONE);
        assert!(stream.message().await["result"].is_object(), "{revision}");
    }
}

#[tokio::test]
async fn a_page_is_opened_under_an_id_of_ours_and_said_to_be_done_with() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let page = r#"{"method":"elicitation/create","params":{"mode":"url","message":"sign in","url":"https://example.com/x"}}"#;
    let failed = r#"{"resultType":"complete","content":[],"isError":true}"#;
    let mut ids = Vec::new();
    for (action, last, is_done) in
        [("accept", DONE, true), ("decline", DONE, false), ("accept", failed, false)]
    {
        let first = asking(&[("k", page)], Some(r#""s""#));
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        let id = question["params"]["elicitationId"].as_str().unwrap().to_owned();
        assert!(22 <= id.len() && !ids.contains(&id), "{ids:?} {id}");
        assert_eq!(question["params"]["url"], "https://example.com/x");
        world.reply(&client, &question, &format!(r#"{{"action":"{action}"}}"#)).await;
        // The server waits for the user without asking anything more.
        let second = world.server.next().await;
        assert_eq!(
            second.raw(&["params", "inputResponses"]),
            format!(r#"{{"k":{{"action":"{action}"}}}}"#)
        );
        second.result(r#"{"resultType":"input_required","requestState":"t"}"#);
        let third = world.server.next().await;
        assert_eq!(third.raw(&["params", "requestState"]), r#""t""#);
        assert!(!third.body.contains("inputResponses"), "{}", third.body);
        third.result(last);
        let mut said = stream.message().await;
        if is_done {
            assert_eq!(said["method"], "notifications/elicitation/complete");
            assert_eq!(said["params"], json!({"elicitationId": id}));
            said = stream.message().await;
        }
        assert!(said["result"].is_object(), "{action}: {said}");
        ids.push(id);
    }
}

#[tokio::test]
async fn prompts_and_resources_may_ask_as_well() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client("2025-06-18", r#"{"elicitation":{},"roots":{}}"#).await;
    for (method, members, last) in [
        ("prompts/get", r#""name":"hello""#, r#"{"resultType":"complete","messages":[]}"#),
        (
            "resources/read",
            r#""uri":"test://one""#,
            r#"{"resultType":"complete","ttlMs":1,"cacheScope":"private","contents":[]}"#,
        ),
    ] {
        let first = asking(&[("k", ROOTS)], Some(r#""s""#));
        let (mut stream, _) = world.call(&client, client.request(method, members), &first).await;
        let question = stream.message().await;
        world.reply(&client, &question, r#"{"roots":[]}"#).await;
        let second = world.server.next().await;
        assert_eq!(
            (second.method.as_str(), second.raw(&["params", "inputResponses"])),
            (method, r#"{"k":{"roots":[]}}"#.to_owned())
        );
        second.result(last);
        let answer = stream.message().await;
        assert_eq!(answer["result"].as_object().unwrap().len(), 1, "{method}: {answer}");
    }
}

#[tokio::test]
async fn what_a_server_says_in_each_attempt_reaches_the_client() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let progress = |n: u64| format!(r#"{{"progressToken":"p","progress":{n}}}"#);
    let post = client.tool_with_progress("echo", r#""p""#);
    let (mut stream, talk) = futures::future::join(client.open(post), async {
        let talk = world.server.next().await.stream();
        talk.notification("notifications/progress", &progress(1)).await;
        talk
    })
    .await;
    assert_eq!(stream.message().await["params"]["progress"], 1);
    talk.result(&asking(&[("k", FORM)], None)).await;
    let question = stream.message().await;
    world.reply(&client, &question, r#"{"action":"cancel"}"#).await;
    let second = world.server.next().await;
    assert_eq!(second.raw(&["params", "_meta", "progressToken"]), r#""p""#);
    let talk = second.stream();
    talk.notification("notifications/progress", &progress(2)).await;
    assert_eq!(stream.message().await["params"]["progress"], 2);
    talk.result(DONE).await;
    assert!(stream.message().await["result"].is_object());
    let records = world.records().await;
    let outcome = records.iter().rfind(|it| it.text("end") == Some("answered")).unwrap();
    assert_eq!(outcome.leaf["news"], 3, "{}", outcome.leaf);
}

#[tokio::test]
async fn what_is_asked_and_answered_in_rounds_is_under_the_rules() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let form = FORM.replace('?', "is it +49-123-4567?");
        // What only goes back to the server is none of the rules' business.
        let first = asking(&[("k", &form)], Some(r#""+49-765-4321""#));
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        assert_eq!(question["params"]["message"], "is it [redacted]?");
        world
            .reply(&client, &question, r#"{"action":"accept","content":{"n":"+49-123-4567"}}"#)
            .await;
        let second = world.server.next().await;
        let expected = r#"{"k":{"action":"accept","content":{"n":"[redacted]"}}}"#;
        assert_eq!(second.raw(&["params", "inputResponses"]), expected);
        assert_eq!(second.raw(&["params", "requestState"]), r#""+49-765-4321""#);
        second.result(DONE);
        assert!(stream.message().await["result"].is_object());
        // An answer that may not pass ends the call, since its server will wait for no other.
        let first = asking(&[("k", FORM)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let question = stream.message().await;
        let reply = r#"{"action":"accept","content":{"t":"attack at dawn"}}"#;
        let taken = client.send(client.reply(&question["id"], reply)).await;
        assert_eq!(taken.status, 400, "{}", taken.text());
        let answer = stream.message().await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert_eq!(answer["result"]["content"][0]["text"], "not over this line");
        assert_eq!(world.server.calls().len(), 3, "nothing of it has left");
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["answered", "rule_block"]);
        let text = format!("{records:?}");
        assert!(!text.contains("dawn") && !text.contains("123-4567"), "{text}");
    }
}

#[tokio::test]
async fn h126_a_tool_that_asks_for_a_password_is_kept_from_asking() {
    for world in World::on_each_database().await {
        let client: Client = world.client(NEWEST, ALL).await;
        let form = FORM.replace('?', "your Password, please");
        let first = asking(&[("r", ROOTS), ("k", &form)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let answer = stream.message().await;
        assert_eq!(answer["result"]["isError"], true, "nothing is asked: {answer}");
        let said = &answer["result"]["content"][0]["text"];
        assert_eq!(*said, "nobody asks for passwords here", "the user sees why");
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["rule_block"]);
        let outcome = records.iter().rfind(|it| it.text("end") == Some("rule_block")).unwrap();
        assert_eq!(outcome.leaf["rules"], json!(["passwords block 1"]), "{}", outcome.leaf);
    }
}

#[tokio::test]
async fn h067_questions_of_many_calls_at_once_are_not_mixed_up() {
    const CALLS: usize = 16;

    // It asks two questions about a nonce, and says whether what comes back is all of the same call.
    let plan = Upstream::modern().on("tools/call", |call| async move {
        let nonce = call.raw(&["params", "arguments", "nonce"]);
        let said: Value = serde_json::from_str(&call.body).unwrap();
        let params = &said["params"];
        if params["inputResponses"].is_null() {
            let form = FORM.replace('?', nonce.trim_matches('"'));
            call.result(&asking(&[("a", &form), ("b", &form)], Some(&nonce)));
            return;
        }
        let answers = &params["inputResponses"];
        let [a, b] = ["a", "b"].map(|it| &answers[it]["content"]["nonce"]);
        let nonce = &params["arguments"]["nonce"];
        let is_same = [a, b, &params["requestState"]].iter().all(|it| *it == nonce);
        let text = json!({"resultType": "complete", "content": [], "structuredContent": {"same": is_same, "nonce": nonce}});
        call.result(&text.to_string());
    });
    let world = World::of(plan).await;
    let clients = [world.client(NEWEST, ALL).await, world.client("2025-06-18", ALL).await];
    let calls = clients.iter().enumerate().flat_map(|(session, client)| {
        let world = &world;
        (0..CALLS).map(move |number| async move {
            let nonce = format!("n-{session}-{number}");
            let post = client.tool("echo", &format!(r#"{{"nonce":"{nonce}"}}"#));
            let mut stream = client.open(post).await;
            let questions = [stream.message().await, stream.message().await];
            for question in questions.iter().rev() {
                assert_eq!(question["params"]["message"], nonce.as_str());
                let answer = json!({"action": "accept", "content": {"nonce": nonce}});
                world.reply(client, question, &answer.to_string()).await;
            }
            let answer = stream.message().await;
            let expected = json!({"same": true, "nonce": nonce});
            assert_eq!(answer["result"]["structuredContent"], expected, "{answer}");
        })
    });
    futures::future::join_all(calls).await;
    let records = world.records().await;
    assert_eq!(ends(&records, "tools/call"), ["answered"; 2 * CALLS]);
    assert_eq!(ends(&records, ""), ["told"; 4 * CALLS]);
}

fn meta(body: &str) -> Value {
    serde_json::from_str::<Value>(body).unwrap()["params"]["_meta"].clone()
}

#[tokio::test]
async fn a_client_that_loses_its_stream_while_it_is_asked_comes_back_to_it() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let first = asking(&[("a", FORM), ("b", ROOTS)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let form = stream.message().await;
        let seen = stream.last_id.clone().expect("an id to come back to");
        drop(stream);
        // It answers what it has read, and reads the rest.
        world.reply(&client, &form, r#"{"action":"cancel"}"#).await;
        let mut rest = client.open(client.get().with("last-event-id", &seen)).await;
        let roots = rest.message().await;
        assert_eq!(roots["method"], "roots/list", "{roots}");
        world.reply(&client, &roots, r#"{"roots":[]}"#).await;
        let second = world.server.next().await;
        let expected = r#"{"a":{"action":"cancel"},"b":{"roots":[]}}"#;
        assert_eq!(second.raw(&["params", "inputResponses"]), expected);
        second.result(DONE);
        assert!(rest.message().await["result"].is_object());
        assert_eq!(ends(&world.records().await, "tools/call"), ["answered"]);
    }
}
