//! A call that an administrator makes in the place of an app is a call like that of a client: everything
//! that decides about calls decides about it, it is counted and recorded, and its record says what it is.

mod starters;

use futures::future::join;
use http::Method;
use serde_json::{Value, json};
use tests::line::Line;
use tests::wait::within;
use tests::{Client, Documents, Plan, Served, Site, Upstream};

use starters::Shown;

const CALLS: &str = "gateways/main/calls";

const TOOLS: &str = r#"[
    {"name":"echo","inputSchema":{"type":"object"}},
    {"name":"pay","annotations":{"destructiveHint":true},"inputSchema":{"type":"object","properties":
        {"to":{"type":"string","x-mcp-header":"To"}}}},
    {"name":"wait","inputSchema":{"type":"object"}}]"#;

/// Two people, each with an app of a gateway that has a server with a credential of each of them.
fn documents(url: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann", "bob"])
        .server("up", &tests::documents::http(url))
        .identity("ann-up", "up", Some("ann"))
        .identity("bob-up", "up", Some("bob"))
        .app("bot", "ann", &["gateway: main, identities: [ann-up]"])
        .app("other", "bob", &["gateway: main, identities: [bob-up]"])
        .app("far", "bob", &["gateway: side"])
        .gateway("side", "dev", &[])
        .gateway("main", "dev", &["server: up, scheme: own"])
        .rules(&["name: mail, pattern: '[a-z]+@[a-z.]+', action: { type: redact }"])
}

fn plan() -> Plan {
    Upstream::of_both_eras().with_tools(TOOLS).echoing()
}

async fn call(served: &Served, body: Value) -> Value {
    served.must(Method::POST, CALLS, Some(body)).await
}

fn last(told: &Value) -> (&str, &str, bool) {
    let link = told["trace"].as_array().unwrap().last().unwrap();
    (link["kind"].as_str().unwrap(), link["name"].as_str().unwrap(), link["holds"] == true)
}

/// All hold but the one that has ended it.
fn holds(told: &Value) -> bool {
    told["trace"].as_array().unwrap().iter().all(|it| it["holds"] == true)
}

