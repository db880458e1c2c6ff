//! Who may call what: the table of all routes, and everybody at every door.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::Capability;
use serde_json::{Value, json};

use super::needs::Needs;
use super::tests::{Route, routes};
use crate::testing::Api;

/// Every route, and what it needs, as it says itself. A route without a row here fails the build,
/// not the customer.
const GUARDS: &[(&str, &str, &str)] = &[
    ("get", "/accounts", "admin-tokens:read"),
    ("delete", "/accounts/{account}", "admin-tokens:write"),
    ("get", "/admin-tokens", "admin-tokens:read"),
    ("delete", "/admin-tokens/{admin_token}", "admin-tokens:write"),
    ("get", "/openapi.json", "public"),
    ("get", "/records", "records:read"),
    ("get", "/records/{index}", "records:read"),
    ("get", "/records/{index}/proof", "records:read"),
    ("delete", "/records/content/{day}", "records:erase"),
    ("get", "/replicas", "cutoffs:read"),
    ("delete", "/session", "any"),
    ("get", "/policy-schema", "any"),
    ("get", "/session", "any"),
    ("post", "/session", "public"),
    ("get", "/session/account", "any"),
    ("post", "/session/challenge", "public"),
    ("get", "/session/options", "public"),
    ("post", "/session/passkey", "public"),
    ("post", "/session/passkeys", "any"),
    ("post", "/session/passkeys/challenge", "any"),
    ("delete", "/session/passkeys/{passkey}", "any"),
    ("delete", "/session/password", "any"),
    ("post", "/session/password", "public"),
    ("put", "/session/password", "any"),
    ("post", "/session/set-up", "public"),
    ("post", "/session/set-up/challenge", "public"),
    ("post", "/session/step-up", "any"),
    ("delete", "/sessions", "any"),
    ("get", "/sessions", "any"),
    ("delete", "/sessions/{session}", "any"),
    ("get", "/workspaces", "any"),
    ("post", "/workspaces", "workspaces:write"),
    ("delete", "/workspaces/{workspace}", "workspaces:write"),
    ("get", "/workspaces/{workspace}", "any"),
    ("patch", "/workspaces/{workspace}", "workspaces:write"),
    ("post", "/workspaces/{workspace}/apply", "each"),
    ("get", "/workspaces/{workspace}/apps", "apps:read somewhere"),
    ("post", "/workspaces/{workspace}/apps", "apps:write"),
    ("delete", "/workspaces/{workspace}/apps/{app}", "apps:write"),
    ("get", "/workspaces/{workspace}/apps/{app}", "apps:read"),
    ("patch", "/workspaces/{workspace}/apps/{app}", "apps:write"),
    ("get", "/workspaces/{workspace}/apps/{app}/connections", "apps:read"),
    ("post", "/workspaces/{workspace}/apps/{app}/connections", "apps:write somewhere"),
    ("delete", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "apps:write"),
    ("get", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "apps:read"),
    ("patch", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "apps:write"),
    ("get", "/workspaces/{workspace}/apps/{app}/tokens", "apps:read"),
    ("post", "/workspaces/{workspace}/apps/{app}/tokens", "apps:write"),
    ("delete", "/workspaces/{workspace}/apps/{app}/tokens/{token}", "apps:write"),
    ("get", "/workspaces/{workspace}/apps/{app}/tokens/{token}", "apps:read"),
    ("get", "/workspaces/{workspace}/changes/stream", "any"),
    ("get", "/workspaces/{workspace}/connections", "apps:read somewhere"),
    ("get", "/workspaces/{workspace}/cutoffs", "cutoffs:read somewhere"),
    ("post", "/workspaces/{workspace}/cutoffs", "cutoffs:write somewhere"),
    ("post", "/workspaces/{workspace}/diff", "each"),
    ("post", "/workspaces/{workspace}/drills", "cutoffs:write"),
    ("get", "/workspaces/{workspace}/export", "each"),
    ("get", "/workspaces/{workspace}/gateways", "gateways:read somewhere"),
    ("post", "/workspaces/{workspace}/gateways", "gateways:write"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}", "gateways:write"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}", "gateways:read"),
    ("patch", "/workspaces/{workspace}/gateways/{gateway}", "gateways:write"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/assignments", "gateways:read"),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/assignments", "gateways:write"),
    (
        "delete",
        "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}",
        "gateways:write",
    ),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}", "gateways:read"),
    (
        "patch",
        "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}",
        "gateways:write",
    ),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/calls", "gateways:read"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/preview", "gateways:read"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/rules", "rules:read"),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/rules", "rules:write"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "rules:write"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "rules:read"),
    ("patch", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "rules:write"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}/teams/{team}", "gateways:write"),
    ("put", "/workspaces/{workspace}/gateways/{gateway}/teams/{team}", "gateways:write"),
    ("get", "/workspaces/{workspace}/identities", "identities:read somewhere"),
    ("post", "/workspaces/{workspace}/identities", "identities:write somewhere"),
    ("delete", "/workspaces/{workspace}/identities/{identity}", "identities:write"),
    ("get", "/workspaces/{workspace}/identities/{identity}", "identities:read"),
    ("patch", "/workspaces/{workspace}/identities/{identity}", "identities:write"),
    ("get", "/workspaces/{workspace}/limits", "limits:read"),
    ("post", "/workspaces/{workspace}/limits", "limits:write"),
    ("delete", "/workspaces/{workspace}/limits/{limit}", "limits:write"),
    ("get", "/workspaces/{workspace}/limits/{limit}", "limits:read"),
    ("patch", "/workspaces/{workspace}/limits/{limit}", "limits:write"),
    ("get", "/workspaces/{workspace}/limits/{limit}/usage", "limits:read"),
    ("get", "/workspaces/{workspace}/me/apps", "own"),
    ("get", "/workspaces/{workspace}/me/calls", "own"),
    ("get", "/workspaces/{workspace}/me/gateways", "own"),
    ("get", "/workspaces/{workspace}/me/identities", "own"),
    ("get", "/workspaces/{workspace}/overview", "any"),
    ("get", "/workspaces/{workspace}/pins", "pins:read somewhere"),
    ("get", "/workspaces/{workspace}/pins/{pin}", "pins:read somewhere"),
    ("post", "/workspaces/{workspace}/pins/{pin}/approve", "pins:write somewhere"),
    ("post", "/workspaces/{workspace}/pins/{pin}/reject", "pins:write somewhere"),
    ("get", "/workspaces/{workspace}/policies", "policies:read"),
    ("post", "/workspaces/{workspace}/policies", "policies:write"),
    ("delete", "/workspaces/{workspace}/policies/{policy}", "policies:write"),
    ("get", "/workspaces/{workspace}/policies/{policy}", "policies:read"),
    ("patch", "/workspaces/{workspace}/policies/{policy}", "policies:write"),
    ("get", "/workspaces/{workspace}/policies/{policy}/test", "policies:read"),
    ("post", "/workspaces/{workspace}/policy-simulations", "policies:read"),
    ("get", "/workspaces/{workspace}/records", "records:read"),
    ("get", "/workspaces/{workspace}/records/calls", "records:read"),
    ("get", "/workspaces/{workspace}/records/stream", "records:read"),
    ("get", "/workspaces/{workspace}/records/checkpoint", "records:read"),
    ("get", "/workspaces/{workspace}/records/{index}", "records:read"),
    ("get", "/workspaces/{workspace}/records/{index}/proof", "records:read"),
    ("delete", "/workspaces/{workspace}/records/content/{day}", "records:erase"),
    ("post", "/workspaces/{workspace}/restores", "cutoffs:write somewhere"),
    ("get", "/workspaces/{workspace}/role-grants", "roles:read somewhere"),
    ("post", "/workspaces/{workspace}/role-grants", "roles:write somewhere"),
    ("delete", "/workspaces/{workspace}/role-grants/{grant}", "roles:write"),
    ("get", "/workspaces/{workspace}/role-grants/{grant}", "roles:read"),
    ("get", "/workspaces/{workspace}/roles", "roles:read"),
    ("post", "/workspaces/{workspace}/roles", "roles:write"),
    ("delete", "/workspaces/{workspace}/roles/{role}", "roles:write"),
    ("get", "/workspaces/{workspace}/roles/{role}", "roles:read"),
    ("patch", "/workspaces/{workspace}/roles/{role}", "roles:write"),
    ("get", "/workspaces/{workspace}/series", "any"),
    ("get", "/workspaces/{workspace}/servers", "servers:read somewhere"),
    ("post", "/workspaces/{workspace}/servers", "servers:write"),
    ("delete", "/workspaces/{workspace}/servers/{server}", "servers:write"),
    ("get", "/workspaces/{workspace}/servers/{server}", "servers:read"),
    ("patch", "/workspaces/{workspace}/servers/{server}", "servers:write"),
    ("post", "/workspaces/{workspace}/servers/{server}/pins/approve", "pins:write"),
    ("get", "/workspaces/{workspace}/teams", "people:read somewhere"),
    ("post", "/workspaces/{workspace}/teams", "people:write"),
    ("delete", "/workspaces/{workspace}/teams/{team}", "people:write"),
    ("get", "/workspaces/{workspace}/teams/{team}", "people:read"),
    ("patch", "/workspaces/{workspace}/teams/{team}", "people:write"),
    ("delete", "/workspaces/{workspace}/teams/{team}/members/{user}", "people:write"),
    ("put", "/workspaces/{workspace}/teams/{team}/members/{user}", "people:write"),
    ("get", "/workspaces/{workspace}/users", "people:read somewhere"),
    ("post", "/workspaces/{workspace}/users", "people:write"),
    ("delete", "/workspaces/{workspace}/users/{user}", "people:write"),
    ("get", "/workspaces/{workspace}/users/{user}", "people:read"),
    ("patch", "/workspaces/{workspace}/users/{user}", "people:write"),
    ("delete", "/workspaces/{workspace}/users/{user}/account", "people:write"),
    ("get", "/workspaces/{workspace}/users/{user}/admin-tokens", "admin-tokens:read"),
    ("post", "/workspaces/{workspace}/users/{user}/admin-tokens", "admin-tokens:write"),
    (
        "delete",
        "/workspaces/{workspace}/users/{user}/admin-tokens/{user_token}",
        "admin-tokens:write",
    ),
    ("get", "/workspaces/{workspace}/users/{user}/admin-tokens/{user_token}", "admin-tokens:read"),
    ("get", "/workspaces/{workspace}/why", "any"),
];

