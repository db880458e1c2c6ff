//! `/identities`.

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

use super::{Identity, SecretText};
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched,
};
use crate::change::Change;
use crate::switches::Off;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_identities, create_identity)).routes(routes!(
        show_identity,
        update_identity,
        delete_identity
    ))
}

/// A credential to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIdentity {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// The server that it is for, by name or id.
    #[schema(value_type = RefText)]
    pub(crate) server: Ref,
    /// Whose it is; absent for one that is shared.
    #[schema(value_type = Option<RefText>)]
    pub(crate) owner: Option<Ref>,
    /// Header names and values, such as `Authorization` and `Bearer …`. Never shown again.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) headers: BTreeMap<String, SecretText>,
}

/// What to change of an identity; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    /// All of them: those that stood before are forgotten.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(crate) headers: Option<BTreeMap<String, SecretText>>,
    pub(crate) enabled: Option<bool>,
}

/// A credential for one server, without its values.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = NameText)]
    server: Name,
    /// Whose it is; absent for one that is shared.
    #[schema(value_type = Option<NameText>)]
    owner: Option<Name>,
    /// The names of the headers that it sets.
    headers: Vec<String>,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl IdentityPatch {
    pub(super) fn touches_more_than_switches(&self) -> bool {
        self.name.is_some() || self.headers.is_some()
    }
}

impl IdentityBody {
    pub(crate) fn of(identity: Identity, now: DateTime<Utc>) -> Self {
        let off = identity.off.filter(|it| it.holds(now));
        Self {
            id: identity.id.0,
            name: identity.name,
            server: identity.server.name,
            owner: identity.owner.map(|it| it.name),
            headers: identity.headers,
            enabled: off.is_none(),
            off,
            created_at: identity.created_at,
        }
    }
}

#[derive(Deserialize)]
struct IdentityPath {
    identity: Ref,
}

/// All identities, by name, without their values.
#[utoipa::path(
    get,
    path = "/identities",
    params(Paging),
    responses((status = 200, body = Page<IdentityBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("identities:read somewhere"))),
    tag = "identities",
)]
async fn list_identities(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<IdentityBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::IdentitiesRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    let now = app.clock.now();
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), |it| IdentityBody::of(it, now))))
}

/// Keep a credential for a server.
#[utoipa::path(
    post,
    path = "/identities",
    request_body = NewIdentity,
    responses((status = 201, body = IdentityBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("identities:write somewhere"))),
    tag = "identities",
)]
async fn create_identity(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewIdentity>,
) -> Result<Done<IdentityBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let identity = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let sealed = sealed(&identity.headers);
    let touched = Touched::new("identity", identity.id.0, &identity.name).sealing(sealed);
    Ok(Done::created(touched, IdentityBody::of(identity, app.clock.now())))
}

/// One identity, without its values.
#[utoipa::path(
    get,
    path = "/identities/{identity}",
    responses((status = 200, body = IdentityBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("identities:read"))),
    tag = "identities",
)]
async fn show_identity(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<IdentityPath>,
) -> Result<Shown<IdentityBody>, Error> {
    let mut tx = app.db.read().await?;
    let identity = super::find(&mut tx, workspace.id, &path.identity).await?;
    Ok(Shown::of(IdentityBody::of(identity, app.clock.now())))
}

/// Change an identity, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/identities/{identity}",
    request_body = IdentityPatch,
    responses((status = 200, body = IdentityBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("identities:write"))),
    tag = "identities",
)]
async fn update_identity(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<IdentityPath>,
    if_match: IfMatch,
    Json(patch): Json<IdentityPatch>,
) -> Result<Done<IdentityBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let identity = super::find(&mut change, workspace.id, &path.identity).await?;
    let before = IdentityBody::of(identity.clone(), app.clock.now());
    if_match.check(&before)?;
    let sets_headers = patch.headers.is_some();
    let identity = super::update(&mut change, workspace.id, identity, patch).await?;
    change.commit().await?;
    let sealed = if sets_headers { sealed(&identity.headers) } else { Vec::new() };
    let touched = Touched::new("identity", identity.id.0, &identity.name).sealing(sealed);
    Ok(Done::changed(touched, &before, IdentityBody::of(identity, app.clock.now())))
}

/// Delete an identity that nothing uses.
#[utoipa::path(
    delete,
    path = "/identities/{identity}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("identities:write"))),
    tag = "identities",
)]
async fn delete_identity(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<IdentityPath>,
    if_match: IfMatch,
) -> Result<Done<IdentityBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let identity = super::find(&mut change, workspace.id, &path.identity).await?;
    let before = IdentityBody::of(identity.clone(), app.clock.now());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, &identity).await?;
    change.commit().await?;
    let touched = Touched::new("identity", identity.id.0, &identity.name);
    Ok(Done::deleted(touched, &before))
}

/// The members of a record that tell of values.
fn sealed(headers: &[String]) -> Vec<String> {
    headers.iter().map(|it| format!("headers.{it}")).collect()
}
