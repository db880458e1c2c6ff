//! What servers offer, and what of it a caller sees.
//!
//! A [`Listing`] is what one server has listed under one credential; it is fetched once for all
//! who share it and kept while it is fresh. A [`View`] joins the listings of a gateway under
//! unambiguous names; it is what calls are looked up in and what lists are served from.

mod definition;
mod hidden;
mod listing;
mod pages;
mod part;
mod permitted;
mod view;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::ports::Listed;
use domain::{AppId, Assignment, GatewayId, IdentityId, Server, ServerId};
use futures::future::{BoxFuture, join_all};
use mcp::bridge::askable::Askable;
use mcp::names;
use mcp::revision::Era;
use parking_lot::Mutex;

pub(crate) use definition::{Definition, Instructions, described};
pub(crate) use listing::{Listing, Offer};
pub(crate) use pages::Written;
pub(crate) use part::Part;
pub(crate) use permitted::is_refused;
pub(crate) use view::{List, Looker, View};

use crate::authorize::{self, Pass};
use crate::call::Asked;
use crate::identify::Caller;
use crate::refusal::{Refusal, UpstreamError};
use crate::route::Place;
use crate::serve::Worker;

/// All that is known of what servers offer.
#[derive(Default)]
pub(crate) struct Catalog {
    shelves: Mutex<HashMap<Key, Arc<Shelf>>>,
    views: Mutex<HashMap<ViewKey, Joined>>,
    swept: AtomicU64,
}

/// A server may list other things to a client that it can ask something.
type Key = (ServerId, Option<IdentityId>, Era, Askable);

/// A gateway, one server of it or all, how it is looked at, the app where credentials are its own, and
/// whether it is seen at the picker.
type ViewKey = (GatewayId, Option<domain::AssignmentId>, (Era, Askable), Option<AppId>, bool);

/// The place of one listing; whoever holds the lock fetches it.
#[derive(Default)]
struct Shelf {
    kept: Mutex<Option<Arc<Listing>>>,
    fetching: tokio::sync::Mutex<()>,
    /// Whether it is fetched by a task, since nobody waits for it any more.
    is_left: AtomicBool,
    /// In which second it was last looked at.
    used: AtomicU64,
    /// How often the server has said that its lists have changed.
    changes: AtomicU64,
}

struct Joined {
    view: Arc<View>,
    used: u64,
}

/// Who looks at which place.
pub(crate) struct Look<'a> {
    pub(crate) worker: &'a Arc<Worker>,
    pub(crate) caller: &'a Caller,
    pub(crate) place: &'a Place,
    pub(crate) era: Era,
    /// What the client says that it can be asked.
    pub(crate) askable: Askable,
    pub(crate) peer: IpAddr,
}

/// How many views are kept. They are cheap to make again.
const VIEWS: usize = 1_000;

/// What nobody has looked at for so long is forgotten, in seconds.
const UNUSED: u64 = 10 * 60;

/// How long a server may take to list everything.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the list of several servers waits for one of them: clients give up a list soon, and with
/// it what all the others have.
const TOGETHER: Duration = Duration::from_secs(10);

impl Catalog {
    /// The view of a place for a caller, made from fresh listings.
    pub(crate) async fn view(&self, look: &Look<'_>) -> Arc<View> {
        let patience = if look.place.only.is_some() { PATIENCE } else { TOGETHER };
        self.look(look, |_| true, patience).await
    }

    /// The view for a call of what is named so. Only the server that the name may be of is waited
    /// for; what is known of the others will do.
    pub(crate) async fn view_for(&self, asked: &Asked, exposed: Option<&str>) -> Arc<View> {
        let place = &asked.place;
        let is_meant = |it: &Assignment| {
            place.only.is_some()
                || exposed.is_some_and(|name| names::is_under(name, it.alias.as_str()))
        };
        self.look(&Look::of(asked), is_meant, PATIENCE).await
    }

    async fn look(
        &self,
        look: &Look<'_>,
        is_meant: impl Fn(&Assignment) -> bool,
        patience: Duration,
    ) -> Arc<View> {
        let place = look.place;
        let listings = self.listings(look, is_meant, patience).await;
        let own = place.assignments().iter().any(|it| it.scheme == domain::Scheme::Own);
        let only = place.only.as_ref().map(|it| it.id);
        let how = (look.era, look.askable);
        let own = own.then_some(look.caller.app);
        let key = (place.gateway.id, only, how, own, place.is_picker());
        let used = look.worker.proxy.clock.elapsed().as_secs();
        let mut views = self.views.lock();
        if let Some(it) = views.get_mut(&key).filter(|it| it.view.is_of(place, &listings)) {
            it.used = used;
            return Arc::clone(&it.view);
        }
        drop(views);
        let view = Arc::new(View::join(place, listings));
        views = self.views.lock();
        if VIEWS <= views.len() {
            views.clear();
        }
        views.insert(key, Joined { view: Arc::clone(&view), used });
        view
    }

