//! The counters of a workspace that are in memory, behind one lock: all limits that a call is under
//! are of its workspace, so that they are charged together or not at all.
//!
//! What nobody else counts is a [`Bucket`] here and nowhere else. All else is a [`Slice`]: units that
//! have been taken from the row in the database, and are used up here.
//!
//! While the database is away a slice may go on without it: a rate is then counted as if this process
//! were alone, and of a quota a tenth may be owed. What is owed is paid when the database is back.

mod apart;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::limits::{Allowance, Bucket, Charge, Holder, Lease, Limit, Short};
use domain::ports::Uncharged;
use domain::{LimitId, Name};

/// Times are on the clock that counts up.
pub(super) struct Table {
    counters: HashMap<Key, Counter>,
    /// Whether rates are counted here and nowhere else.
    is_alone: bool,
    swept_at: Duration,
}

pub(super) type Key = (LimitId, Holder);

struct Counter {
    limit: Arc<Limit>,
    touched_at: Duration,
    state: State,
}

enum State {
    Bucket(Bucket),
    Slice(Slice),
}

#[derive(Default)]
struct Slice {
    held: u64,
    /// Until when they may be used.
    until: Duration,
    /// The window that they are of, for those that can be given back.
    window: Option<DateTime<Utc>>,
    /// How many of the last lease have been used.
    drawn: u64,
    /// Used, and not yet paid for in the database.
    debt: u64,
    /// What of that is being paid just now.
    paying: u64,
    /// Used without the database in the present window, paid or not, and when that was last.
    lent: u64,
    lent_at: Duration,
    /// The window that this is counted in, once it is known.
    lent_in: Option<DateTime<Utc>>,
    /// What has been used of a rate since the database has gone away.
    apart: Option<Bucket>,
    /// What the database has refused a moment ago.
    short: Option<Refused>,
}

#[derive(Clone, Copy)]
struct Refused {
    cost: u64,
    /// How long it is taken for granted.
    until: Duration,
    /// When there may be room.
    at: Duration,
}

/// What has come of a look at the counters.
pub(super) enum Taken {
    All,
    Refused(Uncharged),
    /// The places of the charges for which units must be leased first.
    Lacking(Vec<usize>),
}

/// What is asked of the database for one counter.
pub(super) struct Wanted {
    pub(super) limit: Arc<Limit>,
    pub(super) holder: Holder,
    pub(super) cost: u64,
    /// How many units of the last lease have been used.
    pub(super) drawn: u64,
}

/// Units of a counter that the database is to be told of.
pub(super) struct Units {
    pub(super) limit: Arc<Limit>,
    pub(super) holder: Holder,
    pub(super) units: u64,
    /// The window that they are of, where they are given back.
    pub(super) window: Option<DateTime<Utc>>,
}

/// How many counters one workspace has at most: some 20 MB. What names a new one beyond is refused.
pub(super) const MOST: usize = 100_000;

/// How often a full table is looked through for counters that nobody needs.
const SWEEP: Duration = Duration::from_secs(1);

/// After this long without use a counter that says nothing is dropped.
const FORGET: Duration = Duration::from_secs(60);

/// How long a refusal of the database is taken for granted: units may be given back any time.
const REMEMBER: Duration = Duration::from_millis(100);

