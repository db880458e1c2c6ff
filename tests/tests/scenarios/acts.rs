//! What administrators have done, with what was before and after it, through the running binary.

use http::Method;
use serde_json::{Value, json};
use tests::{Documents, Served, Site};

/// The newest records that say so, oldest first.
async fn ended(served: &Served, list: &str, action: &str) -> Vec<Value> {
    let is_it = |it: &Value| {
        let record = &it["record"];
        record["phase"] == "ended"
            && record["action"].as_str().is_some_and(|it| it.contains(action))
    };
    let page = served.must(Method::GET, list, None).await;
    let items = page["items"].as_array().unwrap();
    items.iter().rev().filter(|it| is_it(it)).cloned().collect()
}

/// One act with what it has changed; it gets its place in the log a moment after it is done.
async fn shown(served: &Served, list: &str, action: &str) -> Value {
    let looking = async {
        loop {
            let found = ended(served, &format!("{list}?limit=20"), action).await;
            if let Some(index) = found.last().and_then(|it| it["index"].as_u64()) {
                return served.must(Method::GET, &format!("{list}/{index}"), None).await;
            }
            tokio::task::yield_now().await;
        }
    };
    tests::wait::within("a place in the log", looking).await
}

#[tokio::test]
async fn an_act_is_shown_with_before_and_after_until_that_is_erased() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let documents = Documents::of("files", "https://files.example/mcp");
        let served = site.start_with(&documents.identity("key", "files", None)).await;
        let row = site.database();

        let patch = json!({"purpose": "sorts mail"});
        served.must(Method::PATCH, "apps/bot", Some(patch)).await;
        let act = shown(&served, "records", "PATCH /workspaces/{workspace}/apps/{app}").await;
        let changes = &act["deed"]["changes"];
        let told = json!([{"member": "purpose", "before": "a test", "after": "sorts mail"}]);
        assert_eq!(changes, &told, "{row}: {act}");
        assert_eq!(act["deed"]["before"]["purpose"], "a test", "{row}");
        assert_eq!(act["deed"]["after"]["owner"], act["deed"]["before"]["owner"], "{row}");
        let record = &act["record"];
        assert_eq!(record["address"], "/api/v1/workspaces/default/apps/bot", "{row}");
        assert_eq!((&record["by"], &record["status"]), (&json!("token"), &json!(200)), "{row}");
        assert!(record["epoch"].as_u64().is_some_and(|it| 0 < it), "{row}: {record}");

        let secret = json!({"headers": {"authorization": "Bearer marker-7"}});
        served.must(Method::PATCH, "identities/key", Some(secret)).await;
        let act = shown(&served, "records", "identities/{identity}").await;
        let told = json!({"member": "headers.authorization", "before": "set", "after": "changed"});
        assert!(act["deed"]["changes"].as_array().unwrap().contains(&told), "{row}: {act}");
        assert!(!act.to_string().contains("marker-7"), "{row}");

        // What is refused says why.
        let taken = served.ask(Method::POST, "users", Some(json!({"name": "ann"}))).await;
        assert_eq!(taken.status, 409);
        let act = shown(&served, "records", "POST /workspaces/{workspace}/users").await;
        assert_eq!(act["record"]["code"], "duplicate", "{row}");
        assert_eq!(act["record"]["reason"], "user `ann` already exists", "{row}");

        // What is above workspaces is in a log above them, also when the workspace is gone.
        served.must(Method::POST, "/workspaces", Some(json!({"name": "other"}))).await;
        served.must(Method::POST, "/workspaces/other/users", Some(json!({"name": "x"}))).await;
        served.must(Method::DELETE, "/workspaces/other/users/x", None).await;
        served.must(Method::DELETE, "/workspaces/other", None).await;
        let act = shown(&served, "/records", "DELETE /workspaces/{workspace}").await;
        assert_eq!(act["deed"]["before"]["name"], "other", "{row}: {act}");
        assert_eq!(
            (&act["deed"]["after"], &act["content"]),
            (&Value::Null, &json!("kept")),
            "{row}"
        );
        let ran = site.command(&served, &["record", "list", "--installation"]).await;
        assert!(ran.out.contains("DELETE /workspaces/{workspace}"), "{row}: {ran:?}");
        let index = act["index"].as_u64().unwrap().to_string();
        let ran = site.command(&served, &["record", "show", &index, "--installation"]).await;
        assert!(ran.out.contains("name: other ->"), "{row}: {ran:?}");

        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {words}");
    }
}

