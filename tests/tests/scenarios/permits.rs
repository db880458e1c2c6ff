//! What is asked for is what is permitted, however it is written.

use futures::future::join;
use http::Method;
use serde_json::json;
use tests::documents::http;
use tests::{Client, Documents, Era, Site, Upstream};

use crate::scene::{Pair, Scene};

#[tokio::test]
async fn h035_a_completion_is_for_what_its_type_says_alone() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let complete = |reference: &str| {
            let argument = r#""argument":{"name":"a","value":"b"}"#;
            client.request("completion/complete", &format!(r#""ref":{reference},{argument}"#))
        };
        for reference in [
            r#"{"type":"ref/resource","uri":"secret://x","name":"hello"}"#,
            r#"{"type":"ref/prompt","name":"hello","uri":"secret://x"}"#,
            r#"{"type":"ref/prompt","name":"hello","uri":null}"#,
            r#"{"type":"ref/resource","name":"hello"}"#,
            r#"{"type":"ref/prompt","uri":"secret://x"}"#,
            r#"{"type":"ref/tool","name":"hello"}"#,
            r#"{"type":1,"name":"hello"}"#,
            r#"{"name":"hello"}"#,
        ] {
            scene.refuses(client, complete(reference), ("200/-32602", "bad_params")).await;
        }
        for (reference, left) in [
            (r#"{"type":"ref/prompt","name":"hello"}"#, r#"{"type":"ref/prompt","name":"hello"}"#),
            (
                r#"{"type":"ref/prompt","name":"hello","Name":"other","URI":"secret://x"}"#,
                r#"{"type":"ref/prompt","name":"hello"}"#,
            ),
            (
                r#"{"type":"ref/resource","uri":"a://{x}"}"#,
                r#"{"type":"ref/resource","uri":"a://{x}"}"#,
            ),
        ] {
            let (answer, ()) = join(client.send(complete(reference)), async {
                let call = scene.upstream.next().await;
                assert_eq!(call.raw(&["params", "ref"]), left, "{row}");
                call.result(r#"{"completion":{"values":[]}}"#);
            })
            .await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_method_that_looks_like_one_of_ours_goes_nowhere() {
    for Pair { scene, client, row, .. } in &Scene::pairs(|it| it).await {
        let unknown = match client.era {
            Era::Modern => ("404/-32601", "unknown_method"),
            Era::Legacy => ("200/-32601", "unknown_method"),
        };
        for method in ["Tools/Call", "TOOLS/LIST", "tools/call ", " tools/call", "toolſ/call"] {
            let post = client.request("x", r#""name":"echo","arguments":{}"#);
            let post = post.replacing(r#""x""#, &format!("{method:?}"));
            match client.era {
                // Its header cannot say the others.
                Era::Modern if method.contains(|it: char| it == ' ' || !it.is_ascii()) => {}
                _ => scene.refuses(client, post.with("mcp-method", method), unknown).await,
            }
        }
        for method in ["roots/list", "sampling/createMessage", "notifications/message"] {
            scene.refuses(client, client.request(method, ""), unknown).await;
        }
        let (answer, ()) = join(client.send(client.request("vendor/do", "")), async {
            scene.upstream.next().await.result("{}");
        })
        .await;
        assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_method_that_nobody_here_knows_goes_only_where_everything_is_exposed() {
    let plan = Upstream::of_both_eras().on("vendor/do", |call| async move { call.result("{}") });
    let server = plan.on("tasks/list", |call| async move { call.result("{}") }).start().await;
    let site = Site::new(None);
    let served = site.start_with(&documents(&server.url)).await;
    let token = served.token("bot", "t").await;
    let pass = async |gateway: &str, method: &str| {
        let mut passed = Vec::new();
        for client in
            Client::with_token(&served, &format!("/mcp/default/{gateway}/mail"), &token).await
        {
            client.warm_up().await;
            let seen = server.seen_of(method).len();
            let answer = client.send(client.request(method, "")).await;
            passed.push(seen < server.seen_of(method).len());
            assert_eq!(answer.code().is_none(), passed[passed.len() - 1], "{}", answer.text());
        }
        passed
    };
    assert_eq!(pass("open", "vendor/do").await, [true, true]);
    assert_eq!(pass("narrow", "vendor/do").await, [false, false], "not all tools are exposed");
    assert_eq!(pass("open", "tasks/list").await, [false, false], "tasks of all its callers");
    let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
    served.must(Method::POST, "cutoffs", Some(off)).await;
    assert_eq!(pass("open", "vendor/do").await, [false, false], "a tool of the server is off");
}

fn documents(server: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann"])
        .server("mail", &http(server))
        .gateway("open", "dev", &["server: mail"])
        .gateway("narrow", "dev", &["server: mail, tools: { expose: named, names: [echo] }"])
        .app("bot", "ann", &["gateway: open", "gateway: narrow"])
}
