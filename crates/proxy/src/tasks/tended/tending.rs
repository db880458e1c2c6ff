//! Whoever tends a task.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::json::Raw;
use tokio::sync::mpsc;

use super::ward::{End, Question, Ward, Word};
use crate::cancel;
use crate::follow::Following;
use crate::forward::Sent;
use crate::late::HEARTBEAT;
use crate::link::{Again, Exchange, Heard};
use crate::parked;
use crate::record::{Aside, Outcome, Within};
use crate::refusal::UpstreamError;
use crate::seats::Seat;
use crate::serve::Proxy;
use crate::step::{self, Step};
use crate::tasks::recast;
use crate::terms;

/// A task that is tended. Dropped before its end, it is forgotten.
pub(super) struct Tending {
    proxy: Arc<Proxy>,
    sent: Option<Sent>,
    again: Again,
    /// As its client knows it.
    id: Box<str>,
    ward: Arc<Ward>,
    seat: Seat,
    words: mpsc::Receiver<Word>,
    /// When it is forgotten.
    ends: Duration,
}

/// What ends the conversation with its server.
enum Over {
    /// It has said what has come of the task.
    Answered(Message),
    /// It cannot be spoken to any more, or may not.
    Broken(UpstreamError),
    CutOff,
    Cancelled,
    /// Its time is over.
    Late,
    Stopping,
}

impl Tending {
    pub(super) fn of(
        mut sent: Sent,
        following: Following,
        (id, ward, seat): (Box<str>, Arc<Ward>, Seat),
        (words, ends): (mpsc::Receiver<Word>, Duration),
    ) -> Self {
        let proxy = Arc::clone(&sent.recorded.permitted().asked.worker.proxy);
        sent.exchange = Exchange::Task(Box::new(following));
        let (sent, again) = (Some(sent), Again::default());
        Self { proxy, sent, again, id, ward, seat, words, ends }
    }

    pub(super) async fn run(mut self) {
        let over = Box::pin(self.converse()).await;
        if matches!(over, Over::CutOff | Over::Stopping) {
            // Its server is left without a word.
            return;
        }
        // What has come of it is there for its client until its time is over.
        loop {
            let left = self.ends.saturating_sub(self.proxy.clock.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = self.proxy.parking.closing() => return,
                Some(_) = self.words.recv() => {}
                // Another clock may have gone further meanwhile than the one that sleeps.
                () = tokio::time::sleep(left.min(HEARTBEAT)) => {}
            }
        }
    }

    /// Asks for what comes of it, on a record of its own.
    async fn converse(&mut self) -> Over {
        let Some(sent) = &self.sent else { return Over::Late };
        let permitted = sent.recorded.permitted();
        let said = crate::record::Said { method: "tasks/result", ..permitted.asked.said() };
        let within = Within::Call(sent.recorded.call());
        let aside = Aside::begin_within(within, &permitted.pass, &said, (Vec::new(), &[]));
        let over = match Box::pin(aside).await {
            Ok(mut aside) => {
                let over = Box::pin(self.listen(&mut aside)).await;
                if let Err(error) = aside.end(&self.outcome(&over).await).await {
                    tracing::warn!(%error, "The end of a task could not be recorded");
                }
                over
            }
            Err(error) => {
                tracing::warn!(%error, "A task cannot be tended, since that cannot be recorded");
                Over::Broken(UpstreamError::NoAnswer)
            }
        };
        self.close(&over);
        over
    }

    async fn outcome(&self, over: &Over) -> Outcome {
        let refused = |error| match &self.sent {
            Some(sent) => Outcome::refused(&sent.way.link.refuse(error)),
            None => Outcome::given_up(),
        };
        match over {
            Over::Answered(message) => Outcome::answered(message, &[], Vec::new()),
            Over::Broken(error) => refused(error.clone()),
            Over::Late => refused(UpstreamError::TaskOver("it has not ended its task in time")),
            Over::CutOff => match &self.sent {
                Some(sent) => Outcome::refused(&sent.recorded.permitted().pass.why_ended().await),
                None => Outcome::given_up(),
            },
            Over::Cancelled | Over::Stopping => Outcome::given_up(),
        }
    }

    /// Hears its server, and says what its client has to say, until one of them ends it.
    async fn listen(&mut self, aside: &mut Aside) -> Over {
        loop {
            let left = self.ends.saturating_sub(self.proxy.clock.elapsed());
            let Some(sent) = self.sent.as_mut().filter(|_| !left.is_zero()) else {
                return Over::Late;
            };
            let permitted = sent.recorded.permitted();
            let flight = Arc::clone(&permitted.pass.flight);
            let who = (&permitted.asked.worker, &permitted.pass);
            let step = tokio::select! {
                biased;
                () = flight.ended() => return Over::CutOff,
                () = self.proxy.parking.closing() => return Over::Stopping,
                Some(word) = self.words.recv() => {
                    match word {
                        Word::Cancel => return Over::Cancelled,
                        Word::Answer { question, result } => self.hand(question, &result).await,
                    }
                    continue;
                }
                text = step::heard(&sent.way) => step::classify(sent, text, StatusCode::OK),
                next = self.again.next(&mut sent.exchange, &sent.way, who) => match next {
                    Heard::Said(text) => step::classify(sent, text, StatusCode::OK),
                    Heard::Broken(error) => return Over::Broken(error),
                    Heard::Ended => return Over::Broken(UpstreamError::NoAnswer),
                    Heard::Paused(_) => continue,
                },
                () = tokio::time::sleep(left.min(HEARTBEAT)) => continue,
            };
            match step {
                Step::Answer(answer) => return Over::Answered(answer),
                Step::Broken(error) => return Over::Broken(error),
                Step::Question(message) | Step::News(message) => {
                    self.news(&message, aside).await;
                }
                _ => {}
            }
        }
    }

