//! The listings of one place, joined under unambiguous names.
//!
//! On a single-server URL names are the server's own. On the aggregated one tools and prompts get
//! the server's alias in front, and resources an alias scheme. Calls are looked up in the map made
//! here and never by taking a name apart.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::{AppId, Kind, ServerId, Switches, Target, User};
use mcp::convert;
use mcp::extensions;
use mcp::json::{Limits, Raw, quote_into};
use mcp::names;
use mcp::revision::{Era, Revision};
use parking_lot::Mutex;

use super::pages::{Pages, Written};
use super::{Listing, Offer, Part, permitted};
use crate::picker;
use crate::route::{How, Listed, Offered, Place};
use crate::tasks;

/// What a place offers to whoever may see it.
pub(crate) struct View {
    pub(crate) parts: Vec<Part>,
    pub(super) gateway: Arc<domain::Gateway>,
    pub(super) prefixed: bool,
    /// Whether tools of ours are beside the servers'.
    picker: bool,
    tools: HashMap<Box<str>, Spot>,
    prompts: HashMap<Box<str>, Spot>,
    prepared: Mutex<Prepared>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) part: usize,
    pub(super) offer: usize,
}

/// Finished lists, shared by all callers who see the same, and what each caller sees while nothing
/// is off.
#[derive(Default)]
struct Prepared {
    by_app: HashMap<(AppId, List, bool, bool), Sight>,
    by_sight: HashMap<(List, Revision, Sight, bool), Written>,
}

/// Which offers are seen, in listing order.
pub(super) type Sight = Arc<[bool]>;

/// What is off of all that a view shows.
#[derive(Default)]
pub(super) struct Off<'a> {
    pub(super) parts: HashSet<usize>,
    pub(super) tools: HashSet<(ServerId, &'a str)>,
}

/// The lists that clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Prompts,
    Resources,
    Templates,
    Tools,
}

/// Who looks.
pub(crate) struct Looker<'a> {
    pub(crate) app: AppId,
    /// In which the client is told.
    pub(crate) revision: Revision,
    /// Whether it can follow tasks of revision 2025-11-25 itself.
    pub(crate) follows_tasks: bool,
    /// Whether it knows those of the extension.
    pub(crate) knows_tasks: bool,
    pub(crate) workspace: &'a domain::Workspace,
    pub(crate) user: &'a User,
    pub(crate) peer: Option<std::net::IpAddr>,
    pub(crate) switches: &'a Switches,
    pub(crate) now: chrono::DateTime<chrono::Utc>,
}

/// How many finished lists a view keeps.
const PREPARED: usize = 10_000;

impl List {
    pub(crate) fn of(method: &str) -> Option<Self> {
        match method {
            "prompts/list" => Some(Self::Prompts),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            "tools/list" => Some(Self::Tools),
            _ => None,
        }
    }

    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Tools => "tools",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Prompts => Kind::Prompt,
            Self::Resources | Self::Templates => Kind::Resource,
            Self::Tools => Kind::Tool,
        }
    }

    pub(super) fn offers(self, listing: &Listing) -> &[Offer] {
        match self {
            Self::Prompts => &listing.prompts,
            Self::Resources => &listing.resources,
            Self::Templates => &listing.templates,
            Self::Tools => &listing.tools,
        }
    }

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Prompts | Self::Tools => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

impl View {
    pub(super) fn join(place: &Place, listings: Vec<Arc<Listing>>) -> Self {
        let assignments = place.assignments().iter().map(Arc::clone);
        let parts: Vec<Part> = assignments
            .zip(listings)
            .map(|(assignment, listing)| Part { assignment, listing })
            .collect();
        let prefixed = place.only.is_none();
        let tools = spots(&parts, prefixed, |it| &it.tools);
        let prompts = spots(&parts, prefixed, |it| &it.prompts);
        let gateway = Arc::clone(&place.gateway);
        let picker = place.is_picker();
        Self { parts, gateway, prefixed, picker, tools, prompts, prepared: Mutex::default() }
    }

    pub(super) fn is_of(&self, place: &Place, listings: &[Arc<Listing>]) -> bool {
        Arc::ptr_eq(&self.gateway, &place.gateway)
            && self.parts.len() == listings.len()
            && self.parts.iter().zip(listings).all(|(it, listing)| it.listing.is_same(listing))
    }

