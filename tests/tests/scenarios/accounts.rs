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

const FROM: [&str; 6] = [
    "",
    "x-forwarded-for: 203.0.113.1\r\n",
    "x-forwarded-for: 203.0.113.2\r\n",
    "forwarded: for=203.0.113.3\r\n",
    "x-forwarded-for: 203.0.113.4\r\n",
    "x-forwarded-for: 203.0.113.5\r\n",
];

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

        // Nothing is told of what strangers send, however wrong it is.
        let mut wrong = answer.clone();
        wrong["credential"]["response"]["clientDataJSON"] = "bm90LXRvLWJlLWxvZ2dlZA".into();
        wrong["credential"]["response"]["signature"] = "bm90LXRvLWJlLWxvZ2dlZA".into();
        thief.post("session/challenge", &Value::Null).await;
        assert_eq!(thief.post("session/passkey", &wrong).await.0, 401);
        let long = json!({"credential": {"id": "a".repeat(16 * 1024)}});
        assert_eq!(thief.post("session/passkey", &long).await.0, 413);

        // A page of another site gets nobody in.
        let mut foreign = Browser::at(&served);
        "http://evil.example".clone_into(&mut foreign.origin);
        assert_eq!(foreign.post("session/passkey", &answer).await.0, 403);
        served.stop().await;
        // But for the line that shows it once.
        let told = site.words().matches(new["token"].as_str().unwrap()).count();
        assert!(told <= 1, "{}", site.words());
        for sent in ["bm90LXRvLWJlLWxvZ2dlZA", "not-to-be-logged"] {
            assert!(!site.words().contains(sent), "{}", site.words());
        }
    }
}

