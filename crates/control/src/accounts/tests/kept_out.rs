//! Whoever has been in, and shall not be any more; and whoever would like to be.

use super::super::password::For;
use super::super::{Named, Proof, begin, prove};
use super::*;
use crate::api::ClientAddress;
use crate::session::Device;

const FROM: (uuid::Uuid, &str, Option<std::net::IpAddr>) =
    (uuid::Uuid::nil(), "POST /session/password", None);

#[tokio::test]
async fn an_account_above_all_workspaces_is_shown_and_removed_with_its_sessions() {
    for api in Api::on_each_database().await {
        let made = json!({"token": api.token, "name": "ada", "password": PASSWORD});
        let own = cookie(&ask(&api, Method::POST, "set-up", Some(made), "").await);
        let mut holder = Authenticator::new(ORIGIN);
        add_passkey(&api, &own, &mut holder).await;
        let listed = api.get("/accounts").await.json();
        assert_eq!(listed["items"][0]["name"], "ada", "{listed}");
        assert_eq!(listed["items"][0]["passkeys"][0]["name"], "phone");
        assert!(!listed.to_string().contains("argon2"), "{listed}");
        let ann = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        for (method, path) in [(Method::GET, "/accounts"), (Method::DELETE, "/accounts/ada")] {
            let reply = api.ask_as(&ann, method, path, None).await;
            assert_eq!(reply.problem(), (403, "forbidden".into()));
        }
        assert_eq!(api.delete("/accounts/eve").await.problem(), (404, "not_found".into()));

        assert_eq!(api.delete("/accounts/ada").await.status, 204);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 401);
        assert_eq!(with_passkey(&api, &mut holder).await.status, 401);
        let body = json!({"name": "ada", "password": PASSWORD});
        assert_eq!(ask(&api, Method::POST, "password", Some(body), "").await.status, 401);
        assert_eq!(api.get("/accounts").await.json()["items"], json!([]));
    }
}

/// A token that a program holds would become somebody whom revoking it does not end.
#[tokio::test]
async fn no_token_but_that_of_the_first_start_sets_up_and_that_only_once() {
    for api in Api::on_each_database().await {
        let set_up = async |token: &str| {
            let body = json!({"token": token, "name": "ada", "password": PASSWORD});
            ask(&api, Method::POST, "set-up", Some(body), "").await
        };
        let other = api.control.mint_admin_token("ci").await.unwrap();
        let other = other.expose_text().unwrap().to_owned();
        assert_eq!(set_up(&other).await.problem(), (403, "forbidden".into()));
        let body = json!({"token": other, "name": "ada"});
        let asked = ask(&api, Method::POST, "set-up/challenge", Some(body), "").await;
        assert_eq!(asked.problem(), (403, "forbidden".into()));
        assert_eq!(set_up(&api.token).await.status, 201);

        assert_eq!(api.delete("/accounts/ada").await.status, 204);
        assert_eq!(ask(&api, Method::GET, "options", None, "").await.json()["set_up"], false);
        for token in [&other, &api.token] {
            assert_eq!(set_up(token).await.problem(), (409, "conflict".into()));
        }
        // At the command line it is opened again.
        let again = api.control.mint_set_up_token("again").await.unwrap();
        assert_eq!(ask(&api, Method::GET, "options", None, "").await.json()["set_up"], true);
        assert_eq!(set_up(&other).await.problem(), (403, "forbidden".into()));
        assert_eq!(set_up(again.expose_text().unwrap()).await.status, 201);
    }
}

#[tokio::test]
async fn a_token_of_a_user_makes_the_first_way_in_and_changes_none() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let by_token = async |method: Method, path: &str, body: Option<Value>| {
            api.ask_as(&token, method, &format!("/session/{path}"), body).await
        };
        let set = by_token(Method::PUT, "password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let mut holder = Authenticator::new(ORIGIN);
        add_passkey(&api, &own, &mut holder).await;
        let traded = json!({ "token": token });
        let traded = cookie(&whole(&api, Method::POST, "session", Some(traded), "").await);
        let refused = (403, "forbidden".to_owned());
        for cookie in ["", traded.as_str()] {
            let asked = async |method: Method, path: &str, body: Option<Value>| {
                if cookie.is_empty() && path == "passkeys/challenge" {
                    return as_token(&api, &token, path, ("", None)).await.problem();
                }
                if cookie.is_empty() {
                    return by_token(method, path, body).await.problem();
                }
                ask(&api, method, path, body, cookie).await.problem()
            };
            assert_eq!(asked(Method::PUT, "password", Some(new(OTHER))).await, refused);
            assert_eq!(asked(Method::DELETE, "password", None).await, refused);
            assert_eq!(asked(Method::POST, "passkeys/challenge", None).await, refused);
            assert_eq!(asked(Method::DELETE, "passkeys/phone", None).await, refused);
        }
        // What was asked while there was no way in is not answered with one that adds another.
        let bea = api.given_admin("bea", &[("workspace-admin", "workspace")]).await;
        let mut others = Authenticator::new(ORIGIN);
        let asked = as_token(&api, &bea, "passkeys/challenge", ("", None)).await;
        let credential = others.make(&asked.json()["options"]);
        let set = api.ask_as(&bea, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let body = json!({"name": "phone", "credential": credential});
        let late = as_token(&api, &bea, "passkeys", (&cookie(&asked), Some(body))).await;
        assert_eq!(late.problem(), refused);
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 201);
        assert_eq!(with_passkey(&api, &mut holder).await.status, 201);
    }
}

