use audit::{Durability, Entry, Kind, Leaf};
use axum::http::Method;
use domain::Clock as _;
use serde_json::{Value, json};

use crate::testing::Api;

/// Who has been granted what where, and the parts that they are shown.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

#[tokio::test]
async fn a_home_page_shows_what_is_the_matter() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given_a_pin().await;
        let off = json!({"kind": "app", "name": "bot"});
        assert_eq!(api.post("cutoffs", off).await.status, 200);
        let workspace = api.snapshot().await.config.workspaces["default"].id.0;
        for (end, is_error) in [("answered_here", false), ("policy", true), ("bad_params", true)] {
            let leaf = Leaf::new(Kind::Outcome).call(api.clock.id()).str("method", "tools/call");
            let leaf = leaf.str("server", "jira").str("offer", "tool").str("name", "search");
            let leaf = leaf.str("end", end).bool("error", is_error).finish();
            let entry = Entry { workspace, kind: Kind::Outcome, leaf };
            api.log.append(entry, Durability::Written).await.unwrap();
        }
        let shown = settled(&api, 3).await;
        // This one serves nobody, so that on a database for many it has no row.
        let live = i32::from(api.fresh.db.is_exclusive());
        assert_eq!(shown["replicas"]["live"], live, "{shown}");
        assert_eq!(shown["pending"], 1, "{shown}");
        assert_eq!(shown["cutoffs"], json!({"count": 1, "is_more": false}), "{shown}");
        let calls = &shown["calls"];
        let sum = |name: &str| {
            let minutes = calls["minutes"].as_array().unwrap();
            minutes.iter().map(|it| it[name].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!([sum("calls"), sum("errors"), sum("denials")], [3, 1, 1], "{shown}");
        assert_eq!(calls["denied"], json!([{"server": "jira", "tool": "search", "count": 1}]));
        assert_eq!(calls["latency"], Value::Null, "none of them has left");
        let record = &shown["record"];
        let size = api.log.checkpoint(workspace).unwrap().size;
        assert_eq!((&record["size"], &record["is_current"]), (&json!(size), &json!(true)));
    }
}

#[tokio::test]
async fn each_part_is_for_those_who_may_see_what_it_counts() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given_a_pin().await;
        api.given("roles", json!({"name": "pins", "capabilities": ["pins:read"]})).await;
        api.given("roles", json!({"name": "records", "capabilities": ["records:read"]})).await;
        api.given("roles", json!({"name": "cuts", "capabilities": ["cutoffs:read"]})).await;
        let cases: [Case; 6] = [
            ("none", &[], &[]),
            ("of-pins", &[("pins", "workspace")], &["pending"]),
            ("of-a-server", &[("pins", "server/jira")], &["pending"]),
            ("of-records", &[("records", "workspace")], &["calls", "record"]),
            ("of-cuts", &[("cuts", "workspace")], &["cutoffs"]),
            ("of-one-cut", &[("cuts", "server/jira")], &["cutoffs"]),
        ];
        for (name, grants, expected) in cases {
            let token = api.given_admin(name, grants).await;
            let shown = overview(&api, &token).await;
            let parts = ["calls", "cutoffs", "pending", "record", "replicas"];
            let seen: Vec<_> = parts.into_iter().filter(|it| !shown[*it].is_null()).collect();
            assert_eq!(seen, expected, "{name}: {shown}");
        }
    }
}

/// Once all that has been recorded is in the tree, and counted.
async fn settled(api: &Api, calls: u64) -> Value {
    loop {
        let shown = overview(api, &api.token).await;
        let minutes = shown["calls"]["minutes"].as_array().unwrap();
        let sum: u64 = minutes.iter().map(|it| it["calls"].as_u64().unwrap()).sum();
        if sum == calls && shown["record"]["waiting_since"].is_null() {
            return shown;
        }
    }
}

async fn overview(api: &Api, token: &str) -> Value {
    let reply = api.ask_as(token, Method::GET, "overview", None).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}
