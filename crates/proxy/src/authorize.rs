//! Whether a caller may do what is asked, now and again at the last gate.
//!
//! A [`Pass`] is the permission for one message. It cannot be made but by [`authorize`], and
//! nothing is written to an upstream without the [`Cleared`] that it gives when the store has just
//! confirmed that nothing has changed, or that what has changed still allows it.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ports::GateClosed;
use domain::{Ask, Config, IdentityId, Snapshot, Subject, Workspace};

use crate::flight::Flight;
use crate::identify::Caller;
use crate::receive::Path;
use crate::refusal::Refusal;
use crate::route::{Offered, Place};
use crate::serve::Proxy;

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
}

/// Proof that a [`Pass`] was current a moment ago. Borrowed, so that it cannot be kept.
pub(crate) struct Cleared<'a> {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) identity: Option<IdentityId>,
    pass: PhantomData<&'a Pass>,
}

/// Decides by the latest snapshot. Caller, place and offer may have been found in an earlier one,
/// since a request takes its time to arrive: then they are looked for once more, because no pass may
/// join what was with what is.
pub(crate) fn authorize(
    proxy: &Arc<Proxy>,
    caller: Caller,
    place: Place,
    offered: Option<Offered>,
) -> Result<Pass, Refusal> {
    let snapshot = proxy.gate.latest();
    let now = proxy.clock.now();
    let (caller, place, offered) = if Arc::ptr_eq(&snapshot.config, &caller.config) {
        (caller, place, offered)
    } else {
        find_again(&snapshot.config, &caller, &place, offered.as_ref(), now)?
    };
    let subject = decide(&snapshot, &caller, &place, offered.as_ref(), now)?;
    let flight = Arc::new(proxy.flights.enter(subject.clone()));
    let (proxy, epoch) = (Arc::clone(proxy), snapshot.epoch);
    Ok(Pass { proxy, caller, place, offered, subject, epoch, flight })
}

impl Pass {
    /// The last gate. What it gives must be used at once: written from, or released by.
    pub(crate) async fn clear(&self) -> Result<Cleared<'_>, Refusal> {
        let snapshot = self.proxy.gate.current().await?;
        let now = self.proxy.clock.now();
        if self.flight.is_ended() {
            return Err(match check_switches(&snapshot, &self.subject, now) {
                Err(off) => off,
                // Not off, but taken away; or given back since.
                Ok(()) => self.decide_again(&snapshot, now).err().unwrap_or(Refusal::NoGateway),
            });
        }
        if Arc::ptr_eq(&snapshot.config, &self.caller.config) {
            check_switches(&snapshot, &self.subject, now)?;
            let workspace = Arc::clone(&self.caller.workspace);
            return Ok(Cleared { workspace, identity: self.subject.identity, pass: PhantomData });
        }
        self.decide_again(&snapshot, now)
    }

    /// The permission for one message more of a call that has left: it is in flight anew, so that
    /// a cut-off waits for it.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            proxy: Arc::clone(&self.proxy),
            caller: self.caller.clone(),
            place: self.place.clone(),
            offered: self.offered.clone(),
            subject: self.subject.clone(),
            epoch: self.epoch,
            flight: Arc::new(self.proxy.flights.enter(self.subject.clone())),
        }
    }

    /// What `doing` gives, unless a cut-off ends it: an upstream that is silent must not keep
    /// anything in flight that is to end.
    pub(crate) async fn unless_ended<T>(
        &self,
        doing: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        match self.flight.unless_ended(doing).await {
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
        let was = (&self.caller, &self.place, self.offered.as_ref());
        let (caller, place, offered) = find_again(&snapshot.config, was.0, was.1, was.2, now)?;
        let subject = decide(snapshot, &caller, &place, offered.as_ref(), now)?;
        if subject != self.subject {
            return Err(Refusal::Gate(GateClosed));
        }
        let workspace = Arc::clone(&caller.workspace);
        Ok(Cleared { workspace, identity: subject.identity, pass: PhantomData })
    }
}

/// Caller, place and offer under another configuration, if they still are what they were.
fn find_again(
    config: &Arc<Config>,
    caller: &Caller,
    place: &Place,
    offered: Option<&Offered>,
    now: DateTime<Utc>,
) -> Result<(Caller, Place, Option<Offered>), Refusal> {
    let caller = caller.again(config, now)?;
    let was = offered.map(|it| &it.assignment).or(place.only.as_ref());
    let path = Path {
        workspace: caller.workspace.name.to_string(),
        gateway: place.gateway.name.to_string(),
        server: was.map(|it| it.alias.to_string()),
    };
    let found = Place::find(config, &caller, &path)?;
    // Its name may be another's by now, and the connection at hand may lead to where it was before.
    let moved = was
        .zip(found.only.as_ref())
        .is_some_and(|(was, is)| was.id != is.id || was.server.transport != is.server.transport);
    if moved {
        return Err(Refusal::Gate(GateClosed));
    }
    let offered = offered.cloned().zip(found.only.clone());
    let offered = offered.map(|(was, assignment)| Offered { assignment, ..was });
    let only = found.only.filter(|_| place.only.is_some());
    Ok((caller, Place { only, ..found }, offered))
}

fn decide(
    snapshot: &Snapshot,
    caller: &Caller,
    place: &Place,
    offered: Option<&Offered>,
    now: DateTime<Utc>,
) -> Result<Subject, Refusal> {
    let connection = place.connection(caller)?;
    let user = caller.user(connection.user).ok_or(Refusal::NoGateway)?;
    if place.gateway.teams.is_disjoint(&user.teams) {
        return Err(Refusal::NoGateway);
    }
    let mut subject = Subject {
        app: caller.app,
        token: caller.token(),
        user: user.id,
        gateway: place.gateway.id,
        connection: connection.id,
        server: None,
        assignment: None,
        identity: None,
        tool: None,
    };
    // On a single-server URL everything depends on that server, a list included.
    let assignment = offered.map(|it| &it.assignment).or(place.only.as_ref());
    if let Some(assignment) = assignment {
        let server = || assignment.server.name.to_string();
        subject.server = Some(assignment.server.id);
        subject.assignment = Some(assignment.id);
        subject.identity = assignment
            .identity_for(connection)
            .map_err(|_| Refusal::NoIdentity { server: server() })?;
    }
    if let Some(Offered { assignment, kind, name }) = offered {
        if *kind == domain::Kind::Tool {
            subject.tool = Some(name.clone());
        }
        let ask = Ask { app: caller.app, user, assignment: assignment.id, kind: *kind, name };
        if !place.gateway.policy.allows(ask) {
            let (kind, name) = (kind.as_str(), name.to_string());
            return Err(Refusal::UnknownOffer { kind, name });
        }
    }
    check_switches(snapshot, &subject, now)?;
    Ok(subject)
}

fn check_switches(
    snapshot: &Snapshot,
    subject: &Subject,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    match snapshot.switches.find_any(subject, now) {
        Some((target, switch)) => Err(off_by(&target, switch)),
        None => Ok(()),
    }
}

fn off_by(target: &domain::Target, switch: &domain::Switch) -> Refusal {
    Refusal::Off { noun: target.noun(), reason: switch.reason.as_deref().map(str::to_owned) }
}
