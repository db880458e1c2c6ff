//! A kill before every write and every sync, and the power gone with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::{StreamExt, future, stream};
use tests::Site;
use tests::disk::{Disk, Loss, files};
use tests::faults::{Call, POINTS, Trace};

use crate::workload::{Done, Fault, Group, Origin, trace_of, wants_all};

#[tokio::test]
async fn r2_a_kill_at_any_write_or_sync_loses_nothing_that_was_acknowledged() {
    for durability in ["written", "synced"] {
        let origin = &Origin::new(durability).await;
        let points = points_of_files(origin).await;
        try_some(durability, points, async |point| {
            let (site, _, done, was_killed) = crash(origin, &point).await;
            origin.check_crash(&site, &done, &point.name()).await;
            was_killed
        })
        .await;
    }
}

#[tokio::test]
async fn r2b_a_loss_of_power_at_any_write_or_sync_loses_nothing_that_was_acknowledged() {
    let origin = &Origin::new("synced").await;
    // All files are watched, so that what the disk holds is known.
    let points = points(origin, |_, _| vec![Group::All]).await;
    try_some("without power", points, async |point| {
        let (site, disk, done, was_killed) = crash(origin, &point).await;
        let seeds = if wants_all("OSTIARY_CRASH_POINTS") { 8 } else { 2 };
        let seeds = (0..seeds).map(|it| Loss::Some(1000 * it + point.number));
        for loss in [Loss::Everything].into_iter().chain(seeds) {
            let found = with_files(&site, &disk.after(loss));
            let case = format!("{}, {loss:?}", point.name());
            match loss {
                Loss::Everything => origin.check_crash(&found, &done, &case).await,
                // What is half there is damage, until a start has mended it.
                Loss::Some(_) => origin.check(&found, &done, &case).await,
            }
        }
        was_killed
    })
    .await;
}

/// What is known of a disk is only worth as much as the replay.
#[tokio::test]
async fn a_replayed_disk_shows_what_the_real_one_shows() {
    for durability in ["written", "synced"] {
        let origin = Origin::new(durability).await;
        let site = origin.copy();
        let mut disk = Disk::of(&folders(&site));
        let (done, was_killed) = origin.run(&site, None).await;
        assert!(!was_killed && done.is_well(), "{done:?}");
        disk.replay(&Trace::read(&trace_of(&site)));
        let real: BTreeMap<_, _> = folders(&site)
            .iter()
            .flat_map(|it| files(it))
            .map(|it| (it.clone(), std::fs::read(it).unwrap()))
            .collect();
        let (shown, real_names): (Vec<_>, Vec<_>) =
            (disk.shown().into_keys().collect(), real.keys().cloned().collect());
        assert_eq!(shown, real_names);
        assert!(disk.shown() == real, "the bytes differ");
        // A clean end leaves nothing to lose.
        let lost = disk.after(Loss::Everything);
        let differing: Vec<_> =
            real.iter().filter(|(path, bytes)| lost.get(*path) != Some(*bytes)).collect();
        assert!(
            differing.is_empty(),
            "{durability}: {:?}",
            differing.iter().map(|it| it.0).collect::<Vec<_>>()
        );
    }
}

/// A system call before which the gateway is killed.
#[derive(Clone, Debug)]
struct Point {
    number: u64,
    fault: Fault,
}

impl Point {
    fn name(&self) -> String {
        format!("{:?}, {}", self.fault.group, self.fault.inject)
    }
}

/// Tries an even sample of the points, or all of them, and says at how many the gateway was killed.
async fn try_some(what: &str, points: Vec<Point>, attempt: impl AsyncFn(Point) -> bool) {
    let (all, step) = (points.len(), if wants_all("OSTIARY_CRASH_POINTS") { 1 } else { STEP });
    let chosen: Vec<Point> = points.into_iter().step_by(step).collect();
    let tried = chosen.len();
    let attempts = stream::iter(chosen).map(|point| attempt(point)).buffer_unordered(AT_ONCE);
    let killed = attempts.filter(|it| future::ready(*it)).count().await;
    eprintln!("{what}: killed at {killed} of {tried} points, out of {all}");
    assert!(tried / 2 <= killed, "a point that is not reached is no test");
}

/// Every so many points one is tried.
const STEP: usize = 5;
/// Most of the time is spent waiting for a start or an end.
const AT_ONCE: usize = 3;

/// Every call of a workload that changes a file of the log or of its content, or makes a change
/// durable, file by file: whichever thread it is that makes it.
async fn points_of_files(origin: &Origin) -> Vec<Point> {
    points(origin, |trace, data| {
        let first = |it: &Call| it.paths().into_iter().next();
        let paths: BTreeSet<_> = trace.calls.iter().filter_map(first).collect();
        let below = paths.iter().filter_map(|it| it.strip_prefix(data).ok());
        below.map(|it| Group::One(it.to_owned())).collect()
    })
    .await
}

/// The same of the groups that are chosen after a look at an undisturbed run.
async fn points(origin: &Origin, choose: impl FnOnce(&Trace, &Path) -> Vec<Group>) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let site = origin.copy();
    let (done, was_killed) = origin.run(&site, None).await;
    assert!(!was_killed && done.is_well(), "{done:?}");
    let trace = Trace::read(&trace_of(&site));
    for group in choose(&trace, &site.data()) {
        for (call, count) in trace.counts(&group.paths(&site.data())) {
            for when in (1..=count).filter(|_| POINTS.contains(&call.as_str())) {
                let inject = format!("{call}:signal=KILL:when={when}");
                let number = points.len() as u64;
                points.push(Point { number, fault: Fault { inject, group: group.clone() } });
            }
        }
    }
    points
}

/// Lets a copy of the origin crash: the copy, what its disk has, what it has done, and whether it
/// was killed at all.
async fn crash(origin: &Origin, point: &Point) -> (Site, Disk, Done, bool) {
    let site = origin.copy();
    let mut disk = Disk::of(&folders(&site));
    let (done, was_killed) = origin.run(&site, Some(&point.fault)).await;
    disk.replay(&Trace::read(&trace_of(&site)));
    (site, disk, done, was_killed)
}

/// A copy of a site that has these files instead of its own.
fn with_files(site: &Site, found: &BTreeMap<PathBuf, Vec<u8>>) -> Site {
    let copy = site.copy(site.home().parent().unwrap());
    for path in folders(&copy).iter().flat_map(|it| files(it)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in found {
        let path = copy.data().join(path.strip_prefix(site.data()).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    copy
}

fn folders(site: &Site) -> [PathBuf; 2] {
    ["log", "content"].map(|it| site.data().join(it))
}
