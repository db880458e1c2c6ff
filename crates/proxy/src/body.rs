//! What we answer with: parts that are sent as they are, or a stream that a task makes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::ports::At;
use domain::{Gateway, Workspace};
use http_body::{Frame, SizeHint};
use mcp::sse;
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::authorize::Pass;
use crate::flight::{Flight, Flights};
use crate::replay::{Event, Origin, Reader, Writer};
use crate::session::Session;

/// A response body.
pub(crate) enum Body {
    /// Sent in order without being joined.
    Parts(VecDeque<Bytes>),
    /// The same, as long as no cut-off ends it.
    Revocable(Revocable),
    /// Server-sent events.
    Stream(Pump),
    /// The same, which go on without their reader.
    Kept(Box<Kept>),
}

/// A body that breaks off where nothing may be released because we cannot tell what has changed.
pub struct Released {
    body: Body,
    flights: Arc<Flights>,
    /// Where it has been asked for, as far as that was found out.
    place: Option<Spot>,
}

/// A gateway and its workspace.
#[derive(Clone)]
pub(crate) struct Spot {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) gateway: Arc<Gateway>,
}

/// The events of a stream that its client can come back to.
pub(crate) struct Kept(Reader);

/// Parts that break off when their call is ended, so that the client sees that they are not all.
pub(crate) struct Revocable {
    parts: VecDeque<Bytes>,
    flights: Vec<Arc<Flight>>,
}

/// A body that is there to its end.
pub(crate) struct Whole {
    pub(crate) parts: Vec<Bytes>,
    /// What it depends on, where that is still to be looked at.
    pub(crate) flight: Option<Arc<Flight>>,
}

/// The channel that a task writes to, which ends with this. It does not depend on whoever reads: a
/// client that takes nothing must not keep a cut-off from being heard.
pub(crate) struct Pump {
    reader: mpsc::Receiver<Bytes>,
    _writer: AbortOnDropHandle<()>,
}

/// The writing end of a stream. Waits while the client reads slowly, so what is buffered for one
/// client is bounded.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// Of a [`Pump`].
    Passing(mpsc::Sender<Bytes>),
    /// Of a stream that its client can come back to.
    Kept(Arc<Writer>, Option<Origin>),
}

/// The client is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl Body {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::Parts(VecDeque::new())
    }

    /// A stream that `write` fills.
    pub(crate) fn stream<F>(tasks: &TaskTracker, write: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, reader) = mpsc::channel(4);
        let writer = AbortOnDropHandle::new(tasks.spawn(write(Outlet::Passing(sender))));
        Self::Stream(Pump { reader, _writer: writer })
    }

    /// The stream of a call that `write` fills. In a session it goes on while its client is away.
    pub(crate) fn stream_in<F>(
        session: Option<&Arc<Session>>,
        tasks: &TaskTracker,
        write: impl FnOnce(Outlet) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(session) = session.filter(|it| !it.replay.is_paired()) else {
            return Self::stream(tasks, write);
        };
        let (writer, reader) = session.replay.open();
        tasks.spawn(write(Outlet::kept(writer)));
        Self::kept(reader)
    }

    pub(crate) fn kept(reader: Reader) -> Self {
        Self::Kept(Box::new(Kept(reader)))
    }

    /// Parts that are released as long as no flight is ended. What is small is out at once.
    pub(crate) fn revocable(parts: Vec<Bytes>, flights: Vec<Arc<Flight>>) -> Self {
        if parts.iter().map(Bytes::len).sum::<usize>() <= PIECE {
            return parts.into();
        }
        Self::Revocable(Revocable { parts: parts.into(), flights })
    }

    /// All of it; of a stream, what reads it.
    pub(crate) fn whole(self) -> Result<Whole, Box<Reader>> {
        match self {
            Self::Parts(parts) => Ok(Whole { parts: parts.into(), flight: None }),
            Self::Revocable(Revocable { parts, flights }) => {
                Ok(Whole { parts: parts.into(), flight: flights.into_iter().next() })
            }
            Self::Kept(kept) => Err(Box::new(kept.0)),
            // Nothing in a session is such a stream.
            Self::Stream(_) => Ok(Whole { parts: Vec::new(), flight: None }),
        }
    }
}

/// For how long a client is sent away at most: when it comes back, it can wait for the rest here.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How much is released between two looks at whether it still may be.
pub(crate) const PIECE: usize = 64 << 10;

impl Outlet {
    pub(crate) fn kept(writer: Writer) -> Self {
        Self::Kept(Arc::new(writer), None)
    }

    /// Sends an event that belongs to this pass. A change that is waiting to be read is told once.
    pub(crate) async fn tell(
        &self,
        event: Bytes,
        pass: &Arc<Pass>,
        is_change: bool,
    ) -> Result<(), Gone> {
        match self {
            Self::Passing(sender) => sender.send(event).await.map_err(|_| Gone),
            Self::Kept(writer, _) => {
                let event = Event { body: vec![event], pass: Some(pass), instead: None };
                if is_change { writer.tell_once(event).await } else { writer.tell(event).await }
            }
        }
    }

    /// Sends one whole event, or a sign of life.
    pub(crate) async fn send(&self, event: Bytes) -> Result<(), Gone> {
        match self {
            Self::Passing(sender) => sender.send(event).await.map_err(|_| Gone),
            Self::Kept(writer, _) if event == sse::KEEP_ALIVE => writer.beat(),
            Self::Kept(writer, origin) => {
                let pass = origin.as_ref().map(|it| &it.pass);
                writer.tell(Event { body: vec![event], pass, instead: None }).await
            }
        }
    }

