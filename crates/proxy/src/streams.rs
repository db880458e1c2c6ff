//! How many streams each app has open on which it only listens.
//!
//! They cost a connection each, here and at every server that is listened to, and last as long as
//! their client likes: without a limit one app could take all that others need.

use std::collections::HashMap;
use std::sync::Arc;

use domain::AppId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::refusal::Refusal;

/// The open streams of all apps.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<AppId, usize>>,
    closing: CancellationToken,
}

/// One open stream.
pub(crate) struct Seat {
    streams: Arc<Streams>,
    app: AppId,
}

/// Many people may share an app; its streams must stay a fraction of the connections that the
/// listener has.
const PER_APP: usize = 2_000;

impl Streams {
    pub(crate) fn take(self: &Arc<Self>, app: AppId) -> Result<Seat, Refusal> {
        let mut open = self.open.lock();
        let taken = open.entry(app).or_default();
        if PER_APP <= *taken {
            return Err(Refusal::TooManyStreams);
        }
        *taken += 1;
        Ok(Seat { streams: Arc::clone(self), app })
    }

    /// Ends all of them: nobody is to wait for a client that only listens.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until all of them are to end. Cancel-safe.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        if let Some(taken) = open.get_mut(&self.app) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(&self.app);
            }
        }
    }
}
