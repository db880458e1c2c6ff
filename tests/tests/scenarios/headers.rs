//! The headers of the modern era must say what the body says, and the body decides.

use serde_json::Value;
use tests::raw::Raw;
use tests::{Client, Era, Plan, Upstream};

use crate::scene::{Pair, Scene};

const MISMATCH: (&str, &str) = ("400/-32020", "header_mismatch");

#[tokio::test]
async fn h049_a_name_that_differs_from_the_body_is_refused() {
    for Pair { scene, client: modern, .. } in &Scene::pairs_of(Era::Modern, Plan::echoing).await {
        for name in ["safe_tool", "ECHO", "echo2", "ech", ""] {
            let post = modern.tool("echo", "{}").with("mcp-name", name);
            scene.refuses(modern, post, MISMATCH).await;
        }
        scene.refuses(modern, modern.tool("echo", "{}").without("mcp-name"), MISMATCH).await;
        let two = modern.tool("echo", "{}").and("mcp-name", "echo");
        scene.refuses(modern, two, MISMATCH).await;
        scene.passes(modern, modern.tool("echo", "{}").with("mcp-name", "  echo\t"), "{}").await;
    }
}

#[tokio::test]
async fn h050_a_method_that_is_missing_doubled_or_different_is_refused() {
    for Pair { scene, client: modern, .. } in &Scene::pairs_of(Era::Modern, Plan::echoing).await {
        let call = || modern.tool("echo", "{}");
        for post in [
            call().without("mcp-method"),
            call().and("mcp-method", "tools/call"),
            call().and("mcp-method", "tools/list"),
            call().with("mcp-method", "Tools/Call"),
            call().with("mcp-method", "tools/list"),
            call().with("mcp-method", "tools/call, tools/call"),
            call().with("mcp-method", b"tools/call\xff"),
        ] {
            scene.refuses(modern, post, MISMATCH).await;
        }
        scene.passes(modern, call(), "{}").await;
    }
}

#[tokio::test]
async fn h051_h052_an_encoded_name_is_decoded_before_it_is_compared() {
    let tools = r#"[{"name":"echo","inputSchema":{}},{"name":"caf\u00e9","inputSchema":{}},{"name":"=?base64?ZWNobw==?=","inputSchema":{}}]"#;
    for Pair { scene, client: modern, server, .. } in
        &Scene::pairs_of(Era::Modern, |it| it.with_tools(tools).echoing()).await
    {
        let sentinel = "=?base64?ZWNobw==?=";
        for (name, header, is_right) in [
            ("echo", "=?base64?ZWNobw==?=", true),
            ("echo", "=?base64?b3RoZXI=?=", false),
            ("echo", "=?base64?ZWNobw?=", false),
            ("echo", "=?base64?ZWNo\u{7f}bw==?=", false),
            ("echo", "=?base64?%%%?=", false),
            ("echo", "=?base64?/w==?=", false),
            ("echo", "=?BASE64?ZWNobw==?=", false),
            ("echo", "=?base64?ZWNobw==", false),
            ("caf\u{e9}", "=?base64?Y2Fmw6k=?=", true),
            ("caf\u{e9}", "caf\u{e9}", false),
            // A name that looks encoded is not, and so must be.
            (sentinel, sentinel, false),
            (sentinel, "=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?=", true),
        ] {
            let post = modern.tool(name, "{}").with("mcp-name", header);
            if is_right {
                scene.passes(modern, post, "{}").await;
            } else if header.contains('\u{7f}') {
                // No such byte may stand in a header at all.
                let mut raw = Raw::connect(scene.gateway.address).await;
                raw.send(post.bytes(&scene.gateway.host(), &scene.gateway.path)).await;
                assert_eq!(raw.answer().await.unwrap().status, 400);
            } else {
                scene.refuses(modern, post, MISMATCH).await;
            }
        }
        let seen = scene.upstream.calls();
        let names: Vec<_> = seen.iter().filter_map(|it| it.header("mcp-name")).collect();
        let encoded = "=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?=";
        match server {
            Era::Modern => assert_eq!(names, ["echo", "=?base64?Y2Fmw6k=?=", encoded]),
            Era::Legacy => assert_eq!(names, [""; 0]),
        }
    }
}