/// What an address is about, as far as roles can be granted on it or it belongs to somebody: the
/// parameter that says so first, the capability that shows it, and what it is below of.
const OBJECTS: &[(&str, &str, &[&str])] = &[
    ("{gateway}", "gateways:read", &["gateway"]),
    ("{server}", "servers:read", &["server"]),
    ("{team}", "people:read", &["team"]),
    ("{user}", "people:read", &[]),
    ("{identity}", "identities:read", &["server"]),
    ("{connection}", "apps:read", &["gateway"]),
    ("{app}", "apps:read", &[]),
];

/// Where a body says what it is about: the body, what that is below of, and what is needed
/// besides.
const BODIES: &[(&str, &str, &[&str], &str)] = &[
    ("/apps/{app}/connections", r#"{"gateway": "main", "identities": []}"#, &[], "apps:read"),
    ("/cutoffs", r#"{"kind": "server", "name": "jira"}"#, &["server"], ""),
    (
        "/identities",
        r#"{"name": "ann-jira", "server": "jira", "headers": {"x-a": "b"}}"#,
        &["server"],
        "",
    ),
    ("/pins/{pin}/approve", DECISION, &["server"], ""),
    ("/pins/{pin}/reject", DECISION, &["server"], ""),
    ("/restores", r#"{"kind": "server", "name": "jira"}"#, &["server"], ""),
    (
        "/role-grants",
        r#"{"name": "given", "role": "empty", "user": "ann", "on": "gateway/main"}"#,
        &["gateway"],
        "",
    ),
];

/// About another definition than the one that is there.
const DECISION: &str =
    r#"{"hash": "sha256:0000000000000000000000000000000000000000000000000000000000000000"}"#;

/// What everybody holds for what is theirs, so that lists are never refused.
const OWN: &[&str] = &["apps:read", "identities:read", "people:read"];

/// What `workspace-admin` does not hold.
const ABOVE: &[&str] = &["commands:write", "records:erase", "workspaces:write"];

/// Somebody at the door.
struct Visitor {
    name: String,
    token: String,
    /// What they hold.
    held: Vec<&'static str>,
    /// Where: empty for the whole workspace.
    on: &'static [&'static str],
    is_here: bool,
    is_above: bool,
}

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Allowed,
    Forbidden,
    Missing,
}

#[test]
fn every_route_states_what_it_needs() {
    let mut known: BTreeMap<(String, String), String> = BTreeMap::new();
    for route in routes() {
        let said = route.operation.extensions.as_ref().and_then(|it| it.get("x-capability"));
        let said = said.and_then(Value::as_str).unwrap_or("public").to_owned();
        assert_eq!(said == "public", route.operation.security.is_none(), "{}", route.path);
        known.insert((route.method.as_str().to_lowercase(), route.path), said);
    }
    for (method, path, needs) in GUARDS {
        let found = known.remove(&((*method).to_owned(), format!("/api/v1{path}")));
        assert_eq!(found.as_deref(), Some(*needs), "{method} {path}");
        assert_eq!(*needs == "public", Needs::parse(needs).is_none(), "{needs}");
    }
    assert_eq!(known, BTreeMap::new(), "routes without a row");
}

/// Everybody at every door, on both databases: let in, or refused as the table says.
#[tokio::test]
async fn h159_every_route_lets_in_whom_it_should_and_nobody_else() {
    for api in Api::on_each_database().await {
        let visitors = visitors(&api).await;
        let mut tried = 0;
        for route in routes() {
            let path = route.path.strip_prefix("/api/v1").unwrap().to_owned();
            let method = route.method.as_str().to_lowercase();
            let row = GUARDS.iter().find(|it| (it.0, it.1) == (method.as_str(), path.as_str()));
            let needs = row.unwrap().2;
            if needs == "public" {
                continue;
            }
            for visitor in &visitors {
                let expected = fate(visitor, &method, &path, needs);
                let (status, text) = knock(&api, &route, &path, visitor).await;
                let found = match status {
                    403 => Fate::Forbidden,
                    // Of what the body names there is none that they may see.
                    404 | 422
                        // There is nobody else whose account or session it could be.
                        if !path.starts_with("/session")
                            && !text.contains("there is no record")
                            && !text.contains("there is no checkpoint")
                            && !text.contains("there is no content")
                            && !text.contains("ask about a `user` or") =>
                    {
                        Fate::Missing
                    }
                    401 => panic!("{} is known", visitor.name),
                    _ => Fate::Allowed,
                };
                let name = &visitor.name;
                assert_eq!(found, expected, "{name}: {method} {path} ({needs}): {status} {text}");
                tried += 1;
            }
        }
        assert!(2_000 < tried, "{tried}");
    }
}

/// What must become of a request, by the table and nothing else.
fn fate(visitor: &Visitor, method: &str, path: &str, needs: &str) -> Fate {
    let inside = path.strip_prefix("/workspaces/{workspace}");
    if inside.is_some() && !visitor.is_here {
        return Fate::Missing;
    }
    if needs == "own" {
        return if visitor.is_above { Fate::Forbidden } else { Fate::Allowed };
    }
    if visitor.is_above || needs == "any" || needs == "each" && !path.ends_with("/export") {
        return Fate::Allowed;
    }
    if needs == "each" {
        let shows = [
            "apps",
            "gateways",
            "identities",
            "limits",
            "people",
            "pins",
            "policies",
            "roles",
            "rules",
            "servers",
        ];
        let all = shows.iter().all(|it| visitor.held.contains(&format!("{it}:read").as_str()));
        return if all && visitor.on.is_empty() { Fate::Allowed } else { Fate::Forbidden };
    }
    // No role reaches above the workspace.
    let Some(inside) = inside else { return Fate::Forbidden };
    if let Some(needs) = needs.strip_suffix(" somewhere") {
        let holds = visitor.held.contains(&needs);
        if !holds && !OWN.contains(&needs) {
            return Fate::Forbidden;
        }
        if inside.contains("{pin}") {
            let reaches = visitor.on.is_empty() || visitor.on.contains(&"server");
            return if reaches { Fate::Allowed } else { Fate::Missing };
        }
        let Some((_, _, below, also)) = BODIES.iter().find(|it| it.0 == inside) else {
            return Fate::Allowed;
        };
        if method == "get" {
            return Fate::Allowed;
        }
        let reaches = visitor.on.is_empty() || below.iter().any(|it| visitor.on.contains(it));
        let all = also.is_empty() || visitor.held.contains(also);
        return if holds && reaches && all { Fate::Allowed } else { Fate::Missing };
    }
    let object = OBJECTS.iter().find(|it| inside.contains(it.0));
    let reaches = match object {
        _ if visitor.on.is_empty() => true,
        None => false,
        Some((_, _, below)) => below.iter().any(|it| visitor.on.contains(it)),
    };
    match object {
        _ if reaches && visitor.held.contains(&needs) => Fate::Allowed,
        None => Fate::Forbidden,
        Some((_, sight, _)) if reaches && visitor.held.contains(sight) => Fate::Forbidden,
        Some(_) => Fate::Missing,
    }
}

/// Asks for something that changes nothing that matters here, or fails for another reason.
async fn knock(api: &Api, route: &Route, path: &str, visitor: &Visitor) -> (u16, String) {
    let inside = path.strip_prefix("/workspaces/{workspace}").unwrap_or_default();
    let body = BODIES.iter().find(|it| it.0 == inside && route.method == Method::POST);
    let body = match (body, inside) {
        (Some((_, body, ..)), _) => (*body).to_owned(),
        (None, "/apply" | "/diff") => json!({"text": ""}).to_string(),
        (None, "/gateways/{gateway}/calls") => json!({"tool": "search"}).to_string(),
        _ => "{}".to_owned(),
    };
    let request = Request::builder()
        .method(route.method.clone())
        .uri(format!("/api/v1{}", route.address("default")))
        .header(header::AUTHORIZATION, format!("Bearer {}", visitor.token))
        .header(header::IF_MATCH, "\"another\"")
        .header(header::CONTENT_TYPE, "application/json");
    let has_body = route.operation.request_body.is_some();
    let request = request.body(if has_body { Body::from(body) } else { Body::empty() }).unwrap();
    if path.ends_with("/stream") {
        return (api.status(request).await.as_u16(), String::new());
    }
    let reply = api.send(request).await;
    (reply.status.as_u16(), reply.text)
}

async fn visitors(api: &Api) -> Vec<Visitor> {
    api.given_a_chain().await;
    api.given("apps/bot/tokens", json!({"name": "ci"})).await;
    let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}});
    api.given("gateways/main/rules", rule).await;
    api.given_a_limit().await;
    api.given_a_policy().await;
    api.given_a_pin().await;
    api.given("roles", json!({"name": "keeper", "capabilities": ["servers:read"]})).await;
    api.given("roles", json!({"name": "empty", "capabilities": []})).await;
    let given = json!({"name": "given", "role": "keeper", "user": "ann"});
    api.given("role-grants", given).await;
    let made = api.given("users/ann/admin-tokens", json!({"name": "ci"})).await;
    let password = "a few plain words";
    let body = Some(json!({ "password": password }));
    let token = made["secret"].as_str().unwrap();
    let set = api.ask_as(token, Method::PUT, "/session/password", body).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let first = json!({"token": api.token, "name": "ada", "password": password});
    api.given("/session/set-up", first).await;
    api.given("teams", json!({"name": "ops"})).await;
    api.given("gateways", json!({"name": "side"})).await;
    let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
    api.given("servers", json!({"name": "wiki", "transport": transport})).await;

    let nobody = Visitor {
        name: "super-admin".to_owned(),
        token: api.token.clone(),
        held: vec![],
        on: &[],
        is_here: true,
        is_above: true,
    };
    let mut all = vec![nobody];
    let own = |it: Visitor| Visitor { is_above: false, ..it };
    let every: Vec<&str> = Capability::ALL.iter().map(|it| it.as_str()).collect();
    let admin: Vec<&str> = every.iter().copied().filter(|it| !ABOVE.contains(it)).collect();
    let person = |name: &str, token: String| {
        own(Visitor {
            name: name.to_owned(),
            token,
            held: vec![],
            on: &[],
            is_here: true,
            is_above: false,
        })
    };
    all.push(person("member", api.given_admin("member", &[]).await));
    let token = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
    all.push(Visitor { held: admin.clone(), ..person("workspace-admin", token) });
    let here = ["gateway/main", "server/jira", "team/dev"];
    let token = api.given_admin("here", &here.map(|it| ("workspace-admin", it))).await;
    let on = &["gateway", "server", "team"];
    all.push(Visitor { held: admin.clone(), on, ..person("admin of these", token) });
    let there = ["gateway/side", "server/wiki", "team/ops"];
    let token = api.given_admin("there", &there.map(|it| ("workspace-admin", it))).await;
    all.push(Visitor { held: admin.clone(), on: &["another"], ..person("of others", token) });
    for (i, capability) in every.iter().enumerate() {
        let name = format!("only{i}");
        api.given("roles", json!({"name": name, "capabilities": [capability]})).await;
        let token = api.given_admin(&name, &[(&name, "workspace")]).await;
        all.push(Visitor { held: vec![capability], ..person(capability, token) });
    }
    api.given("/workspaces", json!({"name": "other"})).await;
    let token = api.given_admin_in("other", "root", &[("workspace-admin", "workspace")]).await;
    let elsewhere = Visitor { held: admin, on: &["another"], ..person("elsewhere", token) };
    all.push(Visitor { is_here: false, ..elsewhere });
    all
}
