//! What a workspace's own policies take away from what its grants give.
//!
//! A policy is a text in Cedar, checked against a schema that is published. All of them must let a
//! call by. One that only forbids lets by what it does not forbid; one that permits, too, lets by
//! what it permits and does not forbid. So a policy never gives anything: that is for grants.
//!
//! Who calls and what is called are settled in a snapshot, so the statements that may have a say in
//! it are chosen once and kept ([`Policies`]); a call brings its address, its time and its
//! arguments. What looks at none of them is decided once.

mod arguments;
mod check;
mod choice;
mod depth;
mod entities;
mod expression;
mod known;
mod spelling;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, OnceLock};

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, Request, Schema};
use chrono::{DateTime, Utc};
use serde_json::Value;

pub use check::{Expected, refuses_everybody};
pub use entities::{Attributes, Caller, Effect, InvalidAttributes, Thing, ToolLabel, is_label};
pub use known::{Policies, Question};
pub use statement::{Fault, LONGEST_TEXT};

use crate::{Kind, Name, PolicyError};
use arguments::Untypable;
use choice::{Choice, Place, owner};
use entities::Scene;
use expression::{Bound, Parts};
use statement::Statement;

/// The schema of policies, in Cedar's schema language.
pub const SCHEMA: &str = include_str!("../../../../api/policies.cedarschema");

/// The text of one policy, checked.
#[derive(Debug)]
pub struct PolicyText {
    text: Box<str>,
    statements: Vec<Arc<Statement>>,
}

/// Policies by name, all of which must let a call by.
#[derive(Clone, Debug, Default)]
pub struct PolicyBook {
    policies: Vec<(Name, Arc<PolicyText>)>,
    /// Whether any compares the URIs of resources.
    compares_uris: bool,
    looks_at_arguments: bool,
}

/// What a call brings with it, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub now: Option<DateTime<Utc>>,
    /// From where it comes.
    pub address: Option<IpAddr>,
    pub arguments: Option<&'a Value>,
}

/// What policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Refused(Objection),
    /// It depends on what is not known; with a policy on which.
    Open(Objection),
}

/// Which policy is against something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Absent where none can be blamed.
    pub policy: Option<Name>,
    pub how: How,
}

/// In which way a policy is against something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    Forbids,
    /// It says what it permits, and this is not among it.
    DoesNotPermit,
    /// An argument that it looks at, by its path, is of another type, or spelt in two ways.
    Argument(Box<str>),
    /// Its URI can be written in another way, and policies compare it.
    Spelling,
    /// It cannot be decided by it.
    Fails,
}

/// The statements that may have a say in something, and everything they look at but the facts.
struct Candidate {
    choice: Arc<Choice>,
    scene: Scene,
    /// What of the thing is not known.
    unknown: Parts,
    /// Whether policies compare its URI, which is written in another way than they expect.
    is_misspelt: bool,
    /// What it says where nothing is known of the call, if time and address make no difference.
    listed: OnceLock<Verdict>,
}

static PARSED: LazyLock<Result<Schema, PolicyError>> = LazyLock::new(|| statement::schema(SCHEMA));

impl PolicyText {
    /// Reads the text of a policy, and checks it against the schema, strictly.
    ///
    /// # Errors
    /// With what is wrong, and where in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let schema = PARSED.as_ref().map_err(|error| {
            vec![Fault { line: None, column: None, message: error.to_string() }]
        })?;
        Ok(Self { text: text.into(), statements: statement::parse(schema, text)? })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The things that it names, each with its type, such as `Team` and `dev`.
    pub fn names(&self) -> BTreeSet<(String, String)> {
        statement::literals(&self.statements)
    }

    /// Whether it says what it permits, and so lets nothing else by.
    pub fn permits(&self) -> bool {
        self.statements.iter().any(|it| it.is_permit)
    }
}

impl PolicyBook {
    /// Policies in the order in which they are to be blamed.
    pub fn new(policies: Vec<(Name, Arc<PolicyText>)>) -> Self {
        let statements = || policies.iter().flat_map(|(_, text)| &text.statements);
        let compares_uris = statements().any(|it| it.compares_uris());
        let looks_at_arguments = statements().any(|it| !it.looks.arguments.is_empty());
        Self { policies, compares_uris, looks_at_arguments }
    }

    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What there is, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<PolicyText>)> {
        self.policies.iter().map(|(name, text)| (name, text))
    }

    /// What they say of a call, without anything kept.
    pub fn decide(&self, caller: &Caller, thing: &Thing, facts: &Facts<'_>) -> Verdict {
        match self.candidate((caller, thing), Parts::NONE, |it| Arc::new(Choice::new(self, it))) {
            Ok(candidate) => candidate.decide(self, facts),
            Err(_) => Verdict::fails(),
        }
    }

    /// Chooses the statements that may have a say; parts of the question may not be known.
    fn candidate(
        &self,
        (caller, thing): (&Caller, &Thing),
        unknown: Parts,
        choose: impl FnOnce(&[Place]) -> Arc<Choice>,
    ) -> Result<Candidate, PolicyError> {
        let unknown = match thing.hints {
            Some(_) => unknown,
            None => unknown.with(Parts::ANNOTATIONS),
        };
        let scene = Scene::of(caller, thing)?;
        let mut places = Vec::new();
        for (index, (_, text)) in self.policies.iter().enumerate() {
            for (n, it) in text.statements.iter().enumerate() {
                if it.applies(scene.lines(), unknown, Bound::Over) {
                    places.push((index, n));
                }
            }
        }
        let choice = choose(&places);
        let compares = self.compares_uris && thing.kind == Kind::Resource;
        let is_misspelt = compares && !spelling::is_plain(&thing.name);
        Ok(Candidate { choice, scene, unknown, is_misspelt, listed: OnceLock::new() })
    }

    fn objection(&self, index: usize, how: How) -> Objection {
        Objection { policy: self.policies.get(index).map(|it| it.0.clone()), how }
    }
}

