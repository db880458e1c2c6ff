//! `/workspaces`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{DurabilityText, Workspace};
use crate::App;
use crate::addresses::AddressesText;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Problem, Ref, Rights, Shown,
    Touched, Which,
};
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_workspaces, create_workspace)).routes(routes!(
        show_workspace,
        update_workspace,
        delete_workspace
    ))
}

/// A workspace to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspace {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    #[serde(default)]
    pub(crate) durability: DurabilityText,
    /// From where everything in it may be used, and its users may administer it.
    #[serde(default)]
    pub(crate) addresses: AddressesText,
}

/// What to change of a workspace; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkspacePatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    pub(crate) durability: Option<DurabilityText>,
    /// From where everything in it may be used, and its users may administer it: all of them.
    pub(crate) addresses: Option<AddressesText>,
    /// Whether addresses are set even where the request's own is not among them.
    #[serde(default)]
    pub(crate) force: bool,
}

/// A tenant.
#[derive(Serialize, ToSchema)]
struct WorkspaceBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    durability: DurabilityText,
    /// From where everything in it may be used, and its users may administer it.
    addresses: AddressesText,
    created_at: DateTime<Utc>,
}

impl WorkspaceBody {
    fn of(workspace: Workspace) -> Self {
        let Workspace { id, name, durability, addresses, created_at } = workspace;
        let (durability, addresses) = (durability.into(), AddressesText(addresses));
        Self { id: id.0, name, durability, addresses, created_at }
    }
}

/// All workspaces, by name.
#[utoipa::path(
    get,
    path = "/workspaces",
    params(Paging),
    responses((status = 200, body = Page<WorkspaceBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "workspaces",
)]
async fn list_workspaces(
    State(app): State<Arc<App>>,
    rights: Rights,
    paging: Paging,
) -> Result<Json<Page<WorkspaceBody>>, Error> {
    let mut tx = app.db.read().await?;
    let found = match rights.workspace() {
        None => super::list(&mut tx, Which::Page(&paging)).await?,
        // Users see their own.
        Some(own) => {
            let mut found = super::list(&mut tx, Which::One(&Ref::Id(own.id.0))).await?;
            found.retain(|it| paging.after().is_none_or(|after| after < it.name.as_str()));
            found
        }
    };
    Ok(Json(paging.answer(found, |it| it.name.to_string(), WorkspaceBody::of)))
}

/// Make a workspace.
#[utoipa::path(
    post,
    path = "/workspaces",
    request_body = NewWorkspace,
    responses((status = 201, body = WorkspaceBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("workspaces:write"))),
    tag = "workspaces",
)]
async fn create_workspace(
    State(app): State<Arc<App>>,
    rights: Rights,
    Json(new): Json<NewWorkspace>,
) -> Result<Done<WorkspaceBody>, Error> {
    let mut change = Change::begin(&app, &rights).await?;
    let workspace = super::create(&mut change, new).await?;
    change.commit().await?;
    let touched = Touched::new("workspace", workspace.id.0, &workspace.name);
    Ok(Done::created(touched, WorkspaceBody::of(workspace)))
}

/// One workspace.
#[utoipa::path(
    get,
    path = "/workspaces/{workspace}",
    responses((status = 200, body = WorkspaceBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "workspaces",
)]
async fn show_workspace(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
) -> Result<Shown<WorkspaceBody>, Error> {
    let mut tx = app.db.read().await?;
    let workspace = super::find(&mut tx, &workspace.reference()).await?;
    Ok(Shown::of(WorkspaceBody::of(workspace)))
}

/// Change a workspace.
#[utoipa::path(
    patch,
    path = "/workspaces/{workspace}",
    request_body = WorkspacePatch,
    responses((status = 200, body = WorkspaceBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("workspaces:write"))),
    tag = "workspaces",
)]
async fn update_workspace(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    if_match: IfMatch,
    Json(patch): Json<WorkspacePatch>,
) -> Result<Done<WorkspaceBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let workspace = super::find(&mut change, &workspace.reference()).await?;
    let before = WorkspaceBody::of(workspace.clone());
    if_match.check(&before)?;
    let workspace = super::update(&mut change, workspace, patch).await?;
    change.commit().await?;
    let touched = Touched::new("workspace", workspace.id.0, &workspace.name);
    Ok(Done::changed(touched, &before, WorkspaceBody::of(workspace)))
}

/// Delete an empty workspace.
#[utoipa::path(
    delete,
    path = "/workspaces/{workspace}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("workspaces:write")), ("x-step-up" = json!(true))),
    tag = "workspaces",
)]
async fn delete_workspace(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    if_match: IfMatch,
) -> Result<Done<WorkspaceBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let workspace = super::find(&mut change, &workspace.reference()).await?;
    let before = WorkspaceBody::of(workspace.clone());
    if_match.check(&before)?;
    super::delete(&mut change, &workspace).await?;
    change.commit().await?;
    let touched = Touched::new("workspace", workspace.id.0, &workspace.name);
    Ok(Done::deleted(touched, &before))
}
