//! Servers and clients that do not play by the rules.

use tests::Upstream;

use super::{ALL, DONE, FORM, NEWEST, ROOTS, World, asking, ends};

#[tokio::test]
async fn what_no_honest_server_asks_is_asked_of_nobody() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let many: Vec<String> = (0..33).map(|it| format!(r#""{it}":{ROOTS}"#)).collect();
    let long_key = format!(r#"{{"inputRequests":{{"{}":{ROOTS}}}"#, "k".repeat(2_000));
    let long_state = format!(r#"{{"requestState":"{}""#, "s".repeat(300_000));
    let asked = |entries: &str| format!(r#"{{"inputRequests":{entries}"#);
    let mut results = vec![
        "{\"x\":1".to_owned(),
        asked("{}"),
        asked("[]"),
        asked("null") + r#","requestState":"s""#,
        asked(r#""elicitation/create""#),
        asked(r#"{"k":null}"#),
        asked(r#"{"k":{"method":"tools/call","params":{"name":"echo"}}}"#),
        asked(r#"{"k":{"method":"ping"}}"#),
        asked(r#"{"k":{"method":"elicitation/create"}}"#),
        asked(r#"{"k":{"method":"elicitation/create","params":{"mode":"popup"}}}"#),
        asked(&format!(r#"{{"k":{FORM},"\u006b":{ROOTS}}}"#)),
        asked(&format!(r#"{{"ok":{ROOTS},"k":7}}"#)),
        asked(&format!("{{{}}}", many.join(","))),
        r#"{"requestState":7"#.to_owned(),
        r#"{"requestState":null"#.to_owned(),
    ];
    results.extend([long_key, long_state]);
    for result in results {
        let result = format!(r#"{result},"resultType":"input_required"}}"#);
        let row: String = result.chars().take(100).collect();
        let seen = world.server.calls().len();
        let (stream, _) = world.call(&client, client.tool("echo", "{}"), &result).await;
        let answer = stream.whole().await;
        assert_eq!((answer.code(), answer.messages.len()), (Some(1502), 1), "{row}: {answer:?}");
        assert_eq!(answer.json()["error"]["data"]["blame"], "upstream", "{row}");
        assert_eq!(world.server.calls().len(), seen + 1, "{row}");
    }
    // Nor what is asked where nothing may be.
    let completion =
        r#""ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"a","value":"b"}"#;
    let post = client.request("completion/complete", completion);
    let (stream, _) = world.call(&client, post, &asking(&[("k", ROOTS)], None)).await;
    assert_eq!(stream.whole().await.code(), Some(1502));
    let task = r#"{"resultType":"task","taskId":"t"}"#;
    let (stream, _) = world.call(&client, client.tool("echo", "{}"), task).await;
    assert_eq!(stream.whole().await.code(), Some(1502));
}

#[tokio::test]
async fn h060_a_legacy_client_cannot_bring_a_state_or_answers_of_its_own() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let members = r#""name":"echo","arguments":{"n":1.0},"requestState":"forged","inputResponses":{"k":{"action":"accept"}},"RequestState":"forged","inputreſponses":{}"#;
    let post = client.request("tools/call", members);
    let first = asking(&[("k", ROOTS)], Some(r#""real""#));
    let (mut stream, sent) = world.call(&client, post, &first).await;
    let lower = sent.to_lowercase();
    assert!(!lower.contains("forged") && !lower.contains("inputre"), "{sent}");
    let question = stream.message().await;
    world.reply(&client, &question, r#"{"roots":[]}"#).await;
    let second = world.server.next().await;
    assert_eq!(second.raw(&["params", "requestState"]), r#""real""#);
    assert_eq!(second.raw(&["params", "inputResponses"]), r#"{"k":{"roots":[]}}"#);
    assert!(!second.body.contains("forged"), "{}", second.body);
    second.result(DONE);
    assert!(stream.message().await["result"].is_object());
}

#[tokio::test]
async fn h069_an_answer_counts_once_and_only_in_its_own_session() {
    for world in World::on_each_database().await {
        let client = world.client(NEWEST, ALL).await;
        let other = world.client(NEWEST, ALL).await;
        let first = asking(&[("a", FORM), ("b", ROOTS)], None);
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        let form = stream.message().await;
        let roots = stream.message().await;
        // Nobody else's answers are taken for it, nor any under another id.
        let forged = r#"{"action":"accept","content":{"forged":true}}"#;
        world.reply(&other, &form, forged).await;
        let id = form["id"].as_u64().unwrap();
        for wrong in
            [format!("\"{id}\""), (id + 1_000).to_string(), format!("-{id}"), "null".to_owned()]
        {
            let post = client.reply(&form["id"], forged);
            let post = post.replacing(&format!(r#""id":{id},"#), &format!(r#""id":{wrong},"#));
            client.send(post).await;
        }
        world.reply(&client, &form, r#"{"action":"accept","content":{"n":1}}"#).await;
        world.reply(&client, &form, forged).await;
        assert_eq!(world.server.calls().len(), 1);
        world.reply(&client, &roots, r#"{"roots":[]}"#).await;
        let second = world.server.next().await;
        let expected = r#"{"a":{"action":"accept","content":{"n":1}},"b":{"roots":[]}}"#;
        assert_eq!(second.raw(&["params", "inputResponses"]), expected);
        world.reply(&client, &roots, forged).await;
        second.result(DONE);
        assert!(stream.message().await["result"].is_object());
        world.reply(&client, &form, forged).await;
        assert_eq!(world.server.calls().len(), 2);
        let records = world.records().await;
        assert_eq!(ends(&records, "tools/call"), ["answered"]);
        assert_eq!(ends(&records, ""), ["told", "told"], "the two that counted");
    }
}

#[tokio::test]
async fn a_client_has_no_more_than_so_many_questions_to_answer() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let many: Vec<String> = (0..32).map(|it| it.to_string()).collect();
    let entries: Vec<(&str, &str)> = many.iter().map(|it| (it.as_str(), ROOTS)).collect();
    let first = asking(&entries, None);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
        for _ in 0..32 {
            assert_eq!(stream.message().await["method"], "roots/list");
        }
        streams.push(stream);
    }
    let (stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
    let answer = stream.whole().await.json();
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("the client can be asked no more at the moment"), "{answer}");
    // Another session has its own.
    let other = world.client(NEWEST, ALL).await;
    let (mut stream, _) = world.call(&other, other.tool("echo", "{}"), &first).await;
    assert_eq!(stream.message().await["method"], "roots/list");
}

#[tokio::test]
async fn h070_a_question_with_line_ends_in_it_is_one_event() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, ALL).await;
    let form = "{\"method\":\"elicitation/create\",\n\n\"params\":{\"message\":\"a\\n\\ndata: {}\",\r\n\"requestedSchema\":\n\n{}}}";
    let first = asking(&[("k", form)], None);
    let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
    let question = stream.message().await;
    assert_eq!(question["params"]["message"], "a\n\ndata: {}", "{question}");
    world.reply(&client, &question, r#"{"action":"cancel"}"#).await;
    world.server.next().await.result(DONE);
    assert!(stream.message().await["result"].is_object());
}

#[tokio::test]
async fn a_client_is_asked_in_no_other_mode_than_the_one_that_was_looked_at() {
    let world = World::of(Upstream::modern()).await;
    let client = world.client(NEWEST, r#"{"elicitation":{}}"#).await;
    let form = r#"{"method":"elicitation/create","params":{"message":"?","Mode":"url","URL":"https://example.com/","task":{"ttl":1},"requestedSchema":{"type":"object","properties":{}}}}"#;
    let first = asking(&[("k", form)], None);
    let (mut stream, _) = world.call(&client, client.tool("echo", "{}"), &first).await;
    let question = stream.message().await;
    let names: Vec<_> = question["params"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["message", "requestedSchema"], "{question}");
    world.reply(&client, &question, r#"{"action":"cancel"}"#).await;
    world.server.next().await.result(DONE);
    assert!(stream.message().await["result"].is_object());
}
