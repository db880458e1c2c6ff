//! Child processes of `ostiary serve`: when they begin, and when they end.

use std::path::Path;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::client::LEGACY;
use tests::wait::eventually;
use tests::{Client, Documents, Served, Site};

const DOUBLE: &str = env!("CARGO_BIN_EXE_stdio_double");

const PATH: &str = "/mcp/default/main/double";

/// What a client says that can be asked, and so gets a child of its own.
const ABLE: &str = r#"{"elicitation":{}}"#;

#[tokio::test]
async fn a_gateway_ends_with_its_children_when_it_is_told_to() {
    let site = Site::new(None);
    let served = start(&site, "legacy").await;
    let token = served.token("bot", "t").await;
    let [modern, legacy] = Client::with_token(&served, PATH, &token).await;
    let able = Client::legacy_with_token(&served, (PATH, &token), LEGACY, ABLE).await;
    let mut pids = Vec::new();
    for client in [&modern, &legacy, &able] {
        pids.push(pid(client).await);
    }
    assert_eq!(pids[0], pids[1], "what can be asked nothing is shared");
    assert_ne!(pids[0], pids[2], "what can be asked is not");
    assert!(served.stop().await.success());
    assert!(pids.iter().all(|it| !is_running(*it)), "{pids:?}");
}

#[tokio::test]
async fn a_child_ends_when_its_server_is_changed_or_turned_off_or_removed() {
    let site = Site::new(None);
    let served = start(&site, "legacy").await;
    let token = served.token("bot", "t").await;
    let able = Client::legacy_with_token(&served, (PATH, &token), LEGACY, ABLE).await;
    let [modern, _] = Client::with_token(&served, PATH, &token).await;
    for change in ["command", "off", "removed"] {
        let before = [pid(&able).await, pid(&modern).await];
        match change {
            "command" => {
                let transport =
                    json!({"type": "stdio", "command": DOUBLE, "args": ["legacy", "--once"]});
                let patch = json!({ "transport": transport });
                served.must(Method::PATCH, "servers/double", Some(patch)).await;
            }
            "off" => {
                let off = json!({"kind": "server", "name": "double"});
                served.must(Method::POST, "cutoffs", Some(off.clone())).await;
                ended(&before).await;
                served.must(Method::POST, "restores", Some(off)).await;
            }
            _ => {
                served.must(Method::DELETE, "gateways/main/assignments/double", None).await;
                served.must(Method::DELETE, "servers/double", None).await;
            }
        }
        ended(&before).await;
        if change != "removed" {
            let after = [pid(&able).await, pid(&modern).await];
            assert!(after.iter().all(|it| !before.contains(it)), "{change}: {before:?} {after:?}");
        }
    }
}

#[tokio::test]
async fn a_child_of_its_own_ends_with_its_session() {
    let site = Site::new(None);
    let served = start(&site, "legacy").await;
    let token = served.token("bot", "t").await;
    let able = Client::legacy_with_token(&served, (PATH, &token), LEGACY, ABLE).await;
    let own = pid(&able).await;
    assert_eq!(able.send(able.delete()).await.status, 200);
    ended(&[own]).await;
}

#[tokio::test]
async fn a_child_that_is_shared_is_introduced_to_us_once() {
    let site = Site::new(None);
    let served = start(&site, "legacy, --once").await;
    let token = served.token("bot", "t").await;
    let opening = (0..4).map(|_| Client::with_token(&served, PATH, &token));
    let clients: Vec<Client> = join_all(opening).await.into_iter().flatten().collect();
    let pids = join_all(clients.iter().map(pid)).await;
    assert!(pids.iter().all(|it| *it == pids[0]), "{pids:?}");
}

async fn start(site: &Site, args: &str) -> Served {
    let transport = format!("type: stdio, command: \"{DOUBLE}\", args: [{args}]");
    site.start_with(&Documents::over("double", &transport)).await
}

/// The process that serves a client.
async fn pid(client: &Client) -> u32 {
    let answer = client.send(client.tool("pid", "{}")).await;
    let answer: Value = answer.json();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{client}: {answer}")).parse().unwrap()
}

async fn ended(pids: &[u32]) {
    let all = || pids.iter().all(|it| !is_running(*it)).then_some(());
    eventually("the end of children", all).await;
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
