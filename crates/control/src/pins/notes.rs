//! What the data plane sees for the first time, on its way to the database.
//!
//! Telling never waits: a task of its own writes, and what finds no room in its queue is told again
//! with the next listing. So is what is more than one server may tell of in a minute: writing is
//! something that all servers share. Memory remembers for a while what has been told, so that a listing that
//! says the same again costs nothing; the database keeps one row for it, whoever tells of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use db::Db;
use domain::ports::{Definitions, Sighting};
use domain::{Clock, PinKey, ServerId, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::{Error, chain};

/// Takes note of definitions.
pub(crate) struct Notes {
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
    queue: mpsc::Sender<Batch>,
    waiting: AtomicUsize,
}

/// What has been told lately.
#[derive(Default)]
struct Told {
    pins: HashMap<(ServerId, PinKey), Duration>,
    /// How much each server has told of, and since when that is counted.
    of: HashMap<ServerId, (Duration, usize)>,
}

/// Writes them down.
pub(crate) struct Noter {
    db: Db,
    notes: Arc<Notes>,
    batches: mpsc::Receiver<Batch>,
}

struct Batch {
    workspace: WorkspaceId,
    server: ServerId,
    found: Vec<Sighting>,
    bytes: usize,
}

/// After this long a definition that is still listed is noted again, as seen.
const AGAIN: Duration = Duration::from_secs(60);

/// How much one server may tell of in that time: its largest list, once.
const MOST_OF_SERVER: usize = super::MOST_OF_SERVER;

/// What waits to be written: lists, and bytes in all. The largest list of one server fits in.
const QUEUE: usize = 64;
const MOST_WAITING: usize = 48 << 20;

/// How many definitions are remembered as told; beyond it all are forgotten and told again.
const MOST_TOLD: usize = 200_000;

/// The way in, and the task that it needs.
pub(crate) fn notes(db: Db, clock: Arc<dyn Clock>) -> (Arc<Notes>, Noter) {
    let (queue, batches) = mpsc::channel(QUEUE);
    let (told, waiting) = (Mutex::default(), AtomicUsize::new(0));
    let notes = Arc::new(Notes { clock, told, queue, waiting });
    (Arc::clone(&notes), Noter { db, notes, batches })
}

impl Definitions for Notes {
    fn is_news(&self, server: ServerId, pin: PinKey) -> bool {
        let now = self.clock.elapsed();
        self.told.lock().pins.get(&(server, pin)).is_none_or(|told| *told + AGAIN <= now)
    }

    fn note(&self, workspace: WorkspaceId, server: ServerId, mut found: Vec<Sighting>) {
        let now = self.clock.elapsed();
        found.truncate(self.told.lock().room(server, now));
        if found.is_empty() {
            return;
        }
        let bytes = found.iter().map(|it| it.text.len() + it.name.len()).sum();
        if MOST_WAITING < self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let pins: Vec<PinKey> = found.iter().map(|it| it.pin).collect();
        if self.queue.try_send(Batch { workspace, server, found, bytes }).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        self.told.lock().extend(server, pins, now);
    }
}

impl Told {
    /// How much more a server may tell of now.
    fn room(&self, server: ServerId, now: Duration) -> usize {
        let counted = self.of.get(&server).filter(|(since, _)| now < *since + AGAIN);
        MOST_OF_SERVER.saturating_sub(counted.map_or(0, |it| it.1))
    }

    fn extend(&mut self, server: ServerId, pins: Vec<PinKey>, now: Duration) {
        self.of.retain(|_, (since, _)| now < *since + AGAIN);
        self.of.entry(server).or_insert((now, 0)).1 += pins.len();
        if MOST_TOLD < self.pins.len() + pins.len() {
            self.pins.clear();
        }
        self.pins.extend(pins.into_iter().map(|it| ((server, it), now)));
    }
}

impl Noter {
    /// Writes until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return,
                batch = self.batches.recv() => batch,
            };
            let Some(Batch { workspace, server, found, bytes }) = batch else { return };
            let pins: Vec<PinKey> = found.iter().map(|it| it.pin).collect();
            if let Err(error) = self.write(workspace, server, found).await {
                tracing::warn!(error = %chain(&error), "What a server lists could not be noted");
                let mut told = self.notes.told.lock();
                told.pins.retain(|(of, pin), _| *of != server || !pins.contains(pin));
            }
            self.notes.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    async fn write(
        &self,
        workspace: WorkspaceId,
        server: ServerId,
        mut found: Vec<Sighting>,
    ) -> Result<(), Error> {
        // No text of a database holds it.
        found.retain(|it| !it.name.contains('\0'));
        let mut tx = self.db.begin().await?;
        super::note(&mut tx, (workspace, server), self.notes.clock.as_ref(), found).await?;
        Ok(tx.commit().await?)
    }
}
