//! Calls of legacy clients to modern servers that ask back.
//!
//! Such a server ends a call with what it wants to know and is called again with the answers; its
//! client is asked by requests of ours on the stream of the call, which for it goes on all the
//! while. What a tool asks and what it is answered is under the rules like what it says and is
//! given. Each answer is recorded for itself before it leaves, and leaves through the last gate.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use inspect::Hit;
use mcp::bridge::{self, Due, Kind, Question, Round, RoundLimits, Rounds, RoundsError};
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::{Limits, Raw, quote};
use mcp::methods;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;
use tokio::sync::mpsc;

use crate::body::Outlet;
use crate::forward::{self, Sent};
use crate::late::{self, HEARTBEAT};
use crate::link::{Again, Exchange};
use crate::pending::{Pending, Whom};
use crate::record::{Aside, Outcome};
use crate::refusal::{Refusal, Unanswered, UpstreamError};
use crate::release::Turn;
use crate::session::{self, Session};
use crate::tasks;
use crate::terms;

/// How far a call has come whose server has asked back.
pub(crate) struct Asking {
    rounds: Rounds,
    /// The last one; its answers leave with the next attempt.
    round: Round,
    /// What is recorded of answers that have not left yet.
    asides: Vec<Aside>,
    /// Pages that the user has agreed to open, by our ids.
    pages: Vec<String>,
}

/// Where the client's answer to one question of a round goes.
#[derive(Clone)]
pub(crate) struct Slot {
    index: usize,
    give: mpsc::Sender<(usize, Given)>,
}

/// What a client has answered.
pub(crate) enum Given {
    /// A result, as the rules have left it, and its record.
    Result(Bytes, Aside),
    /// Nothing that a server could be given.
    Nothing(Refusal),
}

impl Given {
    fn into_aside(self) -> Option<Aside> {
        match self {
            Self::Result(_, aside) => Some(aside),
            Self::Nothing(_) => None,
        }
    }
}

/// What has come of waiting for the client.
enum Heard {
    Answers,
    Refused(Refusal),
    /// The client has cancelled the call, in these words.
    Cancelled(Message),
    Gone,
}

/// A question, and the request that the client gets, but for its id.
struct Prepared {
    message: Message,
    hits: Vec<Hit>,
    /// Our id of the page that it is about, where it is about one.
    page: Option<String>,
}

/// Whether an answer is none yet, and its client cannot be told so.
pub(crate) fn is_asking(sent: &Sent, answer: &Message) -> bool {
    let permitted = sent.recorded.permitted();
    (permitted.spoken, permitted.asked.era()) == (Era::Modern, Era::Legacy)
        && answer.result().is_some_and(bridge::is_asking)
}

impl Slot {
    /// A call that has ended takes no answer.
    pub(crate) fn give(self, given: Given) {
        // There is room for one answer to each question.
        self.give.try_send((self.index, given)).ok();
    }
}

impl Asking {
    /// Opens the round that an answer asks for.
    fn open(sent: &mut Sent, answer: &Message) -> Result<Box<Self>, Refusal> {
        let permitted = sent.recorded.permitted();
        let (asked, link) = (&permitted.asked, &sent.way.link);
        let malformed = |text: String| link.refuse(UpstreamError::Malformed(text));
        let may_ask = methods::describe(asked.message.method()).is_some_and(|it| it.may_ask);
        let is_task = matches!(sent.exchange, Exchange::Task(_));
        let result = answer.result().filter(|_| may_ask || is_task);
        let result = result.ok_or_else(|| malformed("it may not ask anything here".to_owned()))?;
        let proxy = &asked.worker.proxy;
        let now = proxy.clock.elapsed();
        link.succeeded(now);
        let patience = proxy.options.answers;
        let before = sent.asking.take();
        let (mut rounds, asides, pages) = match before.map(|it| *it) {
            Some(Self { rounds, asides, pages, .. }) => (rounds, asides, pages),
            None => {
                let limits = RoundLimits { patience, ..RoundLimits::default() };
                (Rounds::new(limits), Vec::new(), Vec::new())
            }
        };
        let round = rounds.open(result, now).map_err(|error| match error {
            RoundsError::TooManyRounds(most) => {
                Refusal::unanswered(link.name(), Unanswered::TooManyRounds(most))
            }
            error => malformed(error.to_string()),
        })?;
        let abilities = asked.session.as_ref().map(|it| it.abilities).unwrap_or_default();
        let missing = round.questions().iter().find_map(|it| abilities.lacks(it.kind));
        if let Some(missing) = missing {
            let why = Unanswered::Undeclared(missing.to_owned());
            return Err(Refusal::unanswered(link.name(), why));
        }
        Ok(Box::new(Self { rounds, round, asides, pages }))
    }

