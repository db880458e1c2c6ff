//! What a condition looks at, and what is left of it where some of that is not known.
//!
//! Conditions are walked in Cedar's JSON form (docs.cedarpolicy.com, "JSON policy format"). Where
//! something is not known, a condition is replaced by the strongest one that holds no more often
//! whatever the unknown is ([`Bound::Under`]), or by the weakest that holds no less often
//! ([`Bound::Over`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// What a decision may look at beside who calls and what is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parts(u8);

/// The types in which a policy asks for an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Texts,
    Numbers,
    Decimals,
    Truths,
    Lists,
}

/// All that a condition looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    pub(super) parts: Parts,
    /// The arguments, by path, and the types in which they are asked for.
    pub(super) arguments: BTreeMap<Box<str>, BTreeSet<Type>>,
}

/// Which way a condition errs about what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Over,
    Under,
}

/// A condition asks for arguments in a way that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "ask for an argument by a name that stands in the policy, as in \
     context.arguments.texts.hasTag(\"project\")"
)]
pub(super) struct NotByName;

impl Parts {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ARGUMENTS: Self = Self(1);
    pub(super) const ADDRESS: Self = Self(2);
    pub(super) const TIME: Self = Self(4);
    /// What a server says of a tool.
    pub(super) const ANNOTATIONS: Self = Self(8);
    /// Which tool, prompt or resource of its server it is.
    pub(super) const NAME: Self = Self(16);
    /// Who calls.
    pub(super) const PRINCIPAL: Self = Self(32);
    pub(super) const ALL: Self = Self(63);
    /// The text of a name. It is known wherever the name is.
    pub(super) const SPELLING: Self = Self(64);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Type {
    pub(super) const ALL: [Self; 5] =
        [Self::Texts, Self::Numbers, Self::Decimals, Self::Truths, Self::Lists];

    /// The member of `context.arguments`.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Numbers => "numbers",
            Self::Decimals => "decimals",
            Self::Truths => "truths",
            Self::Lists => "lists",
        }
    }

    /// The entity type of that member.
    pub(super) fn entity(self) -> &'static str {
        match self {
            Self::Texts => "Texts",
            Self::Numbers => "Numbers",
            Self::Decimals => "Decimals",
            Self::Truths => "Truths",
            Self::Lists => "Lists",
        }
    }
}

impl Bound {
    fn flipped(self) -> Self {
        match self {
            Self::Over => Self::Under,
            Self::Under => Self::Over,
        }
    }

    /// What stands for what is not known.
    fn value(self) -> Value {
        json!({ "Value": self == Self::Over })
    }
}

/// Adds what an expression looks at.
pub(super) fn look(expression: &Value, looks: &mut Looks) -> Result<(), NotByName> {
    if let Some((kind, name)) = argument(expression) {
        looks.parts = looks.parts.with(Parts::ARGUMENTS);
        looks.arguments.entry(name.into()).or_default().insert(kind);
        return Ok(());
    }
    let own = own_parts(expression);
    if !own.and(Parts::ARGUMENTS).is_empty() {
        return Err(NotByName);
    }
    looks.parts = looks.parts.with(own);
    children(expression).try_for_each(|it| look(it, looks))
}

/// The same expression, bounded where it looks at what is not known.
pub(super) fn bounded(expression: &Value, unknown: Parts, bound: Bound) -> Value {
    if !mentions(expression, unknown) {
        return expression.clone();
    }
    let inner = |value: &Value, bound| bounded(value, unknown, bound);
    let Some((operator, operands)) = operation(expression) else { return bound.value() };
    let operand = |name: &str| operands.get(name).unwrap_or(&Value::Null);
    match operator {
        "&&" | "||" => {
            let (left, right) = (inner(operand("left"), bound), inner(operand("right"), bound));
            node(operator, json!({ "left": left, "right": right }))
        }
        "!" => node("!", json!({ "arg": inner(operand("arg"), bound.flipped()) })),
        "if-then-else" => {
            let (yes, no) = (inner(operand("then"), bound), inner(operand("else"), bound));
            if mentions(operand("if"), unknown) {
                let joined = if bound == Bound::Under { "&&" } else { "||" };
                return node(joined, json!({ "left": yes, "right": no }));
            }
            node(operator, json!({ "if": operand("if"), "then": yes, "else": no }))
        }
        _ => bound.value(),
    }
}

fn node(operator: &str, operands: Value) -> Value {
    Value::Object(Map::from_iter([(operator.to_owned(), operands)]))
}

fn mentions(expression: &Value, unknown: Parts) -> bool {
    !own_parts(expression).and(unknown).is_empty()
        || children(expression).any(|it| mentions(it, unknown))
}

/// `context.arguments.TYPE.hasTag("NAME")` or `.getTag("NAME")`.
fn argument(expression: &Value) -> Option<(Type, &str)> {
    let (operator, operands) = operation(expression)?;
    if !matches!(operator, "hasTag" | "getTag") {
        return None;
    }
    let (of, member) = attribute(operands.get("left")?)?;
    let (of, arguments) = attribute(of)?;
    if arguments != "arguments" || variable(of) != Some("context") {
        return None;
    }
    let kind = Type::ALL.into_iter().find(|it| it.member() == member)?;
    Some((kind, operands.get("right")?.get("Value")?.as_str()?))
}

/// What an expression looks at by itself, without what it is made of.
fn own_parts(expression: &Value) -> Parts {
    if let Some((of, member)) = attribute(expression) {
        return match (variable(of), member) {
            (Some("context"), "address") => Parts::ADDRESS,
            (Some("context"), "time" | "hour" | "weekday") => Parts::TIME,
            (Some("context"), _) => Parts::ARGUMENTS,
            (Some("resource"), "server") => Parts::NONE,
            (Some("resource"), "name") => Parts::NAME.with(Parts::SPELLING),
            (Some("resource"), "labels") => Parts::NAME,
            (Some("resource"), _) => Parts::ANNOTATIONS.with(Parts::NAME),
            _ => Parts::NONE,
        };
    }
    match variable(expression) {
        // Taken whole, so that nobody can tell what is looked at.
        Some("context") => Parts::ARGUMENTS.with(Parts::ADDRESS).with(Parts::TIME),
        Some("resource") => Parts::NAME.with(Parts::SPELLING),
        Some("principal") => Parts::PRINCIPAL,
        _ => Parts::NONE,
    }
}

/// The expressions that one is made of, but for the variable whose member it is.
fn children(expression: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    if let Some((of, _)) = attribute(expression)
        && matches!(variable(of), Some("context" | "resource"))
    {
        return Box::new(std::iter::empty());
    }
    // The members of a record have names of their own choice.
    if let Some(("Record", Value::Object(members))) = operation(expression) {
        return Box::new(members.values());
    }
    match expression {
        Value::Object(members) => Box::new(members.iter().filter_map(|(key, it)| {
            // A literal is no expression, whatever it looks like; nor is a pattern.
            (!matches!(key.as_str(), "Value" | "pattern" | "entity_type")).then_some(it)
        })),
        Value::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// `OF.MEMBER` or `OF has MEMBER`.
fn attribute(expression: &Value) -> Option<(&Value, &str)> {
    match operation(expression)? {
        ("." | "has", operands) => Some((operands.get("left")?, operands.get("attr")?.as_str()?)),
        _ => None,
    }
}

fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var")?.as_str()
}

fn operation(expression: &Value) -> Option<(&str, &Value)> {
    let members = expression.as_object().filter(|it| it.len() == 1)?;
    members.iter().next().map(|(operator, operands)| (operator.as_str(), operands))
}
