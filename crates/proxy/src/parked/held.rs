//! The task that holds a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::StatusCode;
use inspect::Hit;
use mcp::bridge::askable::legacy_answer;
use mcp::bridge::parked::{Due, NotAsked, Parked, Question, Retry, Round};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::json::Limits;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::answers::Handing;
use super::{Return, STALE, Said, Ticket, attend, is_same, questions};
use crate::authorize::Pass;
use crate::cancel;
use crate::follow;
use crate::forward::Sent;
use crate::lasting::Lasting;
use crate::late::HEARTBEAT;
use crate::link::{Again, Exchange, Heard};
use crate::record;
use crate::refusal::{Refusal, Unanswered, UpstreamError};
use crate::release;
use crate::serve::Proxy;
use crate::step::{self, Step};
use crate::terms;

/// A call that is held, until its end is recorded. Dropped before that, it is given up.
struct Held {
    sent: Option<Sent>,
    again: Again,
    /// The permission that it began with, once a retry has brought another one. Both must hold.
    first: Option<Pass>,
    questions: Parked,
    /// Of the client, while it waits.
    wait: Option<mpsc::Sender<Said>>,
    inbox: mpsc::Receiver<Return>,
    /// Came while nobody waited, or while answers were on their way.
    answer: Option<Message>,
    /// Answers on their way to the server, in a lock that nobody locks.
    handing: Mutex<FuturesUnordered<BoxFuture<'static, Result<(), Refusal>>>>,
    last_news: Duration,
    ticket: Ticket,
}

/// What happens next.
enum Event {
    CutOff,
    /// The gateway is stopping.
    Closing,
    /// The client that waits has gone.
    Left,
    Back(Box<Return>),
    /// Answers have reached the server, or have not.
    Handed(Result<(), Refusal>),
    Step(Step),
    Tick,
}

/// How a call that is held ends.
enum End {
    /// It has been recorded, and its client told.
    Told,
    /// The upstream cannot be spoken to any more: it is left without a word.
    Silently(Refusal),
    /// The upstream still has to be told.
    Aloud(Refusal),
    Cancelled,
}

/// Lets a task hold a call that has been sent, beginning with a question of its server. Gives both
/// back where no more calls may be held.
pub(crate) fn begin(
    mut sent: Sent,
    again: Again,
    question: Message,
) -> Result<mpsc::Receiver<Said>, Box<(Sent, Again, Message)>> {
    let Some((ticket, inbox)) = Ticket::of(&sent) else {
        return Err(Box::new((sent, again, question)));
    };
    let worker = Arc::clone(&sent.recorded.permitted().asked.worker);
    let proxy = Arc::clone(&worker.proxy);
    // From now on we know better than the transport how long it may be silent.
    sent.exchange.be_patient();
    let now = proxy.clock.elapsed();
    let (wait, said) = mpsc::channel(attend::NEWS);
    let held = Held {
        sent: Some(sent),
        again,
        first: None,
        questions: Parked::new(proxy.parking.limits(), now),
        wait: Some(wait),
        inbox,
        answer: None,
        handing: Mutex::default(),
        last_news: now,
        ticket,
    };
    // On this thread, which the call's connection is bound to.
    worker.held.spawn(proxy.options.tasks.track_future(held.run(question)));
    Ok(said)
}

impl Held {
    async fn run(mut self, question: Message) {
        let mut end = self.question(&question).await.err();
        let end = loop {
            if let Some(end) = end {
                break end;
            }
            let event = self.next().await;
            end = Box::pin(self.take(event)).await.err();
        };
        Box::pin(self.end(end)).await;
    }

    fn sent(&self) -> &Sent {
        self.sent.as_ref().expect("a call that is held is there until its end")
    }

    fn pass(&self) -> &Pass {
        &self.sent().recorded.permitted().pass
    }

    fn proxy(&self) -> &Arc<Proxy> {
        &self.ticket.proxy
    }

