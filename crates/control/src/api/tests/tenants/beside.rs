//! What the story leaves out, in a workspace beside one whose rows have the same ids: what goes with
//! something, who is the last administrator, sessions, what is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::Clock as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::world::World;
use super::{is_unchanged, rows};
use crate::snapshot;
use crate::testing::Api;

/// How many answers a caller keeps in a workspace.
const MOST_ANSWERS: u128 = 1_000;

/// Each is named once, and what is in the way of a deletion as well.
#[tokio::test]
async fn h159_what_goes_with_something_is_of_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let own = |name: &str| json!({"name": name, "role": "keeper", "user": "bob"});
        let all = ["gateway/main", "server/jira", "team/dev", "workspace"];
        for (i, on) in all.into_iter().enumerate() {
            let mut grant = own(&format!("bob-{i}"));
            grant["on"] = on.into();
            api.given(&ours.at("role-grants"), grant).await;
        }
        api.given(&ours.at("users/bob/admin-tokens"), json!({"name": "ci"})).await;
        api.given(&ours.at("teams"), json!({"name": "of-bob", "members": ["bob"]})).await;
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        let moved = json!({"type": "http", "url": "https://other.example/mcp"});
        let reply = api.patch(&ours.at("servers/jira"), json!({"transport": moved})).await;
        assert_eq!(reply.status, 409, "{}", reply.text);
        assert!(!reply.text.contains("canary"), "{}", reply.text);
        empty(&world).await;
        let gone = [
            ("gateways/main", 8, &["assignment", "role-grant", "rule", "team"][..]),
            ("identities/ann-jira", 0, &[]),
            ("servers/jira", 0, &[]),
            ("identities/jira-bot", 0, &[]),
            ("servers/jira", 4, &["pin", "role-grant"]),
            ("teams/dev", 4, &["member", "role-grant"]),
            ("users/bob", 3, &["admin-token", "role-grant", "team"]),
        ];
        let mut deeds = vec![("apps/bot", 2, &["connection", "token"][..])];
        for (path, count, kinds) in gone {
            let reply = api.delete(&ours.at(path)).await;
            let is_in_the_way = path == "servers/jira" && count == 0;
            assert_eq!(reply.status, if is_in_the_way { 409 } else { 204 }, "{}", reply.text);
            if is_in_the_way {
                assert_eq!(reply.text.matches("identity `jira-bot`").count(), 1, "{}", reply.text);
                continue;
            }
            deeds.push((path, count, kinds));
        }
        is_unchanged(&before, &rows::of(api, twin).await);
        api.log.clone().close().unwrap();
        let newest = api.get(&ours.at("records?limit=1")).await.json();
        let newest = newest["items"][0]["index"].as_u64().unwrap();
        let mut taken = Vec::new();
        for index in 0..=newest {
            let shown = api.get(&ours.at(&format!("records/{index}"))).await.json();
            let deed = &shown["deed"];
            if deed["after"].is_null() && deed["before"].is_object() {
                taken.push(deed["taken"].as_array().unwrap().clone());
            }
        }
        let taken = &taken[taken.len() - deeds.len()..];
        for ((path, count, kinds), taken) in deeds.into_iter().zip(taken) {
            let unique: BTreeSet<String> = taken.iter().map(Value::to_string).collect();
            assert_eq!(unique.len(), taken.len(), "{path}: {taken:?}");
            assert_eq!(taken.len(), count, "{path}: {taken:?}");
            let found: BTreeSet<&str> = taken.iter().filter_map(|it| it["kind"].as_str()).collect();
            assert_eq!(found, kinds.iter().copied().collect(), "{path}");
        }
    }
}

