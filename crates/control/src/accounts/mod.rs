//! With which people sign in: users of a workspace, and administrators of the installation.
//!
//! An account has a password, passkeys, or both. Whether a name exists, nobody learns who does not know
//! its password: the work is the same, and so is the answer ([`password`]). Guessing is slowed down,
//! by whom it is about and by where it comes from, and nobody is locked out for good ([`attempts`]).

mod above;
mod api;
mod attempts;
mod challenges;
mod passkeys;
mod passkeys_api;
mod password;
mod reset;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use ::passkeys::Passkey;
use axum::response::Response;
use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Name, UserId, WorkspaceId};
use uuid::Uuid;

pub(crate) use api::{private_routes, public_routes};
pub(crate) use attempts::Attempts;
pub(crate) use challenges::Turns;
pub(crate) use password::Passwords;
pub(crate) use reset::routes;

use crate::App;
use crate::api::{Error, Rights, Touched};
use crate::change::Change;
use crate::identities::SecretText;
use crate::secret;
use crate::session::{self, Caller, Device, Of, Opening};
use crate::trail::{self, What};
use attempts::Attempt;
use password::{For, NewPassword, PasswordHash};

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    /// The nil id above all workspaces.
    pub(crate) workspace: WorkspaceId,
    /// Absent above all workspaces.
    pub(crate) user: Option<UserId>,
    /// Its own, or its user's.
    pub(crate) name: Name,
    pub(crate) password_set_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
}

/// What has proven an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// The password that was set then; of an account that has just been made, whatever it has.
    Password(Option<DateTime<Utc>>),
    Passkey(Uuid),
}

/// Whom somebody says they are.
struct Named {
    /// Absent for an administrator of the installation.
    workspace: Option<Name>,
    name: Name,
}

/// Where accounts are that are in no workspace.
pub(crate) const ABOVE: WorkspaceId = WorkspaceId(Uuid::nil());

impl Account {
    /// The first of an installation, made with this token.
    fn first(token: Uuid, (at, name): (DateTime<Utc>, Name), has_password: bool) -> Self {
        Self {
            id: first_id(token),
            workspace: ABOVE,
            user: None,
            name,
            password_set_at: has_password.then_some(at),
            created_at: at,
        }
    }

    /// Whoever has shown that it is theirs.
    fn into_caller(self, address: Option<IpAddr>) -> Caller {
        let Self { id, workspace, user, name, .. } = self;
        let of = match user {
            None => Of::Installation,
            Some(user) => Of::User { workspace, user, limits: None, maker: None },
        };
        let mut caller = Caller::of_account(id, name.to_string(), of);
        caller.address = address;
        caller
    }

    fn log(&self) -> Uuid {
        if self.user.is_none() { trail::INSTALLATION } else { self.workspace.0 }
    }
}

/// The id of the first account, which nobody else's account has, and nobody else is asked for a passkey of:
/// those of users have the ids of their users.
fn first_id(token: Uuid) -> Uuid {
    // Of the same moment, as every id says when it was made.
    let (moment, _) = token.as_u64_pair();
    let hash = secret::sha256(&[&b"account of "[..], &token.as_bytes()[..]].concat());
    let drawn = u64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default());
    Uuid::from_u64_pair(moment, (drawn >> 2) | (1 << 63))
}

/// Whether nobody has an account above all workspaces, and there is a token to make the first with.
async fn is_set_up_open(tx: &mut Tx) -> Result<bool, Error> {
    Ok(!store::has_administrators(tx).await? && session::founds(tx).await?)
}

