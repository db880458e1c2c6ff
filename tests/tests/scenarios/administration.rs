//! The admin API among hostile clients, through the running binary, on both databases.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tests::line::Line;
use tests::{Documents, Served, Site};

/// An answer with its entity tag.
struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

async fn sites() -> Vec<Site> {
    Site::on_each(db::testing::postgres_url().await)
}

/// Ann's app on a gateway with a server, which has an identity of hers.
fn world() -> Documents {
    Documents::of("files", "https://files.example/mcp").identity("key", "files", Some("ann"))
}

/// With these headers, as the administrator.
async fn send(
    served: &Served,
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/workspaces/default/{path}"))
        .header("host", served.host())
        .header("authorization", format!("Bearer {}", served.admin()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = Bytes::from(body.unwrap_or_default().to_owned());
    let request = request.body(Full::new(body)).unwrap();
    let response = Line::to(served.address).open(request).await.unwrap();
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").map(|it| it.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, etag, body: serde_json::from_slice(&body).unwrap_or_default() }
}

/// As it stands in an address, every byte of it.
fn percent(text: &str) -> String {
    text.bytes().map(|it| format!("%{it:02X}")).collect()
}

async fn names(served: &Served, path: &str) -> Vec<String> {
    let page = served.must(Method::GET, path, None).await;
    let items = page["items"].as_array().unwrap();
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn h158_what_is_searched_for_is_data_and_no_statement() {
    let terms = [
        "' OR 1=1 --",
        "'; DROP TABLE users; --",
        "%",
        "_",
        "*",
        ".*",
        "(a+)+$",
        "\\",
        "\u{0}",
        "\u{202e}nna",
        "$1",
        "{{7*7}}",
        "0x27",
    ];
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let export = send(&served, (Method::GET, "export"), &[], None).await;
        assert_eq!(export.status, 200);
        let long = "a".repeat(6_000);
        for term in terms.into_iter().chain([long.as_str()]) {
            let term = percent(term);
            for path in [
                format!("pins?name={term}"),
                format!("pins?server={term}"),
                format!("users/{term}"),
                format!("servers/{term}"),
                format!("apps/{term}/tokens/{term}"),
                format!("users?cursor={term}"),
                format!("why?user={term}&capability=servers:read"),
                format!("records?cursor={term}"),
            ] {
                let reply = served.ask(Method::GET, &path, None).await;
                let finds_nothing = match reply.status {
                    200 => reply.body == json!({"items": []}),
                    400 | 404 | 414 | 422 | 431 => true,
                    _ => false,
                };
                assert!(finds_nothing, "{} {path}: {reply:?}", site.database());
            }
        }
        // A cursor that is well formed and says something else begins after that, and no more.
        for after in ["' OR 1=1 --", "%", "zzz"] {
            let cursor = URL_SAFE_NO_PAD.encode(after);
            let found = names(&served, &format!("users?cursor={cursor}")).await;
            let expected: &[&str] = if after == "zzz" { &[] } else { &["ann"] };
            assert_eq!(found, expected, "{} {after}", site.database());
        }
        assert_eq!(names(&served, "users").await, ["ann"]);
    }
}

#[tokio::test]
async fn h160_no_answer_to_an_administrator_holds_a_credential() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let secret = tests::serve::CREDENTIAL.1;
        let patch = json!({"headers": {"x-key": format!("{secret}-2")}});
        served.must(Method::PATCH, "identities/key", Some(patch)).await;
        let last = served.must(Method::GET, "records?limit=1", None).await;
        let mut paths = vec!["identities".to_owned(), "identities/key".to_owned()];
        paths.extend(["export", "records?limit=200", "users/ann"].map(str::to_owned));
        if let Some(index) = last["items"][0]["index"].as_u64() {
            paths.extend((0..=index).map(|it| format!("records/{it}")));
        }
        for path in paths {
            let mut line = Line::to(served.address);
            let request = Request::builder()
                .uri(format!("/api/v1/workspaces/default/{path}"))
                .header("host", served.host())
                .header("authorization", format!("Bearer {}", served.admin()));
            let request = request.body(Full::default()).unwrap();
            let (status, body) = line.whole(request).await.unwrap();
            assert_eq!(status, 200, "{path}");
            assert!(!String::from_utf8_lossy(&body).contains(secret), "{path}");
        }
    }
}

