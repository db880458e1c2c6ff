//! `/gateways/{gateway}/assignments`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Assignment, ProvisionText, SchemeText};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched, Which, nullable,
};
use crate::change::Change;
use crate::gateways;
use crate::row::Named;
use crate::switches::Off;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_assignments, create_assignment)).routes(routes!(
        show_assignment,
        update_assignment,
        delete_assignment
    ))
}

/// A server to put on a gateway.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAssignment {
    /// The server, by name or id.
    #[schema(value_type = RefText)]
    pub(crate) server: Ref,
    /// The prefix of its tools on the gateway; the server's name where absent.
    #[schema(value_type = Option<NameText>)]
    pub(crate) alias: Option<Name>,
    #[serde(default)]
    pub(crate) scheme: SchemeText,
    /// With the scheme `shared`: the identity to use, by name or id.
    #[schema(value_type = Option<RefText>)]
    pub(crate) identity: Option<Ref>,
    #[serde(default)]
    pub(crate) tools: ProvisionText,
    #[serde(default)]
    pub(crate) prompts: ProvisionText,
    #[serde(default)]
    pub(crate) resources: ProvisionText,
    /// Where its tools stand in lists: lower ones first; at the end where absent.
    pub(crate) position: Option<i64>,
}

/// What to change of an assignment; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignmentPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) alias: Option<Name>,
    pub(crate) scheme: Option<SchemeText>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RefText>)]
    pub(crate) identity: Option<Option<Ref>>,
    pub(crate) tools: Option<ProvisionText>,
    pub(crate) prompts: Option<ProvisionText>,
    pub(crate) resources: Option<ProvisionText>,
    pub(crate) position: Option<i64>,
    pub(crate) enabled: Option<bool>,
}

/// A server on a gateway.
#[derive(Serialize, ToSchema)]
struct AssignmentBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    gateway: Name,
    /// The prefix of its tools on the gateway.
    #[schema(value_type = NameText)]
    alias: Name,
    #[schema(value_type = NameText)]
    server: Name,
    scheme: SchemeText,
    #[schema(value_type = Option<NameText>)]
    identity: Option<Name>,
    tools: ProvisionText,
    prompts: ProvisionText,
    resources: ProvisionText,
    position: i64,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl AssignmentPatch {
    pub(super) fn touches_more_than_switches(&self) -> bool {
        self.alias.is_some()
            || self.scheme.is_some()
            || self.identity.is_some()
            || self.tools.is_some()
            || self.prompts.is_some()
            || self.resources.is_some()
            || self.position.is_some()
    }
}

impl AssignmentBody {
    fn of(it: Assignment, now: DateTime<Utc>) -> Self {
        let off = it.off.filter(|it| it.holds(now));
        Self {
            id: it.id.0,
            gateway: it.gateway.name,
            alias: it.alias,
            server: it.server.name,
            scheme: it.scheme,
            identity: it.identity.map(|it| it.name),
            tools: it.tools.into(),
            prompts: it.prompts.into(),
            resources: it.resources.into(),
            position: it.position,
            enabled: off.is_none(),
            off,
            created_at: it.created_at,
        }
    }
}

#[derive(Deserialize)]
struct AssignmentPath {
    gateway: Ref,
    assignment: Ref,
}

#[derive(Deserialize)]
struct AssignmentsPath {
    gateway: Ref,
}

/// The servers on a gateway, by alias.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}/assignments",
    params(Paging),
    responses((status = 200, body = Page<AssignmentBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read"))),
    tag = "assignments",
)]
async fn list_assignments(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AssignmentsPath>,
    paging: Paging,
) -> Result<Json<Page<AssignmentBody>>, Error> {
    let mut tx = app.db.read().await?;
    let gateway = gateways::find(&mut tx, workspace.id, &path.gateway).await?;
    let found = super::list(&mut tx, workspace.id, gateway.id, Which::Page(&paging)).await?;
    let now = app.clock.now();
    Ok(Json(paging.answer(found, |it| it.alias.to_string(), |it| AssignmentBody::of(it, now))))
}

/// Put a server on a gateway.
#[utoipa::path(
    post,
    path = "/gateways/{gateway}/assignments",
    request_body = NewAssignment,
    responses((status = 201, body = AssignmentBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "assignments",
)]
async fn create_assignment(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AssignmentsPath>,
    Json(new): Json<NewAssignment>,
) -> Result<Done<AssignmentBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let assignment =
        super::create(&mut change, workspace.id, Named { id: gateway.id, name: gateway.name }, new)
            .await?;
    change.commit().await?;
    let touched = Touched::new(
        "assignment",
        assignment.id.0,
        format!("{}/{}", assignment.gateway.name, assignment.alias),
    );
    Ok(Done::created(touched, AssignmentBody::of(assignment, app.clock.now())))
}

/// One server on a gateway.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}/assignments/{assignment}",
    responses((status = 200, body = AssignmentBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read"))),
    tag = "assignments",
)]
async fn show_assignment(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AssignmentPath>,
) -> Result<Shown<AssignmentBody>, Error> {
    let mut tx = app.db.read().await?;
    let gateway = gateways::find(&mut tx, workspace.id, &path.gateway).await?;
    let assignment = super::find(&mut tx, workspace.id, gateway.id, &path.assignment).await?;
    Ok(Shown::of(AssignmentBody::of(assignment, app.clock.now())))
}

/// Change an assignment, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/gateways/{gateway}/assignments/{assignment}",
    request_body = AssignmentPatch,
    responses((status = 200, body = AssignmentBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "assignments",
)]
async fn update_assignment(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AssignmentPath>,
    if_match: IfMatch,
    Json(patch): Json<AssignmentPatch>,
) -> Result<Done<AssignmentBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let assignment = super::find(&mut change, workspace.id, gateway.id, &path.assignment).await?;
    let before = AssignmentBody::of(assignment.clone(), app.clock.now());
    if_match.check(&before)?;
    let assignment = super::update(&mut change, workspace.id, assignment, patch).await?;
    change.commit().await?;
    let touched = Touched::new(
        "assignment",
        assignment.id.0,
        format!("{}/{}", assignment.gateway.name, assignment.alias),
    );
    Ok(Done::changed(touched, &before, AssignmentBody::of(assignment, app.clock.now())))
}

/// Take a server off a gateway.
#[utoipa::path(
    delete,
    path = "/gateways/{gateway}/assignments/{assignment}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "assignments",
)]
async fn delete_assignment(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<AssignmentPath>,
    if_match: IfMatch,
) -> Result<Done<AssignmentBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = gateways::find(&mut change, workspace.id, &path.gateway).await?;
    let assignment = super::find(&mut change, workspace.id, gateway.id, &path.assignment).await?;
    let before = AssignmentBody::of(assignment.clone(), app.clock.now());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &assignment).await?;
    change.commit().await?;
    let touched = Touched::new(
        "assignment",
        assignment.id.0,
        format!("{}/{}", assignment.gateway.name, assignment.alias),
    );
    Ok(Done::deleted(touched, &before))
}
