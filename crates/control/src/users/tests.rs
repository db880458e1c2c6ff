use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn a_user_is_added_renamed_and_deleted() {
    for api in Api::on_each_database().await {
        let ann = api.given("users", json!({"name": "ann"})).await;
        assert_eq!(ann["teams"], json!([]));
        let again = api.post("users", json!({"name": "ann"})).await;
        assert_eq!(again.problem(), (409, "duplicate".into()));
        assert_eq!(again.json()["detail"], "user `ann` already exists");

        api.given("users", json!({"name": "bob"})).await;
        let taken = api.patch("users/bob", json!({"name": "ann"})).await;
        assert_eq!(taken.problem(), (409, "duplicate".into()));
        let renamed = api.patch("users/ann", json!({"name": "anna"})).await.json();
        assert_eq!(renamed["id"], ann["id"]);
        assert_eq!(api.get("users/ann").await.status, 404);
        let by_id = format!("users/{}", ann["id"].as_str().unwrap());
        assert_eq!(api.get(&by_id).await.json(), renamed);
        assert_eq!(api.delete(&by_id).await.status, 204);
        assert_eq!(api.delete(&by_id).await.status, 404);
    }
}
