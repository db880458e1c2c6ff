use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use super::tools::{LEFT_OUT, Tools};
use crate::api::openapi;
use crate::testing::{Api, Reply};

mod edges;
mod wire;

const MODERN: &str = "2026-07-28";

/// What everything that is shown may cost whoever puts it before a model.
const MOST_TOKENS: u64 = 28_000;

#[test]
fn every_operation_is_a_tool_or_is_left_out_for_a_reason() {
    let tools = tools();
    let mut names: BTreeSet<&str> = tools.all().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), tools.all().len(), "two tools of one name");
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let is_of_people = path.starts_with("/api/v1/session")
                || path.starts_with("/api/v1/accounts")
                || path.ends_with("/account");
            let is_left_out = is_of_people || LEFT_OUT.iter().any(|it| it.0 == id);
            assert!(names.remove(id) != is_left_out, "{method} {path}: {id}");
            let answers = operation["responses"].to_string();
            assert!(is_left_out || !answers.contains("event-stream"), "{id} has no end");
        }
    }
    assert_eq!(names, BTreeSet::new(), "tools without an operation");
    for id in ["list_accounts", "delete_account", "reset_user_account"] {
        assert!(document.to_string().contains(id), "{id}");
        assert!(tools.all().iter().all(|it| it.name != id), "{id}");
    }
    for (id, _) in LEFT_OUT {
        assert!(document.to_string().contains(&format!("\"operationId\":\"{id}\"")), "{id}");
    }
}

#[tokio::test]
async fn a_list_is_small_enough_for_a_model_and_each_tool_stands_for_itself() {
    let api = Api::on_sqlite().await;
    let listed = list(&api, &api.token, "").await;
    for tool in listed.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(!tool["description"].as_str().unwrap().is_empty(), "{name}");
        let schema = &tool["inputSchema"];
        assert_eq!(schema["type"], "object", "{name}");
        let text = schema.to_string();
        assert!(!text.contains("#/components"), "{name}: {text}");
        for after in text.split("#/$defs/").skip(1) {
            let referred = after.split('"').next().unwrap();
            assert!(schema["$defs"].get(referred).is_some(), "{name}: {referred}");
        }
        let hints = &tool["annotations"];
        let is_reading = hints["readOnlyHint"] == true;
        assert!(is_reading || hints["destructiveHint"].is_boolean(), "{name}: {hints}");
        let asks = schema["properties"].get("confirm").is_some();
        assert!(!asks || hints["destructiveHint"] == true, "{name}");
    }
    let tokens = |value: &Value| inspect::tokens::count(value.to_string().as_bytes());
    let all = tokens(&listed);
    let reading = tokens(&list(&api, &api.token, "?read_only=true").await);
    let few = tokens(&list(&api, &api.token, "?toolsets=servers,pins,cutoffs").await);
    assert!(all < MOST_TOKENS, "all {all}, reading {reading}, three toolsets {few}");
    assert!(reading < all / 2 && few < all / 4, "{reading} {few}");
}

#[tokio::test]
async fn changes_are_as_careful_as_through_the_api() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let tag = api.get("servers/jira").await.header("etag").to_owned();
        let change =
            json!({"server": "jira", "body": {"era": "modern"}, "if_match": "\"another\""});
        let said = call_tool(&api, "update_server", change).await;
        assert_eq!(said["structuredContent"]["code"], "mismatch", "{said}");
        let change = json!({"server": "jira", "body": {"era": "modern"}, "if_match": tag});
        let said = call_tool(&api, "update_server", change).await;
        assert_eq!(said["isError"], false, "{said}");
        assert_ne!(said["structuredContent"]["etag"], tag);

        let make = json!({"body": {"name": "ops"}, "idempotency_key": "once"});
        let first = call_tool(&api, "create_team", make.clone()).await;
        assert_eq!(call_tool(&api, "create_team", make).await, first);
        let other = json!({"body": {"name": "more"}, "idempotency_key": "once"});
        let said = call_tool(&api, "create_team", other).await;
        assert_eq!(said["structuredContent"]["code"], "other_request");
        let said = call_tool(&api, "create_team", json!({"body": {"name": "ops"}})).await;
        assert_eq!(said["structuredContent"]["code"], "duplicate");
        let said = call_tool(&api, "create_team", json!({"body": {"name": "x", "id": 1}})).await;
        assert!(said["content"][0]["text"].as_str().unwrap().contains("unknown field `id`"));
        let said = call_tool(&api, "list_teams", json!({"limit": 0})).await;
        assert_eq!(said["structuredContent"]["code"], "malformed");

        for confirm in [json!({}), json!({"confirm": false}), json!({"confirm": null})] {
            let mut arguments = confirm;
            arguments["team"] = "ops".into();
            let said = call_tool(&api, "delete_team", arguments).await;
            assert_eq!(said["structuredContent"]["code"], "unconfirmed", "{said}");
            assert_eq!(said["isError"], true);
        }
        assert_eq!(api.get("teams/ops").await.status, 200);
        // What comes no further than the tool is recorded as what is refused by the API.
        let newest = &api.get("/records?limit=1").await.json()["items"][0]["record"];
        let told = ["phase", "code", "address", "via"].map(|it| newest[it].as_str().unwrap());
        assert_eq!(told, ["refused", "unconfirmed", "/mcp-admin", "mcp"]);
        let said = call_tool(&api, "delete_team", json!({"team": "ops", "confirm": true})).await;
        assert_eq!(said["structuredContent"], json!({"status": 204}), "{said}");
        assert_eq!(api.get("teams/ops").await.status, 404);
    }
}

