use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn teams_are_granted_and_the_grant_is_taken_back() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("teams", json!({"name": "ops"})).await;
        let reply = api.put("gateways/main/teams/ops").await;
        assert_eq!(reply.json()["teams"], json!(["dev", "ops"]));
        let reply = api.delete("gateways/main/teams/dev").await;
        assert_eq!(reply.json()["teams"], json!(["ops"]));
        let reply = api.patch("gateways/main", json!({"teams": ["dev"]})).await;
        assert_eq!(reply.json()["teams"], json!(["dev"]));
        assert_eq!(api.put("gateways/main/teams/nope").await.status, 404);
    }
}

#[tokio::test]
async fn what_belongs_to_a_gateway_goes_with_it() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}});
        api.given("gateways/main/rules", rule).await;
        assert_eq!(api.delete("apps/bot/connections/main").await.status, 204);
        let cut = json!({"kind": "assignment", "name": "main/jira"});
        assert_eq!(api.post("cutoffs", cut).await.status, 200);
        assert_eq!(api.delete("gateways/main").await.status, 204);
        assert_eq!(api.get("cutoffs").await.json(), json!({"items": []}));
        api.given("gateways", json!({"name": "main"})).await;
        assert_eq!(api.get("gateways/main/rules").await.json(), json!({"items": []}));
        assert_eq!(api.get("gateways/main/assignments").await.json(), json!({"items": []}));
    }
}
