//! An agent that administers a gateway by MCP, with clients that others wrote.

use http::{Method, Request};
use http_body_util::Full;
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use tests::line::Line;
use tests::peers::run_client;
use tests::wait::within;
use tests::{Client, Piped, Served, Site, Upstream};

/// Kim is `workspace-admin`; Bob is nobody in particular.
const WORLD: &str = r#"
kind: Workspace
name: default
---
kind: User
name: bob
---
kind: User
name: kim
---
kind: RoleGrant
name: kim-is-admin
role: workspace-admin
user: kim
"#;

/// Someone with the Rust SDK.
struct Agent(RunningService<RoleClient, ()>);

impl Agent {
    async fn of(served: &Served, token: &str, mode: ClientLifecycleMode) -> Self {
        // There is no TLS here, and yet the client's library wants to know whose it would be.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let url = format!("http://{}/mcp-admin", served.address);
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
        let transport = StreamableHttpClientTransport::from_config(config);
        Self(().serve_with_lifecycle(transport, mode).await.unwrap())
    }

    async fn tools(&self) -> Vec<String> {
        let tools = self.0.list_all_tools().await.unwrap();
        tools.into_iter().map(|it| it.name.into_owned()).collect()
    }

    /// What came of a call, as `structuredContent`.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let Value::Object(arguments) = arguments else { panic!("{arguments}") };
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.0.call_tool(call).await.unwrap();
        serde_json::to_value(result).unwrap()["structuredContent"].clone()
    }

    /// The body of what must work.
    async fn must(&self, tool: &str, arguments: Value) -> Value {
        let said = self.call(tool, arguments).await;
        assert!(matches!(said["status"].as_u64(), Some(200..=299)), "{tool}: {said}");
        said["body"].clone()
    }
}

fn modes() -> [ClientLifecycleMode; 2] {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    [ClientLifecycleMode::Initialize, ClientLifecycleMode::Discover { preferred_versions }]
}

