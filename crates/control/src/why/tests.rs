use std::sync::Arc;

use axum::http::Method;
use domain::limits::{Charge, Holder};
use serde_json::{Value, json};

use crate::testing::{Api, Lists};

const CALL: &str = "why?app=bot&gateway=main&tool=jira/search";

/// The chain as far as it goes, and what decides.
fn told(reply: &Value) -> (bool, String, Vec<String>) {
    let answer = &reply["answers"][0];
    assert_eq!(reply["allowed"], answer["allowed"]);
    let chain = answer["chain"].as_array().unwrap();
    let holds: Vec<bool> = chain.iter().map(|it| it["holds"].as_bool().unwrap()).collect();
    let allowed = answer["allowed"].as_bool().unwrap();
    // All hold but the last, and that only where it is allowed.
    assert!(holds[..holds.len() - 1].iter().all(|it| *it), "{reply}");
    assert_eq!(holds.last(), Some(&allowed), "{reply}");
    let kinds = chain.iter().map(|it| it["kind"].as_str().unwrap().to_owned());
    (allowed, answer["because"].as_str().unwrap().to_owned(), kinds.collect())
}

#[tokio::test]
async fn a_call_is_explained_link_by_link() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let ask = async |path: &str| told(&api.get(path).await.json());
        let (allowed, because, kinds) = ask(CALL).await;
        assert_eq!((allowed, kinds.len()), (false, 2));
        assert_eq!(because, "app `bot` has no valid token to present");
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;

        let whole =
            ["app", "token", "connection", "team", "gateway", "assignment", "identity", "tool"];
        api.control.set_offers(Arc::new(Lists));
        assert_eq!(api.patch("servers/jira", json!({"review": "off"})).await.status, 200);
        let (allowed, because, kinds) = ask(CALL).await;
        assert!(allowed);
        assert_eq!(because, "app `bot` may call `search` of `main/jira` for user `ann`");
        assert_eq!(kinds, [&whole[..], &["definition"]].concat());
        let (allowed, because, _) = ask("why?app=bot&gateway=main&tool=jira/none").await;
        assert_eq!((allowed, because.as_str()), (false, "server `jira` lists no tool `none`"));
        let (allowed, _, kinds) = ask("why?app=bot&gateway=main").await;
        assert!(allowed);
        assert_eq!(kinds, whole[..5]);
        assert!(ask("why?user=ann&gateway=main&tool=jira/search").await.0);

        let hidden = json!({"tools": {"expose": "named", "names": ["get"]}});
        let shown = json!({"tools": {"expose": "all"}});
        let unlike = json!({"tools": {"expose": "conditions", "where": {"readOnlyHint": true}}});
        let none = json!({"identities": []});
        let own = json!({"identities": ["ann-jira"]});
        let cut = json!({"kind": "tool", "name": "jira/search", "reason": "it leaks"});
        let assignment = "gateways/main/assignments/jira";
        let connection = "apps/bot/connections/main";
        let cases = [
            (
                (Method::PATCH, assignment, Some(hidden)),
                (Method::PATCH, assignment, Some(shown)),
                "assignment `main/jira` does not expose the tool `search`",
                "tool",
            ),
            (
                (Method::PATCH, assignment, Some(unlike)),
                (Method::PATCH, assignment, Some(json!({"tools": {"expose": "all"}}))),
                "the condition of assignment `main/jira` does not hold for what its server says \
                 of the tool `search`",
                "definition",
            ),
            (
                (Method::PATCH, connection, Some(none)),
                (Method::PATCH, connection, Some(own)),
                "connection `bot/main` has no credential for server `jira`",
                "identity",
            ),
            (
                (Method::DELETE, "teams/dev/members/ann", None),
                (Method::PUT, "teams/dev/members/ann", None),
                "gateway `main` is granted to none of the teams of user `ann`",
                "team",
            ),
            (
                (Method::POST, "cutoffs", Some(cut.clone())),
                (Method::POST, "restores", Some(json!({"kind": "tool", "name": "jira/search"}))),
                "tool `jira/search` is turned off: it leaks",
                "tool",
            ),
            (
                (Method::DELETE, connection, None),
                (Method::DELETE, "gateways/main/teams/dev", None),
                "app `bot` is not connected to gateway `main`",
                "connection",
            ),
        ];
        for (before, after, expected, decides) in cases {
            let (method, path, body) = before;
            assert!(api.ask(method, path, body).await.status.is_success(), "{expected}");
            let (allowed, because, kinds) = ask(CALL).await;
            assert_eq!((allowed, because.as_str()), (false, expected));
            assert_eq!(kinds.last().map(String::as_str), Some(decides), "{expected}");
            let (method, path, body) = after;
            assert!(api.ask(method, path, body).await.status.is_success(), "{expected}");
        }
    }
}

