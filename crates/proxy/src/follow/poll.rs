//! Tasks of the extension: their server is asked how far they have come, as often as it wants to be
//! asked, and when it says that there is something new.

use std::collections::HashSet;
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
use parking_lot::Mutex;

use super::{FAILURES, SOONEST, Said, Theirs, USUAL, capabilities};
use crate::authorize::Pass;
use crate::call::Asked;
use crate::cancel::Way;
use crate::link::{Channel, Link, final_answer, our_info};
use crate::record::Recorded;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;

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
    /// The names of what has been answered.
    answered: HashSet<Box<str>>,
    news: News,
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
    pub(super) fn of(recorded: &Recorded, way: &mut Way, id: &str) -> Self {
        let permitted = recorded.permitted();
        let asked = &permitted.asked;
        let params = asked.message.params();
        let task = Arc::new(Theirs { id: id.into(), meta: Some(introduction(asked)) });
        way.task = Some(Arc::clone(&task));
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
            answered: HashSet::new(),
            news: News { token, told: *way.progress.lock(), last: None },
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

    /// Gives the server what it has asked for: an object of answers by their names.
    pub(super) async fn update(&mut self, answers: &[u8]) -> Result<(), Refusal> {
        let more = [&b"\"inputResponses\":"[..], answers].concat();
        let answer = self.ask("tasks/update", &more).await?;
        if let Some(why) = answer.error().and_then(|it| it.get("message")).and_then(Raw::str) {
            let why = format!("`tasks/update` failed: {why}");
            return Err(self.link.refuse(UpstreamError::Malformed(why)));
        }
        self.pause = SOONEST;
        // Until it has taken them, it may go on asking.
        let answered = Raw::parse(answers, Limits::default()).ok();
        let names = answered.into_iter().flat_map(Raw::members);
        self.answered.extend(names.map(|(key, _)| Box::from(key.as_ref())));
        Ok(())
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

    /// What it wants to know and has not been told.
    fn questions(&self, task: Raw<'_>, id: &str) -> Option<Bytes> {
        let requests = task.get("inputRequests").filter(|it| it.is_object())?;
        let new: Vec<_> =
            requests.members().filter(|(key, _)| !self.answered.contains(key.as_ref())).collect();
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

impl News {
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
