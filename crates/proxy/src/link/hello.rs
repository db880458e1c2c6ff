//! Getting acquainted: `server/discover` with the modern side, `initialize` with the legacy one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use domain::Transport;
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::envelope::{Message, MessageKind};
use mcp::errors::{self, HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_VERSION};
use mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use mcp::json::{Limits, Raw};
use mcp::meta;
use mcp::revision::{self, Revision};
use tokio_util::sync::CancellationToken;

use super::post::{add_session, version};
use super::stdio::Shared;
use super::{Exchange, Hello, Letter, Link, UpstreamSession, line};
use crate::authorize::Pass;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::Child;

/// How we introduce ourselves when we open a legacy session.
pub(crate) struct Introduction {
    pub(crate) revision: Revision,
    /// JSON object.
    pub(crate) capabilities: Bytes,
    /// JSON object.
    pub(crate) client_info: Bytes,
    /// Whether the session is one client's own, which may be asked things on its behalf.
    pub(crate) own: bool,
}

impl Introduction {
    /// As ourselves, able to answer nothing: such a session can be shared by calls.
    pub(crate) fn plain() -> Self {
        Self {
            revision: revision::LATEST_LEGACY,
            capabilities: Bytes::from_static(b"{}"),
            client_info: our_info(),
            own: false,
        }
    }
}

/// How we name ourselves to both sides: an `Implementation` object.
pub(crate) fn our_info() -> Bytes {
    Bytes::from_static(
        concat!(r#"{"name":"ostiary","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#).as_bytes(),
    )
}

/// How long the verdict that there is no modern side holds: one that an answer has given, and one
/// that nothing but an HTTP status has.
const SAID: Duration = Duration::from_secs(60 * 60);
const GUESSED: Duration = Duration::from_secs(60);

/// Asks the modern side, and says for how long it holds that there is none. What is no evidence
/// is an error.
pub(super) async fn discover(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
) -> Result<(Option<Hello>, Duration), Refusal> {
    let asking = async {
        match ask(link, worker, pass).await? {
            // It refuses a revision, and names one that is ours: once more, in that.
            (_, Ok(answer)) if offers_ours(&answer) => ask(link, worker, pass).await,
            asked => Ok(asked),
        }
    };
    let outcome = tokio::time::timeout(worker.proxy.options.probe, asking).await;
    let patience = worker.proxy.options.probe;
    if matches!(link.server.transport, Transport::Stdio { .. }) {
        // A child that does not answer what it does not know, or ends, is a legacy one. One that
        // was never asked is not.
        let answer = outcome.map_or(Ok(None), |it| it.map(|(_, answer)| answer.ok()))?;
        return Ok(match answer.as_ref().and_then(Message::result).and_then(discovered) {
            Some(hello) => (Some(hello), SAID),
            None => (link.children.not_modern().await, SAID),
        });
    }
    let late = || Err(link.refuse(UpstreamError::Timeout(patience)));
    let (status, answer) = outcome.unwrap_or_else(|_| late())?;
    match (status.as_u16(), answer) {
        (401 | 403 | 407 | 408 | 429 | 500.., _) | (300..=399, _) => {
            Err(link.refuse(UpstreamError::Status(status.as_u16())))
        }
        (_, Ok(message)) => Ok((message.result().and_then(discovered), SAID)),
        // Its connection has broken.
        (_, Err(error @ UpstreamError::Wire(..))) => Err(link.refuse(error)),
        (200..=299, Err(error @ UpstreamError::Malformed(_))) => Err(link.refuse(error)),
        (_, Err(_)) => Ok((None, GUESSED)),
    }
}

/// Asks once: the HTTP status, and the answer.
async fn ask(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
) -> Result<(StatusCode, Result<Message, UpstreamError>), Refusal> {
    let id = link.next_id();
    let body = discover_body(id);
    let mut headers = HeaderMap::new();
    headers.insert(MCP_METHOD, HeaderValue::from_static("server/discover"));
    headers.insert(MCP_PROTOCOL_VERSION, version(revision::LATEST));
    let letter = Letter { parts: vec![body], id: Some(id), progress: false, headers };
    let mut exchange = link.deliver(worker, pass, None, letter).await?;
    let answer = final_answer(link, &mut exchange, id).await;
    Ok((exchange.status(), answer))
}

/// Whether an answer refuses the revision of a request and yet names it as supported.
fn offers_ours(answer: &Message) -> bool {
    let code = answer.error().and_then(|it| it.get("code")).and_then(Raw::i64);
    let supported = answer.error().and_then(|it| it.at(&["data", "supported"]));
    code == Some(i64::from(UNSUPPORTED_VERSION))
        && supported
            .into_iter()
            .flat_map(Raw::items)
            .any(|it| it.str().is_some_and(|it| it == revision::LATEST.as_str()))
}

fn discover_body(id: u64) -> Bytes {
    let params = format!(
        r#"{{"_meta":{{"{}":"{}","{}":{{}},"{}":{}}}}}"#,
        meta::PROTOCOL_VERSION,
        revision::LATEST.as_str(),
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        String::from_utf8_lossy(&our_info()),
    );
    errors::request_body(id.to_string().as_bytes(), "server/discover", Some(params.as_bytes()))
}

fn discovered(result: Raw<'_>) -> Option<Hello> {
    let mut versions = result.get("supportedVersions")?.items().filter_map(Raw::str);
    if !versions.any(|it| it == revision::LATEST.as_str()) {
        return None;
    }
    let info = result.at(&[meta::META, meta::SERVER_INFO]);
    Some(hello(revision::LATEST, result, info))
}

fn hello(revision: Revision, result: Raw<'_>, info: Option<Raw<'_>>) -> Hello {
    /// What is longer is kept for nobody.
    const LONGEST: usize = 64 << 10;

    let object = |it: Raw<'_>| {
        (it.is_object() && it.bytes().len() <= LONGEST).then(|| Bytes::copy_from_slice(it.bytes()))
    };
    let instructions = result.get("instructions").filter(|it| it.bytes().len() <= LONGEST);
    Hello {
        revision,
        capabilities: result
            .get("capabilities")
            .and_then(object)
            .unwrap_or(Bytes::from_static(b"{}")),
        instructions: instructions.and_then(Raw::str).map(|it| it.into_owned()),
        info: info.and_then(object),
    }
}

