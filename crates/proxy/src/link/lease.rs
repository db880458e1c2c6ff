//! Sessions that calls of modern clients borrow, one call at a time.
//!
//! A legacy server asks its questions in the session, and says of many of them not to which call
//! they belong: on its pipe, or on the session's own stream. So a session in which something may be
//! asked serves one call, and then the next one of the same app, user, credential and capabilities.
//! One whose call has not been answered properly serves no other, since its server may yet speak of
//! that call. What is not used for a while is ended.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use domain::{AppId, AssignmentId, IdentityId, Transport, UserId};
use http::StatusCode;
use mcp::bridge::askable::Askable;
use mcp::envelope::{Message, MessageKind};
use mcp::json::Limits;
use mcp::revision;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Exchange, Introduction, Link, Links, UpstreamSession, our_info};
use crate::authorize::{self, Pass};
use crate::identify::Caller;
use crate::record::{Aside, Outcome, Said};
use crate::refusal::Refusal;
use crate::route::Place;
use crate::seats::Seat;
use crate::serve::{Proxy, Worker};

/// The sessions of one link that nobody has borrowed at the moment.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Kept>>);

/// For whom a session may be used. All of them are opened with the latest legacy revision.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    identity: Option<IdentityId>,
    app: AppId,
    user: UserId,
    askable: Askable,
}

struct Kept {
    key: Key,
    session: Arc<UpstreamSession>,
    stream: Option<Stream>,
    since: Duration,
    owner: Owner,
    _seat: Seat,
}

/// Who can end it in the way of the protocol.
#[derive(Clone)]
struct Owner {
    worker: Arc<Worker>,
    caller: Caller,
    place: Place,
    assignment: AssignmentId,
    peer: IpAddr,
}

/// The session's own stream. It is bound to the thread of the worker that has opened it.
enum Stream {
    // In a lock that nobody locks: many may look at the lease, and one waits for this.
    Opening(Mutex<Pin<Box<dyn Future<Output = Option<Exchange>> + Send>>>),
    Open(Exchange),
}

/// A borrowed session. Dropped, it is there for the next call, or is ended.
pub(crate) struct Lease {
    link: Arc<Link>,
    kept: Option<Kept>,
    /// Locked by whoever waits for it, who is alone.
    hearing: tokio::sync::Mutex<Hearing>,
    is_settled: bool,
}

/// Where the server speaks beside its answer.
struct Hearing {
    /// What a child process says that belongs to no call in particular.
    words: Option<mpsc::Receiver<Bytes>>,
    stream: Option<Stream>,
}

/// Where a child's words go while its session is borrowed.
pub(crate) type Ears = Arc<Mutex<Option<mpsc::Sender<Bytes>>>>;

/// How many of such words may wait for the call.
const WORDS: usize = 64;

/// How long a server may take to hear that a session ends when all of them do.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a call waits for the session's own stream. It goes on without, and will hear it later: a
/// server may keep silent until it has something to say there.
const OPENING: Duration = Duration::from_millis(100);

