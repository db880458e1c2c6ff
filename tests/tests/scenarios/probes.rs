//! Servers that nobody calls are asked how they are.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::wait::{eventually, within};
use tests::{Documents, Plan, Served, Site, Upstream};

const OFTEN: &str = "probe_seconds = 1\n";

#[tokio::test]
async fn servers_are_asked_how_they_are_each_in_its_own_era() {
    let asking = async |site: Site| {
        let row = site.database();
        let legacy = || Upstream::legacy().on("ping", |it| async move { it.result("{}") });
        let modern = Upstream::modern().start().await;
        let (legacy, sse) = (legacy().start().await, legacy().over_sse().start().await);
        let documents = documents(
            &[
                ("modern", http(&modern.url)),
                ("legacy", http(&legacy.url)),
                ("sse", format!("type: sse, url: \"{}\"", sse.url)),
            ],
            &["server: modern", "server: legacy", "server: sse"],
        );
        let served = site.start_configured(&documents, OFTEN).await;
        for name in ["modern", "legacy", "sse"] {
            is_in(&served, name, "up").await;
        }
        asked(&legacy, "ping", 3).await;
        asked(&sse, "ping", 2).await;
        assert!(1 < modern.seen_of("server/discover").len(), "{row}: it says what it is each time");
        for (server, once) in [(&legacy, "initialize"), (&legacy, "server/discover")] {
            assert_eq!(server.seen_of(once).len(), 1, "{row}: {once} once, and then in a session");
        }
        assert_eq!(sse.streams(), 1, "{row}: one stream for all that is asked");
        assert!(modern.seen_of("initialize").is_empty(), "{row}");

        for server in [&modern, &legacy] {
            server.set_down(true);
        }
        for name in ["modern", "legacy"] {
            let status = is_in(&served, name, "down").await;
            assert!(status["detail"].as_str().unwrap().contains("503"), "{row}: {status}");
        }
        is_in(&served, "sse", "up").await;
        for server in [&modern, &legacy] {
            server.set_down(false);
        }
        for name in ["modern", "legacy"] {
            let status = is_in(&served, name, "up").await;
            assert_eq!(status["detail"], Value::Null, "{row}: {status}");
        }
        assert!(served.stop().await.success(), "{row}");
        let (code, words) = site.verify().await;
        assert_eq!(code, Some(0), "{row}: {words}");
    };
    join_all(Site::on_each(db::testing::postgres_url().await).into_iter().map(asking)).await;
}

#[tokio::test]
async fn what_is_turned_off_or_nobodys_to_ask_is_not_asked() {
    let site = Site::new(None);
    let plans: [fn() -> Plan; 3] = [Upstream::modern; 3];
    let [other, off, own] = plans.map(|it| it().start());
    let (other, off, own) = futures::join!(other, off, own);
    let documents = documents(
        &[("other", http(&other.url)), ("off", http(&off.url)), ("own", http(&own.url))],
        &["server: other", "server: off", "server: own, scheme: own"],
    );
    let documents = documents.identity("mine", "own", Some("ann")).app(
        "other",
        "ann",
        &["gateway: main, identities: [mine]"],
    );
    let served = site.start_configured(&documents, OFTEN).await;
    asked(&off, "server/discover", 1).await;
    let target = json!({"kind": "server", "name": "off"});
    served.must(Method::POST, "cutoffs", Some(target.clone())).await;
    let known = off.seen().len();
    // Whoever is asked is asked in the same rounds.
    asked(&other, "server/discover", other.seen_of("server/discover").len() + 2).await;
    assert_eq!(off.seen().len(), known, "turned off");
    assert!(own.seen().is_empty(), "a credential of somebody's own is for their calls");
    served.must(Method::POST, "restores", Some(target)).await;
    asked(&off, "server/discover", known + 1).await;
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_not_wanted() {
    let site = Site::new(None);
    let upstream = Upstream::modern().start().await;
    let served =
        site.start_configured(&Documents::of("target", &upstream.url), "probe_seconds = 0\n").await;
    let shown = served.must(Method::GET, "servers/target", None).await;
    assert_eq!(shown["status"], Value::Null, "{shown}");
    assert!(served.stop().await.success());
    assert!(upstream.seen().is_empty());
}

fn documents(servers: &[(&str, String)], assignments: &[&str]) -> Documents {
    let mut documents = Documents::default().team("dev", &["ann"]);
    for (name, transport) in servers {
        documents = documents.server(name, transport);
    }
    let documents = documents.gateway("main", "dev", assignments);
    documents.app("bot", "ann", &["gateway: main"])
}

/// Waits until a server has been asked that often.
async fn asked(server: &Upstream, method: &str, times: usize) {
    let look = || (times <= server.seen_of(method).len()).then_some(());
    eventually("a server to be asked", look).await;
}

/// Waits until a server is shown in that state; its status.
async fn is_in(served: &Served, server: &str, state: &str) -> Value {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        loop {
            ticks.tick().await;
            let shown = served.must(Method::GET, &format!("servers/{server}"), None).await;
            if shown["status"]["state"] == state {
                return shown["status"].clone();
            }
        }
    };
    within(&format!("{server} to be {state}"), looking).await
}
