//! What a record counts as.
//!
//! A call is counted when it has ended, by the record of its outcome; what it was and who made it stands
//! in its intent, or in the outcome itself where it was refused before anything left.

use std::borrow::Cow;

use audit::{Kind, TailEntry};
use serde::Deserialize;
use uuid::Uuid;

/// What a call is told apart by. What it has not is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) user: String,
    pub(super) app: String,
    pub(super) gateway: String,
    pub(super) server: String,
    pub(super) tool: String,
    pub(super) outcome: String,
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Answered,
    Cancelled,
    /// By policy, switch, limit, rule, approval or for want of a right.
    Denied,
    /// Its server has answered with an error.
    Error,
    Failed,
}

/// What a record tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// A call of that size is about to leave.
    Begun(Uuid, Key, Size),
    /// One has ended that has begun.
    Ended(Uuid, Counted),
    /// One was refused before it had begun.
    Refused(Key, Counted),
    /// What is no call is about to leave. It has an outcome like one.
    Spoken(Uuid),
    Nothing,
}

/// What is counted of a call, or of several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) calls: u64,
    pub(super) size: Size,
    pub(super) end: End,
    /// In microseconds: all of it, and what of it the server took.
    pub(super) took: Option<(u64, u64)>,
}

/// How much is said in a call, or in several of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// About.
    pub(super) tokens: u64,
}

/// What is called: all else is talk about it.
const CALLS: [&str; 4] = ["completion/complete", "prompts/get", "resources/read", "tools/call"];

/// Ends that are decisions about who may do what. What is malformed is none.
const DENIALS: [&str; 13] = [
    "address",
    "limited",
    "no_gateway",
    "no_identity",
    "not_permitted",
    "not_pickable",
    "origin",
    "policy",
    "rule_block",
    "switched_off",
    "unapproved",
    "unauthenticated",
    "withdrawn",
];

/// Whether an end is one of them.
pub fn is_denial(end: &str) -> bool {
    DENIALS.contains(&end)
}

/// Of a name.
const MOST_CHARS: usize = 256;

/// As much of a record as is looked at.
#[derive(Deserialize)]
struct Leaf<'a> {
    call: Option<Uuid>,
    within: Option<Uuid>,
    user: Option<Uuid>,
    owner: Option<Uuid>,
    app: Option<Uuid>,
    #[serde(borrow)]
    gateway: Option<Cow<'a, str>>,
    #[serde(borrow)]
    server: Option<Cow<'a, str>>,
    #[serde(borrow)]
    offer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    end: Option<Cow<'a, str>>,
    #[serde(default)]
    error: bool,
    total_us: Option<u64>,
    upstream_us: Option<u64>,
    #[serde(default)]
    request_bytes: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    news_bytes: u64,
    // Older records do not say.
    #[serde(default)]
    request_tokens: u64,
    #[serde(default)]
    tokens: u64,
    #[serde(default)]
    news_tokens: u64,
    count: Option<u64>,
}

impl End {
    pub(super) const ALL: [Self; 5] =
        [Self::Answered, Self::Cancelled, Self::Denied, Self::Error, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Failed => "failed",
        }
    }

    pub(super) fn of(end: &str, is_error: bool) -> Self {
        match end {
            "answered" if is_error => Self::Error,
            "answered" | "answered_here" => Self::Answered,
            "client_cancelled" => Self::Cancelled,
            end if is_denial(end) => Self::Denied,
            _ => Self::Failed,
        }
    }
}

impl Tells {
    pub(super) fn of(entry: &TailEntry) -> Self {
        if !matches!(entry.kind, Kind::Intent | Kind::Outcome) {
            return Self::Nothing;
        }
        let Ok(leaf) = serde_json::from_str::<Leaf<'_>>(&entry.text) else { return Self::Nothing };
        let Some(call) = leaf.call else { return Self::Nothing };
        let is_own = leaf.within.is_none();
        let is_call = is_own && leaf.method.as_deref().is_none_or(|it| CALLS.contains(&it));
        match (entry.kind, leaf.end.as_deref()) {
            (Kind::Intent, _) if is_call && leaf.method.is_some() => {
                Self::Begun(call, leaf.key(), leaf.asked())
            }
            (Kind::Intent, _) => Self::Spoken(call),
            (Kind::Outcome, Some(end)) if is_own => {
                let end = End::of(end, leaf.error);
                let counted = Counted {
                    calls: leaf.count.unwrap_or(1),
                    size: leaf.asked().plus(leaf.released()),
                    end,
                    took: leaf.total_us.zip(leaf.upstream_us),
                };
                // What has begun took some time, and what was refused before says itself what it was.
                match counted.took {
                    Some(_) => Self::Ended(call, counted),
                    None if is_call => Self::Refused(leaf.key(), counted),
                    None => Self::Nothing,
                }
            }
            _ => Self::Nothing,
        }
    }
}

impl Size {
    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(more.bytes),
            tokens: self.tokens.saturating_add(more.tokens),
        }
    }
}

impl Leaf<'_> {
    fn asked(&self) -> Size {
        Size { bytes: self.request_bytes, tokens: self.request_tokens }
    }

    /// The answer, and what came before it.
    fn released(&self) -> Size {
        let before = Size { bytes: self.news_bytes, tokens: self.news_tokens };
        Size { bytes: self.bytes, tokens: self.tokens }.plus(before)
    }

    fn key(&self) -> Key {
        let text = |it: Option<Uuid>| it.map(|it| it.to_string()).unwrap_or_default();
        // No text of a database holds a NUL, and the longest names are no names.
        let name = |it: &Option<Cow<'_, str>>| {
            let text = it.as_deref().unwrap_or_default();
            text.chars()
                .take(MOST_CHARS)
                .map(|it| if it == '\0' { '\u{fffd}' } else { it })
                .collect()
        };
        let is_tool = self.offer.as_deref() == Some("tool");
        Key {
            user: text(self.user.or(self.owner)),
            app: text(self.app),
            gateway: name(&self.gateway),
            server: name(&self.server),
            tool: if is_tool { name(&self.name) } else { String::new() },
            outcome: String::new(),
        }
    }
}
