use std::sync::Arc;

use domain::ServerId;
use serde_json::json;

use crate::testing::Api;
use crate::{ServerState, ServerStatus, Status};

#[tokio::test]
async fn a_new_server_is_shown_as_it_was_stored() {
    for api in Api::on_each_database().await {
        let transport = json!({"type": "http", "url": "https://jira.example/mcp"});
        let reply = api.post("servers", json!({"name": "jira", "transport": transport})).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(api.get("servers/jira").await.json(), reply.json());
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(reply.json(), @r#"
            {
              "id": "01900000-0000-7000-8000-000000000007",
              "name": "jira",
              "transport": {
                "type": "http",
                "url": "https://jira.example/mcp"
              },
              "era": "auto",
              "tasks": "relay",
              "roots": false,
              "review": "on",
              "labels": [],
              "tool_labels": {},
              "enabled": true,
              "off": null,
              "created_at": "2026-01-02T03:04:05Z"
            }
            "#);
        }
    }
}

#[tokio::test]
async fn a_server_is_changed_in_part() {
    for api in Api::on_each_database().await {
        let transport = json!({"type": "stdio", "command": "npx", "args": ["-y", "thing"]});
        api.given("servers", json!({"name": "thing", "transport": transport})).await;
        let reply = api.patch("servers/thing", json!({"era": "legacy"})).await.json();
        assert_eq!(reply["era"], "legacy");
        assert_eq!(reply["transport"]["args"], json!(["-y", "thing"]));
        assert_eq!(reply["transport"]["env"], json!({}));
        for (key, value) in
            [("tasks", json!("wait")), ("roots", json!(true)), ("review", json!("off"))]
        {
            let reply = api.patch("servers/thing", json!({key: value})).await.json();
            assert_eq!((&reply[key], &reply["era"]), (&value, &json!("legacy")), "{key}");
        }
        let snapshot = api.snapshot().await;
        let servers = &snapshot.config.workspaces["default"].servers;
        let server = servers.values().next().unwrap();
        assert_eq!((server.tasks, server.roots), (domain::TasksSetting::Wait, true));
    }
}

#[tokio::test]
async fn transports_that_are_refused() {
    let cases = [
        (json!({"type": "http", "url": "https://u:p@a.example/"}), 422),
        (json!({"type": "http", "url": "http://a.example/"}), 422),
        (json!({"type": "stdio", "command": "sh -c reboot"}), 422),
        (json!({"type": "stdio", "command": "npx", "shell": true}), 400),
        (json!({"type": "carrier-pigeon"}), 400),
        (json!({"type": "http"}), 400),
        (json!("https://a.example/"), 400),
    ];
    let api = Api::on_sqlite().await;
    for (transport, status) in cases {
        let reply = api.post("servers", json!({"name": "s", "transport": transport})).await;
        assert_eq!(reply.status, status, "{transport}: {}", reply.text);
        assert!(!reply.text.contains("u:p"), "{}", reply.text);
    }
}

/// Whoever may move a server must not come by the credentials that others keep for it.
#[tokio::test]
async fn a_server_with_credentials_stays_at_its_origin() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let to = |url: &str| json!({"transport": {"type": "http", "url": url}});
        let moved = api.patch("servers/jira", to("https://evil.example/mcp")).await;
        assert_eq!(moved.problem(), (409, "in_use".into()));
        assert_eq!(
            moved.json()["detail"],
            "the address of server `jira` is used by identity `ann-jira`"
        );
        let stayed = api.patch("servers/jira", to("https://jira.example/v2")).await;
        assert_eq!(stayed.status, 200);
    }
}

#[tokio::test]
async fn how_a_server_is_doing_is_shown_and_is_no_part_of_its_tag() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    let before = api.get("servers/jira").await;
    assert_eq!(before.json().get("status"), None);
    api.control.set_server_status(Arc::new(Failing));
    let status = json!({"state": "failing", "detail": "it answers 503", "tools": 7});
    let after = api.get("servers/jira").await;
    assert_eq!(after.json()["status"], status);
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_eq!(api.get("servers").await.json()["items"][0]["status"], status);
}

struct Failing;

impl ServerStatus for Failing {
    fn status(&self, _server: ServerId) -> Option<Status> {
        let detail = Some("it answers 503".into());
        Some(Status { state: ServerState::Failing, detail, tools: Some(7) })
    }
}
