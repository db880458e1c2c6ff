//! Every route that changes something leaves a record of what was before it and what is after it,
//! without a secret; and what follows the change is what is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{own_account, routes};
use crate::testing::{Api, PIN};

/// What is asked: a method, a path as [`Api::ask`] takes it, and a body.
type Line = (Method, String, Value);

/// What has been asked with success, and what a GET has shown before and after it.
pub(super) struct Told {
    path: String,
    before: Value,
    after: Value,
}

/// Routes that leave a record and have nothing to tell in it.
const CHANGE_NOTHING: &[(&str, &str)] = &[
    ("POST /session", "who has signed in, when and from where is all that there is"),
    ("POST /session/passkey", "likewise"),
    ("POST /session/password", "likewise"),
    ("POST /session/step-up", "that they have proven who they are is all that there is"),
    ("POST /session/passkeys/challenge", "it only asks for what may become a passkey"),
    ("DELETE /session", "so it is with who has signed out"),
    ("POST /workspaces/{workspace}/diff", "it does nothing, and tells what would be done"),
    ("POST /workspaces/{workspace}/policy-simulations", "likewise"),
    (
        "POST /workspaces/{workspace}/drills",
        "it undoes what it does, and what it took is no object",
    ),
    ("POST /workspaces/{workspace}/gateways/{gateway}/calls", "the call has a record of its own"),
];

/// Routes that leave no record, since nobody is known who could be in it.
const UNRECORDED: [&str; 2] = ["POST /session/challenge", "POST /session/set-up/challenge"];

/// A day before all this, 2026-01-01, in days since 1970.
const NEW_YEAR: i32 = 20_454;

/// What we entrust to the gateway, wherever it takes a secret.
const MARKER: &str = "marker-3f9c51d7";

/// The first account's.
const PASSWORD: &str = "marker-3f9c51d7 as a password";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_that_changes_something_records_what_was_before_and_what_is_after() {
    for api in Api::on_each_database().await {
        let mut secrets = vec![MARKER.to_owned(), api.token.clone()];
        let mut told = Vec::new();
        for line in creations(&api.token) {
            told.push(tell(&api, line, &mut secrets).await);
        }
        told.extend(own_account::tell(&api, secrets.last().unwrap(), PASSWORD).await);
        api.given_a_pin().await;
        for log in [api.snapshot().await.config.workspaces["default"].id.0, Uuid::nil()] {
            let keys = api.control.data_keys();
            let making = move || keys.current(log, NEW_YEAR).is_ok();
            assert!(tokio::task::spawn_blocking(making).await.unwrap());
        }
        let second = api.control.mint_admin_token("second").await.unwrap();
        secrets.push(second.expose_text().unwrap().to_owned());
        for line in changes() {
            told.push(tell(&api, line, &mut secrets).await);
        }
        api.control.set_test_calls(Arc::new(crate::testing::Told));
        let call = json!({"app": "bot", "tool": "search", "arguments": {"a": MARKER}});
        assert_eq!(api.post("gateways/main/calls", call).await.status, 200);
        for line in deletions() {
            told.push(tell(&api, line, &mut secrets).await);
        }
        change_nothing(&api).await;
        let last = line(Method::DELETE, "/accounts/ada", Value::Null);
        told.push(tell(&api, last, &mut secrets).await);
        assert_eq!(secrets.len(), 5, "{secrets:?}");

        api.log.clone().close().unwrap();
        let (inside, above): (Vec<_>, Vec<_>) =
            told.iter().partition(|it| !it.path.starts_with('/'));
        let mut actions = BTreeSet::new();
        for (log, told) in [("records", inside), ("/records", above)] {
            let ended = ended(&api, log, &secrets, &mut actions).await;
            assert_eq!(ended.len(), told.len(), "{log}");
            for (record, told) in ended.iter().zip(told) {
                told.check(record);
            }
        }
        assert!(1 < search(&secrets, api.folder.path()), "the log, and what is kept beside it");
        let recorded = |it: &str| actions.contains(it) || UNRECORDED.contains(&it);
        let forgotten: Vec<String> = mutating().filter(|it| !recorded(it)).collect();
        assert!(forgotten.is_empty(), "not in the record of what is done here: {forgotten:?}");
        assert!(CHANGE_NOTHING.iter().all(|it| recorded(it.0)));
    }
}