    /// Sends the parts of one event as long as the flight is not ended.
    pub(crate) async fn send_parts(&self, parts: Vec<Bytes>, flight: &Flight) -> Result<(), Gone> {
        match self {
            Self::Passing(sender) => {
                for piece in pieces(parts) {
                    if !flight.is_good() {
                        return Err(Gone);
                    }
                    let sent = flight.unless_ended(sender.send(piece)).await;
                    if !matches!(sent, Some(Ok(()))) {
                        return Err(Gone);
                    }
                }
                Ok(())
            }
            Self::Kept(writer, origin) => {
                let pass = origin.as_ref().map(|it| &it.pass);
                let instead = origin.as_ref().map(|it| &it.instead);
                let telling = writer.tell(Event { body: parts, pass, instead });
                flight.unless_ended(telling).await.unwrap_or(Err(Gone))
            }
        }
    }

    /// From now on what is sent belongs to this pass.
    #[must_use]
    pub(crate) fn under(self, origin: impl FnOnce() -> Origin) -> Self {
        match self {
            Self::Passing(_) => self,
            Self::Kept(writer, _) => Self::Kept(writer, Some(origin())),
        }
    }

    /// From now on what is sent belongs to no pass: it says nothing but why there is no more.
    #[must_use]
    pub(crate) fn under_none(&self) -> Self {
        match self {
            Self::Passing(sender) => Self::Passing(sender.clone()),
            Self::Kept(writer, _) => Self::Kept(Arc::clone(writer), None),
        }
    }

    /// Sends a client away for a while that knows that it may come back.
    pub(crate) fn pause(&self, retry: Duration) {
        if let Self::Kept(writer, _) = self {
            let retry = retry.min(LONGEST_PAUSE);
            writer.pause(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Resolves when the client has been away for too long. One whose stream ends with it has taken
    /// whoever writes along.
    pub(crate) async fn abandoned(&self) {
        match self {
            Self::Passing(_) => std::future::pending().await,
            Self::Kept(writer, _) => writer.abandoned().await,
        }
    }
}

/// What is released at a time: a cut-off is looked for in between.
pub(crate) fn pieces(parts: Vec<Bytes>) -> impl Iterator<Item = Bytes> {
    parts.into_iter().flat_map(|mut part| {
        std::iter::from_fn(move || {
            let piece = part.split_to(part.len().min(PIECE));
            (!piece.is_empty()).then_some(piece)
        })
    })
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Parts(VecDeque::from([bytes]))
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(parts: Vec<Bytes>) -> Self {
        Self::Parts(parts.into())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Parts(parts) => Poll::Ready(parts.pop_front().map(|it| Ok(Frame::data(it)))),
            Self::Revocable(it) => Poll::Ready(it.next().map(|it| Ok(Frame::data(it)))),
            Self::Stream(pump) => {
                pump.reader.poll_recv(context).map(|it| it.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Kept(kept) => {
                kept.0.poll_next(context).map(|it| it.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Parts(parts) | Self::Revocable(Revocable { parts, .. }) => parts.is_empty(),
            Self::Stream(_) | Self::Kept(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(parts) | Self::Revocable(Revocable { parts, .. }) => {
                SizeHint::with_exact(parts.iter().map(|it| it.len() as u64).sum())
            }
            Self::Stream(_) | Self::Kept(_) => SizeHint::default(),
        }
    }
}

impl Released {
    pub(crate) fn of(body: Body, flights: &Arc<Flights>, place: Option<Spot>) -> Self {
        Self { body, flights: Arc::clone(flights), place }
    }

    fn may_pass(&self) -> bool {
        let at = |it: &Spot| self.flights.are_good(Some(it.at()));
        self.place.as_ref().map_or_else(|| self.flights.are_good(None), at)
    }

    /// Whether what comes next rests on a decision of a while ago.
    fn is_lasting(&self) -> bool {
        !matches!(self.body, Body::Parts(_))
    }
}

impl http_body::Body for Released {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let may_pass = !self.is_lasting() || self.may_pass();
        Poll::Ready(frame.filter(|_| may_pass))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Spot {
    fn at(&self) -> At<'_> {
        At { workspace: &self.workspace, gateway: &self.gateway }
    }
}

impl Revocable {
    fn next(&mut self) -> Option<Bytes> {
        if self.flights.iter().any(|it| it.is_ended() || !it.is_good()) {
            return None;
        }
        let mut part = self.parts.pop_front()?;
        if PIECE < part.len() {
            let rest = part.split_off(PIECE);
            self.parts.push_front(rest);
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::*;
    use crate::flight::Standing;
    use crate::flight::testing::{flights, grounds};

    #[tokio::test]
    async fn a_stream_goes_on_while_nobody_reads_it_and_ends_with_its_reader() {
        let tasks = TaskTracker::new();
        let (tell, told) = oneshot::channel();
        let body = Body::stream(&tasks, |outlet| async move {
            outlet.send(Bytes::from_static(b"one")).await.unwrap();
            tell.send(()).unwrap();
            std::future::pending().await
        });
        told.await.unwrap();
        drop(body);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_large_answer_breaks_off_when_its_call_is_ended() {
        let flights = flights();
        let flight = Arc::new(flights.enter(grounds(1)));
        let whole = Bytes::from(vec![b'x'; 3 * PIECE]);
        let mut body = Body::revocable(vec![whole.clone()], vec![Arc::clone(&flight)]);
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(3 * PIECE as u64));
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), PIECE);
        flights.stop(|_, _| Standing::Ends).until_written().await;
        assert!(body.frame().await.is_none());
        assert!(!http_body::Body::is_end_stream(&body), "it is seen to be broken");
    }
}
