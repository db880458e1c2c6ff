//! Where what must stay secret is to be found afterwards: nowhere.

use std::path::Path;

use http::Method;
use serde_json::json;
use tests::documents::http;
use tests::serve::CREDENTIAL;
use tests::{Client, Documents, Site, Upstream};

/// What clients and servers say in confidence.
const CONFIDED: [&str; 6] = [
    "pa55-in-an-argument",
    "pa55-in-json-in-a-string",
    "4539148803436467",
    "pa55-in-a-header",
    "pa55-in-a-result",
    "pa55-in-an-error",
];

#[tokio::test]
async fn h152_nothing_that_was_said_in_confidence_stands_on_disk_or_in_the_log() {
    let tools = r#"[{"name":"echo","inputSchema":{}},{"name":"fail","inputSchema":{}}]"#;
    let plan = Upstream::of_both_eras().with_tools(tools).on("tools/call", |call| async move {
        if call.raw(&["params", "name"]) == "\"fail\"" {
            return call.error(-32000, "pa55-in-an-error");
        }
        let kind = r#""resultType":"complete""#;
        let text = r#"{"type":"text","text":"pa55-in-a-result"}"#;
        call.result(&format!(r#"{{{kind},"content":[{text}]}}"#));
    });
    let upstream = plan.start().await;
    let site = Site::new(None);
    let documents = Documents::default()
        .team("dev", &["ann"])
        .server("mail", &http(&upstream.url))
        .identity("ann-mail", "mail", Some("ann"))
        .app("bot", "ann", &["gateway: main, identities: [ann-mail]"])
        .gateway("main", "dev", &["server: mail, scheme: own"])
        .rules(&["name: calls, pattern: 'in-an-argument', on_response: false, action: { type: redact }, observe_only: true"]);
    let served = site.start_with(&documents).await;
    let token = served.token("bot", "t").await;
    let arguments = r#"{"a":"pa55-in-an-argument","b":"{\"c\":\"pa55-in-json-in-a-string\"}","n":4539148803436467}"#;
    for client in Client::with_token(&served, "/mcp/default/main", &token).await {
        client.warm_up().await;
        for tool in ["mail__echo", "mail__fail", "mail__nothing"] {
            let post = client.tool(tool, arguments);
            let answer = client.send(post.with("x-api-key", "pa55-in-a-header")).await;
            let told = answer.text().contains("pa55-in-a") == (tool != "mail__nothing");
            assert!(told, "{client}: {tool}: {}", answer.text());
        }
        let broken = client.tool("mail__echo", arguments).replacing(r#""n":"#, r#""n":,"#);
        assert_eq!(client.send(broken).await.status, 400);
    }
    // Bob signs in with what is no token of his.
    for client in Client::with_token(&served, "/mcp/default/main", &token).await {
        let post = client.tool("mail__echo", arguments);
        let other = post.with("authorization", "Bearer ostt_pa55-in-an-argument");
        assert_eq!(client.send(other).await.status, 401);
    }
    let kept = served.must(Method::GET, "records?limit=100", None).await;
    let servers = served.must(Method::GET, "servers", None).await;
    let identities = served.must(Method::GET, "identities", None).await;
    let shown = json!([kept, servers, identities]).to_string();
    assert!(served.stop().await.success());
    let mut secrets = CONFIDED.to_vec();
    secrets.extend([CREDENTIAL.1, token.as_str()]);
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is shown by the admin API");
        assert!(!site.words().contains(secret), "{secret} is in the log: {}", site.words());
        find(&site.data(), secret.as_bytes());
    }
    let (code, words) = site.verify().await;
    assert_eq!(code, Some(0), "{words}");
}

/// Fails where any file holds these bytes.
fn find(folder: &Path, secret: &[u8]) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            find(&path, secret);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(secret.len()).position(|it| it == secret);
        let name = String::from_utf8_lossy(secret);
        assert_eq!(at, None, "{name} is in {}", path.display());
    }
}
