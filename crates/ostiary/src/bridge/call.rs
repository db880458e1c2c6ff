//! One request of the client, from its line to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::headers::{LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, name_header};
use mcp::meta;
use mcp::splice::Splice;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, Place};
use super::feed::pause;
use super::session::Session;
use super::trouble::Trouble;
use super::under_way::Request;
use super::{Bridge, listen, relist, renewal};

/// When a legacy call that was given up is given up again, if it is still under way: the first word
/// may have overtaken the call itself, and then nobody knew what it was about.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// For how long in all it is listened to after that.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often in a row a stream may fail to go on, and how often it may go on and say nothing.
const FAILURES: u32 = 8;
const FRUITLESS: u32 = 1_000;

const LISTEN: &str = "subscriptions/listen";

/// Begins a request. It ends with its answer, or as its client wishes.
pub(super) fn begin(bridge: &Arc<Bridge>, message: Message, seat: OwnedSemaphorePermit) {
    let is_modern = super::session::is_modern(&message);
    let request = bridge.under_way.begin(&message, !is_modern);
    let is_stream = message.method() == LISTEN;
    let life = if is_stream { bridge.streams.clone() } else { bridge.calls.clone() };
    let owned = Arc::clone(bridge);
    bridge.tasks.spawn(async move {
        let bridge = owned;
        let run = async {
            if is_modern {
                modern(&bridge, &message, request).await;
            } else {
                legacy(&bridge, &message, request).await;
            }
        };
        life.run_until_cancelled(run).await;
        drop(seat);
    });
}

/// A closed connection cancels in the modern era.
async fn modern(bridge: &Arc<Bridge>, message: &Message, mut request: Request) {
    let doing = async {
        if message.method() == LISTEN {
            return listen::listen(bridge, message).await;
        }
        let _line = bridge.line().await?;
        let answer = send_modern(bridge, message).await?;
        follow_modern(bridge, message, answer).await
    };
    let done = tokio::select! {
        biased;
        done = doing => done,
        _ = request.cancelled() => return,
    };
    if let Err(trouble) = done {
        bridge.tell(message, &trouble).await;
    }
}

/// Sends a modern request. Where the gateway wants headers for arguments, it tells which.
async fn send_modern(bridge: &Arc<Bridge>, message: &Message) -> Result<Answer, Trouble> {
    let headers = modern_headers(bridge, message);
    let sent = bridge.gateway.post(headers.clone(), message.body().clone()).await;
    let wants_headers = |trouble: &Trouble| {
        let Trouble::Refused(refused) = trouble else { return false };
        refused.code() == Some(errors::HEADER_MISMATCH.into()) && message.method() == "tools/call"
    };
    match sent {
        // It was refused before anything was done about it.
        Err(trouble) if wants_headers(&trouble) => {
            relist::learn(bridge, message).await?;
            let fresh = modern_headers(bridge, message);
            if fresh == headers {
                return Err(trouble);
            }
            bridge.gateway.post(fresh, message.body().clone()).await
        }
        sent => sent,
    }
}

/// The headers that mirror a modern message (2026-07-28, "HTTP headers").
pub(super) fn modern_headers(bridge: &Bridge, message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let version = message.params().and_then(meta::protocol_version);
    if let Some(version) = version.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(MCP_PROTOCOL_VERSION, version);
    }
    if let Ok(method) = HeaderValue::from_bytes(message.method().as_bytes()) {
        headers.insert(MCP_METHOD, method);
    }
    if let Some(name) = name_header(message.method(), message.params()) {
        headers.insert(MCP_NAME, name);
    }
    if message.method() == "tools/call" {
        headers.extend(bridge.mirrors.of(message));
    }
    headers
}

async fn follow_modern(
    bridge: &Bridge,
    message: &Message,
    mut answer: Answer,
) -> Result<(), Trouble> {
    while let Some(said) = answer.next().await? {
        if let Some(body) = answering(&said, message) {
            if message.method() == "tools/list" {
                bridge.mirrors.learn(&said);
            }
            bridge.out.say(&body).await;
            return Ok(());
        }
        if is_told(&said) {
            bridge.out.say(said.body()).await;
        }
    }
    Err(ended())
}

/// A legacy client says in words that it gives a call up.
async fn legacy(bridge: &Arc<Bridge>, message: &Message, mut request: Request) {
    let line = tokio::select! {
        biased;
        line = bridge.line() => line,
        _ = request.cancelled() => return,
    };
    let mut doing = pin!(async {
        let _line = line?;
        let (answer, session) = send_legacy(bridge, message).await?;
        follow_legacy(bridge, message, (answer, session.as_deref())).await
    });
    let done = tokio::select! {
        biased;
        done = &mut doing => done,
        word = request.cancelled() => {
            let listening = async { drop(doing.await) };
            tokio::select! {
                () = listening => {}
                () = give_up(bridge, word) => {}
            }
            return;
        }
    };
    if let Err(trouble) = done {
        bridge.tell(message, &trouble).await;
    }
}

async fn give_up(bridge: &Bridge, word: Bytes) {
    let headers = || bridge.sessions.current().map(|it| it.headers()).unwrap_or_default();
    bridge.pass(headers(), word.clone()).await;
    for pause in AGAIN {
        tokio::time::sleep(pause).await;
        bridge.pass(headers(), word.clone()).await;
    }
    tokio::time::sleep(LAST_WORDS).await;
}

