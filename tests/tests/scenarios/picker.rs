//! One URL for whoever chooses among gateways: what is picked, by whom, and when it ends.

use futures::future::join;
use http::Method;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use tests::wait::within;
use tests::{Answer, Client, Documents, Served, Site, Streamed, Upstream};

const PICKER: &str = "/mcp/default";
const OURS: [&str; 2] = ["list_gateways", "use_gateway"];

/// Ann's `bot` and `twin` may use `main` with the server `one` and `side` with `two`. Bob's `other` may
/// use `main`. `bot` is connected to `shut`, too, which is for a team that Ann is not in.
fn documents([one, two]: [&str; 2]) -> Documents {
    let all = ["gateway: main", "gateway: side", "gateway: shut"];
    Documents::default()
        .team("dev", &["ann", "bob"])
        .team("ops", &["eve"])
        .server("one", &tests::documents::http(one))
        .server("two", &tests::documents::http(two))
        .app("bot", "ann", &all)
        .app("twin", "ann", &all)
        .app("other", "bob", &["gateway: main"])
        .gateway("shut", "ops", &["server: two"])
        .gateway("side", "dev", &["server: two"])
        .gateway("main", "dev", &["server: one"])
}

async fn call(client: &Client, tool: &str, arguments: Value) -> Answer {
    client.send(client.tool(tool, &arguments.to_string())).await
}

async fn pick(client: &Client, gateway: &str) {
    let answer = call(client, "use_gateway", json!({ "gateway": gateway })).await;
    let result = answer.json()["result"].clone();
    assert_eq!(result["structuredContent"], json!({ "in_use": gateway }), "{}", answer.text());
}

async fn tools(client: &Client) -> Vec<String> {
    let answer = client.send(client.request("tools/list", "")).await.json();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn ours(more: &[&str]) -> Vec<String> {
    OURS.iter().chain(more).map(|it| (*it).to_owned()).collect()
}

/// That a call goes nowhere, since no gateway is in use.
async fn is_in_the_lobby(client: &Client, row: &str) {
    assert_eq!(tools(client).await, OURS, "{row}");
    let answer = call(client, "one__echo", json!({})).await;
    let result = &answer.json()["result"];
    assert_eq!(result["isError"], true, "{row}: {}", answer.text());
    assert!(answer.text().contains("no gateway is in use"), "{row}: {}", answer.text());
}

/// That a stream ends, or goes on in the lobby and says that there is something else to be seen.
async fn is_told(stream: &mut Streamed) {
    while let Some(event) = stream.next().await {
        if String::from_utf8_lossy(&event.data).contains("/list_changed") {
            return;
        }
    }
}

async fn newest(served: &Served, member: &str) -> Value {
    let page = served.must(Method::GET, "records?limit=20", None).await;
    let has = |it: &&Value| !it["record"][member].is_null();
    page["items"].as_array().unwrap().iter().find(has).unwrap()["record"].clone()
}

#[tokio::test]
async fn an_app_is_at_the_gateway_that_it_picks_in_every_era() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let plan = || Upstream::of_both_eras().echoing();
        let (one, two) = (plan().start().await, plan().start().await);
        let served = site.start_with(&documents([&one.url, &two.url])).await;
        for (app, number) in [("bot", 0), ("twin", 1)] {
            let token = served.token(app, "t").await;
            let clients = Client::with_token(&served, PICKER, &token).await;
            let client = &clients[number];
            let row = format!("{client} on {}", site.database());
            is_in_the_lobby(client, &row).await;
            for list in ["prompts", "resources"] {
                let answer = client.send(client.request(&format!("{list}/list"), "")).await.json();
                assert_eq!(answer["result"][list], json!([]), "{row}: {answer}");
            }
            let listed = call(client, "list_gateways", json!({})).await.json();
            let expected = json!({"gateways": [
                {"name": "main", "servers": ["one"], "in_use": false},
                {"name": "side", "servers": ["two"], "in_use": false},
            ]});
            assert_eq!(listed["result"]["structuredContent"], expected, "{row}: {listed}");
            let seen = (one.seen().len(), two.seen().len());
            for wrong in ["shut", "nowhere", "default", ""] {
                let refused = call(client, "use_gateway", json!({ "gateway": wrong })).await;
                assert_eq!(refused.json()["result"]["isError"], true, "{row}: {}", refused.text());
            }
            assert_eq!((one.seen().len(), two.seen().len()), seen, "{row}: nothing was asked");

            pick(client, "main").await;
            let answer = call(client, "one__echo", json!({"n": 1})).await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            // As it is in any other session, and for whoever has none.
            for client in &clients {
                assert_eq!(tools(client).await, ours(&["one__echo"]), "{row}");
            }
            let record = newest(&served, "assignment").await;
            let told = ["gateway", "picker", "app_name"].map(|it| record[it].clone());
            assert_eq!(told, [json!("main"), json!(true), json!(app)], "{row}: {record}");
            let record = newest(&served, "picks").await;
            let told = ["name", "picks", "picker", "gateway"].map(|it| record[it].clone());
            let expected = [json!("use_gateway"), json!("main"), json!(true), Value::Null];
            assert_eq!(told, expected, "{row}: {record}");

            pick(client, "side").await;
            assert_eq!(tools(client).await, ours(&["two__echo"]), "{row}");
            let gone = call(client, "one__echo", json!({})).await;
            assert!(gone.text().contains("unknown tool"), "{row}: {}", gone.text());
            // The gateway's own URL is what it was.
            let direct = Client::modern_with_token(&served, "/mcp/default/main", &token);
            assert_eq!(tools(&direct).await, ["one__echo"], "{row}");
            let hidden = call(&direct, "list_gateways", json!({})).await;
            assert!(hidden.text().contains("unknown tool"), "{row}: {}", hidden.text());
        }
        // What is picked is the app's own affair, and outlives the process.
        let others = served.token("other", "t").await;
        let other = Client::modern_with_token(&served, PICKER, &others);
        is_in_the_lobby(&other, "another app").await;
        let token = served.token("bot", "again").await;
        served.stop().await;
        let served = site.start().await;
        let bot = Client::modern_with_token(&served, PICKER, &token);
        assert_eq!(tools(&bot).await, ours(&["two__echo"]));
    }
}

