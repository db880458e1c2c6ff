//! How people come in: the first account, passwords, passkeys, and who is kept out.

use chrono::{DateTime, Utc};
use db::{Db, sql};
use passkeys::testing::Authenticator;
use serde_json::{Value, json};
use tests::raw::{Raw, RawAnswer};
use tests::{Served, Site};

/// A browser with one cookie jar, on a page of the gateway's.
struct Browser<'a> {
    served: &'a Served,
    host: String,
    origin: String,
    /// What it says of the body.
    media: &'static str,
    /// Lines of the head that it sends as well.
    more: &'static str,
    cookies: Vec<String>,
}

const PASSWORD: &str = "a few plain words";

#[tokio::test]
async fn an_installation_is_set_up_with_a_passkey_and_entered_with_it_by_nobody_else() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::at(&served);
        assert_eq!(browser.get("session/options").await.1["set_up"], true);
        let mut holder = Authenticator::new(&browser.origin);
        let whose = json!({"token": served.admin(), "name": "ada"});
        let (_, asked) = browser.post("session/set-up/challenge", &whose).await;
        let mut new = whose;
        new["passkey"] = json!({"name": "key", "credential": holder.make(&asked["options"])});
        assert_eq!(browser.post("session/set-up", &new).await.0, 201, "{}", site.database());
        assert_eq!(browser.get("admin-tokens").await.0, 200);
        assert_eq!(browser.get("session/options").await.1["set_up"], false);

        let mut other = Browser::at(&served);
        let (_, asked) = other.post("session/challenge", &Value::Null).await;
        let answer = json!({"credential": holder.prove(&asked["options"])});
        let mut thief = Browser::at(&served);
        assert_eq!(thief.post("session/passkey", &answer).await.0, 422, "it was not asked");
        assert_eq!(other.post("session/passkey", &answer).await.0, 201);
        assert_eq!(other.get("session").await.1["name"], "ada");
        assert_eq!(thief.get("session").await.0, 401);

        // A page of another site gets nobody in.
        let mut foreign = Browser::at(&served);
        "http://evil.example".clone_into(&mut foreign.origin);
        assert_eq!(foreign.post("session/passkey", &answer).await.0, 403);
        served.stop().await;
        // But for the line that shows it once.
        let told = site.words().matches(new["token"].as_str().unwrap()).count();
        assert!(told <= 1, "{}", site.words());
    }
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_and_whoever_is_cut_off_or_gone_is_out() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with("kind: User\nname: ann\n").await;
        let user = json!({"name": "own"});
        let made = served.must(http::Method::POST, "users/ann/admin-tokens", Some(user)).await;
        let token = made["secret"].as_str().unwrap();
        let new = Some(json!({ "password": PASSWORD }));
        let set = served.ask_as(token, http::Method::PUT, "/session/password", new).await;
        assert_eq!(set.status, 200, "{set:?}");
        let sign_in = |name: &str, password: &str| json!({"workspace": "default", "name": name, "password": password});
        let mut browser = Browser::at(&served);
        assert_eq!(browser.post("session/password", &sign_in("ann", PASSWORD)).await.0, 201);
        // What is turned on again has nobody signed in.
        for enabled in [false, true] {
            let switch = Some(json!({ "enabled": enabled }));
            served.must(http::Method::PATCH, "users/ann", switch).await;
            assert_eq!(browser.get("session").await.0, 401, "{enabled}, {}", site.database());
        }
        assert_eq!(browser.post("session/password", &sign_in("ann", PASSWORD)).await.0, 201);
        let mut stranger = Browser::at(&served);
        for name in ["ann", "nobody"] {
            let mut said = Vec::new();
            for _ in 0..6 {
                said.push(stranger.post("session/password", &sign_in(name, "guess")).await.0);
            }
            assert_eq!(said, [401, 401, 401, 401, 401, 429], "{name}");
        }
        assert_eq!(browser.get("session").await.0, 200);
        served.must(http::Method::DELETE, "users/ann", None).await;
        assert_eq!(browser.get("session").await.0, 401, "{}", site.database());
    }
}

#[tokio::test]
async fn what_is_dangerous_is_proven_first_in_a_session_that_has_lasted() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let browser = Browser::administering(&served).await;
        served.must(http::Method::POST, "/workspaces", Some(json!({"name": "brief"}))).await;
        let cookies = browser.cookies;
        assert!(served.stop().await.success());
        let_proofs_lapse(&site).await;
        let served = site.start().await;
        let mut browser = Browser { cookies, ..Browser::at(&served) };
        let (status, said) = browser.ask("DELETE", "workspaces/brief", "").await;
        assert_eq!((status, &said["code"]), (403, &json!("step_up_required")), "{said}");
        assert_eq!(browser.get("workspaces/brief").await.0, 200, "{}", site.database());
        let wrong = json!({"password": "not at all the one"});
        assert_eq!(browser.post("session/step-up", &wrong).await.0, 403);
        assert_eq!(browser.ask("DELETE", "workspaces/brief", "").await.0, 403);
        let right = json!({ "password": PASSWORD });
        assert_eq!(browser.post("session/step-up", &right).await.0, 204);
        assert_eq!(browser.ask("DELETE", "workspaces/brief", "").await.0, 204);
        served.stop().await;
    }
}

