//! `/pins`, and `/servers/{server}/pins/approve`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, DefinitionHash, Name, Object, PinKind, Scope, ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::differences::{self, Difference};
use super::{Filter, Pin, State as PinState, marks, store};
use crate::api::{
    Done, Error, HashText, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem,
    Query, Ref, RefText, Shown, Touched,
};
use crate::change::Change;
use crate::session::Caller;
use crate::{App, servers};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_pins))
        .routes(routes!(show_pin))
        .routes(routes!(approve_pin))
        .routes(routes!(reject_pin))
        .routes(routes!(approve_pins))
}

/// A definition of a tool, prompt or resource template, or of a server's own instructions, and what
/// has been decided about it.
#[derive(Serialize, ToSchema)]
struct PinBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    server: Name,
    /// `instructions`, `prompt`, `resource_template` or `tool`.
    kind: &'static str,
    /// The server's own name for it; of a template its URI template.
    name: String,
    /// SHA-256 over its canonical form: `sha256:` and hex digits.
    #[schema(value_type = HashText)]
    hash: DefinitionHash,
    state: PinState,
    /// The size of the definition; 0 where only a file has named it so far.
    bytes: i64,
    /// What in it a reader would miss: `ansi`, `bidi`, `control`, `foreign_name`, `tag`,
    /// `variation_selector`, `zero_width`.
    marks: Vec<String>,
    first_seen: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<DateTime<Utc>>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
}

/// A definition, and what is new in it.
#[derive(Serialize, ToSchema)]
struct PinDetail {
    pin: PinBody,
    /// The whole definition as JSON, with characters that are not seen as `\u{…}`; absent where
    /// it is not kept.
    definition: Option<String>,
    /// What was approved last under its name, which it is compared with.
    #[schema(value_type = Option<HashText>)]
    base: Option<DefinitionHash>,
    /// In what it differs from that; all of it, where nothing was.
    differences: Vec<Difference>,
    /// What its server has listed under its name since.
    #[schema(value_type = Option<HashText>)]
    replaced_by: Option<DefinitionHash>,
}

/// A decision about what has been looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// The hash of what has been looked at.
    #[schema(value_type = HashText)]
    hash: DefinitionHash,
    /// Whether it holds although the server has listed something else under the name since.
    #[serde(default)]
    even_if_replaced: bool,
}

/// A decision about much that has been looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decisions {
    /// Their hashes.
    #[schema(value_type = Vec<HashText>, max_items = 10_000)]
    hashes: BTreeSet<DefinitionHash>,
}

/// Each is recorded by itself.
const MOST_AT_ONCE: usize = 10_000;

/// What has been approved.
#[derive(Serialize, ToSchema)]
struct Approved {
    approved: usize,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PinFilter {
    /// Of one server, by name or id.
    #[param(value_type = Option<RefText>)]
    server: Option<Ref>,
    state: Option<PinState>,
    /// `instructions`, `prompt`, `resource_template` or `tool`.
    #[param(pattern = "^(instructions|prompt|resource_template|tool)$")]
    kind: Option<String>,
    /// The server's own name.
    #[param(max_length = 4_096)]
    name: Option<String>,
    /// How many at most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// From the page before.
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PinFilter {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        Query::from_request_parts(parts, state).await.map(|Query(it)| it)
    }
}

/// Who decides, and on which reading.
struct Decider {
    name: String,
    if_match: IfMatch,
}

impl<S: Send + Sync> FromRequestParts<S> for Decider {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        let caller = parts.extensions.get::<Caller>().ok_or(Error::Unauthenticated)?;
        Ok(Self { name: caller.name.clone(), if_match })
    }
}

#[derive(Deserialize)]
struct PinPath {
    pin: Ref,
}

#[derive(Deserialize)]
struct ServerPath {
    server: Ref,
}

impl PinBody {
    fn of(it: Pin) -> Self {
        let marks = it.marks.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Self {
            id: it.id,
            server: it.server.name,
            kind: it.key.kind.as_str(),
            name: it.name,
            hash: it.key.hash,
            state: it.state,
            bytes: it.bytes,
            marks,
            first_seen: it.first_seen,
            last_seen: Some(it.last_seen),
            decided_by: it.decided_by,
            decided_at: it.decided_at,
        }
    }
}

