//! Pins: what servers under review have listed, and what an administrator has decided about it.
//!
//! A pin is one definition of one server, known by its hash, and never changes: what a server
//! changes makes another pin, which waits for a decision of its own. So an approval holds for
//! exactly what was looked at. What the data plane sees for the first time comes in through
//! [`Notes`]; only what is approved goes back to it, with the snapshot.

mod api;
mod differences;
mod marks;
mod notes;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::{DbError, Tx};
use domain::ports::Sighting;
use domain::{Capability, DefinitionHash, Name, Object, PinKey, PinKind, ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use api::routes;
pub(crate) use notes::{Notes, notes};

use crate::api::{Error, Paging, Ref, Rights};
use crate::change::Change;
use crate::row::Named;

#[derive(Clone, Debug)]
pub(crate) struct Pin {
    pub(crate) id: Uuid,
    pub(crate) server: Named<ServerId>,
    pub(crate) key: PinKey,
    /// The server's own name; of a template its URI template.
    pub(crate) name: String,
    /// The size of the definition.
    pub(crate) bytes: i64,
    /// Whether the definition itself is kept.
    pub(crate) is_known: bool,
    /// What in it a reader would miss, joined with commas.
    pub(crate) marks: String,
    pub(crate) state: State,
    pub(crate) first_seen: DateTime<Utc>,
    pub(crate) last_seen: DateTime<Utc>,
    pub(crate) decided_by: Option<String>,
    pub(crate) decided_at: Option<DateTime<Utc>>,
}

/// What has been decided about a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Approved,
    Pending,
    Rejected,
}

/// Which pins; what is absent does not matter.
#[derive(Default)]
pub(crate) struct Filter<'a> {
    id: Option<Uuid>,
    server: Option<ServerId>,
    state: Option<State>,
    kind: Option<PinKind>,
    name: Option<&'a str>,
}

/// The largest definition that is kept, in bytes; a larger one cannot be looked at, hence not be
/// approved. Lists of large servers have some kilobytes for each tool.
const MOST_BYTES: usize = 256 << 10;

/// The longest name that is kept, in bytes: that of a template. The data plane shows no longer one.
pub(crate) const MOST_NAME_BYTES: usize = 4 << 10;

/// How many definitions of one name wait for a decision, or were rejected. Beyond it the one that
/// was seen longest ago is forgotten, so that a server that changes all the time takes no more room.
const MOST_OF_NAME: usize = 8;

/// The same of one server: as many as it may have tools, and bytes in all.
const MOST_OF_SERVER: usize = 20_000;
const MOST_BYTES_OF_SERVER: i64 = 64 << 20;

/// How many definitions of one name are approved at once, which servers may show to different
/// people. Beyond it the one that was approved first waits for a decision again.
const MOST_APPROVED: usize = 16;

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Approved, Self::Pending, Self::Rejected].into_iter().find(|it| it.as_str() == text)
    }
}

impl Pin {
    /// As it stands in records.
    fn title(&self) -> String {
        title(&self.server.name, self.key, &self.name)
    }
}

fn title(server: &Name, pin: PinKey, name: &str) -> String {
    format!("{server}/{}/{name} {}", pin.kind.as_str(), pin.hash)
}