    /// A tool or prompt by the name under which it is listed here.
    pub(crate) fn find(&self, kind: Kind, exposed: &str) -> Option<(Offered, &Offer)> {
        let (spots, list) = match kind {
            Kind::Prompt => (&self.prompts, List::Prompts),
            Kind::Tool => (&self.tools, List::Tools),
            Kind::Resource => return None,
        };
        let spot = spots.get(exposed)?;
        let part = self.parts.get(spot.part)?;
        let offer = list.offers(&part.listing).get(spot.offer)?;
        let (assignment, name) = (Arc::clone(&part.assignment), offer.name.clone());
        let listed = Listed::One(Arc::clone(&offer.definition));
        Some((Offered { assignment, kind, name, listed, how: How::default() }, offer))
    }

    /// What a server may offer, by its own name for it, whether or not that is listed.
    pub(crate) fn offered(&self, part: &Part, kind: Kind, name: &str) -> Offered {
        let known = match kind {
            Kind::Resource => None,
            _ => self.find(kind, &self.exposed(part, name)),
        };
        let own = |it: &Offered| it.assignment.id == part.assignment.id && *it.name == *name;
        known.map(|(offered, _)| offered).filter(own).unwrap_or_else(|| {
            let assignment = Arc::clone(&part.assignment);
            let listed = Listed::Somewhere(Arc::clone(&part.listing));
            Offered { assignment, kind, name: name.into(), listed, how: How::default() }
        })
    }

    /// The server that a resource URI leads to. Whether it has such a resource is its own affair:
    /// a template may make it, so a URI need not be listed to be read.
    pub(crate) fn find_resource(&self, exposed: &str) -> Option<Offered> {
        let (part, uri) = if self.prefixed {
            let (alias, uri) = names::split_uri(exposed)?;
            let own = |it: &&Part| it.assignment.alias.as_str() == alias;
            let part = self.parts.iter().find(own);
            (part.filter(|_| !extensions::is_withheld(uri))?, uri)
        } else {
            (self.parts.first()?, exposed)
        };
        Some(self.offered(part, Kind::Resource, uri))
    }

    /// What the text of a template leads to: the template itself where it is listed, so that no
    /// other one that could make its text stands for it.
    pub(crate) fn find_template(&self, exposed: &str) -> Option<Offered> {
        let mut offered = self.find_resource(exposed)?;
        let part = self.part_of(&offered)?;
        if let Some(template) = part.listing.template(&offered.name) {
            offered.listed = Listed::One(Arc::clone(&template.definition));
        }
        Some(offered)
    }

    /// Why a name may be missing: the first server that could not be listed, and what it said.
    pub(crate) fn missing_because(&self, exposed: &str) -> Option<(&str, &str)> {
        let failed = self.parts.iter().find(|it| {
            it.listing.error.is_some()
                && (!self.prefixed || names::is_under(exposed, it.assignment.alias.as_str()))
        })?;
        Some((failed.assignment.server.name.as_str(), failed.listing.error.as_deref()?))
    }

    /// The server of an offer.
    pub(crate) fn part_of(&self, offered: &Offered) -> Option<&Part> {
        self.parts.iter().find(|it| it.assignment.id == offered.assignment.id)
    }

    pub(crate) fn is_prefixed(&self) -> bool {
        self.prefixed
    }

    pub(crate) fn is_picker(&self) -> bool {
        self.picker
    }

    /// What tells the list from one that says something else, within this process.
    pub(crate) async fn print(&self, list: List, looker: &Looker<'_>) -> u64 {
        self.written(list, looker).await.print
    }

    /// Everything of one kind that the looker may use.
    pub(crate) async fn written(&self, list: List, looker: &Looker<'_>) -> Written {
        let sight = self.usable(list, looker);
        let sight = permitted::of(&self.parts, &self.gateway, list, (sight, looker)).await;
        let shared = (list, looker.revision, sight, looker.follows_tasks);
        let mut prepared = self.prepared.lock();
        if let Some(written) = prepared.by_sight.get(&shared) {
            return written.clone();
        }
        let written = self.write(list, looker, &shared.2);
        prepared.make_room();
        prepared.by_sight.insert(shared, written.clone());
        written
    }

    /// For how long a client may keep what is listed here, on the clock by which listings are fresh.
    pub(crate) fn kept_for(&self, elapsed: Duration) -> Duration {
        if self.picker {
            // Something else may be picked at any time.
            return Duration::ZERO;
        }
        self.parts.iter().map(|it| it.listing.kept_for(elapsed)).min().unwrap_or_default()
    }

