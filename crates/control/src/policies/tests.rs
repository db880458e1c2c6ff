use axum::http::Method;
use db::sql;
use domain::Clock as _;
use serde_json::{Value, json};

use crate::testing::Api;

/// Refuses what is not read to whoever is not attended; two lines, so that places can be told.
const READERS: &str = "forbid(principal, action == Action::\"call\", resource)\n\
                       when { resource.effect != \"read\" };";
const ALL: &str = "forbid(principal, action, resource);";
const OPS: &str = "forbid(principal in Team::\"ops\", action, resource);";

fn case(name: &str, expect: &str) -> Value {
    let resource = json!({"server": "jira", "name": "create"});
    json!({"name": name, "action": "call", "resource": resource, "expect": expect})
}

#[tokio::test]
async fn a_policy_is_made_shown_changed_and_deleted() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let new = json!({"name": "readers", "text": READERS, "tests": [case("write", "refuse")]});
        let tried = api.post("policies?dry_run=true", new.clone()).await;
        assert_eq!((tried.status.as_u16(), &tried.json()["simulation"]["calls"]), (200, &json!(0)));
        assert_eq!(api.get("policies").await.json(), json!({"items": []}), "nothing was saved");

        let made = api.given("policies", new).await;
        let shown = api.get("policies/readers").await;
        assert_eq!((shown.json(), made["enabled"].clone()), (made.clone(), json!(true)));
        assert!(!shown.header("etag").is_empty());
        assert_eq!(api.get("policies").await.json()["items"], json!([made]));
        let tested = api.get("policies/readers/test").await.json();
        assert_eq!(
            (&tested["passed"], &tested["tests"][0]["found"]),
            (&json!(true), &json!("refuse"))
        );
        let count = async || {
            let snapshot = api.snapshot().await;
            snapshot.config.workspaces["default"].policies.book().iter().count()
        };
        assert_eq!(count().await, 1);
        let again = api.post("policies", json!({"name": "readers", "text": READERS})).await;
        assert_eq!(again.problem(), (409, "duplicate".into()));

        let changed = api.patch("policies/readers", json!({"name": "r", "enabled": false})).await;
        assert_eq!(changed.json()["name"], "r");
        assert_eq!(count().await, 0, "one that does not count decides nothing");
        assert_eq!(api.delete("policies/r").await.status, 204);
        assert_eq!(api.get("policies/r").await.status, 404);
    }
}

#[tokio::test]
async fn what_is_no_policy_is_refused_with_its_line_and_the_reason() {
    let many: Vec<Value> = (0..101).map(|n| case(&n.to_string(), "refuse")).collect();
    let long = format!("{ALL}//{}", "x".repeat(64 << 10));
    let statements = READERS.repeat(101);
    let cases = [
        ("forbid(principal, action, resource)", json!([]), 422, "", Some(1)),
        (
            "forbid(principal, action, resource)\nwhen { principal.shoe };",
            json!([]),
            422,
            "shoe",
            Some(2),
        ),
        (
            "forbid(principal, action, resource)\nwhen { resource.name > 3 };",
            json!([]),
            422,
            "",
            Some(2),
        ),
        ("forbid(principal == ?principal, action, resource);", json!([]), 422, "template", None),
        (&long, json!([]), 422, "longer than", None),
        ("", json!([]), 422, "statements", None),
        (&statements, json!([]), 422, "from 1 to 100 statements, and this 101", None),
        (OPS, json!([]), 422, "it names what is not there: Team::\"ops\"", None),
        (
            READERS,
            json!([case("write", "allow")]),
            422,
            "`write` expects allow and finds: refuse",
            None,
        ),
        (READERS, json!(many), 422, "at most 100 tests", None),
        (READERS, json!([case("", "refuse")]), 422, "1 to 200 characters", None),
        (READERS, json!([{"name": "a"}]), 400, "", None),
    ];
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given_a_policy().await;
        for (text, tests, status, said, line) in &cases {
            let body = json!({"text": text, "tests": tests});
            let mut new = body.clone();
            new["name"] = json!("p");
            for reply in
                [api.post("policies", new).await, api.patch("policies/hours", body.clone()).await]
            {
                assert_eq!(reply.status, *status, "{body}: {}", reply.text);
                let problem = reply.json();
                assert!(problem.to_string().contains(&said.replace('"', "\\\"")), "{problem}");
                if let Some(line) = line {
                    assert_eq!(problem["faults"][0]["line"], *line, "{problem}");
                    let detail = problem["detail"].as_str().unwrap();
                    assert!(detail.contains(&format!("line {line}, column ")), "{problem}");
                }
            }
        }
        assert_eq!(api.get("policies").await.json()["items"].as_array().unwrap().len(), 1);
        let kept = api.get("policies/hours").await.json();
        assert!(kept["text"].as_str().unwrap().contains("context.hour > 23"));
    }
}

