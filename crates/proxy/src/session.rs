//! Legacy sessions between clients and us. (Modern clients have none.)
//!
//! An id cannot be guessed and proves nothing: each message is authenticated anew, and a session answers
//! only the app, gateway and URL that opened it. Sessions are bounded, for each app and for all of
//! them together, and end when idle.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::{AppId, AssignmentId, GatewayId, Server, Transport};
use mcp::bridge::askable::Askable;
use mcp::bridge::{self, Abilities};
use mcp::envelope::Message;
use mcp::extensions;
use mcp::json::{Limits, Raw};
use mcp::meta::LogLevel;
use mcp::revision::{Era, Revision};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::catalog::{List, Part};
use crate::identify::Caller;
use crate::link::{Slot, UpstreamSession};
use crate::pending::Waiting;
use crate::refusal::Refusal;
use crate::replay::{Replay, Replays};
use crate::route::Place;
use crate::subscribe::{Prints, place_of};

/// All open sessions.
pub(crate) struct Sessions {
    open: Mutex<Open>,
    /// How many there may be.
    most: usize,
    pub(crate) replays: Arc<Replays>,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<String, Arc<Session>>,
    per_app: HashMap<AppId, usize>,
    /// When idle ones were last looked for.
    swept: Duration,
}

/// One client's session.
pub(crate) struct Session {
    pub(crate) id: String,
    app: AppId,
    /// Absent at the picker, where it goes from one to another.
    gateway: Option<GatewayId>,
    only: Option<AssignmentId>,
    pub(crate) revision: Revision,
    /// The client's declared capabilities, as it wrote them.
    pub(crate) capabilities: Bytes,
    pub(crate) client_info: Bytes,
    /// What its client can be asked.
    pub(crate) askable: Askable,
    /// What a modern server may ask of it.
    pub(crate) abilities: Abilities,
    /// The same as a modern server is told it: a JSON object.
    pub(crate) modern_capabilities: Bytes,
    /// Sessions of ours with upstreams, opened when first needed.
    upstreams: Mutex<HashMap<AssignmentId, Arc<Slot<Arc<UpstreamSession>>>>>,
    /// Told when a session with an upstream has been opened, or something else is to be heard.
    pub(crate) opened: Notify,
    /// Resources that we watch for the client, as their servers name them.
    watched: Mutex<BTreeSet<(AssignmentId, String)>>,
    /// What the client has last seen of the lists, or been told of.
    prints: Mutex<Prints>,
    /// What upstreams want to know of the client.
    pub(crate) pending: Waiting,
    /// What its client can come back for.
    pub(crate) replay: Arc<Replay>,
    /// From which severity on the client wants logs, if it has said so.
    pub(crate) log_level: Mutex<Option<LogLevel>>,
    /// Calls under way that can be cancelled, by the client's ids for them.
    running: Mutex<HashMap<Bytes, oneshot::Sender<Message>>>,
    used: Mutex<Duration>,
}

/// How many sessions one app may hold open.
const PER_APP: usize = 10_000;

/// How long a session may be idle.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How often idle sessions are looked for, and where there is no room for another one: whoever asks
/// for more than there is shall not have all of them looked through each time.
const SWEEP: Duration = Duration::from_secs(60);
const FULL_SWEEP: Duration = Duration::from_secs(1);

/// How many resources may be watched for one client.
const WATCHED: usize = 1_000;

