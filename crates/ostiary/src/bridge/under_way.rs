//! Requests of the client that wait for their answers, so that it can give them up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mcp::envelope::Message;
use mcp::json::{Raw, canonical};
use parking_lot::Mutex;
use tokio::sync::watch;

/// All of them.
#[derive(Default)]
pub(super) struct UnderWay {
    next: AtomicU64,
    requests: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    /// The request's id in its one spelling.
    id: Vec<u8>,
    is_legacy: bool,
    word: watch::Sender<Option<Bytes>>,
}

/// A request under way. Dropping it takes it off the list.
pub(super) struct Request {
    list: Arc<UnderWay>,
    number: u64,
    word: watch::Receiver<Option<Bytes>>,
}

impl UnderWay {
    /// Puts a request on the list.
    pub(super) fn begin(self: &Arc<Self>, message: &Message, is_legacy: bool) -> Request {
        let id = message.id().map(canonical).unwrap_or_default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, word) = watch::channel(None);
        self.requests.lock().insert(number, Waiting { id, is_legacy, word: sender });
        Request { list: Arc::clone(self), number, word }
    }

    /// Tells a request that it is given up, in these words; whether there is one of that id.
    pub(super) fn cancel(&self, id: Raw<'_>, word: &Bytes) -> bool {
        let id = canonical(id);
        let requests = self.requests.lock();
        let mut own = requests.values().filter(|it| it.id == id).peekable();
        let is_there = own.peek().is_some();
        own.for_each(|it| drop(it.word.send(Some(word.clone()))));
        is_there
    }

    /// The ids of legacy requests, as raw JSON.
    pub(super) fn legacy(&self) -> Vec<Vec<u8>> {
        let requests = self.requests.lock();
        requests.values().filter(|it| it.is_legacy).map(|it| it.id.clone()).collect()
    }
}

impl Request {
    /// The notification that gives it up; waits for ever where none comes. Loses nothing when
    /// dropped before it is ready.
    pub(super) async fn cancelled(&mut self) -> Bytes {
        let word = self.word.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        match word {
            Some(word) => word,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.list.requests.lock().remove(&self.number);
    }
}