/// Sends a legacy request in the client's session, or in the one that takes its place.
async fn send_legacy(
    bridge: &Arc<Bridge>,
    message: &Message,
) -> Result<(Answer, Option<Arc<Session>>), Trouble> {
    let session = bridge.sessions.current();
    let headers = session.as_ref().map(|it| it.headers()).unwrap_or_default();
    let sent = bridge.gateway.post(headers, message.body().clone()).await;
    match (sent, session) {
        (Ok(answer), session) => Ok((answer, session)),
        // What is of an unknown session is refused before anything is done about it.
        (Err(trouble), Some(session)) if session.is_lost(&trouble) => {
            let fresh = renewal::renew(bridge, &session).await?;
            let answer = bridge.gateway.post(fresh.headers(), message.body().clone()).await?;
            Ok((answer, Some(fresh)))
        }
        (Err(trouble), _) => Err(trouble),
    }
}

/// Passes on what is said until the answer has come, from stream to stream.
async fn follow_legacy(
    bridge: &Bridge,
    message: &Message,
    (mut answer, session): (Answer, Option<&Session>),
) -> Result<(), Trouble> {
    let mut place = Place::default();
    let mut fruitless = 0;
    loop {
        let broken = loop {
            match answer.next().await {
                Ok(Some(said)) => {
                    fruitless = 0;
                    if let Some(body) = answering(&said, message) {
                        if said.result().is_some() {
                            bridge.sessions.note(message);
                        }
                        bridge.out.say(&body).await;
                        return Ok(());
                    }
                    if is_told(&said) {
                        let own = || said.body().clone();
                        bridge.out.say(&session.map_or_else(own, |it| it.marked(&said))).await;
                    }
                }
                Ok(None) => break ended(),
                Err(trouble @ (Trouble::BrokenOff { .. } | Trouble::Silent(_))) => break trouble,
                Err(trouble) => return Err(trouble),
            }
        };
        place.follow(&answer.place);
        let (Some(session), true) = (session, place.id.is_some()) else { return Err(broken) };
        fruitless += 1;
        if FRUITLESS < fruitless {
            return Err(broken);
        }
        answer = go_on(bridge, session, &place, fruitless).await?;
    }
}

/// Opens a stream where it was left.
async fn go_on(
    bridge: &Bridge,
    session: &Session,
    place: &Place,
    fruitless: u32,
) -> Result<Answer, Trouble> {
    let mut failed = 0;
    loop {
        tokio::time::sleep(pause(place, fruitless.max(failed).saturating_sub(1))).await;
        let mut headers = session.headers();
        headers.extend(place.id.clone().map(|id| (LAST_EVENT_ID, id)));
        match bridge.gateway.get(headers).await {
            Ok(answer) => return Ok(answer),
            Err(trouble) if session.is_lost(&trouble) => return Err(Trouble::SessionLost),
            Err(trouble) if trouble.may_pass() && failed < FAILURES => failed += 1,
            Err(trouble) => return Err(trouble),
        }
    }
}

/// Whether it says something by itself: an answer stands where it was asked for, or nowhere.
pub(super) fn is_told(said: &Message) -> bool {
    let is_told = matches!(said.kind(), MessageKind::Request | MessageKind::Notification);
    if !is_told {
        tracing::warn!("The gateway answers what was not asked");
    }
    is_told
}

/// What the client is told if this message answers that request.
pub(super) fn answering(said: &Message, request: &Message) -> Option<Bytes> {
    if !matches!(said.kind(), MessageKind::Response | MessageKind::Error) {
        return None;
    }
    let id = request.id()?;
    match said.id() {
        Some(own) => (own.bytes() == id.bytes()).then(|| said.body().clone()),
        // An error that names no request is about the one that it comes back for.
        None => {
            let mut splice = Splice::new(said.body().clone());
            splice.set_member(said.root(), "id", Bytes::copy_from_slice(id.bytes()));
            Some(splice.finish().into_bytes())
        }
    }
}

fn ended() -> Trouble {
    Trouble::BrokenOff { cause: "its stream ended without the answer".to_owned() }
}

/// Gives up a legacy request in the bridge's own words.
pub(super) fn word_for(id: &[u8]) -> Bytes {
    let params = [b"{\"requestId\":", id, b",\"reason\":\"the client has gone\"}"].concat();
    errors::notification_body("notifications/cancelled", Some(&params))
}

#[cfg(test)]
mod tests {
    use mcp::json::Limits;

    use super::*;

    #[test]
    fn an_answer_is_told_by_its_id_as_it_was_written() {
        let message = |text: &str| {
            Message::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
        };
        let request = message(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        let error = r#""error":{"code":1,"message":""}"#;
        let cases = [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1.0}}"#.to_owned(), true),
            (r#"{"jsonrpc":"2.0","id":"1","result":{}}"#.to_owned(), false),
            (r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.to_owned(), false),
            (format!(r#"{{"jsonrpc":"2.0","id":1,{error}}}"#), true),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(), false),
        ];
        for (text, is_answer) in cases {
            let body = answering(&message(&text), &request);
            assert_eq!(body, is_answer.then(|| Bytes::from(text.clone())), "{text}");
        }
        let nameless = message(&format!(r#"{{"jsonrpc":"2.0","id":null,{error}}}"#));
        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,{error}}}"#);
        assert_eq!(answering(&nameless, &request), Some(expected.into()));
    }
}
