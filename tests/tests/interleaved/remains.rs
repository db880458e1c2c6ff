//! What is left when everybody has left: nothing but the record.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tests::wait::within;
use tests::{Served, Site};

use crate::order::Order;
use crate::scene;
use crate::seen::Seen;
use crate::server::Server;

/// What the gateway counts while it is there.
const GAUGES: [&str; 4] =
    ["ostiary_flights", "ostiary_kept_bytes", "ostiary_parked", "ostiary_sessions"];

/// Looks at everything. Panics with the seed if anything is wrong.
pub(crate) async fn none(
    seen: &Arc<Seen>,
    servers: &[Arc<Server>],
    (site, served): (&Site, Served),
) {
    right(seen);
    gauges_fall(&served).await;
    let sessions = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while servers.iter().any(|it| 0 < it.own_sessions()) {
            ticks.tick().await;
        }
    };
    // Where a database has to be asked first, a busy one can be the reason not to say goodbye.
    if site.database() == "SQLite" {
        within("the sessions with servers end in which clients can be asked", sessions).await;
    }
    if let Some(pid) = served.pid() {
        let path = format!("/proc/{}/status", pid.as_raw_nonzero());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let peak = status.lines().find(|it| it.starts_with("VmHWM")).unwrap_or_default();
        eprintln!("{}: {peak}", site.database());
    }
    assert!(served.stop().await.success());
    seen.all_have_arrived();
    let (code, words) = site.verify().await;
    assert_eq!(code, Some(0), "seed {}: {words}", seen.seed);
    assert!(!site.words().contains("panicked"), "{}", site.words());
    records(seen, site);
    right(seen);
}

fn right(seen: &Seen) {
    let wrongs = seen.wrongs();
    let some = wrongs.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrongs.is_empty(), "seed {}: {} wrongs, as\n{some}", seen.seed, wrongs.len());
}

/// Nothing is under way, held, kept or open any more.
async fn gauges_fall(served: &Served) {
    let mut left = Vec::new();
    let falling = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let metrics = served.metrics().await;
            left = GAUGES.iter().map(|it| (*it, metrics[*it])).filter(|it| 0 < it.1).collect();
            if left.is_empty() {
                return;
            }
        }
    };
    let fallen = tokio::time::timeout(Duration::from_secs(30), falling).await;
    assert!(fallen.is_ok(), "left: {left:?}");
}

/// Every request that is a call has one intent, and every intent one outcome.
fn records(seen: &Seen, site: &Site) {
    let requests = seen.requests();
    let (mut sequences, mut found) = (HashSet::new(), HashMap::new());
    let (mut intents, mut outcomes) = (HashMap::new(), HashMap::new());
    site.each_record(|record| {
        if !sequences.insert(record.sequence) {
            return;
        }
        let text = |key: &str| record.text(key).unwrap_or_default().to_owned();
        let is_call = record.leaf["method"] == "tools/call";
        if record.kind == "outcome" {
            *outcomes.entry(text("call")).or_insert(0) += 1;
            if is_call {
                seen.wrong(format!("a call without an intent: {}", record.leaf));
            }
        } else if record.kind == "intent" {
            let client = scene::client_of(&text("app_name"), &text("revision"));
            let request = (client.unwrap_or(usize::MAX), text("id"));
            if is_call {
                *found.entry(request.clone()).or_insert(0) += 1;
            }
            intents.insert(text("call"), (text("method"), request));
        }
    });
    for (call, (method, request)) in &intents {
        let count = outcomes.get(call).copied().unwrap_or(0);
        if count != 1 {
            let sent = requests.get(request);
            let order = sent.map(|it| Order::draw(seen.seed, it.nonce, request.0));
            seen.wrong(format!("{count} outcomes of {method} {request:?}: {sent:?} {order:?}"));
        }
    }
    for (request, sent) in &requests {
        let count = found.remove(request).unwrap_or(0);
        if 1 < count || count == 0 && !sent.is_cancelled {
            seen.wrong(format!("{count} intents of {request:?}: {sent:?}"));
        }
    }
    if !found.is_empty() {
        seen.wrong(format!("intents that nobody has caused: {found:?}"));
    }
}