/// Whoever would be left with nothing does not learn of it from their users.
#[tokio::test]
async fn what_refuses_everybody_is_saved_only_where_that_is_meant() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("teams", json!({"name": "ops"})).await;
        let permits = "permit(principal in Team::\"ops\", action, resource);";
        let server = "forbid(principal, action, resource in Server::\"jira\");";
        for text in [ALL, permits, server] {
            let reply = api.post("policies", json!({"name": "p", "text": text})).await;
            assert_eq!(reply.problem(), (409, "conflict".into()), "{text}");
            assert!(reply.text.contains("every call of everybody"), "{}", reply.text);
            let file = json!({"text": format!("kind: Policy\nname: p\ntext: '{text}'\n")});
            assert_eq!(api.post("apply", file).await.problem(), (409, "conflict".into()), "{text}");
        }
        assert_eq!(api.get("policies").await.json(), json!({"items": []}));
        let off = api.given("policies", json!({"name": "p", "text": ALL, "enabled": false})).await;
        let on = api.patch("policies/p", json!({"enabled": true})).await;
        assert_eq!(on.problem(), (409, "conflict".into()));
        assert_eq!(api.get("policies/p").await.json(), off);
        let on = api.patch("policies/p?force=true", json!({"enabled": true})).await;
        assert_eq!(on.status, 200, "{}", on.text);
        // It is so already, so that nothing more is taken away.
        api.given("policies", json!({"name": "also", "text": READERS})).await;
        assert_eq!(api.delete("policies/p").await.status, 204);
    }
}

/// Who is off or has nothing to present cannot call anyway, so that it is no use to let them by.
#[tokio::test]
async fn whoever_cannot_call_does_not_count_among_those_who_are_let_by() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("users", json!({"name": "eve"})).await;
        api.given("teams", json!({"name": "ops", "members": ["eve"]})).await;
        api.put("gateways/main/teams/ops").await;
        let app = json!({"name": "other", "owner": "eve", "purpose": "triage"});
        api.given("apps", app).await;
        let headers = json!({"Authorization": "Bearer hunter2"});
        let identity =
            json!({"name": "eve-jira", "server": "jira", "owner": "eve", "headers": headers});
        api.given("identities", identity).await;
        let connection = json!({"gateway": "main", "identities": ["eve-jira"]});
        api.given("apps/other/connections", connection).await;
        let permits =
            json!({"name": "p", "text": "permit(principal in Team::\"ops\", action, resource);"});
        let is_let_by = async |row: &str| {
            let reply = api.post("policies", permits.clone()).await;
            let is_saved = reply.status == 201;
            assert!(
                is_saved || reply.problem() == (409, "conflict".into()),
                "{row}: {}",
                reply.text
            );
            if is_saved {
                assert_eq!(api.delete("policies/p").await.status, 204);
            }
            is_saved
        };
        assert!(is_let_by("nobody can call, so everybody counts").await);
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        assert!(!is_let_by("only ann's app has a token").await);
        api.given("apps/other/tokens", json!({"name": "ci"})).await;
        assert!(is_let_by("eve's has one, too").await);
        for path in ["users/eve", "apps/other", "apps/other/connections/main"] {
            let off = json!({"enabled": false});
            assert_eq!(api.patch(path, off).await.status, 200, "{path}");
            assert!(!is_let_by(path).await, "{path} is off");
            assert_eq!(api.patch(path, json!({"enabled": true})).await.status, 200, "{path}");
            assert!(is_let_by(path).await, "{path} is on again");
        }
        assert_eq!(api.delete("apps/other/tokens/ci").await.status, 204);
        assert!(!is_let_by("its token is gone").await);
    }
}

