//! `/session/challenge`, `/session/passkey`, `/session/passkeys` and `/session/step-up`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::challenges::{self, ChallengeBody};
use super::passkeys::{self, OwnPasskey};
use super::password::For;
use super::{Account, Proof, check_changes, check_whole, has_none, own, own_id, own_or_new, store};
use crate::App;
use crate::api::{
    ClientAddress, Done, Error, Json, NameText, Path, Problem, Ref, RequestId, Rights, Touched,
};
use crate::change::Change;
use crate::identities::SecretText;
use crate::session::{self, Caller, Device};

pub(super) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(ask_for_passkey)).routes(routes!(sign_in_with_passkey))
}

pub(super) fn private_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(step_up))
        .routes(routes!(ask_for_new_passkey))
        .routes(routes!(add_own_passkey))
        .routes(routes!(delete_own_passkey))
}

/// The answer of a passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyProof {
    /// The `PublicKeyCredential` as its `toJSON` gives it.
    #[schema(value_type = Object)]
    pub(super) credential: Value,
}

/// One proof, of whoever is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepUp {
    /// Of the account.
    #[schema(value_type = Option<String>)]
    password: Option<SecretText>,
    /// With which the session was begun.
    #[schema(value_type = Option<String>)]
    token: Option<SecretText>,
    /// The `PublicKeyCredential` as its `toJSON` gives it.
    #[schema(value_type = Option<Object>)]
    credential: Option<Value>,
}

/// A passkey to sign in with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPasskey {
    /// What one calls it, such as where it is kept.
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    /// The `PublicKeyCredential` as its `toJSON` gives it.
    #[schema(value_type = Object)]
    pub(super) credential: Value,
}

/// A passkey of an account.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct PasskeyBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    created_at: DateTime<Utc>,
    /// When it was last signed in with; `null` where it never was.
    used_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct PasskeyPath {
    passkey: Ref,
}

impl PasskeyBody {
    pub(super) fn of(own: OwnPasskey) -> Self {
        let OwnPasskey { id, name, created_at, used_at, .. } = own;
        Self { id, name, created_at, used_at }
    }
}

