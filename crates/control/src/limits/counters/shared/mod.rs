//! Counters that all replicas share in Valkey or Redis, charged by a script that runs there: all
//! counters of a call or none, in one round trip, so that exactly as much is admitted as the limits
//! allow.
//!
//! The store is trusted with no more than that. It may be away, empty, behind, or lie:
//!
//! - What is charged there is told to the [`Accounts`] as a debt, which stands in the database within
//!   a second. From there they go on while the store is away, and from there a quota begins that the
//!   store knows nothing of. What is used meanwhile is owed to the store, and paid when it is back.
//! - What this process has charged there it knows by itself. A quota is never taken for less, and no
//!   process admits more than a limit allows to one, or of a rate twice the burst, whatever is answered.
//! - Whoever answers late or nonsense is left, and asked again after a while.

mod link;
mod resp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::limits::{Allowance, Bucket, Charge, Holder, Limit, Rate, Short, Spent};
use domain::ports::Uncharged;
use domain::{LimitId, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::link::{Away, Link};
use super::table::{MOST, exceeded};
use super::{Accounts, TICK, TICKS_BETWEEN_SWEEPS};
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

/// What this process has charged to a counter.
struct Own {
    limit: Arc<Limit>,
    used: Used,
    /// Used, and not yet charged to the store.
    owed: u64,
    touched_at: Duration,
}

enum Used {
    Rate(Bucket),
    Quota(Spent),
}

/// What is asked of the store for one counter.
struct Asked {
    key: Key,
    limit: Arc<Limit>,
    cost: u64,
    owed: u64,
    /// Zero where it is charged whether there is room or not.
    need: u64,
    /// Of a quota, what it is never taken for less than.
    floor: u64,
    /// And what it begins with, where that has been looked up.
    seed: Option<u64>,
}

#[derive(Clone, Copy)]
struct Now {
    wall: DateTime<Utc>,
    elapsed: Duration,
}

const SCRIPT: &str = include_str!("charge.lua");

/// How long the store is left alone at most after it has failed.
const LONGEST_PAUSE: u64 = 30;

/// How long a quota is kept in the store after its window: clocks of replicas differ.
const MARGIN: Duration = Duration::from_secs(24 * 3_600);

/// What this process has charged to a counter that nobody uses is forgotten after this long.
const FORGET: Duration = Duration::from_secs(600);

/// How many counters are paid for at once.
const TOGETHER: usize = 100;

/// No limit lets anybody wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3_600);

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
                    count += 1;
                    if count == TICKS_BETWEEN_SWEEPS {
                        count = 0;
                        self.sweep(self.accounts.clock.elapsed());
                    }
                }
            }
        }
        self.pay().await;
        *self.link.lock() = None;
    }

    /// Connects to the store. It counts again when it has been told of what was used without it.
    pub(crate) async fn connect(&self) {
        let opening = async {
            let link = Arc::new(Link::open(&self.store, SCRIPT, &self.accounts.tasks).await?);
            self.pay_by(&link).await?;
            let answer = link.run(&[], &[]).await?;
            if answer == [0] { Ok(link) } else { Err(Away::Malformed(resp::Malformed)) }
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
            match self.apply(&link, workspace, &charges, true).await {
                Ok(Ok(())) => {
                    self.failures.store(0, Ordering::Relaxed);
                    self.accounts.note(workspace, &charges);
                    return Ok(());
                }
                Ok(Err(refused)) => return Err(refused),
                Err(away) => self.leave(&link, &away),
            }
        }
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.accounts).charge(workspace, charges.clone()).await?;
        self.owe(workspace, &charges);
        Ok(())
    }

    /// Charges for what has been used already.
    pub(super) fn settle(&self, workspace: WorkspaceId, charges: &[Charge]) {
        self.accounts.note(workspace, charges);
        self.owe(workspace, charges);
        self.owes.notify_one();
    }

    fn owe(&self, workspace: WorkspaceId, charges: &[Charge]) {
        let now = self.accounts.clock.elapsed();
        let mut own = self.own.lock();
        for charge in charges.iter().filter(|it| 0 < it.cost) {
            let key = (workspace, charge.limit.id, charge.holder.clone());
            if MOST <= own.len() && !own.contains_key(&key) {
                continue;
            }
            let it = own.entry(key).or_insert_with(|| Own::new(&charge.limit));
            it.touched_at = now;
            it.owed = it.owed.saturating_add(charge.cost);
        }
    }

    async fn pay(&self) {
        let link = self.link.lock().clone();
        if let Some(link) = link
            && let Err(away) = self.pay_by(&link).await
        {
            self.leave(&link, &away);
        }
    }

    async fn pay_by(&self, link: &Arc<Link>) -> Result<(), Away> {
        let mut owed: HashMap<WorkspaceId, Vec<Charge>> = HashMap::new();
        for ((workspace, _, holder), own) in self.own.lock().iter().filter(|it| 0 < it.1.owed) {
            let (limit, holder) = (Arc::clone(&own.limit), holder.clone());
            owed.entry(*workspace).or_default().push(Charge { limit, holder, cost: 0 });
        }
        for (workspace, charges) in owed {
            for charges in charges.chunks(TOGETHER) {
                // What costs nothing and needs no room is not refused.
                drop(self.apply(link, workspace, charges, false).await?);
            }
        }
        Ok(())
    }

    /// Has the store charge for them, and for what is owed.
    async fn apply(
        &self,
        link: &Link,
        workspace: WorkspaceId,
        charges: &[Charge],
        needs_room: bool,
    ) -> Result<Result<(), Uncharged>, Away> {
        let now = Now { wall: self.accounts.clock.now(), elapsed: self.accounts.clock.elapsed() };
        let mut asked = match self.prepare(workspace, charges, needs_room, now) {
            Ok(asked) => asked,
            Err(refused) => return Ok(Err(refused)),
        };
        let answered = self.ask(link, &mut asked, now).await;
        let mut own = self.own.lock();
        for it in &asked {
            let Some(own) = own.get_mut(&it.key) else { continue };
            match &answered {
                Ok(None) => own.charge(it.owed.saturating_add(it.cost), now),
                // What was owed has been charged nevertheless.
                Ok(Some(_)) => own.charge(it.owed, now),
                // Where it has been charged it is charged twice, and not never.
                Err(_) => own.owed = own.owed.saturating_add(it.owed),
            }
        }
        Ok(answered?.map_or(Ok(()), Err))
    }

    /// What to ask for, or why this process refuses by itself.
    fn prepare(
        &self,
        workspace: WorkspaceId,
        charges: &[Charge],
        needs_room: bool,
        now: Now,
    ) -> Result<Vec<Asked>, Uncharged> {
        let mut all = self.own.lock();
        if needs_room {
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
        for charge in charges {
            let Charge { limit, holder, cost } = charge;
            let key = (workspace, limit.id, holder.clone());
            let Some(own) = all.get_mut(&key) else { continue };
            asked.push(Asked {
                key,
                limit: Arc::clone(limit),
                cost: *cost,
                owed: std::mem::take(&mut own.owed),
                need: if needs_room { (*cost).max(1) } else { 0 },
                floor: own.floor(now),
                seed: None,
            });
        }
        Ok(asked)
    }

    /// Why the store has not charged for them; nothing where it has.
    async fn ask(
        &self,
        link: &Link,
        asked: &mut [Asked],
        now: Now,
    ) -> Result<Option<Uncharged>, Away> {
        let malformed = || Away::Malformed(resp::Malformed);
        let place = |it: i64| usize::try_from(it).ok()?.checked_sub(1);
        for _ in 0..2 {
            let keys: Vec<Vec<u8>> = asked.iter().map(|it| it.name(now)).collect();
            let args: Vec<String> = asked.iter().flat_map(|it| it.args(now)).collect();
            let answer = link.run(&keys, &args).await?;
            match *answer.as_slice() {
                [0] => return Ok(None),
                [1, at, wait] => {
                    let it = place(at).and_then(|it| asked.get(it)).ok_or_else(malformed)?;
                    return Ok(Some(exceeded(&it.limit, it.short(wait, now))));
                }
                [2, ref places @ ..] if !places.is_empty() => {
                    for at in places {
                        let it = place(*at).and_then(|it| asked.get_mut(it));
                        let it = it.ok_or_else(malformed)?;
                        it.seed = Some(self.known(it).await?);
                    }
                }
                _ => return Err(malformed()),
            }
        }
        Err(malformed())
    }

    /// What the database knows of a quota.
    async fn known(&self, asked: &Asked) -> Result<u64, Away> {
        let (workspace, _, holder) = &asked.key;
        let accounts = &self.accounts;
        let used = async {
            let mut tx = accounts.ledger.read().await?;
            accounts.used_by(&mut tx, *workspace, &asked.limit, holder).await
        };
        used.await.map_err(|error| Away::Refused(chain(&error)))
    }

    /// Leaves the store alone for a while.
    fn leave(&self, link: &Arc<Link>, away: &Away) {
        let mut current = self.link.lock();
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, link)) {
            *current = None;
            drop(current);
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
}

