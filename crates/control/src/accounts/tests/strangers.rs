//! How much of this strangers can have, and that they keep nobody out with it.

use super::super::password::For;
use super::super::{passkeys, store};
use super::*;
use crate::api::Error;

#[tokio::test]
async fn whoever_guesses_keeps_nobody_out_who_has_a_passkey_or_a_token() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        given_passkey(&api, &token, &mut holder).await;
        let traded = json!({ "token": token });
        let traded = cookie(&whole(&api, Method::POST, "session", Some(traded), "").await);
        // From the same address, at her name and at many others.
        for i in 0..6 {
            sign_in(&api, "ann", OTHER).await;
            for j in 0..4 {
                sign_in(&api, &format!("n{i}{j}"), OTHER).await;
            }
        }
        assert_eq!(sign_in(&api, "another", OTHER).await.status, 429);
        assert_eq!(with_passkey(&api, &mut holder).await.status, 201);
        let proof = json!({ "token": token });
        let proven = ask(&api, Method::POST, "step-up", Some(proof), &traded).await;
        assert_eq!(proven.status, 204, "{}", proven.text);
    }
}

#[tokio::test]
async fn proofs_of_whoever_is_signed_in_count_apart_from_what_strangers_try() {
    for api in Api::on_each_database().await {
        for name in ["ann", "bea"] {
            let token = api.given_admin(name, &[("workspace-admin", "workspace")]).await;
            let put = (Method::PUT, "/session/password");
            let set = api.ask_as(&token, put.0, put.1, Some(new(PASSWORD))).await;
            assert_eq!(set.status, 200);
        }
        let own = cookie(&sign_in(&api, "ann", PASSWORD).await);
        let of_bea = cookie(&sign_in(&api, "bea", PASSWORD).await);
        let prove = async |cookie: &str, password: &str| {
            let proof = Some(json!({ "password": password }));
            ask(&api, Method::POST, "step-up", proof, cookie).await
        };
        // Strangers use up the address and the name.
        for i in 0..24 {
            sign_in(&api, if i < 6 { "ann" } else { "nobody" }, OTHER).await;
            sign_in(&api, &format!("n{i}"), OTHER).await;
        }
        assert_eq!(sign_in(&api, "bea", PASSWORD).await.status, 429);
        assert_eq!(prove(&own, PASSWORD).await.status, 204);
        // And whoever is in a session does not guess for long, nor at anybody else's expense.
        for _ in 0..9 {
            assert_eq!(prove(&own, OTHER).await.problem(), (403, "unproven".into()));
        }
        let more = prove(&own, PASSWORD).await;
        assert_eq!(more.problem(), (429, "too_many_attempts".into()));
        assert_eq!(prove(&of_bea, PASSWORD).await.status, 204);
        api.clock.advance(Duration::from_secs(20));
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 201, "the counters are others");
        assert_eq!(prove(&own, PASSWORD).await.status, 204);
    }
}

/// Else it could be tried from anywhere, and used from where it may be.
#[tokio::test]
async fn from_where_a_workspace_takes_nothing_a_right_password_is_as_good_as_a_wrong_one() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let set = api.ask_as(&token, Method::PUT, "/session/password", Some(new(PASSWORD))).await;
        assert_eq!(set.status, 200);
        let elsewhere = json!({"addresses": ["192.0.2.0/24"], "force": true});
        let narrowed = api.patch("/workspaces/default", elsewhere).await;
        assert_eq!(narrowed.status, 200, "{}", narrowed.text);
        let mut told = Vec::new();
        for password in [PASSWORD, OTHER] {
            let reply = sign_in(&api, "ann", password).await;
            let mut body = reply.json();
            body.as_object_mut().unwrap().remove("request_id");
            told.push((reply.status.as_u16(), body));
        }
        assert_eq!((told[0].0, &told[0]), (401, &told[1]));
        // Whoever has come no further has not been there before.
        for _ in 2..5 {
            assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 401);
        }
        assert_eq!(sign_in(&api, "ann", PASSWORD).await.status, 429);
        api.control.close().await;
        let records = api.get("records").await.json();
        let is_refused = |it: &&Value| {
            let record = &it["record"];
            record["action"] == "POST /session/password" && record["phase"] == "refused"
        };
        let refused = records["items"].as_array().unwrap().iter().filter(is_refused);
        assert_eq!(refused.count(), 5, "{records}");
    }
}

