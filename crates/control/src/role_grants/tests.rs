use axum::http::Method;
use db::sql;
use serde_json::{Value, json};

use crate::testing::Api;

#[tokio::test]
async fn a_grant_holds_until_it_is_taken_back() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let rita = api.given_admin("rita", &[]).await;
        let look = async || api.ask_as(&rita, Method::GET, "servers/jira", None).await.status;
        assert_eq!(look().await, 404);
        api.given("roles", json!({"name": "keeper", "capabilities": ["servers:read"]})).await;
        let new = json!({"name": "given", "role": "keeper", "user": "rita", "on": "server/jira"});
        let made = api.given("role-grants", new).await;
        assert_eq!(made["on"], "server/jira");
        assert_eq!(look().await, 200);
        assert_eq!(api.delete("role-grants/given").await.status, 204);
        assert_eq!(look().await, 404);

        // By a team, for as long as one is in it.
        let new = json!({"name": "given", "role": "keeper", "team": "dev"});
        api.given("role-grants", new).await;
        assert_eq!(look().await, 404);
        assert_eq!(api.put("teams/dev/members/rita").await.status, 200);
        assert_eq!(look().await, 200);
        assert_eq!(api.delete("teams/dev/members/rita").await.status, 200);
        assert_eq!(look().await, 404);

        // By a role, for as long as it says so.
        let new = json!({"name": "again", "role": "keeper", "user": "rita"});
        api.given("role-grants", new).await;
        assert_eq!(look().await, 200);
        assert_eq!(api.patch("roles/keeper", json!({"capabilities": []})).await.status, 200);
        assert_eq!(look().await, 404);
    }
}

