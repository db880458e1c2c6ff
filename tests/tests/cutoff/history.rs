//! Many clients call while everything that their calls depend on is turned off and on again, on one
//! process and on many.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::join_all;
use tests::ledger::{Arrival, Mark};
use tests::load::{Call, End};
use tests::{Caller, Ledger, Load, Served, Site};
use tokio::time::Instant;

use crate::{SWITCHES, Switch, cut, documents, restore, variable};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_no_call_reaches_a_server_after_a_cut_off_was_acknowledged() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let history = History::make(&site, 1).await;
        history.print(&site);
        history.check();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_no_call_reaches_a_server_on_any_of_eight_replicas() {
    let Some(url) = db::testing::postgres_url().await else { return };
    toggle(&Site::new(db::testing::postgres_url().await), 8).await;
    let site = Site::new(Some(url));
    let history = History::make(&site, 8).await;
    history.print(&site);
    history.check();
}

/// What happened.
struct History {
    replicas: usize,
    arrivals: Vec<Arrival>,
    /// Of clients that the throws stop, and of those that have nothing to do with them.
    calls: Vec<Call>,
    others: Vec<Call>,
    throws: Vec<Throw>,
}

/// Something was turned off, and on again.
struct Throw {
    switch: Switch,
    /// Which replica was asked to, and whether all have confirmed it.
    at: usize,
    is_complete: bool,
    began: Instant,
    /// When the API's answer was there.
    answered: Instant,
    /// What had reached the server then.
    off: Mark,
    /// And when turning it on again was about to be asked for.
    on: Mark,
    on_began: Instant,
    on_answered: Instant,
}

impl History {
    async fn make(site: &Site, replicas: usize) -> Self {
        let (ledger, other) = (Ledger::start().await, Ledger::start().await);
        let first = site.start_with(&documents(&ledger.url, &other.url)).await;
        let victim = Caller::of("main", "target", &first.token("bot", "t").await);
        let bystander = Caller::of("side", "elsewhere", &first.token("other-bot", "t").await);
        let (mut load, mut others) = (Load::on(first.address), Load::on(first.address));
        let beside: Vec<Site> = (1..replicas).map(|_| site.beside()).collect();
        let mut served = vec![first];
        served.extend(join_all(beside.iter().map(Site::start)).await);
        for (number, it) in (0..).zip(&served) {
            load.add_at(it.address, share(STOPPED, number, replicas), &victim);
            others.add_at(it.address, share(CONNECTIONS - STOPPED, number, replicas), &bystander);
        }
        let scene = Scene { served, ledger, load, victim };
        let mut throws = Vec::new();
        let only = variable("OSTIARY_CUTOFF_ONLY").unwrap_or_default();
        let chosen = SWITCHES.iter().filter(|it| format!("{it:?}").contains(&only));
        let usual = if replicas == 1 { 100 } else { 60 };
        let times = variable("OSTIARY_CUTOFF_THROWS").map_or(usual, |it| it.parse().unwrap());
        for switch in chosen.cycle().take(times) {
            scene.load.answers(BETWEEN).await;
            // Any of them, in an order that is the same each time.
            let at = throws.len() * 5 % replicas;
            throws.push(throw(*switch, at, &scene).await);
        }
        scene.load.answers(BETWEEN).await;
        let Scene { served, ledger, load, .. } = scene;
        let (calls, others) = (load.finish().await, others.finish().await);
        for it in served {
            assert!(it.stop().await.success());
        }
        Self { replicas, arrivals: ledger.arrivals(), calls, others, throws }
    }

    /// Calls that reached the server between an answer of the API and the next question to it.
    fn stale(&self) -> Vec<(String, u64)> {
        let is_stale = |throw: &Throw, it: &Arrival| !throw.off.covers(it) && throw.on.covers(it);
        let of = |throw| self.arrivals.iter().filter(move |it| is_stale(throw, it));
        self.throws
            .iter()
            .flat_map(|it| of(it).map(|arrival| (format!("{:?}", it.switch), arrival.nonce)))
            .collect()
    }

