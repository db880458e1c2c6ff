//! A database that is away for as long as a gateway may do without it, and longer.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tests::ledger::Mark;
use tests::load::{Call, End};
use tokio::time::Instant;

use crate::fleet::{EACH, Fleet, Story};
use crate::postgres::{Postgres, Programs};
use crate::takeover::{back, refused};
use crate::{cut, restore, variable};

const REPLICAS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7b_a_gateway_that_may_do_without_the_database_does_so_for_that_long_and_no_other() {
    let Some(programs) = Programs::find().await else { return };
    let window = variable("OSTIARY_AWAY_SECONDS").map_or(8, |it| it.parse().unwrap());
    let mut primary = Postgres::start(&programs, &[]).await;
    let mut fleet = Fleet::of(REPLICAS, &Postgres::url_at(&primary.place())).await;
    fleet.autonomous(&["side"], window).await;
    fleet.answers(20).await;
    let outage = Outage::suffer(&mut fleet, &mut primary, window).await;

    // From now on the database is asked again.
    fleet.answers(20).await;
    let cut_began = Instant::now();
    let held = cut(&fleet.members[0].served, "server", "elsewhere", None).await;
    let off = fleet.elsewhere.mark().await;
    assert_eq!(held["replicas"]["waited_out"], json!([]), "{held}");
    for it in &fleet.members {
        it.others.progress(2 * EACH).await;
    }
    let on = fleet.elsewhere.mark().await;
    restore(&fleet.members[1].served, "server", "elsewhere").await;
    let restored = Instant::now();
    fleet.answers(20).await;
    let metrics = join_all(fleet.members.iter().map(|it| it.served.metrics())).await;
    let counted: u64 = metrics.iter().map(|it| it["ostiary_calls_without_database_total"]).sum();
    let story = fleet.finish().await;
    story.check().await;
    assert_eq!(counted, outage.check(&story));
    assert_eq!(story.elsewhere_between((&off, &on)).count(), 0, "calls to what was off");
    story.check_outages(&[(outage.served_until, outage.back), (cut_began, restored)]);
}

/// When what happened, and what had reached a server then: the one whose gateway must not do without
/// the database, and the other.
struct Outage {
    window: u64,
    began: Instant,
    /// Until when calls must be served where they may.
    served_until: Instant,
    /// From when on none is let through where it may not.
    denied: (Instant, Mark),
    /// From when on none is let through anywhere.
    closed: (Instant, Mark),
    returns: (Instant, Mark, Mark),
    there: Instant,
    back: Instant,
}

impl Outage {
    /// Silent for two replicas, and with nobody there for the third.
    async fn suffer(fleet: &mut Fleet, primary: &mut Postgres, window: u64) -> Self {
        let served_until = fleet.until_autonomous(window).await;
        let began = Instant::now();
        fleet.members[..2].iter().for_each(|it| it.relay.hold(true));
        primary.kill().await;
        let over = Instant::now() + Duration::from_secs(window);

        // Nothing more is let through where that is not allowed.
        for it in &fleet.members {
            it.stopped.progress(2 * EACH).await;
        }
        let denied = (Instant::now(), fleet.target.mark().await);
        let (victim, bystander) = (fleet.victim.clone(), fleet.bystander.clone());
        let typed = (503, Some("1".to_owned()));
        for number in 0..REPLICAS {
            assert_eq!(refused(fleet, number, &victim).await, typed);
            let ready = fleet.members[number].served.page("/readyz").await;
            assert!(ready == 200 || served_until < Instant::now(), "{ready}");
        }
        // And elsewhere when the time is over.
        while Instant::now() < over {
            fleet.members[0].others.progress(1).await;
        }
        let closed = (Instant::now(), fleet.elsewhere.mark().await);
        for number in 0..REPLICAS {
            for caller in [&victim, &bystander] {
                assert_eq!(refused(fleet, number, caller).await, typed);
            }
            assert_eq!(fleet.members[number].served.page("/readyz").await, 503);
        }
        for it in &fleet.members {
            it.others.progress(2 * EACH).await;
        }
        let returns = (Instant::now(), fleet.target.mark().await, fleet.elsewhere.mark().await);
        primary.start_again().await;
        fleet.members[..2].iter().for_each(|it| it.relay.hold(false));
        let there = Instant::now();
        let back = back(fleet).await;
        Self { window, began, served_until, denied, closed, returns, there, back }
    }

    /// How many calls were decided without the database.
    fn check(&self, story: &Story) -> u64 {
        let apart = story.without_database();
        let (since, returns) = (self.denied.0, self.returns.0);
        let within = |it: &&Call| self.began <= it.ended && it.ended <= self.served_until;
        let served: Vec<_> = story.others().iter().filter(within).collect();
        let denied = |it: &&Call| since <= it.began && it.ended <= returns;
        let denied: Vec<_> = story.victims().iter().filter(denied).collect();
        story.print(&format!(
            "away for {:?}, of which {} s were allowed: {} calls served within them and {} refused \
             elsewhere, {} decided without the database; all were back {:?} after it",
            self.there - self.began,
            self.window,
            served.len(),
            denied.len(),
            apart.len(),
            self.back.saturating_duration_since(self.there),
        ));
        let wrong = served.iter().find(|it| it.end != End::Answered);
        assert!(wrong.is_none() && !served.is_empty(), "{wrong:?}");
        let wrong = served.iter().find(|it| since <= it.began && !apart.contains(&it.nonce));
        assert!(wrong.is_none(), "its record does not say how it was decided: {wrong:?}");
        let is_typed = |it: &End| matches!(it, End::Refused(why) if why.starts_with("503 "));
        let wrong = denied.iter().find(|it| !is_typed(&it.end));
        assert!(wrong.is_none() && !denied.is_empty(), "{wrong:?}");
        let after = |it: &&Call| self.closed.0 <= it.began && it.ended <= returns;
        let wrong = story.others().iter().filter(after).find(|it| !is_typed(&it.end));
        assert!(wrong.is_none(), "{wrong:?}");
        let (_, target, elsewhere) = &self.returns;
        let count = story.between((&self.denied.1, target)).count();
        assert_eq!(count, 0, "calls where none may be");
        let count = story.elsewhere_between((&self.closed.1, elsewhere)).count();
        assert_eq!(count, 0, "calls after the time was over");
        apart.len() as u64
    }
}
