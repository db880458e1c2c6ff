//! Tasks: what a modern server answers with when a call takes long, by the extension of that name.
//!
//! A task is reached by its id, and many servers know nothing of who asks. So a client is given no id
//! of a server's but a sealed one, which opens for the app and user that made the call, at the
//! gateway where they made it, and for nobody else. In it stands the tool: whoever may not call that
//! any more gets nothing of its tasks, and the rules for it hold for what they bring.
//!
//! Clients and servers of revision 2025-11-25 have tasks of another form. [`recast`] says the same in it
//! to such clients, and [`tended`] hears it from such servers.

mod book;
pub(crate) mod recast;
pub(crate) mod tended;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use domain::{Assignment, AssignmentId, Kind, Scheme};
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::names;
use mcp::revision::{Era, Revision};
use mcp::sealed::Sealer;
use mcp::splice::Splice;

use crate::authorize::Pass;
use crate::call::{self, Asked, Permitted};
use crate::catalog::{Part, View};
use crate::identify::{Caller, Proof};
use crate::known::Known;
use crate::refusal::{Refusal, UpstreamError};
use crate::route::{Offered, Place};

pub(crate) use book::{Asker, Book, Entry, Giving, Talk};
pub(crate) use tended::Wards;

/// The extension, by which both sides say that they know tasks.
pub(crate) use mcp::extensions::TASKS as EXTENSION;

/// The largest id that a server may give, in bytes: a client sends it in a header.
pub(crate) const LONGEST: usize = 1_000;

/// The largest number of tasks that one stream may tell of.
pub(crate) const MOST_WATCHED: usize = 1_000;

/// What the seal is for.
const PURPOSE: &str = "task";

/// The same for a task that one replica tends.
const TENDED: &str = "tended task";

/// A task that a request is about.
pub(crate) struct Task {
    pub(crate) assignment: AssignmentId,
    pub(crate) tool: Box<str>,
    /// Its server's own id for it; empty where it has none, since the call was answered at once.
    pub(crate) id: Box<str>,
}

/// Whether a method is about one task.
pub(crate) fn is_about_one(method: &str) -> bool {
    matches!(method, "tasks/get" | "tasks/update" | "tasks/cancel")
}

/// What a request about a task is about. Nothing, if it is about none.
pub(crate) fn asked_for(asked: &Asked) -> Result<Option<Wanted>, Refusal> {
    let method = asked.message.method();
    let is_about_one = match asked.era() {
        Era::Modern => is_about_one(method),
        Era::Legacy => recast::is_known_to(asked.revision) && recast::is_about_one(method),
    };
    if !is_about_one {
        return Ok(None);
    }
    let id = asked.message.params().and_then(|it| it.get("taskId")).and_then(Raw::str);
    let id = id.ok_or(Refusal::Params("`params.taskId` is missing"))?;
    let whose = Whose::of(&asked.caller, &asked.place)?;
    Ok(Some(match whose.open(&asked.worker.proxy.sealer, &id) {
        Some(task) => Wanted::Task(task),
        None => Wanted::Unknown(id.into()),
    }))
}

/// The tasks that a client wants to hear of, by the sealed ids that it names. What is not its own is
/// not among them.
pub(crate) fn watched(asked: &Asked, filter: Raw<'_>) -> Result<BTreeMap<Box<str>, Task>, Refusal> {
    let Some(ids) = filter.get("taskIds") else { return Ok(BTreeMap::new()) };
    if !declares(asked) {
        return Err(Refusal::Capability { required: REQUIRED });
    }
    let whose = Whose::of(&asked.caller, &asked.place)?;
    let open = |id: Cow<'_, str>| {
        let task = whose.open(&asked.worker.proxy.sealer, &id)?;
        Some((id.into(), task))
    };
    Ok(ids.items().take(MOST_WATCHED).filter_map(Raw::str).filter_map(open).collect())
}

/// What a client asks about.
pub(crate) enum Wanted {
    Task(Task),
    /// Of somebody else, of before a new key, or made up: it is not there.
    Unknown(Box<str>),
}

impl Wanted {
    /// The name under which its tool is listed at a place, to look its server up.
    pub(crate) fn exposed(&self, place: &Place) -> Option<String> {
        let Self::Task(task) = self else { return None };
        let assignment = place.assignment(task.assignment).ok()?;
        Some(names::exposed(assignment.alias.as_str(), &task.tool))
    }

