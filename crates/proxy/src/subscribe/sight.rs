//! What a listener sees of the lists of its place, and when that changes.

use std::sync::Arc;

use domain::{Kind, Snapshot, Switches};
use mcp::revision::Era;

use super::Listener;
use crate::catalog::{List, Look, Looker, View};
use crate::refusal::Refusal;

/// The lists as they were when they were last looked at.
pub(crate) struct Sight {
    seen: Arc<Snapshot>,
    view: Arc<View>,
    prints: Prints,
    /// Whether the next look waits for no change of policy.
    is_due: bool,
}

/// What tells lists from others. Nothing where a list has not been looked at.
pub(crate) type Prints = [Option<u64>; LISTS.len()];

const LISTS: [(List, Kind); 4] = [
    (List::Tools, Kind::Tool),
    (List::Prompts, Kind::Prompt),
    (List::Resources, Kind::Resource),
    (List::Templates, Kind::Resource),
];

impl Sight {
    /// What the listener sees now. What differs from what it has seen `before` is told at once.
    pub(crate) fn of(
        listener: &Listener,
        view: Arc<View>,
        before: Prints,
    ) -> Result<Self, Refusal> {
        let seen = listener.worker.proxy.gate.latest();
        let mut prints = prints(listener, &seen.switches, &view)?;
        let mut is_due = false;
        for (print, before) in prints.iter_mut().zip(before) {
            is_due |= before.is_some_and(|it| Some(it) != *print);
            *print = before.or(*print);
        }
        Ok(Self { seen, view, prints, is_due })
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(crate) fn prints(&self) -> Prints {
        self.prints
    }

    /// Looks again at servers that could not be asked.
    pub(crate) fn look_for_failed(&mut self) {
        self.is_due |= self.view.parts.iter().any(|it| it.listing.error.is_some());
    }

    /// Waits until there is something else to be seen, and gives the kinds of lists that look
    /// different, if any do. Cancel-safe. Whoever has lost the place altogether sees no change: its
    /// stream ends by other means.
    pub(crate) async fn changed(&mut self, listener: &mut Listener, era: Era) -> Vec<Kind> {
        loop {
            let proxy = Arc::clone(&listener.worker.proxy);
            if !self.is_due {
                proxy.gate.replaced(&self.seen).await;
            }
            let latest = proxy.gate.latest();
            let looked = self.look(&latest, listener, era).await;
            self.is_due = false;
            self.seen = latest;
            match looked {
                Ok(Some(changed)) => return changed,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "A listener does not see its place"),
            }
        }
    }

    async fn look(
        &mut self,
        latest: &Arc<Snapshot>,
        listener: &mut Listener,
        era: Era,
    ) -> Result<Option<Vec<Kind>>, Refusal> {
        let worker = Arc::clone(&listener.worker);
        let now = worker.proxy.clock.now();
        let caller = listener.caller.again(&latest.config, now)?;
        let place = listener.place.follow(latest, &caller, now)?;
        let policies = [&caller, &listener.caller].map(|it| &it.workspace.policies);
        let is_same = Arc::ptr_eq(&place.gateway, &listener.place.gateway)
            // What policies look at may be anything in the workspace.
            && policies.iter().all(|it| it.is_empty())
            && Arc::ptr_eq(&latest.switches, &self.seen.switches);
        if is_same && !self.is_due {
            (listener.caller, listener.place) = (caller, place);
            return Ok(None);
        }
        let (askable, peer) = (listener.askable, listener.peer);
        let looking = Look { worker: &worker, caller: &caller, place: &place, era, askable, peer };
        let view = worker.proxy.catalog.view(&looking).await;
        (listener.caller, listener.place) = (caller, place);
        let prints = prints(listener, &latest.switches, &view)?;
        let differ = LISTS.iter().zip(self.prints.iter().zip(&prints));
        let mut changed: Vec<Kind> = differ
            .filter(|(_, (before, after))| before != after)
            .map(|((_, kind), _)| *kind)
            .collect();
        changed.dedup();
        let is_news = !changed.is_empty() || !Arc::ptr_eq(&view, &self.view);
        (self.prints, self.view) = (prints, view);
        Ok(is_news.then_some(changed))
    }
}

/// Where the print of a list stands among [`Prints`].
pub(crate) fn place_of(list: List) -> Option<usize> {
    LISTS.iter().position(|(it, _)| *it == list)
}

fn prints(listener: &Listener, switches: &Switches, view: &View) -> Result<Prints, Refusal> {
    let connection = listener.place.connection(&listener.caller)?;
    let user = listener.caller.user(connection.user).ok_or(Refusal::NoGateway)?;
    let (app, now) = (listener.caller.app, listener.worker.proxy.clock.now());
    let revision = listener.revision;
    let follows_tasks = listener.follows_tasks();
    let knows_tasks = listener.knows_tasks;
    let (workspace, peer) = (&*listener.caller.workspace, Some(listener.peer));
    let looker =
        Looker { app, revision, follows_tasks, knows_tasks, workspace, user, peer, switches, now };
    Ok(LISTS.map(|(list, _)| Some(view.print(list, &looker))))
}
