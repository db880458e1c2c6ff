//! `/records`.

use std::convert::Infallible;
use std::sync::Arc;

use audit::{ContentError, ContentRef, Live, ProveError, TailEntry};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Capability, WorkspaceId};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::{
    Done, Error, InWorkspace, Json, Page, Paging, Path, Problem, Query, Rights, chain,
};
use crate::change::Change;
use crate::follower::{self, Follower};
use crate::session::Caller;
use crate::trail::{self, Deed};
use crate::{App, content_keys};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_records))
        .routes(routes!(stream_records))
        .routes(routes!(show_record))
        .routes(routes!(show_proof))
        .routes(routes!(erase_content))
        .merge(super::checkpoint::routes())
}

/// Those of the log of the installation, and of workspaces that there are no more.
pub(crate) fn installation_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_installation_records))
        .routes(routes!(show_installation_record))
        .routes(routes!(show_installation_proof))
        .routes(routes!(erase_installation_content))
}

/// What happened once.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordBody {
    /// Counts the records of all workspaces.
    sequence: u64,
    /// Its place in the workspace's log; absent for the first moment.
    index: Option<u64>,
    time: DateTime<Utc>,
    /// The clock stood before an earlier record.
    clock_suspect: bool,
    /// `intent`, `outcome`, `admin` or `system`.
    kind: &'static str,
    /// The record as it is in the log.
    record: Value,
}

/// What happened once, and what it has changed.
#[derive(Serialize, ToSchema)]
struct RecordDetail {
    #[serde(flatten)]
    record: RecordBody,
    /// What an administrative act has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deed: Option<Deed>,
    /// Whether that is there: `none` was recorded, it is `kept`, it has been `erased`, it is `missing`,
    /// or it is `unavailable`, since it cannot be read now. That of calls is `withheld`.
    content: Content,
}

/// Whether the content of a record is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Content {
    None,
    Kept,
    Erased,
    Missing,
    Unavailable,
    Withheld,
}

/// A day of which the content is erased.
#[derive(Serialize, ToSchema)]
struct DayBody {
    /// In UTC.
    day: NaiveDate,
}

#[derive(Deserialize)]
struct IndexPath {
    index: u64,
}

#[derive(Deserialize)]
struct DayPath {
    day: String,
}

impl DayPath {
    /// In its one spelling; another one means nothing (H162).
    fn day(&self) -> Result<NaiveDate, Error> {
        let day: Option<NaiveDate> = self.day.parse().ok();
        let nowhere = || Error::NotFound { kind: "day", name: self.day.clone() };
        day.filter(|it| it.to_string() == self.day).ok_or_else(nowhere)
    }
}

/// Which log of the installation is meant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// The id of a workspace, which may have been deleted; without it the log of the installation itself.
    workspace: Option<Uuid>,
}

/// The same, and which page.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogFilter {
    /// The id of a workspace, which may have been deleted; without it the log of the installation itself.
    workspace: Option<Uuid>,
    /// How many at most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// From the page before.
    cursor: Option<String>,
}

