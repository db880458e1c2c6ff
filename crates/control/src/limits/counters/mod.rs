//! The accounts of limits: what has been used, by whom, and how much is left.
//!
//! A call finds its counters in the [`table`] of its workspace. Where units must be taken from the
//! database first, it has them leased by the [`ledger`], in which all replicas share a row for each
//! counter: some at a time, so that most calls need not wait for it, and few enough that they may be
//! lost with this process. Whatever is leased has been charged, so all replicas together never admit
//! more than a limit allows.
//!
//! - Rates, where nobody else uses the database, are counted in memory alone and begin anew with it.
//! - Slices of rates may be held for a tenth of a second, those of quotas until they have been idle
//!   for a while, then they are given back.
//! - What answers use beyond what is held is a debt. It is paid at once, by the keeper, and before
//!   anything else is leased.
//!
//! - While the database is away, calls at gateways that may do without it use what is held, and then
//!   what a replica may use on its own: [`table`] says how much that is.
//!
//! Where replicas have a store of counters, they charge there first: [`shared`].

mod ledger;
mod shared;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::{Db, DbError, Tx};
use domain::limits::{Allowance, Charge, Holder, Lease, Limit};
use domain::ports::{Answer, Counters, Uncharged};
use domain::{Clock, LimitId, WorkspaceId};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{MutexGuard, Notify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::shared::Shared;

use self::ledger::{Ledger, LedgerError, Time, Unleased};
use self::table::{Table, Taken, Units};
use crate::api::{Error, chain};

/// The accounts of this replica.
pub(crate) struct Accounts {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    is_alone: bool,
    books: RwLock<HashMap<WorkspaceId, Arc<Book>>>,
    /// Told when something is owed.
    owes: Notify,
    tasks: TaskTracker,
    /// Where what waits for the database is looked after.
    runtime: Handle,
}

/// For the data plane.
pub(crate) struct Counting {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) shared: Option<Arc<Shared>>,
}

/// The accounts of a workspace.
struct Book {
    workspace: WorkspaceId,
    table: Mutex<Table>,
    /// Whose turn it is to lease units: those that wait find what others have brought.
    turn: tokio::sync::Mutex<()>,
}

/// What somebody has used of a limit.
pub(crate) struct Usage {
    pub(crate) holder: Holder,
    pub(crate) used: u64,
    /// When all of it will have come back.
    pub(crate) until: DateTime<Utc>,
}

/// How long a call waits for its turn at the database. Then it is refused.
// Tests have hundreds wait for each other, on machines that are busy.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 2 });

/// How often the keeper looks whether anything is to be given back.
const TICK: Duration = Duration::from_secs(1);

/// How many ticks are between two looks at rows and counters that nobody needs.
const TICKS_BETWEEN_SWEEPS: u32 = 60;

/// How long units of a quota are held that nobody uses. Where others may need them, not for long.
const IDLE: Duration = Duration::from_secs(1);
const IDLE_ALONE: Duration = Duration::from_secs(60);

impl Accounts {
    /// To be called on the runtime of the database. Where it is used by this process alone, units
    /// come back by our own clock, else by its.
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Arc<Self> {
        let is_alone = db.is_exclusive();
        let time = if is_alone { Time::Own(Arc::clone(&clock)) } else { Time::Shared };
        Self::with(Ledger::new(db, time, is_alone), clock, is_alone, tasks)
    }

