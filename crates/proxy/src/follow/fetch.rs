//! Tasks of revision 2025-11-25: their results are asked for by a request that is answered when they
//! are done, on whose stream the server asks and tells meanwhile what it would in the call itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp::envelope::{Message, MessageKind};
use mcp::json::{Limits, Raw};
use mcp::meta;
use mcp::splice::Splice;

use super::{FAILURES, SOONEST, Said, Theirs};
use crate::authorize::Pass;
use crate::cancel::Way;
use crate::flight::Flight;
use crate::link::{Channel, Exchange, Link};
use crate::record::Recorded;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;

pub(super) struct State {
    worker: Arc<Worker>,
    pass: Pass,
    link: Arc<Link>,
    channel: Channel,
    task: Arc<Theirs>,
    /// Our id of the call, and of the request for its result.
    call: u64,
    request: u64,
    /// What comes back for that, once it has been sent.
    exchange: Option<Exchange>,
    until: Duration,
    attempts: Attempts,
    /// Whether it is heard how far the task has come.
    tells: bool,
}

/// How often it has been asked in vain.
#[derive(Default)]
struct Attempts {
    begun: Duration,
    failures: u32,
}

/// How long an attempt lasts that is none in vain, whatever came of it: longer than it takes to find
/// out that a server cannot be reached.
const HELD: Duration = Duration::from_secs(10);

impl State {
    pub(super) fn of(recorded: &Recorded, way: &Way, id: &str) -> Self {
        let permitted = recorded.permitted();
        let worker = Arc::clone(&permitted.asked.worker);
        let task = Arc::new(Theirs { id: id.into(), meta: None });
        let longest = worker.proxy.options.longest_task;
        Self {
            until: worker.proxy.clock.elapsed().saturating_add(longest),
            worker,
            pass: permitted.pass.twin(),
            link: Arc::clone(&way.link),
            channel: way.channel.clone(),
            task,
            call: way.id,
            request: 0,
            exchange: None,
            attempts: Attempts::default(),
            tells: false,
        }
    }

    /// The same for whoever wants to hear how far the task has come, too, by a flight of its own.
    pub(super) fn telling(self, flight: Arc<Flight>) -> Self {
        Self { tells: true, pass: Pass { flight, ..self.pass }, ..self }
    }

    /// The task, for whoever ends it with the call.
    pub(super) fn task(&self) -> Arc<Theirs> {
        Arc::clone(&self.task)
    }

    pub(super) async fn next(mut self) -> (Self, Said) {
        loop {
            let clock = Arc::clone(&self.worker.proxy.clock);
            let left = self.until.saturating_sub(clock.elapsed());
            let error = match tokio::time::timeout(left, self.hear()).await {
                Err(_) => {
                    let longest = self.worker.proxy.options.longest_task;
                    return (self, Err(UpstreamError::Timeout(longest)));
                }
                Ok(Ok(text)) => {
                    self.attempts.failures = 0;
                    match self.take(text) {
                        Some(text) => return (self, Ok(text)),
                        None => continue,
                    }
                }
                Ok(Err(error)) => error,
            };
            // Nothing is done twice by asking again.
            self.exchange = None;
            let pause = self.attempts.fail(clock.elapsed());
            let Some(pause) = pause.filter(|_| !matches!(error, UpstreamError::Malformed(_)))
            else {
                return (self, Err(error));
            };
            let left = self.until.saturating_sub(clock.elapsed());
            tokio::time::sleep(pause.min(left)).await;
        }
    }

    async fn hear(&mut self) -> Said {
        if self.exchange.is_none() {
            self.attempts.begun = self.worker.proxy.clock.elapsed();
            self.request = self.link.next_id();
            let letter = self.task.letter("tasks/result", self.request, b"");
            let posting = self.link.post(&self.worker, &self.pass, &self.channel, letter);
            let mut exchange = posting.await.map_err(|refusal| match refusal {
                Refusal::Upstream { source, .. } => source,
                // The gate tells the call's end itself, and better.
                _ => UpstreamError::NoAnswer,
            })?;
            if !exchange.status().is_success() {
                return Err(UpstreamError::Status(exchange.status().as_u16()));
            }
            exchange.be_patient();
            self.exchange = Some(exchange);
        }
        match &mut self.exchange {
            Some(exchange) => exchange.next().await.unwrap_or(Err(UpstreamError::NoAnswer)),
            None => Err(UpstreamError::NoAnswer),
        }
    }

    /// What the call hears of it: the result as its own, and nothing of the task.
    fn take(&self, text: Bytes) -> Option<Bytes> {
        let Ok(message) = Message::parse(text.clone(), Limits::default()) else {
            return Some(text);
        };
        if message.method() == "notifications/tasks/status" && !self.tells {
            return None;
        }
        let is_answer = matches!(message.kind(), MessageKind::Response | MessageKind::Error);
        let id = message.id().filter(|it| is_answer && it.u64() == Some(self.request));
        let Some(id) = id else { return Some(text) };
        let mut splice = Splice::new(text.clone());
        splice.replace_value(id, self.call.to_string());
        if let Some(entries) = message.result().and_then(|it| it.get(meta::META))
            && Raw::is_object(entries)
        {
            splice.remove_member(entries, meta::RELATED_TASK);
        }
        Some(splice.finish().into_bytes())
    }
}

impl Attempts {
    /// An attempt has ended without a result: how long to wait before the next, if there is to be
    /// one. What a server has held for a while, or said something in, is not one in a row.
    fn fail(&mut self, now: Duration) -> Option<Duration> {
        let has_held = HELD <= now.saturating_sub(self.begun);
        self.failures = if has_held { 0 } else { self.failures + 1 };
        (self.failures < FAILURES).then(|| SOONEST.saturating_mul(1 << self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_that_fail_at_once_are_counted_and_only_in_a_row() {
        let seconds = Duration::from_secs;
        let mut attempts = Attempts { begun: seconds(100), failures: 0 };
        for _ in 1..FAILURES {
            assert!(attempts.fail(seconds(101)).is_some());
        }
        assert!(attempts.fail(seconds(101)).is_none());
        let mut attempts = Attempts { begun: seconds(100), failures: FAILURES - 1 };
        for _ in 0..2 * FAILURES {
            assert_eq!(attempts.fail(seconds(110)), Some(SOONEST));
        }
    }
}
