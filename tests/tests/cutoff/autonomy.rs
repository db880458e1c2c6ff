//! What a gateway that may do without its database costs cut-offs, and that they hold nevertheless.

use std::time::Duration;

use db::sql;
use rustix::process::Signal;
use serde_json::json;
use tests::load::End;
use tests::wait::within;
use tests::{Served, Upstream};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::fleet::{EACH, Fleet};
use crate::streams::PROGRESS;
use crate::{cut, restore};

const REPLICAS: usize = 3;

/// For how long the gateways may do without their database, in seconds.
const WINDOW: u64 = 6;

/// The longest that there is.
const LONGEST: u64 = 60;

/// What befalls a replica that may let calls through on its own.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Partitioned,
    Paused,
    Killed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_a_cut_off_waits_for_a_replica_that_may_do_without_the_database() {
    let Some(url) = db::testing::postgres_url().await else { return };
    let mut fleet = Fleet::of(REPLICAS, &url).await;
    fleet.autonomous(&["main", "side"], WINDOW).await;
    let mut marks = Vec::new();
    for fault in [Fault::Partitioned, Fault::Paused, Fault::Killed] {
        fleet.answers(10).await;
        // As long as all are well, nobody waits for any window.
        let began = Instant::now();
        let held = cut(&fleet.members[0].served, "server", "target", None).await;
        let healthy = began.elapsed();
        assert_eq!(held["replicas"]["waited_out"], json!([]), "{held}");
        restore(&fleet.members[0].served, "server", "target").await;
        fleet.until_autonomous(WINDOW).await;

        let name = name_of(&fleet.members[1].served);
        let hit = &fleet.members[1];
        let mut gone = None;
        match fault {
            Fault::Partitioned => {
                hit.relay.hold(true);
                // What is answered from now on is answered without the database.
                tokio::join!(hit.stopped.answers(3 * EACH), hit.others.answers(3 * EACH));
            }
            Fault::Paused => hit.signal(Signal::STOP),
            Fault::Killed => gone = Some(fleet.kill(1).await),
        }
        let (before, began) = (fleet.target.mark().await, Instant::now());
        let held = cut(&fleet.members[0].served, "server", "target", None).await;
        let (took, off) = (began.elapsed(), fleet.target.mark().await);
        assert_eq!(held["replicas"]["waited_out"], json!([name]), "{fault:?}: {held}");
        for it in fleet.members.iter().filter(|it| name_of(&it.served) != name) {
            it.stopped.progress(2 * EACH).await;
        }
        match fault {
            Fault::Partitioned => {
                fleet.members[1].stopped.progress(2 * EACH).await;
                fleet.members[1].relay.hold(false);
            }
            Fault::Paused => fleet.members[1].signal(Signal::CONT),
            Fault::Killed => fleet.revive(1, gone.unwrap()).await,
        }
        fleet.members[1].stopped.progress(2 * EACH).await;
        let on = fleet.target.mark().await;
        // The row of one that was killed is there still, and its window is over.
        let began = Instant::now();
        restore(&fleet.members[0].served, "server", "target").await;
        let later = began.elapsed();
        fleet.answers(10).await;
        fleet.until_autonomous(WINDOW).await;
        eprintln!(
            "{fault:?}: {healthy:?} when all were well, {took:?} for it, {later:?} afterwards"
        );
        marks.push((fault, before, off, on));
    }
    let story = fleet.finish().await;
    story.print("three replicas that may do without their database for 6 s");
    for (fault, before, off, on) in &marks {
        let stale: Vec<_> = story.between((off, on)).collect();
        assert!(stale.is_empty(), "{fault:?}: {} calls, as {:?}", stale.len(), stale[0]);
        let used = story.between((before, off)).count();
        eprintln!("{fault:?}: {used} calls reached the server while the cut-off waited");
        let is_used = 0 < used || !matches!(fault, Fault::Partitioned);
        assert!(is_used, "there was nothing to wait for");
    }
    story.check().await;
}

