//! What an administrator is told that somebody's client sees is what it sees.

use http::Method;
use serde_json::{Value, json};
use tests::{Client, Documents, Served, Site, Upstream};

const TOOLS: &str = r#"[
    {"name":"echo","description":"says it again","inputSchema":{"type":"object"}},
    {"name":"read","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object"}},
    {"name":"write","inputSchema":{"type":"object"}}]"#;

/// Each list, how it is asked for, and what its entries go by.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools", "tools/list", "name"),
    ("prompts", "prompts/list", "name"),
    ("resources", "resources/list", "uri"),
    ("resourceTemplates", "resources/templates/list", "uriTemplate"),
];

fn documents(urls: [&str; 2]) -> Documents {
    let [open, reviewed] = urls.map(tests::documents::http);
    Documents::default()
        .team("dev", &["ann", "bob"])
        .team("ops", &["eve"])
        .server("open", &open)
        .reviewed_server("kept", &reviewed)
        .app("bot", "ann", &["gateway: main"])
        .app("other", "bob", &["gateway: main"])
        .app("third", "bob", &["gateway: main"])
        .app("far", "eve", &["gateway: main"])
        .gateway("main", "dev", &["server: open", "server: kept"])
}

/// The names in a client's lists, list by list.
async fn listed(client: &Client) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for (list, method, key) in LISTS {
        let answer = client.send(client.request(method, "")).await.json();
        let items = answer["result"][list].as_array().cloned().unwrap_or_default();
        all.push(items.iter().map(|it| it[key].clone()).collect());
    }
    all
}

async fn previewed(served: &Served, whose: &str) -> Value {
    served.must(Method::GET, &format!("gateways/main/preview?{whose}"), None).await
}

fn shown(preview: &Value) -> Vec<Vec<Value>> {
    let names = |list: &str| {
        let shown = preview[list]["shown"].as_array().unwrap();
        shown.iter().map(|it| it["name"].clone()).collect()
    };
    ["tools", "prompts", "resources", "resource_templates"].map(names).to_vec()
}

fn because(preview: &Value, alias: &str, name: &str) -> Value {
    let hidden = preview["tools"]["hidden"].as_array().unwrap();
    let found = hidden.iter().find(|it| it["alias"] == alias && it["name"] == name);
    found.map_or(Value::Null, |it| it["because"].clone())
}

#[tokio::test]
async fn a_preview_is_what_a_client_of_that_person_lists_whatever_is_set() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let plan = || Upstream::of_both_eras().with_tools(TOOLS).echoing();
        let (open, kept) = (plan().start().await, plan().start().await);
        let served = site.start_with(&documents([&open.url, &kept.url])).await;
        let token = served.token("bot", "t").await;
        let clients = Client::with_token(&served, "/mcp/default/main", &token).await;
        let assignment = "gateways/main/assignments/open";
        let condition = json!({"expose": "conditions", "where": {"readOnlyHint": true}});
        let named = json!({"expose": "named", "names": ["write"]});
        let cutoff = json!({"kind": "tool", "name": "open/echo"});
        // What is set, and what becomes of the tool `echo` of the server `open` by it.
        let rows = [
            (Method::PATCH, assignment, json!({"tools": {"expose": "all"}}), Value::Null),
            (Method::PATCH, assignment, json!({ "tools": condition }), json!("condition")),
            (Method::PATCH, assignment, json!({ "tools": named }), json!("not_exposed")),
            (
                Method::PATCH,
                assignment,
                json!({"prompts": {"expose": "nothing"}}),
                json!("not_exposed"),
            ),
            (Method::PATCH, assignment, json!({"tools": {"expose": "all"}}), Value::Null),
            (Method::POST, "cutoffs", cutoff, json!("switched_off")),
            (Method::PATCH, assignment, json!({"enabled": false}), json!("switched_off")),
        ];
        for (method, path, body, expected) in rows {
            let row = format!("{body} on {}", site.database());
            served.must(method, path, Some(body)).await;
            let preview = previewed(&served, "user=ann").await;
            for client in &clients {
                assert_eq!(shown(&preview), listed(client).await, "{row}: {preview}");
            }
            assert_eq!(because(&preview, "open", "echo"), expected, "{row}: {preview}");
            assert_eq!(because(&preview, "kept", "echo"), "not_approved", "{row}");
            every_entry_says_whose_it_is(&preview, &row);
            assert_eq!(previewed(&served, "app=bot").await, preview, "{row}");
            let tokens = |list: &Value| -> u64 {
                let shown = list["shown"].as_array().unwrap();
                shown.iter().map(|it| it["tokens"].as_u64().unwrap()).sum()
            };
            let lists = ["tools", "prompts", "resources", "resource_templates"];
            let sum: u64 = lists.iter().map(|it| tokens(&preview[*it])).sum();
            assert_eq!(preview["tokens"], sum, "{row}");
            assert!(0 < sum, "{row}");
        }
    }
}

