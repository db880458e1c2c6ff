use std::time::Duration;

use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn a_cut_off_holds_before_it_is_answered() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let kinds = [
            ("app", "bot"),
            ("assignment", "main/jira"),
            ("connection", "bot/main"),
            ("gateway", "main"),
            ("identity", "ann-jira"),
            ("server", "jira"),
            ("tool", "jira/search/all"),
            ("user", "ann"),
        ];
        for (kind, name) in kinds {
            let cut = json!({"kind": kind, "name": name, "reason": "incident 7"});
            let reply = api.post("cutoffs", cut).await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text);
            let body = reply.json();
            let all = json!({"live": 1, "acknowledged": 1, "waited_out": []});
            assert_eq!((&body["replicas"], &body["ended"]), (&all, &json!(1)));

            let seen = api.traffic.settled.lock().pop().unwrap();
            let target = seen.switches.iter().next().unwrap().0.clone();
            assert_eq!(target.noun(), kind);
            let now = domain::Clock::now(&*api.clock);
            let switch = seen.switches.find(&target, now).unwrap();
            assert_eq!(switch.reason.as_deref(), Some("incident 7"));

            let reply = api.post("restores", json!({"kind": kind, "name": name})).await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text);
            assert_eq!(api.snapshot().await.switches.iter().count(), 0);
        }
    }
}

#[tokio::test]
async fn enabled_is_a_view_of_the_switches() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let paths = [
            "apps/bot",
            "gateways/main/assignments/jira",
            "apps/bot/connections/main",
            "gateways/main",
            "identities/ann-jira",
            "servers/jira",
            "users/ann",
        ];
        for path in paths {
            let off = api.patch(path, json!({"enabled": false})).await.json();
            assert_eq!(off["enabled"], false, "{path}");
            assert_eq!(off["off"]["since"], "2026-01-02T03:04:05Z");
            assert_eq!(api.get(path).await.json(), off);
            // Off already: nothing to do.
            assert_eq!(api.patch(path, json!({"enabled": false})).await.status, 200);
        }
        let listed = api.get("cutoffs").await.json();
        let names: Vec<String> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| format!("{} {}", it["kind"].as_str().unwrap(), it["name"].as_str().unwrap()))
            .collect();
        assert_eq!(
            names,
            [
                "app bot",
                "assignment main/jira",
                "connection bot/main",
                "gateway main",
                "identity ann-jira",
                "server jira",
                "user ann"
            ]
        );
        for path in paths {
            let on = api.patch(path, json!({"enabled": true})).await.json();
            assert_eq!((&on["enabled"], &on["off"]), (&json!(true), &json!(null)), "{path}");
        }
        assert_eq!(api.get("cutoffs").await.json(), json!({"items": []}));
    }
}

#[tokio::test]
async fn what_is_off_is_listed_in_pages_of_what_is_within_reach() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let jira = [("server", "jira"), ("tool", "jira/find"), ("tool", "jira/search/all")];
        let main = [("assignment", "main/jira"), ("connection", "bot/main"), ("gateway", "main")];
        let others = [("app", "bot"), ("identity", "ann-jira"), ("user", "ann")];
        for (kind, name) in jira.into_iter().chain(main).chain(others) {
            let cut = json!({"kind": kind, "name": name});
            assert_eq!(api.post("cutoffs", cut).await.status, 200, "{kind} {name}");
        }
        let over = json!({"kind": "tool", "name": "jira/over", "seconds": 1});
        assert_eq!(api.post("cutoffs", over).await.status, 200);
        api.clock.advance(Duration::from_secs(1));
        let on = |places: &[&'static str]| -> Vec<(&'static str, &'static str)> {
            places.iter().map(|it| ("workspace-admin", *it)).collect()
        };
        let cases = [
            (
                api.given_admin("all", &on(&["workspace"])).await,
                vec![
                    "bot",
                    "main/jira",
                    "bot/main",
                    "main",
                    "ann-jira",
                    "jira",
                    "jira/find",
                    "jira/search/all",
                    "ann",
                ],
            ),
            (
                api.given_admin("of-server", &on(&["server/jira"])).await,
                vec!["ann-jira", "jira", "jira/find", "jira/search/all"],
            ),
            (
                api.given_admin("of-gateway", &on(&["gateway/main"])).await,
                vec!["main/jira", "bot/main", "main"],
            ),
            (
                api.given_admin("of-both", &on(&["gateway/main", "server/jira"])).await,
                vec![
                    "main/jira",
                    "bot/main",
                    "main",
                    "ann-jira",
                    "jira",
                    "jira/find",
                    "jira/search/all",
                ],
            ),
        ];
        for (token, expected) in cases {
            for limit in [1, 2, 3, 50] {
                assert_eq!(api.pages(&token, "cutoffs", limit).await, expected, "by {limit}");
            }
        }
        for cursor in ["c2VydmVy", "c2VydmVyL3gv", "YS9i"] {
            let reply = api.get(&format!("cutoffs?cursor={cursor}")).await;
            assert_eq!(reply.problem(), (400, "malformed".into()), "{cursor}");
        }
    }
}

