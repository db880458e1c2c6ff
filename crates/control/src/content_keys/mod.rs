//! The keys of recorded content: one for each workspace and day, random, sealed by the vault.
//!
//! Destroying a row makes that day's content unreadable wherever copies of it are, while proofs
//! hold, since the log has digests only. The audit crate asks for keys from threads of its own;
//! a task here answers what is not in memory yet.

mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use audit::{DataKey, DataKeys, KeyUnavailable};
use chrono::DateTime;
use db::{Db, DbError, Tx};
use domain::{Capability, Clock, Object, WorkspaceId};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{Place, Vault};
use zeroize::Zeroizing;

use crate::App;
use crate::api::{Error, Touched, chain};
use crate::change::Change;
use crate::secret;

/// Keys opened in memory, and the way to those that are not.
pub(crate) struct ContentKeys {
    opened: Mutex<Opened>,
    asks: tokio::sync::mpsc::Sender<Ask>,
}

/// Answers for keys that are not in memory.
pub(crate) struct Keeper {
    db: Db,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    asked: tokio::sync::mpsc::Receiver<Ask>,
}

#[derive(Default)]
struct Opened {
    by_day: HashMap<(Uuid, i32), Uuid>,
    keys: HashMap<Uuid, Zeroizing<[u8; 32]>>,
    /// The epoch of the last change that destroyed keys, as far as it is known here.
    destroyed: i64,
}

struct Ask {
    what: Wanted,
    /// Nothing where it cannot be told.
    tell: mpsc::SyncSender<Option<Option<Key>>>,
}

enum Wanted {
    /// Made where there is none.
    Day(WorkspaceId, i32),
    Key(Uuid),
}

#[derive(Clone)]
struct Key {
    id: Uuid,
    workspace: Uuid,
    day: i32,
    plain: Zeroizing<[u8; 32]>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error("the keys cannot be read")]
    Db(#[from] DbError),
    #[error("the vault does not open the key")]
    Vault(#[from] vault::VaultError),
    #[error("what the vault opened is no key")]
    Damaged,
}

/// Calls wait for the answer, so it is as long as the log's own patience.
const PATIENCE: Duration = Duration::from_secs(2);

/// One ask for each workspace and day, and those after a restart.
const QUEUE: usize = 256;

/// Days of each workspace are few; beyond this all are forgotten and opened again.
const MOST_OPENED: usize = 10_000;

/// Lets what has been recorded of a workspace be read when the workspace has been deleted.
pub(crate) async fn keep(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), DbError> {
    store::keep(tx, workspace).await
}

/// A store of keys, and the task that it needs.
pub(crate) fn new(db: Db, vault: Arc<Vault>, clock: Arc<dyn Clock>) -> (ContentKeys, Keeper) {
    let (asks, asked) = tokio::sync::mpsc::channel(QUEUE);
    let keys = ContentKeys { opened: Mutex::default(), asks };
    (keys, Keeper { db, vault, clock, asked })
}

impl Keeper {
    /// Answers until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let ask = tokio::select! {
                () = stop.cancelled() => return,
                ask = self.asked.recv() => ask,
            };
            let Some(Ask { what, tell }) = ask else { return };
            let answer = self.answer(&what).await.inspect_err(|error| {
                tracing::error!(error = %chain(error), "There is no key for recorded content");
            });
            let answer = answer.ok();
            // Whoever asked may have lost patience.
            drop(tell.try_send(answer));
        }
    }

    async fn answer(&self, what: &Wanted) -> Result<Option<Key>, NoKey> {
        let row = match what {
            Wanted::Key(id) => {
                let mut tx = self.db.read().await?;
                store::find(&mut tx, *id).await?
            }
            Wanted::Day(workspace, day) => {
                let stamp = self.clock.stamp();
                let place = place(workspace.0, stamp.id);
                let sealed = self.vault.seal(place, &secret::random())?;
                let mut tx = self.db.begin().await?;
                store::insert_if_none(&mut tx, *workspace, stamp, (*day, sealed.as_bytes()))
                    .await?;
                // Another replica may have been first.
                let row = store::find_day(&mut tx, *workspace, *day).await?;
                tx.commit().await?;
                row
            }
        };
        row.map(|row| self.open(row)).transpose()
    }

    fn open(&self, row: store::Row) -> Result<Key, NoKey> {
        let opened = self.vault.open(place(row.workspace_id, row.id), &row.sealed)?;
        let plain = opened.expose().try_into().map_err(|_| NoKey::Damaged)?;
        let day = i32::try_from(row.day).map_err(|_| NoKey::Damaged)?;
        let plain = Zeroizing::new(plain);
        Ok(Key { id: row.id, workspace: row.workspace_id, day, plain })
    }
}

