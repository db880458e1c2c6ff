//! `/users`.

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

use super::User;
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, Shown,
    Touched, nullable,
};
use crate::belongings::{self, Of};
use crate::change::Change;
use crate::labels::AttributesText;
use crate::switches::Off;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_users, create_user)).routes(routes!(
        show_user,
        update_user,
        delete_user
    ))
}

/// A person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
struct NewUserBody {
    #[schema(value_type = NameText)]
    name: Name,
    /// Where the person works, for policies: 1 to 128 characters.
    #[schema(min_length = 1, max_length = 128)]
    department: Option<String>,
    /// How much the person is cleared for, for policies: 0 where absent.
    #[schema(maximum = 1_000_000)]
    clearance: Option<u32>,
    /// Groups of the company, for policies; at most 100.
    #[serde(default)]
    #[schema(max_items = 100)]
    groups: BTreeSet<String>,
    /// From which addresses the person works, for policies, such as `10.0.0.0/8`.
    #[schema(max_length = 64)]
    network: Option<String>,
    /// How surely the person is recognised, for policies: an assurance level of NIST SP 800-63B, or 0.
    #[schema(maximum = 3)]
    assurance: Option<u8>,
}

/// A person to add, with what policies look at.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) name: Name,
    pub(crate) attributes: AttributesText,
}

/// What to change of a user; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    /// Where the person works, for policies: 1 to 128 characters; `null` for nowhere.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(min_length = 1, max_length = 128)]
    pub(crate) department: Option<Option<String>>,
    /// How much the person is cleared for, for policies.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(maximum = 1_000_000)]
    pub(crate) clearance: Option<Option<u32>>,
    /// All groups of the company, for policies; at most 100.
    #[schema(max_items = 100)]
    pub(crate) groups: Option<BTreeSet<String>>,
    /// From which addresses the person works, for policies, such as `10.0.0.0/8`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(max_length = 64)]
    pub(crate) network: Option<Option<String>>,
    /// How surely the person is recognised, for policies: an assurance level of NIST SP 800-63B, or 0.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(maximum = 3)]
    pub(crate) assurance: Option<Option<u8>>,
    pub(crate) enabled: Option<bool>,
}

/// A person.
#[derive(Serialize, ToSchema)]
struct UserBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    /// The teams that the user is in.
    #[schema(value_type = Vec<NameText>)]
    teams: Vec<Name>,
    /// Where the person works, for policies: 1 to 128 characters.
    #[schema(min_length = 1, max_length = 128)]
    department: Option<String>,
    /// How much the person is cleared for, for policies: 0 where absent.
    #[schema(maximum = 1_000_000)]
    clearance: Option<u32>,
    /// Groups of the company, for policies; at most 100.
    #[schema(max_items = 100)]
    groups: BTreeSet<String>,
    /// From which addresses the person works, for policies, such as `10.0.0.0/8`.
    #[schema(max_length = 64)]
    network: Option<String>,
    /// How surely the person is recognised, for policies: an assurance level of NIST SP 800-63B, or 0.
    #[schema(maximum = 3)]
    assurance: Option<u8>,
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl From<NewUserBody> for NewUser {
    fn from(it: NewUserBody) -> Self {
        let NewUserBody { name, department, clearance, groups, network, assurance } = it;
        let attributes = AttributesText { department, clearance, groups, network, assurance };
        Self { name, attributes }
    }
}

impl UserPatch {
    pub(super) fn touches_more_than_switches(&self) -> bool {
        let Self { name, department, clearance, groups, network, assurance, enabled: _ } = self;
        let is_more = [clearance.is_some(), assurance.is_some(), groups.is_some(), name.is_some()];
        is_more.contains(&true) || department.is_some() || network.is_some()
    }

    /// What is known of the person from now on.
    pub(super) fn attributes(&self, known: AttributesText) -> AttributesText {
        AttributesText {
            department: self.department.clone().unwrap_or(known.department),
            clearance: self.clearance.unwrap_or(known.clearance),
            groups: self.groups.clone().unwrap_or(known.groups),
            network: self.network.clone().unwrap_or(known.network),
            assurance: self.assurance.unwrap_or(known.assurance),
        }
    }
}

impl UserBody {
    fn of(user: User, now: DateTime<Utc>) -> Self {
        let off = user.off.filter(|it| it.holds(now));
        Self {
            id: user.id.0,
            name: user.name,
            teams: user.teams,
            department: user.attributes.department,
            clearance: user.attributes.clearance,
            groups: user.attributes.groups,
            network: user.attributes.network,
            assurance: user.attributes.assurance,
            enabled: off.is_none(),
            off,
            created_at: user.created_at,
        }
    }
}

#[derive(Deserialize)]
struct UserPath {
    user: Ref,
}

/// All users, by name.
#[utoipa::path(
    get,
    path = "/users",
    params(Paging),
    responses((status = 200, body = Page<UserBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:read somewhere"))),
    tag = "users",
)]
async fn list_users(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<UserBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::PeopleRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    let now = app.clock.now();
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), |it| UserBody::of(it, now))))
}

/// Add a user.
#[utoipa::path(
    post,
    path = "/users",
    request_body = NewUserBody,
    responses((status = 201, body = UserBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "users",
)]
async fn create_user(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewUserBody>,
) -> Result<Done<UserBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let user = super::create(&mut change, workspace.id, new.into()).await?;
    change.commit().await?;
    let touched = Touched::new("user", user.id.0, &user.name);
    Ok(Done::created(touched, UserBody::of(user, app.clock.now())))
}

/// One user.
#[utoipa::path(
    get,
    path = "/users/{user}",
    responses((status = 200, body = UserBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:read"))),
    tag = "users",
)]
async fn show_user(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<UserPath>,
) -> Result<Shown<UserBody>, Error> {
    let mut tx = app.db.read().await?;
    let user = super::find(&mut tx, workspace.id, &path.user).await?;
    Ok(Shown::of(UserBody::of(user, app.clock.now())))
}

/// Change a user, or turn one off or on.
#[utoipa::path(
    patch,
    path = "/users/{user}",
    request_body = UserPatch,
    responses((status = 200, body = UserBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "users",
)]
async fn update_user(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<UserPath>,
    if_match: IfMatch,
    Json(patch): Json<UserPatch>,
) -> Result<Done<UserBody>, Error> {
    let mut change =
        Change::begin_patch(&app, &workspace.rights, patch.touches_more_than_switches()).await?;
    let user = super::find(&mut change, workspace.id, &path.user).await?;
    let before = UserBody::of(user.clone(), app.clock.now());
    if_match.check(&before)?;
    let user = super::update(&mut change, workspace.id, user, patch).await?;
    change.commit().await?;
    let touched = Touched::new("user", user.id.0, &user.name);
    Ok(Done::changed(touched, &before, UserBody::of(user, app.clock.now())))
}

/// Delete a user who owns nothing.
#[utoipa::path(
    delete,
    path = "/users/{user}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "users",
)]
async fn delete_user(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<UserPath>,
    if_match: IfMatch,
) -> Result<Done<UserBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let user = super::find(&mut change, workspace.id, &path.user).await?;
    let before = UserBody::of(user.clone(), app.clock.now());
    if_match.check(&before)?;
    let gone = belongings::of(&mut change, Of::User, workspace.id, user.id.0).await?;
    super::delete(&mut change, workspace.id, &user).await?;
    change.commit().await?;
    let touched = Touched::new("user", user.id.0, &user.name).taking(gone);
    Ok(Done::deleted(touched, &before))
}
