//! What leaves beside calls, and what is said before answers, stands in the record.

use futures::future::join;
use tests::{Arrived, Client, Era, Gateway, Plan, Record, Upstream};

use crate::scene::Scene;

#[tokio::test]
async fn what_is_told_to_servers_is_recorded_before_and_after() {
    let tell = |plan: Plan, method| plan.on(method, |it: Arrived| async { it.accept() });
    let plan =
        tell(Upstream::legacy().by_hand("GET").echoing(), "notifications/roots/list_changed");
    let plan = plan.on("logging/setLevel", |it| async { it.result("{}") });
    let scene = Scene::of(plan).await;
    let capabilities = r#"{"roots":{"listChanged":true}}"#;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", capabilities).await;
    assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
    let known = scene.gateway.records().len();
    let changed = client.notification("notifications/roots/list_changed", "");
    assert_eq!(client.send(changed).await.status, 202);
    assert_eq!(kinds(&scene.gateway, known), "intent outcome:told");
    let known = scene.gateway.records().len();
    let level = client.request("logging/setLevel", r#""level":"info""#);
    assert_eq!(client.send(level).await.verdict(), "200");
    assert_eq!(kinds(&scene.gateway, known), "intent outcome:told outcome:answered_here");
    // The stream of the server, and what was heard on it.
    let known = scene.gateway.records().len();
    let (mut stream, heard) = join(client.open(client.get()), scene.upstream.next()).await;
    let opened = scene.gateway.records_since(known);
    assert_eq!(opened[0].text("method"), Some("GET"));
    let heard = heard.stream();
    heard.notification("notifications/message", r#"{"level":"info","data":"x"}"#).await;
    assert_eq!(stream.message().await["params"]["data"], "x");
    drop(heard);
    let told = scene.gateway.has_recorded(known, "told").await;
    assert_eq!(told.leaf["news"], 1, "{}", told.leaf);
    let known = scene.gateway.records().len();
    assert_eq!(client.send(client.delete()).await.status, 200);
    assert_eq!(kinds(&scene.gateway, known), "intent outcome:told");
}

#[tokio::test]
async fn an_answer_to_a_servers_question_is_recorded() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let (mut answer, call) = join(client.open(client.tool("echo", "{}")), async {
        let call = scene.upstream.next().await.stream();
        call.message(r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#).await;
        call
    })
    .await;
    let id = answer.message().await["id"].clone();
    let known = scene.gateway.records().len();
    let (taken, before) = join(client.send(client.reply(&id, r#"{"action":"accept"}"#)), async {
        let answered = scene.upstream.next().await;
        let before = kinds(&scene.gateway, known);
        answered.accept();
        before
    })
    .await;
    assert_eq!((taken.status, before.as_str()), (202, "intent"));
    assert_eq!(kinds(&scene.gateway, known), "intent outcome:told");
    let known = scene.gateway.records().len();
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
    let outcome = scene.gateway.has_recorded(known, "answered").await;
    assert_eq!(outcome.leaf["news"], 1, "the question: {}", outcome.leaf);
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_taken_back_under_the_clients_id() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::legacy_as(&scene.gateway, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let (mut answer, call) = join(client.open(client.tool("echo", "{}")), async {
        let call = scene.upstream.next().await.stream();
        let ask = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}"#;
        call.message(ask).await;
        call
    })
    .await;
    let id = answer.message().await["id"].clone();
    // Of what it has not asked it takes nothing back.
    for foreign in [id.to_string(), "\"other\"".to_owned()] {
        let params = format!(r#"{{"requestId":{foreign}}}"#);
        call.notification("notifications/cancelled", &params).await;
    }
    call.notification("notifications/cancelled", r#"{"requestId":"q","reason":"r"}"#).await;
    let said = answer.message().await;
    assert_eq!(said["params"], serde_json::json!({"requestId": id, "reason": "r"}));
    let seen = scene.upstream.seen().len();
    assert_eq!(client.send(client.reply(&id, r#"{"action":"accept"}"#)).await.status, 202);
    assert_eq!(scene.upstream.seen().len(), seen, "nobody waits for it any more");
    call.result(r#"{"content":[]}"#).await;
    assert!(answer.message().await["result"].is_object());
}

#[tokio::test]
async fn a_server_that_refuses_how_it_is_spoken_to_has_failed() {
    let scene = Scene::of(Upstream::modern()).await;
    for client in scene.clients().await {
        for code in [-32022, -32020] {
            let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
                let call = scene.upstream.next().await;
                let error = format!(
                    r#"{{"code":{code},"message":"m","data":{{"supported":["2030-01-01"]}}}}"#
                );
                let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.id());
                call.respond(400, "application/json", body);
            })
            .await;
            let expected = if client.era == Era::Modern { "502/1502" } else { "200/1502" };
            assert_eq!(answer.verdict(), expected, "{client}: {}", answer.text());
            assert!(!answer.text().contains("2030-01-01"), "{client}: {}", answer.text());
        }
    }
}

/// The kinds of the latest records, and how they have ended.
fn kinds(gateway: &Gateway, known: usize) -> String {
    let records = gateway.records_since(known);
    let one = |it: &Record| match it.end() {
        "" => it.kind.to_owned(),
        end => format!("{}:{end}", it.kind),
    };
    records.iter().map(one).collect::<Vec<_>>().join(" ")
}
