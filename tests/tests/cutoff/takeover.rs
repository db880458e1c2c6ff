//! A database that goes away, comes back, or comes back older, under load.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tests::line::Line;
use tests::load::{Call, End};
use tests::wait::within;
use tests::{Caller, Served};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cluster::relay_to;
use crate::fleet::{EACH, Fleet};
use crate::lost::OFF;
use crate::postgres::{Postgres, Programs};
use crate::{cut, restore};

const REPLICAS: usize = 3;

/// Its copy has everything that it has confirmed; several times, while sixteen administrators make
/// changes at all replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_copy_of_the_database_takes_over_and_nothing_that_was_acknowledged_is_lost() {
    const ROUNDS: usize = 3;

    let Some(programs) = Programs::find().await else { return };
    let mut primary = Postgres::start(&programs, &[]).await;
    let mut fleet = Fleet::of(REPLICAS, &Postgres::url_at(&primary.place())).await;
    for name in &WORKSPACES[1..] {
        fleet.members[0]
            .served
            .must(Method::POST, "/workspaces", Some(json!({"name": name})))
            .await;
    }
    let (mut made, mut marks, mut outages) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let copy = primary.copy(&primary.place()).await;
        primary.wait_for_copies().await;
        fleet.answers(30).await;
        cut(&fleet.members[0].served, "server", "target", None).await;
        let off = fleet.target.mark().await;

        // Changes come as fast as they can, and the database ends in the midst of them.
        let confirmed = Semaphore::new(0);
        let killing = async {
            within("changes", confirmed.acquire_many(CHANGES_FIRST)).await.unwrap().forget();
            let killed = Instant::now();
            primary.kill().await;
            killed
        };
        let admins = join_all((0..ADMINS).map(|it| make(&fleet, (round, it), &confirmed)));
        let (tried, killed) = tokio::join!(admins, killing);
        let tried: Vec<Tried> = tried.into_iter().flatten().collect();
        let under_way = tried.iter().filter(|it| it.began < killed && killed < it.ended).count();
        fleet.members[1].others.progress(EACH).await;
        copy.promote().await;
        let promoted = Instant::now();
        lead(&fleet, &copy.place());
        let back = back(&mut fleet).await;
        fleet.answers_of_others(30).await;
        let done = tried.iter().filter(|it| it.is_confirmed).count();
        eprintln!(
            "round {round}: {done} changes confirmed and {under_way} under way at the kill; the copy was \
             there after {:?}, all replicas served {:?} later",
            promoted - killed,
            back.saturating_duration_since(promoted),
        );
        assert!(1 < under_way, "nothing was under way");
        made.extend(tried.into_iter().filter(|it| it.is_confirmed));

        // What was confirmed is there, and what is off is off everywhere.
        let lost = lost(&fleet.members[2].served, &made).await;
        assert!(lost.is_empty(), "{lost:?} of {} are lost", made.len());
        let victim = fleet.victim.clone();
        for number in 0..REPLICAS {
            assert_eq!(fleet.call(number, &victim).await, End::Refused(OFF.to_owned()));
        }
        let on = fleet.target.mark().await;
        restore(&fleet.members[1].served, "server", "target").await;
        fleet.answers(10).await;
        marks.push((off, on));
        outages.push((killed, back));
        primary = copy;
    }
    let story = fleet.finish().await;
    story.print(&format!("{} changes confirmed in {ROUNDS} rounds", made.len()));
    for (off, on) in &marks {
        assert_eq!(story.between((off, on)).count(), 0, "calls to what was off");
    }
    story.check().await;
    story.check_outages(&outages);
}

/// A change that was asked for.
struct Tried {
    workspace: &'static str,
    noun: &'static str,
    name: String,
    began: Instant,
    ended: Instant,
    is_confirmed: bool,
}

const WORKSPACES: [&str; 4] = ["default", "second", "third", "fourth"];

/// How many make changes at a time.
const ADMINS: usize = 16;

/// How many changes are confirmed before the database ends.
const CHANGES_FIRST: u32 = 40;