/// The newest records first.
#[utoipa::path(
    get,
    path = "/records",
    params(Paging),
    responses((status = 200, body = Page<RecordBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn list_records(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<RecordBody>>, Error> {
    newest(&app, workspace.id.0, &paging).await
}

/// The newest records of the installation first: acts on workspaces and admin tokens; or those of any
/// workspace that there is or was.
#[utoipa::path(
    get,
    path = "/records",
    params(LogFilter),
    responses((status = 200, body = Page<RecordBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn list_installation_records(
    State(app): State<Arc<App>>,
    Query(filter): Query<LogFilter>,
) -> Result<Json<Page<RecordBody>>, Error> {
    let paging = Paging::of(filter.limit.as_deref(), filter.cursor)?;
    newest(&app, filter.workspace.unwrap_or(trail::INSTALLATION), &paging).await
}

async fn newest(app: &App, log: Uuid, paging: &Paging) -> Result<Json<Page<RecordBody>>, Error> {
    let before = match paging.after() {
        None => None,
        Some(text) => {
            let index = text.parse::<u64>();
            Some(index.map_err(|_| Error::not_a_cursor())?)
        }
    };
    let (records, limit) = (app.log.clone(), paging.limit());
    let reading = move || super::newest(&records, log, before, limit + 1);
    let found = tokio::task::spawn_blocking(reading).await.map_err(Error::internal)?;
    let found = found.map_err(Error::internal)?;
    let index = |it: &TailEntry| it.index.map(|it| it.to_string()).unwrap_or_default();
    Ok(Json(paging.answer(found, index, RecordBody::of)))
}

/// Records as they are written, as server-sent events: `record`, or `missed` with how many of the
/// workspace there were while the reader was too slow.
#[utoipa::path(
    get,
    path = "/records/stream",
    responses(
        (status = 200, description = "Server-sent events", content_type = "text/event-stream"),
        (status = "4XX", body = Problem),
    ),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn stream_records(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Extension(caller): Extension<Caller>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let live = app.log.subscribe(workspace.id.0);
    let reader = Reader { live, follower: Follower::new(app, caller) };
    let events = stream::unfold(reader, |mut it| async { Some((it.next().await?, it)) });
    follower::answer(Event::default(), events)
}

/// The proof that a record is in the log (c2sp.org/tlog-proof).
#[utoipa::path(
    get,
    path = "/records/{index}/proof",
    params(("index" = u64, Path, description = "The place of the record in the log.")),
    responses(
        (status = 200, description = "The proof", content_type = "text/plain"),
        (status = "4XX", body = Problem),
    ),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn show_proof(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<IndexPath>,
) -> Result<Response, Error> {
    proof(&app, workspace.id.0, workspace.name.as_str(), path.index).await
}

/// The proof that a record is in the log of the installation (c2sp.org/tlog-proof).
#[utoipa::path(
    get,
    path = "/records/{index}/proof",
    params(("index" = u64, Path, description = "The place of the record in the log."), LogQuery),
    responses(
        (status = 200, description = "The proof", content_type = "text/plain"),
        (status = "4XX", body = Problem),
    ),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn show_installation_proof(
    State(app): State<Arc<App>>,
    Path(path): Path<IndexPath>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Error> {
    let name = query.workspace.map_or_else(|| "installation".to_owned(), |it| it.to_string());
    proof(&app, query.workspace.unwrap_or(trail::INSTALLATION), &name, path.index).await
}

async fn proof(app: &App, log: Uuid, name: &str, index: u64) -> Result<Response, Error> {
    let records = app.log.clone();
    let proving = move || records.prove(log, index);
    let proved = tokio::task::spawn_blocking(proving).await.map_err(Error::internal)?;
    let proof = proved.map_err(|error| match error {
        ProveError::NotYet { .. } => missing(index),
        error => Error::internal(error),
    })?;
    let file = format!("attachment; filename=\"{name}-{}.tlog-proof\"", proof.index);
    let file = HeaderValue::try_from(file).map_err(Error::internal)?;
    Ok(([(header::CONTENT_DISPOSITION, file)], proof.text).into_response())
}

/// One record; of an administrative act with what it has changed.
#[utoipa::path(
    get,
    path = "/records/{index}",
    params(("index" = u64, Path, description = "The place of the record in the log.")),
    responses((status = 200, body = RecordDetail), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn show_record(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<IndexPath>,
) -> Result<Json<RecordDetail>, Error> {
    detail(&app, workspace.id.0, path.index).await
}

/// One record of the installation, with what the act has changed.
#[utoipa::path(
    get,
    path = "/records/{index}",
    params(("index" = u64, Path, description = "The place of the record in the log."), LogQuery),
    responses((status = 200, body = RecordDetail), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:read"))),
    tag = "records",
)]
async fn show_installation_record(
    State(app): State<Arc<App>>,
    Path(path): Path<IndexPath>,
    Query(query): Query<LogQuery>,
) -> Result<Json<RecordDetail>, Error> {
    detail(&app, query.workspace.unwrap_or(trail::INSTALLATION), path.index).await
}

/// Make what was recorded on a day unreadable, for good and everywhere: what calls held, and what acts
/// have changed. Records and their proofs stay.
#[utoipa::path(
    delete,
    path = "/records/content/{day}",
    params(("day" = NaiveDate, Path, description = "In UTC, as 2026-01-02.")),
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:erase")), ("x-step-up" = json!(true))),
    tag = "records",
)]
async fn erase_content(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<DayPath>,
) -> Result<Done<DayBody>, Error> {
    erase(&app, &workspace.rights, workspace.id.0, path.day()?).await
}

/// The same of the log of the installation, or of any workspace that there is or was.
#[utoipa::path(
    delete,
    path = "/records/content/{day}",
    params(("day" = NaiveDate, Path, description = "In UTC, as 2026-01-02."), LogQuery),
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("records:erase")), ("x-step-up" = json!(true))),
    tag = "records",
)]
async fn erase_installation_content(
    State(app): State<Arc<App>>,
    rights: Rights,
    Path(path): Path<DayPath>,
    Query(query): Query<LogQuery>,
) -> Result<Done<DayBody>, Error> {
    erase(&app, &rights, query.workspace.unwrap_or(trail::INSTALLATION), path.day()?).await
}

