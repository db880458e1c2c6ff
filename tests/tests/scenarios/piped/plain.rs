//! Messages pass as they are, with the headers that their era wants.

use rustix::process::Signal;
use serde_json::json;
use tests::piped::error;
use tests::{Gateway, Piped, Upstream};

use super::NEWEST;

#[tokio::test]
async fn a_modern_request_is_sent_byte_for_byte_with_the_headers_that_mirror_it() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::with_token(&gateway.url, "secret-token");
    let line = r#"{ "params":{"name":"füh\u0072en","arguments":{"n":1.0,"x":[]},"_meta":{"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/protocolVersion":"2026-07-28"}},"id":"a\u0062", "method":"tools\/call","jsonrpc":"2.0","extra":1e2}"#;
    bridge.line(line).await;
    let call = gateway.next().await;
    assert_eq!(call.body, line);
    assert_eq!(call.header("authorization"), Some("Bearer secret-token"));
    assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("=?base64?ZsO8aHJlbg==?="));
    assert_eq!(call.header("mcp-session-id"), None);
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.header("accept"), Some("application/json, text/event-stream"));
    let answer = r#"{"jsonrpc":"2.0","result":{"resultType":"complete","content":[],"n":1.0},"id":"a\u0062"}"#;
    call.respond(200, "application/json", answer);
    assert_eq!(bridge.raw().await.unwrap(), answer);
    // An answer on several lines is one line on a pipe.
    bridge.ask_modern("7", "resources/read", r#""uri":"test://one""#).await;
    let read = gateway.next().await;
    assert_eq!(read.header("mcp-name"), Some("test://one"));
    let answer = "{\n \"jsonrpc\":\"2.0\",\r\n\"id\":7,\"result\":{\"a\":\"\\n\"}}\n";
    read.respond(200, "application/json", answer);
    assert_eq!(bridge.raw().await.unwrap().trim(), answer.replace(['\n', '\r'], " ").trim());
}

#[tokio::test]
async fn what_a_modern_stream_says_comes_in_its_order_up_to_the_answer() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    let talk = gateway.next().await.stream();
    talk.bytes(": hello\n\n").await;
    talk.notification("notifications/progress", r#"{"progressToken":1,"progress":1}"#).await;
    assert_eq!(bridge.next().await["params"]["progress"], 1);
    talk.notification("notifications/progress", r#"{"progressToken":1,"progress":2}"#).await;
    talk.result(r#"{"content":[]}"#).await;
    assert_eq!(bridge.next().await["params"]["progress"], 2);
    assert_eq!(bridge.next().await, json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}));
}