/// Opens a legacy session.
pub(super) async fn initialize(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    introduction: &Introduction,
) -> Result<UpstreamSession, Refusal> {
    let opening = open(link, worker, pass, introduction);
    let patience = worker.proxy.options.probe;
    tokio::time::timeout(patience, opening)
        .await
        .unwrap_or_else(|_| Err(link.refuse(UpstreamError::Timeout(patience))))
}

async fn open(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    introduction: &Introduction,
) -> Result<UpstreamSession, Refusal> {
    let (child, ears) = match &link.server.transport {
        Transport::Stdio { .. } if introduction.own => {
            let (child, ears) = link.children.own(link, worker).await?;
            (Some(child), Some(ears))
        }
        Transport::Stdio { .. } => {
            let Shared { child, said } = link.children.shared(link, worker).await?;
            let mut shared = session(link, pass, introduction, Some(child.clone()));
            let asked = session(link, pass, introduction, Some(child));
            let asking = introduce(link, worker, pass, (introduction, asked));
            let hello = said.get_or_try_init(async || asking.await.map(|it| it.hello)).await?;
            shared.hello = hello.copied();
            return Ok(shared);
        }
        Transport::Sse { .. } => return on_line(link, worker, pass, introduction).await,
        Transport::Http { .. } => return over_http(link, worker, pass, introduction).await,
    };
    let opened = session(link, pass, introduction, child);
    let opened = introduce(link, worker, pass, (introduction, opened)).await?;
    Ok(UpstreamSession { ears, ..opened })
}

/// The older of the two transports is looked for where the newer one is not: where a message is
/// refused in the way that servers refuse what they do not have (the specification's "backwards
/// compatibility").
async fn over_http(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    introduction: &Introduction,
) -> Result<UpstreamSession, Refusal> {
    if link.lines.is_found() {
        let opened = on_line(link, worker, pass, introduction).await;
        let is_gone = |it: &UpstreamError| matches!(it, UpstreamError::Status(400 | 404 | 405));
        match &opened {
            Err(Refusal::Upstream { source, .. }) if is_gone(source) => {
                link.lines.set_found(false);
            }
            _ => return opened,
        }
    }
    let unopened = session(link, pass, introduction, None);
    let opened = introduce(link, worker, pass, (introduction, unopened)).await;
    let Err(Refusal::Upstream { source: UpstreamError::Status(400 | 404 | 405), .. }) = &opened
    else {
        return opened;
    };
    // A server may have a stream at this place that is none of this transport, and is silent.
    let patience = worker.proxy.options.probe / 4;
    let opening = on_line(link, worker, pass, introduction);
    match tokio::time::timeout(patience, opening).await {
        Ok(Ok(opened)) => {
            link.lines.set_found(true);
            Ok(opened)
        }
        _ => Err(link.refuse(UpstreamError::Era)),
    }
}

/// Opens a session that is a stream.
async fn on_line(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    introduction: &Introduction,
) -> Result<UpstreamSession, Refusal> {
    let mut opened = session(link, pass, introduction, None);
    opened.line = Some(line::open(link, worker, pass, introduction.own).await?);
    introduce(link, worker, pass, (introduction, opened)).await
}