impl Link {
    /// Borrows a session in which this may be asked, or opens one.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        pass: &Pass,
        askable: Askable,
        peer: IpAddr,
    ) -> Result<Lease, Refusal> {
        let (app, user) = (pass.subject.app, pass.subject.user);
        let key = Key { identity: pass.subject.identity, app, user, askable };
        let assignment = pass.assignment().ok_or(Refusal::NoGateway)?.id;
        let (caller, place) = (pass.caller.clone(), pass.place.clone());
        let owner = Owner { worker: Arc::clone(worker), caller, place, assignment, peer };
        let mut kept = match self.idle.take(key, |it| it.session.is_usable()) {
            Some(kept) => {
                let same = Arc::ptr_eq(&kept.owner.worker, worker);
                let stream = kept.stream.filter(|_| same);
                Kept { owner, stream, ..kept }
            }
            None => self.open_kept(pass, key, owner).await?,
        };
        let words = kept.session.ears.as_ref().map(|ears| {
            let (sender, receiver) = mpsc::channel(WORDS);
            *ears.lock() = Some(sender);
            receiver
        });
        if kept.stream.is_none() {
            kept.stream = self.opening(&kept);
        }
        let link = Arc::clone(self);
        let hearing = Hearing { words, stream: kept.stream.take() };
        let hearing = tokio::sync::Mutex::new(hearing);
        Ok(Lease { link, kept: Some(kept), hearing, is_settled: false })
    }

    async fn open_kept(
        self: &Arc<Self>,
        pass: &Pass,
        key: Key,
        owner: Owner,
    ) -> Result<Kept, Refusal> {
        let worker = Arc::clone(&owner.worker);
        let introduction = Introduction {
            revision: revision::LATEST_LEGACY,
            capabilities: key.askable.capabilities(),
            client_info: our_info(),
            own: true,
        };
        let mut may_make_room = true;
        let (session, seat) = loop {
            let opened = match worker.proxy.leases.take(key.app) {
                Some(seat) => {
                    let opening = Box::pin(self.initialize(&worker, pass, &introduction));
                    opening.await.map(|session| (session, seat))
                }
                None => Err(Refusal::TooManySessions),
            };
            match opened {
                // Somebody else's session, or one for other questions, may be of no use any more.
                Err(Refusal::TooManySessions) if std::mem::take(&mut may_make_room) => {
                    let Some(oldest) = self.idle.oldest() else {
                        return Err(Refusal::TooManySessions);
                    };
                    let patience = worker.proxy.options.probe;
                    Box::pin(end(oldest, Arc::clone(self), patience)).await;
                }
                opened => break opened?,
            }
        };
        let session = Arc::new(session);
        let weak = (Arc::downgrade(self), Arc::downgrade(&session));
        worker.proxy.options.tasks.spawn(expire(weak, Arc::clone(&worker.proxy)));
        let since = worker.proxy.clock.elapsed();
        Ok(Kept { key, session, stream: None, since, owner, _seat: seat })
    }

    /// Opens the session's own stream, under a permission of its own, since it may outlive the call.
    fn opening(self: &Arc<Self>, kept: &Kept) -> Option<Stream> {
        let session = Arc::clone(&kept.session);
        if session.id.is_none() || session.has_no_stream.load(Ordering::Relaxed) {
            return None;
        }
        let Owner { worker, caller, place, assignment, .. } = kept.owner.clone();
        let (pass, link) = authorize::lead(&worker, (&caller, &place), assignment).ok()?;
        Some(Stream::Opening(Mutex::new(Box::pin(async move {
            let opening = link.listen(&worker, &pass, &session);
            let opened = pass.flight.unless_ended(opening).await.and_then(Result::ok).flatten();
            if opened.is_none() {
                session.has_no_stream.store(true, Ordering::Relaxed);
            }
            opened
        }))))
    }
}

impl Links {
    /// The ends of all sessions that nobody has borrowed and that a worker has used last. A server that
    /// does not answer is not waited for as long as at other times: we are stopping.
    pub(crate) fn goodbyes(
        &self,
        worker: &Arc<Worker>,
    ) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let links: Vec<_> = self.by_server.lock().values().map(Arc::clone).collect();
        let of_one = |link: Arc<Link>| {
            let kept = link.idle.take_of(worker).into_iter();
            kept.map(move |it| end(it, Arc::clone(&link), GOODBYE))
        };
        links.into_iter().flat_map(of_one).collect()
    }
}

impl Lease {
    pub(crate) fn session(&self) -> &Arc<UpstreamSession> {
        &self.kept().session
    }

    /// What may be asked in it.
    pub(crate) fn askable(&self) -> Askable {
        self.kept().key.askable
    }

    /// What the server says in the session, and not in answer to the call. Loses nothing when dropped
    /// before it is ready; waits for ever where nothing can come.
    pub(crate) async fn heard(&self) -> Bytes {
        let mut hearing = self.hearing.lock().await;
        let Hearing { words, stream } = &mut *hearing;
        if let Some(heard) = words {
            match heard.recv().await {
                Some(text) => return text,
                None => *words = None,
            }
        }
        while let Some(open) = stream {
            match open {
                Stream::Opening(opening) => {
                    *stream = opening.get_mut().as_mut().await.map(Stream::Open);
                }
                Stream::Open(exchange) => match exchange.next().await {
                    Some(Ok(text)) => return text,
                    _ => *stream = None,
                },
            }
        }
        std::future::pending().await
    }

    /// The call has been answered, and every question in it.
    pub(crate) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Waits for the session's own stream, in which the call may be asked something: once, since a
    /// server that keeps silent there at first will do so with every call.
    pub(crate) async fn wait_for_stream(&mut self) {
        let heard = self.session().heard.clone();
        let stream = &mut self.hearing.get_mut().stream;
        let Some(Stream::Opening(opening)) = stream.as_mut().filter(|_| !heard.is_cancelled())
        else {
            return;
        };
        let opened = tokio::time::timeout(OPENING, opening.get_mut()).await;
        heard.cancel();
        if let Ok(opened) = opened {
            *stream = opened.map(Stream::Open);
        }
    }