    /// It, and what must be permitted to whoever asks about it. Nothing where it is between the client
    /// and a server that speaks of such tasks itself.
    pub(crate) fn find(
        self,
        asked: &Asked,
        view: &View,
    ) -> Result<Option<(Task, Offered)>, Refusal> {
        let is_modern = asked.era() == Era::Modern;
        if !is_modern && recast::is_spoken_to(view) && call::may_pass(asked) {
            return Ok(None);
        }
        let has_any = |it: &Part| has_tasks(it) || is_modern && tended::has_tasks(it);
        if !view.parts.iter().any(has_any) {
            return Err(Refusal::UnknownMethod { method: asked.message.method().to_owned() });
        }
        if is_modern && !declares(asked) {
            return Err(Refusal::Capability { required: REQUIRED });
        }
        let unknown = |name: Box<str>| Refusal::UnknownOffer { kind: "task", name: name.into() };
        let task = match self {
            Self::Task(task) => task,
            Self::Unknown(name) => return Err(unknown(name)),
        };
        if task.id.is_empty() && (is_modern || !recast::is_held(asked)) {
            return Err(unknown(recast::id_of(asked).unwrap_or_default()));
        }
        // Whether one is tended is said to nobody who may not call its tool any more.
        let is_tended = |it: &Part| is_modern && tended::has_tasks(it);
        let is_its =
            |it: &&Part| is_home(it, &task) || it.assignment.id == task.assignment && is_tended(it);
        match view.parts.iter().find(is_its) {
            Some(part) => {
                let offered = view.offered(part, Kind::Tool, &task.tool);
                Ok(Some((task, offered)))
            }
            None => Err(unknown(recast::id_of(asked).unwrap_or_default())),
        }
    }
}

impl Task {
    /// Puts its server's own id where the client has written the sealed one.
    pub(crate) fn unseal(&self, params: Option<Raw<'_>>, splice: &mut Splice) {
        if let Some(place) = params.and_then(|it| it.get("taskId")) {
            splice.replace_value(place, quote(&self.id));
        }
    }
}

/// What a client that knows no tasks lacks.
const REQUIRED: &str =
    r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;

/// Whether a client has said with its request that it knows tasks.
pub(crate) fn declares(asked: &Asked) -> bool {
    let capabilities = asked.message.params().and_then(meta::client_capabilities);
    capabilities.is_some_and(|it| it.at(&["extensions", EXTENSION]).is_some())
}

/// Whether a client can follow tasks of revision 2025-11-25 itself. They are found by ids that others
/// may guess, and listed: those of others, too, unless the server can tell callers apart.
pub(crate) fn can_follow(caller: &Caller, place: &Place, revision: Revision) -> bool {
    revision == Revision::V2025_11_25
        && place.only.as_ref().is_some_and(|only| is_told_apart(caller, only))
}

/// Whether a server knows who of its callers is who.
pub(crate) fn is_told_apart(caller: &Caller, only: &Assignment) -> bool {
    matches!(caller.proof, Proof::Anonymous) || only.scheme == Scheme::Own
}

/// Whether a server has the extension.
pub(crate) fn has_tasks(part: &Part) -> bool {
    part.listing.spoken == Era::Modern && is_declared(&part.listing.capabilities)
}

/// Whether `capabilities` name the extension.
pub(crate) fn is_declared(capabilities: &[u8]) -> bool {
    let capabilities = Raw::parse(capabilities, Limits::default());
    capabilities.is_ok_and(|it| it.at(&["extensions", EXTENSION]).is_some())
}

/// Whether a task may be asked about at this server.
pub(crate) fn is_home(part: &Part, task: &Task) -> bool {
    part.listing.spoken == Era::Modern && part.assignment.id == task.assignment
}

/// Seals the id in an answer that begins a task, or puts the sealed one back in one about it.
pub(crate) fn seal(
    permitted: &Permitted,
    result: Raw<'_>,
    splice: &mut Splice,
) -> Result<(), UpstreamError> {
    let Some(place) = result.get("taskId") else { return Ok(()) };
    let sealed = match &permitted.task {
        Some(_) => {
            let params = permitted.asked.message.params();
            params.and_then(|it| it.get("taskId")).map(|it| Bytes::copy_from_slice(it.bytes()))
        }
        None if result.get("resultType").and_then(Raw::str).as_deref() == Some("task") => {
            let malformed = || UpstreamError::Malformed("the id of a task".to_owned());
            let id = place.str().filter(|it| is_id(it)).ok_or_else(malformed)?;
            let sealed = sealed(&permitted.pass, &id).ok_or_else(malformed)?;
            Some(Bytes::from(quote(&sealed)))
        }
        None => None,
    };
    if let Some(sealed) = sealed {
        splice.replace_value(place, sealed);
    }
    Ok(())
}

/// Whether a server may call a task so.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST
}

fn sealed(pass: &Pass, id: &str) -> Option<String> {
    seal_for(pass, id, None)
}

