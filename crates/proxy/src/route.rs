//! Which gateway, which server of it, and what that offers.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    Assignment, AssignmentId, Call, Config, Connection, Gateway, Kind, Provision, Snapshot,
    Withheld, Workspace,
};

use crate::catalog::{Definition, Listing};
use crate::identify::Caller;
use crate::receive::Path;
use crate::refusal::Refusal;

/// Where a caller stands: a gateway that the app is connected to, whole or one server of it.
#[derive(Clone)]
pub(crate) struct Place {
    /// What it was found in: whatever is decided here is as old as that.
    pub(crate) config: Arc<Config>,
    pub(crate) gateway: Arc<Gateway>,
    /// Absent on the aggregated URL.
    pub(crate) only: Option<Arc<Assignment>>,
    pub(crate) way: Way,
}

/// Through which URL a place is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its own.
    Direct,
    /// The picker's, since the app has picked it.
    Picked,
    /// The picker's, since the app has picked nothing that it may use.
    Lobby,
}

/// One offer of one server, by the server's own name for it.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) kind: Kind,
    pub(crate) name: Box<str>,
    pub(crate) listed: Listed,
    pub(crate) how: How,
}

/// In which circumstances an offer is used, as far as policies look at them.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    pub(crate) peer: Option<IpAddr>,
    /// Where they decide; absent also where no policy looks at them.
    pub(crate) arguments: Option<Arc<serde_json::Value>>,
    /// Whether something would be called. Else it is enough that there are arguments with which it
    /// could be.
    pub(crate) is_call: bool,
}

/// What its server has listed of an offer.
#[derive(Clone)]
pub(crate) enum Listed {
    /// The tool or prompt of that name.
    One(Arc<Definition>),
    /// What there is of it, if anything, is to be looked up here: a resource, since a URI need not
    /// be listed, or a tool that is no longer there.
    Somewhere(Arc<Listing>),
}

impl Offered {
    /// What its server says of it by its annotations; nothing of a tool that is no longer listed.
    pub(crate) fn hints(&self) -> Option<[Option<bool>; 4]> {
        match (&self.listed, self.kind) {
            (_, Kind::Resource) => Some([None; 4]),
            (Listed::One(definition), _) => Some(definition.described.hints),
            (Listed::Somewhere(_), _) => None,
        }
    }

    /// The same, as it is used from somewhere without calling it.
    pub(crate) fn seen_from(self, peer: IpAddr) -> Self {
        let how = How { peer: Some(peer), ..How::default() };
        Self { how, ..self }
    }

    /// One of a server of which it is not known what it lists.
    pub(crate) fn unseen(assignment: Arc<Assignment>, kind: Kind, name: &str) -> Self {
        let listed = Listed::Somewhere(Arc::new(Listing::unavailable("")));
        Self { assignment, kind, name: name.into(), listed, how: How::default() }
    }

    /// Why it may not be used as its server has listed it, if so. What is decided by name alone is
    /// policy.
    pub(crate) fn withheld(&self) -> Option<Withheld> {
        match &self.listed {
            Listed::One(definition) => {
                let said = (definition.pin, &definition.described);
                domain::admit(&self.assignment, self.kind, said).err()
            }
            Listed::Somewhere(listing) if !self.is_described(listing) => Some(Withheld::NotExposed),
            Listed::Somewhere(listing) if !self.may_be_read(listing) => Some(Withheld::NotApproved),
            Listed::Somewhere(_) => None,
        }
    }

    fn is_described(&self, listing: &Listing) -> bool {
        let provision = self.assignment.provision(self.kind);
        let review = &self.assignment.server.review;
        match provision {
            Provision::All | Provision::Named(_) | Provision::Nothing => true,
            Provision::Where(_) => {
                self.kind == Kind::Resource
                    && listing.describes(review, &self.name, |it| provision.admits(it))
            }
        }
    }

    /// A resource is data and needs no approval. But while its server lists a template that has not
    /// been approved, no URI can be read but those that are listed, and those that an approved
    /// template makes.
    fn may_be_read(&self, listing: &Listing) -> bool {
        let review = &self.assignment.server.review;
        !review.is_on() || self.kind == Kind::Resource && listing.may_be_read(review, &self.name)
    }
}

impl Place {
    /// Finds the place in the caller's own workspace. What is not the caller's is not there.
    pub(crate) fn find(
        config: &Arc<Config>,
        caller: &Caller,
        path: &Path,
    ) -> Result<Self, Refusal> {
        let workspace = config.workspaces.get(caller.workspace.name.as_str());
        let workspace = workspace.filter(|it| it.name.as_str() == path.workspace);
        let gateway = workspace.zip(path.gateway.as_deref());
        let gateway = gateway.and_then(|(it, name)| it.gateways.get(name));
        let gateway = gateway.ok_or(Refusal::NoGateway)?;
        let config = Arc::clone(config);
        let place = Self { config, gateway: Arc::clone(gateway), only: None, way: Way::Direct };
        place.connection(caller)?;
        place.check_address(caller)?;
        match &path.server {
            None => Ok(place),
            Some(alias) => {
                let own = |it: &&Arc<Assignment>| it.alias.as_str() == alias;
                let only = gateway.assignments.iter().find(own).ok_or(Refusal::NoGateway)?;
                Ok(Self { only: Some(Arc::clone(only)), ..place })
            }
        }
    }

