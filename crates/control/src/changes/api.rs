//! `/changes/stream`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use domain::{Capability, Object, WorkspaceId};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Seat;
use crate::App;
use crate::api::{Error, InWorkspace, Problem, Rights};
use crate::follower::{self, Follower};
use crate::session::Caller;
use crate::snapshot::news::{Cursor, Found, Item, Sight};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(stream_changes))
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ChangeBody {
    /// What it is: `app`, `connection`, `cutoff`, `gateway`, `identity`, `limit`, `pins`, `policy`, `role`,
    /// `role_grant`, `server`, `team`, `token`, `user` or `workspace`.
    kind: &'static str,
    /// Of `pins` the server's, of a `cutoff` that of what is off.
    id: Uuid,
    /// As one would name it in a request; absent where it is gone and nobody knows its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    change: Way,
    /// Of a cut-off: the kind of what is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
}

/// In which way something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// It is new, or another than it was.
    Put,
    /// It is gone, or to be seen no more.
    Deleted,
}

/// What changes in the workspace, as server-sent events: `change` for each thing that the caller may see,
/// and `reset` where they must load everything anew. `Last-Event-ID` goes on from there.
#[utoipa::path(
    get,
    path = "/changes/stream",
    params(("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event.")),
    responses(
        (status = 200, description = "Server-sent events", body = ChangeBody,
         content_type = "text/event-stream"),
        (status = "4XX", body = Problem),
    ),
    extensions(("x-capability" = json!("any"))),
    tag = "changes",
)]
async fn stream_changes(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    headers: HeaderMap,
    Extension(caller): Extension<Caller>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    // What is no number of ours is from some other place, from where nothing can be followed.
    let knows = headers.get("last-event-id").map(|it| {
        let text = it.to_str().unwrap_or_default();
        text.parse().unwrap_or_default()
    });
    let seat = Seat::take(&app, &caller)?;
    // What is published is what holds, also for whoever has read what another replica has published.
    let newest = domain::ports::Gate::current(&*app.gate).await.map_err(|_| Error::Busy)?;
    let feed = &app.publisher.feed;
    let watch = feed.watch();
    // What comes from now on is told of, also to the first one.
    super::look(&app).await?;
    let (cursor, is_whole) = feed.begin(workspace.id, knows, newest.epoch);
    let told = if is_whole { knows.unwrap_or(newest.epoch) } else { newest.epoch };
    let reader = Reader {
        follower: Follower::new(Arc::clone(&app), caller),
        app,
        workspace: workspace.id,
        rights: None,
        cursor,
        watch,
        waiting: Waiting { must_reset: !is_whole, told, next: told, items: VecDeque::new() },
        _seat: seat,
    };
    let events = stream::unfold(reader, |mut it| async { Some((it.next().await?, it)) });
    Ok(follower::answer(Event::default().id(told.to_string()), events))
}

/// Somebody who follows what changes.
struct Reader {
    app: Arc<App>,
    follower: Follower,
    workspace: WorkspaceId,
    /// As of the snapshot by which they were last let follow.
    rights: Option<Rights>,
    cursor: Cursor,
    watch: watch::Receiver<u64>,
    waiting: Waiting,
    _seat: Seat,
}

/// What has been found for a reader and not been told yet, of one batch.
struct Waiting {
    must_reset: bool,
    /// The epoch up to which they have been told everything.
    told: u64,
    /// That of the batch.
    next: u64,
    items: VecDeque<Item>,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.still_may().await.ok()?;
            self.take();
            if let Some(event) = self.waiting.next(self.rights.as_ref()?) {
                return Some(event);
            }
            // Whoever stands above all workspaces outlives this one.
            self.follower.known().config.workspace(self.workspace)?;
            // It has been seen, whatever was found by it.
            let feed = &self.app.publisher.feed;
            self.watch.mark_unchanged();
            if !matches!(feed.next(self.workspace, self.cursor), Found::Nothing) {
                continue;
            }
            let watch = &mut self.watch;
            let more = async { watch.changed().await.ok() };
            self.follower.wait(more).await.continue_value()?;
        }
    }

    /// Where what they may see is something else than before, nobody can say what has come and gone.
    async fn still_may(&mut self) -> Result<(), Error> {
        if let Some(rights) = self.follower.still_may(|_| Ok(())).await? {
            let before = self.rights.replace(rights);
            if let (Some(before), Some(now)) = (before, &self.rights)
                && !now.reach_as_far_as(&before)
            {
                let epoch = self.follower.known().epoch;
                self.waiting.reset(epoch);
                // Whoever loads everything anew needs nothing of what came before.
                self.cursor = self.app.publisher.feed.begin(self.workspace, None, epoch).0;
            }
        }
        Ok(())
    }

    /// Takes what comes next, if nothing waits.
    fn take(&mut self) {
        while self.waiting.is_empty() {
            match self.app.publisher.feed.next(self.workspace, self.cursor) {
                Found::Nothing => return,
                Found::Missed(cursor) => {
                    self.cursor = cursor;
                    self.waiting.reset(self.follower.known().epoch);
                }
                Found::Batch(cursor, batch) => {
                    self.cursor = cursor;
                    let Some(items) = &batch.items else {
                        self.waiting.reset(batch.epoch);
                        continue;
                    };
                    self.waiting.next = batch.epoch;
                    let Some(rights) = &self.rights else { return };
                    let mut seen = Sees { rights, whole: Vec::new() };
                    let items = items.iter().filter(|it| seen.sees(it).is_some());
                    self.waiting.items = items.cloned().collect();
                }
            }
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        !self.must_reset && self.items.is_empty()
    }

    fn reset(&mut self, epoch: u64) {
        self.items.clear();
        (self.must_reset, self.told, self.next) = (true, epoch, epoch);
    }

    /// Each with the epoch up to which whoever has read it has been told everything.
    fn next(&mut self, rights: &Rights) -> Option<Event> {
        if std::mem::take(&mut self.must_reset) {
            return Some(Event::default().event("reset").id(self.told.to_string()).data("{}"));
        }
        // What was to be seen when it was found may be out of sight by now.
        let mut seen = Sees { rights, whole: Vec::new() };
        while let Some(item) = self.items.pop_front() {
            if self.items.is_empty() {
                self.told = self.next;
            }
            if let Some(body) = seen.sees(&item) {
                let event = Event::default().event("change").id(self.told.to_string());
                return event.json_data(body).ok();
            }
        }
        None
    }
}

/// What somebody sees.
struct Sees<'a> {
    rights: &'a Rights,
    /// What has been asked of the whole workspace. What is held there is held everywhere below.
    whole: Vec<(Capability, bool)>,
}

impl Sees<'_> {
    /// What they are told of it, if anything.
    fn sees(&mut self, item: &Item) -> Option<ChangeBody> {
        let Item { kind, id, target, before, after } = item;
        let after = after.as_ref().filter(|it| self.may(it));
        let (sight, change) = match after {
            Some(sight) => (sight, Way::Put),
            None => (before.as_ref().filter(|it| self.may(it))?, Way::Deleted),
        };
        let name = sight.name.as_deref().map(str::to_owned);
        Some(ChangeBody { kind, id: *id, name, change, target: *target })
    }

    fn may(&mut self, Sight { needs, .. }: &Sight) -> bool {
        let Some((capability, object)) = needs else { return true };
        let known = self.whole.iter().find(|it| it.0 == *capability).map(|it| it.1);
        let everywhere = known.unwrap_or_else(|| {
            let may = self.rights.may(*capability, &Object::Workspace);
            self.whole.push((*capability, may));
            may
        });
        everywhere || self.rights.may(*capability, object)
    }
}
