//! Clients that call as fast as they can, and remember each call.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::MODERN;
use crate::line::Line;
use crate::wait::within;

/// Connections on which the same call is made again and again, each time with another nonce.
pub struct Load {
    shared: Arc<Shared>,
    callers: JoinSet<Vec<Call>>,
}

/// Who calls what.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The gateway's path.
    pub path: String,
    /// As the gateway shows it.
    pub tool: String,
    pub token: Arc<Mutex<String>>,
}

/// One call, as its client saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub nonce: u64,
    pub began: Instant,
    pub ended: Instant,
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With its own nonce.
    Answered,
    /// By the gateway, for this reason.
    Refused(String),
    /// With its connection.
    Broken(String),
}

struct Shared {
    address: SocketAddr,
    nonces: AtomicU64,
    is_over: AtomicBool,
    /// One permit for each call that has ended since somebody last began to count.
    ended: Semaphore,
    /// The same for calls that were answered.
    answered: Semaphore,
}

impl Load {
    /// Nobody calls yet.
    pub fn on(address: SocketAddr) -> Self {
        Self::counting_from(address, 1)
    }

    /// The same with this nonce as the first.
    pub fn counting_from(address: SocketAddr, first: u64) -> Self {
        let shared = Shared {
            address,
            nonces: AtomicU64::new(first),
            is_over: AtomicBool::new(false),
            ended: Semaphore::new(0),
            answered: Semaphore::new(0),
        };
        Self { shared: Arc::new(shared), callers: JoinSet::new() }
    }

    /// That many connections more.
    pub fn add(&mut self, connections: u32, caller: &Caller) {
        self.add_at(self.shared.address, connections, caller);
    }

    /// The same to another address.
    pub fn add_at(&mut self, address: SocketAddr, connections: u32, caller: &Caller) {
        for _ in 0..connections {
            let (shared, caller) = (Arc::clone(&self.shared), caller.clone());
            self.callers.spawn(call_until_it_is_over(shared, address, caller));
        }
    }

    /// Waits until that many calls more have ended.
    pub async fn progress(&self, calls: u32) {
        self.shared.ended.forget_permits(usize::MAX);
        let ended = within("calls to end", self.shared.ended.acquire_many(calls)).await;
        ended.unwrap().forget();
    }

    /// Waits until that many calls more have been answered.
    pub async fn answers(&self, calls: u32) {
        self.shared.answered.forget_permits(usize::MAX);
        let answered = within("calls to succeed", self.shared.answered.acquire_many(calls)).await;
        answered.unwrap().forget();
    }

    /// How many calls have begun, where the first nonce is one.
    pub fn begun(&self) -> u64 {
        self.shared.nonces.load(Ordering::Relaxed) - 1
    }

    /// Lets every connection finish its call; all calls, those of one connection in order.
    pub async fn finish(mut self) -> Vec<Call> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        while let Some(some) = within("the last calls", self.callers.join_next()).await {
            calls.extend(some.unwrap());
        }
        calls
    }
}

async fn call_until_it_is_over(
    shared: Arc<Shared>,
    address: SocketAddr,
    caller: Caller,
) -> Vec<Call> {
    let mut line = Line::to(address);
    let mut calls = Vec::new();
    while !shared.is_over.load(Ordering::Relaxed) {
        let nonce = shared.nonces.fetch_add(1, Ordering::Relaxed);
        let call = once(&mut line, address, &caller, nonce).await;
        shared.ended.add_permits(1);
        shared.answered.add_permits(usize::from(call.end == End::Answered));
        calls.push(call);
    }
    calls
}

/// Makes one call.
pub async fn once(line: &mut Line, address: SocketAddr, caller: &Caller, nonce: u64) -> Call {
    let end = |status, body: &[u8]| End::of(status, body, nonce);
    make(line, caller.request(address, nonce), nonce, end).await
}

