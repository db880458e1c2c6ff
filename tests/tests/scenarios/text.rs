//! What passes arrives as it was written.

use tests::{Era, Gateway, Plan};

use crate::scene::{Pair, Scene, each_era};

/// Forms that a parser in between would change: numbers, order, escapes, blanks, unknown members.
const ODD: &[&str] = &[
    "1e400",
    "-1e400",
    "1.0",
    "1.10",
    "1E+2",
    "-0",
    "-0.0",
    "1152921504606846976",
    "9007199254740993",
    "0.1e-400",
    r#"{"z":1,"a":2,"m":{"y":[],"b":null}}"#,
    r#"{ "a" : [ 1 , 2 ] }"#,
    r#""\u00e9\u0041\/\"é""#,
    r#""\ud83d\ude00😀""#,
    r#"{"__proto__":{"x":1},"constructor":{"prototype":{}},"$ref":"http://169.254.169.254/"}"#,
    r#"{"":0," ":1,"a.b":2}"#,
    r#""<script>alert(1)</script>\u2028""#,
];

#[tokio::test]
async fn h038_h046_arguments_and_results_keep_every_byte() {
    let digits = "1234567890".repeat(100);
    let long = [digits.as_str(), &format!("0.{digits}"), &format!("-{digits}e{digits}")];
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        for odd in ODD.iter().chain(&long) {
            let arguments = format!(r#"{{"odd":{odd}}}"#);
            scene.passes(client, client.tool("echo", &arguments), &arguments).await;
            let seen = scene.upstream.calls().pop().unwrap();
            assert_eq!(seen.raw(&["params", "arguments"]), arguments, "{row}");
        }
    }
}

#[tokio::test]
async fn what_nobody_knows_is_passed_on_in_both_directions() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let members =
            r#""x-first":{"n":1.0},"name":"echo","arguments":{"b":1,"a":2},"x-last":[1e400]"#;
        let meta = r#""com.example/trace":{"depth":-0},"traceparent":"00-0-0-00""#;
        let asking = client.send(client.request_with_meta("tools/call", members, meta));
        let result = r#"{"content":[{"type":"text","text":"a","x-content":1.0}],"x-result":{"z":0,"a":1e400},"_meta":{"com.example/back":-0}}"#;
        let serve = async {
            let call = scene.upstream.next().await;
            assert!(call.body.contains(members), "{row}: {}", call.body);
            assert!(call.body.contains(meta), "{row}: {}", call.body);
            call.result(result);
        };
        let (answer, ()) = futures::future::join(asking, serve).await;
        let inner = result.strip_prefix('{').unwrap().strip_suffix("}}").unwrap();
        assert!(answer.text().contains(inner), "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_list_is_passed_on_as_its_server_wrote_it() {
    let tools = r#"[{"x-vendor":1.0,"inputSchema":{"type":"object","properties":{"n":{"default":1e400,"maximum":-0}}},"name":"odd","description":"\u00e9","annotations":{"readOnlyHint":true,"x-hint":[ ]}},{"name":"second","inputSchema":{}}]"#;
    let inner = tools.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    for Pair { client, row, .. } in &Scene::pairs(|it| it.with_tools(tools)).await {
        let answer = client.send(client.request("tools/list", "")).await;
        assert!(answer.text().contains(inner), "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_error_is_passed_on_with_what_is_in_it() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let asking = client.send(client.tool("echo", "{}"));
        let error = r#"{"code":-31999,"data":{"n":1e400},"x":0.10,"message":"caf\u00e9"}"#;
        let serve = async {
            let call = scene.upstream.next().await;
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.id());
            call.respond(200, "application/json", body);
        };
        let (answer, ()) = futures::future::join(asking, serve).await;
        assert_eq!(answer.verdict(), "200/-31999", "{row}");
        assert!(answer.text().contains(error), "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_id_comes_back_with_its_type_and_spelling_and_stays_with_the_gateway() {
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        for id in ["1", "\"1\"", "-7", "\"\\u0031\"", "123456789012345678901234567890"] {
            let post = client.tool("echo", "{}");
            let own = format!(r#""id":{}"#, post.id);
            let answer = client.send(post.replacing(&own, &format!(r#""id":{id}"#))).await;
            let text = answer.text();
            assert!(text.contains(&format!(r#""id":{id},"#)), "{row} {id}: {text}");
            let seen = scene.upstream.calls().pop().unwrap();
            assert!(seen.raw(&["id"]).bytes().all(|it| it.is_ascii_digit()), "{row} {id}");
        }
    }
}

#[tokio::test]
async fn h048_two_gateways_in_a_row_pass_on_what_one_does() {
    for (server, plan) in each_era() {
        let scene = Scene::of(plan.echoing()).await;
        let outer = Gateway::dev(&scene.gateway.url).await;
        for client in tests::Client::of_each_era(&outer).await {
            for odd in ODD {
                let arguments = format!(r#"{{"odd":{odd}}}"#);
                let answer = client.send(client.tool("echo", &arguments)).await;
                let echo = format!(r#""structuredContent":{arguments}"#);
                assert!(
                    answer.text().contains(&echo),
                    "{client}, a {server:?} server: {}",
                    answer.text()
                );
                let seen = scene.upstream.calls().pop().unwrap();
                assert_eq!(
                    seen.raw(&["params", "arguments"]),
                    arguments,
                    "{client}, a {server:?} server"
                );
            }
        }
    }
}

#[tokio::test]
async fn h015_nothing_of_a_clients_headers_goes_upstream_but_what_mcp_knows() {
    for Pair { scene, client, row, .. } in &Scene::pairs(Plan::echoing).await {
        let mut post = client.tool("echo", "{}");
        let foreign = [
            "x-gw-principal",
            "x-forwarded-user",
            "x-forwarded-for",
            "forwarded",
            "mcp-init-host",
            "router-key",
            "cookie",
            "x-real-ip",
            "via",
            "te",
            "expect-ct",
            "mcp-param-secret",
        ];
        for name in foreign {
            post = post.and(name, "planted");
        }
        scene.passes(client, post, "{}").await;
        let seen = scene.upstream.calls().pop().unwrap();
        for (name, value) in &seen.headers {
            // A header for a parameter that nobody declares is passed on, and means nothing.
            let is_parameter = client.era == Era::Modern && name == "mcp-param-secret";
            assert!(value != "planted" || is_parameter, "{row}: {name}");
        }
    }
}
