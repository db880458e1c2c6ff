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
            let refused = (!passed[passed.len() - 1]).then_some(-32601);
            assert_eq!(answer.code(), refused, "{}", answer.text());
        }
        passed
    };
    assert_eq!(pass("open", "vendor/do").await, [true, true]);
    assert_eq!(pass("narrow", "vendor/do").await, [false, false], "not all tools are exposed");
    assert_eq!(pass("open", "tasks/list").await, [false, false], "tasks of all its callers");
    served.must(Method::POST, "policies", Some(policy())).await;
    assert_eq!(pass("open", "vendor/do").await, [false, false], "policies are asked about tools");
    served.must(Method::DELETE, "policies/other", None).await;
    assert_eq!(pass("open", "vendor/do").await, [true, true]);
    let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
    served.must(Method::POST, "cutoffs", Some(off)).await;
    assert_eq!(pass("open", "vendor/do").await, [false, false], "a tool of the server is off");
}

/// What nobody here can read may reach anything of its server, so it is held to all of it to its end.
#[tokio::test]
async fn a_method_that_nobody_here_knows_ends_when_something_of_its_server_is_taken_away() {
    let off = json!({"kind": "tool", "name": "mail/echo", "reason": "a drill"});
    let narrow = json!({"tools": {"expose": "named", "names": ["echo"]}});
    let rows = [
        ("a tool is off", Method::POST, "cutoffs", off),
        ("a policy is made", Method::POST, "policies", policy()),
        ("a review begins", Method::PATCH, "servers/mail", json!({"review": "on"})),
        ("less is exposed", Method::PATCH, "gateways/open/assignments/mail", narrow),
    ];
    for (what, method, path, body) in rows {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let server = Upstream::of_both_eras().by_hand("vendor/do").start().await;
            let served = site.start_with(&documents(&server.url)).await;
            let token = served.token("bot", "t").await;
            let [modern, legacy] =
                Client::with_token(&served, "/mcp/default/open/mail", &token).await;
            let begin = async |client: &Client| client.send(client.request("vendor/do", "")).await;
            let answers = join(begin(&modern), begin(&legacy));
            let (answers, ()) = join(answers, async {
                let held = [server.next_of("vendor/do").await.0, server.next().await];
                served.must(method.clone(), path, Some(body.clone())).await;
                let [one, other] = held.map(tests::Arrived::given_up);
                join(one, other).await;
            })
            .await;
            for answer in [answers.0, answers.1] {
                let row = format!("{what} on {}: {}", site.database(), answer.text());
                assert_ne!(answer.code(), None, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_the_callers_is_not_there_whatever_else_there_is_to_say_of_it() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let server = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&documents(&server.url)).await;
        let token = served.token("bot", "t").await;
        served.must(Method::POST, "/workspaces", Some(json!({"name": "elsewhere"}))).await;
        let far = json!({"name": "far", "teams": ["dev"], "addresses": ["192.0.2.0/24"]});
        served.must(Method::POST, "gateways", Some(far)).await;
        let verdict = async |path: &str| {
            let client = Client::modern_with_token(&served, path, &token);
            client.send(client.request("tools/list", "")).await.verdict()
        };
        assert_eq!(verdict("/mcp/default/open").await, "200");
        for path in [
            // Its own gateway, by the name of another workspace.
            "/mcp/elsewhere/open",
            "/mcp/elsewhere/open/mail",
            "/mcp/nowhere/open",
            // Not its own, at which nobody who calls from here could be.
            "/mcp/default/far",
            "/mcp/default/far/mail",
            "/mcp/default/open/other",
        ] {
            assert_eq!(verdict(path).await, "404/1403", "{path} on {}", site.database());
        }
        let connection = json!({"gateway": "far"});
        served.must(Method::POST, "apps/bot/connections", Some(connection)).await;
        assert_eq!(verdict("/mcp/default/far").await, "403/1403", "on {}", site.database());
    }
}

/// Whatever it is that a call depends on: as it is decided, and not only where it is under way.
#[tokio::test]
async fn what_is_off_takes_no_calls_whichever_thing_it_is() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let server = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&documents(&server.url)).await;
        let token = served.token("bot", "t").await;
        for client in Client::with_token(&served, "/mcp/default/open/mail", &token).await {
            client.warm_up().await;
            for (kind, name) in [
                ("user", "ann"),
                ("app", "bot"),
                ("gateway", "open"),
                ("connection", "bot/open"),
                ("server", "mail"),
                ("assignment", "open/mail"),
                ("tool", "mail/echo"),
            ] {
                let row = format!("{kind}, {client} on {}", site.database());
                let target = json!({"kind": kind, "name": name});
                served.must(Method::POST, "cutoffs", Some(target.clone())).await;
                let known = server.calls().len();
                let refused = client.send(client.tool("echo", "{}")).await;
                assert!(refused.text().contains("turned off"), "{row}: {}", refused.text());
                assert_eq!(server.calls().len(), known, "{row}");
                served.must(Method::POST, "restores", Some(target)).await;
                let answer = client.send(client.tool("echo", "{}")).await;
                assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            }
        }
    }
}

/// One that refuses nothing of what is called.
fn policy() -> serde_json::Value {
    let text = r#"forbid(principal, action, resource == Tool::"mail/other");"#;
    json!({"name": "other", "text": text})
}

fn documents(server: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann"])
        .server("mail", &http(server))
        .gateway("open", "dev", &["server: mail"])
        .gateway("narrow", "dev", &["server: mail, tools: { expose: named, names: [echo] }"])
        .app("bot", "ann", &["gateway: open", "gateway: narrow"])
}
