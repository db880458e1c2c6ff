use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use super::{ADMIN_PREFIX, SESSION_LIFE};
use crate::testing::{Api, Reply};

#[tokio::test]
async fn a_token_is_traded_for_a_cookie_that_dies_by_itself() {
    for api in Api::on_each_database().await {
        assert!(api.token.starts_with(ADMIN_PREFIX));
        let (reply, cookie) = sign_in(&api).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(reply.json(), json!({"name": "first", "expires_at": "2026-01-02T15:04:05Z"}));
        let set = reply.header("set-cookie");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"), "{set}");

        assert_eq!(with_cookie(&api, Method::GET, "session", &cookie, &[]).await.status, 200);
        api.clock.advance(SESSION_LIFE - Duration::from_secs(1));
        assert_eq!(with_cookie(&api, Method::GET, "session", &cookie, &[]).await.status, 200);
        api.clock.advance(Duration::from_secs(1));
        let late = with_cookie(&api, Method::GET, "session", &cookie, &[]).await;
        assert_eq!(late.problem(), (401, "unauthenticated".into()));
    }
}

#[tokio::test]
async fn admin_tokens_are_listed_and_revoked_with_their_sessions() {
    for api in Api::on_each_database().await {
        let (_, cookie) = sign_in(&api).await;
        let other = api.control.mint_admin_token("second").await.unwrap();
        let other = other.expose_text().unwrap().to_owned();
        let listed = at(&api, &other, Method::GET, "admin-tokens").await.json();
        let names: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["first", "second"]);
        assert!(!listed.to_string().contains(ADMIN_PREFIX), "{listed}");
        assert!(listed["items"][0].get("hash").is_none(), "{listed}");

        let gone = at(&api, &other, Method::DELETE, "admin-tokens/third").await;
        assert_eq!(gone.problem(), (404, "not_found".into()));
        assert_eq!(at(&api, &other, Method::DELETE, "admin-tokens/first").await.status, 204);
        // Neither the token nor what was begun with it works any more.
        let first = at(&api, &api.token, Method::GET, "admin-tokens").await;
        assert_eq!(first.problem(), (401, "unauthenticated".into()));
        assert_eq!(with_cookie(&api, Method::GET, "session", &cookie, &[]).await.status, 401);

        let last = at(&api, &other, Method::DELETE, "admin-tokens/second").await;
        assert_eq!(last.problem(), (409, "conflict".into()), "nobody could sign in");
        assert_eq!(at(&api, &other, Method::GET, "admin-tokens").await.status, 200);
    }
}

#[tokio::test]
async fn h159_a_token_of_an_app_lists_and_revokes_no_admin_token() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let made = api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let app = made["secret"].as_str().unwrap();
        api.control.mint_admin_token("second").await.unwrap();
        for (method, path) in
            [(Method::GET, "admin-tokens"), (Method::DELETE, "admin-tokens/second")]
        {
            let reply = at(&api, app, method, path).await;
            assert_eq!(reply.problem(), (401, "unauthenticated".into()));
        }
        // Nor is it one of the installation's, whatever its workspace.
        let id = made["token"]["id"].as_str().unwrap();
        for token in ["ci", id] {
            let path = format!("admin-tokens/{token}");
            let reply = at(&api, &api.token, Method::DELETE, &path).await;
            assert_eq!(reply.problem(), (404, "not_found".into()));
        }
        assert_eq!(api.get("apps/bot/tokens/ci").await.status, 200);
    }
}

#[tokio::test]
async fn a_refusal_has_the_number_under_which_it_is_recorded() {
    let api = Api::on_sqlite().await;
    let refused = api.delete("users/nobody").await;
    let id = refused.json()["request_id"].as_str().unwrap().to_owned();
    // Each request has its own.
    let again = at(&api, "wrong", Method::GET, "admin-tokens").await.json();
    assert!(again["request_id"].is_string() && again["request_id"] != id.as_str(), "{again}");
    let nowhere = api.get("nothing/here").await.json();
    assert!(nowhere["request_id"].is_string(), "{nowhere}");
    api.control.close().await;
    let records = api.get("records").await.json();
    let records = records["items"].as_array().unwrap();
    let acts: Vec<_> = records.iter().map(|it| it["record"]["act"].as_str()).collect();
    assert_eq!(acts, [Some(id.as_str()); 2]);
}

/// Asks with a token, of what belongs to no workspace.
async fn at(api: &Api, token: &str, method: Method, path: &str) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    api.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    for api in Api::on_each_database().await {
        let (_, cookie) = sign_in(&api).await;
        let own = [("sec-fetch-site", "same-origin")];
        let reply = with_cookie(&api, Method::DELETE, "session", &cookie, &own).await;
        assert_eq!(reply.status, 204);
        assert!(reply.header("set-cookie").contains("Max-Age=0"));
        assert_eq!(with_cookie(&api, Method::GET, "session", &cookie, &[]).await.status, 401);
    }
}

