//! From documents to what they ask for.
//!
//! Each object is looked up by its name, made where it is missing, and changed where it differs.
//! What differs is decided here, so that applying the same text again touches nothing.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Capability, DefinitionHash, Name, Object, PinKind, ServerId, WorkspaceId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::difference::{self, Difference};
use super::document::{Document, IdentityFile, LimitFile, PinFile, ServerFile, WorkspaceFile};
use super::owned::Owned;
use super::reference::Resolve;
use super::{Scope, export, member, people, policies, roles};
use crate::api::{Error, Ref};
use crate::change::Change;
use crate::identities::{Headers, IdentityPatch, NewIdentity};
use crate::limits::{LimitPatch, NewLimit};
use crate::row::{Named, to_json};
use crate::servers::{EraText, NewServer, Server, ServerPatch, TasksText, TransportText};
use crate::switches::Off;
use crate::workspaces::{DurabilityText, NewWorkspace, WorkspacePatch};
use crate::{identities, limits, pins, role_grants, servers, workspaces};

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Applied {
    pub kind: &'static str,
    pub name: String,
    pub workspace: String,
    pub outcome: Outcome,
    /// The members that differed.
    pub members: Vec<&'static str>,
    /// How they differed. Secrets are never shown.
    pub changes: Vec<Difference>,
    /// What it was and what it is, as documents: for the record of the act.
    #[serde(skip)]
    pub(crate) sides: [Option<Value>; 2],
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    /// It was pruned.
    Deleted,
}

/// The members in which an object differed from its document; `None` where there was no object.
pub(super) type Differed = Option<Vec<&'static str>>;

/// Applies documents in the order given, and prunes what they do not name where that is asked.
pub(super) async fn all(
    change: &mut Change,
    documents: Vec<(Name, Document)>,
    scope: &Scope,
    secrets: Resolve<'_>,
) -> Result<Vec<Applied>, Error> {
    let mut places = BTreeMap::new();
    let mut named: BTreeMap<Name, BTreeSet<(&'static str, Name)>> = BTreeMap::new();
    named.insert(scope.workspace.clone(), BTreeSet::new());
    let mut applied = Vec::new();
    for (workspace, document) in documents {
        let (kind, name) = (document.kind(), document.name().clone());
        named.entry(workspace.clone()).or_default().insert((kind, name.clone()));
        let done = object(change, &mut places, (&workspace, scope), document, secrets).await;
        applied.push(done.map_err(|error| error.of_document(kind, &name))?);
    }
    for (workspace, named) in named.iter().filter(|_| scope.prune) {
        let place = place(change, &mut places, workspace).await?;
        let owned = std::mem::replace(&mut place.owned, Owned::none(place.id));
        applied.extend(owned.prune(change, workspace, named, &scope.owner).await?);
    }
    let is_new = |it: &&Applied| it.kind == "Policy" && it.outcome != Outcome::Unchanged;
    let touched: BTreeSet<&str> =
        applied.iter().filter(is_new).map(|it| it.workspace.as_str()).collect();
    for (name, place) in &places {
        if touched.contains(name.as_str()) {
            crate::policies::check_everybody(change, place.id).await?;
        }
    }
    Ok(applied)
}

/// A workspace that documents are about.
struct Place {
    id: WorkspaceId,
    owned: Owned,
}

async fn place<'a>(
    change: &mut Change,
    places: &'a mut BTreeMap<Name, Place>,
    workspace: &Name,
) -> Result<&'a mut Place, Error> {
    if !places.contains_key(workspace) {
        let found = workspaces::find(change, &workspace.into()).await;
        let id = found.map_err(Error::in_body)?.id;
        let owned = Owned::load(change, id).await?;
        places.insert(workspace.clone(), Place { id, owned });
    }
    places.get_mut(workspace).ok_or(Error::NoRoute)
}

