//! Who may administer what, decided by Cedar.
//!
//! The grants of a workspace compile into one policy set: a permit for each grant, for those to
//! whom it is given, for the capabilities of its role, on what it is given for and all below that.
//! What every user may do with what is theirs is a policy like these, and so is what the
//! administrators of the installation may do. A token may have fewer capabilities than its user:
//! that is a forbid.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};
use std::{fmt, mem};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy as CedarPolicy, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema,
};
use uuid::Uuid;

use crate::policy::{PolicyError, entity_error, uid, validate};
use crate::{
    Capability, GatewayId, Name, RoleGrantId, ServerId, TeamId, User, UserId, WorkspaceId,
};

/// A role given to someone, for the workspace or for one thing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleGrant {
    pub id: RoleGrantId,
    pub name: Name,
    pub role: Name,
    pub holder: Holder,
    pub on: Scope,
    /// Of the role.
    pub capabilities: BTreeSet<Capability>,
}

/// To whom a role is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    Team(TeamId),
    User(UserId),
}

/// What a role is granted for; it covers everything below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Gateway(GatewayId),
    Server(ServerId),
    Team(TeamId),
    Workspace,
}

/// What somebody wants to look at or change, with what it is below of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    App { owner: UserId },
    Connection { gateway: GatewayId, owner: UserId },
    Gateway { id: GatewayId, teams: BTreeSet<TeamId> },
    Identity { server: ServerId, owner: Option<UserId> },
    Installation,
    Server(ServerId),
    Team(TeamId),
    User(UserId),
    Workspace,
}

/// Who wants to.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// An administrator of the installation, who stands above all workspaces.
    Installation,
    /// A user of the workspace, with a token.
    User {
        user: &'a User,
        /// What the token is good for; everything that its user may do where absent.
        limits: Option<&'a BTreeSet<Capability>>,
    },
}

/// Whether something is allowed, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub is_allowed: bool,
    /// What has decided; empty where there is simply nothing that allows it.
    pub by: Vec<Reason>,
}

/// What has decided about an administrative act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Grant(RoleGrantId),
    /// The token is good for less than its user.
    Limits,
    /// It belongs to whoever asks.
    Own,
    /// An administrator of the installation asks.
    SuperAdmin,
}

/// Where somebody holds a capability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everywhere in the workspace.
    pub is_whole: bool,
    /// Only on these, and below.
    pub scopes: BTreeSet<Scope>,
    /// And on what belongs to this user.
    pub own: Option<UserId>,
}

/// The compiled grants of a workspace. By default nobody may do anything.
pub struct Authority {
    set: PolicySet,
    workspace: WorkspaceId,
    /// By name.
    grants: Vec<Arc<RoleGrant>>,
}

/// The shape of principals and resources; the actions are added to it.
const SCHEMA: &str = r"
entity Installation;
entity Workspace in [Installation];
entity Team in [Workspace];
entity User in [Team, Workspace];
entity Token in [User] = { limits?: Set<String> };
entity Operator;
entity Gateway in [Workspace] = { teams: Set<Team> };
entity Server in [Workspace];
entity Identity in [Server] = { owner?: User };
entity App in [Workspace] = { owner: User };
entity Connection in [Gateway] = { owner: User };
";

/// What holds without any grant.
const ALWAYS: &[(&str, &str)] = &[
    ("super-admin", "permit(principal is Operator, action, resource);"),
    (
        "own-user",
        r#"permit(principal is Token,
             action in [Action::"people:read", Action::"admin-tokens:read",
                        Action::"admin-tokens:write"],
             resource is User) when { principal in resource };"#,
    ),
    (
        "own-app",
        r#"permit(principal is Token, action == Action::"apps:read", resource is App)
           when { principal in resource.owner };"#,
    ),
    (
        "own-connection",
        r#"permit(principal is Token, action == Action::"apps:read", resource is Connection)
           when { principal in resource.owner };"#,
    ),
    (
        "own-identity",
        r#"permit(principal is Token, action == Action::"identities:read", resource is Identity)
           when { resource has owner && principal in resource.owner };"#,
    ),
    (
        "own-gateway",
        r#"permit(principal is Token, action == Action::"gateways:read", resource is Gateway)
           when { principal in resource.teams };"#,
    ),
    (
        "limits",
        r"forbid(principal is Token, action, resource)
          when { principal has limits && !principal.limits.contains(context.capability) };",
    ),
];

