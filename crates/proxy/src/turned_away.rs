//! Requests that get nowhere, since they come to no known place or may not be there.

use std::net::IpAddr;

use http::{Response, StatusCode};

use crate::answer::{self, Manner};
use crate::body::Body;
use crate::identify::Caller;
use crate::receive::Path;
use crate::record;
use crate::refusal::Refusal;
use crate::serve::Worker;

/// A request that got nowhere.
pub(crate) struct TurnedAway {
    pub(crate) workspace: Option<String>,
    /// Who it was, where that is known.
    pub(crate) caller: Option<Caller>,
    /// How it came, where it was no message.
    pub(crate) method: Option<&'static str>,
    pub(crate) refusal: Refusal,
    /// Whether nobody knows whose it was, or what it wanted is not there for its sender.
    pub(crate) is_stranger: bool,
}

impl TurnedAway {
    pub(crate) fn stranger(path: &Path, refusal: Refusal) -> Self {
        let workspace = Some(path.workspace.clone());
        Self { workspace, caller: None, method: None, refusal, is_stranger: true }
    }
}

impl From<Refusal> for Box<TurnedAway> {
    fn from(refusal: Refusal) -> Self {
        let (workspace, caller, method) = (None, None, None);
        Self::new(TurnedAway { workspace, caller, method, refusal, is_stranger: true })
    }
}

impl Worker {
    /// A request that got nowhere is recorded where the workspace is known, and told why.
    pub(crate) async fn turn_away(&self, turned: TurnedAway, peer: IpAddr) -> Response<Body> {
        let refusal = turned.refusal;
        self.proxy.metrics.refused(refusal.reason());
        let config = &self.proxy.gate.latest().config;
        let workspace = turned.workspace.as_deref().and_then(|it| config.workspaces.get(it));
        let is_counted = |workspace| {
            let who = (peer, refusal.reason());
            let now = self.proxy.clock.elapsed();
            turned.is_stranger && !self.proxy.strangers.is_one_of_few(workspace, who, now)
        };
        let whose = (peer, turned.caller.as_ref(), turned.method);
        if let Some(workspace) = workspace
            && !is_counted(workspace)
            && let Err(unrecorded) =
                record::unidentified(&self.proxy, workspace, whose, &refusal).await
        {
            return answer::refusal(&unrecorded, Manner::UNKNOWN);
        }
        let mut response = answer::refusal(&refusal, Manner::UNKNOWN);
        // It answers no message, so nobody looks for an error but in its status.
        if response.status().is_success() {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        response
    }
}
