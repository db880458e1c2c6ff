//! The secrets that apps present. Shown once; only their hash is stored; every one expires.

mod api;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{AppId, Capability, Name, TokenHash, TokenId, UserId, WorkspaceId};
use vault::Secret;

pub(crate) use api::{NewToken, TokenBody, routes};

use crate::api::{Error, Ref, Which};
use crate::apps::App;
use crate::change::Change;
use crate::secret;

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) app: AppId,
    pub(crate) name: Name,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Tells secret scanners whose token it is.
const PREFIX: &str = "ost_";

/// Long enough to rotate by hand, short enough that a lost one dies.
const USUAL_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 366 * 24 * 60 * 60;

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: AppId,
    which: Which<'_>,
) -> Result<Vec<Token>, Error> {
    store::select(tx, workspace, app, which).await
}

/// So many of each app are shown to its owner.
const MOST_OWN: i64 = 50;

/// Of the apps of a user from one name up to another, as far as they have not expired; the first of each.
pub(crate) async fn of_owner(
    tx: &mut Tx,
    (workspace, owner): (WorkspaceId, UserId),
    apps: (&Name, &Name),
    now: DateTime<Utc>,
) -> Result<Vec<Token>, Error> {
    store::of_owner(tx, (workspace, owner), apps, (now, MOST_OWN)).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    app: AppId,
    token: &Ref,
) -> Result<Token, Error> {
    let found = store::select(tx, workspace, app, Which::One(token)).await?.pop();
    found.ok_or_else(|| token.not_found("token"))
}

/// The secret is for the answer, once.
pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
    new: NewToken,
) -> Result<(Token, Secret), Error> {
    change.require(Capability::AppsWrite, &app.object(), ("app", &app.name))?;
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
    let secret = secret::fresh(PREFIX);
    let hash: TokenHash = secret::sha256(secret.expose());
    let token = Token {
        id: TokenId(stamp.id),
        app: app.id,
        name: new.name,
        expires_at: stamp.at + life,
        created_at: stamp.at,
    };
    store::insert(change, workspace, &token, &hash)
        .await
        .map_err(|error| Error::saving(error, "token", &token.name))?;
    Ok((token, secret))
}

/// What it has begun ends.
async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    (app, token): (&App, &Token),
) -> Result<(), Error> {
    change.require(Capability::AppsWrite, &app.object(), ("app", &app.name))?;
    Ok(store::delete(change, workspace, token.id).await?)
}
