//! Who may send to whose stream, and what is refused there.

use futures::future::join_all;
use serde_json::json;
use tests::{Client, Documents, Era, Paired, Post, Served, Site, Upstream};

use super::{modern, paired};
use crate::scene::Scene;

#[tokio::test]
async fn h062_h063_a_stream_that_is_not_the_callers_is_not_there() {
    for world in World::on_each_database().await {
        let bot = world.paired("bot", "/mcp/default/main").await;
        let mine = bot.client.path().to_owned();
        let id = mine.split_once("session=").unwrap().1;
        let helper = world.served.token("helper", "b").await;
        let other = world.served.token("other", "c").await;
        let known = "/sse/default/main?session=";
        let mut flipped = id.as_bytes().to_vec();
        flipped[0] ^= 1;
        let flipped = String::from_utf8(flipped).unwrap();
        let cases = [
            // Another app at the same gateway; one whose gateway is another, at both.
            (format!("{known}{id}"), &helper),
            (format!("/sse/default/side?session={id}"), &other),
            // Its own app, but not where it was opened.
            (format!("/sse/default/main/files?session={id}"), &world.bot),
            (format!("{known}{flipped}"), &world.bot),
            (format!("{known}{}", id.get(1..).unwrap()), &world.bot),
            (format!("{known}{id}A"), &world.bot),
            (format!("{known}{}", id.to_lowercase()), &world.bot),
            (known.to_owned(), &world.bot),
            (format!("{known}{id}&session={id}"), &world.bot),
            (format!("{known}x&session={id}"), &world.bot),
        ];
        for (path, token) in cases {
            let client = Client::modern_with_token(&world.served, &path, token);
            let row = format!("{path}, {}", world.site.database());
            let answer = client.send(message(&client)).await;
            assert_eq!(answer.verdict(), "404/-32600", "{row}: {}", answer.text());
            assert_eq!(answer.reason().as_deref(), Some("session_unknown"), "{row}");
        }
        for path in ["/sse/default/main", "/sse/default/main?id=1", "/sse/default/main?xsession=1"]
        {
            let client = Client::modern_with_token(&world.served, path, &world.bot);
            let answer = client.send(message(&client)).await;
            assert_eq!(answer.verdict(), "400/-32600", "{path}: {}", answer.text());
            assert_eq!(answer.reason().as_deref(), Some("session_missing"), "{path}");
        }
        // A gateway that is not the caller's is not there, whatever it knows.
        let client = Client::modern_with_token(&world.served, &mine, &other);
        let answer = client.send(message(&client)).await;
        assert_eq!(answer.reason().as_deref(), Some("no_gateway"), "{}", answer.text());
        // Nor does anybody get in without a token, with the id or without.
        for (verb, path) in [("GET", "/sse/default/main"), ("POST", mine.as_str())] {
            let client = Client::modern_with_token(&world.served, path, "wrong");
            let post = if verb == "GET" { client.get() } else { message(&client) };
            for post in [post.clone(), post.without("authorization")] {
                let answer = client.send(post).await;
                assert_eq!(answer.status, 401, "{verb}: {}", answer.text());
            }
        }
        let mut bot = bot;
        let called = bot.ask(bot.client.tool("files__echo", "{}")).await;
        assert_eq!(called["result"]["structuredContent"], json!({}), "{called}");
        assert_eq!(world.files.calls().len(), 1, "{}", world.site.database());
    }
}

#[tokio::test]
async fn h063_ids_of_streams_have_nothing_in_common() {
    let scene = Scene::of(Upstream::legacy()).await;
    let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..8 {
        let stream = Paired::open(&client).await;
        let id = stream.client.path().split_once("session=").unwrap().1.to_owned();
        assert!(22 <= id.len() && id.bytes().all(|it| it.is_ascii_graphic()), "{id}");
        for other in &ids {
            let same = id.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
            assert!(same < id.len() / 2, "{id} {other}");
        }
        ids.push(id);
    }
}

