use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn rules_run_in_the_order_of_their_positions() {
    for api in Api::on_each_database().await {
        api.given("gateways", json!({"name": "main"})).await;
        let rule = |name: &str| json!({"name": name, "pattern": "x", "action": {"type": "hash"}});
        for name in ["b", "a", "c"] {
            api.given("gateways/main/rules", rule(name)).await;
        }
        assert_eq!(api.patch("gateways/main/rules/c", json!({"position": 0})).await.status, 200);
        let gateway = &api.snapshot().await.config.workspaces["default"].gateways["main"];
        let names: Vec<&str> = gateway.rules.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(api.delete("gateways/main/rules/b").await.status, 204);
        assert_eq!(api.get("gateways/main/rules/b").await.status, 404);
    }
}

#[tokio::test]
async fn a_rule_is_changed_in_part() {
    for api in Api::on_each_database().await {
        api.given("gateways", json!({"name": "main"})).await;
        let rule = json!({"name": "mail", "pattern": "@", "tools": ["b", "a"], "observe_only": true,
                          "action": {"type": "block", "message": "no"}});
        let made = api.given("gateways/main/rules", rule).await;
        assert_eq!(made["tools"], json!(["a", "b"]));
        assert_eq!((&made["on_request"], &made["on_response"]), (&json!(true), &json!(true)));
        let path = "gateways/main/rules/mail";
        let kept = api.patch(path, json!({"on_request": false})).await.json();
        assert_eq!(kept["tools"], json!(["a", "b"]));
        assert_eq!(kept["action"], json!({"type": "block", "message": "no"}));
        let all = api.patch(path, json!({"tools": null})).await.json();
        assert_eq!(all["tools"], json!(null));
        let none = api.patch(path, json!({"on_response": false})).await;
        assert_eq!(none.problem(), (422, "invalid".into()));
    }
}

#[tokio::test]
async fn h132_a_pattern_that_will_not_run_is_not_saved() {
    let patterns = [("(", false), ("(?=a)", false), ("\\1", false), ("(a{1000}){1000}", false)];
    let api = Api::on_sqlite().await;
    api.given("gateways", json!({"name": "main"})).await;
    // Linear, whatever the pattern: this one is harmless.
    for (pattern, good) in patterns.into_iter().chain([("(x+x+)+y", true)]) {
        let rule = json!({"name": "r", "pattern": pattern, "action": {"type": "redact"}});
        let reply = api.post("gateways/main/rules", rule).await;
        assert_eq!(reply.status == 201, good, "{pattern}: {}", reply.text);
        if !good {
            assert_eq!(reply.problem(), (422, "invalid".into()), "{pattern}");
            assert!(reply.text.contains('r'), "it names the rule: {}", reply.text);
        }
    }
    let bad = api.patch("gateways/main/rules/r", json!({"pattern": "["})).await;
    assert_eq!(bad.problem(), (422, "invalid".into()));
    assert_eq!(api.get("gateways/main/rules/r").await.json()["pattern"], "(x+x+)+y");
}
