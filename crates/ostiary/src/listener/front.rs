//! The service that the HTTP library calls: refusals, and a wall around the application.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use super::App;
use super::ending::Ending;
use super::ledger::Ledger;
use super::refusal::{Violation, knows_method, problem};
use super::settings::Limits;

/// An answer of the door's own, or the application's.
pub(super) type Answer<A> = Response<Counted<Either<Full<Bytes>, <A as App>::Body>>>;

type Uncounted<A> = Response<Either<Full<Bytes>, <A as App>::Body>>;

/// A body whose end is noted.
pub(super) struct Counted<B> {
    body: B,
    ledger: Arc<Ledger>,
}

/// One connection's way to the application.
pub(super) struct Front<A> {
    pub(super) app: Arc<A>,
    pub(super) peer: SocketAddr,
    pub(super) ledger: Arc<Ledger>,
    pub(super) limits: Arc<Limits>,
    pub(super) ending: Arc<Ending>,
}

impl<A: App> Front<A> {
    /// Answers a request of HTTP/1, whose head and framing `strict` has checked.
    pub(super) async fn answer_http1(self: Arc<Self>, request: Request<Incoming>) -> Answer<A> {
        let number = self.ledger.begin();
        let answer = self.answer_number(number, request).await;
        answer.map(|body| Counted { body, ledger: Arc::clone(&self.ledger) })
    }

    async fn answer_number(&self, number: u64, request: Request<Incoming>) -> Uncounted<A> {
        if let Some(violation) = self.ledger.find_refusal(number) {
            return violation.answer(true).map(Either::Left);
        }
        let mut answer = self.ask(request).await;
        // The body may have turned out to be malformed while it was read.
        if let Some(violation) = self.ledger.find_refusal(number) {
            return violation.answer(true).map(Either::Left);
        }
        if self.ledger.is_last(number) || self.ending.is_leaving() {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Answers a request of HTTP/2, of which nothing but the frames has been checked.
    pub(super) async fn answer_http2(self: Arc<Self>, request: Request<Incoming>) -> Answer<A> {
        self.ledger.begin();
        let answer = match check(&request, &self.limits) {
            Ok(()) => self.ask(request).await,
            Err(violation) => violation.answer(false).map(Either::Left),
        };
        answer.map(|body| Counted { body, ledger: Arc::clone(&self.ledger) })
    }

    async fn ask(&self, request: Request<Incoming>) -> Uncounted<A> {
        let asked = async { Arc::clone(&self.app).handle(request, self.peer).await };
        match AssertUnwindSafe(asked).catch_unwind().await {
            Ok(answer) => answer.map(Either::Right),
            Err(_) => {
                tracing::error!(peer = %self.peer, "a request failed because its handler panicked");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                problem(status, "the gateway failed to answer").map(Either::Left)
            }
        }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        self.ledger.end();
    }
}

/// What `strict` checks in bytes, for a head that never was lines.
fn check(request: &Request<Incoming>, limits: &Limits) -> Result<(), Violation> {
    let headers = request.headers();
    if !knows_method(request.method()) {
        return Err(Violation::Method);
    }
    if headers.len() > limits.max_headers {
        return Err(Violation::TooManyHeaders);
    }
    for (name, value) in headers {
        if name.as_str().contains('_') {
            return Err(Violation::TwinName);
        }
        if name.as_str().len() + value.len() > limits.max_line_bytes {
            return Err(Violation::LineTooLong);
        }
    }
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Violation::LengthTwice);
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (request.uri().authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => Err(Violation::HostTwice),
        (None, None, None) => Err(Violation::HostMissing),
        (Some(authority), Some(host), None)
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(Violation::HostDisagrees)
        }
        _ => Ok(()),
    }
}
