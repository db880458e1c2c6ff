//! From the upstream's answer to the client: rules, gate, durable outcome, release.
//!
//! An answer that comes alone goes back as JSON. When something else comes first, or nothing for a
//! while, the response becomes a stream of events that ends with the answer. What is released
//! before the answer is counted into the outcome, which is durable before the answer is released.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use mcp::convert;
use mcp::envelope::{Message, MessageKind};
use mcp::errors;
use mcp::json::{Limits, Raw};
use mcp::meta;
use mcp::methods;
use mcp::names;
use mcp::revision::Era;
use mcp::splice::Splice;
use mcp::sse;

use crate::answer;
use crate::body::{Body, Outlet};
use crate::cancel;
use crate::content;
use crate::forward::Sent;
use crate::late;
use crate::link::{Channel, Letter};
use crate::record::{self, Outcome, Recorded};
use crate::refusal::{Refusal, UpstreamError};
use crate::session::Pending;

/// A sent call until its outcome is recorded. Dropped before that, it was given up by its client.
struct Turn {
    sent: Option<Sent>,
    /// Questions of the upstream that the client has been asked.
    asked: Vec<u64>,
    last_news: Duration,
}

/// What happens next.
enum Step {
    Answer(Message),
    News(Message),
    Broken(UpstreamError),
    /// A cut-off has ended the call.
    CutOff,
    /// The client has cancelled it, in these words.
    Cancelled(Message),
    /// Nothing for a while.
    Quiet,
}

/// Answers a call that has been sent.
pub(crate) async fn release(sent: Sent) -> Response<Body> {
    let mut turn = Turn::of(sent);
    let first = loop {
        match turn.step().await {
            Step::Answer(answer) => {
                let (status, parts) = turn.settle(answer).await;
                return answer::json(status, parts);
            }
            Step::Broken(error) => return turn.fail(error).await,
            Step::CutOff => return turn.cut_off().await,
            Step::Cancelled(word) => {
                turn.give_up(&word).await;
                return answer::events(Body::empty());
            }
            Step::Quiet => break sse::KEEP_ALIVE,
            Step::News(message) => {
                if let Some(news) = turn.news(message).await {
                    break sse::event(&news);
                }
            }
        }
    };
    answer::events(Body::stream(|outlet| turn.stream(Some(first), outlet)))
}

/// Answers a call that has been sent, in a response that is a stream already.
pub(crate) async fn release_into(sent: Sent, outlet: Outlet) {
    Turn::of(sent).stream(None, outlet).await;
}

/// A call that was recorded and has got no answer.
pub(crate) async fn refuse(recorded: &Recorded, refusal: &Refusal) -> Response<Body> {
    let asked = &recorded.permitted().asked;
    asked.worker.proxy.metrics.refused(refusal.reason());
    match record::outcome(recorded, &Outcome::refused(refusal)).await {
        Ok(()) => answer::refusal(refusal, asked.manner()),
        Err(unrecorded) => answer::refusal(&unrecorded, asked.manner()),
    }
}

/// The same in a response that is a stream already, and ends with it.
pub(crate) async fn refuse_into(recorded: &Recorded, refusal: &Refusal, outlet: &Outlet) {
    let asked = &recorded.permitted().asked;
    asked.worker.proxy.metrics.refused(refusal.reason());
    let unrecorded = record::outcome(recorded, &Outcome::refused(refusal)).await.err();
    let refusal = unrecorded.as_ref().unwrap_or(refusal);
    let (_, body) = answer::refusal_parts(refusal, asked.manner());
    // A client that is gone needs no last word.
    outlet.send(sse::event(&body)).await.ok();
}

impl Turn {
    fn of(sent: Sent) -> Self {
        let permitted = sent.recorded.permitted();
        permitted.pass.flight.land();
        let last_news = permitted.asked.worker.proxy.clock.elapsed();
        Self { sent: Some(sent), asked: Vec::new(), last_news }
    }

    fn sent(&self) -> &Sent {
        self.sent.as_ref().expect("a turn has its call until it is settled")
    }

