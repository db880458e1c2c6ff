//! What people see of themselves, of real calls, through the running binary.

use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::line::Line;
use tests::load::once;
use tests::wait::within;
use tests::{Caller, Documents, Served, Site, Upstream};

/// Each calls something, and each is refused something; nobody hears of what the other did.
#[tokio::test]
async fn people_see_their_own_calls_and_refusals_and_nobody_elses() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let upstream = Upstream::modern().echoing().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let ann = Caller::of("main", "target", &served.token("anns-bot", "t").await);
        let bob = Caller::of("side", "target", &served.token("bobs-bot", "t").await);
        let [anns, bobs] = [signed_in(&served, "ann").await, signed_in(&served, "bob").await];
        call(&served, &ann, 2).await;
        call(&served, &bob, 3).await;
        let off = json!({"kind": "assignment", "name": "main/target", "reason": "it is mended"});
        served.must(Method::POST, "cutoffs", Some(off)).await;
        call(&served, &ann, 1).await;

        let found = calls(&served, &anns, 3).await;
        let ends = member(&found, "outcome");
        assert_eq!(ends, ["denied", "answered", "answered"], "{row}: {found}");
        assert_eq!(member(&found, "app"), ["anns-bot"; 3], "{row}");
        let because = "assignment is turned off by an administrator: it is mended";
        assert_eq!(found["items"][0]["because"], because, "{row}");
        let theirs = calls(&served, &bobs, 3).await;
        assert_eq!(member(&theirs, "app"), ["bobs-bot"; 3], "{row}");
        for token in [&anns, &bobs] {
            let records = served.ask_as(token, Method::GET, "records", None).await;
            assert_eq!(records.status, 403, "{row}: it takes no right, and gives none");
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn people_see_their_own_gateways_and_what_is_in_the_way_as_of_now() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start_with(&documents("http://127.0.0.1:9/mcp")).await;
        served.token("anns-bot", "t").await;
        let [anns, bobs] = [signed_in(&served, "ann").await, signed_in(&served, "bob").await];
        for (token, other) in [(&anns, "bob"), (&bobs, "ann")] {
            for what in ["gateways", "apps", "identities"] {
                let path = format!("me/{what}");
                let shown = served.ask_as(token, Method::GET, &path, None).await;
                assert_eq!(shown.body["items"].as_array().unwrap().len(), 1, "{row} {what}");
                assert!(!shown.body.to_string().contains(other), "{row}: {}", shown.body);
            }
        }
        let off = json!({"kind": "assignment", "name": "main/target", "reason": "it is mended"});
        served.must(Method::POST, "cutoffs", Some(off)).await;
        let shown = served.ask_as(&anns, Method::GET, "me/gateways", None).await.body;
        let main = &shown["items"][0];
        assert_eq!(main["path"], "/mcp/default/main", "{row}");
        assert_eq!(main["servers"][0]["off"]["reason"], "it is mended", "{row}");
        let hindered = &main["apps"][0]["hindered"][0]["because"];
        assert_eq!(hindered, "assignment `main/target` is turned off: it is mended", "{row}");
        served.must(Method::DELETE, "gateways/main/teams/dev", None).await;
        let shown = served.ask_as(&anns, Method::GET, "me/gateways", None).await.body;
        assert_eq!(shown["items"], json!([]), "{row}: it is theirs no more, at once");
        served.stop().await;
    }
}

#[tokio::test]
async fn who_is_no_user_has_nothing_of_their_own_and_a_token_for_less_shows_less() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let row = site.database();
        let served = site.start_with(&documents("http://127.0.0.1:9/mcp")).await;
        let less = json!({"name": "less", "capabilities": ["gateways:read"]});
        let less = served.must(Method::POST, "users/ann/admin-tokens", Some(less)).await;
        let less = less["secret"].as_str().unwrap();
        for what in ["gateways", "apps", "identities", "calls"] {
            let path = format!("me/{what}");
            let above = served.ask(Method::GET, &path, None).await;
            let told = (above.status, &above.body["code"]);
            assert_eq!(told, (403, &json!("forbidden")), "{row} {what}");
            let shown = served.ask_as(less, Method::GET, &path, None).await;
            let expected = if what == "gateways" { 200 } else { 403 };
            assert_eq!(shown.status, expected, "{row} {what}: {}", shown.body);
            for name in ["anns-bot", "of-ann"] {
                assert!(!shown.body.to_string().contains(name), "{row} {what}: {}", shown.body);
            }
        }
        served.stop().await;
    }
}

async fn signed_in(served: &Served, user: &str) -> String {
    let path = format!("users/{user}/admin-tokens");
    let made = served.must(Method::POST, &path, Some(json!({"name": "own"}))).await;
    made["secret"].as_str().unwrap().to_owned()
}

async fn call(served: &Served, caller: &Caller, times: u64) {
    let mut line = Line::to(served.address);
    for nonce in 0..times {
        once(&mut line, served.address, caller, nonce).await;
    }
}

/// So many of theirs, once the log has them.
async fn calls(served: &Served, token: &str, count: usize) -> Value {
    let looking = async {
        loop {
            let shown = served.ask_as(token, Method::GET, "me/calls", None).await;
            let items = shown.body["items"].as_array().unwrap();
            assert!(items.len() <= count, "{}", shown.body);
            if items.len() == count {
                return shown.body;
            }
        }
    };
    within("one's own calls", looking).await
}

fn member<'a>(found: &'a Value, name: &str) -> Vec<&'a str> {
    let items = found["items"].as_array().unwrap();
    items.iter().map(|it| it[name].as_str().unwrap()).collect()
}

fn documents(url: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann"])
        .team("ops", &["bob"])
        .server("target", &http(url))
        .identity("of-ann", "target", Some("ann"))
        .identity("of-bob", "target", Some("bob"))
        .gateway("main", "dev", &["server: target, scheme: own"])
        .gateway("side", "ops", &["server: target, scheme: own"])
        .app("anns-bot", "ann", &["gateway: main, identities: [of-ann]"])
        .app("bobs-bot", "bob", &["gateway: side, identities: [of-bob]"])
}
