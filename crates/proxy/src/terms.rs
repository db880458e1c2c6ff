//! What an upstream says, in its client's terms.
//!
//! The rules come first: what is converted for another era is made of what they have left.

use bytes::Bytes;
use http::StatusCode;
use inspect::{Hit, Leg};
use mcp::bridge;
use mcp::convert;
use mcp::envelope::Message;
use mcp::errors::{HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION};
use mcp::extensions;
use mcp::json::Raw;
use mcp::meta;
use mcp::methods;
use mcp::revision::Era;
use mcp::splice::Splice;

use crate::answer;
use crate::call::Permitted;
use crate::content;
use crate::follow;
use crate::forward::Sent;
use crate::link::{Channel, Exchange};
use crate::parked;
use crate::refusal::{Refusal, Unanswered, UpstreamError};
use crate::tasks;
use crate::tasks::recast::Told;

/// HTTP status, body, and what the rules have found.
pub(crate) type Prepared = (StatusCode, Vec<Bytes>, Vec<Hit>);

/// An answer as it may be released.
pub(crate) fn answer(sent: &Sent, message: &Message) -> Result<Prepared, Refusal> {
    let permitted = sent.recorded.permitted();
    let asked = &permitted.asked;
    if let Some(mistake) = ours(permitted, message) {
        return Err(sent.way.link.refuse(mistake));
    }
    let mut hits = Vec::new();
    let message = after_rules(permitted, message, &mut hits)?;
    let mut splice = Splice::new(message.body().clone());
    match message.id() {
        Some(id) => splice.replace_value(id, Bytes::copy_from_slice(asked.id())),
        None => splice.set_member(message.root(), "id", Bytes::copy_from_slice(asked.id())),
    }
    let method = asked.message.method();
    if let Some(error) = message.error() {
        if let Some(result) = parked::urls(permitted, error) {
            return Ok((StatusCode::OK, answer::result(asked.id(), [result]), hits));
        }
        let code = error.get("code").and_then(Raw::i64).unwrap_or_default();
        if (permitted.spoken, asked.era()) == (Era::Modern, Era::Legacy)
            && code == i64::from(MISSING_CAPABILITY)
        {
            let missing = match bridge::missing_capabilities(error).join("`, `") {
                names if names.is_empty() => "(unnamed)".to_owned(),
                names => names,
            };
            let why = Unanswered::Undeclared(missing);
            return Err(Refusal::unanswered(sent.way.link.name(), why));
        }
        if permitted.spoken != asked.era() {
            convert::convert_error(&mut splice, method, error, asked.era());
        }
        let status = answer::status_of(code, asked.era());
        return Ok((status, splice.finish().into_parts(), hits));
    }
    let result = message.result().ok_or(Refusal::Rules)?;
    match (permitted.spoken, asked.era()) {
        (Era::Legacy, Era::Modern) => {
            let hints = methods::describe(method).is_some_and(|it| it.has_cache_hints);
            let hints = hints.then_some(convert::CacheHints::NONE);
            convert::to_modern_result(&mut splice, method, result, hints);
            let told = tasks::tended::told(permitted, result);
            if let Some(told) = told.map_err(|error| sent.way.link.refuse(error))? {
                splice.replace_value(result, told);
            }
        }
        (Era::Modern, Era::Legacy) => to_legacy(sent, result, &mut splice)?,
        (Era::Modern, Era::Modern) => {
            convert::complete_modern_result(&mut splice, method, result);
            if let Some(state) = follow::request_state(sent, result)? {
                splice.set_member(result, "requestState", mcp::json::quote(&state));
            }
            let sealed = tasks::seal(permitted, result, &mut splice);
            sealed.map_err(|error| sent.way.link.refuse(error))?;
        }
        (Era::Legacy, Era::Legacy) => {
            // One child serves clients of all revisions, and a server may insist on its own.
            if matches!(&sent.way.channel, Channel::Legacy(it) if asked.revision < it.hello.revision)
            {
                convert::downgrade_result(&mut splice, method, result, asked.revision);
            }
        }
    }
    if let Some(offered) = permitted.pass.offered.as_ref().filter(|_| permitted.prefixed) {
        convert::expose_uris(&mut splice, result, offered.assignment.alias.as_str());
        extensions::remove_page(&mut splice, result);
    }
    Ok((StatusCode::OK, splice.finish().into_parts(), hits))
}