/// Has the keys at hand with which content is going to be recorded where calls may be decided without
/// the database.
pub(crate) async fn keep_ahead(app: Arc<App>) {
    let mut ticks = tokio::time::interval(AHEAD_TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if app.replica.autonomy.is_away() {
            continue;
        }
        let now = app.clock.now().timestamp();
        let days = [now, now + AHEAD].map(|it| i32::try_from(it.div_euclid(DAY)).unwrap_or(0));
        let config = Arc::clone(&app.publisher.newest().snapshot.config);
        let is_apart = |it: &&Arc<domain::Workspace>| it.widest_autonomy() != Duration::ZERO;
        for workspace in config.workspaces.values().filter(is_apart).map(|it| it.id.0) {
            for day in days.into_iter().filter(|it| !app.keys.has(workspace, *it)) {
                let keys = Arc::clone(&app.keys);
                // What failed is tried again.
                let asking =
                    tokio::task::spawn_blocking(move || keys.current(workspace, day).is_ok());
                asking.await.unwrap_or_default();
            }
        }
    }
}

const AHEAD_TICK: Duration = Duration::from_secs(1);

/// How long before its day a key is made, in seconds: longer than any database may be away.
const AHEAD: i64 = 600;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// Destroys the key of a day, in the database and wherever it is in memory. Tells whether there was
/// one.
pub(crate) async fn erase(
    change: &mut Change,
    workspace: WorkspaceId,
    day: i32,
) -> Result<bool, Error> {
    let object = if workspace.0.is_nil() { Object::Installation } else { Object::Workspace };
    change.require(Capability::RecordsErase, &object, ("workspace", workspace.0))?;
    let destroyed = store::delete(change, workspace, day).await?;
    change.destroys_keys().await?;
    Ok(destroyed)
}

/// What the record of it says, which is not erased with it.
pub(crate) fn erased((workspace, day): (Uuid, i32), was_there: bool) -> Touched {
    let date = date(day);
    let before = was_there.then(|| json!({ "day": date }));
    Touched { before, ..Touched::new("content", workspace, date) }
}

/// As people write it.
fn date(day: i32) -> String {
    let date = DateTime::from_timestamp(i64::from(day) * DAY, 0);
    date.map(|it| it.date_naive().to_string()).unwrap_or_default()
}

impl ContentKeys {
    /// Forgets all keys where some have been destroyed; those that are left are opened again.
    pub(crate) fn heed(&self, destroyed: i64) {
        let mut opened = self.opened.lock();
        if opened.destroyed != destroyed {
            *opened = Opened { destroyed, ..Opened::default() };
        }
    }

    fn has(&self, workspace: Uuid, day: i32) -> bool {
        let opened = self.opened.lock();
        let id = opened.by_day.get(&(workspace, day));
        id.is_some_and(|it| opened.keys.contains_key(it))
    }

    /// Nothing where there is no such key any more.
    fn ask(&self, what: Wanted) -> Result<Option<DataKey>, KeyUnavailable> {
        let known = self.opened.lock().destroyed;
        let (tell, told) = mpsc::sync_channel(1);
        self.asks.try_send(Ask { what, tell }).map_err(|_| KeyUnavailable)?;
        let told = told.recv_timeout(PATIENCE).ok().flatten().ok_or(KeyUnavailable)?;
        let Some(key) = told else { return Ok(None) };
        let mut opened = self.opened.lock();
        if MOST_OPENED <= opened.keys.len() {
            *opened = Opened { destroyed: opened.destroyed, ..Opened::default() };
        }
        // It may have been destroyed since it was read.
        if opened.destroyed == known {
            opened.by_day.insert((key.workspace, key.day), key.id);
            opened.keys.insert(key.id, key.plain.clone());
        }
        Ok(Some(DataKey { id: key.id, key: key.plain }))
    }
}

impl DataKeys for ContentKeys {
    fn current(&self, workspace: Uuid, day: i32) -> Result<DataKey, KeyUnavailable> {
        let known = {
            let opened = self.opened.lock();
            let id = opened.by_day.get(&(workspace, day)).copied();
            id.and_then(|id| Some(DataKey { id, key: opened.keys.get(&id)?.clone() }))
        };
        match known {
            Some(key) => Ok(key),
            None => self.ask(Wanted::Day(WorkspaceId(workspace), day))?.ok_or(KeyUnavailable),
        }
    }

    fn open(&self, key: Uuid) -> Result<Option<DataKey>, KeyUnavailable> {
        let known = self.opened.lock().keys.get(&key).cloned();
        match known {
            Some(plain) => Ok(Some(DataKey { id: key, key: plain })),
            None => self.ask(Wanted::Key(key)),
        }
    }

    fn destroyed(&self) -> i64 {
        self.opened.lock().destroyed
    }
}

fn place(workspace: Uuid, id: Uuid) -> Place<'static> {
    Place {
        workspace: workspace.into_bytes(),
        kind: "content_key",
        record: id.into_bytes(),
        field: "key",
    }
}
