use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn an_app_that_changes_hands_leaves_the_old_owners_credentials_behind() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("users", json!({"name": "bob"})).await;
        let kept = api.patch("apps/bot", json!({"owner": "bob"})).await;
        assert_eq!(kept.problem(), (422, "invalid".into()));
        assert_eq!(
            kept.json()["detail"],
            "its connections use credentials of its present owner: identity `ann-jira`"
        );
        let path = "apps/bot/connections/main";
        assert_eq!(api.patch(path, json!({"identities": []})).await.status, 200);
        assert_eq!(api.patch("apps/bot", json!({"owner": "bob"})).await.json()["owner"], "bob");
        assert_eq!(api.get(path).await.json()["user"], "bob");
    }
}

#[tokio::test]
async fn refusals() {
    let api = Api::on_sqlite().await;
    api.given("users", json!({"name": "ann"})).await;
    let cases = [
        (json!({"name": "a", "owner": "nope", "purpose": "x"}), 422),
        (json!({"name": "a", "owner": "ann", "purpose": ""}), 422),
        (json!({"name": "a", "owner": "ann", "purpose": "a\nb"}), 422),
        (json!({"name": "a", "owner": "ann", "purpose": "x".repeat(501)}), 422),
        (json!({"name": "a", "owner": "ann"}), 400),
    ];
    for (body, status) in cases {
        assert_eq!(api.post("apps", body.clone()).await.status, status, "{body}");
    }
}
