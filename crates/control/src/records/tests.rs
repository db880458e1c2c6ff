use std::sync::Arc;

use audit::{Durability, Entry, Kind, Leaf};
use axum::body::Body;
use axum::http::{Method, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::testing::Api;

#[tokio::test]
async fn every_act_is_recorded_before_and_after_it_is_done() {
    let api = Api::on_sqlite().await;
    api.given("users", json!({"name": "ann"})).await;
    assert_eq!(api.patch("users/ann", json!({"name": "anna"})).await.status, 200);
    assert_eq!(api.post("users", json!({"name": "anna"})).await.status, 409);
    assert_eq!(api.get("users/anna").await.status, 200);
    api.control.close().await;

    let records = api.get("records").await.json();
    let records: Vec<&Value> = records["items"].as_array().unwrap().iter().rev().collect();
    let lines: Vec<String> = records
        .iter()
        .map(|it| {
            assert_eq!(it["kind"], "admin");
            let it = &it["record"];
            assert_eq!(it["actor"], "first");
            format!("{} {} {} {}", it["phase"], it["action"], it["status"], it["object_name"])
                .replace('"', "")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "begun POST /workspaces/{workspace}/users null null",
            "ended POST /workspaces/{workspace}/users 201 ann",
            "begun PATCH /workspaces/{workspace}/users/{user} null null",
            "ended PATCH /workspaces/{workspace}/users/{user} 200 anna",
            "begun POST /workspaces/{workspace}/users null null",
            "ended POST /workspaces/{workspace}/users 409 null",
        ]
    );
    let record = |i: usize| &records[i]["record"];
    assert_eq!(record(0)["act"], record(1)["act"]);
    assert_ne!(record(1)["act"], record(2)["act"]);
    assert_eq!(record(1)["object"], "user");
    assert!(record(0)["epoch"].is_null() && record(1)["epoch"].is_u64(), "{}", record(1));
    assert_eq!(record(5)["code"], "duplicate");
    assert_eq!(record(5)["reason"], "user `anna` already exists");
    // What has been changed is kept beside the log.
    api.log.clone().close().unwrap();
    let [made, changed, refused] = [1, 3, 5].map(|it| format!("records/{it}"));
    let made = api.get(&made).await.json();
    assert_eq!((&made["deed"]["before"], &made["content"]), (&json!(null), &json!("kept")));
    let changed = api.get(&changed).await.json();
    assert_eq!(changed["deed"]["before"], made["deed"]["after"]);
    let told = json!([{"member": "name", "before": "ann", "after": "anna"}]);
    assert_eq!(changed["deed"]["changes"], told);
    let refused = api.get(&refused).await.json();
    assert!(refused.get("deed").is_none() && refused["content"] == "none", "{refused}");
    for none in ["records/6", "records/x", "/records/2", "records/99999999999999999999"] {
        assert_eq!(api.get(none).await.problem(), (404, "not_found".into()), "{none}");
    }
}

#[tokio::test]
async fn nothing_is_done_that_cannot_be_recorded() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.log.clone().close().unwrap();
        let reply = api.post("users", json!({"name": "bob"})).await;
        assert_eq!(reply.problem(), (503, "unrecorded".into()));
        let cut = json!({"kind": "app", "name": "bot"});
        assert_eq!(api.post("cutoffs", cut).await.problem().0, 503);
        assert_eq!(api.get("users/bob").await.status, 404);
        assert_eq!(api.get("cutoffs").await.json(), json!({"items": []}));
    }
}