#[tokio::test]
async fn what_is_refused_at_the_door_is_recorded_and_a_flood_of_it_is_counted() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(&Documents::of("files", "https://files.example/mcp")).await;
        let made = Some(json!({"name": "cli"}));
        let made = served.must(Method::POST, "users/ann/admin-tokens", made).await;
        let ann = made["secret"].as_str().unwrap();
        for _ in 0..250 {
            let reply =
                served.ask_as(ann, Method::POST, "users", Some(json!({"name": "eve"}))).await;
            assert_eq!(reply.status, 403);
        }
        assert!(served.stop().await.success());
        let records = site.records();
        let refused: Vec<_> =
            records.iter().filter(|it| it.text("phase") == Some("refused")).collect();
        let one_by_one: Vec<_> =
            refused.iter().filter(|it| it.text("code") == Some("forbidden")).collect();
        assert_eq!(one_by_one.len(), 200, "{}", site.database());
        let first = one_by_one[0];
        assert_eq!(first.text("actor"), Some("ann/cli"));
        assert_eq!(first.text("address"), Some("/api/v1/workspaces/default/users"));
        assert!(first.text("reason").is_some_and(|it| it.contains("people:write")), "{first:?}");
        let counted: u64 = refused.iter().filter_map(|it| it.leaf["unrecorded"].as_u64()).sum();
        assert_eq!(counted, 50, "{}", site.database());
    }
}

/// What is done without the admin API is an act like others, and stays readable after restarts.
#[tokio::test]
async fn what_the_first_start_files_and_the_command_line_have_made_is_shown_after_restarts() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start_with(&Documents::of("files", "https://files.example/mcp")).await;
        assert!(served.stop().await.success());
        let data = site.data();
        let words = ["admin-token", "--data", data.to_str().unwrap(), "second"];
        let (code, said) = site.run(&words).await;
        assert_eq!(code, Some(0), "{row}: {said}");
        let second = said.lines().find(|it| it.starts_with("osta_")).unwrap().to_owned();

        let served = site.start().await;
        let act = shown(&served, "/records", "first start").await;
        assert_eq!(act["deed"]["after"]["admin_token"]["name"], "first", "{row}: {act}");
        assert_eq!(act["deed"]["after"]["workspace"], "default", "{row}: {act}");
        let act = shown(&served, "/records", "make an admin token").await;
        assert_eq!(act["deed"]["after"]["name"], "second", "{row}: {act}");
        assert_eq!(act["record"]["by"], "command line", "{row}");
        assert!(!act.to_string().contains(&second), "{row}");
        let act = shown(&served, "records", "apply").await;
        let made = &act["deed"]["after"]["App default/bot"];
        assert_eq!(made["owner"], "ann", "{row}: {act}");
        assert_eq!(act["deed"]["before"], json!({}), "{row}");
        // The log above all of them tells what was made, and holds nothing of what it was.
        let act = shown(&served, "/records", "apply").await;
        let made = act["record"]["object_name"].as_str().unwrap();
        assert!(made.contains("made App bot"), "{row}: {act}");
        assert_eq!(act["deed"]["after"], json!({}), "{row}: {act}");

        // What files change through the API, and what they delete.
        let text = "kind: App\nname: bot\nowner: ann\npurpose: later\n";
        served.must(Method::POST, "apply", Some(json!({ "text": text }))).await;
        let act = shown(&served, "records", "/apply").await;
        let [before, after] = ["before", "after"].map(|it| &act["deed"][it]["App default/bot"]);
        assert_eq!(before["purpose"], "a test", "{row}: {act}");
        assert_eq!(after["purpose"], "later", "{row}: {act}");
        let text = "kind: Server\nname: later\n\
                    transport: {type: http, url: 'https://later.example/'}\n";
        served.must(Method::POST, "apply", Some(json!({"text": text, "owner": "own"}))).await;
        let prune =
            json!({"text": "kind: Workspace\nname: default\n", "owner": "own", "prune": true});
        served.must(Method::POST, "apply", Some(prune)).await;
        let is_pruned = async {
            loop {
                let act = shown(&served, "records", "/apply").await;
                if act["deed"]["before"]["Server default/later"].is_object() {
                    return act;
                }
            }
        };
        let act = tests::wait::within("what was pruned", is_pruned).await;
        let gone = &act["deed"]["before"]["Server default/later"]["transport"]["url"];
        assert_eq!(gone, "https://later.example/", "{row}: {act}");
        assert_eq!(act["deed"]["after"], json!({}), "{row}: {act}");

        assert!(served.stop().await.success());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {words}");
    }
}