#[tokio::test]
async fn somebody_who_holds_as_much_resets_an_account_and_nobody_else_does() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        let few = json!({"name": "clerk", "capabilities": ["people:read", "people:write"]});
        api.given("roles", few).await;
        let clerk = api.given_admin("cleo", &[("clerk", "workspace")]).await;
        let path = "users/ann/account";
        let reset = async |token: &str| {
            let path = format!("/workspaces/default/{path}");
            api.ask_as(token, Method::DELETE, &path, None).await
        };
        assert_eq!(reset(&root).await.problem(), (404, "not_found".into()), "there is none");
        let set = api.ask_as(&ann, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let mut holder = Authenticator::new(ORIGIN);
        add_passkey(&api, &own, &mut holder).await;
        let refused = (403, "forbidden".to_owned());
        assert_eq!(reset(&clerk).await.problem(), refused, "she holds more than a clerk");
        assert_eq!(reset(&ann).await.problem(), refused, "her token would be all of her");
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 200);

        let done = reset(&root).await;
        assert_eq!(done.status, 204, "{}", done.text);
        assert_eq!(ask(&api, Method::GET, "account", None, &own).await.status, 401);
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401);
        assert_eq!(with_passkey(&api, &mut holder).await.status, 401);
        // It is made anew as it was made first.
        let lost = api.ask_as(&ann, Method::GET, "/session", None).await;
        assert_eq!(lost.status, 401, "whoever was in the account may have it");
        let ann = api.given("users/ann/admin-tokens", json!({"name": "again"})).await;
        let ann = ann["secret"].as_str().unwrap().to_owned();
        let set = api.ask_as(&ann, Method::PUT, "/session/password", Some(new(OTHER))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        assert_eq!(sign_in(&api, "ann", OTHER).await.status, 201);

        // What a team holds its members hold.
        api.given("teams", json!({"name": "ops", "members": ["cleo"]})).await;
        let grant = json!({"name": "ops", "role": "workspace-admin", "team": "ops"});
        let small = api.given_admin("dan", &[("clerk", "workspace")]).await;
        let set = api.ask_as(&clerk, Method::PUT, "/session/password", Some(new(OTHER))).await;
        assert_eq!(set.status, 200);
        api.given("role-grants", grant).await;
        let whose = "/workspaces/default/users/cleo/account";
        let by_small = api.ask_as(&small, Method::DELETE, whose, None).await;
        assert_eq!(by_small.problem(), refused);
        assert_eq!(api.delete("users/cleo/account").await.status, 204);
    }
}

