//! Changes in any order: after each of them the snapshot that has been followed is the whole one.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use domain::Config;
use serde_json::{Value, json};

use super::check;
use crate::testing::Api;

/// Changes in any order, of which many come to nothing.
#[tokio::test]
async fn what_is_followed_at_random_is_what_is_there() {
    for api in Api::on_each_database().await {
        api.given("/workspaces", json!({"name": "lab"})).await;
        api.given("/workspaces/lab/users", json!({"name": "ann"})).await;
        let lab = |config: &Config| Arc::clone(&config.workspaces["lab"]);
        let apart = lab(&api.snapshot().await.config);
        let mut dice = Dice(20_261_122);
        let (mut done, mut kinds) = (0, BTreeSet::new());
        for step in 0..500 {
            let (method, path, body) = dice.change();
            let body = (!body.is_null()).then_some(body);
            let said = format!("{step}: {method} {path} {body:?}");
            let reply = api.ask(method.clone(), &path, body).await;
            assert!(reply.status.as_u16() < 500, "{said}: {}", reply.text);
            if reply.status.is_success() {
                check(&api, &said).await;
                done += 1;
                let kind = path.split('/').step_by(2).collect::<Vec<_>>().join(" ");
                kinds.insert(format!("{method} {kind}"));
            }
            let now = lab(&api.snapshot().await.config);
            assert!(Arc::ptr_eq(&apart, &now), "{said}: everything has been read");
        }
        assert!(150 < done && 35 < kinds.len(), "only {done} of {kinds:?}");
    }
}

/// What is asked: a method, a path and a body.
type Line = (Method, String, Value);

const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Numbers that follow from the first.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one(&mut self, letter: &str) -> String {
        format!("{letter}{}", self.throw(3))
    }

    fn change(&mut self) -> Line {
        match self.throw(44) {
            n @ 0..12 => self.people(n),
            n @ 12..29 => self.things(n),
            n @ 29..39 => self.apps(n),
            _ => self.rights(),
        }
    }

    fn people(&mut self, n: u64) -> Line {
        let (user, team, other) = (self.one("u"), self.one("t"), self.throw(3));
        let (users, teams) = (String::from("users"), String::from("teams"));
        let attributes = json!({"attributes": {"clearance": other}});
        match n {
            0 | 1 => (POST, users, json!({ "name": user })),
            2 => (DELETE, format!("users/{user}"), Value::Null),
            3 => (PATCH, format!("users/{user}"), json!({"name": format!("u{other}")})),
            4 => (PATCH, format!("users/{user}"), attributes),
            5 | 6 => (POST, teams, json!({ "name": team })),
            7 => (DELETE, format!("teams/{team}"), Value::Null),
            8 => (PATCH, format!("teams/{team}"), json!({"name": format!("t{other}")})),
            9 | 10 => (PUT, format!("teams/{team}/members/{user}"), Value::Null),
            _ => (DELETE, format!("teams/{team}/members/{user}"), Value::Null),
        }
    }

    fn things(&mut self, n: u64) -> Line {
        let [team, server, gateway] = ["t", "s", "g"].map(|it| self.one(it));
        let other = self.throw(3);
        let transport = json!({"type": "http", "url": format!("https://n{other}.example/mcp")});
        let tools = json!({"expose": "named", "names": [format!("tool{other}"), "more"]});
        let review = if other == 0 { "off" } else { "on" };
        let rule =
            json!({"name": format!("rule{other}"), "pattern": "@", "action": {"type": "mask"}});
        let own = format!("gateways/{gateway}");
        let assigned = format!("{own}/assignments/{server}");
        match n {
            12 | 13 => {
                let new = json!({"name": server, "transport": transport, "review": review});
                (POST, "servers".into(), new)
            }
            14 => (PATCH, format!("servers/{server}"), json!({ "transport": transport })),
            15 => (PATCH, format!("servers/{server}"), json!({ "review": review })),
            16 => (DELETE, format!("servers/{server}"), Value::Null),
            17 | 18 => (POST, "gateways".into(), json!({"name": gateway, "teams": [team]})),
            19 => (PATCH, own, json!({"name": format!("g{other}")})),
            20 => (DELETE, own, Value::Null),
            21 => (PUT, format!("{own}/teams/{team}"), Value::Null),
            22 => (DELETE, format!("{own}/teams/{team}"), Value::Null),
            23 | 24 => {
                (POST, format!("{own}/assignments"), json!({"server": server, "tools": tools}))
            }
            25 => (PATCH, assigned, json!({"tools": tools, "position": other})),
            26 => (DELETE, assigned, Value::Null),
            27 => (POST, format!("{own}/rules"), rule),
            _ => (DELETE, format!("{own}/rules/rule{other}"), Value::Null),
        }
    }

    fn apps(&mut self, n: u64) -> Line {
        let [user, gateway, app] = ["u", "g", "a"].map(|it| self.one(it));
        let other = self.throw(2);
        let connected = format!("apps/{app}/connections/{gateway}");
        match n {
            29 | 30 => (POST, "apps".into(), json!({"name": app, "owner": user, "purpose": "p"})),
            31 => (PATCH, format!("apps/{app}"), json!({ "owner": user })),
            32 => (DELETE, format!("apps/{app}"), Value::Null),
            33 | 34 => (POST, format!("apps/{app}/connections"), json!({ "gateway": gateway })),
            35 => (PATCH, connected, json!({"picked": other != 0})),
            36 => (DELETE, connected, Value::Null),
            37 => (POST, format!("apps/{app}/tokens"), json!({"name": format!("token{other}")})),
            _ => (DELETE, format!("apps/{app}/tokens/token{other}"), Value::Null),
        }
    }

    fn rights(&mut self) -> Line {
        let [user, team, server, role] = ["u", "t", "s", "r"].map(|it| self.one(it));
        let other = self.throw(3);
        let limit = json!({"name": format!("l{other}"), "scope": {"type": "user", "user": user},
            "unit": "calls", "allowance": {"type": "quota", "amount": 5 + other, "per": "day"}});
        let hour = 20 + other;
        let policy =
            format!("forbid(principal, action, resource) when {{ context.hour > {hour} }};");
        let pins = format!(
            "kind: Server\nname: {server}\n\
             transport: {{ type: http, url: 'https://n{other}.example/mcp' }}\n\
             pins:\n  - kind: tool\n    name: tool{other}\n    hash: 'sha256:{}'\n",
            format!("0{other}").repeat(32)
        );
        let grant = |holder: &str, name: &str| json!({"name": format!("given{other}"), "role": role, holder: name});
        let held = |it: &str| json!({ "capabilities": [it] });
        match self.throw(14) {
            0 | 1 => {
                (POST, "roles".into(), json!({"name": role, "capabilities": ["servers:read"]}))
            }
            2 => (PATCH, format!("roles/{role}"), held("rules:read")),
            3 => (DELETE, format!("roles/{role}"), Value::Null),
            4 => (POST, "role-grants".into(), grant("user", &user)),
            5 => (POST, "role-grants".into(), grant("team", &team)),
            6 => (DELETE, format!("role-grants/given{other}"), Value::Null),
            7 => (POST, "limits".into(), limit),
            8 => (DELETE, format!("limits/l{other}"), Value::Null),
            9 => (POST, "policies".into(), json!({"name": format!("p{other}"), "text": policy})),
            10 => (PATCH, format!("policies/p{other}"), json!({"enabled": other == 0})),
            11 => (DELETE, format!("policies/p{other}"), Value::Null),
            _ => (POST, "apply".into(), json!({ "text": pins })),
        }
    }
}