#[tokio::test]
async fn a_legacy_client_has_a_session_that_it_does_not_see() {
    for (revision, is_repeated) in
        [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", true), (NEWEST, true)]
    {
        let gateway = Upstream::legacy().by_hand("DELETE").start().await;
        let mut bridge = Piped::with_token(&gateway.url, "secret-token");
        let result = bridge.hello(revision, "{}").await;
        assert_eq!(result["protocolVersion"], revision);
        bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
        let call = gateway.next().await;
        assert_eq!(
            call.body,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#
        );
        let repeated = is_repeated.then_some(revision);
        assert_eq!(call.header("mcp-session-id"), Some("session-1"), "{revision}");
        assert_eq!(call.header("mcp-protocol-version"), repeated, "{revision}");
        assert_eq!(call.header("authorization"), Some("Bearer secret-token"));
        assert_eq!((call.header("mcp-method"), call.header("mcp-name")), (None, None));
        call.result(r#"{"content":[]}"#);
        assert_eq!(bridge.next().await["result"], json!({"content": []}));
        // What it was opened with has no session yet, and what it was ready with came first.
        let seen = gateway.seen();
        let methods: Vec<_> =
            seen.iter().filter(|it| it.verb == "POST").map(|it| it.method.as_str()).collect();
        assert_eq!(methods, ["initialize", "notifications/initialized", "tools/call"]);
        assert_eq!(seen[0].header("mcp-session-id"), None);
        assert_eq!(seen[1].header("mcp-session-id"), Some("session-1"));
        // It ends with the client.
        bridge.close_input();
        let last = gateway.next().await;
        assert_eq!(
            (last.method.as_str(), last.header("mcp-session-id")),
            ("DELETE", Some("session-1"))
        );
        last.accept();
        assert_eq!(bridge.ended().await.code(), Some(0), "{revision}");
    }
}

#[tokio::test]
async fn a_server_asks_a_legacy_client_in_a_call_and_hears_its_answer_in_the_session() {
    let gateway = Upstream::legacy().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, r#"{"elicitation":{}}"#).await;
    bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
    let talk = gateway.next().await.stream();
    let question =
        r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"?"}}"#;
    talk.message(question).await;
    assert_eq!(bridge.raw().await.unwrap(), question);
    let reply = r#"{"result":{"action":"accept","content":{"n":1.0}}, "id":1,"jsonrpc":"2.0"}"#;
    bridge.line(reply).await;
    // What follows waits until the answer has been taken.
    bridge.ask("2", "tools/call", r#"{"name":"other"}"#).await;
    let answered = gateway.next().await;
    assert_eq!(
        (answered.body.as_str(), answered.header("mcp-session-id")),
        (reply, Some("session-1"))
    );
    // In the time that a whole bridge takes to be of use, the second call would have come.
    let mut other = Piped::to(&gateway.url);
    other.ask("1", "tools/list", "{}").await;
    other.next().await;
    assert_eq!(gateway.calls().len(), 2, "the second call has not been sent");
    answered.accept();
    let second = gateway.next().await;
    assert_eq!(second.id(), "2");
    second.result("{}");
    talk.result(r#"{"content":[]}"#).await;
    let mut ids = [bridge.next().await["id"].clone(), bridge.next().await["id"].clone()];
    ids.sort_by_key(|it| it.as_i64());
    assert_eq!(ids, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_modern_client_that_gives_a_call_up_closes_its_connection() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    for is_stream in [false, true] {
        bridge.ask_modern("\"a\"", "tools/call", r#""name":"echo""#).await;
        let call = gateway.next().await;
        if is_stream {
            let talk = call.stream();
            talk.notification("notifications/progress", "{}").await;
            bridge.next().await;
            bridge.tell("notifications/cancelled", r#"{"requestId":"\u0061"}"#).await;
            talk.given_up().await;
        } else {
            bridge.tell("notifications/cancelled", r#"{"requestId":"a"}"#).await;
            call.given_up().await;
        }
    }
    // Nothing is said of it, neither to the gateway nor to the client.
    assert!(gateway.seen_of("notifications/cancelled").is_empty());
    bridge.ask_modern("2", "tools/call", r#""name":"echo""#).await;
    gateway.next().await.result("{}");
    assert_eq!(bridge.next().await["id"], 2);
}

#[tokio::test]
async fn a_legacy_client_that_gives_a_call_up_says_so_in_words() {
    let gateway = Upstream::legacy().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
    let call = gateway.next().await;
    let params = r#"{"requestId":1,"reason":"\u0041 whim"}"#;
    bridge.tell("notifications/cancelled", params).await;
    let told = gateway.next().await;
    assert_eq!(
        (told.method.as_str(), told.raw(&["params"])),
        ("notifications/cancelled", params.into())
    );
    assert_eq!(told.header("mcp-session-id"), Some("session-1"));
    told.accept();
    // It may have come before the call, so it is said again while the call goes on.
    let again = gateway.next().await;
    assert_eq!(again.raw(&["params"]), params);
    again.accept();
    drop(call.stream());
    // The client expects no answer any more, and what is over is not given up.
    bridge.tell("notifications/cancelled", params).await;
    bridge.ask("2", "tools/call", r#"{"name":"echo"}"#).await;
    gateway.next().await.result("{}");
    assert_eq!(bridge.next().await["id"], 2);
}

#[tokio::test]
async fn as_many_calls_as_there_are_go_at_the_same_time_and_none_is_mixed_up() {
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let gateway = Gateway::dev(&upstream.url).await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    bridge.ask("\"list\"", "tools/list", "{}").await;
    bridge.next().await;
    let mut waiting = std::collections::BTreeSet::new();
    for number in 0..128 {
        let named = format!(r#""name":"echo","arguments":{{"n":{number}}}"#);
        if number % 2 == 0 {
            bridge.ask(&number.to_string(), "tools/call", &format!("{{{named}}}")).await;
        } else {
            bridge.ask_modern(&number.to_string(), "tools/call", &named).await;
        }
        waiting.insert(number);
    }
    while !waiting.is_empty() {
        let answer = bridge.next().await;
        let number = answer["id"].as_i64().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(answer["result"]["structuredContent"]["n"], number, "{answer}");
        assert!(waiting.remove(&number), "twice: {answer}");
    }
}

#[tokio::test]
async fn more_than_may_be_at_the_gateway_wait_and_can_be_given_up() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    for number in 0..300 {
        bridge.ask_modern(&number.to_string(), "tools/call", r#""name":"echo""#).await;
    }
    let mut calls = Vec::new();
    for _ in 0..256 {
        calls.push(gateway.next().await);
    }
    assert_eq!(gateway.calls().len(), 256);
    // What is over makes room; what waits can be given up.
    bridge.tell("notifications/cancelled", r#"{"requestId":299}"#).await;
    for _ in 0..44 {
        calls.swap_remove(0).result("{}");
        bridge.next().await;
    }
    for _ in 0..43 {
        calls.push(gateway.next().await);
    }
    while let Some(call) = calls.pop() {
        assert_ne!(call.id(), "299");
        call.result("{}");
        bridge.next().await;
    }
    bridge.close_input();
    assert_eq!(bridge.raw().await, None);
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_end_of_standard_input_lets_calls_finish() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    let call = gateway.next().await;
    bridge.close_input();
    call.result("{}");
    assert_eq!(bridge.next().await["id"], 1);
    assert_eq!(bridge.raw().await, None);
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_signal_ends_it_at_once_and_its_calls_with_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let gateway = Upstream::of_both_eras().by_hand("DELETE").start().await;
        let mut bridge = Piped::to(&gateway.url);
        bridge.hello(NEWEST, "{}").await;
        bridge.ask("\"old\"", "tools/call", r#"{"name":"echo"}"#).await;
        let legacy = gateway.next().await;
        bridge.ask_modern("\"new\"", "tools/call", r#""name":"echo""#).await;
        let modern = gateway.next().await;
        bridge.signal(signal);
        let told = gateway.next().await;
        assert_eq!(
            (told.method.as_str(), told.raw(&["params", "requestId"]).as_str()),
            ("notifications/cancelled", "\"old\"")
        );
        told.accept();
        let last = gateway.next().await;
        assert_eq!(last.method, "DELETE");
        last.accept();
        modern.given_up().await;
        legacy.given_up().await;
        assert_eq!(bridge.raw().await, None);
        assert_eq!(bridge.ended().await.code(), Some(0));
        assert!(!bridge.words().contains("panicked"), "{}", bridge.words());
    }
}

#[tokio::test]
async fn a_call_that_does_not_end_is_given_up_a_while_after_standard_input_has_ended() {
    let gateway = Upstream::of_both_eras().by_hand("DELETE").start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
    let call = gateway.next().await;
    bridge.close_input();
    let told = gateway.next().await;
    assert_eq!(told.raw(&["params", "requestId"]), "1");
    told.accept();
    let last = gateway.next().await;
    assert_eq!(last.method, "DELETE");
    last.accept();
    call.given_up().await;
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up_but_itself() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    for number in 0..100 {
        bridge.ask_modern(&number.to_string(), "tools/call", r#""name":"echo""#).await;
    }
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(4 << 20));
    for _ in 0..100 {
        gateway.next().await.result(&large);
    }
    // It reads no more than it can pass on.
    bridge.ask_modern("\"last\"", "tools/call", r#""name":"echo""#).await;
    gateway.next().await.result("{}");
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_is_ready_twice_has_one_stream() {
    let gateway = Upstream::legacy().by_hand("GET").start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.hello(NEWEST, "{}").await;
    let _stream = gateway.next().await;
    for _ in 0..10 {
        bridge.tell("notifications/initialized", "{}").await;
    }
    bridge.ask("1", "tools/call", r#"{"name":"echo"}"#).await;
    let next = gateway.next().await;
    assert_eq!(next.method, "tools/call");
    assert_eq!(gateway.seen_of("notifications/initialized").len(), 11);
}

#[tokio::test]
async fn a_closed_standard_output_ends_it() {
    let gateway = Upstream::modern().start().await;
    let mut bridge = Piped::to(&gateway.url);
    bridge.ask_modern("1", "tools/call", r#""name":"echo""#).await;
    bridge.close_output();
    gateway.next().await.result("{}");
    assert_eq!(bridge.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_list_that_passes_by_tells_which_arguments_to_mirror() {
    let tools = |annotation: &str| {
        let schema = format!(
            r#"{{"type":"object","properties":{{"a":{{"type":"string"{annotation}}},"n":{{"type":"integer","x-mcp-header":"N"}}}}}}"#
        );
        format!(r#"{{"resultType":"complete","tools":[{{"name":"echo","inputSchema":{schema}}}]}}"#)
    };
    let gateway = Upstream::modern().by_hand("tools/list").start().await;
    let mut bridge = Piped::to(&gateway.url);
    for (annotation, expected) in [(r#","x-mcp-header":"Aa""#, Some("=?base64?w6Q=?=")), ("", None)]
    {
        bridge.ask_modern("1", "tools/list", "").await;
        gateway.next().await.result(&tools(annotation));
        bridge.next().await;
        let call = r#""name":"echo","arguments":{"a":"\u00e4","n":42.0}"#;
        bridge.ask_modern("2", "tools/call", call).await;
        let call = gateway.next().await;
        assert_eq!(call.header("mcp-param-aa"), expected);
        assert_eq!(call.header("mcp-param-n"), Some("42"));
        call.result("{}");
        bridge.next().await;
    }
}

#[tokio::test]
async fn arguments_are_mirrored_where_a_tool_wants_it_listed_or_not() {
    let tools = r#"[{"name":"echo","inputSchema":{"type":"object","properties":{"place":{"type":"string","x-mcp-header":"Place"}}}}]"#;
    let upstream = Upstream::modern().with_tools(tools).echoing().start().await;
    let gateway = Gateway::dev(&upstream.url).await;
    for has_listed in [true, false] {
        let mut bridge = Piped::to(&gateway.url);
        if has_listed {
            bridge.ask_modern("1", "tools/list", "").await;
            assert_eq!(bridge.next().await["result"]["tools"][0]["name"], "echo");
        }
        let known = upstream.calls().len();
        let call = r#""name":"echo","arguments":{"place":" here"}"#;
        bridge.ask_modern("2", "tools/call", call).await;
        let answer = bridge.next().await;
        assert_eq!(answer["result"]["structuredContent"], json!({"place": " here"}), "{answer}");
        assert_eq!(upstream.calls().len(), known + 1);
        // A tool that nobody knows is not asked for again and again.
        bridge.ask_modern("3", "tools/call", r#""name":"none""#).await;
        assert_eq!(error(&bridge.next().await).0, -32602);
    }
}
