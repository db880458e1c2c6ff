//! What changes, as it changes: for a console that shows it without asking again.
//!
//! What each publication has changed comes from the snapshot ([`news`](crate::snapshot::news)), within
//! the time in which it is applied here. What servers list is in no snapshot: as long as anybody follows,
//! it is looked up twice a second, by a number for each server that triggers move.
//!
//! A reader is told of what they may see at that moment, and of what they could see and is gone. Where
//! what they may see has changed itself, or there was more than is kept, they are told to load anew.

mod api;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use db::DbError;
use domain::{Capability, Object, ServerId, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use api::routes;

use crate::App;
use crate::api::{Error, chain};
use crate::session::Caller;
use crate::snapshot::news::{Item, Sight};

/// Who follows, and how often each.
pub(crate) struct Seats {
    taken: Mutex<HashMap<Uuid, usize>>,
    /// How many in all.
    count: watch::Sender<usize>,
    /// The number of each server, as of the last look.
    known: tokio::sync::Mutex<Option<HashMap<ServerId, i64>>>,
}

/// The place of somebody who follows; free again when it is dropped.
struct Seat {
    app: Arc<App>,
    who: Uuid,
}

/// How many streams one may have open at a time: a console in as many windows.
const MOST_OF_ONE: usize = 16;

/// How often it is looked up what servers list.
const EVERY: Duration = Duration::from_millis(500);

impl Seats {
    pub(crate) fn new() -> Self {
        Self {
            taken: Mutex::default(),
            count: watch::Sender::new(0),
            known: tokio::sync::Mutex::default(),
        }
    }
}

impl Seat {
    /// One more stream of a person, or of a token that belongs to nobody.
    fn take(app: &Arc<App>, caller: &Caller) -> Result<Self, Error> {
        let who = caller.user().map_or(caller.id, |it| it.0);
        let mut taken = app.seats.taken.lock();
        let own = taken.entry(who).or_default();
        if *own == MOST_OF_ONE {
            return Err(Error::TooManyStreams(MOST_OF_ONE));
        }
        *own += 1;
        app.seats.count.send_modify(|it| *it += 1);
        Ok(Self { app: Arc::clone(app), who })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.app.seats.taken.lock();
        if let Some(own) = taken.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.who);
            }
        }
        self.app.seats.count.send_modify(|it| *it -= 1);
    }
}

/// Tells of what servers list, as long as anybody follows and until the end.
pub(crate) async fn keep(app: Arc<App>) {
    let mut followed = app.seats.count.subscribe();
    let is_failing = &mut false;
    loop {
        let wait = async {
            if *followed.borrow_and_update() == 0 {
                return followed.wait_for(|it| *it != 0).await.is_ok();
            }
            tokio::time::sleep(EVERY).await;
            true
        };
        tokio::select! {
            () = app.stop.cancelled() => return,
            is_on = wait => if !is_on { return },
        }
        match look(&app).await {
            Ok(()) => *is_failing = false,
            Err(error) if !std::mem::replace(is_failing, true) => {
                tracing::warn!(error = %chain(&error), "Nobody is told of what servers list");
            }
            Err(_) => {}
        }
    }
}

/// Tells of what has changed since the last look; of nothing at the first one.
async fn look(app: &App) -> Result<(), DbError> {
    // Held while it is read, so that no look finds less than the one before it.
    let mut known = app.seats.known.lock().await;
    let rows = store::numbers(&mut app.db.read().await?).await?;
    let now: HashMap<ServerId, i64> = rows.iter().map(|it| (it.1, it.2)).collect();
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let before = known.replace(now);
    for (workspace, server, number) in rows {
        if before.as_ref().is_none_or(|it| it.get(&server) == Some(&number)) {
            continue;
        }
        if let Some(item) = pins(&snapshot, workspace, server) {
            app.publisher.feed.tell(workspace, snapshot.epoch, item);
        }
    }
    Ok(())
}

/// That what a server lists has changed, or what has been decided about it.
fn pins(snapshot: &domain::Snapshot, workspace: WorkspaceId, server: ServerId) -> Option<Item> {
    let name = &snapshot.config.workspace(workspace)?.servers.get(&server)?.name;
    let sight = Sight {
        name: Some(name.as_str().into()),
        needs: Some((Capability::PinsRead, Object::Server(server))),
    };
    let (before, after) = (Some(sight.clone()), Some(sight));
    Some(Item { kind: "pins", id: server.0, target: None, before, after })
}
