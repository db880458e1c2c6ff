//! What we answer with: parts that are sent as they are, or a stream that is made while it is read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// A response body. A stream is driven by whoever reads it, so it ends with its connection and
/// needs no task of its own.
pub enum Body {
    /// Sent in order without being joined.
    Parts(VecDeque<Bytes>),
    /// Server-sent events.
    Stream(Pump),
}

/// A future that writes, and the channel that it writes to.
pub struct Pump {
    writer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    reader: mpsc::Receiver<Bytes>,
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
    pub(crate) fn stream<F>(write: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, reader) = mpsc::channel(4);
        Self::Stream(Pump { writer: Some(Box::pin(write(Outlet(sender)))), reader })
    }
}

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
            Self::Stream(pump) => pump.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Parts(parts) => parts.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(parts) => {
                SizeHint::with_exact(parts.iter().map(|it| it.len() as u64).sum())
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Pump {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(writer) = &mut self.writer
            && writer.as_mut().poll(context).is_ready()
        {
            self.writer = None;
        }
        self.reader.poll_recv(context).map(|it| it.map(|bytes| Ok(Frame::data(bytes))))
    }
}