/// Else they would make the account anew.
#[tokio::test]
async fn whoever_is_in_an_account_that_is_reset_is_out_with_all_they_have_made() {
    for api in Api::on_each_database().await {
        let first = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        let bea = api.given_admin("bea", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&first, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let path = |user: &str| format!("/workspaces/default/users/{user}/admin-tokens");
        let secret = |reply: Reply| reply.json()["secret"].as_str().unwrap().to_owned();
        let make = async |token: &str, user: &str, name: &str| {
            let named = Some(json!({ "name": name }));
            secret(api.ask_as(token, Method::POST, &path(user), named).await)
        };
        let of_root = make(&root, "ann", "by-root").await;

        // Somebody knows her password.
        let intruder = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let by_session = async |user: &str, name: &str| {
            let path = format!("workspaces/default/users/{user}/admin-tokens");
            let named = Some(json!({ "name": name }));
            secret(whole(&api, Method::POST, &path, named, &intruder).await)
        };
        let own = by_session("ann", "quiet").await;
        let of_bea = by_session("bea", "for-bea").await;
        let next = make(&own, "ann", "next").await;
        let after = make(&of_bea, "bea", "after").await;
        let traded = json!({ "token": own });
        let traded = cookie(&whole(&api, Method::POST, "session", Some(traded), "").await);
        let is_in = async |token: &str| {
            api.ask_as(token, Method::GET, "/session", None).await.status.as_u16()
        };
        for token in [&own, &of_bea, &next, &after] {
            assert_eq!(is_in(token).await, 200);
        }

        let reset = "/workspaces/default/users/ann/account";
        let done = api.ask_as(&root, Method::DELETE, reset, None).await;
        assert_eq!(done.status, 204, "{}", done.text);
        for token in [&first, &own, &of_bea, &next, &after] {
            assert_eq!(is_in(token).await, 401);
            let set = api.ask_as(token, Method::PUT, "/session/password", Some(new(OTHER))).await;
            assert_eq!(set.status, 401, "{}", set.text);
            let trade = Some(json!({ "token": token }));
            assert_eq!(whole(&api, Method::POST, "session", trade, "").await.status, 401);
        }
        for cookie in [&intruder, &traded] {
            assert_eq!(whole(&api, Method::GET, "session", None, cookie).await.status, 401);
        }
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401);
        // Nobody else is, and a token that somebody else has made makes no account.
        assert_eq!((is_in(&root).await, is_in(&bea).await), (200, 200));
        let by_root = Some(new(OTHER));
        let refused = api.ask_as(&of_root, Method::PUT, "/session/password", by_root).await;
        assert_eq!(refused.problem(), (403, "forbidden".into()));
    }
}

/// Between the moment in which somebody has proven who they are and the session that begins with it.
#[tokio::test]
async fn what_has_proven_somebody_still_holds_when_the_session_begins() {
    for api in Api::on_each_database().await {
        let app = api.control.app();
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let mut holder = Authenticator::new(ORIGIN);
        add_passkey(&api, &own, &mut holder).await;
        let account = ask(&api, Method::GET, "account", None, &own).await.json();
        let phone = Proof::Passkey(account["passkeys"][0]["id"].as_str().unwrap().parse().unwrap());
        let proven = async || {
            let password = serde_json::from_value(PASSWORD.into()).unwrap();
            let workspace = Some("default".parse().unwrap());
            let named = Named { workspace, name: "ann".parse().unwrap() };
            prove(app, (named, password), (For::Known, (None, None))).await.unwrap()
        };
        let begins = async |proven| {
            let begun = begin(app, (proven, Device::default()), FROM).await;
            begun.map(|it| it.status().as_u16()).map_err(|it| it.to_string())
        };
        assert_eq!(begins(proven().await).await, Ok(201));
        let (by_password, by_passkey) = (proven().await, (proven().await.0, phone));
        assert_eq!(begins(by_passkey.clone()).await, Ok(201));

        api.clock.advance(Duration::from_secs(60));
        let set = ask(&api, Method::PUT, "password", Some(new(OTHER)), &own).await;
        assert_eq!(set.status, 200, "{}", set.text);
        assert!(begins(by_password).await.is_err(), "the password is another one");
        let gone = ask(&api, Method::DELETE, "passkeys/phone", None, &own).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        assert!(begins(by_passkey).await.is_err(), "the passkey is gone");
        let sessions = whole(&api, Method::GET, "sessions", None, &own).await.json();
        assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "{sessions}");
    }
}

#[tokio::test]
async fn a_cut_off_ends_the_sessions_that_were_begun_with_tokens_too() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let traded = json!({ "token": token });
        let traded = cookie(&whole(&api, Method::POST, "session", Some(traded), "").await);
        assert_eq!(whole(&api, Method::GET, "session", None, &traded).await.status, 200);
        assert_eq!(api.patch("users/ann", json!({"enabled": false})).await.status, 200);
        assert_eq!(api.patch("users/ann", json!({"enabled": true})).await.status, 200);
        assert_eq!(whole(&api, Method::GET, "session", None, &traded).await.status, 401);
        assert_eq!(api.ask_as(&token, Method::GET, "/session", None).await.status, 200);
    }
}

