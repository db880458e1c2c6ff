//! A bridge to a gateway of several people: what its administrators do is heard on the pipe.

use http::Method;
use serde_json::{Value, json};
use tests::piped::{error, reason};
use tests::{Arrived, Documents, Piped, Relay, Served, Site, Upstream};

use super::NEWEST;

const DONE: &str = r#"{"resultType":"complete","content":[]}"#;
const CHANGED: &str = "notifications/tools/list_changed";

struct World {
    server: Upstream,
    site: Site,
    served: Served,
    url: String,
}

impl World {
    async fn on_each_database() -> Vec<Self> {
        let mut worlds = Vec::new();
        for site in Site::on_each(db::testing::postgres_url().await) {
            let server = Upstream::of_both_eras().start().await;
            let served = site.start_with(&Documents::of("files", &server.url)).await;
            let url = url(&served);
            worlds.push(Self { server, site, served, url });
        }
        worlds
    }
}

fn url(served: &Served) -> String {
    format!("http://{}/mcp/default/main", served.address)
}

/// Calls the one tool, in an era.
async fn call(bridge: &mut Piped, is_modern: bool, id: &str) {
    let named = r#""name":"files__echo","arguments":{}"#;
    if is_modern {
        bridge.ask_modern(id, "tools/call", named).await;
    } else {
        bridge.ask(id, "tools/call", &format!("{{{named}}}")).await;
    }
}

/// The next call that arrives. What else does (a gateway that listens, or gives a call up) is let go.
async fn called(server: &Upstream) -> Arrived {
    loop {
        let arrived = server.next().await;
        if arrived.method == "tools/call" {
            return arrived;
        }
    }
}