impl Sessions {
    /// None so far, and never more than so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { open: Mutex::default(), most, replays: Arc::default() }
    }

    pub(crate) fn open(
        &self,
        (caller, place): (&Caller, &Place),
        id: String,
        hello: Hello,
        now: Duration,
    ) -> Result<Arc<Session>, Refusal> {
        let mut open = self.open.lock();
        // They grow by new ones only, so that is when to look for what can go.
        let pause = if open.is_full(caller.app, self.most) { FULL_SWEEP } else { SWEEP };
        if open.swept + pause <= now {
            open.drop_idle(now);
        }
        if open.is_full(caller.app, self.most) {
            return Err(Refusal::TooManySessions);
        }
        let capabilities = match place.only {
            Some(_) => hello.capabilities,
            None => extensions::without_extensions(&hello.capabilities),
        };
        let declared = Raw::parse(&capabilities, Limits::default());
        let askable = declared.map_or(Askable::NOTHING, Askable::of);
        let abilities = declared.map(|it| Abilities::of(it, hello.revision)).unwrap_or_default();
        let modern = declared.map(|it| bridge::to_modern_capabilities(it, hello.revision));
        let session = Arc::new(Session {
            id,
            app: caller.app,
            gateway: (!place.is_picker()).then_some(place.gateway.id),
            only: place.only.as_ref().map(|it| it.id),
            revision: hello.revision,
            capabilities,
            client_info: hello.client_info,
            askable,
            abilities,
            modern_capabilities: modern.unwrap_or(Bytes::from_static(b"{}")),
            upstreams: Mutex::default(),
            opened: Notify::new(),
            watched: Mutex::default(),
            prints: Mutex::default(),
            pending: Waiting::default(),
            replay: self.replays.of(caller.app, hello.revision),
            log_level: Mutex::default(),
            running: Mutex::default(),
            used: Mutex::new(now),
        });
        open.insert(Arc::clone(&session));
        Ok(session)
    }

    /// A session that is not this caller's at this place is not there.
    pub(crate) fn find(
        &self,
        id: &str,
        caller: &Caller,
        place: &Place,
        now: Duration,
    ) -> Result<Arc<Session>, Refusal> {
        let mut open = self.open.lock();
        let session = open.by_id.get(id).ok_or(Refusal::SessionUnknown)?;
        let own = session.app == caller.app
            && session.gateway == (!place.is_picker()).then_some(place.gateway.id)
            && session.only == place.only.as_ref().map(|it| it.id);
        if !own {
            return Err(Refusal::SessionUnknown);
        }
        let used = *session.used.lock();
        if used + IDLE <= now {
            open.remove(id);
            return Err(Refusal::SessionUnknown);
        }
        *session.used.lock() = now;
        Ok(Arc::clone(session))
    }

    /// Ends a session, and the stream that its client has open.
    pub(crate) fn end(&self, session: &Session) {
        self.open.lock().remove(&session.id);
        session.replay.close();
        session.pending.end();
    }

    /// Ends them all.
    pub(crate) fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock());
        open.by_id.values().for_each(|it| it.replay.close());
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().by_id.len()
    }
}

impl Open {
    fn is_full(&self, app: AppId, most: usize) -> bool {
        most <= self.by_id.len() || PER_APP <= self.per_app.get(&app).copied().unwrap_or(0)
    }

    fn insert(&mut self, session: Arc<Session>) {
        *self.per_app.entry(session.app).or_default() += 1;
        self.by_id.insert(session.id.clone(), session);
    }

    fn remove(&mut self, id: &str) {
        if let Some(session) = self.by_id.remove(id)
            && let Some(count) = self.per_app.get_mut(&session.app)
        {
            *count -= 1;
            if *count == 0 {
                self.per_app.remove(&session.app);
            }
        }
    }

    fn drop_idle(&mut self, now: Duration) {
        self.swept = now;
        let idle = |it: &&Arc<Session>| *it.used.lock() + IDLE <= now;
        let ids: Vec<String> = self.by_id.values().filter(idle).map(|it| it.id.clone()).collect();
        ids.iter().for_each(|it| self.remove(it));
    }
}

/// What `initialize` said.
pub(crate) struct Hello {
    pub(crate) revision: Revision,
    pub(crate) capabilities: Bytes,
    pub(crate) client_info: Bytes,
}

impl Session {
    /// The place of our session with one upstream.
    pub(crate) fn upstream(&self, assignment: AssignmentId) -> Arc<Slot<Arc<UpstreamSession>>> {
        Arc::clone(self.upstreams.lock().entry(assignment).or_default())
    }

