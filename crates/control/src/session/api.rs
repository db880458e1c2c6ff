//! `/session`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::store::{self, AdminToken};
use super::{Caller, Device, Opening, SESSION_LIFE, begin, cookie_name, end, find_admin, own};
use crate::App;
use crate::api::{
    ClientAddress, Done, Error, IfMatch, Json, Page, Paging, Path, Problem, Ref, RequestId, Rights,
    Touched, Which,
};
use crate::change::Change;
use crate::identities::SecretText;
use crate::trail::{self, End, What};

pub(crate) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

pub(crate) fn private_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show_session, sign_out))
        .routes(routes!(list_admin_tokens))
        .routes(routes!(delete_admin_token))
        .merge(own::routes())
}

/// A token to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[schema(value_type = String)]
    token: SecretText,
}

/// What an administrator signs in with, without the secret.
#[derive(Serialize, ToSchema)]
struct AdminTokenBody {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct AdminTokenPath {
    admin_token: Ref,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionBody {
    /// The name of the admin token, or of the account.
    name: String,
    /// Absent where the token itself was sent.
    expires_at: Option<DateTime<Utc>>,
    /// Whose token or account it is, and where that user is; absent above all workspaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<SessionUser>,
    /// The account that was signed in to; absent where a token was sent or traded.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<SessionAccount>,
}

/// An account that is signed in to.
#[derive(Serialize, ToSchema)]
struct SessionAccount {
    id: Uuid,
}

/// A user who is signed in.
#[derive(Serialize, ToSchema)]
struct SessionUser {
    #[schema(value_type = String)]
    workspace: Name,
    #[schema(value_type = String)]
    name: Name,
    /// Whether any role is granted to them, for the workspace or for a thing in it.
    administers: bool,
}

impl SessionBody {
    fn of(caller: Caller, rights: &Rights, expires_at: Option<DateTime<Utc>>) -> Self {
        let user = rights.person();
        let administers = rights.administers();
        let user = user.map(|(workspace, name)| SessionUser { workspace, name, administers });
        let account = caller.is_account.then_some(SessionAccount { id: caller.id });
        Self { name: caller.name, expires_at, user, account }
    }
}

/// Sign in with an admin token. The answer sets the cookie that the console works with.
#[utoipa::path(
    post,
    path = "/session",
    request_body = SignIn,
    responses((status = 201, body = SessionBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Json(given): Json<SignIn>,
) -> Result<Response, Error> {
    let caller = {
        let mut tx = app.db.read().await?;
        find_admin(&mut tx, given.token.expose(), app.clock.now()).await
    };
    let mut caller = caller.inspect_err(|_| tracing::warn!("Someone failed to sign in"))?;
    caller.address = address.map(|it| it.0.0);
    let rights = Rights::of(&app, &caller).await?;
    let opening = Opening { device: Device::of(&headers, caller.address), proof: None };
    let what = What::words("POST /session");
    sign_in_as(&app, (caller, rights, opening), (id, what), async { Ok(None) }).await
}

/// Begins a session for whoever has proven who they are, once what they do with that is done.
pub(crate) async fn sign_in_as(
    app: &Arc<App>,
    (caller, rights, opening): (Caller, Rights, Opening),
    (id, what): (Uuid, What),
    deed: impl Future<Output = Result<Option<Touched>, Error>>,
) -> Result<Response, Error> {
    // What anyone may send is recorded only once it is known to come from an administrator, or
    // the log could be filled from outside.
    let log = caller.workspace().unwrap_or(trail::INSTALLATION);
    let record = trail::open(app, &caller, (id, what), vec![log]).await?;
    let mut touched = None;
    let begun = async {
        touched = deed.await?;
        begin(app, &caller, &opening).await
    };
    let begun = begun.await;
    let end = begun.as_ref().map_or_else(End::failed, |_| End::with(StatusCode::CREATED));
    record.close(app, End { touched, ..end }).await;
    let (value, expires_at) = begun?;
    let body = SessionBody::of(caller, &rights, Some(expires_at));
    let lives = (value.expose_text().unwrap_or_default(), SESSION_LIFE.as_secs());
    let cookie = cookie(app, cookie_name(app.is_secure), lives)?;
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

/// Who is signed in.
#[utoipa::path(
    get,
    path = "/session",
    responses((status = 200, body = SessionBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn show_session(Extension(caller): Extension<Caller>, rights: Rights) -> Json<SessionBody> {
    let expires_at = caller.session.as_ref().map(|it| it.expires_at);
    Json(SessionBody::of(caller, &rights, expires_at))
}

/// Sign out.
#[utoipa::path(
    delete,
    path = "/session",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
) -> Result<Response, Error> {
    end(&app, &caller, &rights).await?;
    let cookie = cookie(&app, cookie_name(app.is_secure), ("", 0))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// The admin tokens of the installation, by name.
#[utoipa::path(
    get,
    path = "/admin-tokens",
    params(Paging),
    responses((status = 200, body = Page<AdminTokenBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:read"))),
    tag = "session",
)]
async fn list_admin_tokens(
    State(app): State<Arc<App>>,
    paging: Paging,
) -> Result<Json<Page<AdminTokenBody>>, Error> {
    let mut tx = app.db.read().await?;
    let found = store::select_admins(&mut tx, Which::Page(&paging)).await?;
    Ok(Json(paging.answer(found, |it| it.name.clone(), AdminTokenBody::of)))
}

/// Revoke an admin token, and end the sessions that were begun with it. The last one stays.
#[utoipa::path(
    delete,
    path = "/admin-tokens/{admin_token}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("admin-tokens:write"))),
    tag = "session",
)]
async fn delete_admin_token(
    State(app): State<Arc<App>>,
    rights: Rights,
    Path(path): Path<AdminTokenPath>,
    if_match: IfMatch,
) -> Result<Done<AdminTokenBody>, Error> {
    // A change, so that whoever follows the records with it is told.
    let mut tx = Change::begin_switch(&app, &rights).await?;
    let token = super::find_admin_token(&mut tx, &path.admin_token).await?;
    let before = AdminTokenBody::of(token);
    if_match.check(&before)?;
    super::revoke_admin(&mut tx, &before.name, before.id).await?;
    tx.commit().await?;
    Ok(Done::deleted(Touched::new("admin_token", before.id, &before.name), &before))
}

impl AdminTokenBody {
    fn of(token: AdminToken) -> Self {
        let AdminToken { id, name, created_at } = token;
        Self { id, name, created_at }
    }
}

/// A cookie that no script can read and that lives for so many seconds.
pub(crate) fn cookie(
    app: &App,
    name: &str,
    (value, seconds): (&str, u64),
) -> Result<HeaderValue, Error> {
    let secure = if app.is_secure { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::try_from(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
