//! What a server under review lists is hidden until it is approved, exactly as it is listed.

mod commands;
mod conditions;
mod hostile;
mod reach;

use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::wait::within;
use tests::{Client, Documents, Era, Plan, Served, Site, Upstream};

use crate::scene::each_era;

const CHANGED: &str = "notifications/tools/list_changed";
const ECHO: &str = r#"{"name":"echo","description":"Says it again.","inputSchema":{}}"#;

/// A server under review whose tools the test changes, and the gateway in front of it.
struct Scene {
    tools: Arc<Mutex<String>>,
    upstream: Upstream,
    served: Served,
    site: Site,
    token: String,
}

impl Scene {
    async fn of(site: Site, plan: Plan, tools: &str) -> Self {
        let (plan, tools) = changing(plan, tools);
        let upstream = plan.echoing().start().await;
        let served = site.start_with(&documents(&http(&upstream.url))).await;
        let token = served.token("bot", "t").await;
        Self { tools, upstream, served, site, token }
    }

    /// On each database, in front of a server of each era.
    async fn each(tools: &str) -> Vec<Self> {
        let mut scenes = Vec::new();
        for (_, plan) in each_era() {
            for site in Site::on_each(db::testing::postgres_url().await) {
                scenes.push(Self::of(site, plan.clone(), tools).await);
            }
        }
        scenes
    }

    /// Of each era, on the aggregated address and that of the one server.
    async fn clients(&self) -> Vec<(Client, &'static str)> {
        let mut clients = Vec::new();
        for (path, name) in
            [("/mcp/default/main", "mail__echo"), ("/mcp/default/main/mail", "echo")]
        {
            let both = Client::with_token(&self.served, path, &self.token).await;
            clients.extend(both.map(|it| (it, name)));
        }
        clients
    }

    fn lists(&self, tools: &str) {
        format!("[{tools}]").clone_into(&mut self.tools.lock().unwrap());
    }

    /// What waits for a decision, once there are so many of a kind.
    async fn pending(&self, kind: &str, count: usize) -> Vec<Value> {
        let path = format!("pins?state=pending&kind={kind}");
        let looking = async {
            loop {
                let found = self.served.must(Method::GET, &path, None).await;
                let found = found["items"].as_array().unwrap();
                if found.len() == count {
                    return found.clone();
                }
            }
        };
        within("definitions that wait", looking).await
    }

    async fn approve(&self, pin: &Value) {
        let path = format!("pins/{}/approve", pin["id"].as_str().unwrap());
        self.served.must(Method::POST, &path, Some(json!({"hash": pin["hash"]}))).await;
    }

    /// Approves all that wait, of which there are so many tools.
    async fn approve_all(&self, tools: usize) {
        for pin in self.pending("tool", tools).await {
            self.approve(&pin).await;
        }
    }

    async fn detail(&self, pin: &Value) -> Value {
        let path = format!("pins/{}", pin["id"].as_str().unwrap());
        self.served.must(Method::GET, &path, None).await
    }

    /// A call that must not reach the server.
    async fn is_refused(&self, client: &Client, name: &str) {
        let calls = self.upstream.calls().len();
        let answer = client.send(client.tool(name, "{}")).await;
        let (text, row) = (answer.text(), format!("{client} on {}", self.site.database()));
        assert_eq!(answer.verdict(), "200", "{row}: {text}");
        assert!(text.contains("waits for approval") && text.contains("isError"), "{row}: {text}");
        assert_eq!(self.upstream.calls().len(), calls, "{row}");
    }

