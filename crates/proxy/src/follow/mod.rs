//! Calls that modern servers make tasks of, for clients that know none.
//!
//! A server that is set to `tasks: wait` is told that tasks are known, whoever calls it. What it
//! begins then is followed here, within the call: it is asked how far it has come, as often as it
//! wants to be asked, and what comes of it is heard as if the call had been answered with it, be it
//! a result, an error, or something that it wants to know first. A call that ends before its task
//! takes it along.
//!
//! What a server says of a task is hostile like all else: it is asked for a bounded time, is given
//! each answer once, and its first end is its only one.

mod fetch;
mod poll;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::TasksSetting;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use mcp::bridge::{self, Abilities, RoundLimits, Rounds, RoundsError};
use mcp::envelope::Message;
use mcp::errors;
use mcp::extensions;
use mcp::headers::{MCP_METHOD, MCP_NAME, encode_value};
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision::{Era, Revision};
use mcp::tasks::{CORE, EXTENSION, restate};
use parking_lot::Mutex;

use crate::call::{Asked, Permitted};
use crate::cancel::Way;
use crate::flight::Flight;
use crate::forward::Sent;
use crate::link::{Channel, Exchange, Hello, Letter};
use crate::parked;
use crate::record::Recorded;
use crate::refusal::{Refusal, Unanswered, UpstreamError};
use crate::tasks::{self, recast};

/// A task that a call waits for.
pub(crate) struct Following {
    state: Option<Source>,
    /// Locked by nobody: what is not `Sync` could not be part of a call.
    doing: Option<Mutex<BoxFuture<'static, (Source, Said)>>>,
}

/// How it is heard what comes of it.
enum Source {
    /// By asking again and again.
    Polled(Box<poll::State>),
    /// Not at all: there is nothing more.
    Over,
    /// By asking once, where it is a task of revision 2025-11-25.
    Fetched(Box<fetch::State>),
}

type Said = Result<Bytes, UpstreamError>;

/// A task as its server knows it, and what is said with each request about it.
pub(crate) struct Theirs {
    id: Box<str>,
    /// The `_meta` of such a request; a legacy server is told nothing there.
    meta: Option<Bytes>,
}

/// How often a server is asked that does not say how often it wants to be.
const USUAL: Duration = Duration::from_secs(1);

/// How often a server is asked at most.
const SOONEST: Duration = Duration::from_millis(250);

/// How often in a row a server may fail to say how far a task has come.
const FAILURES: u32 = 5;

/// Whether a server is told for its client that tasks are known.
pub(crate) fn is_wanted(permitted: &Permitted, hello: &Hello) -> bool {
    let asked = &permitted.asked;
    let waits = permitted.pass.assignment().map(|it| it.server.tasks);
    waits == Some(TasksSetting::Wait)
        && asked.message.method() == "tools/call"
        && (asked.era() == Era::Legacy || !tasks::declares(asked))
        && !permitted.converts_task
        && tasks::is_declared(&hello.capabilities)
}

/// What a server is told that its client can do, with tasks.
pub(crate) fn capabilities(asked: &Asked) -> Bytes {
    let own = match &asked.session {
        Some(session) => Some(session.modern_capabilities.clone()),
        None => {
            let declared = asked.message.params().and_then(meta::client_capabilities);
            declared.map(|it| Bytes::copy_from_slice(it.bytes()))
        }
    };
    let own = own.unwrap_or(Bytes::from_static(b"{}"));
    bridge::with_tasks(&match asked.place.only {
        Some(_) => own,
        None => extensions::without_extensions(&own),
    })
}

/// Whether an answer begins a task that nobody but us knows what to do with.
pub(crate) fn is_begun(sent: &Sent, answer: &Message) -> bool {
    let (permitted, result) = (sent.recorded.permitted(), answer.result());
    match &sent.way.channel {
        Channel::Modern(hello) => {
            let kind = result.and_then(|it| it.get("resultType")).and_then(Raw::str);
            kind.as_deref() == Some("task") && is_wanted(permitted, hello)
        }
        Channel::Legacy(session) => {
            sent.way.task.is_none()
                && result.is_some_and(|it| it.get("task").is_some())
                && task_for(permitted, &session.hello).is_some()
        }
    }
}

