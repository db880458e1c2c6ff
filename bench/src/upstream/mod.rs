//! The upstream double: an MCP server that is as fast as hyper lets it be.
//!
//! It speaks revision 2026-07-28 without sessions and the legacy revisions with them, on one URL.
//! `/modern/N` and `/legacy/N` speak the one or the other alone, and `/asking/N` speaks the legacy one
//! and answers every call with a question and then no more.
//! `/mcp/N` offers N tools, of which the first, `sized`, answers with as much content as its
//! argument `bytes` asks for, and with the argument `nonce`, so that an answer which went to the
//! wrong caller is noticed. It checks the headers that a modern client must send.

mod message;
mod reply;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;

use crate::accept;
use crate::payload::{LARGE, MEDIUM, Payload, SMALL};
use message::Message;
use reply::Reply;

/// Where only one era is spoken, and where calls are asked something and then held.
pub(crate) const MODERN_ONLY: &str = "modern";
pub(crate) const LEGACY_ONLY: &str = "legacy";
pub(crate) const ASKING: &str = "asking";

/// The tool that answers with as much content as it is asked for.
pub(crate) const TOOL: &str = "sized";

/// How many tools there are under `/mcp/N`.
pub(crate) const FEW: usize = 10;
pub(crate) const SHARE: usize = 100;
pub(crate) const MANY: usize = 500;

/// Serves on a free port, for as long as the process lives.
pub(crate) fn start(cores: &[usize]) -> Result<SocketAddr> {
    let stock = Arc::new(Stock::new());
    accept::start(cores, move |stream| {
        let stock = Arc::clone(&stock);
        async move {
            let service = service_fn(|request| answer(&stock, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error here is a connection that its client closed.
            let _closed = connection.await;
        }
    })
}

/// What can be prepared is: an answer is a few bytes around parts of this.
struct Stock {
    contents: HashMap<usize, Bytes>,
    lists: HashMap<usize, Bytes>,
    sessions: AtomicU64,
}

impl Stock {
    fn new() -> Self {
        let contents =
            [SMALL, MEDIUM, LARGE].map(|bytes| (bytes, reply::content(&Payload::of(bytes))));
        let lists = [FEW, SHARE, MANY].map(|tools| (tools, reply::list(tools)));
        Self { contents: contents.into(), lists: lists.into(), sessions: AtomicU64::new(1) }
    }

    fn next_session(&self) -> String {
        format!("bench-{:016x}", self.sessions.fetch_add(1, Ordering::Relaxed))
    }
}

async fn answer(stock: &Stock, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let (head, body) = request.into_parts();
    let response = match head.method {
        Method::POST => {
            let Ok(body) = body.collect().await else { return Ok(reply::refused(400, "no body")) };
            post(stock, head.uri.path(), &head.headers, &body.to_bytes())
        }
        // One connection of each call is enough to fill a machine with.
        Method::GET if head.uri.path().trim_start_matches('/').starts_with(ASKING) => {
            reply::empty(405)
        }
        Method::GET if head.headers.contains_key("mcp-session-id") => reply::stream(None),
        Method::DELETE => reply::empty(200),
        _ => reply::empty(405),
    };
    Ok(response)
}

fn post(stock: &Stock, path: &str, headers: &HeaderMap, body: &[u8]) -> Response<Reply> {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
        return reply::refused(400, "not a message");
    };
    let Some(id) = message.id() else { return reply::empty(202) };
    if let Err(why) = message.agrees_with(headers) {
        return reply::refused(400, why);
    }
    let (kind, count) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let list = count.parse::<usize>().ok().and_then(|tools| stock.lists.get(&tools));
    match (message.method(), list) {
        (_, None) => reply::empty(404),
        ("server/discover", _) if matches!(kind, LEGACY_ONLY | ASKING) => reply::empty(400),
        ("initialize", _) if kind == MODERN_ONLY => reply::empty(400),
        ("tools/call", _) if kind == ASKING => reply::stream(Some(reply::question())),
        ("tools/call", Some(_)) => match message.sized() {
            Some((nonce, bytes)) if stock.contents.contains_key(&bytes) => {
                let content = stock.contents.get(&bytes).cloned().unwrap_or_default();
                reply::called(id, nonce, content)
            }
            _ => reply::error(id, -32602, "the tool is `sized`, with `nonce` and `bytes`"),
        },
        ("tools/list", Some(list)) => reply::listed(id, list.clone()),
        ("server/discover", _) => reply::discovered(id),
        ("initialize", _) => reply::initialized(id, message.revision(), &stock.next_session()),
        ("subscriptions/listen", _) => reply::stream(Some(reply::acknowledged(id))),
        ("ping", _) => reply::result(id, "{}"),
        _ => reply::error(id, -32601, "unknown method"),
    }
}
