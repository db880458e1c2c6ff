//! The snippets of the handbook, as a client takes them.

use serde_json::Value;
use tests::peers::run_client_with;
use tests::serve::binary;
use tests::{Documents, Site, Upstream};

/// What stands in the handbook for a gateway, and for a file with a token.
const URL: &str = "https://mcp.example.com/mcp/default/main";
const FILE: &str = "/home/you/.ostiary-token";

#[tokio::test]
async fn the_snippets_of_the_handbook_lead_to_the_gateway() {
    let page = include_str!("../../../../docs/handbook/bridge.md");
    let snippets: Vec<_> = page.split("```json\n").skip(1).collect();
    assert_eq!(snippets.len(), 2);
    let server = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of("files", &server.url)).await;
    let token = served.token("bot", "t").await;
    let file = site.home().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let url = format!("http://{}/mcp/default/main", served.address);
    for snippet in snippets {
        let snippet: Value = serde_json::from_str(snippet.split("```").next().unwrap()).unwrap();
        let server = &snippet["mcpServers"]["main"];
        assert!(server["command"].as_str().unwrap().ends_with("ostiary"), "{server}");
        let words =
            server["args"].as_array().unwrap().iter().map(|it| match it.as_str().unwrap() {
                URL => url.clone(),
                FILE => file.to_str().unwrap().to_owned(),
                word => word.to_owned(),
            });
        let words: Vec<_> = words.collect();
        let program = binary();
        let line = format!("stdio:{} {}", program.display(), words.join(" "));
        let own = server["env"]["OSTIARY_TOKEN"].is_string();
        let set: &[(&str, &str)] = if own { &[("OSTIARY_TOKEN", &token)] } else { &[] };
        for mode in ["legacy", "auto"] {
            let said = run_client_with("python-client", &[&line, mode, "list"], set).await;
            assert_eq!(said["result"]["tools"][0]["name"], "files__echo", "{said}");
        }
    }
}
