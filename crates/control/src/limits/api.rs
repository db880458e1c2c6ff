//! `/limits`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Name;
use domain::limits::Holder;
use domain::ports::Gate as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::counters::Usage;
use super::{AllowanceText, DirectionText, Limit, ScopeText, UnitText, name_of, unit_text};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched, Which, nullable,
};
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_limits, create_limit))
        .routes(routes!(show_limit, update_limit, delete_limit))
        .routes(routes!(list_limit_usage))
}

/// A limit to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLimit {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    pub(crate) scope: ScopeText,
    pub(crate) unit: UnitText,
    /// For tokens and bytes; `both` where absent.
    pub(crate) direction: Option<DirectionText>,
    pub(crate) allowance: AllowanceText,
    /// The only gateway on which it counts; all where absent.
    #[schema(value_type = Option<RefText>)]
    pub(crate) gateway: Option<Ref>,
}

/// What to change of a limit; what is absent stays. What it counts, and for whom, stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    pub(crate) allowance: Option<AllowanceText>,
    /// `null` for all gateways.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RefText>)]
    pub(crate) gateway: Option<Option<Ref>>,
}

/// How much may be used, and by whom together.
#[derive(Serialize, ToSchema)]
struct LimitBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    scope: ScopeText,
    unit: UnitText,
    /// For tokens and bytes.
    direction: Option<DirectionText>,
    allowance: AllowanceText,
    /// The only gateway on which it counts; all where absent.
    #[schema(value_type = Option<NameText>)]
    gateway: Option<Name>,
    created_at: DateTime<Utc>,
}

/// What somebody has used of a limit.
#[derive(Serialize, ToSchema)]
struct UsageBody {
    /// Of the user, app, team, gateway, server or workspace; for a tool, of its server.
    id: Uuid,
    /// Absent where it has been deleted.
    #[schema(value_type = Option<String>)]
    name: Option<Name>,
    tool: Option<String>,
    /// In the limit's unit. More than it allows where an answer has overdrawn it.
    used: u64,
    /// The most that can be used.
    most: u64,
    /// When all of it will have come back.
    until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct LimitPath {
    limit: Ref,
}

impl LimitBody {
    fn of(limit: Limit) -> Self {
        let (unit, direction) = unit_text(limit.unit);
        Self {
            id: limit.id.0,
            name: limit.name,
            scope: limit.scope_text,
            unit,
            direction,
            allowance: limit.allowance.into(),
            gateway: limit.gateway.map(|it| it.name),
            created_at: limit.created_at,
        }
    }
}

/// The limits of a workspace, by name.
#[utoipa::path(
    get,
    path = "/limits",
    params(Paging),
    responses((status = 200, body = Page<LimitBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:read"))),
    tag = "limits",
)]
async fn list_limits(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<LimitBody>>, Error> {
    let mut tx = app.db.read().await?;
    let found = super::list(&mut tx, workspace.id, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), LimitBody::of)))
}

/// Limit what may be used.
#[utoipa::path(
    post,
    path = "/limits",
    request_body = NewLimit,
    responses((status = 201, body = LimitBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:write"))),
    tag = "limits",
)]
async fn create_limit(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewLimit>,
) -> Result<Done<LimitBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let limit = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("limit", limit.id.0, &limit.name);
    Ok(Done::created(touched, LimitBody::of(limit)))
}

/// One limit.
#[utoipa::path(
    get,
    path = "/limits/{limit}",
    responses((status = 200, body = LimitBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:read"))),
    tag = "limits",
)]
async fn show_limit(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<LimitPath>,
) -> Result<Shown<LimitBody>, Error> {
    let mut tx = app.db.read().await?;
    let limit = super::find(&mut tx, workspace.id, &path.limit).await?;
    Ok(Shown::of(LimitBody::of(limit)))
}

/// Change a limit.
#[utoipa::path(
    patch,
    path = "/limits/{limit}",
    request_body = LimitPatch,
    responses((status = 200, body = LimitBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:write"))),
    tag = "limits",
)]
async fn update_limit(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<LimitPath>,
    if_match: IfMatch,
    Json(patch): Json<LimitPatch>,
) -> Result<Done<LimitBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let limit = super::find(&mut change, workspace.id, &path.limit).await?;
    let before = LimitBody::of(limit.clone());
    if_match.check(&before)?;
    let limit = super::update(&mut change, workspace.id, limit, patch).await?;
    change.commit().await?;
    let touched = Touched::new("limit", limit.id.0, &limit.name);
    Ok(Done::changed(touched, &before, LimitBody::of(limit)))
}

/// Delete a limit, and what it has counted.
#[utoipa::path(
    delete,
    path = "/limits/{limit}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:write"))),
    tag = "limits",
)]
async fn delete_limit(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<LimitPath>,
    if_match: IfMatch,
) -> Result<Done<LimitBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let limit = super::find(&mut change, workspace.id, &path.limit).await?;
    let before = LimitBody::of(limit.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &limit).await?;
    change.commit().await?;
    let touched = Touched::new("limit", limit.id.0, &limit.name);
    Ok(Done::deleted(touched, &before))
}

/// Who has used how much of a limit, by id.
#[utoipa::path(
    get,
    path = "/limits/{limit}/usage",
    params(Paging),
    responses((status = 200, body = Page<UsageBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("limits:read"))),
    tag = "limits",
)]
async fn list_limit_usage(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<LimitPath>,
    paging: Paging,
) -> Result<Json<Page<UsageBody>>, Error> {
    let after = match paging.after() {
        None => Holder { id: Uuid::nil(), tool: "".into() },
        Some(text) => {
            let (id, tool) = text.split_once('/').unwrap_or((text, ""));
            let id = id.parse().map_err(|_| Error::not_a_cursor());
            Holder { id: id?, tool: tool.into() }
        }
    };
    let mut tx = app.db.read().await?;
    let limit = super::find(&mut tx, workspace.id, &path.limit).await?;
    let limit = limit.of_domain();
    let most = paging.limit() + 1;
    let found = app.accounts.usage(&mut tx, workspace.id, &limit, (&after, most)).await?;
    drop(tx);
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let names = snapshot.config.workspace(workspace.id);
    let cursor = |usage: &Usage| format!("{}/{}", usage.holder.id, usage.holder.tool);
    let most = limit.allowance.most();
    Ok(Json(paging.answer(found, cursor, |usage| UsageBody {
        id: usage.holder.id,
        name: names.and_then(|it| name_of(it, &limit.scope, usage.holder.id)),
        tool: Some(usage.holder.tool.to_string()).filter(|it| !it.is_empty()),
        used: usage.used,
        most,
        until: usage.until,
    })))
}
