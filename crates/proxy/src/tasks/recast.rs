//! Tasks of the extension for clients of revision 2025-11-25, which has them in another form.
//!
//! Such a client asks for a task with its call, and gets one: its server's, or, where that answers at
//! once, one that has ended already, whose result is kept here. It asks how far it has come, for its
//! result, for its end, and which tasks it has.

use std::sync::Arc;

use bytes::Bytes;
use chrono::SecondsFormat;
use domain::Kind;
use http::{Response, StatusCode};
use mcp::envelope::Message;
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision::{Era, Revision};
use mcp::splice::Splice;
use mcp::tasks::{CORE, EXTENSION, Status, restate, with_status};

use super::book::{Entry, New, Owner};
use super::{Task, Whose, has_tasks, is_home, is_id};
use crate::answer;
use crate::authorize;
use crate::body::Body;
use crate::call::{self, Asked, Permitted};
use crate::catalog::{Part, View};
use crate::identify::Proof;
use crate::record;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Proxy;
use crate::terms::Prepared;

/// What the seal of a cursor is for.
const CURSOR: &str = "tasks cursor";

/// How many tasks one page of a list holds.
const PAGE: usize = 100;

/// Whether a method is about one task in that revision.
pub(crate) fn is_about_one(method: &str) -> bool {
    matches!(method, "tasks/get" | "tasks/result" | "tasks/cancel")
}

/// Whether a client knows tasks of that revision.
pub(crate) fn is_known_to(revision: Revision) -> bool {
    revision == Revision::V2025_11_25
}

/// Whether a call asks a server that has the extension for a task in the other form.
pub(crate) fn is_converted(asked: &Asked, part: Option<&Part>) -> bool {
    is_known_to(asked.revision)
        && call::asks_for_task(&asked.message)
        && part.is_some_and(has_tasks)
}

/// Whether a place is one server that speaks to such clients itself.
pub(super) fn is_spoken_to(view: &View) -> bool {
    let only = view.parts.first().filter(|_| !view.is_prefixed());
    only.is_some_and(|it| it.listing.spoken == Era::Legacy)
}

/// Whether a request is about a task that its server knows in the other form.
pub(crate) fn is_about_converted(permitted: &Permitted) -> bool {
    permitted.task.is_some() && permitted.asked.era() == Era::Legacy
}

/// The id of the task that a request is about, as its client has it.
pub(crate) fn id_of(asked: &Asked) -> Option<Box<str>> {
    let id = asked.message.params()?.get("taskId")?.str()?;
    Some(id.as_ref().into())
}

/// Whether a request is about a task whose result is kept here.
pub(super) fn is_held(asked: &Asked) -> bool {
    let proxy = &asked.worker.proxy;
    let entry =
        id_of(asked).and_then(|id| proxy.tasks.find(asked.caller.app, &id, proxy.clock.elapsed()));
    entry.is_some_and(|it| it.result.is_some())
}

/// What is known here of the task that a request is about. After a restart that is little.
pub(crate) fn entry(permitted: &Permitted) -> Option<Arc<Entry>> {
    let asked = &permitted.asked;
    let (book, now) = (&asked.worker.proxy.tasks, asked.worker.proxy.clock.elapsed());
    let id = id_of(asked)?;
    let known = book.find(asked.caller.app, &id, now);
    known.or_else(|| {
        let offered = permitted.pass.offered.as_ref()?;
        let task = Task {
            assignment: offered.assignment.id,
            tool: offered.name.clone(),
            id: permitted.task.clone().filter(|it| !it.is_empty())?,
        };
        let said = unknown_yet(&id, &time(&asked.worker.proxy));
        let (app, owner) = (asked.caller.app, owner(asked).ok()?);
        book.keep(New { app, owner, id, task, said, result: None }, now).ok()
    })
}

/// What an answer of such a server is to such a client, where it is about a task.
pub(crate) enum Told {
    /// The result itself.
    Result(Bytes),
    /// It is the result of a task.
    OfTask,
    /// Nothing that has to do with tasks.
    Other,
}

