//! Whether servers still answer, asked before anybody needs them.
//!
//! A server that has answered a call lately is left alone. Another is spoken to in its own era, as a
//! call would find it: a modern one says what it is, a legacy one is pinged in the session in which we
//! list what it offers, so that no session is opened for it each time. A child process is not
//! started to be asked how it is.
//!
//! We ask under the credential that all share, or under none; what only the callers' own credentials
//! reach is known from their calls alone. Nothing that is turned off is asked: a probe goes through
//! the same gate as a call.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Assignment, Gateway, Scheme, Transport, Workspace};
use futures::stream::{self, StreamExt};

use crate::authorize::{self, Pass};
use crate::identify::Caller;
use crate::link::Link;
use crate::refusal::UpstreamError;
use crate::route::{Place, Way};
use crate::serve::Worker;

/// How many servers are asked at a time.
const AT_ONCE: usize = 16;

/// Asks all servers how they are, `every` so often, for as long as it is polled.
pub async fn run(worker: Arc<Worker>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first one is at once, when nobody can be missing an answer yet.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        round(&worker, every).await;
    }
}

async fn round(worker: &Arc<Worker>, every: Duration) {
    let config = Arc::clone(&worker.proxy.gate.latest().config);
    let mut asked = HashSet::new();
    let mut probes = Vec::new();
    for workspace in config.workspaces.values() {
        for gateway in workspace.gateways.values() {
            for assignment in &gateway.assignments {
                let is_new = !asked.contains(&assignment.server.id);
                if !is_new || !is_due(worker, assignment, every) {
                    continue;
                }
                let place = Place {
                    config: Arc::clone(&config),
                    gateway: Arc::clone(gateway),
                    only: Some(Arc::clone(assignment)),
                    way: Way::Direct,
                };
                if let Some(found) = permitted(worker, workspace, (gateway, place), assignment) {
                    asked.insert(assignment.server.id);
                    probes.push(found);
                }
            }
        }
    }
    let probes = probes.into_iter().map(async |(pass, link)| probe(worker, &pass, &link).await);
    stream::iter(probes).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Whether a server can be asked, and has not been heard of for a while.
fn is_due(worker: &Worker, assignment: &Assignment, every: Duration) -> bool {
    let server = &assignment.server;
    if assignment.scheme == Scheme::Own || matches!(server.transport, Transport::Stdio { .. }) {
        return false;
    }
    let Some(health) = worker.proxy.links.health(server.id) else { return true };
    let now = worker.proxy.clock.elapsed();
    0 < health.failures || health.last_answer.is_none_or(|it| it + every <= now)
}

/// The permission to ask, in the place of an app that may; nothing where no app may.
fn permitted(
    worker: &Arc<Worker>,
    workspace: &Arc<Workspace>,
    (gateway, place): (&Gateway, Place),
    assignment: &Assignment,
) -> Option<(Pass, Arc<Link>)> {
    gateway.connections.keys().find_map(|app| {
        let caller = Caller::ourselves(workspace, *app)?;
        authorize::lead(worker, (&caller, &place), assignment.id).ok()
    })
}

/// Asks one server. Its link keeps what comes of it.
async fn probe(worker: &Arc<Worker>, pass: &Pass, link: &Arc<Link>) {
    let patience = worker.proxy.options.probe;
    let asking = pass.unless_ended(Box::pin(link.probe(worker, pass)));
    match tokio::time::timeout(patience, asking).await {
        Ok(Ok(())) => link.succeeded(worker.proxy.clock.elapsed()),
        Ok(Err(refusal)) => {
            tracing::debug!(server.name = link.name(), %refusal, "A server was asked in vain");
        }
        Err(_) => link.failed(&UpstreamError::Timeout(patience)),
    }
}