    async fn step(&mut self) -> Step {
        let sent = self.sent.as_mut().expect("a turn has its call until it is settled");
        let permitted = sent.recorded.permitted();
        let flight = Arc::clone(&permitted.pass.flight);
        let options = &permitted.asked.worker.proxy.options;
        let silent = permitted.asked.worker.proxy.clock.elapsed().saturating_sub(self.last_news);
        if options.silence <= silent {
            return Step::Broken(UpstreamError::Timeout(options.silence));
        }
        let next = tokio::select! {
            biased;
            () = flight.ended() => return Step::CutOff,
            next = sent.exchange.next() => next,
            word = sent.ear.cancelled() => return Step::Cancelled(word),
            () = tokio::time::sleep(late::HEARTBEAT) => return Step::Quiet,
        };
        let status = sent.exchange.status();
        match next {
            None if status.is_success() => Step::Broken(UpstreamError::NoAnswer),
            None => Step::Broken(UpstreamError::Status(status.as_u16())),
            Some(Err(error)) => Step::Broken(error),
            Some(Ok(text)) => self.classify(text, status),
        }
    }

    fn classify(&mut self, text: Bytes, status: StatusCode) -> Step {
        let sent = self.sent();
        self.last_news = sent.recorded.permitted().asked.worker.proxy.clock.elapsed();
        let sent = self.sent();
        let message = match Message::parse(text, Limits::default()) {
            Ok(message) => message,
            // What a refusing proxy in front of the upstream sends is rarely JSON.
            Err(_) if !status.is_success() => {
                return Step::Broken(UpstreamError::Status(status.as_u16()));
            }
            Err(error) => return Step::Broken(UpstreamError::Malformed(error.to_string())),
        };
        let ours = message.id().and_then(Raw::u64) == Some(sent.way.id);
        match message.kind() {
            MessageKind::Response if ours => Step::Answer(message),
            // An error that could not read our id has none.
            MessageKind::Error if ours || message.id().is_none_or(Raw::is_null) => {
                if matches!(status.as_u16(), 401 | 403 | 407 | 429 | 500..) {
                    return Step::Broken(UpstreamError::Status(status.as_u16()));
                }
                Step::Answer(message)
            }
            _ => Step::News(message),
        }
    }

    async fn stream(mut self, first: Option<Bytes>, outlet: Outlet) {
        let mut event = first;
        loop {
            if let Some(event) = event
                && outlet.send(event).await.is_err()
            {
                return;
            }
            event = match self.step().await {
                Step::Quiet => Some(sse::KEEP_ALIVE),
                Step::News(message) => self.news(message).await.map(|it| sse::event(&it)),
                Step::Answer(answer) => {
                    let (_, parts) = self.settle(answer).await;
                    for part in sse_parts(parts) {
                        if outlet.send(part).await.is_err() {
                            break;
                        }
                    }
                    return;
                }
                Step::Broken(error) => {
                    let refusal = self.sent().way.link.refuse(error);
                    self.end_stream(&refusal, &outlet).await;
                    return;
                }
                Step::CutOff => {
                    let refusal = self.sent().recorded.permitted().pass.why_ended().await;
                    self.end_stream(&refusal, &outlet).await;
                    return;
                }
                Step::Cancelled(word) => {
                    self.give_up(&word).await;
                    return;
                }
            };
        }
    }

