//! The clients. Each makes several calls at once, and looks whether all that it hears is of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join;
use serde_json::{Value, json};
use tests::client::LEGACY;
use tests::line::Line;
use tests::wait::within;
use tests::{Client, Era, Post, Served, Streamed};
use tokio::sync::Mutex;

use crate::order::{Cancel, Order, holds};
use crate::scene::{self, PATH, SERVERS};
use crate::seen::{Seen, Sent};

/// One client.
pub(crate) struct Caller {
    number: usize,
    client: Client,
    seen: Arc<Seen>,
    /// Where it answers and cancels.
    side: Mutex<Line>,
    line_to: std::net::SocketAddr,
}

/// One of the calls that it makes at a time.
struct Lane<'a> {
    caller: &'a Caller,
    line: Line,
    /// Under which it hears of progress. Others use it too.
    token: u64,
}

/// What an answer has come to.
enum End {
    /// A whole one.
    Result(Value),
    /// The client has left.
    Left,
    /// Nothing has come that is an answer.
    Nothing,
}

impl Caller {
    pub(crate) async fn new(
        number: usize,
        (served, token): (&Served, &str),
        seen: &Arc<Seen>,
    ) -> Self {
        let capabilities = if scene::is_askable(number) { FORMS } else { "{}" };
        let client = match scene::era(number) {
            Era::Modern => {
                let mut client = Client::modern_with_token(served, PATH, token);
                capabilities.clone_into(&mut client.capabilities);
                client
            }
            Era::Legacy => {
                Client::legacy_with_token(served, (PATH, token), LEGACY, capabilities).await
            }
        };
        client.warm_up().await;
        let side = Mutex::new(Line::to(served.address));
        Self { number, client, seen: Arc::clone(seen), side, line_to: served.address }
    }

