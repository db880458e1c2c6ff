//! Nobody uses more than a limit allows, whoever they are and however they call.

use std::time::Duration;

use db::{Db, sql};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::client::LEGACY;
use tests::{Client, Documents, Paired, Plan, Post, Served, Site, Upstream};
use tokio::time::Instant;

/// A gateway with a server that answers calls by itself, and two apps of two people on two gateways.
struct Scene {
    upstream: Upstream,
    served: Served,
    site: Site,
    /// The database, where it is not in the data folder.
    database: Option<String>,
    bot: String,
    other: String,
}

const MAIN: &str = "/mcp/default/main/target";
const SIDE: &str = "/mcp/default/side/target";

const TOOLS: &str =
    r#"[{"name":"echo","inputSchema":{"type":"object"}},{"name":"more","inputSchema":{}}]"#;

impl Scene {
    async fn on_each_database() -> Vec<Self> {
        let mut all = Vec::new();
        for database in [None].into_iter().chain(db::testing::postgres_url().await.map(Some)) {
            all.push(Self::at(database, Upstream::of_both_eras().echoing()).await);
        }
        all
    }

    async fn at(database: Option<String>, plan: Plan) -> Self {
        let upstream = plan.with_tools(TOOLS).start().await;
        let site = Site::new(database.clone());
        let documents = Documents::of_two_people("target", &upstream.url);
        let served = site.start_with(&documents).await;
        let bot = served.token("bot", "t").await;
        let other = served.token("other", "t").await;
        Self { upstream, served, site, database, bot, other }
    }

    fn client(&self) -> Client {
        Client::modern_with_token(&self.served, MAIN, &self.bot)
    }

    async fn limit(&self, name: &str, scope: Value, unit: (&str, Option<&str>), allowance: Value) {
        let (unit, direction) = unit;
        let mut limit = json!({"name": name, "scope": scope, "unit": unit, "allowance": allowance});
        if let Some(direction) = direction {
            limit["direction"] = json!(direction);
        }
        self.served.must(Method::POST, "limits", Some(limit)).await;
    }

    async fn no_limit(&self, name: &str) {
        self.served.must(Method::DELETE, &format!("limits/{name}"), None).await;
    }

    async fn used(&self, name: &str) -> Vec<u64> {
        let path = format!("limits/{name}/usage");
        let page = self.served.must(Method::GET, &path, None).await;
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|it| it["used"].as_u64().unwrap()).collect()
    }

    fn calls(&self) -> usize {
        self.upstream.seen_of("tools/call").len()
    }
}

/// Which no run is likely to outlive: the clock is the real one.
fn monthly(amount: u64) -> Value {
    json!({"type": "quota", "amount": amount, "per": "month"})
}

fn whole() -> Value {
    json!({"type": "workspace"})
}

const CALLS: (&str, Option<&str>) = ("calls", None);

/// Each of them waits for those before it, and none waits for ever.
const AT_ONCE: usize = 16;
const ROUNDS: usize = 12;

fn echo(client: &Client) -> Post {
    client.tool("echo", "{}")
}