    fn check(&self) {
        let stale = self.stale();
        let some = &stale[..stale.len().min(10)];
        assert!(stale.is_empty(), "{} calls after the answer, as {some:?}", stale.len());
        let answered: Vec<_> = self.calls.iter().filter(|it| it.end == End::Answered).collect();
        for (number, throw) in self.throws.iter().enumerate() {
            assert!(throw.is_complete || 1 < self.replicas, "there is nobody to wait for");
            let what = (throw.switch, throw.at);
            // What was asked while it was off was refused.
            let off = |it: &&Call| throw.answered < it.began && it.ended < throw.on_began;
            let refused = self.calls.iter().filter(off);
            let wrong = refused.clone().find(|it| !matches!(it.end, End::Refused(_)));
            assert!(wrong.is_none(), "{what:?}: {wrong:?}");
            assert!(0 < refused.count(), "{what:?}: nobody called while it was off");
            // What was released meanwhile had been let through before.
            let late = throw.answered + Duration::from_secs(2);
            let late = |it: &&&Call| late < it.ended && it.ended < throw.on_began;
            assert_eq!(answered.iter().filter(late).count(), 0, "{what:?}: answers that came late");
            // And before and after it calls succeed.
            let next = self.throws.get(number + 1).map(|it| it.began);
            let on =
                |it: &&&Call| throw.on_answered < it.began && next.is_none_or(|n| it.ended < n);
            assert!(0 < answered.iter().filter(on).count(), "{what:?}: not on again");
        }
        // A call reaches the server once, and is answered only if it did.
        let mut arrived: HashMap<u64, u32> = HashMap::new();
        for arrival in &self.arrivals {
            *arrived.entry(arrival.nonce).or_default() += 1;
        }
        assert!(arrived.values().all(|times| *times == 1), "a call reached the server twice");
        assert!(answered.iter().all(|it| arrived.contains_key(&it.nonce)));
        let is_wrong = |it: &&Call| !matches!(it.end, End::Answered | End::Refused(_));
        assert!(
            !self.calls.iter().any(|it| is_wrong(&it)),
            "{:?}",
            self.calls.iter().find(is_wrong)
        );
        let stopped = self.others.iter().find(|it| it.end != End::Answered);
        assert!(stopped.is_none(), "who had nothing to do with it was stopped: {stopped:?}");
        assert!(answered.len() * 4 > self.calls.len(), "too few succeed for this to prove much");
    }

    fn print(&self, site: &Site) {
        let mut ends: BTreeMap<&End, usize> = BTreeMap::new();
        self.calls.iter().for_each(|it| *ends.entry(&it.end).or_default() += 1);
        let took = told(self.throws.iter().map(|it| it.answered - it.began).collect());
        let all = self.calls.len() + self.others.len();
        let late = self.throws.iter().filter(|it| !it.is_complete).count();
        eprintln!(
            "{} replicas on {}: {all} calls on {CONNECTIONS} connections, of which {} in the way of {} throws; \
             {} stale; the API took {took}",
            self.replicas,
            site.database(),
            self.calls.len(),
            self.throws.len(),
            self.stale().len(),
        );
        eprintln!("  {late} throws were not confirmed by all, but waited out");
        eprintln!("  {} calls of others, all answered", self.others.len());
        for (end, count) in ends {
            eprintln!("  {count} {end:?}");
        }
    }
}

/// Who calls whom.
struct Scene {
    served: Vec<Served>,
    ledger: Ledger,
    load: Load,
    victim: Caller,
}

/// Turns something off, lets each client hear of it, and turns it on again.
async fn throw(switch: Switch, at: usize, scene: &Scene) -> Throw {
    let Scene { served, ledger, load, victim } = scene;
    let served = &served[at];
    let began = Instant::now();
    let is_complete = switch.off(served).await;
    let answered = Instant::now();
    let off = ledger.mark().await;
    load.progress(2 * STOPPED).await;
    let on = ledger.mark().await;
    let on_began = Instant::now();
    switch.on(served, victim).await;
    let on_answered = Instant::now();
    Throw { switch, at, is_complete, began, answered, off, on, on_began, on_answered }
}

/// Prints how long the API takes, on each replica in turn, while all are well and nobody calls.
async fn toggle(site: &Site, replicas: usize) {
    let ledger = Ledger::start().await;
    let first = site.start_with(&documents(&ledger.url, &ledger.url)).await;
    let beside: Vec<Site> = (1..replicas).map(|_| site.beside()).collect();
    let mut served = vec![first];
    served.extend(join_all(beside.iter().map(Site::start)).await);
    let mut took = Vec::new();
    for at in served.iter().cycle().take(TOGGLES) {
        let began = Instant::now();
        cut(at, "server", "target", None).await;
        took.push(began.elapsed());
        restore(at, "server", "target").await;
    }
    eprintln!("{replicas} replicas, nobody calls: the API took {}", told(took));
    for it in served {
        assert!(it.stop().await.success());
    }
}

fn told(mut took: Vec<Duration>) -> String {
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    format!("{:.1} ms (p50), {:.1} ms (p99), {:.1} ms at most", at(50), at(99), at(100))
}

/// A part of so many, of which there are that many.
fn share(all: u32, number: u32, parts: usize) -> u32 {
    (all + number) / u32::try_from(parts).unwrap()
}

const CONNECTIONS: u32 = 64;
/// How many of them the throws are to stop.
const STOPPED: u32 = 52;
/// How often something is turned off while nobody calls.
const TOGGLES: usize = 64;
/// Calls that succeed between two throws.
const BETWEEN: u32 = 200;