/// Makes users or teams in a workspace, at a replica, until that fails.
async fn make(fleet: &Fleet, (round, admin): (usize, usize), confirmed: &Semaphore) -> Vec<Tried> {
    let served = &fleet.members[admin % REPLICAS].served;
    let workspace = WORKSPACES[admin % WORKSPACES.len()];
    let noun = ["users", "teams"][admin / WORKSPACES.len() % 2];
    let mut line = Line::to(served.address);
    let mut tried = Vec::new();
    loop {
        let name = format!("it-{round}-{admin}-{}", tried.len());
        let request = Request::post(format!("/api/v1/workspaces/{workspace}/{noun}"))
            .header("host", served.host())
            .header("authorization", format!("Bearer {}", served.admin()))
            .header("content-type", "application/json")
            .body(Full::from(json!({"name": &name}).to_string()))
            .unwrap();
        let began = Instant::now();
        let answer = within("an answer", line.whole(request)).await;
        let is_confirmed = answer.is_ok_and(|(status, _)| status == 201);
        let ended = Instant::now();
        tried.push(Tried { workspace, noun, name, began, ended, is_confirmed });
        if !is_confirmed {
            return tried;
        }
        confirmed.add_permits(1);
    }
}

/// What was made and is not there.
async fn lost(served: &Served, made: &[Tried]) -> Vec<String> {
    let mut there = HashSet::new();
    for workspace in WORKSPACES {
        for noun in ["users", "teams"] {
            let path = format!("/workspaces/{workspace}/{noun}?limit=200");
            let mut cursor = String::new();
            loop {
                let page = served.must(Method::GET, &format!("{path}{cursor}"), None).await;
                let names = page["items"].as_array().unwrap().iter();
                let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
                there.extend(names.map(|it| (workspace, noun, name(it))));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
        }
    }
    let is_lost = |it: &&Tried| !there.contains(&(it.workspace, it.noun, it.name.clone()));
    made.iter().filter(is_lost).map(|it| it.name.clone()).collect()
}

/// Its copy has not heard of the last change, which was confirmed to somebody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h174_a_copy_that_has_not_had_the_last_change_lets_nothing_through() {
    let Some(programs) = Programs::find().await else { return };
    let mut primary = Postgres::start(&programs, &[]).await;
    let url = Postgres::url_at(&primary.place());
    let stream = relay_to(&url).await;
    let copy = primary.copy(stream.place()).await;
    let mut fleet = Fleet::of(REPLICAS, &url).await;
    fleet.answers(10).await;
    fleet.members[0].served.must(Method::POST, "users", Some(json!({"name": "eve"}))).await;
    primary.until_copied().await;
    stream.hold(true);
    cut(&fleet.members[0].served, "server", "target", None).await;
    let off = fleet.target.mark().await;
    primary.kill().await;
    copy.promote().await;
    lead(&fleet, &copy.place());
    let (victim, bystander) = (fleet.victim.clone(), fleet.bystander.clone());
    for number in 0..REPLICAS {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let alarm = async {
            while fleet.members[number].served.metrics().await["ostiary_database_behind"] != 1 {
                ticks.tick().await;
            }
        };
        within("an alarm", alarm).await;
    }
    let quiet = fleet.elsewhere.mark().await;
    for number in 0..REPLICAS {
        // By what is in memory it is off anyway.
        assert!(matches!(fleet.call(number, &victim).await, End::Refused(_)));
        let end = fleet.call(number, &bystander).await;
        assert!(matches!(&end, End::Refused(why) if why.starts_with("503 ")), "{end:?}");
        let change = Some(json!({"name": "too-late"}));
        let refused = fleet.members[number].served.ask(Method::POST, "users", change).await;
        assert_eq!(refused.status / 100, 5, "{refused:?}");
    }
    let (still, on) = (fleet.elsewhere.mark().await, fleet.target.mark().await);
    // The operator gives the change up.
    for number in 0..REPLICAS {
        fleet.replace(number).await;
    }
    fleet.answers(10).await;
    let story = fleet.finish().await;
    story.print("a copy that is older");
    assert_eq!(story.between((&off, &on)).count(), 0, "calls to what was off");
    assert_eq!(story.elsewhere_between((&quiet, &still)).count(), 0, "calls through closed gates");
    story.check().await;
}

