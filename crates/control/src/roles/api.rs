//! `/roles`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Role;
use crate::App;
use crate::api::{
    CapabilityText, Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem,
    Ref, Shown, Touched,
};
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_roles, create_role)).routes(routes!(
        show_role,
        update_role,
        delete_role
    ))
}

/// A role to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// Such as `servers:read`; see the handbook for all of them.
    #[schema(value_type = Vec<CapabilityText>)]
    pub(crate) capabilities: BTreeSet<Capability>,
}

/// What to change of a role; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolePatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    /// All of them.
    #[schema(value_type = Option<Vec<CapabilityText>>)]
    pub(crate) capabilities: Option<BTreeSet<Capability>>,
}

/// A set of capabilities.
#[derive(Serialize, ToSchema)]
struct RoleBody {
    /// Absent for a built-in one.
    id: Option<Uuid>,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = Vec<CapabilityText>)]
    capabilities: BTreeSet<Capability>,
    /// Whether it is there from the first start and cannot be changed.
    built_in: bool,
    created_at: Option<DateTime<Utc>>,
}

impl RoleBody {
    fn of(role: Role) -> Self {
        let Role { id, name, capabilities, created_at } = role;
        let (id, built_in) = (id.map(|it| it.0), id.is_none());
        Self { id, name, capabilities, built_in, created_at }
    }
}

#[derive(Deserialize)]
struct RolePath {
    role: Ref,
}

/// All roles, by name, the built-in ones included.
#[utoipa::path(
    get,
    path = "/roles",
    params(Paging),
    responses((status = 200, body = Page<RoleBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:read"))),
    tag = "roles",
)]
async fn list_roles(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<RoleBody>>, Error> {
    let mut tx = app.db.read().await?;
    let found = super::page(&mut tx, workspace.id, &paging).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), RoleBody::of)))
}

/// Make a role. It does nothing until it is granted.
#[utoipa::path(
    post,
    path = "/roles",
    request_body = NewRole,
    responses((status = 201, body = RoleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:write"))),
    tag = "roles",
)]
async fn create_role(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewRole>,
) -> Result<Done<RoleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let role = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = touched(&role);
    Ok(Done::created(touched, RoleBody::of(role)))
}

/// One role.
#[utoipa::path(
    get,
    path = "/roles/{role}",
    responses((status = 200, body = RoleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:read"))),
    tag = "roles",
)]
async fn show_role(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RolePath>,
) -> Result<Shown<RoleBody>, Error> {
    let mut tx = app.db.read().await?;
    let role = super::find(&mut tx, workspace.id, &path.role).await?;
    Ok(Shown::of(RoleBody::of(role)))
}

/// Change a role, for all who have been granted it.
#[utoipa::path(
    patch,
    path = "/roles/{role}",
    request_body = RolePatch,
    responses((status = 200, body = RoleBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:write")), ("x-step-up" = json!(true))),
    tag = "roles",
)]
async fn update_role(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RolePath>,
    if_match: IfMatch,
    Json(patch): Json<RolePatch>,
) -> Result<Done<RoleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let role = super::find(&mut change, workspace.id, &path.role).await?;
    let before = RoleBody::of(role.clone());
    if_match.check(&before)?;
    let role = super::update(&mut change, workspace.id, role, patch).await?;
    change.commit().await?;
    let touched = touched(&role);
    Ok(Done::changed(touched, &before, RoleBody::of(role)))
}

/// Delete a role that nobody has been granted.
#[utoipa::path(
    delete,
    path = "/roles/{role}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:write"))),
    tag = "roles",
)]
async fn delete_role(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RolePath>,
    if_match: IfMatch,
) -> Result<Done<RoleBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let role = super::find(&mut change, workspace.id, &path.role).await?;
    let before = RoleBody::of(role.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &role).await?;
    change.commit().await?;
    Ok(Done::deleted(touched(&role), &before))
}

fn touched(role: &Role) -> Touched {
    Touched::new("role", role.id.map(|it| it.0).unwrap_or_default(), &role.name)
}
