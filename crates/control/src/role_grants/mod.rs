//! Roles given to users and teams: for the workspace, or for one gateway, server or team of it
//! and all below that.
//!
//! Nobody hands out more than they hold themselves, where it is handed out: not by a grant, and
//! not by putting somebody into a team. A workspace that has an administrator keeps one, whoever
//! of its users changes what.

mod api;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{
    Capability, GatewayId, Name, RoleGrantId, RoleId, Scope, ServerId, TeamId, UserId, WorkspaceId,
};
use serde::{Deserialize, Serialize};

pub(crate) use api::{NewRoleGrant, routes};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::roles::{self, BuiltIn};
use crate::row::Named;
use crate::{gateways, servers, teams, users};

#[derive(Clone, Debug)]
pub(crate) struct RoleGrant {
    pub(crate) id: RoleGrantId,
    pub(crate) name: Name,
    pub(crate) role: Name,
    /// Of the role.
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) holder: Holder,
    pub(crate) on: On,
    pub(crate) created_at: DateTime<Utc>,
}

/// To whom it is given.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    Team(Named<TeamId>),
    User(Named<UserId>),
}

/// What it is given for.
#[derive(Clone, Debug)]
pub(crate) enum On {
    Gateway(Named<GatewayId>),
    Server(Named<ServerId>),
    Team(Named<TeamId>),
    Workspace,
}

/// What somebody says that it is for: `workspace`, `gateway/main`, `server/jira` or `team/dev`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum OnText {
    Gateway(Ref),
    Server(Ref),
    Team(Ref),
    #[default]
    Workspace,
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<RoleGrant>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    grant: &Ref,
) -> Result<RoleGrant, Error> {
    let found = store::select(tx, workspace, Which::One(grant)).await?.pop();
    found.ok_or_else(|| grant.not_found("grant"))
}

/// All grants of a role.
pub(crate) async fn of_role(
    tx: &mut Tx,
    workspace: WorkspaceId,
    role: RoleId,
) -> Result<Vec<RoleGrant>, Error> {
    store::of_role(tx, workspace, role).await
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewRoleGrant,
) -> Result<RoleGrant, Error> {
    let stamp = change.stamp();
    let on = resolve(change, workspace, &new.on).await.map_err(Error::in_body)?;
    let named = ("role grant on", String::from(new.on.clone()));
    change.require(Capability::RolesWrite, &on.scope().into(), named).map_err(Error::in_body)?;
    let role = roles::find(change, workspace, &new.role).await.map_err(Error::in_body)?;
    match BuiltIn::find(role.name.as_str()) {
        Some(BuiltIn::Member) => {
            return Err(Error::Invalid("every user is a `member`; it is not granted".into()));
        }
        Some(BuiltIn::SuperAdmin) => {
            let why = "`super-admin` is held by the admin tokens of the installation alone";
            return Err(Error::Invalid(why.into()));
        }
        Some(BuiltIn::WorkspaceAdmin) | None => {}
    }
    change.rights().require_all(&role.capabilities, on.scope())?;
    let holder = match (&new.user, &new.team) {
        (Some(user), None) => {
            let found = users::find(change, workspace, user).await.map_err(Error::in_body)?;
            Holder::User(Named { id: found.id, name: found.name })
        }
        (None, Some(team)) => {
            let found = teams::find(change, workspace, team).await.map_err(Error::in_body)?;
            Holder::Team(Named { id: found.id, name: found.name })
        }
        _ => return Err(Error::Invalid("grant it to a `user` or to a `team`".into())),
    };
    let grant = RoleGrant {
        id: RoleGrantId(stamp.id),
        name: new.name,
        role: role.name,
        capabilities: role.capabilities,
        holder,
        on,
        created_at: stamp.at,
    };
    store::insert(change, workspace, (role.id, &grant))
        .await
        .map_err(|error| Error::saving(error, "role grant", &grant.name))?;
    Ok(grant)
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    grant: &RoleGrant,
) -> Result<(), Error> {
    let object = grant.on.scope().into();
    change.require(Capability::RolesWrite, &object, ("grant", &grant.name))?;
    let keeper = keeper(change, workspace).await?;
    store::delete(change, workspace, grant.id).await?;
    keeper.check(change).await
}