#[tokio::test]
async fn an_agent_manages_a_gateway_and_all_of_it_is_in_the_record() {
    for mode in modes() {
        for site in Site::on_each(db::testing::postgres_url().await) {
            let upstream = Upstream::of_both_eras().echoing().start().await;
            let served = site.start_with(WORLD).await;
            let kim = user_token(&served, "default", "kim").await;
            let agent = Agent::of(&served, &kim, mode.clone()).await;
            let secret = set_up(&agent, &upstream).await;
            let [client, _] = Client::with_token(&served, "/mcp/default/main", &secret).await;
            let names = async || {
                let answer = client.send(client.request("tools/list", "")).await.json();
                let tools = answer["result"]["tools"].as_array().unwrap().clone();
                tools.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(names().await, [""; 0], "nothing is approved");
            let pin = pin(&agent, "echo").await;
            let approve = json!({"pin": pin["id"], "body": {"hash": pin["hash"]}});
            agent.must("approve_pin", approve).await;
            let listed = async { while names().await != ["mail__echo"] {} };
            within("what is approved", listed).await;
            let passes = async || {
                let answer = client.send(client.tool("mail__echo", r#"{"n":1}"#)).await;
                answer.text().contains(r#""structuredContent":{"n":1}"#)
            };
            assert!(passes().await);
            let tool = json!({"body": {"kind": "tool", "name": "mail/echo", "reason": "odd"}});
            agent.must("create_cutoff", tool.clone()).await;
            assert!(!passes().await, "it is off");
            let tool = json!({"body": {"kind": "tool", "name": "mail/echo"}});
            agent.must("create_restore", tool).await;
            assert!(passes().await);
            agent.0.cancel().await.unwrap();
            assert!(served.stop().await.success());
            is_recorded(&site).await;
        }
    }
}

/// A server, a gateway with it, and an app of Ann's that is connected; gives the app's token.
async fn set_up(agent: &Agent, upstream: &Upstream) -> String {
    let transport = json!({"type": "http", "url": upstream.url});
    let body = |it: Value| json!({ "body": it });
    let server = body(json!({"name": "mail", "transport": transport}));
    agent.must("create_server", server).await;
    agent.must("create_user", body(json!({"name": "ann"}))).await;
    agent.must("create_team", body(json!({"name": "dev"}))).await;
    agent.must("add_member", json!({"team": "dev", "user": "ann"})).await;
    agent.must("create_gateway", body(json!({"name": "main"}))).await;
    agent.must("add_grant", json!({"gateway": "main", "team": "dev"})).await;
    let assignment = json!({"gateway": "main", "body": {"server": "mail"}});
    agent.must("create_assignment", assignment).await;
    let app = body(json!({"name": "bot", "owner": "ann", "purpose": "triage"}));
    agent.must("create_app", app).await;
    let connection = json!({"app": "bot", "body": {"gateway": "main"}});
    agent.must("create_connection", connection).await;
    let made = agent.must("create_token", json!({"app": "bot", "body": {"name": "ci"}})).await;
    made["secret"].as_str().unwrap().to_owned()
}

/// What waits for approval under that name, once it has been listed.
async fn pin(agent: &Agent, name: &str) -> Value {
    let looking = async {
        loop {
            let found = agent.must("list_pins", json!({"state": "pending", "name": name})).await;
            if let Some(pin) = found["items"].get(0) {
                return pin.clone();
            }
        }
    };
    within("a definition that waits", looking).await
}

async fn is_recorded(site: &Site) {
    let (code, said) = site.verify().await;
    assert_eq!(code, Some(0), "{said}");
    let records = site.records();
    let acts: Vec<String> = records
        .iter()
        .filter(|it| it.text("via") == Some("mcp"))
        .filter(|it| it.text("phase") == Some("ended"))
        .map(|it| it.text("action").unwrap().replace("/workspaces/{workspace}", ""))
        .collect();
    let expected = [
        "POST /servers",
        "POST /users",
        "POST /teams",
        "PUT /teams/{team}/members/{user}",
        "POST /gateways",
        "PUT /gateways/{gateway}/teams/{team}",
        "POST /gateways/{gateway}/assignments",
        "POST /apps",
        "POST /apps/{app}/connections",
        "POST /apps/{app}/tokens",
        "POST /pins/{pin}/approve",
        "POST /cutoffs",
        "POST /restores",
    ];
    assert_eq!(acts, expected);
}

#[tokio::test]
async fn h159_an_agent_is_stopped_at_the_edge_of_its_rights() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().echoing().start().await;
        let served = site.start_with(WORLD).await;
        served.must(Method::POST, "/workspaces", Some(json!({"name": "other"}))).await;
        served.must(Method::POST, "/workspaces/other/users", Some(json!({"name": "eve"}))).await;
        let grant = json!({"name": "g", "role": "workspace-admin", "user": "eve"});
        served.must(Method::POST, "/workspaces/other/role-grants", Some(grant)).await;
        let [_, modern] = modes();
        let eve = user_token(&served, "other", "eve").await;
        let eve = Agent::of(&served, &eve, modern.clone()).await;
        let server = json!({"name": "mail", "transport": {"type": "http", "url": upstream.url}});
        let here = json!({"workspace": "default", "body": server});
        assert_eq!(eve.call("create_server", here).await["status"], 404);
        for workspace in ["default", "../default", "other/../default", "other%2F..%2Fdefault"] {
            let there = json!({"workspace": workspace, "server": "mail"});
            assert_eq!(eve.call("show_server", there).await["status"], 404, "{workspace}");
        }
        assert_eq!(eve.call("create_server", json!({"body": server})).await["status"], 201);
        assert_eq!(served.ask(Method::GET, "servers/mail", None).await.status, 404, "not here");

        let bob = user_token(&served, "default", "bob").await;
        let agent = Agent::of(&served, &bob, modern).await;
        let tools = agent.tools().await;
        assert!(tools.iter().any(|it| it == "show_user"), "{tools:?}");
        assert!(!tools.iter().any(|it| it == "create_server"), "{tools:?}");
        let told = agent.call("create_server", json!({"body": server})).await;
        assert_eq!((&told["status"], &told["code"]), (&json!(403), &json!("forbidden")));
        assert_eq!(agent.call("delete_team", json!({"team": "dev"})).await["code"], "unconfirmed");
        // Whoever is turned off is nobody with the next message.
        let off = json!({"kind": "user", "name": "bob"});
        served.must(Method::POST, "cutoffs", Some(off)).await;
        let call = CallToolRequestParams::new("show_session");
        assert!(agent.0.call_tool(call).await.is_err(), "bob is off");
        assert!(served.stop().await.success());
        let (code, said) = site.verify().await;
        assert_eq!(code, Some(0), "{said}");
        let refused = site.records().into_iter().any(|it| {
            it.text("via") == Some("mcp")
                && it.text("action") == Some("POST /workspaces/{workspace}/servers")
                && it.leaf["status"] == 403
        });
        assert!(refused, "an attempt is recorded, too");
    }
}

#[tokio::test]
async fn other_sdks_the_inspector_and_the_bridge_list_and_call() {
    let site = Site::new(None);
    let served = site.start_with(WORLD).await;
    let admin = served.admin().to_owned();
    let url = format!("http://{}/mcp-admin", served.address);
    let few = format!("{url}?toolsets=teams,users");
    let mut made = Vec::new();
    for client in ["python-client", "node-client"] {
        for (mode, revision) in
            [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")]
        {
            let row = format!("{client} {mode}");
            let words = [few.as_str(), mode, "--token", &admin];
            let listed = run_client(client, &[&words[..], &["list"]].concat()).await;
            assert_eq!(listed["revision"], revision, "{row}: {listed}");
            let tools = listed["result"]["tools"].as_array().unwrap();
            assert!(tools.iter().any(|it| it["name"] == "create_team"), "{row}");
            let name = format!("team-{}", made.len());
            let arguments = json!({"body": {"name": name}}).to_string();
            let call = ["call", "create_team", &arguments];
            let called = run_client(client, &[&words[..], &call].concat()).await;
            let said = &called["result"]["structuredContent"];
            assert_eq!(said["body"]["name"], name, "{row}: {called}");
            // A refusal is a result, and no client stumbles over its form.
            let called = run_client(client, &[&words[..], &call].concat()).await;
            assert_eq!(called["result"]["isError"], true, "{row}: {called}");
            made.push(name);
        }
    }
    let header = format!("Authorization: Bearer {admin}");
    let words = ["--cli", &url, "--transport", "http", "--header", &header, "--method"];
    let called = ["tools/call", "--tool-name", "list_teams"];
    let called = run_client("inspector", &[&words[..], &called].concat()).await;
    let teams = called["structuredContent"]["body"]["items"].as_array().unwrap();
    let names: Vec<_> = teams.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, made);

    let mut bridge = Piped::with_token(&url, &admin);
    bridge.hello("2025-11-25", "{}").await;
    bridge.ask("7", "tools/call", r#"{"name":"show_team","arguments":{"team":"team-0"}}"#).await;
    let answer = bridge.next().await;
    assert_eq!(answer["result"]["structuredContent"]["body"]["name"], "team-0", "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn h013_a_browser_gets_nowhere() {
    let site = Site::new(None);
    let served = site.start_with(WORLD).await;
    let admin = format!("Bearer {}", served.admin());
    let own = served.host();
    for (host, origin, status) in [
        (own.as_str(), None, 200),
        ("evil.example", None, 403),
        (&own, Some("http://evil.example"), 403),
        (&own, Some("null"), 403),
    ] {
        let mut request = Request::post("/mcp-admin")
            .header("host", host)
            .header("authorization", &admin)
            .header("content-type", "application/json");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let request = request.body(Full::from(body)).unwrap();
        let answer = Line::to(served.address).whole(request).await.unwrap();
        assert_eq!(answer.0, status, "{host} {origin:?}");
    }
    served.stop().await;
}

/// Else what an agent is told could be to make the account of its user somebody else's.
#[tokio::test]
async fn no_agent_changes_how_people_sign_in() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let served = site.start_with(WORLD).await;
        let kim = user_token(&served, "default", "kim").await;
        let [mode, _] = modes();
        let agent = Agent::of(&served, &kim, mode).await;
        let tools = agent.tools().await;
        assert!(tools.iter().any(|it| it == "list_servers"), "{tools:?}");
        let body = json!({"body": {"password": "a few plain words"}});
        for name in [
            "set_own_password",
            "delete_own_password",
            "ask_for_new_passkey",
            "add_own_passkey",
            "delete_own_passkey",
            "step_up",
            "end_own_session",
            "end_other_sessions",
        ] {
            assert!(!tools.iter().any(|it| it == name), "{name}");
            let Value::Object(arguments) = body.clone() else { unreachable!() };
            let call = CallToolRequestParams::new(name).with_arguments(arguments);
            assert!(agent.0.call_tool(call).await.is_err(), "{name}");
        }
        let account = served.ask_as(&kim, Method::GET, "/session/account", None).await;
        assert_eq!(account.status, 404, "{}: nobody has made one", site.database());
        agent.0.cancel().await.unwrap();
        served.stop().await;
    }
}

async fn user_token(served: &Served, workspace: &str, user: &str) -> String {
    let path = format!("/workspaces/{workspace}/users/{user}/admin-tokens");
    let made = served.must(Method::POST, &path, Some(json!({"name": "agent"}))).await;
    made["secret"].as_str().unwrap().to_owned()
}
