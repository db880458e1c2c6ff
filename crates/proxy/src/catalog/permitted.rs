//! What the policies of a workspace let by of what is listed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::policies::Verdict;
use domain::{Assignment, Facts, Gateway, Kind, Question};

use super::view::{List, Looker, Sight};
use super::{Offer, Part};
use crate::authorize::Grounds;

/// Which of the offers that are seen policies let by, in the circumstances of the looker and with
/// some arguments or other. It is the decision that calls are under: what is hidden is refused.
pub(super) fn of(
    parts: &[Part],
    gateway: &Gateway,
    list: List,
    (sight, looker): (Sight, &Looker<'_>),
) -> Sight {
    if looker.workspace.policies.is_empty() {
        return sight;
    }
    let facts = Facts { now: Some(looker.now), address: looker.peer, arguments: None };
    let all = parts
        .iter()
        .flat_map(|part| list.offers(&part.listing).iter().map(move |offer| (part, offer)));
    let is_let_by = |part: &Part, offer: &Offer| {
        let question = Question {
            workspace: looker.workspace,
            app: looker.app,
            user: looker.user,
            gateway,
            assignment: &part.assignment,
            kind: list.kind(),
            name: &offer.name,
            hints: match list.kind() {
                Kind::Resource => Some([None; 4]),
                Kind::Prompt | Kind::Tool => Some(offer.definition.described.hints),
            },
        };
        let verdict = looker.workspace.policies.decide(&question, &facts);
        // A template makes names that nobody knows yet.
        list == List::Templates || !matches!(verdict, Verdict::Refused(_))
    };
    all.zip(sight.iter()).map(|((part, offer), yes)| *yes && is_let_by(part, offer)).collect()
}

impl Grounds {
    /// Whether policies refuse all that could be asked of a server of the place, now and from there.
    pub(crate) fn is_refused(
        &self,
        assignment: &Assignment,
        peer: IpAddr,
        now: DateTime<Utc>,
    ) -> bool {
        let (workspace, gateway) = (&self.caller.workspace, &self.place.gateway);
        if workspace.policies.is_empty() {
            return false;
        }
        let connection = gateway.connections.get(&self.caller.app);
        let Some(user) = connection.and_then(|it| self.caller.user(it.user)) else { return true };
        let question = Question {
            workspace,
            app: self.caller.app,
            user,
            gateway,
            assignment,
            kind: Kind::Tool,
            name: "",
            hints: None,
        };
        let facts = Facts { now: Some(now), address: Some(peer), arguments: None };
        workspace.policies.refuse_all_of(&question, &facts)
    }
}
