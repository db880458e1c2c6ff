//! A site that has been used, and a few calls on a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tests::faults::tracer;
use tests::line::Line;
use tests::load::{Call, End, once};
use tests::wait::eventually;
use tests::{Caller, Documents, Ledger, Served, Site};
use tokio::task::JoinSet;

/// A site from which each run begins, and the server behind all of them.
pub(crate) struct Origin {
    pub(crate) ledger: Ledger,
    pub(crate) site: Site,
    pub(crate) caller: Caller,
    nonces: AtomicU64,
}

/// What one life of a gateway has done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Nonces of its calls, and of those that were answered.
    pub(crate) asked: BTreeSet<u64>,
    pub(crate) acknowledged: BTreeSet<u64>,
    /// What else came back.
    pub(crate) refused: BTreeMap<u64, String>,
    /// How long a call has taken at most.
    pub(crate) longest: Duration,
}

impl Origin {
    /// One that acknowledges what is `written`, or `synced`, and has been used and stopped.
    pub(crate) async fn new(durability: &str) -> Self {
        let (origin, served) = Self::at(Site::new(None), durability).await;
        assert!(served.stop().await.success());
        origin
    }

    /// A new one, and its first life.
    pub(crate) async fn at(site: Site, durability: &str) -> (Self, Served) {
        let ledger = Ledger::start().await;
        let served = site.start_with(&documents(durability, &ledger.url)).await;
        let caller = Caller::of("main", "target", &served.token("bot", "t").await);
        let origin = Self { ledger, caller, site, nonces: AtomicU64::new(1) };
        let done = origin.call(&served, 1).await;
        assert_eq!(done.acknowledged, done.asked);
        (origin, served)
    }

    /// A site like it.
    pub(crate) fn copy(&self) -> Site {
        self.site.copy(self.site.home().parent().unwrap())
    }

    /// Waits until every record is in its tree.
    pub(crate) async fn settle(&self) {
        let all = self.site.records().len();
        let size = |it: &String| it.lines().nth(1).and_then(|it| it.parse::<usize>().ok());
        let sizes = || checkpoints(&self.site).iter().filter_map(size).sum::<usize>();
        eventually("every record to be in a tree", || (all == sizes()).then_some(())).await;
    }

    /// Makes that many calls on each of three connections, as long as they are taken.
    pub(crate) async fn call(&self, served: &Served, each: u64) -> Done {
        let mut callers = JoinSet::new();
        for _ in 0..3 {
            let (address, caller) = (served.address, self.caller.clone());
            let first = self.nonces.fetch_add(each, Ordering::Relaxed);
            callers.spawn(async move {
                let mut line = Line::to(address);
                let mut calls: Vec<Call> = Vec::new();
                for nonce in first..first + each {
                    let call = once(&mut line, address, &caller, nonce).await;
                    let is_over = matches!(call.end, End::Broken(_));
                    calls.push(call);
                    if is_over {
                        break;
                    }
                }
                calls
            });
        }
        let mut done = Done::default();
        while let Some(calls) = callers.join_next().await {
            for call in calls.unwrap() {
                done.asked.insert(call.nonce);
                done.longest = done.longest.max(call.ended - call.began);
                match call.end {
                    End::Answered => drop(done.acknowledged.insert(call.nonce)),
                    End::Refused(why) => drop(done.refused.insert(call.nonce, why)),
                    End::Broken(_) => {}
                }
            }
        }
        done
    }

    /// Starts the copy under a tracer with that fault, makes calls and tells it to stop, unless the
    /// fault has ended it already. Whether it has.
    pub(crate) async fn run(&self, site: &Site, fault: Option<&Fault>) -> (Done, bool) {
        let Ok(mut served) = site.start_under(&tracer_of(site, fault), &[]).await else {
            return (Done::default(), true);
        };
        let mut done = self.call(&served, CALLS_EACH).await;
        // The trees grow a while after their records, and calls go on after that.
        let known = checkpoints(site);
        let grown = || (served.has_ended() || checkpoints(site) != known).then_some(());
        eventually("a checkpoint", grown).await;
        done.add(self.call(&served, CALLS_EACH).await);
        let status = served.stop().await;
        (done, !status.success())
    }

    /// What must hold of a site after a crash: it verifies as it is, and then what must hold at all.
    pub(crate) async fn check_crash(&self, site: &Site, done: &Done, case: &str) {
        verify(site, &format!("{case}: before the next start")).await;
        self.check(site, done, case).await;
    }

    /// What must hold of a site after any fault: it starts again, serves and verifies, and has in
    /// its records all that was acknowledged, and an intent for all that has reached the server.
    pub(crate) async fn check(&self, site: &Site, done: &Done, case: &str) {
        let served = site.start().await;
        let again = self.call(&served, 1).await;
        assert_eq!(again.acknowledged, again.asked, "{case}: it serves again");
        assert!(served.stop().await.success(), "{case}");
        verify(site, &format!("{case}: after the next start")).await;
        self.check_records(site, done, case);
    }

