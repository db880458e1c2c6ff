//! Sessions of the legacy era, on both sides of the gateway.

use futures::future::join;
use tests::client::LEGACY;
use tests::{Client, Documents, Era, Plan, Site, Upstream};

use crate::scene::{Pair, Scene, each_era};

#[tokio::test]
async fn h062_h063_a_session_that_is_not_the_callers_is_not_there() {
    for Pair { scene, client: legacy, .. } in &Scene::pairs_of(Era::Legacy, Plan::echoing).await {
        let id = legacy.session.clone().unwrap();
        let elsewhere = legacy.at("/mcp/dev/dev").await.session.unwrap();
        let mut flipped = id.clone().into_bytes();
        flipped[0] ^= 1;
        let flipped = String::from_utf8(flipped).unwrap();
        let shorter = id.get(1..).unwrap();
        for wrong in ["", "1", shorter, &format!("{id}A"), &id.to_lowercase(), &flipped, &elsewhere]
        {
            let unknown = ("404/-32600", "session_unknown");
            let post = legacy.tool("echo", "{}").with("mcp-session-id", wrong);
            scene.refuses(legacy, post, unknown).await;
            scene.refuses(legacy, legacy.get().with("mcp-session-id", wrong), unknown).await;
            scene.refuses(legacy, legacy.delete().with("mcp-session-id", wrong), unknown).await;
        }
        let none =
            legacy.tool("echo", "{}").without("mcp-session-id").without("mcp-protocol-version");
        scene.refuses(legacy, none, ("400/-32600", "session_missing")).await;
        let two = legacy.tool("echo", "{}").and("mcp-session-id", &id);
        scene.refuses(legacy, two, ("400/-32600", "bad_header")).await;
        scene.passes(legacy, legacy.tool("echo", "{}"), "{}").await;
    }
}

#[tokio::test]
async fn h063_ids_of_sessions_have_nothing_in_common() {
    for (_, plan) in each_era() {
        let scene = Scene::of(plan).await;
        let mut ids = Vec::new();
        for _ in 0..8 {
            ids.push(Client::legacy(&scene.gateway).await.session.unwrap());
        }
        for (index, id) in ids.iter().enumerate() {
            assert!(22 <= id.len() && id.bytes().all(|it| it.is_ascii_graphic()), "{id}");
            for other in &ids[..index] {
                let same = id.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
                assert!(same < id.len() / 2, "{id} {other}");
            }
        }
    }
}

#[tokio::test]
async fn h065_no_event_is_replayed_to_whoever_names_its_id() {
    for (_, scene, [modern, legacy]) in &Scene::of_each_era(Plan::echoing).await {
        let guess = legacy.get().with("last-event-id", "1-1");
        scene.refuses(legacy, guess, ("400/-32600", "event_unknown")).await;
        let mut stream = legacy.open(legacy.get()).await;
        assert_eq!(stream.status, 200);
        // It ends when the session does, and nothing has been on it.
        assert_eq!(legacy.send(legacy.delete()).await.status, 200);
        assert_eq!(stream.next().await, None);
        let post = modern.tool("echo", "{}").with("last-event-id", "1").with("mcp-session-id", "x");
        let answer = modern.send(post).await;
        assert_eq!(answer.verdict(), "200", "the modern era ignores both");
        assert_eq!(answer.header("mcp-session-id"), None);
        let seen = scene.upstream.calls().pop().unwrap();
        assert_eq!(seen.header("last-event-id"), None);
        assert_ne!(seen.header("mcp-session-id"), Some("x"));
    }
}

