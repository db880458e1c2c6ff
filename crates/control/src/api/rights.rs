//! What the caller of a request may do, as of the moment in which it was let in.
//!
//! The guard asks before a handler runs; slices ask again for what only a body names, and before
//! each change, so that files are held to the same as requests. The answers come from
//! [`domain::Authority`], and from nothing else.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use db::Tx;
use domain::ports::Gate as _;
use domain::{
    Actor, Authority, Capability, Name, Object, Reach, Scope, Snapshot, Target, User, UserId,
    Verdict, Workspace,
};

use super::Error;
use crate::App;
use crate::session::{self, Caller, Of};
use crate::snapshot;

/// What somebody may do.
#[derive(Clone, Debug)]
pub(crate) enum Rights {
    /// An administrator of the installation; absent for whoever starts the program.
    Installation(Arc<Authority>, Option<Arc<Caller>>),
    User(Arc<Holder>),
}

/// A user, and what the grants say.
#[derive(Debug)]
pub(crate) struct Holder {
    workspace: Arc<Workspace>,
    user: User,
    limits: Option<BTreeSet<Capability>>,
    caller: Caller,
    /// As of which it was looked up.
    epoch: u64,
}

impl Rights {
    /// The rights of a caller by what holds now. A user who is gone or off is nobody.
    pub(crate) async fn of(app: &App, caller: &Caller) -> Result<Self, Error> {
        match &caller.of {
            Of::Installation => Ok(Self::of_operator(app, caller)),
            Of::User { .. } => {
                let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
                Self::in_snapshot(app, caller, &snapshot)
            }
        }
    }

    /// The same by a snapshot that is known to be current.
    pub(crate) fn in_snapshot(
        app: &App,
        caller: &Caller,
        snapshot: &Snapshot,
    ) -> Result<Self, Error> {
        let Of::User { workspace, user, limits, maker } = &caller.of else {
            return Ok(Self::of_operator(app, caller));
        };
        let workspace = snapshot.config.workspace(*workspace).ok_or(Error::Unauthenticated)?;
        let find = |id: &UserId| {
            let is_off = snapshot.switches.find(&Target::User(*id), app.clock.now()).is_some();
            let found = workspace.users.get(id).filter(|_| !is_off);
            found.ok_or(Error::Unauthenticated)
        };
        let user = find(user)?;
        // Where there is a list, whoever comes from nowhere is not on it.
        let is_admitted = |it| workspace.addresses.admit(it);
        if !workspace.addresses.is_empty() && !caller.address.is_some_and(is_admitted) {
            let text = "the workspace takes no requests from this address";
            return Err(Error::Forbidden(text.into()));
        }
        let mut limits = limits.clone();
        if let (Some(limits), Some(maker)) = (&mut limits, maker) {
            let maker = Actor::User { user: find(maker)?, limits: None };
            limits.retain(|it| workspace.authority.allows(maker, *it, &Object::Workspace));
        }
        let holder = Holder {
            workspace: Arc::clone(workspace),
            user: user.clone(),
            limits,
            caller: caller.clone(),
            epoch: snapshot.epoch,
        };
        Ok(Self::User(Arc::new(holder)))
    }

    /// The same by what holds now that `tx` has moved the epoch, so that nothing else changes:
    /// what was taken away while it waited for its turn is gone.
    pub(crate) async fn again(&self, app: &App, tx: &mut Tx) -> Result<Self, Error> {
        // A token may have been revoked before the epoch was read that the rights are of.
        let caller = match self {
            Self::Installation(_, None) => return Ok(self.clone()),
            Self::Installation(_, Some(caller)) => caller.as_ref(),
            Self::User(it) => &it.caller,
        };
        session::again(app, tx, caller).await?;
        let Self::User(it) = self else { return Ok(self.clone()) };
        if snapshot::epoch(tx).await? == it.epoch.saturating_add(1) {
            return Ok(self.clone());
        }
        let now = app.publisher.prepare(tx).await?;
        Self::in_snapshot(app, &it.caller, &now.snapshot)
    }

    /// Of whoever starts the program.
    pub(crate) fn of_installation(app: &App) -> Self {
        Self::Installation(Arc::clone(&app.authority), None)
    }

    fn of_operator(app: &App, caller: &Caller) -> Self {
        Self::Installation(Arc::clone(&app.authority), Some(Arc::new(caller.clone())))
    }

