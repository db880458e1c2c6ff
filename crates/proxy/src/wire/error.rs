//! What can go wrong on the wire, whose fault it is, and whether another try may help.

use std::net::IpAddr;
use std::time::Duration;

use super::http::Outgoing;

/// Why an upstream could not be reached, or what was wrong with its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The address guard does not let us connect there.
    #[error("the upstream's address {address} is refused: {rule}")]
    Blocked {
        /// Where the name led.
        address: IpAddr,
        /// Which rule refused it, such as `a private address`.
        rule: &'static str,
    },
    /// The name has no address, or the resolver failed.
    #[error("the upstream's name `{host}` cannot be resolved: {reason}")]
    Dns {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection, or no process.
    #[error("cannot connect to the upstream: {reason}")]
    Connect {
        /// What the system said.
        reason: String,
    },
    /// The command of a managed server cannot be started.
    #[error("cannot start the server's command: {reason}")]
    Spawn {
        /// What the system said.
        reason: String,
    },
    /// The upstream could not prove who it is, or offers no TLS that we accept.
    #[error("the upstream's TLS is refused: {reason}")]
    Tls {
        /// What is wrong, in plain words.
        reason: String,
    },
    /// The upstream took too long.
    #[error("the upstream took longer than {limit:?} to {what}")]
    Timeout {
        /// What we waited for.
        what: Wait,
        /// How long we waited.
        limit: Duration,
    },
    /// The upstream sent more than we take.
    #[error("the upstream's {what} is larger than {limit} bytes")]
    TooLarge {
        /// Which part: `response` or `response head`.
        what: &'static str,
        /// In bytes.
        limit: usize,
    },
    /// The upstream broke the rules of its own protocol.
    #[error("the upstream's answer is faulty: {reason}")]
    Faulty {
        /// Which rule.
        reason: &'static str,
    },
    /// The connection, the process or the call ended before the answer did.
    #[error("the upstream ended before its answer did: {reason}")]
    Closed {
        /// What ended it.
        reason: String,
    },
    /// The upstream answered with a redirect, which is never followed for a call.
    #[error("the upstream redirects to {to}; register that address instead")]
    Redirect {
        /// The origin it points to, without path and query.
        to: String,
    },
    /// Too many calls are under way to this server already.
    #[error("too many calls are waiting for this server")]
    Busy,
}

/// What a [`WireError::Timeout`] waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Name, connection and TLS.
    Connect,
    /// The head of the answer.
    Head,
    /// The next piece of the body.
    Body,
    /// The whole answer.
    Answer,
    /// Room in the server's input.
    Write,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The upstream, or the network between.
    Upstream,
    /// Whoever registered the upstream here.
    Registration,
    /// This gateway is short of room.
    Ours,
}

/// Why a request got no answer, and whether the upstream may have seen it.
#[derive(Debug)]
pub enum SendError {
    /// The connection was closed before a byte of the request was written. The request comes back
    /// whole, so that the caller may check out another connection, and pass its gate again.
    Unsent(Outgoing),
    /// The request is gone.
    Failed {
        /// Why.
        error: WireError,
        /// Whether a byte of it may have reached the upstream. If not, another try is safe for
        /// any method.
        written: bool,
    },
}

impl WireError {
    /// Who can mend it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Blocked { .. } | Self::Redirect { .. } | Self::Spawn { .. } => {
                Fault::Registration
            }
            Self::Busy => Fault::Ours,
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Faulty { .. }
            | Self::Closed { .. } => Fault::Upstream,
        }
    }

    /// Whether the same call may succeed a little later. Says nothing about whether repeating it
    /// is safe; [`SendError`] knows what was written.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Busy => true,
            Self::Blocked { .. }
            | Self::Spawn { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. }
            | Self::Faulty { .. }
            | Self::Redirect { .. } => false,
        }
    }

    /// A stable word for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Blocked { .. } => "upstream_blocked",
            Self::Dns { .. } => "upstream_dns",
            Self::Connect { .. } | Self::Spawn { .. } => "upstream_unreachable",
            Self::Tls { .. } => "upstream_tls",
            Self::Timeout { .. } => "upstream_timeout",
            Self::TooLarge { .. } => "response_too_large",
            Self::Faulty { .. } => "upstream_faulty",
            Self::Closed { .. } => "upstream_closed",
            Self::Redirect { .. } => "upstream_redirect",
            Self::Busy => "upstream_busy",
        }
    }
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Head => "begin its answer",
            Self::Body => "continue its answer",
            Self::Answer => "finish its answer",
            Self::Write => "read its input",
        })
    }
}
