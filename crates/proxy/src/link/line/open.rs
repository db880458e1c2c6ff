//! Opening a stream, which begins by saying where messages are to go.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::address::message_address;
use super::reader::{Opener, Reader, Stream};
use super::table::Table;
use super::{Line, Shared};
use crate::authorize::Pass;
use crate::link::post::{ATTEMPTS, plain_headers};
use crate::link::{Link, Transport};
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::{Endpoint, Outgoing, Reply, SendError};

/// Opens a stream and waits for its first word, for as long as the caller has patience.
pub(in crate::link) async fn open(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    is_exclusive: bool,
) -> Result<Arc<Line>, Refusal> {
    let now = worker.proxy.clock.elapsed();
    link.lines.may_open(now).map_err(|it| link.refuse(it))?;
    let (Transport::Sse { url } | Transport::Http { url }) = &link.server.transport else {
        return Err(link.refuse(UpstreamError::NoAnswer));
    };
    let endpoint = link.endpoint()?;
    let assignment = pass.assignment().ok_or(Refusal::NoGateway)?.id;
    let reply = get(link, worker, pass, endpoint).await?;
    let mut stream = accept(reply).map_err(|it| link.refuse(it))?;
    let named = stream.endpoint().await.map_err(|it| link.refuse(it))?;
    let messages = message_address(worker.wire.guard(), (url, endpoint), &named);
    let stop = CancellationToken::new();
    let shared = Arc::new(Shared {
        messages: messages.map_err(|it| link.refuse(it))?,
        table: Table::new(),
        is_exclusive,
        turn: Arc::new(Semaphore::new(1)),
        stop: stop.clone(),
        server: Arc::clone(&link.server),
        // It serves more than the call that opened it.
        grounds: pass.at_server(),
    });
    link.lines.add(&shared);
    let opener = Opener {
        // Its connections are those of this thread, and so is the stream's.
        worker: Worker::new(Arc::clone(&worker.proxy), worker.wire.clone(), None),
        caller: pass.caller.clone(),
        place: pass.place.clone(),
        assignment,
        lines: Arc::clone(&link.lines),
    };
    let reader = Reader { stream, shared: Arc::clone(&shared), opener };
    worker.proxy.options.tasks.spawn(reader.run());
    // A cut-off that looked at the lines before this one was among them has ended the flight.
    if pass.flight.is_ended() {
        stop.cancel();
    }
    Ok(Arc::new(Line { shared, _open: stop.drop_guard() }))
}

/// The head of the stream. Nothing more is written on its connection.
async fn get(
    link: &Link,
    worker: &Worker,
    pass: &Pass,
    endpoint: &Endpoint,
) -> Result<Reply, Refusal> {
    let mut outgoing =
        Outgoing { method: Method::GET, headers: HeaderMap::new(), body: Vec::new() };
    let plain = plain_headers(&mut outgoing);
    for _ in 0..ATTEMPTS {
        let begun = link.begin(worker, (pass, endpoint), &plain, &mut outgoing).await;
        let (ready, _writing) = begun?;
        match ready.send(outgoing).await {
            Ok(reply) => return Ok(reply),
            Err(SendError::Unsent(back)) => outgoing = back,
            Err(SendError::Failed { error, .. }) => return Err(link.refuse(error.into())),
        }
    }
    Err(link.refuse(UpstreamError::NoAnswer))
}

fn accept(reply: Reply) -> Result<Stream, UpstreamError> {
    if !reply.status.is_success() {
        return Err(UpstreamError::Status(reply.status.as_u16()));
    }
    let media = reply.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("text/event-stream") {
        return Err(UpstreamError::Malformed("it opens no stream of events".to_owned()));
    }
    Ok(Stream::of(reply))
}
