use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn members_come_and_go() {
    for api in Api::on_each_database().await {
        for name in ["ann", "bob", "eve"] {
            api.given("users", json!({ "name": name })).await;
        }
        let team = api.given("teams", json!({"name": "dev", "members": ["bob", "ann"]})).await;
        assert_eq!(team["members"], json!(["ann", "bob"]));
        for _ in 0..2 {
            let reply = api.put("teams/dev/members/eve").await;
            assert_eq!(reply.json()["members"], json!(["ann", "bob", "eve"]));
        }
        let reply = api.delete("teams/dev/members/bob").await;
        assert_eq!(reply.json()["members"], json!(["ann", "eve"]));
        let reply = api.patch("teams/dev", json!({"members": ["bob"]})).await;
        assert_eq!(reply.json()["members"], json!(["bob"]));
        assert_eq!(api.get("users/bob").await.json()["teams"], json!(["dev"]));
        assert_eq!(api.put("teams/dev/members/nobody").await.status, 404);
        let reply = api.patch("teams/dev", json!({"members": ["nobody"]})).await;
        assert_eq!(reply.problem(), (422, "invalid".into()));
        assert_eq!(api.delete("users/bob").await.status, 204, "memberships go with the user");
        assert_eq!(api.get("teams/dev").await.json()["members"], json!([]));
    }
}
