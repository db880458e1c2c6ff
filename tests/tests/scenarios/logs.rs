//! What the gateway says of itself while others try to speak through it.

use tests::{Client, Gateway, Upstream};

/// What tries to end a line, to move a cursor, and to look like somebody else's words.
const EVIL: &str = "a\\n2026-01-01T00:00:00.000000Z  INFO forged\\r\\u001b[2K\\u001b]0;t\\u0007\\u0085\\u2028\\u202e\\u0000\\u009b";

#[tokio::test]
async fn h151_an_event_is_one_line_of_the_log_whatever_servers_and_clients_say() {
    for format in ["text", "json"] {
        let set = [("OSTIARY_LOG", "debug"), ("OSTIARY_LOG_FORMAT", format)];
        // Hidden, with a warning that names them.
        let tools = format!(
            r#"[{{"name":"{EVIL}","inputSchema":{{"type":"object","properties":{{"a":{{"type":"number","x-mcp-header":"{EVIL}"}}}}}}}},{{"name":"echo","inputSchema":{{}}}}]"#
        );
        let evil: String = serde_json::from_str(&format!("\"{EVIL}\"")).unwrap();
        let mut plan = Upstream::of_both_eras().with_tools(&tools);
        for method in ["tools/call", "resources/read", "prompts/get", &evil] {
            let message = evil.clone();
            plan = plan.on(method, move |call| {
                let message = message.clone();
                async move { call.error(-32000, &message) }
            });
        }
        plan = plan.on("notifications/cancelled", |it| async move { it.accept() });
        let upstream = plan.start().await;
        let gateway = Gateway::dev_with_environment(&["--upstream", &upstream.url], &set).await;
        for client in Client::of_each_era(&gateway).await {
            client.warm_up().await;
            for post in [
                client.tool("echo", &format!(r#"{{"{EVIL}":"{EVIL}"}}"#)),
                client.request("resources/read", &format!(r#""uri":"{EVIL}""#)).without("mcp-name"),
                client.request("prompts/get", &format!(r#""name":"{EVIL}""#)).without("mcp-name"),
                client.tool("echo", "{}").with("user-agent", b"a\xc2\x9b\xff"),
                client.post(format!(r#"{{"jsonrpc":"2.0","id":"{EVIL}","method":"{EVIL}"}}"#)),
                client.notification("notifications/cancelled", &format!(r#""requestId":"{EVIL}""#)),
            ] {
                client.send(post).await;
            }
        }
        assert_lines(&gateway.words(), format);
        // The words of a child on its standard error, too.
        let script = format!("printf 'b{}\\n' >&2", EVIL.replace("\\u00", "\\\\0"));
        let gateway = Gateway::dev_with_environment(&["--", "/bin/sh", "-c", &script], &set).await;
        let client = Client::modern(&gateway);
        client.send(client.tool("echo", "{}")).await;
        assert_lines(&gateway.words(), format);
    }
}

fn assert_lines(words: &str, format: &str) {
    assert!(1 < words.lines().count(), "something is said: {words}");
    for line in words.split_terminator('\n') {
        let shown = line.escape_debug();
        match format {
            "json" => assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{shown}"),
            _ => assert!(line.starts_with("20") && !line.starts_with("2026-01-01"), "{shown}"),
        }
        let is_plain = |it: char| !it.is_control() && !"\u{2028}\u{2029}\u{202e}".contains(it);
        assert!(line.chars().all(is_plain), "{shown}");
    }
}
