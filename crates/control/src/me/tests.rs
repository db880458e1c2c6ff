use axum::http::Method;
use serde_json::{Value, json};

use crate::testing::Api;

/// What they see of a kind.
async fn mine(api: &Api, token: &str, what: &str) -> Vec<Value> {
    let reply = api.ask_as(token, Method::GET, &format!("me/{what}"), None).await;
    assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    reply.json()["items"].as_array().unwrap().clone()
}

fn names<'a>(items: &'a [Value], at: &str) -> Vec<&'a str> {
    items.iter().map(|it| it.pointer(at).unwrap().as_str().unwrap()).collect()
}

async fn token(api: &Api, user: &str) -> String {
    let made = api.given(&format!("users/{user}/admin-tokens"), json!({"name": "own"})).await;
    made["secret"].as_str().unwrap().to_owned()
}

/// Ann's chain, and beside it all of the same of Bob's.
async fn two_people(api: &Api) -> [String; 2] {
    api.given_a_chain().await;
    api.given("users", json!({"name": "bob"})).await;
    api.given("teams", json!({"name": "ops", "members": ["bob"]})).await;
    api.given("gateways", json!({"name": "side", "teams": ["ops"]})).await;
    api.given("gateways/side/assignments", json!({"server": "jira", "scheme": "own"})).await;
    let headers = json!({"Authorization": "Bearer hunter3"});
    let identity =
        json!({"name": "bob-jira", "server": "jira", "owner": "bob", "headers": headers});
    api.given("identities", identity).await;
    let shared = json!({"name": "all-jira", "server": "jira", "headers": {"x-a": "hunter4"}});
    api.given("identities", shared).await;
    api.given("apps", json!({"name": "other", "owner": "bob", "purpose": "x"})).await;
    let connection = json!({"gateway": "side", "identities": ["bob-jira"]});
    api.given("apps/other/connections", connection).await;
    api.given("apps/bot/tokens", json!({"name": "ci"})).await;
    api.given("apps/other/tokens", json!({"name": "night"})).await;
    [token(api, "ann").await, token(api, "bob").await]
}

#[tokio::test]
async fn each_sees_what_is_theirs_and_nothing_of_others() {
    for api in Api::on_each_database().await {
        let [ann, bob] = two_people(&api).await;
        let root = api.given_admin("root", &[("workspace-admin", "workspace")]).await;
        let cases = [
            (&ann, ["main"], ["bot"], ["ann-jira"], ["ci"]),
            (&bob, ["side"], ["other"], ["bob-jira"], ["night"]),
        ];
        for (token, gateways, apps, identities, tokens) in cases {
            let found = mine(&api, token, "gateways").await;
            assert_eq!(names(&found, "/name"), gateways);
            assert_eq!(names(&found, "/path"), [format!("/mcp/default/{}", gateways[0])]);
            assert_eq!(names(&found, "/apps/0/app"), apps);
            assert_eq!(found[0]["apps"][0]["identities"], json!({"jira": identities[0]}));
            assert_eq!(found[0]["apps"][0]["because"], Value::Null, "{found:?}");
            assert_eq!(found[0]["apps"].as_array().unwrap().len(), 1);
            let found = mine(&api, token, "apps").await;
            assert_eq!(names(&found, "/app/name"), apps);
            assert_eq!(names(&found, "/tokens/0/name"), tokens);
            let found = mine(&api, token, "identities").await;
            assert_eq!(names(&found, "/name"), identities);
            for what in ["gateways", "apps", "identities"] {
                let text = format!("{:?}", mine(&api, token, what).await);
                assert!(!text.contains("hunter") && !text.contains("ost_"), "{text}");
            }
        }
        // Whoever may see everything has nothing here.
        for what in ["gateways", "apps", "identities"] {
            assert_eq!(mine(&api, &root, what).await.len(), 0, "{what}");
        }
    }
}

/// A token that is good for gateways alone shows no name of what has a right of its own.
#[tokio::test]
async fn a_token_that_is_good_for_less_shows_less_of_a_gateway() {
    for api in Api::on_each_database().await {
        two_people(&api).await;
        let seen = async |name: &str, capabilities: Value| {
            let less = json!({"name": name, "capabilities": capabilities});
            let less = api.given("users/ann/admin-tokens", less).await;
            mine(&api, less["secret"].as_str().unwrap(), "gateways").await.remove(0)
        };
        let gateways = seen("a", json!(["gateways:read"])).await;
        assert_eq!((&gateways["name"], &gateways["apps"]), (&json!("main"), &json!([])));
        for name in ["bot", "ann-jira"] {
            assert!(!gateways.to_string().contains(name), "{name}: {gateways}");
        }
        let apps = seen("b", json!(["gateways:read", "apps:read"])).await;
        let told = (&apps["apps"][0]["app"], &apps["apps"][0]["identities"]);
        assert_eq!(told, (&json!("bot"), &json!({})));
        let all = json!(["gateways:read", "apps:read", "identities:read"]);
        assert_eq!(seen("c", all.clone()).await["apps"][0]["identities"]["jira"], "ann-jira");

        let none = json!({"identities": []});
        assert_eq!(api.patch("apps/bot/connections/main", none).await.status, 200);
        let apps = seen("d", json!(["gateways:read", "apps:read"])).await;
        assert_eq!(apps["apps"][0]["hindered"], json!([]));
        assert_eq!(seen("e", all).await["apps"][0]["hindered"][0]["alias"], "jira");
    }
}