/// What is asked again, or only tried, says so and has changed nothing.
#[tokio::test]
async fn a_trial_and_a_repetition_are_recorded_as_such() {
    for api in Api::on_each_database().await {
        let policy = json!({"name": "late", "text": policy(24)});
        let reply = api.post("policies?dry_run=true", policy.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for _ in 0..2 {
            let request = axum::http::Request::post("/api/v1/workspaces/default/policies")
                .header("authorization", format!("Bearer {}", api.token))
                .header("content-type", "application/json")
                .header("idempotency-key", "once")
                .body(policy.to_string().into());
            assert_eq!(api.send(request.unwrap()).await.status, 201);
        }
        api.control.close().await;
        api.log.clone().close().unwrap();
        let ended = ended(&api, "records", &[], &mut BTreeSet::new()).await;
        let [tried, made, again] = ended.as_slice() else { panic!("{ended:?}") };
        assert_eq!(
            (&tried["record"]["dry_run"], &tried["content"]),
            (&json!(true), &json!("none"))
        );
        assert_eq!(tried["record"]["object_name"], "late");
        assert_eq!(made["deed"]["after"]["text"], policy["text"]);
        assert_eq!(
            (&again["record"]["repeated"], &again["content"]),
            (&json!(true), &json!("none"))
        );
        assert!(made["record"].get("repeated").is_none());
    }
}

/// Asks, and looks before and after.
async fn tell(api: &Api, (method, path, body): Line, secrets: &mut Vec<String>) -> Told {
    let place = place(&method, &path);
    let before = look(api, &place).await;
    let reply = api.ask(method.clone(), &path, (!body.is_null()).then_some(body)).await;
    assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.text);
    crate::snapshot::check(api, &format!("{method} {path}")).await;
    assert!(!reply.text.contains(MARKER), "{path}: {}", reply.text);
    let mut place = place;
    if reply.status == 201 {
        let made = reply.json();
        secrets.extend(made["secret"].as_str().map(str::to_owned));
        let inner = ["token", "account"].into_iter().find(|it| made[it].is_object());
        let made = inner.map_or(&made, |it| &made[it]);
        let id = made["id"].as_str().or(made["gateway"].as_str());
        place = format!("{path}/{}", id.unwrap_or_else(|| panic!("{path}: {made}")));
    }
    // What has another name now is where its id is.
    let after = match before["id"].as_str() {
        Some(id) if method == Method::PATCH => {
            let (folder, _) = place.rsplit_once('/').unwrap();
            look(api, &format!("{folder}/{id}")).await
        }
        _ => look(api, &place).await,
    };
    Told { path, before, after }
}

/// Where a GET shows what a request is about.
fn place(method: &Method, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        (_, [.., "members", _]) | (_, ["gateways", _, "teams", _]) => {
            parts[..parts.len() - 2].join("/")
        }
        (_, ["pins", _, _]) => parts[..2].join("/"),
        (&Method::POST, _) | (_, ["", "accounts" | "admin-tokens", _]) => "nowhere".to_owned(),
        _ => path.to_owned(),
    }
}

/// Nothing where there is nothing.
async fn look(api: &Api, path: &str) -> Value {
    let reply = api.get(path).await;
    if reply.status != 200 {
        return Value::Null;
    }
    let shown = reply.json();
    // A pin is shown with what it holds.
    if shown["pin"].is_object() { shown["pin"].clone() } else { shown }
}

/// What records say of acts that have ended, in their order, as it is shown; none of them holds a
/// secret.
async fn ended(
    api: &Api,
    log: &str,
    secrets: &[String],
    actions: &mut BTreeSet<String>,
) -> Vec<Value> {
    let mut found = Vec::new();
    for index in 0.. {
        let reply = api.get(&format!("{log}/{index}")).await;
        if reply.status == 404 {
            break;
        }
        assert_eq!(reply.status, 200, "{}", reply.text);
        for secret in secrets {
            assert!(!reply.text.contains(secret), "{log}/{index}: {}", reply.text);
        }
        let mut shown = reply.json();
        if let Some(of) = shown["record"]["content_of"].as_str() {
            // It concerns those above, who find what has changed where it is kept.
            assert_eq!(shown["content"], "none");
            let Some(twin) = twin(api, of, &shown["record"]).await else { continue };
            shown = twin;
        }
        let record = &shown["record"];
        let action = record["action"].as_str().unwrap().to_owned();
        let tells = shown["deed"].is_object();
        if record["phase"] != "ended" || record["status"].as_u64().is_none_or(|it| 300 <= it) {
            continue;
        }
        if CHANGE_NOTHING.iter().any(|it| it.0 == action) {
            assert!(!tells, "{action} tells more than it should");
            actions.insert(action);
        } else if record["address"].is_string() {
            if tells {
                actions.insert(action);
            }
            found.push(shown);
        }
    }
    found
}