impl Table {
    pub(super) fn new(is_alone: bool) -> Self {
        Self { counters: HashMap::new(), is_alone, swept_at: Duration::ZERO }
    }

    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }

    /// Charges all of them, if they can be charged here and now.
    pub(super) fn take(&mut self, charges: &[Charge], now: Duration) -> Taken {
        match self.look(charges, now) {
            Err(refused) => Taken::Refused(refused),
            Ok(lacking) if lacking.is_empty() => {
                self.draw(charges, |_| true, now);
                self.draw_buckets(charges, now);
                Taken::All
            }
            Ok(lacking) => Taken::Lacking(lacking),
        }
    }

    /// The same. Where units must be leased first, those of the other slices are set aside.
    pub(super) fn take_or_reserve(&mut self, charges: &[Charge], now: Duration) -> Taken {
        let taken = self.take(charges, now);
        if let Taken::Lacking(lacking) = &taken {
            self.draw(charges, |i| !lacking.contains(&i), now);
        }
        taken
    }

    /// Charges all of them with what has been leased for those that were lacking. `asked_at` is when
    /// the leases were asked for.
    pub(super) fn finish(
        &mut self,
        charges: &[Charge],
        leases: &[(usize, Lease)],
        (asked_at, now): (Duration, Duration),
    ) -> Result<(), Uncharged> {
        for (i, lease) in leases {
            if let Some(slice) = charges.get(*i).and_then(|it| self.slice(it)) {
                slice.receive(*lease, asked_at);
                slice.draw(charges[*i].cost);
            }
        }
        let refused = charges.iter().find_map(|it| self.peek(it, now));
        match refused {
            Some(refused) => {
                self.give_back(charges, |_| true, now);
                Err(refused)
            }
            None => {
                self.draw_buckets(charges, now);
                Ok(())
            }
        }
    }

    /// Gives back what has been set aside beside those that were lacking.
    pub(super) fn undo(&mut self, charges: &[Charge], lacking: &[usize], now: Duration) {
        self.give_back(charges, |i| !lacking.contains(&i), now);
    }

    /// Remembers for a moment what the database has refused.
    pub(super) fn refuse(&mut self, charge: &Charge, short: Short, now: Duration) -> Uncharged {
        if let (Short::For(wait), Some(slice)) = (short, self.slice(charge)) {
            let (cost, until) = (charge.cost, now + wait.min(REMEMBER));
            slice.short = Some(Refused { cost, until, at: now + wait });
        }
        exceeded(&charge.limit, short)
    }

    /// Whether it is not one that the database has refused a moment ago.
    pub(super) fn recall(&mut self, charge: &Charge, now: Duration) -> Result<(), Uncharged> {
        self.check_room(charge, now)?;
        match &self.counter(charge, now).state {
            State::Slice(slice) => slice.recall(charge, now),
            State::Bucket(_) => Ok(()),
        }
    }

    /// Charges for what has been used; whether the database has to be told.
    pub(super) fn settle(&mut self, charges: &[Charge], now: Duration) -> bool {
        let mut owes = false;
        for charge in charges.iter().filter(|it| 0 < it.cost) {
            match (&mut self.counter(charge, now).state, charge.limit.allowance) {
                (State::Bucket(bucket), Allowance::Rate(rate)) => {
                    rate.overdraw(bucket, charge.cost, now);
                }
                (State::Slice(Slice { apart: Some(bucket), .. }), Allowance::Rate(rate)) => {
                    rate.overdraw(bucket, charge.cost, now);
                }
                (State::Slice(slice), _) => {
                    let held = slice.held_at(now).min(charge.cost);
                    slice.draw(held);
                    slice.debt = slice.debt.saturating_add(charge.cost - held);
                    owes |= 0 < slice.debt;
                }
                (State::Bucket(_), Allowance::Quota(_)) => {}
            }
        }
        owes
    }

    /// What is asked of the database for those that are lacking.
    pub(super) fn wanted(&mut self, charges: &[Charge], lacking: &[usize]) -> Vec<Wanted> {
        let mut all = Vec::new();
        for charge in lacking.iter().filter_map(|it| charges.get(*it)) {
            let (limit, holder) = (Arc::clone(&charge.limit), charge.holder.clone());
            let drawn = self.slice(charge).map_or(0, |it| it.drawn);
            all.push(Wanted { limit, holder, cost: charge.cost, drawn });
        }
        all
    }

    /// Takes what is owed, to pay it.
    pub(super) fn debts(&mut self) -> Vec<Units> {
        let mut all = Vec::new();
        for ((_, holder), counter) in &mut self.counters {
            let State::Slice(slice) = &mut counter.state else { continue };
            let units = std::mem::take(&mut slice.debt);
            if 0 < units {
                slice.paying = slice.paying.saturating_add(units);
                let (limit, holder) = (Arc::clone(&counter.limit), holder.clone());
                all.push(Units { limit, holder, units, window: None });
            }
        }
        all
    }

    /// What could not be paid is owed still.
    pub(super) fn paid(&mut self, owed: &[Units], is_paid: bool) {
        for it in owed {
            let key = (it.limit.id, it.holder.clone());
            if let Some(State::Slice(slice)) = self.counters.get_mut(&key).map(|it| &mut it.state) {
                slice.paying = slice.paying.saturating_sub(it.units);
                slice.debt = slice.debt.saturating_add(if is_paid { 0 } else { it.units });
            }
        }
    }

    /// Takes the units that nobody has used for so long, to give them back.
    pub(super) fn idle(&mut self, idle: Duration, now: Duration) -> Vec<Units> {
        let before = now.checked_sub(idle);
        let mut all = Vec::new();
        for ((_, holder), counter) in &mut self.counters {
            let State::Slice(slice) = &mut counter.state else { continue };
            let is_idle = before.is_some_and(|it| counter.touched_at <= it);
            if slice.window.is_some() && 0 < slice.held_at(now) && is_idle {
                let (limit, holder) = (Arc::clone(&counter.limit), holder.clone());
                let (units, window) = (std::mem::take(&mut slice.held), slice.window);
                all.push(Units { limit, holder, units, window });
            }
        }
        all
    }

    /// Drops the counters that say nothing.
    pub(super) fn sweep(&mut self, now: Duration) {
        self.swept_at = now;
        self.counters.retain(|_, counter| match (&counter.state, counter.limit.allowance) {
            (State::Bucket(bucket), Allowance::Rate(rate)) => 0 < rate.used(bucket, now),
            (State::Slice(slice), _) => {
                let is_new = now < counter.touched_at + FORGET;
                is_new || 0 < slice.debt || 0 < slice.held_at(now) || slice.remembers(now)
            }
            (State::Bucket(_), Allowance::Quota(_)) => false,
        });
    }

    /// How much of a rate is used up that is counted here alone, by each of its holders, and for how
    /// long.
    pub(super) fn buckets(&self, limit: LimitId, now: Duration) -> Vec<(Holder, u64, Duration)> {
        let own = self.counters.iter().filter(|((id, _), _)| *id == limit);
        let mut all: Vec<_> = own
            .filter_map(|((_, holder), counter)| {
                let (State::Bucket(bucket), Allowance::Rate(rate)) =
                    (&counter.state, counter.limit.allowance)
                else {
                    return None;
                };
                let whole_at = Duration::from_micros(bucket.whole_at_us);
                let used = rate.used(bucket, now);
                Some((holder.clone(), used, whole_at.saturating_sub(now))).filter(|it| 0 < it.1)
            })
            .collect();
        all.sort();
        all
    }

    /// How many units of a counter have been taken from the database and not been used, and how many
    /// have been used and not been paid for.
    pub(super) fn outstanding(&self, key: &Key, now: Duration) -> (u64, u64) {
        match self.counters.get(key).map(|it| &it.state) {
            Some(State::Slice(slice)) if slice.window.is_some() => (slice.held_at(now), slice.debt),
            Some(State::Slice(slice)) => (0, slice.debt),
            _ => (0, 0),
        }
    }

    /// Whether anything refuses them; else those that are lacking.
    fn look(&mut self, charges: &[Charge], now: Duration) -> Result<Vec<usize>, Uncharged> {
        let mut lacking = Vec::new();
        for (i, charge) in charges.iter().enumerate() {
            if charge.limit.allowance.most() < charge.cost {
                return Err(exceeded(&charge.limit, Short::Ever));
            }
            self.check_room(charge, now)?;
            if let State::Slice(slice) = &self.counter(charge, now).state
                && (slice.held_at(now) < charge.cost.max(1) || 0 < slice.debt)
            {
                slice.recall(charge, now)?;
                lacking.push(i);
            }
        }
        match charges.iter().find_map(|it| self.peek(it, now)) {
            Some(refused) => Err(refused),
            None => Ok(lacking),
        }
    }

    /// Why a bucket refuses, if it is one and does.
    fn peek(&self, charge: &Charge, now: Duration) -> Option<Uncharged> {
        let counter = self.counters.get(&key(charge))?;
        match (&counter.state, charge.limit.allowance) {
            (State::Bucket(bucket), Allowance::Rate(rate)) => {
                rate.peek(bucket, charge.cost, now).err().map(|it| exceeded(&charge.limit, it))
            }
            _ => None,
        }
    }

    fn draw(&mut self, charges: &[Charge], is_meant: impl Fn(usize) -> bool, now: Duration) {
        for (_, charge) in charges.iter().enumerate().filter(|(i, _)| is_meant(*i)) {
            if let State::Slice(slice) = &mut self.counter(charge, now).state {
                slice.draw(charge.cost);
            }
        }
    }

    fn draw_buckets(&mut self, charges: &[Charge], now: Duration) {
        for charge in charges {
            if let (State::Bucket(bucket), Allowance::Rate(rate)) =
                (&mut self.counter(charge, now).state, charge.limit.allowance)
            {
                rate.overdraw(bucket, charge.cost, now);
            }
        }
    }

    fn give_back(&mut self, charges: &[Charge], is_meant: impl Fn(usize) -> bool, now: Duration) {
        for (_, charge) in charges.iter().enumerate().filter(|(i, _)| is_meant(*i)) {
            if let Some(slice) = self.slice(charge)
                && now < slice.until
            {
                slice.held = slice.held.saturating_add(charge.cost);
                slice.drawn = slice.drawn.saturating_sub(charge.cost);
            }
        }
    }

    /// New counters have an end, too.
    fn check_room(&mut self, charge: &Charge, now: Duration) -> Result<(), Uncharged> {
        if self.counters.len() < MOST || self.counters.contains_key(&key(charge)) {
            return Ok(());
        }
        if self.swept_at + SWEEP <= now {
            self.sweep(now);
        }
        if self.counters.len() < MOST { Ok(()) } else { Err(Uncharged::Unavailable) }
    }

    fn counter(&mut self, charge: &Charge, now: Duration) -> &mut Counter {
        let is_alone = self.is_alone;
        let fresh = || match charge.limit.allowance {
            Allowance::Rate(_) if is_alone => State::Bucket(Bucket::default()),
            Allowance::Rate(_) | Allowance::Quota(_) => State::Slice(Slice::default()),
        };
        let limit = || Arc::clone(&charge.limit);
        let counter = self.counters.entry(key(charge)).or_insert_with(|| Counter {
            limit: limit(),
            touched_at: now,
            state: fresh(),
        });
        counter.touched_at = now;
        if counter.limit.allowance != charge.limit.allowance {
            let state = std::mem::replace(&mut counter.state, fresh());
            counter.limit = limit();
            match (state, &mut counter.state) {
                (State::Bucket(before), State::Bucket(now)) => *now = before,
                // What was held is lost; what is owed is not.
                (State::Slice(before), State::Slice(now)) => {
                    (now.debt, now.paying) = (before.debt, before.paying);
                    (now.lent, now.lent_at, now.lent_in) =
                        (before.lent, before.lent_at, before.lent_in);
                }
                _ => {}
            }
        }
        counter
    }

    fn slice(&mut self, charge: &Charge) -> Option<&mut Slice> {
        match &mut self.counters.get_mut(&key(charge))?.state {
            State::Slice(slice) => Some(slice),
            State::Bucket(_) => None,
        }
    }
}

