//! Replicas that are paused, killed, cut off from the database, or told nothing.

use std::time::Duration;

use db::sql;
use http_body_util::BodyExt;
use rustix::process::Signal;
use serde_json::json;
use tests::line::Line;
use tests::load::{End, once};
use tests::wait::within;
use tests::{Site, Upstream};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::streams::{PROGRESS, SOON};
use crate::{SWITCHES, cut};

#[tokio::test]
async fn h170_what_is_turned_off_at_one_replica_ends_at_the_others() {
    let Some(cluster) = Cluster::of(2, Upstream::modern()).await else { return };
    for switch in SWITCHES {
        let (mut stream, talk) = cluster.streaming_call(1).await;
        switch.off(&cluster.served[0]).await;
        let off = Instant::now();
        // Whether or not its server says anything more.
        talk.given_up().await;
        let rest = stream.rest().await;
        assert!(off.elapsed() < SOON, "{switch:?}: {:?}", off.elapsed());
        assert!(rest.matches("event:").count() <= 1, "{switch:?}: more than why: {rest}");
        switch.on(&cluster.served[0], &cluster.caller).await;
        cluster.until_level().await;
    }
}

#[tokio::test]
async fn h171_a_paused_replica_is_waited_out_and_refuses_when_it_wakes() {
    let Some(cluster) = Cluster::of(3, Upstream::modern().echoing()).await else { return };
    assert_eq!(cluster.call(1).await, End::Answered);
    cluster.signal(1, Signal::STOP);
    // It is waited for only so long: the quickest of three, since the machine may hold one of them up.
    let mut quickest = SOON;
    for _ in 0..3 {
        let asked = Instant::now();
        let replicas = cluster.cut_without(&[cluster.name(1)]).await;
        quickest = quickest.min(asked.elapsed());
        assert_eq!(replicas["live"], 3, "{replicas}");
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    // The command says so, too.
    let (code, said) = cluster.run(0, &["cutoff", "server", "target"]).await;
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("/3 replicas") && said.contains(&cluster.name(1)), "{said}");

    let known = cluster.upstream.seen().len();
    let first = async {
        let address = cluster.served[1].address;
        once(&mut Line::to(address), address, &cluster.caller, 1).await.end
    };
    let waking = async {
        // It is taken for dead, and nobody waits for it any more.
        cluster.until_live(2).await;
        let replicas = cluster.cut_without(&[]).await;
        assert_eq!(replicas, json!({"live": 2, "acknowledged": 2, "waited_out": []}));
        cluster.signal(1, Signal::CONT);
    };
    let (end, ()) = tokio::join!(first, waking);
    assert!(matches!(end, End::Refused(_)), "{end:?}");
    cluster.call_until(1, |it| *it == End::Refused(OFF.to_owned())).await;
    assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");
    cluster.restore().await;
    cluster.call_until(1, |it| *it == End::Answered).await;
    cluster.until_live(3).await;
}

#[tokio::test]
async fn a_replica_that_is_killed_is_soon_forgotten_and_one_that_ends_at_once() {
    let Some(mut cluster) = Cluster::of(3, Upstream::modern().echoing()).await else { return };
    let name = cluster.name(2);
    cluster.served.pop().unwrap().kill().await;
    cluster.cut_without(&[name]).await;
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    cluster.until_live(2).await;
    let known = cluster.list().await;
    assert_eq!(known.len(), 3, "it is shown for a while: {known:?}");
    cluster.cut_without(&[]).await;
    assert!(cluster.served.pop().unwrap().stop().await.success());
    assert_eq!(cluster.cut().await, json!({"live": 1, "acknowledged": 1, "waited_out": []}));
    let known = cluster.list().await;
    assert_eq!(known.len(), 2, "{known:?}");
}

#[tokio::test]
async fn a_replica_that_only_looks_dead_is_waited_out() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.signal(1, Signal::STOP);
    // As by a clock that jumps. Its gate knows nothing of that.
    cluster.tamper([sql("UPDATE replicas SET seen_at = seen_at - interval '10 seconds'")]).await;
    let said = cut(&cluster.served[0], "server", "target", None).await;
    cluster.signal(1, Signal::CONT);
    assert_eq!(said["replicas"]["waited_out"], json!([]), "{said}");
    assert!(50.0 <= said["elapsed_ms"].as_f64().unwrap(), "{said}");
}

