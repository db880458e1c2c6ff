use serde_json::json;

use crate::testing::Api;

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
              "id": "01900000-0000-7000-8000-000000000004",
              "name": "jira",
              "transport": {
                "type": "http",
                "url": "https://jira.example/mcp"
              },
              "era": "auto",
              "enabled": true,
              "off": null,
              "created_at": "2026-01-02T03:04:05Z"
            }
            "#);
        }
    }
}
