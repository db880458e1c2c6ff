//! How far a tool reaches: with what rights, and to which address.

use axum::body::Body;
use axum::http::{Request, header};
use mcp::json::{Limits, Raw};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::call;
use super::super::tools::{Choice, Tool};
use super::{call_as, call_tool, limited, list, post, request_of, tools};
use crate::api::Via;
use crate::testing::Api;

#[tokio::test]
async fn h159_without_a_right_token_there_is_nothing_to_see() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let list = request_of("tools/list", json!({}));
        for token in ["", "wrong", &format!("{ann}x"), &api.token.to_uppercase()] {
            let reply = post(&api, token, "", &[], &list).await;
            assert_eq!(reply.problem(), (401, "unauthenticated".into()), "{token}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
        // A browser's cookie is no token, whoever made the browser send it.
        let given = json!({"token": ann}).to_string();
        let request = Request::post("/api/v1/session").header("content-type", "application/json");
        let reply = api.send(request.body(Body::from(given)).unwrap()).await;
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        let request = Request::post("/mcp-admin")
            .header("content-type", "application/json")
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, cookie);
        let reply = api.send(request.body(Body::from(list.clone())).unwrap()).await;
        assert_eq!(reply.status, 401);
        // Whoever is turned off, or loses the token, is nobody with the next message.
        assert_eq!(post(&api, &ann, "", &[], &list).await.status, 200);
        assert_eq!(api.patch("users/ann", json!({"enabled": false})).await.status, 200);
        assert_eq!(post(&api, &ann, "", &[], &list).await.status, 401);
        assert_eq!(api.patch("users/ann", json!({"enabled": true})).await.status, 200);
        assert_eq!(post(&api, &ann, "", &[], &list).await.status, 200);
        assert_eq!(api.delete("users/ann/admin-tokens/cli").await.status, 204);
        assert_eq!(post(&api, &ann, "", &[], &list).await.status, 401);
    }
}

/// What is not listed is refused, whatever it is asked about; what is, may be used on something.
#[tokio::test]
async fn h159_a_list_shows_what_can_be_called_and_nothing_else() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("roles", json!({"name": "reader", "capabilities": ["servers:read"]})).await;
        let chain = ["gateway/main", "server/jira"].map(|it| ("workspace-admin", it));
        api.given("/workspaces", json!({"name": "other"})).await;
        let tokens = [
            api.given_admin("nobody", &[]).await,
            api.given_admin("reader", &[("reader", "server/jira")]).await,
            api.given_admin("keeper", &chain).await,
            api.given_admin("root", &[("workspace-admin", "workspace")]).await,
            limited(&api, "root", "people:read").await,
            api.given_admin_in("other", "kim", &[("workspace-admin", "workspace")]).await,
        ];
        let tools = tools();
        let mut shown = Vec::new();
        for token in &tokens {
            let listed = list(&api, token, "").await;
            let names: Vec<&str> =
                listed.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
            shown.push(names.len());
            for tool in tools.all().iter().filter(|it| !names.contains(&it.name.as_str())) {
                let said = call_as(&api, token, &tool.name, arguments(tool)).await;
                let status = said["structuredContent"]["status"].as_u64();
                assert!(matches!(status, Some(403 | 404)), "{}: {said}", tool.name);
            }
        }
        // Who is no user has nothing of their own.
        let others = tools.all().iter().filter(|it| !it.name.starts_with("list_own_"));
        let above = list(&api, &api.token, "").await;
        assert_eq!(above.as_array().unwrap().len(), others.count());
        let [nobody, reader, keeper, root, people, there] = shown[..] else { panic!() };
        assert!(nobody < reader && reader < keeper && keeper < root, "{shown:?}");
        assert!(people < root && there == root, "{shown:?}");
        assert!(root < tools.all().len(), "{shown:?}");
        // Nobody reaches into another workspace.
        let there = &tokens[5];
        for arguments in
            [json!({"workspace": "default", "server": "jira"}), json!({"server": "jira"})]
        {
            let said = call_as(&api, there, "show_server", arguments).await;
            assert_eq!(said["structuredContent"]["status"], 404, "{said}");
        }
    }
}