/// Refuses to put somebody into a team that has been granted more than whoever does it holds.
pub(crate) async fn check_joining(
    change: &mut Change,
    workspace: WorkspaceId,
    team: TeamId,
) -> Result<(), Error> {
    for grant in store::of_team(change, workspace, team).await? {
        change.rights().require_all(&grant.capabilities, grant.on.scope())?;
    }
    Ok(())
}

/// Refuses to meddle with a user who has been granted more than whoever does it holds.
pub(crate) async fn check_holds_as_much(
    change: &mut Change,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), Error> {
    for grant in store::of_user(change, workspace, user).await? {
        let object = grant.on.scope().into();
        let missing = grant.capabilities.iter().find(|it| !change.rights().may(**it, &object));
        if let Some(missing) = missing {
            let on = String::from(grant.on.text());
            let text = format!("this user holds `{missing}` on {on}, which you do not");
            return Err(Error::Forbidden(text));
        }
    }
    Ok(())
}

/// Sees to it that a workspace keeps an administrator.
#[must_use]
pub(crate) struct Keeper {
    workspace: WorkspaceId,
    had_one: bool,
}

/// To be made before a change that may take administrators away, and asked after it.
pub(crate) async fn keeper(change: &mut Change, workspace: WorkspaceId) -> Result<Keeper, Error> {
    let now = change.now();
    let had_one = store::has_administrator(change, workspace, now).await?;
    Ok(Keeper { workspace, had_one })
}

impl Keeper {
    /// Whoever stands above the workspace may empty it, and can always make another one.
    pub(crate) async fn check(self, change: &mut Change) -> Result<(), Error> {
        if !self.had_one || change.rights().user().is_none() {
            return Ok(());
        }
        let now = change.now();
        if store::has_administrator(change, self.workspace, now).await? {
            return Ok(());
        }
        let why = "this would leave the workspace without anybody who is `workspace-admin`";
        Err(Error::Conflict(why.into()))
    }
}

async fn resolve(tx: &mut Tx, workspace: WorkspaceId, on: &OnText) -> Result<On, Error> {
    Ok(match on {
        OnText::Workspace => On::Workspace,
        OnText::Gateway(it) => {
            let found = gateways::find(tx, workspace, it).await?;
            On::Gateway(Named { id: found.id, name: found.name })
        }
        OnText::Server(it) => {
            let found = servers::find(tx, workspace, it).await?;
            On::Server(Named { id: found.id, name: found.name })
        }
        OnText::Team(it) => {
            let found = teams::find(tx, workspace, it).await?;
            On::Team(Named { id: found.id, name: found.name })
        }
    })
}

impl On {
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Gateway(it) => Scope::Gateway(it.id),
            Self::Server(it) => Scope::Server(it.id),
            Self::Team(it) => Scope::Team(it.id),
            Self::Workspace => Scope::Workspace,
        }
    }

    /// As one would say it.
    pub(crate) fn text(&self) -> OnText {
        match self {
            Self::Gateway(it) => OnText::Gateway((&it.name).into()),
            Self::Server(it) => OnText::Server((&it.name).into()),
            Self::Team(it) => OnText::Team((&it.name).into()),
            Self::Workspace => OnText::Workspace,
        }
    }
}

impl TryFrom<String> for OnText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const HELP: &str = "use `workspace`, `gateway/…`, `server/…` or `team/…`";
        if text == "workspace" {
            return Ok(Self::Workspace);
        }
        let (kind, name) = text.split_once('/').ok_or(HELP)?;
        let named = Ref::try_from(name.to_owned())?;
        match kind {
            "gateway" => Ok(Self::Gateway(named)),
            "server" => Ok(Self::Server(named)),
            "team" => Ok(Self::Team(named)),
            _ => Err(HELP),
        }
    }
}

impl From<OnText> for String {
    fn from(on: OnText) -> Self {
        match on {
            OnText::Gateway(it) => format!("gateway/{it}"),
            OnText::Server(it) => format!("server/{it}"),
            OnText::Team(it) => format!("team/{it}"),
            OnText::Workspace => "workspace".into(),
        }
    }
}
