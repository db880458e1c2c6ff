use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use passkeys::testing::Authenticator;
use serde_json::{Value, json};

use crate::testing::{Api, Reply};

mod kept_out;
mod sessions;
mod strangers;

const PASSWORD: &str = "a few plain words";
pub(crate) const ORIGIN: &str = "http://localhost";
const OTHER: &str = "some other plain words";

#[tokio::test]
async fn whoever_holds_the_token_of_the_first_start_makes_the_first_account_and_nobody_else() {
    for api in Api::on_each_database().await {
        assert_eq!(ask(&api, Method::GET, "options", None, "").await.json()["set_up"], true);
        let new = json!({"token": api.token, "name": "ada", "password": PASSWORD});
        let wrong = [
            (json!({"token": "osta_wrong"}), 401),
            (json!({"password": "too short"}), 422),
            (json!({"password": "passwordpassword"}), 422),
            (json!({"name": "no/name"}), 400),
        ];
        for (part, status) in wrong {
            let mut body = new.clone();
            body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            let reply = ask(&api, Method::POST, "set-up", Some(body), "").await;
            assert_eq!(reply.status, status, "{}", reply.text);
            assert_eq!(reply.header("set-cookie"), "");
        }
        let tokens_of_users = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let body = json!({"token": tokens_of_users, "name": "ada", "password": PASSWORD});
        assert_eq!(ask(&api, Method::POST, "set-up", Some(body), "").await.status, 401);

        let made = ask(&api, Method::POST, "set-up", Some(new.clone()), "").await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.json()["name"], "ada");
        let cookie = cookie(&made);
        assert!(cookie.starts_with("ostiary=ostp_"), "{cookie}");
        // It may do whatever an admin token of the installation may.
        assert_eq!(whole(&api, Method::GET, "admin-tokens", None, &cookie).await.status, 200);

        assert_eq!(ask(&api, Method::GET, "options", None, "").await.json()["set_up"], false);
        let other = json!({"token": api.token, "name": "eve", "password": PASSWORD});
        let closed = ask(&api, Method::POST, "set-up", Some(other), "").await;
        assert_eq!(closed.problem(), (409, "conflict".into()));
    }
}

#[tokio::test]
async fn a_password_signs_in_until_another_one_is_set_which_ends_the_other_sessions() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401, "she has no account yet");
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let signed_in = sign_in(&api, "ann", PASSWORD).await;
        let user = json!({"workspace": "default", "name": "ann", "administers": true});
        assert_eq!((signed_in.status.as_u16(), &signed_in.json()["user"]), (201, &user));
        let (own, other) = (cookie(&signed_in), cookie(&sign_in(&api, "ann", PASSWORD).await));
        assert_eq!(
            whole(&api, Method::GET, "workspaces/default/servers", None, &own).await.status,
            200
        );
        let above = whole(&api, Method::GET, "admin-tokens", None, &own).await;
        assert_eq!(above.problem(), (403, "forbidden".into()));
        let account = ask(&api, Method::GET, "account", None, &own).await.json();
        assert_eq!(account["password_set_at"], "2026-01-02T03:04:05Z");
        assert!(!account.to_string().contains("argon2"), "{account}");
        // A token that she makes now came from no other token.
        let made = whole(
            &api,
            Method::POST,
            "workspaces/default/users/ann/admin-tokens",
            Some(json!({"name": "made"})),
            &own,
        )
        .await;
        let made = made.json()["secret"].as_str().unwrap().to_owned();
        assert_eq!(api.ask_as(&made, Method::GET, "/session", None).await.status, 200);

        let set = ask(&api, Method::PUT, "password", Some(new(OTHER)), &own).await;
        assert_eq!(set.status, 200, "{}", set.text);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 200);
        assert_eq!(ask(&api, Method::GET, "account", None, &other).await.status, 401);
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401);
        assert_eq!(sign_in(&api, "ann", OTHER).await.status, 201);

        let out = whole(&api, Method::DELETE, "session", None, &own).await;
        assert_eq!(out.status, 204);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 401);
    }
}