/// What `result`, by which a server answers, is to the client.
pub(crate) fn told(permitted: &Permitted, result: Raw<'_>) -> Result<Told, UpstreamError> {
    let malformed = || UpstreamError::Malformed("what it says of a task".to_owned());
    let asked = &permitted.asked;
    let now = time(&asked.worker.proxy);
    if is_about_converted(permitted) {
        let id = id_of(asked).ok_or_else(malformed)?;
        if asked.message.method() == "tasks/result" {
            return Ok(Told::OfTask);
        }
        let named = result.get("taskId").and_then(Raw::str);
        if named.is_some_and(|it| permitted.task.as_deref() != Some(it.as_ref())) {
            return Err(UpstreamError::Malformed("its task has another id".to_owned()));
        }
        let task = restate(result, (EXTENSION, CORE), &id, &now).ok_or_else(malformed)?;
        let task = match is_failure(result.get("result")) {
            true => with_status(&task, Status::Failed),
            false => task,
        };
        let task = entry(permitted).map_or_else(|| task.clone(), |it| it.tell(task.clone()));
        return Ok(Told::Result(task));
    }
    let kind = result.get("resultType").and_then(Raw::str);
    if !permitted.converts_task || kind.as_deref() != Some("task") {
        return Ok(Told::Other);
    }
    let id = result.get("taskId").and_then(Raw::str);
    let id = id.filter(|it| is_id(it)).ok_or_else(malformed)?;
    let sealed = super::sealed(&permitted.pass, &id).ok_or_else(malformed)?;
    let task = restate(result, (EXTENSION, CORE), &sealed, &now).ok_or_else(malformed)?;
    Ok(Told::Result(created(&task)))
}

/// Keeps what a call has brought whose client has asked for a task: the task that it has begun, or what
/// its server has answered at once. Then the client gets a task that is about to end.
pub(crate) fn held(
    permitted: &Permitted,
    message: &Message,
    prepared: Prepared,
) -> Result<Prepared, Refusal> {
    let result = message.result().filter(|_| permitted.converts_task);
    let Some(result) = result else { return Ok(prepared) };
    if result.get("resultType").and_then(Raw::str).as_deref() == Some("task") {
        keep_begun(permitted, &prepared.1)?;
        return Ok(prepared);
    }
    let asked = &permitted.asked;
    let sealed = super::sealed(&permitted.pass, "").ok_or(Refusal::NoGateway)?;
    let status = if is_failure(Some(result)) { Status::Failed } else { Status::Completed };
    let longest = asked.worker.proxy.options.longest_task.as_millis();
    let wanted = asked.message.params().and_then(|it| it.at(&["task", "ttl"])).and_then(Raw::u64);
    let ttl = wanted.map_or(longest, |it| u128::from(it).min(longest));
    let (id, status, now) = (quote(&sealed), status.as_str(), quote(&time(&asked.worker.proxy)));
    let task = format!(
        r#"{{"taskId":{id},"status":"{status}","createdAt":{now},"lastUpdatedAt":{now},"ttl":{ttl}}}"#
    );
    let result = Bytes::copy_from_slice(result.bytes());
    let task = Bytes::from(task);
    keep(permitted, sealed, task.clone(), Some(result))?;
    let (status, _, hits) = prepared;
    Ok((status, answer::result(asked.id(), [created(&task)]), hits))
}

/// Keeps the task that an answer begins, as its client is told it.
fn keep_begun(permitted: &Permitted, parts: &[Bytes]) -> Result<(), Refusal> {
    let whole = Bytes::from(parts.concat());
    let told = Raw::parse(&whole, Limits::default()).ok();
    let task = told.and_then(|it| it.at(&["result", "task"]));
    let id = task.and_then(|it| it.get("taskId")).and_then(Raw::str);
    let (Some(task), Some(id)) = (task, id) else { return Ok(()) };
    keep(permitted, id.into_owned(), Bytes::copy_from_slice(task.bytes()), None).map(drop)
}

