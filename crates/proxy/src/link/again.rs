//! Streams of legacy servers that end before their end: where they have left off is asked for again.
//!
//! Such a server numbers what it says, and may close a stream at any time to be polled. Nothing is
//! ever sent twice for this: what is asked for again is what it has to say, and not what it is to do.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Method};
use mcp::headers::LAST_EVENT_ID;
use parking_lot::Mutex;

use super::post::add_session;
use super::{Channel, Exchange, Link, UpstreamSession};
use crate::authorize::Pass;
use crate::cancel::Way;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;
use crate::wire::Outgoing;

/// Where a stream has been left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The id of its last event.
    pub(crate) id: Option<HeaderValue>,
    /// How long the server wants to be left alone.
    pub(crate) retry: Option<Duration>,
}

/// What is heard next of a call.
pub(crate) enum Heard {
    Said(Bytes),
    /// The server has closed the stream and is asked again after this time.
    Paused(Duration),
    Broken(UpstreamError),
    /// Without an answer.
    Ended,
}

/// Follows a call from stream to stream.
#[derive(Default)]
pub(crate) struct Again {
    last: Place,
    /// How often nothing has come of it in a row, and how often it could not even be asked.
    fruitless: u32,
    failed: u32,
    /// Locked by nobody: what is not `Sync` could not be part of a call.
    opening: Option<Mutex<Opening>>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Exchange, Unheard>> + Send>>;

/// Why a stream did not go on.
enum Unheard {
    /// It may the next time.
    Yet(UpstreamError),
    ForGood(UpstreamError),
}

/// How often in a row a server may fail to be reached.
const FAILURES: u32 = 5;

/// How soon a server is asked again, the first time, that has not said itself how soon.
const SOON: Duration = Duration::from_secs(1);

/// The least and the most that is waited. The most that a server may ask for is a matter of the
/// silence that its call may keep.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(30);

/// The longest id of an event that is given back.
const LONGEST_ID: usize = 1 << 10;

impl Place {
    /// Notes what an event says of its place.
    pub(super) fn note(&mut self, id: Option<&Bytes>, retry_ms: Option<u64>) {
        if let Some(id) = id {
            let fits = !id.is_empty() && id.len() <= LONGEST_ID;
            self.id = HeaderValue::from_bytes(id).ok().filter(|_| fits);
        }
        self.retry = retry_ms.map(Duration::from_millis).or(self.retry);
    }

    /// Goes on from a later stream, which need not say everything once more.
    pub(crate) fn follow(&mut self, later: &Self) {
        if later.id.is_some() {
            self.id.clone_from(&later.id);
        }
        self.retry = later.retry.or(self.retry);
    }

    /// How long to wait after so many times in vain.
    pub(crate) fn pause(&self, in_vain: u32) -> Duration {
        let growing = LEAST.saturating_mul(1 << in_vain.min(16)).min(MOST);
        self.retry.unwrap_or(SOON).max(growing)
    }
}

impl Again {
    /// What a call's server says next, in this stream or in the one that goes on from it. Loses
    /// nothing when dropped before it is ready.
    pub(crate) async fn next(
        &mut self,
        exchange: &mut Exchange,
        way: &Way,
        (worker, pass): (&Arc<Worker>, &Pass),
    ) -> Heard {
        loop {
            if let Some(opening) = &mut self.opening {
                let opened = opening.get_mut().await;
                self.opening = None;
                match opened {
                    Ok(opened) => {
                        *exchange = opened;
                        self.failed = 0;
                    }
                    Err(Unheard::ForGood(error)) => return Heard::Broken(error),
                    Err(Unheard::Yet(error)) => {
                        self.failed += 1;
                        if FAILURES <= self.failed {
                            return Heard::Broken(error);
                        }
                        self.open(way, (worker, pass));
                        continue;
                    }
                }
            }
            let broken = match exchange.next().await {
                Some(Ok(text)) => {
                    self.fruitless = 0;
                    return Heard::Said(text);
                }
                Some(Err(error @ UpstreamError::Wire(..))) => Some(error),
                Some(Err(error)) => return Heard::Broken(error),
                None => None,
            };
            if let Some(place) = exchange.place() {
                self.last.follow(place);
            }
            match (self.open(way, (worker, pass)), broken) {
                (Some(pause), None) => return Heard::Paused(pause),
                (Some(_), Some(_)) => {}
                (None, Some(error)) => return Heard::Broken(error),
                (None, None) => return Heard::Ended,
            }
        }
    }

    /// Begins to ask for what comes next, if that can be asked for; when that will be.
    fn open(&mut self, way: &Way, (worker, pass): (&Arc<Worker>, &Pass)) -> Option<Duration> {
        let Channel::Legacy(session) = &way.channel else { return None };
        let id = self.last.id.clone()?;
        let pause = self.last.pause(self.fruitless.max(self.failed));
        self.fruitless += 1;
        let (worker, link) = (Arc::clone(worker), Arc::clone(&way.link));
        let (session, pass) = (Arc::clone(session), pass.twin());
        self.opening = Some(Mutex::new(Box::pin(async move {
            tokio::time::sleep(pause).await;
            link.go_on(&worker, &pass, &session, id).await
        })));
        Some(pause)
    }
}

impl Link {
    /// Asks for what comes after an event.
    async fn go_on(
        &self,
        worker: &Worker,
        pass: &Pass,
        session: &UpstreamSession,
        id: HeaderValue,
    ) -> Result<Exchange, Unheard> {
        if !session.is_for(self, pass) {
            return Err(Unheard::ForGood(UpstreamError::SessionLost));
        }
        let mut headers = HeaderMap::new();
        add_session(&mut headers, session);
        headers.insert(LAST_EVENT_ID, id);
        let outgoing = Outgoing { method: Method::GET, headers, body: Vec::new() };
        let opened = match Box::pin(self.request(worker, pass, outgoing)).await {
            Ok(opened) => opened,
            Err(Refusal::Upstream { source, .. }) => return Err(Unheard::Yet(source)),
            // The gate tells the call's end itself, and better.
            Err(_) => return Err(Unheard::Yet(UpstreamError::NoAnswer)),
        };
        let status = opened.status();
        if status.is_success() && opened.place().is_some() {
            return Ok(opened.in_session(session));
        }
        let error = UpstreamError::Status(status.as_u16());
        match status.as_u16() {
            404 => Err(Unheard::ForGood(UpstreamError::SessionLost)),
            429 | 500.. => Err(Unheard::Yet(error)),
            200..=299 => Err(Unheard::ForGood(UpstreamError::NoAnswer)),
            _ => Err(Unheard::ForGood(error)),
        }
    }
}
