use axum::http::Method;
use serde_json::{Value, json};

use crate::testing::Api;

#[tokio::test]
async fn a_role_is_made_changed_and_deleted_and_three_are_always_there() {
    for api in Api::on_each_database().await {
        let new = json!({"name": "keeper", "capabilities": ["servers:write", "servers:read"]});
        let made = api.given("roles", new).await;
        assert_eq!(made["capabilities"], json!(["servers:read", "servers:write"]));
        assert_eq!(made["built_in"], false);
        let names = |reply: Value| -> Vec<String> {
            let items = reply["items"].as_array().unwrap().clone();
            items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
        };
        let all = ["keeper", "member", "super-admin", "workspace-admin"];
        assert_eq!(names(api.get("roles").await.json()), all);
        let first = api.get("roles?limit=2").await.json();
        assert_eq!(names(first.clone()), all[..2]);
        let next = format!("roles?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
        assert_eq!(names(api.get(&next).await.json()), all[2..]);

        let patch = json!({"name": "watcher", "capabilities": ["records:read"]});
        let changed = api.patch("roles/keeper", patch).await.json();
        assert_eq!(changed["capabilities"], json!(["records:read"]));
        let given = json!({"name": "given", "role": "watcher", "team": "dev"});
        api.given("teams", json!({"name": "dev"})).await;
        api.given("role-grants", given).await;
        let used = api.delete("roles/watcher").await;
        assert_eq!(used.problem(), (409, "in_use".into()));
        assert_eq!(used.json()["detail"], "role `watcher` is used by role grant `given`");
        assert_eq!(api.delete("role-grants/given").await.status, 204);
        assert_eq!(api.delete("roles/watcher").await.status, 204);
    }
}

#[tokio::test]
async fn what_is_built_in_stays_as_it_is() {
    for api in Api::on_each_database().await {
        for name in ["member", "super-admin", "workspace-admin"] {
            let path = format!("roles/{name}");
            assert_eq!(api.get(&path).await.json()["built_in"], true);
            let patch = json!({"capabilities": []});
            assert_eq!(api.patch(&path, patch).await.problem(), (422, "invalid".into()));
            assert_eq!(api.delete(&path).await.problem(), (422, "invalid".into()));
            let new = json!({"name": name, "capabilities": []});
            assert_eq!(api.post("roles", new.clone()).await.problem().0, 409);
            api.given("roles", json!({"name": "mine", "capabilities": []})).await;
            assert_eq!(api.patch("roles/mine", json!({ "name": name })).await.problem().0, 409);
            assert_eq!(api.delete("roles/mine").await.status, 204);
        }
    }
}

#[tokio::test]
async fn capabilities_that_do_not_exist_are_refused() {
    let api = Api::on_sqlite().await;
    for text in ["servers:*", "*", "servers", "", "Servers:read"] {
        let new = json!({"name": "keeper", "capabilities": [text]});
        let reply = api.post("roles", new).await;
        assert_eq!(reply.problem(), (400, "malformed".into()), "{text:?}");
        assert!(reply.text.contains("there is no such capability"), "{}", reply.text);
    }
}

/// A role that others hold is not a way to more than one has oneself.
#[tokio::test]
async fn nobody_makes_of_a_role_more_than_they_hold_where_it_is_granted() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let editor = ["roles:read", "roles:write", "servers:read"];
        api.given("roles", json!({"name": "editor", "capabilities": editor})).await;
        api.given("roles", json!({"name": "small", "capabilities": ["servers:read"]})).await;
        let eve = api.given_admin("eve", &[("editor", "workspace")]).await;
        api.given("role-grants", json!({"name": "a", "role": "small", "user": "eve"})).await;
        let more = json!({"capabilities": ["servers:read", "servers:write"]});
        let patch = async |role: &str, body: &Value| {
            api.ask_as(&eve, Method::PATCH, &format!("roles/{role}"), Some(body.clone())).await
        };
        for role in ["small", "editor"] {
            let reply = patch(role, &more).await;
            assert_eq!(reply.problem(), (403, "forbidden".into()), "{role}");
            assert!(reply.text.contains("hand out `servers:write`"), "{}", reply.text);
        }
        // What they hold, they may give; what nobody has been granted is only a plan.
        let same = json!({"capabilities": ["roles:read", "servers:read"]});
        assert_eq!(patch("small", &same).await.status, 200);
        let plan = json!({"name": "plan", "capabilities": ["servers:write"]});
        assert_eq!(api.ask_as(&eve, Method::POST, "roles", Some(plan)).await.status, 201);
        let grant = json!({"name": "b", "role": "plan", "user": "eve"});
        let reply = api.ask_as(&eve, Method::POST, "role-grants", Some(grant)).await;
        assert_eq!(reply.problem().0, 403);
    }
}
