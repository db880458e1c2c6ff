//! What policies take away: in lists and in calls, for people and for agents, now and while a call
//! is under way.

use futures::future::join;
use http::Method;
use serde_json::{Value, json};
use tests::{Client, Documents, Served, Site, Upstream};

use crate::scene::each_era;

const TOOLS: &str = r#"{"tools":[
    {"name":"read","inputSchema":{},"annotations":{"readOnlyHint":true}},
    {"name":"pay","inputSchema":{},"annotations":{"destructiveHint":false}},
    {"name":"drop","inputSchema":{}}],
    "resultType":"complete","ttlMs":1,"cacheScope":"private"}"#;

/// A person may read where an agent may not write.
const READERS: &str = r#"forbid(principal, action == Action::"call", resource)
    when { resource.effect != "read" } unless { principal.labels.contains("attended") };"#;

const SMALL: &str = r#"forbid(principal, action == Action::"call", resource == Tool::"mail/pay")
    unless { context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") <= 100 };"#;

/// Says nothing of the server that is called.
const ONLY_JIRA: &str = r#"forbid(principal, action, resource == Tool::"mail/other")
    when { context.arguments.texts.hasTag("a") };"#;

#[tokio::test]
async fn h168_what_policies_refuse_is_neither_listed_nor_called() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
            let upstream = plan.clone().on("tools/list", listing).echoing().start().await;
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            let clients = Client::with_token(&served, "/mcp/default/main/mail", &token).await;
            let check = async |said: &str, calls: &[(&str, &str, bool)], listed: &[&str]| {
                for client in &clients {
                    let row = format!("{client} on {}: {said}", site.database());
                    assert_eq!(names(client).await, listed, "{row}");
                    for (tool, arguments, expected) in calls {
                        let before = upstream.calls().len();
                        let answer = client.send(client.tool(tool, arguments)).await;
                        let is_called = upstream.calls().len() != before;
                        let row = format!("{row}: {tool} {arguments}: {}", answer.text());
                        assert_eq!(is_called, *expected, "{row}");
                        let is_told = answer.text().contains("the policies of this workspace");
                        assert_eq!(is_told, !*expected, "{row}");
                        assert!(!answer.text().contains("forbid"), "{row}");
                    }
                }
            };
            let all = ["read", "pay", "drop"];
            check("none", &[("drop", "{}", true)], &all).await;
            save(&served, "readers", READERS).await;
            check("agents", &[("read", "{}", true), ("drop", "{}", false)], &all[..1]).await;
            let why = served
                .must(Method::GET, "why?app=bot&gateway=main&tool=mail/drop&effect=write", None)
                .await;
            assert_eq!(why["answers"][0]["because"], "the policy `readers` refuses it", "{why}");
            patch(&served, "apps/bot", json!({"labels": ["attended"]})).await;
            check("people", &[("pay", "{}", true), ("drop", "{}", true)], &all).await;
            patch(&served, "apps/bot", json!({"labels": []})).await;
            let labels = json!({"drop": {"effect": "read"}, "read": {"effect": "write"}});
            patch(&served, "servers/mail", json!({"tool_labels": labels})).await;
            check("labels", &[("drop", "{}", true), ("read", "{}", false)], &all[2..]).await;
            patch(&served, "policies/readers", json!({"enabled": false})).await;
            save(&served, "small", SMALL).await;
            let calls = [
                ("pay", r#"{"amount":100}"#, true),
                ("pay", r#"{"amount":101}"#, false),
                ("pay", r#"{"amount":"1"}"#, false),
                ("pay", r#"{"amount":1e2}"#, true),
                ("pay", r#"{"amount":1,"Amount":1000}"#, false),
                ("pay", "{}", false),
                ("drop", "{}", true),
            ];
            check("arguments", &calls, &all).await;
            let records = site.latest_records();
            let last = records.iter().rev().find(|it| it.end() == "policy").unwrap();
            assert_eq!((last.text("policy"), last.text("name")), (Some("small"), Some("pay")));
            patch(&served, "policies/small", json!({"enabled": false})).await;
            let address = r#"forbid(principal, action, resource)
                unless { context.address.isInRange(ip("192.0.2.0/24")) };"#;
            save(&served, "address", address).await;
            check("address", &[("read", "{}", false)], &[]).await;
        }
    }
}

#[tokio::test]
async fn policies_that_are_wrong_or_leave_nobody_are_refused_with_the_reason() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
        let test = |expect: &str| {
            json!([{"name": "agents", "action": "call", "expect": expect,
                    "resource": {"server": "mail", "name": "drop"}}])
        };
        // A process that read it to its ground would be at its end.
        let [open, close] = ["(", ")"].map(|it| it.repeat(30_000));
        let deep = format!("forbid(principal, action, resource) when {{ {open}true{close} }};");
        for (text, tests, code, said) in [
            (&*deep, json!([]), "invalid", "nested too deeply"),
            (
                "forbid(principal, action, resource);",
                json!([]),
                "conflict",
                "every call of everybody",
            ),
            (
                "forbid(principal, action, resource) when { principal.shoe };",
                json!([]),
                "invalid",
                "shoe",
            ),
            (r#"forbid(principal in Team::"ops", action, resource);"#, json!([]), "invalid", "ops"),
            (READERS, test("allow"), "invalid", "finds: refuse"),
        ] {
            let policy = json!({"name": "p", "text": text, "tests": tests});
            let reply = served.ask(Method::POST, "policies", Some(policy)).await;
            let body = reply.body;
            assert_eq!(body["code"], code, "{body}");
            assert!(body["detail"].as_str().unwrap().contains(said), "{body}");
            if said == "shoe" {
                assert_eq!(body["faults"][0]["line"], 1, "{body}");
            }
        }
        let forced = json!({"name": "p", "text": "forbid(principal, action, resource);"});
        served.must(Method::POST, "policies?force=true", Some(forced)).await;
        served.must(Method::GET, "users", None).await;
        served.must(Method::DELETE, "policies/p", None).await;

        let text = r#"forbid(principal in Team::"dev", action, resource in Server::"mail")
            when { context.hour > 24 };"#;
        let policy = json!({"name": "p", "text": text, "tests": []});
        served.must(Method::POST, "policies", Some(policy)).await;
        let renamed = Some(json!({"name": "devs"}));
        let reply = served.ask(Method::PATCH, "teams/dev", renamed).await;
        assert_eq!(reply.status, 409, "{reply:?}");
        let detail = reply.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("policy `p` names Team"), "{reply:?}");

        let exported = site.command(&served, &["export"]).await.out;
        assert!(exported.contains("kind: Policy") && exported.contains("context.hour > 24"));
        let again = json!({"text": exported});
        let report = served.must(Method::POST, "diff", Some(again)).await;
        assert_eq!(report["objects"], json!([]));
    }
}

#[tokio::test]
async fn policies_are_tried_on_what_has_been_called_before_they_hold() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
        let plan = Upstream::of_both_eras().on("tools/list", listing);
        let upstream = plan.echoing().start().await;
        let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let client = Client::modern_with_token(&served, "/mcp/default/main/mail", &token);
        for tool in ["read", "pay", "drop"] {
            let answer = client.send(client.tool(tool, r#"{"amount":1}"#)).await;
            assert_eq!(answer.verdict(), "200", "{}", answer.text());
        }
        let dry = json!({"name": "readers", "text": READERS});
        let told = served.must(Method::POST, "policies?dry_run=true", Some(dry)).await;
        let counts = |it: &Value| {
            ["calls", "refused", "allowed", "open"].map(|name| it[name].as_u64().unwrap())
        };
        assert_eq!(counts(&told["simulation"]), [3, 2, 0, 0], "{told}");
        assert_eq!(served.must(Method::GET, "policies", None).await["items"], json!([]));

        let file = site.home().join("policies.yaml");
        let case = "{name: small, action: call, resource: {server: mail, name: pay}, \
                    context: {arguments: {amount: 7}}, expect: allow}";
        let text = SMALL.replace('\n', " ");
        let document = format!("kind: Policy\nname: small\ntext: '{text}'\ntests: [{case}]\n");
        std::fs::write(&file, document).unwrap();
        let file = file.to_str().unwrap();
        let (code, said) = site.run(&["policy", "test", "-f", file]).await;
        assert_eq!((code, said.contains("1 passed, 0 failed")), (Some(0), true), "{said}");
        let ran = site.command(&served, &["policy", "simulate", "-f", file, "--json"]).await;
        let told: Value =
            serde_json::from_str(ran.out.trim()).unwrap_or_else(|_| panic!("{ran:?}"));
        assert_eq!(counts(&told), [3, 0, 0, 1], "{told}");
        assert_eq!(told["examples"][0]["policy"], "small", "{told}");

        // What has been refused by one policy would be let by without it.
        save(&served, "readers", READERS).await;
        let answer = client.send(client.tool("drop", "{}")).await;
        assert!(answer.text().contains("the policies"), "{}", answer.text());
        let without = json!({"name": "readers", "text": READERS, "enabled": false});
        let proposal = json!({"policies": [without]});
        let told = served.must(Method::POST, "policy-simulations", Some(proposal)).await;
        assert_eq!(counts(&told), [4, 0, 1, 0], "{told}");
    }
}

/// A call that was decided before a policy was made ends with it: what its server answers is kept
/// back, whether or not the policy looks at arguments, which nobody has read.
#[tokio::test]
async fn h169_a_policy_holds_for_calls_under_way_when_its_answer_comes() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
            let plan = plan.clone().on("tools/list", listing);
            let upstream = plan.by_hand("tools/call").start().await;
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            let done = r#"{"resultType":"complete","content":[{"type":"text","text":"paid"}]}"#;
            for client in Client::with_token(&served, "/mcp/default/main/mail", &token).await {
                for (text, is_over) in [(READERS, true), (SMALL, true), (ONLY_JIRA, false)] {
                    let row = format!("{client} on {}: {text}", site.database());
                    let call = client.send(client.tool("pay", r#"{"amount":1}"#));
                    let (answer, ()) = join(call, async {
                        let call = upstream.next().await;
                        save(&served, "now", text).await;
                        // It holds before the answer has come, so for lists and for other calls, too.
                        let listed = names(&client).await.contains(&"pay".to_owned());
                        assert_eq!(listed, text != READERS, "{row}");
                        call.result(done);
                    })
                    .await;
                    assert_eq!(
                        answer.text().contains("paid"),
                        !is_over,
                        "{row}: {}",
                        answer.text()
                    );
                    let is_told = answer.text().contains("the policies of this workspace");
                    assert_eq!(is_told, is_over, "{row}: {}", answer.text());
                    served.must(Method::DELETE, "policies/now", None).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_of_which_everything_is_refused_says_nothing_of_itself() {
    let said = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"handle with care"}"#;
    let opened = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"},"instructions":"handle with care"}"#;
    let upstream = Upstream::of_both_eras()
        .on("server/discover", move |it| async move { it.result(said) })
        .on("initialize", move |it| async move { it.result(opened) })
        .start()
        .await;
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        for (text, is_told) in [
            (READERS, true),
            (r#"forbid(principal in Team::"dev", action, resource in Server::"mail");"#, false),
            (r#"permit(principal, action, resource == Tool::"mail/read");"#, true),
            ("permit(principal, action, resource) when { principal.user.clearance > 1 };", false),
        ] {
            save(&served, "now", text).await;
            let [modern, legacy] =
                Client::with_token(&served, "/mcp/default/main/mail", &token).await;
            for post in [modern.request("server/discover", ""), legacy.initialize()] {
                let answer = modern.send(post).await;
                assert_eq!(answer.verdict(), "200", "{text}: {}", answer.text());
                assert_eq!(answer.text().contains("handle with care"), is_told, "{text}");
            }
            served.must(Method::DELETE, "policies/now", None).await;
        }
    }
}

#[tokio::test]
async fn policies_judge_what_rules_have_made_of_arguments() {
    const ETC: &str = r#"forbid(principal, action, resource in Server::"mail")
        when { context.arguments.texts.hasTag("path") && context.arguments.texts.getTag("path") like "/etc/*" };"#;
    for (_, plan) in each_era() {
        let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
        let upstream = plan.on("tools/list", listing).echoing().start().await;
        for site in Site::on_each(db::testing::postgres_url().await) {
            let documents = Documents::of("mail", &upstream.url).rules(&[
                r"name: invisible, pattern: '\x{200b}', action: { type: replace, with: '' }",
            ]);
            let served = site.start_with(&documents).await;
            save(&served, "etc", ETC).await;
            let token = served.token("bot", "t").await;
            for client in Client::with_token(&served, "/mcp/default/main/mail", &token).await {
                client.warm_up().await;
                for (arguments, expected) in [
                    (r#"{"path":"/data/x"}"#, Some("/data/x")),
                    (r#"{"path":"/da\u200bta/x"}"#, Some("/data/x")),
                    (r#"{"path":"/etc/x"}"#, None),
                    (r#"{"path":"/\u200betc/x"}"#, None),
                ] {
                    let before = upstream.calls().len();
                    let answer = client.send(client.tool("read", arguments)).await;
                    let row = format!("{client}: {arguments}: {}", answer.text());
                    assert_eq!(
                        upstream.calls().len() - before,
                        usize::from(expected.is_some()),
                        "{row}"
                    );
                    let echoed = &answer.json()["result"]["structuredContent"]["path"];
                    assert_eq!(echoed.as_str(), expected, "{row}");
                }
            }
        }
    }
}

#[tokio::test]
async fn h137_a_resource_that_policies_refuse_has_no_other_spelling() {
    const SECRET: &str =
        r#"forbid(principal, action, resource == Resource::"mail/file:///secret");"#;
    for (_, plan) in each_era() {
        let upstream = plan
            .on("resources/read", |it| async move { it.result(r#"{"contents":[]}"#) })
            .start()
            .await;
        for site in Site::on_each(db::testing::postgres_url().await) {
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            let clients = Client::with_token(&served, "/mcp/default/main/mail", &token).await;
            let check = async |cases: &[(&str, bool)]| {
                for client in &clients {
                    for (uri, expected) in cases {
                        let before = upstream.seen_of("resources/read").len();
                        let members = format!(r#""uri":{}"#, json!(uri));
                        let answer = client.send(client.request("resources/read", &members)).await;
                        let passed = upstream.seen_of("resources/read").len() - before;
                        let row = format!("{client}: {uri}: {}", answer.text());
                        assert_eq!(passed, usize::from(*expected), "{row}");
                        let is_told = answer.text().contains("the policies of this workspace");
                        assert_eq!(is_told, !*expected, "{row}");
                    }
                }
            };
            // Where policies do not ask for it, spelling is between the client and the server.
            save(&served, "agents", READERS).await;
            check(&[("file:///secret", true), ("file:///./secret", true)]).await;
            save(&served, "secret", SECRET).await;
            check(&[
                ("file:///open", true),
                ("file:///secret", false),
                ("file:///./secret", false),
                ("file:///a/../secret", false),
                ("file:/secret", false),
                ("file://localhost/secret", false),
                ("file:///secret?", false),
                ("file:///a/..%2fsecret", false),
                ("file:////secret", false),
                ("file:///%73ecret", false),
                ("file:///secret#", false),
                ("file:\\\\\\secret", false),
                ("FILE:///secret", false),
            ])
            .await;
        }
    }
}

/// A legacy server has its own stream with a session, for what belongs to no call.
#[tokio::test]
async fn h072_an_open_stream_brings_nothing_of_what_policies_refuse() {
    const LOG: &str = "notifications/message";
    const UPDATED: &str = "notifications/resources/updated";

    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::legacy().by_hand("GET").echoing().start().await;
        let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let at = ("/mcp/default/main/mail", token.as_str());
        let asked = r#"{"elicitation":{}}"#;
        let client = Client::legacy_with_token(&served, at, "2025-11-25", asked).await;
        assert_eq!(client.send(client.tool("echo", "{}")).await.verdict(), "200");
        let (mut stream, theirs) = join(client.open(client.get()), upstream.next()).await;
        let theirs = theirs.stream();
        // Changes of lists are heard as well, which are the gateway's own word.
        let mut heard = async || loop {
            let message = stream.message().await;
            if !message["method"].as_str().unwrap().ends_with("/list_changed") {
                return message["params"].clone();
            }
        };
        let log = |said: &str| format!(r#"{{"level":"info","data":"{said}"}}"#);
        let one = r#"{"uri":"test://one"}"#;
        theirs.notification(UPDATED, one).await;
        assert_eq!(heard().await["uri"], "test://one", "{}", site.database());
        save(&served, "now", r#"forbid(principal, action == Action::"read", resource);"#).await;
        theirs.notification(UPDATED, one).await;
        theirs.notification(LOG, &log("beside it")).await;
        assert_eq!(heard().await["data"], "beside it", "{}", site.database());
        served.must(Method::DELETE, "policies/now", None).await;

        save(&served, "now", r#"forbid(principal, action, resource in Server::"mail");"#).await;
        theirs.notification(LOG, &log("secret")).await;
        let question = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}"#;
        theirs.message(question).await;
        let answered = upstream.next().await;
        assert_eq!(answered.raw(&["error", "code"]), "-32600", "{}", answered.body);
        answered.accept();
        served.must(Method::DELETE, "policies/now", None).await;
        theirs.notification(LOG, &log("in the open")).await;
        assert_eq!(heard().await["data"], "in the open", "{}", site.database());
    }
}

async fn save(served: &Served, name: &str, text: &str) {
    served
        .must(Method::POST, "policies?force=true", Some(json!({"name": name, "text": text})))
        .await;
}

async fn patch(served: &Served, path: &str, body: Value) {
    served.must(Method::PATCH, path, Some(body)).await;
}

async fn names(client: &Client) -> Vec<String> {
    let answer = client.send(client.request("tools/list", "")).await.json();
    let items = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}
