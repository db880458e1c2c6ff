//! Legacy clients that lose a stream and come back to it.

use std::collections::BTreeMap;

use futures::future::join;
use tests::client::LEGACY;
use tests::upstream::Talk;
use tests::wait::eventually;
use tests::{Client, Documents, Era, Post, Site, Streamed, Upstream};

use crate::scene::{Pair, Scene, each_era};

const PROGRESS: &str = "notifications/progress";

/// A legacy client that has heard of some progress.
struct Call {
    answer: Streamed,
    talk: Talk,
    id: String,
}

impl Call {
    async fn of(scene: &Scene, client: &Client) -> Self {
        let post = client.tool_with_progress("echo", "1");
        let id = post.id.clone();
        let (mut answer, talk) = join(client.open(post), async {
            let talk = scene.upstream.next().await.stream();
            progress(&talk, 1).await;
            talk
        })
        .await;
        assert_eq!(answer.message().await["params"]["progress"], 1);
        Self { answer, talk, id }
    }
}

async fn progress(talk: &Talk, number: u32) {
    let params = format!(r#"{{"progressToken":1,"progress":{number}}}"#);
    talk.notification(PROGRESS, &params).await;
}

/// What comes after an event.
fn after(client: &Client, id: &str) -> Post {
    client.get().with("last-event-id", id)
}

#[tokio::test]
async fn what_a_client_misses_it_gets_when_it_comes_back() {
    let scene = Scene::of(Upstream::legacy()).await;
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
        let known = scene.gateway.records().len();
        let Call { answer, talk, id } = Call::of(&scene, &client).await;
        let seen = answer.last_id.clone().expect("an id to come back to");
        drop(answer);
        progress(&talk, 2).await;
        talk.result(r#"{"content":[],"n":1e400}"#).await;
        let outcome = scene.gateway.has_recorded(known, "answered").await;
        assert_eq!(outcome.kind, "outcome", "{revision}");
        // As often as it likes.
        for _ in 0..2 {
            let mut rest = client.open(after(&client, &seen)).await;
            assert!(rest.is_stream(), "{revision}");
            assert_eq!(rest.message().await["params"]["progress"], 2, "{revision}");
            let last = String::from_utf8(rest.next().await.unwrap().data.to_vec()).unwrap();
            assert!(last.contains(r#""n":1e400"#), "{revision}: {last}");
            assert!(last.contains(&format!(r#""id":{id},"#)), "{revision}: {last}");
            assert_eq!(rest.next().await, None, "{revision}");
            // There is nothing after the answer.
            let end = client.send(after(&client, &rest.last_id.unwrap())).await;
            assert_eq!((end.status, end.messages.len()), (200, 0), "{revision}");
        }
        assert!(scene.upstream.seen_of("notifications/cancelled").is_empty(), "{revision}");
        assert_eq!(scene.gateway.records_since(known).len(), 2, "{revision}: intent and outcome");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_during_its_call_hears_the_rest_live() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy(&scene.gateway).await;
    let Call { mut answer, talk, .. } = Call::of(&scene, &client).await;
    let first = answer.last_id.clone().unwrap();
    let mut second = client.open(after(&client, &first)).await;
    // Whoever has read so far is taken for dead.
    assert_eq!(answer.next().await, None);
    progress(&talk, 2).await;
    assert_eq!(second.message().await["params"]["progress"], 2);
    let third = client.open(after(&client, &first)).await;
    assert_eq!(second.next().await, None);
    talk.result(r#"{"content":[]}"#).await;
    let rest = third.whole().await;
    assert_eq!(rest.messages.len(), 2, "what has been heard is told once more: {rest:?}");
    assert!(rest.json()["result"].is_object());
}

#[tokio::test]
async fn h068_a_call_whose_client_leaves_before_a_word_goes_on_to_its_end() {
    for Pair { scene, client, .. } in &Scene::pairs_of(Era::Legacy, |it| it).await {
        let known = scene.gateway.records().len();
        let call = {
            let opening = client.open(client.tool("echo", "{}"));
            tokio::select! {
                call = scene.upstream.next() => call,
                _ = opening => panic!("an answer before the server has given one"),
            }
        };
        // The gateway has seen the client go by the time that it has answered another one.
        client.warm_up().await;
        call.result(r#"{"content":[]}"#);
        scene.gateway.has_recorded(known, "answered").await;
        assert!(scene.upstream.seen_of("notifications/cancelled").is_empty());
    }
}

#[tokio::test]
async fn the_calls_of_clients_that_are_away_are_ended_and_recorded_when_the_gateway_stops() {
    for (server, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let row = format!("a {server:?} server, {}", site.database());
            let upstream = plan.clone().start().await;
            let served = site.start_with(&Documents::of("files", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            let place = ("/mcp/default/main/files", token.as_str());
            let client = Client::legacy_with_token(&served, place, LEGACY, "{}").await;
            client.warm_up().await;
            // One leaves before a word has been said, the other after that.
            let silent = tokio::select! {
                call = upstream.next() => call,
                _ = client.open(client.tool("echo", "{}")) => panic!("{row}: an answer"),
            };
            let (answer, talk) = join(client.open(client.tool_with_progress("echo", "1")), async {
                let talk = upstream.next().await.stream();
                progress(&talk, 1).await;
                talk
            })
            .await;
            assert!(answer.is_stream(), "{row}");
            drop(answer);
            // The gateway has seen the clients go by the time that it has answered another one.
            client.warm_up().await;
            let (status, ()) = join(served.stop(), async {
                if server == Era::Legacy {
                    for _ in 0..2 {
                        let told = upstream.next().await;
                        assert_eq!(told.method, "notifications/cancelled", "{row}");
                        told.accept();
                    }
                }
                silent.given_up().await;
                talk.given_up().await;
            })
            .await;
            assert!(status.success(), "{row}: {}", site.words());
            let records = site.records();
            let calls = records.iter().filter(|it| it.text("method") == Some("tools/call"));
            for call in calls.filter(|it| it.kind == "intent") {
                let own = records.iter().filter(|it| it.kind == "outcome");
                let own = own.filter(|it| it.text("call") == call.text("call"));
                let ends: Vec<_> = own.map(|it| it.text("end").unwrap_or_default()).collect();
                assert_eq!(ends, ["client_cancelled"], "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_has_left_can_still_cancel_in_words() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy(&scene.gateway).await;
    let known = scene.gateway.records().len();
    let Call { answer, talk, id } = Call::of(&scene, &client).await;
    drop(answer);
    let word = client.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
    let (taken, ()) = join(client.send(word), async {
        let told = scene.upstream.next().await;
        assert_eq!(told.raw(&["params", "requestId"]), talk.id);
        told.accept();
    })
    .await;
    assert_eq!(taken.status, 202);
    talk.given_up().await;
    scene.gateway.has_recorded(known, "client_cancelled").await;
}

#[tokio::test]
async fn a_session_that_ends_gives_up_what_nobody_reads() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy(&scene.gateway).await;
    let known = scene.gateway.records().len();
    let Call { answer, talk, .. } = Call::of(&scene, &client).await;
    drop(answer);
    assert_eq!(client.send(client.delete()).await.status, 200);
    talk.given_up().await;
    scene.gateway.has_recorded(known, "client_cancelled").await;
}

#[tokio::test]
async fn streams_begin_with_a_place_to_come_back_to_where_the_revision_has_that() {
    let scene = Scene::of(Upstream::legacy()).await;
    for (revision, is_primed) in
        [("2025-03-26", false), ("2025-06-18", false), ("2025-11-25", true)]
    {
        let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
        let (mut answer, ()) = join(client.open(client.tool_with_progress("echo", "1")), async {
            let talk = scene.upstream.next().await.stream();
            progress(&talk, 1).await;
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        let first = answer.next_of_any_kind().await.unwrap();
        assert_eq!(first.data.is_empty(), is_primed, "{revision}: {first:?}");
        assert_eq!(first.retry.is_some(), is_primed, "{revision}: {first:?}");
        let id = first.id.unwrap();
        let rest = client.send(after(&client, &id)).await;
        assert_eq!(rest.messages.len(), if is_primed { 2 } else { 1 }, "{revision}");
        // So does the stream for what belongs to no call.
        let mut stream = client.open(client.get()).await;
        if is_primed {
            let first = stream.next_of_any_kind().await.unwrap();
            assert!(first.data.is_empty() && first.id.is_some() && first.retry.is_some());
        }
        // What is one answer and no stream needs none.
        let (whole, ()) = join(client.open(client.tool("echo", "{}")), async {
            scene.upstream.next().await.result(r#"{"content":[]}"#);
        })
        .await;
        assert_eq!(whole.header("content-type"), Some("application/json"), "{revision}");
        drop(stream);
    }
}

#[tokio::test]
async fn h065_an_id_replays_nothing_of_another_session() {
    for Pair { scene, client, .. } in &Scene::pairs_of(Era::Legacy, |it| it).await {
        let other = Client::legacy(&scene.gateway).await;
        let Call { answer, talk, .. } = Call::of(scene, client).await;
        talk.result(r#"{"content":[],"n":"secret"}"#).await;
        let id = answer.last_id.clone().unwrap();
        assert_eq!(answer.whole().await.messages.len(), 1);
        let unknown = ("400/-32600", "event_unknown");
        let (strand, event) = id.split_once('-').unwrap();
        let wrong =
            ["", "1", "-", "0-1", &format!("{strand}-"), &format!("0{id}"), &format!("+{id}")];
        let later = format!("{strand}-99");
        let wide = format!("{strand}-{}", u64::MAX);
        let moved = format!("{}-{event}", strand.parse::<u64>().unwrap() + 1);
        for wrong in wrong.into_iter().chain([&*later, &*wide, &*moved]) {
            scene.refuses(client, after(client, wrong), unknown).await;
        }
        scene.refuses(&other, after(&other, &id), unknown).await;
        let foreign = after(&other, &id).with("mcp-session-id", "x");
        scene.refuses(&other, foreign, ("404/-32600", "session_unknown")).await;
        assert_eq!(client.send(after(client, &id)).await.messages.len(), 1, "its own it gets");
        // Two of them are none.
        let two = after(client, &id).and("last-event-id", &id);
        scene.refuses(client, two, ("400/-32600", "bad_header")).await;
        assert_eq!(client.send(client.delete()).await.status, 200);
        scene.refuses(client, after(client, &id), ("404/-32600", "session_unknown")).await;
    }
}

#[tokio::test]
async fn what_is_kept_for_clients_that_are_away_is_bounded_and_given_back() {
    /// More than what is kept for one app, and each less than what is kept of one stream.
    const CALLS: usize = 40;
    let scene = Scene::of(Upstream::legacy()).await;
    let large = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(900 << 10));
    let mut clients = Vec::new();
    let before = scene.gateway.peak_memory();
    for _ in 0..CALLS {
        let known = scene.gateway.records().len();
        let client = Client::legacy(&scene.gateway).await;
        let Call { answer, talk, .. } = Call::of(&scene, &client).await;
        let id = answer.last_id.clone().unwrap();
        drop(answer);
        talk.result(&large).await;
        scene.gateway.has_recorded(known, "answered").await;
        clients.push((client, id));
    }
    let grown = scene.gateway.grown_since(before);
    assert!(grown < 40 << 20, "{grown} bytes for {CALLS} answers of 900 KiB");
    let (mut kept, mut lost) = (0, 0);
    for (client, id) in &clients {
        let answer = client.send(after(client, id)).await;
        match answer.code() {
            None => kept += 1,
            Some(code) => {
                assert_eq!((code, answer.reason().as_deref()), (1503, Some("not_kept")));
                lost += 1;
            }
        }
    }
    assert!(10 <= kept && 10 <= lost, "{kept} {lost}");
    for (client, _) in &clients {
        assert_eq!(client.send(client.delete()).await.status, 200);
    }
    let client = Client::legacy(&scene.gateway).await;
    let known = scene.gateway.records().len();
    let Call { answer, talk, .. } = Call::of(&scene, &client).await;
    let id = answer.last_id.clone().unwrap();
    drop(answer);
    talk.result(&large).await;
    scene.gateway.has_recorded(known, "answered").await;
    assert_eq!(client.send(after(&client, &id)).await.code(), None, "there is room again");
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_kept_is_told_to_whoever_is_there() {
    let scene = Scene::of(Upstream::legacy()).await;
    let large = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(3 << 20));
    for revision in ["2025-03-26", "2025-11-25"] {
        let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
        let Call { answer, talk, .. } = Call::of(&scene, &client).await;
        let id = answer.last_id.clone().unwrap();
        talk.result(&large).await;
        let whole = answer.whole().await;
        assert_eq!(whole.messages.len(), 1);
        assert!(3 << 20 < whole.text().len());
        assert_eq!(client.send(after(&client, &id)).await.reason().as_deref(), Some("not_kept"));
    }
}

#[tokio::test]
async fn calls_whose_clients_are_away_are_as_many_as_one_app_may_have() {
    /// One more than that.
    const CALLS: usize = 201;
    let plan = Upstream::legacy().on("notifications/cancelled", |it| async move { it.accept() });
    let scene = Scene::of(plan).await;
    let known = scene.gateway.records().len();
    let client = Client::legacy(&scene.gateway).await;
    let mut talks = Vec::new();
    for _ in 0..CALLS {
        let Call { talk, .. } = Call::of(&scene, &client).await;
        talks.push(talk);
    }
    scene.gateway.has_recorded(known, "client_cancelled").await;
    let given_up = scene.upstream.seen_of("notifications/cancelled").len();
    assert!((0..=1).contains(&given_up), "{given_up}");
    // The others go on to their ends.
    for talk in &talks {
        talk.result(r#"{"content":[]}"#).await;
    }
    // The client's first words have an end, too.
    let expected =
        BTreeMap::from([("answered", CALLS - 1), ("answered_here", 1), ("client_cancelled", 1)]);
    let ends = || {
        let records = scene.gateway.records_since(known);
        let outcomes = records.iter().filter(|it| it.kind == "outcome");
        outcomes.fold(BTreeMap::<String, usize>::new(), |mut ends, it| {
            *ends.entry(it.end().to_owned()).or_default() += 1;
            ends
        })
    };
    let is_over = || Some(ends()).filter(|it| CALLS < it.values().sum());
    let ends = eventually("the ends of all calls", is_over).await;
    assert!(ends.iter().map(|(end, count)| (end.as_str(), *count)).eq(expected), "{ends:?}");
}

#[tokio::test]
async fn h067_everybody_comes_back_to_what_is_its_own() {
    const CLIENTS: u64 = 24;
    for (_, plan) in each_era() {
        let plan = plan.on("tools/call", |call| async move {
            let nonce = call.raw(&["params", "arguments", "n"]);
            let talk = call.stream();
            for part in 0..4 {
                let params = format!(r#"{{"progressToken":{nonce},"progress":{part}}}"#);
                talk.notification(PROGRESS, &params).await;
            }
            talk.result(&format!(r#"{{"content":[],"n":{nonce}}}"#)).await;
        });
        let scene = Scene::of(plan).await;
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            // Two calls of each client at a time.
            let client = Client::legacy(&scene.gateway).await;
            clients.spawn(async move {
                let call = async |nonce: u64| {
                    let members = format!(r#""name":"echo","arguments":{{"n":{nonce}}}"#);
                    let token = format!(r#""progressToken":{nonce}"#);
                    let post = client.request_with_meta("tools/call", &members, &token);
                    let mut stream = client.open(post).await;
                    let mut heard = Vec::new();
                    // After each message the connection is lost.
                    loop {
                        let Some(event) = stream.next().await else { break };
                        let text = String::from_utf8(event.data.to_vec()).unwrap();
                        let is_last = text.contains(r#""result""#);
                        heard.push(text);
                        if is_last {
                            break;
                        }
                        let id = stream.last_id.clone().unwrap();
                        stream = client.open(after(&client, &id)).await;
                    }
                    assert_eq!(heard.len(), 5, "{nonce}: {heard:?}");
                    for (part, text) in heard.iter().enumerate() {
                        let own = match part {
                            4 => format!(r#""n":{nonce}}}"#),
                            _ => format!(r#""progressToken":{nonce},"progress":{part}}}"#),
                        };
                        assert!(text.contains(&own), "{nonce}: {text}");
                    }
                };
                let first = 1_000 + 10 * number;
                futures::join!(call(first), call(first + 1));
            });
        }
        clients.join_all().await;
        assert_eq!(scene.upstream.calls().len(), 2 * usize::try_from(CLIENTS).unwrap());
    }
}