async fn introduce(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    (introduction, mut session): (&Introduction, UpstreamSession),
) -> Result<UpstreamSession, Refusal> {
    let id = link.next_id();
    let params = format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}"#,
        introduction.revision.as_str(),
        String::from_utf8_lossy(&introduction.capabilities),
        String::from_utf8_lossy(&introduction.client_info),
    );
    let body =
        errors::request_body(id.to_string().as_bytes(), "initialize", Some(params.as_bytes()));
    let letter =
        Letter { parts: vec![body], id: Some(id), progress: false, headers: HeaderMap::new() };
    let mut exchange = link.deliver(worker, pass, Some(&session), letter).await?;
    let status = exchange.status();
    session.id = exchange.session().cloned();
    let answer = final_answer(link, &mut exchange, id).await;
    let answer = accepted(link, status, answer)?;
    let result = answer.result().ok_or_else(|| link.refuse(UpstreamError::Era))?;
    let revision = result.get("protocolVersion").and_then(Raw::str);
    let revision: Revision =
        revision.and_then(|it| it.parse().ok()).ok_or_else(|| link.refuse(UpstreamError::Era))?;
    session.hello = hello(revision, result, result.get("serverInfo"));
    drop(exchange);
    say_initialized(link, worker, pass, &session).await?;
    Ok(session)
}

/// A legacy side that does not know `initialize` is none; other failures say nothing of the era, or
/// not yet.
fn accepted(
    link: &Link,
    status: StatusCode,
    answer: Result<Message, UpstreamError>,
) -> Result<Message, Refusal> {
    let error = match (status.as_u16(), answer) {
        (200..=299, Ok(message)) => match message.error() {
            None => return Ok(message),
            Some(error) if is_foreign(error) => UpstreamError::Era,
            Some(error) => {
                let why = error.get("message").and_then(Raw::str).unwrap_or_default();
                UpstreamError::Malformed(format!("`initialize` failed: {why}"))
            }
        },
        (400 | 404 | 405, Ok(message)) if is_modern(&message) => UpstreamError::Era,
        (200..=299, Err(error)) => error,
        (status, _) => UpstreamError::Status(status),
    };
    Err(link.refuse(error))
}

/// Whether nobody but a server of the modern era answers so.
fn is_modern(answer: &Message) -> bool {
    let code = answer.error().and_then(|it| it.get("code")).and_then(Raw::i64);
    matches!(code.and_then(|it| i32::try_from(it).ok()), Some(-32022..=-32020))
}

/// Whether an error says that the method, or the revision in it, is not known.
fn is_foreign(error: Raw<'_>) -> bool {
    let code = error.get("code").and_then(Raw::i64).and_then(|it| i32::try_from(it).ok());
    matches!(code, Some(METHOD_NOT_FOUND | INVALID_PARAMS | UNSUPPORTED_VERSION | HEADER_MISMATCH))
}

async fn say_initialized(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    session: &UpstreamSession,
) -> Result<(), Refusal> {
    let mut headers = HeaderMap::new();
    add_session(&mut headers, session);
    let body = errors::notification_body("notifications/initialized", None);
    let letter = Letter { parts: vec![body], id: None, progress: false, headers };
    let mut exchange = link.deliver(worker, pass, Some(session), letter).await?;
    // Read to its end, so that the connection can be used again.
    while let Some(Ok(_)) = exchange.next().await {}
    Ok(())
}

/// One of which nothing is known yet.
fn session(
    link: &Link,
    pass: &Pass,
    introduction: &Introduction,
    child: Option<Child>,
) -> UpstreamSession {
    let hello = Hello {
        revision: Revision::V2025_03_26,
        capabilities: Bytes::new(),
        instructions: None,
        info: None,
    };
    let server = Arc::clone(&link.server);
    let (identity, own, lost) = (pass.subject.identity, introduction.own, AtomicBool::new(false));
    let (heard, log_level) = (CancellationToken::new(), tokio::sync::Mutex::default());
    let left = parking_lot::Mutex::default();
    let (id, line, ears, has_no_stream) = (None, None, None, AtomicBool::new(false));
    UpstreamSession {
        id,
        hello,
        server,
        identity,
        lost,
        heard,
        log_level,
        left,
        own,
        child,
        line,
        ears,
        has_no_stream,
    }
}

/// The answer to our own request; what else comes meanwhile is for nobody.
pub(crate) async fn final_answer(
    link: &Link,
    exchange: &mut Exchange,
    id: u64,
) -> Result<Message, UpstreamError> {
    while let Some(next) = exchange.next().await {
        let message = Message::parse(next?, Limits::default())
            .map_err(|error| UpstreamError::Malformed(error.to_string()))?;
        let is_answer = matches!(message.kind(), MessageKind::Response | MessageKind::Error);
        let ours = message.id().and_then(Raw::u64) == Some(id);
        // An error that could not read our id has none.
        let lost_id = message.kind() == MessageKind::Error && message.id().is_none_or(Raw::is_null);
        if is_answer && (ours || lost_id) {
            return Ok(message);
        }
    }
    tracing::debug!(server.name = link.name(), "An upstream ended a stream without an answer");
    Err(UpstreamError::NoAnswer)
}
