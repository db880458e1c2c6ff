//! What goes by neither a name nor an id: keys and tags of requests, places in a log, files, what is
//! above all workspaces; and what is asked beside the routes.

use axum::body::Body;
use axum::http::{Method, Request, header};
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::routes;
use super::world::{Tenant, World};
use super::{Form, is_unchanged, plain, rows};
use crate::testing::{Api, Reply};

#[tokio::test]
async fn a_key_that_was_used_in_another_workspace_is_free() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let body = json!({"name": "eve"});
        let their = with_header(&api, (&theirs, "users"), "idempotency-key", "k", &body).await;
        assert_eq!(their.status, 201, "{}", their.text);
        let before = rows::of(&api, theirs.id).await;
        let our = with_header(&api, (&ours, "users"), "idempotency-key", "k", &body).await;
        assert_eq!(our.status, 201, "{}", our.text);
        assert_ne!(our.text, their.text);
        // What is refused leaves the key free here, and nowhere else.
        with_header(&api, (&theirs, "users"), "idempotency-key", "l", &json!({"name": "eva"}))
            .await;
        let known = rows::of(&api, theirs.id).await;
        let refused = with_header(&api, (&ours, "users"), "idempotency-key", "l", &body).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        is_unchanged(&known, &rows::of(&api, theirs.id).await);
        assert_ne!(before, known, "an answer is kept");
        for (tenant, first) in [(&ours, &our), (&theirs, &their)] {
            let again = with_header(&api, (tenant, "users"), "idempotency-key", "k", &body).await;
            assert_eq!((again.status, &again.text), (first.status, &first.text));
        }
    }
}

#[tokio::test]
async fn a_tag_of_another_workspace_is_that_of_nothing_here() {
    for World { api, ours, theirs } in World::on_each_database().await {
        for (path, change) in [
            ("teams/dev", json!({"members": []})),
            ("roles/keeper", json!({"capabilities": []})),
            ("gateways/main", json!({"addresses": []})),
        ] {
            let own = api.get(&ours.at(path)).await.header("etag").to_owned();
            let other = api.get(&theirs.at(path)).await.header("etag").to_owned();
            for (tag, expected) in [(other, 412), (own, 200)] {
                let request = Request::patch(format!("/api/v1{}", ours.at(path)))
                    .header(header::AUTHORIZATION, format!("Bearer {}", ours.admin))
                    .header(header::CONTENT_TYPE, "application/json")
                    .header(header::IF_MATCH, tag);
                let reply = api.send(request.body(change.to_string().into()).unwrap()).await;
                assert_eq!(reply.status, expected, "{path}: {}", reply.text);
            }
        }
    }
}

#[tokio::test]
async fn h159_the_log_of_another_workspace_is_not_read() {
    for World { api, ours, theirs } in World::on_each_database().await {
        // Theirs is the longer one.
        for i in 0..8 {
            api.given(&theirs.at("users"), json!({"name": format!("canary{i}")})).await;
        }
        api.log.clone().close().unwrap();
        let count = async |tenant: &Tenant| {
            let newest = api.get(&tenant.at("records?limit=1")).await.json();
            newest["items"][0]["index"].as_u64().unwrap() + 1
        };
        let (own, other) = (count(&ours).await, count(&theirs).await);
        assert!(own < other);
        for token in [&ours.admin, &api.token] {
            let mut path = ours.at("records?limit=50");
            let mut seen = 0;
            loop {
                let reply = api.ask_as(token, Method::GET, &path, None).await;
                theirs.is_not_in(&reply.text, &path);
                let page = reply.json();
                seen += page["items"].as_array().unwrap().len() as u64;
                let Some(cursor) = page["next_cursor"].as_str() else { break };
                path = ours.at(&format!("records?limit=50&cursor={cursor}"));
            }
            assert_eq!(seen, own);
            for index in (0..own).step_by(7) {
                let path = ours.at(&format!("records/{index}"));
                let reply = api.ask_as(token, Method::GET, &path, None).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                theirs.is_not_in(&reply.text, &path);
            }
            for what in ["", "/proof"] {
                for index in [other - 1, 1_000_000] {
                    let path = ours.at(&format!("records/{index}{what}"));
                    let reply = api.ask_as(token, Method::GET, &path, None).await;
                    assert_eq!(reply.problem(), (404, "not_found".into()), "{path}");
                }
                let path = ours.at(&format!("records/0{what}"));
                assert_eq!(api.ask_as(token, Method::GET, &path, None).await.status, 200, "{path}");
            }
        }
        for what in ["records", "records/0", "records/0/proof", "records/stream"] {
            let there = api.ask_as(&ours.admin, Method::GET, &theirs.at(what), None).await;
            let path = format!("/workspaces/nowhere/{what}");
            let nowhere = api.ask_as(&ours.admin, Method::GET, &path, None).await;
            let sent = ["elsewhere".to_owned(), "nowhere".to_owned()].into();
            assert_eq!(plain(&there, &sent), plain(&nowhere, &sent));
            assert_eq!((there.status, nowhere.status.as_u16()), (nowhere.status, 404));
        }
    }
}