/// Where ids are the same, the workspace tells one account from the other.
#[tokio::test]
async fn h159_a_proof_of_another_workspace_proves_nothing() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let account = ask(&api, Method::GET, "account", None, &own).await.json();
        let id: uuid::Uuid = account["id"].as_str().unwrap().parse().unwrap();

        let other = api.given("/workspaces", json!({"name": "other"})).await;
        let other: uuid::Uuid = other["id"].as_str().unwrap().parse().unwrap();
        let bea = api.given_admin_in("other", "bea", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&bea, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let mut tx = api.fresh.db.begin().await.unwrap();
        let same = db::sql("UPDATE accounts SET id = $1 WHERE workspace_id = $2");
        assert_eq!(tx.execute(same.bind(id).bind(other)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let body = json!({"workspace": "other", "name": "bea", "password": PASSWORD});
        let its = cookie(&ask(&api, Method::POST, "password", Some(body), "").await);
        let mut holder = Authenticator::new(ORIGIN);
        add_passkey(&api, &its, &mut holder).await;

        for (whose, status) in [(&own, 403), (&its, 204)] {
            let asked = ask(&api, Method::POST, "challenge", None, "").await;
            let body = json!({"credential": holder.prove(&asked.json()["options"])});
            let both = format!("{whose}; {}", cookie(&asked));
            let proven = ask(&api, Method::POST, "step-up", Some(body), &both).await;
            assert_eq!(proven.status, status, "{}", proven.text);
        }
    }
}

/// What a user is asked for is no account above all workspaces.
#[tokio::test]
async fn a_challenge_of_a_user_makes_no_first_account() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        let asked = as_token(&api, &token, "passkeys/challenge", ("", None)).await;
        let credential = holder.make(&asked.json()["options"]);
        let passkey = json!({"name": "laptop", "credential": credential});
        let body = json!({"token": api.token, "name": "ada", "passkey": passkey});
        let made = ask(&api, Method::POST, "set-up", Some(body), &cookie(&asked)).await;
        assert_eq!(made.problem(), (422, "invalid".into()));
        assert_eq!(ask(&api, Method::GET, "options", None, "").await.json()["set_up"], true);
    }
}

/// A digest of a password, without salt, would be kept for a day.
#[tokio::test]
async fn nothing_is_kept_of_a_request_that_holds_a_password() {
    for api in Api::on_each_database().await {
        let made = json!({"token": api.token, "name": "ada", "password": PASSWORD});
        let own = cookie(&ask(&api, Method::POST, "set-up", Some(made), "").await);
        for (password, status) in [(PASSWORD, 204), (OTHER, 403)] {
            let request = Request::post("/api/v1/session/step-up")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::COOKIE, &own)
                .header("sec-fetch-site", "same-origin")
                .header("idempotency-key", "once");
            let body = Body::from(new(password).to_string());
            let reply = api.send(request.body(body).unwrap()).await;
            assert_eq!(reply.status, status, "{}", reply.text);
        }
        let mut tx = api.fresh.db.read().await.unwrap();
        let statement = db::sql("SELECT workspace_id FROM answers");
        let kept: Vec<(uuid::Uuid,)> = tx.all(statement).await.unwrap();
        assert_eq!(kept, Vec::new());
    }
}

#[tokio::test]
async fn what_browsers_say_of_passkeys_is_short() {
    let api = Api::on_sqlite().await;
    let body = json!({"credential": {"id": "a".repeat(16 * 1024)}});
    let long = ask(&api, Method::POST, "passkey", Some(body), "").await;
    assert_eq!(long.status, 413, "{}", long.text);
}

/// Whoever guesses would otherwise hide what is refused to those who hold something.
#[tokio::test]
async fn what_strangers_try_hides_nothing_of_what_is_done_with_a_credential() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        given_passkey(&api, &token, &mut holder).await;
        let asked = ask(&api, Method::POST, "challenge", None, "").await;
        let old = json!({"credential": holder.prove(&asked.json()["options"])}).to_string();
        for i in 0..210 {
            let from: std::net::IpAddr = format!("192.0.2.{}", i % 3).parse().unwrap();
            let send = async |path: &str, cookie: &str, body: String| {
                let request = Request::post(format!("/api/v1/session/{path}"))
                    .header(header::CONTENT_TYPE, "application/json")
                    .header(header::ORIGIN, ORIGIN)
                    .header("sec-fetch-site", "same-origin")
                    .header(header::COOKIE, cookie)
                    .extension(ClientAddress(from));
                api.send(request.body(Body::from(body)).unwrap()).await
            };
            let asked = cookie(&send("challenge", "", String::new()).await);
            let reply = send("passkey", &asked, old.clone()).await;
            assert_eq!(reply.problem(), (401, "unauthenticated".into()), "{i}");
        }
        let refused = api.ask_as(&token, Method::DELETE, "/accounts/ada", None).await;
        assert_eq!(refused.problem(), (403, "forbidden".into()));
        api.control.close().await;
        let all = api.get("records?limit=200").await.json();
        let records = all["items"].as_array().unwrap();
        let of = |code: &str| records.iter().filter(|it| it["record"]["code"] == code).count();
        assert_eq!(of("forbidden"), 1, "{all}");
        assert!(180 < of("unauthenticated"), "{all}");
    }
}
