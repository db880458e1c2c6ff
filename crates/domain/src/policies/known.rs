//! The policies of a workspace in a snapshot, and what has been found out about them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use super::check::refuses_all_of;
use super::choice::{Choice, Place};
use super::expression::Parts;
use super::{Caller, Candidate, Facts, PolicyBook, Thing, Verdict};
use crate::{AppId, Assignment, AssignmentId, Gateway, Kind, User, Workspace};

/// The policies of a workspace, as the data plane asks them. What has been decided holds as long as
/// the snapshot that it belongs to.
#[derive(Default)]
pub struct Policies {
    book: PolicyBook,
    known: RwLock<Known>,
}

/// Whether an app may use something, as far as it stands in a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub workspace: &'a Workspace,
    pub app: AppId,
    /// For whom the app acts.
    pub user: &'a User,
    pub gateway: &'a Gateway,
    pub assignment: &'a Assignment,
    pub kind: Kind,
    /// The server's own name; of a resource its URI.
    pub name: &'a str,
    /// What its server says of it, where that is known.
    pub hints: Option<[Option<bool>; 4]>,
}

type Key = (AppId, AssignmentId, Kind, Option<[Option<bool>; 4]>);

/// Names come from callers, so what is kept is bounded.
#[derive(Default)]
struct Known {
    by_key: HashMap<Key, HashMap<Box<str>, Arc<Kept>>>,
    choices: HashMap<Box<[Place]>, Arc<Choice>>,
    weight: usize,
}

/// What is kept of a question.
enum Kept {
    Settled(Verdict),
    /// It depends on what a call brings.
    Live(Box<Candidate>),
}

impl Policies {
    pub fn new(book: PolicyBook) -> Self {
        Self { book, known: RwLock::default() }
    }

    /// The same for another snapshot, in which everything else may be another thing.
    pub fn draft(&self) -> Self {
        Self::new(self.book.clone())
    }

    /// Whether there are none, so that nothing needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.book.is_empty()
    }

    pub fn book(&self) -> &PolicyBook {
        &self.book
    }

    /// What they say.
    pub fn decide(&self, question: &Question<'_>, facts: &Facts<'_>) -> Verdict {
        if self.is_empty() {
            return Verdict::Allowed;
        }
        match self.kept(question) {
            Some(kept) => match &*kept {
                Kept::Settled(verdict) => verdict.clone(),
                Kept::Live(candidate) => candidate.decide(&self.book, facts),
            },
            None => Verdict::fails(),
        }
    }

    /// Whether what they say may change while the snapshot stays, or with what a call brings.
    pub fn depends(&self, question: &Question<'_>) -> bool {
        !self.is_empty() && self.kept(question).is_none_or(|it| matches!(*it, Kept::Live(_)))
    }

    /// Whether they refuse all that could be asked of the server, whatever it is called.
    pub fn refuse_all_of(&self, question: &Question<'_>, facts: &Facts<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some((caller, thing)) = question.described() else { return true };
        refuses_all_of(&self.book, (&caller, Parts::NAME), &thing, facts)
    }

    /// Whether any that may have a say looks at what the server says of a tool.
    pub fn look_at_annotations(&self, question: &Question<'_>) -> bool {
        let Some((caller, thing)) = question.described() else { return true };
        let candidate = self.candidate(&caller, &thing);
        candidate.is_none_or(|it| !it.choice.looks.parts.and(Parts::ANNOTATIONS).is_empty())
    }

    /// Whether any of them looks at the arguments of calls.
    pub fn look_at_arguments(&self) -> bool {
        self.book.looks_at_arguments
    }

    fn kept(&self, question: &Question<'_>) -> Option<Arc<Kept>> {
        let key = (question.app, question.assignment.id, question.kind, question.hints);
        if let Ok(known) = self.known.read()
            && let Some(kept) = known.by_key.get(&key).and_then(|it| it.get(question.name))
        {
            return Some(Arc::clone(kept));
        }
        let (caller, thing) = question.described()?;
        let candidate = self.candidate(&caller, &thing)?;
        let kept = if candidate.is_settled() {
            Kept::Settled(candidate.decide(&self.book, &Facts::default()))
        } else {
            Kept::Live(Box::new(candidate))
        };
        let kept = Arc::new(kept);
        if let Ok(mut known) = self.known.write() {
            known.keep(key, question.name, &kept);
        }
        Some(kept)
    }

    fn candidate(&self, caller: &Caller, thing: &Thing) -> Option<Candidate> {
        let made = self.book.candidate((caller, thing), Parts::NONE, |it| self.choice(it));
        made.ok()
    }

    fn choice(&self, places: &[Place]) -> Arc<Choice> {
        if let Ok(known) = self.known.read()
            && let Some(choice) = known.choices.get(places)
        {
            return Arc::clone(choice);
        }
        let choice = Arc::new(Choice::new(&self.book, places));
        if let Ok(mut known) = self.known.write() {
            known.add(1 + FORMS * choice.weight());
            known.choices.insert(places.into(), Arc::clone(&choice));
        }
        choice
    }
}

/// In how many forms statements are asked, mostly.
const FORMS: usize = 4;

impl Known {
    fn keep(&mut self, key: Key, name: &str, kept: &Arc<Kept>) {
        /// Longer names are looked at each time.
        const LONGEST: usize = 512;
        if LONGEST < name.len() {
            return;
        }
        let weight = match &**kept {
            Kept::Settled(_) => 1,
            Kept::Live(it) => it.scene.weight(),
        };
        self.add(weight);
        self.by_key.entry(key).or_default().insert(name.into(), Arc::clone(kept));
    }

    /// Makes room, for what would be found out anew.
    fn add(&mut self, weight: usize) {
        /// In about a kilobyte each.
        const MOST: usize = 64 << 10;

        if MOST < self.weight + weight {
            *self = Self::default();
        }
        self.weight += weight;
    }
}

impl Question<'_> {
    /// As policies see it; nothing where the workspace does not know the app.
    pub fn described(&self) -> Option<(Caller, Thing)> {
        let workspace = self.workspace;
        let app = workspace.apps.get(&self.app)?;
        let teams = self.user.teams.iter().filter_map(|it| workspace.teams.get(it));
        let caller = Caller {
            app: app.name.as_str().into(),
            labels: app.labels.clone(),
            user: self.user.name.as_str().into(),
            attributes: self.user.attributes.clone(),
            teams: teams.map(|it| it.as_str().into()).collect(),
        };
        let server = &self.assignment.server;
        let label = server.tool_labels.get(self.name).filter(|_| self.kind == Kind::Tool);
        let thing = Thing {
            kind: self.kind,
            name: self.name.into(),
            server: server.name.as_str().into(),
            server_labels: server.labels.clone(),
            gateway: self.gateway.name.as_str().into(),
            label: label.cloned().unwrap_or_default(),
            hints: self.hints,
        };
        Some((caller, thing))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").field("book", &self.book.policies.len()).finish_non_exhaustive()
    }
}
