//! What somebody finds of their own calls, and of nobody else's.

use std::time::Duration;

use audit::{Kind, Leaf};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Clock as _, UserId};
use serde_json::{Value, json};

use super::told::{append, begin, end, here, record, settle, write};
use super::{CALL, Call};
use crate::testing::Api;

async fn calls(api: &Api, token: &str, query: &str) -> Value {
    let reply = api.ask_as(token, Method::GET, &format!("me/calls?{query}"), None).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    reply.json()
}

fn member<'a>(found: &'a Value, name: &str) -> Vec<&'a str> {
    let items = found["items"].as_array().unwrap();
    items.iter().map(|it| it[name].as_str().unwrap_or_default()).collect()
}

pub(super) async fn id_of(api: &Api, user: &str) -> UserId {
    let snapshot = api.snapshot().await;
    let users = &snapshot.config.workspaces["default"].users;
    users.values().find(|it| it.name.as_str() == user).unwrap().id
}

/// A call of an app of theirs that was refused before anything left.
async fn refuse(api: &Api, owner: UserId, (end, detail): (&str, &str)) {
    let leaf = Leaf::new(Kind::Outcome).call(api.clock.id()).uuid("owner", owner.0);
    let leaf = leaf.str("app_name", "bot").str("gateway", "side").str("method", "tools/call");
    let leaf = leaf.str("end", end).bool("error", true).str("detail", detail);
    write(api, Kind::Outcome, leaf.str("policy", "secret-policy").finish()).await;
}

#[tokio::test]
async fn somebody_finds_their_own_calls_and_why_they_were_refused_and_nobody_elses() {
    for api in Api::on_each_database().await {
        let tokens = [api.given_admin("ann", &[]).await, api.given_admin("bob", &[]).await];
        let (ann, bob) = (id_of(&api, "ann").await, id_of(&api, "bob").await);
        let of = |user: UserId, server| Call { user: user.0.as_u128(), server, ..CALL };
        record(&api, &[of(bob, "of-bob"), of(ann, "jira"), of(bob, "of-bob")]).await;
        let why = "tool is turned off by an administrator: it leaks";
        refuse(&api, ann, ("switched_off", why)).await;
        refuse(&api, bob, ("policy", "of-bob")).await;
        record(&api, &[Call { is_error: true, ..of(ann, "wiki") }]).await;
        settle(&api).await;

        let found = calls(&api, &tokens[0], "").await;
        assert_eq!(member(&found, "server"), ["wiki", "", "jira"]);
        assert_eq!(member(&found, "outcome"), ["error", "denied", "answered"]);
        assert_eq!(member(&found, "end"), ["answered", "switched_off", "answered"]);
        let because = ["its server has answered with an error", why, ""];
        assert_eq!(member(&found, "because"), because);
        assert_eq!(found["items"][2]["took_ms"], 12.0, "{found}");
        for other in ["of-bob", "secret-policy", &bob.to_string()] {
            assert!(!found.to_string().contains(other), "{other}: {found}");
        }
        let cases = [
            ("gateway=side", 1),
            ("gateway=main", 2),
            ("outcome=denied", 1),
            ("outcome=error", 1),
            ("outcome=cancelled", 0),
            ("to=2026-01-01T00:00:00Z", 0),
            ("from=2026-01-01T00:00:00Z", 3),
        ];
        for (query, expected) in cases {
            let found = calls(&api, &tokens[0], query).await;
            assert_eq!(member(&found, "server").len(), expected, "{query}: {found}");
        }
        let theirs = calls(&api, &tokens[1], "").await;
        assert_eq!(member(&theirs, "server"), ["", "of-bob", "of-bob"]);
        for user in ["user=ann", "team=dev"] {
            let path = format!("me/calls?{user}");
            let refused = api.ask_as(&tokens[1], Method::GET, &path, None).await;
            assert_eq!(refused.status, 400, "nobody is named: {}", refused.text);
        }
    }
}

/// Whoever may see all records sees their own here, and whoever may see none by their token sees none.
#[tokio::test]
async fn neither_a_role_nor_a_token_makes_more_of_what_is_ones_own() {
    for api in Api::on_each_database().await {
        let chief = api.given_admin("chief", &[("workspace-admin", "workspace")]).await;
        let chief_id = id_of(&api, "chief").await.0.as_u128();
        record(&api, &[CALL, Call { user: chief_id, ..CALL }, CALL]).await;
        settle(&api).await;
        let all = api.ask_as(&chief, Method::GET, "records/calls", None).await.json();
        assert_eq!(all["items"].as_array().unwrap().len(), 3);
        assert_eq!(member(&calls(&api, &chief, "").await, "server").len(), 1);

        let less = json!({"name": "less", "capabilities": ["gateways:read"]});
        let less = api.given("users/chief/admin-tokens", less).await;
        let less = less["secret"].as_str().unwrap();
        for (path, status) in
            [("calls", 403), ("apps", 403), ("identities", 403), ("gateways", 200)]
        {
            let path = format!("me/{path}");
            let reply = api.ask_as(less, Method::GET, &path, None).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.text);
        }
    }
}

