//! The passkeys of accounts: made by who is signed in, and then a way to sign in without a name.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::Name;
use passkeys::{Passkey, Site};
use serde_json::Value;
use uuid::Uuid;

use super::challenges::Challenge;
use super::{Account, Proof, Tried, note_failure, store};
use crate::App;
use crate::api::{Error, Ref};
use crate::change::Change;
use crate::secret;
use crate::session;

/// A passkey of an account.
#[derive(Clone)]
pub(super) struct OwnPasskey {
    pub(super) id: Uuid,
    pub(super) name: Name,
    pub(super) passkey: Passkey,
    pub(super) created_at: DateTime<Utc>,
    pub(super) used_at: Option<DateTime<Utc>>,
}

/// More are not kept by anybody.
const MOST: usize = 20;

/// The passkey that was asked for, from the browser's answer.
pub(super) fn made(
    site: &Site,
    challenge: &Challenge,
    (answer, account): (Value, Uuid),
) -> Result<Passkey, Error> {
    if challenge.account != Some(account) {
        return Err(Error::Invalid("this is not what was asked for; try again".into()));
    }
    site.finish_making(answer, &challenge.state).map_err(refused)
}

/// Keeps it.
pub(super) async fn keep(
    app: &App,
    tx: &mut Tx,
    account: &Account,
    (name, passkey): (Name, Passkey),
) -> Result<OwnPasskey, Error> {
    if MOST <= store::passkeys(tx, account).await?.len() {
        return Err(Error::Conflict(format!("an account has {MOST} passkeys at most")));
    }
    let stamp = app.clock.stamp();
    let own = OwnPasskey { id: stamp.id, name, passkey, created_at: stamp.at, used_at: None };
    let hash = secret::sha256(own.passkey.id());
    let json = own.passkey.to_json().map_err(Error::internal)?;
    store::insert_passkey(tx, account, (&own, &hash, json))
        .await
        .map_err(|error| Error::saving(error, "passkey", &own.name))?;
    Ok(own)
}

pub(super) async fn find(
    tx: &mut Tx,
    account: &Account,
    passkey: &Ref,
) -> Result<OwnPasskey, Error> {
    let mut all = store::passkeys(tx, account).await?.into_iter();
    let found = all.find(|it| passkey.means(it.id, &it.name));
    found.ok_or_else(|| passkey.not_found("passkey"))
}

/// All other sessions of the account end: whoever has the lost one may have begun some.
pub(super) async fn remove(
    change: &mut Change,
    account: &Account,
    (passkey, keep): (&OwnPasskey, Option<Uuid>),
) -> Result<(), Error> {
    let others = store::passkeys(change, account).await?.len() > 1;
    super::check_way_left(account.password_set_at.is_some() || others)?;
    store::delete_passkey(change, account, passkey.id).await?;
    session::end_of_account(change, (account.workspace, account.id), keep).await
}

/// The account whose passkey has answered.
pub(super) async fn prove(
    app: &Arc<App>,
    (site, challenge): (&Site, &Challenge),
    answer: Value,
    tried: Tried,
) -> Result<(Account, Proof), Error> {
    if challenge.account.is_some() {
        return Err(Error::Unauthenticated);
    }
    let claim = site.claim(&answer).map_err(|_| Error::Unauthenticated)?;
    let hash = secret::sha256(&claim.id);
    let found = {
        let mut tx = app.db.read().await?;
        store::find_passkey(&mut tx, &hash).await?
    };
    let Some((account, own)) = found.filter(|it| it.0.id == claim.account) else {
        return Err(Error::Unauthenticated);
    };
    // Others wait for whoever writes, so nobody does before the signature is known to be right.
    let Ok(used) = site.finish_proof((answer, &challenge.state), own.passkey.clone()) else {
        note_failure(app, account, tried);
        return Err(Error::Unauthenticated);
    };
    note_use(app, &account, (&own, &used)).await?;
    Ok((account, Proof::Passkey(own.id)))
}

/// Keeps how often it has signed, where that is still what it was held against: of two answers at a time, one
/// may be a copy's.
pub(super) async fn note_use(
    app: &App,
    account: &Account,
    (held, used): (&OwnPasskey, &Passkey),
) -> Result<(), Error> {
    let json = |it: &Passkey| it.to_json().map_err(Error::internal);
    let mut tx = app.db.begin().await?;
    let place = (account.workspace, account.id);
    if !store::hold_passkey(&mut tx, place, held.id).await? {
        return Err(Error::Unauthenticated);
    }
    let kept = find(&mut tx, account, &Ref::Id(held.id)).await?;
    if json(&kept.passkey)? != json(&held.passkey)? {
        return Err(Error::Unauthenticated);
    }
    store::note_use(&mut tx, account, (held.id, json(used)?, app.clock.now())).await?;
    Ok(tx.commit().await?)
}

fn refused(error: passkeys::Error) -> Error {
    match error {
        passkeys::Error::Kept(source) => Error::Internal(source),
        error => Error::Invalid(error.to_string()),
    }
}