async fn erase(
    app: &Arc<App>,
    rights: &Rights,
    log: Uuid,
    day: NaiveDate,
) -> Result<Done<DayBody>, Error> {
    let number = (day - NaiveDate::default()).num_days();
    let number = i32::try_from(number).map_err(|_| Error::Malformed("no such day".into()))?;
    let mut change = Change::begin_switch(app, rights).await?;
    if !content_keys::erase(&mut change, WorkspaceId(log), number).await? {
        change.rollback().await?;
        return Err(Error::NotFound { kind: "content", name: day.to_string() });
    }
    change.commit().await?;
    Ok(Done::deleted(content_keys::erased((log, number), true), &DayBody { day }))
}

/// Reads the disk, and where it is sealed what is beside it.
async fn detail(app: &App, log: Uuid, index: u64) -> Result<Json<RecordDetail>, Error> {
    let (records, store) = (app.log.clone(), app.content.get().cloned());
    let reading = move || {
        let found = super::one(&records, log, index).map_err(Error::internal)?;
        let record = RecordBody::of(found.ok_or_else(|| missing(index))?);
        let place = match (record.kind, record.record.get("content")) {
            ("admin", Some(place)) => ContentRef::from_json(log, &place.to_string()),
            // That of calls is not for everyone who may read records.
            (_, Some(_)) => {
                return Ok(RecordDetail { record, deed: None, content: Content::Withheld });
            }
            _ => None,
        };
        let Some((place, store)) = place.zip(store) else {
            return Ok(RecordDetail { record, deed: None, content: Content::None });
        };
        let (deed, content) = match store.read(&place) {
            Ok(bytes) => (Deed::from_bytes(&bytes), Content::Kept),
            Err(ContentError::Erased) => (None, Content::Erased),
            Err(error @ (ContentError::Key(_) | ContentError::Io(_))) => {
                tracing::warn!(error = %chain(&error), "What an act has changed cannot be read now");
                (None, Content::Unavailable)
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "What an act has changed cannot be read");
                (None, Content::Missing)
            }
        };
        Ok(RecordDetail { record, deed, content })
    };
    tokio::task::spawn_blocking(reading).await.map_err(Error::internal)?.map(Json)
}

fn missing(index: u64) -> Error {
    Error::NotFound { kind: "record", name: index.to_string() }
}

/// Someone who follows one workspace.
struct Reader {
    live: audit::Subscription,
    follower: Follower,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let live = self.follower.wait(self.live.next()).await.continue_value()?;
            let may_read = |it: &Rights| it.require_on_workspace(Capability::RecordsRead);
            self.follower.still_may(may_read).await.ok()?;
            let Some(live) = live else { continue };
            match live {
                Live::Missed(count) => {
                    return Some(Event::default().event("missed").data(count.to_string()));
                }
                Live::Entry(entry) => {
                    let event = Event::default().event("record").id(entry.sequence.to_string());
                    return event.json_data(RecordBody::of(entry)).ok();
                }
            }
        }
    }
}

impl RecordBody {
    pub(crate) fn of(entry: TailEntry) -> Self {
        let TailEntry { sequence, index, time_ms, clock_suspect, kind, text } = entry;
        Self {
            sequence,
            index,
            time: DateTime::from_timestamp_millis(time_ms).unwrap_or_default(),
            clock_suspect,
            kind: kind.as_str(),
            // What is not JSON is shown as text rather than hidden.
            record: serde_json::from_str(&text)
                .unwrap_or_else(|_| Value::String(text.as_ref().to_owned())),
        }
    }
}