#[tokio::test]
async fn h161_members_that_are_not_theirs_to_set_are_refused() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let export = send(&served, (Method::GET, "export"), &[], None).await.body;
        let cases = [
            ("users", json!({"name": "eve", "role": "workspace-admin"})),
            ("users", json!({"name": "eve", "tenant_id": "x"})),
            ("users", json!({"name": "eve", "workspace_id": "x"})),
            ("users", json!({"name": "eve", "enabled": true})),
            ("users", json!({"name": "eve", "id": "01900000-0000-7000-8000-000000000001"})),
            ("apps", json!({"name": "a", "owner": "ann", "purpose": "x", "created_at": "x"})),
            ("apps/bot/tokens", json!({"name": "t", "hash": "00"})),
            ("apps/bot/tokens", json!({"name": "t", "secret": "chosen"})),
            ("teams", json!({"name": "t", "members": [], "owner": "x"})),
            ("gateways", json!({"name": "g", "policy": "permit(principal, action, resource);"})),
            (
                "role-grants",
                json!({"name": "g", "role": "workspace-admin", "user": "ann", "above": true}),
            ),
        ];
        for (path, body) in cases {
            let reply = served.ask(Method::POST, path, Some(body)).await;
            assert_eq!(reply.status, 400, "{path}: {reply:?}");
            let detail = reply.body["detail"].as_str().unwrap();
            assert!(detail.contains("unknown field"), "{path}: {detail}");
        }
        let twice =
            send(&served, (Method::POST, "users"), &[], Some(r#"{"name": "eve", "name": "ann2"}"#))
                .await;
        assert_eq!(twice.status, 400, "a member twice");
        let now = send(&served, (Method::GET, "export"), &[], None).await.body;
        assert_eq!(now, export, "nothing has been made");
    }
}

#[tokio::test]
async fn h162_names_that_look_like_another_mean_nothing() {
    let variants = [
        "Dev",
        "DEV",
        " dev",
        "dev ",
        "dev\u{a0}",
        "dev\u{200b}",
        "d\u{435}v",
        "\u{ff44}ev",
        "de\u{301}v",
        "dev\u{0}",
        "dev\n",
        "dev/",
        "./dev",
        "dev%20",
        "\u{202e}dev",
        "",
    ];
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let id = served.must(Method::GET, "teams/dev", None).await["id"].clone();
        let id = id.as_str().unwrap();
        let ids = [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            format!("{id} "),
        ];
        for variant in variants.into_iter().chain(ids.iter().map(String::as_str)) {
            let reply = served.ask(Method::GET, &format!("teams/{}", percent(variant)), None).await;
            let is_list = variant.is_empty() && reply.status == 404;
            assert!(reply.status == 404 || is_list, "{variant:?}: {reply:?}");
            let made = served.ask(Method::POST, "teams", Some(json!({ "name": variant }))).await;
            assert_eq!(made.status, 400, "{variant:?}: {made:?}");
            let member = json!({"name": "g", "teams": [variant]});
            let named = served.ask(Method::POST, "gateways", Some(member)).await;
            assert!([400, 422].contains(&named.status), "{variant:?}: {named:?}");
        }
        assert_eq!(names(&served, "teams").await, ["dev"]);
        assert_eq!(served.ask(Method::GET, &format!("teams/{id}"), None).await.status, 200);
    }
}

#[tokio::test]
async fn h163_the_last_administrator_of_the_installation_stays() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let reply = served.ask(Method::GET, "/admin-tokens", None).await;
        let own = reply.body["items"][0]["name"].as_str().unwrap().to_owned();
        let path = format!("/admin-tokens/{own}");
        let last = served.ask(Method::DELETE, &path, None).await;
        assert_eq!(last.status, 409, "{last:?}");
        assert_eq!(served.ask(Method::GET, "users", None).await.status, 200);
    }
}