    async fn passes(&self, client: &Client, name: &str) {
        let answer = client.send(client.tool(name, r#"{"n":1}"#)).await;
        assert!(answer.text().contains(r#""structuredContent":{"n":1}"#), "{}", answer.text());
    }
}

/// A server that lists what the test says then, and lets nobody keep it.
fn changing(plan: Plan, tools: &str) -> (Plan, Arc<Mutex<String>>) {
    let tools = Arc::new(Mutex::new(format!("[{tools}]")));
    let listed = Arc::clone(&tools);
    let plan = plan.on("tools/list", move |call| {
        let tools = listed.lock().unwrap().clone();
        async move { call.result(&result(&tools)) }
    });
    (plan, tools)
}

fn result(tools: &str) -> String {
    format!(r#"{{"resultType":"complete","ttlMs":1,"cacheScope":"private","tools":{tools}}}"#)
}

fn documents(transport: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann", "bob"])
        .reviewed_server("mail", transport)
        .gateway("main", "dev", &["server: mail"])
        .app("bot", "ann", &["gateway: main"])
}

async fn listed(client: &Client, method: &str, member: &str) -> Vec<String> {
    let answer = client.send(client.request(method, "")).await.json();
    let items = answer["result"][member].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// Lists until there is this to be seen.
async fn sees(client: &Client, expected: &[&str]) {
    let looking = async { while listed(client, "tools/list", "tools").await != expected {} };
    within(&format!("{expected:?} in the list"), looking).await;
}

#[tokio::test]
async fn h116_a_new_tool_is_hidden_until_it_is_approved() {
    for scene in Scene::each(ECHO).await {
        let clients = scene.clients().await;
        for (client, name) in &clients {
            assert!(listed(client, "tools/list", "tools").await.is_empty(), "{client}");
            scene.is_refused(client, name).await;
            assert!(listed(client, "prompts/list", "prompts").await.is_empty(), "{client}");
            let prompt = name.replace("echo", "hello");
            let post = client.request("prompts/get", &format!(r#""name":"{prompt}""#));
            let answer = client.send(post).await;
            assert_eq!(answer.code(), Some(1403), "{client}: {}", answer.text());
            assert_eq!(answer.reason().as_deref(), Some("unapproved"), "{client}");
        }
        // As many rows as definitions, whoever has listed them.
        let [tool] = &scene.pending("tool", 1).await[..] else { panic!() };
        assert_eq!((&tool["name"], &tool["state"]), (&json!("echo"), &json!("pending")));
        let [prompt] = &scene.pending("prompt", 1).await[..] else { panic!() };
        scene.approve(tool).await;
        scene.approve(prompt).await;
        for (client, name) in &clients {
            sees(client, &[name]).await;
            scene.passes(client, name).await;
            assert_eq!(listed(client, "prompts/list", "prompts").await.len(), 1, "{client}");
        }
        // One that comes later does not ride on what has been approved.
        scene.lists(&format!(r#"{ECHO},{{"name":"drop_all","inputSchema":{{}}}}"#));
        let [later] = &pending_after(&scene, &clients[0].0, 1).await[..] else { panic!() };
        assert_eq!(later["name"], "drop_all");
        for (client, name) in &clients {
            assert_eq!(listed(client, "tools/list", "tools").await, [*name], "{client}");
            // What was listed a moment before is served for a second.
            let later = name.replace("echo", "drop_all");
            let is_unknown = async || {
                client.send(client.tool(&later, "{}")).await.text().contains("unknown tool")
            };
            within("a list with the new tool", async { while is_unknown().await {} }).await;
            scene.is_refused(client, &later).await;
        }
    }
}

/// What waits, once somebody who lists has brought it up.
async fn pending_after(scene: &Scene, client: &Client, count: usize) -> Vec<Value> {
    let looking = async {
        loop {
            listed(client, "tools/list", "tools").await;
            let path = "pins?state=pending&kind=tool";
            let found = scene.served.must(Method::GET, path, None).await["items"].clone();
            let found = found.as_array().unwrap();
            if found.len() == count {
                return found.clone();
            }
        }
    };
    within("definitions that wait", looking).await
}

#[tokio::test]
async fn h115_a_definition_that_changes_by_one_character_is_gone_at_once() {
    for scene in Scene::each(ECHO).await {
        let clients = scene.clients().await;
        listed(&clients[0].0, "tools/list", "tools").await;
        scene.approve_all(1).await;
        for (client, name) in &clients {
            sees(client, &[name]).await;
            scene.passes(client, name).await;
        }
        scene.lists(&ECHO.replace("again.", "again!"));
        for (client, name) in &clients {
            sees(client, &[]).await;
            scene.is_refused(client, name).await;
        }
        let [changed] = &scene.pending("tool", 1).await[..] else { panic!() };
        let detail = scene.detail(changed).await;
        let approved = scene.served.must(Method::GET, "pins?state=approved", None).await;
        assert_eq!(detail["base"], approved["items"][0]["hash"]);
        let difference = json!({
            "path": "/description", "before": "\"Says it again.\"", "after": "\"Says it again!\"",
        });
        assert_eq!(detail["differences"], json!([difference]));
        // What was approved still is, when it comes back; and the other one once it is approved.
        scene.lists(ECHO);
        for (client, name) in &clients {
            sees(client, &[name]).await;
        }
        scene.lists(&ECHO.replace("again.", "again!"));
        sees(&clients[0].0, &[]).await;
        scene.approve(changed).await;
        for (client, name) in &clients {
            sees(client, &[name]).await;
            scene.passes(client, name).await;
        }
    }
}

#[tokio::test]
async fn h117_every_member_of_a_definition_counts() {
    let whole = json!({
        "name": "echo",
        "title": "Echo",
        "description": "Says it again.",
        "inputSchema": {
            "type": "object",
            "properties": {"mode": {"enum": ["a", "b"], "default": "a"}},
            "additionalProperties": false,
        },
        "outputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true},
        "icons": [{"src": "data:,"}],
        "_meta": {"vendor": 1},
        "vendor": 10,
    });
    let changes = [
        ("/title", json!("Echo!")),
        ("/inputSchema/additionalProperties", json!(true)),
        ("/inputSchema/properties/mode/enum", json!(["a", "b", "c"])),
        ("/inputSchema/properties/mode/default", json!("b")),
        ("/outputSchema/type", json!("array")),
        ("/annotations/readOnlyHint", json!(false)),
        ("/icons", json!([])),
        ("/_meta/vendor", json!(1.0)),
        ("/vendor", json!(11)),
    ];
    let plan = Upstream::of_both_eras();
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, plan.clone(), &whole.to_string()).await;
        let [modern, _] =
            Client::with_token(&scene.served, "/mcp/default/main/mail", &scene.token).await;
        listed(&modern, "tools/list", "tools").await;
        scene.approve_all(1).await;
        for (path, value) in &changes {
            scene.lists(&whole.to_string());
            sees(&modern, &["echo"]).await;
            let mut changed = whole.clone();
            *changed.pointer_mut(path).unwrap() = value.clone();
            scene.lists(&changed.to_string());
            sees(&modern, &[]).await;
            scene.is_refused(&modern, "echo").await;
            let seen = scene.pending("tool", 1).await;
            let detail = scene.detail(&seen[0]).await;
            assert_eq!(detail["differences"].as_array().unwrap().len(), 1, "{detail}");
            assert_eq!(detail["differences"][0]["path"], *path);
            let reject = format!("pins/{}/reject", seen[0]["id"].as_str().unwrap());
            let hash = json!({"hash": seen[0]["hash"]});
            scene.served.must(Method::POST, &reject, Some(hash)).await;
        }
        // Another spelling of the same is the same.
        let spelled = whole.to_string().replace("Says", "\\u0053ays").replace("\":", "\" : ");
        scene.lists(&spelled);
        sees(&modern, &["echo"]).await;
    }
}

#[tokio::test]
async fn h118_what_is_not_seen_is_flagged_and_shown() {
    let hidden = "Says \u{200b}it\u{202e} again\u{e0041}\u{fe0f}\\u001b[31m.";
    let tool = ECHO.replace("Says it again.", hidden);
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, Upstream::of_both_eras(), &tool).await;
        let [modern, _] =
            Client::with_token(&scene.served, "/mcp/default/main/mail", &scene.token).await;
        assert!(listed(&modern, "tools/list", "tools").await.is_empty());
        let [pin] = &scene.pending("tool", 1).await[..] else { panic!() };
        let marks = ["ansi", "bidi", "tag", "variation_selector", "zero_width"];
        assert_eq!(pin["marks"], json!(marks));
        let shown = r#""Says \u{200b}it\u{202e} again\u{e0041}\u{fe0f}\u001b[31m.""#;
        let detail = scene.detail(pin).await;
        assert!(detail["definition"].as_str().unwrap().contains(shown), "{detail}");
        assert_eq!(detail["differences"][0]["after"], shown);
        assert!(detail.to_string().is_ascii(), "{detail}");
    }
}

#[tokio::test]
async fn h164_an_approval_is_for_what_was_looked_at() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, Upstream::of_both_eras(), ECHO).await;
        let [modern, _] =
            Client::with_token(&scene.served, "/mcp/default/main/mail", &scene.token).await;
        listed(&modern, "tools/list", "tools").await;
        let [first] = &scene.pending("tool", 1).await[..] else { panic!() };
        scene.lists(&ECHO.replace("again.", "twice."));
        let seen = pending_after(&scene, &modern, 2).await;
        let [_, second] = &seen[..] else { panic!() };
        let approve = format!("pins/{}/approve", first["id"].as_str().unwrap());
        let (theirs, own) = (json!({"hash": second["hash"]}), json!({"hash": first["hash"]}));
        for (body, status) in [(theirs, 409), (own, 409), (json!({}), 400)] {
            let reply = scene.served.ask(Method::POST, &approve, Some(body)).await;
            assert_eq!(reply.status, status, "{reply:?}");
        }
        let anyway = json!({"hash": first["hash"], "even_if_replaced": true});
        scene.served.must(Method::POST, &approve, Some(anyway)).await;
        assert!(listed(&modern, "tools/list", "tools").await.is_empty(), "the other one is listed");
        scene.is_refused(&modern, "echo").await;
        // Much at once is bound as tightly.
        let all = "servers/mail/pins/approve";
        let hashes = json!({"hashes": [second["hash"], first["hash"]]});
        let reply = scene.served.ask(Method::POST, all, Some(hashes)).await;
        assert_eq!(reply.status, 409, "one of them does not wait: {reply:?}");
        scene.is_refused(&modern, "echo").await;
        let hashes = json!({"hashes": [second["hash"]]});
        scene.served.must(Method::POST, all, Some(hashes)).await;
        sees(&modern, &["echo"]).await;
        let (id, hash) = (second["id"].as_str().unwrap(), second["hash"].as_str().unwrap());
        let reject = format!("pins/{id}/reject");
        scene.served.must(Method::POST, &reject, Some(json!({"hash": hash}))).await;
        sees(&modern, &[]).await;
        scene.is_refused(&modern, "echo").await;
        let records = scene.site.records();
        let told = records.iter().filter(|it| it.leaf.to_string().contains(hash)).count();
        assert!(3 <= told, "both decisions are recorded with the hash: {told}");
    }
}

#[tokio::test]
async fn listeners_hear_of_decisions() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, Upstream::of_both_eras(), ECHO).await;
        let [modern, legacy] =
            Client::with_token(&scene.served, "/mcp/default/main", &scene.token).await;
        for client in [&modern, &legacy] {
            client.warm_up().await;
        }
        let filter = r#""notifications":{"toolsListChanged":true}"#;
        let mut streams = [
            modern.open(modern.request("subscriptions/listen", filter)).await,
            legacy.open(legacy.get()).await,
        ];
        let acknowledged = streams[0].message().await;
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        let [pin] = &scene.pending("tool", 1).await[..] else { panic!() };
        for deed in ["approve", "reject"] {
            let path = format!("pins/{}/{deed}", pin["id"].as_str().unwrap());
            scene.served.must(Method::POST, &path, Some(json!({"hash": pin["hash"]}))).await;
            for stream in &mut streams {
                assert_eq!(stream.message().await["method"], CHANGED, "{deed}");
            }
        }
    }
}

