//! The data plane: from a client's message to an upstream's answer.
//!
//! A call passes the stages below in this order, and its type changes at each one, so a stage
//! cannot be skipped or moved without the compiler's consent:
//!
//! 1. [`receive`]: the HTTP request is well formed and comes from where it may
//! 2. [`identify`]: its token names an app, hence a user and a workspace ([`identify::Caller`])
//! 3. [`route`]: its message is strict JSON-RPC and names something on a gateway ([`route::Routed`])
//! 4. [`authorize`]: policy and switches allow it ([`authorize::Permitted`])
//! 5. [`limit`]: the limits of the workspace leave room for it ([`limit::Charged`])
//! 6. [`content`]: the gateway's rules have passed or edited what it carries
//! 7. [`record`]: its intent is durable ([`record::Recorded`])
//! 8. [`forward`]: the last gate proves the decision current, then the bytes leave
//! 9. back again: rules, gate, durable outcome, release
//!
//! A call whose server asks its client something in between is [`parked`] where the client's era
//! cannot be asked, and goes on when the client comes back with answers.
//!
//! What lives in one of several processes is served by that one: others pass it on by a [`hop`].
//!
//! What is known of upstreams is in [`catalog`]; how they are spoken to in [`link`]; how bytes
//! reach them in [`wire`]. Whatever is under way is in [`flight`], so that a cut-off finds it.
//!
//! The data plane reads a snapshot and never a database, holds no secret longer than one request,
//! and spawns no task without an owner.

mod answer;
mod authorize;
mod batch;
mod body;
mod call;
mod cancel;
mod catalog;
mod content;
mod feed;
mod flight;
mod follow;
mod forward;
pub mod hop;
mod identify;
mod known;
mod lasting;
mod late;
mod legacy;
mod levels;
mod limit;
mod linger;
mod link;
mod listen;
pub mod metrics;
mod modern;
mod paired;
mod parked;
mod pending;
mod picker;
mod preview;
pub mod probing;
mod proxies;
mod questions;
mod receive;
mod record;
mod refusal;
mod release;
mod replay;
mod resume;
mod rounds;
mod route;
mod seats;
mod serve;
mod session;
mod settle;
mod source;
mod step;
mod strangers;
mod streams;
mod subscribe;
mod tasks;
mod terms;
mod test_calls;
mod turned_away;
pub mod wire;

pub use body::Released;
pub use link::ServerHealth;
pub use preview::Previewer;
pub use proxies::{BadForwarded, Proxies};
pub use receive::Hosts;
pub use serve::{Options, Ports, Proxy, Worker};
pub use test_calls::Tester;
