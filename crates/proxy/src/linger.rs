//! Calls that go on although their client has gone.
//!
//! A legacy client that loses its connection has not cancelled: it says so in words if it wants to.
//! So whatever has been begun for it goes on in a task, for a while and not for too many at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tokio_util::task::TaskTracker;

use crate::body::Body;
use crate::replay::{LINGER, Replay};

type Doing = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Waits like the call itself. Dropped before its end, it leaves the rest to a task.
pub(crate) struct Lingering {
    doing: Option<Doing>,
    replay: Arc<Replay>,
    tasks: TaskTracker,
}

impl Lingering {
    pub(crate) fn new(
        replay: Arc<Replay>,
        tasks: TaskTracker,
        doing: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Self {
        Self { doing: Some(Box::pin(doing)), replay, tasks }
    }
}

impl Future for Lingering {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        let doing = self.doing.as_mut().expect("nobody waits for what has been done");
        let done = doing.as_mut().poll(context);
        if done.is_ready() {
            self.doing = None;
        }
        done
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(doing) = self.doing.take() else { return };
        // Else the call ends here, and is given up.
        let Some(lingers) = self.replay.linger() else { return };
        let replay = Arc::clone(&self.replay);
        self.tasks.spawn(async move {
            let response = tokio::select! {
                response = tokio::time::timeout(LINGER, doing) => response.ok(),
                () = replay.closed() => None,
            };
            // Before the response, which takes the right once more if it is a stream.
            drop(lingers);
            drop(response);
        });
    }
}
