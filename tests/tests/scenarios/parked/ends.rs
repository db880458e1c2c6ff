//! How a call ends that its server holds, other than by being answered.

use std::path::Path;

use futures::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};
use tests::upstream::Talk;
use tests::wait::eventually;
use tests::{Client, Documents, Site, Upstream};

use super::{ARGUMENTS, FORM, FORMS, PATH, Scene, asks, question, retry, state};

const GIVEN: &str = r#"{"q1":{"action":"accept"}}"#;

#[tokio::test]
async fn h068_a_client_that_leaves_before_it_has_been_asked_cancels_the_call() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (_, (talk, id)) = left(client.open(client.tool("echo", ARGUMENTS)), async {
        let talk = scene.call().await.stream();
        let id = talk.id.clone();
        (talk, id)
    })
    .await;
    expect_cancelled(&scene, &id).await;
    talk.given_up().await;
    assert_eq!(ends(&scene.records().await), ["client_cancelled"]);
}

#[tokio::test]
async fn h068_a_client_that_leaves_after_it_has_answered_cancels_the_call() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let client = scene.client(FORMS);
        // Leaving with the questions is none: the connection has long been closed.
        let (talk, state) = scene.parked_with_form(&client).await;
        let (_, ()) = left(client.open(retry(&client, &state, GIVEN)), async {
            scene.answer().await.accept();
        })
        .await;
        expect_cancelled(&scene, &talk.id).await;
        talk.given_up().await;
        scene.refuses("its end", &client, retry(&client, &state, GIVEN)).await;
        assert_eq!(ends(&scene.records().await), ["client_cancelled"]);
    }
}

#[tokio::test]
async fn a_client_that_does_not_come_back_is_not_waited_for_for_ever() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::at(site, Upstream::legacy(), "answer_seconds = 1\n").await;
        let client = scene.client(FORMS);
        let (talk, state) = scene.parked_with_form(&client).await;
        // The question is answered, and then the call cancelled.
        let answer = scene.answer().await;
        assert_eq!((answer.id(), answer.raw(&["error", "code"])), ("7".into(), "-32603".into()));
        answer.accept();
        expect_cancelled(&scene, &talk.id).await;
        talk.given_up().await;
        scene.refuses("expired", &client, retry(&client, &state, GIVEN)).await;
        assert_eq!(ends(&scene.records().await), ["unanswered"]);
    }
}

#[tokio::test]
async fn a_gateway_that_stops_ends_what_it_holds() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let client = scene.client(FORMS);
        let (talk, _) = scene.parked_with_form(&client).await;
        let Scene { upstream, served, site, token } = scene;
        let (status, ()) = join(served.stop(), async {
            let answer = upstream.next().await;
            assert_eq!(answer.id(), "7", "{}", answer.body);
            assert!(answer.body.contains("the gateway is stopping"), "{}", answer.body);
            answer.accept();
            let told = upstream.next().await;
            assert_eq!(told.method, "notifications/cancelled");
            told.accept();
            talk.given_up().await;
        })
        .await;
        assert!(status.success());
        // Its end is on record, and the state of before leads nowhere.
        let served = site.start().await;
        let scene = Scene { upstream, served, site, token };
        assert_eq!(ends(&scene.records().await), ["stopping"]);
    }
}

#[tokio::test]
async fn a_gateway_that_stops_asks_nobody_any_more() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (talk, state) = scene.parked_with_form(&client).await;
    let Scene { upstream, served, .. } = scene;
    let address = served.address;
    let ((status, answer), ()) = join(
        async {
            let sending = client.send(retry(&client, &state, GIVEN));
            let stopping = async {
                upstream.next().await.accept();
                served.stop().await
            };
            let (answer, status) = join(sending, stopping).await;
            (status, answer)
        },
        async {
            // The client waits; the gateway takes no one else.
            let is_closed = || std::net::TcpStream::connect(address).is_err().then_some(());
            eventually("the end of listening", is_closed).await;
            talk.message(&question("8", FORM)).await;
            expect_no_answer(&upstream, "8").await;
        },
    )
    .await;
    assert!(status.success());
    assert_eq!((answer.status, answer.reason().as_deref()), (503, Some("stopping")));
}