#[tokio::test]
async fn h168_lists_show_what_the_grants_cover_page_by_page() {
    for api in Api::on_each_database().await {
        let transport = |name: &str| {
            let url = format!("https://{name}.example/mcp");
            json!({"name": name, "transport": {"type": "http", "url": url}})
        };
        for i in 0..7 {
            api.given("servers", transport(&format!("s{i}"))).await;
            api.given("gateways", json!({"name": format!("g{i}")})).await;
            api.given("teams", json!({"name": format!("t{i}")})).await;
        }
        let on = [
            "server/s1",
            "server/s3",
            "server/s5",
            "gateway/g0",
            "gateway/g6",
            "team/t2",
            "team/t4",
        ];
        let kim = api.given_admin("kim", &on.map(|it| ("workspace-admin", it))).await;
        // What one sees in two ways is there once.
        assert_eq!(api.put("teams/t2/members/kim").await.status, 200);
        assert_eq!(api.put("gateways/g6/teams/t2").await.status, 200);
        assert_eq!(api.put("gateways/g5/teams/t2").await.status, 200);
        let cases = [
            ("servers", vec!["s1", "s3", "s5"]),
            ("gateways", vec!["g0", "g5", "g6"]),
            ("teams", vec!["t2", "t4"]),
            ("users", vec!["kim"]),
            (
                "role-grants",
                (0..7)
                    .map(|i| ["kim-0", "kim-1", "kim-2", "kim-3", "kim-4", "kim-5", "kim-6"][i])
                    .collect(),
            ),
            ("apps", vec![]),
            ("identities", vec![]),
        ];
        for (list, expected) in cases {
            for limit in [1, 2, 3, 50] {
                assert_eq!(api.pages(&kim, list, limit).await, expected, "{list} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold_there() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let give = ["roles:read", "roles:write", "servers:read"];
        api.given("roles", json!({"name": "giver", "capabilities": give})).await;
        api.given("roles", json!({"name": "reader", "capabilities": ["servers:read"]})).await;
        api.given("roles", json!({"name": "writer", "capabilities": ["servers:write"]})).await;
        api.given("users", json!({"name": "mallory"})).await;
        let wide = api.given_admin("wide", &[("giver", "workspace")]).await;
        let narrow = api.given_admin("narrow", &[("giver", "server/jira")]).await;
        let cases = [
            (&wide, "reader", "workspace", 201),
            (&wide, "reader", "server/jira", 201),
            (&wide, "writer", "workspace", 403),
            (&wide, "writer", "server/jira", 403),
            (&wide, "workspace-admin", "workspace", 403),
            (&wide, "super-admin", "workspace", 422),
            (&wide, "member", "workspace", 422),
            (&narrow, "reader", "server/jira", 201),
            (&narrow, "writer", "server/jira", 403),
            (&narrow, "reader", "workspace", 403),
            // What they cannot see is not there.
            (&narrow, "reader", "gateway/main", 422),
            (&narrow, "reader", "gateway/none", 422),
        ];
        for (i, (token, role, on, expected)) in cases.into_iter().enumerate() {
            for holder in ["user", "team"] {
                let name = format!("{holder}-{i}");
                let to = if holder == "user" { "mallory" } else { "dev" };
                let grant = json!({"name": name, "role": role, holder: to, "on": on});
                let reply = api.ask_as(token, Method::POST, "role-grants", Some(grant)).await;
                assert_eq!(reply.status, expected, "{role} on {on}: {}", reply.text);
            }
        }
    }
}

/// Whoever decides about a team's people does not decide about what the team has been granted.
#[tokio::test]
async fn nobody_is_put_into_a_team_that_holds_more_than_whoever_does_it() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("teams", json!({"name": "admins"})).await;
        let grant = json!({"name": "a", "role": "workspace-admin", "team": "admins"});
        api.given("role-grants", grant).await;
        let people = ["people:read", "people:write"];
        api.given("roles", json!({"name": "people", "capabilities": people})).await;
        let eve = api.given_admin("eve", &[("people", "workspace")]).await;
        let ask = async |method: Method, path: &str, body: Option<Value>| {
            api.ask_as(&eve, method, path, body).await
        };
        let joins = ask(Method::PUT, "teams/admins/members/eve", None).await;
        assert_eq!(joins.problem(), (403, "forbidden".into()));
        let sets = json!({"members": ["eve"]});
        assert_eq!(ask(Method::PATCH, "teams/admins", Some(sets)).await.problem().0, 403);
        let file = "{kind: Team, name: admins, members: [eve]}";
        let applied = ask(Method::POST, "apply", Some(json!({ "text": file }))).await;
        assert_eq!(applied.problem(), (403, "forbidden".into()), "{}", applied.text);
        // A team that has been granted nothing is hers to fill, and those who are in it may stay.
        assert_eq!(ask(Method::PUT, "teams/dev/members/eve", None).await.status, 200);
        assert_eq!(api.put("teams/admins/members/ann").await.status, 200);
        let same = json!({"members": ["ann"]});
        assert_eq!(ask(Method::PATCH, "teams/admins", Some(same)).await.status, 200);
    }
}

#[tokio::test]
async fn h163_a_workspace_keeps_an_administrator() {
    for api in Api::on_each_database().await {
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        api.given("teams", json!({"name": "admins"})).await;
        let ask = async |method: Method, path: &str, body: Option<Value>| {
            let reply = api.ask_as(&root, method, path, body).await;
            (reply.status.as_u16(), reply.text)
        };
        for path in ["role-grants/root-0", "users/root"] {
            let (status, text) = ask(Method::DELETE, path, None).await;
            assert_eq!(status, 409, "{path}: {text}");
            assert!(text.contains("without anybody who is `workspace-admin`"), "{text}");
        }
        // By a team it is the same.
        let grant = json!({"name": "all", "role": "workspace-admin", "team": "admins"});
        assert_eq!(ask(Method::POST, "role-grants", Some(grant)).await.0, 201);
        assert_eq!(ask(Method::DELETE, "role-grants/root-0", None).await.0, 409);
        assert_eq!(ask(Method::PUT, "teams/admins/members/root", None).await.0, 200);
        assert_eq!(ask(Method::DELETE, "role-grants/root-0", None).await.0, 204);
        assert_eq!(ask(Method::DELETE, "teams/admins/members/root", None).await.0, 409);
        let nobody = json!({"members": []});
        assert_eq!(ask(Method::PATCH, "teams/admins", Some(nobody)).await.0, 409);
        assert_eq!(ask(Method::DELETE, "teams/admins", None).await.0, 409);
        assert_eq!(ask(Method::DELETE, "role-grants/all", None).await.0, 409);
        let file = "{kind: Team, name: admins, members: []}";
        assert_eq!(ask(Method::POST, "apply", Some(json!({ "text": file }))).await.0, 409);
        assert_eq!(ask(Method::GET, "users", None).await.0, 200);
        // Whoever stands above can always make another one, and may empty it.
        assert_eq!(api.delete("role-grants/all").await.status, 204);
    }
}

/// Who is off is nobody, so one who is off does not count, and nobody turns off the last one but
/// somebody else.
#[tokio::test]
async fn h163_the_administrator_who_stays_is_not_one_who_is_off() {
    for api in Api::on_each_database().await {
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let ask = async |method: Method, path: &str, body: Option<Value>| {
            api.ask_as(&root, method, path, body).await.status.as_u16()
        };
        let off = Some(json!({"enabled": false}));
        let cut = |name: &str| Some(json!({"kind": "user", "name": name, "seconds": 60}));
        assert_eq!(ask(Method::POST, "cutoffs", cut("kim")).await, 200);
        assert_eq!(ask(Method::DELETE, "role-grants/root-0", None).await, 409);
        assert_eq!(ask(Method::DELETE, "users/root", None).await, 409);
        assert_eq!(ask(Method::PATCH, "users/root", off.clone()).await, 409);
        assert_eq!(ask(Method::POST, "cutoffs", cut("root")).await, 409);
        let file = "{kind: User, name: root, enabled: false}";
        assert_eq!(ask(Method::POST, "apply", Some(json!({ "text": file }))).await, 409);
        let back = json!({"kind": "user", "name": "kim"});
        assert_eq!(api.post("restores", back).await.status, 200);
        assert_eq!(ask(Method::PATCH, "users/root", off).await, 200);
        assert_eq!(ask(Method::GET, "users", None).await, 401);
        // Others are cut off whoever they are.
        assert_eq!(api.post("cutoffs", cut("kim").unwrap()).await.status, 200);
    }
}

/// A file is no way around anything.
#[tokio::test]
async fn a_file_needs_what_its_changes_need() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let held = ["servers:read", "servers:write", "roles:read", "roles:write"];
        api.given("roles", json!({"name": "some", "capabilities": held})).await;
        let eve = api.given_admin("eve", &[("some", "workspace")]).await;
        let server = |name: &str, more: &str| {
            let url = format!("https://{name}.example/mcp");
            format!(
                "{{kind: Server, name: {name}, transport: {{type: http, url: \"{url}\"}}{more}}}"
            )
        };
        let command = "{kind: Server, name: own, transport: {type: stdio, command: sh}}";
        let grant = "{kind: RoleGrant, name: up, user: eve, role: workspace-admin}";
        let role = "{kind: Role, name: some, capabilities: [people:write]}";
        let headers = "{kind: Identity, name: ann-jira, server: jira, owner: ann, \
                       headers: {authorization: 'env:GUESS'}}";
        let cases = [
            (server("wiki", ""), 200),
            (server("jira", ""), 200),
            (server("jira", ", enabled: false"), 403),
            (command.to_owned(), 403),
            (grant.to_owned(), 403),
            (role.to_owned(), 403),
            ("{kind: User, name: mallory}".to_owned(), 403),
            ("{kind: User, name: ann}".to_owned(), 403),
            ("{kind: Team, name: dev, members: [eve]}".to_owned(), 403),
            ("{kind: Gateway, name: main}".to_owned(), 403),
            ("{kind: App, name: bot, owner: ann, purpose: triage}".to_owned(), 403),
            ("{kind: Workspace, name: default, durability: synced}".to_owned(), 403),
            (headers.to_owned(), 403),
        ];
        for (text, expected) in cases {
            for path in ["diff", "apply"] {
                let body = json!({"text": text, "secrets": {"env:GUESS": "Bearer hunter2"}});
                let reply = api.ask_as(&eve, Method::POST, path, Some(body)).await;
                assert_eq!(reply.status, expected, "{path} {text}: {}", reply.text);
            }
        }
    }
}

