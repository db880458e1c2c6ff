//! Who an administrator is.
//!
//! An administrator holds a token, of the installation or of a user. Programs send it with each request; the console trades it for
//! a cookie, which is no token and dies by itself. Both are looked up by their SHA-256 and
//! compared in constant time. An error on the way is a refusal, never a default.

mod api;
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

pub(crate) use api::{private_routes, public_routes};

use crate::App;
use crate::api::{Error, Ref, Rights, Touched, Which};
use crate::change::Change;
use crate::secret;
use crate::user_admin_tokens::{self, Presented};

/// Who is calling. A handler without one is public.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The admin token's.
    pub(crate) id: Uuid,
    pub(crate) name: String,
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
}

/// A credential as presented.
enum Shown<'a> {
    Bearer(&'a str),
    Cookie(&'a str),
}

const ADMIN_PREFIX: &str = "osta_";
const SESSION_PREFIX: &str = "osts_";
const USER_SESSION_PREFIX: &str = "ostw_";

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
        Self { id, name, of, address, expires_at, token_expires_at, via, session }
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
    match shown {
        Shown::Bearer(token) => find_admin(&mut tx, token, app.clock.now()).await,
        Shown::Cookie(cookie) => find_session(&mut tx, cookie, app.clock.now()).await,
    }
}

/// Whether what a caller has presented still holds.
pub(crate) async fn again(app: &App, tx: &mut Tx, caller: &Caller) -> Result<(), Error> {
    let now = app.clock.now();
    if caller.expires_at.is_some_and(|it| it <= now) {
        return Err(Error::Unauthenticated);
    }
    let workspace = caller.workspace().map(WorkspaceId);
    let is_known = match (&caller.session, workspace) {
        (Some(session), None) => store::has_session(tx, session.id).await?,
        (Some(session), Some(id)) => store::has_user_session(tx, id, session.id).await?,
        (None, None) => store::has_admin(tx, caller.id).await?,
        (None, Some(id)) => user_admin_tokens::exists(tx, id, caller.id).await?,
    };
    if is_known { Ok(()) } else { Err(Error::Unauthenticated) }
}

/// Makes an admin token; the secret is shown once.
pub(crate) async fn mint_admin(
    tx: &mut Tx,
    stamp: Stamp,
    name: &str,
) -> Result<Secret, db::DbError> {
    let secret = secret::fresh(ADMIN_PREFIX);
    store::insert_admin(tx, stamp, name, &secret::sha256(secret.expose())).await?;
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
    let found = store::find_session(tx, &hash).await?.ok_or(Error::Unauthenticated)?;
    if !bool::from(found.hash.ct_eq(&hash)) || found.expires_at <= now {
        return Err(Error::Unauthenticated);
    }
    let session = Session { id: found.id, expires_at: found.expires_at };
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
    let session = Session { id: found.id, expires_at: found.expires_at };
    Ok(token.into_caller(Some(session)))
}

impl Presented {
    fn into_caller(self, session: Option<Session>) -> Caller {
        let Self { id, name, workspace, user, limits, maker, expires_at, .. } = self;
        let of = Of::User { workspace, user, limits, maker };
        let token_expires_at = Some(expires_at);
        let expires_at = session.as_ref().map_or(expires_at, |it| expires_at.min(it.expires_at));
        let (id, expires_at) = (id.0, Some(expires_at));
        let (address, via) = (None, None);
        Caller { id, name, of, address, expires_at, token_expires_at, via, session }
    }
}

/// Begins a session; the value is for the cookie.
async fn begin(app: &App, caller: &Caller) -> Result<(Secret, DateTime<Utc>), Error> {
    let stamp = app.clock.stamp();
    let own = caller.workspace().map(WorkspaceId);
    let value = secret::fresh(if own.is_some() { USER_SESSION_PREFIX } else { SESSION_PREFIX });
    let latest = stamp.at + SESSION_LIFE;
    let expires_at = caller.expires_at.map_or(latest, |it| it.min(latest));
    let mut tx = app.db.begin().await?;
    store::delete_expired(&mut tx, stamp.at).await?;
    let hash = secret::sha256(value.expose());
    let until = (&hash[..], expires_at);
    match own {
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
    let name = cookie_name(app.is_secure);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut found = cookies
        .flat_map(|it| it.split(';'))
        .filter_map(|it| it.trim().split_once('='))
        .filter(|(it, _)| *it == name);
    let value = found.next().ok_or(Error::Unauthenticated)?.1;
    // Two of a name: one was planted by a neighbouring site.
    if found.next().is_some() { Err(Error::Unauthenticated) } else { Ok(Shown::Cookie(value)) }
}

/// The prefix makes browsers refuse the cookie from anywhere but this very host, over TLS.
fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-ostiary" } else { "ostiary" }
}

/// Whether a browser says that the request comes from our own pages. One that says nothing has
/// no cookie of ours to send on behalf of others.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|it: &header::HeaderValue| it.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some((origin, host)) = text(header::ORIGIN).zip(text(header::HOST)) else { return false };
    let authority = origin.split_once("://").map(|it| it.1);
    authority.is_some_and(|it| it.eq_ignore_ascii_case(host))
}

/// Whether a browser says that another site made it send this.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|it| it != "same-origin" && it != "none")
}

/// What signs in at the first start.
pub(crate) async fn has_admins(tx: &mut Tx) -> Result<bool, db::DbError> {
    store::has_admins(tx).await
}