#[tokio::test]
async fn whoever_is_cut_off_or_gone_is_signed_out_and_does_not_sign_in() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        api.given_admin("bea", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        assert_eq!(api.patch("users/ann", json!({"enabled": false})).await.status, 200);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 401);
        let off = sign_in(&api, "ann", PASSWORD).await;
        assert_eq!(off.problem(), (401, "unauthenticated".into()));
        assert_eq!(api.patch("users/ann", json!({"enabled": true})).await.status, 200);
        let same = ask(&api, Method::GET, "account", None, &own).await;
        assert_eq!(same.status, 401, "a session that was ended does not come back");
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        assert_eq!(api.delete("users/ann").await.status, 204);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 401);
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401);
    }
}

#[tokio::test]
async fn a_token_that_is_good_for_less_than_its_user_does_not_become_all_of_them() {
    for api in Api::on_each_database().await {
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let few = json!({"name": "few", "capabilities": ["servers:read"]});
        let few = api.given("users/ann/admin-tokens", few).await;
        let path = "/workspaces/default/users/ann/admin-tokens";
        let by = json!({"name": "by-root"});
        let by = api.ask_as(&root, Method::POST, path, Some(by)).await.json();
        for made in [few, by] {
            let token = made["secret"].as_str().unwrap();
            let body = Some(new(PASSWORD));
            let reply = api.ask_as(token, Method::PUT, "/session/password", body).await;
            assert_eq!(reply.problem(), (403, "forbidden".into()), "{made}");
        }
        let above = api.ask(Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(above.problem(), (409, "conflict".into()), "a token above has no account");
    }
}

/// What is answered does not tell whether there is such a name, nor does how often one may ask.
#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing_of_names() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        api.given_admin("new", &[]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let mut told = Vec::new();
        for name in ["ann", "new", "nobody"] {
            let mut said = Vec::new();
            for _ in 0..6 {
                let reply = sign_in(&api, name, OTHER).await;
                let mut body = reply.json();
                body.as_object_mut().unwrap().remove("request_id");
                said.push((reply.status, body, reply.header("retry-after").to_owned()));
            }
            told.push(said);
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0], told[2]);
        let (status, body, after) = &told[0][5];
        assert_eq!((status.as_u16(), &body["code"]), (429, &json!("too_many_attempts")));
        assert_eq!(after, "20");
        // The right one does not come through either, until there is an attempt again.
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 429);
        api.clock.advance(Duration::from_secs(20));
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 201);
    }
}

#[tokio::test]
async fn failures_are_recorded_of_those_who_exist_and_no_secret_is_in_them() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        for (name, password) in [("ann", OTHER), ("nobody", OTHER), ("ann", PASSWORD)] {
            sign_in(&api, name, password).await;
        }
        api.control.close().await;
        let records = api.get("records").await.json();
        let of_sign_in = |it: &&Value| it["record"]["action"] == "POST /session/password";
        let records: Vec<_> =
            records["items"].as_array().unwrap().iter().filter(of_sign_in).collect();
        let said = |it: &&Value| {
            (
                it["record"]["phase"].clone(),
                it["record"]["actor"].clone(),
                it["record"]["object_name"].clone(),
                it["record"]["code"].clone(),
            )
        };
        let mut said: Vec<_> = records.iter().map(said).collect();
        said.sort_by_key(|it| it.0.to_string());
        let expected = [
            (json!("begun"), json!("ann"), Value::Null, Value::Null),
            (json!("ended"), json!("ann"), Value::Null, Value::Null),
            // She has not done it.
            (json!("refused"), json!("not signed in"), json!("ann"), json!("unauthenticated")),
        ];
        assert_eq!(said, expected);
        let refused = records.iter().find(|it| it["record"]["phase"] == "refused").unwrap();
        assert_eq!(refused["record"].get("actor_id"), None, "{refused}");
        assert_eq!(refused["record"].get("by"), None, "{refused}");
        let all = format!("{records:?}");
        assert!(!all.contains(OTHER) && !all.contains(PASSWORD) && !all.contains("argon2"));
    }
}

