use axum::http::Method;
use serde_json::{Value, json};

use crate::testing::Api;

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
        let (allowed, because, kinds) = ask(CALL).await;
        assert!(allowed);
        assert_eq!(because, "app `bot` may call `search` of `main/jira` for user `ann`");
        assert_eq!(kinds, whole);
        let (allowed, _, kinds) = ask("why?app=bot&gateway=main").await;
        assert!(allowed);
        assert_eq!(kinds, whole[..5]);
        assert!(ask("why?user=ann&gateway=main&tool=jira/search").await.0);

        let hidden = json!({"tools": {"expose": "named", "names": ["get"]}});
        let shown = json!({"tools": {"expose": "all"}});
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
