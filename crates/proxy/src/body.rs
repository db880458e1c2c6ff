//! What we answer with: parts that are sent as they are, or a stream that a task makes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::flight::Flight;

/// A response body.
pub enum Body {
    /// Sent in order without being joined.
    Parts(VecDeque<Bytes>),
    /// The same, as long as no cut-off ends it.
    Revocable(Revocable),
    /// Server-sent events.
    Stream(Pump),
}

/// Parts that break off when their call is ended, so that the client sees that they are not all.
pub struct Revocable {
    parts: VecDeque<Bytes>,
    flight: Arc<Flight>,
}

/// The channel that a task writes to, which ends with this. It does not depend on whoever reads: a
/// client that takes nothing must not keep a cut-off from being heard.
pub struct Pump {
    reader: mpsc::Receiver<Bytes>,
    _writer: AbortOnDropHandle<()>,
}

/// The writing end of a [`Pump`]. Waits while the client reads slowly, so what is buffered for one
/// client is bounded by the few messages of the channel.
#[derive(Clone)]
pub(crate) struct Outlet(mpsc::Sender<Bytes>);

/// The client is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::Parts(VecDeque::new())
    }

    /// A stream that `write` fills.
    pub(crate) fn stream<F>(tasks: &TaskTracker, write: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, reader) = mpsc::channel(4);
        let writer = AbortOnDropHandle::new(tasks.spawn(write(Outlet(sender))));
        Self::Stream(Pump { reader, _writer: writer })
    }

    /// Parts that are released as long as the flight is not ended. What is small is out at once.
    pub(crate) fn revocable(parts: Vec<Bytes>, flight: Arc<Flight>) -> Self {
        if parts.iter().map(Bytes::len).sum::<usize>() <= PIECE {
            return parts.into();
        }
        Self::Revocable(Revocable { parts: parts.into(), flight })
    }
}

/// How much is released between two looks at whether it still may be.
pub(crate) const PIECE: usize = 64 << 10;

impl Outlet {
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(bytes).await.map_err(|_| Gone)
    }
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Parts(parts) | Self::Revocable(Revocable { parts, .. }) => parts.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(parts) | Self::Revocable(Revocable { parts, .. }) => {
                SizeHint::with_exact(parts.iter().map(|it| it.len() as u64).sum())
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Revocable {
    fn next(&mut self) -> Option<Bytes> {
        if self.flight.is_ended() {
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
    use domain::{AppId, ConnectionId, GatewayId, Subject, Target, UserId};
    use http_body_util::BodyExt;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::flight::Flights;

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
        let flights = Arc::<Flights>::default();
        let id = Uuid::from_u128;
        let subject = Subject {
            app: AppId(id(1)),
            token: None,
            user: UserId(id(2)),
            gateway: GatewayId(id(3)),
            connection: ConnectionId(id(4)),
            server: None,
            assignment: None,
            identity: None,
            tool: None,
        };
        let flight = Arc::new(flights.enter(subject));
        let whole = Bytes::from(vec![b'x'; 3 * PIECE]);
        let mut body = Body::revocable(vec![whole.clone()], Arc::clone(&flight));
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(3 * PIECE as u64));
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), PIECE);
        flights.stop(vec![Target::App(AppId(id(1)))]).await;
        assert!(body.frame().await.is_none());
        assert!(!http_body::Body::is_end_stream(&body), "it is seen to be broken");
    }
}