#[tokio::test]
async fn a_gateway_that_is_followed_asks_nobody_any_more() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let client = scene.client(FORMS);
        let (talk, state) = scene.parked_with_form(&client).await;
        let (_unattended, _) = scene.parked_with_form(&client).await;
        let Scene { upstream, mut served, site, .. } = scene;
        let (answer, follower) = join(client.send(retry(&client, &state, GIVEN)), async {
            upstream.next().await.accept();
            // The one with a client that waits goes on, and the other one ends.
            let (follower, ()) = join(site.follow(&[]), async {
                expect_no_answer(&upstream, "7").await;
                talk.message(&question("8", FORM)).await;
                expect_no_answer(&upstream, "8").await;
            })
            .await;
            follower.unwrap()
        })
        .await;
        assert_eq!((answer.status, answer.reason().as_deref()), (503, Some("stopping")));
        assert!(served.ended().await.success());
        let answer = client.send(retry(&client, &state, GIVEN)).await;
        assert_eq!(answer.reason().as_deref(), Some("request_state"), "{}", answer.text());
        assert!(follower.stop().await.success());
        let records = site.records();
        assert_eq!(ends(&records[..]), ["stopping", "stopping"], "{}", site.database());
    }
}

#[tokio::test]
async fn a_server_that_is_changed_or_removed_loses_the_calls_that_it_holds() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        let client = scene.client(FORMS);
        for change in ["changed", "unassigned"] {
            let (talk, state) = scene.parked_with_form(&client).await;
            match change {
                "changed" => {
                    let url = format!("{}?again", scene.upstream.url);
                    let patch = json!({"transport": {"type": "http", "url": url}});
                    scene.served.must(Method::PATCH, "servers/target", Some(patch)).await;
                }
                _ => {
                    let path = "gateways/main/assignments/target";
                    scene.served.must(Method::DELETE, path, None).await;
                }
            }
            talk.given_up().await;
            let answer = client.send(retry(&client, &state, GIVEN)).await;
            assert!(answer.code().is_some(), "{change}: {}", answer.text());
            let seen = scene.upstream.seen();
            let stale = seen.iter().filter(|it| it.body.contains("accept"));
            assert_eq!(stale.count(), 0, "{change}");
        }
    }
}

#[tokio::test]
async fn h069_what_a_server_answers_unasked_or_twice_is_nobodys() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let (talk, state) = scene.parked_with_form(&client).await;
    let answer = |id: &str, text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        )
    };
    for id in ["4711", "\"7\"", "-1"] {
        talk.message(&answer(id, "wrong")).await;
    }
    let (last, ()) = join(client.send(retry(&client, &state, GIVEN)), async {
        scene.answer().await.accept();
        talk.message(&answer(&talk.id, "right")).await;
        talk.message(&answer(&talk.id, "wrong")).await;
    })
    .await;
    assert_eq!(last.json()["result"]["content"][0]["text"], "right", "{}", last.text());
    let (next, ()) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        scene.call().await.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(next.json()["result"]["content"], json!([]), "{}", next.text());
    let answered = scene.upstream.seen().into_iter().filter(|it| it.body.contains("accept"));
    assert_eq!(answered.count(), 1);
}

