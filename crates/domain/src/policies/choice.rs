//! The statements that have a say in the same questions, and the forms in which they are asked.

use std::sync::{Arc, Mutex};

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet};

use super::PolicyBook;
use super::expression::{Bound, Looks, Parts};
use super::statement::Statement;

/// Where statements stand: the index of a policy, and of one of its statements.
pub(super) type Place = (usize, usize);

/// Statements that are asked together, and all that they look at. Questions about different things
/// share one where the same statements have a say in them.
pub(super) struct Choice {
    statements: Vec<(usize, Arc<Statement>)>,
    pub(super) looks: Looks,
    /// What has been asked, by what was not known then. There are a few forms of it at most.
    asked: Mutex<Vec<(Form, Arc<PolicySet>)>>,
}

/// What is not known, and which way statements that forbid err about that.
type Form = (Parts, Bound);

/// Who, what is done and to what, each followed by what it is in.
type Lines<'a> = (&'a [EntityUid], &'a [EntityUid], &'a [EntityUid]);

impl Choice {
    pub(super) fn new(book: &PolicyBook, places: &[Place]) -> Self {
        let mut looks = Looks::default();
        let mut statements = Vec::with_capacity(places.len());
        for (index, n) in places {
            let text = book.policies.get(*index).map(|it| &it.1);
            let Some(it) = text.and_then(|it| it.statements.get(*n)) else { continue };
            looks.parts = looks.parts.with(it.looks.parts);
            for (path, types) in &it.looks.arguments {
                looks.arguments.entry(path.clone()).or_default().extend(types);
            }
            statements.push((*index, Arc::clone(it)));
        }
        Self { statements, looks, asked: Mutex::default() }
    }

    /// About how many kilobytes the statements take in one form.
    pub(super) fn weight(&self) -> usize {
        self.statements.iter().map(|it| it.1.weight).sum()
    }

    /// The first policy that asks for an argument.
    pub(super) fn asks_for(&self, path: &str) -> Option<usize> {
        let looks = |it: &&(usize, Arc<Statement>)| it.1.looks.arguments.contains_key(path);
        self.statements.iter().find(looks).map(|it| it.0)
    }

    /// As Cedar is asked. Each statement has the index of its policy, `/`, and a number as its name.
    /// Nothing where Cedar does not take one, which has taken it before.
    pub(super) fn set(
        &self,
        lines: Lines<'_>,
        (unknown, forbidding): Form,
    ) -> Option<Arc<PolicySet>> {
        const ABOUT: Parts = Parts::PRINCIPAL.with(Parts::NAME);
        if !unknown.and(ABOUT).is_empty() {
            // Which statements apply depends on whom and what is asked about.
            return self.make(lines, (unknown, forbidding)).map(Arc::new);
        }
        // What nobody looks at makes no difference.
        let form = (unknown.and(self.looks.parts), forbidding);
        // Nothing is left half done in there.
        let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, set)) = asked.iter().find(|it| it.0 == form) {
            return Some(Arc::clone(set));
        }
        let set = Arc::new(self.make(lines, form)?);
        asked.push((form, Arc::clone(&set)));
        Some(set)
    }

    fn make(&self, lines: Lines<'_>, (unknown, forbidding): Form) -> Option<PolicySet> {
        let mut set = PolicySet::new();
        set.add(Policy::parse(Some(PolicyId::new(GRANTED)), BASE).ok()?).ok()?;
        for (n, (index, it)) in self.statements.iter().enumerate() {
            let bound = match (it.is_permit, forbidding) {
                (true, Bound::Under) | (false, Bound::Over) => Bound::Over,
                (true, Bound::Over) | (false, Bound::Under) => Bound::Under,
            };
            if !it.applies(lines, unknown, bound) {
                continue;
            }
            let id = PolicyId::new(format!("{index}/{n}"));
            set.add(it.bounded(unknown, bound)?.new_id(id)).ok()?;
        }
        Some(set)
    }
}

/// That something has been granted is what policies start from.
const BASE: &str = "permit(principal, action, resource);";
const GRANTED: &str = "granted";

/// The policy of a statement.
pub(super) fn owner(id: &PolicyId) -> Option<usize> {
    let text: &str = id.as_ref();
    text.split_once('/')?.0.parse().ok()
}