/// Whoever may see nothing learns nothing from files: neither what exists, nor whose it is.
#[tokio::test]
async fn a_file_tells_nothing_of_what_may_not_be_seen() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let owned = json!({"owner": "platform", "text": "{kind: Team, name: secret-team}"});
        assert_eq!(api.post("apply", owned).await.status, 200);
        let eve = api.given_admin("eve", &[]).await;
        let ask = async |body: Value| {
            let reply = api.ask_as(&eve, Method::POST, "diff", Some(body)).await;
            (reply.status.as_u16(), reply.text)
        };
        let of = |kind: &str, name: &str| {
            let more = match kind {
                "Server" => ", transport: {type: http, url: \"https://a.example\"}",
                "Identity" => ", server: nowhere, headers: {a: 'env:A'}",
                "App" => ", owner: eve, purpose: none",
                "Limit" => {
                    ", scope: {type: workspace}, unit: calls, \
                     allowance: {type: quota, amount: 1, per: day}"
                }
                "Role" => ", capabilities: []",
                _ => "",
            };
            json!({"text": format!("{{kind: {kind}, name: {name}{more}}}"), "secrets": {"env:A": "b"}})
        };
        api.given_a_limit().await;
        api.given("roles", json!({"name": "keeper", "capabilities": []})).await;
        for (kind, name) in [
            ("User", "ann"),
            ("Team", "dev"),
            ("Team", "secret-team"),
            ("Server", "jira"),
            ("Identity", "ann-jira"),
            ("Gateway", "main"),
            ("App", "bot"),
            ("Limit", "few"),
            ("Role", "keeper"),
        ] {
            let (status, there) = ask(of(kind, name)).await;
            let (_, absent) = ask(of(kind, "no-such")).await;
            assert_ne!(status, 200, "{kind}: {there}");
            let told = |text: &str| text.replace(name, "X").replace("no-such", "X");
            let detail =
                |text: &str| serde_json::from_str::<Value>(&told(text)).unwrap()["detail"].clone();
            assert_eq!(detail(&there), detail(&absent), "{kind}");
        }
        let text = "kind: Workspace\nname: default\n";
        let prune = json!({"owner": "platform", "text": text, "prune": true});
        let (status, text) = ask(prune).await;
        assert_eq!(status, 403, "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// A grant that a file has made and changes stays with its set.
#[tokio::test]
async fn a_grant_that_is_given_anew_by_a_file_still_belongs_to_it() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let role = "{kind: Role, name: some, capabilities: ['people:read']}\n---\n";
        let grant =
            |on: &str| format!("{{kind: RoleGrant, name: up, user: ann, role: some, on: {on}}}");
        let apply = async |text: String| {
            let body = json!({"owner": "platform", "text": text, "prune": true});
            let reply = api.post("apply", body).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let objects = reply.json()["objects"].as_array().unwrap().clone();
            let told = objects.iter().map(|it| {
                format!("{} {}", it["kind"].as_str().unwrap(), it["outcome"].as_str().unwrap())
            });
            told.collect::<Vec<_>>()
        };
        let made = apply(format!("{role}{}", grant("workspace"))).await;
        assert_eq!(made, ["Role created", "RoleGrant created"]);
        let changed = apply(format!("{role}{}", grant("gateway/main"))).await;
        assert_eq!(changed, ["Role unchanged", "RoleGrant changed"]);
        let others = json!({"owner": "others", "text": grant("gateway/main")});
        assert_eq!(api.post("apply", others).await.status, 409, "it is still theirs");
        assert_eq!(apply(role.to_owned()).await, ["Role unchanged", "RoleGrant deleted"]);
    }
}

