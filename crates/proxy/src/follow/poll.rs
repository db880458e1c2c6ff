//! Tasks of the extension: their server is asked how far they have come, as often as it wants to be
//! asked, and when it says that there is something new.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::StatusCode;
use mcp::envelope::Message;
use mcp::errors::{self, INVALID_PARAMS};
use mcp::json::{Limits, Raw, quote};
use mcp::meta;
use mcp::revision;
use mcp::splice::Splice;
use mcp::tasks::{CORE, EXTENSION, Status, restate, with_status};
use parking_lot::Mutex;

use super::{FAILURES, SOONEST, Said, Theirs, USUAL, capabilities};
use crate::authorize::Pass;
use crate::call::Asked;
use crate::cancel::Way;
use crate::link::{Channel, Link, final_answer, our_info};
use crate::record::Recorded;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::tasks::{Asker, Entry, Giving, Talk};

pub(super) struct State {
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
    /// What has been answered, and whether the client is asked here.
    asker: Asker,
    news: News,
    /// What is known of it, where its client has asked for its result itself.
    entry: Option<Arc<Entry>>,
}

/// What the client is told on the way.
struct News {
    /// Under which it wants to hear of progress.
    token: Option<Bytes>,
    told: f64,
    /// Status and words when it was last told.
    last: Option<(String, String)>,
}

/// How often a server is asked at least.
const LATEST: Duration = Duration::from_secs(30);

impl State {
    pub(super) fn of(recorded: &Recorded, way: &Way, id: &str) -> Self {
        let permitted = recorded.permitted();
        let asked = &permitted.asked;
        let params = asked.message.params();
        let task = Arc::new(Theirs { id: id.into(), meta: Some(introduction(asked)) });
        let proxy = &asked.worker.proxy;
        let token = params.and_then(meta::progress_token);
        let token = token.map(|it| Bytes::copy_from_slice(it.bytes()));
        let mut state = Self {
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
            asker: Asker::of(&Arc::<Talk>::default()),
            news: News { token, told: *way.progress.lock(), last: None },
            entry: None,
        };
        state.ear = Mutex::new(state.listen());
        state
    }
}

impl State {
    /// The same as its server has just spoken of it.
    pub(super) fn beginning_with(self, task: Raw<'_>) -> Self {
        Self { pause: interval(task), ..self }
    }

    /// The same for a client that has asked for its result itself, and knows it under an id of ours.
    pub(super) fn for_its_client(self, entry: Option<Arc<Entry>>) -> Self {
        let asker = entry.as_ref().map(|it| Asker::of(&it.talk));
        Self { pause: Duration::ZERO, asker: asker.unwrap_or(self.asker), entry, ..self }
    }

    /// The task, for whoever ends it with the call.
    pub(super) fn task(&self) -> Arc<Theirs> {
        Arc::clone(&self.task)
    }

    /// Gives the server what it has asked for: an object of answers by their names, without those to
    /// what has been answered before.
    pub(super) async fn update(&mut self, answers: &[u8]) -> Result<(), Refusal> {
        let Some((answers, giving)) = self.unanswered(answers) else { return Ok(()) };
        let more = [&b"\"inputResponses\":"[..], &answers].concat();
        let answer = self.ask("tasks/update", &more).await?;
        if let Some(why) = answer.error().and_then(|it| it.get("message")).and_then(Raw::str) {
            let why = format!("`tasks/update` failed: {why}");
            return Err(self.link.refuse(UpstreamError::Malformed(why)));
        }
        giving.done();
        self.pause = SOONEST;
        Ok(())
    }

    /// Until the server has taken them, it may go on asking.
    fn unanswered(&self, answers: &[u8]) -> Option<(Bytes, Giving)> {
        let answers = Bytes::copy_from_slice(answers);
        let root = Raw::parse(&answers, Limits::default()).ok()?;
        let mut splice = Splice::new(answers.clone());
        let mut giving = self.asker.give();
        let (mut all, mut known) = (0, 0);
        for (name, _) in root.members() {
            all += 1;
            if !giving.add(&name) {
                known += 1;
                splice.remove_member(root, &name);
            }
        }
        (known < all || all == 0).then(|| (splice.finish().into_bytes(), giving))
    }

    /// Ends the task for its client: what that is answered.
    pub(super) async fn cancel(self) -> Said {
        let id = self.call.to_string();
        let before = self.get().await?;
        let Some(task) = before.result() else { return Ok(under(&before, &id)) };
        let status = Status::of(task);
        if status.is_none_or(Status::is_last) || self.entry.as_ref().is_some_and(|it| it.is_over())
        {
            let text = "the task has ended already";
            return Ok(errors::error_body(Some(id.as_bytes()), INVALID_PARAMS, text, None));
        }
        let answer = self.ask("tasks/cancel", b"").await.map_err(source)?;
        if answer.error().is_some() {
            return Ok(under(&answer, &id));
        }
        let now = self.now();
        let task = restate(task, (EXTENSION, EXTENSION), &self.task.id, &now);
        let task = task.ok_or(UpstreamError::NoAnswer)?;
        Ok(errors::result_body(id.as_bytes(), &with_status(&task, Status::Cancelled)))
    }

