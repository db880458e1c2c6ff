//! Whether a caller may do what is asked, now and again at the last gate.
//!
//! A [`Pass`] is the permission for one message. It cannot be made but by [`authorize`], and
//! nothing is written to an upstream without the [`Cleared`] that it gives when the store has just
//! confirmed that nothing has changed, or that what has changed still allows it.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::policies::How;
use domain::ports::GateClosed;
use domain::{
    Assignment, AssignmentId, Call, Config, Denied, IdentityId, Provision, Question, Snapshot,
    Subject, Target, Use, Withheld, Workspace,
};
use mcp::revision::Era;

use crate::call::Asked;
use crate::catalog::{Look, View};
use crate::flight::Flight;
use crate::identify::Caller;
use crate::late::HEARTBEAT;
use crate::link::Link;
use crate::refusal::{Refusal, Refused};
use crate::route::{Offered, Place};
use crate::serve::{Proxy, Worker};

/// The permission for one message, and its place among what is under way.
pub(crate) struct Pass {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) offered: Option<Offered>,
    pub(crate) subject: Subject,
    /// As of which epoch it was decided.
    pub(crate) epoch: u64,
    pub(crate) flight: Arc<Flight>,
    /// Whether it is for what nobody here can read, and so depends on all of its server.
    pub(crate) is_opaque: bool,
    /// Whether policies look at the time, or at anything else that may decide otherwise later on.
    pub(crate) is_live: bool,
}

/// Proof that a [`Pass`] was current a moment ago. Borrowed, so that it cannot be kept.
pub(crate) struct Cleared<'a> {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) identity: Option<IdentityId>,
    /// Whether the configuration is the very one of the pass.
    is_unchanged: bool,
    pass: PhantomData<&'a Pass>,
}

/// Decides by the latest snapshot, whatever the caller and the place have been found in.
pub(crate) fn authorize(
    proxy: &Arc<Proxy>,
    caller: Caller,
    place: Place,
    offered: Option<Offered>,
) -> Result<Pass, Refusal> {
    let (snapshot, now) = (proxy.gate.latest(), proxy.clock.now());
    let (caller, place, offered) = if Arc::ptr_eq(&snapshot.config, &place.config) {
        (caller, place, offered)
    } else {
        again(&snapshot.config, now, (&caller, &place, offered.as_ref()))?
    };
    let subject = decide(&snapshot, &caller, &place, offered.as_ref(), now)?;
    let flight = Arc::new(proxy.flights.enter(subject.clone()));
    let is_live = is_live(&caller, &place, offered.as_ref());
    let (proxy, epoch) = (Arc::clone(proxy), snapshot.epoch);
    Ok(Pass { proxy, caller, place, offered, subject, epoch, flight, is_opaque: false, is_live })
}

/// The permission to speak to one server for a caller at a place, and the link to it.
pub(crate) fn lead(
    worker: &Worker,
    (caller, place): (&Caller, &Place),
    assignment: AssignmentId,
) -> Result<(Pass, Arc<Link>), Refusal> {
    let place = Place { only: Some(place.assignment(assignment)?), ..place.clone() };
    let pass = authorize(&worker.proxy, caller.clone(), place, None)?;
    let server = &pass.assignment().ok_or(Refusal::NoGateway)?.server;
    let link = worker.proxy.links.to(worker, server)?;
    Ok((pass, link))
}

/// What a place offers, by the configuration that the last gate has confirmed.
pub(crate) async fn look(asked: &Asked, era: Era) -> Result<(Pass, Arc<View>), Refusal> {
    look_as(&Look { era, ..Look::of(asked) }).await
}

/// The same for whoever looks.
pub(crate) async fn look_as(look: &Look<'_>) -> Result<(Pass, Arc<View>), Refusal> {
    /// Changes that come faster than that keep us from saying anything for certain.
    const LOOKS: usize = 4;

    let proxy = &look.worker.proxy;
    for _ in 0..LOOKS {
        let (caller, place) = (look.caller.clone(), look.place.clone());
        let pass = authorize(proxy, caller, place, None)?;
        let look = Look { caller: &pass.caller, place: &pass.place, ..*look };
        let view = proxy.catalog.view(&look).await;
        // The gate comes after the look-up, so that what is listed is decided by what holds now.
        if pass.clear().await?.is_unchanged {
            return Ok((pass, view));
        }
    }
    Err(Refusal::Gate(GateClosed))
}

