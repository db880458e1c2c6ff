//! Who waits for what on one stream.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Feed;
use crate::refusal::UpstreamError;

/// The calls that wait on one stream, and who hears the rest.
pub(super) struct Table(Mutex<State>);

struct State {
    calls: HashMap<u64, Waiting>,
    feed: Option<mpsc::Sender<Bytes>>,
    /// What the server has asked while nobody could be asked.
    asks: VecDeque<Bytes>,
    ended: Option<UpstreamError>,
    /// When anything last came, and when anybody last wanted something.
    heard: Instant,
    used: Instant,
}

struct Waiting {
    news: mpsc::Sender<Bytes>,
    answer: oneshot::Sender<Result<Bytes, UpstreamError>>,
}

/// A call's place at the table.
pub(super) struct Place {
    pub(super) news: mpsc::Receiver<Bytes>,
    pub(super) answer: oneshot::Receiver<Result<Bytes, UpstreamError>>,
}

/// Calls that wait at the same time.
const MOST_CALLS: usize = 4096;

/// What a call, or a listener, has not taken yet.
const QUEUE: usize = 32;

/// What a server may have asked before there is somebody to be asked.
const MOST_ASKS: usize = 4;

impl Table {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            calls: HashMap::new(),
            feed: None,
            asks: VecDeque::new(),
            ended: None,
            heard: Instant::now(),
            used: Instant::now(),
        }))
    }

    /// A place for a call, unless the stream has ended or there are too many.
    pub(super) fn enter(&self, id: u64) -> Option<Place> {
        let mut state = self.0.lock();
        if state.ended.is_some() || MOST_CALLS <= state.calls.len() || state.calls.contains_key(&id)
        {
            return None;
        }
        let (to_news, news) = mpsc::channel(QUEUE);
        let (to_answer, answer) = oneshot::channel();
        state.used = Instant::now();
        state.calls.insert(id, Waiting { news: to_news, answer: to_answer });
        Some(Place { news, answer })
    }

    pub(super) fn leave(&self, id: u64) {
        let left = self.0.lock().calls.remove(&id);
        drop(left);
    }

    /// Whether there was a call to answer. Its news have come before, since they end with this.
    pub(super) fn answer(&self, id: u64, text: Bytes) -> bool {
        let waiting = self.0.lock().calls.remove(&id);
        // The caller may have left in this moment.
        waiting.is_some_and(|it| it.answer.send(Ok(text)).is_ok())
    }

    /// The way to one call's news.
    pub(super) fn news_of(&self, id: u64) -> Option<mpsc::Sender<Bytes>> {
        self.0.lock().calls.get(&id).map(|it| it.news.clone())
    }

    /// The one call there is.
    pub(super) fn only(&self) -> Option<u64> {
        let state = self.0.lock();
        let mut ids = state.calls.keys();
        ids.next().filter(|_| ids.len() == 0).copied()
    }

    pub(super) fn listen(&self) -> Option<Feed> {
        let mut state = self.0.lock();
        if state.ended.is_some() {
            return None;
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        state.feed = Some(sender);
        Some(Feed(receiver))
    }

    /// Whether somebody listens, and has been told. Who does not keep up misses it: the stream
    /// brings the answers of others as well.
    pub(super) fn tell(&self, text: Bytes) -> bool {
        let mut state = self.0.lock();
        let Some(feed) = &state.feed else { return false };
        match feed.try_send(text) {
            Err(mpsc::error::TrySendError::Closed(_)) => {
                state.feed = None;
                false
            }
            _ => true,
        }
    }

    /// Whether somebody listens and has taken it.
    pub(super) fn offer(&self, text: Bytes) -> bool {
        self.0.lock().feed.as_ref().is_some_and(|it| it.try_send(text).is_ok())
    }

    /// Keeps a question for the next call; gives it back where there are too many.
    pub(super) fn keep(&self, ask: Bytes) -> Option<Bytes> {
        let mut state = self.0.lock();
        if MOST_ASKS <= state.asks.len() {
            return Some(ask);
        }
        state.asks.push_back(ask);
        None
    }

    pub(super) fn kept(&self) -> VecDeque<Bytes> {
        mem::take(&mut self.0.lock().asks)
    }

    pub(super) fn hear(&self) {
        self.0.lock().heard = Instant::now();
    }

    pub(super) fn heard(&self) -> Instant {
        self.0.lock().heard
    }

    /// Whether nobody waits for anything, and has not for so long.
    pub(super) fn is_idle(&self, long: Duration) -> bool {
        let mut state = self.0.lock();
        state.feed.take_if(|it| it.is_closed());
        let is_unused = long <= state.used.elapsed();
        is_unused && state.calls.is_empty() && state.feed.is_none()
    }

    /// Fails every call, now and from now on.
    pub(super) fn end(&self, error: &UpstreamError) {
        let mut state = self.0.lock();
        state.ended.get_or_insert_with(|| error.clone());
        state.feed = None;
        let calls = mem::take(&mut state.calls);
        drop(state);
        for waiting in calls.into_values() {
            waiting.answer.send(Err(error.clone())).ok();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().ended.is_some()
    }
}
