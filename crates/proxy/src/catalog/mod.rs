//! What servers offer, and what of it a caller sees.
//!
//! A [`Listing`] is what one server has listed under one credential; it is fetched once for all
//! who share it and kept while it is fresh. A [`View`] joins the listings of a gateway under
//! unambiguous names; it is what calls are looked up in and what lists are served from.

mod listing;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{AppId, GatewayId, IdentityId, ServerId};
use futures::future::join_all;
use mcp::revision::Era;
use parking_lot::Mutex;

pub(crate) use listing::{Listing, Offer};
pub(crate) use view::{List, Looker, Part, View};

use crate::authorize;
use crate::identify::Caller;
use crate::refusal::Refusal;
use crate::route::Place;
use crate::serve::Worker;

/// All that is known of what servers offer.
#[derive(Default)]
pub(crate) struct Catalog {
    shelves: Mutex<HashMap<Key, Arc<Shelf>>>,
    views: Mutex<HashMap<ViewKey, Arc<View>>>,
}

type Key = (ServerId, Option<IdentityId>, Era);

/// A gateway, one server of it or all, the era, and the app where credentials are its own.
type ViewKey = (GatewayId, Option<domain::AssignmentId>, Era, Option<AppId>);

/// The place of one listing; whoever holds the lock fetches it.
#[derive(Default)]
struct Shelf {
    kept: Mutex<Option<Arc<Listing>>>,
    fetching: tokio::sync::Mutex<()>,
}

/// How many views are kept. They are cheap to make again.
const VIEWS: usize = 1_000;

impl Catalog {
    /// The view of a place for a caller, made from fresh listings.
    pub(crate) async fn view(
        &self,
        worker: &Worker,
        caller: &Caller,
        place: &Place,
        era: Era,
    ) -> Arc<View> {
        let listings = self.listings(worker, caller, place, era).await;
        let own = place.assignments().iter().any(|it| it.scheme == domain::Scheme::Own);
        let only = place.only.as_ref().map(|it| it.id);
        let key = (place.gateway.id, only, era, own.then_some(caller.app));
        let mut views = self.views.lock();
        if let Some(view) = views.get(&key).filter(|it| it.is_of(place, &listings)) {
            return Arc::clone(view);
        }
        drop(views);
        let view = Arc::new(View::join(place, listings));
        views = self.views.lock();
        if VIEWS <= views.len() {
            views.clear();
        }
        views.insert(key, Arc::clone(&view));
        view
    }

    /// One listing per assignment, in their order. A server that cannot be listed has an empty one
    /// that says why, so that it does not sink the rest.
    async fn listings(
        &self,
        worker: &Worker,
        caller: &Caller,
        place: &Place,
        era: Era,
    ) -> Vec<Arc<Listing>> {
        let assignments = place.assignments();
        let now = worker.proxy.clock.elapsed();
        let mut ready = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let connection = place.connection(caller);
            let identity = connection.ok().and_then(|it| assignment.identity_for(it).ok());
            let Some(identity) = identity else {
                ready.push(Some(Arc::new(Listing::unavailable("no credential is chosen", now))));
                continue;
            };
            let shelf = self.shelf((assignment.server.id, identity, era));
            let kept = shelf.kept.lock().clone();
            let fresh = kept.filter(|it| it.is_fresh(now) && it.is_of(&assignment.server));
            ready.push(fresh);
        }
        if ready.iter().all(Option::is_some) {
            return ready.into_iter().flatten().collect();
        }
        let fetches = assignments.iter().zip(ready).map(async |(assignment, ready)| match ready {
            Some(listing) => listing,
            None => {
                let place = Place { only: Some(Arc::clone(assignment)), ..place.clone() };
                self.fetch(worker, caller, place, era).await
            }
        });
        join_all(fetches).await
    }

    /// Fetches a listing, unless somebody else just has.
    async fn fetch(
        &self,
        worker: &Worker,
        caller: &Caller,
        place: Place,
        era: Era,
    ) -> Arc<Listing> {
        let Some(server) = place.only.as_ref().map(|it| Arc::clone(&it.server)) else {
            return Arc::new(Listing::unavailable("no server is chosen", Duration::ZERO));
        };
        let now = worker.proxy.clock.elapsed();
        let upkeep = authorize::authorize(&worker.proxy, caller.clone(), place, None);
        let upkeep = match upkeep {
            Ok(upkeep) => upkeep,
            // What is switched off is not remembered as such: it may be on again at once.
            Err(refusal) => return Arc::new(Listing::unavailable(&refusal.to_string(), now)),
        };
        let shelf = self.shelf((server.id, upkeep.subject.identity, era));
        let kept = shelf.kept.lock().clone().filter(|it| it.is_of(&server));
        let fetching = match (shelf.fetching.try_lock(), kept) {
            (Ok(fetching), _) => fetching,
            // Somebody is fetching already: what was good a moment ago will do.
            (Err(_), Some(stale)) if stale.error.is_none() => return stale,
            (Err(_), _) => match upkeep.flight.unless_ended(shelf.fetching.lock()).await {
                Some(fetching) => fetching,
                None => return Arc::new(Listing::unavailable("it was turned off", now)),
            },
        };
        if let Some(fresh) =
            shelf.kept.lock().clone().filter(|it| it.is_fresh(now) && it.is_of(&server))
        {
            return fresh;
        }
        let fetching_it = listing::fetch(worker, &upkeep, &server, era);
        let fetched = match upkeep.unless_ended(fetching_it).await {
            Ok(listing) => listing,
            Err(Refusal::Upstream { source, .. }) => {
                Listing::unavailable(&source.to_string(), now).of(&server)
            }
            // Our own refusal, which says nothing of the server either.
            Err(refusal) => return Arc::new(Listing::unavailable(&refusal.to_string(), now)),
        };
        let fetched = Arc::new(fetched);
        *shelf.kept.lock() = Some(Arc::clone(&fetched));
        drop(fetching);
        fetched
    }

    fn shelf(&self, key: Key) -> Arc<Shelf> {
        Arc::clone(self.shelves.lock().entry(key).or_default())
    }

    /// The server has said that its lists have changed: what is kept is not served again.
    pub(crate) fn changed(&self, server: ServerId) {
        let shelves = self.shelves.lock();
        for (_, shelf) in shelves.iter().filter(|((id, _, _), _)| *id == server) {
            *shelf.kept.lock() = None;
        }
    }

    /// How many tools a server offers, as far as is known.
    pub(crate) fn tools_of(&self, server: ServerId) -> Option<usize> {
        let shelves = self.shelves.lock();
        let mut own = shelves.iter().filter(|((id, _, _), _)| *id == server);
        own.find_map(|(_, it)| it.kept.lock().as_ref().map(|it| it.tools.len()))
    }
}

/// How long a listing is fresh where the server gives no better word.
pub(crate) const FRESH: Duration = Duration::from_secs(30);

/// How long a failure to list is remembered, so that a dead server is not asked by every call.
pub(crate) const FAILED: Duration = Duration::from_secs(2);
