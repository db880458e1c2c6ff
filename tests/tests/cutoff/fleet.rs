//! Replicas under load, and the three ledgers in which each of their calls must stand: their
//! clients', the gateway's and the server's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use http::Method;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tests::ledger::{Arrival, Mark};
use tests::line::Line;
use tests::load::{Call, End, once};
use tests::wait::within;
use tests::{Caller, Ledger, Load, Relay, Served, Site};
use tokio::time::Instant;

use crate::cluster::{relay_to, through};
use crate::documents;

/// Replicas, each behind a relay of its own to the database.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    /// Whom the clients call that are to be stopped, and the others.
    pub(crate) target: Ledger,
    pub(crate) elsewhere: Ledger,
    /// Who calls the one, and the other.
    pub(crate) victim: Caller,
    pub(crate) bystander: Caller,
    calls: Calls,
    loads: u64,
}

/// Of the victim, and of the bystander.
#[derive(Default)]
struct Calls {
    stopped: Vec<Call>,
    others: Vec<Call>,
}

pub(crate) struct Member {
    pub(crate) site: Site,
    pub(crate) served: Served,
    pub(crate) relay: Relay,
    /// Of the victim, and of the bystander.
    pub(crate) stopped: Load,
    pub(crate) others: Load,
}

/// What happened to a fleet.
pub(crate) struct Story {
    calls: Calls,
    /// At the server that is turned off, and at the other one.
    stopped: Vec<Arrival>,
    others: Vec<Arrival>,
    sites: Vec<Site>,
}

/// Connections of each at each replica.
pub(crate) const EACH: u32 = 3;

impl Fleet {
    pub(crate) async fn of(replicas: usize, url: &str) -> Self {
        let (target, elsewhere) = (Ledger::start().await, Ledger::start().await);
        let relays = join_all((0..replicas).map(|_| relay_to(url))).await;
        let mut sites = vec![Site::new(Some(through(&relays[0], url)))];
        let first = sites[0].start_with(&documents(&target.url, &elsewhere.url)).await;
        let victim = Caller::of("main", "target", &first.token("bot", "t").await);
        let bystander = Caller::of("side", "elsewhere", &first.token("other-bot", "t").await);
        let others = relays[1..].iter().map(|it| sites[0].beside_by(through(it, url)));
        sites.extend(others.collect::<Vec<_>>());
        let mut served = vec![first];
        served.extend(join_all(sites[1..].iter().map(Site::start)).await);
        let mut fleet = Self {
            members: Vec::new(),
            target,
            elsewhere,
            victim,
            bystander,
            calls: Calls::default(),
            loads: 0,
        };
        for ((site, served), relay) in sites.into_iter().zip(served).zip(relays) {
            let (stopped, others) = fleet.loads_at(served.address);
            fleet.members.push(Member { site, served, relay, stopped, others });
        }
        fleet
    }

    /// Lets the gateways do without their database for that long, and waits until each replica would;
    /// until when each does at least.
    pub(crate) async fn autonomous(&self, gateways: &[&str], seconds: u64) -> Instant {
        for name in gateways {
            let patch = json!({"max_autonomy_seconds": seconds});
            let served = &self.members[0].served;
            served.must(Method::PATCH, &format!("gateways/{name}"), Some(patch)).await;
        }
        self.until_autonomous(seconds).await
    }

    /// The same where they may already.
    pub(crate) async fn until_autonomous(&self, seconds: u64) -> Instant {
        // A renewal each second, and one that is late.
        let enough = seconds - 2;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let looking = async {
            loop {
                ticks.tick().await;
                let asked = Instant::now();
                let all = self.members.iter().map(|it| it.served.metrics());
                let all = join_all(all).await.into_iter();
                let least = all.map(|it| it["ostiary_autonomy_seconds"]).min().unwrap();
                if enough <= least {
                    return asked + Duration::from_secs(least);
                }
            }
        };
        within("replicas that may do without their database", looking).await
    }

    /// Waits until that many more of each one's calls at each replica have been answered.
    pub(crate) async fn answers(&self, count: u32) {
        join_all(self.members.iter().map(async |it| {
            tokio::join!(it.stopped.answers(count), it.others.answers(count));
        }))
        .await;
    }

    /// The same of those whom nobody stops.
    pub(crate) async fn answers_of_others(&self, count: u32) {
        join_all(self.members.iter().map(|it| it.others.answers(count))).await;
    }

    /// Ends a replica as a machine does that loses its power, and starts one in its folder.
    pub(crate) async fn replace(&mut self, number: usize) {
        let (site, relay) = self.kill(number).await;
        self.revive(number, (site, relay)).await;
    }

    /// Ends a replica as a machine does that loses its power.
    pub(crate) async fn kill(&mut self, number: usize) -> (Site, Relay) {
        let Member { site, served, relay, stopped, others } = self.members.remove(number);
        served.kill().await;
        self.calls.stopped.extend(stopped.finish().await);
        self.calls.others.extend(others.finish().await);
        (site, relay)
    }

    /// Starts one in its folder.
    pub(crate) async fn revive(&mut self, number: usize, (site, relay): (Site, Relay)) {
        let served = site.start().await;
        let (stopped, others) = self.loads_at(served.address);
        self.members.insert(number, Member { site, served, relay, stopped, others });
    }

    /// How a call at a replica ends.
    pub(crate) async fn call(&mut self, number: usize, caller: &Caller) -> End {
        let address = self.members[number].served.address;
        let nonce = self.first_nonce();
        let call = once(&mut Line::to(address), address, caller, nonce).await;
        let end = call.end.clone();
        let is_victim = caller.path == self.victim.path;
        let calls = if is_victim { &mut self.calls.stopped } else { &mut self.calls.others };
        calls.push(call);
        end
    }

