//! From the text of a policy to its statements, which have been checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use serde_json::{Value, json};

use super::depth;
use super::expression::{Bound, Looks, Parts, bounded, look};
use crate::PolicyError;

/// One `permit` or `forbid` of a policy.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) cedar: Policy,
    pub(super) is_permit: bool,
    pub(super) looks: Looks,
    /// About how many kilobytes it takes when it is ready to be asked.
    pub(super) weight: usize,
    scope: Scope,
    /// In Cedar's JSON form.
    json: Value,
}

/// To what a statement applies, before its conditions are looked at.
#[derive(Clone, Debug)]
struct Scope {
    principal: Constraint,
    /// Absent for any.
    actions: Option<Vec<EntityUid>>,
    resource: Constraint,
}

#[derive(Clone, Debug)]
enum Constraint {
    Any,
    Is(EntityTypeName),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// Something is wrong at a place in the text of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the text, from 1; absent where it is about the whole.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    pub message: String,
}

/// The bounds of a policy's text and of how many statements it has.
pub const LONGEST_TEXT: usize = 64 << 10;
const MOST_STATEMENTS: usize = 100;
/// Faults beyond these say little more.
const MOST_FAULTS: usize = 20;
const LONGEST_MESSAGE: usize = 500;

impl Statement {
    /// Whether its scope lets it say anything about the question. `principal` and `resource` are
    /// followed by what they are in; what is not known may be anything, which is taken the way that
    /// makes the statement say more or less.
    pub(super) fn applies(
        &self,
        (principal, action, resource): (&[EntityUid], &[EntityUid], &[EntityUid]),
        unknown: Parts,
        bound: Bound,
    ) -> bool {
        let is_open = |part| bound == Bound::Over && !unknown.and(part).is_empty();
        let is_meant = |all: &[EntityUid]| action.iter().any(|it| all.contains(it));
        let Scope { principal: who, actions, resource: what } = &self.scope;
        actions.as_deref().is_none_or(is_meant)
            && (who.holds(principal) || is_open(Parts::PRINCIPAL))
            && (what.holds(resource) || is_open(Parts::NAME) && what.may(resource))
    }

    /// Whether it asks which resource it is by its URI.
    pub(super) fn compares_uris(&self) -> bool {
        let is_of = |it: &EntityUid| it.type_name().to_string() == "Resource";
        let is_read =
            |it: &EntityUid| it.id().unescaped() != "call" && it.id().unescaped() != "get";
        let names = match &self.scope.resource {
            Constraint::In(it) | Constraint::IsIn(_, it) => is_of(it),
            Constraint::Any | Constraint::Is(_) => false,
        };
        let reads = self.scope.actions.as_deref().is_none_or(|all| all.iter().any(is_read));
        reads && (names || !self.looks.parts.and(Parts::SPELLING).is_empty())
    }

    /// What it says at most or at least where something is not known. Its scope is left out where
    /// that is not known: [`Statement::applies`] has decided.
    pub(super) fn bounded(&self, unknown: Parts, bound: Bound) -> Option<Policy> {
        if self.looks.parts.and(unknown).is_empty() && !self.is_scoped(unknown) {
            return Some(self.cedar.clone());
        }
        let mut whole = self.json.clone();
        for (member, part) in [("principal", Parts::PRINCIPAL), ("resource", Parts::NAME)] {
            if !unknown.and(part).is_empty() {
                *whole.get_mut(member)? = json!({ "op": "All" });
            }
        }
        for clause in whole.get_mut("conditions")?.as_array_mut()? {
            // `unless` is turned into `when`, so that both are bounded in the same way.
            let body = clause.get("body")?.clone();
            let body = match clause.get("kind")?.as_str()? {
                "unless" => json!({ "!": { "arg": body } }),
                _ => body,
            };
            *clause = json!({ "kind": "when", "body": bounded(&body, unknown, bound) });
        }
        Policy::from_json(Some(self.cedar.id().clone()), whole).ok()
    }

    fn is_scoped(&self, unknown: Parts) -> bool {
        let is_bound =
            |it: &Constraint, part| !matches!(it, Constraint::Any) && !unknown.and(part).is_empty();
        is_bound(&self.scope.principal, Parts::PRINCIPAL)
            || is_bound(&self.scope.resource, Parts::NAME)
    }

    fn of(cedar: &Policy, id: PolicyId) -> Result<Self, String> {
        let json = cedar.to_json().map_err(|error| error.to_string())?;
        // A node of a condition takes some hundred bytes, and some ten in the text.
        let weight = 1 + json.to_string().len() / 128;
        let mut looks = Looks::default();
        let clauses = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
        for clause in clauses {
            look(clause.get("body").unwrap_or(&Value::Null), &mut looks)
                .map_err(|error| error.to_string())?;
        }
        let scope = Scope {
            principal: match cedar.principal_constraint() {
                PrincipalConstraint::Any => Constraint::Any,
                PrincipalConstraint::In(it) | PrincipalConstraint::Eq(it) => Constraint::In(it),
                PrincipalConstraint::Is(it) => Constraint::Is(it),
                PrincipalConstraint::IsIn(kind, it) => Constraint::IsIn(kind, it),
            },
            actions: match cedar.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::Eq(it) => Some(vec![it]),
                ActionConstraint::In(all) => Some(all),
            },
            resource: match cedar.resource_constraint() {
                ResourceConstraint::Any => Constraint::Any,
                ResourceConstraint::In(it) | ResourceConstraint::Eq(it) => Constraint::In(it),
                ResourceConstraint::Is(it) => Constraint::Is(it),
                ResourceConstraint::IsIn(kind, it) => Constraint::IsIn(kind, it),
            },
        };
        let is_permit = cedar.effect() == Effect::Permit;
        Ok(Self { cedar: cedar.new_id(id), is_permit, looks, weight, scope, json })
    }
}

