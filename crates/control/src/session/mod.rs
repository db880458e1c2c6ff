//! Who an administrator is.
//!
//! An administrator holds a token, of the installation or of a user, or has an account. Programs send
//! the token with each request; the console trades it, or what proves an account, for a cookie, which is
//! no token and dies by itself. Both are looked up by their SHA-256 and
//! compared in constant time. An error on the way is a refusal, never a default.

mod api;
mod founding;
mod origin;
mod own;
mod proof;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Stamp, UserId, WorkspaceId};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use vault::Secret;

pub(crate) use api::{SessionBody, cookie, private_routes, public_routes, sign_in_as};
pub(crate) use founding::{check_founds, find_operator, founds, spend};
pub(crate) use origin::own_pages_only;
pub(crate) use proof::{is_token_of, prove};

use crate::accounts::Proof;
use crate::api::{Error, Ref, Rights, Touched, Which, chain};
use crate::change::Change;
use crate::secret;
use crate::user_admin_tokens::{self, Presented};
use crate::{App, accounts, switches};
use origin::is_same_origin;

/// Who is calling. A handler without one is public.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The admin token's, or the account's.
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Whether they have proven to be an account, and hold no token.
    pub(crate) is_account: bool,
    pub(crate) of: Of,
    /// From where the request came; absent at the command line.
    pub(crate) address: Option<IpAddr>,
    /// When what was presented dies by itself.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// When the token behind it does.
    pub(crate) token_expires_at: Option<DateTime<Utc>>,
    /// By what the request came, where it is not the API itself; for the record.
    pub(crate) via: Option<&'static str>,
    /// Present where a cookie was shown.
    session: Option<Session>,
}

/// Whose the token is.
#[derive(Clone, Debug)]
pub(crate) enum Of {
    /// Of the installation: it may do anything.
    Installation,
    User {
        workspace: WorkspaceId,
        user: UserId,
        /// What it is good for; everything that its user may do where absent.
        limits: Option<BTreeSet<Capability>>,
        /// Another user who has made it and so could use it: it is good for no more than they
        /// hold in the workspace, and dies with them.
        maker: Option<UserId>,
    },
}

#[derive(Clone, Debug)]
struct Session {
    id: Uuid,
    expires_at: DateTime<Utc>,
    /// When whoever is in it has last proven who they are.
    proven_at: DateTime<Utc>,
    /// When it was last noted that it is used, where its owner is shown that.
    used_at: Option<DateTime<Utc>>,
}

/// From what a session is begun, as far as its owner is shown it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    /// As the browser calls itself.
    pub(crate) name: String,
    pub(crate) address: Option<IpAddr>,
}

/// With what a session begins.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) device: Device,
    /// What has proven the account; absent where a token was traded.
    pub(crate) proof: Option<Proof>,
}

/// A credential as presented.
enum Shown<'a> {
    Bearer(&'a str),
    Cookie(&'a str),
}

const ADMIN_PREFIX: &str = "osta_";
const SESSION_PREFIX: &str = "osts_";
const USER_SESSION_PREFIX: &str = "ostw_";
const ACCOUNT_SESSION_PREFIX: &str = "ostp_";

/// How often it is noted that a session is used.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Of what browsers call themselves, so much is kept.
const DEVICE_CHARS: usize = 200;

/// A working day; then the token is asked for again.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

impl Caller {
    /// Whoever can start the program and reach its data may do anything.
    pub(crate) fn command_line() -> Self {
        Self::of_installation(Uuid::nil(), "command line".into())
    }

    fn of_installation(id: Uuid, name: String) -> Self {
        let of = Of::Installation;
        let (expires_at, token_expires_at) = (None, None);
        let (address, via, session) = (None, None, None);
        let is_account = false;
        Self { id, name, is_account, of, address, expires_at, token_expires_at, via, session }
    }

    /// Whoever has proven to be this account.
    pub(crate) fn of_account(id: Uuid, name: String, of: Of) -> Self {
        Self { is_account: true, of, ..Self::of_installation(id, name) }
    }

    /// The token that they hold.
    pub(crate) fn token(&self) -> Option<Uuid> {
        (!self.is_account).then_some(self.id)
    }

    /// Where the account is, and which it is.
    pub(crate) fn account(&self) -> (WorkspaceId, Uuid) {
        (self.workspace().map_or(accounts::ABOVE, WorkspaceId), self.id)
    }

    /// The session that they are in.
    pub(crate) fn session(&self) -> Option<Uuid> {
        self.session.as_ref().map(|it| it.id)
    }

    /// In which way they administer.
    pub(crate) fn by(&self) -> &'static str {
        match (&self.session, self.id.is_nil()) {
            (Some(_), _) => "session",
            (None, true) => "command line",
            (None, false) => "token",
        }
    }

    /// The workspace of a user.
    pub(crate) fn workspace(&self) -> Option<Uuid> {
        match self.of {
            Of::Installation => None,
            Of::User { workspace, .. } => Some(workspace.0),
        }
    }

    /// The person behind it.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self.of {
            Of::Installation => None,
            Of::User { user, .. } => Some(user),
        }
    }
}