#[tokio::test]
async fn of_many_calls_at_once_exactly_as_many_reach_the_server_as_a_limit_allows() {
    for scene in Scene::on_each_database().await {
        let row = scene.site.database();
        scene.limit("each-app", json!({"type": "app"}), CALLS, monthly(100)).await;
        let rate = json!({"type": "rate", "amount": 1, "per": "day", "burst": 120});
        scene.limit("all", whole(), CALLS, rate).await;
        let client = scene.client();
        client.warm_up().await;
        let mut admitted = 0;
        for _ in 0..ROUNDS {
            let answers = join_all((0..AT_ONCE).map(|_| client.send(echo(&client)))).await;
            for answer in answers {
                if answer.status == 200 {
                    admitted += 1;
                    continue;
                }
                assert_eq!(answer.verdict(), "429/1429", "{row}: {}", answer.text());
                let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=31 * 86_400).contains(&seconds), "{row}: {seconds}");
                let data = &answer.json()["error"]["data"];
                let said = (&data["reason"], &data["limit"], &data["retry"]);
                assert_eq!(said, (&json!("limited"), &json!("each-app"), &json!(true)), "{row}");
                assert_eq!(data["retryAfterSeconds"], seconds, "{row}");
            }
        }
        assert_eq!((admitted, scene.calls()), (100, 100), "{row}");
        assert_eq!(scene.used("each-app").await, [100], "{row}");
        assert_eq!(scene.used("all").await, [100], "{row}: a refusal charges nothing");
        let metrics = scene.served.metrics().await;
        let refused = (ROUNDS * AT_ONCE) as u64 - 100;
        assert_eq!(metrics[r#"ostiary_limited_total{limit="default/each-app"}"#], refused, "{row}");
        assert_eq!(metrics[r#"ostiary_refusals_total{reason="limited"}"#], refused, "{row}");

        // What has been used outlives the process.
        assert!(scene.served.stop().await.success());
        let records = scene.site.records();
        let ended = |it: &&tests::archive::Kept| it.leaf["end"] == "limited";
        assert_eq!(records.iter().filter(ended).count() as u64, refused, "{row}");
        assert_eq!(records.iter().find(ended).unwrap().leaf["limit"], "each-app", "{row}");
        let served = scene.site.start().await;
        let client = Client::modern_with_token(&served, MAIN, &scene.bot);
        let answer = client.send(echo(&client)).await;
        assert_eq!(answer.verdict(), "429/1429", "{row}: {}", answer.text());
        // Whoever administers is counted like everybody else; the other app has its own count.
        let other = Client::modern_with_token(&served, MAIN, &scene.other);
        assert_eq!(other.send(echo(&other)).await.status, 200, "{row}");
    }
}

/// Two processes on one database, which know nothing of each other but its rows.
#[tokio::test]
async fn two_processes_together_admit_what_a_limit_allows_and_not_one_call_more() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let here = Site::new(Some(url));
    let there = here.beside();
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let first = here.start_with(&Documents::of_two_people("target", &upstream.url)).await;
    let second = there.start().await;
    let token = first.token("bot", "t").await;
    let quota =
        json!({"name": "few", "scope": whole(), "unit": "calls", "allowance": monthly(300)});
    first.must(Method::POST, "limits", Some(quota)).await;
    let rate = json!({"type": "rate", "amount": 30, "per": "day", "burst": 400});
    let rate = json!({"name": "slow", "scope": whole(), "unit": "calls", "allowance": rate});
    first.must(Method::POST, "limits", Some(rate)).await;
    // What has been configured here is known there after the next question to the database.
    assert_eq!(second.page("/readyz").await, 200);
    let clients = [&first, &second].map(|it| Client::modern_with_token(it, MAIN, &token));
    for client in &clients {
        client.warm_up().await;
    }
    let mut admitted = 0;
    // What one of them holds and does not use it gives back, so that the other finds it.
    while admitted < 300 {
        let calls = (0..AT_ONCE).map(|i| clients[i % 2].send(echo(&clients[i % 2])));
        let statuses: Vec<u16> = join_all(calls).await.iter().map(|it| it.status).collect();
        assert!(statuses.iter().all(|it| [200, 429].contains(it)), "{statuses:?}");
        admitted += statuses.iter().filter(|it| **it == 200).count();
        assert_eq!(upstream.seen_of("tools/call").len(), admitted);
    }
    for client in &clients {
        assert_eq!(client.send(echo(client)).await.verdict(), "429/1429");
    }
    assert_eq!((admitted, upstream.seen_of("tools/call").len()), (300, 300));
    for served in [first, second] {
        assert!(served.stop().await.success());
    }
}

/// After one call by Ann's bot on `main`: what becomes of one by Bob's app there, of one by the bot on
/// `side`, and of one of the other tool.
#[tokio::test]
async fn whoever_shares_a_count_shares_the_limit_and_nobody_else() {
    let cases = [
        (whole(), None, [429, 429, 429]),
        (whole(), Some("main"), [429, 200, 429]),
        (whole(), Some("side"), [200, 200, 200]),
        (json!({"type": "user"}), None, [200, 429, 429]),
        (json!({"type": "user", "user": "ann"}), None, [200, 429, 429]),
        (json!({"type": "user", "user": "bob"}), None, [200, 200, 200]),
        (json!({"type": "app"}), None, [200, 429, 429]),
        (json!({"type": "app", "app": "other"}), None, [200, 200, 200]),
        (json!({"type": "team"}), None, [429, 429, 429]),
        (json!({"type": "team", "team": "dev"}), Some("main"), [429, 200, 429]),
        (json!({"type": "gateway"}), None, [429, 200, 429]),
        (json!({"type": "gateway", "gateway": "side"}), None, [200, 200, 200]),
        (json!({"type": "server"}), None, [429, 429, 429]),
        (json!({"type": "server", "server": "target"}), None, [429, 429, 429]),
        (json!({"type": "tool"}), None, [429, 429, 200]),
        (json!({"type": "tool", "server": "target", "tool": "more"}), None, [200, 200, 200]),
    ];
    for scene in Scene::on_each_database().await {
        let bot = scene.client();
        let other = Client::modern_with_token(&scene.served, MAIN, &scene.other);
        let side = Client::modern_with_token(&scene.served, SIDE, &scene.bot);
        for client in [&bot, &other, &side] {
            client.warm_up().await;
        }
        for (scope, gateway, expected) in &cases {
            let mut limit =
                json!({"name": "one", "scope": scope, "unit": "calls", "allowance": monthly(1)});
            limit["gateway"] = json!(gateway);
            scene.served.must(Method::POST, "limits", Some(limit)).await;
            let row = format!("{}, {scope}, {gateway:?}", scene.site.database());
            assert_eq!(bot.send(echo(&bot)).await.status, 200, "{row}");
            let mut seen = Vec::new();
            let more = bot.tool("more", "{}");
            for (client, post) in [(&other, echo(&other)), (&side, echo(&side)), (&bot, more)] {
                seen.push(client.send(post).await.status);
            }
            assert_eq!(seen, expected, "{row}");
            scene.no_limit("one").await;
        }
    }
}

#[tokio::test]
async fn bytes_and_tokens_are_counted_in_the_direction_that_is_meant() {
    let long = format!(r#"{{"text":"{}"}}"#, "word ".repeat(400));
    for scene in Scene::on_each_database().await {
        let client = scene.client();
        client.warm_up().await;
        for (unit, direction, amount) in [
            ("bytes", "request", 1_500),
            ("bytes", "response", 1_500),
            ("bytes", "both", 3_000),
            ("tokens", "request", 300),
            ("tokens", "response", 300),
            ("tokens", "both", 800),
        ] {
            let row = format!("{}, {unit} {direction}", scene.site.database());
            scene.limit("some", whole(), (unit, Some(direction)), monthly(amount)).await;
            let answer = client.send(client.tool("echo", &long)).await;
            if direction == "request" {
                // It is more than there ever is, and so it can never be sent.
                assert_eq!(answer.verdict(), "429/1429", "{row}: {}", answer.text());
                assert_eq!(answer.header("retry-after"), None, "{row}");
                assert_eq!(answer.json()["error"]["data"]["retry"], false, "{row}");
                assert_eq!(scene.used("some").await, [0_u64; 0], "{row}");
                assert_eq!(client.send(echo(&client)).await.status, 200, "{row}");
                assert!((10..amount).contains(&scene.used("some").await[0]), "{row}");
            } else {
                // One answer may overdraw it, and then nothing passes.
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                let answer = client.send(echo(&client)).await;
                assert_eq!(answer.verdict(), "429/1429", "{row}: {}", answer.text());
                assert!(answer.header("retry-after").is_some(), "{row}");
                let used = scene.used("some").await[0];
                assert!(amount <= used && used < 3 * amount, "{row}: {used}");
            }
            scene.no_limit("some").await;
        }
    }
}

#[tokio::test]
async fn every_kind_of_request_that_goes_to_a_server_is_a_call_and_a_list_is_none() {
    for scene in Scene::on_each_database().await {
        let client = scene.client();
        client.warm_up().await;
        scene.limit("one", whole(), CALLS, monthly(1)).await;
        for _ in 0..3 {
            client.warm_up().await;
        }
        // What policy does not allow, and what is not there, has no count.
        for name in ["missing", "", "echo\u{0}"] {
            let call = client.tool(&name.replace('\u{0}', r"\u0000"), "{}").without("mcp-name");
            let answer = client.send(call.with("mcp-name", name.trim_end_matches('\u{0}'))).await;
            assert_ne!(answer.status, 429, "{name:?}: {}", answer.text());
        }
        assert_eq!(scene.used("one").await, [0_u64; 0]);
        assert_eq!(client.send(echo(&client)).await.status, 200);
        let complete =
            r#""ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"a","value":"b"}"#;
        for (method, members) in [
            ("tools/call", r#""name":"echo","arguments":{}"#),
            ("prompts/get", r#""name":"hello""#),
            ("resources/read", r#""uri":"test://one""#),
            ("completion/complete", complete),
        ] {
            let answer = client.send(client.request(method, members)).await;
            assert_eq!(answer.verdict(), "429/1429", "{method}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_legacy_client_hears_it_as_its_transport_allows() {
    for scene in Scene::on_each_database().await {
        let place = (MAIN, scene.bot.as_str());
        let legacy = Client::legacy_with_token(&scene.served, place, LEGACY, "{}").await;
        let old = Client::legacy_with_token(&scene.served, place, "2024-11-05", "{}").await;
        let mut paired = Paired::greet(&old).await;
        legacy.warm_up().await;
        scene.limit("none", whole(), CALLS, monthly(1)).await;
        assert_eq!(legacy.send(echo(&legacy)).await.status, 200);
        let refused = legacy.send(echo(&legacy)).await;
        assert_eq!(refused.verdict(), "429/1429", "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
        // No status is left where the answer comes on a stream.
        let refused = paired.ask(echo(&paired.client)).await;
        assert_eq!(refused["error"]["code"], 1429, "{refused}");
        assert_eq!(refused["error"]["data"]["limit"], "none", "{refused}");
        assert!(refused["error"]["data"]["retryAfterSeconds"].is_u64(), "{refused}");
    }
}

#[tokio::test]
async fn whoever_waits_as_long_as_they_are_told_is_let_through() {
    for scene in Scene::on_each_database().await {
        let client = scene.client();
        client.warm_up().await;
        // Long enough to ask twice within it.
        let rate = json!({"type": "rate", "amount": 12, "per": "minute", "burst": 1});
        scene.limit("slow", whole(), CALLS, rate).await;
        assert_eq!(client.send(echo(&client)).await.status, 200);
        let refused = client.send(echo(&client)).await;
        assert_eq!(refused.verdict(), "429/1429", "{}", refused.text());
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
        let told = Instant::now() + Duration::from_secs(seconds);
        let mut tries = 0;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            let asked = ticks.tick().await;
            if client.send(echo(&client)).await.status == 200 {
                break;
            }
            assert!(asked < told, "they have waited for {seconds} s");
            tries += 1;
        }
        assert!(0 < tries, "it does not come back at once");
        assert_eq!(scene.calls(), 2);
    }
}

#[tokio::test]
async fn a_call_that_asks_its_client_something_counts_once() {
    let plan = Upstream::legacy();
    let scene = Scene::at(None, plan).await;
    let mut client = scene.client();
    client.capabilities = r#"{"elicitation":{}}"#.to_owned();
    client.warm_up().await;
    scene.limit("few", whole(), CALLS, monthly(1)).await;
    let (answer, talk) = futures::future::join(client.send(echo(&client)), async {
        let talk = scene.upstream.next().await.stream();
        talk.message(QUESTION).await;
        talk
    })
    .await;
    let state = answer.json()["result"]["requestState"].clone();
    assert!(state.is_string(), "{}", answer.text());
    let key = answer.json()["result"]["inputRequests"].as_object().unwrap().keys().next().cloned();
    let responses = json!({key.unwrap(): {"action": "accept", "content": {}}});
    let members = format!(
        r#""name":"echo","arguments":{{}},"inputResponses":{responses},"requestState":{state}"#
    );
    let (answer, ()) =
        futures::future::join(client.send(client.request("tools/call", &members)), async {
            scene.upstream.next().await.accept();
            talk.result(r#"{"content":[]}"#).await;
        })
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
    assert_eq!(scene.used("few").await, [1]);
    // A state that nobody has given out is no way around.
    let members = members.replace(state.as_str().unwrap(), "made-up");
    let refused = client.send(client.request("tools/call", &members)).await;
    assert_eq!(refused.verdict(), "429/1429", "{}", refused.text());
}

#[tokio::test]
async fn a_call_that_a_modern_server_has_forgotten_meanwhile_counts_once() {
    let plan = Upstream::modern().on("tools/call", |call| async move {
        let asks = r#"{"resultType":"input_required","requestState":"theirs","inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"form","message":"?","requestedSchema":{"type":"object","properties":{}}}}}}"#;
        let is_return = call.body.contains("requestState");
        call.result(if is_return { r#"{"resultType":"complete","content":[]}"# } else { asks });
    });
    let scene = Scene::at(None, plan).await;
    let mut client = scene.client();
    client.capabilities = r#"{"elicitation":{}}"#.to_owned();
    client.warm_up().await;
    scene.limit("few", whole(), CALLS, monthly(2)).await;
    let responses = r#"{"a":{"action":"accept","content":{}}}"#;
    let members = format!(
        r#""name":"echo","arguments":{{}},"inputResponses":{responses},"requestState":"theirs""#
    );
    let retry = || client.send(client.request("tools/call", &members));
    let asked = client.send(echo(&client)).await;
    assert_eq!(asked.json()["result"]["resultType"], "input_required", "{}", asked.text());
    assert_eq!(retry().await.status, 200);
    assert_eq!(scene.used("few").await, [1]);
    // Once more is another call, and then there is no room.
    assert_eq!(retry().await.status, 200);
    assert_eq!(scene.used("few").await, [2]);
    assert_eq!(retry().await.verdict(), "429/1429");
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let scene = Scene::at(Some(url), Upstream::of_both_eras().echoing()).await;
    let client = scene.client();
    client.warm_up().await;
    scene.limit("few", whole(), CALLS, monthly(5)).await;
    let database = Db::open(scene.database.as_ref().unwrap()).await.unwrap();
    let mut locked = database.begin().await.unwrap();
    locked.execute(sql("LOCK TABLE limit_counters IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    let refused = client.send(echo(&client)).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.reason().as_deref(), Some("limits_unavailable"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(scene.calls(), 0, "nothing has left");
    locked.rollback().await.unwrap();
    assert_eq!(client.send(echo(&client)).await.status, 200);
}

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