#[tokio::test]
async fn policies_are_tried_on_what_was_called_in_their_own_workspace() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let all = json!({"name": "p", "text": "forbid(principal, action, resource);"});
        for tenant in [&ours, &theirs] {
            let trial = Some(json!({"policies": [all], "last": 1000}));
            let path = tenant.at("policy-simulations");
            let looking = async {
                // Records are read back when they have their place.
                loop {
                    let found = api.ask_as(&tenant.admin, Method::POST, &path, trial.clone()).await;
                    assert_eq!(found.status, 200, "{}", found.text);
                    if found.json()["calls"].as_u64() == Some(2) {
                        return found.json();
                    }
                    tokio::task::yield_now().await;
                }
            };
            let patience = std::time::Duration::from_secs(30);
            let found = tokio::time::timeout(patience, looking).await.expect("both are found");
            assert_eq!(found["refused"], 2, "{found}");
            let names: Vec<&Value> =
                found["examples"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
            assert_eq!(names, [&json!(tenant.word); 2]);
        }
    }
}

/// A file may name another workspace only where whoever applies it may, and learns nothing else.
#[tokio::test]
async fn h159_files_reach_into_no_other_workspace() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let before = rows::of(&api, theirs.id).await;
        for token in [&ours.admin, &api.token] {
            for document in [
                "kind: Workspace\nname: {}\n",
                "kind: Workspace\nname: {}\n---\nkind: User\nname: eve\n",
                "kind: User\nname: eve\nworkspace: {}\n",
                "kind: User\nname: ann\nworkspace: {}\ndepartment: x\n",
            ] {
                for route in ["diff", "apply"] {
                    let mut told = Vec::new();
                    for name in [theirs.name, "nowhere"] {
                        let text = document.replace("{}", name);
                        let body = json!({"text": text, "owner": "files", "prune": true});
                        let path = ours.at(route);
                        let reply = api.ask_as(token, Method::POST, &path, Some(body)).await;
                        assert!(reply.status.is_client_error(), "{text}: {}", reply.text);
                        let text = plain(&reply, &[name.to_owned()].into());
                        theirs.is_not_in(&text, document);
                        told.push((reply.status, text));
                    }
                    assert_eq!(told[0], told[1], "{route} {document}");
                }
            }
        }
        is_unchanged(&before, &rows::of(&api, theirs.id).await);
    }
}

/// What is above all workspaces, asked by somebody who may do everything in one of them, and every
/// route asked with what an app presents.
#[tokio::test]
async fn h159_nobody_of_a_workspace_sees_what_is_above_it() {
    for World { api, ours, theirs } in World::on_each_database().await {
        for route in routes().iter().filter(|it| !it.path.starts_with("/api/v1/workspaces/{w")) {
            let path = route.address("default").replace("/first", &format!("/{}", theirs.id));
            if route.operation.security.is_none() || path.starts_with("/session") {
                continue;
            }
            let body = route.operation.request_body.is_some();
            let body = body.then(|| json!({"name": theirs.name}));
            let reply = api.ask_as(&ours.admin, route.method.clone(), &path, body).await;
            let is_open = ["/policy-schema", "/workspaces"].contains(&path.as_str())
                && route.method == Method::GET;
            let expected = if is_open { 200 } else { 403 };
            assert_eq!(reply.status, expected, "{} {path}: {}", route.method, reply.text);
            theirs.is_not_in(&reply.text, &path);
        }
        let shown = api.ask_as(&ours.admin, Method::GET, "/workspaces", None).await.json();
        let names: Vec<_> =
            shown["items"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        assert_eq!(names, [json!(ours.name)]);
        let session = api.ask_as(&ours.admin, Method::GET, "/session", None).await.json();
        let user = json!({"name": "root", "workspace": ours.name, "administers": true});
        assert_eq!(session["user"], user);
        for tenant in [&ours, &theirs] {
            for route in routes().iter().filter(|it| it.operation.security.is_some()) {
                let path = route.address(tenant.name);
                let reply = api.ask_as(&ours.app, route.method.clone(), &path, None).await;
                assert_eq!(reply.problem(), (401, "unauthenticated".into()), "{path}");
            }
        }
        let before = rows::of(&api, theirs.id).await;
        for (method, body) in [
            (Method::PATCH, Some(json!({"name": "taken", "addresses": []}))),
            (Method::DELETE, None),
        ] {
            let mut told = Vec::new();
            for name in [theirs.named("workspace", Form::Name), "nowhere".to_owned()] {
                let path = format!("/workspaces/{name}");
                let reply = api.ask_as(&ours.admin, method.clone(), &path, body.clone()).await;
                told.push((reply.status, plain(&reply, &[name].into())));
            }
            assert_eq!(told[0], told[1]);
            assert_eq!(told[0].0, 404);
        }
        is_unchanged(&before, &rows::of(&api, theirs.id).await);
    }
}

/// How much there may be of something is counted where it is.
#[tokio::test]
async fn what_others_have_leaves_as_much_room() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let policies = db::sql(
            "INSERT INTO policies (workspace_id, id, name, policy, enabled, tests, created_at)
             SELECT workspace_id, $2, 'long', $3, FALSE, tests, created_at FROM policies
             WHERE workspace_id = $1 AND name = 'hours'",
        );
        let mut tx = api.fresh.db.begin().await.unwrap();
        let long = policies.bind(theirs.id).bind(Uuid::from_u128(9)).bind("x".repeat(600 << 10));
        assert_eq!(tx.execute(long).await.unwrap(), 1);
        for i in 0..1_000_u128 {
            let one = db::sql(
                "INSERT INTO limits (workspace_id, id, name, scope, unit, direction, allowance,
                                     created_at)
                 SELECT workspace_id, $2, $3, 'workspace', 'calls', 'both', allowance, created_at
                 FROM limits WHERE workspace_id = $1 AND name = 'few'",
            );
            let (id, name) = (Uuid::from_u128(100 + i), format!("many{i}"));
            tx.execute(one.bind(theirs.id).bind(id).bind(name)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let text = "forbid(principal, action, resource) when { context.hour > 23 };";
        let allowance = json!({"type": "quota", "amount": 5, "per": "day"});
        let scope = json!({"type": "workspace"});
        let bodies = [
            ("policies", json!({"name": "another", "text": text})),
            (
                "limits",
                json!({"name": "another", "scope": scope, "unit": "calls", "allowance": allowance}),
            ),
        ];
        for (path, body) in bodies {
            let there = api.post(&theirs.at(path), body.clone()).await;
            assert_eq!(there.problem(), (422, "invalid".into()), "{path}: {}", there.text);
            api.given(&ours.at(path), body).await;
        }
    }
}

