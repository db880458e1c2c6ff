//! Whether a caller may do what is asked, now and again at the last gate.
//!
//! A [`Pass`] is the permission for one message. It cannot be made but by [`authorize`], and
//! nothing is written to an upstream without the [`Cleared`] that it gives when the store has just
//! confirmed that nothing has changed, or that what has changed still allows it.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::policies::How;
use domain::ports::{At, Gate, GateClosed};
use domain::{
    Assignment, AssignmentId, Call, Clock, Config, Denied, IdentityId, Provision, Question,
    Snapshot, Subject, Target, Use, Withheld, Workspace,
};
use mcp::revision::Era;

use crate::call::Asked;
use crate::catalog::{Look, View};
use crate::flight::{Flight, Flights};
use crate::identify::Caller;
use crate::late::HEARTBEAT;
use crate::link::Link;
use crate::refusal::{Refusal, Refused};
use crate::route::{Offered, Place};
use crate::serve::{Proxy, Worker};

/// The permission for one message, and its place among what is under way.
pub(crate) struct Pass {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) flight: Arc<Flight>,
}

/// What a permission rests on. It is looked at again at each gate, and whenever something has
/// changed while the message is under way.
#[derive(Clone)]
pub(crate) struct Grounds {
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) offered: Option<Offered>,
    pub(crate) subject: Subject,
    /// As of which epoch it was decided.
    pub(crate) epoch: u64,
    /// Whether it is for what nobody here can read, and so depends on all of its server.
    pub(crate) is_opaque: bool,
    /// Whether policies look at the time, or at anything else that may decide otherwise later on.
    pub(crate) is_live: bool,
}

/// Grounds by which something is still allowed.
struct Holding {
    caller: Caller,
    /// Whether the configuration is the very one of the grounds.
    is_unchanged: bool,
}

/// Proof that a [`Pass`] was current a moment ago. Borrowed, so that it cannot be kept.
pub(crate) struct Cleared<'a> {
    /// As of when it was.
    pub(crate) snapshot: Arc<Snapshot>,
    /// As that knows them.
    pub(crate) caller: Caller,
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
    enter(proxy, (caller, place, offered), false)
}

/// The same for a call: where nobody here can read what it wants, it depends on all of its server.
pub(crate) fn authorize_call(
    proxy: &Arc<Proxy>,
    caller: Caller,
    place: Place,
    offered: Option<Offered>,
) -> Result<Pass, Refusal> {
    let is_opaque = offered.is_none();
    enter(proxy, (caller, place, offered), is_opaque)
}

fn enter(
    proxy: &Arc<Proxy>,
    wanted: (Caller, Place, Option<Offered>),
    is_opaque: bool,
) -> Result<Pass, Refusal> {
    let flight = fly((&*proxy.gate, &*proxy.clock, &proxy.flights), wanted, is_opaque)?;
    Ok(Pass { proxy: Arc::clone(proxy), flight })
}

/// A place among what is under way, by the latest snapshot that there is once it has been taken.
fn fly(
    (gate, clock, flights): (&dyn Gate, &dyn Clock, &Arc<Flights>),
    mut wanted: (Caller, Place, Option<Offered>),
    is_opaque: bool,
) -> Result<Arc<Flight>, Refusal> {
    // Each turn after the first one takes a change that has come in between.
    loop {
        let (snapshot, now) = (gate.latest(), clock.now());
        let grounds = Grounds { is_opaque, ..Grounds::decide(&snapshot, now, wanted)? };
        let flight = Arc::new(flights.enter(grounds));
        // A change that has not seen it among the flights was published before it was there.
        let latest = gate.latest();
        if Arc::ptr_eq(&latest, &snapshot) || flight.grounds().hold(&latest, now) {
            return Ok(flight);
        }
        let Grounds { caller, place, offered, .. } = flight.grounds().clone();
        wanted = (caller, place, offered);
    }
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
        let standing = self.proxy.gate.current_at(self.at()).await?;
        if let Some(age) = standing.unproved {
            self.flight.apart().note(age);
        }
        let (snapshot, now) = (standing.snapshot, self.proxy.clock.now());
        if self.flight.is_ended() && self.proxy.flights.are_over() {
            return Err(Refusal::Interrupted);
        }
        let holding = self.check(&snapshot, now);
        if self.flight.is_ended() {
            // It may have been given back since.
            return Err(holding.err().unwrap_or(Refusal::NoGateway));
        }
        let Holding { caller, is_unchanged } = holding?;
        let identity = self.subject.identity;
        Ok(Cleared { snapshot, caller, identity, is_unchanged, pass: PhantomData })
    }

    /// Whether what the gate has let through may be released after a wait: nothing has ended it, and
    /// where changes have not been heard of for a while, the gate says so once more.
    pub(crate) async fn still(&self) -> Result<(), Refusal> {
        if self.flight.is_ended() {
            return Err(self.why_ended().await);
        }
        if self.flight.is_good() {
            return Ok(());
        }
        self.clear().await.map(drop)
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

    /// The same, with the same place among what is under way: for what outlives the message.
    pub(crate) fn twin(&self) -> Self {
        Self { proxy: Arc::clone(&self.proxy), flight: Arc::clone(&self.flight) }
    }
}