    /// Gives its server what its client has answered. Where that does not get there, it is asked anew.
    async fn hand(&self, question: Question, result: &Bytes) {
        let Some(sent) = &self.sent else { return };
        let (permitted, way) = (sent.recorded.permitted(), (&*sent.way.link, &sent.way.channel));
        let body = errors::result_body(&question.id, result);
        let said = crate::record::Said { method: question.asked.method, ..permitted.asked.said() };
        let within = (sent.recorded.call(), &permitted.pass);
        // What rules have found in it is told with what its client has said.
        let handing = Box::pin(parked::hand(way, within, &said, (body, &[])));
        if let Err(error) = handing.await {
            tracing::debug!(%error, "What a task wants to know could not be answered");
            self.ward.ask_again(question, recast::time(&self.proxy));
        }
        self.proxy.wards.tell();
    }

    async fn news(&mut self, message: &Message, aside: &mut Aside) {
        let now = recast::time(&self.proxy);
        match message.kind() {
            MessageKind::Request => self.question(message, now, aside).await,
            MessageKind::Notification if message.method() == "notifications/cancelled" => {
                if let Some(id) = message.params().and_then(|it| it.get("requestId")) {
                    self.ward.take_back(id.bytes(), now);
                    self.proxy.wards.tell();
                }
            }
            MessageKind::Notification if message.method() == "notifications/tasks/status" => {
                let task = message.params().filter(|it| self.is_about_it(*it));
                if task.is_some_and(|it| self.ward.describe(super::words(it))) {
                    self.proxy.wards.tell();
                }
            }
            _ => {}
        }
    }

    /// Whether a server says something of this task, and not of another.
    fn is_about_it(&self, task: Raw<'_>) -> bool {
        let own = self.sent.as_ref().and_then(|it| it.way.task.as_ref());
        let id = task.get("taskId").and_then(Raw::str);
        own.zip(id).is_some_and(|(own, id)| own.is_called(&id))
    }

    /// Its server asks. What may not be asked it is told at once.
    async fn question(&self, message: &Message, now: String, aside: &mut Aside) {
        let (Some(sent), Some(id)) = (&self.sent, message.id()) else { return };
        let id = Bytes::copy_from_slice(id.bytes());
        if message.method() == "ping" {
            sent.reply(errors::result_body(&id, b"{}")).await;
            return;
        }
        let mut hits = Vec::new();
        let allowed = terms::after_rules(sent.recorded.permitted(), message, &mut hits);
        aside.tell(allowed.as_ref().ok().map(Message::body), hits);
        let refused = match (&allowed, &sent.way.lease) {
            (Err(_), _) => (errors::INVALID_REQUEST, "what it asks may not be asked here"),
            (_, None) => (errors::METHOD_NOT_FOUND, "this client cannot be asked"),
            (Ok(allowed), Some(lease)) => {
                let asked = lease.askable().question(allowed.method(), allowed.params());
                match asked.map(|it| self.ward.ask(id.clone(), it, now)) {
                    Ok(true) => {
                        self.proxy.wards.tell();
                        return;
                    }
                    Ok(false) => (errors::INTERNAL_ERROR, "too many questions wait already"),
                    Err(refused) => (refused.code, refused.why),
                }
            }
        };
        sent.reply(errors::error_body(Some(&id), refused.0, refused.1, None)).await;
    }

    /// Says what has come of it, and lets go of its session.
    fn close(&mut self, over: &Over) {
        let Some(mut sent) = self.sent.take() else { return };
        let app = sent.recorded.permitted().asked.caller.app;
        let words;
        let end = match over {
            Over::Answered(message) => {
                if let Some(lease) = &mut sent.way.lease {
                    lease.settle();
                }
                match (message.result(), message.error()) {
                    (Some(result), _) => End::Result(result),
                    (None, error) => error.map_or(End::Failed("it has no end"), End::Error),
                }
            }
            Over::Cancelled => End::Cancelled,
            Over::Broken(error) => {
                words = sent.way.link.refuse(error.clone()).to_string();
                End::Failed(&words)
            }
            Over::CutOff | Over::Late | Over::Stopping => End::Failed("its time is over"),
        };
        // It takes the place of one that goes on for no longer than there is another for it.
        if let Some(place) = self.proxy.wards.ended.take(app) {
            self.seat = place;
        }
        self.ward.end(end, (&self.proxy.wards.room, app), recast::time(&self.proxy));
        self.proxy.wards.tell();
        let Sent { exchange, way, recorded, .. } = sent;
        drop(exchange);
        let is_left = match over {
            Over::Broken(error) => !matches!(error, UpstreamError::TaskOver(_)),
            over => matches!(over, Over::Cancelled | Over::Late),
        };
        if is_left {
            cancel::leave_task(&recorded, way);
        }
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        self.proxy.wards.by_id.lock().remove(&self.id);
        self.proxy.wards.tell();
    }
}
