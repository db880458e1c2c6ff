//! What clients bring back: sessions, states of held calls, ids of tasks.

use futures::future::join;
use serde_json::{Value, json};
use tests::wait::within;
use tests::{Answer, Client, Paired, Plan, Upstream};

use super::{CANARY, Scene, Tenant, speaking, told};

const FORMS: &str = r#"{"elicitation":{}}"#;
const KNOWS_TASKS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const FORM: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"canary?","requestedSchema":{"type":"object","properties":{"n":{"type":"number"}}}}}"#;
const GIVEN: &str = r#"{"q1":{"action":"accept","content":{"n":1}}}"#;

#[tokio::test]
async fn h159_a_session_or_a_stream_of_another_workspace_is_not_there() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, served, .. } = &scene;
        let owner = scene.legacy(&theirs.path("main"), &theirs.token).await;
        owner.warm_up().await;
        let session = owner.session.clone().unwrap();
        let mut feed = owner.open(owner.get()).await;
        assert_eq!(feed.status, 200);
        let thief = scene.legacy(&ours.path("main"), &ours.token).await;
        let known = theirs.seen();
        for path in [ours.path("main"), theirs.path("main"), ours.path("side")] {
            let thief = thief.at_unopened(&path);
            for post in [
                thief.tool("up__echo", "{}"),
                thief.get(),
                thief.delete(),
                thief.request("ping", ""),
            ] {
                let answer = thief.send(post.with("mcp-session-id", &session)).await;
                assert_eq!(answer.status, 404, "{path}: {}", answer.text());
                assert!(!answer.text().contains(CANARY), "{path}: {}", answer.text());
            }
            // Their events are not replayed, and cancelling by their numbers cancels nothing.
            for id in ["1", "1-1", "0"] {
                let guess = thief.get().with("mcp-session-id", &session).with("last-event-id", id);
                assert_eq!(thief.send(guess).await.status, 404, "{path}");
            }
        }
        assert_eq!(theirs.seen(), known);
        let answer = owner.send(owner.tool("up__echo", "{}")).await;
        assert_eq!(answer.verdict(), "200", "their session goes on: {}", answer.text());
        assert_eq!(owner.send(owner.delete()).await.status, 200);
        assert_eq!(feed.next().await, None);
        // The two streams of the older transport find each other in one workspace only.
        let older = |tenant: &Tenant| {
            let path = tenant.path("main").replace("/mcp/", "/sse/");
            scene.client(&path, &tenant.token).in_session()
        };
        let (own, other) = (older(ours), older(theirs));
        let mut paired = within("a pair of streams", Paired::greet(&own)).await;
        let stranger = within("a pair of streams", Paired::greet(&other)).await;
        let answer = paired.ask(own.tool("up__echo", "{}")).await;
        assert!(!answer.to_string().contains(CANARY), "{answer}");
        drop(stranger);
        assert!(served.is_ready().await);
    }
}

