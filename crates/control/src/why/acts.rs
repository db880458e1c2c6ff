//! Why a user may or may not do something as an administrator.

use domain::{Actor, Capability, Holder, Object, Reason, RoleGrant, User, Workspace};

use super::{Answer, Link};

/// What is asked about; `on` is what it was called.
pub(super) struct Question<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) user: &'a User,
    pub(super) capability: Capability,
    pub(super) object: Object,
    pub(super) on: String,
}

impl Question<'_> {
    /// As with a token that is good for everything that the user may do.
    pub(super) fn answer(&self) -> Answer {
        let actor = Actor::User { user: self.user, limits: None };
        let authority = &self.workspace.authority;
        let verdict = authority.decide(actor, self.capability, &self.object);
        let mut chain = vec![Link::new("user", &self.user.name, self.teams())];
        let (user, capability, on) = (&self.user.name, self.capability, &self.on);
        if !verdict.is_allowed {
            chain.push(Link::new("grant", "none", self.missing()));
            let because = format!("no role of user `{user}` holds `{capability}` on {on}");
            return Answer::denied(None, because, chain);
        }
        let mut because = format!("it is what `member` may do with what is theirs: {on}");
        for reason in &verdict.by {
            let Reason::Grant(id) = reason else {
                let detail = "every user holds it for what is theirs";
                chain.push(Link::new("role", "member", detail));
                continue;
            };
            let Some(grant) = authority.grants().find(|it| it.id == *id) else { continue };
            because = format!(
                "grant `{}` gives {} the role `{}`, which holds `{capability}`, on {}",
                grant.name,
                self.holder(grant),
                grant.role,
                self.scope(grant),
            );
            chain.push(Link::new("grant", &grant.name, &because));
        }
        Answer::allowed(None, because, chain)
    }

    fn teams(&self) -> String {
        let names = self.user.teams.iter().filter_map(|it| self.workspace.teams.get(it));
        let names: Vec<&str> = names.map(AsRef::as_ref).collect();
        if names.is_empty() { "in no team".into() } else { format!("in {}", names.join(", ")) }
    }

    /// What they hold, that is not enough.
    fn missing(&self) -> String {
        let held = self.workspace.authority.grants_of(self.user);
        let held: Vec<String> =
            held.map(|it| format!("`{}` on {}", it.role, self.scope(it))).collect();
        if held.is_empty() {
            "no role is granted to them".into()
        } else {
            format!("granted are {}", held.join(", "))
        }
    }

    fn holder(&self, grant: &RoleGrant) -> String {
        match grant.holder {
            Holder::User(_) => format!("user `{}`", self.user.name),
            Holder::Team(id) => {
                let name = self.workspace.teams.get(&id).map_or("", AsRef::as_ref);
                format!("team `{name}`")
            }
        }
    }

    fn scope(&self, grant: &RoleGrant) -> String {
        crate::api::describe(self.workspace, grant.on)
    }
}
