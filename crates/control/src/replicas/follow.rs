//! How a replica follows the changes of others, and shows that it is there.
//!
//! Notices only wake it. What it does then is what it does four times a second anyway: it proves its
//! snapshot as every call does, which loads what has changed, ends what that no longer allows, and
//! says how far it has come. So nothing depends on a notice.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use db::{DbError, Notices, Tx};
use domain::Snapshot;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::autonomy::{ASTRAY, Found, Renewal, Telling};
use super::{LEASE, Late, MEMBER, Membership, Replica, list, settle, store, within};
use crate::App;
use crate::snapshot::StoreGate;

/// How often it looks without being told to.
const TICK: Duration = Duration::from_millis(250);

/// How soon it looks again where it could not: several times before what is under way breaks off.
const RETRY: Duration = Duration::from_millis(75);

/// How often it shows that it is there.
const RENEWAL: Duration = Duration::from_secs(1);

/// After how many renewals it clears away rows of others that are long dead.
const SWEEP: u32 = 60;

/// Becomes one of the replicas. Comes before the first read of the epoch: whoever does not see the
/// row after a commit need not wait, since what is read from then on is what was committed.
pub(crate) async fn join(app: &App, membership: &Membership) -> Result<(), DbError> {
    if app.db.is_exclusive() {
        return Ok(());
    }
    // Refused where a process of a version that knows no others has the database.
    app.db.epoch().await?;
    let before = app.clock.elapsed();
    // Durable, unlike what follows: a copy that takes over has it.
    let telling = telling(app);
    let is_right = put(app, app.db.begin().await?, telling).await?.is_right;
    membership.extend(if is_right { before + MEMBER } else { Duration::ZERO });
    Ok(())
}

/// Takes the row away, since nothing more is let through.
pub(crate) async fn leave(app: &App) {
    if app.db.is_exclusive() {
        return;
    }
    let leaving = async {
        let mut tx = app.db.begin_passing().await?;
        store::delete(&mut tx, app.replica.id).await?;
        tx.commit().await
    };
    if let Err(error) = within(leaving).await {
        tracing::warn!(%error, "Others will wait for this replica a while longer");
    }
}

/// Follows until the end, and then leaves.
pub(crate) async fn run(app: Arc<App>, gate: Arc<StoreGate>, membership: Arc<Membership>) {
    if app.db.is_exclusive() {
        return;
    }
    let ears = Ears::default();
    // By itself: however long it takes to settle something, others must not take this one for dead.
    let mut renewing = JoinSet::new();
    let (house, own) = (Arc::clone(&app), Arc::clone(&membership));
    renewing.spawn(async move { renew(&house, &own).await });
    let following = async {
        tokio::join!(heed(&app, &ears), follow(&app, &gate, &ears));
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = following => {}
    }
    renewing.shutdown().await;
    // From now on its gate is closed.
    membership.extend(Duration::ZERO);
    app.replica.autonomy.forfeit(Duration::MAX);
    leave(&app).await;
}

/// Between whoever listens for notices and whoever looks.
#[derive(Default)]
struct Ears {
    /// There was a notice.
    wake: Notify,
    /// There should have been one.
    missed: Notify,
}

/// Passes notices on. A connection that brings none is made anew.
async fn heed(app: &App, ears: &Ears) {
    loop {
        if let Ok(Some(mut notices)) = app.db.listen().await
            && hear(&mut notices, ears).await.is_ok()
        {
            continue;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Until a notice has been missed.
async fn hear(notices: &mut Notices, ears: &Ears) -> Result<(), DbError> {
    loop {
        // Once more each time: whatever was said while nobody listened is not heard.
        ears.wake.notify_one();
        tokio::select! {
            heard = notices.next() => heard?,
            () = ears.missed.notified() => return Ok(()),
        }
    }
}

async fn follow(app: &App, gate: &StoreGate, ears: &Ears) {
    // What has been held against what is under way, and what of that has not been acknowledged yet.
    let mut held: Option<Arc<Snapshot>> = None;
    let mut settling = Settling::default();
    let mut was_told = true;
    loop {
        let mut pause = TICK;
        match gate.prove().await {
            Ok(proved) => {
                if !held.as_ref().is_some_and(|it| Arc::ptr_eq(it, &proved.snapshot)) {
                    // Ends what is to end at once. Only the word that it has ended waits for messages
                    // that are being written; what may go on does not.
                    settling.add(Box::pin(settle(app, &proved.snapshot)));
                    if !was_told {
                        ears.missed.notify_one();
                    }
                    held = Some(proved.snapshot);
                }
                if let Some(traffic) = app.traffic.get() {
                    traffic.renew(proved.as_of + LEASE);
                }
            }
            // The gate has said why.
            Err(_) => pause = RETRY,
        }
        // Either way it is time to look.
        let waking = tokio::time::timeout(pause, ears.wake.notified());
        let mut waking = std::pin::pin!(waking);
        loop {
            tokio::select! {
                woken = &mut waking => {
                    was_told = woken.is_ok();
                    break;
                }
                settled = settling.done() => match settled {
                    // Where this fails, the next renewal says it.
                    Some(_) => drop(show(app).await),
                    None => held = None,
                },
            }
        }
    }
}

/// Looks at what is under way that have not been acknowledged yet. The oldest is waited for to its end,
/// or changes that come faster than one can be judged would keep all of them from being confirmed.
/// Between it and the newest nobody is waited for: whoever has the newest has those, too.
#[derive(Default)]
struct Settling<'a> {
    oldest: Option<Look<'a>>,
    newest: Option<Look<'a>>,
}

type Look<'a> = Pin<Box<dyn Future<Output = Option<usize>> + Send + 'a>>;

impl<'a> Settling<'a> {
    fn add(&mut self, look: Look<'a>) {
        match self.oldest {
            None => self.oldest = Some(look),
            Some(_) => self.newest = Some(look),
        }
    }

    /// Resolves once for each.
    async fn done(&mut self) -> Option<usize> {
        let Some(doing) = &mut self.oldest else { return std::future::pending().await };
        let done = doing.await;
        self.oldest = self.newest.take();
        done
    }
}

async fn renew(app: &App, membership: &Membership) {
    let (mut is_lost, mut is_in_a_hurry) = (false, true);
    for turn in 1_u32.. {
        if !std::mem::take(&mut is_in_a_hurry) {
            tokio::time::sleep(if is_lost { RETRY } else { RENEWAL }).await;
        }
        let before = app.clock.elapsed();
        match show(app).await {
            Ok(()) => {
                membership.extend(before + MEMBER);
                is_lost = false;
                is_in_a_hurry = count(app).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "A window was not renewed");
                    false
                });
            }
            // Said already, and not to be waited for.
            Err(Late::Astray) => membership.extend(Duration::ZERO),
            Err(error) => {
                if !is_lost {
                    tracing::warn!(%error, "This replica cannot show that it is there");
                }
                is_lost = true;
            }
        }
        if !is_lost && let Err(error) = watch(app).await {
            tracing::debug!(%error, "The rows of others could not be looked at");
        }
        if turn % SWEEP == 1
            && let Err(error) = sweep(app).await
        {
            tracing::warn!(%error, "Rows of dead replicas were not cleared away");
        }
    }
}

