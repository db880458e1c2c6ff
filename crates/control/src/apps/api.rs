//! `/apps`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App as Registered;
use crate::App;
use crate::addresses::AddressesText;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched,
};
use crate::belongings::{self, Of};
use crate::change::Change;
use crate::labels::{Label, Labels};
use crate::switches::Off;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_apps, create_app))
        .routes(routes!(show_app, update_app, delete_app))
}

/// An app to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApp {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// The user for whom it acts and who answers for it, by name or id.
    #[schema(value_type = RefText)]
    pub(crate) owner: Ref,
    /// What it is for, in one line.
    pub(crate) purpose: String,
    /// From where it may call.
    #[serde(default)]
    pub(crate) addresses: AddressesText,
    /// For policies; at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    pub(crate) labels: Labels,
}

/// What to change of an app; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    #[schema(value_type = Option<RefText>)]
    pub(crate) owner: Option<Ref>,
    pub(crate) purpose: Option<String>,
    /// From where it may call: all of them.
    pub(crate) addresses: Option<AddressesText>,
    /// For policies; at most 100.
    #[schema(value_type = Option<Vec<Label>>, max_items = 100)]
    pub(crate) labels: Option<Labels>,
    pub(crate) enabled: Option<bool>,
}

/// A client that calls: a headless agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = NameText)]
    owner: Name,
    purpose: String,
    /// From where it may call.
    addresses: AddressesText,
    /// For policies; at most 100.
    #[schema(value_type = Vec<Label>, max_items = 100)]
    labels: Labels,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl AppPatch {
    pub(super) fn touches_more_than_switches(&self) -> bool {
        let Self { name, owner, purpose, addresses, labels, enabled: _ } = self;
        name.is_some()
            || owner.is_some()
            || purpose.is_some()
            || addresses.is_some()
            || labels.is_some()
    }
}

impl AppBody {
    pub(crate) fn of(it: Registered, now: DateTime<Utc>) -> Self {
        let off = it.off.filter(|it| it.holds(now));
        Self {
            id: it.id.0,
            name: it.name,
            owner: it.owner.name,
            purpose: it.purpose,
            addresses: AddressesText(it.addresses),
            labels: it.labels,
            enabled: off.is_none(),
            off,
            created_at: it.created_at,
        }
    }
}

#[derive(Deserialize)]
struct AppPath {
    app: Ref,
}

/// All apps, by name.
#[utoipa::path(
    get,
    path = "/apps",
    params(Paging),
    responses((status = 200, body = Page<AppBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read somewhere"))),
    tag = "apps",
)]
async fn list_apps(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<AppBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::AppsRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    let now = app.clock.now();
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), |it| AppBody::of(it, now))))
}

/// Register an app.
#[utoipa::path(
    post,
    path = "/apps",
    request_body = NewApp,
    responses((status = 201, body = AppBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "apps",
)]
async fn create_app(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewApp>,
) -> Result<Done<AppBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let found = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("app", found.id.0, &found.name);
    Ok(Done::created(touched, AppBody::of(found, app.clock.now())))
}

/// One app.
#[utoipa::path(
    get,
    path = "/apps/{app}",
    responses((status = 200, body = AppBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read"))),
    tag = "apps",
)]
async fn show_app(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AppPath>,
) -> Result<Shown<AppBody>, Error> {
    let mut tx = app.db.read().await?;
    let found = super::find(&mut tx, workspace.id, &path.app).await?;
    Ok(Shown::of(AppBody::of(found, app.clock.now())))
}

/// Change an app, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/apps/{app}",
    request_body = AppPatch,
    responses((status = 200, body = AppBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "apps",
)]
async fn update_app(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AppPath>,
    if_match: IfMatch,
    Json(patch): Json<AppPatch>,
) -> Result<Done<AppBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let found = super::find(&mut change, workspace.id, &path.app).await?;
    let before = AppBody::of(found.clone(), app.clock.now());
    if_match.check(&before)?;
    let found = super::update(&mut change, workspace.id, found, patch).await?;
    change.commit().await?;
    let touched = Touched::new("app", found.id.0, &found.name);
    Ok(Done::changed(touched, &before, AppBody::of(found, app.clock.now())))
}

/// Delete an app with its tokens and connections.
#[utoipa::path(
    delete,
    path = "/apps/{app}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "apps",
)]
async fn delete_app(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AppPath>,
    if_match: IfMatch,
) -> Result<Done<AppBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let found = super::find(&mut change, workspace.id, &path.app).await?;
    let before = AppBody::of(found.clone(), app.clock.now());
    if_match.check(&before)?;
    let gone = belongings::of(&mut change, Of::App, workspace.id, found.id.0).await?;
    super::delete(&mut change, workspace.id, &found).await?;
    change.commit().await?;
    let touched = Touched::new("app", found.id.0, &found.name).taking(gone);
    Ok(Done::deleted(touched, &before))
}
