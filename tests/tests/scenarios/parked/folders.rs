//! Folders of modern clients: legacy servers hear of them where they are set to it.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Site, Upstream};

use super::{ARGUMENTS, Scene, asks, documents, retry, state};

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"r","method":"roots/list"}"#;
const FOLDERS: &str = r#"{"roots":[{"uri":"file:///a","name":"a"}]}"#;

async fn scenes(plan: impl Fn() -> tests::Plan) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = plan().start().await;
        let documents = documents(&upstream.url);
        let documents = documents.replacen("transport:", "roots: true\ntransport:", 1);
        let served = site.start_with(&documents).await;
        let token = served.token("bot", "t").await;
        scenes.push(Scene { upstream, served, site, token });
    }
    scenes
}

/// What the sessions with the server were opened with.
fn declared(scene: &Scene) -> Vec<Value> {
    let hellos = scene.upstream.seen_of("initialize");
    let hellos = hellos.iter().map(|it| serde_json::from_str::<Value>(&it.body).unwrap());
    hellos.map(|it| it["params"]["capabilities"].clone()).collect()
}

#[tokio::test]
async fn a_legacy_server_may_ask_for_folders_where_it_is_set_to_it() {
    for scene in scenes(Upstream::legacy).await {
        let row = scene.site.database();
        let client = scene.client(r#"{"roots":{"listChanged":true}}"#);
        let post = client.tool("echo", ARGUMENTS);
        let (talk, first) = scene.parked(&client, post, &[QUESTION.to_owned()]).await;
        assert_eq!(asks(&first), json!({"q1": {"method": "roots/list", "params": {}}}), "{row}");
        assert_eq!(declared(&scene), [json!({"roots": {}})], "{row}: and no changes of them");
        let given = format!(r#"{{"q1":{FOLDERS}}}"#);
        let back = retry(&client, &state(&first), &given);
        let (last, ()) = join(client.send(back), async {
            let answer = scene.answer().await;
            assert_eq!(answer.raw(&["id"]), r#""r""#, "{row}");
            assert_eq!(answer.raw(&["result"]), FOLDERS, "{row}");
            answer.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.verdict(), "200", "{row}: {}", last.text());
        // Whoever has declared none is asked for none.
        let client = scene.client("{}");
        let (answer, ()) = join(client.send(client.tool("echo", ARGUMENTS)), async {
            let talk = scene.call().await.stream();
            talk.message(QUESTION).await;
            let refused = scene.answer().await;
            assert!(refused.body.contains("-32601"), "{row}: {}", refused.body);
            refused.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(answer.json()["result"]["resultType"], "complete", "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_a_server_asks_outside_of_calls_waits_for_the_next_one() {
    // It asks on the session's own stream, as soon as that is open.
    let plan = || {
        Upstream::legacy().on("GET", |get| async move {
            let talk = get.stream();
            talk.message(QUESTION).await;
            talk.given_up().await;
        })
    };
    for scene in scenes(plan).await {
        let row = scene.site.database();
        let client = scene.client(r#"{"roots":{}}"#);
        let (first, talk) = join(client.send(client.tool("echo", ARGUMENTS)), async {
            scene.call().await.stream()
        })
        .await;
        assert_eq!(asks(&first), json!({"q1": {"method": "roots/list", "params": {}}}), "{row}");
        let back = retry(&client, &state(&first), &format!(r#"{{"q1":{FOLDERS}}}"#));
        let (last, ()) = join(client.send(back), async {
            let answer = scene.answer().await;
            assert_eq!(answer.raw(&["result"]), FOLDERS, "{row}");
            answer.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.verdict(), "200", "{row}: {}", last.text());
    }
}

#[tokio::test]
async fn a_legacy_server_is_told_of_no_folders_else() {
    let scene = Scene::legacy().await;
    let client = scene.client(r#"{"roots":{},"elicitation":{}}"#);
    let (answer, ()) = join(client.send(client.tool("echo", ARGUMENTS)), async {
        let talk = scene.call().await.stream();
        talk.message(QUESTION).await;
        let refused = scene.answer().await;
        assert!(refused.body.contains("-32601"), "{}", refused.body);
        refused.accept();
        talk.result(r#"{"content":[]}"#).await;
    })
    .await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    assert_eq!(declared(&scene), [json!({"elicitation": {}})]);
}
