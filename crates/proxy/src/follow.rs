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

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::TasksSetting;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::bridge::{self, Abilities, RoundLimits, Rounds, RoundsError};
use mcp::envelope::Message;
use mcp::errors::{self, INVALID_PARAMS};
use mcp::extensions;
use mcp::headers::{MCP_METHOD, MCP_NAME, encode_value};
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision::{self, Era};
use parking_lot::Mutex;

use crate::authorize::Pass;
use crate::call::{Asked, Permitted};
use crate::cancel::Way;
use crate::forward::Sent;
use crate::link::{Channel, Exchange, Hello, Letter, Link, final_answer, our_info};
use crate::parked;
use crate::record::Recorded;
use crate::refusal::{Refusal, Unanswered, UpstreamError};
use crate::serve::Worker;
use crate::tasks;

/// A task that a call waits for.
pub(crate) struct Following {
    state: Option<State>,
    /// Locked by nobody: what is not `Sync` could not be part of a call.
    doing: Option<Mutex<BoxFuture<'static, (State, Said)>>>,
}

type Said = Result<Bytes, UpstreamError>;

/// A task as its server knows it, and what is said with each request about it.
pub(crate) struct Theirs {
    id: Box<str>,
    /// The `_meta` of such a request.
    meta: Bytes,
}

struct State {
    worker: Arc<Worker>,
    pass: Pass,
    link: Arc<Link>,
    channel: Channel,
    task: Arc<Theirs>,
    /// Our id of the call.
    call: u64,
    /// When it has taken too long.
    until: Duration,
    /// How long to wait before the next look, unless its server says that there is something to see.
    pause: Duration,
    ear: Mutex<BoxStream<'static, ()>>,
    /// How often in a row nothing could be learnt.
    failures: u32,
    /// The names of what has been asked.
    asked: HashSet<Box<str>>,
    news: News,
}

/// What the client is told on the way.
struct News {
    /// Under which it wants to hear of progress.
    token: Option<Bytes>,
    told: u64,
    /// Status and words when it was last told.
    last: Option<(String, String)>,
}

/// How often a server is asked at most and at least, and what it gets that does not say.
const SOONEST: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(30);
const USUAL: Duration = Duration::from_secs(1);

/// How often in a row a server may fail to say how far a task has come.
const FAILURES: u32 = 5;

/// Whether a server is told for its client that tasks are known.
pub(crate) fn is_wanted(permitted: &Permitted, hello: &Hello) -> bool {
    let asked = &permitted.asked;
    let waits = permitted.pass.assignment().map(|it| it.server.tasks);
    waits == Some(TasksSetting::Wait)
        && asked.message.method() == "tools/call"
        && (asked.era() == Era::Legacy || !tasks::declares(asked))
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
    let Channel::Modern(hello) = &sent.way.channel else { return false };
    let kind = answer.result().and_then(|it| it.get("resultType")).and_then(Raw::str);
    kind.as_deref() == Some("task") && is_wanted(sent.recorded.permitted(), hello)
}

/// Follows the task that an answer begins: what comes of it is what the call hears next.
pub(crate) fn begin(sent: &mut Sent, answer: &Message) -> Result<(), UpstreamError> {
    let malformed = || UpstreamError::Malformed("the id of a task".to_owned());
    let result = answer.result().ok_or_else(malformed)?;
    let id = result.get("taskId").and_then(Raw::str).ok_or_else(malformed)?;
    if tasks::LONGEST < id.len() {
        return Err(malformed());
    }
    let mut following = Following::of(&sent.recorded, &mut sent.way, &id);
    if let Some(state) = &mut following.state {
        state.pause = interval(result);
    }
    sent.exchange = Exchange::Task(Box::new(following));
    Ok(())
}