    /// What the next attempt is made of.
    pub(crate) fn round(&self) -> &Round {
        &self.round
    }

    /// Records how those answers have ended that were to leave.
    pub(crate) async fn close(&mut self, outcome: &Outcome) -> Result<(), Refusal> {
        for aside in self.asides.drain(..) {
            aside.end(outcome).await?;
        }
        Ok(())
    }
}

impl Turn {
    /// Asks the client what the server wants to know, and then calls the server again; whether the
    /// call goes on. Where it does not, it has been answered.
    pub(crate) async fn go_on(&mut self, answer: &Message, outlet: &Outlet) -> bool {
        let refusal = match Box::pin(self.ask(answer, outlet)).await {
            Heard::Answers => return Box::pin(self.attempt(outlet)).await,
            Heard::Refused(refusal) => refusal,
            Heard::Cancelled(word) => {
                Box::pin(self.give_up(word)).await;
                return false;
            }
            Heard::Gone => return false,
        };
        if let Some(asking) = &mut self.sent_mut().asking
            && let Err(error) = asking.close(&Outcome::refused(&refusal)).await
        {
            tracing::warn!(%error, "Answers that did not leave could not be recorded as such");
        }
        self.withdraw(outlet);
        Box::pin(self.end_stream(refusal, outlet)).await;
        false
    }

    /// Opens the round that an answer asks for, and waits until it is complete.
    async fn ask(&mut self, answer: &Message, outlet: &Outlet) -> Heard {
        let sent = self.sent_mut();
        let mut asking = match Asking::open(sent, answer) {
            Ok(asking) => asking,
            Err(refusal) => return Heard::Refused(refusal),
        };
        // Its connection is of no use to a client that takes its time.
        if !matches!(sent.exchange, Exchange::Task(_)) {
            sent.exchange = Exchange::Done;
        }
        // What is asked is as much of an answer as one that is released.
        if let Err(refusal) = sent.recorded.permitted().pass.clear().await {
            return Heard::Refused(refusal);
        }
        let prepared: Result<Vec<_>, _> =
            asking.round.questions().iter().map(|it| self.prepare(it)).collect();
        let (prepared, pages) = match prepared {
            Ok(prepared) => {
                let pages = prepared.iter().map(|it| it.page.clone()).collect::<Vec<_>>();
                (prepared, pages)
            }
            Err(refusal) => return Heard::Refused(refusal),
        };
        let patience = self.sent().recorded.permitted().asked.worker.proxy.options.answers;
        let putting = tokio::time::timeout(patience, Box::pin(self.put(prepared, outlet)));
        let mut inbox = match putting.await {
            Ok(Ok(inbox)) => inbox,
            Ok(Err(ended)) => return ended,
            // It does not even take what it is asked.
            Err(_) => return self.unanswered(Unanswered::Late(patience)),
        };
        let heard = Box::pin(self.hear(&mut asking, (&mut inbox, &pages), outlet)).await;
        // What was answered at the last moment ends as the call does.
        inbox.close();
        while let Ok((_, given)) = inbox.try_recv() {
            asking.asides.extend(given.into_aside());
        }
        self.sent_mut().asking = Some(asking);
        heard
    }