/// The record of the same act in the log of a workspace that there is no more; nothing where there is
/// one, which is looked through by itself.
async fn twin(api: &Api, of: &str, record: &Value) -> Option<Value> {
    if api.get(&format!("/workspaces/{of}")).await.status == 200 {
        return None;
    }
    for index in 0.. {
        let reply = api.get(&format!("/records/{index}?workspace={of}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let shown = reply.json();
        if shown["record"]["act"] == record["act"] && shown["record"]["phase"] == "ended" {
            return Some(shown);
        }
    }
    None
}

/// In no file of the log, nor beside it, is one of these; gives how many there are.
fn search(secrets: &[String], folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += search(secrets, &path);
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            let is_there = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!is_there, "{secret} stands in {}", path.display());
        }
    }
    files
}

/// The routes that may change something, as records call them.
fn mutating() -> impl Iterator<Item = String> {
    let all = routes().into_iter().filter(|it| !it.method.is_safe());
    all.map(|it| format!("{} {}", it.method, it.path.strip_prefix("/api/v1").unwrap()))
}

impl Told {
    pub(super) fn new(path: &str, before: Value, after: Value) -> Self {
        Self { path: path.to_owned(), before, after }
    }

    fn check(&self, shown: &Value) {
        let Self { path, before, after } = self;
        let record = &shown["record"];
        let called = record["address"].as_str().unwrap();
        assert!(called.ends_with(path), "{called} is not {path}");
        assert_eq!(shown["content"], "kept", "{called}: {shown}");
        assert!(record["object"].is_string() && record["object_name"].is_string(), "{called}");
        let deed = &shown["deed"];
        assert_ne!(deed["before"], deed["after"], "{called}");
        assert_ne!(deed["changes"], json!([]), "{called}");
        assert_eq!(deed["is_cut"], false, "{called}");
        for (kept, seen) in [(&deed["before"], before), (&deed["after"], after)] {
            if !seen.is_null() {
                assert_eq!(kept, seen, "{called}");
            }
        }
        match record["status"].as_u64() {
            Some(201) => assert!(deed["before"].is_null() && deed["after"].is_object(), "{called}"),
            Some(204) => assert!(deed["before"].is_object() && deed["after"].is_null(), "{called}"),
            _ => assert!(deed["before"].is_object() && deed["after"].is_object(), "{called}"),
        }
    }
}

/// What leaves a record and changes nothing.
async fn change_nothing(api: &Api) {
    let text = "kind: User\nname: bea\n";
    assert_eq!(api.post("diff", json!({ "text": text })).await.status, 200);
    assert_eq!(api.post("policy-simulations", json!({"policies": []})).await.status, 200);
    assert_eq!(api.post("drills", json!({})).await.status, 200);
    let reply = api.post("/session", json!({"token": api.token})).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let reply = api.post("/session/password", json!({"name": "ada", "password": PASSWORD})).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let request = axum::http::Request::delete("/api/v1/session")
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin");
    let reply = api.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

fn line(method: Method, path: impl Into<String>, body: Value) -> Line {
    (method, path.into(), body)
}

/// It refuses nothing.
fn policy(hour: u8) -> String {
    format!("forbid(principal, action, resource) when {{ context.hour > {hour} }};")
}

fn creations(token: &str) -> Vec<Line> {
    let http = |name: &str| json!({"type": "http", "url": format!("https://{name}.example/mcp")});
    let daily = json!({"type": "quota", "amount": 5, "per": "day"});
    let scope = json!({"type": "workspace"});
    let headers = json!({ "authorization": format!("Bearer {MARKER}") });
    let things = [
        ("users", json!({"name": "ann"})),
        ("users", json!({"name": "bob"})),
        ("teams", json!({"name": "dev", "members": ["ann"]})),
        ("servers", json!({"name": "jira", "transport": http("jira"), "labels": ["eu"]})),
        ("servers", json!({"name": "wiki", "transport": http("wiki"), "review": "off"})),
        (
            "identities",
            json!({"name": "ann-jira", "server": "jira", "owner": "ann", "headers": headers}),
        ),
        ("gateways", json!({"name": "main", "teams": [], "addresses": ["192.0.2.0/24"]})),
        ("gateways/main/assignments", json!({"server": "jira", "scheme": "own"})),
        (
            "gateways/main/rules",
            json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}}),
        ),
        ("apps", json!({"name": "bot", "owner": "ann", "purpose": "triage"})),
        ("apps/bot/tokens", json!({"name": "ci"})),
        ("limits", json!({"name": "few", "scope": scope, "unit": "calls", "allowance": daily})),
        ("policies", json!({"name": "late", "text": policy(24)})),
        ("roles", json!({"name": "keeper", "capabilities": []})),
        ("role-grants", json!({"name": "given", "role": "keeper", "user": "ann"})),
        ("users/ann/admin-tokens", json!({"name": "cli"})),
        ("/workspaces", json!({"name": "brief"})),
        ("/session/set-up", json!({"token": token, "name": "ada", "password": PASSWORD})),
    ];
    things.into_iter().map(|(path, body)| line(Method::POST, path, body)).collect()
}

