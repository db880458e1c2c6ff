use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use domain::ports::NotPicked;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;

use crate::api::Rights;
use crate::change::Change;
use crate::testing::Api;

/// However many apps pick, a change waits for one of them at most, and has a connection.
#[tokio::test]
async fn many_picks_wait_for_each_other_and_hold_up_no_cut_off() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let app = Arc::clone(&api.control.app);
        let snapshot = api.snapshot().await;
        let workspace = Arc::clone(&snapshot.config.workspaces["default"]);
        let bot = *workspace.apps.keys().next().unwrap();
        let gateway = workspace.gateways.values().next().unwrap().id;
        let picking = api.control.picks();
        let rights = Rights::of_installation(&app);
        let held = Change::begin(&app, &rights).await.unwrap();
        let done = AtomicUsize::new(0);
        let pick = async |_: usize| {
            let picked = picking.pick(workspace.id, bot, gateway).await;
            done.fetch_add(usize::from(picked.is_ok()), Ordering::SeqCst);
            picked
        };
        let mut picks: FuturesUnordered<_> = (0..24).map(pick).collect();
        // Whoever finds no room is told so at once; nobody else is told anything.
        let mut told = Vec::new();
        for _ in 0..1_000 {
            while let Some(Some(picked)) = picks.next().now_or_never() {
                told.push(picked);
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(told, [Err(NotPicked::Crowded); 8]);
        let mut switching = Box::pin(Change::begin_switch(&app, &rights));
        assert!(switching.as_mut().now_or_never().is_none());
        held.rollback().await.unwrap();
        let switching = switching.await.unwrap();
        assert!(done.load(Ordering::SeqCst) <= 1, "the others come after it");
        switching.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_found_by_its_gateway_by_its_id_and_among_all() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let shown = api.get("apps/bot/connections/main").await.json();
        assert_eq!(shown["app"], "bot");
        assert_eq!(shown["gateway"], "main");
        assert_eq!(shown["user"], "ann");
        assert_eq!(shown["identities"], json!({"jira": "ann-jira"}));
        let by_id = format!("apps/bot/connections/{}", shown["id"].as_str().unwrap());
        assert_eq!(api.get(&by_id).await.json(), shown);

        let app = json!({"name": "aide", "owner": "ann", "purpose": "x"});
        api.given("apps", app).await;
        api.given("gateways", json!({"name": "lab"})).await;
        // It sorts after `aide` as a name, and before it as a text with what follows.
        api.given("apps", json!({"name": "aide-2", "owner": "ann", "purpose": "x"})).await;
        let pairs = [("aide", "main"), ("aide", "lab"), ("aide-2", "lab"), ("bot", "lab")];
        for (app, gateway) in pairs {
            api.given(&format!("apps/{app}/connections"), json!({ "gateway": gateway })).await;
        }
        let mut seen = Vec::new();
        let mut path = "connections?limit=3".to_owned();
        loop {
            let page = api.get(&path).await.json();
            for it in page["items"].as_array().unwrap() {
                let (app, gateway) = (it["app"].as_str().unwrap(), it["gateway"].as_str().unwrap());
                seen.push(format!("{app}/{gateway}"));
            }
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("connections?limit=3&cursor={cursor}");
        }
        assert_eq!(seen, ["aide/lab", "aide/main", "aide-2/lab", "bot/lab", "bot/main"]);
        // `aide/lab`, as cursors were before.
        let page = api.get("connections?limit=1&cursor=YWlkZS9sYWI").await.json();
        assert_eq!(page["items"][0]["gateway"], "main");
        let other = format!("apps/aide/connections/{}", shown["id"].as_str().unwrap());
        assert_eq!(api.get(&other).await.status, 404, "of another app");
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_chosen() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("users", json!({"name": "bob"})).await;
        let transport = json!({"type": "http", "url": "https://wiki.example"});
        api.given("servers", json!({"name": "wiki", "transport": transport})).await;
        let identities = [
            json!({"name": "bobs", "server": "jira", "owner": "bob", "headers": {"x-a": "b"}}),
            json!({"name": "wikis", "server": "wiki", "headers": {"x-a": "b"}}),
            json!({"name": "all", "server": "jira", "headers": {"x-a": "b"}}),
        ];
        for body in identities {
            api.given("identities", body).await;
        }
        let cases = [
            (json!(["bobs"]), "identity `bobs` does not belong to `ann`"),
            (
                json!(["wikis"]),
                "identity `wikis` is for server `wiki`, which is not on gateway `main`",
            ),
            (json!(["ann-jira", "all"]), "choose one identity for server `jira`"),
            (json!(["nope"]), "there is no identity `nope`"),
        ];
        let path = "apps/bot/connections/main";
        for (chosen, detail) in cases {
            let reply = api.patch(path, json!({ "identities": chosen })).await;
            assert_eq!(reply.problem(), (422, "invalid".into()), "{chosen}");
            assert_eq!(reply.json()["detail"], detail);
        }
        let reply = api.patch(path, json!({"identities": ["all"]})).await.json();
        assert_eq!(reply["identities"], json!({"jira": "all"}));

        // Whoever decides about connections alone has no credential used that they do not know, and
        // no shared one that they do not decide about.
        let capabilities = json!(["apps:read", "apps:write"]);
        api.given("roles", json!({"name": "desk", "capabilities": capabilities})).await;
        api.given("roles", json!({"name": "look", "capabilities": ["identities:read"]})).await;
        api.given("roles", json!({"name": "use", "capabilities": ["identities:write"]})).await;
        let eve = api.given_admin("eve", &[("desk", "workspace")]).await;
        let choose = async |name: &str| {
            let body = Some(json!({ "identities": [name] }));
            api.ask_as(&eve, Method::PATCH, path, body).await.status.as_u16()
        };
        assert_eq!(choose("all").await, 200, "it is in use already");
        assert_eq!(choose("ann-jira").await, 422, "there is none for Eve");
        let none = json!({"identities": []});
        assert_eq!(api.patch(path, none.clone()).await.status, 200);
        assert_eq!(choose("all").await, 422);
        let grant = json!({"name": "g1", "role": "look", "user": "eve", "on": "server/jira"});
        api.given("role-grants", grant).await;
        assert_eq!(choose("ann-jira").await, 200);
        assert_eq!(choose("all").await, 403);
        let grant = json!({"name": "g2", "role": "use", "user": "eve", "on": "server/jira"});
        api.given("role-grants", grant).await;
        assert_eq!(choose("all").await, 200);
        let twice = api.post("apps/bot/connections", json!({"gateway": "main"})).await;
        assert_eq!(twice.problem(), (409, "duplicate".into()));
    }
}