/// Members, grants and switches of another workspace make nobody an administrator of this one.
#[tokio::test]
async fn h159_the_last_administrator_is_one_of_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        // In the twin everybody is a member of all teams, and bob is off.
        api.given(&ours.at("teams"), json!({"name": "empty"})).await;
        let grant = |name: &str, kind: &str, who: &str| json!({"name": name, "role": "workspace-admin", kind: who, "on": "workspace"});
        api.given(&ours.at("role-grants"), grant("empty", "team", "empty")).await;
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        let delete = async || {
            let path = ours.at("role-grants/root-0");
            api.ask_as(&ours.admin, Method::DELETE, &path, None).await
        };
        let last = delete().await;
        assert_eq!(last.problem(), (409, "conflict".into()), "{}", last.text);
        api.given(&ours.at("role-grants"), grant("bob", "user", "bob")).await;
        let reply = delete().await;
        assert_eq!(reply.status, 204, "{}", reply.text);
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

#[tokio::test]
async fn h159_a_session_ends_in_one_workspace_alone() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let body = Some(json!({"token": ours.admin}));
        let signed_in = api.ask_as(&ours.admin, Method::POST, "/session", body).await;
        assert_eq!(signed_in.status, 201, "{}", signed_in.text);
        let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
        let twin = world.twin_of_ours(true).await;
        let before = rows::of(api, twin).await;
        let ask = |method: Method, path: &str| {
            Request::builder()
                .method(method)
                .uri(format!("/api/v1{path}"))
                .header(header::COOKIE, &cookie)
                .header("sec-fetch-site", "same-origin")
                .body(Body::empty())
                .unwrap()
        };
        let stream = ask(Method::GET, &ours.at("records/stream"));
        let mut events = api.control.router().oneshot(stream).await.unwrap().into_body();
        assert_eq!(events.frame().await.unwrap().unwrap().data_ref().unwrap(), ": open\n\n");
        assert_eq!(api.send(ask(Method::DELETE, "/session")).await.status, 204);
        is_unchanged(&before, &rows::of(api, twin).await);
        // The twin's session of the same id does not keep this one open.
        let end = async { while events.frame().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(30), end).await.expect("the stream ends");
    }
}

#[tokio::test]
async fn h159_what_is_over_is_put_away_in_one_workspace_alone() {
    for world in World::on_each_database().await {
        let World { api, ours, theirs } = &world;
        // A switch whose time has passed, in both.
        let mut tx = api.fresh.db.begin().await.unwrap();
        for tenant in [ours, theirs] {
            let insert = db::sql(
                "INSERT INTO switches
                   (workspace_id, kind, target_id, tool, created_at, until, reason)
                 VALUES ($1, 'user', $2, '', $3, $3, 'over')",
            );
            let user: Uuid = tenant.usual["other"].id.parse().unwrap();
            let past = chrono::DateTime::UNIX_EPOCH;
            tx.execute(insert.bind(tenant.id).bind(user).bind(past)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let before = rows::of(api, theirs.id).await;
        let cut = json!({"kind": "server", "name": "jira", "reason": "it leaks"});
        assert_eq!(api.post(&ours.at("cutoffs"), cut).await.status, 200);
        is_unchanged(&before, &rows::of(api, theirs.id).await);
        let switches = &rows::of(api, ours.id).await["switches"];
        assert!(!switches.iter().any(|it| it.contains("over")), "{switches:?}");
    }
}

/// Many answers that are kept in one workspace push none out in another.
#[tokio::test]
async fn h159_answers_are_kept_for_each_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, theirs } = &world;
        let kept = async |workspace: Uuid| rows::of(api, workspace).await["answers"].len();
        let before = kept(theirs.id).await;
        assert_ne!(before, 0);
        api.clock.advance(Duration::from_secs(1));
        let mut tx = api.fresh.db.begin().await.unwrap();
        for n in 0..=MOST_ANSWERS {
            let insert = db::sql(
                "INSERT INTO answers
                   (caller_id, workspace_id, key_hash, request_hash, status, created_at)
                 SELECT caller_id, workspace_id, $2, request_hash, 200, $3 FROM answers
                 WHERE workspace_id = $1 LIMIT 1",
            );
            let key = Uuid::from_u128(n).as_bytes().repeat(2);
            tx.execute(insert.bind(ours.id).bind(key).bind(api.clock.now())).await.unwrap();
        }
        tx.commit().await.unwrap();
        api.clock.advance(Duration::from_secs(1));
        // What is beyond is put away at the next key, of that workspace.
        for (tenant, name) in [(theirs, "late"), (ours, "later")] {
            let request = Request::post(format!("/api/v1{}", tenant.at("users")))
                .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
                .header(header::CONTENT_TYPE, "application/json")
                .header("idempotency-key", name)
                .body(Body::from(json!({"name": name}).to_string()))
                .unwrap();
            assert_eq!(api.send(request).await.status, 201);
            assert_eq!(kept(theirs.id).await, before + 1, "{name}");
        }
        assert!(kept(ours.id).await <= usize::try_from(MOST_ANSWERS).unwrap() + 1);
    }
}

