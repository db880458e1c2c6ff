//! Charts of what real calls have left in the record, through the running binary.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::line::Line;
use tests::load::once;
use tests::wait::within;
use tests::{Caller, Documents, Served, Site, Upstream};

#[tokio::test]
async fn charts_say_what_was_called_also_after_a_crash() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().echoing().start().await;
        let served = site.start_with(&documents(&upstream.url)).await;
        let caller = Caller::of("main", "target", &served.token("bot", "t").await);
        call(&served, &caller, 3).await;
        let off = json!({"kind": "server", "name": "target"});
        served.must(Method::POST, "cutoffs", Some(off.clone())).await;
        call(&served, &caller, 2).await;
        served.must(Method::POST, "restores", Some(off)).await;
        counted(&served, [("answered", 3), ("denied", 2)]).await;
        // Nobody has told it to stop, and some of this is not counted yet.
        call(&served, &caller, 4).await;
        served.kill().await;
        let served = site.start().await;
        call(&served, &caller, 1).await;
        counted(&served, [("answered", 8), ("denied", 2)]).await;

        let shown = served.must(Method::GET, "series?measure=latency&by=server", None).await;
        let (line, of) = (&shown["lines"][0], &shown["lines"][0]["points"][0]["latency"]);
        assert_eq!((&line["value"], &line["total"]), (&json!("target"), &json!(8)), "{shown}");
        assert!(of["gateway"]["p95"].is_f64() && of["upstream"]["p95"].is_f64(), "{shown}");
        let tokens = served.must(Method::GET, "series?measure=tokens&tool=echo", None).await;
        let tokens = tokens["lines"][0]["total"].as_u64().unwrap();
        assert!((8 * 20..8 * 400).contains(&tokens), "{tokens} of 8 short calls");
        let calls = "records/calls?measure=denials&user=ann";
        let behind = served.must(Method::GET, calls, None).await;
        assert_eq!(behind["items"].as_array().unwrap().len(), 2, "{behind}");
        let glance = alone(&served).await;
        let minutes = glance["calls"]["minutes"].as_array().unwrap();
        let calls: u64 = minutes.iter().map(|it| it["calls"].as_u64().unwrap()).sum();
        assert_eq!((calls, &glance["record"]["is_current"]), (10, &json!(true)), "{glance}");
        assert_eq!(glance["pending"], 0, "{glance}");
        served.stop().await;
    }
}

async fn call(served: &Served, caller: &Caller, times: u64) {
    let mut line = Line::to(served.address);
    for nonce in 0..times {
        once(&mut line, served.address, caller, nonce).await;
    }
}

/// Waits until everything that has been recorded is in the tree, and charts are of that.
async fn counted(served: &Served, expected: [(&str, u64); 2]) {
    let expected = BTreeMap::from(expected.map(|(end, count)| (end.to_owned(), count)));
    let looking = async {
        loop {
            let shown = served.must(Method::GET, "series?measure=calls&by=outcome", None).await;
            assert_eq!(shown["is_partial"], Value::Bool(false));
            let ends = shown["lines"].as_array().unwrap().iter().map(|it| {
                let end = it["value"].as_str().unwrap().to_owned();
                (end, it["total"].as_u64().unwrap())
            });
            if ends.collect::<BTreeMap<_, _>>() == expected {
                return;
            }
        }
    };
    within("charts that say what the record says", looking).await;
}

/// What a home page shows once nobody takes the one for live that was killed.
async fn alone(served: &Served) -> Value {
    let looking = async {
        loop {
            let glance = served.must(Method::GET, "overview", None).await;
            if glance["replicas"]["live"] == 1 {
                return glance;
            }
        }
    };
    within("a home page without the replica that was killed", looking).await
}

fn documents(url: &str) -> Documents {
    Documents::default()
        .team("dev", &["ann"])
        .server("target", &http(url))
        .identity("credential", "target", Some("ann"))
        .gateway("main", "dev", &["server: target, scheme: own"])
        .app("bot", "ann", &["gateway: main, identities: [credential]"])
}
