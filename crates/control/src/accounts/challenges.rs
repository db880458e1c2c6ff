//! What browsers have been asked, until they answer: for five minutes, and once.
//!
//! A challenge is a row, so that any replica takes the answer. The browser that was asked, and no other, has
//! a cookie that names it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use passkeys::{Begun, Site};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use crate::App;
use crate::api::{Error, Json};
use crate::secret;
use crate::session;

/// What was asked.
pub(super) struct Challenge {
    /// Whose new passkey was asked for; absent where any was asked to prove its account.
    pub(super) account: Option<Uuid>,
    pub(super) state: String,
}

/// What a browser is to ask of its passkeys.
#[derive(Serialize, ToSchema)]
pub(super) struct ChallengeBody {
    /// As `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` reads it.
    #[schema(value_type = Object)]
    options: serde_json::Value,
}

const LIFE: Duration = Duration::from_secs(5 * 60);

const PREFIX: &str = "ostq_";

/// The pages from which the request comes, as passkeys know them.
pub(super) fn site(app: &App, headers: &HeaderMap) -> Result<Site, Error> {
    let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
    let origin = origin.ok_or_else(|| {
        Error::Malformed("the header `Origin` must say which page this comes from".into())
    })?;
    if app.is_secure && !origin.starts_with("https://") {
        return Err(Error::Invalid("passkeys are good over HTTPS only".into()));
    }
    Site::new(origin).map_err(|error| Error::Invalid(error.to_string()))
}

/// Asks the browser, and gives it the cookie with which it may answer.
pub(super) async fn ask(app: &App, begun: Begun, account: Option<Uuid>) -> Result<Response, Error> {
    let value = secret::fresh(PREFIX);
    let stamp = app.clock.stamp();
    let mut tx = app.db.begin().await?;
    store::delete_expired_challenges(&mut tx, stamp.at).await?;
    let challenge = Challenge { account, state: begun.state };
    let hash = secret::sha256(value.expose());
    store::insert_challenge(&mut tx, (&hash, stamp.at + LIFE), &challenge).await?;
    tx.commit().await?;
    let cookie = cookie(app, value.expose_text().unwrap_or_default(), LIFE.as_secs())?;
    let body = Json(ChallengeBody { options: begun.options });
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], body).into_response())
}

/// What this browser was asked. Nobody is told it twice, whatever becomes of the answer.
pub(super) async fn take(app: &App, headers: &HeaderMap) -> Result<Challenge, Error> {
    let gone = || Error::Invalid("this took too long, or was answered already; try again".into());
    let value = session::find_cookie(headers, name(app)).ok_or_else(gone)?;
    let hash = secret::sha256(value.as_bytes());
    let mut tx = app.db.begin().await?;
    let found = store::take_challenge(&mut tx, &hash, app.clock.now()).await?;
    tx.commit().await?;
    found.ok_or_else(gone)
}

fn cookie(app: &App, value: &str, seconds: u64) -> Result<HeaderValue, Error> {
    session::cookie(app, name(app), (value, seconds))
}

fn name(app: &App) -> &'static str {
    if app.is_secure { "__Host-ostiary-challenge" } else { "ostiary-challenge" }
}