#[tokio::test]
async fn nobody_passes_a_cut_off_for_that_of_a_canary() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let mut cut = json!({"kind": "server", "name": "jira", "reason": super::CANARY});
        let reply = api.post("cutoffs", cut.clone()).await;
        assert_eq!(reply.problem(), (422, "invalid".into()), "{}", reply.text);
        cut["reason"] = json!("incident 7");
        assert_eq!(api.post("cutoffs", cut).await.status, 200);
        assert_eq!(api.snapshot().await.switches.iter().count(), 1);
    }
}

#[tokio::test]
async fn a_cut_off_with_a_limit_ends_by_itself() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let cut = json!({"kind": "server", "name": "jira", "seconds": 60});
        let until = api.post("cutoffs", cut).await.json()["until"].clone();
        assert_eq!(until, "2026-01-02T03:05:05Z");
        assert_eq!(api.get("servers/jira").await.json()["off"]["until"], until);
        api.clock.advance(Duration::from_secs(60));
        assert_eq!(api.get("servers/jira").await.json()["enabled"], true);
        assert_eq!(api.get("cutoffs").await.json(), json!({"items": []}));
        let target = api.snapshot().await.switches.iter().next().unwrap().0.clone();
        let now = domain::Clock::now(&*api.clock);
        assert!(api.snapshot().await.switches.find(&target, now).is_none());
        // The next one sweeps up.
        let cut = json!({"kind": "gateway", "name": "main"});
        // To the log a disk seems to have stood still for a minute, until it has done its work.
        while api.post("cutoffs", cut.clone()).await.problem().1 == "unrecorded" {}
        let snapshot = api.snapshot().await;
        let nouns: Vec<&str> = snapshot.switches.iter().map(|(it, _)| it.noun()).collect();
        assert_eq!(nouns, ["gateway"]);
    }
}

#[tokio::test]
async fn a_limited_cut_off_becomes_lasting_when_asked_for() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let cut = json!({"kind": "server", "name": "jira", "seconds": 60});
        assert_eq!(api.post("cutoffs", cut).await.status, 200);
        let off = api.patch("servers/jira", json!({"enabled": false})).await.json();
        assert_eq!(off["off"]["until"], json!(null));
    }
}

#[tokio::test]
async fn the_switches_of_what_is_deleted_go() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let tool = json!({"kind": "tool", "name": "jira/search"});
        assert_eq!(api.post("cutoffs", tool).await.status, 200);
        api.given("apps/bot/tokens", json!({"name": "leaked"})).await;
        assert_eq!(api.delete("apps/bot/tokens/leaked").await.status, 204);
        assert_eq!(api.delete("apps/bot").await.status, 204);
        for path in ["gateways/main", "identities/ann-jira", "servers/jira"] {
            assert_eq!(api.delete(path).await.status, 204, "{path}");
        }
        assert_eq!(api.snapshot().await.switches.iter().count(), 0);
    }
}

#[tokio::test]
async fn refusals() {
    let cases = [
        (json!({"kind": "server", "name": "nope"}), 404, "not_found"),
        (json!({"kind": "server", "name": "Not A Name"}), 400, "malformed"),
        (json!({"kind": "team", "name": "dev"}), 400, "malformed"),
        (json!({"kind": "tool", "name": "jira"}), 400, "malformed"),
        (json!({"kind": "tool", "name": "jira/"}), 400, "malformed"),
        (json!({"kind": "tool", "name": "nope/search"}), 404, "not_found"),
        (json!({"kind": "assignment", "name": "main"}), 400, "malformed"),
        (json!({"kind": "assignment", "name": "main/nope"}), 404, "not_found"),
        (json!({"kind": "connection", "name": "bot/nope"}), 404, "not_found"),
        (json!({"kind": "app", "name": "bot", "seconds": 0}), 422, "invalid"),
        (json!({"kind": "app", "name": "bot", "seconds": 99999999999u64}), 422, "invalid"),
        (json!({"kind": "app", "name": "bot", "seconds": -1}), 400, "malformed"),
        (json!({"kind": "app", "name": "bot", "reason": "a\nb"}), 422, "invalid"),
        (json!({"kind": "app", "name": "bot", "reason": "a".repeat(501)}), 422, "invalid"),
    ];
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        for (body, status, code) in &cases {
            let reply = api.post("cutoffs", body.clone()).await;
            assert_eq!(reply.problem(), (*status, (*code).to_owned()), "{body}");
        }
    }
}
