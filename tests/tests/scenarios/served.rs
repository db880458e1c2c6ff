//! `ostiary serve`: several people's apps, servers and gateways, and what stays between them.

use std::time::Duration;

use futures::future::{join, join_all};
use http::Method;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tests::documents::http;
use tests::serve::CREDENTIAL;
use tests::wait::within;
use tests::{Client, Documents, Era, Plan, Post, Served, Site, Upstream};

use crate::scene::each_era;

/// Ann's apps `bot` and `helper` on the gateway `main` with the servers `files` and `mail`; Bob's
/// app `other` on the gateway `side` with `mail` alone, and of that one tool.
struct World {
    files: Upstream,
    mail: Upstream,
    site: Site,
    served: Served,
}

impl World {
    /// One on each database with servers of each era.
    async fn on_each_database() -> Vec<Self> {
        let mut worlds = Vec::new();
        for (_, plan) in each_era() {
            let sites = Site::on_each(db::testing::postgres_url().await);
            worlds.extend(sites.into_iter().map(|site| Self::at(site, plan.clone())));
        }
        join_all(worlds).await
    }

    async fn at(site: Site, plan: Plan) -> Self {
        let tools = r#"[{"name":"echo","inputSchema":{}},{"name":"drop_all","inputSchema":{}}]"#;
        let plan = || plan.clone().with_tools(tools).echoing();
        let (files, mail) = (plan().start().await, plan().start().await);
        let served = site.start_with(&documents(&files.url, &mail.url)).await;
        Self { files, mail, site, served }
    }

    /// A client of each era for an app, at a path below `/mcp/default/`.
    async fn clients(&self, app: &str, path: &str) -> [Client; 2] {
        let token = self.served.token(app, &format!("{app}-{}", path.replace('/', "-"))).await;
        let path = format!("/mcp/default/{path}");
        let clients = Client::with_token(&self.served, &path, &token).await;
        for client in &clients {
            client.warm_up().await;
        }
        clients
    }

    /// The newest record, as the admin API shows it.
    async fn newest(&self) -> Value {
        let page = self.served.must(Method::GET, "records?limit=1", None).await;
        page["items"][0]["record"].clone()
    }

    /// Sends what must be refused: with this verdict and a record that ends this way, and nothing
    /// at any server.
    async fn refuses(&self, client: &Client, post: Post, (verdict, end): (&str, &str)) {
        let row = format!("{client}, {}", self.site.database());
        let seen = (self.files.seen().len(), self.mail.seen().len());
        let answer = client.send(post).await;
        assert_eq!(answer.verdict(), verdict, "{row}: {}", answer.text());
        // The ends of streams may be recorded at the same time.
        let page = self.served.must(Method::GET, "records?limit=5", None).await;
        let newest = page["items"].as_array().unwrap().iter();
        assert!(newest.clone().any(|it| it["record"]["end"] == end), "{row}: {page}");
        assert_eq!((self.files.seen().len(), self.mail.seen().len()), seen, "{row}");
    }
}

