//! What is on the wire, in both eras.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::{MODERN, call_tool, legacy, modern, post, send};
use crate::testing::Api;

type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn both_eras_list_and_call() {
    for api in Api::on_each_database().await {
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
                           "clientInfo": {"name": "t", "version": "1"}});
        let reply = legacy(&api, None, "initialize", hello).await;
        let hello = &reply.json()["result"];
        assert_eq!(hello["protocolVersion"], "2025-06-18");
        assert_eq!(hello["capabilities"], json!({"tools": {}}));
        assert!(hello["instructions"].is_string() && reply.header("mcp-session-id").is_empty());
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(post(&api, &api.token, "", &[], &told.to_string()).await.status, 202);
        let ping = legacy(&api, Some("2025-06-18"), "ping", json!({})).await;
        assert_eq!(ping.json()["result"], json!({}));
        let call = json!({"name": "create_team", "arguments": {"body": {"name": "dev"}}});
        let made = legacy(&api, Some("2025-11-25"), "tools/call", call).await.json();
        let made = &made["result"];
        assert_eq!(made["isError"], false, "{made}");
        let said = &made["structuredContent"];
        assert_eq!(said["status"], 201);
        assert_eq!(said["body"]["name"], "dev");
        assert!(said["etag"].is_string());
        let text: Value =
            serde_json::from_str(made["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(&text, said);
        let old = legacy(&api, None, "tools/list", json!({})).await.json();
        assert!(old["result"]["tools"][0].get("title").is_none(), "2025-03-26 knows none");

        let reply = modern(&api, "server/discover", json!({})).await;
        assert_eq!(reply.json()["result"]["supportedVersions"], json!([MODERN]), "{}", reply.text);
        let listed = modern(&api, "tools/list", json!({})).await.json();
        assert_eq!(listed["result"]["resultType"], "complete");
        assert_eq!(listed["result"]["cacheScope"], "private");
        let shown = call_tool(&api, "show_team", json!({"team": "dev"})).await;
        assert_eq!(shown["structuredContent"]["body"]["name"], "dev", "{shown}");
        assert_eq!(shown["structuredContent"]["etag"], said["etag"]);
    }
}

#[tokio::test]
async fn what_is_no_request_of_either_era_is_refused() {
    let api = Api::on_sqlite().await;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let version = |it: &'static str| ("mcp-protocol-version", it);
    let json = ("content-type", "application/json");
    let cases: &[(Headers<'_>, &str, u16, i64)] = &[
        (&[version(MODERN)], list, 400, -32602),
        (&[version("2027-01-01")], list, 400, -32602),
        (&[version("1999-01-01")], list, 400, -32600),
        (&[version("2025-06-18"), version("2025-06-18")], list, 400, -32600),
        (&[], "{", 400, -32700),
        (&[], r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, 400, -32700),
        (&[], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32600),
        (&[], r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#, 200, -32601),
        (&[], r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, 400, -32602),
        (&[], r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 200, -32602),
        (
            &[],
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}"#,
            200,
            -32602,
        ),
        (&[version("2025-06-18")], "[]", 400, -32600),
        (&[], "[]", 400, -32600),
    ];
    for (headers, body, status, code) in cases {
        let headers = [&[json][..], headers].concat();
        let reply = send(&api, &api.token, "", &headers, body).await;
        let found = (reply.status.as_u16(), reply.json()["error"]["code"].as_i64());
        assert_eq!(found, (*status, Some(*code)), "{headers:?} {body}: {}", reply.text);
    }
    let accept = |it: &'static str| [json, ("accept", it)];
    for (headers, status) in [
        (vec![], 415),
        (vec![("content-type", "text/plain")], 415),
        (accept("text/event-stream").into(), 406),
        (accept("application/json, text/event-stream").into(), 200),
        (accept("*/*;q=0.1").into(), 200),
    ] {
        let reply = send(&api, &api.token, "", &headers, list).await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let request = Request::builder().method(method).uri("/mcp-admin");
        assert_eq!(api.send(request.body(Body::empty()).unwrap()).await.status, 405);
    }
    let large = format!("\"{}\"", "a".repeat(1 << 20));
    assert_eq!(post(&api, &api.token, "", &[], &large).await.status, 413);
    for query in ["?toolsets=nothing", "?toolset=servers", "?read_only=yes", "?x"] {
        assert_eq!(post(&api, &api.token, query, &[], list).await.status, 400, "{query}");
    }
    let text = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},
                   {"jsonrpc":"2.0","id":2,"method":"y"}]"#;
    let reply = post(&api, &api.token, "", &[], text).await.json();
    assert_eq!(reply[0]["result"], json!({}));
    assert_eq!((&reply[1]["id"], &reply[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    assert_eq!(reply.as_array().unwrap().len(), 2);
}