    fn now(&self) -> String {
        crate::tasks::recast::time(&self.worker.proxy)
    }

    /// What the call hears next.
    pub(super) async fn next(mut self) -> (Self, Said) {
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
                Err(UpstreamError::TaskOver(why)) if self.entry.is_some() => {
                    let id = self.call.to_string();
                    let body = errors::error_body(Some(id.as_bytes()), INVALID_PARAMS, why, None);
                    return (self, Ok(body));
                }
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
        let answer = self.get().await?;
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

    async fn get(&self) -> Result<Message, UpstreamError> {
        self.ask("tasks/get", b"").await.map_err(source)
    }

    fn take(&mut self, task: Raw<'_>) -> Result<Option<Bytes>, UpstreamError> {
        let malformed = |why: &str| UpstreamError::Malformed(format!("its task has {why}"));
        let text = |key: &str| task.get(key).and_then(Raw::str);
        if text("taskId").is_some_and(|it| *it != *self.task.id) {
            return Err(malformed("another id"));
        }
        let told = match &self.entry {
            Some(entry) => Some(self.told(entry, task)?),
            None => None,
        };
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
                let news = || match &told {
                    Some(told) => self.news.of_status(status, &words, told),
                    None => self.news.of(status, &words),
                };
                Ok(questions.flatten().or_else(news))
            }
            _ => Err(malformed("a status that there is not")),
        }
    }

    /// What its client is told of it, which has not told it of an end yet that this would take back.
    fn told(&self, entry: &Entry, task: Raw<'_>) -> Result<Bytes, UpstreamError> {
        let malformed = |why: &str| UpstreamError::Malformed(format!("its task has {why}"));
        let status = Status::of(task).ok_or_else(|| malformed("a status that there is not"))?;
        let said = restate(task, (EXTENSION, CORE), &entry.id, &self.now());
        let told = entry.tell(said.ok_or_else(|| malformed("no status"))?);
        let is = Raw::parse(&told, Limits::default()).ok().and_then(Status::of);
        match is {
            Some(Status::Cancelled) => Err(UpstreamError::TaskOver("the task was cancelled")),
            Some(is) if is.is_last() && !status.is_last() => {
                Err(malformed("come back from its end"))
            }
            _ => Ok(told),
        }
    }

    /// What it wants to know and has not been told.
    fn questions(&self, task: Raw<'_>, id: &str) -> Option<Bytes> {
        let requests = task.get("inputRequests").filter(|it| it.is_object())?;
        let new: Vec<_> =
            requests.members().filter(|(key, _)| !self.asker.is_answered(key)).collect();
        if new.is_empty() || !self.asker.may_ask() {
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
                Ok(answer) if !is_refused => {
                    link.succeeded(self.worker.proxy.clock.elapsed());
                    Ok(answer)
                }
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

/// An answer to a question of ours, as one to the call.
fn under(answer: &Message, id: &str) -> Bytes {
    let mut splice = Splice::new(answer.body().clone());
    match answer.id() {
        Some(theirs) => splice.replace_value(theirs, id.to_owned()),
        None => splice.set_member(answer.root(), "id", id.to_owned()),
    }
    splice.finish().into_bytes()
}

fn source(refusal: Refusal) -> UpstreamError {
    match refusal {
        Refusal::Upstream { source, .. } => source,
        // The gate tells the call's end itself, and better.
        _ => UpstreamError::NoAnswer,
    }
}

impl News {
    /// That the status has changed, for a client that follows the task itself.
    fn of_status(&mut self, status: &str, words: &str, told: &[u8]) -> Option<Bytes> {
        let now = Some((status.to_owned(), words.to_owned()));
        let before = std::mem::replace(&mut self.last, now.clone());
        // It knows how the task has begun.
        let is_new = before.map_or(status != "working", |before| now != Some(before));
        is_new.then(|| errors::notification_body("notifications/tasks/status", Some(told)))
    }

    /// Progress, if the client wants to hear of any and there is some.
    fn of(&mut self, status: &str, words: &str) -> Option<Bytes> {
        let token = self.token.as_ref()?;
        let now = (status.to_owned(), words.to_owned());
        if self.last.as_ref() == Some(&now) {
            return None;
        }
        self.last = Some(now);
        // It must increase, whatever the server has told of the call before it made a task of it.
        let next = self.told.floor() + 1.0;
        if next <= self.told {
            return None;
        }
        self.told = next;
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

/// Who asks, as it is said with each request.
pub(super) fn introduction(asked: &Asked) -> Bytes {
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