    /// Makes calls, numbered by what everybody counts with, until there are none left.
    pub(crate) async fn call_on(&self, lane: u64, next: &AtomicU64) {
        let mut lane = Lane { caller: self, line: Line::to(self.line_to), token: lane };
        loop {
            let nonce = next.fetch_add(1, Ordering::Relaxed);
            if self.seen.calls() <= nonce || !self.seen.wrongs().is_empty() {
                return;
            }
            let order = Order::draw(self.seen.seed, nonce, self.number);
            match scene::era(self.number) {
                Era::Modern => lane.modern(&order).await,
                Era::Legacy => lane.legacy(&order).await,
            }
            self.seen.counts.ended.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends its session.
    pub(crate) async fn leave(&self) {
        if self.client.era == Era::Legacy {
            assert_eq!(self.client.send(self.client.delete()).await.status, 200);
        }
    }

    fn wrong(&self, order: &Order, what: &str) {
        self.seen.wrong(format!("{}: {what}: {order:?}", self.client));
    }

    /// Sends what is no call, again while it is refused for a moment; whether it is taken.
    async fn say(&self, post: Post) -> bool {
        let mut side = self.side.lock().await;
        let saying = async {
            loop {
                let Ok(answer) = self.client.open_on(&mut side, post.clone()).await else {
                    return false;
                };
                let answer = answer.whole().await;
                if answer.status != 503 {
                    return answer.status == 202;
                }
            }
        };
        within("a message is taken", saying).await
    }

    async fn cancel(&self, order: &Order, id: &str) {
        let cancel =
            self.client.notification("notifications/cancelled", &format!(r#""requestId":{id}"#));
        if !self.say(cancel).await {
            self.wrong(order, "it may not cancel");
        }
    }

    fn gives_up(&self, id: &str) {
        self.seen.gives_up(self.number, id);
        self.seen.counts.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}

impl Lane<'_> {
    fn post(&self, order: &Order, more: &str, is_call: bool) -> Post {
        let arguments = order.arguments();
        let server = SERVERS[order.server].0;
        let members = format!(r#""name":"{server}__echo","arguments":{arguments}{more}"#);
        let meta = format!(r#""progressToken":{}"#, self.token);
        let post = self.caller.client.request_with_meta("tools/call", &members, &meta);
        let sent = Sent { nonce: order.nonce, is_cancelled: false, is_call };
        self.caller.seen.sends(self.caller.number, &post.id, sent);
        post
    }

    /// A client that is asked by an answer, and comes back with what it has been asked.
    async fn modern(&mut self, order: &Order) {
        let caller = self.caller;
        let (mut round, mut more) = (0, String::new());
        loop {
            let is_call = round == 0 || SERVERS[order.server].1 == Era::Modern;
            let post = self.post(order, &more, is_call);
            let id = post.id.clone();
            let patience = match order.cancel {
                Some(Cancel::After(ms)) if round == 0 => Some(ms),
                Some(Cancel::AtQuestion) if 0 < round && !holds(order.server) => {
                    Some(1 + order.nonce % 8)
                }
                _ => None,
            };
            let answer = self.answer(order, post);
            let end = match patience.map(Duration::from_millis) {
                None => answer.await,
                Some(patience) => tokio::time::timeout(patience, answer).await.unwrap_or(End::Left),
            };
            let message = match end {
                End::Result(message) => message,
                End::Nothing => return caller.wrong(order, "no answer"),
                End::Left => {
                    self.line = Line::to(caller.line_to);
                    return caller.gives_up(&id);
                }
            };
            if caller.seen.is_refused(caller.number, order, &message) {
                return;
            }
            if round == order.questions {
                return is_own(caller, order, &message, &id);
            }
            round += 1;
            let result = &message["result"];
            let asked = result["inputRequests"].as_object().filter(|it| it.len() == 1);
            let Some((key, asked)) = asked.and_then(|it| it.iter().next()) else {
                return caller.wrong(order, &format!("it is not asked for {round}: {message}"));
            };
            if asked["params"] != order.question(round) {
                return caller.wrong(order, &format!("it is asked {asked}"));
            }
            caller.seen.counts.asked.fetch_add(1, Ordering::Relaxed);
            let responses = json!({key: order.answer(round)});
            let state = &result["requestState"];
            more = format!(r#","inputResponses":{responses},"requestState":{state}"#);
        }
    }

    /// The answer to a request, after whatever comes before it.
    async fn answer(&mut self, order: &Order, post: Post) -> End {
        let caller = self.caller;
        let opened = within("an answer", caller.client.open_on(&mut self.line, post)).await;
        let mut answer = match opened {
            Ok(answer) => answer,
            Err(error) => {
                caller.wrong(order, &error);
                return End::Nothing;
            }
        };
        let leaves = match order.cancel {
            Some(Cancel::AtReport) => true,
            Some(Cancel::AtQuestion) => holds(order.server),
            _ => false,
        };
        let mut end = End::Nothing;
        while let Some(message) = next(&mut answer).await {
            if matches!(end, End::Result(_)) {
                caller.wrong(order, &format!("after its answer: {message}"));
            }
            if message.get("id").is_some() {
                end = End::Result(message);
            } else if reports(caller, (order, self.token), &message) && leaves {
                return End::Left;
            }
        }
        end
    }

    /// A client that is asked while it waits for its answer.
    async fn legacy(&mut self, order: &Order) {
        let caller = self.caller;
        let post = self.post(order, "", true);
        let id = post.id.clone();
        let is_cancelled = AtomicBool::new(false);
        let give_up = async || {
            if !is_cancelled.swap(true, Ordering::Relaxed) {
                caller.gives_up(&id);
                caller.cancel(order, &id).await;
            }
        };
        let listening = async {
            let opened = within("an answer", caller.client.open_on(&mut self.line, post)).await;
            let mut answer = match opened {
                Ok(answer) => answer,
                Err(error) => return caller.wrong(order, &error),
            };
            let (mut round, mut end) = (0, None);
            while let Some(message) = next(&mut answer).await {
                if end.is_some() {
                    caller.wrong(order, &format!("after its answer: {message}"));
                }
                if message["method"] == "elicitation/create" {
                    round += 1;
                    if message["params"]["message"] != order.question(round)["message"] {
                        caller.wrong(order, &format!("it is asked {message}"));
                    }
                    caller.seen.counts.asked.fetch_add(1, Ordering::Relaxed);
                    if order.cancel == Some(Cancel::AtQuestion) {
                        give_up().await;
                        continue;
                    }
                    let given = order.answer(round).to_string();
                    let reply = caller.client.reply(&message["id"], &given);
                    if !caller.say(reply).await && !is_cancelled.load(Ordering::Relaxed) {
                        caller.wrong(order, "its answer is not taken");
                    }
                } else if message.get("method").is_some() {
                    if reports(caller, (order, self.token), &message)
                        && order.cancel == Some(Cancel::AtReport)
                    {
                        give_up().await;
                    }
                } else {
                    end = Some(message);
                }
            }
            match end {
                Some(message) => {
                    if is_cancelled.load(Ordering::Relaxed) {
                        caller.seen.counts.answered_although.fetch_add(1, Ordering::Relaxed);
                    }
                    if !caller.seen.is_refused(caller.number, order, &message) {
                        is_own(caller, order, &message, &id);
                    }
                }
                None if is_cancelled.load(Ordering::Relaxed) => {}
                None => caller.wrong(order, "no answer"),
            }
        };
        let Some(Cancel::After(ms)) = order.cancel else { return listening.await };
        let mut listening = std::pin::pin!(listening);
        if tokio::time::timeout(Duration::from_millis(ms), &mut listening).await.is_err() {
            join(give_up(), listening).await;
        }
    }
}

/// Whether a message tells of progress. It must be that of the call.
fn reports(caller: &Caller, (order, token): (&Order, u64), message: &Value) -> bool {
    let params = &message["params"];
    let is_report = message["method"] == "notifications/progress";
    if !is_report || params["progressToken"] != token || params["message"] != order.secret {
        caller.wrong(order, &format!("it hears {message}"));
    }
    caller.seen.counts.reports.fetch_add(1, Ordering::Relaxed);
    is_report
}

/// Looks whether an answer is that to the call, and to the request.
fn is_own(caller: &Caller, order: &Order, message: &Value, id: &str) {
    let expected = json!({"nonce": order.nonce, "secret": order.secret, "server": order.server});
    let is_it = message["result"]["structuredContent"] == expected;
    let answered = message["id"].to_string();
    if !is_it || answered != id {
        caller.wrong(order, &format!("its answer to {id} is {message}"));
    }
}

/// The next message of an answer.
async fn next(answer: &mut Streamed) -> Option<Value> {
    let data = answer.next_message().await?;
    Some(serde_json::from_slice(&data).unwrap())
}

const FORMS: &str = r#"{"elicitation":{}}"#;
