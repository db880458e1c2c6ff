//! The counters of all replicas: a row for each, by the database's own time.
//!
//! Rows are locked in the order of their keys, so that replicas never wait for each other in a
//! circle, and changed by the same arithmetic as counters in memory.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::{Db, DbError, Tx};
use domain::limits::{Allowance, Bucket, Holder, Lease, Limit, Short, Spent};
use domain::{Clock, WorkspaceId};

use super::store::{self, Entry, Used};
use super::table::{Units, Wanted};

pub(super) struct Ledger {
    db: Db,
    time: Time,
    /// Whether nobody else leases units.
    is_alone: bool,
}

/// By whose clock units come back.
pub(super) enum Time {
    Own(Arc<dyn Clock>),
    /// The database's, since those of several replicas differ.
    Shared,
}

/// Why nothing was leased.
#[derive(Debug)]
pub(super) enum Unleased {
    /// The units of one of those that were wanted, by its place.
    Short(usize, Short),
    Failed(LedgerError),
}

/// Why the ledger did not do what was asked of it, or may not have.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("the counters cannot be changed")]
    Db(#[from] DbError),
    #[error("the database has not answered in time")]
    Late,
}

/// How long a call waits for the database. Then it is refused.
// Tests have hundreds wait for each other, on machines that are busy.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 2 });

/// Who has used how much, in a way that [`super::Usage`] can be made of.
pub(super) struct Account {
    pub(super) holder: Holder,
    pub(super) used: u64,
    pub(super) until: DateTime<Utc>,
}

/// A row as the arithmetic wants it.
enum Counted {
    Bucket(Bucket),
    Spent(Spent),
}

impl Ledger {
    pub(super) fn new(db: Db, time: Time, is_alone: bool) -> Self {
        Self { db, time, is_alone }
    }

    /// Leases units of all of them, or of none. What is wanted stands in the order of its keys.
    pub(super) async fn lease(
        &self,
        workspace: WorkspaceId,
        wanted: &[Wanted],
    ) -> Result<Vec<Lease>, Unleased> {
        let leasing = tokio::time::timeout(PATIENCE, self.lease_all(workspace, wanted));
        leasing.await.unwrap_or(Err(Unleased::Failed(LedgerError::Late)))
    }

    async fn lease_all(
        &self,
        workspace: WorkspaceId,
        wanted: &[Wanted],
    ) -> Result<Vec<Lease>, Unleased> {
        let mut tx = self.db.begin().await?;
        let mut leases = Vec::with_capacity(wanted.len());
        for (i, it) in wanted.iter().enumerate() {
            let leased = self.lease_one(&mut tx, workspace, it).await?;
            match leased {
                Ok(lease) => leases.push(lease),
                Err(short) => {
                    tx.rollback().await?;
                    return Err(Unleased::Short(i, short));
                }
            }
        }
        tx.commit().await?;
        Ok(leases)
    }

    /// Charges for what has been used already.
    pub(super) async fn pay(
        &self,
        workspace: WorkspaceId,
        owed: &[Units],
    ) -> Result<(), LedgerError> {
        self.change(workspace, owed, |it, now, counted| match (it.limit.allowance, counted) {
            (Allowance::Rate(rate), Counted::Bucket(bucket)) => {
                rate.overdraw(bucket, it.units, since_epoch(now));
            }
            (Allowance::Quota(quota), Counted::Spent(spent)) => {
                quota.overdraw(spent, it.units, now);
            }
            _ => {}
        })
        .await
    }

    /// Gives back what has been leased of quotas and not been used.
    pub(super) async fn give_back(
        &self,
        workspace: WorkspaceId,
        unused: &[Units],
    ) -> Result<(), LedgerError> {
        self.change(workspace, unused, |it, _, counted| {
            if let (Allowance::Quota(quota), Counted::Spent(spent), Some(window)) =
                (it.limit.allowance, counted, it.window)
            {
                quota.give_back(spent, it.units, window);
            }
        })
        .await
    }

    /// Who has used something of a limit that still counts, after that one.
    pub(super) async fn accounts(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        limit: &Limit,
        (after, most): (&Holder, usize),
    ) -> Result<Vec<Account>, DbError> {
        let now = self.now(tx).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = store::used(tx, workspace, (limit.id, after), (now, most)).await?;
        Ok(rows.into_iter().map(|it| account(limit, it, now)).collect())
    }

    /// What somebody has used of a limit, if it still counts.
    pub(super) async fn account(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        limit: &Limit,
        holder: &Holder,
    ) -> Result<Option<Account>, DbError> {
        let now = self.now(tx).await?;
        let row = store::find(tx, workspace, (limit.id, holder), now).await?;
        Ok(row.map(|it| account(limit, it, now)))
    }

    /// Deletes rows that have said nothing for a while.
    pub(super) async fn sweep(&self) -> Result<(), DbError> {
        const MARGIN: Duration = Duration::from_secs(3_600);

        let mut tx = self.db.begin().await?;
        let now = self.now(&mut tx).await?;
        store::sweep(&mut tx, now - MARGIN).await?;
        tx.commit().await
    }

