//! Policies: what a workspace takes away, in Cedar, from what its grants give.
//!
//! A policy is saved when its text fits the published schema, names nothing that is not there, and
//! passes its own tests; and when not everything that everybody may do is refused with it, unless
//! that is asked for. Whether something that a policy names is still there is asked again at each
//! change of anything. [`simulation`] tries policies on what has been called.

mod api;
mod named;
mod simulation;
mod store;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::policies::{Caller, Thing, refuses_everybody};
use domain::{
    AppId, Call, Capability, Fault, Kind, Name, PolicyBook, PolicyText, Question, Snapshot,
    Workspace, WorkspaceId,
};
use uuid::Uuid;

pub(crate) use api::{NewPolicy, PolicyPatch, routes, schema_routes};
pub(crate) use named::check_names;
pub(crate) use text::CaseText;
pub use text::Tested;
pub(crate) use text::run;

use crate::api::{Error, Ref, Which};
use crate::change::Change;

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) id: Uuid,
    pub(crate) name: Name,
    pub(crate) text: String,
    pub(crate) enabled: bool,
    pub(crate) tests: Vec<CaseText>,
    pub(crate) created_at: DateTime<Utc>,
}

/// More would make the longest list of a gateway slow, and first calls after a change those of others.
const MOST_POLICIES: i64 = 1_000;
/// Of all policies of a workspace, in characters.
const LONGEST_TEXTS: i64 = 512 << 10;
const MOST_TESTS: usize = 100;

/// By name.
pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<Policy>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    policy: &Ref,
) -> Result<Policy, Error> {
    let found = store::select(tx, workspace, Which::One(policy)).await?.pop();
    found.ok_or_else(|| policy.not_found("policy"))
}

/// Whoever makes one asks [`check_everybody`] afterwards.
pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewPolicy,
) -> Result<Policy, Error> {
    change.require_on_workspace(Capability::PoliciesWrite)?;
    let stamp = change.stamp();
    let NewPolicy { name, text, enabled, tests } = new;
    let policy = Policy { id: stamp.id, name, text, enabled, tests, created_at: stamp.at };
    check(change, workspace, &policy).await?;
    store::insert(change, workspace, &policy)
        .await
        .map_err(|error| Error::saving(error, "policy", &policy.name))?;
    Ok(policy)
}

/// Whoever changes one asks [`check_everybody`] afterwards.
pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut policy: Policy,
    patch: PolicyPatch,
) -> Result<Policy, Error> {
    change.require_on_workspace(Capability::PoliciesWrite)?;
    policy.name = patch.name.unwrap_or(policy.name);
    policy.text = patch.text.unwrap_or(policy.text);
    policy.enabled = patch.enabled.unwrap_or(policy.enabled);
    policy.tests = patch.tests.unwrap_or(policy.tests);
    check(change, workspace, &policy).await?;
    store::update(change, workspace, &policy)
        .await
        .map_err(|error| Error::saving(error, "policy", &policy.name))?;
    Ok(policy)
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    policy: &Policy,
) -> Result<(), Error> {
    change.require_on_workspace(Capability::PoliciesWrite)?;
    Ok(store::delete(change, workspace, policy.id).await?)
}

/// Refuses a change with which every call of everybody would be refused, where that is not so
/// already (H177).
pub(crate) async fn check_everybody(
    change: &mut Change,
    workspace: WorkspaceId,
) -> Result<(), Error> {
    let was = Arc::clone(change.was());
    let next = change.preview().await?;
    let (clock, now) = (Arc::clone(&change.app().clock), change.now());
    let looking = tokio::task::spawn_blocking(move || {
        // Whether they do, and whether that is certain.
        let refuses = |snapshot: &Snapshot| {
            let until = clock.elapsed() + LONGEST_LOOK;
            let gives_up = || until < clock.elapsed();
            let here = snapshot.config.workspace(workspace);
            let refuses = here.is_some_and(|it| leaves_out((snapshot, it), now, gives_up));
            (refuses, !gives_up())
        };
        refuses(&next).0 && refuses(&was) != (true, true)
    });
    if looking.await.map_err(Error::internal)? {
        return Err(Error::Conflict(
            "with this, the policies refuse every call of everybody who is connected, as far as that \
             could be looked at in a second; nothing was saved. Look at what it refuses with a \
             simulation, or save it with `force`"
                .into(),
        ));
    }
    Ok(())
}

