use serde_json::json;

use crate::secret::sha256;
use crate::testing::Api;

#[tokio::test]
async fn a_token_is_shown_once_and_stored_as_its_hash() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let made = api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("ost_"));
        assert_eq!(secret.len(), "ost_".len() + 43, "32 bytes as base64url");
        assert_eq!(made["token"]["expires_at"], "2026-04-02T03:04:05Z", "90 days");
        assert_eq!(api.get("apps/bot/tokens/ci").await.json(), made["token"]);
        assert_eq!(api.get("apps/bot/tokens").await.json()["items"], json!([made["token"]]));

        let hash = sha256(secret.as_bytes());
        assert!(api.snapshot().await.config.tokens.contains_key(&hash));
        assert_eq!(api.delete("apps/bot/tokens/ci").await.status, 204);
        assert!(!api.snapshot().await.config.tokens.contains_key(&hash));
    }
}

#[tokio::test]
async fn no_two_tokens_are_alike() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    let mut secrets = std::collections::BTreeSet::new();
    for i in 0..20 {
        let made = api.given("apps/bot/tokens", json!({"name": format!("t{i}")})).await;
        assert!(secrets.insert(made["secret"].to_string()));
    }
}

#[tokio::test]
async fn lifetimes() {
    let cases = [
        (json!(60), 201),
        (json!(31_622_400), 201),
        (json!(59), 422),
        (json!(31_622_401), 422),
        (json!(0), 422),
        (json!(-1), 400),
        (json!("1h"), 400),
        (json!(1.5), 400),
    ];
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    for (i, (seconds, status)) in cases.into_iter().enumerate() {
        let body = json!({"name": format!("t{i}"), "lifetime_seconds": seconds});
        assert_eq!(api.post("apps/bot/tokens", body).await.status, status, "{seconds}");
    }
}