/// What a legacy server is told that can answer a call by a task alone, where that is waited for: the
/// `task` of the request.
pub(crate) fn task_for(permitted: &Permitted, hello: &Hello) -> Option<Bytes> {
    let waits = permitted.pass.assignment().map(|it| it.server.tasks);
    let is_own = permitted.has_own_task || permitted.begins_task;
    let is_ours = permitted.needs_task && !is_own;
    let is_wanted = waits == Some(TasksSetting::Wait) && is_ours;
    (is_wanted && hello.revision == Revision::V2025_11_25).then(|| {
        let longest = permitted.asked.worker.proxy.options.longest_task.as_millis();
        format!(r#"{{"ttl":{longest}}}"#).into()
    })
}

/// Follows the task that an answer begins: what comes of it is what the call hears next.
pub(crate) fn begin(sent: &mut Sent, answer: &Message) -> Result<(), UpstreamError> {
    let malformed = || UpstreamError::Malformed("the id of a task".to_owned());
    let result = answer.result().ok_or_else(malformed)?;
    let is_legacy = matches!(sent.way.channel, Channel::Legacy(_));
    let result = result.get("task").filter(|_| is_legacy).unwrap_or(result);
    let id = result.get("taskId").and_then(Raw::str).ok_or_else(malformed)?;
    if tasks::LONGEST < id.len() {
        return Err(malformed());
    }
    let now = sent.recorded.permitted().asked.worker.proxy.clock.elapsed();
    sent.way.link.succeeded(now);
    let source = if is_legacy {
        let state = fetch::State::of(&sent.recorded, &sent.way, &id);
        sent.way.task = Some(state.task());
        Source::Fetched(Box::new(state))
    } else {
        let state = poll::State::of(&sent.recorded, &sent.way, &id);
        sent.way.task = Some(state.task());
        Source::Polled(Box::new(state.beginning_with(result)))
    };
    sent.exchange = Exchange::Task(Box::new(Following { state: Some(source), doing: None }));
    Ok(())
}

/// The task that an answer begins which its client follows, for whoever ends it where it is not told.
pub(crate) fn begun_by(permitted: &Permitted, answer: &Message) -> Option<Arc<Theirs>> {
    let result = answer.result()?;
    let kind = result.get("resultType").and_then(Raw::str);
    let (task, meta) = if permitted.converts_task && kind.as_deref() == Some("task") {
        (result, Some(poll::introduction(&permitted.asked)))
    } else {
        (result.get("task").filter(|_| permitted.begins_task)?, None)
    };
    let id = task.get("taskId")?.str().filter(|it| tasks::is_id(it))?;
    Some(Arc::new(Theirs { id: id.as_ref().into(), meta }))
}

/// What comes of a task of a legacy server, and what that asks meanwhile, outside of any call: by a
/// flight of its own.
pub(crate) fn result_of(
    recorded: &Recorded,
    way: &mut Way,
    (id, flight): (&str, &Arc<Flight>),
) -> Following {
    let state = fetch::State::of(recorded, way, id).telling(Arc::clone(flight));
    way.task = Some(state.task());
    Following { state: Some(Source::Fetched(Box::new(state))), doing: None }
}

/// Goes on with a task that the client has been asked something about, and comes back with answers.
pub(crate) async fn resume(
    recorded: &Recorded,
    id: &str,
    way: &mut Way,
) -> Result<Exchange, Refusal> {
    let state = poll::State::of(recorded, way, id);
    way.task = Some(state.task());
    let source = Source::Polled(Box::new(state));
    let mut following = Box::new(Following { state: Some(source), doing: None });
    let edited = recorded.permitted().splice.clone().finish().into_bytes();
    let edited = Message::parse(edited, Limits::default())?;
    let answers = edited.params().and_then(|it| it.get("inputResponses"));
    if let Some(answers) = answers.filter(|it| it.is_object()) {
        following.update(answers.bytes()).await?;
    }
    Ok(Exchange::Task(following))
}

/// What comes of what a client of revision 2025-11-25 asks about a task of the extension, where its
/// server is asked something else for it, or nothing. A task stays that nobody asks about any more.
pub(crate) fn asked_for(recorded: &Recorded, way: &mut Way) -> Option<Exchange> {
    let permitted = recorded.permitted();
    let id = permitted.task.as_ref().filter(|_| recast::is_about_converted(permitted))?;
    let entry = recast::entry(permitted);
    let kept = entry.as_ref().and_then(|it| Some((it.said(), it.result.clone()?)));
    let call = way.id.to_string();
    let said = match (permitted.asked.message.method(), kept) {
        ("tasks/get", None) => return None,
        ("tasks/get", Some((said, _))) => {
            let said = Raw::parse(&said, Limits::default()).ok();
            let said = said.and_then(|it| restate(it, (CORE, EXTENSION), "", ""));
            Following::of_one(errors::result_body(call.as_bytes(), &said.unwrap_or_default()))
        }
        ("tasks/result", Some((_, result))) => {
            Following::of_one(errors::result_body(call.as_bytes(), &result))
        }
        (_, Some(_)) => {
            let text = "the task has ended already";
            let code = errors::INVALID_PARAMS;
            Following::of_one(errors::error_body(Some(call.as_bytes()), code, text, None))
        }
        (method, None) => {
            let state = poll::State::of(recorded, way, id).for_its_client(entry);
            match method {
                "tasks/result" => {
                    Following { state: Some(Source::Polled(Box::new(state))), doing: None }
                }
                _ => Following::of(async move { state.cancel().await }),
            }
        }
    };
    way.is_sent = false;
    Some(Exchange::Task(Box::new(said)))
}

/// What a modern client is to come back with whose task wants to know something.
pub(crate) fn request_state(sent: &Sent, result: Raw<'_>) -> Result<Option<String>, Refusal> {
    let Some(task) = sent.way.task.as_ref().filter(|_| bridge::is_asking(result)) else {
        return Ok(None);
    };
    let (link, permitted) = (&sent.way.link, sent.recorded.permitted());
    let limits = RoundLimits::default();
    if limits.rounds <= permitted.replays {
        let why = Unanswered::TooManyRounds(limits.rounds);
        return Err(Refusal::unanswered(link.name(), why));
    }
    let round = Rounds::new(limits).open(result, Duration::ZERO);
    let round = round
        .map_err(|error: RoundsError| link.refuse(UpstreamError::Malformed(error.to_string())))?;
    let declared = permitted.asked.message.params().and_then(meta::client_capabilities);
    let revision = permitted.asked.revision;
    let abilities = declared.map(|it| Abilities::of(it, revision)).unwrap_or_default();
    match round.questions().iter().find_map(|it| abilities.lacks(it.kind)) {
        Some(missing) => {
            let why = Unanswered::Undeclared(missing.to_owned());
            Err(Refusal::unanswered(link.name(), why))
        }
        None => Ok(Some(parked::task_state(permitted, &task.id))),
    }
}

impl Following {
    /// One message, and nothing more.
    fn of(said: impl Future<Output = Said> + Send + 'static) -> Self {
        let doing: BoxFuture<'static, _> = Box::pin(async move { (Source::Over, said.await) });
        Self { state: None, doing: Some(Mutex::new(doing)) }
    }

    fn of_one(said: Bytes) -> Self {
        Self::of(std::future::ready(Ok(said)))
    }

    /// What the call hears next. Cancel-safe: what has been begun goes on with the next call.
    pub(crate) fn next(&mut self) -> BoxFuture<'_, Option<Said>> {
        // On the heap, since what is heard of it is heard by exchanges, one of which it is.
        Box::pin(async {
            if let Some(state) = self.state.take() {
                self.doing = Some(Mutex::new(match state {
                    Source::Polled(state) => Box::pin(async {
                        let (state, said) = state.next().await;
                        (Source::Polled(Box::new(state)), said)
                    }),
                    Source::Over => return None,
                    Source::Fetched(state) => Box::pin(async {
                        let (state, said) = state.next().await;
                        (Source::Fetched(Box::new(state)), said)
                    }),
                }));
            }
            let (state, said) = self.doing.as_mut()?.get_mut().await;
            (self.state, self.doing) = (Some(state), None);
            Some(said)
        })
    }

    /// Gives the server what it has asked for: an object of answers by their names.
    pub(crate) async fn update(&mut self, answers: &[u8]) -> Result<(), Refusal> {
        match &mut self.state {
            Some(Source::Polled(state)) => state.update(answers).await,
            // It is asked by requests of their own, and answered by them.
            Some(Source::Fetched(_) | Source::Over) | None => Ok(()),
        }
    }
}