    /// Where the caller is at the picker of its own workspace: at the gateway that its app has picked, if
    /// it may use that now, and else in the lobby.
    pub(crate) fn pick(
        snapshot: &Snapshot,
        caller: &Caller,
        path: &Path,
        now: DateTime<Utc>,
    ) -> Result<Self, Refusal> {
        if caller.workspace.name.as_str() != path.workspace {
            return Err(Refusal::NoGateway);
        }
        Self::picked(snapshot, caller, now)
    }

    fn picked(snapshot: &Snapshot, caller: &Caller, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let picked = caller.app().and_then(|it| it.picked);
        let gateway = caller.workspace.gateways.values().find(|it| Some(it.id) == picked);
        let (gateway, way) = match gateway.filter(|it| is_usable(snapshot, caller, it, now)) {
            Some(gateway) => (gateway, Way::Picked),
            None => (lobby(&caller.workspace)?, Way::Lobby),
        };
        let config = Arc::clone(&snapshot.config);
        Ok(Self { config, gateway: Arc::clone(gateway), only: None, way })
    }

    /// Where whoever stays here is by another snapshot: at the picker that may be another gateway.
    pub(crate) fn follow(
        &self,
        snapshot: &Snapshot,
        caller: &Caller,
        now: DateTime<Utc>,
    ) -> Result<Self, Refusal> {
        match self.way {
            Way::Direct => self.again(&snapshot.config, caller),
            Way::Picked | Way::Lobby => Self::picked(snapshot, caller, now),
        }
    }

    pub(crate) fn is_picker(&self) -> bool {
        self.way != Way::Direct
    }

    pub(crate) fn is_lobby(&self) -> bool {
        self.way == Way::Lobby
    }

    /// The same place in another configuration, if the caller, who has been recognised in that,
    /// still stands there.
    pub(crate) fn again(&self, config: &Arc<Config>, caller: &Caller) -> Result<Self, Refusal> {
        let mut gateways = caller.workspace.gateways.values();
        let gateway = match self.way {
            Way::Lobby => lobby(&caller.workspace)?,
            Way::Direct | Way::Picked => {
                gateways.find(|it| it.id == self.gateway.id).ok_or(Refusal::NoGateway)?
            }
        };
        let (config, gateway) = (Arc::clone(config), Arc::clone(gateway));
        let mut place = Self { config, gateway, only: None, way: self.way };
        place.connection(caller)?;
        if let Some(only) = &self.only {
            place.only = Some(place.assignment(only.id)?);
        }
        Ok(place)
    }

    /// Refuses whoever calls from where the gateway takes no calls.
    fn check_address(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(address) = caller.address else { return Ok(()) };
        domain::check_gateway(&self.gateway, address)
            .map_err(|list| Refusal::Elsewhere { noun: list.noun() })
    }

    /// A server that is within reach here.
    pub(crate) fn assignment(&self, id: AssignmentId) -> Result<Arc<Assignment>, Refusal> {
        let found = self.assignments().iter().find(|it| it.id == id);
        found.map(Arc::clone).ok_or(Refusal::NoGateway)
    }

    pub(crate) fn connection(&self, caller: &Caller) -> Result<&Connection, Refusal> {
        self.gateway.connections.get(&caller.app).ok_or(Refusal::NoGateway)
    }

    /// The servers that are within reach here, in the order in which they are listed.
    pub(crate) fn assignments(&self) -> &[Arc<Assignment>] {
        match &self.only {
            Some(only) => std::slice::from_ref(only),
            None => &self.gateway.assignments,
        }
    }
}

/// The gateways that a caller, who has been recognised in that snapshot, may use now, by name: what
/// decides is what decides at their own URLs.
pub(crate) fn pickable(
    snapshot: &Snapshot,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Vec<Arc<Gateway>> {
    let gateways = caller.workspace.gateways.values();
    let mut usable: Vec<Arc<Gateway>> =
        gateways.filter(|it| is_usable(snapshot, caller, it, now)).map(Arc::clone).collect();
    usable.sort_by(|one, other| one.name.cmp(&other.name));
    usable
}

fn is_usable(snapshot: &Snapshot, caller: &Caller, gateway: &Gateway, now: DateTime<Utc>) -> bool {
    let call = Call {
        workspace: &caller.workspace,
        app: caller.app,
        address: caller.address,
        token: caller.token(),
        gateway,
        assignment: None,
        offer: None,
    };
    domain::decide(&snapshot.switches, &call, now).is_ok()
}

fn lobby(workspace: &Workspace) -> Result<&Arc<Gateway>, Refusal> {
    workspace.lobby().map_err(|_| Refusal::NoGateway)
}