/// Each question and each answer of a stranger is a write, for which a cut-off might wait.
#[tokio::test]
async fn strangers_write_one_at_a_time_and_keep_out_nobody_who_is_signed_in() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let asked = ask(&api, Method::POST, "challenge", None, "").await;
        let own = as_token(&api, &token, "passkeys/challenge", ("", None)).await;
        let mut holder = Authenticator::new(ORIGIN);
        let credential = holder.make(&own.json()["options"]);
        let named = json!({"name": "phone", "credential": credential});

        let turn = api.control.app().turns.wait(For::Strangers).await.unwrap();
        let more = ask(&api, Method::POST, "challenge", None, "").await;
        assert_eq!(more.problem(), (503, "busy".into()));
        let answer = Some(json!({"credential": {}}));
        let answered = ask(&api, Method::POST, "passkey", answer.clone(), &cookie(&asked)).await;
        assert_eq!(answered.problem(), (503, "busy".into()));
        let kept = as_token(&api, &token, "passkeys", (&cookie(&own), Some(named))).await;
        assert_eq!(kept.status, 201, "{}", kept.text);
        let next = as_token(&api, &token, "passkeys/challenge", ("", None)).await;
        assert_eq!(next.status, 403, "not for want of a turn: {}", next.text);
        drop(turn);
        assert_eq!(ask(&api, Method::POST, "challenge", None, "").await.status, 201);
        let answered = ask(&api, Method::POST, "passkey", answer, &cookie(&asked)).await;
        assert_eq!(answered.status, 401, "it was not taken before: {}", answered.text);
    }
}

#[tokio::test]
async fn what_cannot_be_a_challenge_is_refused_without_a_turn() {
    let api = Api::on_sqlite().await;
    let _turn = api.control.app().turns.wait(For::Strangers).await.unwrap();
    let long = format!("ostq_{}", "a".repeat(44));
    let other = format!("osts_{}", "a".repeat(43));
    for value in ["", "x", "ostq_", &long, &other] {
        let cookie = format!("ostiary-challenge={value}");
        let answer = Some(json!({"credential": {}}));
        let reply = ask(&api, Method::POST, "passkey", answer, &cookie).await;
        assert_eq!(reply.status, 422, "{value}: {}", reply.text);
    }
}

#[tokio::test]
async fn what_nobody_has_answered_is_forgotten_a_few_at_a_time() {
    for api in Api::on_each_database().await {
        let count = async || {
            let mut tx = api.fresh.db.read().await.unwrap();
            let all: Vec<(Vec<u8>,)> =
                tx.all(db::sql("SELECT hash FROM challenges")).await.unwrap();
            all.len()
        };
        for _ in 0..20 {
            assert_eq!(ask(&api, Method::POST, "challenge", None, "").await.status, 201);
        }
        assert_eq!(count().await, 20);
        api.clock.advance(Duration::from_secs(5 * 60));
        for left in [20 - 16 + 1, 2] {
            assert_eq!(ask(&api, Method::POST, "challenge", None, "").await.status, 201);
            assert_eq!(count().await, left);
        }
    }
}

/// The signature is looked at before anybody waits; what it was held against may be old by then.
#[tokio::test]
async fn of_two_answers_that_were_held_against_the_same_count_one_is_good() {
    for api in Api::on_each_database().await {
        let app = api.control.app();
        let token = api.given_admin("ann", &[("workspace-admin", "workspace")]).await;
        let mut holder = Authenticator::new(ORIGIN);
        given_passkey(&api, &token, &mut holder).await;
        let kept = async || {
            let mut tx = api.fresh.db.read().await.unwrap();
            let (workspace, name) = ("default".parse().unwrap(), "ann".parse().unwrap());
            let found = store::find_by_name(&mut tx, Some(&workspace), &name).await.unwrap();
            let account = found.unwrap().0;
            let own = store::passkeys(&mut tx, &account).await.unwrap().pop().unwrap();
            (account, own)
        };
        let (account, held) = kept().await;
        assert_eq!(with_passkey(&api, &mut holder).await.status, 201);
        let (_, used) = kept().await;
        let note = async |held| passkeys::note_use(app, &account, (held, &used.passkey)).await;
        assert!(matches!(note(&held).await, Err(Error::Unauthenticated)), "another came first");
        assert!(note(&used).await.is_ok());
        let by_token = api.ask(Method::DELETE, "users/ann/account", None).await;
        assert_eq!(by_token.status, 204, "{}", by_token.text);
        assert!(matches!(note(&used).await, Err(Error::Unauthenticated)), "it is gone");
    }
}

/// Hashing takes memory and time.
#[tokio::test]
async fn nobody_sets_passwords_as_often_as_they_like() {
    let api = Api::on_sqlite().await;
    api.given_admin("ann", &[]).await;
    let made = json!({"token": api.token, "name": "ada", "password": PASSWORD});
    let own = cookie(&ask(&api, Method::POST, "set-up", Some(made), "").await);
    for _ in 0..10 {
        let refused = ask(&api, Method::PUT, "password", Some(new("too short")), &own).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let more = ask(&api, Method::PUT, "password", Some(new(OTHER)), &own).await;
    assert_eq!(more.problem(), (429, "too_many_attempts".into()));
    assert_eq!(more.header("retry-after"), "20");
    api.clock.advance(Duration::from_secs(20));
    assert_eq!(ask(&api, Method::PUT, "password", Some(new(OTHER)), &own).await.status, 200);
}