#[tokio::test]
async fn what_is_under_way_survives_a_read_of_the_epoch_that_fails() {
    let Some(cluster) = Cluster::of(2, Upstream::modern()).await else { return };
    let (mut stream, talk) = cluster.streaming_call(1).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for number in 0..40 {
        // A second apart, which is how long what is under way goes on without a look.
        if number % 20 == 0 {
            cluster.relay.cut();
        }
        ticks.tick().await;
        let words = format!("word {number}.");
        let params = format!(r#"{{"progressToken":7,"progress":{number},"message":"{words}"}}"#);
        talk.notification(PROGRESS, &params).await;
        stream.until(&words).await;
    }
}

#[tokio::test]
async fn h173_nothing_depends_on_notices() {
    let Some(cluster) = Cluster::of(2, Upstream::modern()).await else { return };
    // Lost: something is turned off, and nobody is told.
    let (mut stream, talk) = cluster.streaming_call(1).await;
    cluster.tamper([sql(TURN_OFF), sql("UPDATE epoch SET epoch = epoch + 1")]).await;
    let asked = Instant::now();
    assert_eq!(cluster.call(1).await, End::Refused(OFF.to_owned()));
    talk.given_up().await;
    assert!(stream.rest().await.contains("turned off"));
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    cluster.restore().await;

    // Too many, and of nothing; and then whoever listened has lost the connection.
    let (mut stream, talk) = cluster.streaming_call(1).await;
    let channel = "'ostiary_' || md5(current_schema())";
    assert!(CHATTER.contains(channel) && DEAF.contains(channel));
    cluster.tamper([sql(CHATTER), sql(DEAF)]).await;
    cluster.cut().await;
    talk.given_up().await;
    assert!(stream.rest().await.contains("turned off"));
    // It listens again.
    cluster.cut_without(&[]).await;
}

const TURN_OFF: &str = "INSERT INTO switches
    (workspace_id, kind, target_id, tool, reason, created_at)
    SELECT workspace_id, 'server', id, '', 'a drill', created_at FROM servers
    WHERE name = 'target'";
const CHATTER: &str = "SELECT pg_notify('ostiary_' || md5(current_schema()), n::text)
                       FROM generate_series(1, 1000) n";
const DEAF: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                    WHERE query LIKE 'LISTEN%' || 'ostiary_' || md5(current_schema()) || '%'";

#[tokio::test]
async fn r3b_a_replica_that_cannot_reach_the_database_releases_nothing_more() {
    let Some(cluster) = Cluster::of(2, Upstream::modern()).await else { return };
    // An answer that is larger than all that is between the gateway and its client.
    let address = cluster.served[1].address;
    let mut line = Line::to(address);
    let text = "x".repeat(32 << 20);
    let answering = async {
        let held = cluster.upstream.next().await;
        held.result(&format!(
            r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#
        ));
    };
    let asking = line.open(cluster.caller.request(address, 5));
    let (response, ()) = tokio::join!(asking, answering);
    let mut body = response.unwrap().into_body();
    within("the beginning of an answer", body.frame()).await.unwrap().unwrap();
    let (mut stream, talk) = cluster.streaming_call(1).await;

    cluster.relay.hold(true);
    cluster.cut_without(&[cluster.name(1)]).await;
    // Whoever asks it now waits for as long as what is under way may go on.
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    talk.notification(PROGRESS, r#"{"progressToken":7,"message":"too late"}"#).await;
    assert_eq!(stream.rest().await, "", "it ends");
    let mut released = 0;
    while let Some(Ok(frame)) = within("an answer's end", body.frame()).await {
        released += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
    assert!(released < text.len() / 2, "{released} bytes of an answer");
    let known = cluster.upstream.seen().len();
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");

    cluster.relay.hold(false);
    cluster.call_until(1, |it| *it == End::Refused(OFF.to_owned())).await;
    cluster.restore().await;
    let again = async {
        loop {
            tokio::select! {
                held = cluster.upstream.next() => break held,
                _ = cluster.call(1) => {}
            }
        }
    };
    drop(within("a call that comes through", again).await);
}

#[tokio::test]
async fn h174_a_database_that_has_lost_changes_lets_nothing_through_and_says_so() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    for number in 0..2 {
        assert_eq!(cluster.call(number).await, End::Answered);
    }
    cluster.tamper([sql("UPDATE epoch SET epoch = epoch - 1")]).await;
    for (number, served) in cluster.served.iter().enumerate() {
        let known = cluster.upstream.seen().len();
        let end = cluster.call(number).await;
        assert!(matches!(end, End::Refused(_)), "{end:?}");
        assert_eq!(cluster.upstream.seen().len(), known);
        assert_eq!(served.metrics().await["ostiary_database_behind"], 1);
    }
    let refused = cluster.served[0].ask(http::Method::POST, "users", Some(json!({"name": "c"})));
    assert_eq!(refused.await.status, 500, "changes must not be counted past in silence");
    assert!(cluster.sites[1].words().contains("The database has lost changes"));
    // Somebody who has not seen them counts the same number again, for something else.
    let again = sql("UPDATE epoch SET epoch = epoch + 1, stamp = stamp + 1");
    cluster.tamper([sql(TURN_OFF), again]).await;
    for number in 0..2 {
        assert_eq!(cluster.call(number).await, End::Refused(OFF.to_owned()));
        assert_eq!(cluster.served[number].metrics().await["ostiary_database_behind"], 0);
    }
    cluster.restore().await;
    cluster.call_until(1, |it| *it == End::Answered).await;
}

#[tokio::test]
async fn h172_a_replica_whose_clock_is_not_the_databases_lets_nothing_through() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.call_until(1, |it| *it == End::Answered).await;
    // On connections that are made from now on this one is found before the real one, by a replica
    // that looks in the schema first.
    cluster.tamper([sql(CLOCK)]).await;
    cluster.relay.cut();
    cluster.call_until(1, |it| matches!(it, End::Refused(_))).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let astray = async {
        while cluster.served[1].metrics().await["ostiary_clock_astray"] != 1 {
            ticks.tick().await;
        }
    };
    within("the clock to be looked at", astray).await;
    cluster.call_until(1, |it| matches!(it, End::Refused(_))).await;
    let known = cluster.upstream.seen().len();
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    assert_eq!(cluster.upstream.seen().len(), known, "nothing has reached the server");
    assert_eq!(cluster.call(0).await, End::Answered, "the others' are right");
    cluster.tamper([sql(NO_CLOCK)]).await;
    cluster.call_until(1, |it| *it == End::Answered).await;
    assert_eq!(cluster.served[1].metrics().await["ostiary_clock_astray"], 0);
}

#[tokio::test]
async fn a_replica_that_others_take_for_dead_lets_nothing_through() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    assert_eq!(cluster.call(1).await, End::Answered);
    // As where a copy answers that takes no writes: the epoch can be read, and that is all.
    cluster.tamper([sql("ALTER TABLE replicas RENAME TO gone")]).await;
    cluster.call_until(1, |it| matches!(it, End::Refused(_))).await;
    let known = cluster.upstream.seen().len();
    assert!(matches!(cluster.call(1).await, End::Refused(_)));
    assert_eq!(cluster.upstream.seen().len(), known);
    cluster.tamper([sql("ALTER TABLE gone RENAME TO replicas")]).await;
    cluster.call_until(1, |it| *it == End::Answered).await;
}