impl Slice {
    fn held_at(&self, now: Duration) -> u64 {
        if now < self.until { self.held } else { 0 }
    }

    fn recall(&self, charge: &Charge, now: Duration) -> Result<(), Uncharged> {
        match self.short.filter(|it| now < it.until && it.cost <= charge.cost) {
            Some(it) => Err(exceeded(&charge.limit, Short::For(it.at.saturating_sub(now)))),
            None => Ok(()),
        }
    }

    fn draw(&mut self, units: u64) {
        self.held = self.held.saturating_sub(units);
        self.drawn = self.drawn.saturating_add(units);
    }

    /// Units of a rate must not be held any longer because others have been leased since.
    fn receive(&mut self, lease: Lease, asked_at: Duration) {
        let adds = lease.window.is_some() && lease.window == self.window;
        if self.lent_in.is_some_and(|it| lease.window != Some(it)) {
            self.lent = 0;
        }
        self.lent_in = lease.window;
        self.held = if adds { self.held.saturating_add(lease.units) } else { lease.units };
        self.until = asked_at.saturating_add(lease.life);
        self.window = lease.window;
        self.drawn = 0;
        self.short = None;
        self.apart = None;
    }
}

fn key(charge: &Charge) -> Key {
    (charge.limit.id, charge.holder.clone())
}

pub(super) fn exceeded(limit: &Limit, short: Short) -> Uncharged {
    let limit: Name = limit.name.clone();
    match short {
        Short::For(wait) => Uncharged::Exceeded { limit, wait: Some(wait) },
        Short::Ever => Uncharged::Exceeded { limit, wait: None },
    }
}
