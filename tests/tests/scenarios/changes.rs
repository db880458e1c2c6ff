//! What changes, as it is told to those who follow, through the running binary.

use http::{Method, Request};
use serde_json::{Value, json};
use tests::line::Line;
use tests::{Served, Site, Streamed};

/// Kim may see servers and nothing else.
const WORLD: &str = r#"
kind: Workspace
name: default
---
kind: User
name: kim
---
kind: Server
name: jira
transport: {type: http, url: "https://jira.example/mcp"}
---
kind: Role
name: looks-at-servers
capabilities: [servers:read]
---
kind: RoleGrant
name: kim-looks
role: looks-at-servers
user: kim
"#;

#[tokio::test]
async fn h159_whoever_may_not_see_a_thing_hears_nothing_of_it() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        served.must(Method::POST, "/workspaces", Some(json!({"name": "other"}))).await;
        let kim = token_of_kim(&served).await;
        let mut hers = follow(&served, &kim, None).await;
        let mut all = follow(&served, served.admin(), None).await;
        served.must(Method::POST, "users", named("secret")).await;
        served.must(Method::POST, "/workspaces/other/users", named("elsewhere")).await;
        let off = json!({"kind": "user", "name": "secret"});
        served.must(Method::POST, "cutoffs", Some(off)).await;
        served.must(Method::PATCH, "servers/jira", named("wiki")).await;
        assert_eq!(next(&mut hers).await, "put server wiki");
        let mut told = Vec::new();
        while told.last().is_none_or(|it| it != "put server wiki") {
            told.push(next(&mut all).await);
        }
        assert_eq!(
            told,
            ["put user secret", "put cutoff secret", "put user secret", "put server wiki"]
        );
        // The stream ends with what opened it, and tells of nothing that comes after.
        served.must(Method::DELETE, "users/kim/admin-tokens/test", None).await;
        served.must(Method::PATCH, "servers/wiki", named("jira")).await;
        assert_eq!(hers.stream.next().await, None);
        served.stop().await;
    }
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_came_meanwhile_also_elsewhere_or_to_begin_anew() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        let admin = served.admin();
        let mut stream = follow(&served, admin, None).await;
        served.must(Method::POST, "users", named("ann")).await;
        assert_eq!(next(&mut stream).await, "put user ann");
        let seen = stream.stream.last_id.clone();
        drop(stream);
        served.must(Method::POST, "users", named("bob")).await;
        let mut again = follow(&served, admin, seen.as_deref()).await;
        assert_eq!(next(&mut again).await, "put user bob");
        if site.url().is_some() {
            let beside = site.beside();
            let other = beside.start().await;
            let mut there = follow(&other, admin, None).await;
            served.must(Method::POST, "users", named("eve")).await;
            assert_eq!(next(&mut there).await, "put user eve");
            // It has not been there for what was before.
            let mut there = follow(&other, admin, seen.as_deref()).await;
            assert_eq!(next(&mut there).await, "reset");
            other.stop().await;
        }
        served.stop().await;
        // Nothing is kept over a start, and nobody goes on from before it as if there had been nothing.
        let served = site.start().await;
        let mut stream = follow(&served, served.admin(), seen.as_deref()).await;
        assert_eq!(next(&mut stream).await, "reset");
        served.stop().await;
    }
}

async fn token_of_kim(served: &Served) -> String {
    let made = served.must(Method::POST, "users/kim/admin-tokens", named("test")).await;
    made["secret"].as_str().unwrap().to_owned()
}

fn named(name: &str) -> Option<Value> {
    Some(json!({ "name": name }))
}

/// Somebody who follows, and the connection that it is on.
struct Following {
    stream: Streamed,
    _line: Line,
}

/// A stream that is open, so that it tells of whatever is asked for from now on.
async fn follow(served: &Served, token: &str, knows: Option<&str>) -> Following {
    let mut request = Request::get("/api/v1/workspaces/default/changes/stream")
        .header("host", served.host())
        .header("authorization", format!("Bearer {token}"));
    if let Some(knows) = knows {
        request = request.header("last-event-id", knows);
    }
    let mut line = Line::to(served.address);
    let response = line.open(request.body(http_body_util::Full::default()).unwrap()).await.unwrap();
    let mut stream = Streamed::from(response);
    assert_eq!(stream.status, 200);
    stream.next_of_any_kind().await.expect("the opening");
    Following { stream, _line: line }
}

/// What comes next, in words.
async fn next(following: &mut Following) -> String {
    let event = following.stream.next().await.expect("the stream has ended");
    let told: Value = serde_json::from_slice(&event.data).unwrap();
    match event.name.as_deref() {
        Some("change") => {
            let [change, kind, name] =
                ["change", "kind", "name"].map(|it| told[it].as_str().unwrap_or("-"));
            format!("{change} {kind} {name}")
        }
        other => other.unwrap_or_default().to_owned(),
    }
}
