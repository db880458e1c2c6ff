mod acts;
mod own_account;
mod tenants;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::json;
use utoipa::openapi::path::Operation;

use crate::api::openapi;
use crate::testing::Api;

#[tokio::test]
async fn h159_without_a_right_credential_there_is_nothing_to_see() {
    let api = Api::on_sqlite().await;
    let wrong = [
        None,
        Some("Bearer wrong".to_owned()),
        Some(format!("Basic {}", api.token)),
        Some(format!("Bearer {}x", api.token)),
        Some(api.token.clone()),
        Some("Bearer ".to_owned()),
    ];
    for route in routes().into_iter().filter(|it| it.operation.security.is_some()) {
        for workspace in ["default", "nowhere"] {
            for credential in &wrong {
                let path = route.path.replace("{workspace}", workspace);
                let mut request = Request::builder().method(route.method.clone()).uri(&path);
                if let Some(credential) = credential {
                    request = request.header(header::AUTHORIZATION, credential);
                }
                let reply = api.send(request.body(Body::empty()).unwrap()).await;
                let expected = (401, "unauthenticated".to_owned());
                assert_eq!(reply.problem(), expected, "{} {path} {credential:?}", route.method);
                assert_eq!(reply.header("www-authenticate"), "Bearer");
            }
        }
    }
}

#[tokio::test]
async fn h161_members_that_nobody_asked_for_are_refused() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    api.given_a_limit().await;
    api.given_a_policy().await;
    let mut tried = 0;
    for route in routes().into_iter().filter(|it| it.operation.request_body.is_some()) {
        if route.path.ends_with("/session") {
            continue;
        }
        let path = route.address("default");
        for member in ["workspace_id", "id", "created_at", "role", "nmae"] {
            if (member, route.path.ends_with("/role-grants")) == ("role", true) {
                continue;
            }
            let reply = api.ask(route.method.clone(), &path, Some(json!({ member: "x" }))).await;
            assert_eq!(reply.status, 400, "{} {path}: {}", route.method, reply.text);
            assert!(reply.text.contains(&format!("unknown field `{member}`")), "{}", reply.text);
        }
        tried += 1;
    }
    assert!(20 < tried, "{tried}");
}

