//! Calls that their clients give up.

use futures::future::join;
use tests::{Arrived, Client, Era, Upstream};

use crate::scene::{Scene, each_era};

#[tokio::test]
async fn h068_a_modern_client_that_leaves_before_the_answer_cancels_the_call_upstream() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        let [modern, _] = scene.clients().await;
        for client in [modern] {
            let row = format!("{client}, a {spoken:?} server");
            let known = scene.gateway.records().len();
            let opening = client.open(client.tool("echo", "{}"));
            let call = first(scene.upstream.next(), opening).await;
            let id = call.id();
            if spoken == Era::Legacy {
                expect_cancelled(&scene, &id, &row).await;
            }
            call.given_up().await;
            let end = scene.gateway.has_recorded(known, "client_cancelled").await;
            assert_eq!(end.kind, "outcome", "{row}");
            assert_eq!(scene.gateway.records_since(known).len(), 2, "{row}: intent and outcome");
        }
    }
}

#[tokio::test]
async fn h068_a_modern_client_that_leaves_a_stream_cancels_the_call_upstream() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        let [modern, _] = scene.clients().await;
        for client in [modern] {
            let row = format!("{client}, a {spoken:?} server");
            let known = scene.gateway.records().len();
            let post = client.tool_with_progress("echo", "1");
            let (mut answer, call) = join(client.open(post), async {
                let call = scene.upstream.next().await.stream();
                call.notification("notifications/progress", r#"{"progressToken":1,"progress":1}"#)
                    .await;
                call
            })
            .await;
            assert_eq!(answer.message().await["params"]["progress"], 1, "{row}");
            drop(answer);
            if spoken == Era::Legacy {
                expect_cancelled(&scene, &call.id, &row).await;
            }
            call.given_up().await;
            scene.gateway.has_recorded(known, "client_cancelled").await;
            assert_eq!(scene.gateway.records_since(known).len(), 2, "{row}: intent and outcome");
        }
    }
}

#[tokio::test]
async fn h068_a_legacy_client_cancels_by_its_own_id_and_the_server_hears_its_own() {
    for (spoken, plan) in each_era() {
        let scene = Scene::of(plan).await;
        let client = Client::legacy(&scene.gateway).await;
        for id in ["\"call one\"", "7"] {
            let known = scene.gateway.records().len();
            let post = client.tool("echo", "{}");
            let post =
                post.clone().replacing(&format!(r#""id":{}"#, post.id), &format!(r#""id":{id}"#));
            let cancel = || {
                let params = format!(r#""requestId":{id},"reason":"changed \u006dy mind""#);
                client.send(client.notification("notifications/cancelled", &params))
            };
            let cancelling = async {
                let call = scene.upstream.next().await;
                let told = async {
                    if spoken == Era::Legacy {
                        let told = scene.upstream.next().await;
                        assert_eq!(told.method, "notifications/cancelled");
                        assert_eq!(told.raw(&["params", "requestId"]), call.id());
                        assert_eq!(told.raw(&["params", "reason"]), r#""changed \u006dy mind""#);
                        told.accept();
                    }
                };
                let (taken, ()) = join(cancel(), told).await;
                assert_eq!(taken.status, 202);
                call.given_up().await;
            };
            let (answer, ()) = join(client.send(post), cancelling).await;
            assert!(answer.messages.is_empty(), "a {spoken:?} server: {}", answer.text());
            scene.gateway.has_recorded(known, "client_cancelled").await;
            // What is over cannot be cancelled.
            let seen = scene.upstream.seen().len();
            assert_eq!(cancel().await.status, 202);
            assert_eq!(scene.upstream.seen().len(), seen);
        }
    }
}

#[tokio::test]
async fn nobody_cancels_the_call_of_another() {
    let scene = Scene::of(Upstream::legacy()).await;
    let (client, other) =
        (Client::legacy(&scene.gateway).await, Client::legacy(&scene.gateway).await);
    let post = client.tool("echo", "{}");
    let id = post.id.clone();
    let (answer, ()) = join(client.send(post), async {
        let call = scene.upstream.next().await;
        let foreign =
            other.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
        assert_eq!(other.send(foreign).await.status, 202);
        call.result(r#"{"content":[]}"#);
    })
    .await;
    assert_eq!(answer.verdict(), "200");
    assert!(scene.upstream.seen_of("notifications/cancelled").is_empty());
}

/// What arrives first, and then no more of the client.
async fn first(arriving: impl Future<Output = Arrived>, client: impl Future) -> Arrived {
    tokio::select! {
        call = arriving => call,
        _ = client => panic!("an answer before the server has given one"),
    }
}

async fn expect_cancelled(scene: &Scene, id: &str, row: &str) {
    let told = scene.upstream.next().await;
    assert_eq!(told.method, "notifications/cancelled", "{row}");
    assert_eq!(told.raw(&["params", "requestId"]), id, "{row}");
    told.accept();
}