impl Authority {
    /// Compiles the grants of a workspace.
    ///
    /// # Errors
    /// Where Cedar refuses the policies, which are made here, or the schema check fails.
    pub fn compile(workspace: WorkspaceId, grants: Vec<RoleGrant>) -> Result<Self, PolicyError> {
        let mut set = PolicySet::new();
        for (id, text) in ALWAYS {
            add(&mut set, id, text)?;
        }
        check(workspace, set.clone(), &grants)?;
        for it in grants.iter().filter(|it| !it.capabilities.is_empty()) {
            add(&mut set, &it.id.to_string(), &text(workspace, it))?;
        }
        Ok(Self { set, workspace, grants: grants.into_iter().map(Arc::new).collect() }.sorted())
    }

    /// The same without some grants, and with others, which replace those that have their ids.
    ///
    /// # Errors
    /// As [`Authority::compile`].
    pub fn with(
        &self,
        without: &BTreeSet<RoleGrantId>,
        with: Vec<RoleGrant>,
    ) -> Result<Self, PolicyError> {
        let replaced: BTreeSet<RoleGrantId> =
            without.iter().copied().chain(with.iter().map(|it| it.id)).collect();
        let (mut set, mut grants) = (self.set.clone(), self.grants.clone());
        for gone in grants.extract_if(.., |it| replaced.contains(&it.id)) {
            if !gone.capabilities.is_empty() {
                let removed = set.remove_static(PolicyId::new(gone.id.to_string()));
                removed.map_err(|error| PolicyError::Invalid(error.to_string()))?;
            }
        }
        // What is in the set has been checked.
        check(self.workspace, PolicySet::new(), &with)?;
        for it in with.iter().filter(|it| !it.capabilities.is_empty()) {
            add(&mut set, &it.id.to_string(), &text(self.workspace, it))?;
        }
        grants.extend(with.into_iter().map(Arc::new));
        Ok(Self { set, workspace: self.workspace, grants }.sorted())
    }

    /// What it says, in Cedar, in an order that depends on nothing else.
    pub fn statements(&self) -> BTreeSet<String> {
        self.set.policies().map(|it| format!("{}: {it}", it.id())).collect()
    }

    /// In the order in which they are told of.
    fn sorted(mut self) -> Self {
        self.grants.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }

    /// Whether somebody may do something, and why. An error in deciding is a refusal.
    pub fn decide(&self, actor: Actor<'_>, capability: Capability, object: &Object) -> Verdict {
        let refused = Verdict { is_allowed: false, by: Vec::new() };
        self.ask(actor, capability, object).unwrap_or(refused)
    }

    /// [`Authority::decide`] without the reasons.
    pub fn allows(&self, actor: Actor<'_>, capability: Capability, object: &Object) -> bool {
        self.decide(actor, capability, object).is_allowed
    }

    /// Where somebody may do something: each place is decided like any other question.
    pub fn reach(&self, actor: Actor<'_>, capability: Capability) -> Reach {
        if self.allows(actor, capability, &Object::Workspace) {
            return Reach { is_whole: true, ..Reach::default() };
        }
        let Actor::User { user, .. } = actor else { return Reach::default() };
        let given: BTreeSet<Scope> = self.grants_of(user).map(|it| it.on).collect();
        let scopes = given.into_iter().filter(|it| self.allows(actor, capability, &(*it).into()));
        let own = [
            Object::App { owner: user.id },
            Object::Identity { server: ServerId(Uuid::nil()), owner: Some(user.id) },
            Object::User(user.id),
            Object::Gateway { id: GatewayId(Uuid::nil()), teams: user.teams.clone() },
        ];
        let has_own = own.iter().any(|it| self.allows(actor, capability, it));
        Reach { is_whole: false, scopes: scopes.collect(), own: has_own.then_some(user.id) }
    }

