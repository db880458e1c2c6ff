//! One stream: the events that it has said, who writes them, and who reads them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::{BufMut, Bytes, BytesMut};
use mcp::sse;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ends::Reader;
use super::{Account, KEPT, LINGER, Lingers};
use crate::authorize::Pass;
use crate::body::PIECE;

/// The events of one stream, from the first that is still kept.
pub(crate) struct Strand {
    pub(super) number: u64,
    account: Arc<Account>,
    pub(super) state: Mutex<State>,
    /// Told when there is room, and when a reader or a writer has come or gone.
    pub(super) changed: Notify,
}

pub(super) struct State {
    pub(super) kept: VecDeque<Kept>,
    /// The number of the first of them.
    pub(super) first: u64,
    /// What the account is charged with.
    pub(super) bytes: usize,
    /// The first event that no reader has taken.
    pub(super) untaken: u64,
    /// What has not been taken, in bytes.
    pub(super) waiting: usize,
    /// Who reads: each reader is another one than the one before.
    pub(super) reader: u64,
    pub(super) is_read: bool,
    pub(super) waker: Option<Waker>,
    /// The same of writers.
    pub(super) writer: u64,
    pub(super) is_written: bool,
    /// Since when nobody has read, or written.
    pub(super) unread_since: Option<Instant>,
    pub(super) over_since: Option<Instant>,
    /// What lets the writer go on while nobody reads.
    pub(super) lingers: Option<Lingers>,
    /// A sign of life is due.
    pub(super) beat: bool,
    /// The reader is to go, and to come back after so many milliseconds.
    pub(super) farewell: Option<u64>,
    pub(super) is_closed: bool,
}

/// An event that is to be told.
pub(crate) struct Event<'a> {
    /// What stands after its id.
    pub(crate) body: Vec<Bytes>,
    pub(crate) pass: Option<&'a Arc<Pass>>,
    /// What is told instead where it cannot be kept. Absent, nothing is.
    pub(crate) instead: Option<&'a Bytes>,
}

pub(super) struct Kept {
    /// The event as it is sent.
    pub(super) body: Vec<Bytes>,
    /// What the account is charged with for it.
    pub(super) charged: usize,
    pub(super) size: usize,
    pub(super) origin: Option<Arc<Pass>>,
    /// Put in its place once it has been taken, or nobody is there to take it.
    pub(super) instead: Option<Bytes>,
    pub(super) at: Instant,
}

/// Under which pass something is told, and what is told instead of an answer that cannot be kept.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) pass: Arc<Pass>,
    pub(crate) instead: Bytes,
}

/// How many events of one strand are kept, and bytes.
pub(super) const EVENTS: usize = 256;
pub(super) const BYTES: usize = 1 << 20;

