//! Extensions: on the URL of one server they pass untouched; where servers are joined, what cannot be
//! carried is withheld as a whole.

use futures::future::join;
use serde_json::{Value, json};
use tests::{Answer, Client, Documents, Era, Plan, Served, Site, Upstream};

const ALONE: &str = "/mcp/default/main/files";
const JOINED: &str = "/mcp/default/main";
const CAPABILITIES: &str = r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]},"com.example/x":{"n":1.0}}}"#;
const DECLARED: &str = r#"{"tools":{},"resources":{},"prompts":{},"extensions":{"io.modelcontextprotocol/ui":{},"com.example/x":{"n":1.0}}}"#;

/// A tool with a page, one that is there for that page alone, and one with neither.
const SHOW: &str = r#"{"name":"show","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://view"},"v/x":1.0,"ui/resourceUri":"ui://view"}}"#;
const REFRESH: &str = r#"{"name":"refresh","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://view","visibility":["app"]}}}"#;
const PLAIN: &str = r#"{"name":"plain","inputSchema":{"type":"object"}}"#;
const PAGE: &str = r#"{"uri":"ui://view","mimeType":"text/html;profile=mcp-app","_meta":{"ui":{"csp":{"connectDomains":["https://a.example"]},"prefersBorder":true}}}"#;

fn plan() -> Plan {
    let hints = r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#;
    let resources = format!(
        r#"{{{hints},"resources":[{PAGE},{{"uri":"skill://a/SKILL.md","name":"a"}},{{"uri":"file:///x","name":"x"}}]}}"#
    );
    let templates = format!(
        r#"{{{hints},"resourceTemplates":[{{"uriTemplate":"ui://{{v}}","name":"v"}},{{"uriTemplate":"file:///{{x}}","name":"x"}}]}}"#
    );
    Upstream::of_both_eras()
        .with_capabilities(DECLARED)
        .with_tools(&format!("[{SHOW},{REFRESH},{PLAIN}]"))
        .on("resources/list", move |asked| {
            let resources = resources.clone();
            async move { asked.result(&resources) }
        })
        .on("resources/templates/list", move |asked| {
            let templates = templates.clone();
            async move { asked.result(&templates) }
        })
}

struct World {
    server: Upstream,
    served: Served,
    _site: Site,
    token: String,
}

impl World {
    async fn on_each_database() -> Vec<Self> {
        let mut worlds = Vec::new();
        for site in Site::on_each(db::testing::postgres_url().await) {
            let server = plan().start().await;
            let served = site.start_with(&Documents::of("files", &server.url)).await;
            let token = served.token("bot", "t").await;
            worlds.push(Self { server, served, _site: site, token });
        }
        worlds
    }

    async fn clients(&self, path: &str) -> [Client; 2] {
        let mut modern = Client::modern_with_token(&self.served, path, &self.token);
        CAPABILITIES.clone_into(&mut modern.capabilities);
        let place = (path, self.token.as_str());
        let legacy =
            Client::legacy_with_token(&self.served, place, "2025-11-25", CAPABILITIES).await;
        [modern, legacy]
    }
}

async fn list(client: &Client, method: &str) -> Answer {
    let answer = client.send(client.request(method, "")).await;
    assert_eq!(answer.status, 200, "{client}: {}", answer.text());
    answer
}

fn all<'a>(answer: &'a Value, member: &str, key: &str) -> Vec<&'a str> {
    let items = answer["result"][member].as_array().unwrap();
    items.iter().map(|it| it[key].as_str().unwrap()).collect()
}

/// What was declared to the server with a call, or when the session was opened that it came in.
fn told(world: &World, client: &Client) -> Value {
    let seen = |method: &str| {
        let last = world.server.seen_of(method).pop().unwrap();
        serde_json::from_str::<Value>(&last.body).unwrap()["params"].clone()
    };
    match client.era {
        Era::Modern => {
            seen("tools/call")["_meta"]["io.modelcontextprotocol/clientCapabilities"].clone()
        }
        Era::Legacy => seen("initialize")["capabilities"].clone(),
    }
}