    /// Our sessions with upstreams, as far as they have been opened.
    pub(crate) fn upstreams(&self) -> Vec<(AssignmentId, Arc<UpstreamSession>)> {
        let upstreams = self.upstreams.lock();
        upstreams.iter().filter_map(|(id, slot)| Some((*id, slot.got()?))).collect()
    }

    /// Whether a server is heard by our own listening, and not on the session's session with it: it
    /// is modern, or a process that all share who cannot be asked anything.
    pub(crate) fn is_listened_to(&self, part: &Part) -> bool {
        part.listing.spoken == Era::Modern || self.shares(&part.assignment.server)
    }

    /// Whether the client uses a managed server that others use, too.
    pub(crate) fn shares(&self, server: &Server) -> bool {
        matches!(server.transport, Transport::Stdio { .. }) && !is_interactive(&self.capabilities)
    }

    /// Watches a resource for the client from now on.
    pub(crate) fn watch(&self, of: AssignmentId, uri: &str) -> Result<(), Refusal> {
        let mut watched = self.watched.lock();
        if WATCHED <= watched.len() {
            return Err(Refusal::Params("too many resources are subscribed to"));
        }
        watched.insert((of, uri.to_owned()));
        drop(watched);
        self.opened.notify_waiters();
        Ok(())
    }

    pub(crate) fn unwatch(&self, of: AssignmentId, uri: &str) {
        self.watched.lock().remove(&(of, uri.to_owned()));
        self.opened.notify_waiters();
    }

    /// The resources of one server that are watched.
    pub(crate) fn watched(&self, of: AssignmentId) -> BTreeSet<String> {
        let watched = self.watched.lock();
        watched.iter().filter(|(id, _)| *id == of).map(|(_, uri)| uri.clone()).collect()
    }

    pub(crate) fn prints(&self) -> Prints {
        *self.prints.lock()
    }

    pub(crate) fn keep_prints(&self, prints: Prints) {
        *self.prints.lock() = prints;
    }

    /// Notes what the client has listed.
    pub(crate) fn listed(&self, list: List, print: u64) {
        let mut prints = self.prints.lock();
        if let Some(kept) = place_of(list).and_then(|it| prints.get_mut(it)) {
            *kept = Some(print);
        }
    }

    /// It is in use for as long as its client's stream is open, in the transport where it has one.
    pub(crate) fn touch(&self, now: Duration) {
        *self.used.lock() = now;
    }

    /// Whether its client has the stream for what belongs to no call open, or may come back to it.
    pub(crate) fn is_listening(&self) -> bool {
        self.replay.is_heard()
    }

    /// Lists a call of the client; what it gets is the client's word that cancels it.
    pub(crate) fn begin(&self, id: Bytes) -> oneshot::Receiver<Message> {
        let (sender, receiver) = oneshot::channel();
        self.running.lock().insert(id, sender);
        receiver
    }

    /// Takes a call off the list that nobody listens for any more. Another one of the same id stays.
    pub(crate) fn finish(&self, id: &[u8]) {
        let mut running = self.running.lock();
        if running.get(id).is_some_and(oneshot::Sender::is_closed) {
            running.remove(id);
        }
    }

    /// Gives the client's word to the call that it cancels, if that is still under way.
    pub(crate) fn cancel(&self, id: &[u8], word: Message) {
        if let Some(call) = self.running.lock().remove(id) {
            // A call that has just ended hears nothing.
            call.send(word).ok();
        }
    }
}

/// Whether a client has said that it can be asked anything.
pub(crate) fn is_interactive(capabilities: &[u8]) -> bool {
    let capabilities = Raw::parse(capabilities, Limits::default());
    let can = |kind: &str| capabilities.as_ref().is_ok_and(|it| it.get(kind).is_some());
    can("elicitation") || can("sampling") || can("roots")
}

/// A text that nobody can guess.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).expect("the system's random source works");
    URL_SAFE_NO_PAD.encode(bytes)
}