#[tokio::test]
async fn nobody_is_signed_in_by_another_site() {
    let api = Api::on_sqlite().await;
    let bodies = [
        ("set-up", json!({"token": api.token, "name": "ada", "password": PASSWORD})),
        ("password", json!({"name": "ada", "password": PASSWORD})),
    ];
    let foreign: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example"), ("host", "ostiary.example")],
    ];
    for (path, body) in &bodies {
        for headers in foreign {
            let mut request = Request::post(format!("/api/v1/session/{path}"))
                .header(header::CONTENT_TYPE, "application/json");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let reply = api.send(request.body(Body::from(body.to_string())).unwrap()).await;
            assert_eq!(reply.problem(), (403, "cross_site".into()), "{path} {headers:?}");
        }
    }
    for (path, body) in bodies {
        assert_eq!(ask(&api, Method::POST, path, Some(body), "").await.status, 201, "{path}");
    }
}

#[tokio::test]
async fn the_first_account_may_have_a_passkey_and_no_password() {
    for api in Api::on_each_database().await {
        let mut holder = Authenticator::new(ORIGIN);
        let body = json!({"token": api.token, "name": "ada"});
        let asked = ask(&api, Method::POST, "set-up/challenge", Some(body.clone()), "").await;
        let credential = holder.make(&asked.json()["options"]);
        let mut new = body;
        let named = json!({"name": "laptop", "credential": credential});
        new["passkey"] = named;
        let made = ask(&api, Method::POST, "set-up", Some(new.clone()), &cookie(&asked)).await;
        let own = cookie(&made);
        let again = ask(&api, Method::POST, "set-up", Some(new), &cookie(&asked)).await;
        assert_eq!(again.status, 409, "there is a first one: {}", again.text);
        let account = ask(&api, Method::GET, "account", None, &own).await.json();
        assert_eq!(account["password_set_at"], Value::Null);
        assert_eq!(account["passkeys"][0]["name"], "laptop");
        let last = ask(&api, Method::DELETE, "passkeys/laptop", None, &own).await;
        assert_eq!(last.problem(), (409, "conflict".into()), "nobody could sign in");

        let signed_in = with_passkey(&api, &mut holder).await;
        assert_eq!((signed_in.status.as_u16(), &signed_in.json()["name"]), (201, &json!("ada")));
        let account = ask(&api, Method::GET, "account", None, &own).await.json();
        assert_eq!(account["passkeys"][0]["used_at"], "2026-01-02T03:04:05Z");
    }
}

#[tokio::test]
async fn a_challenge_is_that_of_one_browser_answered_once_and_not_for_long() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        given_passkey(&api, &token, &mut holder).await;
        assert_eq!(with_passkey(&api, &mut holder).await.status, 201);

        let asked = ask(&api, Method::POST, "challenge", None, "").await;
        let answer = json!({"credential": holder.prove(&asked.json()["options"])});
        let other = ask(&api, Method::POST, "challenge", None, "").await;
        let its = cookie(&other);
        let of_another = ask(&api, Method::POST, "passkey", Some(answer.clone()), &its).await;
        assert_eq!(of_another.problem(), (401, "unauthenticated".into()));
        let without = ask(&api, Method::POST, "passkey", Some(answer.clone()), "").await;
        assert_eq!(without.status, 422);
        let right = ask(&api, Method::POST, "passkey", Some(answer.clone()), &cookie(&asked)).await;
        assert_eq!(right.status, 201, "{}", right.text);
        let twice = ask(&api, Method::POST, "passkey", Some(answer), &cookie(&asked)).await;
        assert_eq!(twice.status, 422, "{}", twice.text);

        let asked = ask(&api, Method::POST, "challenge", None, "").await;
        let answer = json!({"credential": holder.prove(&asked.json()["options"])});
        api.clock.advance(Duration::from_secs(5 * 60));
        let late = ask(&api, Method::POST, "passkey", Some(answer), &cookie(&asked)).await;
        assert_eq!(late.status, 422, "{}", late.text);
    }
}

