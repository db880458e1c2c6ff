use domain::Durability;
use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn a_workspace_is_made_changed_and_deleted_when_empty() {
    for api in Api::on_each_database().await {
        let page = api.get("/workspaces").await.json();
        assert_eq!(page["items"][0]["name"], "default");
        assert_eq!(page["items"][0]["durability"], "written");

        let made = api.given("/workspaces", json!({"name": "lab", "durability": "synced"})).await;
        let by_id = format!("/workspaces/{}", made["id"].as_str().unwrap());
        assert_eq!(api.get(&by_id).await.json(), made);
        let lab = &api.snapshot().await.config.workspaces["lab"];
        assert_eq!(lab.durability, Durability::Synced);
        let renamed = api.patch("/workspaces/lab", json!({"name": "shop"})).await;
        assert_eq!(renamed.status, 200, "{}", renamed.text);
        assert_eq!(api.get("/workspaces/lab").await.status, 404);
        let taken = api.patch("/workspaces/shop", json!({"name": "default"})).await;
        assert_eq!(taken.problem(), (409, "duplicate".into()));

        api.given("/workspaces/shop/users", json!({"name": "ann"})).await;
        let full = api.delete("/workspaces/shop").await;
        assert_eq!(full.json()["detail"], "workspace `shop` is used by user `ann`");
        assert_eq!(api.delete("/workspaces/shop/users/ann").await.status, 204);
        let role = json!({"name": "keeper", "capabilities": []});
        api.given("/workspaces/shop/roles", role).await;
        let full = api.delete("/workspaces/shop").await;
        assert_eq!(full.json()["detail"], "workspace `shop` is used by role `keeper`");
        assert_eq!(api.delete("/workspaces/shop/roles/keeper").await.status, 204);
        assert_eq!(api.delete("/workspaces/shop").await.status, 204);
        assert_eq!(api.get("/workspaces/shop/users").await.problem().0, 404);
    }
}