#[tokio::test]
async fn h073_a_foreign_origin_signs_nobody_in_and_rides_on_no_cookie() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        let port = served.address.port();
        for origin in [
            "https://evil.example".to_owned(),
            "null".to_owned(),
            format!("http://localhost.evil.example:{port}"),
            format!("http://localhost:{port}.evil.example"),
            // Its twin without, or here with, encryption.
            format!("https://localhost:{port}"),
            // Another program on this machine.
            "http://localhost:1".to_owned(),
            "file://".to_owned(),
        ] {
            browser.origin.clone_from(&origin);
            for (path, body) in doors(&served) {
                assert_eq!(browser.post(path, &body).await.0, 403, "{origin} {path}");
            }
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn h074_a_foreign_host_signs_nobody_in_and_rides_on_no_cookie() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        let port = served.address.port();
        for host in ["attacker.tld".to_owned(), format!("localhost.attacker.tld:{port}")] {
            browser.host.clone_from(&host);
            // As its page would say it.
            browser.origin = format!("http://{host}");
            for (path, body) in doors(&served) {
                assert_eq!(browser.post(path, &body).await.0, 403, "{host} {path}");
            }
            for path in ["session/options", "session", "workspaces/default/records/stream"] {
                assert_eq!(browser.get(path).await.0, 403, "{host} {path}");
            }
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn h075_a_form_signs_nobody_in_and_changes_nothing() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        for media in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
        {
            browser.media = media;
            for (path, body) in doors(&served) {
                let (status, said) = browser.post(path, &body).await;
                assert_eq!((status, &said["code"]), (415, &json!("media_type")), "{media} {path}");
            }
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn h076_another_site_signs_nobody_in_cuts_nothing_off_and_installs_nothing() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        for more in ["sec-fetch-site: cross-site\r\n", "sec-fetch-site: same-site\r\n"] {
            browser.more = more;
            for (path, body) in doors(&served) {
                let (status, said) = browser.post(path, &body).await;
                assert_eq!((status, &said["code"]), (403, &json!("cross_site")), "{more} {path}");
            }
            for path in ["session", "sessions", "workspaces/default"] {
                let (status, said) = browser.ask("DELETE", path, "").await;
                assert_eq!((status, &said["code"]), (403, &json!("cross_site")), "{more} {path}");
            }
        }
        browser.more = "sec-fetch-site: same-origin\r\n";
        assert_eq!(browser.get("session").await.1["name"], "ada", "{}", site.database());
        let servers = served.must(http::Method::GET, "servers", None).await;
        assert_eq!(servers["items"], json!([]));
        served.stop().await;
    }
}

#[tokio::test]
async fn h077_no_page_on_which_somebody_shows_who_they_are_is_framed() {
    let site = Site::new(None);
    let served = site.start().await;
    for path in ["/sign-in", "/set-up", "/account", "/", "/api/v1/session/options"] {
        let mut raw = Raw::connect(served.address).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", served.host())).await;
        let RawAnswer { headers, .. } = raw.answer().await.unwrap();
        let policy = headers.iter().find(|it| it.starts_with("content-security-policy: "));
        let policy = policy.map_or("", String::as_str);
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(headers.contains(&"x-frame-options: DENY".to_owned()), "{path}: {headers:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn h080_another_site_follows_no_records() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        let path = "workspaces/default/records/stream";
        // With its cookie, which `SameSite` keeps from being sent by any browser that knows it.
        browser.origin = "https://evil.example".to_owned();
        assert_eq!(browser.get(path).await.0, 403, "{}", site.database());
        browser.cookies.clear();
        browser.origin = format!("http://{}", browser.host);
        assert_eq!(browser.get(path).await.0, 401, "{}", site.database());
        served.stop().await;
    }
}

/// As time does.
async fn let_proofs_lapse(site: &Site) {
    let file = || format!("sqlite:{}", site.data().join("ostiary.db").display());
    let db = Db::open(&site.url().map_or_else(file, str::to_owned)).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let statement = sql("UPDATE account_sessions SET proven_at = $1");
    tx.execute(statement.bind(DateTime::<Utc>::UNIX_EPOCH)).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
}

/// What another site would like to have done: signing in as somebody, and what a cookie is good for.
fn doors(served: &Served) -> Vec<(&'static str, Value)> {
    let server =
        json!({"name": "evil", "transport": {"type": "http", "url": "https://evil.example/"}});
    vec![
        ("session", json!({"token": served.admin()})),
        ("session/password", json!({"name": "ada", "password": PASSWORD})),
        ("session/set-up", json!({"token": served.admin(), "name": "eve", "password": PASSWORD})),
        ("session/step-up", json!({ "password": PASSWORD })),
        ("workspaces/default/servers", server),
        ("workspaces/default/cutoffs", json!({"kind": "workspace", "reason": "a canary"})),
    ]
}

impl<'a> Browser<'a> {
    fn at(served: &'a Served) -> Self {
        let port = served.address.port();
        let host = format!("localhost:{port}");
        let (origin, media, more) = (format!("http://{host}"), "application/json", "");
        Self { served, host, origin, media, more, cookies: Vec::new() }
    }

    /// In which `ada` is signed in, whose is the first account.
    async fn administering(served: &'a Served) -> Self {
        let mut browser = Self::at(served);
        let new = json!({"token": served.admin(), "name": "ada", "password": PASSWORD});
        assert_eq!(browser.post("session/set-up", &new).await.0, 201);
        browser
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "").await
    }

    async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask("POST", path, &body).await
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let Self { host, origin, media, more, .. } = &*self;
        let (cookies, length) = (self.cookies.join("; "), body.len());
        let mut raw = Raw::connect(self.served.address).await;
        raw.send(format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\n\
             cookie: {cookies}\r\ncontent-type: {media}\r\n{more}\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
        let RawAnswer { status, headers, body } = raw.answer().await.unwrap();
        for line in headers {
            let Some((_, cookie)) = line.split_once("et-cookie: ") else { continue };
            let cookie = cookie.split(';').next().unwrap().to_owned();
            let name = cookie.split_once('=').unwrap().0.to_owned() + "=";
            self.cookies.retain(|it| !it.starts_with(&name));
            self.cookies.push(cookie);
        }
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}