#[tokio::test]
async fn a_test_call_is_the_call_of_that_app_and_its_record_says_whose_test_it_was() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = plan().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let token = served.token("bot", "t").await;
        let client = Client::modern_with_token(&served, "/mcp/default/main", &token);
        let row = site.database();
        let arguments = r#"{"n":1,"m":"ann@example.org"}"#;
        let asked: Value = serde_json::from_str(arguments).unwrap();
        let answer = client.send(client.tool("up__echo", arguments)).await.json();
        let body = json!({"user": "ann", "tool": "up__echo", "arguments": asked});
        let told = call(&served, body).await;
        assert_eq!(told["result"]["structuredContent"]["n"], 1, "{row}: {told}");
        assert_eq!(told["result"], answer["result"], "{row}");
        assert_eq!((&told["outcome"], &told["is_error"]), (&json!("answered"), &json!(false)));
        assert_eq!(told["tool"], json!({"alias": "up", "own_name": "echo"}), "{row}");
        assert!(holds(&told), "{row}: {told}");
        assert!(told["tokens"].as_u64() > Some(0), "{row}: {told}");
        let [total, gateway, up] = ["total", "gateway", "upstream"].map(|it| &told["took"][it]);
        assert_eq!(total.as_u64().unwrap(), gateway.as_u64().unwrap() + up.as_u64().unwrap());
        // What has left is the same, with the same credential, and what the rules have taken is gone.
        let [first, second] = <[_; 2]>::try_from(upstream.calls()).unwrap();
        assert_eq!(first.header("authorization"), second.header("authorization"), "{row}");
        assert!(first.header("authorization").is_some(), "{row}");
        let left = second.raw(&["params", "arguments"]);
        assert!(!left.contains("example.org"), "{row}: {left}");
        assert_eq!(left, first.raw(&["params", "arguments"]), "{row}");
        let kinds: Vec<_> =
            told["trace"].as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
        let whole = [
            "app",
            "test",
            "address",
            "connection",
            "team",
            "gateway",
            "assignment",
            "identity",
            "tool",
            "definition",
            "rule",
            "record",
            "gate",
            "server",
            "rules",
            "record",
        ];
        assert_eq!(kinds, whole, "{row}: {told}");
        its_record_says_so(&served, &told, row).await;
        for (name, with) in [("bot", "user=ann"), ("other", "user=bob")] {
            let (key, value) = with.split_once('=').unwrap();
            let told = call(&served, json!({key: value, "tool": "up__echo"})).await;
            assert_eq!(told["app"], name, "{row}: {told}");
        }
        let words = ["call", "main", "up__echo", "--app", "bot", "--arg", "k=v", "--json-args"];
        let ran = site.command(&served, &[&words[..], &[r#"{"n":2}"#]].concat()).await;
        assert_eq!(ran.code, Some(0), "{row}: {}", ran.err);
        for part in [r#""k":"v""#, r#""n":2"#, "answered: ", "  + test ", "call: "] {
            assert!(ran.out.contains(part), "{row}: {part} in {}", ran.out);
        }
        assert!(served.stop().await.success(), "{row}");
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {said}");
    }
}

/// Both records have the call's number, and the act that has started it is in the trail.
async fn its_record_says_so(served: &Served, told: &Value, row: &str) {
    let mut both = Vec::new();
    let page = served.must(Method::GET, "records?limit=50", None).await;
    for kind in ["intent", "outcome"] {
        let all = page["items"].as_array().unwrap();
        let shown = all.iter().find(|it| it["kind"] == kind && is_of(told, it));
        both.push(shown.unwrap()["record"].clone());
    }
    let intent = &both[0];
    assert_eq!(intent["app_name"], "bot", "{row}: {intent}");
    assert!(intent["test_by"].is_string() && intent["test_by_id"].is_string(), "{row}: {intent}");
    assert!(intent.get("token").is_none(), "{row}: {intent}");
    let items = page["items"].as_array().unwrap();
    let is_act = |it: &&Value| it["record"]["act"] == intent["test"];
    let acts: Vec<_> = items.iter().filter(is_act).map(|it| &it["record"]).collect();
    assert_eq!(acts.len(), 2, "{row}: {page}");
    let ended = acts.iter().find(|it| it["phase"] == "ended").unwrap();
    let said = (&ended["object"], &ended["object_id"], &ended["actor"]);
    assert_eq!(said, (&json!("call"), &told["call"], &intent["test_by"]), "{row}");
    assert!(!page.to_string().contains("example.org"), "{row}: what was sent is in no record");
    let of_clients = items.iter().filter(|it| it["kind"] == "intent");
    let marked = of_clients.filter(|it| it["record"].get("test").is_some()).count();
    assert_eq!(marked, 1, "{row}: {page}");
}

fn is_of(told: &Value, record: &Value) -> bool {
    record["record"]["call"] == told["call"]
}

#[tokio::test]
async fn whatever_stops_a_client_stops_a_test_call_and_its_trace_says_where() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = plan().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let row = site.database();
        let pay = json!({"app": "bot", "tool": "up__pay", "arguments": {"to": "me", "n": 1}});
        let told = call(&served, pay.clone()).await;
        assert_eq!(told["outcome"], "answered", "{row}: {told}");
        let steps = [
            (
                (Method::POST, "policies"),
                json!({"name": "small", "text": r#"forbid(principal, action == Action::"call",
                    resource == Tool::"up/pay") when { context.arguments.numbers.hasTag("n") };"#}),
                ("policy", "policy", "small"),
            ),
            (
                (Method::POST, "cutoffs"),
                json!({"kind": "server", "name": "up", "reason": "it leaks"}),
                ("switched_off", "server", "up"),
            ),
        ];
        for ((method, path), body, (outcome, kind, name)) in steps {
            served.must(method, path, Some(body)).await;
            let before = upstream.calls().len();
            let told = call(&served, pay.clone()).await;
            assert_eq!(told["outcome"], outcome, "{row}: {told}");
            assert_eq!(last(&told), (kind, name, false), "{row}: {told}");
            assert_eq!(told["is_error"], true, "{row}: {told}");
            assert_eq!(told["intent"], Value::Null, "{row}: {told}");
            let page = served.must(Method::GET, "records?limit=50", None).await;
            let mut all = page["items"].as_array().unwrap().iter();
            let shown = all.find(|it| is_of(&told, it)).unwrap();
            assert_eq!(shown["record"]["end"], outcome, "{row}: {shown}");
            assert!(shown["record"]["test"].is_string(), "{row}: {shown}");
            assert_eq!(upstream.calls().len(), before, "{row}: {outcome}");
        }
        let restored = json!({"kind": "server", "name": "up"});
        served.must(Method::POST, "restores", Some(restored)).await;
        the_rest_of_the_way(&served, &upstream, row).await;
        let words = ["call", "main", "up__pay", "--user", "ann", "--json-args", r#"{"n":1}"#];
        let ran = site.command(&served, &words).await;
        assert_eq!(ran.code, Some(3), "{row}: {} {}", ran.out, ran.err);
        assert!(ran.out.contains("  - policy small: it forbids this"), "{row}: {}", ran.out);
    }
}

/// Rules, limits, exposure, names and lists of addresses.
async fn the_rest_of_the_way(served: &Served, upstream: &Upstream, row: &str) {
    let echo = |text: &str| json!({"app": "bot", "tool": "up__echo", "arguments": {"a": text}});
    let rule =
        json!({"name": "no", "pattern": "secret", "action": {"type": "block", "message": "no"}});
    served.must(Method::POST, "gateways/main/rules", Some(rule)).await;
    let limit = json!({"name": "few", "scope": {"type": "app"}, "unit": "calls",
        "allowance": {"type": "quota", "amount": 1, "per": "month"}});
    served.must(Method::POST, "limits", Some(limit)).await;
    let rows =
        [(echo("fine"), "answered", ("record", true)), (echo("fine"), "limited", ("limit", false))];
    for (body, outcome, (kind, is_held)) in rows {
        let told = call(served, body).await;
        assert_eq!(told["outcome"], outcome, "{row}: {told}");
        let (found, _, holds) = last(&told);
        assert_eq!((found, holds), (kind, is_held), "{row}: {told}");
    }
    served.must(Method::DELETE, "limits/few", None).await;
    let before = upstream.calls().len();
    let told = call(served, echo("a secret")).await;
    assert_eq!((&told["outcome"], last(&told)), (&json!("rule_block"), ("rule", "no", false)));
    let told = call(served, json!({"app": "bot", "tool": "up__none"})).await;
    assert_eq!((&told["outcome"], &told["tool"]), (&json!("not_permitted"), &Value::Null));
    assert_eq!(last(&told).0, "tool", "{row}: {told}");
    let none = json!({"tools": {"expose": "named", "names": ["pay"]}});
    served.must(Method::PATCH, "gateways/main/assignments/up", Some(none)).await;
    let told = call(served, echo("fine")).await;
    assert_eq!((&told["outcome"], last(&told).2), (&json!("not_permitted"), false), "{row}");
    let all = json!({"tools": {"expose": "all"}});
    served.must(Method::PATCH, "gateways/main/assignments/up", Some(all)).await;
    // It comes from where whoever has started it is.
    let list = json!({"addresses": ["192.0.2.0/24"]});
    served.must(Method::PATCH, "gateways/main", Some(list)).await;
    let told = call(served, echo("fine")).await;
    assert_eq!((&told["outcome"], last(&told).0), (&json!("address"), "address"), "{row}: {told}");
    served.must(Method::PATCH, "gateways/main", Some(json!({"addresses": []}))).await;
    assert_eq!(upstream.calls().len(), before, "{row}");
    for (body, status) in [
        (json!({"app": "far", "tool": "up__echo"}), 409),
        (json!({"tool": "up__echo"}), 422),
        (json!({"app": "bot", "tool": ""}), 422),
        (json!({"app": "bot", "tool": "up__echo", "arguments": []}), 400),
        (json!({"app": "nobody", "tool": "up__echo"}), 404),
    ] {
        let reply = served.ask(Method::POST, CALLS, Some(body.clone())).await;
        assert_eq!(reply.status, status, "{row}: {body}: {}", reply.body);
    }
    assert_eq!(upstream.calls().len(), before, "{row}");
}

#[tokio::test]
async fn h159_nobody_calls_in_the_place_of_an_app_whose_token_they_could_not_make() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = plan().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let row = site.database();
        let both = json!(["gateways:read", "gateways:write", "apps:read", "apps:write"]);
        let given = [
            (
                "reads",
                &["reads workspace"][..],
                json!(["gateways:read", "apps:read", "people:read"]),
                403,
            ),
            (
                "gateways",
                &["gateways workspace"],
                json!(["gateways:read", "gateways:write", "apps:read"]),
                403,
            ),
            ("apps", &["apps workspace"], json!(["gateways:read", "apps:read", "apps:write"]), 403),
            // Of the connection there, but not of the app.
            ("there", &["there gateway/main", "reads workspace"], both.clone(), 403),
            ("both", &["both workspace"], both, 200),
        ];
        for (name, grants, capabilities, expected) in given {
            let role = json!({"name": name, "capabilities": capabilities});
            served.must(Method::POST, "roles", Some(role)).await;
            served.must(Method::POST, "users", Some(json!({ "name": name }))).await;
            for (number, grant) in grants.iter().enumerate() {
                let (role, on) = grant.split_once(' ').unwrap();
                let called = format!("{name}-{number}");
                let grant = json!({"name": called, "role": role, "user": name, "on": on});
                served.must(Method::POST, "role-grants", Some(grant)).await;
            }
            let token = admin_token(&served, name, json!({"name": "cli"})).await;
            let before = upstream.calls().len();
            let body = json!({"app": "bot", "tool": "up__echo"});
            let reply = served.ask_as(&token, Method::POST, CALLS, Some(body)).await;
            assert_eq!(reply.status, expected, "{row}: {name}: {}", reply.body);
            let called = usize::from(expected == 200);
            assert_eq!(upstream.calls().len(), before + called, "{row}: {name}");
        }
        // That it is their own app gives nobody the right.
        let whole = admin_token(&served, "ann", json!({"name": "whole"})).await;
        let before = upstream.calls().len();
        for (app, expected) in [("bot", 403), ("other", 404)] {
            let body = json!({"app": app, "tool": "up__echo"});
            let reply = served.ask_as(&whole, Method::POST, CALLS, Some(body)).await;
            assert_eq!(reply.status, expected, "{row}: {app}: {}", reply.body);
        }
        assert_eq!(upstream.calls().len(), before, "{row}");
        let body = json!({"app": "bot", "tool": "up__echo"});
        let reply = served.ask_as("osta_nothing", Method::POST, CALLS, Some(body)).await;
        assert_eq!(reply.status, 401, "{row}");
    }
}