/// Somebody who tries to sign in: the request, and what it asks for. Nothing of it is recorded otherwise.
type SignIn = Option<(Uuid, &'static str)>;

/// The same, and from where.
type Tried = (SignIn, Option<IpAddr>);

/// Signs in whoever knows the password, as often as strangers may try.
async fn sign_in(
    app: &Arc<App>,
    (named, password): (Named, SecretText),
    device: Device,
    (id, action, address): (Uuid, &'static str, Option<IpAddr>),
) -> Result<Response, Error> {
    let attempt = Attempt::new(named.workspace.as_ref(), &named.name, address);
    let is_known = app.attempts.admit(&attempt, app.clock.elapsed())?;
    let whose = if is_known { For::Known } else { For::Strangers };
    let tried = (Some((id, action)), address);
    let proven = prove(app, (named, password), (whose, tried)).await?;
    let begun = begin(app, (proven, device), (id, action, address)).await?;
    app.attempts.succeed(&attempt, app.clock.elapsed());
    Ok(begun)
}

/// The account whose password this is. A wrong one is recorded where there is an account that it is
/// not of.
async fn prove(
    app: &Arc<App>,
    (named, password): (Named, SecretText),
    (whose, tried): (For, Tried),
) -> Result<(Account, Proof), Error> {
    let Named { workspace, name } = named;
    let found = {
        let mut tx = app.db.read().await?;
        store::find_by_name(&mut tx, workspace.as_ref(), &name).await?
    };
    let (account, hash) = found.unzip();
    let is_right = app.passwords.is_right((password, hash.flatten()), whose).await?;
    let Some(account) = account else { return Err(Error::Unauthenticated) };
    if is_right {
        let proof = Proof::Password(account.password_set_at);
        return Ok((account, proof));
    }
    note_failure(app, account, tried);
    Err(Error::Unauthenticated)
}

/// Records it as nobody's act, when the answer need not wait for it any more: it would tell that there is
/// an account. What somebody does who is signed in is recorded as theirs anyway.
fn note_failure(app: &Arc<App>, account: Account, (sign_in, address): Tried) {
    let task = Arc::clone(app);
    app.tasks.spawn(async move {
        tracing::warn!(account.name = %account.name, "Someone failed to prove who they are");
        let Some((id, action)) = sign_in else { return };
        let what = What::words(action);
        let at = (account.log(), &touched(&account));
        let error = &Error::Unauthenticated;
        let refused = trail::refuse_stranger(&task, (id, what, address), (at, error)).await;
        if let Err(error) = refused {
            tracing::error!(error = %crate::api::chain(&error), "A failed sign-in is not recorded");
        }
    });
}

/// Makes the first account of the installation, as whoever holds this token.
async fn set_up(
    app: &Arc<App>,
    (rights, token): (&Rights, Uuid),
    account: &Account,
    (hash, passkey): (Option<PasswordHash>, Option<(Name, Passkey)>),
) -> Result<Touched, Error> {
    // A change: it is the only one under way, and the token may have been revoked meanwhile.
    let mut change = Change::begin_switch(app, rights).await?;
    check_set_up_open(&mut change).await?;
    session::spend(&mut change, token).await?;
    store::insert(&mut change, account, hash.as_ref()).await?;
    if let Some(passkey) = passkey {
        passkeys::keep(app, &mut change, account, passkey).await?;
    }
    let shown = api::AccountBody::of(&mut change, account.clone()).await?;
    change.commit().await?;
    let after = serde_json::to_value(shown).map_err(Error::internal)?;
    let made = Touched { after: Some(after), ..touched(account) };
    Ok(made.sealing(hash.map(|_| "password".to_owned())))
}

async fn check_set_up_open(tx: &mut Tx) -> Result<(), Error> {
    if is_set_up_open(tx).await? {
        return Ok(());
    }
    let text = "this installation has been set up already; on its machine, `ostiary admin-token --set-up` \
                makes a token for doing it again, once there is no account above all workspaces";
    Err(Error::Conflict(text.into()))
}

/// The same, for whoever holds this token.
async fn check_set_up(tx: &mut Tx, token: Uuid) -> Result<(), Error> {
    check_set_up_open(tx).await?;
    session::check_founds(tx, token).await
}

/// The account of whoever is signed in. Users who hold a token of their own get one with it.
async fn own(tx: &mut Tx, caller: &Caller) -> Result<Option<Account>, Error> {
    match (&caller.of, caller.is_account) {
        (Of::Installation, true) => store::find(tx, ABOVE, caller.id).await,
        (Of::Installation, false) => Ok(None),
        (Of::User { workspace, user, .. }, _) => store::find_of_user(tx, *workspace, *user).await,
    }
}

/// The id of that account, which it has before it is there.
fn own_id(caller: &Caller) -> Option<Uuid> {
    match (&caller.of, caller.is_account) {
        (_, true) => Some(caller.id),
        (Of::Installation, false) => None,
        (Of::User { user, .. }, false) => Some(user.0),
    }
}

/// Whoever holds a token of a user makes the first way in, and changes none: else a token that was lost
/// for a moment would be the whole user for good.
async fn check_changes(tx: &mut Tx, caller: &Caller, account: &Account) -> Result<(), Error> {
    let has_none = account.password_set_at.is_none();
    if caller.is_account || has_none && store::passkeys(tx, account).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Forbidden("this account is in use; sign in to it to change how".into()))
}

/// The same, which is made where there is none.
async fn own_or_new(change: &mut Change, caller: &Caller) -> Result<Account, Error> {
    if let Some(found) = own(change, caller).await? {
        check_changes(change, caller, &found).await?;
        return Ok(found);
    }
    let Some((Of::User { workspace, user, .. }, (_, name))) =
        Some(&caller.of).zip(change.rights().person())
    else {
        return Err(has_none());
    };
    let account = Account {
        id: user.0,
        workspace: *workspace,
        user: Some(*user),
        name,
        password_set_at: None,
        created_at: change.now(),
    };
    store::insert(change, &account, None).await?;
    Ok(account)
}

/// What whoever holds a token of the installation is told.
fn has_none() -> Error {
    Error::Conflict("an admin token of the installation has no account; sign in with one".into())
}

/// What the account that is signed in to is called, and where.
fn named(caller: &Caller, rights: &Rights) -> Result<Named, Error> {
    Ok(match rights.person() {
        Some((workspace, name)) => Named { workspace: Some(workspace), name },
        None => Named { workspace: None, name: caller.name.parse().map_err(Error::internal)? },
    })
}

/// With a token that is good for less than its user one could otherwise become all of them.
fn check_whole(caller: &Caller) -> Result<(), Error> {
    match &caller.of {
        Of::User { limits: None, maker: None, .. } | Of::Installation => Ok(()),
        Of::User { .. } => Err(Error::Forbidden(
            "this token is good for less than its user, and so cannot change how they sign in"
                .into(),
        )),
    }
}

/// All other sessions of the account end, so that whoever knew the password before is out.
async fn set_password(
    change: &mut Change,
    account: &Account,
    (hash, keep): (&PasswordHash, Option<Uuid>),
) -> Result<Account, Error> {
    let now = change.now();
    store::set_password(change, account, (hash, now)).await?;
    session::end_of_account(change, (account.workspace, account.id), keep).await?;
    Ok(Account { password_set_at: Some(now), ..account.clone() })
}

/// Takes the password away, and with it the other sessions.
async fn take_password(
    change: &mut Change,
    account: &Account,
    keep: Option<Uuid>,
) -> Result<(), Error> {
    check_way_left(!store::passkeys(change, account).await?.is_empty())?;
    store::take_password(change, account).await?;
    session::end_of_account(change, (account.workspace, account.id), keep).await
}

/// Nobody takes the last way in from themselves.
fn check_way_left(is_left: bool) -> Result<(), Error> {
    if is_left {
        return Ok(());
    }
    Err(Error::Conflict("it is the last way to sign in to this account; add another first".into()))
}

/// What the record says of an account.
fn touched(account: &Account) -> Touched {
    Touched::new("account", account.id, &account.name)
}

/// What has proven an account must still do so, and does until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Tx,
    account: (WorkspaceId, Uuid),
    proof: Proof,
) -> Result<(), Error> {
    let is_held = match proof {
        Proof::Password(set_at) => store::hold_password(tx, account, set_at).await?,
        Proof::Passkey(passkey) => store::hold_passkey(tx, account, passkey).await?,
    };
    if is_held { Ok(()) } else { Err(Error::Unauthenticated) }
}

/// Nobody holds the account of this user from now on, until the transaction ends.
pub(crate) async fn touch(tx: &mut Tx, user: (WorkspaceId, UserId)) -> Result<(), Error> {
    Ok(store::touch(tx, user).await?)
}

/// Signs in whoever has proven to be this.
async fn begin(
    app: &Arc<App>,
    ((account, proof), device): ((Account, Proof), Device),
    (id, action, address): (Uuid, &'static str, Option<IpAddr>),
) -> Result<Response, Error> {
    let caller = account.clone().into_caller(address);
    // Who is off, or comes from where the workspace takes nothing, is nobody: else the answer would tell
    // from anywhere that the password is right.
    let rights = match Rights::of(app, &caller).await {
        Err(Error::Unauthenticated | Error::Forbidden(_)) => {
            note_failure(app, account, (Some((id, action)), address));
            return Err(Error::Unauthenticated);
        }
        rights => rights?,
    };
    let what = (id, What::words(action));
    let opening = Opening { device, proof: Some(proof) };
    session::sign_in_as(app, (caller, rights, opening), what, async { Ok(None) }).await
}