/// The one who sent the request.
pub(crate) async fn authenticate(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Error> {
    let shown = find_credential(app, headers)?;
    if matches!(shown, Shown::Cookie(_)) && !method.is_safe() && !is_same_origin(headers) {
        return Err(Error::CrossSite);
    }
    let mut tx = app.db.read().await?;
    let now = app.clock.now();
    let caller = match shown {
        Shown::Bearer(token) => find_admin(&mut tx, token, now).await?,
        Shown::Cookie(cookie) => find_session(&mut tx, cookie, now).await?,
    };
    drop(tx);
    let noted = caller.session.as_ref().and_then(|it| it.used_at);
    if noted.is_some_and(|it| it + NOTED_EVERY <= now) {
        note_use(app, &caller).await;
    }
    Ok(caller)
}

/// Nothing depends on it but what its owner is shown.
async fn note_use(app: &App, caller: &Caller) {
    let Some(session) = caller.session() else { return };
    let noted = async {
        let mut tx = app.db.begin().await?;
        store::note_use(&mut tx, caller.account(), (session, app.clock.now())).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::warn!(error = %chain(&error), "The use of a session is not noted");
    }
}

/// Whether what a caller has presented still holds.
pub(crate) async fn again(app: &App, tx: &mut Tx, caller: &Caller) -> Result<(), Error> {
    let now = app.clock.now();
    if caller.expires_at.is_some_and(|it| it <= now) {
        return Err(Error::Unauthenticated);
    }
    let workspace = caller.workspace().map(WorkspaceId);
    if caller.is_account {
        let place = caller.account();
        let session = caller.session().ok_or(Error::Unauthenticated)?;
        let is_known = store::has_account_session(tx, place, session).await?;
        return if is_known { Ok(()) } else { Err(Error::Unauthenticated) };
    }
    let is_known = match (&caller.session, workspace) {
        (Some(session), None) => store::has_session(tx, session.id).await?,
        (Some(session), Some(id)) => store::has_user_session(tx, id, session.id).await?,
        (None, None) => store::has_admin(tx, caller.id).await?,
        (None, Some(id)) => user_admin_tokens::exists(tx, id, caller.id).await?,
    };
    if is_known { Ok(()) } else { Err(Error::Unauthenticated) }
}

/// Makes an admin token; the secret is shown once. It may be one that makes the first account.
pub(crate) async fn mint_admin(
    tx: &mut Tx,
    stamp: Stamp,
    (name, sets_up): (&str, bool),
) -> Result<Secret, db::DbError> {
    let secret = secret::fresh(ADMIN_PREFIX);
    store::insert_admin(tx, stamp, (name, sets_up), &secret::sha256(secret.expose())).await?;
    Ok(secret)
}

/// What the record says of a token that has been made so.
pub(crate) fn minted(stamp: Stamp, name: &str) -> Touched {
    let after = json!({"id": stamp.id, "name": name, "created_at": stamp.at});
    let touched = Touched::new("admin_token", stamp.id, name).sealing(["secret".to_owned()]);
    Touched { after: Some(after), ..touched }
}

async fn find_admin_token(tx: &mut Tx, token: &Ref) -> Result<store::AdminToken, Error> {
    let found = store::select_admins(tx, Which::One(token)).await?.pop();
    found.ok_or_else(|| token.not_found("admin token"))
}

/// Its sessions end with it. Nobody could sign in without the last one.
async fn revoke_admin(tx: &mut Tx, name: &str, id: Uuid) -> Result<(), Error> {
    if store::delete_admin(tx, id).await? {
        return Ok(());
    }
    let text = format!("admin token `{name}` is the last one; make another one first");
    Err(Error::Conflict(text))
}

async fn find_admin(tx: &mut Tx, token: &str, now: DateTime<Utc>) -> Result<Caller, Error> {
    let hash = secret::sha256(token.as_bytes());
    if token.starts_with(user_admin_tokens::PREFIX) {
        let found = user_admin_tokens::find_by_hash(tx, &hash).await?;
        let found = found.ok_or(Error::Unauthenticated)?;
        return if bool::from(found.hash.ct_eq(&hash)) && now < found.expires_at {
            Ok(found.into_caller(None))
        } else {
            Err(Error::Unauthenticated)
        };
    }
    let found = store::find_admin(tx, &hash).await?.ok_or(Error::Unauthenticated)?;
    if !bool::from(found.hash.ct_eq(&hash)) {
        return Err(Error::Unauthenticated);
    }
    Ok(Caller::of_installation(found.id, found.name))
}

async fn find_session(tx: &mut Tx, cookie: &str, now: DateTime<Utc>) -> Result<Caller, Error> {
    let hash = secret::sha256(cookie.as_bytes());
    if cookie.starts_with(USER_SESSION_PREFIX) {
        return find_user_session(tx, &hash, now).await;
    }
    if cookie.starts_with(ACCOUNT_SESSION_PREFIX) {
        return find_account_session(tx, &hash, now).await;
    }
    let found = store::find_session(tx, &hash).await?.ok_or(Error::Unauthenticated)?;
    if !bool::from(found.hash.ct_eq(&hash)) || found.expires_at <= now {
        return Err(Error::Unauthenticated);
    }
    let proven_at = found.proven_at.unwrap_or(found.created_at);
    let session = Session { id: found.id, expires_at: found.expires_at, proven_at, used_at: None };
    let expires_at = Some(session.expires_at);
    let caller = Caller::of_installation(found.admin_token_id, found.name);
    Ok(Caller { expires_at, session: Some(session), ..caller })
}

async fn find_user_session(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Caller, Error> {
    let found = store::find_user_session(tx, hash).await?.ok_or(Error::Unauthenticated)?;
    if !bool::from(found.hash.ct_eq(hash)) || found.expires_at <= now {
        return Err(Error::Unauthenticated);
    }
    let workspace = WorkspaceId(found.workspace_id);
    let token = user_admin_tokens::find_by_id(tx, workspace, found.token_id).await?;
    let token = token.filter(|it| now < it.expires_at).ok_or(Error::Unauthenticated)?;
    let proven_at = found.proven_at.unwrap_or(found.created_at);
    let session = Session { id: found.id, expires_at: found.expires_at, proven_at, used_at: None };
    Ok(token.into_caller(Some(session)))
}

async fn find_account_session(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Caller, Error> {
    let found = store::find_account_session(tx, hash).await?.ok_or(Error::Unauthenticated)?;
    if !bool::from(found.hash.ct_eq(hash)) || found.expires_at <= now {
        return Err(Error::Unauthenticated);
    }
    let session = Session {
        id: found.id,
        expires_at: found.expires_at,
        proven_at: found.proven_at,
        used_at: Some(found.used_at),
    };
    let workspace = WorkspaceId(found.workspace_id);
    let of = match found.user_id.map(UserId) {
        None => Of::Installation,
        Some(user) => Of::User { workspace, user, limits: None, maker: None },
    };
    let caller = Caller::of_account(found.account_id, found.name, of);
    Ok(Caller { expires_at: Some(session.expires_at), session: Some(session), ..caller })
}

/// Ends all sessions of an account, but for one that goes on.
pub(crate) async fn end_of_account(
    change: &mut Change,
    (workspace, account): (WorkspaceId, Uuid),
    keep: Option<Uuid>,
) -> Result<(), Error> {
    Ok(store::delete_sessions_of_account(change, (workspace, account), keep).await?)
}

/// Ends all sessions of a user, those of the account and those of tokens.
pub(crate) async fn end_of_user(
    change: &mut Change,
    (workspace, user): (WorkspaceId, UserId),
) -> Result<(), Error> {
    // Whoever is signing in waits for this to end, or has done so before: see `accounts::hold`.
    accounts::touch(change, (workspace, user)).await?;
    Ok(store::delete_sessions_of_user(change, (workspace, user)).await?)
}

impl Presented {
    fn into_caller(self, session: Option<Session>) -> Caller {
        let Self { id, name, workspace, user, limits, maker, expires_at, .. } = self;
        let of = Of::User { workspace, user, limits, maker };
        let token_expires_at = Some(expires_at);
        let expires_at = session.as_ref().map_or(expires_at, |it| expires_at.min(it.expires_at));
        let (id, expires_at) = (id.0, Some(expires_at));
        let (address, via, is_account) = (None, None, false);
        Caller { id, name, is_account, of, address, expires_at, token_expires_at, via, session }
    }
}

/// Begins a session; the value is for the cookie. What has been proven must still hold: a password may
/// have been set, a passkey removed, or the user cut off since.
async fn begin(
    app: &App,
    caller: &Caller,
    opening: &Opening,
) -> Result<(Secret, DateTime<Utc>), Error> {
    let stamp = app.clock.stamp();
    let own = caller.workspace().map(WorkspaceId);
    let value = secret::fresh(match own {
        _ if caller.is_account => ACCOUNT_SESSION_PREFIX,
        None => SESSION_PREFIX,
        Some(_) => USER_SESSION_PREFIX,
    });
    let latest = stamp.at + SESSION_LIFE;
    let expires_at = caller.expires_at.map_or(latest, |it| it.min(latest));
    let mut tx = app.db.begin().await?;
    store::delete_expired(&mut tx, stamp.at).await?;
    if let Some(proof) = opening.proof {
        accounts::hold(&mut tx, caller.account(), proof).await?;
    } else if let Some(own) = own
        && !store::hold_user_token(&mut tx, own, caller.id).await?
    {
        return Err(Error::Unauthenticated);
    }
    if let (Some(own), Some(user)) = (own, caller.user()) {
        switches::check_user_on(&mut tx, (own, user), stamp.at).await?;
    }
    let hash = secret::sha256(value.expose());
    let until = (&hash[..], expires_at);
    match own {
        _ if caller.is_account => {
            let place = caller.account();
            store::insert_account_session(&mut tx, place, (stamp, &opening.device), until).await?;
        }
        None => store::insert_session(&mut tx, stamp, caller.id, until).await?,
        Some(own) => store::insert_user_session(&mut tx, own, stamp, caller.id, until).await?,
    }
    tx.commit().await?;
    Ok((value, expires_at))
}

/// Ends the session of the caller, if there is one.
async fn end(app: &Arc<App>, caller: &Caller, rights: &Rights) -> Result<(), Error> {
    let Some(session) = &caller.session else { return Ok(()) };
    // A change, so that whoever follows the records with it is told.
    let mut change = Change::begin_switch(app, rights).await?;
    match caller.workspace() {
        _ if caller.is_account => {
            store::delete_account_session(&mut change, caller.account(), session.id).await?;
        }
        None => store::delete_session(&mut change, session.id).await?,
        Some(own) => {
            store::delete_user_session(&mut change, WorkspaceId(own), session.id).await?;
        }
    }
    change.commit().await?;
    Ok(())
}

/// A wrong token is not made good by a right cookie.
fn find_credential<'a>(app: &App, headers: &'a HeaderMap) -> Result<Shown<'a>, Error> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        let text = value.to_str().map_err(|_| Error::Unauthenticated)?;
        let (scheme, token) = text.split_once(' ').ok_or(Error::Unauthenticated)?;
        if given.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated);
        }
        return Ok(Shown::Bearer(token));
    }
    let value = find_cookie(headers, cookie_name(app.is_secure));
    value.map(Shown::Cookie).ok_or(Error::Unauthenticated)
}

/// The cookie of this name, if there is one.
pub(crate) fn find_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut found = cookies
        .flat_map(|it| it.split(';'))
        .filter_map(|it| it.trim().split_once('='))
        .filter(|(it, _)| *it == name);
    let value = found.next()?.1;
    // Two of a name: one was planted by a neighbouring site.
    found.next().is_none().then_some(value)
}

impl Device {
    pub(crate) fn of(headers: &HeaderMap, address: Option<IpAddr>) -> Self {
        let name = headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok());
        let name = name.unwrap_or_default().chars().take(DEVICE_CHARS).collect();
        Self { name, address }
    }
}

/// The prefix makes browsers refuse the cookie from anywhere but this very host, over TLS.
fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-ostiary" } else { "ostiary" }
}

/// What signs in at the first start.
pub(crate) async fn has_admins(tx: &mut Tx) -> Result<bool, db::DbError> {
    store::has_admins(tx).await
}
