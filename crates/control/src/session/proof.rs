//! Proving once more who is in a session, for what is dangerous.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::WorkspaceId;

use super::{Caller, find_admin, store};
use crate::App;
use crate::api::Error;
use crate::identities::SecretText;

/// For how long a proof is good for what is dangerous.
const PROOF_LIFE: Duration = Duration::from_secs(10 * 60);

impl Caller {
    /// Refuses what is dangerous, where a cookie is all that has been shown for a while: whoever has come
    /// by a session, or sits at a screen that was left, does none of it. A token with each request is a proof.
    pub(crate) fn check_recent_proof(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let Some(session) = &self.session else { return Ok(()) };
        if now < session.proven_at + PROOF_LIFE { Ok(()) } else { Err(Error::StepUp) }
    }
}

/// The caller has proven who they are once more.
pub(crate) async fn prove(app: &App, caller: &Caller) -> Result<(), Error> {
    let Some(session) = &caller.session else { return Ok(()) };
    let own = caller.workspace().map(WorkspaceId);
    let mut tx = app.db.begin().await?;
    let (now, id) = (app.clock.now(), session.id);
    match own {
        _ if caller.is_account => {
            store::prove_account_session(&mut tx, caller.account(), (id, now)).await?;
        }
        None => store::prove_session(&mut tx, (caller.id, id), now).await?,
        Some(own) => store::prove_user_session(&mut tx, own, (caller.id, id), now).await?,
    }
    Ok(tx.commit().await?)
}

/// Whether this is the token that the caller's session was begun with.
pub(crate) async fn is_token_of(
    app: &App,
    caller: &Caller,
    token: &SecretText,
) -> Result<bool, Error> {
    let mut tx = app.db.read().await?;
    match find_admin(&mut tx, token.expose(), app.clock.now()).await {
        Ok(found) => {
            Ok(Some(found.id) == caller.token() && found.workspace() == caller.workspace())
        }
        Err(Error::Unauthenticated) => Ok(false),
        Err(error) => Err(error),
    }
}