#[tokio::test]
async fn what_comes_before_hello_is_refused_on_the_stream() {
    let scene = Scene::of(Upstream::of_both_eras().echoing()).await;
    let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
    let mut stream = Paired::open(&client).await;
    let early = stream.ask(stream.client.tool("echo", "{}")).await;
    assert_eq!(early["error"]["data"]["reason"], "session_missing", "{early}");
    // By this a client of both eras learns which one to speak.
    let probe = stream.ask(stream.client.request("server/discover", "")).await;
    assert_eq!(probe["error"]["code"], -32601, "{probe}");
    let pinged = stream.ask(stream.client.request("ping", "")).await;
    assert_eq!(pinged["result"], json!({}), "{pinged}");
    let note = stream.send(stream.client.notification("notifications/initialized", "")).await;
    assert_eq!(note.verdict(), "400/-32600", "{}", note.text());
    let hello = stream.client.initialize();
    let greeted = stream.ask(hello.clone()).await;
    assert!(greeted["result"].is_object(), "{greeted}");
    let again = stream.ask(hello).await;
    assert_eq!(again["error"]["code"], -32601, "a stream is one session: {again}");
    let called = stream.ask(stream.client.tool("echo", "{}")).await;
    assert!(called["result"].is_object(), "{called}");
    assert_eq!(scene.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_message_over_sse_is_read_as_strictly_as_any_other() {
    let scene = Scene::of(Upstream::of_both_eras().echoing()).await;
    let mut stream = paired(&scene.gateway, "2025-11-25").await;
    let call = stream.client.tool("echo", "{}").without("accept");
    let body = |text: &str| call.clone().with_body(text.to_owned());
    let cases = [
        ("a batch", body(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), "400/-32600"),
        ("half a message", body(r#"{"jsonrpc":"2.0","id":1"#), "400/-32700"),
        ("a member twice", call.clone().replacing("{", r#"{"id":1,"#), "400/-32700"),
        ("nothing", body(""), "400/-32700"),
        ("another media type", call.clone().with("content-type", "text/plain"), "415/-32600"),
        ("compressed", call.clone().and("content-encoding", "gzip"), "415/-32600"),
        ("a foreign origin", call.clone().and("origin", "https://evil.example"), "403/1403"),
        ("a foreign host", call.clone().with("host", "evil.example"), "403/1403"),
        ("an unknown revision", call.clone().with("mcp-protocol-version", "1"), "400/-32600"),
        ("a twin of a header", call.clone().and("mcp_name", "x"), "400"),
        ("an answer to nothing", stream.client.reply(&json!(77), "{}").without("accept"), "202"),
    ];
    for (case, post, verdict) in cases {
        let answer = stream.client.send(post).await;
        assert_eq!(answer.verdict(), verdict, "{case}: {}", answer.text());
    }
    for verb in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let mut post = call.clone();
        post.verb = verb.parse().unwrap();
        let answer = stream.client.send(post).await;
        assert_eq!(answer.status, 405, "{verb}");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{verb}");
    }
    let client = Client::stranger(&scene.gateway, Era::Legacy, "2025-11-25");
    let at = client.at_unopened("/sse/dev/dev");
    for (case, get, status) in [
        ("no stream wanted", at.get().with("accept", "application/json"), 406),
        ("a foreign origin", at.get().and("origin", "https://evil.example"), 403),
        ("a foreign host", at.get().with("host", "evil.example"), 403),
    ] {
        assert_eq!(at.send(get).await.status, status, "{case}");
    }
    for path in ["/sse/dev", "/sse/dev/none", "/sse/none/dev", "/sse/dev/dev/none"] {
        assert_eq!(at.at_unopened(path).send(at.get()).await.status, 404, "{path}");
    }
    let called = stream.ask(stream.client.tool("echo", "{}")).await;
    assert!(called["result"].is_object(), "{called}");
    assert_eq!(scene.upstream.calls().len(), 1);
}

#[tokio::test]
async fn calls_that_wait_on_one_stream_are_bounded_and_make_room_when_they_end() {
    let scene = Scene::of(modern()).await;
    let mut stream = paired(&scene.gateway, "2025-11-25").await;
    let mut waiting = Vec::new();
    for _ in 0..64 {
        stream.take(stream.client.tool("echo", "{}")).await;
        waiting.push(scene.upstream.next().await);
    }
    let answer = stream.send(stream.client.tool("echo", "{}")).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"));
    // Another client of the same app has its own.
    let mut other = paired(&scene.gateway, "2025-11-25").await;
    let (answered, ()) = futures::future::join(other.ask(other.client.tool("echo", "{}")), async {
        scene.upstream.next().await.result(r#"{"resultType":"complete","content":[]}"#)
    })
    .await;
    assert!(answered["result"].is_object(), "{answered}");
    waiting.pop().unwrap().result(r#"{"resultType":"complete","content":[]}"#);
    assert!(stream.message().await["result"].is_object());
    // It has room again once its answer is out.
    let post = stream.client.tool("echo", "{}");
    while stream.send(post.clone()).await.status == 429 {
        tokio::task::yield_now().await;
    }
    scene.upstream.next().await.result(r#"{"resultType":"complete","content":[]}"#);
    assert!(stream.message().await["result"].is_object());
}

fn message(client: &Client) -> Post {
    client.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
}

/// The apps `bot` and `helper` at the gateway `main`, and `other` at `side`.
struct World {
    site: Site,
    served: Served,
    files: Upstream,
    /// The token of `bot`.
    bot: String,
}

impl World {
    async fn on_each_database() -> Vec<Self> {
        join_all(Site::on_each(db::testing::postgres_url().await).into_iter().map(Self::at)).await
    }

    async fn at(site: Site) -> Self {
        let files = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&documents(&files.url)).await;
        let bot = served.token("bot", "a").await;
        Self { site, served, files, bot }
    }

    async fn paired(&self, app: &str, path: &str) -> Paired {
        assert_eq!(app, "bot");
        let client = Client::modern_with_token(&self.served, path, &self.bot);
        Paired::greet(&client.in_era(Era::Legacy, "2025-11-25")).await
    }
}

fn documents(files: &str) -> Documents {
    Documents::of("files", files)
        .gateway("side", "dev", &["server: files"])
        .app("helper", "ann", &["gateway: main"])
        .app("other", "ann", &["gateway: side"])
}