#[tokio::test]
async fn h053_the_body_decides_and_not_what_mirrors_it() {
    let tools = r#"[{"name":"safe","inputSchema":{}},{"name":"drop_db","inputSchema":{}}]"#;
    for (_, scene, [modern, legacy]) in
        &Scene::of_each_era(|it| it.with_tools(tools).echoing()).await
    {
        let versionless = modern.tool("drop_db", "{}").without("mcp-protocol-version");
        scene.refuses(modern, versionless, MISMATCH).await;
        let old = modern.tool("drop_db", "{}").with("mcp-protocol-version", "2025-11-25");
        scene.refuses(modern, old, MISMATCH).await;
        // The legacy era has no such headers, so they say nothing.
        let call = legacy.tool("drop_db", r#"{"n":1}"#).with("mcp-name", "safe");
        scene.passes(legacy, call.with("mcp-method", "tools/list"), r#"{"n":1}"#).await;
        let seen = scene.upstream.calls().pop().unwrap();
        assert_eq!(seen.raw(&["params", "name"]), "\"drop_db\"");
        let recorded = scene.gateway.records();
        let intent = recorded.iter().rfind(|it| it.kind == "intent").unwrap();
        assert_eq!(intent.text("name"), Some("drop_db"));
    }
}

#[tokio::test]
async fn h054_two_versions_in_one_request_are_refused() {
    for Pair { scene, client: modern, .. } in &Scene::pairs_of(Era::Modern, Plan::echoing).await {
        for (header, body) in [("2026-07-28", "2025-11-25"), ("2099-01-01", "2026-07-28")] {
            let post = modern.tool("echo", "{}").with("mcp-protocol-version", header);
            let post = post.replacing("2026-07-28", body);
            scene.refuses(modern, post, MISMATCH).await;
        }
        let two = modern.tool("echo", "{}").and("mcp-protocol-version", "2026-07-28");
        scene.refuses(modern, two, MISMATCH).await;
    }
}

#[tokio::test]
async fn h055_an_unsupported_version_is_told_which_ones_are() {
    for (_, scene, [modern, legacy]) in &Scene::of_each_era(Plan::echoing).await {
        for version in ["2099-01-01", "2026-07-29"] {
            let post = modern.tool("echo", "{}").with("mcp-protocol-version", version);
            let post = post.replacing("2026-07-28", version);
            let answer = modern.send(post.clone()).await;
            let data = &answer.json()["error"]["data"];
            assert_eq!(data["requested"], version);
            assert_eq!(data["supported"], serde_json::json!(["2026-07-28"]));
            scene.refuses(modern, post, ("400/-32022", "header_mismatch")).await;
        }
        for version in ["1999-01-01", "2025-06-19", "latest"] {
            let post = legacy.tool("echo", "{}").with("mcp-protocol-version", version);
            scene.refuses(legacy, post, ("400/-32600", "revision")).await;
        }
    }
}

#[tokio::test]
async fn what_every_modern_request_must_say_of_itself_is_asked_for() {
    for Pair { scene, client: modern, .. } in &Scene::pairs_of(Era::Modern, Plan::echoing).await {
        let post = || modern.tool("echo", "{}");
        let incomplete = ("400/-32602", "header_mismatch");
        for post in [
            post().replacing("io.modelcontextprotocol/clientCapabilities", "x"),
            post().replacing("io.modelcontextprotocol/protocolVersion", "x"),
            post().replacing("_meta", "_met"),
            post().replacing(
                r#""io.modelcontextprotocol/clientCapabilities":{}"#,
                r#""io.modelcontextprotocol/clientCapabilities":[]"#,
            ),
        ] {
            scene.refuses(modern, post, incomplete).await;
        }
        scene
            .passes(modern, post().replacing("io.modelcontextprotocol/clientInfo", "x"), "{}")
            .await;
    }
}

const MIRRORED: &str = r#"[{"name":"echo","inputSchema":{"type":"object","properties":{
    "tenant":{"type":"string","x-mcp-header":"Tenant"},
    "n":{"type":"integer","x-mcp-header":"N"},
    "on":{"type":"boolean","x-mcp-header":"On"}}}}]"#;

