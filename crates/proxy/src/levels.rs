//! From which severity on a server logs for whoever calls it.
//!
//! A modern client says it with each request, a legacy one once for its session. A server is told in
//! its own era's way: a modern one with the request, a legacy one before it. A session that several
//! calls share logs what the most talkative of them wants; what a call is then told of it is decided
//! in [`crate::terms`].

use bytes::Bytes;
use domain::Transport;
use http::HeaderMap;
use mcp::errors;
use mcp::json::{Limits, Raw, quote};
use mcp::meta::{self, LogLevel};
use mcp::revision::Era;

use crate::call::Asked;
use crate::catalog::Part;
use crate::link::{Channel, Letter, Link, UpstreamSession, final_answer};
use crate::record::Recorded;
use crate::session::Session;

/// What the client wants to hear, if it has said so.
fn wanted(asked: &Asked) -> Option<LogLevel> {
    match &asked.session {
        None => asked.message.params().and_then(meta::log_level),
        Some(session) => of_session(session),
    }
}

/// What a legacy client has asked for.
fn of_session(session: &Session) -> Option<LogLevel> {
    *session.log_level.lock()
}

/// The entry by which a modern server is told for a legacy client.
pub(crate) fn entry(asked: &Asked) -> Option<(&'static str, Bytes)> {
    let level = of_session(asked.session.as_ref()?)?;
    Some((meta::LOG_LEVEL, Bytes::from(quote(level.as_str()))))
}

/// Tells a legacy server before a call, where it has not been told yet. Whether it listens is of no
/// concern to the call.
pub(crate) async fn settle(recorded: &Recorded, link: &Link, channel: &Channel) {
    let asked = &recorded.permitted().asked;
    let Channel::Legacy(session) = channel else { return };
    let is_shared = asked.session.is_none();
    if let Some(wanted) = wanted(asked).filter(|_| can_log(session, is_shared)) {
        // On the heap, since it is large and rare.
        Box::pin(tell_once(recorded, link, channel, (session, wanted, is_shared))).await;
    }
}

async fn tell_once(
    recorded: &Recorded,
    link: &Link,
    channel: &Channel,
    (session, wanted, is_shared): (&UpstreamSession, LogLevel, bool),
) {
    // Whoever comes meanwhile waits, since it is for the server to have heard before the call.
    let mut told = session.log_level.lock().await;
    if told.is_some_and(|told| told == wanted || is_shared && told < wanted) {
        return;
    }
    // Once is enough for a server that does not take it, too. What is wrong the call will show.
    *told = Some(wanted);
    let patience = recorded.permitted().asked.worker.proxy.options.probe;
    let telling = tell(recorded, link, channel, wanted);
    if !matches!(tokio::time::timeout(patience, telling).await, Ok(Some(()))) {
        tracing::debug!(server.name = link.name(), "A log level was not taken");
    }
}

/// A client has changed its mind in the middle of its session, and the server has just been told.
pub(crate) async fn told(session: &UpstreamSession, level: LogLevel) {
    *session.log_level.lock().await = Some(level);
}

/// Whether a client of `era` can hear what a server logs.
pub(crate) fn can_be_heard(part: &Part, era: Era) -> bool {
    let capabilities = Raw::parse(&part.listing.capabilities, Limits::default());
    let transport = &part.assignment.server.transport;
    let is_pipe = matches!(transport, Transport::Stdio { .. } | Transport::Sse { .. });
    let is_shared_pipe = is_pipe && part.listing.spoken == Era::Legacy && era == Era::Modern;
    !is_shared_pipe && capabilities.is_ok_and(|it| it.get("logging").is_some())
}

/// A pipe, or a stream, that calls share does not say to which of them a log belongs.
fn can_log(session: &UpstreamSession, is_shared: bool) -> bool {
    let capabilities = Raw::parse(&session.hello.capabilities, Limits::default());
    let is_anybodys = session.child.is_some() || session.line.is_some() && is_shared;
    (session.own || !is_anybodys) && capabilities.is_ok_and(|it| it.get("logging").is_some())
}

async fn tell(recorded: &Recorded, link: &Link, channel: &Channel, level: LogLevel) -> Option<()> {
    let permitted = recorded.permitted();
    let (worker, pass) = (&permitted.asked.worker, &permitted.pass);
    let id = link.next_id();
    let params = format!(r#"{{"level":{}}}"#, quote(level.as_str()));
    let body = errors::request_body(
        id.to_string().as_bytes(),
        "logging/setLevel",
        Some(params.as_bytes()),
    );
    let letter =
        Letter { parts: vec![body], id: Some(id), progress: false, headers: HeaderMap::new() };
    let mut exchange = link.post(worker, pass, channel, letter).await.ok()?;
    final_answer(link, &mut exchange, id).await.ok()?;
    exchange.status().is_success().then_some(())
}
