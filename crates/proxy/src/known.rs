//! Requests whose callers we know, at places where those stand.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use mcp::envelope::Message;
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::revision::Revision;

use crate::call::Asked;
use crate::identify::Caller;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::serve::{Proxy, Worker};
use crate::session::Session;

/// A request of a known caller at a known place.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: IpAddr,
    /// Whether another replica has passed it on.
    pub(crate) is_passed_on: bool,
    pub(crate) arrived: Duration,
}

impl Known {
    /// The same by what holds now: a body may take its time to arrive.
    pub(crate) fn again(self, proxy: &Proxy) -> Result<Self, Refusal> {
        let config = &proxy.gate.latest().config;
        if Arc::ptr_eq(config, &self.place.config) {
            return Ok(self);
        }
        let caller = self.caller.again(config, proxy.clock.now())?;
        let place = self.place.again(config, &caller)?;
        Ok(Self { caller, place, ..self })
    }

    pub(crate) fn ask(
        self,
        worker: &Arc<Worker>,
        message: Message,
        revision: Revision,
        session: Option<Arc<Session>>,
    ) -> Asked {
        let Self { caller, place, headers, peer, arrived, .. } = self;
        let worker = Arc::clone(worker);
        Asked { worker, caller, place, headers, peer, message, revision, session, arrived }
    }

    /// The session that the request names.
    pub(crate) fn session(&self, worker: &Worker) -> Result<Arc<Session>, Refusal> {
        let id = self.headers.get(MCP_SESSION_ID).and_then(|it| it.to_str().ok());
        let id = id.ok_or(Refusal::SessionMissing)?;
        let now = worker.proxy.clock.elapsed();
        let session = worker.proxy.sessions.find(id, &self.caller, &self.place, now)?;
        self.check_revision()?;
        Ok(session)
    }

    /// A protocol version that is named must be one that we know.
    pub(crate) fn check_revision(&self) -> Result<(), Refusal> {
        if let Some(version) = self.headers.get(MCP_PROTOCOL_VERSION) {
            let known = version.to_str().ok().and_then(|it| it.parse::<Revision>().ok());
            if known.is_none() {
                return Err(Refusal::Revision);
            }
        }
        Ok(())
    }
}
