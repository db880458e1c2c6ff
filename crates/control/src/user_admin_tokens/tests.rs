use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use crate::testing::Api;

#[tokio::test]
async fn a_users_token_shows_once_and_dies_by_itself_or_is_revoked() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        let new = json!({"name": "cli", "lifetime_seconds": 3600});
        let made = api.given("users/ann/admin-tokens", new).await;
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with(super::PREFIX));
        let listed = api.get("users/ann/admin-tokens").await;
        assert!(!listed.text.contains(secret));
        assert_eq!(listed.json()["items"][0], made["token"]);
        let session = api.ask_as(secret, Method::GET, "/session", None).await.json();
        let user = json!({"workspace": "default", "name": "ann", "administers": false});
        assert_eq!(session, json!({"name": "ann/cli", "expires_at": null, "user": user}));
        let first = secret.to_owned();

        let made = api.given("users/ann/admin-tokens", json!({"name": "next"})).await;
        let secret = made["secret"].as_str().unwrap();
        assert_eq!(api.ask_as(secret, Method::GET, "/session", None).await.status, 200);
        assert_eq!(api.delete("users/ann/admin-tokens/next").await.status, 204);
        assert_eq!(api.ask_as(secret, Method::GET, "/session", None).await.status, 401);
        assert_eq!(api.ask_as(&first, Method::GET, "/session", None).await.status, 200);
        api.clock.advance(Duration::from_secs(3600));
        assert_eq!(api.ask_as(&first, Method::GET, "/session", None).await.status, 401);
    }
}

#[tokio::test]
async fn a_session_of_a_user_has_the_rights_of_its_token_and_ends_with_it() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let grants = [("workspace-admin", "server/jira")];
        let kim = api.given_admin("kim", &grants).await;
        let body = json!({ "token": kim }).to_string();
        let request =
            Request::post("/api/v1/session").header(header::CONTENT_TYPE, "application/json");
        let reply = api.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        let look = async |path: &str| {
            let request = Request::get(format!("/api/v1/workspaces/default/{path}"));
            let request = request.header(header::COOKIE, &cookie).body(Body::empty()).unwrap();
            api.send(request).await.status.as_u16()
        };
        assert_eq!(look("servers/jira").await, 200);
        assert_eq!(look("gateways/main").await, 404);
        assert_eq!(api.delete("role-grants/kim-0").await.status, 204);
        assert_eq!(look("servers/jira").await, 404);
        assert_eq!(api.delete("users/kim/admin-tokens/cli").await.status, 204);
        assert_eq!(look("servers/jira").await, 401);
    }
}

#[tokio::test]
async fn who_is_off_or_gone_is_nobody() {
    for api in Api::on_each_database().await {
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let look = async || api.ask_as(&kim, Method::GET, "users", None).await.status;
        assert_eq!(look().await, 200);
        let cut = json!({"kind": "user", "name": "kim"});
        assert_eq!(api.post("cutoffs", cut.clone()).await.status, 200);
        assert_eq!(look().await, 401);
        assert_eq!(api.post("restores", cut).await.status, 200);
        assert_eq!(look().await, 200);
        assert_eq!(api.delete("users/kim").await.status, 204);
        assert_eq!(look().await, 401);
    }
}

#[tokio::test]
async fn a_token_is_no_way_to_more_than_its_maker_holds() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        api.given("users", json!({"name": "bob"})).await;
        let held = ["admin-tokens:read", "admin-tokens:write", "people:read"];
        api.given("roles", json!({"name": "desk", "capabilities": held})).await;
        let eve = api.given_admin("eve", &[("desk", "workspace")]).await;
        let make = async |token: &str, user: &str, body: Value| {
            let path = format!("users/{user}/admin-tokens");
            api.ask_as(token, Method::POST, &path, Some(body)).await
        };
        // Ann becomes more than Eve: what Eve has made for her stays what it was.
        let made = make(&eve, "ann", json!({"name": "a"})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.json()["token"]["capabilities"], json!(held));
        let secret = made.json()["secret"].as_str().unwrap().to_owned();
        let grant = json!({"name": "up", "role": "workspace-admin", "user": "ann"});
        api.given("role-grants", grant).await;
        assert_eq!(api.ask_as(&secret, Method::GET, "users", None).await.status, 200);
        assert_eq!(api.ask_as(&secret, Method::GET, "servers", None).await.status, 403);
        let more = json!({"name": "b", "capabilities": ["servers:write"]});
        assert_eq!(make(&eve, "ann", more.clone()).await.problem(), (403, "forbidden".into()));
        // Nobody without the right makes any, but for themselves.
        let bob = api.given("users/bob/admin-tokens", json!({"name": "c"})).await;
        let bob = bob["secret"].as_str().unwrap().to_owned();
        assert_eq!(make(&bob, "ann", json!({"name": "d"})).await.status, 404);
        assert_eq!(make(&bob, "bob", json!({"name": "d"})).await.status, 201);
        // A small token makes small ones, which live no longer.
        let small = json!({"name": "e", "capabilities": ["admin-tokens:write", "people:read"],
                           "lifetime_seconds": 600});
        let small = make(&bob, "bob", small).await.json();
        let token = small["secret"].as_str().unwrap();
        assert_eq!(make(token, "bob", more).await.problem().0, 403);
        let child = make(token, "bob", json!({"name": "f"})).await.json();
        assert_eq!(child["token"]["capabilities"], small["token"]["capabilities"]);
        assert_eq!(child["token"]["expires_at"], small["token"]["expires_at"]);
    }
}

