//! What is looked at before policies are saved: their tests, and whom they leave out.

use std::sync::Arc;

use super::choice::{Choice, Place};
use super::expression::Parts;
use super::{Caller, Facts, PolicyBook, Thing, Verdict};
use crate::Kind;

/// What a test of a policy expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Allow,
    Refuse,
}

impl Expected {
    /// Whether a verdict is what is expected. One that depends on what the test does not say is not.
    pub fn is(self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Allowed => self == Self::Allow,
            Verdict::Refused(_) => self == Self::Refuse,
            Verdict::Open(_) => false,
        }
    }
}

/// Whether policies refuse every tool, prompt and resource of a server, whatever its name and
/// whatever the call brings beside these facts.
pub(super) fn refuses_all_of(
    book: &PolicyBook,
    (caller, unknown): (&Caller, Parts),
    thing: &Thing,
    facts: &Facts<'_>,
) -> bool {
    [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter().all(|kind| {
        let thing = Thing { kind, hints: None, ..thing.clone() };
        let choose = |it: &[Place]| Arc::new(Choice::new(book, it));
        match book.candidate((caller, &thing), unknown, choose) {
            Ok(it) => matches!(it.decide(book, facts), Verdict::Refused(_)),
            Err(_) => true,
        }
    })
}

/// Whether policies refuse every call of everybody: of each of these callers, or of anybody where
/// it is absent, whatever is called of the server of the thing, and whatever the call brings. True,
/// too, where nobody has been found whom they let by when it `gives_up`.
pub fn refuses_everybody(
    book: &PolicyBook,
    mut all: impl Iterator<Item = (Option<Caller>, Thing)>,
    gives_up: impl Fn() -> bool,
) -> bool {
    all.all(|(caller, thing)| {
        let unknown = if caller.is_some() { Parts::NAME } else { Parts::ALL };
        let caller = caller.unwrap_or_default();
        gives_up() || refuses_all_of(book, (&caller, unknown), &thing, &Facts::default())
    })
}
