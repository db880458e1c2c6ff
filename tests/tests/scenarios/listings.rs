//! What servers list: none of them keeps the others waiting, or takes their names.

use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use serde_json::json;
use tests::{Answer, Client, Plan, Served, Site, Upstream};

use crate::scene::{Pair, Scene, each_era};
use crate::served::documents;

/// Both servers on the gateway `main`, as `files` and `mail`.
async fn serving(files: &str, mail: &str) -> (Site, Served) {
    let site = Site::new(None);
    let served = site.start_with(&documents(files, mail)).await;
    (site, served)
}

async fn clients(served: &Served) -> [Client; 2] {
    static MADE: AtomicU32 = AtomicU32::new(0);

    let token = served.token("bot", &format!("t{}", MADE.fetch_add(1, Ordering::Relaxed))).await;
    Client::with_token(served, "/mcp/default/main", &token).await
}

fn tools(answer: &Answer) -> Vec<String> {
    let listed = answer.json();
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// One that takes every request to list and never answers it.
fn silent() -> Plan {
    Upstream::of_both_eras().by_hand("tools/list")
}

#[tokio::test]
async fn a_call_waits_for_the_listing_of_its_own_server_alone() {
    let files = silent().start().await;
    let mail = Upstream::of_both_eras().echoing().start().await;
    let (_site, served) = serving(&files.url, &mail.url).await;
    let token = served.token("bot", "listings").await;
    let modern = Client::modern_with_token(&served, "/mcp/default/main", &token);
    let answer = modern.send(modern.tool("mail__echo", r#"{"n":1}"#)).await;
    assert_eq!(answer.verdict(), "200", "{}", answer.text());
    assert!(files.seen().is_empty(), "the other server is not asked for it");
    // While somebody lists, and waits for the silent one.
    let listing = modern.send(modern.request("tools/list", ""));
    let calling = async {
        let silent = files.next().await;
        for _ in 0..3 {
            let answer = modern.send(modern.tool("mail__echo", r#"{"n":1}"#)).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
        }
        silent.refuse(503);
    };
    let (listed, ()) = futures::future::join(listing, calling).await;
    assert_eq!(tools(&listed), ["mail__echo"]);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what is tested is how long somebody waits")]
async fn a_list_of_several_servers_does_not_wait_for_a_silent_pipe() {
    // A stream without its first word.
    let files = Upstream::legacy()
        .on("initialize", |arrived| async move { arrived.refuse(405) })
        .on("GET", |arrived| async move {
            let stream = arrived.stream();
            stream.closed().await;
        })
        .start()
        .await;
    let mail = Upstream::of_both_eras().echoing().start().await;
    let (_site, served) = serving(&files.url, &mail.url).await;
    let [modern, legacy] = clients(&served).await;
    let began = std::time::Instant::now();
    let list = |it: &Client| it.request("tools/list", "");
    let listing = futures::future::join(modern.send(list(&modern)), legacy.send(list(&legacy)));
    let (one, other) = listing.await;
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "it took {took:?}");
    for answer in [one, other] {
        assert_eq!(tools(&answer), ["mail__echo"], "{}", answer.text());
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_listed_is_blamed_for_its_own_names_alone() {
    let gone = tests::port::NOBODY;
    let mail = Upstream::of_both_eras().echoing().start().await;
    let (_site, served) = serving(gone, &mail.url).await;
    for client in clients(&served).await {
        client.send(client.request("tools/list", "")).await;
        for (tool, code) in [
            ("files__echo", 1502),
            ("filesystem__echo", -32602),
            ("files", -32602),
            ("mail__files__echo", -32602),
        ] {
            let answer = client.send(client.tool(tool, "{}")).await;
            assert_eq!(answer.code(), Some(code), "{client}: {tool}: {}", answer.text());
        }
    }
}

/// Two names of one server whose shortened forms are the same.
#[tokio::test]
async fn h120_of_names_that_would_be_shown_alike_none_is() {
    let [one, other] = ["22597", "25927"].map(|it| format!("{}{it}", "x".repeat(60)));
    let listed = json!([
        {"name": one, "inputSchema": {}},
        {"name": "echo", "inputSchema": {}},
        {"name": other, "inputSchema": {}},
        {"name": "a\nb", "inputSchema": {}},
        {"name": "n".repeat(2_000), "inputSchema": {}},
    ]);
    for (server, plan) in each_era() {
        let files = plan.clone().with_tools(&listed.to_string()).echoing().start().await;
        let mail = plan.echoing().start().await;
        let (_site, served) = serving(&files.url, &mail.url).await;
        for client in clients(&served).await {
            let answer = client.send(client.request("tools/list", "")).await;
            assert_eq!(
                tools(&answer),
                ["files__echo", "mail__echo"],
                "{client}, a {server:?} server"
            );
            let shown = format!("files__{}_7927590a", "x".repeat(48));
            let answer = client.send(client.tool(&shown, "{}")).await;
            assert_eq!(
                answer.code(),
                Some(-32602),
                "{client}, a {server:?} server: {}",
                answer.text()
            );
            let single = client.at("/mcp/default/main/files").await;
            let answer = single.send(single.request("tools/list", "")).await;
            assert_eq!(tools(&answer), [&*one, "echo", &other], "{client}: its own names differ");
        }
        assert!(files.calls().is_empty());
    }
}

#[tokio::test]
async fn h119_a_name_that_imitates_another_servers_is_shown_as_its_own() {
    let imitation = r#"[{"name":"files__echo","inputSchema":{}},{"name":"echo","inputSchema":{}}]"#;
    for (server, plan) in each_era() {
        let files = plan.clone().echoing().start().await;
        let mail = plan.with_tools(imitation).echoing().start().await;
        let (_site, served) = serving(&files.url, &mail.url).await;
        for client in clients(&served).await {
            let row = format!("{client}, a {server:?} server");
            let mut listed = tools(&client.send(client.request("tools/list", "")).await);
            listed.sort();
            assert_eq!(listed, ["files__echo", "mail__echo", "mail__files__echo"], "{row}");
            for (tool, at, name) in [
                ("files__echo", &files, "\"echo\""),
                ("mail__files__echo", &mail, "\"files__echo\""),
            ] {
                let calls = [files.calls().len(), mail.calls().len()].iter().sum::<usize>();
                assert_eq!(client.send(client.tool(tool, "{}")).await.verdict(), "200", "{row}");
                let seen = at.calls().pop().unwrap();
                assert_eq!(seen.raw(&["params", "name"]), name, "{row}");
                assert_eq!(files.calls().len() + mail.calls().len(), calls + 1, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn h121_what_a_schema_refers_to_is_not_fetched_and_not_followed() {
    let elsewhere = Upstream::modern().start().await;
    let choices = vec![r##"{"$ref":"#"}"##; 20_000].join(",");
    let url = &elsewhere.url;
    let tools = format!(
        r##"[{{"name":"echo","inputSchema":{{"$ref":"{url}","$schema":"{url}","$id":"{url}","properties":{{"f":{{"$ref":"file:///etc/passwd"}},"a":{{"$ref":"#/properties/a"}},"p":{{"type":"string","pattern":"(a+)+$"}},"o":{{"anyOf":[{choices}]}}}}}}}}]"##
    );
    for Pair { scene, client, .. } in &Scene::pairs(|it| it.with_tools(&tools).echoing()).await {
        let arguments = format!(r#"{{"p":"{}!","a":{{}},"o":1,"f":2}}"#, "a".repeat(100_000));
        scene.passes(client, client.tool("echo", &arguments), &arguments).await;
    }
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[tokio::test]
async fn a_server_lists_up_to_a_limit() {
    let tool = |length| json!([{"name": "echo", "description": "x".repeat(length)}]).to_string();
    for (length, is_listed) in [(15 << 20, true), (17 << 20, false)] {
        let files = Upstream::of_both_eras().with_tools(&tool(length)).start().await;
        let mail = Upstream::of_both_eras().start().await;
        let (_site, served) = serving(&files.url, &mail.url).await;
        for client in clients(&served).await {
            let answer = client.send(client.request("tools/list", "")).await;
            let named = tools(&answer).contains(&"files__echo".to_owned());
            assert_eq!(named, is_listed, "{client}: {length} bytes");
        }
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_told_while_it_is_on() {
    let said = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"handle with care"}"#;
    let opened = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"},"instructions":"handle with care"}"#;
    let plan = Upstream::of_both_eras()
        .on("server/discover", move |it| async move { it.result(said) })
        .on("initialize", move |it| async move { it.result(opened) });
    let (files, mail) = (plan.start().await, Upstream::of_both_eras().start().await);
    let (_site, served) = serving(&files.url, &mail.url).await;
    for (asked, is_told) in [("restores", true), ("cutoffs", false), ("restores", true)] {
        let files = json!({"kind": "server", "name": "files"});
        served.must(Method::POST, asked, Some(files)).await;
        let [modern, legacy] = clients(&served).await;
        for post in [modern.request("server/discover", ""), legacy.initialize()] {
            let answer = modern.send(post).await;
            assert_eq!(answer.verdict(), "200", "{asked}: {}", answer.text());
            assert_eq!(answer.text().contains("handle with care"), is_told, "{asked}");
        }
    }
}