/// A server of more tools than stand on one page, the same in both workspaces: only whose it is tells
/// one cursor from the other.
fn many(_: &str) -> Plan {
    let tool = |n| format!(r#"{{"name":"t{n}","inputSchema":{{"type":"object"}}}}"#);
    let tools: Vec<String> = (0..=5_000).map(tool).collect();
    Upstream::of_both_eras().with_tools(&format!("[{}]", tools.join(",")))
}

#[tokio::test]
async fn h159_a_cursor_of_another_workspace_is_unknown() {
    for scene in Scene::on_each_database(many).await {
        let Scene { ours, theirs, served, .. } = &scene;
        for rest in ["main", "main/up"] {
            let their = Client::with_token(served, &theirs.path(rest), &theirs.token).await;
            let own = Client::with_token(served, &ours.path(rest), &ours.token).await;
            for (their, own) in their.iter().zip(&own) {
                let list = async |client: &Client, members: &str| {
                    client.send(client.request("tools/list", members)).await
                };
                let first = list(their, "").await.json();
                let cursor = format!(r#""cursor":{}"#, first["result"]["nextCursor"]);
                let refused = list(own, &cursor).await;
                assert!(refused.text().contains("unknown cursor"), "{own}: {}", refused.text());
                let next = list(their, &cursor).await.json();
                assert_eq!(next["result"]["tools"].as_array().map(Vec::len), Some(1), "{their}");
            }
        }
    }
}

#[tokio::test]
async fn h060_a_held_call_of_another_workspace_is_not_gone_on_with() {
    for scene in Scene::on_each_database(|_| Upstream::legacy()).await {
        let Scene { ours, theirs, .. } = &scene;
        let asking = |tenant: &Tenant, path: &str| {
            let mut client = scene.client(path, &tenant.token);
            FORMS.clone_into(&mut client.capabilities);
            client
        };
        let own = asking(theirs, &theirs.path("main/up"));
        own.warm_up().await;
        let (answer, talk) = join(own.send(own.tool("echo", "{}")), async {
            let (call, _) = theirs.server.next_of("tools/call").await;
            let talk = call.stream();
            talk.message(FORM).await;
            talk
        })
        .await;
        let state = answer.json()["result"]["requestState"].clone();
        assert!(state.is_string(), "{}", answer.text());
        let retry = |client: &Client, state: &Value| {
            let members = format!(
                r#""name":"echo","arguments":{{}},"inputResponses":{GIVEN},"requestState":{state}"#
            );
            client.request("tools/call", &members)
        };
        let thief = asking(ours, &ours.path("main/up"));
        thief.warm_up().await;
        let known = [ours.seen(), theirs.seen()];
        let refused = thief.send(retry(&thief, &state)).await;
        let garbage = thief.send(retry(&thief, &json!("AQ"))).await;
        assert_eq!(refused.verdict(), "200/-32602", "{}", refused.text());
        assert_eq!(told(&refused), told(&garbage));
        let trespasser = asking(ours, &theirs.path("main/up"));
        let refused = trespasser.send(retry(&trespasser, &state)).await;
        assert_eq!(refused.status, 404, "{}", refused.text());
        assert_eq!([ours.seen(), theirs.seen()], known);
        let (last, ()) = join(own.send(retry(&own, &state)), async {
            theirs.server.next_of("").await.0.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
        assert_eq!(last.json()["result"]["resultType"], "complete", "{}", last.text());
    }
}

#[tokio::test]
async fn h060_a_task_of_another_workspace_is_unknown() {
    let plan = |_: &str| {
        Upstream::modern()
            .with_capabilities(r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#)
            .on("tools/call", |call| async move {
                call.result(r#"{"resultType":"task","taskId":"upstream-7","status":"working"}"#);
            })
    };
    for scene in Scene::on_each_database(plan).await {
        let Scene { ours, theirs, .. } = &scene;
        let client = |tenant: &Tenant, of: &Tenant| {
            let mut client = scene.client(&of.path("main/up"), &tenant.token);
            KNOWS_TASKS.clone_into(&mut client.capabilities);
            client
        };
        let own = client(theirs, theirs);
        own.warm_up().await;
        let begun = own.send(own.tool("echo", "{}")).await.json();
        let id = begun["result"]["taskId"].as_str().unwrap().to_owned();
        let thief = client(ours, ours);
        thief.warm_up().await;
        // Both servers call their tasks the same.
        assert_eq!(thief.send(thief.tool("echo", "{}")).await.verdict(), "200");
        let known = [ours.seen(), theirs.seen()];
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let about = |client: &Client, id: &str| {
                client.request(method, &format!(r#""taskId":"{id}""#)).with("mcp-name", id)
            };
            let answer = thief.send(about(&thief, &id)).await;
            assert_eq!(answer.verdict(), "200/-32602", "{method}: {}", answer.text());
            let garbage = thief.send(about(&thief, "upstream-7")).await;
            let plain = |it: &Answer, id: &str| it.text().replace(id, "it").replace(&it_id(it), "");
            assert_eq!(plain(&answer, &id), plain(&garbage, "upstream-7"), "{method}");
            let trespasser = client(ours, theirs);
            let answer = trespasser.send(about(&trespasser, &id)).await;
            assert_eq!(answer.status, 404, "{method}: {}", answer.text());
        }
        assert_eq!([ours.seen(), theirs.seen()], known);
        // Nor is it told to whoever listens for it.
        let filter = format!(r#""notifications":{{"toolsListChanged":true,"taskIds":["{id}"]}}"#);
        let mut stream = thief.open(thief.request("subscriptions/listen", &filter)).await;
        let first = stream.message().await;
        assert!(first["params"]["notifications"].get("taskIds").is_none(), "{first}");
    }
}

/// The id that an answer is to.
fn it_id(answer: &Answer) -> String {
    format!(r#""id":{}"#, answer.json()["id"])
}