    fn with(
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        is_alone: bool,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            is_alone,
            books: RwLock::default(),
            owes: Notify::new(),
            tasks,
            runtime: Handle::current(),
        })
    }

    /// Pays debts, gives back what nobody uses and drops what nobody needs, until `stop`; then pays
    /// and gives back everything.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let idle = if self.is_alone { IDLE_ALONE } else { IDLE };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.owes.notified() => self.pay().await,
                _ = ticks.tick() => {
                    self.pay().await;
                    self.give_back(idle).await;
                    count += 1;
                    if count == TICKS_BETWEEN_SWEEPS {
                        count = 0;
                        self.sweep().await;
                    }
                }
            }
        }
        self.pay().await;
        self.give_back(Duration::ZERO).await;
    }

    /// Who has used something of a limit that still counts, in the order of their ids, after that
    /// one.
    pub(crate) async fn usage(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        limit: &Limit,
        (after, most): (&Holder, usize),
    ) -> Result<Vec<Usage>, Error> {
        let (book, now) = (self.book(workspace), self.clock.elapsed());
        if self.is_alone && matches!(limit.allowance, Allowance::Rate(_)) {
            let (buckets, wall) = (book.table.lock().buckets(limit.id, now), self.clock.now());
            let buckets = buckets.into_iter().filter(|it| *after < it.0).take(most);
            let usage = |(holder, used, left)| Usage { holder, used, until: wall + left };
            return Ok(buckets.map(usage).collect());
        }
        let accounts = self.ledger.accounts(tx, workspace, limit, (after, most)).await?;
        let table = book.table.lock();
        let usage = accounts.into_iter().map(|it| {
            let (held, owed) = table.outstanding(&(limit.id, it.holder.clone()), now);
            let used = it.used.saturating_sub(held).saturating_add(owed);
            Usage { holder: it.holder, used, until: it.until }
        });
        Ok(usage.collect())
    }

    /// How much of a limit somebody has used, all processes together.
    pub(crate) async fn used_by(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        limit: &Limit,
        holder: &Holder,
    ) -> Result<u64, Error> {
        let (book, now) = (self.book(workspace), self.clock.elapsed());
        if self.is_alone && matches!(limit.allowance, Allowance::Rate(_)) {
            let buckets = book.table.lock().buckets(limit.id, now);
            return Ok(buckets.iter().find(|it| it.0 == *holder).map_or(0, |it| it.1));
        }
        let account = self.ledger.account(tx, workspace, limit, holder).await?;
        let (held, owed) = book.table.lock().outstanding(&(limit.id, holder.clone()), now);
        Ok(account.map_or(0, |it| it.used.saturating_sub(held)).saturating_add(owed))
    }

    fn book(&self, workspace: WorkspaceId) -> Arc<Book> {
        if let Some(book) = self.books.read().get(&workspace) {
            return Arc::clone(book);
        }
        let fresh = || {
            let (table, turn) = (Mutex::new(Table::new(self.is_alone)), Default::default());
            Arc::new(Book { workspace, table, turn })
        };
        Arc::clone(self.books.write().entry(workspace).or_insert_with(fresh))
    }

    fn books(&self) -> Vec<Arc<Book>> {
        self.books.read().values().cloned().collect()
    }

    /// Leases what is lacking, and then charges all of them.
    async fn lease(&self, book: &Book, charges: &[Charge]) -> Result<(), Uncharged> {
        let _turn = book.turn().await?;
        // Others may have brought enough for all who wait.
        let taken = book.table.lock().take_or_reserve(charges, self.clock.elapsed());
        let lacking = match taken {
            Taken::All => return Ok(()),
            Taken::Refused(refused) => return Err(refused),
            Taken::Lacking(lacking) => lacking,
        };
        match self.lease_lacking(book, charges, &lacking).await {
            Ok((leases, asked_at)) => {
                book.table.lock().finish(charges, &leases, (asked_at, self.clock.elapsed()))
            }
            Err(uncharged) => {
                book.table.lock().undo(charges, &lacking, self.clock.elapsed());
                Err(uncharged)
            }
        }
    }

    /// Leases what is lacking, after what is owed has been paid, and says when it was asked for. It is
    /// the caller's turn.
    async fn lease_lacking(
        &self,
        book: &Book,
        charges: &[Charge],
        lacking: &[usize],
    ) -> Result<(Vec<(usize, Lease)>, Duration), Uncharged> {
        self.pay_of(book).await.map_err(|error| unavailable(&error))?;
        let wanted = book.table.lock().wanted(charges, lacking);
        // Units of a rate grow old from the moment on at which they are asked for.
        let asked_at = self.clock.elapsed();
        match self.ledger.lease(book.workspace, &wanted).await {
            Ok(leases) => Ok((lacking.iter().copied().zip(leases).collect(), asked_at)),
            Err(Unleased::Failed(error)) => Err(unavailable(&error)),
            Err(Unleased::Short(i, short)) => {
                let refused = lacking.get(i).and_then(|it| charges.get(*it));
                let now = self.clock.elapsed();
                let refused = refused.map(|it| book.table.lock().refuse(it, short, now));
                Err(refused.unwrap_or(Uncharged::Unavailable))
            }
        }
    }

    /// Whether none of those that are lacking has been refused a moment ago.
    fn recall(&self, book: &Book, charges: &[Charge], lacking: &[usize]) -> Result<(), Uncharged> {
        let now = self.clock.elapsed();
        let mut table = book.table.lock();
        lacking.iter().filter_map(|it| charges.get(*it)).try_for_each(|it| table.recall(it, now))
    }

    async fn pay(&self) {
        for book in self.books() {
            // Not while somebody else pays.
            let _turn = book.turn.lock().await;
            if let Err(error) = self.pay_of(&book).await {
                tracing::warn!(error = %chain(&error), "What was used could not be counted yet");
            }
        }
    }

    /// It is the caller's turn.
    async fn pay_of(&self, book: &Book) -> Result<(), LedgerError> {
        let mut owed = book.table.lock().debts();
        if owed.is_empty() {
            return Ok(());
        }
        sort(&mut owed);
        let paid = self.ledger.pay(book.workspace, &owed).await;
        // Where it has been paid nevertheless, it is paid twice, and not never.
        book.table.lock().paid(&owed, paid.is_ok());
        paid
    }

    async fn give_back(&self, idle: Duration) {
        for book in self.books() {
            let _turn = book.turn.lock().await;
            let mut unused = book.table.lock().idle(idle, self.clock.elapsed());
            if unused.is_empty() {
                continue;
            }
            sort(&mut unused);
            // Where it fails they are lost: were they given back twice, more would be admitted.
            if let Err(error) = self.ledger.give_back(book.workspace, &unused).await {
                tracing::warn!(error = %chain(&error), "Unused units could not be given back");
            }
        }
    }

    /// Charges all of them or, where one has no room, none.
    async fn charge(
        self: Arc<Self>,
        workspace: WorkspaceId,
        charges: Vec<Charge>,
    ) -> Result<(), Uncharged> {
        let book = self.book(workspace);
        let taken = book.table.lock().take(&charges, self.clock.elapsed());
        match taken {
            Taken::All => return Ok(()),
            Taken::Refused(refused) => return Err(refused),
            Taken::Lacking(_) => {}
        }
        // To its end, even when whoever asked has gone: what is leased must not get lost.
        let (tasks, runtime) = (self.tasks.clone(), self.runtime.clone());
        let leasing = async move { self.lease(&book, &charges).await };
        tasks.spawn_on(leasing, &runtime).await.unwrap_or(Err(Uncharged::Unavailable))
    }

    /// Charges for what has been used, within a second.
    fn note(&self, workspace: WorkspaceId, charges: &[Charge]) {
        self.book(workspace).table.lock().settle(charges, self.clock.elapsed());
    }

    async fn sweep(&self) {
        let now = self.clock.elapsed();
        let mut has_any = false;
        for book in self.books() {
            let mut table = book.table.lock();
            table.sweep(now);
            has_any |= 0 < table.len();
        }
        if has_any && let Err(error) = self.ledger.sweep().await {
            tracing::warn!(error = %chain(&error), "Old counters could not be deleted");
        }
    }
}