#[tokio::test]
async fn a_command_is_run_by_those_above_the_workspace_alone() {
    for api in Api::on_each_database().await {
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        let command = json!({"type": "stdio", "command": "sh"});
        let new = json!({"name": "own", "transport": command});
        let reply = api.ask_as(&root, Method::POST, "servers", Some(new)).await;
        assert_eq!(reply.problem(), (403, "forbidden".into()));
        assert!(reply.text.contains("`commands:write`"), "{}", reply.text);
        let http = json!({"type": "http", "url": "https://jira.example/mcp"});
        let new = json!({"name": "jira", "transport": http});
        assert_eq!(api.ask_as(&root, Method::POST, "servers", Some(new)).await.status, 201);
        let patch = json!({ "transport": command });
        let reply = api.ask_as(&root, Method::PATCH, "servers/jira", Some(patch)).await;
        assert_eq!(reply.problem().0, 403);
    }
}

/// What has been turned off by those who may is not turned on again by those who may not.
#[tokio::test]
async fn turning_on_and_off_needs_its_own_capability() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let held = ["servers:read", "servers:write", "gateways:read", "gateways:write"];
        api.given("roles", json!({"name": "some", "capabilities": held})).await;
        let eve = api.given_admin("eve", &[("some", "workspace")]).await;
        for path in ["servers/jira", "gateways/main", "gateways/main/assignments/jira"] {
            assert_eq!(api.patch(path, json!({"enabled": false})).await.status, 200);
            for enabled in [true, false] {
                let patch = json!({ "enabled": enabled });
                let reply = api.ask_as(&eve, Method::PATCH, path, Some(patch)).await;
                assert_eq!(reply.problem(), (403, "forbidden".into()), "{path}");
            }
        }
    }
}

