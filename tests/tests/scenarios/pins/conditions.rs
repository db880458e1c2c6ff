//! What an assignment exposes by conditions on what servers say.

use http::Method;
use serde_json::json;
use tests::{Client, Documents, Site};

use super::{changing, listed, sees};
use crate::scene::each_era;

const TOOLS: &str = r#"{"name":"read_file","inputSchema":{},"annotations":{"readOnlyHint":true}},
    {"name":"read_mail","description":"Reads MAIL","inputSchema":{}},
    {"name":"drop_all","title":"Drop","inputSchema":{},"annotations":{"destructiveHint":true}}"#;

#[tokio::test]
async fn conditions_hold_in_lists_and_in_calls_and_follow_what_servers_say() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let (plan, tools) = changing(plan.clone(), TOOLS);
            let upstream = plan.echoing().start().await;
            let documents = Documents::of("mail", &upstream.url);
            let served = site.start_with(&documents).await;
            let token = served.token("bot", "t").await;
            let clients = Client::with_token(&served, "/mcp/default/main/mail", &token).await;
            let all = ["read_file", "read_mail", "drop_all"];
            for (condition, expected) in [
                (json!({"name": {"glob": "read_*"}}), &all[..2]),
                (json!({"description": {"contains": "MAIL"}}), &all[1..2]),
                (json!({"description": {"matches": "(?i)mail$"}}), &all[1..2]),
                (json!({"title": {"is": "Drop"}}), &all[2..]),
                (json!({"readOnlyHint": true}), &all[..1]),
                (json!({"destructiveHint": false}), &[]),
                (
                    json!({"any": [{"readOnlyHint": true}, {"title": {"is": "Drop"}}]}),
                    &["read_file", "drop_all"],
                ),
                (
                    json!({"all": [{"name": {"glob": "read_*"}}, {"readOnlyHint": false}]}),
                    &all[1..2],
                ),
            ] {
                let exposed = json!({"tools": {"expose": "conditions", "where": condition}});
                let path = "gateways/main/assignments/mail";
                served.must(Method::PATCH, path, Some(exposed)).await;
                for client in &clients {
                    assert_eq!(
                        listed(client, "tools/list", "tools").await,
                        expected,
                        "{condition}"
                    );
                    for tool in all {
                        let answer = client.send(client.tool(tool, r#"{"n":1}"#)).await;
                        let is_called = answer.text().contains(r#""structuredContent":{"n":1}"#);
                        let row = format!("{client}: {tool}: {condition}: {}", answer.text());
                        assert_eq!(is_called, expected.contains(&tool), "{row}");
                        if !is_called {
                            assert_eq!(answer.reason().as_deref(), Some("not_permitted"), "{row}");
                        }
                    }
                }
            }
            // What a server says later counts as much.
            let safe = json!({"expose": "conditions", "where": {"readOnlyHint": true}});
            let path = "gateways/main/assignments/mail";
            served.must(Method::PATCH, path, Some(json!({ "tools": safe }))).await;
            for client in &clients {
                sees(client, &all[..1]).await;
            }
            let changed = TOOLS.replace(r#""readOnlyHint":true"#, r#""readOnlyHint":false"#);
            format!("[{changed}]").clone_into(&mut tools.lock().unwrap());
            for client in &clients {
                sees(client, &[]).await;
                let answer = client.send(client.tool("read_file", "{}")).await;
                assert_eq!(answer.code(), Some(-32602), "{client}: {}", answer.text());
            }
            let path = "gateways/main/assignments/mail";
            for wrong in [json!({"name": {"matches": "("}}), json!({"schema": {"is": "x"}})] {
                let body = json!({"tools": {"expose": "conditions", "where": wrong}});
                let reply = served.ask(Method::PATCH, path, Some(body)).await;
                assert_eq!(reply.status, 400, "{reply:?}");
            }
        }
    }
}
