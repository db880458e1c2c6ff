//! Who may use what on a gateway, decided by Cedar.
//!
//! Teams, assignments and provisioning compile into one small policy set per gateway, because a
//! decision costs time linear in the policies of its set. These policies look at nothing but
//! principal and resource, so a decision once made holds as long as the policy value lives.
//! Seeing an offer in a list and using it are one decision.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, RwLock};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression, Schema,
};

use crate::{AppId, Assignment, AssignmentId, GatewayId, Provision, TeamId, User};

/// The shape of principals, actions and resources, in Cedar's schema language.
const SCHEMA: &str = r#"
entity Team;
entity User in [Team];
entity App in [User];
entity Gateway;
entity Server;
entity Assignment in [Gateway, Server];
entity Offer in [Assignment] = { kind: String, name: String };
action use appliesTo { principal: [App], resource: [Offer] };
"#;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Prompt,
    Resource,
    Tool,
}

/// A question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub app: AppId,
    pub user: &'a User,
    pub assignment: AssignmentId,
    pub kind: Kind,
    /// The server's own name, or a resource's URI.
    pub name: &'a str,
}

/// What an assignment exposes, as the policy needs it.
#[derive(Clone, Debug)]
pub struct Provisioned {
    pub assignment: AssignmentId,
    pub server: crate::ServerId,
    pub tools: Provision,
    pub prompts: Provision,
    pub resources: Provision,
}

/// A gateway's compiled policies, and what has been decided by them.
pub struct Policy {
    compiled: Arc<Compiled>,
    decided: RwLock<Decided>,
}

struct Compiled {
    set: PolicySet,
    authorizer: Authorizer,
    gateway: EntityUid,
    assignments: HashMap<AssignmentId, Entity>,
}

/// Verdicts, which hold as long as the policy does. Names come from callers, so they are bounded
/// by their size.
#[derive(Default)]
struct Decided {
    by_key: HashMap<Key, Known>,
    bytes: usize,
}

#[derive(Default)]
struct Known {
    verdicts: HashMap<Box<str>, bool>,
    bytes: usize,
}

type Key = (AppId, AssignmentId, Kind);

