//! The tokens with which users administer. Shown once; only their hash is stored; every one
//! expires.
//!
//! A token is good for what its user may do, or for less. Users make their own, which do not
//! outlive the one that has made them: they expire with it, and are revoked with it. Whoever makes
//! one for somebody else could use it: so it is good for no more than its maker holds in the whole
//! workspace, when it is made and whenever it is used.

mod api;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, Name, Object, TokenId, UserId, WorkspaceId};
use vault::Secret;

pub(crate) use api::routes;

use crate::api::{Error, Ref, Rights, Which};
use crate::change::Change;
use crate::secret;
use crate::session::Caller;
use crate::users::User;
use api::NewUserAdminToken;

#[derive(Clone, Debug)]
pub(crate) struct UserAdminToken {
    pub(crate) id: TokenId,
    pub(crate) user: UserId,
    pub(crate) name: Name,
    /// What it is good for; everything that its user may do where absent.
    pub(crate) capabilities: Option<BTreeSet<Capability>>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

/// By whom a token was made, if not by somebody above the workspace.
struct Origin {
    /// Another user.
    maker: Option<UserId>,
    /// Or its own, with this token.
    token: Option<TokenId>,
}

/// A token that somebody has shown, or whose session they have shown.
pub(crate) struct Presented {
    pub(crate) id: TokenId,
    /// `user/token`, as it is recorded.
    pub(crate) name: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) user: UserId,
    pub(crate) limits: Option<BTreeSet<Capability>>,
    /// The other user who has made it.
    pub(crate) maker: Option<UserId>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Tells secret scanners whose token it is.
pub(crate) const PREFIX: &str = "ostu_";

/// Long enough to rotate by hand, short enough that a lost one dies.
const USUAL_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 366 * 24 * 60 * 60;

pub(crate) async fn find_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<Presented>, Error> {
    store::find_by_hash(tx, hash).await
}

pub(crate) async fn find_by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    token: uuid::Uuid,
) -> Result<Option<Presented>, Error> {
    store::find_by_id(tx, workspace, token).await
}

/// Whether it has not been revoked.
pub(crate) async fn exists(
    tx: &mut Tx,
    workspace: WorkspaceId,
    token: uuid::Uuid,
) -> Result<bool, Error> {
    Ok(store::find_by_id(tx, workspace, token).await?.is_some())
}

async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    which: Which<'_>,
) -> Result<Vec<UserAdminToken>, Error> {
    store::select(tx, workspace, user, which).await
}

async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    token: &Ref,
) -> Result<UserAdminToken, Error> {
    let found = store::select(tx, workspace, user, Which::One(token)).await?.pop();
    found.ok_or_else(|| token.not_found("admin token"))
}

/// The secret is for the answer, once.
async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    (user, caller): (&User, &Caller),
    new: NewUserAdminToken,
) -> Result<(UserAdminToken, Secret), Error> {
    check(change, user)?;
    let stamp = change.stamp();
    let life = match new.lifetime_seconds {
        None => USUAL_LIFE,
        Some(seconds) if (SHORTEST_LIFE..=LONGEST_LIFE).contains(&seconds) => {
            Duration::from_secs(seconds)
        }
        Some(_) => {
            return Err(Error::Invalid(format!(
                "`lifetime_seconds` must be {SHORTEST_LIFE} to {LONGEST_LIFE}"
            )));
        }
    };
    let is_own = change.rights().user() == Some(user.id);
    let latest = caller.token_expires_at.filter(|_| is_own);
    let expires_at = stamp.at + life;
    let secret = secret::fresh(PREFIX);
    let token = UserAdminToken {
        id: TokenId(stamp.id),
        user: user.id,
        name: new.name,
        capabilities: limited(change.rights(), is_own, new.capabilities)?,
        expires_at: latest.map_or(expires_at, |it| it.min(expires_at)),
        created_at: stamp.at,
    };
    let origin = Origin {
        maker: change.rights().user().filter(|_| !is_own),
        token: caller.token().filter(|_| is_own).map(TokenId),
    };
    store::insert(change, workspace, (&token, &origin), &secret::sha256(secret.expose()))
        .await
        .map_err(|error| Error::saving(error, "admin token", &token.name))?;
    Ok((token, secret))
}

/// What a new token is good for.
fn limited(
    rights: &Rights,
    is_own: bool,
    wanted: Option<BTreeSet<Capability>>,
) -> Result<Option<BTreeSet<Capability>>, Error> {
    let most: Option<BTreeSet<Capability>> = if is_own {
        rights.limits().cloned()
    } else if rights.user().is_none() {
        None
    } else {
        let held = |it: &Capability| rights.may(*it, &Object::Workspace);
        Some(Capability::ALL.iter().copied().filter(held).collect())
    };
    let Some(most) = most else { return Ok(wanted) };
    let Some(wanted) = wanted else { return Ok(Some(most)) };
    match wanted.difference(&most).next() {
        None => Ok(Some(wanted)),
        Some(missing) => Err(Error::Forbidden(format!(
            "this would hand out `{missing}`, which you do not hold yourself"
        ))),
    }
}

/// Sessions that were begun with it end, and so do the tokens that were made with it.
async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    (user, token): (&User, &UserAdminToken),
) -> Result<(), Error> {
    check(change, user)?;
    Ok(store::delete(change, workspace, token.id).await?)
}

/// Those whose secret whoever is in the account of this user may know: the user's own, and what the user has
/// made for others. What others have made for the user stays: its maker knows it, and it makes no account.
pub(crate) async fn revoke_of(
    change: &mut Change,
    user: (WorkspaceId, UserId),
) -> Result<(), Error> {
    Ok(store::delete_of(change, user).await?)
}

fn check(change: &Change, user: &User) -> Result<(), Error> {
    let object = Object::User(user.id);
    change.require(Capability::AdminTokensWrite, &object, ("user", &user.name))
}