    async fn next(&mut self) -> Event {
        let now = self.proxy().clock.elapsed();
        let due = self.questions.deadline().unwrap_or_default().saturating_sub(now);
        let proxy = Arc::clone(self.proxy());
        let sent = self.sent.as_mut().expect("a call that is held is there until its end");
        let flight = Arc::clone(&sent.recorded.permitted().pass.flight);
        let first = self.first.as_ref().map(|it| Arc::clone(&it.flight));
        let first_ended = async {
            match &first {
                Some(flight) => flight.ended().await,
                None => std::future::pending().await,
            }
        };
        let left = async {
            match &self.wait {
                Some(wait) => wait.closed().await,
                None => std::future::pending().await,
            }
        };
        let permitted = sent.recorded.permitted();
        let who = (&permitted.asked.worker, &permitted.pass);
        let has_answer = self.answer.is_some();
        let step = tokio::select! {
            biased;
            () = flight.ended() => return Event::CutOff,
            () = first_ended => return Event::CutOff,
            () = proxy.parking.closing.cancelled(), if self.wait.is_none() => return Event::Closing,
            () = left => return Event::Left,
            Some(back) = self.inbox.recv() => return Event::Back(Box::new(back)),
            Some(handed) = self.handing.get_mut().next() => return Event::Handed(handed),
            text = step::heard(&sent.way), if !has_answer => {
                step::classify(sent, text, StatusCode::OK)
            }
            next = self.again.next(&mut sent.exchange, &sent.way, who), if !has_answer => match next {
                Heard::Ended if sent.exchange.status().is_success() => {
                    Step::Broken(UpstreamError::NoAnswer)
                }
                Heard::Ended => Step::Broken(UpstreamError::Status(sent.exchange.status().as_u16())),
                Heard::Broken(error) => Step::Broken(error),
                Heard::Paused(_) => {
                    sent.exchange.be_patient();
                    return Event::Tick;
                }
                Heard::Said(text) => step::classify(sent, text, sent.exchange.status()),
            },
            // Another clock may have gone further meanwhile than the one that sleeps.
            () = tokio::time::sleep(due.min(HEARTBEAT)) => return Event::Tick,
        };
        self.last_news = proxy.clock.elapsed();
        Event::Step(step)
    }

