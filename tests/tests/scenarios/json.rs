//! What arrives must be JSON that all parsers read alike, and JSON-RPC.

use bytes::Bytes;
use tests::{Era, Plan, Post};

use crate::scene::{Pair, Scene};

const NOT_JSON: (&str, &str) = ("400/-32700", "malformed");
const NOT_RPC: (&str, &str) = ("400/-32600", "malformed");

#[tokio::test]
async fn h034_a_member_that_comes_twice_is_refused_at_any_depth() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        let call = || client.tool("echo", r#"{"a":{"b":[{"c":1}]}}"#);
        for (old, new) in [
            (r#""method":"#, r#""method":"tools/list","method":"#),
            (r#""method":"#, r#""meth\u006fd":"tools/list","method":"#),
            (r#""id":"#, r#""id":7,"id":"#),
            (r#""name":"echo""#, r#""name":"echo","name":"other""#),
            (r#""name":"echo""#, r#""name":"echo","n\u0061me":"echo""#),
            (r#""c":1"#, r#""c":1,"c":1"#),
            (r#""c":1"#, r#""c":1,"\u0063":2"#),
            (r#""arguments""#, r#""arguments":{},"arguments""#),
        ] {
            scene.refuses(client, call().replacing(old, new), NOT_JSON).await;
        }
        scene.passes(client, call(), r#"{"a":{"b":[{"c":1}]}}"#).await;
    }
}

#[tokio::test]
async fn h035_a_lookalike_of_a_member_is_not_that_member() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for lookalike in ["Method", "METHOD", "method ", "me\u{2d}thod", "ｍethod"] {
            let post = client.tool("echo", "{}");
            let post = post.replacing(r#""method""#, &format!(r#""{lookalike}""#));
            scene.refuses(client, post, NOT_RPC).await;
        }
    }
}

#[tokio::test]
async fn h035_a_lookalike_beside_a_member_goes_nowhere() {
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        let post = client.tool("echo", r#"{"Name":"kept"}"#);
        let post = post
            .replacing(r#""name":"echo""#, r#""name":"echo","Name":"drop_db","NAME":"drop_db""#)
            .replacing(r#""method":"#, r#""METHOD":"tools/drop","Param\u017f":{},"method":"#);
        scene.passes(client, post, r#"{"Name":"kept"}"#).await;
        let seen = scene.upstream.calls().pop().unwrap();
        for gone in ["drop_db", "tools/drop", "aram\\u017f"] {
            assert!(!seen.body.contains(gone), "{row}: {}", seen.body);
        }
    }
}

#[tokio::test]
async fn h036_what_is_almost_json_is_refused() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for value in [
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x1",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "/*c*/1",
            "1//c\n",
            "undefined",
            "\"a\nb\"",
            "\"\\x41\"",
            "\"\\u12\"",
            "tru",
            "nul",
            "[1 2]",
            "",
        ] {
            let post = client.tool("echo", r#"{"a":"HERE"}"#).replacing("\"HERE\"", value);
            scene.refuses(client, post, NOT_JSON).await;
        }
        for whole in
            ["\u{feff}WHOLE", "WHOLE WHOLE", "WHOLE,", "WHOLE\0", "", " ", "{", "null WHOLE"]
        {
            let post = client.tool("echo", "{}");
            let body = String::from_utf8(post.body.to_vec()).unwrap();
            let post = post.with_body(whole.replace("WHOLE", &body));
            scene.refuses(client, post, NOT_JSON).await;
        }
    }
}

#[tokio::test]
async fn h037_what_is_too_deep_too_wide_or_too_long_is_refused() {
    let wide = |members: usize| {
        let all: Vec<String> = (0..members).map(|it| format!(r#""{it:x}":0"#)).collect();
        format!("{{{}}}", all.join(","))
    };
    let cases = [
        (format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), NOT_JSON),
        ("[".repeat(1_000_000), NOT_JSON),
        (r#"{"a":"#.repeat(100_000), NOT_JSON),
        (wide(200_000), NOT_JSON),
        (format!(r#"{{"{}":1}}"#, "k".repeat(5_000)), NOT_JSON),
    ];
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        for (arguments, expected) in &cases {
            scene.refuses(client, client.tool("echo", arguments), *expected).await;
        }
        scene
            .passes(client, client.tool("echo", r#"{"a":[[[[[[]]]]]]}"#), r#"{"a":[[[[[[]]]]]]}"#)
            .await;
        // What is larger than any request may be is refused before it has all come.
        for arguments in [wide(1_000_000), format!(r#"{{"{}":1}}"#, "k".repeat(10 << 20))] {
            let known = scene.gateway.records().len();
            let answer = client.send_plainly(client.tool("echo", &arguments)).await;
            assert_eq!(answer.status, 413, "{row}");
            assert_eq!(scene.gateway.records_since(known)[0].end(), "too_large", "{row}");
        }
    }
}

#[tokio::test]
async fn h039_what_is_not_unicode_is_refused() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for text in [
            &br"\ud800"[..],
            br"\udc00",
            br"\ud800\u0041",
            br"\udc00\ud800",
            b"\xff",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc3",
        ] {
            let post = client.tool("echo", r#"{"a":"HERE"}"#);
            scene.refuses(client, in_place(&post, text), NOT_JSON).await;
            let post = client.tool("echo", r#"{"HERE":1}"#);
            scene.refuses(client, in_place(&post, text), NOT_JSON).await;
        }
        // In a text it is a character like others; in a name it ends names for some.
        let post = client.tool("echo", r#"{"HERE":1}"#);
        scene.refuses(client, in_place(&post, br"\u0000"), NOT_JSON).await;
        scene.passes(client, client.tool("echo", r#"{"a":"\u0000"}"#), r#"{"a":"\u0000"}"#).await;
    }
}

#[tokio::test]
async fn h040_a_batch_is_refused() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for batch in ["[]", "[BODY]", "[BODY,BODY]", " [BODY]", "[1]"] {
            let post = client.tool("echo", "{}");
            let body = String::from_utf8(post.body.to_vec()).unwrap();
            let post = post.with_body(batch.replace("BODY", &body));
            scene.refuses(client, post, NOT_RPC).await;
        }
    }
}

#[tokio::test]
async fn h041_an_id_is_a_string_or_an_integer() {
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        let with_id = |id: &str| {
            let post = client.tool("echo", "{}");
            let old = format!(r#""id":{}"#, post.id);
            post.replacing(&old, &format!(r#""id":{id}"#))
        };
        let long = format!("\"{}\"", "i".repeat(10 << 10));
        for id in ["null", "1.5", "1e2", "{}", "[]", "true", &long] {
            scene.refuses(client, with_id(id), NOT_RPC).await;
        }
        for id in ["0", "-1", "9007199254740993", "\"1\"", "\"\"", r#""a\"\u0041\n""#, "\"é\""] {
            let answer = client.send(with_id(id)).await;
            assert_eq!(answer.verdict(), "200", "{row} {id}");
            let echoed = format!(r#""id":{id},"#);
            assert!(answer.text().contains(&echoed), "{row} {id}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn h041_two_calls_of_one_id_get_their_own_answers() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let post = |text: &str| {
            let post = client.tool("echo", &format!(r#"{{"nonce":"{text}"}}"#));
            let old = format!(r#""id":{}"#, post.id);
            post.replacing(&old, r#""id":77"#)
        };
        let both = futures::future::join(client.send(post("one")), client.send(post("two")));
        let serve = async {
            let (first, second) = (scene.upstream.next().await, scene.upstream.next().await);
            assert_ne!(first.id(), second.id(), "the gateway's ids tell them apart");
            for call in [second, first] {
                let nonce = call.raw(&["params", "arguments", "nonce"]);
                call.result(&format!(r#"{{"content":[],"structuredContent":{{"n":{nonce}}}}}"#));
            }
        };
        let ((one, two), ()) = futures::future::join(both, serve).await;
        for (answer, nonce) in [(one, "one"), (two, "two")] {
            assert_eq!(answer.json()["id"], 77, "{row}");
            assert_eq!(answer.json()["result"]["structuredContent"]["n"], nonce, "{row}");
        }
    }
}

#[tokio::test]
async fn h042_an_answer_that_nobody_has_asked_for_goes_nowhere() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for answer in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#,
        ] {
            if client.era == Era::Modern {
                let expected = ("400/-32600", "header_mismatch");
                scene.refuses(client, client.post(answer), expected).await;
                continue;
            }
            let seen = scene.upstream.seen().len();
            assert_eq!(client.send(client.post(answer)).await.verdict(), "202");
            let sessionless = client.post(answer).without("mcp-session-id");
            let sessionless = sessionless.without("mcp-protocol-version");
            assert_eq!(client.send(sessionless).await.verdict(), "400/-32600");
            assert_eq!(scene.upstream.seen().len(), seen);
        }
    }
}

#[tokio::test]
async fn h043_an_unknown_method_is_answered_in_the_terms_of_the_era() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        let unknown = "unknown_method";
        let refused = match client.era {
            Era::Modern => [
                "initialize",
                "ping",
                "logging/setLevel",
                "resources/subscribe",
                "resources/unsubscribe",
            ]
            .map(|it| (it, ("404/-32601", unknown)))
            .to_vec(),
            // `server/discover` is a sign of the modern era, whose other signs are then missing.
            Era::Legacy => vec![
                ("server/discover", ("400/-32602", "header_mismatch")),
                ("subscriptions/listen", ("200/-32601", unknown)),
            ],
        };
        for (method, expected) in refused {
            scene.refuses(client, client.request(method, ""), expected).await;
        }
    }
}

#[tokio::test]
async fn h043_on_a_single_server_url_the_server_says_what_it_does_not_know() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let asking = client.send(client.request("x-vendor/dance", r#""step":1.0"#));
        let serve = async {
            let call = scene.upstream.next().await;
            assert_eq!(call.method, "x-vendor/dance");
            assert_eq!(call.raw(&["params", "step"]), "1.0");
            call.error(-32601, "no such method");
        };
        let (answer, ()) = futures::future::join(asking, serve).await;
        let expected = if client.era == Era::Modern { "404/-32601" } else { "200/-32601" };
        assert_eq!(answer.verdict(), expected, "{row}");
    }
}

#[tokio::test]
async fn h043_on_an_aggregated_url_an_unknown_method_goes_nowhere() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        let client = client.at("/mcp/dev/dev").await;
        client.warm_up().await;
        let expected = if client.era == Era::Modern { "404/-32601" } else { "200/-32601" };
        let post = client.request("x-vendor/dance", "");
        scene.refuses(&client, post, (expected, "unknown_method")).await;
    }
}

#[tokio::test]
async fn h044_h075_a_body_that_is_not_declared_to_be_json_is_refused() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for media in [
            "text/plain",
            "application/json; charset=utf-16",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "application/json-patch+json",
            "application/json, text/plain",
            "",
        ] {
            let post = client.tool("echo", "{}").with("content-type", media);
            scene.refuses(client, post, ("415/-32600", "media_type")).await;
        }
        let none = client.tool("echo", "{}").without("content-type");
        scene.refuses(client, none, ("415/-32600", "media_type")).await;
        let packed = client.tool("echo", "{}").with("content-encoding", "gzip");
        scene.refuses(client, packed, ("415/-32600", "media_type")).await;
        let spelled =
            client.tool("echo", "{}").with("content-type", "Application/JSON;charset=UTF-8");
        scene.passes(client, spelled, "{}").await;
    }
}

#[tokio::test]
async fn h045_a_client_takes_both_kinds_of_answer() {
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        for accept in ["application/json", "text/event-stream", "text/html, application/json", ""] {
            let post = client.tool("echo", "{}").with("accept", accept);
            scene.refuses(client, post, ("406/-32600", "not_acceptable")).await;
        }
        scene.passes(client, client.tool("echo", "{}").with("accept", "*/*"), "{}").await;
    }
}

#[tokio::test]
async fn h047_many_names_take_bounded_time() {
    let members: Vec<String> = (0..90_000).map(|it| format!(r#""key-{it}":0"#)).collect();
    let arguments = format!("{{{}}}", members.join(","));
    for Pair { scene, client, .. } in &Scene::pairs(Plan::echoing).await {
        scene.passes(client, client.tool("echo", &arguments), &arguments).await;
    }
}

#[tokio::test]
async fn h030_a_small_request_takes_little_memory() {
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        let before = scene.gateway.peak_memory();
        for body in [
            "[".repeat(10 << 10),
            r#"{"a":"#.repeat(2_000),
            format!("[{}", "0,".repeat(5_000)),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(10_000)),
        ] {
            let answer = client.send(client.post(body)).await;
            assert_eq!(answer.status, 400);
        }
        let grown = scene.gateway.grown_since(before);
        eprintln!("{row}: 4 hostile requests of 10 KiB: {} KiB more at the peak", grown >> 10);
        assert!(grown < 8 << 20, "{grown} bytes");
    }
}

fn in_place(post: &Post, text: &[u8]) -> Post {
    let body = post.body.to_vec();
    let at = body.windows(4).position(|it| it == b"HERE").unwrap();
    let (before, after) = (&body[..at], &body[at + 4..]);
    let body: Bytes = [before, text, after].concat().into();
    post.clone().with_body(body)
}
