//! What the policies of a workspace let by of what is listed.

use domain::policies::Verdict;
use domain::{Facts, Gateway, Kind, Question};

use super::view::{List, Looker, Sight};
use super::{Offer, Part};

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