impl PinDetail {
    async fn read(tx: &mut Tx, workspace: WorkspaceId, pin: Pin) -> Result<Self, Error> {
        let definition = store::definition(tx, workspace, pin.id).await?;
        let base = super::base(tx, workspace, &pin).await?;
        let before = match &base {
            Some(base) => store::definition(tx, workspace, base.id).await?,
            None => None,
        };
        let differences = definition.as_deref().map(|it| differences::of(before.as_deref(), it));
        let replaced_by = super::replaced_by(tx, workspace, &pin).await?;
        // It moves all the time, and so is no part of what a decision may be bound to.
        let pin = PinBody { last_seen: None, ..PinBody::of(pin) };
        Ok(Self {
            pin,
            definition: definition.as_deref().map(marks::shown),
            base: base.map(|it| it.key.hash),
            differences: differences.unwrap_or_default(),
            replaced_by: replaced_by.map(|it| it.key.hash),
        })
    }
}

/// What servers under review have listed, in the order in which it was first seen.
#[utoipa::path(
    get,
    path = "/pins",
    params(PinFilter),
    responses((status = 200, body = Page<PinBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("pins:read somewhere"))),
    tag = "pins",
)]
async fn list_pins(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    query: PinFilter,
) -> Result<Json<Page<PinBody>>, Error> {
    let paging = Paging::of(query.limit.as_deref(), query.cursor)?;
    let kind = query.kind.as_deref().map(str::parse::<PinKind>).transpose();
    let kind = kind.map_err(|why| Error::Malformed(why.into()))?;
    let mut tx = app.db.read().await?;
    let server = match &query.server {
        Some(server) => {
            let found = servers::find(&mut tx, workspace.id, server).await?;
            let object = Object::Server(found.id);
            workspace.rights.require(Capability::PinsRead, &object, ("server", server))?;
            Some(found.id)
        }
        None => None,
    };
    let reach = workspace.rights.reach(Capability::PinsRead);
    let within: Vec<Option<ServerId>> = match server {
        Some(_) => vec![server],
        None if reach.is_whole => vec![None],
        None => {
            let of = |it: &Scope| if let Scope::Server(id) = it { Some(Some(*id)) } else { None };
            reach.scopes.iter().filter_map(of).collect()
        }
    };
    let name = query.name.as_deref();
    let mut found = Vec::new();
    for server in within {
        let filter = Filter { server, state: query.state, kind, name, ..Filter::default() };
        found.extend(super::list(&mut tx, workspace.id, &filter, &paging).await?);
    }
    found.sort_by_key(|it| it.id);
    Ok(Json(paging.answer(found, |it| it.id.to_string(), PinBody::of)))
}

/// One definition, and what is new in it.
#[utoipa::path(
    get,
    path = "/pins/{pin}",
    responses((status = 200, body = PinDetail), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("pins:read somewhere"))),
    tag = "pins",
)]
async fn show_pin(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<PinPath>,
) -> Result<Shown<PinDetail>, Error> {
    let mut tx = app.db.read().await?;
    let pin = super::find(&mut tx, workspace.id, &path.pin).await?;
    super::require(&workspace.rights, Capability::PinsRead, &pin)?;
    let last_seen = pin.last_seen;
    let detail = PinDetail::read(&mut tx, workspace.id, pin).await?;
    Ok(Shown::live(detail, |it| it.pin.last_seen = Some(last_seen)))
}

/// Let a definition be used: what has the hash, and nothing else.
#[utoipa::path(
    post,
    path = "/pins/{pin}/approve",
    request_body = Decision,
    responses((status = 200, body = PinBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("pins:write somewhere"))),
    tag = "pins",
)]
async fn approve_pin(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    decider: Decider,
    Path(path): Path<PinPath>,
    Json(decision): Json<Decision>,
) -> Result<Done<PinBody>, Error> {
    let (mut change, pin) = looked_at(&app, &workspace, &path.pin, &decider, &decision).await?;
    let replaced = super::replaced_by(&mut change, workspace.id, &pin).await?;
    if let Some(other) = replaced.filter(|_| !decision.even_if_replaced) {
        return Err(Error::Conflict(format!(
            "the server lists something else under this name now, {}; look at that, or say \
             `even_if_replaced`",
            other.key.hash
        )));
    }
    super::approve(&mut change, workspace.id, &pin, &decider.name).await?;
    decided(change, workspace.id, pin).await
}

