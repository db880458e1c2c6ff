//! Which gateway, which server of it, and what that offers.

use std::sync::Arc;

use domain::{Assignment, AssignmentId, Config, Connection, Gateway, Kind, Provision, Withheld};

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
}

/// One offer of one server, by the server's own name for it.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) kind: Kind,
    pub(crate) name: Box<str>,
    pub(crate) listed: Listed,
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
        let gateway = workspace.and_then(|it| it.gateways.get(path.gateway.as_str()));
        let gateway = gateway.ok_or(Refusal::NoGateway)?;
        let config = Arc::clone(config);
        let place = Self { config, gateway: Arc::clone(gateway), only: None };
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

    /// The same place in another configuration, if the caller, who has been recognised in that,
    /// still stands there.
    pub(crate) fn again(&self, config: &Arc<Config>, caller: &Caller) -> Result<Self, Refusal> {
        let mut gateways = caller.workspace.gateways.values();
        let gateway = gateways.find(|it| it.id == self.gateway.id).ok_or(Refusal::NoGateway)?;
        let mut place =
            Self { config: Arc::clone(config), gateway: Arc::clone(gateway), only: None };
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