    /// Which offers the looker may use but for policies.
    pub(super) fn usable(&self, list: List, looker: &Looker<'_>) -> Sight {
        let (sight, off) = (self.sight(list, looker), self.off(list, looker));
        if off.is_empty() { sight } else { self.without(list, &sight, &off) }
    }

    /// Which offers the looker may use where nothing is off. That does not change while the view
    /// lasts, which is one of a policy.
    pub(super) fn sight(&self, list: List, looker: &Looker<'_>) -> Sight {
        let key = (looker.app, list, looker.follows_tasks, looker.knows_tasks);
        if let Some(known) = self.prepared.lock().by_app.get(&key) {
            return Arc::clone(known);
        }
        let mut sight = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let offers = list.offers(&part.listing);
            let names: Vec<&str> = offers.iter().map(|it| it.name.as_ref()).collect();
            let allowed = self.allowed(list, looker, part, &names).into_iter().enumerate();
            let can_be_called = |offer: usize| {
                let needs_task = offers.get(offer).is_some_and(|it| it.needs_task);
                let is_tended = looker.knows_tasks && tasks::tended::has_tasks(part);
                let is_followed = looker.follows_tasks || is_tended || part.is_waited_for();
                !needs_task || part.is_modern() || is_followed
            };
            let is_admitted = |offer: usize| {
                offers.get(offer).is_some_and(|it| part.admits(list, &it.definition))
            };
            sight.extend(allowed.map(|(offer, yes)| {
                yes && self.is_found(list, Spot { part: index, offer })
                    && can_be_called(offer)
                    && is_admitted(offer)
            }));
        }
        let sight: Sight = sight.into();
        let mut prepared = self.prepared.lock();
        prepared.make_room();
        prepared.by_app.insert(key, Arc::clone(&sight));
        sight
    }

    /// Whether a call of the offer's name would find it. What is not found is not listed.
    pub(super) fn is_found(&self, list: List, spot: Spot) -> bool {
        let spots = match list {
            List::Prompts => &self.prompts,
            List::Tools => &self.tools,
            List::Resources | List::Templates => return !self.is_withheld(list, spot),
        };
        let found = self.parts.get(spot.part).and_then(|part| {
            let offer = list.offers(&part.listing).get(spot.offer)?;
            spots.get(self.exposed(part, &offer.name).as_ref())
        });
        found == Some(&spot)
    }

    /// Whether a resource belongs to an extension that is no part of what servers offer together.
    pub(super) fn is_withheld(&self, list: List, spot: Spot) -> bool {
        let part = self.parts.get(spot.part).filter(|_| self.prefixed);
        let offer = part.and_then(|it| list.offers(&it.listing).get(spot.offer));
        offer.is_some_and(|it| extensions::is_withheld(&it.name))
    }

    /// What is off of what is listed here. Mostly nothing, whatever is off elsewhere.
    pub(super) fn off<'a>(&self, list: List, looker: &Looker<'a>) -> Off<'a> {
        let mut off = Off::default();
        let in_force = looker.switches.iter().map(|(target, _)| target);
        for target in in_force.filter(|it| looker.switches.find(it, looker.now).is_some()) {
            let parts = self.parts.iter().enumerate();
            match target {
                Target::Assignment(id) => {
                    off.parts.extend(parts.filter(|(_, it)| it.assignment.id == *id).map(first));
                }
                Target::Server(id) => off
                    .parts
                    .extend(parts.filter(|(_, it)| it.assignment.server.id == *id).map(first)),
                Target::Tool(id, name) if list == List::Tools => {
                    let is_here = self.parts.iter().any(|it| it.assignment.server.id == *id);
                    off.tools.extend(is_here.then_some((*id, name.as_ref())));
                }
                _ => {}
            }
        }
        off
    }

    pub(super) fn without(&self, list: List, sight: &[bool], off: &Off<'_>) -> Sight {
        let all = self.parts.iter().enumerate().flat_map(|(index, part)| {
            list.offers(&part.listing).iter().map(move |offer| (index, part, offer))
        });
        let is_on = |index: usize, part: &Part, offer: &Offer| {
            !off.parts.contains(&index)
                && !off.tools.contains(&(part.assignment.server.id, offer.name.as_ref()))
        };
        let seen =
            all.zip(sight).map(|((index, part, offer), yes)| *yes && is_on(index, part, offer));
        seen.collect()
    }

    fn exposed<'a>(&self, part: &Part, name: &'a str) -> Cow<'a, str> {
        exposed(self.prefixed, part, name)
    }

    fn write(&self, list: List, looker: &Looker<'_>, sight: &[bool]) -> Written {
        let all = self
            .parts
            .iter()
            .flat_map(|part| list.offers(&part.listing).iter().map(move |offer| (part, offer)));
        let mut pages = Pages::of(list.member());
        let own = picker::TOOLS.into_iter().filter(|_| self.picker && list == List::Tools);
        own.for_each(|it| pages.next().extend_from_slice(it.as_bytes()));
        for ((part, offer), _) in all.zip(sight).filter(|(_, seen)| **seen) {
            let raw = match list {
                List::Tools => self.tool(part, &offer.raw, looker),
                _ => offer.raw.clone(),
            };
            self.write_offer(pages.next(), list, part, (&offer.name, &raw));
        }
        pages.finish()
    }

    /// A tool as the looker is shown it, but for its name.
    fn tool(&self, part: &Part, raw: &Bytes, looker: &Looker<'_>) -> Bytes {
        let raw = convert::listed_tool(raw, part.listing.spoken, looker.revision);
        let raw = match part.is_modern() {
            true if tasks::recast::is_known_to(looker.revision) && tasks::has_tasks(part) => {
                convert::with_tasks(&raw)
            }
            // There it is no word of the protocol any more, and means whatever its server means by it.
            true if looker.revision.era() == Era::Modern => raw,
            false if looker.follows_tasks => raw,
            _ => convert::without_tasks(&raw),
        };
        if self.prefixed { extensions::without_page(&raw) } else { raw }
    }

    /// An offer by its server's own name, as it is written there, with only its name changed.
    fn write_offer(
        &self,
        out: &mut BytesMut,
        list: List,
        part: &Part,
        (name, raw): (&str, &Bytes),
    ) {
        if !self.prefixed {
            out.extend_from_slice(raw);
            return;
        }
        let alias = part.assignment.alias.as_str();
        let exposed = match list {
            List::Prompts | List::Tools => names::exposed(alias, name),
            List::Resources | List::Templates => names::exposed_uri(alias, name),
        };
        let mut name = Vec::with_capacity(exposed.len() + 2);
        quote_into(&mut name, &exposed);
        let place = Raw::parse(raw, Limits::default())
            .ok()
            .and_then(|it| it.get(list.key()))
            .and_then(|it| it.range_in(raw));
        if let Some(place) = place
            && let (Some(before), Some(after)) = (raw.get(..place.start), raw.get(place.end..))
        {
            out.extend_from_slice(before);
            out.extend_from_slice(&name);
            out.extend_from_slice(after);
        }
    }
}