    /// What has been granted to a user or to the teams that the user is in.
    pub fn grants_of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a RoleGrant> {
        self.grants().filter(|it| match it.holder {
            Holder::User(id) => id == user.id,
            Holder::Team(id) => user.teams.contains(&id),
        })
    }

    /// All that has been granted, by name.
    pub fn grants(&self) -> impl ExactSizeIterator<Item = &RoleGrant> {
        self.grants.iter().map(AsRef::as_ref)
    }

    fn ask(
        &self,
        actor: Actor<'_>,
        capability: Capability,
        object: &Object,
    ) -> Result<Verdict, PolicyError> {
        let mut entities = Known::default();
        let principal = self.principal(actor, &mut entities)?;
        let resource = self.resource(object, &mut entities)?;
        let action = uid("Action", capability.as_str())?;
        let text = RestrictedExpression::new_string(capability.as_str().to_owned());
        let context =
            Context::from_pairs([("capability".to_owned(), text)]).map_err(entity_error)?;
        let request =
            Request::new(principal, action, resource, context, None).map_err(entity_error)?;
        let entities = Entities::from_entities(entities.0.into_values(), None);
        let entities = entities.map_err(entity_error)?;
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        // A policy that errs is skipped by Cedar; a skipped `forbid` must not let anything by.
        let is_clean = response.diagnostics().errors().next().is_none();
        let is_allowed = is_clean && response.decision() == Decision::Allow;
        let by = response.diagnostics().reason().map(|id| reason(AsRef::<str>::as_ref(id)));
        let mut by: Vec<Reason> = by.collect();
        by.sort_by_key(|it| match it {
            Reason::Grant(id) => self.grants.iter().position(|grant| grant.id == *id),
            Reason::Limits | Reason::Own | Reason::SuperAdmin => None,
        });
        by.dedup();
        Ok(Verdict { is_allowed, by })
    }

    fn principal(&self, actor: Actor<'_>, known: &mut Known) -> Result<EntityUid, PolicyError> {
        let Actor::User { user, limits } = actor else {
            return known.add("Operator", "any", [], []);
        };
        let mut groups = vec![known.workspace(self.workspace)?];
        for team in &user.teams {
            groups.push(known.team(*team, self.workspace)?);
        }
        let user = known.add("User", &user.id.to_string(), groups, [])?;
        let limits = limits.map(|limits| {
            let texts = limits.iter().map(|it| it.as_str().to_owned());
            let texts = texts.map(RestrictedExpression::new_string);
            ("limits".to_owned(), RestrictedExpression::new_set(texts))
        });
        known.add("Token", "its", [user], limits)
    }

    fn resource(&self, object: &Object, known: &mut Known) -> Result<EntityUid, PolicyError> {
        let of_user = |id: &UserId| -> Result<_, PolicyError> {
            let user = RestrictedExpression::new_entity_uid(uid("User", &id.to_string())?);
            Ok(("owner".to_owned(), user))
        };
        let workspace = known.workspace(self.workspace)?;
        match object {
            Object::Installation => known.installation(),
            Object::Workspace => Ok(workspace),
            Object::Team(id) => known.team(*id, self.workspace),
            Object::Server(id) => known.add("Server", &id.to_string(), [workspace], []),
            Object::Gateway { id, teams } => {
                let teams: Result<Vec<_>, PolicyError> =
                    teams.iter().map(|it| uid("Team", &it.to_string())).collect();
                let teams = teams?.into_iter().map(RestrictedExpression::new_entity_uid);
                let teams = ("teams".to_owned(), RestrictedExpression::new_set(teams));
                known.add("Gateway", &id.to_string(), [workspace], [teams])
            }
            // Whoever asks about themselves is there with all their teams, which stay.
            Object::User(id) => known.add("User", &id.to_string(), [workspace], []),
            Object::App { owner } => known.add("App", "it", [workspace], [of_user(owner)?]),
            Object::Connection { gateway, owner } => {
                let gateway = self.resource(&Scope::Gateway(*gateway).into(), known)?;
                known.add("Connection", "it", [gateway], [of_user(owner)?])
            }
            Object::Identity { server, owner } => {
                let server = known.add("Server", &server.to_string(), [workspace], [])?;
                let owner = owner.as_ref().map(of_user).transpose()?;
                known.add("Identity", "it", [server], owner)
            }
        }
    }
}

