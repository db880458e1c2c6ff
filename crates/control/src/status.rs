//! How servers are doing, which only the data plane knows.

use domain::ServerId;
use serde::Serialize;
use utoipa::ToSchema;

/// Tells how servers are doing.
pub trait ServerStatus: Send + Sync {
    /// `None` where nobody has asked the server for anything yet.
    fn status(&self, server: ServerId) -> Option<Status>;
}

/// How a server is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Status {
    pub state: ServerState,
    /// What went wrong last, in plain words.
    pub detail: Option<String>,
    /// How many tools it offers, where that is known.
    pub tools: Option<usize>,
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    Up,
    Failing,
    Down,
}