/// The next message that does not say that a list has changed.
async fn answer(bridge: &mut Piped) -> Value {
    loop {
        let message = bridge.next().await;
        if !message["method"].as_str().is_some_and(|it| it.ends_with("/list_changed")) {
            return message;
        }
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_is_told_of_whatever_is_under_way() {
    for world in World::on_each_database().await {
        for is_modern in [false, true] {
            let row = format!("modern: {is_modern}, {}", world.site.database());
            let token = world.served.token("bot", "short-lived").await;
            let mut bridge = Piped::with_token(&world.url, &token);
            if !is_modern {
                bridge.hello(NEWEST, "{}").await;
            }
            call(&mut bridge, is_modern, "1").await;
            called(&world.server).await.result(DONE);
            let first = answer(&mut bridge).await;
            assert_eq!(first["result"]["content"], json!([]), "{row}: {first}");
            world.served.must(Method::DELETE, "apps/bot/tokens/short-lived", None).await;
            call(&mut bridge, is_modern, "2").await;
            let refused = answer(&mut bridge).await;
            assert_eq!(
                (&refused["id"], reason(&refused)),
                (&json!(2), json!([1401, "unauthenticated"])),
                "{row}"
            );
            assert!(error(&refused).1.contains("OSTIARY_TOKEN"), "{row}: {refused}");
            assert!(!bridge.words().contains(&token), "{row}");
        }
    }
}

#[tokio::test]
async fn a_cut_off_ends_calls_under_way_and_is_told_until_it_is_lifted() {
    for world in World::on_each_database().await {
        for is_modern in [false, true] {
            let row = format!("modern: {is_modern}, {}", world.site.database());
            let token = world.served.token("bot", &format!("token-{is_modern}")).await;
            let mut bridge = Piped::with_token(&world.url, &token);
            if !is_modern {
                bridge.hello(NEWEST, "{}").await;
            }
            call(&mut bridge, is_modern, "1").await;
            let under_way = called(&world.server).await;
            let off = json!({"kind": "app", "name": "bot"});
            world.served.must(Method::POST, "cutoffs", Some(off.clone())).await;
            let ended = answer(&mut bridge).await;
            assert_eq!(ended["id"], 1, "{row}: {ended}");
            assert!(ended["result"].is_null(), "{row}: {ended}");
            call(&mut bridge, is_modern, "2").await;
            let refused = answer(&mut bridge).await;
            assert_eq!(refused["id"], 2, "{row}: {refused}");
            assert!(error(&refused).1.contains("turned off"), "{row}: {refused}");
            drop(under_way);
            world.served.must(Method::POST, "restores", Some(off)).await;
            call(&mut bridge, is_modern, "3").await;
            called(&world.server).await.result(DONE);
            let last = answer(&mut bridge).await;
            assert_eq!(
                (&last["id"], &last["result"]["content"]),
                (&json!(3), &json!([])),
                "{row}: {last}"
            );
        }
    }
}

#[tokio::test]
async fn a_gateway_that_goes_away_and_comes_back_is_used_on() {
    for World { server, site, served, url: there } in World::on_each_database().await {
        let token = served.token("bot", "t").await;
        let relay = Relay::to(&there).await;
        let (mut modern, mut legacy) =
            (Piped::with_token(&relay.url, &token), Piped::with_token(&relay.url, &token));
        legacy.hello(NEWEST, "{}").await;
        modern
            .ask_modern(
                "\"l\"",
                "subscriptions/listen",
                r#""notifications":{"toolsListChanged":true}"#,
            )
            .await;
        assert_eq!(modern.next().await["method"], "notifications/subscriptions/acknowledged");
        for bridge in [&mut modern, &mut legacy] {
            bridge.ask_modern("0", "tools/list", "").await;
            assert_eq!(answer(bridge).await["id"], 0);
        }
        // As it is for those who listen: with them, an orderly end would take its time.
        served.kill().await;
        for (is_modern, bridge) in [(true, &mut modern), (false, &mut legacy)] {
            call(bridge, is_modern, "1").await;
            let lost = answer(bridge).await;
            assert_eq!(lost["id"], 1, "{lost}");
            assert_eq!(error(&lost).0, 1503, "{lost}");
        }
        let served = site.start().await;
        relay.lead_to(&url(&served));
        for (is_modern, bridge) in [(true, &mut modern), (false, &mut legacy)] {
            call(bridge, is_modern, "2").await;
            called(&server).await.result(DONE);
            let back = answer(bridge).await;
            assert_eq!(
                (&back["id"], &back["result"]["content"]),
                (&json!(2), &json!([])),
                "{back}"
            );
        }
        // Both hear of changes again: what happens now is a change of what may be called.
        let path = "gateways/main/assignments/files";
        served.must(Method::PATCH, path, Some(json!({"tools": {"expose": "nothing"}}))).await;
        for bridge in [&mut modern, &mut legacy] {
            while bridge.next().await["method"] != CHANGED {}
            loop {
                bridge.ask_modern("3", "tools/list", "").await;
                if answer(bridge).await["result"]["tools"] == json!([]) {
                    break;
                }
            }
        }
        for bridge in [&mut modern, &mut legacy] {
            bridge.close_input();
            assert_eq!(bridge.ended().await.code(), Some(0));
            assert!(!bridge.words().contains("panicked"), "{}", bridge.words());
        }
        assert!(served.stop().await.success(), "{}", site.database());
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{words}");
    }
}

#[tokio::test]
async fn a_call_whose_connection_breaks_is_heard_to_its_end_and_made_once() {
    for World { server, site, served, url: there } in World::on_each_database().await {
        let token = served.token("bot", "t").await;
        let relay = Relay::to(&there).await;
        let mut bridge = Piped::with_token(&relay.url, &token);
        bridge.hello(NEWEST, "{}").await;
        let params = r#"{"name":"files__echo","arguments":{},"_meta":{"progressToken":1}}"#;
        bridge.ask("1", "tools/call", params).await;
        let talk = called(&server).await.stream();
        let progress = async |number: u32| {
            let params = format!(r#"{{"progressToken":1,"progress":{number}}}"#);
            talk.notification("notifications/progress", &params).await;
        };
        progress(1).await;
        assert_eq!(answer(&mut bridge).await["params"]["progress"], 1);
        relay.cut();
        progress(2).await;
        talk.result(r#"{"content":[]}"#).await;
        assert_eq!(answer(&mut bridge).await["params"]["progress"], 2);
        let last = answer(&mut bridge).await;
        assert_eq!((&last["id"], &last["result"]["content"]), (&json!(1), &json!([])), "{last}");
        assert_eq!(server.seen_of("tools/call").len(), 1, "{}", site.database());
        drop(served);
    }
}