/// Shown and hidden ones together are what the two servers list, each as its server describes it.
fn every_entry_says_whose_it_is(preview: &Value, row: &str) {
    let tools = &preview["tools"];
    let shown = tools["shown"].as_array().unwrap().iter().map(|it| (it, &it["own_name"]));
    let hidden = tools["hidden"].as_array().unwrap().iter().map(|it| (it, &it["name"]));
    let mut seen = Vec::new();
    for (it, own) in shown.chain(hidden) {
        let (alias, own) = (it["alias"].as_str().unwrap(), own.as_str().unwrap());
        let said = &it["said"];
        let expected = match own {
            "echo" => (json!("says it again"), Value::Null),
            "read" => (Value::Null, json!(true)),
            _ => (Value::Null, Value::Null),
        };
        let told = (said["description"].clone(), said["read_only_hint"].clone());
        assert_eq!(told, expected, "{row}: {it}");
        assert!(it["tokens"].as_u64() > Some(0), "{row}: {it}");
        seen.push(format!("{alias}/{own}"));
    }
    seen.sort();
    let all = ["kept/echo", "kept/read", "kept/write", "open/echo", "open/read", "open/write"];
    assert_eq!(seen, all, "{row}");
}

#[tokio::test]
async fn a_preview_says_what_is_missing_and_shows_nobody_what_they_may_not_see() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let plan = || Upstream::of_both_eras().with_tools(TOOLS).echoing();
        let (open, kept) = (plan().start().await, plan().start().await);
        let served = site.start_with(&documents([&open.url, &kept.url])).await;
        let ask = async |whose: &str| {
            let path = format!("gateways/main/preview?{whose}");
            let reply = served.ask(Method::GET, &path, None).await;
            (reply.status, reply.body["detail"].as_str().unwrap_or_default().to_owned())
        };
        let (status, detail) = ask("user=bob").await;
        assert_eq!(status, 409);
        assert!(detail.contains("say `app` as one of other, third"), "{detail}");
        assert_eq!(ask("app=third").await.0, 200);
        let (status, detail) = ask("user=eve").await;
        assert_eq!((status, detail.contains("nothing is shown")), (409, true), "{detail}");
        assert_eq!(ask("user=nobody").await.0, 404);
        assert_eq!(ask("").await.0, 422);
        assert_eq!(ask("user=ann&app=bot").await.0, 422);

        let made = json!({"name": "cli"});
        let made = served.must(Method::POST, "users/ann/admin-tokens", Some(made)).await;
        let ann = made["secret"].as_str().unwrap();
        let path = "gateways/main/preview?user=bob";
        assert_eq!(served.ask_as(ann, Method::GET, path, None).await.status, 404);

        // Whose clients are looked at is for those who may see the app, and the person where that is asked.
        let gateways = json!(["gateways:read"]);
        let people = json!(["gateways:read", "people:read"]);
        let apps = json!(["gateways:read", "apps:read"]);
        let all = json!(["gateways:read", "people:read", "apps:read"]);
        for (name, capabilities, [by_app, by_user]) in [
            ("gateways", gateways, [404, 404]),
            ("people", people, [404, 409]),
            ("apps", apps, [200, 404]),
            ("all", all, [200, 200]),
        ] {
            let role = json!({"name": name, "capabilities": capabilities});
            served.must(Method::POST, "roles", Some(role)).await;
            served.must(Method::POST, "users", Some(json!({ "name": name }))).await;
            let grant = json!({"name": name, "role": name, "user": name});
            served.must(Method::POST, "role-grants", Some(grant)).await;
            let path = format!("users/{name}/admin-tokens");
            let made = served.must(Method::POST, &path, Some(json!({"name": "cli"}))).await;
            let token = made["secret"].as_str().unwrap();
            for (whose, expected) in [("app=bot", by_app), ("user=ann", by_user)] {
                let path = format!("gateways/main/preview?{whose}");
                let reply = served.ask_as(token, Method::GET, &path, None).await;
                assert_eq!(reply.status, expected, "{name}: {whose}: {}", reply.body);
                let is_told = reply.body.to_string().contains("bot");
                assert_eq!(is_told, expected == 200 || whose == "app=bot", "{}", reply.body);
            }
        }

        open.set_down(true);
        kept.set_down(true);
        let ran = site.command(&served, &["gateway", "preview", "main", "--user", "ann"]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.out.contains("tokens in all: "), "{}", ran.out);
        assert!(ran.out.contains("not_approved"), "{}", ran.out);
        let words = ["gateway", "preview", "main", "--app", "bot", "--json"];
        let told: Value = serde_json::from_str(&site.command(&served, &words).await.out).unwrap();
        assert_eq!(told["user"], "ann");
        let page = served.must(Method::GET, "records?limit=20", None).await;
        let acts = page["items"].as_array().unwrap();
        let acts = acts.iter().filter(|it| it["record"]["object"] == "preview").count();
        assert!(0 < acts, "that somebody has looked is recorded: {page}");
    }
}
