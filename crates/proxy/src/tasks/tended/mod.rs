//! Tasks of servers of revision 2025-11-25 for modern clients, which have them by the extension.
//!
//! Such a server says what comes of a task on a stream of one session, and asks there what it wants to
//! know; a client of the extension asks now and then, and brings answers by a request of their own. So
//! each of these tasks is tended here, on the thread whose connection its call has had: somebody keeps
//! the session, asks for the result, and remembers what is asked and what has come.
//!
//! - [`is_wanted`] says for which calls a server is asked for a task
//! - [`Begun`] is one that has begun, and is tended from the moment on that its client is told
//! - [`answer`] is what its client hears that asks about it
//!
//! Each ends when its time is over, with a cut-off, or with the gateway. What is kept is bounded for
//! each app and for all of them.

mod tending;
mod ward;
mod watched;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use mcp::bridge::askable::legacy_answer;
use mcp::convert;
use mcp::envelope::Message;
use mcp::errors;
use mcp::extensions;
use mcp::json::{Limits, Raw, quote};
use mcp::revision::{Era, Revision};
use mcp::splice::Splice;
use mcp::tasks::{CORE, EXTENSION, Status, lasts, restate};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

pub(crate) use ward::Ward;
pub(crate) use watched::Watched;

use super::recast;
use crate::answer;
use crate::body::Body;
use crate::call::{Asked, Permitted};
use crate::cancel::Way;
use crate::catalog::Part;
use crate::flight::Flight;
use crate::follow;
use crate::forward::Sent;
use crate::lasting::Lasting;
use crate::link::Hello;
use crate::record::{self, Outcome, Recorded};
use crate::refusal::{Refusal, UpstreamError};
use crate::seats::{Seat, Seats};
use crate::serve::Options;
use crate::terms;

/// All tasks that are tended at this node.
pub(crate) struct Wards {
    /// By the ids that their clients have.
    by_id: Mutex<HashMap<Box<str>, Arc<Ward>>>,
    seats: Arc<Seats>,
    ended: Arc<Seats>,
    room: Arc<ward::Room>,
    /// Counts what has changed of any of them.
    changes: watch::Sender<u64>,
}

/// A task that has begun, whose client is still to be told.
pub(crate) struct Begun {
    seat: Seat,
    flight: Arc<Flight>,
    following: follow::Following,
    said: Said,
}

/// What its server has said of it when it began.
struct Said {
    created: String,
    /// How long it is known, in milliseconds.
    ttl: u64,
    words: Option<Bytes>,
}

/// How many tasks of one app are tended at a time: each may hold a session and a connection or two.
const PER_APP: usize = 64;

/// How many of one app are known that have ended, and of all together.
const ENDED_PER_APP: usize = 256;
const MOST_ENDED: usize = 16_384;

/// How many words may wait for whoever tends a task.
const WORDS: usize = 64;

impl Wards {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            by_id: Mutex::default(),
            seats: Seats::new(PER_APP, options.most_held_calls),
            ended: Seats::new(ENDED_PER_APP, MOST_ENDED),
            room: Arc::default(),
            changes: watch::Sender::default(),
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Ward>> {
        self.by_id.lock().get(id).map(Arc::clone)
    }

    /// Hears when any of them has changed.
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn tell(&self) {
        self.changes.send_modify(|it| *it += 1);
    }
}

/// Whether a server makes tasks of calls by revision 2025-11-25.
pub(crate) fn has_tasks(part: &Part) -> bool {
    let capabilities = Raw::parse(&part.listing.capabilities, Limits::default()).ok();
    let takes = capabilities.and_then(|it| it.at(&["tasks", "requests", "tools", "call"]));
    part.listing.spoken == Era::Legacy && takes.is_some()
}

/// Whether a call is to become a task of its server's in the other form: its client knows those of the
/// extension, and its tool can be one.
fn is_wanted(asked: &Asked, part: Option<&Part>, takes_task: bool) -> bool {
    asked.era() == Era::Modern
        && asked.message.method() == "tools/call"
        && takes_task
        && super::declares(asked)
        && part.is_some_and(has_tasks)
}

/// The place of the task that a call is to become. Where there is none left, a tool that can do without
/// a task is called as ever, and so is one whose task is waited for.
///
/// # Errors
/// There is none left for a tool that must have it. Nothing has been sent.
pub(crate) fn seat(
    asked: &Asked,
    part: Option<&Part>,
    (takes_task, needs_task): (bool, bool),
) -> Result<Option<Seat>, Refusal> {
    if !is_wanted(asked, part, takes_task) {
        return Ok(None);
    }
    let seat = asked.worker.proxy.wards.seats.take(asked.caller.app);
    if seat.is_none() && needs_task && !part.is_some_and(Part::is_waited_for) {
        return Err(Refusal::TooManyTasks);
    }
    Ok(seat)
}

