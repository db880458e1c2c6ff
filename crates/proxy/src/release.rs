//! From the upstream's answer to the client: rules, gate, durable outcome, release.
//!
//! An answer that comes alone goes back as JSON. When something else comes first, or nothing for a
//! while, the response becomes a stream of events that ends with the answer. What is released
//! before the answer is counted into the outcome, which is durable before the answer is released.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use inspect::Hit;
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::splice::Splice;
use mcp::sse;
use tokio::sync::mpsc;

use crate::answer;
use crate::body::{Body, Gone, Outlet};
use crate::cancel;
use crate::flight::Flight;
use crate::follow;
use crate::forward::Sent;
use crate::lasting::Lasting;
use crate::late;
use crate::link::{Again, Channel, Exchange, Heard};
use crate::parked::{self, Addressee, Said};
use crate::pending::{Pending, Whom};
use crate::record::{self, Outcome, Recorded};
use crate::refusal::{Refusal, UpstreamError};
use crate::replay::Origin;
use crate::step::{Step, classify, heard};
use crate::tasks;
use crate::tasks::tended::{self, Begun};
use crate::terms;

/// A sent call until its outcome is recorded. Dropped before that, it was given up by its client.
pub(crate) struct Turn {
    pub(crate) sent: Option<Sent>,
    pub(crate) again: Again,
    /// Questions of the upstream that the client has been asked.
    pub(crate) asked: Vec<u64>,
    pub(crate) last_news: Duration,
}

/// With what a response begins that becomes a stream.
enum First {
    Event(Bytes),
    Pause(Duration),
    /// With what the upstream wants to know before it answers.
    Questions(Message),
    /// It is one already.
    Nothing,
}

/// Answers a call that has been sent.
pub(crate) async fn release(sent: Sent) -> Response<Body> {
    let mut turn = Turn::of(sent);
    let first = loop {
        match turn.step().await {
            Step::Answer(answer) => {
                let flight = turn.flight();
                let (status, parts) = turn.settle(answer).await;
                return answer::json(status, Body::revocable(parts, vec![flight]));
            }
            Step::Broken(error) => return Box::pin(turn.fail(error)).await,
            Step::CutOff => return Box::pin(turn.cut_off()).await,
            Step::Cancelled(word) => {
                Box::pin(turn.give_up(word)).await;
                return answer::events(Body::empty());
            }
            Step::Questions(answer) => break First::Questions(answer),
            Step::Quiet => break First::Event(sse::KEEP_ALIVE),
            Step::Paused(pause) if turn.can_pause() => break First::Pause(pause),
            Step::Paused(_) => {}
            Step::Question(question) => match turn.park(question) {
                Ok((waiting, to)) => return Box::pin(parked::attend(waiting, to)).await,
                Err(question) => drop(Box::pin(turn.news(question)).await),
            },
            Step::News(message) => {
                if let Some(news) = Box::pin(turn.news(message)).await {
                    break First::Event(sse::event(&news));
                }
            }
        }
    };
    let asked = &turn.sent().recorded.permitted().asked;
    let (session, tasks) = (asked.session.clone(), asked.worker.held.clone());
    let write = |outlet| turn.stream(first, outlet);
    answer::events(Body::stream_in(session.as_ref(), &tasks, write))
}

/// Answers a call that has been sent, in a response that is a stream already.
pub(crate) async fn release_into(sent: Sent, outlet: Outlet) {
    Box::pin(Turn::of(sent).stream(First::Nothing, outlet)).await;
}

/// A call that was recorded and has got no answer.
pub(crate) async fn refuse(recorded: Recorded, refusal: Refusal) -> Response<Body> {
    let (recorded, refusal) = refused(recorded, refusal).await;
    answer::refusal(&refusal, recorded.permitted().asked.manner())
}

/// The same in a response that is a stream already, and ends with it.
pub(crate) async fn refuse_into(recorded: Recorded, refusal: Refusal, outlet: &Outlet) {
    let (recorded, refusal) = refused(recorded, refusal).await;
    let (_, body) = answer::refusal_parts(&refusal, recorded.permitted().asked.manner());
    // A client that is gone needs no last word.
    outlet.send(sse::event(&body)).await.ok();
}

/// Records it; what the client is then told.
pub(crate) fn refused(recorded: Recorded, refusal: Refusal) -> Lasting<(Recorded, Refusal)> {
    let worker = Arc::clone(&recorded.permitted().asked.worker);
    worker.proxy.metrics.refused(refusal.reason());
    Lasting::new(&worker.held, async move {
        let unrecorded = record::outcome(&recorded, &Outcome::refused(&refusal)).await.err();
        (recorded, unrecorded.unwrap_or(refusal))
    })
}