#[tokio::test]
async fn what_a_policy_names_stays_and_is_told_to_those_who_see_policies() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("teams", json!({"name": "ops"})).await;
        let capabilities = json!(["people:read", "people:write"]);
        api.given("roles", json!({"name": "people", "capabilities": capabilities})).await;
        let eve = api.given_admin("eve", &[("people", "workspace")]).await;
        api.given("policies", json!({"name": "secret", "text": OPS})).await;
        let renamed = Some(json!({"name": "operations"}));
        for (method, body) in [("DELETE", None), ("PATCH", renamed)] {
            let reply = api.ask(method.parse().unwrap(), "teams/ops", body.clone()).await;
            assert_eq!(reply.problem(), (409, "conflict".into()), "{method}");
            assert!(
                reply.text.contains(r#"policy `secret` names Team::\"ops\""#),
                "{}",
                reply.text
            );
            let path = "/workspaces/default/teams/ops";
            let reply = api.ask_as(&eve, method.parse().unwrap(), path, body).await;
            assert_eq!(reply.problem(), (409, "conflict".into()), "{method}");
            assert!(reply.text.contains("a policy names what"), "{}", reply.text);
            assert!(!reply.text.contains("secret"), "{}", reply.text);
        }
        assert_eq!(api.get("teams/ops").await.status, 200);
        assert_eq!(api.delete("policies/secret").await.status, 204);
        assert_eq!(api.delete("teams/ops").await.status, 204);
    }
}

#[tokio::test]
async fn what_a_policy_names_stays_where_another_replica_has_just_made_both() {
    for api in Api::on_each_database().await.into_iter().filter(|it| !it.fresh.db.is_exclusive()) {
        let epoch = api.snapshot().await.epoch;
        let now = api.clock.now();
        let mut tx = api.fresh.db.begin().await.unwrap();
        crate::snapshot::move_epoch(&mut tx, 7, false).await.unwrap();
        let team = sql("INSERT INTO teams (workspace_id, id, name, created_at)
                        SELECT id, id, 'ops', $1 FROM workspaces");
        tx.execute(team.bind(now)).await.unwrap();
        let policy = sql("INSERT INTO policies
                          (workspace_id, id, name, policy, enabled, tests, created_at)
                          SELECT id, id, 'secret', $1, TRUE, '[]', $2 FROM workspaces");
        tx.execute(policy.bind(OPS).bind(now)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(api.control.gate().latest().epoch, epoch, "it has not been loaded");
        let reply = api.delete("teams/ops").await;
        assert_eq!(reply.problem(), (409, "conflict".into()), "{}", reply.text);
        assert_eq!(api.delete("policies/secret").await.status, 204);
        assert_eq!(api.delete("teams/ops").await.status, 204);
    }
}

#[tokio::test]
async fn policies_are_of_one_workspace_and_of_those_who_may_see_them() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("/workspaces", json!({"name": "other"})).await;
        let there = "/workspaces/other/policies";
        let named =
            json!({"name": "p", "text": "forbid(principal in Team::\"dev\", action, resource);"});
        assert_eq!(
            api.post(there, named.clone()).await.status,
            422,
            "no team of another workspace"
        );
        let all = json!({"name": "p", "text": ALL});
        assert_eq!(api.post(&format!("{there}?force=true"), all).await.status, 201);
        let snapshot = api.snapshot().await;
        assert!(snapshot.config.workspaces["default"].policies.is_empty());
        assert!(!snapshot.config.workspaces["other"].policies.is_empty());

        api.given("roles", json!({"name": "reader", "capabilities": ["policies:read"]})).await;
        let reader = api.given_admin("eve", &[("reader", "workspace")]).await;
        let both = ["policies:read", "policies:write"];
        api.given("roles", json!({"name": "writer", "capabilities": both})).await;
        let writer = api.given_admin("wes", &[("writer", "workspace")]).await;
        let nobody = api.given_admin("mallory", &[]).await;
        let proposal = json!({"policies": [{"name": "q", "text": ALL}]});
        for (method, path, body, [as_reader, as_nobody]) in [
            ("GET", "policies", None, [200, 403]),
            ("GET", "/policy-schema", None, [200, 200]),
            ("POST", "policies", Some(named.clone()), [403, 403]),
            // What has been called is in the record, which is for others.
            ("POST", "policy-simulations", Some(proposal.clone()), [403, 403]),
            ("GET", "/workspaces/other/policies", None, [404, 404]),
        ] {
            for (token, expected) in [(&reader, as_reader), (&nobody, as_nobody)] {
                let reply = api.ask_as(token, method.parse().unwrap(), path, body.clone()).await;
                assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text);
            }
        }
        assert_eq!(api.post("policy-simulations", proposal.clone()).await.status, 200);
        for (path, body) in
            [("policy-simulations", proposal), ("policies?dry_run=true", named.clone())]
        {
            let reply = api.ask_as(&writer, Method::POST, path, Some(body)).await;
            assert_eq!(reply.status, 403, "{path}: {}", reply.text);
            assert!(reply.text.contains("records:read"), "{path}: {}", reply.text);
        }
        let harmless = json!({"name": "p", "text": READERS});
        let reply = api.ask_as(&writer, Method::POST, "policies", Some(harmless)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}

#[tokio::test]
async fn files_change_policies_for_those_who_may_change_them() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        for (role, capabilities) in [
            ("reader", json!(["people:read", "policies:read"])),
            ("writer", json!(["people:read", "policies:read", "policies:write"])),
        ] {
            api.given("roles", json!({"name": role, "capabilities": capabilities})).await;
        }
        let reader = api.given_admin("eve", &[("reader", "workspace")]).await;
        let writer = api.given_admin("wes", &[("writer", "workspace")]).await;
        let hours = |hour: u32| {
            let text = "forbid(principal, action, resource) when { context.hour >";
            format!("kind: Policy\nname: filed\ntext: '{text} {hour} }};'\n")
        };
        // Made, changed, turned off and taken away.
        let off = format!("{}enabled: false\n", hours(23));
        for text in [hours(22), hours(23), off, "kind: User\nname: ann\n".into()] {
            let body = json!({"text": text, "owner": "set", "prune": true});
            let before = api.get("policies").await.json();
            let reply = api.ask_as(&reader, Method::POST, "apply", Some(body.clone())).await;
            assert_eq!(reply.status, 403, "{text}: {}", reply.text);
            assert!(reply.text.contains("policies:write"), "{text}: {}", reply.text);
            assert_eq!(api.get("policies").await.json(), before, "{text}");
            let reply = api.ask_as(&writer, Method::POST, "apply", Some(body)).await;
            assert_eq!(reply.status, 200, "{text}: {}", reply.text);
        }
        assert_eq!(api.get("policies").await.json(), json!({"items": []}));
    }
}

