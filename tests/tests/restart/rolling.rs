//! Several processes on one database behind a balancer, restarted in turn.

use std::time::Duration;

use tests::wait::within;
use tests::{Ledger, Site};

use crate::balancer::Balancer;
use crate::ledgers::{Clients, documents};

/// Processes at a time.
const REPLICAS: usize = 3;
const RESTARTS: usize = 6;
/// From one restart to the next, which is a minute for all of them.
const EVERY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn r1_replicas_that_are_restarted_in_turn_lose_no_call() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let upstream = Ledger::start().await;
    let sites: Vec<_> = (0..REPLICAS).map(|_| Site::new(Some(url.clone()))).collect();
    let balancer = Balancer::start().await;
    // Longer than the balancer needs to see it.
    let drain = "drain_seconds = 5";
    let first = sites[0].start_configured(&documents(&upstream), drain).await;
    // Before the others read what there is.
    let token = first.token("bot", "t").await;
    balancer.add(first.address);
    let mut served = vec![first];
    for site in &sites[1..] {
        let one = site.start_configured("", drain).await;
        balancer.add(one.address);
        served.push(one);
    }
    let clients = Clients::with(&served[0], balancer.address, &token);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    for restart in 0..RESTARTS {
        ticks.tick().await;
        clients.progress(300).await;
        let number = restart % REPLICAS;
        let old = served.remove(number);
        let address = old.address;
        assert!(within("the end", old.stop()).await.success());
        balancer.remove(address);
        let new = sites[number].start_configured("", drain).await;
        balancer.add(new.address);
        served.insert(number, new);
    }
    clients.progress(300).await;
    let done = clients.finish().await;
    for one in served {
        assert!(one.stop().await.success());
    }
    assert_eq!(balancer.refused(), Vec::<String>::new());
    let sites: Vec<_> = sites.iter().collect();
    done.check(&upstream, &sites, &format!("{RESTARTS} restarts of {REPLICAS} replicas")).await;
}