    /// What the client gets of a question, in its terms.
    fn prepare(&mut self, question: &Question) -> Result<Prepared, Refusal> {
        let sent = self.sent_mut();
        let permitted = sent.recorded.permitted();
        let asked = &permitted.asked;
        let body = errors::request_body(b"0", question.kind.method(), Some(&question.params));
        let message = Message::parse(body, Limits::default())?;
        let mut hits = Vec::new();
        let message = match terms::after_rules(permitted, &message, &mut hits) {
            Ok(message) => message,
            Err(refusal) => {
                sent.recorded.tell(None, hits);
                return Err(refusal);
            }
        };
        let page = (question.kind == Kind::Url).then(session::random_id);
        let mut splice = Splice::new(message.body().clone());
        if let Some(params) = message.params() {
            question.to_client(&mut splice, params, asked.revision, page.as_deref());
            tasks::recast::relate(permitted, &mut splice, params);
        }
        let message = Message::parse(splice.finish().into_bytes(), Limits::default())?;
        Ok(Prepared { message, hits, page })
    }

    /// Puts the questions to the client, all at once.
    async fn put(
        &mut self,
        prepared: Vec<Prepared>,
        outlet: &Outlet,
    ) -> Result<mpsc::Receiver<(usize, Given)>, Heard> {
        let (give, inbox) = mpsc::channel(prepared.len().max(1));
        for (index, Prepared { message, hits, .. }) in prepared.into_iter().enumerate() {
            let slot = Slot { index, give: give.clone() };
            let event = self.event(&message, slot).map_err(Heard::Refused)?;
            let sent = self.sent_mut();
            sent.recorded.tell(Some(&event), hits);
            self.say(&event, outlet).await?;
        }
        Ok(inbox)
    }

    /// A question under the id that the client will answer it by.
    fn event(&mut self, message: &Message, slot: Slot) -> Result<Bytes, Refusal> {
        let sent = self.sent();
        let permitted = sent.recorded.permitted();
        let refuse = |why| Refusal::unanswered(sent.way.link.name(), why);
        let session = permitted.asked.session.as_ref();
        let session = session.ok_or_else(|| refuse(Unanswered::SessionEnded))?;
        let assignment = permitted.pass.assignment().ok_or(Refusal::NoGateway)?;
        let tool = permitted.pass.subject.tool.clone();
        let pending = Pending { assignment: Arc::clone(assignment), tool, whom: Whom::Call(slot) };
        let ours = session.pending.ask(pending).ok_or_else(|| refuse(Unanswered::NoMore))?;
        let mut splice = Splice::new(message.body().clone());
        if let Some(id) = message.id() {
            splice.replace_value(id, ours.to_string());
        }
        self.asked.push(ours);
        Ok(splice.finish().into_bytes())
    }

