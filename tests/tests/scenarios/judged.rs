//! What policies cannot decide, and what they decide otherwise while a call or a list is under way.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{Either, join, select};
use http::Method;
use serde_json::{Value, json};
use tests::wait::within;
use tests::{Client, Documents, Served, Site, Upstream};

use crate::scene::each_era;

const AT: &str = "/mcp/default/main/mail";

/// What has been listed is fresh for a minute.
const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}},{"name":"drop","inputSchema":{}}],
    "resultType":"complete","ttlMs":60000,"cacheScope":"private"}"#;

const PAID: &str = r#"{"resultType":"complete","content":[{"type":"text","text":"paid"}]}"#;

/// Of an amount above 0 it cannot say anything, as the sum is more than Cedar can hold.
const FAILS: &str = r#"forbid(principal, action, resource == Tool::"mail/pay")
    when { context.arguments.numbers.hasTag("amount")
        && context.arguments.numbers.getTag("amount") + 9223372036854775807 < 0 };"#;

#[tokio::test]
async fn a_call_of_which_a_policy_cannot_say_anything_is_refused() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
            let upstream = plan.clone().on("tools/list", listing).echoing().start().await;
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            save(&served, "sums", FAILS).await;
            for client in Client::with_token(&served, AT, &token).await {
                client.warm_up().await;
                for (tool, arguments, is_called) in [
                    ("pay", r#"{"amount":0}"#, true),
                    ("pay", r#"{"amount":1}"#, false),
                    ("drop", r#"{"amount":1}"#, true),
                ] {
                    let before = upstream.calls().len();
                    let answer = client.send(client.tool(tool, arguments)).await;
                    let row = format!("{client}: {tool} {arguments}: {}", answer.text());
                    assert_eq!(upstream.calls().len() - before, usize::from(is_called), "{row}");
                    let is_told = answer.text().contains("the policies of this workspace");
                    assert_eq!(is_told, !is_called, "{row}");
                }
            }
            let records = site.latest_records();
            let last = records.iter().rev().find(|it| it.end() == "policy").unwrap();
            assert_eq!((last.text("policy"), last.text("name")), (Some("sums"), Some("pay")));
        }
    }
}

/// It was let by when it came, nothing has been changed since, and it has taken too long.
#[tokio::test]
async fn what_is_answered_is_held_to_what_the_time_has_become() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
            let plan = plan.clone().on("tools/list", listing);
            let upstream = plan.by_hand("tools/call").start().await;
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            for client in Client::with_token(&served, AT, &token).await {
                let row = format!("{client} on {}", site.database());
                let names = names(&client).await;
                assert_eq!(names, ["pay", "drop"], "{row}");
                // On a machine on which it cannot begin before its time is over, it is given more.
                let mut window = TimeDelta::seconds(1);
                let answer = loop {
                    let until = now(&served).await + window;
                    let until = until.format("%Y-%m-%dT%H:%M:%S%.3fZ");
                    let text = format!(
                        r#"forbid(principal, action, resource == Tool::"mail/pay")
                           unless {{ context.time < datetime("{until}") }};"#
                    );
                    save(&served, "now", &text).await;
                    let call = std::pin::pin!(client.send(client.tool("pay", "{}")));
                    let arrival = std::pin::pin!(upstream.next());
                    match select(call, arrival).await {
                        Either::Left(_) => window = window * 2,
                        Either::Right((held, call)) => {
                            within("the time is over", is_hidden(&client, "pay")).await;
                            held.result(PAID);
                            break call.await;
                        }
                    }
                    served.must(Method::DELETE, "policies/now", None).await;
                };
                assert!(!answer.text().contains("paid"), "{row}: {}", answer.text());
                let is_told = answer.text().contains("the policies of this workspace");
                assert!(is_told, "{row}: {}", answer.text());
                served.must(Method::DELETE, "policies/now", None).await;
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_decided_by_what_holds_when_it_is_shown() {
    for (_, plan) in each_era() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let upstream = plan.clone().by_hand("tools/list").start().await;
            let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
            let token = served.token("bot", "t").await;
            let client = Client::modern_with_token(&served, AT, &token);
            let (names, ()) = join(names(&client), async {
                let (held, _) = upstream.next_of("tools/list").await;
                let pay = r#"forbid(principal, action, resource == Tool::"mail/pay");"#;
                save(&served, "now", pay).await;
                held.result(TOOLS);
            })
            .await;
            assert_eq!(names, ["drop"], "{}", site.database());
        }
    }
}