#[tokio::test]
async fn a_cookie_changes_nothing_on_behalf_of_another_site() {
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "none")], 403),
        (&[("origin", "http://ostiary.example:8080"), ("host", "ostiary.example:8080")], 200),
        (&[("origin", "http://evil.example"), ("host", "ostiary.example:8080")], 403),
        (&[("origin", "null"), ("host", "ostiary.example:8080")], 403),
        (&[("origin", "http://ostiary.example:8080")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://a"), ("host", "a")], 403),
        (&[], 403),
    ];
    let api = Api::on_sqlite().await;
    api.given("users", json!({"name": "ann"})).await;
    api.given("teams", json!({"name": "dev"})).await;
    let (_, cookie) = sign_in(&api).await;
    let path = "workspaces/default/teams/dev/members/ann";
    for (headers, status) in cases {
        let reply = with_cookie(&api, Method::PUT, path, &cookie, headers).await;
        assert_eq!(reply.status.as_u16(), *status, "{headers:?}: {}", reply.text);
    }
    // Reading is harmless: the answer is for our own pages only.
    let read = with_cookie(&api, Method::GET, "workspaces", &cookie, &[]).await;
    assert_eq!(read.status, 200);
}

#[tokio::test]
async fn credentials_that_are_none() {
    let api = Api::on_sqlite().await;
    let (_, cookie) = sign_in(&api).await;
    let value = cookie.split_once('=').unwrap().1.to_owned();
    let cases = [
        format!("ostiary={value}x"),
        format!("ostiary={}", api.token),
        format!("__Host-ostiary={value}"),
        format!("ostiary={value}; ostiary={value}"),
        format!("ostiary=planted; ostiary={value}"),
        "ostiary=".to_owned(),
        "ostiary".to_owned(),
    ];
    for cookie in cases {
        let reply = with_cookie(&api, Method::GET, "session", &cookie, &[]).await;
        assert_eq!(reply.status, 401, "{cookie}");
    }
    let others = format!("theme=dark; {cookie}; x=y");
    assert_eq!(with_cookie(&api, Method::GET, "session", &others, &[]).await.status, 200);

    // A wrong token is not made good by a right cookie, nor is a cookie a token.
    let wrong = [("authorization", "Bearer wrong")];
    assert_eq!(with_cookie(&api, Method::GET, "session", &cookie, &wrong).await.status, 401);
    let bearer = format!("Bearer {value}");
    let as_token = [("authorization", bearer.as_str())];
    assert_eq!(with_cookie(&api, Method::GET, "session", "", &as_token).await.status, 401);
}

#[tokio::test]
async fn signing_in_is_refused_without_the_token() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    let app_token = api.given("apps/bot/tokens", json!({"name": "ci"})).await;
    let cases = [
        (json!({"token": ""}), 401),
        (json!({"token": format!("{} ", api.token)}), 401),
        (json!({"token": app_token["secret"]}), 401),
        (json!({"token": null}), 400),
        (json!({}), 400),
        (json!({"token": api.token, "admin": true}), 400),
    ];
    for (body, status) in cases {
        let reply = post_session(&api, &body.to_string(), &[]).await;
        assert_eq!(reply.status, status, "{body}");
        assert_eq!(reply.header("set-cookie"), "");
    }
    let body = json!({"token": api.token}).to_string();
    let foreign = post_session(&api, &body, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(foreign.problem(), (403, "cross_site".into()));
    // Nothing of what strangers send is in the log.
    let mut records = api.log.tail(crate::trail::INSTALLATION, 100);
    records.retain(|it| !it.text.contains("\"first start\""));
    assert!(records.is_empty(), "{records:?}");
}

#[tokio::test]
async fn more_admin_tokens_can_be_minted() {
    for api in Api::on_each_database().await {
        let second = api.control.mint_admin_token("ci").await.unwrap();
        let again = api.control.mint_admin_token("ci").await.unwrap_err();
        assert_eq!(again.to_string(), "there is an admin token `ci` already");
        let bearer = format!("Bearer {}", second.expose_text().unwrap());
        let reply =
            with_cookie(&api, Method::GET, "session", "", &[("authorization", &bearer)]).await;
        assert_eq!(reply.json(), json!({"name": "ci", "expires_at": null}));
    }
}

async fn sign_in(api: &Api) -> (Reply, String) {
    let reply = post_session(api, &json!({"token": api.token}).to_string(), &[]).await;
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    (reply, cookie)
}

async fn post_session(api: &Api, body: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request =
        Request::post("/api/v1/session").header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn with_cookie(
    api: &Api,
    method: Method,
    path: &str,
    cookie: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header(header::COOKIE, cookie);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(Body::empty()).unwrap()).await
}

/// What goes on by a session ends with it.
#[tokio::test]
async fn signing_out_ends_the_streams_of_the_session() {
    for api in Api::on_each_database().await {
        let (_, cookie) = sign_in(&api).await;
        let request = Request::get("/api/v1/workspaces/default/records/stream")
            .header(header::COOKIE, &cookie)
            .body(Body::empty())
            .unwrap();
        let response = api.control.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut events = response.into_body();
        let opening = events.frame().await.unwrap().unwrap();
        assert_eq!(opening.data_ref().unwrap(), ": open\n\n");
        let own = [("sec-fetch-site", "same-origin")];
        let reply = with_cookie(&api, Method::DELETE, "session", &cookie, &own).await;
        assert_eq!(reply.status, 204);
        api.given("users", json!({"name": "unseen"})).await;
        let mut text = Vec::new();
        while let Some(frame) = events.frame().await {
            text.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        assert!(!String::from_utf8(text).unwrap().contains("unseen"));
    }
}