/// Prove once more who is signed in, for what is dangerous: with the password or a passkey of the account, or
/// with the token that was traded for this session.
#[utoipa::path(
    post,
    path = "/session/step-up",
    request_body = StepUp,
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn step_up(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    headers: HeaderMap,
    Json(given): Json<StepUp>,
) -> Result<StatusCode, Error> {
    app.attempts.admit_proof(caller.account(), app.clock.elapsed())?;
    // It is the act of whoever is signed in, and recorded as such.
    let tried = (None, caller.address);
    let is_own = |(it, _): (Account, Proof)| (it.workspace, it.id) == caller.account();
    let is_proven = match given {
        StepUp { password: Some(password), token: None, credential: None } if caller.is_account => {
            let whose = super::named(&caller, &rights)?;
            let found = super::prove(&app, (whose, password), (For::Known, tried)).await;
            is_own(found.map_err(unproven)?)
        }
        StepUp { password: None, token: Some(token), credential: None } => {
            session::is_token_of(&app, &caller, &token).await?
        }
        StepUp { password: None, token: None, credential: Some(credential) }
            if caller.is_account =>
        {
            let site = challenges::site(&app, &headers)?;
            let challenge = challenges::take(&app, &headers, For::Known).await?;
            let found = passkeys::prove(&app, (&site, &challenge), credential, tried).await;
            is_own(found.map_err(unproven)?)
        }
        _ => {
            let text =
                "give `password` or `credential` of the account, or the `token` of the session";
            return Err(Error::Invalid(text.into()));
        }
    };
    if !is_proven {
        return Err(Error::Unproven);
    }
    session::prove(&app, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever is signed in stays so.
fn unproven(error: Error) -> Error {
    if matches!(error, Error::Unauthenticated) { Error::Unproven } else { error }
}

/// Ask for any passkey. The answer sets a cookie, with which the browser may answer once, within five
/// minutes.
#[utoipa::path(
    post,
    path = "/session/challenge",
    responses((status = 201, body = ChallengeBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn ask_for_passkey(
    State(app): State<Arc<App>>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    app.attempts.admit_question(address.map(|it| it.0.0), app.clock.elapsed())?;
    let begun = challenges::site(&app, &headers)?.begin_proof().map_err(Error::internal)?;
    challenges::ask(&app, begun, None).await
}

/// Sign in with a passkey. The answer sets the cookie that the console works with.
#[utoipa::path(
    post,
    path = "/session/passkey",
    request_body = PasskeyProof,
    responses((status = 201, body = session::SessionBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn sign_in_with_passkey(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Json(given): Json<PasskeyProof>,
) -> Result<Response, Error> {
    let address = address.map(|it| it.0.0);
    app.attempts.admit_passkey(address, app.clock.elapsed())?;
    let site = challenges::site(&app, &headers)?;
    let challenge = challenges::take(&app, &headers, For::Strangers).await?;
    let action = "POST /session/passkey";
    let tried = (Some((id, action)), address);
    let proven = passkeys::prove(&app, (&site, &challenge), given.credential, tried).await?;
    super::begin(&app, (proven, Device::of(&headers, address)), (id, action, address)).await
}

/// Ask for a new passkey of one's own account. The answer sets a cookie, with which the browser may answer
/// once, within five minutes.
#[utoipa::path(
    post,
    path = "/session/passkeys/challenge",
    responses((status = 201, body = ChallengeBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn ask_for_new_passkey(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    headers: HeaderMap,
) -> Result<Response, Error> {
    check_whole(&caller)?;
    let site = challenges::site(&app, &headers)?;
    let mut tx = app.db.read().await?;
    let account = own(&mut tx, &caller).await?;
    let others = match &account {
        Some(account) => {
            check_changes(&mut tx, &caller, account).await?;
            store::passkeys(&mut tx, account).await?
        }
        None => Vec::new(),
    };
    drop(tx);
    let id = own_id(&caller).ok_or_else(has_none)?;
    let name = rights.person().map(|(workspace, user)| format!("{user} in {workspace}"));
    let name = name.unwrap_or_else(|| caller.name.clone());
    let others: Vec<_> = others.into_iter().map(|it| it.passkey).collect();
    let begun = site.begin_making((id, &name), &others).map_err(Error::internal)?;
    challenges::ask(&app, begun, Some(id)).await
}

/// Add a passkey to one's own account.
#[utoipa::path(
    post,
    path = "/session/passkeys",
    request_body = NewPasskey,
    responses((status = 201, body = PasskeyBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn add_own_passkey(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    headers: HeaderMap,
    Json(new): Json<NewPasskey>,
) -> Result<Done<PasskeyBody>, Error> {
    check_whole(&caller)?;
    let site = challenges::site(&app, &headers)?;
    let challenge = challenges::take(&app, &headers, For::Known).await?;
    let mut change = Change::begin_switch(&app, &rights).await?;
    let account = own_or_new(&mut change, &caller).await?;
    let passkey = passkeys::made(&site, &challenge, (new.credential, account.id))?;
    let own = passkeys::keep(&app, &mut change, &account, (new.name, passkey)).await?;
    change.commit().await?;
    let name = format!("{}/{}", account.name, own.name);
    Ok(Done::created(Touched::new("passkey", own.id, name), PasskeyBody::of(own)))
}

/// Remove a passkey from one's own account, which ends its other sessions. The last way to sign in stays.
#[utoipa::path(
    delete,
    path = "/session/passkeys/{passkey}",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn delete_own_passkey(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    Path(path): Path<PasskeyPath>,
) -> Result<Done<PasskeyBody>, Error> {
    check_whole(&caller)?;
    let mut change = Change::begin_switch(&app, &rights).await?;
    let account = own(&mut change, &caller).await?;
    let account = account.ok_or_else(|| path.passkey.not_found("passkey"))?;
    check_changes(&mut change, &caller, &account).await?;
    let found = passkeys::find(&mut change, &account, &path.passkey).await?;
    let before = PasskeyBody::of(found.clone());
    passkeys::remove(&mut change, &account, (&found, caller.session())).await?;
    change.commit().await?;
    let name = format!("{}/{}", account.name, before.name);
    Ok(Done::deleted(Touched::new("passkey", before.id, name), &before))
}
