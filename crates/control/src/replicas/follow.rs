//! How a replica follows the changes of others, and shows that it is there.
//!
//! Notices only wake it. What it does then is what it does four times a second anyway: it proves its
//! snapshot as every call does, which loads what has changed, ends what that no longer allows, and
//! says how far it has come. So nothing depends on a notice.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use db::{DbError, Notices, Tx};
use domain::Snapshot;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{LEASE, Late, MEMBER, Membership, list, settle, store, within};
use crate::App;
use crate::snapshot::StoreGate;

/// How often it looks without being told to.
const TICK: Duration = Duration::from_millis(250);

/// How soon it looks again where it could not: several times before what is under way breaks off.
const RETRY: Duration = Duration::from_millis(75);

/// Clocks that differ by more are not those of machines that somebody looks after.
const ASTRAY: TimeDelta = TimeDelta::seconds(1);

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
    let is_right = put(app, app.db.begin().await?).await?;
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
    // What has been held against what is under way, and whether that has been acknowledged.
    let mut held: Option<Arc<Snapshot>> = None;
    let mut settling: Settling<'_> = None;
    let mut was_told = true;
    loop {
        let mut pause = TICK;
        match gate.prove().await {
            Ok(proved) => {
                if !held.as_ref().is_some_and(|it| Arc::ptr_eq(it, &proved.snapshot)) {
                    // Ends what is to end at once. Only the word that it has ended waits for messages
                    // that are being written; what may go on does not.
                    settling = Some(Box::pin(settle(app, &proved.snapshot)));
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
                settled = done(&mut settling) => match settled {
                    // Where this fails, the next renewal says it.
                    Some(_) => drop(show(app).await),
                    None => held = None,
                },
            }
        }
    }
}

/// A look at what is under way that has not been acknowledged yet.
type Settling<'a> = Option<Pin<Box<dyn Future<Output = Option<usize>> + Send + 'a>>>;

/// Resolves once for each.
async fn done(settling: &mut Settling<'_>) -> Option<usize> {
    let Some(doing) = settling else { return std::future::pending().await };
    let done = doing.await;
    *settling = None;
    done
}

async fn renew(app: &App, membership: &Membership) {
    let mut is_lost = false;
    for turn in 1_u32.. {
        tokio::time::sleep(if is_lost { RETRY } else { RENEWAL }).await;
        let before = app.clock.elapsed();
        match show(app).await {
            Ok(()) => {
                membership.extend(before + MEMBER);
                is_lost = false;
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
        if turn % SWEEP == 1
            && let Err(error) = sweep(app).await
        {
            tracing::warn!(%error, "Rows of dead replicas were not cleared away");
        }
    }
}

async fn show(app: &App) -> Result<(), Late> {
    let is_right = within(async { put(app, app.db.begin_passing().await?).await }).await?;
    if is_right { Ok(()) } else { Err(Late::Astray) }
}

/// Writes the row. Tells whether this machine and the database agree on what time it is: everybody
/// ends cut-offs with a limit by a clock of their own.
async fn put(app: &App, mut tx: Tx) -> Result<bool, DbError> {
    let before = app.clock.now();
    store::put(&mut tx, &app.replica).await?;
    let theirs = tx.now().await?;
    tx.commit().await?;
    let is_right = before - ASTRAY <= theirs && theirs <= app.clock.now() + ASTRAY;
    if app.replica.figures.set_astray(!is_right) && !is_right {
        tracing::error!(%theirs, "The clock of this machine and the database's differ: nothing passes");
    }
    Ok(is_right)
}

async fn sweep(app: &App) -> Result<(), Late> {
    within(async {
        let known = list(app).await?;
        let mut tx = app.db.begin_passing().await?;
        for it in known.iter().filter(|it| it.is_over) {
            store::sweep(&mut tx, it).await?;
        }
        tx.commit().await
    })
    .await
}
