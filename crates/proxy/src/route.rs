//! Which gateway, and which server of it.

use std::sync::Arc;

use domain::{Assignment, Config, Connection, Gateway, Kind};

use crate::identify::Caller;
use crate::receive::Path;
use crate::refusal::Refusal;

/// Where a caller stands: a gateway that the app is connected to, whole or one server of it.
#[derive(Clone)]
pub(crate) struct Place {
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
}

impl Place {
    /// Finds the place in the caller's own workspace. What is not the caller's is not there.
    pub(crate) fn find(config: &Config, caller: &Caller, path: &Path) -> Result<Self, Refusal> {
        let workspace = config.workspaces.get(caller.workspace.name.as_str());
        let workspace = workspace.filter(|it| it.name.as_str() == path.workspace);
        let gateway = workspace.and_then(|it| it.gateways.get(path.gateway.as_str()));
        let gateway = gateway.ok_or(Refusal::NoGateway)?;
        let place = Self { gateway: Arc::clone(gateway), only: None };
        place.connection(caller)?;
        match &path.server {
            None => Ok(place),
            Some(alias) => {
                let own = |it: &&Arc<Assignment>| it.alias.as_str() == alias;
                let only = gateway.assignments.iter().find(own).ok_or(Refusal::NoGateway)?;
                Ok(Self { only: Some(Arc::clone(only)), ..place })
            }
        }
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