    fn kept(&self) -> &Kept {
        self.kept.as_ref().expect("a lease has its session until it is dropped")
    }

    /// Whether the server has asked something that nobody has heard.
    fn has_unheard(&mut self) -> bool {
        let Some(heard) = &mut self.hearing.get_mut().words else { return false };
        heard.close();
        let mut is_asked = false;
        while let Ok(text) = heard.try_recv() {
            let message = Message::parse(text, Limits::default());
            is_asked |= message.is_ok_and(|it| it.kind() == MessageKind::Request);
        }
        is_asked
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(ears) = self.kept.as_ref().and_then(|it| it.session.ears.as_ref()) {
            *ears.lock() = None;
        }
        let is_good = self.is_settled && !self.has_unheard();
        let Some(mut kept) = self.kept.take() else { return };
        if is_good && kept.session.is_usable() {
            kept.stream = self.hearing.get_mut().stream.take();
            kept.since = kept.owner.worker.proxy.clock.elapsed();
            self.link.idle.0.lock().push(kept);
            return;
        }
        let tasks = kept.owner.worker.held.clone();
        let patience = kept.owner.worker.proxy.options.probe;
        tasks.spawn(end(kept, Arc::clone(&self.link), patience));
    }
}

impl Idle {
    /// The one that was used last: what it knows of its client is the freshest.
    fn take(&self, key: Key, is_good: impl Fn(&Kept) -> bool) -> Option<Kept> {
        let mut kept = self.0.lock();
        kept.retain(is_good);
        let at = kept.iter().rposition(|it| it.key == key)?;
        Some(kept.remove(at))
    }

    /// Those that this worker has used last.
    fn take_of(&self, worker: &Arc<Worker>) -> Vec<Kept> {
        let mut kept = self.0.lock();
        kept.extract_if(.., |it| Arc::ptr_eq(&it.owner.worker, worker)).collect()
    }

    /// Without a word: their server is turned off, or we are.
    pub(super) fn clear(&self) {
        drop(std::mem::take(&mut *self.0.lock()));
    }

    fn oldest(&self) -> Option<Kept> {
        let mut kept = self.0.lock();
        (!kept.is_empty()).then(|| kept.remove(0))
    }

    /// This one, if it is idle and has been since then.
    fn take_since(&self, session: &Arc<UpstreamSession>, before: Duration) -> Option<Kept> {
        let mut kept = self.0.lock();
        let is_it = |it: &Kept| Arc::ptr_eq(&it.session, session) && it.since <= before;
        let at = kept.iter().position(is_it)?;
        Some(kept.remove(at))
    }
}

/// Ends a session when it has not been used for long enough.
async fn expire((link, session): (Weak<Link>, Weak<UpstreamSession>), proxy: Arc<Proxy>) {
    let keep = proxy.options.keep_sessions;
    loop {
        tokio::time::sleep(keep).await;
        let (Some(link), Some(session)) = (link.upgrade(), session.upgrade()) else { return };
        let before = proxy.clock.elapsed().saturating_sub(keep);
        if let Some(kept) = link.idle.take_since(&session, before) {
            drop(session);
            return Box::pin(end(kept, link, proxy.options.probe)).await;
        }
    }
}

/// Ends a session in the way of the protocol, as far as its user may still speak to the server; a
/// server that is turned off is left without a word.
async fn end(kept: Kept, link: Arc<Link>, patience: Duration) {
    let Kept { session, owner, _seat, .. } = kept;
    let Owner { worker, caller, place, assignment, peer } = owner;
    if !session.is_usable() {
        return;
    }
    if let Some(child) = &session.child {
        // Our own process.
        return child.stop().await;
    }
    let is_http = matches!(link.server.transport, Transport::Http { .. });
    let Ok((pass, _)) = authorize::lead(&worker, (&caller, &place), assignment) else { return };
    if !is_http || session.id.is_none() {
        return;
    }
    let revision = session.hello.revision;
    let said = Said { worker: &worker, place: &place, peer, revision, method: "DELETE" };
    let outcome = match Aside::begin(&pass, &said, Vec::new(), &[]).await {
        Ok(aside) => {
            let goodbye = tokio::time::timeout(patience, link.goodbye(&worker, &pass, &session));
            let outcome = match pass.flight.unless_ended(goodbye).await {
                Some(_) => Outcome::told(StatusCode::OK),
                None => Outcome::refused(&pass.why_ended().await),
            };
            aside.end(&outcome).await
        }
        Err(refusal) => Err(refusal),
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, "The end of a session with a server could not be recorded");
    }
}