#[tokio::test]
async fn h162_no_argument_leads_to_another_address() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    let before = api.log.tail(crate::trail::INSTALLATION, 100).len();
    for odd in [
        "jira/pins/approve",
        "../teams/dev",
        "..",
        ".",
        "%2e%2e",
        "jira%2f..",
        "jira?x=1",
        "jira#x",
        "jira;x",
        "jíra",
        "JIRA",
        " jira",
        "jira\u{0}",
        "jira\n",
        "\\jira",
        "//",
        "jira ",
        "%00",
    ] {
        for arguments in [json!({"server": odd}), json!({"workspace": odd, "server": "jira"})] {
            let said = call_tool(&api, "show_server", arguments).await;
            assert_eq!(said["structuredContent"]["code"], "not_found", "{odd:?}: {said}");
        }
    }
    let said = call_tool(&api, "list_pins", json!({"name": "a&state=x#?%26+b"})).await;
    assert_eq!(said["structuredContent"]["body"]["items"], json!([]), "{said}");
    for (arguments, told) in [
        (json!({}), "`server` is missing"),
        (json!({"server": ""}), "`server` is missing"),
        (json!({"server": null}), "`server` is missing"),
        (json!({"server": ["jira"]}), "must be a text"),
        (json!({"server": 1.5}), "must be a text"),
        (json!({"server": "jira", "method": "DELETE"}), "has no argument `method`"),
        (json!({"server": "jira", "body": {}}), "has no argument `body`"),
        (json!({"server": "a".repeat(70_000)}), "too long"),
    ] {
        let said = call_tool(&api, "show_server", arguments).await;
        assert_eq!(said["structuredContent"]["code"], "malformed", "{said}");
        assert!(said["content"][0]["text"].as_str().unwrap().contains(told), "{said}");
    }
    let odd = json!({"server": "jira", "body": {"era": "modern"}, "if_match": "\"a\"\r\nx: y"});
    let said = call_tool(&api, "update_server", odd).await;
    assert!(said["content"][0]["text"].as_str().unwrap().contains("in a header"), "{said}");
    let tail = api.log.tail(crate::trail::INSTALLATION, 100);
    let refused = tail.last().unwrap().text.contains(r#""phase":"refused""#);
    assert!(tail.len() == before + 1 && refused, "nothing was done but to refuse a change");
}

/// A tool whose address another route has taken over is refused, not answered by that route.
#[tokio::test]
async fn h159_a_tool_leads_to_its_own_operation_and_to_no_other() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    for (template, status) in [
        ("/api/v1/workspaces/{workspace}/servers/{server}", 200),
        ("/api/v1/workspaces/{workspace}/servers", 404),
        ("/workspaces/{workspace}/servers/{server}", 404),
    ] {
        let request = Request::get("/api/v1/workspaces/default/servers/jira")
            .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
            .extension(Via { template: template.into() });
        let reply = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, status, "{template}: {}", reply.text);
    }
}

proptest! {
    /// Whatever the arguments are, a request goes to the address of its tool, segment for segment.
    #[test]
    fn any_argument_stays_in_its_place(text in any::<String>(), other in any::<String>()) {
        let tools = tools();
        let tool = tools.find("list_pins", &Choice::default()).unwrap();
        let arguments = json!({"workspace": text, "name": other}).to_string();
        let arguments = Raw::parse(arguments.as_bytes(), Limits::default()).unwrap();
        let credential = header::HeaderValue::from_static("Bearer x");
        match call::request(tool, Some(arguments), "own", &credential) {
            Err(_) => prop_assert!(text.is_empty() || 10_000 < text.len() + other.len()),
            Ok(request) => {
                let path = request.uri().path();
                let segments: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(segments.len(), 6);
                prop_assert_eq!((segments[3], segments[5]), ("workspaces", "pins"));
                prop_assert_eq!(unescaped(segments[4]), text);
                let query = request.uri().query().unwrap();
                prop_assert_eq!(unescaped(query.strip_prefix("name=").unwrap()), other);
                prop_assert_eq!(request.headers().len(), 1);
            }
        }
    }

    #[test]
    fn any_arguments_are_answered(value in any_object(), at in 0_usize..200) {
        let tools = tools();
        let all = tools.all();
        let tool = &all[at % all.len()];
        let text = value.to_string();
        let arguments = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
        let credential = header::HeaderValue::from_static("Bearer x");
        if let Ok(request) = call::request(tool, Some(arguments), "own", &credential) {
            prop_assert_eq!(request.method(), &tool.method);
            let segments = |it: &str| it.split('/').count();
            prop_assert_eq!(segments(request.uri().path()), segments(&tool.template));
        }
    }
}

/// Objects whose members have the names that arguments have, and values of all kinds.
fn any_object() -> impl Strategy<Value = Value> {
    let names = [
        "workspace",
        "server",
        "team",
        "user",
        "app",
        "limit",
        "body",
        "confirm",
        "if_match",
        "pin",
    ];
    let values = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!({"name": "x"})),
        Just(json!([1])),
    ];
    prop::collection::btree_map(prop::sample::select(names.to_vec()), values, 0..8)
        .prop_map(|it| it.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn unescaped(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// Arguments with which a call could be done, as far as the address goes.
fn arguments(tool: &Tool) -> Value {
    let names = [
        ("app", "bot"),
        ("admin_token", "first"),
        ("assignment", "jira"),
        ("connection", "main"),
        ("gateway", "main"),
        ("identity", "ann-jira"),
        ("server", "jira"),
        ("team", "dev"),
        ("user", "ann"),
        ("index", "0"),
        ("workspace", "default"),
    ];
    let mut arguments = json!({});
    for parameter in tool.parameters.iter().filter(|it| it.is_required) {
        let known = names.iter().find(|it| it.0 == parameter.argument);
        arguments[&parameter.argument] = known.map_or("nothing", |it| it.1).into();
    }
    if tool.body.is_some() {
        arguments["body"] = json!({});
    }
    if tool.is_final {
        arguments["confirm"] = true.into();
    }
    arguments
}