async fn object(
    change: &mut Change,
    places: &mut BTreeMap<Name, Place>,
    (workspace, scope): (&Name, &Scope),
    document: Document,
    secrets: Resolve<'_>,
) -> Result<Applied, Error> {
    let (kind, name, now) = (document.kind(), document.name().clone(), change.now());
    let what = (kind, &name);
    let mut applied = Applied {
        kind,
        name: name.to_string(),
        workspace: workspace.to_string(),
        outcome: Outcome::Created,
        members: Vec::new(),
        changes: Vec::new(),
        sides: [None, Some(document.members().into())],
    };
    if let Document::Workspace(file) = document {
        let before = if_found(workspaces::find(change, &(&name).into()).await)?;
        let before = before.map(export::workspace);
        if let Some(members) = apply_workspace(change, file, scope.force).await? {
            let after = export::workspace(workspaces::find(change, &(&name).into()).await?);
            applied.differed(before, Some(after), members);
        }
        return Ok(applied);
    }
    let place = place(change, places, workspace).await?;
    let before = export::find(change, place.id, what, now).await?;
    if before.is_some() {
        place.owned.check(change, what, &scope.owner).await?;
    }
    let replaced = match &document {
        Document::RoleGrant(_) if before.is_some() => {
            Some(role_grants::find(change, place.id, &(&name).into()).await?.id.0)
        }
        _ => None,
    };
    match one(change, place.id, document, secrets).await? {
        None => place.owned.claim(change, what, &scope.owner).await?,
        Some(members) if members.is_empty() => applied.differed(None, None, members),
        Some(members) => {
            let after = export::find(change, place.id, what, now).await?;
            applied.differed(before, after, members);
            if let Some(replaced) = replaced {
                place.owned.follow(change, what, replaced, &scope.owner).await?;
            }
        }
    }
    Ok(applied)
}

impl Applied {
    fn differed(
        &mut self,
        before: Option<Document>,
        after: Option<Document>,
        members: Vec<&'static str>,
    ) {
        self.sides = [&before, &after].map(|it| it.as_ref().map(|it| it.members().into()));
        if members.is_empty() {
            self.outcome = Outcome::Unchanged;
            return;
        }
        self.outcome = Outcome::Changed;
        if let (Some(before), Some(after)) = (before, after) {
            self.changes = difference::between(&before, &after, &members);
        }
        self.members = members;
    }
}

async fn one(
    change: &mut Change,
    id: WorkspaceId,
    document: Document,
    secrets: Resolve<'_>,
) -> Result<Differed, Error> {
    match document {
        Document::Workspace(_) => Ok(None),
        Document::User(file) => people::apply_user(change, id, file).await,
        Document::Team(file) => people::apply_team(change, id, file).await,
        Document::Server(file) => apply_server(change, id, file).await,
        Document::Identity(file) => apply_identity(change, id, file, secrets).await,
        Document::Gateway(file) => member::apply_gateway(change, id, file).await,
        Document::App(file) => member::apply_app(change, id, file).await,
        Document::Limit(file) => apply_limit(change, id, file).await,
        Document::Policy(file) => policies::apply_policy(change, id, file).await,
        Document::Role(file) => roles::apply_role(change, id, file).await,
        Document::RoleGrant(file) => roles::apply_role_grant(change, id, file).await,
    }
}

/// Nothing found is no error here.
pub(super) fn if_found<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was found, where it may be seen; what may not be is as if it were not there.
pub(super) fn seen<T>(
    change: &Change,
    found: Result<T, Error>,
    needed: Capability,
    object: impl Fn(&T) -> Object,
) -> Result<Option<T>, Error> {
    let is_seen = |it: &T| change.rights().may(needed, &object(it));
    Ok(if_found(found)?.filter(is_seen))
}

/// Refuses to say whether a thing is as a document says to those who may not see that of it.
pub(super) fn sees(change: &Change, needed: Capability, object: &Object) -> Result<(), Error> {
    if change.rights().may(needed, object) {
        return Ok(());
    }
    Err(Error::Forbidden(format!("this needs the capability `{needed}` on it")))
}

