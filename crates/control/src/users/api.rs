//! `/users`.

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
    Touched,
};
use crate::change::Change;
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
pub(crate) struct NewUser {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
}

/// What to change of a user; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    #[schema(value_type = Option<NameText>)]
    pub(super) name: Option<Name>,
    pub(super) enabled: Option<bool>,
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
    /// Whether it may be used now.
    enabled: bool,
    /// Since when, until when and why it is off.
    off: Option<Off>,
    created_at: DateTime<Utc>,
}

impl UserPatch {
    fn touches_more_than_switches(&self) -> bool {
        self.name.is_some()
    }
}

impl UserBody {
    fn of(user: User, now: DateTime<Utc>) -> Self {
        let off = user.off.filter(|it| it.holds(now));
        Self {
            id: user.id.0,
            name: user.name,
            teams: user.teams,
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
    request_body = NewUser,
    responses((status = 201, body = UserBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "users",
)]
async fn create_user(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewUser>,
) -> Result<Done<UserBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let user = super::create(&mut change, workspace.id, new).await?;
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
    super::delete(&mut change, workspace.id, &user).await?;
    change.commit().await?;
    let touched = Touched::new("user", user.id.0, &user.name);
    Ok(Done::deleted(touched, &before))
}
