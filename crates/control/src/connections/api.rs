//! `/apps/{app}/connections`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Connection;
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched, Which,
};
use crate::apps;
use crate::change::Change;
use crate::switches::Off;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_connections, create_connection))
        .routes(routes!(show_connection, update_connection, delete_connection))
        .routes(routes!(list_all_connections))
}

/// An app to connect to a gateway.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnection {
    /// The gateway, by name or id.
    #[schema(value_type = RefText)]
    pub(crate) gateway: Ref,
    /// Credentials for servers that ask for the caller's own, by name or id.
    #[serde(default)]
    #[schema(value_type = Vec<RefText>)]
    pub(crate) identities: Vec<Ref>,
}

/// What to change of a connection; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionPatch {
    /// All of them: those that stood before are used no more.
    #[schema(value_type = Option<Vec<RefText>>)]
    pub(crate) identities: Option<Vec<Ref>>,
    /// Whether the app is at this gateway at the picker's URL, and so at no other.
    pub(crate) picked: Option<bool>,
    pub(crate) enabled: Option<bool>,
}

/// An app on a gateway.
#[derive(Serialize, ToSchema)]
struct ConnectionBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    app: Name,
    #[schema(value_type = NameText)]
    gateway: Name,
    /// The person for whom the app acts here.
    #[schema(value_type = NameText)]
    user: Name,
    /// The credentials to use, by server.
    #[schema(value_type = BTreeMap<String, String>)]
    identities: BTreeMap<Name, Name>,
    /// Whether the app is at this gateway at the picker's URL.
    picked: bool,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl ConnectionPatch {
    fn touches_more_than_switches(&self) -> bool {
        self.identities.is_some() || self.picked.is_some()
    }
}

impl ConnectionBody {
    fn of(it: Connection, now: DateTime<Utc>) -> Self {
        let off = it.off.filter(|it| it.holds(now));
        Self {
            id: it.id.0,
            app: it.app.name,
            gateway: it.gateway.name,
            user: it.user.name,
            identities: it.choices,
            picked: it.picked,
            enabled: off.is_none(),
            off,
            created_at: it.created_at,
        }
    }
}

#[derive(Deserialize)]
struct ConnectionPath {
    app: Ref,
    connection: Ref,
}

#[derive(Deserialize)]
struct ConnectionsPath {
    app: Ref,
}

/// The connections of an app, by gateway.
#[utoipa::path(
    get,
    path = "/apps/{app}/connections",
    params(Paging),
    responses((status = 200, body = Page<ConnectionBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read"))),
    tag = "connections",
)]
async fn list_connections(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ConnectionsPath>,
    paging: Paging,
) -> Result<Json<Page<ConnectionBody>>, Error> {
    let mut tx = app.db.read().await?;
    let owner = apps::find(&mut tx, workspace.id, &path.app).await?;
    let found = super::list(&mut tx, workspace.id, Some(owner.id), Which::Page(&paging)).await?;
    let now = app.clock.now();
    Ok(Json(paging.answer(found, Connection::key, |it| ConnectionBody::of(it, now))))
}

/// Connect an app to a gateway.
#[utoipa::path(
    post,
    path = "/apps/{app}/connections",
    request_body = NewConnection,
    responses((status = 201, body = ConnectionBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write somewhere"))),
    tag = "connections",
)]
async fn create_connection(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ConnectionsPath>,
    Json(new): Json<NewConnection>,
) -> Result<Done<ConnectionBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let owner = apps::find(&mut change, workspace.id, &path.app).await?;
    let named = ("app", &path.app);
    workspace.rights.require(Capability::AppsRead, &owner.object(), named)?;
    let connection = super::create(&mut change, workspace.id, &owner, new).await?;
    change.commit().await?;
    let touched = Touched::new("connection", connection.id.0, connection.name());
    Ok(Done::created(touched, ConnectionBody::of(connection, app.clock.now())))
}

/// One connection, by its id or its gateway.
#[utoipa::path(
    get,
    path = "/apps/{app}/connections/{connection}",
    responses((status = 200, body = ConnectionBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read"))),
    tag = "connections",
)]
async fn show_connection(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ConnectionPath>,
) -> Result<Shown<ConnectionBody>, Error> {
    let mut tx = app.db.read().await?;
    let owner = apps::find(&mut tx, workspace.id, &path.app).await?;
    let connection = super::find(&mut tx, workspace.id, owner.id, &path.connection).await?;
    Ok(Shown::of(ConnectionBody::of(connection, app.clock.now())))
}

/// Change a connection, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/apps/{app}/connections/{connection}",
    request_body = ConnectionPatch,
    responses((status = 200, body = ConnectionBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "connections",
)]
async fn update_connection(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ConnectionPath>,
    if_match: IfMatch,
    Json(patch): Json<ConnectionPatch>,
) -> Result<Done<ConnectionBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let owner = apps::find(&mut change, workspace.id, &path.app).await?;
    let connection = super::find(&mut change, workspace.id, owner.id, &path.connection).await?;
    let before = ConnectionBody::of(connection.clone(), app.clock.now());
    if_match.check(&before)?;
    let connection = super::update(&mut change, workspace.id, connection, patch).await?;
    change.commit().await?;
    let touched = Touched::new("connection", connection.id.0, connection.name());
    Ok(Done::changed(touched, &before, ConnectionBody::of(connection, app.clock.now())))
}

/// Disconnect an app from a gateway.
#[utoipa::path(
    delete,
    path = "/apps/{app}/connections/{connection}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "connections",
)]
async fn delete_connection(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ConnectionPath>,
    if_match: IfMatch,
) -> Result<Done<ConnectionBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let owner = apps::find(&mut change, workspace.id, &path.app).await?;
    let connection = super::find(&mut change, workspace.id, owner.id, &path.connection).await?;
    let before = ConnectionBody::of(connection.clone(), app.clock.now());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &connection).await?;
    change.commit().await?;
    let touched = Touched::new("connection", connection.id.0, connection.name());
    Ok(Done::deleted(touched, &before))
}

/// The connections of all apps, by app and gateway.
#[utoipa::path(
    get,
    path = "/connections",
    params(Paging),
    responses((status = 200, body = Page<ConnectionBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read somewhere"))),
    tag = "connections",
)]
async fn list_all_connections(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<ConnectionBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::AppsRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, None, which).await?);
    }
    let now = app.clock.now();
    Ok(Json(paging.answer_within(found, Connection::key, |it| ConnectionBody::of(it, now))))
}