#[tokio::test]
async fn an_act_is_explained_by_its_grant() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("roles", json!({"name": "keeper", "capabilities": ["rules:write"]})).await;
        let grant = json!({"name": "given", "role": "keeper", "team": "dev", "on": "gateway/main"});
        api.given("role-grants", grant).await;
        let ask = async |path: &str| told(&api.get(path).await.json());
        let (allowed, because, _) =
            ask("why?user=ann&capability=rules:write&on=gateway/main").await;
        assert!(allowed);
        let expected = "grant `given` gives team `dev` the role `keeper`, which holds \
                        `rules:write`, on gateway `main`";
        assert_eq!(because, expected);
        let (allowed, because, _) = ask("why?user=ann&capability=rules:write").await;
        let expected = "no role of user `ann` holds `rules:write` on workspace";
        assert_eq!((allowed, because.as_str()), (false, expected));
        let (allowed, because, kinds) =
            ask("why?user=ann&capability=gateways:read&on=gateway/main").await;
        assert!(allowed);
        assert_eq!(kinds, ["user", "role"]);
        assert!(because.contains("`member`"), "{because}");
    }
}

#[tokio::test]
async fn what_a_server_lists_decides_as_far_as_it_is_known() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let ask = async |path: &str| told(&api.get(path).await.json());
        let (allowed, because, _) = ask(CALL).await;
        assert!(!allowed);
        let unknown = "what decides is what server `jira` lists, and nobody has asked it yet";
        assert_eq!(because, unknown);
        api.control.set_offers(Arc::new(Lists));
        let (allowed, because, _) = ask(CALL).await;
        assert!(!allowed);
        let unapproved = "server `jira` is under review, and this definition of the tool `search` is \
                          not approved";
        assert_eq!(because, unapproved);
    }
}

#[tokio::test]
async fn policies_are_asked_about_what_a_server_lists() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        assert_eq!(api.patch("servers/jira", json!({"review": "off"})).await.status, 200);
        let text = r#"forbid(principal, action == Action::"call", resource)
            when { resource.effect != "read" };"#;
        api.given("policies", json!({"name": "readers", "text": text})).await;
        let ask = async |more: &str| told(&api.get(&format!("{CALL}{more}")).await.json());
        let refused = "the policy `readers` refuses it";
        let (allowed, because, kinds) = ask("").await;
        let unknown = "what decides is what server `jira` lists, and nobody has asked it yet";
        assert_eq!((allowed, because.as_str()), (false, unknown));
        assert_eq!(kinds.last().map(String::as_str), Some("policy"));
        assert!(ask("&effect=read").await.0);
        assert_eq!(ask("&effect=write").await.1, refused);

        // What is listed goes before what is said of it: nothing says that it only reads.
        api.control.set_offers(Arc::new(Lists));
        let (allowed, because, kinds) = ask("&effect=read").await;
        assert_eq!((allowed, because.as_str()), (false, refused));
        assert_eq!(kinds[kinds.len() - 2..], ["definition", "policy"]);
        assert_eq!(api.patch("servers/jira", json!({"review": "on"})).await.status, 200);
        assert!(ask("").await.1.ends_with("is not approved"));
        assert_eq!(api.patch("servers/jira", json!({"review": "off"})).await.status, 200);

        let text = r#"forbid(principal, action, resource)
            unless { context.address.isInRange(ip("192.0.2.0/24")) };"#;
        assert_eq!(api.patch("policies/readers", json!({ "text": text })).await.status, 200);
        let (allowed, _, kinds) = ask("").await;
        assert!(allowed);
        assert_eq!(kinds.last().map(String::as_str), Some("policy"));
        assert!(ask("&from=192.0.2.7").await.0);
        assert_eq!(ask("&from=192.0.3.7").await.1, refused);
    }
}