#[tokio::test]
async fn calls_that_are_held_are_bounded() {
    // Of one app, and of all together.
    for (configuration, most, has_room) in [("", 64, true), ("most_held_calls = 2\n", 2, false)] {
        let scene = Scene::at(Site::new(None), Upstream::legacy(), configuration).await;
        let client = scene.client(FORMS);
        let mut held: Vec<(Talk, String)> = Vec::new();
        for _ in 0..most {
            held.push(scene.parked_with_form(&client).await);
        }
        refused_one_more(&scene, &client).await;
        let token = scene.served.token("other", "t").await;
        let other = scene.client_at(PATH, &token, FORMS);
        if has_room {
            scene.parked_with_form(&other).await;
        } else {
            refused_one_more(&scene, &other).await;
        }
        // Each that ends makes room for one.
        let (talk, state) = held.pop().unwrap();
        let (last, ()) = join(client.send(retry(&client, &state, GIVEN)), async {
            scene.answer().await.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
        scene.parked_with_form(&client).await;
    }
}

/// A call whose client is not asked, since there is no room for it to be held.
async fn refused_one_more(scene: &Scene, client: &Client) {
    let (answer, ()) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let talk = scene.call().await.stream();
        talk.message(&question("9", FORM)).await;
        let answer = scene.answer().await;
        assert_eq!(answer.raw(&["error", "message"]), "\"this client cannot be asked\"");
        answer.accept();
        talk.result(r#"{"content":[]}"#).await;
    })
    .await;
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
}

#[tokio::test]
async fn what_one_call_may_ask_is_bounded() {
    let scene = Scene::legacy().await;
    let client = scene.client(FORMS);
    let asked: Vec<String> = (0..17).map(|it| question(&it.to_string(), FORM)).collect();
    let (first, refused) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let talk = scene.call().await.stream();
        // All at once.
        let events = asked.iter().map(|it| format!("event: message\ndata: {it}\n\n"));
        talk.bytes(events.collect::<String>()).await;
        let refused = scene.answer().await;
        let id = refused.id();
        refused.accept();
        (talk, id)
    })
    .await;
    assert_eq!(asks(&first).as_object().unwrap().len(), 16, "{}", first.text());
    assert_eq!(refused.1, "16");
}

#[tokio::test]
async fn a_session_that_nobody_uses_any_more_is_ended() {
    let plan = Upstream::legacy().by_hand("DELETE");
    let configuration = "keep_sessions_seconds = 1\n";
    let scene = Scene::at(Site::new(None), plan, configuration).await;
    let client = scene.client(FORMS);
    // On a slow machine others may be ended before it.
    let next = async |method: &str| loop {
        let next = scene.upstream.next().await;
        if next.method == method {
            break next;
        }
        next.accept();
    };
    let (_, session) = join(client.send(client.tool("echo", "{}")), async {
        let call = next("tools/call").await;
        let session = call.header("mcp-session-id").unwrap().to_owned();
        call.result(r#"{"content":[]}"#);
        session
    })
    .await;
    let ended = next("DELETE").await;
    assert_eq!(ended.header("mcp-session-id"), Some(&*session));
    ended.accept();
    let records = scene.records().await;
    let delete = records.iter().find(|it| it.text("method") == Some("DELETE")).unwrap();
    assert_eq!(delete.kind, "intent");
}

#[tokio::test]
async fn a_gateway_that_stops_ends_the_sessions_that_nobody_uses() {
    for scene in Scene::on_each_database(|| Upstream::legacy().by_hand("DELETE")).await {
        let client = scene.client(FORMS);
        let (answer, session) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.call().await;
            let session = call.header("mcp-session-id").unwrap().to_owned();
            call.result(r#"{"content":[]}"#);
            session
        })
        .await;
        assert_eq!(answer.verdict(), "200");
        let Scene { upstream, served, site, token: _ } = scene;
        let (status, ()) = join(served.stop(), async {
            let ended = upstream.next().await;
            assert_eq!(
                (ended.method.as_str(), ended.header("mcp-session-id")),
                ("DELETE", Some(&*session))
            );
            ended.accept();
        })
        .await;
        assert!(status.success(), "{}", site.words());
        let records = site.records();
        let intent = records.iter().find(|it| it.text("method") == Some("DELETE")).unwrap();
        let outcomes = records.iter().filter(|it| it.kind == "outcome");
        let own = outcomes.filter(|it| it.text("call") == intent.text("call"));
        assert_eq!(own.count(), 1, "{}", site.database());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{words}");
    }
}

