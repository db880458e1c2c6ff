//! Configuration as files: documents that say how things shall be.
//!
//! A text holds one document for each object, `kind` and `name` first. Applying it makes what is
//! missing and changes what differs, all in one change or not at all; applying it again changes
//! nothing. What a document leaves out stays as it is: a file never turns on again what was cut
//! off, unless it says `enabled: true`. Nothing is deleted but what belongs to an object whose
//! list no longer has it, and, where that is asked for, what the same files have made.
//!
//! A file needs exactly the rights that the same changes need one by one, and those to see what it
//! leaves as it is.
//!
//! Objects belong to the workspace that they name, or else to the `Workspace` document above
//! them, or else to the one that the caller means. Secrets stand in no file: see
//! [`mod@reference`]. What a file makes belongs to its set of files: see [`owned`].

mod api;
mod apply;
mod difference;
mod document;
mod emit;
mod export;
mod member;
mod owned;
mod people;
mod policies;
mod reference;
mod roles;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Name;

pub(crate) use api::{routes, touched};
pub use apply::{Applied, Outcome};
pub use difference::Difference;
pub(crate) use difference::differences;
pub use reference::Resolve;
pub use schema::schema;

use crate::App;
use crate::api::{Error, Rights};
use crate::change::Change;
use crate::session::Caller;
use document::Document;

/// What is meant beside the text.
pub(crate) struct Scope {
    /// Where documents go that name no workspace.
    pub(crate) workspace: Name,
    /// Whether they may name no other.
    pub(crate) is_only: bool,
    /// The set of files that owns what the text makes.
    pub(crate) owner: Name,
    /// Whether what the set owns and the text does not name is deleted.
    pub(crate) prune: bool,
    /// Whether a workspace's addresses are set even where the request's own is not among them.
    pub(crate) force: bool,
}

/// Whose objects are that a text makes.
pub(crate) const DEFAULT_OWNER: &str = "default";

/// Makes things as the text says.
pub(crate) async fn apply(
    app: &Arc<App>,
    (actor, rights): (&Caller, &Rights),
    scope: &Scope,
    text: &str,
    secrets: Resolve<'_>,
) -> Result<Vec<Applied>, Error> {
    let documents = meant(text, scope)?;
    let mut change = Change::begin(app, rights).await?;
    let applied = apply::all(&mut change, documents, scope, secrets).await?;
    if applied.iter().all(|it| it.outcome == Outcome::Unchanged) {
        change.rollback().await?;
    } else {
        change.commit_decided(actor).await?;
    }
    Ok(applied)
}

/// What applying the text would do. Does it, to be sure, and undoes it.
pub(crate) async fn diff(
    app: &Arc<App>,
    rights: &Rights,
    scope: &Scope,
    text: &str,
    secrets: Resolve<'_>,
) -> Result<Vec<Applied>, Error> {
    let documents = meant(text, scope)?;
    let mut change = Change::begin(app, rights).await?;
    let mut applied = apply::all(&mut change, documents, scope, secrets).await?;
    change.rollback().await?;
    applied.retain(|it| it.outcome != Outcome::Unchanged);
    Ok(applied)
}

/// The documents of a text. One that names nothing is what is left where making it has failed: nobody
/// means to delete all that its files have made.
fn meant(text: &str, scope: &Scope) -> Result<Vec<(Name, Document)>, Error> {
    let documents = document::parse(text, scope)?;
    if scope.prune && documents.is_empty() {
        return Err(Error::Invalid(format!(
            "the text names nothing, so pruning would delete all that the files of `{}` have made; \
             name what is to stay, such as the workspace",
            scope.owner
        )));
    }
    Ok(documents)
}

/// A workspace as text, the same bytes for the same configuration.
pub(crate) async fn export(
    app: &Arc<App>,
    rights: &Rights,
    workspace: &crate::api::Ref,
) -> Result<String, Error> {
    for capability in export::NEEDS {
        rights.require_on_workspace(*capability)?;
    }
    let mut tx = app.db.read().await?;
    let documents = export::all(&mut tx, workspace, app.clock.now()).await?;
    let texts: Vec<String> = documents.iter().map(Document::to_text).collect();
    Ok(texts.join("---\n"))
}

/// The documents of a text of one workspace as an export would write them.
///
/// # Errors
/// Where the text is not what it should be; the message says where.
#[cfg(feature = "fuzzing")]
pub fn rewritten(text: &str) -> Result<String, String> {
    let workspace: Name = crate::workspaces::DEFAULT.parse().map_err(|_| String::new())?;
    let owner = workspace.clone();
    let scope = Scope { workspace, is_only: true, owner, prune: false, force: false };
    let documents = document::parse(text, &scope).map_err(|error| error.to_string())?;
    let texts: Vec<String> = documents.iter().map(|(_, it)| it.to_text()).collect();
    Ok(texts.join("---\n"))
}

/// The workspaces that a text is about.
pub(crate) fn workspaces(text: &str, scope: &Scope) -> Result<BTreeSet<Name>, Error> {
    Ok(document::parse(text, scope)?.into_iter().map(|it| it.0).collect())
}

/// The references to secrets that a text holds, each once: what whoever applies it must resolve.
///
/// # Errors
/// Where the text is not what it should be; the message says where.
pub fn references(text: &str) -> Result<Vec<String>, String> {
    let documents = outline(text)?;
    Ok(reference::all(&documents))
}

/// A policy as a file says it.
pub struct FiledPolicy(document::PolicyFile);

impl FiledPolicy {
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn is_enabled(&self) -> bool {
        self.0.enabled
    }

    /// Runs its tests.
    ///
    /// # Errors
    /// Where its text is no policy, or a test no test.
    pub fn test(&self) -> Result<Vec<crate::Tested>, String> {
        crate::policies::run(&self.0.name, &self.0.text, &self.0.tests)
    }
}

/// The policies of a text, which may hold other documents, too.
///
/// # Errors
/// As [`references`].
pub fn filed_policies(text: &str) -> Result<Vec<FiledPolicy>, String> {
    let policy = |(_, it)| match it {
        Document::Policy(file) => Some(FiledPolicy(file)),
        _ => None,
    };
    Ok(outline(text)?.into_iter().filter_map(policy).collect())
}

/// How many objects a text is about.
///
/// # Errors
/// As [`references`].
pub fn count(text: &str) -> Result<usize, String> {
    outline(text).map(|it| it.len())
}

/// Parses a text for what it holds.
fn outline(text: &str) -> Result<Vec<(Name, Document)>, String> {
    let workspace: Name = crate::workspaces::DEFAULT.parse().map_err(|_| String::new())?;
    let owner = workspace.clone();
    let scope = Scope { workspace, is_only: false, owner, prune: false, force: false };
    document::parse(text, &scope).map_err(|error| error.to_string())
}
