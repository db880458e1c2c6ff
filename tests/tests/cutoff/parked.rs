//! Calls that a legacy server holds while it waits for its client's answers.

use futures::future::join;
use serde_json::json;
use tests::upstream::Talk;
use tests::{Client, Upstream};
use tokio::time::Instant;

use crate::SWITCHES;
use crate::scene::Scene;
use crate::streams::SOON;

const CALL: &str = r#""name":"target__echo","arguments":{}"#;
const QUESTION: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}"#;

#[tokio::test]
async fn r3_a_call_that_is_held_ends_and_its_answers_reach_no_server_any_more() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        for switch in SWITCHES {
            let client = asked(&scene);
            let (talk, state) = scene.held(&client).await;
            let known = scene.upstream.seen().len();
            switch.off(&scene.served).await;
            let off = Instant::now();
            talk.given_up().await;
            assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
            let back = || client.request("tools/call", &returning(&state));
            let answer = client.send(back()).await;
            assert!(answer.code().is_some() || answer.text().contains(r#""isError":true"#));
            switch.on(&scene.served, &scene.caller).await;
            // Nor when everything is on again: it has ended.
            let client = asked(&scene);
            let answer = client.send(client.request("tools/call", &returning(&state))).await;
            assert_eq!(answer.code(), Some(-32602), "{switch:?}: {}", answer.text());
            let seen = scene.upstream.seen().split_off(known);
            let calls = seen.iter().filter(|it| it.method.is_empty() && it.verb == "POST");
            assert_eq!(calls.count(), 0, "{switch:?}: {seen:?}");
            let told = seen.iter().filter(|it| it.method.starts_with("notifications/cancelled"));
            assert_eq!(told.count(), 0, "{switch:?}: it is left without a word");
        }
    }
}

#[tokio::test]
async fn r3_a_client_that_waits_for_a_held_call_is_told_why_it_has_ended() {
    for scene in Scene::on_each_database(Upstream::legacy).await {
        for switch in SWITCHES {
            let client = asked(&scene);
            let (talk, state) = scene.held(&client).await;
            let back = client.request("tools/call", &returning(&state));
            let (answer, ()) = join(client.send(back), async {
                let given = scene.upstream.next().await;
                assert!(given.body.contains("accept"), "{switch:?}: {}", given.body);
                given.accept();
                switch.off(&scene.served).await;
                talk.given_up().await;
            })
            .await;
            assert!(
                answer.code().is_some() || answer.text().contains(r#""isError":true"#),
                "{switch:?}: {}",
                answer.text()
            );
            switch.on(&scene.served, &scene.caller).await;
        }
    }
}

fn asked(scene: &Scene) -> Client {
    let token = scene.caller.token.lock().unwrap().clone();
    let mut client = Client::modern_with_token(&scene.served, &scene.caller.path, &token);
    client.capabilities = r#"{"elicitation":{}}"#.to_owned();
    client
}

fn returning(state: &str) -> String {
    let given = r#""inputResponses":{"q1":{"action":"accept"}}"#;
    format!(r#"{CALL},{given},"requestState":{}"#, json!(state))
}

impl Scene {
    /// A call of this client that its server holds, and the state to come back with.
    async fn held(&self, client: &Client) -> (Talk, String) {
        let (answer, talk) = join(client.send(client.request("tools/call", CALL)), async {
            let talk = self.upstream.next().await.stream();
            talk.message(QUESTION).await;
            talk
        })
        .await;
        let state = answer.json()["result"]["requestState"].as_str().map(str::to_owned);
        (talk, state.unwrap_or_else(|| panic!("no state: {}", answer.text())))
    }
}
