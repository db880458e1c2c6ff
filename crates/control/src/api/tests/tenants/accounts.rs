//! Accounts and sessions in a workspace beside one whose rows have the same ids: whatever is done with
//! the one is done as if the other were not there, and leaves that as it is.

use std::time::Duration;

use axum::http::Method;
use db::sql;
use http_body_util::BodyExt as _;
use passkeys::testing::Authenticator;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::world::World;
use super::{is_unchanged, rows};
use crate::accounts::tests::{ORIGIN, add_passkey, ask, cookie, new, request, whole, with_passkey};
use crate::testing::{Api, Reply};

/// What the workspace is filled with.
const PASSWORD: &str = "a few plain words plain";
const OTHER: &str = "some other plain words";

#[tokio::test]
async fn h159_an_account_is_that_of_one_workspace() {
    for world in World::on_each_database().await {
        let api = &world.api;
        let mut holder = Authenticator::new(ORIGIN);
        let own = cookie(&sign_in(api, PASSWORD).await);
        add_passkey(api, &own, &mut holder).await;
        let lost = cookie(&with_passkey(api, &mut holder).await);
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        let unchanged = async || is_unchanged(&before, &rows::of(api, twin).await);
        let account = ask(api, Method::GET, "account", None, &own).await;
        assert_eq!(account.status, 200, "{}", account.text);
        assert_eq!(account.json()["passkeys"].as_array().unwrap().len(), 1, "{}", account.text);
        let again = sign_in(api, PASSWORD).await;
        assert_eq!((again.status.as_u16(), named(&again)), (201, "ann".into()), "{}", again.text);
        let with = with_passkey(api, &mut holder).await;
        assert_eq!((with.status.as_u16(), named(&with)), (201, "ann".into()), "{}", with.text);
        let theirs = json!({"workspace": "default", "name": "canary-ann", "password": PASSWORD});
        let theirs = ask(api, Method::POST, "password", Some(theirs), "").await;
        assert_eq!(theirs.status, 401, "by the name that the user has elsewhere");
        unchanged().await;

        api.clock.advance(Duration::from_secs(10 * 60));
        let proven = ask(api, Method::POST, "step-up", Some(new(PASSWORD)), &own).await;
        assert_eq!(proven.status, 204, "{}", proven.text);
        unchanged().await;
        let gone = ask(api, Method::DELETE, "password", None, &own).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        unchanged().await;
        assert_eq!(ask(api, Method::GET, "account", None, &lost).await.status, 401);
        let set = ask(api, Method::PUT, "password", Some(new(OTHER)), &own).await;
        assert_eq!(set.status, 200, "{}", set.text);
        unchanged().await;
        let gone = ask(api, Method::DELETE, "passkeys/phone", None, &own).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        unchanged().await;
        let last = ask(api, Method::DELETE, "password", None, &own).await;
        assert_eq!(last.problem(), (409, "conflict".into()), "the passkey is the twin's");
    }
}