/// A modern server's result for a legacy client.
fn to_legacy(sent: &Sent, result: Raw<'_>, splice: &mut Splice) -> Result<(), Refusal> {
    let permitted = sent.recorded.permitted();
    let asked = &permitted.asked;
    let method = asked.message.method();
    let kind = result.get("resultType").and_then(Raw::str);
    let is_task = kind.as_deref() == Some("task") && permitted.converts_task;
    if !is_task && kind.is_some_and(|it| it != "complete") {
        let text = "its result is of a kind that nobody has asked for".to_owned();
        return Err(sent.way.link.refuse(UpstreamError::Malformed(text)));
    }
    let told = tasks::recast::told(permitted, result);
    match told.map_err(|error| sent.way.link.refuse(error))? {
        Told::Result(told) => splice.replace_value(result, told),
        Told::OfTask => {
            convert::to_legacy_result(splice, "tools/call", result, asked.revision);
            tasks::recast::relate(permitted, splice, result);
        }
        Told::Other => {
            convert::to_legacy_result(splice, method, result, asked.revision);
        }
    }
    Ok(())
}

/// A notification that belongs to the call, as its client is told it; nothing where it is not.
pub(crate) fn notification(sent: &Sent, news: &Message, hits: &mut Vec<Hit>) -> Option<Bytes> {
    let permitted = sent.recorded.permitted();
    let asked = &permitted.asked;
    note_change(permitted, news);
    if asked.era() == Era::Modern && !is_due(news, &asked.message) {
        return None;
    }
    let mut value = None;
    if news.method() == "notifications/progress" {
        let token = news.params()?.get("progressToken")?;
        let theirs = asked.message.params().and_then(meta::progress_token)?;
        let is_shared = matches!(&sent.exchange, Exchange::Stdio(_) | Exchange::Line(_));
        let is_ours = is_shared || sent.way.lease.is_some();
        let remapped = is_ours && token.u64() == Some(sent.way.id);
        // Else it is the token of another request (H071).
        (remapped || token.bytes() == theirs.bytes()).then_some(())?;
        if let Some(progress) = news.params()?.get("progress").and_then(Raw::f64) {
            let mut most = sent.way.progress.lock();
            *most = most.max(progress);
        }
        value = Some(("progressToken", Bytes::copy_from_slice(theirs.bytes())));
    } else if news.method() == "notifications/cancelled" {
        // It takes back a question; of what others were asked it says nothing.
        let Channel::Legacy(upstream) = &sent.way.channel else { return None };
        let id = news.params()?.get("requestId")?;
        let ours = asked.session.as_ref()?.pending.take_back(upstream, id.bytes())?;
        value = Some(("requestId", Bytes::from(ours.to_string())));
    }
    let news = after_rules(permitted, news, hits).ok()?;
    let mut splice = Splice::new(news.body().clone());
    let params = news.params();
    if let (Some(params), Some((key, value))) = (params, value) {
        splice.set_member(params, key, value);
    }
    if let (Some(params), Era::Legacy) = (params, asked.era()) {
        convert::to_legacy_notification(&mut splice, news.method(), params, asked.revision);
    }
    Some(splice.finish().into_bytes())
}

/// What the rules leave of a message. Where they leave nothing, `hits` tell why.
pub(crate) fn after_rules(
    permitted: &Permitted,
    message: &Message,
    hits: &mut Vec<Hit>,
) -> Result<Message, Refusal> {
    match permitted.pass.offered.as_ref().filter(|it| it.kind == domain::Kind::Tool) {
        None => Ok(message.clone()),
        Some(tool) => {
            let tool = (tool.assignment.alias.as_str(), tool.name.as_ref());
            content::edit(&permitted.rules, Leg::Response, tool, message, hits)
        }
    }
}

/// An error that speaks of how we have asked, and not of what the client wants.
fn ours(permitted: &Permitted, message: &Message) -> Option<UpstreamError> {
    let code = message.error()?.get("code").and_then(Raw::i64)?;
    match i32::try_from(code).ok().filter(|_| permitted.spoken == Era::Modern)? {
        UNSUPPORTED_VERSION => Some(UpstreamError::Era),
        HEADER_MISMATCH => {
            // What we mirror depends on what it has listed.
            if let Some(server) = permitted.pass.subject.server {
                permitted.asked.worker.proxy.catalog.changed(server);
            }
            Some(UpstreamError::Headers)
        }
        _ => None,
    }
}

/// Whoever hears it, a list that has changed is asked for anew.
fn note_change(permitted: &Permitted, news: &Message) {
    let changed = news.method().strip_suffix("/list_changed");
    if changed.is_some_and(|it| it.starts_with("notifications/"))
        && let Some(server) = permitted.pass.subject.server
    {
        permitted.asked.worker.proxy.catalog.changed(server);
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