impl Constraint {
    /// Whether it holds for a thing, which stands first, in all the others. `==` is taken for `in`:
    /// nothing that is asked for is in something of its own type, but for groups.
    fn holds(&self, all: &[EntityUid]) -> bool {
        let is = |kind: &EntityTypeName| all.first().is_some_and(|it| it.type_name() == kind);
        match self {
            Self::Any => true,
            Self::Is(kind) => is(kind),
            Self::In(it) => all.contains(it),
            Self::IsIn(kind, it) => is(kind) && all.contains(it),
        }
    }

    /// Whether it may hold for a thing of which only the type and what it is in are known.
    fn may(&self, all: &[EntityUid]) -> bool {
        let is = |kind: &EntityTypeName| all.first().is_some_and(|it| it.type_name() == kind);
        match self {
            Self::Any => true,
            Self::Is(kind) => is(kind),
            Self::In(it) => all.contains(it) || is(it.type_name()),
            Self::IsIn(kind, it) => is(kind) && (all.contains(it) || is(it.type_name())),
        }
    }
}

/// Reads the text of a policy, and checks all of it against the schema, strictly.
///
/// # Errors
/// With what is wrong, and where.
pub(super) fn parse(schema: &Schema, text: &str) -> Result<Vec<Arc<Statement>>, Vec<Fault>> {
    if LONGEST_TEXT < text.len() {
        return Err(vec![Fault::whole(format!("it is longer than {LONGEST_TEXT} bytes"))]);
    }
    if depth::is_too_deep(text) {
        return Err(vec![Fault::whole("it is nested too deeply".into())]);
    }
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().take(MOST_FAULTS).map(|it| Fault::of(text, it)).collect::<Vec<_>>()
    })?;
    if let Some(template) = set.templates().next() {
        let why = format!("`{}` is a template; say whom and what it is about", template.id());
        return Err(vec![Fault::whole(why)]);
    }
    let count = set.policies().count();
    if count == 0 || MOST_STATEMENTS < count {
        let why = format!("a policy has from 1 to {MOST_STATEMENTS} statements, and this {count}");
        return Err(vec![Fault::whole(why)]);
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|it| Fault::of(text, it));
    // What never holds, or looks like something else, is not what its author means.
    let warnings = result.validation_warnings().map(|it| Fault::of(text, it));
    let faults: Vec<Fault> = errors.chain(warnings).take(MOST_FAULTS).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut statements = Vec::with_capacity(count);
    for policy in set.policies() {
        let made = Statement::of(policy, policy.id().clone());
        statements.push(Arc::new(made.map_err(|why| vec![Fault::whole(why)])?));
    }
    // Cedar names them by their order in the text and gives them in any.
    statements.sort_by_key(|it| {
        let id: &str = it.cedar.id().as_ref();
        id.trim_start_matches("policy").parse::<usize>().unwrap_or_default()
    });
    Ok(statements)
}

/// What the statements name: kinds and ids.
pub(super) fn literals(statements: &[Arc<Statement>]) -> BTreeSet<(String, String)> {
    let all = statements.iter().flat_map(|it| it.cedar.entity_literals());
    let named = all.map(|it| (it.type_name().to_string(), it.id().unescaped().to_owned()));
    named.filter(|(kind, _)| kind != "Action").collect()
}

/// The schema that policies are checked against.
pub(super) fn schema(text: &str) -> Result<Schema, PolicyError> {
    let parsed = Schema::from_cedarschema_str(text);
    parsed.map(|it| it.0).map_err(|error| PolicyError::Invalid(error.to_string()))
}

impl Fault {
    fn whole(message: String) -> Self {
        Self { line: None, column: None, message }
    }

    fn of(text: &str, error: &dyn Diagnostic) -> Self {
        let mut message = error.to_string();
        if let Some(help) = error.help() {
            message = format!("{message}; {help}");
        }
        let label = error.labels().and_then(|mut it| it.next());
        if let Some(said) = label.as_ref().and_then(|it| it.label()) {
            message = format!("{message}; {said}");
        }
        let before = label.and_then(|it| text.get(..it.offset()));
        let line = before.map(|it| 1 + it.matches('\n').count());
        let column = before.map(|it| 1 + it.chars().rev().take_while(|c| *c != '\n').count());
        Self { line, column, message: message.chars().take(LONGEST_MESSAGE).collect() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}