impl Pass {
    /// The last gate. What it gives must be used at once: written from, or released by.
    pub(crate) async fn clear(&self) -> Result<Cleared<'_>, Refusal> {
        let snapshot = self.proxy.gate.current().await?;
        let now = self.proxy.clock.now();
        if self.flight.is_ended() && self.proxy.flights.are_over() {
            return Err(Refusal::Interrupted);
        }
        if self.flight.is_ended() {
            return Err(match check_switches(&snapshot, &self.subject, now) {
                Err(off) => off,
                // Not off, but taken away; or given back since.
                Ok(()) => self.decide_again(&snapshot, now).err().unwrap_or(Refusal::NoGateway),
            });
        }
        if self.caller.remains(now).is_some_and(|it| it.is_zero()) {
            return Err(Refusal::Unauthenticated);
        }
        if Arc::ptr_eq(&snapshot.config, &self.place.config) && !self.is_live {
            check_switches(&snapshot, &self.subject, now)?;
            self.check_whole(&snapshot, &self.place, now)?;
            let workspace = Arc::clone(&self.caller.workspace);
            let identity = self.subject.identity;
            return Ok(Cleared { workspace, identity, is_unchanged: true, pass: PhantomData });
        }
        self.decide_again(&snapshot, now)
    }

    /// Waits for as long as a stream may be silent, and no longer than what the caller has presented
    /// holds; whether it still does.
    pub(crate) async fn tick(&self) -> bool {
        let remains = self.caller.remains(self.proxy.clock.now());
        let pause = remains.map_or(HEARTBEAT, |it| it.min(HEARTBEAT));
        tokio::time::sleep(pause).await;
        !self.caller.remains(self.proxy.clock.now()).is_some_and(|it| it.is_zero())
    }

    /// What `doing` gives, unless a cut-off ends it: an upstream that is silent must not keep
    /// anything in flight that is to end.
    pub(crate) async fn unless_ended<T>(
        &self,
        doing: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        // On the heap, since what may be ended is large and would be moved twice.
        match self.flight.unless_ended(Box::pin(doing)).await {
            Some(done) => done,
            None => Err(self.why_ended().await),
        }
    }

    /// Which switch has ended it.
    pub(crate) async fn why_ended(&self) -> Refusal {
        match self.clear().await {
            Err(refusal) => refusal,
            Ok(_) => Refusal::NoGateway,
        }
    }

    fn decide_again(
        &self,
        snapshot: &Snapshot,
        now: DateTime<Utc>,
    ) -> Result<Cleared<'_>, Refusal> {
        let before = (&self.caller, &self.place, self.offered.as_ref());
        let (caller, place, offered) = again(&snapshot.config, now, before)?;
        let subject = decide(snapshot, &caller, &place, offered.as_ref(), now)?;
        self.check_whole(snapshot, &place, now)?;
        // The connection at hand may lead to where the server was before.
        let moved = place.only.as_ref().zip(self.place.only.as_ref());
        let moved = moved.is_some_and(|(is, was)| !leads_alike(is, was));
        // What it carries has been judged by the rules of before.
        let judged = self.offered.is_some() && place.gateway.rules != self.place.gateway.rules;
        if moved || judged || subject != self.subject {
            return Err(Refusal::Gate(GateClosed));
        }
        let (workspace, identity) = (Arc::clone(&caller.workspace), subject.identity);
        let is_unchanged = Arc::ptr_eq(&snapshot.config, &self.place.config);
        Ok(Cleared { workspace, identity, is_unchanged, pass: PhantomData })
    }

    fn check_whole(
        &self,
        snapshot: &Snapshot,
        place: &Place,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        if !self.is_opaque || is_whole(snapshot, place, now) {
            return Ok(());
        }
        Err(Refusal::Gate(GateClosed))
    }

    /// The same, with the same place among what is under way: for what outlives the message.
    pub(crate) fn twin(&self) -> Self {
        Self {
            proxy: Arc::clone(&self.proxy),
            caller: self.caller.clone(),
            place: self.place.clone(),
            offered: self.offered.clone(),
            subject: self.subject.clone(),
            epoch: self.epoch,
            flight: Arc::clone(&self.flight),
            is_opaque: self.is_opaque,
            is_live: self.is_live,
        }
    }

    /// The server that it leads to, where it leads to one.
    pub(crate) fn assignment(&self) -> Option<&Arc<Assignment>> {
        self.offered.as_ref().map(|it| &it.assignment).or(self.place.only.as_ref())
    }
}

/// Whether a place is one server of which everything is exposed, and nothing is off, nor refused by
/// policies.
pub(crate) fn is_whole(snapshot: &Snapshot, place: &Place, now: DateTime<Utc>) -> bool {
    let Some(only) = &place.only else { return false };
    let mut workspaces = snapshot.config.workspaces.values();
    let has = |it: &Arc<Workspace>| it.servers.contains_key(&only.server.id);
    if !workspaces.find(|it| has(it)).is_some_and(|it| it.policies.is_empty()) {
        return false;
    }
    let is_tool = |it: &Target| matches!(it, Target::Tool(server, _) if *server == only.server.id);
    let is_off = |it: &Target| is_tool(it) && snapshot.switches.find(it, now).is_some();
    let provisions = [&only.tools, &only.prompts, &only.resources];
    provisions.iter().all(|it| **it == Provision::All)
        // What such a message reaches may be what waits for approval.
        && !only.server.review.is_on()
        && !snapshot.switches.iter().any(|(target, _)| is_off(target))
}