#[tokio::test]
async fn h167_limits_that_make_no_sense_are_refused() {
    let api = Api::on_sqlite().await;
    api.given_a_chain().await;
    api.given_a_limit().await;
    api.given_a_policy().await;
    let paged: Vec<Route> = routes().into_iter().filter(Route::is_paged).collect();
    assert_eq!(paged.len(), 30);
    let made = api.given("users/ann/admin-tokens", json!({"name": "own"})).await;
    let own = made["secret"].as_str().unwrap();
    for route in paged {
        let path = route.address("default");
        // What is one's own is of a user.
        let token = if path.contains("/me/") { own } else { &api.token };
        let get = async |path: &str| api.ask_as(token, Method::GET, path, None).await;
        for query in [
            "limit=0",
            "limit=-1",
            "limit=201",
            "limit=1000000000",
            "limit=99999999999999999999",
            "limit=x",
            "limit=",
            "cursor=!",
            "offset=1",
            "limit=1&limit=2",
        ] {
            let reply = get(&format!("{path}?{query}")).await;
            assert_eq!(reply.problem(), (400, "malformed".into()), "{path}?{query}");
        }
        assert_eq!(get(&format!("{path}?limit=200")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    for api in Api::on_each_database().await {
        for name in ["e", "a", "c", "b", "d"] {
            api.given("users", json!({ "name": name })).await;
        }
        let mut seen = Vec::new();
        let mut path = "users?limit=2".to_owned();
        loop {
            let page = api.get(&path).await.json();
            for item in page["items"].as_array().unwrap() {
                seen.push(item["name"].as_str().unwrap().to_owned());
            }
            // What comes and goes meanwhile moves nothing.
            api.given("users", json!({"name": format!("aa{}", seen.len())})).await;
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("users?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    }
}

#[tokio::test]
async fn malformed_requests_are_answered_with_problem_documents() {
    let api = Api::on_sqlite().await;
    let cases = [
        (Method::POST, "users", "application/json", "{", 400, "malformed"),
        (Method::POST, "users", "application/json", "[]", 400, "malformed"),
        (Method::POST, "users", "application/json", "{\"name\":\"Ann\"}", 400, "malformed"),
        (Method::POST, "users", "text/plain", "{}", 415, "media_type"),
        (Method::PUT, "users", "application/json", "{}", 405, "method_not_allowed"),
        (Method::GET, "nothing", "application/json", "", 404, "not_found"),
        (Method::GET, "users/Not A Name", "application/json", "", 404, "not_found"),
        (Method::GET, "users/bob", "application/json", "", 404, "not_found"),
    ];
    for (method, path, media, body, status, code) in cases {
        let reply = raw(&api, method.clone(), path, media, body.to_owned()).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{method} {path} {body}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.header("cache-control"), "no-store");
        let members: Vec<String> = reply.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["type", "title", "status", "detail", "code", "request_id"]);
    }
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(1 << 20));
    let reply = raw(&api, Method::POST, "users", "application/json", large).await;
    assert_eq!(reply.problem(), (413, "too_large".to_owned()));
}

/// PostgreSQL keeps no such text, so it is nobody's.
#[tokio::test]
async fn a_nul_in_a_text_is_the_mistake_of_whoever_sends_it() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let before = api.fresh.db.epoch().await.unwrap();
        let named = json!({"expose": "named", "names": ["a\0"]});
        let test = json!({"name": {"is": "a\0"}});
        let conditions = json!({"expose": "conditions", "where": test});
        let rule =
            json!({"name": "r", "pattern": "a", "action": {"type": "replace", "with": "\0"}});
        let stdio = json!({"type": "stdio", "command": "x", "env": {"A": "a\0"}});
        let cut = json!({"kind": "tool", "name": "jira/a\0", "reason": "b\0"});
        let resource = json!({"server": "jira", "name": "a\0"});
        let case = json!({"name": "a", "action": "call", "resource": resource, "expect": "allow"});
        let text = "forbid(principal, action, resource) when { principal.name == \"b\" };";
        let policy = json!({"name": "p", "text": text, "tests": [case]});
        let file = "kind: Server\nname: jira\ntransport: {type: http, url: 'https://jira.example'}\n\
                    pins: [{kind: tool, name: \"a\\0\", hash: 'sha256:";
        let file = format!("{file}{}'}}]", "0".repeat(64));
        let replies = [
            api.get("pins?name=a%00").await,
            api.get("users?cursor=AA").await,
            api.patch("gateways/main/assignments/jira", json!({"tools": named})).await,
            api.patch("gateways/main/assignments/jira", json!({"tools": conditions})).await,
            api.post("gateways/main/rules", rule).await,
            api.post("servers", json!({"name": "s", "transport": stdio})).await,
            api.post("cutoffs", cut).await,
            api.post("policies", policy).await,
            api.post("apply", json!({"text": file})).await,
        ];
        for (i, reply) in replies.iter().enumerate() {
            let status = reply.status.as_u16();
            assert!([400, 404, 422].contains(&status), "{i}: {status} {}", reply.text);
        }
        assert_eq!(api.fresh.db.epoch().await.unwrap(), before);
    }
}

/// Whatever is asked, no answer shows what was entrusted to us.
#[tokio::test]
async fn h160_no_answer_holds_a_credential() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let created = api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let token = created["secret"].as_str().unwrap().to_owned();
        assert_eq!(api.patch("identities/ann-jira", json!({"name": "ann-jira"})).await.status, 200);
        let duplicate = json!({"name": "ann-jira", "server": "jira",
                               "headers": {"authorization": "Bearer hunter2"}});
        let mut answers = vec![api.post("identities", duplicate).await.text];
        let bad = json!({"name": "b", "server": "jira", "headers": {"x-a": "hunter2\n"}});
        answers.push(api.post("identities", bad).await.text);
        let bad = json!({"name": "b", "server": "jira", "headers": ["hunter2"]});
        answers.push(api.post("identities", bad).await.text);
        for route in routes().into_iter().filter(|it| it.method == Method::GET) {
            if route.path.ends_with("/stream") {
                continue;
            }
            answers.push(api.get(&route.address("default")).await.text);
        }
        for answer in answers {
            for secret in ["hunter2", &token, &api.token] {
                assert!(!answer.contains(secret), "{answer}");
            }
        }
        let reply = api.get("identities/ann-jira").await.json();
        assert_eq!(reply["headers"], json!(["authorization"]));
    }
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_its_users_are_named() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let cases = [
            ("users/ann", "user `ann` is used by app `bot`, identity `ann-jira`"),
            ("teams/dev", "team `dev` is used by gateway `main`"),
            (
                "servers/jira",
                "server `jira` is used by assignment `main/jira`, identity `ann-jira`",
            ),
            ("identities/ann-jira", "identity `ann-jira` is used by connection `bot/main`"),
            ("gateways/main", "gateway `main` is used by connection `bot/main`"),
        ];
        for (path, expected) in cases {
            let reply = api.delete(path).await;
            assert_eq!(reply.problem(), (409, "in_use".into()), "{path}");
            assert_eq!(reply.json()["detail"], expected);
        }
        let reply = api.delete("/workspaces/default").await;
        assert_eq!(reply.problem(), (409, "in_use".into()));
        // From the far end it all goes.
        let order = [
            "apps/bot",
            "gateways/main",
            "identities/ann-jira",
            "servers/jira",
            "teams/dev",
            "users/ann",
            "/workspaces/default",
        ];
        for path in order {
            let reply = api.delete(path).await;
            assert_eq!(reply.status, 204, "{path}: {}", reply.text);
        }
        assert!(api.snapshot().await.config.workspaces.is_empty());
    }
}

