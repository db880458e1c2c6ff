//! Whatever goes wrong is an answer to the request that it goes wrong for, in words that say what to
//! do, and a note on standard error.

use bytes::Bytes;
use futures::future::join;
use serde_json::{Value, json};
use tests::piped::{error, reason};
use tests::{Piped, Upstream};

use super::NEWEST;

#[tokio::test]
async fn h040_h036_bad_lines_are_answered_and_what_follows_is_heard() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}"#, "[".repeat(10_000));
    let cases = [
        ("npm WARN deprecated", -32700, "not JSON"),
        ("{", -32700, "not JSON"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, -32700, "duplicate"),
        (&deep, -32700, "nested too deeply"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, "no arrays"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, "id is null"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "jsonrpc"),
        ("1", -32600, "not an object"),
    ];
    for (line, code, words) in cases {
        bridge.line("").await;
        bridge.line(line).await;
        let answer = bridge.next().await;
        assert_eq!((&answer["id"], error(&answer).0), (&Value::Null, code), "{answer}");
        assert!(error(&answer).1.contains(words), "{answer}");
    }
    let mut bytes = vec![b'"'];
    bytes.extend([0xff, 0xfe]);
    bridge.bytes(&bytes).await;
    bridge.line("").await;
    assert_eq!(error(&bridge.next().await).0, -32700);
    assert!(gateway.seen().is_empty(), "{:?}", gateway.seen());
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    gateway.next().await.result("{}");
    assert_eq!(bridge.next().await["id"], 1);
    assert!(bridge.words().contains("no arrays"), "{}", bridge.words());
}

#[tokio::test]
async fn h029_a_line_that_is_too_long_is_not_kept_and_the_next_is_heard() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..200 {
        bridge.bytes(&piece).await;
    }
    bridge.line("").await;
    let answer = bridge.next().await;
    assert_eq!((&answer["id"], error(&answer).0), (&Value::Null, -32600));
    let peak = bridge.peak_memory();
    assert!(peak < 180 << 20, "{peak}");
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    gateway.next().await.result("{}");
    assert_eq!(bridge.next().await["id"], 1);
}

