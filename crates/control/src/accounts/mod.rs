//! With which people sign in: users of a workspace, and administrators of the installation.
//!
//! An account has a password, passkeys, or both. Whether a name exists, nobody learns who does not know
//! its password: the work is the same, and so is the answer ([`password`]). Guessing is slowed down,
//! by whom it is about and by where it comes from, and nobody is locked out for good ([`attempts`]).

mod api;
mod attempts;
mod challenges;
mod passkeys;
mod passkeys_api;
mod password;
mod store;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use ::passkeys::Passkey;
use axum::response::Response;
use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Name, Stamp, UserId, WorkspaceId};
use uuid::Uuid;

pub(crate) use api::{private_routes, public_routes};
pub(crate) use attempts::Attempts;
pub(crate) use password::Passwords;

use crate::App;
use crate::api::{Error, Rights, Touched};
use crate::change::Change;
use crate::identities::SecretText;
use crate::session::{self, Caller, Device, Of};
use crate::trail::{self, What};
use attempts::Attempt;
use password::{NewPassword, PasswordHash};

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

/// Whom somebody says they are.
struct Named {
    /// Absent for an administrator of the installation.
    workspace: Option<Name>,
    name: Name,
}

/// Where accounts are that are in no workspace.
pub(crate) const ABOVE: WorkspaceId = WorkspaceId(Uuid::nil());

impl Account {
    /// The first of an installation.
    fn first(stamp: Stamp, name: Name, has_password: bool) -> Self {
        Self {
            id: stamp.id,
            workspace: ABOVE,
            user: None,
            name,
            password_set_at: has_password.then_some(stamp.at),
            created_at: stamp.at,
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

/// Whether nobody has an account above all workspaces yet, so that whoever holds an admin token may
/// make the first.
async fn is_set_up_open(tx: &mut Tx) -> Result<bool, Error> {
    Ok(!store::has_administrators(tx).await?)
}

/// The account whose password this is. A wrong one is recorded where there is an account that it is
/// not of.
async fn prove(
    app: &Arc<App>,
    (named, password): (Named, SecretText),
    (id, action, address): (Uuid, &str, Option<IpAddr>),
) -> Result<Account, Error> {
    let Named { workspace, name } = named;
    let attempt = Attempt::new(workspace.as_ref(), &name, address);
    app.attempts.admit(&attempt, app.clock.elapsed())?;
    let found = {
        let mut tx = app.db.read().await?;
        store::find_by_name(&mut tx, workspace.as_ref(), &name).await?
    };
    let (account, hash) = found.unzip();
    let is_right = app.passwords.is_right(password, hash.flatten()).await?;
    let Some(account) = account else { return Err(Error::Unauthenticated) };
    if is_right {
        app.attempts.succeed(&attempt, app.clock.elapsed());
        return Ok(account);
    }
    note_failure(app, account, (id, action, address));
    Err(Error::Unauthenticated)
}

/// Records it, when the answer need not wait for it any more: it would tell that there is an account.
fn note_failure(
    app: &Arc<App>,
    account: Account,
    (id, action, address): (Uuid, &str, Option<IpAddr>),
) {
    tracing::warn!(account.name = %account.name, "Someone failed to sign in");
    let (task, what) = (Arc::clone(app), What::words(action));
    app.tasks.spawn(async move {
        let log = account.log();
        let caller = account.into_caller(address);
        let refused =
            trail::refuse(&task, &caller, (id, what), (log, &Error::Unauthenticated)).await;
        if let Err(error) = refused {
            tracing::error!(error = %crate::api::chain(&error), "A failed sign-in is not recorded");
        }
    });
}

/// Makes the first account of the installation, as whoever holds the token of these rights.
async fn set_up(
    app: &Arc<App>,
    rights: &Rights,
    account: &Account,
    (hash, passkey): (Option<PasswordHash>, Option<(Name, Passkey)>),
) -> Result<Touched, Error> {
    // A change: it is the only one under way, and the token may have been revoked meanwhile.
    let mut change = Change::begin_switch(app, rights).await?;
    check_set_up_open(&mut change).await?;
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
    Err(Error::Conflict("this installation has been set up already".into()))
}

/// The account of whoever is signed in. Users who hold a token of their own get one with it.
async fn own(tx: &mut Tx, caller: &Caller) -> Result<Option<Account>, Error> {
    match (&caller.of, caller.is_account) {
        (Of::Installation, true) => store::find(tx, ABOVE, caller.id).await,
        (Of::Installation, false) => Ok(None),
        (Of::User { workspace, user, .. }, _) => store::find_of_user(tx, *workspace, *user).await,
    }
}

/// The same, which is made where there is none, by this id if it has been promised one.
async fn own_or_new(
    change: &mut Change,
    caller: &Caller,
    id: Option<Uuid>,
) -> Result<Account, Error> {
    if let Some(found) = own(change, caller).await? {
        return Ok(found);
    }
    let Some((Of::User { workspace, user, .. }, (_, name))) =
        Some(&caller.of).zip(change.rights().person())
    else {
        let text = "an admin token of the installation has no account; sign in with one";
        return Err(Error::Conflict(text.into()));
    };
    let stamp = change.stamp();
    let account = Account {
        id: id.unwrap_or(stamp.id),
        workspace: *workspace,
        user: Some(*user),
        name,
        password_set_at: None,
        created_at: stamp.at,
    };
    store::insert(change, &account, None).await?;
    Ok(account)
}

/// What the account of whoever is signed in is called, and where.
fn named(caller: &Caller, rights: &Rights) -> Result<Named, Error> {
    Ok(match rights.person() {
        Some((workspace, name)) => Named { workspace: Some(workspace), name },
        None if caller.is_account => {
            let name = caller.name.parse().map_err(Error::internal)?;
            Named { workspace: None, name }
        }
        // It counts attempts, and is the name of nobody.
        None => Named { workspace: None, name: "token".parse().map_err(Error::internal)? },
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

/// Signs in whoever has proven to be this.
async fn begin(
    app: &Arc<App>,
    (account, device): (Account, Device),
    (id, action, address): (Uuid, &str, Option<IpAddr>),
) -> Result<Response, Error> {
    let caller = account.into_caller(address);
    // Who is off, or comes from where the workspace takes nothing, is nobody.
    let rights = Rights::of(app, &caller).await?;
    let what = (id, What::words(action));
    session::sign_in_as(app, (caller, rights, device), what, async { Ok(None) }).await
}