/// The same of another configuration, by which it must then be decided.
fn again(
    config: &Arc<Config>,
    now: DateTime<Utc>,
    (caller, place, offered): (&Caller, &Place, Option<&Offered>),
) -> Result<(Caller, Place, Option<Offered>), Refusal> {
    let caller = caller.again(config, now)?;
    let place = place.again(config, &caller)?;
    let Some(was) = offered else { return Ok((caller, place, None)) };
    let assignment = place.assignment(was.assignment.id)?;
    // It was found in what another server has listed.
    if !leads_alike(&assignment, &was.assignment) {
        return Err(Refusal::Gate(GateClosed));
    }
    let offered = Offered { assignment, ..was.clone() };
    Ok((caller, place, Some(offered)))
}

fn leads_alike(one: &Assignment, other: &Assignment) -> bool {
    one.server.id == other.server.id && one.server.transport == other.server.transport
}

fn decide(
    snapshot: &Snapshot,
    caller: &Caller,
    place: &Place,
    offered: Option<&Offered>,
    now: DateTime<Utc>,
) -> Result<Subject, Refusal> {
    // On a single-server URL everything depends on that server, a list included.
    let assignment = offered.map(|it| &it.assignment).or(place.only.as_ref());
    let call = Call {
        workspace: &caller.workspace,
        app: caller.app,
        address: caller.address,
        token: caller.token(),
        gateway: &place.gateway,
        assignment: assignment.map(AsRef::as_ref),
        offer: offered.map(usage),
    };
    let decided = domain::decide(&snapshot.switches, &call, now);
    let Some(offered) = offered else { return decided.map_err(|denied| refusal(denied, &call)) };
    let said = || (offered.kind.as_str(), offered.name.to_string());
    let is_off = matches!(decided, Err(Denied::Off { .. }));
    let is_reached = is_off || matches!(decided, Ok(_) | Err(Denied::Refused(_)));
    match offered.withheld().filter(|_| is_reached) {
        // What is hidden is unknown, whether or not something of it is off.
        Some(Withheld::NotExposed) => {
            let (kind, name) = said();
            return Err(Refusal::UnknownOffer { kind, name });
        }
        // What policies say of it depends on what nobody has approved.
        Some(Withheld::NotApproved) if !is_off => {
            let (kind, name) = said();
            return Err(Refusal::Unapproved { kind, name });
        }
        Some(Withheld::NotApproved) | None => {}
    }
    decided.map_err(|denied| refusal(denied, &call))
}

/// What of a server is used, as policies are asked about it.
fn usage(offered: &Offered) -> Use<'_> {
    Use {
        kind: offered.kind,
        name: &offered.name,
        hints: offered.hints(),
        address: offered.how.peer,
        arguments: offered.how.arguments.as_deref(),
        in_general: !offered.how.is_call,
    }
}

/// Whether policies may decide otherwise about the same while nothing changes.
fn is_live(caller: &Caller, place: &Place, offered: Option<&Offered>) -> bool {
    let (policies, Some(offered)) = (&caller.workspace.policies, offered) else { return false };
    if policies.is_empty() {
        return false;
    }
    let connection = place.gateway.connections.get(&caller.app);
    let Some(user) = connection.and_then(|it| caller.user(it.user)) else { return true };
    policies.depends(&Question {
        workspace: &caller.workspace,
        app: caller.app,
        user,
        gateway: &place.gateway,
        assignment: &offered.assignment,
        kind: offered.kind,
        name: &offered.name,
        hints: offered.hints(),
    })
}

fn check_switches(
    snapshot: &Snapshot,
    subject: &Subject,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    domain::check_switches(&snapshot.switches, subject, now).map_err(|denied| match denied {
        Denied::Off { target, switch } => off_by(&target, &switch),
        _ => Refusal::NoGateway,
    })
}

/// What the client is told: of what is not the caller's, nothing.
fn refusal(denied: Denied, call: &Call<'_>) -> Refusal {
    match (denied, call.assignment, call.offer) {
        (Denied::Off { target, switch }, ..) => off_by(&target, &switch),
        (Denied::Elsewhere(list), ..) => Refusal::Elsewhere { noun: list.noun() },
        (Denied::NoIdentity, Some(assignment), _) => {
            Refusal::NoIdentity { server: assignment.server.name.to_string() }
        }
        (Denied::NotExposed, _, Some(Use { kind, name, .. })) => {
            Refusal::UnknownOffer { kind: kind.as_str(), name: name.to_owned() }
        }
        (Denied::Refused(against), Some(assignment), Some(Use { kind, name, hints, .. })) => {
            let refused = Refused {
                kind: kind.as_str(),
                name: name.to_owned(),
                of: kind,
                hints,
                server: assignment.server.name.to_string(),
                alias: assignment.alias.to_string(),
                policy: against.policy.map(|it| it.to_string()),
                argument: match against.how {
                    How::Argument(path) => Some(path.into()),
                    How::Forbids | How::DoesNotPermit | How::Fails => None,
                },
            };
            Refusal::Policy(Box::new(refused))
        }
        _ => Refusal::NoGateway,
    }
}

fn off_by(target: &Target, switch: &domain::Switch) -> Refusal {
    Refusal::Off { noun: target.noun(), reason: switch.reason.as_deref().map(str::to_owned) }
}