/// Whoever waits for their turn to change something does it by what they hold when it has come.
#[tokio::test]
async fn a_token_that_is_revoked_while_a_change_waits_changes_nothing() {
    for api in Api::on_each_database().await {
        let workspace = api.snapshot().await.config.workspaces["default"].id.0;
        let other = api.control.mint_admin_token("other").await.unwrap();
        let other = other.expose_text().unwrap().to_owned();
        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(sql("UPDATE epoch SET epoch = epoch + 1")).await.unwrap();
        tx.execute(sql("DELETE FROM admin_tokens WHERE name = 'other'")).await.unwrap();
        let new = Some(json!({"name": "late"}));
        let mut asking = Box::pin(api.ask_as(&other, Method::POST, "users", new));
        let has_begun =
            || api.log.tail(workspace, 1).iter().any(|it| it.text.contains("\"actor\":\"other\""));
        while !has_begun() {
            assert!(futures::poll!(asking.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
        let reply = asking.await;
        assert_eq!(reply.status, 401, "{}", reply.text);
        assert_eq!(api.get("users/late").await.status, 404);
    }
}

/// More changes than the database has connections wait for each other, and none of them for one.
#[tokio::test]
async fn many_changes_at_once_wait_for_nothing_but_their_turn() {
    for api in Api::on_each_database().await {
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let asking = (0..24).map(|i| {
            let new = Some(json!({"name": format!("u{i}")}));
            api.ask_as(&kim, Method::POST, "users", new)
        });
        for reply in futures::future::join_all(asking).await {
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }
}

#[tokio::test]
async fn what_is_taken_away_while_a_change_waits_is_gone() {
    for api in Api::on_each_database().await {
        let workspace = api.snapshot().await.config.workspaces["default"].id.0;
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(sql("UPDATE epoch SET epoch = epoch + 1, config = epoch + 1")).await.unwrap();
        tx.execute(sql("DELETE FROM role_grants")).await.unwrap();
        let new = Some(json!({"name": "late"}));
        let mut asking = Box::pin(api.ask_as(&kim, Method::POST, "users", new));
        let has_begun = || {
            let records = api.log.tail(workspace, 1);
            records.iter().any(|it| it.text.contains("kim/cli"))
        };
        // Let in, and recorded, while what it needs was there.
        while !has_begun() {
            assert!(futures::poll!(asking.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
        let reply = asking.await;
        assert_eq!(reply.problem(), (403, "forbidden".into()), "{}", reply.text);
        assert_eq!(api.get("users/late").await.status, 404);
    }
}