#[tokio::test]
async fn a_passkey_that_is_removed_signs_nobody_in_and_ends_the_other_sessions() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let mut holder = Authenticator::new(ORIGIN);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        add_passkey(&api, &own, &mut holder).await;
        let lost = cookie(&with_passkey(&api, &mut holder).await);
        let gone = ask(&api, Method::DELETE, "passkeys/phone", None, &own).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 200);
        assert_eq!(ask(&api, Method::GET, "account", None, &lost).await.status, 401);
        assert_eq!(with_passkey(&api, &mut holder).await.status, 401);
        let last = ask(&api, Method::DELETE, "password", None, &own).await;
        assert_eq!(last.problem(), (409, "conflict".into()), "nobody could sign in");
    }
}

#[tokio::test]
async fn a_challenge_for_ones_own_passkey_makes_none_of_somebody_else() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let bea = api.given_admin("bea", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        let asked = as_token(&api, &ann, "passkeys/challenge", ("", None)).await;
        let credential = holder.make(&asked.json()["options"]);
        let body = json!({"name": "mine", "credential": credential});
        let taken = as_token(&api, &bea, "passkeys", (&cookie(&asked), Some(body))).await;
        assert_eq!(taken.status, 422, "{}", taken.text);
    }
}

#[tokio::test]
async fn what_is_dangerous_is_proven_first_where_only_a_cookie_was_shown_for_a_while() {
    for api in Api::on_each_database().await {
        api.given("/workspaces", json!({"name": "brief"})).await;
        let mut holder = Authenticator::new(ORIGIN);
        let made = json!({"token": api.token, "name": "ada", "password": PASSWORD});
        let own = cookie(&ask(&api, Method::POST, "set-up", Some(made), "").await);
        let by_token = json!({"token": api.token});
        let by_token = cookie(&whole(&api, Method::POST, "session", Some(by_token), "").await);
        api.clock.advance(Duration::from_secs(10 * 60));
        let dangerous = async |cookie: &str| {
            let day = "records/content/2026-01-01";
            whole(&api, Method::DELETE, day, None, cookie).await.problem()
        };
        let needed = (403, "step_up_required".to_owned());
        assert_eq!(dangerous(&own).await, needed);
        assert_eq!(dangerous(&by_token).await, needed);
        let grant =
            json!({"name": "g", "role": "workspace-admin", "user": "ann", "on": "workspace"});
        let paths = [
            (Method::DELETE, "workspaces/brief", None),
            (Method::DELETE, "workspaces/default/records/content/2026-01-01", None),
            (Method::POST, "workspaces/default/role-grants", Some(grant)),
            (Method::POST, "workspaces/default/users/ann/admin-tokens", Some(json!({"name": "t"}))),
            (Method::POST, "workspaces/default/apply", Some(json!({"text": ""}))),
            (Method::PATCH, "workspaces/default/roles/keeper", Some(json!({"capabilities": []}))),
            (Method::POST, "workspaces/default/teams", Some(json!({"name": "ops"}))),
            (Method::PATCH, "workspaces/default/teams/dev", Some(json!({"members": ["ann"]}))),
            (Method::PUT, "workspaces/default/teams/dev/members/ann", None),
            (Method::DELETE, "workspaces/default/users/ann/account", None),
            (Method::POST, "workspaces/default/gateways/main/calls", Some(json!({}))),
            (Method::DELETE, "accounts/ada", None),
            (Method::PUT, "session/password", Some(new(OTHER))),
            (Method::DELETE, "session/password", None),
            (Method::POST, "session/passkeys/challenge", None),
            (Method::DELETE, "session/passkeys/phone", None),
        ];
        for (method, path, body) in paths {
            let reply = whole(&api, method.clone(), path, body, &own).await;
            assert_eq!(reply.problem(), needed, "{method} {path}");
        }
        // What is not goes on, and so does whoever sends the token itself.
        assert_eq!(whole(&api, Method::GET, "workspaces", None, &own).await.status, 200);
        assert_eq!(api.delete("/workspaces/brief").await.status, 204);

        let wrong = [
            (new(OTHER), 403, "unproven"),
            (json!({"token": api.token}), 403, "unproven"),
            (json!({}), 422, "invalid"),
        ];
        for (body, status, code) in wrong {
            let reply = ask(&api, Method::POST, "step-up", Some(body), &own).await;
            assert_eq!(reply.problem(), (status, code.into()));
        }
        assert_eq!(dangerous(&own).await, needed);
        let right = ask(&api, Method::POST, "step-up", Some(new(PASSWORD)), &own).await;
        assert_eq!(right.status, 204, "{}", right.text);
        assert_eq!(dangerous(&own).await.0, 404, "there is nothing of that day");
        assert_eq!(dangerous(&by_token).await, needed, "it is another session");
        let again = json!({"token": api.token});
        let right = ask(&api, Method::POST, "step-up", Some(again), &by_token).await;
        assert_eq!(right.status, 204, "{}", right.text);
        assert_eq!(dangerous(&by_token).await.0, 404);

        add_passkey(&api, &own, &mut holder).await;
        api.clock.advance(Duration::from_secs(10 * 60));
        assert_eq!(dangerous(&own).await, needed);
        let asked = ask(&api, Method::POST, "challenge", None, "").await;
        let body = json!({"credential": holder.prove(&asked.json()["options"])});
        let both = format!("{own}; {}", cookie(&asked));
        let right = ask(&api, Method::POST, "step-up", Some(body), &both).await;
        assert_eq!(right.status, 204, "{}", right.text);
        assert_eq!(dangerous(&own).await.0, 404);
    }
}

