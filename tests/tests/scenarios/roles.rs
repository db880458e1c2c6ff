//! Administrators who may do some things and not others, through the running binary.

use http::Method;
use serde_json::{Value, json};
use tests::{Served, Site};

/// Ann keeps the server `jira`; Kim is `workspace-admin`; Bob is nobody in particular.
const WORLD: &str = r#"
kind: Workspace
name: default
---
kind: User
name: ann
---
kind: User
name: bob
---
kind: User
name: kim
---
kind: Team
name: dev
members: [ann]
---
kind: Server
name: jira
transport: {type: http, url: "https://jira.example/mcp"}
---
kind: Server
name: wiki
transport: {type: http, url: "https://wiki.example/mcp"}
---
kind: Gateway
name: main
teams: [dev]
assignments: [{server: jira}]
---
kind: App
name: bot
owner: ann
purpose: triage
gateways: [{gateway: main}]
---
kind: Role
name: keeper
capabilities: [servers:read, servers:write, cutoffs:write]
---
kind: RoleGrant
name: ann-keeps-jira
role: keeper
team: dev
on: server/jira
---
kind: RoleGrant
name: kim-is-admin
role: workspace-admin
user: kim
"#;

#[tokio::test]
async fn h159_a_request_is_let_in_by_the_roles_of_its_token() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        let [ann, bob, kim] = users(&served).await;
        let off = |name: &str| json!({"kind": "server", "name": name});
        let server = json!({"name": "new", "transport": {"type": "stdio", "command": "sh"}});
        let named = |name: &str| Some(json!({ "name": name }));
        let as_read = json!({"tool_labels": {"drop": {"effect": "read"}}});
        let cases = [
            // The guard, by the address.
            (&ann, Method::GET, "servers/jira", None, 200),
            (&ann, Method::GET, "servers/wiki", None, 404),
            (&ann, Method::PATCH, "servers/jira", Some(json!({"era": "modern"})), 200),
            (&ann, Method::DELETE, "teams/dev", None, 404),
            // What policies look at is for those who may change policies.
            (&ann, Method::PATCH, "servers/jira", Some(json!({"labels": ["pii"]})), 403),
            (&ann, Method::PATCH, "servers/jira", Some(json!({"labels": []})), 200),
            (&ann, Method::PATCH, "servers/jira", Some(as_read.clone()), 403),
            (&kim, Method::PATCH, "servers/jira", Some(as_read), 200),
            (&ann, Method::POST, "users", named("eve"), 403),
            (&ann, Method::GET, "records", None, 403),
            (&ann, Method::GET, "records/stream", None, 403),
            (&bob, Method::GET, "servers", None, 403),
            (&bob, Method::GET, "users/bob", None, 200),
            (&kim, Method::POST, "users", named("eve"), 201),
            (&kim, Method::POST, "/workspaces", named("other"), 403),
            (&kim, Method::GET, "/admin-tokens", None, 403),
            // The slices, by the body.
            (&ann, Method::POST, "cutoffs", Some(off("jira")), 200),
            (&ann, Method::POST, "cutoffs", Some(off("wiki")), 404),
            (&kim, Method::POST, "servers", Some(server), 403),
        ];
        for (token, method, path, body, expected) in cases {
            let reply = served.ask_as(token, method.clone(), path, body).await;
            assert_eq!(reply.status, expected, "{method} {path}: {}", reply.body);
        }
        let seen = served.ask_as(&ann, Method::GET, "servers", None).await.body;
        assert_eq!(names(&seen), ["jira"]);
        // What came by a team goes with it, for a token that is known.
        let path = "teams/dev/members/ann";
        assert_eq!(served.ask(Method::DELETE, path, None).await.status, 200);
        let reply = served.ask_as(&ann, Method::GET, "servers/jira", None).await;
        assert_eq!(reply.status, 404);
        served.stop().await;
    }
}

#[tokio::test]
async fn h163_nobody_gets_more_than_whoever_gives_it_and_an_administrator_stays() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        let role = json!({"name": "giver", "capabilities": ["roles:read", "roles:write"]});
        served.must(Method::POST, "roles", Some(role)).await;
        let grant = json!({"name": "bob-gives", "role": "giver", "user": "bob"});
        served.must(Method::POST, "role-grants", Some(grant)).await;
        let [_, bob, kim] = users(&served).await;
        let up = json!({"name": "up", "role": "workspace-admin", "user": "bob"});
        let file = "{kind: RoleGrant, name: up, role: keeper, user: bob}";
        let more = json!({"capabilities": ["roles:read", "roles:write", "people:write"]});
        let cases = [
            (&bob, Method::POST, "role-grants", Some(up), 403),
            (&bob, Method::PATCH, "roles/giver", Some(more), 403),
            (&bob, Method::POST, "apply", Some(json!({ "text": file })), 403),
            (&kim, Method::DELETE, "role-grants/kim-is-admin", None, 409),
            (&kim, Method::DELETE, "users/kim", None, 409),
        ];
        for (token, method, path, body, expected) in cases {
            let reply = served.ask_as(token, method.clone(), path, body).await;
            assert_eq!(reply.status, expected, "{method} {path}: {}", reply.body);
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn why_and_tokens_of_users_on_the_command_line() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        let url = format!("http://{}", served.address);
        let run = async |token: &str, words: &[&str]| {
            let mut words = words.to_vec();
            let file = site.home().join("token");
            std::fs::write(&file, token).unwrap();
            words.extend(["--url", &url, "--token-file", file.to_str().unwrap()]);
            site.run(&words).await
        };
        let admin = served.admin().to_owned();
        let words = ["user-token", "create", "--user", "ann", "--capability", "people:read"];
        let (code, secret) = run(&admin, &words).await;
        assert_eq!(code, Some(0), "{secret}");
        let secret = secret.trim();
        assert!(secret.starts_with("ostu_"), "{secret}");
        assert_eq!(served.ask_as(secret, Method::GET, "users/ann", None).await.status, 200);
        assert_eq!(served.ask_as(secret, Method::GET, "servers/jira", None).await.status, 404);
        let (_, listed) = run(&admin, &["user-token", "list", "--user", "ann"]).await;
        assert!(listed.contains("cli") && !listed.contains(secret), "{listed}");

        let asked = ["why", "--app", "bot", "--gateway", "main"];
        let (code, told) = run(&admin, &asked).await;
        assert_eq!(code, Some(3), "{told}");
        assert!(told.starts_with("no: app `bot` has no valid token to present"), "{told}");
        served.token("bot", "ci").await;
        let (code, told) = run(&admin, &asked).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("+ team dev: user `ann` is in dev"), "{told}");
        let words = ["why", "--user", "ann", "--capability", "servers:write", "--on"];
        let (code, told) = run(&admin, &[&words[..], &["server/jira", "--json"]].concat()).await;
        assert_eq!(code, Some(0), "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["answers"][0]["chain"][1]["name"], "ann-keeps-jira");

        let (code, _) = run(&admin, &["user-token", "revoke", "--user", "ann", "cli"]).await;
        assert_eq!(code, Some(0));
        assert_eq!(served.ask_as(secret, Method::GET, "users/ann", None).await.status, 401);
        served.stop().await;
    }
}

async fn users(served: &Served) -> [String; 3] {
    let mut tokens = Vec::new();
    for user in ["ann", "bob", "kim"] {
        let path = format!("users/{user}/admin-tokens");
        let made = served.must(Method::POST, &path, Some(json!({"name": "test"}))).await;
        tokens.push(made["secret"].as_str().unwrap().to_owned());
    }
    tokens.try_into().unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}