#[tokio::test]
async fn a_canary_is_cut_off_and_nobody_notices_but_the_metrics() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::modern().echoing().start().await;
        let documents = crate::documents(&upstream.url, &upstream.url);
        let served = site.start_configured(&documents, "canary_seconds = 1").await;
        let records = site.records().len();
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let trying = async {
            while served.metrics().await["ostiary_canaries_total"] < 2 {
                ticks.tick().await;
                let off = served.must(http::Method::GET, "cutoffs", None).await;
                assert_eq!(off, json!({"items": []}));
            }
        };
        within("the canary", trying).await;
        let metrics = served.metrics().await;
        assert_eq!(metrics["ostiary_canary_failures_total"], 0);
        assert!(4 <= metrics["ostiary_epoch"], "{metrics:?}");
        assert_eq!(site.records().len(), records, "it leaves no records");
        cut(&served, "server", "target", None).await;
        assert!(records < site.records().len());
    }
}

#[tokio::test]
async fn replicas_are_listed() {
    let Some(cluster) = Cluster::of(2, Upstream::modern().echoing()).await else { return };
    cluster.until_live(2).await;
    let (code, said) = cluster.run(1, &["replicas"]).await;
    assert_eq!(code, Some(0), "{said}");
    for number in 0..2 {
        assert!(said.contains(&cluster.name(number)), "{said}");
    }
    // Where there is one only, it is that one.
    let site = Site::new(None);
    let served = site.start_configured("", "replica_name = \"the-only-one\"").await;
    let all = served.must(http::Method::GET, "/replicas", None).await;
    let only = &all["items"][0];
    assert_eq!((all["items"].as_array().unwrap().len(), &only["behind"]), (1, &json!(0)));
    assert_eq!((&only["name"], &only["live"]), (&json!("the-only-one"), &json!(true)), "{all}");
}

const CLOCK: &str = "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql
     AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''";

const NO_CLOCK: &str = "DO 'BEGIN
     EXECUTE format(''DROP FUNCTION %I.clock_timestamp()'', current_schema()); END'";

/// What a refused call is told.
pub(crate) const OFF: &str = "200 server is turned off by an administrator: a drill";