#[tokio::test]
async fn h159_sessions_are_those_of_one_workspace() {
    for world in World::on_each_database().await {
        let api = &world.api;
        let [own, other] = [sign_in(api, PASSWORD).await, sign_in(api, PASSWORD).await];
        let [own, other] = [cookie(&own), cookie(&other)];
        let body = json!({"token": world.ours.member});
        let by_token = whole(api, Method::POST, "session", Some(body.clone()), "").await;
        let by_token = cookie(&by_token);
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        let list = async || {
            let reply = whole(api, Method::GET, "sessions", None, &own).await;
            reply.json()["items"].as_array().unwrap().clone()
        };
        let all = list().await;
        assert_eq!(all.len(), 2, "{all:?}");
        api.clock.advance(Duration::from_secs(10 * 60));
        let proven = ask(api, Method::POST, "step-up", Some(body.clone()), &by_token).await;
        assert_eq!(proven.status, 204, "{}", proven.text);
        // It is noted when it was used last.
        whole(api, Method::GET, "sessions", None, &other).await;
        is_unchanged(&before, &rows::of(api, twin).await);

        let path = world.ours.at("changes/stream");
        let stream = request(Method::GET, path.trim_start_matches('/'), None, &other);
        let mut events = api.control.router().oneshot(stream).await.unwrap().into_body();
        let here = list().await.into_iter().find(|it| it["is_current"] == false).unwrap();
        let path = format!("sessions/{}", here["id"].as_str().unwrap());
        assert_eq!(whole(api, Method::DELETE, &path, None, &own).await.status, 204);
        // The twin's session of the same id does not keep this one's stream open.
        let end = async { while events.frame().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(30), end).await.expect("the stream ends");
        assert_eq!(list().await.len(), 1);
        is_unchanged(&before, &rows::of(api, twin).await);

        let again = whole(api, Method::POST, "session", Some(body), "").await;
        assert_eq!(again.status, 201, "{}", again.text);
        cookie(&sign_in(api, PASSWORD).await);
        assert_eq!(whole(api, Method::DELETE, "sessions", None, &own).await.status, 204);
        assert_eq!(list().await.len(), 1);
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

/// Users have accounts, and there is none above all workspaces.
#[tokio::test]
async fn h159_an_account_of_a_workspace_is_none_above_it() {
    for world in World::on_each_database().await {
        let api = &world.api;
        let options = ask(api, Method::GET, "options", None, "").await;
        assert_eq!(options.json()["set_up"], true, "{}", options.text);
        assert_eq!(api.get("/accounts").await.json()["items"], json!([]));
        let mut tx = api.fresh.db.read().await.unwrap();
        let all: Vec<(Uuid,)> = tx.all(sql("SELECT id FROM accounts")).await.unwrap();
        drop(tx);
        assert!(!all.is_empty());
        for (id,) in all {
            let gone = api.delete(&format!("/accounts/{id}")).await;
            assert_eq!(gone.problem(), (404, "not_found".into()));
        }
    }
}

/// Whoever resets an account holds as much as its user: that the user is in more teams elsewhere is nothing
/// to them.
#[tokio::test]
async fn h159_who_may_reset_an_account_is_decided_in_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        api.given(&ours.at("teams"), json!({"name": "empty"})).await;
        let grant = json!({"name": "empty", "role": "workspace-admin", "team": "empty",
                           "on": "workspace"});
        api.given(&ours.at("role-grants"), grant).await;
        let role = json!({"name": "helper", "capabilities": ["people:read", "people:write"]});
        api.given(&ours.at("roles"), role).await;
        let helper = api.given_admin_in(ours.name, "helen", &[("helper", "workspace")]).await;
        let carl = api.given_admin_in(ours.name, "carl", &[]).await;
        let set = api.ask_as(&carl, Method::PUT, "/session/password", Some(new(OTHER))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        world.twin_of_ours(true).await;
        let path = ours.at("users/carl/account");
        let reply = api.ask_as(&helper, Method::DELETE, &path, None).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }
}

/// Not by one of another workspace that has its id.
#[tokio::test]
async fn h159_a_session_is_proven_by_its_own_token() {
    for world in World::on_each_database().await {
        let World { api, ours, theirs } = &world;
        let body = json!({"token": ours.member});
        let own = cookie(&whole(api, Method::POST, "session", Some(body), "").await);
        let twin = world.twin_of_ours(true).await;
        let hash = crate::secret::sha256(theirs.member.as_bytes());
        let steps = [
            ("DELETE FROM user_admin_tokens WHERE hash = $1", None),
            (
                "UPDATE user_admin_tokens SET hash = $1
                 WHERE workspace_id = $2 AND name = 'canary-own'",
                Some(twin),
            ),
        ];
        for (text, of) in steps {
            let statement = sql(text).bind(hash.to_vec());
            let statement = of.into_iter().fold(statement, db::Sql::bind);
            let mut tx = api.fresh.db.begin().await.unwrap();
            assert_eq!(tx.execute(statement).await.unwrap(), 1, "{text}");
            tx.commit().await.unwrap();
        }
        api.clock.advance(Duration::from_secs(10 * 60));
        let body = json!({"token": theirs.member});
        let reply = ask(api, Method::POST, "step-up", Some(body), &own).await;
        assert_eq!(reply.problem(), (403, "unproven".into()));
    }
}

/// By whoever administers them: the user's sessions end, the account goes, the user is off.
#[tokio::test]
async fn h159_who_is_kept_out_of_one_workspace_is_not_kept_out_of_another() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let own = cookie(&sign_in(api, PASSWORD).await);
        let body = json!({"token": ours.member});
        let by_token = cookie(&whole(api, Method::POST, "session", Some(body), "").await);
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        for is_on in [false, true] {
            let reply = api.patch(&ours.at("users/ann"), json!({"enabled": is_on})).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
        for cookie in [&own, &by_token] {
            let gone = whole(api, Method::GET, "session", None, cookie).await;
            assert_eq!(gone.status, 401, "{}", gone.text);
        }
        assert_eq!(api.delete(&ours.at("users/ann/account")).await.status, 204);
        assert_eq!(api.delete(&ours.at("users/ann/account")).await.status, 404);
        assert_eq!(sign_in(api, PASSWORD).await.status, 401);
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

/// As ann, who holds no role.
async fn sign_in(api: &Api, password: &str) -> Reply {
    let body = json!({"workspace": "default", "name": "ann", "password": password});
    ask(api, Method::POST, "password", Some(body), "").await
}

/// Who has been signed in.
fn named(reply: &Reply) -> Value {
    reply.json()["user"]["name"].clone()
}
