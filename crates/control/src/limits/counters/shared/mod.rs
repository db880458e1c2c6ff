//! Counters that all replicas share in Valkey or Redis, charged by a script that runs there: all
//! counters of a call or none, in one round trip.
//!
//! The store is trusted with no more than that. It may be away, empty, behind, or lie:
//!
//! - A quota is counted by the database. The store keeps units of it that have been leased there, for
//!   whichever process needs them next; what is lacking is brought, by one call at a time. So units
//!   that it forgets are lost, and none is ever had twice, whoever counts where. Units that it kept
//!   before it was started or promoted are not used: those may have been used already.
//! - A rate is counted by the store. What is charged there is told to the [`Accounts`] as a debt,
//!   which stands in the database within a second. From there it goes on while the store is away; what
//!   is used meanwhile is owed to the store, and paid when it is back.
//! - No process admits more than a limit allows to one, or of a rate twice the burst, whatever is
//!   answered.
//! - Whoever answers late or nonsense is left, and asked again after a while.

mod asked;
mod link;
mod own;
mod resp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::limits::{Allowance, Charge, Holder, Lease, Limit};
use domain::ports::Uncharged;
use domain::{LimitId, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::asked::{Asked, Kept, Outcome, ask};
use self::link::{Away, Link};
use self::own::Own;
use super::table::{MOST, Units, exceeded};
use super::{Accounts, IDLE, TICK, TICKS_BETWEEN_SWEEPS, sort};
use crate::api::chain;
use crate::limits::CounterStore;

/// The counters in the store, as this process knows them.
pub(crate) struct Shared {
    store: CounterStore,
    link: Mutex<Option<Arc<Link>>>,
    accounts: Arc<Accounts>,
    own: Mutex<HashMap<Key, Own>>,
    /// Told when something is owed.
    owes: Notify,
    /// How often in a row the store has not done what was asked of it.
    failures: AtomicU64,
    /// Calls that were counted in the database for want of the store.
    fallbacks: AtomicU64,
}

type Key = (WorkspaceId, LimitId, Holder);

#[derive(Clone, Copy)]
struct Now {
    wall: DateTime<Utc>,
    elapsed: Duration,
}

/// What has come of an attempt to charge the store.
enum Applied {
    Done(Result<(), Uncharged>),
    /// The places of the quotas of which units must be brought first.
    Lacking(Vec<usize>),
}

const SCRIPT: &str = include_str!("charge.lua");

/// How long the store is left alone at most after it has failed.
const LONGEST_PAUSE: u64 = 30;

/// What this process has charged to a counter that nobody uses is forgotten after this long.
const FORGET: Duration = Duration::from_secs(600);

/// How often units are brought for a call: all that it needs at once, unless others use them up.
const ATTEMPTS: usize = 4;

/// How many counters are paid for at once.
const TOGETHER: usize = 100;

impl Shared {
    pub(crate) fn new(store: CounterStore, accounts: Arc<Accounts>) -> Arc<Self> {
        Arc::new(Self {
            store,
            link: Mutex::default(),
            accounts,
            own: Mutex::default(),
            owes: Notify::new(),
            failures: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
        })
    }

    /// Whether the store counts now, and how many calls the database has counted in its place.
    pub(crate) fn gauges(&self) -> (bool, u64) {
        (self.link.lock().is_some(), self.fallbacks.load(Ordering::Relaxed))
    }

    /// Stays connected and pays what is owed, until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut count, mut pause) = (0, 0);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.owes.notified() => self.pay().await,
                _ = ticks.tick() => {
                    pause -= u64::from(0 < pause);
                    if pause == 0 && self.link.lock().is_none() {
                        self.connect().await;
                        let failures = self.failures.load(Ordering::Relaxed).min(6);
                        pause = (1 << failures).min(LONGEST_PAUSE);
                    }
                    self.pay().await;
                    self.give_back(IDLE).await;
                    count += 1;
                    if count == TICKS_BETWEEN_SWEEPS {
                        count = 0;
                        self.sweep(self.accounts.clock.elapsed());
                    }
                }
            }
        }
        self.pay().await;
        self.give_back(Duration::ZERO).await;
        *self.link.lock() = None;
        self.hand_over();
        self.accounts.pay().await;
    }

    /// Connects to the store. It counts again when it has been told of what was used without it.
    pub(crate) async fn connect(&self) {
        let opening = async {
            let link = Arc::new(Link::open(&self.store, SCRIPT, &self.accounts.tasks).await?);
            self.pay_by(&link).await?;
            ask(&link, &[], self.now().wall).await?;
            Ok::<_, Away>(link)
        };
        match opening.await {
            Ok(link) => {
                *self.link.lock() = Some(link);
                tracing::info!("The store of counters counts what is used");
            }
            Err(away) => self.failed(&away),
        }
    }

    /// Charges all of them or, where one has no room, none: in the store or, while that is away, in
    /// the database.
    pub(super) async fn charge(
        &self,
        workspace: WorkspaceId,
        charges: Vec<Charge>,
    ) -> Result<(), Uncharged> {
        let link = self.link.lock().clone();
        if let Some(link) = link {
            match self.charge_there(&link, workspace, &charges).await {
                Ok(Ok(())) => {
                    self.failures.store(0, Ordering::Relaxed);
                    self.accounts.note(workspace, &rates(&charges));
                    return Ok(());
                }
                Ok(Err(refused)) => return Err(refused),
                Err(away) => self.leave(&link, &away),
            }
        }
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.accounts).charge(workspace, charges.clone()).await?;
        self.owe(workspace, &rates(&charges));
        Ok(())
    }

    /// Charges for what has been used already.
    pub(super) fn settle(&self, workspace: WorkspaceId, charges: &[Charge]) {
        self.accounts.note(workspace, &rates(charges));
        self.owe(workspace, charges);
        self.owes.notify_one();
    }

    fn owe(&self, workspace: WorkspaceId, charges: &[Charge]) {
        let now = self.now().elapsed;
        let mut own = self.own.lock();
        let mut beyond = Vec::new();
        for charge in charges.iter().filter(|it| 0 < it.cost) {
            let key = (workspace, charge.limit.id, charge.holder.clone());
            if MOST <= own.len() && !own.contains_key(&key) {
                beyond.push(charge.clone());
                continue;
            }
            let it = own.entry(key).or_insert_with(|| Own::new(&charge.limit));
            it.touched_at = now;
            it.owed = it.owed.saturating_add(charge.cost);
        }
        drop(own);
        beyond.retain(|it| is_quota(&it.limit));
        self.charge_database(workspace, &beyond);
    }

    /// What is used of quotas, and not paid for with units in the store.
    fn charge_database(&self, workspace: WorkspaceId, charges: &[Charge]) {
        if !charges.is_empty() {
            self.accounts.note(workspace, charges);
            self.accounts.owes.notify_one();
        }
    }

    async fn pay(&self) {
        let link = self.link.lock().clone();
        match link {
            Some(link) => {
                if let Err(away) = self.pay_by(&link).await {
                    self.leave(&link, &away);
                }
            }
            None => self.hand_over(),
        }
    }

    async fn pay_by(&self, link: &Link) -> Result<(), Away> {
        let mut owed: HashMap<WorkspaceId, Vec<Charge>> = HashMap::new();
        for ((workspace, _, holder), own) in self.own.lock().iter().filter(|it| 0 < it.1.owed) {
            let (limit, holder) = (Arc::clone(&own.limit), holder.clone());
            owed.entry(*workspace).or_default().push(Charge { limit, holder, cost: 0 });
        }
        for (workspace, charges) in owed {
            for charges in charges.chunks(TOGETHER) {
                // What costs nothing and needs no room is not refused.
                let asked = self.prepare(workspace, charges, None);
                self.apply(link, workspace, asked.unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    /// Where there is no store, what is owed to quotas is the database's.
    fn hand_over(&self) {
        let mut owed: HashMap<WorkspaceId, Vec<Charge>> = HashMap::new();
        for ((workspace, _, holder), own) in &mut *self.own.lock() {
            if 0 < own.owed && is_quota(&own.limit) {
                let cost = std::mem::take(&mut own.owed);
                let charge = Charge { limit: Arc::clone(&own.limit), holder: holder.clone(), cost };
                owed.entry(*workspace).or_default().push(charge);
            }
        }
        for (workspace, charges) in owed {
            self.charge_database(workspace, &charges);
        }
    }

    /// Charges all of them in the store, or none. Units of quotas that are lacking there are brought
    /// by one call at a time, so that others find what is left of them.
    async fn charge_there(
        &self,
        link: &Link,
        workspace: WorkspaceId,
        charges: &[Charge],
    ) -> Result<Result<(), Uncharged>, Away> {
        let (accounts, book) = (&self.accounts, self.accounts.book(workspace));
        let lacking = match self.attempt(link, workspace, charges, &[]).await? {
            Applied::Done(done) => return Ok(done),
            Applied::Lacking(lacking) => lacking,
        };
        // What has been refused a moment ago is not asked for again.
        if let Err(refused) = accounts.recall(&book, charges, &lacking) {
            return Ok(Err(refused));
        }
        let _turn = match book.turn().await {
            Ok(turn) => turn,
            Err(uncharged) => return Ok(Err(uncharged)),
        };
        let mut leases = Vec::new();
        for _ in 0..ATTEMPTS {
            let lacking = match self.attempt(link, workspace, charges, &leases).await? {
                Applied::Done(done) => return Ok(done),
                Applied::Lacking(lacking) => lacking,
            };
            // Other processes may have used up the others meanwhile, and not what came with the call.
            if leases.iter().any(|(i, _)| lacking.contains(i)) {
                return Err(Away::Forgetful);
            }
            let leased = match accounts.recall(&book, charges, &lacking) {
                Ok(()) => accounts.lease_lacking(&book, charges, &lacking).await,
                Err(refused) => Err(refused),
            };
            let asked_at;
            (leases, asked_at) = match leased {
                Ok(leased) => leased,
                Err(uncharged) => return Ok(Err(uncharged)),
            };
            let passed = self.now().elapsed.saturating_sub(asked_at);
            for (_, lease) in &mut leases {
                lease.life = lease.life.saturating_sub(passed);
            }
        }
        Ok(Err(Uncharged::Unavailable))
    }

    /// Has the store charge for all of them or none, with units that have been leased for some, by
    /// their places.
    async fn attempt(
        &self,
        link: &Link,
        workspace: WorkspaceId,
        charges: &[Charge],
        leases: &[(usize, Lease)],
    ) -> Result<Applied, Away> {
        match self.prepare(workspace, charges, Some(leases)) {
            Ok(asked) => self.apply(link, workspace, asked).await,
            Err(refused) => Ok(Applied::Done(Err(refused))),
        }
    }

    /// What to ask for, or why this process refuses by itself. Without `leases`, what is owed alone.
    fn prepare(
        &self,
        workspace: WorkspaceId,
        charges: &[Charge],
        leases: Option<&[(usize, Lease)]>,
    ) -> Result<Vec<Asked>, Uncharged> {
        let now = self.now();
        let mut all = self.own.lock();
        if leases.is_some() {
            for charge in charges {
                let key = (workspace, charge.limit.id, charge.holder.clone());
                if MOST <= all.len() && !all.contains_key(&key) {
                    return Err(Uncharged::Unavailable);
                }
                let own = all.entry(key).or_insert_with(|| Own::new(&charge.limit));
                own.check(&charge.limit, charge.cost, now)
                    .map_err(|short| exceeded(&charge.limit, short))?;
            }
        }
        let mut asked = Vec::with_capacity(charges.len());
        for (i, charge) in charges.iter().enumerate() {
            let Charge { limit, holder, cost } = charge;
            let key = (workspace, limit.id, holder.clone());
            let Some(own) = all.get_mut(&key) else { continue };
            let brought = leases.into_iter().flatten().find(|it| it.0 == i).map(|it| it.1);
            // What is brought for a call is not used up by what others owe.
            let owed = if brought.is_some() { 0 } else { std::mem::take(&mut own.owed) };
            let need = if leases.is_some() { (*cost).max(1) } else { 0 };
            asked.push(Asked { key, limit: Arc::clone(limit), cost: *cost, owed, need, brought });
        }
        Ok(asked)
    }

    async fn apply(
        &self,
        link: &Link,
        workspace: WorkspaceId,
        asked: Vec<Asked>,
    ) -> Result<Applied, Away> {
        let now = self.now();
        let answered = ask(link, &asked, now.wall).await;
        let mut unpaid = Vec::new();
        let mut all = self.own.lock();
        for (i, it) in asked.iter().enumerate() {
            let is_charged = matches!(&answered, Ok((Outcome::Charged, _)));
            let cost = if is_charged { it.cost } else { 0 };
            // Where what is owed has been charged, and nobody knows, it is charged twice, not never.
            let kept: Option<&Kept> = answered.as_ref().ok().and_then(|it| it.1.get(i));
            let mut own = all.get_mut(&it.key);
            if it.is_quota() {
                let cost = it.owed.saturating_sub(kept.map_or(0, |it| it.drawn));
                let (limit, holder) = (Arc::clone(&it.limit), it.key.2.clone());
                unpaid.extend((0 < cost).then_some(Charge { limit, holder, cost }));
            } else if let (None, Some(own)) = (kept, &mut own) {
                own.owed = own.owed.saturating_add(it.owed);
            }
            if let (Some(_), Some(own)) = (kept, own) {
                let brought = it.brought.map_or(0, |it| it.units);
                own.brought = own.brought.saturating_add(brought).saturating_sub(cost);
                own.charge(it.owed.saturating_add(cost), now);
            }
        }
        drop(all);
        self.charge_database(workspace, &unpaid);
        Ok(match answered?.0 {
            Outcome::Charged => Applied::Done(Ok(())),
            Outcome::Lacking(lacking) => Applied::Lacking(lacking),
            Outcome::Short(i, short) => {
                let limit = asked.get(i).map(|it| &it.limit);
                let refused = limit.map_or(Uncharged::Unavailable, |it| exceeded(it, short));
                Applied::Done(Err(refused))
            }
        })
    }

    /// Gives back to the database what is left in the store of what this process has brought there
    /// and not used for so long.
    async fn give_back(&self, idle: Duration) {
        let Some(link) = self.link.lock().clone() else { return };
        let now = self.now();
        let mut idle_ones: HashMap<WorkspaceId, Vec<Asked>> = HashMap::new();
        for (key, own) in &mut *self.own.lock() {
            if 0 < own.brought && own.touched_at + idle <= now.elapsed {
                let (key, limit) = (key.clone(), Arc::clone(&own.limit));
                let owed = std::mem::take(&mut own.brought);
                let asked = Asked { key, limit, cost: 0, owed, need: 0, brought: None };
                idle_ones.entry(asked.key.0).or_default().push(asked);
            }
        }
        for (workspace, asked) in idle_ones {
            for asked in asked.chunks(TOGETHER) {
                match ask(&link, asked, now.wall).await {
                    Ok((_, kept)) => self.take_back(workspace, asked, &kept).await,
                    Err(away) => return self.leave(&link, &away),
                }
            }
        }
    }

    async fn take_back(&self, workspace: WorkspaceId, asked: &[Asked], kept: &[Kept]) {
        let drawn = asked.iter().zip(kept).filter(|it| it.0.is_quota() && 0 < it.1.drawn);
        let units = |(it, kept): (&Asked, &Kept)| {
            let (limit, holder) = (Arc::clone(&it.limit), it.key.2.clone());
            Units { limit, holder, units: kept.drawn, window: Some(kept.window) }
        };
        let mut unused: Vec<Units> = drawn.map(units).collect();
        sort(&mut unused);
        // Where it fails they are lost: were they given back twice, more would be admitted.
        if let Err(error) = self.accounts.ledger.give_back(workspace, &unused).await {
            tracing::warn!(error = %chain(&error), "Unused units could not be given back");
        }
    }

    /// Leaves the store alone for a while.
    fn leave(&self, link: &Arc<Link>, away: &Away) {
        let mut current = self.link.lock();
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, link)) {
            *current = None;
            drop(current);
            self.hand_over();
            self.failed(away);
        }
    }

    fn failed(&self, away: &Away) {
        // Said once, and again when it has been there meanwhile.
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(error = %chain(away), "The store of counters is away; the database counts");
        }
    }

    fn sweep(&self, now: Duration) {
        self.own.lock().retain(|_, it| 0 < it.owed || now < it.touched_at + FORGET);
    }

    fn now(&self) -> Now {
        Now { wall: self.accounts.clock.now(), elapsed: self.accounts.clock.elapsed() }
    }
}

fn is_quota(limit: &Limit) -> bool {
    matches!(limit.allowance, Allowance::Quota(_))
}

/// Those that the store counts.
fn rates(charges: &[Charge]) -> Vec<Charge> {
    charges.iter().filter(|it| !is_quota(&it.limit)).cloned().collect()
}