#[tokio::test]
async fn people_to_whom_a_server_shows_other_definitions_need_approvals_of_their_own() {
    let by_credential = |call: tests::Arrived| async move {
        let whose = call.header("authorization").unwrap_or_default().to_owned();
        call.result(&result(&format!("[{}]", ECHO.replace("it again", &whose))));
    };
    let plan = Upstream::of_both_eras().on("tools/list", by_credential).echoing();
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = plan.clone().start().await;
        let documents = documents(&http(&upstream.url))
            .gateway("own", "dev", &["server: mail, scheme: own"])
            .app("one", "ann", &[])
            .app("two", "bob", &[]);
        let served = site.start_with(&documents).await;
        let mut clients = Vec::new();
        for (app, owner) in [("one", "ann"), ("two", "bob")] {
            let headers = json!({"Authorization": format!("Bearer {owner}")});
            let identity =
                json!({"name": owner, "server": "mail", "owner": owner, "headers": headers});
            served.must(Method::POST, "identities", Some(identity)).await;
            let connection = json!({"gateway": "own", "identities": [owner]});
            let path = format!("apps/{app}/connections");
            served.must(Method::POST, &path, Some(connection)).await;
            let token = served.token(app, "t").await;
            clients.push(Client::modern_with_token(&served, "/mcp/default/own/mail", &token));
        }
        for client in &clients {
            assert!(listed(client, "tools/list", "tools").await.is_empty());
        }
        let (token, tools) = (String::new(), Arc::default());
        let scene = Scene { tools, upstream, served, site, token };
        let pins = scene.pending("tool", 2).await;
        let anyway = |pin: &Value| json!({"hash": pin["hash"], "even_if_replaced": true});
        let approve = |pin: &Value| format!("pins/{}/approve", pin["id"].as_str().unwrap());
        let detail = scene.detail(&pins[0]).await;
        let first = usize::from(!detail["definition"].as_str().unwrap().contains("Bearer ann"));
        let anns = &pins[first];
        scene.served.must(Method::POST, &approve(anns), Some(anyway(anns))).await;
        sees(&clients[0], &["echo"]).await;
        assert!(listed(&clients[1], "tools/list", "tools").await.is_empty());
        scene.is_refused(&clients[1], "echo").await;
        let bobs = &pins[1 - first];
        scene.served.must(Method::POST, &approve(bobs), Some(anyway(bobs))).await;
        for client in &clients {
            sees(client, &["echo"]).await;
        }
    }
}

#[tokio::test]
async fn what_is_taken_away_and_given_back_under_another_name_is_another_tool() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let scene = Scene::of(site, Upstream::of_both_eras(), ECHO).await;
        let path = "/mcp/default/main/mail";
        let [modern, legacy] = Client::with_token(&scene.served, path, &scene.token).await;
        assert_eq!((modern.era, legacy.era), (Era::Modern, Era::Legacy));
        listed(&modern, "tools/list", "tools").await;
        scene.approve_all(1).await;
        sees(&modern, &["echo"]).await;
        scene.lists("");
        sees(&modern, &[]).await;
        scene.lists(ECHO);
        sees(&modern, &["echo"]).await;
        scene.lists(&ECHO.replace("\"echo\"", "\"Echo\""));
        sees(&modern, &[]).await;
        scene.is_refused(&modern, "Echo").await;
        assert_eq!(scene.pending("tool", 1).await[0]["name"], "Echo");
    }
}
