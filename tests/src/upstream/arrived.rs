//! One message at the upstream, and its answer.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{Seen, Shared, plan};
use crate::text;
use crate::wait::within;

type Body = BoxBody<Bytes, io::Error>;

/// A message that waits for its answer. Dropping it breaks the connection off.
pub struct Arrived {
    pub headers: HeaderMap,
    pub body: String,
    /// The JSON-RPC method, or the HTTP method where there is no message.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The stream that its answer goes to, where that is not the answer to the request.
    onto: Option<Arc<Talk>>,
    reply: oneshot::Sender<Response<Body>>,
}

/// An answer that is sent piece by piece. Dropping it ends it.
pub struct Talk {
    pieces: mpsc::Sender<io::Result<Frame<Bytes>>>,
    /// The id of the request, as it was written.
    pub id: String,
}

/// Takes a request off its connection.
pub(super) async fn take(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let method = text::find_raw(&body, &["method"]);
    let method = method.map(|it| serde_json::from_str(&it).unwrap()).unwrap_or_default();
    let (verb, headers) = (head.method.to_string(), head.headers);
    let target = head.uri.to_string();
    let seen = Seen { verb, headers, body, method, target };
    if !shared.plan.is_forgetful {
        shared.ledger.lock().unwrap().push(seen.clone());
    }
    let Seen { verb, headers, body, method, target } = seen;
    let method = if verb == "POST" { method } else { verb };
    let (reply, answer) = oneshot::channel();
    let arrived = Arrived { headers, body, method, target, onto: None, reply };
    let doing = plan::dispatch(Arc::clone(&shared), arrived);
    {
        let mut scripts = shared.scripts.lock().unwrap();
        while scripts.try_join_next().is_some() {}
        scripts.spawn(doing);
    }
    answer.await.map_err(io::Error::other)
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    /// The message.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A value inside the message, as it is written there.
    pub fn raw(&self, path: &[&str]) -> String {
        text::raw(&self.body, path)
    }

    /// The id, as it is written.
    pub fn id(&self) -> String {
        self.raw(&["id"])
    }

    /// Answers with this result, which is raw JSON.
    pub fn result(self, result: &str) {
        self.result_with_session(result, None);
    }

    /// Answers with this error.
    pub fn error(self, code: i64, message: &str) {
        let error = serde_json::json!({"code": code, "message": message});
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, self.id());
        match self.onto.clone() {
            Some(stream) => self.answer_onto(&stream, &body),
            None => self.respond(200, "application/json", body),
        }
    }

    /// The stream that its answer goes to.
    pub fn stream_of_answer(&self) -> Arc<Talk> {
        Arc::clone(self.onto.as_ref().expect("a server over SSE"))
    }

    pub(super) fn goes_onto(&mut self, stream: Arc<Talk>) {
        self.onto = Some(stream);
    }

    fn answer_onto(self, stream: &Talk, message: &str) {
        stream.now(format!("event: message\ndata: {message}\n\n"));
        self.accept();
    }

    /// Answers with any status, media type and body.
    pub fn respond(self, status: u16, media: &str, body: impl Into<Bytes>) {
        let mut response = Response::new(whole(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("content-type", media.parse().unwrap());
        self.say(response);
    }

    /// Takes what needs no answer.
    pub fn accept(self) {
        self.refuse(202);
    }

    /// Answers with a status and nothing else.
    pub fn refuse(self, status: u16) {
        let mut response = Response::new(whole(""));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        self.say(response);
    }

    /// Answers with a status, a header and nothing else.
    pub fn refuse_with(self, status: u16, header: &'static str, value: &str) {
        let mut response = Response::new(whole(""));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert(header, value.parse().unwrap());
        self.say(response);
    }

    /// Begins to answer with a stream of events.
    pub fn stream(self) -> Talk {
        self.begin("text/event-stream")
    }

    /// Begins to answer with a body that comes piece by piece.
    pub fn begin(self, media: &str) -> Talk {
        let id = if self.body.is_empty() { String::new() } else { self.id() };
        let (pieces, mut frames) = mpsc::channel(16);
        let frames = stream::poll_fn(move |context| frames.poll_recv(context));
        let mut response = Response::new(StreamBody::new(frames).boxed());
        response.headers_mut().insert("content-type", media.parse().unwrap());
        self.say(response);
        Talk { pieces, id }
    }

    /// Waits until the gateway has given the request up.
    pub async fn given_up(mut self) {
        within("the gateway gives a request up", self.reply.closed()).await;
    }

    /// Answers with this result, and a session where it is one of `initialize`.
    pub fn result_with_session(self, result: &str, session: Option<String>) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id());
        if let Some(stream) = self.onto.clone() {
            return self.answer_onto(&stream, &body);
        }
        let mut response = Response::new(whole(body));
        let headers = response.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        if let Some(session) = session {
            headers.insert("mcp-session-id", session.parse().unwrap());
        }
        self.say(response);
    }

    fn say(self, response: Response<Body>) {
        // A gateway that has given up hears nothing.
        drop(self.reply.send(response));
    }
}

impl Talk {
    /// Sends a message as an event.
    pub async fn message(&self, message: &str) {
        self.bytes(format!("event: message\ndata: {message}\n\n")).await;
    }

    /// Sends a notification.
    pub async fn notification(&self, method: &str, params: &str) {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        self.message(&text).await;
    }

    /// Sends the answer to the request.
    pub async fn result(&self, result: &str) {
        self.message(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id)).await;
    }

    /// Sends any bytes. A gateway that has given up hears nothing.
    pub async fn bytes(&self, bytes: impl Into<Bytes>) {
        drop(within("the gateway reads", self.pieces.send(Ok(Frame::data(bytes.into())))).await);
    }

    /// One that has ended.
    pub(super) fn over() -> Self {
        Self { pieces: mpsc::channel(1).0, id: String::new() }
    }

    /// Whether nobody can hear it any more.
    pub fn is_over(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Sends bytes without waiting for the gateway to read.
    pub(super) fn now(&self, bytes: impl Into<Bytes>) {
        self.pieces.try_send(Ok(Frame::data(bytes.into()))).ok();
    }

    /// Breaks the connection off.
    pub async fn fail(self) {
        let broken = Err(io::Error::other("as the test has it"));
        drop(within("the gateway reads", self.pieces.send(broken)).await);
    }

    /// Until nobody can hear it any more, however long that takes.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// Waits until the gateway has given the answer up.
    pub async fn given_up(&self) {
        within("the gateway gives an answer up", self.pieces.closed()).await;
    }
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed()
}
