//! Questions, answers, and the call that goes on with them.

use futures::future::join;
use serde_json::{Value, json};
use tests::Upstream;

use super::{
    ALL, ARGUMENTS, FORM, FORMS, PATH, Scene, asks, question, retry, retry_of, sampling, state,
};

#[tokio::test]
async fn a_modern_client_answers_a_legacy_server_in_one_call() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let row = scene.site.database();
        for (path, tool) in [(PATH, "echo"), ("/mcp/default/main", "target__echo")] {
            let client = scene.client_at(path, &scene.token, FORMS);
            let post = client.tool(tool, ARGUMENTS);
            let id = post.id.clone();
            let asked = r#"{"message":"How many?","mode":"form","x":1.0,"task":{"ttl":1},"requestedSchema":{}}"#;
            let (talk, first) = scene.parked(&client, post, &[question("\"q 1\"", asked)]).await;
            assert_eq!(first.status, 200, "{row}: {}", first.text());
            assert_eq!(first.json()["id"].to_string(), id, "{row}");
            let request = json!({"method": "elicitation/create", "params":
                {"message": "How many?", "mode": "form", "x": 1.0, "requestedSchema": {}}});
            assert_eq!(asks(&first), json!({"q1": request}), "{row}: {}", first.text());
            assert!(first.text().contains(r#""x":1.0"#), "{row}: as it was written");
            let members = format!(r#""name":"{tool}","arguments":{ARGUMENTS}"#);
            let given = r#"{"q1":{"action":"accept","content":{"n":2.50}},"q9":{"action":"x"}}"#;
            let back = retry_of(&client, "tools/call", &members, (&state(&first), given));
            let id = back.id.clone();
            let (last, answer) = join(client.send(back), async {
                let answer = scene.answer().await;
                let body = answer.body.clone();
                answer.accept();
                talk.result(r#"{"content":[],"structuredContent":{"m":3.0}}"#).await;
                body
            })
            .await;
            assert_eq!(
                answer,
                r#"{"jsonrpc":"2.0","id":"q 1","result":{"action":"accept","content":{"n":2.50}}}"#,
                "{row}"
            );
            let whole = last.json();
            assert_eq!(whole["id"].to_string(), id, "{row}: the retry's own id");
            assert_eq!(whole["result"]["resultType"], "complete", "{row}: {}", last.text());
            assert!(last.text().contains(r#"{"m":3.0}"#), "{row}: {}", last.text());
        }
        let hellos: Vec<Value> = scene
            .upstream
            .seen_of("initialize")
            .iter()
            .map(|it| serde_json::from_str(&it.body).unwrap())
            .collect();
        let declared: Vec<_> = hellos.iter().map(|it| &it["params"]["capabilities"]).collect();
        assert_eq!(declared, [&json!({"elicitation": {}})], "{row}: one session, used again");
        let sessions = scene.upstream.seen();
        let sessions =
            sessions.iter().filter(|it| it.method == "tools/call" || it.method.is_empty());
        let sessions: Vec<_> =
            sessions.filter(|it| it.verb == "POST").map(|it| it.header("mcp-session-id")).collect();
        assert_eq!(sessions, [Some("session-1"); 4], "{row}");

        let records = scene.records().await;
        let of = |method: &str| {
            let intents = records.iter().filter(|it| it.kind == "intent");
            intents.filter(|it| it.text("method") == Some(method)).collect::<Vec<_>>()
        };
        let (calls, answers) = (of("tools/call"), of("elicitation/create"));
        assert_eq!((calls.len(), answers.len()), (2, 2), "{row}: each call is one");
        for (call, answer) in calls.into_iter().zip(answers) {
            assert_eq!(answer.text("within"), call.text("call"), "{row}");
            let end = |of: &tests::archive::Kept| {
                let ends = records.iter().filter(|it| it.kind == "outcome");
                let ends: Vec<_> = ends.filter(|it| it.text("call") == of.text("call")).collect();
                assert_eq!(ends.len(), 1, "{row}: {of:?}");
                ends[0].clone()
            };
            let (call_end, answer_end) = (end(call), end(answer));
            assert_eq!(call_end.text("end"), Some("answered"), "{row}");
            assert_eq!(call_end.leaf["news"], 1, "{row}: the questions");
            assert_eq!(answer_end.text("end"), Some("told"), "{row}");
            assert!(answer.leaf["content"].is_object(), "{row}: what was answered: {answer:?}");
            assert!(call.sequence < answer.sequence && answer.sequence < call_end.sequence);
        }
    }
}

#[tokio::test]
async fn questions_that_come_at_once_are_asked_at_once_and_what_is_left_out_again() {
    let scene = Scene::legacy().await;
    let client = scene.client(ALL);
    let asked = [question("1", FORM), sampling("2"), question("\"1\"", FORM)];
    let (talk, first) = scene.parked(&client, client.tool("echo", ARGUMENTS), &asked).await;
    let methods = |asked: &Value| {
        let asked = asked.as_object().unwrap().iter();
        asked.map(|(key, it)| format!("{key} {}", it["method"])).collect::<Vec<_>>()
    };
    let (form, sample) = ("\"elicitation/create\"", "\"sampling/createMessage\"");
    let all = [format!("q1 {form}"), format!("q2 {sample}"), format!("q3 {form}")];
    assert_eq!(methods(&asks(&first)), all, "{}", first.text());
    // Nothing, or nothing of use: the same again.
    for given in ["{}", r#"{"q4":{}}"#, r#"{"q1":"accept","q2":null}"#] {
        let again = client.send(retry(&client, &state(&first), given)).await;
        assert_eq!(asks(&again), asks(&first), "{given}: {}", again.text());
    }
    let given = r#"{"q2":{"role":"assistant","content":{"type":"text","text":"s"},"model":"m"}}"#;
    let (second, ()) = join(client.send(retry(&client, &state(&first), given)), async {
        let answer = scene.answer().await;
        assert_eq!(answer.id(), "2");
        assert_eq!(answer.raw(&["result", "model"]), "\"m\"");
        answer.accept();
    })
    .await;
    assert_eq!(methods(&asks(&second)), [all[0].clone(), all[2].clone()], "{}", second.text());
    let given = r#"{"q1":{"action":"decline"},"q3":{"action":"cancel"}}"#;
    let (last, ids) = join(client.send(retry(&client, &state(&second), given)), async {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = scene.answer().await;
            ids.push(format!("{} {}", answer.id(), answer.raw(&["result", "action"])));
            answer.accept();
        }
        talk.result(r#"{"content":[]}"#).await;
        ids
    })
    .await;
    assert_eq!(ids, ["1 \"decline\"", "\"1\" \"cancel\""]);
    assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
}

#[tokio::test]
async fn a_server_may_ask_round_after_round_and_report_in_between() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let members = format!(r#""name":"echo","arguments":{ARGUMENTS}"#);
    let first = client.request_with_meta("tools/call", &members, r#""progressToken":"one""#);
    let (talk, mut answer) = scene.parked(&client, first, &[question("1", FORM)]).await;
    let token = scene.upstream.calls()[0].raw(&["params", "_meta", "progressToken"]);
    for round in 2..5 {
        let given = format!(r#""inputResponses":{{"q{}":{{"action":"accept"}}}}"#, round - 1);
        let members = format!(r#"{members},{given},"requestState":{}"#, json!(state(&answer)));
        // SDKs take a new token for each request.
        let meta = format!(r#""progressToken":"{round}""#);
        let back = client.request_with_meta("tools/call", &members, &meta);
        let (next, ()) = join(client.send(back), async {
            scene.answer().await.accept();
            let params = format!(r#"{{"progressToken":{token},"progress":{round}}}"#);
            talk.notification("notifications/progress", &params).await;
            let foreign = r#"{"progressToken":"one","progress":99}"#;
            talk.notification("notifications/progress", foreign).await;
            match round {
                4 => talk.result(r#"{"content":[]}"#).await,
                _ => talk.message(&question("1", FORM)).await,
            }
        })
        .await;
        let said: Vec<Value> =
            next.messages.iter().map(|it| serde_json::from_slice(it).unwrap()).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        let params = json!({"progressToken": round.to_string(), "progress": round});
        assert_eq!(said[0]["params"], params);
        answer = next;
    }
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
}

#[tokio::test]
async fn what_a_client_has_not_declared_it_is_not_asked() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let url = r#"{"mode":"url","message":"?","url":"https://a.example/","elicitationId":"e"}"#;
    let roots = r#"{"jsonrpc":"2.0","id":3,"method":"roots/list"}"#.to_owned();
    let asked = [sampling("1"), question("2", url), roots];
    let (last, codes) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let talk = scene.call().await.stream();
        let mut codes = Vec::new();
        for question in &asked {
            talk.message(question).await;
            let answer = scene.answer().await;
            codes.push(format!("{} {}", answer.id(), answer.raw(&["error", "code"])));
            answer.accept();
        }
        talk.result(r#"{"content":[]}"#).await;
        codes
    })
    .await;
    assert_eq!(codes, ["1 -32601", "2 -32601", "3 -32601"]);
    assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
    // One that can be asked nothing shares its session with others, which says so.
    let plain = scene.client(r#"{"roots":{}}"#);
    let (answer, ()) = join(plain.send(plain.tool("echo", "{}")), async {
        scene.call().await.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.verdict(), "200");
    let hello = scene.upstream.seen_of("initialize").pop().unwrap();
    assert_eq!(hello.raw(&["params", "capabilities"]), "{}");
}

#[tokio::test]
async fn a_question_on_the_sessions_own_stream_belongs_to_the_call_that_has_it() {
    let (sender, mut opened) = tokio::sync::mpsc::channel(4);
    let plan = Upstream::legacy().on("GET", move |get| {
        let sender = sender.clone();
        async move { drop(sender.send(get.stream()).await) }
    });
    let scene = Scene::at(tests::Site::new(None), plan, "").await;
    let client = scene.client(FORMS);
    let (first, (call, own)) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let call = scene.call().await.stream();
        // The head of the answer, without which nobody would wait for it.
        call.bytes(": ready\n\n").await;
        let own = tests::wait::within("the session's stream", opened.recv()).await.unwrap();
        own.message(&question("5", FORM)).await;
        (call, own)
    })
    .await;
    let (last, ()) =
        join(client.send(retry(&client, &state(&first), r#"{"q1":{"action":"accept"}}"#)), async {
            let answer = scene.answer().await;
            assert_eq!(answer.id(), "5");
            answer.accept();
            call.result(r#"{"content":[]}"#).await;
        })
        .await;
    assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
    drop(own);
}

#[tokio::test]
async fn calls_that_may_be_asked_have_a_session_each() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (talk, first) = scene.parked_with_form(&client).await;
    let (other_talk, other) = scene.parked_with_form(&client).await;
    let sessions: Vec<_> = scene
        .upstream
        .calls()
        .iter()
        .map(|it| it.header("mcp-session-id").unwrap().to_owned())
        .collect();
    assert_ne!(sessions[0], sessions[1]);
    // The same id of the server's in both, and each answer in its own session.
    for (state, talk, session) in
        [(&other, &other_talk, &sessions[1]), (&first, &talk, &sessions[0])]
    {
        let back = retry(&client, state, r#"{"q1":{"action":"accept"}}"#);
        let (last, ()) = join(client.send(back), async {
            let answer = scene.answer().await;
            assert_eq!(answer.header("mcp-session-id"), Some(&**session));
            answer.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
    }
    // Another person's call is served in none of them.
    let token = scene.served.token("other", "t").await;
    let stranger = scene.client_at(PATH, &token, FORMS);
    let (answer, session) = join(stranger.send(stranger.tool("echo", "{}")), async {
        let call = scene.call().await;
        let session = call.header("mcp-session-id").unwrap().to_owned();
        call.result(r#"{"content":[]}"#);
        session
    })
    .await;
    assert_eq!(answer.verdict(), "200");
    assert!(!sessions.contains(&session), "{session} {sessions:?}");
}

#[tokio::test]
async fn an_answer_that_comes_while_nobody_waits_is_kept_for_whoever_comes_back() {
    // The client may come before it has been read, or after that.
    let plan = Upstream::legacy().on("", |it| async move { it.accept() });
    let scene = Scene::at(tests::Site::new(None), plan, "").await;
    let client = scene.client(FORMS);
    let (talk, state) = scene.parked_with_form(&client).await;
    talk.result(r#"{"content":[{"type":"text","text":"never mind"}]}"#).await;
    let last = client.send(retry(&client, &state, r#"{"q1":{"action":"accept"}}"#)).await;
    assert_eq!(last.json()["result"]["content"][0]["text"], "never mind", "{}", last.text());
}

#[tokio::test]
async fn urls_that_must_be_opened_first_are_asked_for_and_the_call_is_sent_again() {
    let scene = Scene::legacy().await;
    let error = r#"{"code":-32042,"message":"sign in first","data":{"elicitations":[{"mode":"url","message":"Sign in","url":"https://a.example/","elicitationId":"e"}]}}"#;
    let refuse = async || {
        let call = scene.call().await;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.id());
        call.respond(200, "application/json", body);
    };
    let client = scene.client(r#"{"elicitation":{"url":{}}}"#);
    let (first, ()) = join(client.send(client.tool("echo", ARGUMENTS)), refuse()).await;
    let request = json!({"method": "elicitation/create",
        "params": {"mode": "url", "message": "Sign in", "url": "https://a.example/"}});
    assert_eq!(asks(&first), json!({"q1": request}), "{}", first.text());
    let back = || retry(&client, &state(&first), r#"{"q1":{"action":"accept"}}"#);
    let (last, ()) = join(client.send(back()), async {
        let call = scene.call().await;
        assert!(!call.body.contains("inputResponses") && !call.body.contains("requestState"));
        assert_eq!(call.raw(&["params", "arguments"]), ARGUMENTS);
        call.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
    // Its state is for nothing else.
    let other =
        retry_of(&client, "tools/call", r#""name":"echo","arguments":{}"#, (&state(&first), "{}"));
    scene.refuses("other arguments", &client, other).await;
    // A client that opens no URLs gets the error, in the terms of its era.
    let forms = scene.client(FORMS);
    let (answer, ()) = join(forms.send(forms.tool("echo", ARGUMENTS)), refuse()).await;
    assert_eq!(answer.code(), Some(-32603), "{}", answer.text());
    // A server that is never content is asked no more after a while.
    let mut answer = first;
    let mut rounds = 1;
    while answer.code().is_none() {
        let back = retry(&client, &state(&answer), r#"{"q1":{"action":"accept"}}"#);
        (answer, ()) = join(client.send(back), refuse()).await;
        rounds += 1;
    }
    assert_eq!((rounds, answer.code()), (9, Some(-32603)), "{}", answer.text());
}

#[tokio::test]
async fn h060_the_state_of_a_modern_server_comes_back_to_it_as_it_is() {
    let scene = Scene::at(tests::Site::new(None), Upstream::modern(), "").await;
    let client = scene.client(FORMS);
    let odd = r#""a b\u00e9 ""#;
    let (first, ()) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let result = format!(
            r#"{{"resultType":"input_required","inputRequests":{{"k":{{"method":"elicitation/create","params":{FORM}}}}},"requestState":{odd}}}"#
        );
        scene.call().await.result(&result);
    })
    .await;
    assert!(first.text().contains(odd), "{}", first.text());
    let back = retry(&client, "STATE", r#"{"k":{"action":"accept"}}"#).replacing("\"STATE\"", odd);
    let (last, ()) = join(client.send(back), async {
        let call = scene.call().await;
        assert_eq!(call.raw(&["params", "requestState"]), odd);
        assert_eq!(call.raw(&["params", "inputResponses"]), r#"{"k":{"action":"accept"}}"#);
        call.result(r#"{"resultType":"complete","content":[]}"#);
    })
    .await;
    assert_eq!(last.verdict(), "200", "{}", last.text());
}
