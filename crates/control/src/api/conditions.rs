//! `If-Match`, on everything that takes it.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;

use super::tests::routes;
use crate::testing::{Api, Reply};

#[tokio::test]
async fn h166_a_change_of_what_has_changed_meanwhile_is_refused() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        let seen = api.get("users/ann").await.header("etag").to_owned();
        assert_eq!(api.patch("users/ann", json!({"enabled": false})).await.status, 200);
        for method in [Method::PATCH, Method::DELETE] {
            let stale = conditional(&api, method.clone(), &seen).await;
            assert_eq!(stale, (412, "mismatch".to_owned()), "{method}");
        }
        let now = api.get("users/ann").await.header("etag").to_owned();
        assert_ne!(now, seen);
        let fresh = conditional(&api, Method::PATCH, &format!("\"x\", {now}")).await;
        assert_eq!(fresh.0, 200);
        assert_eq!(conditional(&api, Method::DELETE, "*").await.0, 204);
    }
}

#[tokio::test]
async fn h166_every_change_of_what_is_there_takes_a_condition() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}});
        api.given("gateways/main/rules", rule).await;
        api.given_a_limit().await;
        api.given_a_policy().await;
        api.given("users/ann/admin-tokens", json!({"name": "ci"})).await;
        api.given("roles", json!({"name": "keeper", "capabilities": []})).await;
        api.given("role-grants", json!({"name": "given", "role": "keeper", "user": "ann"})).await;
        let before = api.fresh.db.epoch().await.unwrap();
        let changes = [Method::PATCH, Method::PUT, Method::DELETE];
        let mut tried = 0;
        for route in routes().into_iter().filter(|it| changes.contains(&it.method)) {
            // None of them has a state of its own that a change could lose, or that a GET shows.
            let stateless = ["/session", "/account", "/api/v1/admin-tokens", "/records/content/"];
            if stateless.iter().any(|it| route.path.contains(it)) {
                continue;
            }
            let path = route.address("default");
            // What is put into a thing, or taken out of it, is a change of that.
            let thing = ["/members/", "/main/teams/"].iter().find_map(|it| path.split_once(it));
            let thing = thing.map_or(path.as_str(), |it| it.0);
            let thing = if thing.ends_with("/gateways") { "gateways/main" } else { thing };
            let tag = api.get(thing).await.header("etag").to_owned();
            assert!(tag.starts_with('"'), "{path}");
            let cases = [
                ("\"stale\"".to_owned(), (412, "mismatch")),
                (format!("W/{tag}"), (412, "mismatch")),
                (tag.trim_matches('"').to_owned(), (400, "malformed")),
            ];
            for (condition, (status, code)) in cases {
                let reply = conditional_at(&api, (&route.method, &path), &condition).await;
                assert_eq!(reply.problem(), (status, code.into()), "{} {path}", route.method);
            }
            tried += 1;
        }
        assert_eq!(tried, 33);
        assert_eq!(api.fresh.db.epoch().await.unwrap(), before);
        let tag = api.get("teams/dev").await.header("etag").to_owned();
        let own = (&Method::PUT, "/workspaces/default/teams/dev/members/ann");
        assert_eq!(conditional_at(&api, own, &tag).await.status, 200);
    }
}

async fn conditional(api: &Api, method: Method, tag: &str) -> (u16, String) {
    let reply = conditional_at(api, (&method, "/workspaces/default/users/ann"), tag).await;
    if reply.status.is_success() { (reply.status.as_u16(), String::new()) } else { reply.problem() }
}

async fn conditional_at(api: &Api, (method, path): (&Method, &str), tag: &str) -> Reply {
    let body = if *method == Method::PATCH { "{}" } else { "" };
    let request = Request::builder()
        .method(method.clone())
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, tag)
        .body(Body::from(body))
        .unwrap();
    api.send(request).await
}