impl Book {
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, Uncharged> {
        let turn = tokio::time::timeout(PATIENCE, self.turn.lock()).await;
        turn.map_err(|_| Uncharged::Unavailable)
    }
}

impl Counters for Counting {
    fn charge(
        &self,
        workspace: WorkspaceId,
        charges: Vec<Charge>,
    ) -> Answer<'_, Result<(), Uncharged>> {
        let accounts = Arc::clone(&self.accounts);
        let Some(shared) = self.shared.clone() else {
            return Box::pin(accounts.charge(workspace, charges));
        };
        Box::pin(async move {
            // To its end, as well: what is charged must be known.
            let charging = async move { shared.charge(workspace, charges).await };
            let charged = accounts.tasks.spawn_on(charging, &accounts.runtime).await;
            charged.unwrap_or(Err(Uncharged::Unavailable))
        })
    }

    fn charge_apart(&self, workspace: WorkspaceId, charges: &[Charge]) -> Result<(), Uncharged> {
        let accounts = &self.accounts;
        accounts.book(workspace).table.lock().take_apart(charges, accounts.clock.elapsed())
    }

    fn settle(&self, workspace: WorkspaceId, charges: Vec<Charge>) {
        if let Some(shared) = &self.shared {
            return shared.settle(workspace, &charges);
        }
        let accounts = &self.accounts;
        let book = accounts.book(workspace);
        if book.table.lock().settle(&charges, accounts.clock.elapsed()) {
            accounts.owes.notify_one();
        }
    }
}

/// Drops what a limit has counted.
pub(super) async fn forget(
    tx: &mut Tx,
    workspace: WorkspaceId,
    limit: LimitId,
) -> Result<(), DbError> {
    store::forget(tx, workspace, limit).await
}

/// In the order in which rows are locked.
fn sort(all: &mut [Units]) {
    all.sort_by(|one, other| (one.limit.id, &one.holder).cmp(&(other.limit.id, &other.holder)));
}

fn unavailable(error: &LedgerError) -> Uncharged {
    tracing::warn!(error = %chain(error), "What is used cannot be counted");
    Uncharged::Unavailable
}