/// Makes one call of a [`Ledger`](crate::Ledger), which answers with so many events and then the
/// result.
pub async fn streamed(
    line: &mut Line,
    address: SocketAddr,
    caller: &Caller,
    (nonce, events): (u64, usize),
) -> Call {
    let arguments = format!(r#"{{"nonce":{nonce},"events":{events}}}"#);
    let members = format!(r#""name":"{}","arguments":{arguments}"#, caller.tool);
    let request = caller.ask(address, nonce, "tools/call", &members);
    make(line, request, nonce, |status, body| End::of_stream(status, body, (nonce, events))).await
}

async fn make(
    line: &mut Line,
    request: Request<Full<Bytes>>,
    nonce: u64,
    end: impl Fn(u16, &[u8]) -> End,
) -> Call {
    let began = Instant::now();
    let whole = tokio::time::timeout(PATIENCE, line.whole(request)).await;
    let ended = Instant::now();
    let end = match whole {
        Err(_) => End::Broken(format!("no answer within {PATIENCE:?}")),
        Ok(Err(error)) => End::Broken(error),
        Ok(Ok((status, body))) => end(status, &body),
    };
    Call { nonce, began, ended, end }
}

impl Caller {
    /// One that presents this token at a gateway of the workspace `default`, and calls the tool
    /// `echo` of this server there.
    pub fn of(gateway: &str, server: &str, token: &str) -> Self {
        let path = format!("/mcp/default/{gateway}");
        Self {
            path,
            tool: format!("{server}__echo"),
            token: Arc::new(Mutex::new(token.to_owned())),
        }
    }

    /// A call with a nonce, which is its id as well.
    pub fn request(&self, address: SocketAddr, nonce: u64) -> Request<Full<Bytes>> {
        let tool = &self.tool;
        let members = format!(r#""name":"{tool}","arguments":{{"nonce":{nonce}}}"#);
        self.ask(address, nonce, "tools/call", &members)
    }

    /// Any request whose `params` have these members, as raw JSON. Its id is its progress token.
    pub fn ask(
        &self,
        address: SocketAddr,
        id: u64,
        method: &str,
        members: &str,
    ) -> Request<Full<Bytes>> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members},"_meta":{{"progressToken":{id},"{P}protocolVersion":"{MODERN}","{P}clientCapabilities":{{}},"{P}clientInfo":{{"name":"a test","version":"1"}}}}}}}}"#
        );
        let mut request = Request::post(&self.path)
            .header("host", address.to_string())
            .header("authorization", format!("Bearer {}", self.token.lock().unwrap()))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", method);
        if method == "tools/call" {
            request = request.header("mcp-name", &self.tool);
        }
        request.body(Full::new(body.into())).unwrap()
    }
}

impl End {
    /// What an answer to the call of this nonce says.
    pub fn of(status: u16, body: &[u8], nonce: u64) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let result = &body["result"];
        if result["structuredContent"]["nonce"].as_u64() == Some(nonce) {
            return Self::Answered;
        }
        let text = result["content"][0]["text"].as_str();
        let reason = body["error"]["data"]["reason"].as_str();
        let message = body["error"]["message"].as_str();
        let why = text.or(reason).or(message).unwrap_or("without a reason");
        Self::Refused(format!("{status} {why}"))
    }

    /// What a stream says that ends with the answer to the call of this nonce.
    fn of_stream(status: u16, body: &[u8], (nonce, events): (u64, usize)) -> Self {
        let text = String::from_utf8_lossy(body);
        let data: Vec<_> = text.lines().filter_map(|it| it.strip_prefix("data:")).collect();
        let Some((last, news)) = data.split_last() else { return Self::of(status, body, nonce) };
        let news = news.iter().filter(|it| it.contains("notifications/progress")).count();
        match Self::of(status, last.as_bytes(), nonce) {
            Self::Answered if news != events => Self::Broken(format!("{news} of {events} events")),
            end => end,
        }
    }
}

const P: &str = "io.modelcontextprotocol/";

/// No call of a gateway that is well takes as long.
const PATIENCE: Duration = Duration::from_secs(30);
