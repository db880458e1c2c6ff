//! What comes before an answer, beside it, and after it should have come.

use futures::future::join;
use tests::{Client, Era, Upstream};

use crate::scene::{Pair, Scene, each_era};

#[tokio::test]
async fn progress_and_logs_come_in_order_and_before_the_answer() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let meta = match client.era {
                Era::Modern => r#""progressToken":"p","io.modelcontextprotocol/logLevel":"info""#,
                Era::Legacy => r#""progressToken":"p""#,
            };
            let members = r#""name":"echo","arguments":{}"#;
            let post = client.request_with_meta("tools/call", members, meta);
            let id = post.id.clone();
            let (mut answer, call) = join(client.open(post), async {
                let call = scene.upstream.next().await;
                assert_eq!(call.raw(&["params", "_meta", "progressToken"]), "\"p\"", "{row}");
                let call = call.stream();
                call.notification(
                    "notifications/progress",
                    r#"{"progressToken":"p","progress":1.0,"total":3}"#,
                )
                .await;
                call
            })
            .await;
            assert!(answer.is_stream(), "{row}");
            assert_eq!(answer.header("x-accel-buffering"), Some("no"), "{row}");
            // The first has come while the others have not been said yet.
            let first = answer.next().await.unwrap();
            let first = String::from_utf8(first.data.to_vec()).unwrap();
            assert!(first.contains(r#""progressToken":"p","progress":1.0"#), "{row}: {first}");
            call.notification("notifications/message", r#"{"level":"info","data":{"n":1e400}}"#)
                .await;
            let second = answer.next().await.unwrap();
            let second = String::from_utf8(second.data.to_vec()).unwrap();
            assert!(second.contains(r#""data":{"n":1e400}"#), "{row}: {second}");
            call.notification("notifications/progress", r#"{"progressToken":"p","progress":2}"#)
                .await;
            call.result(r#"{"content":[]}"#).await;
            assert_eq!(answer.message().await["params"]["progress"], 2, "{row}");
            let last = answer.message().await;
            assert_eq!(last["id"].to_string(), id, "{row}");
            assert!(last["result"]["content"].is_array(), "{row}: {last}");
            assert_eq!(answer.next().await, None, "{row}");
        }
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_under_signs_of_life() {
    let mut slow = tokio::task::JoinSet::new();
    for (spoken, plan) in each_era() {
        slow.spawn(async move {
            let scene = Scene::of(plan).await;
            let [modern, legacy] = scene.clients().await;
            let (one, other) = join(
                modern.open(modern.tool("echo", "{}")),
                legacy.open(legacy.tool("echo", "{}")),
            )
            .await;
            // Nothing has been said so far, and yet there are answers.
            assert!(one.is_stream() && other.is_stream(), "a {spoken:?} server");
            for _ in 0..2 {
                scene.upstream.next().await.result(r#"{"content":[]}"#);
            }
            for answer in [one.whole().await, other.whole().await] {
                assert_eq!(answer.messages.len(), 1, "a {spoken:?} server");
                assert!(answer.json()["result"]["content"].is_array(), "a {spoken:?} server");
            }
        });
    }
    slow.join_all().await;
}

#[tokio::test]
async fn a_modern_client_hears_only_what_it_has_asked_for() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        let client = Client::modern(&scene.gateway);
        client.warm_up().await;
        for (level, expected) in
            [("", &[][..]), ("warning", &["warning", "error"]), ("error", &["error"])]
        {
            let meta = match level {
                "" => String::new(),
                level => format!(r#""io.modelcontextprotocol/logLevel":"{level}""#),
            };
            let members = r#""name":"echo","arguments":{}"#;
            let post = client.request_with_meta("tools/call", members, &meta);
            let (answer, ()) = join(client.send(post), async {
                let call = scene.upstream.next().await.stream();
                for level in ["debug", "warning", "error"] {
                    let params = format!(r#"{{"level":"{level}","data":"x"}}"#);
                    call.notification("notifications/message", &params).await;
                }
                // This one belongs to a subscription.
                call.notification("notifications/tools/list_changed", "{}").await;
                call.result(r#"{"content":[]}"#).await;
            })
            .await;
            let (last, before) = answer.messages.split_last().unwrap();
            assert!(last.starts_with(br#"{"jsonrpc":"2.0","id":"#), "a {spoken:?} server");
            let levels = before.iter().map(|it| {
                let message: serde_json::Value = serde_json::from_slice(it).unwrap();
                message["params"]["level"].as_str().unwrap_or("none").to_owned()
            });
            assert_eq!(levels.collect::<Vec<_>>(), expected, "a {spoken:?} server, {level}");
        }
    }
}

#[tokio::test]
async fn a_list_that_changes_during_a_call_is_asked_for_anew() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.stream();
                call.notification("notifications/tools/list_changed", "{}").await;
                call.result(r#"{"content":[]}"#).await;
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{client}, a {spoken:?} server");
            let listed = scene.upstream.seen_of("tools/list").len();
            client.warm_up().await;
            let now = scene.upstream.seen_of("tools/list").len();
            assert_eq!(now, listed + 1, "{client}, a {spoken:?} server");
        }
    }
}

#[tokio::test]
async fn a_question_of_a_legacy_server_is_answered_by_its_legacy_client() {
    let scene = Scene::of(Upstream::legacy()).await;
    let capabilities = r#"{"elicitation":{},"sampling":{},"roots":{}}"#;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", capabilities).await;
    for (method, params, reply) in [
        (
            "elicitation/create",
            r#"{"message":"?","requestedSchema":{"n":1e400}}"#,
            r#"{"action":"accept","content":{"n":1.0}}"#,
        ),
        (
            "sampling/createMessage",
            r#"{"messages":[],"maxTokens":1}"#,
            r#"{"role":"assistant","content":{"type":"text","text":"s"},"model":"m"}"#,
        ),
        ("roots/list", "{}", r#"{"roots":[]}"#),
    ] {
        let (mut answer, call) = join(client.open(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await.stream();
            call.message(&format!(
                r#"{{"jsonrpc":"2.0","id":"q\u002d1","method":"{method}","params":{params}}}"#
            ))
            .await;
            call
        })
        .await;
        let question = answer.next().await.unwrap().data;
        let question = String::from_utf8(question.to_vec()).unwrap();
        assert!(question.contains(&format!(r#""params":{params}"#)), "{question}");
        let id = tests::text::raw(&question, &["id"]).parse().unwrap();
        let (taken, ()) = join(client.send(client.reply(&id, reply)), async {
            let answered = scene.upstream.next().await;
            assert_eq!(answered.id(), r#""q\u002d1""#, "the server's own id, as it wrote it");
            assert_eq!(answered.raw(&["result"]), reply);
            answered.accept();
        })
        .await;
        assert_eq!(taken.status, 202);
        // A question is answered once.
        let seen = scene.upstream.seen().len();
        assert_eq!(client.send(client.reply(&id, reply)).await.status, 202);
        assert_eq!(scene.upstream.seen().len(), seen, "{method}");
        call.result(r#"{"content":[]}"#).await;
        assert!(answer.message().await["result"].is_object());
    }
}

#[tokio::test]
async fn nobody_answers_a_question_that_was_put_to_another() {
    let scene = Scene::of(Upstream::legacy()).await;
    let asked = Client::legacy_as(&scene.gateway, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let other = Client::legacy_as(&scene.gateway, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let (mut answer, call) = join(asked.open(asked.tool("echo", "{}")), async {
        let call = scene.upstream.next().await.stream();
        call.message(r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#).await;
        call
    })
    .await;
    let id = answer.message().await["id"].clone();
    let seen = scene.upstream.seen().len();
    let foreign = other.reply(&id, r#"{"action":"accept"}"#);
    assert_eq!(other.send(foreign).await.status, 202);
    assert_eq!(scene.upstream.seen().len(), seen, "the other's answer goes nowhere");
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
    // With its call, the question is over.
    assert_eq!(asked.send(asked.reply(&id, r#"{"action":"accept"}"#)).await.status, 202);
    assert_eq!(scene.upstream.seen().len(), seen);
}

#[tokio::test]
async fn a_server_whose_client_cannot_be_asked_is_told_so() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::modern(&scene.gateway);
    client.warm_up().await;
    for (method, expected) in [("elicitation/create", Some("-32601")), ("ping", None)] {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await.stream();
            call.message(&format!(r#"{{"jsonrpc":"2.0","id":"q","method":"{method}"}}"#)).await;
            let answered = scene.upstream.next().await;
            assert_eq!(answered.id(), "\"q\"");
            match expected {
                Some(code) => assert_eq!(answered.raw(&["error", "code"]), code),
                None => assert_eq!(answered.raw(&["result"]), "{}"),
            }
            answered.accept();
            call.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{method}");
        let last = answer.messages.iter().filter(|it| it.windows(8).any(|it| it == b"\"method\""));
        assert_eq!(last.count(), 0, "the client hears nothing of it");
    }
}

#[tokio::test]
async fn h061_a_request_of_a_modern_server_goes_nowhere() {
    let scene = Scene::of(Upstream::modern()).await;
    for client in scene.clients().await {
        let seen = scene.upstream.seen().len();
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await.stream();
            for method in ["elicitation/create", "sampling/createMessage", "roots/list", "ping"] {
                call.message(&format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{method}"}}"#)).await;
            }
            call.result(r#"{"resultType":"complete","content":[]}"#).await;
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{client}");
        assert_eq!(answer.messages.len(), 1, "{client}: {:?}", answer.messages);
        assert_eq!(scene.upstream.seen().len(), seen + 1, "{client}: the server gets no answer");
    }
}

#[tokio::test]
async fn h061_a_request_in_the_place_of_an_answer_is_none() {
    for Pair { scene, client, row, server } in &Scene::pairs(|it| it).await {
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await;
            let request =
                format!(r#"{{"jsonrpc":"2.0","id":{},"method":"roots/list"}}"#, call.id());
            call.respond(200, "application/json", request);
            // A legacy server may ask, but not a modern client that says nothing of it.
            if (client.era, *server) == (Era::Modern, Era::Legacy) {
                let told = scene.upstream.next().await;
                assert_eq!(told.raw(&["error", "code"]), "-32601", "{row}");
                told.accept();
            }
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn h069_a_second_answer_is_discarded() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.stream();
                call.notification("notifications/message", r#"{"level":"info","data":""}"#).await;
                call.result(r#"{"content":[],"n":"first"}"#).await;
                call.result(r#"{"content":[],"n":"second"}"#).await;
            })
            .await;
            assert!(answer.text().contains("first"), "{row}: {}", answer.text());
            let second = answer.messages.iter().any(|it| it.windows(6).any(|it| it == b"second"));
            assert!(!second, "{row}");
            // Neither is it taken for the answer to the next call.
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                scene.upstream.next().await.result(r#"{"content":[],"n":"third"}"#);
            })
            .await;
            assert!(answer.text().contains("third"), "{row}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn h069_an_answer_to_something_else_is_none() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.stream();
                for id in ["4711", "\"1\"", &format!("\"{}\"", call.id), "-1"] {
                    call.message(&format!(
                        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"n":"wrong"}}}}"#
                    ))
                    .await;
                }
                call.result(r#"{"content":[],"n":"right"}"#).await;
            })
            .await;
            assert_eq!(answer.messages.len(), 1, "{row}: {:?}", answer.messages);
            assert!(answer.text().contains("right"), "{row}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn h070_one_event_stays_one_event() {
    let planted = r#"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"#;
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.stream();
                // Names, ids and delays are the gateway's own affair.
                call.bytes("id: 7\nretry: 1\nevent: message\n: comment\ndata: {\"jsonrpc\":\"2.0\",\ndata:\"method\":\"notifications/message\",\ndata: \"params\":{\"level\":\"emergency\",\"data\":1}}\n\n").await;
                call.bytes("event: evil\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":2}}\n\n").await;
                call.bytes("id: 8\ndata:\n\n").await;
                let result = format!(
                    "{{\ndata: \"content\":[\r\ndata: {{\"type\":\"text\",\"text\":\"a\\n\\ndata: {planted}\\r\\nevent: evil\"}}]}}"
                );
                call.result(&result).await;
            })
            .await;
            let text = answer.text();
            let result = serde_json::from_str::<serde_json::Value>(&text).unwrap();
            let said = result["result"]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(said.starts_with("a\n\ndata: {"), "{row}: {text}");
            let before = answer.messages.len() - 1;
            assert_eq!(
                before,
                usize::from(client.era == Era::Legacy),
                "{row}: {:?}",
                answer.messages
            );
        }
    }
}

#[tokio::test]
async fn h070_an_answer_of_many_lines_is_one_event() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let post = client.tool_with_progress("echo", "7");
        let (answer, ()) = join(client.send(post), async {
            let call = scene.upstream.next().await;
            let id = call.id();
            let call = call.stream();
            call.notification("notifications/progress", r#"{"progressToken":7,"progress":1}"#).await;
            let lines = format!("{{\ndata: \"jsonrpc\":\"2.0\",\ndata: \"id\":{id},\ndata: \"result\":{{\ndata: \"content\":[]}}\ndata: }}");
            call.message(&lines).await;
        })
        .await;
        assert_eq!(answer.messages.len(), 2, "{row}");
        assert_eq!(answer.json()["result"]["content"], serde_json::json!([]), "{row}");
    }
}

#[tokio::test]
async fn h071_progress_of_another_request_is_dropped() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        for client in scene.clients().await {
            let row = format!("{client}, a {spoken:?} server");
            let post = client.tool_with_progress("echo", "1");
            let (answer, ()) = join(client.send(post), async {
                let call = scene.upstream.next().await;
                let call = call.stream();
                for token in ["2", "\"1\"", "1.0", "null", "\"p\""] {
                    let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
                    call.notification("notifications/progress", &params).await;
                }
                call.notification("notifications/progress", r#"{"progress":1}"#).await;
                call.result(r#"{"content":[]}"#).await;
            })
            .await;
            assert_eq!(answer.messages.len(), 1, "{row}: {:?}", answer.messages);
            // Who has asked for none gets none.
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await.stream();
                call.notification("notifications/progress", r#"{"progressToken":1,"progress":1}"#)
                    .await;
                call.result(r#"{"content":[]}"#).await;
            })
            .await;
            assert_eq!(answer.messages.len(), 1, "{row}: {:?}", answer.messages);
        }
    }
}
