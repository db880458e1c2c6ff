//! What an error is called, for clients and servers of every pair of eras.

use serde_json::json;
use tests::{Arrived, Client, Era, Plan, Upstream};

use crate::scene::Scene;

/// A server of one era in which nothing goes well.
fn failing(plan: Plan, missing: i64) -> Plan {
    let capabilities = r#"{"tools":{},"prompts":{},"resources":{},"completions":{}}"#;
    let lacking = |it: Arrived| async move {
        let error = json!({
            "code": -32021, "message": "?",
            "data": {"requiredCapabilities": {"sampling": {}}},
        });
        let id = it.id();
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
        it.respond(400, "application/json", body);
    };
    plan.with_capabilities(capabilities)
        .on("resources/read", move |it| async move { it.error(missing, "no such resource") })
        .on("completion/complete", |it| async move { it.error(-32601, "not here") })
        .on("prompts/get", lacking)
        .on("tools/call", |it| async move { it.error(-7, "its own") })
        .on("vendor/do", |it| async move { it.error(-32602, "not like this") })
}

#[tokio::test]
async fn each_error_is_called_as_the_client_knows_it_whatever_the_server() {
    let servers = [
        ("modern", failing(Upstream::modern(), -32602)),
        ("legacy", failing(Upstream::legacy(), -32002)),
    ];
    for (server, plan) in servers {
        let scene = Scene::of(plan).await;
        for client in Client::of_each_era(&scene.gateway).await {
            client.warm_up().await;
            let is_modern = client.era == Era::Modern;
            let own = |modern: &'static str, legacy: &'static str| {
                if is_modern { modern } else { legacy }
            };
            let completion =
                r#""ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"a","value":""}"#;
            let lacking = match (server, is_modern) {
                ("modern", true) => "400/-32021",
                // To the client this speaks of what only we have said.
                ("modern", false) => "200/-32603",
                // No server of that era says so; it is relayed as any other code is.
                (_, true) => "400/-32021",
                (_, false) => "200/-32021",
            };
            let cases = [
                ("resources/read", r#""uri":"test://none""#, own("200/-32602", "200/-32002")),
                ("completion/complete", completion, own("404/-32601", "200/-32601")),
                ("prompts/get", r#""name":"hello""#, lacking),
                ("tools/call", r#""name":"echo","arguments":{}"#, "200/-7"),
                ("tools/call", r#""name":"none","arguments":{}"#, "200/-32602"),
                ("prompts/get", r#""name":"none""#, "200/-32602"),
                ("vendor/do", "", "200/-32602"),
            ];
            for (method, members, expected) in cases {
                let answer = client.send(client.request(method, members)).await;
                let row = format!("{client}, a {server} server, {method}: {}", answer.text());
                assert_eq!(answer.verdict(), expected, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_bad_gateway_to_modern_clients_alone() {
    let scene = Scene::of(Upstream::of_both_eras().echoing()).await;
    let clients = scene.clients().await;
    drop(scene.upstream);
    for client in clients {
        let answer = client.send(client.tool("echo", "{}")).await;
        let expected = if client.era == Era::Modern { "502/1502" } else { "200/1502" };
        assert_eq!(answer.verdict(), expected, "{client}: {}", answer.text());
        assert_eq!(answer.json()["error"]["data"]["blame"], "upstream", "{client}");
    }
}
