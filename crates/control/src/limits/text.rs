//! What a limit counts, for whom and how much: as text.

use domain::Name;
use domain::limits::{Allowance, Direction, MOST_UNITS, Period, Quota, Rate, Unit, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{Error, NameText};

/// Whose use is counted together: that of the one named, or else of each of its kind by itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ScopeText {
    /// That of everybody.
    Workspace {},
    User {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        user: Option<Name>,
    },
    App {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        app: Option<Name>,
    },
    /// What a person uses counts for each team by which they may use the gateway.
    Team {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        team: Option<Name>,
    },
    Gateway {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        gateway: Option<Name>,
    },
    Server {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        server: Option<Name>,
    },
    /// By the server's own name for it: both, or neither.
    Tool {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<NameText>)]
        server: Option<Name>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnitText {
    /// Requests that go to a server.
    Calls,
    /// Of the messages of a call, as the vocabulary o200k divides them.
    Tokens,
    /// Of the messages of a call.
    Bytes,
}

/// Which messages of a call are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DirectionText {
    Request,
    Response,
    #[default]
    Both,
}

/// How much is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AllowanceText {
    /// Comes back little by little.
    Rate {
        /// 1 to 1,000,000,000,000.
        amount: i64,
        per: PeriodText,
        /// How much at once; as much as in a whole period where absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        burst: Option<i64>,
    },
    /// Comes back at the beginning of each day or month, in UTC.
    Quota {
        /// 1 to 1,000,000,000,000.
        amount: i64,
        per: WindowText,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodText {
    Second,
    Minute,
    Hour,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowText {
    Day,
    Month,
}

/// What a unit and a direction say together. Calls have no direction.
pub(crate) fn unit(unit: UnitText, direction: Option<DirectionText>) -> Result<Unit, Error> {
    let given = direction.unwrap_or_default();
    match unit {
        UnitText::Calls if direction.is_some() => {
            Err(Error::Invalid("calls have no `direction`; leave it out".into()))
        }
        UnitText::Calls => Ok(Unit::Calls),
        UnitText::Tokens => Ok(Unit::Tokens(given.into())),
        UnitText::Bytes => Ok(Unit::Bytes(given.into())),
    }
}

/// The other way round.
pub(crate) fn unit_text(unit: Unit) -> (UnitText, Option<DirectionText>) {
    match unit {
        Unit::Calls => (UnitText::Calls, None),
        Unit::Tokens(direction) => (UnitText::Tokens, Some(direction.into())),
        Unit::Bytes(direction) => (UnitText::Bytes, Some(direction.into())),
    }
}

impl UnitText {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
        }
    }
}

impl DirectionText {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Both => "both",
        }
    }
}

impl TryFrom<AllowanceText> for Allowance {
    type Error = Error;

    fn try_from(text: AllowanceText) -> Result<Self, Error> {
        Ok(match text {
            AllowanceText::Rate { amount, per, burst } => Self::Rate(Rate {
                amount: units("amount", amount)?,
                per: per.into(),
                burst: units("burst", burst.unwrap_or(amount))?,
            }),
            AllowanceText::Quota { amount, per } => {
                Self::Quota(Quota { amount: units("amount", amount)?, per: per.into() })
            }
        })
    }
}

impl From<Allowance> for AllowanceText {
    fn from(allowance: Allowance) -> Self {
        let text = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        match allowance {
            Allowance::Rate(it) => Self::Rate {
                amount: text(it.amount),
                per: it.per.into(),
                burst: Some(text(it.burst)),
            },
            Allowance::Quota(it) => Self::Quota { amount: text(it.amount), per: it.per.into() },
        }
    }
}

fn units(member: &str, units: i64) -> Result<u64, Error> {
    let fits = u64::try_from(units).ok().filter(|it| (1..=MOST_UNITS).contains(it));
    fits.ok_or_else(|| Error::Invalid(format!("`{member}` must be 1 to {MOST_UNITS}")))
}

/// Mirrors with the same variants.
macro_rules! mirrors {
    ($($text:ident = $domain:ident { $($variant:ident),* })*) => {$(
        impl From<$text> for $domain {
            fn from(text: $text) -> Self {
                match text { $($text::$variant => Self::$variant),* }
            }
        }

        impl From<$domain> for $text {
            fn from(value: $domain) -> Self {
                match value { $($domain::$variant => Self::$variant),* }
            }
        }
    )*};
}

mirrors! {
    DirectionText = Direction { Request, Response, Both }
    PeriodText = Period { Second, Minute, Hour, Day }
    WindowText = Window { Day, Month }
}