    /// One listing per assignment, in their order. A server that cannot be listed has an empty one
    /// that says why, so that it does not sink the rest.
    async fn listings(
        &self,
        look: &Look<'_>,
        is_meant: impl Fn(&Assignment) -> bool,
        patience: Duration,
    ) -> Vec<Arc<Listing>> {
        let assignments = look.place.assignments();
        let ready: Vec<_> =
            assignments.iter().map(|it| self.ready(look, it, is_meant(it))).collect();
        if ready.iter().all(Option::is_some) {
            return ready.into_iter().flatten().collect();
        }
        let fetches = assignments.iter().zip(ready).map(async |(assignment, ready)| match ready {
            Some(listing) => listing,
            None if patience == PATIENCE => Box::pin(self.fetch(look, assignment)).await,
            None => in_time(look, assignment, patience).await,
        });
        join_all(fetches).await
    }

    /// What can be had without asking the server; nothing where it must be asked first.
    fn ready(
        &self,
        look: &Look<'_>,
        assignment: &Arc<Assignment>,
        is_meant: bool,
    ) -> Option<Arc<Listing>> {
        let connection = look.place.connection(look.caller);
        let identity = connection.ok().and_then(|it| assignment.identity_for(it).ok());
        let Some(identity) = identity else {
            return Some(Arc::new(Listing::unavailable("no credential is chosen")));
        };
        let now = look.worker.proxy.clock.elapsed();
        let askable = look.askable_by(&assignment.server);
        let shelf = self.shelf((assignment.server.id, identity, look.era, askable), now);
        match shelf.kept(&assignment.server) {
            Some(kept) if !is_meant || kept.is_fresh(now) => Some(kept),
            None if !is_meant => {
                Some(Arc::new(Listing::unavailable(&match look.pass(assignment) {
                    Ok(_) => "it has not been asked yet".to_owned(),
                    Err(refusal) => refusal.to_string(),
                })))
            }
            _ => None,
        }
    }

    /// Fetches a listing, unless somebody else just has.
    async fn fetch(&self, look: &Look<'_>, assignment: &Arc<Assignment>) -> Arc<Listing> {
        let (clock, server) = (&look.worker.proxy.clock, &assignment.server);
        let identity = look.place.connection(look.caller).ok();
        let identity = identity.and_then(|it| assignment.identity_for(it).ok()).flatten();
        let askable = look.askable_by(server);
        let shelf = self.shelf((server.id, identity, look.era, askable), clock.elapsed());
        // Our own refusal is no word of the server's, hence not kept. Who may see what is kept is
        // decided later.
        let refused = |why: String| {
            shelf.kept(server).unwrap_or_else(|| Arc::new(Listing::unavailable(&why)))
        };
        let upkeep = match look.pass(assignment) {
            Ok(upkeep) => upkeep,
            Err(refusal) => return refused(refusal.to_string()),
        };
        let fetching = match (shelf.fetching.try_lock(), shelf.kept(server)) {
            (Ok(fetching), _) => fetching,
            // Somebody is asking already: what was known a moment ago will do, a failure too.
            (Err(_), Some(known)) => return known,
            (Err(_), None) => match upkeep.flight.unless_ended(shelf.fetching.lock()).await {
                Some(fetching) => fetching,
                None => return refused("it was turned off".to_owned()),
            },
        };
        let began = clock.elapsed();
        if let Some(fresh) = shelf.kept(server).filter(|it| it.is_fresh(began)) {
            return fresh;
        }
        let changes = shelf.changes.load(Ordering::SeqCst);
        // Boxed, since it is large, rare and deep in the stack of whoever waits for it.
        let asking = Box::pin(listing::fetch(look.worker, &upkeep, server, look));
        let asking = tokio::time::timeout(PATIENCE, upkeep.unless_ended(asking));
        let late = || Refusal::upstream(server.name.as_str(), UpstreamError::Timeout(PATIENCE));
        let mut fetched = match asking.await.unwrap_or_else(|_| Err(late())) {
            Ok(listing) => listing,
            Err(Refusal::Upstream { source, .. }) => {
                Listing::failed(server, &source, (began, clock.elapsed()))
            }
            Err(refusal) => return refused(refusal.to_string()),
        };
        definition::tell(look, server, &fetched);
        let mut kept = shelf.kept.lock();
        // What has come may be of before the change.
        if shelf.changes.load(Ordering::SeqCst) != changes {
            fetched.is_overtaken();
        }
        let fetched = Arc::new(fetched);
        *kept = Some(Arc::clone(&fetched));
        drop(kept);
        drop(fetching);
        fetched
    }

    fn shelf(&self, key: Key, now: Duration) -> Arc<Shelf> {
        let now = now.as_secs();
        let mut shelves = self.shelves.lock();
        if let Some(shelf) = shelves.get(&key) {
            shelf.used.store(now, Ordering::Relaxed);
            return Arc::clone(shelf);
        }
        // They grow by new ones only, so that is when to look for what can go.
        if self.swept.load(Ordering::Relaxed) + UNUSED / 10 <= now {
            self.swept.store(now, Ordering::Relaxed);
            shelves.retain(|_, it| now < it.used.load(Ordering::Relaxed) + UNUSED);
            self.views.lock().retain(|_, it| now < it.used + UNUSED);
        }
        let shelf = Arc::<Shelf>::default();
        shelf.used.store(now, Ordering::Relaxed);
        shelves.insert(key, Arc::clone(&shelf));
        shelf
    }

