//! Whether a caller may do what is asked, now and again at the last gate.
//!
//! A [`Pass`] is the permission for one message. It cannot be made but by [`authorize`], and
//! nothing is written to an upstream without the [`Cleared`] that it gives when the store has just
//! confirmed that nothing has changed, or that what has changed still allows it.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
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
    config: Arc<Config>,
    pub(crate) flight: Arc<Flight>,
}

/// Proof that a [`Pass`] was current a moment ago. Borrowed, so that it cannot be kept.
pub(crate) struct Cleared<'a> {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) identity: Option<IdentityId>,
    pass: PhantomData<&'a Pass>,
}

/// Decides by the latest snapshot.
pub(crate) fn authorize(
    proxy: &Arc<Proxy>,
    caller: Caller,
    place: Place,
    offered: Option<Offered>,
) -> Result<Pass, Refusal> {
    let snapshot = proxy.gate.latest();
    let subject = decide(&snapshot, &caller, &place, offered.as_ref(), proxy.clock.now())?;
    let flight = Arc::new(proxy.flights.enter(subject.clone()));
    Ok(Pass {
        proxy: Arc::clone(proxy),
        caller,
        place,
        offered,
        subject,
        epoch: snapshot.epoch,
        config: Arc::clone(&snapshot.config),
        flight,
    })
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
        if Arc::ptr_eq(&snapshot.config, &self.config) {
            check_switches(&snapshot, &self.subject, now)?;
            let workspace = Arc::clone(&self.caller.workspace);
            return Ok(Cleared { workspace, identity: self.subject.identity, pass: PhantomData });
        }
        self.decide_again(&snapshot, now)
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
        let caller = self.caller.again(&snapshot.config, now)?;
        let path = Path {
            workspace: caller.workspace.name.to_string(),
            gateway: self.place.gateway.name.to_string(),
            server: self.offered.as_ref().map(|it| it.assignment.alias.to_string()),
        };
        let place = Place::find(&snapshot.config, &caller, &path)?;
        let offered = self.offered.clone().zip(place.only.clone());
        let offered = offered.map(|(was, assignment)| Offered { assignment, ..was });
        let subject = decide(snapshot, &caller, &place, offered.as_ref(), now)?;
        // The connection at hand may lead to where the server was before.
        let moved = self.offered.as_ref().zip(offered.as_ref()).is_some_and(|(was, is)| {
            was.assignment.server.transport != is.assignment.server.transport
        });
        if moved || subject != self.subject {
            return Err(Refusal::Gate(domain::ports::GateClosed));
        }
        let workspace = Arc::clone(&caller.workspace);
        Ok(Cleared { workspace, identity: subject.identity, pass: PhantomData })
    }
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