/// Neither a terminal nor a record is what somebody writes into a name.
#[tokio::test]
async fn what_is_hostile_is_text_and_what_is_large_is_cut_with_its_digest() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start_with(&Documents::of("files", "https://files.example/mcp")).await;
        let hostile = "\u{202e}<script>{{7*7}}\",\"phase\":\"begun";
        served.must(Method::PATCH, "apps/bot", Some(json!({ "purpose": hostile }))).await;
        let act = shown(&served, "records", "PATCH /workspaces/{workspace}/apps/{app}").await;
        assert_eq!(act["deed"]["after"]["purpose"], hostile, "{row}");
        let index = act["index"].as_u64().unwrap().to_string();
        let ran = site.command(&served, &["record", "show", &index]).await;
        assert!(ran.out.contains("purpose: a test ->"), "{row}: {ran:?}");
        let is_hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!ran.out.contains(is_hidden), "{row}: {:?}", ran.out);

        let text = |word: &str| {
            format!(
                "// {}\nforbid(principal, action, resource) when {{ context.hour > 24 }};",
                word.repeat(15_000)
            )
        };
        let policy = json!({"name": "long", "text": text("one")});
        served.must(Method::POST, "policies", Some(policy)).await;
        let patch = json!({ "text": text("two") });
        served.must(Method::PATCH, "policies/long", Some(patch)).await;
        let act = shown(&served, "records", "PATCH /workspaces/{workspace}/policies").await;
        let deed = &act["deed"];
        assert_eq!(deed["is_cut"], true, "{row}");
        assert_eq!(deed["after"]["name"], "long", "{row}: what fits is there");
        let [before, after] = [&deed["before"]["text"], &deed["after"]["text"]];
        for value in [before, after, &deed["changes"][0]["after"]] {
            assert!(value["bytes"].as_u64().is_some_and(|it| 40_000 < it), "{row}: {value}");
            assert_eq!(value["sha256"].as_str().map(str::len), Some(64), "{row}: {value}");
        }
        assert_eq!(deed["changes"][0]["member"], "text", "{row}");

        // A token in the place of its name is in no record.
        let own = served.admin().to_owned();
        let reply = served.ask(Method::DELETE, &format!("/admin-tokens/{own}"), None).await;
        assert_eq!(reply.status, 404, "{row}: {reply:?}");
        assert!(served.stop().await.success());
        let records = site.records();
        assert!(records.iter().all(|it| !it.leaf.to_string().contains(&own)), "{row}");
        let masked = Some("/api/v1/admin-tokens/[secret]");
        assert!(records.iter().any(|it| it.text("address") == masked), "{row}");
    }
}