/// Whoever has come by an id is not told the name that goes with it.
#[tokio::test]
async fn what_may_not_be_seen_goes_by_what_it_was_called() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let headers = json!({"Authorization": "Bearer hunter2"});
        let own =
            json!({"name": "veiled-own", "server": "jira", "owner": "ann", "headers": headers});
        let identity = api.given("identities", own).await["id"].clone();
        let gateway = api.given("gateways", json!({"name": "veiled-gateway"})).await["id"].clone();
        let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
        let server = json!({"name": "veiled-server", "transport": transport});
        let server = api.given("servers", server).await["id"].clone();
        for (role, capabilities) in [
            ("seer", json!(["apps:read"])),
            ("keeper", json!(["apps:read", "apps:write"])),
            ("pinner", json!(["pins:read"])),
        ] {
            api.given("roles", json!({"name": role, "capabilities": capabilities})).await;
        }
        let roles = [("seer", "workspace"), ("keeper", "gateway/main"), ("pinner", "server/jira")];
        let eve = api.given_admin("eve", &roles).await;
        let pins = format!("pins?server={}", server.as_str().unwrap());
        let connections = "apps/bot/connections";
        for (method, path, body, expected) in [
            (Method::POST, connections, Some(json!({ "gateway": gateway })), 403),
            (
                Method::PATCH,
                "apps/bot/connections/main",
                Some(json!({ "identities": [identity] })),
                422,
            ),
            (Method::GET, &pins, None, 404),
        ] {
            let reply = api.ask_as(&eve, method.clone(), path, body).await;
            assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text);
            assert!(!reply.text.contains("veiled"), "{method} {path}: {}", reply.text);
        }
    }
}