/// Keep a definition from being used. What was approved before is no longer.
#[utoipa::path(
    post,
    path = "/pins/{pin}/reject",
    request_body = Decision,
    responses((status = 200, body = PinBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("pins:write somewhere"))),
    tag = "pins",
)]
async fn reject_pin(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    decider: Decider,
    Path(path): Path<PinPath>,
    Json(decision): Json<Decision>,
) -> Result<Done<PinBody>, Error> {
    let (mut change, pin) = looked_at(&app, &workspace, &path.pin, &decider, &decision).await?;
    super::reject(&mut change, workspace.id, &pin, &decider.name).await?;
    decided(change, workspace.id, pin).await
}

/// Let these definitions of a server be used, all of which wait for it: all of them, or none.
#[utoipa::path(
    post,
    path = "/servers/{server}/pins/approve",
    request_body = Decisions,
    responses((status = 200, body = Approved), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("pins:write"))),
    tag = "pins",
)]
async fn approve_pins(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Extension(caller): Extension<Caller>,
    Path(path): Path<ServerPath>,
    Json(Decisions { hashes }): Json<Decisions>,
) -> Result<Done<Approved>, Error> {
    if MOST_AT_ONCE < hashes.len() {
        let why = format!("decide about at most {MOST_AT_ONCE} at once");
        return Err(Error::Invalid(why));
    }
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let server = servers::find(&mut change, workspace.id, &path.server).await?;
    let mut waiting = super::pending(&mut change, workspace.id, server.id).await?;
    waiting.retain(|it| hashes.contains(&it.key.hash));
    let found: BTreeSet<DefinitionHash> = waiting.iter().map(|it| it.key.hash).collect();
    if let Some(missing) = hashes.difference(&found).next() {
        let why = format!("no definition of `{}` that waits has the hash {missing}", server.name);
        return Err(Error::Conflict(why));
    }
    // One record has no room for all of their hashes, so each has one of its own.
    for pin in &waiting {
        super::approve(&mut change, workspace.id, pin, &caller.name).await?;
        change.decides(workspace.id, format!("approve {}", pin.title()));
    }
    change.commit_decided(&caller).await?;
    let approved = waiting.len();
    let name = format!("{}: {approved} pins", server.name);
    let touched = Touched::new("server", server.id.0, name)
        .decided(waiting.iter().map(|it| (it.id, it.title(), it.key.hash.to_string())));
    Ok(Done::other(StatusCode::OK, touched, Approved { approved }))
}

/// The pin that a decision is about, if it is the one that was looked at.
async fn looked_at(
    app: &Arc<App>,
    workspace: &InWorkspace,
    pin: &Ref,
    decider: &Decider,
    decision: &Decision,
) -> Result<(Change, Pin), Error> {
    let mut change = Change::begin(app, &workspace.rights).await?;
    let pin = super::find(&mut change, workspace.id, pin).await?;
    super::require(change.rights(), Capability::PinsWrite, &pin)?;
    decider.if_match.check(&PinDetail::read(&mut change, workspace.id, pin.clone()).await?)?;
    if decision.hash != pin.key.hash {
        return Err(Error::Conflict(format!("its hash is {}, not that", pin.key.hash)));
    }
    Ok((change, pin))
}

async fn decided(
    mut change: Change,
    workspace: WorkspaceId,
    pin: Pin,
) -> Result<Done<PinBody>, Error> {
    let after = super::find(&mut change, workspace, &pin.id.into()).await?;
    change.commit().await?;
    let touched = Touched::new("pin", pin.id, pin.title());
    Ok(Done::changed(touched, &PinBody::of(pin), PinBody::of(after)))
}
