use db::sql;
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

#[tokio::test]
async fn a_gateway_may_do_without_the_database_for_a_minute_at_most() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        assert_eq!(api.get("gateways/main").await.json()["max_autonomy_seconds"], 0);
        let reply = api.patch("gateways/main", json!({"max_autonomy_seconds": 60})).await;
        assert_eq!(reply.json()["max_autonomy_seconds"], 60);
        assert_eq!(api.snapshot().await.config.widest_autonomy().as_secs(), 60);
        for wrong in [json!(61), json!(-1), json!(1.5), json!("6")] {
            let reply = api.patch("gateways/main", json!({"max_autonomy_seconds": wrong})).await;
            assert!(reply.status.is_client_error(), "{wrong}");
        }
        let reply = api.post("gateways", json!({"name": "b", "max_autonomy_seconds": 61})).await;
        assert!(reply.status.is_client_error());
        let reply = api.post("gateways", json!({"name": "b", "max_autonomy_seconds": 5})).await;
        assert_eq!(reply.json()["max_autonomy_seconds"], 5);
        let reply = api.patch("gateways/main", json!({"max_autonomy_seconds": 0})).await;
        assert_eq!(reply.json()["max_autonomy_seconds"], 0);
    }
}

/// What another replica has changed and this one has not loaded counts all the same.
#[tokio::test]
async fn a_preview_is_of_what_holds_now() {
    for api in Api::on_each_database().await.into_iter().filter(|it| !it.fresh.db.is_exclusive()) {
        api.given_a_chain().await;
        let preview = async || api.get("gateways/main/preview?app=bot").await.status;
        assert_eq!(preview().await, 503, "nobody looks for us here");
        let epoch = api.snapshot().await.epoch;
        let mut tx = api.fresh.db.begin().await.unwrap();
        crate::snapshot::move_epoch(&mut tx, 7, false).await.unwrap();
        tx.execute(sql("UPDATE gateways SET name = 'other'")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(api.control.gate().latest().epoch, epoch, "it has not been loaded");
        assert_eq!(preview().await, 404);
    }
}
