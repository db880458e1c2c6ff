//! What is counted, picked and administered.

use http::Method;
use serde_json::{Value, json};
use tests::Client;

use super::{CANARY, Scene, Tenant, speaking, told};

#[tokio::test]
async fn h159_what_another_workspace_uses_counts_against_nothing_here() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, served, .. } = &scene;
        for tenant in [ours, theirs] {
            let limit = json!({"name": "few", "scope": {"type": "workspace"}, "unit": "calls",
                               "allowance": {"type": "quota", "amount": 3, "per": "month"}});
            let path = format!("/workspaces/{}/limits", tenant.workspace);
            served.must(Method::POST, &path, Some(limit)).await;
        }
        let used = async |tenant: &Tenant| {
            let path = format!("/workspaces/{}/limits/few/usage", tenant.workspace);
            let page = served.ask_as(&tenant.admin, Method::GET, &path, None).await;
            page.body["items"][0]["used"].as_u64().unwrap_or_default()
        };
        let (own, other) = (
            scene.client(&ours.path("main/up"), &ours.token),
            scene.client(&theirs.path("main/up"), &theirs.token),
        );
        for client in [&own, &other] {
            client.warm_up().await;
        }
        for _ in 0..3 {
            let answer = other.send(other.tool("echo", "{}")).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
        }
        let refused = other.send(other.tool("echo", "{}")).await;
        assert_ne!(refused.verdict(), "200", "{}", refused.text());
        assert_eq!((used(ours).await, used(theirs).await), (0, 3));
        for _ in 0..3 {
            let answer = own.send(own.tool("echo", "{}")).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
        }
        assert_eq!((used(ours).await, used(theirs).await), (3, 3));
    }
}

#[tokio::test]
async fn h159_the_picker_of_another_workspace_is_nobodys() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, .. } = &scene;
        let at = |tenant: &Tenant| format!("/mcp/{}", tenant.workspace);
        let pick = async |client: &Client, gateway: &str| {
            let arguments = json!({ "gateway": gateway }).to_string();
            client.send(client.tool("use_gateway", &arguments)).await
        };
        let other = scene.client(&at(theirs), &theirs.token);
        let picked = pick(&other, "main").await;
        assert!(picked.text().contains("in_use"), "{}", picked.text());
        let own = scene.client(&at(ours), &ours.token);
        let tools = own.send(own.request("tools/list", "")).await;
        assert!(!tools.text().contains("up__"), "nothing is picked here: {}", tools.text());
        let picked = pick(&own, "side").await;
        assert!(picked.text().contains("side"), "{}", picked.text());
        let said = other.send(other.tool("up__echo", "{}")).await;
        assert!(said.text().contains(CANARY), "{}", said.text());
        let said = own.send(own.tool("up__echo", "{}")).await;
        assert!(said.text().contains("plain"), "{}", said.text());
        let thief = scene.client(&at(theirs), &ours.token);
        let refused = pick(&thief, "side").await;
        let lost = scene.client("/mcp/nowhere", &ours.token);
        assert_eq!(told(&refused), told(&pick(&lost, "side").await));
        assert_eq!(refused.status, 404, "{}", refused.text());
        let path = format!("/workspaces/{}/apps/bot/connections/main", theirs.workspace);
        let shown = scene.served.must(Method::GET, &path, None).await;
        assert_eq!(shown["picked"], true, "{shown}");
    }
}

/// The administrative tools lead to one's own workspace, whatever their arguments say.
#[tokio::test]
async fn h159_administrative_tools_reach_into_no_other_workspace() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, .. } = &scene;
        let agent = scene.client("/mcp-admin", &ours.admin);
        let listed = agent.send(agent.request("tools/list", "")).await.json();
        let mut tried = 0;
        for tool in listed["result"]["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            let properties = tool["inputSchema"]["properties"].as_object().unwrap();
            if !properties.contains_key("workspace") {
                continue;
            }
            let mut told_of = Vec::new();
            for workspace in [theirs.workspace, "nowhere"] {
                let mut arguments = serde_json::Map::new();
                for required in tool["inputSchema"]["required"].as_array().into_iter().flatten() {
                    let member = required.as_str().unwrap();
                    let value = match properties[member]["type"].as_str() {
                        Some("integer") => json!(0),
                        Some("boolean") => json!(true),
                        Some("string") => json!("main"),
                        _ => json!({}),
                    };
                    arguments.insert(member.to_owned(), value);
                }
                if properties.contains_key("confirm") {
                    arguments.insert("confirm".to_owned(), json!(true));
                }
                arguments.insert("workspace".to_owned(), json!(workspace));
                let arguments = Value::Object(arguments).to_string();
                let answer = agent.send(agent.tool(name, &arguments)).await;
                let mut said = answer.json()["result"]["structuredContent"].clone();
                assert_eq!(said["code"], "not_found", "{name}: {}", answer.text());
                said["request_id"] = Value::Null;
                told_of.push(said.to_string().replace(workspace, "it"));
            }
            assert_eq!(told_of[0], told_of[1], "{name}");
            tried += 1;
        }
        assert!(80 < tried, "{tried}");
        for tenant in [ours, theirs] {
            let token = scene.client("/mcp-admin", &tenant.token);
            let answer = token.send(token.request("tools/list", "")).await;
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        assert!(!scene.site.words().contains("panicked"), "{}", scene.site.words());
    }
}