/// Why policies do not compile.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy text is not valid Cedar")]
    Parse(#[source] Box<cedar_policy::ParseErrors>),
    #[error("the policy does not fit the schema: {0}")]
    Invalid(String),
    #[error("an entity cannot be built")]
    Entity(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Policy {
    /// Compiles a gateway's grants.
    ///
    /// # Errors
    /// Where Cedar refuses the text, which is made here, or the schema check fails.
    pub fn compile(
        gateway: GatewayId,
        teams: &BTreeSet<TeamId>,
        provisioned: &[Provisioned],
    ) -> Result<Self, PolicyError> {
        let text = text(gateway, teams, provisioned);
        let set: PolicySet = text.parse().map_err(|error| PolicyError::Parse(Box::new(error)))?;
        let schema = PARSED.as_ref();
        validate(schema.map_err(|error| PolicyError::Invalid(error.to_string()))?, &set)?;
        let gateway = uid("Gateway", &gateway.to_string())?;
        let mut assignments = HashMap::new();
        for it in provisioned {
            let parents = HashSet::from([gateway.clone(), uid("Server", &it.server.to_string())?]);
            let own = uid("Assignment", &it.assignment.to_string())?;
            assignments.insert(it.assignment, Entity::new_no_attrs(own, parents));
        }
        Ok(Self::of(Compiled { set, authorizer: Authorizer::new(), gateway, assignments }))
    }

    /// Allows nothing.
    ///
    /// # Errors
    /// Where Cedar refuses the id.
    pub fn nothing(gateway: GatewayId) -> Result<Self, PolicyError> {
        Ok(Self::of(Compiled {
            set: PolicySet::new(),
            authorizer: Authorizer::new(),
            gateway: uid("Gateway", &gateway.to_string())?,
            assignments: HashMap::new(),
        }))
    }

    fn of(compiled: Compiled) -> Self {
        Self { compiled: Arc::new(compiled), decided: RwLock::default() }
    }

    /// The same policies, by which nothing has been decided yet: what has been decided holds for the
    /// teams that people were in.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self { compiled: Arc::clone(&self.compiled), decided: RwLock::default() }
    }

    /// What it says, in Cedar, in an order that depends on nothing else.
    pub fn statements(&self) -> BTreeSet<String> {
        self.compiled.set.policies().map(ToString::to_string).collect()
    }

    /// Whether the app may use one offer. An error in deciding is a refusal.
    pub fn allows(&self, ask: Ask<'_>) -> bool {
        let key = (ask.app, ask.assignment, ask.kind);
        if let Ok(decided) = self.decided.read()
            && let Some(&known) = decided.by_key.get(&key).and_then(|it| it.verdicts.get(ask.name))
        {
            return known;
        }
        self.decide(ask, &[ask.name])
            .and_then(|verdicts| verdicts.first().copied())
            .unwrap_or(false)
    }

    /// [`Policy::allows`] for many offers of one assignment at once, in their order.
    pub fn allows_each(&self, ask: Ask<'_>, names: &[&str]) -> Vec<bool> {
        let key = (ask.app, ask.assignment, ask.kind);
        let known: Option<Vec<bool>> = self.decided.read().ok().and_then(|decided| {
            let known = decided.by_key.get(&key)?;
            names.iter().map(|it| known.verdicts.get(*it).copied()).collect()
        });
        known.or_else(|| self.decide(ask, names)).unwrap_or_else(|| vec![false; names.len()])
    }

    fn decide(&self, ask: Ask<'_>, names: &[&str]) -> Option<Vec<bool>> {
        let assignment = self.compiled.assignments.get(&ask.assignment)?;
        let entities = self.entities(ask, assignment, names).ok()?;
        let principal = uid("App", &ask.app.to_string()).ok()?;
        let action = uid("Action", "use").ok()?;
        let mut verdicts = Vec::with_capacity(names.len());
        for name in names {
            let offer = offer_uid(ask.assignment, ask.kind, name).ok()?;
            let request =
                Request::new(principal.clone(), action.clone(), offer, Context::empty(), None)
                    .ok()?;
            let Compiled { authorizer, set, .. } = &*self.compiled;
            let response = authorizer.is_authorized(&request, set, &entities);
            // A policy that errs is skipped by Cedar; a skipped `forbid` must not let a call by.
            let clean = response.diagnostics().errors().next().is_none();
            verdicts.push(clean && response.decision() == Decision::Allow);
        }
        self.remember((ask.app, ask.assignment, ask.kind), names, &verdicts);
        Some(verdicts)
    }

    fn remember(&self, key: Key, names: &[&str], verdicts: &[bool]) {
        if let Ok(mut decided) = self.decided.write() {
            for (name, verdict) in names.iter().zip(verdicts) {
                decided.remember(key, name, *verdict);
            }
        }
    }

    fn entities(
        &self,
        ask: Ask<'_>,
        assignment: &Entity,
        names: &[&str],
    ) -> Result<Entities, PolicyError> {
        let user = uid("User", &ask.user.id.to_string())?;
        let teams: Result<HashSet<EntityUid>, PolicyError> =
            ask.user.teams.iter().map(|it| uid("Team", &it.to_string())).collect();
        let app = uid("App", &ask.app.to_string())?;
        let mut all = vec![
            Entity::new_no_attrs(self.compiled.gateway.clone(), HashSet::new()),
            assignment.clone(),
            Entity::new_no_attrs(app, HashSet::from([user.clone()])),
            Entity::new_no_attrs(user, teams?),
        ];
        let mut seen = HashSet::new();
        for name in names.iter().filter(|it| seen.insert(**it)) {
            let attributes = HashMap::from([
                ("kind".to_owned(), RestrictedExpression::new_string(ask.kind.as_str().into())),
                ("name".to_owned(), RestrictedExpression::new_string((*name).to_owned())),
            ]);
            let parents = HashSet::from([assignment.uid()]);
            let own = offer_uid(ask.assignment, ask.kind, name)?;
            all.push(Entity::new(own, attributes, parents).map_err(entity_error)?);
        }
        Entities::from_entities(all, None).map_err(entity_error)
    }
}

impl Decided {
    fn remember(&mut self, key: Key, name: &str, verdict: bool) {
        /// Longer names are decided each time.
        const LONGEST: usize = 512;
        /// What is kept with a name, about.
        const OVERHEAD: usize = 64;
        /// A server with as many tools as we list fits in.
        const MOST_OF_KEY: usize = 4 << 20;
        const MOST: usize = 64 << 20;

        let bytes = name.len() + OVERHEAD;
        if LONGEST < name.len() {
            return;
        }
        if MOST < self.bytes + bytes {
            *self = Self::default();
        }
        let known = self.by_key.entry(key).or_default();
        if MOST_OF_KEY < known.bytes + bytes {
            self.bytes -= known.bytes;
            *known = Known::default();
        }
        if known.verdicts.insert(name.into(), verdict).is_none() {
            known.bytes += bytes;
            self.bytes += bytes;
        }
    }
}

impl Kind {
    /// As it stands in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Tool => "tool",
        }
    }
}