#[tokio::test]
async fn a_workspace_has_only_so_many_policies_of_so_many_characters() {
    for api in Api::on_each_database().await {
        api.given_a_policy().await;
        let fill = async |count: usize, text: &str| {
            let mut tx = api.fresh.db.begin().await.unwrap();
            for n in 0..count {
                let policy = sql("INSERT INTO policies
                                  (workspace_id, id, name, policy, enabled, tests, created_at)
                                  SELECT id, $1, $2, $3, FALSE, '[]', $4 FROM workspaces");
                let (id, name) = (api.clock.id(), format!("p{n}"));
                let policy = policy.bind(id).bind(name.as_str()).bind(text);
                tx.execute(policy.bind(api.clock.now())).await.unwrap();
            }
            tx.commit().await.unwrap();
        };
        let empty = async || {
            let mut tx = api.fresh.db.begin().await.unwrap();
            tx.execute(sql("DELETE FROM policies WHERE name <> 'hours'")).await.unwrap();
            tx.commit().await.unwrap();
        };
        let new = || json!({"name": "new", "text": READERS});
        let is_refused = async |said: &str| {
            let made = api.post("policies", new()).await;
            let text = READERS.replace('\n', " ");
            let text = format!("kind: Policy\nname: new\ntext: '{text}'\n");
            let filed = api.post("apply", json!({ "text": text })).await;
            for reply in [made, filed] {
                assert_eq!(reply.problem(), (422, "invalid".into()), "{}", reply.text);
                assert!(reply.text.contains(said), "{}", reply.text);
            }
        };
        fill(999, "x").await;
        is_refused("at most 1000 policies").await;
        empty().await;

        let longest = "x".repeat(64 << 10);
        fill(8, &longest).await;
        is_refused("together have at most 524288 characters").await;
        let longer = format!("{READERS}// and more of it\n{READERS}");
        let reply = api.patch("policies/hours", json!({ "text": longer })).await;
        assert_eq!(reply.problem(), (422, "invalid".into()), "{}", reply.text);
        empty().await;
        api.given("policies", new()).await;
    }
}

#[tokio::test]
async fn a_set_of_files_takes_back_the_policies_that_it_no_longer_names() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given_a_policy().await;
        let policy = |text: &str| format!("kind: Policy\nname: filed\ntext: '{text}'\n");
        let apply = async |text: &str, prune: bool| {
            let body = json!({"text": text, "owner": "set", "prune": prune});
            let reply = api.post("apply", body).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            reply.json()["objects"].clone()
        };
        let hours = "forbid(principal, action, resource) when { context.hour > 22 };";
        assert_eq!(apply(&policy(hours), false).await[0]["outcome"], "created");
        assert_eq!(apply(&policy(hours), false).await[0]["outcome"], "unchanged");
        let later = hours.replace("22", "23");
        assert_eq!(apply(&policy(&later), false).await[0]["members"], json!(["text"]));
        apply("kind: User\nname: ann\n", true).await;
        let left = api.get("policies").await.json();
        let names: Vec<&Value> =
            left["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["hours"], "the one of another stays");
    }
}