    /// Who it is; absent at the command line.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Installation(_, caller) => caller.as_deref(),
            Self::User(it) => Some(&it.caller),
        }
    }

    /// From where the request came; absent at the command line.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Installation(_, caller) => caller.as_ref()?.address,
            Self::User(it) => it.caller.address,
        }
    }

    /// The workspace that a user belongs to, as it is now; absent above all workspaces.
    pub(crate) fn workspace(&self) -> Option<&Arc<Workspace>> {
        match self {
            Self::Installation(..) => None,
            Self::User(it) => Some(&it.workspace),
        }
    }

    /// Who it is; absent above all workspaces.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Installation(..) => None,
            Self::User(it) => Some(it.user.id),
        }
    }

    /// The names of the workspace and of the user; absent above all workspaces.
    pub(crate) fn person(&self) -> Option<(Name, Name)> {
        match self {
            Self::Installation(..) => None,
            Self::User(it) => Some((it.workspace.name.clone(), it.user.name.clone())),
        }
    }

    /// Whether they reach beyond what everybody may do with what is theirs.
    pub(crate) fn administers(&self) -> bool {
        match self {
            Self::Installation(..) => true,
            Self::User(it) => {
                let mut grants = it.workspace.authority.grants_of(&it.user);
                grants.any(|it| !it.capabilities.is_empty())
            }
        }
    }

    /// Whether they are the same as `other`, as long as the things themselves are.
    pub(crate) fn reach_as_far_as(&self, other: &Self) -> bool {
        let (Self::User(is), Self::User(was)) = (self, other) else {
            return matches!((self, other), (Self::Installation(..), Self::Installation(..)));
        };
        let is_same = Arc::ptr_eq(&is.workspace, &was.workspace)
            || is
                .workspace
                .authority
                .grants_of(&is.user)
                .eq(was.workspace.authority.grants_of(&was.user));
        is_same && is.user.teams == was.user.teams && is.limits == was.limits
    }

    /// What the token is good for; everything that its user may do where absent.
    pub(crate) fn limits(&self) -> Option<&BTreeSet<Capability>> {
        match self {
            Self::Installation(..) => None,
            Self::User(it) => it.limits.as_ref(),
        }
    }

    pub(crate) fn may(&self, capability: Capability, object: &Object) -> bool {
        self.decide(capability, object).is_allowed
    }

    fn decide(&self, capability: Capability, object: &Object) -> Verdict {
        let (authority, actor) = self.ask();
        authority.decide(actor, capability, object)
    }

    /// Where they may do something.
    pub(crate) fn reach(&self, capability: Capability) -> Reach {
        let (authority, actor) = self.ask();
        authority.reach(actor, capability)
    }

    /// Refuses what they may not do; what they may not even see is not there.
    pub(crate) fn require(
        &self,
        capability: Capability,
        object: &Object,
        (kind, name): (&'static str, impl Display),
    ) -> Result<(), Error> {
        if self.may(capability, object) {
            return Ok(());
        }
        match sight(object) {
            Some(sight) if !self.may(sight, object) => {
                Err(Error::NotFound { kind, name: name.to_string() })
            }
            _ => Err(Error::forbidden(capability, format_args!("{kind} `{name}`"))),
        }
    }

    /// Refuses what needs a right on all of the workspace.
    pub(crate) fn require_on_workspace(&self, capability: Capability) -> Result<(), Error> {
        if self.may(capability, &Object::Workspace) {
            return Ok(());
        }
        Err(Error::forbidden(capability, "the workspace"))
    }

    /// Refuses to hand out more than they hold themselves.
    pub(crate) fn require_all(
        &self,
        capabilities: &BTreeSet<Capability>,
        on: Scope,
    ) -> Result<(), Error> {
        let object = Object::from(on);
        match capabilities.iter().find(|it| !self.may(**it, &object)) {
            None => Ok(()),
            Some(missing) => Err(Error::Forbidden(format!(
                "this would hand out `{missing}` on {}, which you do not hold there",
                self.workspace().map_or_else(|| "it".into(), |it| describe(it, on))
            ))),
        }
    }

    fn ask(&self) -> (&Authority, Actor<'_>) {
        match self {
            Self::Installation(authority, _) => (authority, Actor::Installation),
            Self::User(it) => {
                let Holder { workspace, user, limits, .. } = it.as_ref();
                (&workspace.authority, Actor::User { user, limits: limits.as_ref() })
            }
        }
    }
}

/// What a role is granted for, as one would name it.
pub(crate) fn describe(workspace: &Workspace, on: Scope) -> String {
    let named = |kind: &str, name: Option<&Name>| match name {
        Some(name) => format!("{kind} `{name}`"),
        None => format!("a {kind}"),
    };
    match on {
        Scope::Workspace => "the workspace".into(),
        Scope::Gateway(id) => {
            let found = workspace.gateways.values().find(|it| it.id == id);
            named("gateway", found.map(|it| &it.name))
        }
        Scope::Server(id) => named("server", workspace.servers.get(&id).map(|it| &it.name)),
        Scope::Team(id) => named("team", workspace.teams.get(&id)),
    }
}

/// What shows that a thing exists. That of a workspace and what it is in is no secret to those
/// who are in it.
fn sight(object: &Object) -> Option<Capability> {
    match object {
        Object::App { .. } | Object::Connection { .. } => Some(Capability::AppsRead),
        Object::Gateway { .. } => Some(Capability::GatewaysRead),
        Object::Identity { .. } => Some(Capability::IdentitiesRead),
        Object::Server(_) => Some(Capability::ServersRead),
        Object::Team(_) | Object::User(_) => Some(Capability::PeopleRead),
        Object::Installation | Object::Workspace => None,
    }
}

impl<S: Sync> FromRequestParts<S> for Rights {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::NoRoute)
    }
}
