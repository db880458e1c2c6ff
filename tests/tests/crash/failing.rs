//! A disk that fails, or does not answer.

use std::pin::pin;
use std::time::Duration;

use tests::wait::{PATIENCE, within};
use tests::{Served, Site};
use tokio::time::{Instant, interval};

use crate::workload::{Done, Fault, Group, Origin, trace_of, tracer_of, verify};

#[tokio::test]
async fn h149_a_write_or_sync_that_fails_is_made_good_and_calls_go_on() {
    let cases = [
        ("written", Group::Segments, "pwrite64:error=EIO:when=3", Calls::AllAnswered),
        ("written", Group::Segments, "pwrite64:error=EIO:when=3..6", Calls::SomeRefused),
        ("synced", Group::Segments, "pwrite64:error=EIO:when=4", Calls::AllAnswered),
        ("written", Group::Segments, "fdatasync:error=EIO:when=1", Calls::AllAnswered),
        ("synced", Group::Segments, "fdatasync:error=EIO:when=2", Calls::AllAnswered),
        ("synced", Group::Segments, "fdatasync:error=EIO:when=2+3", Calls::AllAnswered),
        ("written", Group::Trees, "rename:error=EIO:when=4..6", Calls::AllAnswered),
        ("synced", Group::Trees, "write:error=EIO:when=3..5", Calls::AllAnswered),
        ("written", Group::Content, "pwrite64:error=EIO:when=2", Calls::Either),
        ("synced", Group::Content, "fdatasync:error=EIO:when=2", Calls::Either),
    ];
    for (durability, group, inject, calls) in cases {
        let case = format!("{durability}, {group:?}, {inject}");
        let origin = Origin::new(durability).await;
        let fault = Fault { inject: inject.to_owned(), group };
        let endured = endure(&origin, fault, &case).await;
        endured.done.check_refusals(&case);
        calls.check(&endured.done, &case);
    }
}

#[tokio::test]
async fn h149_a_disk_that_takes_everything_and_syncs_nothing_is_not_asked_again_and_again() {
    let origin = Origin::new("synced").await;
    let site = origin.copy();
    let fault = Fault { inject: "fdatasync:error=EIO:when=20+".to_owned(), group: Group::Segments };
    let served = site.start_under(&tracer_of(&site, Some(&fault)), &[]).await.unwrap();
    let failed = || std::fs::read_to_string(trace_of(&site)).unwrap().matches("(INJECTED)").count();
    let began = Instant::now();
    while failed() == 0 {
        origin.call(&served, 3).await;
    }
    tokio::time::interval_at(Instant::now() + LONG, LONG).tick().await;
    // It may look twice a second, and a few times at once before that.
    let most = 2 * (began.elapsed().as_millis() / 500 + 1) + 8;
    let times = failed();
    assert!((times as u128) <= most, "{times} syncs that failed in {:?}", began.elapsed());
    served.kill().await;
    verify(&site, "afterwards").await;
}

#[tokio::test]
async fn h148_a_write_without_space_refuses_calls_until_there_is_some() {
    for group in [Group::Segments, Group::Content] {
        let case = format!("{group:?}");
        let origin = Origin::new("written").await;
        let inject = "pwrite64:error=ENOSPC:when=3..5".to_owned();
        let endured = endure(&origin, Fault { inject, group: group.clone() }, &case).await;
        endured.done.check_refusals(&case);
        Calls::SomeRefused.check(&endured.done, &case);
        assert!(endured.was_unready, "{case}");
    }
}

#[tokio::test]
async fn h150_a_disk_that_hangs_refuses_calls_at_the_deadline_and_they_go_on_afterwards() {
    let cases = [
        ("written", Group::Segments, "pwrite64:delay_enter=7000000:when=3"),
        ("synced", Group::Segments, "fdatasync:delay_enter=7000000:when=3"),
        ("written", Group::Content, "pwrite64:delay_enter=7000000:when=2"),
    ];
    for (durability, group, inject) in cases {
        let case = format!("{durability}, {group:?}, {inject}");
        let origin = Origin::new(durability).await;
        let fault = Fault { inject: inject.to_owned(), group: group.clone() };
        let endured = endure(&origin, fault, &case).await;
        // Of the threads that serve, a write may hold one: nobody can tell its clients, who are let
        // go. All others are told.
        if inject.starts_with("pwrite64") {
            endured.done.check_reasons(&case);
        } else {
            endured.done.check_refusals(&case);
        }
        Calls::SomeRefused.check(&endured.done, &case);
        let longest = endured.done.longest;
        assert!(longest < DEADLINE + SPARE, "{case}: {longest:?}");
        assert!(endured.was_unready, "{case}");
    }
}

/// What clients see of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    AllAnswered,
    SomeRefused,
    /// Nobody promises either.
    Either,
}

impl Calls {
    fn check(self, done: &Done, case: &str) {
        let fits = self == Self::Either || done.is_well() == (self == Self::AllAnswered);
        assert!(fits, "{case}: {done:?}");
    }
}

/// What was seen of a gateway that has lived through a fault.
struct Endured {
    done: Done,
    /// Whether it said meanwhile that it is not ready.
    was_unready: bool,
}

/// Lets a copy of the origin live through a fault, until calls are taken again. It has neither ended
/// nor lost, nor let pass unrecorded, any of them.
async fn endure(origin: &Origin, fault: Fault, case: &str) -> Endured {
    let site = origin.copy();
    let served = site.start_under(&tracer_of(&site, Some(&fault)), &[]).await.expect(case);
    let mut endured = Endured { done: Done::default(), was_unready: false };
    let (began, mut ticks) = (Instant::now(), interval(TICK));
    loop {
        let mut round = pin!(origin.call(&served, 3));
        let round = loop {
            tokio::select! {
                round = &mut round => break round,
                _ = ticks.tick() => endured.was_unready |= !served.is_ready().await,
            }
        };
        let is_ready = served.is_ready().await;
        endured.was_unready |= !is_ready;
        let is_over = round.is_well() && is_ready && has_happened(&site);
        endured.done.add(round);
        if is_over {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{case}: it does not recover: {:?}", endured.done);
    }
    assert!(served.stop().await.success(), "{case}");
    verify(&site, case).await;
    origin.check(&site, &endured.done, case).await;
    endured
}

fn has_happened(site: &Site) -> bool {
    let trace = std::fs::read_to_string(trace_of(site)).unwrap();
    trace.contains("(INJECTED)") || trace.contains("(DELAYED)")
}

/// Waits until a page has that status.
pub(crate) async fn until_page(served: &Served, path: &str, status: u16) {
    let mut ticks = interval(TICK);
    let looking = async {
        while served.page(path).await != status {
            ticks.tick().await;
        }
    };
    within(path, looking).await;
}

/// How often a gateway is asked how it is.
const TICK: Duration = Duration::from_millis(5);
/// Long enough to see how often something happens.
const LONG: Duration = Duration::from_secs(2);
/// How long a record may take at most.
const DEADLINE: Duration = Duration::from_secs(2);
/// What a busy machine may add. Less than is left of the fault.
const SPARE: Duration = Duration::from_secs(4);