/// The `task` of the request to the server, where it is to begin one.
pub(crate) fn wanted(permitted: &Permitted, hello: &Hello) -> Option<Bytes> {
    let longest = permitted.asked.worker.proxy.options.longest_task.as_millis();
    let is_wanted = permitted.begins_task && hello.revision == Revision::V2025_11_25;
    is_wanted.then(|| format!(r#"{{"ttl":{longest}}}"#).into())
}

/// Whether an answer begins a task that is to be tended.
pub(crate) fn is_begun(permitted: &Permitted, answer: &Message) -> bool {
    permitted.begins_task
        && answer.result().and_then(|it| it.get("task")).is_some_and(Raw::is_object)
}

/// Whether a request is about a task that is tended.
pub(crate) fn is_about_one(permitted: &Permitted) -> bool {
    permitted.task.is_some() && permitted.spoken == Era::Legacy && is_modern(permitted)
}

fn is_modern(permitted: &Permitted) -> bool {
    permitted.asked.era() == Era::Modern
}

/// What its client is told of a task that begins: nothing of how its server knows it.
pub(crate) fn told(permitted: &Permitted, result: Raw<'_>) -> Result<Option<Bytes>, UpstreamError> {
    let task = result.get("task").filter(|it| permitted.begins_task && it.is_object());
    let Some(task) = task else { return Ok(None) };
    let malformed = || UpstreamError::Malformed("what it says of a task".to_owned());
    let id = task.get("taskId").and_then(Raw::str).filter(|it| super::is_id(it));
    let sealed =
        id.and_then(|it| super::sealed_here(&permitted.pass, &it)).ok_or_else(malformed)?;
    let now = recast::time(&permitted.asked.worker.proxy);
    let told = restate(task, (CORE, EXTENSION), &sealed, &now).ok_or_else(malformed)?;
    let mut splice = Splice::new(told.clone());
    let root = Raw::parse(&told, Limits::default()).map_err(|_| malformed())?;
    splice.set_member(root, "ttlMs", ttl(permitted, task).to_string());
    splice.set_member(root, "resultType", Bytes::from_static(b"\"task\""));
    Ok(Some(splice.finish().into_bytes()))
}

/// How long a task is known, in milliseconds: as long as its server says, and never longer than one
/// may take here.
fn ttl(permitted: &Permitted, task: Raw<'_>) -> u64 {
    let longest = permitted.asked.worker.proxy.options.longest_task.as_millis();
    let longest = u64::try_from(longest).unwrap_or(u64::MAX);
    lasts(task, CORE).map_or(longest, |it| it.min(longest))
}

/// The id of the task that an answer begins, as its client is told it.
pub(crate) fn id_of(parts: &[Bytes]) -> Option<Box<str>> {
    let whole = parts.concat();
    let told = Raw::parse(&whole, Limits::default()).ok()?;
    Some(told.at(&["result", "taskId"])?.str()?.into())
}

/// The words with which a server says how far a task has come: a JSON string, where it is no long one.
fn words(task: Raw<'_>) -> Option<Bytes> {
    const LONGEST: usize = 1 << 10;

    let words = task.get("statusMessage").filter(|it| it.str().is_some());
    let words = words.filter(|it| it.bytes().len() <= LONGEST);
    words.map(|it| Bytes::copy_from_slice(it.bytes()))
}

impl Begun {
    /// The task that an answer begins, if it begins one.
    ///
    /// # Errors
    /// It has no place. Whoever has sent the call then ends it.
    pub(crate) fn of(
        recorded: &Recorded,
        way: &mut Way,
        answer: &Message,
    ) -> Result<Option<Self>, Refusal> {
        let permitted = recorded.permitted();
        let task = answer.result().and_then(|it| it.get("task"));
        let id = task.and_then(|it| it.get("taskId")).and_then(Raw::str);
        let (Some(task), Some(id)) = (task.filter(|_| is_begun(permitted, answer)), id) else {
            return Ok(None);
        };
        let proxy = &permitted.asked.worker.proxy;
        let created = task.get("createdAt").and_then(Raw::str).map(|it| it.into_owned());
        let created = created.filter(|it| it.len() < 64);
        let created = created.unwrap_or_else(|| recast::time(proxy));
        let said = Said { created, ttl: ttl(permitted, task), words: words(task) };
        let seat = permitted.seat.lock().take().ok_or(Refusal::NoRoom)?;
        // What releases the call waits for a cut-off, too, and one can at a time. Both are under way
        // until that has been looked for once more, so that none can pass between them.
        let flight = Arc::new(proxy.flights.enter((*permitted.pass).clone()));
        let following = follow::result_of(recorded, way, (&id, &flight));
        Ok(Some(Self { seat, flight, following, said }))
    }

    /// Tends it from now on, under the id that its client has been told.
    pub(crate) fn tend(self, mut sent: Sent, id: &str) {
        let worker = Arc::clone(&sent.recorded.permitted().asked.worker);
        let proxy = Arc::clone(&worker.proxy);
        let (say, words) = mpsc::channel(WORDS);
        let Self { seat, flight, following, said } = self;
        let Said { created, ttl, words: before } = said;
        sent.recorded.fly_as(flight);
        let ward = Arc::new(Ward::new(created, ttl, say));
        ward.describe(before);
        proxy.wards.by_id.lock().insert(id.into(), Arc::clone(&ward));
        let ends = proxy.clock.elapsed().saturating_add(Duration::from_millis(ttl));
        let tending = tending::Tending::of(sent, following, (id.into(), ward, seat), (words, ends));
        worker.held.spawn(proxy.options.tasks.track_future(tending.run()));
    }
}

/// Answers what a client asks about a task that is tended.
pub(crate) async fn answer(recorded: Recorded) -> Response<Body> {
    let worker = Arc::clone(&recorded.permitted().asked.worker);
    // Should nobody wait for it any more, it is recorded nevertheless.
    let (status, parts, flight) = Lasting::new(&worker.held, answered(recorded)).await;
    answer::json(status, Body::revocable(parts, vec![flight]))
}

async fn answered(recorded: Recorded) -> (StatusCode, Vec<Bytes>, Arc<Flight>) {
    let permitted = recorded.permitted();
    let (asked, pass) = (&permitted.asked, &permitted.pass);
    // What is said here moves the task at once, and what is told is as old as this.
    let prepared = pass.clear().await.and_then(|_| prepare(permitted));
    let (outcome, told) = match prepared {
        Ok((message, hits)) => {
            let parts = vec![message.body().clone()];
            (Outcome::answered(&message, &parts, hits), Ok(parts))
        }
        Err(refusal) => (Outcome::refused(&refusal), Err(refusal)),
    };
    let told = match record::outcome(&recorded, &outcome).await {
        Err(unrecorded) => Err(unrecorded),
        Ok(()) => match told {
            Ok(told) => pass.still().await.map(|()| told),
            Err(refusal) => Err(refusal),
        },
    };
    let flight = Arc::clone(&pass.flight);
    match told {
        Ok(parts) => (StatusCode::OK, parts, flight),
        Err(refusal) => {
            asked.worker.proxy.metrics.refused(refusal.reason());
            let (status, body) = answer::refusal_parts(&refusal, asked.manner());
            (status, vec![body], flight)
        }
    }
}

/// What a client is told of its task, by the rules of its tool.
fn prepare(permitted: &Permitted) -> Result<(Message, Vec<inspect::Hit>), Refusal> {
    let asked = &permitted.asked;
    let id = recast::id_of(asked).unwrap_or_default();
    let ward = asked.worker.proxy.wards.find(&id);
    let ward = ward.ok_or(Refusal::UnknownOffer { kind: "task", name: id.clone().into() })?;
    let result = match asked.message.method() {
        "tasks/update" => {
            let edited = permitted.splice.clone().finish().into_bytes();
            let edited = Message::parse(edited, Limits::default())?;
            let given = edited.params().and_then(|it| it.get("inputResponses"));
            let given = given.ok_or(Refusal::Params("`params.inputResponses` is missing"))?;
            ward.take(|key| given.get(key).and_then(legacy_answer))?;
            done()
        }
        "tasks/cancel" => {
            ward.cancel()?;
            done()
        }
        _ => said(&ward, &id),
    };
    let body = errors::result_body(asked.id(), &result);
    let mut hits = Vec::new();
    let message =
        terms::after_rules(permitted, &Message::parse(body, Limits::default())?, &mut hits)?;
    let mut splice = Splice::new(message.body().clone());
    if let (Some(result), Some(offered), true) =
        (message.result(), permitted.pass.offered.as_ref(), permitted.prefixed)
    {
        convert::expose_uris(&mut splice, result, offered.assignment.alias.as_str());
        extensions::remove_page(&mut splice, result);
    }
    let message = Message::parse(splice.finish().into_bytes(), Limits::default())?;
    Ok((message, hits))
}

fn done() -> Bytes {
    Bytes::from_static(br#"{"resultType":"complete"}"#)
}

/// All that a client is told of a task, under its id.
fn said(ward: &Ward, id: &str) -> Bytes {
    let (status, members) = ward.said();
    let status = Status::as_str(status);
    let id = quote(id);
    [
        format!(r#"{{"resultType":"complete","taskId":{id},"status":"{status}","#).as_bytes(),
        &members,
        b"}",
    ]
    .concat()
    .into()
}

/// What a client that listens is told of a task.
fn notification(ward: &Ward, id: &str) -> Bytes {
    let params = said(ward, id);
    errors::notification_body("notifications/tasks", Some(&params))
}