#[tokio::test]
async fn a_child_process_asks_the_client_of_the_call_that_it_serves() {
    let site = Site::new(None);
    let double = env!("CARGO_BIN_EXE_stdio_double");
    let double = format!("type: stdio, command: \"{double}\", args: [legacy]");
    let served = site.start_with(&Documents::over("double", &double)).await;
    let token = served.token("bot", "t").await;
    let mut client = Client::modern_with_token(&served, "/mcp/default/main/double", &token);
    client.capabilities = FORMS.to_owned();
    // Two calls at a time have a child each.
    let firsts = join_all((0..2).map(|_| client.send(client.tool("ask", "{}")))).await;
    for first in firsts {
        let asked = json!({"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}});
        assert_eq!(asks(&first), json!({"q1": asked}), "{}", first.text());
        let given = r#"{"q1":{"action":"accept","content":{"n":1.0}}}"#;
        let back = super::retry_of(
            &client,
            "tools/call",
            r#""name":"ask","arguments":{}"#,
            (&state(&first), given),
        );
        let last = client.send(back).await;
        // The double's answer is the line that it was given.
        let line = r#"{"jsonrpc":"2.0","id":"q","result":{"action":"accept","content":{"n":1.0}}}"#;
        assert!(last.text().contains(line), "{}", last.text());
    }
    // A child that has served a call to its end serves the next one.
    let pids = [pid(&client).await, pid(&client).await];
    assert_eq!(pids[0], pids[1]);
    let plain = Client::modern_with_token(&served, "/mcp/default/main/double", &token);
    assert_ne!(pid(&plain).await, pids[0], "what can be asked is not shared");
    // One whose call was given up in the middle serves no other.
    let first = client.send(client.tool("ask", "{}")).await;
    state(&first);
    let off = json!({"kind": "app", "name": "bot"});
    served.must(Method::POST, "cutoffs", Some(off.clone())).await;
    served.must(Method::POST, "restores", Some(off)).await;
    eventually("the end of the child", || (!is_running(pids[0])).then_some(())).await;
    assert!(served.stop().await.success());
    assert_eq!(site.verify().await.0, Some(0));
}

/// What the server gets, and then no more of the client.
async fn left<T>(client: impl Future, arriving: impl Future<Output = T>) -> ((), T) {
    tokio::select! {
        arrived = arriving => ((), arrived),
        _ = client => panic!("an answer before the server has given one"),
    }
}

/// The server's question is refused, and its call given up.
async fn expect_no_answer(upstream: &Upstream, id: &str) {
    let answer = upstream.next().await;
    assert_eq!((answer.id(), answer.raw(&["error", "code"])), (id.into(), "-32603".into()));
    answer.accept();
    let told = upstream.next().await;
    assert_eq!(told.method, "notifications/cancelled");
    told.accept();
}

async fn expect_cancelled(scene: &Scene, id: &str) {
    let told = scene.upstream.next().await;
    assert_eq!(told.method, "notifications/cancelled", "{}", told.body);
    assert_eq!(told.raw(&["params", "requestId"]), id);
    told.accept();
}

/// How the calls of tools have ended.
fn ends(records: &[tests::archive::Kept]) -> Vec<String> {
    let calls = records.iter().filter(|it| it.kind == "intent");
    let calls = calls.filter(|it| it.text("method") == Some("tools/call"));
    let ends = calls.map(|call| {
        let ends = records.iter().filter(|it| it.kind == "outcome");
        let ends: Vec<_> = ends.filter(|it| it.text("call") == call.text("call")).collect();
        assert_eq!(ends.len(), 1, "{call:?}");
        ends[0].text("end").unwrap().to_owned()
    });
    ends.collect()
}

async fn pid(client: &Client) -> u32 {
    let answer: Value = client.send(client.tool("pid", "{}")).await.json();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{client}: {answer}")).parse().unwrap()
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