#[tokio::test]
async fn what_is_taken_away_ends_at_once_at_the_picker_too() {
    let connection = "apps/bot/connections/main";
    let off = || Some(json!({"enabled": false}));
    let on = || Some(json!({"enabled": true}));
    let list = |it: &[&str]| Some(json!({ "addresses": it }));
    let rows = [
        ("the gateway", Method::PATCH, "gateways/main", off(), Method::PATCH, on()),
        ("the connection", Method::PATCH, connection, off(), Method::PATCH, on()),
        (
            "its addresses",
            Method::PATCH,
            "gateways/main",
            list(&["192.0.2.0/24"]),
            Method::PATCH,
            list(&[]),
        ),
        ("the grant", Method::DELETE, "gateways/main/teams/dev", None, Method::PUT, None),
    ];
    for site in Site::on_each(db::testing::postgres_url().await) {
        let one = Upstream::of_both_eras().by_hand("tools/call").start().await;
        let two = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&documents([&one.url, &two.url])).await;
        let token = served.token("bot", "t").await;
        let [modern, legacy] = Client::with_token(&served, PICKER, &token).await;
        for (what, method, path, body, back, restored) in &rows {
            let row = format!("{what} on {}", site.database());
            pick(&modern, "side").await;
            pick(&modern, "main").await;
            for client in [&modern, &legacy] {
                client.warm_up().await;
            }
            let filter = r#""notifications":{"toolsListChanged":true}"#;
            let mut heard = modern.open(modern.request("subscriptions/listen", filter)).await;
            assert_eq!(heard.message().await["method"], "notifications/subscriptions/acknowledged");
            let mut feed = legacy.open(legacy.get()).await;
            let taking = async {
                let (held, _others) = one.next_of("tools/call").await;
                served.must(method.clone(), path, body.clone()).await;
                held.given_up().await;
            };
            let calling = call(&modern, "one__echo", json!({}));
            let (answer, ()) = join(calling, taking).await;
            assert_ne!(answer.verdict(), "200", "{row}: {}", answer.text());
            for stream in [&mut heard, &mut feed] {
                within("the end of a stream, or news", is_told(stream)).await;
            }
            let known = one.seen().len();
            for client in [&modern, &legacy] {
                is_in_the_lobby(client, &row).await;
                let listed = call(client, "list_gateways", json!({})).await;
                assert!(!listed.text().contains("main"), "{row}: {}", listed.text());
            }
            assert_eq!(one.seen().len(), known, "{row}: something has reached the server");
            served.must(back.clone(), path, restored.clone()).await;
            assert_eq!(tools(&modern).await, ours(&["one__echo"]), "{row}");
        }
        // What is not there any more is not picked when it comes back.
        served.must(Method::DELETE, connection, None).await;
        is_in_the_lobby(&modern, "the connection is gone").await;
        let again = Some(json!({"gateway": "main"}));
        served.must(Method::POST, "apps/bot/connections", again).await;
        is_in_the_lobby(&modern, "the connection is another").await;
        // Where the app itself may not be, not even the lobby is there.
        served.must(Method::PATCH, "apps/bot", off()).await;
        for client in [&modern, &legacy] {
            let refused = client.send(client.request("tools/list", "")).await;
            assert_eq!(refused.reason().as_deref(), Some("switched_off"), "{}", refused.text());
            let refused = call(client, "list_gateways", json!({})).await;
            assert_eq!(refused.reason().as_deref(), Some("switched_off"), "{}", refused.text());
            let refused = call(client, "use_gateway", json!({"gateway": "side"})).await;
            assert_eq!(refused.reason().as_deref(), Some("switched_off"), "{}", refused.text());
        }
    }
}