    async fn lease_one(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        wanted: &Wanted,
    ) -> Result<Result<Lease, Short>, DbError> {
        let Wanted { limit, holder, cost, drawn } = wanted;
        let Some((mut counted, now)) = self.lock(tx, workspace, limit, holder).await? else {
            // A limit that is gone allows everything.
            return Ok(Ok(Lease { units: *cost, life: Duration::ZERO, window: None }));
        };
        let leased = match (limit.allowance, &mut counted) {
            (Allowance::Rate(rate), Counted::Bucket(bucket)) => {
                let slice = drawn.saturating_mul(2).clamp(1, rate.slice());
                rate.lease(bucket, (*cost, slice), since_epoch(now))
            }
            (Allowance::Quota(quota), Counted::Spent(spent)) => {
                let slice = match self.is_alone {
                    true => quota.amount / 100,
                    // The nearer to the end, the less is held by those who may not need it.
                    false => (quota.amount / 100).min(quota.left(spent) / 16),
                };
                quota.lease(spent, (*cost, slice), now)
            }
            _ => Err(Short::Ever),
        };
        if leased.is_ok() {
            let row = row(limit, counted);
            store::save(tx, workspace, (limit.id, holder), row).await?;
        }
        Ok(leased)
    }

    async fn change(
        &self,
        workspace: WorkspaceId,
        all: &[Units],
        change: impl Fn(&Units, DateTime<Utc>, &mut Counted),
    ) -> Result<(), LedgerError> {
        let changing = tokio::time::timeout(PATIENCE, self.change_all(workspace, all, change));
        changing.await.map_err(|_| LedgerError::Late)?.map_err(Into::into)
    }

    async fn change_all(
        &self,
        workspace: WorkspaceId,
        all: &[Units],
        change: impl Fn(&Units, DateTime<Utc>, &mut Counted),
    ) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        for it in all {
            let Units { limit, holder, .. } = it;
            if let Some((mut counted, now)) = self.lock(&mut tx, workspace, limit, holder).await? {
                change(it, now, &mut counted);
                let row = row(limit, counted);
                store::save(&mut tx, workspace, (limit.id, holder), row).await?;
            }
        }
        tx.commit().await
    }

    /// The row of a counter, and the time after it has been locked.
    async fn lock(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        limit: &Limit,
        holder: &Holder,
    ) -> Result<Option<(Counted, DateTime<Utc>)>, DbError> {
        let fresh = match limit.allowance {
            Allowance::Rate(_) => Counted::Bucket(Bucket::default()),
            Allowance::Quota(quota) => Counted::Spent(quota.unspent(DateTime::UNIX_EPOCH)),
        };
        let entry = store::lock(tx, workspace, (limit.id, holder), row(limit, fresh)).await?;
        let Some(entry) = entry else { return Ok(None) };
        Ok(Some((counted(limit, entry), self.now(tx).await?)))
    }

    async fn now(&self, tx: &mut Tx) -> Result<DateTime<Utc>, DbError> {
        match &self.time {
            Time::Own(clock) => Ok(clock.now()),
            Time::Shared => tx.now().await,
        }
    }
}

impl From<DbError> for Unleased {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

fn account(limit: &Limit, row: Used, now: DateTime<Utc>) -> Account {
    let holder = Holder { id: row.holder_id, tool: row.tool.into() };
    let entry = Entry { moment: row.moment, units: row.units };
    let used = match (limit.allowance, counted(limit, entry)) {
        (Allowance::Rate(rate), Counted::Bucket(bucket)) => rate.used(&bucket, since_epoch(now)),
        (_, Counted::Spent(spent)) => spent.units,
        _ => 0,
    };
    Account { holder, used, until: row.ends_at }
}

fn counted(limit: &Limit, entry: Entry) -> Counted {
    let units = u64::try_from(entry.units).unwrap_or_default();
    match limit.allowance {
        Allowance::Rate(_) => {
            let whole_at_us = u64::try_from(entry.moment.timestamp_micros()).unwrap_or_default();
            Counted::Bucket(Bucket { whole_at_us, ticks: units })
        }
        Allowance::Quota(_) => Counted::Spent(Spent { since: entry.moment, units }),
    }
}

/// The other way round, and when the row will say nothing any more.
fn row(limit: &Limit, counted: Counted) -> (Entry, DateTime<Utc>) {
    let units = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    match (limit.allowance, counted) {
        (Allowance::Quota(quota), Counted::Spent(spent)) => {
            (Entry { moment: spent.since, units: units(spent.units) }, quota.ends(&spent))
        }
        (_, Counted::Spent(spent)) => {
            (Entry { moment: spent.since, units: units(spent.units) }, spent.since)
        }
        (_, Counted::Bucket(bucket)) => {
            let micros = i64::try_from(bucket.whole_at_us).unwrap_or(i64::MAX);
            // What is overdrawn beyond the calendar is so at its end.
            let moment = DateTime::from_timestamp_micros(micros).unwrap_or(LAST);
            (Entry { moment, units: units(bucket.ticks) }, moment)
        }
    }
}

fn since_epoch(now: DateTime<Utc>) -> Duration {
    Duration::from_micros(u64::try_from(now.timestamp_micros()).unwrap_or_default())
}

/// The last moment that both databases hold: the year 9999.
const LAST: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(last) => last,
    None => DateTime::UNIX_EPOCH,
};