/// Whether `enabled` is asked to be other than it is.
pub(super) fn switches(change: &Change, off: Option<&Off>, wanted: Option<bool>) -> bool {
    let now = change.now();
    // What is off for a while only is not off as a file means it.
    let is_off = off.is_some_and(|it| it.holds(now));
    let is_off_for_good = is_off && off.is_some_and(|it| !it.is_limited());
    match wanted {
        None => false,
        Some(true) => is_off,
        Some(false) => !is_off_for_good,
    }
}

/// Whether two text forms say the same.
pub(super) fn differ<T: Serialize>(one: &T, other: &T) -> bool {
    to_json(one) != to_json(other)
}

pub(super) fn refs<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<Ref> {
    names.into_iter().map(Ref::from).collect()
}

async fn apply_workspace(
    change: &mut Change,
    file: WorkspaceFile,
    force: bool,
) -> Result<Differed, Error> {
    let WorkspaceFile { name, durability, addresses } = file;
    let Some(found) = if_found(workspaces::find(change, &(&name).into()).await)? else {
        let new = NewWorkspace {
            name,
            durability: durability.unwrap_or_default(),
            addresses: addresses.unwrap_or_default(),
        };
        workspaces::create(change, new).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    if durability.is_some_and(|it| differ(&it, &DurabilityText::from(found.durability))) {
        members.push("durability");
    }
    let addresses = addresses.filter(|it| it.0 != found.addresses);
    if addresses.is_some() {
        members.push("addresses");
    }
    if !members.is_empty() {
        let patch = WorkspacePatch { durability, addresses, force, ..WorkspacePatch::default() };
        workspaces::update(change, found, patch).await?;
    }
    Ok(Some(members))
}

async fn apply_server(
    change: &mut Change,
    workspace: WorkspaceId,
    file: ServerFile,
) -> Result<Differed, Error> {
    let ServerFile {
        name,
        transport,
        era,
        tasks,
        roots,
        review,
        pins,
        enabled,
        labels,
        tool_labels,
    } = file;
    let pins = pins.map(wanted_pins).transpose()?;
    let found = servers::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::ServersRead, |it| Object::Server(it.id))?;
    let Some(found) = found else {
        let review = review.unwrap_or_default();
        let (labels, tool_labels) = (labels.unwrap_or_default(), tool_labels.unwrap_or_default());
        let new = NewServer { name, transport, era, tasks, roots, review, labels, tool_labels };
        let server = servers::create(change, workspace, new).await?;
        if let Some(pins) = &pins {
            pins::set_approved(change, workspace, &named(&server), pins).await?;
        }
        let patch = ServerPatch { enabled: enabled.filter(|it| !it), ..ServerPatch::default() };
        servers::update(change, workspace, server, patch).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    let mut patch = ServerPatch::default();
    if differ(&transport, &TransportText::from(found.transport.clone())) {
        members.push("transport");
        patch.transport = Some(transport);
    }
    if differ(&era, &EraText::from(found.era)) {
        members.push("era");
        patch.era = Some(era);
    }
    if differ(&tasks, &TasksText::from(found.tasks)) {
        members.push("tasks");
        patch.tasks = Some(tasks);
    }
    if roots != found.roots {
        members.push("roots");
        patch.roots = Some(roots);
    }
    if let Some(labels) = labels.filter(|it| *it != found.labels) {
        members.push("labels");
        patch.labels = Some(labels);
    }
    if let Some(tool_labels) = tool_labels.filter(|it| *it != found.tool_labels) {
        members.push("tool_labels");
        patch.tool_labels = Some(tool_labels);
    }
    if let Some(review) = review.filter(|it| *it != found.review) {
        members.push("review");
        patch.review = Some(review);
    }
    if let Some(pins) = &pins
        && pins::set_approved(change, workspace, &named(&found), pins).await?
    {
        members.push("pins");
    }
    if switches(change, found.off.as_ref(), enabled) {
        members.push("enabled");
        patch.enabled = enabled;
    }
    if !members.is_empty() {
        servers::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}

fn named(server: &Server) -> Named<ServerId> {
    Named { id: server.id, name: server.name.clone() }
}

fn wanted_pins(pins: Vec<PinFile>) -> Result<BTreeSet<(PinKind, String, DefinitionHash)>, Error> {
    let read = |it: PinFile| {
        let kind = it.kind.parse().map_err(|why: &str| Error::Invalid(why.to_owned()))?;
        if !(1..=pins::MOST_NAME_BYTES).contains(&it.name.len()) {
            let most = pins::MOST_NAME_BYTES;
            return Err(Error::Invalid(format!("the name of a pin has 1 to {most} bytes")));
        }
        Ok((kind, it.name, it.hash))
    };
    pins.into_iter().map(read).collect()
}

async fn apply_identity(
    change: &mut Change,
    workspace: WorkspaceId,
    file: IdentityFile,
    secrets: Resolve<'_>,
) -> Result<Differed, Error> {
    let IdentityFile { name, server, owner, headers, enabled } = file;
    let found = identities::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::IdentitiesRead, identities::Identity::object)?;
    // What another key has sealed cannot be kept, only replaced.
    let stored = found
        .as_ref()
        .and_then(|it| Headers::open(&change.app().vault, workspace, it.id, &it.sealed).ok());
    let headers_are_given = headers.values().any(|it| !it.is_stored());
    let mut wanted = BTreeMap::new();
    for (header, reference) in headers {
        let value = match reference.resolve(secrets)? {
            Some(value) => value,
            None => {
                let kept = stored.as_ref().and_then(|it| it.value(&header)).cloned();
                kept.ok_or_else(|| {
                    Error::Invalid(format!("nothing is stored for the header `{header}`"))
                })?
            }
        };
        wanted.insert(header, value);
    }
    let Some(found) = found else {
        let (server, owner) = (Ref::from(&server), owner.as_ref().map(Ref::from));
        let new = NewIdentity { name, server, owner, headers: wanted };
        let identity = identities::create(change, workspace, new).await?;
        let enabled = enabled.filter(|it| !it);
        let patch = IdentityPatch { enabled, ..IdentityPatch::default() };
        identities::update(change, workspace, identity, patch).await?;
        return Ok(None);
    };
    if found.server.name != server || found.owner.as_ref().map(|it| &it.name) != owner.as_ref() {
        return Err(Error::Invalid(
            "an identity is for one server and one owner; delete it and make another".into(),
        ));
    }
    if headers_are_given {
        // Whether a value is the same is known to those who may replace it.
        sees(change, Capability::IdentitiesWrite, &found.object())?;
    }
    let mut members = Vec::new();
    let mut patch = IdentityPatch::default();
    if stored.is_none_or(|it| !it.is_same(&wanted)) {
        members.push("headers");
        patch.headers = Some(wanted);
    }
    if switches(change, found.off.as_ref(), enabled) {
        members.push("enabled");
        patch.enabled = enabled;
    }
    if !members.is_empty() {
        identities::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}

async fn apply_limit(
    change: &mut Change,
    workspace: WorkspaceId,
    file: LimitFile,
) -> Result<Differed, Error> {
    let LimitFile { name, scope, unit, direction, allowance, gateway } = file;
    let found = limits::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::LimitsRead, |_| Object::Workspace)?;
    let Some(found) = found else {
        let gateway = gateway.as_ref().map(Ref::from);
        let new = NewLimit { name, scope, unit, direction, allowance, gateway };
        limits::create(change, workspace, new).await?;
        return Ok(None);
    };
    if scope != found.scope_text || limits::unit(unit, direction)? != found.unit {
        return Err(Error::Invalid(
            "what a limit counts, and for whom, stays; delete it and make another".into(),
        ));
    }
    let mut members = Vec::new();
    let mut patch = LimitPatch::default();
    if domain::limits::Allowance::try_from(allowance.clone())? != found.allowance {
        members.push("allowance");
        patch.allowance = Some(allowance);
    }
    if gateway.as_ref() != found.gateway.as_ref().map(|it| &it.name) {
        members.push("gateway");
        patch.gateway = Some(gateway.as_ref().map(Ref::from));
    }
    if !members.is_empty() {
        limits::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}