impl Turn {
    fn of(sent: Sent) -> Self {
        let permitted = sent.recorded.permitted();
        let last_news = permitted.asked.worker.proxy.clock.elapsed();
        Self { sent: Some(sent), again: Again::default(), asked: Vec::new(), last_news }
    }

    pub(crate) fn sent(&self) -> &Sent {
        self.sent.as_ref().expect("a turn has its call until it is settled")
    }

    pub(crate) fn sent_mut(&mut self) -> &mut Sent {
        self.sent.as_mut().expect("a turn has its call until it is settled")
    }

    pub(crate) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.sent().recorded.permitted().pass.flight)
    }

    async fn step(&mut self) -> Step {
        loop {
            match self.next().await {
                Step::Answer(answer) if follow::is_begun(self.sent(), &answer) => {
                    if let Err(error) = follow::begin(self.sent_mut(), &answer) {
                        return Step::Broken(error);
                    }
                }
                step => return step,
            }
        }
    }

    async fn next(&mut self) -> Step {
        let sent = self.sent.as_mut().expect("a turn has its call until it is settled");
        let permitted = sent.recorded.permitted();
        let flight = Arc::clone(&permitted.pass.flight);
        let options = &permitted.asked.worker.proxy.options;
        let silent = permitted.asked.worker.proxy.clock.elapsed().saturating_sub(self.last_news);
        let is_followed = matches!(sent.exchange, Exchange::Task(_));
        if options.silence <= silent && !is_followed {
            return Step::Broken(UpstreamError::Timeout(options.silence));
        }
        let who = (&permitted.asked.worker, &permitted.pass);
        let next = tokio::select! {
            biased;
            () = flight.ended() => return Step::CutOff,
            next = self.again.next(&mut sent.exchange, &sent.way, who) => next,
            text = heard(&sent.way) => return self.classify(text, StatusCode::OK),
            word = sent.ear.cancelled() => return Step::Cancelled(word),
            () = tokio::time::sleep(late::HEARTBEAT) => return Step::Quiet,
        };
        let status = sent.exchange.status();
        match next {
            Heard::Ended if status.is_success() => Step::Broken(UpstreamError::NoAnswer),
            Heard::Ended => Step::Broken(UpstreamError::Status(status.as_u16())),
            Heard::Broken(error) => Step::Broken(error),
            Heard::Paused(pause) => Step::Paused(pause),
            Heard::Said(text) => self.classify(text, status),
        }
    }

    fn classify(&mut self, text: Bytes, status: StatusCode) -> Step {
        let sent = self.sent();
        self.last_news = sent.recorded.permitted().asked.worker.proxy.clock.elapsed();
        classify(self.sent(), text, status)
    }

    /// Lets a task hold the call, whose client is going to be asked; how to wait for that. Gives the
    /// question back where no more calls may be held.
    #[expect(clippy::result_large_err, reason = "the question that is given back is a message")]
    fn park(&mut self, question: Message) -> Result<(mpsc::Receiver<Said>, Addressee), Message> {
        let sent = self.sent.take().expect("a turn has its call until it is settled");
        let to = Addressee::of(&sent.recorded.permitted().asked);
        let again = std::mem::take(&mut self.again);
        match parked::begin(sent, again, question) {
            Ok(said) => Ok((said, to)),
            Err(back) => {
                let (sent, again, question) = *back;
                (self.sent, self.again) = (Some(sent), again);
                Err(question)
            }
        }
    }

    async fn stream(mut self, first: First, outlet: Outlet) {
        let (flight, pass) = (self.flight(), self.sent().recorded.permitted().pass.twin());
        let outlet = outlet.under(|| self.origin());
        let mut event = match first {
            First::Event(event) => Some(event),
            First::Nothing => None,
            First::Pause(pause) => {
                outlet.pause(pause);
                None
            }
            First::Questions(answer) if Box::pin(self.go_on(&answer, &outlet)).await => None,
            First::Questions(_) => return,
        };
        loop {
            // A cut-off is heard while the client takes nothing, and is the next step then.
            if let Some(event) = event {
                let may_go_on = pass.still().await.is_ok();
                if !may_go_on && !flight.is_ended() {
                    return;
                }
                if may_go_on && let Some(Err(Gone)) = flight.unless_ended(outlet.send(event)).await
                {
                    return;
                }
            }
            let step = tokio::select! {
                biased;
                step = self.step() => step,
                () = outlet.abandoned() => return,
            };
            event = match step {
                Step::Quiet => Some(sse::KEEP_ALIVE),
                Step::Paused(pause) => {
                    outlet.pause(pause);
                    None
                }
                Step::News(message) => Box::pin(self.news(message)).await.map(|it| sse::event(&it)),
                Step::Questions(answer) => match Box::pin(self.go_on(&answer, &outlet)).await {
                    true => None,
                    false => return,
                },
                Step::Question(question) => match self.park(question) {
                    Ok((waiting, to)) => {
                        return Box::pin(parked::attend_into(waiting, to, &outlet)).await;
                    }
                    Err(question) => Box::pin(self.news(question)).await.map(|it| sse::event(&it)),
                },
                Step::Answer(answer) => {
                    self.complete(&answer, &outlet).await;
                    let (_, parts) = self.settle(answer).await;
                    // A client that is gone, or cut off, gets nothing.
                    outlet.send_parts(answer::event(parts), &flight).await.ok();
                    return;
                }
                Step::Broken(error) => {
                    let refusal = self.sent().way.link.refuse(error);
                    Box::pin(self.end_stream(refusal, &outlet)).await;
                    return;
                }
                Step::CutOff => {
                    let refusal = self.sent().recorded.permitted().pass.why_ended().await;
                    Box::pin(self.end_stream(refusal, &outlet)).await;
                    return;
                }
                Step::Cancelled(word) => {
                    Box::pin(self.give_up(word)).await;
                    return;
                }
            };
        }
    }

    pub(crate) async fn end_stream(&mut self, refusal: Refusal, outlet: &Outlet) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        refuse_into(given_up(sent, &refusal), refusal, &outlet.under_none()).await;
    }

    /// Whether the client knows that it may be sent away and come back.
    fn can_pause(&self) -> bool {
        let session = &self.sent().recorded.permitted().asked.session;
        session.as_ref().is_some_and(|it| it.replay.polls)
    }

    /// To whom what is released belongs, should its client come back for it.
    fn origin(&self) -> Origin {
        let permitted = self.sent().recorded.permitted();
        let (_, lost) = answer::refusal_parts(&Refusal::NotKept, permitted.asked.manner());
        let pass = Arc::new(permitted.pass.twin());
        Origin { pass, instead: sse::event(&lost) }
    }

    /// What else an upstream says while a call is under way, as the client is told it.
    async fn news(&mut self, message: Message) -> Option<Bytes> {
        let mut hits = Vec::new();
        let told = match message.kind() {
            MessageKind::Notification => terms::notification(self.sent(), &message, &mut hits),
            MessageKind::Request => Box::pin(self.question(&message, &mut hits)).await,
            // An answer to something that was not asked here (H069).
            MessageKind::Response | MessageKind::Error => None,
        };
        if let Some(sent) = &mut self.sent {
            sent.recorded.tell(told.as_ref(), hits);
        }
        told
    }

    /// A question of the upstream goes to the client under an id of ours, if it can be asked.
    async fn question(&mut self, message: &Message, hits: &mut Vec<Hit>) -> Option<Bytes> {
        let sent = self.sent();
        let asked = &sent.recorded.permitted().asked;
        let Channel::Legacy(upstream) = &sent.way.channel else {
            // The modern era has no such questions; it is the upstream's mistake (H061).
            tracing::warn!(server.name = sent.way.link.name(), "A modern server sent a request");
            return None;
        };
        let id = message.id()?;
        if message.method() == "ping" {
            self.sent().reply(errors::result_body(id.bytes(), b"{}")).await;
            return None;
        }
        let permitted = sent.recorded.permitted();
        let assignment = permitted.pass.assignment()?;
        let Ok(allowed) = terms::after_rules(permitted, message, hits) else {
            let text = "what it asks may not be asked here";
            let body = errors::error_body(Some(id.bytes()), errors::INVALID_REQUEST, text, None);
            Box::pin(self.sent().reply(body)).await;
            return None;
        };
        let pending = Pending {
            assignment: Arc::clone(assignment),
            tool: permitted.pass.subject.tool.clone(),
            whom: Whom::Upstream {
                upstream: Arc::clone(upstream),
                id: Bytes::copy_from_slice(id.bytes()),
            },
        };
        let Some(ours) = asked.session.as_ref().and_then(|it| it.pending.ask(pending)) else {
            let text = "this client cannot be asked";
            let body = errors::error_body(Some(id.bytes()), errors::METHOD_NOT_FOUND, text, None);
            Box::pin(self.sent().reply(body)).await;
            return None;
        };
        let mut splice = Splice::new(allowed.body().clone());
        splice.replace_value(allowed.id()?, ours.to_string());
        self.asked.push(ours);
        Some(splice.finish().into_bytes())
    }

    /// The answer as it is released, and its HTTP status.
    async fn settle(&mut self, message: Message) -> (StatusCode, Vec<Bytes>) {
        let Some(sent) = self.sent.take() else {
            return (StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
        };
        self.forget(&sent);
        let tasks = sent.recorded.permitted().asked.worker.held.clone();
        Lasting::new(&tasks, settled(sent, message)).await
    }

    async fn fail(&mut self, error: UpstreamError) -> Response<Body> {
        let Some(sent) = self.sent.take() else { return answer::accepted() };
        self.forget(&sent);
        let refusal = sent.way.link.refuse(error);
        refuse(given_up(sent, &refusal), refusal).await
    }

    async fn cut_off(&mut self) -> Response<Body> {
        let refusal = self.sent().recorded.permitted().pass.why_ended().await;
        let Some(sent) = self.sent.take() else { return answer::accepted() };
        self.forget(&sent);
        drop(sent.exchange);
        refuse(sent.recorded, refusal).await
    }

    /// The client has said that it wants no answer any more.
    pub(crate) async fn give_up(&mut self, word: Message) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        let (exchange, way, recorded) = sent.apart();
        drop(exchange);
        cancel::give_up(recorded, way, Some(word)).await;
    }

    fn forget(&self, sent: &Sent) {
        let asked = &sent.recorded.permitted().asked;
        if let Some(session) = &asked.session {
            session.pending.forget(&self.asked);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        let (exchange, way, recorded) = sent.apart();
        drop(exchange);
        drop(cancel::give_up(recorded, way, None));
    }
}