async fn admin_token(served: &Served, user: &str, body: Value) -> String {
    let path = format!("users/{user}/admin-tokens");
    let made = served.must(Method::POST, &path, Some(body)).await;
    made["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_test_call_under_way_ends_with_what_it_rests_on() {
    for (what, outcome) in [("ann", "switched_off"), ("eve", "withdrawn"), ("grant", "withdrawn")] {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let row = site.database();
            let upstream = Upstream::modern().with_tools(TOOLS).by_hand("tools/call").start().await;
            let served = site.start_with(&documents(&upstream.url)).await;
            let token = eve(&served).await;
            let body = json!({"app": "bot", "tool": "up__wait"});
            let ending = async {
                let arrived = within("the call", upstream.next()).await;
                if what == "grant" {
                    aside(&served, Method::DELETE, "role-grants/g", None).await;
                } else {
                    let cut = json!({"kind": "user", "name": what});
                    aside(&served, Method::POST, "cutoffs", Some(cut)).await;
                }
                within("its end", arrived.given_up()).await;
            };
            let calling = served.ask_as(&token, Method::POST, CALLS, Some(body));
            let (reply, ()) = join(calling, ending).await;
            assert_eq!(reply.status, 200, "{row}: {what}: {}", reply.body);
            assert_eq!(reply.body["outcome"], outcome, "{row}: {what}: {}", reply.body);
            assert_eq!(reply.body["result"], Value::Null, "{row}: {what}: {}", reply.body);
            assert!(!last(&reply.body).2, "{row}: {what}: {}", reply.body);
        }
    }
}