/// One request looks at so many records, however many of them are others'.
#[tokio::test]
async fn ones_own_calls_are_found_a_page_at_a_time_among_many_of_others() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[]).await;
        let ann = id_of(&api, "ann").await.0.as_u128();
        for _ in 0..3 {
            record(&api, &[Call { user: ann, ..CALL }]).await;
            record(&api, &[CALL; 30]).await;
        }
        // It has begun and not ended.
        begin(&api, Call { user: ann, ..CALL }).await;
        settle(&api).await;
        let (mut found, mut asked, mut query) = (0, 0, "limit=1".to_owned());
        loop {
            let page = calls(&api, &token, &query).await;
            found += page["items"].as_array().unwrap().len();
            asked += 1;
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=1&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(found, 3);
        assert!((4..20).contains(&asked), "{asked}");
        for query in ["cursor=x", "cursor=eA", "limit=201", "limit=0"] {
            let path = format!("me/calls?{query}");
            assert_eq!(api.ask_as(&token, Method::GET, &path, None).await.status, 400, "{query}");
        }
    }
}

#[tokio::test]
async fn what_is_older_than_a_month_is_not_found_whatever_is_asked_for() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[]).await;
        let ann = id_of(&api, "ann").await.0.as_u128();
        record(&api, &[Call { user: ann, ..CALL }]).await;
        settle(&api).await;
        let query = "from=2020-01-01T00:00:00Z";
        for (days, expected) in [(30, 1), (2, 0)] {
            api.clock.advance(Duration::from_secs(days * 24 * 3_600));
            for query in ["", query] {
                let found = calls(&api, &token, query).await;
                assert_eq!(member(&found, "server").len(), expected, "{days} {query}: {found}");
            }
        }
    }
}

/// Where a page ends is a place in everybody's log.
#[tokio::test]
async fn a_page_tells_nobody_how_much_others_call() {
    for api in Api::on_each_database().await {
        let tokens = [api.given_admin("ann", &[]).await, api.given_admin("bob", &[]).await];
        api.clock.advance(Duration::from_millis(1_234));
        record(&api, &[CALL; 50]).await;
        settle(&api).await;
        let found = calls(&api, &tokens[0], "").await;
        assert!(found["reached"].as_str().unwrap().ends_with(":00Z"), "{found}");
        let cursor = found["next_cursor"].as_str().unwrap();
        assert_ne!(calls(&api, &tokens[0], "").await["next_cursor"], cursor, "it is sealed");
        let page = format!("me/calls?cursor={cursor}");
        for (token, status) in [(&tokens[0], 200), (&tokens[1], 400)] {
            let reply = api.ask_as(token, Method::GET, &page, None).await;
            assert_eq!(reply.status, status, "{}", reply.text);
        }
        let made_up = URL_SAFE_NO_PAD.encode("7");
        let page = format!("me/calls?cursor={made_up}");
        let reply = api.ask_as(&tokens[0], Method::GET, &page, None).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
    }
}

/// In the log of another workspace their id is nobody's.
#[tokio::test]
async fn calls_of_another_workspace_are_not_found() {
    for api in Api::on_each_database().await {
        let token = api.given_admin("ann", &[]).await;
        let ann = id_of(&api, "ann").await.0;
        api.given("/workspaces", json!({"name": "other"})).await;
        let other = api.snapshot().await.config.workspaces["other"].id.0;
        assert_ne!(other, here(&api).await.0);
        let id = api.clock.id();
        let leaf = Leaf::new(Kind::Intent).call(id).uuid("user", ann).str("method", "tools/call");
        append(&api.log, other, Kind::Intent, leaf.finish()).await;
        let leaf = Leaf::new(Kind::Outcome).call(id).str("end", "answered");
        let leaf = leaf.u64("total_us", 1).u64("upstream_us", 1);
        append(&api.log, other, Kind::Outcome, leaf.finish()).await;
        super::told::settle_in(&api.log, domain::WorkspaceId(other)).await;
        let begun = begin(&api, Call { user: ann.as_u128(), ..CALL }).await;
        end(&api, begun, CALL).await;
        settle(&api).await;
        assert_eq!(member(&calls(&api, &token, "").await, "server"), ["jira"]);
        let path = "/workspaces/other/me/calls";
        assert_eq!(api.ask_as(&token, Method::GET, path, None).await.status, 404);
    }
}
