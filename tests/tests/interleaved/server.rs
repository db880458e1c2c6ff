//! The servers. Each does what the order of a call has it do, and looks whether all that reaches it
//! is as it was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tests::upstream::Talk;
use tests::wait::PATIENCE;
use tests::{Arrived, Era, Plan, Upstream};
use tokio::sync::{mpsc, oneshot};

use crate::order::Order;
use crate::scene::{self, SERVERS, Way};
use crate::seen::Seen;

/// One server's memory.
pub(crate) struct Server {
    pub(crate) number: usize,
    seen: Arc<Seen>,
    /// Questions that wait for answers, by their ids.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
    /// Sessions that have been called in, and not been ended.
    sessions: Mutex<HashMap<String, Session>>,
}

/// A session of the gateway's.
struct Session {
    /// What was presented in it.
    presented: Option<String>,
    /// Whether it is of clients that can be asked, and so not shared by all.
    is_own: bool,
}

/// How a server speaks in one call.
pub(crate) enum Voice {
    /// It has not begun to.
    Whole(Arrived),
    Stream(Talk),
    /// The stream of the session.
    Line(Arc<Talk>),
    Pipe(mpsc::Sender<String>),
}

impl Server {
    pub(crate) fn new(number: usize, seen: &Arc<Seen>) -> Arc<Self> {
        let seen = Arc::clone(seen);
        let (waiting, sessions) = (Mutex::default(), Mutex::default());
        Arc::new(Self { number, seen, waiting, next: AtomicU64::new(1), sessions })
    }

    /// Starts it where it is spoken to over HTTP.
    pub(crate) async fn start(self: &Arc<Self>) -> Upstream {
        let (_, era, way) = SERVERS[self.number];
        let plan = match (era, way) {
            (Era::Modern, _) => Upstream::modern(),
            (Era::Legacy, Way::Sessionless) => Upstream::legacy().without_sessions(),
            (Era::Legacy, Way::Sse) => Upstream::legacy().over_sse(),
            (Era::Legacy, _) => Upstream::legacy(),
        };
        let plan = plan.forgetful().with_capabilities(r#"{"tools":{}}"#);
        self.on(plan, "tools/call", Self::called)
            .on_each(self, "", Self::answered)
            .on_each(self, "notifications/cancelled", |_, arrived| arrived.accept())
            .on_each(self, "DELETE", Self::ended)
            .start()
            .await
    }

    fn on<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        plan: Plan,
        method: &str,
        doing: fn(Arc<Self>, Arrived) -> F,
    ) -> Plan {
        let server = Arc::clone(self);
        plan.on(method, move |arrived| doing(Arc::clone(&server), arrived))
    }

    async fn called(self: Arc<Self>, arrived: Arrived) {
        let message = arrived.json();
        let presented = arrived.header("authorization").map(str::to_owned);
        let session = arrived.header("mcp-session-id").map(str::to_owned);
        if let Some(session) = session {
            self.called_in(session, presented.as_deref(), &message);
        }
        let voice = if SERVERS[self.number].2 == Way::Sse {
            let stream = arrived.stream_of_answer();
            arrived.accept();
            Voice::Line(stream)
        } else {
            Voice::Whole(arrived)
        };
        self.call(&message, presented.as_deref(), voice).await;
    }

    /// A session is of one person, and of clients that can be asked or of others.
    fn called_in(&self, session: String, presented: Option<&str>, message: &Value) {
        let client = message["params"]["arguments"]["client"].as_u64().unwrap_or_default();
        let is_own = scene::is_askable(usize::try_from(client).unwrap());
        let presented = presented.map(str::to_owned);
        let mut sessions = self.sessions.lock().unwrap();
        let known = sessions
            .entry(session)
            .or_insert_with(|| Session { presented: presented.clone(), is_own });
        if known.presented != presented || known.is_own != is_own {
            let owner = &known.presented;
            self.seen.wrong(format!("{presented:?} calls in a session of {owner:?}: {message}"));
        }
    }

    /// Whatever happens to the call, this ends.
    pub(crate) async fn call(&self, message: &Value, presented: Option<&str>, voice: Voice) {
        let Some(order) = self.seen.arrives(self.number, message, presented) else {
            let error = json!({"code": -32602, "message": "this is nobody's call"});
            return voice.end(&message["id"], "error", &error.to_string()).await;
        };
        let mut voice = voice;
        if order.streams {
            voice = voice.opened();
        }
        if 0 < order.delay_ms {
            // That is what servers are like; nothing here waits for it.
            tokio::time::sleep(Duration::from_millis(order.delay_ms)).await;
        }
        let result = match SERVERS[self.number].1 {
            Era::Modern => self.modern(&order, message, &mut voice).await,
            Era::Legacy => self.legacy(&order, message, &mut voice).await,
        };
        match result {
            Some(result) => voice.end(&message["id"], "result", &result).await,
            None => drop(voice),
        }
    }

