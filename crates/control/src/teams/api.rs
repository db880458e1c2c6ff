//! `/teams`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Team;
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, RefText,
    Shown, Touched,
};
use crate::belongings::{self, Of};
use crate::change::Change;
use crate::users;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_teams, create_team))
        .routes(routes!(show_team, update_team, delete_team))
        .routes(routes!(add_member, remove_member))
}

/// A team to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTeam {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// Users, by name or id.
    #[serde(default)]
    #[schema(value_type = Vec<RefText>)]
    pub(crate) members: Vec<Ref>,
}

/// What to change of a team; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamPatch {
    #[schema(value_type = Option<NameText>)]
    pub(crate) name: Option<Name>,
    /// All of them: who is not listed is a member no more.
    #[schema(value_type = Option<Vec<RefText>>)]
    pub(crate) members: Option<Vec<Ref>>,
}

/// A group of people.
#[derive(Serialize, ToSchema)]
struct TeamBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = Vec<NameText>)]
    members: Vec<Name>,
    created_at: DateTime<Utc>,
}

impl TeamBody {
    fn of(team: Team) -> Self {
        let Team { id, name, members, created_at } = team;
        Self { id: id.0, name, members, created_at }
    }
}

#[derive(Deserialize)]
struct TeamPath {
    team: Ref,
}

/// All teams, by name.
#[utoipa::path(
    get,
    path = "/teams",
    params(Paging),
    responses((status = 200, body = Page<TeamBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:read somewhere"))),
    tag = "teams",
)]
async fn list_teams(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    paging: Paging,
) -> Result<Json<Page<TeamBody>>, Error> {
    let mut tx = app.db.read().await?;
    let reach = workspace.rights.reach(Capability::PeopleRead);
    let mut found = Vec::new();
    for which in paging.within(&reach) {
        found.extend(super::list(&mut tx, workspace.id, which).await?);
    }
    Ok(Json(paging.answer_within(found, |it| it.name.to_string(), TeamBody::of)))
}

/// Make a team.
#[utoipa::path(
    post,
    path = "/teams",
    request_body = NewTeam,
    responses((status = 201, body = TeamBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write")), ("x-step-up" = json!(true))),
    tag = "teams",
)]
async fn create_team(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Json(new): Json<NewTeam>,
) -> Result<Done<TeamBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let team = super::create(&mut change, workspace.id, new).await?;
    change.commit().await?;
    let touched = Touched::new("team", team.id.0, &team.name);
    Ok(Done::created(touched, TeamBody::of(team)))
}

/// One team.
#[utoipa::path(
    get,
    path = "/teams/{team}",
    responses((status = 200, body = TeamBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:read"))),
    tag = "teams",
)]
async fn show_team(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TeamPath>,
) -> Result<Shown<TeamBody>, Error> {
    let mut tx = app.db.read().await?;
    let team = super::find(&mut tx, workspace.id, &path.team).await?;
    Ok(Shown::of(TeamBody::of(team)))
}

/// Change a team.
#[utoipa::path(
    patch,
    path = "/teams/{team}",
    request_body = TeamPatch,
    responses((status = 200, body = TeamBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write")), ("x-step-up" = json!(true))),
    tag = "teams",
)]
async fn update_team(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TeamPath>,
    if_match: IfMatch,
    Json(patch): Json<TeamPatch>,
) -> Result<Done<TeamBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let team = super::find(&mut change, workspace.id, &path.team).await?;
    let before = TeamBody::of(team.clone());
    if_match.check(&before)?;
    let team = super::update(&mut change, workspace.id, team, patch).await?;
    change.commit().await?;
    let touched = Touched::new("team", team.id.0, &team.name);
    Ok(Done::changed(touched, &before, TeamBody::of(team)))
}

/// Delete a team that no gateway grants.
#[utoipa::path(
    delete,
    path = "/teams/{team}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "teams",
)]
async fn delete_team(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TeamPath>,
    if_match: IfMatch,
) -> Result<Done<TeamBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let team = super::find(&mut change, workspace.id, &path.team).await?;
    let before = TeamBody::of(team.clone());
    if_match.check(&before)?;
    let gone = belongings::of(&mut change, Of::Team, workspace.id, team.id.0).await?;
    super::delete(&mut change, workspace.id, &team).await?;
    change.commit().await?;
    let touched = Touched::new("team", team.id.0, &team.name).taking(gone);
    Ok(Done::deleted(touched, &before))
}

#[derive(Deserialize)]
struct MemberPath {
    team: Ref,
    user: Ref,
}

/// Put a user into a team.
#[utoipa::path(
    put,
    path = "/teams/{team}/members/{user}",
    responses((status = 200, body = TeamBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write")), ("x-step-up" = json!(true))),
    tag = "teams",
)]
async fn add_member(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<MemberPath>,
    if_match: IfMatch,
) -> Result<Done<TeamBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let team = super::find(&mut change, workspace.id, &path.team).await?;
    let before = TeamBody::of(team.clone());
    if_match.check(&before)?;
    let user = users::find(&mut change, workspace.id, &path.user).await?;
    super::add_member(&mut change, workspace.id, &team, user.id).await?;
    let after = super::find(&mut change, workspace.id, &path.team).await?;
    change.commit().await?;
    let touched = Touched::new("team", team.id.0, &team.name);
    Ok(Done::changed(touched, &before, TeamBody::of(after)))
}

/// Take a user out of a team. What that no longer entitles to ends at once.
#[utoipa::path(
    delete,
    path = "/teams/{team}/members/{user}",
    responses((status = 200, body = TeamBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("people:write"))),
    tag = "teams",
)]
async fn remove_member(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<MemberPath>,
    if_match: IfMatch,
) -> Result<Done<TeamBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let team = super::find(&mut change, workspace.id, &path.team).await?;
    let before = TeamBody::of(team.clone());
    if_match.check(&before)?;
    let user = users::find(&mut change, workspace.id, &path.user).await?;
    super::remove_member(&mut change, workspace.id, &team, user.id).await?;
    let after = super::find(&mut change, workspace.id, &path.team).await?;
    change.commit().await?;
    let touched = Touched::new("team", team.id.0, &team.name);
    Ok(Done::changed(touched, &before, TeamBody::of(after)))
}