impl Provisioned {
    /// What the policy needs of an assignment.
    pub fn of(assignment: &Assignment) -> Self {
        Self {
            assignment: assignment.id,
            server: assignment.server.id,
            tools: assignment.tools.clone(),
            prompts: assignment.prompts.clone(),
            resources: assignment.resources.clone(),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("policies", &self.compiled.set.policies().count()).finish()
    }
}

static PARSED: LazyLock<Result<Schema, PolicyError>> = LazyLock::new(|| {
    let parsed = Schema::from_cedarschema_str(SCHEMA);
    parsed.map(|it| it.0).map_err(|error| PolicyError::Invalid(error.to_string()))
});

/// Grants are permits for teams; provisioning is a set of forbids, which win over any permit.
fn text(gateway: GatewayId, teams: &BTreeSet<TeamId>, provisioned: &[Provisioned]) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for team in teams {
        writeln!(
            text,
            "permit(principal in Team::\"{team}\", action == Action::\"use\", \
             resource in Gateway::\"{gateway}\");"
        )
        .expect("writing to a string cannot fail");
    }
    for it in provisioned {
        let kinds =
            [(Kind::Tool, &it.tools), (Kind::Prompt, &it.prompts), (Kind::Resource, &it.resources)];
        for (kind, provision) in kinds {
            let Some(unless) = condition(provision) else { continue };
            writeln!(
                text,
                "forbid(principal, action, resource in Assignment::\"{}\") \
                 when {{ resource.kind == \"{}\"{unless} }};",
                it.assignment,
                kind.as_str(),
            )
            .expect("writing to a string cannot fail");
        }
    }
    text
}

/// What must hold, beside the kind, for a forbid to strike; `None` where nothing is forbidden.
fn condition(provision: &Provision) -> Option<String> {
    match provision {
        // What a server says is no part of a policy: it is looked at where it is known.
        Provision::All | Provision::Where(_) => None,
        Provision::Nothing => Some(String::new()),
        Provision::Named(names) if names.is_empty() => Some(String::new()),
        Provision::Named(names) => {
            let quoted: Vec<String> = names.iter().map(|it| quoted(it)).collect();
            Some(format!(" && !([{}].contains(resource.name))", quoted.join(", ")))
        }
    }
}