/// However many an app has, no other one seems to have none.
#[tokio::test]
async fn tokens_are_shown_of_each_app_on_the_page() {
    for api in Api::on_each_database().await {
        let [ann, _] = two_people(&api).await;
        for name in ["another", "zebra"] {
            api.given("apps", json!({"name": name, "owner": "ann", "purpose": "x"})).await;
            api.given(&format!("apps/{name}/tokens"), json!({"name": name})).await;
        }
        for at in 0..51 {
            api.given("apps/bot/tokens", json!({"name": format!("t{at}")})).await;
        }
        let counts = async |query: &str| {
            let found = mine(&api, &ann, &format!("apps{query}")).await;
            let count = |it: &Value| it["tokens"].as_array().unwrap().len();
            found.iter().map(count).collect::<Vec<_>>()
        };
        assert_eq!(counts("").await, [1, 50, 1]);
        assert_eq!(counts("?limit=1").await, [1]);
    }
}

#[tokio::test]
async fn nobody_above_all_workspaces_is_shown_anything_and_is_told_why() {
    for api in Api::on_each_database().await {
        two_people(&api).await;
        for what in ["gateways", "apps", "identities", "calls"] {
            let refused = api.get(&format!("me/{what}")).await;
            assert_eq!(refused.problem(), (403, "forbidden".into()), "{what}");
            assert!(refused.text.contains("what a user of the workspace has"), "{}", refused.text);
        }
    }
}

/// What is in the way is what the decision itself says, and cut-offs bring their message.
#[tokio::test]
async fn what_is_in_the_way_is_said() {
    for api in Api::on_each_database().await {
        let [ann, _] = two_people(&api).await;
        let main = async || mine(&api, &ann, "gateways").await.remove(0);
        let cut = async |kind: &str, name: &str| {
            let off = json!({"kind": kind, "name": name, "reason": "it leaks"});
            assert_eq!(api.post("cutoffs", off).await.status, 200);
            let seen = main().await;
            let on = json!({"kind": kind, "name": name});
            assert_eq!(api.post("restores", on).await.status, 200);
            seen
        };
        let seen = cut("gateway", "main").await;
        assert_eq!(seen["off"]["reason"], "it leaks");
        assert_eq!(seen["apps"][0]["because"], "gateway `main` is turned off: it leaks");
        for (kind, name) in [("server", "jira"), ("assignment", "main/jira")] {
            let seen = cut(kind, name).await;
            assert_eq!(seen["servers"][0]["off"]["reason"], "it leaks", "{kind}");
            let because = format!("{kind} `{name}` is turned off: it leaks");
            assert_eq!(seen["apps"][0]["hindered"][0]["because"], because);
            assert_eq!(seen["apps"][0]["because"], Value::Null, "{kind}");
        }
        let seen = cut("tool", "jira/search").await;
        assert_eq!(seen["servers"][0]["tools_off"][0]["tool"], "search");
        assert_eq!(seen["servers"][0]["tools_off"][0]["off"]["reason"], "it leaks");
        // What is not exposed to them is not named.
        let hidden = json!({"tools": {"expose": "named", "names": ["get"]}});
        assert_eq!(api.patch("gateways/main/assignments/jira", hidden).await.status, 200);
        let seen = cut("tool", "jira/search").await;
        assert_eq!(seen["servers"][0]["tools_off"], json!([]));

        assert_eq!(api.patch("servers/jira", json!({"review": "on"})).await.status, 200);
        assert_eq!(main().await["servers"][0]["pending"], 0);
        api.given_a_pin().await;
        assert_eq!(main().await["servers"][0]["pending"], 1);
        assert_eq!(api.patch("servers/jira", json!({"review": "off"})).await.status, 200);
        assert_eq!(main().await["servers"][0]["pending"], Value::Null);

        let none = json!({"identities": []});
        assert_eq!(api.patch("apps/bot/connections/main", none).await.status, 200);
        let because = "connection `bot/main` has no credential for server `jira`";
        assert_eq!(main().await["apps"][0]["hindered"][0]["because"], because);
        assert_eq!(main().await["servers"][0]["asks_for_own"], true);
        assert_eq!(api.delete("apps/bot/tokens/ci").await.status, 204);
        let because = "app `bot` has no valid token to present";
        assert_eq!(main().await["apps"][0]["because"], because);
        assert_eq!(mine(&api, &ann, "apps").await[0]["tokens"], json!([]));

        assert_eq!(api.delete("teams/dev/members/ann").await.status, 200);
        assert_eq!(mine(&api, &ann, "gateways").await.len(), 0, "at once");
    }
}

#[tokio::test]
async fn ones_own_things_come_in_pages() {
    for api in Api::on_each_database().await {
        let ann = api.given_admin("ann", &[]).await;
        api.given("teams", json!({"name": "dev", "members": ["ann"]})).await;
        let wanted: Vec<String> = (0..5).map(|it| format!("g{it}")).collect();
        for name in &wanted {
            api.given("gateways", json!({"name": name, "teams": ["dev"]})).await;
            api.given("gateways", json!({"name": format!("x{name}"), "teams": []})).await;
        }
        for limit in [1, 2, 5] {
            assert_eq!(api.pages(&ann, "me/gateways", limit).await, wanted, "{limit}");
        }
    }
}
