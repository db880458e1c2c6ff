//! The streams of a server on the transport of 2024-11-05.

use std::sync::{Arc, Mutex};

use super::{Arrived, Talk, Upstream};
use crate::wait::eventually;

/// All that have been opened, in order. Each has a URL of its own for its messages.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<Arc<Talk>>>);

impl Streams {
    /// Opens one, and says where its messages are to go.
    pub(super) fn open(&self, arrived: Arrived) {
        let stream = Arc::new(arrived.stream());
        let mut open = self.0.lock().unwrap();
        open.push(Arc::clone(&stream));
        stream.now(format!("event: endpoint\ndata: /messages?stream={}\n\n", open.len()));
    }

    /// The one that a message is for, if it is open.
    pub(super) fn of(&self, target: &str) -> Option<Arc<Talk>> {
        let number: usize = target.split_once("stream=")?.1.parse().ok()?;
        let open = self.0.lock().unwrap();
        open.get(number.checked_sub(1)?).filter(|it| !it.is_over()).map(Arc::clone)
    }
}

impl Upstream {
    /// How many streams have been opened.
    pub fn streams(&self) -> usize {
        self.shared.streams.0.lock().unwrap().len()
    }

    /// The stream of that number, beginning with 1, when it has been opened.
    pub async fn stream(&self, number: usize) -> Arc<Talk> {
        let look = || self.shared.streams.0.lock().unwrap().get(number - 1).map(Arc::clone);
        eventually("a stream", look).await
    }

    /// Ends the newest stream as a server does that goes away.
    pub fn end_stream(&self) {
        let mut open = self.shared.streams.0.lock().unwrap();
        let last = open.pop().expect("an open stream");
        // Messages for it are those of nobody from now on.
        open.push(Arc::new(Talk::over()));
        drop(last);
    }
}
