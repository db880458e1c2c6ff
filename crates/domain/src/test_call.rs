//! A call that somebody has made in the place of an app, to see what comes of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{AppId, GatewayId, Name, Snapshot, WorkspaceId};

/// What is to be called, and as whom.
#[derive(Clone, Debug)]
pub struct TestCall {
    pub workspace: WorkspaceId,
    pub gateway: GatewayId,
    /// In whose place.
    pub app: AppId,
    /// The number that the call has in the record.
    pub call: Uuid,
    /// As the gateway lists it.
    pub tool: String,
    /// An object, as JSON.
    pub arguments: String,
    pub starter: Starter,
}

/// Who has started it.
#[derive(Clone)]
pub struct Starter {
    /// The number of the act in the record.
    pub act: Uuid,
    pub id: Uuid,
    pub name: String,
    /// From where: the call comes from there, too. Without it there is none.
    pub address: Option<IpAddr>,
    /// When what they have presented dies by itself.
    pub expires_at: Option<DateTime<Utc>>,
    pub may: May,
}

/// Whether whoever has started it may do so by this snapshot.
pub type May = Arc<dyn Fn(&Snapshot) -> bool + Send + Sync>;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The alias of the assignment, and the server's own name for the tool, where the gateway leads to one.
    pub tool: Option<(Name, String)>,
    pub answer: Answered,
}

/// As a client would have been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// With this result, as JSON.
    Result(String),
    Error {
        code: i64,
        message: String,
    },
    /// With more than this many bytes, which are not given out.
    TooLarge(usize),
    /// Not within this many seconds: the call was given up.
    Late(u64),
    /// With what is not given out, or not any more, for this reason.
    Withheld(&'static str),
    /// With nothing, or with what is no answer.
    Nothing,
}

/// Why nothing has been called, nor recorded as a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotCalled(pub String);

impl fmt::Debug for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { act, id, name, address, expires_at, may: _ } = self;
        let mut all = f.debug_struct("Starter");
        all.field("act", act).field("id", id).field("name", name).field("address", address);
        all.field("expires_at", expires_at).finish_non_exhaustive()
    }
}