/// Writes the row. That may be lost with the database, so no window counts from it.
async fn show(app: &App) -> Result<(), Late> {
    let told = Telling { is_durable: false, ..telling(app) };
    let shown = within(async { put(app, app.db.begin_passing().await?, told).await }).await?;
    if shown.is_right { Ok(()) } else { Err(Late::Astray) }
}

/// Writes the row so that a copy that takes over has it, where windows are to count from it. Tells
/// whether that is to be done once more at once, before which what it tells now does not count.
async fn count(app: &App) -> Result<bool, Late> {
    let told = telling(app);
    if told.is_told && told.window.is_zero() {
        return Ok(false);
    }
    Ok(within(async { put(app, app.db.begin().await?, told).await }).await?.is_telling)
}

/// What the row is to tell of windows.
fn telling(app: &App) -> Telling {
    app.replica.autonomy.plan(app.publisher.newest().snapshot.config.widest_autonomy())
}

/// What has come of a row that was written.
struct Shown {
    /// Whether this machine and the database agree on what time it is: everybody ends cut-offs with a
    /// limit by a clock of their own.
    is_right: bool,
    is_telling: bool,
}

/// Writes the row.
async fn put(app: &App, mut tx: Tx, telling: Telling) -> Result<Shown, DbError> {
    let Replica { id, autonomy, figures, .. } = app.replica.as_ref();
    let (before, sent) = (app.clock.now(), app.clock.elapsed());
    let settled = app.replica.settled();
    let found = store::find(&mut tx, *id).await?;
    let is_lost = |it: &Found| {
        it.epoch < settled.0 || it.epoch == settled.0 && it.stamp != settled.1 && settled.0 != 0
    };
    if found.as_ref().is_some_and(is_lost) {
        // Of changes that are lost nothing has been acknowledged.
        app.replica.forget_settled();
        autonomy.forfeit(app.clock.elapsed());
    }
    let mark = app.clock.id().as_u64_pair().1.cast_signed();
    store::put(&mut tx, &app.replica, (telling, mark)).await?;
    let theirs = tx.now().await?;
    tx.commit().await?;
    let is_right = before - ASTRAY <= theirs && theirs <= app.clock.now() + ASTRAY;
    if figures.set_astray(!is_right) && !is_right {
        tracing::error!(%theirs, "The clock of this machine and the database's differ: nothing passes");
    }
    let confirmed = app.clock.elapsed();
    if !is_right {
        autonomy.forfeit(confirmed);
    }
    let is_gone = found.is_none();
    let renewal = Renewal { telling, found, settled, sent, confirmed };
    let is_telling = (telling.is_durable || is_gone) && autonomy.renewed(&renewal);
    if telling.is_durable {
        autonomy.set_clocks(before, sent);
    }
    Ok(Shown { is_right, is_telling })
}

/// Looks at the rows of others, so as to know by its own clock since when they are as they are.
async fn watch(app: &App) -> Result<(), Late> {
    let known = within(list(app)).await?;
    let now = app.clock.elapsed();
    app.replica.watch.observe(&known, now);
    // One that waits for no windows must not make changes beside those that have some.
    if known.iter().any(|it| it.is_live && !it.knows_windows) {
        app.replica.autonomy.forfeit(now);
    }
    Ok(())
}

async fn sweep(app: &App) -> Result<(), Late> {
    let begun = app.clock.elapsed();
    within(async {
        let known = list(app).await?;
        let mut tx = app.db.begin_passing().await?;
        let watch = &app.replica.watch;
        // A clock that jumps does not make a row dead that somebody may still act by.
        for it in known.iter().filter(|it| it.is_over && watch.is_over(it, begun)) {
            store::sweep(&mut tx, it).await?;
        }
        tx.commit().await
    })
    .await
}