/// How many wait for a decision, of all servers or of one.
pub(crate) async fn count_pending(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: Option<ServerId>,
) -> Result<u64, DbError> {
    let count = store::count_pending(tx, workspace, server).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The same of each server of which any wait.
pub(crate) async fn count_pending_by_server(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<BTreeMap<ServerId, u64>, DbError> {
    let counts = store::count_pending_by_server(tx, workspace).await?;
    let count = |it| u64::try_from(it).unwrap_or_default();
    Ok(counts.into_iter().map(|(server, it)| (ServerId(server), count(it))).collect())
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    filter: &Filter<'_>,
    paging: &Paging,
) -> Result<Vec<Pin>, Error> {
    let after = paging.after().map(str::parse).transpose();
    let after = after.map_err(|_| Error::not_a_cursor())?;
    // One more than asked for shows whether there is another page.
    let limit = i64::try_from(paging.limit() + 1).unwrap_or(i64::MAX);
    store::select(tx, workspace, filter, (after, limit)).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, pin: &Ref) -> Result<Pin, Error> {
    let missing = || pin.not_found("pin");
    let filter = Filter { id: Some(pin.id().ok_or_else(missing)?), ..Filter::default() };
    let found = store::select(tx, workspace, &filter, (None, 1)).await?.pop();
    found.ok_or_else(missing)
}

/// All that is approved of a server, by kind, name and hash.
pub(crate) async fn approved(
    tx: &mut Tx,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<Vec<Pin>, Error> {
    let server = Some(server);
    let filter = Filter { server, state: Some(State::Approved), ..Filter::default() };
    let mut found = store::select(tx, workspace, &filter, (None, i64::MAX)).await?;
    found.sort_by(|one, other| {
        let order = |it: &Pin| (it.key.kind, it.key.hash);
        (&one.name, order(one)).cmp(&(&other.name, order(other)))
    });
    Ok(found)
}

/// Every pin with the name of another.
async fn namesakes(tx: &mut Tx, workspace: WorkspaceId, pin: &Pin) -> Result<Vec<Pin>, Error> {
    let filter = Filter {
        server: Some(pin.server.id),
        kind: Some(pin.key.kind),
        name: Some(&pin.name),
        ..Filter::default()
    };
    store::select(tx, workspace, &filter, (None, i64::MAX)).await
}

/// What was approved last under the name of a pin, itself apart.
async fn base(tx: &mut Tx, workspace: WorkspaceId, pin: &Pin) -> Result<Option<Pin>, Error> {
    let mut others = namesakes(tx, workspace, pin).await?;
    others.retain(|it| it.id != pin.id && it.state == State::Approved);
    Ok(others.into_iter().max_by_key(|it| (it.decided_at, it.id)))
}

/// What a server has listed under the name of a pin since that was last seen.
async fn replaced_by(tx: &mut Tx, workspace: WorkspaceId, pin: &Pin) -> Result<Option<Pin>, Error> {
    let mut others = namesakes(tx, workspace, pin).await?;
    others.retain(|it| it.id != pin.id && pin.last_seen < it.first_seen);
    Ok(others.into_iter().max_by_key(|it| (it.first_seen, it.id)))
}

/// All of a server that wait for a decision.
async fn pending(tx: &mut Tx, workspace: WorkspaceId, server: ServerId) -> Result<Vec<Pin>, Error> {
    let state = Some(State::Pending);
    let filter = Filter { server: Some(server), state, ..Filter::default() };
    store::select(tx, workspace, &filter, (None, i64::MAX)).await
}

/// Lets a definition be used from now on.
async fn approve(
    change: &mut Change,
    workspace: WorkspaceId,
    pin: &Pin,
    by: &str,
) -> Result<(), Error> {
    require(change.rights(), Capability::PinsWrite, pin)?;
    if !pin.is_known {
        return Err(Error::Invalid(match pin.bytes {
            0 => "its server has not listed it yet, so nobody can have looked at it".into(),
            size => format!("it has {size} bytes, more than the {MOST_BYTES} that can be shown"),
        }));
    }
    let now = change.now();
    store::decide(change, workspace, pin.id, State::Approved, Some((by, now))).await?;
    let mut others = namesakes(change, workspace, pin).await?;
    others.retain(|it| it.state == State::Approved && it.id != pin.id);
    others.sort_by_key(|it| (it.decided_at, it.id));
    let surplus = (others.len() + 1).saturating_sub(MOST_APPROVED);
    for it in others.iter().take(surplus) {
        store::decide(change, workspace, it.id, State::Pending, None).await?;
    }
    Ok(())
}

/// Keeps a definition from being used; calls of it under way end.
async fn reject(
    change: &mut Change,
    workspace: WorkspaceId,
    pin: &Pin,
    by: &str,
) -> Result<(), Error> {
    require(change.rights(), Capability::PinsWrite, pin)?;
    let decided = Some((by, change.now()));
    Ok(store::decide(change, workspace, pin.id, State::Rejected, decided).await?)
}

/// Refuses whoever may not do this with a pin; for those who may not even see it there is none.
fn require(rights: &Rights, capability: Capability, pin: &Pin) -> Result<(), Error> {
    let server = Object::Server(pin.server.id);
    match [capability, Capability::PinsRead].map(|it| rights.may(it, &server)) {
        [true, _] => Ok(()),
        [false, true] => {
            Err(Error::forbidden(capability, format_args!("server `{}`", pin.server.name)))
        }
        [false, false] => Err(Ref::from(pin.id).not_found("pin")),
    }
}

/// Approves these definitions and no others, as a file says. Whether anything differed.
pub(crate) async fn set_approved(
    change: &mut Change,
    workspace: WorkspaceId,
    server: &Named<ServerId>,
    wanted: &BTreeSet<(PinKind, String, DefinitionHash)>,
) -> Result<bool, Error> {
    let object = Object::Server(server.id);
    change.require(Capability::PinsRead, &object, ("server", &server.name))?;
    let known = approved(change, workspace, server.id).await?;
    let keys: HashSet<PinKey> = known.iter().map(|it| it.key).collect();
    let wanted_keys: HashSet<PinKey> = wanted.iter().map(|it| key(it.0, it.2)).collect();
    let mut differed = false;
    for left in known.iter().filter(|it| !wanted_keys.contains(&it.key)) {
        differed = true;
        store::decide(change, workspace, left.id, State::Pending, None).await?;
        change.decides(workspace, format!("withdraw the approval of {}", left.title()));
    }
    for (kind, name, hash) in wanted {
        let pin = key(*kind, *hash);
        if keys.contains(&pin) {
            continue;
        }
        differed = true;
        let stamp = change.stamp();
        let whose = (workspace, server.id);
        store::insert_approved(change, whose, stamp, (name, pin), "a file").await?;
        change.decides(workspace, format!("approve {}", title(&server.name, pin, name)));
    }
    if differed {
        change.require(Capability::PinsWrite, &object, ("server", &server.name))?;
    }
    Ok(differed)
}

/// How many members differ, and all that is shown of them and of the whole.
#[cfg(feature = "fuzzing")]
pub(crate) fn shown(before: &str, after: &str) -> (usize, String) {
    let found = differences::of(Some(before), after);
    let mut text = marks::shown(after);
    for it in &found {
        text.push_str(&it.path);
        text.extend([&it.before, &it.after].into_iter().flatten().map(String::as_str));
    }
    (found.len(), text)
}

fn key(kind: PinKind, hash: DefinitionHash) -> PinKey {
    PinKey { kind, hash }
}

/// For a server that is about to be deleted.
pub(crate) async fn forget(
    change: &mut Change,
    workspace: WorkspaceId,
    server: ServerId,
) -> Result<(), Error> {
    Ok(store::delete_all(change, workspace, server).await?)
}

/// Notes what a server lists, and forgets what there is no room for.
async fn note(
    tx: &mut Tx,
    (workspace, server): (WorkspaceId, ServerId),
    clock: &dyn domain::Clock,
    mut found: Vec<Sighting>,
) -> Result<(), Error> {
    // In one order everywhere, so that no two replicas wait for each other's rows.
    found.sort_by_key(|it| it.pin);
    for it in &found {
        if MOST_NAME_BYTES < it.name.len() {
            continue;
        }
        let bytes = i64::try_from(it.text.len()).unwrap_or(i64::MAX);
        let marks = marks::of(&it.name, &it.text).join(",");
        let text = Some(it.text.as_ref()).filter(|it| it.len() <= MOST_BYTES);
        store::note(tx, (workspace, server), clock.stamp(), it, (text, bytes, &marks)).await?;
    }
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    let (mut rows, mut bytes) = (0, 0_i64);
    for it in store::undecided(tx, workspace, server).await? {
        let length = i64::try_from(it.name.len()).unwrap_or(i64::MAX);
        let of_name = counts.entry((it.kind, it.name)).or_default();
        *of_name += 1;
        rows += 1;
        // What is too large to be kept takes no room but for its name.
        bytes += length;
        bytes +=
            if usize::try_from(it.bytes).is_ok_and(|it| it <= MOST_BYTES) { it.bytes } else { 0 };
        if MOST_OF_NAME < *of_name || MOST_OF_SERVER < rows || MOST_BYTES_OF_SERVER < bytes {
            store::delete(tx, workspace, it.id).await?;
        }
    }
    Ok(())
}