/// The entities of one question, each once.
#[derive(Default)]
struct Known(HashMap<EntityUid, Entity>);

impl Known {
    fn add(
        &mut self,
        kind: &str,
        id: &str,
        parents: impl IntoIterator<Item = EntityUid>,
        attributes: impl IntoIterator<Item = (String, RestrictedExpression)>,
    ) -> Result<EntityUid, PolicyError> {
        let own = uid(kind, id)?;
        if !self.0.contains_key(&own) {
            let parents: HashSet<EntityUid> = parents.into_iter().collect();
            let entity = Entity::new(own.clone(), attributes.into_iter().collect(), parents);
            self.0.insert(own.clone(), entity.map_err(entity_error)?);
        }
        Ok(own)
    }

    fn installation(&mut self) -> Result<EntityUid, PolicyError> {
        self.add("Installation", "this", [], [])
    }

    fn workspace(&mut self, id: WorkspaceId) -> Result<EntityUid, PolicyError> {
        let installation = self.installation()?;
        self.add("Workspace", &id.to_string(), [installation], [])
    }

    fn team(&mut self, id: TeamId, workspace: WorkspaceId) -> Result<EntityUid, PolicyError> {
        let workspace = self.workspace(workspace)?;
        self.add("Team", &id.to_string(), [workspace], [])
    }
}

impl Reach {
    /// Whether there is nothing within it.
    pub fn is_empty(&self) -> bool {
        !self.is_whole && self.scopes.is_empty() && self.own.is_none()
    }
}

impl From<Scope> for Object {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Gateway(id) => Self::Gateway { id, teams: BTreeSet::new() },
            Scope::Server(id) => Self::Server(id),
            Scope::Team(id) => Self::Team(id),
            Scope::Workspace => Self::Workspace,
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self { set: PolicySet::new(), workspace: WorkspaceId(Uuid::nil()), grants: Vec::new() }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("grants", &self.grants.len()).finish_non_exhaustive()
    }
}

fn text(workspace: WorkspaceId, grant: &RoleGrant) -> String {
    let holder = match grant.holder {
        Holder::Team(id) => format!("Team::\"{id}\""),
        Holder::User(id) => format!("User::\"{id}\""),
    };
    let on = match grant.on {
        Scope::Gateway(id) => format!("Gateway::\"{id}\""),
        Scope::Server(id) => format!("Server::\"{id}\""),
        Scope::Team(id) => format!("Team::\"{id}\""),
        Scope::Workspace => format!("Workspace::\"{workspace}\""),
    };
    let actions: Vec<String> =
        grant.capabilities.iter().map(|it| format!("Action::\"{it}\"")).collect();
    let actions = actions.join(", ");
    // A team is above its people as holders, but not as what is administered: a grant on a team
    // is about the team and who is in it.
    let unless =
        if matches!(grant.on, Scope::Team(_)) { " unless { resource is User }" } else { "" };
    format!("permit(principal in {holder}, action in [{actions}], resource in {on}){unless};")
}

