//! What becomes of each message of the client.
//!
//! Requests go their own ways at the same time. What needs no answer (notifications, and answers to
//! questions of the gateway) is with the gateway before the next line is looked at, so that it keeps
//! its place before what follows; so is `initialize`, which the rest of a session depends on.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use mcp::envelope::{EnvelopeError, Message, MessageKind};
use mcp::errors;
use mcp::json::Limits;
use tokio::io::AsyncRead;

use super::lines::{Line, Lines};
use super::{Bridge, call, session};

/// Takes messages to the end of what can be read.
pub(super) async fn read<R: AsyncRead + Unpin>(bridge: &Arc<Bridge>, mut lines: Lines<R>) {
    loop {
        match lines.next().await {
            Ok(Some(Line::Text(text))) => take(bridge, text).await,
            Ok(Some(Line::TooLong(limit))) => {
                let why = format!("a line is longer than {limit} bytes");
                refuse(bridge, errors::INVALID_REQUEST, &why).await;
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "Standard input cannot be read");
                return;
            }
        }
    }
}

async fn take(bridge: &Arc<Bridge>, text: Bytes) {
    let message = match Message::parse(text, Limits::default()) {
        Ok(message) => message,
        Err(error) => {
            let why = match &error {
                EnvelopeError::Json(json) => format!("a line is not JSON as MCP has it: {json}"),
                EnvelopeError::Batch => "send one message per line, and no arrays".to_owned(),
                EnvelopeError::Invalid { reason } => format!("a line is no message: {reason}"),
            };
            return refuse(bridge, error.code(), &why).await;
        }
    };
    match message.kind() {
        MessageKind::Request
            if message.method() == "initialize" && !session::is_modern(&message) =>
        {
            session::open(bridge, message).await;
        }
        MessageKind::Request => {
            if let Ok(seat) = Arc::clone(&bridge.seats).acquire_owned().await {
                call::begin(bridge, message, seat);
            }
        }
        MessageKind::Notification => notification(bridge, message).await,
        MessageKind::Response | MessageKind::Error => answer(bridge, &message).await,
    }
}

/// Nobody knows which request a bad line was to be, so the answer has no id.
async fn refuse(bridge: &Bridge, code: i32, why: &str) {
    tracing::warn!("{why}");
    bridge.out.say(&errors::error_body(None, code, why, None)).await;
}

async fn notification(bridge: &Arc<Bridge>, message: Message) {
    match message.method() {
        "notifications/cancelled" => {
            let id = message.params().and_then(|it| it.get("requestId"));
            // What is over cannot be given up.
            if !id.is_some_and(|id| bridge.under_way.cancel(id, message.body())) {
                tracing::debug!("A request that is not under way was given up");
            }
        }
        "notifications/initialized" => session::ready(bridge, message).await,
        _ => {
            let headers = if session::is_modern(&message) {
                call::modern_headers(bridge, &message)
            } else {
                headers(bridge)
            };
            bridge.pass(headers, message.body().clone()).await;
        }
    }
}

/// The client answers what it was asked.
async fn answer(bridge: &Bridge, message: &Message) {
    let Some(session) = bridge.sessions.current() else {
        tracing::warn!("The client answers what nobody has asked");
        return;
    };
    match session.unmarked(message) {
        Some(body) => bridge.pass(session.headers(), body).await,
        None => tracing::debug!("The client answers what the gateway has forgotten"),
    }
}

fn headers(bridge: &Bridge) -> HeaderMap {
    bridge.sessions.current().map(|it| it.headers()).unwrap_or_default()
}
