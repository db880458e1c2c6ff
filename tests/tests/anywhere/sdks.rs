//! The official SDKs behind a balancer that gives each of their requests to the next replica.

use db::testing::postgres_url;
use serde_json::json;
use tests::peers::{Peer, run_client};
use tests::{Documents, Site};

use crate::scene::CONFIGURATION;
use crate::turns::Turns;

#[tokio::test]
async fn r2_the_typescript_sdk_notices_nothing_of_the_replicas() {
    notices_nothing("node-client").await;
}

#[tokio::test]
async fn r2_the_python_sdk_notices_nothing_of_the_replicas() {
    notices_nothing("python-client").await;
}

/// Each of its modes lists, calls, and answers what servers of either era ask in calls.
async fn notices_nothing(client: &str) {
    let Some(url) = postgres_url().await else { return };
    let fixture = Peer::listening("conformance-fixture", &[]).await;
    let legacy = Peer::listening("era-lock", &[&fixture.url, "legacy"]).await;
    let modern = Peer::listening("era-lock", &[&fixture.url, "modern"]).await;
    let servers = [("legacy", &legacy.url), ("modern", &modern.url)];
    let documents = Documents::default().team("dev", &["ann"]).gateway(
        "main",
        "dev",
        &["server: legacy", "server: modern"],
    );
    let documents = servers
        .iter()
        .fold(documents, |all, (name, url)| all.server(name, &tests::documents::http(url)));
    let documents = documents.app("bot", "ann", &["gateway: main"]);
    let sites: Vec<_> = (0..3).map(|_| Site::new(Some(url.clone()))).collect();
    let first = sites[0].start_configured(&documents, CONFIGURATION).await;
    let token = first.token("bot", "t").await;
    let mut served = vec![first];
    for site in &sites[1..] {
        served.push(site.start_configured("", CONFIGURATION).await);
    }
    let turns = Turns::among(served.iter().map(|it| it.address).collect()).await;
    for mode in ["legacy", "2026-07-28", "sse"] {
        for (server, _) in &servers {
            let row = format!("{client}, {mode}, {server}");
            let transport = if mode == "sse" { "sse" } else { "mcp" };
            let url = format!("http://{}/{transport}/default/main/{server}", turns.address);
            let asking = ["test_elicitation", r#"{"message":"?"}"#];
            let sampling = ["test_sampling", r#"{"prompt":"?"}"#];
            let words = [&url, mode, "--token", &token, "try", "echo", r#"{"message":"hello"}"#];
            let found = run_client(client, &[&words[..], &asking, &sampling].concat()).await;
            let results = &found["result"]["results"];
            assert_eq!(results[0]["content"][0]["text"], "Echo: hello", "{row}: {found}");
            let asked = json!(["elicitation/create", "sampling/createMessage"]);
            assert_eq!(found["asked"], asked, "{row}: {found}");
            let said = results[2]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(said.contains("sampled"), "{row}: {found}");
        }
    }
}