#[tokio::test]
async fn an_account_above_all_workspaces_is_removed_by_a_command_and_made_anew_by_no_other_token() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start().await;
        let mut browser = Browser::administering(&served).await;
        let listed = site.command(&served, &["account", "list", "--json"]).await;
        assert!(listed.out.contains(r#""name":"ada""#), "{row}: {}", listed.out);
        let removed = site.command(&served, &["account", "remove", "ada"]).await;
        assert_eq!(removed.code, Some(0), "{row}: {}", removed.err);
        assert_eq!(browser.get("session").await.0, 401, "{row}");
        assert_eq!(browser.get("session/options").await.1["set_up"], false, "{row}");
        let new = |token: &str| json!({"token": token, "name": "ada", "password": PASSWORD});
        let spent = browser.post("session/set-up", &new(served.admin())).await;
        assert_eq!(spent.0, 409, "{row}: {}", spent.1);
        assert!(served.stop().await.success());

        let data = site.data();
        let mint = async |words: &[&str]| {
            let words = [&["admin-token", "--data", data.to_str().unwrap()], words].concat();
            let (code, said) = site.run(&words).await;
            assert_eq!(code, Some(0), "{row}: {said}");
            said.lines().find(|it| it.starts_with("osta_")).unwrap().to_owned()
        };
        let (program, again) = (mint(&["ci"]).await, mint(&["--set-up", "again"]).await);
        let served = site.start().await;
        let mut browser = Browser::at(&served);
        for (token, status) in [(&program, 403), (&again, 201)] {
            let made = browser.post("session/set-up", &new(token)).await;
            assert_eq!(made.0, status, "{row}: {}", made.1);
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn a_token_takes_no_account_over_and_who_has_lost_it_is_helped() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start_with("kind: User\nname: ann\n").await;
        let user = json!({"name": "own"});
        let made = served.must(http::Method::POST, "users/ann/admin-tokens", Some(user)).await;
        let token = made["secret"].as_str().unwrap();
        let put = async |password: &str| {
            let new = Some(json!({ "password": password }));
            served.ask_as(token, http::Method::PUT, "/session/password", new).await.status
        };
        assert_eq!(put(PASSWORD).await, 200, "{row}");
        assert_eq!(put("of whoever has the token").await, 403, "{row}");
        let gone = served.ask_as(token, http::Method::DELETE, "/session/password", None).await;
        assert_eq!(gone.status, 403, "{row}");
        let passkey = Some(json!({"name": "key", "credential": {}}));
        let added = served.ask_as(token, http::Method::POST, "/session/passkeys", passkey).await;
        assert!((400..500).contains(&added.status), "{row}: {added:?}");

        let own = json!({"workspace": "default", "name": "ann", "password": PASSWORD});
        let mut browser = Browser::at(&served);
        assert_eq!(browser.post("session/password", &own).await.0, 201, "{row}");
        let mut traded = Browser::at(&served);
        assert_eq!(traded.post("session", &json!({ "token": token })).await.0, 201, "{row}");
        let reset = site.command(&served, &["user", "reset-account", "ann"]).await;
        assert_eq!(reset.code, Some(0), "{row}: {}", reset.err);
        assert_eq!(browser.get("session").await.0, 401, "{row}");
        assert_eq!(browser.post("session/password", &own).await.0, 401, "{row}");
        assert_eq!(put("another one of hers").await, 401, "whoever was in may have it; {row}");
        assert_eq!(traded.get("session").await.0, 401, "{row}");

        // What is begun with the next token does not outlast a cut-off.
        let anew = site.command(&served, &["user-token", "create", "--user", "ann"]).await;
        assert_eq!(anew.code, Some(0), "{row}: {}", anew.err);
        let token = anew.out.trim();
        let new = Some(json!({ "password": PASSWORD }));
        let set = served.ask_as(token, http::Method::PUT, "/session/password", new).await;
        assert_eq!(set.status, 200, "{row}: {set:?}");
        assert_eq!(traded.post("session", &json!({ "token": token })).await.0, 201, "{row}");
        assert_eq!(traded.get("session").await.0, 200, "{row}");
        for enabled in [false, true] {
            let switch = Some(json!({ "enabled": enabled }));
            served.must(http::Method::PATCH, "users/ann", switch).await;
            assert_eq!(traded.get("session").await.0, 401, "{enabled}, {row}");
        }
        served.stop().await;
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
            for more in FROM {
                // Wherever it says that it comes from: no proxy is trusted here.
                stranger.more = more;
                said.push(stranger.post("session/password", &sign_in(name, "guess")).await.0);
            }
            assert_eq!(said, [401, 401, 401, 401, 401, 429], "{name}");
        }
        assert_eq!(browser.get("session").await.0, 200);
        served.must(http::Method::DELETE, "users/ann", None).await;
        assert_eq!(browser.get("session").await.0, 401, "{}", site.database());
        served.stop().await;
        let warned = site.words().matches("which the configuration does not trust").count();
        assert_eq!(warned, 1, "{}", site.words());
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
        // What changes who is granted what is, by whichever way.
        let ways = [
            ("PATCH", "roles/reader", r#"{"capabilities":["people:write"]}"#),
            ("POST", "teams", r#"{"name":"ops"}"#),
            ("PATCH", "teams/ops", r#"{"members":["ann"]}"#),
            ("PUT", "teams/ops/members/ann", ""),
        ];
        for (method, path, body) in ways {
            let path = format!("workspaces/default/{path}");
            let (status, said) = browser.ask(method, &path, body).await;
            assert_eq!((status, &said["code"]), (403, &json!("step_up_required")), "{path}");
        }
        // Nothing is kept of a request with a password: the answer is to what stands in it.
        browser.more = "idempotency-key: once\r\n";
        let wrong = json!({"password": "not at all the one"});
        assert_eq!(browser.post("session/step-up", &wrong).await.0, 403);
        assert_eq!(browser.ask("DELETE", "workspaces/brief", "").await.0, 403);
        let right = json!({ "password": PASSWORD });
        assert_eq!(browser.post("session/step-up", &right).await.0, 204);
        assert_eq!(browser.post("session/step-up", &wrong).await.0, 403);
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
