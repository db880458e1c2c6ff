//! `/servers`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name, ServerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{EraText, ReviewText, Server, TasksText, TransportText};
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, Shown,
    Touched,
};
use crate::belongings::{self, Of};
use crate::change::Change;
use crate::labels::{Label, Labels, ToolLabelText, ToolLabels};
use crate::switches::Off;
use crate::{App, Status};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_servers, create_server)).routes(routes!(
        show_server,
        update_server,
        delete_server
    ))
}

/// A server to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewServer {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    pub(crate) transport: TransportText,
    #[serde(default)]
    pub(crate) era: EraText,
    #[serde(default)]
    pub(crate) tasks: TasksText,
    /// Whether a legacy one may ask modern clients for their folders.
    #[serde(default)]
    pub(crate) roots: bool,
    #[serde(default)]
    pub(crate) review: ReviewText,
    /// For policies; at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    pub(crate) labels: Labels,
    /// What administrators say of its tools, by its own names for them; of at most 1000.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, ToolLabelText>)]
    pub(crate) tool_labels: ToolLabels,
}

/// What to change of a server; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    pub(crate) transport: Option<TransportText>,
    pub(crate) era: Option<EraText>,
    pub(crate) tasks: Option<TasksText>,
    pub(crate) roots: Option<bool>,
    pub(crate) review: Option<ReviewText>,
    /// For policies; at most 100.
    #[schema(value_type = Option<Vec<Label>>, max_items = 100)]
    pub(crate) labels: Option<Labels>,
    /// What administrators say of its tools, by its own names for them; of at most 1000.
    #[schema(value_type = Option<BTreeMap<String, ToolLabelText>>)]
    pub(crate) tool_labels: Option<ToolLabels>,
    pub(crate) enabled: Option<bool>,
}

/// An upstream MCP server.
#[derive(Serialize, ToSchema)]
struct ServerBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    transport: TransportText,
    era: EraText,
    tasks: TasksText,
    /// Whether a legacy one may ask modern clients for their folders.
    roots: bool,
    review: ReviewText,
    /// For policies; at most 100.
    #[schema(value_type = Vec<Label>, max_items = 100)]
    labels: Labels,
    /// What administrators say of its tools, by its own names for them; of at most 1000.
    #[schema(value_type = BTreeMap<String, ToolLabelText>)]
    tool_labels: ToolLabels,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
    /// How it is doing; absent where nobody has asked it for anything yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

impl ServerPatch {
    pub(super) fn touches_more_than_switches(&self) -> bool {
        let Self { name, transport, era, tasks, roots, review, labels, tool_labels, enabled: _ } =
            self;
        let is_more = [era.is_some(), tasks.is_some(), roots.is_some(), review.is_some()];
        let is_more = is_more.contains(&true) || labels.is_some() || tool_labels.is_some();
        is_more || name.is_some() || transport.is_some()
    }
}

impl ServerBody {
    fn of(server: Server, now: DateTime<Utc>) -> Self {
        let off = server.off.filter(|it| it.holds(now));
        Self {
            id: server.id.0,
            name: server.name,
            transport: server.transport.into(),
            era: server.era.into(),
            tasks: server.tasks.into(),
            roots: server.roots,
            review: server.review,
            labels: server.labels,
            tool_labels: server.tool_labels,
            enabled: off.is_none(),
            off,
            created_at: server.created_at,
            status: None,
        }
    }

    /// Adds what is true of the moment only.
    fn add_status(&mut self, app: &App) {
        self.status = app.status.get().and_then(|it| it.status(ServerId(self.id)));
    }
}

#[derive(Deserialize)]
struct ServerPath {
    server: Ref,
}

/// All servers, by name.
#[utoipa::path(
    get,
    path = "/servers",
    params(Paging),
    responses((status = 200, body = Page<ServerBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("servers:read somewhere"))),
    tag = "servers",
)]
async fn list_servers(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<ServerBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::ServersRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    let now = app.clock.now();
    let body = |it| {
        let mut body = ServerBody::of(it, now);
        body.add_status(&app);
        body
    };
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), body)))
}

/// Register an upstream server. Exposes it to nobody.
#[utoipa::path(
    post,
    path = "/servers",
    request_body = NewServer,
    responses((status = 201, body = ServerBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("servers:write"))),
    tag = "servers",
)]
async fn create_server(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewServer>,
) -> Result<Done<ServerBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let server = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("server", server.id.0, &server.name);
    Ok(Done::created(touched, ServerBody::of(server, app.clock.now())))
}

/// One server.
#[utoipa::path(
    get,
    path = "/servers/{server}",
    responses((status = 200, body = ServerBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("servers:read"))),
    tag = "servers",
)]
async fn show_server(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ServerPath>,
) -> Result<Shown<ServerBody>, Error> {
    let mut tx = app.db.read().await?;
    let server = super::find(&mut tx, workspace.id, &path.server).await?;
    let body = ServerBody::of(server, app.clock.now());
    Ok(Shown::live(body, |it| it.add_status(&app)))
}

/// Change a server, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/servers/{server}",
    request_body = ServerPatch,
    responses((status = 200, body = ServerBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("servers:write"))),
    tag = "servers",
)]
async fn update_server(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ServerPath>,
    if_match: IfMatch,
    Json(patch): Json<ServerPatch>,
) -> Result<Done<ServerBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let server = super::find(&mut change, workspace.id, &path.server).await?;
    let before = ServerBody::of(server.clone(), app.clock.now());
    if_match.check(&before)?;
    let server = super::update(&mut change, workspace.id, server, patch).await?;
    change.commit().await?;
    let touched = Touched::new("server", server.id.0, &server.name);
    Ok(Done::changed(touched, &before, ServerBody::of(server, app.clock.now())))
}

/// Delete a server that nothing uses.
#[utoipa::path(
    delete,
    path = "/servers/{server}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("servers:write"))),
    tag = "servers",
)]
async fn delete_server(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<ServerPath>,
    if_match: IfMatch,
) -> Result<Done<ServerBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let server = super::find(&mut change, workspace.id, &path.server).await?;
    let before = ServerBody::of(server.clone(), app.clock.now());
    if_match.check(&before)?;
    let gone = belongings::of(&mut change, Of::Server, workspace.id, server.id.0).await?;
    super::delete(&mut change, workspace.id, &server).await?;
    change.commit().await?;
    let touched = Touched::new("server", server.id.0, &server.name).taking(gone);
    Ok(Done::deleted(touched, &before))
}
