//! `/replicas`, and what a change says of them.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Known;
use crate::App;
use crate::api::{Error, Json, Page, Paging, Problem};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_replicas))
}

/// A process that serves this installation.
#[derive(Serialize, ToSchema)]
struct ReplicaBody {
    id: Uuid,
    name: String,
    version: String,
    started_at: DateTime<Utc>,
    /// When it last showed that it is there, by the database's clock.
    seen_at: DateTime<Utc>,
    /// Whether changes wait for it. One that has not been seen for five seconds lets nothing through.
    live: bool,
    /// The epoch that it has acknowledged.
    epoch: i64,
    /// By how many changes that is less than the newest.
    behind: i64,
}

/// On how many replicas a change holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Confirmed {
    /// How many there are, this one among them.
    live: usize,
    /// How many have said that nothing more passes there.
    acknowledged: usize,
    /// Others that have not, and that have been waited out: until everything was over that they could
    /// still begin by what held before, which is 50 ms and, where gateways may do without the database,
    /// their `max_autonomy_seconds`. What had begun they neither write nor release for longer than that,
    /// and a second after their last look at the database.
    pub(super) waited_out: Vec<String>,
    /// Others that may go by what held before for a while longer, since the process that was asked has
    /// stopped and could not wait until that was over. The change is made all the same. Absent where
    /// there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unconfirmed: Vec<String>,
}

/// What has come of waiting for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Acknowledged,
    WaitedOut,
    Unconfirmed,
}

impl Confirmed {
    /// On the replica that says it.
    pub(super) fn of(name: String, is_settled: bool) -> Self {
        let (waited_out, unconfirmed) = (Vec::new(), Vec::new());
        let mut confirmed = Self { live: 0, acknowledged: 0, waited_out, unconfirmed };
        confirmed.add(name, if is_settled { Word::Acknowledged } else { Word::WaitedOut });
        confirmed
    }

    pub(super) fn add(&mut self, name: String, word: Word) {
        self.live += 1;
        match word {
            Word::Acknowledged => self.acknowledged += 1,
            Word::WaitedOut => self.waited_out.push(name),
            Word::Unconfirmed => self.unconfirmed.push(name),
        }
    }

    /// Whether all have said so.
    pub(crate) fn is_complete(&self) -> bool {
        self.waited_out.is_empty() && self.unconfirmed.is_empty()
    }
}

/// How those are who serve together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// How many there are.
    live: usize,
    /// How many of them have not acknowledged the newest change yet.
    behind: usize,
    /// Those that have not been seen for a while, within the last hour.
    gone: Vec<String>,
}

impl Health {
    pub(super) fn of(all: Vec<Known>, newest: i64) -> Self {
        let (live, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.is_live);
        let behind = live.iter().filter(|it| it.epoch < newest).count();
        Self { live: live.len(), behind, gone: gone.into_iter().map(|it| it.name).collect() }
    }
}

/// The replicas, those that have died within the last hour among them, by name.
#[utoipa::path(
    get,
    path = "/replicas",
    params(Paging),
    responses((status = 200, body = Page<ReplicaBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("cutoffs:read"))),
    tag = "replicas",
)]
async fn list_replicas(
    State(app): State<Arc<App>>,
    paging: Paging,
) -> Result<Json<Page<ReplicaBody>>, Error> {
    // Several may have one name, since it is given to them.
    let place = |it: &Known| format!("{} {}", it.name, it.id);
    let mut known = super::list(&app).await?;
    known.retain(|it| paging.after().is_none_or(|after| after < place(it).as_str()));
    known.sort_by_key(place);
    known.truncate(paging.limit() + 1);
    let newest = app.publisher.epoch();
    Ok(Json(paging.answer(known, place, |it| ReplicaBody::of(it, newest))))
}

impl ReplicaBody {
    fn of(known: Known, newest: i64) -> Self {
        let Known { id, name, version, epoch, started_at, seen_at, is_live, .. } = known;
        let behind = newest.saturating_sub(epoch).max(0);
        Self { id, name, version, started_at, seen_at, live: is_live, epoch, behind }
    }
}