/// Members are told by the workspace of their team, and a workspace by its id.
#[tokio::test]
async fn h159_members_and_settings_are_of_one_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, theirs } = &world;
        // There everybody is a member of all teams.
        let twin = world.twin_of_ours(true).await;
        let before = [rows::of(api, twin).await, rows::of(api, theirs.id).await];
        // Whoever joins would be what the asker is not: no member elsewhere makes it otherwise.
        let above = json!({"name": "above", "role": "workspace-admin", "team": "dev",
                           "on": "workspace"});
        api.given(&ours.at("role-grants"), above).await;
        let join = ours.at("teams/dev/members/bob");
        let refused = api.ask_as(&ours.narrow, Method::PUT, &join, None).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        let add = async |team: &str| api.put(&ours.at(&format!("teams/{team}/members/bob"))).await;
        assert_eq!(add("dev").await.status, 200);
        let both = json!({"members": ["ann", "bob"]});
        assert_eq!(api.patch(&ours.at("teams/ours-dev"), both).await.status, 200);
        for team in ["dev", "ours-dev"] {
            let shown = api.get(&ours.at(&format!("teams/{team}"))).await.text;
            assert!(shown.contains("bob"), "{shown}");
        }
        let synced = json!({"durability": "synced"});
        assert_eq!(api.patch("/workspaces/default", synced).await.status, 200);
        is_unchanged(&before[0], &rows::of(api, twin).await);
        is_unchanged(&before[1], &rows::of(api, theirs.id).await);
    }
}

/// The same ids belong to other things elsewhere.
#[tokio::test]
async fn h159_what_belongs_to_something_is_told_by_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let off = [
            ("app", "bot"),
            ("assignment", "main/jira"),
            ("assignment", "ours-main/ours-jira"),
            ("connection", "bot/main"),
            ("connection", "ours-bot/ours-main"),
            ("gateway", "main"),
            ("identity", "ann-jira"),
            ("identity", "ours-ann-jira"),
            ("server", "jira"),
            ("tool", "jira/search"),
            ("user", "bob"),
        ];
        for (kind, name) in off {
            let cut = json!({"kind": kind, "name": name, "reason": "it leaks"});
            let reply = api.post(&ours.at("cutoffs"), cut).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text);
        }
        let twin = world.twin_of_ours(true).await;
        cross(&world, twin).await;
        let before = rows::of(api, twin).await;

        let listed = async |token: &str| {
            let reply = api.ask_as(token, Method::GET, &ours.at("cutoffs?limit=50"), None).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let items = reply.json()["items"].as_array().unwrap().clone();
            let text = |it: &Value| it.as_str().unwrap().to_owned();
            let all = items.iter().map(|it| (text(&it["kind"]), text(&it["name"])));
            all.collect::<BTreeSet<_>>()
        };
        let all = listed(&ours.admin).await;
        let known = off.map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        assert!(known.iter().all(|it| all.contains(it)), "{all:?}");
        assert!(!all.iter().any(|it| it.1.contains("canary-")), "{all:?}");
        let part = listed(&ours.narrow).await;
        let is_of_part = |it: &&(String, String)| {
            !it.1.contains("ours-") && !["app", "user"].contains(&it.0.as_str())
        };
        assert_eq!(part, all.iter().filter(is_of_part).cloned().collect());
        // Nobody else's choices are in the way of a new owner.
        let connection = ours.at("apps/ours-bot/connections/ours-main");
        assert_eq!(api.delete(&connection).await.status, 204);
        let given = json!({"owner": "bob"});
        let reply = api.patch(&ours.at("apps/ours-bot"), given).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        // What goes with one gateway stays off at another.
        empty(&world).await;
        assert_eq!(api.delete(&ours.at("gateways/main")).await.status, 204);
        let left = listed(&ours.admin).await;
        assert!(left.contains(&("assignment".into(), "ours-main/ours-jira".into())), "{left:?}");
        let token = ours.at("users/ann/admin-tokens/ci");
        assert_eq!(api.delete(&token).await.status, 204);
        let left = api.get(&ours.at("users/ours-ann/admin-tokens/ours-ci")).await;
        assert_eq!(left.status, 200, "{}", left.text);
        is_unchanged(&before, &rows::of(api, twin).await);
    }
}