    async fn modern(&self, order: &Order, message: &Value, voice: &mut Voice) -> Option<String> {
        let params = &message["params"];
        let given = params["requestState"].as_str();
        let round = (1..=order.questions).find(|it| given == Some(&order.state(*it)));
        let round = round.unwrap_or(0);
        let mut expected = serde_json::Map::new();
        if 0 < round {
            expected.insert(order.key(round), order.answer(round));
        }
        let responses = params.get("inputResponses").and_then(Value::as_object);
        if responses.cloned().unwrap_or_default() != expected || given.is_some() != (0 < round) {
            self.seen.wrong(format!("round {round} of {order:?} comes as {message}"));
        }
        self.seen.attempted(order.nonce, round);
        self.report(order, message, voice).await;
        if round == order.questions {
            return Some(order.result());
        }
        let next = round + 1;
        let asked = json!({order.key(next): {"method": ELICIT, "params": order.question(next)}});
        let result = json!({
            "resultType": "input_required", "inputRequests": asked, "requestState": order.state(next)
        });
        Some(result.to_string())
    }

    async fn legacy(&self, order: &Order, message: &Value, voice: &mut Voice) -> Option<String> {
        self.seen.attempted(order.nonce, 0);
        for round in 1..=order.questions {
            if !self.ask(order, round, voice).await {
                return None;
            }
        }
        self.report(order, message, voice).await;
        Some(order.result())
    }

    /// Asks, and waits for the answer; whether it has come.
    async fn ask(&self, order: &Order, round: u64, voice: &mut Voice) -> bool {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let params = order.question(round);
        let asked = json!({"jsonrpc": "2.0", "id": id, "method": ELICIT, "params": params});
        voice.say(&asked.to_string()).await;
        let answer = tokio::select! {
            answer = tokio::time::timeout(PATIENCE, answer) => answer,
            () = voice.given_up() => return false,
        };
        let Ok(Ok(answer)) = answer else {
            self.seen.wrong(format!("nobody answers question {round} of {order:?}"));
            return false;
        };
        if answer.get("error").is_some() && order.cancel.is_some() {
            return false;
        }
        if answer["result"] != order.answer(round) {
            self.seen.wrong(format!("{answer} to question {round} of {order:?}"));
        }
        true
    }

    async fn report(&self, order: &Order, message: &Value, voice: &mut Voice) {
        let token = &message["params"]["_meta"]["progressToken"];
        for number in 1..=order.reports {
            let params =
                json!({"progressToken": token, "progress": number, "message": order.secret});
            let method = "notifications/progress";
            let said = json!({"jsonrpc": "2.0", "method": method, "params": params});
            voice.say(&said.to_string()).await;
        }
    }

    fn answered(&self, arrived: Arrived) {
        self.hears(arrived.json());
        arrived.accept();
    }

    /// An answer to one of its questions.
    pub(crate) fn hears(&self, answer: Value) {
        let waits = answer["id"].as_u64().and_then(|it| self.waiting.lock().unwrap().remove(&it));
        match waits {
            // Whoever has given up hears nothing.
            Some(waits) => drop(waits.send(answer)),
            None => self.seen.wrong(format!("an answer to nothing at {}: {answer}", self.number)),
        }
    }

    /// How many sessions are open in which its clients can be asked.
    pub(crate) fn own_sessions(&self) -> usize {
        self.sessions.lock().unwrap().values().filter(|it| it.is_own).count()
    }

    fn ended(&self, arrived: Arrived) {
        if let Some(session) = arrived.header("mcp-session-id") {
            self.sessions.lock().unwrap().remove(session);
        }
        arrived.accept();
    }
}

/// More of the plan of a server.
trait OnEach {
    fn on_each(self, server: &Arc<Server>, method: &str, doing: fn(&Server, Arrived)) -> Self;
}

impl OnEach for Plan {
    fn on_each(self, server: &Arc<Server>, method: &str, doing: fn(&Server, Arrived)) -> Self {
        let server = Arc::clone(server);
        self.on(method, move |arrived| {
            doing(&server, arrived);
            std::future::ready(())
        })
    }
}

impl Voice {
    /// As a stream, where there is a choice.
    fn opened(self) -> Self {
        match self {
            Self::Whole(arrived) => Self::Stream(arrived.stream()),
            other => other,
        }
    }

    async fn say(&mut self, message: &str) {
        let silent = Self::Pipe(mpsc::channel(1).0);
        *self = std::mem::replace(self, silent).opened();
        match self {
            Self::Whole(_) => {}
            Self::Stream(talk) => talk.message(message).await,
            Self::Line(talk) => talk.message(message).await,
            Self::Pipe(out) => drop(out.send(format!("{message}\n")).await),
        }
    }

    /// Until nobody listens any more.
    async fn given_up(&self) {
        match self {
            Self::Stream(talk) => talk.closed().await,
            Self::Line(talk) => talk.closed().await,
            Self::Whole(_) | Self::Pipe(_) => std::future::pending().await,
        }
    }

    async fn end(self, id: &Value, member: &str, value: &str) {
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#);
        match self {
            Self::Whole(arrived) => arrived.respond(200, "application/json", message),
            mut other => other.say(&message).await,
        }
    }
}

const ELICIT: &str = "elicitation/create";