impl Theirs {
    /// Whether its server calls it so.
    pub(crate) fn is_called(&self, id: &str) -> bool {
        *self.id == *id
    }

    /// A request to be told what becomes of it.
    fn letter_to_listen(&self, id: u64) -> Letter {
        let method = "subscriptions/listen";
        let wanted = format!(r#","notifications":{{"taskIds":[{}]}}}}"#, quote(&self.id));
        let meta = self.meta.as_deref().unwrap_or(b"{}");
        let params = [&br#"{"_meta":"#[..], meta, wanted.as_bytes()].concat();
        let body = errors::request_body(id.to_string().as_bytes(), method, Some(&params));
        let mut headers = HeaderMap::new();
        headers.insert(MCP_METHOD, HeaderValue::from_static(method));
        Letter { parts: vec![body], id: Some(id), progress: false, headers }
    }

    /// Whether a notification is about it.
    fn is_meant(&self, text: &Bytes) -> bool {
        let message = Message::parse(text.clone(), Limits::default()).ok();
        let message = message.filter(|it| it.method() == "notifications/tasks");
        let id = message.as_ref().and_then(|it| it.params()?.get("taskId")?.str());
        id.is_some_and(|it| self.is_called(&it))
    }

    /// A request about it, with these members in its params.
    pub(crate) fn letter(&self, method: &'static str, id: u64, more: &[u8]) -> Letter {
        let mut params = format!(r#"{{"taskId":{}"#, quote(&self.id)).into_bytes();
        let mut headers = HeaderMap::new();
        if let Some(meta) = &self.meta {
            params.extend([&br#","_meta":"#[..], meta].concat());
            headers.insert(MCP_METHOD, HeaderValue::from_static(method));
            headers.insert(MCP_NAME, encode_value(&self.id));
        }
        if !more.is_empty() {
            params.extend([b",", more].concat());
        }
        params.push(b'}');
        let body = errors::request_body(id.to_string().as_bytes(), method, Some(&params));
        Letter { parts: vec![body], id: Some(id), progress: false, headers }
    }
}
