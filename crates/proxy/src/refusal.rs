//! Why a message was not answered by an upstream: one variant for each thing its sender can do.

use std::time::Duration;

use domain::ports::{GateClosed, Unopenable};
use domain::{Switch, Target};
use mcp::envelope::EnvelopeError;
use mcp::headers::HeaderError;

use crate::proxies::BadForwarded;
use crate::wire::WireError;

/// Knows no HTTP and no JSON-RPC; [`crate::answer`] maps it to both.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    // What the client can mend.
    #[error("this host name is not served here; use the gateway's configured address")]
    Host,
    #[error("requests from this web origin are not allowed")]
    Origin,
    #[error("this address takes {allowed}")]
    Verb { allowed: &'static str },
    #[error("send application/json in UTF-8 without content encoding")]
    MediaType,
    #[error("accept both application/json and text/event-stream")]
    NotAcceptable,
    #[error("the request is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the header `{name}` is not acceptable")]
    BadHeader { name: String },
    #[error("the body did not arrive within {limit:?}")]
    SlowBody { limit: Duration },
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("sign in first: send a valid token as `Authorization: Bearer …`")]
    Unauthenticated,
    #[error("whoever has started this test may not do so any more")]
    Withdrawn,
    #[error("the {noun} takes no calls from this address")]
    Elsewhere { noun: &'static str },
    #[error("no such gateway, or this app is not connected to it")]
    NoGateway,
    /// At the picker.
    #[error(
        "no gateway is in use at this address, or the one that was can be used no more: call \
         `list_gateways`, then `use_gateway`"
    )]
    NothingPicked,
    #[error(
        "there is no gateway `{name}` that can be used here; `list_gateways` says which there are"
    )]
    NotPickable { name: String },
    #[error("send the session id that `initialize` gave")]
    SessionMissing,
    #[error("no such session; initialize again")]
    SessionUnknown,
    #[error("the protocol version in the header is not supported")]
    Revision,
    #[error("too many sessions are open for this app; end some first")]
    TooManySessions,
    #[error("too many streams are open for this app; close some first")]
    TooManyStreams,
    #[error("too many calls wait for their answers on this stream")]
    TooManyCalls,
    #[error("no such event of this session is kept")]
    EventUnknown,
    #[error("the answer came while nobody read the stream, and could not be kept")]
    NotKept,
    #[error("too many tasks of this app are under way; wait for some of them first")]
    TooManyTasks,
    #[error("there is no room for the result of this task; call the tool without one")]
    NoRoom,
    #[error("unknown method `{method}`")]
    UnknownMethod { method: String },
    #[error("unknown {kind} `{name}`")]
    UnknownOffer { kind: &'static str, name: String },
    /// Nobody has approved it as its server describes it now.
    #[error("{kind} `{name}` waits for approval by an administrator")]
    Unapproved { kind: &'static str, name: String },
    /// The policies of the workspace refuse it.
    #[error("{0}")]
    Policy(Box<Refused>),
    #[error("{0}")]
    Params(&'static str),
    #[error("the client has not declared a capability that this needs")]
    Capability {
        /// What it lacks, as raw JSON.
        required: &'static str,
    },
    #[error("{0}")]
    RequestState(&'static str),
    #[error("{message}")]
    Blocked { rule: String, message: String },
    /// An administrator has turned something off.
    #[error("{} is turned off by an administrator{}", noun, because(reason))]
    Off { noun: &'static str, reason: Option<String> },
    #[error("the limit `{limit}` {}", room(*wait))]
    Limited {
        limit: String,
        /// How long until there may be room; absent where there never is for so much at once.
        wait: Option<Duration>,
    },
    /// A server wants to know what nobody has told it.
    #[error("`{server}` asks for something and gets no answer: {why}")]
    Unanswered { server: String, why: Unanswered },
    #[error("the app's connection has no credential for `{server}`; choose one first")]
    NoIdentity { server: String },
    // What the upstream must mend.
    #[error("`{server}` failed: {source}")]
    Upstream { server: String, source: UpstreamError },
    // What we must mend.
    #[error(transparent)]
    Gate(#[from] GateClosed),
    #[error(transparent)]
    Secret(#[from] Unopenable),
    #[error("what is used cannot be counted; try again shortly")]
    Uncounted,
    #[error("what is picked cannot be kept; try again shortly")]
    PicksUnavailable,
    #[error("calls are refused because the audit log cannot record them: {0}")]
    Audit(String),
    #[error("the gateway's content rules cannot be applied")]
    Rules,
    #[error("the gateway is stopping; send the call again in a moment")]
    Stopping,
    /// The same of what may have reached its server.
    #[error(
        "the gateway is stopping, and the answer has not come in time; the server may have acted, so \
         send the call again if that does no harm"
    )]
    Interrupted,
}

/// What policies refuse. Its sender is told what can be done, and not what stands in a policy.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) of: domain::Kind,
    /// What its server says of it.
    pub(crate) hints: Option<[Option<bool>; 4]>,
    /// Of which server, and its alias on the gateway.
    pub(crate) server: String,
    pub(crate) alias: String,
    /// Which policy it was; for the record.
    pub(crate) policy: Option<String>,
    /// The argument, by its path, that is of no type that a policy can look at.
    pub(crate) argument: Option<String>,
}

/// What an upstream did wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("{0}")]
    Wire(String, WireBlame),
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    #[error("its answer is not valid MCP: {0}")]
    Malformed(String),
    #[error("it ended without an answer")]
    NoAnswer,
    #[error("it forgot the session")]
    SessionLost,
    #[error("its stream broke off before the answer had come")]
    StreamLost,
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    #[error("it speaks no protocol revision that can serve this client")]
    Era,
    #[error("{0}")]
    TaskOver(&'static str),
    #[error("it wants other headers than its list of tools has told; list its tools again")]
    Headers,
}

/// Why a server is not given what it asks its client for.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("the client has not declared the capability `{0}`")]
    Undeclared(String),
    #[error("the client has answered with error {0}")]
    Error(i64),
    #[error("the client has answered with something that is no result")]
    NoResult,
    #[error("the client's answers are too long")]
    TooLong,
    #[error("the client has not answered within {0:?}")]
    Late(Duration),
    #[error("the client has ended its session")]
    SessionEnded,
    #[error("the client can be asked no more at the moment")]
    NoMore,
    #[error("it still asks after {0} rounds")]
    TooManyRounds(u32),
}

/// Whether what failed on the wire may work when tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireBlame {
    /// Nothing was delivered.
    Retry,
    /// It may have been acted upon.
    Unclear,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    Client,
    Gateway,
    Upstream,
}

impl Refusal {
    /// By a switch.
    pub(crate) fn off(target: &Target, switch: &Switch) -> Self {
        Self::Off { noun: target.noun(), reason: switch.reason.as_deref().map(str::to_owned) }
    }

    pub(crate) fn upstream(server: &str, source: UpstreamError) -> Self {
        Self::Upstream { server: server.to_owned(), source }
    }

    pub(crate) fn unanswered(server: &str, why: Unanswered) -> Self {
        Self::Unanswered { server: server.to_owned(), why }
    }

    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Upstream { .. } | Self::Unanswered { why: Unanswered::TooManyRounds(_), .. } => {
                Blame::Upstream
            }
            Self::Gate(_)
            | Self::Secret(_)
            | Self::Audit(_)
            | Self::Rules
            | Self::Uncounted
            | Self::PicksUnavailable
            | Self::NotKept
            | Self::NoRoom
            | Self::Stopping
            | Self::Interrupted => Blame::Gateway,
            _ => Blame::Client,
        }
    }

    /// The machine-readable reason that stands in the record and in metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Verb { .. } => "verb",
            Self::MediaType => "media_type",
            Self::NotAcceptable => "not_acceptable",
            Self::TooLarge { .. } => "too_large",
            Self::BadHeader { .. } => "bad_header",
            Self::SlowBody { .. } => "slow_body",
            Self::Envelope(_) => "malformed",
            Self::Header(_) => "header_mismatch",
            Self::Unauthenticated => "unauthenticated",
            Self::Withdrawn => "withdrawn",
            Self::Elsewhere { .. } => "address",
            Self::NoGateway => "no_gateway",
            Self::NothingPicked => "nothing_picked",
            Self::NotPickable { .. } => "not_pickable",
            Self::SessionMissing => "session_missing",
            Self::SessionUnknown => "session_unknown",
            Self::Revision => "revision",
            Self::TooManySessions => "too_many_sessions",
            Self::TooManyStreams => "too_many_streams",
            Self::TooManyCalls => "too_many_calls",
            Self::EventUnknown => "event_unknown",
            Self::NotKept => "not_kept",
            Self::NoRoom => "no_room",
            Self::TooManyTasks => "too_many_tasks",
            Self::UnknownMethod { .. } => "unknown_method",
            Self::UnknownOffer { .. } => "not_permitted",
            Self::Unapproved { .. } => "unapproved",
            Self::Policy(_) => "policy",
            Self::Params(_) => "bad_params",
            Self::Capability { .. } => "missing_capability",
            Self::RequestState(_) => "request_state",
            Self::Blocked { .. } => "rule_block",
            Self::Off { .. } => "switched_off",
            Self::Limited { .. } => "limited",
            Self::Unanswered { .. } => "unanswered",
            Self::NoIdentity { .. } => "no_identity",
            Self::Upstream { .. } => "upstream",
            Self::Gate(_) => "gate_closed",
            Self::Secret(_) => "secret_unopenable",
            Self::Audit(_) => "audit_unavailable",
            Self::Rules => "rules_unavailable",
            Self::Uncounted => "limits_unavailable",
            Self::PicksUnavailable => "picks_unavailable",
            Self::Stopping => "stopping",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<BadForwarded> for Refusal {
    fn from(error: BadForwarded) -> Self {
        Self::BadHeader { name: error.header.to_owned() }
    }
}