#[tokio::test]
async fn h056_a_mirrored_argument_must_agree_with_its_header() {
    for Pair { scene, client: modern, .. } in
        &Scene::pairs_of(Era::Modern, |it| it.with_tools(MIRRORED).echoing()).await
    {
        for (arguments, header, value, is_right) in [
            (r#"{"tenant":"a"}"#, "mcp-param-tenant", "a", true),
            (r#"{"tenant":"a"}"#, "mcp-param-tenant", "b", false),
            (r#"{"tenant":"a"}"#, "mcp-param-tenant", "A", false),
            (r#"{"tenant":"a"}"#, "mcp-param-other", "x", false),
            (r#"{"tenant":"\u00e9"}"#, "mcp-param-tenant", "=?base64?w6k=?=", true),
            (r#"{"tenant":"\u00e9"}"#, "mcp-param-tenant", "\u{e9}", false),
            (r#"{"tenant":null}"#, "mcp-param-tenant", "null", false),
            (r#"{"tenant":null}"#, "mcp-param-unknown", "x", true),
            ("{}", "mcp-param-tenant", "", false),
            (r#"{"n":42}"#, "mcp-param-n", "42", true),
            (r#"{"n":42}"#, "mcp-param-n", "42.0", true),
            (r#"{"n":42.0}"#, "mcp-param-n", "42", true),
            (r#"{"n":42}"#, "mcp-param-n", "43", false),
            (r#"{"n":42}"#, "mcp-param-n", "0x2a", false),
            (r#"{"on":true}"#, "mcp-param-on", "true", true),
            (r#"{"on":true}"#, "mcp-param-on", "True", false),
        ] {
            let post = modern.tool("echo", arguments).with(header, value);
            if is_right {
                scene.passes(modern, post, arguments).await;
            } else {
                scene.refuses(modern, post, MISMATCH).await;
            }
        }
        let two = modern.tool("echo", r#"{"n":1}"#).and("mcp-param-n", "1").and("mcp-param-n", "1");
        scene.refuses(modern, two, MISMATCH).await;
    }
}

#[tokio::test]
async fn h056_h112_a_header_cannot_be_ended_by_what_is_in_it() {
    for (server, scene, [modern, legacy]) in
        &Scene::of_each_era(|it| it.with_tools(MIRRORED).echoing()).await
    {
        let seen = scene.upstream.seen().len();
        for value in ["a\nx-planted: 1", "a\rx-planted: 1", "a\r\n x-planted: 1", "a\0b"] {
            let post = modern.tool("echo", r#"{"tenant":"a"}"#).with("mcp-param-tenant", value);
            let mut raw = Raw::connect(scene.gateway.address).await;
            raw.send(post.bytes(&scene.gateway.host(), &scene.gateway.path)).await;
            assert_eq!(raw.answer().await.unwrap().status, 400, "{value:?}");
        }
        assert_eq!(scene.upstream.seen().len(), seen);
        // What a legacy client sends as an argument becomes a header only where the server is modern.
        let arguments = r#"{"tenant":"a\r\nx-planted: 1"}"#;
        scene.passes(legacy, legacy.tool("echo", arguments), arguments).await;
        let encoded = "=?base64?YQ0KeC1wbGFudGVkOiAx?=";
        let post = modern.tool("echo", arguments).with("mcp-param-tenant", encoded);
        scene.passes(modern, post, arguments).await;
        for seen in scene.upstream.calls() {
            assert_eq!(seen.header("x-planted"), None);
        }
        for seen in scene.upstream.calls() {
            let expected = Some(encoded).filter(|_| *server == Era::Modern);
            assert_eq!(seen.header("mcp-param-tenant"), expected, "a {server:?} server");
        }
    }
}

#[tokio::test]
async fn a_legacy_clients_arguments_are_mirrored_for_a_modern_server() {
    let scene = Scene::of(Upstream::modern().with_tools(MIRRORED).echoing()).await;
    let legacy = Client::legacy(&scene.gateway).await;
    let arguments = r#"{"tenant":"caf\u00e9\r\n","n":42,"on":false}"#;
    scene.passes(&legacy, legacy.tool("echo", arguments), arguments).await;
    let seen = scene.upstream.calls().pop().unwrap();
    let expected = [
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-param-tenant", "=?base64?Y2Fmw6kNCg==?="),
        ("mcp-param-n", "42"),
        ("mcp-param-on", "false"),
    ];
    for (name, value) in expected {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("mcp-session-id"), None);
}

#[tokio::test]
async fn h057_a_tool_with_an_invalid_annotation_is_hidden_and_uncallable() {
    let property = |schema: &str| format!(r#"{{"type":"object","properties":{{"p":{schema}}}}}"#);
    let schemas = [
        property(r#"{"type":"number","x-mcp-header":"P"}"#),
        property(r#"{"type":"object","x-mcp-header":"P"}"#),
        property(r#"{"type":"string","x-mcp-header":"a b"}"#),
        property(r#"{"type":"string","x-mcp-header":""}"#),
        property(r#"{"type":"string","x-mcp-header":"P\r\nx"}"#),
        property(r#"{"type":"string","x-mcp-header":1}"#),
        property(r#"{"type":"array","items":{"type":"string","x-mcp-header":"P"}}"#),
        property(r#"{"anyOf":[{"type":"string","x-mcp-header":"P"}]}"#),
        r#"{"type":"object","$defs":{"d":{"type":"string","x-mcp-header":"P"}}}"#.to_owned(),
        r#"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"P"},"b":{"type":"string","x-mcp-header":"p"}}}"#.to_owned(),
    ];
    let mut tools: Vec<String> = schemas
        .iter()
        .enumerate()
        .map(|(index, schema)| format!(r#"{{"name":"bad{index}","inputSchema":{schema}}}"#))
        .collect();
    tools.push(r#"{"name":"good","inputSchema":{"type":"object"}}"#.to_owned());
    let tools = format!("[{}]", tools.join(","));
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it.with_tools(&tools).echoing()).await
    {
        let listed = client.send(client.request("tools/list", "")).await.json();
        let listed = listed["result"]["tools"].as_array().unwrap();
        let names: Vec<_> = listed.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["good"], "{row}");
        for index in 0..schemas.len() {
            let post = client.tool(&format!("bad{index}"), "{}");
            scene.refuses(client, post, ("200/-32602", "not_permitted")).await;
        }
        scene.passes(client, client.tool("good", "{}"), "{}").await;
    }
}

#[tokio::test]
async fn h058_h059_a_list_is_private_and_fresh_for_a_bounded_time() {
    for (ttl, most) in [
        ("60000", 30_000),
        ("5000", 5_000),
        ("-1", 30_000),
        ("1000000000000000000", 30_000),
        ("1e18", 30_000),
        ("\"60000\"", 30_000),
        ("null", 30_000),
    ] {
        let hints = format!(r#""resultType":"complete","ttlMs":{ttl},"cacheScope":"public""#);
        let plan = |it: Plan| {
            let list = format!(r#"{{{hints},"tools":[]}}"#);
            it.on("tools/list", move |call| {
                let list = list.clone();
                async move { call.result(&list) }
            })
        };
        for Pair { client, row, server, .. } in &Scene::pairs(plan).await {
            let methods: &[&str] = match client.era {
                Era::Modern => &["tools/list", "server/discover"],
                Era::Legacy => &["tools/list"],
            };
            for method in methods {
                let answer = client.send(client.request(method, "")).await.json();
                let result = &answer["result"];
                if client.era == Era::Legacy && *server == Era::Modern {
                    let hints = (&result["cacheScope"], &result["ttlMs"]);
                    assert_eq!(hints, (&Value::Null, &Value::Null), "{row} {ttl}: {answer}");
                    continue;
                }
                assert_ne!(result["cacheScope"], "public", "{row} {ttl}: {answer}");
                if client.era == Era::Modern {
                    let most = if *server == Era::Modern { most } else { 0 };
                    assert_eq!(result["cacheScope"], "private", "{row} {ttl}: {answer}");
                    let fresh = result["ttlMs"].as_u64().unwrap();
                    assert!(fresh <= most, "{row} {ttl}: {answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_server_wants_to_ask_reaches_a_modern_client_byte_for_byte() {
    let scene = Scene::of(Upstream::modern()).await;
    let modern = Client::modern(&scene.gateway);
    modern.warm_up().await;
    assert_eq!(modern.era, Era::Modern);
    let asking = modern.send(modern.tool("echo", "{}"));
    let question = r#"{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"opaque\u002b\/=="}"#;
    let serve = async { scene.upstream.next().await.result(question) };
    let (answer, ()) = futures::future::join(asking, serve).await;
    assert!(answer.text().contains(question), "{}", answer.text());
    let back = r#""inputResponses":{"k":{"action":"accept","content":{"n":1.0}}},"requestState":"opaque\u002b\/==""#;
    let members = format!(r#""name":"echo","arguments":{{}},{back}"#);
    let asking = modern.send(modern.request("tools/call", &members));
    let serve = async {
        let call = scene.upstream.next().await;
        assert!(call.body.contains(back), "{}", call.body);
        call.result(r#"{"resultType":"complete","content":[]}"#);
    };
    let (answer, ()) = futures::future::join(asking, serve).await;
    assert_eq!(answer.verdict(), "200");
}