impl Prepared {
    fn make_room(&mut self) {
        if PREPARED <= self.by_app.len() + self.by_sight.len() {
            *self = Self::default();
        }
    }
}

impl Off<'_> {
    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.tools.is_empty()
    }
}

fn first((index, _): (usize, &Part)) -> usize {
    index
}

fn exposed<'a>(prefixed: bool, part: &Part, name: &'a str) -> Cow<'a, str> {
    if prefixed { names::exposed(part.assignment.alias.as_str(), name).into() } else { name.into() }
}

/// Where each name leads. One that two offers would have leads nowhere, so that none can take the
/// other's place.
fn spots(
    parts: &[Part],
    prefixed: bool,
    offers: impl Fn(&Listing) -> &Vec<Offer>,
) -> HashMap<Box<str>, Spot> {
    let mut spots: HashMap<Box<str>, Spot> = HashMap::new();
    let mut twice = HashSet::new();
    for (part, it) in parts.iter().enumerate() {
        for (offer, one) in offers(&it.listing).iter().enumerate() {
            if prefixed && one.for_apps {
                continue;
            }
            match spots.entry(Box::from(exposed(prefixed, it, &one.name))) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Spot { part, offer });
                }
                Entry::Occupied(taken) => {
                    tracing::debug!(name = %taken.key(), "Two offers with one name are hidden");
                    twice.insert(taken.key().clone());
                }
            }
        }
    }
    spots.retain(|name, _| !twice.contains(name));
    spots
}
