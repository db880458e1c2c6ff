use domain::limits::Scope;
use serde_json::{Value, json};

use crate::testing::Api;

fn calls(scope: Value, allowance: Value) -> Value {
    json!({"name": "few", "scope": scope, "unit": "calls", "allowance": allowance})
}

fn daily(amount: i64) -> Value {
    json!({"type": "quota", "amount": amount, "per": "day"})
}

#[tokio::test]
async fn a_limit_is_made_shown_changed_and_deleted() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let mut new = calls(
            json!({"type": "user", "user": "ann"}),
            json!({"type": "rate", "amount": 10, "per": "second"}),
        );
        new["gateway"] = json!("main");
        let made = api.given("limits", new).await;
        assert_eq!(made["scope"], json!({"type": "user", "user": "ann"}));
        let rate = json!({"type": "rate", "amount": 10, "per": "second", "burst": 10});
        assert_eq!((&made["allowance"], &made["gateway"]), (&rate, &json!("main")));
        assert_eq!(made["direction"], json!(null));
        let shown = api.get("limits/few").await;
        assert_eq!(shown.json(), made);
        assert!(!shown.header("etag").is_empty());
        assert_eq!(api.get("limits").await.json()["items"], json!([made]));

        let patch = json!({"name": "fewer", "allowance": daily(5), "gateway": null});
        let changed = api.patch("limits/few", patch).await.json();
        assert_eq!(
            (&changed["name"], &changed["allowance"], &changed["gateway"]),
            (&json!("fewer"), &daily(5), &json!(null))
        );
        let limits = &api.snapshot().await.config.workspaces["default"].limits;
        assert_eq!(limits.len(), 1);
        assert!(matches!(limits[0].scope, Scope::User(Some(_))), "{:?}", limits[0]);

        assert_eq!(api.get("limits/fewer/usage").await.json(), json!({"items": []}));
        assert_eq!(api.delete("limits/fewer").await.status, 204);
        assert_eq!(api.get("limits/fewer").await.status, 404);
        assert!(api.snapshot().await.config.workspaces["default"].limits.is_empty());
    }
}

/// The kind, what deletes it, and whether that is refused while a limit names it.
#[tokio::test]
async fn what_a_limit_names_stays_as_long_as_the_limit() {
    let cases = [
        (json!({"type": "user", "user": "eve"}), None, "users/eve"),
        (json!({"type": "app", "app": "bot"}), None, "apps/bot"),
        (json!({"type": "team", "team": "ops"}), None, "teams/ops"),
        (json!({"type": "gateway", "gateway": "side"}), None, "gateways/side"),
        (json!({"type": "server", "server": "wiki"}), None, "servers/wiki"),
        (json!({"type": "tool", "server": "wiki", "tool": "read"}), None, "servers/wiki"),
        (json!({"type": "workspace"}), Some("side"), "gateways/side"),
    ];
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("users", json!({"name": "eve"})).await;
        api.given("teams", json!({"name": "ops"})).await;
        api.given("gateways", json!({"name": "side"})).await;
        let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
        api.given("servers", json!({"name": "wiki", "transport": transport})).await;
        for (scope, gateway, path) in &cases {
            let mut new = calls(scope.clone(), daily(5));
            new["gateway"] = json!(gateway);
            let made = api.given("limits", new).await;
            assert_eq!(made["scope"], *scope);
            let refused = api.delete(path).await;
            assert_eq!(refused.problem(), (409, "in_use".into()), "{scope}");
            assert!(refused.text.contains("limit `few`"), "{}", refused.text);
            assert_eq!(api.delete("limits/few").await.status, 204);
        }
        for (_, _, path) in &cases[..5] {
            assert_eq!(api.delete(path).await.status, 204, "{path}");
        }
        api.post("/workspaces", json!({"name": "other"})).await;
        let other = "/workspaces/other/limits";
        assert_eq!(
            api.post(other, calls(json!({"type": "workspace"}), daily(5))).await.status,
            201
        );
        assert_eq!(api.delete("/workspaces/other").await.problem(), (409, "in_use".into()));
    }
}

#[tokio::test]
async fn a_limit_that_says_nothing_possible_is_refused_plainly() {
    let whole = json!({"type": "workspace"});
    let rate = |amount: Value, burst: Value| json!({"type": "rate", "amount": amount, "per": "second", "burst": burst});
    let cases = [
        (whole.clone(), daily(0), 422, "`amount` must be 1 to"),
        (whole.clone(), daily(-1), 422, "`amount` must be 1 to"),
        (whole.clone(), daily(1_000_000_000_000_000_000), 422, "`amount` must be 1 to"),
        (whole.clone(), rate(json!(1), json!(0)), 422, "`burst` must be 1 to"),
        (whole.clone(), rate(json!(1), json!(-5)), 422, "`burst` must be 1 to"),
        (whole.clone(), rate(json!(1e30), json!(1)), 400, ""),
        (whole.clone(), rate(json!(1.5), json!(1)), 400, ""),
        (whole.clone(), rate(json!("many"), json!(1)), 400, ""),
        (whole.clone(), json!({"type": "quota", "amount": 1, "per": "week"}), 400, "week"),
        (whole.clone(), json!({"type": "none"}), 400, "none"),
        (json!({"type": "planet"}), daily(1), 400, "planet"),
        (json!({"type": "user", "user": "nobody"}), daily(1), 422, "there is no user `nobody`"),
        (json!({"type": "user", "app": "bot"}), daily(1), 400, "app"),
        (json!({"type": "tool", "tool": "x"}), daily(1), 422, "both `server` and `tool`"),
        (json!({"type": "tool", "server": "jira"}), daily(1), 422, "both `server` and `tool`"),
        (json!({"type": "tool", "server": "jira", "tool": ""}), daily(1), 422, "no name of a tool"),
    ];
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        for (scope, allowance, status, detail) in &cases {
            let reply = api.post("limits", calls(scope.clone(), allowance.clone())).await;
            assert_eq!(reply.status, *status, "{scope} {allowance}: {}", reply.text);
            assert!(reply.text.contains(detail), "{scope} {allowance}: {}", reply.text);
        }
        let mut directed = calls(whole.clone(), daily(1));
        directed["direction"] = json!("request");
        assert_eq!(api.post("limits", directed).await.problem(), (422, "invalid".into()));
        let mut elsewhere = calls(whole.clone(), daily(1));
        elsewhere["gateway"] = json!("nowhere");
        assert_eq!(api.post("limits", elsewhere).await.problem(), (422, "invalid".into()));
        assert_eq!(api.get("limits").await.json(), json!({"items": []}));
        api.given("limits", calls(whole.clone(), daily(1))).await;
        let again = api.post("limits", calls(whole.clone(), daily(1))).await;
        assert_eq!(again.problem(), (409, "duplicate".into()));
        // What it counts is settled.
        let patch = api.patch("limits/few", json!({"unit": "bytes"})).await;
        assert_eq!(patch.problem(), (400, "malformed".into()));
        let patch = api.patch("limits/few", json!({"allowance": daily(0)})).await;
        assert_eq!(patch.problem(), (422, "invalid".into()));
        for cursor in ["bm9uc2Vuc2U", "%"] {
            let reply = api.get(&format!("limits/few/usage?cursor={cursor}")).await;
            assert_eq!(reply.problem(), (400, "malformed".into()), "{cursor}");
        }
    }
}
