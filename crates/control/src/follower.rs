//! What streams of server-sent events share: how long somebody may follow, and whether they still may.
//!
//! Whoever may follow no more is cut off at once, and not by the next event: each publication is looked
//! at. Before each event it is proved again that nothing has changed since.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use domain::Snapshot;
use domain::ports::Gate as _;
use futures::{Stream, StreamExt, stream};
use tokio::time::Instant;

use crate::App;
use crate::api::{Error, Rights};
use crate::session::{self, Caller};

/// Somebody who follows something.
pub(crate) struct Follower {
    app: Arc<App>,
    caller: Caller,
    /// As of which they were last let follow.
    known: Arc<Snapshot>,
    ends: Instant,
}

/// After this long a stream ends, so that whoever follows it proves again who they are; browsers
/// do so by themselves.
const LIFE: Duration = Duration::from_secs(15 * 60);

impl Follower {
    pub(crate) fn new(app: Arc<App>, caller: Caller) -> Self {
        let remains = caller.expires_at.map(|it| (it - app.clock.now()).to_std());
        let life = remains.map_or(LIFE, |it| it.unwrap_or_default().min(LIFE));
        // Decided anew at once: something may have changed since the guard let it pass.
        let known = Arc::new(Snapshot::empty());
        Self { app, caller, known, ends: Instant::now() + life }
    }

    /// Waits for what comes next. Breaks where the stream is over; gives nothing where something else
    /// has changed, so that it is to be asked whether they still may.
    pub(crate) async fn wait<T>(
        &self,
        next: impl Future<Output = Option<T>>,
    ) -> ControlFlow<(), Option<T>> {
        tokio::select! {
            // Whoever follows holds nobody up who wants to stop: they come back to another process.
            () = self.app.leaving.cancelled() => ControlFlow::Break(()),
            () = self.app.stop.cancelled() => ControlFlow::Break(()),
            () = tokio::time::sleep_until(self.ends) => ControlFlow::Break(()),
            () = self.app.publisher.replaced(&self.known) => ControlFlow::Continue(None),
            next = next => next.map_or(ControlFlow::Break(()), |it| ControlFlow::Continue(Some(it))),
        }
    }

    /// Decides anew where anything has changed since it was decided. Gives the rights that hold now
    /// where that is so.
    pub(crate) async fn still_may(
        &mut self,
        require: impl FnOnce(&Rights) -> Result<(), Error>,
    ) -> Result<Option<Rights>, Error> {
        let (app, caller) = (&self.app, &self.caller);
        let now = app.gate.current().await.map_err(|_| Error::Busy)?;
        let is_over = caller.expires_at.is_some_and(|it| it <= app.clock.now());
        if !is_over && Arc::ptr_eq(&now, &self.known) {
            return Ok(None);
        }
        session::again(app, &mut app.db.read().await?, caller).await?;
        let rights = Rights::in_snapshot(app, caller, &now)?;
        require(&rights)?;
        self.known = now;
        Ok(Some(rights))
    }

    /// What they were last let follow by.
    pub(crate) fn known(&self) -> &Arc<Snapshot> {
        &self.known
    }
}

/// The answer that tells of `events` until there are no more.
pub(crate) fn answer(
    opening: Event,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Proxies hold the head of a response back until something of its body comes.
    let opened = stream::iter([opening.comment("open")]);
    Sse::new(opened.chain(events).map(Ok)).keep_alive(KeepAlive::default())
}
