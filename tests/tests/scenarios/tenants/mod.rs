//! Two workspaces that look the same, each with a server of its own: whatever a client of the one has,
//! a token, a session, a state, a task or a name, it is nothing in the other.

mod back;
mod counted;

use http::Method;
use mcp::methods::{self, Direction, Form, Names};
use mcp::revision::Era as Speech;
use serde_json::{Value, json};
use tests::{Answer, Client, Documents, Era, Plan, Post, Served, Site, Upstream};

/// Two workspaces of the same documents, and their servers.
struct Scene {
    site: Site,
    served: Served,
    ours: Tenant,
    theirs: Tenant,
}

struct Tenant {
    workspace: &'static str,
    server: Upstream,
    /// Of its app `bot`.
    token: String,
    /// Of somebody who may do everything in it.
    admin: String,
}

/// On every answer, list and error of their server, and in no text of ours.
const CANARY: &str = "canary";

impl Scene {
    async fn on_each_database(plan: impl Fn(&str) -> Plan) -> Vec<Self> {
        let mut all = Vec::new();
        for site in Site::on_each(db::testing::postgres_url().await) {
            let (here, there) = (plan("plain").start().await, plan(CANARY).start().await);
            let above = "---\nkind: Workspace\nname: beside\n---\n";
            let documents = [&here, &there].map(|it| Documents::of_two_people("up", &it.url));
            let served = site.start_with(&documents.map(|it| it.to_string()).join(above)).await;
            let ours = Tenant::of(&served, "default", here).await;
            let theirs = Tenant::of(&served, "beside", there).await;
            all.push(Self { site, served, ours, theirs });
        }
        all
    }

    /// Who presents a token at a path.
    fn client(&self, path: &str, token: &str) -> Client {
        Client::modern_with_token(&self.served, path, token)
    }

    async fn legacy(&self, path: &str, token: &str) -> Client {
        let [_, legacy] = Client::with_token(&self.served, path, token).await;
        legacy
    }
}

impl Tenant {
    async fn of(served: &Served, workspace: &'static str, server: Upstream) -> Self {
        let here = |path: &str| format!("/workspaces/{workspace}/{path}");
        let secret = async |path: &str| {
            let made = served.must(Method::POST, &here(path), Some(json!({"name": "t"}))).await;
            made["secret"].as_str().unwrap().to_owned()
        };
        let grant = json!({"name": "all", "role": "workspace-admin", "user": "ann"});
        served.must(Method::POST, &here("role-grants"), Some(grant)).await;
        let token = secret("apps/bot/tokens").await;
        let admin = secret("users/ann/admin-tokens").await;
        Self { workspace, server, token, admin }
    }

    fn path(&self, rest: &str) -> String {
        format!("/mcp/{}/{rest}", self.workspace)
    }

    /// What has been asked of its server.
    fn seen(&self) -> usize {
        self.server.seen().len()
    }
}