    async fn end_stream(&mut self, refusal: &Refusal, outlet: &Outlet) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        let Sent { exchange, recorded, .. } = sent;
        drop(exchange);
        refuse_into(&recorded, refusal, outlet).await;
    }

    /// What else an upstream says while a call is under way, as the client is told it.
    async fn news(&mut self, message: Message) -> Option<Bytes> {
        match message.kind() {
            MessageKind::Notification => self.notification(message),
            MessageKind::Request => self.question(message).await,
            // An answer to something that was not asked here (H069).
            MessageKind::Response | MessageKind::Error => None,
        }
    }

    fn notification(&self, message: Message) -> Option<Bytes> {
        let sent = self.sent();
        let permitted = sent.recorded.permitted();
        let asked = &permitted.asked;
        if asked.era() == Era::Modern && !is_due(&message, &asked.message) {
            return None;
        }
        let mut splice = Splice::new(message.body().clone());
        if message.method() == "notifications/progress" {
            let token = message.params()?.get("progressToken")?;
            let theirs = asked.message.params().and_then(meta::progress_token)?;
            let remapped = token.u64() == Some(sent.way.id)
                && matches!(&sent.exchange, crate::link::Exchange::Stdio(_));
            if remapped {
                splice.replace_value(token, Bytes::copy_from_slice(theirs.bytes()));
            } else if token.bytes() != theirs.bytes() {
                // The token of another request (H071).
                return None;
            }
        }
        if let Some(changed) = message.method().strip_suffix("/list_changed")
            && changed.starts_with("notifications/")
            && let Some(server) = permitted.pass.subject.server
        {
            asked.worker.proxy.catalog.changed(server);
        }
        if asked.era() == Era::Legacy
            && let Some(params) = message.params()
        {
            let revision = asked.revision;
            convert::to_legacy_notification(&mut splice, message.method(), params, revision);
        }
        Some(splice.finish().into_bytes())
    }

    /// A question of the upstream goes to the client under an id of ours, if it can be asked.
    async fn question(&mut self, message: Message) -> Option<Bytes> {
        let sent = self.sent();
        let asked = &sent.recorded.permitted().asked;
        let Channel::Legacy(upstream) = &sent.way.channel else {
            // The modern era has no such questions; it is the upstream's mistake (H061).
            tracing::warn!(server.name = sent.way.link.name(), "A modern server sent a request");
            return None;
        };
        let id = message.id()?;
        if message.method() == "ping" {
            self.reply(errors::result_body(id.bytes(), b"{}")).await;
            return None;
        }
        let permitted = sent.recorded.permitted();
        let assignment = permitted.pass.offered.as_ref().map(|it| &it.assignment);
        let assignment = assignment.or(permitted.pass.place.only.as_ref())?;
        let pending = Pending {
            upstream: Arc::clone(upstream),
            assignment: Arc::clone(assignment),
            id: Bytes::copy_from_slice(id.bytes()),
        };
        let Some(ours) = asked.session.as_ref().and_then(|it| it.ask(pending)) else {
            let text = "this client cannot be asked";
            let body = errors::error_body(Some(id.bytes()), errors::METHOD_NOT_FOUND, text, None);
            self.reply(body).await;
            return None;
        };
        let mut splice = Splice::new(message.body().clone());
        splice.replace_value(id, ours.to_string());
        self.asked.push(ours);
        Some(splice.finish().into_bytes())
    }

    /// Answers the upstream ourselves.
    async fn reply(&self, body: Bytes) {
        let sent = self.sent();
        let permitted = sent.recorded.permitted();
        let headers = http::HeaderMap::new();
        let letter = Letter { parts: vec![body], id: None, progress: false, headers };
        let worker = &permitted.asked.worker;
        let posted = sent.way.link.post(worker, &permitted.pass, &sent.way.channel, letter).await;
        if let Err(error) = posted {
            tracing::debug!(%error, "A question of an upstream could not be answered");
        }
    }

    /// The answer as it is released, and its HTTP status.
    async fn settle(&mut self, message: Message) -> (StatusCode, Vec<Bytes>) {
        let Some(sent) = self.sent.take() else {
            return (StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
        };
        self.forget(&sent);
        let asked = &sent.recorded.permitted().asked;
        let now = asked.worker.proxy.clock.elapsed();
        sent.way.link.succeeded(now);
        let prepared = match prepare(&sent, &message) {
            Ok(prepared) => cleared(&sent, prepared).await,
            Err(refusal) => Err(refusal),
        };
        let (outcome, status, parts) = match prepared {
            Ok((status, parts, hits)) => (Outcome::answered(&message, &parts, hits), status, parts),
            Err(refusal) => {
                asked.worker.proxy.metrics.refused(refusal.reason());
                let (status, body) = answer::refusal_parts(&refusal, asked.manner());
                (Outcome::refused(&refusal), status, vec![body])
            }
        };
        match record::outcome(&sent.recorded, &outcome).await {
            Ok(()) => (status, parts),
            Err(unrecorded) => {
                let (status, body) = answer::refusal_parts(&unrecorded, asked.manner());
                (status, vec![body])
            }
        }
    }

    async fn fail(&mut self, error: UpstreamError) -> Response<Body> {
        let Some(sent) = self.sent.take() else { return answer::accepted() };
        self.forget(&sent);
        let refusal = sent.way.link.refuse(error);
        drop(sent.exchange);
        refuse(&sent.recorded, &refusal).await
    }

    async fn cut_off(&mut self) -> Response<Body> {
        let refusal = self.sent().recorded.permitted().pass.why_ended().await;
        let Some(sent) = self.sent.take() else { return answer::accepted() };
        self.forget(&sent);
        drop(sent.exchange);
        refuse(&sent.recorded, &refusal).await
    }

    /// The client has said that it wants no answer any more.
    async fn give_up(&mut self, word: &Message) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        let Sent { exchange, way, recorded, .. } = sent;
        drop(exchange);
        cancel::give_up(&recorded, Some(&way), Some(word)).await;
    }

    fn forget(&self, sent: &Sent) {
        let asked = &sent.recorded.permitted().asked;
        if let Some(session) = &asked.session {
            session.forget(&self.asked);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(sent) = self.sent.take() else { return };
        self.forget(&sent);
        let tasks = sent.recorded.permitted().asked.worker.proxy.options.tasks.clone();
        let Sent { exchange, way, recorded, .. } = sent;
        drop(exchange);
        tasks.spawn(async move { cancel::give_up(&recorded, Some(&way), None).await });
    }
}