#[tokio::test]
async fn records_are_read_back_a_page_at_a_time_and_proved() {
    let api = Api::on_sqlite().await;
    for i in 0..5 {
        api.given("users", json!({"name": format!("u{i}")})).await;
    }
    api.control.close().await;
    // The sequencer gives places a moment after the records are written.
    api.log.clone().close().unwrap();

    let mut seen = Vec::new();
    let mut path = "records?limit=3".to_owned();
    loop {
        let page = api.get(&path).await.json();
        for it in page["items"].as_array().unwrap() {
            seen.push(it["index"].as_u64().unwrap());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("records?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, (0..10).rev().collect::<Vec<_>>());

    let proof = api.get("records/4/proof").await;
    assert_eq!(proof.status, 200, "{}", proof.text);
    assert_eq!(
        proof.header("content-disposition"),
        "attachment; filename=\"default-4.tlog-proof\""
    );
    let key: audit::VerifierKey = api.log.verifier_key().parse().unwrap();
    let proven = audit::verify_proof(&proof.text, &[key]).unwrap();
    assert_eq!(proven.index, 4);
    assert_eq!(api.get("records/10/proof").await.problem(), (404, "not_found".into()));
    assert_eq!(api.get("records/x/proof").await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_checkpoint_comes_with_the_proof_that_it_continues_an_earlier_one() {
    for api in Api::on_each_database().await {
        assert_eq!(api.get("records/checkpoint").await.problem(), (404, "not_found".into()));
        api.given("users", json!({"name": "ann"})).await;
        let old = checkpoint(&api, "records/checkpoint", 2).await.0;
        for i in 0..4 {
            api.given("users", json!({"name": format!("u{i}")})).await;
        }
        let path = format!("records/checkpoint?since={}", old.size);
        let (new, hashes) = checkpoint(&api, &path, 10).await;
        let (before, after) = ((old.size, &old.root), (new.size, &new.root));
        assert_eq!(audit::verify_consistency(before, after, &hashes), Ok(()));
        assert!(!hashes.is_empty());
        // One that is larger than the log ever was: whoever has seen it knows what to think of that.
        let (same, hashes) = checkpoint(&api, "records/checkpoint?since=11", 10).await;
        assert_eq!((&same, hashes), (&new, vec![]));
        // Between two that were seen, whatever has come since.
        let (early, hashes) = checkpoint(&api, "records/checkpoint?since=1&until=2", 10).await;
        let (_, all) = checkpoint(&api, "records/checkpoint?since=1", 10).await;
        assert_eq!((hashes.len(), all.len() > 1), (1, true));
        assert_eq!(early, same);
        let reply = api.get("records/checkpoint?since=-1").await;
        assert_eq!(reply.problem(), (400, "malformed".into()));
    }
}

/// The checkpoint of at least `size`, as soon as there is one, and the hashes beside it.
async fn checkpoint(api: &Api, path: &str, size: u64) -> (audit::Checkpoint, Vec<audit::Hash>) {
    let key: audit::VerifierKey = api.log.verifier_key().parse().unwrap();
    loop {
        let body = api.get(path).await.json();
        if let Some(text) = body["checkpoint"].as_str() {
            assert_eq!(body["key"], key.to_string());
            let head = audit::Checkpoint::verify(text, std::slice::from_ref(&key)).unwrap();
            let hashes = body["consistency"].as_array().unwrap().iter();
            let hashes =
                hashes.map(|it| STANDARD.decode(it.as_str().unwrap()).unwrap().try_into().unwrap());
            if head.size >= size {
                return (head, hashes.collect());
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_stream_shows_what_happens_in_this_workspace_only() {
    let api = Api::on_sqlite().await;
    api.given("/workspaces", json!({"name": "other"})).await;
    let request = Request::get("/api/v1/workspaces/default/records/stream")
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .body(Body::empty())
        .unwrap();
    let response = api.control.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();

    api.given("/workspaces/other/users", json!({"name": "eve"})).await;
    api.given("users", json!({"name": "ann"})).await;
    let mut text = String::new();
    // The comment that opens the stream, and two records.
    while text.matches("\n\n").count() < 3 {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert_eq!(text.matches("event: record").count(), 2, "{text}");
    assert!(text.contains("\"ann\"") && !text.contains("\"eve\""), "{text}");
    let data = text.lines().filter_map(|it| it.strip_prefix("data: "));
    let phases: Vec<String> = data
        .map(|it| {
            let record: Value = serde_json::from_str(it).unwrap();
            record["record"]["phase"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(phases, ["begun", "ended"]);

    // Stopping ends it.
    let api = Arc::new(api);
    api.control.close().await;
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
}

#[tokio::test]
async fn a_reader_who_is_too_slow_is_told_how_much_was_missed_of_what_they_follow() {
    let api = Api::on_sqlite().await;
    api.given("/workspaces", json!({"name": "other"})).await;
    let workspaces = api.snapshot().await.config.workspaces.clone();
    let [workspace, other] = ["default", "other"].map(|it| workspaces[it].id.0);
    let request = Request::get("/api/v1/workspaces/default/records/stream")
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
        .body(Body::empty())
        .unwrap();
    let response = api.control.router().oneshot(request).await.unwrap();
    let mut last = None;
    for n in 0..10_000 {
        let leaf = Leaf::new(Kind::System).finish();
        let workspace = if n % 2 == 0 { workspace } else { other };
        let entry = Entry { workspace, kind: Kind::System, leaf };
        last = Some(api.log.append(entry, Durability::Written));
    }
    last.unwrap().await.unwrap();
    let mut body = response.into_body();
    let opening = body.frame().await.unwrap().unwrap();
    assert_eq!(opening.data_ref().unwrap(), ": open\n\n");
    let frame = body.frame().await.unwrap().unwrap();
    let text = std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
    let missed = text.strip_prefix("event: missed\ndata: ").expect(text).trim();
    assert_eq!(missed.parse(), Ok(5_000 - 4_096));
}

/// A token of the installation is no exception.
#[tokio::test]
async fn a_stream_ends_with_the_admin_token_that_opened_it() {
    for api in Api::on_each_database().await {
        let other = api.control.mint_admin_token("other").await.unwrap();
        let request = Request::get("/api/v1/workspaces/default/records/stream")
            .header(header::AUTHORIZATION, format!("Bearer {}", other.expose_text().unwrap()))
            .body(Body::empty())
            .unwrap();
        let response = api.control.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut events = response.into_body();
        events.frame().await.unwrap().unwrap();
        assert_eq!(api.delete("/admin-tokens/other").await.status, 204);
        api.given("users", json!({"name": "unseen"})).await;
        while let Some(frame) = events.frame().await {
            let frame = frame.unwrap();
            let text = std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
            assert!(!text.contains("unseen"), "{text}");
        }
    }
}

/// Whoever loses the right to follow is told at once, and sees nothing that was recorded since.
#[tokio::test]
async fn a_stream_ends_with_the_right_to_it() {
    for api in Api::on_each_database().await {
        api.given("roles", json!({"name": "auditor", "capabilities": ["records:read"]})).await;
        api.given("teams", json!({"name": "auditors"})).await;
        let grant = json!({"name": "all", "role": "auditor", "team": "auditors"});
        api.given("role-grants", grant).await;
        let ways = [
            (Method::DELETE, "teams/auditors/members/kim0", None),
            (Method::DELETE, "users/kim1/admin-tokens/cli", None),
            (Method::PATCH, "users/kim2", Some(json!({"enabled": false}))),
            (Method::DELETE, "role-grants/all", None),
        ];
        for (i, (method, path, body)) in ways.into_iter().enumerate() {
            let kim = api.given_admin(&format!("kim{i}"), &[]).await;
            assert_eq!(api.put(&format!("teams/auditors/members/kim{i}")).await.status, 200);
            let request = Request::get("/api/v1/workspaces/default/records/stream")
                .header(header::AUTHORIZATION, format!("Bearer {kim}"))
                .body(Body::empty())
                .unwrap();
            let response = api.control.router().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut events = response.into_body();
            let opening = events.frame().await.unwrap().unwrap();
            assert_eq!(opening.data_ref().unwrap(), ": open\n\n");
            api.given("users", json!({"name": format!("seen{i}")})).await;
            let frame = events.frame().await.unwrap().unwrap();
            assert!(frame.data_ref().unwrap().starts_with(b"event: record"));

            assert!(api.ask(method, path, body).await.status.is_success(), "{path}");
            api.given("users", json!({"name": format!("unseen{i}")})).await;
            let mut text = Vec::new();
            while let Some(frame) = events.frame().await {
                text.extend_from_slice(frame.unwrap().data_ref().unwrap());
            }
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains(&format!("unseen{i}")), "{path}: {text}");
        }
    }
}

/// Destroying the key of a day takes what acts of that day have changed, and nothing else.
#[tokio::test]
async fn h156_what_an_act_has_changed_can_be_erased_and_its_record_stays() {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        let before = kept(&api, 1).await;
        assert_eq!(before["deed"]["after"]["name"], "ann");
        let id = api.snapshot().await.config.workspaces["default"].id.0;
        let day = before["record"]["content"]["day"].as_i64().unwrap();
        assert!(api.control.erase_content(id, i32::try_from(day).unwrap()).await.unwrap());
        let after = kept(&api, 1).await;
        assert_eq!(after["content"], "erased");
        assert!(after.get("deed").is_none(), "{after}");
        assert_eq!(after["record"], before["record"]);
        let proof = api.get("records/1/proof").await;
        let key: audit::VerifierKey = api.log.verifier_key().parse().unwrap();
        assert_eq!(audit::verify_proof(&proof.text, &[key]).unwrap().index, 1);
    }
}

/// By whoever may, and on the day itself: what comes after it is sealed under another key.
#[tokio::test]
async fn h156_the_content_of_a_day_is_erased_by_a_request_and_nothing_after_it_is_sealed_with_its_key()
 {
    for api in Api::on_each_database().await {
        api.given("users", json!({"name": "ann"})).await;
        assert_eq!(kept(&api, 1).await["content"], "kept");
        assert_eq!(api.delete("records/content/2026-01-02").await.status, 204);
        assert_eq!(kept(&api, 1).await["content"], "erased");
        api.given("users", json!({"name": "bob"})).await;
        for index in [3, 5] {
            assert_eq!(kept(&api, index).await["content"], "kept", "{index}");
        }
        let erased = kept(&api, 3).await;
        assert_eq!(erased["record"]["object"], "content", "{erased}");
        assert_eq!(erased["deed"]["before"], json!({"day": "2026-01-02"}));
        // Those above see that it was done, and cannot be kept from it by doing it once more.
        let reply = api.get("/records").await.json();
        assert_eq!(reply["items"][0]["record"]["act"], erased["record"]["act"]);
        for (day, expected) in [("2026-01-01", 404), ("2026-01-2", 404), ("x", 404)] {
            let reply = api.delete(&format!("records/content/{day}")).await;
            assert_eq!(reply.status, expected, "{day}: {}", reply.text);
        }
        let kim = api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let path = "records/content/2026-01-02";
        let reply = api.ask_as(&kim, Method::DELETE, path, None).await;
        assert_eq!(reply.problem(), (403, "forbidden".into()), "{}", reply.text);
    }
}

/// Its own administrators are gone with it.
#[tokio::test]
async fn the_record_of_a_deleted_workspace_is_read_and_erased_by_those_above() {
    for api in Api::on_each_database().await {
        let made = api.given("/workspaces", json!({"name": "brief"})).await;
        let id = made["id"].as_str().unwrap();
        let of = format!("workspace={id}");
        let patch = json!({"durability": "synced"});
        assert_eq!(api.patch("/workspaces/brief", patch).await.status, 200);
        assert_eq!(api.delete("/workspaces/brief").await.status, 204);
        let shown = async |index: u64| loop {
            let reply = api.get(&format!("/records/{index}?{of}")).await;
            if reply.status == 200 {
                return reply.json();
            }
            tokio::task::yield_now().await;
        };
        let changed = shown(1).await;
        assert_eq!(changed["deed"]["after"]["durability"], "synced", "{changed}");
        let listed = api.get(&format!("/records?{of}&limit=1")).await.json();
        assert_eq!(listed["items"][0]["record"], changed["record"]);
        assert_eq!(api.get(&format!("/records/1/proof?{of}")).await.status, 200);
        // What is kept there is kept nowhere else.
        let above = api.get("/records").await.json();
        let twin = above["items"].as_array().unwrap().iter();
        let twin = twin.map(|it| &it["record"]).find(|it| it["act"] == changed["record"]["act"]);
        assert_eq!(
            (&twin.unwrap()["content_of"], &twin.unwrap()["content"]),
            (&json!(id), &json!(null))
        );
        let path = format!("/records/content/2026-01-02?{of}");
        assert_eq!(api.delete(&path).await.status, 204);
        assert_eq!(shown(1).await["content"], "erased");
        assert_eq!(api.get("/records?workspace=brief").await.status, 400);
    }
}

#[tokio::test]
async fn acts_are_as_durable_as_calls() {
    let api = Api::on_sqlite().await;
    let unsynced = |api: &Api| api.log.health().queued_bytes;
    assert_eq!(api.patch("/workspaces/default", json!({"durability": "synced"})).await.status, 200);
    for name in ["ann", "bob", "eve"] {
        api.given("users", json!({ "name": name })).await;
        assert_eq!(unsynced(&api), 0, "it was answered before it was on disk");
        api.given("/workspaces", json!({ "name": name })).await;
        assert_eq!(unsynced(&api), 0, "what is above all of them is no less");
    }
}

#[tokio::test]
async fn the_content_of_calls_is_withheld_and_not_said_to_be_none() {
    let api = Api::on_sqlite().await;
    let workspace = api.snapshot().await.config.workspaces["default"].id.0;
    let place = json!({"record": workspace, "day": 1, "segment": 1, "offset": 0, "key": workspace,
                       "digest": "00".repeat(32), "bytes": 1});
    let place = audit::ContentRef::from_json(workspace, &place.to_string()).unwrap();
    for leaf in [Leaf::new(Kind::Intent).content("content", &place), Leaf::new(Kind::Intent)] {
        let entry = Entry { workspace, kind: Kind::Intent, leaf: leaf.finish() };
        api.log.append(entry, Durability::Written).await.unwrap();
    }
    assert_eq!(kept(&api, 0).await["content"], "withheld");
    assert_eq!(kept(&api, 1).await["content"], "none");
}

#[tokio::test]
async fn what_goes_with_something_is_in_the_record_of_its_end() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given("apps/bot/tokens", json!({"name": "ci"})).await;
        let rule = json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}});
        api.given("gateways/main/rules", rule).await;
        api.given_admin("kim", &[("workspace-admin", "workspace")]).await;
        let grant =
            json!({"name": "keeps", "role": "workspace-admin", "team": "dev", "on": "server/jira"});
        api.given("role-grants", grant).await;
        api.given_a_pin().await;
        let gone = [
            ("apps/bot", json!(["connection main", "token ci"])),
            ("gateways/main", json!(["assignment jira", "rule mail", "team dev"])),
            ("identities/ann-jira", json!([])),
            ("servers/jira", json!(["pin search", "role-grant keeps"])),
            ("teams/dev", json!(["member ann"])),
            ("users/kim", json!(["admin-token cli", "role-grant kim-0"])),
        ];
        for (path, expected) in gone {
            let reply = api.delete(path).await;
            assert_eq!(reply.status, 204, "{path}: {}", reply.text);
            let newest = async || loop {
                let all = api.get("records?limit=1").await.json();
                if let Some(index) = all["items"][0]["index"].as_u64() {
                    return index;
                }
                tokio::task::yield_now().await;
            };
            let deed = kept(&api, newest().await).await["deed"].clone();
            let taken = deed["taken"].as_array().unwrap().iter();
            let named = taken.map(|it| format!("{} {}", it["kind"], it["name"]).replace('"', ""));
            assert_eq!(json!(named.collect::<Vec<_>>()), expected, "{path}");
            assert_eq!(deed["taken_in_all"], expected.as_array().unwrap().len());
        }
    }
}

/// What the text does not name is deleted, wherever that is.
#[tokio::test]
async fn what_a_start_prunes_is_in_the_log_of_its_workspace() {
    for api in Api::on_each_database().await {
        let none = |_: &str| -> Option<vault::Secret> { None };
        let apply = async |text: &str, prune| {
            let ownership = crate::Ownership { owner: None, prune };
            api.control.apply_files(text, &ownership, &none).await.unwrap()
        };
        api.given("/workspaces", json!({"name": "other"})).await;
        apply("kind: User\nname: bob\n", false).await;
        apply("kind: User\nname: eve\nworkspace: other\n", true).await;
        assert_eq!(api.get("users/bob").await.status, 404);
        let pruned = kept(&api, 3).await;
        assert_eq!(pruned["record"]["action"], "apply", "{pruned}");
        assert_eq!(pruned["deed"]["before"]["User default/bob"]["name"], "bob");
        assert!(!pruned.to_string().contains("eve"), "nothing of another workspace: {pruned}");
        // Those above are told what was done, and of it what is told nowhere else.
        let above = api.get("/records").await.json();
        let name = above["items"][0]["record"]["object_name"].as_str().unwrap();
        assert!(name.contains("User bob") && name.contains("User eve"), "{name}");
    }
}

#[tokio::test]
async fn what_processes_are_run_with_is_not_recorded() {
    for api in Api::on_each_database().await {
        let transport = json!({"type": "stdio", "command": "npx",
                               "args": ["-y", "--token", "hunter2"], "env": {"KEY": "hunter3"}});
        api.given("servers", json!({"name": "local", "transport": transport})).await;
        let made = kept(&api, 1).await;
        let told = &made["deed"]["after"]["transport"];
        assert_eq!(told["args"], json!(["-y", "--token", "[masked]"]), "{made}");
        assert_eq!(told["env"], json!({"KEY": "[masked]"}));
        assert!(!made.to_string().contains("hunter"), "{made}");
    }
}

/// A record, once it has its place.
async fn kept(api: &Api, index: u64) -> Value {
    loop {
        let reply = api.get(&format!("records/{index}")).await;
        if reply.status == 200 {
            return reply.json();
        }
        tokio::task::yield_now().await;
    }
}