#[tokio::test]
async fn whatever_our_own_tools_answer_is_on_record_first() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let one = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&documents([&one.url, &one.url])).await;
        let token = served.token("bot", "t").await;
        for client in Client::with_token(&served, PICKER, &token).await {
            let row = format!("{client} on {}", site.database());
            pick(&client, "main").await;
            for (tool, arguments) in
                [("list_gateways", json!({})), ("use_gateway", json!({"gateway": "main"}))]
            {
                let known = site.latest_records().len();
                let answer = call(&client, tool, arguments).await;
                assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
                let new = site.latest_records().split_off(known);
                let told: Vec<_> = new.iter().map(|it| (it.text("name"), it.end())).collect();
                assert_eq!(told, [(Some(tool), "answered_here")], "{row}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_listens_is_told_what_has_been_picked() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let plan = || Upstream::of_both_eras().echoing();
        let (one, two) = (plan().start().await, plan().start().await);
        let served = site.start_with(&documents([&one.url, &two.url])).await;
        let token = served.token("bot", "t").await;
        let [modern, legacy] = Client::with_token(&served, PICKER, &token).await;
        for client in [&modern, &legacy] {
            assert_eq!(tools(client).await, OURS);
        }
        let filter = r#""notifications":{"toolsListChanged":true}"#;
        let mut heard = modern.open(modern.request("subscriptions/listen", filter)).await;
        let acknowledged = heard.message().await;
        assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
        let mut feed = legacy.open(legacy.get()).await;
        let other = Client::modern_with_token(&served, PICKER, &token);
        for gateway in ["main", "side"] {
            pick(&other, gateway).await;
            let changed = "notifications/tools/list_changed";
            assert_eq!(heard.message().await["method"], changed, "{gateway}");
            assert_eq!(feed.message().await["method"], changed, "{gateway}");
            // Its client comes back to where it is now.
            within("the end of a stream", async { while feed.next().await.is_some() {} }).await;
            assert_eq!(tools(&legacy).await.len(), 3, "{gateway}");
            feed = legacy.open(legacy.get()).await;
        }
    }
}

#[tokio::test]
async fn a_picker_is_for_its_workspace_and_for_tokens_of_it() {
    let one = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let served = site.start_with(&documents([&one.url, &one.url])).await;
    let token = served.token("bot", "t").await;
    served.must(Method::POST, "/workspaces", Some(json!({"name": "elsewhere"}))).await;
    let nobody = "ost_".to_owned() + &"0".repeat(43);
    for (path, token, expected) in [
        ("/mcp/elsewhere", token.as_str(), "404/1403"),
        ("/mcp/nowhere", &token, "404/1403"),
        ("/mcp/", &token, "404/1403"),
        ("/sse/default", &token, "404/1403"),
        ("/mcp/default", &nobody, "401/1401"),
        ("/mcp/elsewhere", &nobody, "401/1401"),
    ] {
        let client = Client::modern_with_token(&served, path, token);
        let answer = client.send(client.request("tools/list", "")).await;
        assert_eq!(answer.verdict(), expected, "{path}: {}", answer.text());
    }
    // A person who opens it in a browser is shown the console, which asks who that is.
    let somebody = Client::modern_with_token(&served, PICKER, &nobody);
    let page = "text/html,application/xhtml+xml,*/*;q=0.8";
    let visit = || somebody.get().with("accept", page).without("authorization");
    for (client, post, is_visit) in [
        (&somebody, visit(), true),
        (&somebody, visit().with("accept", "*/*"), false),
        (&somebody, somebody.get().with("accept", page), false),
        (&somebody.at_unopened("/mcp/default/main"), visit(), false),
    ] {
        let answer = client.send(post).await;
        assert_eq!(answer.header("x-frame-options").is_some(), is_visit, "{}", answer.text());
    }
    // A person without a team has nothing to choose from, and no place to do so.
    served.must(Method::DELETE, "teams/dev/members/bob", None).await;
    let other = served.token("other", "t").await;
    let other = Client::modern_with_token(&served, PICKER, &other);
    let answer = other.send(other.request("tools/list", "")).await;
    assert_eq!(answer.verdict(), "404/1403", "{}", answer.text());
    // Picking is bounded, since it is a change that all share.
    let bot = Client::modern_with_token(&served, PICKER, &token);
    for _ in 0..10 {
        pick(&bot, "main").await;
        pick(&bot, "side").await;
        // What is picked already is no change.
        pick(&bot, "side").await;
    }
    let refused = call(&bot, "use_gateway", json!({"gateway": "main"})).await;
    assert_eq!(refused.verdict(), "429/1429", "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(tools(&bot).await, ours(&["two__echo"]));
}

#[tokio::test]
async fn what_is_picked_is_seen_and_set_by_administrators_and_is_no_matter_of_files() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let one = Upstream::of_both_eras().echoing().start().await;
        let documents = documents([&one.url, &one.url]);
        let served = site.start_with(&documents).await;
        let token = served.token("bot", "t").await;
        let bot = Client::modern_with_token(&served, PICKER, &token);
        let words = ["connection", "update", "main", "--app", "bot", "--picked", "true", "--json"];
        let ran = site.command(&served, &words).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(told["picked"], true, "{told}");
        assert_eq!(tools(&bot).await, ours(&["one__echo"]));
        pick(&bot, "side").await;
        let shown = served.must(Method::GET, "apps/bot/connections", None).await;
        let picked = |it: &Value| it["picked"].as_bool().unwrap();
        let names: Vec<&str> = shown["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| picked(it))
            .map(|it| it["gateway"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["side"], "{shown}");
        let file = site.home().join("documents.yaml");
        let applied = site.command(&served, &["apply", "-f", file.to_str().unwrap()]).await;
        assert_eq!(applied.code, Some(0), "{}", applied.err);
        assert_eq!(tools(&bot).await, ours(&["two__echo"]), "files leave it as it is");
        let none = Some(json!({"picked": false}));
        served.must(Method::PATCH, "apps/bot/connections/side", none).await;
        is_in_the_lobby(&bot, "nothing is picked").await;
    }
}

#[tokio::test]
async fn limits_and_rules_of_the_picked_gateway_hold() {
    let one = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let rules = ["name: r, pattern: 'never', action: { type: block, message: no }"];
    // They are of `main`, which has been added last.
    let served = site.start_with(&documents([&one.url, &one.url]).rules(&rules)).await;
    let allowance = json!({"type": "quota", "amount": 1, "per": "day"});
    let limit = json!({"name": "daily", "scope": {"type": "app"}, "unit": "calls",
        "gateway": "main", "allowance": allowance});
    served.must(Method::POST, "limits", Some(limit)).await;
    let token = served.token("bot", "t").await;
    let bot = Client::modern_with_token(&served, PICKER, &token);
    pick(&bot, "main").await;
    let blocked = call(&bot, "one__echo", json!({"a": "never"})).await;
    assert_eq!(blocked.json()["result"]["isError"], true, "{}", blocked.text());
    assert_eq!(one.calls().len(), 0, "what a rule blocks goes nowhere");
    let refused = call(&bot, "one__echo", json!({})).await;
    assert_eq!(refused.verdict(), "429/1429", "{}", refused.text());
    pick(&bot, "side").await;
    assert_eq!(call(&bot, "two__echo", json!({"a": "never"})).await.verdict(), "200");
}

#[tokio::test]
async fn the_rust_sdk_picks_and_calls_in_each_of_its_modes() {
    // There is no TLS here, and yet the client's library wants to know whose it would be.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let one = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let served = site.start_with(&documents([&one.url, &one.url])).await;
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let modes = [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover { preferred_versions: modern.clone() },
        ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
    ];
    let token = served.token("bot", "t").await;
    for mode in modes {
        let row = format!("{mode:?}");
        let none = Some(json!({"picked": false}));
        served.must(Method::PATCH, "apps/bot/connections/main", none).await;
        let url = format!("http://{}{PICKER}", served.host());
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token.clone());
        let transport = StreamableHttpClientTransport::from_config(config);
        let client = ().serve_with_lifecycle(transport, mode).await;
        let client = client.unwrap_or_else(|error| panic!("{row}: {error}"));
        let names = async || -> Vec<String> {
            let tools = client.list_all_tools().await.unwrap();
            tools.iter().map(|it| it.name.to_string()).collect()
        };
        assert_eq!(names().await, OURS, "{row}");
        let arguments = json!({"gateway": "main"}).as_object().unwrap().clone();
        let using = CallToolRequestParams::new("use_gateway").with_arguments(arguments);
        let used = serde_json::to_value(client.call_tool(using).await.unwrap()).unwrap();
        assert_eq!(used["structuredContent"]["in_use"], "main", "{row}: {used}");
        assert_eq!(names().await, ours(&["one__echo"]), "{row}");
        let arguments = json!({"a": 1}).as_object().unwrap().clone();
        let calling = CallToolRequestParams::new("one__echo").with_arguments(arguments);
        let called = serde_json::to_value(client.call_tool(calling).await.unwrap()).unwrap();
        assert_eq!(called["structuredContent"], json!({"a": 1}), "{row}: {called}");
        client.cancel().await.unwrap();
    }
}