#[tokio::test]
async fn what_a_user_does_is_recorded_under_the_users_name_and_so_is_what_is_refused() {
    let api = Api::on_sqlite().await;
    let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
    let new = json!({"name": "dev"});
    assert_eq!(api.ask_as(&kim, Method::POST, "teams", Some(new.clone())).await.status, 201);
    assert_eq!(api.ask_as(&kim, Method::POST, "/workspaces", Some(new)).await.status, 403);
    let workspace = api.snapshot().await.config.workspaces["default"].id.0;
    api.control.close().await;
    let texts: Vec<Value> = api
        .log
        .tail(workspace, 100)
        .iter()
        .map(|it| serde_json::from_str(&it.text).unwrap())
        .filter(|it: &Value| it["actor"] == "kim/cli" && it["phase"] != "begun")
        .collect();
    let ends: Vec<(&str, u64)> = texts
        .iter()
        .map(|it| (it["action"].as_str().unwrap(), it["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        ends,
        [("POST /workspaces/{workspace}/teams", 201), ("POST /workspaces", 403)],
        "{texts:?}"
    );
    assert!(texts.iter().all(|it| it["actor_user_id"].is_string()));
}

/// What is of all workspaces is shown to nobody who belongs to one.
#[tokio::test]
async fn a_users_token_is_no_token_of_the_installation() {
    for api in Api::on_each_database().await {
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        for (token, expected) in [(&kim, false), (&api.token, true)] {
            let value = format!("Bearer {token}").parse().unwrap();
            let headers = [(header::AUTHORIZATION, value)].into_iter().collect();
            assert_eq!(api.control.is_admin(&headers).await, expected);
        }
    }
}

/// Whoever has made a token for somebody else may have kept it: it is good for no more than they
/// hold now, and dies with them.
#[tokio::test]
async fn a_token_for_somebody_else_loses_what_its_maker_loses() {
    for api in Api::on_each_database().await {
        api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let held = ["admin-tokens:write", "people:read", "people:write", "servers:read"];
        api.given("roles", json!({"name": "desk", "capabilities": held})).await;
        api.given("roles", json!({"name": "less", "capabilities": ["servers:read"]})).await;
        let eve = api.given_admin("eve", &[("desk", "workspace"), ("less", "workspace")]).await;
        let path = "users/ann/admin-tokens";
        let made = api.ask_as(&eve, Method::POST, path, Some(json!({"name": "kept"}))).await;
        let kept = made.json()["secret"].as_str().unwrap().to_owned();
        let look = async |path: &str| api.ask_as(&kept, Method::GET, path, None).await.status;
        assert_eq!(
            (look("users").await, look("servers").await),
            (200.try_into().unwrap(), 200.try_into().unwrap())
        );
        assert_eq!(api.delete("role-grants/eve-0").await.status, 204);
        assert_eq!(look("users").await, 403);
        assert_eq!(look("servers").await, 200);
        assert_eq!(api.patch("users/eve", json!({"enabled": false})).await.status, 200);
        assert_eq!(look("servers").await, 401);
        assert_eq!(api.patch("users/eve", json!({"enabled": true})).await.status, 200);
        assert_eq!(look("servers").await, 200);
        assert_eq!(api.delete("users/eve").await.status, 204);
        assert_eq!(look("servers").await, 401);
    }
}

#[tokio::test]
async fn what_was_made_with_a_token_is_revoked_with_it() {
    for api in Api::on_each_database().await {
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let make = async |token: &str, name: &str| {
            let path = "users/kim/admin-tokens";
            let made = api.ask_as(token, Method::POST, path, Some(json!({ "name": name }))).await;
            made.json()["secret"].as_str().unwrap().to_owned()
        };
        let child = make(&kim, "child").await;
        let grandchild = make(&child, "grandchild").await;
        let look = async |token: &str| api.ask_as(token, Method::GET, "users", None).await.status;
        assert_eq!(look(&grandchild).await, 200);
        assert_eq!(api.delete("users/kim/admin-tokens/cli").await.status, 204);
        assert_eq!(look(&child).await, 401);
        assert_eq!(look(&grandchild).await, 401);
        let left = api.get("users/kim/admin-tokens").await.json();
        assert_eq!(left["items"], json!([]));
    }
}
