use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use futures::future::join_all;
use serde_json::json;

use super::IDEMPOTENCY_KEY;
use crate::testing::{Api, Reply};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_same_request_again_gets_the_very_same_answer_and_does_nothing() {
    for api in Api::on_each_database().await {
        let first = send(&api, "users", "\"k\"", r#"{"name":"ann"}"#).await;
        assert_eq!(first.status, 201);
        let epoch = api.fresh.db.epoch().await.unwrap();
        api.given("users", json!({"name": "bob"})).await;
        assert_eq!(api.delete("users/ann").await.status, 204);
        let moved = api.fresh.db.epoch().await.unwrap();
        assert_ne!(moved, epoch);
        for key in ["\"k\"", "k"] {
            let again = send(&api, "users", key, r#"{"name":"ann"}"#).await;
            assert_eq!((again.status, &again.text), (first.status, &first.text));
            assert_eq!(again.header("content-type"), "application/json");
            assert_eq!(again.header("etag"), first.header("etag"));
        }
        assert_eq!(api.get("users/ann").await.status, 404, "nothing was done again");
        assert_eq!(api.fresh.db.epoch().await.unwrap(), moved);
        api.clock.advance(DAY);
        let later = send(&api, "users", "\"k\"", r#"{"name":"ann"}"#).await;
        assert_eq!(later.status, 201, "after a day the key is free");
        assert_ne!(later.text, first.text);
    }
}

#[tokio::test]
async fn h165_a_key_that_was_used_for_another_request_is_refused() {
    for api in Api::on_each_database().await {
        api.given("/workspaces", json!({"name": "other"})).await;
        assert_eq!(send(&api, "users", "k", r#"{"name":"ann"}"#).await.status, 201);
        let others = [
            ("users", r#"{"name":"bob"}"#),
            ("users", r#"{"name": "ann"}"#),
            ("teams", r#"{"name":"ann"}"#),
        ];
        for (path, body) in others {
            let reply = send(&api, path, "k", body).await;
            assert_eq!(reply.problem(), (409, "other_request".into()), "{path} {body}");
        }
        assert_eq!(api.get("users/bob").await.status, 404);
        // It is another key in another workspace, and for another caller.
        let elsewhere = send(&api, "/workspaces/other/users", "k", r#"{"name":"bob"}"#).await;
        assert_eq!(elsewhere.status, 201);
        let secret = api.control.mint_admin_token("second").await.unwrap();
        let mut other = api;
        other.token = secret.expose_text().unwrap().to_owned();
        assert_eq!(send(&other, "users", "k", r#"{"name":"eve"}"#).await.status, 201);
    }
}

#[tokio::test]
async fn many_of_one_key_at_once_are_done_once() {
    for api in Api::on_each_database().await {
        let sends = (0..16).map(|_| send(&api, "users", "k", r#"{"name":"ann"}"#));
        let replies = join_all(sends).await;
        let (made, told): (Vec<&Reply>, Vec<&Reply>) =
            replies.iter().partition(|it| it.status == 201);
        assert!(!made.is_empty());
        assert!(made.iter().all(|it| it.text == made[0].text));
        for reply in told {
            assert_eq!(reply.problem(), (409, "under_way".into()));
            assert_eq!(reply.header("retry-after"), "1");
        }
        let again = send(&api, "users", "k", r#"{"name":"ann"}"#).await;
        assert_eq!((again.status.as_u16(), &again.text), (201, &made[0].text));
    }
}

#[tokio::test]
async fn what_was_refused_leaves_the_key_free() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        let refused = send(&api, "users", "k", r#"{"name":"ann"}"#).await;
        assert_eq!(refused.problem(), (409, "duplicate".into()));
        assert_eq!(api.delete("users/ann").await.status, 204);
        assert_eq!(send(&api, "users", "k", r#"{"name":"ann"}"#).await.status, 201);
    }
}

#[tokio::test]
async fn an_interrupted_request_is_not_done_again() {
    for api in Api::on_each_database().await {
        // As a process leaves it that ends in between.
        let mut tx = api.fresh.db.begin().await.unwrap();
        assert_eq!(send_into(&api, &mut tx).await, 1);
        tx.commit().await.unwrap();
        let reply = send(&api, "users", "k", r#"{"name":"ann"}"#).await;
        assert_eq!(reply.problem(), (409, "under_way".into()));
        api.clock.advance(Duration::from_secs(6 * 60));
        let reply = send(&api, "users", "k", r#"{"name":"ann"}"#).await;
        assert_eq!(reply.problem(), (409, "conflict".into()));
        assert!(reply.text.contains("interrupted"), "{}", reply.text);
        assert_eq!(api.get("users/ann").await.status, 404);
    }
}

/// Every answer that shows a secret, by the API's own document, is one of these.
#[tokio::test]
async fn a_secret_is_not_kept_for_a_repetition() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        for (path, key) in [("apps/bot/tokens", "k"), ("users/ann/admin-tokens", "l")] {
            let made = send(&api, path, key, r#"{"name":"ci"}"#).await;
            let secret = made.json()["secret"].as_str().unwrap().to_owned();
            let again = send(&api, path, key, r#"{"name":"ci"}"#).await;
            assert_eq!(again.problem(), (409, "conflict".into()));
            assert!(again.text.contains("was done") && !again.text.contains(&secret));
        }
        let mut tx = api.fresh.db.read().await.unwrap();
        let kept: Vec<(Option<Vec<u8>>,)> =
            tx.all(db::sql("SELECT body FROM answers")).await.unwrap();
        assert_eq!(kept, [(None,), (None,)]);
    }
    let document = serde_json::to_value(crate::api::openapi()).unwrap();
    let mut shown = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (status, answer) in item["post"]["responses"].as_object().into_iter().flatten() {
            let name = answer["content"]["application/json"]["schema"]["$ref"].as_str();
            let name = name.and_then(|it| it.rsplit('/').next()).unwrap_or_default();
            if status.starts_with('2')
                && !document["components"]["schemas"][name]["properties"]["secret"].is_null()
            {
                shown.push(path.clone());
            }
        }
    }
    let below = |it: &str| format!("/api/v1/workspaces/{{workspace}}/{it}");
    assert_eq!(shown, [below("apps/{app}/tokens"), below("users/{user}/admin-tokens")]);
}

#[tokio::test]
async fn keys_are_bounded_and_read_strictly() {
    for api in Api::on_each_database().await {
        let long = "k".repeat(256);
        for key in ["", "\"\"", "\"k", "k\"", "\"a\"b\"", "\"a\\b\"", &long] {
            let reply = send(&api, "users", key, r#"{"name":"ann"}"#).await;
            assert_eq!(reply.problem(), (400, "malformed".into()), "{key:?}");
        }
        let two =
            request("users", &api.token).header(IDEMPOTENCY_KEY, "a").header(IDEMPOTENCY_KEY, "b");
        let reply = api.send(two.body(Body::from("{}")).unwrap()).await;
        assert_eq!(reply.problem(), (400, "malformed".into()));
        let large = format!("{{\"name\":\"{}\"}}", "a".repeat(1 << 20));
        assert_eq!(send(&api, "users", "k", &large).await.problem(), (413, "too_large".into()));

        let mut tx = api.fresh.db.begin().await.unwrap();
        let now = domain::Clock::now(&*api.clock);
        let place = |n: u64| super::Place {
            caller: uuid::Uuid::nil(),
            workspace: uuid::Uuid::nil(),
            key: crate::secret::sha256(&n.to_be_bytes()),
            request: [0; 32],
        };
        // What another workspace keeps is neither counted nor deleted, be it older or newer.
        let elsewhere = uuid::Uuid::from_u128(1);
        for n in [0, 1, 98, 99] {
            let place = super::Place { workspace: elsewhere, ..place(n) };
            let at = now + Duration::from_secs(n);
            assert!(super::store::insert(&mut tx, &place, at).await.unwrap());
            let kept = super::Kept { status: 201, media: None, etag: None, body: None };
            super::store::update(&mut tx, &place, kept).await.unwrap();
        }
        for n in 0..25 {
            let at = now + Duration::from_secs(n);
            assert!(super::store::insert(&mut tx, &place(n), at).await.unwrap());
            let kept = super::Kept { status: 201, media: None, etag: None, body: None };
            if n != 0 {
                super::store::update(&mut tx, &place(n), kept).await.unwrap();
            }
            super::store::delete_beyond(&mut tx, &place(n), 10).await.unwrap();
        }
        let left = db::sql(
            "SELECT status FROM answers WHERE workspace_id = $1 ORDER BY created_at, key_hash",
        );
        let others: Vec<(Option<i64>,)> = tx
            .all(db::sql("SELECT status FROM answers WHERE workspace_id = $1").bind(elsewhere))
            .await
            .unwrap();
        assert_eq!(others.len(), 4);
        let left: Vec<(Option<i64>,)> = tx.all(left.bind(uuid::Uuid::nil())).await.unwrap();
        assert_eq!(left.len(), 11, "ten, and what is under way");
        assert_eq!(left[0], (None,));
    }
}

async fn send_into(api: &Api, tx: &mut db::Tx) -> u64 {
    let (caller,): (uuid::Uuid,) =
        tx.optional(db::sql("SELECT id FROM admin_tokens")).await.unwrap().unwrap();
    let (workspace,): (uuid::Uuid,) =
        tx.optional(db::sql("SELECT id FROM workspaces")).await.unwrap().unwrap();
    let request = request("users", &api.token).body(()).unwrap();
    let uri = request.uri().to_string().replace("/api/v1", "");
    let body = br#"{"name":"ann"}"#;
    let place = super::Place {
        caller,
        workspace,
        key: crate::secret::sha256(b"k"),
        request: super::digest(&uri, request.headers(), body),
    };
    u64::from(super::store::insert(tx, &place, domain::Clock::now(&*api.clock)).await.unwrap())
}

fn request(path: &str, token: &str) -> axum::http::request::Builder {
    let path = match path.strip_prefix('/') {
        Some(path) => format!("/api/v1/{path}"),
        None => format!("/api/v1/workspaces/default/{path}"),
    };
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
}

async fn send(api: &Api, path: &str, key: &str, body: &str) -> Reply {
    let request = request(path, &api.token).header(IDEMPOTENCY_KEY, key);
    api.send(request.body(Body::from(body.to_owned())).unwrap()).await
}