/// What is under way goes on for as long as calls are let through, and not for longer.
#[tokio::test]
async fn r7b_a_stream_goes_on_while_its_gateway_may_do_without_the_database() {
    let Some(cluster) = Cluster::of(2, Upstream::modern()).await else { return };
    let until = cluster.autonomous(1, WINDOW).await;
    let (mut stream, talk) = cluster.streaming_call(1).await;
    cluster.relay.hold(true);
    let gone = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let (mut number, mut heard) = (0, gone);
    while ticks.tick().await < until {
        let words = format!("word {number}.");
        let params = format!(r#"{{"progressToken":7,"progress":{number},"message":"{words}"}}"#);
        talk.notification(PROGRESS, &params).await;
        if Instant::now() < until - Duration::from_millis(500) {
            stream.until(&words).await;
            heard = Instant::now();
        }
        number += 1;
    }
    assert!(gone + Duration::from_secs(1) < heard, "it goes on for longer than without");
    while ticks.tick().await < gone + Duration::from_secs(WINDOW) {}
    talk.notification(PROGRESS, r#"{"progressToken":7,"progress":999,"message":"too late"}"#).await;
    let rest = within("the end of a stream", stream.rest()).await;
    assert!(!rest.contains("too late"), "{rest}");
}

/// Whatever the database's clock says, the row of a replica is there for as long as that may let
/// calls through.
#[tokio::test]
async fn r3_a_clock_that_jumps_takes_no_row_from_a_replica_that_may_do_without_the_database() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.autonomous(1, LONGEST).await;
    let name = cluster.name(1);
    cluster.relay.hold(true);
    let seen = "UPDATE replicas SET seen_at = seen_at - interval '2 hours' WHERE name = $1";
    cluster.tamper([sql(seen).bind(name.as_str())]).await;
    // One that starts clears away what is dead.
    let site = cluster.sites[0].beside();
    let third = site.start().await;
    let own = name_of(&third);
    let seen = async || {
        let all = cluster.list().await;
        let row = all.iter().find(|it| it["name"] == own.as_str()).unwrap();
        row["seen_at"].as_str().unwrap().to_owned()
    };
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let sweeping = async {
        let mut known = seen().await;
        for _ in 0..2 {
            while seen().await == known {
                ticks.tick().await;
            }
            known = seen().await;
        }
    };
    within("a replica that has looked for dead ones", sweeping).await;
    assert_eq!(cluster.call(1).await, End::Answered, "by what is in memory");
    let known = cluster.list().await;
    let row = known.iter().find(|it| it["name"] == name.as_str());
    assert!(row.is_some_and(|it| it["live"] == false), "{known:?}");
    assert!(third.stop().await.success());
}

/// Rows that look alive for hours, or dead: what a replica may do, it may do for as long.
#[tokio::test]
async fn r3_a_cut_off_waits_for_a_window_whatever_the_databases_clock_has_been_set_to() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    let name = cluster.name(1);
    for set in [
        "UPDATE replicas SET seen_at = seen_at + interval '2 hours' WHERE name = $1",
        "UPDATE replicas SET seen_at = seen_at - interval '2 hours' WHERE name = $1",
    ] {
        cluster.autonomous(1, WINDOW).await;
        cluster.relay.hold(true);
        cluster.tamper([sql(set).bind(name.as_str())]).await;
        assert_eq!(cluster.call(1).await, End::Answered, "by what is in memory");
        let replicas = cluster.cut().await;
        assert_eq!(replicas["waited_out"], json!([name]), "{set}: {replicas}");
        let known = cluster.upstream.seen().len();
        assert!(matches!(cluster.call(1).await, End::Refused(_)), "{set}");
        assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");
        cluster.relay.hold(false);
        // Its row is as it should be after the next renewals, or a change would wait for it again.
        let real = "UPDATE replicas SET seen_at = CURRENT_TIMESTAMP WHERE name = $1";
        cluster.tamper([sql(real).bind(name.as_str())]).await;
        cluster.restore().await;
        cluster.call_until(1, |it| *it == End::Answered).await;
    }
}

/// As a copy may have lost it that has taken over: no change waits for what no row tells.
#[tokio::test]
async fn r3_a_window_that_the_database_does_not_remember_is_used_by_nobody() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.autonomous(1, WINDOW).await;
    cluster.tamper([sql(FORGETFUL), sql(FORGETS)]).await;
    cluster.until_autonomy(1, |left| left == 0).await;
    cluster.relay.hold(true);
    let replicas = cluster.cut().await;
    assert_eq!(replicas["waited_out"], json!([cluster.name(1)]), "{replicas}");
    let known = cluster.upstream.seen().len();
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");
    cluster.relay.hold(false);
    cluster.tamper([sql("DROP TRIGGER forgets ON replicas")]).await;
    cluster.until_autonomy(1, |left| WINDOW - 2 <= left).await;
    cluster.restore().await;
    cluster.call_until(1, |it| *it == End::Answered).await;
}

const FORGETFUL: &str = "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN NEW.autonomy_seconds := 0; NEW.telling := 1; RETURN NEW; END'";
const FORGETS: &str = "CREATE TRIGGER forgets BEFORE UPDATE ON replicas
                       FOR EACH ROW EXECUTE FUNCTION forget()";