/// Goes on with a task that the client has been asked something about, and comes back with answers.
pub(crate) async fn resume(
    recorded: &Recorded,
    id: &str,
    way: &mut Way,
) -> Result<Exchange, Refusal> {
    let mut following = Box::new(Following::of(recorded, way, id));
    let edited = recorded.permitted().splice.clone().finish().into_bytes();
    let edited = Message::parse(edited, Limits::default())?;
    let answers = edited.params().and_then(|it| it.get("inputResponses"));
    if let Some(answers) = answers.filter(|it| it.is_object()) {
        following.update(answers.bytes()).await?;
    }
    Ok(Exchange::Task(following))
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
    fn of(recorded: &Recorded, way: &mut Way, id: &str) -> Self {
        let permitted = recorded.permitted();
        let asked = &permitted.asked;
        let params = asked.message.params();
        let task = Arc::new(Theirs { id: id.into(), meta: introduction(asked) });
        way.task = Some(Arc::clone(&task));
        let proxy = &asked.worker.proxy;
        let token = params.and_then(meta::progress_token);
        let token = token.map(|it| Bytes::copy_from_slice(it.bytes()));
        let mut state = State {
            worker: Arc::clone(&asked.worker),
            pass: permitted.pass.twin(),
            link: Arc::clone(&way.link),
            channel: way.channel.clone(),
            task,
            call: way.id,
            until: proxy.clock.elapsed().saturating_add(proxy.options.longest_task),
            pause: SOONEST,
            ear: Mutex::new(stream::empty().boxed()),
            failures: 0,
            asked: HashSet::new(),
            news: News { token, told: 0, last: None },
        };
        state.ear = Mutex::new(state.listen());
        Self { state: Some(state), doing: None }
    }

    /// What the call hears next. Cancel-safe: what has been begun goes on with the next call.
    pub(crate) fn next(&mut self) -> BoxFuture<'_, Option<Said>> {
        // On the heap, since what is heard of it is heard by exchanges, one of which it is.
        Box::pin(async {
            if let Some(state) = self.state.take() {
                self.doing = Some(Mutex::new(Box::pin(state.next())));
            }
            let (state, said) = self.doing.as_mut()?.get_mut().await;
            (self.state, self.doing) = (Some(state), None);
            Some(said)
        })
    }

    /// Gives the server what it has asked for: an object of answers by their names.
    pub(crate) async fn update(&mut self, answers: &[u8]) -> Result<(), Refusal> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let more = [&b"\"inputResponses\":"[..], answers].concat();
        let answer = state.ask("tasks/update", &more).await?;
        if let Some(why) = answer.error().and_then(|it| it.get("message")).and_then(Raw::str) {
            let why = format!("`tasks/update` failed: {why}");
            return Err(state.link.refuse(UpstreamError::Malformed(why)));
        }
        state.pause = SOONEST;
        // Until it has taken them, it may go on asking.
        let answered = Raw::parse(answers, Limits::default()).ok();
        let names = answered.into_iter().flat_map(Raw::members);
        state.asked.extend(names.map(|(key, _)| Box::from(key.as_ref())));
        Ok(())
    }
}

impl State {
    async fn next(mut self) -> (Self, Said) {
        loop {
            let clock = Arc::clone(&self.worker.proxy.clock);
            let left = self.until.saturating_sub(clock.elapsed());
            if left.is_zero() {
                let longest = self.worker.proxy.options.longest_task;
                return (self, Err(UpstreamError::Timeout(longest)));
            }
            let soonest = tokio::time::sleep(SOONEST.min(left));
            let pause = tokio::time::sleep(self.pause.min(left));
            tokio::select! {
                () = pause => {}
                // However often it says so, it is not asked more often for it.
                Some(()) = self.ear.get_mut().next() => soonest.await,
            }
            match self.look().await {
                Ok(None) => {}
                Ok(Some(said)) => return (self, Ok(said)),
                Err(error @ (UpstreamError::TaskOver(_) | UpstreamError::Malformed(_))) => {
                    return (self, Err(error));
                }
                Err(error) => {
                    self.failures += 1;
                    if FAILURES <= self.failures {
                        return (self, Err(error));
                    }
                    self.pause = USUAL.saturating_mul(1 << self.failures).min(LATEST);
                }
            }
        }
    }

