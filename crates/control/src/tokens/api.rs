//! `/apps/{app}/tokens`.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Token;
use crate::App;
use crate::api::{
    Done, Error, IfMatch, InWorkspace, Json, NameText, Page, Paging, Path, Problem, Ref, Shown,
    Touched, Which,
};
use crate::apps;
use crate::change::Change;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(show_token, delete_token))
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    #[schema(value_type = NameText)]
    pub(crate) name: Name,
    /// 90 days where absent.
    #[schema(minimum = 60, maximum = 31_622_400)]
    pub(crate) lifetime_seconds: Option<u64>,
}

/// A secret that an app presents, without the secret.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct TokenBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// A new token, with its secret for the only time.
#[derive(Serialize, ToSchema)]
struct CreatedToken {
    secret: String,
    token: TokenBody,
}

impl TokenBody {
    pub(crate) fn of(token: Token) -> Self {
        let Token { id, name, expires_at, created_at, .. } = token;
        Self { id: id.0, name, expires_at, created_at }
    }
}

#[derive(Deserialize)]
struct TokenPath {
    app: Ref,
    token: Ref,
}

#[derive(Deserialize)]
struct TokensPath {
    app: Ref,
}

/// The tokens of an app, by name.
#[utoipa::path(
    get,
    path = "/apps/{app}/tokens",
    params(Paging),
    responses((status = 200, body = Page<TokenBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read"))),
    tag = "tokens",
)]
async fn list_tokens(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokensPath>,
    paging: Paging,
) -> Result<Json<Page<TokenBody>>, Error> {
    let mut tx = app.db.read().await?;
    let owner = apps::find(&mut tx, workspace.id, &path.app).await?;
    let found = super::list(&mut tx, workspace.id, owner.id, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.to_string(), TokenBody::of)))
}

/// One token.
#[utoipa::path(
    get,
    path = "/apps/{app}/tokens/{token}",
    responses((status = 200, body = TokenBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:read"))),
    tag = "tokens",
)]
async fn show_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokenPath>,
) -> Result<Shown<TokenBody>, Error> {
    let mut tx = app.db.read().await?;
    let owner = apps::find(&mut tx, workspace.id, &path.app).await?;
    let token = super::find(&mut tx, workspace.id, owner.id, &path.token).await?;
    Ok(Shown::of(TokenBody::of(token)))
}

/// Revoke a token.
#[utoipa::path(
    delete,
    path = "/apps/{app}/tokens/{token}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "tokens",
)]
async fn delete_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokenPath>,
    if_match: IfMatch,
) -> Result<Done<TokenBody>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let owner = apps::find(&mut change, workspace.id, &path.app).await?;
    let token = super::find(&mut change, workspace.id, owner.id, &path.token).await?;
    let before = TokenBody::of(token.clone());
    if_match.check(&before)?;
    super::delete(&mut change, workspace.id, (&owner, &token)).await?;
    change.commit().await?;
    let touched = Touched::new("token", token.id.0, format!("{}/{}", owner.name, token.name));
    Ok(Done::deleted(touched, &before))
}

/// Make a token for an app. The answer shows its secret for the only time.
#[utoipa::path(
    post,
    path = "/apps/{app}/tokens",
    request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("apps:write"))),
    tag = "tokens",
)]
async fn create_token(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    Path(path): Path<TokensPath>,
    Json(new): Json<NewToken>,
) -> Result<Done<CreatedToken>, Error> {
    let mut change = Change::begin(&app, &workspace.rights).await?;
    let owner = apps::find(&mut change, workspace.id, &path.app).await?;
    let (token, secret) = super::create(&mut change, workspace.id, &owner, new).await?;
    change.commit().await?;
    let touched = Touched::new("token", token.id.0, format!("{}/{}", owner.name, token.name));
    let secret = secret.expose_text().unwrap_or_default().to_owned();
    let shown = TokenBody::of(token);
    let body = CreatedToken { secret, token: shown.clone() };
    Ok(Done::minted(touched, &shown, body))
}