#[tokio::test]
async fn limits_that_have_no_room_are_named() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        api.control.set_offers(Arc::new(Lists));
        assert_eq!(api.patch("servers/jira", json!({"review": "off"})).await.status, 200);
        api.given_a_limit().await;
        let quota = json!({"type": "quota", "amount": 2, "per": "month"});
        let scope = json!({"type": "team"});
        let limit = json!({"name": "team", "scope": scope, "unit": "calls", "allowance": quota});
        api.given("limits", limit).await;
        let ask = async || told(&api.get(CALL).await.json());
        let workspace = Arc::clone(&api.snapshot().await.config.workspaces["default"]);
        let (allowed, _, kinds) = ask().await;
        assert!(allowed);
        assert_eq!(kinds[kinds.len() - 2..], ["limit", "limit"]);
        let team = *workspace.teams.keys().next().unwrap();
        for (name, id, calls) in [("few", workspace.id.0, 5), ("team", team.0, 2)] {
            let limit = workspace.limits.iter().find(|it| it.name.as_str() == name).unwrap();
            let holder = Holder { id, tool: "".into() };
            for left in (0..calls).rev() {
                let charge = Charge { limit: Arc::clone(limit), holder: holder.clone(), cost: 1 };
                let counters = api.control.counters();
                counters.charge(workspace.id, vec![charge]).await.unwrap();
                assert_eq!(ask().await.0, 0 < left, "{name} {left}");
            }
            let because = ask().await.1;
            assert_eq!(because, format!("the limit `{name}` allows no more at the moment"));
            assert_eq!(api.delete(&format!("limits/{name}")).await.status, 204);
        }
        assert!(ask().await.0);
    }
}

/// Why is not a way to see what one may not see.
#[tokio::test]
async fn questions_are_answered_to_those_who_may_see_the_answer() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let eve = api.given_admin("eve", &[]).await;
        let ann = api.given("users/ann/admin-tokens", json!({"name": "cli"})).await;
        let ann = ann["secret"].as_str().unwrap();
        let cases = [
            (CALL, 404, 200),
            ("why?user=ann&gateway=main", 404, 200),
            ("why?user=ann&capability=rules:write", 403, 200),
            ("why?user=eve&capability=rules:write", 200, 403),
            ("why?user=nobody&capability=rules:write", 403, 403),
            ("why?app=bot&gateway=none", 404, 404),
        ];
        for (path, to_eve, to_ann) in cases {
            let reply = api.ask_as(&eve, Method::GET, path, None).await;
            assert_eq!(reply.status, to_eve, "Eve: {path}: {}", reply.text);
            let reply = api.ask_as(ann, Method::GET, path, None).await;
            assert_eq!(reply.status, to_ann, "Ann: {path}: {}", reply.text);
        }
        for (on, named) in [("gateway", "main"), ("server", "jira"), ("team", "dev")] {
            for name in [named, "none"] {
                let path = format!("why?user=eve&capability=rules:write&on={on}/{name}");
                let reply = api.ask_as(&eve, Method::GET, &path, None).await;
                assert_eq!(reply.status, 404, "Eve: {path}: {}", reply.text);
            }
        }
        for path in [
            "why",
            "why?user=ann",
            "why?app=bot",
            "why?gateway=main",
            "why?user=ann&app=bot&gateway=main",
            "why?user=ann&gateway=main&capability=rules:write",
            "why?app=bot&capability=rules:write",
            "why?app=bot&gateway=main&tool=search",
            "why?user=ann&capability=rules",
            "why?user=ann&capability=rules:write&on=app/bot",
        ] {
            assert_eq!(api.get(path).await.problem(), (400, "malformed".into()), "{path}");
        }
    }
}