/// It may make changes and waits for no window. One that has died has left its row, and may be started
/// again any time.
#[tokio::test]
async fn r3_beside_a_version_that_knows_of_no_windows_nobody_has_one() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.autonomous(1, WINDOW).await;
    cluster.tamper([sql(OLDER)]).await;
    cluster.until_autonomy(1, |left| left == 0).await;
    cluster.relay.hold(true);
    let known = cluster.upstream.seen().len();
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");
    cluster.relay.hold(false);
    cluster.tamper([sql("DELETE FROM replicas WHERE name = 'older'")]).await;
    cluster.until_autonomy(1, |left| WINDOW - 2 <= left).await;
    cluster.call_until(1, |it| *it == End::Answered).await;
}

const OLDER: &str =
    "INSERT INTO replicas (id, name, version, epoch, stamp, autonomy_seconds, telling,
                                           mark, started_at, seen_at)
    SELECT '00000000-0000-7000-8000-00000000000f', 'older', '0', epoch, stamp, 0, 0, 0,
           CURRENT_TIMESTAMP, CURRENT_TIMESTAMP - interval '1 minute' FROM epoch";

/// The change is made, and the process cannot wait until it holds everywhere.
#[tokio::test]
async fn whoever_waits_for_a_window_when_the_process_is_told_to_stop_is_told_what_is_not_confirmed()
{
    let Some(mut cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.autonomous(1, LONGEST).await;
    let database = db::Db::open(cluster.sites[0].url().unwrap()).await.unwrap();
    let epoch = database.epoch().await.unwrap().epoch;
    cluster.signal(1, Signal::STOP);
    let stopping = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let committing = async {
            while database.epoch().await.unwrap().epoch == epoch {
                ticks.tick().await;
            }
        };
        within("a change that is made", committing).await;
        cluster.signal(0, Signal::TERM);
    };
    let cutting = within("an answer before the process ends", cluster.cut());
    let (replicas, ()) = tokio::join!(cutting, stopping);
    let name = cluster.name(1);
    assert_eq!(replicas["unconfirmed"], json!([name]), "{replicas}");
    assert_eq!(replicas["waited_out"], json!([]), "{replicas}");
    cluster.signal(1, Signal::CONT);
    assert!(cluster.served.remove(0).ended().await.success());
    assert!(cluster.sites[0].words().contains("was not waited for to its end"));
}

/// Its network may be silent for as long as it likes.
#[tokio::test]
async fn a_change_whose_database_says_nothing_more_is_given_up() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    let database = db::Db::open(cluster.sites[0].url().unwrap()).await.unwrap();
    let mut lock = database.begin().await.unwrap();
    lock.execute(sql("UPDATE epoch SET epoch = epoch")).await.unwrap();
    let change = json!({"name": "late"});
    let changing = cluster.served[1].ask(http::Method::POST, "users", Some(change));
    let silencing = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let waiting = async {
            loop {
                ticks.tick().await;
                let mut tx = database.read().await.unwrap();
                let found: Option<(i64,)> = tx
                    .optional(sql("SELECT count(*) FROM pg_locks
                                   WHERE NOT granted AND relation = 'epoch'::regclass
                                   OR NOT granted AND locktype = 'transactionid'"))
                    .await
                    .unwrap();
                tx.rollback().await.unwrap();
                if 0 < found.unwrap().0 {
                    return;
                }
            }
        };
        within("a change that has begun", waiting).await;
        cluster.relay.hold(true);
        lock.rollback().await.unwrap();
    };
    let both = async { tokio::join!(changing, silencing).0 };
    // Longer than a change may take, and shorter than a network takes to notice.
    let reply = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    assert_eq!(reply.status, 503, "{reply:?}");
    cluster.relay.hold(false);
    cluster.call_until(1, |it| *it == End::Answered).await;
    let again = json!({"name": "late"});
    cluster.served[1].must(http::Method::POST, "users", Some(again)).await;
}

impl Cluster {
    /// Waits until what a replica may do without its database is so many seconds.
    async fn until_autonomy(&self, number: usize, is_it: impl Fn(u64) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let looking = async {
            while !is_it(self.served[number].metrics().await["ostiary_autonomy_seconds"]) {
                ticks.tick().await;
            }
        };
        within("another window", looking).await;
    }

    /// Lets the gateway do without its database, and waits until that replica would; until
    /// when at least.
    async fn autonomous(&self, number: usize, window: u64) -> Instant {
        let patch = json!({"max_autonomy_seconds": window});
        self.served[0].must(http::Method::PATCH, "gateways/main", Some(patch)).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let looking = async {
            loop {
                ticks.tick().await;
                let asked = Instant::now();
                let left = self.served[number].metrics().await["ostiary_autonomy_seconds"];
                if window - 2 <= left {
                    return asked + Duration::from_secs(left);
                }
            }
        };
        within("a replica that may do without its database", looking).await
    }
}

/// The name that a replica has where nobody has given it one.
fn name_of(served: &Served) -> String {
    let system = rustix::system::uname();
    format!("{}:{}", system.nodename().to_string_lossy(), served.address.port())
}
