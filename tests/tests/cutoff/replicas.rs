//! Two replicas on one database: what one of them has turned off, the other asks about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tests::line::Line;
use tests::load::{End, once};
use tests::wait::within;
use tests::{Arrived, Caller, Plan, Site, Upstream};
use tokio::sync::mpsc;

use crate::{SWITCHES, documents};

/// The other replica ends nothing, since nobody tells it to: all that stands between a call that it
/// has let through long ago and the server is the last gate.
#[tokio::test]
async fn r3_a_replica_that_was_told_nothing_asks_before_it_sends() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let here = Site::new(Some(url));
    let (held, mut greetings) = mpsc::channel(16);
    let upstream = holding(held).start().await;
    let first = here.start_with(&documents(&upstream.url, &upstream.url)).await;
    let there = here.beside();
    let second = there.start().await;
    let caller = Caller::of("main", "target", &first.token("bot", "t").await);
    for switch in SWITCHES {
        // What has been turned on here is known there after the next question to the database.
        assert_eq!(second.page("/readyz").await, 200);
        let mut line = Line::to(second.address);
        let calling = once(&mut line, second.address, &caller, 1);
        let cutting = async {
            // The call has been let through, and its session with the server is being opened.
            let greeting: Arrived = within("a greeting", greetings.recv()).await.unwrap();
            switch.off(&first).await;
            let known = upstream.seen().len();
            greeting.result(HELLO);
            known
        };
        let (call, known) = tokio::join!(calling, cutting);
        assert!(matches!(call.end, End::Refused(_)), "{switch:?}: {call:?}");
        assert_eq!(upstream.seen().len(), known, "{switch:?}: {:?}", upstream.seen().last());
        switch.on(&first, &caller).await;
    }
}

/// A legacy server that answers the first greeting, which asks for its lists, and hands the others
/// to the test.
fn holding(held: mpsc::Sender<Arrived>) -> Plan {
    let greetings = Arc::new(AtomicU32::new(0));
    Upstream::legacy().echoing().on("initialize", move |greeting| {
        let is_first = greetings.fetch_add(1, Ordering::Relaxed) == 0;
        let held = held.clone();
        async move {
            if is_first {
                greeting.result(HELLO);
            } else {
                drop(held.send(greeting).await);
            }
        }
    })
}

const HELLO: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"a test's server","version":"1"}}"#;