/// Says of what belongs to a task to which one it does: the params of what its server asks, or the
/// result.
pub(crate) fn relate(permitted: &Permitted, splice: &mut Splice, holder: Raw<'_>) {
    if let Some(id) = id_of(&permitted.asked).filter(|_| is_about_converted(permitted)) {
        let related = format!(r#"{{"taskId":{}}}"#, quote(&id));
        meta::set_entries(splice, holder, &[(meta::RELATED_TASK, related.into())]);
    }
}

/// The id of the task that an answer begins, as its client is told it.
pub(crate) fn begun(permitted: &Permitted, parts: &[Bytes]) -> Option<Box<str>> {
    let whole = permitted.converts_task.then(|| parts.concat())?;
    let told = Raw::parse(&whole, Limits::default()).ok()?;
    Some(told.at(&["result", "task", "taskId"])?.str()?.into())
}

/// Answers which tasks a client has.
pub(crate) async fn list(asked: Asked) -> Response<Body> {
    let listed = match Box::pin(authorize::look(&asked, Era::Legacy)).await {
        Ok((_, view)) if is_spoken_to(&view) && call::may_pass(&asked) => {
            return Box::pin(call::run(asked)).await;
        }
        Ok((_, view)) if view.parts.iter().any(has_tasks) => listed(&asked, &view),
        Ok(_) => Err(Refusal::UnknownMethod { method: asked.message.method().to_owned() }),
        Err(refusal) => Err(refusal),
    };
    let listed = match listed {
        Ok(listed) => record::answered(&asked).await.map(|()| listed),
        Err(refusal) => Err(refusal),
    };
    match listed {
        Ok(result) => answer::json(StatusCode::OK, answer::result(asked.id(), [result])),
        Err(refusal) => Box::pin(asked.refuse(&refusal)).await,
    }
}

/// One page of them: of tools that may be called, at servers that are within reach.
fn listed(asked: &Asked, view: &View) -> Result<Bytes, Refusal> {
    let proxy = &asked.worker.proxy;
    let owner = owner(asked)?;
    let whose = Whose(owner.0);
    let from = match asked.message.params().and_then(|it| it.get("cursor")) {
        None => 0,
        Some(cursor) => {
            let cursor = cursor.str().unwrap_or_default();
            let from = proxy.sealer.open(CURSOR, &whose.bound(), &cursor);
            let from = from.and_then(|it| Some(u64::from_be_bytes(it.try_into().ok()?)));
            from.ok_or(Refusal::Params("unknown cursor; list again without one"))?
        }
    };
    let now = proxy.clock.elapsed();
    let mut own = proxy.tasks.of(asked.caller.app, (&owner, from), now);
    own.retain(|it| is_shown(asked, view, it));
    let next = own.get(PAGE).map(|it| {
        let cursor = proxy.sealer.seal(CURSOR, &whose.bound(), &it.number.to_be_bytes());
        format!(r#","nextCursor":{}"#, quote(&cursor))
    });
    own.truncate(PAGE);
    let tasks: Vec<Bytes> = own.iter().map(|it| it.said()).collect();
    let opening = &br#"{"tasks":["#[..];
    let end = format!("]{}}}", next.unwrap_or_default());
    Ok([opening, &tasks.join(&b","[..]), end.as_bytes()].concat().into())
}

fn is_shown(asked: &Asked, view: &View, entry: &Entry) -> bool {
    let (assignment, tool) = (entry.assignment, entry.tool.clone());
    let task = Task { assignment, tool: tool.clone(), id: "".into() };
    let Some(part) = view.parts.iter().find(|it| is_home(it, &task)) else { return false };
    let offered = view.offered(part, Kind::Tool, &tool).seen_from(asked.peer);
    let (caller, place) = (asked.caller.clone(), asked.place.clone());
    authorize::authorize(&asked.worker.proxy, caller, place, Some(offered)).is_ok()
}

fn keep(
    permitted: &Permitted,
    sealed: String,
    said: Bytes,
    result: Option<Bytes>,
) -> Result<Arc<Entry>, Refusal> {
    let asked = &permitted.asked;
    let offered = permitted.pass.offered.as_ref().ok_or(Refusal::NoGateway)?;
    let (assignment, tool) = (offered.assignment.id, offered.name.clone());
    let task = Task { assignment, tool, id: "".into() };
    let (app, owner, id) = (asked.caller.app, owner(asked)?, sealed.into());
    let proxy = &asked.worker.proxy;
    proxy.tasks.keep(New { app, owner, id, task, said, result }, proxy.clock.elapsed())
}

/// Whose tasks a client sees. Callers who cannot be told apart have those of their own session.
fn owner(asked: &Asked) -> Result<Owner, Refusal> {
    let whose = Whose::of(&asked.caller, &asked.place)?;
    let session = asked.session.as_ref().map(|it| it.id.as_str().into());
    Ok((whose.0, session.filter(|_| matches!(asked.caller.proof, Proof::Anonymous))))
}

/// What a client is told of a task that begins. Each begins by working, in that revision, so one that
/// has ended already says so when it is asked about.
fn created(task: &Bytes) -> Bytes {
    let status = Raw::parse(task, Limits::default()).ok().and_then(Status::of);
    let task = match status {
        Some(Status::Working) | None => task.clone(),
        Some(_) => with_status(task, Status::Working),
    };
    [&br#"{"task":"#[..], &task, b"}"].concat().into()
}

/// A task of which nobody here knows anything any more, until its server is asked.
fn unknown_yet(id: &str, now: &str) -> Bytes {
    let (id, now) = (quote(id), quote(now));
    format!(
        r#"{{"taskId":{id},"status":"working","createdAt":{now},"lastUpdatedAt":{now},"ttl":null}}"#
    )
    .into()
}

/// Whether a tool says that it has failed: the other form calls that a task that has.
fn is_failure(result: Option<Raw<'_>>) -> bool {
    result.and_then(|it| it.get("isError")).and_then(Raw::bool) == Some(true)
}

/// The time, as it is said of tasks.
pub(crate) fn time(proxy: &Proxy) -> String {
    proxy.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