impl Own {
    fn new(limit: &Arc<Limit>) -> Self {
        let used = match limit.allowance {
            Allowance::Rate(_) => Used::Rate(Bucket::default()),
            Allowance::Quota(quota) => Used::Quota(quota.unspent(DateTime::UNIX_EPOCH)),
        };
        Self { limit: Arc::clone(limit), used, owed: 0, touched_at: Duration::ZERO }
    }

    /// Whether this process alone has not used up what the limit allows. Of a rate it may have twice
    /// the burst, since what comes at even times leaves at uneven ones.
    fn check(&mut self, limit: &Arc<Limit>, cost: u64, now: Now) -> Result<(), Short> {
        if self.limit.allowance != limit.allowance {
            let owed = self.owed;
            let used = match (&self.used, limit.allowance) {
                (Used::Rate(bucket), Allowance::Rate(_)) => Used::Rate(*bucket),
                (Used::Quota(spent), Allowance::Quota(_)) => Used::Quota(*spent),
                _ => Self::new(limit).used,
            };
            *self = Self { used, owed, ..Self::new(limit) };
        }
        self.touched_at = now.elapsed;
        if limit.allowance.most() < cost {
            return Err(Short::Ever);
        }
        match (&self.used, limit.allowance) {
            (Used::Rate(bucket), Allowance::Rate(rate)) => {
                let twice = Rate { burst: rate.burst.saturating_mul(2), ..rate };
                twice.peek(bucket, cost, now.elapsed)
            }
            (Used::Quota(spent), Allowance::Quota(quota)) => {
                quota.take(&mut spent.clone(), cost, now.wall)
            }
            _ => Ok(()),
        }
    }