    /// Sends an event, unless the call has been cut off.
    async fn say(&self, message: &Bytes, outlet: &Outlet) -> Result<(), Heard> {
        let flight = self.flight();
        match flight.unless_ended(outlet.send(sse::event(message))).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Heard::Gone),
            None => Err(Heard::Refused(self.why_ended().await)),
        }
    }

    /// Waits until the round is complete, or has waited.
    async fn hear(
        &mut self,
        asking: &mut Asking,
        (inbox, pages): (&mut mpsc::Receiver<(usize, Given)>, &[Option<String>]),
        outlet: &Outlet,
    ) -> Heard {
        let flight = self.flight();
        loop {
            let sent = self.sent_mut();
            let proxy = Arc::clone(&sent.recorded.permitted().asked.worker.proxy);
            let (left, is_asked) = match asking.round.due(proxy.clock.elapsed()) {
                Due::Attempt => return Heard::Answers,
                Due::Answers(left) => (left, true),
                Due::Pause(left) => (left, false),
                Due::Late => return self.unanswered(Unanswered::Late(proxy.options.answers)),
            };
            let given = tokio::select! {
                biased;
                () = flight.ended() => return Heard::Refused(self.why_ended().await),
                word = sent.ear.cancelled() => return Heard::Cancelled(word),
                () = outlet.abandoned() => return Heard::Gone,
                given = inbox.recv(), if is_asked => given,
                () = tokio::time::sleep(left.min(HEARTBEAT)) => {
                    // One that does not fit tells nothing new to a client that reads nothing.
                    outlet.send(sse::KEEP_ALIVE).now_or_never();
                    continue;
                }
            };
            match given {
                None => return self.unanswered(Unanswered::SessionEnded),
                Some((_, Given::Nothing(refusal))) => return Heard::Refused(refusal),
                Some((index, Given::Result(result, aside))) => {
                    asking.asides.push(aside);
                    if let Err(why) = self.take(asking, (index, &result), pages) {
                        return self.unanswered(why);
                    }
                }
            }
        }
    }

    /// Takes one answer.
    fn take(
        &self,
        asking: &mut Asking,
        (index, result): (usize, &Bytes),
        pages: &[Option<String>],
    ) -> Result<(), Unanswered> {
        let revision = self.sent().recorded.permitted().asked.revision;
        let question = asking.round.questions().get(index).ok_or(Unanswered::NoResult)?;
        let answer = question.from_client(result, revision).ok_or(Unanswered::NoResult)?;
        let action = Raw::parse(&answer, Limits::default()).ok().and_then(|it| it.get("action"));
        let is_accepted = action.and_then(Raw::str).as_deref() == Some("accept");
        let page = pages.get(index).cloned().flatten().filter(|_| is_accepted);
        if !asking.round.answer(index, answer) {
            return Err(Unanswered::TooLong);
        }
        asking.pages.extend(page);
        Ok(())
    }

    /// Calls the server again; whether it begins to answer.
    async fn attempt(&mut self, outlet: &Outlet) -> bool {
        self.asked.clear();
        self.again = Again::default();
        let Some(sent) = self.sent.take() else { return false };
        let proxy = Arc::clone(&sent.recorded.permitted().asked.worker.proxy);
        self.sent = late::until_sent(Box::pin(forward::again(sent)), outlet).await;
        self.last_news = proxy.clock.elapsed();
        self.sent.is_some()
    }

    /// Tells the client that nobody waits any more for what it has not answered.
    fn withdraw(&mut self, outlet: &Outlet) {
        let session = self.sent().recorded.permitted().asked.session.clone();
        let open =
            session.map(|it: Arc<Session>| it.pending.forget(&self.asked)).unwrap_or_default();
        for id in open {
            let params = format!(r#"{{"requestId":{id},"reason":"the call has ended"}}"#);
            let method = "notifications/cancelled";
            let told = errors::notification_body(method, Some(params.as_bytes()));
            // A client that takes nothing must not keep a call that has ended.
            let taken = outlet.under_none().send(sse::event(&told)).now_or_never();
            if !matches!(taken, Some(Ok(()))) {
                return;
            }
            self.sent_mut().recorded.tell(Some(&told), Vec::new());
        }
    }

    /// Tells the client that the server is done with the pages that the user was to open, when the
    /// call has succeeded. The modern era has no such word; that the server answers says it.
    pub(crate) async fn complete(&mut self, answer: &Message, outlet: &Outlet) {
        let failed = |it: Raw<'_>| it.get("isError").and_then(Raw::bool) == Some(true);
        if answer.result().is_none_or(failed) {
            return;
        }
        let pages = self.sent_mut().asking.as_mut().map(|it| std::mem::take(&mut it.pages));
        for page in pages.unwrap_or_default() {
            let params = format!(r#"{{"elicitationId":{}}}"#, quote(&page));
            let method = "notifications/elicitation/complete";
            let told = errors::notification_body(method, Some(params.as_bytes()));
            self.sent_mut().recorded.tell(Some(&told), Vec::new());
            if self.say(&told, outlet).await.is_err() {
                return;
            }
        }
    }

    fn unanswered(&self, why: Unanswered) -> Heard {
        Heard::Refused(Refusal::unanswered(self.sent().way.link.name(), why))
    }

    async fn why_ended(&self) -> Refusal {
        self.sent().recorded.permitted().pass.why_ended().await
    }
}