/// The document that clients are made from is the one that is served.
#[test]
fn the_committed_openapi_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/openapi.json");
    let mut document = serde_json::to_value(openapi()).unwrap();
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            // Extensions come in any order.
            let Some(operation) = operation.as_object_mut() else { continue };
            if let Some(said) = operation.shift_remove("x-step-up") {
                operation.insert("x-step-up".to_owned(), said);
            }
        }
    }
    let mut now = serde_json::to_string_pretty(&document).unwrap();
    now.push('\n');
    #[expect(clippy::disallowed_methods, reason = "blessing is asked for in no other way")]
    let bless = std::env::var("OSTIARY_BLESS").is_ok_and(|it| it == "1");
    if bless {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == now, "run with OSTIARY_BLESS=1 to write api/openapi.json anew");
}

#[tokio::test]
async fn the_document_is_served_to_anyone() {
    let api = Api::on_sqlite().await;
    let request = Request::get("/api/v1/openapi.json");
    let reply = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json()["info"]["title"], "Ostiary admin API");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_change_half_way() {
    for api in Api::on_each_database().await {
        // Polled a few times, then dropped.
        let mut asking = Box::pin(api.post("users", json!({"name": "ann"})));
        for _ in 0..3 {
            assert!(futures::poll!(asking.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        drop(asking);
        let api = Arc::new(api);
        api.control.close().await;
        let epochs = api.fresh.db.epoch().await.unwrap();
        let latest = api.control.gate().latest();
        assert_eq!(i64::try_from(latest.epoch), Ok(epochs.epoch), "published what is stored");
    }
}

pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) operation: Operation,
}

impl Route {
    /// With the names of what [`Api::given_a_chain`] makes, as [`Api::ask`] takes it.
    pub(super) fn address(&self, workspace: &str) -> String {
        let names = [
            ("{workspace}", workspace),
            ("{account}", "ada"),
            ("{admin_token}", "first"),
            ("{app}", "bot"),
            ("{assignment}", "jira"),
            ("{connection}", "main"),
            ("{day}", "2026-01-01"),
            ("{gateway}", "main"),
            ("{grant}", "given"),
            ("{identity}", "ann-jira"),
            ("{index}", "0"),
            ("{limit}", "few"),
            ("{policy}", "hours"),
            ("{role}", "keeper"),
            ("{passkey}", "phone"),
            ("{pin}", crate::testing::PIN),
            ("{rule}", "mail"),
            ("{server}", "jira"),
            ("{session}", "none"),
            ("{team}", "dev"),
            ("{token}", "ci"),
            ("{user_token}", "ci"),
            ("{user}", "ann"),
        ];
        let path = self.path.strip_prefix("/api/v1").unwrap().to_owned();
        names.iter().fold(path, |path, (parameter, name)| path.replace(parameter, name))
    }

    fn is_paged(&self) -> bool {
        let text = serde_json::to_string(&self.operation.parameters).unwrap();
        text.contains("\"cursor\"")
    }
}

pub(super) fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    for (path, item) in openapi().paths.paths {
        let operations = [
            (Method::GET, item.get),
            (Method::POST, item.post),
            (Method::PUT, item.put),
            (Method::PATCH, item.patch),
            (Method::DELETE, item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                all.push(Route { method, path: path.clone(), operation });
            }
        }
    }
    all
}

async fn raw(
    api: &Api,
    method: Method,
    path: &str,
    media: &str,
    body: String,
) -> crate::testing::Reply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/workspaces/default/{}", path.replace(' ', "%20")))
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .header(header::CONTENT_TYPE, media)
        .body(Body::from(body))
        .unwrap();
    api.send(request).await
}
