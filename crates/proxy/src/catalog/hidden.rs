//! What a view does not show, and why: for administrators who look in the place of a client.

use std::sync::Arc;

use domain::{Ask, Because};

use super::view::{List, Looker, Spot, View};
use super::{Offer, Part, permitted};

impl View {
    /// Everything of one kind that the looker may not use, in the order of the list, and why: the first
    /// reason for each.
    pub(crate) async fn hidden(
        &self,
        list: List,
        looker: &Looker<'_>,
    ) -> Vec<(&Part, &Offer, Because)> {
        let usable = self.usable(list, looker);
        let asked = (Arc::clone(&usable), looker);
        let let_by = permitted::of(&self.parts, &self.gateway, list, asked).await;
        let off = self.off(list, looker);
        let mut seen = usable.iter().zip(let_by.iter());
        let mut hidden = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let offers = list.offers(&part.listing);
            let names: Vec<&str> = offers.iter().map(|it| it.name.as_ref()).collect();
            let allowed = self.allowed(list, looker, part, &names);
            for (number, (offer, is_allowed)) in offers.iter().zip(allowed).enumerate() {
                let (is_usable, is_let_by) =
                    seen.next().map_or((false, false), |it| (*it.0, *it.1));
                if is_let_by {
                    continue;
                }
                let spot = Spot { part: index, offer: number };
                let tool = (part.assignment.server.id, offer.name.as_ref());
                let is_exposed =
                    part.assignment.provision(list.kind()).admits(&offer.definition.described);
                let because = if is_usable {
                    Because::Policy
                } else if !is_allowed {
                    Because::NotExposed
                } else if !is_exposed {
                    Because::Condition
                } else if !part.admits(list, &offer.definition) {
                    Because::Unapproved
                } else if off.parts.contains(&index) || off.tools.contains(&tool) {
                    Because::Off
                } else if self.is_withheld(list, spot) || (self.prefixed && offer.for_apps) {
                    Because::Withheld
                } else if !self.is_found(list, spot) {
                    Because::NameTaken
                } else {
                    Because::NeedsTasks
                };
                hidden.push((part, offer, because));
            }
        }
        hidden
    }

    /// Servers that could not be listed: their aliases, and what went wrong.
    pub(crate) fn missing(&self) -> Vec<(String, String)> {
        let said = |it: &Part| {
            let why = it.listing.error.as_deref()?;
            Some((it.assignment.alias.to_string(), why.to_owned()))
        };
        self.parts.iter().filter_map(said).collect()
    }

    /// Which of these names policy allows to the looker.
    pub(super) fn allowed(
        &self,
        list: List,
        looker: &Looker<'_>,
        part: &Part,
        names: &[&str],
    ) -> Vec<bool> {
        let ask = Ask {
            app: looker.app,
            user: looker.user,
            assignment: part.assignment.id,
            kind: list.kind(),
            name: "",
        };
        self.gateway.policy.allows_each(ask, names)
    }
}
