//! `/gateways`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Gateway;
use crate::App;
use crate::addresses::AddressesText;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched,
};
use crate::belongings::{self, Of};
use crate::change::Change;
use crate::switches::Off;
use crate::teams;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_gateways, create_gateway))
        .routes(routes!(show_gateway, update_gateway, delete_gateway))
        .routes(routes!(add_grant, remove_grant))
        .merge(super::preview::routes())
        .merge(super::test_calls::routes())
}

/// A gateway to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGateway {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// The teams that may use it, by name or id.
    #[serde(default)]
    #[schema(value_type = Vec<RefText>)]
    pub(crate) teams: Vec<Ref>,
    /// From where it may be used.
    #[serde(default)]
    pub(crate) addresses: AddressesText,
    /// For how many seconds calls are answered while the database is away; 0 for not at all. As long
    /// does every change wait for a replica that does not confirm it.
    #[serde(default)]
    #[schema(maximum = 60)]
    pub(crate) max_autonomy_seconds: u8,
}

/// What to change of a gateway; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    /// All of them: a team that is not listed may use it no more.
    #[schema(value_type = Option<Vec<RefText>>)]
    pub(crate) teams: Option<Vec<Ref>>,
    /// From where it may be used: all of them.
    pub(crate) addresses: Option<AddressesText>,
    /// For how many seconds calls are answered while the database is away; 0 for not at all.
    #[schema(maximum = 60)]
    pub(crate) max_autonomy_seconds: Option<u8>,
    pub(crate) enabled: Option<bool>,
}

/// One governed URL.
#[derive(Serialize, ToSchema)]
struct GatewayBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    /// The teams that may use it.
    #[schema(value_type = Vec<NameText>)]
    teams: Vec<Name>,
    /// From where it may be used.
    addresses: AddressesText,
    /// For how many seconds calls are answered while the database is away; 0 for not at all. Without
    /// effect where the database is SQLite.
    max_autonomy_seconds: u8,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl GatewayPatch {
    pub(crate) fn touches_more_than_switches(&self) -> bool {
        self.name.is_some()
            || self.teams.is_some()
            || self.addresses.is_some()
            || self.max_autonomy_seconds.is_some()
    }
}

impl GatewayBody {
    fn of(gateway: Gateway, now: DateTime<Utc>) -> Self {
        let off = gateway.off.filter(|it| it.holds(now));
        Self {
            id: gateway.id.0,
            name: gateway.name,
            teams: gateway.teams,
            addresses: AddressesText(gateway.addresses),
            max_autonomy_seconds: gateway.max_autonomy_seconds,
            enabled: off.is_none(),
            off,
            created_at: gateway.created_at,
        }
    }
}

#[derive(Deserialize)]
struct GatewayPath {
    gateway: Ref,
}

/// All gateways, by name.
#[utoipa::path(
    get,
    path = "/gateways",
    params(Paging),
    responses((status = 200, body = Page<GatewayBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read somewhere"))),
    tag = "gateways",
)]
async fn list_gateways(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<GatewayBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::GatewaysRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    let now = app.clock.now();
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), |it| GatewayBody::of(it, now))))
}

/// Make a gateway.
#[utoipa::path(
    post,
    path = "/gateways",
    request_body = NewGateway,
    responses((status = 201, body = GatewayBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "gateways",
)]
async fn create_gateway(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewGateway>,
) -> Result<Done<GatewayBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("gateway", gateway.id.0, &gateway.name);
    Ok(Done::created(touched, GatewayBody::of(gateway, app.clock.now())))
}

/// One gateway.
#[utoipa::path(
    get,
    path = "/gateways/{gateway}",
    responses((status = 200, body = GatewayBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:read"))),
    tag = "gateways",
)]
async fn show_gateway(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GatewayPath>,
) -> Result<Shown<GatewayBody>, Error> {
    let mut tx = app.db.read().await?;
    let gateway = super::find(&mut tx, workspace.id, &path.gateway).await?;
    Ok(Shown::of(GatewayBody::of(gateway, app.clock.now())))
}

/// Change a gateway, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/gateways/{gateway}",
    request_body = GatewayPatch,
    responses((status = 200, body = GatewayBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "gateways",
)]
async fn update_gateway(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GatewayPath>,
    if_match: IfMatch,
    Json(patch): Json<GatewayPatch>,
) -> Result<Done<GatewayBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let gateway = super::find(&mut change, workspace.id, &path.gateway).await?;
    let before = GatewayBody::of(gateway.clone(), app.clock.now());
    if_match.check(&before)?;
    let gateway = super::update(&mut change, workspace.id, gateway, patch).await?;
    change.commit().await?;
    let touched = Touched::new("gateway", gateway.id.0, &gateway.name);
    Ok(Done::changed(touched, &before, GatewayBody::of(gateway, app.clock.now())))
}

/// Delete a gateway to which nothing is connected.
#[utoipa::path(
    delete,
    path = "/gateways/{gateway}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "gateways",
)]
async fn delete_gateway(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GatewayPath>,
    if_match: IfMatch,
) -> Result<Done<GatewayBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = super::find(&mut change, workspace.id, &path.gateway).await?;
    let before = GatewayBody::of(gateway.clone(), app.clock.now());
    if_match.check(&before)?;
    let gone = belongings::of(&mut change, Of::Gateway, workspace.id, gateway.id.0).await?;
    super::delete(&mut change, workspace.id, &gateway).await?;
    change.commit().await?;
    let touched = Touched::new("gateway", gateway.id.0, &gateway.name).taking(gone);
    Ok(Done::deleted(touched, &before))
}

#[derive(Deserialize)]
struct GrantPath {
    gateway: Ref,
    team: Ref,
}

/// Let a team use a gateway.
#[utoipa::path(
    put,
    path = "/gateways/{gateway}/teams/{team}",
    responses((status = 200, body = GatewayBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "gateways",
)]
async fn add_grant(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GrantPath>,
    if_match: IfMatch,
) -> Result<Done<GatewayBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = super::find(&mut change, workspace.id, &path.gateway).await?;
    let before = GatewayBody::of(gateway.clone(), app.clock.now());
    if_match.check(&before)?;
    let team = teams::find(&mut change, workspace.id, &path.team).await?;
    super::add_grant(&mut change, workspace.id, &gateway, team.id).await?;
    let after = super::find(&mut change, workspace.id, &path.gateway).await?;
    change.commit().await?;
    let touched = Touched::new("gateway", gateway.id.0, &gateway.name);
    Ok(Done::changed(touched, &before, GatewayBody::of(after, app.clock.now())))
}

/// Let a team use a gateway no more. What that no longer entitles to ends at once.
#[utoipa::path(
    delete,
    path = "/gateways/{gateway}/teams/{team}",
    responses((status = 200, body = GatewayBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("gateways:write"))),
    tag = "gateways",
)]
async fn remove_grant(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<GrantPath>,
    if_match: IfMatch,
) -> Result<Done<GatewayBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let gateway = super::find(&mut change, workspace.id, &path.gateway).await?;
    let before = GatewayBody::of(gateway.clone(), app.clock.now());
    if_match.check(&before)?;
    let team = teams::find(&mut change, workspace.id, &path.team).await?;
    super::remove_grant(&mut change, workspace.id, &gateway, team.id).await?;
    let after = super::find(&mut change, workspace.id, &path.gateway).await?;
    change.commit().await?;
    let touched = Touched::new("gateway", gateway.id.0, &gateway.name);
    Ok(Done::changed(touched, &before, GatewayBody::of(after, app.clock.now())))
}