/// A server whose every word holds a word.
fn speaking(word: &str) -> Plan {
    let result = |members: &str| members.replace("WORD", word);
    let tools = result(
        r#"[{"name":"echo","description":"WORD","inputSchema":{"type":"object"}},
            {"name":"WORD","description":"WORD","inputSchema":{"type":"object"}}]"#,
    );
    let prompts = result(r#"{"prompts":[{"name":"hello","description":"WORD"}]}"#);
    let resources = result(r#"{"resources":[{"uri":"test://WORD","name":"WORD"}]}"#);
    let templates =
        result(r#"{"resourceTemplates":[{"uriTemplate":"test://WORD/{a}","name":"WORD"}]}"#);
    let said = result(r#"{"content":[{"type":"text","text":"WORD"}]}"#);
    let got = result(
        r#"{"messages":[{"role":"user","content":{"type":"text","text":"WORD"}}],"description":"WORD"}"#,
    );
    let read = result(r#"{"contents":[{"uri":"test://WORD","text":"WORD"}]}"#);
    let answer = |text: String| {
        move |call: tests::Arrived| {
            let text = text.clone();
            async move { call.result(&text) }
        }
    };
    Upstream::of_both_eras()
        .with_tools(&tools)
        .with_capabilities(
            r#"{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}}"#,
        )
        .on("tools/call", answer(said))
        .on("prompts/list", answer(prompts))
        .on("prompts/get", answer(got))
        .on("resources/list", answer(resources))
        .on("resources/templates/list", answer(templates))
        .on("resources/read", answer(read))
}

/// Every message of a client that a revision of its era knows, about what is there in both workspaces.
fn messages(client: &Client) -> Vec<(&'static str, Post)> {
    let era = match client.era {
        Era::Legacy => Speech::Legacy,
        Era::Modern => Speech::Modern,
    };
    let mut all = Vec::new();
    for method in methods::all().iter().filter(|it| it.is_in_era(era)) {
        if method.direction == Direction::ToClient {
            continue;
        }
        let members = match (method.names, method.name) {
            (Names::Tool, _) => r#""name":"echo","arguments":{}"#,
            (Names::Prompt, _) => r#""name":"hello""#,
            (Names::ResourceUri, _) => r#""uri":"test://canary""#,
            (Names::CompletionRef, _) => {
                r#""ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"a","value":"b"}"#
            }
            (Names::TaskId, _) => r#""taskId":"canary-1""#,
            (Names::Nothing, "subscriptions/listen") => {
                r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://canary"]}"#
            }
            (Names::Nothing, "logging/setLevel") => r#""level":"debug""#,
            (Names::Nothing, "notifications/cancelled") => r#""requestId":1"#,
            (Names::Nothing, "notifications/progress") => r#""progressToken":1,"progress":1"#,
            (Names::Nothing, _) => "",
        };
        let post = match method.form {
            _ if method.name == "initialize" => client.initialize(),
            Form::Notification => client.notification(method.name, members),
            Form::Request => client.request(method.name, members),
        };
        all.push((method.name, post));
    }
    assert!(8 < all.len(), "{all:?}");
    all
}

/// What is answered, but for what is new each time.
fn told(answer: &Answer) -> (u16, Vec<Value>) {
    let mut messages = Vec::new();
    for message in &answer.messages {
        let mut message: Value = serde_json::from_slice(message).unwrap_or_default();
        message["id"] = Value::Null;
        messages.push(message);
    }
    (answer.status, messages)
}

#[tokio::test]
async fn h159_every_method_at_the_gateways_of_another_workspace_is_asked_of_nobody() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, .. } = &scene;
        let own = scene.legacy(&ours.path("main"), &ours.token).await;
        own.warm_up().await;
        let theirs_own = scene.client(&theirs.path("main"), &theirs.token);
        theirs_own.warm_up().await;
        let known = (ours.seen(), theirs.seen());
        let kept = scene.served.must(Method::GET, "/workspaces/beside/records", None).await;
        let mut tried = 0;
        for rest in ["main", "main/up", "side", "side/up", ""] {
            let there = theirs.path(rest);
            let there = there.trim_end_matches('/');
            let nowhere = format!("/mcp/nowhere/{rest}");
            for path_to in [there, &there.replace("/mcp/", "/sse/")] {
                let prefix = path_to.split('/').nth(1).unwrap();
                let nowhere = nowhere.replace("/mcp/", &format!("/{prefix}/"));
                for era in [Era::Modern, Era::Legacy] {
                    let of = |path: &str| {
                        let client = scene.client(path, &ours.token);
                        match era {
                            Era::Modern => client,
                            Era::Legacy => client.in_session(),
                        }
                    };
                    let thief = of(path_to);
                    let lost = of(nowhere.trim_end_matches('/'));
                    for ((method, post), (_, same)) in
                        messages(&thief).into_iter().zip(messages(&lost))
                    {
                        let row = format!("{method} at {path_to} of {era:?}");
                        let answer = thief.send(post).await;
                        assert!(!answer.text().contains(CANARY), "{row}: {}", answer.text());
                        assert!((400..500).contains(&answer.status), "{row}: {}", answer.text());
                        assert_eq!(told(&answer), told(&lost.send(same).await), "{row}");
                        tried += 1;
                    }
                    for post in [thief.get(), thief.delete()] {
                        let answer = thief.send(post).await;
                        assert!(
                            (400..500).contains(&answer.status),
                            "{path_to}: {}",
                            answer.text()
                        );
                        assert!(!answer.text().contains(CANARY), "{path_to}: {}", answer.text());
                    }
                }
            }
        }
        assert!(100 < tried, "{tried}");
        assert_eq!((ours.seen(), theirs.seen()), known, "something was asked of a server");
        // Their log tells that somebody was refused, and not who.
        let app = scene.served.must(Method::GET, "apps/bot", None).await["id"].clone();
        let path = "/workspaces/beside/records?limit=200";
        let told = scene.served.must(Method::GET, path, None).await;
        let told = told["items"].as_array().unwrap();
        assert!(kept["items"].as_array().unwrap().len() < told.len());
        assert!(!told.iter().any(|it| it["record"]["app"] == app), "{app} in {told:?}");
    }
}

/// The same names lead to one's own server, and nothing that one has heard is told to the other.
#[tokio::test]
async fn h159_what_is_called_the_same_is_not_the_same_in_two_workspaces() {
    for scene in Scene::on_each_database(speaking).await {
        let Scene { ours, theirs, served, .. } = &scene;
        for rest in ["main", "main/up"] {
            for tenant in [theirs, ours, theirs, ours] {
                let (own, other) = if tenant.workspace == ours.workspace {
                    ("plain", CANARY)
                } else {
                    (CANARY, "plain")
                };
                let clients = Client::with_token(served, &tenant.path(rest), &tenant.token).await;
                for client in &clients {
                    let row = format!("{client} at {}", client.path());
                    let prefix = if rest == "main" { "up__" } else { "" };
                    let uri = listed_uri(client, own).await;
                    let asked = [
                        client.request("tools/list", ""),
                        client.request("prompts/list", ""),
                        client.request("resources/list", ""),
                        client.request("resources/templates/list", ""),
                        client.tool(&format!("{prefix}echo"), "{}"),
                        client.request("prompts/get", &format!(r#""name":"{prefix}hello""#)),
                        client.request("resources/read", &format!(r#""uri":{uri}"#)),
                    ];
                    for post in asked {
                        let answer = client.send(post).await;
                        assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
                        assert!(answer.text().contains(own), "{row}: {}", answer.text());
                        assert!(!answer.text().contains(other), "{row}: {}", answer.text());
                    }
                }
            }
        }
        // What is recorded of the one is not in the log of the other, whoever looks.
        let path = format!("/workspaces/{}/records?limit=200", ours.workspace);
        for token in [&ours.admin, served.admin()] {
            let page = served.ask_as(token, Method::GET, &path, None).await;
            assert_eq!(page.status, 200, "{page:?}");
            assert!(page.body["items"].as_array().unwrap().len() > 8, "{page:?}");
            assert!(!page.body.to_string().contains(CANARY), "{page:?}");
            assert!(!page.body.to_string().contains(theirs.workspace), "{page:?}");
        }
        // What only the other's server has is nowhere, by any of its names.
        let own = scene.client(&ours.path("main/up"), &ours.token);
        let known = theirs.seen();
        let answer = own.send(own.tool(CANARY, "{}")).await;
        assert!(answer.text().contains("unknown tool"), "{}", answer.text());
        let uri = format!(r#""uri":"test://{CANARY}""#);
        let read = own.send(own.request("resources/read", &uri)).await;
        assert!(!read.text().contains(r#""text":"canary""#), "{}", read.text());
        assert_eq!(theirs.seen(), known);
        let metrics = served.metrics().await;
        let names: String = metrics.keys().map(String::as_str).collect();
        assert!(!names.contains(theirs.workspace) && !names.contains("echo"), "{names}");
    }
}

/// The URI of the first resource, in quotes.
async fn listed_uri(client: &Client, word: &str) -> String {
    let listed = client.send(client.request("resources/list", "")).await.json();
    let uri = listed["result"]["resources"][0]["uri"].to_string();
    assert!(uri.contains(word), "{listed}");
    uri
}
