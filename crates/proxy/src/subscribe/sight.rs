//! What a listener sees of the lists of its place, and when that changes.

use std::sync::Arc;

use domain::{Kind, Snapshot, Switches};
use futures::future::BoxFuture;
use mcp::revision::Era;
use parking_lot::Mutex;

use super::Listener;
use crate::catalog::{List, Look, Looker, View};
use crate::identify::Caller;
use crate::refusal::Refusal;
use crate::route::Place;

/// The lists as they were when they were last looked at.
pub(crate) struct Sight {
    seen: Arc<Snapshot>,
    view: Arc<View>,
    prints: Prints,
    /// Whether the next look waits for no change of policy.
    is_due: bool,
    /// Locked by nobody: what is not `Sync` could not be part of a stream.
    looking: Option<Looking>,
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
    pub(crate) async fn of(
        listener: &Listener,
        view: Arc<View>,
        before: Prints,
    ) -> Result<Self, Refusal> {
        let seen = listener.worker.proxy.gate.latest();
        let mut prints = prints(listener, &seen.switches, &view).await?;
        let mut is_due = false;
        for (print, before) in prints.iter_mut().zip(before) {
            is_due |= before.is_some_and(|it| Some(it) != *print);
            *print = before.or(*print);
        }
        Ok(Self { seen, view, prints, is_due, looking: None })
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
            let looking = match &mut self.looking {
                Some(looking) => looking,
                None => {
                    let gate = Arc::clone(&listener.worker.proxy.gate);
                    if !self.is_due {
                        gate.replaced(&self.seen).await;
                    }
                    let before = (Arc::clone(&self.seen), std::mem::take(&mut self.is_due));
                    let looking = look(listener.clone(), before, gate.latest(), era);
                    self.looking.insert(Mutex::new(Box::pin(looking)))
                }
            };
            let (latest, looked) = looking.get_mut().await;
            self.looking = None;
            self.seen = latest;
            match looked {
                Ok(Looked { caller, place, lists }) => {
                    (listener.caller, listener.place) = (caller, place);
                    if let Some(changed) = lists.and_then(|it| self.take(it)) {
                        return changed;
                    }
                }
                Err(error) => tracing::debug!(%error, "A listener does not see its place"),
            }
        }
    }

    /// Which lists look different, where anything is news.
    fn take(&mut self, (view, prints): (Arc<View>, Prints)) -> Option<Vec<Kind>> {
        let differ = LISTS.iter().zip(self.prints.iter().zip(&prints));
        let mut changed: Vec<Kind> = differ
            .filter(|(_, (before, after))| before != after)
            .map(|((_, kind), _)| *kind)
            .collect();
        changed.dedup();
        let is_news = !changed.is_empty() || !Arc::ptr_eq(&view, &self.view);
        (self.prints, self.view) = (prints, view);
        is_news.then_some(changed)
    }
}

/// What comes of a look.
struct Looked {
    caller: Caller,
    place: Place,
    /// Absent where they cannot have changed.
    lists: Option<(Arc<View>, Prints)>,
}

/// A look that goes on wherever it was left.
type Looking = Mutex<BoxFuture<'static, (Arc<Snapshot>, Result<Looked, Refusal>)>>;

async fn look(
    listener: Listener,
    before: (Arc<Snapshot>, bool),
    latest: Arc<Snapshot>,
    era: Era,
) -> (Arc<Snapshot>, Result<Looked, Refusal>) {
    let looked = look_by(listener, before, &latest, era).await;
    (latest, looked)
}

async fn look_by(
    listener: Listener,
    (seen, is_due): (Arc<Snapshot>, bool),
    latest: &Arc<Snapshot>,
    era: Era,
) -> Result<Looked, Refusal> {
    let worker = Arc::clone(&listener.worker);
    let now = worker.proxy.clock.now();
    let caller = listener.caller.again(&latest.config, now)?;
    let place = listener.place.follow(latest, &caller, now)?;
    let policies = [&caller, &listener.caller].map(|it| &it.workspace.policies);
    let is_same = Arc::ptr_eq(&place.gateway, &listener.place.gateway)
        // What policies look at may be anything in the workspace.
        && policies.iter().all(|it| it.is_empty())
        && Arc::ptr_eq(&latest.switches, &seen.switches);
    if is_same && !is_due {
        return Ok(Looked { caller, place, lists: None });
    }
    let (askable, peer) = (listener.askable, listener.peer);
    let looking = Look { worker: &worker, caller: &caller, place: &place, era, askable, peer };
    let view = worker.proxy.catalog.view(&looking).await;
    let listener = Listener { caller, place, ..listener };
    let prints = prints(&listener, &latest.switches, &view).await?;
    let Listener { caller, place, .. } = listener;
    Ok(Looked { caller, place, lists: Some((view, prints)) })
}

/// Where the print of a list stands among [`Prints`].
pub(crate) fn place_of(list: List) -> Option<usize> {
    LISTS.iter().position(|(it, _)| *it == list)
}

async fn prints(listener: &Listener, switches: &Switches, view: &View) -> Result<Prints, Refusal> {
    let connection = listener.place.connection(&listener.caller)?;
    let user = listener.caller.user(connection.user).ok_or(Refusal::NoGateway)?;
    let (app, now) = (listener.caller.app, listener.worker.proxy.clock.now());
    let revision = listener.revision;
    let follows_tasks = listener.follows_tasks();
    let knows_tasks = listener.knows_tasks;
    let (workspace, peer) = (&*listener.caller.workspace, Some(listener.peer));
    let looker =
        Looker { app, revision, follows_tasks, knows_tasks, workspace, user, peer, switches, now };
    let _turn = match workspace.policies.is_empty() {
        true => None,
        false => listener.worker.looking.acquire().await.ok(),
    };
    let mut prints = Prints::default();
    for ((list, _), print) in LISTS.into_iter().zip(&mut prints) {
        *print = Some(view.print(list, &looker).await);
    }
    Ok(prints)
}
