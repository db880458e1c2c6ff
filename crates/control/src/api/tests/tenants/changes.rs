//! What is told of changes in a workspace beside one whose rows have the same ids.

use db::sql;
use serde_json::json;

use super::world::World;
use crate::changes::tests::follow;

#[tokio::test]
async fn h159_what_has_changed_is_told_by_the_names_of_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        world.twin_of_ours(true).await;
        let mut stream = follow(api, &api.token, None).await.unwrap();
        let touched = [
            "UPDATE policies SET name = name WHERE workspace_id = $1",
            "UPDATE roles SET name = name WHERE workspace_id = $1",
            "UPDATE tokens SET name = name WHERE workspace_id = $1",
        ];
        for text in touched {
            let mut tx = api.fresh.db.begin().await.unwrap();
            assert_ne!(tx.execute(sql(text).bind(ours.id)).await.unwrap(), 0, "{text}");
            tx.commit().await.unwrap();
        }
        api.given(&ours.at("users"), json!({"name": "eve"})).await;
        let told = stream.up_to(api.snapshot().await.epoch).await;
        for known in ["put policy hours", "put role keeper", "put token ci", "put user eve"] {
            assert!(told.iter().any(|it| it == known), "{known}: {told:?}");
        }
        assert!(!told.iter().any(|it| it.contains("canary")), "{told:?}");
    }
}