impl Deref for Pass {
    type Target = Grounds;

    fn deref(&self) -> &Grounds {
        self.flight.grounds()
    }
}

impl Grounds {
    fn decide(
        snapshot: &Snapshot,
        now: DateTime<Utc>,
        (caller, place, offered): (Caller, Place, Option<Offered>),
    ) -> Result<Self, Refusal> {
        let (caller, place, offered) = if Arc::ptr_eq(&snapshot.config, &place.config) {
            (caller, place, offered)
        } else {
            again(&snapshot.config, now, (&caller, &place, offered.as_ref()))?
        };
        caller.check_starter(snapshot)?;
        let subject = decide(snapshot, &caller, &place, offered.as_ref(), now)?;
        let (epoch, is_live) = (snapshot.epoch, is_live(&caller, &place, offered.as_ref()));
        Ok(Self { caller, place, offered, subject, epoch, is_opaque: false, is_live })
    }

    /// Where it is.
    pub(crate) fn at(&self) -> At<'_> {
        At { workspace: &self.caller.workspace, gateway: &self.place.gateway }
    }

    /// Of what serves one caller at one server, whichever of its offers was asked for first.
    pub(crate) fn at_server(&self) -> Self {
        let only = self.assignment().map(Arc::clone);
        Self {
            place: Place { only, ..self.place.clone() },
            offered: None,
            subject: Subject { tool: None, ..self.subject.clone() },
            is_opaque: false,
            is_live: false,
            ..self.clone()
        }
    }

    /// Whether nothing has been turned off or taken away that it rests on.
    pub(crate) fn hold(&self, snapshot: &Snapshot, now: DateTime<Utc>) -> bool {
        self.check(snapshot, now).is_ok()
    }

    /// Whether the credential, if there is one, is what it was, and on: whoever replaces one wants
    /// the old one to be used no more.
    pub(crate) fn has_credential(&self, snapshot: &Snapshot, now: DateTime<Utc>) -> bool {
        let Some(id) = self.subject.identity else { return true };
        let was = self.caller.workspace.identities.get(&id).map(|it| &it.sealed);
        let workspace = snapshot.config.workspace(self.caller.workspace.id);
        let is = workspace.and_then(|it| it.identities.get(&id)).map(|it| &it.sealed);
        is.is_some() && is == was && snapshot.switches.find(&Target::Identity(id), now).is_none()
    }

    fn check(&self, snapshot: &Snapshot, now: DateTime<Utc>) -> Result<Holding, Refusal> {
        check_switches(snapshot, &self.subject, now)?;
        self.caller.check_starter(snapshot)?;
        if self.caller.remains(now).is_some_and(|it| it.is_zero()) {
            return Err(Refusal::Unauthenticated);
        }
        if Arc::ptr_eq(&snapshot.config, &self.place.config) && !self.is_live {
            self.check_whole(snapshot, &self.place, now)?;
            return Ok(Holding { caller: self.caller.clone(), is_unchanged: true });
        }
        let before = (&self.caller, &self.place, self.offered.as_ref());
        let (caller, place, offered) = again(&snapshot.config, now, before)?;
        let subject = decide(snapshot, &caller, &place, offered.as_ref(), now)?;
        self.check_whole(snapshot, &place, now)?;
        let is_same = subject == self.subject && self.has_credential(snapshot, now);
        if !is_same || self.has_moved(&place) {
            return Err(Refusal::Gate(GateClosed));
        }
        let is_unchanged = Arc::ptr_eq(&snapshot.config, &self.place.config);
        Ok(Holding { caller, is_unchanged })
    }

    /// Whether what was begun is no more what would be begun now.
    fn has_moved(&self, place: &Place) -> bool {
        let servers = place.only.as_ref().zip(self.place.only.as_ref());
        // The connection at hand may lead to where the server was before.
        let leads_elsewhere = servers.is_some_and(|(is, was)| !leads_alike(is, was));
        // Without an offer it is for all that there is, which must still be there.
        let is_less = self.offered.is_none() && servers.is_some_and(|(is, was)| !covers(is, was));
        // What it carries has been judged by the rules of before.
        let rules = self.offered.is_some() && place.gateway.rules != self.place.gateway.rules;
        leads_elsewhere || is_less || rules
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

    /// The server that it leads to, where it leads to one.
    pub(crate) fn assignment(&self) -> Option<&Arc<Assignment>> {
        self.offered.as_ref().map(|it| &it.assignment).or(self.place.only.as_ref())
    }
}