/// Whether policies and what grants say fit the schema. It knows of kinds and not of ids, so of grants
/// that differ in nothing else one is looked at.
fn check(
    workspace: WorkspaceId,
    mut policies: PolicySet,
    grants: &[RoleGrant],
) -> Result<(), PolicyError> {
    let mut seen = HashSet::new();
    for it in grants.iter().filter(|it| !it.capabilities.is_empty()) {
        let kinds = (mem::discriminant(&it.holder), mem::discriminant(&it.on));
        if seen.insert((kinds, &it.capabilities)) {
            add(&mut policies, &it.id.to_string(), &text(workspace, it))?;
        }
    }
    validate(schema()?, &policies)
}

fn add(set: &mut PolicySet, id: &str, text: &str) -> Result<(), PolicyError> {
    let policy = CedarPolicy::parse(Some(PolicyId::new(id)), text)
        .map_err(|error| PolicyError::Parse(Box::new(error)))?;
    set.add(policy).map_err(|error| PolicyError::Invalid(error.to_string()))
}

fn schema() -> Result<&'static Schema, PolicyError> {
    static PARSED: LazyLock<Result<Schema, PolicyError>> = LazyLock::new(parsed);

    PARSED.as_ref().map_err(|error| PolicyError::Invalid(error.to_string()))
}

fn parsed() -> Result<Schema, PolicyError> {
    let actions: Vec<String> = Capability::ALL.iter().map(|it| format!("\"{it}\"")).collect();
    let text = format!(
        "{SCHEMA}action {} appliesTo {{
             principal: [Token, Operator],
             resource: [Installation, Workspace, Team, User, Gateway, Server, Identity, App,
                        Connection],
             context: {{ capability: String }},
         }};",
        actions.join(", ")
    );
    let (schema, _warnings) = Schema::from_cedarschema_str(&text)
        .map_err(|error| PolicyError::Invalid(error.to_string()))?;
    Ok(schema)
}

