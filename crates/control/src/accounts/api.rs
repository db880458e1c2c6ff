//! `/session/options`, `/session/password`, `/session/set-up` and `/session/account`; what is about passkeys
//! is in `passkeys_api`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use db::Tx;
use domain::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::above;
use super::challenges::{self, ChallengeBody};
use super::passkeys_api::{self, NewPasskey, PasskeyBody};
use super::password::For;
use super::{Account, Named, NewPassword, Proof, first_id, passkeys, store, touched};
use crate::App;
use crate::api::{ClientAddress, Done, Error, Json, NameText, Problem, RequestId, Rights, Shown};
use crate::change::Change;
use crate::identities::SecretText;
use crate::session::{self, Caller, Device, Opening};
use crate::trail::What;

/// What browsers say of passkeys takes a few KiB, and anybody may send it.
const BODY_BYTES: usize = 16 * 1024;

pub(crate) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show_sign_in_options))
        .routes(routes!(sign_in_with_password))
        .routes(routes!(set_up))
        .routes(routes!(ask_for_first_passkey))
        .merge(passkeys_api::public_routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

pub(crate) fn private_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show_own_account))
        .routes(routes!(set_own_password, delete_own_password))
        .merge(passkeys_api::private_routes())
        .merge(above::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// How one may sign in here. Nothing in it is about anybody.
#[derive(Serialize, ToSchema)]
struct SignInOptions {
    /// Whether nobody has an account above all workspaces, and whoever holds the token that the log showed
    /// at the first start can make one.
    set_up: bool,
}

/// What proves an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordSignIn {
    /// Where the user is; absent for an administrator of the installation.
    #[schema(value_type = Option<NameText>)]
    workspace: Option<Name>,
    #[schema(value_type = NameText)]
    name: Name,
    #[schema(value_type = String)]
    password: SecretText,
}

/// The first account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// The one that the log showed at the first start, or one that `ostiary admin-token --set-up` has made.
    #[schema(value_type = String)]
    token: SecretText,
    #[schema(value_type = NameText)]
    name: Name,
    /// Either this,
    #[schema(value_type = Option<String>, min_length = 12, max_length = 256)]
    password: Option<SecretText>,
    /// or this, which has been asked for with the same token and name.
    passkey: Option<NewPasskey>,
}

/// Whose first passkey is to be asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUpChallenge {
    /// As for the set-up itself.
    #[schema(value_type = String)]
    token: SecretText,
    #[schema(value_type = NameText)]
    name: Name,
}

/// A password to sign in with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetPassword {
    #[schema(value_type = String, min_length = 12, max_length = 256)]
    password: SecretText,
}

/// An account, without anything that proves it.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct AccountBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    /// Since when it has its password; `null` where it has none.
    password_set_at: Option<DateTime<Utc>>,
    /// By name.
    passkeys: Vec<PasskeyBody>,
    created_at: DateTime<Utc>,
}

impl AccountBody {
    pub(super) async fn of(tx: &mut Tx, account: Account) -> Result<Self, Error> {
        let passkeys = store::passkeys(tx, &account).await?;
        let passkeys = passkeys.into_iter().map(PasskeyBody::of).collect();
        let Account { id, name, password_set_at, created_at, .. } = account;
        Ok(Self { id, name, password_set_at, passkeys, created_at })
    }
}

