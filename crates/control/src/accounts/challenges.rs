//! What browsers have been asked, until they answer: for five minutes, and once.
//!
//! A challenge is a row, so that any replica takes the answer. The browser that was asked, and no other, has
//! a cookie that names it. Anybody may ask, and each question and each answer is a write: those of strangers
//! are done one at a time, so that a cut-off waits for one of them at most.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use passkeys::{Begun, Site};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;
use uuid::Uuid;

use super::password::For;
use super::store;
use crate::App;
use crate::api::{Error, Json};
use crate::secret;
use crate::session;

/// Whose turn it is among strangers.
pub(crate) struct Turns(Semaphore);

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

/// Whoever waits for longer is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Turns {
    /// Waits for it. Whoever has shown that they are somebody need not.
    pub(super) async fn wait(&self, whose: For) -> Result<Option<SemaphorePermit<'_>>, Error> {
        match whose {
            For::Known => Ok(None),
            For::Strangers => {
                let turn = tokio::time::timeout(LONGEST_WAIT, self.0.acquire()).await;
                let turn = turn.map_err(|_| Error::Busy)?;
                turn.map(Some).map_err(Error::internal)
            }
        }
    }
}

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
    // Only strangers are asked for any.
    let whose = account.map_or(For::Strangers, |_| For::Known);
    let turn = app.turns.wait(whose).await?;
    let value = secret::fresh(PREFIX);
    let stamp = app.clock.stamp();
    let mut tx = app.db.begin().await?;
    store::delete_expired_challenges(&mut tx, stamp.at).await?;
    let challenge = Challenge { account, state: begun.state };
    let hash = secret::sha256(value.expose());
    store::insert_challenge(&mut tx, (&hash, stamp.at + LIFE), &challenge).await?;
    tx.commit().await?;
    drop(turn);
    let cookie = cookie(app, value.expose_text().unwrap_or_default(), LIFE.as_secs())?;
    let body = Json(ChallengeBody { options: begun.options });
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], body).into_response())
}

/// What this browser was asked. Nobody is told it twice, whatever becomes of the answer.
pub(super) async fn take(app: &App, headers: &HeaderMap, whose: For) -> Result<Challenge, Error> {
    let gone = || Error::Invalid("this took too long, or was answered already; try again".into());
    let value = session::find_cookie(headers, name(app));
    let value = value.filter(|it| secret::is_of(PREFIX, it)).ok_or_else(gone)?;
    let hash = secret::sha256(value.as_bytes());
    let turn = app.turns.wait(whose).await?;
    let mut tx = app.db.begin().await?;
    let found = store::take_challenge(&mut tx, &hash, app.clock.now()).await?;
    tx.commit().await?;
    drop(turn);
    found.ok_or_else(gone)
}

fn cookie(app: &App, value: &str, seconds: u64) -> Result<HeaderValue, Error> {
    session::cookie(app, name(app), (value, seconds))
}

fn name(app: &App) -> &'static str {
    if app.is_secure { "__Host-ostiary-challenge" } else { "ostiary-challenge" }
}