    async fn take(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::CutOff => Err(End::Silently(self.why_ended().await)),
            Event::Closing => Err(End::Aloud(Refusal::Stopping)),
            Event::Left => Err(End::Cancelled),
            Event::Back(back) => Box::pin(self.back(*back)).await,
            Event::Tick => self.tick().await,
            Event::Step(Step::Question(message) | Step::News(message)) => self.news(message).await,
            // A server that has answered the call has no more use for them.
            Event::Handed(Err(refusal)) if self.answer.is_none() => Err(End::Aloud(refusal)),
            Event::Handed(_) => self.settle_kept().await,
            Event::Step(Step::Answer(answer)) if follow::is_begun(self.sent(), &answer) => {
                let Some(sent) = &mut self.sent else { return Ok(()) };
                let begun = follow::begin(sent, &answer);
                begun.map_err(|error| End::Silently(self.sent().way.link.refuse(error)))
            }
            Event::Step(Step::Answer(answer))
                if self.wait.is_none() || !self.handing.get_mut().is_empty() =>
            {
                // It is kept for when somebody comes back for it, or all is on record that led to it.
                self.answer = Some(answer);
                Ok(())
            }
            Event::Step(Step::Answer(answer)) => self.settle(answer).await,
            Event::Step(Step::Broken(error)) => {
                Err(End::Silently(self.sent().way.link.refuse(error)))
            }
            Event::Step(_) => Ok(()),
        }
    }

    async fn why_ended(&self) -> Refusal {
        match &self.first {
            Some(first) if first.flight.is_ended() => first.why_ended().await,
            _ => self.pass().why_ended().await,
        }
    }

    async fn tick(&mut self) -> Result<(), End> {
        let now = self.proxy().clock.elapsed();
        match self.questions.due(now) {
            Some(Due::Ask(round)) => return self.ask(&round).await,
            Some(Due::Expired) => {
                let late = Unanswered::Late(self.proxy().parking.answering);
                let why = Refusal::unanswered(self.sent().way.link.name(), late);
                // A server that has answered waits for nothing.
                let is_over = self.answer.is_some();
                return Err(if is_over { End::Silently(why) } else { End::Aloud(why) });
            }
            None => {}
        }
        let silence = self.proxy().options.silence;
        // How long a task may take is for whoever follows it.
        let is_followed = matches!(self.sent().exchange, Exchange::Task(_));
        if self.wait.is_some() && !is_followed && silence <= now.saturating_sub(self.last_news) {
            let error = UpstreamError::Timeout(silence);
            return Err(End::Aloud(self.sent().way.link.refuse(error)));
        }
        Ok(())
    }

    /// What the server says before its answer.
    async fn news(&mut self, message: Message) -> Result<(), End> {
        match message.kind() {
            MessageKind::Request => self.question(&message).await,
            MessageKind::Notification if message.method() == "notifications/cancelled" => {
                let id = message.params().and_then(|it| it.get("requestId"));
                if let Some(id) = id {
                    self.questions.take_back(id.bytes());
                }
                Ok(())
            }
            MessageKind::Notification => {
                let mut hits = Vec::new();
                let told = terms::notification(self.sent(), &message, &mut hits);
                let Some(wait) = self.wait.clone() else { return Ok(()) };
                self.note(told.as_ref(), hits);
                match told {
                    Some(told) => self.tell(&wait, Said::News(told)).await,
                    None => Ok(()),
                }
            }
            // An answer to something that was not asked here (H069).
            MessageKind::Response | MessageKind::Error => Ok(()),
        }
    }

    /// Says something to the client that waits, which may read slowly; a cut-off is heard meanwhile.
    async fn tell(&self, wait: &mpsc::Sender<Said>, said: Said) -> Result<(), End> {
        let telling = self.pass().flight.unless_ended(wait.send(said));
        let told = match &self.first {
            Some(first) => first.flight.unless_ended(telling).await.flatten(),
            None => telling.await,
        };
        match told {
            None => Err(End::Silently(self.why_ended().await)),
            Some(Err(_)) => Err(End::Cancelled),
            Some(Ok(())) => Ok(()),
        }
    }

    fn note(&mut self, told: Option<&Bytes>, hits: Vec<Hit>) {
        if let Some(sent) = &mut self.sent {
            sent.recorded.tell(told, hits);
        }
    }

    /// The server asks. What may not be asked it is told at once.
    async fn question(&mut self, message: &Message) -> Result<(), End> {
        let Some(id) = message.id().map(|it| Bytes::copy_from_slice(it.bytes())) else {
            return Ok(());
        };
        if message.method() == "ping" {
            self.sent().reply(errors::result_body(&id, b"{}")).await;
            return Ok(());
        }
        let mut hits = Vec::new();
        let allowed = terms::after_rules(self.sent().recorded.permitted(), message, &mut hits);
        self.note(None, hits);
        let asked = match (&allowed, &self.sent().way.lease) {
            (Err(_), _) => Err((errors::INVALID_REQUEST, "what it asks may not be asked here")),
            (_, None) => Err((errors::METHOD_NOT_FOUND, "this client cannot be asked")),
            (Ok(message), Some(lease)) => lease
                .askable()
                .question(message.method(), message.params())
                .map_err(|it| (it.code, it.why)),
        };
        let now = self.proxy().clock.elapsed();
        let refused = match asked.map(|it| self.questions.ask(id.clone(), it, now)) {
            Ok(Ok(()) | Err(NotAsked::Twice)) => return Ok(()),
            Ok(Err(NotAsked::TooMany | NotAsked::Ended)) => {
                (errors::INTERNAL_ERROR, "too many questions wait for this client already")
            }
            Err(refused) => refused,
        };
        self.sent().reply(errors::error_body(Some(&id), refused.0, refused.1, None)).await;
        Ok(())
    }

    /// The client's wait ends with questions.
    async fn ask(&mut self, round: &Round) -> Result<(), End> {
        if self.proxy().parking.closing.is_cancelled() {
            // Nobody could come back.
            return Err(End::Aloud(Refusal::Stopping));
        }
        self.pass().clear().await.map_err(End::Silently)?;
        let sent = self.sent();
        let parts = questions(sent.recorded.permitted(), sent.recorded.call(), round);
        let flight = Arc::clone(&self.pass().flight);
        self.note(Some(&parts.concat().into()), Vec::new());
        let Some(wait) = self.wait.take() else { return Ok(()) };
        self.proxy().parking.leave();
        let told = self.tell(&wait, Said::Answer(StatusCode::OK, parts, flight)).await;
        if told.is_err() {
            self.proxy().parking.return_to();
            self.wait = Some(wait);
        }
        told
    }

    /// The client comes back.
    async fn back(&mut self, back: Return) -> Result<(), End> {
        let Return { permitted, round, wait } = back;
        let edited = permitted.splice.clone().finish().into_bytes();
        let edited = Message::parse(edited, Limits::default());
        let given = edited.as_ref().ok().and_then(|it| it.params()?.get("inputResponses"));
        let answer_to = |key: &str| given.and_then(|it| it.get(key)).and_then(legacy_answer);
        let is_same = is_same(self.pass(), &permitted.pass);
        let now = self.proxy().clock.elapsed();
        let retry = match is_same && edited.is_ok() {
            true => self.questions.retry(round, |key| answer_to(key).is_some(), now),
            false => Retry::Stale,
        };
        let answered = match retry {
            Retry::Go(answered) => answered,
            Retry::Again(round) => return self.ask_again(permitted, &round, &wait).await,
            Retry::Stale | Retry::Ended => {
                // A client that does not wait for that needs no word.
                wait.try_send(Said::InVain(permitted, Refusal::RequestState(STALE))).ok();
                return Ok(());
            }
        };
        let bodies: Vec<(Question, Bytes)> = answered
            .into_iter()
            .filter_map(|it| answer_to(&it.key).map(|answer| (it, answer)))
            .collect();
        let hits = permitted.hits.clone();
        self.replace_pass(permitted);
        self.proxy().parking.return_to();
        self.wait = Some(wait);
        self.last_news = now;
        if self.answer.is_some() {
            // The server has not waited for any of them.
            return self.settle_kept().await;
        }
        let handing = Handing::of(self.sent(), bodies, hits).map_err(End::Aloud)?;
        self.handing.get_mut().push(Box::pin(handing.run()));
        Ok(())
    }

    /// The retry stands for the call from now on; but its connection stays where it is.
    fn replace_pass(&mut self, mut retry: Box<crate::call::Permitted>) {
        let Some(sent) = &mut self.sent else { return };
        retry.asked.worker = Arc::clone(&sent.recorded.permitted().asked.worker);
        let before = sent.recorded.go_on_as(retry);
        self.first.get_or_insert(before.pass);
    }

    async fn ask_again(
        &self,
        permitted: Box<crate::call::Permitted>,
        round: &Round,
        wait: &mpsc::Sender<Said>,
    ) -> Result<(), End> {
        let said = match record::answered(&permitted.asked).await {
            Err(unrecorded) => Said::Refused(unrecorded),
            Ok(()) => {
                let parts = questions(&permitted, self.sent().recorded.call(), round);
                let flight = Arc::clone(&permitted.pass.flight);
                Said::Answer(StatusCode::OK, parts, flight)
            }
        };
        // Whether the client still waits makes no difference to the call.
        wait.try_send(said).ok();
        Ok(())
    }

    /// Tells the server of every question that is still open that nobody will answer it.
    async fn refuse_questions(&mut self, why: &str) {
        for question in self.questions.end() {
            let id = Some(&question.id[..]);
            self.sent().reply(errors::error_body(id, errors::INTERNAL_ERROR, why, None)).await;
        }
    }

    /// The server has answered the call, if it has, and its client waits.
    async fn settle_kept(&mut self) -> Result<(), End> {
        match self.answer.take() {
            Some(answer) => self.settle(answer).await,
            None => Ok(()),
        }
    }

    /// The server has answered the call, and its client waits.
    async fn settle(&mut self, answer: Message) -> Result<(), End> {
        self.refuse_questions("the call has been answered").await;
        if self.first.as_ref().is_some_and(|it| it.flight.is_ended()) {
            // It is heard next, and nothing is released.
            self.answer = Some(answer);
            return Ok(());
        }
        let flight = Arc::clone(&self.pass().flight);
        let Some(sent) = self.sent.take() else { return Err(End::Told) };
        let tasks = sent.recorded.permitted().asked.worker.held.clone();
        let (status, parts) = Lasting::new(&tasks, release::settled(sent, answer)).await;
        if let Some(wait) = self.wait.take() {
            let told = Said::Answer(status, parts, Arc::clone(&flight));
            // A client that has gone needs no answer.
            drop(flight.unless_ended(wait.send(told)).await);
        }
        Err(End::Told)
    }

    async fn end(mut self, end: End) {
        let was_unattended = self.wait.is_none() && !matches!(end, End::Told);
        let why = match end {
            End::Told => None,
            End::Cancelled => {
                self.refuse_questions("the client has gone").await;
                let Some(Sent { exchange, way, recorded, .. }) = self.sent.take() else { return };
                drop(exchange);
                cancel::give_up(recorded, Some(way), None).await;
                None
            }
            End::Aloud(refusal) => {
                self.refuse_questions(&refusal.to_string()).await;
                let Some(Sent { exchange, way, recorded, .. }) = self.sent.take() else { return };
                drop(exchange);
                Some(cancel::call_off(recorded, way, refusal).await)
            }
            End::Silently(refusal) => {
                self.questions.end();
                let Some(sent) = self.sent.take() else { return };
                let recorded = release::given_up(sent, &refusal);
                Some(release::refused(recorded, refusal).await.1)
            }
        };
        if let (Some(wait), Some(refusal)) = (self.wait.take(), why) {
            wait.try_send(Said::Refused(refusal)).ok();
        }
        super::turn_away(&mut self.inbox);
        if was_unattended {
            self.proxy().parking.return_to();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(Sent { exchange, way, recorded, .. }) = self.sent.take() else { return };
        if self.wait.is_none() {
            self.proxy().parking.return_to();
        }
        drop(exchange);
        drop(cancel::give_up(recorded, Some(way), None));
    }
}