impl Strand {
    pub(super) fn new(number: u64, account: Arc<Account>) -> Self {
        let state = State {
            kept: VecDeque::new(),
            first: 1,
            bytes: 0,
            untaken: 1,
            waiting: 0,
            reader: 0,
            is_read: false,
            waker: None,
            writer: 0,
            is_written: false,
            unread_since: None,
            over_since: None,
            lingers: None,
            beat: false,
            farewell: None,
            is_closed: false,
        };
        Self { number, account, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Reads what no reader has taken.
    pub(super) fn read_unread(self: &Arc<Self>) -> Reader {
        let from = self.state.lock().untaken;
        self.read_from(from)
    }

    /// Reads on after an event. Whoever has read so far is taken for dead.
    pub(super) fn read_after(self: &Arc<Self>, event: u64) -> Reader {
        self.read_from(event + 1)
    }

    fn read_from(self: &Arc<Self>, next: u64) -> Reader {
        let mut state = self.state.lock();
        state.reader += 1;
        state.is_read = true;
        state.unread_since = None;
        state.farewell = None;
        let lingers = state.lingers.take();
        state.untaken = next.max(state.first);
        state.waiting = state.waiting_from(state.untaken);
        let number = state.reader;
        let waker = state.waker.take();
        drop((state, lingers));
        waker.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
        Reader::new(Arc::clone(self), number, next)
    }

    /// The passes under which what comes after an event was told.
    pub(crate) fn origins_after(&self, event: u64) -> Vec<Arc<Pass>> {
        let state = self.state.lock();
        let known = usize::try_from((event + 1).saturating_sub(state.first)).unwrap_or(usize::MAX);
        let mut origins: Vec<Arc<Pass>> = Vec::new();
        for origin in state.kept.iter().skip(known).filter_map(|it| it.origin.as_ref()) {
            if !origins.iter().any(|it| Arc::ptr_eq(it, origin)) {
                origins.push(Arc::clone(origin));
            }
        }
        origins
    }

    /// Nothing that was told under this pass is told again.
    pub(crate) fn disown(&self, pass: &Arc<Pass>) {
        let mut state = self.state.lock();
        let is_its = |it: &Kept| it.origin.as_ref().is_some_and(|it| Arc::ptr_eq(it, pass));
        let mut freed = 0;
        for kept in state.kept.iter_mut().filter(|it| is_its(it)) {
            freed += std::mem::take(&mut kept.charged);
            (kept.body, kept.size, kept.instead) = (Vec::new(), 0, None);
        }
        state.bytes -= freed;
        state.waiting = state.waiting_from(state.untaken);
        drop(state);
        self.account.give(freed);
    }

    /// Whether an event of that number has been told, kept or not.
    pub(super) fn has_said(&self, event: u64) -> bool {
        let state = self.state.lock();
        0 < event && event < state.first + state.kept.len() as u64
    }

    pub(super) fn is_written(&self) -> bool {
        self.state.lock().is_written
    }

    pub(super) fn is_over_since(&self, before: Instant) -> bool {
        self.state.lock().over_since.is_some_and(|it| it <= before)
    }

    /// Lets go of what is older; whether something is left.
    pub(super) fn forget_before(&self, before: Instant) -> bool {
        let mut state = self.state.lock();
        while state.kept.front().is_some_and(|it| it.at <= before) {
            state.drop_first(&self.account);
        }
        !state.kept.is_empty()
    }

    /// Nobody can come back to it. If nobody is there, it is over.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.is_closed |= !state.is_read;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ends it for whoever is there.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
    }

    /// An event that says where the stream is.
    pub(super) fn prime(&self, retry_ms: u64) {
        let mut state = self.state.lock();
        let id = self.id(state.end());
        let body = vec![sse::prime(&id, Some(retry_ms))];
        self.push(&mut state, Event { body, pass: None, instead: None });
    }

    pub(super) fn id(&self, event: u64) -> String {
        format!("{}-{event}", self.number)
    }

    /// The same event under its id.
    pub(super) fn framed(&self, event: u64, mut body: Vec<Bytes>) -> Vec<Bytes> {
        let mut line = BytesMut::from(format!("id: {}\n", self.id(event)).as_bytes());
        match body.as_slice() {
            [only] if only.len() <= PIECE => {
                line.put_slice(only);
                vec![line.freeze()]
            }
            _ => {
                body.insert(0, line.freeze());
                body
            }
        }
    }

    pub(super) fn push(&self, state: &mut State, event: Event<'_>) {
        let Event { body, pass, instead } = event;
        let size = body.iter().map(Bytes::len).sum();
        let now = Instant::now();
        while state.first < state.untaken
            && state.kept.front().is_some_and(|it| it.at + KEPT <= now)
        {
            state.drop_first(&self.account);
        }
        // What has been read is kept for the case only that it got lost, and goes first.
        let is_full = |it: &State| EVENTS <= it.kept.len() || BYTES < it.bytes + size;
        while is_full(state) && (state.first < state.untaken || !state.is_read) {
            if state.kept.is_empty() {
                break;
            }
            state.drop_first(&self.account);
        }
        let mut fits = !is_full(state) && self.account.take(size);
        while !fits && state.first < state.untaken {
            state.drop_first(&self.account);
            fits = !is_full(state) && self.account.take(size);
        }
        let event = state.end();
        let instead = instead.map(|it| self.framed(event, vec![it.clone()]).concat().into());
        let mut kept = Kept {
            body,
            charged: if fits { size } else { 0 },
            size,
            origin: pass.map(Arc::clone),
            instead: (!fits).then(|| instead.unwrap_or_default()),
            at: now,
        };
        if !state.is_read {
            kept.fall_back();
        }
        state.bytes += kept.charged;
        state.waiting += kept.size;
        state.kept.push_back(kept);
        state.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Drop for Strand {
    fn drop(&mut self) {
        self.account.give(self.state.get_mut().bytes);
    }
}

impl State {
    /// The number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    pub(super) fn at(&mut self, event: u64) -> Option<&mut Kept> {
        let index = usize::try_from(event.checked_sub(self.first)?).ok()?;
        self.kept.get_mut(index)
    }

    pub(super) fn waiting_from(&self, event: u64) -> usize {
        let taken = usize::try_from(event.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.kept.iter().skip(taken).map(|it| it.size).sum()
    }

    fn drop_first(&mut self, account: &Account) {
        let Some(kept) = self.kept.pop_front() else { return };
        account.give(kept.charged);
        self.bytes -= kept.charged;
        if self.untaken <= self.first {
            self.untaken = self.first + 1;
            self.waiting -= kept.size;
        }
        self.first += 1;
    }

    /// Whether its writer is to stop.
    pub(super) fn is_abandoned(&self, writer: u64) -> bool {
        let is_late = self.unread_since.is_some_and(|it| it + LINGER <= Instant::now());
        self.is_closed || self.writer != writer || is_late
    }
}

impl Kept {
    /// Whether it is this event, under whatever id.
    pub(super) fn says(&self, event: &[u8]) -> bool {
        let [only] = self.body.as_slice() else { return false };
        let end = memchr::memchr(b'\n', only).map_or(0, |it| it + 1);
        only.get(end..) == Some(event)
    }

    /// Leaves what is kept of an event that is not itself.
    pub(super) fn fall_back(&mut self) {
        if let Some(instead) = self.instead.take() {
            self.size = instead.len();
            self.body = if instead.is_empty() { Vec::new() } else { vec![instead] };
        }
    }
}