    /// Asks how far it has come: what the call hears of it, if anything.
    async fn look(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let answer = self.ask("tasks/get", b"").await.map_err(|refusal| match refusal {
            Refusal::Upstream { source, .. } => source,
            // The gate tells the call's end itself, and better.
            _ => UpstreamError::NoAnswer,
        })?;
        if let Some(error) = answer.error() {
            let code = error.get("code").and_then(Raw::i64).unwrap_or_default();
            return Err(match code == i64::from(INVALID_PARAMS) {
                true => UpstreamError::TaskOver("it does not know its task any more"),
                false => UpstreamError::NoAnswer,
            });
        }
        self.failures = 0;
        let task = answer.result().ok_or(UpstreamError::NoAnswer)?;
        self.pause = interval(task);
        self.take(task)
    }

    fn take(&mut self, task: Raw<'_>) -> Result<Option<Bytes>, UpstreamError> {
        let malformed = |why: &str| UpstreamError::Malformed(format!("its task has {why}"));
        let text = |key: &str| task.get(key).and_then(Raw::str);
        if text("taskId").is_some_and(|it| *it != *self.task.id) {
            return Err(malformed("another id"));
        }
        let id = self.call.to_string();
        match text("status").as_deref() {
            Some("completed") => {
                let result = task.get("result").filter(|it| it.is_object());
                let result = result.ok_or_else(|| malformed("no result"))?;
                let kind = result.get("resultType").and_then(Raw::str);
                if kind.is_some_and(|it| it != "complete") {
                    return Err(malformed("a result of a kind that there is not"));
                }
                Ok(Some(errors::result_body(id.as_bytes(), result.bytes())))
            }
            Some("failed") => {
                let error = task.get("error").ok_or_else(|| malformed("no error"))?;
                let parts = [
                    &br#"{"jsonrpc":"2.0","id":"#[..],
                    id.as_bytes(),
                    br#","error":"#,
                    error.bytes(),
                    b"}",
                ];
                Ok(Some(parts.concat().into()))
            }
            Some("cancelled") => Err(UpstreamError::TaskOver("it has cancelled its task")),
            Some(status @ ("working" | "input_required")) => {
                let questions = (status == "input_required").then(|| self.questions(task, &id));
                let words = text("statusMessage").unwrap_or_default();
                Ok(questions.flatten().or_else(|| self.news.of(status, &words)))
            }
            _ => Err(malformed("a status that there is not")),
        }
    }

    /// What it wants to know and has not asked before.
    fn questions(&mut self, task: Raw<'_>, id: &str) -> Option<Bytes> {
        let requests = task.get("inputRequests").filter(|it| it.is_object())?;
        let new: Vec<_> =
            requests.members().filter(|(key, _)| !self.asked.contains(key.as_ref())).collect();
        if new.is_empty() {
            return None;
        }
        let mut asked = Vec::new();
        for (key, entry) in new {
            if !asked.is_empty() {
                asked.push(b',');
            }
            asked.extend_from_slice(quote(&key).as_bytes());
            asked.push(b':');
            asked.extend_from_slice(entry.bytes());
            self.asked.insert(key.as_ref().into());
        }
        let opening = br#"{"resultType":"input_required","inputRequests":{"#;
        let result = [&opening[..], &asked, b"}}"].concat();
        Some(errors::result_body(id.as_bytes(), &result))
    }