/// A Cedar string literal: everything but plain ASCII is written as `\u{…}`.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
    let mut out = String::from("\"");
    for c in text.chars() {
        if plain(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out.push('"');
    out
}

/// Whether policies fit a schema.
pub(crate) fn validate(schema: &Schema, set: &PolicySet) -> Result<(), PolicyError> {
    let result = cedar_policy::Validator::new(schema.clone())
        .validate(set, cedar_policy::ValidationMode::Strict);
    match result.validation_errors().next() {
        Some(error) => Err(PolicyError::Invalid(error.to_string())),
        None => Ok(()),
    }
}

fn offer_uid(assignment: AssignmentId, kind: Kind, name: &str) -> Result<EntityUid, PolicyError> {
    uid("Offer", &format!("{assignment}/{}/{name}", kind.as_str()))
}

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid, PolicyError> {
    let kind: EntityTypeName = kind.parse().map_err(|it| PolicyError::Parse(Box::new(it)))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

pub(crate) fn entity_error(error: impl std::error::Error + Send + Sync + 'static) -> PolicyError {
    PolicyError::Entity(Box::new(error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{ServerId, UserId};

    #[test]
    fn provisioning_and_grants() {
        let named = Provision::Named(BTreeSet::from(["read".to_owned()]));
        let cases = [
            ("a member, all tools", Provision::All, 1, "write", true),
            ("a member, a named tool", named.clone(), 1, "read", true),
            ("a member, a tool not named", named.clone(), 1, "write", false),
            ("a member, nothing", Provision::Nothing, 1, "read", false),
            ("a stranger, all tools", Provision::All, 2, "read", false),
            ("a stranger, a named tool", named, 2, "read", false),
        ];
        for (case, tools, team, name, expected) in cases {
            let policy = policy(tools);
            let user = user(team);
            assert_eq!(policy.allows(ask(&user, name)), expected, "{case}");
            assert_eq!(policy.allows(ask(&user, name)), expected, "{case}, asked again");
            assert_eq!(policy.allows_each(ask(&user, ""), &[name, name]), [expected; 2], "{case}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let policy = policy(Provision::Nothing);
        let user = user(1);
        let prompt = Ask { kind: Kind::Prompt, ..ask(&user, "read") };
        assert!(policy.allows(prompt) && !policy.allows(ask(&user, "read")));
    }

    #[test]
    fn an_unknown_assignment_is_refused() {
        let user = user(1);
        let other = Ask { assignment: AssignmentId(Uuid::from_u128(99)), ..ask(&user, "read") };
        assert!(!policy(Provision::All).allows(other));
    }

    #[test]
    fn what_is_remembered_of_callers_names_is_bounded() {
        let mut decided = Decided::default();
        let long = "x".repeat(1 << 20);
        let key = |app| (AppId(Uuid::from_u128(app)), AssignmentId(Uuid::nil()), Kind::Resource);
        decided.remember(key(0), &long, true);
        assert_eq!(decided.by_key.len(), 0, "a long name is not kept");
        for app in 0..30 {
            for name in 0..10_000 {
                decided.remember(key(app), &format!("{name}{}", "y".repeat(500)), true);
                decided.remember(key(app), &format!("{name}{}", "y".repeat(500)), true);
            }
            let bytes: usize = decided.by_key.values().map(|it| it.bytes).sum();
            assert_eq!(bytes, decided.bytes);
            assert!(decided.bytes <= 64 << 20, "of all: {}", decided.bytes);
            let most = decided.by_key.values().map(|it| it.bytes).max().unwrap();
            assert!(most <= 4 << 20, "of one caller: {most}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Names come from servers: no name may break out of the policy text.
        #[test]
        fn only_the_named_tool_is_allowed(name in "\\PC{0,20}", other in "\\PC{0,20}") {
            let policy = policy(Provision::Named(BTreeSet::from([name.clone()])));
            let user = user(1);
            prop_assert!(policy.allows(ask(&user, &name)));
            prop_assert_eq!(policy.allows(ask(&user, &other)), other == name);
        }
    }

    fn policy(tools: Provision) -> Policy {
        let provisioned = Provisioned {
            assignment: AssignmentId(Uuid::from_u128(4)),
            server: ServerId(Uuid::from_u128(5)),
            tools,
            prompts: Provision::All,
            resources: Provision::All,
        };
        let teams = BTreeSet::from([TeamId(Uuid::from_u128(1))]);
        Policy::compile(GatewayId(Uuid::from_u128(3)), &teams, &[provisioned]).unwrap()
    }

    fn user(team: u128) -> User {
        User {
            id: UserId(Uuid::from_u128(6)),
            name: "ann".parse().unwrap(),
            attributes: Default::default(),
            teams: BTreeSet::from([TeamId(Uuid::from_u128(team))]),
        }
    }

    fn ask<'a>(user: &'a User, name: &'a str) -> Ask<'a> {
        Ask {
            app: AppId(Uuid::from_u128(7)),
            user,
            assignment: AssignmentId(Uuid::from_u128(4)),
            kind: Kind::Tool,
            name,
        }
    }
}
