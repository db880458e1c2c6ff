//! `/session`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Caller, SESSION_LIFE, begin, cookie_name, end, find_admin, is_cross_site};
use crate::App;
use crate::api::{Error, Json, Problem};
use crate::identities::SecretText;
use crate::trail;

pub(crate) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

pub(crate) fn private_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_session, sign_out))
}

/// A token to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[schema(value_type = String)]
    token: SecretText,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct SessionBody {
    /// The name of the admin token.
    name: String,
    /// Absent where the token itself was sent.
    expires_at: Option<DateTime<Utc>>,
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
    headers: HeaderMap,
    Json(given): Json<SignIn>,
) -> Result<Response, Error> {
    if is_cross_site(&headers) {
        return Err(Error::CrossSite);
    }
    let caller = {
        let mut tx = app.db.read().await?;
        find_admin(&mut tx, given.token.expose()).await
    };
    let caller = caller.inspect_err(|_| tracing::warn!("Someone failed to sign in"))?;
    // What anyone may send is recorded only once it is known to come from an administrator, or
    // the log could be filled from outside.
    let record = trail::open(&app, &caller, "POST /session", None).await?;
    let begun = begin(&app, &caller).await;
    let status = begun.as_ref().map_or_else(Error::status, |_| StatusCode::CREATED);
    record.close(&app, status, None);
    let (value, expires_at) = begun?;
    let body = SessionBody { name: caller.name, expires_at: Some(expires_at) };
    let cookie = cookie(&app, value.expose_text().unwrap_or_default(), SESSION_LIFE.as_secs())?;
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

/// Who is signed in.
#[utoipa::path(
    get,
    path = "/session",
    responses((status = 200, body = SessionBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn show_session(Extension(caller): Extension<Caller>) -> Json<SessionBody> {
    let expires_at = caller.session.map(|it| it.expires_at);
    Json(SessionBody { name: caller.name, expires_at })
}

/// Sign out.
#[utoipa::path(
    delete,
    path = "/session",
    responses((status = 204), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Error> {
    end(&app, &caller).await?;
    let cookie = cookie(&app, "", 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn cookie(app: &App, value: &str, seconds: u64) -> Result<HeaderValue, Error> {
    let name = cookie_name(app.is_secure);
    let secure = if app.is_secure { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::try_from(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