    pub(crate) async fn finish(self) -> Story {
        let (mut calls, mut sites) = (self.calls, Vec::new());
        for it in self.members {
            calls.stopped.extend(it.stopped.finish().await);
            calls.others.extend(it.others.finish().await);
            assert!(it.served.stop().await.success());
            sites.push(it.site);
        }
        let (stopped, others) = (self.target.arrivals(), self.elsewhere.arrivals());
        Story { calls, stopped, others, sites }
    }

    fn loads_at(&mut self, address: SocketAddr) -> (Load, Load) {
        let mut stopped = Load::counting_from(address, self.first_nonce());
        let mut others = Load::counting_from(address, self.first_nonce());
        stopped.add(EACH, &self.victim);
        others.add(EACH, &self.bystander);
        (stopped, others)
    }

    /// Room for a thousand million calls each.
    fn first_nonce(&mut self) -> u64 {
        self.loads += 1;
        self.loads << 30
    }
}

impl Member {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.served.pid().unwrap(), signal).unwrap();
    }
}

impl Story {
    /// Holds the ledgers against each other: nothing reaches a server that its client did not ask for,
    /// twice, or without a record; what is answered has reached it, and stands in the record as that.
    pub(crate) async fn check(&self) {
        let asked: HashMap<u64, &Call> = self.calls().map(|it| (it.nonce, it)).collect();
        assert_eq!(asked.len(), self.calls().count());
        let mut arrived = HashSet::new();
        for it in self.stopped.iter().chain(&self.others) {
            assert!(asked.contains_key(&it.nonce), "nobody asked for {it:?}");
            assert!(arrived.insert(it.nonce), "{:?} has come twice", asked[&it.nonce]);
        }
        // By call, what it was and whether it was answered.
        let (mut intents, mut answered) = (HashMap::new(), HashSet::new());
        for site in &self.sites {
            let (code, said) = site.verify().await;
            assert_eq!(code, Some(0), "{said}");
            for it in site.records() {
                let call = it.text("call").unwrap_or_default().to_owned();
                if it.kind == "intent" && it.text("method") == Some("tools/call") {
                    intents.insert(it.text("id").unwrap().to_owned(), call);
                } else if it.kind == "outcome" && it.text("end") == Some("answered") {
                    answered.insert(call);
                }
            }
        }
        for nonce in &arrived {
            assert!(intents.contains_key(&nonce.to_string()), "unrecorded: {:?}", asked[nonce]);
        }
        for call in self.calls().filter(|it| it.end == End::Answered) {
            assert!(arrived.contains(&call.nonce), "{call:?}");
            let is_recorded = answered.contains(&intents[&call.nonce.to_string()]);
            assert!(is_recorded, "an answer that is not recorded: {call:?}");
        }
    }

    /// The calls whose records say that they were decided without the database.
    pub(crate) fn without_database(&self) -> HashSet<u64> {
        let mut nonces = HashSet::new();
        for site in &self.sites {
            let (mut ids, mut apart) = (HashMap::new(), HashSet::new());
            for it in site.records() {
                let call = it.text("call").unwrap_or_default().to_owned();
                if it.kind == "intent" && it.text("method") == Some("tools/call") {
                    ids.insert(call, it.text("id").unwrap().parse().unwrap());
                } else if it.kind == "outcome" && it.leaf["without_database_ms"].is_u64() {
                    apart.insert(call);
                }
            }
            nonces.extend(apart.iter().filter_map(|it| ids.get(it)));
        }
        nonces
    }

    /// Of those who call what is turned off.
    pub(crate) fn victims(&self) -> &[Call] {
        &self.calls.stopped
    }

    /// Of those whom nobody stops.
    pub(crate) fn others(&self) -> &[Call] {
        &self.calls.others
    }

    /// Calls that reached the server that is turned off, between two moments.
    pub(crate) fn between<'a>(
        &'a self,
        (off, on): (&'a Mark, &'a Mark),
    ) -> impl Iterator<Item = &'a Arrival> {
        self.stopped.iter().filter(|it| !off.covers(it) && on.covers(it))
    }

    /// The same of the other one.
    pub(crate) fn elsewhere_between<'a>(
        &'a self,
        (off, on): (&'a Mark, &'a Mark),
    ) -> impl Iterator<Item = &'a Arrival> {
        self.others.iter().filter(|it| !off.covers(it) && on.covers(it))
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.stopped.iter().chain(&self.calls.others)
    }

    /// Whoever has nothing to do with what was turned off is answered, but for calls that were under
    /// way in one of these times.
    pub(crate) fn check_outages(&self, outages: &[(Instant, Instant)]) {
        let is_in = |it: &Call| outages.iter().any(|(from, to)| it.began < *to && *from < it.ended);
        let wrong = self.calls.others.iter().find(|it| it.end != End::Answered && !is_in(it));
        assert!(wrong.is_none(), "{wrong:?}");
    }

    pub(crate) fn print(&self, what: &str) {
        let mut ends: BTreeMap<&End, usize> = BTreeMap::new();
        self.calls().for_each(|it| *ends.entry(&it.end).or_default() += 1);
        eprintln!(
            "{what}: {} calls, {} at a server",
            self.calls().count(),
            self.stopped.len() + self.others.len()
        );
        for (end, count) in ends {
            eprintln!("  {count} {end:?}");
        }
    }
}
