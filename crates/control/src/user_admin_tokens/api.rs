//! `/users/{user}/admin-tokens`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{Capability, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::UserAdminToken;
use crate::api::{
    CapabilityText, Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem,
    Ref, Shown, Touched, Which,
};
use crate::change::Change;
use crate::session::Caller;
use crate::{App, users};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_user_admin_tokens, create_user_admin_token))
        .routes(routes!(show_user_admin_token, delete_user_admin_token))
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUserAdminToken {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// 90 days where absent.
    #[schema(minimum = 60, maximum = 31_622_400)]
    pub(crate) lifetime_seconds: Option<u64>,
    /// What it is good for, if for less than its user.
    #[schema(value_type = Option<Vec<CapabilityText>>)]
    pub(crate) capabilities: Option<BTreeSet<Capability>>,
}

/// A token with which a user administers, without its secret.
#[derive(Clone, Serialize, ToSchema)]
struct UserAdminTokenBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    /// What it is good for; `null` for everything that its user may do.
    #[schema(value_type = Option<Vec<CapabilityText>>)]
    capabilities: Option<BTreeSet<Capability>>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// A new token, with its secret for the only time.
#[derive(Serialize, ToSchema)]
struct CreatedUserAdminToken {
    secret: String,
    token: UserAdminTokenBody,
}

impl UserAdminTokenBody {
    fn of(token: UserAdminToken) -> Self {
        let UserAdminToken { id, name, capabilities, expires_at, created_at, .. } = token;
        Self { id: id.0, name, capabilities, expires_at, created_at }
    }
}

#[derive(Deserialize)]
struct TokenPath {
    user: Ref,
    user_token: Ref,
}

#[derive(Deserialize)]
struct TokensPath {
    user: Ref,
}

/// The admin tokens of a user, by name.
#[utoipa::path(
    get,
    path = "/users/{user}/admin-tokens",
    params(Paging),
    responses((status = 200, body = Page<UserAdminTokenBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:read"))),
    tag = "user-admin-tokens",
)]
async fn list_user_admin_tokens(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokensPath>,
    paging: Paging,
) -> Result<Json<Page<UserAdminTokenBody>>, Error> {
    let mut tx = app.db.read().await?;
    let user = users::find(&mut tx, workspace.id, &path.user).await?;
    let found = super::list(&mut tx, workspace.id, user.id, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), UserAdminTokenBody::of)))
}

/// One admin token of a user.
#[utoipa::path(
    get,
    path = "/users/{user}/admin-tokens/{user_token}",
    responses((status = 200, body = UserAdminTokenBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:read"))),
    tag = "user-admin-tokens",
)]
async fn show_user_admin_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokenPath>,
) -> Result<Shown<UserAdminTokenBody>, Error> {
    let mut tx = app.db.read().await?;
    let user = users::find(&mut tx, workspace.id, &path.user).await?;
    let token = super::find(&mut tx, workspace.id, user.id, &path.user_token).await?;
    Ok(Shown::of(UserAdminTokenBody::of(token)))
}

/// Revoke an admin token. Its sessions end at once.
#[utoipa::path(
    delete,
    path = "/users/{user}/admin-tokens/{user_token}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:write"))),
    tag = "user-admin-tokens",
)]
async fn delete_user_admin_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokenPath>,
    if_match: IfMatch,
) -> Result<Done<UserAdminTokenBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let user = users::find(&mut change, workspace.id, &path.user).await?;
    let token = super::find(&mut change, workspace.id, user.id, &path.user_token).await?;
    let before = UserAdminTokenBody::of(token.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, (&user, &token)).await?;
    change.commit().await?;
    let name = format!("{}/{}", user.name, token.name);
    Ok(Done::deleted(Touched::new("user_admin_token", token.id.0, name), &before))
}

/// Make an admin token for a user. The answer shows its secret for the only time.
#[utoipa::path(
    post,
    path = "/users/{user}/admin-tokens",
    request_body = NewUserAdminToken,
    responses((status = 201, body = CreatedUserAdminToken), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:write")), ("x-step-up" = json!(true))),
    tag = "user-admin-tokens",
)]
async fn create_user_admin_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokensPath>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewUserAdminToken>,
) -> Result<Done<CreatedUserAdminToken>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let user = users::find(&mut change, workspace.id, &path.user).await?;
    let whose = (&user, &caller);
    let (token, secret) = super::create(&mut change, workspace.id, whose, new).await?;
    change.commit().await?;
    let name = format!("{}/{}", user.name, token.name);
    let touched = Touched::new("user_admin_token", token.id.0, name);
    let secret = secret.expose_text().unwrap_or_default().to_owned();
    let shown = UserAdminTokenBody::of(token);
    let body = CreatedUserAdminToken { secret, token: shown.clone() };
    Ok(Done::minted(touched, &shown, body))
}
