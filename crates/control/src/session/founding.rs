//! Tokens that make the first account above all workspaces: that of the first start, and those that are
//! made for it at the command line. Whichever is used, all are spent.

use db::Tx;
use uuid::Uuid;

use super::{Caller, find_admin, store};
use crate::App;
use crate::api::Error;
use crate::change::Change;
use crate::identities::SecretText;

/// Whoever holds this token of the installation.
pub(crate) async fn find_operator(app: &App, token: &SecretText) -> Result<Caller, Error> {
    let mut tx = app.db.read().await?;
    let found = find_admin(&mut tx, token.expose(), app.clock.now()).await;
    let found = found.inspect_err(|_| tracing::warn!("Someone failed to sign in"))?;
    if found.workspace().is_some() { Err(Error::Unauthenticated) } else { Ok(found) }
}

/// Whether there is such a token.
pub(crate) async fn founds(tx: &mut Tx) -> Result<bool, Error> {
    Ok(store::sets_up(tx, None).await?)
}

/// Refuses any other: what a program holds makes nobody who could do anything after it is revoked.
pub(crate) async fn check_founds(tx: &mut Tx, token: Uuid) -> Result<(), Error> {
    if store::sets_up(tx, Some(token)).await? {
        return Ok(());
    }
    let text = "this token does not set up the installation: only that of the first start does, once, \
                and one that `ostiary admin-token --set-up` has made";
    Err(Error::Forbidden(text.into()))
}

/// The first account is made with it.
pub(crate) async fn spend(change: &mut Change, token: Uuid) -> Result<(), Error> {
    check_founds(change, token).await?;
    Ok(store::spend_set_up(change).await?)
}