/// For how long somebody is looked for whom policies let by. No other change can be made meanwhile.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Whether policies refuse everybody who can call something: who is connected, is not off and has a
/// token. Where nobody can, it is about everybody who is connected, and where nobody is, about anybody.
fn leaves_out(
    (snapshot, workspace): (&Snapshot, &Workspace),
    now: DateTime<Utc>,
    gives_up: impl Fn() -> bool,
) -> bool {
    let book = workspace.policies.book();
    if book.is_empty() {
        return false;
    }
    let tokens = snapshot.config.tokens.values();
    let tokens = tokens.filter(|it| it.is_live(now) && it.workspace == workspace.name);
    let tokens: HashSet<AppId> = tokens.map(|it| it.app).collect();
    let can_call = |call: &Call<'_>| {
        tokens.contains(&call.app) && domain::decide(&snapshot.switches, call, now).is_ok()
    };
    let is_anybody_there = connected(workspace, can_call).next().is_some();
    let counts = |call: &Call<'_>| !is_anybody_there || can_call(call);
    let connected = |workspace| connected(workspace, counts);
    if connected(workspace).next().is_none() {
        return refuses_everybody(book, std::iter::once((None, somewhere())), gives_up);
    }
    let names: HashSet<String> = book.iter().flat_map(|it| it.1.names()).map(|it| it.1).collect();
    let is_named = |caller: &Caller| {
        let mut own = caller.teams.iter().chain([&caller.app, &caller.user]);
        own.any(|it| names.contains(&**it))
    };
    // Those of whom policies speak come first: a policy may let by only them.
    let (named, others) = (connected(workspace), connected(workspace));
    let all = named.filter(|it| is_named(&it.0)).chain(others.filter(|it| !is_named(&it.0)));
    refuses_everybody(book, all.map(|(caller, thing)| (Some(caller), thing)), gives_up)
}

/// Everybody who is connected and counts, with every server that they reach.
fn connected<'a>(
    workspace: &'a Workspace,
    counts: impl Fn(&Call<'_>) -> bool + Copy + 'a,
) -> impl Iterator<Item = (Caller, Thing)> + 'a {
    workspace.gateways.values().flat_map(move |gateway| {
        gateway.connections.values().flat_map(move |connection| {
            let user = workspace.users.get(&connection.user);
            let user = user.filter(|it| !gateway.teams.is_disjoint(&it.teams));
            gateway.assignments.iter().filter_map(move |assignment| {
                let call = Call {
                    workspace,
                    app: connection.app,
                    address: None,
                    token: None,
                    gateway,
                    assignment: Some(assignment),
                    offer: None,
                };
                if !counts(&call) {
                    return None;
                }
                let question = Question {
                    workspace,
                    app: connection.app,
                    user: user?,
                    gateway,
                    assignment,
                    kind: Kind::Tool,
                    name: "",
                    hints: None,
                };
                question.described()
            })
        })
    })
}

/// Some tool of some server.
fn somewhere() -> Thing {
    Thing {
        kind: Kind::Tool,
        name: "".into(),
        server: "".into(),
        server_labels: BTreeSet::new(),
        gateway: "".into(),
        label: domain::ToolLabel::default(),
        hints: None,
    }
}

/// Whether a policy may be saved as far as it goes by itself.
async fn check(change: &mut Change, workspace: WorkspaceId, policy: &Policy) -> Result<(), Error> {
    let text = Arc::new(PolicyText::parse(&policy.text).map_err(faulty)?);
    let missing = named::missing(change, workspace, &text).await?;
    if !missing.is_empty() {
        return Err(Error::Invalid(format!("it names what is not there: {}", missing.join(", "))));
    }
    if MOST_TESTS < policy.tests.len() {
        return Err(Error::Invalid(format!("a policy has at most {MOST_TESTS} tests")));
    }
    let (others, length) = store::others(change, workspace, policy.id).await?;
    if MOST_POLICIES <= others {
        return Err(Error::Invalid(format!("a workspace has at most {MOST_POLICIES} policies")));
    }
    let own = i64::try_from(policy.text.chars().count()).unwrap_or(i64::MAX);
    if LONGEST_TEXTS < length.saturating_add(own) {
        return Err(Error::Invalid(format!(
            "all policies of a workspace together have at most {LONGEST_TEXTS} characters"
        )));
    }
    let book = PolicyBook::new(vec![(policy.name.clone(), text)]);
    let mut failed = Vec::new();
    for case in &policy.tests {
        let tested = case.run(&book).map_err(Error::Invalid)?;
        if !tested.passed {
            failed.push(tested.to_string());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    failed.truncate(10);
    Err(Error::Invalid(format!("its tests fail: {}", failed.join("; "))))
}

fn faulty(faults: Vec<Fault>) -> Error {
    Error::Faulty { faults }
}