/// Keys of what has been recorded are those of one workspace: erasing, and the end of another, leave
/// them where they are.
#[tokio::test]
async fn what_is_erased_or_deleted_here_stays_readable_elsewhere() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let keys = db::sql("SELECT workspace_id, day FROM content_keys WHERE workspace_id = $1");
        let mut tx = api.fresh.db.read().await.unwrap();
        let own: Vec<(Uuid, i64)> = tx.all(keys.bind(ours.id)).await.unwrap();
        drop(tx);
        let [(_, day)] = own.as_slice() else { panic!("{own:?}") };
        let brief = api.given("/workspaces", json!({"name": "brief"})).await;
        let brief: Uuid = brief["id"].as_str().unwrap().parse().unwrap();
        api.given("/workspaces/brief/users", json!({"name": "eve"})).await;
        assert_eq!(api.delete("/workspaces/brief/users/eve").await.status, 204);
        let before = [rows::of(&api, ours.id).await, rows::of(&api, theirs.id).await];
        let gone = api.delete("/workspaces/brief").await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        is_unchanged(&before[0], &rows::of(&api, ours.id).await);
        let left = rows::of(&api, brief).await;
        assert_eq!(left["kept_keys"].len(), 1);
        let day = NaiveDate::default() + Days::new(u64::try_from(*day).unwrap());
        let erased = api.delete(&ours.at(&format!("records/content/{day}"))).await;
        assert_eq!(erased.status, 204, "{}", erased.text);
        is_unchanged(&before[1], &rows::of(&api, theirs.id).await);
        is_unchanged(&left, &rows::of(&api, brief).await);
        assert!(before[1]["content_keys"].len() == 1);
        // What is recorded from now on has a key of its own, and what was recorded there is read.
        api.given(&ours.at("users"), json!({"name": "late"})).await;
        api.log.clone().close().unwrap();
        let newest = api.get(&theirs.at("records?limit=1")).await.json();
        let index = newest["items"][0]["index"].as_u64().unwrap();
        let mut kept = 0;
        for index in 0..=index {
            let shown = api.get(&theirs.at(&format!("records/{index}"))).await.json();
            assert_ne!(shown["content"], "erased", "{shown}");
            assert_ne!(shown["content"], "missing", "{shown}");
            kept += u64::from(shown["content"] == "kept");
        }
        assert!(20 < kept, "{kept}");
    }
}

async fn with_header(
    api: &Api,
    (tenant, path): (&Tenant, &str),
    name: &str,
    value: &str,
    body: &Value,
) -> Reply {
    let request = Request::post(format!("/api/v1{}", tenant.at(path)))
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .header(header::CONTENT_TYPE, "application/json")
        .header(name, value);
    api.send(request.body(Body::from(body.to_string())).unwrap()).await
}