/// How one may sign in here.
#[utoipa::path(
    get,
    path = "/session/options",
    responses((status = 200, body = SignInOptions), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn show_sign_in_options(State(app): State<Arc<App>>) -> Result<Json<SignInOptions>, Error> {
    let mut tx = app.db.read().await?;
    let set_up = super::is_set_up_open(&mut tx).await?;
    Ok(Json(SignInOptions { set_up }))
}

/// Sign in with the password of an account. The answer sets the cookie that the console works with.
#[utoipa::path(
    post,
    path = "/session/password",
    request_body = PasswordSignIn,
    responses((status = 201, body = session::SessionBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn sign_in_with_password(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Json(given): Json<PasswordSignIn>,
) -> Result<Response, Error> {
    let PasswordSignIn { workspace, name, password } = given;
    let (action, address) = ("POST /session/password", address.map(|it| it.0.0));
    let (given, device) = ((Named { workspace, name }, password), Device::of(&headers, address));
    super::sign_in(&app, given, device, (id, action, address)).await
}

/// Make the first account above all workspaces, with the token that the log showed at the first start,
/// and sign in to it.
#[utoipa::path(
    post,
    path = "/session/set-up",
    request_body = SetUp,
    responses((status = 201, body = session::SessionBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn set_up(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Json(given): Json<SetUp>,
) -> Result<Response, Error> {
    let SetUp { token, name, password, passkey } = given;
    let address = address.map(|it| it.0.0);
    app.attempts.admit_address(address, app.clock.elapsed())?;
    let holds = session::find_operator(&app, &token).await?;
    // Said before it is recorded that somebody is about to.
    super::check_set_up(&mut app.db.read().await?, holds.id).await?;
    let (hash, passkey) = match (password, passkey) {
        (Some(password), None) => {
            (Some(app.passwords.hash(NewPassword::parse(password, &name)?).await?), None)
        }
        (None, Some(NewPasskey { name, credential })) => {
            let site = challenges::site(&app, &headers)?;
            let challenge = challenges::take(&app, &headers, For::Known).await?;
            let made = passkeys::made(&site, &challenge, (credential, first_id(holds.id)))?;
            (None, Some((name, made)))
        }
        _ => return Err(Error::Invalid("give either `password` or `passkey`".into())),
    };
    let account = Account::first(holds.id, (app.clock.now(), name), hash.is_some());
    let caller = account.clone().into_caller(address);
    let (whose, rights) = (Rights::of(&app, &holds).await?, Rights::of(&app, &caller).await?);
    let what = What {
        action: "POST /session/set-up".to_owned(),
        address: "/api/v1/session/set-up".to_owned(),
    };
    let proof = Some(Proof::Password(account.password_set_at));
    let opening = Opening { device: Device::of(&headers, address), proof };
    let with = (&whose, holds.id);
    let deed = async { super::set_up(&app, with, &account, (hash, passkey)).await.map(Some) };
    session::sign_in_as(&app, (caller, rights, opening), (id, what), deed).await
}

/// Ask for the passkey of the first account. The answer sets a cookie, with which the browser may answer
/// once, within five minutes.
#[utoipa::path(
    post,
    path = "/session/set-up/challenge",
    request_body = SetUpChallenge,
    responses((status = 201, body = ChallengeBody), (status = "4XX", body = Problem)),
    tag = "session",
)]
async fn ask_for_first_passkey(
    State(app): State<Arc<App>>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Json(given): Json<SetUpChallenge>,
) -> Result<Response, Error> {
    app.attempts.admit_address(address.map(|it| it.0.0), app.clock.elapsed())?;
    let holds = session::find_operator(&app, &given.token).await?;
    super::check_set_up(&mut app.db.read().await?, holds.id).await?;
    let site = challenges::site(&app, &headers)?;
    let id = first_id(holds.id);
    let begun = site.begin_making((id, given.name.as_str()), &[]).map_err(Error::internal)?;
    challenges::ask(&app, begun, Some(id)).await
}

/// The account of whoever is signed in.
#[utoipa::path(
    get,
    path = "/session/account",
    responses((status = 200, body = AccountBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "session",
)]
async fn show_own_account(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Shown<AccountBody>, Error> {
    let mut tx = app.db.read().await?;
    let found = super::own(&mut tx, &caller).await?;
    let missing = || Error::NotFound { kind: "account", name: caller.name.clone() };
    Ok(Shown::of(AccountBody::of(&mut tx, found.ok_or_else(missing)?).await?))
}

/// Set the password of one's own account, which ends its other sessions.
#[utoipa::path(
    put,
    path = "/session/password",
    request_body = SetPassword,
    responses((status = 200, body = AccountBody), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn set_own_password(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
    Json(new): Json<SetPassword>,
) -> Result<Done<AccountBody>, Error> {
    super::check_whole(&caller)?;
    // What hashing takes is not there for whoever asks as often as they like.
    app.attempts.admit_hashing(caller.account(), app.clock.elapsed())?;
    let name = rights.person().map(|it| it.1);
    let name = name.map_or_else(|| caller.name.parse().map_err(Error::internal), Ok)?;
    let hash = app.passwords.hash(NewPassword::parse(new.password, &name)?).await?;
    // A change, so that whoever follows the records by another session is told.
    let mut change = Change::begin_switch(&app, &rights).await?;
    let account = super::own_or_new(&mut change, &caller).await?;
    let before = AccountBody::of(&mut change, account.clone()).await?;
    let keep = caller.session();
    let account = super::set_password(&mut change, &account, (&hash, keep)).await?;
    let after = AccountBody::of(&mut change, account.clone()).await?;
    change.commit().await?;
    let changed = touched(&account).sealing(["password".to_owned()]);
    Ok(Done::changed(changed, &before, after))
}

/// Take the password from one's own account, which ends its other sessions. The last way to sign in stays.
#[utoipa::path(
    delete,
    path = "/session/password",
    responses((status = 204), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any")), ("x-step-up" = json!(true))),
    tag = "session",
)]
async fn delete_own_password(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    rights: Rights,
) -> Result<Done<AccountBody>, Error> {
    super::check_whole(&caller)?;
    let missing = || Error::NotFound { kind: "password", name: caller.name.clone() };
    let mut change = Change::begin_switch(&app, &rights).await?;
    let account = super::own(&mut change, &caller).await?.ok_or_else(missing)?;
    if account.password_set_at.is_none() {
        return Err(missing());
    }
    super::check_changes(&mut change, &caller, &account).await?;
    let before = AccountBody::of(&mut change, account.clone()).await?;
    super::take_password(&mut change, &account, caller.session()).await?;
    change.commit().await?;
    Ok(Done::deleted(touched(&account), &before))
}