#[tokio::test]
async fn h165_a_key_with_another_body_does_nothing() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let key = [("idempotency-key", "\"k-1\"")];
        let post = (Method::POST, "users");
        let first = send(&served, post.clone(), &key, Some(r#"{"name":"one"}"#)).await;
        assert_eq!(first.status, 201);
        let again = send(&served, post.clone(), &key, Some(r#"{"name":"one"}"#)).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        let other = send(&served, post.clone(), &key, Some(r#"{"name":"two"}"#)).await;
        assert_eq!((other.status, &other.body["code"]), (409, &json!("other_request")));
        let elsewhere =
            send(&served, (Method::POST, "teams"), &key, Some(r#"{"name":"one"}"#)).await;
        assert_eq!((elsewhere.status, &elsewhere.body["code"]), (409, &json!("other_request")));
        for key in ["", "\"", "\"\"", &"k".repeat(256), "\u{e9}"] {
            let bad = [("idempotency-key", key)];
            let refused = send(&served, post.clone(), &bad, Some(r#"{"name":"two"}"#)).await;
            assert_eq!(refused.status, 400, "{key:?}");
        }
        assert_eq!(names(&served, "users").await, ["ann", "one"]);
        // It outlives the process.
        assert!(served.stop().await.success());
        let served = site.start().await;
        let again = send(&served, post, &key, Some(r#"{"name":"one"}"#)).await;
        assert_eq!((again.status, &again.body), (201, &first.body), "{}", site.database());
    }
}

#[tokio::test]
async fn h166_of_two_who_have_read_the_same_one_is_told_to_read_again() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        let seen = send(&served, (Method::GET, "apps/bot"), &[], None).await.etag.unwrap();
        let tag = [("if-match", seen.as_str())];
        let patch = |purpose: &str| json!({ "purpose": purpose }).to_string();
        let (one, other) = (patch("one"), patch("other"));
        let (one, other) = futures::future::join(
            send(&served, (Method::PATCH, "apps/bot"), &tag, Some(&one)),
            send(&served, (Method::PATCH, "apps/bot"), &tag, Some(&other)),
        )
        .await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{}", site.database());
        let kept = if one.status == 200 { "one" } else { "other" };
        let now = send(&served, (Method::GET, "apps/bot"), &[], None).await;
        assert_eq!(now.body["purpose"], kept);
        let late = send(&served, (Method::DELETE, "apps/bot"), &tag, None).await;
        assert_eq!((late.status, &late.body["code"]), (412, &json!("mismatch")));
        let current = now.etag.unwrap();
        for bad in ["bot", "W/", "\""] {
            let refused =
                send(&served, (Method::DELETE, "apps/bot"), &[("if-match", bad)], None).await;
            assert_eq!(refused.status, 400, "{bad}");
        }
        let tag = [("if-match", current.as_str())];
        let gone = send(&served, (Method::DELETE, "apps/bot"), &tag, None).await;
        assert_eq!(gone.status, 204);
    }
}

#[tokio::test]
async fn h167_a_page_is_as_long_as_it_may_be_and_no_longer() {
    for site in sites().await {
        let served = site.start_with(&world()).await;
        for list in ["users", "servers", "apps", "gateways", "pins", "records", "/workspaces"] {
            for limit in ["0", "-1", "201", "1000000000", "99999999999999999999", "1e3", "", "x"] {
                let reply = served.ask(Method::GET, &format!("{list}?limit={limit}"), None).await;
                assert_eq!(reply.status, 400, "{list} {limit}: {reply:?}");
                assert_eq!(reply.body["code"], "malformed", "{list} {limit}");
            }
            let reply = served.ask(Method::GET, &format!("{list}?limit=200"), None).await;
            assert_eq!(reply.status, 200, "{list}");
        }
    }
}

#[tokio::test]
async fn h168_a_list_shows_what_may_be_seen_one_by_one_and_nothing_else() {
    for site in sites().await {
        let documents = world()
            .server("hidden", "type: http, url: \"https://hidden.example/mcp\"")
            .gateway("side", "dev", &[]);
        let served = site.start_with(&documents).await;
        let role = json!({"name": "sees", "capabilities": ["servers:read", "gateways:read"]});
        served.must(Method::POST, "roles", Some(role)).await;
        served.must(Method::POST, "users", Some(json!({"name": "eve"}))).await;
        for (name, on) in [("a", "server/files"), ("b", "gateway/main")] {
            let grant = json!({"name": name, "role": "sees", "user": "eve", "on": on});
            served.must(Method::POST, "role-grants", Some(grant)).await;
        }
        let made = Some(json!({"name": "cli"}));
        let made = served.must(Method::POST, "users/eve/admin-tokens", made).await;
        let eve = made["secret"].as_str().unwrap();
        for (list, seen, hidden) in [("servers", "files", "hidden"), ("gateways", "main", "side")] {
            let reply = served.ask_as(eve, Method::GET, list, None).await;
            let items = reply.body["items"].as_array().unwrap().clone();
            let names: Vec<&str> = items.iter().map(|it| it["name"].as_str().unwrap()).collect();
            assert_eq!(names, [seen], "{}", site.database());
            for (name, status) in [(seen, 200), (hidden, 404)] {
                let reply = served.ask_as(eve, Method::GET, &format!("{list}/{name}"), None).await;
                assert_eq!(reply.status, status, "{list}/{name}");
            }
            // Nor does the end of a page tell of what is beyond.
            let page = served.ask_as(eve, Method::GET, &format!("{list}?limit=1"), None).await;
            assert!(page.body.get("next_cursor").is_none(), "{page:?}");
        }
    }
}
