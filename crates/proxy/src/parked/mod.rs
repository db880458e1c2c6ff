//! Calls of modern clients that legacy servers hold while they wait for answers.
//!
//! A modern server would answer with its questions and forget the call. A legacy one goes on holding
//! it, so somebody must hold it here: a task on the thread whose connection the call has, which has
//! everything that the call had before, its flight and its record. The client gets the questions and
//! a sealed state; with that it comes back, over whatever connection, is authorized anew, and waits
//! for what comes next.
//!
//! - [`find`] says whether a request is such a return, and checks its state against it
//! - [`begin`] lets a task hold a call; [`held`] is that task; it ends with the call
//! - [`attend`] is how a client waits for it
//!
//! Each of these calls ends: with its answer, with its client, a cut-off, the end of patience or of
//! the gateway. Then its server is told, and its outcome recorded.

mod answers;
mod attend;
mod held;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::{AppId, UserId};
use http::Response;
use mcp::bridge::parked::{Limits, Round};
use mcp::bridge::state::{Bound, Kind, Misfit, State, States, digest_params, input_required};
use mcp::envelope::Message;
use mcp::errors::URL_ELICITATION_REQUIRED;
use mcp::json::Raw;
use mcp::revision::Era;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use answers::hand;
pub(crate) use attend::{Addressee, attend, attend_into};
pub(crate) use held::begin;

use crate::answer;
use crate::authorize::Pass;
use crate::body::Body;
use crate::call::{Asked, Permitted};
use crate::forward::Sent;
use crate::known::Known;
use crate::link::our_info;
use crate::refusal::Refusal;
use crate::seats::{Seat, Seats};
use crate::serve::Options;

/// All calls that are held at this node.
pub(crate) struct Parking {
    /// By their numbers in the record.
    calls: Mutex<HashMap<Uuid, mpsc::Sender<Return>>>,
    seats: Arc<Seats>,
    node: Uuid,
    states: States,
    answering: Duration,
    /// How long a call that has become a task may take from then on.
    longest_task: Duration,
    closing: CancellationToken,
    /// How many of them nobody waits for at the moment.
    unattended: AtomicUsize,
    attended: Notify,
}

/// A client that comes back.
struct Return {
    permitted: Box<Permitted>,
    round: u32,
    wait: mpsc::Sender<Said>,
}

/// What a client that waits is told.
pub(crate) enum Said {
    /// Something before the end.
    News(Bytes),
    /// The end of its wait: the answer, or questions.
    Answer(http::StatusCode, Vec<Bytes>, Arc<crate::flight::Flight>),
    /// The end of the call. It has been recorded.
    Refused(Refusal),
    /// It has come back in vain, which is still to be recorded.
    InVain(Box<Permitted>, Refusal),
}

/// What a request is, as far as its state tells.
pub(crate) enum Comeback {
    New(Box<Permitted>),
    Answers(Box<Permitted>, Box<State>),
    Wrong(Box<Asked>, Refusal),
}

/// A call's place among those that are held.
struct Ticket {
    proxy: Arc<crate::serve::Proxy>,
    call: Uuid,
    _seat: Seat,
}

/// How many calls of one app may wait for answers at a time: each holds a session and, over HTTP, a
/// connection or two.
const PER_APP: usize = 64;

/// How often one call may be sent again since its client has opened URLs.
const REPLAYS: u32 = 8;

/// How long calls under way may take to end when the gateway does.
const DRAIN: Duration = Duration::from_secs(5);

const FOREIGN: &str =
    "this request state does not belong to this call here; send the call again without it";
const EXPIRED: &str = "this request state has expired; send the call again without it";
const GONE: &str =
    "the call that this request state belongs to has ended; send it again without the state";
const STALE: &str = "the questions that this request state belongs to have been answered already";