    /// All that was acknowledged, and an intent for all that has reached the server.
    pub(crate) fn check_records(&self, site: &Site, done: &Done, case: &str) {
        let (mut intents, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
        for record in site.records() {
            let Some(call) = record.text("call").map(str::to_owned) else { continue };
            match record.kind {
                "intent" => drop(intents.insert(record.text("id").unwrap().to_owned(), call)),
                _ => drop(outcomes.insert(call, record.text("end").unwrap().to_owned())),
            }
        }
        for nonce in &done.acknowledged {
            let call = intents.get(&nonce.to_string());
            let call = call.unwrap_or_else(|| panic!("{case}: no intent for {nonce}"));
            let end = outcomes.get(call).map(String::as_str);
            assert_eq!(end, Some("answered"), "{case}: the outcome of {nonce}");
        }
        for arrival in self.ledger.arrivals() {
            let nonce = arrival.nonce;
            if done.asked.contains(&nonce) {
                assert!(
                    intents.contains_key(&nonce.to_string()),
                    "{case}: {nonce} left unrecorded"
                );
            }
        }
    }
}

impl Done {
    pub(crate) fn add(&mut self, more: Self) {
        self.asked.extend(more.asked);
        self.acknowledged.extend(more.acknowledged);
        self.refused.extend(more.refused);
        self.longest = self.longest.max(more.longest);
    }

    /// Every call was answered, and it was not the server that refused it.
    pub(crate) fn is_well(&self) -> bool {
        self.acknowledged == self.asked
    }

    /// Whatever was not answered was refused because it cannot be recorded.
    pub(crate) fn check_refusals(&self, case: &str) {
        let is_told = |it: &&u64| self.acknowledged.contains(it) || self.refused.contains_key(it);
        assert_eq!(self.asked.iter().find(|it| !is_told(it)), None, "{case}: without an answer");
        self.check_reasons(case);
    }

    /// Whatever was refused was so because it cannot be recorded.
    pub(crate) fn check_reasons(&self, case: &str) {
        let of_others = self.refused.values().find(|it| *it != "503 audit_unavailable");
        assert_eq!(of_others, None, "{case}");
    }
}

/// What happens to chosen system calls on chosen files.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// As `strace` takes it: `fdatasync:error=EIO:when=3`. Each thread counts for itself.
    pub(crate) inject: String,
    pub(crate) group: Group,
}

/// Files below the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Segments,
    Trees,
    Content,
    All,
    /// One of them.
    One(PathBuf),
}

impl Group {
    /// All names that files of the group may have. A tracer knows no patterns.
    pub(crate) fn paths(&self, data: &Path) -> Vec<PathBuf> {
        if let Self::One(path) = self {
            return vec![data.join(path)];
        }
        let (log, content) = (data.join("log"), data.join("content"));
        let mut paths = Vec::new();
        if matches!(self, Self::Segments | Self::All) {
            let segments = log.join("segment");
            paths.extend(["next", "reserve", "probe"].map(|it| segments.join(it)));
            paths.extend((1..=99).map(|it| segments.join(format!("{it:020}.seg"))));
            paths.push(segments);
        }
        if matches!(self, Self::Trees | Self::All) {
            for tree in folders(&log).into_iter().filter(|it| !it.ends_with("segment")) {
                paths.extend(["tmp", "checkpoint", "durable"].map(|it| tree.join(it)));
                for tiles in ["tile/0/000.p", "tile/entries/000.p"].map(|it| tree.join(it)) {
                    paths.extend((1..=255).map(|it| tiles.join(it.to_string())));
                    paths.push(tiles);
                }
            }
            paths.push(log);
        }
        if matches!(self, Self::Content | Self::All) {
            for workspace in folders(&content) {
                // It may be another day meanwhile.
                for day in folders(&workspace).iter().flat_map(|it| [it.clone(), day_after(it)]) {
                    let names = (1..=9)
                        .flat_map(|it| [format!("{it:06}.open"), format!("{it:06}.content")]);
                    paths.extend(names.map(|it| day.join(it)));
                    paths.push(day);
                }
                paths.push(workspace);
            }
            paths.push(content);
        }
        paths
    }
}

/// Days are numbers.
fn day_after(folder: &Path) -> PathBuf {
    let day: i32 = folder.file_name().unwrap().to_str().unwrap().parse().unwrap();
    folder.with_file_name((day + 1).to_string())
}

/// The words that start a gateway with that fault.
pub(crate) fn tracer_of(site: &Site, fault: Option<&Fault>) -> Vec<OsString> {
    let group = fault.map_or(&Group::All, |it| &it.group);
    let inject = fault.map(|it| it.inject.as_str());
    tracer(&trace_of(site), inject, &group.paths(&site.data()))
}

/// What has been signed so far.
fn checkpoints(site: &Site) -> Vec<String> {
    let trees = folders(&site.data().join("log"));
    trees
        .iter()
        .map(|it| std::fs::read_to_string(it.join("checkpoint")).unwrap_or_default())
        .collect()
}

pub(crate) fn trace_of(site: &Site) -> PathBuf {
    site.home().join("trace")
}

pub(crate) async fn verify(site: &Site, case: &str) {
    let (code, said) = site.verify().await;
    assert_eq!(code, Some(0), "{case}: {said}");
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(of).unwrap().map(|it| it.unwrap().path());
    listed.filter(|it| it.is_dir()).collect()
}

fn documents(durability: &str, url: &str) -> String {
    let workspace = format!("kind: Workspace\nname: default\ndurability: {durability}\n");
    let documents = Documents::of("target", url);
    format!("{workspace}---\n{}", &*documents)
}

/// A few: every system call is a point to crash at.
const CALLS_EACH: u64 = 4;

/// Of a variable that asks for more than is usual: whether it does.
pub(crate) fn wants_all(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|it| it == "all")
}