fn reason(policy: &str) -> Reason {
    match policy.parse() {
        Ok(id) => Reason::Grant(id),
        Err(_) if policy == "limits" => Reason::Limits,
        Err(_) if policy == "super-admin" => Reason::SuperAdmin,
        Err(_) => Reason::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_is_for_and_all_below() {
        let own_gateway = Object::Gateway { id: GatewayId(id(1)), teams: BTreeSet::new() };
        let cases = [
            ("the workspace", Scope::Workspace, Object::Workspace, true),
            ("a gateway of it", Scope::Workspace, own_gateway.clone(), true),
            ("a credential of it", Scope::Workspace, identity(2), true),
            ("nothing above it", Scope::Workspace, Object::Installation, false),
            ("the gateway", Scope::Gateway(GatewayId(id(1))), own_gateway.clone(), true),
            ("its connections", Scope::Gateway(GatewayId(id(1))), connection(1), true),
            ("not another's", Scope::Gateway(GatewayId(id(1))), connection(2), false),
            ("not apps", Scope::Gateway(GatewayId(id(1))), app(), false),
            ("not the workspace", Scope::Gateway(GatewayId(id(1))), Object::Workspace, false),
            ("the server", Scope::Server(ServerId(id(1))), Object::Server(ServerId(id(1))), true),
            ("its credentials", Scope::Server(ServerId(id(1))), identity(1), true),
            ("not another's", Scope::Server(ServerId(id(1))), identity(2), false),
            ("not a gateway", Scope::Server(ServerId(id(1))), own_gateway, false),
            ("the team", Scope::Team(TeamId(id(1))), Object::Team(TeamId(id(1))), true),
            ("not its people", Scope::Team(TeamId(id(1))), Object::User(UserId(id(7))), false),
            ("not another", Scope::Team(TeamId(id(1))), Object::Team(TeamId(id(2))), false),
        ];
        for holder in [Holder::User(UserId(id(7))), Holder::Team(TeamId(id(1)))] {
            for (case, on, object, expected) in &cases {
                let authority = authority(vec![grant(holder, *on, &[Capability::PeopleWrite])]);
                let verdict = authority.decide(ann(None), Capability::PeopleWrite, object);
                assert_eq!(verdict.is_allowed, *expected, "{on:?} {case}");
                let by = if *expected { vec![Reason::Grant(RoleGrantId(id(9)))] } else { vec![] };
                assert_eq!(verdict.by, by, "{on:?} {case}");
                let other = authority.decide(ann(None), Capability::RulesRead, object);
                assert!(!other.is_allowed, "{on:?} {case}: another capability");
                let bob = User { id: UserId(id(8)), teams: BTreeSet::new(), ..user() };
                let bob = Actor::User { user: &bob, limits: None };
                assert!(!authority.allows(bob, Capability::PeopleWrite, object), "{case}: Bob");
            }
        }
    }

    #[test]
    fn everybody_sees_what_is_theirs() {
        let (ann_id, bob_id) = (UserId(id(7)), UserId(id(8)));
        let cases = |owner: UserId, team: u128| {
            let teams = BTreeSet::from([TeamId(id(team))]);
            [
                (Capability::PeopleRead, Object::User(owner)),
                (Capability::AdminTokensWrite, Object::User(owner)),
                (Capability::AppsRead, Object::App { owner }),
                (Capability::AppsRead, Object::Connection { gateway: GatewayId(id(1)), owner }),
                (
                    Capability::IdentitiesRead,
                    Object::Identity { server: ServerId(id(1)), owner: Some(owner) },
                ),
                (Capability::GatewaysRead, Object::Gateway { id: GatewayId(id(1)), teams }),
            ]
        };
        let authority = authority(Vec::new());
        for (capability, object) in cases(ann_id, 1) {
            assert_eq!(authority.decide(ann(None), capability, &object).by, [Reason::Own]);
            let is_other = |it: &&Capability| **it != capability;
            let allowed: Vec<_> = Capability::ALL
                .iter()
                .filter(is_other)
                .filter(|it| authority.allows(ann(None), **it, &object))
                .collect();
            let expected = matches!(object, Object::User(_)).then_some(2).unwrap_or_default();
            assert_eq!(allowed.len(), expected, "{object:?} {allowed:?}");
        }
        for (capability, object) in cases(bob_id, 2) {
            assert!(!authority.allows(ann(None), capability, &object), "{object:?}");
        }
        assert!(!authority.allows(ann(None), Capability::IdentitiesRead, &identity(1)), "shared");
    }

    #[test]
    fn a_token_is_good_for_no_more_than_it_says() {
        let holder = Holder::User(UserId(id(7)));
        let held = [Capability::RulesRead, Capability::RulesWrite];
        let authority = authority(vec![grant(holder, Scope::Workspace, &held)]);
        let limits = BTreeSet::from([Capability::RulesRead, Capability::ServersRead]);
        let narrow = ann(Some(&limits));
        assert!(authority.allows(narrow, Capability::RulesRead, &Object::Workspace));
        assert!(!authority.allows(narrow, Capability::ServersRead, &Object::Workspace));
        let verdict = authority.decide(narrow, Capability::RulesWrite, &Object::Workspace);
        assert_eq!(verdict, Verdict { is_allowed: false, by: vec![Reason::Limits] });
        assert!(!authority.allows(narrow, Capability::PeopleRead, &Object::User(UserId(id(7)))));
        assert!(authority.reach(narrow, Capability::RulesWrite).is_empty());
    }

    #[test]
    fn the_installations_own_may_do_anything_and_nobody_else_does_by_default() {
        for object in [Object::Installation, Object::Workspace, app(), identity(1)] {
            for capability in Capability::ALL {
                let authority = authority(Vec::new());
                let verdict = authority.decide(Actor::Installation, *capability, &object);
                assert!(verdict.is_allowed, "{capability}");
                assert_eq!(verdict.by, [Reason::SuperAdmin]);
                let none = Authority::default();
                assert!(!none.allows(Actor::Installation, *capability, &object));
            }
        }
    }

    #[test]
    fn what_is_within_reach() {
        let holder = Holder::Team(TeamId(id(1)));
        let on = Scope::Server(ServerId(id(3)));
        let granted = grant(holder, on, &[Capability::IdentitiesRead]);
        let authority = authority(vec![granted]);
        let reach = authority.reach(ann(None), Capability::IdentitiesRead);
        let own = Some(UserId(id(7)));
        assert_eq!(reach, Reach { is_whole: false, scopes: BTreeSet::from([on]), own });
        let reach = authority.reach(Actor::Installation, Capability::IdentitiesRead);
        assert!(reach.is_whole);
        assert!(authority.reach(ann(None), Capability::RulesRead).is_empty());
    }

    #[test]
    fn what_is_changed_grant_by_grant_decides_like_what_is_made_at_once() {
        let held = [Capability::PeopleWrite];
        let holder = Holder::User(UserId(id(7)));
        let of = |n: u128, on: Scope, held: &[Capability]| RoleGrant {
            id: RoleGrantId(id(n)),
            name: format!("g{n}").parse().unwrap(),
            ..grant(holder, on, held)
        };
        let [one, two] = [1, 2].map(|n| Scope::Gateway(GatewayId(id(n))));
        type Step<'a> = (&'a str, &'a [u128], Vec<RoleGrant>, Vec<RoleGrant>);
        let steps: [Step<'_>; 6] = [
            ("nothing", &[], vec![], vec![]),
            (
                "new ones",
                &[],
                vec![of(3, two, &held), of(2, one, &[])],
                vec![of(2, one, &[]), of(3, two, &held)],
            ),
            (
                "more in it",
                &[],
                vec![of(2, one, &held)],
                vec![of(2, one, &held), of(3, two, &held)],
            ),
            ("one gone", &[3], vec![], vec![of(2, one, &held)]),
            ("one that is not there", &[9], vec![], vec![of(2, one, &held)]),
            ("nothing in it", &[2], vec![of(2, one, &[])], vec![of(2, one, &[])]),
        ];
        let mut followed = authority(vec![]);
        for (step, without, with, expected) in steps {
            let without = without.iter().map(|it| RoleGrantId(id(*it))).collect();
            followed = followed.with(&without, with).unwrap();
            assert!(followed.grants().eq(&expected), "{step}");
            let whole = authority(expected);
            assert_eq!(followed.statements(), whole.statements(), "{step}");
            for object in [1, 2].map(connection).into_iter().chain([app(), Object::Workspace]) {
                let decide = |it: &Authority| it.decide(ann(None), held[0], &object);
                assert_eq!(decide(&followed), decide(&whole), "{step} {object:?}");
            }
        }
    }

    fn authority(grants: Vec<RoleGrant>) -> Authority {
        Authority::compile(WorkspaceId(id(5)), grants).unwrap()
    }

    fn grant(holder: Holder, on: Scope, capabilities: &[Capability]) -> RoleGrant {
        RoleGrant {
            id: RoleGrantId(id(9)),
            name: "given".parse().unwrap(),
            role: "keeper".parse().unwrap(),
            holder,
            on,
            capabilities: capabilities.iter().copied().collect(),
        }
    }

    fn ann(limits: Option<&BTreeSet<Capability>>) -> Actor<'_> {
        Actor::User { user: Box::leak(Box::new(user())), limits }
    }

    fn user() -> User {
        let teams = BTreeSet::from([TeamId(id(1))]);
        User {
            id: UserId(id(7)),
            name: "ann".parse().unwrap(),
            teams,
            attributes: Default::default(),
        }
    }

    fn app() -> Object {
        Object::App { owner: UserId(id(8)) }
    }

    fn connection(gateway: u128) -> Object {
        Object::Connection { gateway: GatewayId(id(gateway)), owner: UserId(id(8)) }
    }

    fn identity(server: u128) -> Object {
        Object::Identity { server: ServerId(id(server)), owner: None }
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }
}
