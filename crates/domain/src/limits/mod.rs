//! Limits: how much may be used, and by whom together.
//!
//! A [`Limit`] says what it counts, for whom, and how much it allows: a [`Rate`], which comes back
//! little by little, or a [`Quota`], which comes back at the beginning of a day or a month (UTC).
//! Arithmetic is in whole numbers and takes the time as an argument, so that the same calls at the
//! same times are always decided alike, in memory as in a database.

mod quota;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use quota::{Quota, Spent, Window};
pub use rate::{Bucket, LONGEST_SPAN, Lease, Period, Rate, SLICE};

use crate::{AppId, GatewayId, LimitId, Name, ServerId, Subject, TeamId, UserId, WorkspaceId};

/// How much may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub id: LimitId,
    pub name: Name,
    pub scope: Scope,
    pub unit: Unit,
    pub allowance: Allowance,
    /// The only gateway on which it counts; all where absent.
    pub gateway: Option<GatewayId>,
}

/// Whose use is counted together: that of the one named, or else of each of its kind by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Workspace,
    User(Option<UserId>),
    App(Option<AppId>),
    /// The teams by which a person may use the gateway: what they use counts for each of them.
    Team(Option<TeamId>),
    Gateway(Option<GatewayId>),
    Server(Option<ServerId>),
    /// By the server's own name for it.
    Tool(Option<(ServerId, Box<str>)>),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Calls,
    /// Of the messages of a call, as the vocabulary o200k divides them.
    Tokens(Direction),
    /// Of the messages of a call.
    Bytes(Direction),
}

/// Which messages of a call are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
    Both,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    Rate(Rate),
    Quota(Quota),
}

/// Whose use one counter of a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Of what the limit's scope says; for a tool, of its server.
    pub id: Uuid,
    /// The tool's name; empty for all else.
    pub tool: Box<str>,
}

/// So many units of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub limit: Arc<Limit>,
    pub holder: Holder,
    /// Zero where only the answer costs something; there must be room for that.
    pub cost: u64,
}

/// Why units cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// They can be had after this long, if nobody else takes them.
    For(Duration),
    /// They are more than there ever are at once.
    Ever,
}

/// More units than anybody could use; sums and products stay far from overflowing.
pub const MOST_UNITS: u64 = 1_000_000_000_000;

impl Limit {
    /// The counters that a call counts for. `teams` are those by which its person may use the
    /// gateway.
    pub fn holders(
        &self,
        workspace: WorkspaceId,
        call: &Subject,
        teams: &BTreeSet<TeamId>,
    ) -> Vec<Holder> {
        if self.gateway.is_some_and(|it| it != call.gateway) {
            return Vec::new();
        }
        let one = |only: Option<Uuid>, id: Uuid| {
            let fits = only.is_none_or(|it| it == id);
            fits.then(|| Holder { id, tool: "".into() }).into_iter().collect()
        };
        match &self.scope {
            Scope::Workspace => one(None, workspace.0),
            Scope::User(only) => one(only.map(|it| it.0), call.user.0),
            Scope::App(only) => one(only.map(|it| it.0), call.app.0),
            Scope::Gateway(only) => one(only.map(|it| it.0), call.gateway.0),
            Scope::Team(only) => {
                teams.iter().flat_map(|it| one(only.map(|it| it.0), it.0)).collect()
            }
            Scope::Server(only) => {
                call.server.map_or_else(Vec::new, |it| one(only.map(|it| it.0), it.0))
            }
            Scope::Tool(only) => {
                let Some((server, tool)) = call.server.zip(call.tool.as_ref()) else {
                    return Vec::new();
                };
                let fits = only.as_ref().is_none_or(|it| it.0 == server && it.1 == *tool);
                fits.then(|| Holder { id: server.0, tool: tool.clone() }).into_iter().collect()
            }
        }
    }
}

impl Allowance {
    /// The most units that can be had at once.
    pub fn most(&self) -> u64 {
        match self {
            Self::Rate(rate) => rate.burst,
            Self::Quota(quota) => quota.amount,
        }
    }
}

impl Direction {
    pub fn has_request(self) -> bool {
        self != Self::Response
    }

    pub fn has_response(self) -> bool {
        self != Self::Request
    }
}

impl Unit {
    /// Whether an answer costs something.
    pub fn counts_answers(self) -> bool {
        match self {
            Self::Calls => false,
            Self::Tokens(direction) | Self::Bytes(direction) => direction.has_response(),
        }
    }
}

/// There must be room for at least one unit, even for what costs nothing yet.
fn needed(cost: u64) -> u64 {
    cost.max(1)
}
