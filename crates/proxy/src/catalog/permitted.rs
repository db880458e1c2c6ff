//! What the policies of a workspace let by of what is listed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::policies::Verdict;
use domain::{Assignment, Facts, Gateway, Kind, Question};

use super::view::{List, Looker, Sight};
use super::{Offer, Part};
use crate::authorize::Grounds;
use crate::identify::Caller;

/// Which of the offers that are seen policies let by, in the circumstances of the looker and with
/// some arguments or other. It is the decision that calls are under: what is hidden is refused.
///
/// A list may be long and a decision slow, so others are let by now and then.
pub(super) async fn of(
    parts: &[Part],
    gateway: &Gateway,
    list: List,
    (sight, looker): (Sight, &Looker<'_>),
) -> Sight {
    /// Of a list that is short nobody notices anything.
    const AT_ONCE: usize = 8;

    if looker.workspace.policies.is_empty() {
        return sight;
    }
    let mut let_by = Vec::with_capacity(sight.len());
    let mut usable = sight.iter();
    let mut decided = 0;
    for part in parts {
        for offer in list.offers(&part.listing) {
            let is_usable = usable.next().copied().unwrap_or(false);
            let_by.push(is_usable && is_let_by(gateway, list, looker, (part, offer)));
            decided += usize::from(is_usable);
            if is_usable && decided.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
    }
    let_by.into()
}

fn is_let_by(
    gateway: &Gateway,
    list: List,
    looker: &Looker<'_>,
    (part, offer): (&Part, &Offer),
) -> bool {
    let facts = Facts { now: Some(looker.now), address: looker.peer, arguments: None };
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
}

impl Grounds {
    /// As [`is_refused`], for a server of the place.
    pub(crate) fn is_refused(
        &self,
        assignment: &Assignment,
        peer: IpAddr,
        now: DateTime<Utc>,
    ) -> bool {
        is_refused((&self.caller, &self.place.gateway), assignment, peer, now)
    }
}

/// Whether policies refuse all that could be asked of a server of the gateway, now and from there.
pub(crate) fn is_refused(
    (caller, gateway): (&Caller, &Gateway),
    assignment: &Assignment,
    peer: IpAddr,
    now: DateTime<Utc>,
) -> bool {
    let workspace = &caller.workspace;
    if workspace.policies.is_empty() {
        return false;
    }
    let connection = gateway.connections.get(&caller.app);
    let Some(user) = connection.and_then(|it| caller.user(it.user)) else { return true };
    let (app, kind) = (caller.app, Kind::Tool);
    let question =
        Question { workspace, app, user, gateway, assignment, kind, name: "", hints: None };
    let facts = Facts { now: Some(now), address: Some(peer), arguments: None };
    workspace.policies.refuse_all_of(&question, &facts)
}
