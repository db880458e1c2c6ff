//! `/role-grants`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Holder, OnText, RoleGrant};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    ScopeText, Shown, Touched,
};
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_role_grants, create_role_grant))
        .routes(routes!(show_role_grant, delete_role_grant))
}

/// A role to give to a user or to a team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoleGrant {
    /// What the grant itself is called.
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    #[schema(value_type = RefText)]
    pub(crate) role: Ref,
    /// By name or id; either this or `team`.
    #[schema(value_type = Option<RefText>)]
    pub(crate) user: Option<Ref>,
    #[schema(value_type = Option<RefText>)]
    pub(crate) team: Option<Ref>,
    /// `workspace`, which is meant where this is absent, or `gateway/main`, `server/jira`,
    /// `team/dev`: that thing and all below it.
    #[serde(default)]
    #[schema(value_type = ScopeText)]
    pub(crate) on: OnText,
}

/// A role that a user or a team holds.
#[derive(Serialize, ToSchema)]
struct RoleGrantBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = NameText)]
    role: Name,
    #[schema(value_type = Option<NameText>)]
    user: Option<Name>,
    #[schema(value_type = Option<NameText>)]
    team: Option<Name>,
    #[schema(value_type = ScopeText)]
    on: OnText,
    created_at: DateTime<Utc>,
}

impl RoleGrantBody {
    fn of(grant: RoleGrant) -> Self {
        let (user, team) = match grant.holder {
            Holder::User(it) => (Some(it.name), None),
            Holder::Team(it) => (None, Some(it.name)),
        };
        let on = grant.on.text();
        let RoleGrant { id, name, role, created_at, .. } = grant;
        Self { id: id.0, name, role, user, team, on, created_at }
    }
}

#[derive(Deserialize)]
struct RoleGrantPath {
    grant: Ref,
}

/// All role grants, by name.
#[utoipa::path(
    get,
    path = "/role-grants",
    params(Paging),
    responses((status = 200, body = Page<RoleGrantBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:read somewhere"))),
    tag = "role-grants",
)]
async fn list_role_grants(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<RoleGrantBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::RolesRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), RoleGrantBody::of)))
}

/// Grant a role. Nobody grants more than they hold.
#[utoipa::path(
    post,
    path = "/role-grants",
    request_body = NewRoleGrant,
    responses((status = 201, body = RoleGrantBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:write somewhere")), ("x-step-up" = json!(true))),
    tag = "role-grants",
)]
async fn create_role_grant(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewRoleGrant>,
) -> Result<Done<RoleGrantBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let grant = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("role_grant", grant.id.0, &grant.name);
    Ok(Done::created(touched, RoleGrantBody::of(grant)))
}

/// One role grant.
#[utoipa::path(
    get,
    path = "/role-grants/{grant}",
    responses((status = 200, body = RoleGrantBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:read"))),
    tag = "role-grants",
)]
async fn show_role_grant(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RoleGrantPath>,
) -> Result<Shown<RoleGrantBody>, Error> {
    let mut tx = app.db.read().await?;
    let grant = super::find(&mut tx, workspace.id, &path.grant).await?;
    Ok(Shown::of(RoleGrantBody::of(grant)))
}

/// Take a role back. What came by it ends at once.
#[utoipa::path(
    delete,
    path = "/role-grants/{grant}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("roles:write"))),
    tag = "role-grants",
)]
async fn delete_role_grant(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<RoleGrantPath>,
    if_match: IfMatch,
) -> Result<Done<RoleGrantBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let grant = super::find(&mut change, workspace.id, &path.grant).await?;
    let before = RoleGrantBody::of(grant.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &grant).await?;
    change.commit().await?;
    let touched = Touched::new("role_grant", grant.id.0, &grant.name);
    Ok(Done::deleted(touched, &before))
}
