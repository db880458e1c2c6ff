//! What a legacy client is told on its streams, kept so that it can come back for what it has
//! missed.
//!
//! Each stream of a session is a [`Strand`]: whoever makes the events writes to it, and the client
//! reads from it on one connection after the other. A client that has gone has not cancelled: its
//! call goes on for a while, and what it says waits there. What holds here:
//!
//! - An id names a strand and a place in it. Strands are numbered across all sessions and looked up
//!   in one session, so no id of another session names anything.
//! - Content belongs to the pass under which it was released. What a cut-off has ended is not handed
//!   out any more, and before anything is handed out once more its pass is cleared again.
//! - All is bounded: by strand, by session, by app, by process, and by time. What does not fit is
//!   told to whoever is there and kept for nobody; instead of an answer that could not be kept, an
//!   error is.

mod ends;
mod strand;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::AppId;
use mcp::revision::Revision;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use ends::{Reader, Told, Writer};
pub(crate) use strand::{Event, Origin, Strand};

use crate::authorize::Pass;

/// What is kept for all sessions.
pub(crate) struct Replays {
    all: Arc<Account>,
    apps: Mutex<HashMap<AppId, Weak<Tenant>>>,
    next: AtomicU64,
    /// Whose strands are to be looked through when, soonest first.
    due: Mutex<VecDeque<(Instant, Weak<Replay>)>>,
}

/// What is kept for one session.
pub(crate) struct Replay {
    node: Arc<Replays>,
    account: Arc<Account>,
    tenant: Arc<Tenant>,
    /// Whether its client knows streams that end early and are asked for again.
    pub(crate) polls: bool,
    /// Whether all is told on one stream that nobody can come back to.
    is_paired: AtomicBool,
    strands: Mutex<Strands>,
    closing: Notify,
}

#[derive(Default)]
struct Strands {
    /// Those of calls, oldest first.
    calls: VecDeque<Arc<Strand>>,
    /// The one for what belongs to no call.
    listening: Option<Arc<Strand>>,
    is_closed: bool,
}

/// What all sessions of one app share.
struct Tenant {
    account: Arc<Account>,
    lingering: AtomicUsize,
}

/// A number of bytes that may be kept, within another one.
struct Account {
    used: AtomicUsize,
    most: usize,
    above: Option<Arc<Self>>,
}

/// The right of a call to go on while nobody reads what it says.
pub(crate) struct Lingers(Arc<Tenant>);

/// For how long a call goes on while its client is away, and what is for no call is collected.
pub(crate) const LINGER: Duration = Duration::from_secs(5 * 60);

/// For how long what a stream has said is kept after its end.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// How long a client is asked to stay away before it comes back, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// How many calls of one app may go on while their clients are away.
const LINGERING_PER_APP: usize = 200;

/// How many streams of calls one session can come back to.
const STRANDS: usize = 64;

/// Bytes kept for one session, one app, and all of them.
const PER_SESSION: usize = 4 << 20;
const PER_APP: usize = 16 << 20;
const IN_ALL: usize = 64 << 20;

impl Default for Replays {
    fn default() -> Self {
        Self {
            all: Arc::new(Account::new(IN_ALL, None)),
            apps: Mutex::default(),
            next: AtomicU64::new(1),
            due: Mutex::default(),
        }
    }
}

impl Replays {
    /// For a new session.
    pub(crate) fn of(self: &Arc<Self>, app: AppId, revision: Revision) -> Arc<Replay> {
        let tenant = self.tenant(app);
        let account = Arc::new(Account::new(PER_SESSION, Some(Arc::clone(&tenant.account))));
        Arc::new(Replay {
            node: Arc::clone(self),
            account,
            tenant,
            polls: Revision::V2025_11_25 <= revision,
            is_paired: AtomicBool::new(false),
            strands: Mutex::default(),
            closing: Notify::new(),
        })
    }

    /// How many bytes are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.sweep(Instant::now());
        self.all.used.load(Ordering::Relaxed)
    }

    fn tenant(&self, app: AppId) -> Arc<Tenant> {
        let mut apps = self.apps.lock();
        if let Some(tenant) = apps.get(&app).and_then(Weak::upgrade) {
            return tenant;
        }
        apps.retain(|_, it| 0 < it.strong_count());
        let account = Arc::new(Account::new(PER_APP, Some(Arc::clone(&self.all))));
        let tenant = Arc::new(Tenant { account, lingering: AtomicUsize::new(0) });
        apps.insert(app, Arc::downgrade(&tenant));
        tenant
    }

    /// Lets go of what has been kept for long enough.
    fn sweep(&self, now: Instant) {
        loop {
            let next = {
                let mut due = self.due.lock();
                match due.front() {
                    Some((at, _)) if *at <= now => due.pop_front(),
                    _ => return,
                }
            };
            if let Some(replay) = next.and_then(|(_, replay)| replay.upgrade()) {
                replay.sweep(now);
            }
        }
    }
}