fn changes() -> Vec<Line> {
    let hash = format!("sha256:{}", hex::encode([7; 32]));
    let cut = json!({"kind": "tool", "name": "jira/search", "reason": "a test"});
    let text = "kind: Server\nname: later\ntransport: {type: http, url: 'https://later.example/'}\n\
         ---\nkind: Identity\nname: later\nserver: later\nheaders: {authorization: 'env:X'}\n\
         ---\nkind: Team\nname: dev\nmembers: [ann]\n";
    let patches = [
        ("users/bob", json!({"enabled": false})),
        ("teams/dev", json!({"members": ["ann", "bob"]})),
        ("servers/jira", json!({"labels": ["us", "eu"]})),
        ("identities/ann-jira", json!({"headers": {"authorization": MARKER}, "name": "renamed"})),
        ("gateways/main", json!({"addresses": []})),
        ("gateways/main/assignments/jira", json!({"tools": {"expose": "named", "names": ["a"]}})),
        ("gateways/main/rules/mail", json!({"pattern": "#"})),
        ("apps/bot", json!({"purpose": "\u{202e}<b>{{7*7}}\""})),
        ("apps/bot/connections/main", json!({"picked": true})),
        ("limits/few", json!({"gateway": "main"})),
        ("policies/late", json!({"text": policy(25)})),
        ("roles/keeper", json!({"capabilities": ["servers:read"]})),
        ("/workspaces/brief", json!({"durability": "synced", "addresses": ["::/0"]})),
    ];
    let mut all = vec![
        line(Method::PUT, "gateways/main/teams/dev", Value::Null),
        line(Method::POST, "apps/bot/connections", json!({"gateway": "main"})),
    ];
    all.extend(patches.into_iter().map(|(path, body)| line(Method::PATCH, path, body)));
    all.extend([
        line(Method::POST, "cutoffs", cut.clone()),
        line(Method::POST, "restores", json!({"kind": "tool", "name": "jira/search"})),
        line(Method::DELETE, "teams/dev/members/bob", Value::Null),
        line(Method::PUT, "teams/dev/members/bob", Value::Null),
        line(Method::POST, "servers/jira/pins/approve", json!({ "hashes": [hash] })),
        line(Method::POST, format!("pins/{PIN}/reject"), json!({ "hash": hash })),
        line(Method::POST, format!("pins/{PIN}/approve"), json!({ "hash": hash })),
        line(Method::POST, "apply", json!({"text": text, "secrets": {"env:X": MARKER}})),
        line(Method::POST, "apply", json!({"text": "kind: User\nname: bob\n", "prune": true})),
    ]);
    all
}

fn deletions() -> Vec<Line> {
    let gone = [
        "gateways/main/rules/mail",
        "apps/bot/tokens/ci",
        "apps/bot/connections/main",
        "gateways/main/assignments/jira",
        "gateways/main/teams/dev",
        // Its reset would take it along.
        "users/ann/admin-tokens/cli",
        "users/ann/account",
        "role-grants/given",
        "limits/few",
        "policies/late",
        "apps/bot",
        "gateways/main",
        "identities/renamed",
        "servers/jira",
        "roles/keeper",
        "teams/dev",
        "users/bob",
        "records/content/2026-01-01",
        "/workspaces/brief",
        "/admin-tokens/second",
        "/records/content/2026-01-01",
    ];
    gone.into_iter().map(|path| line(Method::DELETE, path, Value::Null)).collect()
}