/// Who may make test calls, and see no rules; their token.
async fn eve(served: &Served) -> String {
    let role = json!({"name": "r", "capabilities":
        ["gateways:read", "gateways:write", "apps:read", "apps:write"]});
    served.must(Method::POST, "roles", Some(role)).await;
    served.must(Method::POST, "users", Some(json!({"name": "eve"}))).await;
    let grant = json!({"name": "g", "role": "r", "user": "eve"});
    served.must(Method::POST, "role-grants", Some(grant)).await;
    admin_token(served, "eve", json!({"name": "cli"})).await
}

/// Asks the admin API while it is busy with something else.
async fn aside(served: &Served, method: Method, path: &str, body: Option<Value>) {
    let shown = Shown::bearer(served.admin());
    let path = format!("workspaces/default/{path}");
    let body = body.map(|it| it.to_string()).unwrap_or_default();
    let request = shown.request(served, method, &path, body);
    let (status, said) = Line::to(served.address).whole(request).await.unwrap();
    assert!((200..300).contains(&status), "{path}: {said:?}");
}

#[tokio::test]
async fn what_a_server_asks_in_a_test_call_is_answered_by_nobody() {
    const FORM: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"who?","requestedSchema":{"type":"object","properties":{}}}}"#;
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::legacy().with_tools(TOOLS).by_hand("tools/call").start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let row = site.database();
        let answering = async {
            let arrived = within("the call", upstream.next()).await;
            let talk = arrived.stream();
            talk.message(FORM).await;
            let reply = within("what is said to it", upstream.next()).await;
            assert!(reply.body.contains("cannot be asked"), "{row}: {}", reply.body);
            reply.accept();
            talk.result(r#"{"content":[{"type":"text","text":"nobody"}]}"#).await;
        };
        let body = json!({"app": "bot", "tool": "up__wait"});
        let (told, ()) = join(call(&served, body), answering).await;
        assert_eq!(told["result"]["content"][0]["text"], "nobody", "{row}: {told}");
    }
}
