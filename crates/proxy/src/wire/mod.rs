//! How bytes reach an upstream, over HTTP or over the pipes of a child process.
//!
//! What holds here:
//!
//! - An address is checked after it has been resolved, on every connect, by the same [`Guard`]
//!   that read the URL; a connection goes to a checked address and to no other.
//! - Dropping a call closes its connection at once: nothing runs on behind the caller's back, and no
//!   task owns an HTTP connection, but for streams that only bring something. A frame for a child is written whole or not at all, and not
//!   after its [`Hold`] has closed.
//! - Redirects are not followed, nothing is retried, no proxy is taken from the environment.
//! - Every wait ends and every buffer is bounded: see [`WireLimits`] and [`ChildLimits`].

mod address;
mod dial;
mod error;
mod guard;
mod http;
mod launch;
mod live;
mod pool;
mod reply;
mod stdio;
mod tls;

pub use dial::{Lookup, Resolve, SystemResolver};
pub use error::{Fault, SendError, Wait, WireError};
pub use guard::{Endpoint, Guard, UrlError};
pub use http::{HttpWire, Outgoing, Ready, WireLimits};
pub use launch::{ProcessLimits, launch};
pub use reply::Reply;
pub use stdio::{Child, ChildExchange, ChildLimits, Hold, StdioSpec, WeakChild};
pub use tls::client_config;
