//! `/cutoffs`, `/restores` and `/drills`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::Capability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::resolve::{self, KindText};
use super::store::{self, Listed};
use crate::App;
use crate::api::{Done, Error, InWorkspace, Json, Page, Paging, Problem, Touched};
use crate::change::{Change, Committed};
use crate::replicas::{Confirmed, canary};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_cutoffs, create_cutoff))
        .routes(routes!(create_restore))
        .routes(routes!(create_drill))
}

/// Something to turn off at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCutoff {
    kind: KindText,
    /// A name or an id; for an assignment `gateway/alias`, for a connection `app/gateway`, for a
    /// tool `server/tool`.
    name: String,
    /// When it turns on again by itself; never where absent.
    #[schema(minimum = 1, maximum = 31_622_400)]
    seconds: Option<u64>,
    /// Shown to whoever is stopped by it.
    reason: Option<String>,
}

/// Something to turn on again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRestore {
    kind: KindText,
    name: String,
}

/// Something that is off.
#[derive(Serialize, ToSchema)]
struct CutoffBody {
    kind: String,
    id: Uuid,
    /// As one would name it in a request.
    name: String,
    since: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
}

/// A change that holds everywhere.
#[derive(Serialize, ToSchema)]
struct Held {
    kind: KindText,
    name: String,
    until: Option<DateTime<Utc>>,
    replicas: Confirmed,
    /// Calls and streams that were ended on the replica that answers.
    ended: usize,
    /// From the beginning of the change until it held everywhere.
    elapsed_ms: f64,
}

/// A cut-off that was tried: everything that one does, of what no call can reach.
#[derive(Serialize, ToSchema)]
struct Drill {
    replicas: Confirmed,
    /// From the beginning of the change until it held everywhere.
    elapsed_ms: f64,
    /// How long it took to turn that on again.
    restored_ms: f64,
}

const LONGEST: u64 = 366 * 24 * 60 * 60;
const REASON_CHARS: usize = 500;

/// Everything that is off, by kind and id.
#[utoipa::path(
    get,
    path = "/cutoffs",
    params(Paging),
    responses((status = 200, body = Page<CutoffBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("cutoffs:read somewhere"))),
    tag = "cutoffs",
)]
async fn list_cutoffs(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<CutoffBody>>, Error> {
    let reach = workspace.rights.reach(Capability::CutoffsRead);
    let mut tx = app.db.read().await?;
    let now = app.clock.now();
    let found = super::page(&mut tx, workspace.id, (&paging, &reach), now).await?;
    Ok(Json(paging.answer_within(found, Listed::key, Into::into)))
}

/// Turn something off. Returns when no more calls pass, anywhere.
#[utoipa::path(
    post,
    path = "/cutoffs",
    request_body = NewCutoff,
    responses((status = 200, body = Held), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("cutoffs:write somewhere"))),
    tag = "cutoffs",
)]
async fn create_cutoff(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewCutoff>,
) -> Result<Done<Held>, Error> {
    let limit = new.seconds.map(limit).transpose()?;
    let reason = new.reason.map(checked).transpose()?;
    let mut change = Change::begin_switch(&app, &workspace.rights).await?;
    let target = resolve::target(&mut change, workspace.id, new.kind, &new.name).await;
    let target = target.map_err(|error| new.kind.missing(error, &new.name))?;
    let touched = Touched::new(target.noun(), super::columns(&target).0, &new.name);
    super::check(&mut change, workspace.id, &target, &new.name).await?;
    let until = limit.map(|it| change.now() + it);
    let before = store::find(&mut change, workspace.id, &target).await?;
    let after = super::turn_off(&mut change, workspace.id, target, until, reason).await?;
    let touched = touched.switched(before.as_ref(), Some(&after));
    let committed = change.commit().await?;
    Ok(Done::other(StatusCode::OK, touched, Held::of(new.kind, new.name, until, committed)))
}

/// Turn something on again.
#[utoipa::path(
    post,
    path = "/restores",
    request_body = NewRestore,
    responses((status = 200, body = Held), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("cutoffs:write somewhere"))),
    tag = "cutoffs",
)]
async fn create_restore(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewRestore>,
) -> Result<Done<Held>, Error> {
    let mut change = Change::begin_switch(&app, &workspace.rights).await?;
    let target = resolve::target(&mut change, workspace.id, new.kind, &new.name).await;
    let target = target.map_err(|error| new.kind.missing(error, &new.name))?;
    let touched = Touched::new(target.noun(), super::columns(&target).0, &new.name);
    super::check(&mut change, workspace.id, &target, &new.name).await?;
    let before = store::find(&mut change, workspace.id, &target).await?;
    let touched = touched.switched(before.as_ref(), None);
    super::turn_on(&mut change, workspace.id, &target).await?;
    let committed = change.commit().await?;
    Ok(Done::other(StatusCode::OK, touched, Held::of(new.kind, new.name, None, committed)))
}

/// Try a cut-off: turn something off that no call can reach, and on again. Stops nobody.
#[utoipa::path(
    post,
    path = "/drills",
    responses((status = 200, body = Drill), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("cutoffs:write"))),
    tag = "cutoffs",
)]
async fn create_drill(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
) -> Result<Json<Drill>, Error> {
    workspace.rights.require_on_workspace(Capability::CutoffsWrite)?;
    let (off, on) = canary::flip(&app, workspace.id, app.clock.id()).await?;
    Ok(Json(Drill {
        replicas: off.replicas,
        elapsed_ms: millis(off.elapsed),
        restored_ms: millis(on.elapsed),
    }))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn limit(seconds: u64) -> Result<Duration, Error> {
    if (1..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Error::Invalid(format!("`seconds` must be 1 to {LONGEST}")))
    }
}

fn checked(reason: String) -> Result<String, Error> {
    // What has this reason is let pass by every replica.
    if reason == super::CANARY {
        return Err(Error::Invalid("say another reason: canaries have this one".into()));
    }
    let fits = reason.chars().count() <= REASON_CHARS;
    if fits && !reason.chars().any(char::is_control) {
        Ok(reason)
    } else {
        Err(Error::Invalid(format!("say the reason in one line of {REASON_CHARS} characters")))
    }
}

impl Held {
    fn of(kind: KindText, name: String, until: Option<DateTime<Utc>>, it: Committed) -> Self {
        Self {
            kind,
            name,
            until,
            replicas: it.replicas,
            ended: it.ended,
            elapsed_ms: millis(it.elapsed),
        }
    }
}

impl From<Listed> for CutoffBody {
    fn from(row: Listed) -> Self {
        let Listed { kind, target_id, name, since, until, reason, .. } = row;
        let name = name.unwrap_or_else(|| target_id.to_string());
        Self { kind, id: target_id, name, since, until, reason }
    }
}