#[tokio::test]
async fn a_choice_of_tools_holds_for_calls_too() {
    let api = Api::on_sqlite().await;
    let names = |listed: Value| {
        let all = listed.as_array().unwrap().clone();
        all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let pins = names(list(&api, &api.token, "?toolsets=pins").await);
    let expected = ["approve_pin", "approve_pins", "list_pins", "reject_pin", "show_pin"];
    assert_eq!(pins, expected.map(str::to_owned).into());
    let reading = names(list(&api, &api.token, "?toolsets=pins,teams&read_only=true").await);
    let expected = ["list_pins", "list_teams", "show_pin", "show_team"];
    assert_eq!(reading, expected.map(str::to_owned).into());
    let call = json!({"name": "create_team", "arguments": {"body": {"name": "dev"}}});
    let body = request_of("tools/call", call);
    for query in ["?toolsets=pins", "?read_only=true", "?toolsets=teams&read_only=true"] {
        let reply = post(&api, &api.token, query, &[], &body).await;
        assert_eq!(reply.json()["error"]["code"], -32602, "{query}: {}", reply.text);
    }
    let reply = post(&api, &api.token, "?toolsets=teams%2Cpins", &[], &body).await;
    assert_eq!(reply.json()["result"]["isError"], false, "{}", reply.text);
}

#[tokio::test]
async fn an_act_says_in_the_record_that_it_came_by_mcp() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[]).await;
        let said = call_as(&api, &ann, "create_team", json!({"body": {"name": "dev"}})).await;
        assert_eq!(said["structuredContent"]["status"], 403, "{said}");
        call_tool(&api, "create_team", json!({"body": {"name": "dev"}})).await;
        api.given("teams", json!({"name": "ops"})).await;
        let page = api.get("records?limit=50").await.json();
        let records = page["items"].as_array().unwrap().iter().map(|it| &it["record"]);
        let asked = records.filter(|it| it["phase"] != "ended");
        let seen: Vec<_> = asked
            .map(|it| {
                let text = |member: &str| it[member].as_str();
                (text("actor").unwrap(), text("via"), text("action").unwrap())
            })
            .collect();
        let action = "POST /workspaces/{workspace}/teams";
        let expected = [
            ("ann/cli", Some("mcp"), action),
            ("first", Some("mcp"), action),
            ("first", None, action),
        ];
        for row in expected {
            assert_eq!(seen.iter().filter(|it| **it == row).count(), 1, "{row:?}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn h160_a_secret_is_shown_once_and_its_tool_says_so() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    let listed = list(&api, &api.token, "").await;
    let warned: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["description"].as_str().unwrap().contains("part of this conversation"))
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let expected = [
        "apply_files",
        "diff_files",
        "create_identity",
        "update_identity",
        "create_token",
        "create_user_admin_token",
    ];
    assert_eq!(warned, expected);
    let make = json!({"app": "bot", "body": {"name": "ci"}, "idempotency_key": "k"});
    let said = call_tool(&api, "create_token", make.clone()).await;
    let secret = said["structuredContent"]["body"]["secret"].as_str().unwrap().to_owned();
    for (tool, arguments) in [
        ("create_token", make),
        ("show_token", json!({"app": "bot", "token": "ci"})),
        ("list_records", json!({})),
        ("export_files", json!({})),
    ] {
        let said = call_tool(&api, tool, arguments).await.to_string();
        assert!(!said.contains(&secret) && !said.contains("hunter2"), "{tool}: {said}");
    }
}

async fn limited(api: &Api, user: &str, capability: &str) -> String {
    let body = json!({"name": "less", "capabilities": [capability]});
    let made = api.given(&format!("users/{user}/admin-tokens"), body).await;
    made["secret"].as_str().unwrap().to_owned()
}

async fn list(api: &Api, token: &str, query: &str) -> Value {
    let version = [("mcp-protocol-version", "2025-11-25")];
    let reply = post(api, token, query, &version, &request_of("tools/list", json!({}))).await;
    reply.json()["result"]["tools"].clone()
}

async fn call_tool(api: &Api, tool: &str, arguments: Value) -> Value {
    call_as(api, &api.token, tool, arguments).await
}

async fn call_as(api: &Api, token: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let version = [("mcp-protocol-version", "2025-11-25")];
    let reply = post(api, token, "", &version, &request_of("tools/call", params)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let result = reply.json()["result"].clone();
    assert!(result.is_object(), "{}", reply.text);
    result
}

async fn legacy(api: &Api, version: Option<&str>, method: &str, params: Value) -> Reply {
    let version = version.map(|it| ("mcp-protocol-version", it));
    let headers: Vec<(&str, &str)> = version.into_iter().collect();
    post(api, &api.token, "", &headers, &request_of(method, params)).await
}

async fn modern(api: &Api, method: &str, mut params: Value) -> Reply {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
                             "io.modelcontextprotocol/clientCapabilities": {}});
    let headers = [("mcp-protocol-version", MODERN), ("mcp-method", method)];
    post(api, &api.token, "", &headers, &request_of(method, params)).await
}

fn request_of(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

async fn post(api: &Api, token: &str, query: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let json = [("content-type", "application/json")];
    send(api, token, query, &[&json[..], headers].concat(), body).await
}

async fn send(api: &Api, token: &str, query: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::post(format!("/mcp-admin{query}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn tools() -> Arc<Tools> {
    static TOOLS: std::sync::OnceLock<Arc<Tools>> = std::sync::OnceLock::new();
    Arc::clone(TOOLS.get_or_init(|| Arc::new(Tools::of(&document()))))
}

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}