impl Parking {
    pub(crate) fn new(node: Uuid, options: &Options) -> Self {
        Self {
            calls: Mutex::default(),
            seats: Seats::new(PER_APP, options.most_held_calls),
            node,
            states: States::new(options.sealing_key),
            answering: options.answers,
            longest_task: options.longest_task,
            closing: CancellationToken::new(),
            unattended: AtomicUsize::new(0),
            attended: Notify::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Waits until the gateway stops.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Ends those that nobody waits for. The others end with the requests that wait for them.
    pub(crate) async fn drain(&self) {
        self.closing.cancel();
        let all = async {
            loop {
                let attended = self.attended.notified();
                if self.unattended.load(Ordering::SeqCst) == 0 {
                    return;
                }
                attended.await;
            }
        };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!(left = self.len(), "Calls that wait for their clients did not end");
        }
    }

    fn limits(&self) -> Limits {
        let life = Duration::from_secs(3_600).max(self.answering.saturating_mul(2));
        Limits {
            patience: self.answering,
            // Long enough for a server that asks several things at once.
            gather: Duration::from_millis(10),
            questions: 16,
            bytes: 1 << 20,
            rounds: 64,
            // What is asked before the task has begun takes its time, too.
            life: life.max(self.longest_task.saturating_add(self.answering)),
        }
    }

    /// What this node is called in states: where it can be reached stands behind its name.
    fn node(&self, at: Option<SocketAddr>) -> String {
        at.map_or_else(|| self.node.to_string(), |at| format!("{}@{at}", self.node))
    }

    fn is_node(&self, named: &str) -> bool {
        let name = named.split_once('@').map_or(named, |it| it.0);
        name == self.node.to_string()
    }

    fn leave(&self) {
        self.unattended.fetch_add(1, Ordering::SeqCst);
    }

    fn return_to(&self) {
        self.unattended.fetch_sub(1, Ordering::SeqCst);
        self.attended.notify_waiters();
    }
}

impl Ticket {
    /// Nothing where no more calls may be held.
    fn of(sent: &Sent) -> Option<(Self, mpsc::Receiver<Return>)> {
        let proxy = &sent.recorded.permitted().asked.worker.proxy;
        let parking = &proxy.parking;
        if parking.closing.is_cancelled() {
            return None;
        }
        let seat = parking.seats.take(sent.recorded.permitted().pass.subject.app)?;
        let (sender, inbox) = mpsc::channel(4);
        let call = sent.recorded.call();
        parking.calls.lock().insert(call, sender);
        Some((Self { proxy: Arc::clone(proxy), call, _seat: seat }, inbox))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.proxy.parking.calls.lock().remove(&self.call);
    }
}

/// Reads the state that a request brings back, and checks it against everything in it.
pub(crate) fn find(mut permitted: Box<Permitted>) -> Comeback {
    let asked = &permitted.asked;
    let state = asked.message.params().and_then(|it| it.get("requestState"));
    let Some(state) = state.filter(|_| asked.may_be_asked()) else {
        return Comeback::New(permitted);
    };
    let parking = &asked.worker.proxy.parking;
    let now = asked.worker.proxy.clock.now().timestamp_millis();
    let text = state.str().unwrap_or_default();
    let opened = parking.states.open(&text, &bound(asked, &permitted.pass), now);
    let wrong = match opened {
        // A modern server's own state is none of our business; ours is none of its.
        Err(Misfit::Foreign) if permitted.spoken == Era::Modern => return Comeback::New(permitted),
        Err(Misfit::Foreign) => FOREIGN,
        Err(Misfit::Expired) => EXPIRED,
        Ok(state) if state.kind == Kind::Task && permitted.spoken == Era::Modern => {
            permitted.replays = state.round;
            permitted.resumed = Some(state.call.into());
            return Comeback::New(permitted);
        }
        Ok(_) if permitted.spoken == Era::Modern => GONE,
        Ok(state) if state.kind == Kind::Replay => {
            permitted.replays = state.round;
            return Comeback::New(permitted);
        }
        Ok(state) if !parking.is_node(&state.node) => GONE,
        Ok(state) => return Comeback::Answers(permitted, Box::new(state)),
    };
    Comeback::Wrong(Box::new(permitted.asked), Refusal::RequestState(wrong))
}

/// Where the call is held that a state goes on with, as far as others can reach it there.
pub(crate) fn held_at(known: &Known, parking: &Parking, text: &str) -> Option<SocketAddr> {
    let user = known.place.connection(&known.caller).ok()?.user;
    let (workspace, principal) = (&known.caller.workspace, principal(known.caller.app, user));
    let node = parking.states.node_of(text, (&workspace.id.0.to_string(), &principal))?;
    node.split_once('@')?.1.parse().ok()
}

fn principal(app: AppId, user: UserId) -> String {
    format!("{}/{}", app.0, user.0)
}

/// Whether a request can reach nothing but a call that is held here.
pub(crate) fn is_return(asked: &Asked, pass: &Pass) -> bool {
    let state = asked.message.params().and_then(|it| it.get("requestState"));
    let Some(state) = state.filter(|_| asked.may_be_asked()) else { return false };
    let proxy = &asked.worker.proxy;
    let now = proxy.clock.now().timestamp_millis();
    let text = state.str().unwrap_or_default();
    let opened = proxy.parking.states.open(&text, &bound(asked, pass), now);
    // The state of a task goes to its server as often as it is sent, so it is good for one return.
    let held = opened.ok().filter(|it| it.kind == Kind::Parked);
    let held = held.and_then(|it| Uuid::parse_str(&it.call).ok());
    held.is_some_and(|it| proxy.parking.calls.lock().contains_key(&it))
}

/// A client has come back with answers, or without.
pub(crate) async fn go_on(permitted: Box<Permitted>, state: &State) -> Response<Body> {
    let parking = &permitted.asked.worker.proxy.parking;
    let call = Uuid::parse_str(&state.call).ok();
    let inbox = call.and_then(|it| parking.calls.lock().get(&it).cloned());
    let to = Addressee::of(&permitted.asked);
    let (wait, said) = mpsc::channel(attend::NEWS);
    let back = Return { permitted, round: state.round, wait };
    let (back, why) = match inbox {
        None => (back, GONE),
        Some(inbox) => match inbox.try_send(back) {
            Ok(()) => return attend(said, to).await,
            Err(mpsc::error::TrySendError::Closed(back)) => (back, GONE),
            // Several at once: at most one of them will be right.
            Err(mpsc::error::TrySendError::Full(back)) => (back, STALE),
        },
    };
    back.permitted.asked.refuse(&Refusal::RequestState(why)).await
}

/// What a legacy server's wish that URLs be opened first is to a modern client that can open them:
/// questions, after whose answers the call is sent again. Nothing is held meanwhile.
pub(crate) fn urls(permitted: &Permitted, error: Raw<'_>) -> Option<Bytes> {
    let asked = &permitted.asked;
    let code = error.get("code").and_then(Raw::i64)?;
    let is_it = code == i64::from(URL_ELICITATION_REQUIRED);
    if !is_it || !asked.may_be_asked() || REPLAYS <= permitted.replays {
        return None;
    }
    let urls = asked.askable().urls(error);
    if urls.is_empty() || 16 < urls.len() {
        return None;
    }
    let keys: Vec<String> = (1..=urls.len()).map(|it| format!("q{it}")).collect();
    let call = Uuid::nil().to_string();
    let state = seal(permitted, (Kind::Replay, call), permitted.replays + 1);
    let questions = keys.iter().map(String::as_str).zip(&urls);
    Some(input_required(questions, &state, &our_info()))
}

/// The questions of a round, as the answer to a request.
fn questions(permitted: &Permitted, call: Uuid, round: &Round) -> Vec<Bytes> {
    let state = seal(permitted, (Kind::Parked, call.to_string()), round.number);
    let questions = round.questions.iter().map(|it| (it.key.as_str(), &it.asked));
    answer::result(permitted.asked.id(), [input_required(questions, &state, &our_info())])
}

/// With what a client comes back that is asked something about a task of its server.
pub(crate) fn task_state(permitted: &Permitted, task: &str) -> String {
    seal(permitted, (Kind::Task, task.to_owned()), permitted.replays + 1)
}

fn seal(permitted: &Permitted, (kind, call): (Kind, String), round: u32) -> String {
    let proxy = &permitted.asked.worker.proxy;
    let issued_ms = proxy.clock.now().timestamp_millis();
    let answering = i64::try_from(proxy.parking.answering.as_millis()).unwrap_or(i64::MAX);
    proxy.parking.states.seal(&State {
        kind,
        node: proxy.parking.node(proxy.hop.own()),
        call,
        bound: bound(&permitted.asked, &permitted.pass),
        round,
        issued_ms,
        expires_ms: issued_ms.saturating_add(answering),
    })
}

/// What a retry must agree with.
pub(crate) fn bound(asked: &Asked, pass: &Pass) -> Bound {
    let subject = &pass.subject;
    let only = asked.place.only.as_ref().map(|it| it.id.0.to_string()).unwrap_or_default();
    let assignment = pass.assignment();
    let upstream = assignment.map(|it| format!("{}/{}", it.server.id.0, it.id.0));
    Bound {
        workspace: pass.caller.workspace.id.0.to_string(),
        principal: principal(subject.app, subject.user),
        route: format!("{}/{only}", subject.gateway.0),
        upstream: upstream.unwrap_or_default(),
        method: asked.message.method().to_owned(),
        params: digest_params(asked.message.params()),
    }
}

/// Nobody who comes back at the moment of its end is left without a word.
fn turn_away(inbox: &mut mpsc::Receiver<Return>) {
    inbox.close();
    while let Ok(Return { permitted, wait, .. }) = inbox.try_recv() {
        wait.try_send(Said::InVain(permitted, Refusal::RequestState(GONE))).ok();
    }
}

/// Whether a retry is of the same as what is held, but for the token that its app presents. Ids are
/// nobody else's, in whatever workspace.
fn is_same(held: &Pass, retry: &Pass) -> bool {
    let mut subject = retry.subject.clone();
    subject.token = held.subject.token;
    subject == held.subject
}

/// Whether a server's request is one that its client can be asked, in the session that the call has
/// for itself.
pub(crate) fn is_question(sent: &Sent, message: &Message) -> bool {
    let askable = sent.way.lease.as_ref().map(|it| it.askable());
    askable.is_some_and(|it| it.question(message.method(), message.params()).is_ok())
}