#[tokio::test]
async fn h066_the_modern_era_takes_posts_alone() {
    for Pair { scene, client: modern, .. } in &Scene::pairs_of(Era::Modern, Plan::echoing).await {
        for post in [modern.get(), modern.delete(), modern.get().with("mcp-session-id", "x")] {
            let answer = modern.send(post.clone()).await;
            assert_eq!(answer.header("allow"), Some("POST"));
            scene.refuses(modern, post, ("405/-32600", "verb")).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_gone_here_and_there() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    let legacy = Client::legacy(&scene.gateway).await;
    scene.passes(&legacy, legacy.tool("echo", "{}"), "{}").await;
    let theirs = scene.upstream.calls().pop().unwrap().header("mcp-session-id").unwrap().to_owned();
    assert_eq!(legacy.send(legacy.delete()).await.status, 200);
    let ended = scene.upstream.seen().pop().unwrap();
    assert_eq!((ended.verb.as_str(), ended.header("mcp-session-id")), ("DELETE", Some(&*theirs)));
    let gone = ("404/-32600", "session_unknown");
    scene.refuses(&legacy, legacy.tool("echo", "{}"), gone).await;
    scene.refuses(&legacy, legacy.delete(), gone).await;
}

#[tokio::test]
async fn each_clients_session_has_one_of_its_own_at_the_server() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    let mut theirs = Vec::new();
    for _ in 0..3 {
        let client = Client::legacy(&scene.gateway).await;
        for _ in 0..2 {
            scene.passes(&client, client.tool("echo", "{}"), "{}").await;
            let seen = scene.upstream.calls().pop().unwrap();
            theirs.push(seen.header("mcp-session-id").unwrap().to_owned());
            let ours = client.session.as_deref();
            assert_ne!(seen.header("mcp-session-id"), ours, "ids of ours stay with us");
        }
    }
    for (index, id) in theirs.iter().enumerate() {
        let again = theirs.iter().filter(|it| *it == id).count();
        assert_eq!(again, 2, "call {index}: {theirs:?}");
    }
}

#[tokio::test]
async fn a_server_that_gives_no_session_is_sent_none() {
    let scene = Scene::of(Upstream::legacy().without_sessions().echoing()).await;
    for client in scene.clients().await {
        scene.passes(&client, client.tool("echo", "{}"), "{}").await;
        let seen = scene.upstream.calls().pop().unwrap();
        assert_eq!(seen.header("mcp-session-id"), None, "{client}");
    }
}

#[tokio::test]
async fn a_server_that_forgets_its_session_is_introduced_to_once_more() {
    let scene = Scene::of(Upstream::legacy()).await;
    for client in scene.clients().await {
        let known = scene.gateway.records().len();
        let (answer, ()) = join(client.send(client.tool("echo", r#"{"n":1.0}"#)), async {
            let first = scene.upstream.next().await;
            let lost = first.header("mcp-session-id").unwrap().to_owned();
            first.refuse(404);
            let second = scene.upstream.next().await;
            assert_ne!(second.header("mcp-session-id"), Some(&*lost), "{client}");
            assert_eq!(second.raw(&["params", "arguments"]), r#"{"n":1.0}"#, "{client}");
            second.result(r#"{"content":[]}"#);
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{client}: {}", answer.text());
        let ends: Vec<_> =
            scene.gateway.records_since(known).into_iter().map(|it| it.kind).collect();
        assert_eq!(ends, ["intent", "outcome"], "{client}: one call");
        // Twice in a row is no forgetfulness.
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            scene.upstream.next().await.refuse(404);
            scene.upstream.next().await.refuse(404);
        })
        .await;
        assert_eq!(answer.code(), Some(1502), "{client}: {}", answer.text());
        assert_eq!(answer.status, if client.era == Era::Modern { 502 } else { 200 });
    }
}

#[tokio::test]
async fn every_legacy_revision_is_spoken_as_it_was_agreed() {
    let scene = Scene::of(Upstream::legacy().echoing()).await;
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = Client::legacy_as(&scene.gateway, revision, "{}").await;
        scene.passes(&client, client.tool("echo", "{}"), "{}").await;
        let seen = scene.upstream.calls().pop().unwrap();
        // Before 2025-06-18 there was no such header.
        let expected = Some(revision).filter(|it| "2025-06-18" <= *it);
        assert_eq!(seen.header("mcp-protocol-version"), expected, "{revision}");
        let hello = scene.upstream.seen_of("initialize").pop().unwrap();
        assert_eq!(hello.raw(&["params", "protocolVersion"]), format!("\"{revision}\""));
    }
    let stranger = Client::stranger(&scene.gateway, Era::Legacy, "1999-01-01");
    let answer = stranger.send(stranger.initialize()).await;
    assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25", "a counter-offer");
}

#[tokio::test]
async fn apps_hold_a_bounded_number_of_sessions_together() {
    const MOST: usize = 3;

    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::legacy().echoing().start().await;
        let documents = Documents::of_two_people("files", &upstream.url);
        let configuration = format!("most_sessions = {MOST}\n");
        let served = site.start_configured(&documents, &configuration).await;
        let tokens = [served.token("bot", "t").await, served.token("other", "t").await];
        let mut clients = Vec::new();
        for token in tokens.iter().cycle().take(MOST) {
            let place = ("/mcp/default/main/files", token.as_str());
            clients.push(Client::legacy_with_token(&served, place, LEGACY, "{}").await);
        }
        let one = clients.pop().unwrap();
        for client in [&one, &clients[1]] {
            let answer = client.send(client.initialize()).await;
            assert_eq!(answer.verdict(), "429/1503", "{}: {}", site.database(), answer.text());
            assert_eq!(answer.reason().as_deref(), Some("too_many_sessions"));
            // Those that are open are as good as before, and the modern era has none.
            assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
        }
        let modern = Client::modern_with_token(&served, one.path(), &tokens[0]);
        assert_eq!(modern.send(modern.tool("echo", "{}")).await.verdict(), "200");
        assert_eq!(one.send(one.delete()).await.status, 200);
        assert_eq!(one.send(one.initialize()).await.verdict(), "200", "there is room again");
    }
}