/// Whether the one exposes all that the other does.
fn covers(one: &Assignment, other: &Assignment) -> bool {
    let is_reviewed_now = one.server.review.is_on() && !other.server.review.is_on();
    !is_reviewed_now
        && one.tools.covers(&other.tools)
        && one.prompts.covers(&other.prompts)
        && one.resources.covers(&other.resources)
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

pub(crate) fn check_switches(
    snapshot: &Snapshot,
    subject: &Subject,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    domain::check_switches(&snapshot.switches, subject, now).map_err(|denied| match denied {
        Denied::Off { target, switch } => Refusal::off(&target, &switch),
        _ => Refusal::NoGateway,
    })
}

/// What the client is told: of what is not the caller's, nothing.
fn refusal(denied: Denied, call: &Call<'_>) -> Refusal {
    match (denied, call.assignment, call.offer) {
        (Denied::Off { target, switch }, ..) => Refusal::off(&target, &switch),
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
                    How::Spelling => Some("uri".to_owned()),
                    How::Forbids | How::DoesNotPermit | How::Fails => None,
                },
            };
            Refusal::Policy(Box::new(refused))
        }
        _ => Refusal::NoGateway,
    }
}

#[cfg(test)]
impl Grounds {
    /// Grounds on which nothing can be decided, of this subject.
    pub(crate) fn of(subject: Subject) -> Self {
        use std::collections::BTreeSet;

        use domain::{
            Addresses, Config, Durability, Gateway, Lobby, Name, Policy, Table, Workspace,
            WorkspaceId,
        };
        use uuid::Uuid;

        use crate::identify::Proof;
        use crate::route::Way;

        let name = || Name::try_from("a-test".to_owned()).unwrap();
        let workspace = Workspace {
            id: WorkspaceId(Uuid::nil()),
            name: name(),
            durability: Durability::Written,
            users: Table::new(),
            apps: Table::new(),
            servers: Table::new(),
            identities: Table::new(),
            gateways: Table::new(),
            teams: Table::new(),
            limits: Vec::new(),
            authority: Arc::default(),
            policies: Arc::default(),
            addresses: Addresses::default(),
            lobby: Lobby::default(),
        };
        let gateway = Gateway {
            id: subject.gateway,
            name: name(),
            assignments: Vec::new(),
            teams: BTreeSet::new(),
            connections: Table::new(),
            rules: Vec::new().into(),
            addresses: Addresses::default(),
            autonomy: std::time::Duration::ZERO,
            policy: Policy::compile(subject.gateway, &BTreeSet::new(), &[]).unwrap(),
        };
        let (workspace, app) = (Arc::new(workspace), subject.app);
        let (config, gateway) = (Arc::<Config>::default(), Arc::new(gateway));
        Self {
            caller: Caller { workspace, app, address: None, proof: Proof::Anonymous },
            place: Place { config, gateway, only: None, way: Way::Direct },
            offered: None,
            subject,
            epoch: 1,
            is_opaque: false,
            is_live: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use domain::ports::Answer;
    use domain::{
        Addresses, App, AppId, Durability, Lobby, Switch, Switches, Table, TeamId, User, UserId,
        WorkspaceId,
    };
    use parking_lot::Mutex;
    use uuid::Uuid;

    use super::*;
    use crate::flight::testing::HandClock;
    use crate::route::Way;

    const BOT: AppId = AppId(Uuid::from_u128(1));
    const ANN: UserId = UserId(Uuid::from_u128(2));
    const BOB: UserId = UserId(Uuid::from_u128(3));

    /// The latest snapshot as of each time that somebody looks, the last one from then on.
    struct Changing(Mutex<VecDeque<Arc<Snapshot>>>);

    impl Gate for Changing {
        fn latest(&self) -> Arc<Snapshot> {
            let mut looks = self.0.lock();
            if 1 < looks.len() { looks.pop_front().unwrap() } else { Arc::clone(&looks[0]) }
        }

        fn current(&self) -> Answer<'_, Result<Arc<Snapshot>, GateClosed>> {
            Box::pin(std::future::ready(Ok(self.latest())))
        }

        fn replaced<'a>(&'a self, _: &'a Arc<Snapshot>) -> Answer<'a, ()> {
            Box::pin(std::future::pending())
        }
    }

    /// An app of somebody who is in a team.
    fn config(owner: UserId) -> Arc<Config> {
        let name = |text: &str| domain::Name::try_from(text.to_owned()).unwrap();
        let team = TeamId(Uuid::from_u128(4));
        let user = |id, text| User {
            id,
            name: name(text),
            teams: BTreeSet::from([team]),
            attributes: domain::Attributes::default(),
        };
        let app = App {
            id: BOT,
            name: name("bot"),
            owner,
            addresses: Addresses::default(),
            picked: None,
            labels: BTreeSet::new(),
        };
        let workspace = Workspace {
            id: WorkspaceId(Uuid::nil()),
            name: name("default"),
            durability: Durability::Written,
            users: Table::from([(ANN, user(ANN, "ann")), (BOB, user(BOB, "bob"))]),
            apps: Table::from([(BOT, app)]),
            servers: Table::new(),
            identities: Table::new(),
            gateways: Table::new(),
            teams: Table::from([(team, name("dev"))]),
            limits: Vec::new(),
            authority: Arc::default(),
            policies: Arc::default(),
            addresses: Addresses::default(),
            lobby: Lobby::default(),
        };
        let workspaces = Table::from([(workspace.name.clone(), Arc::new(workspace))]);
        Arc::new(Config { workspaces, tokens: Table::new() })
    }

    fn snapshot(epoch: u64, config: &Arc<Config>, off: Option<Target>) -> Arc<Snapshot> {
        let off = off.map(|it| (it, Switch { until: None, reason: None }));
        let switches = Arc::new(Switches::new(off));
        Arc::new(Snapshot { epoch, stamp: 0, config: Arc::clone(config), switches })
    }

    /// The bot enters where it has picked nothing, as found in the first of these, while they follow
    /// each other as fast as anybody looks.
    fn entered(snapshots: &[&Arc<Snapshot>]) -> Result<Arc<Flight>, Refusal> {
        let config = Arc::clone(&snapshots[0].config);
        let workspace = config.workspaces.values().next().unwrap();
        let caller = Caller::ourselves(workspace, BOT).unwrap();
        let gateway = Arc::clone(workspace.lobby().unwrap());
        let place = Place { config: Arc::clone(&config), gateway, only: None, way: Way::Lobby };
        let gate = Changing(Mutex::new(snapshots.iter().map(|it| Arc::clone(it)).collect()));
        let flights = crate::flight::testing::flights();
        fly((&gate, &HandClock::default(), &flights), (caller, place, None), false)
    }

    /// There is no time between the two looks in which a test could change anything from outside.
    #[test]
    fn a_change_between_the_decision_and_the_place_among_what_is_under_way_is_heard() {
        let config = config(ANN);
        let on = snapshot(1, &config, None);
        assert!(entered(&[&on]).is_ok());
        let off = snapshot(2, &config, Some(Target::App(BOT)));
        let refused = entered(&[&on, &off]).err();
        assert!(matches!(refused, Some(Refusal::Off { noun: "app", .. })), "{refused:?}");
        // Nor does what is on again for a moment only let it by.
        let flickering = entered(&[&on, &off, &on, &off]).err();
        assert!(matches!(flickering, Some(Refusal::Off { noun: "app", .. })), "{flickering:?}");
        let elsewhere = snapshot(2, &config, Some(Target::User(BOB)));
        assert!(entered(&[&on, &elsewhere]).is_ok(), "that is nothing to it");
    }

    #[test]
    fn whoever_enters_is_held_to_what_holds_then() {
        let before = snapshot(1, &config(ANN), None);
        let after = snapshot(2, &config(BOB), None);
        let flight = entered(&[&before, &after]).unwrap();
        assert_eq!((flight.grounds().subject.user, flight.grounds().epoch), (BOB, 2));
    }
}