    fn charge(&mut self, units: u64, now: Now) {
        match (&mut self.used, self.limit.allowance) {
            (Used::Rate(bucket), Allowance::Rate(rate)) => {
                rate.overdraw(bucket, units, now.elapsed);
            }
            (Used::Quota(spent), Allowance::Quota(quota)) => {
                quota.overdraw(spent, units, now.wall);
            }
            _ => {}
        }
    }

    /// What this process alone has charged to a quota in its window.
    fn floor(&self, now: Now) -> u64 {
        match (&self.used, self.limit.allowance) {
            (Used::Quota(spent), Allowance::Quota(quota))
                if spent.since == quota.per.around(now.wall).0 =>
            {
                spent.units
            }
            _ => 0,
        }
    }
}

impl Asked {
    /// The workspace stands in braces, so that all of a call is in one place of a cluster. The window
    /// of a quota is a part of its name: where clocks differ, each counts in its own.
    fn name(&self, now: Now) -> Vec<u8> {
        let (workspace, limit, holder) = &self.key;
        let of = match self.limit.allowance {
            Allowance::Rate(_) => "r".to_owned(),
            Allowance::Quota(quota) => format!("q{}", quota.per.around(now.wall).0.timestamp()),
        };
        format!("ostiary:{{{workspace}}}:{limit}:{of}:{}:{}", holder.id, holder.tool).into_bytes()
    }

    fn args(&self, now: Now) -> Vec<String> {
        let numbers: [u64; 9] = match self.limit.allowance {
            Allowance::Rate(rate) => {
                let (owed, cost) = (rate.span(self.owed), rate.span(self.cost));
                let (need, burst) = (rate.span(self.need), rate.span(rate.burst));
                let spans = [owed, cost, need, burst];
                let [(a, b), (c, d), (e, f), (g, h)] = spans;
                [rate.amount, a, b, c, d, e, f, g, h]
            }
            Allowance::Quota(quota) => {
                let life = (quota.per.around(now.wall).1 - now.wall).to_std().unwrap_or_default();
                let life = u64::try_from((life + MARGIN).as_millis()).unwrap_or(u64::MAX);
                let seed = self.seed.unwrap_or_default();
                [quota.amount, self.owed, self.cost, self.need, self.floor, seed, life, 0, 0]
            }
        };
        let is_rate = matches!(self.limit.allowance, Allowance::Rate(_));
        let mut args: Vec<String> = numbers.iter().map(u64::to_string).collect();
        if !is_rate && self.seed.is_none() {
            args[5] = "-1".to_owned();
        }
        args.insert(0, if is_rate { "r" } else { "q" }.to_owned());
        args
    }

    fn short(&self, wait_us: i64, now: Now) -> Short {
        match self.limit.allowance {
            Allowance::Rate(_) => {
                let wait = Duration::from_micros(u64::try_from(wait_us).unwrap_or_default());
                Short::For(wait.clamp(Duration::from_micros(1), LONGEST_WAIT))
            }
            Allowance::Quota(quota) => {
                let ends = quota.per.around(now.wall).1;
                Short::For((ends - now.wall).to_std().unwrap_or_default())
            }
        }
    }
}