#[tokio::test]
async fn on_the_url_of_one_server_extensions_pass_untouched() {
    for world in World::on_each_database().await {
        for client in world.clients(ALONE).await {
            let tools = list(&client, "tools/list").await.text();
            assert!(tools.contains(&format!("[{SHOW},{REFRESH},{PLAIN}]")), "{client}: {tools}");
            let listing = world.server.seen_of("tools/list").pop().unwrap();
            let is_told = listing.body.contains("profile=mcp-app");
            assert_eq!(is_told, client.era == Era::Modern, "{client}: {}", listing.body);
            let resources = list(&client, "resources/list").await.text();
            assert!(resources.contains(PAGE), "{client}: {resources}");
            let page = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[{"uri":"ui://view","text":"<p>","_meta":{"ui":{"csp":{"connectDomains":["https://a.example"]},"permissions":{"camera":{}}}}}]}"#;
            let read = client.request("resources/read", r#""uri":"ui://view""#);
            let (read, ()) = join(client.send(read), async {
                let asked = world.server.next().await;
                assert_eq!(asked.raw(&["params", "uri"]), r#""ui://view""#);
                asked.result(page);
            })
            .await;
            let kept = r#""_meta":{"ui":{"csp":{"connectDomains":["https://a.example"]},"permissions":{"camera":{}}}}"#;
            assert!(read.text().contains(kept), "{client}: {}", read.text());
            let (answer, ()) = join(client.send(client.tool("refresh", "{}")), async {
                let result = r#"{"resultType":"complete","content":[{"type":"resource_link","uri":"file:///x","name":"x"}],"_meta":{"ui":{"x":1.0}}}"#;
                world.server.next().await.result(result);
            })
            .await;
            assert!(answer.text().contains(r#""uri":"file:///x""#), "{client}: {}", answer.text());
            assert!(answer.text().contains(r#""ui":{"x":1.0}"#), "{client}: {}", answer.text());
            let expected: Value = serde_json::from_str(CAPABILITIES).unwrap();
            assert_eq!(told(&world, &client), expected, "{client}");
        }
    }
}

#[tokio::test]
async fn where_servers_are_joined_apps_and_skills_are_withheld_as_a_whole() {
    for world in World::on_each_database().await {
        for client in world.clients(JOINED).await {
            let tools = list(&client, "tools/list").await;
            assert_eq!(all(&tools.json(), "tools", "name"), ["files__show", "files__plain"]);
            assert_eq!(tools.json()["result"]["tools"][0]["_meta"], json!({"v/x": 1.0}));
            assert!(tools.text().contains(r#""v/x":1.0"#), "{client}: as it was written");
            let resources = list(&client, "resources/list").await.json();
            assert_eq!(all(&resources, "resources", "uri"), ["files+file:///x"], "{client}");
            let templates = list(&client, "resources/templates/list").await.json();
            let uris = all(&templates, "resourceTemplates", "uriTemplate");
            assert_eq!(uris, ["files+file:///{x}"], "{client}");
            let known = world.server.calls().len();
            let unknown = if client.era == Era::Modern { "200/-32602" } else { "200/-32002" };
            for uri in ["files+ui://view", "files+UI://view", "files+skill://a/SKILL.md"] {
                let read = client.request("resources/read", &format!(r#""uri":"{uri}""#));
                let answer = client.send(read).await;
                let verdict = answer.verdict();
                assert!(verdict == unknown || verdict == "200/-32602", "{client} {uri}: {verdict}");
            }
            let answer = client.send(client.tool("files__refresh", "{}")).await;
            assert_eq!(answer.verdict(), "200/-32602", "{client}: {}", answer.text());
            for method in ["skills/list", "skills/get", "resources/directory/read"] {
                let answer = client.send(client.request(method, r#""uri":"skill://a""#)).await;
                assert_eq!(answer.code(), Some(-32601), "{client} {method}: {}", answer.text());
            }
            assert_eq!(world.server.calls().len(), known, "{client}: nothing of it has left");
            let (answer, ()) = join(client.send(client.tool("files__show", "{}")), async {
                let result = r#"{"resultType":"complete","content":[],"_meta":{"ui":{"resourceUri":"ui://view"},"v":1.0}}"#;
                world.server.next().await.result(result);
            })
            .await;
            let meta = &answer.json()["result"]["_meta"];
            assert_eq!(*meta, json!({"v": 1.0}), "{client}: {}", answer.text());
            let told = told(&world, &client);
            let none = json!({"extensions": {}});
            assert_eq!(told, none, "{client}: the server is told of no apps");
        }
    }
}

#[tokio::test]
async fn what_a_place_can_do_says_so_too() {
    let world = World::on_each_database().await.remove(0);
    let extensions: Value = serde_json::from_str(DECLARED).unwrap();
    for (path, expected) in [(ALONE, extensions["extensions"].clone()), (JOINED, Value::Null)] {
        let [modern, legacy] = world.clients(path).await;
        let discovered = modern.send(modern.request("server/discover", "")).await.json();
        assert_eq!(discovered["result"]["capabilities"]["extensions"], expected, "{path}");
        let opened = legacy.send(legacy.initialize().without("mcp-session-id")).await.json();
        assert_eq!(opened["result"]["capabilities"]["extensions"], expected, "{path}");
    }
}

#[tokio::test]
async fn what_results_refer_to_can_be_read_where_servers_are_joined() {
    for world in World::on_each_database().await {
        for client in world.clients(JOINED).await {
            client.warm_up().await;
            let link = r#"{"type":"resource_link","uri":"file:\/\/\/x","name":"x","size":1.0}"#;
            let within =
                r#"{"type":"resource","resource":{"uri":"file:///y","text":"see file:///x"}}"#;
            let web = r#"{"type":"resource_link","uri":"https://a.example/","name":"w"}"#;
            let result = format!(
                r#"{{"resultType":"complete","content":[{link},{within},{web}],"structuredContent":{{"uri":"file:///x"}}}}"#
            );
            let (answer, ()) = join(client.send(client.tool("files__plain", "{}")), async {
                world.server.next().await.result(&result);
            })
            .await;
            let expected = format!(
                r#""content":[{},{},{web}],"structuredContent":{{"uri":"file:///x"}}"#,
                r#"{"type":"resource_link","uri":"files+file:///x","name":"x","size":1.0}"#,
                r#"{"type":"resource","resource":{"uri":"files+file:///y","text":"see file:///x"}}"#,
            );
            assert!(answer.text().contains(&expected), "{client}: {}", answer.text());
            let read = client.request("resources/read", r#""uri":"files+file:///x""#);
            let (read, ()) = join(client.send(read), async {
                let asked = world.server.next().await;
                assert_eq!(asked.raw(&["params", "uri"]), r#""file:///x""#, "{client}");
                let contents = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[{"uri":"file:///x","text":""}]}"#;
                asked.result(contents);
            })
            .await;
            let uri = &read.json()["result"]["contents"][0]["uri"];
            assert_eq!(*uri, "files+file:///x", "{client}");
            let get = client.request("prompts/get", r#""name":"files__hello""#);
            let (got, ()) = join(client.send(get), async {
                let result = format!(
                    r#"{{"resultType":"complete","messages":[{{"role":"user","content":{within}}}]}}"#
                );
                world.server.next().await.result(&result);
            })
            .await;
            let uri = &got.json()["result"]["messages"][0]["content"]["resource"]["uri"];
            assert_eq!(*uri, "files+file:///y", "{client}: {}", got.text());
        }
    }
}