/// Whether a modern client may be told this in the answer to its request: logs from the level on
/// that it has named, and nothing that belongs to subscriptions.
fn is_due(news: &Message, request: &Message) -> bool {
    match news.method() {
        "notifications/message" => {
            let wanted = request.params().and_then(meta::log_level);
            let level = news.params().and_then(|it| it.get("level")).and_then(Raw::str);
            let level = level.and_then(|it| meta::LogLevel::parse(&it));
            wanted.is_some_and(|wanted| level.is_none_or(|level| wanted <= level))
        }
        "notifications/progress" => true,
        other => methods::describe(other).is_none(),
    }
}

type Prepared = (StatusCode, Vec<Bytes>, Vec<inspect::Hit>);

/// The answer in the client's terms, after the rules.
fn prepare(sent: &Sent, message: &Message) -> Result<Prepared, Refusal> {
    let permitted = sent.recorded.permitted();
    let asked = &permitted.asked;
    let method = asked.message.method();
    let mut splice = Splice::new(message.body().clone());
    match message.id() {
        Some(id) => splice.replace_value(id, Bytes::copy_from_slice(asked.id())),
        None => splice.set_member(message.root(), "id", Bytes::copy_from_slice(asked.id())),
    }
    if let Some(error) = message.error() {
        if permitted.spoken != asked.era() {
            convert::convert_error(&mut splice, method, error, asked.era());
        }
        let code = error.get("code").and_then(Raw::i64).unwrap_or_default();
        let status = answer::status_of(code, asked.era());
        return Ok((status, splice.finish().into_parts(), Vec::new()));
    }
    let result = message.result().ok_or(Refusal::Rules)?;
    let spoken = permitted.spoken;
    match (spoken, asked.era()) {
        (Era::Legacy, Era::Modern) => {
            let hints = methods::describe(method).is_some_and(|it| it.has_cache_hints);
            let hints = hints.then_some(convert::CacheHints::NONE);
            convert::to_modern_result(&mut splice, method, result, hints);
        }
        (Era::Modern, Era::Legacy) => {
            if result.get("resultType").and_then(Raw::str).is_some_and(|it| it != "complete") {
                return Err(sent.way.link.refuse(UpstreamError::Interactive));
            }
            convert::to_legacy_result(&mut splice, method, result, asked.revision);
        }
        _ => {}
    }
    let mut hits = Vec::new();
    if let Some(offered) = &permitted.pass.offered {
        if offered.kind == domain::Kind::Tool {
            let leg = inspect::Leg::Response;
            hits = content::apply(&permitted.rules, leg, offered, Some(result), &mut splice)?;
        }
        if permitted.prefixed {
            let alias = offered.assignment.alias.as_str();
            for content in result.get("contents").into_iter().flat_map(Raw::items) {
                let uri = content.get("uri");
                if let Some((place, text)) = uri.and_then(|it| it.str().map(|text| (it, text))) {
                    let exposed = mcp::json::quote(&names::exposed_uri(alias, &text));
                    splice.replace_value(place, Bytes::from(exposed));
                }
            }
        }
    }
    Ok((StatusCode::OK, splice.finish().into_parts(), hits))
}

/// The gate on the way back: what was cut off meanwhile is not released.
async fn cleared(sent: &Sent, prepared: Prepared) -> Result<Prepared, Refusal> {
    sent.recorded.permitted().pass.clear().await?;
    Ok(prepared)
}

/// Parts of one JSON text as one event, without joining them. Upstream JSON may hold line ends
/// between its tokens, which would end the event, so each part is framed for itself.
fn sse_parts(parts: Vec<Bytes>) -> Vec<Bytes> {
    if parts.iter().any(|it| memchr::memchr2(b'\n', b'\r', it).is_some()) {
        return vec![sse::event(&parts.concat())];
    }
    let mut framed = vec![Bytes::from_static(b"event: message\ndata: ")];
    framed.extend(parts);
    framed.push(Bytes::from_static(b"\n\n"));
    framed
}