#[tokio::test]
async fn an_app_calls_each_of_its_servers_with_the_credential_it_has_chosen() {
    for world in World::on_each_database().await {
        for client in world.clients("bot", "main").await {
            let row = format!("{client}, {}", world.site.database());
            for (tool, server) in [("files__echo", &world.files), ("mail__echo", &world.mail)] {
                let answer = client.send(client.tool(tool, r#"{"n":1.0}"#)).await;
                assert!(answer.text().contains(r#"{"n":1.0}"#), "{row}: {}", answer.text());
                let seen = server.calls().pop().unwrap();
                assert_eq!(seen.raw(&["params", "name"]), "\"echo\"", "{row}");
                let expected = (tool == "files__echo").then(|| format!("Bearer {}", CREDENTIAL.1));
                assert_eq!(seen.header("authorization"), expected.as_deref(), "{row}");
                assert_eq!(world.newest().await["end"], "answered", "{row}");
            }
        }
        let (code, words) = world.site.verify().await;
        assert_eq!(code, Some(0), "{words}");
    }
}

#[tokio::test]
async fn h085_a_clients_token_goes_nowhere() {
    for world in World::on_each_database().await {
        let token = world.served.token("bot", "kept").await;
        for client in Client::with_token(&world.served, "/mcp/default/main", &token).await {
            for tool in ["files__echo", "mail__echo"] {
                assert_eq!(client.send(client.tool(tool, "{}")).await.status, 200);
            }
        }
        for seen in world.files.seen().iter().chain(&world.mail.seen()) {
            let mut said =
                seen.headers.values().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>();
            said.push(seen.body.clone().into_bytes());
            let has = |it: &Vec<u8>| it.windows(token.len()).any(|it| it == token.as_bytes());
            assert!(!said.iter().any(has), "{seen:?}");
        }
        for record in world.site.records() {
            let text = format!("{record:?}");
            assert!(!text.contains(&token) && !text.contains(CREDENTIAL.1), "{text}");
        }
    }
}

#[tokio::test]
async fn h062_h063_a_session_of_another_app_or_gateway_is_not_there() {
    for world in World::on_each_database().await {
        let [_, bot] = world.clients("bot", "main").await;
        let [_, helper] = world.clients("helper", "main").await;
        let [_, other] = world.clients("other", "side").await;
        let [_, single] = world.clients("bot", "main/files").await;
        let own = bot.session.clone().unwrap();
        let unknown = ("404/-32600", "session_unknown");
        for stranger in [&helper, &other, &single] {
            let tool = if stranger.session == single.session { "echo" } else { "mail__echo" };
            let with = |post: Post| post.with("mcp-session-id", &own);
            world.refuses(stranger, with(stranger.tool(tool, "{}")), unknown).await;
            world.refuses(stranger, with(stranger.get()), unknown).await;
            world.refuses(stranger, with(stranger.delete()), unknown).await;
        }
        assert_eq!(bot.send(bot.tool("files__echo", "{}")).await.verdict(), "200", "still there");
    }
}

#[tokio::test]
async fn h064_a_session_ends_with_what_it_was_opened_by() {
    for world in World::on_each_database().await {
        let [modern, legacy] = world.clients("bot", "main").await;
        let mut stream = legacy.open(legacy.get()).await;
        let filter = r#""notifications":{"toolsListChanged":true}"#;
        let mut listening = modern.open(modern.request("subscriptions/listen", filter)).await;
        listening.message().await;
        world.served.must(Method::DELETE, "apps/bot/tokens/bot-main", None).await;
        assert_eq!(stream.next().await, None, "{}", world.site.database());
        assert_eq!(listening.next().await, None, "{}", world.site.database());
        for client in [&modern, &legacy] {
            let post = client.tool("files__echo", "{}");
            let answer = client.send(post.clone()).await;
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            world.refuses(client, post, ("401/1401", "unauthenticated")).await;
        }
    }
}

#[tokio::test]
async fn h081_h099_a_token_is_presented_in_one_way_alone() {
    for world in World::on_each_database().await {
        let token = world.served.token("bot", "kept").await;
        for client in Client::with_token(&world.served, "/mcp/default/main", &token).await {
            let call = || client.tool("files__echo", "{}");
            let basic = format!("Basic {token}");
            let cut = token.get(..token.len() - 1).unwrap();
            let longer = format!("Bearer {token}A");
            let unauthenticated = ("401/1401", "unauthenticated");
            for post in [
                call().without("authorization"),
                call().with("authorization", ""),
                call().with("authorization", "Bearer"),
                call().with("authorization", "Bearer "),
                call().with("authorization", &basic),
                call().with("authorization", format!("Bearer {cut}")),
                call().with("authorization", &longer),
                call().with("authorization", format!("Bearer {}", token.to_uppercase())),
                call().with("authorization", format!("Bearer {token}, Bearer {token}")),
                call().with("authorization", format!("Bearer {}", "x".repeat(10_000))),
                call().without("authorization").with("cookie", format!("token={token}")),
                call().without("authorization").with("x-api-key", &token),
            ] {
                world.refuses(&client, post, unauthenticated).await;
            }
            let two = call().and("authorization", format!("Bearer {token}"));
            world.refuses(&client, two, ("400/-32600", "bad_header")).await;
            // In the query it is no token, and nothing of it is kept.
            let by_query = client.at_unopened(&format!("/mcp/default/main?access_token={token}"));
            let post = by_query.tool("files__echo", "{}").without("authorization");
            world.refuses(&by_query, post, unauthenticated).await;
            assert_eq!(client.send(call()).await.verdict(), "200", "{client}");
        }
        for record in world.site.records() {
            let text = format!("{record:?}");
            assert!(!text.contains(&token), "{text}");
        }
    }
}

#[tokio::test]
async fn strangers_without_number_do_not_fill_the_record() {
    const REQUESTS: u64 = 450;

    let world = World::at(Site::new(None), Upstream::of_both_eras()).await;
    let token = world.served.token("bot", "kept").await;
    let client = Client::modern_with_token(&world.served, "/mcp/default/main", &token);
    for _ in 0..REQUESTS {
        let answer = client.send(client.tool("files__echo", "{}").without("authorization")).await;
        assert_eq!(answer.verdict(), "401/1401");
    }
    let World { site, served, .. } = world;
    assert!(served.stop().await.success());
    let records = site.records();
    let records: Vec<_> =
        records.iter().filter(|it| it.text("end") == Some("unauthenticated")).collect();
    assert!(records.len() < 450, "{}", records.len());
    let counts = records.iter().map(|it| it.leaf["count"].as_u64().unwrap_or(1));
    assert_eq!(counts.sum::<u64>(), REQUESTS, "none of them is forgotten");
    let (code, words) = site.verify().await;
    assert_eq!(code, Some(0), "{words}");
}

#[tokio::test]
async fn h081_h127_h139_what_is_not_the_callers_is_not_there() {
    for world in World::on_each_database().await {
        let [modern, legacy] = world.clients("other", "side").await;
        for client in [&modern, &legacy] {
            // A gateway of others, and none at all.
            let mut told = Vec::new();
            for path in ["default/main", "default/nothing", "default/side/files", "elsewhere/main"]
            {
                let client = client.at_unopened(&format!("/mcp/{path}"));
                let answer = client.send(client.tool("mail__echo", "{}")).await;
                assert_eq!(answer.verdict(), "404/1403", "{path}: {}", answer.text());
                told.push(answer.text());
            }
            assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
            // Tools of a server that is not on the gateway, or not exposed, or not there.
            for tool in ["files__echo", "mail__drop_all", "mail__nothing", "nothing__echo", "echo"]
            {
                world
                    .refuses(client, client.tool(tool, "{}"), ("200/-32602", "not_permitted"))
                    .await;
            }
            let missing = match client.era {
                Era::Modern => ("200/-32602", "not_permitted"),
                Era::Legacy => ("200/-32002", "not_permitted"),
            };
            for uri in ["files+test://one", "nothing+test://one", "test://one"] {
                let post = client.request("resources/read", &format!(r#""uri":"{uri}""#));
                world.refuses(client, post, missing).await;
            }
            let listed = client.send(client.request("tools/list", "")).await.json();
            let names: Vec<_> = listed["result"]["tools"].as_array().unwrap().iter().collect();
            let names: Vec<_> = names.iter().map(|it| it["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["mail__echo"], "{client}");
            let listed = client.send(client.request("resources/list", "")).await.json();
            assert_eq!(listed["result"]["resources"], json!([]), "{client}");
        }
    }
}

#[tokio::test]
async fn h026_an_app_holds_a_bounded_number_of_streams_and_others_have_theirs() {
    open_as_many_files_as_we_may();
    let world = World::at(Site::new(None), Upstream::of_both_eras()).await;
    let [modern, legacy] = world.clients("bot", "main").await;
    let listen = |client: &Client| {
        // Of no server's changes, so that what is counted are our streams alone.
        let filter = r#""notifications":{"toolsListChanged":false}"#;
        client.request("subscriptions/listen", filter)
    };
    let mut streams = vec![legacy.open(legacy.get()).await];
    while streams.len() < STREAMS_OF_ONE_APP {
        let opened = (0..100.min(STREAMS_OF_ONE_APP - streams.len())).map(|_| async {
            let mut stream = modern.open(listen(&modern)).await;
            assert_eq!(stream.status, 200);
            stream.message().await;
            stream
        });
        streams.extend(join_all(opened).await);
    }
    let many = ("429/1503", "too_many_streams");
    world.refuses(&modern, listen(&modern), many).await;
    world.refuses(&legacy, legacy.get(), many).await;
    for client in [&modern, &legacy] {
        assert_eq!(client.send(client.tool("files__echo", "{}")).await.verdict(), "200");
    }
    let [other, _] = world.clients("helper", "main").await;
    let mut others = other.open(listen(&other)).await;
    assert_eq!(others.message().await["method"], "notifications/subscriptions/acknowledged");
    // One that is closed makes room for another.
    drop(streams.pop());
    let again = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while modern.open(listen(&modern)).await.status != 200 {
            ticks.tick().await;
        }
    };
    within("room for one more stream", again).await;
}

/// How many streams the gateway lets an app have.
const STREAMS_OF_ONE_APP: usize = 2_000;

/// Each of our streams takes one on either side.
fn open_as_many_files_as_we_may() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
}

#[tokio::test]
async fn h072_a_subscription_is_granted_for_what_may_be_read() {
    for world in World::on_each_database().await {
        let missing = ("200/-32002", "not_permitted");
        let subscribe = |client: &Client, uri: &str| {
            client.request("resources/subscribe", &format!(r#""uri":"{uri}""#))
        };
        let [narrow, other] = world.clients("other", "side").await;
        for uri in ["files+test://one", "mail+test://one"] {
            world.refuses(&other, subscribe(&other, uri), missing).await;
        }
        let [modern, legacy] = world.clients("bot", "main").await;
        for uri in ["nothing+test://one", "test://one"] {
            world.refuses(&legacy, subscribe(&legacy, uri), missing).await;
        }
        let filter = r#""notifications":{"resourceSubscriptions":["files+test://one","mail+test://one","nothing+test://one","test://one"],"toolsListChanged":true}"#;
        let mut stream = modern.open(modern.request("subscriptions/listen", filter)).await;
        let granted = stream.message().await["params"]["notifications"].clone();
        let expected = json!({"resourceSubscriptions": ["files+test://one", "mail+test://one"], "toolsListChanged": true});
        assert_eq!(granted, expected);
        let mut stream = narrow.open(narrow.request("subscriptions/listen", filter)).await;
        let granted = stream.message().await["params"]["notifications"].clone();
        assert_eq!(granted, json!({"toolsListChanged": true}));
    }
}

#[tokio::test]
async fn h124_h135_rules_change_what_passes_on_both_ways_and_it_stays_json() {
    for world in World::on_each_database().await {
        for client in world.clients("bot", "main").await {
            let row = format!("{client}, {}", world.site.database());
            let arguments = r#"{"a":"call +49-123-4567 now","n":1.0,"b":["x","+49-765-4321"]}"#;
            let answer = client.send(client.tool("files__echo", arguments)).await;
            assert_eq!(answer.verdict(), "200", "{row}: {}", answer.text());
            let masked = r#"{"a":"call [redacted] now","n":1.0,"b":["x","[redacted]"]}"#;
            let seen = world.files.calls().pop().unwrap();
            assert_eq!(seen.raw(&["params", "arguments"]), masked, "{row}");
            assert!(answer.text().contains(masked), "{row}: {}", answer.text());
            let hits = world.newest().await["rules"].clone();
            assert!(hits.is_null(), "{row}: the answer holds nothing more to find: {hits}");
            // What is to be blocked reaches nobody, and tells why to whoever can read it.
            let seen = world.files.seen().len();
            let answer = client.send(client.tool("files__echo", r#"{"a":"attack at dawn"}"#)).await;
            let result = &answer.json()["result"];
            assert_eq!((&result["isError"], answer.status), (&json!(true), 200), "{row}");
            assert_eq!(result["content"][0]["text"], "not over this line", "{row}");
            assert_eq!(world.newest().await["end"], "rule_block", "{row}");
            assert_eq!(world.files.seen().len(), seen, "{row}");
        }
    }
}

#[tokio::test]
async fn a_server_that_fails_leaves_the_others_of_its_gateway_alone() {
    let gone = tests::port::NOBODY;
    let mail = Upstream::of_both_eras().echoing().start().await;
    let site = Site::new(None);
    let served = site.start_with(&documents(gone, &mail.url)).await;
    let token = served.token("bot", "t").await;
    for client in Client::with_token(&served, "/mcp/default/main", &token).await {
        let listed = client.send(client.request("tools/list", "")).await.json();
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1, "{client}: {listed}");
        let (lost, found) = join(
            client.send(client.tool("files__echo", "{}")),
            client.send(client.tool("mail__echo", r#"{"n":1}"#)),
        )
        .await;
        assert_eq!(lost.code(), Some(1502), "{client}: {}", lost.text());
        let message = lost.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("`files` failed: "), "{client}: {message}");
        assert_eq!(found.verdict(), "200", "{client}: {}", found.text());
    }
}

pub(crate) fn documents(files: &str, mail: &str) -> Documents {
    let narrow =
        "server: mail, tools: { expose: named, names: [echo] }, resources: { expose: nothing }";
    let own = "gateway: main, identities: [ann-files]";
    Documents::default()
        .team("dev", &["ann"])
        .team("ops", &["bob"])
        .server("files", &http(files))
        .server("mail", &http(mail))
        .identity("ann-files", "files", Some("ann"))
        .gateway("side", "ops", &[narrow])
        .app("bot", "ann", &[own])
        .app("helper", "ann", &[own])
        .app("other", "bob", &["gateway: side"])
        .gateway("main", "dev", &["server: files, scheme: own", "server: mail"])
        .rules(&[
            r"name: phones, pattern: '\+49-\d{3}-\d{4}', action: { type: redact }",
            r"name: attacks, pattern: 'attack at \w+', action: { type: block, message: not over this line }",
        ])
}
