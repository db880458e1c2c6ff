//! Everything is turned off and on again while replicas are paused, cut off from the database, told
//! nothing, and killed.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::SWITCHES;
use crate::fleet::{EACH, Fleet};

const REPLICAS: usize = 4;

/// What befalls a replica while something is turned off.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Paused,
    Partitioned,
    Deaf,
    Killed,
}

const FAULTS: [Fault; 4] = [Fault::Paused, Fault::Partitioned, Fault::Deaf, Fault::Killed];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_no_call_reaches_a_server_after_a_cut_off_whatever_befalls_a_replica() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let mut fleet = Fleet::of(REPLICAS, &url).await;
    let victim = fleet.victim.clone();
    let (mut marks, mut took) = (Vec::new(), Vec::new());
    for (turn, switch) in SWITCHES.into_iter().take(2 * FAULTS.len()).enumerate() {
        let (fault, number) = (FAULTS[turn % FAULTS.len()], 1 + turn % (REPLICAS - 1));
        fleet.answers(10).await;
        let hit = &fleet.members[number];
        match fault {
            Fault::Paused => hit.signal(Signal::STOP),
            Fault::Partitioned => {
                hit.relay.hold(true);
                // What it had let through before has ended.
                hit.stopped.progress(2 * EACH).await;
            }
            Fault::Deaf => hit.relay.cut(),
            Fault::Killed => {}
        }
        let stopped = Instant::now();
        let began = Instant::now();
        switch.off(&fleet.members[0].served).await;
        took.push((began.elapsed(), fault));
        let off = fleet.target.mark().await;
        for it in fleet.members.iter().enumerate().filter(|it| it.0 != number).map(|it| it.1) {
            it.stopped.progress(2 * EACH).await;
        }
        if matches!(fault, Fault::Partitioned) {
            fleet.members[number].stopped.progress(EACH).await;
        }
        match fault {
            Fault::Paused => {
                until(stopped + LONG).await;
                fleet.members[number].signal(Signal::CONT);
            }
            Fault::Partitioned => fleet.members[number].relay.hold(false),
            Fault::Deaf => {}
            Fault::Killed => fleet.replace(number).await,
        }
        fleet.members[number].stopped.progress(2 * EACH).await;
        let on = fleet.target.mark().await;
        switch.on(&fleet.members[0].served, &victim).await;
        marks.push((switch, fault, off, on));
    }
    fleet.answers(10).await;
    let story = fleet.finish().await;
    took.sort_by_key(|it| it.0);
    let (middle, longest) = (took[took.len() / 2], took[took.len() - 1]);
    story.print(&format!("{REPLICAS} replicas with faults; the API took {middle:?}, {longest:?}"));
    for (switch, fault, off, on) in &marks {
        let stale: Vec<_> = story.between((off, on)).collect();
        assert!(stale.is_empty(), "{switch:?} while one was {fault:?}: {stale:?}");
    }
    story.check().await;
}

/// Longer than what is under way goes on without a look at the database.
const LONG: Duration = Duration::from_millis(1_300);

async fn until(moment: Instant) {
    tokio::time::interval_at(moment, LONG).tick().await;
}