impl From<audit::LogError> for Refusal {
    fn from(error: audit::LogError) -> Self {
        Self::Audit(error.to_string())
    }
}

impl From<audit::ContentError> for Refusal {
    fn from(error: audit::ContentError) -> Self {
        match std::error::Error::source(&error) {
            Some(source) => Self::Audit(format!("{error}: {source}")),
            None => Self::Audit(error.to_string()),
        }
    }
}

impl From<WireError> for UpstreamError {
    fn from(error: WireError) -> Self {
        let blame = if error.may_retry() { WireBlame::Retry } else { WireBlame::Unclear };
        Self::Wire(error.to_string(), blame)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, name, argument, .. } = self;
        match argument {
            None => write!(
                f,
                "the policies of this workspace do not allow {kind} `{name}` in this way; an \
                 administrator finds the reason in the record of this call"
            ),
            Some(argument) => write!(
                f,
                "the policies of this workspace cannot judge the argument `{argument}` of {kind} \
                 `{name}`; give it in the type and the spelling that its description asks for"
            ),
        }
    }
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default()
}

fn room(wait: Option<Duration>) -> String {
    match wait {
        Some(wait) => {
            format!("allows no more at the moment; try again in {} s", whole_seconds(wait))
        }
        None => "never allows so much at once".to_owned(),
    }
}

/// Rounded up: whoever comes back then is not too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(0 < wait.subsec_nanos()))
}