/// Whoever may make an app, but not say what policies look at, has it without anything by making it anew.
#[tokio::test]
async fn what_is_made_anew_under_a_name_has_nothing_that_was_said_of_it() {
    const ATTENDED: &str = r#"forbid(principal, action == Action::"call", resource)
        unless { principal.labels.contains("attended") && resource.effect == "read" };"#;
    for site in Site::on_each(db::testing::postgres_url().await) {
        let listing = |call: tests::Arrived| async move { call.result(TOOLS) };
        let plan = Upstream::of_both_eras().on("tools/list", listing);
        let upstream = plan.echoing().start().await;
        let served = site.start_with(&Documents::of("mail", &upstream.url)).await;
        save(&served, "attended", ATTENDED).await;
        let labels = json!({"labels": ["attended"]});
        let tools = json!({"tool_labels": {"pay": {"effect": "read"}}});
        let said = [("apps/bot", labels), ("servers/mail", tools)];
        let capabilities: Vec<_> = ["apps", "servers", "gateways", "pins"]
            .iter()
            .flat_map(|it| [format!("{it}:read"), format!("{it}:write")])
            .collect();
        let role = json!({"name": "maker", "capabilities": capabilities});
        served.must(Method::POST, "roles", Some(role)).await;
        served.must(Method::POST, "users", Some(json!({"name": "mallory"}))).await;
        let grant = json!({"name": "mallory", "role": "maker", "user": "mallory"});
        served.must(Method::POST, "role-grants", Some(grant)).await;
        let token = json!({"name": "cli"});
        let token = served.must(Method::POST, "users/mallory/admin-tokens", Some(token)).await;
        let mallory = token["secret"].as_str().unwrap();
        let must = async |method: Method, path: &str, body: Option<Value>| {
            let reply = served.ask_as(mallory, method.clone(), path, body).await;
            assert!(reply.status < 300, "{method} {path}: {reply:?}");
        };
        let may_pay = async || {
            let made = json!({"name": "t"});
            let made = served.must(Method::POST, "apps/bot/tokens", Some(made)).await;
            let client = Client::modern_with_token(&served, AT, made["secret"].as_str().unwrap());
            let before = upstream.calls().len();
            let answer = client.send(client.tool("pay", "{}")).await;
            served.must(Method::DELETE, "apps/bot/tokens/t", None).await;
            let is_told = answer.text().contains("the policies of this workspace");
            let is_called = before < upstream.calls().len();
            assert_eq!(is_told, !is_called, "{}", answer.text());
            is_called
        };
        for (path, body) in &said {
            served.must(Method::PATCH, path, Some(body.clone())).await;
        }
        assert!(may_pay().await, "on {}", site.database());

        let app = json!({"name": "bot", "owner": "ann", "purpose": "a test"});
        must(Method::DELETE, "apps/bot/connections/main", None).await;
        must(Method::DELETE, "apps/bot", None).await;
        must(Method::POST, "apps", Some(app)).await;
        must(Method::POST, "apps/bot/connections", Some(json!({"gateway": "main"}))).await;
        assert!(!may_pay().await, "the app is another, on {}", site.database());
        let (path, body) = &said[0];
        let reply = served.ask_as(mallory, Method::PATCH, path, Some(body.clone())).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        served.must(Method::PATCH, path, Some(body.clone())).await;
        assert!(may_pay().await, "on {}", site.database());

        let transport = json!({"type": "http", "url": upstream.url});
        let server = json!({"name": "mail", "transport": transport, "review": "off"});
        must(Method::DELETE, "gateways/main/assignments/mail", None).await;
        must(Method::DELETE, "servers/mail", None).await;
        must(Method::POST, "servers", Some(server)).await;
        let assignment = json!({"server": "mail"});
        must(Method::POST, "gateways/main/assignments", Some(assignment)).await;
        assert!(!may_pay().await, "the server is another, on {}", site.database());
    }
}

/// By the gateway's clock.
async fn now(served: &Served) -> DateTime<Utc> {
    let newest = served.must(Method::GET, "records?limit=1", None).await;
    newest["items"][0]["time"].as_str().unwrap().parse().unwrap()
}

async fn is_hidden(client: &Client, tool: &str) {
    while names(client).await.iter().any(|it| it == tool) {}
}

async fn save(served: &Served, name: &str, text: &str) {
    let policy = json!({"name": name, "text": text});
    served.must(Method::POST, "policies?force=true", Some(policy)).await;
}

async fn names(client: &Client) -> Vec<String> {
    let answer: Value = client.send(client.request("tools/list", "")).await.json();
    let items = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}