/// A call that gets no answer, without what it has at its server.
pub(crate) fn given_up(sent: Sent, refusal: &Refusal) -> Recorded {
    let Sent { exchange, way, recorded, .. } = sent;
    drop(exchange);
    let is_over =
        |it: &Refusal| matches!(it, Refusal::Upstream { source: UpstreamError::TaskOver(_), .. });
    if !is_over(refusal) {
        cancel::leave_task(&recorded, way);
    }
    recorded
}

/// Rules, gate and durable outcome of an answer: what is released, and its HTTP status.
pub(crate) async fn settled(mut sent: Sent, message: Message) -> (StatusCode, Vec<Bytes>) {
    // Whose task is to be tended, keeps its session for that.
    let keeps = tended::is_begun(sent.recorded.permitted(), &message);
    if let Some(lease) = sent.way.lease.as_mut().filter(|_| !keeps) {
        lease.settle();
    }
    let permitted = sent.recorded.permitted();
    let (asked, pass) = (&permitted.asked, &permitted.pass);
    // Nobody will ask about it who is not told of it.
    sent.way.task = follow::begun_by(permitted, &message).or(sent.way.task.take());
    sent.way.link.succeeded(asked.worker.proxy.clock.elapsed());
    let prepared = match terms::answer(&sent, &message) {
        Ok(prepared) => pass.clear().await.map(|_| prepared),
        Err(refusal) => Err(refusal),
    };
    let prepared = prepared.and_then(|it| tasks::recast::held(permitted, &message, it));
    let mut task = None;
    let prepared = prepared.and_then(|prepared| {
        task = Begun::of(&sent.recorded, &mut sent.way, &message)?;
        Ok(prepared)
    });
    let mut begun = None;
    let (outcome, told) = match prepared {
        Ok((status, parts, hits)) => {
            begun = tasks::recast::begun(permitted, &parts);
            (Outcome::answered(&message, &parts, hits), Ok((status, parts)))
        }
        Err(refusal) => (Outcome::refused(&refusal), Err(refusal)),
    };
    let told = match record::outcome(&sent.recorded, &outcome).await {
        Err(unrecorded) => Err(unrecorded),
        // What was cut off while this was being recorded is not released either.
        Ok(()) => match told {
            Ok(told) => pass.still().await.map(|()| told),
            Err(refusal) => Err(refusal),
        },
    };
    let told = told.map(|(status, parts)| {
        let id = task.as_ref().and_then(|_| tended::id_of(&parts));
        (status, parts, task.zip(id))
    });
    if let Ok((status, parts, Some((task, id)))) = told {
        task.tend(sent, &id);
        return (status, parts);
    }
    let told = told.map(|(status, parts, _)| (status, parts));
    told.unwrap_or_else(|refusal| {
        if let Some(id) = begun {
            asked.worker.proxy.tasks.forget(asked.caller.app, &id);
        }
        asked.worker.proxy.metrics.refused(refusal.reason());
        let (status, body) = answer::refusal_parts(&refusal, asked.manner());
        cancel::leave_task(&sent.recorded, sent.way);
        (status, vec![body])
    })
}
