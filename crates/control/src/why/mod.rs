//! Why somebody can or cannot: the decision itself, with its reasons named.
//!
//! Calls are decided by [`domain::decide`], policies included, and, as far as it depends on what a
//! server lists, by [`domain::admit`], as in the data plane, which says what has been listed; whether
//! limits have room is asked of the accounts that the data plane charges. Administrative acts are
//! decided by [`domain::Authority`], as at the guard. Nothing is decided here: a link of a chain says
//! what the decision has looked at.

mod acts;
mod api;
mod calls;
#[cfg(test)]
mod tests;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use api::routes;
pub(crate) use calls::{Presented, Question, tokenless};

/// Whether something is allowed, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The app that is meant, where it is about a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    /// What has decided, in one sentence.
    because: String,
    /// What leads from the one to the other, as far as it holds.
    pub(crate) chain: Vec<Link>,
}

/// One thing on the way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    kind: &'static str,
    name: String,
    /// Whether it lets pass.
    pub(crate) holds: bool,
    detail: String,
}

impl Link {
    pub(crate) fn new(kind: &'static str, name: impl ToString, detail: impl ToString) -> Self {
        Self { kind, name: name.to_string(), holds: true, detail: detail.to_string() }
    }
}

impl Answer {
    fn allowed(app: Option<String>, because: String, chain: Vec<Link>) -> Self {
        Self { allowed: true, app, because, chain }
    }

    /// The last link is what decides.
    fn denied(app: Option<String>, because: String, mut chain: Vec<Link>) -> Self {
        if let Some(last) = chain.last_mut() {
            last.holds = false;
        }
        Self { allowed: false, app, because, chain }
    }
}