/// What belongs to something in ours belongs to something else in the twin.
async fn cross(World { api, ours, .. }: &World, twin: Uuid) {
    let usual = |kind: &str| ours.usual[kind].id.parse::<Uuid>().unwrap();
    let own = |kind: &str| ours.own[kind].id.parse::<Uuid>().unwrap();
    let crossed = [
        (
            "UPDATE assignments SET gateway_id = $3 WHERE workspace_id = $1 AND id = $2",
            own("assignment"),
            usual("gateway"),
        ),
        ("DELETE FROM picks WHERE workspace_id = $1 AND $2 <> $3", twin, own("app")),
        (
            "UPDATE connections SET gateway_id = $3 WHERE workspace_id = $1 AND id = $2",
            own("connection"),
            usual("gateway"),
        ),
        (
            "UPDATE connections SET gateway_id = $3 WHERE workspace_id = $1 AND id = $2",
            usual("connection"),
            own("gateway"),
        ),
        (
            "UPDATE connections SET app_id = $3 WHERE workspace_id = $1 AND id = $2",
            usual("connection"),
            own("app"),
        ),
        (
            "UPDATE identities SET server_id = $3 WHERE workspace_id = $1 AND id = $2",
            own("identity"),
            usual("server"),
        ),
        (
            "UPDATE user_admin_tokens SET made_with = $3 WHERE workspace_id = $1 AND id = $2",
            own("user_token"),
            usual("user_token"),
        ),
    ];
    let mut tx = api.fresh.db.begin().await.unwrap();
    for (text, id, to) in crossed {
        let update = db::sql(text).bind(twin).bind(id).bind(to);
        assert_ne!(tx.execute(update).await.unwrap(), 0, "{text}");
    }
    tx.commit().await.unwrap();
}

/// A token that was made with another ends with it, whatever there is elsewhere.
#[tokio::test]
async fn h159_a_token_hangs_on_one_of_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let user = "root";
        let made = ours.at(&format!("users/{user}/admin-tokens"));
        let made = api.ask_as(&ours.admin, Method::POST, &made, Some(json!({"name": "sub"}))).await;
        let made = made.json()["secret"].as_str().unwrap().to_owned();
        let body = Some(json!({"token": made}));
        let signed_in = api.ask_as(&made, Method::POST, "/session", body).await;
        let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
        world.twin_of_ours(true).await;
        let ask = async |name: header::HeaderName, value: &str| {
            let request = Request::get("/api/v1/session").header(name, value);
            api.send(request.body(Body::empty()).unwrap()).await.status
        };
        let bearer = format!("Bearer {made}");
        assert_eq!(ask(header::AUTHORIZATION, &bearer).await, 200);
        assert_eq!(ask(header::COOKIE, &cookie).await, 200);
        // As a deletion does that has not seen what was made at the same time.
        let mut tx = api.fresh.db.begin().await.unwrap();
        let delete = db::sql(
            "DELETE FROM user_admin_tokens
             WHERE workspace_id = $1 AND name = 'cli' AND id IN (
               SELECT made_with FROM user_admin_tokens WHERE workspace_id = $1 AND name = 'sub')",
        );
        assert_eq!(tx.execute(delete.bind(ours.id)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(ask(header::AUTHORIZATION, &bearer).await, 401);
        assert_eq!(ask(header::COOKIE, &cookie).await, 401);
    }
}