/// The same for a task that is tended here.
fn sealed_here(pass: &Pass, id: &str) -> Option<String> {
    seal_for(pass, id, pass.proxy.hop.own())
}

fn seal_for(pass: &Pass, id: &str, at: Option<SocketAddr>) -> Option<String> {
    let offered = pass.offered.as_ref()?;
    let whose = Whose::of(&pass.caller, &pass.place).ok()?;
    let assignment = offered.assignment.id;
    let task = Task { assignment, tool: offered.name.clone(), id: id.into() };
    Some(whose.seal(&pass.proxy.sealer, &task, at))
}

/// Where a task is tended, as its id says.
pub(crate) fn tended_at(known: &Known, sealer: &Sealer, id: &str) -> Option<SocketAddr> {
    Whose::of(&known.caller, &known.place).ok()?.open_at(sealer, id).1
}

/// Whom the ids of tasks are bound to, in bytes.
struct Whose([[u8; 16]; 4]);

impl Whose {
    fn of(caller: &Caller, place: &Place) -> Result<Self, Refusal> {
        let user = place.connection(caller)?.user;
        let ids = [caller.workspace.id.0, place.gateway.id.0, caller.app.0, user.0];
        Ok(Self(ids.map(uuid::Uuid::into_bytes)))
    }

    fn bound(&self) -> [&[u8]; 4] {
        self.0.each_ref().map(<[u8; 16]>::as_slice)
    }

    /// The assignment, the length of the tool's name in two bytes, that name, and the id; before them
    /// where it is tended, if anywhere, after the length of that.
    fn seal(&self, sealer: &Sealer, task: &Task, at: Option<SocketAddr>) -> String {
        let mut payload = Vec::new();
        if let Some(at) = at {
            let at = at.to_string();
            payload.push(u8::try_from(at.len()).expect("an address is short"));
            payload.extend_from_slice(at.as_bytes());
        }
        payload.extend_from_slice(task.assignment.0.as_bytes());
        let length = u16::try_from(task.tool.len()).unwrap_or(u16::MAX);
        payload.extend_from_slice(&length.to_be_bytes());
        payload.extend_from_slice(task.tool.as_bytes());
        payload.extend_from_slice(task.id.as_bytes());
        let purpose = if at.is_some() { TENDED } else { PURPOSE };
        sealer.seal(purpose, &self.bound(), &payload)
    }

    fn open(&self, sealer: &Sealer, token: &str) -> Option<Task> {
        self.open_at(sealer, token).0
    }

    fn open_at(&self, sealer: &Sealer, token: &str) -> (Option<Task>, Option<SocketAddr>) {
        if let Some(payload) = sealer.open(PURPOSE, &self.bound(), token) {
            return (read(&payload), None);
        }
        let payload = sealer.open(TENDED, &self.bound(), token).unwrap_or_default();
        let parts = payload.split_first().and_then(|(length, rest)| {
            let (at, task) = rest.split_at_checked((*length).into())?;
            Some((read(task)?, std::str::from_utf8(at).ok()?.parse().ok()?))
        });
        parts.unzip()
    }
}

fn read(payload: &[u8]) -> Option<Task> {
    let (assignment, rest) = payload.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (tool, id) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let text = |bytes| std::str::from_utf8(bytes).ok().map(Box::from);
    let assignment = AssignmentId(uuid::Uuid::from_bytes(*assignment));
    Some(Task { assignment, tool: text(tool)?, id: text(id)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h060_the_id_of_a_task_opens_for_its_owner_only() {
        let sealer = Sealer::new([7; 32]);
        let ids = [[1; 16], [2; 16], [3; 16], [4; 16]];
        let task = Task {
            assignment: AssignmentId(uuid::Uuid::from_u128(9)),
            tool: "sum".into(),
            id: "task \u{1f600}".into(),
        };
        for at in [None, Some("10.0.0.1:8081".parse().unwrap())] {
            let token = Whose(ids).seal(&sealer, &task, at);
            let (opened, place) = Whose(ids).open_at(&sealer, &token);
            let opened = opened.unwrap();
            assert_eq!((opened.assignment, &*opened.tool), (task.assignment, "sum"));
            assert_eq!((opened.id, place), (task.id.clone(), at));
            for other in 0..ids.len() {
                let mut ids = ids;
                ids[other] = [5; 16];
                let (opened, place) = Whose(ids).open_at(&sealer, &token);
                assert!(opened.is_none() && place.is_none(), "{other}");
            }
            assert!(Whose(ids).open(&Sealer::new([8; 32]), &token).is_none());
        }
        for made_up in ["", "task", "AAAA"] {
            assert!(Whose(ids).open(&sealer, made_up).is_none(), "{made_up}");
        }
    }
}
