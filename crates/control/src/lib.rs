//! The control plane: a folder for each feature, from REST to SQL.
//!
//! A feature is a *slice*: its `mod.rs` has the types and operations, `api.rs` the addresses,
//! `store.rs` the SQL. Slices meet through each other's `mod.rs` only. What all of them rest on:
//!
//! * `change`: the one way to change what the data plane reads; it compiles, commits, publishes
//!   and enforces, in this order;
//! * `follower`: how long and by which rights somebody follows along;
//! * `replicas`: who else serves, and how all come to hold what one has changed;
//! * `snapshot`: the published configuration, and the gate that proves it current;
//! * `trail`: no act without its record in the audit log;
//! * `api`: what handlers share, and the table of all routes.
//!
//! [`Control`] is the front door.

mod accounts;
mod addresses;
mod admin_mcp;
mod api;
mod apps;
mod assignments;
mod belongings;
mod change;
mod changes;
mod command_line;
mod connections;
mod content_keys;
mod control;
mod files;
mod follower;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateways;
mod idempotency;
mod identities;
mod installation;
mod labels;
mod limits;
mod me;
mod overview;
mod pins;
mod policies;
mod records;
mod replicas;
mod role_grants;
mod roles;
mod row;
mod rules;
mod secret;
mod series;
mod servers;
mod session;
mod snapshot;
mod status;
mod switches;
mod teams;
#[cfg(test)]
mod testing;
mod tokens;
mod trail;
mod user_admin_tokens;
mod users;
mod why;
mod workspaces;

use std::sync::{Arc, OnceLock};

use db::Db;
use domain::ports::{Offers, Previews, TestCalls, Traffic};
use domain::{Authority, Clock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vault::Vault;

pub use api::{ClientAddress, Gone};
pub use change::LONGEST_ANSWER;
pub use control::{Control, ControlError, ControlOptions, Ownership, Serving};
#[cfg(feature = "fuzzing")]
pub use files::rewritten;
pub use files::{
    Applied, Difference, FiledPolicy, Outcome, Resolve, count, filed_policies, references, schema,
};
pub use limits::CounterStore;
pub use policies::Tested;
pub use replicas::Figures;
pub use series::is_denial;
pub use status::{ServerState, ServerStatus, Status};

use content_keys::ContentKeys;
use replicas::Replica;
use snapshot::{Publisher, StoreGate};

/// What handlers may use.
struct App {
    db: Db,
    vault: Arc<Vault>,
    log: audit::Log,
    /// Where it is kept what acts have changed. Until it is set, that is not kept.
    content: OnceLock<Arc<audit::ContentStore>>,
    refusals: trail::Refusals,
    /// Who follows what changes.
    seats: changes::Seats,
    /// What charts show of what is recorded here.
    series: series::Series,
    clock: Arc<dyn Clock>,
    publisher: Arc<Publisher>,
    gate: Arc<StoreGate>,
    /// What holds above all workspaces.
    authority: Arc<Authority>,
    replica: Arc<Replica>,
    keys: Arc<ContentKeys>,
    traffic: OnceLock<Arc<dyn Traffic>>,
    status: OnceLock<Arc<dyn ServerStatus>>,
    offers: OnceLock<Arc<dyn Offers>>,
    previews: OnceLock<Arc<dyn Previews>>,
    test_calls: OnceLock<Arc<dyn TestCalls>>,
    /// Who makes some.
    test_seats: gateways::TestSeats,
    passwords: accounts::Passwords,
    attempts: accounts::Attempts,
    turns: accounts::Turns,
    accounts: Arc<limits::counters::Accounts>,
    shared: Option<Arc<limits::counters::Shared>>,
    allow_loopback: bool,
    is_secure: bool,
    /// Of changes that touch more than switches.
    turn: Arc<Semaphore>,
    tasks: TaskTracker,
    /// This process is about to stop: whoever waits for something long comes to an end.
    leaving: CancellationToken,
    stop: CancellationToken,
}