/// Away in every way: silent, without anybody there, and there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7b_while_the_database_is_away_calls_are_refused_and_when_it_is_back_they_are_not() {
    let Some(programs) = Programs::find().await else { return };
    let mut primary = Postgres::start(&programs, &[]).await;
    let mut fleet = Fleet::of(REPLICAS, &Postgres::url_at(&primary.place())).await;
    let mut outages = Vec::new();
    for is_silent in [true, false] {
        fleet.answers(20).await;
        let began = Instant::now();
        if is_silent {
            fleet.members.iter().for_each(|it| it.relay.hold(true));
        } else {
            primary.kill().await;
        }
        // Whatever had been let through before has ended.
        let ended = fleet.members.iter().map(|it| async {
            tokio::join!(it.stopped.progress(2 * EACH), it.others.progress(2 * EACH));
        });
        join_all(ended).await;
        let away = (fleet.target.mark().await, fleet.elsewhere.mark().await);
        let since = Instant::now();
        let bystander = fleet.bystander.clone();
        for number in 0..REPLICAS {
            let (status, wait) = refused(&fleet, number, &bystander).await;
            assert_eq!((status, wait.as_deref()), (503, Some("1")));
        }
        let member = &fleet.members[1];
        let lasting = within("an outage", async {
            while since.elapsed() < AWAY {
                member.others.progress(1).await;
            }
        });
        lasting.await;
        let back_since = (fleet.target.mark().await, fleet.elsewhere.mark().await);
        let returns = Instant::now();
        if is_silent {
            fleet.members.iter().for_each(|it| it.relay.hold(false));
        } else {
            primary.start_again().await;
        }
        let there = Instant::now();
        let back = back(&mut fleet).await;
        eprintln!("away for {:?}; all replicas served {:?} after it", there - began, back - there);
        outages.push((began, since, returns, back, away, back_since));
    }
    fleet.answers(20).await;
    let story = fleet.finish().await;
    story.print("two outages");
    story.check().await;
    for (_, since, returns, _, away, back) in &outages {
        assert_eq!(story.between((&away.0, &back.0)).count(), 0);
        assert_eq!(story.elsewhere_between((&away.1, &back.1)).count(), 0);
        let is_during = |it: &&Call| *since <= it.began && it.ended <= *returns;
        let during: Vec<_> = story.calls().filter(is_during).collect();
        let is_refused = |it: &End| matches!(it, End::Refused(why) if why.starts_with("503 "));
        let wrong = during.iter().find(|it| !is_refused(&it.end));
        assert!(wrong.is_none(), "{wrong:?}");
        assert!(!during.is_empty());
    }
    let outages: Vec<_> = outages.iter().map(|it| (it.0, it.3)).collect();
    story.check_outages(&outages);
}

/// All replicas find their database there from now on.
fn lead(fleet: &Fleet, place: &str) {
    for it in &fleet.members {
        it.relay.lead_to(&format!("http://{place}/"));
        it.relay.cut();
    }
}

/// When every replica serves again.
pub(crate) async fn back(fleet: &mut Fleet) -> Instant {
    let bystander = fleet.bystander.clone();
    for number in 0..fleet.members.len() {
        let calling = async { while fleet.call(number, &bystander).await != End::Answered {} };
        within("a replica that serves again", calling).await;
    }
    Instant::now()
}

/// The status of a refusal, and how long to wait.
pub(crate) async fn refused(
    fleet: &Fleet,
    number: usize,
    caller: &Caller,
) -> (u16, Option<String>) {
    let address = fleet.members[number].served.address;
    let request = caller.request(address, 1);
    let mut line = Line::to(address);
    let answer = within("a refusal", line.open(request)).await.unwrap();
    let wait = answer.headers().get("retry-after").map(|it| it.to_str().unwrap().to_owned());
    (answer.status().as_u16(), wait)
}

/// For how long the database is away at least.
const AWAY: Duration = Duration::from_secs(3);
