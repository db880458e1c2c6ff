//! The streams of upstreams for what belongs to no call, in the sessions that clients have with them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::authorize::Pass;
use crate::link::{Exchange, Link, UpstreamSession};
use crate::record::{Aside, Outcome, Said};
use crate::refusal::Refusal;
use crate::serve::Worker;

/// What comes of listening to an upstream.
pub(crate) enum Fed {
    Said(Bytes, Box<Source>),
    /// The stream has ended, or is not open to us now.
    Ended(Arc<UpstreamSession>),
    /// It is time to open it again.
    Due(Arc<UpstreamSession>),
    /// There is no such stream.
    Nothing,
}

/// How long a stream that has ended stays closed: servers and what stands before them end idle ones.
const PAUSE: Duration = Duration::from_secs(5);

/// The least and the most that a server may ask for instead.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// An upstream's own stream, and what is recorded of it.
pub(crate) struct Source {
    pub(crate) exchange: Exchange,
    pub(crate) pass: Arc<Pass>,
    pub(crate) upstream: Arc<UpstreamSession>,
    pub(crate) aside: Aside,
}

impl Source {
    /// Opens the upstream's stream, which is recorded before anything leaves.
    pub(crate) async fn open(
        worker: &Worker,
        (pass, link): (Pass, Arc<Link>),
        upstream: Arc<UpstreamSession>,
        said: &Said<'_>,
    ) -> Option<Self> {
        // Else it has no such stream.
        let is_own_child = upstream.own && upstream.child.is_some();
        (is_own_child || upstream.has_stream()).then_some(())?;
        let aside = recorded(Aside::begin(&pass, said, Vec::new(), &[]).await)?;
        if let Some(exchange) = link.hear_whole(&upstream) {
            return Some(Self { exchange, pass: Arc::new(pass), upstream, aside });
        }
        let opening = link.listen(worker, &pass, &upstream);
        let outcome = match pass.flight.unless_ended(opening).await {
            Some(Ok(Some(exchange))) => {
                return Some(Self { exchange, pass: Arc::new(pass), upstream, aside });
            }
            Some(Ok(None)) => Outcome::told(StatusCode::METHOD_NOT_ALLOWED),
            Some(Err(refusal)) => Outcome::refused(&refusal),
            None => Outcome::refused(&pass.why_ended().await),
        };
        recorded(aside.end(&outcome).await)?;
        None
    }
}

/// What a server says next, until its stream has ended, or has been ended.
pub(crate) async fn next(mut source: Box<Source>) -> Fed {
    let flight = Arc::clone(&source.pass.flight);
    let heard = flight.unless_ended(source.exchange.next()).await;
    if let Some(place) = source.exchange.place() {
        source.upstream.left.lock().follow(place);
    }
    let outcome = match heard {
        Some(Some(Ok(text))) => return Fed::Said(text, source),
        Some(Some(Err(error))) => {
            let server = source.pass.assignment().map(|it| it.server.name.to_string());
            Outcome::refused(&Refusal::upstream(&server.unwrap_or_default(), error))
        }
        Some(None) => Outcome::told(StatusCode::OK),
        None => Outcome::refused(&source.pass.why_ended().await),
    };
    let Source { aside, upstream, .. } = *source;
    match recorded(aside.end(&outcome).await) {
        Some(_) => Fed::Ended(upstream),
        None => Fed::Nothing,
    }
}

pub(crate) async fn pause(upstream: Arc<UpstreamSession>) -> Fed {
    let retry = upstream.left.lock().retry;
    tokio::time::sleep(retry.map_or(PAUSE, |it| it.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))).await;
    Fed::Due(upstream)
}

/// What cannot be recorded is not done.
fn recorded<T>(done: Result<T, Refusal>) -> Option<T> {
    done.inspect_err(|error| tracing::warn!(%error, "A stream could not be recorded")).ok()
}