async fn given_passkey(api: &Api, token: &str, holder: &mut Authenticator) {
    let asked = as_token(api, token, "passkeys/challenge", ("", None)).await;
    let credential = holder.make(&asked.json()["options"]);
    let body = json!({"name": "phone", "credential": credential});
    let made = as_token(api, token, "passkeys", (&cookie(&asked), Some(body))).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

/// Adds one to an account that is signed in to.
pub(crate) async fn add_passkey(api: &Api, own: &str, holder: &mut Authenticator) {
    let asked = ask(api, Method::POST, "passkeys/challenge", None, own).await;
    let credential = holder.make(&asked.json()["options"]);
    let body = json!({"name": "phone", "credential": credential});
    let both = format!("{own}; {}", cookie(&asked));
    let made = ask(api, Method::POST, "passkeys", Some(body), &both).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

pub(crate) async fn with_passkey(api: &Api, holder: &mut Authenticator) -> Reply {
    let asked = ask(api, Method::POST, "challenge", None, "").await;
    let body = json!({"credential": holder.prove(&asked.json()["options"])});
    ask(api, Method::POST, "passkey", Some(body), &cookie(&asked)).await
}

async fn as_token(
    api: &Api,
    token: &str,
    path: &str,
    (cookie, body): (&str, Option<Value>),
) -> Reply {
    let request = Request::post(format!("/api/v1/session/{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ORIGIN, ORIGIN)
        .header(header::COOKIE, cookie);
    let body = body.map_or_else(Body::empty, |it| Body::from(it.to_string()));
    api.send(request.body(body).unwrap()).await
}

pub(crate) fn new(password: &str) -> Value {
    json!({ "password": password })
}

pub(crate) fn cookie(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn sign_in(api: &Api, name: &str, password: &str) -> Reply {
    let body = json!({"workspace": "default", "name": name, "password": password});
    ask(api, Method::POST, "password", Some(body), "").await
}

/// Asks below `/session`, as a browser on one of our own pages does.
pub(crate) async fn ask(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<Value>,
    cookie: &str,
) -> Reply {
    whole(api, method, &format!("session/{path}"), body, cookie).await
}

pub(crate) async fn whole(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<Value>,
    cookie: &str,
) -> Reply {
    api.send(request(method, path, body, cookie)).await
}

pub(crate) fn request(
    method: Method,
    path: &str,
    body: Option<Value>,
    cookie: &str,
) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::COOKIE, cookie)
        .header(header::ORIGIN, ORIGIN)
        .header(header::USER_AGENT, "Mosaic")
        .header("sec-fetch-site", "same-origin");
    let body = body.map_or_else(Body::empty, |it| Body::from(it.to_string()));
    request.body(body).unwrap()
}