/// What has been touched is read anew, of its own workspace, and nothing else becomes another.
#[tokio::test]
async fn h159_what_is_followed_is_of_its_own_workspace() {
    for world in World::on_each_database().await {
        let World { api, ours, .. } = &world;
        let approve = "UPDATE pins SET state = 'approved' WHERE workspace_id = $1";
        commit(api, approve, vec![ours.id.into()]).await;
        commit(api, "DELETE FROM picks WHERE workspace_id = $1", vec![ours.id.into()]).await;
        let alone = said(api, ours.name).await;
        let twin = world.twin_of_ours(true).await;
        let identity: Uuid = ours.own["identity"].id.parse().unwrap();
        let hashes = "UPDATE pins SET hash = $2 WHERE workspace_id = $1";
        commit(api, hashes, vec![twin.into(), vec![9_u8; 32].into()]).await;
        let choices = "UPDATE choices SET identity_id = $2 WHERE workspace_id = $1";
        commit(api, choices, vec![twin.into(), identity.into()]).await;
        let picks = "INSERT INTO picks (workspace_id, app_id, gateway_id)
             SELECT workspace_id, app_id, gateway_id FROM connections WHERE workspace_id = $1";
        commit(api, picks, vec![twin.into()]).await;
        let beside = said(api, "twin").await;
        assert_eq!(alone.len(), beside.len());
        let one = "UPDATE workspaces SET name = name WHERE id = $1";
        let grants = "UPDATE role_grants SET name = name WHERE workspace_id = $1";
        let touched = [
            (ours.id, None, twin),
            (twin, None, ours.id),
            (ours.id, Some(grants), twin),
            (twin, Some(grants), ours.id),
        ];
        for (all_of, only, one_of) in touched {
            match only {
                None => rows::touch(api, all_of).await,
                Some(text) => commit(api, text, vec![all_of.into()]).await,
            }
            commit(api, one, vec![one_of.into()]).await;
            for (name, known) in [(ours.name, &alone), ("twin", &beside)] {
                let now = said(api, name).await;
                for (what, it) in known {
                    assert_eq!(now.get(what), Some(it), "{what}");
                }
                assert_eq!(now.len(), known.len(), "{name}");
            }
        }
    }
}

/// A change by hand.
async fn commit(api: &Api, text: &'static str, values: Vec<db::Value>) {
    let statement = values.into_iter().fold(db::sql(text), db::Sql::bind);
    let mut tx = api.fresh.db.begin().await.unwrap();
    assert_ne!(tx.execute(statement).await.unwrap(), 0, "{text}");
    tx.commit().await.unwrap();
}

/// What the configuration says of a workspace once somebody has changed something elsewhere.
async fn said(api: &Api, workspace: &str) -> BTreeMap<String, String> {
    let name = format!("user-{}", api.clock.id());
    api.given("/workspaces/elsewhere/users", json!({ "name": name })).await;
    let own = format!("{workspace} ");
    let told = snapshot::told(&api.snapshot().await.config);
    told.into_iter().filter(|it| it.0.starts_with(&own)).collect()
}

/// Deletes what is in the way of the deletion of `gateways/main`.
async fn empty(World { api, ours, .. }: &World) {
    for name in ["few", "by-app", "by-gateway", "by-server", "by-user", "by-team"] {
        assert_eq!(api.delete(&ours.at(&format!("limits/{name}"))).await.status, 204, "{name}");
    }
    for name in ["hours", "places", "callers"] {
        assert_eq!(api.delete(&ours.at(&format!("policies/{name}"))).await.status, 204, "{name}");
    }
    assert_eq!(api.delete(&ours.at("apps/bot")).await.status, 204);
}