impl Candidate {
    /// Whether nothing but the caller and the thing decides.
    fn is_settled(&self) -> bool {
        const FACTS: Parts = Parts::ARGUMENTS.with(Parts::ADDRESS).with(Parts::TIME);
        self.choice.looks.parts.and(FACTS).is_empty()
    }

    fn decide(&self, book: &PolicyBook, facts: &Facts<'_>) -> Verdict {
        const MOMENT: Parts = Parts::ADDRESS.with(Parts::TIME);
        if self.is_misspelt {
            return Verdict::Refused(Objection { policy: None, how: How::Spelling });
        }
        if facts.arguments.is_none() && self.choice.looks.parts.and(MOMENT).is_empty() {
            return self.listed.get_or_init(|| self.weigh(book, facts)).clone();
        }
        self.weigh(book, facts)
    }

    fn weigh(&self, book: &PolicyBook, facts: &Facts<'_>) -> Verdict {
        let missing = |is_missing: bool, part| if is_missing { part } else { Parts::NONE };
        let unknown = self
            .unknown
            .with(missing(facts.now.is_none(), Parts::TIME))
            .with(missing(facts.address.is_none(), Parts::ADDRESS))
            .with(missing(facts.arguments.is_none(), Parts::ARGUMENTS));
        // Whom and what it is about is looked at by scopes, too, whatever conditions look at.
        let bound = unknown.and(self.choice.looks.parts.with(Parts::PRINCIPAL).with(Parts::NAME));
        if bound.is_empty() {
            return match self.evaluate(book, facts, Parts::NONE, Bound::Under) {
                Ok(()) => Verdict::Allowed,
                Err(against) => Verdict::Refused(against),
            };
        }
        // The least that forbids and the most that permits: what is refused now always is.
        if let Err(against) = self.evaluate(book, facts, bound, Bound::Under) {
            return Verdict::Refused(against);
        }
        match self.evaluate(book, facts, bound, Bound::Over) {
            Ok(()) => Verdict::Allowed,
            Err(against) => Verdict::Open(against),
        }
    }

    /// Decides with statements that forbid bounded one way, and those that permit the other way.
    fn evaluate(
        &self,
        book: &PolicyBook,
        facts: &Facts<'_>,
        unknown: Parts,
        forbidding: Bound,
    ) -> Result<(), Objection> {
        let fails = || Objection { policy: None, how: How::Fails };
        let (context, entities) = self.context(book, facts)?;
        let set = self.choice.set(self.scene.lines(), (unknown, forbidding)).ok_or_else(fails)?;
        let [principal, action, resource] = self.scene.uids();
        let request = Request::new(principal, action, resource, context, None);
        let request = request.map_err(|_| fails())?;
        let response = Authorizer::new().is_authorized(&request, &set, &entities);
        let diagnostics = response.diagnostics();
        // A policy that errs is skipped by Cedar; one that forbids must not be.
        if let Some(error) = diagnostics.errors().next() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            return Err(
                owner(error.policy_id()).map_or_else(fails, |it| book.objection(it, How::Fails))
            );
        }
        let reasons: BTreeSet<usize> = diagnostics.reason().filter_map(owner).collect();
        if response.decision() == Decision::Deny {
            let first = reasons.first();
            return Err(first.map_or_else(fails, |it| book.objection(*it, How::Forbids)));
        }
        let lacking = book
            .policies
            .iter()
            .enumerate()
            .find(|(index, (_, text))| text.permits() && !reasons.contains(index));
        match lacking {
            Some((index, _)) => Err(book.objection(index, How::DoesNotPermit)),
            None => Ok(()),
        }
    }

    /// The facts, as far as statements look at them.
    fn context(
        &self,
        book: &PolicyBook,
        facts: &Facts<'_>,
    ) -> Result<(Context, Entities), Objection> {
        let made = self.scene.context(&self.choice.looks, facts);
        made.map_err(|error| match error {
            Ok(Untypable(path)) => {
                let first = self.choice.asks_for(&path);
                let how = How::Argument(path);
                Objection { how, ..book.objection(first.unwrap_or(usize::MAX), How::Fails) }
            }
            Err(_) => Objection { policy: None, how: How::Fails },
        })
    }
}

impl Verdict {
    fn fails() -> Self {
        Self::Refused(Objection { policy: None, how: How::Fails })
    }
}

/// A thing, followed by what it is in.
type Line = Vec<EntityUid>;