    /// Each word of the server that the task has changed. What it says of it is not heard here but
    /// asked for, and a server that says nothing is asked all the same.
    fn listen(&self) -> BoxStream<'static, ()> {
        if self.link.is_managed() {
            // One of our own processes is asked at no cost, and would have to be told of the end.
            return stream::empty().boxed();
        }
        let (worker, link) = (Arc::clone(&self.worker), Arc::clone(&self.link));
        let (pass, channel) = (self.pass.twin(), self.channel.clone());
        let id = self.link.next_id();
        let letter = self.task.letter_to_listen(id);
        let opening = async move {
            let mut exchange = link.post(&worker, &pass, &channel, letter).await.ok()?;
            exchange.be_patient();
            exchange.status().is_success().then_some(exchange)
        };
        let task = Arc::clone(&self.task);
        let heard = stream::once(opening).filter_map(std::future::ready).flat_map(|exchange| {
            stream::unfold(exchange, async |mut exchange| {
                let text = exchange.next().await?.ok()?;
                Some((text, exchange))
            })
        });
        heard.filter(move |text| std::future::ready(task.is_meant(text))).map(drop).fuse().boxed()
    }

    /// Says something about the task, through the last gate, and waits for the answer.
    async fn ask(&self, method: &'static str, more: &[u8]) -> Result<Message, Refusal> {
        let (link, id) = (&self.link, self.link.next_id());
        let letter = self.task.letter(method, id, more);
        let patience = self.worker.proxy.options.probe;
        let asking = async {
            let mut exchange = link.post(&self.worker, &self.pass, &self.channel, letter).await?;
            let answer = final_answer(link, &mut exchange, id).await;
            let status = exchange.status();
            let is_refused = matches!(status.as_u16(), 401 | 403 | 407 | 408 | 429 | 500..);
            match answer {
                Ok(answer) if !is_refused => Ok(answer),
                Ok(_) | Err(UpstreamError::Malformed(_)) if status != StatusCode::OK => {
                    Err(link.refuse(UpstreamError::Status(status.as_u16())))
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(link.refuse(error)),
            }
        };
        let asked = tokio::time::timeout(patience, self.pass.unless_ended(asking)).await;
        asked.unwrap_or_else(|_| Err(link.refuse(UpstreamError::Timeout(patience))))
    }
}

impl News {
    /// Progress, if the client wants to hear of any and there is some.
    fn of(&mut self, status: &str, words: &str) -> Option<Bytes> {
        let token = self.token.as_ref()?;
        let now = (status.to_owned(), words.to_owned());
        if self.last.as_ref() == Some(&now) {
            return None;
        }
        self.last = Some(now);
        self.told += 1;
        let token = String::from_utf8_lossy(token);
        let message = match words {
            "" => String::new(),
            words => format!(r#","message":{}"#, quote(words)),
        };
        let params = format!(r#"{{"progressToken":{token},"progress":{}{message}}}"#, self.told);
        let method = "notifications/progress";
        Some(errors::notification_body(method, Some(params.as_bytes())))
    }
}

impl Theirs {
    /// A request to be told what becomes of it.
    fn letter_to_listen(&self, id: u64) -> Letter {
        let method = "subscriptions/listen";
        let wanted = format!(r#","notifications":{{"taskIds":[{}]}}}}"#, quote(&self.id));
        let params = [&br#"{"_meta":"#[..], &self.meta, wanted.as_bytes()].concat();
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
        id.is_some_and(|it| *it == *self.id)
    }

    /// A request about it, with these members in its params.
    pub(crate) fn letter(&self, method: &'static str, id: u64, more: &[u8]) -> Letter {
        let task = quote(&self.id);
        let comma: &[u8] = if more.is_empty() { b"" } else { b"," };
        let params = [
            &br#"{"_meta":"#[..],
            &self.meta,
            br#","taskId":"#,
            task.as_bytes(),
            comma,
            more,
            b"}",
        ]
        .concat();
        let body = errors::request_body(id.to_string().as_bytes(), method, Some(&params));
        let mut headers = HeaderMap::new();
        headers.insert(MCP_METHOD, HeaderValue::from_static(method));
        headers.insert(MCP_NAME, encode_value(&self.id));
        Letter { parts: vec![body], id: Some(id), progress: false, headers }
    }
}

/// Who asks, as it is said with each request.
fn introduction(asked: &Asked) -> Bytes {
    meta::object(&[
        (meta::PROTOCOL_VERSION, Bytes::from(quote(revision::LATEST.as_str()))),
        (meta::CLIENT_CAPABILITIES, capabilities(asked)),
        (meta::CLIENT_INFO, our_info()),
    ])
}

/// How long its server wants to be left alone, within bounds.
fn interval(task: Raw<'_>) -> Duration {
    let asked = task.get("pollIntervalMs").and_then(Raw::u64);
    asked.map_or(USUAL, |it| Duration::from_millis(it).clamp(SOONEST, LATEST))
}