    /// The server has said that its lists have changed: what is kept is not served again.
    pub(crate) fn changed(&self, server: ServerId) {
        let shelves = self.shelves.lock();
        for (_, shelf) in shelves.iter().filter(|((id, ..), _)| *id == server) {
            let mut kept = shelf.kept.lock();
            shelf.changes.fetch_add(1, Ordering::SeqCst);
            *kept = None;
        }
    }

    /// What a server has listed last, to whichever client, as a tool of that name.
    pub(crate) fn tool_of(
        &self,
        server: &Server,
        identity: Option<IdentityId>,
        name: &str,
    ) -> Listed {
        let shelves = self.shelves.lock();
        let own = shelves.iter().filter(|((id, own, ..), _)| (*id, *own) == (server.id, identity));
        let kept = own.filter_map(|(_, it)| it.kept(server)).filter(|it| it.error.is_none());
        let Some(listing) = kept.max_by_key(|it| it.fetched()) else { return Listed::Unknown };
        match listing.tools.iter().find(|it| *it.name == *name) {
            None => Listed::Missing,
            Some(it) => {
                let (pin, described) = (it.definition.pin, it.definition.described.clone());
                Listed::As { pin, described }
            }
        }
    }

    /// How many tools a server offers, as far as is known.
    pub(crate) fn tools_of(&self, server: ServerId) -> Option<usize> {
        let shelves = self.shelves.lock();
        let own = shelves.iter().filter(|((id, ..), _)| *id == server);
        own.filter_map(|(_, it)| it.kept.lock().as_ref().map(|it| it.tools.len())).max()
    }
}

impl<'a> Look<'a> {
    pub(crate) fn of(asked: &'a Asked) -> Self {
        let Asked { worker, caller, place, peer, .. } = asked;
        let (era, askable) = (asked.era(), asked.askable());
        Self { worker, caller, place, era, askable, peer: *peer }
    }

    /// What a server may ask of the client.
    fn askable_by(&self, server: &Server) -> Askable {
        askable_by(self.askable, server)
    }

    fn pass(&self, assignment: &Arc<Assignment>) -> Result<Pass, Refusal> {
        let place = Place { only: Some(Arc::clone(assignment)), ..self.place.clone() };
        authorize::authorize(&self.worker.proxy, self.caller.clone(), place, None)
    }
}

/// The listing of one server, waited for no longer than that. It is fetched to its end nevertheless,
/// so that a slow server is there the next time.
async fn in_time(
    look: &Look<'_>,
    assignment: &Arc<Assignment>,
    patience: Duration,
) -> Arc<Listing> {
    let worker = Arc::clone(look.worker);
    let (caller, place, of) = (look.caller.clone(), look.place.clone(), Arc::clone(assignment));
    let (era, askable, peer) = (look.era, look.askable, look.peer);
    let mut fetching: BoxFuture<'static, _> = Box::pin(async move {
        let look = Look { worker: &worker, caller: &caller, place: &place, era, askable, peer };
        worker.proxy.catalog.fetch(&look, &of).await
    });
    if let Ok(listing) = tokio::time::timeout(patience, &mut fetching).await {
        return listing;
    }
    let identity = look.place.connection(look.caller).ok();
    let identity = identity.and_then(|it| assignment.identity_for(it).ok()).flatten();
    let key = (assignment.server.id, identity, look.era, look.askable_by(&assignment.server));
    let proxy = Arc::clone(&look.worker.proxy);
    let shelf = proxy.catalog.shelf(key, proxy.clock.elapsed());
    // One task is enough, however many have waited.
    if !shelf.is_left.swap(true, Ordering::Relaxed) {
        look.worker.held.spawn(async move {
            tokio::select! {
                biased;
                () = proxy.streams.closing() => {}
                _ = fetching => {}
            }
            shelf.is_left.store(false, Ordering::Relaxed);
        });
    }
    let server = assignment.server.name.as_str();
    let late = Refusal::upstream(server, UpstreamError::Timeout(patience));
    Arc::new(Listing::unavailable(&late.to_string()))
}

/// What a server may ask of a client that can be asked so much.
pub(crate) fn askable_by(askable: Askable, server: &Server) -> Askable {
    Askable { roots: askable.roots && server.roots, ..askable }
}

impl Shelf {
    /// What is known of the server as it is configured now.
    fn kept(&self, server: &Server) -> Option<Arc<Listing>> {
        self.kept.lock().as_ref().filter(|it| it.is_of(server)).map(Arc::clone)
    }
}

/// How long a listing is fresh where the server gives no better word.
pub(crate) const FRESH: Duration = Duration::from_secs(30);

/// How long a failure to list is remembered at least, so that a dead server is not asked by every
/// call.
pub(crate) const FAILED: Duration = Duration::from_secs(2);