#[tokio::test]
async fn a_refusal_says_what_to_do_under_the_id_of_its_request() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let theirs = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1403,"message":"no such gateway","data":{"a":1.0}}}"#;
    let problem = r#"{"type":"about:blank","title":"Off","detail":"the app is turned off"}"#;
    let cases = [
        (401, "application/json", theirs, 1401, "OSTIARY_TOKEN"),
        (403, "application/problem+json", problem, 1403, "the app is turned off"),
        (404, "application/json", theirs, 1403, "no such gateway"),
        (404, "text/html", "<h1>lost</h1>", 1403, "no gateway at this URL"),
        (302, "text/plain", "", 1502, "redirects elsewhere"),
        (413, "text/plain", "", -32600, "larger than the gateway takes"),
        (429, "text/plain", "", 1503, "429"),
        (500, "text/html", "<h1>oh</h1>", 1503, "500"),
        (200, "text/html", "<h1>hello</h1>", 1502, "not valid MCP"),
        (200, "application/json", "{}", 1502, "not valid MCP"),
        (
            200,
            "application/json",
            r#"{"jsonrpc":"2.0","id":"other","result":{}}"#,
            1503,
            "without the answer",
        ),
        (200, "text/event-stream", "data: {\n\n", 1502, "not valid MCP"),
        (200, "text/event-stream", "data: {}", 1503, "without the answer"),
    ];
    for (number, (status, media, body, code, words)) in cases.into_iter().enumerate() {
        bridge.ask_modern(&format!("\"{number}\""), "prompts/get", r#""name":"hello""#).await;
        gateway.next().await.respond(status, media, body);
        let answer = bridge.next().await;
        assert_eq!(
            (&answer["id"], error(&answer).0),
            (&json!(number.to_string()), code),
            "{answer}"
        );
        assert!(error(&answer).1.contains(words), "{answer}");
    }
    // What the gateway itself says of a request passes as it is.
    bridge.ask_modern("7", "prompts/get", r#""name":"hello""#).await;
    let own = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32021,"message":"m","data":{"n":1.0}}}"#;
    gateway.next().await.respond(400, "application/json", own);
    assert_eq!(bridge.raw().await.unwrap(), own);
    let refused = r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m","data":{"n":1.0}}}"#;
    bridge.ask_modern("8", "prompts/get", r#""name":"hello""#).await;
    gateway.next().await.respond(404, "application/json", refused);
    assert_eq!(bridge.raw().await.unwrap(), refused.replacen('{', r#"{"id":8,"#, 1));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (gateway, elsewhere) = (Upstream::modern().start().await, Upstream::modern().start().await);
    let mut bridge = Piped::with_token(&gateway.url, "secret-token");
    for status in [301, 302, 303, 307, 308] {
        bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
        gateway.next().await.refuse_with(status, "location", &elsewhere.url);
        assert_eq!(reason(&bridge.next().await), json!([1502, "redirected"]), "{status}");
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_gateway_that_breaks_off_or_is_not_there_is_told_of_and_heard_when_it_is_back() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    for is_stream in [false, true] {
        bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
        let call = gateway.next().await;
        if is_stream {
            let talk = call.stream();
            talk.bytes(": hello\n\n").await;
            talk.fail().await;
        } else {
            drop(call);
        }
        let answer = bridge.next().await;
        assert_eq!(reason(&answer), json!([1503, "connection_lost"]));
        assert!(error(&answer).1.contains("may have been carried out"), "{answer}");
    }
    let mut bridge = Piped::to(tests::port::NOBODY);
    bridge.ask_modern("1", "tools/list", "").await;
    assert_eq!(reason(&bridge.next().await), json!([1503, "gateway_unreachable"]));
    // A legacy client that could not say hello may say it again.
    let params = format!(
        r#"{{"protocolVersion":"{NEWEST}","capabilities":{{}},"clientInfo":{{"name":"a","version":"1"}}}}"#
    );
    bridge.ask("2", "initialize", &params).await;
    let answer = bridge.next().await;
    assert_eq!((&answer["id"], reason(&answer)), (&json!(2), json!([1503, "gateway_unreachable"])));
    bridge.tell("notifications/initialized", "{}").await;
    bridge.ask("3", "tools/list", "{}").await;
    assert_eq!(bridge.next().await["id"], 3);
    bridge.close_input();
    assert_eq!(bridge.raw().await, None);
    assert_eq!(bridge.ended().await.code(), Some(0));
    assert!(bridge.words().contains("cannot be reached"), "{}", bridge.words());
}

#[tokio::test]
async fn what_the_command_line_cannot_mean_is_refused_before_anything_is_read() {
    let here = "http://localhost:1/";
    let cases = [
        ("http://mcp.example.com/mcp/default/main", "", "t", 2, "use https"),
        ("not a url", "", "t", 2, "not a URL"),
        ("https://a:b@localhost/", "", "t", 2, "neither a user"),
        (here, "--token=secret", "t", 2, "unexpected argument"),
        (here, "--token-file=/nowhere/token", "t", 3, "cannot be read"),
        (here, "--token-file=/dev/null", "t", 3, "empty"),
        (here, "", "two\nlines", 3, "characters"),
    ];
    for (url, word, token, code, says) in cases {
        let words: Vec<_> = [word].into_iter().filter(|it| !it.is_empty()).collect();
        let mut bridge = Piped::with(url, &words, &[("OSTIARY_TOKEN", token)]);
        assert_eq!(bridge.raw().await, None, "{url}");
        assert_eq!(bridge.ended().await.code(), Some(code), "{url} {word}");
        assert!(bridge.words().contains(says), "{url}: {}", bridge.words());
    }
}

#[tokio::test]
async fn a_token_in_a_file_may_change_and_is_told_to_nobody_else() {
    let gateway = Upstream::modern().start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token\n").unwrap();
    let words = ["--token-file", file.to_str().unwrap()];
    // It wins over the variable, which others may have set.
    let mut bridge =
        Piped::with(&gateway.url, &words, &[("OSTIARY_TOKEN", "other"), ("OSTIARY_LOG", "trace")]);
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    let call = gateway.next().await;
    assert_eq!(call.header("authorization"), Some("Bearer first-token"));
    std::fs::write(&file, "second-token").unwrap();
    call.refuse(401);
    let call = gateway.next().await;
    assert_eq!(call.header("authorization"), Some("Bearer second-token"));
    call.result("{}");
    assert_eq!(bridge.next().await["id"], 1);
    // All that were under way with the one before are sent again.
    for id in ["3", "4"] {
        bridge.ask_modern(id, "tools/call", r#""name":"echo""#).await;
    }
    let both = [gateway.next().await, gateway.next().await];
    std::fs::write(&file, "third-token").unwrap();
    for call in both {
        assert_eq!(call.header("authorization"), Some("Bearer second-token"));
        call.refuse(401);
        let again = gateway.next().await;
        assert_eq!(again.header("authorization"), Some("Bearer third-token"));
        again.result("{}");
        assert!(bridge.next().await["result"].is_object());
    }
    // One that is the same is not tried again.
    bridge.ask_modern("2", "tools/call", r#""name":"echo""#).await;
    gateway.next().await.refuse(401);
    assert_eq!(reason(&bridge.next().await), json!([1401, "unauthenticated"]));
    assert_eq!(gateway.calls().len(), 7);
    let words = bridge.words();
    assert!(!words.contains("first-token") && !words.contains("second-token"), "{words}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error_for_its_call_and_not_kept() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    let piece = Bytes::from(vec![b'x'; 4 << 20]);
    for media in ["application/json", "text/event-stream"] {
        bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
        let talk = gateway.next().await.begin(media);
        talk.bytes("data:").await;
        let saying = async {
            while !talk.is_over() {
                talk.bytes(piece.clone()).await;
            }
        };
        let (answer, ()) = join(bridge.next(), saying).await;
        assert_eq!(reason(&answer), json!([1502, "answer_too_large"]), "{media}");
        bridge.ask_modern("2", "tools/call", r#""name":"echo""#).await;
        gateway.next().await.result("{}");
        assert_eq!(bridge.next().await["id"], 2);
    }
    let peak = bridge.peak_memory();
    assert!(peak < 700 << 20, "{peak}");
}
