//! What only somebody who is signed in can do, with their own account: for the records of it.

use axum::body::Body;
use axum::http::{Method, Request, header};
use passkeys::testing::Authenticator;
use serde_json::{Value, json};

use super::acts::Told;
use crate::testing::{Api, Reply};

const ORIGIN: &str = "http://localhost";

/// Goes through all of it as whoever has this token, and signs in with the passkey.
pub(super) async fn tell(api: &Api, token: &str, password: &str) -> Vec<Told> {
    let mut holder = Authenticator::new(ORIGIN);
    let mut told = Vec::new();
    let new = json!({ "password": password });
    let look = async || ask(api, (token, ""), Method::GET, "account", Value::Null).await;
    assert_eq!(look().await.status, 404, "there is no account yet");
    let put = async |by: (&str, &str)| {
        let set = ask(api, by, Method::PUT, "password", new.clone()).await;
        assert_eq!(set.status, 200, "{}", set.text);
        look().await.json()
    };
    told.push(Told::new("session/password", Value::Null, put((token, "")).await));

    // From now on it takes the account to change it.
    let mut whose = new.clone();
    whose["workspace"] = "default".into();
    whose["name"] = "ann".into();
    let own = cookie(&ask(api, ("", ""), Method::POST, "password", whose).await);
    let asked = ask(api, ("", &own), Method::POST, "passkeys/challenge", Value::Null).await;
    let credential = holder.make(&asked.json()["options"]);
    let body = json!({"name": "phone", "credential": credential});
    let both = format!("{own}; {}", cookie(&asked));
    let made = ask(api, ("", &both), Method::POST, "passkeys", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    told.push(Told::new("session/passkeys", Value::Null, made.json()));

    let asked = ask(api, ("", ""), Method::POST, "challenge", Value::Null).await;
    let credential = json!({"credential": holder.prove(&asked.json()["options"])});
    let done = ask(api, ("", &cookie(&asked)), Method::POST, "passkey", credential).await;
    let own = cookie(&done);
    let proof = ask(api, ("", &own), Method::POST, "step-up", new.clone()).await;
    assert_eq!(proof.status, 204, "{}", proof.text);
    end_sessions(api, (&own, &mut holder), &mut told).await;

    let before = look().await.json();
    let taken = ask(api, ("", &own), Method::DELETE, "password", Value::Null).await;
    assert_eq!(taken.status, 204, "{}", taken.text);
    told.push(Told::new("session/password", before, Value::Null));
    let before = look().await.json();
    told.push(Told::new("session/password", before, put(("", &own)).await));
    let before = look().await.json()["passkeys"][0].clone();
    let gone = ask(api, ("", &own), Method::DELETE, "passkeys/phone", Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    told.push(Told::new("session/passkeys/phone", before, Value::Null));
    told
}

/// One of the others, and then all of them.
async fn end_sessions(api: &Api, (own, holder): (&str, &mut Authenticator), told: &mut Vec<Told>) {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let asked = ask(api, ("", ""), Method::POST, "challenge", Value::Null).await;
        let credential = json!({"credential": holder.prove(&asked.json()["options"])});
        let begun = ask(api, ("", &cookie(&asked)), Method::POST, "passkey", credential).await;
        let all = ask(api, ("", &cookie(&begun)), Method::GET, "../sessions", Value::Null).await;
        let all = all.json()["items"].clone();
        let here = all.as_array().unwrap().iter().find(|it| it["is_current"] == true).unwrap();
        ids.push(here["id"].as_str().unwrap().to_owned());
    }
    let look = async || ask(api, ("", own), Method::GET, "../sessions", Value::Null).await.json();
    assert_eq!(look().await["items"].as_array().unwrap().len(), 4);
    for path in [format!("sessions/{}", ids[0]), "sessions".to_owned()] {
        let called = format!("../{path}");
        let ended = ask(api, ("", own), Method::DELETE, &called, Value::Null).await;
        assert_eq!(ended.status, 204, "{}", ended.text);
        told.push(Told::new(&path, Value::Null, Value::Null));
    }
    assert_eq!(look().await["items"].as_array().unwrap().len(), 1);
}

fn cookie(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn ask(
    api: &Api,
    (token, cookie): (&str, &str),
    method: Method,
    path: &str,
    body: Value,
) -> Reply {
    let mut request =
        Request::builder()
            .method(method)
            .uri(path.strip_prefix("../").map_or_else(
                || format!("/api/v1/session/{path}"),
                |path| format!("/api/v1/{path}"),
            ))
            .header(header::ORIGIN, ORIGIN)
            .header(header::HOST, "localhost")
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/json");
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    api.send(request.body(body).unwrap()).await
}