impl Replay {
    /// From now on nothing is kept: its client is on a transport where the session is one stream, and
    /// leaving that ends its calls.
    pub(crate) fn pair(&self) {
        self.is_paired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_paired(&self) -> bool {
        self.is_paired.load(Ordering::Relaxed)
    }

    /// A stream for a call, and its first reader.
    pub(crate) fn open(self: &Arc<Self>) -> (Writer, Reader) {
        self.node.sweep(Instant::now());
        let strand = self.strand();
        {
            let mut strands = self.strands.lock();
            if STRANDS <= strands.calls.len()
                && let Some(oldest) = strands.calls.iter().position(|it| !it.is_written())
            {
                strands.calls.remove(oldest);
            }
            // Past that, it can be read once.
            if strands.calls.len() < STRANDS && !strands.is_closed {
                strands.calls.push_back(Arc::clone(&strand));
            }
        }
        let writer = Writer::begin(&strand, self);
        self.greet(&strand);
        (writer, strand.read_unread().of(self))
    }

    /// Reads the stream of a call on after an event.
    pub(crate) fn resume(self: &Arc<Self>, strand: &Arc<Strand>, after: u64) -> Reader {
        strand.read_after(after).of(self)
    }

    /// Goes on with the stream for what belongs to no call, in the place of whoever has. A reader of
    /// what comes after that event, or of all that no one has read.
    pub(crate) fn listen(self: &Arc<Self>, after: Option<u64>) -> (Writer, Reader) {
        self.node.sweep(Instant::now());
        let strand = self.listening();
        let writer = Writer::begin(&strand, self);
        let reader = match after {
            Some(event) => strand.read_after(event),
            None => {
                self.greet(&strand);
                strand.read_unread()
            }
        };
        (writer, reader)
    }

    /// The strand that an id names, and the place in it. What is no id of this session names none.
    pub(crate) fn find(&self, id: &str) -> Option<(Arc<Strand>, u64)> {
        self.node.sweep(Instant::now());
        let (number, event) = id.split_once('-')?;
        let (number, event) = (decimal(number)?, decimal(event)?);
        let strands = self.strands.lock();
        let strand =
            strands.calls.iter().chain(&strands.listening).find(|it| it.number == number)?;
        strand.has_said(event).then(|| (Arc::clone(strand), event))
    }

    /// The passes under which was told what belongs to no call.
    pub(crate) fn heard(&self) -> Vec<(Arc<Strand>, Arc<Pass>)> {
        let listening = self.strands.lock().listening.clone();
        let told = |it: Arc<Strand>| {
            let origins = it.origins_after(0).into_iter();
            origins.map(|told| (Arc::clone(&it), told)).collect()
        };
        listening.map(told).unwrap_or_default()
    }

    /// Whether somebody tells what belongs to no call, to a client that is there or may come back.
    pub(crate) fn is_heard(&self) -> bool {
        let strands = self.strands.lock();
        self.is_paired() || strands.listening.as_ref().is_some_and(|it| it.is_written())
    }

    /// Whether it is the one for what belongs to no call.
    pub(crate) fn is_listening(&self, strand: &Arc<Strand>) -> bool {
        self.strands.lock().listening.as_ref().is_some_and(|it| Arc::ptr_eq(it, strand))
    }

    /// The right to go on while nobody reads, as long as there are not too many.
    pub(crate) fn linger(&self) -> Option<Lingers> {
        if self.strands.lock().is_closed {
            return None;
        }
        let lingering = &self.tenant.lingering;
        if lingering.fetch_add(1, Ordering::Relaxed) < LINGERING_PER_APP {
            return Some(Lingers(Arc::clone(&self.tenant)));
        }
        lingering.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// Ends the stream that is for no call, and what goes on for nobody: the session has ended.
    pub(crate) fn close(&self) {
        let mut strands = self.strands.lock();
        strands.is_closed = true;
        let (calls, listening) = (std::mem::take(&mut strands.calls), strands.listening.take());
        drop(strands);
        calls.iter().for_each(|it| it.forget());
        if let Some(listening) = listening {
            listening.end();
        }
        self.closing.notify_waiters();
    }

    /// Resolves when the session has ended.
    pub(crate) async fn closed(&self) {
        loop {
            let closing = self.closing.notified();
            if self.strands.lock().is_closed {
                return;
            }
            closing.await;
        }
    }

    fn listening(&self) -> Arc<Strand> {
        let mut strands = self.strands.lock();
        if let Some(strand) = &strands.listening {
            return Arc::clone(strand);
        }
        let strand = self.strand();
        if strands.is_closed {
            strand.end();
        } else {
            strands.listening = Some(Arc::clone(&strand));
        }
        strand
    }

    fn strand(&self) -> Arc<Strand> {
        let number = self.node.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Strand::new(number, Arc::clone(&self.account)))
    }

    /// Tells a client that would come back where it stands, before anything else.
    fn greet(&self, strand: &Strand) {
        if self.polls {
            strand.prime(RETRY_MS);
        }
    }

    /// Has it looked through when what is there now has been kept for long enough.
    fn revisit(self: &Arc<Self>) {
        let at = Instant::now() + KEPT;
        self.node.due.lock().push_back((at, Arc::downgrade(self)));
    }

    fn sweep(self: &Arc<Self>, now: Instant) {
        let Some(before) = now.checked_sub(KEPT) else { return };
        let mut strands = self.strands.lock();
        strands.calls.retain(|it| !it.is_over_since(before));
        let is_left = strands.listening.as_ref().is_some_and(|it| it.forget_before(before));
        drop(strands);
        if is_left {
            self.revisit();
        }
    }
}

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.lingering.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Account {
    fn new(most: usize, above: Option<Arc<Self>>) -> Self {
        Self { used: AtomicUsize::new(0), most, above }
    }

    fn take(&self, bytes: usize) -> bool {
        let was = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = was.saturating_add(bytes) <= self.most;
        if fits && self.above.as_ref().is_none_or(|it| it.take(bytes)) {
            return true;
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.give(bytes);
        }
    }
}

/// As we write it, and in no other way.
fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|it| it.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}
